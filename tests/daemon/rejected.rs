//! Files that are bad, and paths that are no files: listed with their reason, at no other file's cost.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use wire::Reject;
use wire::{FileState, FilesRequest};

use super::life::wait_calm;
use crate::common::{PATIENCE, Place, gzip, ledger, make_old, record, trail};

/// 100 MB of spaces, which gzip makes 100 KB of.
fn bomb() -> Vec<u8> {
    let mut bomb = b"{\"Records\":[".to_vec();
    bomb.resize(100_000_000, b' ');
    bomb.extend_from_slice(b"]}");
    gzip(&bomb)
}

#[test]
fn bad_files_are_listed_with_their_reason_and_cost_no_neighbour() {
    let place = Place::new();
    let archive = place.archive();
    let zipped = gzip(&trail(&["a", "b", "c"]));
    let mut damaged = zipped.clone();
    damaged[20] ^= 0xFF;
    let digest = r#"{"awsAccountId":"1","digestStartTime":"2024-05-06T00:00:00Z",
        "digestEndTime":"2024-05-06T01:00:00Z","digestS3Bucket":"b","logFiles":[]}"#;
    let package = r#"{"name":"x","version":"1.0.0","dependencies":{"left-pad":"1.3.0"}}"#;
    let broken = format!(
        "{{\"Records\":[{},\n{{\"eventVersion\":\"1.08\",\"eventName\":nonsense}},\n{}]}}",
        record("before"),
        record("after"),
    );
    let twice = [gzip(&trail(&["member-1"])), gzip(&trail(&["member-2"]))].concat();
    let trailing = [gzip(&trail(&["whole"])), b"trailing".to_vec()].concat();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("garbage.json", b"\x00\x01 this is no trail \xFF\xFE".to_vec()),
        ("cut.json.gz", zipped[..zipped.len() / 2].to_vec()),
        ("damaged.json.gz", damaged),
        ("nothing.json", Vec::new()),
        ("nothing.json.gz", Vec::new()),
        ("no-records.json", br#"{"Records":[]}"#.to_vec()),
        ("digest.json.gz", gzip(digest.as_bytes())),
        ("package.json", package.as_bytes().to_vec()),
        ("bomb.json.gz", bomb()),
        ("broken-record.json", broken.clone().into_bytes()),
        ("two-members.json.gz", twice),
        ("trailing.json.gz", trailing),
        ("good.json.gz", gzip(&trail(&["good-1", "good-2", "good-3"]))),
        ("README.md", b"no trail".to_vec()),
    ];
    for (name, bytes) in &files {
        fs::write(archive.join(name), bytes).unwrap();
        make_old(&archive.join(name));
    }
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "every file is done", |status| {
        let done = &status.files;
        done.pending == 0 && done.indexed + done.rejected + done.empty + done.digest == 13
    });
    let cut = zipped.len() / 2;
    for (name, state, records, reason) in [
        ("garbage.json", FileState::Rejected, 0, "a record should begin here".to_owned()),
        ("cut.json.gz", FileState::Rejected, 0, format!("ends too early, at byte {cut}")),
        ("damaged.json.gz", FileState::Rejected, 0, "damaged".to_owned()),
        ("nothing.json", FileState::Empty, 0, String::new()),
        ("nothing.json.gz", FileState::Empty, 0, String::new()),
        ("no-records.json", FileState::Empty, 0, String::new()),
        ("digest.json.gz", FileState::Digest, 0, String::new()),
        ("package.json", FileState::Rejected, 0, "not a CloudTrail record".to_owned()),
        ("bomb.json.gz", FileState::Rejected, 0, "more than 200 times its size".to_owned()),
        ("broken-record.json", FileState::Indexed, 2, String::new()),
        ("two-members.json.gz", FileState::Indexed, 2, String::new()),
        ("trailing.json.gz", FileState::Indexed, 1, "is no compressed data".to_owned()),
        ("good.json.gz", FileState::Indexed, 3, String::new()),
    ] {
        let file = daemon.file(name);
        assert_eq!((file.state, file.reading.records), (state, records), "{name}: {file:?}");
        let told = file.reading.reason.unwrap_or_default();
        assert!(told.contains(&reason) && told.is_empty() == reason.is_empty(), "{name}: {told}");
    }
    let status = daemon.status();
    let files = &status.files;
    assert_eq!((files.seen, files.indexed, files.rejected), (13, 4, 5));
    assert_eq!((files.empty, files.digest, files.ignored), (3, 1, 1));
    assert_eq!(status.events.indexed, 8);

    let Reject { offset, reason } = daemon.file("broken-record.json").reading.rejects[0].clone();
    assert_eq!(offset, broken.find("nonsense").unwrap() as u64, "{reason}");
    assert_eq!(daemon.count("eventID:before OR eventID:after"), 2);
    assert_eq!(daemon.file("two-members.json.gz").reading.flags, ["second-member"]);
    assert_eq!(daemon.file("trailing.json.gz").reading.flags, ["trailing-bytes"]);
    let members = daemon.find("eventID:(member-1 OR member-2)").hits;
    let mut flags: Vec<_> = members.into_iter().map(|h| (h.meta.id, h.meta.flags)).collect();
    flags.sort();
    assert_eq!(flags[0], ("member-1".to_owned(), vec![]));
    assert_eq!(flags[1], ("member-2".to_owned(), vec!["second-member".to_owned()]));

    let rejected = FilesRequest { state: Some(FileState::Rejected), ..FilesRequest::default() };
    assert_eq!(daemon.files(&rejected).total, 5);
    let digest = FilesRequest { state: Some(FileState::Digest), ..FilesRequest::default() };
    assert_eq!(daemon.files(&digest).total, 1);
    daemon.stop();
    // Nor are they read again.
    let (before, _) = ledger(&place.data_dir());
    let daemon = place.start();
    wait_calm(&daemon, &archive);
    daemon.stop();
    let (after, _) = ledger(&place.data_dir());
    assert_eq!(after.strip_prefix(&before).unwrap().lines().count(), 1);
}

#[test]
fn links_and_pipes_are_skipped_and_hold_nothing_up() {
    let place = Place::new();
    let archive = place.archive();
    let elsewhere = place.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("linked.json"), trail(&["linked"])).unwrap();
    symlink(elsewhere.join("linked.json"), archive.join("link.json")).unwrap();
    symlink(&elsewhere, archive.join("linked-folder")).unwrap();
    symlink(&archive, archive.join("loop")).unwrap();
    mknodat(CWD, archive.join("pipe.json"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::write(archive.join("real.json"), trail(&["real"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    daemon.wait_for(PATIENCE, "four paths are skipped", |status| status.files.skipped == 4);
    // And those that come later.
    symlink(elsewhere.join("linked.json"), archive.join("later.json")).unwrap();
    mknodat(CWD, archive.join("later-pipe.json"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(wait_calm(&daemon, &archive), 2);
    assert_eq!(daemon.count("linked"), 0);
    daemon.stop();
}
