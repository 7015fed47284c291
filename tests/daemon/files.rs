//! Files in every state of arrival, and what the ledger tells of each: replaced, renamed, linked,
//! unreadable, unmounted; listed and summed up.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use wire::{Dimension, FileGroup, FileState, FilesRequest};

use crate::common::{
    self, Daemon, PATIENCE, PATIENCE_BULK, Place, Record, contents, copy_invictus, files_below,
    gzip, make_old, record, records_below, sample, trail,
};

/// Each reading of a file: its state, records and duplicates, in the order of the readings.
fn readings(daemon: &Daemon, name: &str) -> Vec<(FileState, u64, u64)> {
    let of = |file: wire::FileEntry| (file.state, file.reading.records, file.reading.duplicates);
    daemon.files_named(name).into_iter().map(of).collect()
}

#[test]
fn a_file_replaced_under_its_name_is_read_again_and_what_it_said_before_stays() {
    let place = Place::new();
    let daemon = place.start();
    let path = place.archive().join("trail.json");
    fs::write(&path, trail(&["kept", "withdrawn"])).unwrap();
    daemon.wait_count("eventID:withdrawn", 1);
    // Renamed over it, as a download does.
    let new = place.archive().join("trail.json.tmp");
    fs::write(&new, trail(&["kept", "added"])).unwrap();
    fs::rename(&new, &path).unwrap();
    daemon.wait_count("eventID:added", 1);
    daemon.wait_indexed(PATIENCE, 3);
    let (indexed, replaced) = (FileState::Indexed, FileState::Replaced);
    assert_eq!(readings(&daemon, "trail.json"), [(replaced, 2, 0), (indexed, 2, 1)]);
    assert_eq!(daemon.count("eventID:withdrawn"), 1, "evidence does not go away");
    let files = daemon.status().files;
    assert_eq!((files.seen, files.indexed, files.replaced), (1, 1, 1));

    // Written in place, and touched without a change.
    fs::write(&path, trail(&["kept", "added", "third"])).unwrap();
    daemon.wait_count("eventID:third", 1);
    File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
    daemon.wait_for(PATIENCE, "it is read once more", |status| status.files.replaced == 3);
    daemon.wait_indexed(PATIENCE, 4);
    assert_eq!(readings(&daemon, "trail.json").last(), Some(&(indexed, 3, 3)));
    assert_eq!(daemon.verified().problems, []);
    daemon.stop();

    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 4);
    assert_eq!(readings(&daemon, "trail.json").len(), 4, "a restart reads nothing again");
    daemon.stop();
}

#[test]
fn a_file_of_lines_that_grows_gives_its_new_lines_only() {
    let place = Place::new();
    let daemon = place.start();
    let path = place.archive().join("lines.ndjson");
    for n in 1..=3 {
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        writeln!(file, "{}", record(&format!("line-{n}"))).unwrap();
        drop(file);
        daemon.wait_count(&format!("eventID:line-{n}"), 1);
    }
    daemon.wait_indexed(PATIENCE, 3);
    assert_eq!(daemon.file_now("lines.ndjson").reading.duplicates, 2);
    daemon.stop();
}

#[test]
fn renames_copies_and_hard_links_double_nothing_and_deletion_keeps_events() {
    let place = Place::new();
    let daemon = place.start();
    let archive = place.archive();
    fs::write(archive.join("a.json"), trail(&["one", "two"])).unwrap();
    daemon.wait_count("eventID:two", 1);
    fs::rename(archive.join("a.json"), archive.join("b.json")).unwrap();
    fs::create_dir(archive.join("sub")).unwrap();
    fs::hard_link(archive.join("b.json"), archive.join("sub/linked.json")).unwrap();
    fs::copy(archive.join("b.json"), archive.join("sub/copy.json")).unwrap();
    fs::write(archive.join("sub/zipped.json.gz"), gzip(&trail(&["two", "one"]))).unwrap();
    daemon.wait_for(PATIENCE, "all names", |status| status.files.indexed == 5);
    daemon.wait_indexed(PATIENCE, 2);
    for name in ["b.json", "linked.json", "copy.json", "zipped.json.gz"] {
        assert_eq!(readings(&daemon, name), [(FileState::Indexed, 2, 2)], "{name}");
    }
    fs::remove_dir_all(archive.join("sub")).unwrap();
    fs::remove_file(archive.join("b.json")).unwrap();
    fs::write(archive.join("last.json"), trail(&["last"])).unwrap();
    daemon.wait_count("eventID:last", 1);
    assert_eq!(daemon.count("eventID:one"), 1);
    daemon.stop();
}

#[test]
fn the_same_id_with_other_content_is_kept_and_flagged_on_both_sides() {
    let place = Place::new();
    let daemon = place.start();
    let with = |region: &str| record("same").replace("us-east-1", region);
    // The keys in another order, and white space.
    let reordered = r#"{ "eventID" : "same", "sourceIPAddress":"192.0.2.1","awsRegion":"us-east-1",
        "eventName":"GetObject","eventSource":"s3.amazonaws.com","eventTime":"2024-05-06T07:08:09Z",
        "userIdentity":{"accountId":"1","type":"Root"},"eventVersion":"1.08"}"#;
    for (n, text) in [with("us-east-1"), with("eu-west-1"), reordered.to_owned(), with("eu-west-1")]
        .into_iter()
        .enumerate()
    {
        fs::write(place.archive().join(format!("{n}.json")), text).unwrap();
        daemon.wait_for(PATIENCE, "the file", |status| status.files.indexed == n as u64 + 1);
    }
    let events = daemon.status().events;
    assert_eq!((events.indexed, events.duplicates, events.conflicting), (2, 2, 1));
    let hits = daemon.find("eventID:same").hits;
    let flags: Vec<_> = hits.iter().map(|hit| hit.meta.flags.join(" ")).collect();
    assert_eq!(flags, ["id-conflict", "id-conflict"]);
    assert_eq!(daemon.file("1.json").reading.conflicting, 1);

    // Without an id the content decides; another account's event of that id is another event.
    let no_id = record("x").replace(r#","eventID":"x""#, "");
    let other = record("same").replace(r#""eventID""#, r#""recipientAccountId":"2","eventID""#);
    fs::write(place.archive().join("more.ndjson"), format!("{no_id}\n{no_id}\n{other}\n")).unwrap();
    daemon.wait_indexed(PATIENCE, 4);
    let more = daemon.file("more.ndjson").reading;
    assert_eq!((more.records, more.duplicates, more.conflicting), (3, 1, 0));
    daemon.stop();
}

#[test]
fn what_is_no_file_to_read_is_listed_with_its_reason() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    let archive = place.archive();
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.json"), trail(&["secret"])).unwrap();
    symlink(outside.join("secret.json"), archive.join("link.json")).unwrap();
    symlink(&outside, archive.join("folder")).unwrap();
    mknodat(CWD, archive.join("pipe.json"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = UnixListener::bind(archive.join("socket.json")).unwrap();
    let name = OsStr::from_bytes(b"latin-\xE9.json");
    fs::write(archive.join(name), trail(&["latin"])).unwrap();
    fs::write(archive.join("README.md"), "no trail").unwrap();
    fs::write(archive.join("good.json"), trail(&["good"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    daemon.wait_for(PATIENCE, "five are skipped", |status| status.files.skipped == 5);
    let skipped = FilesRequest { state: Some(FileState::Skipped), ..FilesRequest::default() };
    let listed = |daemon: &Daemon| -> BTreeMap<String, String> {
        let files = daemon.files(&skipped).files.into_iter();
        let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        files.map(|file| (name(&file.path), file.reading.reason.unwrap())).collect()
    };
    let reasons = listed(&daemon);
    for (name, reason) in [
        ("link.json", "a symbolic link"),
        ("folder", "a symbolic link"),
        ("pipe.json", "not a regular file"),
        ("socket.json", "not a regular file"),
        ("latin-\u{FFFD}.json", "not UTF-8"),
    ] {
        assert!(reasons[name].contains(reason), "{name}: {reasons:#?}");
    }
    assert_eq!(daemon.status().files.ignored, 1);
    // What is mended is read by the next scan, and is not skipped any more.
    fs::rename(archive.join(name), archive.join("utf8.json")).unwrap();
    fs::remove_file(archive.join("link.json")).unwrap();
    daemon.wait_count("eventID:latin", 1);
    daemon.wait_for(PATIENCE, "three are skipped", |status| status.files.skipped == 3);
    assert_eq!(daemon.count("eventID:secret"), 0);
    daemon.stop();
}

#[test]
fn ignored_files_beyond_those_listed_are_counted_where_nothing_else_is_asked_for() {
    let place = Place::new();
    for n in 0..1_003 {
        fs::write(place.archive().join(format!("{n}.txt")), "no trail").unwrap();
    }
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "all are seen", |status| status.files.ignored == 1_003);
    let ignored = FilesRequest { state: Some(FileState::Ignored), ..FilesRequest::default() };
    assert_eq!(daemon.files(&ignored).total, 1_003);
    let early = Some("2001-01-01".to_owned());
    for request in [
        FilesRequest { start: early.clone(), ..ignored.clone() },
        FilesRequest { end: early.clone(), ..ignored.clone() },
        FilesRequest { read_start: early.clone(), ..ignored.clone() },
        FilesRequest { read_end: early, ..ignored.clone() },
    ] {
        assert_eq!(daemon.files(&request).total, 0, "{request:?}");
    }
    daemon.stop();
}

#[test]
fn a_file_that_cannot_be_opened_is_read_once_it_can() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    let path = place.archive().join("locked.json");
    fs::write(&path, trail(&["locked"])).unwrap();
    make_old(&path);
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o000);
    // Root opens every file.
    let is_root = File::open(&path).is_ok();
    let daemon = if is_root { place.start_as_nobody().unwrap() } else { place.start() };
    daemon.wait_for(PATIENCE, "it is skipped", |status| {
        status.files.skipped == 1 && status.files.pending == 0
    });
    let locked = daemon.file("locked.json");
    assert_eq!(locked.state, FileState::Skipped);
    assert!(locked.reading.reason.unwrap().contains("ermission denied"));
    set_mode(0o644);
    daemon.wait_count("eventID:locked", 1);
    daemon.wait_for(PATIENCE, "nothing is skipped", |status| status.files.skipped == 0);
}

#[test]
fn a_time_in_the_future_does_not_keep_a_file_waiting() {
    let place = Place::new();
    let path = place.archive().join("future.json");
    fs::write(&path, trail(&["future"])).unwrap();
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    File::options().append(true).open(&path).unwrap().set_modified(tomorrow).unwrap();
    let daemon = place.start();
    daemon.wait_count("eventID:future", 1);
    daemon.stop();
}

/// The archive's folder goes away and comes back with more in it, as a file system that is unmounted
/// and mounted again: inotify says nothing of the new folder's files.
#[test]
fn a_file_system_that_goes_and_comes_back_is_watched_again() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    let archive = place.archive();
    fs::write(archive.join("1.json"), trail(&["first"])).unwrap();
    let daemon = place.start();
    daemon.wait_count("eventID:first", 1);
    let away = place.path("away");
    fs::rename(&archive, &away).unwrap();
    fs::create_dir(&archive).unwrap();
    let gone = Instant::now();
    daemon.wait_for(PATIENCE, "a scan finds nothing", |status| {
        // One that ended well after the files were gone, and so began after it.
        status.lag.last_scan_s.is_some_and(|age| age + 0.2 < gone.elapsed().as_secs_f64())
    });
    assert_eq!(daemon.count("eventID:first"), 1, "what is away stays in the index");
    // Another folder: the kernel goes on watching the one that is away, and would tell of it.
    let back = place.path("back");
    fs::create_dir(&back).unwrap();
    fs::write(back.join("2.json"), trail(&["second"])).unwrap();
    make_old(&back.join("2.json"));
    fs::rename(away.join("1.json"), back.join("1.json")).unwrap();
    fs::remove_dir(&archive).unwrap();
    fs::rename(&back, &archive).unwrap();
    daemon.wait_count("eventID:second", 1);
    daemon.wait_for(PATIENCE, "all is watched anew", |_| {
        daemon.log().contains("watching everything anew")
    });
    assert_eq!(daemon.file("1.json").reading.records, 1, "and is not read again");
    daemon.stop();

    // The same with scans an hour apart shows that hints work again.
    let place = place.with("WATCH_RESCAN_S", "3600");
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    fs::write(archive.join("3.json"), trail(&["third"])).unwrap();
    daemon.wait_count("eventID:third", 1);
    daemon.stop();
}

#[test]
fn a_file_system_that_is_mounted_late_is_found_and_one_that_is_unmounted_keeps_its_events() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    let Some(daemon) = place.start_unshared(&["--mount"], "true") else {
        println!("left out: no user namespaces here");
        return;
    };
    let source = place.path("source");
    fs::create_dir(&source).unwrap();
    for n in 1..=2 {
        fs::write(source.join(format!("{n}.json")), trail(&[&format!("event-{n}")])).unwrap();
        make_old(&source.join(format!("{n}.json")));
    }
    daemon.inside("mount -t tmpfs none ARCHIVE && cp -p ARCHIVE/../source/1.json ARCHIVE/");
    daemon.wait_count("eventID:event-1", 1);
    daemon.inside("umount ARCHIVE");
    daemon.wait_for(PATIENCE, "a scan of nothing", |status| {
        status.lag.last_scan_s.is_some_and(|age| age < 0.5)
    });
    daemon.inside("mount -t tmpfs none ARCHIVE && cp -p ARCHIVE/../source/*.json ARCHIVE/");
    daemon.wait_count("eventID:event-2", 1);
    daemon.wait_indexed(PATIENCE, 2);
    assert_eq!(daemon.status().files.indexed, 2, "the first file is the one that was there before");
    assert!(daemon.log().contains("watching everything anew"));
    daemon.stop();
}

#[test]
fn files_that_appear_all_at_once_are_waited_for_in_bounded_numbers() {
    const FILES: usize = 5_000;
    let place = Place::new().with("WATCH_SETTLE_MS", "5000").with("WATCH_UNFINISHED_S", "5");
    for n in 0..FILES {
        let path = place.archive().join(format!("{n}.json"));
        fs::write(path, trail(&[&format!("event-{n}")])).unwrap();
    }
    // Writing them may have taken longer than they must be quiet.
    for n in 0..FILES {
        let path = place.archive().join(format!("{n}.json"));
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
    }
    let daemon = place.start();
    let mut most = 0;
    daemon.wait_for(PATIENCE_BULK, "every file", |status| {
        // Before any of them has settled.
        if status.uptime_s < 2 {
            most = most.max(status.files.pending);
        }
        status.files.indexed == FILES as u64
    });
    assert_eq!(daemon.status().events.indexed, FILES as u64);
    assert!(most > 1_000 && most <= 4_096, "{most} were waited for at a time");
    daemon.stop();
}

/// The kernel keeps 16,384 events of whoever does not take them; four for each file that is written.
#[test]
fn events_that_the_kernel_dropped_lose_no_file() {
    const FILES: usize = 6_000;
    let place = Place::new();
    let folder = place.archive().join("folder");
    fs::create_dir(&folder).unwrap();
    let daemon = place.start();
    fs::write(folder.join("first.json"), trail(&["first"])).unwrap();
    daemon.wait_count("eventID:first", 1);
    daemon.signal(Signal::STOP);
    for n in 0..FILES {
        fs::write(folder.join(format!("{n}.json")), trail(&[&format!("event-{n}")])).unwrap();
    }
    daemon.signal(Signal::CONT);
    daemon.wait_indexed(PATIENCE_BULK, FILES as u64 + 1);
    assert_eq!(daemon.status().files.indexed, FILES as u64 + 1);
    daemon.stop();
}

#[test]
fn the_kernels_bound_on_watches_costs_freshness_and_no_file() {
    let place = Place::new().with("WATCH_RESCAN_S", "1");
    for n in 0..20 {
        let folder = place.archive().join(format!("folder-{n}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.json"), trail(&[&format!("a-{n}")])).unwrap();
    }
    let few = "echo 5 > /proc/sys/user/max_inotify_watches";
    let Some(daemon) = place.start_unshared(&[], few) else {
        println!("left out: no user namespaces here");
        return;
    };
    daemon.wait_indexed(PATIENCE, 20);
    let warnings = daemon.status().warnings.join("\n");
    assert!(warnings.contains("cannot watch all of"), "{warnings}");
    for n in 0..20 {
        let path = place.archive().join(format!("folder-{n}/b.json"));
        fs::write(path, trail(&[&format!("b-{n}")])).unwrap();
    }
    daemon.wait_indexed(PATIENCE, 40);
    daemon.stop();
}

#[test]
fn the_ledger_tells_of_every_file_what_the_files_tell() {
    let place = Place::watching(&[sample("invictus")]);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2_900);
    let records = records_below(&sample("invictus"));
    let mut by_file: BTreeMap<&Path, Vec<&Record>> = BTreeMap::new();
    for record in &records {
        by_file.entry(&record.path).or_default().push(record);
    }
    let listed = daemon.files(&FilesRequest { limit: Some(100), ..FilesRequest::default() });
    assert_eq!((listed.total, listed.sums.files, listed.sums.records), (55, 55, 2_900));
    for file in &listed.files {
        let path = Path::new(&file.path);
        let reading = &file.reading;
        let told = reading.sha256.as_ref().unwrap().as_bytes().chunks(2);
        let told: Vec<u8> = told
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(told, Sha256::digest(contents(path)).to_vec());
        let times: Vec<&str> =
            by_file[path].iter().map(|record| record.json["eventTime"].as_str().unwrap()).collect();
        assert_eq!(reading.first.unwrap().to_string(), **times.iter().min().unwrap());
        assert_eq!(reading.last.unwrap().to_string(), **times.iter().max().unwrap());
        // Anonymised in the records, and not in the path: the record decides.
        assert_eq!(reading.account.as_deref(), Some("123837392027"));
        assert_eq!(reading.region.as_deref(), Some("us-east-1"));
        assert!(reading.read_at.is_some() && file.modified.is_some());
    }
    // By time: files whose events overlap the span.
    let (start, end) = ("2023-07-10T12:00:00Z", "2023-07-10T12:10:00Z");
    let overlaps = |records: &&Vec<&Record>| {
        let times = records.iter().map(|record| record.json["eventTime"].as_str().unwrap());
        times.clone().max().unwrap() >= start && times.min().unwrap() < end
    };
    let expected = by_file.values().filter(overlaps).count() as u64;
    let within = FilesRequest {
        start: Some(start.into()),
        end: Some(end.into()),
        ..FilesRequest::default()
    };
    assert_eq!(daemon.files(&within).total, expected);
    assert!(expected > 5 && expected < 50, "{expected}");
    for (read_start, read_end, count) in
        [(Some("-1h"), None, 55), (None, Some("-1h"), 0), (Some("now+1h"), None, 0)]
    {
        let [read_start, read_end] = [read_start, read_end].map(|text| text.map(str::to_owned));
        let request = FilesRequest { read_start, read_end, ..FilesRequest::default() };
        assert_eq!(daemon.files(&request).total, count, "{request:?}");
    }
    daemon.stop();
}

#[test]
fn sums_by_account_region_and_day_are_those_of_the_records() {
    let place = Place::new();
    copy_invictus(&place.archive(), 2);
    // A file of two accounts, one without records, and one that is no trail.
    let with = |id: &str, account: &str, region: &str, time: &str| {
        record(id)
            .replace(r#""eventID""#, &format!(r#""recipientAccountId":"{account}","eventID""#))
            .replace("us-east-1", region)
            .replace("2024-05-06", time)
    };
    let mixed = format!(
        "{}\n{}\n{}\n",
        with("m1", "111111111111", "eu-west-1", "2024-01-01"),
        with("m2", "222222222222", "eu-west-1", "2024-01-02"),
        with("m2", "222222222222", "eu-west-1", "2024-01-02"),
    );
    fs::write(place.archive().join("mixed.ndjson"), mixed).unwrap();
    let folder = place.archive().join("AWSLogs/333333333333/CloudTrail/sa-east-1/2024/02/03");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("empty.json"), r#"{"Records":[]}"#).unwrap();
    fs::write(folder.join("broken.json"), r#"{"Records":[{"eventName":nonsense}]}"#).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 5_802);
    daemon.wait_for(PATIENCE, "all files", |status| status.files.pending == 0);

    let ask = |by: &[Dimension]| {
        daemon.files(&FilesRequest { by: by.to_vec(), ..FilesRequest::default() }).groups
    };
    let all = ask(&[Dimension::Account, Dimension::Region, Dimension::Day]);
    let show = |group: &FileGroup| {
        let key = [&group.account, &group.region, &group.day].map(|key| key.clone().unwrap());
        let sums = &group.sums;
        (key.join(" "), sums.files, sums.records, sums.duplicates, sums.rejected)
    };
    let found: Vec<_> = all.iter().map(show).collect();
    assert_eq!(
        found,
        [
            ("123837392027 us-east-1 2023-07-10".to_owned(), 110, 5_800, 0, 0),
            ("333333333333 sa-east-1 2024-02-03".to_owned(), 2, 0, 0, 1),
            ("several eu-west-1 2024-01-01".to_owned(), 1, 3, 1, 0),
        ]
    );
    let times = |group: &FileGroup| {
        [group.sums.first, group.sums.last].map(|time| time.unwrap().to_string())
    };
    assert_eq!(times(&all[2]), ["2024-01-01T07:08:09Z", "2024-01-02T07:08:09Z"]);
    assert_eq!(times(&all[0]), ["2023-07-10T11:42:18Z", "2023-07-10T12:37:50Z"]);
    let by_region = ask(&[Dimension::Region]);
    assert_eq!(by_region.len(), 3);
    assert!(by_region.iter().all(|group| group.account.is_none() && group.day.is_none()));

    // Of one account or region: the files that may have records of it, those of several among them.
    let of = |account: Option<&str>, region: Option<&str>, by: &[Dimension]| {
        let [account, region] = [account, region].map(|name| name.map(str::to_owned));
        daemon.files(&FilesRequest { account, region, by: by.to_vec(), ..FilesRequest::default() })
    };
    for (account, region, total) in [
        (None, None, 113),
        (Some("123837392027"), None, 111),
        (Some("111111111111"), None, 1),
        (Some("333333333333"), Some("sa-east-1"), 2),
        (Some("333333333333"), Some("eu-west-1"), 1),
        (Some("333333333333"), Some("us-west-2"), 0),
        (None, Some("eu-west-1"), 1),
        (Some("several"), None, 1),
        (Some("12383739202"), None, 1),
    ] {
        assert_eq!(of(account, region, &[]).total, total, "{account:?} {region:?}");
    }
    assert_eq!(of(None, Some("us-east-1"), &[Dimension::Account]).groups.len(), 1);
    daemon.stop();
}

/// Memory grows by little with the number of files: a long form of `index::ledger`'s own test, with the
/// whole program. `cargo test --features failpoints --test daemon trees -- --ignored` runs it,
/// in minutes.
#[test]
#[ignore = "writes 400,000 files, which takes minutes"]
fn trees_of_many_small_files_take_32_bytes_of_memory_a_file() {
    // Each of one event, whose key takes memory too.
    let resident = |files: usize| {
        let place = Place::new().with("INGEST_COMMIT_AGE_MS_MAX", "1000");
        for n in 0..files {
            let folder = place.archive().join(format!("{}", n / 1_000));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{n}.json")), trail(&[&format!("event-{n}")])).unwrap();
        }
        let daemon = place.start();
        let mut peak = 0;
        daemon.wait_for(Duration::from_mins(30), "every file is indexed", |status| {
            peak = peak.max(daemon.own_kb());
            status.files.pending == 0 && status.files.indexed == files as u64
        });
        assert_eq!(daemon.status().events.indexed, files as u64);
        println!("{files} files: {peak} kB at the peak");
        daemon.stop();
        assert_eq!(files_below(&place.archive()).len(), files);
        peak
    };
    let (few, many) = (100_000, 300_000);
    let (few_kb, many_kb) = (resident(few), resident(many));
    // A list that grows has room for twice what is in it; and the peak of the same archive varies by a
    // twentieth from run to run.
    let allowed_kb = (many - few) as u64 * (32 * 2 + 2) / 1_024 + few_kb / 20;
    assert!(many_kb < few_kb + allowed_kb, "{few_kb} kB and {many_kb} kB");
}

/// Nothing but the file itself has anything committed here.
#[test]
fn a_file_that_arrives_does_not_wait_for_a_backlog() {
    let place = Place::new()
        .with("INGEST_THREADS", "1")
        .with("INGEST_COMMIT_AGE_MS_MAX", "600000")
        .with("INGEST_COMMIT_IDLE_MS", "600000")
        .with("INGEST_SEGMENT_EVENTS_MAX", "1000000");
    common::generated(&place.archive(), 1, 40_000);
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "a backlog", |status| status.files.pending > 100);
    fs::write(place.path("fresh"), trail(&["fresh"])).unwrap();
    fs::rename(place.path("fresh"), place.archive().join("fresh.json")).unwrap();
    daemon.wait_count("eventID:fresh", 1);
    assert!(daemon.status().files.pending > 0, "the backlog has ended");
    daemon.kill();
}
