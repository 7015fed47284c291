//! Names of files: what AWS's exports write is read by its content, what is being written is not, and what
//! is left is told.

use std::fs;

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
