//! Rules that run with the daemon: a thread that asks them of what came in, soon after each commit.
//!
//! A pass looks at all events that came in since the one before, and is followed by a pause of a few times
//! its length, so rules take a part of a core at most, and alerts are fresh where there is little to do.
//! Files of rules are looked at for changes every few seconds.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::config::{self, Config};
use alerts::{Alerts, Pass, Rules};
use detect::{Ask, AskError, Known, Loaded, load, pack};
use enrich::Field;
use search::pieces::on_long_threads;
use search::run;
use search::run::{Arrived, clock_of, next_file, parse_bound};
use segment::disk::RealDisk;
use segment::sigbus;
use store::snapshot::{Snapshot, SnapshotCell};
use trail::time::Micros;
use wire::engine::Cancel;
use wire::{
    AlertChanges, AlertChangesRequest, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest,
    AlertsResponse, ApiError, RulesStatus, SearchRequest, SearchResponse,
};

/// Between two looks for a commit; where there are no rules, for some.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_WITHOUT_RULES: Duration = Duration::from_secs(1);

/// Between two looks at the files of rules.
const FILES_LOOK: Duration = Duration::from_secs(3);

/// The pause behind a pass: so many times its length, and no longer than alerts may be late.
const PAUSE: u32 = 5;
const PAUSE_MAX: Duration = Duration::from_millis(1_200);

/// When the rules are asked again after a fault that is not one rule's.
const AGAIN: Duration = Duration::from_secs(60);

/// What one search of a rule may take.
const SEARCH_MAX: Duration = Duration::from_secs(60);

/// Rows of an answer to a rule, some 400 bytes each.
pub const RULE_ROWS_MAX: usize = 100_000;

/// Bytes that the groups of one of a rule's searches may take.
pub const RULE_GROUP_BYTES: usize = 32 << 20;

/// Problems of files that are listed.
const PROBLEMS_MAX: usize = 100;

const DAY: i64 = 86_400_000_000;

/// What of the configuration can change while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleOptions {
    rules: config::Rules,
    age_days_max: usize,
    /// Counted up by each reload, after which all files are read again.
    reloads: u64,
}

/// Shared with whoever reloads them.
pub type LiveRules = Arc<ArcSwap<RuleOptions>>;

impl RuleOptions {
    pub fn of(config: &Config, reloads: u64) -> Self {
        Self { rules: config.rules.clone(), age_days_max: config.alerts.age_days_max, reloads }
    }

    /// Those of a configuration that was read again.
    #[must_use]
    pub fn reloaded(&self, config: &Config) -> Self {
        Self::of(config, self.reloads + 1)
    }
}

/// See the module's documentation.
pub(super) struct Watch {
    alerts: Alerts,
    options: LiveRules,
    snapshots: SnapshotCell,
    cancel: Cancel,
    is_stopped: AtomicBool,
    pause: (Mutex<()>, Condvar),
    told: Mutex<RulesStatus>,
}

impl Watch {
    /// Opens the alerts, and starts the thread. The second value says what was damaged.
    pub(super) fn start(
        data_dir: &Path,
        options: LiveRules,
        snapshots: SnapshotCell,
        is_whole: impl Fn(&Snapshot) -> bool + Send + 'static,
    ) -> anyhow::Result<(Arc<Self>, Option<String>)> {
        let (alerts, note) = Alerts::open(data_dir, Arc::new(RealDisk))?;
        let never = Instant::now() + Duration::from_hours(24 * 365 * 100);
        let cancel = Cancel::at(never).long().with_group_bytes(RULE_GROUP_BYTES);
        let watch = Arc::new(Self {
            alerts,
            options,
            snapshots,
            cancel,
            is_stopped: AtomicBool::new(false),
            pause: (Mutex::default(), Condvar::new()),
            told: Mutex::default(),
        });
        let own = Arc::clone(&watch);
        thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || Running::new(&own).run(&is_whole))?;
        Ok((watch, note))
    }

    /// Ends the thread, soon.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.cancel.hang_up();
        self.pause.1.notify_all();
    }

    fn has_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Waits; true once the thread is to end.
    fn has_stopped_within(&self, time: Duration) -> bool {
        let (lock, stopped) = &self.pause;
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = stopped.wait_timeout_while(lock, time, |()| !self.has_stopped());
        drop(waited);
        self.has_stopped()
    }

    fn told(&self) -> MutexGuard<'_, RulesStatus> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers `GET /v1/alerts`.
    pub(super) fn list(&self, request: &AlertsRequest) -> Result<AlertsResponse, ApiError> {
        listed(&self.alerts, request, self.status())
    }

    /// What the rules do.
    pub(super) fn status(&self) -> RulesStatus {
        let (snapshot, seen) = (self.snapshots.load(), self.alerts.seen());
        let told = self.told().clone();
        let has_all = seen.begun == snapshot.begun.0 && seen.next_file == next_file(&snapshot);
        // Those that are there have looked, and at all there is.
        let is_current = told.is_current && (told.rules == 0 || has_all && seen.behind.is_empty());
        let open = self.alerts.open_count();
        RulesStatus { is_current, open, dropped: seen.dropped, ..told }
    }

    pub(super) fn changes(&self, request: &AlertChangesRequest) -> AlertChanges {
        self.alerts.changes(request)
    }

    /// Notes what a person did.
    pub(super) fn change(
        &self,
        uid: u32,
        request: &AlertsChangeRequest,
    ) -> Result<AlertsChangeResponse, ApiError> {
        let alerts = self.alerts.change(request, uid)?;
        tracing::info!(uid, alerts = alerts.len(), state = ?request.state, "alerts were changed");
        Ok(AlertsChangeResponse { alerts })
    }
}

/// Lists alerts, with what rules do.
pub(super) fn listed(
    alerts: &Alerts,
    request: &AlertsRequest,
    rules: RulesStatus,
) -> Result<AlertsResponse, ApiError> {
    let clock = clock_of(None, Timestamp::now())?;
    let bound = |key, text: &Option<String>| {
        Ok::<_, ApiError>(parse_bound(key, text.as_deref(), &clock)?.map(|time| time.0))
    };
    let span = (bound("start", &request.start)?, bound("end", &request.end)?);
    let answer = alerts.list(request, span)?;
    Ok(AlertsResponse { rules, ..answer })
}

/// The thread's own.
struct Running<'w> {
    watch: &'w Watch,
    rules: Rules,
    options: RuleOptions,
    editions: Editions,
    files: Vec<FileSeen>,
    files_at: Option<Instant>,
    /// When they say something else, though nothing changed.
    changes_at: Option<i64>,
    /// Whether the index had all that the archive has, at the last pass.
    was_whole: bool,
}

/// A file of rules, and by what a change of it shows.
type FileSeen = (PathBuf, Option<SystemTime>, u64);

impl<'w> Running<'w> {
    fn new(watch: &'w Watch) -> Self {
        Self {
            watch,
            rules: Rules::default(),
            options: RuleOptions::default(),
            editions: Editions::default(),
            files: Vec::new(),
            files_at: None,
            changes_at: None,
            was_whole: true,
        }
    }

    fn run(mut self, is_whole: &dyn Fn(&Snapshot) -> bool) {
        let (mut pause, mut expired) = (Duration::ZERO, Instant::now());
        while !self.watch.has_stopped_within(pause) {
            pause = if self.rules.count() == 0 { LOOK_WITHOUT_RULES } else { LOOK };
            self.look_at_rules();
            let snapshot = self.watch.snapshots.load_full();
            let is_whole = is_whole(&snapshot);
            if expired.elapsed() >= AGAIN {
                expired = Instant::now();
                if let Err(error) = self.expire() {
                    tracing::error!(error = format!("{error:#}"), "old alerts cannot be dropped");
                }
            }
            if self.rules.count() == 0 || !self.is_due(&snapshot, is_whole) {
                continue;
            }
            let started = Instant::now();
            let passed = catch_unwind(AssertUnwindSafe(|| {
                on_long_threads(|| self.pass(&snapshot, is_whole))
            }));
            let took = started.elapsed();
            self.note(passed, is_whole);
            metrics::histogram!("traildex_alerts_pass_seconds").record(took.as_secs_f64());
            metrics::gauge!("traildex_alerts_open").set(self.watch.alerts.open_count() as f64);
            pause = LOOK + (took * PAUSE).min(PAUSE_MAX);
        }
    }

    /// Whether there is something for a pass to do.
    fn is_due(&self, snapshot: &Snapshot, is_whole: bool) -> bool {
        let seen = self.watch.alerts.seen();
        let has_more = seen.begun != snapshot.begun.0 || seen.next_file != next_file(snapshot);
        has_more
            || is_whole != self.was_whole
            || !self.rules.are_those_of(&seen)
            || self.rules.can_catch_up(&seen)
    }

    /// Reads the rules again where something changed.
    fn look_at_rules(&mut self) {
        let options = RuleOptions::clone(&self.watch.options.load());
        let is_over = self.changes_at.is_some_and(|at| Micros::now().0 >= at);
        let editions = Editions::of(&self.watch.snapshots.load());
        let is_reloaded = options != self.options
            || self.files_at.is_none()
            || is_over
            || editions != self.editions;
        let is_early = self.files_at.is_some_and(|at| at.elapsed() < FILES_LOOK);
        if !is_reloaded && (is_early || options.rules.dirs.is_empty()) {
            return;
        }
        self.files_at = Some(Instant::now());
        let files = files_of(&options.rules.dirs);
        if !is_reloaded && files == self.files {
            return;
        }
        (self.files, self.options) = (files, options);
        self.editions = editions.clone();
        let config::Rules { dirs, pack: has_pack } = &self.options.rules;
        let sources = if *has_pack { pack() } else { Vec::new() };
        let loaded = catch_unwind(AssertUnwindSafe(|| load(dirs, sources)));
        let Ok(Loaded { rules, problems, changes_at }) = loaded else {
            tracing::error!("a file of rules cannot be read; the rules stay as they were");
            self.changes_at = None;
            return;
        };
        let problems = problems.iter().filter(|problem| !problem.is_elsewhere).map(|problem| {
            let line = problem.line.map_or(String::new(), |line| format!(":{line}"));
            format!("{}{line}: {}", problem.path.display(), problem.reason)
        });
        let mut problems: Vec<String> = problems.collect();
        for problem in problems.iter().take(PROBLEMS_MAX) {
            tracing::warn!(problem, "a rule is left out");
        }
        if problems.len() > PROBLEMS_MAX {
            let more = problems.len() - PROBLEMS_MAX;
            problems.truncate(PROBLEMS_MAX);
            problems.push(format!("and {more} more"));
        }
        (self.rules, self.changes_at) =
            (Rules::of(rules, &|rule| editions.of_rule(rule)), changes_at);
        let rules = self.rules.count();
        if rules > 0 || !self.options.rules.are_off() {
            tracing::info!(rules, problems = problems.len(), "rules were read");
        }
        metrics::gauge!("traildex_rules").set(rules as f64);
        let have_looked = self.rules.are_those_of(&self.watch.alerts.seen());
        let mut told = self.watch.told();
        (told.rules, told.problems) = (rules as u64, problems);
        told.is_current = rules == 0 || have_looked;
        told.failed.clear();
    }

    /// Drops alerts that are too old.
    fn expire(&self) -> anyhow::Result<()> {
        let before = match self.options.age_days_max as i64 {
            0 => i64::MIN,
            days => Micros::now().0.saturating_sub(days.saturating_mul(DAY)),
        };
        Ok(self.watch.alerts.expire(before)?)
    }

    fn pass(&self, snapshot: &Arc<Snapshot>, is_whole: bool) -> anyhow::Result<Option<usize>> {
        let watch = self.watch;
        let seen = watch.alerts.seen();
        self.expire()?;
        // What the index lacked may have come in any order.
        let goes_on = seen.begun == snapshot.begun.0 && (self.was_whole || !is_whole);
        let since = |next_file| -> Box<dyn Ask> {
            let arrived = Arrived::since(snapshot, next_file);
            Box::new(OfArrived { arrived, cancel: &watch.cancel })
        };
        let known = snapshot.time_span().map(|(start, end)| Known {
            start: start.0,
            end: end.0,
            before: None,
            kept_from: if snapshot.expired.events > 0 {
                snapshot.expired.before.0
            } else {
                i64::MIN
            },
        });
        let all = OfSnapshot { snapshot, cancel: &watch.cancel };
        let pass = Pass {
            since: goes_on.then_some(&since),
            all: &all,
            begun: snapshot.begun.0,
            next_file: next_file(snapshot),
            known,
            may_withdraw: is_whole,
        };
        Ok(watch.alerts.pass(&self.rules, &pass, &|| watch.has_stopped())?)
    }

    /// Notes how a pass ended.
    fn note(&mut self, passed: thread::Result<anyhow::Result<Option<usize>>>, is_whole: bool) {
        let changes = match passed {
            Ok(Ok(changes)) => changes.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "alerts cannot be kept");
                self.watch.told().failed = vec![format!("all rules: {error:#}")];
                self.watch.has_stopped_within(AGAIN / 10);
                return;
            }
            Err(_) => {
                self.watch.told().failed = vec!["all rules: a fault of traildex".to_owned()];
                self.watch.has_stopped_within(AGAIN);
                return;
            }
        };
        self.was_whole = is_whole;
        if changes > 0 {
            tracing::info!(changes, "alerts changed");
            metrics::counter!("traildex_alert_changes_total").increment(changes as u64);
        }
        let failed = self.rules.failed();
        metrics::gauge!("traildex_rules_failed").set(failed.len() as f64);
        let mut told = self.watch.told();
        told.failed = failed;
        told.is_current = self.rules.are_those_of(&self.watch.alerts.seen());
    }
}

/// Of which editions the files are in which rules look values up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Editions(Vec<(&'static str, u128)>);

impl Editions {
    fn of(snapshot: &Snapshot) -> Self {
        let enrichment = snapshot.enrichment.load();
        let of = |(field, name, _): &(Field, &'static str, _)| (*name, enrichment.edition(*field));
        Self(Field::ALL.iter().map(of).collect())
    }

    /// Those that a rule depends on, by what it is; rather one too many than one too few.
    fn of_rule(&self, definition: &str) -> String {
        let asked = self.0.iter().filter(|(name, _)| definition.contains(name));
        let asked: Vec<String> =
            asked.map(|(name, edition)| format!(" {name}={edition:x}")).collect();
        asked.concat()
    }
}

/// The files of rules below some paths, by which a change shows.
fn files_of(paths: &[PathBuf]) -> Vec<FileSeen> {
    let mut found = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, depth)) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        // As they are read: links to files are followed, and to folders only where one is named.
        let meta = match fs::metadata(&path) {
            Ok(target) if meta.is_symlink() && (depth == 0 || target.is_file()) => target,
            _ => meta,
        };
        if meta.is_dir() && depth <= detect::limits::DEPTH_MAX {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| (entry.path(), depth + 1)));
        } else if found.len() <= detect::limits::FILES_MAX {
            found.push((path, meta.modified().ok(), meta.len()));
        }
    }
    found.sort();
    found
}

/// Answers rules about what came in.
struct OfArrived<'a> {
    arrived: Arrived,
    cancel: &'a Cancel,
}

impl Ask for OfArrived<'_> {
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, AskError> {
        let cancel = self.cancel.within(SEARCH_MAX);
        unless_cut(|| self.arrived.search(request, Timestamp::now(), &cancel))
    }

    fn rows_max(&self) -> usize {
        RULE_ROWS_MAX
    }
}

/// Answers rules about everything.
struct OfSnapshot<'a> {
    snapshot: &'a Arc<Snapshot>,
    cancel: &'a Cancel,
}

impl Ask for OfSnapshot<'_> {
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, AskError> {
        let cancel = self.cancel.within(SEARCH_MAX);
        unless_cut(|| run::search(self.snapshot, request, Timestamp::now(), &cancel))
    }

    fn rows_max(&self) -> usize {
        RULE_ROWS_MAX
    }
}

/// What was found while a file was cut short does not count.
fn unless_cut(
    search: impl FnOnce() -> Result<SearchResponse, ApiError>,
) -> Result<SearchResponse, AskError> {
    let cuts = sigbus::cuts();
    let found = search()?;
    if sigbus::cuts() == cuts { Ok(found) } else { Err(segment::IndexError::Cut.into()) }
}
