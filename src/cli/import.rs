//! `traildex import`: index an archive once, without a daemon.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar};

use super::{EXIT_CODES, Exit};
use crate::cli::left_out::LeftOut;
use crate::cli::progress;
use crate::cli::serve::environment;
use crate::cli::table::Format;
use crate::cli::text::{counted, escape};
use crate::config::{Config, Overrides, advice_on_address};
use crate::daemon::{import_options, open_store};
use bench::report::IngestReport;
use bench::usage::Usage;
use ingest::archive::Archive;
use ingest::progress::{Busy, Counters, Progress};
use ingest::table::is_table;
use ingest::walk::{FileWalk, Found};
use ingest::watch::Watcher;
use ingest::{Ingest, IngestOptions};
use store::inspect::disk_bytes_by_part;
use store::ledger::LedgerReader;
use store::store::Store;

/// Between two updates of the progress bar.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
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
    let (store, Filled { mut report, known, named, passes }) = fill(store, &roots, &config)?;
    let has_new = report.events + report.duplicates > 0;
    if report.files == 0 && known > 0 && known == named {
        eprintln!("all {} known, nothing is read again", counted(known, "file"));
    } else if known > 0 {
        eprintln!("{} known already", counted(known, "file"));
    }
    let ignored = passes.iter().map(|pass| pass.glance().ignored).sum();
    let of_passes: Vec<_> = passes.iter().flat_map(|pass| pass.ignored()).collect();
    if let Some(first) = of_passes.first().filter(|_| has_new) {
        let (files, path) = (counted(ignored, "file"), escape(&first.path));
        eprintln!("{files} ignored, such as {path}: {}; name one to have it read", first.reason);
    }
    // Looking through the ledger takes as long as reading it.
    let is_plain = has_new
        && report.files_rejected == 0
        && report.skipped == 0
        && !LeftOut::has_tables(&passes);
    let mut exit = Exit::Done;
    if !is_plain {
        let left_out = LeftOut::of(store.ledger(), &roots, &passes)?;
        left_out.lines().iter().for_each(|line| eprintln!("{line}"));
        exit = if left_out.is_everything() { Exit::Failed } else { Exit::Done };
    }
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
    Ok(exit)
}

/// Says what was found damaged and set aside, and what other users could read.
pub(super) fn tell_damage(store: &Store) {
    let notes = store.attempts().notes();
    let tightened = store.tightened().map(str::to_owned);
    for note in store.set_aside().iter().chain(&notes).chain(&tightened) {
        eprintln!("warning: {}", escape(note));
    }
}

/// What became of an archive that was read.
pub(super) struct Filled {
    report: IngestReport,
    /// Files that were read before.
    known: u64,
    /// Files that could be a trail's.
    named: u64,
    /// One for the archive, and one for tables.
    passes: Vec<Arc<Progress>>,
}

/// Reads the archive into the store, showing how far it is, and says what was read.
pub(super) fn fill(
    store: Store,
    roots: &[PathBuf],
    config: &Config,
) -> anyhow::Result<(Store, Filled)> {
    let started = Instant::now();
    let Ahead { bytes, known, named } = look_ahead(roots, store.ledger());
    let bar = progress::line(Some(bytes));
    // Tables last: of an event that the archive has too, the record as delivered is kept.
    let (tables, archive): (Vec<_>, Vec<_>) =
        roots.iter().cloned().partition(|root| is_table(root));
    let conflicting_before = store.ledger().counts().conflicting;
    let mut store = store;
    let mut passes: Vec<Arc<Progress>> = Vec::new();
    for roots in [archive, tables].into_iter().filter(|roots| !roots.is_empty()) {
        let progress = match passes.last() {
            None => Progress::new(),
            Some(last) => Progress::after(&last.counters),
        };
        store = pass(store, import_options(config, roots), &progress, &bar)?;
        passes.push(progress);
    }
    bar.finish_and_clear();
    let report = report(&passes, started.elapsed());
    tell(&report);
    let conflicts = store.ledger().counts().conflicting.saturating_sub(conflicting_before);
    if conflicts > 0 {
        eprintln!(
            "warning: {} added that {} account and eventID with another, and not the content \
             (flag id-conflict)",
            counted(conflicts, "event"),
            if conflicts == 1 { "shares" } else { "share" },
        );
    }
    Ok((store, Filled { report, known, named, passes }))
}

/// Reads a file into an index of its own, and says nothing. Returns how many events there are.
pub(super) fn fill_quietly(data_dir: &Path, file: &Path) -> anyhow::Result<u64> {
    let config = Config::load(None, environment(), &Overrides::default())?;
    let store = open_store(data_dir, &config)?;
    let progress = Progress::new();
    let options = import_options(&config, vec![file.to_owned()]);
    let store = pass(store, options, &progress, &ProgressBar::hidden())?;
    Ok(store.snapshots().load().events())
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
    store.context("the commit thread panicked")
}

/// What the last of several pipelines has counted, which went on from the others' counts.
fn report(passes: &[Arc<Progress>], wall: Duration) -> IngestReport {
    let none = Progress::new();
    let counters = &passes.last().unwrap_or(&none).counters;
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
        skipped: passes.iter().map(|progress| progress.glance().skipped).sum(),
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
        if let Some(advice) = advice_on_address(path) {
            anyhow::bail!(advice);
        }
        path.canonicalize().with_context(|| format!("cannot read {}", path.display()))
    };
    paths.iter().map(absolute).collect()
}

/// What there is to read.
struct Ahead {
    /// Bytes of the files that were not read before.
    bytes: u64,
    known: u64,
    named: u64,
}

fn look_ahead(roots: &[PathBuf], ledger: &LedgerReader) -> Ahead {
    let mut ahead = Ahead { bytes: 0, known: 0, named: 0 };
    for (_, found) in FileWalk::new(&Arc::new(Archive::new(roots.iter().cloned()))) {
        let Ok(Some(key)) = found.map(Found::key) else { continue };
        ahead.named += 1;
        if ledger.is_known(&key) {
            ahead.known += 1;
        } else {
            ahead.bytes += key.size;
        }
    }
    ahead
}

fn show(bar: &ProgressBar, of: &Progress) {
    let Counters { files, events, bytes_read, .. } = &of.counters;
    let count = |counter: &AtomicU64, noun: &str| counted(counter.load(Ordering::Relaxed), noun);
    bar.set_position(bytes_read.load(Ordering::Relaxed));
    let read = HumanBytes(bar.position());
    bar.set_message(format!(
        "{:>3}%  {}, {}, {} left, {read} of {}, {}/s",
        progress::percent(bar),
        count(files, "file"),
        count(events, "event"),
        HumanDuration(bar.eta()),
        HumanBytes(bar.length().unwrap_or_default()),
        HumanBytes(bar.per_sec() as u64),
    ));
}
