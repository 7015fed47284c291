//! Random tests on values, made of one that a record holds.

use std::ops::Bound;

use language::ast::{Pattern, PatternPiece, Regex, Test, Value};

use super::random::Queries;
use super::record::{Scalar, time_text, words_of};

impl Queries<'_> {
    pub(super) fn test(&mut self, value: &Scalar) -> Test {
        if let Scalar::Time(time) = value {
            return self.time_test(*time);
        }
        let text = value.text();
        match self.random.below(8) {
            0 | 1 => match value.number().filter(|_| self.random.one_in(2)) {
                // However it is written.
                Some(number) if self.random.one_in(2) => Test::Is(Value::of(format!("{number:e}"))),
                Some(_) if !text.contains('.') => Test::Is(Value::of(format!("{text}.0"))),
                _ => Test::Is(Value::of(text)),
            },
            2 => match self.pattern(&text) {
                pattern if matches!(pattern.pieces(), [PatternPiece::AnyRun]) => Test::Exists,
                pattern if matches!(pattern.pieces(), [PatternPiece::Text(_)] | []) => {
                    Test::Is(Value::of(text))
                }
                pattern => Test::Wildcard(pattern),
            },
            3 if text.len() < 300 && !text.is_empty() => Test::Regex(self.regex(&text)),
            4 => {
                let text =
                    if self.random.one_in(2) { text.to_uppercase() } else { text.into_owned() };
                Test::AnyCase(if self.random.one_in(2) {
                    self.pattern(&text)
                } else {
                    Pattern::new([PatternPiece::Text(text)])
                })
            }
            5 => self.range(value),
            6 => {
                let words = words_of(&text);
                match words.as_slice() {
                    [] if text.is_empty() => Test::Exists,
                    [] => Test::Phrase(text.into_owned()),
                    words => {
                        let start = self.random.below(words.len());
                        Test::Phrase(words[start..(start + 2).min(words.len())].join(" "))
                    }
                }
            }
            _ => Test::Exists,
        }
    }

    pub(super) fn time_test(&mut self, time: i64) -> Test {
        let hours = |n: i64| n * 3_600 * 1_000_000;
        let earlier = time - hours(self.random.below(48) as i64);
        let later = time + hours(self.random.below(48) as i64);
        let mut value = |time: i64| {
            let text = time_text(time);
            Value::of(if self.random.one_in(3) { text[..10].to_owned() } else { text })
        };
        let (earlier, later) = (value(earlier), value(later));
        match self.random.below(5) {
            0 => Test::Is(earlier),
            1 => Test::Range { lower: Bound::Included(earlier), upper: Bound::Unbounded },
            2 => Test::Range { lower: Bound::Unbounded, upper: Bound::Excluded(later) },
            3 => Test::Range { lower: Bound::Excluded(earlier), upper: Bound::Included(later) },
            _ => Test::Range { lower: Bound::Included(earlier), upper: Bound::Excluded(later) },
        }
    }

    pub(super) fn range(&mut self, value: &Scalar) -> Test {
        let text = value.text().into_owned();
        let number = value.number().or_else(|| text.parse().ok()).filter(|n: &f64| n.is_finite());
        let (low, high) = match number {
            Some(number) => {
                let width = self.random.below(1_000) as f64;
                ((number - width).to_string(), (number + width).to_string())
            }
            None => {
                let starts_like_a_time = |text: &str| {
                    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                        || text.starts_with("now")
                        || text.is_empty()
                };
                if starts_like_a_time(&text) || text.parse::<f64>().is_ok() {
                    return Test::Exists;
                }
                let cut = text.floor_char_boundary(1 + self.random.below(text.len()));
                (text[..cut].to_owned(), text.clone())
            }
        };
        let is_version = text.split('.').all(|part| part.parse::<u64>().is_ok());
        let (low, high) =
            if is_version && number.is_some() { (text.clone(), text) } else { (low, high) };
        let low = if low.parse::<f64>().is_ok() == high.parse::<f64>().is_ok() {
            low
        } else {
            high.clone()
        };
        let (low, high) = (Value::of(low), Value::of(high));
        match self.random.below(4) {
            0 => Test::Range { lower: Bound::Included(low), upper: Bound::Unbounded },
            1 => Test::Range { lower: Bound::Unbounded, upper: Bound::Excluded(high) },
            2 => Test::Range { lower: Bound::Excluded(low), upper: Bound::Included(high) },
            _ => Test::Range { lower: Bound::Included(low), upper: Bound::Included(high) },
        }
    }

    /// The text with parts of it replaced by wildcards.
    pub(super) fn pattern(&mut self, text: &str) -> Pattern {
        let chars: Vec<char> = text.chars().take(200).collect();
        let is_cut = chars.len() < text.chars().count();
        let from = self.random.below(chars.len());
        let to = from + self.random.below(chars.len() - from.min(chars.len()));
        let mut pieces: Vec<PatternPiece> = Vec::new();
        let is_run = self.random.one_in(2);
        for (at, c) in chars.iter().enumerate() {
            pieces.push(if !(from..=to).contains(&at) {
                PatternPiece::Text(String::from(*c))
            } else if is_run {
                PatternPiece::AnyRun
            } else if at == from {
                PatternPiece::AnyOne
            } else {
                PatternPiece::Text(String::from(*c))
            });
        }
        if is_cut || self.random.one_in(3) {
            pieces.push(PatternPiece::AnyRun);
        }
        Pattern::new(pieces)
    }

    pub(super) fn regex(&mut self, text: &str) -> Regex {
        let chars: Vec<char> = text.chars().collect();
        let (head, tail) = chars.split_at(self.random.below(chars.len()));
        let escape = |part: &[char]| regex::escape(&part.iter().collect::<String>());
        let (head, tail) = (escape(head), escape(tail));
        let pattern = match self.random.below(4) {
            0 => format!("{head}.*"),
            1 => format!("(x+y|{head}){tail}"),
            2 => format!(".{{0,9}}{tail}"),
            _ => format!("{head}[^ ]+"),
        };
        Regex::new(&pattern, self.random.one_in(3))
    }
}
