//! Crashes: the process is ended at random moments, and at every step of a commit, a merge and a
//! rebuild, while files keep arriving; then the events are compared with those that were written.
//!
//! `TRAILDEX_KILLS=1000 cargo test --features failpoints --test daemon crash::` makes a thousand
//! kills of the hundred; the seed is printed, and `TRAILDEX_SEED` sets it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::generate::{GenerateOptions, generate};
use serde_json::Value;
use wire::{FileState, FilesRequest};

use crate::common::{
    self, Daemon, PATIENCE, PATIENCE_BULK, Place, contents, files_below, trail, wait_until,
};

/// Kills of one archive's daemons.
const KILLS: u64 = 100;

/// The longest that a daemon lives between two kills, at first. How long it takes to open the index and
/// commit something depends on the machine: see `kill_and_compare`.
const LIFE_US_MAX: u64 = 450_000;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (n ^ (n >> 31)) % bound
    }
}

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A place whose daemons commit often and merge soon.
fn restless_place() -> Place {
    Place::new()
        .with("INGEST_COMMIT_AGE_MS_MAX", "100")
        .with("INGEST_COMMIT_IDLE_MS", "10")
        .with("INGEST_SEGMENT_EVENTS_MAX", "1000")
        .with("WATCH_RESCAN_S", "1")
        .with("WATCH_SETTLE_MS", "50")
}

/// What the files say, found without any of traildex's code: the ids of the events, and how many
/// records there are.
fn truth(dir: &Path) -> (BTreeSet<String>, u64) {
    let mut ids = BTreeSet::new();
    let mut records = 0;
    for path in files_below(dir) {
        let file: Value = serde_json::from_slice(&contents(&path)).unwrap();
        for record in file["Records"].as_array().unwrap() {
            ids.insert(record["eventID"].as_str().unwrap().to_owned());
            records += 1;
        }
    }
    (ids, records)
}

/// The ids of all events, each as often as it is found.
fn indexed(daemon: &Daemon) -> BTreeMap<String, u64> {
    let mut ids = BTreeMap::new();
    for digit in "0123456789abcdef".chars() {
        let found = daemon.find(&format!("eventID:{digit}*"));
        assert_eq!(found.total.value, found.hits.len() as u64, "a sixteenth fits an answer");
        for hit in found.hits {
            *ids.entry(hit.meta.id).or_default() += 1;
        }
    }
    ids
}

#[track_caller]
fn check_against_truth(daemon: &Daemon, archive: &Path) {
    let (ids, records) = truth(archive);
    let found = indexed(daemon);
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(twice.is_empty(), "indexed more than once: {twice:?}");
    let lost: Vec<_> = ids.iter().filter(|id| !found.contains_key(*id)).take(5).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(found.len(), ids.len());
    let status = daemon.status();
    assert_eq!(status.events.indexed, ids.len() as u64);
    assert_eq!(status.events.duplicates, records - ids.len() as u64);
    assert_eq!(status.files.indexed, files_below(archive).len() as u64);
    let report = daemon.verified();
    assert_eq!(report.problems, [], "ledger, events and checksums agree");
}

/// Moves files into an archive, a share of them with every life and the rest after the last one: some by
/// renaming, and some are half there when the life ends.
fn feed(from: &Path, archive: &Path, lives: &AtomicU64, lives_all: u64) {
    let wait_for = |life: u64| {
        while lives.load(Ordering::Relaxed) < life.min(lives_all) {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let files = files_below(from);
    for (n, path) in files.iter().enumerate() {
        let life = n as u64 * lives_all / files.len() as u64;
        wait_for(life);
        let to = archive.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if n % 3 == 0 {
            let bytes = fs::read(path).unwrap();
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            fs::write(&to, first).unwrap();
            wait_for(life + 1);
            let mut file = fs::File::options().append(true).open(&to).unwrap();
            std::io::Write::write_all(&mut file, rest).unwrap();
        } else {
            fs::rename(path, &to).unwrap();
        }
    }
}

/// Lets the feeder go when a check fails.
struct EndOfLives<'a>(&'a AtomicU64);

impl Drop for EndOfLives<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing() {
    let kills = setting("TRAILDEX_KILLS", KILLS);
    let seed = setting("TRAILDEX_SEED", u64::from(std::process::id()));
    // One archive after another, so that the index stays as small as lives are short.
    for round in 0..kills.div_ceil(KILLS) {
        kill_and_compare(KILLS.min(kills - round * KILLS), seed + round);
    }
}

fn kill_and_compare(kills: u64, seed: u64) {
    println!("{kills} kills, seed {seed}");
    let mut random = Random(seed);
    let place = restless_place();
    let coming = place.path("coming");
    let options = GenerateOptions {
        events: 20_000,
        duplicates_per_mille: 250,
        seed,
        ..GenerateOptions::default()
    };
    let made = generate(&options, &coming).unwrap();
    assert!(made.records > made.events);
    let lives = AtomicU64::new(0);
    thread::scope(|scope| {
        let _end = EndOfLives(&lives);
        let feeder = scope.spawn(|| feed(&coming, &place.archive(), &lives, kills));
        // Lives that commit nothing make the next ones longer, and those that do shorter: some end
        // while the index is opened, others in the middle of commits and merges.
        let mut life_us_max = LIFE_US_MAX;
        let mut before = 0;
        let mut in_ingest = 0;
        for _ in 0..kills {
            let mut command = place.serve_command();
            command.stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            thread::sleep(Duration::from_micros(random.below(life_us_max)));
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9), "it did not end by itself");
            let lines = committed_lines(&place.data_dir());
            assert!(lines >= before, "{lines} files are in the ledger, {before} were before");
            let has_committed = lines > before;
            life_us_max = life_us_max * if has_committed { 9 } else { 11 } / 10;
            in_ingest += u64::from(has_committed);
            before = lines;
            lives.fetch_add(1, Ordering::Relaxed);
        }
        println!("{in_ingest} lives committed something; {before} files when the kills ended");
        assert!(in_ingest > kills / 10, "the kills came while files were being indexed");
        feeder.join().unwrap();
    });
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "every file is indexed", |status| {
        status.files.pending == 0 && status.files.indexed == made.files
    });
    check_against_truth(&daemon, &place.archive());
    daemon.stop();
}

/// Files that the ledger holds by the last commit.
fn committed_lines(data_dir: &Path) -> usize {
    let Ok(manifest) = fs::read_to_string(data_dir.join("manifest.json")) else { return 0 };
    let manifest: Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
    let bytes = manifest["ledger"]["bytes"].as_u64().unwrap() as usize;
    let ledger = fs::read(data_dir.join(manifest["ledger"]["name"].as_str().unwrap())).unwrap();
    String::from_utf8(ledger[..bytes].to_vec()).unwrap().lines().count()
}

/// The names of all steps, from the sources.
fn steps() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut steps = Vec::new();
    for path in files_below(&root.join("src")).into_iter().chain(files_below(&root.join("crates")))
    {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for after in text.split("step(\"").skip(1) {
            steps.push(after.split('"').next().unwrap().to_owned());
        }
    }
    // Those of saved searches are passed where somebody saves one: tests/search/saved.rs.
    // Those of bundles are of a command, and not of the daemon: tests/evidence/bundle_resume.rs.
    // That of an outdated segment is passed where an index is of an earlier version: tests/golden.
    // Those of alerts are passed where there are rules: tests/daemon/alerts.rs.
    let is_other =
        |step: &str| ["saved-", "bundle-", "alerts-"].iter().any(|of| step.starts_with(of));
    steps.retain(|step| !is_other(step) && step != "outdated-segment-found");
    steps.sort();
    steps.dedup();
    assert!(steps.len() > 15, "{steps:?}");
    steps
}

/// One of the files has so many records more: it takes several segments of a thousand events.
const LARGE: usize = 2_100;
const LARGE_FILE: usize = 5;

/// Files of a few records, and one that repeats some of the one before.
fn small_archive(dir: &Path, from: usize, files: usize) {
    for n in from..from + files {
        let ids: Vec<String> = (0..4).map(|k| format!("{:x}{n}-{}", n % 16, n * 3 + k)).collect();
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let large: Vec<String> = (0..LARGE).map(|k| format!("{:x}large-{k}", k % 16)).collect();
        if n == LARGE_FILE {
            ids.extend(large.iter().map(String::as_str));
        }
        let again = format!("{:x}{}-{}", (n - 1) % 16, n - 1, (n - 1) * 3);
        ids.push(&again);
        fs::write(dir.join(format!("{n}.json")), trail(&ids)).unwrap();
    }
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    for step in steps() {
        let place = restless_place();
        small_archive(&place.archive(), 1, 3);
        // Enough segments for a merge, and no more than the step needs.
        let daemon = place.start();
        daemon.wait_for(PATIENCE, "the first files", |status| status.files.indexed == 3);
        daemon.stop();
        let crashed = crash_at(&place, &step);
        assert!(crashed, "{step} was passed");
        let daemon = place.start();
        let files = files_below(&place.archive()).len() as u64;
        daemon.wait_for(PATIENCE, "every file", |status| {
            status.files.pending == 0 && status.files.indexed == files
        });
        check_against_truth(&daemon, &place.archive());
        assert_eq!(daemon.status().warnings, [""; 0], "{step}");
        daemon.stop();
    }
}

/// Runs a daemon that ends at a step, and brings it there: files come one by one until segments are
/// merged, then the index is rebuilt.
fn crash_at(place: &Place, step: &str) -> bool {
    let mut command = place.serve_command();
    command.env("FAILPOINTS", format!("{step}=return"));
    let mut daemon = place.spawn_unready(command);
    let started = Instant::now();
    let mut files = 4;
    let mut has_rebuilt = false;
    while started.elapsed() < PATIENCE {
        if let Some(status) = daemon.ended() {
            assert_eq!(status.signal(), Some(6), "{step}: {status}");
            return true;
        }
        let Ok(status) = daemon.client.status() else { continue };
        let known = status.files.indexed + 1;
        if status.files.pending == 0 && known == files {
            if files < 16 {
                small_archive(&place.archive(), files as usize, 1);
                files += 1;
            } else if !has_rebuilt {
                has_rebuilt = true;
                // Cut off where the step is on the way.
                let _ = daemon.client.rebuild(&wire::RebuildRequest::default());
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_start_after_two_ends_in_the_same_work_does_it_smaller_and_says_so() {
    let works = [
        ("segment-to-be-written", "killed 2 times in a row while it read files"),
        ("merge-written", "killed 2 times in a row while it merged segments"),
    ];
    for (step, told) in works {
        let place = restless_place();
        let mut files = 0;
        for life in 0..2 {
            let mut command = place.serve_command();
            command.env("FAILPOINTS", format!("{step}=return"));
            let mut daemon = place.spawn_unready(command);
            let started = Instant::now();
            while daemon.ended().is_none() {
                assert!(started.elapsed() < PATIENCE, "{step} was passed in life {life}");
                // One by one, so that there are segments to merge; the second life finds them there.
                let indexed = daemon.client.status().map(|status| status.files.indexed);
                if life == 0 && indexed.is_ok_and(|indexed| indexed == files) {
                    files += 1;
                    small_archive(&place.archive(), files as usize, 1);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        let daemon = place.start();
        let warnings = daemon.status().warnings;
        assert!(warnings.iter().any(|warning| warning.contains(told)), "{warnings:?}");
        daemon.wait_for(PATIENCE, "every file", |status| status.files.indexed == files);
        check_against_truth(&daemon, &place.archive());
        daemon.stop();
        let daemon = place.start();
        assert_eq!(daemon.status().warnings, [""; 0], "it was stopped");
        daemon.stop();
    }
}

#[test]
fn a_file_larger_than_a_segment_is_in_several_and_commits_as_one() {
    let place = restless_place();
    let ids: Vec<String> = (0..LARGE).map(|n| format!("large-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    // A second copy is read at the same time.
    fs::write(place.archive().join("large.json"), trail(&ids)).unwrap();
    fs::write(place.archive().join("copy.json"), trail(&ids)).unwrap();
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "both files", |status| status.files.indexed == 2);
    let status = daemon.status();
    assert_eq!(status.events.indexed, LARGE as u64);
    assert_eq!(status.events.duplicates, LARGE as u64);
    assert!(status.index.segments > LARGE as u64 / 1_000, "{} segments", status.index.segments);
    assert_eq!(daemon.count("eventID:large-*"), LARGE as u64);
    let readings = [daemon.file("large.json").reading, daemon.file("copy.json").reading];
    assert!(readings.iter().all(|reading| reading.records == LARGE as u64), "{readings:?}");
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
}

#[test]
fn copies_of_an_archive_inside_itself_add_no_event() {
    let place = Place::new();
    let source = common::sample("invictus");
    let copy = |to: PathBuf| {
        for file in files_below(&source) {
            let to = to.join(file.strip_prefix(&source).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file, &to).unwrap();
        }
    };
    // Side by side from the start, so that two workers come upon the same event at once.
    copy(place.archive().join("a"));
    copy(place.archive().join("b"));
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "both", |status| status.files.indexed == 110);
    let events = daemon.status().events;
    assert_eq!((events.indexed, events.duplicates, events.conflicting), (2_900, 2_900, 0));
    copy(place.archive().join("a/deeper/copy"));
    daemon.wait_for(PATIENCE_BULK, "the copy inside", |status| status.files.indexed == 165);
    let events = daemon.status().events;
    assert_eq!((events.indexed, events.duplicates), (2_900, 5_800));
    assert_eq!(daemon.find("*").hits.len(), 2_900);
    assert_eq!(daemon.verified().problems, []);
    let sums =
        daemon.files(&FilesRequest { path: Some("deeper".into()), ..Default::default() }).sums;
    assert_eq!((sums.files, sums.records, sums.duplicates), (55, 2_900, 2_900));
    daemon.stop();
}

#[test]
fn a_file_that_makes_the_program_panic_is_rejected_and_the_others_are_indexed() {
    // One segment of all of them, of which the bad one is not the first. That one is so large that some
    // of its segments are on disk already.
    const FILES: u64 = 40;
    let place = Place::new().with("INGEST_THREADS", "1").with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    let place = place.with("INGEST_COMMIT_AGE_MS_MAX", "3000").with("INGEST_COMMIT_IDLE_MS", "500");
    for n in 0..FILES {
        let ids = [format!("good-{n}"), "shared".to_owned()];
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        fs::write(place.archive().join(format!("{n}.json")), trail(&ids)).unwrap();
    }
    let large: Vec<String> = (0..LARGE).map(|n| format!("large-{n}")).collect();
    let mut poison = vec!["before", "shared"];
    poison.extend(large.iter().map(String::as_str));
    poison.extend(["TRAILDEX-PANIC", "after"]);
    let poison = trail(&poison);
    fs::write(place.archive().join("poison.json"), poison).unwrap();
    let mut command = place.serve_command();
    command.env("FAILPOINTS", "panic-on-marked-event=return");
    let daemon = place.spawn(command);
    wait_until(PATIENCE, "the others are indexed", || daemon.status().files.indexed == FILES);
    daemon.wait_for(PATIENCE, "nothing pending", |status| status.files.pending == 0);
    let rejected = daemon.file("poison.json");
    assert_eq!(rejected.state, FileState::Rejected);
    assert!(rejected.reading.reason.unwrap().contains("panicked"));
    assert_eq!(daemon.status().events.indexed, FILES + 1, "theirs and the one they share");
    assert_eq!(daemon.count("eventID:before"), 0);
    assert_eq!(daemon.count("eventID:large-*"), 0);
    assert_eq!(daemon.count("eventID:shared"), 1);
    let manifest = fs::read_to_string(place.data_dir().join("manifest.json")).unwrap();
    for file in files_below(&place.data_dir().join("segments")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(manifest.contains(name), "{name} is left of a segment that was given up");
    }
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
}
