//! A life in short: files come and go, some of them bad, searches of all kinds run, clients hang up,
//! settings are reloaded, old events are dropped. Nothing is lost, and nothing grows: neither memory,
//! nor descriptors, nor threads.
//!
//! `TRAILDEX_SOAK_SECONDS=3600 cargo test --features failpoints --test load soak::` takes an hour.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::ClientError;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};
use wire::{Order, SearchRequest};

use crate::common::{self, Daemon, PATIENCE_BULK, Place, record};

const SECONDS: u64 = 20;

const EVENTS_A_FILE: u64 = 20;

/// How long a file stays in the archive.
const STAY: Duration = Duration::from_secs(3);

/// What a busy daemon holds more at one time than at another, from what its threads keep for themselves.
const SLACK_KB: u64 = 40_000;

const QUERIES: [&str; 8] = [
    "*",
    "eventName:*Bucket*",
    "/a.*b/",
    "top 5 eventName",
    "timeline 1m",
    "sourceIPAddress:10.0.0.0/8 | stats distinct(userAgent), count by awsRegion",
    "requestParameters.number > 3 | sort requestParameters.number | limit 20",
    "eventID:soak-1*",
];

/// What the daemon takes of the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    memory_kb: u64,
    descriptors: u64,
    threads: u64,
}

impl Taken {
    fn now(daemon: &Daemon) -> Self {
        let count = |what: &str| {
            let entries = fs::read_dir(format!("/proc/{}/{what}", daemon.pid())).unwrap();
            entries.count() as u64
        };
        Self { memory_kb: daemon.own_kb(), descriptors: count("fd"), threads: count("task") }
    }

    fn max(self, other: Self) -> Self {
        Self {
            memory_kb: self.memory_kb.max(other.memory_kb),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// Files of events that happen now; every tenth beside one that is bad. Those that stayed long enough
/// are deleted. Returns how many events there were.
fn feed(place: &Place, is_over: &AtomicBool) -> u64 {
    let mut events = 0;
    let mut there: Vec<(Instant, std::path::PathBuf)> = Vec::new();
    // Events of the last day stay, whatever bytes they take: a file is an hour after the one before,
    // until the present is reached.
    let now = Timestamp::now();
    let start = now - jiff::SignedDuration::from_hours(24 * 365);
    for n in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let event = |i: u64| {
            let mut event: Value = serde_json::from_str(&record(&format!("soak-{i}"))).unwrap();
            let time = now.min(start + jiff::SignedDuration::from_hours(n));
            event["eventTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
            event["sourceIPAddress"] = format!("10.0.{}.{}", i / 250 % 250, i % 250).into();
            // What does not compress, so that the index fills.
            let odd = |n: u64| format!("{:x}", (i + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let text: Vec<String> = (1..9).map(|n| odd(n << 20)).collect();
            event["requestParameters"] = json!({ "number": i % 7, "text": text.join(" ") });
            event
        };
        let records: Vec<Value> = (events..events + EVENTS_A_FILE).map(event).collect();
        events += EVENTS_A_FILE;
        let put = |name: String, bytes: &[u8]| {
            let (new, path) = (place.path("new"), place.archive().join(name));
            fs::write(&new, bytes).unwrap();
            fs::rename(new, &path).unwrap();
            (Instant::now(), path)
        };
        there.push(put(format!("{n}.json"), json!({ "Records": records }).to_string().as_bytes()));
        if n % 10 == 0 {
            there.push(put(
                format!("{n}-bad.json.gz"),
                &common::gzip(b"{\"Records\":[{}, 5]}")[..20],
            ));
        }
        // Only what was read: a file that goes before is none.
        there.retain(|(since, path)| {
            let stays = since.elapsed() < STAY;
            if !stays {
                fs::remove_file(path).unwrap();
            }
            stays
        });
        thread::sleep(Duration::from_millis(20));
    }
    events
}

fn search(daemon: &Daemon, is_over: &AtomicBool, mut n: usize) {
    while !is_over.load(Ordering::Relaxed) {
        n += 1;
        let order = if n.is_multiple_of(2) { Order::Newest } else { Order::Oldest };
        let query = QUERIES[n % QUERIES.len()];
        let request = SearchRequest { query: query.into(), order, ..SearchRequest::default() };
        match daemon.client.search(&request) {
            Ok(_) => {}
            // A path that no event has yet is unknown.
            Err(ClientError::Api(error)) if error.kind.http_status() < 500 => {}
            Err(error) => panic!("{query}: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn hang_up(daemon: &Daemon, is_over: &AtomicBool) {
    let body = r#"{"query":"/.*a.*b.*c.*/ | dedup requestID","limit":10000}"#;
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = UnixStream::connect(&daemon.socket) {
            let head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length:";
            let _ = stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes());
            thread::sleep(Duration::from_millis(15));
        }
        thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_life_of_churn_loses_nothing_and_grows_by_nothing() {
    let _alone = crate::alone();
    let seconds = std::env::var("TRAILDEX_SOAK_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let life = Duration::from_secs(seconds);
    let place = Place::new()
        .with("INGEST_COMMIT_AGE_MS_MAX", "200")
        .with("INGEST_SEGMENT_EVENTS_MAX", "1000")
        .with("WATCH_RESCAN_S", "1")
        .with("WATCH_UNFINISHED_S", "1")
        .with("WATCH_SETTLE_MS", "100")
        .with("SEARCH_RECORD_CACHE_BYTES", "4 MiB")
        .with("RETENTION_BYTES_MAX", "1 MiB");
    let daemon = place.start();
    let is_over = AtomicBool::new(false);
    let (fed, early, late) = thread::scope(|scope| {
        let (place, daemon, is_over) = (&place, &daemon, &is_over);
        let feeder = scope.spawn(move || feed(place, is_over));
        for n in 0..3 {
            scope.spawn(move || search(daemon, is_over, n));
        }
        scope.spawn(move || hang_up(daemon, is_over));
        let started = Instant::now();
        let (mut early, mut late) = (Taken::default(), Taken::default());
        while started.elapsed() < life {
            thread::sleep(Duration::from_millis(200));
            daemon.signal(Signal::HUP);
            let taken = Taken::now(daemon);
            if started.elapsed() < life / 2 {
                early = early.max(taken);
            } else {
                late = late.max(taken);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        (feeder.join().unwrap(), early, late)
    });
    println!("{fed} events; {early:?}, then {late:?}");
    daemon.wait_for(PATIENCE_BULK, "everything read", |status| {
        status.events.indexed + status.events.expired == fed && status.files.pending == 0
    });
    let status = daemon.status();
    assert!(status.events.expired > 0, "old events are dropped: {:?}", status.events);
    assert!(status.files.rejected > 0, "bad files are told");
    let report = daemon.verified();
    assert!(report.problems.is_empty(), "{report:?}");
    assert!(late.memory_kb < early.memory_kb * 5 / 4 + SLACK_KB, "{early:?} {late:?}");
    assert!(late.descriptors <= early.descriptors + 20, "{early:?} {late:?}");
    assert!(late.threads <= early.threads + 4, "{early:?} {late:?}");
    let log = daemon.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    let stopped = Instant::now();
    daemon.stop();
    assert!(stopped.elapsed() < Duration::from_secs(10));
}
