//! Tables of a real index, compared with what counting its events by hand comes to.

use std::collections::{BTreeMap, BTreeSet};

use tantivy::query::{AllQuery, Query};

use super::*;
use crate::clauses::{ClauseQuery, Stop, TimeClause};
use crate::value_clauses::ExistsClause;
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading};
use store::store::Store;
use trail::columns::{EVENT_ID, EVENT_NAME, USER_AGENT};
use trail::flat::{Event, Scalar};
use trail::paths::PathId;
use trail::time::Micros;
use wire::ApiError;

/// A name, if the event has one, and a time. [`OBJECT`] is no name.
type Given = (Option<String>, i64);

/// Instead of a name, the event has something below the path of its name.
const OBJECT: &str = "an object";

fn event(file: u64, n: usize, (name, time): &Given) -> Event {
    let mut event = Event::default();
    let path = event.path(PathId::ROOT, EVENT_NAME.column().path);
    match name.as_deref() {
        Some(OBJECT) => {
            let below = event.path(path, "below");
            event.add(below, Scalar::I64(1));
        }
        Some(name) => event.add(path, Scalar::Str(name)),
        None => {}
    }
    let place = format!("{file} {n}");
    event.raw.extend_from_slice(place.as_bytes());
    event.file = file;
    event.content = trail::content::ContentHash::of_bytes(place.as_bytes());
    event.finish(Micros(*time));
    event
}

/// An index with a segment of each of these.
fn index_of(segments: &[Vec<Given>]) -> (tempfile::TempDir, Arc<Snapshot>) {
    let (dir, store) = store_of(segments);
    let snapshot = store.snapshots().load_full();
    assert_eq!(snapshot.segments.len(), segments.len());
    (dir, snapshot)
}

fn store_of(segments: &[Vec<Given>]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    for (number, events) in segments.iter().enumerate() {
        let mut builder = store.factory().builder().unwrap();
        for (n, given) in events.iter().enumerate() {
            builder.add(&event(number as u64, n, given));
        }
        let key = FileKey { path: format!("file-{number}"), size: 1, mtime_ns: 1 };
        let reading = Reading { records: events.len() as u64, ..Reading::default() };
        builder.end_file(FileRecord::new(number as u64, key, FileState::Indexed, reading));
        let built = builder.finish().unwrap();
        store.commit(vec![built]).unwrap();
    }
    (dir, store)
}

fn table(snapshot: &Snapshot, query: &dyn Query, grouping: &Grouping) -> Grouped {
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let mut grouped = group::<ApiError>(
        snapshot,
        &Sought::of(query),
        grouping,
        &read,
        Room::of(1 << 24),
        &|| Ok(()),
    )
    .unwrap();
    grouped.rows.sort_by(|a, b| (&b[b.len() - 1], &a[0]).cmp(&(&a[a.len() - 1], &b[0])));
    grouped
}

fn by_name(largest: Option<usize>) -> Grouping {
    let keys = vec![ValueSource::Column(EVENT_NAME)];
    Grouping { keys, measures: vec![Measure::Count], largest }
}

/// The names, those first that the most events have; no name comes last of as many.
fn by_hand<'a>(events: impl Iterator<Item = &'a Given>) -> Vec<Vec<Cell>> {
    let mut counts: BTreeMap<(bool, &str), i128> = BTreeMap::new();
    for (name, _) in events {
        *counts.entry((name.is_none(), name.as_deref().unwrap_or(""))).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, events)| -events);
    let row = |((is_none, name), events): ((bool, &str), i128)| {
        vec![if is_none { Cell::Null } else { Cell::text(name) }, Cell::Int(events)]
    };
    counts.into_iter().map(row).collect()
}

fn with_name(snapshot: &Arc<Snapshot>) -> Box<dyn Query> {
    let clause = ExistsClause { path: EVENT_NAME.column().path.to_owned() };
    ClauseQuery::boxed(snapshot, clause, &Stop::when(|| false))
}

fn after(snapshot: &Arc<Snapshot>, start: i64) -> Box<dyn Query> {
    let clause = TimeClause { start: Micros(start), end: Micros(i64::MAX) };
    ClauseQuery::boxed(snapshot, clause, &Stop::when(|| false))
}

/// Some names that many events have, and many that few have, unlike in each segment.
fn uneven() -> Vec<Vec<Given>> {
    let mut seed: u64 = 7;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut segment = |segment: u64| {
        let mut events: Vec<Given> = Vec::new();
        for n in 0..600 {
            events.push((Some(format!("rare-{}", n + 200 * segment)), n as i64));
        }
        for common in 0..8 {
            // The third is the most frequent, but of no segment.
            let count =
                if common == 2 { 100 } else { random(90) + 110 * u64::from(common == segment) };
            let name = Some(format!("common-{common}"));
            events.extend((0..count).map(|n| (name.clone(), 1_000 + n as i64)));
        }
        events.extend((0..random(150)).map(|n| (None, 2_000 + n as i64)));
        events
    };
    (0..4).map(&mut segment).collect()
}

/// The same without the names that few have: the inverted index tells these tables.
fn few() -> Vec<Vec<Given>> {
    let is_rare =
        |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with("rare"));
    let without = |segment: Vec<Given>| segment.into_iter().filter(|(name, _)| !is_rare(name));
    uneven().into_iter().map(|segment| without(segment).collect()).collect()
}

#[test]
fn tables_of_all_events_are_those_of_the_events_one_by_one() {
    for segments in [uneven(), few()] {
        check_tables_of_all(&segments);
    }
}

fn check_tables_of_all(segments: &[Vec<Given>]) {
    let (_dir, snapshot) = index_of(segments);
    let events: Vec<&Given> = segments.iter().flatten().collect();
    for start in [i64::MIN, 100, 1_050] {
        let expected = by_hand(events.iter().copied().filter(|(_, time)| *time >= start));
        let query = after(&snapshot, start);
        let mut queries: Vec<&dyn Query> = vec![&*query];
        if start == i64::MIN {
            queries.push(&AllQuery);
        }
        for query in queries {
            let all = table(&snapshot, query, &by_name(None));
            assert_eq!(all.rows, expected);
            let total: i128 =
                expected.iter().map(|row| if let Cell::Int(n) = row[1] { n } else { 0 }).sum();
            assert_eq!(i128::from(all.events), total);
            for limit in [1, 2, 3, 5, 9, 200] {
                let largest = table(&snapshot, query, &by_name(Some(limit)));
                let first = limit.min(expected.len());
                assert_eq!(largest.rows[..first], expected[..first], "the first {limit}");
                assert_eq!(largest.events, all.events);
            }
            let values = expected.iter().filter(|row| row[0] != Cell::Null).count() as i128;
            let distinct = |column| Measure::Distinct(ValueSource::Column(column));
            let measures = vec![Measure::Count, distinct(EVENT_NAME), distinct(USER_AGENT)];
            let numbers =
                table(&snapshot, query, &Grouping { keys: Vec::new(), measures, largest: None });
            assert_eq!(numbers.rows, [[Cell::Int(total), Cell::Int(values), Cell::Int(0)]]);
            assert_eq!(numbers.events, all.events);
        }
    }
}

#[test]
fn tables_of_the_events_that_have_a_value_have_no_others() {
    let limits = [None, Some(1), Some(3), Some(9), Some(2_000)];
    for (mut segments, has_objects) in
        [(uneven(), false), (uneven(), true), (few(), false), (few(), true)]
    {
        if has_objects {
            segments[1].extend((0..700).map(|n| (Some(OBJECT.to_owned()), n)));
        }
        let (_dir, snapshot) = index_of(&segments);
        let query = with_name(&snapshot);
        let with = segments.iter().flatten().filter(|(name, _)| name.is_some()).cloned();
        let with: Vec<Given> =
            with.map(|(name, time)| (name.filter(|name| name != OBJECT), time)).collect();
        let expected = by_hand(with.iter());
        for limit in limits {
            let found = table(&snapshot, &*query, &by_name(limit));
            let first = limit.unwrap_or(usize::MAX).min(expected.len());
            assert_eq!(found.rows[..first], expected[..first], "{has_objects} {limit:?}");
            assert_eq!(found.events, with.len() as u64);
        }
    }
}

#[test]
fn names_whose_events_were_dropped_are_in_no_table() {
    let kept_from = 1_050;
    let mut segments = few();
    segments[0].extend((0..30).map(|n| (Some(format!("early-{}", n % 3)), n)));
    let (_dir, mut store) = store_of(&segments);
    store.expire(Micros(kept_from)).unwrap();
    store.drop_expired().unwrap();
    let mut read_key = |record: &[u8]| {
        let (file, n) = std::str::from_utf8(record).ok()?.split_once(' ')?;
        let (file, n): (usize, usize) = (file.parse().ok()?, n.parse().ok()?);
        Some(event(file as u64, n, &segments[file][n]).key())
    };
    while let Some(job) = store.expiry().unwrap() {
        let made = job.run(&mut read_key).unwrap();
        store.replace(&job.inputs, &[made]).unwrap();
    }
    let snapshot = store.snapshots().load_full();
    let kept: Vec<&Given> =
        segments.iter().flatten().filter(|(_, time)| *time >= kept_from).collect();
    let expected = by_hand(kept.iter().copied());
    assert!(expected.len() < by_hand(segments.iter().flatten()).len(), "a name is gone");
    for limit in [None, Some(3)] {
        let found = table(&snapshot, &AllQuery, &by_name(limit));
        let first = limit.unwrap_or(expected.len());
        assert_eq!(found.rows[..first], expected[..first]);
        assert_eq!(found.events, kept.len() as u64);
    }
    let measures = vec![Measure::Distinct(ValueSource::Column(EVENT_NAME))];
    let distinct = Grouping { keys: Vec::new(), measures, largest: None };
    let values = expected.iter().filter(|row| row[0] != Cell::Null).count();
    assert_eq!(table(&snapshot, &AllQuery, &distinct).rows, [[Cell::Int(values as i128)]]);
}

#[test]
fn without_distinct_values_numbers_are_of_events() {
    let (_dir, snapshot) = index_of(&[vec![(Some("a".into()), 1), (None, 2)]]);
    let measures = vec![Measure::Count, Measure::Count];
    let twice = Grouping { keys: Vec::new(), measures, largest: None };
    let numbers = table(&snapshot, &AllQuery, &twice);
    assert_eq!(numbers.rows, [[Cell::Int(2), Cell::Int(2)]]);
}

/// The events of each segment, counted one by one.
fn counters(snapshot: &Snapshot) -> Vec<Counter> {
    let count = |segment: &Arc<SegmentView>| {
        let mut counter =
            Counter::open(segment, &[ValueSource::Column(EVENT_NAME)]).unwrap().unwrap();
        let docs: Vec<DocId> = (0..segment.events()).collect();
        assert!(docs.chunks(64).all(|block| counter.add(block)));
        counter
    };
    snapshot.segments.iter().map(count).collect()
}

#[test]
fn the_most_frequent_are_told_from_a_few_where_some_stand_out_and_only_there() {
    let is_told = |segments: &[Vec<Given>], limit| {
        let (_dir, snapshot) = index_of(segments);
        top::is_told_by_candidates(&counters(&snapshot), limit)
    };
    let segments = uneven();
    assert!(is_told(&segments, 1) && is_told(&segments, 4));
    // The ninth is as rare as hundreds.
    assert!(!is_told(&segments, 9));
    let rare =
        |segment: &Vec<Given>| segment.iter().filter(|(_, time)| *time < 1_000).cloned().collect();
    let rare: Vec<Vec<Given>> = segments.iter().map(rare).collect();
    assert!(!is_told(&rare, 1));
    let names: BTreeSet<_> = rare.iter().flatten().map(|(name, _)| name).collect();
    assert!(names.len() > 500);
}

#[test]
fn a_value_is_the_most_frequent_that_other_values_hide_in_most_segments() {
    let given = |name: String, count: i64| (0..count).map(move |n| (Some(name.clone()), n));
    let segments: Vec<Vec<Given>> = (0..4)
        .map(|segment| {
            let rare = (0..100).flat_map(|n| given(format!("rare-{segment}-{n}"), 1));
            let local = (0..4).flat_map(|n| given(format!("local-{segment}-{n}"), 70));
            let (first, second) = if segment == 0 { (300, 0) } else { (60, 150) };
            rare.chain(local)
                .chain(given("first".to_owned(), first))
                .chain(given("second".to_owned(), second))
                .collect()
        })
        .collect();
    let (_dir, snapshot) = index_of(&segments);
    assert!(top::is_told_by_candidates(&counters(&snapshot), 1));
    let found = table(&snapshot, &AllQuery, &by_name(Some(1)));
    assert_eq!(found.rows[0], [Cell::text("first"), Cell::Int(480)]);
}

#[test]
fn few_values_are_counted_by_the_inverted_index() {
    let segments = vec![(0..64).map(|n| ((n % 4 > 0).then(|| format!("v{}", n % 3)), n)).collect()];
    let (_dir, snapshot) = index_of(&segments);
    let counter = Counter::of_all(&snapshot.segments[0], EVENT_NAME).unwrap().expect("it tells");
    let (_, counts, without) = counter.of_one_text().unwrap();
    assert_eq!((counts, without), (&[16, 16, 16][..], 16));
    let missing = Counter::of_all(&snapshot.segments[0], USER_AGENT).unwrap().expect("it tells");
    let (_, counts, without) = missing.of_one_text().unwrap();
    assert_eq!((counts, without), (&[][..], 64));
}

/// More than is gathered of a piece before it is put to the others.
#[test]
fn long_values_of_records_are_forgotten_and_count_as_they_did() {
    let segments: Vec<Vec<Given>> = vec![(0..1_500).map(|n| (None, n)).collect(); 2];
    let (_dir, snapshot) = index_of(&segments);
    let text = |record: &[u8]| {
        let (_, n) = std::str::from_utf8(record).unwrap().split_once(' ').unwrap();
        let n: u64 = n.parse().unwrap();
        format!("{:04}{}", n * 7 % 1_000, "x".repeat(20_000))
    };
    let read: Arc<ReadRecord> = Arc::new(move |record, _, visit| visit(&text(record)));
    let source = || ValueSource::Column(EVENT_ID);
    let measures =
        vec![Measure::Distinct(source()), Measure::Max(source()), Measure::Min(source())];
    let grouping = Grouping { keys: Vec::new(), measures, largest: None };
    let sought = Sought::of(&AllQuery);
    let found =
        group::<ApiError>(&snapshot, &sought, &grouping, &read, Room::of(1 << 24), &|| Ok(()))
            .unwrap();
    let text = |n: u64| Cell::text(&format!("{n:04}{}", "x".repeat(20_000)));
    assert_eq!(found.rows, [[Cell::Int(1_000), text(999), text(0)]]);
    let mut values = Values::open(&snapshot.segments[0], &source(), &read).unwrap();
    values.of(0).unwrap();
    assert!((20_000..100_000).contains(&values.bytes()) && values.more_steps() == 0);
    values.forget();
    assert_eq!(values.bytes(), 0);
}

/// The groups of several passes together, how many passes there were, and how often none had room.
fn in_passes(snapshot: &Snapshot, grouping: &Grouping, bytes_max: usize) -> (Grouped, usize) {
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let sought = Sought::of(&AllQuery);
    let asked = Asked::<ApiError> {
        snapshot,
        sought: &sought,
        grouping,
        read: &read,
        bytes_max,
        may_split: true,
        check: &|| Ok(()),
    };
    let mut grouped = Grouped::default();
    let passes = group_in_passes(&asked, |rows, are_all| {
        assert_eq!(are_all, bytes_max > 1 << 20);
        grouped.rows.extend(rows);
        Ok::<_, ApiError>(0)
    });
    let Passes { events, is_exact, count } = passes.unwrap();
    grouped.rows.sort();
    (Grouped { events, is_exact, ..grouped }, count)
}

#[test]
fn groups_that_do_not_fit_come_in_passes_and_are_the_same() {
    let (_dir, snapshot) = index_of(&uneven());
    let name = || ValueSource::Column(EVENT_NAME);
    let measures = || vec![Measure::Count, Measure::Max(name()), Measure::List(name())];
    for grouping in [
        by_name(None),
        by_name(Some(2_000)),
        Grouping { measures: measures(), ..by_name(None) },
        Grouping { keys: vec![name(), ValueSource::Time], ..by_name(None) },
        Grouping { keys: vec![name(), name()], measures: measures(), largest: None },
    ] {
        let (whole, count) = in_passes(&snapshot, &grouping, 1 << 26);
        assert_eq!(count, 1);
        let (parted, count) = in_passes(&snapshot, &grouping, 90_000);
        assert!((4..=64).contains(&count), "{count}");
        assert_eq!(parted.rows, whole.rows);
        assert_eq!((parted.events, parted.is_exact), (whole.events, true));
    }
}

#[test]
fn one_group_that_does_not_fit_is_refused_after_few_passes() {
    let (_dir, snapshot) = index_of(&uneven());
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let list = vec![Measure::List(ValueSource::Column(EVENT_NAME))];
    for keys in [vec![], vec![ValueSource::Column(USER_AGENT)]] {
        let grouping = Grouping { keys, measures: list.clone(), largest: None };
        let sought = Sought::of(&AllQuery);
        let asked = Asked::<ApiError> {
            snapshot: &snapshot,
            sought: &sought,
            grouping: &grouping,
            read: &read,
            bytes_max: 20_000,
            may_split: true,
            check: &|| Ok(()),
        };
        let refused = group_in_passes(&asked, |_, _| Ok(0)).unwrap_err();
        assert!(refused.message.contains("groups do not fit"), "{refused}");
    }
}
