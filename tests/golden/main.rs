//! Indexes that earlier versions made, in `tests/data/golden`, one of each version of the format: this
//! build opens them and answers from them, without the archive that they were made of.
//!
//! An index is made once, with `tests/golden/make` and the program that was released, and never again.
//! The bytes of these files are what users have; a test here that fails means that users lose something.

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Daemon, PATIENCE, Place, files_below, run, sample};
use flate2::read::GzDecoder;
use ingest::again::read_again;
use segment::view::SegmentView;
use serde_json::{Value, json};
use store::remake::SizeLimits;
use store::store::Store;
use store::versions::FORMAT_VERSION;
use wire::{FileState, FilesRequest, RebuildRequest, SavedRequest};

/// Events in each golden index: those of `tests/data/golden/archive`.
const EVENTS: u64 = 46;

/// The golden indexes, by their names.
fn indexes() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(sample("golden")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with('v'));
    found.sort();
    assert!(!found.is_empty(), "there is a golden index");
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let copied = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(&file, copied).unwrap();
    }
}

/// Runs `check` with a daemon on a copy of each golden index, whose archive is empty.
fn on_each(check: impl Fn(&Place, &Daemon)) {
    for index in indexes() {
        let place = Place::new();
        copy(&index, &place.data_dir());
        let daemon = place.start();
        eprintln!("{}", index.display());
        daemon.wait_for(PATIENCE, "the index is of this version", |status| {
            !status.warnings.iter().any(|warning| warning.contains("earlier version"))
        });
        check(&place, &daemon);
        daemon.stop();
        assert!(!place.data_dir().join("set-aside").exists(), "nothing is set aside");
    }
}

/// A file's bytes, uncompressed; without what is behind the first member.
fn delivered(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return String::from_utf8(bytes).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_record_is_there_byte_for_byte_as_it_was_delivered() {
    let texts: Vec<String> =
        files_below(&sample("golden/archive")).iter().map(|path| delivered(path)).collect();
    on_each(|_, daemon| {
        let found = daemon.find("*");
        assert_eq!(found.warnings, [""; 0], "the archive's absence costs nothing");
        let records: BTreeSet<&str> = found
            .hits
            .iter()
            .map(|hit| hit.meta.raw.as_deref().unwrap_or(hit.event.get()))
            .collect();
        assert_eq!(records.len() as u64, EVENTS, "each is another");
        for record in records {
            assert!(texts.iter().any(|text| text.contains(record)), "{record}");
        }
        for hit in &found.hits {
            let again = daemon.client.event(&hit.meta.id).unwrap();
            let is_it = |other: &wire::Hit| other.event.get() == hit.event.get();
            assert!(again.hits.iter().any(is_it), "{}", hit.meta.id);
        }
    });
}

#[test]
fn questions_are_answered_as_by_the_version_that_made_the_index() {
    let counts = [
        ("*", EVENTS),
        // Terms, wildcards, regular expressions.
        ("eventName:AssumeRole", 3),
        ("eventName:Describe*", 16),
        ("eventName:/Get(User|BucketAcl)/", 3),
        // Words of columns and of leaves; a phrase.
        ("bert-jan", 27),
        ("golden AND NOT eventName:LongValue", 10),
        ("Grüße", 1),
        ("end-of-the-long-value", 1),
        ("actor:golden", 11),
        // Networks and times.
        ("ip:2001:db8::/32", 1),
        ("ip:192.0.2.0/24", 10),
        ("eventTime:[2024-02-29 TO 2024-03-02]", 10),
        // Typed values of leaves.
        ("requestParameters.whole:7", 1),
        ("requestParameters.whole:[5 TO 9]", 1),
        ("requestParameters.negative:[-9 TO -5]", 1),
        ("requestParameters.fraction:0.1", 1),
        ("requestParameters.large:9007199254740993", 1),
        ("requestParameters.large:9007199254740992", 0),
        ("requestParameters.beyond:18446744073709551615", 1),
        ("requestParameters.long:*value", 1),
        ("yes:true", 1),
        ("list:c", 1),
        ("mixed:*", 2),
        ("policyDocument.Statement.Action:iam*", 1),
        // Ids: UUIDs and others.
        ("eventID:00000000-0000-4000-8000-000000000001", 1),
        ("eventID:00000000-0000-4000-8000-000000000005", 2),
        ("eventID:0000*", 10),
        ("eventID:not-a-uuid", 1),
        ("requestID:REQ-1", 1),
        ("sharedEventID:00000000-0000-4000-8000-000000000099", 1),
        // What is derived, also of what an earlier version made.
        ("outcome:success", EVENTS - 4),
        ("error:*", 4),
        ("account:*", EVENTS),
        ("action:AssumeRole", 3),
        ("client:terraform-provider-aws/3", 19),
        ("target:*", 24),
    ];
    on_each(|_, daemon| {
        for (query, count) in counts {
            assert_eq!(daemon.count(query), count, "{query}");
            assert_eq!(daemon.find(query).hits.len() as u64, count, "{query}");
        }
        let table = daemon.find("* | count by awsRegion").table.unwrap();
        let expected = json!([
            ["us-east-1", 32],
            ["eu-central-1", 11],
            ["ca-isob-northsouth-1r", 1],
            ["eu-west-2r", 1],
            ["us-west-2", 1]
        ]);
        assert_eq!(serde_json::to_value(table.rows).unwrap(), expected);
        let table = daemon.find("* | stats count, max(whole), sum(negative)").table.unwrap();
        assert_eq!(serde_json::to_value(table.rows).unwrap(), json!([[EVENTS, 7, -7]]));
        let table = daemon.find("* | top 2 eventName").table.unwrap();
        let first: Vec<&Value> = table.rows.iter().map(|row| &row[0]).collect();
        assert_eq!(first, [&json!("DescribeDBInstances"), &json!("AssumeRole")]);
    });
}

#[test]
fn the_ledger_and_the_saved_searches_are_read() {
    on_each(|_, daemon| {
        let status = daemon.status();
        assert_eq!(status.warnings, [""; 0]);
        let events = status.events;
        let sums = (events.indexed, events.duplicates, events.conflicting, events.rejected);
        assert_eq!(sums, (EVENTS, 6, 1, 2));
        assert_eq!((events.repaired, events.lost), (1, 0));
        let files = status.files;
        let states = (files.indexed, files.rejected, files.digest, files.empty, files.replaced);
        assert_eq!(states, (15, 1, 1, 1, 2));
        let listed = daemon.files(&FilesRequest { limit: Some(100), ..FilesRequest::default() });
        assert_eq!(listed.total, 20);
        let broken = daemon.file("broken.json");
        assert_eq!((broken.state, broken.reading.records), (FileState::Indexed, 2));
        assert_eq!((broken.reading.rejected, broken.reading.rejects.len()), (1, 1));
        let values = daemon.file("values.json");
        assert_eq!((values.size, values.reading.conflicting), (8_359, 1));
        assert_eq!(values.modified.unwrap().to_string(), "2024-03-05T00:00:00Z");
        let sha256 = "50ea21c10d4fb0d4fea27d508175d9d8202a2bea2aff1b938c73879cbb618a79";
        assert_eq!(values.reading.sha256.as_deref(), Some(sha256));
        assert_eq!(values.reading.account.as_deref(), Some("111122223333"));
        assert_eq!(values.reading.region.as_deref(), Some("eu-central-1"));
        assert!(values.reading.read_at.is_some());
        let (first, last) = (values.reading.first.unwrap(), values.reading.last.unwrap());
        assert_eq!(
            (last.0 - first.0, last.to_string().as_str()),
            (4_000_000, "2024-02-29T23:59:59Z")
        );
        assert_eq!(daemon.file("access-analyzer-documented-entry.json").reading.repaired, 1);
        assert_eq!(daemon.file_now("changed.json").reading.duplicates, 1);
        assert_eq!(daemon.file_now("trailing.json.gz").reading.flags, ["trailing-bytes"]);
        let saved = daemon.client.saved().unwrap().saved;
        assert_eq!(saved.keys().collect::<Vec<_>>(), ["by-action", "everything"]);
        assert_eq!(saved["by-action"].time_zone.as_deref(), Some("Europe/Berlin"));
        let found = daemon.client.search_saved("by-action", &SavedRequest::default()).unwrap();
        assert_eq!(found.total.value, 3);
    });
}

/// The hashes of all files, and whether ledger and events agree; with the daemon and without.
#[test]
fn a_check_finds_nothing() {
    on_each(|_, daemon| assert_eq!(daemon.verified().problems, []));
    for index in indexes() {
        let output = run(&["verify", "--data-dir", index.to_str().unwrap()]);
        assert_eq!(output.code, 0, "{}", output.stdout);
    }
}

/// What this build makes of the records of an index of its own version is that index, to the byte: a
/// change to what is written is a new version (`crates/store/src/versions.rs`), also where tantivy makes it.
#[test]
fn the_segments_made_anew_of_their_records_are_the_same_to_the_byte() {
    let index = sample("golden").join(format!("v{FORMAT_VERSION}"));
    if !index.exists() {
        return; // Made when the version is released.
    }
    let place = Place::new();
    copy(&index, &place.data_dir());
    let mut store = Store::open(&place.data_dir(), 1 << 20).unwrap();
    let files = |store: &Store| -> Vec<Vec<(String, String)>> {
        let snapshot = store.snapshots().load_full();
        let of_segment = |view: &Arc<SegmentView>| {
            let files = view.entry.files.iter();
            files.map(|file| (file.name.replace(&view.entry.id, ""), file.xxh3.clone())).collect()
        };
        snapshot.segments.iter().map(of_segment).collect()
    };
    let before = files(&store);
    let limits = SizeLimits { events_max: 1_000, bytes_max: 1 << 30 };
    store.remake(limits, &mut *read_again()).unwrap();
    assert_eq!(files(&store), before);
}

/// An index of an earlier version is made anew of its records; meanwhile its events are found, and new
/// files wait: nobody could tell whether their events are new. A crash on the way changes nothing.
#[test]
fn an_index_of_an_earlier_version_is_made_anew_while_its_events_are_found() {
    for index in indexes() {
        if index.ends_with(format!("v{FORMAT_VERSION}")) {
            continue;
        }
        let place = Place::new();
        copy(&index, &place.data_dir());
        let slowly = |at: &str| {
            let mut command = place.serve_command();
            command.env("FAILPOINTS", format!("outdated-segment-found={at}"));
            command
        };
        let mut ends = place.spawn_unready(slowly("1*off->return"));
        assert_eq!(ends.wait_end().signal(), Some(6), "it ends at the second segment");

        let daemon = place.spawn(slowly("sleep(2000)"));
        copy(&sample("golden/archive"), &place.archive());
        fs::write(place.archive().join("new.json"), common::trail(&["new"])).unwrap();
        let status = daemon.status();
        let [warning] = status.warnings.as_slice() else { panic!("{:?}", status.warnings) };
        assert!(warning.starts_with("an earlier version made the index: "), "{warning}");
        assert_eq!(daemon.count("*"), EVENTS);
        assert_eq!(daemon.count("eventName:AssumeRole"), 3);
        // What is derived of the others is not there yet, and each answer says so.
        let underived = |warnings: &[String]| {
            warnings.iter().any(|warning| warning.contains("outcome, error, client, target"))
        };
        assert!(underived(&daemon.find("outcome:*").warnings));
        let refused = daemon.client.rebuild(&RebuildRequest::default()).unwrap_err();
        assert!(refused.to_string().contains("earlier version"), "{refused}");

        daemon.wait_count("eventID:new", 1);
        daemon.wait_for(PATIENCE, "all files are read", |status| {
            status.files.indexed == 15 + 15 + 1 && status.files.pending == 0
        });
        assert_eq!(daemon.count("*"), EVENTS + 1);
        assert_eq!(daemon.status().warnings, [""; 0]);
        assert!(!underived(&daemon.find("outcome:*").warnings));
        assert_eq!(daemon.count("outcome:*"), EVENTS + 1);
        assert_eq!(daemon.verified().problems, []);
        daemon.stop();
        let version = format!("{{\"format_version\":{FORMAT_VERSION},");
        let manifest = fs::read_to_string(place.data_dir().join("manifest.json")).unwrap();
        assert!(manifest.starts_with(&version), "{manifest}");
        let keys = files_below(&place.data_dir().join("segments"));
        let keys: Vec<_> = keys.iter().filter(|path| path.extension().unwrap() == "keys").collect();
        assert!(!keys.is_empty());
        for path in keys {
            assert!(fs::read(path).unwrap().starts_with(b"tdxkeys3"), "{}", path.display());
        }
    }
}

/// Without a daemon it is searched as it is.
#[test]
fn an_index_of_an_earlier_version_is_searched_without_a_daemon_with_a_warning() {
    let place = Place::new();
    copy(&sample("golden/v5"), &place.data_dir());
    let data_dir = place.data_dir();
    let ask = |query: &str| run(&["search", query, "--data-dir", data_dir.to_str().unwrap()]);
    let found = ask("eventName:AssumeRole");
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert!(found.stderr.contains("outcome, error, client, target"), "{}", found.stderr);
    assert!(ask("outcome:*").stderr.contains("outcome, error, client, target"));
}

/// The events of an index of any version are known when they are delivered again.
#[test]
fn events_that_are_delivered_again_are_known_and_new_ones_come_in() {
    on_each(|place, daemon| {
        copy(&sample("golden/archive"), &place.archive());
        daemon.wait_for(PATIENCE, "all files are read", |status| {
            status.files.indexed == 15 + 15 && status.files.pending == 0
        });
        assert_eq!(daemon.count("*"), EVENTS);
        fs::write(place.archive().join("new.json"), common::trail(&["new"])).unwrap();
        daemon.wait_count("eventID:new", 1);
        assert_eq!(daemon.count("*"), EVENTS + 1);
        assert_eq!(daemon.verified().problems, []);
    });
}
