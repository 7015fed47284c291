//! `traildex search`: what a query finds or makes, as a table, as JSON, or as records or rows.

use std::io::{self, BufWriter, Write};

use clap::builder::RangedU64ValueParser;
use comfy_table::{Attribute, Cell, Color};
use serde::Serializer;

use super::errors::QueryError;
use super::json::{for_terminal, one_line};
use super::record::Record;
use super::table::{ListFormat, Look, answer_table, cell};
use super::text::{counted, escape, thousands};
use super::{EXIT_CODES, Exit, SocketArg, named};
use crate::api::proto::{Hit, Order, SearchRequest, SearchResponse, TotalMode};
use crate::limits::SEARCH_LIMIT_MAX;

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
    /// Zone of times without an offset, and of days: Europe/Berlin [default: UTC]
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
    /// table, json (the daemon's whole answer), or ndjson (the original records, or rows, one a line)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    format: ListFormat,
    #[command(flatten)]
    socket: SocketArg,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let request = SearchRequest {
        query: args.query.join(" ").into(),
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
        limit: args.limit,
        order: args.order,
        total: args.total,
        cursor: args.cursor.clone(),
    };
    let response = args
        .socket
        .client()
        .search(&request)
        .map_err(|error| QueryError::locate(error, &request.query.to_string()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out, &response, args.format, Look::of_stdout())?;
    out.flush()?;
    if args.format != ListFormat::Json {
        let _ = writeln!(io::stderr(), "{}", footer(&response));
    }
    warn(&response);
    let has_rows = response.table.as_ref().is_none_or(|table| table.rows_total > 0);
    Ok(Exit::found(response.total.value > 0 && has_rows))
}

/// Says why the answer may lack events.
pub fn warn(response: &SearchResponse) {
    for warning in &response.warnings {
        let _ = writeln!(io::stderr(), "warning: {}", escape(warning));
    }
}

fn write(
    out: &mut impl Write,
    response: &SearchResponse,
    format: ListFormat,
    look: Look,
) -> anyhow::Result<()> {
    match (format, &response.table) {
        (ListFormat::Table, Some(table)) if !table.rows.is_empty() => {
            writeln!(out, "{}", answer_table(table, look))?;
        }
        (ListFormat::Ndjson, Some(table)) => {
            for row in &table.rows {
                let mut line = serde_json::Serializer::new(Vec::new());
                // In the order of the columns.
                line.collect_map(table.columns.iter().zip(row))?;
                write_json(out, &String::from_utf8(line.into_inner())?, look)?;
            }
        }
        (format, _) => write_events(out, response, format, look)?,
    }
    Ok(())
}

fn write_events(
    out: &mut impl Write,
    response: &SearchResponse,
    format: ListFormat,
    look: Look,
) -> anyhow::Result<()> {
    match format {
        ListFormat::Table if response.hits.is_empty() => {}
        ListFormat::Table => writeln!(out, "{}", table(&response.hits, look))?,
        ListFormat::Json => write_json(out, &serde_json::to_string(response)?, look)?,
        ListFormat::Ndjson => {
            for hit in &response.hits {
                write_json(out, &one_line(hit.event.get()), look)?;
            }
        }
    }
    Ok(())
}

/// Events as a table, one a row.
pub fn table(hits: &[Hit], look: Look) -> String {
    let header = ["TIME", "ACTOR", "CREDENTIAL", "ACTION", "SOURCE", "REGION", "RESULT"];
    let mut table = look.table(&header, "TIME");
    table.add_rows(hits.iter().map(row));
    table.trim_fmt()
}

/// A line of JSON: as it is, or for a terminal.
fn write_json(out: &mut impl Write, json: &str, look: Look) -> io::Result<()> {
    if look.is_terminal { writeln!(out, "{}", for_terminal(json)) } else { writeln!(out, "{json}") }
}

fn row(hit: &Hit) -> [Cell; 7] {
    let record = Record::new(&hit.event);
    let credential = cell(Some(&hit.meta.credential));
    let result = record.result();
    [
        cell(Some(&hit.meta.time)),
        cell(Some(&hit.meta.actor)),
        match hit.meta.credential.as_str() {
            "root" => credential.fg(Color::Yellow).add_attribute(Attribute::Bold),
            _ => credential,
        },
        cell(record.action().as_deref()),
        cell(record.text(&["sourceIPAddress"]).as_deref()),
        cell(record.text(&["awsRegion"]).as_deref()),
        match result.as_str() {
            "ok" => cell(Some(&result)),
            _ => cell(Some(&result)).fg(Color::Red),
        },
    ]
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
    let shown = thousands(response.hits.len() as u64);
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
    use serde_json::value::RawValue;

    use super::*;
    use crate::api::proto::{Meta, Total};

    fn hit(actor: &str, credential: &str, event: &str) -> Hit {
        let meta = Meta {
            id: "e1".into(),
            time: "2023-07-10T11:42:36Z".into(),
            actor: actor.into(),
            credential: credential.into(),
            file: "a.json.gz".into(),
            offset: 12,
            flags: Vec::new(),
            raw: None,
        };
        Hit { event: RawValue::from_string(event.into()).unwrap(), meta }
    }

    fn sample() -> SearchResponse {
        let hits = vec![
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
        SearchResponse {
            hits,
            total: Total { value: 1234, exact: true },
            took_ms: 0.42,
            ..SearchResponse::default()
        }
    }

    fn rendered(format: ListFormat, look: Look) -> String {
        let mut out = Vec::new();
        write(&mut out, &sample(), format, look).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(format: ListFormat, width: Option<u16>, expected: &str) {
        let look = Look { is_terminal: width.is_some(), width, has_colour: false };
        assert_eq!(rendered(format, look), expected);
    }

    const UNBOUNDED: &str = r"TIME                  ACTOR                                           CREDENTIAL    ACTION                        SOURCE       REGION     RESULT
2023-07-10T11:42:36Z  alice                                           iam-user      s3:GetObject                  203.0.113.7  eu-west-1  AccessDenied
2023-07-10T11:42:36Z  deploy-role/\u{1b}[2Jsession-of-a-build-server  assumed-role  access-analyzer:ListFindings  -            -          ok
";

    #[test]
    fn a_table_without_a_terminal_is_as_wide_as_its_text() {
        check(ListFormat::Table, None, UNBOUNDED);
    }

    #[test]
    fn a_wide_terminal_gets_the_same_table() {
        check(ListFormat::Table, Some(200), UNBOUNDED);
    }

    #[test]
    fn a_narrow_terminal_gets_a_table_that_fits_and_loses_nothing() {
        let expected = r"TIME                  ACTOR     CREDENTI  ACTION    SOURCE    REGION   RESULT
                                AL
2023-07-10T11:42:36Z  alice     iam-user  s3:GetOb  203.0.11  eu-west  AccessD
                                          ject      3.7       -1       enied
2023-07-10T11:42:36Z  deploy-r  assumed-  access-a  -         -        ok
                      ole/\u{1  role      nalyzer:
                      b}[2Jses            ListFind
                      sion-of-            ings
                      a-build-
                      server
";
        check(ListFormat::Table, Some(80), expected);
    }

    #[test]
    fn colours_mark_errors_and_only_where_asked() {
        let look = Look { is_terminal: true, width: Some(200), has_colour: true };
        let red = "\x1b[38;5;9mAccessDenied";
        assert!(rendered(ListFormat::Table, look).contains(red));
        let plain = rendered(ListFormat::Table, Look { has_colour: false, ..look });
        assert!(!plain.contains('\x1b'));
    }

    #[test]
    fn ndjson_is_the_records_one_a_line() {
        let expected = r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","errorCode":"AccessDenied"}
{"eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings"}
"#;
        check(ListFormat::Ndjson, None, expected);
    }

    #[test]
    fn json_is_the_daemons_answer() {
        let json = rendered(ListFormat::Json, Look::default());
        let response: SearchResponse = serde_json::from_str(&json).unwrap();
        assert_eq!(response.hits[0].event.get(), sample().hits[0].event.get());
        assert_eq!(json, format!("{}\n", serde_json::to_string(&sample()).unwrap()));
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
