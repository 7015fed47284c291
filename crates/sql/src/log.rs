//! The log of `traildex-sql serve`: lines on the standard error, as the daemon writes them.

use std::fmt;
use std::io::IsTerminal as _;

use formats::terminal::escape;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt as lines};

use crate::config::Log;

/// The crates that the level of the log is meant for; of others, warnings are logged.
const OURS: &[&str] = &[env!("CARGO_CRATE_NAME"), "segment", "store"];

/// Starts the log.
pub(crate) fn start(log: &Log) {
    let level = &log.level;
    let ours = OURS.iter().map(|name| format!(",{name}={level}"));
    let lines =
        lines::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines = if log.format == "json" {
        lines.json().boxed()
    } else {
        lines.fmt_fields(debug_fn(write_field).delimited(" ")).boxed()
    };
    let filter = EnvFilter::new(format!("warn{}", ours.collect::<String>()));
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Writes a field of a line; what a terminal would obey is shown instead.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => out.write_str(&escape(&text)),
        name => write!(out, "{name}={}", escape(&text)),
    }
}
