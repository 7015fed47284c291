//! Queries as text and as JSON.

use std::fs;
use std::path::Path;

use language::ast::Query;
use language::limits::QUERY_BYTES_MAX;
use language::parse::parse;

use super::{fuzz, outcome};

pub const TOKENS: &[&str] = &[
    "a",
    "f:",
    "=",
    "!=",
    ">=",
    "<",
    " IN ",
    "NOT ",
    " AND ",
    " OR ",
    " TO ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    "*",
    "?",
    "-",
    "+",
    "!",
    "|",
    "&&",
    ",",
    ":",
    "/",
    "~",
    "@",
    "..",
    " ",
    "é",
    "\u{a0}",
    "2026-06-01",
    "| stats count by a",
    "| top 3 ",
    "| sort -x desc",
    "| limit 5",
    "bin(1h)",
    "p95(x)",
    " as y",
    "sum(",
    "LIKE ",
    "\u{1f600}",
    "\0",
    "/a|b/i",
    "values ",
    "timeline 1h by ip",
    "eventName",
];

/// The lines of code in the pages about the language.
pub fn queries() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("docs/query-language.md"), root.join("README.md")];
    let questions = fs::read_dir(root.join("tests/questions")).unwrap();
    pages.extend(questions.map(|entry| entry.unwrap().path()));
    pages.sort();
    let mut queries = Vec::new();
    for page in pages {
        let text = fs::read_to_string(page).unwrap();
        for (place, code) in text.split('`').enumerate() {
            if place % 2 == 1 && !code.contains('\n') {
                queries.push(code.replace("\\|", "|").into_bytes());
            }
        }
        queries.extend(text.lines().filter(|line| line.contains(':')).map(Into::into));
    }
    queries
}

#[test]
fn query() {
    fuzz("query", queries(), TOKENS, |input| {
        let text = String::from_utf8_lossy(input);
        match parse(&text) {
            Ok(query) => {
                let printed = query.to_string();
                // Quotes and parentheses make it longer.
                if printed.len() > QUERY_BYTES_MAX {
                    return outcome("long");
                }
                assert_eq!(parse(&printed).as_ref(), Ok(&query), "{printed}");
                let json = serde_json::to_string(&query).unwrap();
                match serde_json::from_str::<Query>(&json) {
                    Ok(again) => assert_eq!(again, query, "{json}"),
                    // A tree has the stages that a shorthand stands for, and all are counted.
                    Err(error) => assert!(error.to_string().contains("conditions"), "{error}"),
                }
                let shape = format!("{query:?}");
                outcome(shape.split(|c: char| !c.is_ascii_alphabetic()).collect::<Vec<_>>())
            }
            Err(error) => {
                assert!(text.is_char_boundary(error.offset), "{error:?}");
                let message = error.message.split('\'').step_by(2).collect::<Vec<_>>();
                outcome((message, error.suggestion.is_some()))
            }
        }
    });
}
