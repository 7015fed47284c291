//! Rankings of a real index, compared with sorting its events by hand.

use tantivy::query::AllQuery;

use super::*;
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading};
use store::store::Store;
use trail::columns::{EVENT_ID, EVENT_NAME};
use trail::flat::{Event, Scalar};
use trail::paths::PathId;
use trail::time::Micros;
use wire::ApiError;

/// An event: its time, and what it has in each of the [`FIELDS`].
#[derive(Clone, Debug)]
struct Given {
    file: u64,
    time: i64,
    values: [Vec<Cell>; 3],
}

/// A column of the schema, a path of texts and numbers, a path of numbers.
const FIELDS: [&str; 3] = ["eventName", "mixed", "size"];

fn sources() -> [ValueSource; 3] {
    let path = |at: usize| ValueSource::Paths(vec![FIELDS[at].to_owned()]);
    [ValueSource::Column(EVENT_NAME), path(1), path(2)]
}

fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

fn given(seed: &mut u64, file: u64) -> Given {
    let mut values: [Vec<Cell>; 3] = Default::default();
    if random(seed, 5) > 0 {
        values[0].push(Cell::text(["Get", "Put", "List", "a", "é"][random(seed, 5) as usize]));
    }
    for _ in 0..random(seed, 3) {
        values[1].push(match random(seed, 4) {
            0 => Cell::text(["7", "x", "Y"][random(seed, 3) as usize]),
            1 => Cell::Bool(random(seed, 2) > 0),
            2 => Cell::Int(random(seed, 9).into()),
            _ => Cell::number(random(seed, 9) as f64 / 2.0),
        });
    }
    for _ in 0..random(seed, 3) {
        // Half of them are whole; a zero has a sign now and then.
        let number = random(seed, 9) as f64 / 2.0 - 2.0;
        values[2].push(Cell::number(if number == 0.0 { -0.0 } else { number }));
    }
    Given { file, time: random(seed, 40) as i64, values }
}

fn event(given: &Given, offset: u64) -> Event {
    let mut event = Event::default();
    for (field, values) in FIELDS.iter().zip(&given.values) {
        let path = event.path(PathId::ROOT, field);
        for value in values {
            match value {
                Cell::Text(text) => event.add(path, Scalar::Str(text)),
                Cell::Bool(b) => event.add(path, Scalar::Bool(*b)),
                Cell::Int(n) if *field == "size" && *n == 0 => {
                    event.add(path, Scalar::F64(-0.0, "-0.0"));
                }
                Cell::Int(n) => event.add(path, Scalar::I64(*n as i64)),
                Cell::Float(n) => event.add(path, Scalar::F64(*n, &n.to_string())),
                _ => unreachable!("none of these was made"),
            }
        }
    }
    let place = format!("{} {offset}", given.file);
    event.raw.extend_from_slice(place.as_bytes());
    (event.file, event.offset) = (given.file, offset);
    event.content = trail::content::ContentHash::of_bytes(place.as_bytes());
    event.finish(Micros(given.time));
    event
}

/// An index with segments of a few files each, and its events.
fn index(seed: &mut u64, sizes: &[usize]) -> (tempfile::TempDir, Arc<Snapshot>, Vec<(Given, u64)>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    let mut all = Vec::new();
    for (file, size) in sizes.iter().enumerate() {
        let mut builder = store.factory().builder().unwrap();
        for offset in 0..*size as u64 {
            let given = given(seed, file as u64);
            builder.add(&event(&given, offset));
            all.push((given, offset));
        }
        let key = FileKey { path: format!("file-{file}"), size: 1, mtime_ns: 1 };
        let reading = Reading { records: *size as u64, ..Reading::default() };
        builder.end_file(FileRecord::new(file as u64, key, FileState::Indexed, reading));
        store.commit(vec![builder.finish().unwrap()]).unwrap();
    }
    let snapshot = store.snapshots().load_full();
    (dir, snapshot, all)
}

/// File and byte of each event that is found.
fn found(snapshot: &Snapshot, ranking: &Ranking) -> Vec<(u64, u64)> {
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let sought = Sought::of(&AllQuery);
    let found = ranked::<ApiError>(snapshot, &sought, ranking, &read, 1 << 24, &|| Ok(())).unwrap();
    assert_eq!(found.matches, snapshot.events());
    assert_eq!(found.groups.is_some(), !ranking.dedup.is_empty());
    found.first.iter().map(|found| (found.position.file, found.position.offset)).collect()
}

/// The same by sorting all of them.
fn by_hand(
    events: &[(Given, u64)],
    sort: &[(usize, bool)],
    dedup: &[usize],
    order: Order,
    limit: usize,
) -> Vec<(u64, u64)> {
    let first = |given: &Given, (field, is_descending): (usize, bool)| {
        let values = given.values[field].iter().cloned();
        values.min_by(|a, b| in_order(a, b, is_descending)).unwrap_or_default()
    };
    let mut events: Vec<&(Given, u64)> = events.iter().collect();
    events.sort_by(|(a, a_offset), (b, b_offset)| {
        let by_place = (a.time, a.file, a_offset).cmp(&(b.time, b.file, b_offset));
        let by_place = if order == Order::Newest { by_place.reverse() } else { by_place };
        let each = sort.iter().map(|key| in_order(&first(a, *key), &first(b, *key), key.1));
        each.fold(Ordering::Equal, Ordering::then).then(by_place)
    });
    let mut seen = std::collections::HashSet::new();
    events.retain(|(given, _)| {
        let values = |field: &usize| {
            let mut values = given.values[*field].clone();
            values.sort();
            values.dedup();
            values
        };
        dedup.is_empty() || seen.insert(dedup.iter().map(values).collect::<Vec<_>>())
    });
    events.iter().take(limit).map(|(given, offset)| (given.file, *offset)).collect()
}

#[test]
fn rankings_are_those_of_sorting_all_events() {
    let mut seed = 11;
    let sizes = [0, 1, 37, 3_000, 700, 1, 250].map(|size: usize| size.max(1));
    let (_dir, snapshot, events) = index(&mut seed, &sizes);
    assert_eq!(snapshot.segments.len(), sizes.len());
    for n in 0..120 {
        let fields = |seed: &mut u64| -> Vec<usize> {
            let mut fields: Vec<usize> = (0..3).filter(|_| random(seed, 2) > 0).collect();
            let turns = fields.len().min(random(seed, 3) as usize);
            fields.rotate_left(turns);
            fields
        };
        let sort: Vec<(usize, bool)> =
            fields(&mut seed).into_iter().map(|field| (field, random(&mut seed, 2) > 0)).collect();
        let dedup = if random(&mut seed, 2) > 0 { fields(&mut seed) } else { Vec::new() };
        let order = [Order::Newest, Order::Oldest][random(&mut seed, 2) as usize];
        let limit = [0, 1, 7, 300, 10_000][random(&mut seed, 5) as usize];
        let source = |field: usize| sources()[field].clone();
        let ranking = Ranking {
            sort: sort
                .iter()
                .map(|(field, is_descending)| (source(*field), *is_descending))
                .collect(),
            dedup: dedup.iter().map(|field| source(*field)).collect(),
            order,
            limit,
        };
        let expected = by_hand(&events, &sort, &dedup, order, limit);
        assert_eq!(found(&snapshot, &ranking), expected, "{n}: {ranking:?}");
    }
}

#[test]
fn groups_that_do_not_fit_are_an_error() {
    let (_dir, snapshot, _) = index(&mut 3, &[200, 200]);
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let (sort, dedup) = (Vec::new(), vec![ValueSource::Time]);
    let ranking = Ranking { sort, dedup, order: Order::Newest, limit: 5 };
    let rank = |bytes_max| {
        let sought = Sought::of(&AllQuery);
        ranked::<IndexError>(&snapshot, &sought, &ranking, &read, bytes_max, &|| Ok(()))
    };
    assert!(matches!(rank(10 * EVENT_BYTES), Err(IndexError::TooManySorted { events: 1..=10 })));
    assert_eq!(rank(1 << 20).unwrap().first.len(), 5);
}

/// The bytes of what is kept, and not the number of events, are the bound: of a page as of an export.
#[test]
fn what_is_sorted_fits_its_memory_or_is_an_error() {
    let (_dir, snapshot, events) = index(&mut 3, &[3_000, 2_000]);
    let wide: Arc<ReadRecord> =
        Arc::new(|record, _, visit| visit(&format!("{}{}", text_of(record), "x".repeat(4_000))));
    let short: Arc<ReadRecord> = Arc::new(|record, _, visit| visit(&text_of(record)));
    let rank = |limit, read: &Arc<ReadRecord>, bytes_max| {
        let sort = vec![(ValueSource::Column(EVENT_ID), false)];
        let ranking = Ranking { sort, dedup: Vec::new(), order: Order::Newest, limit };
        let sought = Sought::of(&AllQuery);
        let found = ranked::<IndexError>(&snapshot, &sought, &ranking, read, bytes_max, &|| Ok(()));
        found.map(|found| found.first.len())
    };
    let is_too_much = |found| matches!(found, Err(IndexError::TooManySorted { events: 1.. }));
    // Five thousand of 4 KB are 20 MB, twice that while they are counted.
    assert!(is_too_much(rank(5_000, &wide, 4 << 20)));
    assert!(is_too_much(rank(usize::MAX, &wide, 4 << 20)));
    assert_eq!(rank(usize::MAX, &wide, 32 << 20).unwrap(), events.len());
    // The first of them fit where all do not.
    assert_eq!(rank(500, &wide, 4 << 20).unwrap(), 500);
    assert_eq!(rank(0, &wide, 1).unwrap(), 0);
    assert_eq!(rank(usize::MAX, &short, 4 << 20).unwrap(), events.len());
    assert!(is_too_much(rank(usize::MAX, &short, 1 << 20)));
    let error = wire::ApiError::from(rank(usize::MAX, &short, 1 << 20).unwrap_err());
    assert!(error.message.contains("events that are sorted or deduplicated"), "{error}");
    assert!(error.suggestion.unwrap().contains("a limit"));
}

fn text_of(record: &[u8]) -> String {
    std::str::from_utf8(record).unwrap().to_owned()
}

/// More than is gathered of a piece before it is put to the others.
#[test]
fn long_values_of_records_are_forgotten_and_rank_as_they_did() {
    let (_dir, snapshot, _) = index(&mut 5, &[1_500, 300]);
    let text = |record: &[u8]| {
        let (file, offset) = std::str::from_utf8(record).unwrap().split_once(' ').unwrap();
        let n: u64 = offset.parse().unwrap();
        format!("{:03}{}{file}", n * 7 % 300, "x".repeat(20_000))
    };
    let read: Arc<ReadRecord> = Arc::new(move |record, _, visit| visit(&text(record)));
    let values = || ValueSource::Column(EVENT_ID);
    let found = |sort, dedup, limit| {
        let ranking = Ranking { sort, dedup, order: Order::Newest, limit };
        let sought = Sought::of(&AllQuery);
        ranked::<ApiError>(&snapshot, &sought, &ranking, &read, 1 << 25, &|| Ok(())).unwrap()
    };
    let first = |found: &Found| -> Vec<(u64, u64)> {
        let of_match = |one: &Match| (one.position.offset * 7 % 300, one.position.file);
        found.first.iter().map(of_match).collect()
    };
    // Each of the first file five times, of the second once.
    let expected: Vec<(u64, u64)> =
        (0..4).flat_map(|n| [(n, 0); 5].into_iter().chain([(n, 1)])).collect();
    assert_eq!(first(&found(vec![(values(), false)], Vec::new(), 24)), expected);
    let expected: Vec<(u64, u64)> = (0..300).rev().flat_map(|n| [(n, 1), (n, 0)]).collect();
    let kept = found(vec![(values(), true)], vec![values()], 10_000);
    assert_eq!((first(&kept), kept.groups), (expected, Some(600)));
}
