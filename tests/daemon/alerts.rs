//! Alerts: whatever order files come in, however often, and whenever the daemon ends, those that stand at
//! the end are what a hunt finds.
//!
//! `TRAILDEX_KILLS=500 cargo test --features failpoints --test daemon alerts::` ends the daemon five
//! hundred times; the seed is printed, and `TRAILDEX_SEED` sets it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use serde_json::{Value, json};
use wire::{
    Alert, AlertChangeKind, AlertChangesRequest, AlertState, AlertsChangeRequest, AlertsRequest,
    RebuildRequest, RebuildState,
};

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, gzip, run, wait_until};
use crate::crash::{Random, setting};

const KILLS: u64 = 12;

/// Files of the archive, and records of each.
const FILES: u64 = 60;
const RECORDS: u64 = 12;

/// A rule of each kind. What is of several events comes together often, and by chance.
const RULES: &str = "
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
fn records(random: &mut Random, count: u64) -> Vec<Value> {
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

fn place() -> Place {
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
fn deliver(archive: &Path, name: &str, records: &[Value]) {
    let bytes = gzip(&serde_json::to_vec(&json!({ "Records": records })).unwrap());
    let hidden = archive.join(format!(".{name}"));
    fs::write(&hidden, bytes).unwrap();
    fs::rename(hidden, archive.join(format!("{name}.json.gz"))).unwrap();
}

/// Everything that a list has.
fn list(client: &Client, request: &AlertsRequest) -> Vec<Alert> {
    let mut all = Vec::new();
    loop {
        let part = AlertsRequest { limit: Some(7), offset: Some(all.len()), ..request.clone() };
        let answer = client.alerts(&part).unwrap();
        let is_last = answer.alerts.is_empty();
        all.extend(answer.alerts);
        if is_last {
            assert_eq!(all.len() as u64, answer.total);
            return all;
        }
    }
}

fn alerts(daemon: &Daemon) -> Vec<Alert> {
    list(&Client::new(&daemon.socket), &AlertsRequest::default())
}

/// Waits until all rules have looked at everything.
fn wait_current(daemon: &Daemon, events: u64) {
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
type Findings = BTreeMap<(String, BTreeMap<String, String>), BTreeSet<(String, String, u64)>>;

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

fn of_alerts(alerts: &[Alert]) -> Findings {
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

fn of_hunt(socket: &Path, rules: &Path) -> Findings {
    let (socket, rules) = (socket.to_str().unwrap(), rules.to_str().unwrap());
    let ran = run(&["hunt", "--format", "json", "--socket", socket, "--rules", rules]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
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
fn one(daemon: &Daemon, request: &AlertsRequest) -> Alert {
    let mut alerts = list(&Client::new(&daemon.socket), request);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

fn alarm(id: u64, minute: u64) -> Value {
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

#[test]
fn what_a_person_did_is_kept_and_told_to_who_waits() {
    let place = place();
    let daemon = place.start();
    deliver(&place.archive(), "a", &[alarm(1, 1)]);
    wait_current(&daemon, 1);
    let client = Client::new(&daemon.socket);
    let any = AlertsRequest::default();
    let alert = one(&daemon, &any);
    assert_eq!((alert.events, alert.state), (1, AlertState::Open));
    let change = |ids: &[&str], state, note: Option<&str>| AlertsChangeRequest {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        state,
        note: note.map(str::to_owned),
    };
    // A client that waits is told at once.
    let last = client.alert_changes(&AlertChangesRequest::default()).unwrap().last;
    let waiting = Client::new(&daemon.socket);
    let request = AlertChangesRequest { after: last, wait: 50, ..AlertChangesRequest::default() };
    let waits = thread::spawn(move || (waiting.alert_changes(&request).unwrap(), Instant::now()));
    thread::sleep(Duration::from_millis(300));
    let set = change(&[&alert.id], Some(AlertState::Closed), Some("a drill"));
    let answer = client.change_alerts(&set).unwrap();
    assert_eq!(answer.alerts[0].note.as_deref(), Some("a drill"));
    assert!(answer.alerts[0].by.is_some());
    let (told, at) = waits.join().unwrap();
    assert!(at.elapsed() < Duration::from_secs(20));
    assert_eq!(told.changes[0].change, AlertChangeKind::Closed);
    // More events leave that as it is.
    deliver(&place.archive(), "b", &[alarm(2, 2), alarm(1, 1)]);
    wait_current(&daemon, 2);
    let alert = one(&daemon, &any);
    assert_eq!(
        (alert.events, alert.state, alert.note.as_deref()),
        (2, AlertState::Closed, Some("a drill"))
    );
    daemon.kill();
    let daemon = place.start();
    assert_eq!(one(&daemon, &any), alert);
    // One that is not there: nothing changes.
    let client = Client::new(&daemon.socket);
    let none = change(&[&alert.id, "00"], Some(AlertState::Open), None);
    let error = client.change_alerts(&none).unwrap_err().to_string();
    assert!(error.contains("there is no alert '00'"), "{error}");
    assert_eq!(one(&daemon, &any), alert);
    for (bad, says) in [
        (change(&[], Some(AlertState::Open), None), "ids:"),
        (change(&[&alert.id], None, None), "give a state"),
        (change(&[&alert.id], None, Some(&"x".repeat(5_000))), "note:"),
    ] {
        let error = client.change_alerts(&bad).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    // Lists.
    let found = |request: AlertsRequest| client.alerts(&request).unwrap().total;
    let with = |change: &dyn Fn(&mut AlertsRequest)| {
        let mut request = AlertsRequest::default();
        change(&mut request);
        found(request)
    };
    assert_eq!(with(&|r| r.q = Some("DRILL eve".to_owned())), 1);
    assert_eq!(with(&|r| r.q = Some("drill adam".to_owned())), 0);
    assert_eq!(with(&|r| r.state = Some(AlertState::Open)), 0);
    assert_eq!(with(&|r| r.state = Some(AlertState::Closed)), 1);
    assert_eq!(with(&|r| r.rule = Some("alarm".to_owned())), 1);
    assert_eq!(with(&|r| r.rule = Some("some".to_owned())), 0);
    assert_eq!(with(&|r| r.level = Some("high".to_owned())), 1);
    assert_eq!(with(&|r| r.level = Some("critical".to_owned())), 0);
    assert_eq!(with(&|r| r.start = Some("2026-03-01T10:02:00Z".to_owned())), 1);
    assert_eq!(with(&|r| r.start = Some("2026-03-01T10:03:00Z".to_owned())), 0);
    assert_eq!(with(&|r| r.end = Some("2026-03-01T10:01:00Z".to_owned())), 0);
    assert_eq!(with(&|r| r.id = Some(alert.id[..6].to_owned())), 1);
    let error = client.alerts(&AlertsRequest { level: Some("bad".to_owned()), ..any.clone() });
    assert!(error.unwrap_err().to_string().contains("'bad' is none of"));
    // The command line, without what records can write to a terminal.
    let socket = daemon.socket.to_str().unwrap();
    let shown = run(&["alerts", "--socket", socket]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains("closed") && !shown.stdout.contains('\u{1b}'),
        "{}",
        shown.stdout
    );
    let whole = run(&["alerts", "show", &alert.id[..8], "--socket", socket]);
    assert!(whole.stdout.contains("a drill"), "{}", whole.stdout);
    let set = run(&[
        "alerts",
        "set",
        &alert.id[..8],
        "--state",
        "open",
        "--note",
        "",
        "--socket",
        socket,
    ]);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let alert = one(&daemon, &any);
    assert_eq!((alert.state, alert.note), (AlertState::Open, None));
    assert_eq!(run(&["alerts", "nothing-like-it", "--socket", socket]).code, 1);
}

#[test]
fn changed_rules_are_read_again_and_a_bad_file_costs_itself() {
    let place = place();
    let rules = place.path("rules");
    let daemon = place.start();
    deliver(&place.archive(), "a", &[alarm(1, 1)]);
    wait_current(&daemon, 1);
    let alert = one(&daemon, &AlertsRequest::default());
    let client = Client::new(&daemon.socket);
    let status = || client.alerts(&AlertsRequest::default()).unwrap().rules;
    // One more, which finds what came before it; one that is none; and the first one finds less.
    let more = "title: more\nlogsource: { product: aws, service: cloudtrail }\ndetection: { s: { awsRegion: eu-west-1 }, condition: s }\n";
    fs::write(rules.join("more.yml"), more).unwrap();
    fs::write(rules.join("bad.yml"), "title: bad\ndetection: [").unwrap();
    fs::write(rules.join("all.yml"), RULES.replace("eventName: Alarm", "eventName: Alert"))
        .unwrap();
    wait_until(PATIENCE, "the files are read again", || {
        let status = status();
        status.problems.len() == 1 && status.is_current
    });
    assert!(status().problems[0].contains("bad.yml"), "{:?}", status().problems);
    wait_until(PATIENCE, "the new rule finds it", || {
        let alerts = alerts(&daemon);
        alerts.len() == 1 && alerts[0].rule.title == "more"
    });
    let withdrawn = AlertsRequest { withdrawn: Some(true), ..AlertsRequest::default() };
    assert_eq!(one(&daemon, &withdrawn).id, alert.id);
    // As it was before.
    fs::write(rules.join("all.yml"), RULES).unwrap();
    fs::remove_file(rules.join("more.yml")).unwrap();
    wait_until(PATIENCE, "it stands again", || alerts(&daemon).iter().any(|a| a.id == alert.id));
    assert_eq!(client.alerts(&withdrawn).unwrap().total, 0);
    // What is left of a rule that is gone stays.
    assert_eq!(alerts(&daemon).len(), 2);
    // Rules do not come out of the archive.
    daemon.stop();
    let inside = place.archive().join("rules");
    fs::create_dir(&inside).unwrap();
    let mut command = place.serve_command();
    command.env("TRAILDEX_RULES_DIRS", &inside);
    let mut daemon = place.spawn_unready(command);
    assert!(!daemon.wait_end().success());
    assert!(daemon.log().contains("rules belong where no trail is delivered"), "{}", daemon.log());
}

#[test]
fn damage_costs_a_line_and_alerts_are_decided_again() {
    let place = place();
    let daemon = place.start();
    deliver(&place.archive(), "a", &[alarm(1, 1)]);
    wait_current(&daemon, 1);
    let before = one(&daemon, &AlertsRequest::default());
    daemon.stop();
    let path = place.data_dir().join("alerts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"events\":1,", "\"events\":9,")).unwrap();
    let daemon = place.start();
    assert!(daemon.status().warnings.iter().any(|warning| warning.contains("alerts.jsonl: line")));
    wait_current(&daemon, 1);
    let after = one(&daemon, &AlertsRequest::default());
    assert_eq!((after.id, after.events), (before.id, 1));
    assert!(place.data_dir().join("alerts.jsonl.damaged").exists());
    daemon.stop();
    // An index that is made anew has the same alerts; without its file, all are raised again.
    fs::remove_file(&path).unwrap();
    let daemon = place.start();
    wait_current(&daemon, 1);
    assert_eq!(one(&daemon, &AlertsRequest::default()).events, 1);
}

/// A rule for alarms with more at its end.
fn alarms(more: &str) -> String {
    format!(
        "title: alarm\nname: alarm\nlogsource: {{ product: aws, service: cloudtrail }}\n\
         detection: {{ s: {{ eventName: Alarm }}, condition: s }}\n{more}"
    )
}

/// An alarm with other values.
fn alarm_with(id: u64, minute: u64, more: &Value) -> Value {
    let mut record = alarm(id, minute);
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

#[test]
fn an_exception_holds_back_what_it_says_until_it_ends() {
    let place = place();
    let rules = place.path("rules");
    fs::write(rules.join("all.yml"), alarms("")).unwrap();
    let ends = jiff::Timestamp::now() + Duration::from_secs(8);
    let exception = format!(
        "exception: drills\nrules: alarm\nquery: 'ip:192.0.2.0/24'\nreason: agreed\nexpires: {ends}\n"
    );
    fs::write(rules.join("drills.yml"), exception).unwrap();
    let daemon = place.start();
    let other = json!({ "sourceIPAddress": "198.51.100.1" });
    deliver(&place.archive(), "a", &[alarm(1, 1), alarm_with(2, 2, &other)]);
    wait_current(&daemon, 2);
    assert_eq!(one(&daemon, &AlertsRequest::default()).events, 1);
    // A hunt leaves out the same, and says so.
    let (socket, dir) = (daemon.socket.to_str().unwrap(), rules.to_str().unwrap());
    let explained = run(&["rules", "explain", "alarm", "--rules", dir]);
    assert!(explained.stdout.contains("the exception 'drills'"), "{}", explained.stdout);
    let ran = run(&["hunt", "--format", "csv", "--socket", socket, "--rules", dir]);
    assert!(ran.stdout.lines().count() == 2, "{}", ran.stdout);
    wait_until(PATIENCE, "it ends", || {
        let alerts = alerts(&daemon);
        alerts.len() == 1 && alerts[0].events == 2
    });
    assert!(jiff::Timestamp::now() >= ends);
    let explained = run(&["rules", "explain", "alarm", "--rules", dir]);
    assert!(explained.stdout.contains("expired on"), "{}", explained.stdout);
}

#[test]
fn events_of_one_period_are_one_alert_that_counts_them() {
    let place = place();
    let suppress = "traildex: { suppress: { by: [awsRegion, userIdentity.type], period: 30m } }\n";
    fs::write(place.path("rules").join("all.yml"), alarms(suppress)).unwrap();
    let daemon = place.start();
    let region = |name: &str| json!({ "awsRegion": name });
    deliver(
        &place.archive(),
        "a",
        &[
            alarm(1, 29),
            alarm(2, 1),
            alarm_with(3, 5, &json!({ "userIdentity": { "arn": "arn:aws:iam::1:user/eve" } })),
        ],
    );
    wait_current(&daemon, 3);
    deliver(
        &place.archive(),
        "b",
        &[alarm(4, 30), alarm_with(5, 7, &region("us-east-1")), alarm(6, 15)],
    );
    wait_current(&daemon, 6);
    let mut counts: Vec<(String, String, u64)> = alerts(&daemon)
        .iter()
        .map(|alert| (alert.group["awsRegion"].clone(), alert.first.clone(), alert.events))
        .collect();
    counts.sort();
    let of = |region: &str, minute: &str, events| {
        (region.to_owned(), format!("2026-03-01T10:{minute}:00Z"), events)
    };
    let expected = [
        of("eu-west-1", "01", 3),
        of("eu-west-1", "05", 1),
        of("eu-west-1", "30", 1),
        of("us-east-1", "07", 1),
    ];
    assert_eq!(counts, expected);
    for alert in alerts(&daemon) {
        assert_eq!(daemon.count(alert.query.as_ref().unwrap()), alert.events, "{:?}", alert.query);
    }
}

#[test]
fn what_retention_drops_from_the_index_is_no_reason_to_withdraw() {
    let place = place();
    let daemon = place.start();
    let mut random = Random(11);
    deliver(&place.archive(), "a", &records(&mut random, 300));
    wait_current(&daemon, 300);
    let before = of_alerts(&alerts(&daemon));
    assert!(before.len() > 20);
    daemon.stop();
    // A year later, all but the last event is too old.
    let now = jiff::Timestamp::now().to_string();
    let place = place.with("RETENTION_AGE_DAYS_MAX", "3");
    let mut trusting = place.serve_command();
    trusting.env("FAILPOINTS", "clock-is-trusted=return");
    let daemon = place.spawn(trusting);
    deliver(
        &place.archive(),
        "b",
        &[alarm_with(1_000, 1, &json!({ "eventTime": now[..19].to_owned() + "Z" }))],
    );
    daemon.wait_for(PATIENCE, "retention has dropped them", |status| status.events.indexed == 1);
    wait_current(&daemon, 1);
    let after = of_alerts(&alerts(&daemon));
    let new: Vec<_> = after.keys().filter(|key| !before.contains_key(*key)).collect();
    assert!(new.iter().all(|(title, _)| title == "alarm"), "{new:?}");
    for (key, of) in &before {
        assert!(after[key].is_superset(of), "{key:?}");
    }
    let client = Client::new(&daemon.socket);
    let withdrawn = AlertsRequest { withdrawn: Some(true), ..AlertsRequest::default() };
    assert_eq!(client.alerts(&withdrawn).unwrap().total, 0);
    // Alerts have a retention of their own.
    daemon.stop();
    let place = place.with("ALERTS_AGE_DAYS_MAX", "30");
    let daemon = place.start();
    deliver(
        &place.archive(),
        "c",
        &[alarm_with(1_001, 1, &json!({ "eventTime": now[..19].to_owned() + "Z" }))],
    );
    wait_current(&daemon, 2);
    assert_eq!(one(&daemon, &AlertsRequest::default()).events, 2);
}
