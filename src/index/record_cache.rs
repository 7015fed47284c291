//! Blocks of records that stay decompressed, of all segments: the ones that were read last.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::IndexError;
use super::records::Block;

/// A block that takes more than this share of the cache is not kept.
const SHARE: usize = 8;

/// A segment's number, and the block's in it. No two segments of a process have the same number.
type Name = (u64, usize);

/// See the module's documentation.
pub struct RecordCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    blocks: LruCache<Name, Arc<Block>>,
    bytes: usize,
}

impl RecordCache {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::new(Kept { blocks: LruCache::unbounded(), bytes: 0 }) }
    }

    /// The block of a name; `read` if it is not kept.
    pub fn get(
        &self,
        name: Name,
        read: impl FnOnce() -> Result<Block, IndexError>,
    ) -> Result<Arc<Block>, IndexError> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = lock().blocks.get(&name) {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(read()?);
        if block.memory() <= self.bytes_max / SHARE {
            let mut kept = lock();
            kept.bytes += block.memory();
            if let Some((_, replaced)) = kept.blocks.push(name, Arc::clone(&block)) {
                kept.bytes -= replaced.memory();
            }
            while kept.bytes > self.bytes_max {
                let Some((_, oldest)) = kept.blocks.pop_lru() else { break };
                kept.bytes -= oldest.memory();
            }
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::records;

    fn block(bytes: usize) -> Block {
        records::tests::block(&[&vec![b'x'; bytes]])
    }

    #[test]
    fn the_blocks_that_were_read_last_stay_within_the_bytes() {
        let size = block(1_000).memory();
        let cache = RecordCache::new(10 * size);
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
        let cache = RecordCache::new(8_000);
        cache.get((1, 0), || Ok(block(100))).unwrap();
        cache.get((1, 1), || Ok(block(5_000))).unwrap();
        assert!(cache.get((1, 1), || Err(IndexError::Bug("read"))).is_err());
        assert!(cache.get((1, 0), || Err(IndexError::Bug("read"))).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_each_time() {
        let cache = RecordCache::new(8_000);
        for _ in 0..2 {
            assert!(cache.get((1, 0), || Err(IndexError::Bug("read"))).is_err());
        }
    }
}
