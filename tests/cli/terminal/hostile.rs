//! What strangers write into records, names of files and queries: a terminal gets none of it raw, in
//! any format of any command; a pipe gets data byte by byte.

use std::fs;
use std::process::Command;

use crate::common::{Daemon, PATIENCE, Place, record, run};

use super::screen::Terminal;

/// Text that drives a terminal, is not seen, or is seen elsewhere; a part between `<` and `>` each.
const HOSTILE: &str = "<\x1b]0;pwned\x07><\x1b[2J><\u{9b}31m><\u{202e}fdp><ro\u{200b}ot><ad\u{ad}min>\
    <root\u{e0041}><\u{feff}><\u{2066}x\u{2069}><a\u{a0}b><\u{3164}><\u{fe0f}><\r\n><\u{2028}>";

fn is_hostile(c: char) -> bool {
    HOSTILE.contains(c) && !c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

fn hostile() -> (Place, Daemon) {
    let place = Place::new();
    let text = serde_json::to_string(HOSTILE).unwrap();
    // As it is where JSON allows it, and escaped where it does not.
    let record = |id: &str| {
        let more = format!(
            "{{\"userAgent\":{text},\"requestParameters\":{{{text}:{text}}},\"errorMessage\":{text},\
             \"errorCode\":{text},"
        );
        record(id).replacen('{', &more, 1).replace("GetObject", "Bad")
    };
    let trail = format!("{{\"Records\":[{},\n\t{}]}}", record("e1"), record("e2"));
    let name = HOSTILE.replace('\n', "");
    fs::write(place.archive().join(format!("{name}.json")), trail).unwrap();
    fs::write(place.archive().join(format!("broken{name}.json")), "{").unwrap();
    let place = place.with("WATCH_SETTLE_MS", "10").with("WATCH_UNFINISHED_S", "1");
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    (place, daemon)
}

const QUERIES: [&str; 3] = [
    "eventName:Bad",
    "eventName:Bad | fields userAgent, errorCode",
    "count by userAgent, errorCode",
];

#[test]
fn a_terminal_gets_nothing_raw_in_any_format_of_any_command() {
    let (_place, daemon) = hostile();
    let wrong = format!("eventName:( {HOSTILE}");
    let unknown = format!("field{HOSTILE} = 1");
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for format in ["table", "json", "ndjson", "csv"] {
        for query in QUERIES {
            commands.push(vec!["search", query, "--format", format]);
        }
        commands.push(vec!["values", "userAgent", "--format", format]);
        commands.push(vec!["fields", "--values", "3", "--format", format]);
        commands.push(vec!["files", "--format", format]);
        commands.push(vec!["files", "--by", "account", "--format", format]);
    }
    for query in QUERIES {
        commands.push(vec!["export", query, "--format", "csv"]);
        commands.push(vec!["export", query, "--format", "ndjson"]);
    }
    for format in ["text", "json"] {
        commands.push(vec!["event", "e1", "--format", format]);
        commands.push(vec!["status", "--format", format]);
        commands.push(vec!["verify", "--format", format]);
    }
    commands.push(vec!["search", &wrong]);
    commands.push(vec!["search", &unknown]);
    commands.push(vec!["event", HOSTILE]);
    commands.push(vec!["saved", "run", HOSTILE]);
    let settings = [("PAGER", "cat"), ("NO_COLOR", "1"), ("TERM", "dumb")];
    for args in commands {
        let mut terminal = Terminal::start(&daemon.socket, (200, 200), &settings, &args);
        terminal.end();
        let raw = terminal.raw();
        // The terminal itself makes a carriage return and a line feed of a line's end.
        let bad: Vec<char> = raw.replace("\r\n", "").chars().filter(|c| is_hostile(*c)).collect();
        let bad: Vec<char> = bad.into_iter().filter(|c| *c != ' ').collect();
        assert_eq!(bad, Vec::<char>::new(), "{args:?}: {raw:?}");
        assert!(!raw.is_empty(), "{args:?}");
    }
    daemon.stop();
}

#[test]
fn an_export_on_a_terminal_says_what_is_there() {
    let (_place, daemon) = hostile();
    let settings = [("TERM", "dumb")];
    for (format, expected) in [("csv", r"ro\u{200b}ot"), ("ndjson", r"ro\u200bot")] {
        let args = ["export", QUERIES[1], "--format", format];
        let mut terminal = Terminal::start(&daemon.socket, (200, 200), &settings, &args);
        assert!(terminal.end().success());
        assert!(terminal.raw().contains(expected), "{}", terminal.raw());
    }
    let args = ["export", "--format", "parquet"];
    let mut terminal = Terminal::start(&daemon.socket, (200, 200), &settings, &args);
    assert!(!terminal.end().success());
    assert!(terminal.raw().contains("cannot show Parquet"), "{}", terminal.raw());
    daemon.stop();
}

#[test]
fn a_pipe_gets_data_byte_by_byte() {
    let (_place, daemon) = hostile();
    let socket = daemon.socket.to_str().unwrap();
    for format in ["csv", "ndjson"] {
        let exported = run(&["export", QUERIES[1], "--format", format, "--socket", socket]).stdout;
        assert!(exported.contains("ro\u{200b}ot"), "{exported}");
        assert!(exported.contains("root\u{e0041}"), "{exported}");
        let found = run(&["search", QUERIES[1], "--format", format, "--socket", socket]).stdout;
        assert_eq!(found, exported);
    }
    let listed = run(&["files", "--format", "ndjson", "--socket", socket]).stdout;
    assert!(listed.contains("ro\u{200b}ot"), "{listed}");
    let status = Command::new("sh")
        .args(["-c", "\"$0\" export --format parquet --socket \"$1\" | head -c 4"])
        .args([env!("CARGO_BIN_EXE_traildex"), socket])
        .output()
        .unwrap();
    assert_eq!(status.stdout, b"PAR1");
    daemon.stop();
}
