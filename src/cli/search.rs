//! `traildex search`: what a query finds or makes, as a table, JSON, CSV, or records or rows one a line.

use std::io::{self, Write};

use clap::builder::RangedU64ValueParser;
use serde::Serializer;
use serde_json::Value;

use super::{EXIT_CODES, Exit, named};
use crate::cli::answer::answer_table;
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::events::{EventsLook, events_table};
use crate::cli::explained::{steps, why_empty};
use crate::cli::output::{ColorArg, Look, Output};
use crate::cli::shown::{csv_for_terminal, json_for_terminal};
use crate::cli::table::ListFormat;
use crate::cli::text::{counted, escape, thousands};
use crate::cli::times::Times;
use formats::csv::{CsvWriter, EVENT_COLUMNS};
use formats::json::one_line;
use wire::limits::SEARCH_LIMIT_MAX;
use wire::{Order, QueryForm, SearchRequest, SearchResponse, TotalMode};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// What to look for, such as 'eventName:GetObject AND 203.0.113.7 | count by actor'; several words
    /// are joined by spaces; without any, every event. See 'traildex help query'
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Earliest event time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Latest event time, itself excluded; the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset, of days, and of the times in tables: Europe/Berlin
    /// [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How many events or rows to show at most; 0 only counts [default: 50 events, 1000 rows]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=SEARCH_LIMIT_MAX as u64))]
    limit: Option<usize>,
    /// Which end of time to start from
    #[arg(long, default_value = "newest", value_parser = named::<Order>(&["newest", "oldest"]))]
    order: Order,
    /// How far to count what matches: exact, bounded (to 10,000), or none, which is quickest
    #[arg(long, default_value = "exact",
        value_parser = named::<TotalMode>(&["exact", "bounded", "none"]))]
    total: TotalMode,
    /// The 'cursor' of an earlier answer in JSON: goes on behind its last event
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Leave spans of a timeline out in which nothing was found
    #[arg(long)]
    no_empty: bool,
    /// Tell what the search did, and what each of its conditions finds by itself
    #[arg(long)]
    explain: bool,
    /// table, json (the daemon's whole answer), ndjson (the original records, or rows, one a line), or
    /// csv, safe to open in a spreadsheet
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    format: ListFormat,
    /// The fields to show, in place of the usual ones: time,actor,requestParameters.bucketName; the
    /// same as '| fields' at the end of the query
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', conflicts_with = "wide")]
    columns: Vec<String>,
    /// Each event on one line, however wide, with account, client, error and whole ids
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let times = Times::of(args.time_zone.as_deref())?;
    let request = SearchRequest {
        query: with_columns(args.query.join(" "), &args.columns).into(),
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        limit: args.limit,
        order: args.order,
        total: args.total,
        cursor: args.cursor.clone(),
        explain: args.explain,
        highlights: false,
        empty: !args.no_empty,
        unexplained: false,
        is_unexplained: false,
        is_streamed: false,
        keeps: None,
    };
    let response = args
        .ask
        .client()?
        .search(&request)
        .map_err(|error| QueryError::locate(error, &request.query.to_string()))?;
    let how = EventsLook { is_wide: args.wide, times };
    show_as(&response, &request.query, (args.format, &how), args.color.look())
}

/// The query whose answer has these columns; as it is, if there are none.
fn with_columns(query: String, columns: &[String]) -> String {
    if columns.is_empty() {
        return query;
    }
    let query = if query.trim().is_empty() { "*".to_owned() } else { query };
    format!("{query} | fields {}", columns.join(", "))
}

/// Prints what a query found or made.
pub(super) fn show(
    response: &SearchResponse,
    query: &QueryForm,
    format: ListFormat,
    look: Look,
) -> anyhow::Result<Exit> {
    show_as(response, query, (format, &EventsLook::default()), look)
}

fn show_as(
    response: &SearchResponse,
    query: &QueryForm,
    (format, how): (ListFormat, &EventsLook),
    look: Look,
) -> anyhow::Result<Exit> {
    let mut out = Output::open(look);
    write(&mut out, response, query, (format, how), look)?;
    out.close()?;
    if format != ListFormat::Json {
        let _ = writeln!(io::stderr(), "{}", footer(response));
        if let Some(explain) = &response.explain {
            let _ = writeln!(io::stderr(), "{}", steps(explain));
        }
        if let Some(why) = &response.explanation {
            let _ = writeln!(io::stderr(), "{}", why_empty(why));
        }
        for line in &response.coverage {
            let _ = writeln!(io::stderr(), "coverage: {}", escape(line));
        }
    }
    warn(response);
    let has_rows = response.table.as_ref().is_none_or(|table| table.rows_total > 0);
    Ok(Exit::found(response.total.value > 0 && has_rows))
}

/// Says why the answer may lack events.
pub(super) fn warn(response: &SearchResponse) {
    for warning in &response.warnings {
        let _ = writeln!(io::stderr(), "warning: {}", escape(warning));
    }
}

fn write(
    out: &mut impl Write,
    response: &SearchResponse,
    query: &QueryForm,
    (format, how): (ListFormat, &EventsLook),
    look: Look,
) -> anyhow::Result<()> {
    match (format, &response.table) {
        (ListFormat::Table, Some(table)) if table.rows.is_empty() => {}
        (ListFormat::Table, Some(table)) => {
            writeln!(out, "{}", answer_table(&in_zone(table, &how.times), query, look))?;
        }
        (ListFormat::Table, None) if response.hits.is_empty() => {}
        (ListFormat::Table, None) => {
            writeln!(out, "{}", events_table(&response.hits, how, look))?;
        }
        (ListFormat::Json, _) => write_json(out, &serde_json::to_string(response)?, look)?,
        (ListFormat::Ndjson, Some(table)) => {
            for row in &table.rows {
                let mut line = serde_json::Serializer::new(Vec::new());
                // In the order of the columns.
                line.collect_map(table.columns.iter().zip(row))?;
                write_json(out, &String::from_utf8(line.into_inner())?, look)?;
            }
        }
        (ListFormat::Ndjson, None) => {
            for hit in &response.hits {
                write_json(out, &one_line(hit.event.get()), look)?;
            }
        }
        (ListFormat::Csv, _) => {
            let csv = csv(response)?;
            let csv = if look.is_terminal { csv_for_terminal(&csv) } else { csv.as_str().into() };
            out.write_all(csv.as_bytes())?;
        }
    }
    Ok(())
}

/// A table with its times as they are shown.
fn in_zone(table: &wire::Table, times: &Times) -> wire::Table {
    let mut table = table.clone();
    for value in table.rows.iter_mut().flatten() {
        if let Value::String(text) = value {
            *text = times.shown(text);
        }
    }
    table
}

/// A line of JSON: as it is, or for a terminal.
fn write_json(out: &mut impl Write, json: &str, look: Look) -> io::Result<()> {
    if look.is_terminal {
        writeln!(out, "{}", json_for_terminal(json))
    } else {
        writeln!(out, "{json}")
    }
}

fn csv(response: &SearchResponse) -> anyhow::Result<String> {
    let mut csv = CsvWriter::new(Vec::new());
    match &response.table {
        Some(table) => {
            csv.names(&table.columns)?;
            table.rows.iter().try_for_each(|row| csv.row(row))?;
        }
        None => {
            csv.names(&EVENT_COLUMNS)?;
            response.hits.iter().try_for_each(|hit| csv.event(hit))?;
        }
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

fn footer(response: &SearchResponse) -> String {
    if let Some(table) = &response.table {
        let rows = match (table.rows.len() as u64, table.rows_total) {
            (shown, total) if shown == total => counted(total, "row"),
            (shown, total) => format!("{} of {}", thousands(shown), counted(total, "row")),
        };
        let estimates = if table.exact { "" } else { ", numbers of distinct values estimated" };
        let events = counted(response.total.value, "event");
        return format!("{rows} of {events}{estimates}, {:.1} ms", response.took_ms);
    }
    let mut shown = thousands(response.hits.len() as u64);
    if let Some(kept) = response.kept {
        shown = format!("{shown} of {} that dedup keeps,", thousands(kept));
    }
    let total = counted(response.total.value, "event");
    let total = match (response.total.value, response.total.exact) {
        (0, _) => return format!("no events, {:.1} ms", response.took_ms),
        (_, true) => format!("{total} (exact)"),
        (_, false) => format!("at least {total}"),
    };
    format!("{shown} of {total}, {:.1} ms", response.took_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::events::tests::hit;
    use wire::Total;

    fn sample() -> SearchResponse {
        let mut hits = vec![
            hit(
                "alice",
                "iam-user",
                r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1",
                    "sourceIPAddress":"203.0.113.7","errorCode":"AccessDenied"}"#,
            ),
            hit(
                "deploy-role/\x1b[2Jsession-of-a-build-server",
                "assumed-role",
                r#"{"eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings"}"#,
            ),
        ];
        hits[0].meta.outcome = "denied".into();
        hits[0].meta.error = "AccessDenied".into();
        hits[0].meta.target = vec!["b/k".into()];
        SearchResponse {
            hits,
            total: Total { value: 1234, exact: true },
            took_ms: 0.42,
            ..SearchResponse::default()
        }
    }

    fn rendered(format: ListFormat) -> String {
        let mut out = Vec::new();
        let how = EventsLook::default();
        write(&mut out, &sample(), &QueryForm::default(), (format, &how), Look::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ndjson_is_the_records_one_a_line() {
        let expected = r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","errorCode":"AccessDenied"}
{"eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings"}
"#;
        assert_eq!(rendered(ListFormat::Ndjson), expected);
    }

    #[test]
    fn json_is_the_daemons_answer() {
        let json = rendered(ListFormat::Json);
        let response: SearchResponse = serde_json::from_str(&json).unwrap();
        assert_eq!(response.hits[0].event.get(), sample().hits[0].event.get());
        assert_eq!(json, format!("{}\n", serde_json::to_string(&sample()).unwrap()));
    }

    #[test]
    fn csv_has_a_row_an_event() {
        let csv = rendered(ListFormat::Csv);
        let mut lines = csv.lines();
        assert_eq!(lines.next(), Some(EVENT_COLUMNS.join(",").as_str()));
        let event = "2023-07-10T11:42:36Z,alice,iam-user,s3.amazonaws.com,GetObject,b/k,203.0.113.7,\
                     eu-west-1,,,denied,AccessDenied,e1,a.json.gz,12,";
        assert_eq!(lines.next(), Some(event));
        assert_eq!(lines.count(), 1);
    }

    #[test]
    fn a_terminal_gets_csv_that_it_does_not_obey() {
        let look = Look { is_terminal: true, ..Look::default() };
        let mut out = Vec::new();
        let how = EventsLook::default();
        write(&mut out, &sample(), &QueryForm::default(), (ListFormat::Csv, &how), look).unwrap();
        let csv = String::from_utf8(out).unwrap();
        assert!(csv.contains(r"deploy-role/\u{1b}[2Jsession"), "{csv}");
        assert_eq!(csv.lines().count(), 3);
    }

    #[test]
    fn columns_are_the_fields_stage() {
        let columns = ["time".to_owned(), "actor".to_owned()];
        assert_eq!(with_columns("a:b".into(), &columns), "a:b | fields time, actor");
        assert_eq!(with_columns(" ".into(), &columns), "* | fields time, actor");
        assert_eq!(with_columns("a:b".into(), &[]), "a:b");
    }

    #[test]
    fn the_footer_says_how_many_there_are() {
        let of =
            |value, exact| footer(&SearchResponse { total: Total { value, exact }, ..sample() });
        assert_eq!(of(1234, true), "2 of 1,234 events (exact), 0.4 ms");
        assert_eq!(of(10_000, false), "2 of at least 10,000 events, 0.4 ms");
        assert_eq!(of(0, true), "no events, 0.4 ms");
    }
}
