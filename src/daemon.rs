//! The composition root: settings to a running daemon, and the way it stops.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::proto::{
    ApiError, EventCounts, FileCounts, FileState, FilesRequest, FilesResponse, IndexStatus, Lag,
    SearchRequest, SearchResponse, Status,
};
use crate::api::server::{self, ServerOptions};
use crate::api::{Cancel, Engine};
use crate::config::Config;
use crate::index::IndexError;
use crate::index::manifest::FORMAT_VERSION;
use crate::index::snapshot::SnapshotCell;
use crate::index::store::{Store, disk_bytes};
use crate::ingest::progress::Progress;
use crate::ingest::read::ReadLimits;
use crate::ingest::scan::ScanOptions;
use crate::ingest::watch::Watcher;
use crate::ingest::work::WorkOptions;
use crate::ingest::{Ingest, IngestOptions};
use crate::limits::{FILES_LIMIT_DEFAULT, FILES_LIMIT_MAX};
use crate::query::run;

/// How long an import lets a segment grow: nobody waits for its events.
const IMPORT_COMMIT_AGE: Duration = Duration::from_secs(60);

/// Searches that are still running when the daemon stops get this long.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Upper bounds of the histogram of request times, in seconds.
const SECONDS_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub fn open_store(data_dir: &Path, config: &Config) -> Result<Store, IndexError> {
    Store::open(data_dir, config.search.record_cache_bytes)
}

/// Follows the archive for as long as the daemon runs.
pub fn serve_options(config: &Config, roots: Vec<PathBuf>) -> IngestOptions {
    IngestOptions {
        roots,
        threads: config.ingest.workers(cores()),
        scan: ScanOptions {
            settle: Duration::from_millis(config.watch.settle_ms),
            rescan: Duration::from_secs(config.watch.rescan_s),
        },
        work: WorkOptions {
            read: ReadLimits {
                file_bytes_max: config.ingest.file_bytes_max,
                inflate_ratio_max: config.ingest.inflate_ratio_max,
            },
            unfinished: Duration::from_secs(config.watch.unfinished_s),
            segment_events_max: config.ingest.segment_events_max as u32,
            segment_bytes_max: config.ingest.segment_bytes_max,
            commit_age_max: Duration::from_millis(config.ingest.commit_age_ms_max),
            commit_idle: Duration::from_millis(config.ingest.commit_idle_ms),
        },
        merge_at_end: false,
    }
}

/// Reads the archive once, as it is: nothing is waited for.
pub fn import_options(config: &Config, roots: Vec<PathBuf>) -> IngestOptions {
    let mut options = serve_options(config, roots);
    options.scan.settle = Duration::ZERO;
    options.work.unfinished = Duration::ZERO;
    options.work.commit_age_max = IMPORT_COMMIT_AGE;
    options.merge_at_end = true;
    options
}

/// Runs a daemon until SIGTERM or SIGINT.
pub fn serve(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
        };
        serve_until(config, stop).await
    })?;
    runtime.shutdown_timeout(STOP_GRACE);
    Ok(())
}

/// Runs a daemon until `stop` is done: opens the index, starts ingest, answers on the socket; then
/// stops in that order, ingest last, so that what was read is committed.
pub async fn serve_until(
    config: &Config,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let metrics = install_metrics()?;
    let store = open_store(&config.index.data_dir, config)?;
    let listener = server::bind(&config.socket.path)?;
    let snapshots = store.snapshots();
    let ingest = start_ingest(store, config)?;
    let engine = Arc::new(Daemon {
        config: config.clone(),
        started: Instant::now(),
        snapshots,
        progress: Arc::clone(ingest.progress()),
        metrics,
    });
    tracing::info!(socket = %config.socket.path.display(), "answering");
    let options = ServerOptions {
        connections_max: config.socket.connections_max,
        searches_max: config.search.concurrent(cores()),
        queue_max: config.search.queue_max,
        search_timeout: Duration::from_millis(config.search.deadline_ms),
        stop_grace: STOP_GRACE,
        ..ServerOptions::default()
    };
    let served = server::serve(listener, engine, options, stop).await;
    tokio::task::spawn_blocking(move || ingest.stop()).await?;
    served.context("the socket failed")
}

fn start_ingest(store: Store, config: &Config) -> anyhow::Result<Ingest> {
    let mut watcher = Watcher::new().context("cannot watch for changes")?;
    let mut roots = Vec::new();
    for dir in &config.watch.dirs {
        let root = dir.canonicalize().with_context(|| format!("cannot watch {}", dir.display()))?;
        // The periodic scan finds what cannot be watched, only later.
        if let Err(error) = watcher.watch(&root) {
            tracing::warn!(dir = %root.display(), %error, "cannot watch; relying on scans");
        }
        tracing::info!(dir = %root.display(), "watching");
        roots.push(root);
    }
    Ok(Ingest::start(store, watcher, serve_options(config, roots))?)
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
        .install_recorder()
        .context("cannot install the metrics recorder")
}

/// What answers on the socket.
struct Daemon {
    config: Config,
    started: Instant,
    snapshots: SnapshotCell,
    progress: Arc<Progress>,
    metrics: PrometheusHandle,
}

impl Engine for Daemon {
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        run::search(&self.snapshots.load_full(), request, Timestamp::now(), cancel)
    }

    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        run::event(&self.snapshots.load_full(), id, cancel)
    }

    fn status(&self) -> Status {
        let snapshot = self.snapshots.load();
        let counts = snapshot.files.counts();
        let glance = self.progress.glance();
        let span = snapshot.time_span();
        let read = &counts.files;
        let seen = read.indexed + read.rejected + read.digest + read.empty + glance.pending;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            watch: self.config.watch.dirs.iter().map(|dir| dir.display().to_string()).collect(),
            data_dir: self.config.index.data_dir.display().to_string(),
            files: FileCounts {
                seen,
                pending: glance.pending,
                ignored: glance.ignored,
                ..counts.files
            },
            events: EventCounts {
                indexed: snapshot.events(),
                rejected: counts.rejected,
                repaired: counts.repaired,
                first: span.map(|(first, _)| first.to_string()),
                last: span.map(|(_, last)| last.to_string()),
            },
            index: IndexStatus {
                bytes: disk_bytes(&self.config.index.data_dir),
                segments: snapshot.segments.len() as u64,
                format_version: FORMAT_VERSION,
            },
            lag: Lag {
                pending_bytes: glance.pending_bytes,
                oldest_pending_s: glance.oldest_pending.as_secs_f64(),
                last_commit_s: glance.since_commit.map(|since| since.as_secs_f64()),
            },
            is_ingesting: glance.fault.is_none(),
            fault: glance.fault,
        }
    }

    fn files(&self, request: &FilesRequest) -> Result<FilesResponse, ApiError> {
        let limit = request.limit.unwrap_or(FILES_LIMIT_DEFAULT).min(FILES_LIMIT_MAX);
        let mut response = FilesResponse::default();
        let mut take = |entry: crate::api::proto::FileEntry| {
            let is_wanted = request.state.is_none_or(|state| state == entry.state)
                && request.path.as_ref().is_none_or(|part| entry.path.contains(part));
            if is_wanted {
                response.total += 1;
                if response.files.len() < limit {
                    response.files.push(entry);
                }
            }
        };
        if request.state != Some(FileState::Pending) {
            self.snapshots.load().files.each(|record| take(record.into()))?;
        }
        self.progress.pending().into_iter().for_each(&mut take);
        Ok(response)
    }

    fn is_ready(&self) -> bool {
        true
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
        gauge("traildex_events_indexed", status.events.indexed);
        gauge("traildex_events_rejected", status.events.rejected);
        gauge("traildex_events_repaired", status.events.repaired);
        for (state, count) in [
            ("indexed", status.files.indexed),
            ("pending", status.files.pending),
            ("rejected", status.files.rejected),
            ("digest", status.files.digest),
            ("empty", status.files.empty),
            ("ignored", status.files.ignored),
        ] {
            metrics::gauge!("traildex_files", "state" => state).set(count as f64);
        }
        gauge("traildex_index_bytes", status.index.bytes);
        gauge("traildex_index_segments", status.index.segments);
        gauge("traildex_pending_bytes", status.lag.pending_bytes);
        metrics::gauge!("traildex_oldest_pending_seconds").set(status.lag.oldest_pending_s);
        gauge("traildex_ingesting", u64::from(status.is_ingesting));
        let counter = |name: &'static str, value: &std::sync::atomic::AtomicU64| {
            metrics::counter!(name).absolute(value.load(Ordering::Relaxed));
        };
        counter("traildex_ingest_files_total", &self.progress.files);
        counter("traildex_ingest_events_total", &self.progress.events);
        counter("traildex_ingest_raw_bytes_total", &self.progress.bytes_raw);
        counter("traildex_ingest_read_bytes_total", &self.progress.bytes_read);
        counter("traildex_ingest_panics_total", &self.progress.panics);
    }
}
