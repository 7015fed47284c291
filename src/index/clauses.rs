//! Conditions that tantivy has no query for, evaluated a segment at a time.
//!
//! A [`Clause`] gives the documents of a segment that meet a condition, in order. [`ClauseQuery`]
//! makes a tantivy query of one, so that clauses and tantivy's own queries combine.

use std::fmt::{self, Write as _};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, StrColumn};
use tantivy::query::{
    BitSetDocSet, BooleanQuery, ConstScorer, EnableScoring, Explanation, Query, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use super::IndexError;
use super::column_words::each_value;
use super::docsets::{Docs, Ranges, Scan, Union, Verified, docs_with_value, none};
use super::schema::Fields;
use super::snapshot::{SegmentView, Snapshot};
use crate::event::columns::ColumnId;
use crate::event::flat::EXACT_BYTES_MAX;
use crate::event::time::Micros;
use crate::event::words::{is_shortened, shorten, words};

/// Values looked up in the inverted index one by one; for more of them the column is scanned.
const VALUES_LOOKED_UP_MAX: usize = 64;

/// What fetching and parsing a record costs, in documents of a posting list read.
const RECORD_COST: u64 = 1_000;

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
        self.scan_with_value(ColumnIndex::Full, test)
    }

    /// The documents that have a value in a column, and for which `test` holds.
    pub fn scan_with_value(
        &self,
        index: ColumnIndex,
        test: impl FnMut(DocId) -> bool + Send + 'static,
    ) -> Docs {
        let scan = Scan::new(index, self.segment.events(), Box::new(test));
        Box::new(ConstScorer::new(scan, 1.0))
    }

    /// The candidates whose record passes a test.
    pub fn verified(
        &self,
        candidates: Docs,
        test: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Docs {
        let segment = Arc::clone(self.segment);
        let is_met = move |doc| match segment.record(doc) {
            Ok(record) => test(&record),
            Err(error) => fail(&error),
        };
        Verified::docs(candidates, RECORD_COST, is_met)
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
        let ranges = context.segment.docs_between(self.start, self.end);
        Ok(Box::new(ConstScorer::new(Ranges::new(ranges), 1.0)))
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
}

/// Events one of whose leaves at a path is a text, or the number or truth value that it reads as.
///
/// Leaves have no inverted index of their own: their words have one, and their values a column. The
/// events that have the value's rarest word, or those that have any value at the path, whichever are
/// fewer, are checked against the column.
#[derive(Debug)]
pub struct LeafClause {
    pub path: String,
    pub text: String,
}

impl Clause for LeafClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut parts = Vec::new();
        for column in context.segment.columns_at(&self.path)? {
            parts.push(match column {
                DynamicColumn::Str(column) => self.text_docs(context, &column)?,
                DynamicColumn::Bool(column) => self.equal(context, column),
                DynamicColumn::I64(column) => self.equal(context, column),
                DynamicColumn::U64(column) => self.equal(context, column),
                DynamicColumn::F64(column) => self.equal(context, column),
                _ => none(),
            });
        }
        Ok(context.union(parts))
    }
}

impl LeafClause {
    fn equal<V>(&self, context: &Context<'_>, column: Column<V>) -> Docs
    where
        V: std::str::FromStr + Copy + PartialOrd + fmt::Debug + Send + Sync + 'static,
    {
        // The index keeps a whole number as an integer, however the record wrote it.
        let text = self.text.strip_suffix(".0").unwrap_or(&self.text);
        let Ok(wanted) = text.parse::<V>() else { return none() };
        let index = column.index.clone();
        context.scan_with_value(index, move |doc| column.values_for_doc(doc).any(|v| v == wanted))
    }

    fn text_docs(&self, context: &Context<'_>, column: &StrColumn) -> Result<Docs, IndexError> {
        let mut value = self.text.clone();
        let Some(ordinal) = column.dictionary().term_ord(shorten(&mut value, EXACT_BYTES_MAX))?
        else {
            return Ok(none());
        };
        let ordinals = column.ords().clone();
        let index = ordinals.index.clone();
        let has_value = docs_with_value(&index, context.segment.events());
        let is_equal = move |doc| ordinals.values_for_doc(doc).any(|found| found == ordinal);
        match self.rarest_word(context)? {
            Some((word, events)) if events < has_value => {
                let candidates = context.query(&TermQuery::new(word, IndexRecordOption::Basic))?;
                Ok(Verified::docs(candidates, 1, is_equal))
            }
            _ => Ok(context.scan_with_value(index, is_equal)),
        }
    }

    /// The word of the value that the fewest events have, and how many have it.
    fn rarest_word(&self, context: &Context<'_>) -> Result<Option<(Term, u32)>, IndexError> {
        let field = context.snapshot.fields.words;
        let index = context.segment.reader.inverted_index(field)?;
        let mut rarest: Option<(Term, u32)> = None;
        for word in words(&self.text) {
            let term = Term::from_field_text(field, &word);
            let events = index.doc_freq(&term)?;
            if rarest.as_ref().is_none_or(|(_, fewest)| events < *fewest) {
                rarest = Some((term, events));
            }
        }
        Ok(rarest)
    }
}

/// Ends a search in the middle of a condition, which has no way to answer with an error: a record or
/// a value that cannot be read must not pass for one that does not match. The engine contains it.
#[allow(clippy::missing_panics_doc)]
pub fn fail(error: &IndexError) -> ! {
    panic!("a condition cannot be evaluated: {error}")
}

/// Which values are meant, by their text.
pub trait ValueTest: fmt::Debug + Send + Sync + 'static {
    fn is_met_by(&self, value: &str) -> bool;

    /// What every value meant begins with.
    fn prefix(&self) -> &str {
        ""
    }
}

/// A test of a record's bytes, as delivered.
pub type RecordTest = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Fields one of whose values meets a test, found through the field's dictionary.
///
/// A value that was cut (see `EXACT_BYTES_MAX`) is there as its beginning, which may tell another
/// story than the whole: those are looked up in the record.
pub struct ValuesClause<T> {
    pub field: TextField,
    pub test: T,
    /// Given a record's bytes as delivered.
    pub is_met_by_record: RecordTest,
}

impl<T: fmt::Debug> fmt::Debug for ValuesClause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.field, self.test)
    }
}

impl<T: ValueTest + Clone> Clause for ValuesClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut parts = Vec::new();
        if let TextField::Path(path) = &self.field {
            for column in context.segment.columns_at(path)? {
                parts.push(match column {
                    DynamicColumn::Bool(column) => self.shown(context, column),
                    DynamicColumn::I64(column) => self.shown(context, column),
                    DynamicColumn::U64(column) => self.shown(context, column),
                    DynamicColumn::F64(column) => self.shown(context, column),
                    _ => none(),
                });
            }
        }
        if let Some(column) = self.field.values(context.segment)? {
            let (mut met, mut cut) = (Vec::new(), Vec::new());
            let mut stream = column.dictionary().prefix_range(self.test.prefix()).into_stream()?;
            while stream.advance() {
                let value = String::from_utf8_lossy(stream.key());
                if is_shortened(&value, EXACT_BYTES_MAX) {
                    cut.push(stream.term_ord());
                } else if self.test.is_met_by(&value) {
                    met.push(stream.term_ord());
                }
            }
            parts.push(docs_with_values(context, &self.field, &column, &met)?);
            let candidates = docs_with_values(context, &self.field, &column, &cut)?;
            let is_met = Arc::clone(&self.is_met_by_record);
            parts.push(context.verified(candidates, move |record| is_met(record)));
        }
        Ok(context.union(parts))
    }
}

impl<T: ValueTest + Clone> ValuesClause<T> {
    /// Numbers and truth values, by their text.
    fn shown<V>(&self, context: &Context<'_>, column: Column<V>) -> Docs
    where
        V: fmt::Display + Copy + PartialOrd + fmt::Debug + Send + Sync + 'static,
    {
        let test = self.test.clone();
        let index = column.index.clone();
        let mut text = String::new();
        context.scan_with_value(index, move |doc| {
            column.values_for_doc(doc).any(|value| {
                text.clear();
                write!(text, "{value}").expect("writing to a String cannot fail");
                test.is_met_by(&text)
            })
        })
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
    let TextField::Column(id) = field else {
        return Ok(scan_ordinals(context, column.ords().clone(), ordinals));
    };
    if ordinals.len() > VALUES_LOOKED_UP_MAX {
        return Ok(scan_ordinals(context, column.ords().clone(), ordinals));
    }
    let mut terms = Vec::with_capacity(ordinals.len());
    let mut value = String::new();
    for ordinal in ordinals {
        column.ord_to_str(*ordinal, &mut value)?;
        terms.push(Term::from_field_text(Fields::column(*id), &value));
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
    match &column.index {
        // Every event has one value: no need to look for where it is.
        ColumnIndex::Full => {
            let values = column.values;
            context.scan(move |doc| is_wanted(values.get_val(doc)))
        }
        index => context
            .scan_with_value(index.clone(), move |doc| column.values_for_doc(doc).any(&is_wanted)),
    }
}

/// Fields one of whose values is a number between the bounds, or a text that reads as one.
#[derive(Debug)]
pub struct NumberClause<T> {
    pub path: String,
    pub lower: Bound<f64>,
    pub upper: Bound<f64>,
    /// The same, of texts.
    pub texts: T,
}

impl<T: ValueTest> Clause for NumberClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let bounds = (self.lower, self.upper);
        let mut parts = Vec::new();
        for column in context.segment.columns_at(&self.path)? {
            parts.push(match column {
                DynamicColumn::I64(column) => in_bounds(context, column, bounds, |n| n as f64),
                DynamicColumn::U64(column) => in_bounds(context, column, bounds, |n| n as f64),
                DynamicColumn::F64(column) => in_bounds(context, column, bounds, |n| n),
                DynamicColumn::Str(column) => {
                    let met = ordinals_where(&column, |text| self.texts.is_met_by(text))?;
                    docs_with_values(context, &TextField::Path(self.path.clone()), &column, &met)?
                }
                _ => none(),
            });
        }
        Ok(context.union(parts))
    }
}

fn in_bounds<V: Copy + PartialOrd + fmt::Debug + Send + Sync + 'static>(
    context: &Context<'_>,
    column: Column<V>,
    bounds: (Bound<f64>, Bound<f64>),
    number: fn(V) -> f64,
) -> Docs {
    let index = column.index.clone();
    context.scan_with_value(index, move |doc| {
        column.values_for_doc(doc).any(|value| bounds.contains(&number(value)))
    })
}

/// Events that have a value at a path or below it.
#[derive(Debug)]
pub struct ExistsClause {
    pub path: String,
}

impl Clause for ExistsClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let columns = context.segment.columns_at_or_below(&self.path)?;
        let parts = columns
            .into_iter()
            .map(|column| context.scan_with_value(column.into_column_index(), |_| true))
            .collect();
        Ok(context.union(parts))
    }
}

/// Columns whose values are not kept by event, one of whose values meets a test.
#[derive(Debug)]
pub struct TermsClause<T> {
    pub column: ColumnId,
    pub test: T,
}

impl<T: ValueTest> Clause for TermsClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut events = BitSet::with_max_value(context.segment.events());
        let field = Fields::column(self.column);
        add_terms(
            context,
            field,
            self.test.prefix(),
            |value| self.test.is_met_by(value),
            &mut events,
        )?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(events), 1.0)))
    }
}

/// Adds the events of a field's terms that begin with `prefix` and pass a test.
pub fn add_terms(
    context: &Context<'_>,
    field: Field,
    prefix: &str,
    mut test: impl FnMut(&str) -> bool,
    events: &mut BitSet,
) -> Result<(), IndexError> {
    let index = context.segment.reader.inverted_index(field)?;
    let mut terms = index.terms().range().ge(prefix).into_stream()?;
    while terms.advance() {
        if !terms.key().starts_with(prefix.as_bytes()) {
            break;
        }
        if !test(std::str::from_utf8(terms.key()).unwrap_or_default()) {
            continue;
        }
        let mut postings =
            index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
        while postings.doc() != TERMINATED {
            events.insert(postings.doc());
            postings.advance();
        }
    }
    Ok(())
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
        Ok(context.verified(context.query(&*self.candidates)?, self.test.clone()))
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
