//! Looking after the index while it is searched: checks and rebuilds.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ingest::walk::{Found, look};
use segment::file::FileState;
use store::opening::SEGMENTS;
use store::snapshot::{Snapshot, SnapshotCell};
use store::verify::{self, Problem, Report};
use wire::{ApiError, VerifyProblem, VerifyReport, VerifyStatus};

/// After a check, searches that fail cause no other for this long.
const CHECK_PAUSE: Duration = Duration::from_mins(1);

/// Checks the index, one check at a time, on a thread of its own.
pub struct Checker {
    data_dir: PathBuf,
    snapshots: SnapshotCell,
    bytes_done: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_running: bool,
    bytes_total: u64,
    report: Option<VerifyReport>,
    ended: Option<Instant>,
}

impl Checker {
    pub fn new(data_dir: PathBuf, snapshots: SnapshotCell) -> Arc<Self> {
        let (bytes_done, state) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { data_dir, snapshots, bytes_done, state })
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

    /// Starts a check because a search failed in a way that damage would explain.
    pub fn suspect(self: &Arc<Self>) {
        let is_recent = self.state().ended.is_some_and(|ended| ended.elapsed() < CHECK_PAUSE);
        if !is_recent {
            tracing::warn!("a search failed on the index; checking it");
            self.start();
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

/// Says that a check has ended, however it does.
struct Running<'c>(&'c Checker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_running = false;
        state.ended = Some(Instant::now());
    }
}

/// What a new index may lack, because the archive does not have it any more. A forecast: other files
/// may hold some of the events, and files that changed are not all there is to say of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Files that are gone, or have changed since they were read last.
    pub files: u64,
    /// Events that these brought into the index.
    pub events: u64,
}

/// Looks for the files that the events of the index came from.
pub fn missing(snapshot: &Snapshot) -> Result<Missing, ApiError> {
    let mut missing = Missing::default();
    snapshot.files.each(|record| {
        let events = record.events().saturating_sub(record.reading.lost);
        let is_expired = record.reading.last.is_some_and(|last| last < snapshot.expired.before);
        if record.state != FileState::Indexed || events == 0 || is_expired {
            return Ok::<_, ApiError>(());
        }
        let now = look(record.key.path.as_ref());
        if !matches!(now, Ok(Found::Trail(now)) if now == record.key) {
            missing.files += 1;
            missing.events += events;
        }
        Ok(())
    })?;
    Ok(missing)
}
