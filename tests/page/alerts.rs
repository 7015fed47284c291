//! Alerts in the page: on a daemon whose rules and records strangers wrote, on one that only reads, and on
//! one without rules.

use std::fs;

use serde_json::{Value, json};

use client::Client;
use wire::AlertsRequest;

use crate::common::{Daemon, PATIENCE, Place, record, shared_daemon, wait_until};

use super::harness::Web;
use super::scripts::{browse, nothing};

/// Events that the rule `many` finds, each of another user: more than a page of the list has.
const MANY: usize = 130;

/// A rule that is a usual one, one whose texts are markup, one for much, and one of events together.
const RULES: &str = r#"
title: A trail was stopped
id: 6a1f9d1e-52cb-4a53-8d3b-0d8f2f8b7c11
name: stopped
status: stable
description: |
    Somebody stopped a trail.
    What happens next is not recorded.
author: An Author
license: Apache-2.0
references:
    - https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html
    - javascript:alert(7)
    - https://docs.aws.amazon.com@evil.example/
tags: [attack.t1562.008, attack.impact]
falsepositives: [A planned change of trails]
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: StopLogging }, condition: selection }
level: high
---
title: <img src=x onerror=alert(1)>
name: markup
description: <script>alert(2)</script>
author: "\"><svg onload=alert(3)>"
license: "\u202e0.2-ehcapA"
references: ["<b>http</b>"]
falsepositives: ["<iframe src=javascript:alert(4)>"]
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: PutEvil }, condition: selection }
level: critical
---
title: Many of one kind
name: many
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: GetMany }, condition: selection }
level: low
---
title: Trails of a region
correlation:
    type: event_count
    rules: [stopped]
    generate: true
    group-by: [awsRegion]
    timespan: 1h
    condition: { gte: 2 }
level: medium
"#;

/// An event of a user, at a time.
fn of(id: &str, time: &str, name: &str, user: &str) -> Value {
    let mut event: Value = serde_json::from_str(&record(id)).unwrap();
    event["eventTime"] = json!(time);
    event["eventName"] = json!(name);
    event["userIdentity"] = json!({ "type": "IAMUser", "arn": user, "accountId": "1" });
    event
}

/// Puts a file into the archive, at once.
fn add(place: &Place, name: &str, events: &[Value]) {
    let half = place.path(name);
    fs::write(&half, json!({ "Records": events }).to_string()).unwrap();
    fs::rename(half, place.archive().join(format!("{name}.json"))).unwrap();
}

fn archive(place: &Place) -> u64 {
    let alice = "arn:aws:iam::1:user/alice";
    let mut events = vec![
        of("stop-1", "2024-05-06T07:08:09Z", "StopLogging", alice),
        of("stop-2", "2024-05-06T07:30:00Z", "StopLogging", alice),
        of("evil-1", "2024-05-07T10:00:00Z", "PutEvil", "<script>alert(5)</script>\u{202e}"),
        of("usual", "2024-05-07T23:59:00Z", "GetObject", alice),
    ];
    events.extend((0..MANY).map(|n| {
        let (hour, minute) = (n / 60, n % 60);
        let time = format!("2024-05-05T{hour:02}:{minute:02}:00Z");
        of(&format!("many-{n}"), &time, "GetMany", &format!("arn:aws:iam::1:user/u{n:03}"))
    }));
    add(place, "first", &events);
    events.len() as u64
}

fn with_rules() -> Place {
    let place = Place::new();
    let rules = place.path("rules");
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("all.yml"), RULES).unwrap();
    place.with("RULES_DIRS", rules.to_str().unwrap()).with("WATCH_SETTLE_MS", "10")
}

fn wait_current(daemon: &Daemon, events: u64) {
    daemon.wait_indexed(PATIENCE, events);
    let client = Client::new(&daemon.socket);
    wait_until(PATIENCE, "the rules have looked at everything", || {
        let answer = client.alerts(&AlertsRequest::default()).unwrap();
        assert_eq!(answer.rules.problems, Vec::<String>::new());
        answer.rules.is_current && answer.total > 0
    });
}

#[test]
fn alerts_are_found_followed_and_dealt_with_in_the_page() {
    let place = with_rules();
    let events = archive(&place);
    let daemon = place.start();
    wait_current(&daemon, events);
    let (web, reader) = (Web::start(&daemon, &[]), Web::start(&daemon, &["--read-only"]));
    let bare = shared_daemon();
    let none = Web::start(&bare, &[]);
    let values = json!({ "many": MANY, "reader": reader.url, "none": none.url });
    browse("alerts.mjs", &web, &values, |what| match what.split(' ').collect::<Vec<_>>()[..] {
        ["stop", id, time] => {
            add(&place, id, &[of(id, time, "StopLogging", "arn:aws:iam::1:user/new")]);
        }
        ["rules", "broken"] => {
            fs::write(place.path("rules/broken<b>.yml"), "title: [no rule").unwrap();
        }
        ["rules", "mended"] => fs::remove_file(place.path("rules/broken<b>.yml")).unwrap(),
        _ => nothing(what),
    });
    daemon.stop();
}

#[test]
fn alerts_are_changed_by_the_page_and_by_no_other() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let (host, bearer) = (web.host(), web.bearer());
    let own = format!("Origin: http://127.0.0.1:{}", web.port);
    let (json, text) = ("Content-Type: application/json", "Content-Type: text/plain");
    let body = r#"{"ids":["x"],"state":"closed"}"#;
    let status = |headers: &[&str]| {
        let all = [&[host.as_str()], headers].concat();
        web.send("POST /v1/alerts", &all, body).status
    };
    // There is no such alert, says the daemon: it was asked.
    assert_eq!(web.ask("POST /v1/alerts", body).status, 404);
    assert_eq!(status(&[&bearer, &own, json]), 404);
    assert_eq!(status(&[&own, json]), 401);
    assert_eq!(status(&[&bearer, &own, text]), 415);
    assert_eq!(status(&[&bearer, "Origin: http://evil.example", json]), 403);
    for site in ["cross-site", "same-site"] {
        assert_eq!(status(&[&bearer, json, &format!("Sec-Fetch-Site: {site}")]), 403, "{site}");
    }
    for path in ["/v1/alerts", "/v1/alerts/changes"] {
        assert_eq!(web.send(&format!("GET {path}"), &[&host], "").status, 401, "{path}");
        assert_eq!(web.ask(&format!("GET {path}"), "").status, 200, "{path}");
    }
}
