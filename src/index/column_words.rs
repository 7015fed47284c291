//! The words of the columns' values, for searches that name no field.
//!
//! A column's values are few and repeat in every event, so their words are not indexed with each event
//! but gathered from the column's dictionary once a segment: from a word to the values that contain
//! it, and from these to their events. That halves the cost of indexing (`design.md`, "lean").
//!
//! In memory: 8 bytes a distinct word and 4 bytes for each value that has it.

use xxhash_rust::xxh3::xxh3_64;

use super::IndexError;
use super::snapshot::SegmentView;
use crate::event::columns::{ColumnId, Words};
use crate::event::words::each_word;

/// Bits of a value's ordinal; the rest number its column.
const ORDINAL_BITS: u32 = 27;

/// Which values of a segment's columns contain a word. Words are kept as 64-bit hashes.
#[derive(Debug, Default)]
pub struct ColumnWords {
    hashes: Vec<u64>,
    /// Where each word's values begin in `values`, and where the last one's end.
    starts: Vec<u32>,
    /// Column and ordinal of a value.
    values: Vec<u32>,
}

impl ColumnWords {
    pub fn gather(segment: &SegmentView) -> Result<Self, IndexError> {
        let mut pairs: Vec<(u64, u32)> = Vec::new();
        for id in ColumnId::all().filter(|id| id.column().words == Words::Dictionary) {
            gather_column(segment, id, &mut pairs)?;
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut words = Self::default();
        for (hash, value) in pairs {
            if words.hashes.last() != Some(&hash) {
                words.hashes.push(hash);
                words.starts.push(words.values.len() as u32);
            }
            words.values.push(value);
        }
        words.starts.push(words.values.len() as u32);
        Ok(words)
    }

    /// The ordinals of the values that contain `word`, a column at a time. The word is in lower case.
    pub fn values_with(&self, word: &str) -> Vec<(ColumnId, Vec<u64>)> {
        let Ok(at) = self.hashes.binary_search(&xxh3_64(word.as_bytes())) else {
            return Vec::new();
        };
        let values = &self.values[self.starts[at] as usize..self.starts[at + 1] as usize];
        values
            .chunk_by(|a, b| a >> ORDINAL_BITS == b >> ORDINAL_BITS)
            .map(|chunk| {
                let id = ColumnId((chunk[0] >> ORDINAL_BITS) as u8);
                let mask = (1 << ORDINAL_BITS) - 1;
                (id, chunk.iter().map(|value| u64::from(value & mask)).collect())
            })
            .collect()
    }
}

fn gather_column(
    segment: &SegmentView,
    id: ColumnId,
    pairs: &mut Vec<(u64, u32)>,
) -> Result<(), IndexError> {
    let Some(column) = segment.text_column(id)? else { return Ok(()) };
    let mut buffer = String::new();
    each_value(&column, |ordinal, value| {
        // A segment has fewer values than events, and fewer events than 27 bits count.
        let place = (u32::from(id.0) << ORDINAL_BITS) | ordinal as u32;
        each_word(value, &mut buffer, |word| pairs.push((xxh3_64(word.as_bytes()), place)));
        true
    })
}

/// Calls `visit` with each distinct value of a column and its ordinal, in order, until it answers
/// false.
pub fn each_value(
    column: &tantivy::columnar::StrColumn,
    mut visit: impl FnMut(u64, &str) -> bool,
) -> Result<(), IndexError> {
    let mut stream = column.dictionary().stream()?;
    while stream.advance() {
        let value = String::from_utf8_lossy(stream.key());
        if !visit(stream.term_ord(), &value) {
            break;
        }
    }
    Ok(())
}
