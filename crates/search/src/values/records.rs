//! Values that are read from records: of columns that are not kept by event, of paths without a column, and
//! of large numbers beside fractions.

use std::sync::Arc;

use tantivy::DocId;
use tantivy::columnar::Column;

use super::{KEPT_BYTES, Local, ReadRecord};
use crate::parsers::SharedParser;
use crate::value_clauses::EXACT_FLOATS_END;
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
    pub(super) cells: Vec<Cell>,
    pub(super) numbers: SeededMap<Cell, u64>,
    pub(super) bytes: usize,
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
    pub(super) texts: Vec<Box<str>>,
    pub(super) numbers: SeededMap<Box<str>, u64>,
    pub(super) bytes: usize,
}

/// Whether a number is so large that a fraction's form may lack some of its digits.
pub(super) fn is_large(number: f64) -> bool {
    number.abs() >= EXACT_FLOATS_END
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
            cells: Vec::new(),
            numbers: SeededMap::default(),
            bytes: 0,
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
        let Self { of, path, parser, cells, numbers, bytes, .. } = self;
        parser.each_scalar(&record, |at, scalar| {
            if at != path || !of.is_one(scalar) {
                return;
            }
            let cell = match scalar {
                Scalar::Str(text) => Cell::text(shorten(&mut text.to_owned(), EXACT_BYTES_MAX)),
                scalar => Cell::from(scalar),
            };
            let bits = *numbers.entry(cell).or_insert_with_key(|cell| {
                *bytes += KEPT_BYTES + 2 * text_bytes(cell);
                cells.push(cell.clone());
                cells.len() as u64 - 1
            });
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
        Self {
            segment: Arc::clone(segment),
            column,
            read: Arc::clone(read),
            texts: Vec::new(),
            numbers: SeededMap::default(),
            bytes: 0,
        }
    }

    pub(super) fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        let record = self.segment.record(doc)?;
        let Self { texts, numbers, bytes, .. } = self;
        (self.read)(&record, self.column, &mut |text| {
            let bits = numbers.get(text).copied().unwrap_or_else(|| {
                *bytes += KEPT_BYTES + 2 * text.len();
                let number = texts.len() as u64;
                texts.push(text.into());
                numbers.insert(text.into(), number);
                number
            });
            found.push(Local { part, bits });
        });
        Ok(record.len())
    }
}
