//! What ingest is doing, for status, metrics and progress bars: shared by its threads, read by anyone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::proto::FileEntry;
use crate::api::proto::FileState;
use crate::event::time::Micros;
use crate::index::ledger::FileKey;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Events put into segments, committed or not.
    pub events: AtomicU64,
    /// Uncompressed bytes of the files read.
    pub bytes_raw: AtomicU64,
    /// Bytes of the files read, as on disk.
    pub bytes_read: AtomicU64,
    pub files: AtomicU64,
    /// Files handled after a panic.
    pub panics: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Files that are waited for, queued, or in a segment that is not committed.
    pending: HashMap<FileKey, Pending>,
    pending_bytes: u64,
    ignored: u64,
    scans: u64,
    is_scanning: bool,
    last_commit: Option<Instant>,
    fault: Option<String>,
}

#[derive(Debug)]
struct Pending {
    since: Instant,
    reason: &'static str,
}

/// A moment's view of [`Progress`].
#[derive(Clone, Debug, Default)]
pub struct Glance {
    pub pending: u64,
    pub pending_bytes: u64,
    pub oldest_pending: Duration,
    pub ignored: u64,
    pub since_commit: Option<Duration>,
    pub fault: Option<String>,
    /// Whole scans of the archive that were finished.
    pub scans: u64,
}

impl Progress {
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
        self.state().is_scanning = true;
    }

    pub fn scan_finished(&self, ignored: u64) {
        let mut state = self.state();
        state.ignored = ignored;
        state.is_scanning = false;
        state.scans += 1;
        drop(state);
        self.changed.notify_all();
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

    pub fn glance(&self) -> Glance {
        let state = self.state();
        let oldest = state.pending.values().map(|pending| pending.since).min();
        Glance {
            pending: state.pending.len() as u64,
            pending_bytes: state.pending_bytes,
            oldest_pending: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
            ignored: state.ignored,
            since_commit: state.last_commit.map(|at| at.elapsed()),
            fault: state.fault.clone(),
            scans: state.scans,
        }
    }

    /// The files that are pending, and what each waits for.
    pub fn pending(&self) -> Vec<FileEntry> {
        let state = self.state();
        let mut files: Vec<FileEntry> = state
            .pending
            .iter()
            .map(|(key, pending)| FileEntry {
                path: key.path.clone(),
                state: FileState::Pending,
                size: key.size,
                modified: Micros(key.mtime_ns / 1_000).to_string(),
                read_at: None,
                records: 0,
                repaired: 0,
                rejected: 0,
                rejects: Vec::new(),
                flags: Vec::new(),
                reason: Some(pending.reason.to_owned()),
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// Adds to a counter that only reports.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
