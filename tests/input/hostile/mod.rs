//! What an attacker may have written: one bad file or record never costs another. Every file of `cases`
//! is read by a real daemon in one archive, and comes to what its case says: its entry in the ledger, with
//! byte and reason; and its records, each found by a search, and as it was delivered.

mod cases;
mod flood;
mod names;

use std::fs;

use wire::{FileEntry, FilesRequest};

use crate::common::{Daemon, PATIENCE_BULK, Place, make_old, record, run, trail};
use cases::{Case, cases};

/// Bounds small enough to be passed by files that are quickly made.
pub const FILE_BYTES_MAX: usize = 24 << 20;

/// What the daemon may take, at any moment that is looked at. The sum that `check-config` prints for
/// these bounds is above it.
const MEMORY_KB_MAX: u64 = 400 << 10;

pub fn place() -> Place {
    Place::new()
        .with("INGEST_FILE_BYTES_MAX", &FILE_BYTES_MAX.to_string())
        .with("INGEST_THREADS", "2")
        .with("WATCH_UNFINISHED_S", "1")
}

/// An entry as a case states it.
fn described(file: &FileEntry) -> String {
    let reading = &file.reading;
    let mut text = format!("{} {}", file.state, reading.records);
    for (count, what) in [
        (reading.duplicates, "duplicate"),
        (reading.repaired, "repaired"),
        (reading.conflicting, "conflicting"),
        (reading.rejected, "rejected"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    for flag in &reading.flags {
        text.push_str(&format!(", {flag}"));
    }
    let first = reading.rejects.first().map(|reject| &reject.reason);
    if let Some(reason) = reading.reason.as_ref().filter(|reason| first != Some(reason)) {
        text.push_str(&format!("; {reason}"));
    }
    let listed = if reading.rejected > 2_000 { 0 } else { 3 };
    for reject in reading.rejects.iter().take(listed) {
        text.push_str(&format!("; byte {}: {}", reject.offset, reject.reason));
    }
    text
}

/// Each record is found by its search, alone, and is what was delivered.
fn check_events(daemon: &Daemon, case: &Case) {
    for event in &case.events {
        let found = daemon.find(&event.query);
        assert_eq!(found.total.value, 1, "{}: {}", case.name, event.query);
        let hit = &found.hits[0];
        let delivered = hit.meta.raw.as_deref().unwrap_or(hit.event.get());
        assert!(delivered == String::from_utf8_lossy(&event.raw), "{}: {}", case.name, event.query);
        assert_eq!(hit.meta.flags.join(" "), event.flags, "{}: {}", case.name, event.query);
        assert!(hit.meta.file.ends_with(case.name));
    }
    let good = format!("good-{}", case.name);
    if memchr::memmem::find(&case.bytes, good.as_bytes()).is_some() {
        assert_eq!(daemon.count(&format!("id:\"{good}\"")), 1, "{good} lies beside what is odd");
    }
}

#[test]
fn every_odd_file_comes_to_what_its_case_says_and_costs_no_other() {
    let place = place();
    let archive = place.archive();
    let cases = cases();
    for case in &cases {
        let path = archive.join(case.name);
        fs::write(&path, &case.bytes).unwrap();
        make_old(&path);
        // A good one beside each, before and behind it in the order of names.
        fs::write(archive.join(format!("{}.json", case.name)), trail(&[case.name])).unwrap();
    }
    let daemon = place.start();
    let files = 2 * cases.len() as u64;
    let mut most = 0;
    daemon.wait_for(PATIENCE_BULK, "every file is read", |status| {
        most = most.max(daemon.own_kb());
        status.files.seen == files && status.files.pending == 0
    });
    println!("{files} files, at most {} MB", most >> 10);
    assert!(most < MEMORY_KB_MAX, "{most} kB");

    let mut wrong = Vec::new();
    for case in &cases {
        let found = described(&daemon.file(case.name));
        if found != case.expected {
            wrong.push(format!("{}\n  expected {}\n  found    {found}", case.name, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for case in &cases {
        check_events(&daemon, case);
        assert_eq!(daemon.count(&format!("id:\"{}\"", case.name)), 1);
    }
    let status = daemon.status();
    assert!(status.is_ingesting && status.fault.is_none(), "{status:#?}");
    assert!(!daemon.log().contains("panic"));
    assert!(daemon.verified().problems.is_empty());

    // The command names file, byte and reason, too.
    let socket = daemon.socket.to_str().unwrap();
    let listed = run(&["files", "--socket", socket, "--path", "middle.json", "--limit", "9"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("/middle.json\n"), "{}", listed.stdout);
    assert!(listed.stdout.contains("byte 268: not JSON: expected true"), "{}", listed.stdout);
    daemon.stop();
}

/// What was rejected stays so after a restart, and nothing is read again.
#[test]
fn a_restart_after_odd_files_finds_nothing_new() {
    let place = place();
    for case in cases().iter().filter(|case| case.bytes.len() < 1 << 20) {
        let path = place.archive().join(case.name);
        fs::write(&path, &case.bytes).unwrap();
        make_old(&path);
    }
    let all = FilesRequest { limit: Some(10_000), ..FilesRequest::default() };
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "every file is read", |status| {
        status.files.seen > 30 && status.files.pending == 0
    });
    let (files, events) = (daemon.files(&all), daemon.count("*"));
    daemon.stop();
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "the archive is scanned", |status| {
        status.lag.last_scan_s.is_some() && status.files.pending == 0
    });
    assert_eq!(daemon.files(&all), files);
    assert_eq!(daemon.count("*"), events);
    fs::write(place.archive().join("after.json"), record("after")).unwrap();
    daemon.wait_count("id:after", 1);
    daemon.stop();
}
