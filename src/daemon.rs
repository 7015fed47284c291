//! The composition root: settings to a running daemon, and the way it stops.

mod alerts;
mod coverage;
mod engine;
mod files;
mod gaps;
mod integrity;
mod keeper;
mod lookups;
mod manager;
pub mod offline;
pub mod pipeline;
pub mod reload;
mod saved;
pub mod upkeep;

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use self::alerts::{LiveRules, RULE_GROUP_BYTES, RULE_ROWS_MAX, RuleOptions};
use self::engine::Daemon;
pub use self::lookups::{LiveLookups, LookupOptions};
use self::manager::Manager;
use self::reload::{Reloader, Source};
use crate::config::{Auth, Config, Region};
use ingest::IngestOptions;
use ingest::archive::Archive;
use ingest::commit::Retention;
use ingest::read::ReadLimits;
use ingest::scan::ScanOptions;
use ingest::work::WorkOptions;
use lookup as aws;
use lookup::{AwsOptions, Keys};
use segment::IndexError;
use server::{Access, App, Host, LiveOptions, NoSuchName, ServerOptions, Socket};
use store::store::Store;
use trail::time::Micros;
use wire::engine::EngineSlot;

/// How long an import lets a segment grow: nobody waits for its events.
const IMPORT_COMMIT_AGE: Duration = Duration::from_secs(60);

/// Searches that are still running when the daemon stops get this long.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Upper bounds of the histogram of request times, in seconds.
const SECONDS_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

const SOCKET_FAILED: &str = "the socket failed";

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub fn open_store(data_dir: &Path, config: &Config) -> Result<Store, IndexError> {
    Store::open(data_dir, config.search.record_cache_bytes)
}

/// Follows the archive for as long as the daemon runs.
pub fn serve_options(config: &Config, roots: Vec<PathBuf>) -> IngestOptions {
    IngestOptions {
        archive: Arc::new(Archive::new(roots)),
        threads: config.ingest.workers(cores()),
        scan: ScanOptions {
            settle: Duration::from_millis(config.watch.settle_ms),
            rescan: Duration::from_secs(config.watch.rescan_s),
        },
        work: WorkOptions {
            read: read_limits(config),
            unfinished: Duration::from_secs(config.watch.unfinished_s),
            segment_events_max: config.ingest.segment_events_max as u32,
            segment_bytes_max: config.ingest.segment_bytes_max,
            commit_age_max: Duration::from_millis(config.ingest.commit_age_ms_max),
            commit_idle: Duration::from_millis(config.ingest.commit_idle_ms),
            reads_tables: false,
        },
        merge_at_end: false,
        free_bytes_min: config.index.free_bytes_min as u64,
        retention: retention(config),
    }
}

fn retention(config: &Config) -> Retention {
    Retention {
        age_days_max: u32::try_from(config.retention.age_days_max).ok().filter(|days| *days > 0),
        bytes_max: Some(config.retention.bytes_max as u64).filter(|bytes| *bytes > 0),
    }
}

/// From when on a rebuild takes in events. What was dropped for its size comes back, and is dropped
/// again if there is no more room than before.
pub fn rebuilt_from(config: &Config) -> Micros {
    retention(config).kept_from_by_age(Micros::now()).unwrap_or(Micros(i64::MIN))
}

/// Bounds on what a file may inflate to.
pub fn read_limits(config: &Config) -> ReadLimits {
    ReadLimits {
        file_bytes_max: config.ingest.file_bytes_max,
        inflate_ratio_max: config.ingest.inflate_ratio_max,
    }
}

/// Reads the archive once, as it is: nothing is waited for.
pub fn import_options(config: &Config, roots: Vec<PathBuf>) -> IngestOptions {
    let mut options = serve_options(config, roots);
    options.scan.settle = Duration::ZERO;
    options.work.unfinished = Duration::ZERO;
    options.work.commit_age_max = IMPORT_COMMIT_AGE;
    options.work.reads_tables = true;
    options.merge_at_end = true;
    options
}

/// Runs a daemon until SIGTERM or SIGINT, for a service manager if one has started it. SIGHUP reloads
/// the configuration from `source`.
///
/// To be called before there is another thread: it takes the service manager's variables out of the
/// environment.
pub fn serve(config: &Config, source: Source) -> anyhow::Result<()> {
    let inherited = server::inherit()?;
    let manager = Arc::new(Manager::from_env()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anything else: until there is a handler, a signal ends the process at once.
        let mut hang_up = signal(SignalKind::hangup())?;
        let stop = stop_signal(Arc::clone(&manager))?;
        let metrics = install_metrics()?;
        let options = live_options(config)?;
        let aws = aws_listener(config)?;
        let socket = inherited.map_or_else(|| bind(config), Ok)?;
        let rules = live_rules(config);
        let lookups = live_lookups(config);
        let live = Live {
            server: Arc::clone(&options),
            rules: Arc::clone(&rules),
            lookups: Arc::clone(&lookups),
        };
        let mut reloader = Reloader::new(config, source, live);
        let mut tasks = JoinSet::new();
        let told = Arc::clone(&manager);
        tasks.spawn(async move {
            while hang_up.recv().await.is_some() {
                told.reloading();
                tokio::task::block_in_place(|| reloader.reload());
                told.reloaded();
            }
        });
        manager.opening();
        let ready = |engine| {
            manager.ready();
            tasks.spawn(manager::report(manager, engine));
        };
        run(
            config,
            Listeners { socket, aws },
            Live { server: options, rules, lookups },
            metrics,
            stop,
            ready,
        )
        .await
    })?;
    runtime.shutdown_timeout(STOP_GRACE);
    Ok(())
}

fn stop_signal(manager: Arc<Manager>) -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        manager.stopping();
    })
}

/// Runs a daemon until `stop` is done, for nobody but this process.
pub async fn serve_until(
    config: &Config,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let metrics = install_metrics()?;
    let listeners = Listeners { socket: bind(config)?, aws: None };
    let live = Live {
        server: live_options(config)?,
        rules: live_rules(config),
        lookups: live_lookups(config),
    };
    run(config, listeners, live, metrics, stop, |_| {}).await
}

/// Answers on the socket, opens the index, starts ingest, says that it is ready; after `stop`, ends
/// both, and returns when all that was read is committed.
async fn run(
    config: &Config,
    listeners: Listeners,
    live: Live,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()> + Send,
    ready: impl FnOnce(Arc<Daemon>),
) -> anyhow::Result<()> {
    let Listeners { socket, aws } = listeners;
    let address = socket.path.clone();
    let slot = EngineSlot::default();
    let (give_up, given_up) = oneshot::channel::<()>();
    let (say_stopping, stopping) = oneshot::channel::<()>();
    let stop = async {
        tokio::select! {
            () = stop => {}
            _ = given_up => {}
        }
        drop(say_stopping);
    };
    let app = App::new(Arc::clone(&slot), live.server).with_page(web::page);
    let mut serving = pin!(serve_all(socket, aws, app, stop));
    // Reads the whole index, which can take a while.
    let opening = {
        let config = config.clone();
        tokio::task::spawn_blocking(move || open_store(&config.index.data_dir, &config))
    };
    let store = tokio::select! {
        served = serving.as_mut() => return served.context(SOCKET_FAILED),
        store = opening => store?,
    };
    if let Ok(store) = &store
        && let Err(error) = store.tell_socket(&address)
    {
        tracing::warn!(%error, "who reads the index cannot be told the socket");
    }
    let started = store
        .map_err(anyhow::Error::from)
        .and_then(|store| Daemon::start(config, store, (live.rules, live.lookups), metrics));
    let engine = match started {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            drop(give_up);
            serving.await.context(SOCKET_FAILED)?;
            return Err(error);
        }
    };
    let _ = slot.set(Arc::clone(&engine) as _);
    tracing::info!(socket = %address.display(), "answering");
    ready(Arc::clone(&engine));
    // At the same time: what is under way on the socket has a snapshot, and needs no ingest.
    let ending = async {
        let _ = stopping.await;
        tokio::task::spawn_blocking(move || engine.stop()).await
    };
    let (served, ended) = tokio::join!(serving, ending);
    ended?;
    served.context(SOCKET_FAILED)
}

/// What a daemon that runs takes of its configuration when it is read again.
struct Live {
    server: LiveOptions,
    rules: LiveRules,
    lookups: LiveLookups,
}

fn live_rules(config: &Config) -> LiveRules {
    Arc::new(ArcSwap::from_pointee(RuleOptions::of(config, 0)))
}

fn live_lookups(config: &Config) -> LiveLookups {
    Arc::new(ArcSwap::from_pointee(LookupOptions::of(config)))
}

/// Where clients ask.
struct Listeners {
    socket: Socket,
    aws: Option<(TcpListener, AwsOptions)>,
}

/// Answers on the socket and, where there is one, on AWS's port, until `stop`.
async fn serve_all(
    socket: Socket,
    aws: Option<(TcpListener, AwsOptions)>,
    app: App,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (say_stop, stopped) = oneshot::channel::<()>();
    let stop = async {
        stop.await;
        drop(say_stop);
    };
    let of_aws = async {
        let Some((listener, options)) = aws else { return Ok(()) };
        let stopped = async { drop(stopped.await) };
        aws::serve(listener, app.clone(), options, stopped).await
    };
    tokio::try_join!(server::serve(socket, app.clone(), stop), of_aws).map(|_| ())
}

/// Opens AWS's port, if it is wanted, with the keys of those who may ask.
fn aws_listener(config: &Config) -> anyhow::Result<Option<(TcpListener, AwsOptions)>> {
    let config = &config.aws;
    let Some(address) = config.listen else { return Ok(None) };
    let keys = match config.auth {
        Auth::Keys => Some(Keys::read(&config.keys_file)?),
        Auth::None => None,
    };
    let options = AwsOptions {
        keys,
        is_by_region: config.region == Region::Client,
        has_data_events: config.data_events,
    };
    Ok(Some((aws::bind(address)?, options)))
}

fn bind(config: &Config) -> anyhow::Result<Socket> {
    let group = match config.socket.group.as_str() {
        "" => None,
        group => Some(server::group_number("socket.group", group)?),
    };
    server::bind(&config.socket.path, group)
}

fn live_options(config: &Config) -> anyhow::Result<LiveOptions> {
    let socket = &config.socket;
    Ok(Arc::new(ArcSwap::from_pointee(ServerOptions {
        access: access(config)?,
        hosts: hosts(config),
        connections_max: socket.connections_max,
        searches_max: config.search.concurrent(cores()),
        queue_max: config.search.queue_max,
        search_timeout: Duration::from_millis(config.search.deadline_ms),
        stop_grace: STOP_GRACE,
        ..ServerOptions::default()
    })))
}

/// Who may ask, and who may operate.
fn access(config: &Config) -> Result<Access, NoSuchName> {
    let socket = &config.socket;
    Access::new(&socket.allowed_users, &socket.allowed_groups, &socket.operators)
}

/// The hosts of `web.hosts`, which the configuration has checked.
fn hosts(config: &Config) -> Vec<Host> {
    config.web.hosts.iter().filter_map(|host| Host::parse(host)).collect()
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
        .install_recorder()
        .context("cannot install the metrics recorder")
}
