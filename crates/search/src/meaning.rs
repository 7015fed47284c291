//! The meaning of a condition: names have become fields, and texts have become words, numbers,
//! times and addresses.
//!
//! [`crate::lower`] makes it from the tree. The planner, the filter of rows and the highlighter
//! read it, and none of them looks at the tree. So all three agree on what matches.
//!
//! Derived code, or the source text, decides equality and hash of everything here. So two equal
//! conditions find the same events, and the hash can be a cache key (see `run::meaning`).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::addresses::{Addresses, AwsSource, Network, NetworkWords};
use crate::flags::Odd;
use crate::form::{AnyCase, AnyOf, Between, Form, Match, SameNumber, SameText};
use crate::lookups::LookedUpTest;
use crate::named::Named;
use crate::phrase::{Phrase, Row, RowFinder};
use crate::value_clauses::{ValueTest, is_large};
use language::ast::Comparison;
use trail::cell::Cell;
use trail::columns::ColumnId;
use trail::time::Micros;
use trail::words::{each_placed_word, each_word, known_part};

/// Tests joined by AND, OR and NOT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Meaning<T> {
    All,
    And(Vec<Self>),
    /// Matches if any part does; without parts, never.
    Or(Vec<Self>),
    Not(Box<Self>),
    Test(T),
}

/// A condition on events.
pub(crate) type EventMeaning = Meaning<EventTest>;

/// A condition on the rows of a table.
pub(crate) type RowMeaning = Meaning<RowTest>;

/// A test on an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventTest {
    /// Some value of the event has these words.
    Words(WordMeaning),
    /// The event's time is in a range.
    Time(TimeBetween),
    /// Some value of a field passes a test.
    Value { field: EventField, test: ValueMeaning },
    /// The values of two fields are in a relation.
    Compared { left: Operand, comparison: Comparison, right: Operand },
}

/// A field of events other than the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventField {
    Column(ColumnId),
    /// `integrity`, by verdicts of this edition.
    Integrity(u64),
    /// `flag`, of events of which more is known than columns say.
    Flag(Arc<Odd>),
    /// Paths, columns among them; their values count as those of one field.
    Paths(Vec<String>),
    /// Every value of the record at this path or below it; at the empty path, every value.
    Below(String),
}

/// One side of a comparison of two fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Time,
    Field(EventField),
}

/// A test on a row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RowTest {
    /// Some cell of the row has these words.
    Words(WordMeaning),
    /// The time in a column is in a range.
    Time { column: usize, between: TimeBetween },
    /// The value in a column passes a test.
    Value { column: usize, test: ValueMeaning },
}

/// A range of time, from `start` (inclusive) to `end` (exclusive); None is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeBetween {
    pub(crate) start: Option<Micros>,
    pub(crate) end: Option<Micros>,
}

/// A test on the words of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WordMeaning {
    /// The value has this phrase of at least one word. If the phrase is a time, an event of its span
    /// matches as well, because an event's time is not kept as words.
    Row { row: Row, time: Option<TimeBetween> },
    /// One word matches this pattern, which is in lower case.
    Wildcard(Form),
    /// The regular expression matches one whole word and ignores case.
    Regex(Match),
    /// The value has an address of a network somewhere, or the network itself.
    Network(NetworkWords),
}

/// A test on a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ValueMeaning {
    /// The value exists.
    Exists,
    /// The value is this text, or this number.
    Exact(SameText),
    /// The value is one of these texts, none of which is a number.
    OneOf(AnyOf),
    /// The value matches this pattern; case is ignored.
    AnyCase(AnyCase),
    /// The value matches this pattern.
    Wildcard(Form),
    /// The regular expression matches the whole value.
    Regex(Match),
    /// The value contains this phrase, or is this text or this number.
    Phrase(Phrase),
    /// The value is in a range of numbers, times, versions or texts.
    Range(Between),
    /// The value is an address in a range.
    Address(Addresses),
    /// The value is an address in a network, or the text of the network.
    Network(Network),
    /// The value is the name of a thing, or its ARN.
    Named(Named),
    /// The value names an AWS service, which AWS writes in place of an address.
    AwsSource,
    /// Something that is looked up by the value passes a test.
    LookedUp(LookedUpTest),
}

impl<T> Meaning<T> {
    /// Evaluates the condition, with `test` to answer each test.
    pub(crate) fn is_met(&self, test: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.is_met(test)),
            Self::Or(parts) => parts.iter().any(|part| part.is_met(test)),
            Self::Not(inner) => !inner.is_met(test),
            Self::Test(own) => test(own),
        }
    }

    /// Visits all tests.
    pub(crate) fn each_test<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.each_test(visit);
                }
            }
            Self::Not(inner) => inner.each_test(visit),
            Self::Test(test) => visit(test),
            Self::All => {}
        }
    }

    /// Visits the tests that can make the condition true by being true: those under an even number
    /// of `NOT`s.
    pub(crate) fn each_wanted<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        self.each_of(true, visit);
    }

    fn each_of<'a>(&'a self, is_wanted: bool, visit: &mut impl FnMut(&'a T)) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.each_of(is_wanted, visit);
                }
            }
            Self::Not(inner) => inner.each_of(!is_wanted, visit),
            Self::Test(test) if is_wanted => visit(test),
            Self::All | Self::Test(_) => {}
        }
    }
}

impl RowTest {
    /// Steps that the test takes for each byte of a value, at most.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Words(words) => words.steps(),
            Self::Time { .. } => 1,
            Self::Value { test, .. } => test.steps(),
        }
    }

    pub(crate) fn is_met_by(&self, row: &[Cell]) -> bool {
        match self {
            Self::Words(words) => row.iter().any(|cell| words.is_met_by(cell)),
            Self::Time { column, between } => match &row[*column] {
                Cell::Time(time) => between.contains(*time),
                _ => false,
            },
            Self::Value { column, test } => test.is_met_by(&row[*column]),
        }
    }
}

impl TimeBetween {
    pub(crate) fn contains(self, time: Micros) -> bool {
        self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time < end)
    }
}

impl WordMeaning {
    /// Whether a value of an event or of a row has such words. A time has one, its date and hour; a
    /// phrase that is a time is asked by its span.
    pub(crate) fn is_met_by(&self, value: &Cell) -> bool {
        match value {
            Cell::Null => false,
            Cell::List(values) => values.iter().any(|value| self.is_met_by(value)),
            Cell::Time(found) => match self {
                Self::Row { time, .. } => time.is_some_and(|time| time.contains(*found)),
                Self::Wildcard(form) => form.is_met_by(&found.hour_word()),
                Self::Regex(regex) => regex.is_met_by(&found.hour_word()),
                Self::Network(_) => false,
            },
            Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Text(_) => {
                self.is_in(&text_of(value))
            }
        }
    }

    /// Steps that the test takes for each byte of a value, at most.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Row { row, .. } => row.steps(),
            Self::Wildcard(form) => form.steps(),
            Self::Regex(regex) => regex.steps(),
            Self::Network(network) => network.steps(),
        }
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Row { row, .. } => row.is_met_by(text),
            Self::Wildcard(form) => has_word(text, form),
            Self::Regex(regex) => has_word(text, regex),
            Self::Network(network) => network.is_met_by(text),
        }
    }

    /// Returns the byte ranges of the words in a text.
    pub(crate) fn places(&self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::Row { row, .. } => row_places(row, text),
            Self::Wildcard(form) => word_places(text, form),
            Self::Regex(regex) => word_places(text, regex),
            Self::Network(network) => {
                let mut places = network.places(text);
                places.extend(row_places(&network.row, text));
                places
            }
        }
    }
}

fn has_word(text: &str, test: &impl ValueTest) -> bool {
    let mut has_word = false;
    each_word(text, &mut String::new(), |word| has_word |= test.is_met_by(known_part(word)));
    has_word
}

fn word_places(text: &str, test: &impl ValueTest) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    each_placed_word(text, &mut String::new(), |word, place| {
        if test.is_met_by(known_part(word)) {
            places.push(place);
        }
    });
    places
}

/// Returns the byte ranges of a phrase in a text.
pub(crate) fn row_places(row: &Row, text: &str) -> Vec<Range<usize>> {
    let mut finder = RowFinder::new(row);
    let (mut places, mut found): (Vec<Range<usize>>, Vec<Range<usize>>) = Default::default();
    each_placed_word(text, &mut String::new(), |word, place| {
        places.push(place);
        if finder.ends_with(word) {
            let last = places.len() - 1;
            found.push(places[last + 1 - row.words.len()].start..places[last].end);
        }
    });
    found
}

impl ValueMeaning {
    /// Steps that the test takes for each byte of a value, at most.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Exists
            | Self::Exact(_)
            | Self::OneOf(_)
            | Self::Range(_)
            | Self::Address(_)
            | Self::Network(_)
            | Self::AwsSource => 1,
            Self::LookedUp(test) => test.steps(),
            Self::Named(named) => named.steps(),
            Self::AnyCase(form) => form.steps(),
            Self::Wildcard(form) => form.steps(),
            Self::Regex(regex) => regex.steps(),
            Self::Phrase(phrase) => phrase.steps(),
        }
    }

    /// Whether a value of an event or of a row passes the test. A column's value is a text,
    /// whatever the record has.
    pub(crate) fn is_met_by(&self, value: &Cell) -> bool {
        if let Cell::List(values) = value {
            return values.iter().any(|value| self.is_met_by(value));
        }
        if *value == Cell::Null {
            return false;
        }
        let text = text_of(value);
        match self {
            Self::Exists => true,
            Self::Exact(wanted) => wanted.is_met_by(&text) || is_number(value, wanted),
            Self::OneOf(texts) => texts.is_met_by(&text),
            Self::AnyCase(form) => form.is_met_by(&text),
            Self::Wildcard(form) => form.is_met_by(&text),
            Self::Regex(regex) => regex.is_met_by(&text),
            Self::Phrase(phrase) => phrase.is_met_by(&text) || is_number(value, &phrase.text),
            Self::Range(between) => between.is_met_by(&text),
            Self::Address(addresses) => addresses.is_met_by(&text),
            Self::Network(network) => network.is_met_by(&text),
            Self::Named(named) => named.is_met_by(&text),
            Self::AwsSource => AwsSource.is_met_by(&text),
            Self::LookedUp(test) => test.is_met_by(&text),
        }
    }
}

/// Whether a record's value passes a test. A large number is looked at as it is written, too: its column
/// may lack some of its digits.
pub(crate) fn is_met_as_written(test: &ValueMeaning, value: &Cell, written: &str) -> bool {
    let is_large = matches!(value, Cell::Float(number) if is_large(*number));
    test.is_met_by(value) || (is_large && test.is_met_by(&Cell::text(written)))
}

/// Whether a value is a number, and the one that a text reads as.
fn is_number(value: &Cell, SameText(wanted): &SameText) -> bool {
    let is_number = matches!(value, Cell::Int(_) | Cell::Float(_));
    is_number && SameNumber::new(wanted).is_met_by(&text_of(value))
}

fn text_of(value: &Cell) -> Cow<'_, str> {
    match value {
        Cell::Text(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_to_meet_a_condition_is_behind_no_not_or_behind_two() {
        use Meaning::{And, Not, Or, Test};
        let not = |inner| Not(Box::new(inner));
        let meaning = And(vec![
            Test(1),
            not(Test(2)),
            not(And(vec![Test(3), not(Test(4)), not(Or(vec![Test(5), not(Test(6))]))])),
            Meaning::All,
        ]);
        let mut wanted = Vec::new();
        meaning.each_wanted(&mut |test| wanted.push(*test));
        assert_eq!(wanted, [1, 4, 5]);
        assert!(meaning.is_met(&|test| [1, 4].contains(test)));
        assert!(!meaning.is_met(&|test| [1, 2, 4].contains(test)));
        assert!(!Meaning::<u8>::Or(Vec::new()).is_met(&|_| true));
    }

    #[test]
    fn words_in_a_row_are_found_where_they_are() {
        let row = Row::of("Not Authorized");
        let value = "User is not authorized, NOT  authorized, and not quite authorized";
        let found: Vec<&str> = row_places(&row, value).into_iter().map(|r| &value[r]).collect();
        assert_eq!(found, ["not authorized", "NOT  authorized"]);
        assert!(row_places(&Row::of("*"), value).is_empty());
    }
}
