//! `traildex event`: one event whole: who, what, from where, when, with which credentials, and then
//! the record.

use std::io::Write;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::AskArg;
use crate::cli::json::indent;
use crate::cli::output::{Look, Output};
use crate::cli::record::Record;
use crate::cli::search::warn;
use crate::cli::shown::json_for_terminal;
use crate::cli::table::Format;
use crate::cli::text::{labelled, thousands};
use wire::{Hit, Meta, SearchResponse};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The event's eventID, as search shows it with --format json
    id: String,
    /// text, or json (the daemon's whole answer)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    ask: AskArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let response = args.ask.client()?.event(&args.id)?;
    let look = Look::of_stdout();
    let mut out = Output::open(look);
    match args.format {
        Format::Text => out.write_all(describe(&response).as_bytes())?,
        Format::Json => {
            let json = serde_json::to_string(&response)?;
            writeln!(
                out,
                "{}",
                if look.is_terminal { json_for_terminal(&json) } else { json.into() }
            )?;
        }
    }
    out.close()?;
    warn(&response);
    Ok(Exit::found(!response.hits.is_empty()))
}

/// Several events share an id when several accounts delivered them.
fn describe(response: &SearchResponse) -> String {
    let hits: Vec<String> = response.hits.iter().map(describe_hit).collect();
    hits.join("\n")
}

/// One event in readable lines, and then the record.
pub(super) fn describe_hit(hit: &Hit) -> String {
    let record = Record::new(&hit.event);
    let meta = &hit.meta;
    let lines = [
        ("who", joined(&[Some(meta.actor.clone()), record.text(&["userIdentity", "arn"])])),
        ("what", joined(&[record.action(), Some(result(&record))])),
        ("from", joined(&[record.text(&["sourceIPAddress"]), record.text(&["userAgent"])])),
        ("when", joined(&[Some(meta.time.clone()), record.text(&["awsRegion"])])),
        ("with", credentials(hit, &record)),
        ("id", meta.id.clone()),
        ("file", format!("{}, {}", meta.file, place(meta))),
        ("flags", meta.flags.join(", ")),
    ];
    format!("{}\n{}\n", labelled(&lines), json_for_terminal(&indent(hit.event.get())))
}

/// Where in its file the record is.
fn place(meta: &Meta) -> String {
    match (meta.row, meta.column) {
        (None, _) => format!("byte {}", thousands(meta.offset)),
        (Some(row), None) => format!("row {}", thousands(row)),
        (Some(row), Some(column)) => format!("row {}, column {column}", thousands(row)),
    }
}

fn result(record: &Record) -> String {
    match record.text(&["errorMessage"]) {
        Some(message) => format!("{}: {message}", record.result()),
        None => record.result(),
    }
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
    parts.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use wire::Total;

    #[track_caller]
    fn check(event: &str, flags: &[&str], expected: &str) {
        let meta = Meta {
            id: "e1".into(),
            time: "2023-07-10T11:42:36Z".into(),
            actor: "deploy/alice".into(),
            credential: "assumed-role".into(),
            file: "AWSLogs/a.json.gz".into(),
            offset: 1200,
            row: None,
            column: None,
            flags: flags.iter().map(|flag| (*flag).to_string()).collect(),
            raw: None,
        };
        let event = RawValue::from_string(event.into()).unwrap();
        let total = Total { value: 1, exact: true };
        let hits = vec![Hit { event, meta, highlights: Vec::new() }];
        assert_eq!(
            describe(&SearchResponse { hits, total, took_ms: 0.1, ..SearchResponse::default() }),
            expected
        );
    }

    #[test]
    fn an_event_answers_the_five_questions() {
        check(
            r#"{"userIdentity":{"arn":"arn:aws:sts::1:x","accessKeyId":"ASIA1","sessionContext":{
                "sessionIssuer":{"arn":"arn:aws:iam::1:role/deploy"},
                "attributes":{"creationDate":"2023-07-10T11:00:00Z","mfaAuthenticated":"false"}}},
                "eventSource":"access-analyzer.amazonaws.com","eventName":"ListFindings",
                "errorCode":"AccessDenied","errorMessage":"not\nyou","awsRegion":"eu-west-1",
                "sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.1"}"#,
            &[],
            r#"who    deploy/alice, arn:aws:sts::1:x
what   access-analyzer:ListFindings, AccessDenied: not\nyou
from   203.0.113.7, aws-cli/2.1
when   2023-07-10T11:42:36Z, eu-west-1
with   assumed-role, access key ASIA1, role arn:aws:iam::1:role/deploy, session since 2023-07-10T11:00:00Z, MFA false
id     e1
file   AWSLogs/a.json.gz, byte 1,200

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
        let expected = r"who    deploy/alice
what   ok
when   2023-07-10T11:42:36Z
with   assumed-role
id     e1
file   AWSLogs/a.json.gz, byte 1,200
flags  repaired, time-from-file

{}
";
        check("{}", &["repaired", "time-from-file"], expected);
    }

    #[test]
    fn a_record_cannot_drive_the_terminal() {
        let expected = r#"who    deploy/alice
what   ok
from   \u{9b}2J
when   2023-07-10T11:42:36Z
with   assumed-role
id     e1
file   AWSLogs/a.json.gz, byte 1,200

{
  "userAgent": "\u009b2J"
}
"#;
        check("{\"userAgent\":\"\u{9b}2J\"}", &[], expected);
    }
}
