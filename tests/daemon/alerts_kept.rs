//! Alerts: what people do with them, rules that change, exceptions, retention, damage and crashes.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use serde_json::{Value, json};
use wire::{AlertChangeKind, AlertChangesRequest, AlertState, AlertsChangeRequest, AlertsRequest};

use crate::alerts::{
    Findings, RULES, alarm, alerts, deliver, of_alerts, of_hunt, one, place, records, wait_current,
};
use crate::common::{Daemon, PATIENCE, Place, run, wait_until};
use crate::crash::Random;

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
    let log =
        |daemon: &Daemon| daemon.client.alert_changes(&AlertChangesRequest::default()).unwrap().log;
    let old_log = log(&daemon);
    daemon.stop();
    let daemon = place.start();
    assert_eq!(log(&daemon), old_log);
    daemon.stop();
    let path = place.data_dir().join("alerts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"events\":1,", "\"events\":9,")).unwrap();
    let daemon = place.start();
    assert!(daemon.status().warnings.iter().any(|warning| warning.contains("alerts.jsonl: line")));
    wait_current(&daemon, 1);
    let after = one(&daemon, &AlertsRequest::default());
    assert_eq!((after.id, after.events), (before.id, 1));
    // Who follows begins again: numbers that were told may be given again.
    assert_ne!(log(&daemon), old_log);
    let names = fs::read_dir(place.data_dir()).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with("alerts.jsonl.damaged-")));
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

/// An index of which retention has dropped all but one event, and what alerts there were before.
pub(crate) fn with_one_event_left() -> (Place, Daemon, Findings) {
    let place = place();
    let daemon = place.start();
    let mut random = Random(11);
    deliver(&place.archive(), "a", &records(&mut random, 300));
    wait_current(&daemon, 300);
    let before = of_alerts(&alerts(&daemon));
    assert!(before.len() > 20);
    daemon.stop();
    // All but the last event is too old.
    let place = place.with("RETENTION_AGE_DAYS_MAX", "3");
    let mut trusting = place.serve_command();
    trusting.env("FAILPOINTS", "clock-is-trusted=return");
    let daemon = place.spawn(trusting);
    deliver(&place.archive(), "b", &[alarm_of_now(1_000)]);
    daemon.wait_for(PATIENCE, "retention has dropped them", |status| status.events.indexed == 1);
    wait_current(&daemon, 1);
    (place, daemon, before)
}

fn alarm_of_now(id: u64) -> Value {
    let now = jiff::Timestamp::now().to_string();
    alarm_with(id, 1, &json!({ "eventTime": now[..19].to_owned() + "Z" }))
}

#[test]
fn what_retention_drops_from_the_index_is_no_reason_to_withdraw() {
    let (place, daemon, before) = with_one_event_left();
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
    deliver(&place.archive(), "c", &[alarm_of_now(1_001)]);
    wait_current(&daemon, 2);
    assert_eq!(one(&daemon, &AlertsRequest::default()).events, 2);
}

#[test]
fn a_crash_at_any_step_of_writing_alerts_loses_none() {
    let steps = [
        ("alerts-to-be-written", false),
        ("alerts-written", false),
        ("alerts-to-be-replaced", true),
        ("alerts-new-written", true),
        ("alerts-replaced", true),
    ];
    for (step, needs_damage) in steps {
        let place = place();
        let daemon = place.start();
        deliver(&place.archive(), "a", &[alarm(1, 1)]);
        wait_current(&daemon, 1);
        daemon.stop();
        let path = place.data_dir().join("alerts.jsonl");
        if needs_damage {
            // A start writes a whole file in its place.
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen("\"events\":1,", "\"events\":9,", 1)).unwrap();
        }
        let mut command = place.serve_command();
        command.env("FAILPOINTS", format!("{step}=return"));
        let mut daemon = place.spawn_unready(command);
        deliver(
            &place.archive(),
            "b",
            &[
                alarm(2, 2),
                alarm_with(
                    3,
                    3,
                    &json!({
                        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::1:user/adam" },
                    }),
                ),
            ],
        );
        assert!(!daemon.wait_end().success(), "{step} was passed");
        let daemon = place.start();
        wait_current(&daemon, 3);
        let found: Vec<u64> = alerts(&daemon).iter().map(|alert| alert.events).collect();
        assert_eq!(found, [1, 2], "{step}");
    }
}

/// What a table cuts or takes apart, and a window does not.
#[test]
fn groups_of_long_values_and_of_lists_are_those_of_a_hunt() {
    let place = place();
    let correlation = "---
title: two by agent
correlation:
    type: event_count
    rules: [one]
    group-by: [userAgent]
    timespan: 1h
    condition: { gte: 2 }
---
title: two by list
correlation:
    type: event_count
    rules: [one]
    group-by: [requestParameters.x]
    timespan: 1h
    condition: { gte: 2 }
";
    fs::write(place.path("rules").join("more.yml"), correlation).unwrap();
    fs::write(place.path("rules").join("all.yml"), alarms("").replace("name: alarm", "name: one"))
        .unwrap();
    let daemon = place.start();
    let mut number = 0;
    for agent in [4_095, 4_096, 4_097, 9_000].map(|bytes| "x".repeat(bytes)) {
        for x in [json!("a"), json!(["a"]), json!(["a", "b"])] {
            for _ in 0..2 {
                number += 1;
                let more = json!({ "userAgent": agent, "requestParameters": { "x": x } });
                deliver(
                    &place.archive(),
                    &format!("{number}"),
                    &[alarm_with(number, number, &more)],
                );
                wait_current(&daemon, number);
            }
        }
    }
    let found = of_alerts(&alerts(&daemon));
    let hunted = of_hunt(&daemon.socket, &place.path("rules"));
    let ends = |findings: &Findings| -> BTreeSet<(String, String, u64)> {
        findings.values().flatten().cloned().collect()
    };
    assert_eq!(ends(&found), ends(&hunted));
    assert_eq!(found.len(), hunted.len());
}

#[test]
fn files_that_are_no_rules_hold_up_none() {
    let place = place();
    let rules = place.path("rules");
    let fifo = rules.join("pipe.yml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (name, text) in [
        ("brackets.yml", format!("a: {}", "[".repeat(500_000))),
        ("lists.yml", "- ".repeat(300_000)),
        ("maps.yml", format!("{}a: b\n", " ".repeat(2_000))),
    ] {
        fs::write(rules.join(name), text).unwrap();
    }
    let daemon = place.start();
    deliver(&place.archive(), "a", &[alarm(1, 1)]);
    let client = Client::new(&daemon.socket);
    wait_until(PATIENCE, "the rules are asked", || {
        client.alerts(&AlertsRequest::default()).unwrap().total == 1
    });
    let problems = client.alerts(&AlertsRequest::default()).unwrap().rules.problems;
    assert_eq!(problems.len(), 4, "{problems:?}");
    // A rule behind a link is read again when its target changes.
    let target = place.path("elsewhere.yml");
    fs::write(&target, alarms("").replace("Alarm", "Nothing")).unwrap();
    std::os::unix::fs::symlink(&target, rules.join("linked.yml")).unwrap();
    let asked = client.alerts(&AlertsRequest::default()).unwrap().rules.rules;
    wait_until(PATIENCE, "it is read", || {
        client.alerts(&AlertsRequest::default()).unwrap().rules.rules == asked + 1
    });
    fs::write(&target, "no rule").unwrap();
    wait_until(PATIENCE, "it is read again", || {
        client.alerts(&AlertsRequest::default()).unwrap().rules.rules == asked
    });
}
