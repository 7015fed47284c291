//! Files in which values are looked up: that change, that are no good, that come with a reload; and rules
//! that ask what is looked up.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use client::Client;
use serde_json::{Value, json};
use wire::{AlertsRequest, SearchRequest};

use crate::alerts::{alerts, deliver, of_alerts, of_hunt, wait_current};
use crate::common::mmdb::database;
use crate::common::{Daemon, PATIENCE, Place, run, wait_until};
use crate::service::{configure, reload};

/// A record of an address, with its number in its id.
fn from(n: u64, address: &str) -> Value {
    json!({
        "eventVersion": "1.09", "eventTime": format!("2026-05-01T10:{n:02}:00Z"),
        "eventID": format!("{n:08}-0000-4000-8000-000000000000"),
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/u{n}")},
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1",
        "sourceIPAddress": address, "recipientAccountId": "111122223333",
    })
}

fn records() -> Vec<Value> {
    let addresses = ["203.0.113.1", "203.0.113.2", "198.51.100.7", "2001:db8::1", "10.0.0.1"];
    let mut records: Vec<Value> =
        (1..).zip(addresses).map(|(n, address)| from(n, address)).collect();
    // What is seen in an archive's first days is not new.
    let mut first = from(0, "192.0.2.1");
    first["eventTime"] = json!("2026-01-01T00:00:00Z");
    records.push(first);
    records
}

fn cities(code: &str) -> Vec<u8> {
    let record = json!({"country": {"iso_code": code}});
    let networks = [("203.0.113.0/24", record.clone()), ("2001:db8::/32", record)];
    database("GeoLite2-Country", 24, &networks)
}

/// In place of what is there, in one step.
fn put(place: &Place, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(place.path("new"), bytes).unwrap();
    fs::rename(place.path("new"), place.path(name)).unwrap();
}

fn paths(place: &Place, name: &str) -> String {
    place.path(name).display().to_string()
}

/// The numbers of the records that a query finds.
fn found(daemon: &Daemon, query: &str) -> BTreeSet<u64> {
    let hits = daemon.find(query).hits;
    hits.iter().map(|hit| hit.meta.id[..8].parse().unwrap()).collect()
}

/// The titles of alerts that stand, with the users that they are about.
fn standing(daemon: &Daemon) -> BTreeSet<String> {
    let user = |arn: &String| arn.rsplit('/').next().unwrap_or_default().to_owned();
    let of = |group: &std::collections::BTreeMap<String, String>| {
        group.values().map(user).collect::<Vec<_>>().join(" ")
    };
    alerts(daemon).iter().map(|it| format!("{} {}", it.rule.title, of(&it.group))).collect()
}

const RULES: &str = "
title: listed
logsource: { product: aws, service: cloudtrail }
detection: { selection: { ioc: exits }, condition: selection }
---
title: abroad
logsource: { product: aws, service: cloudtrail }
detection:
    selection: { eventName: GetObject, geo.country|exists: true }
    home: { geo.country: [DE, AT] }
    condition: selection and not home
---
title: any
logsource: { product: aws, service: cloudtrail }
detection: { selection: { userIdentity.arn|endswith: u5 }, condition: selection }
---
title: got
name: got
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: GetObject }, condition: selection }
---
title: two of one country
correlation:
    type: event_count
    rules: [got]
    group-by: [geo.country]
    timespan: 1h
    condition: { gte: 2 }
---
title: new country
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: GetObject }, condition: selection }
traildex:
    first_seen: { fields: [geo.country], history: 30d }
";

/// A change of a list or a database leads to the alerts of a hunt: rules that ask for them look at
/// everything again, and no other does.
#[test]
fn rules_look_at_everything_again_where_what_they_look_up_changes() {
    let place = Place::new();
    put(&place, "exits.txt", "203.0.113.1\n");
    put(&place, "geo.mmdb", cities("DE"));
    fs::create_dir(place.path("rules")).unwrap();
    put(&place, "rules/rules.yml", RULES);
    let place = place
        .clone()
        .with("IOC_FILES", &paths(&place, "exits.txt"))
        .with("GEO_DATABASES", &paths(&place, "geo.mmdb"))
        .with("RULES_DIRS", &paths(&place, "rules"));
    let daemon = place.start();
    deliver(&place.archive(), "a", &records());
    wait_current(&daemon, 6);
    let check = |daemon: &Daemon, expected: &[&str]| {
        let expected: BTreeSet<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        wait_until(PATIENCE, "the alerts are those of the files", || standing(daemon) == expected);
        wait_current(daemon, 6);
        assert_eq!(of_alerts(&alerts(daemon)), of_hunt(&daemon.socket, &place.path("rules")));
    };
    check(&daemon, &["listed u1", "any u5", "new country DE", "two of one country DE"]);
    let any = |daemon: &Daemon| {
        alerts(daemon).into_iter().find(|it| it.rule.title == "any").expect("it stands")
    };
    let before = any(&daemon);
    put(&place, "exits.txt", "203.0.113.2\n2001:db8::/64\n");
    check(
        &daemon,
        &["listed u2", "listed u4", "any u5", "new country DE", "two of one country DE"],
    );
    put(&place, "geo.mmdb", cities("FR"));
    let of_fr = [
        "abroad u1",
        "abroad u2",
        "abroad u4",
        "listed u2",
        "listed u4",
        "any u5",
        "new country FR",
        "two of one country FR",
    ];
    check(&daemon, &of_fr);
    // The same after a crash, and where the files changed meanwhile.
    daemon.kill();
    put(&place, "exits.txt", "10.0.0.1\n");
    let daemon = place.start();
    check(
        &daemon,
        &[
            "abroad u1",
            "abroad u2",
            "abroad u4",
            "listed u5",
            "any u5",
            "new country FR",
            "two of one country FR",
        ],
    );
    assert_eq!(any(&daemon), before);
    let client = Client::new(&daemon.socket);
    let withdrawn = AlertsRequest { withdrawn: Some(true), ..AlertsRequest::default() };
    // listed of u1, u2 and u4, and the country that it was.
    assert_eq!(client.alerts(&withdrawn).unwrap().total, 5);
}

#[test]
fn a_rule_whose_files_are_not_there_is_told_and_costs_no_other() {
    let place = Place::new();
    fs::create_dir(place.path("rules")).unwrap();
    put(&place, "rules/rules.yml", RULES);
    let rules = format!("[rules]\ndirs = ['{}']\n", paths(&place, "rules"));
    configure(&place, "", &rules);
    let daemon = place.start_from(&place.path("traildex.toml"));
    deliver(&place.archive(), "a", &records());
    let client = Client::new(&daemon.socket);
    let failed = || client.alerts(&AlertsRequest::default()).unwrap().rules.failed;
    wait_until(PATIENCE, "what cannot be asked is told", || failed().len() == 4);
    assert!(failed().iter().any(|why| why.contains("ioc.files names none")), "{:?}", failed());
    assert_eq!(standing(&daemon), BTreeSet::from(["any u5".to_owned()]));
    let ran = run(&[
        "hunt",
        "--socket",
        daemon.socket.to_str().unwrap(),
        "--rules",
        &paths(&place, "rules"),
    ]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("ioc.files names none"), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("any"), "{}", ran.stdout);

    // A reload has them.
    put(&place, "exits.txt", "203.0.113.1\n");
    put(&place, "geo.mmdb", cities("DE"));
    let more = format!(
        "{rules}[ioc]\nfiles = ['{}']\n[geo]\ndatabases = ['{}']\n",
        paths(&place, "exits.txt"),
        paths(&place, "geo.mmdb")
    );
    configure(&place, "", &more);
    let log = reload(&daemon, "done");
    assert!(log.contains("ioc.files") && log.contains("geo.databases"), "{log}");
    wait_until(PATIENCE, "nothing fails any more", || failed().is_empty());
    let expected =
        ["any u5", "listed u1", "new country DE", "two of one country DE"].map(str::to_owned);
    wait_until(PATIENCE, "all alerts are there", || {
        standing(&daemon) == BTreeSet::from(expected.clone())
    });
    // And another takes them away.
    configure(&place, "", &rules);
    reload(&daemon, "done");
    let request = SearchRequest { query: "ioc:*".into(), ..SearchRequest::default() };
    wait_until(PATIENCE, "nothing is looked up any more", || {
        daemon.client.search(&request).is_err()
    });
}

/// Files that are cut off, written into and removed while searches look values up: what was read stays, and
/// the answers say that it is not what is there.
#[test]
fn a_file_that_goes_bad_ends_no_search_and_is_told() {
    let place = Place::new();
    put(&place, "exits.txt", "203.0.113.1\n10.0.0.400\n");
    put(&place, "geo.mmdb", cities("DE"));
    let place = place
        .clone()
        .with("IOC_FILES", &paths(&place, "exits.txt"))
        .with("GEO_DATABASES", &paths(&place, "geo.mmdb"));
    let daemon = place.start();
    deliver(&place.archive(), "a", &records());
    daemon.wait_indexed(PATIENCE, 6);
    let told = |query: &str| daemon.find(query).warnings.join("\n");
    assert_eq!(found(&daemon, "geo.country:DE"), BTreeSet::from([1, 2, 4]));
    assert_eq!(found(&daemon, "ioc:*"), BTreeSet::from([1]));
    let bad =
        format!("{}:2: '10.0.0.400' is no address and no network", paths(&place, "exits.txt"));
    assert!(told("ioc:*").contains(&format!("'ioc' lacks some: {bad}")), "{}", told("ioc:*"));
    assert!(daemon.status().warnings.contains(&bad));
    assert!(!told("geo.country:DE").contains("lacks"));

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(&is_over);
        scope.spawn(|| {
            let client = Client::new(&daemon.socket);
            while !is_over.load(Ordering::Relaxed) {
                for query in ["geo.country:DE", "* | count by geo.country", "ioc:* geo.country:*"] {
                    let query = query.into();
                    client.search(&SearchRequest { query, ..SearchRequest::default() }).unwrap();
                }
            }
        });
        let whole = cities("DE");
        let problem = |is_there: bool| {
            wait_until(PATIENCE, "the database is told to be bad, or good again", || {
                told("geo.country:DE").contains("what it was before is used") == is_there
            });
            assert_eq!(found(&daemon, "geo.country:DE"), BTreeSet::from([1, 2, 4]));
        };
        // In place, as no tool should.
        fs::write(place.path("geo.mmdb"), &whole[..whole.len() / 2]).unwrap();
        problem(true);
        fs::write(place.path("geo.mmdb"), &whole).unwrap();
        problem(false);
        fs::remove_file(place.path("geo.mmdb")).unwrap();
        problem(true);
        put(&place, "geo.mmdb", cities("AT"));
        wait_until(PATIENCE, "the new one is read", || found(&daemon, "geo.country:AT").len() == 3);
    });
    assert_eq!(found(&daemon, "geo.country:DE"), BTreeSet::new());
    daemon.stop();
}

/// Ends a thread, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An index that is made anew looks values up, too.
#[test]
fn a_rebuild_keeps_what_is_looked_up() {
    let place = Place::new();
    put(&place, "exits.txt", "203.0.113.1\n");
    let place = place.clone().with("IOC_FILES", &paths(&place, "exits.txt"));
    let daemon = place.start();
    deliver(&place.archive(), "a", &records());
    daemon.wait_indexed(PATIENCE, 6);
    daemon.client.rebuild(&wire::RebuildRequest::default()).unwrap();
    daemon.wait_for(PATIENCE, "the index is made anew", |status| {
        status.rebuild.as_ref().is_some_and(|it| it.state == wire::RebuildState::Done)
    });
    assert_eq!(found(&daemon, "ioc:*"), BTreeSet::from([1]));
    deliver(&place.archive(), "b", &[from(6, "203.0.113.1")]);
    daemon.wait_indexed(PATIENCE, 7);
    assert_eq!(found(&daemon, "ioc:exits"), BTreeSet::from([1, 6]));
}
