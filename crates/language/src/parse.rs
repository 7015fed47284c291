//! From a query's text to its tree: recursive descent, one function a rule.
//!
//! Pure. An error says where in the text, what was expected there, and where it can what would have
//! worked. Nesting, conditions and length are bounded by [`crate::limits`].
//!
//! ```text
//! query     = [ any_of | stage ] { "|" stage }       stages: see `stage`
//! any_of    = all_of { ("OR" | "||") all_of }
//! all_of    = unary { [ "AND" | "&&" ] unary }
//! unary     = ("NOT" | "!" | "-" | "+") unary | "(" any_of ")" | condition
//! condition = quoted | regex | word | span | function
//!           | name ":" (test | "(" any_of ")")     in these parentheses a condition is a test
//!           | name ("=" | "==" | "!=" | "<>") (item | path)
//!           | name compare (value | path)
//!           | name "~" item
//!           | name ("=~" | "!~") regex
//!           | name [ "NOT" ] "LIKE" item
//!           | name [ "NOT" ] "BETWEEN" end "AND" end
//!           | name "IS" [ "NOT" ] "NULL"
//!           | name [ "NOT" ] "IN" ("[" items "]" | "(" items ")" | "(" query ")")
//! test      = item | compare value | "~" item | ("[" | "{") end "TO" end ("]" | "}")
//! items     = item { "," item }
//! item      = quoted | regex | word | "*"
//! regex     = "/" characters "/" [ "i" ]
//! compare   = ">" | ">=" | "<" | "<="
//! end       = value | "*"
//! value     = quoted | word without wildcards
//! path      = a field of a CloudTrail record, or a path below one
//! span      = "@" [ time ] [ ".." [ time ] ]
//! ```

mod condition;
mod foreign;
mod function;
#[cfg(test)]
mod habits;
mod keys;
#[cfg(test)]
mod random;
mod scan;
mod stage;
#[cfg(test)]
mod tests;
mod told;
mod value;

use std::fmt;

pub(super) use self::function::{function_of, percentile};
use self::scan::Scanner;
pub(super) use self::stage::names_a_stage;
use self::told::Told;
use crate::ast::{Expr, FieldRef, Query};
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};
use crate::syntax::{KEYWORDS, is_keyword};

/// Why a text is not a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Byte offset of the fault in the query's text.
    pub offset: usize,
    /// What is wrong there, and what was expected.
    pub message: String,
    /// What would work instead; None where the parser knows nothing better.
    pub suggestion: Option<String>,
}

/// A query, and how its text was taken where a reader could have meant something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The query.
    pub query: Query,
    /// Sentences for the reader of the answer, each once; empty where nothing is in doubt.
    pub notes: Vec<String>,
}

/// Parses a query. Empty text matches every event.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    parse_noted(text).map(|parsed| parsed.query)
}

/// Parses a query, and tells how its text was taken.
pub fn parse_noted(text: &str) -> Result<Parsed, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("the query is longer than {QUERY_BYTES_MAX} bytes");
        return Err(ParseError::new(text.floor_char_boundary(QUERY_BYTES_MAX), message));
    }
    let mut parser = Parser::new(text);
    parser.check_statement()?;
    let query = parser.query()?;
    match parser.scan.peek() {
        None => Ok(Parsed { query, notes: parser.told.sentences() }),
        Some(')') => Err(ParseError::new(parser.scan.offset(), "this ')' has no '(' before it")),
        Some(_) => Err(parser.unexpected("AND or OR")),
    }
}

impl ParseError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), suggestion: None }
    }

    /// Keeps a suggestion that is already there.
    fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion.get_or_insert_with(|| suggestion.into());
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

type Result<T, E = ParseError> = std::result::Result<T, E>;

struct Parser<'a> {
    scan: Scanner<'a>,
    /// Parentheses and negations that are open.
    depth: usize,
    /// Conditions read so far.
    terms: usize,
    /// What the reader of the answer is told.
    told: Told<'a>,
    /// Whether the field of the condition at hand has names of hosts.
    is_of_hosts: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let scan = Scanner::new(text);
        Self { scan, depth: 0, terms: 0, told: Told::default(), is_of_hosts: false }
    }
}

/// Boolean operators. `scope` is the field before the parentheses in `field:(a OR b)`: each
/// condition inside is then a test of it.
impl Parser<'_> {
    fn any_of(&mut self, scope: Option<&FieldRef>) -> Result<Expr> {
        let start = self.scan;
        let (first, mut is_beside) = self.all_of(scope)?;
        let mut parts = vec![first];
        while self.eat_operator("OR", "||") {
            self.scan.skip_spaces();
            let at = self.scan;
            let (part, is_next_beside) = self.all_of(scope)?;
            if let (Some(Expr::Field { field, .. }), Some(word)) =
                (parts.last(), self.word_of(&part, at))
            {
                self.told.note(format!(
                    "{word} was looked for in any field; {field}:(a OR b) asks one field for either"
                ));
            }
            is_beside |= is_next_beside;
            parts.push(part);
        }
        if parts.len() > 1 && is_beside && scope.is_none() {
            let at = start.offset();
            self.told.note(format!(
                "conditions beside each other bind before OR, from byte {at} on: a b OR c is (a b) OR c; \
                 parentheses group, as in a (b OR c)"
            ));
        }
        Ok(Expr::any_of(parts))
    }

    /// Conditions that all must be met, and whether some of them are joined by nothing.
    fn all_of(&mut self, scope: Option<&FieldRef>) -> Result<(Expr, bool)> {
        let mut parts = vec![self.unary(scope)?];
        let mut is_beside = false;
        loop {
            let is_joined = self.eat_operator("AND", "&&");
            if !is_joined && !self.is_at_operand() {
                return Ok((Expr::all_of(parts), is_beside));
            }
            is_beside |= !is_joined;
            let excludes = self.is_at_exclusion() || parts.iter().all(is_negation);
            if !is_joined && scope.is_none() {
                self.check_stage_without_pipe()?;
            } else if !is_joined && !excludes {
                // Kibana reads `field:(a b)` as either, so a silent AND would mislead.
                let error = self.unexpected("OR, AND or ')'");
                return Err(error.suggest("write field:(a OR b), or quote a phrase"));
            }
            parts.push(self.unary(scope)?);
        }
    }

    fn unary(&mut self, scope: Option<&FieldRef>) -> Result<Expr> {
        self.scan.skip_spaces();
        let sign = self.scan;
        if self.eat_logic("NOT") || (!self.is_at("!=") && self.scan.eat("!")) {
            return self.nested(|parser| parser.unary(scope)).map(Expr::negate);
        }
        if !self.scan.eat("-") && !self.scan.eat("+") {
            return self.primary(scope);
        }
        if self.scan.peek().is_none_or(char::is_whitespace) {
            let message = format!("a condition must follow {} without a space", sign.found());
            return Err(ParseError::new(sign.offset(), message).suggest("quote it to look for it"));
        }
        self.check_sign(sign)?;
        let expr = self.nested(|parser| parser.unary(scope))?;
        Ok(if sign.peek() == Some('-') { Expr::negate(expr) } else { expr })
    }

    fn primary(&mut self, scope: Option<&FieldRef>) -> Result<Expr> {
        if self.scan.peek() == Some('(') {
            return self.group(scope);
        }
        self.count_term()?;
        match scope {
            Some(field) => Ok(Expr::Field { field: field.clone(), test: self.test()? }),
            None => self.condition(),
        }
    }

    fn group(&mut self, scope: Option<&FieldRef>) -> Result<Expr> {
        let open = self.scan;
        self.scan.eat("(");
        let expr = self.nested(|parser| parser.any_of(scope))?;
        self.close(open, ")", "AND, OR or ')'")?;
        Ok(expr)
    }

    fn eat_operator(&mut self, keyword: &str, symbol: &str) -> bool {
        self.scan.skip_spaces();
        self.eat_logic(keyword) || self.scan.eat(symbol)
    }

    /// Steps over AND, OR or NOT. In lower case, words could be meant: the reader is told.
    fn eat_logic(&mut self, keyword: &str) -> bool {
        let start = self.scan;
        let is_next = self.scan.eat_keyword(keyword);
        let word = &start.rest()[..self.scan.offset() - start.offset()];
        if is_next && word != keyword {
            self.told.operator(word, start.offset());
        }
        is_next
    }

    /// A word without a field, as it is written, if a condition is one.
    fn word_of(&self, expr: &Expr, start: Scanner<'_>) -> Option<String> {
        let is_word = matches!(expr, Expr::Word(_) | Expr::Phrase(_) | Expr::Wildcard(_));
        let written = &start.rest()[..self.scan.offset() - start.offset()];
        is_word.then(|| format!("'{}' at byte {}", written.trim(), start.offset()))
    }

    /// Whether a condition follows that only excludes something, or says with a sign that it is one.
    fn is_at_exclusion(&self) -> bool {
        self.scan.peek().is_some_and(|c| "-+!".contains(c)) || { self.scan }.eat_keyword("NOT")
    }

    /// Whether another condition follows without `AND`.
    fn is_at_operand(&self) -> bool {
        let is_or = { self.scan }.eat_keyword("OR");
        !is_or && self.scan.peek().is_some_and(|c| c != ')' && c != '|')
    }

    fn is_at(&self, symbol: &str) -> bool {
        self.scan.rest().starts_with(symbol)
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == QUERY_DEPTH_MAX {
            let message = format!("nested deeper than {QUERY_DEPTH_MAX} levels");
            return Err(ParseError::new(self.scan.offset(), message));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn count_term(&mut self) -> Result<()> {
        self.terms += 1;
        if self.terms <= QUERY_TERMS_MAX {
            return Ok(());
        }
        let message = format!("more than {QUERY_TERMS_MAX} conditions");
        Err(ParseError::new(self.scan.offset(), message))
    }

    /// Steps over the bracket that closes the one at `open`.
    fn close(&mut self, open: Scanner<'_>, bracket: &str, expected: &str) -> Result<()> {
        self.scan.skip_spaces();
        if self.scan.eat(bracket) {
            return Ok(());
        }
        if self.scan.peek().is_some() {
            return Err(self.unexpected(expected));
        }
        let message = format!("this {} is never closed", open.found());
        Err(ParseError::new(open.offset(), message))
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let offset = self.scan.offset();
        if self.is_at("|") && !self.is_at("||") {
            let message = format!("expected {expected}, found '|'");
            let error = ParseError::new(offset, message);
            return error.suggest("stages follow the whole filter; quote '|' to look for it");
        }
        let found = self.scan.found();
        let error = ParseError::new(offset, format!("expected {expected}, found {found}"));
        let run = self.scan.peek_run("[]{}");
        if is_keyword(run) && !KEYWORDS.contains(&run) {
            return error.suggest("quote it to look for the word");
        }
        error
    }
}

fn is_negation(expr: &Expr) -> bool {
    matches!(expr, Expr::Not(_))
}
