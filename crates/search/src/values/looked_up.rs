//! Values that are looked up by others, which are read first.
//!
//! Of a dictionary, values are looked up a run at a time: neighbours are read at once, and to read one takes
//! the block that it is in.

use std::io;
use std::sync::Arc;

use tantivy::DocId;

use super::records::{Numbered, text_bytes};
use super::{KEPT_BYTES, Local, ReadRecord, ValueKind, ValuePart, ValueSource, Values};
use crate::lookups::LookedUp;
use segment::IndexError;
use segment::view::SegmentView;
use trail::cell::Cell;
use trail::seeded::SeededMap;

/// Values of a dictionary that are looked up at a time: some 2 ms.
const RUN: usize = 1_024;

/// What is looked up of a segment's values, of each once; bits number what was met.
pub(super) struct FromLookup {
    of: LookedUp,
    sources: Vec<Source>,
    pub(super) met: Numbered<Cell>,
    sets: Sets,
    bytes: usize,
}

/// The values at one path.
struct Source {
    values: Values,
    /// Of each value of the dictionary, the number of its set, where its run was looked up.
    runs: Vec<Option<Box<[u32]>>>,
    /// The same of values without a dictionary.
    others: SeededMap<Local, u32>,
}

/// What values have, as numbers of what was met, each set once.
#[derive(Default)]
struct Sets {
    all: Vec<Box<[u64]>>,
    numbers: SeededMap<Box<[u64]>, u32>,
}

impl Sets {
    fn number(&mut self, set: Vec<u64>) -> u32 {
        let set: Box<[u64]> = set.into();
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.all.push(set.clone());
        self.numbers.insert(set, number);
        number
    }
}

impl FromLookup {
    pub(super) fn open(
        segment: &Arc<SegmentView>,
        of: &LookedUp,
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        let mut sources = Vec::new();
        for path in of.paths() {
            let values = Values::open(segment, &ValueSource::Paths(vec![path]), read)?;
            let runs = values.dictionary_size().unwrap_or_default().div_ceil(RUN);
            let (runs, others) = (vec![None; runs], SeededMap::default());
            sources.push(Source { values, runs, others });
        }
        let (met, sets) = (Numbered::default(), Sets::default());
        Ok(Self { of: of.clone(), sources, met, sets, bytes: 0 })
    }

    /// Adds what an event has, each once; returns the bytes of records that were read for it.
    pub(super) fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        let (before, mut read) = (found.len(), 0);
        for at in 0..self.sources.len() {
            self.sources[at].values.collect(doc)?;
            read += self.sources[at].values.read;
            for place in 0..self.sources[at].values.found.len() {
                let set = self.set_of(at, self.sources[at].values.found[place])?;
                for bits in &self.sets.all[set as usize] {
                    let local = Local { part, bits: *bits };
                    if !found[before..].contains(&local) {
                        found.push(local);
                    }
                }
            }
        }
        Ok(read)
    }

    /// The number of the set that a value has.
    fn set_of(&mut self, at: usize, local: Local) -> Result<u32, IndexError> {
        let (run, place) = (local.bits as usize / RUN, local.bits as usize % RUN);
        let source = &self.sources[at];
        if source.runs.is_empty() {
            if let Some(known) = source.others.get(&local) {
                return Ok(*known);
            }
            let value = source.values.cell(local)?.to_string();
            let set = self.looked_up(&value);
            self.bytes += KEPT_BYTES;
            self.sources[at].others.insert(local, set);
            return Ok(set);
        }
        if let Some(known) = source.runs.get(run).ok_or_else(broken)? {
            return known.get(place).copied().ok_or_else(broken);
        }
        let mut texts: Vec<String> = Vec::with_capacity(RUN);
        if let [ValuePart { kind: ValueKind::Text(column), .. }] = &source.values.parts[..] {
            let last = column.num_terms().min((run + 1) * RUN);
            let ordinals: Vec<u64> = (run * RUN..last).map(|ordinal| ordinal as u64).collect();
            column.each_text(&ordinals, |text| {
                texts.push(String::from_utf8_lossy(text).into_owned());
            })?;
        }
        let sets: Box<[u32]> = texts.iter().map(|text| self.looked_up(text)).collect();
        self.bytes += sets.len() * size_of::<u32>();
        let set = sets.get(place).copied();
        self.sources[at].runs[run] = Some(sets);
        set.ok_or_else(broken)
    }

    fn looked_up(&mut self, value: &str) -> u32 {
        let mut numbers = Vec::new();
        for cell in self.of.cells(value) {
            numbers.push(self.met.number(&cell, text_bytes(&cell), || cell.clone()));
        }
        let before = self.sets.all.len();
        let set = self.sets.number(numbers);
        self.bytes += (self.sets.all.len() - before) * KEPT_BYTES;
        set
    }

    pub(super) fn steps(&self) -> usize {
        self.sources.iter().map(|source| source.values.steps()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let of_values: usize = self.sources.iter().map(|source| source.values.bytes()).sum();
        self.bytes + self.met.bytes + of_values
    }

    pub(super) fn forget(&mut self) {
        for source in &mut self.sources {
            source.values.forget();
            source.runs.fill(None);
            source.others = SeededMap::default();
        }
        (self.met, self.sets, self.bytes) = (Numbered::default(), Sets::default(), 0);
    }
}

/// A value that its dictionary does not have: one of the two is damaged.
fn broken() -> IndexError {
    io::Error::new(io::ErrorKind::InvalidData, "a value is not in its dictionary").into()
}
