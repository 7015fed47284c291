//! The cases of `docs/evidence.md`, each on a chain of its own.

use std::fs;
use std::path::Path;

use serde_json::json;
use wire::{DigestState, Integrity};

use crate::chain::{Bench, gzip, key_list, metadata_path, write};
use crate::common::contents;
use crate::validate_with;

fn append(path: &Path, bytes: &[u8]) {
    let content = [fs::read(path).unwrap(), bytes.to_vec()].concat();
    fs::write(path, content).unwrap();
}

/// Changes the content, and compresses it as before.
fn change(path: &Path, from: &str, to: &str) {
    let text = String::from_utf8(contents(path)).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, gzip(text.replace(from, to).as_bytes(), 6)).unwrap();
}

#[test]
fn a_whole_chain_is_verified() {
    let (bench, _) = Bench::whole();
    let validated = bench.validate();
    validated.is_valid();
    assert_eq!(validated.files(Integrity::Verified), 9);
    assert_eq!(validated.digests(DigestState::Verified), 4);
    let report = validated.report;
    assert_eq!(report.verified_from.unwrap().to_string(), "2023-11-05T07:30:14Z");
    assert_eq!(report.verified_to.unwrap().to_string(), "2023-11-05T11:30:14Z");
    assert_eq!((report.chains.len(), &*report.chains[0].trail), (1, "my_trail"));
    assert_eq!(report.keys, 2);
}

#[test]
fn a_key_that_rotates_is_verified() {
    let mut bench = Bench::new();
    bench.chain.hour(2);
    bench.chain.key = 1;
    bench.chain.hour(2);
    bench.chain.save_metadata();
    bench.validate().is_valid();
}

#[test]
fn prefixes_and_organisations_are_verified_with_and_without_the_prefix_in_the_copy() {
    let mut bench = Bench::new();
    bench.chain.prefix = "logs/all/".to_owned();
    bench.chain.owner = "o-exampleorg/111122223333".to_owned();
    bench.chain.hour(2);
    bench.chain.hour(1);
    bench.chain.save_metadata();
    bench.validate().is_valid();
    // As `aws s3 sync s3://my-trail/logs/all` copies it.
    let within = bench.copy.join("logs/all");
    validate_with(&within, &bench.keys, &[]).is_valid();
    let root = format!("{}=s3://my-trail/logs/all", within.display());
    validate_with(&within, &bench.keys, &["--root", &root]).is_valid();
    let other = format!("{}=s3://other/logs/all", within.display());
    let validated = validate_with(&within, &bench.keys, &["--root", &other]);
    assert_eq!(validated.is_not_valid().digests(DigestState::Moved), 2);
    assert_eq!(validated.files(Integrity::Verified), 0);
}

#[test]
fn backfill_chains_are_verified() {
    let mut bench = Bench::new();
    bench.chain.is_backfill = true;
    bench.chain.hour(2);
    bench.chain.hour(0);
    bench.chain.save_metadata();
    bench.validate().is_valid();
}

#[test]
fn several_trails_over_one_bucket_are_verified() {
    let (mut bench, _) = Bench::whole();
    bench.chain.stop(0);
    (bench.chain.trail, bench.chain.start) =
        ("second".to_owned(), "2023-11-05T08:00:00Z".parse().unwrap());
    bench.chain.hour(2);
    bench.chain.hour(2);
    bench.chain.save_metadata();
    let validated = bench.validate();
    validated.is_valid();
    assert_eq!(validated.report.chains.len(), 2);
}

#[test]
fn a_recompressed_file_is_verified() {
    let (bench, hours) = Bench::whole();
    for path in hours.iter().flat_map(|hour| hour.logs.iter().chain([&hour.digest])) {
        fs::write(path, gzip(&contents(path), 1)).unwrap();
    }
    bench.validate().is_valid();
}

#[test]
fn a_changed_file_is_named() {
    let (bench, hours) = Bench::whole();
    change(&hours[2].logs[1], "bert", "eve");
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().file(&hours[2].logs[1]), Integrity::Mismatch);
    assert_eq!(validated.files(Integrity::Verified), 8);
}

#[test]
fn a_deleted_file_is_named() {
    let (bench, hours) = Bench::whole();
    fs::remove_file(&hours[2].logs[1]).unwrap();
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().file(&hours[2].logs[1]), Integrity::Missing);
    assert_eq!(validated.files(Integrity::Verified), 8);
}

#[test]
fn what_follows_a_files_compressed_data_is_named() {
    for (tail, expected) in [
        (gzip(br#"{"Records":[]}"#, 6), Integrity::Mismatch),
        (gzip(b"", 6), Integrity::TrailingData),
        (b"junk".to_vec(), Integrity::TrailingData),
        (b"\n".to_vec(), Integrity::TrailingData),
        (vec![0], Integrity::TrailingData),
    ] {
        let (bench, hours) = Bench::whole();
        append(&hours[3].logs[0], &tail);
        let validated = bench.validate();
        assert_eq!(validated.is_not_valid().file(&hours[3].logs[0]), expected, "{tail:?}");
        assert_eq!(validated.files(Integrity::Verified), 8);
    }
}

#[test]
fn a_changed_digest_is_named_and_its_files_are_not_covered() {
    let (bench, hours) = Bench::whole();
    change(&hours[2].digest, "\"newestEventTime\":\"2023", "\"newestEventTime\":\"2024");
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().digest(&hours[2].digest).0, DigestState::Invalid);
    assert!(hours[2].logs.iter().all(|log| validated.file(log) == Integrity::NotCovered));
    assert_eq!(validated.files(Integrity::Verified), 6);
    assert_eq!(validated.gap_hours(), ["2023-11-05T09:30:14Z"]);
}

#[test]
fn a_missing_digest_is_named_and_each_hour_without_one() {
    for missing in [1, 2] {
        let mut bench = Bench::new();
        let hours: Vec<_> = (0..5).map(|_| bench.chain.hour(2)).collect();
        bench.chain.save_metadata();
        let gone = &hours[2 - missing + 1..=2];
        for hour in gone {
            fs::remove_file(&hour.digest).unwrap();
        }
        let validated = bench.validate();
        assert_eq!(validated.is_not_valid().digest(&hours[2].digest).0, DigestState::Missing);
        assert_eq!(validated.files(Integrity::NotCovered), 2 * missing as u64);
        let expected = ["2023-11-05T08:30:14Z", "2023-11-05T09:30:14Z"];
        assert_eq!(validated.gap_hours(), expected[2 - missing..]);
        // Before the gap, the last digest's signature was in the digest that is gone.
        let before = validated.digest(&hours[2 - missing].digest);
        assert_eq!(before.0, DigestState::Unverified);
        assert!(before.1.contains("its signature is not in the copy"), "{before:?}");
        assert_eq!(validated.files(Integrity::Listed), 2);
    }
}

#[test]
fn a_trail_that_was_stopped_has_a_gap() {
    let (mut bench, _) = Bench::whole();
    bench.chain.stop(3);
    bench.chain.hour(1);
    bench.chain.save_metadata();
    let validated = bench.validate();
    validated.is_not_valid();
    assert_eq!((validated.gap_hours().len(), validated.files(Integrity::Verified)), (3, 10));
    let gap = &validated.report.chains[0].gaps[0];
    assert!(gap.reason.contains("the trail was stopped"), "{gap:?}");
}

#[test]
fn a_moved_digest_is_named_with_both_names() {
    let (bench, hours) = Bench::whole();
    let moved = hours[2].digest.to_str().unwrap().replace("us-east-1", "eu-west-1");
    let moved = Path::new(&moved);
    write(moved, &fs::read(&hours[2].digest).unwrap());
    fs::remove_file(&hours[2].digest).unwrap();
    let validated = bench.validate();
    let (state, reason) = validated.is_not_valid().digest(moved);
    assert_eq!(state, DigestState::Moved);
    let object = hours[2].digest.strip_prefix(&bench.copy).unwrap();
    assert_eq!(reason, format!("it says that it is s3://my-trail/{}", object.display()));
    assert_eq!(validated.digest(&hours[2].digest).0, DigestState::Missing);
    assert!(hours[2].logs.iter().all(|log| validated.file(log) == Integrity::NotCovered));
}

#[test]
fn an_unknown_key_is_told_with_its_fingerprint() {
    let (bench, _) = Bench::whole();
    let keys = bench.keys.join("keys-us-east-1.json");
    fs::write(&keys, key_list(&[1], false)).unwrap();
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().files(Integrity::Listed), 9);
    let reason = validated.report.digests_named[0].reason.clone().unwrap();
    let print = crate::chain::Key::number(0).fingerprint();
    assert_eq!(reason, format!("the key of fingerprint {print} is not among those given"));
    fs::write(&keys, key_list(&[0], true)).unwrap();
    bench.validate().is_valid();
}

#[test]
fn without_metadata_all_but_the_newest_digest_are_verified() {
    let (bench, hours) = Bench::whole();
    let metadata = metadata_path(&hours[3].digest);
    let saved = fs::read(&metadata).unwrap();
    fs::remove_file(&metadata).unwrap();
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().digests(DigestState::Verified), 3);
    let (state, reason) = validated.digest(&hours[3].digest);
    assert_eq!(state, DigestState::Unverified);
    assert!(reason.contains("its signature is not in the copy"), "{reason}");
    assert_eq!((validated.files(Integrity::Verified), validated.files(Integrity::Listed)), (6, 3));
    // It may lie with the keys, too, whatever folder it is in there.
    let name = metadata.file_name().unwrap();
    write(&bench.keys.join("heads").join(name), &saved);
    bench.validate().is_valid();
    // Until then, what was asked for is verified.
    fs::remove_file(bench.keys.join("heads").join(name)).unwrap();
    let until = validate_with(&bench.copy, &bench.keys, &["--end", "2023-11-05T10:30:14Z"]);
    until.is_valid();
    assert_eq!(until.files(Integrity::Verified), 6);
}

#[test]
fn a_file_that_no_digest_lists_is_named() {
    let (mut bench, _) = Bench::whole();
    bench.chain.start = "2023-11-05T09:30:14Z".parse().unwrap();
    let (object, content) = bench.chain.log(17);
    write(&bench.chain.path(&object), &gzip(&content, 6));
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().file(&bench.chain.path(&object)), Integrity::Unlisted);
    assert_eq!(validated.files(Integrity::Verified), 9);
}

#[test]
fn without_the_newest_digest_the_rest_is_verified_and_its_files_are_not_covered_yet() {
    let (bench, hours) = Bench::whole();
    fs::remove_file(&hours[3].digest).unwrap();
    fs::remove_file(metadata_path(&hours[3].digest)).unwrap();
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().files(Integrity::NotCovered), 3);
    let named = &validated.report.files_named;
    let named = named.iter().find(|of| of.state == Integrity::NotCovered).unwrap();
    let expected = "not covered yet: the last digest ends 2023-11-05T10:30:14Z";
    assert_eq!(named.reason.as_deref(), Some(expected));
    let to = validated.report.verified_to.unwrap().to_string();
    assert_eq!(to, "2023-11-05T09:30:14Z");
}

#[test]
fn what_follows_a_digests_compressed_data_is_named() {
    for (tail, expected) in [
        (b"junk".to_vec(), DigestState::Damaged),
        (gzip(b"", 6), DigestState::Damaged),
        (gzip(b"{}", 6), DigestState::Unreadable),
        (gzip(b" ", 6), DigestState::Invalid),
    ] {
        let (bench, hours) = Bench::whole();
        append(&hours[2].digest, &tail);
        let validated = bench.validate();
        assert_eq!(validated.is_not_valid().digest(&hours[2].digest).0, expected);
    }
}

#[test]
fn a_wrong_hash_of_the_digest_before_is_named() {
    let mut bench = Bench::new();
    bench.chain.hour(1);
    let wrong = "ab".repeat(32);
    let edit = |digest: &mut serde_json::Value| digest["previousDigestHashValue"] = json!(wrong);
    let hour = bench.chain.hour_with(1, edit);
    bench.chain.save_metadata();
    let validated = bench.validate();
    let (state, reason) = validated.is_not_valid().digest(&hour.digest);
    assert_eq!(state, DigestState::Damaged);
    assert!(reason.starts_with("its previousDigestHashValue is not that of /"), "{reason}");
}

#[test]
fn an_archive_without_digests_has_no_verdicts() {
    let mut bench = Bench::new();
    let (object, content) = bench.chain.log(1);
    write(&bench.chain.path(&object), &gzip(&content, 6));
    let validated = bench.validate();
    assert_eq!(validated.is_not_valid().files(Integrity::NoDigest), 1);
    let empty = Bench::new();
    assert_eq!(empty.validate().code, 1);
}

#[test]
fn what_is_asked_for_is_judged_and_no_more() {
    let (mut bench, hours) = Bench::whole();
    bench.chain.stop(0);
    (bench.chain.region, bench.chain.start) =
        ("eu-west-1".to_owned(), "2023-11-05T07:30:14Z".parse().unwrap());
    bench.chain.hour(2);
    bench.chain.save_metadata();
    fs::remove_file(&hours[0].logs[0]).unwrap();
    bench.validate().is_not_valid();
    let validate = |args: &[&str]| validate_with(&bench.copy, &bench.keys, args);
    validate(&["--region", "eu-west-1"]).is_valid();
    validate(&["--region", "us-east-1"]).is_not_valid();
    validate(&["--start", "2023-11-05T08:30:14Z", "--region", "us-east-1"]).is_valid();
    validate(&["--start", "2023-11-05T07:00:00Z", "--region", "us-east-1"]).is_not_valid();
    assert_eq!(validate(&["--account", "999999999999"]).code, 1);
    // The hours after the last digest were asked for, and nobody vouches for them.
    let args = ["--region", "eu-west-1", "--end", "2023-11-05T10:30:14Z"];
    assert_eq!(validate(&args).is_not_valid().gap_hours().len(), 2);
}
