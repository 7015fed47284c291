//! The state of ingest: what it is doing, for status, metrics and progress bars, and whether it
//! should go on. The threads of ingest share it; anyone may read it.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::limits::SKIPPED_LISTED_MAX;
use crate::verdicts::Ignored;
use segment::IndexError;
use segment::file::FileKey;
use trail::time::Micros;

/// See the module's documentation.
#[derive(Debug)]
pub struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Totals for the metrics, which the threads of the pipeline add to.
    pub counters: Counters,
    /// Dropped when ingest shall end.
    running: Mutex<Option<Sender<Infallible>>>,
    stopping: Receiver<Infallible>,
}

/// The reason why ingest has stopped by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestFault {
    /// A sentence for people, which the daemon logs and status shows.
    pub reason: String,
    /// Whether a restart of ingest may help later: a disk can have room again, but a bug or damage
    /// stays.
    pub may_pass: bool,
}

impl IngestFault {
    /// Makes a fault after which a restart of ingest would not help, such as a bug.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), may_pass: false }
    }

    pub(crate) fn of_index(what: &str, error: &IndexError) -> Self {
        Self { reason: format!("{what}: {error}"), may_pass: error.may_pass() }
    }
}

/// Totals since the start of the daemon.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events put into segments, committed or not.
    pub events: AtomicU64,
    /// Records whose event was in the index already, or claimed for it.
    pub duplicates: AtomicU64,
    /// Records that were older than retention keeps when they came.
    pub expired: AtomicU64,
    /// Records that could not be read.
    pub rejected: AtomicU64,
    /// Files that were read, among them those that were rejected.
    pub files: AtomicU64,
    /// Files of which nothing could be indexed.
    pub files_rejected: AtomicU64,
    /// Uncompressed bytes of the files read.
    pub bytes_raw: AtomicU64,
    /// Bytes of the files read, as on disk.
    pub bytes_read: AtomicU64,
    /// Files handled after a panic.
    pub(crate) panics: AtomicU64,
    /// Faults after which the daemon restarts ingest.
    pub pauses: AtomicU64,
    /// Time that threads spent on each part of the work.
    pub busy: Busy,
}

/// Wall time that threads spent on each part of the work, in microseconds, summed over threads.
#[derive(Debug, Default)]
pub struct Busy {
    /// Mapping and inflating.
    pub reading: AtomicU64,
    /// Splitting, parsing, finding duplicates and adding events to segments.
    pub building: AtomicU64,
    /// Sorting segments and writing them to disk.
    pub finishing: AtomicU64,
    /// Writing ledger and manifest, and publishing the snapshot.
    pub committing: AtomicU64,
    /// Merging segments, and rewriting those that retention cuts.
    pub merging: AtomicU64,
}

/// Whether a channel on which nothing is ever sent has disconnected, which is how an end is told.
pub(crate) fn has_ended(channel: &Receiver<Infallible>) -> bool {
    channel.try_recv().is_err_and(|error| error.is_disconnected())
}

/// Adds to one of [`Busy`] the time since `started`.
pub(crate) fn spent(part: &AtomicU64, started: Instant) {
    add(part, started.elapsed().as_micros() as u64);
}

impl Counters {
    /// All counters with the names of their metrics.
    pub fn all(&self) -> [(&'static str, &AtomicU64); 15] {
        let Busy { reading, building, finishing, committing, merging } = &self.busy;
        [
            ("traildex_ingest_files_total", &self.files),
            ("traildex_ingest_files_rejected_total", &self.files_rejected),
            ("traildex_ingest_events_total", &self.events),
            ("traildex_ingest_duplicates_total", &self.duplicates),
            ("traildex_ingest_expired_total", &self.expired),
            ("traildex_ingest_rejected_total", &self.rejected),
            ("traildex_ingest_raw_bytes_total", &self.bytes_raw),
            ("traildex_ingest_read_bytes_total", &self.bytes_read),
            ("traildex_ingest_panics_total", &self.panics),
            ("traildex_ingest_pauses_total", &self.pauses),
            ("traildex_ingest_reading_microseconds_total", reading),
            ("traildex_ingest_building_microseconds_total", building),
            ("traildex_ingest_finishing_microseconds_total", finishing),
            ("traildex_ingest_committing_microseconds_total", committing),
            ("traildex_ingest_merging_microseconds_total", merging),
        ]
    }
}

#[derive(Debug, Default)]
struct State {
    /// Files that are waited for, queued, or in a segment that is not committed.
    pending: HashMap<FileKey, Pending>,
    pending_bytes: u64,
    /// Of the files that were pending when the first scan ended, how many still are; none before.
    backlog: Option<u64>,
    skipped: BTreeMap<String, Skipped>,
    /// Paths that were skipped, beyond those listed.
    skipped_unlisted: u64,
    ignored: Ignored,
    scans_begun: u64,
    scans: u64,
    is_scanning: bool,
    last_scan: Option<Instant>,
    last_commit: Option<Instant>,
    outdated: u64,
    watch_fault: Option<String>,
    root_faults: Vec<String>,
    late: Vec<String>,
    retention: Option<String>,
    fault: Option<IngestFault>,
}

#[derive(Debug)]
struct Pending {
    since: Instant,
    stage: Stage,
    is_backlog: bool,
}

/// How far a pending file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The scanner waits for it.
    Waiting,
    /// The workers have it, until it is committed or given back.
    Taken,
}

#[derive(Debug)]
struct Skipped {
    reason: String,
    /// The scan that came upon it last.
    scan: u64,
}

/// A copy of [`Progress`] at one moment.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// Files that are found and not committed yet.
    pub pending: u64,
    /// Bytes of these files, as on disk.
    pub pending_bytes: u64,
    /// How long the oldest of these files has been pending; zero where there is none.
    pub oldest_pending: Duration,
    /// Paths that could hold a trail file and are not read.
    pub skipped: u64,
    /// Files that the last scan saw and that are no trail's, by their names or their content.
    pub ignored: u64,
    /// Time since the last scan ended; None before the first has ended.
    pub since_scan: Option<Duration>,
    /// Time since the last commit; None before the first.
    pub since_commit: Option<Duration>,
    /// Events in segments of an earlier version, which are made anew before any file is read.
    pub outdated: u64,
    /// Why the kernel may not report some changes, in words; None where it reports all.
    pub watch_fault: Option<String>,
    /// Roots of the archive that cannot be listed, and why, in words.
    pub root_faults: Vec<String>,
    /// Files that workers read for long: the disk does not answer, or they are large.
    pub late: Vec<String>,
    /// What retention waits for, or cannot do, in words; None where there is nothing to say.
    pub retention: Option<String>,
    /// Why ingest has stopped; None while it runs.
    pub fault: Option<IngestFault>,
    /// Whole scans of the archive that were finished.
    pub(crate) scans: u64,
}

impl Progress {
    /// Returns a state in which nothing is pending and all totals are zero.
    pub fn new() -> Arc<Self> {
        Self::after(&Counters::default())
    }

    /// Returns the state of a new pipeline that continues the totals of an earlier one.
    pub fn after(before: &Counters) -> Arc<Self> {
        let counters = Counters::default();
        for ((_, counter), (_, before)) in counters.all().iter().zip(before.all()) {
            add(counter, before.load(Ordering::Relaxed));
        }
        let (running, stopping) = bounded(0);
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            counters,
            running: Mutex::new(Some(running)),
            stopping,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends ingest: the scanner and the workers stop.
    pub(crate) fn stop(&self) {
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// A channel that disconnects when ingest is to end; nothing is ever sent on it.
    pub fn stopping(&self) -> &Receiver<Infallible> {
        &self.stopping
    }

    pub(crate) fn is_stopping(&self) -> bool {
        has_ended(&self.stopping)
    }

    /// Notes that a file is waited for.
    pub(crate) fn wait_for(&self, key: &FileKey) {
        self.note(key, Stage::Waiting);
    }

    /// Notes that a file is handed to the workers.
    pub(crate) fn take(&self, key: &FileKey) {
        self.note(key, Stage::Taken);
    }

    fn note(&self, key: &FileKey, stage: Stage) {
        let mut state = self.state();
        if let Some(pending) = state.pending.get_mut(key) {
            pending.stage = stage;
            return;
        }
        state.skipped.remove(&key.path);
        state.pending_bytes += key.size;
        let pending = Pending { since: Instant::now(), stage, is_backlog: false };
        state.pending.insert(key.clone(), pending);
    }

    /// Whether the workers have a file.
    pub(crate) fn is_taken(&self, key: &FileKey) -> bool {
        self.state().pending.get(key).is_some_and(|pending| pending.stage == Stage::Taken)
    }

    /// Forgets a file: it is in the ledger now, or gone, or another by now.
    pub(crate) fn release(&self, key: &FileKey) {
        self.release_if(key, |_| true);
    }

    /// Forgets a file that was waited for.
    pub(crate) fn release_waiting(&self, key: &FileKey) {
        self.release_if(key, |stage| stage == Stage::Waiting);
    }

    fn release_if(&self, key: &FileKey, is_meant: impl Fn(Stage) -> bool) {
        let mut state = self.state();
        if state.pending.get(key).is_none_or(|pending| !is_meant(pending.stage)) {
            return;
        }
        if let Some(pending) = state.pending.remove(key) {
            state.pending_bytes -= key.size;
            if pending.is_backlog {
                state.backlog = state.backlog.map(|backlog| backlog - 1);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn committed(&self, keys: impl Iterator<Item = FileKey>) {
        keys.for_each(|key| self.release(&key));
        self.state().last_commit = Some(Instant::now());
        self.changed.notify_all();
    }

    pub(crate) fn scan_started(&self) {
        let mut state = self.state();
        state.is_scanning = true;
        state.scans_begun += 1;
        state.skipped_unlisted = 0;
    }

    /// Notes that a scan has gone through the whole archive; what it did not come upon any more is
    /// forgotten. A scan that left files for another is not `complete`: that one will be.
    pub(crate) fn scan_finished(&self, ignored: Ignored, is_complete: bool) {
        let mut state = self.state();
        let scan = state.scans_begun;
        state.skipped.retain(|_, skipped| skipped.scan >= scan);
        state.ignored = ignored;
        if is_complete {
            state.is_scanning = false;
            state.scans += 1;
            state.last_scan = Some(Instant::now());
            if state.backlog.is_none() {
                state.backlog = Some(state.pending.len() as u64);
                for pending in state.pending.values_mut() {
                    pending.is_backlog = true;
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether a path is listed as one that is not read.
    pub(crate) fn is_skipped(&self, path: &str) -> bool {
        self.state().skipped.contains_key(path)
    }

    /// Notes a path that is not read, and why.
    pub(crate) fn skip(&self, path: String, reason: String) {
        let mut state = self.state();
        let scan = state.scans_begun;
        if state.skipped.len() < SKIPPED_LISTED_MAX || state.skipped.contains_key(&path) {
            state.skipped.insert(path, Skipped { reason, scan });
        } else {
            state.skipped_unlisted += 1;
        }
    }

    /// Notes how many events are in segments of an earlier version.
    pub(crate) fn set_outdated(&self, events: u64) {
        self.state().outdated = events;
    }

    /// Notes whether the kernel tells of every change.
    pub(crate) fn set_watch_fault(&self, fault: Option<String>) {
        self.state().watch_fault = fault;
    }

    /// Notes what retention waits for, or cannot do.
    pub(crate) fn set_retention(&self, note: Option<String>) {
        let mut state = self.state();
        if let Some(note) = note.as_ref().filter(|_| state.retention.is_none()) {
            tracing::warn!("{note}");
        }
        state.retention = note;
    }

    /// Notes the roots that cannot be listed.
    pub(crate) fn set_root_faults(&self, faults: Vec<String>) {
        let mut state = self.state();
        for fault in faults.iter().filter(|fault| !state.root_faults.contains(fault)) {
            tracing::warn!("{fault}; nothing new is read from there");
        }
        state.root_faults = faults;
    }

    /// Notes the files that workers wait for in vain.
    pub(crate) fn set_late(&self, late: Vec<String>) {
        let mut state = self.state();
        for path in late.iter().filter(|path| !state.late.contains(path)) {
            tracing::warn!(file = path, "reading this file takes long; commits go on without it");
        }
        state.late = late;
    }

    /// Logs a fault and stops ingest. Of several faults, the first is kept.
    pub fn fail(&self, fault: IngestFault) {
        tracing::error!(fault = fault.reason, "ingest has stopped");
        self.state().fault.get_or_insert(fault);
        self.stop();
        self.changed.notify_all();
    }

    /// Returns the first fault that stopped ingest; None where there was none.
    pub fn fault(&self) -> Option<IngestFault> {
        self.state().fault.clone()
    }

    /// Waits until the archive was scanned and nothing is pending, until ingest fails, or until
    /// `wait` has passed. Returns whether ingest is no longer busy.
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

    /// Whether the archive was scanned once and all files found by then are committed.
    pub fn has_caught_up(&self) -> bool {
        let state = self.state();
        state.backlog == Some(0) && state.fault.is_none()
    }

    /// Copies the present state, for status and metrics.
    pub fn glance(&self) -> Glance {
        let state = self.state();
        let oldest = state.pending.values().map(|pending| pending.since).min();
        Glance {
            pending: state.pending.len() as u64,
            pending_bytes: state.pending_bytes,
            oldest_pending: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
            skipped: state.skipped.len() as u64 + state.skipped_unlisted,
            ignored: state.ignored.count,
            since_scan: state.last_scan.map(|at| at.elapsed()),
            since_commit: state.last_commit.map(|at| at.elapsed()),
            outdated: state.outdated,
            watch_fault: state.watch_fault.clone(),
            root_faults: state.root_faults.clone(),
            late: state.late.clone(),
            retention: state.retention.clone(),
            fault: state.fault.clone(),
            scans: state.scans,
        }
    }

    /// How many files have been pending for so long. Where many are, all of them count.
    pub fn pending_for(&self, time: Duration) -> u64 {
        const LOOKED_AT_MAX: usize = 1_000;
        let state = self.state();
        if state.pending.len() > LOOKED_AT_MAX {
            return state.pending.len() as u64;
        }
        state.pending.values().filter(|pending| pending.since.elapsed() >= time).count() as u64
    }

    /// Lists the pending files and what each waits for.
    pub fn pending(&self) -> Vec<Unread> {
        let state = self.state();
        let unread = |(key, pending): (&FileKey, &Pending)| Unread {
            path: key.path.clone(),
            size: key.size,
            modified: Some(Micros(key.mtime_ns.div_euclid(1_000))),
            reason: match pending.stage {
                Stage::Waiting => "not finished yet".to_owned(),
                Stage::Taken => "queued or being read".to_owned(),
            },
        };
        let mut files: Vec<Unread> = state.pending.iter().map(unread).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Lists the files that the last scan saw and that are no trail's, at most `IGNORED_LISTED_MAX`.
    pub fn ignored(&self) -> Vec<Unread> {
        let state = self.state();
        let unread = |(path, reason): &(String, &str)| Unread {
            path: path.clone(),
            size: 0,
            modified: None,
            reason: (*reason).to_owned(),
        };
        state.ignored.listed.iter().map(unread).collect()
    }

    /// Lists the paths that are not read and why, at most `SKIPPED_LISTED_MAX`.
    pub fn skipped(&self) -> Vec<Unread> {
        let state = self.state();
        let unread = |(path, skipped): (&String, &Skipped)| Unread {
            path: path.clone(),
            size: 0,
            modified: None,
            reason: skipped.reason.clone(),
        };
        state.skipped.iter().map(unread).collect()
    }
}

/// A file that is not committed yet, or is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Where the file is; absolute if the root that it was found below is.
    pub path: String,
    /// Bytes on disk; 0 for what is skipped.
    pub size: u64,
    /// Modification time; None for what is skipped.
    pub modified: Option<Micros>,
    /// What the file waits for, or why it is skipped.
    pub reason: String,
}

/// Adds to a counter that only reports, without ordering other memory.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
