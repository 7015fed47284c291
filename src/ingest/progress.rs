//! What ingest is doing, for status, metrics and progress bars: shared by its threads, read by anyone.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::proto::{FileEntry, FileState, Reading};
use crate::event::time::Micros;
use crate::index::ledger::FileKey;
use crate::limits::SKIPPED_LISTED_MAX;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Events put into segments, committed or not.
    pub events: AtomicU64,
    /// Records whose event was in the index or on its way there.
    pub duplicates: AtomicU64,
    /// Uncompressed bytes of the files read.
    pub bytes_raw: AtomicU64,
    /// Bytes of the files read, as on disk.
    pub bytes_read: AtomicU64,
    pub files: AtomicU64,
    /// Files handled after a panic.
    pub panics: AtomicU64,
    /// The index being filled is to take another's place, and has not yet.
    pub is_rebuild: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Files that are waited for, queued, or in a segment that is not committed.
    pending: HashMap<FileKey, Pending>,
    pending_bytes: u64,
    skipped: BTreeMap<String, Skipped>,
    /// Paths that were skipped, beyond those listed.
    skipped_unlisted: u64,
    ignored: u64,
    scans_begun: u64,
    scans: u64,
    is_scanning: bool,
    last_scan: Option<Instant>,
    last_commit: Option<Instant>,
    watch_fault: Option<String>,
    fault: Option<String>,
}

#[derive(Debug)]
struct Pending {
    since: Instant,
    reason: &'static str,
}

#[derive(Debug)]
struct Skipped {
    reason: String,
    /// The scan that came upon it last.
    scan: u64,
}

/// A moment's view of [`Progress`].
#[derive(Clone, Debug, Default)]
pub struct Glance {
    pub pending: u64,
    pub pending_bytes: u64,
    pub oldest_pending: Duration,
    pub skipped: u64,
    pub ignored: u64,
    pub since_scan: Option<Duration>,
    pub since_commit: Option<Duration>,
    /// Why hints may be missing.
    pub watch_fault: Option<String>,
    pub fault: Option<String>,
    /// Whole scans of the archive that were finished.
    pub scans: u64,
}

impl Progress {
    pub fn new(is_rebuild: bool) -> Self {
        Self { is_rebuild: AtomicBool::new(is_rebuild), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a file that will be read. False when it is noted already.
    pub fn claim(&self, key: &FileKey, reason: &'static str) -> bool {
        let mut state = self.state();
        if let Some(pending) = state.pending.get_mut(key) {
            let is_new_step = pending.reason != reason;
            pending.reason = reason;
            return is_new_step;
        }
        state.skipped.remove(&key.path);
        state.pending_bytes += key.size;
        state.pending.insert(key.clone(), Pending { since: Instant::now(), reason });
        true
    }

    /// Whether a file is on its way.
    pub fn is_pending(&self, key: &FileKey) -> bool {
        self.state().pending.contains_key(key)
    }

    /// Forgets a file: it is in the ledger now, or gone, or another by now.
    pub fn release(&self, key: &FileKey) {
        let mut state = self.state();
        if state.pending.remove(key).is_some() {
            state.pending_bytes -= key.size;
        }
        drop(state);
        self.changed.notify_all();
    }

    pub fn committed(&self, keys: impl Iterator<Item = FileKey>) {
        keys.for_each(|key| self.release(&key));
        self.state().last_commit = Some(Instant::now());
        self.changed.notify_all();
    }

    pub fn scan_started(&self) {
        let mut state = self.state();
        state.is_scanning = true;
        state.scans_begun += 1;
        state.skipped_unlisted = 0;
    }

    /// Notes that a scan has gone through the whole archive; what it did not come upon any more is
    /// forgotten. A scan that left files for another is not `complete`: that one will be.
    pub fn scan_finished(&self, ignored: u64, is_complete: bool) {
        let mut state = self.state();
        let scan = state.scans_begun;
        state.skipped.retain(|_, skipped| skipped.scan >= scan);
        state.ignored = ignored;
        if is_complete {
            state.is_scanning = false;
            state.scans += 1;
            state.last_scan = Some(Instant::now());
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Notes a path that is not read, and why.
    pub fn skip(&self, path: String, reason: String) {
        let mut state = self.state();
        let scan = state.scans_begun;
        if state.skipped.len() < SKIPPED_LISTED_MAX || state.skipped.contains_key(&path) {
            state.skipped.insert(path, Skipped { reason, scan });
        } else {
            state.skipped_unlisted += 1;
        }
    }

    /// Notes whether the kernel tells of every change.
    pub fn set_watch_fault(&self, fault: Option<String>) {
        self.state().watch_fault = fault;
    }

    /// Notes that ingest has stopped for good.
    pub fn fail(&self, fault: String) {
        tracing::error!(%fault, "ingest has stopped");
        self.state().fault.get_or_insert(fault);
        self.changed.notify_all();
    }

    pub fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    /// Waits until the archive was scanned and nothing is pending, until ingest fails, or for `wait`.
    /// True when nothing is pending.
    pub fn wait_idle(&self, wait: Duration) -> bool {
        let is_busy = |state: &mut State| {
            state.fault.is_none()
                && (state.scans == 0 || state.is_scanning || !state.pending.is_empty())
        };
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.state(), wait, is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        !is_busy(&mut state)
    }

    /// Whether the archive was scanned, everything found is in the index, and nothing has failed.
    pub fn is_caught_up(&self) -> bool {
        self.wait_idle(Duration::ZERO) && self.fault().is_none()
    }

    pub fn glance(&self) -> Glance {
        let state = self.state();
        let oldest = state.pending.values().map(|pending| pending.since).min();
        Glance {
            pending: state.pending.len() as u64,
            pending_bytes: state.pending_bytes,
            oldest_pending: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
            skipped: state.skipped.len() as u64 + state.skipped_unlisted,
            ignored: state.ignored,
            since_scan: state.last_scan.map(|at| at.elapsed()),
            since_commit: state.last_commit.map(|at| at.elapsed()),
            watch_fault: state.watch_fault.clone(),
            fault: state.fault.clone(),
            scans: state.scans,
        }
    }

    /// The files that are pending, and what each waits for.
    pub fn pending(&self) -> Vec<FileEntry> {
        let state = self.state();
        let entry = |(key, pending): (&FileKey, &Pending)| FileEntry {
            path: key.path.clone(),
            state: FileState::Pending,
            size: key.size,
            modified: Some(Micros(key.mtime_ns.div_euclid(1_000))),
            reading: because(pending.reason),
        };
        let mut files: Vec<FileEntry> = state.pending.iter().map(entry).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The paths that are not read, and why; the first [`SKIPPED_LISTED_MAX`].
    pub fn skipped(&self) -> Vec<FileEntry> {
        let state = self.state();
        let entry = |(path, skipped): (&String, &Skipped)| FileEntry {
            path: path.clone(),
            state: FileState::Skipped,
            size: 0,
            modified: None,
            reading: because(&skipped.reason),
        };
        state.skipped.iter().map(entry).collect()
    }
}

fn because(reason: &str) -> Reading {
    Reading { reason: Some(reason.to_owned()), ..Reading::default() }
}

/// Adds to a counter that only reports.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
