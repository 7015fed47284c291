//! `traildex hunt`: rules, over the whole archive. What each found, by level; then who did it, and by which
//! tactics.

mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::ValueEnum;
use indicatif::ProgressBar;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::{AskArg, Asked};
use crate::cli::fields::warn;
use crate::cli::output::{ColorArg, Output};
use crate::cli::progress;
use crate::cli::text::{counted, escape};
use detect::{Ask, AskError, Hunt, Hunted, Level, Loaded, Rule, Told, hunt, load, pack};
use wire::{SearchRequest, SearchResponse};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    rules: RulesArg,
    /// Only events since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, alias = "start", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, alias = "end", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only rules of this level and those above it: informational, low, medium, high or critical
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "informational")]
    level: Level,
    /// table, json (everything), ndjson (one finding a line), csv (the findings, safe to open in a
    /// spreadsheet), or html (a page that stands alone)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = HuntFormat::Table)]
    format: HuntFormat,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HuntFormat {
    Table,
    Json,
    Ndjson,
    Csv,
    Html,
}

fn level(text: &str) -> Result<Level, String> {
    let found = Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("the levels are {}", Level::ALL.map(Level::name).join(", ")))
}

/// `--rules` and `--pack`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct RulesArg {
    /// A file or a folder of rules, in place of the rules that come with traildex; may be given several
    /// times
    #[arg(long, value_name = "PATH")]
    pub(super) rules: Vec<PathBuf>,
    /// The rules that come with traildex, too
    #[arg(long, requires = "rules")]
    pub(super) pack: bool,
}

impl RulesArg {
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        for path in &self.rules {
            if !path.exists() {
                bail!("there are no rules in {}: no such file or folder", path.display());
            }
        }
        let with_pack = self.pack || self.rules.is_empty();
        Ok(load(&self.rules, if with_pack { pack() } else { Vec::new() }))
    }
}

/// Tells what of the files cannot be asked. Returns whether there is a fault among it.
pub(super) fn tell_problems(loaded: &Loaded) -> bool {
    let elsewhere = loaded.problems.iter().filter(|problem| problem.is_elsewhere).count();
    for problem in loaded.problems.iter().filter(|problem| !problem.is_elsewhere) {
        let line = problem.line.map_or(String::new(), |line| format!(":{line}"));
        let path = problem.path.display().to_string();
        eprintln!("warning: {}{line}: {}", escape(&path), escape(&problem.reason));
    }
    if elsewhere > 0 {
        eprintln!(
            "{} for other logs than CloudTrail's left out",
            counted(elsewhere as u64, "rule")
        );
    }
    loaded.problems.len() > elsewhere
}

/// A daemon, or an index on disk, that answers rules.
pub(super) struct OfClient<'c>(pub(super) &'c Asked);

impl Ask for OfClient<'_> {
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, AskError> {
        Ok(self.0.search(request)?)
    }
}

pub(super) use self::report::level_cell;

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let loaded = args.rules.load()?;
    let is_broken = tell_problems(&loaded);
    let is_meant = |rule: &Rule| rule.is_asked && rule.meta.level >= args.level;
    let asked: Vec<usize> =
        (0..loaded.rules.len()).filter(|place| is_meant(&loaded.rules[*place])).collect();
    if asked.is_empty() {
        bail!("there is no rule of level {} or above", args.level);
    }
    let client = args.ask.client()?;
    let bar = progress::line(Some(asked.len() as u64));
    let (hunted, told) =
        asked_of(&client, &loaded.rules, asked, (args.since.clone(), args.until.clone()), &bar)?;
    bar.finish_and_clear();
    let report = report::Report::of(&loaded.rules, hunted);
    let look = args.color.look();
    let mut out = Output::open(look);
    match args.format {
        HuntFormat::Table => out.write_all(report.tables(look).as_bytes())?,
        HuntFormat::Json => crate::cli::list::write_json(&mut out, &report.json(&told), look)?,
        HuntFormat::Ndjson => report.lines(&mut out, look)?,
        HuntFormat::Csv => out.write_all(report.csv(look)?.as_bytes())?,
        HuntFormat::Html => out.write_all(report.html(&told).as_bytes())?,
    }
    out.close()?;
    if args.format != HuntFormat::Json {
        warn(&told.warnings);
    }
    eprintln!("{}", report.footer());
    for line in report.left_out().into_iter().chain(report::coverage(&told)) {
        eprintln!("{line}");
    }
    if is_broken || report.has_failed() {
        return Ok(Exit::Failed);
    }
    Ok(Exit::found(report.has_findings()))
}

/// Asks rules, and shows how far it is.
pub(super) fn asked_of(
    client: &Asked,
    rules: &[Rule],
    asked: Vec<usize>,
    (start, end): (Option<String>, Option<String>),
    bar: &ProgressBar,
) -> anyhow::Result<(Vec<Hunted>, Told)> {
    let wanted = Hunt { rules, asked, start, end };
    let done = |number: usize| bar.set_position(number as u64);
    hunt(&OfClient(client), &wanted, done).map_err(|error| {
        match error.downcast::<client::ClientError>() {
            Ok(error) => anyhow::Error::new(*error),
            Err(error) => anyhow::anyhow!(error),
        }
    })
}

/// A path as it is told.
pub(super) fn place(rule: &Rule) -> String {
    let path: &Path = &rule.file;
    format!("{}:{}", path.display(), rule.line)
}
