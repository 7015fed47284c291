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
//!
//! Who writes records chooses their ids, and can give many contents one id, or make ids whose hashes
//! are alike. So the tables have seeds, and a claim costs no more the more contents an id has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard};

use arc_swap::ArcSwap;

use segment::keys::{KeySet, Known};
use segment::{IndexError, lock};
use trail::content::{ContentHash, EventKey};

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

/// The contents that are claimed for one id, and the batch of each.
#[derive(Debug)]
enum Claimed {
    One(ContentHash, u64),
    #[expect(clippy::box_collection, reason = "nearly all ids have one content: it is to be small")]
    Several(Box<HashMap<ContentHash, u64>>),
}

impl Claimed {
    fn has(&self, content: &ContentHash) -> bool {
        match self {
            Self::One(claimed, _) => claimed == content,
            Self::Several(claimed) => claimed.contains_key(content),
        }
    }

    fn add(&mut self, content: ContentHash, batch: u64) {
        match self {
            Self::One(first, of_first) => {
                let both = [(*first, *of_first), (content, batch)];
                *self = Self::Several(Box::new(both.into()));
            }
            Self::Several(claimed) => drop(claimed.insert(content, batch)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Several(claimed) => claimed.len(),
        }
    }

    /// Forgets the contents whose batch does not pass; returns whether any is left.
    fn retain(&mut self, is_kept: impl Fn(u64) -> bool) -> bool {
        match self {
            Self::One(_, batch) => is_kept(*batch),
            Self::Several(claimed) => {
                claimed.retain(|_, batch| is_kept(*batch));
                !claimed.is_empty()
            }
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Dedupe {
    /// By the ids of the keys.
    claims: [Mutex<HashMap<u64, Claimed>>; SHARDS],
    /// The keys of every committed segment.
    committed: ArcSwap<Vec<KeySet>>,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self { claims: std::array::from_fn(|_| Mutex::default()), committed: ArcSwap::default() }
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
        self.claim_unless(key, batch, false)
    }

    /// Claims an event whose record was put together of a table's columns. Its content is another than
    /// that of the record as delivered, so it is a duplicate of any event with its id.
    pub fn claim_reconstructed(&self, key: EventKey, batch: u64) -> Result<Claim, IndexError> {
        self.claim_unless(key, batch, true)
    }

    fn claim_unless(
        &self,
        key: EventKey,
        batch: u64,
        is_id_enough: bool,
    ) -> Result<Claim, IndexError> {
        // Held until the claim is made: another worker with the same event waits here.
        let mut claims = self.shard(key.id);
        let entry = claims.entry(key.id);
        let mut is_id_known = false;
        if let Entry::Occupied(claimed) = &entry {
            if claimed.get().has(&key.content) {
                return Ok(Claim::Duplicate);
            }
            is_id_known = true;
        }
        for keys in self.committed.load().iter() {
            match keys.find(&key)? {
                Known::Nothing => {}
                Known::Id => is_id_known = true,
                Known::Event => return Ok(Claim::Duplicate),
            }
        }
        if is_id_known && is_id_enough {
            return Ok(Claim::Duplicate);
        }
        match entry {
            Entry::Occupied(mut claimed) => claimed.get_mut().add(key.content, batch),
            Entry::Vacant(entry) => drop(entry.insert(Claimed::One(key.content, batch))),
        }
        Ok(if is_id_known { Claim::Conflict } else { Claim::New })
    }

    /// How many claims are not released yet.
    pub fn claims(&self) -> usize {
        self.claims
            .iter()
            .map(|claims| lock(claims).values().map(Claimed::len).sum::<usize>())
            .sum()
    }

    /// Forgets the claims of this batch and of those before it, once they are committed.
    pub fn release_through(&self, batch: u64) {
        self.retain(|claimed| claimed > batch);
    }

    /// Forgets the claims of a batch that was given up. Call it before the next batch begins.
    pub fn withdraw(&self, batch: u64) {
        self.retain(|claimed| claimed != batch);
    }

    /// Forgets every claim: nothing that is not committed will be.
    pub(crate) fn withdraw_all(&self) {
        self.retain(|_| false);
    }

    fn retain(&self, is_kept: impl Fn(u64) -> bool) {
        for claims in &self.claims {
            lock(claims).retain(|_, claimed| claimed.retain(&is_kept));
        }
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Claimed>> {
        lock(&self.claims[(id >> 40) as usize % SHARDS])
    }
}
