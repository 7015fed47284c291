//! Phrases: words in a row.

use unicode_normalization::char::is_combining_mark;

use crate::form::SameText;
use crate::value_clauses::ValueTest;
use trail::limits::WORD_BYTES_MAX;
use trail::words::{each_word, lowercase, words};

/// Words of a phrase that candidates for it are looked up by; each is a look-up in every segment.
const TELLING_WORDS_MAX: usize = 16;

/// Belong to a word between letters.
const JOINERS: [char; 3] = ['-', '_', '.'];

/// A phrase: the words in a row, or the whole text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Phrase {
    /// The words; empty where the text has none.
    pub(crate) row: Row,
    pub(crate) text: SameText,
}

impl Phrase {
    pub(crate) fn new(text: &str) -> Self {
        Self { row: Row::of(text), text: SameText(text.to_owned()) }
    }
}

impl ValueTest for Phrase {
    fn is_met_by(&self, value: &str) -> bool {
        self.text.is_met_by(value) || !self.row.words.is_empty() && self.row.is_met_by(value)
    }

    fn steps(&self) -> usize {
        self.row.steps()
    }
}

/// The words of a phrase, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) words: Vec<String>,
    /// What a value must have, too: pieces of the phrase with combining marks, which words end at. A
    /// decomposed `Zoë` is the word `zoe` and a mark.
    pub(crate) marked: Vec<String>,
}

impl Row {
    pub(crate) fn of(text: &str) -> Self {
        let is_separator = |c: char| c.is_ascii() && !c.is_alphanumeric() && !JOINERS.contains(&c);
        let ends_word = |c: char| is_combining_mark(c) && !c.is_alphanumeric();
        let has_mark = |piece: &&str| !piece.is_ascii() && piece.chars().any(ends_word);
        let pieces = text.split(is_separator).map(|piece| piece.trim_matches(JOINERS));
        let marked = pieces.filter(has_mark).map(lowercase).collect();
        Self { words: words(text), marked }
    }
}

impl ValueTest for Row {
    fn is_met_by(&self, value: &str) -> bool {
        // A word takes a byte, and one before the next.
        let fits = 2 * self.words.len() <= value.len() + 1;
        let may_contain = |word: &String| may_contain(value, word);
        let may_meet = match self.words.len() {
            0..=TELLING_WORDS_MAX => self.words.iter().all(may_contain),
            _ => fits && self.telling_words().into_iter().all(may_contain),
        };
        if !fits || !may_meet {
            return false;
        }
        let mut finder = RowFinder::new(self);
        let mut is_met = false;
        each_word(value, &mut String::new(), |word| is_met = is_met || finder.ends_with(word));
        is_met && self.has_marks_of(value)
    }

    fn steps(&self) -> usize {
        // Each of some words is looked for, and may fit nearly everywhere.
        64
    }
}

impl Row {
    fn has_marks_of(&self, value: &str) -> bool {
        self.marked.is_empty() || {
            let value = lowercase(value);
            self.marked.iter().all(|piece| value.contains(piece))
        }
    }

    /// Its longest words, each once: as many as tell most other texts apart.
    pub(crate) fn telling_words(&self) -> Vec<&String> {
        let mut words: Vec<&String> = self.words.iter().collect();
        words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        words.dedup();
        words.truncate(TELLING_WORDS_MAX);
        words
    }
}

/// Finds a row of words among others, in as many steps as there are words (Knuth, Morris and Pratt).
pub(crate) struct RowFinder<'r> {
    row: &'r [String],
    /// For each beginning of the row: how many of its first words are its last words, too.
    borders: Vec<usize>,
    /// How many of the row's words were seen last.
    seen: usize,
}

impl<'r> RowFinder<'r> {
    pub(crate) fn new(Row { words: row, .. }: &'r Row) -> Self {
        let mut finder = Self { row, borders: vec![0], seen: 0 };
        for word in row.iter().skip(1) {
            finder.step(word);
            finder.borders.push(finder.seen);
        }
        finder.seen = 0;
        finder
    }

    /// Takes the next word; true where the row ends with it.
    pub(crate) fn ends_with(&mut self, word: &str) -> bool {
        if self.row.is_empty() {
            return false;
        }
        if self.seen == self.row.len() {
            self.seen = self.borders[self.seen - 1];
        }
        self.step(word);
        self.seen == self.row.len()
    }

    fn step(&mut self, word: &str) {
        while self.seen > 0 && self.row[self.seen] != word {
            self.seen = self.borders[self.seen - 1];
        }
        self.seen += usize::from(self.row[self.seen] == word);
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
    use super::*;

    #[test]
    fn a_mark_must_be_there_and_ends_a_word() {
        let row = Row::of("Zoe\u{308}, Mu\u{308}ller");
        assert_eq!(row.words, ["zoe", "mu", "ller"]);
        assert_eq!(row.marked, ["zoe\u{308}", "mu\u{308}ller"]);
        assert!(row.is_met_by("x zoe\u{308} MU\u{308}LLER x"));
        assert!(!row.is_met_by("zoe mu ller"));
        assert!(Row::of("Zoë").marked.is_empty());
    }

    #[test]
    fn words_in_a_row_are_found_wherever_they_begin() {
        for row in ["a", "a a b", "a b a c", "a b a b a", "a a a a"] {
            for text in ["a", "a a", "a a a b", "a b a b a c", "x a b a b a b", "a a a a a", ""] {
                let (row, found) = (Row::of(row), words(text));
                let expected = found.windows(row.words.len()).any(|words| words == row.words);
                assert_eq!(row.is_met_by(text), expected, "{row:?} {text}");
            }
        }
        assert_eq!(Row::of(&"b aaa a b ".repeat(99)).telling_words(), ["aaa", "a", "b"]);
        let row = Row::of("Not authorized");
        assert!(row.is_met_by("User is not not authorized to perform"));
        assert!(!row.is_met_by("not really authorized"));
        assert!(!row.is_met_by("not"));
    }
}
