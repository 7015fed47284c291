//! The records of a segment's events as delivered, in compressed blocks. A block holds the records
//! of consecutive documents.
//!
//! ```text
//! magic │ blocks │ dictionaries │ length of each dictionary │ where each block is │ counts
//! a block: number of records │ length of each │ the records      compressed as one zstd frame
//! ```
//! Records of one archive are much alike, but a block is too small for zstd to learn that from. So
//! there is a dictionary, trained on records of the archive ([`Dictionaries`]), which every block of a
//! segment begins with in mind: blocks of 32 KiB with it are as small as blocks of 128 KiB without, of
//! which four times as much is decompressed for a record. A segment carries the dictionaries that it needs.
//! Frames have checksums: what is read is what was written, or an error.
//!
//! tantivy's own store is left empty. It cannot use dictionaries, and writes the records twice when a
//! segment is sorted.

use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tantivy::DocId;
use tantivy::directory::OwnedBytes;
use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;
use zstd::zstd_safe::{CParameter, DCtx, DDict};

use super::{IndexError, open_existing, partition_point, u64_at};
use crate::cache::InMemory;
use crate::disk::ReadAt;

/// Bytes of records that are compressed together. Larger blocks are smaller on disk, and cost more to
/// fetch one record from.
const BLOCK_BYTES: usize = 32 << 10;

/// Level 3, zstd's default, takes twice the time and 5 % less space.
const LEVEL: i32 = 1;

/// Larger ones hardly help, and each segment of its own would be larger by it.
const DICTIONARY_BYTES: usize = 200 << 10;

/// What a dictionary is trained on: records evenly spread over a segment.
const SAMPLE_RECORDS: usize = 2_000;
const SAMPLE_BYTES: usize = 4 << 20;

/// Segments with fewer bytes of records would grow by a dictionary. They are merged soon.
const DICTIONARY_FROM_BYTES: usize = 8 << 20;

/// Events after which a dictionary is trained anew: the archive may have become another.
const RETRAIN_EVENTS: usize = 1_000_000;

/// Of records in memory.
const CHUNK_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"tdxrec1\n";
/// Number of blocks and of dictionaries.
const COUNTS_BYTES: usize = 16;
/// First document, decompressed length, dictionary, where it starts.
const PLACE_BYTES: usize = 20;
const NO_DICTIONARY: u32 = u32::MAX;

/// A dictionary, to compress with.
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    prepared: EncoderDictionary<'static>,
}

impl Dictionary {
    /// None where zstd finds nothing in common.
    fn train(source: &mut impl RecordSource) -> Result<Option<Self>, IndexError> {
        let every = source.records().div_ceil(SAMPLE_RECORDS).max(1);
        let (mut sample, mut lengths) = (Vec::new(), Vec::new());
        for n in (0..source.records()).step_by(every) {
            let start = sample.len();
            source.append(n, &mut sample)?;
            if sample.len() <= SAMPLE_BYTES {
                lengths.push(sample.len() - start);
            } else {
                sample.truncate(start);
            }
        }
        let trained = zstd::dict::from_continuous(&sample, &lengths, DICTIONARY_BYTES);
        Ok(trained.ok().map(|bytes| {
            let prepared = EncoderDictionary::copy(&bytes, LEVEL);
            Self { bytes, prepared }
        }))
    }
}

/// The compression dictionary for new segments. The first segment that is large enough trains it,
/// and it is trained again from time to time.
#[derive(Default)]
pub struct Dictionaries(Mutex<Current>);

#[derive(Default)]
struct Current {
    dictionary: Option<Arc<Dictionary>>,
    /// Events since it was trained.
    events: usize,
}

impl Dictionaries {
    fn of(&self, source: &mut impl RecordSource) -> Result<Option<Arc<Dictionary>>, IndexError> {
        if source.bytes() < DICTIONARY_FROM_BYTES {
            return Ok(None);
        }
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.dictionary.is_none() || current.events >= RETRAIN_EVENTS {
            let dictionary = Dictionary::train(source)?.map(Arc::new);
            *current = Current { dictionary, events: 0 };
        }
        current.events += source.records();
        Ok(current.dictionary.clone())
    }
}

/// Records in the order of their documents.
pub(crate) trait RecordSource {
    fn records(&self) -> usize;
    /// Of all records, about.
    fn bytes(&self) -> usize;
    fn append(&mut self, n: usize, to: &mut Vec<u8>) -> Result<(), IndexError>;
}

/// Records in memory, as they came. In chunks: one that grows would be copied again and again, and take
/// twice the space.
#[derive(Default)]
pub(crate) struct Arena {
    chunks: Vec<Vec<u8>>,
    /// Chunk, start and end of each.
    places: Vec<(u32, Range<u32>)>,
    bytes: usize,
}

impl Arena {
    pub(crate) fn push(&mut self, record: &[u8]) {
        let has_room = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= record.len();
        if !self.chunks.last().is_some_and(has_room) {
            self.chunks.push(Vec::with_capacity(CHUNK_BYTES.max(record.len())));
        }
        let n = self.chunks.len() - 1;
        let chunk = &mut self.chunks[n];
        let start = chunk.len() as u32;
        chunk.extend_from_slice(record);
        self.places.push((n as u32, start..chunk.len() as u32));
        self.bytes += record.len();
    }

    fn get(&self, n: usize) -> &[u8] {
        let (chunk, place) = &self.places[n];
        &self.chunks[*chunk as usize][place.start as usize..place.end as usize]
    }

    /// Bytes of memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks + self.places.capacity() * size_of::<(u32, Range<u32>)>()
    }
}

/// Records in memory, in the order of documents: `order` has the number of each document's.
pub(crate) struct Ordered<'a> {
    pub(crate) records: &'a Arena,
    pub(crate) order: &'a [DocId],
}

impl RecordSource for Ordered<'_> {
    fn records(&self) -> usize {
        self.order.len()
    }

    fn bytes(&self) -> usize {
        self.records.bytes
    }

    fn append(&mut self, n: usize, to: &mut Vec<u8>) -> Result<(), IndexError> {
        to.extend_from_slice(self.records.get(self.order[n] as usize));
        Ok(())
    }
}

/// Records of other segments, in another order: which part's, and which of its documents'.
pub(crate) struct Shuffled<'a, F> {
    parts: &'a [Records],
    records: usize,
    order: F,
    /// Of each part, the block that was read last: its documents follow each other here as well.
    blocks: Vec<Option<Block>>,
}

impl<'a, F: Fn(usize) -> (usize, DocId)> Shuffled<'a, F> {
    pub(crate) fn new(parts: &'a [Records], records: usize, order: F) -> Self {
        Self { parts, records, order, blocks: parts.iter().map(|_| None).collect() }
    }
}

impl<F: Fn(usize) -> (usize, DocId)> RecordSource for Shuffled<'_, F> {
    fn records(&self) -> usize {
        self.records
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(Records::bytes).sum()
    }

    fn append(&mut self, n: usize, to: &mut Vec<u8>) -> Result<(), IndexError> {
        let (part, doc) = (self.order)(n);
        let (records, last) = (&self.parts[part], &mut self.blocks[part]);
        let mut found = last.as_ref().and_then(|block| block.record(doc));
        if found.is_none() {
            found = last.insert(records.block(records.block_of(doc))?).record(doc);
        }
        to.extend_from_slice(&found.ok_or_else(|| records.broken("it lacks a document"))?);
        Ok(())
    }
}

/// Writes the records of a segment.
pub(crate) fn write(
    mut source: impl RecordSource,
    dictionaries: &Dictionaries,
    out: &mut impl Write,
) -> Result<(), IndexError> {
    let dictionary = dictionaries.of(&mut source)?;
    let mut blocks = Blocks::begin(out)?;
    let number = match &dictionary {
        Some(dictionary) => blocks.dictionary(&dictionary.bytes),
        None => NO_DICTIONARY,
    };
    let mut compressor = match &dictionary {
        Some(dictionary) => Compressor::with_prepared_dictionary(&dictionary.prepared)?,
        None => Compressor::new(LEVEL)?,
    };
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    // A segment's file says which it is.
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    let (mut lengths, mut body) = (Vec::new(), Vec::new());
    let (mut block, mut compressed) = (Vec::new(), Vec::new());
    for n in 0..source.records() {
        let before = body.len();
        source.append(n, &mut body)?;
        lengths.push(body.len() - before);
        if body.len() < BLOCK_BYTES && n + 1 < source.records() {
            continue;
        }
        block.clear();
        put_number(&mut block, lengths.len());
        for length in &lengths {
            put_number(&mut block, *length);
        }
        block.append(&mut body);
        compressed.clear();
        compressed.reserve(zstd::zstd_safe::compress_bound(block.len()));
        compressor.compress_to_buffer(&block, &mut compressed)?;
        let place = RecordPlace {
            first: (n + 1 - lengths.len()) as DocId,
            length: u32::try_from(block.len()).map_err(io::Error::other)?,
            dictionary: number,
            start: blocks.position,
        };
        blocks.block(place, &compressed)?;
        lengths.clear();
    }
    Ok(blocks.end()?)
}

/// Writes the records of several segments one behind another: their blocks as they are. `events` says
/// how many each has.
pub(crate) fn concatenate(
    parts: &[Records],
    events: &[u32],
    out: &mut impl Write,
) -> Result<(), IndexError> {
    let mut blocks = Blocks::begin(out)?;
    let mut docs = 0;
    for (records, events) in parts.iter().zip(events) {
        let numbers: Vec<u32> = records
            .dictionaries
            .iter()
            .map(|dictionary| blocks.dictionary(&dictionary.bytes))
            .collect();
        let shift = blocks.position - MAGIC.len() as u64;
        blocks.places.extend((0..records.blocks).map(|n| {
            let place = records.place(n);
            RecordPlace {
                first: docs + place.first,
                dictionary: numbers
                    .get(place.dictionary as usize)
                    .copied()
                    .unwrap_or(NO_DICTIONARY),
                start: place.start + shift,
                ..place
            }
        }));
        // Read, and not from the mapping: its pages would count as the process's own.
        let file = open_existing(&records.path)?;
        let mut all = ReadAt { file: &file, at: MAGIC.len() as u64, end: records.blocks_end };
        blocks.position += io::copy(&mut all, &mut blocks.out)?;
        // It was checked, but may have been cut short since.
        if blocks.position != records.blocks_end + shift {
            return Err(records.broken("it ends too early"));
        }
        docs += events;
    }
    Ok(blocks.end()?)
}

/// Where a block is, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordPlace {
    first: DocId,
    /// Decompressed.
    length: u32,
    dictionary: u32,
    start: u64,
}

/// A file of records being written.
struct Blocks<'o, W> {
    out: &'o mut W,
    position: u64,
    places: Vec<RecordPlace>,
    dictionaries: Vec<Vec<u8>>,
}

impl<'o, W: Write> Blocks<'o, W> {
    fn begin(out: &'o mut W) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        let position = MAGIC.len() as u64;
        Ok(Self { out, position, places: Vec::new(), dictionaries: Vec::new() })
    }

    /// The number of a dictionary, which is written once.
    fn dictionary(&mut self, bytes: &[u8]) -> u32 {
        let known = self.dictionaries.iter().position(|known| known == bytes);
        known.unwrap_or_else(|| {
            self.dictionaries.push(bytes.to_vec());
            self.dictionaries.len() - 1
        }) as u32
    }

    fn block(&mut self, place: RecordPlace, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        self.places.push(place);
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        let Self { out, places, dictionaries, .. } = self;
        for dictionary in &dictionaries {
            out.write_all(dictionary)?;
        }
        for dictionary in &dictionaries {
            out.write_all(&(dictionary.len() as u64).to_le_bytes())?;
        }
        for RecordPlace { first, length, dictionary, start } in &places {
            out.write_all(&first.to_le_bytes())?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(&dictionary.to_le_bytes())?;
            out.write_all(&start.to_le_bytes())?;
        }
        for count in [places.len(), dictionaries.len()] {
            out.write_all(&(count as u64).to_le_bytes())?;
        }
        Ok(())
    }
}

/// A dictionary, to decompress with: made ready when the first block needs it.
struct Known {
    bytes: OwnedBytes,
    prepared: OnceLock<DDict<'static>>,
}

/// An open file of records.
pub struct Records {
    path: PathBuf,
    file: OwnedBytes,
    blocks: usize,
    /// Where the blocks end, and the dictionaries begin.
    blocks_end: u64,
    places: Range<usize>,
    dictionaries: Vec<Known>,
}

impl Records {
    /// Opens a mapped file.
    pub(crate) fn open(path: &Path, file: OwnedBytes) -> Result<Self, IndexError> {
        let broken = || IndexError::damaged(path, "it is not what it states");
        if !file.starts_with(&MAGIC) {
            return Err(IndexError::damaged(path, "it does not begin as a file of records does"));
        }
        let end = file.len().checked_sub(COUNTS_BYTES).ok_or_else(broken)?;
        let count = |at| usize::try_from(u64_at(&file, at)).map_err(|_| broken());
        let (blocks, dictionaries) = (count(end)?, count(end + 8)?);
        let places = blocks.checked_mul(PLACE_BYTES).and_then(|bytes| end.checked_sub(bytes));
        let places = places.ok_or_else(broken)?..end;
        let lengths = dictionaries.checked_mul(8);
        let lengths =
            lengths.and_then(|bytes| places.start.checked_sub(bytes)).ok_or_else(broken)?;
        let mut known = Vec::new();
        let mut dictionary_end = lengths;
        for n in (0..dictionaries).rev() {
            let length = usize::try_from(u64_at(&file, lengths + 8 * n)).map_err(|_| broken())?;
            let start = dictionary_end.checked_sub(length).ok_or_else(broken)?;
            let bytes = file.slice(start..dictionary_end);
            known.push(Known { bytes, prepared: OnceLock::new() });
            dictionary_end = start;
        }
        known.reverse();
        let path = path.to_owned();
        let blocks_end = dictionary_end as u64;
        Ok(Self { path, file, blocks, blocks_end, places, dictionaries: known })
    }

    /// The file of the records.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of the block that holds a document's record.
    pub fn block_of(&self, doc: DocId) -> usize {
        partition_point(0..self.blocks, |n| self.place(n).first <= doc).saturating_sub(1)
    }

    /// Reads and decompresses a block; an error where its checksum does not match.
    pub fn block(&self, n: usize) -> Result<Block, IndexError> {
        thread_local! {
            static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
        }
        if n >= self.blocks {
            return Err(self.broken("it has no such document"));
        }
        let (place, compressed) = self.block_bytes(n);
        // The frame says so too; one of the two could be damaged, and ask for any amount of memory.
        let stated = zstd::zstd_safe::get_frame_content_size(&compressed).ok().flatten();
        if stated != Some(u64::from(place.length)) {
            return Err(self.broken(&format!("block {n} is not as long as it should be")));
        }
        let mut bytes = Vec::with_capacity(place.length as usize);
        CONTEXT.with_borrow_mut(|context| {
            let decompressed = match self.dictionaries.get(place.dictionary as usize) {
                Some(known) => {
                    let prepare = || DDict::create(&known.bytes);
                    let dictionary = known.prepared.get_or_init(prepare);
                    context.decompress_using_ddict(&mut bytes, &compressed, dictionary)
                }
                None => context.decompress(&mut bytes, &compressed),
            };
            let name = zstd::zstd_safe::get_error_name;
            decompressed.map_err(|code| self.broken(&format!("block {n}: {}", name(code))))
        })?;
        Block::of(place.first, bytes).ok_or_else(|| self.broken(&format!("block {n} is broken")))
    }

    /// Of all records, decompressed.
    fn bytes(&self) -> usize {
        (0..self.blocks).map(|n| self.place(n).length as usize).sum()
    }

    fn broken(&self, reason: &str) -> IndexError {
        IndexError::damaged(&self.path, reason)
    }

    fn place(&self, n: usize) -> RecordPlace {
        let at = self.places.start + n * PLACE_BYTES;
        RecordPlace {
            first: u32_at(&self.file, at),
            length: u32_at(&self.file, at + 4),
            dictionary: u32_at(&self.file, at + 8),
            start: u64_at(&self.file, at + 12),
        }
    }

    /// Where a block is, and its bytes, compressed; none of them where the file is damaged.
    fn block_bytes(&self, n: usize) -> (RecordPlace, OwnedBytes) {
        let place = self.place(n);
        let end = if n + 1 < self.blocks { self.place(n + 1).start } else { self.blocks_end };
        let range = place.start.min(end) as usize..end.min(self.blocks_end) as usize;
        let range = range.start.min(range.end)..range.end;
        (place, self.file.slice(range))
    }
}

/// A decompressed block.
pub struct Block {
    first: DocId,
    bytes: OwnedBytes,
    /// Where the records start, and where the last ends.
    starts: Vec<u32>,
}

impl Block {
    fn of(first: DocId, bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let count = take_number(&mut rest)?;
        let mut starts = Vec::with_capacity(count.min(rest.len()) + 1);
        let mut length = 0_usize;
        starts.push(0);
        for _ in 0..count {
            length = length.checked_add(take_number(&mut rest)?)?;
            starts.push(u32::try_from(length).ok()?);
        }
        let head = bytes.len() - rest.len();
        (rest.len() == length).then(|| Self {
            first,
            bytes: OwnedBytes::new(bytes).slice(head..head + length),
            starts,
        })
    }

    /// Returns a document's record; None where it is in another block.
    pub fn record(&self, doc: DocId) -> Option<OwnedBytes> {
        let n = doc.checked_sub(self.first)? as usize;
        let range = *self.starts.get(n)? as usize..*self.starts.get(n + 1)? as usize;
        Some(self.bytes.slice(range))
    }
}

impl InMemory for Block {
    fn memory(&self) -> usize {
        self.bytes.len() + self.starts.len() * size_of::<u32>() + size_of::<Self>()
    }
}

/// Appends a number, seven bits a byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were taken"))
}

#[cfg(test)]
pub(super) mod tests;
