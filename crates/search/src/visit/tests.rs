//! Conditions that fail, under each of those who make something of matches.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tantivy::query::{AllQuery, BitSetDocSet, BooleanQuery, ConstScorer, Occur, Query};
use tantivy::{BitSet, DocId};

use super::*;
use crate::arrivals::arrivals;
use crate::clauses::{Clause, ClauseQuery, Context};
use crate::collect::{Counting, Wanted, collect};
use crate::groups::{Grouping, Measure, Room, group};
use crate::ranked::{Ranking, ranked};
use crate::values::{ReadRecord, ValueSource};
use crate::word_clauses::WordFormClause;
use store::store::Store;
use store::testing::built;
use wire::engine::Cancel;
use wire::{ErrorKind, Order, SearchRequest, TotalMode};

/// Documents with an even number; it cannot tell of one of them.
#[derive(Debug)]
struct Failing {
    at: DocId,
    how: How,
}

/// What it tests.
#[derive(Clone, Copy, Debug)]
enum How {
    Every,
    /// Candidates of its own.
    Candidates,
    /// Every document, gathered into a set first.
    Gathered,
}

impl Clause for Failing {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let at = self.at;
        let test = move |doc: DocId| {
            if doc == at {
                return Err(IndexError::damaged(Path::new("x.records"), "block 7"));
            }
            Ok(doc.is_multiple_of(2))
        };
        match self.how {
            How::Every => Ok(context.scan_reading(test)),
            How::Candidates => Ok(context.verified_reading(context.query(&AllQuery)?, 10, test)),
            How::Gathered => {
                let mut set = BitSet::with_max_value(context.segment.events());
                context.add_all(context.scan_reading(test), &mut set)?;
                Ok(Box::new(ConstScorer::new(BitSetDocSet::from(set), 1.0)))
            }
        }
    }
}

fn snapshot(store: &mut Store) -> Arc<Snapshot> {
    for number in 0..3 {
        let times: Vec<i64> = (0..300).map(|n| n + number as i64).collect();
        let segment = built(store, number, &times);
        store.commit(vec![segment]).unwrap();
    }
    store.snapshots().load_full()
}

/// What each of those who make something of matches answers, as an error's text.
/// `condition` tells what is sought from all else.
fn answers(
    snapshot: &Snapshot,
    condition: u128,
    sought: &dyn Fn() -> Sought,
) -> Vec<(&'static str, String)> {
    let go_on = || Ok::<_, IndexError>(());
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let mut answers = Vec::new();
    let mut add = |who, error: Option<IndexError>| {
        answers.push((who, error.map_or("it answered".to_owned(), |error| error.to_string())));
    };
    let collected = |limit, order, total, counting| {
        let wanted = Wanted { limit, order, after: None, total, counting };
        collect(snapshot, &sought(), wanted, &go_on).err()
    };
    let one_by_one = Counting::OneByOne(Some(condition));
    add("newest", collected(1_000, Order::Newest, TotalMode::None, one_by_one));
    add("oldest", collected(1_000, Order::Oldest, TotalMode::None, one_by_one));
    add("counted", collected(5, Order::Newest, TotalMode::Exact, one_by_one));
    add("number", collected(0, Order::Newest, TotalMode::Exact, Counting::Known));
    add("bounded", collected(0, Order::Newest, TotalMode::Bounded, Counting::OneByOne(None)));
    let time = || vec![ValueSource::Time];
    for (who, sort, dedup) in [("sort", time(), vec![]), ("dedup", vec![], time())] {
        let sort = sort.into_iter().map(|source| (source, true)).collect();
        let ranking = Ranking { sort, dedup, order: Order::Newest, limit: 5 };
        add(who, ranked(snapshot, &sought(), &ranking, &read, 1 << 20, &go_on).err());
    }
    for (who, keys) in [("groups", time()), ("count", vec![])] {
        let grouping = Grouping { keys, measures: vec![Measure::Count], largest: None };
        add(who, group(snapshot, &sought(), &grouping, &read, Room::of(1 << 20), &go_on).err());
    }
    add("arrivals", arrivals(snapshot, &sought(), (0, 0), 5, &go_on).err());
    answers
}

#[test]
fn a_condition_that_fails_is_an_error_and_never_one_that_does_not_match() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    let snapshot = snapshot(&mut store);
    let mut condition = 0;
    for how in [How::Every, How::Candidates, How::Gathered] {
        let clause = |at, stop: &Stop| ClauseQuery::boxed(&snapshot, Failing { at, how }, stop);
        let sought = |at: DocId, is_negated: bool| {
            let stop = Stop::when(|| false);
            let mut query = clause(at, &stop);
            if is_negated {
                let all: Box<dyn Query> = Box::new(AllQuery);
                query =
                    Box::new(BooleanQuery::new(vec![(Occur::Must, all), (Occur::MustNot, query)]));
            }
            Sought { query, stop }
        };
        for (at, is_negated) in [(0, false), (0, true), (151, false), (151, true), (299, true)] {
            condition += 1;
            for (who, answer) in answers(&snapshot, condition, &|| sought(at, is_negated)) {
                assert_eq!(answer, "x.records: block 7", "{who} of {at}, negated: {is_negated}");
            }
        }
        condition += 1;
        for (who, answer) in answers(&snapshot, condition, &|| sought(300, false)) {
            assert_eq!(answer, "it answered", "{who}: no segment has that document");
        }
    }
    // The first failure ends the search, so perhaps not of every segment.
    assert!(snapshot.segments.iter().any(|segment| segment.is_damaged()), "and it is noted");
}

#[test]
fn a_search_that_should_end_is_told_why_and_suspects_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    let snapshot = snapshot(&mut store);
    let stop = Stop::when(|| true);
    let clause = Stopped;
    let sought = Sought { query: ClauseQuery::boxed(&snapshot, clause, &stop), stop };
    let error = collect(
        &snapshot,
        &sought,
        Wanted {
            limit: 1,
            order: Order::Newest,
            after: None,
            total: TotalMode::Exact,
            counting: Counting::Known,
        },
        &|| Ok::<_, IndexError>(()),
    );
    assert!(matches!(error, Err(IndexError::Stopped)));
    assert!(!snapshot.segments.iter().any(|segment| segment.health.is_suspect()));
}

/// Asks whether to go on, as what looks at much does.
#[derive(Debug)]
struct Stopped;

impl Clause for Stopped {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        context.stop.check()?;
        context.query(&AllQuery)
    }
}

/// A test of words that fails one search by what it does to the search, not by itself.
#[test]
fn what_a_failed_search_found_is_kept_for_no_other() {
    #[derive(Clone, Debug)]
    struct All;

    impl crate::value_clauses::ValueTest for All {
        fn is_met_by(&self, _: &str) -> bool {
            true
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    let snapshot = snapshot(&mut store);
    let read: Arc<ReadRecord> = Arc::new(|_, _, _| {});
    let name = "all".to_owned();
    let stop = Stop::when(|| false);
    let clause = WordFormClause { name, test: All, read };
    let segment = &snapshot.segments[0];
    let context = Context { snapshot: &snapshot, segment, stop: &stop, is_idle: false };
    stop.fail(IndexError::damaged(Path::new("x.records"), "block 7"));
    assert!(clause.docs(&context).is_err());
    let stop = Stop::when(|| false);
    let mut docs = clause.docs(&Context { stop: &stop, ..context }).unwrap();
    assert_eq!(tantivy::DocSet::count_including_deleted(&mut docs), segment.events());
}

#[test]
fn a_caller_can_give_groups_less_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20).unwrap();
    let snapshot = snapshot(&mut store);
    let request = SearchRequest { query: "* | count by eventTime".into(), ..Default::default() };
    let cancel = Cancel::at(Instant::now() + Duration::from_mins(1));
    let asked = |cancel: &Cancel| crate::run::search(&snapshot, &request, Timestamp::now(), cancel);
    assert!(asked(&cancel).is_ok());
    let refused = asked(&cancel.with_group_bytes(1_000)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest, "{refused}");
}
