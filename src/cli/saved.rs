//! `traildex saved`: searches under a name, with parameters.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use clap::Subcommand;
use clap::builder::RangedU64ValueParser;

use super::{EXIT_CODES, Exit, SocketArg, named};
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::list::{List, ListArgs, write_json};
use crate::cli::output::{ColorArg, Look};
use crate::cli::search::show;
use crate::cli::table::{Cell, Format, ListFormat};
use crate::cli::text::{escape, labelled};
use client::ClientError;
use wire::limits::SEARCH_LIMIT_MAX;
use wire::{ApiError, ErrorKind, Order, Parameter, SavedRequest, SavedSearch};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the saved searches
    List(ListCommand),
    /// Show a saved search whole
    Show(ShowCommand),
    /// Save a search, or replace one
    Set(SetCommand),
    /// Find events with a saved search
    Run(RunCommand),
    /// Forget a saved search
    Delete(DeleteCommand),
}

#[derive(Debug, clap::Args)]
struct ListCommand {
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, clap::Args)]
struct ShowCommand {
    name: String,
    /// text, or json
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, clap::Args)]
struct SetCommand {
    /// Letters, digits, '-', '_' and '.'
    name: String,
    /// The query, with $name in place of values that each run gives; several words are joined by spaces
    #[arg(value_name = "QUERY", required = true)]
    query: Vec<String>,
    /// What it finds, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The value of a parameter where a run gives none
    #[arg(long, value_name = "PARAMETER=VALUE", value_parser = assignment)]
    default: Vec<(String, String)>,
    #[command(flatten)]
    span: SpanArgs,
    #[command(flatten)]
    socket: SocketArg,
}

#[derive(Debug, clap::Args)]
struct RunCommand {
    name: String,
    /// Values of the search's parameters
    #[arg(value_name = "PARAMETER=VALUE", value_parser = assignment)]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    span: SpanArgs,
    /// Leave spans of a timeline out in which nothing was found
    #[arg(long)]
    no_empty: bool,
    /// table, json (the daemon's whole answer), ndjson (the original records, or rows, one a line), or
    /// csv, safe to open in a spreadsheet
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    format: ListFormat,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, clap::Args)]
struct DeleteCommand {
    name: String,
    #[command(flatten)]
    socket: SocketArg,
}

/// Of which time, how many and in which order; what a run does not say is as it was saved.
#[derive(Debug, clap::Args)]
struct SpanArgs {
    /// Earliest event time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Latest event time, itself excluded; the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset, and of days: Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How many events or rows to show at most
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=SEARCH_LIMIT_MAX as u64))]
    limit: Option<usize>,
    /// Which end of time to start from
    #[arg(long, value_parser = named::<Order>(&["newest", "oldest"]))]
    order: Option<Order>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List(command) => list(command),
        Command::Show(command) => show_saved(command),
        Command::Set(command) => set(command),
        Command::Run(command) => run_saved(command),
        Command::Delete(DeleteCommand { name, socket }) => {
            socket.client().delete_saved(name)?;
            Ok(Exit::Done)
        }
    }
}

fn list(ListCommand { list, ask }: &ListCommand) -> anyhow::Result<Exit> {
    let answer = ask.client()?.saved()?;
    let entries: Vec<Entry> =
        answer.saved.iter().map(|(name, search)| Entry { name, search }).collect();
    let keys = ["name", "description", "query", "parameters", "start", "end", "owner"];
    let all = List { answer: &answer, entries: &entries, keys: &keys };
    list.show(
        &all,
        &["NAME", "QUERY", "DEFAULTS", "OWNER", "DESCRIPTION"],
        |Entry { name, search }| {
            let defaults: Vec<String> = search
                .parameters
                .iter()
                .filter_map(|(name, known)| Some(format!("{name}={}", known.default.as_ref()?)))
                .collect();
            let defaults = defaults.join(", ");
            vec![
                Cell::text(Some(name)),
                Cell::text(Some(&search.query)),
                Cell::text(Some(defaults.as_str()).filter(|defaults| !defaults.is_empty())),
                Cell::text(search.owner.map(|owner| owner.to_string()).as_deref()),
                Cell::text(search.description.as_deref()),
            ]
        },
    )?;
    if answer.saved.is_empty() && list.format == ListFormat::Table {
        let _ = writeln!(io::stderr(), "no search is saved yet: traildex saved set NAME QUERY");
    }
    // It is no search, and has found what there is.
    Ok(Exit::Done)
}

fn show_saved(ShowCommand { name, format, ask }: &ShowCommand) -> anyhow::Result<Exit> {
    let Some(search) = ask.client()?.saved()?.saved.remove(name) else {
        anyhow::bail!(unknown(name));
    };
    let mut out = io::stdout().lock();
    match format {
        Format::Text => writeln!(out, "{}", described(name, &search))?,
        Format::Json => write_json(&mut out, &Entry { name, search: &search }, Look::of_stdout())?,
    }
    Ok(Exit::Done)
}

/// The error that the daemon has for a name that it does not know.
fn unknown(name: &str) -> ClientError {
    ApiError::new(ErrorKind::NotFound, format!("no search is saved as '{name}'")).into()
}

fn described(name: &str, search: &SavedSearch) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let order = search.order.map(|order| format!("{order:?} first").to_lowercase());
    let mut lines = vec![
        ("name", name.to_owned()),
        ("query", search.query.clone()),
        ("about", text(&search.description)),
        ("since", text(&search.start)),
        ("until", text(&search.end)),
        ("zone", text(&search.time_zone)),
        ("limit", search.limit.map(|limit| limit.to_string()).unwrap_or_default()),
        ("order", order.unwrap_or_default()),
        ("owner", search.owner.map(|owner| owner.to_string()).unwrap_or_default()),
    ];
    for (name, Parameter { default, description }) in &search.parameters {
        let default = default.as_ref().map(|default| format!("={default}"));
        let about = description.as_ref().map(|about| format!(", {about}"));
        let (default, about) = (default.unwrap_or_default(), about.unwrap_or_default());
        lines.push(("value", format!("{name}{default}{about}")));
    }
    labelled(&lines)
}

#[derive(serde::Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(flatten)]
    search: &'a SavedSearch,
}

fn set(args: &SetCommand) -> anyhow::Result<Exit> {
    let SpanArgs { since, until, time_zone, limit, order } = &args.span;
    let parameter = |(name, value): &(String, String)| {
        (name.clone(), Parameter { default: Some(value.clone()), description: None })
    };
    let search = SavedSearch {
        query: args.query.join(" "),
        description: args.description.clone(),
        parameters: args.default.iter().map(parameter).collect(),
        start: since.clone(),
        end: until.clone(),
        time_zone: time_zone.clone(),
        limit: *limit,
        order: *order,
        owner: None,
    };
    let client = args.socket.client();
    let saved = client.save(&args.name, &search);
    saved.map_err(|error| QueryError::locate(error, &search.query))?;
    let _ = writeln!(io::stderr(), "saved as {}", escape(&args.name));
    Ok(Exit::Done)
}

fn run_saved(args: &RunCommand) -> anyhow::Result<Exit> {
    let SpanArgs { since, until, time_zone, limit, order } = &args.span;
    let request = SavedRequest {
        parameters: args.parameters.iter().cloned().collect::<BTreeMap<_, _>>(),
        start: since.clone(),
        end: until.clone(),
        time_zone: time_zone.clone(),
        limit: *limit,
        order: *order,
        empty: !args.no_empty,
        ..SavedRequest::default()
    };
    let client = args.ask.client()?;
    let response = client.search_saved(&args.name, &request)?;
    // What the table is made of tells how to show it.
    let query = client.saved()?.saved.remove(&args.name).unwrap_or_default().query;
    show(&response, &query.into(), args.format, args.color.look())
}
