//! `traildex validate`: whether the files of an archive are those that CloudTrail delivered, and all of
//! them, by its digest files. Reads a copy on this machine, and needs no daemon and no network.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{HumanBytes, ProgressBar};
use jiff::Timestamp;

use super::import::absolute;
use super::serve::environment;
use super::{EXIT_CODES, Exit, SocketArg};
use crate::cli::list::write_json;
use crate::cli::output::{Look, Output};
use crate::cli::progress;
use crate::cli::text::{counted, escape, thousands};
use crate::config::{Config, Overrides};
use crate::daemon::read_limits;
use crate::evidence::{Disk, Given, resolved};
use evidence::{Bounds, Collector, Filter, Finding, Options, validate_each};
use language::time::{Clock, parse_time};
use trail::time::Micros;
use wire::{Chain, Gap, Named, StateCount, ValidateReport};

/// Between two looks at how far it is.
const TICK: Duration = Duration::from_millis(100);

/// Hours of a gap that a line names.
const HOURS_SHOWN: usize = 24;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Folders of the archive, with the digests of what is to be validated
    #[arg(required_unless_present = "indexed", value_name = "ARCHIVE")]
    paths: Vec<PathBuf>,
    /// Ask a daemon, which has judged its files by the hashes that it took when it indexed them
    #[arg(long, conflicts_with_all =
        ["paths", "start", "end", "account", "region", "public_keys", "root", "config"])]
    indexed: bool,
    /// Only files that were delivered since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// Only files that were delivered before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
    /// Only files of this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only files of this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What 'aws cloudtrail list-public-keys' printed: a file, or a folder with such files; may be given
    /// several times, and replaces evidence.public_keys
    #[arg(long, value_name = "PATH")]
    public_keys: Vec<PathBuf>,
    /// A folder and what it is a copy of: /srv/trail=s3://my-trail/prefix; may be given several times, and
    /// replaces evidence.roots
    #[arg(long, value_name = "FOLDER=s3://BUCKET/PREFIX")]
    root: Vec<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    config: Option<PathBuf>,
    /// table, or json (the whole report)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    socket: SocketArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let report = if args.indexed { args.socket.client().validation()? } else { read_again(args)? };
    show_report(&report, args.format)
}

/// Reads the files, and judges them.
fn read_again(args: &Args) -> anyhow::Result<ValidateReport> {
    let config = Config::load(args.config.as_deref(), environment(), &Overrides::default())?;
    let filter = filter(args)?;
    let named =
        if args.public_keys.is_empty() { &config.evidence.public_keys } else { &args.public_keys };
    let given = Given::read(named)?;
    for ignored in &given.ignored {
        eprintln!("warning: {}", escape(ignored));
    }
    let roots = roots(&args.root, &config)?;
    let disk = Disk::new(absolute(&args.paths)?, read_limits(&config));
    let options = Options {
        roots: &roots,
        filter: &filter,
        metadata: &given.metadata,
        bounds: Bounds::LARGE,
    };
    let report = with_progress(&disk, |collector| {
        validate_each(&disk, &given.keys, &options, &mut |finding| collector.add(finding));
    });
    Ok(report.report(given.keys.len()))
}

fn show_report(report: &ValidateReport, format: Format) -> anyhow::Result<Exit> {
    let look = Look::of_stdout();
    let mut out = Output::open(look);
    match format {
        Format::Table => out.write_all(describe(report).as_bytes())?,
        Format::Json => write_json(&mut out, report, look)?,
    }
    out.close()?;
    let has_any = report.files.iter().any(|of| of.count > 0) || !report.digests.is_empty();
    Ok(match (report.is_verified, has_any) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Failed,
        (false, false) => Exit::NothingFound,
    })
}

fn filter(args: &Args) -> anyhow::Result<Filter> {
    let clock = Clock::utc(Timestamp::now());
    let time = |text: &Option<String>| -> anyhow::Result<Option<Micros>> {
        let span = text.as_ref().map(|text| parse_time(text, &clock)).transpose()?;
        Ok(span.map(|span| span.start))
    };
    let (start, end) = (time(&args.start)?, time(&args.end)?);
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        anyhow::bail!("--start is not before --end");
    }
    Ok(Filter { start, end, account: args.account.clone(), region: args.region.clone() })
}

/// The mapped folders that were named, or else those of the configuration, resolved as the paths are.
pub(super) fn roots(named: &[String], config: &Config) -> anyhow::Result<Vec<evidence::Root>> {
    let parse = |text: &String| {
        evidence::Root::parse(text).map_err(|error| anyhow::anyhow!("--root {text}: {error}"))
    };
    let given: Vec<evidence::Root> = named.iter().map(parse).collect::<anyhow::Result<_>>()?;
    Ok(resolved(if given.is_empty() { &config.evidence.roots } else { &given }))
}

/// Runs it beside a line that shows how far it is.
fn with_progress(disk: &Disk, work: impl FnOnce(&mut Collector) + Send) -> Collector {
    let bar = progress::line(None);
    let collector = std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut collector = Collector::default();
            work(&mut collector);
            collector
        });
        while !working.is_finished() {
            show(&bar, disk);
            std::thread::park_timeout(TICK);
        }
        working.join()
    });
    bar.finish_and_clear();
    let mut collector = collector.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    disk.notes().into_iter().for_each(|note| collector.add(Finding::Note(note)));
    collector
}

fn show(bar: &ProgressBar, disk: &Disk) {
    let (files, bytes) = disk.read_so_far();
    bar.set_position(bytes);
    let rate = HumanBytes(bar.per_sec() as u64);
    let (files, bytes) = (counted(files, "file"), HumanBytes(bytes));
    bar.set_message(format!("validating  {files}, {bytes} read, {rate}/s"));
}

fn describe(report: &ValidateReport) -> String {
    let mut text = String::new();
    for chain in &report.chains {
        describe_chain(&mut text, chain);
    }
    named(&mut text, "digest", &report.digests_named);
    // Without any digest, all files are without one.
    if !report.digests.is_empty() {
        named(&mut text, "file", &report.files_named);
    }
    for note in &report.notes {
        let _ = writeln!(text, "note           {}", escape(note));
    }
    if report.left_out > 0 {
        let _ = writeln!(text, "and {} more", thousands(report.left_out));
    }
    let _ = writeln!(text, "digests  {}", counts(&report.digests));
    let _ = writeln!(text, "files    {}", counts(&report.files));
    let verdict = match (report.is_verified, report.verified_from, report.verified_to) {
        (true, Some(from), Some(to)) => format!("all of it is verified, from {from} to {to}"),
        (false, Some(from), Some(to)) => {
            format!("not all of it is verified; verified digests are from {from} to {to}")
        }
        _ if report.digests.is_empty() => {
            "nothing is verified: no digest is among what was asked for; CloudTrail writes them \
             to CloudTrail-Digest, beside the log files, where log file validation is on"
                .to_owned()
        }
        _ if report.keys == 0 => "nothing is verified: no public keys were given".to_owned(),
        _ => "nothing is verified".to_owned(),
    };
    let _ = writeln!(text, "{verdict}");
    text
}

fn describe_chain(text: &mut String, chain: &Chain) {
    let Chain { trail, account, region, start, end, digests, verified, .. } = chain;
    let kind = if chain.is_backfill { "backfill" } else { "chain" };
    let _ = writeln!(
        text,
        "{kind:<14} {} {} {}: {} of {} verified, {start} to {end}",
        escape(account),
        escape(region),
        escape(trail),
        thousands(*verified),
        counted(*digests, "digest"),
    );
    if let Some(to) = chain.verified_to.filter(|to| to < end) {
        let _ = writeln!(text, "{:<14} verified up to {to}", "");
    }
    for Gap { start, end, hours, reason } in &chain.gaps {
        let shown: Vec<String> = hours.iter().take(HOURS_SHOWN).map(Micros::to_string).collect();
        let more = hours.len().saturating_sub(HOURS_SHOWN);
        let more =
            if more > 0 { format!(", and {} more", thousands(more as u64)) } else { String::new() };
        let _ = writeln!(
            text,
            "gap            {start} to {end}: {}; the hours from {}{more}",
            escape(reason),
            shown.join(", ")
        );
    }
}

fn named<S: std::fmt::Display>(text: &mut String, noun: &str, named: &[Named<S>]) {
    for Named { path, state, reason } in named {
        let reason = reason.as_ref().map(|reason| format!(": {}", escape(reason)));
        let _ = writeln!(text, "{state:<14} {noun} {}{}", escape(path), reason.unwrap_or_default());
    }
}

fn counts<S: std::fmt::Display>(counts: &[StateCount<S>]) -> String {
    let counts = counts.iter().map(|of| format!("{} {}", thousands(of.count), of.state));
    let text = counts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}
