//! An index on disk: searched without a daemon, beside one and by others; served; imported into.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use wire::{FilesResponse, SearchResponse, ValuesResponse};

use crate::common::{
    PATIENCE, Place, Ran, Record, ended, files_below, gzip, make_old, records_below, run, sample,
    trail, traildex,
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn import(path: &Path, data_dir: &Path) -> Ran {
    run(&["import", text(path), "--data-dir", text(data_dir)])
}

/// Runs a command on an index, without a daemon's socket.
fn on(data_dir: &Path, args: &[&str]) -> Ran {
    let dir = ["--data-dir", text(data_dir), "--socket", "/nonexistent/socket"];
    run(&[&args[..1], &dir, &args[1..]].concat())
}

#[track_caller]
fn check_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
}

/// A directory's files with their bytes and times.
fn state(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64)> {
    let state = |path: PathBuf| {
        let state = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mtime_nsec());
        (path, state)
    };
    files_below(dir).into_iter().map(state).collect()
}

/// An index of the `invictus` trail that nobody uses.
fn imported() -> Place {
    let place = Place::new();
    check_code(&import(&sample("invictus"), &place.data_dir()), 0);
    place
}

fn of_name<'r>(records: &'r [Record], name: &str) -> Vec<&'r Record> {
    records.iter().filter(|record| record.json["eventName"] == name).collect()
}

#[test]
fn an_index_is_searched_without_a_daemon_and_stays_as_it_is() {
    let place = imported();
    let data_dir = place.data_dir();
    let before = state(&data_dir);
    let records = records_below(&sample("invictus"));
    let named = |name| of_name(&records, name);

    let ran = on(&data_dir, &["search", "eventName:AssumeRole", "--format", "json"]);
    check_code(&ran, 0);
    let found: SearchResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found.total.value, named("AssumeRole").len() as u64);

    let id = records[100].json["eventID"].as_str().unwrap();
    let ran = on(&data_dir, &["event", id, "--format", "json"]);
    check_code(&ran, 0);
    let found: SearchResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found.hits[0].event.get(), records[100].raw);

    let ran = on(&data_dir, &["export", "eventName:Decrypt"]);
    check_code(&ran, 0);
    let mut exported: Vec<&str> = ran.stdout.lines().collect();
    let mut expected: Vec<&str> =
        named("Decrypt").iter().map(|record| record.raw.as_str()).collect();
    exported.sort_unstable();
    expected.sort_unstable();
    assert_eq!(exported, expected);

    let ran = on(&data_dir, &["values", "eventName", "Assume", "--format", "json"]);
    check_code(&ran, 0);
    let values: ValuesResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(values.values[0].events, named("AssumeRole").len() as u64);
    let ran = on(&data_dir, &["files", "--format", "json"]);
    let files: FilesResponse = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(files.total, 55);
    // What only the watching daemon knows is no empty list.
    for state in ["ignored", "pending", "skipped"] {
        let ran = on(&data_dir, &["files", "--state", state]);
        assert!(ran.code != 0 && ran.stderr.contains("does not say"), "{state}: {}", ran.stderr);
    }
    check_code(&on(&data_dir, &["fields", "event"]), 0);
    let ran = run(&["saved", "list", "--data-dir", text(&data_dir)]);
    check_code(&ran, 0);

    let ran = on(&data_dir, &["search", "evntName:x"]);
    check_code(&ran, 2);
    assert!(ran.stderr.contains("did you mean 'eventName'?"), "{}", ran.stderr);
    check_code(&on(&data_dir, &["search", "eventName:NeverHeardOf"]), 1);
    assert_eq!(state(&data_dir), before, "nothing was changed");
}

#[test]
fn beside_a_daemon_its_socket_is_asked() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["1"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    let ran = on(&place.data_dir(), &["search", "*", "--format", "json"]);
    check_code(&ran, 0);
    // It holds the lock: there is no other way to this answer.
    let (mut found, all) = (daemon.find("*"), serde_json::from_str::<SearchResponse>(&ran.stdout));
    let mut all = all.unwrap();
    (found.took_ms, all.took_ms) = (0.0, 0.0);
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&all).unwrap());
    fs::write(place.archive().join("b.json"), trail(&["2"])).unwrap();
    daemon.wait_indexed(PATIENCE, 2);
    let ran = on(&place.data_dir(), &["search", "eventID:2"]);
    check_code(&ran, 0);
    // One that was killed leaves its socket's name; nobody is asked there.
    daemon.kill();
    check_code(&on(&place.data_dir(), &["search", "eventID:2"]), 0);
    check_code(&import(&place.archive(), &place.data_dir()), 0);
    assert_eq!(fs::read_to_string(place.data_dir().join("LOCK")).unwrap(), "");
}

#[test]
fn what_is_no_index_or_damaged_is_refused() {
    let place = Place::new();
    let ran = on(&place.path("none"), &["search", "*"]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("none: No such file"), "{}", ran.stderr);
    let ran = on(&place.archive(), &["search", "*"]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("there is no index in "), "{}", ran.stderr);
    assert_eq!(fs::read_dir(place.archive()).unwrap().count(), 0, "and none is begun");

    let place = imported();
    let segment = files_below(&place.data_dir().join("segments")).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let before = state(&place.data_dir());
    let ran = on(&place.data_dir(), &["search", "eventName:AssumeRole", "--limit", "0"]);
    check_code(&ran, 4);
    let id = segment.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    assert!(ran.stderr.contains(id), "{}", ran.stderr);
    assert_eq!(state(&place.data_dir()), before);
}

#[test]
fn serve_without_watch_serves_what_was_imported() {
    let place = Place::watching(&[]);
    let ran = ended(&mut place.serve_command());
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("nothing to watch"), "{}", ran.stderr);
    check_code(&import(&sample("invictus"), &place.data_dir()), 0);
    let daemon = place.start();
    assert_eq!(daemon.status().events.indexed, 2_900);
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    let refused = daemon.client.rebuild(&wire::RebuildRequest { accept_loss: true });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no archive is watched"), "{refused}");
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    daemon.stop();
}

#[test]
fn a_daemon_says_when_it_has_caught_up() {
    let place = Place::watching(&[sample("invictus")]);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2_900);
    crate::common::wait_until(PATIENCE, "it says so", || daemon.log().contains("caught up"));
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("caught up")).unwrap();
    assert!(line.contains("2900") && line.contains("55"), "{line}");
    daemon.stop();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// Every file and directory of an index is its owner's alone.
#[track_caller]
fn check_private(data_dir: &Path) {
    assert_eq!(mode(data_dir), 0o700);
    for path in files_below(data_dir) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
    }
}

#[test]
fn an_index_is_its_owners_alone_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let place = Place::watching(&[sample("invictus")]);
        let serve = place.serve_command();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
        command.arg(serve.get_program()).args(serve.get_args());
        command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let daemon = place.spawn(command);
        daemon.wait_indexed(PATIENCE, 2_900);
        let search = wire::SavedSearch { query: "x".into(), ..wire::SavedSearch::default() };
        daemon.client.save("a", &search).unwrap();
        check_private(&place.data_dir());
        daemon.stop();
        check_private(&place.data_dir());
    }
}

#[test]
fn an_index_that_others_could_read_is_tightened_and_that_is_told() {
    let place = imported();
    let data_dir = place.data_dir();
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o755)).unwrap();
    for path in files_below(&data_dir) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let ran = import(&sample("invictus"), &data_dir);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("could be read by other users"), "{}", ran.stderr);
    check_private(&data_dir);
    let ran = import(&sample("invictus"), &data_dir);
    assert!(!ran.stderr.contains("other users"), "{}", ran.stderr);

    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o750)).unwrap();
    let daemon = place.start();
    assert!(daemon.log().contains("could be read by other users"), "{}", daemon.log());
    check_private(&data_dir);
    daemon.stop();
}

#[test]
fn who_may_not_read_an_index_is_told_whom_to_ask() {
    const NOBODY: u32 = 65_534;
    let place = imported();
    // The program may lie where only we can go.
    let program = place.path("traildex");
    fs::copy(env!("CARGO_BIN_EXE_traildex"), &program).unwrap();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for args in [&["search", "*", "--data-dir"][..], &["verify", "--data-dir"]] {
        let mut command = Command::new(&program);
        command.args(args).arg(place.data_dir()).env_clear().uid(NOBODY).gid(NOBODY);
        let Ok(output) = command.output() else {
            println!("not tried: this user cannot become another");
            return;
        };
        let ran = Ran::from(output);
        check_code(&ran, 4);
        let told = "--socket /run/traildex/traildex.sock";
        assert!(ran.stderr.contains(told), "{args:?}\n{}", ran.stderr);
    }
}

#[test]
fn a_known_archive_is_said_to_be_known() {
    let place = imported();
    let ran = import(&sample("invictus"), &place.data_dir());
    check_code(&ran, 0);
    assert!(ran.stderr.contains("all 55 files known"), "{}", ran.stderr);
}

#[test]
fn an_import_that_takes_nothing_fails_and_names_what_it_left_out() {
    let place = Place::new();
    let archive = place.archive();
    let data_dir = place.data_dir();
    let check = |code, told: &[&str]| {
        let ran = import(&archive, &data_dir);
        check_code(&ran, code);
        for told in told {
            assert!(ran.stderr.contains(told), "{told} in\n{}", ran.stderr);
        }
    };
    check(4, &["nothing was imported"]);
    fs::write(archive.join("notes.txt"), "no trail").unwrap();
    check(4, &["ignored ", "notes.txt: its name is no trail's", "nothing was imported"]);
    fs::write(archive.join("bad.json"), "no trail").unwrap();
    make_old(&archive.join("bad.json"));
    check(4, &["rejected ", "bad.json: ", "nothing was imported"]);
    // It is known by now, and still nothing.
    check(4, &["rejected ", "bad.json: ", "nothing was imported"]);
    fs::write(archive.join("good.json.gz"), gzip(&trail(&["1"]))).unwrap();
    let ignored = ["1 file ignored, such as ", "notes.txt: its name is no trail's"];
    check(0, &[&["1 event from 1 file ", "1 file known already"][..], &ignored].concat());
    check(0, &["all 2 files known", "rejected "]);
    // One that is named is read whatever its name.
    let named = place.path("other.data");
    fs::write(&named, trail(&["2"])).unwrap();
    let ran = import(&named, &data_dir);
    check_code(&ran, 0);
    assert!(ran.stderr.contains("1 event from 1 file "), "{}", ran.stderr);
}

#[test]
fn what_is_in_s3_is_to_be_copied_first() {
    let place = Place::new();
    for args in [
        &["import", "s3://bucket/AWSLogs", "--data-dir", text(&place.data_dir())][..],
        &["serve", "--watch", "s3://bucket/AWSLogs", "--data-dir", text(&place.data_dir())],
    ] {
        let ran = ended(traildex().args(args));
        assert_ne!(ran.code, 0);
        assert!(ran.stderr.contains("aws s3 sync s3://bucket/AWSLogs "), "{}", ran.stderr);
    }
    assert!(!place.data_dir().exists());
}
