//! What delivers a change: one kind of target a file.

mod command;
mod file;
mod syslog;
mod webhook;

use std::time::Duration;

use serde_json::Value;

use crate::change::Change;
use crate::config::{Kind, TargetConfig};

/// Characters of a reason: enough for what a server says, on one line.
const REASON_CHARS_MAX: usize = 300;

/// Delivers changes, one after another. A change is delivered when [`Target::deliver`] says so; it may
/// be told the same change again, with the same key. It returns within about the target's timeout.
pub(crate) trait Target: Send {
    fn deliver(&mut self, change: &Change, body: &Value) -> Result<(), Failure>;
}

/// Why a change was not delivered.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One line, without secrets once it has left [`deliver`].
    pub reason: String,
    pub next: Next,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again, not before so long if something is asked for.
    Retry(Option<Duration>),
    /// It will never be taken.
    GiveUp,
}

impl Failure {
    pub(crate) fn retry(reason: String) -> Self {
        Self { reason, next: Next::Retry(None) }
    }
}

/// Makes what delivers to a target. The error is one of the machine: a file that cannot be read.
pub(crate) fn open(config: &TargetConfig) -> anyhow::Result<Box<dyn Target>> {
    Ok(match &config.kind {
        Kind::Webhook(webhook) => Box::new(webhook::Webhook::new(webhook, config.timeout)?),
        Kind::File(file) => Box::new(file::File::new(file)),
        Kind::Syslog(syslog) => Box::new(syslog::Syslog::new(syslog, config.timeout)),
        Kind::Command(command) => {
            Box::new(command::Command::new(command, &config.name, config.timeout))
        }
    })
}

/// What is sent for a change.
pub(crate) fn body(config: &TargetConfig, change: &Change) -> Value {
    match &config.template {
        Some(template) => template.fill(change),
        None => change.to_json(),
    }
}

/// Delivers a change once.
pub(crate) fn deliver(
    target: &mut dyn Target,
    config: &TargetConfig,
    change: &Change,
) -> Result<(), Failure> {
    target.deliver(change, &body(config, change)).map_err(|failure| {
        let reason = config.hidden.redact(&failure.reason);
        Failure { reason: formats::terminal::escape_cut(&reason, REASON_CHARS_MAX), ..failure }
    })
}
