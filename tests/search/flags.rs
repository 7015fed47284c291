//! The field `flag`: what is odd about events and their files, asked of a daemon. It finds what the
//! answer's `meta.flags` tell.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use wire::{ExportFormat, ExportRequest, ValuesRequest};

use crate::common::{Daemon, PATIENCE, Place, gzip, make_old};

fn record(id: &str, more: &str) -> String {
    format!(
        r#"{{"eventID":"{id}","eventTime":"2024-05-06T07:08:09Z","eventName":"GetObject",
            "eventSource":"s3.amazonaws.com","recipientAccountId":"111122223333"{more}}}"#
    )
}

/// Events of nine files, with the flags that each has.
const FLAGGED: [(&str, &[&str]); 11] = [
    ("plain", &[]),
    ("packed", &["in-_source"]),
    ("repaired", &["repaired"]),
    ("twice", &["duplicate-keys"]),
    ("twice and repaired", &["repaired", "duplicate-keys"]),
    ("later", &["future"]),
    ("shared", &["id-conflict"]),
    ("shared", &["id-conflict"]),
    ("first member", &["trailing-bytes"]),
    ("second member", &["second-member", "trailing-bytes"]),
    ("cut", &["cut-off"]),
];

fn daemon() -> (Place, Daemon) {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| fs::write(place.archive().join(name), bytes).unwrap();
    let records = |records: &[String]| format!("{{\"Records\":[{}]}}", records.join(","));
    let plain = [
        record("plain", ""),
        record("repaired", ",,"),
        record("twice", r#","eventName":"PutObject""#),
        record("twice and repaired", r#",,"eventName":"PutObject""#),
        record("shared", ""),
        record("later", "").replace("2024-05-06", "2035-05-06"),
    ];
    write("a.json", records(&plain).as_bytes());
    write("b.json", records(&[record("shared", r#","readOnly":true"#)]).as_bytes());
    let member = |id: &str| gzip(records(&[record(id, "")]).as_bytes());
    write("c.json.gz", &[member("first member"), member("second member"), b"xx".into()].concat());
    let cut = records(&[record("cut", "")]);
    write("d.json", &cut.as_bytes()[..cut.len() - 2]);
    make_old(&place.archive().join("d.json"));
    write("e.json", format!("{{\"_source\":{}}}", record("packed", "")).as_bytes());
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, FLAGGED.len() as u64);
    (place, daemon)
}

fn ids(daemon: &Daemon, query: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        daemon.find(query).hits.iter().map(|hit| hit.meta.id.clone()).collect();
    ids.sort_unstable();
    ids
}

/// The ids of the events whose flags pass a test.
fn expected(is_met: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let met = FLAGGED.iter().filter(|(_, flags)| is_met(flags));
    let mut ids: Vec<String> = met.map(|(id, _)| (*id).to_owned()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_flag_finds_the_events_that_have_it() {
    let (_place, daemon) = daemon();
    let told = |hit: &wire::Hit| (hit.meta.id.clone(), hit.meta.flags.clone());
    let mut all: Vec<_> = daemon.find("*").hits.iter().map(told).collect();
    all.sort();
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    let mut meant: Vec<_> =
        FLAGGED.iter().map(|(id, all)| ((*id).to_owned(), flags(all))).collect();
    meant.sort();
    assert_eq!(all, meant);

    for (query, is_met) in [
        ("flag:*", &(|flags: &[&str]| !flags.is_empty()) as &dyn Fn(&[&str]) -> bool),
        ("-flag:*", &|flags| flags.is_empty()),
        ("flag:repaired", &|flags| flags.contains(&"repaired")),
        ("flag:id-conflict", &|flags| flags.contains(&"id-conflict")),
        ("flag:cut-off", &|flags| flags.contains(&"cut-off")),
        ("flag:(future OR cut-off)", &|flags| {
            flags.contains(&"future") || flags.contains(&"cut-off")
        }),
        ("flag IN [future, cut-off]", &|flags| {
            flags.contains(&"future") || flags.contains(&"cut-off")
        }),
        ("flag:*-*", &|flags| flags.iter().any(|flag| flag.contains('-'))),
        ("flag:~REPAIRED", &|flags| flags.contains(&"repaired")),
        ("flag:/.*member/", &|flags| flags.contains(&"second-member")),
        ("flag LIKE in-", &|flags| flags.iter().any(|flag| flag.contains("in-"))),
        ("flag:duplicate-keys -flag:repaired", &|flags| {
            flags.contains(&"duplicate-keys") && !flags.contains(&"repaired")
        }),
        ("flag != repaired", &|flags| !flags.contains(&"repaired")),
        ("flag = eventName", &|_| false),
    ] {
        assert_eq!(ids(&daemon, query), expected(is_met), "{query}");
    }
    daemon.stop();
}

#[test]
fn flags_are_counted_shown_and_explained() {
    let (_place, daemon) = daemon();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, flags) in FLAGGED {
        let keys = if flags.is_empty() { &[""][..] } else { flags };
        for flag in keys {
            *counts.entry(*flag).or_default() += 1;
        }
    }
    let rows = |query: &str| daemon.find(query).table.unwrap().rows;
    let key = |flag: &str| if flag.is_empty() { Value::Null } else { json!(flag) };
    let mut by_flag: Vec<_> = counts.iter().map(|(flag, n)| vec![key(flag), json!(n)]).collect();
    // What has none comes last.
    by_flag.rotate_left(1);
    assert_eq!(rows("* | stats count by flag"), by_flag);
    assert_eq!(rows("count by flag | filter flag:repaired"), [[json!("repaired"), json!(2)]]);
    let different = counts.len() - 1;
    assert_eq!(rows("* | stats distinct(flag), count(flag)"), [[json!(different), json!(10)]]);
    let fields = rows("eventID:\"twice and repaired\" | fields flag, eventID");
    assert_eq!(fields, [[json!(["repaired", "duplicate-keys"]), json!("twice and repaired")]]);
    assert_eq!(rows("eventID:cut | fields flag"), [[json!("cut-off")]]);
    assert_eq!(rows("eventID:plain | fields flag"), [[Value::Null]]);
    let request = ValuesRequest { field: "flag".into(), ..ValuesRequest::default() };
    let values = daemon.client.values(&request).unwrap();
    assert_eq!((values.field.as_str(), values.values.len()), ("flag", different));
    let sorted = daemon.find("flag:* | sort flag | limit 1").hits;
    assert_eq!(sorted[0].meta.flags, ["cut-off"]);
    // Nothing found explains itself, and a name that is none is told.
    let why = daemon.find("flag:repair").explanation.unwrap();
    assert_eq!(why.conditions[0].events, 0);
    assert!(why.near.iter().any(|near| near.condition == "flag:repaired"), "{:?}", why.near);
    let request =
        wire::SearchRequest { query: "flags:repaired".into(), ..wire::SearchRequest::default() };
    let error = daemon.client.search(&request).unwrap_err().to_string();
    assert!(error.contains("did you mean 'flag'"), "{error}");
    let request = ExportRequest {
        query: "flag:cut-off | fields flag, eventID".into(),
        format: ExportFormat::Csv,
        ..ExportRequest::default()
    };
    let mut export = daemon.client.export(&request).unwrap();
    let mut csv = Vec::new();
    while let Some(bytes) = export.chunk().unwrap() {
        csv.extend(bytes);
    }
    assert_eq!(String::from_utf8(csv).unwrap(), "flag,eventID\ncut-off,cut\n");
    daemon.stop();
}
