//! One condition of a query: a word, a phrase, or a field with what is asked of its value.

use std::ops::Bound;

use super::foreign::Called;
use super::told::{is_of_hosts, reads_as_field};
use super::value::CONDITION;
use super::{ParseError, Parser, Result};
use crate::ast::{Comparison, Expr, FieldRef, PatternPiece, Regex, Test, Value};
use crate::syntax::{
    LUCENE_EXISTS, LUCENE_MISSING, foreign_form, is_keyword, is_name_char, names_a_field,
    reads_as_span, reads_as_word,
};

/// What ends a field's name in front of its test.
pub(super) const NAME_ENDS: &str = ":=!<>~";

/// The suggestion where brackets hold the wrong thing.
pub(super) const LIST_AND_RANGE: &str = "a list is field IN [a, b], a range is field:[a TO b]";

/// What stands between a field's name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Colon,
    Equal,
    NotEqual,
    Order(Order),
    AnyCase,
    Matches,
    Like,
    In,
    Between,
    Exists,
}

/// A comparison that says which value is the larger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    More,
    AtLeast,
    Less,
    AtMost,
}

impl Order {
    pub(super) fn comparison(self) -> Comparison {
        match self {
            Self::More => Comparison::More,
            Self::AtLeast => Comparison::AtLeast,
            Self::Less => Comparison::Less,
            Self::AtMost => Comparison::AtMost,
        }
    }
}

/// A field with an operator, in front of its value; true where the operator is negated.
type Head = (FieldRef, Operator, bool);

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<Expr> {
        let start = self.scan;
        let fail = |message: &str| ParseError::new(start.offset(), message);
        if self.scan.is_at_quote() || self.scan.peek() == Some('`') {
            if let Some(head) = self.field_head() {
                return self.field_condition(head);
            }
            self.scan = start;
        }
        if let Some(text) = self.quoted()? {
            if text.is_empty() {
                return Err(fail("these quotes are empty"));
            }
            return Ok(Expr::Phrase(text));
        }
        if let Some(regex) = self.regex()? {
            self.tell_part(&regex, start.offset());
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
        match self.called()? {
            Called::Nothing => {}
            Called::Condition(expr) => return Ok(expr),
            Called::Column(field) => {
                let (operator, is_negated) = self.column_operator(&field)?;
                return self.field_condition((field, operator, is_negated));
            }
        }
        if let Some(head) = self.field_head() {
            return self.field_condition(head);
        }
        self.scan = start;
        if has_wildcard_name(run) {
            let error = fail("a field name has no wildcards");
            let name = run.split(':').next().unwrap_or_default();
            let end = name.strip_prefix("*.").filter(|end| !end.contains(['*', '?']));
            return Err(match end {
                Some(end) => error.suggest(format!("the end of a path is enough: {end}:value")),
                None => error.suggest("a backslash before the colon makes it text"),
            });
        }
        self.check_foreign_condition()?;
        self.word()
    }

    fn word(&mut self) -> Result<Expr> {
        let offset = self.scan.offset();
        let raw = self.scan.peek_run("");
        if raw.contains('^')
            && !raw.contains('\\')
            && let Some(suggestion) = foreign_form(raw)
        {
            return Err(ParseError::new(offset, format!("'{raw}' is no word")).suggest(suggestion));
        }
        let pattern = self.bare(CONDITION, "")?;
        if !raw.contains('\\') {
            self.told.word(raw, offset);
        }
        if names_a_field(raw) || reads_as_field(raw) && self.is_at_word() {
            self.note(format!(
                "'{raw}' at byte {offset} was looked for as a word in values; {raw}:* finds the events \
                 that have the field"
            ));
        }
        Ok(match pattern.pieces() {
            [PatternPiece::Text(text)] => Expr::Word(text.clone()),
            [PatternPiece::AnyRun] => Expr::All,
            pieces => {
                if pieces.iter().any(has_word_end) {
                    self.note(format!(
                        "'{raw}' at byte {offset} is compared with single words, which have no ':' and \
                         no '/'; ask a field for a whole value, as {}:{raw}",
                        field_of(raw)
                    ));
                }
                Expr::Wildcard(pattern)
            }
        })
    }

    /// Whether a bare word follows that is neither an operator nor a condition on a field.
    fn is_at_word(&self) -> bool {
        let next = { self.scan }.next_word("");
        !next.is_empty() && !is_keyword(next) && !next.contains([':', '=', '<', '>'])
    }

    /// Steps over a field's name and operator. Where they are not next, the caller steps back.
    fn field_head(&mut self) -> Option<Head> {
        let field = self.scan.field(NAME_ENDS)?;
        let (operator, is_negated) = self.field_operator()?;
        Some((field, operator, is_negated))
    }

    fn column_operator(&mut self, column: &FieldRef) -> Result<(Operator, bool)> {
        self.field_operator().ok_or_else(|| {
            let error = self.unexpected("a comparison");
            error.suggest(format!("write {} > 5, say", column.name))
        })
    }

    fn field_operator(&mut self) -> Option<(Operator, bool)> {
        if self.scan.eat(":") {
            return Some((Operator::Colon, false));
        }
        self.scan.skip_spaces();
        // An IPv6 address can begin with colons.
        if self.is_at(":") && !reads_as_word(self.scan.peek_run("")) && self.scan.eat(":") {
            return Some((Operator::Colon, false));
        }
        for (symbol, operator, is_negated) in [
            ("!=", Operator::NotEqual, false),
            ("<>", Operator::NotEqual, false),
            ("=~", Operator::Matches, false),
            ("!~", Operator::Matches, true),
            ("==", Operator::Equal, false),
            ("=", Operator::Equal, false),
        ] {
            if self.scan.eat(symbol) {
                return Some((operator, is_negated));
            }
        }
        if let Some(order) = self.eat_order() {
            return Some((Operator::Order(order), false));
        }
        if self.scan.eat("~") {
            return Some((Operator::AnyCase, false));
        }
        self.word_operator()
    }

    /// An operator that is a word, in upper or lower case.
    fn word_operator(&mut self) -> Option<(Operator, bool)> {
        if self.scan.eat_keyword("IS") {
            self.scan.skip_spaces();
            let is_missing = !self.scan.eat_keyword("NOT");
            self.scan.skip_spaces();
            let is_null = self.scan.eat_keyword("NULL") || self.scan.eat_keyword("MISSING");
            return is_null.then_some((Operator::Exists, is_missing));
        }
        let is_negated = self.scan.eat_keyword("NOT");
        self.scan.skip_spaces();
        if self.scan.eat_keyword("LIKE") {
            return Some((Operator::Like, is_negated));
        }
        if self.scan.eat_keyword("BETWEEN") {
            return Some((Operator::Between, is_negated));
        }
        let is_in = self.scan.eat_keyword("IN");
        self.scan.skip_spaces();
        let is_list = is_in && matches!(self.scan.peek(), Some('[' | '('));
        is_list.then_some((Operator::In, is_negated))
    }

    pub(super) fn eat_order(&mut self) -> Option<Order> {
        use Order::{AtLeast, AtMost, Less, More};
        let symbols = [(">=", AtLeast), (">", More), ("<=", AtMost), ("<", Less)];
        symbols.into_iter().find(|(symbol, _)| self.scan.eat(symbol)).map(|(_, order)| order)
    }

    fn field_condition(&mut self, (field, operator, is_negated): Head) -> Result<Expr> {
        self.told.more();
        self.is_of_hosts = is_of_hosts(&field.name);
        if matches!(operator, Operator::Colon | Operator::Equal) {
            self.check_source(&field)?;
        }
        self.scan.skip_spaces();
        let test = match operator {
            Operator::Colon if self.scan.peek() == Some('(') => {
                let open = self.scan;
                return match self.group(Some(&field)) {
                    Ok(group) => Ok(gather(field, group)),
                    Err(error) => {
                        self.scan = open;
                        self.check_inner_query(&field, false)?;
                        Err(error)
                    }
                };
            }
            Operator::Colon => match self.test()? {
                Test::Is(Value { text: name, offset })
                    if let Some(is_there) = self.lucene_exists(&field) =>
                {
                    self.told.exists(&name);
                    let field = FieldRef::typed(name, offset);
                    let expr = Expr::Field { field, test: Test::Exists };
                    return Ok(if is_there { expr } else { Expr::negate(expr) });
                }
                test => test,
            },
            Operator::Equal | Operator::NotEqual if self.is_at_bracket() => {
                self.check_inner_query(&field, operator == Operator::NotEqual)?;
                return Err(self.unexpected("a value").suggest(LIST_AND_RANGE));
            }
            Operator::Equal if is_bound_of_splunk(&field) && !self.told.is_of_rows => {
                return self.splunk_bound(&field);
            }
            Operator::Equal => match self.other_field() {
                Some(other) => Test::Compared { comparison: Comparison::Equal, other },
                None => self.item("")?,
            },
            Operator::NotEqual => match self.other_field() {
                Some(other) => Test::Compared { comparison: Comparison::NotEqual, other },
                None => {
                    let test = self.item("")?;
                    self.tell_unequal(&field, &test);
                    return Ok(Expr::negate(Expr::Field { field, test }));
                }
            },
            Operator::Order(order) => self.order(order)?,
            Operator::AnyCase => self.any_case()?,
            Operator::Matches => self.matches()?,
            Operator::Like => self.like()?,
            Operator::In => self.list()?,
            Operator::Between => self.between()?,
            Operator::Exists => Test::Exists,
        };
        match &test {
            Test::Exists if !is_negated => self.told.exists(&field.name),
            Test::Exists => {}
            test if is_negated => self.tell_unequal(&field, test),
            Test::Is(value) => self.tell_odd(&field, value),
            _ => {}
        }
        let is_all = test == Test::Exists && field == FieldRef::everywhere();
        let expr = if is_all { Expr::All } else { Expr::Field { field, test } };
        Ok(if is_negated { Expr::negate(expr) } else { expr })
    }

    /// Where a field is no field, but Lucene's way to ask for one, whether it must be there.
    fn lucene_exists(&self, field: &FieldRef) -> Option<bool> {
        let is_plain = |at| self.scan.text_from(at).starts_with(field.name.as_str());
        let known = [(LUCENE_EXISTS, true), (LUCENE_MISSING, false)];
        let (_, is_there) = known.into_iter().find(|(name, _)| *name == field.name)?;
        field.offset.is_some_and(is_plain).then_some(is_there)
    }

    /// `earliest=-24h` and `latest=now`, which are of the time.
    fn splunk_bound(&mut self, bound: &FieldRef) -> Result<Expr> {
        use Bound::{Excluded, Included, Unbounded};
        let value = self.range_end("")?.ok_or_else(|| self.unexpected("a time"))?;
        let test = match bound.name.as_str() {
            "earliest" => Test::Range { lower: Included(value), upper: Unbounded },
            _ => Test::Range { lower: Unbounded, upper: Excluded(value) },
        };
        Ok(Expr::Field { field: FieldRef::typed("time", bound.offset), test })
    }

    /// Steps over a field that another is compared with, if one is next.
    pub(super) fn other_field(&mut self) -> Option<FieldRef> {
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
        let start = self.scan.offset() + 1;
        self.scan.run("");
        while self.is_at_clock() {
            self.scan.next_word("");
        }
        let text = &self.scan.text_from(start)[..self.scan.offset() - start];
        let value = |text: &str, at| Value { text: text.to_owned(), offset: Some(at) };
        let end = |text: &str, at| match text {
            "" => Bound::Unbounded,
            text => Bound::Included(value(text, at)),
        };
        let test = match text.split_once("..") {
            None => Test::Is(value(text, start)),
            Some(("", "")) => Test::Exists,
            Some((from, to)) => {
                Test::Range { lower: end(from, start), upper: end(to, start + from.len() + 2) }
            }
        };
        Expr::Field { field, test }
    }

    pub(super) fn regex(&mut self) -> Result<Option<Regex>> {
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

    fn is_at_bracket(&self) -> bool {
        matches!(self.scan.peek(), Some('(' | '[' | '{'))
    }
}

/// Whether `field = time` is Splunk's way to give a bound of time.
fn is_bound_of_splunk(field: &FieldRef) -> bool {
    !field.is_quoted && ["earliest", "latest"].contains(&field.name.as_str())
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

/// The field that has such whole values: who calls has an ARN of IAM's or STS's, everything else is a
/// resource.
fn field_of(pattern: &str) -> &'static str {
    let service = pattern.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(1));
    match service {
        Some("iam" | "sts") => "arn",
        Some(_) => "resource",
        None => "field",
    }
}

/// Whether a text has what is between words.
fn has_word_end(piece: &PatternPiece) -> bool {
    matches!(piece, PatternPiece::Text(text) if text.contains([':', '/']))
}

/// Whether a bare word looks like a field and its value, but for wildcards in the field's name.
fn has_wildcard_name(run: &str) -> bool {
    let Some((name, _)) = run.split_once(':') else {
        return false;
    };
    if name == "*" {
        return true;
    }
    let name = name.strip_prefix("*.").unwrap_or(name);
    let mut chars = name.chars().filter(|&c| !matches!(c, '*' | '?'));
    chars.next().is_some_and(|c| is_name_char(c, true)) && chars.all(|c| is_name_char(c, false))
}
