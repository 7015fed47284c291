//! What answers on the socket: the index as it is now, and what ingest is doing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;

use super::alerts::{LiveRules, Watch};
use super::coverage::{Coverage, WAIT};
use super::files;
use super::gaps::{lost, underived, unlisted};
use super::integrity::Integrity;
use super::lookups;
use super::lookups::{LiveLookups, Lookups};
use super::saved;
use crate::config::Config;
use crate::daemon::pipeline::Pipeline;
use crate::daemon::upkeep::Checker;
use ingest::progress::{Glance, IngestFault};
use search::pieces::on_long_threads;
use search::run;
use segment::IndexError;
use segment::disk::RealDisk;
use segment::sigbus;
use segment::sigbus::Lost;
use segment::steps::step;
use segment::view::SegmentView;
use store::inspect::{disk_bytes, free_bytes};
use store::ledger::FilesByState;
use store::manifest::FORMAT_VERSION;
use store::opening::set_aside_folders;
use store::saved::Saved;
use store::snapshot::{Snapshot, SnapshotCell};
use store::store::Store;
use wire::engine::{Caller, Cancel, Engine};
use wire::{
    AlertChanges, AlertChangesRequest, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest,
    AlertsResponse, ApiError, CoverageRequest, CoverageResponse, ErrorKind, EventCounts,
    FieldsRequest, FieldsResponse, FileCounts, FilesRequest, FilesResponse, IndexStatus, Lag,
    RebuildRequest, RebuildState, RebuildStatus, Rest, SavedRequest, SavedSearch, SearchRequest,
    SearchResponse, Status, TailPage, TailRequest, ValidateReport, ValuesRequest, ValuesResponse,
    VerifyStatus,
};

/// A search tells of files that wait for so long; others are read in a moment.
const PENDING_TOLD: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(super) struct Daemon {
    config: Config,
    started: Instant,
    snapshots: SnapshotCell,
    pipeline: Arc<Pipeline>,
    integrity: Arc<Integrity>,
    checker: Arc<Checker>,
    saved: Saved,
    coverage: Arc<Coverage>,
    alerts: Arc<Watch>,
    lookups: Arc<Lookups>,
    /// What was found damaged at the start.
    set_aside: Vec<String>,
    /// The index was made anew at the start, and everything that the archive had then is not read yet.
    is_catching_up: AtomicBool,
    /// The count of cut-off pages when the lengths of the segments' files were compared last.
    cuts_checked: AtomicU64,
    metrics: PrometheusHandle,
}

impl Daemon {
    pub(super) fn start(
        config: &Config,
        store: Store,
        (rules, lookups): (LiveRules, LiveLookups),
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let snapshots = store.snapshots();
        let mut set_aside = store.set_aside().to_vec();
        set_aside.extend(store.attempts().notes());
        let (saved, note) = Saved::open(&config.index.data_dir, Arc::new(RealDisk))?;
        set_aside.extend(note);
        let store_is_anew = store.is_anew();
        let coverage = Coverage::new(WAIT);
        coverage.watch(Arc::clone(&snapshots));
        let integrity = Integrity::start(config, &snapshots)?;
        // Before rules ask.
        let lookups = Lookups::start(&snapshots.load(), lookups)?;
        let pipeline = Pipeline::start(config, store)?;
        // An alert is not wrong because the index lacks its events.
        let (is_anew, reading) = (store_is_anew, Arc::clone(&pipeline));
        let is_whole = move |snapshot: &Snapshot| {
            lost(snapshot).is_none() && (!is_anew || reading.progress().has_caught_up())
        };
        let (alerts, note) =
            Watch::start(&config.index.data_dir, rules, Arc::clone(&snapshots), is_whole)?;
        set_aside.extend(note);
        Ok(Self {
            config: config.clone(),
            started: Instant::now(),
            checker: Checker::new(config.index.data_dir.clone(), Arc::clone(&snapshots)),
            snapshots,
            pipeline,
            alerts,
            lookups,
            integrity,
            saved,
            coverage,
            set_aside,
            is_catching_up: AtomicBool::new(store_is_anew),
            cuts_checked: AtomicU64::new(0),
            metrics,
        })
    }

    /// Ends ingest, whose files are committed.
    pub(super) fn stop(&self) {
        self.coverage.stop();
        self.alerts.stop();
        self.lookups.stop();
        self.integrity.stop();
        self.pipeline.stop();
    }

    /// Tries a search. A page that is cut off, or that cannot be read, is noticed once and is zeros from
    /// then on, so the files' lengths are compared, and lost pages looked for, before anything is read
    /// after a cut. An answer that was found while a segment was marked may lack what it has.
    fn attempt<T>(
        &self,
        snapshot: &Snapshot,
        search: impl Fn() -> Result<T, ApiError>,
    ) -> Result<thread::Result<Result<T, ApiError>>, IndexError> {
        const ATTEMPTS: usize = 3;
        for _ in 0..ATTEMPTS {
            let cuts = sigbus::cuts();
            if self.cuts_checked.load(Ordering::Acquire) != cuts {
                let lost = Lost::look();
                // Those of a newer commit too, whose searches find that the cut was looked into.
                let newest = self.snapshots.load_full();
                for segment in snapshot.segments.iter().chain(&newest.segments) {
                    segment.check_lengths();
                    segment.check_pages(&lost);
                }
                self.cuts_checked.store(cuts, Ordering::Release);
            }
            let marks = snapshot.marks();
            let found = catch_unwind(AssertUnwindSafe(&search));
            let is_answer = matches!(found, Ok(Ok(_)));
            if sigbus::cuts() == cuts && (!is_answer || snapshot.marks() == marks) {
                return Ok(found);
            }
            // Perhaps a file of the archive, which is none of this search's.
        }
        Err(IndexError::Cut)
    }

    /// Runs a search, whose answer tells why it may lack events.
    fn searched<T: Warned>(
        &self,
        search: impl Fn(&Arc<Snapshot>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (mut response, gaps) = self.run(search)?;
        response.warn(gaps);
        Ok(response)
    }

    /// Runs what reads the index. If it fails on that, with an error or a panic, the segments that it
    /// failed on are checked, and what is wrong with the disk is told as that.
    fn run<T>(
        &self,
        search: impl Fn(&Arc<Snapshot>) -> Result<T, ApiError>,
    ) -> Result<(T, Vec<String>), ApiError> {
        let snapshot = self.snapshots.load_full();
        let found =
            self.attempt(&snapshot, || search(&snapshot)).unwrap_or_else(|cut| Ok(Err(cut.into())));
        let found = match found {
            Ok(Err(error)) if may_be_of_disk(error.kind) => {
                Err(self.look_into(&snapshot).map_or(error, ApiError::from))
            }
            Ok(found) => found,
            Err(panic) => match self.look_into(&snapshot) {
                Some(damage) => Err(damage.into()),
                None => resume_unwind(panic),
            },
        };
        let gaps = self.gaps(&snapshot);
        match found {
            Ok(found) => {
                let gaps = gaps.into_iter().chain(unlisted(&snapshot)).chain(underived(&snapshot));
                Ok((found, gaps.collect()))
            }
            Err(mut error) => {
                if error.kind == ErrorKind::NotFound {
                    for gap in gaps {
                        error.message.push_str(&format!("; but {gap}"));
                    }
                }
                count_disk_fault(error.kind);
                Err(error)
            }
        }
    }

    /// Has the segments checked that searches failed on; returns what is found wrong with one of them.
    fn look_into(&self, snapshot: &Snapshot) -> Option<IndexError> {
        let with = |is_meant: fn(&SegmentView) -> bool| -> Vec<_> {
            snapshot.segments.iter().filter(|segment| is_meant(segment)).cloned().collect()
        };
        let suspects = with(|segment| segment.health.is_suspect());
        // Those that may be whole again were refused, and are not what this search failed on.
        self.checker
            .suspect(&with(|segment| segment.health.is_suspect() || segment.health.may_pass()));
        suspects.iter().find(|segment| segment.is_damaged()).map(|segment| segment.damage())
    }

    /// Why searches may lack events that the archive had.
    fn gaps(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut gaps = Vec::from_iter(lost(snapshot));
        if self.is_catching_up.load(Ordering::Acquire) {
            if self.pipeline.progress().has_caught_up() {
                self.is_catching_up.store(false, Ordering::Release);
            } else {
                let gap = "the index was damaged, and is being made anew from the archive";
                gaps.push(gap.to_owned());
            }
        }
        gaps
    }

    fn warnings(&self, snapshot: &Snapshot, glance: &Glance) -> Vec<String> {
        let mut warnings = self.gaps(snapshot);
        warnings.extend(unlisted(snapshot));
        warnings.extend(
            snapshot.segments.iter().filter(|s| s.is_damaged()).map(|s| s.damage().to_string()),
        );
        warnings.extend(self.set_aside.iter().cloned());
        warnings.extend(self.lookups.problems());
        for folder in set_aside_folders(&self.config.index.data_dir) {
            let folder = folder.display().to_string();
            warnings.push(format!(
                "{folder} holds what was found damaged; remove it when nobody needs it"
            ));
        }
        if glance.outdated > 0 {
            warnings.push(format!(
                "an earlier version made the index: {} events are made anew of their records; searches \
                 find them meanwhile, and new files wait",
                glance.outdated
            ));
        }
        warnings.extend(glance.watch_fault.iter().map(|fault| {
            format!("{fault}; new files are found by a scan every {} s", self.config.watch.rescan_s)
        }));
        warnings.extend(
            glance
                .root_faults
                .iter()
                .map(|fault| format!("{fault}; nothing new is read from there until it is back")),
        );
        warnings.extend(snapshot.expired.by_a_wrong_clock().map(|before| {
            format!(
                "a wrong clock had events from before {before} dropped; `traildex rebuild` brings \
                 back those that the archive has"
            )
        }));
        if snapshot.expired.has_dropped_future() {
            warnings.push(
                "events that were later than the reading of their file were dropped, for want of \
                 space (retention.bytes_max)"
                    .to_owned(),
            );
        }
        warnings.extend(glance.retention.clone());
        let expired = self.pipeline.progress().counters.expired.load(Ordering::Relaxed);
        if expired > 0 {
            warnings.push(format!(
                "{expired} records were older than retention keeps when they came, since the start; \
                 they are not in the index (traildex files)"
            ));
        }
        warnings.extend(glance.late.iter().map(|path| {
            format!(
                "reading {path} takes long, because of its size or of the disk under the archive; it is \
                 not in the index yet"
            )
        }));
        warnings
    }
}

/// An answer that can say why it may lack events.
trait Warned {
    fn warn(&mut self, warnings: Vec<String>);
}

macro_rules! warned {
    ($($answer:ty),*) => {
        $(impl Warned for $answer {
            fn warn(&mut self, warnings: Vec<String>) {
                self.warnings.extend(warnings);
            }
        })*
    };
}

warned!(SearchResponse, CoverageResponse, FieldsResponse, ValuesResponse, TailPage);

impl Engine for Daemon {
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        let snapshot = self.snapshots.load_full();
        let asked = self.coverage.asked(&snapshot, request);
        let search =
            || self.searched(|snapshot| run::search(snapshot, request, Timestamp::now(), cancel));
        let found = if cancel.is_long() { on_long_threads(search) } else { search() };
        let mut answer = found?;
        if let Some(asked) = asked {
            let pending = || self.pipeline.progress().pending_for(PENDING_TOLD);
            self.coverage.tell(&snapshot, &asked, &pending, &mut answer);
        }
        Ok(answer)
    }

    fn more(&self, rest: &Rest, limit: usize, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        self.searched(|snapshot| run::more(snapshot, rest, limit, cancel))
    }

    fn commits(&self) -> u64 {
        self.snapshots.load().commit
    }

    fn tail(
        &self,
        request: &TailRequest,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<TailPage, ApiError> {
        self.searched(|snapshot| run::tail(snapshot, request, limit, cancel))
    }

    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        self.searched(|snapshot| run::event(snapshot, id, cancel))
    }

    fn alerts(&self, request: &AlertsRequest) -> Result<AlertsResponse, ApiError> {
        self.alerts.list(request)
    }

    fn change_alerts(
        &self,
        caller: Caller,
        request: &AlertsChangeRequest,
    ) -> Result<AlertsChangeResponse, ApiError> {
        self.alerts.change(caller.uid, request)
    }

    fn alert_changes(&self, request: &AlertChangesRequest) -> Result<AlertChanges, ApiError> {
        Ok(self.alerts.changes(request))
    }

    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>> {
        let searches = self.saved.all();
        let told = searches.iter().map(|(name, search)| (name.clone(), saved::told(search)));
        Arc::new(told.collect())
    }

    fn save(
        &self,
        caller: Caller,
        name: &str,
        search: &SavedSearch,
    ) -> Result<(SavedSearch, bool), ApiError> {
        saved::check(name, search)?;
        let (saved, before) =
            self.saved.change(|searches| saved::insert(searches, caller, name, search))?;
        // Once it is on disk.
        let (uid, owner) = (caller.uid, saved.owner);
        let lost = before.as_ref().map(|before| saved::shown(&before.query));
        tracing::info!(uid, name, owner, lost, "a search was saved");
        Ok((saved, before.is_none()))
    }

    fn delete_saved(&self, caller: Caller, name: &str) -> Result<SavedSearch, ApiError> {
        let removed = self.saved.change(|searches| saved::remove(searches, caller, name))?;
        let (uid, owner, lost) = (caller.uid, removed.owner, saved::shown(&removed.query));
        tracing::info!(uid, name, owner, lost, "a saved search was deleted");
        Ok(removed)
    }

    fn search_saved(
        &self,
        name: &str,
        request: &SavedRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, ApiError> {
        let searches = self.saved.all();
        let search = searches.get(name).ok_or_else(|| saved::unknown(name))?;
        let search = saved::told(search);
        let mut response = self.search(&saved::search(&search, request)?, cancel)?;
        // The tree that was searched for has no text that could be taken in two ways.
        response.warnings.splice(0..0, saved::notes(&search)?);
        Ok(response)
    }

    fn fields(&self, request: &FieldsRequest, cancel: &Cancel) -> Result<FieldsResponse, ApiError> {
        let list = || self.searched(|snapshot| run::fields(snapshot, request, cancel));
        if cancel.is_long() { on_long_threads(list) } else { list() }
    }

    fn values(&self, request: &ValuesRequest, cancel: &Cancel) -> Result<ValuesResponse, ApiError> {
        let list =
            || self.searched(|snapshot| run::values(snapshot, request, Timestamp::now(), cancel));
        if cancel.is_long() { on_long_threads(list) } else { list() }
    }

    fn status(&self) -> Status {
        step("status-to-be-told");
        let snapshot = self.snapshots.load();
        let counts = snapshot.files.counts();
        let glance = self.pipeline.progress().glance();
        let span = snapshot.time_span();
        let FilesByState { indexed, rejected, digest, empty, replaced, reread } = counts.files;
        let known = indexed + rejected + digest + empty + reread;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            watch: self.config.watch.dirs.iter().map(|dir| dir.display().to_string()).collect(),
            data_dir: self.config.index.data_dir.display().to_string(),
            files: FileCounts {
                seen: known + glance.pending,
                indexed,
                pending: glance.pending,
                rejected,
                digest,
                empty,
                replaced,
                reread,
                skipped: glance.skipped,
                ignored: glance.ignored,
            },
            events: EventCounts {
                indexed: snapshot.events(),
                expired: snapshot.expired.events + counts.expired,
                duplicates: counts.duplicates,
                conflicting: counts.conflicting,
                rejected: counts.rejected,
                repaired: counts.repaired,
                lost: counts.lost,
                first: span.map(|(first, _)| first),
                last: span.map(|(_, last)| last),
            },
            index: IndexStatus {
                bytes: disk_bytes(&self.config.index.data_dir),
                free_bytes: free_bytes(&self.config.index.data_dir).unwrap_or_default(),
                segments: snapshot.segments.len() as u64,
                damaged: snapshot.segments.iter().filter(|s| s.is_damaged()).count() as u64,
                format_version: FORMAT_VERSION,
            },
            lag: Lag {
                pending_bytes: glance.pending_bytes,
                oldest_pending_s: glance.oldest_pending.as_secs_f64(),
                last_commit_s: glance.since_commit.map(|since| since.as_secs_f64()),
                last_scan_s: glance.since_scan.map(|since| since.as_secs_f64()),
            },
            is_ingesting: glance.fault.is_none() && glance.root_faults.is_empty(),
            is_paused: glance.fault.as_ref().map_or(!glance.root_faults.is_empty(), |f| f.may_pass),
            rebuild: self.pipeline.rebuild_status(),
            lookups: lookups::status(&snapshot),
            rules: Some(self.alerts.status())
                .filter(|rules| rules.rules > 0 || !rules.problems.is_empty()),
            warnings: self.warnings(&snapshot, &glance),
            fault: glance.fault.map(told).or_else(|| glance.root_faults.into_iter().next()),
        }
    }

    fn files(&self, request: &FilesRequest, cancel: &Cancel) -> Result<FilesResponse, ApiError> {
        files::list(&self.snapshots.load(), &self.pipeline.progress(), request, cancel)
    }

    fn validation(&self) -> Result<ValidateReport, ApiError> {
        let report = self.integrity.judged().map(|judged| judged.report.clone());
        report.ok_or_else(|| {
            let message =
                "nothing was validated: the archive has no digests, or they are not read yet";
            ApiError::new(ErrorKind::NotFound, message)
        })
    }

    fn coverage(
        &self,
        request: &CoverageRequest,
        cancel: &Cancel,
    ) -> Result<CoverageResponse, ApiError> {
        let judged = self.integrity.judged();
        let answer = || {
            self.searched(|snapshot| {
                self.coverage.answer(snapshot, request, judged.as_deref(), cancel)
            })
        };
        if cancel.is_long() { on_long_threads(answer) } else { answer() }
    }

    fn start_verify(&self, caller: Caller) -> VerifyStatus {
        tracing::info!(uid = caller.uid, "an operator has the index checked");
        self.checker.start()
    }

    fn verify(&self) -> VerifyStatus {
        self.checker.status()
    }

    fn rebuild(&self, caller: Caller, request: RebuildRequest) -> Result<RebuildStatus, ApiError> {
        self.pipeline.begin_rebuild(caller.uid, request)
    }

    fn metrics(&self) -> String {
        self.record_metrics();
        self.metrics.render()
    }
}

impl Daemon {
    fn record_metrics(&self) {
        let status = self.status();
        let gauge = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
        let Status { events, files, .. } = &status;
        gauge("traildex_events_indexed", events.indexed);
        gauge("traildex_events_expired", events.expired);
        gauge("traildex_events_duplicate", events.duplicates);
        gauge("traildex_events_conflicting", events.conflicting);
        gauge("traildex_events_rejected", events.rejected);
        gauge("traildex_events_repaired", events.repaired);
        gauge("traildex_events_lost", events.lost);
        for (state, count) in [
            ("indexed", files.indexed),
            ("pending", files.pending),
            ("rejected", files.rejected),
            ("digest", files.digest),
            ("empty", files.empty),
            ("replaced", files.replaced),
            ("reread", files.reread),
            ("skipped", files.skipped),
            ("ignored", files.ignored),
        ] {
            metrics::gauge!("traildex_files", "state" => state).set(count as f64);
        }
        gauge("traildex_index_bytes", status.index.bytes);
        gauge("traildex_index_free_bytes", status.index.free_bytes);
        gauge("traildex_index_segments", status.index.segments);
        gauge("traildex_index_segments_damaged", status.index.damaged);
        gauge("traildex_pending_bytes", status.lag.pending_bytes);
        metrics::gauge!("traildex_oldest_pending_seconds").set(status.lag.oldest_pending_s);
        gauge("traildex_ingesting", u64::from(status.is_ingesting));
        let is_running = |rebuild: &RebuildStatus| rebuild.state == RebuildState::Running;
        gauge("traildex_rebuilding", u64::from(status.rebuild.as_ref().is_some_and(is_running)));
        gauge("traildex_warnings", status.warnings.len() as u64);
        for (name, value) in self.pipeline.progress().counters.all() {
            metrics::counter!(name).absolute(value.load(Ordering::Relaxed));
        }
    }
}

/// Whether an error of this kind may come of what the disk has.
fn may_be_of_disk(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Damaged | ErrorKind::Io)
}

/// Counts a search that could not be answered because of the disk.
fn count_disk_fault(kind: ErrorKind) {
    let kind = match kind {
        ErrorKind::Damaged => "damaged",
        ErrorKind::Io => "io",
        _ => return,
    };
    metrics::counter!("traildex_disk_faults_total", "kind" => kind).increment(1);
}

/// A fault, and what comes of it.
fn told(IngestFault { reason, may_pass }: IngestFault) -> String {
    if may_pass {
        format!("{reason}; ingest is paused, and goes on when it works again")
    } else {
        reason
    }
}
