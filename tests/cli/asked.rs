//! Commands that ask, in what they print and take: words that begin with a dash, explanations, exports by
//! a file's name, saved searches, spans of time.

use std::collections::BTreeSet;
use std::fs;

use wire::SearchResponse;

use crate::common::{Daemon, Ran, records_below, run, sample, shared_daemon};

/// Runs a command that asks the shared daemon.
fn ask(daemon: &Daemon, args: &[&str]) -> Ran {
    let mut command = crate::common::traildex();
    command.args(args).env("TRAILDEX_SOCKET", &daemon.socket);
    command.stdin(std::process::Stdio::null()).output().unwrap().into()
}

#[track_caller]
fn check_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
}

#[test]
fn a_word_that_begins_with_a_dash_leaves_events_out() {
    let daemon = shared_daemon();
    let records = records_below(&sample("invictus"));
    let without = records.iter().filter(|record| record.json["errorCode"].is_null()).count() as u64;
    let of = |args: &[&str]| {
        let ran = ask(&daemon, args);
        check_code(&ran, 0);
        serde_json::from_str::<SearchResponse>(&ran.stdout).unwrap().total.value
    };
    for args in [
        &["search", "-errorCode:*", "--format", "json"][..],
        &["search", "--format", "json", "--limit", "1", "-errorCode:*"],
        &["search", "--format=json", "--", "-errorCode:*"],
        &["search", "--format", "json", "--since", "-9999d", "-errorCode:*"],
    ] {
        assert_eq!(of(args), without, "{args:?}");
    }
    let in_two = of(&["search", "-errorCode:*", "-eventName:Decrypt", "--format", "json"]);
    assert!(in_two < without);
    let ran = ask(&daemon, &["export", "-errorCode:*", "-o", "/dev/stdout"]);
    assert_ne!(ran.code, 2, "{}", ran.stderr);
    // A flag that there is not is one all the same.
    let ran = ask(&daemon, &["search", "--errorCode"]);
    check_code(&ran, 2);
    assert!(ran.stderr.contains("unexpected argument"), "{}", ran.stderr);
    check_code(&ask(&daemon, &["search", "-h"]), 0);
}

#[test]
fn nothing_found_says_why_on_standard_error_and_in_json() {
    let daemon = shared_daemon();
    let ran = ask(&daemon, &["search", "eventName:assumerole"]);
    check_code(&ran, 1);
    assert_eq!(ran.stdout, "");
    let told = "instead of eventName:assumerole: eventName:AssumeRole, 49 events (another case)";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let ran = ask(&daemon, &["search", "eventName:assumerole", "--format", "json"]);
    let answer: SearchResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer.explanation.unwrap().near[0].condition, "eventName:AssumeRole");
    assert_eq!(ran.stderr, "");
}

#[test]
fn explain_is_shown_with_a_table() {
    let daemon = shared_daemon();
    let ran = ask(&daemon, &["search", "eventName:AssumeRole -errorCode:*", "--explain"]);
    check_code(&ran, 0);
    for told in ["finds     eventName:AssumeRole: 49 events, ", "segments  ", "step      plan, "] {
        assert!(ran.stderr.contains(told), "{told} in\n{}", ran.stderr);
    }
}

#[test]
fn a_timeline_shows_empty_spans_unless_they_are_left_out() {
    let daemon = shared_daemon();
    let query = "eventName:AssumeRole | timeline 1m";
    let all = ask(&daemon, &["search", query, "--format", "csv"]);
    let some = ask(&daemon, &["search", query, "--format", "csv", "--no-empty"]);
    let is_empty = |line: &&str| line.ends_with(",0");
    assert!(all.stdout.lines().any(|line| is_empty(&line)), "{}", all.stdout);
    assert!(!some.stdout.lines().any(|line| is_empty(&line)), "{}", some.stdout);
    let filled: Vec<&str> = all.stdout.lines().filter(|line| !is_empty(line)).collect();
    assert_eq!(filled, some.stdout.lines().collect::<Vec<_>>());
}

#[test]
fn an_export_takes_its_format_from_the_files_name_and_counts() {
    let daemon = shared_daemon();
    let folder = tempfile::tempdir().unwrap();
    let export = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        let ran = ask(&daemon, &[&["export", "--output", path.to_str().unwrap()], args].concat());
        (ran, path)
    };
    let records = records_below(&sample("invictus"));
    let decrypts = records.iter().filter(|record| record.json["eventName"] == "Decrypt").count();
    for name in ["a.ndjson", "a.jsonl", "a", "a.csv", "a.CSV", "a.parquet"] {
        let (ran, path) = export(name, &["eventName:Decrypt"]);
        check_code(&ran, 0);
        assert!(ran.stderr.contains(&format!("{decrypts} events exported to ")), "{}", ran.stderr);
        let bytes = fs::read(&path).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        match name.to_lowercase().as_str() {
            "a.parquet" => assert!(bytes.starts_with(b"PAR1"), "{name}"),
            "a.csv" => {
                assert!(bytes.starts_with(b"time,actor,"), "{name}");
                assert_eq!(lines, decrypts + 1);
            }
            _ => {
                assert!(bytes.starts_with(b"{"), "{name}");
                assert_eq!(lines, decrypts);
            }
        }
    }
    let (ran, path) = export("a.csv.gz", &["eventName:Decrypt"]);
    check_code(&ran, 2);
    assert!(ran.stderr.contains("no export is written as .gz"), "{}", ran.stderr);
    assert!(!path.exists());
    let (ran, path) = export("b.gz", &["eventName:Decrypt", "--format", "csv"]);
    check_code(&ran, 0);
    assert!(fs::read(&path).unwrap().starts_with(b"time,"));
    // Line ends in cells are no events.
    let (ran, _) = export("c.csv", &["* | count by errorMessage"]);
    let messages: BTreeSet<String> =
        records.iter().map(|record| record.json["errorMessage"].to_string()).collect();
    assert!(ran.stderr.starts_with(&format!("{} rows exported", messages.len())), "{}", ran.stderr);
}

#[test]
fn columns_are_those_that_are_asked_for() {
    let daemon = shared_daemon();
    let args = ["export", "--format", "csv", "--columns", "eventID,action", "eventName:AssumeRole"];
    let ran = ask(&daemon, &args);
    check_code(&ran, 0);
    let mut lines = ran.stdout.lines();
    assert_eq!(lines.next(), Some("eventID,action"));
    let found: BTreeSet<&str> = lines.collect();
    let records = records_below(&sample("invictus"));
    let expected: Vec<String> = records
        .iter()
        .filter(|record| record.json["eventName"] == "AssumeRole")
        .map(|record| format!("{},AssumeRole", record.json["eventID"].as_str().unwrap()))
        .collect();
    assert_eq!(found, expected.iter().map(String::as_str).collect());
    let ran = ask(&daemon, &["export", "--format", "csv", "--columns", "evntName"]);
    check_code(&ran, 2);
    assert!(ran.stderr.contains("did you mean 'eventName'?"), "{}", ran.stderr);
}

#[test]
fn saved_searches_are_shown_and_an_empty_list_says_so() {
    let place = crate::common::Place::new();
    let daemon = place.start();
    let ran = ask(&daemon, &["saved", "list"]);
    check_code(&ran, 0);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("no search is saved yet"), "{}", ran.stderr);
    let set =
        ["saved", "set", "keys", "-error:* user:$user", "--default", "user=x", "--since", "-7d"];
    check_code(&ask(&daemon, &set), 0);
    let ran = ask(&daemon, &["saved", "show", "keys"]);
    check_code(&ran, 0);
    for line in ["query  -error:* user:$user", "since  -7d", "value  user=x"] {
        assert!(ran.stdout.lines().any(|shown| shown == line), "{line} in\n{}", ran.stdout);
    }
    let ran = ask(&daemon, &["saved", "show", "other"]);
    check_code(&ran, 1);
    assert!(ran.stderr.contains("no search is saved as 'other'"), "{}", ran.stderr);
    daemon.stop();
    // Without a daemon, too.
    let data_dir = place.data_dir();
    let ran = run(&["saved", "show", "keys", "--data-dir", data_dir.to_str().unwrap()]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("user:$user"), "{}", ran.stdout);
}
