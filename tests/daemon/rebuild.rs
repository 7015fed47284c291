//! Checks of an index, and making it anew: by a daemon and without one.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::Value;
use wire::{ErrorKind, RebuildRequest, RebuildState, SearchResponse, VerifyReport};

use super::damage::{damage, indexed_place, refusal, segment_files};
use crate::common::{PATIENCE_BULK, Place, copy_invictus, files_below, run, trail};

#[test]
fn a_rebuild_refuses_to_lose_events_unless_told_to() {
    let place = indexed_place();
    let daemon = place.start();
    let (kept, gone): (Vec<_>, Vec<_>) =
        files_below(&place.archive()).into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    for (_, path) in &gone {
        fs::remove_file(path).unwrap();
    }
    let (kind, message) = refusal(daemon.client.rebuild(&RebuildRequest::default()).unwrap_err());
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(message.starts_with(&format!("{} files", gone.len())), "{message}");
    assert_eq!(daemon.status().rebuild, None);
    let socket = daemon.socket.to_str().unwrap();
    let output = run(&["rebuild", "--socket", socket]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("--accept-loss"), "{}", output.stderr);
    assert_eq!(daemon.count("*"), 2_900);

    let output = run(&["rebuild", "--accept-loss", "--socket", socket]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let status = daemon.status();
    assert_eq!(status.files.indexed, kept.len() as u64);
    assert!(status.events.indexed < 2_900);
    assert_eq!(daemon.count("*"), status.events.indexed);
    // Hints work as before.
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    daemon.wait_count("eventID:new", 1);
    daemon.stop();
    let daemon = place.start();
    assert_eq!(daemon.count("*"), status.events.indexed + 1);
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
}

#[test]
fn searches_see_the_old_index_while_the_new_one_is_made() {
    let place = Place::new().with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    copy_invictus(&place.archive(), 3);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 8_700);
    daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    let mut seen_rebuilding = 0;
    while daemon.status().rebuild.unwrap().state == RebuildState::Running {
        assert_eq!(daemon.count("*"), 8_700);
        seen_rebuilding += 1;
    }
    assert!(seen_rebuilding > 0);
    let rebuild = daemon.status().rebuild.unwrap();
    assert_eq!((rebuild.state, rebuild.events), (RebuildState::Done, 8_700));
    let again = daemon.client.rebuild(&RebuildRequest::default());
    assert!(again.is_ok(), "and again");
    let (kind, _) = refusal(daemon.client.rebuild(&RebuildRequest::default()).unwrap_err());
    assert_eq!(kind, ErrorKind::Conflict, "one at a time");
    // Ended in the middle: the old index is there.
    daemon.stop();
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 8_700);
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
}

/// The archive is whole when the rebuild begins, and is not when it reads it.
#[test]
fn a_rebuild_that_finds_less_than_the_old_index_has_is_given_up() {
    let place = indexed_place();
    let daemon = place.start();
    // Its files are there with their sizes and times, and what they said is not.
    for path in files_below(&place.archive()).into_iter().take(10) {
        let metadata = fs::metadata(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&vec![b' '; metadata.len() as usize], 0).unwrap();
        file.set_modified(metadata.modified().unwrap()).unwrap();
    }
    let socket = daemon.socket.to_str().unwrap();
    let output = run(&["rebuild", "--socket", socket]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("the old index stays"), "{}", output.stderr);
    let rebuild = daemon.status().rebuild.unwrap();
    assert_eq!(rebuild.state, RebuildState::Failed);
    assert_eq!(daemon.count("*"), 2_900);
    assert_eq!(daemon.verified().problems, []);
    // The old index is written to again.
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    daemon.wait_count("eventID:new", 1);
    daemon.stop();
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 2_901);
    daemon.stop();
}

fn verify_offline(place: &Place) -> (i32, VerifyReport, String) {
    let data_dir = place.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let output = run(&["verify", "--data-dir", data_dir, "--format", "json"]);
    let report =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    let text = run(&["verify", "--data-dir", data_dir]);
    assert_eq!(text.code, output.code);
    (output.code, report, text.stdout)
}

#[test]
fn verify_without_a_daemon_names_what_is_wrong_and_changes_nothing() {
    let place = indexed_place();
    let (code, report, text) = verify_offline(&place);
    assert_eq!((code, report.problems.len()), (0, 0));
    assert_eq!((report.events, report.files), (2_900, 55));
    assert!(text.starts_with("nothing is wrong: "), "{text}");

    damage(&segment_files(&place, "fast")[0]);
    let before = files_below(&place.data_dir());
    let (code, report, text) = verify_offline(&place);
    assert_eq!(code, 4);
    assert_eq!(Path::new(&report.problems[0].path).extension().unwrap(), "fast", "{report:?}");
    assert!(text.contains(".fast") && text.contains("problem"), "{text}");
    assert_eq!(files_below(&place.data_dir()), before, "nothing is set aside");

    let daemon = place.start();
    let data_dir = place.data_dir();
    let output = run(&["verify", "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("used by another traildex process"), "{}", output.stderr);
    daemon.stop();
    let output = run(&["verify", "--data-dir", "/nonexistent"]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("/nonexistent"), "{}", output.stderr);
}

/// The ledger says of a file what its events do not.
#[test]
fn verify_compares_the_ledger_with_the_events() {
    let place = indexed_place();
    // A ledger that is whole by its hash, and says too much.
    let ledger = place.data_dir().join("files.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    let first = text.lines().next().unwrap();
    let mut line: Value = serde_json::from_str(first).unwrap();
    let records = line["records"].as_u64().unwrap();
    let path = line["path"].as_str().unwrap().to_owned();
    line["records"] = (records + 1).into();
    let text = text.replacen(first, &line.to_string(), 1);
    fs::write(&ledger, &text).unwrap();
    let manifest = place.data_dir().join("manifest.json");
    let json = fs::read_to_string(&manifest).unwrap();
    let mut json: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    json["ledger"]["bytes"] = text.len().into();
    let hash = |text: &str| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
    json["ledger"]["xxh3"] = hash(&text).into();
    let json = json.to_string();
    fs::write(&manifest, format!("{json}\n{}\n", hash(&json))).unwrap();
    let (code, report, _) = verify_offline(&place);
    assert_eq!(code, 4);
    let [problem] = report.problems.as_slice() else { panic!("{report:#?}") };
    assert_eq!(problem.path, path);
    assert_eq!(problem.problem, format!("{records} events in place of {}", records + 1));
}

#[test]
fn rebuild_without_a_daemon_makes_the_index_anew() {
    let place = indexed_place();
    for path in segment_files(&place, "idx") {
        damage(&path);
    }
    let (data_dir, archive) = (place.data_dir(), place.archive());
    let (data_dir, archive) = (data_dir.to_str().unwrap(), archive.to_str().unwrap());
    let offline = ["rebuild", "--offline", "--data-dir", data_dir, "--watch"];
    let output = run(&[&offline[..], &[archive]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("set aside"), "{}", output.stderr);
    let (code, report, _) = verify_offline(&place);
    assert_eq!((code, report.events, report.files), (0, 2_900, 55), "{report:?}");
    let daemon = place.start();
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    daemon.stop();

    let empty = tempfile::tempdir().unwrap();
    fs::remove_dir_all(place.archive()).unwrap();
    let empty = empty.path().to_str().unwrap();
    let output = run(&[&offline[..], &[empty]].concat());
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains("55 files"), "{}", output.stderr);
    assert_eq!(verify_offline(&place).1.events, 2_900, "nothing was lost by asking");
}

/// The records are in the index: nothing is read of the archive, which is gone.
#[test]
fn rebuild_from_records_needs_no_archive() {
    let place = indexed_place();
    let daemon = place.start();
    let expected = daemon.find("*");
    daemon.stop();
    fs::remove_dir_all(place.archive()).unwrap();
    fs::create_dir(place.archive()).unwrap();
    let before = segment_files(&place, "idx");
    let data_dir = place.data_dir();
    let args = ["rebuild", "--offline", "--from-records", "--data-dir"];
    let output = run(&[&args[..], &[data_dir.to_str().unwrap()]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("2,900 events of 55 files"), "{}", output.stderr);
    let after = segment_files(&place, "idx");
    assert!(after.iter().all(|path| !before.contains(path)), "all segments are new");
    let (code, report, _) = verify_offline(&place);
    assert_eq!((code, report.events, report.files), (0, 2_900, 55), "{report:?}");
    let daemon = place.start();
    let found = daemon.find("*");
    assert_eq!(found.warnings, [""; 0]);
    let text = |found: &SearchResponse| serde_json::to_string(&found.hits).unwrap();
    assert!(text(&found) == text(&expected), "records, files, offsets, flags, order are the same");
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    daemon.stop();
}

#[test]
fn import_into_a_damaged_index_says_so_and_heals_it() {
    let place = indexed_place();
    damage(&segment_files(&place, "keys")[0]);
    let (data_dir, archive) = (place.data_dir(), place.archive());
    let output =
        run(&["import", archive.to_str().unwrap(), "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("warning: a segment of "), "{}", output.stderr);
    let (code, report, _) = verify_offline(&place);
    assert_eq!((code, report.events), (0, 2_900));
}
