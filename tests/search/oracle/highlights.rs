//! Highlights, said again: what of a filter helps an event to match where it is met, and in which values
//! of a record it is.

use std::ops::Range;

use jiff::Timestamp;
use language::ast::{Expr, FieldRef, Test, Value};
use wire::Highlight;

use super::evaluate::{Archive, IsMeant, Kind, compile, has_row, is_of_form, lower};
use super::names::{Network, action_in};
use super::record::{Doc, Scalar, hour_word, known_part, words_of, written_span};

/// Values of an event that are given, at most.
const HIGHLIGHTS_MAX: usize = 20;

/// What is not looked at of a value.
const BYTES_MAX: usize = 4_096;

/// What is in no value of the record.
const DERIVED: [&str; 9] =
    ["actor", "credential", "outcome", "error", "client", "target", "account", "action", "time"];

/// A condition whose values are highlighted.
enum Wanted {
    Row { words: Vec<String>, span: Option<Range<i64>> },
    Word(Box<dyn Fn(&str) -> bool>),
    Network(Network),
    Value { paths: Vec<String>, is_meant: IsMeant, phrase: Option<Vec<String>> },
}

/// Checks what is highlighted of an event.
pub fn check(archive: &Archive, filter: &Expr, doc: &Doc, highlights: &[Highlight]) {
    let mut wanted = Vec::new();
    gather(archive, &archive.without_queries(filter), true, &mut wanted);
    for highlight in highlights {
        let Highlight { field, value, ranges } = highlight;
        assert!(!ranges.is_empty(), "{filter}: {highlight:?}");
        let found = doc.of(field).iter().find(|scalar| scalar.written() == value.as_str());
        let scalar = match (field.as_str(), found) {
            ("eventTime", _) => Scalar::Time(micros(value).expect("a time")),
            (_, Some(scalar)) => scalar.clone(),
            (_, None) => panic!("{filter}: {} has no such {highlight:?}", doc.id),
        };
        for [start, end] in ranges {
            let part = *start..*end;
            assert!(value.get(part.clone()).is_some(), "{filter}: {highlight:?}");
            let is_met = wanted.iter().any(|one| one.is_at(field, &scalar, value, &part));
            assert!(is_met, "{filter}: {part:?} of {highlight:?} in {}", doc.id);
        }
    }
    if highlights.len() >= HIGHLIGHTS_MAX {
        return;
    }
    for one in &wanted {
        for (path, scalar) in
            doc.values.iter().flat_map(|(path, of)| of.iter().map(move |s| (path, s)))
        {
            let text = scalar.written();
            if DERIVED.contains(&path.as_str())
                || text.len() > BYTES_MAX
                || !one.is_in(path, scalar)
            {
                continue;
            }
            let has_one = highlights.iter().any(|Highlight { field, value, ranges }| {
                let is_at =
                    |[start, end]: &[usize; 2]| one.is_at(field, scalar, value, &(*start..*end));
                field == path && *value == text && ranges.iter().any(is_at)
            });
            assert!(has_one, "{filter}: {path} {scalar:?} of {} is not in {highlights:?}", doc.id);
        }
    }
}

fn micros(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// `NOT NOT a` is `a`.
fn gather(archive: &Archive, expr: &Expr, is_positive: bool, wanted: &mut Vec<Wanted>) {
    match expr {
        Expr::All => {}
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                gather(archive, part, is_positive, wanted);
            }
        }
        Expr::Not(inner) => gather(archive, inner, !is_positive, wanted),
        _ if !is_positive => {}
        Expr::Word(text) if let Some(network) = Network::of(text) => {
            wanted.push(Wanted::Network(network));
            wanted.push(Wanted::Row { words: words_of(text), span: None });
        }
        Expr::Word(text) | Expr::Phrase(text) => {
            wanted.push(Wanted::Row { words: words_of(text), span: written_span(text) });
        }
        Expr::Wildcard(pattern) => {
            let pattern = lower(pattern);
            wanted.push(Wanted::Word(Box::new(move |word| is_of_form(word, pattern.pieces()))));
        }
        Expr::Regex(regex) => {
            let regex = compile(&regex.pattern, true);
            wanted.push(Wanted::Word(Box::new(move |word| regex.is_match(word))));
        }
        Expr::Field { field, test } => gather_tests(archive, field, test, wanted),
    }
}

fn gather_tests(archive: &Archive, field: &FieldRef, test: &Test, wanted: &mut Vec<Wanted>) {
    if field.has_below && !matches!(test, Test::OneOf(_) | Test::Range { .. } | Test::Exists) {
        let phrase = match test {
            Test::Phrase(text) => Some(words_of(text)),
            _ => None,
        };
        let (paths, is_meant) = (archive.paths_below(field), Kind::Plain.meaning(test));
        return wanted.push(Wanted::Value { paths, is_meant, phrase });
    }
    let kind = Kind::of_field(field);
    match test {
        Test::OneOf(tests) => {
            for test in tests {
                gather_tests(archive, field, test, wanted);
            }
        }
        // Bounds of addresses are a network, said in another way.
        Test::Range { .. } if kind == Kind::Address => {
            let (paths, is_meant) = (archive.paths_of(field), kind.meaning(test));
            wanted.push(Wanted::Value { paths, is_meant, phrase: None });
        }
        // Other bounds, and that something is there, are in no text.
        Test::Range { .. } | Test::Exists | Test::Compared { .. } | Test::InQuery(_) => {}
        _ if kind == Kind::Time => {}
        Test::Is(_) | Test::AnyCase(_) | Test::Phrase(_) | Test::Wildcard(_) | Test::Regex(_) => {
            if kind == Kind::Action
                && let Some((source, name)) = action_in(test)
            {
                for (path, text) in [("eventSource", source), ("eventName", name)] {
                    let is_meant = Kind::Plain.meaning(&Test::Is(Value::of(text)));
                    let paths = vec![path.to_owned()];
                    wanted.push(Wanted::Value { paths, is_meant, phrase: None });
                }
            }
            let phrase = if let Test::Phrase(text) = test { Some(words_of(text)) } else { None };
            let (paths, is_meant) = (shown_in(archive.paths_of(field)), kind.meaning(test));
            wanted.push(Wanted::Value { paths, is_meant, phrase });
        }
    }
}

/// The paths of a field, and of what a derived field shows as it is.
fn shown_in(paths: Vec<String>) -> Vec<String> {
    let shown = |path: String| match path.as_str() {
        "action" => vec!["eventName".to_owned(), "insightDetails.eventName".to_owned()],
        "error" => vec!["errorCode".to_owned()],
        "account" => vec!["recipientAccountId".to_owned()],
        _ => vec![path],
    };
    paths.into_iter().flat_map(shown).collect()
}

impl Wanted {
    /// Whether a value of a record meets the condition.
    fn is_in(&self, path: &str, scalar: &Scalar) -> bool {
        match self {
            Self::Row { words, .. } => has_row(&words_of(&scalar.written()), words),
            Self::Word(test) => {
                words_of(&scalar.written()).iter().any(|word| test(known_part(word)))
            }
            Self::Network(network) => network.is_in(&scalar.text()),
            Self::Value { paths, is_meant, .. } => {
                paths.iter().any(|known| known == path) && is_meant(scalar)
            }
        }
    }

    /// Whether a part of a value is what is meant.
    fn is_at(&self, path: &str, scalar: &Scalar, value: &str, part: &Range<usize>) -> bool {
        let is_whole = *part == (0..value.len());
        if let Scalar::Time(found) = scalar {
            let is_then = match self {
                Self::Row { span, .. } => span.as_ref().is_some_and(|span| span.contains(found)),
                Self::Word(test) => test(&hour_word(*found)),
                Self::Network(_) | Self::Value { .. } => false,
            };
            return is_whole && is_then;
        }
        if !self.is_in(path, scalar) {
            return false;
        }
        let of_part = words_of(&value[part.clone()]);
        // Neither begins nor ends inside of a word.
        let has_ends = || {
            let (before, behind) = (words_of(&value[..part.start]), words_of(&value[part.end..]));
            [before, of_part.clone(), behind].concat() == words_of(value)
        };
        match self {
            Self::Row { words, .. } => of_part == *words && has_ends(),
            Self::Network(network) => network.holds(&value[part.clone()]),
            Self::Word(test) => {
                has_ends() && matches!(&of_part[..], [word] if test(known_part(word)))
            }
            Self::Value { phrase: Some(words), .. } => is_whole || of_part == *words && has_ends(),
            Self::Value { phrase: None, .. } => is_whole,
        }
    }
}
