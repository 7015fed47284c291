//! A hundred clients at once, of which twenty misbehave: the others are answered, and answered right,
//! and what the daemon holds stays bounded.
//!
//! `TRAILDEX_CLIENT_REQUESTS=10000 cargo test --features failpoints --test load clients::` has
//! each of the others ask so often.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::generate::{GenerateOptions, generate};
use client::ClientError;
use wire::{ErrorKind, SearchRequest};

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, wait_until};

const GOOD: usize = 80;
const BAD: usize = 20;

/// Requests of each good client.
const REQUESTS: usize = 30;

fn requests() -> usize {
    let given = std::env::var("TRAILDEX_CLIENT_REQUESTS");
    given.map_or(REQUESTS, |text| text.parse().expect("a number of requests"))
}

const EVENTS: u64 = 20_000;

/// Bytes that some of the bad ones write at once.
const BLOCK: usize = 64 << 10;

const QUERIES: [&str; 5] = [
    "eventSource:ec2.amazonaws.com",
    "eventName:Decrypt AND awsRegion:us-east-1",
    "*",
    "top 5 eventName",
    "errorCode:*",
];

/// Looks at every word and every id of every segment, for longer than a search may take.
const COSTLY: &str =
    "/.*a.*b.*c.*d.*e.*/ OR /.*[0-9].*z.*[0-9].*y.*/ OR *a*b*c*d* | dedup requestID";

/// Runs good clients; returns how long each request took.
fn run_good(daemon: &Daemon, totals: &[u64]) -> Vec<Duration> {
    let one = |n: usize| {
        let mut took = Vec::new();
        for i in 0..requests() {
            let which = (n + i) % QUERIES.len();
            let query = QUERIES[which];
            let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
            let started = Instant::now();
            let answer = daemon.client.search(&request);
            took.push(started.elapsed());
            let answer = answer.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            assert_eq!(answer.total.value, totals[which], "{query}");
        }
        took
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..GOOD).map(|n| scope.spawn(move || one(n))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// One that misbehaves in its own way until it is told to stop.
fn misbehave(n: usize, daemon: &Daemon, is_over: &AtomicBool, refused: &AtomicU64) {
    let head = |length: usize| {
        format!("POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
    };
    let pause = |ms| thread::sleep(Duration::from_millis(ms));
    while !is_over.load(Ordering::Relaxed) {
        if n.is_multiple_of(8) {
            let request = SearchRequest { query: COSTLY.into(), ..SearchRequest::default() };
            match daemon.client.search(&request) {
                Err(ClientError::Api(error))
                    if matches!(error.kind, ErrorKind::Timeout | ErrorKind::Busy) =>
                {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
            continue;
        }
        pause(10);
        let Ok(mut stream) = UnixStream::connect(&daemon.socket) else { continue };
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // It may be cut off at any time.
        let _ = match n % 8 {
            // Says nothing.
            1 => stream.read(&mut [0; 100]).map(|_| ()),
            // Speaks slowly.
            2 => head(10).bytes().try_for_each(|byte| {
                pause(20);
                stream.write_all(&[byte])
            }),
            // No HTTP.
            3 => stream.write_all(&vec![0xff; BLOCK]),
            // A head without end.
            4 => (0..100).try_for_each(|_| stream.write_all(&vec![b'x'; BLOCK])),
            // A body without end.
            5 => stream
                .write_all(head(1 << 40).as_bytes())
                .and_then(|()| (0..100).try_for_each(|_| stream.write_all(&vec![b' '; BLOCK]))),
            // Asks for much, and does not read.
            6 => {
                let body = r#"{"query":"*","limit":10000}"#;
                let asked = stream.write_all(format!("{}{body}", head(body.len())).as_bytes());
                pause(500);
                asked
            }
            // Asks, and hangs up.
            _ => {
                let body = format!(r#"{{"query":{COSTLY:?}}}"#);
                let asked = stream.write_all(format!("{}{body}", head(body.len())).as_bytes());
                pause(50);
                asked
            }
        };
    }
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(Path::new("/proc").join(daemon.pid().to_string()).join("fd")).unwrap().count()
}

#[test]
fn twenty_clients_that_misbehave_take_nothing_from_eighty_that_do_not() {
    let _alone = crate::alone();
    let place = Place::new().with("SEARCH_QUEUE_MAX", "1000").with("SEARCH_DEADLINE_MS", "5000");
    let options = GenerateOptions { events: EVENTS, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, EVENTS);
    let totals: Vec<u64> = QUERIES
        .iter()
        .map(|query| {
            let request = SearchRequest { query: (*query).into(), ..SearchRequest::default() };
            daemon.search(&request).total.value
        })
        .collect();
    let before = descriptors(&daemon);

    let calm = median(run_good(&daemon, &totals));
    let (is_over, refused, most_kb) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let busy = thread::scope(|scope| {
        let (daemon, is_over, refused, most_kb) = (&daemon, &is_over, &refused, &most_kb);
        for n in 0..BAD {
            scope.spawn(move || misbehave(n, daemon, is_over, refused));
        }
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                most_kb.fetch_max(daemon.own_kb(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        thread::sleep(Duration::from_millis(500));
        let took = run_good(daemon, &totals);
        is_over.store(true, Ordering::Relaxed);
        median(took)
    });
    let most_kb = most_kb.into_inner();
    println!("median alone {calm:?}, beside those {busy:?}; {most_kb} kB; {refused:?} cut short");
    // Searches and answers of the sum that `check-config` prints, and what the daemon had before.
    assert!(most_kb < 700_000, "{most_kb} kB");
    // The clients share two cores with the daemon here, and those that misbehave take them as well.
    assert!(busy < calm * 5 + Duration::from_millis(100), "{calm:?} became {busy:?}");

    wait_until(PATIENCE, "every connection is closed", || descriptors(&daemon) <= before + 2);
    assert_eq!(daemon.count("*"), EVENTS);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    daemon.stop();
}
