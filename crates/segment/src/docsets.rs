//! Sets of documents that tantivy has no `DocSet` for: ranges, scans of a column, small unions, and
//! candidates that pass a test. Each visits its documents in ascending order.

use std::ops::Range;

use tantivy::columnar::ColumnIndex;
use tantivy::columnar::column_index::MultiValueIndex;
use tantivy::query::{ConstScorer, EmptyScorer, Scorer};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, TERMINATED};

use crate::stop::Stop;

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
    /// Of a test that can fail.
    stop: Option<Stop>,
}

impl Scan {
    /// Tests each of the `max_doc` documents that `index` has a value for.
    pub fn new(
        index: ColumnIndex,
        max_doc: DocId,
        test: Box<dyn FnMut(DocId) -> bool + Send>,
    ) -> Self {
        let mut scan = Self { doc: 0, max_doc, index, test, stop: None };
        scan.seek(0);
        scan
    }

    /// Ends the scan once `stop` has failed; for a test that leaves its error there.
    #[must_use]
    pub fn until(self, stop: Stop) -> Self {
        let doc = if stop.has_failed() { TERMINATED } else { self.doc };
        Self { doc, stop: Some(stop), ..self }
    }

    fn has_failed(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::has_failed)
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
            match self.next_with_value(target) {
                None => break TERMINATED,
                Some(doc) if (self.test)(doc) => break doc,
                Some(_) if self.has_failed() => break TERMINATED,
                Some(doc) => target = doc + 1,
            }
        };
        self.doc
    }

    /// Asks of the target alone, where another docset leads.
    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= self.max_doc {
            self.doc = TERMINATED;
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if self.index.has_value(target) && (self.test)(target) {
            self.doc = target;
            return SeekDangerResult::Found;
        }
        if self.has_failed() {
            self.doc = TERMINATED;
            return SeekDangerResult::SeekLowerBound(TERMINATED);
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
    /// Of a test that can fail.
    stop: Option<Stop>,
    has_ended: bool,
}

impl Verified {
    /// Keeps the candidates for which `test` holds. `cost` is that of one test, in documents of a
    /// posting list.
    pub fn docs(
        candidates: Docs,
        cost: u64,
        test: impl FnMut(DocId) -> bool + Send + 'static,
    ) -> Docs {
        Self::settled(candidates, cost, Box::new(test), None)
    }

    /// As [`Verified::docs`], and ends once `stop` has failed; for a test that leaves its error
    /// there.
    pub fn until(
        candidates: Docs,
        cost: u64,
        test: impl FnMut(DocId) -> bool + Send + 'static,
        stop: Stop,
    ) -> Docs {
        Self::settled(candidates, cost, Box::new(test), Some(stop))
    }

    fn settled(
        candidates: Docs,
        cost: u64,
        test: Box<dyn FnMut(DocId) -> bool + Send>,
        stop: Option<Stop>,
    ) -> Docs {
        let mut docs = Self { candidates, cost, test, stop, has_ended: false };
        docs.settle();
        Box::new(ConstScorer::new(docs, 1.0))
    }

    fn settle(&mut self) -> DocId {
        let mut doc = self.candidates.doc();
        while doc != TERMINATED && !self.has_ended && !(self.test)(doc) {
            self.has_ended = self.stop.as_ref().is_some_and(Stop::has_failed);
            doc = self.candidates.advance();
        }
        self.doc()
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
