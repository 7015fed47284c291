//! The harness of the end-to-end tests: the real program on a temporary folder ([`Place`], [`Daemon`]),
//! and what trails hold ([`records`]).
//!
//! Waiting is polling with a bound; what a daemon wrote to standard error is shown when a test fails.

// Each test program compiles this file for itself and uses a part of it.
#![allow(dead_code)]

pub mod mmdb;
mod records;

pub use records::*;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use wire::{
    FileEntry, FileState, FilesRequest, FilesResponse, Order, SearchRequest, SearchResponse,
    Status, VerifyReport,
};

/// Everything that is waited for happens within this time, or never.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The same for tests that index tens of thousands of events with an unoptimised program.
pub const PATIENCE_BULK: Duration = Duration::from_secs(180);

const POLL: Duration = Duration::from_millis(10);

/// A folder for one daemon's archive, index and socket, and the settings it is started with. Daemons
/// can be started in it one after another.
#[derive(Clone)]
pub struct Place {
    folder: Arc<TempDir>,
    watch: Vec<PathBuf>,
    data_dir: PathBuf,
    socket: PathBuf,
    settings: Vec<(String, String)>,
}

impl Place {
    /// Watches a folder that is empty.
    pub fn new() -> Self {
        let mut place = Self::watching(&[]);
        fs::create_dir(place.archive()).unwrap();
        place.watch.push(place.archive());
        place
    }

    /// Watches folders that are there already.
    pub fn watching(watch: &[PathBuf]) -> Self {
        let folder = tempfile::Builder::new().prefix("traildex").tempdir().unwrap();
        // Hints must find what appears, not the next scan.
        let settings = [("TRAILDEX_WATCH_RESCAN_S", "3600"), ("TRAILDEX_WATCH_SETTLE_MS", "200")];
        Self {
            data_dir: folder.path().join("data"),
            socket: folder.path().join("socket"),
            folder: Arc::new(folder),
            watch: watch.to_vec(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }

    /// Adds a setting, as a `TRAILDEX_` variable; a later one of the same name wins.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((format!("TRAILDEX_{name}"), value.to_owned()));
        self
    }

    pub fn also_watching(mut self, dir: &Path) -> Self {
        self.watch.push(dir.to_owned());
        self
    }

    pub fn with_socket(mut self, name: &str) -> Self {
        self.socket = self.path(name);
        self
    }

    pub fn with_data_dir(mut self, name: &str) -> Self {
        self.data_dir = self.path(name);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// `traildex serve` with this place's folders and settings, not started.
    pub fn serve_command(&self) -> Command {
        let mut command = traildex();
        command.arg("serve");
        for dir in &self.watch {
            command.arg("--watch").arg(dir);
        }
        command.arg("--data-dir").arg(self.data_dir()).arg("--socket").arg(self.socket());
        command.envs(self.settings.iter().cloned());
        command
    }

    /// Starts a daemon, and waits until it answers.
    pub fn start(&self) -> Daemon {
        self.spawn(self.serve_command())
    }

    /// Starts a daemon that knows nothing but its configuration file, which must name this place's
    /// socket.
    pub fn start_from(&self, file: &Path) -> Daemon {
        let mut command = traildex();
        command.arg("serve").arg("--config").arg(file);
        self.spawn(command)
    }

    /// Starts a daemon in namespaces of its own (`unshare`'s flags), where it is root over them, after
    /// a line of shell. None where this machine does not let us.
    pub fn start_unshared(&self, flags: &[&str], setup: &str) -> Option<Daemon> {
        let unshare = |line: &str| {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user"]).args(flags).args(["sh", "-c", line, "sh"]);
            command
        };
        let probe = unshare(setup).output().ok()?;
        if !probe.status.success() {
            println!("unshare: {}", String::from_utf8_lossy(&probe.stderr));
            return None;
        }
        let serve = self.serve_command();
        let mut command = unshare(&format!("{setup} && exec \"$@\""));
        command.arg(serve.get_program()).args(serve.get_args());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Some(self.spawn(command))
    }

    /// Starts a daemon as the user `nobody`, who owns the place from then on. None where this process
    /// may not do so.
    pub fn start_as_nobody(&self) -> Option<Daemon> {
        const NOBODY: u32 = 65_534;
        // The program may lie where only we can go.
        let program = self.path("traildex");
        fs::copy(env!("CARGO_BIN_EXE_traildex"), &program).unwrap();
        let mut all = files_below(self.folder.path());
        all.extend([self.folder.path().to_owned(), self.archive()]);
        for path in all {
            std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).ok()?;
        }
        let serve = self.serve_command();
        let mut command = Command::new(program);
        command.args(serve.get_args()).envs(self.settings.iter().cloned());
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        std::os::unix::process::CommandExt::gid(&mut command, NOBODY);
        Some(self.spawn(command))
    }

    /// Starts a daemon by this command, and waits until it answers.
    pub fn spawn(&self, command: Command) -> Daemon {
        let mut daemon = self.spawn_unready(command);
        wait_until(PATIENCE, "the daemon is ready", || {
            if let Some(status) = daemon.ended() {
                panic!("the daemon ended with {status}");
            }
            matches!(daemon.client.get("/readyz"), Ok((200, _)))
        });
        daemon
    }

    /// Starts a daemon by this command, which may end before it answers.
    pub fn spawn_unready(&self, mut command: Command) -> Daemon {
        let log = self.path("log");
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let client = Client::new(&self.socket());
        Daemon {
            child,
            client,
            socket: self.socket(),
            archive: self.archive(),
            data_dir: self.data_dir(),
            log,
            _folder: Arc::clone(&self.folder),
        }
    }
}

/// A running daemon. Killed when it is dropped.
pub struct Daemon {
    child: Child,
    pub client: Client,
    pub socket: PathBuf,
    archive: PathBuf,
    data_dir: PathBuf,
    log: PathBuf,
    _folder: Arc<TempDir>,
}

impl Daemon {
    pub fn status(&self) -> Status {
        self.client.status().unwrap()
    }

    pub fn search(&self, request: &SearchRequest) -> SearchResponse {
        let found = self.client.search(request);
        found.unwrap_or_else(|error| panic!("{}: {error}", request.query))
    }

    /// The newest events of a query, as many as a search returns at most.
    pub fn find(&self, query: &str) -> SearchResponse {
        self.search(&SearchRequest {
            query: query.into(),
            limit: Some(10_000),
            order: Order::Newest,
            ..SearchRequest::default()
        })
    }

    /// How many events a query has.
    pub fn count(&self, query: &str) -> u64 {
        let query = query.into();
        let found =
            self.search(&SearchRequest { query, limit: Some(0), ..SearchRequest::default() });
        assert!(found.total.exact);
        found.total.value
    }

    pub fn files(&self, request: &FilesRequest) -> FilesResponse {
        self.client.files(request).unwrap()
    }

    /// Every file whose path contains `part`.
    pub fn files_named(&self, part: &str) -> Vec<FileEntry> {
        let path = Some(part.to_owned());
        self.files(&FilesRequest { path, limit: Some(10_000), ..FilesRequest::default() }).files
    }

    /// The one file whose path ends in `name`.
    pub fn file(&self, name: &str) -> FileEntry {
        let files: Vec<FileEntry> = self
            .files_named(name)
            .into_iter()
            .filter(|file| file.path.ends_with(&format!("/{name}")))
            .collect();
        let [file] = files.as_slice() else { panic!("{name}: {files:#?}") };
        file.clone()
    }

    /// The last reading of the one file whose path ends in `name`.
    pub fn file_now(&self, name: &str) -> FileEntry {
        let files = self.files_named(name);
        let now = files.iter().filter(|file| file.state != FileState::Replaced);
        let now: Vec<&FileEntry> = now.collect();
        let [file] = now.as_slice() else { panic!("{name}: {files:#?}") };
        (*file).clone()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Runs a line of shell in the namespaces of a daemon that was started in its own, where `ARCHIVE` and
    /// `DATA` stand for its directories.
    pub fn inside(&self, line: &str) {
        let mut command = Command::new("nsenter");
        let pid = self.pid().to_string();
        command.args(["--target", &pid, "--user", "--preserve-credentials", "--mount"]);
        let shown = |dir: &Path| dir.to_str().unwrap().to_owned();
        let line =
            line.replace("ARCHIVE", &shown(&self.archive)).replace("DATA", &shown(&self.data_dir));
        let done = command.args(["sh", "-c", &line]).status().unwrap();
        assert!(done.success(), "{line}");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that is its own: the index that it has mapped is the page cache's.
    pub fn own_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until the status is as wanted.
    pub fn wait_for(&self, bound: Duration, what: &str, mut is_met: impl FnMut(&Status) -> bool) {
        let mut last = Status::default();
        let started = Instant::now();
        while started.elapsed() < bound {
            last = self.status();
            if is_met(&last) {
                return;
            }
            thread::sleep(POLL);
        }
        let pending = FilesRequest { state: Some(FileState::Pending), ..FilesRequest::default() };
        panic!("in {bound:?} it did not come to: {what}\n{last:#?}\n{:#?}", self.files(&pending));
    }

    /// Waits until nothing is pending and so many events are indexed.
    pub fn wait_indexed(&self, bound: Duration, events: u64) {
        let what = format!("nothing pending and {events} events indexed");
        self.wait_for(bound, &what, |status| {
            status.files.pending == 0 && status.events.indexed == events
        });
    }

    /// Waits until a query has so many events; returns how long that took.
    pub fn wait_count(&self, query: &str, events: u64) -> Duration {
        let started = Instant::now();
        let what = format!("{events} events of {query}");
        wait_until(PATIENCE, &what, || self.count(query) == events);
        started.elapsed()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What a check of the whole index finds.
    pub fn verified(&self) -> VerifyReport {
        self.client.start_verify().unwrap();
        let mut status = self.client.verify().unwrap();
        wait_until(PATIENCE_BULK, "the check has ended", || {
            status = self.client.verify().unwrap();
            !status.is_running
        });
        status.report.unwrap()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut ended = None;
        let child = &mut self.child;
        wait_until(PATIENCE, "the daemon ends", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    /// Stops it as a service manager does; it must end well.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_end();
        assert_eq!(status.code(), Some(0), "after SIGTERM: {status}");
        assert!(!self.socket.exists(), "a stopped daemon leaves no socket");
    }

    /// Ends it without notice, as a crash does.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait_end().signal(), Some(9));
    }

    /// The ledger's bytes, and the number of the last commit.
    pub fn ledger(&self) -> (String, u64) {
        ledger(&self.data_dir)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, most of the time.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- the daemon's log, its end ---\n{}\n---", tail.join("\n"));
        }
    }
}

/// The ledger's bytes, and the number of the last commit or merge.
pub fn ledger(data_dir: &Path) -> (String, u64) {
    let manifest = fs::read_to_string(data_dir.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
    let files = fs::read_to_string(data_dir.join("files.jsonl")).unwrap();
    (files, manifest["commit"].as_u64().unwrap())
}

/// The program, away from the settings of whoever runs the tests.
pub fn traildex() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traildex"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRAILDEX_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_RUNTIME_DIR", "/nonexistent");
    command
}

/// What a command printed, and its exit code.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ends the program"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command that ends by itself; one that does not, such as a daemon that starts though it should
/// not, fails the test.
pub fn ended(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output().unwrap());
        }
        thread::sleep(POLL);
    }
    child.wait_with_output().unwrap().into()
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Ran {
    traildex().args(args).stdin(Stdio::null()).output().unwrap().into()
}

pub fn wait_until(bound: Duration, what: &str, mut is_met: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_met() {
        assert!(started.elapsed() < bound, "in {bound:?} it did not come to: {what}");
        thread::sleep(POLL);
    }
}

/// A daemon on the `invictus` trail that the tests of a program share; the last of them that runs stops it.
pub fn shared_daemon() -> Arc<Daemon> {
    static SHARED: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().expect("the first test that failed says why there is no daemon");
    if let Some(daemon) = shared.upgrade() {
        return daemon;
    }
    let place = Place::watching(&[sample("invictus")]);
    // Several segments, so that answers are put together from them.
    let place = place.with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    let daemon = Arc::new(place.start());
    daemon.wait_indexed(PATIENCE, 2_900);
    *shared = Arc::downgrade(&daemon);
    daemon
}
