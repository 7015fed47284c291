//! What a service manager is told: that the daemon starts, is ready, lives, reloads and stops.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::service::check_line;
use crate::common::{PATIENCE, Place, trail, wait_until};

/// What the service manager was told, line by line.
struct Manager(UnixDatagram);

impl Manager {
    /// For daemons that are started with `NOTIFY_SOCKET` of that path.
    fn new(place: &Place) -> Self {
        Self(UnixDatagram::bind(place.path("notify")).unwrap())
    }

    /// Waits for a message with the line, and returns those up to it.
    #[track_caller]
    fn wait_for(&self, line: &str) -> Vec<String> {
        let started = Instant::now();
        let mut told = Vec::new();
        while started.elapsed() < PATIENCE {
            let Some(message) = self.next(Duration::from_millis(100)) else { continue };
            let is_it = message.lines().any(|told| told == line);
            told.push(message);
            if is_it {
                return told;
            }
        }
        panic!("{line} was not told: {told:#?}");
    }

    fn next(&self, within: Duration) -> Option<String> {
        let mut message = [0; 4096];
        self.0.set_read_timeout(Some(within)).unwrap();
        let length = self.0.recv(&mut message).ok()?;
        Some(String::from_utf8(message[..length].to_vec()).unwrap())
    }

    /// How often it is told in this time that the daemon is alive.
    fn signs_of_life(&self, within: Duration) -> usize {
        let started = Instant::now();
        let mut signs = 0;
        while let Some(left) = within.checked_sub(started.elapsed()).filter(|it| !it.is_zero()) {
            let message = self.next(left);
            signs += usize::from(message.is_some_and(|told| told.contains("WATCHDOG=1")));
        }
        signs
    }
}

fn managed(place: &Place) -> Command {
    let mut command = place.serve_command();
    command.env("NOTIFY_SOCKET", place.path("notify"));
    command
}

#[test]
fn the_service_manager_hears_of_start_reload_and_stop() {
    let place = Place::new();
    let manager = Manager::new(&place);
    let mut command = managed(&place);
    command.env("FAILPOINTS", "index-to-be-opened=sleep(1000)");
    let daemon = place.spawn_unready(command);
    manager.wait_for("STATUS=opening the index");
    wait_until(PATIENCE, "it listens", || matches!(daemon.client.get("/healthz"), Ok((200, _))));
    // A reload of a daemon that is not ready yet must not pass for readiness.
    daemon.signal(Signal::HUP);
    wait_until(PATIENCE, "it is reloaded", || daemon.log().contains("configuration reloaded"));
    assert!(matches!(daemon.client.get("/readyz"), Ok((503, _))), "it is too early for this test");
    assert_eq!(manager.next(Duration::from_millis(1)), None);
    manager.wait_for("READY=1");
    assert!(matches!(daemon.client.get("/readyz"), Ok((200, _))), "it is ready when it says so");
    manager.wait_for("STATUS=0 events of 0 files indexed, 0 files pending");

    daemon.signal(Signal::HUP);
    let reloading = manager.wait_for("RELOADING=1").pop().unwrap();
    let usec = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let age = Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
        .checked_sub(Duration::from_micros(usec.parse().unwrap()));
    assert!(age.is_some_and(|age| age < PATIENCE), "{reloading}");
    manager.wait_for("READY=1");

    daemon.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    daemon.stop();
    assert_eq!(manager.next(Duration::from_millis(1)), None, "the end is the last word");
}

#[test]
fn the_service_managers_socket_can_have_an_abstract_name() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    let place = Place::new();
    let name = format!("traildex-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager(UnixDatagram::bind_addr(&address).unwrap());
    let mut command = place.serve_command();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let daemon = place.spawn(command);
    manager.wait_for("READY=1");
    daemon.stop();
}

/// Twice in the time that the manager allows.
#[test]
fn a_daemon_that_lives_says_so_to_a_manager_that_asks() {
    let place = Place::new();
    let manager = Manager::new(&place);
    let mut command = managed(&place);
    command.env("WATCHDOG_USEC", "400000");
    let daemon = place.spawn(command);
    manager.wait_for("READY=1");
    let signs = manager.signs_of_life(Duration::from_secs(3));
    println!("{signs} signs of life in three seconds");
    assert!((8..=17).contains(&signs), "{signs}");
    // Stopped by a debugger, or stuck in the kernel.
    daemon.signal(Signal::STOP);
    manager.signs_of_life(Duration::from_millis(500));
    assert_eq!(manager.signs_of_life(Duration::from_secs(1)), 0);
    daemon.signal(Signal::CONT);
    manager.wait_for("WATCHDOG=1");
    daemon.stop();
}

#[test]
fn a_watchdog_that_is_off_or_another_process_s_is_told_nothing() {
    let place = Place::new();
    let manager = Manager::new(&place);
    for (usec, pid) in [(None, None), (Some("0"), None), (Some("100000"), Some("1"))] {
        let mut command = managed(&place);
        usec.map(|usec| command.env("WATCHDOG_USEC", usec));
        pid.map(|pid| command.env("WATCHDOG_PID", pid));
        let daemon = place.spawn(command);
        manager.wait_for("READY=1");
        assert_eq!(manager.signs_of_life(Duration::from_millis(500)), 0, "{usec:?} {pid:?}");
        daemon.stop();
    }
}

#[test]
fn a_daemon_that_answers_nothing_does_not_pass_for_alive() {
    let place = Place::new();
    let manager = Manager::new(&place);
    let mut command = managed(&place);
    command.env("WATCHDOG_USEC", "400000");
    // The first time, it answers.
    command.env("FAILPOINTS", "status-to-be-told=1*off->sleep(600000)");
    let mut daemon = place.spawn(command);
    manager.wait_for("WATCHDOG=1");
    assert_eq!(manager.signs_of_life(Duration::from_secs(2)), 0);
    let threads = || fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();
    let before = threads();
    assert_eq!(manager.signs_of_life(Duration::from_secs(1)), 0);
    assert!(threads() <= before, "a question that hangs is not asked again: {before} threads");
    check_line(&daemon.log(), &["ERROR", "the engine does not answer", "pause=200ms"]);
    // As the manager does then; what hangs must not keep it from ending.
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_end().success());
}

#[test]
fn a_daemon_whose_ingest_has_died_does_not_pass_for_alive() {
    let place = Place::new();
    let manager = Manager::new(&place);
    let mut command = managed(&place);
    command.env("WATCHDOG_USEC", "400000");
    command.env("FAILPOINTS", "commit-begun=panic");
    let daemon = place.spawn(command);
    manager.wait_for("WATCHDOG=1");
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    daemon.wait_for(PATIENCE, "ingest has died", |status| !status.is_ingesting);
    manager.signs_of_life(Duration::from_millis(500));
    assert_eq!(manager.signs_of_life(Duration::from_secs(1)), 0);
    manager.wait_for(
        "STATUS=searches go on, ingest has ended: the commit thread panicked: a bug in traildex",
    );
    assert!(daemon.log().contains("the watchdog is left to restart us"));
    assert_eq!(daemon.count("*"), 0, "searches go on until then");
}
