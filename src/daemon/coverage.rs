//! The picture of what the archive covers, for searches and for `GET /v1/coverage`.
//!
//! It is looked up once a commit at most, on a thread of its own, when commits have paused for a moment or
//! a search needs it. A search waits a few milliseconds for it and then goes without, or with the picture
//! of an earlier commit, and says so. Where looking takes long, it is not done again for twenty times as
//! long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::files::entry_of;
use super::integrity::Judged;
use coverage::answer::Answering;
use coverage::asked::Asked;
use coverage::look::Asks;
use coverage::notes::{Known, NOT_YET, may_have_notes, notes};
use coverage::picture::Picture;
use language::ast::Query;
use language::parse::parse;
use search::pieces::on_long_threads;
use search::run;
use search::run::{clock_of, parse_bound};
use segment::sigbus;
use store::ledger::LedgerCounts;
use store::snapshot::{Snapshot, SnapshotCell};
use trail::time::Micros;
use wire::engine::Cancel;
use wire::{
    ApiError, CoverageRequest, CoverageResponse, ErrorKind, FileEntry, QueryForm, SearchRequest,
    SearchResponse,
};

/// What an answer of a daemon waits for a picture, at most.
pub(super) const WAIT: Duration = Duration::from_millis(5);

/// What the answer to a single command waits, which no other follows.
pub(super) const WAIT_OFFLINE: Duration = Duration::from_secs(1);

/// What looking may take, at most; the picture is then none.
const LOOK_MAX: Duration = Duration::from_mins(10);

/// Bytes that the groups of one of its searches may take; where they take more, it asks for less time.
const GROUP_BYTES: usize = 6 << 20;

/// What took no longer than this is done again at the next commit.
const QUICK: Duration = Duration::from_millis(100);

/// How long what took longer is not done again: so many times what it took.
const PAUSE: u32 = 20;

/// Between two looks for a commit.
const WATCH_STEP: Duration = Duration::from_millis(250);

/// Files between two looks at the deadline.
const CHECK_STEP: u64 = 1 << 10;

/// See the module's documentation.
pub(super) struct Coverage {
    wait: Duration,
    state: Mutex<State>,
    changed: Condvar,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    ready: Option<Ready>,
    /// What stops the thread that looks.
    looking: Option<Cancel>,
    not_before: Option<Instant>,
    /// The commit whose picture could not be made.
    failed: Option<u64>,
    is_stopped: bool,
}

#[derive(Clone)]
struct Ready {
    commit: u64,
    at: Instant,
    picture: Arc<Picture>,
}

impl Coverage {
    pub(super) fn new(wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            wait,
            state: Mutex::default(),
            changed: Condvar::new(),
            stopped: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a picture made whenever commits have paused, so that it is there when a search needs it.
    pub(super) fn watch(self: &Arc<Self>, snapshots: SnapshotCell) {
        let coverage = Arc::clone(self);
        let thread = thread::Builder::new().name("coverage-watch".to_owned());
        let watched = thread.spawn(move || {
            let mut before = None;
            while !coverage.is_stopped_within(WATCH_STEP) {
                let snapshot = snapshots.load_full();
                let is_whole = snapshot.segments.iter().all(|segment| !segment.is_damaged());
                if before == Some(snapshot.commit) && is_whole && snapshot.events() > 0 {
                    coverage.begin(&snapshot);
                }
                before = Some(snapshot.commit);
            }
        });
        if let Err(error) = watched {
            tracing::error!(%error, "what the archive covers is looked up by searches only");
        }
    }

    fn is_stopped_within(&self, time: Duration) -> bool {
        let waited = self.stopped.wait_timeout_while(self.state(), time, |state| !state.is_stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopped
    }

    /// Ends the threads that look.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        if let Some(cancel) = &state.looking {
            cancel.hang_up();
        }
        drop(state);
        self.stopped.notify_all();
    }

    /// Has a picture made of this snapshot, unless there is one, or it is not time yet.
    pub(super) fn begin(self: &Arc<Self>, snapshot: &Arc<Snapshot>) {
        let mut state = self.state();
        let commit = snapshot.commit;
        let is_ready = state.ready.as_ref().is_some_and(|ready| ready.commit == commit);
        let is_early = state.not_before.is_some_and(|at| Instant::now() < at);
        let is_no_use = state.failed == Some(commit) || state.is_stopped;
        if is_ready || is_early || is_no_use || state.looking.is_some() {
            return;
        }
        let cancel = Cancel::at(Instant::now() + LOOK_MAX).with_group_bytes(GROUP_BYTES);
        let asks = Asking { snapshot: Arc::clone(snapshot), cancel: cancel.clone() };
        let coverage = Arc::clone(self);
        let thread = thread::Builder::new().name("coverage".to_owned());
        match thread.spawn(move || coverage.look(&asks)) {
            Ok(_) => state.looking = Some(cancel),
            Err(error) => tracing::error!(%error, "cannot look up what the archive covers"),
        }
    }

    fn look(&self, asks: &Asking) {
        let started = Instant::now();
        let looked = catch_unwind(AssertUnwindSafe(|| on_long_threads(|| asks.looked())));
        let took = started.elapsed();
        let mut state = self.state();
        state.looking = None;
        state.not_before = (took > QUICK).then(|| Instant::now() + took * PAUSE);
        match looked {
            Ok(Ok(picture)) => {
                tracing::debug!(
                    took_ms = took.as_millis() as u64,
                    "looked up what the archive covers"
                );
                state.keep(asks.snapshot.commit, picture);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "what the archive covers is not known");
                state.failed = Some(asks.snapshot.commit);
            }
            Err(_) => state.failed = Some(asks.snapshot.commit),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The picture of this commit, or where it is not there in time, an earlier one with its age.
    fn picture(&self, commit: u64) -> Option<(Arc<Picture>, Option<Duration>)> {
        let is_waited_for = |state: &mut State| {
            state.looking.is_some()
                && state.ready.as_ref().is_none_or(|ready| ready.commit != commit)
        };
        let waited = self.changed.wait_timeout_while(self.state(), self.wait, is_waited_for);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ready = state.ready.clone()?;
        let age = (ready.commit != commit).then(|| ready.at.elapsed());
        Some((ready.picture, age))
    }

    /// What a search asks for, where that may concern coverage: a picture is then begun.
    pub(super) fn asked(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        request: &SearchRequest,
    ) -> Option<Asked> {
        if request.cursor.is_some() || request.is_unexplained {
            return None;
        }
        let asked = asked(request)?;
        if may_have_notes(&asked, &Known { is_found: true, ..Known::default() }) {
            self.begin(snapshot);
        }
        Some(asked)
    }

    /// Tells, in an answer, what its search could miss.
    pub(super) fn tell(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        asked: &Asked,
        pending: &dyn Fn() -> u64,
        answer: &mut SearchResponse,
    ) {
        let is_found = answer.total.value > 0 || !answer.total.exact;
        let known = Known { is_found, pending: 0, now: Micros::now() };
        if !may_have_notes(asked, &known) {
            return;
        }
        let known = Known { pending: pending(), ..known };
        self.begin(snapshot);
        answer.coverage = match self.picture(snapshot.commit) {
            None if self.state().failed == Some(snapshot.commit) => Vec::new(),
            None => vec![NOT_YET.to_owned()],
            Some((picture, age)) => {
                let mut told = notes(&picture, asked, &known);
                if let (Some(age), false) = (age, told.is_empty()) {
                    told.push(format!("this is of the index {} s ago", age.as_secs() + 1));
                }
                told
            }
        };
    }

    /// Answers `GET /v1/coverage`.
    pub(super) fn answer(
        &self,
        snapshot: &Arc<Snapshot>,
        request: &CoverageRequest,
        judged: Option<&Judged>,
        cancel: &Cancel,
    ) -> Result<CoverageResponse, ApiError> {
        let clock = clock_of(request.time_zone.as_deref(), Timestamp::now())?;
        let start = parse_bound("start", request.start.as_deref(), &clock)?;
        let end = parse_bound("end", request.end.as_deref(), &clock)?;
        if start.zip(end).is_some_and(|(start, end)| start >= end) {
            return Err(ApiError::new(ErrorKind::BadRequest, "start must be before end"));
        }
        let asks = Asking { snapshot: Arc::clone(snapshot), cancel: cancel.clone() };
        let known = self.state().ready.clone().filter(|ready| ready.commit == snapshot.commit);
        let picture = match known {
            Some(ready) => ready.picture,
            None => {
                let picture = Arc::new(asks.looked()?);
                self.state().keep(snapshot.commit, Arc::clone(&picture));
                picture
            }
        };
        let mut answering =
            Answering::new(&picture, request, (start, end), judged.map(|it| &it.report));
        let judged_to = judged.map_or(0, |judged| judged.next_number);
        asks.each_file(&mut |number, file| answering.add_file(file, number < judged_to))?;
        Ok(answering.end())
    }
}

impl State {
    fn keep(&mut self, commit: u64, picture: impl Into<Arc<Picture>>) {
        // Commits are counted up, from a new number where the index was rebuilt.
        self.ready = Some(Ready { commit, at: Instant::now(), picture: picture.into() });
    }
}

/// What a request asks for; None where it is none that a search answers.
fn asked(request: &SearchRequest) -> Option<Asked> {
    let parsed: Query;
    let query = match &request.query {
        QueryForm::Text(text) => {
            parsed = parse(text).ok()?;
            &parsed
        }
        QueryForm::Tree(query) => query,
    };
    let clock = clock_of(request.time_zone.as_deref(), Timestamp::now()).ok()?;
    let start = parse_bound("start", request.start.as_deref(), &clock).ok()?;
    let end = parse_bound("end", request.end.as_deref(), &clock).ok()?;
    Some(Asked::of(query, start, end, &clock))
}

/// Asks one snapshot.
struct Asking {
    snapshot: Arc<Snapshot>,
    cancel: Cancel,
}

impl Asking {
    /// The picture. One that was made while a file was cut short does not count.
    fn looked(&self) -> Result<Picture, ApiError> {
        let cuts = sigbus::cuts();
        let picture = Picture::look(self, Micros::now());
        if sigbus::cuts() != cuts {
            return Err(segment::IndexError::Cut.into());
        }
        picture
    }
}

impl Asks for Asking {
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        run::search(&self.snapshot, request, Timestamp::now(), &self.cancel)
    }

    fn span(&self) -> Option<(Micros, Micros)> {
        self.snapshot.time_span()
    }

    fn has_rejects(&self) -> bool {
        let LedgerCounts { files, rejected, .. } = self.snapshot.files.counts();
        files.rejected + files.reread + rejected > 0
    }

    fn files(&self, visit: &mut dyn FnMut(&FileEntry)) -> Result<(), ApiError> {
        self.each_file(&mut |_, file| visit(file))
    }
}

impl Asking {
    /// Visits every file that was read, with its number.
    fn each_file(&self, visit: &mut dyn FnMut(u64, &FileEntry)) -> Result<(), ApiError> {
        let mut seen: u64 = 0;
        let verdicts = self.snapshot.verdicts.load();
        self.snapshot.files.each(|record| {
            seen += 1;
            if seen.is_multiple_of(CHECK_STEP) {
                self.cancel.check()?;
            }
            let number = record.number;
            let integrity = verdicts.of_file(number);
            visit(number, &FileEntry { integrity, ..entry_of(record) });
            Ok(())
        })
    }
}
