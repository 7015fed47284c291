//! What a program of this machine reads of the events that meet a condition: their places in the segments,
//! and the texts that columns have there. It asks for a part of the index at a time, from as many threads as
//! it likes, and reads the records of events itself.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::DocId;

use super::Search;
use crate::collect::{Counting, Match, Wanted, collect};
use crate::visit::{Matches, Sought};
use language::ast::Expr;
use language::time::Clock;
use segment::IndexError;
use segment::dictionary::TextColumn;
use segment::position::Position;
use segment::sigbus;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::columns::ColumnId;
use trail::flags::Flags;
use trail::limits::EXACT_BYTES_MAX;
use trail::time::Micros;
use trail::words::is_shortened;
use wire::engine::Cancel;
use wire::{ApiError, Order, TotalMode};

/// The events of a snapshot that meet a condition.
pub struct Scan {
    snapshot: Arc<Snapshot>,
    sought: Sought,
    cancel: Cancel,
    /// Pages that were cut off before anything was read.
    cuts: u64,
}

/// A range of a segment's documents.
#[derive(Clone, Debug)]
pub struct Part {
    /// The segment.
    pub segment: Arc<SegmentView>,
    /// Its documents, by number.
    pub docs: Range<u32>,
}

/// An event's place in the index, and in the one order of all events.
#[derive(Clone, Debug)]
pub struct Place {
    /// The segment.
    pub segment: Arc<SegmentView>,
    /// The document's number in it.
    pub doc: u32,
    /// Time, file and byte.
    pub position: Position,
}

impl Scan {
    /// The events of a snapshot that meet a filter, from `span.0` (inclusive) to `span.1` (exclusive); None is
    /// no bound. Fails where a segment that may have some is damaged, and where the filter cannot be
    /// understood.
    pub fn of(
        snapshot: &Arc<Snapshot>,
        filter: &Expr,
        (start, end): (Option<Micros>, Option<Micros>),
        cancel: &Cancel,
    ) -> Result<Self, ApiError> {
        let cuts = sigbus::cuts();
        snapshot.check_whole(start.unwrap_or(Micros(i64::MIN)), end.unwrap_or(Micros(i64::MAX)))?;
        let clock = Clock::utc(Timestamp::UNIX_EPOCH);
        let mut search = Search::between(snapshot, (None, None), &clock, cancel)?;
        (search.start, search.end) = (start, end);
        let meaning = search.meaning(filter)?;
        let sought = search.sought(&meaning);
        Ok(Self { snapshot: Arc::clone(snapshot), sought, cancel: cancel.clone(), cuts })
    }

    /// The segments, in about so many parts of about the same length, or more where there are more segments.
    pub fn parts(&self, count: usize) -> Vec<Part> {
        let share = self.snapshot.events().div_ceil(count.max(1) as u64).max(PART_DOCS_MIN);
        let mut parts = Vec::new();
        for segment in &self.snapshot.segments {
            let docs = u64::from(segment.events());
            let pieces = docs.div_ceil(share);
            for piece in 0..pieces {
                let at = |n: u64| (docs * n / pieces) as u32;
                parts.push(Part { segment: Arc::clone(segment), docs: at(piece)..at(piece + 1) });
            }
        }
        parts
    }

    /// The documents of a part that meet the condition, in order: four bytes each.
    pub fn docs(&self, part: &Part) -> Result<Vec<u32>, ApiError> {
        let check = || self.cancel.check();
        let matches = Matches::of(&self.snapshot, &self.sought, &check)?;
        let docs = matches.in_docs(&part.segment, part.docs.clone(), |walk| {
            let mut found: Vec<DocId> = Vec::new();
            walk.each(|docs| {
                found.extend_from_slice(docs);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(found)
        })?;
        self.check()?;
        Ok(docs)
    }

    /// How many events meet the condition.
    pub fn count(&self) -> Result<u64, ApiError> {
        let check = || self.cancel.check();
        let matches = Matches::of(&self.snapshot, &self.sought, &check)?;
        let mut count = 0;
        for segment in &self.snapshot.segments {
            count += matches.count(segment)?;
        }
        self.check()?;
        Ok(count)
    }

    /// The first so many events by time that are behind a place, in order.
    pub fn first(
        &self,
        limit: usize,
        order: Order,
        after: Option<Position>,
    ) -> Result<Vec<Place>, ApiError> {
        let (total, counting) = (TotalMode::None, Counting::Known);
        let wanted = Wanted { limit, order, after, total, counting };
        let (found, _) = collect(&self.snapshot, &self.sought, wanted, &|| self.cancel.check())?;
        self.check()?;
        let place = |Match { position, segment, doc }| Place { segment, doc, position };
        Ok(found.into_iter().map(place).collect())
    }

    /// Fails where the scan should end, or where a file was cut short since it began: what was read then does
    /// not count.
    pub fn check(&self) -> Result<(), ApiError> {
        if sigbus::cuts() != self.cuts {
            return Err(IndexError::Cut.into());
        }
        self.cancel.check()
    }

    /// The snapshot that is read.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}

/// Fewer documents are one part: a condition is evaluated anew for each.
const PART_DOCS_MIN: u64 = 20_000;

/// Reads the texts of a column in a segment.
pub struct Texts {
    /// None where no event of the segment has a value.
    column: Option<TextColumn>,
}

/// What some events have in a column.
#[derive(Debug, Default)]
pub struct Found {
    /// For each event, the place of its text in `texts`; or [`Found::NONE`], or [`Found::UNKNOWN`].
    pub places: Vec<u32>,
    /// Distinct texts.
    pub texts: Vec<String>,
}

impl Found {
    /// The event has no value.
    pub const NONE: u32 = u32::MAX;
    /// Only the record has the event's value: there are several, or it is long.
    pub const UNKNOWN: u32 = u32::MAX - 1;
}

impl Texts {
    /// Opens a column; None where a segment does not keep it by event.
    pub fn open(segment: &Arc<SegmentView>, id: ColumnId) -> Result<Option<Self>, ApiError> {
        if id.column().is_unique {
            return Ok(None);
        }
        let column = segment.reading(|| segment.text_column(id))?;
        Ok(Some(Self { column }))
    }

    /// Reads the texts of these documents, which ascend.
    pub fn of(&self, segment: &Arc<SegmentView>, docs: &[u32]) -> Result<Found, ApiError> {
        let Some(column) = &self.column else {
            let places = docs.iter().map(|doc| unknown_if_odd(segment, *doc)).collect();
            return Ok(Found { places, texts: Vec::new() });
        };
        Ok(segment.reading(|| read(column, segment, docs))?)
    }
}

/// A record that has a key twice is read by those who know which of its values counts.
fn unknown_if_odd(segment: &SegmentView, doc: DocId) -> u32 {
    let is_odd = segment.flags(doc).contains(Flags::DUPLICATE_KEYS);
    if is_odd { Found::UNKNOWN } else { Found::NONE }
}

fn read(column: &TextColumn, segment: &SegmentView, docs: &[u32]) -> Result<Found, IndexError> {
    let ords = column.ords();
    let mut of_docs: Vec<Option<u64>> = Vec::with_capacity(docs.len());
    let mut places = Vec::with_capacity(docs.len());
    for doc in docs {
        let mut values = ords.values_for_doc(*doc);
        let first = values.next();
        let has_one = first.is_some() && values.all(|other| Some(other) == first);
        let state = unknown_if_odd(segment, *doc);
        of_docs.push(first.filter(|_| has_one && state == Found::NONE));
        places.push(if first.is_some() { Found::UNKNOWN } else { state });
    }
    let mut distinct: Vec<u64> = of_docs.iter().flatten().copied().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut texts = Vec::with_capacity(distinct.len());
    column.each_text(&distinct, |text| texts.push(String::from_utf8_lossy(text).into_owned()))?;
    for (place, ord) in places.iter_mut().zip(&of_docs) {
        let Some(ord) = ord else { continue };
        let Ok(at) = distinct.binary_search(ord) else { continue };
        if texts.get(at).is_some_and(|text| !is_shortened(text, EXACT_BYTES_MAX)) {
            *place = at as u32;
        }
    }
    Ok(Found { places, texts })
}
