//! From files to commits: this crate finds, reads, splits, parses and indexes the files of an archive.
//!
//! It never knows queries. Entry points: [`Ingest::start`] runs the pipeline, [`Ingest::stop`] ends it,
//! and [`progress::Progress`] says what it is doing.
//!
//! ```text
//! watch ─hints─► scan ─files─► workers ─segments─► committer ◄─► merger
//!                  ▲              │                   │
//!                  └──────────given back──────────────┘
//! ```
//!
//! Every queue is bounded, so a backlog of any size takes the memory of a few segments. Stopping goes
//! front to back: the scanner ends, the workers finish the segments they have, the committer commits
//! them.

#![warn(missing_docs, unreachable_pub)]

pub mod again;
pub mod archive;
mod batch;
mod clock;
pub mod commit;
mod desk;
mod growing;
mod handover;
pub mod inflate;
mod limits;
pub mod progress;
pub mod read;
pub mod scan;
mod sniff;
pub mod table;
mod tally;
mod verdicts;
mod waiting;
pub mod walk;
pub mod watch;
pub mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};

use self::archive::Archive;
use self::batch::Batches;
use self::clock::Clock;
use self::commit::{Committer, LATE_AT_END, Retention, events_of};
use self::desk::Desks;
use self::progress::{IngestFault, Progress};
use self::scan::{ScanOptions, Scanner};
use self::watch::Watcher;
use self::work::{WorkOptions, Worker};
use store::attempts::Work;
use store::remake::SizeLimits;
use store::store::Store;

/// Files queued for the workers from a walk, and as many from hints.
const QUEUE_FILES_MAX: usize = 1_024;

/// Segments that wait for the committer. Each holds its ledger entries in memory, its events on disk.
const BUILT_SEGMENTS_MAX: usize = 4;

/// Segments are so many times smaller where the process was killed while it read files.
const CAREFUL_SHARE: usize = 4;

/// How long a stop waits for a listing of the archive.
const SCAN_PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks at a thread that is about to end.
const JOIN_PAUSE: Duration = Duration::from_millis(2);

/// The settings of a pipeline.
pub struct IngestOptions {
    /// Directories to walk and watch, and single files to read.
    pub archive: Arc<Archive>,
    /// How many workers read and index files.
    pub threads: usize,
    /// When a file counts as settled, and how often the archive is scanned.
    pub scan: ScanOptions,
    /// When a worker finishes a segment, and the bounds of what it reads.
    pub work: WorkOptions,
    /// Whether the pipeline does every merge that is due before it ends; if not, it gives up a
    /// merge under way.
    pub merge_at_end: bool,
    /// Bytes of free space below which nothing is written.
    pub free_bytes_min: u64,
    /// Which events are dropped because of their age, or for want of space.
    pub retention: Retention,
}

/// A running pipeline.
pub struct Ingest {
    progress: Arc<Progress>,
    scanner: JoinHandle<Option<()>>,
    workers: JoinHandle<Option<()>>,
    committer: JoinHandle<Option<Store>>,
    desks: Arc<Desks>,
}

impl Ingest {
    /// Starts the threads of a pipeline, which commits to `store` until [`Ingest::stop`]. Fails
    /// where a thread cannot be started.
    pub fn start(
        store: Store,
        watcher: Watcher,
        options: IngestOptions,
        progress: &Arc<Progress>,
    ) -> std::io::Result<Self> {
        let mut options = options;
        if store.attempts().kills(Work::Batch) > 0 {
            options.threads = 1;
            options.work.segment_bytes_max /= CAREFUL_SHARE;
        }
        let (fresh, fresh_queue) = bounded(QUEUE_FILES_MAX);
        let (backlog, backlog_queue) = bounded(QUEUE_FILES_MAX);
        // Unbounded, but never holds more than the workers had: what they were handed and give back.
        let (give_back, taken_back) = unbounded();
        let (built, built_queue) = bounded(BUILT_SEGMENTS_MAX);

        // Told from the beginning on, not only once the committer comes to it.
        progress.set_outdated(events_of(&store.outdated()));
        let (is_outdated, up_to_date) = bounded(0);
        let limits = SizeLimits {
            events_max: options.work.segment_events_max,
            bytes_max: options.work.segment_bytes_max,
        };
        let scanner = Scanner {
            archive: Arc::clone(&options.archive),
            options: options.scan,
            watcher,
            ledger: store.ledger().clone(),
            progress: Arc::clone(progress),
            fresh,
            backlog,
            taken_back,
        };
        let desks = Arc::new(Desks::new(options.threads));
        let worker = Worker {
            desks: Arc::clone(&desks),
            options: options.work,
            archive: options.archive,
            factory: store.factory(),
            dedupe: Arc::clone(store.dedupe()),
            attempts: Arc::clone(store.attempts()),
            batches: Batches::new(Arc::clone(store.dedupe())),
            progress: Arc::clone(progress),
            horizon: Arc::clone(store.horizon()),
            next_number: Arc::new(AtomicU64::new(store.ledger().next_number())),
            fresh: fresh_queue,
            backlog: backlog_queue,
            up_to_date,
            give_back: give_back.clone(),
            built,
        };
        let committer = Committer {
            store,
            progress: Arc::clone(progress),
            built: built_queue,
            desks: Arc::clone(&desks),
            give_back,
            merge_at_end: options.merge_at_end,
            free_bytes_min: options.free_bytes_min,
            retention: options.retention,
            clock: Clock::default(),
            limits,
            is_outdated: Some(is_outdated),
        };
        let spawn = Spawn { progress };
        Ok(Self {
            workers: spawn.thread("workers", move || run_workers(&worker, options.threads))?,
            scanner: spawn.thread("scan", move || scanner.run())?,
            committer: spawn.thread("commit", move || committer.run())?,
            progress: Arc::clone(progress),
            desks,
        })
    }

    /// Ends the pipeline: finishes and commits the files that were begun. Returns the store; None
    /// where the committer panicked.
    pub fn stop(self) -> Option<Store> {
        self.progress.stop();
        let started = Instant::now();
        let told = |stage: &str| {
            tracing::info!(stage, seconds = started.elapsed().as_secs_f32(), "stopped");
        };
        // It ends when the workers have, but for those that read a file for long.
        let store = self.committer.join().ok().flatten();
        told("commit");
        let Self { desks, workers, scanner, .. } = self;
        if join_unless(workers, || desks.is_nobody_at_work(LATE_AT_END)) {
            told("workers");
        }
        if join_unless(scanner, || started.elapsed() > SCAN_PATIENCE) {
            told("scan");
        }
        store
    }
}

/// Waits for a thread to end, unless it is known to read or list for long: then it ends with the process, and touches nothing before. A panic was caught, and told, where it happened.
fn join_unless(thread: JoinHandle<Option<()>>, is_stuck: impl Fn() -> bool) -> bool {
    while !thread.is_finished() {
        if is_stuck() {
            tracing::warn!("a file or listing takes long; not waiting for it");
            return false;
        }
        std::thread::sleep(JOIN_PAUSE);
    }
    thread.join().is_ok()
}

fn run_workers(worker: &Worker, threads: usize) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("worker-{n}"))
        .build();
    match pool {
        Ok(pool) => drop(pool.broadcast(|thread| worker.clone().run(thread.index()))),
        Err(error) => {
            worker
                .progress
                .fail(IngestFault::lasting(format!("cannot start the workers: {error}")));
        }
    }
}

/// Starts the threads of a pipeline, none of which may end unasked: whatever one leaves undone, the
/// others would wait for.
struct Spawn<'p> {
    progress: &'p Arc<Progress>,
}

impl Spawn<'_> {
    fn thread<T: Send + 'static>(
        &self,
        name: &'static str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<JoinHandle<Option<T>>> {
        let progress = Arc::clone(self.progress);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(run)).ok();
            if ended.is_none() {
                progress.fail(IngestFault::lasting(format!(
                    "the {name} thread panicked: a bug in traildex"
                )));
            } else if !progress.is_stopping() {
                progress.fail(IngestFault::lasting(format!(
                    "the {name} thread ended: a bug in traildex"
                )));
            }
            ended
        })
    }
}
