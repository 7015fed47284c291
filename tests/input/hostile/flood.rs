//! Names and values that all have one hash under FxHash, which this program used: tables take another
//! hash now, which nobody outside knows.

use std::fs;

use crate::common::{Daemon, PATIENCE_BULK, Place};

const NAMES: usize = 20_000;
const AGENTS: usize = 10_000;

/// A text whose state in rustc-hash 2.1 is 0 after its third block, and so its hash one that its last
/// sixteen bytes alone decide.
struct Colliding {
    start: Vec<u8>,
}

impl Colliding {
    fn new() -> Self {
        let mix = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ (product >> 64) as u64
        };
        let is_plain = |byte: u8| (32..127).contains(&byte) && !b"\"\\.".contains(&byte);
        let found = (0_u64..).find_map(|n| {
            let block = format!("attack{n:010}").into_bytes();
            let word = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().unwrap());
            let (x, y) = (word(0), word(8));
            let state = mix(0x1319_8a2e_0370_7344 ^ x, 0xa409_3822_299f_31d0 ^ y).to_le_bytes();
            state.iter().all(|byte| is_plain(*byte)).then(|| {
                let mut start = block;
                start.extend_from_slice(b"0123456789abcdef");
                start.extend_from_slice(&state);
                start
            })
        });
        Self { start: found.unwrap() }
    }

    fn text(&self, number: usize) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let mut text = self.start.clone();
        let digits = (0..4).map(|at| letters[number / 62_usize.pow(at) % 62]);
        text.extend(digits);
        text.extend_from_slice(b"0000-suffix-0000");
        String::from_utf8(text).unwrap()
    }
}

/// Processor time that the daemon has taken, in hundredths of a second.
fn cpu(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

fn event(id: usize, agent: &str, more: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","eventTime":"2024-05-06T07:08:09Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","userAgent":"{agent}","eventID":"{id}"{more}}}"#
    )
}

/// What it takes to read such texts, as names and as values, and to make tables by them.
fn cost(text: impl Fn(usize) -> String) -> u64 {
    let place = Place::new().with("INGEST_THREADS", "1");
    let names: Vec<String> = (0..NAMES).map(|n| format!(r#""{}":1"#, text(n))).collect();
    let more = format!(r#","requestParameters":{{{}}}"#, names.join(","));
    let mut events = vec![event(AGENTS, "one", &more)];
    events.extend((0..AGENTS).map(|n| event(n, &text(n), "")));
    fs::write(place.archive().join("x.json"), format!(r#"{{"Records":[{}]}}"#, events.join(",")))
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, AGENTS as u64 + 1);
    for query in [
        "stats count by ip, userAgent | limit 5",
        "stats distinct(userAgent) by eventName",
        "dedup userAgent | limit 1",
        "eventID:10000",
    ] {
        daemon.find(query);
    }
    let cost = cpu(&daemon);
    daemon.stop();
    cost
}

#[test]
fn names_and_values_that_collide_cost_no_more_than_others() {
    let colliding = Colliding::new();
    let plain = cost(|n| {
        format!("{:08}-attack-0000004122-abcdefghijklmnopqrstuvwxyz-0123456789", n * 7_919)
    });
    let flood = cost(|n| colliding.text(n));
    println!("{plain} and {flood} hundredths of a second");
    assert!(flood < 2 * plain + 150, "{plain} and {flood}");
}
