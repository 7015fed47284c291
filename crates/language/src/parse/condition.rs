//! One condition of a query: a word, a phrase, or a field with what is asked of its value.

use std::ops::Bound;

use super::{ParseError, Parser, Result};
use crate::ast::{Comparison, Expr, FieldRef, Pattern, PatternPiece, Regex, Test, Value};
use crate::syntax::{
    LUCENE_EXISTS, is_name_char, names_a_field, reads_as_span, reads_as_word, unescape,
};

/// What ends a field's name in front of its test.
const NAME_ENDS: &str = ":=!<>~";

/// The suggestion where brackets hold the wrong thing.
const LIST_AND_RANGE: &str = "a list is field IN [a, b], a range is field:[a TO b]";

/// What stands between a field's name and its value.
#[derive(Clone, Copy)]
enum Operator {
    Colon,
    Equal,
    NotEqual,
    Order(Order),
    AnyCase,
    Like,
    NotLike,
    In,
    NotIn,
}

/// A comparison that says which value is the larger.
#[derive(Clone, Copy)]
enum Order {
    More,
    AtLeast,
    Less,
    AtMost,
}

impl Order {
    fn comparison(self) -> Comparison {
        match self {
            Self::More => Comparison::More,
            Self::AtLeast => Comparison::AtLeast,
            Self::Less => Comparison::Less,
            Self::AtMost => Comparison::AtMost,
        }
    }
}

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<Expr> {
        let start = self.scan;
        let fail = |message: &str| ParseError::new(start.offset(), message);
        if self.scan.peek() == Some('"') {
            if let Some((field, operator)) = self.field_head() {
                return self.field_condition(field, operator);
            }
            self.scan = start;
        }
        if let Some(text) = self.scan.quoted()? {
            if text.is_empty() {
                return Err(fail("these quotes are empty"));
            }
            return Ok(Expr::Phrase(text));
        }
        if let Some(regex) = self.regex()? {
            return Ok(Expr::Regex(regex));
        }
        let run = self.scan.peek_run("");
        if run == "*:*" {
            self.scan.run("");
            return Ok(Expr::All);
        }
        if reads_as_word(run) {
            return self.word();
        }
        if reads_as_span(run) {
            return Ok(self.span());
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
            [PatternPiece::Text(text)] => Expr::Word(text.clone()),
            [PatternPiece::AnyRun] => Expr::All,
            _ => Expr::Wildcard(pattern),
        })
    }

    /// Steps over a field's name and operator. Where they are not next, the caller steps back.
    fn field_head(&mut self) -> Option<(FieldRef, Operator)> {
        let field = self.scan.field(NAME_ENDS)?;
        Some((field, self.field_operator()?))
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
        if let Some(order) = self.eat_order() {
            return Some(Operator::Order(order));
        }
        if self.scan.eat("~") {
            return Some(Operator::AnyCase);
        }
        let is_negated = self.scan.eat_keyword("NOT") || self.scan.eat_keyword("not");
        self.scan.skip_spaces();
        if self.scan.eat_keyword("LIKE") || self.scan.eat_keyword("like") {
            return Some(if is_negated { Operator::NotLike } else { Operator::Like });
        }
        let is_in = self.scan.eat_keyword("IN") || self.scan.eat_keyword("in");
        self.scan.skip_spaces();
        let is_list = is_in && matches!(self.scan.peek(), Some('[' | '('));
        is_list.then_some(if is_negated { Operator::NotIn } else { Operator::In })
    }

    fn eat_order(&mut self) -> Option<Order> {
        use Order::{AtLeast, AtMost, Less, More};
        let symbols = [(">=", AtLeast), (">", More), ("<=", AtMost), ("<", Less)];
        symbols.into_iter().find(|(symbol, _)| self.scan.eat(symbol)).map(|(_, order)| order)
    }

    fn field_condition(&mut self, field: FieldRef, operator: Operator) -> Result<Expr> {
        self.scan.skip_spaces();
        let test = match operator {
            Operator::Colon if self.scan.peek() == Some('(') => {
                let group = self.group(Some(&field))?;
                return Ok(gather(field, group));
            }
            Operator::Colon => match self.test()? {
                Test::Is(Value { text: name, offset }) if self.is_lucene_exists(&field) => {
                    let field = FieldRef::typed(name, offset);
                    return Ok(Expr::Field { field, test: Test::Exists });
                }
                test => test,
            },
            Operator::Equal | Operator::NotEqual if self.is_at_bracket() => {
                return Err(self.unexpected("a value").suggest(LIST_AND_RANGE));
            }
            Operator::Equal => match self.other_field() {
                Some(other) => Test::Compared { comparison: Comparison::Equal, other },
                None => self.item("")?,
            },
            Operator::NotEqual => match self.other_field() {
                Some(other) => Test::Compared { comparison: Comparison::NotEqual, other },
                None => {
                    let test = self.item("")?;
                    return Ok(Expr::negate(Expr::Field { field, test }));
                }
            },
            Operator::Order(order) => self.order(order)?,
            Operator::AnyCase => self.any_case()?,
            Operator::Like | Operator::NotLike => self.like()?,
            Operator::In | Operator::NotIn => self.list()?,
        };
        let expr = Expr::Field { field, test };
        let is_negated = matches!(operator, Operator::NotLike | Operator::NotIn);
        Ok(if is_negated { Expr::negate(expr) } else { expr })
    }

    /// Whether a field is no field, but Lucene's way to ask whether one is there.
    fn is_lucene_exists(&self, field: &FieldRef) -> bool {
        let is_plain = |at| self.scan.text_from(at).starts_with(LUCENE_EXISTS);
        field.name == LUCENE_EXISTS && field.offset.is_some_and(is_plain)
    }

    /// Steps over a field that another is compared with, if one is next.
    fn other_field(&mut self) -> Option<FieldRef> {
        self.scan.skip_spaces();
        let start = self.scan;
        let offset = Some(start.offset());
        let name = self.scan.name(NAME_ENDS);
        match name.filter(|name| names_a_field(name) && self.scan.is_at_end_of_word()) {
            Some(name) => Some(FieldRef::typed(name, offset)),
            None => {
                self.scan = start;
                None
            }
        }
    }

    /// `@2026-06-01..2026-06-05`: from the first until the end of the second; either may be left out.
    fn span(&mut self) -> Expr {
        let field = FieldRef::typed("time", Some(self.scan.offset()));
        let at = self.scan.offset() + 1;
        let text = self.scan.run("").trim_start_matches('@').to_owned();
        let value = |text: &str, at| Value { text: text.to_owned(), offset: Some(at) };
        let end = |text: &str, at| match text {
            "" => Bound::Unbounded,
            text => Bound::Included(value(text, at)),
        };
        let test = match text.split_once("..") {
            None => Test::Is(value(&text, at)),
            Some(("", "")) => Test::Exists,
            Some((from, to)) => {
                Test::Range { lower: end(from, at), upper: end(to, at + from.len() + 2) }
            }
        };
        Expr::Field { field, test }
    }

    /// What may follow `field:`.
    pub(super) fn test(&mut self) -> Result<Test> {
        let offset = Some(self.scan.offset());
        if let Some(order) = self.eat_order() {
            return self.order(order);
        }
        if self.scan.eat("~") {
            return self.any_case();
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
            _ => self.item(""),
        }
    }

    fn regex(&mut self) -> Result<Option<Regex>> {
        let offset = self.scan.offset();
        let Some(regex) = self.scan.regex() else { return Ok(None) };
        match regex.compile() {
            Ok(_) => Ok(Some(regex)),
            Err(reason) => {
                let message = format!("this regular expression is not one: {reason}");
                Err(ParseError::new(offset, message).suggest("quote the value if it is a path"))
            }
        }
    }

    /// What follows `~`.
    fn any_case(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        if let Some(text) = self.scan.quoted()? {
            return Ok(Test::AnyCase(Pattern::new([PatternPiece::Text(text)])));
        }
        match self.regex()? {
            Some(regex) => Ok(Test::Regex(Regex { ignores_case: true, ..regex })),
            None => Ok(Test::AnyCase(self.bare("a value", "")?)),
        }
    }

    /// What follows `LIKE`: it stands anywhere in the value.
    fn like(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        if let Some(Regex { pattern, ignores_case }) = self.regex()? {
            let anywhere = format!(".*(?:{pattern}).*");
            return Ok(Test::Regex(Regex { pattern: anywhere, ignores_case }));
        }
        let inner = match self.scan.quoted()? {
            Some(text) => vec![PatternPiece::Text(text)],
            None => self.bare("a value", "")?.pieces().to_vec(),
        };
        let around = |inner: Vec<PatternPiece>| {
            [vec![PatternPiece::AnyRun], inner, vec![PatternPiece::AnyRun]].into_iter().flatten()
        };
        let pattern = Pattern::new(around(inner));
        let is_anything = matches!(pattern.pieces(), [PatternPiece::AnyRun]);
        Ok(if is_anything { Test::Exists } else { Test::Wildcard(pattern) })
    }

    fn is_at_bracket(&self) -> bool {
        matches!(self.scan.peek(), Some('(' | '[' | '{'))
    }

    /// A value; quoted it is exact, bare it may have wildcards.
    fn item(&mut self, ends: &str) -> Result<Test> {
        let offset = Some(self.scan.offset());
        if let Some(text) = self.scan.quoted()? {
            return Ok(Test::Is(Value { text, offset }));
        }
        if let Some(regex) = self.regex()? {
            return Ok(Test::Regex(regex));
        }
        let pattern = self.bare("a value", ends)?;
        Ok(match pattern.pieces() {
            [PatternPiece::Text(text)] => Test::Is(Value { text: text.clone(), offset }),
            [PatternPiece::AnyRun] => Test::Exists,
            _ => Test::Wildcard(pattern),
        })
    }

    /// `[a, b]` or `(a, b)`, or a query in parentheses.
    fn list(&mut self) -> Result<Test> {
        let (start, terms) = (self.scan, self.terms);
        let error = match self.items() {
            Err(error) if start.peek() == Some('(') => error,
            Ok(Test::Is(value)) if start.peek() == Some('(') && self.is_bare_condition(&value) => {
                let offset = value.offset.unwrap_or_else(|| start.offset());
                let error = ParseError::new(offset, format!("'{}' is no value", value.text));
                return Err(error.suggest("a query in these parentheses ends with | values field"));
            }
            list => return list,
        };
        let end = self.scan;
        (self.scan, self.terms) = (start, terms);
        self.scan.eat("(");
        let query = self.nested(Self::query)?;
        if query.stages.is_empty() {
            self.scan = end;
            return Err(error);
        }
        self.close(start, ")", "'|' or ')'")?;
        Ok(Test::InQuery(Box::new(query)))
    }

    /// Whether a value looks like a condition: it is not quoted, and has a field's name and a colon.
    fn is_bare_condition(&self, value: &Value) -> bool {
        let is_quoted = value.offset.is_some_and(|at| self.scan.text_from(at).starts_with('"'));
        let is_named = value.text.split_once(':').is_some_and(|(name, _)| names_a_field(name));
        is_named && !is_quoted
    }

    fn items(&mut self) -> Result<Test> {
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

    /// What follows `>`, say.
    fn order(&mut self, order: Order) -> Result<Test> {
        use Bound::{Excluded, Included, Unbounded};
        if let Some(other) = self.other_field() {
            return Ok(Test::Compared { comparison: order.comparison(), other });
        }
        self.scan.skip_spaces();
        let start = self.scan;
        let Some(value) = self.range_end("")? else {
            self.scan = start;
            return Err(self.unexpected("a value"));
        };
        let (lower, upper) = match order {
            Order::AtLeast => (Included(value), Unbounded),
            Order::More => (Excluded(value), Unbounded),
            Order::AtMost => (Unbounded, Included(value)),
            Order::Less => (Unbounded, Excluded(value)),
        };
        Ok(Test::Range { lower, upper })
    }

    /// An end of a range; `*` is none.
    fn range_end(&mut self, ends: &str) -> Result<Option<Value>> {
        self.scan.skip_spaces();
        let at = self.scan.offset();
        let offset = Some(at);
        if let Some(text) = self.scan.quoted()? {
            return Ok(Some(Value { text, offset }));
        }
        if self.scan.peek_run(ends) == "TO" {
            return Err(self.unexpected("a value or *"));
        }
        let raw = self.scan.peek_run(ends);
        let pattern = self.bare("a value", ends)?;
        // The bracket that ends the word may be that of a time zone: `2026-06-01[Europe/Berlin]`.
        let has_zone = unescape(raw).any(|(c, is_escaped)| c == '[' && !is_escaped);
        let zone = if has_zone && ends.contains(']') && self.scan.eat("]") { "]" } else { "" };
        match pattern.pieces() {
            [PatternPiece::Text(text)] => Ok(Some(Value { text: format!("{text}{zone}"), offset })),
            [PatternPiece::AnyRun] => Ok(None),
            _ => Err(ParseError::new(at, "a range has no wildcards")
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
            ('*', false) => Ok(PatternPiece::AnyRun),
            ('?', false) => Ok(PatternPiece::AnyOne),
            ('\\', false) => {
                let end = self.scan.offset() - 1;
                Err(ParseError::new(end, "nothing follows the backslash").suggest("write \\\\"))
            }
            (c, _) => Ok(PatternPiece::Text(c.into())),
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
        Expr::Field { test, .. } if test.is_of_values() => Some(test.clone()),
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
