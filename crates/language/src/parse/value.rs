//! What is asked of a field's value: values, lists, ranges, patterns.

use std::ops::Bound;

use super::condition::{LIST_AND_RANGE, Order};
use super::{ParseError, Parser, Result};
use crate::ast::{Comparison, Pattern, PatternPiece, Regex, Test, Value};
use crate::syntax::{foreign_form, is_keyword, names_a_field, unescape};
use crate::time::{is_clock, is_date, is_distance, is_unit};

/// Units of bytes that people write apart from their number.
const BYTE_UNITS: [&str; 16] =
    ["k", "K", "M", "G", "T", "KB", "kB", "MB", "GB", "TB", "Ki", "Mi", "Gi", "KiB", "MiB", "GiB"];

/// What is expected where a condition begins.
pub(super) const CONDITION: &str = "a condition";

impl Parser<'_> {
    /// What may follow `field:`.
    pub(super) fn test(&mut self) -> Result<Test> {
        let offset = Some(self.scan.offset());
        if let Some(order) = self.eat_order() {
            return self.order(order);
        }
        if self.scan.eat("~") {
            return self.any_case();
        }
        if let Some(text) = self.quoted()? {
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

    /// Quoted text, if it is next. In quotes `*` is itself, which is not so everywhere.
    pub(super) fn quoted(&mut self) -> Result<Option<String>> {
        let start = self.scan;
        let Some(text) = self.scan.quoted()? else { return Ok(None) };
        let is_end = self.scan.peek().is_none_or(|c| c.is_whitespace() || ")|],}&".contains(c));
        if !is_end {
            let error = self.unexpected("a space behind the quote");
            return Err(error.suggest("a backslash before a quote makes it text"));
        }
        if text.len() > 1 && text.contains('*') {
            let at = start.offset();
            self.note(format!(
                "'*' in the quotes at byte {at} is itself; without quotes it is a wildcard"
            ));
        }
        Ok(Some(text))
    }

    /// What follows `~`.
    pub(super) fn any_case(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        if let Some(text) = self.quoted()? {
            return Ok(Test::AnyCase(Pattern::new([PatternPiece::Text(text)])));
        }
        if let Some(other) = self.other_field() {
            return Ok(Test::Compared { comparison: Comparison::Alike, other });
        }
        match self.regex()? {
            Some(regex) => Ok(Test::Regex(Regex { ignores_case: true, ..regex })),
            None => Ok(Test::AnyCase(self.bare_value("")?)),
        }
    }

    /// What follows `=~`: it matches a part of the value.
    pub(super) fn matches(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        match self.regex()? {
            Some(regex) => Ok(anywhere(regex)),
            None => Err(self
                .unexpected("a regular expression")
                .suggest("write =~ /x/ for a part of the value, or ~ x for the value in any case")),
        }
    }

    /// What follows `LIKE`: it stands anywhere in the value, or has SQL's `%`.
    pub(super) fn like(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        if let Some(regex) = self.regex()? {
            return Ok(anywhere(regex));
        }
        let at = self.scan.offset();
        let (inner, has_wildcards) = match self.quoted()? {
            Some(text) => {
                let has_wildcards = text.contains('*');
                (vec![PatternPiece::Text(text)], has_wildcards)
            }
            None => {
                let pieces = self.bare_value("")?.pieces().to_vec();
                let has_wildcards = !matches!(pieces[..], [PatternPiece::Text(_)]);
                (pieces, has_wildcards)
            }
        };
        let [PatternPiece::Text(text)] = &inner[..] else {
            return Ok(contains(inner));
        };
        if has_wildcards {
            return Ok(contains(inner));
        }
        let (pieces, has_percent, has_underscore) = of_sql(text);
        if has_percent {
            return Ok(test_of(pieces));
        }
        if has_underscore {
            self.note(format!(
                "'_' behind LIKE at byte {at} stood for any one character, as in SQL; \\_ is itself"
            ));
        }
        Ok(contains(pieces))
    }

    /// What follows `BETWEEN`.
    pub(super) fn between(&mut self) -> Result<Test> {
        self.scan.skip_spaces();
        if self.is_at("(") {
            let error = self.unexpected("a value");
            return Err(error.suggest("write field BETWEEN a AND b, or field:[a TO b]"));
        }
        let lower = self.range_end("")?;
        self.scan.skip_spaces();
        if !self.scan.eat_keyword("AND") {
            let error = self.unexpected("AND");
            return Err(error.suggest("write field BETWEEN a AND b, or quote the words"));
        }
        let upper = self.range_end("")?;
        Ok(match (bound(lower, true), bound(upper, true)) {
            (Bound::Unbounded, Bound::Unbounded) => Test::Exists,
            (lower, upper) => Test::Range { lower, upper },
        })
    }

    /// A value; quoted it is exact, bare it may have wildcards.
    pub(super) fn item(&mut self, ends: &str) -> Result<Test> {
        let at = self.scan.offset();
        let offset = Some(at);
        if let Some(text) = self.quoted()? {
            return Ok(Test::Is(Value { text, offset }));
        }
        if let Some(regex) = self.regex()? {
            self.tell_part(&regex, at);
            return Ok(Test::Regex(regex));
        }
        let pattern = self.bare_value(ends)?;
        Ok(match pattern.pieces() {
            [PatternPiece::Text(text)] => {
                let text = self.whole_time(text, ends);
                Test::Is(Value { text, offset })
            }
            [PatternPiece::AnyRun] => Test::Exists,
            pieces if reads_as_regex(pieces, self.is_of_hosts) => {
                self.note(format!(
                    "the value at byte {at} has wildcards; a regular expression stands between \
                     slashes, as /{}/",
                    self.scan.text_from(at).get(..self.scan.offset() - at).unwrap_or_default()
                ));
                Test::Wildcard(pattern)
            }
            _ => Test::Wildcard(pattern),
        })
    }

    /// `[a, b]` or `(a, b)`, or a query in parentheses.
    pub(super) fn list(&mut self) -> Result<Test> {
        let (start, terms) = (self.scan, self.terms);
        let told = self.told.clone();
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
        let is_of_rows = told.is_of_rows;
        self.told = told;
        self.scan.eat("(");
        self.told.is_of_rows = false;
        let query = self.nested(Self::query)?;
        self.told.is_of_rows = is_of_rows;
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
        let lower = self.range_end(",]}")?;
        self.scan.skip_spaces();
        if !self.scan.eat_keyword("TO") {
            return Err(self.unexpected("TO").suggest(LIST_AND_RANGE));
        }
        let upper = self.range_end(",]}")?;
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
    pub(super) fn order(&mut self, order: Order) -> Result<Test> {
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
    pub(super) fn range_end(&mut self, ends: &str) -> Result<Option<Value>> {
        self.scan.skip_spaces();
        let at = self.scan.offset();
        let offset = Some(at);
        if let Some(text) = self.quoted()? {
            return Ok(Some(Value { text, offset }));
        }
        if self.scan.peek_run(ends).eq_ignore_ascii_case("TO") {
            return Err(self.unexpected("a value or *"));
        }
        if let Some(text) = self.called_time()? {
            return Ok(Some(Value { text, offset }));
        }
        let raw = self.scan.peek_run(ends);
        let pattern = self.bare_value(ends)?;
        let zone = self.rest_of_zone(raw, ends);
        match pattern.pieces() {
            [PatternPiece::Text(text)] => {
                let text = self.whole_time(&format!("{text}{zone}"), ends);
                let text = self.whole_number(text, ends)?;
                Ok(Some(Value { text, offset }))
            }
            [PatternPiece::AnyRun] => Ok(None),
            _ => Err(ParseError::new(at, "a range has no wildcards")
                .suggest("quote the value if it holds * or ?")),
        }
    }

    /// The bracket that ends a bare word may be that of a time zone: `2026-06-01[Europe/Berlin]`.
    fn rest_of_zone(&mut self, raw: &str, ends: &str) -> &'static str {
        let has_zone = unescape(raw).any(|(c, is_escaped)| c == '[' && !is_escaped);
        if has_zone && ends.contains(']') && self.scan.eat("]") { "]" } else { "" }
    }

    /// Whether a time of day is next, and so belongs to the date before it.
    pub(super) fn is_at_clock(&self) -> bool {
        is_clock({ self.scan }.next_word("]}"))
    }

    /// A bare value together with the words behind it that make it a time: `2026-06-01 13:00`,
    /// `2 days ago`, `last 24h`, `now - 1d`.
    fn whole_time(&mut self, text: &str, ends: &str) -> String {
        let mut ahead = self.scan;
        let first = ahead.next_word(ends);
        if is_date(text) && is_clock(first) {
            let zone = if self.scan.offset() < ahead.offset() {
                self.scan = ahead;
                self.rest_of_zone(first, ends)
            } else {
                ""
            };
            return format!("{text} {first}{zone}");
        }
        let mut beyond = ahead;
        let second = beyond.next_word(ends);
        let is_ago = |word: &str| word.eq_ignore_ascii_case("ago");
        let is_last = ["last", "past"].iter().any(|last| last.eq_ignore_ascii_case(text));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let words = if is_number(text) && is_unit(first) && is_ago(second)
            || is_last && is_number(first) && !first.is_empty() && is_unit(second)
            || text == "now" && ["-", "+"].contains(&first) && is_distance(second)
        {
            (beyond, vec![first, second])
        } else if is_distance(text) && is_ago(first)
            || is_last && is_distance(first)
            || text == "now" && first.strip_prefix(['-', '+']).is_some_and(is_distance)
        {
            (ahead, vec![first])
        } else {
            return text.to_owned();
        };
        self.scan = words.0;
        format!("{text} {}", words.1.join(" "))
    }

    /// A bare number together with a unit that stands apart: `1 MB`.
    fn whole_number(&mut self, text: String, ends: &str) -> Result<String> {
        let mut ahead = self.scan;
        let next = ahead.next_word(ends);
        if text.parse::<f64>().is_err() {
            return Ok(text);
        }
        if BYTE_UNITS.contains(&next) {
            self.scan = ahead;
            return Ok(format!("{text}{next}"));
        }
        if next.len() == 3 && next.bytes().all(|byte| byte.is_ascii_digit()) {
            self.scan.skip_spaces();
            let error = self.unexpected("AND or OR");
            return Err(error.suggest(format!("a number has no spaces: write {text}{next}")));
        }
        Ok(text)
    }

    /// A bare word that is a value; it also ends before a character of `ends`.
    pub(super) fn bare_value(&mut self, ends: &str) -> Result<Pattern> {
        let raw = self.scan.peek_run(ends);
        let at = self.scan.offset();
        let is_plain = !raw.contains('\\');
        if raw.starts_with(['=', '<', '>', '!', '~']) {
            let error = self.unexpected("a value");
            return Err(if raw.starts_with(['<', '>']) {
                error.suggest("write >= or <=, or quote it if the value begins so")
            } else {
                error.suggest("write field != value, or quote it if the value begins so")
            });
        }
        if let Some(comma) = unescaped(raw, ',') {
            let error = ParseError::new(at + comma, "a value ends at ','");
            let (first, rest) = (&raw[..comma], &raw[comma + 1..]);
            let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(error.suggest(match (first, rest) {
                (first, rest) if is_plain && is_digits(first) && is_digits(rest) => {
                    format!("write the number as {first}{rest}, a list as field:(a OR b)")
                }
                (_, "") => {
                    "write field:(a OR b) for either; quote text that has a comma".to_owned()
                }
                (a, b) if is_plain && !b.contains(',') => {
                    format!("write field:({a} OR {b}) for either; quote text that has a comma")
                }
                _ => "write field:(a OR b) for either; quote text that has a comma".to_owned(),
            }));
        }
        Self::check_joined(raw, at)?;
        if let Some(suggestion) = foreign_form(raw).filter(|_| is_plain) {
            let message = format!("'{raw}' is no value");
            return Err(ParseError::new(at, message).suggest(suggestion));
        }
        self.bare("a value", ends)
    }

    /// A bare word; it also ends before a character of `ends`.
    pub(super) fn bare(&mut self, expected: &str, ends: &str) -> Result<Pattern> {
        let raw = self.scan.peek_run(ends);
        let is_operator = is_keyword(raw) && !raw.eq_ignore_ascii_case("TO");
        if raw.is_empty() || raw.starts_with(['[', '{']) || is_operator {
            let error = self.unexpected(expected);
            return Err(match raw.chars().next() {
                Some('[') if expected == CONDITION => error.suggest(
                    "a list is field IN [a, b], a query in one field IN (query | values field)",
                ),
                Some('[') => error.suggest("quote it if it is text"),
                Some('{') if expected == CONDITION => {
                    error.suggest("leave out the braces: eventName = x")
                }
                _ => error,
            });
        }
        self.scan.run(ends);
        if expected != CONDITION && self.is_at("(") {
            let error = self.unexpected("a space");
            return Err(error.suggest("write the value itself: there are no functions of values"));
        }
        if matches!(self.scan.peek(), Some('"' | '(')) {
            let error = self.unexpected("a space");
            return Err(error.suggest("a backslash before a quote or a parenthesis makes it text"));
        }
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

/// Whether a value with wildcards looks like a regular expression: `^Create*` or `Create.*`. Behind a digit,
/// a dot is one of an address or a version, and where names of hosts are, one of such a name.
fn reads_as_regex(pieces: &[PatternPiece], is_of_hosts: bool) -> bool {
    let is_in_host =
        |c: char| c.is_ascii_digit() || is_of_hosts && (c.is_ascii_lowercase() || c == '-');
    let is_anchored =
        matches!(pieces.first(), Some(PatternPiece::Text(text)) if text.starts_with('^'));
    is_anchored
        || pieces.windows(2).any(|pair| match pair {
            [PatternPiece::Text(text), PatternPiece::AnyRun] => {
                text.strip_suffix('.').is_some_and(|before| !before.ends_with(is_in_host))
            }
            _ => false,
        })
}

/// The byte of the first such character that has no backslash before it.
fn unescaped(raw: &str, wanted: char) -> Option<usize> {
    let mut is_escaped = false;
    raw.char_indices().find_map(|(at, c)| {
        let is_found = c == wanted && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_found.then_some(at)
    })
}

/// A regular expression that matches a part of a value.
pub(super) fn anywhere(Regex { pattern, ignores_case }: Regex) -> Test {
    Test::Regex(Regex { pattern: format!(".*(?:{pattern}).*"), ignores_case })
}

/// A value that has this anywhere.
pub(super) fn contains(inner: Vec<PatternPiece>) -> Test {
    let around = [vec![PatternPiece::AnyRun], inner, vec![PatternPiece::AnyRun]];
    test_of(around.into_iter().flatten().collect())
}

/// A whole value that is like this.
pub(super) fn test_of(pieces: Vec<PatternPiece>) -> Test {
    let pattern = Pattern::new(pieces);
    match pattern.pieces() {
        [] => Test::Is(Value::of("")),
        [PatternPiece::Text(text)] => Test::Is(Value::of(text.clone())),
        [PatternPiece::AnyRun] => Test::Exists,
        _ => Test::Wildcard(pattern),
    }
}

/// A pattern of SQL's, and whether it has a `%`, and a `_`.
pub(super) fn of_sql(text: &str) -> (Vec<PatternPiece>, bool, bool) {
    let (mut has_percent, mut has_underscore) = (false, false);
    let mut chars = text.chars().peekable();
    let mut pieces = Vec::new();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => {
                has_percent = true;
                PatternPiece::AnyRun
            }
            '_' => {
                has_underscore = true;
                PatternPiece::AnyOne
            }
            '\\' => {
                let escaped = chars.next_if(|next| "%_\\".contains(*next));
                PatternPiece::Text(escaped.unwrap_or(c).into())
            }
            c => PatternPiece::Text(c.into()),
        });
    }
    (pieces, has_percent, has_underscore)
}

fn bound(end: Option<Value>, is_included: bool) -> Bound<Value> {
    match end {
        None => Bound::Unbounded,
        Some(value) if is_included => Bound::Included(value),
        Some(value) => Bound::Excluded(value),
    }
}
