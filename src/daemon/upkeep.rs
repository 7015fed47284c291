//! Looking after the index while it is searched: checks and rebuilds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ingest::archive::Archive;
use ingest::walk::Found;
use segment::check;
use segment::file::FileState;
use segment::view::SegmentView;
use store::opening::SEGMENTS;
use store::snapshot::{Snapshot, SnapshotCell};
use store::verify::{self, Problem, Report};
use wire::{ApiError, VerifyProblem, VerifyReport, VerifyStatus};

/// After a check of a segment, searches that fail on it cause no other for this long.
const CHECK_PAUSE: Duration = Duration::from_mins(1);

/// Files that are named one by one when they are missing; of the others, there is the count.
const NAMED_MAX: usize = 10;

/// What a search that failed waits for the check of its segment, whose finding it answers. A segment is
/// read at a gigabyte a second and more; where it takes longer, the answer is about what was seen.
const CHECK_WAIT: Duration = Duration::from_secs(2);

/// Checks the index, one check at a time, on a thread of its own; and single segments that searches
/// failed on, one after another, on another.
pub struct Checker {
    data_dir: PathBuf,
    snapshots: SnapshotCell,
    bytes_done: AtomicU64,
    state: Mutex<State>,
    suspects: Mutex<Suspects>,
    /// A suspect was checked.
    is_checked: Condvar,
}

#[derive(Default)]
struct State {
    is_running: bool,
    bytes_total: u64,
    report: Option<VerifyReport>,
}

/// Segments that searches failed on.
#[derive(Default)]
struct Suspects {
    waiting: VecDeque<Arc<SegmentView>>,
    /// By their names, with the one that is being checked.
    pending: HashSet<String>,
    /// When they were checked last.
    checked: HashMap<String, Instant>,
    is_running: bool,
}

impl Checker {
    pub fn new(data_dir: PathBuf, snapshots: SnapshotCell) -> Arc<Self> {
        Arc::new(Self {
            data_dir,
            snapshots,
            bytes_done: AtomicU64::new(0),
            state: Mutex::default(),
            suspects: Mutex::default(),
            is_checked: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a check, unless one is running.
    pub fn start(self: &Arc<Self>) -> VerifyStatus {
        let snapshot = self.snapshots.load_full();
        let mut state = self.state();
        if !state.is_running {
            self.bytes_done.store(0, Ordering::Relaxed);
            state.report = None;
            state.bytes_total = verify::bytes_to_check(&snapshot);
            let checker = Arc::clone(self);
            let thread = std::thread::Builder::new().name("verify".to_owned());
            match thread.spawn(move || checker.run(&snapshot)) {
                Ok(_) => state.is_running = true,
                Err(error) => tracing::error!(%error, "cannot start a check of the index"),
            }
        }
        drop(state);
        self.status()
    }

    /// Has segments checked that a search failed on, in a way that damage would explain; each once a
    /// minute at most. Waits a little for what comes of it, which is noted on the segments.
    pub fn suspect(self: &Arc<Self>, segments: &[Arc<SegmentView>]) {
        let mut suspects = self.suspects();
        let names: Vec<&str> = segments.iter().map(|segment| segment.entry.id.as_str()).collect();
        suspects.checked.retain(|_, checked| checked.elapsed() < CHECK_PAUSE);
        for segment in segments {
            let name = &segment.entry.id;
            if suspects.checked.contains_key(name) || suspects.pending.contains(name) {
                continue;
            }
            tracing::warn!(segment = name, "a search failed on a segment; checking it");
            suspects.pending.insert(name.clone());
            suspects.waiting.push_back(Arc::clone(segment));
        }
        if !suspects.is_running && !suspects.waiting.is_empty() {
            let checker = Arc::clone(self);
            let thread = std::thread::Builder::new().name("verify-segment".to_owned());
            match thread.spawn(move || checker.check_suspects()) {
                Ok(_) => suspects.is_running = true,
                Err(error) => {
                    tracing::error!(%error, "cannot start a check of a segment");
                    suspects.pending.clear();
                    suspects.waiting.clear();
                }
            }
        }
        let is_pending =
            |suspects: &mut Suspects| names.iter().any(|name| suspects.pending.contains(*name));
        let waited = self.is_checked.wait_timeout_while(suspects, CHECK_WAIT, is_pending);
        drop(waited);
    }

    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_suspects(&self) {
        let _checking = Checking(self);
        let segments_dir = self.data_dir.join(SEGMENTS);
        loop {
            let mut suspects = self.suspects();
            let Some(segment) = suspects.waiting.pop_front() else {
                suspects.is_running = false;
                return;
            };
            drop(suspects);
            match check::check_suspect(&segments_dir, &segment) {
                Ok(()) => tracing::info!(segment = segment.entry.id, "the segment is whole"),
                Err(error) => {
                    tracing::error!(%error, "a segment is not as it should be");
                }
            }
            let mut suspects = self.suspects();
            suspects.pending.remove(&segment.entry.id);
            suspects.checked.insert(segment.entry.id.clone(), Instant::now());
            self.is_checked.notify_all();
        }
    }

    pub fn status(&self) -> VerifyStatus {
        let state = self.state();
        VerifyStatus {
            is_running: state.is_running,
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            bytes_total: state.bytes_total,
            report: state.report.clone(),
        }
    }

    fn run(&self, snapshot: &Snapshot) {
        let _running = Running(self);
        let count = |bytes| {
            self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        };
        let segments_dir = self.data_dir.join(SEGMENTS);
        let report = verify::verify(snapshot, &self.data_dir, &segments_dir, &count, false);
        for Problem { path, problem } in &report.problems {
            tracing::error!(path, problem, "the index is not as it should be");
        }
        let problems = report.problems.len();
        tracing::info!(segments = report.segments, bytes = report.bytes, problems, "index checked");
        self.state().report = Some(told(report));
    }
}

/// What the API tells of a check.
pub fn told(report: Report) -> VerifyReport {
    let Report { checked_at, segments, events, files, bytes, problems } = report;
    let problem = |Problem { path, problem }| VerifyProblem { path, problem };
    let problems = problems.into_iter().map(problem).collect();
    VerifyReport { checked_at, segments, events, files, bytes, problems }
}

/// Lets go of all suspects, should their check panic.
struct Checking<'c>(&'c Checker);

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        let mut suspects = self.0.suspects();
        if suspects.is_running && std::thread::panicking() {
            suspects.is_running = false;
            suspects.pending.clear();
            suspects.waiting.clear();
            self.0.is_checked.notify_all();
        }
    }
}

/// Says that a check has ended, however it does.
struct Running<'c>(&'c Checker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().is_running = false;
    }
}

/// What a new index may lack, because the archive does not have it any more. A forecast: other files
/// may hold some of the events, and files that changed are not all there is to say of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Files that are gone, or have changed since they were read last.
    pub files: u64,
    /// Events that these brought into the index.
    pub events: u64,
    /// The names of the first of these files, at most [`NAMED_MAX`].
    pub first: Vec<String>,
}

/// Looks in an archive for the files that the events of the index came from.
pub fn missing(snapshot: &Snapshot, archive: &Archive) -> Result<Missing, ApiError> {
    let mut missing = Missing::default();
    snapshot.files.each(|record| {
        let events = record.events().saturating_sub(record.reading.lost);
        let is_expired = record.reading.last.is_some_and(|last| last < snapshot.expired.before);
        if record.state != FileState::Indexed || events == 0 || is_expired {
            return Ok::<_, ApiError>(());
        }
        let now = archive.look(record.key.path.as_ref());
        if now.ok().and_then(Found::key).as_ref() != Some(&record.key) {
            missing.files += 1;
            missing.events += events;
            if missing.first.len() < NAMED_MAX {
                missing.first.push(record.key.path.clone());
            }
        }
        Ok(())
    })?;
    Ok(missing)
}
