//! The sorted keys of a segment's events, in a file of their own. Ingest recognises an event that
//! is delivered again by its key, in whatever file it comes and however often segments were merged.
//!
//! ```text
//! magic            8 bytes
//! events           8    how many keys follow
//! conflicts        8    how many ids follow at the end
//! keys            24 each   id, content (16 bytes): sorted
//! fences           8 each   the first id of each page of 128 keys
//! filter          32 each   a split block Bloom filter of the ids
//! conflicts        8 each   ids that events of different content share: sorted
//! ```
//!
//! Numbers are little-endian. What follows the keys is kept in memory: little more than 1.5 bytes an
//! event. A merge makes one more filter meanwhile, of at most 15 MB. The keys stay on disk. Most events
//! are new, and the filter tells so. For one that may not be, a page of keys is read; for an id of many
//! contents, the first keys of some more pages.
//!
//! The magic also tells which version wrote the segment. Version 5 wrote the same file under another
//! magic; its events lack columns that are derived. Version 4 wrote keys of 16 bytes under a third, whose
//! contents were hashes that could be forged; of such a file nothing but its conflicts is used. The
//! segments of both are made anew of their records.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::iter;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{IndexError, open_existing, partition_point, u64_at};
use crate::disk::ReadAt;
use trail::content::{ContentHash, EventKey};

const MAGIC: [u8; 8] = *b"tdxkeys3";
const HEADER_BYTES: u64 = 24;
const KEY_BYTES: usize = 24;

const MAGIC_OF_5: [u8; 8] = *b"tdxkeys2";
const MAGIC_OF_4: [u8; 8] = *b"tdxkeys1";
const KEY_BYTES_OF_4: usize = 16;

/// Keys read at a time: enough for few fences, few enough to copy.
const PAGE_KEYS: usize = 128;
const PAGE_BYTES: usize = PAGE_KEYS * KEY_BYTES;

/// Bytes of keys read at a time for a merge.
const MERGE_READ_BYTES: usize = 64 << 10;

/// Of new ids, the filter takes one in 200 for a known one, which costs a look at a page. With 8 bits it
/// takes one in 40, and a claim three times as long (`cargo bench --bench dedupe`).
const FILTER_BITS_PER_KEY: usize = 12;

/// A block of the filter is eight words of 32 bits, in each of which an id sets one bit: one cache
/// line is touched, whatever the filter's size. As in Parquet, whose salts these are.
type Block = [u32; 8];
const SALTS: Block = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The open file of one segment's keys. Clones share it.
#[derive(Clone)]
pub struct KeySet(Arc<Inner>);

struct Inner {
    path: Box<Path>,
    file: File,
    events: usize,
    fences: Vec<u64>,
    filter: Vec<Block>,
    conflicts: Vec<u64>,
    is_outdated: bool,
    /// Whether an event can be looked for.
    has_contents: bool,
    is_damaged: AtomicBool,
}

/// What a set knows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No event has its id.
    Nothing,
    /// Its id, with other contents.
    Id,
    /// The event itself.
    Event,
}

impl KeySet {
    /// Opens a file of keys and reads all of it but the keys into memory; [`IndexError::Damaged`]
    /// where header and length disagree.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let file = open_existing(path)?;
        let found = file.metadata().map_err(IndexError::io(path))?.len();
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0).map_err(IndexError::read(path))?;
        let (has_contents, is_outdated) = match header.first_chunk() {
            Some(&MAGIC) => (true, false),
            Some(&MAGIC_OF_5) => (true, true),
            Some(&MAGIC_OF_4) => (false, true),
            _ => return Err(IndexError::damaged(path, "it does not begin as a file of keys")),
        };
        let key_bytes = if has_contents { KEY_BYTES } else { KEY_BYTES_OF_4 };
        let [events, conflicts] = [8, 16].map(|at| u64_at(&header, at));
        let layout = Layout::of(events, conflicts, key_bytes);
        let Some(layout) = layout.filter(|layout| layout.end == found) else {
            let reason = format!("{found} bytes long, which is not what it states");
            return Err(IndexError::damaged(path, reason));
        };
        let mut kept = vec![0; (found - layout.fences) as usize];
        file.read_exact_at(&mut kept, layout.fences).map_err(IndexError::read(path))?;
        let (fences, rest) = kept.split_at((layout.filter - layout.fences) as usize);
        let (filter, conflicts) = rest.split_at((layout.conflicts - layout.filter) as usize);
        Ok(Self(Arc::new(Inner {
            path: path.into(),
            file,
            events: events as usize,
            fences: numbers(fences),
            filter: filter.chunks_exact(size_of::<Block>()).map(block_at).collect(),
            conflicts: numbers(conflicts),
            is_outdated,
            has_contents,
            is_damaged: AtomicBool::new(false),
        })))
    }

    /// Makes every later look-up fail.
    pub(crate) fn mark_damaged(&self) {
        self.0.is_damaged.store(true, Ordering::Release);
    }

    /// How many keys the file holds, one for each event of the segment.
    pub fn events(&self) -> usize {
        self.0.events
    }

    /// Bytes of memory that fences, filter and conflicts take.
    pub fn memory(&self) -> usize {
        let Inner { fences, filter, conflicts, .. } = &*self.0;
        size_of_val(&fences[..]) + size_of_val(&filter[..]) + size_of_val(&conflicts[..])
    }

    /// Whether an earlier version wrote the segment, which is to be made anew.
    pub fn is_outdated(&self) -> bool {
        self.0.is_outdated
    }

    /// Looks for an event.
    pub fn find(&self, key: &EventKey) -> Result<Known, IndexError> {
        let Inner { path, events, fences, has_contents, is_damaged, .. } = &*self.0;
        if is_damaged.load(Ordering::Acquire) {
            return Err(IndexError::damaged(path, "whether an event is new cannot be told"));
        }
        if !self.may_have(key.id) {
            return Ok(Known::Nothing);
        }
        if !has_contents {
            let reason = "whether an event is new cannot be told by the keys of an earlier version";
            return Err(IndexError::damaged(path, reason));
        }
        // Many pages can begin with the id. The event is on the last page that does not begin behind it.
        let mut low = fences.partition_point(|first| *first < key.id);
        let mut high = fences.partition_point(|first| *first <= key.id);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut first = [0; KEY_BYTES];
            self.read_page(middle, &mut first)?;
            if key_at(&first) <= *key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let page = low.saturating_sub(1);
        let count = PAGE_KEYS.min(events - page * PAGE_KEYS);
        let mut buffer = [0; PAGE_BYTES];
        let bytes = &mut buffer[..count * KEY_BYTES];
        self.read_page(page, bytes)?;
        let nth = |n: usize| key_at(&bytes[n * KEY_BYTES..]);
        let place = partition_point(0..count, |n| nth(n) < *key);
        let next = if place < count { Some(nth(place)) } else { None };
        if next == Some(*key) {
            return Ok(Known::Event);
        }
        let next_id = next.map_or_else(|| fences.get(page + 1).copied(), |next| Some(next.id));
        let has_id = next_id == Some(key.id) || place > 0 && nth(place - 1).id == key.id;
        Ok(if has_id { Known::Id } else { Known::Nothing })
    }

    /// Counts the events with an id. `more` is called before each page of keys but the first.
    pub fn count(
        &self,
        id: u64,
        more: &mut dyn FnMut() -> Result<(), IndexError>,
    ) -> Result<usize, IndexError> {
        let Inner { path, events, fences, has_contents, is_damaged, .. } = &*self.0;
        if is_damaged.load(Ordering::Acquire) || !has_contents {
            return Err(IndexError::damaged(path, "how many events have an id cannot be told"));
        }
        // The one before the first page that begins with the id may end with it.
        let first = fences.partition_point(|first| *first < id).saturating_sub(1);
        let last = fences.partition_point(|first| *first <= id);
        let mut count = 0;
        for page in first..last {
            if page > first {
                more()?;
            }
            let mut buffer = [0; PAGE_BYTES];
            let keys = PAGE_KEYS.min(events - page * PAGE_KEYS);
            let bytes = &mut buffer[..keys * KEY_BYTES];
            self.read_page(page, bytes)?;
            let begins = |behind: bool| {
                partition_point(0..keys, |n| {
                    let found = key_at(&bytes[n * KEY_BYTES..]).id;
                    found < id || behind && found == id
                })
            };
            count += begins(true) - begins(false);
        }
        Ok(count)
    }

    /// Reads the beginning of a page of keys.
    fn read_page(&self, page: usize, bytes: &mut [u8]) -> Result<(), IndexError> {
        let Inner { path, file, .. } = &*self.0;
        let offset = HEADER_BYTES + (page * PAGE_BYTES) as u64;
        file.read_exact_at(bytes, offset).map_err(IndexError::read(path))
    }

    /// Whether this segment holds an event that shares its id with an earlier one of different
    /// content.
    pub fn has_conflict(&self, id: u64) -> bool {
        self.0.conflicts.binary_search(&id).is_ok()
    }

    /// The ids of [`Self::has_conflict`], in order.
    pub fn conflicts(&self) -> &[u64] {
        &self.0.conflicts
    }

    /// Whether an event may have an id; wrongly true for a few in a hundred.
    pub fn may_have(&self, id: u64) -> bool {
        let block = &self.0.filter[block_of(id, self.0.filter.len())];
        bits_of(id).iter().zip(block).all(|(bit, word)| word & bit != 0)
    }

    /// All keys, in order.
    fn keys(&self) -> impl Iterator<Item = io::Result<EventKey>> + '_ {
        let end = HEADER_BYTES + (self.0.events * KEY_BYTES) as u64;
        let keys = ReadAt { file: &self.0.file, at: HEADER_BYTES, end };
        let mut keys = BufReader::with_capacity(MERGE_READ_BYTES, keys);
        (0..self.0.events).map(move |_| {
            if !self.0.has_contents {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an earlier version wrote it",
                ));
            }
            let mut bytes = [0; KEY_BYTES];
            keys.read_exact(&mut bytes)?;
            Ok(key_at(&bytes))
        })
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.events)
    }
}

/// Where the parts of a file of keys are.
struct Layout {
    fences: u64,
    filter: u64,
    conflicts: u64,
    end: u64,
}

impl Layout {
    /// None where the numbers are beyond any file.
    fn of(events: u64, conflicts: u64, key_bytes: usize) -> Option<Self> {
        let pages = events.div_ceil(PAGE_KEYS as u64);
        let blocks = blocks(usize::try_from(events).ok()?) as u64;
        let fences = events.checked_mul(key_bytes as u64)?.checked_add(HEADER_BYTES)?;
        let filter = fences.checked_add(pages.checked_mul(8)?)?;
        let conflict_ids = filter.checked_add(blocks.checked_mul(size_of::<Block>() as u64)?)?;
        let end = conflict_ids.checked_add(conflicts.checked_mul(8)?)?;
        Some(Self { fences, filter, conflicts: conflict_ids, end })
    }
}

/// Writes the keys of a new segment, and the ids that another event shares.
pub fn write(
    mut keys: Vec<EventKey>,
    mut conflicts: Vec<u64>,
    out: &mut impl Write,
) -> io::Result<()> {
    keys.sort_unstable();
    conflicts.sort_unstable();
    conflicts.dedup();
    write_sorted(keys.len(), keys.into_iter().map(Ok), &conflicts, out)
}

/// Writes the keys of a merged segment.
pub fn merge(sets: &[KeySet], out: &mut impl Write) -> io::Result<()> {
    let mut conflicts: Vec<u64> = sets.iter().flat_map(|set| &set.0.conflicts).copied().collect();
    conflicts.sort_unstable();
    conflicts.dedup();
    write_sorted(sets.iter().map(KeySet::events).sum(), in_order(sets)?, &conflicts, out)
}

/// Writes the keys of a segment except some, which are sorted. Fails where one of these is missing,
/// because then the file does not belong to the events.
pub(crate) fn write_without(
    set: &KeySet,
    gone: &[EventKey],
    out: &mut impl Write,
) -> io::Result<()> {
    let kept = set.events().saturating_sub(gone.len());
    let mut gone = gone.iter().peekable();
    let is_kept = |key: &io::Result<EventKey>| {
        let is_gone = key.as_ref().is_ok_and(|key| gone.peek() == Some(&key));
        if is_gone {
            gone.next();
        }
        !is_gone
    };
    write_sorted(kept, set.keys().filter(is_kept), &set.0.conflicts, out)?;
    match gone.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it lacks the key of an event")),
    }
}

/// Counts the keys of `sets` that are not in `others`.
pub fn count_lacking(sets: &[KeySet], others: &[KeySet]) -> io::Result<u64> {
    let mut others = in_order(others)?;
    let mut other = others.next().transpose()?;
    let mut lacking = 0;
    for key in in_order(sets)? {
        let key = key?;
        while other.is_some_and(|other| other < key) {
            other = others.next().transpose()?;
        }
        lacking += u64::from(other != Some(key));
    }
    Ok(lacking)
}

/// The keys of all sets, in order.
fn in_order(sets: &[KeySet]) -> io::Result<impl Iterator<Item = io::Result<EventKey>> + '_> {
    let mut sources: Vec<_> = sets.iter().map(KeySet::keys).collect();
    let mut heads = Vec::new();
    for (n, source) in sources.iter_mut().enumerate() {
        if let Some(key) = source.next().transpose()? {
            heads.push((key, n));
        }
    }
    // Some tens at most, kept in order from the last to the first: the next is at the end.
    heads.sort_unstable_by(|a, b| b.cmp(a));
    Ok(iter::from_fn(move || {
        let (key, n) = heads.pop()?;
        match sources[n].next() {
            None => {}
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(next)) => {
                let place = heads.partition_point(|head| *head > (next, n));
                heads.insert(place, (next, n));
            }
        }
        Some(Ok(key))
    }))
}

fn write_sorted(
    count: usize,
    keys: impl Iterator<Item = io::Result<EventKey>>,
    conflicts: &[u64],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut fences = Vec::with_capacity(count.div_ceil(PAGE_KEYS));
    let mut filter = vec![Block::default(); blocks(count)];
    out.write_all(&MAGIC)?;
    for number in [count, conflicts.len()] {
        out.write_all(&(number as u64).to_le_bytes())?;
    }
    for (n, key) in keys.enumerate() {
        let EventKey { id, content } = key?;
        if n.is_multiple_of(PAGE_KEYS) {
            fences.push(id);
        }
        out.write_all(&id.to_le_bytes())?;
        out.write_all(&content.0)?;
        let block = block_of(id, filter.len());
        for (word, bit) in filter[block].iter_mut().zip(bits_of(id)) {
            *word |= bit;
        }
    }
    for id in fences {
        out.write_all(&id.to_le_bytes())?;
    }
    for word in filter.into_iter().flatten() {
        out.write_all(&word.to_le_bytes())?;
    }
    for id in conflicts {
        out.write_all(&id.to_le_bytes())?;
    }
    Ok(())
}

/// Blocks of the filter for so many events.
fn blocks(events: usize) -> usize {
    events.saturating_mul(FILTER_BITS_PER_KEY).div_ceil(size_of::<Block>() * 8).max(1)
}

/// The high half of an id chooses the block, the low half the bits.
fn block_of(id: u64, blocks: usize) -> usize {
    (((id >> 32) * blocks as u64) >> 32) as usize
}

fn bits_of(id: u64) -> Block {
    SALTS.map(|salt| 1 << ((id as u32).wrapping_mul(salt) >> 27))
}

fn key_at(bytes: &[u8]) -> EventKey {
    let mut content = ContentHash::default();
    content.0.copy_from_slice(&bytes[8..KEY_BYTES]);
    EventKey { id: u64_at(bytes, 0), content }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|number| u64_at(number, 0)).collect()
}

fn block_at(bytes: &[u8]) -> Block {
    let mut words = bytes
        .chunks_exact(4)
        .map(|word| word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
    Block::default().map(|_| words.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
