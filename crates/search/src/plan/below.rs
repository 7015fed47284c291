//! The planner's part for tests on all values at and below a path, or of the whole record.
//!
//! Paths below one can be thousands, so they are not asked one by one: what the index knows narrows the
//! events down, and the record decides.

use tantivy::query::{AllQuery, Query};

use super::{Planner, all_of, any_of};
use crate::clauses::VerifiedClause;
use crate::fields::is_above_a_column;
use crate::form::SameText;
use crate::meaning::{EventField, ValueMeaning, is_met_as_written};
use crate::parsers::SharedParser;
use crate::phrase::Phrase;
use crate::run::is_at_or_below;
use crate::value_clauses::{ExistsClause, ValueTest};
use language::ast::PatternPiece;
use segment::view::separated;
use trail::cell::Cell;
use trail::columns::{ColumnId, EVENT_TIME_PATH};
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::paths::SEPARATOR;
use trail::words::{is_perhaps_cut, is_shortened};

/// A shorter part of a text is in too many words to help.
const RUN_BYTES_MIN: usize = 3;

impl Planner<'_> {
    /// Events with a value at a path or below it that passes a test.
    pub(super) fn below(&self, path: &str, test: &ValueMeaning) -> Box<dyn Query> {
        if !path.is_empty() && !self.has_something_below(path) {
            return self.value(&EventField::Paths(vec![path.to_owned()]), test);
        }
        let mut candidates = Vec::new();
        if !path.is_empty() {
            candidates.push(self.something_below(path));
        }
        if *test == ValueMeaning::Exists {
            return if candidates.is_empty() { Box::new(AllQuery) } else { all_of(candidates) };
        }
        if let Some(run) = longest_run(test) {
            candidates.push(self.word_form(format!("run {run}"), HasRun(run)));
        }
        if candidates.is_empty() {
            candidates.push(Box::new(AllQuery));
        }
        let (path, test) = (separated(path), test.clone());
        let is_met = move |record: &[u8]| {
            let mut is_met = false;
            SharedParser::take().each_scalar(record, |at, scalar| {
                is_met = is_met || is_at_or_below(at, &path) && is_passed(&test, at, scalar);
            });
            is_met
        };
        self.clause(VerifiedClause { candidates: all_of(candidates), test: is_met })
    }

    /// Whether values can be below a path. Where none are, the path itself is all that is asked.
    fn has_something_below(&self, path: &str) -> bool {
        self.snapshot.has_values_below(path) || is_above_a_column(path) || path == EVENT_TIME_PATH
    }

    fn something_below(&self, path: &str) -> Box<dyn Query> {
        let there = self.clause(ExistsClause { path: path.to_owned() });
        if path == EVENT_TIME_PATH {
            return Box::new(AllQuery);
        }
        // Values that are one of their kind have no column of their own by event.
        match ColumnId::at_path(path).filter(|id| id.column().is_unique) {
            Some(id) => any_of(vec![there, self.column_test(id, &ValueMeaning::Exists)]),
            None => there,
        }
    }
}

/// Whether a value passes a test, as it does where its own field is asked: a column's value is a text,
/// whatever the record has.
fn is_passed(test: &ValueMeaning, at: &str, scalar: Scalar<'_>) -> bool {
    let is_text = |scalar| matches!(scalar, Scalar::Str(_));
    if is_text(scalar) || ColumnId::at_path(&at.replace(SEPARATOR, ".")).is_some() {
        return test.is_met_by(&Cell::text(&scalar.written()));
    }
    is_met_as_written(test, &Cell::from(scalar), &scalar.written())
}

/// The longest part of a text that some one word of each value which passes has in it; None where the
/// test says no such thing, or where numbers and times, which are written in several ways, can pass.
fn longest_run(test: &ValueMeaning) -> Option<String> {
    let texts: Vec<&str> = match test {
        // As tables show it, a long text ends with what is no word of it.
        ValueMeaning::Exact(SameText(text))
        | ValueMeaning::Phrase(Phrase { text: SameText(text), .. })
            if is_shortened(text, EXACT_BYTES_MAX) =>
        {
            return None;
        }
        ValueMeaning::Exact(text) => vec![&text.0],
        ValueMeaning::Phrase(phrase) => vec![&phrase.text.0],
        ValueMeaning::AnyCase(form) => texts_of(form.pieces()),
        ValueMeaning::Wildcard(form) => texts_of(form.pieces()),
        ValueMeaning::Exists
        | ValueMeaning::OneOf(_)
        | ValueMeaning::Regex(_)
        | ValueMeaning::Range(_)
        | ValueMeaning::Address(_)
        | ValueMeaning::Network(_)
        | ValueMeaning::Named(_)
        | ValueMeaning::AwsSource => return None,
    };
    let runs = texts.into_iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
    let run = runs.max_by_key(|run| run.len())?;
    let is_of_numbers = |c: char| c.is_ascii_digit() || "eEtTzZ".contains(c);
    let tells = run.len() >= RUN_BYTES_MIN && !run.chars().all(is_of_numbers);
    tells.then(|| run.to_ascii_lowercase())
}

fn texts_of(pieces: &[PatternPiece]) -> Vec<&str> {
    let texts = pieces.iter().map(|piece| match piece {
        PatternPiece::Text(text) => text.as_str(),
        PatternPiece::AnyRun | PatternPiece::AnyOne => "",
    });
    texts.collect()
}

/// Whether a word has a text in it, or is cut, so that nobody knows.
#[derive(Clone, Debug)]
struct HasRun(String);

impl ValueTest for HasRun {
    fn is_met_by(&self, word: &str) -> bool {
        word.contains(&self.0) || is_perhaps_cut(word)
    }

    fn steps(&self) -> usize {
        2
    }
}
