//! `traildex alerts`: what rules found while the daemon ran, and what became of it.

use std::io::{self, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use clap::builder::RangedU64ValueParser;

use super::{EXIT_CODES, Exit, SocketArg, named};
use crate::cli::ask::AskArg;
use crate::cli::hunt::level_cell;
use crate::cli::list::{List, ListArgs};
use crate::cli::output::Look;
use crate::cli::shown::json_for_terminal;
use crate::cli::table::{Cell, Format, ListFormat};
use crate::cli::text::{counted, escape, labelled, thousands};
use client::{Client, ClientError};
use detect::Level;
use wire::limits::ALERTS_LIMIT_MAX;
use wire::{
    Alert, AlertChange, AlertChangeKind, AlertChangesRequest, AlertState, AlertsChangeRequest,
    AlertsRequest, AlertsResponse, RulesStatus,
};

/// Digits of an alert's id that a table shows.
const ID_SHOWN: usize = 12;

/// Seconds that one request waits for a change.
const WAIT_S: u64 = 30;

/// Between two tries to reach the daemon again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Words, in any case; each must be in some text of the alert
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Only alerts in this state: open, acknowledged or closed
    #[arg(long, value_parser = named::<AlertState>(&["open", "acknowledged", "closed"]))]
    state: Option<AlertState>,
    /// Those that proved to be wrong, in place of those that stand
    #[arg(long)]
    withdrawn: bool,
    /// Only alerts of the rule with this id, name or title
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only alerts of this level and those above it: informational, low, medium, high or critical
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// Only alerts with an event since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, alias = "start", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only alerts with an event before this time
    #[arg(long, alias = "end", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// How many alerts to show at most
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=ALERTS_LIMIT_MAX as u64))]
    limit: usize,
    /// Show changes as they come, until interrupted: a line each, or with --format ndjson the whole change
    #[arg(long, conflicts_with_all = ["words", "state", "withdrawn", "rule", "level", "since", "until", "limit"])]
    follow: bool,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show an alert whole
    Show(ShowCommand),
    /// Acknowledge, close or reopen alerts, or note something
    Set(SetCommand),
}

#[derive(Debug, clap::Args)]
struct ShowCommand {
    /// The alert's id, or its beginning
    id: String,
    /// text, or json
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
struct SetCommand {
    /// The alerts' ids, or their beginnings
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// open, acknowledged or closed
    #[arg(long, group = "what", value_parser = named::<AlertState>(&["open", "acknowledged", "closed"]))]
    state: Option<AlertState>,
    /// What to note; an empty text takes the note away
    #[arg(long, group = "what", value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    socket: SocketArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Some(Command::Show(command)) => return show(command),
        Some(Command::Set(command)) => return set(command),
        None => {}
    }
    let client = args.ask.client()?;
    if args.follow {
        return follow(&client, args.list.format == ListFormat::Ndjson);
    }
    let request = AlertsRequest {
        q: Some(args.words.join(" ")).filter(|words| !words.is_empty()),
        state: args.state,
        withdrawn: args.withdrawn.then_some(true),
        rule: args.rule.clone(),
        level: args.level.clone(),
        start: args.since.clone(),
        end: args.until.clone(),
        limit: Some(args.limit),
        ..AlertsRequest::default()
    };
    let answer = client.alerts(&request)?;
    let keys = [
        "id",
        "rule",
        "kind",
        "group",
        "first",
        "last",
        "events",
        "state",
        "note",
        "query",
        "withdrawn",
        "raised",
        "changed",
    ];
    let list = List { answer: &answer, entries: &answer.alerts, keys: &keys };
    let header = ["ID", "LEVEL", "STATE", "LAST", "EVENTS", "RULE", "OF"];
    args.list.show(&list, &header, row)?;
    tell(&answer, args.list.format);
    Ok(Exit::found(answer.total > 0))
}

fn row(alert: &Alert) -> Vec<Cell> {
    let level = Level::ALL.into_iter().find(|level| level.name() == alert.rule.level);
    vec![
        Cell::text(Some(&alert.id[..alert.id.floor_char_boundary(ID_SHOWN)])),
        level_cell(level.unwrap_or_default()),
        Cell::text(Some(state_of(alert))),
        Cell::text(Some(&alert.last)),
        Cell::number(thousands(alert.events)),
        Cell::text(Some(&alert.rule.title)),
        Cell::text(Some(&group_of(alert))),
    ]
}

fn state_of(alert: &Alert) -> &'static str {
    match alert.state {
        _ if alert.withdrawn.is_some() => "withdrawn",
        AlertState::Open => "open",
        AlertState::Acknowledged => "acknowledged",
        AlertState::Closed => "closed",
    }
}

fn group_of(alert: &Alert) -> String {
    let of = alert.group.iter().map(|(name, value)| format!("{name} {value}"));
    of.collect::<Vec<_>>().join(", ")
}

/// Tells what the list leaves out, and what it may lack.
fn tell(answer: &AlertsResponse, format: ListFormat) {
    let mut told = io::stderr().lock();
    let shown = answer.alerts.len() as u64;
    if shown < answer.total {
        let more = answer.total - shown;
        let _ = writeln!(told, "{} more: narrow it down, or raise --limit", counted(more, "alert"));
    }
    if format == ListFormat::Json {
        return;
    }
    let RulesStatus { rules, is_current, problems, failed, dropped, .. } = &answer.rules;
    if *rules == 0 {
        let _ = writeln!(
            told,
            "no rules are asked: see rules.dirs and rules.pack in the configuration"
        );
    } else if !is_current {
        let _ = writeln!(told, "the rules have not looked at all events yet");
    }
    if *dropped > 0 {
        let _ =
            writeln!(told, "{} dropped, because there were too many", counted(*dropped, "alert"));
    }
    for line in problems.iter().chain(failed) {
        let _ = writeln!(told, "warning: {}", escape(line));
    }
}

/// The alert whose id begins so.
fn one(client: &Client, id: &str) -> anyhow::Result<Alert> {
    let mut found = Vec::new();
    for withdrawn in [false, true] {
        let request = AlertsRequest {
            id: Some(id.to_owned()),
            withdrawn: Some(withdrawn),
            limit: Some(2),
            ..AlertsRequest::default()
        };
        found.extend(client.alerts(&request)?.alerts);
    }
    if found.len() > 1 {
        bail!("several alerts have an id that begins with {}: give more of it", escape(id));
    }
    match found.pop() {
        Some(alert) => Ok(alert),
        None => bail!("no alert has an id that begins with {}", escape(id)),
    }
}

fn show(ShowCommand { id, format, ask }: &ShowCommand) -> anyhow::Result<Exit> {
    let alert = one(&*ask.client()?, id)?;
    let look = Look::of_stdout();
    let mut out = io::stdout().lock();
    match format {
        Format::Json => crate::cli::list::write_json(&mut out, &alert, look)?,
        Format::Text => writeln!(out, "{}", described(&alert))?,
    }
    Ok(Exit::Done)
}

fn described(alert: &Alert) -> String {
    let Alert { rule, .. } = alert;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut lines = vec![
        ("id", alert.id.clone()),
        ("rule", rule.title.clone()),
        ("level", rule.level.clone()),
        ("about", text(&rule.description).trim().to_owned()),
    ];
    lines.extend(alert.group.iter().map(|(name, value)| (name.as_str(), value.clone())));
    lines.extend([
        ("first", alert.first.clone()),
        ("last", alert.last.clone()),
        ("events", alert.events.to_string()),
        ("query", text(&alert.query)),
        ("state", state_of(alert).to_owned()),
        ("note", text(&alert.note)),
        ("by", alert.by.map(|by| format!("user {by}")).unwrap_or_default()),
        ("raised", alert.raised.clone()),
        ("changed", alert.changed.clone()),
        ("withdrawn", text(&alert.withdrawn)),
        ("can be", rule.falsepositives.join("; ")),
        ("tags", rule.tags.join(" ")),
        ("see", rule.references.join(" ")),
        ("author", text(&rule.author)),
        ("licence", text(&rule.license)),
    ]);
    labelled(&lines)
}

fn set(SetCommand { ids, state, note, socket }: &SetCommand) -> anyhow::Result<Exit> {
    let client = socket.client();
    let ids = ids.iter().map(|id| Ok(one(&client, id)?.id));
    let ids = ids.collect::<anyhow::Result<Vec<String>>>()?;
    let request = AlertsChangeRequest { ids, state: *state, note: note.clone() };
    let changed = client.change_alerts(&request)?;
    let _ = writeln!(io::stderr(), "{} set", counted(changed.alerts.len() as u64, "alert"));
    Ok(Exit::Done)
}

/// Writes changes as they come.
fn follow(client: &Client, is_whole: bool) -> anyhow::Result<Exit> {
    let mut request = AlertChangesRequest { limit: Some(1), ..AlertChangesRequest::default() };
    let first = client.alert_changes(&request)?;
    let mut log = first.log;
    request = AlertChangesRequest { after: first.last, limit: None, wait: WAIT_S };
    loop {
        let answer = match client.alert_changes(&request) {
            Ok(answer) => answer,
            Err(error @ ClientError::Api(_)) => return Err(error.into()),
            Err(error) => {
                let _ = writeln!(io::stderr(), "{}; trying again", escape(&error.to_string()));
                thread::sleep(PAUSE);
                continue;
            }
        };
        if answer.log != log {
            let _ = writeln!(io::stderr(), "the alerts were made anew");
            (log, request.after) = (answer.log, 0);
            continue;
        }
        if answer.missed > 0 {
            let missed = counted(answer.missed, "change");
            let _ = writeln!(io::stderr(), "{missed} are no longer kept, and not shown");
        }
        let mut out = io::stdout().lock();
        for change in answer.changes {
            request.after = change.number;
            let line = if is_whole {
                json_for_terminal(&serde_json::to_string(&change)?).into_owned()
            } else {
                line(&change)
            };
            // Nobody reads it any more.
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return Ok(Exit::Done);
            }
        }
    }
}

fn line(AlertChange { time, change, alert, .. }: &AlertChange) -> String {
    let what = match change {
        AlertChangeKind::Raised => "raised",
        AlertChangeKind::Grown => "grown",
        AlertChangeKind::Withdrawn => "withdrawn",
        AlertChangeKind::Acknowledged => "acknowledged",
        AlertChangeKind::Closed => "closed",
        AlertChangeKind::Reopened => "reopened",
        AlertChangeKind::Noted => "noted",
    };
    let events = counted(alert.events, "event");
    let text = format!(
        "{time} {what} {} {}: {} ({}, {events})",
        &alert.id[..alert.id.floor_char_boundary(ID_SHOWN)],
        alert.rule.level,
        alert.rule.title,
        group_of(alert)
    );
    escape(&text).into_owned()
}
