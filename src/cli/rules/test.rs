//! `traildex rules test`: each rule on the records of its test, by the engine that answers searches.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Exit;
use crate::cli::ask::{AskArg, Asked};
use crate::cli::hunt::{asked_of, tell_problems};
use crate::cli::import::fill_quietly;
use crate::cli::text::{counted, escape};
use detect::{Kind, Loaded, Rule};

/// Bytes of one file of tests.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct TestCommand {
    /// Files and folders of rules
    #[arg(value_name = "PATH", required = true)]
    rules: Vec<PathBuf>,
    /// The folder with the tests, NAME.json for a file NAME.yml [default: the folder 'tests' beside the
    /// rules]
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
}

/// Records that a rule finds, and records that it does not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    fires: Vec<Box<RawValue>>,
    quiet: Vec<Box<RawValue>>,
}

pub(super) fn run(command: &TestCommand) -> anyhow::Result<Exit> {
    let loaded = super::loaded(&command.rules)?;
    let mut is_broken = tell_problems(&loaded);
    let files: Vec<&Path> = {
        let mut known = HashSet::new();
        loaded.rules.iter().map(|rule| rule.file.as_path()).filter(|file| known.insert(*file)).collect()
    };
    let (mut passed, mut untested) = (0, Vec::new());
    let bar = crate::cli::progress::line(Some(files.len() as u64));
    let mut faults = Vec::new();
    for file in files {
        bar.inc(1);
        let tests = match &command.tests {
            Some(folder) => folder.clone(),
            None => file.parent().unwrap_or(Path::new("")).join("tests"),
        };
        let name = file.file_stem().unwrap_or_default();
        let test = tests.join(name).with_extension("json");
        if !test.exists() {
            untested.push(file.display().to_string());
            continue;
        }
        match try_file(&loaded, file, &test) {
            Ok(of_file) if of_file.is_empty() => passed += 1,
            Ok(of_file) => faults.extend(of_file),
            Err(error) => faults.push(format!("{}: {error:#}", test.display())),
        }
    }
    bar.finish_and_clear();
    for fault in &faults {
        println!("{}", escape(fault));
    }
    is_broken |= !faults.is_empty();
    if let Some(first) = untested.first() {
        let files = counted(untested.len() as u64, "file");
        eprintln!("{files} without a test, such as {}", escape(first));
    }
    eprintln!("{} as their tests say", counted(passed, "file"));
    Ok(if is_broken { Exit::Failed } else { Exit::Done })
}

/// What is not as the test of a file says.
fn try_file(loaded: &Loaded, file: &Path, test: &Path) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    fs::File::open(test)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        bail!("a file of tests has {BYTES_MAX} bytes at most");
    }
    let case: Case = serde_json::from_str(&text)?;
    if case.fires.is_empty() || case.quiet.is_empty() {
        bail!("a test has records that fire, and records that do not");
    }
    let is_here = |place: &usize| {
        let rule = &loaded.rules[*place];
        rule.file == file && rule.is_asked
    };
    let asked: Vec<usize> = (0..loaded.rules.len()).filter(is_here).collect();
    let mut faults = Vec::new();
    let fires = events_of(loaded, &asked, &case.fires)?;
    for (place, events) in asked.iter().zip(fires) {
        let rule = &loaded.rules[*place];
        let title = &rule.meta.title;
        let wanted = if is_of_single_events(rule) { case.fires.len() as u64 } else { 1 };
        if events < wanted {
            faults.push(format!("'{title}' finds {events} of {} that it should find", counted(wanted, "event")));
        }
    }
    let quiet = events_of(loaded, &asked, &case.quiet)?;
    for (place, events) in asked.iter().zip(quiet) {
        let title = &loaded.rules[*place].meta.title;
        if events > 0 {
            faults.push(format!("'{title}' finds {} that it should not find", counted(events, "event")));
        }
    }
    Ok(faults.into_iter().map(|fault| format!("{}: {fault}", file.display())).collect())
}

fn is_of_single_events(rule: &Rule) -> bool {
    matches!(rule.kind, Kind::Events(_))
}

/// How many events each of some rules finds in an archive of these records and no others.
fn events_of(loaded: &Loaded, asked: &[usize], records: &[Box<RawValue>]) -> anyhow::Result<Vec<u64>> {
    let folder = tempfile::Builder::new().prefix("traildex-rules-").tempdir()?;
    let archive = folder.path().join("records.json");
    let texts: Vec<&str> = records.iter().map(|record| record.get()).collect();
    fs::write(&archive, format!("{{\"Records\":[{}]}}", texts.join(",")))?;
    let data_dir = folder.path().join("index");
    let events = fill_quietly(&data_dir, &archive)?;
    if events != records.len() as u64 {
        bail!("of {} {events} are whole and different", counted(records.len() as u64, "record"));
    }
    let client = asked_offline(data_dir)?;
    let bar = ProgressBar::hidden();
    let (hunted, _) = asked_of(&client, &loaded.rules, asked.to_vec(), (None, None), &bar)?;
    let events = hunted.into_iter().map(|hunted| match hunted.error {
        Some(error) => Err(anyhow::anyhow!(error)),
        None => Ok(hunted.events),
    });
    events.collect::<Result<_, _>>().context("a rule could not be asked")
}

fn asked_offline(data_dir: PathBuf) -> anyhow::Result<Asked> {
    AskArg::of_data_dir(data_dir).client()
}
