//! What is one event: no record that somebody makes up takes the place of another.

use std::fs;
use std::path::Path;

use crate::common::{Daemon, PATIENCE, Place, run, sample};
use wire::{RebuildRequest, RebuildState};

fn put(place: &Place, record: &str, name: &str) {
    fs::copy(sample("forged").join(record), place.archive().join(name)).unwrap();
}

/// Both events are found, and each is flagged.
fn check_both(daemon: &Daemon) {
    let found = daemon.find("*");
    let mut names: Vec<String> = found
        .hits
        .iter()
        .map(|hit| {
            let event: serde_json::Value = serde_json::from_str(hit.event.get()).unwrap();
            format!("{} {}", event["eventName"].as_str().unwrap(), hit.meta.flags.join(" "))
        })
        .collect();
    names.sort();
    assert_eq!(names, ["DescribeConfigRules id-conflict", "StopLogging id-conflict"]);
    assert_eq!(daemon.count("eventName:StopLogging"), 1);
    assert_eq!(daemon.count("user:mallory"), 1);
    let id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    assert_eq!(daemon.client.event(id).unwrap().hits.len(), 2);
    assert_eq!(daemon.verified().problems, []);
}

fn rebuild_of_records(data_dir: &Path) {
    let args = ["rebuild", "--offline", "--from-records", "--data-dir", data_dir.to_str().unwrap()];
    let output = run(&args);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn a_forged_record_hides_no_genuine_one_in_whatever_order_they_come() {
    for order in [["forged.json", "genuine.json"], ["genuine.json", "forged.json"]] {
        let place = Place::new();
        let daemon = place.start();
        for (n, record) in order.iter().enumerate() {
            put(&place, record, &format!("{n}.json"));
            daemon.wait_indexed(PATIENCE, n as u64 + 1);
        }
        check_both(&daemon);
        // Delivered again, each is known.
        put(&place, "forged.json", "2.json");
        put(&place, "genuine.json", "3.json");
        daemon.wait_for(PATIENCE, "the copies", |status| status.files.indexed == 4);
        let events = daemon.status().events;
        assert_eq!((events.indexed, events.duplicates, events.conflicting), (2, 2, 1));

        daemon.client.rebuild(&RebuildRequest::default()).unwrap();
        daemon.wait_for(PATIENCE, "the rebuild", |status| {
            status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Done)
        });
        check_both(&daemon);
        daemon.stop();
        rebuild_of_records(&place.data_dir());
        let daemon = place.start();
        check_both(&daemon);
        daemon.stop();
    }
}
