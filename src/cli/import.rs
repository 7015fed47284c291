//! `traildex import`: index an archive once, without a daemon.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::Exit;
use crate::cli::serve::environment;
use crate::cli::table::Format;
use crate::cli::text::{counted, escape};
use crate::config::{Config, Overrides};
use crate::daemon::{import_options, open_store};
use bench::report::IngestReport;
use bench::usage::Usage;
use ingest::archive::Archive;
use ingest::progress::{Busy, Counters, Progress};
use ingest::table::{is_table, is_table_name};
use ingest::walk::{FileWalk, Found};
use ingest::watch::Watcher;
use ingest::{Ingest, IngestOptions};
use store::inspect::disk_bytes_by_part;
use store::store::Store;

/// Skipped paths told by name.
const SKIPPED_TOLD_MAX: usize = 10;

/// Between two updates of the progress bar.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, and directories with all below them; tables (CSV, Parquet) by their own names only
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Where the index is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// text, to standard error; or json, to standard output
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    pub format: Format,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = Config::load(None, environment(), &Overrides::default())?;
    let roots = absolute(&args.paths)?;
    let store = open_store(&args.data_dir, &config)?;
    tell_damage(&store);
    let (store, mut report) = fill(store, &roots, &config)?;
    drop(store);
    report.index_bytes = disk_bytes_by_part(&args.data_dir)
        .into_iter()
        .map(|(part, bytes)| (part.to_owned(), bytes))
        .collect();
    let usage = Usage::of_self()?;
    (report.cpu_s, report.peak_resident_bytes) = (usage.cpu_s, usage.peak_resident_bytes);
    match args.format {
        Format::Text => eprintln!("index {}", HumanBytes(report.index_bytes_all())),
        Format::Json => writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(Exit::Done)
}

/// Says what was found damaged and set aside.
pub(super) fn tell_damage(store: &Store) {
    for note in store.set_aside().iter().chain(&store.attempts().notes()) {
        eprintln!("warning: {}", escape(note));
    }
}

/// Reads the archive into the store, showing how far it is, and says what was read.
pub(super) fn fill(
    store: Store,
    roots: &[PathBuf],
    config: &Config,
) -> anyhow::Result<(Store, IngestReport)> {
    let started = Instant::now();
    let bar = progress_bar(total_bytes(roots));
    // Tables last: of an event that the archive has too, the record as delivered is kept.
    let (tables, archive): (Vec<_>, Vec<_>) =
        roots.iter().cloned().partition(|root| is_table(root));
    let passes = if tables.is_empty() { vec![archive] } else { vec![archive, tables] };
    let conflicting = |store: &Store| store.snapshots().load().files.counts().conflicting;
    let conflicting_before = conflicting(&store);
    let mut store = store;
    let mut progress = Progress::new();
    let mut skipped = 0;
    for roots in passes.into_iter().filter(|roots| !roots.is_empty()) {
        progress = Progress::after(&progress.counters);
        store = pass(store, import_options(config, roots), &progress, &bar)?;
        skipped += progress.glance().skipped;
    }
    bar.finish_and_clear();
    let report = IngestReport { skipped, ..report(&progress, started.elapsed()) };
    tell(&report);
    let conflicts = conflicting(&store).saturating_sub(conflicting_before);
    if conflicts > 0 {
        eprintln!(
            "warning: {} the account and eventID of another event, and other content; both are \
             indexed, with the flag id-conflict",
            if conflicts == 1 {
                "1 event has".to_owned()
            } else {
                format!("{} events have", HumanCount(conflicts))
            },
        );
    }
    Ok((store, report))
}

/// Reads some of the roots.
fn pass(
    store: Store,
    options: IngestOptions,
    progress: &Arc<Progress>,
    bar: &ProgressBar,
) -> anyhow::Result<Store> {
    let ingest = Ingest::start(store, Watcher::none(), options, progress)?;
    while !progress.wait_idle(TICK) {
        show(bar, progress);
    }
    show(bar, progress);
    bar.set_message("merging");
    let store = ingest.stop();
    if let Some(fault) = progress.fault() {
        bar.finish_and_clear();
        anyhow::bail!(fault.reason);
    }
    bar.suspend(|| tell_unread(progress));
    store.context("the commit thread panicked")
}

/// Says what was not read: what could not be, and tables that nobody named.
fn tell_unread(progress: &Progress) {
    for skipped in progress.skipped().iter().take(SKIPPED_TOLD_MAX) {
        eprintln!("skipped {}: {}", escape(&skipped.path), escape(&skipped.reason));
    }
    let ignored = progress.ignored();
    let tables = ignored.iter().filter(|file| is_table_name(&file.path));
    for table in tables.take(SKIPPED_TOLD_MAX) {
        eprintln!("ignored {}: a table is read only if it is named itself", escape(&table.path));
    }
}

fn report(progress: &Progress, wall: Duration) -> IngestReport {
    let counters = &progress.counters;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let Busy { reading, building, finishing, committing, merging } = &counters.busy;
    let busy = [
        ("reading", reading),
        ("building", building),
        ("finishing", finishing),
        ("committing", committing),
        ("merging", merging),
    ];
    IngestReport {
        events: count(&counters.events),
        files: count(&counters.files),
        duplicates: count(&counters.duplicates),
        rejected: count(&counters.rejected),
        files_rejected: count(&counters.files_rejected),
        skipped: progress.glance().skipped,
        raw_bytes: count(&counters.bytes_raw),
        read_bytes: count(&counters.bytes_read),
        wall_s: wall.as_secs_f64(),
        busy_s: busy.map(|(name, us)| (name.to_owned(), count(us) as f64 / 1e6)).into(),
        ..IngestReport::default()
    }
}

fn tell(report: &IngestReport) {
    let rate = |amount: u64| (amount as f64 / report.wall_s) as u64;
    eprintln!(
        "{} from {} in {:.1} s ({} events/s, {}/s raw); {} left out; rejected: {} and {}; \
         skipped: {}",
        counted(report.events, "event"),
        counted(report.files, "file"),
        report.wall_s,
        HumanCount(rate(report.events)),
        HumanBytes(rate(report.raw_bytes)),
        counted(report.duplicates, "duplicate"),
        counted(report.rejected, "record"),
        counted(report.files_rejected, "file"),
        counted(report.skipped, "path"),
    );
}

pub(super) fn absolute(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let absolute = |path: &PathBuf| {
        path.canonicalize().with_context(|| format!("cannot read {}", path.display()))
    };
    paths.iter().map(absolute).collect()
}

fn total_bytes(roots: &[PathBuf]) -> u64 {
    let sizes =
        FileWalk::new(&Arc::new(Archive::new(roots.iter().cloned()))).filter_map(|(_, found)| {
            match found {
                Ok(Found::Trail(key)) => Some(key.size),
                _ => None,
            }
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
