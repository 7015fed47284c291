//! Whether an event is new: CloudTrail delivers events again, in other files, days later, and people
//! copy archives into each other.
//!
//! An event is claimed before it is put into a segment. A claim is checked against every other claim
//! that is not committed yet, and against the keys of every committed segment, so of two workers that
//! come upon the same event one is told that it is a duplicate. Claims belong to a batch, whose
//! segments are committed together: a file that counts a duplicate never becomes durable before the
//! event that it is a duplicate of.
//!
//! Memory: the claims of the batches under way, and what is kept of the segments' keys.

use std::sync::{Mutex, MutexGuard};

use arc_swap::ArcSwap;
use hashbrown::HashTable;

use segment::keys::KeySet;
use segment::{IndexError, lock};
use trail::content::EventKey;

/// Claims are spread over so many locks, a power of two: workers seldom wait for each other.
const SHARDS: usize = 64;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// To be indexed.
    New,
    /// To be indexed, though another event of different content has the same account and id.
    Conflict,
    /// In the index already, or in a segment of this batch or of one before it.
    Duplicate,
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    key: EventKey,
    batch: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Dedupe {
    claims: [Mutex<HashTable<Claimed>>; SHARDS],
    /// The keys of every committed segment.
    committed: ArcSwap<Vec<KeySet>>,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self { claims: std::array::from_fn(|_| Mutex::default()), committed: ArcSwap::default() }
    }
}

impl Dedupe {
    /// Says what is committed from now on. Claims that are in it are released after.
    pub fn set_committed(&self, keys: Vec<KeySet>) {
        self.committed.store(keys.into());
    }

    /// Claims an event for a segment of a batch, unless it is a duplicate.
    /// Fails where a segment's keys cannot be read.
    pub fn claim(&self, key: EventKey, batch: u64) -> Result<Claim, IndexError> {
        // Held until the claim is made: another worker with the same event waits here.
        let mut claims = self.shard(key.id);
        let mut is_id_known = false;
        for claimed in claims.iter_hash(key.id).filter(|claimed| claimed.key.id == key.id) {
            if claimed.key == key {
                return Ok(Claim::Duplicate);
            }
            is_id_known = true;
        }
        for keys in self.committed.load().iter() {
            let mut is_known = false;
            keys.each_content(key.id, |content| {
                is_id_known = true;
                is_known |= content == key.content;
            })?;
            if is_known {
                return Ok(Claim::Duplicate);
            }
        }
        claims.insert_unique(key.id, Claimed { key, batch }, |claimed| claimed.key.id);
        Ok(if is_id_known { Claim::Conflict } else { Claim::New })
    }

    /// How many claims are not committed.
    pub fn claims(&self) -> usize {
        self.claims.iter().map(|claims| lock(claims).len()).sum()
    }

    /// Forgets the claims of a batch that is committed: of this one and those before it.
    pub fn release_through(&self, batch: u64) {
        self.retain(|claimed| claimed.batch > batch);
    }

    /// Forgets the claims of a batch that was given up, before another has begun.
    pub fn withdraw(&self, batch: u64) {
        self.retain(|claimed| claimed.batch != batch);
    }

    /// Forgets every claim: nothing that is not committed will be.
    pub(crate) fn withdraw_all(&self) {
        self.retain(|_| false);
    }

    fn retain(&self, is_kept: impl Fn(&Claimed) -> bool) {
        for claims in &self.claims {
            lock(claims).retain(|claimed| is_kept(claimed));
        }
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashTable<Claimed>> {
        // The table below takes the low bits.
        lock(&self.claims[(id >> 40) as usize % SHARDS])
    }
}
