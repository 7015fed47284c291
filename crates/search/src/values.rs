//! Reads the values of a field in a segment, for groups, sorting and the comparison of two fields.
//!
//! Within a segment, a small number stands for a value: a [`Local`]. It becomes a [`Cell`] when the
//! segment is finished.
//!
//! Some values are read from the record: those of columns that are not kept by event, those without a
//! column, and large numbers beside fractions, whose column has not all of their digits.

mod looked_up;
mod records;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn, MonotonicallyMappableToU64};
use tantivy::{DateTime, DocId};

use self::looked_up::FromLookup;
use self::records::{FromPath, FromRecord, Numbered, Unkept, text_bytes};
use crate::flags::{FlagReader, Odd, name_at};
use crate::integrity::{BY_NAME, state_of};
use crate::lookups::LookedUp;
use crate::value_clauses::is_large;
use language::ast::Net;
use segment::IndexError;
use segment::dictionary::TextColumn;
use segment::overflow::Reach;
use segment::schema::TIME;
use segment::view::SegmentView;
use store::verdicts::Verdicts;
use trail::cell::Cell;
use trail::columns::ColumnId;
use trail::seeded::SeededMap;
use trail::time::Micros;

/// Steps of reading a value from a column, and from a record, which is fetched and parsed; a long record
/// takes one more for each byte.
const VALUE_STEPS: usize = 32;
const RECORD_STEPS: usize = 1 << 16;

/// What a value that was read from a record takes in memory, about, beside its text.
const KEPT_BYTES: usize = 128;

/// A field whose values are read.
#[derive(Clone, Debug)]
pub(crate) enum ValueSource {
    Time,
    /// The time, as the beginning of its interval.
    Bin(Bins),
    Column(ColumnId),
    /// `integrity`.
    Integrity(Arc<Verdicts>),
    /// `flag`.
    Flag(Arc<Odd>),
    /// What is looked up by other values.
    LookedUp(LookedUp),
    /// Paths, columns among them; their values count as those of one field.
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
    /// Bytes of the records that were read of the event at hand.
    read: usize,
}

/// Which values of a field's columns are the same value, where it has several columns.
#[derive(Default)]
struct Same {
    known: SeededMap<Local, Local>,
    first: SeededMap<Cell, Local>,
    bytes: usize,
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
    /// Bits are places in the order of the states' names.
    Integrity(Arc<SegmentView>, Arc<Verdicts>),
    /// Bits are places in the order of the flags' names.
    Flag(FlagReader),
    LookedUp(Box<FromLookup>),
    /// Values at a path that no column has, or not to the last digit.
    Path(Box<FromPath>),
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
            ValueSource::Column(id) => parts.extend(ValuePart::column(segment, *id, read)?),
            ValueSource::Integrity(verdicts) => {
                let kind = ValueKind::Integrity(Arc::clone(segment), Arc::clone(verdicts));
                parts.push(ValuePart { kind, index: ColumnIndex::Full, values: None });
            }
            ValueSource::Flag(odd) => {
                let kind = ValueKind::Flag(FlagReader::new(segment, odd)?);
                parts.push(ValuePart { kind, index: ColumnIndex::Full, values: None });
            }
            ValueSource::LookedUp(of) => {
                let kind = ValueKind::LookedUp(Box::new(FromLookup::open(segment, of, read)?));
                parts.push(ValuePart { kind, index: ColumnIndex::Full, values: None });
            }
            ValueSource::Paths(paths) => {
                for path in paths {
                    if let Some(id) = ColumnId::at_path(path) {
                        parts.extend(ValuePart::column(segment, id, read)?);
                        continue;
                    }
                    for column in segment.columns_at(path)? {
                        if let DynamicColumn::F64(column) = &column
                            && (is_large(column.min_value()) || is_large(column.max_value()))
                        {
                            let of = Unkept::Large(column.clone());
                            parts.push(ValuePart::of_path(segment, of, path));
                        }
                        parts.extend(ValuePart::of(column));
                    }
                    if let Some(overflow) = segment.overflowed(path, Reach::At)? {
                        let of = Unkept::Overflow(overflow);
                        parts.push(ValuePart::of_path(segment, of, path));
                    }
                }
            }
        }
        Ok(Self { parts, found: Vec::new(), same: Same::default(), read: 0 })
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
        !self.has_several_columns() && !self.parts.iter().any(|part| part.kind.is_numbered_as_met())
    }

    /// Steps that reading an event's values takes, about, where there are few.
    pub(crate) fn steps(&self) -> usize {
        let of_part = |part: &ValuePart| match part.kind {
            ValueKind::Record(_) | ValueKind::Path(_) => RECORD_STEPS,
            ValueKind::Flag(ref reader) if reader.is_slow() => RECORD_STEPS,
            ValueKind::LookedUp(ref from) => from.steps(),
            _ => VALUE_STEPS,
        };
        self.parts.iter().map(of_part).sum()
    }

    /// Steps that reading the values of the event at hand took beyond [`Self::steps`]: an event can have
    /// hundreds of thousands, and a long record.
    pub(crate) fn more_steps(&self) -> usize {
        self.found.len().saturating_sub(1) * VALUE_STEPS + self.read.saturating_sub(RECORD_STEPS)
    }

    /// Bytes of memory, about, that the values take which were read from records so far.
    pub(crate) fn bytes(&self) -> usize {
        let of_part = |part: &ValuePart| match &part.kind {
            ValueKind::Record(from) => from.met.bytes,
            ValueKind::Path(from) => from.met.bytes,
            ValueKind::LookedUp(from) => from.bytes(),
            _ => 0,
        };
        self.same.bytes + self.parts.iter().map(of_part).sum::<usize>()
    }

    /// Forgets the values that were read so far: no number that stood for one is used any more.
    pub(crate) fn forget(&mut self) {
        self.found.clear();
        self.same = Same::default();
        for part in &mut self.parts {
            match &mut part.kind {
                ValueKind::Record(from) => from.met = Numbered::default(),
                ValueKind::Path(from) => from.met = Numbered::default(),
                ValueKind::LookedUp(from) => from.forget(),
                _ => {}
            }
        }
    }

    pub(crate) fn has_several_columns(&self) -> bool {
        self.parts.len() > 1
    }

    /// Returns the distinct values of an event, in order.
    pub(crate) fn of(&mut self, doc: DocId) -> Result<&[Local], IndexError> {
        self.collect(doc)?;
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

    /// Returns the values of an event, each as often as the event has it, in no order.
    pub(crate) fn each_of(&mut self, doc: DocId) -> Result<&[Local], IndexError> {
        self.collect(doc)?;
        Ok(&self.found)
    }

    fn collect(&mut self, doc: DocId) -> Result<(), IndexError> {
        self.found.clear();
        self.read = 0;
        for (number, part) in self.parts.iter_mut().enumerate() {
            self.read += part.collect(doc, number as u32, &mut self.found)?;
        }
        Ok(())
    }

    /// Compares two values of one part.
    pub(crate) fn compare(&self, a: Local, b: Local) -> Ordering {
        match &self.parts[a.part as usize].kind {
            ValueKind::Record(from) => {
                from.met.values[a.bits as usize].cmp(&from.met.values[b.bits as usize])
            }
            ValueKind::Path(from) => {
                from.met.values[a.bits as usize].cmp(&from.met.values[b.bits as usize])
            }
            ValueKind::LookedUp(from) => {
                from.met.values[a.bits as usize].cmp(&from.met.values[b.bits as usize])
            }
            _ => a.bits.cmp(&b.bits),
        }
    }

    /// Returns a value if it is a number; otherwise None.
    pub(crate) fn number(&self, local: Local) -> Option<Cell> {
        let part = &self.parts[local.part as usize];
        let met = match &part.kind {
            ValueKind::Path(from) => Some(&from.met),
            ValueKind::LookedUp(from) => Some(&from.met),
            _ => None,
        };
        if let Some(met) = met {
            let cell = &met.values[local.bits as usize];
            return matches!(cell, Cell::Int(_) | Cell::Float(_)).then(|| cell.clone());
        }
        matches!(part.kind, ValueKind::I64 | ValueKind::U64 | ValueKind::F64)
            .then(|| part.plain(local.bits))
    }

    /// Whether [`Self::number`] returns one.
    pub(crate) fn is_number(&self, local: Local) -> bool {
        match &self.parts[local.part as usize].kind {
            ValueKind::I64 | ValueKind::U64 | ValueKind::F64 => true,
            ValueKind::Path(_) | ValueKind::LookedUp(_) => self.number(local).is_some(),
            _ => false,
        }
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

impl ValueKind {
    /// Whether numbers are those of the values in the order in which they were met.
    fn is_numbered_as_met(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Path(_) | Self::LookedUp(_))
    }
}

impl Same {
    fn first_of(&mut self, local: Local, parts: &[ValuePart]) -> Result<Local, IndexError> {
        if let Some(first) = self.known.get(&local) {
            return Ok(*first);
        }
        let mut cells = Vec::with_capacity(1);
        parts[local.part as usize].cells(&[local], &mut cells)?;
        let cell = cells.remove(0);
        self.bytes += KEPT_BYTES + text_bytes(&cell);
        let first = *self.first.entry(cell).or_insert(local);
        self.known.insert(local, first);
        Ok(first)
    }
}

impl ValuePart {
    fn time(segment: &SegmentView, kind: ValueKind) -> Result<Option<Self>, IndexError> {
        Ok(segment.open_column(TIME)?.and_then(Self::of).map(|part| Self { kind, ..part }))
    }

    /// A column of the schema.
    fn column(
        segment: &Arc<SegmentView>,
        column: ColumnId,
        read: &Arc<ReadRecord>,
    ) -> Result<Option<Self>, IndexError> {
        if !column.column().is_unique {
            return Ok(segment.text_column(column)?.map(Self::text));
        }
        let from = FromRecord::new(segment, column, read);
        let kind = ValueKind::Record(Box::new(from));
        Ok(Some(Self { kind, index: ColumnIndex::Full, values: None }))
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

    fn of_path(segment: &Arc<SegmentView>, of: Unkept, path: &str) -> Self {
        let kind = ValueKind::Path(Box::new(FromPath::new(segment, of, path)));
        Self { kind, index: ColumnIndex::Full, values: None }
    }

    /// Adds an event's values; returns the bytes of the record, if it was read for them.
    fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        if let ValueKind::Record(from) = &mut self.kind {
            return from.collect(doc, part, found);
        }
        if let ValueKind::Path(from) = &mut self.kind {
            return from.collect(doc, part, found);
        }
        if let ValueKind::LookedUp(from) = &mut self.kind {
            return from.collect(doc, part, found);
        }
        if let ValueKind::Integrity(segment, verdicts) = &self.kind {
            let state = state_of(segment, verdicts, doc)?;
            let place = BY_NAME.iter().position(|known| Some(*known) == state);
            found.extend(place.map(|place| Local { part, bits: place as u64 }));
            return Ok(0);
        }
        if let ValueKind::Flag(reader) = &self.kind {
            found.extend(reader.places(doc)?.map(|bits| Local { part, bits }));
            return Ok(0);
        }
        let Some(values) = &self.values else { return Ok(0) };
        let before = found.len();
        let mut add = |bits| found.push(Local { part, bits });
        match &self.index {
            ColumnIndex::Full => add(values.values.get_val(doc)),
            _ => values.values_for_doc(doc).for_each(add),
        }
        if let ValueKind::F64 = self.kind {
            let (zero, minus_zero) = (0.0_f64.to_u64(), (-0.0_f64).to_u64());
            for local in found[before..].iter_mut().filter(|local| local.bits == minus_zero) {
                local.bits = zero;
            }
            if found[before..].iter().any(|local| is_large(f64::from_u64(local.bits))) {
                // These are read from the record.
                let mut place = 0;
                found.retain(|local| {
                    place += 1;
                    place <= before || !is_large(f64::from_u64(local.bits))
                });
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
        Ok(0)
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
            ValueKind::Record(from) => Cell::Text(from.met.values[bits as usize].clone()),
            ValueKind::Path(from) => from.met.values[bits as usize].clone(),
            ValueKind::LookedUp(from) => from.met.values[bits as usize].clone(),
            ValueKind::Integrity(..) => Cell::text(BY_NAME[bits as usize].name()),
            ValueKind::Flag(_) => Cell::text(name_at(bits)),
            ValueKind::Text(_) => Cell::Null,
        }
    }
}

/// Converts a time from the form that columns have.
pub(crate) fn time_of(bits: u64) -> Micros {
    Micros(DateTime::from_u64(bits).into_timestamp_micros())
}
