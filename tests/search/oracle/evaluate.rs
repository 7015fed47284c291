//! What a query means, said again without an index: every record is looked at, one value at a time.
//!
//! Written from docs/query-language.md. It knows the tree of a query, and shares nothing with traildex
//! below it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use jiff::Timestamp;
use language::ast::{Comparison, Expr, FieldRef, Pattern, PatternPiece, Query, Regex, Test, Value};
use serde_json::Value as Json;

use super::names::{NAMES, Network, OTHER_NAMES, action_in, bits_of, names_in};
use super::record::{COLUMNS, Doc, Scalar, is_column, shown, words_of, written_span};

/// What no record has by these names.
pub const DERIVED: [&str; 9] =
    ["actor", "credential", "time", "outcome", "error", "client", "target", "account", "action"];

type Meets<'a> = Box<dyn Fn(&Doc) -> bool + 'a>;
pub type IsMeant = Box<dyn Fn(&Scalar) -> bool>;

/// All records, and what fields they have.
pub struct Archive {
    pub docs: Vec<Doc>,
    pub paths: BTreeSet<String>,
}

impl Archive {
    pub fn new(docs: Vec<Doc>) -> Self {
        let paths = docs.iter().flat_map(|doc| doc.values.keys().cloned()).collect();
        Self { docs, paths }
    }

    /// The paths of the values that a name means.
    pub fn paths_of(&self, field: &FieldRef) -> Vec<String> {
        let name = field.name.as_str();
        if name == "eventTime" {
            return vec!["time".to_owned()];
        }
        if !field.is_quoted {
            if let Some((path, _)) = COLUMNS.iter().find(|(_, short)| *short == name) {
                return vec![(*path).to_owned()];
            }
            if let Some((_, path)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
                return vec![(*path).to_owned()];
            }
            if let Some((_, paths, _)) = NAMES.iter().find(|(short, ..)| *short == name) {
                return paths.iter().map(|path| (*path).to_owned()).collect();
            }
        }
        if self.paths.contains(name) || is_column(name) {
            return vec![name.to_owned()];
        }
        let end = format!(".{name}");
        self.paths.iter().filter(|path| path.ends_with(&end)).cloned().collect()
    }

    /// The paths at or below which a field is, by any of its names.
    fn places_of(&self, field: &FieldRef) -> Vec<String> {
        let name = &field.name;
        let at = self.paths_of(field);
        let is_whole = at.iter().any(|path| path == name || !path.ends_with(&format!(".{name}")));
        let is_object = || self.paths.iter().any(|path| is_below(path, name));
        if is_whole || is_object() {
            return if at.is_empty() || !is_whole { vec![name.clone()] } else { at };
        }
        let inner = format!(".{name}.");
        let above = self.paths.iter().filter_map(|path| {
            let (before, _) = path.split_once(&inner)?;
            Some(format!("{before}.{name}"))
        });
        above.chain(at.clone()).collect()
    }

    /// The events that a filter has.
    pub fn matching(&self, filter: &Expr) -> Vec<&Doc> {
        let meets = self.meaning(&self.without_queries(filter));
        self.docs.iter().filter(|doc| meets(doc)).collect()
    }

    pub fn without_queries(&self, expr: &Expr) -> Expr {
        let all = |parts: &[Expr]| parts.iter().map(|part| self.without_queries(part)).collect();
        match expr {
            Expr::And(parts) => Expr::And(all(parts)),
            Expr::Or(parts) => Expr::Or(all(parts)),
            Expr::Not(inner) => Expr::Not(Box::new(self.without_queries(inner))),
            Expr::Field { field, test: Test::InQuery(query) } => {
                let is = |text: String| Test::Is(Value { text, offset: None });
                let tests = self.first_column(query).into_iter().map(is).collect();
                Expr::Field { field: field.clone(), test: Test::OneOf(tests) }
            }
            expr => expr.clone(),
        }
    }

    fn first_column(&self, query: &Query) -> Vec<String> {
        let (_, rows) = self.table(query);
        let text = |row: &Vec<Json>| match &row[0] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        rows.iter().filter_map(text).collect()
    }

    fn meaning(&self, expr: &Expr) -> Meets<'_> {
        let all = |parts: &[Expr]| -> Vec<Meets<'_>> {
            parts.iter().map(|part| self.meaning(part)).collect()
        };
        match expr {
            Expr::All => Box::new(|_| true),
            Expr::And(parts) => {
                let parts = all(parts);
                Box::new(move |doc| parts.iter().all(|part| part(doc)))
            }
            Expr::Or(parts) => {
                let parts = all(parts);
                Box::new(move |doc| parts.iter().any(|part| part(doc)))
            }
            Expr::Not(inner) => {
                let inner = self.meaning(inner);
                Box::new(move |doc| !inner(doc))
            }
            Expr::Word(text) if let Some(network) = Network::of(text) => {
                let row = words_of(text);
                Box::new(move |doc| {
                    doc.rows.iter().any(|words| has_row(words, &row))
                        || doc.values.values().flatten().any(|value| network.is_in(&value.text()))
                })
            }
            Expr::Word(text) | Expr::Phrase(text) => {
                let (row, span) = (words_of(text), written_span(text));
                let is_then = move |time| span.as_ref().is_some_and(|span| span.contains(&time));
                Box::new(move |doc| {
                    is_then(doc.time) || doc.rows.iter().any(|words| has_row(words, &row))
                })
            }
            Expr::Wildcard(pattern) => {
                let pattern = lower(pattern);
                Box::new(move |doc| {
                    doc.words().iter().any(|word| is_of_form(word, pattern.pieces()))
                })
            }
            Expr::Regex(regex) => {
                let regex = compile(&regex.pattern, true);
                Box::new(move |doc| doc.words().iter().any(|word| regex.is_match(word)))
            }
            Expr::Field { field, test } => self.field_meaning(field, test),
        }
    }

    /// The paths at and below one, of what is in records.
    pub fn paths_below(&self, field: &FieldRef) -> Vec<String> {
        let name = &field.name;
        let is_here = |path: &&String| name.is_empty() || *path == name || is_below(path, name);
        let of_records = self.paths.iter().filter(|path| !DERIVED.contains(&path.as_str()));
        of_records.filter(is_here).cloned().collect()
    }

    /// The values of the record at a path and below it, or all of them.
    fn below_meaning(field: &FieldRef, test: &Test) -> Meets<'static> {
        let name = field.name.clone();
        let is_meant = match test {
            Test::Exists => Box::new(|_: &Scalar| true),
            test => Kind::Plain.meaning(test),
        };
        Box::new(move |doc| {
            let is_here = |path: &str| {
                let is_there = name.is_empty() || path == name || is_below(path, &name);
                is_there && !DERIVED.contains(&path)
            };
            let values = doc.values.iter().filter(|(path, _)| is_here(path));
            values.flat_map(|(_, values)| values).any(&is_meant)
                || is_here("eventTime") && is_meant(&Scalar::Text(doc.event_time.clone()))
        })
    }

    fn field_meaning(&self, field: &FieldRef, test: &Test) -> Meets<'_> {
        if field.has_below {
            return Self::below_meaning(field, test);
        }
        if *test == Test::Exists {
            let at = self.places_of(field);
            return Box::new(move |doc| {
                let is_at = |path: &String| at.iter().any(|at| path == at || is_below(path, at));
                doc.values.keys().any(is_at)
            });
        }
        let paths = self.paths_of(field);
        match test {
            Test::OneOf(tests) => {
                let each: Vec<Meets<'_>> =
                    tests.iter().map(|test| self.field_meaning(field, test)).collect();
                Box::new(move |doc| each.iter().any(|meets| meets(doc)))
            }
            Test::Compared { comparison, other } => {
                let (comparison, others) = (*comparison, self.paths_of(other));
                Box::new(move |doc| {
                    let of = |paths: &[String]| -> Vec<Scalar> {
                        paths.iter().flat_map(|path| doc.of(path)).cloned().collect()
                    };
                    compare(&of(&paths), comparison, &of(&others))
                })
            }
            test => {
                let kind = Kind::of_field(field);
                let is_meant = kind.meaning(test);
                let action = if kind == Kind::Action { action_in(test) } else { None };
                Box::new(move |doc| {
                    let is_action = || {
                        action.as_ref().is_some_and(|(source, name)| {
                            let has = |path: &str, wanted: &String| {
                                doc.of(path).iter().any(|value| value.text() == wanted.as_str())
                            };
                            has("eventSource", source) && has("eventName", name)
                        })
                    };
                    paths.iter().flat_map(|path| doc.of(path)).any(&is_meant) || is_action()
                })
            }
        }
    }
}

/// What is special about a field's values, in events and in the columns of a table.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Plain,
    Time,
    Address,
    Version,
    /// What AWS's names end in can be left out.
    Service,
    /// A service can stand before it.
    Action,
    /// Names, or ARNs that have them.
    Named,
}

impl Kind {
    pub fn of_field(field: &FieldRef) -> Self {
        let is_short = ["time", "ip", "service", "action"].contains(&field.name.as_str());
        if field.is_quoted && is_short { Self::Plain } else { Self::of(&field.name) }
    }

    pub fn of(name: &str) -> Self {
        match name {
            "time" | "eventTime" => Self::Time,
            "ip" | "source.ip" => Self::Address,
            "eventVersion" => Self::Version,
            "eventSource" | "service" => Self::Service,
            "eventName" | "action" | "event.action" => Self::Action,
            name if NAMES.iter().any(|(short, _, has_arns)| *short == name && *has_arns) => {
                Self::Named
            }
            _ => Self::Plain,
        }
    }

    /// What a test asks of one value, or one of several tests.
    pub fn meaning(self, test: &Test) -> IsMeant {
        if let Test::OneOf(tests) = test {
            let each: Vec<IsMeant> = tests.iter().map(|test| self.meaning(test)).collect();
            return Box::new(move |value| each.iter().any(|is_meant| is_meant(value)));
        }
        if self == Self::Address
            && let Some(is_meant) = address_meaning(test)
        {
            return is_meant;
        }
        let is_meant = value_meaning(test, self == Self::Version);
        let text = match test {
            Test::Is(Value { text, .. }) | Test::Phrase(text) => Some(text.clone()),
            _ => None,
        };
        let network = text.as_deref().and_then(Network::of);
        let is_meant: IsMeant = match network {
            Some(network) => Box::new(move |value| is_meant(value) || network.holds(&value.text())),
            None => is_meant,
        };
        match (self, test) {
            (
                Self::Service,
                Test::Is(_) | Test::Phrase(_) | Test::AnyCase(_) | Test::Wildcard(_),
            ) => {
                let has_dot = test.to_string().contains('.');
                Box::new(move |value| {
                    let text = value.text();
                    let short = text.strip_suffix(".amazonaws.com").unwrap_or_default();
                    let is_short = !short.is_empty() && !has_dot;
                    is_meant(value) || is_short && is_meant(&Scalar::Text(short.to_owned()))
                })
            }
            (Self::Named, Test::Is(_) | Test::AnyCase(_) | Test::Wildcard(_)) => {
                Box::new(move |value| {
                    let is_name = |name: &str| is_meant(&Scalar::Text(name.to_owned()));
                    is_meant(value) || names_in(&value.text()).iter().any(|name| is_name(name))
                })
            }
            _ => is_meant,
        }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

pub fn lower(pattern: &Pattern) -> Pattern {
    Pattern::new(pattern.pieces().iter().map(|piece| match piece {
        PatternPiece::Text(text) => PatternPiece::Text(fold(text)),
        piece => piece.clone(),
    }))
}

pub fn has_row(words: &[String], row: &[String]) -> bool {
    !row.is_empty() && words.windows(row.len()).any(|window| window == row)
}

/// Tries every length for each `*`, but where the text behind it is the last.
pub fn is_of_form(text: &str, pieces: &[PatternPiece]) -> bool {
    match pieces {
        [] => text.is_empty(),
        [PatternPiece::Text(start), rest @ ..] => {
            text.strip_prefix(start.as_str()).is_some_and(|text| is_of_form(text, rest))
        }
        [PatternPiece::AnyOne, rest @ ..] => {
            let mut chars = text.chars();
            chars.next().is_some() && is_of_form(chars.as_str(), rest)
        }
        [PatternPiece::AnyRun] => true,
        [PatternPiece::AnyRun, PatternPiece::Text(end)] => text.ends_with(end.as_str()),
        [PatternPiece::AnyRun, rest @ ..] => (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .any(|at| is_of_form(&text[at..], rest)),
    }
}

pub fn compile(pattern: &str, ignores_case: bool) -> regex::Regex {
    let flags = if ignores_case { "(?si)" } else { "(?s)" };
    regex::Regex::new(&format!("{flags}^(?:{pattern})$")).unwrap()
}

/// What asks for addresses as such; anything else asks for texts.
fn address_meaning(test: &Test) -> Option<IsMeant> {
    match test {
        Test::Is(value) if value.text == "aws" => Some(Box::new(|source| {
            let text = source.text();
            text.starts_with("AWS Internal") || text.ends_with(".amazonaws.com")
        })),
        Test::Is(value) => {
            let whole = if value.text.contains(':') { 128 } else { 32 };
            let text = &value.text;
            let network = Network::of(text).or_else(|| Network::of(&format!("{text}/{whole}")))?;
            Some(Box::new(move |source| network.holds(&source.text())))
        }
        Test::Range { lower, upper } => Some(addresses_between(lower, upper)),
        _ => None,
    }
}

/// Addresses of the family of the bounds.
fn addresses_between(lower: &Bound<Value>, upper: &Bound<Value>) -> IsMeant {
    let bound = |bound: &Bound<Value>| bound.as_ref().map(|v| bits_of(&v.text).unwrap());
    let (lower, upper) = (bound(lower), bound(upper));
    let family = |bound: &Bound<(bool, u128)>| match bound {
        Bound::Included((is_v4, _)) | Bound::Excluded((is_v4, _)) => Some(*is_v4),
        Bound::Unbounded => None,
    };
    let is_v4 = family(&lower).or(family(&upper)).expect("a range has an end");
    let bounds = (lower.map(|(_, bits)| bits), upper.map(|(_, bits)| bits));
    Box::new(move |source| {
        bits_of(&source.text())
            .is_some_and(|(family, bits)| family == is_v4 && bounds.contains(&bits))
    })
}

/// What a test of texts and times asks of one value.
fn value_meaning(test: &Test, is_version: bool) -> IsMeant {
    let of_text = text_meaning(test, is_version);
    let test = test.clone();
    Box::new(move |value| match value {
        Scalar::Time(time) => time_test(*time, &test),
        value => {
            let wanted = match &test {
                Test::Is(wanted) => Some(wanted.text.as_str()),
                Test::Phrase(wanted) => Some(wanted.as_str()),
                _ => None,
            };
            let is_that_number = || match (wanted, value.number()) {
                (Some(wanted), Some(_)) => {
                    Number::of(wanted).is_some_and(|n| Some(n) == Number::of(&value.written()))
                }
                _ => false,
            };
            of_text(&value.text()) || is_that_number()
        }
    })
}

fn text_meaning(test: &Test, is_version: bool) -> Box<dyn Fn(&str) -> bool> {
    match test.clone() {
        // What a table shows of a long value, an inner query's for one, means that value; and a row has
        // nothing else of it.
        Test::Is(wanted) => {
            Box::new(move |text| text == wanted.text || shown(text) == shown(&wanted.text))
        }
        Test::AnyCase(pattern) => {
            let pattern = lower(&pattern);
            Box::new(move |text| is_of_form(&fold(text), pattern.pieces()))
        }
        Test::Phrase(wanted) => {
            let row = words_of(&wanted);
            Box::new(move |text| text == wanted || has_row(&words_of(text), &row))
        }
        Test::Wildcard(pattern) => Box::new(move |text| is_of_form(text, pattern.pieces())),
        Test::Regex(Regex { pattern, ignores_case, .. }) => {
            let regex = compile(&pattern, ignores_case);
            Box::new(move |text| regex.is_match(text))
        }
        Test::Range { lower, upper } => range_meaning(&lower, &upper, is_version),
        Test::Exists => Box::new(|_| true),
        Test::OneOf(_) | Test::Compared { .. } | Test::InQuery(_) => {
            unreachable!("taken apart before")
        }
    }
}

/// A finite number as JSON's readers have it: a whole number of 64 bits, or a double. A double that is
/// whole is compared as a whole number.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Number {
    fn of(text: &str) -> Option<Self> {
        let digits = text.strip_suffix(".0").unwrap_or(text);
        if let Some(whole) = digits
            .parse()
            .ok()
            .filter(|n: &i128| i64::try_from(*n).is_ok() || u64::try_from(*n).is_ok())
        {
            return Some(Self::Whole(whole));
        }
        let double = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
        let is_whole = double.fract() == 0.0 && double.abs() < 1e38;
        Some(if is_whole { Self::Whole(double as i128) } else { Self::Fraction(double) })
    }

    fn double(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Fraction(double) => double,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            (a, b) => a.double().partial_cmp(&b.double()),
        }
    }
}

/// Bounds, if each of them can be read.
fn bounds<T>(
    lower: &Bound<Value>,
    upper: &Bound<Value>,
    read: impl Fn(&str) -> Option<T>,
) -> Option<(Bound<T>, Bound<T>)> {
    let bound = |bound: &Bound<Value>| match bound {
        Bound::Included(value) => read(&value.text).map(Bound::Included),
        Bound::Excluded(value) => read(&value.text).map(Bound::Excluded),
        Bound::Unbounded => Some(Bound::Unbounded),
    };
    Some((bound(lower)?, bound(upper)?))
}

fn range_meaning(
    lower: &Bound<Value>,
    upper: &Bound<Value>,
    is_version: bool,
) -> Box<dyn Fn(&str) -> bool> {
    let version = |text: &str| -> Option<Vec<u64>> {
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    let time = |text: &str| text.parse::<Timestamp>().ok();
    if is_version && let Some(bounds) = bounds(lower, upper, version) {
        return Box::new(move |text| {
            version(text).is_some_and(|version| bounds.contains(&version))
        });
    }
    if let Some(bounds) = bounds(lower, upper, Number::of) {
        return Box::new(move |text| Number::of(text).is_some_and(|n| bounds.contains(&n)));
    }
    if bounds(lower, upper, time).is_some() {
        let (lower, upper) = (lower.clone(), upper.clone());
        return Box::new(move |text| {
            time(text).is_some_and(|time| is_between(time.as_microsecond(), &lower, &upper))
        });
    }
    if bounds(lower, upper, bits_of).is_some() {
        let is_meant = addresses_between(lower, upper);
        return Box::new(move |text| is_meant(&Scalar::Text(text.to_owned())));
    }
    let bounds = bounds(lower, upper, |text| Some(text.to_owned())).unwrap();
    Box::new(move |text| bounds.contains(&text.to_owned()))
}

/// Times are given to the second here, or as a day.
fn span(text: &str) -> (i64, i64) {
    let micros = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
    if text.len() == "2023-07-10".len() {
        let start = micros(&format!("{text}T00:00:00Z"));
        (start, start + 24 * 3_600 * 1_000_000)
    } else {
        (micros(text), micros(text) + 1_000_000)
    }
}

fn is_between(time: i64, lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let is_late_enough = match lower {
        Bound::Included(value) => time >= span(&value.text).0,
        Bound::Excluded(value) => time >= span(&value.text).1,
        Bound::Unbounded => true,
    };
    let is_early_enough = match upper {
        Bound::Included(value) => time < span(&value.text).1,
        Bound::Excluded(value) => time < span(&value.text).0,
        Bound::Unbounded => true,
    };
    is_late_enough && is_early_enough
}

fn time_test(time: i64, test: &Test) -> bool {
    match test {
        Test::Is(value) => (span(&value.text).0..span(&value.text).1).contains(&time),
        Test::Range { lower, upper } => is_between(time, lower, upper),
        Test::Exists => true,
        test => unreachable!("no test of a time: {test}"),
    }
}

fn compare(left: &[Scalar], comparison: Comparison, right: &[Scalar]) -> bool {
    let time = |scalar: &Scalar| match scalar {
        Scalar::Time(time) => Some(*time),
        scalar => scalar.text().parse::<Timestamp>().ok().map(Timestamp::as_microsecond),
    };
    let is_time =
        |a: &Scalar, b: &Scalar| matches!(a, Scalar::Time(_)) || matches!(b, Scalar::Time(_));
    let equal = |a: &Scalar, b: &Scalar| {
        if is_time(a, b) {
            return time(a).is_some() && time(a) == time(b);
        }
        a.text() == b.text()
    };
    let order = |a: &Scalar, b: &Scalar| {
        if is_time(a, b) {
            return Some(time(a)?.cmp(&time(b)?));
        }
        match (Number::of(&a.text()), Number::of(&b.text()), a, b) {
            (Some(x), Some(y), a, b)
                if !matches!(a, Scalar::Bool(_)) && !matches!(b, Scalar::Bool(_)) =>
            {
                x.partial_cmp(&y)
            }
            _ => Some(a.text().cmp(&b.text())),
        }
    };
    let any = |is_meant: &dyn Fn(&Scalar, &Scalar) -> bool| {
        left.iter().any(|a| right.iter().any(|b| is_meant(a, b)))
    };
    match comparison {
        Comparison::Equal => any(&equal),
        Comparison::Alike => {
            any(&|a, b| equal(a, b) || !is_time(a, b) && fold(&a.text()) == fold(&b.text()))
        }
        Comparison::NotEqual => !left.is_empty() && !right.is_empty() && !any(&equal),
        Comparison::Less => any(&|a, b| order(a, b).is_some_and(Ordering::is_lt)),
        Comparison::AtMost => any(&|a, b| order(a, b).is_some_and(Ordering::is_le)),
        Comparison::More => any(&|a, b| order(a, b).is_some_and(Ordering::is_gt)),
        Comparison::AtLeast => any(&|a, b| order(a, b).is_some_and(Ordering::is_ge)),
    }
}
