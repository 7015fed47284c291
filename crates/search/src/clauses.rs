//! Conditions that tantivy has no query for. They are evaluated a segment at a time.
//!
//! A [`Clause`] returns the documents of a segment that meet a condition, in order. [`ClauseQuery`]
//! wraps one as a tantivy query, so that clauses and tantivy's own queries combine.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tantivy::columnar::ColumnIndex;
use tantivy::index::SegmentId;
use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Weight};
use tantivy::{
    BitSet, DocId, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError, Term,
};

use crate::lazily::{AnyPart, Narrowed};
use crate::one_term::docs_with;
use crate::value_clauses::RecordTest;
use segment::IndexError;
use segment::docsets::{Docs, Paced, Ranges, Scan, Union, Verified, none};
pub(crate) use segment::stop::Stop;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::time::Micros;

/// What fetching and parsing a record costs, in documents of a posting list read.
pub(crate) const RECORD_COST: u64 = 1_000;

/// A record beyond this takes much longer than what [`RECORD_COST`] says.
const LONG_RECORD_BYTES: usize = 64 << 10;

/// Steps that a scan takes for each document: a look into a column, and a test of its value.
const SCAN_STEPS: usize = 64;

/// A condition on events that finds its own documents.
pub(crate) trait Clause: fmt::Debug + Send + Sync + 'static {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError>;

    /// Whether the documents may be idle where the context asks for that.
    fn can_be_idle(&self) -> bool {
        false
    }

    /// The path, if the condition only asks whether an event has a value at a path; otherwise None.
    fn path_with_something(&self) -> Option<&str> {
        None
    }
}

/// The segment that a clause is evaluated on, and its snapshot.
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) segment: &'a Arc<SegmentView>,
    pub(crate) stop: &'a Stop,
    /// Whether another condition leads: the documents are idle then (see [`crate::lazily`]), and no more is
    /// tested than is asked.
    pub(crate) is_idle: bool,
}

impl Context<'_> {
    /// Returns the documents of a tantivy query.
    pub(crate) fn query(&self, query: &dyn Query) -> Result<Docs, IndexError> {
        let weight = query.weight(EnableScoring::disabled_from_schema(self.snapshot.schema()))?;
        Ok(weight.scorer(&self.segment.reader, 1.0)?)
    }

    /// Returns the documents that have a term.
    pub(crate) fn term(&self, term: &Term) -> Result<Docs, IndexError> {
        Ok(match &self.segment.place_of(term)?.info {
            Some(info) => docs_with(&self.segment.reader, term, info)?,
            None => none(),
        })
    }

    /// Returns the documents that pass `test`, by testing all of them.
    pub(crate) fn scan(&self, test: impl FnMut(DocId) -> bool + Send + 'static) -> Docs {
        self.scan_with_value(ColumnIndex::Full, test)
    }

    /// Returns the documents that have a value in a column and pass `test`.
    pub(crate) fn scan_with_value(
        &self,
        index: ColumnIndex,
        test: impl FnMut(DocId) -> bool + Send + 'static,
    ) -> Docs {
        self.scan_of(index, test, SCAN_STEPS)
    }

    fn scan_of(
        &self,
        index: ColumnIndex,
        test: impl FnMut(DocId) -> bool + Send + 'static,
        steps: usize,
    ) -> Docs {
        let (test, stop) = (Box::new(test), self.stop.clone());
        let make = if self.is_idle { Scan::idle } else { Scan::new };
        Box::new(ConstScorer::new(make(index, self.segment.events(), test, steps, stop), 1.0))
    }

    /// Returns the documents that pass `test`; ends where the test fails with an error, which goes
    /// to the search.
    pub(crate) fn scan_reading(
        &self,
        test: impl FnMut(DocId) -> Result<bool, IndexError> + Send + 'static,
    ) -> Docs {
        self.scan_of(ColumnIndex::Full, self.or_failed(test), RECORD_COST as usize)
    }

    /// Returns the candidates that pass `test`; ends where the test fails with an error, which goes
    /// to the search.
    pub(crate) fn verified_reading(
        &self,
        candidates: Docs,
        cost: u64,
        test: impl FnMut(DocId) -> Result<bool, IndexError> + Send + 'static,
    ) -> Docs {
        let (test, stop) = (self.or_failed(test), self.stop.clone());
        if self.is_idle {
            Verified::idle(candidates, cost, test, stop)
        } else {
            Verified::docs(candidates, cost, test, stop)
        }
    }

    /// Returns the union of several sets, which are idle where this context asks for that.
    pub(crate) fn union(&self, mut parts: Vec<Docs>) -> Docs {
        match parts.len() {
            1 => parts.remove(0),
            _ if self.is_idle => AnyPart::idle(parts),
            _ => union(parts),
        }
    }

    /// A test that leaves its error with the search.
    fn or_failed(
        &self,
        mut test: impl FnMut(DocId) -> Result<bool, IndexError> + Send + 'static,
    ) -> impl FnMut(DocId) -> bool + Send + 'static {
        let (segment, stop) = (Arc::clone(self.segment), self.stop.clone());
        move |doc| {
            test(doc).unwrap_or_else(|error| {
                stop.fail(segment.failure(error));
                false
            })
        }
    }

    /// Adds all documents of a condition to a set; an error where the condition cannot be
    /// evaluated.
    pub(crate) fn add_all(&self, mut docs: Docs, set: &mut BitSet) -> Result<(), IndexError> {
        let mut doc = docs.doc();
        while doc != TERMINATED {
            set.insert(doc);
            doc = docs.advance();
        }
        // The error stays where it is: the visitor takes it.
        if self.stop.has_failed() { Err(IndexError::Stopped) } else { Ok(()) }
    }

    /// Returns the candidates whose record passes a test.
    pub(crate) fn verified(
        &self,
        candidates: Docs,
        test: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Docs {
        let (segment, stop) = (Arc::clone(self.segment), self.stop.clone());
        let is_met = move |doc| {
            let record = segment.record(doc)?;
            if record.len() > LONG_RECORD_BYTES {
                stop.check()?;
            }
            Ok(test(&record))
        };
        self.verified_reading(candidates, RECORD_COST, is_met)
    }

    /// Returns the candidates whose record passes a shared test.
    pub(crate) fn verified_by(&self, candidates: Docs, test: &RecordTest) -> Docs {
        let is_met = Arc::clone(test);
        self.verified(candidates, move |record| is_met(record))
    }
}

/// Returns the union of several sets.
pub(crate) fn union(mut parts: Vec<Docs>) -> Docs {
    parts.retain(|part| part.doc() != TERMINATED);
    match parts.len() {
        0 => none(),
        1 => parts.remove(0),
        _ => Box::new(ConstScorer::new(Union::new(parts), 1.0)),
    }
}

/// A clause as a tantivy query.
#[derive(Clone, Debug)]
pub(crate) struct ClauseQuery {
    snapshot: Arc<Snapshot>,
    clause: Arc<dyn Clause>,
    stop: Stop,
}

impl ClauseQuery {
    pub(crate) fn boxed(
        snapshot: &Arc<Snapshot>,
        clause: impl Clause,
        stop: &Stop,
    ) -> Box<dyn Query> {
        let (snapshot, clause, stop) = (Arc::clone(snapshot), Arc::new(clause), stop.clone());
        Box::new(Self { snapshot, clause, stop })
    }

    /// See [`Clause::path_with_something`].
    pub(crate) fn path_with_something(&self) -> Option<&str> {
        self.clause.path_with_something()
    }
}

impl Query for ClauseQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl ClauseQuery {
    fn docs(&self, reader: &SegmentReader, is_idle: bool) -> tantivy::Result<Docs> {
        let segment = self.snapshot.view(reader.segment_id()).ok_or_else(|| {
            TantivyError::InternalError("a query met a segment of another snapshot".to_owned())
        })?;
        let context = Context { snapshot: &self.snapshot, segment, stop: &self.stop, is_idle };
        self.clause.docs(&context).map_err(|error| {
            // tantivy has no place for it. That of a clause inside of this one is there already.
            if !self.stop.has_failed() {
                self.stop.fail(segment.failure(error));
            }
            TantivyError::InternalError("a condition cannot be evaluated".to_owned())
        })
    }
}

impl Weight for ClauseQuery {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Docs> {
        self.docs(reader, false)
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        _: Score,
    ) -> tantivy::Result<(SeekDangerResult, Docs)> {
        let is_idle = self.clause.can_be_idle();
        let mut docs = self.docs(reader, is_idle)?;
        if !is_idle && docs.doc() >= target {
            let found = match docs.doc() {
                doc if doc == target => SeekDangerResult::Found,
                doc => SeekDangerResult::SeekLowerBound(doc),
            };
            return Ok((found, docs));
        }
        Ok((docs.seek_danger(target), docs))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("clause", 1.0))
    }
}

/// Events from `start` (inclusive) to `end` (exclusive).
#[derive(Debug)]
pub(crate) struct TimeClause {
    pub(crate) start: Micros,
    pub(crate) end: Micros,
}

impl Clause for TimeClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        Ok(Box::new(Ranges::new(context.segment.docs_between(self.start, self.end))))
    }
}

/// The event of a record at a byte offset in a file.
#[derive(Debug)]
pub(crate) struct PlaceClause {
    /// The file's number in the ledger.
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

impl Clause for PlaceClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let segment = Arc::clone(context.segment);
        let Self { file, offset } = *self;
        Ok(context.scan(move |doc| segment.offset(doc) == offset && segment.file(doc) == file))
    }
}

/// Events that were found before, by their segments.
#[derive(Debug, Default)]
pub(crate) struct FoundClause(pub HashMap<SegmentId, Vec<DocId>>);

impl Clause for FoundClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let Some(found) = self.0.get(&context.segment.reader.segment_id()) else {
            return Ok(none());
        };
        let mut events = BitSet::with_max_value(context.segment.events());
        for doc in found {
            events.insert(*doc);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(events), 1.0)))
    }
}

/// The events of a query that is combined with many others.
#[derive(Debug)]
pub(crate) struct PacedClause {
    pub(crate) query: Box<dyn Query>,
    /// The others.
    pub(crate) others: usize,
}

impl Clause for PacedClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let docs = context.query(&*self.query)?;
        Ok(Paced::docs(docs, self.others * SCAN_STEPS, context.stop.clone()))
    }
}

/// Events of another query whose record passes `test`; for conditions that only the record can
/// decide.
pub(crate) struct VerifiedClause<F> {
    pub(crate) candidates: Box<dyn Query>,
    /// Takes the record's bytes as delivered.
    pub(crate) test: F,
}

impl<F> fmt::Debug for VerifiedClause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verified {:?}", self.candidates)
    }
}

impl<F: Fn(&[u8]) -> bool + Clone + Send + Sync + 'static> Clause for VerifiedClause<F> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        if !context.is_idle {
            return Ok(context.verified(context.query(&*self.candidates)?, self.test.clone()));
        }
        // The record decides, so the candidates are not needed where few events are asked of.
        let (snapshot, segment) = (Arc::clone(context.snapshot), Arc::clone(context.segment));
        let (stop, query) = (context.stop.clone(), self.candidates.box_clone());
        let make = move || {
            let context =
                Context { snapshot: &snapshot, segment: &segment, stop: &stop, is_idle: false };
            context.query(&*query).map_err(|error| {
                if !stop.has_failed() {
                    stop.fail(segment.failure(error));
                }
            })
        };
        let candidates = Box::new(ConstScorer::new(
            Narrowed::new(Box::new(make), context.segment.events()),
            1.0,
        ));
        Ok(context.verified(candidates, self.test.clone()))
    }

    fn can_be_idle(&self) -> bool {
        true
    }
}
