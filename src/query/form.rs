//! Tests on values: forms with wildcards, ranges of text, words in a row.

use std::ops::{Bound, RangeBounds};

use super::ast::{Pattern, Piece};
use crate::event::words::{WORD_BYTES_MAX, each_word, words};
use crate::index::clauses::ValueTest;

/// A pattern, ready to be matched.
#[derive(Clone, Debug)]
pub struct Form {
    pieces: Vec<Piece>,
    prefix: String,
}

impl Form {
    pub fn new(pattern: &Pattern) -> Self {
        let pieces = pattern.pieces().to_vec();
        let prefix = match pieces.first() {
            Some(Piece::Text(text)) => text.clone(),
            _ => String::new(),
        };
        Self { pieces, prefix }
    }

    /// The pattern in lower case, for words.
    pub fn of_words(pattern: &Pattern) -> Self {
        Self::new(&Pattern::new(pattern.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(text.to_lowercase()),
            piece => piece.clone(),
        })))
    }

    /// The same as a regular expression.
    pub fn regex(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => escape_regex(text),
                Piece::AnyRun => "(.|\n)*".to_owned(),
                Piece::AnyOne => "(.|\n)".to_owned(),
            })
            .collect()
    }
}

fn escape_regex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

impl ValueTest for Form {
    /// Greedy from the left: each text goes where it fits first, the last where the value ends.
    fn is_met_by(&self, value: &str) -> bool {
        is_of_form(&self.pieces, value)
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// Matches with one place to go back to: the last `*`, and the text it stands for so far.
fn is_of_form(pieces: &[Piece], value: &str) -> bool {
    let (mut piece, mut rest) = (0, value);
    let mut back: Option<(usize, &str)> = None;
    loop {
        let step = match pieces.get(piece) {
            Some(Piece::AnyRun) => {
                back = Some((piece, rest));
                piece += 1;
                continue;
            }
            Some(Piece::AnyOne) => rest.chars().next().map(|c| &rest[c.len_utf8()..]),
            Some(Piece::Text(text)) => rest.strip_prefix(text.as_str()),
            None => rest.is_empty().then_some(rest),
        };
        match (step, back) {
            (Some(_), _) if piece == pieces.len() => return true,
            (Some(after), _) => {
                rest = after;
                piece += 1;
            }
            (None, None) => return false,
            (None, Some((star, from))) => {
                let Some(c) = from.chars().next() else { return false };
                rest = &from[c.len_utf8()..];
                back = Some((star, rest));
                piece = star + 1;
            }
        }
    }
}

/// Text between bounds, by its bytes.
#[derive(Debug)]
pub struct Between {
    pub lower: Bound<String>,
    pub upper: Bound<String>,
}

impl ValueTest for Between {
    fn is_met_by(&self, value: &str) -> bool {
        let bounds =
            (self.lower.as_ref().map(String::as_str), self.upper.as_ref().map(String::as_str));
        RangeBounds::<str>::contains(&bounds, value)
    }
}

/// Words in a row, in lower case.
#[derive(Clone, Debug)]
pub struct Row(pub Vec<String>);

impl Row {
    pub fn of(text: &str) -> Self {
        Self(words(text))
    }
}

impl ValueTest for Row {
    fn is_met_by(&self, value: &str) -> bool {
        if !self.0.iter().all(|word| may_contain(value, word)) {
            return false;
        }
        let mut recent = Vec::new();
        let mut is_met = false;
        each_word(value, &mut String::new(), |word| {
            if !is_met {
                recent.push(word.to_owned());
                is_met = recent.ends_with(&self.0);
            }
        });
        is_met
    }
}

/// Whether text can contain a word in lower case. Quick, and never wrongly false: it looks at ASCII
/// only, and a word that was cut ends in a hash that is not in the text.
fn may_contain(text: &str, word: &str) -> bool {
    let is_plain = text.is_ascii() && word.is_ascii() && word.len() < WORD_BYTES_MAX;
    let (text, word) = (text.as_bytes(), word.as_bytes());
    !is_plain || text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::ast::{Expr, Test};
    use super::super::parse::parse;
    use super::*;

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
    fn words_in_a_row_are_found_wherever_they_begin() {
        let row = Row::of("Not authorized");
        assert!(row.is_met_by("User is not not authorized to perform"));
        assert!(!row.is_met_by("not really authorized"));
        assert!(!row.is_met_by("not"));
    }
}
