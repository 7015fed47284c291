//! Somebody else can write to the archive while it is read: links and pipes that take a file's place at
//! any moment, data without an end, a disk that never answers. Nothing outside is read, and no file
//! keeps the others waiting, or the daemon from stopping.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use wire::FileState;

use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, make_old, record, trail, wait_until};

/// A stop does not wait for the disk.
const STOP: Duration = Duration::from_secs(10);

fn stop_quickly(daemon: Daemon) {
    let started = Instant::now();
    daemon.stop();
    assert!(started.elapsed() < STOP, "{:?}", started.elapsed());
}

/// Links of every kind, made before the first scan, in place, and renamed into place. `failpoints`
/// takes `openat2` away.
fn check_links(failpoints: &str) {
    for rescan_s in ["1", "3600"] {
        let place = Place::new().with("WATCH_RESCAN_S", rescan_s);
        let (archive, outside) = (place.archive(), place.path("outside"));
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(outside.join("sub/secret.json"), trail(&["secret"])).unwrap();
        make_old(&outside.join("sub/secret.json"));
        fs::create_dir_all(archive.join("own")).unwrap();
        symlink(outside.join("sub/secret.json"), archive.join("first.json")).unwrap();
        symlink(&outside, archive.join("first")).unwrap();
        let mut command = place.serve_command();
        command.env("FAILPOINTS", failpoints);
        let daemon = place.spawn(command);
        symlink(&outside, archive.join("made")).unwrap();
        symlink("../outside/sub", archive.join("own/made")).unwrap();
        for (n, target) in ["sub/secret.json", "sub", ""].iter().enumerate() {
            let link = place.path("link");
            symlink(outside.join(target), &link).unwrap();
            fs::rename(&link, archive.join(format!("own/renamed-{n}.json"))).unwrap();
        }
        // Told by the kernel under the links' names: files there come and go.
        fs::write(outside.join("sub/later.json"), trail(&["secret-later"])).unwrap();
        // A folder that becomes a link while files arrive in it.
        for n in 0..50 {
            let folder = archive.join(format!("swapped-{n}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("secret.json"), trail(&[&format!("own-{n}")])).unwrap();
            fs::rename(&folder, place.path(&format!("gone-{n}"))).unwrap();
            symlink(outside.join("sub"), &folder).unwrap();
        }
        fs::write(archive.join("own/good.json"), trail(&["good"])).unwrap();
        daemon.wait_count("eventID:good", 1);
        daemon.wait_for(PATIENCE, "nothing is pending", |status| status.files.pending == 0);
        assert_eq!(daemon.count("eventID:secret*"), 0);
        let skipped = daemon.files_named("own/renamed-1.json");
        assert!(skipped.iter().all(|file| file.state == FileState::Skipped), "{skipped:?}");
        assert!(!skipped.is_empty());
        daemon.stop();
    }
}

#[test]
fn no_link_is_followed_whenever_it_comes() {
    check_links("");
}

#[test]
fn no_link_is_followed_where_the_kernel_refuses_openat2() {
    check_links("openat2-is-refused=return");
}

#[test]
fn the_root_may_be_a_link() {
    let real = Place::new();
    fs::write(real.archive().join("a.json"), trail(&["a"])).unwrap();
    let link = real.path("link");
    symlink(real.archive(), &link).unwrap();
    let place = Place::watching(&[link]);
    let daemon = place.start();
    daemon.wait_count("eventID:a", 1);
    fs::write(real.archive().join("b.json"), trail(&["b"])).unwrap();
    daemon.wait_count("eventID:b", 1);
    daemon.stop();
}

/// A backlog gives all the time one wants between the scan and the reading of a file.
#[test]
fn a_pipe_or_a_link_that_takes_the_place_of_a_file_hangs_nobody() {
    let place = Place::new().with("INGEST_THREADS", "1");
    let archive = place.archive();
    let records: Vec<String> = (0..20_000).map(|n| record(&format!("many-{n}"))).collect();
    fs::write(archive.join("a-big.json"), records.join("\n")).unwrap();
    make_old(&archive.join("a-big.json"));
    fs::write(place.path("secret.json"), trail(&["secret"])).unwrap();
    let small = |n: usize| archive.join(format!("b-{n}.json"));
    for n in 0..100 {
        fs::write(small(n), trail(&[&format!("small-{n}")])).unwrap();
        make_old(&small(n));
    }
    let daemon = place.start();
    for n in 0..100 {
        fs::remove_file(small(n)).unwrap();
        if n % 2 == 0 {
            mknodat(CWD, small(n), FileType::Fifo, Mode::RUSR, 0).unwrap();
        } else {
            symlink(place.path("secret.json"), small(n)).unwrap();
        }
    }
    fs::write(archive.join("good.json"), trail(&["good"])).unwrap();
    daemon.wait_for(PATIENCE_BULK, "all are done", |status| {
        status.files.pending == 0 && status.files.indexed >= 2
    });
    assert_eq!(daemon.count("eventID:good"), 1);
    assert_eq!(daemon.count("eventID:secret"), 0);
    stop_quickly(daemon);
}

/// As sparse files, of which the disk holds a page.
fn sparse(path: &Path, beginning: &[u8], bytes: u64) {
    let file = File::create(path).unwrap();
    file.set_len(bytes).unwrap();
    file.write_all_at(beginning, 0).unwrap();
}

/// A frame that begins, with blocks of nothing behind it.
fn endless_zstd() -> Vec<u8> {
    vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58]
}

#[test]
fn data_without_an_end_costs_as_much_as_the_largest_file() {
    let place = Place::new().with("INGEST_THREADS", "1").with("INGEST_FILE_BYTES_MAX", "64 MiB");
    let archive = place.archive();
    let tera = 1 << 40;
    let whole = crate::common::gzip(&trail(&["whole"]));
    sparse(&archive.join("endless.json.zst"), &endless_zstd(), tera);
    sparse(&archive.join("endless.json"), b"{\"Records\":[", tera);
    sparse(&archive.join("endless.json.gz"), &whole, tera);
    // Members and frames of nothing, as many as fit.
    let mut members = File::create(archive.join("members.json.gz")).unwrap();
    members.write_all(&crate::common::gzip(b"").repeat(1_200_000)).unwrap();
    let mut frames = File::create(archive.join("frames.json.zst")).unwrap();
    frames.write_all(&zstd::encode_all(&b""[..], 1).unwrap().repeat(1_200_000)).unwrap();
    for name in ["endless.json.zst", "endless.json", "endless.json.gz"] {
        make_old(&archive.join(name));
    }
    let daemon = place.start();
    fs::write(archive.join("good.json"), trail(&["good"])).unwrap();
    daemon.wait_for(PATIENCE_BULK, "all are done", |status| {
        status.files.pending == 0 && (status.files.indexed, status.files.rejected) == (2, 4)
    });
    assert_eq!(daemon.count("eventID:good"), 1);
    assert_eq!(daemon.count("eventID:whole"), 1, "what is whole is read");
    let reason = |name: &str| daemon.file(name).reading.reason.unwrap();
    for name in ["endless.json.zst", "endless.json", "endless.json.gz"] {
        assert!(reason(name).contains("more than 67108864 bytes"), "{}", reason(name));
    }
    assert_eq!(daemon.file("endless.json.gz").reading.flags, ["trailing-bytes"]);
    for name in ["members.json.gz", "frames.json.zst"] {
        assert!(reason(name).contains("gzip members or zstd frames"), "{}", reason(name));
    }
    stop_quickly(daemon);
}

#[test]
fn a_stop_does_not_wait_for_data_without_an_end() {
    let place = Place::new().with("INGEST_THREADS", "1").with("INGEST_FILE_BYTES_MAX", "1 GiB");
    sparse(&place.archive().join("endless.json.zst"), &endless_zstd(), 1 << 40);
    make_old(&place.archive().join("endless.json.zst"));
    let daemon = place.start();
    std::thread::sleep(Duration::from_millis(300));
    stop_quickly(daemon);
}

/// A disk that never answers, as on a network: the file is waited for, and nothing else waits.
#[test]
fn a_file_that_never_comes_keeps_nothing_else_waiting() {
    check_waiting("file-to-be-read");
}

/// The same of a file whose records take long to be found.
#[test]
fn a_file_that_is_split_for_long_keeps_nothing_else_waiting() {
    check_waiting("file-to-be-split");
}

/// With one worker, what it has read before is committed; with two, the other goes on.
fn check_waiting(step: &str) {
    for (threads, commit_age_ms, idle_ms, after) in
        [("1", "600000", "60000", 0), ("2", "2000", "1500", 20)]
    {
        let place = Place::new()
            .with("INGEST_THREADS", threads)
            .with("INGEST_COMMIT_AGE_MS_MAX", commit_age_ms)
            .with("INGEST_COMMIT_IDLE_MS", idle_ms);
        let mut command = place.serve_command();
        command.env("FAILPOINTS", format!("{step}=2*off->1*sleep(600000)->off"));
        let daemon = place.spawn(command);
        let put = |name: &str| {
            let path = place.path("made");
            fs::write(&path, trail(&[name])).unwrap();
            fs::rename(path, place.archive().join(format!("{name}.json"))).unwrap();
        };
        put("first");
        put("second");
        daemon.wait_for(PATIENCE, "two files are read", |_| {
            let (_, metrics) = daemon.client.get("/metrics").unwrap();
            String::from_utf8_lossy(&metrics).contains("traildex_ingest_files_total 2")
        });
        put("late");
        std::thread::sleep(Duration::from_millis(500));
        (0..after).for_each(|n| put(&format!("after-{n}")));
        daemon.wait_for(PATIENCE, "all but one are committed", |status| {
            status.files.pending == 1 && status.events.indexed == 2 + after
        });
        assert_eq!(daemon.file("late.json").state, FileState::Pending);
        // Kept, whatever becomes of the daemon; and the late one is read by the next.
        stop_quickly(daemon);
        let daemon = place.with("INGEST_COMMIT_IDLE_MS", "100").start();
        daemon.wait_indexed(PATIENCE, 3 + after);
        assert!(daemon.verified().problems.is_empty());
        daemon.stop();
    }
}

fn is_told_of(daemon: &Daemon, part: &str) -> bool {
    let status = daemon.status();
    let (_, metrics) = daemon.client.get("/metrics").unwrap();
    let metrics = String::from_utf8_lossy(&metrics);
    !status.is_ingesting
        && status.is_paused
        && status.fault.is_some_and(|fault| fault.contains(part))
        && status.warnings.iter().any(|warning| warning.contains(part))
        && metrics.contains("traildex_ingesting 0")
}

#[test]
fn an_archive_that_goes_away_is_told_of_and_read_once_it_is_back() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let daemon = place.start();
    daemon.wait_count("eventID:a", 1);
    let away = place.path("away");
    fs::rename(place.archive(), &away).unwrap();
    wait_until(PATIENCE, "it is told", || is_told_of(&daemon, "No such file or directory"));
    assert_eq!(daemon.count("eventID:a"), 1);
    fs::write(away.join("b.json"), trail(&["b"])).unwrap();
    fs::rename(&away, place.archive()).unwrap();
    daemon.wait_count("eventID:b", 1);
    daemon.wait_for(PATIENCE, "all is well", |status| {
        status.is_ingesting && status.fault.is_none() && status.warnings.is_empty()
    });
    fs::write(place.archive().join("c.json"), trail(&["c"])).unwrap();
    daemon.wait_count("eventID:c", 1);
    daemon.stop();
}

/// A root that comes back is watched again, also where another went at the same time, and where it was
/// gone between two looks.
#[test]
fn a_root_that_is_another_now_is_watched_and_read() {
    let place = Place::new();
    let (one, two) = (place.archive(), place.path("two"));
    let (one_away, two_away) = (place.path("one-away"), place.path("two-away"));
    fs::create_dir(&two).unwrap();
    let place = place.also_watching(&two);
    let daemon = place.start();
    let put = |dir: &Path, id: &str| {
        fs::write(dir.join(format!("{id}.json")), trail(&[id])).unwrap();
        daemon.wait_count(&format!("eventID:{id}"), 1);
    };
    put(&one, "first");
    put(&two, "second");
    fs::rename(&one, &one_away).unwrap();
    wait_until(PATIENCE, "it is told", || is_told_of(&daemon, "archive: No such file"));
    fs::write(one_away.join("away.json"), trail(&["away"])).unwrap();
    fs::rename(&two, &two_away).unwrap();
    fs::rename(&one_away, &one).unwrap();
    wait_until(PATIENCE, "it is told", || is_told_of(&daemon, "two: No such file"));
    daemon.wait_count("eventID:away", 1);
    put(&one, "third");
    fs::rename(&two_away, &two).unwrap();
    daemon.wait_for(PATIENCE, "all is well", |status| status.is_ingesting);

    fs::remove_dir_all(&one).unwrap();
    fs::create_dir(&one).unwrap();
    fs::write(one.join("made-anew.json"), trail(&["anew"])).unwrap();
    daemon.wait_count("eventID:anew", 1);
    put(&one, "fourth");
    put(&two, "fifth");
    daemon.stop();
}

#[test]
fn an_archive_that_cannot_be_listed_is_told_of() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let Some(daemon) = place.start_as_nobody() else {
        println!("left out: this user cannot become another");
        return;
    };
    daemon.wait_count("eventID:a", 1);
    fs::set_permissions(place.archive(), fs::Permissions::from_mode(0o000)).unwrap();
    wait_until(PATIENCE, "it is told", || is_told_of(&daemon, "Permission denied"));
    fs::set_permissions(place.archive(), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.wait_for(PATIENCE, "all is well", |status| status.is_ingesting);
    daemon.stop();
}

#[test]
fn a_socket_that_is_removed_is_put_back_and_what_takes_its_place_is_left() {
    let place = Place::new().with_socket("run/socket");
    let daemon = place.start();
    let mode = fs::metadata(&daemon.socket).unwrap().permissions().mode();
    fs::remove_file(&daemon.socket).unwrap();
    wait_until(PATIENCE, "it is back", || daemon.client.status().is_ok());
    assert_eq!(fs::metadata(&daemon.socket).unwrap().permissions().mode(), mode);
    assert!(daemon.log().contains("the socket was removed; putting it back"));
    let (_, metrics) = daemon.client.get("/metrics").unwrap();
    assert!(String::from_utf8_lossy(&metrics).contains("traildex_socket_put_back_total 1"));
    // With its folder, too.
    fs::remove_dir_all(daemon.socket.parent().unwrap()).unwrap();
    wait_until(PATIENCE, "it is back", || daemon.client.status().is_ok());
    fs::remove_file(&daemon.socket).unwrap();
    fs::write(&daemon.socket, "a file").unwrap();
    wait_until(PATIENCE, "it is told", || daemon.log().contains("something else is in its place"));
    assert_eq!(fs::read(&daemon.socket).unwrap(), b"a file");
    fs::remove_file(&daemon.socket).unwrap();
    wait_until(PATIENCE, "it is back", || daemon.client.status().is_ok());
    daemon.stop();
}
