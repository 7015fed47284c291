//! Tests on the text of a value: wildcards, regular expressions, lists, ranges and phrases.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::exact::Exact;
pub(crate) use crate::value_clauses::SameNumber;
use crate::value_clauses::ValueTest;
use crate::wildcard::Wildcard;
use language::ast::{Pattern, PatternPiece, Regex, Value};
use language::time::{Clock, TimeError, parse_plain_time, parse_time};
use trail::limits::EXACT_BYTES_MAX;
use trail::time::Micros;
use trail::words::{lowercase, shorten};

/// Bytes of a prefix that narrow a search.
const PREFIX_BYTES_MAX: usize = 1 << 10;

/// A pattern with wildcards, ready to be matched. Equality and hash are those of its pieces.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pieces: Vec<PatternPiece>,
    prefix: String,
    wildcard: Wildcard,
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Eq for Form {}

impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pieces.hash(state);
    }
}

impl Form {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        let pieces = pattern.pieces().to_vec();
        let prefix = match pieces.first() {
            // What was cut keeps its beginning.
            Some(PatternPiece::Text(text)) => {
                text[..text.floor_char_boundary(PREFIX_BYTES_MAX)].to_owned()
            }
            _ => String::new(),
        };
        let wildcard = Wildcard::new(&pieces);
        Self { pieces, prefix, wildcard }
    }

    /// What the pattern is made of.
    pub(crate) fn pieces(&self) -> &[PatternPiece] {
        &self.pieces
    }

    /// Makes a pattern in lower case, to match words.
    pub(crate) fn of_words(pattern: &Pattern) -> Self {
        Self::new(&Pattern::new(pattern.pieces().iter().map(|piece| match piece {
            PatternPiece::Text(text) => PatternPiece::Text(lowercase(text)),
            piece => piece.clone(),
        })))
    }
}

/// As the language writes it, so that no two forms are written alike.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Pattern::new(self.pieces.iter().cloned()).escape(""))
    }
}

impl ValueTest for Form {
    fn is_met_by(&self, value: &str) -> bool {
        self.wildcard.matches(value)
    }

    fn steps(&self) -> usize {
        self.wildcard.steps()
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn can_be_made_of(&self, alphabet: &str) -> bool {
        self.pieces.iter().all(|piece| match piece {
            PatternPiece::Text(text) => text.chars().all(|c| alphabet.contains(c)),
            PatternPiece::AnyRun | PatternPiece::AnyOne => true,
        })
    }
}

/// A pattern with wildcards that ignores case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AnyCase(Form);

impl AnyCase {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        Self(Form::of_words(pattern))
    }

    /// What the pattern is made of, in lower case.
    pub(crate) fn pieces(&self) -> &[PatternPiece] {
        self.0.pieces()
    }
}

impl ValueTest for AnyCase {
    fn is_met_by(&self, value: &str) -> bool {
        self.0.is_met_by(&lowercase(value))
    }

    fn steps(&self) -> usize {
        self.0.steps()
    }

    fn lower_case_prefix(&self) -> &str {
        self.0.prefix()
    }

    /// Of an alphabet without upper case.
    fn can_be_made_of(&self, alphabet: &str) -> bool {
        self.0.can_be_made_of(alphabet)
    }
}

/// Several patterns, each of which ignores case.
#[derive(Clone, Debug)]
pub(crate) struct AnyOfCases {
    /// Texts without wildcards, in lower case.
    texts: Arc<HashSet<String>>,
    forms: Arc<[Form]>,
}

impl AnyOfCases {
    pub(crate) fn new<'f>(forms: impl Iterator<Item = &'f AnyCase>) -> Self {
        let (mut texts, mut others) = (HashSet::new(), Vec::new());
        for AnyCase(form) in forms {
            match form.pieces() {
                [PatternPiece::Text(text)] => {
                    texts.insert(text.clone());
                }
                _ => others.push(form.clone()),
            }
        }
        Self { texts: Arc::new(texts), forms: others.into() }
    }
}

impl ValueTest for AnyOfCases {
    fn is_met_by(&self, value: &str) -> bool {
        let value = lowercase(value);
        self.texts.contains(&*value) || self.forms.iter().any(|form| form.is_met_by(&value))
    }

    fn steps(&self) -> usize {
        self.forms.iter().map(Form::steps).sum::<usize>() + 1
    }

    fn can_be_made_of(&self, alphabet: &str) -> bool {
        let has_text = |text: &String| text.chars().all(|c| alphabet.contains(c));
        self.texts.iter().any(has_text)
            || self.forms.iter().any(|form| form.can_be_made_of(alphabet))
    }
}

/// A regular expression that must match the whole value. Equality and hash are those of its text
/// and flags.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    source: Regex,
    regex: regex::Regex,
    /// The same, taken apart.
    parts: Arc<Hir>,
}

impl Match {
    /// Compiles a regular expression; the error says in words what is wrong with it.
    pub(crate) fn new(regex: &Regex) -> Result<Self, String> {
        let compiled = regex.compile()?;
        let parts = regex_syntax::ParserBuilder::new()
            .case_insensitive(regex.ignores_case)
            .dot_matches_new_line(true)
            .build()
            .parse(compiled.as_str())
            .map_err(|error| error.to_string())?;
        Ok(Self { source: regex.clone(), regex: compiled, parts: Arc::new(parts) })
    }

    /// As [`Match::new`], for words, which are in lower case.
    pub(crate) fn of_words(regex: &Regex) -> Result<Self, String> {
        Self::new(&Regex { ignores_case: true, ..regex.clone() })
    }

    pub(crate) fn source(&self) -> &Regex {
        &self.source
    }
}

impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Match {}

impl Hash for Match {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl ValueTest for Match {
    fn is_met_by(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    fn steps(&self) -> usize {
        // A state of the expression is made anew for each byte, where the cache of them is too small.
        1_000
    }

    fn can_be_made_of(&self, alphabet: &str) -> bool {
        can_match_text_of(&self.parts, alphabet)
    }
}

/// Whether a regular expression can match text that is made of an alphabet; perhaps wrongly true.
fn can_match_text_of(parts: &Hir, alphabet: &str) -> bool {
    let can = |part: &Hir| can_match_text_of(part, alphabet);
    match parts.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => true,
        HirKind::Literal(text) => std::str::from_utf8(&text.0)
            .is_ok_and(|text| text.chars().all(|c| alphabet.contains(c))),
        HirKind::Class(Class::Unicode(class)) => {
            let is_in =
                |c: char| class.iter().any(|range| (range.start()..=range.end()).contains(&c));
            alphabet.chars().any(is_in)
        }
        HirKind::Repetition(repetition) => repetition.min == 0 || can(&repetition.sub),
        HirKind::Capture(capture) => can(&capture.sub),
        HirKind::Concat(parts) => parts.iter().all(can),
        HirKind::Alternation(parts) => parts.iter().any(can),
    }
}

/// A text. It also equals the form in which tables show a long text: its beginning and a hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SameText(pub String);

impl ValueTest for SameText {
    fn is_met_by(&self, value: &str) -> bool {
        let is_short = self.0.len() <= EXACT_BYTES_MAX && value.len() <= EXACT_BYTES_MAX;
        self.0 == value || !is_short && shown(&self.0) == shown(value)
    }
}

/// A text as tables show it, and the index keeps it.
fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= EXACT_BYTES_MAX {
        return text.into();
    }
    let mut text = text.to_owned();
    shorten(&mut text, EXACT_BYTES_MAX);
    text.into()
}

/// A list of texts, one of which the value must equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnyOf(Arc<HashSet<String>>);

impl AnyOf {
    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self(Arc::new(texts.map(|text| shown(text).into_owned()).collect()))
    }

    /// The texts, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        texts.sort_unstable();
        texts
    }
}

impl Hash for AnyOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.texts().hash(state);
    }
}

impl ValueTest for AnyOf {
    fn is_met_by(&self, value: &str) -> bool {
        self.0.contains(&*shown(value))
    }
}

/// The test that every value passes.
#[derive(Clone, Debug)]
pub(crate) struct Anything;

impl ValueTest for Anything {
    fn is_met_by(&self, _: &str) -> bool {
        true
    }
}

/// The error of a bound of a range, and its byte offset in the query, where known.
pub(crate) type BadBound = (Option<usize>, TimeError);

/// A range of values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Between {
    /// Compares as numbers; only values that read as numbers match.
    Numbers(Bound<Exact>, Bound<Exact>),
    /// Compares as times, from `start` (inclusive) to `end` (exclusive); only values that read as
    /// times match.
    Times { start: Option<Micros>, end: Option<Micros> },
    /// Compares as versions: `1.10` is newer than `1.9`.
    Versions(Bound<Vec<u64>>, Bound<Vec<u64>>),
    /// Compares texts byte by byte.
    Texts(Bound<String>, Bound<String>),
}

impl Between {
    /// Makes a range of versions; None where the bounds are not versions.
    pub(crate) fn versions(lower: &Bound<Value>, upper: &Bound<Value>) -> Option<Self> {
        let version = |bound: &Bound<Value>| {
            Some(match bound {
                Bound::Included(value) => Bound::Included(version(&value.text)?),
                Bound::Excluded(value) => Bound::Excluded(version(&value.text)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Some(Self::Versions(version(lower)?, version(upper)?))
    }

    /// Makes a range of numbers where the bounds are numbers, of times where they are times,
    /// otherwise of texts.
    pub(crate) fn new(
        lower: &Bound<Value>,
        upper: &Bound<Value>,
        clock: &Clock,
    ) -> Result<Self, BadBound> {
        if let (Some(lower), Some(upper)) = (number_bound(lower), number_bound(upper)) {
            return Ok(Self::Numbers(lower, upper));
        }
        let is_time = |bound: &Bound<Value>| match bound {
            Bound::Included(value) | Bound::Excluded(value) => {
                parse_plain_time(&value.text, clock).is_some()
            }
            Bound::Unbounded => true,
        };
        if is_time(lower) && is_time(upper) {
            let (start, end) = time_bounds(lower, upper, clock)?;
            return Ok(Self::Times { start, end });
        }
        let text = |value: &Value| value.text.clone();
        Ok(Self::Texts(lower.as_ref().map(text), upper.as_ref().map(text)))
    }
}

impl ValueTest for Between {
    fn is_met_by(&self, value: &str) -> bool {
        match self {
            Self::Numbers(lower, upper) => {
                Exact::parse(value).is_some_and(|number| (*lower, *upper).contains(&number))
            }
            Self::Times { start, end } => Micros::parse_event_time(value)
                .or_else(|| Micros::parse_written(value))
                .or_else(|| {
                    let utc = Clock::utc(jiff::Timestamp::UNIX_EPOCH);
                    Some(parse_plain_time(value, &utc)?.ok()?.start)
                })
                .is_some_and(|time| {
                    start.is_none_or(|start| time >= start) && end.is_none_or(|end| time < end)
                }),
            Self::Versions(lower, upper) => version(value)
                .is_some_and(|version| (lower.clone(), upper.clone()).contains(&version)),
            Self::Texts(lower, upper) => {
                let bounds =
                    (lower.as_ref().map(String::as_str), upper.as_ref().map(String::as_str));
                RangeBounds::<str>::contains(&bounds, value)
            }
        }
    }
}

fn version(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// A bound that is a number, or none; None for text.
fn number_bound(bound: &Bound<Value>) -> Option<Bound<Exact>> {
    let number = |value: &Value| Exact::parse(&value.text);
    Some(match bound {
        Bound::Included(value) => Bound::Included(number(value)?),
        Bound::Excluded(value) => Bound::Excluded(number(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// Turns bounds into times, the second exclusive. A bound stands for its whole span: `2024-05` is
/// the whole month.
pub(crate) fn time_bounds(
    lower: &Bound<Value>,
    upper: &Bound<Value>,
    clock: &Clock,
) -> Result<(Option<Micros>, Option<Micros>), BadBound> {
    let time =
        |value: &Value| parse_time(&value.text, clock).map_err(|error| (value.offset, error));
    let start = match lower {
        Bound::Included(value) => Some(time(value)?.start),
        Bound::Excluded(value) => Some(time(value)?.end),
        Bound::Unbounded => None,
    };
    let end = match upper {
        Bound::Included(value) => Some(time(value)?.end),
        Bound::Excluded(value) => Some(time(value)?.start),
        Bound::Unbounded => None,
    };
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use language::ast::{Expr, Test};
    use language::parse::parse;

    #[track_caller]
    fn check(pattern: &str, value: &str, expected: bool) {
        let query = parse(&format!("f:{pattern}")).unwrap();
        let Expr::Field { test: Test::Wildcard(pattern), .. } = query.filter else {
            panic!("{pattern} is no pattern")
        };
        assert_eq!(Form::new(&pattern).is_met_by(value), expected, "{pattern:?} {value}");
    }

    #[test]
    fn wildcards_match_as_people_expect() {
        check("Get*", "GetObject", true);
        check("Get*", "Get", true);
        check("Get*", "ForGet", false);
        check("*Unauthorized*", "Client.UnauthorizedOperation", true);
        check("*aab", "aaab", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "a-b-b", false);
        check("a?c", "abc", true);
        check("a?c", "aéc", true);
        check("a?c", "ac", false);
        check("*:i-*", "AROA:i-0abc", true);
    }

    #[test]
    fn what_an_alphabet_cannot_write_is_known() {
        let check = |pattern: &str, ignores_case: bool, expected: bool| {
            let regex = Regex { pattern: pattern.to_owned(), ignores_case };
            let found = Match::new(&regex).unwrap().can_be_made_of("0123abcd-");
            assert_eq!(found, expected, "{pattern}");
        };
        check(".*", false, true);
        check(".*bad.*", false, true);
        check(".*bed.*", false, false);
        check("BAD", false, false);
        check("BAD", true, true);
        check("(x|a)[0-9]+", false, true);
        check("[x-z]+", false, false);
        check("[x-z]*", false, true);
        check("akia[^ ]+", true, false);
        let form = |text: &str| {
            let pieces = [PatternPiece::AnyRun, PatternPiece::Text(text.to_owned())];
            Form::new(&Pattern::new(pieces))
        };
        assert!(form("bad").can_be_made_of("abcd"));
        assert!(!form("bed").can_be_made_of("abcd"));
    }

    #[test]
    fn what_is_shown_of_a_long_text_means_the_whole() {
        let long = |end: &str| format!("{}{end}", "long ".repeat(1_000));
        let (one, other) = (long("one"), long("other"));
        for wanted in [one.clone(), shown(&one).into_owned()] {
            let texts = AnyOf::new(["short", &wanted].into_iter());
            for value in [one.clone(), shown(&one).into_owned()] {
                assert!(SameText(wanted.clone()).is_met_by(&value) && texts.is_met_by(&value));
            }
            assert!(!SameText(wanted).is_met_by(&other) && !texts.is_met_by(&other));
            assert!(texts.is_met_by("short") && !texts.is_met_by("shor"));
        }
    }

    #[test]
    fn numbers_are_the_same_to_the_last_digit() {
        let check = |wanted: &str, value: &str, expected: bool| {
            assert_eq!(SameNumber::new(wanted).is_met_by(value), expected, "{wanted} {value}");
        };
        check("18446744073709551615", "18446744073709551615", true);
        check("18446744073709551615", "18446744073709551614", false);
        check("-9007199254740993", "-9007199254740993", true);
        check("-9007199254740993", "-9007199254740992", false);
        check("9007199254740993.0", "9007199254740993", true);
        check("1e300", &1e300.to_string(), true);
        check("5e0", "5", true);
        check("5.00", "5", true);
        check("5", "5.5", false);
        check("x", "x", false);
    }
}
