//! The index's disk is full, nearly full, or cannot be written to: ingest pauses and says so, searches
//! go on, and ingest goes on by itself.
//!
//! The data directory is a small file system of its own, in a namespace of its own; the tests are left
//! out where the machine does not let us make one.

use std::fs;
use std::time::{Duration, Instant};

use wire::Status;

use crate::common::{Daemon, PATIENCE, Place, run, trail};

/// Bytes of the file system, as `mount` takes them.
const SIZE: &str = "64m";

/// A daemon whose data directory is a file system of 64 MiB.
fn start(place: &Place) -> Option<Daemon> {
    let dir = place.data_dir();
    let setup = format!("mkdir -p {0} && mount -t tmpfs -o size={SIZE} none {0}", dir.display());
    let daemon = place.start_unshared(&["--mount"], &setup);
    if daemon.is_none() {
        println!("left out: no user namespaces here");
    }
    daemon
}

/// Archives of one event a file.
struct Feed<'a> {
    place: &'a Place,
    fed: u64,
}

impl Feed<'_> {
    fn add(&mut self, files: u64) {
        for n in self.fed..self.fed + files {
            let new = self.place.path("new.json");
            fs::write(&new, trail(&[&format!("event-{n}")])).unwrap();
            fs::rename(new, self.place.archive().join(format!("{n}.json"))).unwrap();
        }
        self.fed += files;
    }

    /// Feeds until ingest pauses.
    fn until_paused(&mut self, daemon: &Daemon, reason: &str) -> Status {
        let end = Instant::now() + PATIENCE;
        loop {
            self.add(1);
            std::thread::sleep(Duration::from_millis(100));
            let status = daemon.status();
            let fault = status.fault.clone().unwrap_or_default();
            if !status.is_ingesting && fault.contains(reason) {
                return status;
            }
            assert!(Instant::now() < end, "ingest goes on: {status:?}");
        }
    }
}

/// Ingest is paused, and everything else goes on.
fn check_paused(place: &Place, daemon: &Daemon, status: &Status) {
    assert!(status.is_paused);
    let indexed = status.events.indexed;
    assert_eq!(daemon.count("*"), indexed);
    assert_eq!(daemon.count("eventID:event-0"), 1);
    let fault = status.fault.as_ref().unwrap();
    assert!(fault.ends_with("ingest is paused, and goes on when it works again"), "{fault}");
    let metrics = daemon.client.get("/metrics").unwrap().1;
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.lines().any(|line| line == "traildex_ingesting 0"), "{metrics}");
    let told = run(&["status", "--socket", place.socket().to_str().unwrap()]);
    assert!(told.stdout.contains("paused"), "{}", told.stdout);
    assert_eq!(daemon.client.get("/healthz").unwrap().0, 200);
}

/// Everything that was fed is indexed, once, and nothing is left over.
fn check_whole(daemon: Daemon, fed: u64) {
    daemon.wait_indexed(PATIENCE, fed);
    daemon.wait_for(PATIENCE, "ingest goes on", |status| status.is_ingesting);
    assert_eq!(daemon.count("*"), fed);
    for n in 0..fed {
        assert_eq!(daemon.count(&format!("eventID:event-{n}")), 1, "event-{n}");
    }
    let report = daemon.verified();
    assert!(report.problems.is_empty(), "{report:?}");
    assert!(daemon.log().contains("ingest goes on"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_full_disk_pauses_ingest_until_there_is_room() {
    let place = Place::new().with("INDEX_FREE_BYTES_MIN", "0");
    let Some(daemon) = start(&place) else { return };
    let mut feed = Feed { place: &place, fed: 0 };
    feed.add(3);
    daemon.wait_indexed(PATIENCE, 3);
    // As much as there is; that it does not all fit is the point.
    daemon.inside(&format!("head -c {SIZE} /dev/zero > DATA/ballast || true"));
    let status = feed.until_paused(&daemon, "No space left on device");
    check_paused(&place, &daemon, &status);
    feed.add(5);
    daemon.inside("rm DATA/ballast");
    check_whole(daemon, feed.fed);
}

#[test]
fn little_room_pauses_ingest_before_there_is_none() {
    let place = Place::new().with("INDEX_FREE_BYTES_MIN", "32 MiB");
    let Some(daemon) = start(&place) else { return };
    let mut feed = Feed { place: &place, fed: 0 };
    feed.add(3);
    daemon.wait_indexed(PATIENCE, 3);
    daemon.inside("head -c 40m /dev/zero > DATA/ballast");
    let status = feed.until_paused(&daemon, "less than index.free_bytes_min, 33554432");
    check_paused(&place, &daemon, &status);
    feed.add(5);
    daemon.inside("rm DATA/ballast");
    check_whole(daemon, feed.fed);
}

#[test]
fn a_disk_that_cannot_be_written_to_pauses_ingest_until_it_can() {
    let place = Place::new();
    let place = place.with("INDEX_FREE_BYTES_MIN", "0");
    let Some(daemon) = start(&place) else { return };
    let mut feed = Feed { place: &place, fed: 0 };
    feed.add(3);
    daemon.wait_indexed(PATIENCE, 3);
    daemon.inside("mount -o remount,ro DATA");
    let status = feed.until_paused(&daemon, "Read-only file system");
    check_paused(&place, &daemon, &status);
    feed.add(5);
    daemon.inside("mount -o remount,rw DATA");
    check_whole(daemon, feed.fed);
}

#[test]
fn a_daemon_whose_ingest_is_paused_stops_at_once() {
    let place = Place::new().with("INDEX_FREE_BYTES_MIN", "32 MiB");
    let Some(daemon) = start(&place) else { return };
    let mut feed = Feed { place: &place, fed: 0 };
    feed.add(1);
    daemon.wait_indexed(PATIENCE, 1);
    daemon.inside("head -c 40m /dev/zero > DATA/ballast");
    feed.until_paused(&daemon, "less than index.free_bytes_min");
    let started = Instant::now();
    daemon.stop();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}
