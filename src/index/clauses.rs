//! Conditions that tantivy has no query for, evaluated a segment at a time.
//!
//! A [`Clause`] gives the documents of a segment that meet a condition, in order. [`ClauseQuery`]
//! makes a tantivy query of one, so that clauses and tantivy's own queries combine.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, StrColumn};
use tantivy::query::{
    BooleanQuery, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::Term;
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED, TantivyError};

use super::IndexError;
use super::column_words::each_value;
use super::schema::Fields;
use super::snapshot::{SegmentView, Snapshot};
use crate::event::columns::ColumnId;
use crate::event::time::Micros;

/// Values looked up in the inverted index one by one; for more of them the column is scanned.
const VALUES_LOOKED_UP_MAX: usize = 64;

/// The documents of a segment that meet a condition.
pub type Docs = Box<dyn Scorer>;

/// A condition on events.
pub trait Clause: fmt::Debug + Send + Sync + 'static {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError>;
}

/// What a clause is evaluated on.
pub struct Context<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub segment: &'a Arc<SegmentView>,
}

impl Context<'_> {
    /// The documents of a tantivy query.
    pub fn query(&self, query: &dyn Query) -> Result<Docs, IndexError> {
        let weight = query.weight(EnableScoring::disabled_from_schema(self.snapshot.schema()))?;
        Ok(weight.scorer(&self.segment.reader, 1.0)?)
    }

    /// The documents for which `test` holds.
    pub fn scan(&self, test: impl FnMut(DocId) -> bool + Send + 'static) -> Docs {
        Box::new(ConstScorer::new(Scan::new(self.segment.events(), Box::new(test)), 1.0))
    }

    /// The documents that any of the parts has.
    pub fn union(&self, mut parts: Vec<Docs>) -> Docs {
        parts.retain(|part| part.doc() != TERMINATED);
        match parts.len() {
            0 => none(),
            1 => parts.remove(0),
            _ => Box::new(ConstScorer::new(Union::new(parts), 1.0)),
        }
    }
}

/// No documents.
pub fn none() -> Docs {
    Box::new(EmptyScorer)
}

/// A clause as a tantivy query.
#[derive(Clone, Debug)]
pub struct ClauseQuery {
    snapshot: Arc<Snapshot>,
    clause: Arc<dyn Clause>,
}

impl ClauseQuery {
    pub fn boxed(snapshot: &Arc<Snapshot>, clause: impl Clause) -> Box<dyn Query> {
        Box::new(Self { snapshot: Arc::clone(snapshot), clause: Arc::new(clause) })
    }
}

impl Query for ClauseQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for ClauseQuery {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Docs> {
        let segment = self.snapshot.view(reader.segment_id()).ok_or_else(|| {
            TantivyError::InternalError("a query met a segment of another snapshot".to_owned())
        })?;
        let context = Context { snapshot: &self.snapshot, segment };
        self.clause.docs(&context).map_err(|error| match error {
            IndexError::Tantivy(error) => error,
            error => TantivyError::InternalError(error.to_string()),
        })
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("clause", 1.0))
    }
}

/// Times from `start` up to, and without, `end`.
#[derive(Debug)]
pub struct TimeClause {
    pub start: Micros,
    pub end: Micros,
}

impl Clause for TimeClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let docs = context.segment.docs_between(self.start, self.end);
        if docs.is_empty() {
            return Ok(none());
        }
        Ok(Box::new(ConstScorer::new(Run { doc: docs.start, end: docs.end }, 1.0)))
    }
}

/// The event that came from a place in a file.
#[derive(Debug)]
pub struct PlaceClause {
    /// Number of the file in the ledger.
    pub file: u64,
    pub offset: u64,
}

impl Clause for PlaceClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let segment = Arc::clone(context.segment);
        let Self { file, offset } = *self;
        Ok(context.scan(move |doc| segment.offset(doc) == offset && segment.file(doc) == file))
    }
}

/// Where a text value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextField {
    Column(ColumnId),
    /// A path that is no column.
    Path(String),
}

impl TextField {
    pub fn values(&self, segment: &SegmentView) -> Result<Option<StrColumn>, IndexError> {
        match self {
            Self::Column(id) => segment.text_column(*id),
            Self::Path(path) => segment.text_at(path),
        }
    }

    /// The term of a whole value, which is at most [`crate::event::flat::EXACT_BYTES_MAX`] long.
    pub fn term(&self, fields: &Fields, value: &str) -> Term {
        match self {
            Self::Column(id) => Term::from_field_text(Fields::column(*id), value),
            Self::Path(path) => {
                let mut term = Term::from_field_json_path(fields.rest, path, false);
                term.append_type_and_str(value);
                term
            }
        }
    }
}

/// Which text values are meant.
pub trait ValueTest: fmt::Debug + Send + Sync + 'static {
    fn is_met_by(&self, value: &str) -> bool;

    /// What every value meant begins with.
    fn prefix(&self) -> &str {
        ""
    }
}

/// Fields one of whose values meets a test, found through the field's dictionary.
#[derive(Debug)]
pub struct ValuesClause<T> {
    pub field: TextField,
    pub test: T,
}

impl<T: ValueTest> Clause for ValuesClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let Some(column) = self.field.values(context.segment)? else { return Ok(none()) };
        let mut ordinals = Vec::new();
        let mut stream = column.dictionary().prefix_range(self.test.prefix()).into_stream()?;
        while stream.advance() {
            if self.test.is_met_by(&String::from_utf8_lossy(stream.key())) {
                ordinals.push(stream.term_ord());
            }
        }
        docs_with_values(context, &self.field, &column, &ordinals)
    }
}

/// The documents that have one of the values, given by their ordinals in the field's dictionary.
pub fn docs_with_values(
    context: &Context<'_>,
    field: &TextField,
    column: &StrColumn,
    ordinals: &[u64],
) -> Result<Docs, IndexError> {
    if ordinals.is_empty() {
        return Ok(none());
    }
    if ordinals.len() > VALUES_LOOKED_UP_MAX {
        return Ok(scan_ordinals(context, column.ords().clone(), ordinals));
    }
    let mut terms = Vec::with_capacity(ordinals.len());
    let mut value = String::new();
    for ordinal in ordinals {
        column.ord_to_str(*ordinal, &mut value)?;
        terms.push(field.term(&context.snapshot.fields, &value));
    }
    context.query(&BooleanQuery::new_multiterms_query(terms))
}

fn scan_ordinals(context: &Context<'_>, column: Column<u64>, ordinals: &[u64]) -> Docs {
    let last = ordinals.iter().copied().max().unwrap_or(0);
    let mut wanted = vec![0_u64; last as usize / 64 + 1];
    for ordinal in ordinals {
        wanted[*ordinal as usize / 64] |= 1 << (ordinal % 64);
    }
    let is_wanted = move |ordinal: u64| {
        wanted.get(ordinal as usize / 64).is_some_and(|bits| bits & (1 << (ordinal % 64)) != 0)
    };
    context.scan(move |doc| column.values_for_doc(doc).any(&is_wanted))
}

/// Fields one of whose values is a number between the bounds.
#[derive(Debug)]
pub struct NumberClause {
    pub path: String,
    pub lower: Bound<f64>,
    pub upper: Bound<f64>,
}

impl Clause for NumberClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let bounds = (self.lower, self.upper);
        let parts = context.segment.columns_at(&self.path)?.into_iter().filter_map(|column| {
            use std::ops::RangeBounds;
            match column {
                DynamicColumn::I64(column) => Some(context.scan(move |doc| {
                    column.values_for_doc(doc).any(|n| bounds.contains(&(n as f64)))
                })),
                DynamicColumn::U64(column) => Some(context.scan(move |doc| {
                    column.values_for_doc(doc).any(|n| bounds.contains(&(n as f64)))
                })),
                DynamicColumn::F64(column) => Some(
                    context
                        .scan(move |doc| column.values_for_doc(doc).any(|n| bounds.contains(&n))),
                ),
                _ => None,
            }
        });
        Ok(context.union(parts.collect()))
    }
}

/// Events that have a value at a path or below it.
#[derive(Debug)]
pub struct ExistsClause {
    pub path: String,
}

impl Clause for ExistsClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let columns = context.segment.columns_at_or_below(&self.path)?;
        let indexes: Vec<ColumnIndex> =
            columns.into_iter().map(DynamicColumn::into_column_index).collect();
        Ok(context.scan(move |doc| indexes.iter().any(|index| index.has_value(doc))))
    }
}

/// Events for which `test` holds, among those of another query: for what only the record itself can
/// tell.
pub struct VerifiedClause<F> {
    pub candidates: Box<dyn Query>,
    /// Given the record's bytes as delivered.
    pub test: F,
}

impl<F> fmt::Debug for VerifiedClause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verified {:?}", self.candidates)
    }
}

impl<F: Fn(&[u8]) -> bool + Clone + Send + Sync + 'static> Clause for VerifiedClause<F> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let candidates = context.query(&*self.candidates)?;
        let segment = Arc::clone(context.segment);
        let test = self.test.clone();
        let mut docs = Verified {
            candidates,
            test: Box::new(move |doc| segment.record(doc).is_ok_and(|record| test(&record))),
        };
        docs.settle();
        Ok(Box::new(ConstScorer::new(docs, 1.0)))
    }
}

/// Gathers the ordinals of a column's values that meet a test.
pub fn ordinals_where(
    column: &StrColumn,
    mut test: impl FnMut(&str) -> bool,
) -> Result<Vec<u64>, IndexError> {
    let mut ordinals = Vec::new();
    each_value(column, |ordinal, value| {
        if test(value) {
            ordinals.push(ordinal);
        }
        true
    })?;
    Ok(ordinals)
}

/// Documents in a row.
struct Run {
    doc: DocId,
    end: DocId,
}

impl DocSet for Run {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.doc = if target < self.end { target } else { TERMINATED };
        self.doc
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.end.saturating_sub(self.doc)
    }

    fn count_including_deleted(&mut self) -> u32 {
        let count = self.size_hint();
        self.doc = TERMINATED;
        count
    }
}

/// Documents that pass a test, which is asked of one after another.
struct Scan {
    doc: DocId,
    max_doc: DocId,
    test: Box<dyn FnMut(DocId) -> bool + Send>,
}

impl Scan {
    fn new(max_doc: DocId, test: Box<dyn FnMut(DocId) -> bool + Send>) -> Self {
        let mut scan = Self { doc: 0, max_doc, test };
        scan.seek(0);
        scan
    }
}

impl DocSet for Scan {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let found = (target..self.max_doc).find(|doc| (self.test)(*doc));
        self.doc = found.unwrap_or(TERMINATED);
        self.doc
    }

    /// Asks of the target alone, where another docset leads.
    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= self.max_doc {
            self.doc = TERMINATED;
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        if (self.test)(target) {
            self.doc = target;
            return SeekDangerResult::Found;
        }
        SeekDangerResult::SeekLowerBound(target + 1)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.max_doc
    }
}

/// Documents of any of a few docsets.
struct Union {
    parts: Vec<Docs>,
    doc: DocId,
}

impl Union {
    fn new(parts: Vec<Docs>) -> Self {
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

/// Candidates that pass a costly test.
struct Verified {
    candidates: Docs,
    test: Box<dyn FnMut(DocId) -> bool + Send>,
}

impl Verified {
    fn settle(&mut self) -> DocId {
        let mut doc = self.candidates.doc();
        while doc != TERMINATED && !(self.test)(doc) {
            doc = self.candidates.advance();
        }
        doc
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
        self.candidates.doc()
    }

    fn size_hint(&self) -> u32 {
        self.candidates.size_hint()
    }

    /// Each candidate costs a record fetched and parsed.
    fn cost(&self) -> u64 {
        self.candidates.cost().saturating_mul(1_000)
    }
}
