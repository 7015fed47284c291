//! The daemon over time: files that arrive while it runs, restarts, crashes.
//!
//! Scans are an hour apart here, so that what appears is found by its events alone.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wire::{FileState, FilesRequest};

use crate::common::{
    Daemon, PATIENCE, PATIENCE_BULK, Place, copy_invictus, files_below, gzip, ledger, make_old,
    record, run, sample, trail, wait_until,
};

/// A file that is closed or renamed into place is searchable within 2 s; a machine that compiles
/// beside the tests gets more.
const FRESH: Duration = Duration::from_secs(5);

/// Longer than the time after which a file that stands still is read.
const PAUSE: Duration = Duration::from_millis(900);

/// Waits until an event is found, and says how long that took.
#[track_caller]
fn wait_fresh(daemon: &Daemon, what: &str, id: &str) {
    let took = daemon.wait_count(&format!("eventID:{id}"), 1);
    println!("{what}: searchable after {took:?}");
    assert!(took < FRESH, "{what}: {took:?}");
}

/// Files that came before are done with when this returns: it waits for one that comes after them.
/// Returns how many events there are.
pub(super) fn wait_calm(daemon: &Daemon, archive: &Path) -> u64 {
    fs::write(archive.join("last.json"), trail(&["last"])).unwrap();
    daemon.wait_count("eventID:last", 1);
    daemon.wait_for(PATIENCE, "nothing pending", |status| status.files.pending == 0);
    daemon.status().events.indexed
}

#[test]
fn a_file_that_is_written_and_closed_is_searchable_at_once() {
    let place = Place::new();
    let daemon = place.start();
    fs::write(place.archive().join("1.json"), trail(&["plain", "plain-2"])).unwrap();
    wait_fresh(&daemon, "plain", "plain");
    fs::write(place.archive().join("2.json.gz"), gzip(&trail(&["gzipped"]))).unwrap();
    wait_fresh(&daemon, "gzipped", "gzipped");
    fs::write(place.archive().join("3.ndjson"), record("line") + "\n").unwrap();
    wait_fresh(&daemon, "one a line", "line");
    assert_eq!(wait_calm(&daemon, &place.archive()), 5);
    daemon.stop();
}

#[test]
fn a_file_that_is_renamed_into_place_is_searchable_at_once_and_only_once() {
    let place = Place::new();
    let daemon = place.start();
    let folder = place.archive().join("AWSLogs/1/CloudTrail/us-east-1/2024/05/06");
    fs::create_dir_all(&folder).unwrap();
    // As `aws s3 sync` does: under another name, then the object's time is set.
    let temporary = folder.join("trail.json.gz.6eF0a1B2");
    fs::write(&temporary, gzip(&trail(&["synced"]))).unwrap();
    fs::rename(&temporary, folder.join("trail.json.gz")).unwrap();
    thread::sleep(Duration::from_millis(2));
    make_old(&folder.join("trail.json.gz"));
    wait_fresh(&daemon, "renamed", "synced");

    // From outside of the archive.
    fs::write(place.path("outside"), gzip(&trail(&["moved"]))).unwrap();
    fs::rename(place.path("outside"), folder.join("moved.json.gz")).unwrap();
    wait_fresh(&daemon, "moved in", "moved");
    assert_eq!(wait_calm(&daemon, &place.archive()), 3);
    assert_eq!(daemon.files_named("trail.json.gz").len(), 1, "read once");
    daemon.stop();
}

/// The longest that the configuration allows.
#[test]
fn a_file_that_must_settle_for_minutes_is_pending() {
    let place = Place::new().with("WATCH_SETTLE_MS", "600000").with("WATCH_UNFINISHED_S", "600");
    let old = place.archive().join("old.json");
    fs::write(&old, trail(&["old"])).unwrap();
    make_old(&old);
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    let daemon = place.start();
    daemon.wait_count("eventID:old", 1);
    let mut open = File::create(place.archive().join("open.json")).unwrap();
    open.write_all(b"{").unwrap();
    daemon.wait_for(PATIENCE, "both are pending", |status| status.files.pending == 2);
    fs::write(place.archive().join("closed.json"), trail(&["closed"])).unwrap();
    daemon.wait_count("eventID:closed", 1);
    assert_eq!(daemon.file("new.json").state, FileState::Pending);
    daemon.stop();
}

#[test]
fn while_the_index_is_opened_the_socket_says_so_and_the_command_line_waits() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let mut slow = place.serve_command();
    slow.env("FAILPOINTS", "index-to-be-opened=sleep(3000)");
    let daemon = place.spawn_unready(slow);
    wait_until(PATIENCE, "it listens", || matches!(daemon.client.get("/healthz"), Ok((200, _))));
    let (code, answer) = daemon.client.get("/readyz").unwrap();
    assert_eq!(code, 503, "{answer:?}");
    // The command line waits for it.
    let socket = daemon.socket.clone();
    let status = ["status", "--socket", socket.to_str().unwrap()];
    assert_eq!(run(&status).code, 0);
    wait_until(PATIENCE, "it is ready", || matches!(daemon.client.get("/readyz"), Ok((200, _))));
    daemon.wait_count("eventID:a", 1);
    daemon.stop();

    // It can be stopped before it is open.
    let mut slow = place.serve_command();
    slow.env("FAILPOINTS", "index-to-be-opened=sleep(600000)");
    let daemon = place.spawn_unready(slow);
    wait_until(PATIENCE, "it listens", || matches!(daemon.client.get("/healthz"), Ok((200, _))));
    let ran = run(&status);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("the index is being opened"), "{}", ran.stderr);
    daemon.stop();
}

/// Writes a file in two parts with a pause between them, holding it open all the time.
fn write_slowly(daemon: &Daemon, path: &Path, bytes: &[u8], at: usize) {
    let before = daemon.status().events.indexed;
    let mut file = File::create(path).unwrap();
    file.write_all(&bytes[..at]).unwrap();
    thread::sleep(PAUSE);
    assert_eq!(daemon.status().events.indexed, before, "nothing of an open file is indexed");
    let open = daemon.file(path.file_name().unwrap().to_str().unwrap());
    assert_eq!(open.state, FileState::Pending, "{open:?}");
    assert!(open.reading.reason.is_some());
    file.write_all(&bytes[at..]).unwrap();
}

#[test]
fn a_file_that_is_written_slowly_is_indexed_once_and_whole() {
    let place = Place::new();
    let daemon = place.start();
    let bytes = trail(&["slow-1", "slow-2", "slow-3"]);
    write_slowly(&daemon, &place.archive().join("plain.json"), &bytes, bytes.len() / 2);
    wait_fresh(&daemon, "plain", "slow-3");

    let bytes = gzip(&trail(&["slow-4", "slow-5", "slow-6"]));
    write_slowly(&daemon, &place.archive().join("zipped.json.gz"), &bytes, bytes.len() / 2);
    wait_fresh(&daemon, "gzipped", "slow-6");

    // The first part is a good file by itself.
    let first = record("slow-7") + "\n";
    let bytes = format!("{first}{}\n", record("slow-8"));
    write_slowly(&daemon, &place.archive().join("lines.ndjson"), bytes.as_bytes(), first.len());
    wait_fresh(&daemon, "one a line", "slow-8");

    // And in a folder that is new itself.
    let folder = place.archive().join("new");
    fs::create_dir(&folder).unwrap();
    let bytes = trail(&["slow-9", "slow-10"]);
    write_slowly(&daemon, &folder.join("deep.json"), &bytes, bytes.len() / 2);
    wait_fresh(&daemon, "in a new folder", "slow-10");

    assert_eq!(wait_calm(&daemon, &place.archive()), 11);
    for n in 1..=10 {
        assert_eq!(daemon.count(&format!("eventID:slow-{n}")), 1);
    }
    assert_eq!(daemon.files(&FilesRequest::default()).total, 5);
    daemon.stop();
}

#[test]
fn a_half_written_gzip_is_pending_until_the_rest_comes() {
    let place = Place::new();
    let daemon = place.start();
    let path = place.archive().join("resumed.json.gz");
    let bytes = gzip(&trail(&["resumed-1", "resumed-2"]));
    // A copy that broke off: the file is closed.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    daemon.wait_for(PATIENCE, "one pending file", |status| status.files.pending == 1);
    thread::sleep(PAUSE);
    let file = daemon.file("resumed.json.gz");
    assert_eq!((file.state, daemon.status().files.rejected), (FileState::Pending, 0));

    let mut rest = File::options().append(true).open(&path).unwrap();
    rest.write_all(&bytes[bytes.len() / 2..]).unwrap();
    drop(rest);
    wait_fresh(&daemon, "resumed", "resumed-2");
    let events = wait_calm(&daemon, &place.archive());
    assert_eq!(events, 3, "{}", daemon.ledger().0);
    assert_eq!(daemon.file("resumed.json.gz").reading.records, 2);
    daemon.stop();
}

#[test]
fn half_written_files_that_go_on_at_any_moment_are_indexed_once() {
    const FILES: usize = 60;
    let place = Place::new().with("WATCH_SETTLE_MS", "20");
    let daemon = place.start();
    let path = |n: usize| place.archive().join(format!("{n}.json.gz"));
    let bytes: Vec<Vec<u8>> = (0..FILES).map(|n| gzip(&trail(&[&format!("half-{n}")]))).collect();
    for (n, bytes) in bytes.iter().enumerate() {
        fs::write(path(n), &bytes[..bytes.len() / 2]).unwrap();
    }
    // The pauses between two looks at an unfinished file grow from 20 ms; each file goes on at
    // another moment of them.
    for (n, bytes) in bytes.iter().enumerate() {
        let mut rest = File::options().append(true).open(path(n)).unwrap();
        rest.write_all(&bytes[bytes.len() / 2..]).unwrap();
        drop(rest);
        thread::sleep(Duration::from_millis(7));
    }
    daemon.wait_for(PATIENCE, "every file is indexed", |status| {
        status.files.pending == 0 && status.events.indexed >= FILES as u64
    });
    thread::sleep(PAUSE);
    wait_calm(&daemon, &place.archive());
    let twice: Vec<usize> =
        (0..FILES).filter(|n| daemon.count(&format!("eventID:half-{n}")) != 1).collect();
    let (ledger, _) = daemon.ledger();
    assert!(twice.is_empty(), "not indexed once: {twice:?}\n{ledger}");
    daemon.stop();
}

#[test]
fn an_unfinished_file_is_rejected_once_nobody_can_be_writing_it() {
    let place = Place::new().with("WATCH_UNFINISHED_S", "1");
    let daemon = place.start();
    let bytes = gzip(&trail(&["lost"]));
    fs::write(place.archive().join("broken-off.json.gz"), &bytes[..bytes.len() - 9]).unwrap();
    daemon.wait_for(PATIENCE, "one rejected file", |status| {
        status.files.rejected == 1 && status.files.pending == 0
    });
    let reason = daemon.file("broken-off.json.gz").reading.reason.unwrap();
    assert!(reason.contains("ends too early"), "{reason}");
    daemon.stop();
}

#[test]
fn folders_that_are_made_or_moved_in_are_searchable_at_once_and_watched() {
    let place = Place::new();
    let daemon = place.start();
    let deep = place.archive().join("a/b/c/d");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("1.json.gz"), gzip(&trail(&["made"]))).unwrap();
    wait_fresh(&daemon, "a folder was made", "made");

    fs::create_dir_all(place.path("tree/x/y")).unwrap();
    fs::write(place.path("tree/1.json"), trail(&["top"])).unwrap();
    fs::write(place.path("tree/x/y/2.json"), trail(&["bottom"])).unwrap();
    let moved = place.archive().join("tree");
    fs::rename(place.path("tree"), &moved).unwrap();
    wait_fresh(&daemon, "a folder was moved in", "top");
    wait_fresh(&daemon, "and what is below it", "bottom");
    fs::write(moved.join("x/y/3.json"), trail(&["later"])).unwrap();
    wait_fresh(&daemon, "a file in a folder that was moved in", "later");
    assert_eq!(wait_calm(&daemon, &place.archive()), 5);
    daemon.stop();
}

#[test]
fn a_restart_indexes_nothing_again() {
    let place = Place::new();
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2_900);
    daemon.stop();
    let (files, commit) = ledger(&place.data_dir());
    assert_eq!(files.lines().count(), 55);

    for _ in 0..2 {
        let daemon = place.start();
        assert_eq!(daemon.status().events.indexed, 2_900, "what was there is there at once");
        daemon.stop();
    }
    assert_eq!(ledger(&place.data_dir()).0, files, "no line is new");

    let daemon = place.start();
    assert_eq!(wait_calm(&daemon, &place.archive()), 2_901);
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    daemon.stop();
    let (after, commit_after) = ledger(&place.data_dir());
    assert_eq!(after.strip_prefix(&files).unwrap().lines().count(), 1);
    assert!(commit_after > commit);
}

#[test]
fn a_file_that_came_while_nobody_ran_is_indexed_at_the_next_start() {
    let place = Place::new();
    fs::write(place.archive().join("1.json"), trail(&["first"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    daemon.stop();
    fs::write(place.archive().join("2.json"), trail(&["second"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    assert_eq!(daemon.count("eventID:second"), 1);
    daemon.stop();
}

#[test]
fn a_stop_under_load_keeps_what_was_read_and_a_restart_reads_the_rest() {
    const COPIES: usize = 12;
    let place = Place::new();
    copy_invictus(&place.archive(), COPIES);
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "some events", |status| status.events.indexed > 0);
    daemon.signal(Signal::TERM);
    let started = Instant::now();
    daemon.stop();
    println!("stopped under load after {:?}", started.elapsed());

    let (files, _) = ledger(&place.data_dir());
    let done = files.lines().count();
    println!("{done} of {} files were done", COPIES * 55);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900 * COPIES as u64);
    check_copies(&daemon, COPIES);
    daemon.stop();
    let (after, _) = ledger(&place.data_dir());
    assert!(after.starts_with(&files), "what was committed stays");
    assert_eq!(after.lines().count(), COPIES * 55);
}

/// The trail's counts, so many times.
fn check_copies(daemon: &Daemon, copies: usize) {
    let copies = copies as u64;
    for (query, count) in [
        ("*", 2_900),
        ("eventName:AssumeRole", 49),
        ("userIdentity.type:IAMUser", 2_748),
        ("NOT userIdentity.type:*", 42),
        ("\"Rate exceeded\"", 102),
    ] {
        assert_eq!(daemon.count(query), count * copies, "{query}");
    }
    assert_eq!(daemon.status().files.indexed, 55 * copies);
}

#[test]
fn a_crash_while_indexing_loses_and_repeats_nothing() {
    const COPIES: usize = 30;
    let place = Place::new().with("INGEST_COMMIT_AGE_MS_MAX", "100");
    let place = place.with("INGEST_COMMIT_IDLE_MS", "10").with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    copy_invictus(&place.archive(), COPIES);
    let all = 2_900 * COPIES as u64;
    let mut before = 0;
    for round in 0..4 {
        let daemon = place.start();
        let indexed = daemon.status().events.indexed;
        assert!(
            indexed >= before,
            "{indexed} events after a crash, {before} were visible before it"
        );
        daemon.wait_for(PATIENCE_BULK, "more events, or all", |status| {
            status.events.indexed > indexed + all / 10 || status.events.indexed == all
        });
        before = daemon.status().events.indexed;
        println!("crash {round} at {before} of {all} events");
        daemon.kill();
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, all);
    check_copies(&daemon, COPIES);
    daemon.stop();
    let (files, _) = ledger(&place.data_dir());
    let mut paths: Vec<serde_json::Value> = Vec::new();
    for line in files.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        paths.push(line["path"].clone());
    }
    paths.sort_by_key(ToString::to_string);
    paths.dedup();
    assert_eq!((paths.len(), files.lines().count()), (COPIES * 55, COPIES * 55));
}

#[test]
fn sigint_stops_it_too() {
    let mut daemon = Place::new().start();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_end().code(), Some(0));
}

#[test]
fn a_second_daemon_on_the_same_index_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let daemon = place.start();
    let second = place.clone().with_socket("socket-2");
    let output = second.serve_command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    let data_dir = place.data_dir();
    assert!(stderr.contains(data_dir.to_str().unwrap()), "{stderr}");
    assert!(stderr.contains("is used by another traildex process"), "{stderr}");
    assert!(!second.socket().exists(), "the socket of a daemon that did not start is left behind");

    fs::write(place.archive().join("1.json"), trail(&["still"])).unwrap();
    wait_fresh(&daemon, "after a second daemon", "still");
    daemon.stop();
}

#[test]
fn a_socket_that_somebody_answers_on_is_left_alone() {
    let place = Place::new();
    let daemon = place.start();
    let second = place.clone().with_data_dir("data-2");
    let output = second.serve_command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("another daemon answers"), "{stderr}");
    assert!(daemon.status().is_ingesting);
    daemon.stop();
}

#[test]
fn a_socket_that_a_crash_left_is_replaced() {
    let place = Place::new();
    drop(UnixListener::bind(place.socket()).unwrap());
    assert!(place.socket().exists());
    let daemon = place.start();
    daemon.kill();
    assert!(place.socket().exists(), "a killed daemon cannot clean up");
    place.start().stop();
}

#[test]
fn a_file_where_the_socket_should_be_is_left_alone() {
    let place = Place::new();
    fs::write(place.socket(), "mine").unwrap();
    let output = place.serve_command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("not a socket"), "{stderr}");
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "mine");
}

#[test]
fn a_log_that_goes_into_a_file_has_no_colours() {
    let place = Place::new();
    place.start().stop();
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains("watching"), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

#[test]
fn a_file_that_goes_away_is_forgotten_before_it_is_read_and_kept_after() {
    let place = Place::new();
    let daemon = place.start();
    let path = place.archive().join("short-lived.json");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"{\"Records\":[").unwrap();
    daemon.wait_for(PATIENCE, "one pending file", |status| status.files.pending == 1);
    drop(file);
    fs::remove_file(&path).unwrap();
    daemon.wait_for(PATIENCE, "nothing pending", |status| status.files.pending == 0);

    let kept = place.archive().join("kept.json");
    fs::write(&kept, trail(&["kept"])).unwrap();
    wait_fresh(&daemon, "kept", "kept");
    fs::remove_file(&kept).unwrap();
    wait_calm(&daemon, &place.archive());
    assert_eq!(
        daemon.count("eventID:kept"),
        1,
        "an archive's rotation takes nothing from the index"
    );
    daemon.stop();
}

#[test]
fn several_archives_are_watched_at_once() {
    let other = tempfile::tempdir().unwrap();
    let place = Place::new().also_watching(other.path());
    let daemon = place.start();
    fs::write(place.archive().join("1.json"), trail(&["one"])).unwrap();
    fs::write(other.path().join("2.json"), trail(&["two"])).unwrap();
    wait_fresh(&daemon, "the first archive", "one");
    wait_fresh(&daemon, "the second archive", "two");
    assert_eq!(daemon.status().watch.len(), 2);
    daemon.stop();
}

#[test]
fn what_cannot_be_watched_is_named() {
    let place = Place::watching(&[sample("no-such-trail")]);
    let output = place.serve_command().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("no-such-trail"), "{stderr}");
}

#[test]
fn a_bulk_of_files_that_appear_at_once_is_indexed_once() {
    let place = Place::new();
    let daemon = place.start();
    copy_invictus(&place.archive(), 3);
    daemon.wait_indexed(PATIENCE_BULK, 3 * 2_900);
    assert_eq!(wait_calm(&daemon, &place.archive()), 3 * 2_900 + 1);
    assert_eq!(files_below(&place.archive()).len(), 3 * 55 + 1);
    wait_until(PATIENCE, "each file is in the ledger once", || {
        daemon.ledger().0.lines().count() == 3 * 55 + 1
    });
    daemon.stop();
}
