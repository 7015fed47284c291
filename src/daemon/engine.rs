//! What answers on the socket: the index as it is now, and what ingest is doing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;

use super::files;
use super::start_ingest;
use super::upkeep::{self, Checker, Missing};
use crate::api::proto::{
    ApiError, ErrorKind, EventCounts, FileCounts, FilesRequest, FilesResponse, IndexStatus, Lag,
    RebuildRequest, RebuildStatus, SearchRequest, SearchResponse, Status, VerifyStatus,
};
use crate::api::{Cancel, Engine};
use crate::config::Config;
use crate::index::ledger::LedgerCounts;
use crate::index::manifest::FORMAT_VERSION;
use crate::index::opening::set_aside_folders;
use crate::index::snapshot::{Snapshot, SnapshotCell};
use crate::index::store::{Store, disk_bytes};
use crate::ingest::Ingest;
use crate::ingest::progress::{Glance, Progress};
use crate::query::run;
use crate::sigbus;

/// See the module's documentation.
pub struct Daemon {
    config: Config,
    started: Instant,
    snapshots: SnapshotCell,
    /// The pipeline; none while it is being replaced, and after the end.
    ingest: Mutex<Option<Ingest>>,
    progress: ArcSwap<Progress>,
    checker: Arc<Checker>,
    /// What was found damaged at the start.
    set_aside: Vec<String>,
    /// Everything that the archive had at the start was read.
    has_caught_up: AtomicBool,
    metrics: PrometheusHandle,
}

impl Daemon {
    pub fn start(config: &Config, store: Store, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let snapshots = store.snapshots();
        let set_aside = store.set_aside().to_vec();
        let ingest = start_ingest(store, config)?;
        Ok(Self {
            config: config.clone(),
            started: Instant::now(),
            checker: Checker::new(config.index.data_dir.clone(), Arc::clone(&snapshots)),
            snapshots,
            progress: ArcSwap::new(Arc::clone(ingest.progress())),
            ingest: Mutex::new(Some(ingest)),
            set_aside,
            has_caught_up: AtomicBool::new(false),
            metrics,
        })
    }

    /// Ends ingest, whose files are committed.
    pub fn stop(&self) {
        if let Some(ingest) = self.ingest().take() {
            ingest.stop();
        }
    }

    fn ingest(&self) -> MutexGuard<'_, Option<Ingest>> {
        self.ingest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a search. One that fails on the index, with an error or a panic, has it checked.
    fn run(
        &self,
        search: impl FnOnce(&Arc<Snapshot>) -> Result<SearchResponse, ApiError>,
    ) -> Result<SearchResponse, ApiError> {
        let snapshot = self.snapshots.load_full();
        let cuts_before = sigbus::cuts();
        let found = catch_unwind(AssertUnwindSafe(|| search(&snapshot)));
        if sigbus::cuts() != cuts_before {
            self.checker.suspect();
            let message = "a file was cut short while it was read; the index is being checked";
            return Err(ApiError::new(ErrorKind::Internal, message));
        }
        let is_suspect = match &found {
            Ok(Ok(_)) => false,
            Ok(Err(error)) => error.kind == ErrorKind::Internal,
            Err(_) => true,
        };
        if is_suspect {
            self.checker.suspect();
        }
        let mut response = found.unwrap_or_else(|panic| resume_unwind(panic))?;
        response.warnings = self.gaps(&snapshot);
        Ok(response)
    }

    /// Why searches may lack events that the archive had.
    fn gaps(&self, snapshot: &Snapshot) -> Vec<String> {
        let LedgerCounts { files, lost, .. } = snapshot.files.counts();
        let mut gaps = Vec::new();
        if files.reread > 0 {
            gaps.push(format!(
                "{lost} events of {} files were in a damaged part of the index; the files are read \
                 again if the archive still has them (traildex files --state reread)",
                files.reread
            ));
        }
        if !self.set_aside.is_empty() && !self.has_caught_up() {
            gaps.push("the index was damaged, and is being made anew from the archive".to_owned());
        }
        gaps
    }

    fn has_caught_up(&self) -> bool {
        if self.progress.load().is_caught_up() {
            self.has_caught_up.store(true, Ordering::Release);
        }
        self.has_caught_up.load(Ordering::Acquire)
    }

    fn warnings(&self, snapshot: &Snapshot, glance: &Glance) -> Vec<String> {
        let mut warnings = self.gaps(snapshot);
        warnings.extend(
            snapshot.segments.iter().filter(|s| s.is_damaged()).map(|s| s.damage().to_string()),
        );
        warnings.extend(self.set_aside.iter().cloned());
        for folder in set_aside_folders(&self.config.index.data_dir) {
            let folder = folder.display().to_string();
            warnings.push(format!(
                "{folder} holds what was found damaged; remove it when nobody needs it"
            ));
        }
        warnings.extend(glance.watch_fault.iter().map(|fault| {
            format!("{fault}; new files are found by a scan every {} s", self.config.watch.rescan_s)
        }));
        warnings
    }
}

impl Engine for Daemon {
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        self.run(|snapshot| run::search(snapshot, request, Timestamp::now(), cancel))
    }

    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        self.run(|snapshot| run::event(snapshot, id, cancel))
    }

    fn status(&self) -> Status {
        let snapshot = self.snapshots.load();
        let counts = snapshot.files.counts();
        let progress = self.progress.load();
        let glance = progress.glance();
        let span = snapshot.time_span();
        let read = &counts.files;
        let known = read.indexed + read.rejected + read.digest + read.empty + read.reread;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            watch: self.config.watch.dirs.iter().map(|dir| dir.display().to_string()).collect(),
            data_dir: self.config.index.data_dir.display().to_string(),
            files: FileCounts {
                seen: known + glance.pending,
                pending: glance.pending,
                skipped: glance.skipped,
                ignored: glance.ignored,
                ..counts.files
            },
            events: EventCounts {
                indexed: snapshot.events(),
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
            is_ingesting: glance.fault.is_none(),
            rebuild: progress.is_rebuild.load(Ordering::Acquire).then(|| RebuildStatus {
                files: progress.files.load(Ordering::Relaxed),
                events: progress.events.load(Ordering::Relaxed),
                pending: glance.pending,
            }),
            warnings: self.warnings(&snapshot, &glance),
            fault: glance.fault,
        }
    }

    fn files(&self, request: &FilesRequest, cancel: &Cancel) -> Result<FilesResponse, ApiError> {
        files::list(&self.snapshots.load().files, &self.progress.load(), request, cancel)
    }

    fn start_verify(&self) -> VerifyStatus {
        self.checker.start()
    }

    fn verify(&self) -> VerifyStatus {
        self.checker.status()
    }

    fn rebuild(&self, request: RebuildRequest) -> Result<RebuildStatus, ApiError> {
        let mut ingest = self.ingest();
        if self.progress.load().is_rebuild.load(Ordering::Acquire) {
            return Err(ApiError::new(ErrorKind::Conflict, "a rebuild is under way"));
        }
        if !request.accept_loss {
            refuse_loss(upkeep::missing(&self.snapshots.load())?)?;
        }
        let broken = |reason: String| ApiError::new(ErrorKind::Internal, reason);
        let store = ingest.take().and_then(Ingest::stop);
        let mut store = store.ok_or_else(|| broken("ingest has ended".to_owned()))?;
        let begun = store.begin_rebuild();
        let started = start_ingest(store, &self.config).map_err(|error| {
            let reason = format!("cannot start ingest again: {error:#}");
            self.progress.load().fail(reason.clone());
            broken(reason)
        })?;
        self.progress.store(Arc::clone(started.progress()));
        *ingest = Some(started);
        begun?;
        tracing::info!("rebuilding the index from the archive");
        Ok(RebuildStatus::default())
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn metrics(&self) -> String {
        self.record_metrics();
        self.metrics.render()
    }
}

fn refuse_loss(missing: Missing) -> Result<(), ApiError> {
    let Missing { files, events } = missing;
    if files == 0 {
        return Ok(());
    }
    let message = format!(
        "{files} files of the index are not in the archive any more, or have changed since; up to \
         {events} events that came from them would be gone"
    );
    Err(ApiError {
        suggestion: Some("accept_loss, on the command line --accept-loss".to_owned()),
        ..ApiError::new(ErrorKind::Conflict, message)
    })
}

impl Daemon {
    fn record_metrics(&self) {
        let status = self.status();
        let gauge = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
        let Status { events, files, .. } = &status;
        gauge("traildex_events_indexed", events.indexed);
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
        gauge("traildex_index_segments", status.index.segments);
        gauge("traildex_index_segments_damaged", status.index.damaged);
        gauge("traildex_pending_bytes", status.lag.pending_bytes);
        metrics::gauge!("traildex_oldest_pending_seconds").set(status.lag.oldest_pending_s);
        gauge("traildex_ingesting", u64::from(status.is_ingesting));
        gauge("traildex_rebuilding", u64::from(status.rebuild.is_some()));
        gauge("traildex_warnings", status.warnings.len() as u64);
        let progress = self.progress.load();
        let counter = |name: &'static str, value: &AtomicU64| {
            metrics::counter!(name).absolute(value.load(Ordering::Relaxed));
        };
        counter("traildex_ingest_files_total", &progress.files);
        counter("traildex_ingest_events_total", &progress.events);
        counter("traildex_ingest_duplicates_total", &progress.duplicates);
        counter("traildex_ingest_raw_bytes_total", &progress.bytes_raw);
        counter("traildex_ingest_read_bytes_total", &progress.bytes_read);
        counter("traildex_ingest_panics_total", &progress.panics);
    }
}
