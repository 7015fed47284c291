//! A cursor over a query's text: spaces, symbols, bare words, quoted text, names.

use super::ParseError;
use crate::ast::{FieldRef, Regex};
use crate::syntax::{QUOTES, ends_run, is_name_char, read_quoted, starts_a_name, unescape};

/// Characters of the text that an error message repeats at most.
const FOUND_CHARS_MAX: usize = 40;

/// What follows a field's name where the values below it are meant, too.
const BELOW: &str = ".*";

/// A place in a query's text. A copy remembers it.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    /// Byte offset in the text.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The text from a byte offset on.
    pub(super) fn text_from(&self, offset: usize) -> &'a str {
        &self.text[offset..]
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_spaces(&mut self) {
        self.offset = self.text.len() - self.rest().trim_start().len();
    }

    /// Steps over `symbol` if it is next.
    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let is_next = self.rest().starts_with(symbol);
        if is_next {
            self.offset += symbol.len();
        }
        is_next
    }

    /// Steps over `keyword`, in upper or lower case, if it is the next bare word.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let run = self.peek_run("[]{}");
        let is_next = run.eq_ignore_ascii_case(keyword);
        if is_next {
            self.offset += run.len();
        }
        is_next
    }

    /// Steps over spaces and the bare word behind them, which it returns.
    pub(super) fn next_word(&mut self, ends: &str) -> &'a str {
        self.skip_spaces();
        self.run(ends)
    }

    /// The bare word that is next, with its backslashes; it also ends before a character of `ends`.
    pub(super) fn peek_run(&self, ends: &str) -> &'a str {
        let rest = self.rest();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if ends_run(c, &rest[at..]) || ends.contains(c) {
                return &rest[..at];
            }
        }
        rest
    }

    /// Steps over a bare word.
    pub(super) fn run(&mut self, ends: &str) -> &'a str {
        let run = self.peek_run(ends);
        self.offset += run.len();
        run
    }

    /// Steps over a field name if one is next; it also ends before a character of `ends`.
    pub(super) fn name(&mut self, ends: &str) -> Option<String> {
        let raw = self.peek_run(ends);
        let mut name = String::new();
        let is_begun_by_digits = starts_a_name(raw);
        for (c, is_escaped) in unescape(raw) {
            if !is_escaped && !is_name_char(c, name.is_empty() && !is_begun_by_digits) {
                return None;
            }
            name.push(c);
        }
        self.offset += raw.len();
        (!name.is_empty()).then_some(name)
    }

    /// Steps over a field if one is next: its name, or its name in quotes, and `.*` where the values
    /// below it are meant, too; or `*`.
    pub(super) fn field(&mut self, ends: &str) -> Option<FieldRef> {
        let offset = Some(self.offset);
        if self.is_at_quote() || self.peek() == Some('`') {
            let (name, bytes) = read_quoted(self.rest()).filter(|(name, _)| !name.is_empty())?;
            self.offset += bytes;
            let field = FieldRef::quoted(name, offset);
            return Some(if self.eat(BELOW) { field.with_below() } else { field });
        }
        let raw = self.peek_run(ends);
        if raw == "*" {
            self.offset += raw.len();
            return Some(FieldRef { offset, ..FieldRef::everywhere() });
        }
        let Some(above) = raw.strip_suffix(BELOW).filter(|above| !above.ends_with('\\')) else {
            return self.name(ends).map(|name| FieldRef::typed(name, offset));
        };
        let name = Self::new(above).name("")?;
        self.offset += raw.len();
        Some(FieldRef::typed(name, offset).with_below())
    }

    /// Whether quoted text is next.
    pub(super) fn is_at_quote(&self) -> bool {
        self.peek().is_some_and(|c| QUOTES.contains(c))
    }

    /// Steps over quoted text if it is next.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, ParseError> {
        if !self.is_at_quote() {
            return Ok(None);
        }
        let Some((text, bytes)) = read_quoted(self.rest()) else {
            let error = ParseError::new(self.offset, "this quote is never closed");
            return Err(match self.peek() {
                Some('"') => error,
                _ => error.suggest("a backslash before it makes it text"),
            });
        };
        self.offset += bytes;
        Ok(Some(text))
    }

    /// Steps over `/…/` or `/…/i` if that is next. A slash begins one where another, before which no
    /// backslash stands, ends a word or an item; else it is text, as in a path.
    pub(super) fn regex(&mut self) -> Option<Regex> {
        let rest = self.rest().strip_prefix('/')?;
        let mut is_escaped = false;
        let end = rest.find(|c| {
            let is_end = c == '/' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        })?;
        let mut after = &rest[end + 1..];
        let ignores_case = after.starts_with('i');
        after = after.strip_prefix('i').unwrap_or(after);
        let is_closed = after.chars().next().is_none_or(|c| ends_run(c, after) || ",]".contains(c));
        if end == 0 || !is_closed {
            return None;
        }
        self.offset = self.text.len() - after.len();
        Some(Regex::new(&rest[..end], ignores_case))
    }

    /// Whether nothing, or a space, a bracket or a pipe comes next.
    pub(super) fn is_at_end_of_word(&self) -> bool {
        self.peek().is_none_or(|c| ends_run(c, self.rest()) || ",]}".contains(c))
    }

    /// What is next, for an error message.
    pub(super) fn found(&self) -> String {
        let run = self.peek_run("[]{},");
        let found: String = match self.peek() {
            None => return "the end of the query".to_owned(),
            Some(c) if run.is_empty() => c.into(),
            Some(_) => run.chars().take(FOUND_CHARS_MAX).collect(),
        };
        format!("'{found}'")
    }
}
