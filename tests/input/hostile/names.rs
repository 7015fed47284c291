//! Files whose names are the attack.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use wire::{FileState, FilesRequest};

use super::place;
use crate::common::{PATIENCE, record, run, trail};

/// What a terminal would obey: ESC, a C1 control character, BEL, and text from right to left.
const ESCAPES: &str = "\u{1b}[31m\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}";

fn has_controls(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}')
}

/// A name with a line break could forge a line of the log, or of a table; one with escape sequences
/// could hide itself and others.
#[test]
fn names_are_shown_and_never_obeyed() {
    let place = place().with("WATCH_UNFINISHED_S", "1");
    let long = format!("{}.json", "n".repeat(250));
    let names = [
        format!("{ESCAPES}good.json"),
        "line\nINFO traildex: all is well\n.json".to_owned(),
        "cr\r.json".to_owned(),
        "quote\"back\\slash'$(id)`;&|.json".to_owned(),
        "%s%n%00..%2f.json".to_owned(),
        "日本語 \u{301}.json".to_owned(),
        long,
        " .json".to_owned(),
        "-rf.json".to_owned(),
    ];
    for (number, name) in names.iter().enumerate() {
        fs::write(place.archive().join(name), trail(&[&format!("named-{number}")])).unwrap();
        let bad = format!("bad {name}").chars().take(80).collect::<String>() + ".json";
        fs::write(place.archive().join(bad), "what is this").unwrap();
    }
    let odd = b"not\xFF\xC3utf8\x1b[2J.json";
    fs::write(place.archive().join(OsStr::from_bytes(odd)), record("never")).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, names.len() as u64);
    daemon.wait_for(PATIENCE, "every file is listed", |status| {
        status.files.rejected == names.len() as u64 && status.files.skipped == 1
    });
    for (number, name) in names.iter().enumerate() {
        let found = daemon.find(&format!("id:named-{number}"));
        assert_eq!(found.hits.len(), 1, "{name:?}");
        assert!(found.hits[0].meta.file.ends_with(&format!("/{name}")));
    }
    let skipped = FilesRequest { state: Some(FileState::Skipped), ..FilesRequest::default() };
    let skipped = daemon.files(&skipped).files;
    assert_eq!(skipped[0].reading.reason.as_deref(), Some("its path is not UTF-8"));
    assert_eq!(daemon.count("id:never"), 0);

    let log = daemon.log();
    assert!(!has_controls(&log), "{log:?}");
    assert!(log.lines().all(|line| line.starts_with("20")), "no line is forged: {log}");
    let socket = daemon.socket.to_str().unwrap();
    for args in [
        &["files", "--socket", socket][..],
        &["files", "--socket", socket, "--state", "skipped"],
        &["files", "--socket", socket, "--by", "account,region,day"],
        &["search", "--socket", socket, "named*"],
        &["event", "--socket", socket, "named-0"],
        &["status", "--socket", socket],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
        assert!(!has_controls(&ran.stdout), "{args:?}: {:?}", ran.stdout);
        assert!(!has_controls(&ran.stderr), "{args:?}: {:?}", ran.stderr);
        let is_forged = |line: &str| line.starts_with("INFO traildex");
        assert!(!ran.stdout.lines().any(is_forged), "{args:?}: {}", ran.stdout);
    }
    // What programs read is JSON, and nothing of it is another text.
    for format in ["json", "ndjson"] {
        let ran = run(&["files", "--socket", socket, "--format", format]);
        assert!(
            !ran.stdout.contains(|c: char| c.is_ascii_control() && c != '\n'),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
    daemon.stop();
}
