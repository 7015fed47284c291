//! Why nothing was found: what each condition finds by itself, what empties the answer, and what there is
//! in place of what was asked for. The right numbers are counted on the records.

use wire::{Difference, Explanation, SearchRequest, SearchResponse};

use crate::common::{Record, records_below, sample, shared_daemon};

fn asked(request: &SearchRequest) -> SearchResponse {
    shared_daemon().search(request)
}

fn request(query: &str) -> SearchRequest {
    SearchRequest { query: query.into(), ..SearchRequest::default() }
}

fn why(query: &str) -> Explanation {
    let answer = asked(&request(query));
    assert_eq!(answer.total.value, 0, "{query}");
    answer.explanation.unwrap_or_else(|| panic!("{query} has no explanation"))
}

/// How many records are so.
fn count(is_so: impl Fn(&Record) -> bool) -> u64 {
    records_below(&sample("invictus")).iter().filter(|record| is_so(record)).count() as u64
}

fn text<'a>(record: &'a Record, pointer: &str) -> &'a str {
    record.json.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default()
}

fn is(pointer: &'static str, value: &'static str) -> impl Fn(&Record) -> bool {
    move |record| text(record, pointer) == value
}

fn told(why: &Explanation) -> Vec<(&str, u64)> {
    why.conditions.iter().map(|told| (told.condition.as_str(), told.events)).collect()
}

fn near(why: &Explanation, difference: Difference) -> Vec<(&str, u64)> {
    let of_kind = why.near.iter().filter(|near| near.difference == difference);
    of_kind.map(|near| (near.condition.as_str(), near.events)).collect()
}

#[test]
fn each_condition_is_counted_by_itself_and_the_first_that_empties_is_named() {
    let (buckets, decrypts) =
        (count(is("/eventName", "ListBuckets")), count(is("/eventName", "Decrypt")));
    let found = why("region:us-east-1 AND eventName:ListBuckets AND eventName:Decrypt");
    let all = count(|_| true);
    assert_eq!(found.events, all);
    let expected = [
        ("region:us-east-1", all),
        ("eventName:ListBuckets", buckets),
        ("eventName:Decrypt", decrypts),
    ];
    assert_eq!(told(&found), expected);
    // Each has events: it is the two together that have none.
    assert_eq!(found.emptied_by.as_deref(), Some("eventName:Decrypt"));
    let either = [("eventName:(ListBuckets OR Decrypt)", buckets + decrypts)];
    assert_eq!(near(&found, Difference::Either), either);
    assert_eq!(found.near.len(), 1);

    let found = why("eventName:Decrypt NOT region:us-east-1");
    assert_eq!(told(&found), [("eventName:Decrypt", decrypts), ("NOT region:us-east-1", 0)]);
    assert_eq!(found.emptied_by.as_deref(), Some("NOT region:us-east-1"));
    // Of alternatives none empties the answer.
    let found = why("eventName:Never OR eventName:Ever");
    assert_eq!(told(&found), [("eventName:Never", 0), ("eventName:Ever", 0)]);
    assert_eq!(found.emptied_by, None);
    // A filter behind a pipe is a condition like any other, and so is one of a table.
    let found = why("eventName:Decrypt | filter eventName:ListBuckets | count by actor");
    assert_eq!(told(&found), [("eventName:Decrypt", decrypts), ("eventName:ListBuckets", buckets)]);
}

#[test]
fn what_was_found_and_what_nobody_restricted_has_no_explanation() {
    for query in ["*", "eventName:Decrypt", "* | count", "eventName:Decrypt | count by actor"] {
        assert_eq!(asked(&request(query)).explanation, None, "{query}");
    }
}

#[test]
fn rows_that_a_filter_leaves_none_of_are_explained() {
    let decrypts = count(is("/eventName", "Decrypt"));
    let answer = asked(&request("eventName:Decrypt | count by actor | filter count > 100000"));
    assert_eq!(answer.total.value, decrypts);
    let why = answer.explanation.unwrap();
    assert_eq!((why.events, why.emptied_by.as_deref()), (decrypts, Some("filter count:>100000")));
    // A row's value is compared as an event's is.
    let decrypts_of = |filter: &str| {
        let query = format!("eventName:Decrypt | count by eventName, actor | filter {filter}");
        asked(&request(&query)).explanation.unwrap().near
    };
    for (filter, condition, difference) in [
        ("eventName:decr*", "eventName:~decr*", Difference::Case),
        ("eventName:/Decr/", "eventName:/.*Decr.*/", Difference::Part),
        ("eventName:crypt count > 0", "eventName:*crypt*", Difference::Part),
    ] {
        let near = decrypts_of(filter);
        let told = near.iter().find(|near| near.difference == difference).unwrap();
        assert_eq!((&*told.condition, told.events), (condition, decrypts), "{filter}");
    }
}

#[test]
fn a_time_without_events_is_told_with_the_time_that_there_is() {
    let mut times: Vec<String> = records_below(&sample("invictus"))
        .iter()
        .map(|r| text(r, "/eventTime").to_owned())
        .collect();
    times.sort();
    let start = Some("2024-01-01".to_owned());
    let why = asked(&SearchRequest { start, ..request("eventName:Decrypt") }).explanation.unwrap();
    assert_eq!((why.events, why.emptied_by.as_deref(), told(&why)), (0, None, vec![]));
    assert_eq!(why.first.as_deref(), times.first().map(String::as_str));
    assert_eq!(why.last.as_deref(), times.last().map(String::as_str));
    // Counts are of the time that was asked for.
    let start = Some("2023-07-10T12:30:00Z".to_owned());
    let why = asked(&SearchRequest { start, ..request("eventName:Nothing readOnly:true") });
    let late = |record: &Record| text(record, "/eventTime") >= "2023-07-10T12:30:00Z";
    let is_read = |record: &Record| record.json["readOnly"] == true;
    let why = why.explanation.unwrap();
    assert_eq!(why.events, count(late));
    assert_eq!(told(&why)[1].1, count(|record| late(record) && is_read(record)));
}

#[test]
fn near_values_are_told_with_their_counts() {
    let roles = count(is("/eventName", "AssumeRole"));
    for asked in ["eventName:assumeRole", "eventName:ASSUMEROLE"] {
        assert_eq!(
            near(&why(asked), Difference::Case),
            [("eventName:AssumeRole", roles)],
            "{asked}"
        );
    }
    for asked in ["eventName:AssumeRol", "eventName:AsumeRole", "eventName:AssuemRole", "asumerole"]
    {
        let found = why(asked);
        assert_eq!(
            near(&found, Difference::Spelling),
            [("eventName:AssumeRole", roles)],
            "{asked}"
        );
        assert!(found.near.iter().all(|near| near.instead_of == asked), "{:?}", found.near);
    }
    let services = count(is("/eventSource", "kms.amazonaws.com"));
    let found = why("eventSource:kms.amazonaws");
    assert_eq!(near(&found, Difference::Longer), [("eventSource:kms.amazonaws.com", services)]);
    let users = count(is("/userIdentity/userName", "bert-jan"));
    assert!(users > 0);
    let found = why("key:bert-jan region:us-east-1");
    let in_fields = near(&found, Difference::Field);
    assert!(in_fields.contains(&("userIdentity.userName:bert-jan", users)), "{found:?}");
    // Of several values, each has its own.
    let found = why("eventName:(assumeRole OR decrypt)");
    let decrypts = count(is("/eventName", "Decrypt"));
    let expected = [("eventName:AssumeRole", roles), ("eventName:Decrypt", decrypts)];
    assert_eq!(near(&found, Difference::Case), expected);
}

/// Events of which some value of the user agent, in lower case or as it is, holds a text.
fn agents(part: &'static str, ignores_case: bool) -> u64 {
    count(|record| {
        let agent = text(record, "/userAgent");
        if ignores_case { agent.to_lowercase().contains(part) } else { agent.contains(part) }
    })
}

#[test]
fn what_is_only_a_part_is_told_with_the_form_that_finds_it() {
    let stratus = agents("stratus", false);
    assert!(stratus > 0);
    let part = |query: &str| {
        let found = why(query);
        let told = found.near.iter().find(|near| near.difference == Difference::Part);
        let told = told.unwrap_or_else(|| panic!("{query}: {:?}", found.near));
        (told.instead_of.clone(), told.condition.clone(), told.events)
    };
    let expect = |query: &str, condition: &str, events: u64| {
        assert_eq!(part(query), (query.to_owned(), condition.to_owned(), events), "{query}");
    };
    expect("userAgent:/stratus/", "userAgent:/.*stratus.*/", stratus);
    expect("userAgent:stratus", "userAgent:*stratus*", stratus);
    expect("userAgent:/STRATUS/", "userAgent:/.*STRATUS.*/i", agents("stratus", true));
    expect("userAgent:STRATUS", "userAgent:~*STRATUS*", agents("stratus", true));
    expect("userAgent:tratus*", "userAgent:*tratus*", agents("tratus", false));
    let instances = count(|record| text(record, "/userIdentity/principalId").contains(":i-"));
    expect("principal:/:i-/", "principal:/.*:i-.*/", instances);
    // Nobody reads a long user agent, so none is told; the same pattern in another case is.
    let found = why("userAgent:Terraform");
    assert!(near(&found, Difference::Longer).iter().all(|(condition, _)| condition.len() < 100));
    let gets = count(|record| text(record, "/eventName").starts_with("GetUser"));
    assert_eq!(near(&why("eventName:getuser*"), Difference::Case), [("eventName:~getuser*", gets)]);
    // Of several, each has its own.
    let found = why("userAgent:(stratus OR /stratus/)");
    assert_eq!(near(&found, Difference::Part).len(), 2, "{:?}", found.near);
}

#[test]
fn values_that_mean_something_else_elsewhere_are_told_with_what_they_mean() {
    let without =
        count(|record| record.json.get("errorCode").is_none_or(serde_json::Value::is_null));
    for value in ["None", "-", "undefined", "n/a"] {
        let found = why(&format!("errorCode:{value}"));
        assert_eq!(near(&found, Difference::Missing), [("NOT errorCode:*", without)], "{value}");
    }
    let codes = count(|record| record.json["errorCode"].is_string());
    assert_eq!(near(&why("errorCode = \"*\""), Difference::Part), [("errorCode:*", codes)]);
    let reads = count(|record| record.json["readOnly"] == true);
    assert_eq!(near(&why("readOnly:yes"), Difference::Other)[0], ("readOnly:true", reads));
    // Of few values all are told, so nobody takes one for another.
    let found = why("outcome:error");
    let values: Vec<&str> =
        near(&found, Difference::Other).iter().map(|(condition, _)| *condition).collect();
    assert_eq!(values, ["outcome:success", "outcome:failure", "outcome:denied"]);
    let found = why("region:virginia");
    assert_eq!(near(&found, Difference::Other), [("region:us-east-1", count(|_| true))]);
    // Two words that no event has both of: elsewhere, one is enough.
    let holds = |word: &'static str| {
        move |record: &Record| record.json.to_string().to_lowercase().contains(word)
    };
    assert!(count(|record| holds("getuser")(record) && holds("assumerole")(record)) == 0);
    let found = why("AssumeRole GetUser");
    assert_eq!(near(&found, Difference::Either)[0].0, "AssumeRole OR GetUser");
}

#[test]
fn a_bare_word_that_is_part_of_a_word_is_told_with_its_wildcard() {
    let holds = count(|record| record.json.to_string().to_lowercase().contains("qyxyekjbtk"));
    assert!(holds > 0);
    for query in ["yxyekjbt", "\"yxyekjbt\"", "/yxyekjbt/", "YXYEKJBT"] {
        let found = why(query);
        let told = near(&found, Difference::Part);
        let [(condition, events)] = told[..] else { panic!("{query}: {:?}", found.near) };
        assert_eq!(events, holds, "{query} {condition}");
    }
    assert_eq!(near(&why("yxyekjbt"), Difference::Part)[0].0, "*yxyekjbt*");
}

#[test]
fn operators_of_other_languages_that_were_words_are_told() {
    let found = why("eventName:Never \"between\" XOR");
    assert!(found.operators_as_words.contains(&"XOR".to_owned()), "{found:?}");
    assert_eq!(why("eventName:Never never").operators_as_words, Vec::<String>::new());
}

#[test]
fn twenty_conditions_are_listed_and_the_rest_is_told() {
    let conditions: Vec<String> = (0..25).map(|n| format!("eventName:Never{n:02}")).collect();
    let found = why(&conditions.join(" "));
    assert_eq!(found.conditions.len(), 20);
    assert_eq!(found.left_out, ["5 more conditions"]);
    assert_eq!(found.emptied_by.as_deref(), Some("eventName:Never00"));
}
