//! Reads the dictionaries of columns and of terms, which are sorted tables of `tantivy_sstable`.
//!
//! tantivy makes a context of zstd for every block that it reads, and zstd then asks the processor what
//! it can do (`cpuid`), which a virtual machine traps: that doubled the time of walking a large
//! dictionary. Here each thread has one context. tantivy still finds the block that a value is in.
//!
//! ```text
//! block:  bytes that follow, u32 │ 1 if they are compressed, else 0 │ (infos │ entries), one zstd frame
//! infos:  of terms only: how many │ where postings and positions begin │ of each: documents, bytes of
//!         postings, bytes of positions; all as numbers of seven bits a byte, the last marked
//! entry:  kept of the key before │ how many bytes follow │ the bytes
//!         one byte for both numbers where they are below 16; else a 1, and each as seven bits a byte,
//!         all but the last marked
//! ```
//! Each block begins with a whole key. A block of no bytes ends the table. What does not read as such
//! is an error.

use std::cell::RefCell;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex};

use tantivy::HasLen;
use tantivy::columnar::{Column, Dictionary, StrColumn};
use tantivy::directory::{FileHandle, FileSlice, OwnedBytes};
use tantivy::postings::TermInfo;
use tantivy::termdict::TermDictionary;
use zstd::zstd_safe::{DCtx, get_frame_content_size};

use super::lock;

/// A block holds 4,000 bytes of entries, one key more, and infos, of which an entry has one: far less
/// than this. A damaged block could ask for any amount of memory.
const BLOCK_BYTES_MAX: u64 = 1 << 20;

/// Instead of the two numbers of an entry: they follow, each by itself.
const LONG: u8 = 1;

/// A column of texts: the events' values, as their ordinals in a dictionary.
#[derive(Clone)]
pub struct TextColumn {
    /// Its blocks are [`Blocks`].
    dictionary: Arc<Dictionary>,
    blocks: FileSlice,
    ordinals: Column<u64>,
}

impl From<StrColumn> for TextColumn {
    fn from(column: StrColumn) -> Self {
        let (dictionary, ordinals) = column.into_parts();
        Self::new(dictionary, ordinals)
    }
}

impl TextColumn {
    fn new(mut dictionary: Arc<Dictionary>, ordinals: Column<u64>) -> Self {
        let blocks = dictionary.sstable_slice.clone();
        // One that others have as well stays as it is, and is slower.
        if let Some(own) = Arc::get_mut(&mut dictionary) {
            let last = Mutex::new((0..0, OwnedBytes::empty()));
            own.sstable_slice = FileSlice::new(Arc::new(Blocks { file: blocks.clone(), last }));
        }
        Self { dictionary, blocks, ordinals }
    }

    /// tantivy's dictionary, for look-ups. Look up in ascending order: only the block read last is
    /// kept.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// How many distinct values the column has in this segment.
    pub fn num_terms(&self) -> usize {
        self.dictionary.num_terms()
    }

    /// The ordinal of each document's values in the dictionary.
    pub fn ords(&self) -> &Column<u64> {
        &self.ordinals
    }

    /// Writes the text of an ordinal to `value`. An ordinal that the dictionary does not have is an
    /// error: it came from the column, so one of the two is damaged.
    pub fn ord_to_str(&self, ordinal: u64, value: &mut String) -> io::Result<()> {
        let mut bytes = std::mem::take(value).into_bytes();
        bytes.clear();
        let is_there = self.dictionary.ord_to_term(ordinal, &mut bytes)?;
        if !is_there {
            return Err(broken());
        }
        *value = String::from_utf8(bytes).map_err(|_| broken())?;
        Ok(())
    }

    /// Calls `each` with the text of every one of these ordinals, which ascend. An ordinal that the
    /// dictionary does not have is an error: it came from the column, so one of the two is damaged.
    pub fn each_text(&self, ordinals: &[u64], each: impl FnMut(&[u8])) -> io::Result<()> {
        let are_there = self.dictionary.sorted_ords_to_term_cb(ordinals, each)?;
        if are_there { Ok(()) } else { Err(broken()) }
    }

    /// Walks the values in order, starting at the first that is not before `from`.
    pub fn walk(&self, from: &[u8]) -> io::Result<ValueWalk> {
        let count = self.num_terms() as u64;
        let Some(block) = self.dictionary.sstable_index.get_block_with_key(from) else {
            return Ok(Walk::new(OwnedBytes::empty(), from, count, Some(count)));
        };
        let blocks = self.blocks.slice_from(block.byte_range.start).read_bytes()?;
        Ok(Walk::new(blocks, from, block.first_ordinal, Some(count)))
    }
}

/// Walks the values of a column.
pub(crate) type ValueWalk = Walk<NoInfos>;
/// Walks the terms of a field, with document count and postings of each.
pub type TermWalk = Walk<TermInfos>;

/// Walks a dictionary in order.
pub struct Walk<I> {
    /// The blocks that were not read yet.
    rest: OwnedBytes,
    block: Vec<u8>,
    /// Where in the block the next entry is.
    at: usize,
    infos: I,
    /// The entries of the block that were read.
    of_block: usize,
    key: Vec<u8>,
    /// Keys before this one are passed over.
    from: Vec<u8>,
    next_ordinal: u64,
    /// How many keys the dictionary has, where ordinals are known.
    count: Option<u64>,
}

impl ValueWalk {
    /// The ordinal of the current value.
    pub fn ordinal(&self) -> u64 {
        self.next_ordinal - 1
    }
}

impl TermWalk {
    /// Walks a field's terms in order, starting at the first that is not before `from`.
    pub fn of_terms(terms: &TermDictionary, from: &[u8]) -> io::Result<Self> {
        let range = (Bound::Included(from), Bound::Unbounded);
        Ok(Self::new(terms.file_slice_for_range(range, None).read_bytes()?, from, 0, None))
    }

    /// Where tantivy finds the postings of the current term.
    pub fn info(&self) -> &TermInfo {
        &self.infos.0[self.of_block - 1]
    }
}

impl<I: Infos> Walk<I> {
    fn new(blocks: OwnedBytes, from: &[u8], next_ordinal: u64, count: Option<u64>) -> Self {
        Self {
            rest: blocks,
            block: Vec::new(),
            at: 0,
            infos: I::default(),
            of_block: 0,
            key: Vec::new(),
            from: from.to_vec(),
            next_ordinal,
            count,
        }
    }

    /// Goes to the next key; false where there is none.
    pub fn advance(&mut self) -> io::Result<bool> {
        while self.at < self.block.len() || self.next_block()? {
            self.next_entry().ok_or_else(broken)?;
            // Once reached, it is not compared with any more: that would double the time of a walk.
            if self.from.is_empty() || self.key >= self.from {
                self.from.clear();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The current key's bytes; empty before the first [`Walk::advance`].
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    fn next_block(&mut self) -> io::Result<bool> {
        let Some(block) = Block::first_of(&self.rest)? else {
            // A page that was cut off reads as zeros, which end the table too.
            let is_whole = self.count.is_none_or(|count| count == self.next_ordinal);
            return if is_whole && is_end(&self.rest) { Ok(false) } else { Err(broken()) };
        };
        self.block.clear();
        block.append_to(&mut self.block)?;
        let end = block.end;
        self.rest.advance(end);
        self.at = self.infos.read(&self.block).ok_or_else(broken)?;
        self.of_block = 0;
        self.key.clear();
        Ok(true)
    }

    fn next_entry(&mut self) -> Option<()> {
        let entry = Entry::at(&self.block, self.at)?;
        let bytes = &self.block[entry.bytes.clone()];
        let is_first = self.of_block == 0;
        let is_after = is_first || bytes.first() > self.key.get(entry.kept);
        if entry.kept > self.key.len() || !is_after || !self.infos.has(self.of_block) {
            return None;
        }
        self.key.truncate(entry.kept);
        self.key.extend_from_slice(bytes);
        self.at = entry.bytes.end;
        self.of_block += 1;
        self.next_ordinal += 1;
        Some(())
    }
}

/// The blocks of a column's dictionary, of which tantivy reads one at a time to look something up, and
/// gets it decompressed.
#[derive(Debug)]
struct Blocks {
    file: FileSlice,
    /// Where it is in the file, and what it is decompressed.
    last: Mutex<(Range<usize>, OwnedBytes)>,
}

impl HasLen for Blocks {
    fn len(&self) -> usize {
        self.file.len()
    }
}

impl FileHandle for Blocks {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let mut last = lock(&self.last);
        if last.0 != range {
            *last = (range.clone(), decompressed(&self.file.read_bytes_slice(range)?)?);
        }
        Ok(last.1.clone())
    }
}

/// The same blocks, not compressed, and whole: tantivy's functions panic at what is not.
fn decompressed(mut blocks: &[u8]) -> io::Result<OwnedBytes> {
    let mut out = Vec::new();
    while let Some(block) = Block::first_of(blocks)? {
        let head = out.len();
        out.extend_from_slice(&[0; 5]);
        block.append_to(&mut out)?;
        check(&out[head + 5..]).ok_or_else(broken)?;
        let length = (out.len() - head - 4) as u32;
        out[head..head + 4].copy_from_slice(&length.to_le_bytes());
        blocks = &blocks[block.end..];
    }
    // A page that was cut off reads as zeros, which end the blocks too.
    if is_end(blocks) { Ok(OwnedBytes::new(out)) } else { Err(broken()) }
}

/// Whether this is what is behind the last block: a length of zero, or nothing where a block was asked for.
fn is_end(blocks: &[u8]) -> bool {
    blocks.is_empty() || blocks == [0; 4]
}

/// Whether these are entries, and nothing else.
fn check(entries: &[u8]) -> Option<()> {
    let (mut at, mut key_bytes) = (0, 0);
    while at < entries.len() {
        let entry = Entry::at(entries, at)?;
        if entry.kept > key_bytes {
            return None;
        }
        key_bytes = entry.kept + entry.bytes.len();
        at = entry.bytes.end;
    }
    Some(())
}

/// A block, as it is in the file.
struct Block<'b> {
    is_compressed: bool,
    bytes: &'b [u8],
    /// Where the next block begins.
    end: usize,
}

impl<'b> Block<'b> {
    /// None where there are no more.
    fn first_of(blocks: &'b [u8]) -> io::Result<Option<Self>> {
        let Some((length, rest)) = blocks.split_first_chunk() else {
            return if blocks.is_empty() { Ok(None) } else { Err(broken()) };
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length <= 1 {
            return Ok(None);
        }
        let bytes = rest.get(..length).ok_or_else(broken)?;
        let block = Self { is_compressed: bytes[0] == 1, bytes: &bytes[1..], end: 4 + length };
        Ok(Some(block))
    }

    /// Appends what the block holds.
    fn append_to(&self, out: &mut Vec<u8>) -> io::Result<()> {
        thread_local! {
            static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
        }
        if !self.is_compressed {
            out.extend_from_slice(self.bytes);
            return Ok(());
        }
        let stated = get_frame_content_size(self.bytes).ok().flatten();
        let length = stated.filter(|length| *length <= BLOCK_BYTES_MAX).ok_or_else(broken)?;
        let start = out.len();
        out.resize(start + length as usize, 0);
        let result =
            CONTEXT.with_borrow_mut(|context| context.decompress(&mut out[start..], self.bytes));
        out.truncate(start + result.map_err(|_| broken())?);
        Ok(())
    }
}

/// What tells a key from the one before it.
struct Entry {
    /// Bytes that they share.
    kept: usize,
    /// Where the others are in the block.
    bytes: Range<usize>,
}

impl Entry {
    fn at(block: &[u8], at: usize) -> Option<Self> {
        let (first, mut rest) = block.get(at..)?.split_first()?;
        let (kept, more) = match *first {
            LONG => {
                let mut number =
                    || usize::try_from(take_number(&mut rest, |byte| byte < 0x80)?).ok();
                (number()?, number()?)
            }
            both => (usize::from(both & 0xf), usize::from(both >> 4)),
        };
        if more > rest.len() {
            return None;
        }
        let start = block.len() - rest.len();
        Some(Self { kept, bytes: start..start + more })
    }
}

/// The part of a block beside its keys.
pub trait Infos: Default {
    /// Reads the part from the beginning of a block; returns its length in bytes, or None where it
    /// is damaged.
    fn read(&mut self, block: &[u8]) -> Option<usize>;

    /// Whether the part covers the block's key of this number, counted from 0.
    fn has(&self, key: usize) -> bool;
}

/// A column's values have none.
#[derive(Default)]
pub struct NoInfos;

impl Infos for NoInfos {
    fn read(&mut self, _: &[u8]) -> Option<usize> {
        Some(0)
    }

    fn has(&self, _: usize) -> bool {
        true
    }
}

/// Where the postings of a block's terms are.
#[derive(Default)]
pub struct TermInfos(Vec<TermInfo>);

impl Infos for TermInfos {
    fn read(&mut self, block: &[u8]) -> Option<usize> {
        self.0.clear();
        let mut rest = block;
        let mut number = || take_number(&mut rest, |byte| byte >= 0x80);
        let (count, mut postings, mut positions) = (number()?, number()?, number()?);
        for _ in 0..count {
            let doc_freq = u32::try_from(number()?).ok()?;
            let postings_range = following(&mut postings, number()?)?;
            let positions_range = following(&mut positions, number()?)?;
            self.0.push(TermInfo { doc_freq, postings_range, positions_range });
        }
        Some(block.len() - rest.len())
    }

    fn has(&self, key: usize) -> bool {
        key < self.0.len()
    }
}

/// The range that begins at `start` and has so many bytes; `start` becomes its end.
fn following(start: &mut u64, bytes: u64) -> Option<Range<usize>> {
    let end = start.checked_add(bytes)?;
    let range = usize::try_from(*start).ok()?..usize::try_from(end).ok()?;
    *start = end;
    Some(range)
}

/// Reads a number of seven bits a byte, the lowest first; None where there is none.
fn take_number(bytes: &mut &[u8], is_last: fn(u8) -> bool) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if is_last(*byte) {
            return Some(number);
        }
    }
    None
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block of a dictionary is broken")
}

#[cfg(test)]
mod tests;
