//! Events as they come into the index: none is missed and none doubled, whatever becomes of the
//! connection, the segments and the daemon.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientError};
use wire::{ErrorKind, RebuildRequest, RebuildState, TailRequest};

use crate::common::{self, PATIENCE_BULK, Place, files_below, generated};

fn now_on(query: &str) -> TailRequest {
    TailRequest { q: query.to_owned(), cursor: None }
}

/// Reads at most so many events, or until none is missing; the request goes on behind them.
fn read(client: &Client, request: &mut TailRequest, most: usize, ids: &mut Vec<String>) {
    let mut tail = client.tail(request).unwrap();
    for _ in 0..most {
        let Some(told) = tail.told().unwrap() else { break };
        request.cursor = Some(told.cursor);
        match told.hit {
            Some(hit) => ids.push(hit.meta.id),
            None => break,
        }
    }
}

#[test]
fn twenty_connections_under_load_miss_and_double_nothing() {
    let place = Place::new();
    let before = generated(&place.archive(), 1, 500);
    let mut daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, before.len() as u64);
    let mut request = now_on("*");
    let mut told = Vec::new();
    // The cursor of now.
    read(&daemon.client, &mut request, 1, &mut told);
    assert!(request.cursor.is_some() && told.is_empty());

    let coming = place.path("coming");
    let expected = generated(&coming, 2, 6_000);
    let archive = place.archive();
    let writer = thread::spawn(move || {
        for file in files_below(&coming) {
            let name = file.file_name().unwrap().to_owned();
            fs::rename(&file, archive.join(name)).unwrap();
            thread::sleep(Duration::from_millis(150));
        }
    });
    for connection in 0..20 {
        // In the middle of a batch, too: what was sent and not read comes again.
        read(&daemon.client, &mut request, 7 + 40 * connection, &mut told);
        if connection == 10 {
            daemon.kill();
            daemon = place.start();
        }
    }
    writer.join().unwrap();
    let started = Instant::now();
    while told.len() < expected.len() && started.elapsed() < PATIENCE_BULK {
        read(&daemon.client, &mut request, 1_000, &mut told);
    }
    let ids: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(ids.len(), told.len(), "doubled");
    assert_eq!(ids, expected);
    daemon.stop();
}

#[test]
fn only_what_matches_is_told() {
    let place = Place::new();
    let daemon = place.start();
    let mut request = now_on("eventName:Decrypt");
    let mut told = Vec::new();
    read(&daemon.client, &mut request, 1, &mut told);
    common::copy_invictus(&place.archive(), 1);
    let started = Instant::now();
    while told.len() < 178 && started.elapsed() < PATIENCE_BULK {
        read(&daemon.client, &mut request, 1_000, &mut told);
    }
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    assert_eq!(told.len(), 178);
    daemon.stop();
}

#[test]
fn what_cannot_be_told_is_refused() {
    let place = Place::new();
    generated(&place.archive(), 1, 200);
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "all", |status| status.files.pending == 0);
    let refused = |request: &TailRequest| match daemon.client.tail(request) {
        Err(ClientError::Api(error)) => error.kind,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{request:?} is answered"),
    };
    assert_eq!(refused(&now_on("eventName:")), ErrorKind::BadQuery);
    assert_eq!(refused(&now_on("* | count")), ErrorKind::BadQuery);
    assert_eq!(refused(&now_on("noSuchField:x")), ErrorKind::UnknownField);
    let cursor = Some("AAAA".to_owned());
    assert_eq!(refused(&TailRequest { cursor, ..now_on("*") }), ErrorKind::BadRequest);

    let mut request = now_on("*");
    read(&daemon.client, &mut request, 1, &mut Vec::new());
    daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    daemon.wait_for(PATIENCE_BULK, "the rebuild", |status| {
        status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Done)
    });
    assert_eq!(refused(&request), ErrorKind::Gone);
    daemon.stop();
}

#[test]
fn the_command_prints_a_line_an_event_and_outlasts_the_daemon() {
    let place = Place::new();
    let mut daemon = place.start();
    let file = place.path("told");
    let mut command = common::traildex();
    command.args(["tail", "--format", "ndjson", "--socket"]).arg(place.socket());
    let mut tail = command.stdout(fs::File::create(&file).unwrap()).spawn().unwrap();
    let lines = || fs::read_to_string(&file).unwrap().lines().count();
    // Written again and again, until the command has connected.
    let mut written = 0;
    let mut write = |place: &Place| {
        written += 1;
        let record = common::record(&format!("e{written}"));
        fs::write(place.archive().join(format!("{written}.json")), record).unwrap();
        written
    };
    common::wait_until(PATIENCE_BULK, "the first line", || {
        write(&place);
        thread::sleep(Duration::from_millis(200));
        lines() > 0
    });
    daemon.kill();
    daemon = place.start();
    let last = write(&place);
    common::wait_until(PATIENCE_BULK, "the last line", || {
        fs::read_to_string(&file).unwrap().contains(&format!("\"e{last}\""))
    });
    let told = fs::read_to_string(&file).unwrap();
    let ids: BTreeSet<&str> = told.lines().collect();
    assert_eq!(ids.len(), told.lines().count(), "doubled");
    tail.kill().unwrap();
    tail.wait().unwrap();
    daemon.stop();
}

#[test]
fn the_first_event_of_an_index_is_told() {
    let place = Place::new();
    let daemon = place.start();
    let mut request = now_on("*");
    let mut told = Vec::new();
    read(&daemon.client, &mut request, 1, &mut told);
    // The first record of the first file, at its first byte.
    fs::write(place.archive().join("first.json"), common::record("first")).unwrap();
    read(&daemon.client, &mut request, 1, &mut told);
    fs::write(place.archive().join("second.json"), common::record("second")).unwrap();
    read(&daemon.client, &mut request, 1, &mut told);
    assert_eq!(told, ["first", "second"]);
    daemon.stop();
}

/// Neither their times nor their ids say in which order they came.
#[test]
fn events_come_file_by_file_and_in_the_order_of_their_bytes_whatever_their_times() {
    let place = Place::new();
    let daemon = place.start();
    let mut request = now_on("*");
    let mut told = Vec::new();
    read(&daemon.client, &mut request, 1, &mut told);
    let same = [("m", 9), ("z", 9), ("a", 9), ("k", 9), ("b", 9)];
    let other = [("n", 9), ("y", 1), ("c", 30), ("l", 9), ("d", 9)];
    for (file, events) in [same, other].iter().enumerate() {
        let record = |(id, second): &(&str, u32)| {
            common::record(&format!("{id}{file}")).replacen(
                "2024-05-06T07:08:09Z",
                &format!("2024-05-06T07:08:{second:02}Z"),
                1,
            )
        };
        let records: Vec<String> = events.iter().map(record).collect();
        let text = format!("{{\"Records\":[{}]}}", records.join(","));
        fs::write(place.archive().join(format!("{}.json", 2 - file)), text).unwrap();
        daemon.wait_indexed(PATIENCE_BULK, 5 * (file as u64 + 1));
    }
    // Some at a time: what follows begins in the midst of equal times.
    for most in [3, 4, 10] {
        read(&daemon.client, &mut request, most, &mut told);
    }
    let expected = ["m0", "z0", "a0", "k0", "b0", "n1", "y1", "c1", "l1", "d1"];
    assert_eq!(told, expected);
    daemon.stop();
}
