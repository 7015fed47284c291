//! `traildex tail`: events as they come into the index, until interrupted.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::{EXIT_CODES, Exit, SocketArg};
use crate::cli::errors::QueryError;
use crate::cli::events::TARGETS_SHOWN_MAX;
use crate::cli::output::Look;
use crate::cli::shown::json_for_terminal;
use crate::cli::text::escape;
use crate::cli::warnings::Warnings;
use client::{Client, ClientError};
use formats::json::one_line;
use formats::record::Record;
use formats::sentence::targets;
use wire::{Hit, TailRequest};

/// Between two tries to reach the daemon again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Which events, as in 'traildex search', without pipes; without any, every event
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Goes on behind the event that had this cursor
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// text (a line an event), or ndjson (the original records)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Ndjson,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let client = args.socket.client();
    let mut request = TailRequest { q: args.query.join(" "), cursor: args.cursor.clone() };
    // The first connection says what is wrong with the query; others are made again.
    let mut is_first = true;
    let mut warnings = Warnings::default();
    loop {
        let ended = follow(&client, &mut request, args.format, &mut warnings);
        match ended {
            Err(Ended::Reader) => return Ok(Exit::Done),
            Err(Ended::Daemon(error @ ClientError::Api(_))) => {
                return Err(QueryError::locate(error, &request.q));
            }
            Err(Ended::Daemon(error)) if is_first && request.cursor.is_none() => {
                return Err(error.into());
            }
            Err(Ended::Daemon(error)) if is_first => {
                let error = error.to_string();
                let _ = writeln!(io::stderr(), "{}; trying again", escape(&error));
            }
            Ok(()) | Err(Ended::Daemon(_)) => {}
        }
        is_first = false;
        thread::sleep(PAUSE);
    }
}

/// Why nothing more is written.
enum Ended {
    /// Nobody reads it any more.
    Reader,
    Daemon(ClientError),
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Daemon(error)
    }
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Reader
    }
}

/// Writes events until the connection ends; the request goes on behind the last one written.
fn follow(
    client: &Client,
    request: &mut TailRequest,
    format: Format,
    warnings: &mut Warnings,
) -> Result<(), Ended> {
    let mut tail = client.tail(request)?;
    warnings.tell(&tail.warnings);
    let look = Look::of_stdout();
    let mut out = io::stdout().lock();
    while let Some(told) = tail.told()? {
        if let Some(hit) = told.hit {
            let line = match format {
                Format::Text => text(&hit),
                Format::Ndjson if look.is_terminal => {
                    json_for_terminal(&one_line(hit.event.get())).into_owned()
                }
                Format::Ndjson => one_line(hit.event.get()).into_owned(),
            };
            writeln!(out, "{line}")?;
            out.flush()?;
        }
        request.cursor = Some(told.cursor);
    }
    Ok(())
}

/// Time, who, what, on what, from where, and what came of it.
fn text(hit: &Hit) -> String {
    let record = Record::new(&hit.event);
    let field = |text: Option<String>| escape(text.as_deref().unwrap_or("-")).to_string();
    let known = |text: String| field((!text.is_empty()).then_some(text));
    let outcome = [hit.meta.outcome.as_str(), &hit.meta.error].join(" ");
    let cells = [
        escape(&hit.meta.time).into_owned(),
        known(hit.meta.actor.clone()),
        field(record.action()),
        known(targets(hit, TARGETS_SHOWN_MAX)),
        field(record.text(&["sourceIPAddress"])),
        field(record.text(&["awsRegion"])),
        known(outcome.trim().to_owned()),
    ];
    cells.join("  ")
}
