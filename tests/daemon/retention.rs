//! What is older, or more, than is kept: it goes, what stays is found as before, and the archive gives
//! back what a longer retention wants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wire::{Order, RebuildRequest, RebuildState, SearchRequest};

use crate::common::{Daemon, PATIENCE_BULK, Place, record, records_below};

const DAYS: u32 = 40;

/// Of a few hundred files.
const LEDGER_BYTES_MAX: u64 = 200_000;

fn days_ago(days: i64) -> String {
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days);
    then.strftime("%Y-%m-%dT00:00:00Z").to_string()
}

/// Events of the last forty days.
fn archive(place: &Place, events: u64) -> BTreeMap<String, Value> {
    let start = days_ago(i64::from(DAYS)).parse().unwrap();
    let options = GenerateOptions { events, start, days: DAYS, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    let records = records_below(&place.archive()).into_iter().map(|record| record.json);
    records.map(|json| (json["eventID"].as_str().unwrap().to_owned(), json)).collect()
}

fn time(event: &Value) -> &str {
    event["eventTime"].as_str().unwrap()
}

/// The index has exactly these events.
#[track_caller]
fn check(daemon: &Daemon, kept: &[&Value]) {
    daemon.wait_for(PATIENCE_BULK, "what is kept", |status| {
        status.events.indexed == kept.len() as u64 && status.files.pending == 0
    });
    assert_eq!(daemon.count("*"), kept.len() as u64);
    for field in ["eventName", "userAgent", "recipientAccountId", "requestParameters.bucketName"] {
        let mut expected = BTreeMap::new();
        let pointer = format!("/{}", field.replace('.', "/"));
        for value in kept.iter().filter_map(|event| event.pointer(&pointer)?.as_str()) {
            *expected.entry(value.to_owned()).or_insert(0_u64) += 1;
        }
        let query = format!("{field}:* | count by {field}");
        let request = SearchRequest {
            query: query.as_str().into(),
            limit: Some(10_000),
            ..Default::default()
        };
        let rows = daemon.search(&request).table.unwrap().rows;
        let found: BTreeMap<String, u64> = rows
            .iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap()))
            .collect();
        assert_eq!(found, expected, "{field}");
        let distinct = daemon.find(&format!("stats distinct({field})")).table.unwrap().rows;
        assert_eq!(distinct[0][0], expected.len(), "{field}");
    }
    let oldest = daemon.search(&SearchRequest {
        order: Order::Oldest,
        limit: Some(500),
        ..SearchRequest::default()
    });
    let mut times: Vec<&str> = kept.iter().map(|event| time(event)).collect();
    times.sort_unstable();
    let found: Vec<&str> = oldest.hits.iter().map(|hit| hit.meta.time.as_str()).collect();
    assert_eq!(found, times[..500.min(times.len())]);
    // Each with its own record.
    let known: BTreeSet<&str> =
        kept.iter().map(|event| event["eventID"].as_str().unwrap()).collect();
    for hit in &oldest.hits {
        let event: Value = serde_json::from_str(hit.event.get()).unwrap();
        assert!(known.contains(event["eventID"].as_str().unwrap()));
        assert_eq!(event["eventTime"], hit.meta.time);
        assert_eq!(daemon.count(&format!("eventID:{}", hit.meta.id)), 1);
    }
    let report = daemon.verified();
    assert!(report.problems.is_empty(), "{report:?}");
}

fn since(events: &BTreeMap<String, Value>, days: i64) -> Vec<&Value> {
    let from = days_ago(days);
    events.values().filter(|event| time(event) >= from.as_str()).collect()
}

#[test]
fn what_is_older_than_is_kept_goes_and_a_rebuild_brings_it_back() {
    let place = Place::new().with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    let mut events = archive(&place, 12_000);
    let daemon = place.start();
    check(&daemon, &events.values().collect::<Vec<_>>());
    daemon.stop();

    let place = place.with("RETENTION_AGE_DAYS_MAX", "10");
    let daemon = place.start();
    check(&daemon, &since(&events, 10));
    let status = daemon.status();
    assert_eq!(status.events.expired + status.events.indexed, events.len() as u64);

    // A file that comes late, with one event that is too old and one that is not.
    let late: Vec<Value> = [("old", 11), ("new", 1)]
        .iter()
        .map(|(id, days)| {
            let mut late: Value = serde_json::from_str(&record(id)).unwrap();
            late["eventTime"] = days_ago(*days).into();
            late
        })
        .collect();
    let path = place.archive().join("late.json");
    fs::write(&path, serde_json::json!({ "Records": late }).to_string()).unwrap();
    events
        .extend(late.into_iter().map(|late| (late["eventID"].as_str().unwrap().to_owned(), late)));
    daemon.wait_count("eventID:new", 1);
    check(&daemon, &since(&events, 10));
    let reading = daemon.file("late.json").reading;
    assert_eq!((reading.records, reading.expired), (2, 1));
    daemon.stop();

    // What is gone does not come back by itself, but from the archive.
    let place = place.with("RETENTION_AGE_DAYS_MAX", "20");
    let daemon = place.start();
    check(&daemon, &since(&events, 10));
    let begun = daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    assert_eq!(begun.state, RebuildState::Running);
    daemon.wait_for(PATIENCE_BULK, "the rebuild", |status| {
        status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Done)
    });
    check(&daemon, &since(&events, 20));
    daemon.stop();
}

#[test]
fn an_index_that_is_too_large_loses_its_oldest_events() {
    let place = Place::new().with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    let events = archive(&place, 12_000);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, events.len() as u64);
    let bytes = daemon.status().index.bytes;
    daemon.stop();

    let max = bytes / 2;
    let place = place.with("RETENTION_BYTES_MAX", &max.to_string());
    let daemon = place.start();
    // Half of the events are more than half of the bytes: it takes several times.
    let mut before = u64::MAX;
    daemon.wait_for(PATIENCE_BULK, "a smaller index", |status| {
        let is_calm = status.events.indexed == before;
        before = status.events.indexed;
        std::thread::sleep(Duration::from_millis(500));
        is_calm && status.index.bytes < max + LEDGER_BYTES_MAX
    });
    let first = daemon.status().events.first.unwrap().to_string();
    let kept: Vec<&Value> = events.values().filter(|event| time(event) >= first.as_str()).collect();
    assert!((3_000..7_000).contains(&kept.len()), "{} from {first}", kept.len());
    check(&daemon, &kept);
    daemon.stop();
}
