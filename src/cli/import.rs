//! `traildex import`: index an archive once, without a daemon.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::Exit;
use super::serve::environment;
use super::text::{counted, escape};
use crate::config::{Config, Overrides};
use crate::daemon::{import_options, open_store};
use crate::index::store::{Store, disk_bytes};
use crate::ingest::Ingest;
use crate::ingest::progress::{Counters, Progress};
use crate::ingest::walk::{Found, Walk};
use crate::ingest::watch::Watcher;

/// Skipped paths told by name.
const SKIPPED_TOLD_MAX: usize = 10;

/// Between two updates of the progress bar.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, and directories with all below them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Where the index is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = Config::load(None, environment(), &Overrides::default())?;
    let roots = absolute(&args.paths)?;
    let store = open_store(&args.data_dir, &config)?;
    tell_damage(&store);
    fill(store, &roots, &config)?;
    eprintln!("index {}", HumanBytes(disk_bytes(&args.data_dir)));
    Ok(Exit::Done)
}

/// Says what was found damaged and set aside.
pub fn tell_damage(store: &Store) {
    for note in store.set_aside() {
        eprintln!("warning: {note}");
    }
}

/// Reads the archive into the store, showing how far it is, and says what was read.
pub fn fill(store: Store, roots: &[PathBuf], config: &Config) -> anyhow::Result<Store> {
    let started = Instant::now();
    let bar = progress_bar(total_bytes(roots));
    let progress = Progress::new();
    let options = import_options(config, roots.to_vec());
    let ingest = Ingest::start(store, Watcher::none(), options, &progress)?;
    while !progress.wait_idle(TICK) {
        show(&bar, &progress);
    }
    show(&bar, &progress);
    bar.set_message("merging");
    let store = ingest.stop();
    bar.finish_and_clear();
    if let Some(fault) = progress.fault() {
        anyhow::bail!(fault);
    }
    let store = store.context("the commit thread panicked")?;
    let seconds = started.elapsed().as_secs_f64();
    let count = |counter: &AtomicU64, noun: &str| counted(counter.load(Ordering::Relaxed), noun);
    let rate = |counter: &AtomicU64| (counter.load(Ordering::Relaxed) as f64 / seconds) as u64;
    let counters = &progress.counters;
    eprintln!(
        "{} from {} in {seconds:.1} s ({} events/s, {}/s raw); {} left out; \
         rejected: {} and {}; skipped: {}",
        count(&counters.events, "event"),
        count(&counters.files, "file"),
        HumanCount(rate(&counters.events)),
        HumanBytes(rate(&counters.bytes_raw)),
        count(&counters.duplicates, "duplicate"),
        count(&counters.rejected, "record"),
        count(&counters.files_rejected, "file"),
        counted(progress.glance().skipped, "path"),
    );
    for skipped in progress.skipped().iter().take(SKIPPED_TOLD_MAX) {
        let reason = skipped.reading.reason.as_deref().unwrap_or_default();
        eprintln!("skipped {}: {}", escape(&skipped.path), escape(reason));
    }
    Ok(store)
}

pub fn absolute(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let absolute = |path: &PathBuf| {
        path.canonicalize().with_context(|| format!("cannot read {}", path.display()))
    };
    paths.iter().map(absolute).collect()
}

fn total_bytes(roots: &[PathBuf]) -> u64 {
    let sizes = Walk::new(roots.iter().cloned()).filter_map(|(_, found)| match found {
        Ok(Found::Trail(key)) => Some(key.size),
        _ => None,
    });
    sizes.sum()
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3}%  {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left",
    )
    .expect("the template is valid");
    ProgressBar::new(bytes).with_style(style)
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let Counters { files, events, bytes_read, .. } = &progress.counters;
    let count = |counter: &AtomicU64, noun: &str| counted(counter.load(Ordering::Relaxed), noun);
    bar.set_position(bytes_read.load(Ordering::Relaxed));
    bar.set_message(format!("{}, {}", count(files, "file"), count(events, "event")));
}
