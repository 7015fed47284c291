//! `traildex rules`: what rules there are, what they ask, what they can never find, and whether they find
//! what their tests say.

mod test;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::{AskArg, Asked};
use crate::cli::hunt::{OfClient, RulesArg, asked_of, level_cell, place, tell_problems};
use crate::cli::list::{List, ListArgs};
use crate::cli::table::Cell;
use crate::cli::text::{counted, escape, labelled, thousands};
use detect::{Ask as _, Doubt, Loaded, Rule, check};
use indicatif::ProgressBar;
use language::ast::{Expr, FieldRef, Pattern, PatternPiece, Query, Test};
use wire::{QueryForm, SearchRequest, TotalMode};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the rules
    List(ListCommand),
    /// Check rules: what is wrong in the files, what can never be found, and how long each takes
    Check(CheckCommand),
    /// Show one rule, and the query that it became
    Explain(ExplainCommand),
    /// Try rules on the records of their tests
    Test(test::TestCommand),
}

#[derive(Debug, clap::Args)]
struct ListCommand {
    /// Files and folders of rules [default: the rules that come with traildex]
    #[arg(value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Args)]
struct CheckCommand {
    /// Files and folders of rules [default: the rules that come with traildex]
    #[arg(value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Ask no archive: only what AWS documents is known
    #[arg(long, conflicts_with_all = ["socket", "data_dir"])]
    offline: bool,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, clap::Args)]
struct ExplainCommand {
    /// The rule's id, name or title
    #[arg(value_name = "RULE")]
    rule: String,
    #[command(flatten)]
    rules: RulesArg,
}

/// A rule, as the list has it.
#[derive(Serialize)]
struct Listed<'r> {
    #[serde(flatten)]
    meta: &'r detect::Meta,
    kind: &'static str,
    /// False for what only a correlation asks.
    is_asked: bool,
    place: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: &'r Vec<String>,
}

impl<'r> Listed<'r> {
    fn of(rule: &'r Rule) -> Self {
        let Rule { meta, kind, is_asked, notes, .. } = rule;
        Self { meta, kind: kind.name(), is_asked: *is_asked, place: place(rule), notes }
    }
}

/// A rule, as a check has it.
#[derive(Serialize)]
struct Checked<'r> {
    title: &'r str,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    doubts: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List(command) => list(command),
        Command::Check(command) => checked(command),
        Command::Explain(command) => explain(command),
        Command::Test(command) => test::run(command),
    }
}

fn loaded(paths: &[PathBuf]) -> anyhow::Result<Loaded> {
    RulesArg { rules: paths.to_vec(), pack: false }.load()
}

fn list(command: &ListCommand) -> anyhow::Result<Exit> {
    let loaded = loaded(&command.rules)?;
    let is_broken = tell_problems(&loaded);
    let entries: Vec<Listed<'_>> = loaded.rules.iter().map(Listed::of).collect();
    let keys = [
        "level", "title", "id", "name", "kind", "is_asked", "status", "author", "license", "place",
    ];
    let list = List { answer: &entries, entries: &entries, keys: &keys };
    command.list.show(&list, &["level", "rule", "kind", "id", "place"], |rule| {
        vec![
            level_cell(rule.meta.level),
            Cell::text(Some(&rule.meta.title)),
            Cell::text(Some(if rule.is_asked { rule.kind } else { "only for a correlation" })),
            Cell::text(Some(rule.meta.key())),
            Cell::text(Some(&rule.place)),
        ]
    })?;
    eprintln!("{}", counted(loaded.rules.len() as u64, "rule"));
    Ok(if is_broken { Exit::Failed } else { Exit::found(!entries.is_empty()) })
}

/// Whether some event has a field, or a field with a value.
fn has(client: &Asked, field: &FieldRef, text: Option<&str>) -> Option<bool> {
    let test = match text {
        None => Test::Exists,
        Some(text) => Test::AnyCase(Pattern::new([PatternPiece::Text(text.to_owned())])),
    };
    let filter = Expr::Field { field: field.clone(), test };
    let request = SearchRequest {
        query: QueryForm::Tree(Box::new(Query::of(filter))),
        limit: Some(1),
        total: TotalMode::None,
        unexplained: true,
        is_unexplained: true,
        ..SearchRequest::default()
    };
    OfClient(client).search(&request).ok().map(|answer| !answer.hits.is_empty())
}

fn checked(command: &CheckCommand) -> anyhow::Result<Exit> {
    let loaded = loaded(&command.rules)?;
    let is_broken = tell_problems(&loaded);
    let client = if command.offline { None } else { reached(&command.ask)? };
    let known = |field: &FieldRef, text: Option<&str>| {
        client.as_ref().and_then(|client| has(client, field, text))
    };
    let mut entries = Vec::new();
    for (at, rule) in loaded.rules.iter().enumerate() {
        let (mut events, mut took_ms) = (None, None);
        if let Some(client) = client.as_ref().filter(|_| rule.is_asked) {
            let started = Instant::now();
            let bar = ProgressBar::hidden();
            let (hunted, _) = asked_of(client, &loaded.rules, vec![at], (None, None), &bar)?;
            took_ms = Some(started.elapsed().as_secs_f64() * 1e3);
            events = hunted.first().map(|hunted| hunted.events);
        }
        let doubts = check(rule, &known).into_iter();
        let doubts = doubts.map(|Doubt { field, reason }| format!("{field}: {reason}"));
        let doubts = doubts.chain(rule.notes.iter().cloned()).collect();
        entries.push(Checked {
            title: &rule.meta.title,
            place: place(rule),
            events,
            took_ms,
            doubts,
        });
    }
    let keys = ["title", "place", "events", "took_ms", "doubts"];
    let list = List { answer: &entries, entries: &entries, keys: &keys };
    command.list.show(&list, &["rule", "events", "ms", "what is doubtful"], |rule| {
        vec![
            Cell::text(Some(rule.title)),
            Cell::number(rule.events.map_or("-".to_owned(), thousands)),
            Cell::number(rule.took_ms.map_or("-".to_owned(), |took| format!("{took:.1}"))),
            Cell::text(
                Some(&rule.doubts.join("; ")).filter(|text| !text.is_empty()).map(String::as_str),
            ),
        ]
    })?;
    let doubtful = entries.iter().filter(|rule| !rule.doubts.is_empty()).count() as u64;
    eprintln!(
        "{}, {} of them doubtful",
        counted(entries.len() as u64, "rule"),
        thousands(doubtful)
    );
    Ok(if is_broken { Exit::Failed } else { Exit::Done })
}

/// Whoever answers, if anybody does; without one, only what AWS documents is known.
fn reached(ask: &AskArg) -> anyhow::Result<Option<Asked>> {
    let client = ask.client()?;
    match client.status() {
        Ok(_) => Ok(Some(client)),
        Err(error) => {
            eprintln!("no archive is asked ({error}): only what AWS documents is known");
            Ok(None)
        }
    }
}

fn explain(command: &ExplainCommand) -> anyhow::Result<Exit> {
    let loaded = command.rules.load()?;
    tell_problems(&loaded);
    let wanted = command.rule.as_str();
    let is_meant = |rule: &&Rule| {
        let Rule { meta, .. } = rule;
        [meta.id.as_deref(), meta.name.as_deref(), Some(meta.title.as_str())]
            .contains(&Some(wanted))
    };
    let rule = loaded.rules.iter().find(is_meant);
    let rule = rule.with_context(|| {
        format!("there is no rule '{wanted}'; 'traildex rules list' shows their ids and titles")
    })?;
    let meta = &rule.meta;
    // One line, however many the file has.
    let optional = |text: &Option<String>| {
        let words: Vec<&str> = text.as_deref().unwrap_or_default().split_whitespace().collect();
        escape(&words.join(" ")).into_owned()
    };
    let list = |texts: &[String]| escape(&texts.join("; ")).into_owned();
    let mut lines = vec![
        ("title", escape(&meta.title).into_owned()),
        ("level", meta.level.to_string()),
        ("kind", rule.kind.name().to_owned()),
        ("id", optional(&meta.id)),
        ("name", optional(&meta.name)),
        ("description", optional(&meta.description)),
        ("false positives", list(&meta.falsepositives)),
        ("tags", list(&meta.tags)),
        ("references", list(&meta.references)),
        ("author", optional(&meta.author)),
        ("license", optional(&meta.license)),
        ("place", escape(&place(rule)).into_owned()),
    ];
    let mut queries = rule.kind.queries(&loaded.rules);
    let first = queries.next();
    lines.extend(first.map(|query| ("query", escape(&query).into_owned())));
    lines.extend(queries.map(|query| ("and query", escape(&query).into_owned())));
    lines.extend(rule.kind.asks().map(|asks| ("then", escape(&asks).into_owned())));
    let doubts = check(rule, &|_, _| None).into_iter();
    lines.extend(doubts.map(|doubt| {
        ("doubtful", escape(&format!("{}: {}", doubt.field, doubt.reason)).into_owned())
    }));
    lines.extend(rule.notes.iter().map(|note| ("note", escape(note).into_owned())));
    lines.retain(|(_, text)| !text.is_empty());
    print!("{}", labelled(&lines));
    Ok(Exit::Done)
}
