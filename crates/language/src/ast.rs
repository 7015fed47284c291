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

pub use self::stage::{Bin, BinUnit, Function, FunctionKind, Key, SortKey, Stage};
use crate::syntax::escape;

/// A whole query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which events.
    pub filter: Expr,
    /// What is made of them, one after another.
    pub stages: Vec<Stage>,
}

/// A condition on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Every event.
    All,
    /// The word anywhere in the event.
    Word(String),
    /// A word of this form anywhere in the event.
    Wildcard(Pattern),
    /// A word that the regular expression matches whole, anywhere in the event.
    Regex(Regex),
    /// These words in a row anywhere in the event.
    Phrase(String),
    /// A test on the values of one field.
    Field {
        field: FieldRef,
        test: Test,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
}

/// A field as the person named it: a path, its last part, or a short name.
#[derive(Clone, Debug)]
pub struct FieldRef {
    pub name: String,
    /// Byte offset of the name in the query's text, if there is a text.
    pub offset: Option<usize>,
    /// The name is the whole path, which no event may have; then none passes a test of it.
    pub is_path: bool,
}

/// What is asked of a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The whole value is this.
    Is(Value),
    /// The whole value has this form, upper and lower case alike; it may have no wildcards.
    AnyCase(Pattern),
    /// The value contains these words in a row, or is this text.
    Phrase(String),
    /// The whole value has this form.
    Wildcard(Pattern),
    /// The regular expression matches the whole value.
    Regex(Regex),
    /// The value lies between these.
    Range { lower: Bound<Value>, upper: Bound<Value> },
    /// The field is there.
    Exists,
    /// The value passes one of these.
    OneOf(Vec<Test>),
    /// Some value of this field and some value of another compare so. Of `NotEqual`, that both are
    /// there and have no value in common.
    Compared { comparison: Comparison, other: FieldRef },
    /// The value is one that a query finds: the first column of its table.
    InQuery(Box<Query>),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    More,
    AtLeast,
    Less,
    AtMost,
}

/// A regular expression, in the syntax of the `regex` crate. It matches whole values or words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Regex {
    pub pattern: String,
    /// Upper and lower case alike.
    pub ignores_case: bool,
}

/// A value as typed, without its quotes and backslashes. Whether it is a number, a time, a truth
/// value or text depends on the field, so the planner decides.
#[derive(Clone, Debug)]
pub struct Value {
    pub text: String,
    /// Byte offset of the value in the query's text, at its quote if it has one.
    pub offset: Option<usize>,
}

/// Text with wildcards. Neighbouring texts and neighbouring `*` are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A part of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    Text(String),
    /// `*`: any characters, or none.
    AnyRun,
    /// `?`: any one character.
    AnyOne,
}

impl Expr {
    /// The conjunction of `parts`; of none it is every event.
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

    /// The disjunction of `parts`; of none it is no event.
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

    /// The events that `expr` leaves out.
    pub fn negate(expr: Self) -> Self {
        Self::Not(Box::new(expr))
    }
}

impl Query {
    /// Events, with nothing made of them.
    pub fn of(filter: Expr) -> Self {
        Self { filter, stages: Vec::new() }
    }
}

impl FieldRef {
    /// A field that no query's text names.
    pub fn named(name: impl Into<String>) -> Self {
        Self::typed(name, None)
    }

    /// A field that a query's text names at that byte.
    pub(crate) fn typed(name: impl Into<String>, offset: Option<usize>) -> Self {
        Self { name: name.into(), offset, is_path: false }
    }

    /// The field at a path of the record, for programs that know paths which no event of this index may
    /// have.
    pub fn at_path(path: impl Into<String>) -> Self {
        Self { name: path.into(), offset: None, is_path: true }
    }
}

impl Value {
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), offset: None }
    }
}

impl Regex {
    /// Bytes of the program that an expression may come to.
    const PROGRAM_BYTES_MAX: usize = 1 << 20;

    /// An escaped slash is a slash, so that one expression has one form.
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

    /// Compiles it to match whole texts, line breaks included; the error says what is wrong.
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

    /// Passes if one of `tests` does.
    pub fn one_of(mut tests: Vec<Self>) -> Self {
        if tests.len() == 1 { tests.remove(0) } else { Self::OneOf(tests) }
    }
}

impl Pattern {
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut merged: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (merged.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => {}
                (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
                (Some(Piece::AnyRun), Piece::AnyRun) => {}
                (_, piece) => merged.push(piece),
            }
        }
        Self(merged)
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    pub fn escape(&self, also: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => escape(text, also),
            Piece::AnyRun => "*".to_owned(),
            Piece::AnyOne => "?".to_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

impl PartialEq for FieldRef {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FieldRef {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Value {}
