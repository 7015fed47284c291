//! Counting events by the values of a few columns, where an array has room for every combination of a
//! segment's values: most tables, at a few nanoseconds an event.
//!
//! An event has at most one value in each of these columns, so that it counts once.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use tantivy::columnar::{Cardinality, DynamicColumn, StrColumn};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet};

use super::CHECK_STEP;
use crate::event::cell::Cell;
use crate::event::time::Micros;
use crate::index::IndexError;
use crate::index::snapshot::SegmentView;
use crate::index::values::{Bins, Source};

/// Combinations that are counted at most: 16 MiB.
const CELLS_MAX: usize = 1 << 22;

/// Events by the values of columns, in one segment.
pub struct Counter {
    keys: Vec<Key>,
    /// How far apart two neighbouring values of each key are; stretches of time come one behind another.
    strides: Vec<usize>,
    /// By combination.
    counts: Vec<u32>,
}

enum Key {
    /// A column that the segment does not have.
    Missing,
    /// The last number is that of events without a value.
    Text {
        column: StrColumn,
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
    starts: Vec<Micros>,
    numbers: HashMap<Micros, usize, FxBuildHasher>,
    /// The documents up to, and without, this one are in the stretch of this number: a segment's runs are
    /// sorted by time.
    current: (DocId, usize),
}

impl Counter {
    /// None where the keys are of other kinds, or have too many combinations.
    pub fn open(segment: &Arc<SegmentView>, keys: &[Source]) -> Result<Option<Self>, IndexError> {
        let mut opened = Vec::with_capacity(keys.len());
        for key in keys {
            match Key::open(segment, key)? {
                Some(key) => opened.push(key),
                None => return Ok(None),
            }
        }
        let is_time = |key: &&Key| matches!(key, Key::Time { .. });
        if opened.is_empty() || opened.iter().filter(is_time).count() > 1 {
            return Ok(None);
        }
        let mut cells = 1_usize;
        let mut strides = vec![0; opened.len()];
        for (key, stride) in opened.iter().zip(&mut strides) {
            *stride = cells;
            if let Key::Text { size, .. } = key {
                cells = cells.saturating_mul(*size);
            }
        }
        for (key, stride) in opened.iter().zip(&mut strides) {
            if is_time(&key) {
                *stride = cells;
            }
        }
        let is_small = cells <= CELLS_MAX;
        Ok(is_small.then(|| Self { keys: opened, strides, counts: vec![0; cells] }))
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.counts.as_slice())
    }

    /// Counts the documents; returns how many there are, or none where times and values have more
    /// combinations than there is room for.
    pub fn count<E: From<IndexError>>(
        &mut self,
        docs: &mut dyn DocSet,
        check: &dyn Fn() -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut events = 0;
        loop {
            let found = docs.fill_buffer(&mut block);
            if found == 0 {
                return Ok(Some(events));
            }
            if !self.add(&block[..found]) {
                return Ok(None);
            }
            events += found as u64;
            if events % CHECK_STEP < found as u64 {
                check()?;
            }
        }
    }

    /// False where there is no room for the combinations.
    fn add(&mut self, docs: &[DocId]) -> bool {
        let mut cells = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut ordinals = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut values = [None; COLLECT_BLOCK_BUFFER_LEN];
        let (ordinals, values) = (&mut ordinals[..docs.len()], &mut values[..docs.len()]);
        for (key, stride) in self.keys.iter_mut().zip(&self.strides) {
            match key {
                Key::Missing => {}
                Key::Text { column, .. } if column.ords().index.get_cardinality().is_full() => {
                    column.ords().values.get_vals(docs, ordinals);
                    for (cell, ordinal) in cells.iter_mut().zip(&*ordinals) {
                        *cell += *ordinal as usize * stride;
                    }
                }
                Key::Text { column, size } => {
                    column.ords().first_vals(docs, values);
                    for (cell, ordinal) in cells.iter_mut().zip(&*values) {
                        *cell += ordinal.map_or(*size - 1, |ordinal| ordinal as usize) * stride;
                    }
                }
                Key::Time { segment, stretches } => {
                    for (cell, doc) in cells.iter_mut().zip(docs) {
                        *cell += stretches.number(segment, *doc) * stride;
                    }
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
        for cell in &cells[..docs.len()] {
            self.counts[*cell] += 1;
        }
        true
    }

    /// Calls `sink` with each combination of values that some event has, and how many have it.
    pub fn each(
        &self,
        mut sink: impl FnMut(Vec<Cell>, u64) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let met: Vec<usize> =
            self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(cell, _)| cell).collect();
        let mut rows = vec![Vec::with_capacity(self.keys.len()); met.len()];
        for (key, stride) in self.keys.iter().zip(&self.strides) {
            let number = |cell: usize| match key {
                Key::Missing => 0,
                Key::Text { size, .. } => cell / stride % size,
                Key::Time { .. } => cell / stride,
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
        for (row, cell) in rows.into_iter().zip(met) {
            sink(row, self.counts[cell].into())?;
        }
        Ok(())
    }

    /// Of a single key that is text: its column, how many events have each value, and how many have
    /// none.
    pub fn of_one_text(&self) -> Option<(Option<&StrColumn>, &[u32], u64)> {
        match self.keys.as_slice() {
            [Key::Missing] => Some((None, &[], self.counts[0].into())),
            [Key::Text { column, size }] => {
                Some((Some(column), &self.counts[..size - 1], self.counts[size - 1].into()))
            }
            _ => None,
        }
    }
}

impl Key {
    fn open(segment: &Arc<SegmentView>, source: &Source) -> Result<Option<Self>, IndexError> {
        let column = match source {
            Source::Column(id) if !id.column().is_unique => segment.text_column(*id)?,
            Source::Paths(paths) => {
                let [path] = paths.as_slice() else { return Ok(None) };
                let mut columns = segment.columns_at(path)?;
                match (columns.pop(), columns.is_empty()) {
                    (None, _) => None,
                    (Some(DynamicColumn::Str(column)), true) => Some(column),
                    _ => return Ok(None),
                }
            }
            Source::Bin(bins) => {
                let (segment, stretches) = (Arc::clone(segment), Stretches::new(bins.clone()));
                return Ok(Some(Self::Time { segment, stretches }));
            }
            Source::Column(_) | Source::Time => return Ok(None),
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
                let are_there = column.dictionary().sorted_ords_to_term_cb(&ordinals, |text| {
                    cells.push(Cell::text(&String::from_utf8_lossy(text)));
                })?;
                if !are_there {
                    return Err(IndexError::Bug("a value without a text"));
                }
                cells.resize(numbers.len(), Cell::Null);
            }
        }
        Ok(cells)
    }
}

impl Stretches {
    fn new(bins: Bins) -> Self {
        Self { bins, current: (0, 0), starts: Vec::new(), numbers: HashMap::default() }
    }

    /// The number of the stretch that a document is in. Documents come in order.
    fn number(&mut self, segment: &SegmentView, doc: DocId) -> usize {
        if doc >= self.current.0 {
            let stretch = (self.bins.0)(segment.time(doc));
            let new = self.starts.len();
            let number = *self.numbers.entry(stretch.start).or_insert(new);
            if number == new {
                self.starts.push(stretch.start);
            }
            self.current = (segment.next_before(doc, stretch.holds.start), number);
        }
        self.current.1
    }
}
