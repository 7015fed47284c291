//! Decides whether an event is new. CloudTrail delivers events again, in other files and days
//! later, and people copy archives into each other.
//!
//! A worker claims an event before it adds it to a segment. The claim is compared with all claims
//! that are not committed yet, and with the keys of all committed segments. So if two workers find
//! the same event, one of them learns that it is a duplicate. Claims belong to a batch, whose
//! segments are committed together: a file that counts a duplicate never becomes durable before the
//! event itself.
//!
//! Memory: the claims of the batches under way, and what is kept of the segments' keys.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard};

use arc_swap::ArcSwap;
use hashbrown::HashTable;

use segment::keys::KeySet;
use segment::{IndexError, lock};
use trail::content::EventKey;
use trail::seeded::Seeded;

/// Claims are spread over so many locks, a power of two: workers seldom wait for each other.
const SHARDS: usize = 64;

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The event is to be indexed.
    New,
    /// The event is to be indexed, and another event of different content has the same account and
    /// id.
    Conflict,
    /// The event is in the index already, or in a segment of this batch or an earlier one.
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
    /// Of the ids, which are hashes that a stranger can compute.
    hash: Seeded,
    /// The keys of every committed segment.
    committed: ArcSwap<Vec<KeySet>>,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            claims: std::array::from_fn(|_| Mutex::default()),
            hash: Seeded::default(),
            committed: ArcSwap::default(),
        }
    }
}

impl Dedupe {
    /// Replaces the keys of all committed segments. Release the claims of a commit after this.
    pub fn set_committed(&self, keys: Vec<KeySet>) {
        self.committed.store(keys.into());
    }

    /// Claims an event for a batch, unless it is a duplicate. Fails where the keys of a segment
    /// cannot be read.
    pub fn claim(&self, key: EventKey, batch: u64) -> Result<Claim, IndexError> {
        // Held until the claim is made: another worker with the same event waits here.
        let hash = self.hash.hash_one(key.id);
        let mut claims = self.shard(hash);
        let mut is_id_known = false;
        for claimed in claims.iter_hash(hash).filter(|claimed| claimed.key.id == key.id) {
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
        claims.insert_unique(hash, Claimed { key, batch }, |claimed| {
            self.hash.hash_one(claimed.key.id)
        });
        Ok(if is_id_known { Claim::Conflict } else { Claim::New })
    }

    /// How many claims are not released yet.
    pub fn claims(&self) -> usize {
        self.claims.iter().map(|claims| lock(claims).len()).sum()
    }

    /// Forgets the claims of this batch and of those before it, once they are committed.
    pub fn release_through(&self, batch: u64) {
        self.retain(|claimed| claimed.batch > batch);
    }

    /// Forgets the claims of a batch that was given up. Call it before the next batch begins.
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

    fn shard(&self, hash: u64) -> MutexGuard<'_, HashTable<Claimed>> {
        // The table below takes the low bits.
        lock(&self.claims[(hash >> 40) as usize % SHARDS])
    }
}
