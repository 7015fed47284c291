//! Values that are read from records: of columns that are not kept by event, of paths without a column, and
//! of large numbers beside fractions.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use tantivy::DocId;
use tantivy::columnar::Column;

use super::{KEPT_BYTES, Local, ReadRecord};
use crate::parsers::SharedParser;
use crate::value_clauses::is_large;
use segment::IndexError;
use segment::overflow::Overflowed;
use segment::view::{SegmentView, separated};
use trail::cell::Cell;
use trail::columns::ColumnId;
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::seeded::SeededMap;
use trail::words::shorten;

/// Values at a path that are read from the records of some events; their bits number the values that
/// were met.
pub(super) struct FromPath {
    segment: Arc<SegmentView>,
    of: Unkept,
    /// Its parts separated as the index separates them.
    path: String,
    parser: SharedParser,
    pub(super) met: Numbered<Cell>,
}

/// Why values are read from records.
pub(super) enum Unkept {
    /// They have no column.
    Overflow(Overflowed),
    /// Their column has fractions too, and so not all digits of large numbers.
    Large(Column<f64>),
}

/// A column that is read from the records; its bits number the texts that were met.
pub(super) struct FromRecord {
    segment: Arc<SegmentView>,
    column: ColumnId,
    read: Arc<ReadRecord>,
    pub(super) met: Numbered<Box<str>>,
}

/// Values that were met, each with a number, from 0 on.
pub(super) struct Numbered<T> {
    pub(super) values: Vec<T>,
    numbers: SeededMap<T, u64>,
    /// About how many bytes of memory they take.
    pub(super) bytes: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: SeededMap::default(), bytes: 0 }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    /// The number of a value, whose text has so many bytes.
    pub(super) fn number<Q: Eq + Hash + ?Sized>(
        &mut self,
        value: &Q,
        text_bytes: usize,
        owned: impl FnOnce() -> T,
    ) -> u64
    where
        T: Borrow<Q>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        self.bytes += KEPT_BYTES + 2 * text_bytes;
        let (number, owned) = (self.values.len() as u64, owned());
        self.values.push(owned.clone());
        self.numbers.insert(owned, number);
        number
    }
}

pub(super) fn text_bytes(cell: &Cell) -> usize {
    if let Cell::Text(text) = cell { text.len() } else { 0 }
}

impl Unkept {
    /// Whether an event has such values.
    fn has(&self, doc: DocId) -> bool {
        match self {
            Self::Overflow(overflow) => overflow.has(doc),
            Self::Large(column) => column.values_for_doc(doc).any(is_large),
        }
    }

    /// Whether a value of such an event is one.
    fn is_one(&self, scalar: Scalar<'_>) -> bool {
        match (self, scalar) {
            (Self::Overflow(_), _) => true,
            (Self::Large(_), Scalar::I64(n)) => is_large(n as f64),
            (Self::Large(_), Scalar::U64(n)) => is_large(n as f64),
            (Self::Large(_), Scalar::F64(n, _)) => is_large(n),
            (Self::Large(_), Scalar::Str(_) | Scalar::Bool(_)) => false,
        }
    }
}

impl FromPath {
    pub(super) fn new(segment: &Arc<SegmentView>, of: Unkept, path: &str) -> Self {
        Self {
            segment: Arc::clone(segment),
            of,
            path: separated(path),
            parser: SharedParser::take(),
            met: Numbered::default(),
        }
    }

    pub(super) fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        if !self.of.has(doc) {
            return Ok(0);
        }
        let record = self.segment.record(doc)?;
        let Self { of, path, parser, met, .. } = self;
        parser.each_scalar(&record, |at, scalar| {
            if at != path || !of.is_one(scalar) {
                return;
            }
            let cell = match scalar {
                Scalar::Str(text) => Cell::text(shorten(&mut text.to_owned(), EXACT_BYTES_MAX)),
                scalar => Cell::from(scalar),
            };
            let bits = met.number(&cell, text_bytes(&cell), || cell.clone());
            found.push(Local { part, bits });
        });
        Ok(record.len())
    }
}

impl FromRecord {
    pub(super) fn new(
        segment: &Arc<SegmentView>,
        column: ColumnId,
        read: &Arc<ReadRecord>,
    ) -> Self {
        let (segment, read) = (Arc::clone(segment), Arc::clone(read));
        Self { segment, column, read, met: Numbered::default() }
    }

    pub(super) fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        let record = self.segment.record(doc)?;
        let met = &mut self.met;
        (self.read)(&record, self.column, &mut |text| {
            let bits = met.number(text, text.len(), || text.into());
            found.push(Local { part, bits });
        });
        Ok(record.len())
    }
}
