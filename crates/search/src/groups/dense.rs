//! Counts events by the values of a few columns in an array with a cell for each combination of
//! values. Most tables are counted so, at a few nanoseconds an event.
//!
//! An event has at most one value in each of these columns, so it counts once.

use std::ops::Range;
use std::sync::Arc;

use tantivy::columnar::{Cardinality, ColumnValues, DynamicColumn, MonotonicallyMappableToU64};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DateTime, DocId};

use crate::values::{Bins, ValueSource, time_of};
use segment::IndexError;
use segment::dictionary::{TermWalk, TextColumn};
use segment::overflow::Reach;
use segment::schema::{Fields, TIME};
use segment::stop::Pace;
use segment::view::SegmentView;
use trail::cell::Cell;
use trail::columns::ColumnId;
use trail::seeded::SeededMap;
use trail::time::Micros;

/// Combinations that are counted at most: 16 MiB.
const CELLS_MAX: usize = 1 << 22;

/// Rows that are made between two looks at the deadline, and the steps of a value of one.
const ROWS_AT_ONCE: usize = 1 << 14;
const ROW_STEPS: usize = 128;

/// Reading a term of the inverted index takes as long as counting so many events. A few are read
/// however small the segment is: all segments must be counted the same way.
const EVENTS_PER_TERM: usize = 16;
const TERMS_FEW: usize = 500;

/// The counts of one segment's events by the values of columns.
pub(crate) struct Counter {
    keys: Vec<DenseKey>,
    /// How far apart two neighbouring values of each key are; stretches of time come one behind another.
    strides: Vec<usize>,
    /// By combination.
    counts: Vec<u32>,
    scratch: Box<Scratch>,
}

/// Of the documents at hand: made once, since zeroing it takes as long as counting.
#[derive(Default)]
struct Scratch {
    cells: Block<usize>,
    ordinals: Block<u64>,
    values: Block<Option<u64>>,
}

struct Block<T>([T; COLLECT_BLOCK_BUFFER_LEN]);

impl<T: Copy + Default> Default for Block<T> {
    fn default() -> Self {
        Self([T::default(); COLLECT_BLOCK_BUFFER_LEN])
    }
}

enum DenseKey {
    /// A column that the segment does not have.
    Missing,
    /// The last number is that of events without a value.
    Text {
        column: TextColumn,
        size: usize,
    },
    Time {
        segment: Arc<SegmentView>,
        stretches: Stretches,
    },
}

/// The stretches of time that were met, numbered.
struct Stretches {
    bins: Bins,
    times: Arc<dyn ColumnValues>,
    starts: Vec<Micros>,
    numbers: SeededMap<Micros, usize>,
    /// Of the document before.
    current: usize,
    /// Times of the same stretch, as the column has them.
    holds: Range<u64>,
    /// The documents up to, and without, this one are in it: a segment's runs are sorted by time.
    until: DocId,
}

impl Counter {
    /// Opens a counter; None where a key is of another kind, or the keys have too many
    /// combinations.
    pub(crate) fn open(
        segment: &Arc<SegmentView>,
        keys: &[ValueSource],
    ) -> Result<Option<Self>, IndexError> {
        let mut opened = Vec::with_capacity(keys.len());
        for key in keys {
            match DenseKey::open(segment, key)? {
                Some(key) => opened.push(key),
                None => return Ok(None),
            }
        }
        let is_time = |key: &&DenseKey| matches!(key, DenseKey::Time { .. });
        if opened.is_empty() || opened.iter().filter(is_time).count() > 1 {
            return Ok(None);
        }
        let mut cells = 1_usize;
        let mut strides = vec![0; opened.len()];
        for (key, stride) in opened.iter().zip(&mut strides) {
            *stride = cells;
            if let DenseKey::Text { size, .. } = key {
                cells = cells.saturating_mul(*size);
            }
        }
        for (key, stride) in opened.iter().zip(&mut strides) {
            if is_time(&key) {
                *stride = cells;
            }
        }
        Ok((cells <= CELLS_MAX).then(|| Self::with(opened, strides, cells)))
    }

    /// Counts all events of a segment by a column of the schema from the inverted index, without a
    /// look at events. None where that is not quicker.
    pub(crate) fn of_all(
        segment: &SegmentView,
        column: ColumnId,
    ) -> Result<Option<Self>, IndexError> {
        let (events, Some(mut counter)) = (segment.events(), Self::of_column(segment, column)?)
        else {
            return Ok(None);
        };
        let (without, counts) = counter.counts.split_last_mut().expect("it is that of no value");
        if counts.len() > TERMS_FEW.max(events as usize / EVENTS_PER_TERM) {
            return Ok(None);
        }
        let index = segment.reader.inverted_index(Fields::column(column))?;
        let mut terms = TermWalk::of_terms(index.terms(), b"")?;
        let mut with = 0;
        for count in counts {
            if !terms.advance()? {
                return Ok(None);
            }
            *count = terms.info().doc_freq;
            with += *count;
        }
        if terms.advance()? || with > events {
            return Ok(None);
        }
        *without = events - with;
        Ok(Some(counter))
    }

    /// How many events were counted.
    pub(crate) fn events(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// Drops the events without a value; for one key that is text.
    pub(crate) fn leave_out_none(&mut self) {
        if let Some(without) = self.counts.last_mut() {
            *without = 0;
        }
    }

    /// Counts one event for each value that the segment has in a column of the schema.
    pub(crate) fn of_each_value(
        segment: &SegmentView,
        column: ColumnId,
    ) -> Result<Option<Self>, IndexError> {
        let Some(mut counter) = Self::of_column(segment, column)? else { return Ok(None) };
        counter.counts.fill(1);
        Ok(Some(counter))
    }

    /// A counter of a column whose values are those, and no others, that events have: the terms of the
    /// inverted index.
    fn of_column(segment: &SegmentView, column: ColumnId) -> Result<Option<Self>, IndexError> {
        debug_assert!(!column.column().is_unique, "most of its values are no terms");
        let counter = match segment.text_column(column)? {
            None => Self::with(vec![DenseKey::Missing], vec![1], 1),
            Some(text) if text.ords().get_cardinality() == Cardinality::Multivalued => {
                return Ok(None);
            }
            Some(text) => {
                let index = segment.reader.inverted_index(Fields::column(column))?;
                let size = text.num_terms();
                if index.terms().num_terms() != size || size >= CELLS_MAX {
                    return Ok(None);
                }
                Self::with(vec![DenseKey::Text { column: text, size: size + 1 }], vec![1], size + 1)
            }
        };
        Ok(Some(counter))
    }

    fn with(keys: Vec<DenseKey>, strides: Vec<usize>, cells: usize) -> Self {
        Self { keys, strides, counts: vec![0; cells], scratch: Box::default() }
    }

    /// Bytes of memory that the counter takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.counts.as_slice())
    }

    /// Counts a block of documents, which come in order. Returns false where times and values have
    /// more combinations than fit.
    pub(crate) fn add(&mut self, docs: &[DocId]) -> bool {
        let Scratch { cells, ordinals, values } = &mut *self.scratch;
        let cells = &mut cells.0[..docs.len()];
        let (ordinals, values) = (&mut ordinals.0[..docs.len()], &mut values.0[..docs.len()]);
        cells.fill(0);
        for (key, stride) in self.keys.iter_mut().zip(&self.strides) {
            match key {
                DenseKey::Missing => {}
                DenseKey::Text { column, .. }
                    if column.ords().index.get_cardinality().is_full() =>
                {
                    read_values(&*column.ords().values, docs, ordinals);
                    for (cell, ordinal) in cells.iter_mut().zip(&*ordinals) {
                        *cell += *ordinal as usize * stride;
                    }
                }
                DenseKey::Text { column, size } => {
                    values.fill(None);
                    column.ords().first_vals(docs, values);
                    for (cell, ordinal) in cells.iter_mut().zip(&*values) {
                        *cell += ordinal.map_or(*size - 1, |ordinal| ordinal as usize) * stride;
                    }
                }
                DenseKey::Time { segment, stretches } => {
                    stretches.add_numbers(segment, docs, ordinals, *stride, cells);
                    let room = stretches.starts.len() * stride;
                    if room > CELLS_MAX {
                        return false;
                    }
                    if self.counts.len() < room {
                        self.counts.resize(room, 0);
                    }
                }
            }
        }
        for cell in cells {
            self.counts[*cell] += 1;
        }
        true
    }

    /// Adds the counts of other documents of the same segment; for keys that are texts.
    pub(crate) fn add_counter(&mut self, other: &Self) {
        assert_eq!(self.counts.len(), other.counts.len(), "the same columns have the same values");
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            *mine += others;
        }
    }

    /// Calls `sink` with each combination of values that some event has, and the number of events.
    pub(crate) fn each(
        &self,
        pace: &mut Pace<'_>,
        mut sink: impl FnMut(Vec<Cell>, u64) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let met: Vec<usize> =
            self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(cell, _)| cell).collect();
        for met in met.chunks(ROWS_AT_ONCE) {
            pace.spend(met.len() * self.keys.len() * ROW_STEPS)?;
            for (row, cell) in self.rows(met)?.into_iter().zip(met) {
                sink(row, self.counts[*cell].into())?;
            }
        }
        Ok(())
    }

    /// What combinations of values are, given in order.
    fn rows(&self, met: &[usize]) -> Result<Vec<Vec<Cell>>, IndexError> {
        let mut rows = vec![Vec::with_capacity(self.keys.len()); met.len()];
        for (key, stride) in self.keys.iter().zip(&self.strides) {
            let number = |cell: usize| match key {
                DenseKey::Missing => 0,
                DenseKey::Text { size, .. } => cell / stride % size,
                DenseKey::Time { .. } => cell / stride,
            };
            let numbers: Vec<usize> = met.iter().map(|cell| number(*cell)).collect();
            let mut distinct = numbers.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let cells = key.cells(&distinct)?;
            for (row, number) in rows.iter_mut().zip(numbers) {
                let at = distinct.binary_search(&number).expect("it is one of them");
                row.push(cells[at].clone());
            }
        }
        Ok(rows)
    }

    /// For a single key that is text, returns its column, how many events have each value, and how
    /// many have none; otherwise None.
    pub(crate) fn of_one_text(&self) -> Option<(Option<&TextColumn>, &[u32], u64)> {
        match self.keys.as_slice() {
            [DenseKey::Missing] => Some((None, &[], self.counts[0].into())),
            [DenseKey::Text { column, size }] => {
                Some((Some(column), &self.counts[..size - 1], self.counts[size - 1].into()))
            }
            _ => None,
        }
    }
}

impl DenseKey {
    fn open(segment: &Arc<SegmentView>, source: &ValueSource) -> Result<Option<Self>, IndexError> {
        let column = match source {
            ValueSource::Column(id) if !id.column().is_unique => segment.text_column(*id)?,
            ValueSource::Paths(paths) => {
                let Some(path) = only_path(segment, paths)? else { return Ok(None) };
                if let Some(id) = ColumnId::at_path(path) {
                    return Self::open(segment, &ValueSource::Column(id));
                }
                if segment.overflowed(path, Reach::At)?.is_some() {
                    return Ok(None);
                }
                let mut columns = segment.columns_at(path)?;
                match (columns.pop(), columns.is_empty()) {
                    (None, _) => None,
                    (Some(DynamicColumn::Str(column)), true) => Some(column.into()),
                    _ => return Ok(None),
                }
            }
            ValueSource::Bin(bins) => {
                let Some(DynamicColumn::DateTime(times)) = segment.open_column(TIME)? else {
                    return Ok(None);
                };
                let stretches = Stretches::new(bins.clone(), times.to_u64_monotonic().values);
                return Ok(Some(Self::Time { segment: Arc::clone(segment), stretches }));
            }
            ValueSource::Column(_)
            | ValueSource::Integrity(_)
            | ValueSource::Flag(_)
            | ValueSource::LookedUp(_)
            | ValueSource::Time
            | ValueSource::Net(..) => return Ok(None),
        };
        Ok(match column {
            None => Some(Self::Missing),
            Some(column) if column.ords().get_cardinality() == Cardinality::Multivalued => None,
            Some(column) => Some(Self::Text { size: column.num_terms() + 1, column }),
        })
    }

    /// What values are, which are given in order.
    fn cells(&self, numbers: &[usize]) -> Result<Vec<Cell>, IndexError> {
        let mut cells = Vec::with_capacity(numbers.len());
        match self {
            Self::Missing => cells.resize(numbers.len(), Cell::Null),
            Self::Time { stretches, .. } => {
                cells.extend(numbers.iter().map(|number| Cell::Time(stretches.starts[*number])));
            }
            Self::Text { column, size } => {
                let ordinals: Vec<u64> = numbers
                    .iter()
                    .filter(|number| **number + 1 < *size)
                    .map(|number| *number as u64)
                    .collect();
                column.each_text(&ordinals, |text| {
                    cells.push(Cell::text(&String::from_utf8_lossy(text)));
                })?;
                cells.resize(numbers.len(), Cell::Null);
            }
        }
        Ok(cells)
    }
}

/// The one path of several at which a segment has values, or the first where none has any.
fn only_path<'p>(
    segment: &SegmentView,
    paths: &'p [String],
) -> Result<Option<&'p String>, IndexError> {
    let mut with_values = Vec::new();
    for path in paths.iter().filter(|_| paths.len() > 1) {
        let has_column = ColumnId::at_path(path).is_some()
            || !segment.columns_at(path)?.is_empty()
            || segment.overflowed(path, Reach::At)?.is_some();
        with_values.extend(has_column.then_some(path));
    }
    Ok(match with_values[..] {
        [] => paths.first(),
        [path] => Some(path),
        _ => None,
    })
}

impl Stretches {
    fn new(bins: Bins, times: Arc<dyn ColumnValues>) -> Self {
        let (starts, numbers) = (Vec::new(), SeededMap::default());
        Self { bins, times, starts, numbers, current: 0, holds: 0..0, until: 0 }
    }

    /// Adds to each document's cell the number of the stretch that it is in. Documents come in order.
    fn add_numbers(
        &mut self,
        segment: &SegmentView,
        docs: &[DocId],
        times: &mut [u64],
        stride: usize,
        cells: &mut [usize],
    ) {
        let Some(last) = docs.last() else { return };
        if *last < self.until {
            for cell in cells {
                *cell += self.current * stride;
            }
            return;
        }
        read_values(&*self.times, docs, times);
        let mut turns = 0;
        for (cell, time) in cells.iter_mut().zip(times) {
            if !self.holds.contains(time) {
                self.turn_to(*time);
                turns += 1;
            }
            *cell += self.current * stride;
        }
        // Where stretches are longer than this, it pays to look where the current one ends.
        let is_long = turns <= 1;
        self.until = if is_long { segment.next_before(*last, self.start()) } else { last + 1 };
    }

    fn turn_to(&mut self, time: u64) {
        let stretch = (self.bins.0)(time_of(time));
        let bits =
            |time: Micros| DateTime::from_timestamp_nanos(time.0.saturating_mul(1_000)).to_u64();
        self.holds = bits(stretch.holds.start)..bits(stretch.holds.end);
        let new = self.starts.len();
        self.current = *self.numbers.entry(stretch.start).or_insert(new);
        if self.current == new {
            self.starts.push(stretch.start);
        }
    }

    /// The first time of the current stretch.
    fn start(&self) -> Micros {
        time_of(self.holds.start)
    }
}

/// Reads the values of documents: quickest where they follow each other.
fn read_values(values: &dyn ColumnValues, docs: &[DocId], into: &mut [u64]) {
    match docs {
        [first, .., last] if (last - first) as usize + 1 == docs.len() => {
            values.get_range(u64::from(*first), into);
        }
        _ => values.get_vals(docs, into),
    }
}
