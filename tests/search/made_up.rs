//! Records with thousands of made-up names, written before genuine ones and more of them: every field
//! is found, and the index keeps its size in columns.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use wire::{FieldsRequest, SearchRequest, SearchResponse};

use crate::common::{Daemon, PATIENCE_BULK, Place};

const FILES: u64 = 24;
const NAMES: u64 = 2_000;

fn record(id: &str, minute: u64, parameters: &Value) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": format!("2024-05-06T07:{minute:02}:09Z"),
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1", "eventID": id, "recipientAccountId": "000000000001",
        "userIdentity": { "type": "Root", "accountId": "000000000001" },
        "requestParameters": parameters,
    })
}

/// The made-up record of a file comes first; the genuine one has a field that real records have, and
/// one that nobody knows.
fn write(place: &Place, n: u64) {
    let mut names: BTreeMap<String, Value> = BTreeMap::new();
    for k in 0..NAMES {
        let value = if k % 2 == 0 { json!("made up") } else { json!(n) };
        names.insert(format!("k{n}x{k}"), value);
    }
    names.insert("below".to_owned(), json!({ format!("deep{n}"): [n, "two"] }));
    names.insert(format!("kinds{n}"), json!(["abc", true, 5]));
    let records = [
        record(&format!("made-up-{n}"), n, &json!(names)),
        record(&format!("genuine-{n}"), n, &json!({ "bucketName": "b", "ownField": n })),
    ];
    let path = place.archive().join(format!("{n}.json"));
    fs::write(path, json!({ "Records": records }).to_string()).unwrap();
}

fn check(daemon: &Daemon) {
    let path = |name: &str| format!("requestParameters.{name}");
    for n in [0, FILES / 2, FILES - 1] {
        for k in [0, NAMES / 2, NAMES - 2] {
            let (text, number) = (path(&format!("k{n}x{k}")), path(&format!("k{n}x{}", k + 1)));
            assert_eq!(daemon.count(&format!("{text}:\"made up\"")), 1, "{text}");
            assert_eq!(daemon.count(&format!("{text}:*")), 1);
            assert_eq!(daemon.count(&format!("{text}:MADE*")), 0);
            assert_eq!(daemon.count(&format!("{text}:made*")), 1);
            assert_eq!(daemon.count(&format!("NOT {text}:*")), 2 * FILES - 1);
            assert_eq!(daemon.count(&format!("{number}:{n}")), 1);
            assert_eq!(daemon.count(&format!("{number} > {n}")), 0);
            assert_eq!(daemon.count(&format!("{number} >= {n}")), 1);
            let table = table(daemon, &format!("{number}:* | count by {number}"));
            assert_eq!(table, [json!([n, 1])]);
        }
        assert_eq!(daemon.count(&format!("{}:two", path(&format!("below.deep{n}")))), 1);
        // Of values of several kinds, numbers are the smallest and the largest.
        let kinds = path(&format!("kinds{n}"));
        let edges = table(daemon, &format!("{kinds}:* | stats min({kinds}), max({kinds})"));
        assert_eq!(edges, [json!([5, 5])]);
    }
    assert_eq!(daemon.count(&format!("{}:*", path("below"))), FILES);
    assert_eq!(daemon.count("requestParameters:*"), 2 * FILES);
    assert_eq!(daemon.count("\"made up\""), FILES, "words are found without a field");
    // What is genuine: by its short name too, and in the list.
    assert_eq!(daemon.count("bucketName:b"), FILES);
    assert_eq!(daemon.count("ownField:*"), FILES);
    assert_eq!(daemon.count("ownField >= 3"), FILES - 3);
    assert_eq!(table(daemon, "bucketName:* | stats max(ownField)"), [json!([FILES - 1])]);
    for field in ["bucketName", "ownField"] {
        let prefix = Some(field.to_owned());
        let request = FieldsRequest { prefix, limit: Some(10), values: None };
        let listed = daemon.client.fields(&request).unwrap();
        assert_eq!(listed.fields.len(), 1);
        assert_eq!(listed.fields[0].events, FILES);
        assert!(
            listed.warnings.iter().any(|warning| is_told(warning)),
            "the list says that it lacks some"
        );
    }
    let unknown = SearchRequest { query: "k0x99999:*".into(), ..SearchRequest::default() };
    let error = daemon.client.search(&unknown).unwrap_err().to_string();
    assert!(error.contains("unknown field"), "{error}");
    let error = daemon.client.event("no-such-id").unwrap_err().to_string();
    assert!(error.contains("no event") && !is_told(&error), "{error}");
    assert!(daemon.status().warnings.iter().any(|warning| is_told(warning)));
}

fn is_told(warning: &str) -> bool {
    warning.contains("more different fields than the index lists")
}

fn table(daemon: &Daemon, query: &str) -> Vec<Value> {
    let SearchResponse { table, .. } = daemon.find(query);
    table.unwrap().rows.into_iter().map(|row| json!(row)).collect()
}

#[test]
fn made_up_names_hide_nothing_and_push_nothing_out() {
    let log = index_and_check("");
    assert!(!log.contains("a segment stays as it is"), "{log}");
}

#[test]
fn a_merge_that_would_hold_too_much_of_made_up_names_leaves_segments_as_they_are() {
    let log = index_and_check("overflow-merged-max=return(8000)");
    assert!(
        log.contains("a merge would hold") && log.contains("a segment stays as it is"),
        "{log}"
    );
}

/// Indexes all files, and checks the answers, also after a start; returns the log.
fn index_and_check(failpoints: &str) -> String {
    let place = Place::new()
        .with("INGEST_COMMIT_AGE_MS_MAX", "100")
        .with("INGEST_COMMIT_IDLE_MS", "10")
        .with("WATCH_SETTLE_MS", "50");
    let start = || {
        let mut command = place.serve_command();
        command.env("FAILPOINTS", failpoints);
        place.spawn(command)
    };
    let daemon = start();
    // A segment for each of the first, which are merged; then several files at once.
    for n in 0..FILES {
        write(&place, n);
        if n < FILES / 2 {
            daemon.wait_indexed(PATIENCE_BULK, 2 * (n + 1));
        }
    }
    daemon.wait_indexed(PATIENCE_BULK, 2 * FILES);
    check(&daemon);
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
    let daemon = start();
    check(&daemon);
    let log = daemon.log();
    daemon.stop();
    log
}
