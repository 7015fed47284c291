//! Retention on one segment: writes the segment again without its oldest events.
//!
//! Runs are sorted by time, latest first, so the beginning of each run stays. Where no event stays,
//! the caller drops the whole segment and writes nothing.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use tantivy::directory::{OwnedBytes, TerminatingWrite};
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::indexer::merge_filtered_segments;
use tantivy::{BitSet, Directory, DocId};

use super::IndexError;
use super::keys;
use super::records;
use super::schema;
use crate::build::{open_index, words_of};
use crate::check::check_segment;
use crate::directory::{SegmentDirectory, SegmentFiles};
use crate::ids::Ids;
use crate::parts::{Part, SegmentEntry, segment_id};
use crate::records::{Dictionaries, Shuffled};
use crate::schema::Fields;
use crate::sigbus;
use crate::sigbus::Lost;
use crate::view::SegmentView;
use trail::content::EventKey;
use trail::time::Micros;

/// Computes an event's key from its record as delivered; None where the record cannot be read.
pub type ReadKey<'k> = dyn FnMut(&[u8]) -> Option<EventKey> + 'k;

/// A segment to be cut: some of its events are before a time, others are not.
pub struct Expiry<'a> {
    /// Where the new segment is written.
    pub files: &'a SegmentFiles,
    /// The schema of the index.
    pub fields: &'a Fields,
    /// Compression dictionaries for the records of the new segment.
    pub dictionaries: &'a Dictionaries,
    /// The segment to cut, open.
    pub segment: &'a Arc<SegmentView>,
    /// Events from before this time go.
    pub before: Micros,
    /// So do these.
    pub future: &'a Future,
}

/// Events that are later than their files were read, and go when events of that time do.
#[derive(Clone, Debug)]
pub struct Future {
    /// They are from after this time,
    pub after: Micros,
    /// and of these files.
    pub files: HashSet<u64>,
}

impl Expiry<'_> {
    /// Checks the segment, then writes the new one that replaces it. Returns the new one, which is
    /// in no commit yet.
    pub fn write(&self, read_key: &mut ReadKey<'_>) -> Result<SegmentEntry, IndexError> {
        check_segment(&self.files.dir, &self.segment.entry, &|_| {})?;
        self.files.check_pages(&self.segment.entry.files, &Lost::look())?;
        let output = self.files.directory();
        let cuts_before = sigbus::cuts();
        let mut written = self.write_into(&output, read_key);
        if sigbus::cuts() != cuts_before {
            written = Err(IndexError::Cut);
        }
        if written.is_err() {
            output.give_up();
        }
        written
    }

    fn write_into(
        &self,
        output: &SegmentDirectory,
        read_key: &mut ReadKey<'_>,
    ) -> Result<SegmentEntry, IndexError> {
        let entry = &self.segment.entry;
        let kept = KeptDocs::of(self.segment, self.before, self.future);
        if kept.events == 0 {
            return Err(IndexError::Bug(
                "a segment of which nothing is kept was to be written again",
            ));
        }
        let index = open_index(self.files.directory(), self.fields)?;
        let old = index.segment(index.new_segment_meta(segment_id(entry)?, entry.events()));
        let alive = kept.bits(entry.events())?;
        let settings = schema::settings();
        let new = merge_filtered_segments(&[old], settings, vec![Some(alive)], output.clone())?;
        let new = new.searchable_segments()?.remove(0);
        let id = new.id().uuid_string();
        let records = [self.files.records(&entry.id)?];
        for part in Part::ALL {
            let mut out = output.open_write(&part.path(&id))?;
            match part {
                Part::Records => {
                    let old = |n: usize| (0, kept.old(n as DocId));
                    let source = Shuffled::new(&records, kept.events as usize, old);
                    records::write(source, self.dictionaries, &mut out)?;
                }
                Part::Ids => {
                    let mut ids = Ids::default();
                    self.files.ids(&entry.id)?.add_to(&mut ids, |doc| kept.new_number(doc));
                    ids.write(&mut out)?;
                }
                Part::Words => words_of(&new)?.write(&mut out)?,
                Part::Keys => {
                    let gone = self.gone(&kept, read_key)?;
                    let path = self.files.dir.join(Part::Keys.name(&entry.id));
                    keys::write_without(&self.segment.keys, &gone, &mut out)
                        .map_err(IndexError::read(&path))?;
                }
            }
            out.terminate()?;
        }
        let runs = kept.ranges.iter().map(|range| range.end - range.start).collect();
        Ok(SegmentEntry { id, runs, files: output.written() })
    }

    /// The keys of the events that go, sorted. Where a key is, does not say of which event it is.
    fn gone(
        &self,
        kept: &KeptDocs,
        read_key: &mut ReadKey<'_>,
    ) -> Result<Vec<EventKey>, IndexError> {
        let records = self.files.records(&self.segment.entry.id)?;
        let mut gone = Vec::with_capacity((self.segment.events() - kept.events) as usize);
        let mut block = None;
        for doc in (0..self.segment.events()).filter(|doc| kept.new_number(*doc).is_none()) {
            let n = records.block_of(doc);
            if block.as_ref().is_none_or(|(number, _)| *number != n) {
                block = Some((n, records.block(n)?));
            }
            let record = block.as_ref().and_then(|(_, block)| block.record(doc));
            let key = record.and_then(|record| read_key(&record));
            let unread = || {
                let reason = format!("the record of its event {doc} cannot be read again");
                IndexError::damaged(records.path(), reason)
            };
            gone.push(key.ok_or_else(unread)?);
        }
        gone.sort_unstable();
        Ok(gone)
    }
}

/// The documents that stay: of each run the beginning, but for some events of the future.
struct KeptDocs {
    ranges: Vec<Range<DocId>>,
    /// The new number of the first document of each range.
    firsts: Vec<DocId>,
    events: DocId,
}

impl KeptDocs {
    fn of(segment: &SegmentView, before: Micros, future: &Future) -> Self {
        let Future { after, files } = future;
        let next = Micros(after.0.saturating_add(1));
        let mut ranges = Vec::new();
        for docs in segment.docs_between(before, Micros(i64::MAX)) {
            let mut start = docs.start;
            for doc in docs.start..docs.end {
                if files.is_empty() || segment.time(doc) < next {
                    break;
                }
                if files.contains(&segment.file(doc)) {
                    ranges.push(start..doc);
                    start = doc + 1;
                }
            }
            ranges.push(start..docs.end);
        }
        ranges.retain(|range| !range.is_empty());
        let mut events = 0;
        let first = |range: &Range<DocId>| {
            events += range.end - range.start;
            events - (range.end - range.start)
        };
        let firsts = ranges.iter().map(first).collect();
        Self { ranges, firsts, events }
    }

    fn bits(&self, documents: u32) -> Result<AliveBitSet, IndexError> {
        let mut bits = BitSet::with_max_value(documents);
        for doc in self.ranges.iter().cloned().flatten() {
            bits.insert(doc);
        }
        let mut bytes = Vec::new();
        write_alive_bitset(&bits, &mut bytes)?;
        Ok(AliveBitSet::open(OwnedBytes::new(bytes)))
    }

    fn new_number(&self, old: DocId) -> Option<DocId> {
        let n = self.ranges.partition_point(|range| range.end <= old);
        let range = self.ranges.get(n).filter(|range| range.contains(&old))?;
        Some(self.firsts[n] + old - range.start)
    }

    fn old(&self, new: DocId) -> DocId {
        let n = self.firsts.partition_point(|first| *first <= new) - 1;
        self.ranges[n].start + new - self.firsts[n]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_numbered_anew() {
        let kept = KeptDocs { ranges: vec![2..4, 7..8, 10..13], firsts: vec![0, 2, 3], events: 6 };
        let numbers: Vec<_> =
            (0..15).filter_map(|old| Some((old, kept.new_number(old)?))).collect();
        assert_eq!(numbers, [(2, 0), (3, 1), (7, 2), (10, 3), (11, 4), (12, 5)]);
        for (old, new) in numbers {
            assert_eq!(kept.old(new), old);
        }
        let bits = kept.bits(15).unwrap();
        assert_eq!(bits.iter_alive().collect::<Vec<_>>(), [2, 3, 7, 10, 11, 12]);
    }
}
