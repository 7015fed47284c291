//! Which values of an event met the query, and where in them.

use std::ops::Range;

use crate::fields::{Target, resolve};
use crate::form::{AnyCase, Form, Match};
use crate::value_clauses::ValueTest;
use language::ast::{Expr, FieldRef, Regex, Test};
use segment::view::separated;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::columns;
use trail::columns::Words;
use trail::limits::EXACT_BYTES_MAX;
use trail::parse::Parser;
use trail::words::{lowercase, words};
use wire::limits::HIGHLIGHTS_MAX;
use wire::{ApiError, Highlight};

/// The conditions of a query that an event's values can meet. What a `NOT` asks for is in no value, and
/// neither is what is derived from several.
pub struct Highlighter {
    conditions: Vec<Condition>,
}

struct Condition {
    /// Where, as records are walked; anywhere if there are none.
    paths: Vec<String>,
    wanted: Wanted,
}

enum Wanted {
    /// Words in a row.
    Words(Vec<String>),
    /// A word that meets a test.
    Word(Box<dyn ValueTest>),
    /// The whole value meets a test.
    Value(Box<dyn ValueTest>),
    /// The whole value is this.
    Text(String),
}

impl Highlighter {
    pub fn of(filter: &Expr, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let mut conditions = Vec::new();
        gather(filter, snapshot, &mut conditions)?;
        Ok(Self { conditions })
    }

    pub fn highlights(&self, raw: &[u8], parser: &mut Parser) -> Vec<Highlight> {
        let mut found: Vec<Highlight> = Vec::new();
        parser.each_scalar(raw, |path, scalar| {
            if found.len() >= HIGHLIGHTS_MAX {
                return;
            }
            let value = Cell::from(scalar).to_string();
            let mut ranges: Vec<[usize; 2]> = self
                .conditions
                .iter()
                .filter(|condition| condition.is_about(path))
                .flat_map(|condition| condition.wanted.ranges(&value))
                .filter(|range| range.end <= EXACT_BYTES_MAX)
                .map(|range| [range.start, range.end])
                .collect();
            if ranges.is_empty() {
                return;
            }
            ranges.sort_unstable();
            ranges.dedup();
            let field = path.replace(trail::paths::SEPARATOR, ".");
            found.push(Highlight { field, value, ranges });
        });
        found
    }
}

impl Condition {
    fn is_about(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|known| known == path)
    }
}

fn gather(
    expr: &Expr,
    snapshot: &Snapshot,
    conditions: &mut Vec<Condition>,
) -> Result<(), ApiError> {
    let anywhere = |wanted| Condition { paths: Vec::new(), wanted };
    match expr {
        Expr::All | Expr::Not(_) => {}
        Expr::And(parts) | Expr::Or(parts) => {
            parts.iter().try_for_each(|part| gather(part, snapshot, conditions))?;
        }
        Expr::Word(text) | Expr::Phrase(text) => {
            conditions.push(anywhere(Wanted::Words(words(text))));
        }
        Expr::Wildcard(pattern) => {
            conditions.push(anywhere(Wanted::Word(Box::new(Form::of_words(pattern)))));
        }
        Expr::Regex(regex) => {
            conditions.extend(matching(regex).map(|test| anywhere(Wanted::Word(test))));
        }
        Expr::Field { field, test } => {
            let paths = paths_of(field, snapshot)?;
            if !paths.is_empty() {
                gather_tests(test, &paths, conditions);
            }
        }
    }
    Ok(())
}

fn gather_tests(test: &Test, paths: &[String], conditions: &mut Vec<Condition>) {
    let wanted = match test {
        Test::Is(value) => Wanted::Text(value.text.clone()),
        Test::AnyCase(pattern) => Wanted::Value(Box::new(AnyCase::new(pattern))),
        Test::Wildcard(pattern) => Wanted::Value(Box::new(Form::new(pattern))),
        Test::Phrase(text) => Wanted::Words(words(text)),
        Test::Regex(regex) => match matching(regex) {
            Some(test) => Wanted::Value(test),
            None => return,
        },
        Test::OneOf(tests) => {
            return tests.iter().for_each(|test| gather_tests(test, paths, conditions));
        }
        // Their values say nothing that the query does not.
        Test::Range { .. } | Test::Exists | Test::Compared { .. } | Test::InQuery(_) => return,
    };
    conditions.push(Condition { paths: paths.to_vec(), wanted });
}

fn matching(regex: &Regex) -> Option<Box<dyn ValueTest>> {
    let test = Match::new(regex).ok()?;
    Some(Box::new(test))
}

fn paths_of(field: &FieldRef, snapshot: &Snapshot) -> Result<Vec<String>, ApiError> {
    Ok(match resolve(field, snapshot)? {
        Target::Ip => vec![separated(columns::SOURCE_IP.column().path)],
        Target::Column(id) if id.column().words != Words::Derived => {
            vec![separated(id.column().path)]
        }
        Target::Paths(paths) => paths.iter().map(|path| separated(path)).collect(),
        Target::Column(_) | Target::Time | Target::Object(_) => Vec::new(),
    })
}

impl Wanted {
    fn ranges(&self, value: &str) -> Vec<Range<usize>> {
        let whole = |is_met: bool| is_met.then_some(0..value.len()).into_iter().collect();
        match self {
            Self::Text(text) => whole(text == value),
            Self::Value(test) => whole(test.is_met_by(value)),
            Self::Words(wanted) => {
                let placed = placed_words(value);
                let in_a_row = |row: &&[(String, Range<usize>)]| {
                    row.iter().map(|(word, _)| word).eq(wanted.iter())
                };
                let rows = placed.windows(wanted.len().max(1)).filter(in_a_row);
                rows.map(|row| row[0].1.start..row[row.len() - 1].1.end).collect()
            }
            Self::Word(test) => {
                let placed = placed_words(value).into_iter();
                placed.filter(|(word, _)| test.is_met_by(word)).map(|(_, place)| place).collect()
            }
        }
    }
}

/// The words of a value, each with its place.
fn placed_words(value: &str) -> Vec<(String, Range<usize>)> {
    let mut placed = Vec::new();
    let mut from = 0;
    // In lower case a text can be longer; its words are found in it one by one.
    let lower = lowercase(value);
    if lower.len() != value.len() {
        return words(value).into_iter().map(|word| (word, 0..value.len())).collect();
    }
    for word in words(value) {
        if let Some(at) = lower[from..].find(&word) {
            let place = from + at..from + at + word.len();
            from = place.end;
            placed.push((word, place));
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_a_row_are_found_where_they_are() {
        let wanted = Wanted::Words(words("Not Authorized"));
        let value = "User is not authorized, NOT  authorized, and not quite authorized";
        let found: Vec<&str> = wanted.ranges(value).into_iter().map(|r| &value[r]).collect();
        assert_eq!(found, ["not authorized", "NOT  authorized"]);
        assert!(Wanted::Text("User".to_owned()).ranges(value).is_empty());
        assert_eq!(Wanted::Text("é".to_owned()).ranges("é"), vec![0..2; 1]);
    }
}
