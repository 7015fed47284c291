//! What is older, or more, than is kept: it goes, what stays is found as before, and the archive gives
//! back what a longer retention wants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wire::{Order, RebuildRequest, RebuildState, SearchRequest};

use store::store::Store;
use trail::time::Micros;
use xxhash_rust::xxh3::xxh3_64;

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, record, records_below};

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

/// Starts a daemon that believes the clock at once.
fn start_trusting(place: &Place) -> Daemon {
    let mut command = place.serve_command();
    command.env("FAILPOINTS", "clock-is-trusted=return");
    place.spawn(command)
}

fn warning(daemon: &Daemon, part: &str) -> Option<String> {
    daemon.status().warnings.into_iter().find(|warning| warning.contains(part))
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
    let daemon = start_trusting(&place);
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
    assert!(warning(&daemon, "1 records were older than retention keeps when they came").is_some());
    daemon.stop();

    // What is gone does not come back by itself, but from the archive.
    let place = place.with("RETENTION_AGE_DAYS_MAX", "20");
    let daemon = start_trusting(&place);
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

/// A record of a thousand bytes that nothing makes smaller.
fn bulky(id: &str, time: &str) -> String {
    let mut record: Value = serde_json::from_str(&record(id)).unwrap();
    record["eventTime"] = time.into();
    let noise: Vec<String> =
        (0..40).map(|n| format!("{:x}", xxh3_64(format!("{id} {n}").as_bytes()))).collect();
    record["requestParameters"] = serde_json::json!({ "noise": noise.concat() });
    record.to_string()
}

fn bulk(name: &str, events: u64, time: &str) -> String {
    let records: Vec<String> = (0..events).map(|n| bulky(&format!("{name}-{n}"), time)).collect();
    records.join("\n")
}

/// Whoever can write a file could make the index forget everything else, and take in nothing more.
#[test]
fn events_of_the_future_make_nobody_blind() {
    let place = Place::new().with("RETENTION_BYTES_MAX", "4 MiB").with("WATCH_RESCAN_S", "1");
    let put = |name: &str, text: String| fs::write(place.archive().join(name), text).unwrap();
    let hour_ago = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
    put("old.json", bulk("old", 1_000, &days_ago(9)));
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 1_000);
    put("odd.json", bulky("odd", "2262-01-01T00:00:00Z"));
    daemon.wait_count("eventID:odd", 1);
    assert_eq!(daemon.find("eventID:odd").hits[0].meta.flags, ["future"]);
    put("evil.json", bulk("evil", 6_000, "2262-01-01T00:00:00Z"));
    daemon.wait_for(PATIENCE_BULK, "some go", |status| status.events.expired > 0);
    assert_eq!(daemon.count("eventID:old-*"), 1_000, "not what is real");
    assert!(warning(&daemon, "later than the reading of their file were dropped").is_some());
    put("today.json", bulky("today", &hour_ago));
    daemon.wait_count("eventID:today", 1);
    assert!(daemon.find("eventID:today").hits[0].meta.flags.is_empty());
    assert!(daemon.verified().problems.is_empty());
    daemon.stop();
    let daemon = place.start();
    put("today-2.json", bulky("today-2", &hour_ago));
    daemon.wait_count("eventID:today-2", 1);
    assert_eq!(daemon.count("eventID:today"), 1);
    // Nor do events of the present that take more than fits, however many.
    let minute_ago = (Timestamp::now() - SignedDuration::from_mins(1)).to_string();
    put("flood.json", bulk("flood", 12_000, &minute_ago));
    daemon.wait_for(PATIENCE_BULK, "a warning", |status| {
        status
            .warnings
            .iter()
            .any(|warning| warning.contains("the events of the last day are kept"))
    });
    put("late.json", bulky("late", &hour_ago));
    daemon.wait_count("eventID:late", 1);
    for id in ["today", "today-2", "flood-7"] {
        assert_eq!(daemon.count(&format!("eventID:{id}")), 1, "{id}");
    }
    assert_eq!(daemon.count("eventID:old-*"), 0, "they had to go");
    assert!(daemon.verified().problems.is_empty());
    daemon.stop();
}

#[test]
fn a_clock_that_was_wrong_costs_nothing_once_it_is_right() {
    let place = Place::new();
    fs::write(place.archive().join("before.json"), bulk("before", 10, &days_ago(3))).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 10);
    daemon.stop();
    // As a daemon with a clock that is years ahead leaves it.
    let mut store = Store::open(&place.data_dir(), 1 << 20).unwrap();
    store.expire(Micros::parse_event_time("2040-01-01T00:00:00Z").unwrap()).unwrap();
    drop(store);
    let place = place.with("RETENTION_AGE_DAYS_MAX", "10");
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "the clock is right", |_| {
        daemon.log().contains("retention had gone beyond the present")
    });
    fs::write(place.archive().join("after.json"), bulk("after", 10, &days_ago(1))).unwrap();
    daemon.wait_count("eventID:after*", 10);
    assert_eq!(daemon.count("eventID:before*"), 10);
    assert!(warning(&daemon, "a wrong clock had events from before 2040").is_some());
    assert!(daemon.verified().problems.is_empty());
    daemon.stop();
}

#[test]
fn a_large_drop_by_age_waits_until_the_clock_is_known_to_run() {
    let place = Place::new();
    fs::write(place.archive().join("old.json"), bulk("old", 90, &days_ago(30))).unwrap();
    fs::write(place.archive().join("new.json"), bulk("new", 10, &days_ago(1))).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 100);
    daemon.stop();
    let place = place.with("RETENTION_AGE_DAYS_MAX", "10");
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "a warning", |status| {
        status.warnings.iter().any(|warning| warning.starts_with("90 of 100 events are older"))
    });
    assert_eq!(daemon.count("*"), 100);
    daemon.stop();
    let daemon = start_trusting(&place);
    daemon.wait_for(PATIENCE, "they are dropped", |status| status.events.expired == 90);
    assert_eq!(warning(&daemon, "older than"), None);
    daemon.stop();
}
