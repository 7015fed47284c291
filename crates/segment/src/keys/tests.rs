//! Files of keys, with keys as hashes give them and as strangers would choose them.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn try_open(bytes: &[u8]) -> Result<KeySet, IndexError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.keys");
    std::fs::write(&path, bytes).unwrap();
    KeySet::open(&path)
}

fn open(bytes: &[u8]) -> KeySet {
    try_open(bytes).unwrap()
}

fn set(keys: &[EventKey], conflicts: &[u64]) -> KeySet {
    let mut bytes = Vec::new();
    write(keys.to_vec(), conflicts.to_vec(), &mut bytes).unwrap();
    open(&bytes)
}

fn key(id: u64, content: u64) -> EventKey {
    let mut hash = ContentHash::default();
    hash.0[..8].copy_from_slice(&content.to_be_bytes());
    EventKey { id, content: hash }
}

fn find(set: &KeySet, id: u64, content: u64) -> Known {
    set.find(&key(id, content)).unwrap()
}

fn count(set: &KeySet, id: u64) -> usize {
    set.count(id, &mut || Ok(())).unwrap()
}

/// Ids as hashes give them, and ids that a hash would not.
fn ids() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..8_u64, (u64::MAX - 8)..=u64::MAX, Just(1 << 63)]
}

proptest! {
    #[test]
    fn what_was_written_is_found_and_nothing_else(
        parts in prop::collection::vec(
            prop::collection::vec((ids(), any::<u64>()), 0..900), 1..5,
        ),
        others in prop::collection::vec(ids(), 50),
    ) {
        let parts: Vec<Vec<EventKey>> = parts
            .into_iter()
            .map(|part| part.into_iter().map(|(id, content)| key(id, content)).collect())
            .collect();
        let sets: Vec<KeySet> = parts.iter().map(|part| set(part, &[])).collect();
        let mut merged = Vec::new();
        merge(&sets, &mut merged).unwrap();
        let merged = open(&merged);
        let all: Vec<EventKey> = parts.concat();
        prop_assert_eq!(merged.events(), all.len());
        let ids: HashSet<u64> = all.iter().map(|key| key.id).collect();
        for id in ids.iter().copied().chain(others) {
            let of_id = all.iter().filter(|key| key.id == id);
            prop_assert_eq!(count(&merged, id), of_id.count());
            let other = if ids.contains(&id) { Known::Id } else { Known::Nothing };
            // Before, between and behind the contents of the id, which end with eight zeros.
            for byte in [1, 0x7F, 0xFF] {
                let key = EventKey { id, content: ContentHash([byte; 16]) };
                prop_assert_eq!(merged.find(&key).unwrap(), other);
            }
        }
        for key in &all {
            prop_assert_eq!(merged.find(key).unwrap(), Known::Event);
        }
    }
}

/// An id with more contents than a page has keys, between two that have one.
#[test]
fn an_id_of_many_contents_is_found_by_each() {
    for many in [1, 127, 128, 129, 1_000] {
        let mut keys: Vec<EventKey> = (0..many).map(|n| key(5, 2 * n + 2)).collect();
        keys.extend([key(4, 9), key(6, 0)]);
        let set = set(&keys, &[]);
        for n in 0..many {
            assert_eq!(find(&set, 5, 2 * n + 2), Known::Event, "{n} of {many}");
            assert_eq!(find(&set, 5, 2 * n + 1), Known::Id, "{n} of {many}");
        }
        assert_eq!(find(&set, 5, u64::MAX), Known::Id);
        assert_eq!([find(&set, 4, 9), find(&set, 6, 0)], [Known::Event; 2]);
        assert_eq!([find(&set, 4, 8), find(&set, 6, 1)], [Known::Id; 2]);
        assert_eq!([3, 7].map(|id| find(&set, id, 0)), [Known::Nothing; 2]);
        assert_eq!([3, 4, 5, 6, 7].map(|id| count(&set, id) as u64), [0, 1, many, 1, 0]);
        let stopped = set.count(5, &mut || Err(IndexError::Stopped));
        assert_eq!(stopped.is_err(), many + 1 > PAGE_KEYS as u64, "{many}");
    }
}

/// As version 4 wrote it: one event, whose id is 7, and which is a conflict.
#[test]
fn a_file_of_version_4_tells_its_conflicts_and_of_no_event_that_it_is_new() {
    let mut bytes = Vec::new();
    write(vec![key(7, 1)], vec![7], &mut bytes).unwrap();
    bytes.drain(40..48);
    bytes[7] = b'1';
    let set = open(&bytes);
    assert!(set.is_outdated() && set.has_conflict(7) && set.events() == 1);
    assert_eq!(find(&set, 8, 1), Known::Nothing, "its filter is believed");
    let error = set.find(&key(7, 1)).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
    merge(&[set], &mut Vec::new()).unwrap_err();
}

#[test]
fn a_file_of_version_5_tells_its_events_and_that_it_is_outdated() {
    let mut bytes = Vec::new();
    write(vec![key(7, 1)], vec![], &mut bytes).unwrap();
    assert!(!open(&bytes).is_outdated());
    bytes[7] = b'2';
    let set = open(&bytes);
    assert!(set.is_outdated());
    assert_eq!([find(&set, 7, 1), find(&set, 7, 2)], [Known::Event, Known::Id]);
}

#[test]
fn conflicts_survive_a_merge() {
    let (a, b) = (set(&[key(1, 1)], &[]), set(&[key(1, 2), key(5, 5)], &[1, 1]));
    let mut merged = Vec::new();
    let others = [set(&[], &[]), set(&[key(9, 9)], &[9])];
    let [c, d] = others;
    merge(&[a.clone(), b, c, d], &mut merged).unwrap();
    let merged = open(&merged);
    assert_eq!([1, 5, 9].map(|id| merged.has_conflict(id)), [true, false, true]);
    assert!(!a.has_conflict(1), "the one that came first knows nothing of the other");
}

#[test]
fn what_others_lack_is_counted() {
    let old = [set(&[key(1, 1), key(2, 2), key(2, 3)], &[]), set(&[key(9, 9)], &[])];
    let lacking = |new: &[KeySet]| count_lacking(&old, new).unwrap();
    assert_eq!(lacking(&old), 0);
    assert_eq!(lacking(&[set(&[key(2, 3), key(5, 5), key(9, 9)], &[])]), 2);
    assert_eq!(lacking(&[]), 4);
    assert_eq!(count_lacking(&[], &old).unwrap(), 0);
}

#[test]
fn a_set_that_is_damaged_tells_nothing() {
    let set = set(&[key(1, 1)], &[]);
    set.mark_damaged();
    let error = set.find(&key(7, 1)).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
}

#[test]
fn the_filter_lets_few_new_ids_through() {
    let hash = |n: u64| trail::content::id_hash("1", &n.to_string());
    let keys: Vec<EventKey> = (0..50_000).map(|n| key(hash(n), n)).collect();
    let set = set(&keys, &[]);
    assert!(keys.iter().all(|key| set.may_have(key.id)));
    let passed = (50_000..150_000).filter(|n| set.may_have(hash(*n))).count();
    assert!(passed < 1_000, "{passed} of 100,000 new ids pass");
    assert!(set.memory() <= keys.len() * 16 / 10, "{} bytes", set.memory());
}

#[test]
fn a_file_of_another_length_or_kind_is_refused() {
    let mut bytes = Vec::new();
    write(vec![key(1, 1)], vec![], &mut bytes).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let error = try_open(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&bytes[..20], "it ends too early");
    check(&bytes[..bytes.len() - 1], "not what it states");
    check(&[&bytes[..], &[0]].concat(), "not what it states");
    bytes[8..16].fill(0xFF);
    check(&bytes, "not what it states");
    bytes[0] = b'x';
    check(&bytes, "does not begin as");
}
