//! The tree of a query. It knows no index and no field list: planning gives it a meaning.
//!
//! `Display` prints text that parses back to an equal tree. Byte offsets into the query's text are
//! kept for error messages; they play no part in equality. The parser builds a normal form: `And`
//! and `Or` hold at least two parts and never a part of their own kind, `OneOf` holds at least two
//! tests of values and never a `OneOf`, a range has at least one end, and a pattern at least one
//! wildcard.

mod json;
mod print;
mod stage;

use std::ops::Bound;

pub use self::stage::{Bin, BinUnit, Function, FunctionKind, GroupKey, Net, SortKey, Stage};
use crate::syntax::{escape, unquoted};

/// A whole query: a filter, and stages behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which events the query finds.
    pub filter: Expr,
    /// What happens to these events, in order; empty for a plain search.
    pub stages: Vec<Stage>,
}

/// A condition on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Every event.
    All,
    /// The word anywhere in the event.
    Word(String),
    /// A word that matches this wildcard, anywhere in the event.
    Wildcard(Pattern),
    /// A word that the regular expression matches as a whole, anywhere in the event.
    Regex(Regex),
    /// These words, one behind the other, anywhere in the event.
    Phrase(String),
    /// A test on the values of one field.
    Field {
        /// The field whose values are tested.
        field: FieldRef,
        /// What at least one of its values must pass.
        test: Test,
    },
    /// Events that meet all of these.
    And(Vec<Expr>),
    /// Events that meet at least one of these.
    Or(Vec<Expr>),
    /// Events that do not meet this.
    Not(Box<Expr>),
}

/// A field as a person names it: a path, the last part of a path, or a short name.
#[derive(Clone, Debug)]
pub struct FieldRef {
    /// The name, without backslashes.
    pub name: String,
    /// Byte offset of the name in the query's text; None if there is no text.
    pub offset: Option<usize>,
    /// Whether the name is the whole path. No event needs to have that path; if none does, none
    /// matches.
    pub is_path: bool,
    /// Whether the name stands in quotes: it is a record's own, and no short name.
    pub is_quoted: bool,
    /// Whether the values below it are meant, too: `requestParameters.*`. With an empty name, every
    /// value of the record is.
    pub has_below: bool,
}

/// A test on a field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The whole value is this.
    Is(Value),
    /// The whole value matches this pattern in any case; the pattern may have no wildcard.
    AnyCase(Pattern),
    /// The value contains these words, one behind the other, or it is this text.
    Phrase(String),
    /// The whole value matches this wildcard.
    Wildcard(Pattern),
    /// The regular expression matches the whole value.
    Regex(Regex),
    /// The value lies between two bounds.
    Range {
        /// The lower bound; unbounded if the range is open there.
        lower: Bound<Value>,
        /// The upper bound; unbounded if the range is open there.
        upper: Bound<Value>,
    },
    /// The event has the field.
    Exists,
    /// The value passes at least one of these tests.
    OneOf(Vec<Test>),
    /// Some value of this field compares so with some value of the other. For `NotEqual`: both
    /// fields exist and share no value.
    Compared {
        /// How this field's value must compare with the other's.
        comparison: Comparison,
        /// The field on the right.
        other: FieldRef,
    },
    /// The value is one of those that another query finds: the first column of its table.
    InQuery(Box<Query>),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `~`, the same text in any case
    Alike,
}

/// A regular expression, in the syntax of the `regex` crate. It must match a whole value or word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Regex {
    /// The expression, without its slashes.
    pub pattern: String,
    /// Whether it matches in any case.
    pub ignores_case: bool,
}

/// A value as typed, without quotes and backslashes. The planner decides by the field whether it is
/// a number, a time, a boolean or text.
#[derive(Clone, Debug)]
pub struct Value {
    /// The characters that the value stands for.
    pub text: String,
    /// Byte offset of the value, or of its quote, in the query's text; None if there is no text.
    pub offset: Option<usize>,
}

/// Text with wildcards. Neighbouring texts and neighbouring `*` are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<PatternPiece>);

/// A part of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PatternPiece {
    /// These characters.
    Text(String),
    /// `*`: any characters, or none.
    AnyRun,
    /// `?`: any one character.
    AnyOne,
}

impl Expr {
    /// Events that meet all of `parts`; without parts, every event.
    pub fn all_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::And(inner) => flat.extend(inner),
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::All,
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// Events that meet at least one of `parts`; without parts, no event.
    pub fn any_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Or(inner) => flat.extend(inner),
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::negate(Self::All),
            1 => flat.remove(0),
            _ => Self::Or(flat),
        }
    }

    /// Events that do not meet `expr`.
    pub fn negate(expr: Self) -> Self {
        Self::Not(Box::new(expr))
    }
}

impl Query {
    /// A query for events, without stages.
    pub fn of(filter: Expr) -> Self {
        Self { filter, stages: Vec::new() }
    }
}

impl FieldRef {
    /// A field that a program names; it has no place in a query's text.
    pub fn named(name: impl Into<String>) -> Self {
        Self::typed(name, None)
    }

    /// A field that a query's text names at that byte.
    pub(crate) fn typed(name: impl Into<String>, offset: Option<usize>) -> Self {
        let (is_path, is_quoted, has_below) = (false, false, false);
        Self { name: name.into(), offset, is_path, is_quoted, has_below }
    }

    /// A field whose name stands in quotes at that byte of a query's text.
    pub(crate) fn quoted(name: impl Into<String>, offset: Option<usize>) -> Self {
        Self { is_quoted: true, ..Self::typed(name, offset) }
    }

    /// A field by its name as a query has it: in quotes, or plain.
    pub fn read(text: &str) -> Self {
        unquoted(text).map_or_else(|| Self::named(text), |name| Self::quoted(name, None))
    }

    /// A path as a query has it: in quotes where it has other signs than names have.
    pub fn written(path: &str) -> String {
        let plain = Self::named(path);
        let is_plain = plain.to_string() == path;
        Self { is_quoted: !is_plain, ..plain }.to_string()
    }

    /// The same with all values below it.
    #[must_use]
    pub fn with_below(self) -> Self {
        Self { has_below: true, ..self }
    }

    /// Every value of a record.
    pub fn everywhere() -> Self {
        Self::named("").with_below()
    }

    /// The field at a whole path of the record, for programs that know paths which perhaps no event
    /// of the index has.
    pub fn at_path(path: impl Into<String>) -> Self {
        Self { is_path: true, ..Self::named(path) }
    }
}

impl Value {
    /// A value that a program makes; it has no place in a query's text.
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), offset: None }
    }
}

impl Regex {
    /// Bytes of the program that an expression may come to. At the worst, each byte of a value is
    /// compared with all of it: 36 ms for a value of 4 KiB, and a search ends only between values.
    const PROGRAM_BYTES_MAX: usize = 256 << 10;

    /// An expression from its text between the slashes. An escaped slash becomes a slash, so that
    /// equal expressions have equal text.
    pub fn new(pattern: &str, ignores_case: bool) -> Self {
        let mut plain = String::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match (c, chars.clone().next()) {
                ('\\', Some('/')) => {}
                ('\\', Some(escaped)) => {
                    plain.push(c);
                    plain.push(escaped);
                    chars.next();
                }
                (c, _) => plain.push(c),
            }
        }
        Self { pattern: plain, ignores_case }
    }

    /// Compiles the expression to match whole texts, line breaks included. The error says what is
    /// wrong, for a person.
    pub fn compile(&self) -> Result<regex::Regex, String> {
        let whole = format!("^(?:{})$", self.pattern);
        regex::RegexBuilder::new(&whole)
            .case_insensitive(self.ignores_case)
            .dot_matches_new_line(true)
            .size_limit(Self::PROGRAM_BYTES_MAX)
            .dfa_size_limit(Self::PROGRAM_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                error => {
                    let text = error.to_string();
                    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
                }
            })
    }
}

impl Test {
    /// Whether it is about values alone, and so can stand beside others in `field:(a OR b)`.
    pub(crate) fn is_of_values(&self) -> bool {
        !matches!(self, Self::Compared { .. } | Self::InQuery(_))
    }

    /// A test that passes if at least one of `tests` does.
    pub fn one_of(mut tests: Vec<Self>) -> Self {
        if tests.len() == 1 { tests.remove(0) } else { Self::OneOf(tests) }
    }
}

impl Pattern {
    /// A pattern from its pieces, with neighbouring texts and neighbouring `*` merged.
    pub fn new(pieces: impl IntoIterator<Item = PatternPiece>) -> Self {
        let mut merged: Vec<PatternPiece> = Vec::new();
        for piece in pieces {
            match (merged.last_mut(), piece) {
                (_, PatternPiece::Text(text)) if text.is_empty() => {}
                (Some(PatternPiece::Text(text)), PatternPiece::Text(more)) => text.push_str(&more),
                (Some(PatternPiece::AnyRun), PatternPiece::AnyRun) => {}
                (_, piece) => merged.push(piece),
            }
        }
        Self(merged)
    }

    /// The pieces, from left to right.
    pub fn pieces(&self) -> &[PatternPiece] {
        &self.0
    }

    /// The pattern as a bare word of a query; it also escapes the characters in `also`.
    pub fn escape(&self, also: &str) -> String {
        let piece = |piece: &PatternPiece| match piece {
            PatternPiece::Text(text) => escape(text, also),
            PatternPiece::AnyRun => "*".to_owned(),
            PatternPiece::AnyOne => "?".to_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

impl PartialEq for FieldRef {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.is_quoted == other.is_quoted
            && self.has_below == other.has_below
    }
}

impl Eq for FieldRef {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Value {}
