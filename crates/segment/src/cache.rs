//! Caches that all segments share, each of which keeps what was used last within a number of bytes.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tantivy::columnar::DynamicColumnHandle;
use tantivy::postings::TermInfo;
use tantivy::{BitSet, Term};

use super::IndexError;
use crate::records::Block;

/// What takes more than this share of a cache is not kept.
const SHARE: usize = 8;

/// The caches that the segments of an index share. Their keys begin with a segment's number, which
/// is unique in the process.
pub struct Caches {
    /// Decompressed blocks of records, by the segment's number and the block's.
    pub blocks: Cache<(u64, usize), Block>,
    /// The documents of a segment that meet a costly condition, by the condition's text.
    pub(crate) found: Cache<(u64, String), BitSet>,
    /// Which values of a column pass a test, by a hash that stands for both.
    pub(crate) values: Cache<(u64, u128), FoundValues>,
    /// How many documents of a segment meet a condition, by a hash that stands for the condition.
    pub(crate) counts: Cache<(u64, u128), Count>,
    /// Where terms are in a segment.
    pub(crate) places: Cache<(u64, Term), TermPlace>,
    /// Where a segment's columns of a name are, one for each type of values.
    pub(crate) columns: Cache<(u64, String), ColumnPlaces>,
}

/// A number of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub u64);

/// For each of counts, terms and columns at most: some eight, four and three thousand of them.
const SMALL_BYTES_MAX: usize = 1 << 20;

impl InMemory for Count {
    /// With its name, and what the cache keeps of it.
    fn memory(&self) -> usize {
        128
    }
}

impl Caches {
    /// Divides the bytes: a quarter is for the documents that conditions found, about a dozen
    /// conditions on ten million events, and a little of that for counts, terms and columns. An eighth is
    /// for the values that pass tests: those of hundreds of rules. Blocks of records have the rest.
    pub fn new(bytes_max: usize) -> Self {
        let (for_found, for_values) = (bytes_max / 4, bytes_max / 8);
        let small = SMALL_BYTES_MAX.min(for_found / 6);
        Self {
            blocks: Cache::new(bytes_max - for_found - for_values),
            found: Cache::new(for_found - 3 * small),
            values: Cache::new(for_values),
            counts: Cache::new(small),
            places: Cache::new(small),
            columns: Cache::new(small),
        }
    }
}

/// The values of a column that pass a test.
#[derive(Debug, Default)]
pub struct FoundValues {
    /// Their ordinals.
    pub met: Vec<u64>,
    /// Of values that the index has cut: only the record tells.
    pub cut: Vec<u64>,
    /// Where the documents of those that are met are, where the column's values are terms and few are met.
    pub terms: Option<Vec<TermInfo>>,
}

impl InMemory for FoundValues {
    /// With what the cache keeps of it.
    fn memory(&self) -> usize {
        let terms = self.terms.as_ref().map_or(0, Vec::capacity);
        160 + 8 * (self.met.capacity() + self.cut.capacity()) + terms * size_of::<TermInfo>()
    }
}

/// The columns of one name, found in a segment's list of columns. To look them up there costs more
/// than to open one.
pub(crate) struct ColumnPlaces {
    pub(crate) handles: Vec<DynamicColumnHandle>,
    name_bytes: usize,
}

impl ColumnPlaces {
    pub(crate) fn new(name: &str, handles: Vec<DynamicColumnHandle>) -> Self {
        Self { handles, name_bytes: name.len() }
    }
}

impl InMemory for ColumnPlaces {
    /// With its name, and what the cache keeps of it.
    fn memory(&self) -> usize {
        256 + self.name_bytes + self.handles.len() * size_of::<DynamicColumnHandle>()
    }
}

/// The result of looking a term up in a segment's dictionary.
#[derive(Debug)]
pub struct TermPlace {
    /// Where tantivy finds the postings; None where the segment does not have the term.
    pub info: Option<TermInfo>,
    term_bytes: usize,
}

impl TermPlace {
    pub(crate) fn new(term: &Term, info: Option<TermInfo>) -> Self {
        Self { info, term_bytes: term.serialized_value_bytes().len() }
    }
}

impl InMemory for TermPlace {
    /// With its name, and what the cache keeps of it.
    fn memory(&self) -> usize {
        256 + self.term_bytes
    }
}

impl InMemory for String {
    /// With what the cache keeps of it.
    fn memory(&self) -> usize {
        128 + self.capacity()
    }
}

/// A map that drops the least recently used values beyond a number of bytes.
pub struct Cache<K: Hash + Eq, V> {
    bytes_max: usize,
    kept: Mutex<CacheEntries<K, V>>,
}

impl<K: Hash + Eq, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

struct CacheEntries<K: Hash + Eq, V> {
    values: LruCache<K, Arc<V>>,
    bytes: usize,
}

/// A value that a [`Cache`] can keep.
pub trait InMemory {
    /// Bytes of memory that it takes.
    fn memory(&self) -> usize;
}

impl InMemory for BitSet {
    fn memory(&self) -> usize {
        self.max_value() as usize / 8 + size_of::<Self>()
    }
}

impl<K: Hash + Eq, V: InMemory> Cache<K, V> {
    /// Makes an empty cache that drops what was used least recently beyond this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let kept = CacheEntries { values: LruCache::unbounded(), bytes: 0 };
        Self { bytes_max, kept: Mutex::new(kept) }
    }

    /// Returns the value of this name; calls `read` and keeps the result where it is not cached.
    pub(crate) fn get(
        &self,
        name: K,
        read: impl FnOnce() -> Result<V, IndexError>,
    ) -> Result<Arc<V>, IndexError> {
        if let Some(value) = self.kept(&name) {
            return Ok(value);
        }
        let value = Arc::new(read()?);
        self.keep(name, Arc::clone(&value));
        Ok(value)
    }

    /// Returns the value of this name; None where it is not cached.
    pub fn kept(&self, name: &K) -> Option<Arc<V>> {
        self.lock().values.get(name).map(Arc::clone)
    }

    /// Stores a value in place of the one of this name; a value that is too large for the cache is
    /// left out.
    pub fn keep(&self, name: K, value: Arc<V>) {
        if value.memory() > self.bytes_max / SHARE {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += value.memory();
        if let Some((_, replaced)) = kept.values.push(name, value) {
            kept.bytes -= replaced.memory();
        }
        while kept.bytes > self.bytes_max {
            let Some((_, oldest)) = kept.values.pop_lru() else { break };
            kept.bytes -= oldest.memory();
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheEntries<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records;

    fn block(bytes: usize) -> Block {
        records::tests::block(&[&vec![b'x'; bytes]])
    }

    #[test]
    fn the_blocks_that_were_read_last_stay_within_the_bytes() {
        let size = block(1_000).memory();
        let cache = Cache::new(10 * size);
        for n in 0..10 {
            cache.get((1, n), || Ok(block(1_000))).unwrap();
        }
        let is_kept = |n| cache.get((1, n), || Err(IndexError::Bug("read"))).is_ok();
        assert!((0..10).all(is_kept));
        // The first is the oldest, but it is looked at again.
        assert!(is_kept(0));
        cache.get((2, 0), || Ok(block(1_000))).unwrap();
        assert!(is_kept(0) && !is_kept(1), "another segment's block took the place of the oldest");
        assert!(cache.kept.lock().unwrap().bytes <= 10 * size);
    }

    #[test]
    fn a_block_that_would_take_the_place_of_many_is_not_kept() {
        let cache = Cache::new(8_000);
        cache.get((1, 0), || Ok(block(100))).unwrap();
        cache.get((1, 1), || Ok(block(5_000))).unwrap();
        assert!(cache.get((1, 1), || Err(IndexError::Bug("read"))).is_err());
        assert!(cache.get((1, 0), || Err(IndexError::Bug("read"))).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_each_time() {
        let cache: Cache<(u64, usize), Block> = Cache::new(8_000);
        for _ in 0..2 {
            assert!(cache.get((1, 0), || Err(IndexError::Bug("read"))).is_err());
        }
    }

    #[test]
    fn what_a_condition_found_is_found_once() {
        let caches = Caches::new(128 << 10);
        let find = |documents: u32| {
            let mut found = BitSet::with_max_value(10_000);
            found.insert(documents);
            Ok(found)
        };
        let is_first = |name: &str, document| {
            let found = caches.found.get((1, name.to_owned()), || find(document)).unwrap();
            found.contains(document)
        };
        assert!(is_first("*a*", 1) && is_first("*b*", 2));
        assert!(!is_first("*a*", 3), "found again");
        // 1,250 bytes each, 16 KiB in all.
        (0..12).for_each(|n| assert!(is_first(&format!("*{n}*"), 4)));
        assert!(is_first("*b*", 5), "kept beyond the bound");
    }
}
