//! What is told, and what finds it: the rules of docs/aws.md on the sample trails.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use bench::generate::{GenerateOptions, generate};
use serde_json::{Value, json};

use super::{all, by, page, records, refused, socket_records, without_keys};
use crate::common::{PATIENCE_BULK, Place, sample};

const KEYS: [&str; 8] = [
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
];

/// Values of an attribute that are looked up, of all that there are.
const VALUES_MAX: usize = 60;

/// The sample trails, which hold every kind of identity.
fn samples() -> Place {
    let samples = ["invictus", "otrf", "panther", "stratus", "traildiscover"];
    Place::watching(&samples.map(sample))
}

fn told<'e>(event: &'e Value, key: &str) -> Vec<&'e str> {
    let of_resources = |name: &str| {
        let resources = event["Resources"].as_array().unwrap().iter();
        resources.filter_map(|resource| resource[name].as_str()).collect::<Vec<_>>()
    };
    if key.starts_with("Resource") {
        return of_resources(key);
    }
    event[key].as_str().into_iter().collect()
}

/// Some of the values, from everywhere among them.
fn some(values: BTreeSet<&str>) -> Vec<&str> {
    let step = values.len().div_ceil(VALUES_MAX);
    values.into_iter().step_by(step.max(1)).collect()
}

#[test]
fn what_is_told_of_an_event_finds_it_and_no_other() {
    let daemon = without_keys(samples()).start();
    daemon.wait_for(PATIENCE_BULK, "all is read", |status| {
        status.files.pending == 0 && status.events.indexed > 3_000
    });
    let address = super::address(&daemon);
    let events = all(&address, &json!({}));
    assert_eq!(records(&events), socket_records(&daemon, "NOT eventCategory:Insight"));
    let mut looked_up = BTreeMap::new();
    for key in KEYS {
        let values: BTreeSet<&str> = events.iter().flat_map(|event| told(event, key)).collect();
        assert!(values.len() > 1, "the trails have several values of {key}");
        // AWS takes none that is longer.
        let values = values.into_iter().filter(|value| value.len() < 1_000).collect();
        for value in some(values) {
            let expected: Vec<Value> =
                events.iter().filter(|event| told(event, key).contains(&value)).cloned().collect();
            let found = all(&address, &by(key, value));
            assert_eq!(records(&found), records(&expected), "{key} {value}");
            *looked_up.entry(key).or_insert(0) += 1;
        }
    }
    println!("{looked_up:?}");
    for value in ["no such value", "ROOT", "*", "\"", "a\nb"] {
        for key in KEYS {
            assert_eq!(all(&address, &by(key, value)), [] as [Value; 0], "{key} {value}");
        }
    }
    daemon.stop();
}

#[test]
fn attributes_together_narrow_and_pages_are_newest_first() {
    let daemon = without_keys(samples()).start();
    daemon.wait_for(PATIENCE_BULK, "all is read", |status| {
        status.files.pending == 0 && status.events.indexed > 3_000
    });
    let address = super::address(&daemon);
    let mut both = by("EventSource", "iam.amazonaws.com");
    both["LookupAttributes"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "AttributeKey": "ReadOnly", "AttributeValue": "false" }));
    let found = all(&address, &both);
    let expected = socket_records(&daemon, "eventSource:iam.amazonaws.com AND readOnly:false");
    assert!(!expected.is_empty());
    assert_eq!(records(&found), expected);

    let events = all(&address, &json!({}));
    let times: Vec<f64> = events.iter().map(|event| event["EventTime"].as_f64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b));
    // Both ends are in.
    let (newest, oldest) = (times[100], times[400]);
    let expected = times.iter().filter(|time| (oldest..=newest).contains(time)).count();
    let between =
        |start: f64, end: f64| all(&address, &json!({ "StartTime": start, "EndTime": end })).len();
    assert_eq!(between(oldest, newest), expected);
    let at_newest = times.iter().filter(|time| time.total_cmp(&newest).is_eq()).count();
    assert_eq!(between(oldest, newest - 0.001), expected - at_newest);
    assert_eq!(between(newest, newest), at_newest);

    // A token goes on with other page sizes, and with no other parameter.
    let (first, token) = page(&address, &json!({ "MaxResults": 7 }));
    let (second, _) = page(&address, &json!({ "MaxResults": 3, "NextToken": token }));
    assert_eq!([first, second].concat(), events[..10]);
    for other in [
        json!({ "NextToken": token, "StartTime": 0 }),
        json!({ "NextToken": token, "EventCategory": "insight" }),
        json!({ "NextToken": "made up" }),
        json!({ "NextToken": "" }),
    ] {
        assert_eq!(refused(&address, &other).0, "InvalidNextTokenException", "{other}");
    }
    let mut other = by("EventName", "GetUser");
    other["NextToken"] = json!(token);
    assert_eq!(refused(&address, &other).0, "InvalidNextTokenException");
    daemon.stop();
}

#[test]
fn data_and_insights_events_are_told_where_they_are_wanted() {
    let place = Place::new();
    let event = |id: &str, name: &str, more: &str| {
        format!(
            r#"{{"eventVersion":"1.09","eventTime":"2024-05-06T07:08:09Z","eventSource":"s3.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","eventID":"{id}"{more}}}"#
        )
    };
    let lines = [
        event("old", "A", ""),
        event("old-data", "B", r#","managementEvent":false"#),
        event("management", "C", r#","eventCategory":"Management""#),
        event("data", "D", r#","eventCategory":"Data""#),
        event("network", "E", r#","eventCategory":"NetworkActivity""#),
        r#"{"eventVersion":"1.09","eventTime":"2024-05-06T07:08:09Z","awsRegion":"us-east-1","eventID":"insight","eventCategory":"Insight","insightDetails":{"eventSource":"ssm.amazonaws.com","eventName":"UpdateInstanceInformation"}}"#.to_owned(),
    ];
    std::fs::write(place.archive().join("a.jsonl"), lines.join("\n")).unwrap();
    let ids = |events: Vec<Value>| {
        let id = |event: &Value| event["EventId"].as_str().unwrap().to_owned();
        let mut ids: Vec<String> = events.iter().map(id).collect();
        ids.sort_unstable();
        ids
    };
    let place = without_keys(place);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 6);
    let address = super::address(&daemon);
    let found = ids(all(&address, &json!({})));
    assert_eq!(found, ["data", "management", "network", "old", "old-data"]);
    let mut insights = by("EventName", "UpdateInstanceInformation");
    insights["EventCategory"] = json!("insight");
    let found = all(&address, &insights);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["EventSource"], "ssm.amazonaws.com");
    insights["LookupAttributes"][0]["AttributeKey"] = json!("Username");
    assert_eq!(refused(&address, &insights).0, "InvalidLookupAttributesException");
    daemon.stop();

    let daemon = place.with("AWS_DATA_EVENTS", "false").start();
    let found = ids(all(&super::address(&daemon), &json!({})));
    assert_eq!(found, ["management", "old"]);
    daemon.stop();
}

#[test]
fn pages_lose_and_repeat_nothing_while_events_arrive() {
    let events = std::env::var("TRAILDEX_AWS_EVENTS");
    let events = events.map_or(5_000, |text| text.parse().expect("a number of events"));
    // How soon files are found is not what is tested.
    let place = without_keys(Place::new().with("WATCH_RESCAN_S", "1"));
    let older = GenerateOptions { events, ..GenerateOptions::default() };
    generate(&older, &place.archive().join("older")).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, events);
    let address = super::address(&daemon);
    // Of the same days, so that they come before and behind where a page ends.
    let later = GenerateOptions { events, seed: 2, ..GenerateOptions::default() };
    let paged = thread::scope(|scope| {
        scope.spawn(|| generate(&later, &place.archive().join("later")).unwrap());
        daemon.wait_for(PATIENCE_BULK, "the first of them are indexed", |status| {
            status.events.indexed > events
        });
        all(&address, &json!({}))
    });
    let ids: Vec<&str> = paged.iter().map(|event| event["EventId"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "an event was repeated");
    println!("{} events paged through, {} of them new", ids.len(), ids.len() - events as usize);
    // Those that were there before, and no other, are in the first archive.
    let first = bench::generate::records(&older).unwrap();
    for record in first {
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert!(distinct.contains(record["eventID"].as_str().unwrap()), "an event was lost");
    }
    daemon.wait_indexed(PATIENCE_BULK, 2 * events);
    daemon.stop();
}
