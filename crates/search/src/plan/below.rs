//! The planner's part for tests on all values at and below a path, or of the whole record.
//!
//! Paths below one can be thousands. A few are asked one by one; of more, what the index knows narrows the
//! events down, and the record decides.

use std::fmt;
use std::sync::Arc;

use tantivy::query::{AllQuery, Query};

use super::field::{values_clause, values_key};
use super::{Planner, all_of, any_of};
use crate::clauses::{Clause, Context, VerifiedClause};
use crate::fields::is_above_a_column;
use crate::form::{AnyCase, AnyOfCases, Form, Match, SameText};
use crate::meaning::{EventField, ValueMeaning, is_met_as_written};
use crate::parsers::SharedParser;
use crate::phrase::Phrase;
use crate::run::is_at_or_below;
use crate::value_clauses::{ExistsClause, RecordTest, TextField, ValueTest, overflowed_within};
use language::ast::PatternPiece;
use segment::IndexError;
use segment::docsets::Docs;
use segment::overflow::Reach;
use segment::view::{SegmentView, separated};
use trail::cell::Cell;
use trail::columns::{ColumnId, EVENT_TIME_PATH};
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::paths::SEPARATOR;
use trail::words::{is_perhaps_cut, is_shortened};

/// Parts of one text that are looked for: each takes a look at all words, once.
const RUNS_MAX: usize = 2;

/// Parts of texts that are in most records.
const COMMON_RUNS: [&str; 3] = ["amazonaws", "arn", "aws"];

/// A shorter part of a text is in too many words to help.
const RUN_BYTES_MIN: usize = 3;

/// Paths at and below one whose values are looked at one by one; where there are more, records tell.
const PATHS_MAX: usize = 64;

impl Planner<'_> {
    /// Events with a value at a path or below it that passes one of some tests. Of several, each is of a
    /// pattern in any case.
    pub(super) fn below(&self, path: &str, tests: &[ValueMeaning]) -> Box<dyn Query> {
        if !path.is_empty() && !self.has_something_below(path) {
            let field = EventField::Paths(vec![path.to_owned()]);
            return match tests {
                [test] => self.value(&field, test),
                tests => self.any_case(&field, &tests.iter().collect::<Vec<_>>()),
            };
        }
        if tests == [ValueMeaning::Exists] {
            let is_all = path.is_empty();
            return if is_all { Box::new(AllQuery) } else { self.something_below(path) };
        }
        let mut candidates = Vec::new();
        let runs: Vec<Vec<String>> = tests.iter().map(runs).collect();
        if runs.iter().all(|runs| !runs.is_empty()) {
            let with_run = |run: String| self.word_form(format!("run {run}"), HasRun(run));
            let with_all = |runs: Vec<String>| all_of(runs.into_iter().map(with_run).collect());
            candidates.push(any_of(runs.into_iter().map(with_all).collect()));
        }
        // What is below a path with many fields is slow to find, and tells little beside words.
        if candidates.is_empty() {
            let is_all = path.is_empty();
            candidates.push(if is_all { Box::new(AllQuery) } else { self.something_below(path) });
        }
        let (at_or_below, of_record) = (separated(path), tests.to_vec());
        let is_met = move |record: &[u8]| {
            let mut is_met = false;
            SharedParser::take().each_scalar(record, |at, scalar| {
                is_met = is_met
                    || is_at_or_below(at, &at_or_below)
                        && of_record.iter().any(|test| is_passed(test, at, scalar));
            });
            is_met
        };
        let is_met: RecordTest = Arc::new(is_met);
        let test = Arc::clone(&is_met);
        let candidates = all_of(candidates);
        let by_records = VerifiedClause { candidates, test: move |record: &[u8]| test(record) };
        let are_columns = path.is_empty()
            || path == EVENT_TIME_PATH
            || is_above_a_column(path)
            || ColumnId::at_path(path).is_some();
        let Some(test) = Texts::of(tests).filter(|_| !are_columns) else {
            return self.clause(by_records);
        };
        let (path, tests) = (path.to_owned(), tests.to_vec());
        self.clause(BelowClause { path, tests, test, by_records, is_met })
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

/// A test of texts: a number passes by its text.
#[derive(Clone, Debug)]
enum Texts {
    AnyCase(AnyOfCases),
    Wildcard(Form),
    Regex(Match),
}

impl Texts {
    fn of(tests: &[ValueMeaning]) -> Option<Self> {
        let form = |test: &'_ ValueMeaning| match test {
            ValueMeaning::AnyCase(form) => Some(form.clone()),
            _ => None,
        };
        match tests {
            [ValueMeaning::Wildcard(form)] => Some(Self::Wildcard(form.clone())),
            [ValueMeaning::Regex(regex)] => Some(Self::Regex(regex.clone())),
            tests => {
                let forms: Vec<AnyCase> = tests.iter().map(form).collect::<Option<_>>()?;
                Some(Self::AnyCase(AnyOfCases::new(forms.iter())))
            }
        }
    }
}

/// The events with a value at a path or below it that passes a test of texts. Where a segment has few paths
/// there, the dictionaries of their values tell; else records do.
struct BelowClause<F> {
    /// No column is there.
    path: String,
    tests: Vec<ValueMeaning>,
    /// The same.
    test: Texts,
    by_records: VerifiedClause<F>,
    /// The same, of one record.
    is_met: RecordTest,
}

impl<F> fmt::Debug for BelowClause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "below {} {:?}", self.path, self.test)
    }
}

impl<F: Fn(&[u8]) -> bool + Clone + Send + Sync + 'static> Clause for BelowClause<F> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let Some(paths) = self.paths(context.segment) else {
            return self.by_records.docs(context);
        };
        let mut parts = Vec::with_capacity(paths.len() + 1);
        for path in paths {
            let field = TextField::Path(path.to_owned());
            let key = values_key(&field, &self.tests);
            parts.push(match &self.test {
                Texts::AnyCase(any) => values_clause(field, any.clone(), key).docs(context)?,
                Texts::Wildcard(form) => values_clause(field, form.clone(), key).docs(context)?,
                Texts::Regex(regex) => values_clause(field, regex.clone(), key).docs(context)?,
            });
        }
        let reach = Reach::AtOrBelow;
        parts.extend(overflowed_within(context, &self.path, reach, &self.is_met)?);
        Ok(context.union(parts))
    }

    fn can_be_idle(&self) -> bool {
        true
    }
}

impl<F> BelowClause<F> {
    /// The paths of a segment; none where they are too many.
    fn paths<'s>(&self, segment: &'s SegmentView) -> Option<Vec<&'s str>> {
        let (paths, below) = (segment.paths(), format!("{}.", self.path));
        let of_path = paths.get(&self.path).into_iter();
        let below = paths.range(below.clone()..).take_while(|path| path.starts_with(&below));
        let found: Vec<&str> =
            of_path.chain(below).map(String::as_str).take(PATHS_MAX + 1).collect();
        (found.len() <= PATHS_MAX).then_some(found)
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

/// The longest parts of a text, each of which some one word of each value that passes has in it; none where
/// the test says no such thing, or where numbers and times, which are written in several ways, can pass.
fn runs(test: &ValueMeaning) -> Vec<String> {
    let texts: Vec<&str> = match test {
        // As tables show it, a long text ends with what is no word of it.
        ValueMeaning::Exact(SameText(text))
        | ValueMeaning::Phrase(Phrase { text: SameText(text), .. })
            if is_shortened(text, EXACT_BYTES_MAX) =>
        {
            return Vec::new();
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
        | ValueMeaning::AwsSource
        | ValueMeaning::LookedUp(_) => return Vec::new(),
    };
    let runs = texts.into_iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
    let mut runs: Vec<String> = runs.map(str::to_ascii_lowercase).collect();
    runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.len()));
    runs.dedup();
    let is_of_numbers = |c: char| c.is_ascii_digit() || "etz".contains(c);
    // Where the longest can be of a number, so can the text.
    let tells = |run: &String| run.len() >= RUN_BYTES_MIN && !run.chars().all(is_of_numbers);
    if !runs.first().is_some_and(tells) {
        return Vec::new();
    }
    runs.retain(tells);
    // What nearly every record has tells nothing beside another.
    let is_rare = |run: &String| !COMMON_RUNS.contains(&run.as_str());
    if runs.iter().any(is_rare) {
        runs.retain(is_rare);
    }
    runs.truncate(RUNS_MAX);
    runs
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

    /// What is cut is longer than a UUID. Without this, each UUID is read from its record.
    fn can_be_made_of(&self, alphabet: &str) -> bool {
        self.0.chars().all(|c| alphabet.contains(c))
    }
}
