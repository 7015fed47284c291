//! The page's views beside the list of events, in Chromium.

use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};

use crate::common::{Daemon, PATIENCE, Place, record, shared_daemon};

use super::harness::Web;
use super::scripts::{browse, nothing};

/// A record of our own of this hour, account and region.
fn of(id: &str, time: &str, account: &str, region: &str) -> Value {
    let mut event: Value = serde_json::from_str(&record(id)).unwrap();
    event["eventTime"] = json!(time);
    event["recipientAccountId"] = json!(account);
    event["userIdentity"]["accountId"] = json!(account);
    event["awsRegion"] = json!(region);
    event
}

/// An archive of eight days that lacks five hours of one region, with names that strangers chose, a file
/// that is no trail, and one with a record that is none. Returns how many events it has.
fn with_a_gap(place: &Place) -> u64 {
    let account = "111122223333";
    let mut events = 0;
    for (day, hour) in (1..=8).flat_map(|day| (0..24).map(move |hour| (day, hour))) {
        for region in ["us-east-1", "eu-west-1"] {
            if region == "us-east-1" && day == 5 && (9..14).contains(&hour) {
                continue;
            }
            let time = format!("2024-05-0{day}T{hour:02}:10:00Z");
            let ids = (0..=hour % 5).map(|n| format!("{region}-{day}-{hour}-{n}"));
            let records: Vec<Value> = ids.map(|id| of(&id, &time, account, region)).collect();
            events += records.len() as u64;
            let folder = format!("AWSLogs/{account}/CloudTrail/{region}/2024/05/0{day}");
            let folder = place.archive().join(folder);
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("{hour:02}.json"));
            fs::write(path, json!({ "Records": records }).to_string()).unwrap();
        }
    }
    let odd = of("odd", "2024-05-03T01:00:00Z", "<img src=x onerror=alert(1)>", "\u{202e}<b>x");
    fs::write(place.archive().join("odd.json"), json!({ "Records": [odd] }).to_string()).unwrap();
    fs::write(place.archive().join("broken.json.gz"), "no trail at all").unwrap();
    let good = of("good", "2024-05-03T02:20:00Z", account, "eu-west-1");
    let half = format!("{{\"Records\":[{good},{{\"eventName\":nonsense}}]}}");
    fs::write(place.archive().join("half<b>.json"), half).unwrap();
    events + 2
}

#[test]
fn the_archive_and_its_gaps_are_seen_in_the_page() {
    let place = Place::new();
    let events = with_a_gap(&place);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, events);
    browse("archive.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
    daemon.stop();
}

#[test]
fn all_that_a_query_finds_is_downloaded_by_the_page() {
    let daemon = shared_daemon();
    browse("downloads.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
}

/// Puts a file with so many records into the archive, at once.
fn add(place: &Place, name: &str, count: usize) {
    let records: Vec<String> = (0..count).map(|n| record(&format!("{name}-{n}"))).collect();
    let half = place.path(name);
    fs::write(&half, format!("{{\"Records\":[{}]}}", records.join(","))).unwrap();
    fs::rename(half, place.archive().join(format!("{name}.json"))).unwrap();
}

#[test]
fn new_events_come_into_the_page_and_a_restart_is_survived() {
    let place = Place::new().with("WATCH_SETTLE_MS", "10");
    add(&place, "zero", 1);
    let started = || {
        let daemon = place.start();
        daemon.wait_for(PATIENCE, "it is indexed", |status| status.events.indexed > 0);
        daemon
    };
    let mut daemon: Option<Daemon> = Some(started());
    let web = Web::start(daemon.as_ref().unwrap(), &[]);
    browse("tail.mjs", &web, &Value::Null, |what| match what.split(' ').collect::<Vec<_>>()[..] {
        ["add", name, count] => add(&place, name, count.parse().unwrap()),
        ["stop"] => daemon.take().unwrap().stop(),
        ["start"] => daemon = Some(started()),
        ["anew"] => {
            fs::remove_dir_all(place.data_dir()).unwrap();
            daemon = Some(started());
        }
        _ => nothing(what),
    });
    daemon.unwrap().stop();
}

#[test]
fn thousands_are_listed_and_what_was_asked_is_kept() {
    let daemon = shared_daemon();
    browse("list.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
}

#[test]
fn tables_are_drawn_and_lead_to_their_events() {
    let daemon = shared_daemon();
    browse("charts.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
}

/// Width and height of a PNG.
fn size_of(png: &[u8]) -> [u32; 2] {
    assert_eq!(&png[1..4], b"PNG");
    [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()))
}

/// Fonts and Chromium differ from machine to machine, so the pictures are not compared point by point: what
/// is on them is checked as they are taken. TRAILDEX_ACCEPT=1 puts them into the README.
#[test]
fn the_pictures_of_the_readme_are_taken_of_the_page() {
    let daemon = shared_daemon();
    let taken = Place::new();
    let folder = taken.path("pictures");
    fs::create_dir(&folder).unwrap();
    let values = json!({ "folder": folder });
    browse("pictures.mjs", &Web::start(&daemon, &[]), &values, nothing);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for name in ["event.png", "chart.png"] {
        let kept = root.join("docs/pictures").join(name);
        let new = fs::read(folder.join(name)).unwrap();
        if env::var_os("TRAILDEX_ACCEPT").is_some() {
            fs::create_dir_all(kept.parent().unwrap()).unwrap();
            fs::write(&kept, &new).unwrap();
        }
        assert_eq!(size_of(&fs::read(&kept).unwrap()), size_of(&new), "{name}");
        assert!(readme.contains(&format!("(docs/pictures/{name})")), "{name} is not in the README");
    }
}
