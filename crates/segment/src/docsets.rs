//! Sets of documents that tantivy has no `DocSet` for: ranges, scans of a column, small unions, and
//! candidates that pass a test. Each visits its documents in ascending order.

use std::ops::Range;

use tantivy::columnar::ColumnIndex;
use tantivy::columnar::column_index::MultiValueIndex;
use tantivy::query::{ConstScorer, EmptyScorer, Scorer};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, TERMINATED};

use crate::stop::{STEPS, Stop};

/// Steps that reading a document of a posting list counts as, where candidates are verified: what a
/// record costs was measured with small ones.
const STEPS_PER_COST: usize = 64;

/// The documents of a segment that meet a condition.
pub type Docs = Box<dyn Scorer>;

/// Returns the empty set.
pub fn none() -> Docs {
    Box::new(EmptyScorer)
}

/// The documents of several ranges.
pub struct Ranges {
    doc: DocId,
    ranges: std::vec::IntoIter<Range<DocId>>,
    /// The range that `doc` is in.
    current: Range<DocId>,
}

impl Ranges {
    /// Takes ranges in ascending order that do not overlap.
    pub fn new(ranges: Vec<Range<DocId>>) -> Self {
        let mut docs = Self { doc: 0, ranges: ranges.into_iter(), current: 0..0 };
        docs.seek(0);
        docs
    }
}

impl DocSet for Ranges {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        while target >= self.current.end {
            match self.ranges.next() {
                Some(range) => self.current = range,
                None => {
                    self.doc = TERMINATED;
                    return TERMINATED;
                }
            }
        }
        self.doc = target.max(self.current.start);
        self.doc
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        if self.doc == TERMINATED {
            return 0;
        }
        let rest: u32 = self.ranges.as_slice().iter().map(|range| range.end - range.start).sum();
        self.current.end - self.doc + rest
    }

    fn count_including_deleted(&mut self) -> u32 {
        let count = self.size_hint();
        self.doc = TERMINATED;
        count
    }
}

impl Scorer for Ranges {
    fn score(&mut self) -> Score {
        1.0
    }
}

/// Documents that have a value in a column and pass a test.
pub struct Scan {
    doc: DocId,
    max_doc: DocId,
    index: ColumnIndex,
    test: Box<dyn FnMut(DocId) -> bool + Send>,
    /// What a test takes, in steps of a [`Pace`](crate::stop::Pace).
    steps: usize,
    done: usize,
    stop: Stop,
}

impl Scan {
    /// Tests each of the `max_doc` documents that `index` has a value for. A test takes so many
    /// `steps`. The scan ends once `stop` is due or has failed, which a test makes it that cannot
    /// answer.
    pub fn new(
        index: ColumnIndex,
        max_doc: DocId,
        test: Box<dyn FnMut(DocId) -> bool + Send>,
        steps: usize,
        stop: Stop,
    ) -> Self {
        let mut scan = Self::idle(index, max_doc, test, steps, stop);
        scan.seek(0);
        scan
    }

    /// The same, where nothing is tested yet: only `seek_danger` may be called until it finds a document.
    pub fn idle(
        index: ColumnIndex,
        max_doc: DocId,
        test: Box<dyn FnMut(DocId) -> bool + Send>,
        steps: usize,
        stop: Stop,
    ) -> Self {
        Self { doc: 0, max_doc, index, test, steps, done: 0, stop }
    }

    /// Asked after each test: who counts documents looks at no deadline.
    fn has_ended(&mut self) -> bool {
        self.done += self.steps;
        if self.done >= STEPS {
            self.done = 0;
            self.stop.end_if_due();
        }
        self.stop.has_failed()
    }

    /// The first document from `target` on that has a value.
    fn next_with_value(&self, target: DocId) -> Option<DocId> {
        if target >= self.max_doc {
            return None;
        }
        match &self.index {
            ColumnIndex::Empty { .. } => None,
            ColumnIndex::Full => Some(target),
            ColumnIndex::Optional(index) => index.next_non_null_doc(target),
            ColumnIndex::Multivalued(index) => index.next_non_null_doc(target),
        }
    }
}

impl DocSet for Scan {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let mut target = target;
        self.doc = loop {
            let Some(doc) = self.next_with_value(target) else { break TERMINATED };
            let passes = (self.test)(doc);
            if self.has_ended() {
                break TERMINATED;
            }
            if passes {
                break doc;
            }
            target = doc + 1;
        };
        self.doc
    }

    /// Asks of the target alone, where another docset leads.
    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= self.max_doc {
            self.doc = TERMINATED;
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        let passes = self.index.has_value(target) && (self.test)(target);
        if self.has_ended() {
            self.doc = TERMINATED;
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if passes {
            self.doc = target;
            return SeekDangerResult::Found;
        }
        SeekDangerResult::SeekLowerBound(target + 1)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        docs_with_value(&self.index, self.max_doc)
    }
}

/// How many documents have a value in a column; an upper bound where it has several.
pub fn docs_with_value(index: &ColumnIndex, max_doc: DocId) -> u32 {
    match index {
        ColumnIndex::Empty { .. } => 0,
        ColumnIndex::Optional(index) => index.num_non_nulls(),
        ColumnIndex::Full | ColumnIndex::Multivalued(_) => max_doc,
    }
}

/// How many documents have a value in a column.
pub(crate) fn events_with_value(index: &ColumnIndex, max_doc: DocId) -> u32 {
    match index {
        ColumnIndex::Multivalued(MultiValueIndex::MultiValueIndexV2(index)) => {
            index.optional_index.num_non_nulls()
        }
        ColumnIndex::Multivalued(index) => index.iter_non_null_docs().count() as u32,
        index => docs_with_value(index, max_doc),
    }
}

/// The union of a few sets.
pub struct Union {
    parts: Vec<Docs>,
    doc: DocId,
}

impl Union {
    /// Takes a few sets, each at its first document; a document of several sets is visited once.
    pub fn new(parts: Vec<Docs>) -> Self {
        let mut union = Self { parts, doc: 0 };
        union.settle();
        union
    }

    fn settle(&mut self) -> DocId {
        self.doc = self.parts.iter().map(DocSet::doc).min().unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for Union {
    fn advance(&mut self) -> DocId {
        for part in &mut self.parts {
            if part.doc() == self.doc {
                part.advance();
            }
        }
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        for part in &mut self.parts {
            if part.doc() < target {
                part.seek(target);
            }
        }
        self.settle()
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.parts.iter().map(DocSet::size_hint).max().unwrap_or(0)
    }

    fn cost(&self) -> u64 {
        self.parts.iter().map(DocSet::cost).sum()
    }
}

/// Candidates that pass a test.
pub struct Verified {
    candidates: Docs,
    /// What the test costs, in documents of a posting list read.
    cost: u64,
    test: Box<dyn FnMut(DocId) -> bool + Send>,
    stop: Stop,
    done: usize,
    has_ended: bool,
}

impl Verified {
    /// Keeps the candidates for which `test` holds. `cost` is that of one test, in documents of a
    /// posting list. Ends once `stop` is due or has failed, which a test makes it that cannot answer.
    pub fn docs(
        candidates: Docs,
        cost: u64,
        test: impl FnMut(DocId) -> bool + Send + 'static,
        stop: Stop,
    ) -> Docs {
        let test = Box::new(test);
        let mut docs = Self { candidates, cost, test, stop, done: 0, has_ended: false };
        docs.settle();
        Box::new(ConstScorer::new(docs, 1.0))
    }

    /// The same, where nothing is tested yet: only `seek_danger` may be called until it finds a document.
    /// Nor need the candidates be at one.
    pub fn idle(
        candidates: Docs,
        cost: u64,
        test: impl FnMut(DocId) -> bool + Send + 'static,
        stop: Stop,
    ) -> Docs {
        let test = Box::new(test);
        let docs = Self { candidates, cost, test, stop, done: 0, has_ended: false };
        Box::new(ConstScorer::new(docs, 1.0))
    }

    fn settle(&mut self) -> DocId {
        let mut doc = self.candidates.doc();
        while doc != TERMINATED && !self.has_ended {
            if self.passes(doc) {
                break;
            }
            doc = self.candidates.advance();
        }
        self.doc()
    }

    fn passes(&mut self, doc: DocId) -> bool {
        let passes = (self.test)(doc);
        self.done += self.cost as usize * STEPS_PER_COST;
        if self.done >= STEPS {
            self.done = 0;
            self.stop.end_if_due();
        }
        self.has_ended = self.stop.has_failed();
        passes
    }
}

impl DocSet for Verified {
    fn advance(&mut self) -> DocId {
        self.candidates.advance();
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.candidates.seek(target);
        self.settle()
    }

    /// Tests the target alone, where another docset leads.
    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        let found = self.candidates.seek_danger(target);
        if self.has_ended {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        match found {
            SeekDangerResult::Found if self.passes(target) && !self.has_ended => {
                SeekDangerResult::Found
            }
            SeekDangerResult::Found if self.has_ended => {
                SeekDangerResult::SeekLowerBound(TERMINATED)
            }
            SeekDangerResult::Found => SeekDangerResult::SeekLowerBound(target + 1),
            bound @ SeekDangerResult::SeekLowerBound(_) => bound,
        }
    }

    fn doc(&self) -> DocId {
        if self.has_ended { TERMINATED } else { self.candidates.doc() }
    }

    fn size_hint(&self) -> u32 {
        self.candidates.size_hint()
    }

    fn cost(&self) -> u64 {
        self.candidates.cost().saturating_mul(self.cost)
    }
}

/// Documents each of which is looked for in many other sets, none of which may have it.
pub struct Paced {
    docs: Docs,
    steps: usize,
    done: usize,
    stop: Stop,
    has_ended: bool,
}

impl Paced {
    /// Counts so many steps of a [`Pace`](crate::stop::Pace) for each document, and ends once `stop`
    /// is due or has failed.
    pub fn docs(docs: Docs, steps: usize, stop: Stop) -> Docs {
        Box::new(ConstScorer::new(Self { docs, steps, done: 0, stop, has_ended: false }, 1.0))
    }

    fn count(&mut self) -> DocId {
        self.done += self.steps;
        if self.done >= STEPS {
            self.done = 0;
            self.stop.end_if_due();
            self.has_ended = self.stop.has_failed();
        }
        self.doc()
    }
}

impl DocSet for Paced {
    fn advance(&mut self) -> DocId {
        self.docs.advance();
        self.count()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.docs.seek(target);
        self.count()
    }

    fn doc(&self) -> DocId {
        if self.has_ended { TERMINATED } else { self.docs.doc() }
    }

    fn size_hint(&self) -> u32 {
        self.docs.size_hint()
    }

    fn cost(&self) -> u64 {
        self.docs.cost()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Who counts documents does nothing but advance.
    #[test]
    fn documents_that_pass_are_looked_at_as_the_others_are() {
        const DOCS: DocId = 1 << 20;
        const TEST_STEPS: usize = 1 << 12;
        let advance: fn(&mut Docs) -> bool = |docs| docs.advance() != TERMINATED;
        let seek: fn(&mut Docs) -> bool = |docs| {
            let next = docs.doc() + 1;
            matches!(docs.seek_danger(next), SeekDangerResult::Found)
        };
        for (way, go_on) in [("advance", advance), ("seek_danger", seek)] {
            for is_scan in [true, false] {
                let stop = Stop::when(|| true);
                let tested = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&tested);
                let test = move |_| count.fetch_add(1, Ordering::Relaxed) < usize::MAX;
                let mut docs: Docs = if is_scan {
                    let index = ColumnIndex::Full;
                    let scan = Scan::new(index, DOCS, Box::new(test), TEST_STEPS, stop.clone());
                    Box::new(ConstScorer::new(scan, 1.0))
                } else {
                    let all = Box::new(Ranges::new(std::iter::once(0..DOCS).collect()));
                    let cost = TEST_STEPS / STEPS_PER_COST;
                    Verified::docs(all, cost as u64, test, stop.clone())
                };
                while go_on(&mut docs) {}
                assert!(stop.has_failed(), "{way} {is_scan}");
                let tested = tested.load(Ordering::Relaxed);
                assert!(tested <= STEPS / TEST_STEPS + 1, "{way} {is_scan}: {tested}");
            }
        }
    }
}
