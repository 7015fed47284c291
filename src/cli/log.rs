//! The log: lines on the standard error, for a person or for a collector.

use std::fmt;
use std::io::IsTerminal;

use serde_json::json;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt as lines, reload};

use crate::cli::log_limit::Limited;
use crate::cli::shown::{ForTerminal, Shown};
use crate::cli::text::escape;
use crate::config::{Config, Format, Level};

/// The crates that the level of the log is meant for, and this package; of others, warnings are logged.
const OURS: &[&str] = &[
    "traildex", "trail", "tables", "language", "wire", "evidence", "enrich", "coverage", "trace",
    "detect", "alerts", "segment", "store", "search", "ingest", "formats", "bundle", "server",
    "lookup", "web", "client", "bench",
];

/// Starts the log. Returns what changes its level.
pub(super) fn start(config: &Config) -> Box<dyn Fn(Level) + Send> {
    let filter = |level: Level| {
        let ours = OURS.iter().map(|name| format!(",{name}={}", level.name()));
        EnvFilter::new(format!("warn{}", ours.collect::<String>()))
    };
    let (level, handle) = reload::Layer::new(filter(config.log.level));
    let lines =
        lines::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines = match config.log.format {
        Format::Text => lines
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .map_event_format(|lines| Limited::new(lines, str::to_owned))
            .boxed(),
        Format::Json => {
            let lines = lines.json().map_event_format(|lines| Limited::new(lines, as_json));
            if std::io::stderr().is_terminal() {
                let safe = || ForTerminal::new(std::io::stderr(), Shown::json());
                lines.with_writer(safe).boxed()
            } else {
                lines.boxed()
            }
        }
    };
    tracing_subscriber::registry().with(lines).with(level).init();
    // Fails only where there is no log any more.
    Box::new(move |level| drop(handle.reload(filter(level))))
}

/// A line of a log in JSON.
fn as_json(text: &str) -> String {
    let timestamp = jiff::Timestamp::now().to_string();
    json!({ "timestamp": timestamp, "level": "WARN", "fields": { "message": text } }).to_string()
}

/// Writes a field of a line of the log; a file's name, or an error, that holds a line break or what a
/// terminal would obey shows it instead.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => out.write_str(&escape(&text)),
        name => write!(out, "{name}={}", escape(&text)),
    }
}
