//! What a daemon says of files and events, as digests, keys, metadata and files arrive.

use std::fs;
use std::path::{Path, PathBuf};

use wire::{
    CoverageKey, CoverageRequest, DigestState, FileState, FilesRequest, Hit, Integrity, StateCount,
};

use crate::chain::{Chain, Hour, gzip, key_list, metadata_path, write};
use crate::common::{Daemon, PATIENCE, Place, traildex, wait_until};

/// A place with a folder of keys, and a chain in its archive.
fn place() -> (Place, PathBuf, Chain) {
    let place = Place::new();
    let keys = place.path("keys");
    fs::create_dir(&keys).unwrap();
    let place = place.with("EVIDENCE_PUBLIC_KEYS", keys.to_str().unwrap());
    let chain = Chain::new(&place.archive());
    (place, keys, chain)
}

fn give_keys(keys: &Path) {
    write(&keys.join("keys.json"), key_list(&[0], false).as_bytes());
}

/// Three hours of two files each, and what one of them holds.
fn hours(chain: &mut Chain) -> Vec<Hour> {
    (0..3).map(|_| chain.hour(2)).collect()
}

fn state(daemon: &Daemon, path: &Path) -> Option<Integrity> {
    let request = FilesRequest {
        path: Some(path.canonicalize().unwrap_or(path.to_owned()).to_str().unwrap().to_owned()),
        ..FilesRequest::default()
    };
    let files = daemon.files(&request).files;
    files.iter().rev().find(|file| file.path.ends_with(".json.gz"))?.integrity
}

fn wait_state(daemon: &Daemon, path: &Path, expected: Integrity) {
    let what = format!("{expected} of {}", path.display());
    wait_until(PATIENCE, &what, || state(daemon, path) == Some(expected));
}

fn again(place: &Place, daemon: Daemon) -> Daemon {
    daemon.kill();
    place.start()
}

fn count(daemon: &Daemon, query: &str) -> u64 {
    daemon.find(query).total.value
}

fn hits(daemon: &Daemon, query: &str) -> Vec<Hit> {
    daemon.find(query).hits
}

#[test]
fn verdicts_follow_digests_keys_and_metadata_that_come_late_and_outlive_a_kill() {
    let (place, keys, mut chain) = place();
    let later = place.path("later");
    fs::create_dir(&later).unwrap();
    let hours = hours(&mut chain);
    let digests = chain.copy.join("AWSLogs/111122223333/CloudTrail-Digest");
    fs::rename(&digests, later.join("digests")).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    assert_eq!(state(&daemon, &hours[0].logs[0]), None);
    assert_eq!(count(&daemon, "integrity:*"), 0);
    fs::rename(later.join("digests"), &digests).unwrap();
    wait_state(&daemon, &hours[0].logs[0], Integrity::Listed);
    assert_eq!(count(&daemon, "integrity:listed"), 6);
    assert_eq!(count(&daemon, "integrity:verified"), 0);
    let daemon = again(&place, daemon);
    assert_eq!(count(&daemon, "integrity:listed"), 6, "at once");
    give_keys(&keys);
    wait_state(&daemon, &hours[0].logs[0], Integrity::Verified);
    assert_eq!((count(&daemon, "integrity:verified"), count(&daemon, "integrity:listed")), (4, 2));
    chain.save_metadata();
    wait_state(&daemon, &hours[2].logs[0], Integrity::Verified);
    assert_eq!(count(&daemon, "integrity:verified"), 6);
    assert_eq!(count(&daemon, "-integrity:verified"), 0);
    let daemon = again(&place, daemon);
    assert_eq!(count(&daemon, "integrity:verified"), 6, "at once");
    // The metadata is no trail, and is not rejected.
    let beside = metadata_path(&hours[2].digest);
    let request = FilesRequest { path: Some(beside.display().to_string()), ..Default::default() };
    let files = daemon.files(&request).files;
    assert_eq!(files[0].state, FileState::Digest, "{files:?}");
    // A digest that is gone from the archive still counts.
    fs::remove_dir_all(&digests).unwrap();
    let (object, content) = chain.log(1);
    write(&chain.path(&object), &gzip(&content, 6));
    daemon.wait_indexed(PATIENCE, 7);
    wait_state(&daemon, &chain.path(&object), Integrity::NotCovered);
    assert_eq!(count(&daemon, "integrity:verified"), 6);
}

#[test]
fn an_injected_copy_that_was_read_first_leaves_a_genuine_event_verified() {
    let (place, keys, mut chain) = place();
    give_keys(&keys);
    let later = place.path("later");
    fs::create_dir(&later).unwrap();
    let hours = hours(&mut chain);
    chain.save_metadata();
    let genuine = &hours[0].logs[0];
    let injected = PathBuf::from(genuine.to_str().unwrap().replace("_0000", "_9999"));
    fs::copy(genuine, later.join("genuine")).unwrap();
    fs::rename(genuine, &injected).unwrap();
    // And one of its own.
    let (_, content) = chain.log(1);
    let own = PathBuf::from(genuine.to_str().unwrap().replace("_0000", "_8888"));
    write(&own, &gzip(&content, 6));
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 7);
    wait_state(&daemon, &injected, Integrity::Unlisted);
    assert_eq!(count(&daemon, "integrity:unlisted"), 2);
    fs::rename(later.join("genuine"), genuine).unwrap();
    wait_state(&daemon, genuine, Integrity::Verified);
    assert_eq!(state(&daemon, &injected), Some(Integrity::Unlisted));
    let check = |daemon: &Daemon| {
        let unlisted = hits(daemon, "integrity:unlisted");
        assert_eq!(unlisted.len(), 1);
        assert_eq!(unlisted[0].meta.file, own.display().to_string());
        assert_eq!(unlisted[0].meta.integrity, Some(Integrity::Unlisted));
        let verified = hits(daemon, "integrity = verified");
        assert_eq!(verified.len(), 6);
        assert!(verified.iter().all(|hit| hit.meta.integrity == Some(Integrity::Verified)));
        assert!(verified.iter().any(|hit| hit.meta.file == injected.display().to_string()));
    };
    check(&daemon);
    let daemon = again(&place, daemon);
    check(&daemon);
    let rows = daemon.find("* | stats count by integrity | sort integrity");
    let rows = rows.table.unwrap().rows;
    let rows: Vec<String> = rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect();
    assert_eq!(rows, ["\"unlisted\" 1", "\"verified\" 6"]);
}

#[test]
fn changed_padded_and_recompressed_files_have_their_verdicts() {
    let (place, keys, mut chain) = place();
    give_keys(&keys);
    let hours = hours(&mut chain);
    chain.save_metadata();
    let [changed, padded, recompressed] = [&hours[0].logs[0], &hours[1].logs[0], &hours[2].logs[0]];
    let content = crate::common::contents(changed);
    let text = String::from_utf8(content).unwrap().replace("bert", "eve");
    fs::write(changed, gzip(text.as_bytes(), 6)).unwrap();
    fs::write(padded, [fs::read(padded).unwrap(), b"junk".to_vec()].concat()).unwrap();
    fs::write(recompressed, gzip(&crate::common::contents(recompressed), 1)).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    wait_state(&daemon, changed, Integrity::Mismatch);
    assert_eq!(state(&daemon, padded), Some(Integrity::TrailingData));
    assert_eq!(state(&daemon, recompressed), Some(Integrity::Verified));
    assert_eq!(count(&daemon, "integrity:mismatch OR integrity:trailing-data"), 2);
    let mut command = traildex();
    command.args(["validate", "--indexed", "--format", "json", "--socket"]);
    let output = command.arg(place.socket()).output().unwrap();
    let report: wire::ValidateReport = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(report.files_in(Integrity::Verified), 4);
}

#[test]
fn coverage_tells_what_the_digests_say_of_each_hour() {
    let (place, keys, mut chain) = place();
    give_keys(&keys);
    let full = chain.hour(2);
    chain.hour(0);
    let missing = chain.hour(1);
    chain.hour(1);
    chain.save_metadata();
    fs::remove_file(&missing.digest).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 4);
    wait_state(&daemon, &full.logs[0], Integrity::Verified);
    let by = vec![CoverageKey::Hour];
    let request = CoverageRequest { by, ..CoverageRequest::default() };
    let answer = daemon.client.coverage(&request).unwrap();
    let verified = vec![StateCount { state: DigestState::Verified, count: 1 }];
    let groups: Vec<_> = answer.groups.iter().map(|group| (group.files, &group.digests)).collect();
    let absent = vec![StateCount { state: DigestState::Missing, count: 1 }];
    // What is missing had the signature of the one before.
    let unsigned = vec![StateCount { state: DigestState::Unverified, count: 1 }];
    let expected = [(2, &verified), (0, &unsigned), (1, &absent), (1, &verified)];
    assert_eq!(groups, expected, "{answer:#?}");
    let files: Vec<_> = answer.groups.iter().flat_map(|group| &group.integrity).collect();
    let states: Vec<_> = files.iter().map(|of| (of.state, of.count)).collect();
    let expected = [(Integrity::Verified, 2), (Integrity::NotCovered, 1), (Integrity::Verified, 1)];
    assert_eq!(states, expected);
    let mut coverage = traildex();
    coverage.args(["coverage", "--by", "hour", "--socket"]).arg(place.socket());
    let shown = String::from_utf8(coverage.output().unwrap().stdout).unwrap();
    assert!(shown.contains("INTEGRITY") && shown.contains("1 missing"), "{shown}");
    daemon.stop();
}
