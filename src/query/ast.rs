//! The tree of a query. It knows no index and no field list: planning gives it a meaning.
//!
//! `Display` prints text that parses back to an equal tree. Byte offsets into the query's text are
//! kept for error messages; they play no part in equality. The parser builds a normal form: `And`
//! and `Or` hold at least two parts and never a part of their own kind, `OneOf` holds at least two
//! tests and never a `OneOf`, a range has at least one end, and a pattern at least one wildcard.

use std::fmt;
use std::ops::Bound;

use super::syntax::{escape, escape_start, is_name_char, quote, reads_as_word};

/// A whole query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which events.
    pub filter: Expr,
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
    /// Byte offset of the name in the query's text.
    pub offset: usize,
}

/// What is asked of a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The whole value is this.
    Is(Value),
    /// The value contains these words in a row.
    Phrase(String),
    /// The whole value has this form.
    Wildcard(Pattern),
    /// The value lies between these.
    Range { lower: Bound<Value>, upper: Bound<Value> },
    /// The field is there.
    Exists,
    /// The value passes one of these.
    OneOf(Vec<Test>),
}

/// A value as typed, without its quotes and backslashes. Whether it is a number, a time, a truth
/// value or text depends on the field, so the planner decides.
#[derive(Clone, Debug)]
pub struct Value {
    pub text: String,
    /// Byte offset of the value in the query's text, at its quote if it has one.
    pub offset: usize,
}

/// Text with wildcards. Neighbouring texts and neighbouring `*` are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A part of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// The fields the expression names, in the order of the text.
    pub fn fields(&self) -> Vec<&FieldRef> {
        match self {
            Self::All | Self::Word(_) | Self::Wildcard(_) | Self::Phrase(_) => Vec::new(),
            Self::Field { field, .. } => vec![field],
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(inner) => inner.fields(),
        }
    }

    /// The text of a part of `AND` or `NOT`.
    fn operand(&self) -> String {
        match self {
            Self::And(_) | Self::Or(_) => format!("({self})"),
            _ => self.to_string(),
        }
    }
}

impl Test {
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

    /// The text before the `*`, for a pattern like `Create*`.
    pub fn as_prefix(&self) -> Option<&str> {
        match self.pieces() {
            [Piece::Text(prefix), Piece::AnyRun] => Some(prefix),
            _ => None,
        }
    }

    fn escape(&self, also: &str) -> String {
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

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Word(text) => f.write_str(&print_word(|also| escape(text, also))),
            Self::Wildcard(pattern) => f.write_str(&print_word(|also| pattern.escape(also))),
            Self::Phrase(text) => f.write_str(&quote(text)),
            Self::Field { field, test } => {
                let text = format!("{field}:{test}");
                if reads_as_word(&text) {
                    write!(f, "{field} = {test}")
                } else {
                    f.write_str(&text)
                }
            }
            Self::And(parts) => f.write_str(&join(parts, " AND ", Self::operand)),
            Self::Or(parts) => f.write_str(&join(parts, " OR ", Self::to_string)),
            Self::Not(inner) => write!(f, "NOT {}", inner.operand()),
        }
    }
}

/// A test prints as what follows `field:`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What would otherwise begin a regular expression, a comparison or a negation.
        const LEADING: &str = "/<>=!+-";
        match self {
            Self::Is(Value { text, .. }) if text.is_empty() => f.write_str("\"\""),
            Self::Is(Value { text, .. }) => f.write_str(&escape_start(escape(text, ""), LEADING)),
            Self::Phrase(text) => f.write_str(&quote(text)),
            Self::Wildcard(pattern) => f.write_str(&escape_start(pattern.escape(""), LEADING)),
            Self::Range { lower, upper } => print_range(f, lower, upper),
            Self::Exists => f.write_str("*"),
            Self::OneOf(tests) => write!(f, "({})", join(tests, " OR ", Self::to_string)),
        }
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.name.chars().enumerate() {
            let backslash = if is_name_char(c, at == 0) { "" } else { "\\" };
            write!(f, "{backslash}{c}")?;
        }
        Ok(())
    }
}

/// A bare word that is not taken for a field with its test; `escape` escapes the characters it is
/// given beside the usual ones.
fn print_word(escape: impl Fn(&str) -> String) -> String {
    const LEADING: &str = "!+-";
    let raw = escape_start(escape("=<>"), LEADING);
    if reads_as_word(&raw) { raw } else { escape_start(escape("=<>:"), LEADING) }
}

fn join<T>(parts: &[T], by: &str, print: impl Fn(&T) -> String) -> String {
    parts.iter().map(print).collect::<Vec<_>>().join(by)
}

fn print_range(
    f: &mut fmt::Formatter<'_>,
    lower: &Bound<Value>,
    upper: &Bound<Value>,
) -> fmt::Result {
    use Bound::{Excluded, Included, Unbounded};
    match (lower, upper) {
        (Included(value), Unbounded) => write!(f, ">={}", print_end(value)),
        (Excluded(value), Unbounded) => write!(f, ">{}", print_end(value)),
        (Unbounded, Included(value)) => write!(f, "<={}", print_end(value)),
        (Unbounded, Excluded(value)) => write!(f, "<{}", print_end(value)),
        (Unbounded, Unbounded) => f.write_str("*"),
        (Included(from) | Excluded(from), Included(to) | Excluded(to)) => {
            let open = if matches!(lower, Included(_)) { '[' } else { '{' };
            let close = if matches!(upper, Included(_)) { ']' } else { '}' };
            write!(f, "{open}{} TO {}{close}", print_end(from), print_end(to))
        }
    }
}

/// An end of a range.
fn print_end(value: &Value) -> String {
    if value.text.is_empty() { quote("") } else { escape_start(escape(&value.text, ""), "=") }
}
