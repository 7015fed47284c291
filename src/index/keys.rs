//! The keys of a segment's events, sorted, in a file beside the segment: by them an event that is
//! delivered again is known, whatever file it comes in and however often segments were merged.
//!
//! ```text
//! magic            8 bytes
//! events           8    how many keys follow
//! blocks           8    of the filter
//! conflicts        8    how many ids follow at the end
//! keys            16 each   id, content: sorted
//! filter          32 each   a split block Bloom filter of the ids
//! conflicts        8 each   ids that events of different content share: sorted
//! ```
//!
//! Numbers are little-endian. The file is mapped: what stays in memory is what is asked for, which is
//! the filter, at [`FILTER_BITS_PER_KEY`], and little else, because most events are new.

use std::io::{self, Write};
use std::ops::Range;

use tantivy::directory::OwnedBytes;

use crate::event::content::EventKey;

const MAGIC: [u8; 8] = *b"tdxkeys1";
const HEADER_BYTES: usize = 32;
const KEY_BYTES: usize = 16;
const CONFLICT_BYTES: usize = 8;

/// Of a new id, the filter takes one in some 200 for a known one, which then costs a search for it.
const FILTER_BITS_PER_KEY: usize = 12;

/// A block of the filter is eight words of 32 bits, in each of which an id sets one bit: one cache
/// line is touched, whatever the filter's size. As in Parquet, whose salts these are.
const BLOCK_BYTES: usize = 32;
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The keys of one segment.
#[derive(Clone)]
pub struct KeySet {
    bytes: OwnedBytes,
    events: usize,
    filter: Range<usize>,
    conflicts: Range<usize>,
}

impl KeySet {
    /// Reads a file of keys; the error says what is wrong with it.
    pub fn open(bytes: OwnedBytes) -> Result<Self, String> {
        let number = |at: usize| bytes.get(at..at + 8).map(|_| u64_at(&bytes, at) as usize);
        let (Some(events), Some(blocks), Some(conflicts)) = (number(8), number(16), number(24))
        else {
            return Err(format!("{} bytes are too few", bytes.len()));
        };
        if bytes[..8] != MAGIC {
            return Err("it does not begin as a file of keys".to_owned());
        }
        let end_of = |start: usize, count: usize, size: usize| {
            count.checked_mul(size).and_then(|length| start.checked_add(length))
        };
        let filter_start = end_of(HEADER_BYTES, events, KEY_BYTES);
        let filter_end = filter_start.and_then(|start| end_of(start, blocks, BLOCK_BYTES));
        let end = filter_end.and_then(|start| end_of(start, conflicts, CONFLICT_BYTES));
        match (filter_start, filter_end, end) {
            (Some(start), Some(middle), Some(end)) if end == bytes.len() && blocks > 0 => {
                Ok(Self { bytes, events, filter: start..middle, conflicts: middle..end })
            }
            _ => Err(format!("{} bytes long, which is not what it states", bytes.len())),
        }
    }

    pub fn events(&self) -> usize {
        self.events
    }

    /// Bytes of the filter.
    pub fn filter_bytes(&self) -> usize {
        self.filter.len()
    }

    /// The contents of the events of this id.
    pub fn contents(&self, id: u64) -> impl Iterator<Item = u64> + '_ {
        let first = if self.may_have(id) { self.lower_bound(id) } else { self.events };
        (first..self.events)
            .map(|n| self.key(n))
            .take_while(move |key| key.id == id)
            .map(|key| key.content)
    }

    /// Whether events of different content share this id, by what this segment knows: the one that
    /// came later is in it.
    pub fn has_conflict(&self, id: u64) -> bool {
        let ids = &self.bytes[self.conflicts.clone()];
        let count = ids.len() / CONFLICT_BYTES;
        let at = lower_bound(0..count, |n| u64_at(ids, n * CONFLICT_BYTES) < id);
        at < count && u64_at(ids, at * CONFLICT_BYTES) == id
    }

    fn conflicts(&self) -> impl Iterator<Item = u64> + '_ {
        self.bytes[self.conflicts.clone()].chunks_exact(CONFLICT_BYTES).map(|id| u64_at(id, 0))
    }

    fn may_have(&self, id: u64) -> bool {
        let filter = &self.bytes[self.filter.clone()];
        let start = block_of(id, filter.len() / BLOCK_BYTES) * BLOCK_BYTES;
        let block = &filter[start..start + BLOCK_BYTES];
        bits_of(id).into_iter().zip(block.chunks_exact(4)).all(|(bit, word)| {
            u32::from_le_bytes(word.try_into().expect("a chunk of 4 is 4 bytes")) & bit != 0
        })
    }

    fn key(&self, n: usize) -> EventKey {
        let at = HEADER_BYTES + n * KEY_BYTES;
        EventKey { id: u64_at(&self.bytes, at), content: u64_at(&self.bytes, at + 8) }
    }

    /// The first key whose id is not below `id`. Ids are hashes, so its place can be guessed; half of
    /// the time the guess is off by less than a third of the keys' square root.
    fn lower_bound(&self, id: u64) -> usize {
        let guess = ((u128::from(id) * self.events as u128) >> 64) as usize;
        let mut step = self.events.isqrt() + 1;
        let (mut low, mut high) = (guess, guess);
        while low > 0 && self.key(low - 1).id >= id {
            low = low.saturating_sub(step);
            step *= 2;
        }
        while high < self.events && self.key(high).id < id {
            high = (high + step).min(self.events);
            step *= 2;
        }
        lower_bound(low..high, |n| self.key(n).id < id)
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.events)
    }
}

/// Writes the keys of a new segment, and the ids among them that another event has.
pub fn write(
    mut keys: Vec<EventKey>,
    mut conflicts: Vec<u64>,
    out: &mut impl Write,
) -> io::Result<()> {
    keys.sort_unstable();
    conflicts.sort_unstable();
    conflicts.dedup();
    write_sorted(keys.len(), keys.into_iter(), &conflicts, out)
}

/// Writes the keys of a segment that is merged of others'.
pub fn merge(sets: &[&KeySet], out: &mut impl Write) -> io::Result<()> {
    let mut conflicts: Vec<u64> = sets.iter().flat_map(|set| set.conflicts()).collect();
    conflicts.sort_unstable();
    conflicts.dedup();
    let mut heads: std::collections::BinaryHeap<_> = sets
        .iter()
        .enumerate()
        .filter(|(_, set)| set.events > 0)
        .map(|(n, set)| std::cmp::Reverse((set.key(0), n, 0)))
        .collect();
    let merged = std::iter::from_fn(move || {
        let mut head = heads.peek_mut()?;
        let std::cmp::Reverse((key, n, at)) = *head;
        if at + 1 < sets[n].events {
            head.0 = (sets[n].key(at + 1), n, at + 1);
        } else {
            std::collections::binary_heap::PeekMut::pop(head);
        }
        Some(key)
    });
    write_sorted(sets.iter().map(|set| set.events).sum(), merged, &conflicts, out)
}

fn write_sorted(
    count: usize,
    keys: impl Iterator<Item = EventKey>,
    conflicts: &[u64],
    out: &mut impl Write,
) -> io::Result<()> {
    let blocks = (count * FILTER_BITS_PER_KEY).div_ceil(BLOCK_BYTES * 8).max(1);
    let mut filter = vec![0_u32; blocks * SALTS.len()];
    out.write_all(&MAGIC)?;
    for number in [count, blocks, conflicts.len()] {
        out.write_all(&(number as u64).to_le_bytes())?;
    }
    for key in keys {
        out.write_all(&key.id.to_le_bytes())?;
        out.write_all(&key.content.to_le_bytes())?;
        let start = block_of(key.id, blocks) * SALTS.len();
        for (word, bit) in filter[start..].iter_mut().zip(bits_of(key.id)) {
            *word |= bit;
        }
    }
    for word in filter {
        out.write_all(&word.to_le_bytes())?;
    }
    for id in conflicts {
        out.write_all(&id.to_le_bytes())?;
    }
    Ok(())
}

/// The high half of an id chooses the block, the low half the bits.
fn block_of(id: u64, blocks: usize) -> usize {
    (((id >> 32) * blocks as u64) >> 32) as usize
}

fn bits_of(id: u64) -> [u32; 8] {
    SALTS.map(|salt| 1 << ((id as u32).wrapping_mul(salt) >> 27))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were taken"))
}

/// The first number of a range for which `is_before` does not hold.
fn lower_bound(range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(bytes: Vec<u8>) -> KeySet {
        KeySet::open(OwnedBytes::new(bytes)).unwrap()
    }

    fn set(keys: &[EventKey], conflicts: &[u64]) -> KeySet {
        let mut bytes = Vec::new();
        write(keys.to_vec(), conflicts.to_vec(), &mut bytes).unwrap();
        open(bytes)
    }

    fn key(id: u64, content: u64) -> EventKey {
        EventKey { id, content }
    }

    /// Ids as hashes give them, and ids that a hash would not.
    fn ids() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..8_u64, (u64::MAX - 8)..=u64::MAX, Just(1 << 63)]
    }

    proptest! {
        #[test]
        fn what_was_written_is_found_and_nothing_else(
            parts in prop::collection::vec(
                prop::collection::vec((ids(), any::<u64>()), 0..200), 1..5,
            ),
            others in prop::collection::vec(ids(), 50),
        ) {
            let parts: Vec<Vec<EventKey>> = parts
                .into_iter()
                .map(|part| part.into_iter().map(|(id, content)| key(id, content)).collect())
                .collect();
            let sets: Vec<KeySet> = parts.iter().map(|part| set(part, &[])).collect();
            let mut merged = Vec::new();
            merge(&sets.iter().collect::<Vec<_>>(), &mut merged).unwrap();
            let merged = open(merged);
            let all: Vec<EventKey> = parts.concat();
            prop_assert_eq!(merged.events(), all.len());
            for id in all.iter().map(|key| key.id).chain(others) {
                let mut expected: Vec<u64> =
                    all.iter().filter(|key| key.id == id).map(|key| key.content).collect();
                expected.sort_unstable();
                prop_assert_eq!(merged.contents(id).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn conflicts_survive_a_merge() {
        let (a, b) = (set(&[key(1, 1)], &[]), set(&[key(1, 2), key(5, 5)], &[1, 1]));
        let mut merged = Vec::new();
        merge(&[&a, &b, &set(&[], &[]), &set(&[key(9, 9)], &[9])], &mut merged).unwrap();
        let merged = open(merged);
        assert_eq!([1, 5, 9].map(|id| merged.has_conflict(id)), [true, false, true]);
        assert!(!a.has_conflict(1), "the one that came first knows nothing of the other");
    }

    #[test]
    fn the_filter_lets_few_new_ids_through() {
        let hash = |n: u64| crate::event::content::id_hash("1", &n.to_string());
        let keys: Vec<EventKey> = (0..50_000).map(|n| key(hash(n), n)).collect();
        let set = set(&keys, &[]);
        assert!(keys.iter().all(|key| set.may_have(key.id)));
        let passed = (50_000..150_000).filter(|n| set.may_have(hash(*n))).count();
        assert!(passed < 1_000, "{passed} of 100,000 new ids pass");
        assert!(set.filter_bytes() * 8 <= keys.len() * FILTER_BITS_PER_KEY + 256);
    }

    #[test]
    fn a_file_of_another_length_or_kind_is_refused() {
        let mut bytes = Vec::new();
        write(vec![key(1, 1)], vec![], &mut bytes).unwrap();
        let check = |bytes: Vec<u8>, expected: &str| {
            let error = KeySet::open(OwnedBytes::new(bytes)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(bytes[..20].to_vec(), "20 bytes are too few");
        check(bytes[..bytes.len() - 1].to_vec(), "not what it states");
        check([&bytes[..], &[0]].concat(), "not what it states");
        bytes[8..16].fill(0xFF);
        check(bytes.clone(), "not what it states");
        bytes[0] = b'x';
        check(bytes, "does not begin as");
    }
}
