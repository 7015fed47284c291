//! `traildex coverage`: what the archive can know. Gaps first, then what was done to trails, which data
//! events were recorded, and files and events by account, region and time, as a table or a map.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use comfy_table::Color;
use serde_json::Value;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::{AskArg, Asked};
use crate::cli::coverage_map::map;
use crate::cli::fields::warn;
use crate::cli::list::write_json;
use crate::cli::output::{ColorArg, Look, Output};
use crate::cli::shown::csv_for_terminal;
use crate::cli::table::{Cell, table};
use crate::cli::text::{counted, escape, thousands};
use formats::csv::CsvWriter;
use trail::time::Micros;
use wire::limits::COVERAGE_GROUPS_MAX;
use wire::{
    CoverageGap, CoverageGroup, CoverageKey, CoverageRequest, CoverageResponse, DataEvents,
    DigestState, Integrity, Recording, StateCount, TrailChange,
};

/// A map is by hours where the archive has no more days than these.
const HOURS_DAYS_MAX: i64 = 4;

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Resources that a cell names; of the others, there is the count.
const RESOURCES_SHOWN: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// What to sum up by: account, region, and day or hour, or some of these
    /// [default: account,region,day]
    #[arg(long, value_name = "account,region,day|hour", value_delimiter = ',', value_parser = keys())]
    by: Vec<CoverageKey>,
    /// Only since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, alias = "start", value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only before this time
    #[arg(long, alias = "end", value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset: Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Only this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How many sums to list at most [default: 10000]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=COVERAGE_GROUPS_MAX as u64))]
    limit: Option<usize>,
    /// table, map (a row for each account and region, a sign for each day or hour), json (the daemon's
    /// whole answer), ndjson (one sum a line), or csv (the sums)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = CoverageFormat::Table)]
    format: CoverageFormat,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CoverageFormat {
    Table,
    Map,
    Json,
    Ndjson,
    Csv,
}

fn keys() -> impl TypedValueParser<Value = CoverageKey> {
    PossibleValuesParser::new(CoverageKey::ALL.map(|(name, _)| name)).map(|name| {
        let found = CoverageKey::ALL.iter().find(|(known, _)| *known == name);
        found.expect("only these are possible").1
    })
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let request = CoverageRequest {
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        account: args.account.clone(),
        region: args.region.clone(),
        by: args.by.clone(),
        limit: args.limit,
    };
    let client = args.ask.client()?;
    let mut answer = client.coverage(&request)?;
    let mut by = if args.by.is_empty() { CoverageKey::DEFAULT.to_vec() } else { args.by.clone() };
    if args.format == CoverageFormat::Map && args.by.is_empty() {
        by = finer(&client, request, &mut answer)?.unwrap_or(by);
    }
    let look = args.color.look();
    let mut out = Output::open(look);
    write(&mut out, &answer, &by, args.format, look)?;
    out.close()?;
    if args.format != CoverageFormat::Json {
        let _ = writeln!(io::stderr(), "{}", footer(&answer));
    }
    for note in &answer.notes {
        let _ = writeln!(io::stderr(), "left out: {}", escape(note));
    }
    warn(&answer.warnings);
    Ok(Exit::found(answer.total > 0))
}

/// Asks for hours where there are few days.
fn finer(
    client: &Asked,
    request: CoverageRequest,
    answer: &mut CoverageResponse,
) -> anyhow::Result<Option<Vec<CoverageKey>>> {
    let times = answer.groups.iter().filter_map(|group| group.time);
    let Some((first, last)) = times.clone().min().zip(times.max()) else { return Ok(None) };
    if last.0 - first.0 >= HOURS_DAYS_MAX * DAY_US {
        return Ok(None);
    }
    let by = vec![CoverageKey::Account, CoverageKey::Region, CoverageKey::Hour];
    *answer = client.coverage(&CoverageRequest { by: by.clone(), ..request })?;
    Ok(Some(by))
}

fn write(
    out: &mut impl Write,
    answer: &CoverageResponse,
    by: &[CoverageKey],
    format: CoverageFormat,
    look: Look,
) -> anyhow::Result<()> {
    match format {
        CoverageFormat::Json => write_json(out, answer, look)?,
        CoverageFormat::Ndjson => {
            for group in &answer.groups {
                write_json(out, group, look)?;
            }
        }
        CoverageFormat::Csv => {
            let csv = csv(answer, by)?;
            let csv = if look.is_terminal { csv_for_terminal(&csv) } else { csv.as_str().into() };
            out.write_all(csv.as_bytes())?;
        }
        CoverageFormat::Table | CoverageFormat::Map => {
            let mut parts = lists(answer, look);
            if !answer.groups.is_empty() {
                parts.push(if format == CoverageFormat::Map {
                    map(&answer.groups, by, look)
                } else {
                    groups(&answer.groups, by, look)
                });
            }
            if !parts.is_empty() {
                writeln!(out, "{}", parts.join("\n\n"))?;
            }
        }
    }
    Ok(())
}

const SUM_COLUMNS: [&str; 6] = ["files", "events", "hours", "missing", "first", "last"];

/// What the digests say, of files and of themselves.
const STATE_COLUMNS: [&str; 2] = ["integrity", "digests"];

/// The names of the columns that groups are of.
fn names(by: &[CoverageKey]) -> Vec<&'static str> {
    let is_time = |key: &CoverageKey| matches!(key, CoverageKey::Day | CoverageKey::Hour);
    let mut names: Vec<&str> =
        by.iter().filter(|key| !is_time(key)).map(|key| key.name()).collect();
    if by.iter().any(is_time) {
        names.push("time");
    }
    names
}

/// The keys of the JSON, each a column.
fn csv(answer: &CoverageResponse, by: &[CoverageKey]) -> anyhow::Result<String> {
    let columns: Vec<&str> =
        names(by).into_iter().chain(SUM_COLUMNS).chain(STATE_COLUMNS).collect();
    let mut csv = CsvWriter::new(Vec::new());
    csv.names(&columns)?;
    for group in &answer.groups {
        let states = [counted_states(&group.integrity), counted_states(&group.digests)];
        let mut group = serde_json::to_value(group)?;
        for (name, states) in STATE_COLUMNS.iter().zip(states) {
            group[*name] = Value::String(states);
        }
        csv.row(&columns.iter().map(|name| group[*name].clone()).collect::<Vec<Value>>())?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// What comes before the sums; each part under its own header.
fn lists(answer: &CoverageResponse, look: Look) -> Vec<String> {
    let CoverageResponse { gaps, trails, recordings, data_events, .. } = answer;
    let mut parts = Vec::new();
    let mut part = |header: &[&str], rows: Vec<Vec<Cell>>| {
        if !rows.is_empty() {
            parts.push(table(header, &rows, look));
        }
    };
    part(&["NO EVENTS FROM", "TO", "HOURS", "ACCOUNT", "REGION"], gaps.iter().map(gap).collect());
    part(
        &["TIME", "TRAIL", "CHANGE", "ACCOUNT", "REGION", "ACTOR", "EVENT"],
        trails.iter().map(change).collect(),
    );
    part(
        &["RECORDED FROM", "TO", "DATA EVENTS", "RESOURCES", "TRAIL", "ACCOUNT"],
        recordings.iter().map(recording).collect(),
    );
    part(
        &["DATA EVENTS OF", "ACCOUNT", "EVENTS", "FIRST", "LAST"],
        data_events.iter().map(data).collect(),
    );
    parts
}

fn text(text: &str) -> Cell {
    Cell::text(Some(text).filter(|text| !text.is_empty()))
}

fn time(time: Option<Micros>) -> Cell {
    Cell::text(time.map(|time| time.to_string()).as_deref())
}

fn gap(gap: &CoverageGap) -> Vec<Cell> {
    let CoverageGap { account, region, start, end, hours, is_end } = gap;
    let end = if *is_end { format!("{end}, others go on") } else { end.to_string() };
    vec![
        time(Some(*start)).coloured(Color::Red),
        text(&end),
        Cell::number(thousands(*hours)),
        text(account),
        text(region),
    ]
}

fn change(told: &TrailChange) -> Vec<Cell> {
    let TrailChange { time: at, action, account, region, trail, actor, id, change } = told;
    let is_end = matches!(action.as_str(), "StopLogging" | "DeleteTrail");
    let change = text(change);
    vec![
        time(Some(*at)),
        text(trail),
        if is_end { change.coloured(Color::Red) } else { change },
        text(account),
        text(region),
        text(actor),
        text(id.get(..8).unwrap_or(id)),
    ]
}

fn recording(recording: &Recording) -> Vec<Cell> {
    let Recording { resource_type, resources, only, account, trail, from, until, .. } = recording;
    let mut named = resources.iter().take(RESOURCES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match resources.len().saturating_sub(RESOURCES_SHOWN) {
        0 if resources.is_empty() => named.push_str("all"),
        0 => {}
        more => {
            let _ = write!(named, " and {more} more");
        }
    }
    if !only.is_empty() {
        let _ = write!(named, ", {only}");
    }
    vec![
        time(Some(*from)),
        time(*until),
        text(resource_type),
        text(&named),
        text(trail),
        text(account),
    ]
}

fn data(data: &DataEvents) -> Vec<Cell> {
    let DataEvents { source, account, events, first, last } = data;
    let events = Cell::number(thousands(*events));
    vec![text(source), text(account), events, time(Some(*first)), time(Some(*last))]
}

fn groups(groups: &[CoverageGroup], by: &[CoverageKey], look: Look) -> String {
    // Without digests, there is nothing to say of them.
    let is_judged =
        groups.iter().any(|group| !group.integrity.is_empty() || !group.digests.is_empty());
    let names_judged = if is_judged { &STATE_COLUMNS[..] } else { &[] };
    let columns = names(by).into_iter().chain(SUM_COLUMNS).chain(names_judged.iter().copied());
    let header: Vec<String> = columns.map(str::to_uppercase).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let is_hour = by.contains(&CoverageKey::Hour);
    let row = |group: &CoverageGroup| {
        let CoverageGroup { account, region, time: at, files, events, hours, missing, .. } = group;
        let CoverageGroup { first, last, integrity, digests, .. } = group;
        let missing = if *missing == 0 {
            Cell::number("0")
        } else {
            Cell::number(thousands(*missing)).coloured(Color::Red)
        };
        // In the order of the header.
        let names = names(by).into_iter().map(|name| match name {
            "account" => text(account.as_deref().unwrap_or_default()),
            "region" => text(region.as_deref().unwrap_or_default()),
            _ => text(&at.map(|at| shown(at, is_hour)).unwrap_or_default()),
        });
        let counts = [files, events, hours].map(|count| Cell::number(thousands(*count)));
        let times = [time(*first), time(*last)];
        let is_good = integrity.iter().all(|of| of.state == Integrity::Verified);
        let states = [
            states(integrity, is_good),
            states(digests, digests.iter().all(|of| of.state == DigestState::Verified)),
        ];
        let judged = states.into_iter().take(names_judged.len());
        names.chain(counts).chain([missing]).chain(times).chain(judged).collect()
    };
    let rows: Vec<Vec<Cell>> = groups.iter().map(row).collect();
    table(&header, &rows, look)
}

/// How many are in which state: `12 verified, 1 missing`.
fn counted_states<S: std::fmt::Display>(counts: &[StateCount<S>]) -> String {
    let counts = counts.iter().map(|of| format!("{} {}", thousands(of.count), of.state));
    counts.collect::<Vec<_>>().join(", ")
}

/// Red where not all is well.
fn states<S: std::fmt::Display>(counts: &[StateCount<S>], is_good: bool) -> Cell {
    let cell = text(&counted_states(counts));
    if is_good { cell } else { cell.coloured(Color::Red) }
}

/// A day, or a day and an hour.
pub(super) fn shown(time: Micros, is_hour: bool) -> String {
    let text = time.to_string();
    if is_hour {
        let minutes: String = text.chars().take("2023-07-10T11:00".len()).collect();
        return minutes + "Z";
    }
    text.chars().take("2023-07-10".len()).collect()
}

fn footer(answer: &CoverageResponse) -> String {
    let span = match (answer.first, answer.last) {
        (Some(first), Some(last)) => format!("events from {first} to {last}"),
        _ => "no events".to_owned(),
    };
    let data = if answer.recordings.is_empty() && answer.data_events.is_empty() {
        "no data events are known to be recorded".to_owned()
    } else {
        counted(answer.data_events.len() as u64, "kind") + " of data events"
    };
    format!(
        "{span}; {}, {}, {data}; {} of {}",
        counted(answer.gaps.len() as u64, "gap"),
        counted(answer.trails.len() as u64, "change") + " of trails",
        thousands(answer.groups.len() as u64),
        counted(answer.total, "sum")
    )
}
