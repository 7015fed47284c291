//! Searches that are much work: each ends soon after its client has left, whatever it is at.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Daemon, PATIENCE_BULK, Place};

/// Events of the archive; each has long values, many fields and an id of its own.
const EVENTS: usize = 6_000;

/// Values of this length are kept whole in the index.
const VALUE: usize = 3_900;

/// What a search may take to end, on a machine that does other things: the promise is 100 ms.
const SOON: Duration = Duration::from_millis(1_500);

fn event(n: usize) -> String {
    let mut parameters = String::new();
    for field in 0..64 {
        write!(parameters, r#""f{field}":{},"#, n * 31 % (field + 7)).unwrap();
    }
    let text = "a ".repeat(200);
    let agent = "ab".repeat(VALUE / 2 - n % 50);
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"Root","accountId":"1"}},"eventTime":"2024-05-06T07:08:09Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","userAgent":"{agent}{n}","requestParameters":{{{parameters}"text":"{text}{n}","many":{:?}}},"eventID":"{n:08x}-0000-4000-8000-000000000000"}}"#,
        (0..200).map(|i| (n + i) % 900).collect::<Vec<_>>()
    )
}

/// A query that takes minutes where only events are counted, by what it does.
fn costly() -> Vec<(&'static str, String)> {
    let many = |count: usize, of: &str, between: &str| {
        (0..count).map(|n| of.replace('#', &n.to_string())).collect::<Vec<_>>().join(between)
    };
    let wildcards = format!("*{}b*c*", "a?".repeat(1_000));
    vec![
        ("distinct ids", format!("stats {}", many(64, "distinct(id) as a#", ", "))),
        ("percentiles", format!("stats {} by id", many(64, "p#(requestParameters.many)", ", "))),
        ("keys", "stats count by requestParameters.many, id | sort count".to_owned()),
        ("sorting", format!("sort {}, id", many(63, "requestParameters.f#", ", "))),
        ("dedup", format!("dedup {}, id", many(63, "requestParameters.f#", ", "))),
        ("a wildcard", format!("userAgent:{wildcards}")),
        (
            "wildcards",
            many(60, &format!("userAgent:{wildcards}#"), " OR ").replace("a?a?a?a?", "a?"),
        ),
        ("a regular expression", "userAgent:/[ab]*a[ab]{700}c/".to_owned()),
        ("a phrase", format!("requestParameters.text:\"{}\"", "a ".repeat(20_000))),
        ("words in a row", format!("\"{}\"", "a ".repeat(190))),
        ("comparing fields", "requestParameters.many != requestParameters.many".to_owned()),
        ("negations", many(1_000, "NOT requestParameters.f#:99", " ").replace("f1000", "f1")),
        ("stages", format!("stats count by id, userAgent {}", "| sort userAgent ".repeat(60))),
    ]
}

fn answer(daemon: &Daemon, query: &str) -> UnixStream {
    let body = json!({ "query": query, "highlights": true, "limit": 10_000 }).to_string();
    let mut stream = UnixStream::connect(&daemon.socket).unwrap();
    let head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

#[test]
fn a_search_whose_client_has_left_frees_its_turn() {
    let place = Place::new().with("SEARCH_CONCURRENT_MAX", "1").with("SEARCH_DEADLINE_MS", "60000");
    for (file, first) in (0..EVENTS).step_by(1_000).enumerate() {
        let events: Vec<String> = (first..first + 1_000).map(event).collect();
        let text = format!(r#"{{"Records":[{}]}}"#, events.join(","));
        fs::write(place.archive().join(format!("{file}.json")), text).unwrap();
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, EVENTS as u64);
    let mut slow = Vec::new();
    for (what, query) in costly() {
        let stream = answer(&daemon, &query);
        thread::sleep(Duration::from_millis(400));
        // Whether it is refused, or done: neither is what this is about.
        stream.set_nonblocking(true).unwrap();
        let has_answer = (&stream).read(&mut [0; 64]).is_ok();
        drop(stream);
        let left = Instant::now();
        // It takes the turn that is free, among the short or the long ones.
        assert_eq!(daemon.count("eventName:GetObject"), EVENTS as u64);
        assert_eq!(
            daemon.find("stats count by requestParameters.f63 | limit 1").total.value,
            6_000
        );
        println!("{what}: answered {has_answer}, its turn is free after {:?}", left.elapsed());
        if left.elapsed() > SOON {
            slow.push(what);
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    daemon.stop();
}
