//! The distinct values of a segment that is being built, each with a small number, and the words of
//! each.
//!
//! Most values of a record were in an earlier record. So each value is looked up once, in one
//! table, and its entry in the column's dictionary and its words are made once, when it is new. A
//! document is then a list of numbers.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A column by its place among those of the segment.
pub(crate) type ColumnNo = u32;
/// A value of a column, by the order in which they came.
pub(crate) type ValueNo = u32;
/// A word, by the order in which they came.
pub(crate) type WordNo = u32;

/// Different texts, numbered as they come.
pub(super) struct Texts {
    /// Of the hashes: strangers choose the texts, and must not know which of them meet in the table.
    seed: u64,
    bytes: Vec<u8>,
    entries: Vec<Text>,
    numbers: HashTable<u32>,
}

/// A text, in the bytes, and of what: texts are equal if both are.
#[derive(Clone, Copy)]
struct Text {
    hash: u32,
    of: u32,
    start: usize,
    len: u32,
}

impl Text {
    fn range(self) -> Range<usize> {
        self.start..self.start + self.len as usize
    }
}

/// A hash of 64 bits for the table, which takes the place from the low bits and a tag from the high.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one(()),
            bytes: Vec::new(),
            entries: Vec::new(),
            numbers: HashTable::new(),
        }
    }
}

impl Texts {
    pub(super) fn text(&self, number: u32) -> &[u8] {
        &self.bytes[self.entries[number as usize].range()]
    }

    /// What a text is of.
    pub(super) fn of(&self, number: u32) -> u32 {
        self.entries[number as usize].of
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all texts.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn is(&self, number: u32, of: u32, text: &[u8]) -> bool {
        let entry = self.entries[number as usize];
        entry.of == of && self.bytes[entry.range()] == *text
    }

    /// The number of a text, and whether it is new.
    pub(super) fn number(&mut self, of: u32, text: &[u8]) -> (u32, bool) {
        let hash = xxh3_64_with_seed(text, self.seed ^ u64::from(of)) as u32;
        if let Some(number) = self.numbers.find(spread(hash), |number| self.is(*number, of, text)) {
            return (*number, false);
        }
        let number = self.entries.len() as u32;
        let entry = Text { hash, of, start: self.bytes.len(), len: text.len() as u32 };
        self.bytes.extend_from_slice(text);
        self.entries.push(entry);
        let entries = &self.entries;
        self.numbers
            .insert_unique(spread(hash), number, |number| spread(entries[*number as usize].hash));
        (number, true)
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.entries.capacity() * size_of::<Text>()
            + self.numbers.allocation_size()
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Distinct {
    values: Texts,
    /// Where the words of each value end.
    word_ends: Vec<u32>,
    value_words: Vec<WordNo>,
    words: Texts,
    /// The value that each column had last: often it has it again.
    latest: Vec<ValueNo>,
}

impl Distinct {
    /// The number of a column's value. `each_word` is asked for the words of a new one.
    pub(crate) fn value(
        &mut self,
        column: ColumnNo,
        value: &[u8],
        each_word: impl FnOnce(&mut dyn FnMut(&str)),
    ) -> ValueNo {
        if self.latest.len() <= column as usize {
            self.latest.resize(column as usize + 1, ValueNo::MAX);
        }
        let latest = self.latest[column as usize];
        if latest != ValueNo::MAX && self.values.is(latest, column, value) {
            return latest;
        }
        let (number, is_new) = self.values.number(column, value);
        if is_new {
            let (words, value_words) = (&mut self.words, &mut self.value_words);
            each_word(&mut |word| value_words.push(words.number(0, word.as_bytes()).0));
            self.word_ends.push(value_words.len() as u32);
        }
        self.latest[column as usize] = number;
        number
    }

    pub(crate) fn values(&self) -> usize {
        self.values.entries.len()
    }

    pub(crate) fn column(&self, value: ValueNo) -> ColumnNo {
        self.values.entries[value as usize].of
    }

    pub(crate) fn bytes(&self, value: ValueNo) -> &[u8] {
        self.values.text(value)
    }

    /// The words of a value, some of them perhaps more than once.
    pub(crate) fn words_of(&self, value: ValueNo) -> &[WordNo] {
        let start = value.checked_sub(1).map_or(0, |before| self.word_ends[before as usize]);
        &self.value_words[start as usize..self.word_ends[value as usize] as usize]
    }

    pub(crate) fn words(&self) -> usize {
        self.words.entries.len()
    }

    pub(crate) fn word(&self, word: WordNo) -> &[u8] {
        self.words.text(word)
    }

    pub(crate) fn memory(&self) -> usize {
        let numbers =
            self.word_ends.capacity() + self.value_words.capacity() + self.latest.capacity();
        self.values.memory() + self.words.memory() + numbers * size_of::<u32>()
    }
}

/// Puts numbers into the order of their texts.
pub(crate) fn sort_by_text<'a>(numbers: &mut [u32], text: impl Fn(u32) -> &'a [u8]) {
    let Some((first, rest)) = numbers.split_first() else { return };
    let first = text(*first);
    let shared = rest.iter().fold(first.len(), |shared, number| {
        let text = &text(*number);
        text.iter().zip(&first[..shared]).take_while(|(a, b)| a == b).count()
    });
    // Most texts differ in the first eight bytes that not all of them share, so that few have to be
    // fetched from memory over and over.
    let key = |number: u32| {
        let rest = &text(number)[shared..];
        let mut key = [0; 8];
        let len = rest.len().min(8);
        key[..len].copy_from_slice(&rest[..len]);
        u64::from_be_bytes(key)
    };
    let mut keyed: Vec<(u64, u32)> = numbers.iter().map(|number| (key(*number), *number)).collect();
    keyed.sort_unstable_by(|(a, number), (b, other)| {
        a.cmp(b).then_with(|| text(*number)[shared..].cmp(&text(*other)[shared..]))
    });
    for (place, (_, number)) in numbers.iter_mut().zip(keyed) {
        *place = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(distinct: &mut Distinct, column: ColumnNo, text: &str) -> ValueNo {
        distinct.value(column, text.as_bytes(), |sink| text.split(' ').for_each(sink))
    }

    #[test]
    fn a_value_has_one_number_in_each_column() {
        let mut distinct = Distinct::default();
        let first = number(&mut distinct, 3, "x y");
        let other = number(&mut distinct, 4, "x y");
        assert_ne!(first, other);
        for n in 0..10_000 {
            let new = number(&mut distinct, 3, &format!("value {n}"));
            assert_eq!(new, 2 + n);
        }
        assert_eq!(number(&mut distinct, 3, "x y"), first);
        assert_eq!(number(&mut distinct, 4, "x y"), other);
        assert_eq!(distinct.column(other), 4);
        assert_eq!(distinct.bytes(other), b"x y");
        assert_eq!(distinct.values(), 10_002);
        let words = |value| {
            let words = distinct.words_of(value).iter();
            words.map(|word| str::from_utf8(distinct.word(*word)).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(words(first), ["x", "y"]);
        assert_eq!(words(other), ["x", "y"]);
        assert_eq!(words(10_001), ["value", "9999"]);
        assert_eq!(distinct.words(), 10_003);
    }

    #[test]
    fn numbers_are_sorted_by_text() {
        let texts =
            ["arn:b", "arn:", "arn:b\0", "arn:bcdefghijk", "arn:bcdefghij", "arn:\0", "arn:a"];
        let sorted = |texts: &[&str]| {
            let mut numbers: Vec<u32> = (0..texts.len() as u32).collect();
            sort_by_text(&mut numbers, |number| texts[number as usize].as_bytes());
            numbers.into_iter().map(|number| texts[number as usize].to_owned()).collect::<Vec<_>>()
        };
        let mut expected = texts.to_vec();
        expected.sort_unstable();
        assert_eq!(sorted(&texts), expected);
        assert_eq!(sorted(&["b", ""]), ["", "b"]);
        assert!(sorted(&[]).is_empty());
    }
}
