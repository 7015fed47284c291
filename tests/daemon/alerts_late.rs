//! What comes late: earlier events, an archive that begins earlier, events that were missed, rules that
//! look again at an index that has dropped events. Each time the alerts are what a hunt finds.

use std::fs;

use client::Client;
use serde_json::{Value, json};
use wire::AlertsRequest;

use crate::alerts::{RULES, alerts, deliver, list, of_alerts, of_hunt, place, wait_current};
use crate::alerts_kept::with_one_event_left;
use crate::common::{Daemon, PATIENCE, Place, wait_until};

/// One minute of a user, counted from the beginning of a March.
fn event(id: u64, name: &str, minute: u64) -> Value {
    let (day, hour) = (minute / 1_440 + 1, minute / 60 % 24);
    json!({
        "eventVersion": "1.08",
        "eventTime": format!("2026-03-{day:02}T{hour:02}:{:02}:00Z", minute % 60),
        "eventID": format!("00000000-0000-4000-8000-{id:012}"),
        "eventSource": "x.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.1",
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::1:user/eve" },
        "recipientAccountId": "111122223333",
    })
}

/// An archive whose files come one after another.
struct Case {
    place: Place,
    daemon: Daemon,
    files: u64,
    events: u64,
}

impl Case {
    fn of(rules: &str) -> Self {
        let place = place();
        fs::write(place.path("rules").join("all.yml"), rules).unwrap();
        let daemon = place.start();
        Self { place, daemon, files: 0, events: 0 }
    }

    /// Delivers a file of new events. Returns how many alerts stand, and how many are withdrawn.
    #[track_caller]
    fn add(&mut self, records: &[Value]) -> (usize, usize) {
        self.files += 1;
        self.events += records.len() as u64;
        deliver(&self.place.archive(), &format!("file-{}", self.files), records);
        wait_current(&self.daemon, self.events);
        let standing = alerts(&self.daemon);
        let hunted = of_hunt(&self.daemon.socket, &self.place.path("rules"));
        assert_eq!(of_alerts(&standing), hunted);
        (standing.len(), withdrawn(&self.daemon))
    }

    /// The same with another process, which remembers nothing.
    fn restarted(self) -> Self {
        self.daemon.stop();
        let daemon = self.place.start();
        Self { daemon, ..self }
    }

    /// When the events of the alerts were, in minutes and without those of hours ago.
    fn times(&self) -> Vec<String> {
        let mut times: Vec<String> =
            alerts(&self.daemon).iter().map(|alert| alert.last[8..16].to_owned()).collect();
        times.sort();
        times
    }
}

fn withdrawn(daemon: &Daemon) -> usize {
    let request = AlertsRequest { withdrawn: Some(true), ..AlertsRequest::default() };
    list(&Client::new(&daemon.socket), &request).len()
}

const ONE: &str = "title: one
name: one
logsource: { product: aws, service: cloudtrail }
detection: { s: { eventName: One }, condition: s }
";

/// Windows follow each other without a pause: where one of them begins says where all later ones begin.
#[test]
fn an_earlier_event_moves_all_windows_behind_it() {
    let pairs = "---
title: two
correlation:
    type: event_count
    rules: [one]
    group-by: [userIdentity.arn]
    timespan: 1h
    condition: { gte: 2 }
";
    let mut case = Case::of(&format!("{ONE}{pairs}"));
    let every: Vec<Value> = (1..=40).map(|n| event(n, "One", n * 35)).collect();
    assert_eq!(case.add(&every), (20, 0));
    let before = case.times();
    let (standing, withdrawn) = case.add(&[event(100, "One", 0)]);
    assert_eq!((standing, withdrawn), (20, 20), "{before:?} became {:?}", case.times());
    // One at the end moves nothing, and one in the middle what is behind it.
    let (standing, withdrawn) = case.add(&[event(101, "One", 41 * 35)]);
    assert_eq!((standing, withdrawn), (21, 20));
    case.add(&[event(102, "One", 20 * 35 + 1)]);
    case.add(&[event(103, "One", 30 * 35 + 1), event(104, "One", 7)]);
}

const NEW_REGION: &str = "title: new region
logsource: { product: aws, service: cloudtrail }
detection: { s: { eventSource: x.amazonaws.com }, condition: s }
traildex:
    first_seen: { fields: [principal, awsRegion], history: 3d, learning: 2d }
";

/// An event of a region, as many minutes into a day as its number says.
fn seen(id: u64, day: u64, region: &str) -> Value {
    let mut record = event(id, "One", (day - 1) * 1_440 + id);
    record["awsRegion"] = region.into();
    record
}

#[test]
fn an_archive_that_begins_earlier_has_learned_earlier() {
    let mut case = Case::of(NEW_REGION);
    // The archive begins on the tenth: what is seen before the twelfth is known.
    let (standing, _) = case.add(&[seen(1, 10, "a"), seen(2, 11, "b"), seen(3, 13, "c")]);
    assert_eq!(standing, 1);
    assert_eq!(case.times(), ["13T00:03"]);
    // It began on the first.
    let (standing, _) = case.add(&[seen(4, 1, "d")]);
    assert_eq!(standing, 3);
    assert_eq!(case.times(), ["10T00:01", "11T00:02", "13T00:03"]);
    // It was seen on the ninth, and so not first on the eleventh.
    case.add(&[seen(5, 9, "b")]);
    assert_eq!(case.times(), ["09T00:05", "10T00:01", "13T00:03"]);
    // Longer ago than three days is as good as never.
    case.add(&[seen(6, 5, "a")]);
    assert_eq!(case.times(), ["05T00:06", "09T00:05", "10T00:01", "13T00:03"]);
    // A span without it shows in the middle.
    case.add(&[seen(7, 8, "a"), seen(8, 17, "c")]);
    assert_eq!(case.times(), ["05T00:06", "08T00:07", "09T00:05", "13T00:03", "17T00:08"]);
}

/// Of many values at once, all are asked for, but not of all times: what is earlier is asked for later.
#[test]
fn events_from_before_what_a_rule_remembers_are_decided_by_the_archive() {
    let mut case = Case::of(NEW_REGION);
    let many = |first: u64, day: u64| {
        (first..first + 60).map(|n| seen(n, day, &format!("region-{n}"))).collect::<Vec<_>>()
    };
    assert_eq!(case.add(&[seen(1, 1, "a")]), (0, 0));
    assert_eq!(case.add(&many(100, 10)), (60, 0));
    let mut case = case.restarted();
    assert_eq!(case.add(&many(200, 20)), (120, 0));
    assert_eq!(case.add(&[seen(2, 17, "late")]), (121, 0));
    assert_eq!(case.add(&[seen(3, 15, "late")]), (121, 1));
    // What it remembers.
    assert_eq!(case.add(&[seen(210, 21, "region-210"), seen(4, 22, "new")]), (122, 1));
}

#[test]
fn an_absence_is_decided_when_its_time_is_over_and_anew_when_what_was_missing_comes() {
    let absence = "---
title: two
name: two
logsource: { product: aws, service: cloudtrail }
detection: { s: { eventName: Two }, condition: s }
---
title: one without two
logsource: { product: aws, service: cloudtrail }
detection: { s: { eventName: One }, condition: s }
traildex:
    absence: { of: two, within: 45m, group-by: [userIdentity.arn] }
";
    let mut case = Case::of(absence.trim_start_matches("---\n"));
    // The archive ends with it: nobody knows yet.
    assert_eq!(case.add(&[event(1, "One", 600)]), (0, 0));
    assert_eq!(case.add(&[event(2, "Other", 644)]), (0, 0));
    // Of others the time goes on.
    assert_eq!(case.add(&[event(3, "Other", 660)]), (1, 0));
    assert_eq!(case.times(), ["01T10:00"]);
    // It came in time, and was late in the archive.
    let (_, withdrawn) = case.add(&[event(4, "Two", 640)]);
    assert_eq!(withdrawn, 1);
    // Two of one second are two.
    case.add(&[event(5, "One", 700), event(6, "One", 700), event(7, "Other", 800)]);
    assert_eq!(case.times(), ["01T11:40", "01T11:40"]);
}

#[test]
fn rules_that_look_again_withdraw_nothing_that_retention_has_dropped() {
    let (place, daemon, before) = with_one_event_left();
    // Every rule is another one, and looks at everything that there is.
    let others = RULES.replace("logsource:", "description: another\nlogsource:");
    let others = others.replace("correlation:\n", "description: another\ncorrelation:\n");
    fs::write(place.path("rules").join("all.yml"), others).unwrap();
    wait_until(PATIENCE, "the files are read again", || {
        let looked = alerts(&daemon);
        looked.iter().any(|alert| alert.rule.description.is_some())
    });
    wait_current(&daemon, 1);
    let after = of_alerts(&alerts(&daemon));
    for (key, of) in &before {
        assert!(after.get(key).is_some_and(|after| after.is_superset(of)), "{key:?}");
    }
    assert_eq!(withdrawn(&daemon), 0);
}
