//! Which matches are collected, and how they are counted, against sorting by hand.

use std::ops::Range;

use segment::merge;
use store::store::Store;
use store::testing::built;
use tantivy::query::{AllQuery, EmptyQuery, Query};
use trail::time::Micros;
use wire::{ApiError, Order, TotalMode};

use super::{Counting, Wanted, collect};
use crate::clauses::{ClauseQuery, TimeClause};
use crate::visit::Sought;
use segment::stop::Stop;

const CACHE: usize = 1 << 20;

fn times(store: &Store, query: &dyn Query, limit: usize, order: Order) -> Vec<i64> {
    let snapshot = store.snapshots().load_full();
    let ask = |counting| {
        let after = None;
        let wanted = Wanted { limit, order, after, total: TotalMode::Exact, counting };
        let (found, total) =
            collect::<ApiError>(&snapshot, &Sought::of(query), wanted, &|| Ok(())).unwrap();
        let times: Vec<i64> = found.iter().map(|found| found.position.time.0).collect();
        (times, total)
    };
    let answer = ask(Counting::Known);
    let one_by_one = ask(Counting::OneByOne(None));
    assert_eq!(answer, one_by_one, "either way of counting finds the same");
    assert!(answer.1.value >= answer.0.len() as u64);
    answer.0
}

#[test]
fn of_events_of_the_same_time_those_of_the_later_file_are_newer_whatever_segment_is_first() {
    let expected = [(9, 1), (9, 0), (5, 1), (5, 0), (5, 0)];
    for files in [[0, 1], [1, 0]] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        for file in files {
            let times: &[i64] = if file == 0 { &[5, 5, 9] } else { &[5, 9] };
            let segment = built(&store, file, times);
            store.commit(vec![segment]).unwrap();
        }
        let snapshot = store.snapshots().load_full();
        for limit in 1..=expected.len() {
            let (order, after, total) = (Order::Newest, None, TotalMode::None);
            let wanted = Wanted { limit, order, after, total, counting: Counting::Known };
            let (found, _) =
                collect::<ApiError>(&snapshot, &Sought::of(&AllQuery), wanted, &|| Ok(())).unwrap();
            let found: Vec<_> =
                found.iter().map(|found| (found.position.time.0, found.position.file)).collect();
            assert_eq!(found, expected[..limit], "{files:?}");
        }
    }
}

#[test]
fn a_segment_is_counted_once_for_a_condition() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CACHE).unwrap();
    let ask = |store: &Store, query: &dyn Query, condition, limit| {
        let counting = Counting::OneByOne(Some(condition));
        let (order, after, total) = (Order::Newest, None, TotalMode::Exact);
        let wanted = Wanted { limit, order, after, total, counting };
        let snapshot = store.snapshots().load_full();
        let (found, total) =
            collect::<ApiError>(&snapshot, &Sought::of(query), wanted, &|| Ok(())).unwrap();
        assert!(total.exact);
        (found.iter().map(|found| found.position.time.0).collect::<Vec<_>>(), total.value)
    };
    let segment = built(&store, 0, &[5, 1, 9]);
    store.commit(vec![segment]).unwrap();
    assert_eq!(ask(&store, &AllQuery, 1, 2), (vec![9, 5], 3));
    // That the number is kept, and matches are not, is seen where the name is given to another query.
    assert_eq!(ask(&store, &EmptyQuery, 1, 2), (vec![], 3));
    assert_eq!(ask(&store, &EmptyQuery, 2, 2), (vec![], 0));
    let segment = built(&store, 1, &[7, 2]);
    store.commit(vec![segment]).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&store, &AllQuery, 1, 3), (vec![9, 7, 5], 5));
    }
    assert_eq!(ask(&store, &AllQuery, 1, 0), (vec![], 5));
}

fn between(store: &Store, range: Range<i64>) -> Vec<i64> {
    let snapshot = store.snapshots().load_full();
    let clause = TimeClause { start: Micros(range.start), end: Micros(range.end) };
    let query = ClauseQuery::boxed(&snapshot, clause, &Stop::when(|| false));
    times(store, &*query, 1_000, Order::Oldest)
}

fn check_searches(store: &Store, ascending: &[i64]) {
    for limit in [1, 3, 1_000] {
        let oldest: Vec<i64> = ascending.iter().copied().take(limit).collect();
        let newest: Vec<i64> = ascending.iter().rev().copied().take(limit).collect();
        assert_eq!(times(store, &AllQuery, limit, Order::Oldest), oldest);
        assert_eq!(times(store, &AllQuery, limit, Order::Newest), newest);
    }
    for range in [0..7, 5..6, 3..300, -5..0, 1_000..2_000] {
        let within: Vec<i64> =
            ascending.iter().copied().filter(|time| range.contains(time)).collect();
        assert_eq!(between(store, range.clone()), within, "{range:?}");
    }
}

#[test]
fn every_order_and_range_is_as_sorted_by_hand_before_and_after_merges_of_either_kind() {
    for is_sorted in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        let mut expected = Vec::new();
        for file in 0..10 {
            let times: Vec<i64> = (0..40).map(|n| (n * 7 + file * 13) % 290).collect();
            let segment = built(&store, file.cast_unsigned(), &times);
            store.commit(vec![segment]).unwrap();
            expected.extend(times);
        }
        expected.sort_unstable();
        check_searches(&store, &expected);
        let job = store.merge_candidates().expect("ten segments of a size are merged");
        let inputs = &job.inputs;
        let merged =
            merge::merge(&job.files, &job.fields, &job.dictionaries, inputs, is_sorted).unwrap();
        store.replace(inputs, &[merged]).unwrap();
        assert_eq!(store.snapshots().load().segments.len(), 1);
        check_searches(&store, &expected);
    }
}
