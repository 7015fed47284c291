//! Timelines with the spans in which nothing happened.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::{SearchRequest, SearchResponse};

use crate::common::{records_below, sample, shared_daemon};

fn asked(query: &str, span: (Option<&str>, Option<&str>)) -> SearchResponse {
    let (start, end) = (span.0.map(str::to_owned), span.1.map(str::to_owned));
    let query = query.into();
    shared_daemon().search(&SearchRequest {
        query,
        start,
        end,
        empty: true,
        ..SearchRequest::default()
    })
}

fn rows(answer: &SearchResponse) -> Vec<Vec<Value>> {
    answer.table.as_ref().unwrap().rows.clone()
}

/// Events of a name in each minute, as records have them.
fn by_minute(name: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records_below(&sample("invictus")) {
        if record.json["eventName"] == name {
            let time = record.json["eventTime"].as_str().unwrap();
            *counts.entry(format!("{}:00Z", &time[..16])).or_insert(0) += 1;
        }
    }
    counts
}

/// The minutes of an hour from one to another, both among them.
fn minutes(from: &str, to: &str) -> Vec<String> {
    let hours = (11..13).flat_map(|hour| (0..60).map(move |minute| (hour, minute)));
    let times = hours.map(|(hour, minute)| format!("2023-07-10T{hour}:{minute:02}:00Z"));
    times.filter(|time| time.as_str() >= from && time.as_str() <= to).collect()
}

#[test]
fn a_timeline_has_a_row_for_each_span_from_the_first_event_to_the_last() {
    let counts = by_minute("AssumeRole");
    let (first, last) = (counts.keys().next().unwrap(), counts.keys().next_back().unwrap());
    let all = minutes(first, last);
    assert!(all.len() > counts.len(), "there are gaps");
    let count = |time: &String| json!(counts.get(time).copied().unwrap_or(0));
    let expected: Vec<Vec<Value>> = all.iter().map(|time| vec![json!(time), count(time)]).collect();
    let answer = asked("eventName:AssumeRole | timeline 1m", (None, None));
    assert_eq!(rows(&answer), expected);
    assert_eq!(answer.table.unwrap().rows_total, expected.len() as u64);
    assert_eq!(answer.warnings, Vec::<String>::new());
    // Only where they are asked for.
    let found = shared_daemon().find("eventName:AssumeRole | timeline 1m");
    assert_eq!(rows(&found).len(), counts.len());
    // What is made of no event is nothing; stages behind see these rows.
    let query =
        "eventName:AssumeRole | stats count, distinct(ip), max(ip) by bin(1m) | filter count=0";
    for row in rows(&asked(query, (None, None))) {
        assert_eq!(row[1..], [json!(0), json!(0), Value::Null]);
    }
    let with_keys = "eventName:AssumeRole | stats count by bin(1m), region";
    assert_eq!(rows(&asked(with_keys, (None, None))).len(), counts.len());
}

#[test]
fn the_requests_time_is_shown_as_far_as_the_index_spans_it_and_cuts_are_told() {
    let counts = by_minute("AssumeRole");
    let span = (Some("2023-07-10T12:00:30Z"), Some("2023-07-10T12:10:00Z"));
    let answer = asked("eventName:AssumeRole | timeline 1m", span);
    let times: Vec<String> =
        rows(&answer).iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(times, minutes("2023-07-10T12:00:00Z", "2023-07-10T12:09:00Z"));
    assert_eq!(answer.warnings, ["the first span is cut: it counts from 2023-07-10T12:00:30Z on"]);
    let found: u64 = rows(&answer).iter().filter_map(|row| row[1].as_u64()).sum();
    assert!(found <= counts.values().sum());

    let span = (Some("2023-07-09"), Some("2023-07-11"));
    let answer = asked("eventName:AssumeRole | timeline 1m", span);
    let edges = [
        "no spans are shown before 2023-07-10T11:42:18Z, the index's first event",
        "no spans are shown behind 2023-07-10T12:37:50Z, the index's last event",
    ];
    assert_eq!(answer.warnings, edges);
    let first_and_last = (rows(&answer)[0][0].clone(), rows(&answer).last().unwrap()[0].clone());
    assert_eq!(first_and_last, (json!("2023-07-10T11:42:00Z"), json!("2023-07-10T12:37:00Z")));
}

#[test]
fn more_spans_than_rows_are_left_out_and_that_is_told() {
    let answer = asked("eventName:AssumeRole | timeline 1s", (None, None));
    let table = answer.table.unwrap();
    assert!(table.rows.iter().all(|row| row[1] != json!(0)));
    let count: u64 = table.rows.iter().filter_map(|row| row[1].as_u64()).sum();
    assert_eq!(count, 49);
    assert_eq!(answer.warnings.len(), 1);
    let told = &answer.warnings[0];
    assert!(told.starts_with("spans without an event are left out"), "{told}");
}
