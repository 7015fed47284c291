//! One condition of a query: a word, a phrase, or a field with what is asked of its value.

use std::ops::Bound;

use super::{ParseError, Parser, Result};
use crate::query::ast::{Expr, FieldRef, Pattern, Piece, Test, Value};
use crate::query::syntax::{is_name_char, reads_as_word, unescape};

/// The suggestion where brackets hold the wrong thing.
const LIST_AND_RANGE: &str = "a list is field IN [a, b], a range is field:[a TO b]";

/// What stands between a field's name and its value.
#[derive(Clone, Copy)]
enum Operator {
    Colon,
    Equal,
    NotEqual,
    Compare(Comparison),
    In,
    NotIn,
}

#[derive(Clone, Copy)]
enum Comparison {
    AtLeast,
    More,
    AtMost,
    Less,
}

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<Expr> {
        let start = self.scan;
        let fail = |message: &str| ParseError::new(start.offset(), message);
        if let Some(text) = self.scan.quoted()? {
            if text.is_empty() {
                return Err(fail("these quotes are empty"));
            }
            return Ok(Expr::Phrase(text));
        }
        let run = self.scan.peek_run("");
        if reads_as_word(run) {
            return self.word();
        }
        if run.starts_with([':', '=', '!', '<', '>']) {
            let error = fail("expected a field name before this");
            return Err(error.suggest("write field:value or field >= value"));
        }
        if let Some((field, operator)) = self.field_head() {
            return self.field_condition(field, operator);
        }
        self.scan = start;
        if has_wildcard_name(run) {
            let error = fail("a field name has no wildcards");
            return Err(error.suggest("a backslash before the colon makes it text"));
        }
        self.word()
    }

    fn word(&mut self) -> Result<Expr> {
        let pattern = self.bare("a condition", "")?;
        Ok(match pattern.pieces() {
            [Piece::Text(text)] => Expr::Word(text.clone()),
            [Piece::AnyRun] => Expr::All,
            _ => Expr::Wildcard(pattern),
        })
    }

    /// Steps over a field's name and operator. Where they are not next, the caller steps back.
    fn field_head(&mut self) -> Option<(FieldRef, Operator)> {
        let offset = self.scan.offset();
        let name = self.scan.name()?;
        let operator = self.field_operator()?;
        Some((FieldRef { name, offset }, operator))
    }

    fn field_operator(&mut self) -> Option<Operator> {
        if self.scan.eat(":") {
            return Some(Operator::Colon);
        }
        self.scan.skip_spaces();
        if self.scan.eat("!=") {
            return Some(Operator::NotEqual);
        }
        if self.scan.eat("==") || self.scan.eat("=") {
            return Some(Operator::Equal);
        }
        if let Some(comparison) = self.eat_comparison() {
            return Some(Operator::Compare(comparison));
        }
        let is_negated = self.scan.eat_keyword("NOT") || self.scan.eat_keyword("not");
        self.scan.skip_spaces();
        let is_in = self.scan.eat_keyword("IN") || self.scan.eat_keyword("in");
        self.scan.skip_spaces();
        let is_list = is_in && matches!(self.scan.peek(), Some('[' | '('));
        is_list.then_some(if is_negated { Operator::NotIn } else { Operator::In })
    }

    fn eat_comparison(&mut self) -> Option<Comparison> {
        use Comparison::{AtLeast, AtMost, Less, More};
        let symbols = [(">=", AtLeast), (">", More), ("<=", AtMost), ("<", Less)];
        symbols.into_iter().find(|(symbol, _)| self.scan.eat(symbol)).map(|(_, kind)| kind)
    }

    fn field_condition(&mut self, field: FieldRef, operator: Operator) -> Result<Expr> {
        self.scan.skip_spaces();
        let test = match operator {
            Operator::Colon if self.scan.peek() == Some('(') => {
                let group = self.group(Some(&field))?;
                return Ok(gather(field, group));
            }
            Operator::Colon => self.test()?,
            Operator::Equal | Operator::NotEqual if self.is_at_bracket() => {
                return Err(self.unexpected("a value").suggest(LIST_AND_RANGE));
            }
            Operator::Equal | Operator::NotEqual => self.item("")?,
            Operator::Compare(comparison) => self.comparison(comparison)?,
            Operator::In | Operator::NotIn => self.list()?,
        };
        let expr = Expr::Field { field, test };
        let is_negated = matches!(operator, Operator::NotEqual | Operator::NotIn);
        Ok(if is_negated { Expr::negate(expr) } else { expr })
    }

    /// What may follow `field:`.
    pub(super) fn test(&mut self) -> Result<Test> {
        let offset = self.scan.offset();
        if let Some(comparison) = self.eat_comparison() {
            return self.comparison(comparison);
        }
        if let Some(text) = self.scan.quoted()? {
            // No words to look for: this asks for the empty value.
            if text.is_empty() {
                return Ok(Test::Is(Value { text, offset }));
            }
            return Ok(Test::Phrase(text));
        }
        match self.scan.peek() {
            Some('[' | '{') => self.range(),
            Some('/') if self.is_at_regex() => {
                let error = ParseError::new(offset, "regular expressions are not supported yet");
                Err(error.suggest("use * and ?, or quote the value if it is a path"))
            }
            _ => self.item(""),
        }
    }

    /// Whether a `/` at the start of a value begins a regular expression: a second one ends it, or
    /// it goes on with what no path has unquoted.
    fn is_at_regex(&self) -> bool {
        let run = self.scan.peek_run("");
        let is_closed = run.len() > 1 && run.ends_with('/') && !run.ends_with("\\/");
        is_closed || self.scan.rest()[run.len()..].starts_with(['(', '|', '"'])
    }

    fn is_at_bracket(&self) -> bool {
        matches!(self.scan.peek(), Some('(' | '[' | '{'))
    }

    /// A value; quoted it is exact, bare it may have wildcards.
    fn item(&mut self, ends: &str) -> Result<Test> {
        let offset = self.scan.offset();
        if let Some(text) = self.scan.quoted()? {
            return Ok(Test::Is(Value { text, offset }));
        }
        let pattern = self.bare("a value", ends)?;
        Ok(match pattern.pieces() {
            [Piece::Text(text)] => Test::Is(Value { text: text.clone(), offset }),
            [Piece::AnyRun] => Test::Exists,
            _ => Test::Wildcard(pattern),
        })
    }

    /// `[a, b]` or `(a, b)`.
    fn list(&mut self) -> Result<Test> {
        let open = self.scan;
        let close = if self.scan.eat("[") {
            "]"
        } else {
            self.scan.eat("(");
            ")"
        };
        let mut tests = Vec::new();
        loop {
            self.scan.skip_spaces();
            self.count_term()?;
            tests.push(self.item(",]")?);
            self.scan.skip_spaces();
            if !self.scan.eat(",") {
                self.close(open, close, &format!("',' or '{close}'"))?;
                return Ok(Test::one_of(tests));
            }
        }
    }

    /// `[a TO b]`; a brace leaves its end out, `*` leaves it open.
    fn range(&mut self) -> Result<Test> {
        let open = self.scan;
        let has_lower = self.scan.eat("[");
        if !has_lower {
            self.scan.eat("{");
        }
        let lower = self.range_end("]}")?;
        self.scan.skip_spaces();
        if !self.scan.eat_keyword("TO") {
            return Err(self.unexpected("TO").suggest(LIST_AND_RANGE));
        }
        let upper = self.range_end("]}")?;
        self.scan.skip_spaces();
        let has_upper = self.scan.eat("]");
        if !has_upper {
            self.close(open, "}", "']' or '}'")?;
        }
        if lower.is_none() && upper.is_none() {
            return Ok(Test::Exists);
        }
        Ok(Test::Range { lower: bound(lower, has_lower), upper: bound(upper, has_upper) })
    }

    fn comparison(&mut self, comparison: Comparison) -> Result<Test> {
        use Bound::{Excluded, Included, Unbounded};
        self.scan.skip_spaces();
        let start = self.scan;
        let Some(value) = self.range_end("")? else {
            self.scan = start;
            return Err(self.unexpected("a value"));
        };
        let (lower, upper) = match comparison {
            Comparison::AtLeast => (Included(value), Unbounded),
            Comparison::More => (Excluded(value), Unbounded),
            Comparison::AtMost => (Unbounded, Included(value)),
            Comparison::Less => (Unbounded, Excluded(value)),
        };
        Ok(Test::Range { lower, upper })
    }

    /// An end of a range; `*` is none.
    fn range_end(&mut self, ends: &str) -> Result<Option<Value>> {
        self.scan.skip_spaces();
        let offset = self.scan.offset();
        if let Some(text) = self.scan.quoted()? {
            return Ok(Some(Value { text, offset }));
        }
        if self.scan.peek_run(ends) == "TO" {
            return Err(self.unexpected("a value or *"));
        }
        let pattern = self.bare("a value", ends)?;
        match pattern.pieces() {
            [Piece::Text(text)] => Ok(Some(Value { text: text.clone(), offset })),
            [Piece::AnyRun] => Ok(None),
            _ => Err(ParseError::new(offset, "a range has no wildcards")
                .suggest("quote the value if it holds * or ?")),
        }
    }

    /// A bare word; it also ends before a character of `ends`.
    fn bare(&mut self, expected: &str, ends: &str) -> Result<Pattern> {
        let raw = self.scan.peek_run(ends);
        if raw.is_empty() || raw.starts_with(['[', '{']) || ["AND", "OR", "NOT"].contains(&raw) {
            return Err(self.unexpected(expected));
        }
        self.scan.run(ends);
        let piece = |(c, is_escaped)| match (c, is_escaped) {
            ('*', false) => Ok(Piece::AnyRun),
            ('?', false) => Ok(Piece::AnyOne),
            ('\\', false) => {
                let end = self.scan.offset() - 1;
                Err(ParseError::new(end, "nothing follows the backslash").suggest("write \\\\"))
            }
            (c, _) => Ok(Piece::Text(c.into())),
        };
        let pieces: Vec<_> = unescape(raw).map(piece).collect::<Result<_>>()?;
        Ok(Pattern::new(pieces))
    }
}

/// `field:(a OR b)` as one test of the field, where the parentheses hold nothing but alternatives.
fn gather(field: FieldRef, group: Expr) -> Expr {
    let Expr::Or(parts) = &group else {
        return group;
    };
    let test = |part: &Expr| match part {
        Expr::Field { test, .. } => Some(test.clone()),
        _ => None,
    };
    match parts.iter().map(test).collect() {
        Some(tests) => Expr::Field { field, test: Test::OneOf(tests) },
        None => group,
    }
}

/// Whether a bare word looks like a field and its value, but for wildcards in the field's name.
fn has_wildcard_name(run: &str) -> bool {
    let Some((name, _)) = run.split_once(':') else {
        return false;
    };
    let mut chars = name.chars().filter(|&c| !matches!(c, '*' | '?'));
    chars.next().is_some_and(|c| is_name_char(c, true)) && chars.all(|c| is_name_char(c, false))
}

fn bound(end: Option<Value>, is_included: bool) -> Bound<Value> {
    match end {
        None => Bound::Unbounded,
        Some(value) if is_included => Bound::Included(value),
        Some(value) => Bound::Excluded(value),
    }
}
