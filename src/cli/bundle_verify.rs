//! `traildex bundle verify`: whether a bundle is what was bundled. Needs neither daemon nor index.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;

use super::bundle::given;
use super::serve::environment;
use super::{EXIT_CODES, Exit};
use crate::bundle::{Verified, Verifying, verify};
use crate::cli::list::write_json;
use crate::cli::output::{Look, Output};
use crate::cli::progress;
use crate::cli::text::{counted, escape, thousands};
use crate::config::{Config, Overrides};
use crate::daemon::read_limits;
use indicatif::HumanBytes;
use wire::{Integrity, StateCount, ValidateReport};

/// Reasons that are shown of a bag that is not complete.
const REASONS_SHOWN: usize = 20;

/// Originals that are shown because they are not verified.
const ORIGINALS_SHOWN: usize = 100;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    /// The bag: a folder, or a tar
    #[arg(value_name = "DIR|FILE.tar")]
    path: PathBuf,
    /// What 'aws cloudtrail list-public-keys' printed, as you fetched it yourself: a file, or a folder with
    /// such files; may be given several times. Then each original must be verified by them [default: the
    /// keys in the bag, which are only as good as the bag]
    #[arg(long, value_name = "PATH")]
    public_keys: Vec<PathBuf>,
    /// table, or json (all that was found)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = Config::load(None, environment(), &Overrides::default())?;
    let keys = &args.public_keys;
    let given = if keys.is_empty() { None } else { Some(given(keys, &config)?) };
    let bar = progress::line(None);
    let verified = verify(&Verifying {
        path: &args.path,
        given: given.as_ref(),
        limits: read_limits(&config),
        tell: &|done, total| {
            let percent = done.saturating_mul(100) / total.max(1);
            bar.set_message(format!(
                "{percent:>3}%  {} of {}",
                HumanBytes(done),
                HumanBytes(total)
            ));
        },
    });
    bar.finish_and_clear();
    let verified = verified?;
    let look = Look::of_stdout();
    let mut out = Output::open(look);
    match args.format {
        Format::Table => out.write_all(describe(&verified).as_bytes())?,
        Format::Json => write_json(&mut out, &verified, look)?,
    }
    out.close()?;
    Ok(if verified.is_good() { Exit::Done } else { Exit::Failed })
}

fn describe(verified: &Verified) -> String {
    let mut text = String::new();
    for problem in &verified.problems.named {
        let _ = writeln!(text, "{}: {}", escape(&problem.path), escape(&problem.problem));
    }
    if verified.problems.left_out > 0 {
        let _ = writeln!(text, "and {} more", thousands(verified.problems.left_out));
    }
    let files = counted(verified.files, "file");
    let _ = writeln!(text, "files       {files}, {}", HumanBytes(verified.bytes));
    if let Some(report) = &verified.report {
        let _ = writeln!(
            text,
            "made        {} by traildex {}",
            escape(&report.time),
            escape(&report.traildex)
        );
        let _ = writeln!(text, "query       {}", escape(&report.query.text));
        if report.query.parsed != report.query.text {
            let _ = writeln!(text, "understood  {}", escape(&report.query.parsed));
        }
        let _ = writeln!(text, "events      {}", events(verified, report.records_only));
    }
    if let Some(found) = &verified.validation {
        signatures(&mut text, found, verified.has_keys_given());
    }
    if let Some(hash) = &verified.tag_manifest_sha256 {
        let _ = writeln!(text, "to sign     tagmanifest-sha256.txt, SHA-256 {hash}");
    }
    if let Some(report) = &verified.report {
        for reason in report.reasons.iter().take(REASONS_SHOWN) {
            let _ = writeln!(text, "incomplete  {}", escape(&reason.reason));
        }
        let more = report.reasons.len().saturating_sub(REASONS_SHOWN) as u64;
        if more + report.reasons_left_out > 0 {
            let _ = writeln!(
                text,
                "incomplete  and {} more",
                thousands(more + report.reasons_left_out)
            );
        }
    }
    let verdict = match (verified.is_whole, verified.says_complete) {
        (true, true) => "the bag is whole, and complete",
        (true, false) => "the bag is whole; it is not complete, and says so",
        (false, _) => "the bag is not whole: it is not what was bundled",
    };
    let _ = writeln!(text, "{verdict}");
    if verified.has_keys_given() {
        let _ = writeln!(text, "{}", proven(verified));
    }
    text
}

/// What the keys of whoever checks have shown.
fn proven(verified: &Verified) -> String {
    if verified.validation.is_none() {
        return "no original is in the bag, so the keys verify nothing".to_owned();
    }
    let (of, all) = verified.originals();
    format!("{} of {} verified by the keys given", thousands(of), counted(all, "original"))
}

fn events(verified: &Verified, records_only: bool) -> String {
    let Verified { events, events_at_their_places, events_of_tables, events_without_file, .. } =
        verified;
    let place = if records_only { "data/records.ndjson" } else { "their originals" };
    let mut text = format!(
        "{}, {} at their places in {place}",
        thousands(*events),
        thousands(*events_at_their_places)
    );
    if *events_of_tables > 0 {
        let _ =
            write!(text, ", {} of tables, whose rows were not read", thousands(*events_of_tables));
    }
    if *events_without_file > 0 {
        let _ = write!(text, ", {} without their original", thousands(*events_without_file));
    }
    text
}

fn signatures(text: &mut String, found: &ValidateReport, is_given: bool) {
    let _ = writeln!(text, "originals   {}", counts(&found.files));
    let _ = writeln!(text, "digests     {}", counts(&found.digests));
    let keys = counted(found.keys, "key");
    let whose = if is_given {
        "as given with --public-keys"
    } else {
        "from the bag, and only as good as the bag: give your own with --public-keys"
    };
    let _ = writeln!(text, "keys        {keys}, {whose}");
    // Of archives without digests, all are.
    let named = found.files_named.iter().filter(|named| named.state != Integrity::NoDigest);
    for named in named.take(ORIGINALS_SHOWN) {
        let reason = named.reason.as_ref().map(|reason| format!(": {}", escape(reason)));
        let _ = writeln!(
            text,
            "            {} {}{}",
            named.state,
            escape(&named.path),
            reason.unwrap_or_default()
        );
    }
}

fn counts<S: std::fmt::Display>(counts: &[StateCount<S>]) -> String {
    let counts = counts.iter().map(|of| format!("{} {}", thousands(of.count), of.state));
    let text = counts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}
