//! Alerts: whatever order files come in, however often, and whenever the daemon ends, those that stand at
//! the end are what a hunt finds.
//!
//! `TRAILDEX_KILLS=500 cargo test --features failpoints --test daemon alerts::` ends the daemon five
//! hundred times; the seed is printed, and `TRAILDEX_SEED` sets it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use client::Client;
use serde_json::{Value, json};
use wire::{
    Alert, AlertChangeKind, AlertChangesRequest, AlertsRequest, RebuildRequest, RebuildState,
};

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, gzip, run, wait_until};
use crate::crash::{Random, setting};

const KILLS: u64 = 12;

/// Files of the archive, and records of each.
const FILES: u64 = 60;
const RECORDS: u64 = 12;

/// A rule of each kind. What is of several events comes together often, and by chance.
pub(crate) const RULES: &str = "
title: alarm
name: alarm
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: Alarm }, condition: selection }
level: high
---
title: any alarm
name: any-alarm
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: Alarm }, condition: selection }
---
title: some
name: some
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: [One, Two] }, condition: selection }
---
title: one
name: one
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: One }, condition: selection }
---
title: two
name: two
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: Two }, condition: selection }
---
title: three of one user
name: three
correlation:
    type: event_count
    rules: [some]
    group-by: [userIdentity.arn]
    timespan: 2h
    condition: { gte: 3 }
level: medium
---
title: two addresses
correlation:
    type: value_count
    rules: [some]
    group-by: [principal]
    timespan: 3h
    condition: { field: sourceIPAddress, gte: 2 }
---
title: together
correlation:
    type: temporal
    rules: [one, two]
    group-by: [userIdentity.arn]
    timespan: 1h
---
title: in order
correlation:
    type: temporal_ordered
    rules: [one, two]
    group-by: [userIdentity.arn]
    timespan: 90m
---
title: much
correlation:
    type: value_sum
    rules: [some]
    group-by: [userIdentity.arn]
    timespan: 4h
    condition: { field: requestParameters.size, gte: 12 }
---
title: three, then an alarm
correlation:
    type: temporal_ordered
    rules: [three, any-alarm]
    group-by: [userIdentity.arn]
    timespan: 6h
---
title: new region
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventSource: x.amazonaws.com }, condition: selection }
traildex:
    first_seen: { fields: [principal, awsRegion], history: 3d, learning: 2d }
---
title: one without two
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: One }, condition: selection }
traildex:
    absence: { of: two, within: 45m, group-by: [userIdentity.arn] }
";

/// Records of two weeks, by few users in few regions, so that much comes together.
pub(crate) fn records(random: &mut Random, count: u64) -> Vec<Value> {
    let names = ["One", "One", "Two", "Other", "Other", "Alarm"];
    let record = |n: u64| {
        let minute = random.below(14 * 24 * 60 / 5) * 5;
        let (day, hour, minute) = (minute / 1_440, minute / 60 % 24, minute % 60);
        json!({
            "eventVersion": "1.08",
            "eventTime": format!("2026-03-{:02}T{hour:02}:{minute:02}:00Z", day + 1),
            "eventID": format!("00000000-0000-4000-8000-{n:012}"),
            "eventSource": "x.amazonaws.com",
            "eventName": names[random.below(6) as usize],
            "awsRegion": format!("region-{}", random.below(30)),
            "sourceIPAddress": format!("192.0.2.{}", random.below(3)),
            "userIdentity": { "type": "IAMUser", "arn": format!("arn:aws:iam::1:user/{}", random.below(4)) },
            "requestParameters": { "size": random.below(10) },
            "recipientAccountId": "111122223333",
        })
    };
    (0..count).map(record).collect()
}

pub(crate) fn place() -> Place {
    let place = Place::new();
    let rules = place.path("rules");
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("all.yml"), RULES).unwrap();
    place
        .with("RULES_DIRS", rules.to_str().unwrap())
        .with("INGEST_COMMIT_AGE_MS_MAX", "100")
        .with("INGEST_COMMIT_IDLE_MS", "10")
        .with("INGEST_SEGMENT_EVENTS_MAX", "1000")
        .with("WATCH_RESCAN_S", "1")
        .with("WATCH_SETTLE_MS", "50")
}

/// Puts a file into the archive as `aws s3 sync` does.
pub(crate) fn deliver(archive: &Path, name: &str, records: &[Value]) {
    let bytes = gzip(&serde_json::to_vec(&json!({ "Records": records })).unwrap());
    let hidden = archive.join(format!(".{name}"));
    fs::write(&hidden, bytes).unwrap();
    fs::rename(hidden, archive.join(format!("{name}.json.gz"))).unwrap();
}

/// Everything that a list has: where it changes between its parts, it is read again.
pub(crate) fn list(client: &Client, request: &AlertsRequest) -> Vec<Alert> {
    let part = |offset: usize| {
        let part = AlertsRequest { limit: Some(7), offset: Some(offset), ..request.clone() };
        client.alerts(&part).unwrap()
    };
    for _ in 0..100 {
        let first = part(0);
        let (total, mut all) = (first.total, first.alerts);
        let stays = loop {
            let answer = part(all.len());
            if answer.total != total || answer.alerts.is_empty() {
                break answer.total == total;
            }
            all.extend(answer.alerts);
        };
        if stays {
            assert_eq!(all.len() as u64, total);
            return all;
        }
    }
    panic!("the list of alerts changes all the time");
}

pub(crate) fn alerts(daemon: &Daemon) -> Vec<Alert> {
    list(&Client::new(&daemon.socket), &AlertsRequest::default())
}

/// Waits until all rules have looked at everything.
pub(crate) fn wait_current(daemon: &Daemon, events: u64) {
    daemon.wait_indexed(PATIENCE, events);
    let client = Client::new(&daemon.socket);
    wait_until(PATIENCE, "the rules have looked at everything", || {
        let answer = client.alerts(&AlertsRequest::default()).unwrap();
        assert_eq!(answer.rules.problems, Vec::<String>::new());
        assert_eq!(answer.rules.failed, Vec::<String>::new());
        answer.rules.is_current && answer.rules.rules > 0
    });
}

/// What was found, by title and group: of single events, their times and number over all days; of other
/// rules, each finding.
pub(crate) type Findings =
    BTreeMap<(String, BTreeMap<String, String>), BTreeSet<(String, String, u64)>>;

fn add(
    found: &mut Findings,
    is_of_days: bool,
    key: (&str, BTreeMap<String, String>),
    of: (&str, &str, u64),
) {
    let (first, last, events) = (of.0.to_owned(), of.1.to_owned(), of.2);
    let key = (key.0.to_owned(), key.1);
    let known = found.entry(key).or_default();
    match known.pop_first().filter(|_| is_of_days) {
        Some((a, b, count)) => {
            known.insert((a.min(first), b.max(last), count + events));
        }
        None => {
            known.insert((first, last, events));
        }
    }
}

pub(crate) fn of_alerts(alerts: &[Alert]) -> Findings {
    let mut found = Findings::new();
    for alert in alerts {
        let key = (alert.rule.title.as_str(), alert.group.clone());
        let of = (alert.first.as_str(), alert.last.as_str(), alert.events);
        if alert.kind == "events" {
            add(&mut found, true, key, of);
        } else {
            let (title, group) = key;
            let of = (of.0.to_owned(), of.1.to_owned(), of.2);
            found.entry((title.to_owned(), group)).or_default().insert(of);
        }
    }
    found
}

pub(crate) fn of_hunt(socket: &Path, rules: &Path) -> Findings {
    let (socket, rules) = (socket.to_str().unwrap(), rules.to_str().unwrap());
    let ran = run(&["hunt", "--format", "json", "--socket", socket, "--rules", rules]);
    // One says that nothing was found.
    assert!(ran.code <= 1, "{}", ran.stderr);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut found = Findings::new();
    for rule in answer["rules"].as_array().unwrap() {
        assert_eq!(rule.get("error"), None);
        let title = rule["rule"]["title"].as_str().unwrap();
        for finding in rule["findings"].as_array().unwrap() {
            let group = serde_json::from_value(finding["group"].clone()).unwrap();
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            let of = (text("first"), text("last"), finding["events"].as_u64().unwrap());
            found.entry((title.to_owned(), group)).or_default().insert(of);
        }
    }
    found
}

#[test]
fn alerts_are_what_a_hunt_finds_whatever_came_when() {
    let kills = setting("TRAILDEX_KILLS", KILLS);
    let seed = setting("TRAILDEX_SEED", u64::from(std::process::id()));
    println!("TRAILDEX_SEED={seed}");
    let mut random = Random(seed);
    let all = records(&mut random, FILES * RECORDS);
    let files: Vec<&[Value]> = all.chunks(RECORDS as usize).collect();
    let place = place();
    let mut daemon = Some(place.start());
    for (number, records) in files.iter().enumerate() {
        deliver(&place.archive(), &format!("file-{number}"), records);
        // Some of it comes again in another file.
        if random.below(4) == 0 {
            let earlier = files[random.below(number as u64 + 1) as usize];
            deliver(
                &place.archive(),
                &format!("again-{number}"),
                &[&records[..3], earlier].concat(),
            );
        }
        let lives = kills * (number as u64 + 1) / FILES - kills * number as u64 / FILES;
        for _ in 0..lives {
            thread::sleep(Duration::from_micros(random.below(600_000)));
            daemon.take().unwrap().kill();
            daemon = Some(place.start());
        }
        if random.below(3) == 0 {
            thread::sleep(Duration::from_millis(random.below(300)));
        }
    }
    let daemon = daemon.unwrap();
    wait_current(&daemon, FILES * RECORDS);
    let standing = alerts(&daemon);
    let found = of_alerts(&standing);
    let hunted = of_hunt(&daemon.socket, &place.path("rules"));
    for (key, of) in &hunted {
        assert_eq!(found.get(key), Some(of), "{key:?}");
    }
    for key in found.keys() {
        assert!(hunted.contains_key(key), "{key:?} is an alert, and no finding");
    }
    let titles: BTreeSet<&str> = hunted.keys().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles.len(), 8, "{titles:?}");
    // Each can be found by its query.
    for alert in standing.iter().step_by(11) {
        let query = alert.query.as_ref().unwrap();
        assert_eq!(daemon.count(query), alert.events, "{query}");
    }
    // Much was decided before all was there.
    let withdrawn = AlertsRequest { withdrawn: Some(true), ..AlertsRequest::default() };
    let client = Client::new(&daemon.socket);
    assert!(!list(&client, &withdrawn).is_empty());
    check_changes(&client, &standing);
    // A start finds what there was.
    daemon.stop();
    let daemon = place.start();
    assert_eq!(alerts(&daemon), standing);
    wait_current(&daemon, FILES * RECORDS);
    assert_eq!(alerts(&daemon), standing);
}

/// The changes, one after another, lead to the alerts.
fn check_changes(client: &Client, standing: &[Alert]) {
    let mut request = AlertChangesRequest { limit: Some(100), ..AlertChangesRequest::default() };
    let mut stands = BTreeSet::new();
    let mut next = 1;
    loop {
        let answer = client.alert_changes(&request).unwrap();
        assert_eq!(answer.missed, 0);
        if answer.changes.is_empty() {
            break;
        }
        for change in answer.changes {
            assert_eq!(change.number, next, "none is left out");
            next += 1;
            request.after = change.number;
            match change.change {
                AlertChangeKind::Raised => assert!(stands.insert(change.alert.id)),
                AlertChangeKind::Grown => assert!(stands.contains(&change.alert.id)),
                AlertChangeKind::Withdrawn => assert!(stands.remove(&change.alert.id)),
                other => panic!("nobody did that: {other:?}"),
            }
        }
    }
    assert_eq!(stands, standing.iter().map(|alert| alert.id.clone()).collect());
}

#[test]
fn an_archive_that_was_there_before_the_rules_has_the_same_alerts() {
    let mut random = Random(7);
    let all = records(&mut random, FILES * RECORDS);
    let place = place();
    for (number, records) in all.chunks(RECORDS as usize).enumerate() {
        deliver(&place.archive(), &format!("file-{number}"), records);
    }
    let daemon = place.start();
    wait_current(&daemon, FILES * RECORDS);
    let before = alerts(&daemon);
    assert_eq!(of_alerts(&before), of_hunt(&daemon.socket, &place.path("rules")));
    // An index that is made anew has the same, and changes none.
    let last = daemon.client.alert_changes(&AlertChangesRequest::default()).unwrap().last;
    daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    wait_until(PATIENCE_BULK, "the index is made anew", || {
        daemon.status().rebuild.unwrap().state == RebuildState::Done
    });
    deliver(&place.archive(), "later", &[alarm(9_999, 1)]);
    wait_current(&daemon, FILES * RECORDS + 1);
    let after =
        daemon.client.alert_changes(&AlertChangesRequest { after: last, ..Default::default() });
    let changed: Vec<String> =
        after.unwrap().changes.iter().map(|change| change.alert.rule.title.clone()).collect();
    assert_eq!(changed, ["alarm"]);
    assert_eq!(of_alerts(&alerts(&daemon)), of_hunt(&daemon.socket, &place.path("rules")));
}

/// The one alert of a daemon that has one.
#[track_caller]
pub(crate) fn one(daemon: &Daemon, request: &AlertsRequest) -> Alert {
    let mut alerts = list(&Client::new(&daemon.socket), request);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

pub(crate) fn alarm(id: u64, minute: u64) -> Value {
    json!({
        "eventVersion": "1.08",
        "eventTime": format!("2026-03-01T10:{minute:02}:00Z"),
        "eventID": format!("00000000-0000-4000-8000-{id:012}"),
        "eventSource": "x.amazonaws.com",
        "eventName": "Alarm",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.1",
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::1:user/eve\u{1b}[31m" },
        "recipientAccountId": "111122223333",
    })
}
