//! Values that are looked up by others, which are read first.

use std::sync::Arc;

use tantivy::DocId;

use super::records::{Numbered, text_bytes};
use super::{KEPT_BYTES, Local, ReadRecord, ValueSource, Values};
use crate::lookups::LookedUp;
use segment::IndexError;
use segment::view::SegmentView;
use trail::cell::Cell;
use trail::seeded::SeededMap;

/// What is looked up of a segment's values, of each once; bits number what was met.
pub(super) struct FromLookup {
    of: LookedUp,
    by: Box<Values>,
    known: SeededMap<Local, Box<[u64]>>,
    pub(super) met: Numbered<Cell>,
    bytes: usize,
}

impl FromLookup {
    pub(super) fn open(
        segment: &Arc<SegmentView>,
        of: &LookedUp,
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        let by = Box::new(Values::open(segment, &ValueSource::Paths(of.paths()), read)?);
        let (known, met) = (SeededMap::default(), Numbered::default());
        Ok(Self { of: of.clone(), by, known, met, bytes: 0 })
    }

    /// Adds what an event has; returns the bytes of records that were read for it.
    pub(super) fn collect(
        &mut self,
        doc: DocId,
        part: u32,
        found: &mut Vec<Local>,
    ) -> Result<usize, IndexError> {
        let locals = self.by.of(doc)?.to_vec();
        let before = found.len();
        for local in locals {
            if !self.known.contains_key(&local) {
                let value = self.by.cell(local)?;
                let mut numbers = Vec::new();
                for cell in self.of.cells(&value.to_string()) {
                    numbers.push(self.met.number(&cell, text_bytes(&cell), || cell.clone()));
                }
                self.bytes += KEPT_BYTES;
                self.known.insert(local, numbers.into());
            }
            let numbers = self.known[&local].iter();
            found.extend(numbers.map(|bits| Local { part, bits: *bits }));
        }
        // What several values have is one value.
        found[before..].sort_unstable();
        let mut last = None;
        let mut place = 0;
        found.retain(|local| {
            place += 1;
            place <= before || last.replace(*local) != Some(*local)
        });
        Ok(self.by.read)
    }

    pub(super) fn steps(&self) -> usize {
        self.by.steps()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.met.bytes + self.by.bytes()
    }

    pub(super) fn forget(&mut self) {
        self.by.forget();
        self.known = SeededMap::default();
        self.met = Numbered::default();
        self.bytes = 0;
    }
}
