//! What is one value and what is another, and what comes first: the same in events, rows and tables.

use std::fs;

use client::ClientError;
use serde_json::{Value, json};
use wire::{ErrorKind, SearchRequest, SearchResponse};

use crate::common::{Daemon, PATIENCE, Place};

/// Events e0, e1 … with these values at `requestParameters.v`, a second apart.
fn daemon(place: &Place, values: &[Value]) -> Daemon {
    let record = |(n, value): (usize, &Value)| {
        json!({ "eventTime": format!("2026-06-01T00:00:{n:02}Z"), "eventID": format!("e{n}"),
            "eventName": "X", "requestParameters": { "v": value } })
    };
    let records: Vec<Value> = values.iter().enumerate().map(record).collect();
    fs::write(place.archive().join("x.json"), json!({ "Records": records }).to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, values.len() as u64);
    daemon
}

fn ask(daemon: &Daemon, query: &str) -> Result<SearchResponse, ClientError> {
    let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
    daemon.client.search(&request)
}

#[track_caller]
fn check(daemon: &Daemon, test: &str, expected: &str) {
    let query = format!("requestParameters.v{test} | sort time");
    let answer = ask(daemon, &query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let ids: Vec<&str> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
    assert_eq!(ids.join(" "), expected, "{query}");
    // Rows ask the same.
    let rows = format!(
        "* | stats count by eventID, requestParameters.v as v | filter v{test} | sort eventID"
    );
    let table = ask(daemon, &rows).unwrap_or_else(|error| panic!("{rows}: {error}")).table.unwrap();
    let mut ids: Vec<&str> = table.rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.join(" "), expected, "{rows}");
}

#[test]
fn numbers_are_the_same_to_the_last_digit() {
    let place = Place::new();
    let text = "[18446744073709551615, 18446744073709551616, 0, -0.0, 0.5, 9007199254740993]";
    let values: Vec<Value> = serde_json::from_str(text).unwrap();
    let daemon = daemon(&place, &values);
    check(&daemon, ":18446744073709551615", "e0");
    check(&daemon, ":18446744073709551616", "e1");
    check(&daemon, " > 18446744073709551615", "e1");
    check(&daemon, " >= 18446744073709551616", "e1");
    check(&daemon, ":[9007199254740993 TO 18446744073709551615]", "e0 e5");
    check(&daemon, " > 9007199254740992", "e0 e1 e5");
    for zero in ["0", "-0.0", "0.0", "-0"] {
        check(&daemon, &format!(":{zero}"), "e2 e3");
    }
    check(&daemon, " < 0", "");
    check(&daemon, ":/0/", "e2 e3");
    daemon.stop();
}

#[test]
fn case_is_folded_letter_by_letter() {
    let place = Place::new();
    let values = ["ΟΔΟΣ", "οδος", "İZMİR", "izmir", "Straße", "STRASSE"].map(Value::from);
    let daemon = daemon(&place, &values);
    let find = |query: &str| {
        let answer = ask(&daemon, &format!("{query} | sort time")).unwrap();
        let ids: Vec<String> = answer.hits.into_iter().map(|hit| hit.meta.id).collect();
        ids.join(" ")
    };
    for text in ["ΟΔΟΣ", "οδος", "οδοσ"] {
        check(&daemon, &format!(":~{text}"), "e0 e1");
        assert_eq!(find(text), "e0 e1", "{text}");
        assert_eq!(find(&format!("\"{text}\"")), "e0 e1", "{text}");
    }
    for text in ["İZMİR", "i\u{307}zmi\u{307}r"] {
        check(&daemon, &format!(":~{text}"), "e2");
        assert_eq!(find(text), "e2", "{text}");
    }
    check(&daemon, ":~IZMIR", "e3");
    assert_eq!(find("IZMIR"), "e3");
    check(&daemon, ":~STRAẞE", "e4");
    check(&daemon, ":οδος", "e1");
    daemon.stop();
}

#[test]
fn times_keep_their_digits_or_are_refused() {
    let place = Place::new();
    let values = [
        "2026-06-01T10:00:00.000000500Z",
        "2026-06-01T10:00:00Z",
        "Jun 1, 2026, 10:00:01 AM",
        "Jun 1, 2026, 10:00:01\u{202f}PM",
    ]
    .map(Value::from);
    let daemon = daemon(&place, &values);
    check(&daemon, " >= 2026-06-01T10:00:01", "e2 e3");
    check(&daemon, " < 2026-06-01T12:00", "e0 e1 e2");
    for query in [
        "time > 2026-06-01T10:00:00.0000005Z",
        "requestParameters.v <= 2026-06-01T10:00:00.0000005Z",
        "time:[2026-06-01 TO 2026-06-01T10:00:00.123456789Z]",
    ] {
        let Err(ClientError::Api(error)) = ask(&daemon, query) else { panic!("{query} is cut") };
        assert_eq!(error.kind, ErrorKind::BadQuery, "{query}");
        assert!(error.message.contains("finer than a microsecond"), "{}", error.message);
    }
    assert!(ask(&daemon, "time > 2026-06-01T10:00:00.123456000Z").is_ok());
    daemon.stop();
}

#[test]
fn nothing_comes_last_and_an_empty_text_is_a_value() {
    let place = Place::new();
    let values = [
        json!(null),
        json!(""),
        json!("a"),
        json!([]),
        json!({}),
        json!(5),
        json!("5"),
        json!(5.0),
        json!(true),
        json!("true"),
        json!(["a", "b"]),
    ];
    let daemon = daemon(&place, &values);
    let rows = |query: &str| ask(&daemon, query).unwrap().table.unwrap().rows;
    let ids = |query: &str| {
        let answer = ask(&daemon, &format!("{query} | sort time")).unwrap();
        let ids: Vec<String> = answer.hits.into_iter().map(|hit| hit.meta.id).collect();
        ids.join(" ")
    };
    // Null, and what is empty but for a text, are as if they were not there.
    assert_eq!(ids("requestParameters.v:*"), "e1 e2 e5 e6 e7 e8 e9 e10");
    assert_eq!(ids("requestParameters.v:\"\""), "e1");
    assert_eq!(ids("requestParameters.v:5"), "e5 e6 e7");
    assert_eq!(ids("requestParameters.v:true"), "e8 e9");
    // Not this value: none of several is it.
    assert_eq!(ids("requestParameters.v != a"), "e0 e1 e3 e4 e5 e6 e7 e8 e9");
    let keys =
        |query: &str| rows(query).into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>();
    let all = [
        json!(true),
        json!(5),
        json!(""),
        json!("5"),
        json!("a"),
        json!("b"),
        json!("true"),
        json!(null),
    ];
    assert_eq!(keys("stats count by requestParameters.v"), all);
    assert_eq!(keys("stats count by requestParameters.v as v | sort v"), all);
    let down = keys("stats count by requestParameters.v as v | sort v desc");
    assert_eq!(down.last(), Some(&json!(null)));
    assert_eq!(down[0], json!("true"));
    let by_value = ask(&daemon, "* | sort requestParameters.v desc, time").unwrap().hits;
    let last: Vec<&str> = by_value.iter().rev().take(3).map(|hit| hit.meta.id.as_str()).collect();
    assert_eq!(last, ["e4", "e3", "e0"]);
    assert_eq!(
        keys("stats count by requestParameters.v as v | filter v:5"),
        [json!(5), json!("5")]
    );
    daemon.stop();
}

#[test]
fn a_regular_expression_reads_over_the_ends_of_lines() {
    let place = Place::new();
    let values = ["one\ntwo", "one two"].map(Value::from);
    let daemon = daemon(&place, &values);
    check(&daemon, ":/one.two/", "e0 e1");
    check(&daemon, " LIKE two", "e0 e1");
    check(&daemon, " LIKE TWO", "");
    daemon.stop();
}
