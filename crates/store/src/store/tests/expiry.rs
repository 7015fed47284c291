//! Retention: what is older than is kept goes, and nothing else does.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::*;
use segment::view::Run;

/// The key that [`event`] gives: its record holds its time, and its file is in a table.
fn read_key(numbers: &HashMap<i64, u64>) -> impl FnMut(&[u8]) -> Option<EventKey> + '_ {
    |record| {
        let text = std::str::from_utf8(record).ok()?;
        let time: i64 = text.strip_prefix("{\"x\":")?.strip_suffix('}')?.parse().ok()?;
        Some(event(numbers[&time], time).key())
    }
}

/// Segments of one run and of several, whose times overlap; and which file each event is of.
fn overlapping(store: &mut Store) -> HashMap<i64, u64> {
    let mut numbers = HashMap::new();
    for number in 0..7 {
        let times: Vec<i64> = (0..50).map(|n| n * 8 + number).collect();
        numbers.extend(times.iter().map(|time| (*time, number as u64)));
        let segment = built(store, number as u64, &times);
        store.commit(vec![segment]).unwrap();
    }
    let inputs: Vec<_> = store.current.manifest.segments[1..5].to_vec();
    let merged = merge_of(store, &inputs, false).unwrap();
    store.replace(&inputs, &[merged]).unwrap();
    numbers
}

/// Does all that there is to do for a horizon.
fn expire(store: &mut Store, before: i64, numbers: &HashMap<i64, u64>) {
    store.expire(Micros(before)).unwrap();
    store.drop_expired().unwrap();
    while let Some(job) = store.expiry().unwrap() {
        let made = job.run(&mut read_key(numbers)).unwrap();
        store.replace(&job.inputs, &[made]).unwrap();
    }
}

#[test]
fn events_from_before_go_and_the_others_stay_as_they_are() {
    for before in [0, 1, 200, 201, 392, 396, 500] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        let numbers = overlapping(&mut store);
        expire(&mut store, before, &numbers);
        let (gone, kept): (Vec<i64>, Vec<i64>) = numbers.keys().partition(|time| **time < before);
        check_events(&store, &kept);
        assert_eq!(problems(&store), [""; 0], "{before}");
        let expired =
            Expired { before: Micros(before), events: gone.len() as u64, ..Expired::default() };
        assert_eq!(store.expired(), expired);
        let all_kept = |run: &Run| run.earliest >= Micros(before);
        let snapshot = store.snapshots().load_full();
        assert!(snapshot.segments.iter().all(|segment| segment.runs.iter().all(all_kept)));
        for (time, number) in &numbers {
            let claim = store.dedupe().claim(event(*number, *time).key(), 1).unwrap();
            assert_eq!(claim == Claim::New, gone.contains(time), "{time}");
        }
        drop((snapshot, store));
        let found = inspect(dir.path(), &|_| {}).unwrap();
        assert!(found.problems.is_empty(), "{found:?}");
        let store = Store::open(dir.path(), CACHE).unwrap();
        check_events(&store, &kept);
        assert_eq!(store.expired(), expired);
        assert_eq!(store.horizon().load(Ordering::Relaxed), before);
    }
}

#[test]
fn a_segment_whose_keys_are_others_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let numbers = overlapping(&mut store);
    store.expire(Micros(200)).unwrap();
    store.drop_expired().unwrap();
    let job = store.expiry().unwrap().unwrap();
    let wrong: HashMap<i64, u64> = numbers.iter().map(|(time, n)| (*time, n + 1)).collect();
    let error = job.run(&mut read_key(&wrong)).unwrap_err();
    assert!(error.to_string().contains("it lacks the key of an event"), "{error}");
    check_events(&store, &numbers.keys().copied().collect::<Vec<_>>());
}

#[test]
fn as_many_of_the_latest_are_kept_as_fit() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let numbers = overlapping(&mut store);
    let bytes = store.segment_bytes();
    assert_eq!(store.earliest_to_fit(bytes).unwrap(), None);
    let half = store.earliest_to_fit(bytes / 2).unwrap().unwrap().0;
    let kept = numbers.keys().filter(|time| **time >= half).count();
    assert!((150..=175).contains(&kept), "{kept} of {}", numbers.len());
    let none = store.earliest_to_fit(0).unwrap().unwrap().0;
    assert_eq!(none, *numbers.keys().max().unwrap(), "the index is never emptied");
}

/// They count at the time at which their file was read, whatever they say.
#[test]
fn events_of_the_future_go_when_others_of_their_day_do() {
    const FUTURE: i64 = 9_000_000_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let mut numbers = HashMap::new();
    // The second has nothing else, the third has events of both kinds.
    let begun = Micros::now().0;
    for (number, times) in [(0, [1, 2]), (1, [FUTURE, FUTURE + 1]), (2, [3, FUTURE + 2])] {
        let segment = built(&store, number, &times);
        store.commit(vec![segment]).unwrap();
        numbers.extend(times.map(|time| (time, number)));
    }
    let now = Micros::now().0;
    assert_eq!(store.events_before(Micros(begun)).unwrap(), (6, 3));
    assert_eq!(store.events_before(Micros(now + 1)).unwrap(), (6, 6));
    let third = store.segment_bytes() / 3;
    let to_fit = store.earliest_to_fit(third * 2).unwrap().unwrap();
    assert!((3..begun).contains(&to_fit.0), "the oldest go first, and those are not: {to_fit}");
    let to_fit = store.earliest_to_fit(third / 2).unwrap().unwrap();
    assert!((begun..=now).contains(&to_fit.0), "{to_fit}");
    let read = store.future_to_fit(third * 2).unwrap().unwrap();
    assert!((begun..=now + 1).contains(&read.0), "where space is short, they go before: {read}");
    assert_eq!(store.future_to_fit(third * 3 + 3).unwrap(), None);
    expire(&mut store, begun, &numbers);
    check_events(&store, &[FUTURE, FUTURE + 1, FUTURE + 2]);
    assert_eq!(problems(&store), [""; 0]);
    store.take_back(Micros(2)).unwrap();
    assert_eq!(problems(&store), [""; 0], "what is gone is known to be");
    assert_eq!(store.expired().by_a_wrong_clock(), Some(Micros(begun)));
    expire(&mut store, begun - 1, &numbers);
    assert!(store.expired().by_a_wrong_clock().is_some(), "what it dropped would be kept");
    expire(&mut store, now + 1, &numbers);
    assert_eq!(store.expired().by_a_wrong_clock(), None);
    check_events(&store, &[]);
    assert_eq!(problems(&store), [""; 0]);
}

/// The time of a day that is over has come since they were looked at first.
#[test]
fn a_horizon_between_events_of_the_future_drops_all_of_them() {
    const FUTURE: i64 = 9_000_000_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let begun = Micros::now().0;
    let times = [FUTURE, FUTURE + 2];
    let segment = built(&store, 0, &times);
    store.commit(vec![segment]).unwrap();
    assert_eq!(store.events_before(Micros(begun)).unwrap(), (2, 0));
    assert_eq!(store.events_before(Micros(FUTURE + 1)).unwrap(), (2, 2));
    let to_fit = store.earliest_to_fit(1).unwrap().unwrap();
    assert_eq!(store.events_before(to_fit).unwrap(), (2, 0), "the index is never emptied");
    expire(&mut store, FUTURE + 1, &times.map(|time| (time, 0)).into());
    check_events(&store, &[]);
    assert_eq!(problems(&store), [""; 0]);
}

#[test]
fn what_went_is_no_loss_when_a_segment_is_found_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let mut numbers = HashMap::new();
    for (number, times) in [(0, [1, 2]), (1, [3, 9]), (2, [10, 11])] {
        let segment = built(&store, number, &times);
        store.commit(vec![segment]).unwrap();
        numbers.extend(times.map(|time| (time, number)));
    }
    expire(&mut store, 5, &numbers);
    let views = store.snapshots().load_full();
    let views: Vec<&SegmentView> = views.segments.iter().map(|view| &**view).collect();
    let files = |views: &[&SegmentView]| -> Vec<u64> {
        let lost = opening::losses(store.ledger(), views, store.expired()).unwrap();
        let file = |line: &Line| if let Line::Loss(loss) = line { loss.file } else { panic!() };
        lost.iter().map(file).collect()
    };
    // The second has an event that may have gone or been lost, so it is read again.
    assert_eq!(files(&views), [1]);
    assert_eq!(files(&[]), [1, 2]);
}
