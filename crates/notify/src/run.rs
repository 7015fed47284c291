//! The program that runs: for each target a thread that reads and one that delivers.
//!
//! A stop (SIGTERM, SIGINT) ends waiting at once, and waits a little for deliveries that are under
//! way. Whatever is not done by then is done at the next start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use crate::config::{Config, TargetConfig};
use crate::dead::Dead;
use crate::deliver::Deliverer;
use crate::disk;
use crate::reader::Reader;
use crate::spool::Spool;
use crate::status::TargetStatus;
use crate::targets;

/// How long a stop waits for deliveries. systemd waits longer.
const STOP_MAX: Duration = Duration::from_secs(8);

/// `status` holds the lock for a moment, to see whether it can.
const LOCK_MAX: Duration = Duration::from_millis(500);

/// The state is written this often, if it has changed.
const WRITE_EVERY: Duration = Duration::from_millis(300);

/// What the threads of one target share.
pub(crate) struct Shared {
    pub spool: Spool,
    folder: PathBuf,
    status: Mutex<Noted>,
    is_stopped: AtomicBool,
}

struct Noted {
    status: TargetStatus,
    is_written: bool,
}

impl Shared {
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Changes what `status` shows, soon.
    pub(crate) fn note(&self, change: impl FnOnce(&mut TargetStatus)) {
        let mut noted = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut noted.status);
        noted.is_written = false;
    }

    /// Writes what was noted since.
    fn flush(&self) {
        let mut noted = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.is_written {
            // It is for people; the next one will do.
            noted.is_written = noted.status.write(&self.folder).is_ok();
        }
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.spool.stop();
    }
}

/// Where a target keeps what is its own.
pub(crate) fn folder_of(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join("targets").join(name)
}

/// Whether a process runs with that state directory. It makes no file: root's would not be ours.
pub(crate) fn is_running(state_dir: &Path) -> std::io::Result<bool> {
    match File::open(state_dir.join("lock")) {
        Ok(file) => Ok(try_lock(file)?.is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the state directory for this process alone; None if another has it.
fn lock(state_dir: &Path) -> std::io::Result<Option<File>> {
    let path = state_dir.join("lock");
    let until = Instant::now() + LOCK_MAX;
    loop {
        let locked = try_lock(disk::append_to(&path)?)?;
        if locked.is_some() || Instant::now() >= until {
            return Ok(locked);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn try_lock(file: File) -> std::io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Runs until a signal.
pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    let state_dir = config.state_dir.as_path();
    let cannot = || format!("cannot use the state directory {}", state_dir.display());
    disk::make_folder(state_dir).with_context(cannot)?;
    let lock = lock(state_dir).with_context(cannot)?;
    let _lock =
        lock.with_context(|| format!("{} is in use by another run", state_dir.display()))?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    // Threads outlive this function where a stop cannot wait for them.
    let socket: &'static Path = Box::leak(config.socket.clone().into_boxed_path());
    let targets: &'static [TargetConfig] = Box::leak(config.targets.into_boxed_slice());
    let mut running = Vec::new();
    for target in targets {
        running.push(start(socket, target, state_dir)?);
    }
    warn_of_unknown(state_dir, targets);
    info!(targets = targets.len(), socket = %socket.display(), "traildex-notify runs");
    if targets.is_empty() {
        warn!("there is no target: nothing is read or delivered");
    }
    let shared: Vec<&'static Shared> = running.iter().map(|target| target.shared).collect();
    thread::Builder::new().name("status".to_owned()).spawn(move || write_status(&shared))?;
    let signal = signals.forever().next();
    info!(signal, "stops");
    stop(&running);
    Ok(())
}

/// Keeps the files of `status` as new as they should be, until the process ends.
fn write_status(shared: &[&'static Shared]) {
    loop {
        for shared in shared {
            shared.flush();
        }
        thread::sleep(WRITE_EVERY);
    }
}

struct Running {
    shared: &'static Shared,
    deliverer: thread::JoinHandle<()>,
}

fn start(
    socket: &'static Path,
    config: &'static TargetConfig,
    state_dir: &Path,
) -> anyhow::Result<Running> {
    let name = config.name.as_str();
    let folder = folder_of(state_dir, name);
    disk::make_folder(&folder)
        .and_then(|()| disk::sync_folder_of(&folder))
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let (spool, found) = Spool::open(&folder.join("spool"), config.spool_bytes_max)
        .with_context(|| format!("cannot open the spool of {name}"))?;
    if found.torn_bytes > 0 {
        info!(target = name, bytes = found.torn_bytes, "the spool's torn end was cut off");
    }
    if found.damaged > 0 {
        warn!(
            target = name,
            lines = found.damaged,
            "the spool has damaged lines; they are set aside"
        );
    }
    let folder: &'static Path = Box::leak(folder.into_boxed_path());
    let mut status = TargetStatus::read(folder);
    (status.failures, status.next_try) = (0, None);
    let status = Mutex::new(Noted { status, is_written: false });
    let is_stopped = AtomicBool::new(false);
    let shared: &'static Shared =
        Box::leak(Box::new(Shared { spool, folder: folder.to_owned(), status, is_stopped }));
    let target = targets::open(config).with_context(|| format!("the target {name}"))?;
    let reader = Reader::open(socket, config, shared, folder)
        .with_context(|| format!("cannot read the cursor of {name}"))?;
    let dead: &'static Dead = Box::leak(Box::new(Dead::new(folder)));
    let deliverer = Deliverer::new(config, shared, dead, target);
    let deliverer =
        thread::Builder::new().name(format!("deliver-{name}")).spawn(move || deliverer.run())?;
    thread::Builder::new().name(format!("read-{name}")).spawn(move || reader.run())?;
    Ok(Running { shared, deliverer })
}

/// Ends waiting, and gives deliveries that are under way a little time. Readers wait for the daemon,
/// and are left alone.
fn stop(running: &[Running]) {
    for target in running {
        target.shared.stop();
    }
    let until = Instant::now() + STOP_MAX;
    let is_busy = |target: &Running| !target.deliverer.is_finished();
    while running.iter().any(is_busy) && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    for target in running {
        target.shared.flush();
    }
}

/// A target that was renamed, or taken out, may have left something.
fn warn_of_unknown(state_dir: &Path, targets: &[TargetConfig]) {
    for entry in std::fs::read_dir(state_dir.join("targets")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !targets.iter().any(|target| target.name == name) {
            let waiting = crate::spool::look(&entry.path().join("spool"));
            let entries = waiting.map_or(0, |backlog| backlog.entries);
            warn!(target = name, entries, "a target that is not configured has a folder");
        }
    }
}
