//! What is read from the daemon: filters, a log that was made anew, what was missed, backpressure.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Program, json_lines, text};
use crate::server::Server;
use crate::source::Source;

/// Starts the program with a file target.
fn started(more: &str) -> (Program, Source) {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    program
        .configure(&source.socket, &format!("[[file]]\nname = 'log'\npath = 'a.ndjson'\n{more}"));
    program.start();
    (program, source)
}

/// Waits for so many lines; their principals.
fn principals(program: &Program, count: usize) -> Vec<String> {
    let path = program.path("a.ndjson");
    program.wait_until(&format!("{count} lines"), || json_lines(&path).len() >= count);
    let principal = |line: &Value| line["alert"]["group"]["principal"].as_str().unwrap().to_owned();
    json_lines(&path).iter().map(principal).collect()
}

#[test]
fn only_what_a_target_wants_is_delivered_and_the_rest_counted() {
    let (program, source) = started("level = 'medium'\nrules_not = ['attack.nothing*']\n");
    source.tell("raised", "low", "a");
    source.tell("raised", "critical", "b");
    source.tell("grown", "critical", "c");
    source.tell("withdrawn", "medium", "d");
    assert_eq!(principals(&program, 2), ["b", "d"]);
    let counts = || program.status_of("log")["counts"].clone();
    program.wait_until("counts", || counts()["not_wanted"] == 2 && counts()["delivered"] == 2);
}

#[test]
fn old_alerts_can_be_held_back() {
    let (program, source) = started("age_s_max = 3600\n");
    // Its last event is of 2023.
    source.raise("a");
    program.wait_until("a count", || program.status_of("log")["counts"]["too_old"] == 1);
    assert!(!program.path("a.ndjson").exists());
}

#[test]
fn a_new_target_begins_with_the_first_change_or_with_the_next() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    source.raise("a");
    let first = "[[file]]\nname = 'log'\npath = 'a.ndjson'\n";
    let now = "[[file]]\nname = 'now'\npath = 'now.ndjson'\nbegin = 'now'\n";
    program.configure(&source.socket, &format!("{first}{now}"));
    program.start();
    program.wait_until("cursor", || program.status_of("now")["read_to"] == 1);
    source.raise("b");
    assert_eq!(principals(&program, 2), ["a", "b"]);
    let path = program.path("now.ndjson");
    program.wait_until("a line", || json_lines(&path).len() == 1);
    assert_eq!(json_lines(&path)[0]["alert"]["group"]["principal"], "b");
}

#[test]
fn a_log_that_was_made_anew_is_read_from_its_start() {
    let (program, source) = started("");
    source.raise("a");
    source.raise("b");
    principals(&program, 2);
    source.make_anew("77aa");
    source.raise("c");
    source.raise("d");
    source.raise("e");
    assert_eq!(principals(&program, 5), ["a", "b", "c", "d", "e"]);
    program.wait_for_log("was made anew");
    let lines = json_lines(&program.path("a.ndjson"));
    assert_eq!(lines[2]["log"], "77aa");
    // The alerts have the ids of the first two, and other keys.
    assert_ne!(lines[2]["key"], lines[0]["key"]);
}

/// As a kill between the two leaves it.
#[test]
fn a_cursor_that_is_behind_the_spool_is_set_right_at_the_start() {
    let (mut program, source) = started("");
    source.raise("a");
    source.raise("b");
    principals(&program, 2);
    program.wait_until("cursor", || program.status_of("log")["read_to"] == 2);
    program.kill();
    let path = program.state_of("log").join("cursor.json");
    let mut cursor: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    cursor["after"] = 1.into();
    std::fs::write(&path, cursor.to_string()).unwrap();
    assert_eq!(program.status_of("log")["read_to"], 1);
    program.start();
    program.wait_until("cursor", || program.status_of("log")["read_to"] == 2);
    source.raise("c");
    assert_eq!(principals(&program, 3), ["a", "b", "c"]);
}

#[test]
fn a_log_that_has_become_shorter_is_read_on() {
    let (program, source) = started("");
    source.raise("a");
    source.raise("b");
    principals(&program, 2);
    source.make_anew("6b0c6f0e5d6f4f0a");
    source.raise("x");
    program.wait_for_log("has become shorter");
    source.raise("c");
    assert_eq!(principals(&program, 3).last().unwrap(), "c");
}

#[test]
fn what_was_missed_is_told() {
    let (mut program, source) = started("");
    source.raise("a");
    principals(&program, 1);
    program.stop();
    for name in ["b", "c", "d"] {
        source.raise(name);
    }
    source.drop_before(4);
    program.start();
    assert_eq!(principals(&program, 3), ["a", "traildex-notify", "d"]);
    let notice = &json_lines(&program.path("a.ndjson"))[1];
    assert_eq!(notice["change"], "notice");
    assert_eq!(notice["alert"]["rule"]["title"], "2 changes of alerts were missed");
    program.wait_for_log("had dropped changes");
    program.wait_until("a count", || program.status_of("log")["counts"]["missed"] == 2);
}

#[test]
fn a_daemon_that_is_away_is_waited_for() {
    let mut program = Program::new();
    let target = "[[file]]\nname = 'log'\npath = 'a.ndjson'\n";
    program.configure(&program.path("daemon.sock"), target);
    program.start();
    program.wait_for_log("cannot read alerts");
    let source = Source::start(program.folder());
    source.raise("a");
    assert_eq!(principals(&program, 1), ["a"]);
    program.wait_for_log("reads alerts again");
}

#[test]
fn a_full_spool_stops_reading_for_its_target_alone() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let server = Server::http(&[]);
    let address = server.address;
    drop(server);
    let targets = format!(
        "[[webhook]]\nname = 'down'\nurl = 'http://{address}/'\nspool_bytes_max = '64 KiB'\n\
         pause_ms_min = 50\npause_ms_max = 100\n[[file]]\nname = 'log'\npath = 'a.ndjson'\n"
    );
    program.configure(&source.socket, &targets);
    program.start();
    let names: Vec<String> = (0..400).map(|n| format!("p{n}")).collect();
    for name in &names {
        source.raise(name);
    }
    assert_eq!(principals(&program, 400), names);
    program.wait_for_log("the spool is full");
    let reading = || program.status_of("down")["reading"].as_str().unwrap().to_owned();
    program.wait_until("a state", || reading().contains("the spool is full"));
    let down = program.status_of("down");
    let (read_to, waiting) = (down["read_to"].as_u64().unwrap(), down["waiting"].as_u64().unwrap());
    assert!(read_to < 400 && waiting == read_to, "{down}");
    let server = Server::start(address, &[], None);
    program.wait_until("all requests", || server.count() >= 400);
    let numbers: Vec<u64> =
        server.requests().iter().map(|it| it.json()["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=400).collect::<Vec<u64>>());
    program.wait_for_log("the spool has room");
}

#[test]
fn two_do_not_run_at_once_and_status_says_who_does() {
    let (mut program, _source) = started("");
    program.wait_for_log("traildex-notify runs");
    assert!(program.says(&["status"]).starts_with("runs: yes\n"));
    let output = program.run(&["run"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("in use by another run"), "{}", text(&output.stderr));
    assert!(program.stop() < Duration::from_secs(6));
    let output = program.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("runs: no\n"));
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let program = Program::new();
    fs::write(program.path("notify.toml"), "[[file]]\nname = 'a'\npaht = 'x'\n").unwrap();
    let output = program.run(&["--check-config"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("notify.toml, line 1: [[file]] needs a `path`"), "{said}");
    program.configure(&program.path("s"), "[[file]]\nname = 'a'\npath = 'x'\n");
    assert!(program.says(&["--check-config"]).ends_with("1 targets\n  a\n"));
}
