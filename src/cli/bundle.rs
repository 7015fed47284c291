//! `traildex bundle`: events with the original files that they are from, and what proves them, as a BagIt bag.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Subcommand;
use indicatif::ProgressBar;
use jiff::Timestamp;

use super::serve::environment;
use super::validate::roots;
use super::{EXIT_CODES, Exit, bundle_verify};
use crate::bundle::{Ask, Made, Making, make};
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::progress;
use crate::cli::text::{counted, escape, thousands};
use crate::config::{Config, Overrides};
use crate::daemon::read_limits;
use crate::evidence::Given;
use client::ClientError;
use language::time::{Clock, parse_time};

/// Reasons that are printed; the report has all.
const REASONS_SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which events; without any, every event. It may not make rows
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// The bag to write: a folder, which is not there or empty, or a file that ends in .tar; the same
    /// command continues one that was interrupted
    #[arg(long, short, value_name = "DIR|FILE.tar", required = true)]
    output: Option<PathBuf>,
    /// Only the records, without the files that they are from, the digests and the keys
    #[arg(long)]
    records_only: bool,
    /// Earliest event time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, alias = "start", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Latest event time, itself excluded; the same forms
    #[arg(long, alias = "end", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset, and of days: Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The time that the bag says it was made at, and that relative times refer to: the same index and
    /// the same time give the same bytes [default: SOURCE_DATE_EPOCH, or now]
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
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
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a bundle: its manifests, its events in their originals, the signatures of its digests
    Verify(bundle_verify::Args),
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(Command::Verify(args)) = &args.command {
        return bundle_verify::run(args);
    }
    let Some(output) = &args.output else { bail!("no --output was given") };
    let config = Config::load(args.config.as_deref(), environment(), &Overrides::default())?;
    let ask = Ask {
        query: args.query.join(" "),
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        records_only: args.records_only,
        is_tar: output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar")),
    };
    let given = given(&args.public_keys, &config)?;
    let roots = roots(&args.root, &config)?;
    let client = args.ask.client()?;
    let bar = progress::line(None);
    let made = make(&Making {
        ask: &ask,
        output,
        time: time(args)?,
        client: &client,
        given: &given,
        roots: &roots,
        limits: read_limits(&config),
        tell: &|what, done, total| tell(&bar, what, done, total),
    });
    bar.finish_and_clear();
    let made = made.map_err(|error| match error.downcast::<ClientError>() {
        Ok(error) => QueryError::locate(error, &ask.query),
        Err(error) => error,
    })?;
    tell_end(&made, output);
    Ok(match (made.report.complete, made.report.counts.events) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::NothingFound,
        (true, _) => Exit::Done,
    })
}

/// Keys and metadata: those that are named, or else those of the configuration.
pub(super) fn given(named: &[PathBuf], config: &Config) -> anyhow::Result<Given> {
    let given = Given::read(if named.is_empty() { &config.evidence.public_keys } else { named })?;
    for ignored in &given.ignored {
        eprintln!("warning: {}", escape(ignored));
    }
    Ok(given)
}

/// When the bag is made, to the second, if somebody says that.
fn time(args: &Args) -> anyhow::Result<Option<Timestamp>> {
    const EPOCH: &str = "SOURCE_DATE_EPOCH";
    if let Some(text) = &args.time {
        let span = parse_time(text, &Clock::utc(Timestamp::now()))?;
        return Ok(Some(Timestamp::from_second(span.start.0.div_euclid(1_000_000))?));
    }
    let Some(text) = std::env::var_os(EPOCH).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    match time {
        Some(time) => Ok(Some(time)),
        None => bail!("{EPOCH} is not a number of seconds since 1970"),
    }
}

fn tell(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    let percent = done.saturating_mul(100) / total.max(1);
    bar.set_message(format!("{percent:>3}%  {} of {} {what}", thousands(done), thousands(total)));
}

/// Says what was written, and why it is not complete if it is not.
fn tell_end(made: &Made, output: &Path) {
    let Made { report, suspicious, verified } = made;
    let counts = &report.counts;
    for note in &report.notes {
        eprintln!("note: {}", escape(note));
    }
    for reason in report.reasons.iter().take(REASONS_SHOWN) {
        eprintln!("not complete: {}", escape(&reason.reason));
    }
    let more = report.reasons.len().saturating_sub(REASONS_SHOWN) as u64 + report.reasons_left_out;
    if more > 0 {
        eprintln!("not complete: and {} (data/reports/bundle.json)", counted(more, "more reason"));
    }
    let place = escape(&output.display().to_string()).into_owned();
    let state = if report.complete { "complete" } else { "not complete" };
    let events = counted(counts.events, "event");
    if report.records_only {
        eprintln!("{events} bundled to {place}, records only: {state}");
        return;
    }
    let (originals, digests) =
        (counted(counts.originals, "original"), counted(counts.digests, "digest"));
    eprintln!("{events}, {originals} and {digests} bundled to {place}: {state}");
    eprintln!("{} of {originals} verified by digests", thousands(*verified));
    if *suspicious > 0 {
        let suspicious = counted(*suspicious, "original");
        eprintln!("warning: {suspicious} not what the digests list (data/reports/validation.json)");
    }
}
