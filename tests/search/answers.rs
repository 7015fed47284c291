//! What an answer says beside the events: which values met the query, and what the search did.

use std::fs;

use serde_json::{Value as Json, json};
use wire::{Highlight, SearchRequest};

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, copy_invictus};

fn request(query: &str) -> SearchRequest {
    SearchRequest { query: query.into(), limit: Some(1), ..SearchRequest::default() }
}

#[test]
fn highlights_are_the_values_that_met_the_query() {
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    let highlights = |query: &str| -> Vec<(String, Vec<String>)> {
        let found = daemon.search(&SearchRequest { highlights: true, ..request(query) });
        let told = |h: &wire::Highlight| {
            let parts = h.ranges.iter().map(|[from, to]| h.value[*from..*to].to_owned());
            (h.field.clone(), parts.collect())
        };
        assert_eq!(found.hits.len(), 1, "{query}");
        found.hits[0].highlights.iter().map(told).collect()
    };
    let one = |field: &str, text: &str| vec![(field.to_owned(), vec![text.to_owned()])];
    assert_eq!(highlights("eventName:Decrypt"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:Decr*"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:~DECRYPT NOT errorCode:*"), one("eventName", "Decrypt"));
    assert_eq!(highlights("action:(Decrypt OR Nothing)"), one("eventName", "Decrypt"));
    let words = highlights("\"not authorized to perform\"");
    assert_eq!(words, one("errorMessage", "not authorized to perform"));
    let words = highlights("errorMessage:\"authorized to perform\"");
    assert_eq!(words, one("errorMessage", "authorized to perform"));
    let word = highlights("*unauthorized*");
    assert!(
        word.iter().any(|(field, parts)| field == "errorCode" && !parts.is_empty()),
        "{word:?}"
    );
    assert_eq!(highlights("NOT eventName:Decrypt"), []);
    assert!(daemon.search(&request("eventName:Decrypt")).hits[0].highlights.is_empty());
    daemon.stop();
}

#[test]
fn a_search_explains_what_it_did() {
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    let query = "eventName:Decrypt AND NOT (errorCode:* OR s3) AND eventName:Decrypt";
    let request = SearchRequest { explain: true, ..request(query) };
    let explain = daemon.search(&request).explain.unwrap();
    let told: Vec<(&str, u64)> =
        explain.conditions.iter().map(|c| (c.condition.as_str(), c.events)).collect();
    let counts: Vec<(&str, u64)> =
        ["eventName:Decrypt", "errorCode:*", "s3"].map(|query| (query, daemon.count(query))).into();
    assert_eq!(told, counts);
    let steps: Vec<&str> = explain.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["inner queries", "plan", "collect", "fetch"]);
    assert_eq!(explain.segments_skipped, 0);

    let later = Some("2030-01-01".to_owned());
    let explain = daemon.search(&SearchRequest { start: later, ..request }).explain.unwrap();
    assert!(explain.segments > 0);
    assert_eq!(explain.segments_skipped, explain.segments);
    assert_eq!(explain.start.as_deref(), Some("2030-01-01T00:00:00Z"));
    assert!(explain.conditions.iter().all(|condition| condition.events == 0));
    daemon.stop();
}

/// Values of a field, each of which some event has alone.
fn values() -> Vec<Json> {
    let mut values = vec![
        json!("CreateUser"),
        json!("create user"),
        json!("5"),
        json!("005"),
        json!("true"),
        json!("1.10"),
        json!("2023-07-10T12:00:00Z"),
        json!("10.1.2.3"),
        json!("*"),
        json!(""),
        json!("ÄÖ ẞ"),
    ];
    values.extend([json!(5), json!(-7), json!(5.5), json!(true)]);
    values
}

/// What is asked of the field `F`, and of words.
const ASKED: [&str; 50] = [
    "F:CreateUser",
    "F:createuser",
    "F:Create*",
    "F:create*",
    "F:*User",
    "F:C?eate*",
    "F:?",
    "F:*",
    "-F:*",
    "F:~CREATEUSER",
    "F:~create*",
    "F:~*USER",
    "F:~äö*",
    "F:/Create.*/",
    "F:/create.*/",
    "F:/create.*/i",
    r"F:/\d/",
    "F LIKE reate",
    "F NOT LIKE reate",
    "F LIKE /REATE/",
    "F:\"create user\"",
    "F:\"user\"",
    "F:\"CreateUser\"",
    "F = \"create user\"",
    "F:\"*\"",
    "F = \"\"",
    "F:\"5.0\"",
    "F:5",
    "F:5.0",
    "F:5e0",
    "F:005",
    "F:-7",
    "F:-7.0",
    "F:5.5",
    "F != 5",
    "F:true",
    "F:true.0",
    "F:tru*",
    "F > 4",
    "F:[5 TO 5.5]",
    "F < 0",
    "F IN [CreateUser, 5]",
    "F IN [a, b, CreateUser, \"create user\", 5.0, t*]",
    "F IN [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, CreateUser]",
    "F NOT IN [CreateUser, 5]",
    "createuser",
    "*EATEU*",
    "/CREATEU.*/",
    "\"create user\"",
    "NOT (*eateu* OR F:5)",
];

/// The same of special fields, by their names.
const OF_SPECIAL_FIELDS: [(&str, &[&str]); 4] = [
    (
        "requestParameters.w",
        &[
            "F:9007199254740993",
            "F:9007199254740992",
            "F:9007199254740993.0",
            "F:9.007199254740992e15",
        ],
    ),
    (
        "time",
        &[
            "F:2023-07-10",
            "F >= 2023-07-10",
            "F < 2023-07",
            "F:[2023-07-10T12:00 TO 2023-07-10T12:30]",
            "F > 1688990000",
            "F:*",
            "F = \"2023-07-10T14:00+02:00\"",
            "2023-07-10T12:00:00Z",
            "2023-07-10T14:00:00+02:00",
        ],
    ),
    (
        "ip",
        &[
            "F:10.0.0.0/8",
            "F:10.1.2.3",
            "F:[10.0.0.0 TO 10.255.255.255]",
            "F:aws",
            "F:10.1.*",
            "F:ec2.amazonaws.com",
            "F:\"10.1.0.0/16\"",
            "F IN [10.0.0.0/8, aws]",
            "F != 10.1.2.3",
            "F:*",
        ],
    ),
    ("eventVersion", &["F > 1.9", "F >= 1.10", "F < 1.9", "F:[1.2 TO 1.11]", "F:1.10", "F:1.1"]),
];

/// An archive of events, each with one of the values.
fn one_of_each() -> (Place, Daemon, usize) {
    let place = Place::new();
    let records: Vec<Json> = values()
        .iter()
        .enumerate()
        .map(|(n, value)| {
            json!({
                "eventVersion": (["1.9", "1.10", "1.02"][n % 3]),
                "eventTime": (["2023-07-10T12:00:00Z", "2023-06-30T23:59:59Z"][n % 2]),
                "eventID": format!("id{n}"), "eventName": format!("Name{n}"),
                "sourceIPAddress": (["10.1.2.3", "ec2.amazonaws.com", "AWS Internal"][n % 3]),
                "requestParameters": { "v": value, "w": 9_007_199_254_740_992_u64 + n as u64 % 2, "large": "a long value ".repeat(500) },
            })
        })
        .collect();
    fs::write(place.archive().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    (place, daemon, records.len())
}

#[test]
fn rows_are_asked_what_events_are_asked() {
    let (_place, daemon, events) = one_of_each();
    let rows = |query: &str| {
        let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
        daemon.search(&request).table.expect("a table").rows.len() as u64
    };
    let mut wrong = Vec::new();
    let mut met = 0;
    let of_values = ASKED.map(|asked| ("requestParameters.v", asked));
    let of_others = OF_SPECIAL_FIELDS;
    let of_others =
        of_others.iter().flat_map(|(field, asked)| asked.iter().map(move |asked| (*field, *asked)));
    for (field, asked) in of_values.into_iter().chain(of_others) {
        let asked = asked.replace('F', field);
        for n in 0..events {
            let expected = daemon.count(&format!("eventName:Name{n} AND ({asked})"));
            let found = rows(&format!("eventName:Name{n} | count by {field} | filter {asked}"));
            met += expected;
            if found != expected {
                wrong.push(format!("{asked} of {}: {expected}, {found} rows", values()[n]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(met > 200, "{met}");
    // Where there are other values beside numbers, a time is compared with these.
    for asked in ["requestParameters.v > 2023-07-10", "requestParameters.v < 2023-07-10"] {
        let found = rows(&format!("count by requestParameters.v | filter {asked}"));
        assert_eq!(found, daemon.count(asked), "{asked}");
    }
    // Texts are not compared by order where there are numbers.
    for asked in ["F:[C TO D]", "F:{a TO z}", "F > C"] {
        let asked = asked.replace('F', "requestParameters.v");
        let refused = |query: String| {
            let request =
                SearchRequest { query: query.as_str().into(), ..SearchRequest::default() };
            let error = daemon.client.search(&request).unwrap_err().to_string();
            assert!(error.contains("is no number"), "{query}: {error}");
        };
        refused(asked.clone());
        refused(format!("count by requestParameters.v | filter {asked}"));
    }
    let long = "a long value ".repeat(500);
    let long =
        format!("count by requestParameters.large | filter requestParameters.large = \"{long}\"");
    assert_eq!(rows(&long), 1);
    // What is seen first and last is a value of the same kind.
    assert_eq!(rows("stats max(ip) as a, last(time) as t | filter a:10.0.0.0/8 OR a:aws"), 1);
    assert_eq!(rows("stats last(time) as t | filter t:2023-07"), 1);
    assert_eq!(rows("stats last(time) as t | filter t < 2023-07-10"), 0);
    daemon.stop();
}

#[test]
fn what_matched_by_its_text_is_highlighted() {
    let (_place, daemon, events) = one_of_each();
    let highlights = |query: String| -> Option<Vec<Highlight>> {
        let found = daemon.search(&SearchRequest { highlights: true, ..request(&query) });
        found.hits.into_iter().next().map(|hit| hit.highlights)
    };
    let is_of_text = |asked: &str| {
        let others = ["F:*", "-F", ">", "<", "TO", "NOT", "!=", "F = \"\""];
        others
            .iter()
            .all(|other| !asked.starts_with(other) && !asked.contains(&format!(" {other}")))
            && !asked.contains(":[")
            && !asked.contains(":{")
    };
    let mut met = 0;
    for asked in ASKED.into_iter().filter(|asked| is_of_text(asked)) {
        for n in 0..events {
            let query = format!("eventName:Name{n} {}", asked.replace('F', "requestParameters.v"));
            let Some(highlights) = highlights(query.clone()) else { continue };
            met += 1;
            let is_met = |one: &Highlight| one.field != "eventName" && !one.ranges.is_empty();
            assert!(highlights.iter().any(is_met), "{query}: {highlights:?}");
        }
    }
    assert!(met > 50, "{met}");
    let fields = |query: &str| -> Vec<String> {
        let highlights = highlights(query.to_owned()).expect("a match");
        highlights.into_iter().map(|one| one.field).collect()
    };
    assert_eq!(fields("ip:10.0.0.0/8"), ["sourceIPAddress"]);
    assert_eq!(fields("ip:aws"), ["sourceIPAddress"]);
    assert_eq!(fields("NOT (NOT eventName:Name1)"), ["eventName"]);
    assert_eq!(fields("NOT (eventName:Name2 OR NOT eventName:/Name1/)"), ["eventName"]);
    assert_eq!(fields("2023-07-10T14:00:00+02:00 eventName:Name0"), ["eventName", "eventTime"]);
    assert_eq!(fields("/LON./ eventName:Name1"), ["eventName", "requestParameters.large"]);
    // Neither a bound, nor that something is there, nor what is not there.
    assert_eq!(fields("time > 2023-01 eventVersion >= 1.9 NOT eventName:x"), [] as [&str; 0]);
    daemon.stop();
}
