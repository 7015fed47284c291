//! Highlights: which values of an event matched the query, and where in them.

use std::collections::HashSet;
use std::ops::Range;

use crate::meaning::{
    EventField, EventMeaning, EventTest, ValueMeaning, WordMeaning, is_met_as_written, row_places,
};
use crate::phrase::Phrase;
use crate::value_clauses::ValueTest as _;
use segment::stop::STEPS;
use segment::view::separated;
use trail::cell::Cell;
use trail::columns;
use trail::columns::{ColumnId, EVENT_TIME_PATH, Words};
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::parse::Parser;
use trail::paths::SEPARATOR;
use trail::time::Micros;
use wire::Highlight;
use wire::engine::Cancel;
use wire::limits::HIGHLIGHTS_MAX;

/// Steps of reading a value, and of taking a byte of it as part of a word.
const VALUE_STEPS: usize = 16;
const WORD_STEPS: usize = 16;

/// The tests of a query that can be highlighted in an event's values. Left out are tests under
/// `NOT` and most derived fields, which no value shows, and also ranges (except of addresses) and tests
/// for existence, where a highlight would say nothing new.
pub(crate) struct Highlighter {
    words: Vec<WordMeaning>,
    values: Vec<OfField>,
    /// The paths of columns, whose values are texts whatever the record has.
    columns: HashSet<String>,
    /// Steps that all tests take for each byte of a value, at most.
    steps: usize,
}

/// Whether a path is another one, or below it, as records are walked; everything is below the empty
/// path.
pub(crate) fn is_at_or_below(path: &str, above: &str) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
}

/// What is asked of the values of one field.
struct OfField {
    /// As records are walked.
    paths: Vec<String>,
    /// Values below them are asked, too.
    has_below: bool,
    test: ValueMeaning,
}

impl OfField {
    fn is_at(&self, path: &str) -> bool {
        let is_below = |known: &String| {
            // A time is shown in its own form.
            path != EVENT_TIME_PATH && is_at_or_below(path, known)
        };
        self.paths.iter().any(|known| known == path || self.has_below && is_below(known))
    }
}

impl Highlighter {
    pub(crate) fn of(filter: &EventMeaning) -> Self {
        let columns = ColumnId::all().flat_map(paths_of_column).collect();
        let mut highlighter = Self { words: Vec::new(), values: Vec::new(), columns, steps: 1 };
        filter.each_wanted(&mut |test| match test {
            EventTest::Words(words) => {
                // They are looked at word by word.
                highlighter.steps += words.steps() + WORD_STEPS;
                highlighter.words.push(words.clone());
            }
            EventTest::Value { field, test } if says_more(test) => {
                let (paths, test) = (paths_of(field), test.clone());
                highlighter.steps += test.steps();
                let has_below = matches!(field, EventField::Below(_));
                highlighter.values.push(OfField { paths, has_below, test });
            }
            EventTest::Value { .. } | EventTest::Time(_) | EventTest::Compared { .. } => {}
        });
        highlighter
    }

    /// Ends early when `cancel` says so, which whoever fetches asks, too.
    pub(crate) fn highlights(
        &self,
        raw: &[u8],
        parser: &mut Parser,
        cancel: &Cancel,
    ) -> Vec<Highlight> {
        let mut found: Vec<Highlight> = Vec::new();
        let (mut is_over, mut done) = (false, 0);
        parser.each_scalar(raw, |path, scalar| {
            if is_over || found.len() >= HIGHLIGHTS_MAX {
                return;
            }
            let (cell, value) = self.read(path, scalar);
            done += (value.len() + VALUE_STEPS) * self.steps;
            if done >= STEPS {
                (is_over, done) = (cancel.check().is_err(), 0);
            }
            let of_words = self.words.iter().flat_map(|words| places(words, &cell, &value));
            let of_field = self
                .values
                .iter()
                .filter(|of_field| of_field.is_at(path))
                .flat_map(|of_field| ranges(&of_field.test, &cell, &value));
            let mut ranges: Vec<[usize; 2]> = of_words
                .chain(of_field)
                // What bounds how many there are of a value.
                .filter(|range| range.start < EXACT_BYTES_MAX)
                .map(|range| [range.start, range.end])
                .collect();
            if ranges.is_empty() {
                return;
            }
            ranges.sort_unstable();
            ranges.dedup();
            let field = path.replace(SEPARATOR, ".");
            found.push(Highlight { field, value, ranges });
        });
        found
    }

    /// A value of a record as conditions see it, and as a text.
    fn read(&self, path: &str, scalar: Scalar<'_>) -> (Cell, String) {
        let cell = Cell::from(scalar);
        let text = scalar.written().into_owned();
        if path == EVENT_TIME_PATH
            && let Some(time) = Micros::parse_record_time(&text)
        {
            return (Cell::Time(time), text);
        }
        // Only truth values and numbers are looked up.
        let is_text = matches!(cell, Cell::Text(_)) || self.columns.contains(path);
        (if is_text { Cell::text(&cell.to_string()) } else { cell }, text)
    }
}

/// Whether a value that passes a test says more than the test.
fn says_more(test: &ValueMeaning) -> bool {
    match test {
        ValueMeaning::Exists | ValueMeaning::Range(_) => false,
        ValueMeaning::Exact(_)
        | ValueMeaning::OneOf(_)
        | ValueMeaning::AnyCase(_)
        | ValueMeaning::Wildcard(_)
        | ValueMeaning::Regex(_)
        | ValueMeaning::Phrase(_)
        | ValueMeaning::Address(_)
        | ValueMeaning::Network(_)
        | ValueMeaning::Named(_)
        | ValueMeaning::AwsSource
        | ValueMeaning::LookedUp(_) => true,
    }
}

/// Where in a value words are; a time is met as a whole.
fn places(words: &WordMeaning, cell: &Cell, value: &str) -> Vec<Range<usize>> {
    match cell {
        Cell::Time(_) if words.is_met_by(cell) => whole(value),
        Cell::Time(_) => Vec::new(),
        _ => words.places(value),
    }
}

/// Where in a value what was asked for is.
fn ranges(test: &ValueMeaning, cell: &Cell, value: &str) -> Vec<Range<usize>> {
    if !is_met_as_written(test, cell, value) {
        return Vec::new();
    }
    match test {
        ValueMeaning::Phrase(Phrase { row, text }) if !text.is_met_by(value) => {
            let rows = row_places(row, value);
            // A number that is written in another way.
            if rows.is_empty() { whole(value) } else { rows }
        }
        _ => whole(value),
    }
}

fn whole(value: &str) -> Vec<Range<usize>> {
    std::iter::once(0..value.len()).collect()
}

/// The paths at which a record has a field's values, as records are walked.
fn paths_of(field: &EventField) -> Vec<String> {
    match field {
        EventField::Column(id) => {
            paths_of_column(*id).chain(shown_in(*id).iter().map(|path| separated(path))).collect()
        }
        EventField::Integrity(_) | EventField::Flag(_) => Vec::new(),
        EventField::Paths(paths) => paths.iter().map(|path| separated(path)).collect(),
        EventField::Below(path) => vec![separated(path)],
    }
}

/// The paths whose values a derived field takes over as they are. What else is derived is in no value.
fn shown_in(id: ColumnId) -> &'static [&'static str] {
    match id {
        columns::ACTION => &["eventName", "insightDetails.eventName"],
        columns::ERROR => &["errorCode"],
        columns::ACCOUNT => &["recipientAccountId"],
        _ => &[],
    }
}

/// None for what is derived.
fn paths_of_column(id: ColumnId) -> impl Iterator<Item = String> {
    let is_derived = id.column().words == Words::Derived;
    id.paths().filter(move |_| !is_derived).map(separated)
}
