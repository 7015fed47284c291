//! The scanner: finds files that were not read yet and have settled, and hands them to the workers.
//!
//! It walks the whole archive at the start, every `rescan`, and when hints were lost. In between,
//! hints tell it where to look. In both cases the ledger decides whether a file is new. Files from
//! hints overtake files from a walk, so that new events are searchable while a backlog is read.
//!
//! If a walk finds a file that has been there for a while without a hint, something is not watched:
//! a file system was mounted, or the kernel's limit on watches is reached. The scanner then watches
//! everything again.
//!
//! One thread owns all of this. It holds one file at a time that does not fit the workers' queue,
//! and a bounded number of files that have not settled (`waiting`). It leaves further files to the
//! next walk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use crate::archive::{Archive, RootNow, is_gone};
use crate::handover::TakenBack;
use crate::progress::Progress;
use crate::sniff::is_trail;
use crate::table::is_table_name;
use crate::verdicts::{Ignored, Verdicts};
use crate::waiting::Waiting;
use crate::walk::age;
use crate::walk::{FileWalk, Found};
use crate::watch::{Hint, Watcher};
use segment::file::FileKey;
use store::ledger::LedgerReader;

/// Entries walked before hints are looked at again.
const WALK_STEP: usize = 256;

/// How much longer than a settled file one must be quiet that is known to be open for writing: its
/// close is awaited, and only a lost hint makes it wait in vain.
const OPEN_QUIET_FACTOR: u32 = 15;

/// How long a file that was closed or renamed into place must be quiet: downloads set its time right
/// after, and it would be read twice.
const FINISHED_QUIET: Duration = Duration::from_millis(50);

/// The longest pause between two looks at a file that is not finished.
const RETRY_PAUSE_MAX: Duration = Duration::from_mins(1);

/// A file that is older than this when a walk finds it should have been hinted at.
const HINTED_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at the roots.
const ROOTS_PAUSE: Duration = Duration::from_secs(2);

/// Why a file whose name says nothing is not read.
const NO_TRAIL: &str = "its content is no trail's";
const NO_TRAIL_NAME: &str = "its name is no trail's";
const TABLE: &str = "a table, which `traildex import` reads if it is named itself";

/// Pause before a walk that another left files to.
const NEXT_WALK_PAUSE_MIN: Duration = Duration::from_millis(20);

/// How long the scanner waits.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// A file settles when its size and modification time have not changed for this long.
    pub settle: Duration,
    /// Time between two scans of the whole archive.
    pub rescan: Duration,
}

/// See the module's documentation.
pub(crate) struct Scanner {
    pub(crate) archive: Arc<Archive>,
    pub(crate) options: ScanOptions,
    pub(crate) watcher: Watcher,
    pub(crate) ledger: LedgerReader,
    pub(crate) progress: Arc<Progress>,
    /// Files that hints led to.
    pub(crate) fresh: Sender<FileKey>,
    /// Files that a walk found.
    pub(crate) backlog: Sender<FileKey>,
    /// Files that the workers give back.
    pub(crate) taken_back: Receiver<TakenBack>,
}

impl Scanner {
    /// Runs until ingest ends.
    pub(crate) fn run(self) {
        let mut scan = Scan {
            walk: None,
            walked: Walked::default(),
            next_walk: Instant::now(),
            next_roots: Instant::now() + ROOTS_PAUSE,
            roots: Vec::new(),
            has_lost_hints: false,
            held: None,
            verdicts: Verdicts::default(),
            waiting: Waiting::default(),
            scanner: self,
        };
        // In this order: one that becomes another in between is watched again.
        scan.roots = scan.find_roots();
        scan.watch();
        scan.run();
    }
}

/// The scanner at work.
struct Scan {
    scanner: Scanner,
    walk: Option<FileWalk>,
    walked: Walked,
    next_walk: Instant,
    /// When the roots are looked at next.
    next_roots: Instant,
    /// What was at each root then; None where it could not be listed.
    roots: Vec<Option<RootNow>>,
    has_lost_hints: bool,
    /// A file for a queue that was full.
    held: Option<FileKey>,
    verdicts: Verdicts,
    waiting: Waiting,
}

/// What a walk came upon so far.
#[derive(Default)]
struct Walked {
    /// Files that are no trail's.
    ignored: Ignored,
    /// Files that a hint should have told of.
    unhinted: u64,
    /// Some files are left to another walk.
    is_partial: bool,
    /// New files are no surprise: it is the first walk, or hints were lost, or a walk left some.
    expects_new: bool,
}

impl Scan {
    /// Asks the kernel for hints about everything. What cannot be watched is found by walks, only
    /// later.
    fn watch(&mut self) {
        let Scanner { archive, watcher, progress, .. } = &mut self.scanner;
        let mut fault = None;
        for root in archive.roots() {
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
            self.look_at_roots();
            self.start_walk_if_due();
            self.walk_on();
            self.look_again();
            let Scanner { watcher, taken_back, progress, backlog, .. } = &self.scanner;
            let pause = self.pause();
            // Nobody receives, and it stays connected: a send that never happens.
            let (never, _receiver) = crossbeam_channel::bounded(0);
            let (lane, key) = match &self.held {
                Some(key) => (backlog, key.clone()),
                None => (&never, FileKey::default()),
            };
            select! {
                recv(progress.stopping()) -> _ => return,
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

    /// Looks at the roots now and then. One that comes back, or is another than before, is watched and walked
    /// at once.
    fn look_at_roots(&mut self) {
        if Instant::now() < self.next_roots {
            return;
        }
        self.next_roots = Instant::now() + ROOTS_PAUSE;
        let now = self.find_roots();
        let is_new =
            now.iter().zip(&self.roots).any(|(now, before)| now.is_some() && now != before);
        self.roots = now;
        if is_new {
            tracing::info!("a root is another than before; watching everything anew");
            self.watch();
            self.next_walk = Instant::now();
        }
    }

    /// What is at each root. Notes those that cannot be listed.
    fn find_roots(&self) -> Vec<Option<RootNow>> {
        let Scanner { archive, progress, .. } = &self.scanner;
        let mut faults = Vec::new();
        let mut find = |root: &PathBuf| match archive.root_now(root) {
            Ok(now) => Some(now),
            Err(error) => {
                faults.push(format!("cannot read {}: {error}", root.display()));
                None
            }
        };
        let roots = archive.roots().iter().map(&mut find).collect();
        progress.set_root_faults(faults);
        roots
    }

    fn start_walk_if_due(&mut self) {
        // Hints lost during a walk may be of what it has passed: then another follows it.
        self.has_lost_hints |= self.scanner.watcher.take_lossy();
        let is_due = self.has_lost_hints || Instant::now() >= self.next_walk;
        if self.walk.is_some() || !is_due {
            return;
        }
        let is_first = self.scanner.progress.glance().scans == 0;
        let expects_new = is_first || self.has_lost_hints || self.walked.is_partial;
        self.walked = Walked { expects_new, ..Walked::default() };
        self.has_lost_hints = false;
        self.scanner.progress.scan_started();
        self.walk = Some(FileWalk::new(&self.scanner.archive));
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
        let Walked { ignored, unhinted, is_partial, expects_new } =
            std::mem::take(&mut self.walked);
        self.walked.is_partial = is_partial;
        self.walk = None;
        self.verdicts.end_walk();
        let ScanOptions { rescan, settle } = self.scanner.options;
        let pause = if is_partial { settle.max(NEXT_WALK_PAUSE_MIN) } else { rescan };
        self.next_walk = Instant::now() + pause;
        self.scanner.progress.scan_finished(ignored, !is_partial);
        if unhinted > 0 && !expects_new {
            tracing::info!(files = unhinted, "files appeared unseen; watching everything anew");
            self.watch();
        }
    }

    fn take_walked(&mut self, path: &Path, found: std::io::Result<Found>) {
        match found {
            Ok(Found::Unnamed(key)) if self.verdicts.is_none(&key) => {
                self.walked.ignored.note(&key.path, NO_TRAIL);
            }
            Ok(Found::Trail(key) | Found::Unnamed(key))
                if self.is_new(&key) && !self.waiting.contains(path) =>
            {
                self.take_new(key);
            }
            Ok(Found::Ignored) => {
                let path = path.to_string_lossy();
                let reason = if is_table_name(&path) { TABLE } else { NO_TRAIL_NAME };
                self.walked.ignored.note(&path, reason);
            }
            Ok(Found::Skipped(reason)) => self.skip(path, reason.to_owned()),
            Ok(_) => {}
            // Gone since its folder was listed.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && !self.scanner.archive.is_root(path) => {}
            Err(error) => self.skip(path, error.to_string()),
        }
    }

    /// Takes a file that a walk found and that is new.
    fn take_new(&mut self, key: FileKey) {
        let age = age(&key);
        let has_settled = age >= self.scanner.options.settle;
        if has_settled {
            match self.is_trail(&key) {
                Ok(true) => {}
                Ok(false) => return self.walked.ignored.note(&key.path, NO_TRAIL),
                Err(error) => return self.pass_over(&key, &error),
            }
        }
        let is_known_to_fail = self.scanner.progress.is_skipped(&key.path);
        self.walked.unhinted += u64::from(age >= HINTED_WITHIN && !is_known_to_fail);
        if has_settled {
            self.scanner.progress.take(&key);
            self.held = Some(key);
        } else {
            self.wait(key, self.scanner.options.settle);
        }
    }

    /// Passes over a file that cannot be looked into: it is gone, or another by now, or skipped.
    fn pass_over(&mut self, key: &FileKey, error: &io::Error) {
        let path = Path::new(&key.path);
        if is_gone(error) {
            self.wait_at(path, FINISHED_QUIET);
        } else {
            self.skip(path, error.to_string());
        }
    }

    fn skip(&self, path: &Path, reason: String) {
        self.scanner.progress.skip(path.to_string_lossy().into_owned(), reason);
    }

    fn follow(&mut self, hint: Hint) {
        let settle = self.scanner.options.settle;
        match hint {
            Hint::Directory(dir) => self.follow_into(dir),
            Hint::Appeared(path) => match self.scanner.archive.look(&path) {
                Ok(Found::Directory) => {
                    self.scanner.watcher.appeared(path.clone());
                    self.follow_into(path);
                }
                _ => self.wait_at(&path, FINISHED_QUIET),
            },
            Hint::Finished(path) => self.wait_at(&path, FINISHED_QUIET),
            Hint::Changing(path) => self.wait_at(&path, settle * OPEN_QUIET_FACTOR),
            Hint::Touched(path) if self.waiting.contains(&path) => {}
            Hint::Touched(path) => self.wait_at(&path, settle),
        }
    }

    /// Waits for the files in a new directory to be quiet.
    fn follow_into(&mut self, dir: PathBuf) {
        for (path, found) in FileWalk::at(&self.scanner.archive, dir) {
            if let Ok(Some(key)) = found.map(Found::key)
                && !self.waiting.contains(&path)
            {
                self.wait(key, self.scanner.options.settle);
            }
        }
    }

    /// Waits for the file at a path to be quiet, if there is one.
    fn wait_at(&mut self, path: &Path, quiet: Duration) {
        match self.look(path) {
            Some(key) => self.wait(key, quiet),
            None => self.forget(path),
        }
    }

    /// The trail file at a path, if there is one.
    fn look(&self, path: &Path) -> Option<FileKey> {
        match self.scanner.archive.look(path) {
            Ok(Found::Trail(key) | Found::Unnamed(key)) => Some(key),
            Ok(Found::Skipped(reason)) => {
                self.skip(path, reason.to_owned());
                None
            }
            _ => None,
        }
    }

    /// Takes a file back from a worker.
    fn take_back(&mut self, file: TakenBack) {
        let progress = &self.scanner.progress;
        match file {
            TakenBack::Unread(key) => {
                progress.wait_for(&key);
                self.hand_out(key);
            }
            TakenBack::Changed(key) => {
                progress.release(&key);
                self.wait_at(Path::new(&key.path), FINISHED_QUIET);
            }
            // Looks again when it has been quiet for twice as long, so that the pauses grow.
            TakenBack::Unfinished(key) => {
                progress.wait_for(&key);
                let age = age(&key);
                let quiet = (age * 2).min(age + RETRY_PAUSE_MAX).max(self.scanner.options.settle);
                match self.look(Path::new(&key.path)) {
                    Some(now) if now == key => self.wait(key, quiet),
                    now => {
                        self.scanner.progress.release(&key);
                        if let Some(now) = now {
                            self.wait(now, quiet);
                        }
                    }
                }
            }
            // The next walk tries again.
            TakenBack::Unreadable(key, reason) => {
                progress.release(&key);
                self.skip(Path::new(&key.path), reason);
            }
        }
    }

    /// Whether a file was neither read nor is with the workers. In this order: what they are done with
    /// is in the ledger before they let it go.
    fn is_new(&self, key: &FileKey) -> bool {
        !self.scanner.progress.is_taken(key) && !self.scanner.ledger.is_known(key)
    }

    /// Whether a file that has settled is to be read: its name says so, or its content. An error where it
    /// cannot be looked into, or is another by now.
    fn is_trail(&mut self, key: &FileKey) -> io::Result<bool> {
        let archive = &self.scanner.archive;
        if !archive.is_unnamed(Path::new(&key.path)) {
            return Ok(true);
        }
        if self.verdicts.is_none(key) {
            return Ok(false);
        }
        let file = archive.open_found(key)?.ok_or(rustix::io::Errno::NOENT)?;
        let is_trail = is_trail(&file)?;
        if !is_trail {
            self.verdicts.note_none(key);
        }
        Ok(is_trail)
    }

    /// Puts a new file off until it has been quiet for a while.
    fn wait(&mut self, key: FileKey, quiet: Duration) {
        if !self.is_new(&key) {
            self.forget(Path::new(&key.path));
            return;
        }
        if self.waiting.is_full() && !self.waiting.contains(Path::new(&key.path)) {
            // Left to a walk, which is made once there can be room.
            self.scanner.progress.release_waiting(&key);
            self.walked.is_partial = true;
            self.next_walk = self.next_walk.min(Instant::now() + self.scanner.options.settle);
            return;
        }
        self.scanner.progress.wait_for(&key);
        if let Some(changed) = self.waiting.put(key, quiet) {
            self.scanner.progress.release_waiting(&changed);
        }
    }

    /// Waits no longer for what was at a path.
    fn forget(&mut self, path: &Path) {
        if let Some(key) = self.waiting.remove(path) {
            self.scanner.progress.release_waiting(&key);
        }
    }

    /// Looks at the waiting files that are due.
    fn look_again(&mut self) {
        while let Some(path) = self.waiting.due() {
            match self.look(&path) {
                None => self.forget(&path),
                Some(found) => match self.waiting.check(&path, &found) {
                    Ok(()) => {
                        self.waiting.remove(&path);
                        self.hand_out(found);
                    }
                    Err(quiet) => self.wait(found, quiet),
                },
            }
        }
    }

    /// Queues a new file before the backlog; when that queue is full, puts it off.
    fn hand_out(&mut self, key: FileKey) {
        let is_to_be_read = if self.is_new(&key) { self.is_trail(&key) } else { Ok(false) };
        if !matches!(is_to_be_read, Ok(true)) {
            self.scanner.progress.release_waiting(&key);
        }
        match is_to_be_read {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.pass_over(&key, &error),
        }
        self.scanner.progress.take(&key);
        if let Err(TrySendError::Full(key)) = self.scanner.fresh.try_send(key) {
            self.scanner.progress.wait_for(&key);
            self.wait(key, Duration::ZERO);
        }
    }

    /// How long there is nothing to do but to listen.
    fn pause(&self) -> Duration {
        if self.walk.is_some() && self.held.is_none() {
            return Duration::ZERO;
        }
        let next_walk = if self.walk.is_some() { None } else { Some(self.next_walk) };
        let next = next_walk
            .into_iter()
            .chain(self.waiting.next_look())
            .fold(self.next_roots, Instant::min);
        next.saturating_duration_since(Instant::now())
    }
}
