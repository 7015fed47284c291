//! The daemon's ingest pipeline over time: it follows the archive, and makes way for another one while
//! the index is rebuilt.
//!
//! A rebuild stops the pipeline, begins a second index in the data directory, and starts a pipeline
//! that fills it from the archive. When that has caught up, it is stopped too; if the new index lacks
//! nothing that the old one has, or that was accepted, it takes its place, else it is given up. Either
//! way a pipeline goes on from there.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use arc_swap::ArcSwap;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::{rebuilt_from, serve_options};
use crate::config::Config;
use crate::daemon::keeper::Keeper;
use crate::daemon::upkeep::{Missing, missing};
use ingest::Ingest;
use ingest::archive::Archive;
use ingest::progress::{Counters, IngestFault, Progress};
use ingest::watch::Watcher;
use store::snapshot::SnapshotCell;
use store::store::Store;
use wire::{ApiError, ErrorKind, RebuildRequest, RebuildState, RebuildStatus};

/// How often a rebuild is asked whether it has caught up.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

/// See the module's documentation.
pub struct Pipeline {
    config: Config,
    snapshots: SnapshotCell,
    /// None while one is being replaced, and after the end.
    ingest: Mutex<Option<Ingest>>,
    progress: ArcSwap<Progress>,
    is_stopping: AtomicBool,
    /// Dropped when the daemon stops.
    running: Mutex<Option<Sender<Infallible>>>,
    rebuild: Mutex<Option<Rebuild>>,
}

/// The last rebuild.
struct Rebuild {
    state: RebuildState,
    message: Option<String>,
    /// The uid of the user who asked for it.
    uid: u32,
    events_lost: u64,
    /// What the counters were when it began.
    files_before: u64,
    events_before: u64,
}

/// What a pipeline needs from the machine, before anything is stopped for it.
pub struct Ground {
    watcher: Watcher,
    roots: Vec<PathBuf>,
}

impl Ground {
    pub fn prepare(config: &Config) -> anyhow::Result<Self> {
        let watcher = Watcher::new().context("cannot watch for changes")?;
        let root = |dir: &PathBuf| {
            dir.canonicalize().with_context(|| format!("cannot watch {}", dir.display()))
        };
        let roots = config.watch.dirs.iter().map(root).collect::<Result<_, _>>()?;
        Ok(Self { watcher, roots })
    }
}

impl Pipeline {
    pub fn start(config: &Config, store: Store) -> anyhow::Result<Arc<Self>> {
        let ground = Ground::prepare(config)?;
        let (running, stopping) = bounded(0);
        let pipeline = Self {
            config: config.clone(),
            snapshots: store.snapshots(),
            ingest: Mutex::default(),
            progress: ArcSwap::new(Progress::new()),
            is_stopping: AtomicBool::new(false),
            running: Mutex::new(Some(running)),
            rebuild: Mutex::default(),
        };
        for root in &ground.roots {
            tracing::info!(dir = %root.display(), "watching");
        }
        if ground.roots.is_empty() {
            tracing::info!("nothing is watched; what was imported is served");
        }
        *pipeline.ingest() = Some(pipeline.begin(store, ground)?);
        let pipeline = Arc::new(pipeline);
        let keeper = Keeper { pipeline: Arc::clone(&pipeline), stopping };
        std::thread::Builder::new().name("keeper".to_owned()).spawn(move || keeper.run())?;
        Ok(pipeline)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    fn ingest(&self) -> MutexGuard<'_, Option<Ingest>> {
        self.ingest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_rebuild(&self) -> MutexGuard<'_, Option<Rebuild>> {
        self.rebuild.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the pipeline that runs now is doing.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.load_full()
    }

    fn is_rebuilding(&self) -> bool {
        let is_running = |rebuild: &Rebuild| matches!(rebuild.state, RebuildState::Running);
        self.last_rebuild().as_ref().is_some_and(is_running)
    }

    /// Ends ingest; what was read is committed.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(ingest) = self.ingest().take() {
            ingest.stop();
        }
    }

    /// Starts a pipeline, whose counts go on from the last one's.
    fn begin(&self, store: Store, ground: Ground) -> anyhow::Result<Ingest> {
        let progress = Progress::after(&self.progress.load().counters);
        let options = serve_options(&self.config, ground.roots);
        let ingest = Ingest::start(store, ground.watcher, options, &progress)?;
        let (told, snapshots) = (Arc::clone(&progress), Arc::clone(&self.snapshots));
        std::thread::Builder::new()
            .name("catch-up".to_owned())
            .spawn(move || tell_caught_up(&told, &snapshots))?;
        self.progress.store(progress);
        Ok(ingest)
    }

    /// The rebuild that is under way, or how the last one ended.
    pub fn rebuild_status(&self) -> Option<RebuildStatus> {
        let rebuild = self.last_rebuild();
        let Rebuild { state, message, uid, events_lost, files_before, events_before } =
            rebuild.as_ref()?;
        let progress = self.progress.load();
        let Counters { files, events, .. } = &progress.counters;
        Some(RebuildStatus {
            state: *state,
            message: message.clone(),
            uid: *uid,
            events_lost: *events_lost,
            files: files.load(Ordering::Relaxed) - files_before,
            events: events.load(Ordering::Relaxed) - events_before,
            pending: progress.glance().pending,
        })
    }

    /// Begins a rebuild for a user, which goes on by itself.
    pub fn begin_rebuild(
        self: &Arc<Self>,
        uid: u32,
        request: RebuildRequest,
    ) -> Result<RebuildStatus, ApiError> {
        if self.snapshots.load().is_outdated() {
            let message =
                "the index is being made anew of its records, because an earlier version made it";
            return Err(ApiError::new(ErrorKind::Conflict, message));
        }
        if self.config.watch.dirs.is_empty() {
            let message = "no archive is watched that the index could be rebuilt from";
            return Err(ApiError::new(ErrorKind::Conflict, message));
        }
        let ground = Ground::prepare(&self.config).map_err(|error| internal(&error))?;
        let archive = Archive::new(ground.roots.iter().cloned());
        // Now, while ingest goes on: to look for every file of the index can take minutes.
        let missing = missing(&self.snapshots.load(), &archive);
        let missing = if request.accept_loss { missing.ok() } else { Some(missing?.refuse()?) };
        let mut ingest = self.ingest();
        if self.is_rebuilding() {
            return Err(ApiError::new(ErrorKind::Conflict, "a rebuild is under way"));
        }
        let ended = || match self.progress().fault() {
            Some(fault) => ApiError::new(ErrorKind::Unavailable, fault.reason),
            None => ApiError::new(ErrorKind::Unavailable, "ingest has ended"),
        };
        let mut store = ingest.take().and_then(Ingest::stop).ok_or_else(ended)?;
        // Before the new pipeline counts anything.
        let progress = self.progress.load_full();
        let Counters { files, events, .. } = &progress.counters;
        let before = (files.load(Ordering::Relaxed), events.load(Ordering::Relaxed));
        let begun = store.begin_rebuild(rebuilt_from(&self.config));
        *ingest = Some(self.begin(store, ground).map_err(|error| self.fail(&error))?);
        begun?;
        let accept_loss = request.accept_loss;
        tracing::info!(uid, accept_loss, "an operator has the index rebuilt from the archive");
        *self.last_rebuild() = Some(Rebuild {
            state: RebuildState::Running,
            message: None,
            uid,
            events_lost: 0,
            files_before: before.0,
            events_before: before.1,
        });
        let pipeline = Arc::clone(self);
        std::thread::Builder::new()
            .name("rebuild".to_owned())
            .spawn(move || pipeline.finish_rebuild(request, missing.as_ref()))
            .map_err(|error| internal(&error.into()))?;
        self.rebuild_status().ok_or_else(ended)
    }

    /// Waits until the new index has caught up, and has it take the old one's place. `missing` is what
    /// the archive lacked when the rebuild began; None where that is not known.
    fn finish_rebuild(&self, request: RebuildRequest, missing: Option<&Missing>) {
        let progress = self.progress();
        while !progress.has_caught_up() && progress.fault().is_none() {
            if self.is_stopping.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(CATCH_UP_PAUSE);
        }
        let mut ingest = self.ingest();
        let Some(mut store) = ingest.take().and_then(Ingest::stop) else { return };
        let outcome = match progress.fault() {
            Some(fault) => Err(fault.reason),
            None => replace(&mut store, request),
        };
        if outcome.is_err() {
            store.abandon_rebuild();
        }
        let next = Ground::prepare(&self.config).and_then(|ground| self.begin(store, ground));
        match next {
            Ok(next) => *ingest = Some(next),
            Err(error) => {
                self.fail(&error);
            }
        }
        if let Some(rebuild) = &mut *self.last_rebuild() {
            match outcome {
                Ok(lost) => {
                    let uid = rebuild.uid;
                    tracing::info!(
                        uid,
                        lost,
                        "the rebuilt index has taken the place of the old one"
                    );
                    log_loss(lost, missing);
                    rebuild.state = RebuildState::Done;
                    rebuild.events_lost = lost;
                }
                Err(reason) => {
                    let uid = rebuild.uid;
                    tracing::error!(uid, reason, "the rebuild was given up; the old index stays");
                    rebuild.state = RebuildState::Failed;
                    rebuild.message = Some(reason);
                }
            }
        }
    }

    /// Ends a pipeline that failed, and hands over its store; not where another has taken its place, or
    /// a rebuild is about to have one do so.
    pub fn take_failed(&self, failed: &Arc<Progress>) -> Option<Store> {
        let mut ingest = self.ingest();
        if self.is_rebuilding() || !Arc::ptr_eq(failed, &self.progress()) {
            return None;
        }
        ingest.take().and_then(Ingest::stop)
    }

    /// Starts ingest again after a fault.
    pub fn begin_again(&self, store: Store, ground: Ground) {
        let mut ingest = self.ingest();
        // The daemon has stopped meanwhile, and nobody would stop this.
        if self.is_stopping.load(Ordering::Acquire) {
            return;
        }
        match self.begin(store, ground) {
            Ok(next) => *ingest = Some(next),
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    /// Notes that there is no pipeline any more.
    fn fail(&self, error: &anyhow::Error) -> ApiError {
        let reason = format!("cannot start ingest again: {error:#}");
        self.progress.load().fail(IngestFault::lasting(reason));
        internal(error)
    }
}

/// Logs when everything that the archive had when a pipeline began is searchable.
fn tell_caught_up(progress: &Progress, snapshots: &SnapshotCell) {
    let started = Instant::now();
    while progress.stopping().recv_timeout(CATCH_UP_PAUSE) == Err(RecvTimeoutError::Timeout) {
        if progress.has_caught_up() {
            let snapshot = snapshots.load();
            let (events, files) = (snapshot.events(), snapshot.files.counts().files.indexed);
            let seconds = started.elapsed().as_secs_f32();
            tracing::info!(events, files, seconds, "caught up: the archive is indexed");
            return;
        }
    }
}

/// Has a filled index take the place of the old one, unless events would be lost and that was not
/// accepted. Returns how many are lost.
pub fn replace(store: &mut Store, request: RebuildRequest) -> Result<u64, String> {
    let lost = store.lost_by_promotion().map_err(|error| error.to_string())?;
    if lost > 0 && !request.accept_loss {
        return Err(format!(
            "{lost} events of the old index are not in the new one, because the archive does not have \
             them, or is not what was read then; --accept-loss goes on without them"
        ));
    }
    store.promote().map_err(|error| error.to_string())?;
    Ok(lost)
}

/// Logs which files the events came from that a rebuild has lost.
fn log_loss(lost: u64, missing: Option<&Missing>) {
    if lost == 0 {
        return;
    }
    let files = missing.map(|missing| missing.files);
    let events = missing.map(|missing| missing.events);
    let first = missing.map(|missing| tracing::field::debug(&missing.first));
    tracing::warn!(lost, files, events, first, "events of files that are gone are lost");
}

impl Missing {
    /// Refuses to begin what would lose events.
    pub fn refuse(self) -> Result<Self, ApiError> {
        let Self { files, events, .. } = self;
        if files == 0 {
            return Ok(self);
        }
        let message = format!(
            "{files} files of the index are not in the archive any more, or have changed since; \
             {events} events came from them"
        );
        Err(ApiError {
            suggestion: Some("accept_loss, on the command line --accept-loss".to_owned()),
            ..ApiError::new(ErrorKind::Conflict, message)
        })
    }
}

fn internal(error: &anyhow::Error) -> ApiError {
    ApiError::new(ErrorKind::Internal, format!("{error:#}"))
}
