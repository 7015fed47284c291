//! Sorts the events of a piece: an event is a row of small numbers, which stand for its sort
//! values.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use tantivy::DocId;

use super::{Ranked, Ranking};
use crate::collect::Match;
use crate::sorting::sorted;
use crate::values::{Local, ReadRecord, Values};
use crate::visit::{Ended, MatchWalk};
use segment::IndexError;
use segment::view::SegmentView;
use trail::cell::Cell;
use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::Order;

/// Rows kept beyond those that are wanted, at least, before the last ones are dropped.
const SURPLUS_MIN: usize = 256;

/// Steps of comparing two events by their place, about.
const COMPARE_STEPS: usize = 32;

/// The value of an event that has none. No part has this number.
const NOTHING: Local = Local { part: u32::MAX, bits: 0 };

/// The fields that events of a segment are sorted by, and the values of the current event.
pub(crate) struct SortKeys {
    segment: Arc<SegmentView>,
    fields: Vec<Field>,
    order: Order,
    /// One a field.
    at_hand: Vec<Local>,
}

/// A field to sort by.
struct Field {
    values: Values,
    is_descending: bool,
    /// Of a field with several columns, whose numbers do not tell which value comes first.
    cells: SeededMap<Local, Cell>,
    /// The values of the event at hand.
    found: Vec<Local>,
}

/// An event of the segment with its sort values.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    pub(crate) keys: &'r [Local],
    pub(crate) doc: DocId,
    pub(crate) time: Micros,
}

impl SortKeys {
    pub(crate) fn open(
        segment: &Arc<SegmentView>,
        ranking: &Ranking,
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        let mut fields = Vec::with_capacity(ranking.sort.len());
        for (source, is_descending) in &ranking.sort {
            let values = Values::open(segment, source, read)?;
            let (cells, found) = (SeededMap::default(), Vec::new());
            fields.push(Field { values, is_descending: *is_descending, cells, found });
        }
        let at_hand = vec![NOTHING; fields.len()];
        Ok(Self { segment: Arc::clone(segment), fields, order: ranking.order, at_hand })
    }

    /// Steps that reading an event's values takes, and comparing two events.
    pub(crate) fn steps(&self) -> usize {
        self.fields.iter().map(|field| field.values.steps()).sum::<usize>() + COMPARE_STEPS
    }

    /// Reads the values of an event, which becomes the current one; returns how many steps it took
    /// beyond [`Self::steps`].
    pub(crate) fn read(&mut self, doc: DocId) -> Result<usize, IndexError> {
        let mut more = 0;
        for (field, key) in self.fields.iter_mut().zip(&mut self.at_hand) {
            *key = field.first(doc)?;
            more += field.values.more_steps();
        }
        Ok(more)
    }

    /// How many fields there are.
    pub(crate) fn count(&self) -> usize {
        self.fields.len()
    }

    /// See [`Values::bytes`].
    pub(crate) fn bytes(&self) -> usize {
        self.fields.iter().map(|field| field.values.bytes()).sum()
    }

    /// See [`Values::forget`]. There is no current event afterwards.
    pub(crate) fn forget(&mut self) {
        for field in &mut self.fields {
            field.values.forget();
            field.cells.clear();
        }
    }

    /// Returns the current event as a row.
    pub(crate) fn at_hand(&self, doc: DocId) -> Row<'_> {
        Row { keys: &self.at_hand, doc, time: self.segment.time(doc) }
    }

    pub(crate) fn compare(&self, a: Row<'_>, b: Row<'_>) -> Ordering {
        self.compare_keys(a.keys, b.keys).then_with(|| self.compare_places(a, b))
    }

    /// Compares the current event with a row; reads its time only where nothing else decides.
    pub(crate) fn compare_at_hand(&self, doc: DocId, row: Row<'_>) -> Ordering {
        self.compare_keys(&self.at_hand, row.keys)
            .then_with(|| self.compare_places(self.at_hand(doc), row))
    }

    fn compare_keys(&self, a: &[Local], b: &[Local]) -> Ordering {
        let each = self.fields.iter().zip(a.iter().zip(b));
        each.map(|(field, (a, b))| field.in_order(*a, *b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn compare_places(&self, a: Row<'_>, b: Row<'_>) -> Ordering {
        let place = |doc| (self.segment.file(doc), self.segment.offset(doc));
        let oldest_first = a.time.cmp(&b.time).then_with(|| place(a.doc).cmp(&place(b.doc)));
        if self.order == Order::Newest { oldest_first.reverse() } else { oldest_first }
    }

    /// Turns rows into the form that can be compared across segments.
    pub(crate) fn ranked<'r>(
        &self,
        rows: &(impl Iterator<Item = Row<'r>> + Clone),
    ) -> Result<Vec<Ranked>, IndexError> {
        let new = |row: Row<'_>| Ranked {
            found: Match::new(&self.segment, row.doc),
            keys: Vec::with_capacity(self.fields.len()),
        };
        let mut ranked: Vec<Ranked> = rows.clone().map(new).collect();
        for (n, field) in self.fields.iter().enumerate() {
            let keys = rows.clone().map(|row| row.keys[n]);
            let cells = Cells::of(&field.values, keys.clone().filter(|key| *key != NOTHING))?;
            for (ranked, key) in ranked.iter_mut().zip(keys) {
                ranked.keys.push(cells.get(key));
            }
        }
        Ok(ranked)
    }
}

/// A table from local numbers to values.
pub(crate) struct Cells {
    locals: Vec<Local>,
    cells: Vec<Cell>,
}

impl Cells {
    /// Looks up all numbers at once, so that a dictionary is read from front to end.
    pub(crate) fn of(
        values: &Values,
        locals: impl Iterator<Item = Local>,
    ) -> Result<Self, IndexError> {
        let mut locals: Vec<Local> = locals.collect();
        locals.sort_unstable();
        locals.dedup();
        let cells = values.cells(&locals)?;
        Ok(Self { locals, cells })
    }

    /// Returns the value of a number; [`Cell::Null`] where the number stands for no value.
    pub(crate) fn get(&self, local: Local) -> Cell {
        let at = self.locals.binary_search(&local).ok();
        at.map(|at| self.cells[at].clone()).unwrap_or_default()
    }
}

impl Field {
    /// The value of an event that counts: the one that comes first.
    fn first(&mut self, doc: DocId) -> Result<Local, IndexError> {
        if self.values.are_ordered() {
            let found = self.values.of(doc)?;
            let first = if self.is_descending { found.last() } else { found.first() };
            return Ok(first.copied().unwrap_or(NOTHING));
        }
        self.found.clear();
        self.found.extend_from_slice(self.values.of(doc)?);
        for local in &self.found {
            if self.values.has_several_columns() && !self.cells.contains_key(local) {
                self.cells.insert(*local, self.values.cell(*local)?);
            }
        }
        let first = self.found.iter().copied().min_by(|a, b| self.in_order(*a, *b));
        Ok(first.unwrap_or(NOTHING))
    }

    fn in_order(&self, a: Local, b: Local) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        if a == NOTHING || b == NOTHING {
            return (a == NOTHING).cmp(&(b == NOTHING));
        }
        let by_value = if a.part == b.part {
            self.values.compare(a, b)
        } else {
            self.cells[&a].cmp(&self.cells[&b])
        };
        if self.is_descending { by_value.reverse() } else { by_value }
    }
}

/// The first rows among those offered.
pub(crate) struct Rows {
    limit: usize,
    /// As many are kept before the last ones are dropped.
    full: usize,
    keys: Vec<Local>,
    events: Vec<(DocId, Micros)>,
    /// Whether rows were dropped: the first are in order then, and none that comes behind the last of
    /// them is wanted.
    is_trimmed: bool,
}

impl Rows {
    pub(crate) fn new(limit: usize) -> Self {
        let full = limit.saturating_add(limit.max(SURPLUS_MIN));
        Self { limit, full, keys: Vec::new(), events: Vec::new(), is_trimmed: false }
    }

    /// Offers the current event, which is kept if it can be one of the first.
    pub(crate) fn offer<E>(
        &mut self,
        keys: &SortKeys,
        doc: DocId,
        walk: &MatchWalk<'_, E>,
    ) -> Result<(), Ended<E>> {
        if self.limit == 0 {
            return Ok(());
        }
        if self.is_trimmed && keys.compare_at_hand(doc, self.row(self.limit - 1)).is_gt() {
            return Ok(());
        }
        let Row { keys: at_hand, time, .. } = keys.at_hand(doc);
        self.keys.extend_from_slice(at_hand);
        self.events.push((doc, time));
        if self.events.len() >= self.full { self.trim(keys, walk) } else { Ok(()) }
    }

    fn row(&self, n: usize) -> Row<'_> {
        let (doc, time) = self.events[n];
        let width = self.keys.len() / self.events.len();
        Row { keys: &self.keys[n * width..(n + 1) * width], doc, time }
    }

    fn trim<E>(&mut self, keys: &SortKeys, walk: &MatchWalk<'_, E>) -> Result<(), Ended<E>> {
        let compare = |a, b| keys.compare(self.row(a), self.row(b));
        let steps = COMPARE_STEPS * (keys.fields.len() + 1);
        let mut order = sorted(self.events.len(), compare, steps, |steps| walk.spend(steps))?;
        order.truncate(self.limit);
        let kept = order.iter().map(|n| self.row(*n));
        let kept_keys = kept.clone().flat_map(|row| row.keys).copied().collect();
        let events = kept.map(|row| (row.doc, row.time)).collect();
        (self.keys, self.events) = (kept_keys, events);
        self.is_trimmed = self.events.len() == self.limit;
        Ok(())
    }

    /// Puts the first rows in order, and drops the others.
    pub(crate) fn end<E>(
        &mut self,
        keys: &SortKeys,
        walk: &MatchWalk<'_, E>,
    ) -> Result<(), Ended<E>> {
        self.trim(keys, walk)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Some of the rows.
    pub(crate) fn part(&self, part: Range<usize>) -> impl Iterator<Item = Row<'_>> + Clone {
        part.map(|n| self.row(n))
    }

    /// Bytes of memory that the rows take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.keys.as_slice()) + size_of_val(self.events.as_slice())
    }
}
