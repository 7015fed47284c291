//! The program's commands, as a person and a script use them: what they print, and how they end.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use wire::{FilesResponse, SearchResponse, Status};

use crate::common::{
    Daemon, PATIENCE, Place, Ran, Record, ledger, make_old, records_below, run, sample, trail,
};

/// A daemon with the `invictus` trail.
fn daemon() -> Daemon {
    let daemon = Place::watching(&[sample("invictus")]).start();
    daemon.wait_indexed(PATIENCE, 2_900);
    daemon
}

/// Runs a command that asks this daemon.
fn ask(daemon: &Daemon, args: &[&str]) -> Ran {
    let socket = daemon.socket.to_str().unwrap();
    run(&[&args[..1], &["--socket", socket], &args[1..]].concat())
}

#[track_caller]
fn check_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
}

fn newest(records: &mut [Record]) {
    records.sort_by(|a, b| b.json["eventTime"].as_str().cmp(&a.json["eventTime"].as_str()));
}

#[test]
fn search_prints_tables_and_records_and_ends_by_what_it_found() {
    let daemon = daemon();
    let ran = ask(&daemon, &["search", "eventName:AssumeRole", "--limit", "7"]);
    check_code(&ran, 0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("time ") && lines[0].contains(" actor "), "{}", ran.stdout);
    assert_eq!(lines.len(), 8, "{}", ran.stdout);
    assert!(lines[1..].iter().all(|line| line.contains("sts:AssumeRole")), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'), "no colours where there is no terminal");
    assert!(ran.stderr.starts_with("7 of 49 events (exact), "), "{}", ran.stderr);

    let mut records = records_below(&sample("invictus"));
    records.retain(|record| record.json["eventName"] == "AssumeRole");
    newest(&mut records);
    let ran = ask(&daemon, &["search", "eventName:AssumeRole", "--format", "ndjson"]);
    check_code(&ran, 0);
    let mut printed: Vec<&str> = ran.stdout.lines().collect();
    let mut expected: Vec<&str> = records.iter().map(|record| record.raw.as_str()).collect();
    let time = |line: &str| serde_json::from_str::<Value>(line).unwrap()["eventTime"].clone();
    for (printed, expected) in printed.iter().zip(&expected) {
        assert_eq!(time(printed), time(expected), "newest first");
    }
    printed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(printed, expected);

    let args = ["search", "--format", "json", "--order", "oldest", "--limit", "2", "Decrypt"];
    let ran = ask(&daemon, &args);
    check_code(&ran, 0);
    let response: SearchResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((response.hits.len(), response.total.value), (2, daemon.count("Decrypt")));

    let span = ["--since", "2023-07-10T12:00", "--until", "2023-07-10T12:10"];
    let ran = ask(&daemon, &[&["search", "*", "--limit", "0"][..], &span].concat());
    check_code(&ran, 0);
    let in_span = records_below(&sample("invictus"))
        .iter()
        .filter_map(|record| record.json["eventTime"].as_str().map(str::to_owned))
        .filter(|time| time.starts_with("2023-07-10T12:0"))
        .count();
    let in_span = format!("{},{:03}", in_span / 1_000, in_span % 1_000);
    assert!(ran.stderr.starts_with(&format!("0 of {in_span} events")), "{}", ran.stderr);

    let ran = ask(&daemon, &["search", "eventName:NeverHeardOf"]);
    check_code(&ran, 1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("no events, "), "{}", ran.stderr);
    let ran = ask(&daemon, &["search", "*", "--since", "-24h"]);
    check_code(&ran, 1);
    daemon.stop();
}

#[test]
fn a_mistake_is_shown_at_its_place_and_ends_with_2() {
    let daemon = daemon();
    let ran = ask(&daemon, &["search", "root", "AND", "evntName:Decrypt"]);
    check_code(&ran, 2);
    let shown = "did you mean 'eventName'?\n  root AND evntName:Decrypt\n           ^\n";
    assert!(ran.stderr.ends_with(shown), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: unknown field 'evntName' at byte 9"), "{}", ran.stderr);
    check_code(&ask(&daemon, &["search", "(a OR"]), 2);
    check_code(&ask(&daemon, &["search", "*", "--limit", "10001"]), 2);
    check_code(&ask(&daemon, &["search", "*", "--order", "random"]), 2);
    check_code(&ask(&daemon, &["search", "*", "--since", "soon"]), 2);
    check_code(&run(&["serach"]), 2);
    check_code(&run(&[]), 2);
    daemon.stop();
}

#[test]
fn without_a_daemon_commands_end_with_3_and_say_what_would_help() {
    for args in [&["search", "*"][..], &["status"], &["files"], &["event", "x"]] {
        let ran = run(&[args, &["--socket", "/nonexistent/socket"]].concat());
        check_code(&ran, 3);
        assert!(ran.stderr.contains("/nonexistent/socket"), "{}", ran.stderr);
        assert!(ran.stderr.contains("traildex serve"), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn event_prints_who_what_from_where_when_and_the_record() {
    let daemon = daemon();
    let record = &records_below(&sample("invictus"))[100];
    let text = |key: &str| record.json[key].as_str().unwrap();
    let ran = ask(&daemon, &["event", text("eventID")]);
    check_code(&ran, 0);
    for part in [text("eventID"), text("eventName"), text("sourceIPAddress"), text("eventTime")] {
        assert!(ran.stdout.contains(part), "{part} in\n{}", ran.stdout);
    }
    let (sentence, rest) = ran.stdout.split_once("\n\n").unwrap();
    let said = format!(" from {} ", text("sourceIPAddress"));
    assert!(sentence.contains(" called ") && sentence.contains(&said), "{sentence}");
    assert!(sentence.ends_with(": success.") || sentence.ends_with(")."), "{sentence}");
    assert!(rest.starts_with("who "), "{}", ran.stdout);
    let (_, printed) = rest.split_once("\n\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(printed).unwrap(), record.json);

    let ran = ask(&daemon, &["event", text("eventID"), "--format", "json"]);
    check_code(&ran, 0);
    let response: SearchResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(response.hits[0].event.get(), record.raw);
    let ran = ask(&daemon, &["event", "no-such-id"]);
    check_code(&ran, 1);
    assert!(ran.stderr.contains("no-such-id"), "{}", ran.stderr);
    daemon.stop();
}

#[test]
fn the_short_id_of_the_table_is_one_that_event_takes_with_what_is_around_it() {
    let daemon = daemon();
    let query = "eventName:DeleteTrail";
    let table = ask(&daemon, &["search", query, "--limit", "1"]);
    let id = table.stdout.split_whitespace().last().unwrap();
    assert!((8..36).contains(&id.len()), "{}", table.stdout);
    let ran = ask(&daemon, &["event", id, "--around", "2m"]);
    check_code(&ran, 0);
    let hit = daemon.client.event(id).unwrap().hits.remove(0);
    assert!(ran.stdout.contains(&hit.meta.id), "{}", ran.stdout);
    let (_, around) = ran.stdout.split_once("\ntime ").unwrap();
    let times: Vec<&str> =
        around.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(times.is_sorted() && times.contains(&hit.meta.time.as_str()), "{around}");
    assert!(times.iter().all(|time| ("2023-07-10T12:06".."2023-07-10T12:11").contains(time)));
    assert!(ran.stderr.contains(" in the 2m before, "), "{}", ran.stderr);

    let ran = ask(&daemon, &["event", id, "--around", "2m", query, "--time-zone", "Europe/Berlin"]);
    check_code(&ran, 0);
    let (_, around) = ran.stdout.split_once("\ntime ").unwrap();
    let nearby = daemon.count("eventName:DeleteTrail time:[2023-07-10T12:06 TO 2023-07-10T12:10]");
    assert_eq!(around.lines().count() as u64 - 1, nearby, "{around}");
    assert!(around.lines().skip(1).all(|line| line.contains("cloudtrail:DeleteTrail")));
    assert!(around.contains("2023-07-10T14:08:04+02:00"), "{around}");
    check_code(&ask(&daemon, &["event", id, "--around", "soon"]), 4);
    daemon.stop();
}

#[test]
fn a_table_of_events_has_the_columns_and_times_that_are_asked_for() {
    let daemon = daemon();
    let shown = |args: &[&str]| {
        let ran =
            ask(&daemon, &[&["search", "eventName:DeleteTrail", "--limit", "1"], args].concat());
        check_code(&ran, 0);
        ran.stdout
    };
    let names = |text: &str| {
        text.lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let usual = shown(&[]);
    let usual_names =
        ["time", "actor", "credential", "action", "target", "ip", "region", "outcome", "id"];
    assert_eq!(names(&usual), usual_names);
    // Each heading is a name that queries take.
    for name in usual_names {
        daemon.count(&format!("{name}:*"));
    }
    let wide = shown(&["--wide"]);
    for name in ["account", "client", "error"] {
        assert!(names(&wide).contains(&name.to_owned()), "{wide}");
    }
    assert!(wide.lines().nth(1).unwrap().split_whitespace().last().unwrap().len() == 36, "{wide}");
    let chosen =
        shown(&["--columns", "time,requestParameters.name", "--time-zone", "Europe/Berlin"]);
    assert_eq!(names(&chosen), ["time", "requestParameters.name"]);
    assert!(chosen.contains("2023-07-10T14:08:04+02:00"), "{chosen}");
    assert!(shown(&["--time-zone", "Europe/Berlin"]).contains("2023-07-10T14:08:04+02:00"));
    check_code(&ask(&daemon, &["search", "*", "--time-zone", "Mars"]), 4);
    daemon.stop();
}

#[test]
fn status_and_files_print_what_the_daemon_knows() {
    let place = Place::new();
    fs::write(place.archive().join("good.json"), trail(&["1", "2"])).unwrap();
    fs::write(place.archive().join("bad.json"), "no trail").unwrap();
    make_old(&place.archive().join("bad.json"));
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    daemon.wait_for(PATIENCE, "one rejected file", |status| status.files.rejected == 1);

    let ran = ask(&daemon, &["status"]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("2 seen, 1 indexed, 1 rejected"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2 indexed"), "{}", ran.stdout);
    let ran = ask(&daemon, &["status", "--format", "json"]);
    let status: Status = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status.events, daemon.status().events);

    let ran = ask(&daemon, &["files"]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("/good.json") && ran.stdout.contains("/bad.json"));
    let ran = ask(&daemon, &["files", "--state", "rejected"]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("/bad.json") && !ran.stdout.contains("/good.json"));
    assert!(ran.stdout.contains("byte 0: a record should begin here"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "1 of 1 files: 0 records, 0 of them duplicates; 1 rejected\n");
    let ran = ask(&daemon, &["files", "--path", "good", "--format", "json"]);
    let files: FilesResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((files.total, files.files[0].reading.records), (1, 2));
    let ran = ask(&daemon, &["files", "--limit", "1"]);
    let (footer, more) = ran.stderr.split_once('\n').unwrap();
    assert!(footer.starts_with("1 of 2 files"), "{footer}");
    let cursor = more.trim().strip_prefix("more follow: --cursor ").unwrap();
    let next = ask(&daemon, &["files", "--limit", "1", "--cursor", cursor]);
    assert!(!next.stderr.contains("more follow") && next.stdout != ran.stdout, "{}", next.stderr);
    check_code(&ask(&daemon, &["files", "--limit", "1", "--cursor", cursor, "--by", "day"]), 2);
    let of = |account| ask(&daemon, &["files", "--account", account, "--region", "us-east-1"]);
    assert!(of("123456789012").stdout.contains("/bad.json"), "its account is not known");
    check_code(&ask(&daemon, &["files", "--state", "digest"]), 1);
    check_code(&ask(&daemon, &["files", "--state", "lost"]), 2);
    daemon.stop();
}

#[test]
fn an_imported_archive_is_served_and_not_indexed_again() {
    let place = Place::watching(&[sample("invictus")]);
    let data_dir = place.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let archive = sample("invictus");
    let import = ["import", archive.to_str().unwrap(), "--data-dir", data_dir];
    let ran = run(&import);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("2,900 events from 55 files"), "{}", ran.stderr);
    let (files, _) = ledger(&place.data_dir());
    assert_eq!(files.lines().count(), 55);

    let daemon = place.start();
    assert_eq!(daemon.status().events.indexed, 2_900);
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    let ran = run(&import);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("another traildex process"), "{}", ran.stderr);
    daemon.stop();
    assert_eq!(ledger(&place.data_dir()).0, files);

    let ran = run(&import);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("0 events from 0 files"), "{}", ran.stderr);
    assert_eq!(ledger(&place.data_dir()).0, files);
}

#[test]
fn import_takes_single_files() {
    let place = Place::new();
    let data_dir = place.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let file = sample("otrf/ec2_proxy_s3_exfiltration.ndjson");
    let ran = run(&["import", file.to_str().unwrap(), "--data-dir", data_dir]);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("103 events from 1 file "), "{}", ran.stderr);
}

#[test]
fn import_names_a_path_that_is_missing() {
    let data_dir = Place::new().data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let ran = run(&["import", "/no/such/trail", "--data-dir", data_dir]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("/no/such/trail"), "{}", ran.stderr);
}

#[test]
fn check_config_prints_the_settings_and_the_memory_they_add_up_to() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/traildex.toml");
    let ran = run(&["check-config", "--config", file.to_str().unwrap()]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("[search]\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("deadline_ms = 10000\n"), "{}", ran.stdout);
    let mib = |line: &str| {
        let (number, _) = line.split_once(" MiB")?;
        number.rsplit(' ').next()?.parse::<u64>().ok()
    };
    let (_, table) = ran.stdout.split_once("\n\ninflate buffers").unwrap();
    let parts: Vec<u64> = table.lines().filter_map(mib).collect();
    let (total, parts) = parts.split_last().unwrap();
    assert!(table.lines().last().unwrap().starts_with("total "), "{}", ran.stdout);
    assert_eq!(*total, parts.iter().sum::<u64>(), "{}", ran.stdout);
    // The built-in defaults are the same.
    assert_eq!(run(&["check-config"]).stdout, ran.stdout);
}

#[test]
fn check_config_refuses_with_the_key_the_value_and_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("traildex.toml");
    fs::write(&file, "[search]\ndeadline_ms = 5\n").unwrap();
    let ran = run(&["check-config", "--config", file.to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    for part in ["search.deadline_ms = 5", "100 to 600000", "line 2"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    fs::write(&file, "[search]\ndeadline = 500\n").unwrap();
    let ran = run(&["check-config", "--config", file.to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("did you mean `search.deadline_ms`"), "{}", ran.stderr);
}

#[test]
fn serve_takes_everything_from_the_configuration_file() {
    let place = Place::new();
    fs::write(place.archive().join("1.json"), trail(&["configured"])).unwrap();
    let file = place.path("traildex.toml");
    let text = format!(
        "[watch]\ndirs = [{:?}]\nsettle_ms = 50\n[index]\ndata_dir = {:?}\n[socket]\npath = {:?}\n",
        place.archive(),
        place.path("elsewhere"),
        place.socket(),
    );
    fs::write(&file, text).unwrap();
    let daemon = place.start_from(&file);
    daemon.wait_indexed(PATIENCE, 1);
    assert!(place.path("elsewhere/manifest.json").exists());
    assert!(!place.data_dir().exists());
    daemon.stop();
}

#[test]
fn serve_without_anything_to_watch_says_what_is_missing() {
    let place = Place::watching(&[]);
    let output = place.serve_command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(stderr.contains("--watch"), "{stderr}");
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        check_code(&ran, 0);
        for command in ["serve", "search", "check-config", "import"] {
            assert!(ran.stdout.contains(command), "{shell}: {command}");
        }
    }
    check_code(&run(&["completions", "cmd.exe"]), 2);
}

#[test]
fn the_demo_answers_its_questions_and_ends() {
    let ran = run(&["demo", "--once"]);
    check_code(&ran, 0);
    assert!(ran.stdout.contains("2,901 events"), "{}", ran.stdout);
    for part in ["access-analyzer", "admin-tempcreds", "198.51.100.179", "2021-06-14T22:57:36Z"] {
        assert!(ran.stdout.contains(part), "{part} in\n{}", ran.stdout);
    }
}

#[test]
fn help_tells_the_exit_codes() {
    for args in [&["--help"][..], &["search", "--help"]] {
        let ran = run(args);
        check_code(&ran, 0);
        assert!(ran.stdout.contains("Exit codes"), "{}", ran.stdout);
    }
    let ran = run(&["--version"]);
    assert_eq!(ran.stdout.trim(), concat!("traildex ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_generated_archive_is_imported_to_the_event() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let traildex = || std::process::Command::new(env!("CARGO_BIN_EXE_traildex"));
    let made = traildex()
        .args(["generate", "--events", "500", "--seed", "7"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let imported = traildex()
        .arg("import")
        .arg(&archive)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&imported.stderr).into_owned();
    assert!(imported.status.success() && told.contains("500 events from"), "{told}");
}
