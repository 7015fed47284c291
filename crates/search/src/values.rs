//! Reads the values of a field in a segment, for groups, sorting and the comparison of two fields.
//!
//! Within a segment, a small number stands for a value: a [`Local`]. It becomes a [`Cell`] when the
//! segment is finished.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, MonotonicallyMappableToU64};
use tantivy::{DateTime, DocId};

use language::ast::Net;
use segment::IndexError;
use segment::dictionary::TextColumn;
use segment::overflow::Overflowed;
use segment::schema::TIME;
use segment::view::{SegmentView, separated};
use trail::cell::Cell;
use trail::columns::ColumnId;
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::parse::Parser;
use trail::seeded::SeededMap;
use trail::time::Micros;
use trail::words::shorten;

/// Steps of reading a value from a column, and from a record, which is fetched and parsed.
const VALUE_STEPS: usize = 32;
const RECORD_STEPS: usize = 1 << 16;

/// A field whose values are read.
#[derive(Clone, Debug)]
pub(crate) enum ValueSource {
    Time,
    /// The time, as the beginning of its interval.
    Bin(Bins),
    Column(ColumnId),
    /// Paths that are not columns; their values count as those of one field.
    Paths(Vec<String>),
    /// The networks of a field's addresses, as keys of groups have them.
    Net(Box<Self>, Net),
}

/// The intervals of a histogram: a function from a time to its interval.
#[derive(Clone)]
pub(crate) struct Bins(pub Arc<dyn Fn(Micros) -> Stretch + Send + Sync>);

/// One interval of time.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) start: Micros,
    /// Times that are certainly in the same interval.
    pub(crate) holds: Range<Micros>,
}

impl std::fmt::Debug for Bins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bins")
    }
}

/// Reads a column's values from a record, for columns that the index does not keep by event.
pub(crate) type ReadRecord = dyn Fn(&[u8], ColumnId, &mut dyn FnMut(&str)) + Send + Sync;

/// A value in one segment. Equal numbers are equal values, and [`Values::compare`] orders those of
/// one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Local {
    /// The number of the column among the field's columns.
    pub(crate) part: u32,
    pub(crate) bits: u64,
}

/// Reads a field's values in one segment.
pub(crate) struct Values {
    parts: Vec<ValuePart>,
    found: Vec<Local>,
    same: Same,
}

/// Which values of a field's columns are the same value, where it has several columns.
#[derive(Default)]
struct Same {
    known: SeededMap<Local, Local>,
    first: SeededMap<Cell, Local>,
}

struct ValuePart {
    kind: ValueKind,
    index: ColumnIndex,
    values: Option<Column<u64>>,
}

enum ValueKind {
    Text(TextColumn),
    Bool,
    I64,
    U64,
    F64,
    Time,
    Bin {
        bins: Bins,
        current: Stretch,
    },
    Record(Box<FromRecord>),
    /// Values at a path that are in no column.
    Overflow(Box<FromOverflow>),
}

/// Values that are read from the records of those events whose values have no column; their bits
/// number the values that were met.
struct FromOverflow {
    segment: Arc<SegmentView>,
    overflow: Overflowed,
    /// Its parts separated as the index separates them.
    path: String,
    parser: Parser,
    cells: Vec<Cell>,
    numbers: SeededMap<Cell, u64>,
}

/// A column that is read from the records; its bits number the texts that were met.
struct FromRecord {
    segment: Arc<SegmentView>,
    column: ColumnId,
    read: Arc<ReadRecord>,
    texts: Vec<Box<str>>,
    numbers: SeededMap<Box<str>, u64>,
}

impl Values {
    pub(crate) fn open(
        segment: &Arc<SegmentView>,
        source: &ValueSource,
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        let mut parts = Vec::new();
        match source {
            ValueSource::Net(of, _) => return Self::open(segment, of, read),
            ValueSource::Time => parts.extend(ValuePart::time(segment, ValueKind::Time)?),
            ValueSource::Bin(bins) => {
                let current = Stretch { start: Micros(0), holds: Micros(0)..Micros(0) };
                parts.extend(ValuePart::time(
                    segment,
                    ValueKind::Bin { bins: bins.clone(), current },
                )?);
            }
            ValueSource::Column(id) if id.column().is_unique => {
                let from = FromRecord {
                    segment: Arc::clone(segment),
                    column: *id,
                    read: Arc::clone(read),
                    texts: Vec::new(),
                    numbers: SeededMap::default(),
                };
                let kind = ValueKind::Record(Box::new(from));
                parts.push(ValuePart { kind, index: ColumnIndex::Full, values: None });
            }
            ValueSource::Column(id) => {
                let column = segment.text_column(*id)?;
                parts.extend(column.map(ValuePart::text));
            }
            ValueSource::Paths(paths) => {
                for path in paths {
                    parts.extend(segment.columns_at(path)?.into_iter().filter_map(ValuePart::of));
                    if let Some(overflow) = segment.overflowed_at(path)? {
                        let from = FromOverflow::new(segment, overflow, path);
                        let kind = ValueKind::Overflow(Box::new(from));
                        parts.push(ValuePart { kind, index: ColumnIndex::Full, values: None });
                    }
                }
            }
        }
        Ok(Self { parts, found: Vec::new(), same: Same::default() })
    }

    /// The number of values in the dictionary of a field with one part; None where values are not
    /// numbered from 0.
    pub(crate) fn dictionary_size(&self) -> Option<usize> {
        match self.parts.as_slice() {
            [ValuePart { kind: ValueKind::Text(column), .. }] => Some(column.num_terms()),
            _ => None,
        }
    }

    /// Whether numbers are in the order of their values.
    pub(crate) fn are_ordered(&self) -> bool {
        !self.has_several_columns()
            && !self
                .parts
                .iter()
                .any(|part| matches!(part.kind, ValueKind::Record(_) | ValueKind::Overflow(_)))
    }

    /// Steps that reading an event's values takes, about.
    pub(crate) fn steps(&self) -> usize {
        let of_part = |part: &ValuePart| match part.kind {
            ValueKind::Record(_) | ValueKind::Overflow(_) => RECORD_STEPS,
            _ => VALUE_STEPS,
        };
        self.parts.iter().map(of_part).sum()
    }

    pub(crate) fn has_several_columns(&self) -> bool {
        self.parts.len() > 1
    }

    /// Returns the distinct values of an event, in order.
    pub(crate) fn of(&mut self, doc: DocId) -> Result<&[Local], IndexError> {
        self.found.clear();
        for (number, part) in self.parts.iter_mut().enumerate() {
            part.collect(doc, number as u32, &mut self.found)?;
        }
        if self.parts.len() > 1 {
            for local in &mut self.found {
                *local = self.same.first_of(*local, &self.parts)?;
            }
        }
        if self.found.len() > 1 {
            self.found.sort_unstable();
            self.found.dedup();
        }
        Ok(&self.found)
    }

    /// Compares two values of one part.
    pub(crate) fn compare(&self, a: Local, b: Local) -> Ordering {
        match &self.parts[a.part as usize].kind {
            ValueKind::Record(from) => {
                from.texts[a.bits as usize].cmp(&from.texts[b.bits as usize])
            }
            ValueKind::Overflow(from) => {
                from.cells[a.bits as usize].cmp(&from.cells[b.bits as usize])
            }
            _ => a.bits.cmp(&b.bits),
        }
    }

    /// Returns a value if it is a number; otherwise None.
    pub(crate) fn number(&self, local: Local) -> Option<Cell> {
        let part = &self.parts[local.part as usize];
        if let ValueKind::Overflow(from) = &part.kind {
            let cell = &from.cells[local.bits as usize];
            return matches!(cell, Cell::Int(_) | Cell::Float(_)).then(|| cell.clone());
        }
        matches!(part.kind, ValueKind::I64 | ValueKind::U64 | ValueKind::F64)
            .then(|| part.plain(local.bits))
    }

    /// Looks up several values, given in order.
    pub(crate) fn cells(&self, locals: &[Local]) -> Result<Vec<Cell>, IndexError> {
        let mut cells = Vec::with_capacity(locals.len());
        for run in locals.chunk_by(|a, b| a.part == b.part) {
            self.parts[run[0].part as usize].cells(run, &mut cells)?;
        }
        Ok(cells)
    }

    pub(crate) fn cell(&self, local: Local) -> Result<Cell, IndexError> {
        Ok(self.cells(&[local])?.remove(0))
    }
}

impl Same {
    fn first_of(&mut self, local: Local, parts: &[ValuePart]) -> Result<Local, IndexError> {
        if let Some(first) = self.known.get(&local) {
            return Ok(*first);
        }
        let mut cells = Vec::with_capacity(1);
        parts[local.part as usize].cells(&[local], &mut cells)?;
        let first = *self.first.entry(cells.remove(0)).or_insert(local);
        self.known.insert(local, first);
        Ok(first)
    }
}

impl ValuePart {
    fn time(segment: &SegmentView, kind: ValueKind) -> Result<Option<Self>, IndexError> {
        Ok(segment.open_column(TIME)?.and_then(Self::of).map(|part| Self { kind, ..part }))
    }

    fn of(column: DynamicColumn) -> Option<Self> {
        let (kind, values) = match column {
            DynamicColumn::Str(column) => return Some(Self::text(column.into())),
            DynamicColumn::Bool(column) => (ValueKind::Bool, column.to_u64_monotonic()),
            DynamicColumn::I64(column) => (ValueKind::I64, column.to_u64_monotonic()),
            DynamicColumn::U64(column) => (ValueKind::U64, column),
            DynamicColumn::F64(column) => (ValueKind::F64, column.to_u64_monotonic()),
            DynamicColumn::DateTime(column) => (ValueKind::Time, column.to_u64_monotonic()),
            DynamicColumn::IpAddr(_) | DynamicColumn::Bytes(_) => return None,
        };
        Some(Self { kind, index: values.index.clone(), values: Some(values) })
    }

    fn text(column: TextColumn) -> Self {
        let values = column.ords().clone();
        Self { kind: ValueKind::Text(column), index: values.index.clone(), values: Some(values) }
    }

    fn collect(&mut self, doc: DocId, part: u32, found: &mut Vec<Local>) -> Result<(), IndexError> {
        if let ValueKind::Record(from) = &mut self.kind {
            return from.collect(doc, part, found);
        }
        if let ValueKind::Overflow(from) = &mut self.kind {
            return from.collect(doc, part, found);
        }
        let Some(values) = &self.values else { return Ok(()) };
        let mut add = |bits| found.push(Local { part, bits });
        match &self.index {
            ColumnIndex::Full => add(values.values.get_val(doc)),
            _ => values.values_for_doc(doc).for_each(add),
        }
        if let ValueKind::F64 = self.kind {
            let (zero, minus_zero) = (0.0_f64.to_u64(), (-0.0_f64).to_u64());
            for local in found.iter_mut().filter(|local| local.bits == minus_zero) {
                local.bits = zero;
            }
        }
        if let ValueKind::Bin { bins, current } = &mut self.kind {
            for local in found.iter_mut().rev().take_while(|local| local.part == part) {
                let time = time_of(local.bits);
                if !current.holds.contains(&time) {
                    *current = (bins.0)(time);
                }
                local.bits = current.start.0.to_u64();
            }
        }
        Ok(())
    }

    fn cells(&self, locals: &[Local], cells: &mut Vec<Cell>) -> Result<(), IndexError> {
        let ValueKind::Text(column) = &self.kind else {
            cells.extend(locals.iter().map(|local| self.plain(local.bits)));
            return Ok(());
        };
        let ordinals: Vec<u64> = locals.iter().map(|local| local.bits).collect();
        column.each_text(&ordinals, |text| {
            cells.push(Cell::text(&String::from_utf8_lossy(text)));
        })?;
        Ok(())
    }
}

impl ValuePart {
    /// A value that is no text of a dictionary.
    fn plain(&self, bits: u64) -> Cell {
        match &self.kind {
            ValueKind::Bool => Cell::Bool(bool::from_u64(bits)),
            ValueKind::I64 => Cell::Int(i64::from_u64(bits).into()),
            ValueKind::U64 => Cell::Int(bits.into()),
            ValueKind::F64 => Cell::number(f64::from_u64(bits)),
            ValueKind::Time => Cell::Time(time_of(bits)),
            ValueKind::Bin { .. } => Cell::Time(Micros(i64::from_u64(bits))),
            ValueKind::Record(from) => Cell::Text(from.texts[bits as usize].clone()),
            ValueKind::Overflow(from) => from.cells[bits as usize].clone(),
            ValueKind::Text(_) => Cell::Null,
        }
    }
}

impl FromOverflow {
    fn new(segment: &Arc<SegmentView>, overflow: Overflowed, path: &str) -> Self {
        Self {
            segment: Arc::clone(segment),
            overflow,
            path: separated(path),
            parser: Parser::default(),
            cells: Vec::new(),
            numbers: SeededMap::default(),
        }
    }

    fn collect(&mut self, doc: DocId, part: u32, found: &mut Vec<Local>) -> Result<(), IndexError> {
        if !self.overflow.has(doc) {
            return Ok(());
        }
        let record = self.segment.record(doc)?;
        let Self { path, parser, cells, numbers, .. } = self;
        parser.each_scalar(&record, |at, scalar| {
            if at != path {
                return;
            }
            let cell = match scalar {
                Scalar::Str(text) => Cell::text(shorten(&mut text.to_owned(), EXACT_BYTES_MAX)),
                scalar => Cell::from(scalar),
            };
            let bits = *numbers.entry(cell).or_insert_with_key(|cell| {
                cells.push(cell.clone());
                cells.len() as u64 - 1
            });
            found.push(Local { part, bits });
        });
        Ok(())
    }
}

impl FromRecord {
    fn collect(&mut self, doc: DocId, part: u32, found: &mut Vec<Local>) -> Result<(), IndexError> {
        let record = self.segment.record(doc)?;
        let Self { texts, numbers, .. } = self;
        (self.read)(&record, self.column, &mut |text| {
            let bits = numbers.get(text).copied().unwrap_or_else(|| {
                let number = texts.len() as u64;
                texts.push(text.into());
                numbers.insert(text.into(), number);
                number
            });
            found.push(Local { part, bits });
        });
        Ok(())
    }
}

/// Converts a time from the form that columns have.
pub(crate) fn time_of(bits: u64) -> Micros {
    Micros(DateTime::from_u64(bits).into_timestamp_micros())
}
