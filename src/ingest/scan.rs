//! The scanner: finds files that were not read yet and have settled, and hands them to the workers.
//!
//! It walks the whole archive at the start, every `rescan`, and when hints were lost; in between,
//! hints tell it where to look. Either way the ledger decides whether a file is new. Files that hints
//! lead to overtake those that a walk finds, so that new events are searchable while a backlog is
//! being read.
//!
//! A file that no hint told of, although it was there for a while, means that something is not watched:
//! a file system was mounted, a folder came beyond the kernel's bound on watches. Everything is then
//! watched anew.
//!
//! One thread, which owns all of this. It holds one file at a time that does not fit the workers'
//! queue, and up to [`WAITING_MAX`] files that have not settled; those beyond are left to another walk.

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

/// Files that are waited for at a time. At some 600 bytes each this is 2 MB, however large a tree
/// appears at once.
const WAITING_MAX: usize = 4_096;

/// A file that is older than this when a walk finds it should have been hinted at.
const HINTED_WITHIN: Duration = Duration::from_secs(5);

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
    /// It cannot be opened or read; and why.
    Unreadable(FileKey, String),
}

/// A file that is looked at again later.
struct Waiting {
    key: FileKey,
    /// It must not have changed for this long.
    quiet: Duration,
    /// When it was first seen as it is. Its time may lie in the future.
    since: Instant,
    next_look: Instant,
}

impl Waiting {
    fn has_settled(&self) -> bool {
        age(&self.key).max(self.since.elapsed()) >= self.quiet
    }
}

impl Scanner {
    pub fn run(self) {
        let mut scan = Scan {
            walk: None,
            walked: Walked::default(),
            next_walk: Instant::now(),
            has_lost_hints: false,
            held: None,
            waiting: HashMap::new(),
            scanner: self,
        };
        scan.watch();
        scan.run();
    }
}

/// The scanner at work.
struct Scan {
    scanner: Scanner,
    walk: Option<Walk>,
    walked: Walked,
    next_walk: Instant,
    has_lost_hints: bool,
    /// A file for a queue that was full.
    held: Option<FileKey>,
    waiting: HashMap<PathBuf, Waiting>,
}

/// What a walk came upon so far.
#[derive(Default)]
struct Walked {
    /// Paths that are no trail files.
    ignored: u64,
    /// Files that a hint should have told of.
    unhinted: u64,
    /// Some files were left to another walk.
    is_partial: bool,
    /// Nothing is known yet of what is new.
    is_first: bool,
}

impl Scan {
    /// Asks the kernel for hints about everything. What cannot be watched is found by walks, only
    /// later.
    fn watch(&mut self) {
        let Scanner { roots, watcher, progress, .. } = &mut self.scanner;
        let mut fault = None;
        for root in roots {
            if let Err(error) = watcher.watch(root) {
                let message = format!("cannot watch all of {}: {error}", root.display());
                tracing::warn!("{message}; relying on scans");
                fault = Some(message);
            }
        }
        progress.set_watch_fault(fault);
    }

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
        self.walked = Walked {
            is_first: self.has_lost_hints || self.scanner.progress.glance().scans == 0,
            ..Walked::default()
        };
        self.has_lost_hints = false;
        self.scanner.progress.scan_started();
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
                None => self.end_walk(),
            }
        }
    }

    fn end_walk(&mut self) {
        let Walked { ignored, unhinted, is_partial, is_first } = self.walked;
        self.walk = None;
        let ScanOptions { rescan, settle } = self.scanner.options;
        let pause = if is_partial { settle.max(LOOK_PAUSE_MIN) } else { rescan };
        self.next_walk = Instant::now() + pause;
        self.scanner.progress.scan_finished(ignored, !is_partial);
        if unhinted > 0 && !is_first {
            tracing::info!(files = unhinted, "files appeared unseen; watching everything anew");
            self.watch();
        }
    }

    fn take_walked(&mut self, path: &Path, found: std::io::Result<Found>) {
        match found {
            Ok(Found::Trail(key)) if self.is_new(&key) && !self.waiting.contains_key(path) => {
                let age = age(&key);
                self.walked.unhinted += u64::from(age >= HINTED_WITHIN);
                if age >= self.scanner.options.settle {
                    self.scanner.progress.claim(&key, "queued");
                    self.held = Some(key);
                } else {
                    self.wait(key, self.scanner.options.settle);
                }
            }
            Ok(Found::Ignored) => self.walked.ignored += 1,
            Ok(Found::Skipped(reason)) => self.skip(path, reason.to_owned()),
            Ok(_) => {}
            // Gone since its folder was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.is_root(path) => {}
            Err(error) => self.skip(path, error.to_string()),
        }
    }

    fn is_root(&self, path: &Path) -> bool {
        self.scanner.roots.iter().any(|root| root == path)
    }

    fn skip(&self, path: &Path, reason: String) {
        self.scanner.progress.skip(path.to_string_lossy().into_owned(), reason);
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
                if let Some(key) = self.look(&path) {
                    self.hand_out(key);
                }
            }
            Hint::Changing(path) => {
                if let Some(key) = self.look(&path) {
                    self.wait(key, self.scanner.options.settle * OPEN_QUIET_FACTOR);
                }
            }
        }
    }

    /// The trail file at a path, if there is one.
    fn look(&self, path: &Path) -> Option<FileKey> {
        match look(path) {
            Ok(Found::Trail(key)) => Some(key),
            Ok(Found::Skipped(reason)) => {
                self.skip(path, reason.to_owned());
                None
            }
            _ => None,
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
                if let Some(key) = self.look(Path::new(&key.path)) {
                    self.wait(key, quiet);
                }
            }
            // The next walk tries again.
            TakenBack::Unreadable(key, reason) => {
                self.scanner.progress.release(&key);
                self.skip(Path::new(&key.path), reason);
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
        let before = self.stop_waiting(&path);
        if !self.is_new(&key) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            // Left to a walk, which is made once there can be room.
            self.walked.is_partial = true;
            self.next_walk = self.next_walk.min(Instant::now() + self.scanner.options.settle);
            return;
        }
        let now = Instant::now();
        let since = before.filter(|before| before.key == key).map_or(now, |before| before.since);
        let next_look = now + quiet.saturating_sub(age(&key)).max(LOOK_PAUSE_MIN);
        self.scanner.progress.claim(&key, "not finished yet");
        self.waiting.insert(path, Waiting { key, quiet, since, next_look });
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
            let Some(found) = self.look(&path) else {
                self.stop_waiting(&path);
                continue;
            };
            let is_settled = |waiting: &Waiting| waiting.key == found && waiting.has_settled();
            if self.waiting.get(&path).is_some_and(is_settled) {
                self.stop_waiting(&path);
                self.hand_out(found);
            } else if let Some(quiet) = self.waiting.get(&path).map(|waiting| waiting.quiet) {
                self.wait(found, quiet);
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
