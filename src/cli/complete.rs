//! `traildex complete`: what a query that is being typed can go on with, for the shells' completion.
//!
//! It prints the whole query up to there, once for each way to go on: a field, a value of the field
//! before the colon, or a stage behind a pipe. It asks the daemon, gives up after a moment, and is silent whatever goes wrong.
//!
//! Names and values are whatever somebody has sent to AWS, and a shell would run what is in them. So
//! only those are offered that mean nothing to a shell, to a terminal or to the query language.

use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Exit, SocketArg};
use client::Client;

/// A person at the keyboard notices more.
const GIVE_UP: Duration = Duration::from_millis(300);

/// Ways to go on that are offered; more are a wall of text.
const OFFERED_MAX: usize = 50;

/// The names of stages, without those that mean the same.
const STAGES: [&str; 10] =
    ["count", "dedup", "fields", "filter", "limit", "sort", "stats", "timeline", "top", "values"];

/// What names and values may have beside letters and digits.
const PLAIN: &str = "-_.:/@=+,%";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The query up to the cursor
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// A field's name is typed, and no query
    #[arg(long)]
    field: bool,
    #[command(flatten)]
    socket: SocketArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let (sender, found) = mpsc::channel();
    let (client, text, is_field) = (args.socket.client(), args.text.clone(), args.field);
    // The program ends without it where it takes too long.
    thread::spawn(move || {
        let found = if is_field { fields(&client, &text) } else { ways_on(&client, &text) };
        let _ = sender.send(found.iter().map(|found| format!("{found}\n")).collect::<Vec<_>>());
    });
    let found = found.recv_timeout(GIVE_UP).unwrap_or_default();
    io::stdout().write_all(found.concat().as_bytes())?;
    Ok(Exit::Done)
}

/// The names of fields that begin so, the short one of each.
fn fields(client: &Client, typed: &str) -> Vec<String> {
    offers(client, "/v1/fields", &[("prefix", typed)], "fields", |field| {
        let path = if field["query"].is_null() { &field["path"] } else { &field["query"] };
        let names = [&field["short"], path];
        let name = names.into_iter().filter_map(Value::as_str);
        name.filter(|name| name.starts_with(typed)).map(str::to_owned).next()
    })
}

/// The query up to the cursor, once for each way to go on.
fn ways_on(client: &Client, text: &str) -> Vec<String> {
    let Some(cursor) = Cursor::of(text) else { return Vec::new() };
    let before = &text[..text.len() - cursor.typed.len()];
    let values = |field: &str, typed: &str| {
        let query = [("field", field), ("prefix", typed)];
        offers(client, "/v1/values", &query, "values", |value| match &value["value"] {
            Value::String(text) => Some(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        })
    };
    let mut found = match cursor.field {
        Some(field) => values(field, cursor.typed),
        None if cursor.is_stage => STAGES.map(str::to_owned).to_vec(),
        None => fields(client, cursor.typed),
    };
    found.retain(|found| found.starts_with(cursor.typed));
    if let ([name], true) = (found.as_slice(), cursor.is_condition) {
        // With nothing but a field to choose, the choice is among its values.
        let values = values(name, "");
        found = match values.as_slice() {
            [] => vec![format!("{name}:")],
            _ => values.iter().map(|value| format!("{name}:{value}")).collect(),
        };
    } else if cursor.is_condition {
        for name in &mut found {
            name.push(':');
        }
    }
    found.iter().map(|found| format!("{before}{found}")).collect()
}

/// What the daemon answers there, as far as it can be offered.
fn offers(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    key: &str,
    name: impl Fn(&Value) -> Option<String>,
) -> Vec<String> {
    let keys = query
        .iter()
        .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    let keys = keys.collect::<Vec<_>>().join("&");
    let Ok((200, body)) = client.get(&format!("{path}?{keys}&limit={OFFERED_MAX}")) else {
        return Vec::new();
    };
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let items = answer[key].as_array().into_iter().flatten();
    items.filter_map(name).filter(|name| is_plain(name)).collect()
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c))
}

/// What is being typed at the end of a query.
#[derive(Debug, PartialEq, Eq)]
struct Cursor<'a> {
    /// The field whose value it is; a field's name is typed where there is none.
    field: Option<&'a str>,
    /// A name that a colon follows: behind a pipe in `filter` only.
    is_condition: bool,
    /// The name of a stage.
    is_stage: bool,
    typed: &'a str,
}

impl<'a> Cursor<'a> {
    /// None in a quoted text.
    fn of(text: &'a str) -> Option<Self> {
        // Of each parenthesis that is open, the field whose values are in it.
        let mut open: Vec<Option<&str>> = Vec::new();
        let (mut start, mut field) = (0, None);
        let mut is_quoted = false;
        // Where the text of the stage begins.
        let mut stage = None;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            let behind = at + c.len_utf8();
            match c {
                '\\' => drop(chars.next()),
                '"' => is_quoted = !is_quoted,
                _ if is_quoted => {}
                ':' | '=' | '~' | '>' | '<' if field.is_none() => {
                    field = Some(text[start..at].trim_end_matches('!'));
                    start = behind;
                }
                // Operators of two characters.
                '=' | '~' | '>' | '<' if start == at => start = behind,
                '(' | '[' | ')' | ']' | '|' | ',' | ' ' | '!' | '+' | '-' => {
                    let is_inside_name = matches!(c, '!' | '+' | '-') && start < at;
                    let is_of_value = matches!(c, '+' | '-' | ',') && field.is_some();
                    if is_inside_name || is_of_value {
                        continue;
                    }
                    match c {
                        '(' | '[' => open.push(field.filter(|_| start == at)),
                        ')' | ']' => drop(open.pop()),
                        '|' if open.is_empty() => stage = Some(behind),
                        _ => {}
                    }
                    (start, field) = (behind, None);
                }
                _ => {}
            }
        }
        let field = field.or(open.last().copied().flatten()).filter(|field| !field.is_empty());
        let before = stage.map(|stage| text[stage..start].trim());
        let is_stage = before == Some("");
        let is_filter = before.is_some_and(|before| {
            ["filter", "where"].contains(&before.split(' ').next().unwrap_or_default())
        });
        let is_condition = field.is_none() && (before.is_none() || is_filter);
        (!is_quoted).then_some(Self { field, is_condition, is_stage, typed: &text[start..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Option<&str>, bool, &str)>) {
        let found = Cursor::of(text);
        let found = found.map(|found| (found.field, found.is_condition, found.typed));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_is_typed_is_a_name_or_a_value_of_the_field_before_it() {
        check("", Some((None, true, "")));
        check("event", Some((None, true, "event")));
        check("errorCode:* AND -eventN", Some((None, true, "eventN")));
        check("eventName:Get", Some((Some("eventName"), false, "Get")));
        check("eventName != Get", Some((None, true, "Get")));
        check("eventName!=Get", Some((Some("eventName"), false, "Get")));
        check("eventName:~get", Some((Some("eventName"), false, "get")));
        check("eventName:(CreateUser OR Del", Some((Some("eventName"), false, "Del")));
        check("eventName:(CreateUser) OR Del", Some((None, true, "Del")));
        check("(eventName:CreateUser OR Del", Some((None, true, "Del")));
        check("region:us-ea", Some((Some("region"), false, "us-ea")));
        check("arn:arn:aws:iam::1", Some((Some("arn"), false, "arn:aws:iam::1")));
        check("errorCode:* | top 10 actor, serv", Some((None, false, "serv")));
        check("errorMessage:\"not auth", None);
    }

    #[test]
    fn behind_a_pipe_it_is_a_stage_first() {
        for (text, is_stage) in [
            ("* |", true),
            ("* | ", true),
            ("* | to", true),
            ("* | top ", false),
            ("* | top 5 ac", false),
            ("* | count by actor | so", true),
            ("(a | b", false),
            ("x", false),
        ] {
            assert_eq!(Cursor::of(text).map(|cursor| cursor.is_stage), Some(is_stage), "{text}");
        }
        check("* | filter even", Some((None, true, "even")));
        for stage in STAGES {
            let query = match stage {
                "sort" => "* | sort time".to_owned(),
                "count" => "* | count".to_owned(),
                "stats" => "* | stats count".to_owned(),
                "limit" | "top" => {
                    format!("* | {stage} 5 actor").replace("limit 5 actor", "limit 5")
                }
                "timeline" => "* | timeline 1h".to_owned(),
                _ => format!("* | {stage} actor"),
            };
            language::parse::parse(&query).unwrap();
        }
    }

    #[test]
    fn nothing_is_offered_that_a_shell_would_run() {
        for text in ["$(reboot)", "a`b`", "it's", "a;b", "a b", "\u{1b}[2J", "a\"b", "a\\b", "!!"] {
            assert!(!is_plain(text), "{text}");
        }
        assert!(is_plain("arn:aws:iam::123837392027:user/bert-jan"));
    }
}
