//! Names of files: what AWS's exports write is read by its content, what is being written is not, and what
//! is left is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use wire::{FileState, FilesRequest};

use crate::common::{PATIENCE, Place, gzip, make_old, trail};

#[test]
fn files_without_an_ending_are_read_where_their_content_is_a_trails() {
    for rescan_s in ["1", "3600"] {
        let place = Place::new().with("WATCH_RESCAN_S", rescan_s);
        let archive = place.archive();
        let files: [(&str, Vec<u8>); 12] = [
            ("000000.gz", gzip(&trail(&["export"]))),
            ("000001", trail(&["plain"])),
            ("000002.zst", zstd::encode_all(&trail(&["zstd"])[..], 3).unwrap()),
            ("aws-logs-write-test", b"Permission Check Successful".to_vec()),
            ("data.gz", gzip(b"{\"name\":\"something else\"}")),
            (".000003.gz", gzip(&trail(&["no"]))),
            ("000004.part", trail(&["no"])),
            ("000005.tmp", trail(&["no"])),
            ("000006.gz.6eF0a1B2", gzip(&trail(&["no"]))),
            ("x.json.gz.6eF0a1B2", gzip(&trail(&["no"]))),
            ("README.md", trail(&["no"])),
            ("good.json", trail(&["good"])),
        ];
        let daemon_first = rescan_s == "3600";
        let daemon = daemon_first.then(|| place.start());
        for (name, bytes) in &files {
            fs::write(archive.join(name), bytes).unwrap();
            if !daemon_first {
                make_old(&archive.join(name));
            }
        }
        let daemon = daemon.unwrap_or_else(|| place.start());
        daemon.wait_indexed(PATIENCE, 4);
        for id in ["export", "plain", "zstd", "good"] {
            assert_eq!(daemon.count(&format!("eventID:{id}")), 1, "{id}");
        }
        assert_eq!(daemon.status().files.rejected, 0);
        if daemon_first {
            daemon.stop();
            continue;
        }
        daemon.wait_for(PATIENCE, "the others are told", |status| status.files.ignored == 8);
        let request = FilesRequest { state: Some(FileState::Ignored), ..FilesRequest::default() };
        let ignored = daemon.files(&request);
        assert_eq!((ignored.total, ignored.files.len()), (8, 8));
        let reason = |name: &str| {
            let file = ignored.files.iter().find(|file| file.path.ends_with(name)).unwrap();
            file.reading.reason.clone().unwrap()
        };
        assert!(reason("/data.gz").contains("content"), "{}", reason("/data.gz"));
        assert!(reason("/README.md").contains("name"), "{}", reason("/README.md"));
        // What becomes a trail is one.
        fs::write(archive.join("data.gz"), gzip(&trail(&["later"]))).unwrap();
        daemon.wait_count("eventID:later", 1);
        daemon.wait_for(PATIENCE, "one less", |status| status.files.ignored == 7);
        daemon.stop();
        let daemon = place.start();
        daemon.wait_indexed(PATIENCE, 5);
        assert_eq!(daemon.status().files.indexed, 5, "nothing is read again");
        daemon.stop();
    }
}

/// Its content decides, and cannot be seen: that is no verdict, and no sign of lost hints.
#[test]
fn a_file_without_an_ending_that_cannot_be_opened_is_told_and_read_once_it_can() {
    for rescan_s in ["1", "3600"] {
        let place = Place::new().with("WATCH_RESCAN_S", rescan_s);
        let path = place.archive().join("000000");
        let write = || {
            fs::write(&path, trail(&["export"])).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
            make_old(&path);
        };
        if rescan_s == "1" {
            write();
        }
        let Some(daemon) = place.start_as_nobody() else {
            println!("left out: this user cannot become another");
            return;
        };
        if rescan_s == "3600" {
            write();
        }
        daemon.wait_for(PATIENCE, "it is told", |status| status.files.skipped == 1);
        let request = FilesRequest { state: Some(FileState::Skipped), ..FilesRequest::default() };
        let reason = daemon.files(&request).files[0].reading.reason.clone().unwrap();
        assert!(reason.contains("Permission denied"), "{reason}");
        daemon.wait_for(PATIENCE, "other scans", |status| {
            rescan_s == "3600" || status.uptime_s >= 3 && status.files.skipped == 1
        });
        assert_eq!(daemon.status().files.ignored, 0);
        assert!(!daemon.log().contains("watching everything anew"), "{}", daemon.log());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        daemon.wait_count("eventID:export", 1);
        daemon.wait_for(PATIENCE, "no more", |status| status.files.skipped == 0);
        daemon.stop();
    }
}

/// Tools keep what they are at in folders whose names begin with a dot.
#[test]
fn files_without_an_ending_in_hidden_folders_are_not_looked_into() {
    let place = Place::watching(&[]);
    let root = place.path(".hidden-root");
    let put = |name: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, trail(&[&name.replace(['/', '.'], "-")])).unwrap();
        make_old(&path);
    };
    for name in ["seen/000000", ".git/objects/000000", "seen/.rsync/000001.gz", ".git/x.json"] {
        put(name);
    }
    let place = place.also_watching(&root);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    for id in ["seen-000000", "-git-x-json"] {
        assert_eq!(daemon.count(&format!("eventID:\"{id}\"")), 1, "{id}");
    }
    daemon.wait_for(PATIENCE, "the others are told", |status| status.files.ignored == 2);
    put("seen/.rsync/000002");
    put("seen/000003");
    daemon.wait_indexed(PATIENCE, 3);
    assert_eq!(daemon.count("eventID:\"seen-000003\""), 1);
    daemon.stop();
}

#[test]
fn a_file_that_is_named_is_read_whatever_its_name() {
    let named = Place::new();
    let path = named.path("named.otherwise");
    fs::write(&path, trail(&["named"])).unwrap();
    let place = Place::watching(&[path]);
    let daemon = place.start();
    daemon.wait_count("eventID:named", 1);
    daemon.stop();
    let data = named.path("imported");
    let path = named.path("named.otherwise");
    let ran = crate::common::run(&[
        "import",
        path.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("1 event from 1 file"), "{}", ran.stderr);
}
