//! The words of the columns' values, for searches that name no field.
//!
//! A column has few distinct values, which repeat in every event. So their words are not indexed
//! with each event: they are gathered once a segment from the column's dictionary. A search goes
//! from a word to the values that contain it, and from these to their events. That halves the cost
//! of indexing (`docs/decisions.md`).
//!
//! ```text
//! magic │ number of words │ hash of each word, sorted │ where its values end │ values of each word
//! ```
//! A value is a number: its column and its place in the column's dictionary. A word's values are in
//! order, as runs of neighbours: the gap to the run before, and the length where it is more than one.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxBuildHasher;
use tantivy::columnar::{ColumnarReader, DynamicColumn};
use tantivy::directory::OwnedBytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{IndexError, partition_point, u64_at};
use crate::dictionary::TextColumn;
use trail::columns::{ColumnId, Words};
use trail::words::each_word;

const MAGIC: [u8; 8] = *b"tdxwrds\n";

/// Where the hashes begin.
const HEAD: usize = MAGIC.len() + 8;

/// Bits of a value's place in its dictionary; the rest number its column. A segment has fewer values
/// than events, and fewer events than these bits count.
const PLACE_BITS: u32 = 27;

/// The columns whose words are gathered.
pub(crate) fn dictionary_columns() -> impl Iterator<Item = ColumnId> {
    ColumnId::all().filter(|id| id.column().words == Words::Dictionary)
}

/// The words of a segment that is being written, by their hashes.
#[derive(Default)]
pub(crate) struct ColumnWords {
    words: HashMap<u64, Values, FxBuildHasher>,
    buffer: String,
}

/// The values that contain a word.
#[derive(Default)]
struct Values {
    /// Of the runs but the last one.
    bytes: Vec<u8>,
    written: u32,
    run: Range<u32>,
}

impl ColumnWords {
    pub(crate) fn gather(columnar: &ColumnarReader) -> Result<Self, IndexError> {
        let mut words = Self::default();
        for id in dictionary_columns() {
            let Some(column) = text_column(columnar, id.column().path)? else { continue };
            each_value(&column, |place, text| {
                words.add_value(id, place as u32, text);
                true
            })?;
        }
        Ok(words)
    }

    /// Takes in the words of a value, by its place among its column's. Values come in order.
    pub(crate) fn add_value(&mut self, column: ColumnId, place: u32, text: &str) {
        let value = u32::from(column.0) << PLACE_BITS | place;
        let Self { words, buffer } = self;
        each_word(text, buffer, |word| add(words, word, value));
    }

    pub(crate) fn write(self, out: &mut impl Write) -> io::Result<()> {
        let mut words: Vec<(u64, Vec<u8>)> =
            self.words.into_iter().map(|(hash, values)| (hash, values.end())).collect();
        words.sort_unstable_by_key(|(hash, _)| *hash);
        out.write_all(&MAGIC)?;
        out.write_all(&(words.len() as u64).to_le_bytes())?;
        for (hash, _) in &words {
            out.write_all(&hash.to_le_bytes())?;
        }
        let mut end: u32 = 0;
        for (_, values) in &words {
            let next = u32::try_from(values.len()).ok().and_then(|bytes| end.checked_add(bytes));
            end = next.ok_or_else(|| io::Error::other("the words of a segment fill 4 GiB"))?;
            out.write_all(&end.to_le_bytes())?;
        }
        words.iter().try_for_each(|(_, values)| out.write_all(values))
    }
}

fn add(words: &mut HashMap<u64, Values, FxBuildHasher>, word: &str, value: u32) {
    words.entry(xxh3_64(word.as_bytes())).or_default().add(value);
}

impl Values {
    fn add(&mut self, value: u32) {
        if value == self.run.end {
            self.run.end += 1;
        } else if !self.run.contains(&value) {
            self.end_run();
            self.run = value..value + 1;
        }
    }

    fn end_run(&mut self) {
        let Some(more) = self.run.len().checked_sub(1) else { return };
        let gap = u64::from(self.run.start - self.written);
        push_number(gap << 1 | u64::from(more > 0), &mut self.bytes);
        if more > 0 {
            push_number(more as u64, &mut self.bytes);
        }
        self.written = self.run.end;
    }

    fn end(mut self) -> Vec<u8> {
        self.end_run();
        self.bytes
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
fn push_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads a number that [`push_number`] wrote; None where there is none.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// An open file of words.
pub struct WordFile {
    path: PathBuf,
    file: OwnedBytes,
    words: usize,
}

impl WordFile {
    /// Opens a mapped file.
    pub(crate) fn open(path: &Path, file: OwnedBytes) -> Result<Self, IndexError> {
        if !file.starts_with(&MAGIC) {
            return Err(IndexError::damaged(path, "it does not begin as a file of words does"));
        }
        let count = (file.len() >= HEAD).then(|| u64_at(&file, MAGIC.len()));
        let words = count.filter(|count| *count <= (file.len() - HEAD) as u64 / 12);
        let words = words.ok_or_else(|| Self::broken(path))? as usize;
        let opened = Self { path: path.to_owned(), file, words };
        if opened.values_start() + opened.end(words) != opened.file.len() {
            return Err(Self::broken(path));
        }
        Ok(opened)
    }

    fn broken(path: &Path) -> IndexError {
        IndexError::damaged(path, "it is not what it states")
    }

    fn values_start(&self) -> usize {
        HEAD + 12 * self.words
    }

    /// Where the values of the first `words` words end.
    fn end(&self, words: usize) -> usize {
        let Some(word) = words.checked_sub(1) else { return 0 };
        let at = HEAD + 8 * self.words + 4 * word;
        u32::from_le_bytes(self.file[at..at + 4].try_into().expect("four bytes")) as usize
    }

    /// Returns, for each column, the ordinals of the values that contain `word`, which is in lower
    /// case.
    pub fn values_with(&self, word: &str) -> Result<Vec<(ColumnId, Vec<u64>)>, IndexError> {
        let wanted = xxh3_64(word.as_bytes());
        let hash = |n| u64_at(&self.file, HEAD + 8 * n);
        let at = partition_point(0..self.words, |n| hash(n) < wanted);
        if at == self.words || hash(at) != wanted {
            return Ok(Vec::new());
        }
        let values = self.file[self.values_start()..].get(self.end(at)..self.end(at + 1));
        values.and_then(by_column).ok_or_else(|| Self::broken(&self.path))
    }
}

/// The places of values, a column at a time; None where the bytes are not those of values.
fn by_column(mut bytes: &[u8]) -> Option<Vec<(ColumnId, Vec<u64>)>> {
    let mut found: Vec<(ColumnId, Vec<u64>)> = Vec::new();
    let mut end: u64 = 0;
    while !bytes.is_empty() {
        let head = take_number(&mut bytes)?;
        let more = if head & 1 == 1 { take_number(&mut bytes)? } else { 0 };
        let start = end.checked_add(head >> 1)?;
        end = start.checked_add(more)?.checked_add(1)?;
        if end > 1 << 32 {
            return None;
        }
        let (mut value, mask) = (start, (1 << PLACE_BITS) - 1);
        // The last place of a column and the first of the next are neighbours.
        while value < end {
            let number = value >> PLACE_BITS;
            if found.last().is_none_or(|(last, _)| u64::from(last.0) != number) {
                let column = dictionary_columns().find(|id| u64::from(id.0) == number)?;
                found.push((column, Vec::new()));
            }
            let of_column = end.min((value | mask) + 1);
            let (_, places) = found.last_mut()?;
            places.extend((value..of_column).map(|value| value & mask));
            value = of_column;
        }
    }
    Some(found)
}

/// A column of text.
pub(crate) fn text_column(
    columnar: &ColumnarReader,
    name: &str,
) -> Result<Option<TextColumn>, IndexError> {
    for handle in columnar.read_columns(name)? {
        if let DynamicColumn::Str(column) = handle.open()? {
            return Ok(Some(column.into()));
        }
    }
    Ok(None)
}

/// Calls `visit` with each distinct value of a column and its ordinal, in order, until it answers
/// false.
pub fn each_value(
    column: &TextColumn,
    mut visit: impl FnMut(u64, &str) -> bool,
) -> Result<(), IndexError> {
    let mut walk = column.walk(b"")?;
    while walk.advance()? {
        let value = String::from_utf8_lossy(walk.key());
        if !visit(walk.ordinal(), &value) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use trail::columns::{EVENT_NAME, SOURCE_IP};

    fn bytes(words: ColumnWords) -> Vec<u8> {
        let mut bytes = Vec::new();
        words.write(&mut bytes).unwrap();
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<WordFile, IndexError> {
        WordFile::open(Path::new("x.words"), OwnedBytes::new(bytes.to_vec()))
    }

    fn value(column: ColumnId, place: u32) -> u32 {
        u32::from(column.0) << PLACE_BITS | place
    }

    proptest! {
        #[test]
        fn what_was_written_is_found(
            places in prop::collection::btree_set(0_u32..300, 0..100),
            far in prop::collection::btree_set(0_u32..1 << PLACE_BITS, 0..20),
        ) {
            let mut words = ColumnWords::default();
            let mut columns = [(EVENT_NAME, places), (SOURCE_IP, far)];
            columns.sort_by_key(|(column, _)| column.0);
            for (column, places) in &columns {
                for place in places {
                    // A value may have a word twice.
                    add(&mut words.words, "word", value(*column, *place));
                    add(&mut words.words, "word", value(*column, *place));
                    add(&mut words.words, &format!("word-{}", place % 7), value(*column, *place));
                }
            }
            let file = opened(&bytes(words)).unwrap();
            let check = |word: &str, is_in: &dyn Fn(u32) -> bool| {
                let expected: Vec<(ColumnId, Vec<u64>)> = columns
                    .iter()
                    .map(|(column, places)| {
                        let places = places.iter().copied().filter(|place| is_in(*place));
                        (*column, places.map(u64::from).collect::<Vec<_>>())
                    })
                    .filter(|(_, places)| !places.is_empty())
                    .collect();
                assert_eq!(file.values_with(word).unwrap(), expected, "{word}");
            };
            check("word", &|_| true);
            check("word-3", &|place| place % 7 == 3);
            check("other", &|_| false);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(found) = by_column(&bytes) {
                prop_assert!(found.iter().all(|(id, _)| id.column().words == Words::Dictionary));
            }
        }
    }

    #[test]
    fn a_file_of_another_length_or_kind_is_refused() {
        let mut words = ColumnWords::default();
        add(&mut words.words, "a", value(EVENT_NAME, 1));
        add(&mut words.words, "b", value(EVENT_NAME, 1));
        let mut bytes = bytes(words);
        let check = |bytes: &[u8], expected: &str| {
            let error = opened(bytes).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&bytes[..10], "not what it states");
        check(&bytes[..bytes.len() - 1], "not what it states");
        check(&[&bytes[..], &[0]].concat(), "not what it states");
        let end = bytes.len() - 1;
        bytes[end] = 0xff;
        let file = opened(&bytes).unwrap();
        let found = [file.values_with("a"), file.values_with("b")];
        assert!(found.iter().any(Result::is_err), "{found:?}");
        bytes[8..16].fill(0xff);
        check(&bytes, "not what it states");
        bytes[0] = b'x';
        check(&bytes, "does not begin as");
    }
}
