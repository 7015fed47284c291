use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tantivy::columnar::ColumnIndex;
use tantivy::query::{BitSetDocSet, ConstScorer};
use tantivy::schema::Schema;
use tantivy::{BitSet, Index, IndexWriter, TantivyDocument};

use super::*;
use segment::docsets::{Scan, Verified, none};

const DOCS: DocId = 200;

/// A segment with so many documents.
fn reader() -> SegmentReader {
    let index = Index::create_in_ram(Schema::builder().build());
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 15_000_000).unwrap();
    for _ in 0..DOCS {
        writer.add_document(TantivyDocument::default()).unwrap();
    }
    writer.commit().unwrap();
    index.reader().unwrap().searcher().segment_readers()[0].clone()
}

fn never() -> Stop {
    Stop::when(|| false)
}

fn bits(docs: &[bool]) -> Docs {
    let mut set = BitSet::with_max_value(DOCS);
    (0..DOCS).filter(|doc| docs[*doc as usize]).for_each(|doc| {
        set.insert(doc);
    });
    Box::new(ConstScorer::new(BitSetDocSet::from(set), 1.0))
}

/// How a set of documents is kept.
#[derive(Clone, Copy, Debug)]
enum Way {
    Bits,
    Scan,
    Verified,
    Narrowed,
    AnyPart,
}

#[derive(Clone, Debug)]
struct Leaf {
    way: Way,
    docs: Arc<Vec<bool>>,
    tested: Arc<AtomicUsize>,
}

impl Leaf {
    fn made(&self, is_idle: bool) -> Docs {
        let (docs, tested) = (Arc::clone(&self.docs), Arc::clone(&self.tested));
        let test = move |doc: DocId| {
            tested.fetch_add(1, Ordering::Relaxed);
            docs[doc as usize]
        };
        let all = vec![true; DOCS as usize];
        match (self.way, is_idle) {
            (Way::Bits, _) | (Way::AnyPart, false) => bits(&self.docs),
            (Way::Scan, _) => {
                let make = if is_idle { Scan::idle } else { Scan::new };
                let scan = make(ColumnIndex::Full, DOCS, Box::new(test), 1, never());
                Box::new(ConstScorer::new(scan, 1.0))
            }
            (Way::Verified | Way::Narrowed, false) => Verified::docs(bits(&all), 1, test, never()),
            (Way::Verified, true) => Verified::idle(bits(&all), 1, test, never()),
            (Way::Narrowed, true) => {
                let of_all = Box::new(move || Ok(bits(&all)));
                let narrowed = Box::new(ConstScorer::new(Narrowed::new(of_all, DOCS), 1.0));
                Verified::idle(narrowed, 1, test, never())
            }
            (Way::AnyPart, true) => {
                let odd = |is_odd: bool| {
                    let docs = self.docs.iter().enumerate();
                    docs.map(|(at, is_there)| *is_there && (at % 2 == 1) == is_odd).collect()
                };
                let of_odd: [Vec<bool>; 2] = [odd(true), odd(false)];
                AnyPart::idle(of_odd.iter().map(|docs| bits(docs)).chain([none()]).collect())
            }
        }
    }
}

impl Query for Leaf {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Leaf {
    fn scorer(&self, _: &SegmentReader, _: Score) -> tantivy::Result<Docs> {
        Ok(self.made(false))
    }

    fn scorer_danger(
        &self,
        _: &SegmentReader,
        target: DocId,
        _: Score,
    ) -> tantivy::Result<(SeekDangerResult, Docs)> {
        let mut docs = self.made(true);
        Ok((docs.seek_danger(target), docs))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("leaf", 1.0))
    }
}

#[derive(Clone, Debug)]
enum Tree {
    Leaf(Leaf),
    All(Vec<Tree>, Vec<Tree>),
    Any(Vec<Tree>),
}

impl Tree {
    fn query(&self) -> Box<dyn Query> {
        let each =
            |parts: &[Self]| -> Vec<Box<dyn Query>> { parts.iter().map(Self::query).collect() };
        match self {
            Self::Leaf(leaf) => Box::new(leaf.clone()),
            Self::All(all, none) => {
                Box::new(All { all: each(all).into(), none: each(none).into(), stop: never() })
            }
            Self::Any(any) => {
                let whole = Arc::new(tantivy::query::BooleanQuery::union(each(any)));
                Box::new(Any { any: each(any).into(), whole, stop: never() })
            }
        }
    }

    fn has(&self, doc: DocId) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.docs[doc as usize],
            Self::All(all, none) => {
                all.iter().all(|part| part.has(doc)) && !none.iter().any(|part| part.has(doc))
            }
            Self::Any(any) => any.iter().any(|part| part.has(doc)),
        }
    }
}

fn leaf() -> impl Strategy<Value = Tree> {
    let ways = prop::sample::select(vec![
        Way::Bits,
        Way::Scan,
        Way::Verified,
        Way::Narrowed,
        Way::AnyPart,
    ]);
    let share = prop::sample::select(vec![0.0, 0.02, 0.3, 0.9, 1.0]);
    let docs = share
        .prop_flat_map(|share| prop::collection::vec(prop::bool::weighted(share), DOCS as usize));
    (ways, docs).prop_map(|(way, docs)| {
        Tree::Leaf(Leaf { way, docs: Arc::new(docs), tested: Arc::default() })
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        let some = |least| prop::collection::vec(inner.clone(), least..4);
        prop_oneof![
            (some(1), some(0)).prop_map(|(all, none)| Tree::All(all, none)),
            some(1).prop_map(Tree::Any),
        ]
    })
}

fn weight(tree: &Tree) -> Box<dyn Weight> {
    let schema = Schema::builder().build();
    tree.query().weight(EnableScoring::disabled_from_schema(&schema)).unwrap()
}

proptest! {
    #[test]
    fn documents_are_those_that_meet_the_conditions(tree in tree(), steps in prop::collection::vec(1..40_u32, 8)) {
        let (reader, weight) = (reader(), weight(&tree));
        let expected: Vec<DocId> = (0..DOCS).filter(|doc| tree.has(*doc)).collect();
        let mut docs = weight.scorer(&reader, 1.0).unwrap();
        let mut found = Vec::new();
        while docs.doc() != TERMINATED {
            found.push(docs.doc());
            docs.advance();
        }
        prop_assert_eq!(&found, &expected);
        // By leaps.
        let next = |target| expected.iter().copied().find(|doc| *doc >= target).unwrap_or(TERMINATED);
        let mut docs = weight.scorer(&reader, 1.0).unwrap();
        let mut target = docs.doc();
        for step in &steps {
            target = (target + step).min(TERMINATED);
            prop_assert_eq!(docs.seek(target), next(target));
            target = docs.doc();
        }
        // One by one, where another leads, and on from what was found.
        let (found, docs) = weight.scorer_danger(&reader, steps[0], 1.0).unwrap();
        let mut part = Part { docs, idle_until: None };
        part.note(found);
        let mut target = steps[0];
        for step in &steps[1..] {
            match part.ask(target) {
                SeekDangerResult::Found => prop_assert_eq!(next(target), target),
                SeekDangerResult::SeekLowerBound(bound) => {
                    prop_assert!(bound > target && bound <= next(target + 1) && next(target) != target);
                }
            }
            target += step;
            if target >= DOCS {
                break;
            }
        }
        prop_assert_eq!(part.next(target), next(target));
    }
}

/// What is dear is asked only of what the cheap conditions leave, and of nothing where they leave nothing.
#[test]
fn nothing_is_tested_but_what_the_conditions_before_leave() {
    let leaf = |way, is_there: fn(usize) -> bool| {
        let docs = (0..DOCS as usize).map(is_there).collect();
        Leaf { way, docs: Arc::new(docs), tested: Arc::default() }
    };
    let reader = reader();
    for way in [Way::Scan, Way::Verified, Way::Narrowed] {
        for (left, expected) in [(vec![7_u32, 90], 2), (Vec::new(), 0)] {
            let rare = if left.is_empty() {
                leaf(Way::Bits, |_| false)
            } else {
                leaf(Way::Bits, |at| [7, 90].contains(&at))
            };
            for is_negated in [false, true] {
                let dear = leaf(way, |_| false);
                let tested = Arc::clone(&dear.tested);
                let [rare, dear] = [rare.clone(), dear].map(Tree::Leaf);
                let (all, none) =
                    if is_negated { (vec![rare], vec![dear]) } else { (vec![rare, dear], vec![]) };
                let mut docs = weight(&Tree::All(all, none)).scorer(&reader, 1.0).unwrap();
                let mut found = Vec::new();
                while docs.doc() != TERMINATED {
                    found.push(docs.doc());
                    docs.advance();
                }
                assert_eq!(found, if is_negated { left.clone() } else { Vec::new() });
                assert_eq!(tested.load(Ordering::Relaxed), expected, "{way:?} {is_negated}");
            }
        }
    }
}
