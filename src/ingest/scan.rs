//! The scanner: finds files that were not read yet and have settled, and hands them to the workers.
//!
//! It walks the whole archive at the start, every `rescan`, and when hints were lost; in between,
//! hints tell it where to look. Either way the ledger decides whether a file is new. Files that hints
//! lead to overtake those that a walk finds, so that new events are searchable while a backlog is
//! being read.
//!
//! One thread, which owns all of this. It holds one file at a time that does not fit the workers'
//! queue, and the files that have not settled.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use super::progress::Progress;
use super::walk::{Found, Walk, look};
use super::watch::{Hint, Watcher};
use super::work::age;
use crate::index::ledger::{FileKey, LedgerReader};

/// Entries walked before hints are looked at again.
const WALK_STEP: usize = 256;

/// How much longer than a settled file one must be quiet that is known to be open for writing: its
/// close is awaited, and only a lost hint makes it wait in vain.
const OPEN_QUIET_FACTOR: u32 = 15;

/// The longest pause between two looks at a file that is not finished.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The shortest pause before a file is looked at again.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(20);

/// When the scanner looks and waits.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// A file whose size and time have not changed for this long is read.
    pub settle: Duration,
    /// Time between two scans of everything.
    pub rescan: Duration,
}

/// See the module's documentation.
pub struct Scanner {
    pub roots: Vec<PathBuf>,
    pub options: ScanOptions,
    pub watcher: Watcher,
    pub ledger: LedgerReader,
    pub progress: Arc<Progress>,
    /// Files that hints led to.
    pub fresh: Sender<FileKey>,
    /// Files that a walk found.
    pub backlog: Sender<FileKey>,
    /// Files that the workers give back.
    pub taken_back: Receiver<TakenBack>,
    /// Disconnects when the scanner shall end.
    pub stop: Receiver<()>,
}

/// A file that a worker gives back. It stays pending until the scanner has it.
#[derive(Clone, Debug)]
pub enum TakenBack {
    /// It ends too early.
    Unfinished(FileKey),
    /// Another file's panic cost it its segment.
    Unread(FileKey),
}

/// A file that is looked at again later.
struct Waiting {
    key: FileKey,
    /// It must not have changed for this long.
    quiet: Duration,
    next_look: Instant,
}

impl Scanner {
    pub fn run(self) {
        Scan {
            walk: None,
            ignored: 0,
            next_walk: Instant::now(),
            has_lost_hints: false,
            held: None,
            waiting: HashMap::new(),
            scanner: self,
        }
        .run();
    }
}

/// The scanner at work.
struct Scan {
    scanner: Scanner,
    walk: Option<Walk>,
    /// Paths of the walk so far that are no trail files.
    ignored: u64,
    next_walk: Instant,
    has_lost_hints: bool,
    /// A file for a queue that was full.
    held: Option<FileKey>,
    waiting: HashMap<PathBuf, Waiting>,
}

impl Scan {
    fn run(&mut self) {
        loop {
            self.start_walk_if_due();
            self.walk_on();
            self.look_again();
            let Scanner { watcher, taken_back, stop, backlog, .. } = &self.scanner;
            let pause = self.pause();
            // Nobody receives, and it stays connected: a send that never happens.
            let (never, _receiver) = crossbeam_channel::bounded(0);
            let (lane, key) = match &self.held {
                Some(key) => (backlog, key.clone()),
                None => (&never, FileKey::default()),
            };
            select! {
                recv(stop) -> _ => return,
                send(lane, key) -> sent => match sent {
                    Ok(()) => self.held = None,
                    // The workers are gone, and have said why.
                    Err(_) => return,
                },
                recv(watcher.hints()) -> hint => match hint {
                    Ok(hint) => self.follow(hint),
                    Err(_) => return,
                },
                recv(taken_back) -> file => match file {
                    Ok(file) => self.take_back(file),
                    Err(_) => return,
                },
                default(pause) => {}
            }
        }
    }

    fn start_walk_if_due(&mut self) {
        // Hints lost during a walk may be of what it has passed: then another follows it.
        self.has_lost_hints |= self.scanner.watcher.take_lossy();
        let is_due = self.has_lost_hints || Instant::now() >= self.next_walk;
        if self.walk.is_some() || !is_due {
            return;
        }
        self.has_lost_hints = false;
        self.scanner.progress.scan_started();
        self.ignored = 0;
        self.walk = Some(Walk::new(self.scanner.roots.iter().cloned()));
    }

    /// Walks until a file is held, the step is done, or the walk ends.
    fn walk_on(&mut self) {
        for _ in 0..WALK_STEP {
            if self.held.is_some() {
                return;
            }
            let Some(walk) = &mut self.walk else { return };
            match walk.next() {
                Some((path, found)) => self.take_walked(&path, found),
                None => {
                    self.walk = None;
                    self.next_walk = Instant::now() + self.scanner.options.rescan;
                    self.scanner.progress.scan_finished(self.ignored);
                }
            }
        }
    }

    fn take_walked(&mut self, path: &Path, found: std::io::Result<Found>) {
        match found {
            Ok(Found::Trail(key)) if self.is_new(&key) && !self.waiting.contains_key(path) => {
                if age(&key) >= self.scanner.options.settle {
                    self.scanner.progress.claim(&key, "queued");
                    self.held = Some(key);
                } else {
                    self.wait(key, self.scanner.options.settle);
                }
            }
            Ok(Found::Ignored) => self.ignored += 1,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot look at a path");
                self.ignored += 1;
            }
        }
    }

    fn follow(&mut self, hint: Hint) {
        match hint {
            Hint::Directory(dir) => {
                for (path, found) in Walk::new([dir]) {
                    if let Ok(Found::Trail(key)) = found
                        && self.is_new(&key)
                        && !self.waiting.contains_key(&path)
                    {
                        self.wait(key, self.scanner.options.settle);
                    }
                }
            }
            Hint::Finished(path) => {
                self.stop_waiting(&path);
                if let Ok(Found::Trail(key)) = look(&path) {
                    self.hand_out(key);
                }
            }
            Hint::Changing(path) => {
                if let Ok(Found::Trail(key)) = look(&path) {
                    self.wait(key, self.scanner.options.settle * OPEN_QUIET_FACTOR);
                }
            }
        }
    }

    /// Takes a file back from a worker.
    fn take_back(&mut self, file: TakenBack) {
        match file {
            TakenBack::Unread(key) => {
                self.scanner.progress.release(&key);
                self.hand_out(key);
            }
            // Looks again when it has been quiet for twice as long, so that the pauses grow.
            TakenBack::Unfinished(key) => {
                self.scanner.progress.release(&key);
                let age = age(&key);
                let quiet = (age * 2).clamp(self.scanner.options.settle, age + RETRY_PAUSE_MAX);
                if let Ok(Found::Trail(key)) = look(Path::new(&key.path)) {
                    self.wait(key, quiet);
                }
            }
        }
    }

    /// Whether a file was neither read nor is on its way. What is waiting, queued or being read is
    /// pending, so a file is on one way only.
    fn is_new(&self, key: &FileKey) -> bool {
        !self.scanner.ledger.is_known(key) && !self.scanner.progress.is_pending(key)
    }

    /// Puts a new file off until it has been quiet for a while.
    fn wait(&mut self, key: FileKey, quiet: Duration) {
        let path = PathBuf::from(&key.path);
        self.stop_waiting(&path);
        if !self.is_new(&key) {
            return;
        }
        let next_look = Instant::now() + quiet.saturating_sub(age(&key)).max(LOOK_PAUSE_MIN);
        self.scanner.progress.claim(&key, "not finished yet");
        self.waiting.insert(path, Waiting { key, quiet, next_look });
    }

    fn stop_waiting(&mut self, path: &Path) -> Option<Waiting> {
        let waiting = self.waiting.remove(path)?;
        self.scanner.progress.release(&waiting.key);
        Some(waiting)
    }

    /// Looks at the waiting files that are due.
    fn look_again(&mut self) {
        let now = Instant::now();
        let is_due = |waiting: &Waiting| waiting.next_look <= now;
        let due: Vec<PathBuf> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| is_due(waiting))
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            let Some(Waiting { key, quiet, .. }) = self.stop_waiting(&path) else { continue };
            match look(&path) {
                Ok(Found::Trail(now)) if now == key && age(&now) >= quiet => self.hand_out(now),
                Ok(Found::Trail(now)) => self.wait(now, quiet),
                _ => {}
            }
        }
    }

    /// Queues a new file before the backlog; when that queue is full, puts it off.
    fn hand_out(&mut self, key: FileKey) {
        if !self.is_new(&key) {
            return;
        }
        self.scanner.progress.claim(&key, "queued");
        if let Err(TrySendError::Full(key)) = self.scanner.fresh.try_send(key) {
            self.scanner.progress.release(&key);
            self.wait(key, Duration::ZERO);
        }
    }

    /// How long there is nothing to do but to listen.
    fn pause(&self) -> Duration {
        if self.walk.is_some() && self.held.is_none() {
            return Duration::ZERO;
        }
        let next_walk = if self.walk.is_some() { None } else { Some(self.next_walk) };
        let next_look = self.waiting.values().map(|waiting| waiting.next_look).min();
        let next = next_walk.into_iter().chain(next_look).min();
        next.map_or(Duration::from_secs(1), |next| next.saturating_duration_since(Instant::now()))
    }
}
