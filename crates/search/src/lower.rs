//! Turns the tree of a condition into its meaning. This is the one place that decides what a test
//! asks, both of events and of rows.
//!
//! What a text means depends on the field: a moment for a time, a network for an address, a version
//! for `eventVersion`. All errors of a condition (a field that no event has, a text that is not a
//! time) are found here, so code that reads a meaning has nothing left to refuse.

mod names;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::ops::Bound;

use crate::addresses::{Addresses, Network, NetworkWords};
use crate::fields::at;
use crate::form::{AnyCase, AnyOf, Between, Form, Match, SameText, time_bounds};
use crate::meaning::{Meaning, TimeBetween, ValueMeaning, WordMeaning};
use crate::named::Named;
use crate::phrase::{Phrase, Row};
use crate::unicode::{forms, pattern_forms, test_forms};
use language::ast::{Comparison, Expr, FieldRef, Pattern, PatternPiece, Query, Regex, Test, Value};
use language::time::{Clock, TimeError, is_moment, parse_last, parse_time};
use trail::flat::parse_ip;
use trail::names::SERVICE_ENDING;
use wire::{ApiError, ErrorKind};

#[cfg(test)]
pub(crate) use self::names::Find;
pub(crate) use self::names::{ColumnKind, EventNames, FieldKind, RowNames, column_kind};

type Result<T, E = ApiError> = std::result::Result<T, E>;

/// The name that asks for the names of fields, in place of their values.
pub(crate) const NAMES: &str = "names";

/// Resolves the names in a condition, to fields of events or to columns of a table.
pub(crate) trait Names {
    type Test;

    fn words(&self, words: WordMeaning) -> Self::Test;

    fn exists(&self, field: &FieldRef) -> Result<Self::Test>;

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<Meaning<Self::Test>>;

    /// What a condition asks whose name is a service's, and its value an action: `iam:CreateUser`, as
    /// tables print it. None where it is no such condition.
    fn of_service(&self, _: &FieldRef, _: &Test) -> Option<Result<Meaning<Self::Test>>> {
        None
    }

    /// Makes a test for one of several texts, none of which is a number or a network; None where the
    /// field's values are not compared as texts.
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

    /// Tells of a word without a field that its reader may take for something else.
    fn tell_word(&self, _: &str, _is_network: bool) {}

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

/// Returns the meaning of a condition; an error names the byte at fault.
pub(crate) fn lower<N: Names>(expr: &Expr, names: &N) -> Result<Meaning<N::Test>> {
    let all = |parts: &[Expr]| parts.iter().map(|part| lower(part, names)).collect::<Result<_>>();
    let words = |words| Meaning::Test(names.words(words));
    Ok(match expr {
        Expr::All => Meaning::All,
        Expr::And(parts) => Meaning::And(all(parts)?),
        Expr::Or(parts) => Meaning::Or(all(parts)?),
        Expr::Not(inner) => Meaning::Not(Box::new(lower(inner, names)?)),
        Expr::Word(text) if let Some(network) = NetworkWords::of(text) => {
            names.tell_word(text, true);
            words(WordMeaning::Network(network))
        }
        Expr::Word(text) | Expr::Phrase(text) => {
            if matches!(expr, Expr::Word(_)) {
                names.tell_word(text, false);
            }
            any_of(rows(text)?.into_iter().map(words).collect())
        }
        Expr::Wildcard(pattern) => any_of(wildcards(pattern).map(words).collect()),
        Expr::Regex(regex) => words(WordMeaning::Regex(compiled(regex, Match::of_words)?)),
        Expr::Field { field, test } if field.name == NAMES && !field.is_path && !field.has_below => {
            match (names.paths(), test) {
                (None, test) => lower_test(field, test, names)?,
                (Some(_), Test::Exists) => Meaning::All,
                (Some(paths), test) => {
                    names.with_paths(paths_with(&paths, &name_test(field, test)?))
                }
            }
        }
        Expr::Field { field, test } => match names.of_service(field, test) {
            Some(meaning) => meaning?,
            None => lower_test(field, test, names)?,
        },
    })
}

fn any_of<T>(mut parts: Vec<Meaning<T>>) -> Meaning<T> {
    if parts.len() == 1 { parts.remove(0) } else { Meaning::Or(parts) }
}

/// Words in a row, in each form that Unicode has for them.
fn rows(text: &str) -> Result<Vec<WordMeaning>> {
    let row = |(form, text): (usize, String)| {
        // A time has one form.
        let time = if form == 0 { written_time(&text) } else { None };
        WordMeaning::Row { row: Row::of(&text), time }
    };
    let mut forms = forms(text);
    // In lower case, the dot of `İ` is a mark behind an `i`, where a word would end.
    if text.contains("i\u{307}") {
        forms.push(text.replace("i\u{307}", "İ"));
    }
    let mut rows: Vec<WordMeaning> = forms.into_iter().enumerate().map(row).collect();
    rows.retain(|row| matches!(row, WordMeaning::Row { row, .. } if !row.words.is_empty()));
    if rows.is_empty() { Err(no_word(text)) } else { Ok(rows) }
}

/// The span of a time that begins with a date, as records write it: in UTC. A day, an hour, a minute, a
/// second, or a fraction of one.
fn written_time(text: &str) -> Option<TimeBetween> {
    let text = text.to_ascii_uppercase();
    let date = text.get(..10)?;
    let is_date = date.bytes().zip(*b"0000-00-00").all(|(found, form)| match form {
        b'-' => found == b'-',
        _ => found.is_ascii_digit(),
    });
    // A clock is for times that count from now, which have no date.
    let clock = Clock::utc(jiff::Timestamp::UNIX_EPOCH);
    let span = parse_time(&text, &clock).ok().filter(|_| is_date && !is_too_fine(&text))?;
    Some(TimeBetween { start: Some(span.start), end: Some(span.end) })
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
    names.asked(field, asked)
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
            Test::Is(value) if is_plain(&value.text) => texts.push(&*value.text),
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

/// Whether a text is asked for as it is.
fn is_plain(text: &str) -> bool {
    text.parse::<f64>().is_err() && Addresses::of_prefix(text).is_none()
}

impl Asked<'_> {
    /// What is asked of a time.
    fn of_time(self, field: &FieldRef, clock: &Clock) -> Result<TimeBetween> {
        let span = |text: &str, offset| {
            check_fine(text, offset)?;
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
                check_bounds(lower, upper)?;
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
            (Self::Phrase(text), FieldKind::Address) => {
                address(text, None)?.unwrap_or_else(|| ValueMeaning::Phrase(Phrase::new(text)))
            }
            (Self::Is(_) | Self::Phrase(_), _) if let Some(network) = self.network() => {
                ValueMeaning::Network(network)
            }
            (Self::Is(Value { text, .. }), FieldKind::Service | FieldKind::Named)
                if is_plain(text) =>
            {
                one_of_texts(kind, &[text])
            }
            (Self::Wildcard(pattern), FieldKind::Named) => {
                ValueMeaning::Named(Named::Wildcard(Form::new(pattern)))
            }
            (Self::AnyCase(pattern), FieldKind::Named) => {
                ValueMeaning::Named(Named::AnyCase(AnyCase::new(pattern)))
            }
            (Self::Is(Value { text, .. }), _) => exact(text),
            (Self::Phrase(text), _) => ValueMeaning::Phrase(Phrase::new(text)),
            (Self::AnyCase(pattern), _) => ValueMeaning::AnyCase(AnyCase::new(pattern)),
            (Self::Wildcard(pattern), _) => ValueMeaning::Wildcard(Form::new(pattern)),
            (Self::Regex(regex), _) => ValueMeaning::Regex(compiled(regex, Match::new)?),
            (Self::Range(lower, upper), FieldKind::Address) => addresses(lower, upper)?,
            (Self::Range(lower, upper), _) if are_addresses(lower, upper) => {
                addresses(lower, upper)?
            }
            (Self::Range(lower, upper), FieldKind::Version) => {
                ValueMeaning::Range(match Between::versions(lower, upper) {
                    Some(versions) => versions,
                    None => Between::new(lower, upper, clock).map_err(bad_time)?,
                })
            }
            (Self::Range(lower, upper), _) => {
                let between = Between::new(lower, upper, clock).map_err(bad_time)?;
                if let Between::Times { .. } = between {
                    check_bounds(lower, upper)?;
                }
                ValueMeaning::Range(between)
            }
        })
    }

    fn network(self) -> Option<Network> {
        match self {
            Self::Is(Value { text, .. }) => Network::of(text),
            Self::Phrase(text) => Network::of(text),
            _ => None,
        }
    }

    /// What else is asked, in other forms of the same text: a service's name without its ending.
    fn in_other_forms(self, kind: FieldKind) -> Vec<ValueMeaning> {
        let with_ending = |pattern: &Pattern| -> Option<Pattern> {
            let pieces = pattern.pieces();
            let has_dot = |piece: &PatternPiece| matches!(piece, PatternPiece::Text(text) if text.contains('.'));
            let is_open = matches!(pieces.last(), None | Some(PatternPiece::AnyRun));
            let ending = PatternPiece::Text(SERVICE_ENDING.to_owned());
            let is_short = !is_open && !pieces.iter().any(has_dot);
            is_short.then(|| Pattern::new(pieces.iter().cloned().chain([ending])))
        };
        let other = match (self, kind) {
            // A number is compared as such, too.
            (Self::Is(Value { text, .. }), FieldKind::Service | FieldKind::Named)
                if !is_plain(text) =>
            {
                Some(one_of_texts(kind, &[text]))
            }
            (Self::Phrase(text), FieldKind::Service) => {
                let pattern = Pattern::new([PatternPiece::Text(text.to_owned())]);
                with_ending(&pattern).map(|pattern| ValueMeaning::AnyCase(AnyCase::new(&pattern)))
            }
            (Self::AnyCase(pattern), FieldKind::Service) => {
                with_ending(pattern).map(|pattern| ValueMeaning::AnyCase(AnyCase::new(&pattern)))
            }
            (Self::Wildcard(pattern), FieldKind::Service) => {
                with_ending(pattern).map(|pattern| ValueMeaning::Wildcard(Form::new(&pattern)))
            }
            _ => None,
        };
        other.into_iter().collect()
    }
}

/// One of several texts, none of which is a number or a network.
fn one_of_texts(kind: FieldKind, texts: &[&str]) -> ValueMeaning {
    match kind {
        FieldKind::Named => ValueMeaning::Named(Named::OneOf(AnyOf::new(texts.iter().copied()))),
        FieldKind::Service => {
            let short = texts.iter().filter(|text| !text.is_empty() && !text.contains('.'));
            let whole: Vec<String> = short.map(|text| format!("{text}{SERVICE_ENDING}")).collect();
            let all = texts.iter().copied().chain(whole.iter().map(String::as_str));
            ValueMeaning::OneOf(AnyOf::new(all))
        }
        _ => ValueMeaning::OneOf(AnyOf::new(texts.iter().copied())),
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

/// A range of addresses of one family.
fn addresses(lower: &Bound<Value>, upper: &Bound<Value>) -> Result<ValueMeaning> {
    let found = Addresses::between(address_bound(lower)?, address_bound(upper)?);
    let offset = match (lower, upper) {
        (Bound::Included(value) | Bound::Excluded(value), _)
        | (_, Bound::Included(value) | Bound::Excluded(value)) => value.offset,
        _ => None,
    };
    let message = "a range of addresses is of IPv4 or of IPv6, and not from one to the other";
    found.map(ValueMeaning::Address).ok_or_else(|| bad_query(offset, message))
}

/// Whether a time has digits behind its microseconds.
pub(crate) fn is_too_fine(text: &str) -> bool {
    text.split_once('.').is_some_and(|(_, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].trim_end_matches('0').len() > 6
    })
}

fn check_fine(text: &str, offset: Option<usize>) -> Result<()> {
    let message = format!("'{text}' is finer than a microsecond, to which times are compared");
    if is_too_fine(text) { Err(bad_query(offset, &message)) } else { Ok(()) }
}

fn check_bounds(lower: &Bound<Value>, upper: &Bound<Value>) -> Result<()> {
    for bound in [lower, upper] {
        if let Bound::Included(value) | Bound::Excluded(value) = bound {
            check_fine(&value.text, value.offset)?;
        }
    }
    Ok(())
}

fn are_addresses(lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let is_one = |bound: &Bound<Value>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => parse_ip(&value.text).is_some(),
        Bound::Unbounded => true,
    };
    is_one(lower) && is_one(upper)
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
