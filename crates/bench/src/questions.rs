//! The questions of a benchmark: queries of every shape, made from what the archive holds.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use client::Client;
use wire::{Order, SearchRequest, SearchResponse};

/// Events looked at for values of fields that few have.
const SAMPLE: usize = 200;

/// Values of columns that are worth counting apart.
const COLUMNS: [&str; 5] =
    ["sourceIPAddress", "userAgent", "key", "principal", "requestParameters.bucketName"];

/// A search to measure, with a name.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the report calls it.
    pub name: String,
    /// The search to send.
    pub request: SearchRequest,
}

/// Reads one query from each line; skips empty lines and those that begin with `#`.
pub fn from_lines(text: &str) -> Vec<Question> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| question(line, line))
        .collect()
}

fn question(name: &str, query: &str) -> Question {
    let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
    Question { name: name.to_owned(), request }
}

/// Asks the daemon what its archive holds, and makes a question of each shape that a benchmark must
/// cover.
pub fn of_archive(client: &Client) -> anyhow::Result<Vec<Question>> {
    let archive = Archive::look(client)?;
    let Archive { common, rare, service, region, day, .. } = &archive;
    let (middle, prefix) = (middle(common), &common[..common.floor_char_boundary(4)]);
    let mut questions = vec![
        question("newest 50 of all", "*"),
        question("newest of a common term", &format!("eventName = {common}")),
        question("newest of a rare term", &format!("eventName = {rare}")),
        question("two terms", &format!("service = {service} AND region = {region}")),
        question("a term within a day", &format!("region = {region} AND @{day}")),
        question("not a term", &format!("service = {service} AND NOT region = {region}")),
        question("a word anywhere", &common.to_lowercase()),
        question("no match", "eventName = NoSuchEventName"),
        question("a prefix", &format!("eventName:{prefix}*")),
        question("an infix", &format!("eventName:*{middle}*")),
        question("a regular expression", &format!("eventName:/.*{middle}.*/")),
        question("an infix anywhere", &format!("*{}*", middle.to_lowercase())),
        question("the ten most frequent", "top 10 eventName"),
        question("events an hour", "timeline 1h"),
        question("an hour, of a day", &format!("@{day} | timeline 1h")),
        question("grouped by two", "count by eventSource, awsRegion"),
        question("distinct addresses", "stats distinct(sourceIPAddress)"),
    ];
    let reversed = |name: &str, query: &str| {
        let mut question = question(name, query);
        question.request.order = Order::Oldest;
        question
    };
    questions.insert(1, reversed("oldest 50 of all", "*"));
    questions.insert(3, reversed("oldest of a common term", &format!("eventName = {common}")));
    let mut count = question("count of a term", &format!("eventName = {common}"));
    count.request.limit = Some(0);
    questions.push(count);
    if let Some(phrase) = &archive.phrase {
        questions.push(question("words in a row", &format!("\"{phrase}\"")));
    }
    if let Some((path, value)) = &archive.nested {
        questions.push(question("a value that few have", &format!("{path} = \"{value}\"")));
    }
    if let Some((path, number)) = &archive.number {
        let range = format!("{path}:[{} TO {}]", number / 2.0, number * 2.0);
        questions.push(question("a range of numbers", &range));
    }
    if let Some(column) = archive.widest {
        questions.push(question("top ten of many", &format!("top 10 {column}")));
    }
    Ok(questions)
}

/// What questions are made of.
struct Archive {
    common: String,
    rare: String,
    service: String,
    region: String,
    /// In the middle of the archive.
    day: String,
    phrase: Option<String>,
    nested: Option<(String, String)>,
    /// The number that the sample has most.
    number: Option<(String, f64)>,
    widest: Option<&'static str>,
}

impl Archive {
    fn look(client: &Client) -> anyhow::Result<Self> {
        let ask = |query: &str, limit: usize| -> anyhow::Result<SearchResponse> {
            let request =
                SearchRequest { query: query.into(), limit: Some(limit), ..Default::default() };
            client.search(&request).with_context(|| query.to_owned())
        };
        let names = first_cells(&ask("count by eventName", 10_000)?);
        let first = |query: &str| -> anyhow::Result<String> {
            let cells = first_cells(&ask(query, 1)?);
            cells.into_iter().next().with_context(|| format!("nothing is found by {query}"))
        };
        let (common, rare) = (names.first(), names.last());
        let days = first_cells(&ask("count by bin(1d) | sort time", 10_000)?);
        let day = days.get(days.len() / 2).context("the archive is empty")?;
        let phrase = first("top 1 errorMessage").ok();
        let words = |text: String| {
            let words: Vec<&str> = text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            words.iter().take(3).copied().collect::<Vec<_>>().join(" ")
        };
        let sample = ask("*", SAMPLE)?;
        let leaves: Vec<(String, Value)> = sample
            .hits
            .iter()
            .filter_map(|hit| serde_json::from_str::<Value>(hit.event.get()).ok())
            .flat_map(|event| leaves("requestParameters", &event["requestParameters"]))
            .collect();
        let text = |(path, value): &(String, Value)| {
            let value =
                value.as_str().filter(|text| text.len() < 100 && !text.contains(['"', '\\']))?;
            Some((path.clone(), value.to_owned()))
        };
        let mut numbers: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (path, value) in leaves.iter().filter(|(_, value)| value.is_number()) {
            *numbers.entry((path.clone(), value.to_string())).or_default() += 1;
        }
        let number = numbers.into_iter().max_by_key(|(_, events)| *events);
        Ok(Self {
            common: common.context("no event has a name")?.clone(),
            rare: rare.context("no event has a name")?.clone(),
            service: first("top 1 eventSource")?,
            region: first("top 1 awsRegion")?,
            day: day.chars().take("2026-06-01".len()).collect(),
            phrase: phrase.map(words).filter(|phrase| phrase.contains(' ')),
            nested: leaves.iter().rev().find_map(text),
            number: number.and_then(|((path, number), _)| Some((path, number.parse().ok()?))),
            widest: widest(client),
        })
    }
}

/// The column with the most values.
fn widest(client: &Client) -> Option<&'static str> {
    let values = |column: &&'static str| {
        let query = format!("stats distinct({column})");
        let request = SearchRequest { query: query.as_str().into(), ..Default::default() };
        let table = client.search(&request).ok().and_then(|answer| answer.table);
        table.and_then(|table| table.rows.first()?.first()?.as_u64()).unwrap_or(0)
    };
    COLUMNS.into_iter().max_by_key(values)
}

fn first_cells(answer: &SearchResponse) -> Vec<String> {
    let rows = answer.table.iter().flat_map(|table| &table.rows);
    rows.filter_map(|row| row.first()?.as_str().map(str::to_owned)).collect()
}

/// Scalars with their paths.
fn leaves(path: &str, json: &Value) -> Vec<(String, Value)> {
    match json {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| leaves(&format!("{path}.{key}"), value))
            .collect(),
        Value::Array(_) | Value::Null => Vec::new(),
        scalar => vec![(path.to_owned(), scalar.clone())],
    }
}

/// Four characters from the middle of a name.
fn middle(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let start = chars.len().saturating_sub(4) / 2;
    chars[start..].iter().take(4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_queries_has_one_a_line() {
        let questions = from_lines("# the most\n\ntop 10 actor\n  errorCode:* \n");
        let names: Vec<_> = questions.iter().map(|question| question.name.as_str()).collect();
        assert_eq!(names, ["top 10 actor", "errorCode:*"]);
    }

    #[test]
    fn the_middle_of_a_name_is_in_it() {
        assert_eq!(middle("DescribeInstances"), "beIn");
        assert_eq!(middle("ab"), "ab");
    }
}
