//! Turns the tree of a condition into its meaning. This is the one place that decides what a test
//! asks, both of events and of rows.
//!
//! What a text means depends on the field: a moment for a time, a network for an address, a version
//! for `eventVersion`. All errors of a condition (a field that no event has, a text that is not a
//! time) are found here, so code that reads a meaning has nothing left to refuse.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::ops::Bound;

use crate::addresses::Addresses;
use crate::fields::{Target, at};
use crate::form::{AnyCase, AnyOf, Between, Form, Match, SameText, time_bounds};
use crate::meaning::{
    EventField, EventTest, Meaning, Operand, RowTest, TimeBetween, ValueMeaning, WordMeaning,
};
use crate::phrase::{Phrase, Row};
use crate::unicode::{forms, pattern_forms, test_forms};
use language::ast::{Comparison, Expr, FieldRef, Pattern, PatternPiece, Query, Regex, Test, Value};
use language::time::{Clock, TimeError, is_moment, parse_last, parse_time};
use trail::columns;
use trail::columns::{COLUMNS, Column, ColumnId, EVENT_TIME_PATH, Words};
use trail::flat::parse_ip;
use trail::time::Micros;
use wire::{ApiError, ErrorKind};

type Result<T, E = ApiError> = std::result::Result<T, E>;

/// The name that asks for the names of fields, in place of their values.
pub(crate) const NAMES: &str = "names";

/// Resolves the names in a condition, to fields of events or to columns of a table.
pub(crate) trait Names {
    type Test;

    fn words(&self, words: WordMeaning) -> Self::Test;

    fn exists(&self, field: &FieldRef) -> Result<Self::Test>;

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<Self::Test>;

    /// Makes a test for one of several texts, none of which is a number; None where the field's
    /// values are not compared as texts.
    fn one_of(&self, field: &FieldRef, texts: &[&str]) -> Result<Option<Self::Test>>;

    fn compared(&self, left: &FieldRef, how: Comparison, right: &FieldRef) -> Result<Self::Test>;

    /// The paths of all fields, where a condition can be on their names.
    fn paths(&self) -> Option<Vec<String>> {
        None
    }

    /// Something is at one of these paths, or below it.
    fn with_paths(&self, _: Vec<String>) -> Meaning<Self::Test> {
        Meaning::Or(Vec::new())
    }

    /// Returns the values that an inner query finds.
    fn found(&self, field: &FieldRef, query: &Query) -> Result<Vec<Value>>;
}

/// The test on one value, before the field's kind decides what its text means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'t> {
    Is(&'t Value),
    AnyCase(&'t Pattern),
    Phrase(&'t str),
    Wildcard(&'t Pattern),
    Regex(&'t Regex),
    Range(&'t Bound<Value>, &'t Bound<Value>),
}

/// The kind of a field's values, which decides what a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// Texts, numbers and truth values.
    Any,
    /// Texts that can be addresses.
    Address,
    Version,
}

/// The kind of the values in a table's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Time,
    Values(FieldKind),
}

/// Returns the meaning of a condition; an error names the byte at fault.
pub(crate) fn lower<N: Names>(expr: &Expr, names: &N) -> Result<Meaning<N::Test>> {
    let all = |parts: &[Expr]| parts.iter().map(|part| lower(part, names)).collect::<Result<_>>();
    let words = |words| Meaning::Test(names.words(words));
    Ok(match expr {
        Expr::All => Meaning::All,
        Expr::And(parts) => Meaning::And(all(parts)?),
        Expr::Or(parts) => Meaning::Or(all(parts)?),
        Expr::Not(inner) => Meaning::Not(Box::new(lower(inner, names)?)),
        Expr::Word(text) | Expr::Phrase(text) => {
            any_of(rows(text)?.into_iter().map(words).collect())
        }
        Expr::Wildcard(pattern) => any_of(wildcards(pattern).map(words).collect()),
        Expr::Regex(regex) => words(WordMeaning::Regex(compiled(regex, Match::of_words)?)),
        Expr::Field { field, test } if field.name == NAMES && !field.is_path => {
            match (names.paths(), test) {
                (None, test) => lower_test(field, test, names)?,
                (Some(_), Test::Exists) => Meaning::All,
                (Some(paths), test) => {
                    names.with_paths(paths_with(&paths, &name_test(field, test)?))
                }
            }
        }
        Expr::Field { field, test } => lower_test(field, test, names)?,
    })
}

fn any_of<T>(mut parts: Vec<Meaning<T>>) -> Meaning<T> {
    if parts.len() == 1 { parts.remove(0) } else { Meaning::Or(parts) }
}

/// Words in a row, in each form that Unicode has for them.
fn rows(text: &str) -> Result<Vec<WordMeaning>> {
    let row = |(form, text): (usize, String)| {
        // A time has one form.
        let time = if form == 0 { Micros::parse_event_time(&text) } else { None };
        WordMeaning::Row { row: Row::of(&text), time }
    };
    let mut rows: Vec<WordMeaning> = forms(text).into_iter().enumerate().map(row).collect();
    rows.retain(|row| matches!(row, WordMeaning::Row { row, .. } if !row.words.is_empty()));
    if rows.is_empty() { Err(no_word(text)) } else { Ok(rows) }
}

fn wildcards(pattern: &Pattern) -> impl Iterator<Item = WordMeaning> {
    let forms = pattern_forms(pattern);
    forms.into_iter().map(|form| WordMeaning::Wildcard(Form::of_words(&form)))
}

/// What a part of a field's name must meet, one of these.
fn name_test(field: &FieldRef, test: &Test) -> Result<Vec<WordMeaning>> {
    Ok(match test {
        Test::Is(Value { text, .. }) | Test::Phrase(text) => rows(text)?,
        Test::Wildcard(pattern) => wildcards(pattern).collect(),
        Test::AnyCase(pattern) => match pattern.pieces() {
            [PatternPiece::Text(text)] => rows(text)?,
            _ => wildcards(pattern).collect(),
        },
        Test::Regex(regex) => vec![WordMeaning::Regex(compiled(regex, Match::of_words)?)],
        Test::OneOf(tests) => {
            let tests = tests.iter().map(|test| name_test(field, test));
            tests.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()
        }
        Test::Range { .. } | Test::Exists | Test::Compared { .. } | Test::InQuery(_) => {
            let message =
                "names of fields are looked at for words, as names:etc or names:*profile*";
            return Err(bad_query(field.offset, message));
        }
    })
}

/// The paths of which some part has such words, each up to that part; none lies below another.
fn paths_with(paths: &[String], words: &[WordMeaning]) -> Vec<String> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for path in paths {
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        let mut start = 0;
        for end in ends {
            if words.iter().any(|words| words.is_in(&path[start..end])) {
                found.insert(&path[..end]);
                break;
            }
            start = end + 1;
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

/// The meaning of a test, in each form that Unicode has for its texts.
fn lower_test<N: Names>(field: &FieldRef, test: &Test, names: &N) -> Result<Meaning<N::Test>> {
    let forms = test_forms(test);
    if forms.len() > 1 { joined(field, &forms, names) } else { lower_form(field, test, names) }
}

fn lower_form<N: Names>(field: &FieldRef, test: &Test, names: &N) -> Result<Meaning<N::Test>> {
    let asked = match test {
        Test::Is(value) => Asked::Is(value),
        Test::AnyCase(pattern) => Asked::AnyCase(pattern),
        Test::Phrase(text) => Asked::Phrase(text),
        Test::Wildcard(pattern) => Asked::Wildcard(pattern),
        Test::Regex(regex) => Asked::Regex(regex),
        Test::Range { lower, upper } => Asked::Range(lower, upper),
        Test::Exists => return Ok(Meaning::Test(names.exists(field)?)),
        Test::OneOf(tests) => return one_of(field, tests, names),
        Test::Compared { comparison, other } => {
            return Ok(Meaning::Test(names.compared(field, *comparison, other)?));
        }
        Test::InQuery(query) => {
            let found: Vec<Test> = names.found(field, query)?.into_iter().map(Test::Is).collect();
            if found.is_empty() {
                // The field must be one even where nothing is found.
                names.one_of(field, &[])?;
            }
            return one_of(field, &found, names);
        }
    };
    Ok(Meaning::Test(names.asked(field, asked)?))
}

/// One of some tests; texts that are looked for as such are gathered into one.
fn one_of<N: Names>(field: &FieldRef, tests: &[Test], names: &N) -> Result<Meaning<N::Test>> {
    let tests: Vec<Test> = tests.iter().flat_map(test_forms).collect();
    joined(field, &tests, names)
}

fn joined<N: Names>(field: &FieldRef, tests: &[Test], names: &N) -> Result<Meaning<N::Test>> {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for test in tests {
        match test {
            Test::Is(value) if value.text.parse::<f64>().is_err() => texts.push(&*value.text),
            test => others.push(test),
        }
    }
    let gathered = if texts.len() > 1 { names.one_of(field, &texts)? } else { None };
    let rest: Vec<&Test> = if gathered.is_some() { others } else { tests.iter().collect() };
    let mut parts: Vec<_> = gathered.into_iter().map(Meaning::Test).collect();
    for test in rest {
        parts.push(lower_form(field, test, names)?);
    }
    Ok(any_of(parts))
}

impl Asked<'_> {
    /// What is asked of a time.
    fn of_time(self, field: &FieldRef, clock: &Clock) -> Result<TimeBetween> {
        let span = |text: &str, offset| {
            if let Some(last) = parse_last(text, clock) {
                let span = last.map_err(|error| bad_time((offset, error)))?;
                return Ok(TimeBetween { start: Some(span.start), end: Some(span.end) });
            }
            if is_moment(text, clock) {
                let message = format!("'{text}' is one moment: write {} >= {text}", field.name);
                return Err(bad_query(offset, &message));
            }
            let span = parse_time(text, clock).map_err(|error| bad_time((offset, error)))?;
            Ok(TimeBetween { start: Some(span.start), end: Some(span.end) })
        };
        match self {
            Self::Is(value) => span(&value.text, value.offset),
            Self::Phrase(text) => span(text, field.offset),
            Self::Range(lower, upper) => {
                let (start, end) = time_bounds(lower, upper, clock).map_err(bad_time)?;
                Ok(TimeBetween { start, end })
            }
            Self::AnyCase(_) | Self::Wildcard(_) | Self::Regex(_) => {
                let message = format!(
                    "'{}' is a time: compare it (>= 2026-06-01) or give a range ([-24h TO now])",
                    field.name
                );
                Err(bad_query(field.offset, &message))
            }
        }
    }

    /// What is asked of any other value.
    fn of_value(self, kind: FieldKind, clock: &Clock) -> Result<ValueMeaning> {
        Ok(match (self, kind) {
            (Self::Is(Value { text, .. }), FieldKind::Address) if text == "aws" => {
                ValueMeaning::AwsSource
            }
            (Self::Is(Value { text, offset }), FieldKind::Address) => {
                address(text, *offset)?.unwrap_or_else(|| exact(text))
            }
            (Self::Is(Value { text, .. }), FieldKind::Any | FieldKind::Version) => exact(text),
            (Self::Phrase(text), FieldKind::Address) => {
                address(text, None)?.unwrap_or_else(|| ValueMeaning::Phrase(Phrase::new(text)))
            }
            (Self::Phrase(text), FieldKind::Any | FieldKind::Version) => {
                ValueMeaning::Phrase(Phrase::new(text))
            }
            (Self::AnyCase(pattern), _) => ValueMeaning::AnyCase(AnyCase::new(pattern)),
            (Self::Wildcard(pattern), _) => ValueMeaning::Wildcard(Form::new(pattern)),
            (Self::Regex(regex), _) => ValueMeaning::Regex(compiled(regex, Match::new)?),
            (Self::Range(lower, upper), FieldKind::Address) => ValueMeaning::Address(Addresses {
                lower: address_bound(lower)?,
                upper: address_bound(upper)?,
            }),
            (Self::Range(lower, upper), FieldKind::Version) => {
                ValueMeaning::Range(match Between::versions(lower, upper) {
                    Some(versions) => versions,
                    None => Between::new(lower, upper, clock).map_err(bad_time)?,
                })
            }
            (Self::Range(lower, upper), FieldKind::Any) => {
                ValueMeaning::Range(Between::new(lower, upper, clock).map_err(bad_time)?)
            }
        })
    }
}

fn exact(text: &str) -> ValueMeaning {
    ValueMeaning::Exact(SameText(text.to_owned()))
}

/// An address or a network, if the text is one; an error where it is meant for one.
fn address(text: &str, offset: Option<usize>) -> Result<Option<ValueMeaning>> {
    if let Some(addresses) = Addresses::of_network(text) {
        return Ok(Some(ValueMeaning::Address(addresses)));
    }
    let is_meant_for_one = text.split_once('/').is_some_and(|(address, _)| {
        address.chars().all(|c| c.is_ascii_hexdigit() || ".:".contains(c))
    });
    if is_meant_for_one {
        let message = format!("'{text}' is not a network like 10.0.0.0/8");
        return Err(bad_query(offset, &message));
    }
    Ok(None)
}

fn address_bound(bound: &Bound<Value>) -> Result<Bound<Ipv6Addr>> {
    let address = |value: &Value| {
        parse_ip(&value.text)
            .ok_or_else(|| bad_query(value.offset, &format!("'{}' is not an address", value.text)))
    };
    Ok(match bound {
        Bound::Included(value) => Bound::Included(address(value)?),
        Bound::Excluded(value) => Bound::Excluded(address(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// Answers an inner query: the values in the first column of its table.
pub(crate) type Answer<'a> = dyn Fn(&FieldRef, &Query) -> Result<Vec<Value>> + 'a;

/// Resolves names to fields of events.
pub(crate) struct EventNames<'a> {
    /// Finds the field that a name means.
    pub(crate) resolve: &'a dyn Fn(&FieldRef) -> Result<Target>,
    /// The error of a condition on the value of an object, given by its path.
    pub(crate) has_no_value: &'a dyn Fn(&FieldRef, &str) -> ApiError,
    pub(crate) clock: &'a Clock,
    pub(crate) answer: &'a Answer<'a>,
    /// The paths that events have beside columns.
    pub(crate) paths: &'a dyn Fn() -> Vec<String>,
}

/// What a name stands for that asks for values.
enum Found {
    Time,
    Values(EventField, FieldKind),
}

impl EventNames<'_> {
    fn find(&self, field: &FieldRef) -> Result<Found> {
        Ok(match (self.resolve)(field)? {
            Target::Time => Found::Time,
            Target::Ip => Found::Values(EventField::Column(columns::SOURCE_IP), FieldKind::Address),
            Target::Column(id) => Found::Values(EventField::Column(id), kind_of_column(id)),
            Target::Paths(paths) => Found::Values(EventField::Paths(paths), FieldKind::Any),
            Target::Object(path) => return Err((self.has_no_value)(field, &path)),
        })
    }

    fn operand(&self, field: &FieldRef) -> Result<Operand> {
        Ok(match self.find(field)? {
            Found::Time => Operand::Time,
            Found::Values(field, _) => Operand::Field(field),
        })
    }
}

impl Names for EventNames<'_> {
    type Test = EventTest;

    fn words(&self, words: WordMeaning) -> EventTest {
        EventTest::Words(words)
    }

    fn exists(&self, field: &FieldRef) -> Result<EventTest> {
        let field = match (self.resolve)(field)? {
            // Whatever has something below it is there.
            Target::Object(path) => EventField::Paths(vec![path]),
            _ => match self.find(field)? {
                // Every event has one.
                Found::Time => return Ok(EventTest::Time(TimeBetween { start: None, end: None })),
                Found::Values(field, _) => field,
            },
        };
        Ok(EventTest::Value { field, test: ValueMeaning::Exists })
    }

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<EventTest> {
        Ok(match self.find(field)? {
            Found::Time => EventTest::Time(asked.of_time(field, self.clock)?),
            Found::Values(field, kind) => {
                EventTest::Value { field, test: asked.of_value(kind, self.clock)? }
            }
        })
    }

    fn one_of(&self, field: &FieldRef, texts: &[&str]) -> Result<Option<EventTest>> {
        Ok(match self.find(field)? {
            Found::Values(field, FieldKind::Any | FieldKind::Version) => {
                Some(EventTest::Value { field, test: one_of_texts(texts) })
            }
            Found::Time | Found::Values(_, FieldKind::Address) => None,
        })
    }

    fn compared(&self, left: &FieldRef, how: Comparison, right: &FieldRef) -> Result<EventTest> {
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        Ok(EventTest::Compared { left, comparison: how, right })
    }

    fn paths(&self) -> Option<Vec<String>> {
        let is_of_records = |column: &&Column| column.words != Words::Derived;
        let mut paths = (self.paths)();
        paths.extend(COLUMNS.iter().filter(is_of_records).map(|column| column.path.to_owned()));
        paths.push(EVENT_TIME_PATH.to_owned());
        Some(paths)
    }

    fn with_paths(&self, paths: Vec<String>) -> Meaning<EventTest> {
        let mut parts = Vec::new();
        let mut others = Vec::new();
        for path in paths {
            match ColumnId::at_path(&path).filter(|id| id.column().is_unique) {
                // They have no column of their own by event.
                Some(id) => parts.push(EventField::Column(id)),
                None if path == EVENT_TIME_PATH => return Meaning::All,
                None => others.push(path),
            }
        }
        if !others.is_empty() {
            parts.push(EventField::Paths(others));
        }
        let exists = |field| EventTest::Value { field, test: ValueMeaning::Exists };
        any_of(parts.into_iter().map(|field| Meaning::Test(exists(field))).collect())
    }

    fn found(&self, field: &FieldRef, query: &Query) -> Result<Vec<Value>> {
        (self.answer)(field, query)
    }
}

/// Returns the kind of a table's column that holds values of a field.
pub(crate) fn column_kind(field: &Target) -> ColumnKind {
    match field {
        Target::Time => ColumnKind::Time,
        Target::Ip => ColumnKind::Values(FieldKind::Address),
        Target::Column(id) => ColumnKind::Values(kind_of_column(*id)),
        Target::Paths(_) | Target::Object(_) => ColumnKind::Values(FieldKind::Any),
    }
}

fn kind_of_column(id: ColumnId) -> FieldKind {
    if id == columns::EVENT_VERSION { FieldKind::Version } else { FieldKind::Any }
}

fn one_of_texts(texts: &[&str]) -> ValueMeaning {
    ValueMeaning::OneOf(AnyOf::new(texts.iter().copied()))
}

/// Resolves names to columns of a table.
pub(crate) struct RowNames<'a> {
    /// Finds the column that a name means, and the kind of its values.
    pub(crate) column: &'a dyn Fn(&FieldRef) -> Result<(usize, ColumnKind)>,
    pub(crate) clock: &'a Clock,
    pub(crate) answer: &'a Answer<'a>,
}

impl Names for RowNames<'_> {
    type Test = RowTest;

    fn words(&self, words: WordMeaning) -> RowTest {
        RowTest::Words(words)
    }

    fn exists(&self, field: &FieldRef) -> Result<RowTest> {
        let (column, _) = (self.column)(field)?;
        Ok(RowTest::Value { column, test: ValueMeaning::Exists })
    }

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<RowTest> {
        Ok(match (self.column)(field)? {
            (column, ColumnKind::Time) => {
                RowTest::Time { column, between: asked.of_time(field, self.clock)? }
            }
            (column, ColumnKind::Values(kind)) => {
                RowTest::Value { column, test: asked.of_value(kind, self.clock)? }
            }
        })
    }

    fn one_of(&self, field: &FieldRef, texts: &[&str]) -> Result<Option<RowTest>> {
        Ok(match (self.column)(field)? {
            (column, ColumnKind::Values(FieldKind::Any | FieldKind::Version)) => {
                Some(RowTest::Value { column, test: one_of_texts(texts) })
            }
            (_, ColumnKind::Time | ColumnKind::Values(FieldKind::Address)) => None,
        })
    }

    fn compared(&self, _: &FieldRef, _: Comparison, _: &FieldRef) -> Result<RowTest> {
        let message = "columns are compared with values; quote the value";
        Err(ApiError::new(ErrorKind::BadQuery, message))
    }

    fn found(&self, field: &FieldRef, query: &Query) -> Result<Vec<Value>> {
        (self.answer)(field, query)
    }
}

fn compiled(
    regex: &Regex,
    compile: impl Fn(&Regex) -> std::result::Result<Match, String>,
) -> Result<Match> {
    compile(regex).map_err(|reason| {
        let message = format!("/{}/ is no regular expression: {reason}", regex.pattern);
        ApiError::new(ErrorKind::BadQuery, message)
    })
}

fn bad_time((offset, error): (Option<usize>, TimeError)) -> ApiError {
    bad_query(offset, &error.to_string())
}

fn bad_query(offset: Option<usize>, message: &str) -> ApiError {
    let message = format!("{message}{}", at(offset));
    ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) }
}

fn no_word(text: &str) -> ApiError {
    let message = format!("'{text}' holds no word: words are letters and digits");
    ApiError {
        suggestion: Some("look in a field, as field:value".to_owned()),
        ..ApiError::new(ErrorKind::BadQuery, message)
    }
}
