//! A damaged index: named, set aside, made anew from the archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use client::ClientError;
use segment::check::check_segment;
use segment::{parts, sigbus};
use store::store::Store;
use store::versions::FORMAT_VERSION;
use wire::{ErrorKind, FileState, FilesRequest, SearchRequest};

use crate::common::{
    self, Daemon, PATIENCE, PATIENCE_BULK, Place, Ran, copy_invictus, ended, files_below, run,
    trail, traildex,
};

/// Segment files of a kind, largest first.
pub(super) fn segment_files(place: &Place, extension: &str) -> Vec<PathBuf> {
    let mut files = files_below(&place.data_dir().join("segments"));
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    files
}

/// Changes a byte in the middle of a file, in place: whoever has it mapped sees it.
pub(super) fn damage(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], middle).unwrap();
}

pub(super) fn refusal(error: ClientError) -> (ErrorKind, String) {
    let ClientError::Api(error) = error else { panic!("{error}") };
    (error.kind, error.message)
}

/// A place whose index has a few segments of the sample trail.
pub(super) fn indexed_place() -> Place {
    let place = Place::new().with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    copy_invictus(&place.archive(), 1);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    daemon.stop();
    assert!(segment_files(&place, "idx").len() > 1, "one can be damaged and others not");
    place
}

#[test]
fn a_damaged_segment_is_set_aside_at_the_start_and_its_events_come_back_from_the_archive() {
    for (extension, _) in parts::extensions() {
        let place = indexed_place();
        let damaged = segment_files(&place, &extension).remove(0);
        damage(&damaged);
        let daemon = place.start();
        let name = damaged.file_name().unwrap().to_str().unwrap();
        let warnings = daemon.status().warnings.join("\n");
        assert!(warnings.contains(name) && warnings.contains("set aside"), "{warnings}");
        assert!(daemon.log().contains(name), "{}", daemon.log());
        daemon.wait_indexed(PATIENCE_BULK, 2_900);
        daemon.wait_for(PATIENCE, "all is back", |status| {
            status.events.lost == 0 && status.files.reread == 0
        });
        assert_eq!(daemon.count("eventName:AssumeRole"), 49);
        assert_eq!(daemon.find("*").hits.len(), 2_900);
        assert_eq!(daemon.verified().problems, []);
        assert_eq!(daemon.find("*").warnings, [""; 0]);
        daemon.stop();
    }
}

#[test]
fn what_the_archive_does_not_have_any_more_is_said_with_every_answer() {
    let place = indexed_place();
    fs::rename(place.archive(), place.path("gone")).unwrap();
    fs::create_dir(place.archive()).unwrap();
    damage(&segment_files(&place, "records")[0]);
    let daemon = place.start();
    let events = daemon.status().events;
    assert!(events.lost > 0 && events.indexed + events.lost == 2_900, "{events:?}");
    let found = daemon.find("*");
    assert!(found.warnings[0].contains("damaged part of the index"), "{:?}", found.warnings);
    let output = run(&["search", "*", "--limit", "1", "--socket", daemon.socket.to_str().unwrap()]);
    assert!(output.stderr.contains("warning: "), "{}", output.stderr);
    let reread = FilesRequest { state: Some(FileState::Reread), ..FilesRequest::default() };
    let listed = daemon.files(&reread);
    assert_eq!(listed.sums.lost, events.lost);
    assert!(listed.files[0].reading.reason.as_ref().unwrap().contains("damaged"));
    assert_eq!(daemon.verified().problems, [], "the loss is accounted for");
    daemon.stop();

    // It comes back when the archive does.
    fs::remove_dir(place.archive()).unwrap();
    fs::rename(place.path("gone"), place.archive()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    daemon.wait_for(PATIENCE, "nothing is missing", |status| status.events.lost == 0);
    assert_eq!(daemon.find("*").warnings, [""; 0]);
    daemon.stop();
}

/// Has a sealed file state another version of its format.
fn restate(path: &Path, from: u32, to: u32) {
    let text = fs::read_to_string(path).unwrap();
    let stated = |version: u32| format!(r#""format_version":{version}"#);
    let json = text.lines().next().unwrap();
    assert!(json.contains(&stated(from)), "{json}");
    let json = json.replace(&stated(from), &stated(to));
    let hash = xxhash_rust::xxh3::xxh3_64(json.as_bytes());
    fs::write(path, format!("{json}\n{hash:016x}\n")).unwrap();
}

/// The archive does not have the events any more: only the index does.
#[test]
fn an_index_of_another_version_is_refused_and_not_set_aside() {
    let place = indexed_place();
    fs::remove_dir_all(place.archive()).unwrap();
    fs::create_dir(place.archive()).unwrap();
    let manifest = place.data_dir().join("manifest.json");
    for version in [3, FORMAT_VERSION + 1] {
        restate(&manifest, FORMAT_VERSION, version);
        let files = files_below(&place.data_dir());
        let data_dir = place.data_dir();
        let mut verify = traildex();
        verify.args(["verify", "--data-dir", data_dir.to_str().unwrap()]);
        for mut command in [place.serve_command(), verify] {
            let Ran { code, stderr, .. } = ended(&mut command);
            assert_eq!(code, 4, "{stderr}");
            let told = format!("manifest.json: format version {version}, and this traildex reads");
            assert!(stderr.contains(&told), "{stderr}");
            assert!(stderr.contains("Start the version of traildex that wrote it"), "{stderr}");
        }
        assert_eq!(files_below(&place.data_dir()), files, "nothing is set aside");
        restate(&manifest, version, FORMAT_VERSION);
    }
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 2_900);
    assert_eq!(daemon.status().warnings, [""; 0]);
    daemon.stop();
}

#[test]
fn an_index_without_its_manifest_is_set_aside_and_made_anew() {
    let place = indexed_place();
    fs::remove_file(place.data_dir().join("manifest.json")).unwrap();
    let daemon = place.start();
    let warnings = daemon.status().warnings.join("\n");
    assert!(warnings.contains("manifest.json: it is missing"), "{warnings}");
    daemon.wait_indexed(PATIENCE_BULK, 2_900);
    assert_eq!(daemon.find("*").warnings, [""; 0], "once it has caught up");
    daemon.stop();
    let aside: Vec<PathBuf> = fs::read_dir(place.data_dir().join("set-aside"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [aside] = &aside[..] else { panic!("one folder") };
    assert!(aside.join("files.jsonl").exists() && aside.join("segments").exists());
}

#[test]
fn damage_found_while_running_stops_searches_over_it_and_not_the_daemon() {
    let place = indexed_place();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2_900);
    assert_eq!(daemon.verified().problems, []);
    let damaged = segment_files(&place, "records").remove(0);
    damage(&damaged);
    let name = damaged.file_name().unwrap().to_str().unwrap().to_owned();
    let report = daemon.verified();
    let [problem] = report.problems.as_slice() else { panic!("{report:#?}") };
    assert!(problem.path.ends_with(&name) && problem.problem.contains("hash"), "{problem:?}");

    let search = |start: Option<&str>| {
        daemon.client.search(&SearchRequest {
            start: start.map(str::to_owned),
            limit: Some(1),
            ..SearchRequest::default()
        })
    };
    let (kind, message) = refusal(search(None).unwrap_err());
    assert_eq!(kind, ErrorKind::Damaged);
    assert!(message.contains(&name) && message.contains("traildex rebuild"), "{message}");
    assert_eq!(search(Some("2024-01-01")).unwrap().total.value, 0, "elsewhere in time it answers");
    let socket = daemon.socket.to_str().unwrap();
    let output = run(&["search", "*", "--socket", socket]);
    assert_eq!(output.code, 4);
    assert!(output.stderr.contains(&name), "{}", output.stderr);
    let status = daemon.status();
    assert_eq!(status.index.damaged, 1);
    assert!(status.warnings[0].contains(&name), "{:?}", status.warnings);
    let (_, metrics) = daemon.client.get("/metrics").unwrap();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    assert!(metrics.contains("traildex_index_segments_damaged 1"), "{metrics}");

    // Ingest goes on, and its events are found.
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    daemon.wait_for(PATIENCE, "the new file", |status| status.events.indexed == 2_901);
    assert_eq!(search(Some("2024-01-01")).unwrap().total.value, 1);

    // A rebuild puts it right, without a restart.
    let output = run(&["rebuild", "--socket", socket]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(daemon.find("*").total.value, 2_901);
    assert_eq!(daemon.status().index.damaged, 0);
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();
}

/// Overwrites half of each file of a kind.
fn overwrite(place: &Place, extension: &str) {
    for path in segment_files(place, extension) {
        let file = File::options().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len() as usize;
        file.write_all_at(&vec![0xFF; length / 2], 0).unwrap();
    }
}

#[test]
fn a_record_that_is_not_as_it_was_written_marks_its_segment() {
    let place = indexed_place();
    let daemon = place.start();
    overwrite(&place, "records");
    let request = SearchRequest { limit: Some(10_000), ..SearchRequest::default() };
    let (kind, message) = refusal(daemon.client.search(&request).unwrap_err());
    assert_eq!(kind, ErrorKind::Damaged);
    assert!(message.contains(".records: block "), "{message}");
    assert!(daemon.status().index.damaged > 0);
    daemon.stop();
}

fn metrics(daemon: &Daemon) -> String {
    let (_, metrics) = daemon.client.get("/metrics").unwrap();
    String::from_utf8(metrics.to_vec()).unwrap()
}

/// The kind and the message of a search that only counts.
fn refused(daemon: &Daemon, query: &str) -> (ErrorKind, String) {
    let request = SearchRequest { query: query.into(), limit: Some(0), ..SearchRequest::default() };
    refusal(daemon.client.search(&request).unwrap_err())
}

/// Whether events that came in since are found, in a segment of their own.
fn finds_what_is_new(place: &Place, daemon: &Daemon) -> bool {
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    daemon.wait_for(PATIENCE, "the new file", |status| status.events.indexed == 2_901);
    let start = Some("2024-01-01".to_owned());
    let request = SearchRequest { start, ..SearchRequest::default() };
    daemon.client.search(&request).unwrap().hits.len() == 1
}

/// tantivy panics on most of what is damaged in a dictionary.
#[test]
fn a_search_that_fails_on_damage_says_so_and_its_segment_alone_is_checked() {
    let queries =
        ["getbucket*", "NOT getbucket*", "* | top eventName", "* | stats distinct(userAgent)"];
    for (extension, query) in [("term", 0), ("term", 1), ("fast", 2), ("fast", 3)] {
        let query = queries[query];
        let place = indexed_place();
        let daemon = place.start();
        let damaged = segment_files(&place, extension).remove(0);
        let file = File::options().write(true).open(&damaged).unwrap();
        let length = file.metadata().unwrap().len() as usize;
        // Where a file ends it says what it is, which is read when it is opened.
        file.write_all_at(&vec![0xFF; length - 4_096], 0).unwrap();
        let name = damaged.file_name().unwrap().to_str().unwrap();
        for _ in 0..2 {
            let (kind, message) = refused(&daemon, query);
            assert_eq!(kind, ErrorKind::Damaged, "{query}: {message}");
            assert!(message.contains(name), "{query}: {message}");
        }
        let metrics = metrics(&daemon);
        assert!(metrics.contains("traildex_disk_faults_total{kind=\"damaged\"} 2"), "{metrics}");
        assert!(!metrics.contains("traildex_http_panics_total"), "{metrics}");
        assert_eq!(daemon.log().matches("checking it").count(), 1, "{}", daemon.log());
        assert_eq!(daemon.status().index.damaged, 1);
        assert!(finds_what_is_new(&place, &daemon), "elsewhere in time it answers");
        daemon.stop();
    }
}

#[test]
fn a_read_that_fails_is_told_with_its_file_and_is_no_fault_of_ours() {
    let place = indexed_place();
    let failing = segment_files(&place, "records").remove(0);
    let id = failing.file_stem().unwrap().to_str().unwrap();
    let queries = [
        "eventID:a*",
        "NOT eventID:a*",
        "requestID != eventID",
        "* | dedup eventID",
        "* | sort requestID",
        "* | stats count by eventID",
    ];
    for (before, query) in queries.into_iter().enumerate() {
        let mut command = place.serve_command();
        command.env("FAILPOINTS", format!("record-read=return({id})"));
        let daemon = place.spawn(command);
        for _ in 0..3 {
            let (kind, message) = refused(&daemon, query);
            assert_eq!(kind, ErrorKind::Io, "{query}: {message}");
            assert!(message.contains(&format!("{id}.records")), "{query}: {message}");
        }
        let metrics = metrics(&daemon);
        assert!(metrics.contains("traildex_disk_faults_total{kind=\"io\"} 3"), "{metrics}");
        assert!(!metrics.contains("traildex_http_panics_total"), "{metrics}");
        // The log is that of all daemons of the place.
        assert_eq!(daemon.log().matches("checking it").count(), before + 1, "{}", daemon.log());
        let status = daemon.status();
        assert_eq!(status.index.damaged, 1);
        assert!(status.warnings[0].contains(id), "{:?}", status.warnings);
        let output = run(&["search", query, "--socket", daemon.socket.to_str().unwrap()]);
        assert_eq!(output.code, 4);
        assert!(output.stderr.contains(id), "{}", output.stderr);
        daemon.stop();
    }
    let daemon = place.start();
    assert_eq!(daemon.find("*").hits.len(), 2_900, "what failed was the reading");
    daemon.stop();
}

/// A read of a mapping that fails is SIGBUS, and leaves zeros where the page was, whatever the file is
/// then.
#[test]
fn a_page_that_was_lost_marks_its_segment_though_the_file_is_whole_again() {
    let place = indexed_place();
    let store = Store::open(&place.data_dir(), 1 << 20).unwrap();
    let snapshot = store.snapshots().load_full();
    let segment = &snapshot.segments[0];
    let path = place.data_dir().join(format!("segments/{}.fast", segment.entry.id));
    let whole = fs::read(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    let _zeros = segment.position(0);
    file.write_all_at(&whole, 0).unwrap();
    assert!(sigbus::cuts() > 0);
    let checked = check_segment(&place.data_dir().join("segments"), &segment.entry, &|_| {});
    assert!(checked.is_ok(), "{checked:?}");
    snapshot.segments.iter().for_each(|segment| segment.check_lengths());
    snapshot.segments.iter().for_each(|segment| segment.check_pages(&sigbus::Lost::look()));
    let damage = segment.damage().to_string();
    assert!(damage.contains(".fast: the page of byte "), "{damage}");
    assert_eq!(snapshot.segments.iter().filter(|segment| segment.is_damaged()).count(), 1);
}

/// A page of a mapping behind which there is nothing any more is SIGBUS, which nobody may die of.
#[test]
fn a_segment_cut_short_while_it_is_mapped_does_not_end_the_daemon() {
    let place = indexed_place();
    let daemon = place.start();
    for extension in ["records", "idx", "fast", "term"] {
        for path in segment_files(&place, extension) {
            File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        }
    }
    let fails = || {
        let request = SearchRequest { limit: Some(10_000), ..SearchRequest::default() };
        refusal(daemon.client.search(&request).unwrap_err()).0
    };
    assert_eq!(fails(), ErrorKind::Damaged);
    assert!(!metrics(&daemon).contains("traildex_http_panics_total"));
    fs::write(place.archive().join("new.json"), trail(&["new"])).unwrap();
    daemon.wait_for(PATIENCE, "the new file", |status| status.events.indexed == 2_901);
    daemon.stop();
}

/// What is read of a part that was cut off is zeros, which a count cannot tell from documents.
#[test]
fn no_count_is_wrong_for_a_segment_that_was_cut_short() {
    let place = indexed_place();
    let records = common::records_below(&place.archive());
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for record in &records {
        *names.entry(record.json["eventName"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let daemon = place.start();
    for extension in ["idx", "fast"] {
        for path in segment_files(&place, extension) {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 3).unwrap();
        }
    }
    let mut refused = 0;
    for (name, count) in names {
        let queries = [format!("eventName:{name}"), format!("eventName:{name}*")];
        for query in queries {
            let request = SearchRequest {
                query: query.as_str().into(),
                limit: Some(0),
                ..SearchRequest::default()
            };
            match daemon.client.search(&request) {
                Ok(found) if query.ends_with('*') => assert!(found.total.value >= count),
                Ok(found) => assert_eq!(found.total.value, count, "{query}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}
