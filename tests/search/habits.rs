//! What people bring from other tools, asked of a daemon: the right events, and what the answer says of how
//! the query was taken. What becomes of each spelling is in the table of habits of the language.

use std::collections::BTreeSet;
use std::fs;

use client::ClientError;
use serde_json::{Value, json};
use wire::{ApiError, SavedRequest, SavedSearch, SearchRequest, SearchResponse, ValuesRequest};

use crate::common::{Daemon, PATIENCE, Place, Ran, shared_daemon, traildex};

/// Bytes that the events moved, one event a minute from seven o'clock on.
const BYTES: [u64; 12] =
    [0, 2, 999, 1_000, 1_001, 1_023, 1_024, 1_025, 2_000, 999_999, 1_000_000, 5_000_000];

const ADDRESSES: [&str; 4] = ["3.238.12.7", "3.238.12.99", "3.238.13.1", "s3.amazonaws.com"];

fn address(n: usize) -> &'static str {
    ADDRESSES[n % ADDRESSES.len()]
}

fn name(n: usize) -> &'static str {
    ["GetObject", "PutObject", "ListBuckets"][n % 3]
}

fn daemon() -> (Place, Daemon) {
    let place = Place::new();
    let record = |(n, bytes): (usize, &u64)| {
        json!({
            "eventVersion": "1.08", "eventTime": format!("2024-05-06T07:{n:02}:09Z"),
            "eventSource": "s3.amazonaws.com", "eventName": name(n), "readOnly": n % 3 != 1,
            "sourceIPAddress": address(n), "eventID": format!("e{n}"), "awsRegion": "us-east-1",
            "userIdentity": { "type": "Root", "accountId": "000000000001" },
            "errorMessage": if n < 3 { json!("you are not authorized or known") } else { Value::Null },
            "additionalEventData": { "bytesTransferredOut": bytes, "mixed": if n < 2 { json!(n) } else { json!("2024-05-06") } },
            "requestParameters": { "name": format!("role_{n}") },
        })
    };
    let records: Vec<Value> = BYTES.iter().enumerate().map(record).collect();
    fs::write(place.archive().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, BYTES.len() as u64);
    (place, daemon)
}

fn ask(daemon: &Daemon, query: &str) -> Result<SearchResponse, ApiError> {
    let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
    daemon.client.search(&request).map_err(|error| match error {
        ClientError::Api(error) => error,
        error => panic!("{query}: {error}"),
    })
}

fn count(daemon: &Daemon, query: &str) -> usize {
    ask(daemon, query).unwrap_or_else(|error| panic!("{query}: {error}")).total.value as usize
}

fn rows(daemon: &Daemon, query: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let table =
        ask(daemon, query).unwrap_or_else(|error| panic!("{query}: {error}")).table.unwrap();
    (table.columns, table.rows)
}

#[test]
fn numbers_with_units_are_numbers_and_what_is_none_is_refused() {
    let (_place, daemon) = daemon();
    let moved = |is_meant: &dyn Fn(u64) -> bool| BYTES.iter().filter(|n| is_meant(**n)).count();
    let field = "bytesTransferredOut";
    for (test, is_meant) in [
        ("> 1k", &(|n: u64| n > 1_000) as &dyn Fn(u64) -> bool),
        ("> 1K", &|n: u64| n > 1_000),
        ("> 1KB", &|n: u64| n > 1_000),
        (">= 1KiB", &|n: u64| n >= 1_024),
        ("< 1Ki", &|n: u64| n < 1_024),
        ("> 1MB", &|n: u64| n > 1_000_000),
        (">= 1 MB", &|n: u64| n >= 1_000_000),
        ("> 1.5k", &|n: u64| n > 1_500),
        (":[1K TO 2K]", &|n: u64| (1_000..=2_000).contains(&n)),
        ("BETWEEN 1k AND 2k", &|n: u64| (1_000..=2_000).contains(&n)),
        ("> 10", &|n: u64| n > 10),
    ] {
        assert_eq!(count(&daemon, &format!("{field} {test}")), moved(is_meant), "{test}");
    }
    for (query, offset, told) in [
        ("bytesTransferredOut > 1,000", 23, "write the number as 1000"),
        ("bytesTransferredOut > \"1,000\"", 22, "'1,000' is no number at byte 22"),
        ("bytesTransferredOut > 5h", 22, "10k or 5MB"),
        ("bytesTransferredOut:[1 TO many]", 26, "holds numbers"),
        ("bytesTransferredOut > 2024-05-06", 22, "holds numbers"),
        ("mixed < x", 8, "holds numbers"),
        ("count by eventName | filter count > many", 36, "'count' holds numbers"),
    ] {
        let error = ask(&daemon, query).unwrap_err();
        assert_eq!(error.offset, Some(offset), "{query}: {error}");
        assert!(error.to_string().contains(told), "{query}: {error}");
    }
    // Texts among the numbers are times, and compare as such.
    assert_eq!(count(&daemon, "mixed >= 2024-05-06"), BYTES.len() - 2);
    assert_eq!(rows(&daemon, "count by eventName | filter count > 1k").1.len(), 0);
    assert_eq!(rows(&daemon, "count by eventName | filter count < 1k").1.len(), 3);
    let told = ask(&daemon, "bytesTransferredOut:1k").unwrap();
    assert_eq!(told.total.value, 0);
    assert!(told.warnings[0].contains("the number is 1000"), "{:?}", told.warnings);
    daemon.stop();
}

#[test]
fn operators_in_lower_case_are_taken_and_told() {
    let (place, daemon) = daemon();
    let all = BYTES.len();
    let gets = (0..all).filter(|n| name(*n) == "GetObject").count();
    let puts = (0..all).filter(|n| name(*n) == "PutObject").count();
    for (query, expected) in [
        ("not eventName:GetObject", all - gets),
        ("eventName:GetObject or eventName:PutObject", gets + puts),
        ("eventName:(GetObject or PutObject)", gets + puts),
        ("eventName:Get* and not errorMessage:*", gets - 1),
        ("errorMessage:* | filter not eventName:GetObject", 2),
    ] {
        let answer = ask(&daemon, query).unwrap();
        assert_eq!(answer.total.value as usize, expected, "{query}");
        let [told] = &answer.warnings[..] else { panic!("{query}: {:?}", answer.warnings) };
        assert!(told.contains("taken as") && told.contains("quote"), "{told}");
    }
    for query in ["NOT eventName:GetObject", "\"not authorized\"", "'not authorized or'", "\\not"] {
        assert_eq!(ask(&daemon, query).unwrap().warnings, Vec::<String>::new(), "{query}");
    }
    assert_eq!(count(&daemon, "\"not authorized or\""), 3);
    assert_eq!(count(&daemon, "\\not \\or"), 3);

    // Wherever a query is asked, its answer says so.
    let query = "not eventName:GetObject".to_owned();
    let request = ValuesRequest {
        field: "eventName".into(),
        query: Some(query.clone()),
        ..Default::default()
    };
    let answer = daemon.client.values(&request).unwrap();
    assert!(answer.warnings[0].starts_with("'not' at byte 0"), "{:?}", answer.warnings);
    daemon.client.save("s", &SavedSearch { query: query.clone(), ..Default::default() }).unwrap();
    let answer = daemon.client.search_saved("s", &SavedRequest::default()).unwrap();
    assert_eq!(answer.total.value as usize, all - gets);
    assert!(answer.warnings[0].starts_with("'not' at byte 0"), "{:?}", answer.warnings);
    let mut command = traildex();
    command.args(["search", &query]).arg("--socket").arg(place.socket());
    let Ran { code, stderr, .. } = command.output().unwrap().into();
    assert!(code == 0 && stderr.contains("warning: 'not' at byte 0 was taken"), "{stderr}");
    daemon.stop();
}

#[test]
fn times_are_said_as_people_say_them() {
    let (_place, daemon) = daemon();
    let all = BYTES.len();
    assert_eq!(count(&daemon, "time > 2024-05-06 07:03"), all - 4);
    assert_eq!(count(&daemon, "time:[2024-05-06 07:03 TO 2024-05-06 07:05]"), 3);
    assert_eq!(count(&daemon, "@2024-05-06 07:03..2024-05-06 07:05"), 3);
    assert_eq!(count(&daemon, "time:2024-05-06 07:03"), 1);
    assert_eq!(count(&daemon, "time BETWEEN '2024-05-06 07:03' AND '2024-05-06 07:05:08'"), 2);
    assert_eq!(count(&daemon, "time < 2 days ago"), all);
    assert_eq!(count(&daemon, "time < yesterday"), all);
    for query in
        ["time > last 24h", "@-24h..", "time:yesterday", "time:last 7 days", "time > ago(1h)"]
    {
        let answer = ask(&daemon, query).unwrap();
        assert_eq!(answer.total.value, 0, "{query}");
        let [told] = &answer.warnings[..] else { panic!("{query}: {:?}", answer.warnings) };
        let span = "events span 2024-05-06T07:00:09Z to 2024-05-06T07:11:09Z; ";
        assert!(told.starts_with(span), "{query}: {told}");
    }
    for query in ["time:-24h", "time = now", "@24h"] {
        let error = ask(&daemon, query).unwrap_err();
        assert!(error.to_string().contains("is one moment"), "{error}");
    }
    let between = |start: &str, end: &str| {
        let (start, end) = (Some(start.to_owned()), Some(end.to_owned()));
        daemon.client.search(&SearchRequest { start, end, ..SearchRequest::default() })
    };
    assert_eq!(between("2024-05-06 07:03", "2024-05-06 07:05").unwrap().total.value, 2);
    assert_eq!(between("last 24h", "now").unwrap().warnings.len(), 1);
    let error = between("2024-05-07", "2024-05-06").unwrap_err().to_string();
    assert!(error.contains("is behind the end"), "{error}");
    let told = between("2024-05-06", "2024-05-06").unwrap().warnings;
    assert!(told[0].contains("nothing is between them"), "{told:?}");
    daemon.stop();
}

#[test]
fn columns_are_called_as_they_are_written() {
    let (_place, daemon) = daemon();
    let (columns, table) = rows(
        &daemon,
        "stats count(*), dc(ip), distinct(ip), median(bytesTransferredOut), p50(bytesTransferredOut)",
    );
    let expected = [
        "count(*)",
        "dc(ip)",
        "distinct(ip)",
        "median(bytesTransferredOut)",
        "p50(bytesTransferredOut)",
    ];
    assert_eq!(columns, expected);
    assert_eq!(table, [[json!(12), json!(4), json!(4), json!(1_023), json!(1_023)]]);
    // One function is found by any of its spellings.
    for sort in ["count", "count(*)", "COUNT(*)"] {
        let query = format!("stats COUNT(*) by ip, readOnly | sort {sort} desc | limit 1");
        assert_eq!(rows(&daemon, &query).1[0][2], json!(2), "{query}");
    }
    assert_eq!(rows(&daemon, "stats dc(ip) by eventName | filter distinct(ip) > 3").1.len(), 3);
    assert_eq!(rows(&daemon, "stats dc(ip) by eventName | filter distinct(ip) > 4").1.len(), 0);
    assert_eq!(rows(&daemon, "count(*) by eventName").0, ["eventName", "count(*)"]);
    for whole in ["count", "count(*)", "timeline", "COUNT"] {
        assert!(ask(&daemon, whole).unwrap().table.is_some(), "{whole}");
    }
    assert_eq!(count(&daemon, "\"count\""), 0);
    for whole in ["top", "values", "limit"] {
        assert!(ask(&daemon, whole).is_err(), "{whole}");
    }
    daemon.stop();
}

#[test]
fn values_of_a_group_are_lists_and_networks_are_keys() {
    let (_place, daemon) = daemon();
    let events = || (0..BYTES.len()).filter(|n| name(*n) == "PutObject");
    let once: BTreeSet<&str> = events().map(address).collect();
    let each: Vec<&str> = events().map(address).collect();
    let query =
        "eventName:PutObject | stats values(ip), list(ip) as each, values(bytesTransferredOut)";
    let (columns, table) = rows(&daemon, query);
    assert_eq!(columns, ["values(ip)", "each", "values(bytesTransferredOut)"]);
    let bytes: Vec<u64> = events().map(|n| BYTES[n]).collect();
    assert_eq!(table, [[json!(once), json!(each), json!(bytes)]]);
    assert_eq!(rows(&daemon, "eventName:None | stats values(ip)").1, [[Value::Null]]);
    // A condition on a list is met by any of its values.
    let query = "stats values(ip) as ips by eventID | filter ips:3.238.13.1";
    let expected = (0..BYTES.len()).filter(|n| address(*n) == "3.238.13.1").count();
    assert_eq!(rows(&daemon, query).1.len(), expected);

    let (columns, table) = rows(&daemon, "count by net(ip, 24)");
    assert_eq!(columns, ["net(ip, 24)", "count"]);
    let expected = [("3.238.12.0/24", 6), ("3.238.13.0/24", 3), ("s3.amazonaws.com", 3)];
    assert_eq!(table, expected.map(|(net, count)| vec![json!(net), json!(count)]));
    let table =
        rows(&daemon, "ip:3.0.0.0/8 | stats count, dc(ip) by net(sourceIPAddress, 8) as n").1;
    assert_eq!(table, [[json!("3.0.0.0/8"), json!(9), json!(3)]]);
    let least = rows(&daemon, "rare 2 ip").1;
    assert_eq!(least, [[json!("3.238.12.7"), json!(3)], [json!("3.238.12.99"), json!(3)]]);
    let (columns, table) = rows(&daemon, "* | timechart span=1h count, sum(bytesTransferredOut)");
    assert_eq!(columns, ["time", "count", "sum(bytesTransferredOut)"]);
    let sum: u64 = BYTES.iter().sum();
    assert_eq!(table, [[json!("2024-05-06T07:00:00Z"), json!(12), json!(sum)]]);
    daemon.stop();
}

#[test]
fn spellings_of_other_tools_find_what_they_mean() {
    let (_place, daemon) = daemon();
    let all = BYTES.len();
    let puts = (0..all).filter(|n| name(*n) == "PutObject").count();
    for (query, expected) in [
        ("eventName = 'PutObject'", puts),
        ("`eventName` = 'PutObject'", puts),
        ("'eventName'=\"PutObject\"", puts),
        ("eventName : PutObject", puts),
        ("eventName LIKE 'Put%'", puts),
        ("eventName LIKE '%Obj%'", all - 4),
        ("eventName LIKE 'Put_bject'", puts),
        ("requestParameters.name LIKE 'role\\_1'", 3),
        ("eventName =~ /^Put/", puts),
        ("eventName !~ /^Put/", all - puts),
        ("eventName <> 'PutObject'", all - puts),
        ("errorMessage IS NULL", all - 3),
        ("errorMessage is not null", 3),
        ("ispresent(errorMessage)", 3),
        ("filter not ispresent(errorMessage)", all - 3),
        ("isnull(errorMessage)", all - 3),
        ("like(eventName, 'Put%')", puts),
        ("regexp_like(eventName, '^Put')", puts),
        ("cidrmatch('3.238.12.0/24', ip)", 6),
        ("in(eventName, 'PutObject', 'GetObject')", all - 4),
        ("eventName:(*Object -PutObject)", all - 4 - puts),
        ("readOnly:False", puts),
        ("readOnly:FALSE", puts),
        ("readOnly:(True OR x)", all - puts),
        ("readOnly IN (TRUE, FALSE)", all),
        ("search eventName=PutObject", puts),
        ("earliest=2024-05-06T07:03 latest=2024-05-06T07:05", 2),
        ("where eventName = 'PutObject' and errorMessage is null", puts - 1),
    ] {
        assert_eq!(count(&daemon, query), expected, "{query}");
    }
    let refused = ["userAgent >= [aws-cli/2.2.16]", "SELECT eventName FROM t", "eventName:A,B"];
    for query in refused {
        assert!(ask(&daemon, query).unwrap_err().suggestion.is_some(), "{query}");
    }
    daemon.stop();
}

/// What people type who come from other tools, asked of the `invictus` trail: the query, what it finds, and
/// a part of what the answer's only warning says, between tabs. What is found is a number of events, the
/// rows of a table, or behind `!` a part of the error. The numbers are those that Python counts in the JSON.
const TYPED: &str = include_str!("habits.tsv");

/// What is wrong with an answer; None where nothing is.
fn fault(daemon: &Daemon, query: &str, expected: &str, told: &str) -> Option<String> {
    let answer = match (ask(daemon, query), expected.strip_prefix("! ")) {
        (Err(error), Some(part)) if error.to_string().contains(part) => return None,
        (Err(error), _) => return Some(error.to_string()),
        (Ok(answer), Some(_)) => return Some(format!("{} events", answer.total.value)),
        (Ok(answer), None) => answer,
    };
    let found = match (&answer.table, expected.starts_with("rows ")) {
        (Some(table), true) => format!("rows {}", json!(table.rows)),
        _ => answer.total.value.to_string(),
    };
    let is_told = match &answer.warnings[..] {
        [] => told.is_empty(),
        warnings => !told.is_empty() && warnings.iter().any(|warning| warning.contains(told)),
    };
    (found != expected || !is_told).then(|| format!("{found} {:?}", answer.warnings))
}

#[test]
fn what_is_typed_as_elsewhere_is_right_and_told_or_is_refused() {
    let daemon = shared_daemon();
    let mut wrong = String::new();
    let queries: Vec<&str> = TYPED.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(queries.len() > 150, "{}", queries.len());
    for line in queries {
        let mut parts = line.split('\t');
        let [query, expected, told] = [(); 3].map(|()| parts.next().unwrap_or_default());
        if let Some(fault) = fault(&daemon, query, expected, told) {
            wrong.push_str(&format!("{line}\n    {fault}\n"));
        }
    }
    assert!(wrong.is_empty(), "these are answered otherwise:\n{wrong}");
}
