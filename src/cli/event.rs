//! `traildex event`: one event whole: a sentence that says who did what, from where, when, with which
//! kind of credentials and with which outcome; the same in detail; and the record. `--around` shows what
//! came before and after it.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::json;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::events::{EventsLook, events_table};
use crate::cli::json::indent;
use crate::cli::output::{Look, Output};
use crate::cli::search::warn;
use crate::cli::shown::json_for_terminal;
use crate::cli::table::Format;
use crate::cli::text::{counted, escape, labelled, thousands};
use crate::cli::times::Times;
use client::Client;
use formats::record::Record;
use formats::sentence::{sentence, targets};
use language::time::{Clock, parse_time};
use wire::{Hit, Indicator, Meta, Order, SearchRequest, SearchResponse};

/// Events that are shown on each side of one.
const AROUND_EACH: usize = 25;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The event's eventID, or as much of its beginning as no other has, as search shows it
    id: String,
    /// Shows also the events up to this long before and after it: 10m, 2h
    #[arg(long, value_name = "DURATION")]
    around: Option<String>,
    /// Which of the events around it, as in 'traildex search', without pipes; without any, all
    #[arg(value_name = "QUERY", requires = "around")]
    query: Vec<String>,
    /// Zone of the times in sentence and table: Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// text, or json (the daemon's whole answer; with --around under 'event', 'before' and 'after')
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    ask: AskArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let times = Times::of(args.time_zone.as_deref())?;
    let client = args.ask.client()?;
    let response = client.event(&args.id)?;
    let around = args.around.as_deref();
    let around =
        around.map(|length| Around::find(&client, &response, length, &args.query.join(" ")));
    let around = around.transpose()?;
    let look = Look::of_stdout();
    let mut out = Output::open(look);
    match args.format {
        Format::Text => {
            out.write_all(describe(&response, &times).as_bytes())?;
            if let Some(around) = &around {
                out.write_all(around.table(times, look).as_bytes())?;
            }
        }
        Format::Json => {
            let json = match &around {
                Some(Around { before, after, .. }) => serde_json::to_string(
                    &json!({"event": response, "before": before, "after": after}),
                )?,
                None => serde_json::to_string(&response)?,
            };
            writeln!(
                out,
                "{}",
                if look.is_terminal { json_for_terminal(&json) } else { json.into() }
            )?;
        }
    }
    out.close()?;
    warn(&response);
    if let Some(around) = &around {
        around.tell()?;
    }
    Ok(Exit::found(!response.hits.is_empty()))
}

/// What came before an event, and what came with it and after it.
struct Around {
    length: String,
    before: SearchResponse,
    after: SearchResponse,
}

impl Around {
    fn find(
        client: &Client,
        event: &SearchResponse,
        length: &str,
        query: &str,
    ) -> anyhow::Result<Self> {
        let at = event.hits.first().map_or("", |hit| &hit.meta.time);
        let now: Timestamp = at.parse()?;
        let sign_and_unit = length.trim_start_matches(['+', '-']);
        let bound = |sign| {
            let text = format!("now{sign}{sign_and_unit}");
            let span = parse_time(&text, &Clock::utc(now));
            span.map_err(|_| {
                anyhow::anyhow!("'{length}' is not a duration: expected 30s, 10m, 2h or 1d")
            })
        };
        let (start, end) = (bound('-')?.start.to_string(), bound('+')?.end.to_string());
        let search = |start: String, end: String, order| {
            let request = SearchRequest {
                query: query.into(),
                start: Some(start),
                end: Some(end),
                limit: Some(AROUND_EACH),
                order,
                ..SearchRequest::default()
            };
            client.search(&request).map_err(|error| QueryError::locate(error, query))
        };
        let before = search(start, at.to_owned(), Order::Newest)?;
        let after = search(at.to_owned(), end, Order::Oldest)?;
        Ok(Self { length: length.to_owned(), before, after })
    }

    /// All of them, oldest first.
    fn table(&self, times: Times, look: Look) -> String {
        let hits = self.before.hits.iter().rev().chain(&self.after.hits);
        let hits: Vec<Hit> = hits.cloned().collect();
        let how = EventsLook { is_wide: false, times };
        format!("\n{}\n", events_table(&hits, &how, look))
    }

    /// Says what is left out, and why answers may lack events.
    fn tell(&self) -> io::Result<()> {
        let told = |response: &SearchResponse| {
            let (shown, all) = (response.hits.len() as u64, response.total.value);
            let at_least = if response.total.exact { "" } else { "at least " };
            if shown == all && response.total.exact {
                counted(all, "event")
            } else {
                format!("{} of {at_least}{}", thousands(shown), counted(all, "event"))
            }
        };
        let (before, after) = (told(&self.before), told(&self.after));
        let length = escape(&self.length);
        writeln!(
            io::stderr(),
            "{before} in the {length} before, {after} from its time on to {length} after"
        )?;
        warn(&self.before);
        warn(&self.after);
        Ok(())
    }
}

/// Several events share an id when several accounts delivered them.
fn describe(response: &SearchResponse, times: &Times) -> String {
    let hits: Vec<String> = response.hits.iter().map(|hit| described(hit, times)).collect();
    hits.join("\n")
}

/// One event in readable lines, and then the record.
pub(super) fn describe_hit(hit: &Hit) -> String {
    described(hit, &Times::default())
}

fn described(hit: &Hit, times: &Times) -> String {
    let record = Record::new(&hit.event);
    let meta = &hit.meta;
    let time = times.shown(&meta.time);
    let mut lines = vec![
        ("who", joined(&[Some(meta.actor.clone()), record.text(&["userIdentity", "arn"])])),
        ("what", joined(&[record.action(), Some(outcome(hit, &record))])),
        ("target", targets(hit, usize::MAX)),
        ("from", joined(&[record.text(&["sourceIPAddress"]), record.text(&["userAgent"])])),
        ("when", joined(&[Some(time.clone()), record.text(&["awsRegion"])])),
        ("with", credentials(hit, &record)),
        ("account", meta.account.clone()),
        ("id", meta.id.clone()),
        ("file", format!("{}, {}", meta.file, place(meta))),
        ("flags", meta.flags.join(", ")),
    ];
    lines.extend(meta.integrity.map(|state| ("integrity", state.to_string())));
    lines.extend(place_of_address(meta).map(|place| ("address", place)));
    lines.extend(meta.indicators.iter().map(|found| ("ioc", indicated(found))));
    let sentence = sentence(hit, &record, &time);
    format!(
        "{}\n\n{}\n{}\n",
        escape(&sentence),
        labelled(&lines),
        json_for_terminal(&indent(hit.event.get()))
    )
}

/// What is looked up of the address: `Berlin, DE, AS3320 Deutsche Telekom AG; AWS: EC2, eu-central-1`.
fn place_of_address(meta: &Meta) -> Option<String> {
    let of = |field: &str| meta.lookups.get(field).map(|values| values.join(" "));
    let asn = of("geo.asn").map(|asn| format!("AS{asn}"));
    let system = [asn, of("geo.org")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let place = joined(&[of("geo.city"), of("geo.country"), Some(system)]);
    let aws = joined(&[of("aws.service"), of("aws.ip_region")]);
    let aws = if aws.is_empty() { aws } else { format!("AWS: {aws}") };
    let parts = [place, aws].into_iter().filter(|part| !part.is_empty());
    Some(parts.collect::<Vec<_>>().join("; ")).filter(|told| !told.is_empty())
}

/// `exits: 203.0.113.7 (exit node), sourceIPAddress`.
fn indicated(found: &Indicator) -> String {
    let Indicator { list, path, value, label } = found;
    let label = label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
    format!("{list}: {value}{label}, {path}")
}

/// Where in its file the record is.
fn place(meta: &Meta) -> String {
    match (meta.row, meta.column) {
        (None, _) => format!("byte {}", thousands(meta.offset)),
        (Some(row), None) => format!("row {}", thousands(row)),
        (Some(row), Some(column)) => format!("row {}, column {column}", thousands(row)),
    }
}

/// `denied, AccessDenied: User … is not authorized`.
fn outcome(hit: &Hit, record: &Record) -> String {
    let code = Some(hit.meta.error.clone()).filter(|code| !code.is_empty());
    let message = record.text(&["errorMessage"]).filter(|message| Some(message) != code.as_ref());
    let error = match (code, message) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => code.or(message),
    };
    joined(&[Some(hit.meta.outcome.clone()), error])
}

/// The kind of credential and what tells one of a kind from another.
fn credentials(hit: &Hit, record: &Record) -> String {
    let context = ["userIdentity", "sessionContext"];
    let session = |path: &[&str]| record.text(&[&context, path].concat());
    let labelled = |label: &str, value: Option<String>| Some(format!("{label} {}", value?));
    joined(&[
        Some(hit.meta.credential.clone()),
        labelled("access key", record.text(&["userIdentity", "accessKeyId"])),
        labelled("role", session(&["sessionIssuer", "arn"])),
        labelled("provider", session(&["webIdFederationData", "federatedProvider"])),
        labelled("source identity", session(&["sourceIdentity"])),
        labelled("session since", session(&["attributes", "creationDate"])),
        labelled("MFA", session(&["attributes", "mfaAuthenticated"])),
        labelled("invoked by", record.text(&["userIdentity", "invokedBy"])),
    ])
}

fn joined(parts: &[Option<String>]) -> String {
    let parts = parts.iter().flatten().map(String::as_str).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use wire::Total;

    #[track_caller]
    fn check(event: &str, more: Meta, expected: &str) {
        let meta = Meta {
            id: "e1".into(),
            time: "2023-07-10T11:42:36Z".into(),
            actor: "deploy/alice".into(),
            credential: "assumed-role".into(),
            file: "AWSLogs/a.json.gz".into(),
            offset: 1200,
            ..more
        };
        let event = RawValue::from_string(event.into()).unwrap();
        let total = Total { value: 1, exact: true };
        let hits = vec![Hit { event, meta, highlights: Vec::new() }];
        let response = SearchResponse { hits, total, took_ms: 0.1, ..SearchResponse::default() };
        assert_eq!(describe(&response, &Times::default()), expected);
    }

    #[test]
    fn an_event_answers_the_five_questions() {
        let more = Meta {
            outcome: "denied".into(),
            error: "AccessDenied".into(),
            client: "aws-cli/2".into(),
            target: vec!["analyzer-1".into()],
            account: "111122223333".into(),
            ..Meta::default()
        };
        check(
            r#"{"userIdentity":{"arn":"arn:aws:sts::1:x","accessKeyId":"ASIA1","sessionContext":{
                "sessionIssuer":{"arn":"arn:aws:iam::1:role/deploy"},
                "attributes":{"creationDate":"2023-07-10T11:00:00Z","mfaAuthenticated":"false"}}},
                "eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings",
                "errorCode":"AccessDenied","errorMessage":"not\nyou","awsRegion":"eu-west-1",
                "sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.1"}"#,
            more,
            r#"deploy/alice called access-analyzer:ListFindings on analyzer-1 from 203.0.113.7 with aws-cli/2 at 2023-07-10T11:42:36Z in eu-west-1, with assumed-role credentials: denied (AccessDenied).

who      deploy/alice, arn:aws:sts::1:x
what     access-analyzer:ListFindings, denied, AccessDenied: not\nyou
target   analyzer-1
from     203.0.113.7, aws-cli/2.1
when     2023-07-10T11:42:36Z, eu-west-1
with     assumed-role, access key ASIA1, role arn:aws:iam::1:role/deploy, session since 2023-07-10T11:00:00Z, MFA false
account  111122223333
id       e1
file     AWSLogs/a.json.gz, byte 1,200

{
  "userIdentity": {
    "arn": "arn:aws:sts::1:x",
    "accessKeyId": "ASIA1",
    "sessionContext": {
      "sessionIssuer": {
        "arn": "arn:aws:iam::1:role/deploy"
      },
      "attributes": {
        "creationDate": "2023-07-10T11:00:00Z",
        "mfaAuthenticated": "false"
      }
    }
  },
  "eventSource": "access-analyzer.amazonaws.com",
  "eventName": "ListFindings",
  "errorCode": "AccessDenied",
  "errorMessage": "not\nyou",
  "awsRegion": "eu-west-1",
  "sourceIPAddress": "203.0.113.7",
  "userAgent": "aws-cli/2.1"
}
"#,
        );
    }

    #[test]
    fn an_empty_record_is_described_by_what_is_known() {
        let expected = r"deploy/alice called something the record does not name at 2023-07-10T11:42:36Z, with assumed-role credentials.

who      deploy/alice
when     2023-07-10T11:42:36Z
with     assumed-role
id       e1
file     AWSLogs/a.json.gz, byte 1,200
flags    repaired, time-from-file

{}
";
        let flags = vec!["repaired".to_owned(), "time-from-file".to_owned()];
        check("{}", Meta { flags, ..Meta::default() }, expected);
    }

    #[test]
    fn a_record_cannot_drive_the_terminal() {
        let expected = r#"deploy/alice called something the record does not name on \u{9b}2J at 2023-07-10T11:42:36Z, with assumed-role credentials.

who      deploy/alice
target   \u{9b}2J
from     \u{9b}2J
when     2023-07-10T11:42:36Z
with     assumed-role
id       e1
file     AWSLogs/a.json.gz, byte 1,200

{
  "userAgent": "\u009b2J"
}
"#;
        let target = vec!["\u{9b}2J".to_owned()];
        check("{\"userAgent\":\"\u{9b}2J\"}", Meta { target, ..Meta::default() }, expected);
    }
}
