//! Segments that are made anew of their own records.

use super::*;
use crate::remake::{Facts, SizeLimits};

const LIMITS: SizeLimits = SizeLimits { events_max: 3, bytes_max: 1 << 30 };

/// Reads what [`event`] writes.
fn read_event(record: &[u8], facts: Facts, take: &mut dyn FnMut(&Event)) -> bool {
    let text = std::str::from_utf8(record).unwrap();
    let time = text.strip_prefix("{\"x\":").and_then(|text| text.strip_suffix('}'));
    let Some(time) = time.and_then(|time| time.parse().ok()) else { return false };
    let event = event(facts.file, time);
    assert_eq!(facts.time, event.time);
    take(&event);
    true
}

#[test]
fn a_remade_index_has_the_same_events_and_ledger_and_knows_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of_four(dir.path());
    let inputs = store.current.manifest.segments[..2].to_vec();
    let merged = merge_of(&store, &inputs, false).unwrap();
    store.replace(&inputs, &[merged]).unwrap();
    let expected = [0, 1, 2, 3, 100, 101, 102];
    check_events(&store, &expected);
    let (ledger, before) = (states(&store), store.current.manifest.segments.clone());
    store.remake(LIMITS, &mut read_event).unwrap();
    for _ in 0..2 {
        check_events(&store, &expected);
        assert_eq!(problems(&store), [""; 0]);
        assert_eq!(states(&store), ledger);
        let now = &store.current.manifest.segments;
        assert!(now.iter().all(|entry| !before.contains(entry) && entry.events() <= 3));
        assert_eq!(store.expired().events, 0);
        let claim = store.dedupe().claim(event(0, 0).key(), 1).unwrap();
        assert_eq!(claim, Claim::Duplicate);
        // The old ones are gone, and the new ones are there after a restart.
        let files = fs::read_dir(&store.files.dir).unwrap().count();
        assert_eq!(files, now.len() * parts::names("").count());
        drop(store);
        store = Store::open(dir.path(), CACHE).unwrap();
    }
}

#[test]
fn a_segment_that_cannot_be_remade_stays_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of_four(dir.path());
    let before = store.current.manifest.clone();
    let mut reads = 0;
    let mut fails_late = |record: &[u8], facts: Facts, take: &mut dyn FnMut(&Event)| {
        reads += 1;
        reads < 2 && read_event(record, facts, take)
    };
    let limits = SizeLimits { events_max: 1, ..LIMITS };
    // It is damage: who makes all anew goes on with the others.
    let error = store.remake(limits, &mut fails_late).unwrap_err();
    assert!(
        error.to_string().ends_with("the record of its event 1 cannot be read again"),
        "{error}"
    );
    assert!(store.mark_damaged(&before.segments, &error));
    let of_segment = |store: &Store, number: usize| store.current.manifest.segments[number].clone();
    assert_eq!(store.current.manifest, before);
    let names = fs::read_dir(&store.files.dir).unwrap().count();
    assert_eq!(names, before.segments.len() * parts::names("").count());
    check_events(&store, &[0, 1, 2, 3, 100, 101, 102]);

    // What is damaged is not read as if it were whole.
    flip_a_bit(&store.files.dir.join(format!("{}.records", of_segment(&store, 0).id)), 30);
    store.remake(LIMITS, &mut read_event).unwrap_err();
    assert!(store.snapshots().load().segments.iter().any(|view| view.is_damaged()));
}
