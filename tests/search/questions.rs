//! The twenty questions of an investigator, on the sample trails: at the socket and on the command
//! line, the answers are those that DuckDB has worked out. See `tests/questions/README.md`.

use std::fs;

use serde_json::{Value, json};
use wire::{SearchRequest, SearchResponse};

use crate::common::{PATIENCE, Place, Ran, sample, traildex};

/// Records of the trails, each once.
const EVENTS: u64 = 4_004;

struct Question {
    name: String,
    query: String,
    /// Rows, as values in a list.
    answer: Vec<Value>,
}

/// The block of a kind on a page.
fn block<'p>(page: &'p str, kind: &str) -> &'p str {
    let start = format!("```{kind}\n");
    let (_, after) = page.split_once(&start).unwrap_or_else(|| panic!("no {kind} in {page}"));
    after.split("```").next().unwrap()
}

fn questions() -> Vec<Question> {
    let mut questions: Vec<Question> = fs::read_dir(sample("../questions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name().unwrap().to_str().unwrap().starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|path| {
            let page = fs::read_to_string(&path).unwrap();
            let rows = block(&page, "answer").lines();
            Question {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                query: block(&page, "query").trim().to_owned(),
                answer: rows.map(|row| serde_json::from_str(row).unwrap()).collect(),
            }
        })
        .collect();
    questions.sort_by(|a, b| a.name.cmp(&b.name));
    questions
}

/// Rows as they are, events by their time, id and action; those of one time by their ids.
fn rows(answer: &SearchResponse) -> Vec<Value> {
    if let Some(table) = &answer.table {
        return table.rows.iter().map(|row| json!(row)).collect();
    }
    let row = |hit: &wire::Hit| {
        let event: Value = serde_json::from_str(hit.event.get()).unwrap();
        json!([hit.meta.time, event["eventID"], event["eventName"]])
    };
    let rows: Vec<Value> = answer.hits.iter().map(row).collect();
    let time = |row: &Value| row[0].as_str().unwrap().to_owned();
    assert!(rows.is_sorted_by_key(time), "{rows:#?}");
    in_order(rows)
}

fn in_order(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row[0].to_string(), row[1].to_string()));
    rows
}

#[test]
fn the_twenty_questions_have_the_answers_that_another_engine_gives() {
    let questions = questions();
    assert!(questions.len() >= 20);
    let trails = ["invictus", "stratus", "traildiscover", "panther", "../questions"];
    let place = Place::watching(&trails.map(sample));
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, EVENTS);
    for Question { name, query, answer } in &questions {
        let request = SearchRequest {
            query: query.as_str().into(),
            limit: Some(10_000),
            ..SearchRequest::default()
        };
        let found = daemon.client.search(&request).unwrap_or_else(|e| panic!("{name}: {e}"));
        let is_table = found.table.is_some();
        let expected = if is_table { answer.clone() } else { in_order(answer.clone()) };
        assert!(!expected.is_empty(), "{name}");
        similar(name, &rows(&found), &expected);

        let mut command = traildex();
        command.args(["search", query, "--format", "ndjson", "--limit", "10000"]);
        let ran: Ran = command.arg("--socket").arg(place.socket()).output().unwrap().into();
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let lines: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<Value> = match &found.table {
            Some(table) => {
                let row = |line: &Value| table.columns.iter().map(|c| line[c].clone()).collect();
                lines.iter().map(row).collect()
            }
            None => lines.iter().map(|event| event["eventID"].clone()).collect(),
        };
        if is_table {
            assert_eq!(told, rows(&found), "{name}");
        } else {
            let ids = found.hits.iter().map(|hit| {
                serde_json::from_str::<Value>(hit.event.get()).unwrap()["eventID"].clone()
            });
            assert_eq!(told, ids.collect::<Vec<_>>(), "{name}");
        }
    }
    daemon.stop();
}

#[track_caller]
fn similar(name: &str, found: &[Value], expected: &[Value]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
}
