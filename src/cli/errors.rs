//! The error policy of the command line: what a failure prints, and which exit code it gets.
//!
//! `error:` says what went wrong and why, `help:` what would work. A query's error shows the query
//! and the place. A reader that stops reading (`| head`) is no failure.

use std::fmt;
use std::io::{self, Write};

use super::{Exit, default_socket};
use crate::cli::text::escape;
use client::ClientError;
use segment::IndexError;
use wire::{ApiError, ErrorKind};

/// Characters of a query shown on either side of its error.
const QUERY_SHOWN_EACH_SIDE: usize = 60;

/// A refused query, kept with its text.
#[derive(Debug)]
pub(super) struct QueryError {
    pub query: String,
    pub error: ApiError,
}

impl QueryError {
    /// Keeps the query with an error that has a place in it.
    pub(super) fn locate(error: ClientError, query: &str) -> anyhow::Error {
        match error {
            ClientError::Api(error) if error.offset.is_some() => {
                Self { query: query.to_string(), error }.into()
            }
            error => error.into(),
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.query.floor_char_boundary(self.error.offset.unwrap_or(0));
        let (before, after) = self.query.split_at(offset);
        let left_out = before.chars().count().saturating_sub(QUERY_SHOWN_EACH_SIDE);
        let before: String = before.chars().skip(left_out).collect();
        let before = format!("{}{}", if left_out > 0 { "…" } else { "" }, escape(&before));
        let mut rest = after.chars();
        let after: String = rest.by_ref().take(QUERY_SHOWN_EACH_SIDE).collect();
        let end = if rest.next().is_some() { "…" } else { "" };
        writeln!(f, "{}", escape(&self.error.message))?;
        writeln!(f, "  {before}{}{end}", escape(&after))?;
        write!(f, "  {}^", " ".repeat(before.chars().count()))
    }
}

impl std::error::Error for QueryError {}

/// Prints an error and says how the process ends.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    let exit = exit(error);
    if exit != Exit::Done {
        // Standard error is the last place to complain at.
        let _ = writeln!(io::stderr(), "{}", render(error));
    }
    exit
}

fn exit(error: &anyhow::Error) -> Exit {
    // Only standard output is written to without a context; a socket's broken pipe is wrapped.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Done;
    }
    if let Some(ClientError::NoDaemon { .. }) = error.downcast_ref() {
        return Exit::NoDaemon;
    }
    match refusal(error).map(|error| error.kind) {
        Some(ErrorKind::BadQuery | ErrorKind::UnknownField | ErrorKind::BadRequest) => Exit::Usage,
        Some(ErrorKind::NotFound) => Exit::NothingFound,
        _ => Exit::Failed,
    }
}

fn render(error: &anyhow::Error) -> String {
    let message = match error.downcast_ref::<QueryError>() {
        Some(error) => error.to_string(),
        None => escape(&format!("{error:#}")).into_owned(),
    };
    let client_error = error.downcast_ref::<ClientError>();
    let suggestion = refusal(error).and_then(|error| error.suggestion.as_deref());
    let hint = client_error.and_then(ClientError::hint).map(str::to_owned);
    let help = match (suggestion, hint.or_else(|| private_index(error))) {
        // Some messages say it themselves.
        (Some(suggestion), _) if message.contains(&*escape(suggestion)) => String::new(),
        (Some(suggestion), _) => format!("\nhelp: try {}", escape(suggestion)),
        (None, Some(hint)) => format!("\nhelp: {hint}"),
        (None, None) => String::new(),
    };
    format!("error: {message}{help}")
}

/// What to do about an index that only its owner may read.
fn private_index(error: &anyhow::Error) -> Option<String> {
    let refused = error.downcast_ref::<IndexError>().filter(|error| error.is_of_permissions());
    refused.map(|_| {
        format!(
            "an index is its owner's alone; the daemon that uses it answers on its socket, such as \
             --socket {}",
            default_socket().display()
        )
    })
}

/// What the daemon refused, if it was the daemon.
fn refusal(error: &anyhow::Error) -> Option<&ApiError> {
    match error.downcast_ref() {
        Some(ClientError::Api(error)) => Some(error),
        _ => error.downcast_ref::<QueryError>().map(|error| &error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(offset: Option<usize>, message: &str, suggestion: Option<&str>) -> ClientError {
        let suggestion = suggestion.map(String::from);
        ApiError { offset, suggestion, ..ApiError::new(ErrorKind::BadQuery, message) }.into()
    }

    #[track_caller]
    fn check(error: &anyhow::Error, code: Exit, expected: &str) {
        assert_eq!(render(error), expected);
        assert_eq!(exit(error), code);
    }

    #[test]
    fn a_query_error_points_at_its_place() {
        let query = "naïve AND évntName:x";
        let error = refused(query.find('é'), "unknown field 'évntName'", Some("eventName"));
        let expected = "\
error: unknown field 'évntName'
  naïve AND évntName:x
            ^
help: try eventName";
        check(&QueryError::locate(error, query), Exit::Usage, expected);
        let error = refused(query.find('é'), "did you mean 'eventName'?", Some("eventName"));
        let expected = "\
error: did you mean 'eventName'?
  naïve AND évntName:x
            ^";
        check(&QueryError::locate(error, query), Exit::Usage, expected);
    }

    #[test]
    fn a_place_inside_a_character_or_past_the_end_is_drawn_nearby() {
        let inside = QueryError::locate(refused(Some(1), "m", None), "é(");
        check(&inside, Exit::Usage, "error: m\n  é(\n  ^");
        let past = QueryError::locate(refused(Some(99), "m", None), "a\nb");
        check(&past, Exit::Usage, "error: m\n  a\\nb\n      ^");
    }

    #[test]
    fn a_long_query_is_shown_around_its_error() {
        let query = "a".repeat(1000);
        let expected = format!("error: m\n  …{}…\n  {}^", "a".repeat(120), " ".repeat(61));
        check(&QueryError::locate(refused(Some(500), "m", None), &query), Exit::Usage, &expected);
    }

    #[test]
    fn an_error_cannot_drive_the_terminal() {
        let error = refused(None, "no \x1b[31mfield", Some("\x07"));
        let expected = "error: no \\u{1b}[31mfield\nhelp: try \\u{7}";
        check(&QueryError::locate(error, "q"), Exit::Usage, expected);
    }

    #[test]
    fn no_daemon_has_a_code_of_its_own_and_a_hint() {
        let source = io::ErrorKind::NotFound.into();
        let error = ClientError::NoDaemon { socket: "/run/s".into(), source };
        let expected = "\
error: no daemon can be reached at /run/s: entity not found
help: start one with 'traildex serve', or name its socket with --socket";
        check(&error.into(), Exit::NoDaemon, expected);
    }

    #[test]
    fn kinds_of_failure_have_their_codes() {
        for (kind, code) in [
            (ErrorKind::UnknownField, Exit::Usage),
            (ErrorKind::BadRequest, Exit::Usage),
            (ErrorKind::NotFound, Exit::NothingFound),
            (ErrorKind::Busy, Exit::Failed),
            (ErrorKind::Timeout, Exit::Failed),
            (ErrorKind::Damaged, Exit::Failed),
            (ErrorKind::Io, Exit::Failed),
        ] {
            assert_eq!(exit(&ClientError::Api(ApiError::new(kind, "m")).into()), code);
        }
        assert_eq!(exit(&io::Error::from(io::ErrorKind::BrokenPipe).into()), Exit::Done);
        assert_eq!(exit(&anyhow::anyhow!("m").context("n")), Exit::Failed);
    }
}
