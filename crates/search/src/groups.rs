//! Groups events by values and computes their counts and other measures. Results are exact, because
//! every match is visited.
//!
//! All cores count, each a piece of a segment at a time. Within a piece, small numbers stand for
//! values. At the end of the piece, its groups are merged by value into the groups of all segments;
//! also before, when they grow large. So memory depends only on the number of groups, and a budget
//! limits that; groups beyond it are made in several passes ([`passes`]). No answer depends on the order of the pieces.
//!
//! An event with several values in a key counts in the group of each. An event without a value
//! counts in the group of [`Cell::Null`].

mod dense;
mod nets;
mod passes;
mod short;
mod tally;
#[cfg(test)]
mod tests;
mod top;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::DocId;

use self::dense::Counter;
use self::nets::Nets;
pub(crate) use self::passes::{Asked, Passes, Room, group_in_passes};
use self::short::{Extent, ShortTables};
use self::tally::{GROUP_BYTES, Groups, KEY_BYTES, LocalTally, MEASURE_BYTES};
pub(crate) use self::top::top_of_column;
use crate::pieces::SegmentPiece;
use crate::values::{Local, ReadRecord, ValueSource, Values};
use crate::visit::{Check, Ended, MatchWalk, Matches, Sought};
use segment::column_words::each_value;
use segment::stop::{Pace, Stop};
use segment::view::SegmentView;
use segment::{IndexError, lock};
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::seeded::SeededMap;

/// Steps of adding an event's value to a group, and of adding what was gathered of a group.
const ADD_STEPS: usize = 32;
const MERGE_STEPS: usize = 256;

/// Values visited between two looks at the deadline.
const CHECK_STEP: u64 = 1 << 12;

/// Bytes gathered of a segment before they are merged; where less fits in all, an eighth of that.
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Values of a dictionary that are looked up by their number; more are hashed.
const DENSE_MAX: usize = 1 << 20;

/// The keys that events are grouped by, and the measures of each group.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<ValueSource>,
    pub(crate) measures: Vec<Measure>,
    /// How many of the largest groups are wanted, where groups are counted by one key; None wants
    /// all.
    pub(crate) largest: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Measure {
    /// The number of events.
    Count,
    /// The number of events that have a value.
    CountOf(ValueSource),
    /// The number of distinct values.
    Distinct(ValueSource),
    Sum(ValueSource),
    Avg(ValueSource),
    Min(ValueSource),
    Max(ValueSource),
    /// The value of the earliest event that has one; of the smallest, where several events are.
    First(ValueSource),
    /// The value of the latest event that has one; of the smallest, where several events are.
    Last(ValueSource),
    /// The distinct values, in order.
    Values(ValueSource),
    /// The values in the order of their events.
    List(ValueSource),
    /// A percentile by nearest rank, in thousandths of a percent.
    Percentile(u32, ValueSource),
}

/// The groups of all matches.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    /// One row a group, in no order: the values of its keys, then of its measures.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// How many events match.
    pub(crate) events: u64,
    /// False where distinct values were too many to remember, and their number is an estimate.
    pub(crate) is_exact: bool,
}

impl Grouped {
    /// Numbers of all events.
    fn of_numbers(numbers: impl Iterator<Item = u64>, events: u64) -> Self {
        let row = numbers.map(|number| Cell::Int(number.into())).collect();
        Self { rows: vec![row], events, is_exact: true }
    }
}

impl Measure {
    /// Whether an event's equal values count each.
    fn takes_each(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Avg(_) | Self::Percentile(..))
    }

    fn source(&self) -> Option<&ValueSource> {
        match self {
            Self::Count => None,
            Self::CountOf(source)
            | Self::Distinct(source)
            | Self::Sum(source)
            | Self::Avg(source)
            | Self::Min(source)
            | Self::Max(source)
            | Self::First(source)
            | Self::Last(source)
            | Self::Values(source)
            | Self::List(source)
            | Self::Percentile(_, source) => Some(source),
        }
    }
}

/// Groups the events that match, as far as their groups are of the room's part. Polls `check`, and stops at
/// its error.
pub(crate) fn group<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    sought: &Sought,
    grouping: &Grouping,
    read: &Arc<ReadRecord>,
    room: Room,
    check: Check<'_, E>,
) -> Result<Grouped, E> {
    let bytes_max = room.bytes_max;
    // The largest of all are found without groups, and of a part only among them.
    let largest = grouping.largest.filter(|_| room.part.is_all());
    let matches = Matches::of(snapshot, sought, check)?;
    let is_count = matches!(grouping.measures.as_slice(), [Measure::Count]);
    if is_count && grouping.keys.is_empty() {
        return count(&matches);
    }
    let extent = Extent::of(&*sought.query);
    let short = ShortTables { matches: &matches, extent, bytes_max, check };
    if let Some(grouped) = short.distinct(grouping)? {
        return Ok(grouped);
    }
    let mut groups = Groups::new(grouping, room);
    if is_count
        && let [key] = &grouping.keys[..]
        && let Some(counters) = short.counted_by_index(key)?
    {
        groups.events = counters.iter().map(Counter::events).sum();
        let keys = &grouping.keys;
        let work = || add_counters(groups, &counters, largest, &sought.stop);
        return Ok(of_dictionaries(snapshot, keys, work)?);
    }
    let groups = Mutex::new(groups);
    let counters = Mutex::new(Counters::new(if largest.is_some() { bytes_max } else { 0 }));
    matches.each_piece(|walk| {
        let counted = if is_count { count_piece(&walk, &grouping.keys)? } else { None };
        let Some((counter, events)) = counted else {
            let gathering = Gathering::open(walk.piece.segment, grouping, read, bytes_max)?;
            return gather(&walk, gathering, &groups);
        };
        let counter = lock(&counters).keep(&walk.piece, counter);
        let mut groups = lock(&groups);
        groups.events += events;
        if let Some(counter) = counter {
            counter
                .each(&mut Pace::new(&sought.stop), |key, events| groups.add_count(key, events))?;
        }
        Ok(())
    })?;
    let groups = groups.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counters = counters.into_inner().unwrap_or_else(PoisonError::into_inner).end();
    let work = || add_counters(groups, &counters, largest, &sought.stop);
    Ok(of_dictionaries(snapshot, &grouping.keys, work)?)
}

/// Reads the dictionaries of several segments side by side. If that fails, each is read by itself, which
/// tells of which segment the failure is.
fn of_dictionaries<T>(
    snapshot: &Snapshot,
    keys: &[ValueSource],
    work: impl FnOnce() -> Result<T, IndexError>,
) -> Result<T, IndexError> {
    // Nothing of it is used after a panic.
    let done = catch_unwind(AssertUnwindSafe(work));
    let is_no_failure = |error: &IndexError| {
        matches!(error, IndexError::TooManyGroups { .. } | IndexError::Stopped)
    };
    if !done.as_ref().is_ok_and(|done| done.as_ref().err().is_none_or(is_no_failure)) {
        for segment in &snapshot.segments {
            segment.reading(|| keys.iter().try_for_each(|key| read_dictionary(segment, key)))?;
        }
    }
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

fn read_dictionary(segment: &Arc<SegmentView>, key: &ValueSource) -> Result<(), IndexError> {
    if let Some(counter) = Counter::open(segment, std::slice::from_ref(key))?
        && let Some((Some(column), ..)) = counter.of_one_text()
    {
        each_value(column, |_, _| true)?;
    }
    Ok(())
}

/// Adds what was counted to the groups; of it alone, only the largest, where no more are wanted.
fn add_counters(
    mut groups: Groups<'_>,
    counters: &[Counter],
    largest: Option<usize>,
    stop: &Stop,
) -> Result<Grouped, IndexError> {
    if let Some(limit) = largest.filter(|_| groups.is_empty())
        && let Some(largest) = top::top(counters, limit, stop)?
    {
        for (value, events) in largest {
            groups.add_count(vec![value], events)?;
        }
        return Ok(groups.end());
    }
    for counter in counters {
        counter.each(&mut Pace::new(stop), |key, events| groups.add_count(key, events))?;
    }
    Ok(groups.end())
}

/// How many events match.
fn count<E: From<IndexError> + Send>(matches: &Matches<'_, E>) -> Result<Grouped, E> {
    let mut events = 0;
    for segment in &matches.snapshot.segments {
        events += matches.count(segment)?;
    }
    Ok(Grouped::of_numbers(std::iter::once(events), events))
}

/// Counts a piece's matches by their values; none where that takes another way.
fn count_piece<E>(
    walk: &MatchWalk<'_, E>,
    keys: &[ValueSource],
) -> Result<Option<(Counter, u64)>, Ended<E>> {
    let Some(mut counter) = Counter::open(walk.piece.segment, keys)? else { return Ok(None) };
    let (mut events, mut has_room) = (0, true);
    walk.each(|docs| {
        has_room = counter.add(docs);
        events += docs.len() as u64;
        Ok(if has_room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(has_room.then_some((counter, events)))
}

/// Gathers a piece's matches, and adds them to the groups of all.
fn gather<'g, E>(
    walk: &MatchWalk<'_, E>,
    mut gathering: Gathering<'g>,
    groups: &Mutex<Groups<'g>>,
) -> Result<(), Ended<E>> {
    let mut events: u64 = 0;
    walk.each(|docs| {
        for doc in docs {
            gathering.add(*doc, walk)?;
        }
        events += docs.len() as u64;
        if gathering.bytes() > gathering.gathered_max {
            gathering.merge_into(&mut lock(groups), walk)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut groups = lock(groups);
    groups.events += events;
    gathering.merge_into(&mut groups, walk)
}

/// What was counted of each segment.
struct Counters {
    of_segments: Vec<(Arc<SegmentView>, Counter)>,
    bytes: usize,
    bytes_max: usize,
}

impl Counters {
    fn new(bytes_max: usize) -> Self {
        Self { of_segments: Vec::new(), bytes: 0, bytes_max }
    }

    /// Keeps a counter, or returns it where there is no room.
    fn keep(&mut self, piece: &SegmentPiece<'_>, counter: Counter) -> Option<Counter> {
        let is_same = |segment: &Arc<SegmentView>| Arc::ptr_eq(segment, piece.segment);
        if let Some((_, same)) = self.of_segments.iter_mut().find(|(of, _)| is_same(of)) {
            same.add_counter(&counter);
            return None;
        }
        if self.bytes + counter.bytes() > self.bytes_max {
            return Some(counter);
        }
        self.bytes += counter.bytes();
        self.of_segments.push((Arc::clone(piece.segment), counter));
        None
    }

    fn end(self) -> Vec<Counter> {
        self.of_segments.into_iter().map(|(_, counter)| counter).collect()
    }
}

/// What a piece's events come to.
struct Gathering<'g> {
    segment: Arc<SegmentView>,
    grouping: &'g Grouping,
    keys: Vec<Level>,
    /// The values that each measure is of.
    sources: Vec<Option<Values>>,
    /// For each measure, by group.
    tallies: Vec<Vec<LocalTally>>,
    groups: u32,
    /// Groups of the event at hand.
    of_event: Vec<u32>,
    next: Vec<u32>,
    /// Values of the event at hand.
    locals: Vec<Local>,
    bytes: usize,
    bytes_max: usize,
    /// Bytes gathered before they are merged.
    gathered_max: usize,
    /// Steps that reading an event's keys and values takes.
    steps: usize,
}

/// One key: from a group of the keys before it and a value to a group.
struct Level {
    values: Values,
    /// The networks of the values, where those are the key.
    nets: Option<Nets>,
    /// By the value's number, for the first key.
    dense: Vec<u32>,
    hashed: SeededMap<(u32, Option<Local>), u32>,
    /// Of each group, what it was made of.
    made_of: Vec<(u32, Option<Local>)>,
}

const NO_GROUP: u32 = u32::MAX;

impl Level {
    fn open(values: Values, nets: Option<Nets>, is_first: bool) -> Self {
        let has_numbers = |size: &usize| is_first && nets.is_none() && *size <= DENSE_MAX;
        let size = values.dictionary_size().filter(has_numbers);
        Self {
            values,
            nets,
            dense: vec![NO_GROUP; size.unwrap_or(0)],
            hashed: SeededMap::default(),
            made_of: Vec::new(),
        }
    }

    /// The group of a value below another group, and whether it is new.
    fn group(&mut self, parent: u32, local: Option<Local>) -> (u32, bool) {
        let Self { dense, hashed, made_of, .. } = self;
        let new = made_of.len() as u32;
        let dense = local.and_then(|local| dense.get_mut(local.bits as usize));
        let slot = match dense {
            Some(slot) => slot,
            None => hashed.entry((parent, local)).or_insert(NO_GROUP),
        };
        if *slot != NO_GROUP {
            return (*slot, false);
        }
        *slot = new;
        made_of.push((parent, local));
        (new, true)
    }

    fn clear(&mut self) {
        self.dense.fill(NO_GROUP);
        self.hashed.clear();
        self.made_of.clear();
        if let Some(nets) = &mut self.nets {
            nets.clear();
        }
    }
}

impl<'g> Gathering<'g> {
    fn open(
        segment: &Arc<SegmentView>,
        grouping: &'g Grouping,
        read: &Arc<ReadRecord>,
        bytes_max: usize,
    ) -> Result<Self, IndexError> {
        let mut keys = Vec::new();
        for source in &grouping.keys {
            let nets = match source {
                ValueSource::Net(_, net) => Some(Nets::new(*net)),
                _ => None,
            };
            keys.push(Level::open(Values::open(segment, source, read)?, nets, keys.is_empty()));
        }
        let open = |measure: &Measure| {
            measure.source().map(|source| Values::open(segment, source, read)).transpose()
        };
        let sources = grouping.measures.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let of_sources = sources.iter().flatten().map(|values: &Values| values.steps());
        let steps = keys.iter().map(|level| level.values.steps()).chain(of_sources).sum();
        Ok(Self {
            segment: Arc::clone(segment),
            grouping,
            keys,
            sources,
            tallies: vec![Vec::new(); grouping.measures.len()],
            groups: 0,
            of_event: Vec::new(),
            next: Vec::new(),
            locals: Vec::new(),
            bytes: 0,
            bytes_max,
            gathered_max: GATHERED_BYTES_MAX.min(bytes_max / 8),
            steps,
        })
    }

    fn add<E>(&mut self, doc: DocId, walk: &MatchWalk<'_, E>) -> Result<(), Ended<E>> {
        walk.spend(self.steps)?;
        self.of_event.clear();
        self.of_event.push(0);
        let mut groups = 1;
        for level in &mut self.keys {
            self.next.clear();
            self.locals.clear();
            self.locals.extend_from_slice(level.values.of(doc)?);
            walk.spend(level.values.more_steps())?;
            if let Some(nets) = &mut level.nets {
                nets.replace(&mut self.locals, &level.values)?;
            }
            for parent in &self.of_event {
                let mut add = |local| {
                    let (group, is_new) = level.group(*parent, local);
                    self.bytes += if is_new { KEY_BYTES } else { 0 };
                    self.next.push(group);
                };
                if self.locals.is_empty() {
                    add(None);
                }
                for local in &self.locals {
                    add(Some(*local));
                }
                // One event can have thousands of values in each of several keys.
                if self.bytes > self.bytes_max {
                    return Err(IndexError::TooManyGroups { groups: level.made_of.len() }.into());
                }
                if self.locals.len() > 1 {
                    walk.spend(self.locals.len() * ADD_STEPS)?;
                }
            }
            std::mem::swap(&mut self.of_event, &mut self.next);
            groups = level.made_of.len() as u32;
        }
        if groups > self.groups {
            let new = (groups - self.groups) as usize;
            self.bytes += new * (GROUP_BYTES + MEASURE_BYTES * self.tallies.len());
            self.groups = groups;
            for tallies in &mut self.tallies {
                tallies.resize_with(groups as usize, LocalTally::default);
            }
        }
        let time = self.segment.time(doc);
        let measures = self.grouping.measures.iter().zip(&mut self.sources);
        for ((measure, source), tallies) in measures.zip(&mut self.tallies) {
            if self.of_event.len() > 1 {
                walk.spend(self.of_event.len() * ADD_STEPS)?;
            }
            let Some(values) = source else {
                for group in &self.of_event {
                    tallies[*group as usize].count += 1;
                }
                continue;
            };
            self.locals.clear();
            let found = if measure.takes_each() { values.each_of(doc)? } else { values.of(doc)? };
            self.locals.extend_from_slice(found);
            walk.spend(values.more_steps())?;
            for group in &self.of_event {
                if self.locals.len() > 1 {
                    walk.spend(self.locals.len() * ADD_STEPS)?;
                }
                self.bytes += tallies[*group as usize].add(measure, values, &self.locals, time);
            }
        }
        Ok(())
    }

    /// About how many bytes of memory are taken by what was gathered.
    fn bytes(&self) -> usize {
        let values = self.keys.iter().map(|level| &level.values);
        let values = values.chain(self.sources.iter().flatten());
        self.bytes + values.map(Values::bytes).sum::<usize>()
    }

    /// Adds what was gathered to the groups of all segments, and begins anew.
    fn merge_into<E>(
        &mut self,
        groups: &mut Groups<'_>,
        walk: &MatchWalk<'_, E>,
    ) -> Result<(), Ended<E>> {
        let keys = self.key_cells(walk)?;
        for (group, key) in keys.into_iter().enumerate() {
            let Some(number) = groups.number(key)? else { continue };
            for (measure, tallies) in self.tallies.iter_mut().enumerate() {
                walk.spend(MERGE_STEPS)?;
                let tally = std::mem::take(&mut tallies[group]);
                groups.merge(number, measure, tally, self.sources[measure].as_ref(), walk)?;
            }
        }
        for level in &mut self.keys {
            level.clear();
            level.values.forget();
        }
        self.sources.iter_mut().flatten().for_each(Values::forget);
        self.tallies.iter_mut().for_each(Vec::clear);
        (self.groups, self.bytes) = (0, 0);
        Ok(())
    }

    /// The values of each group's keys.
    fn key_cells<E>(&self, walk: &MatchWalk<'_, E>) -> Result<Vec<Vec<Cell>>, Ended<E>> {
        let mut keys = vec![Vec::new()];
        if self.groups == 0 {
            return Ok(Vec::new());
        }
        for (before, level) in self.keys.iter().enumerate() {
            // The keys before it are copied.
            walk.spend(level.made_of.len() * (before + 1) * ADD_STEPS)?;
            let mut locals: Vec<Local> =
                level.made_of.iter().filter_map(|(_, local)| *local).collect();
            locals.sort_unstable();
            locals.dedup();
            let cells = match &level.nets {
                Some(nets) => nets.cells(&locals),
                None => level.values.cells(&locals)?,
            };
            let cell = |local: Option<Local>| {
                local.and_then(|local| locals.binary_search(&local).ok()).map(|at| &cells[at])
            };
            let key = |(parent, local): &(u32, Option<Local>)| {
                let mut key = keys[*parent as usize].clone();
                key.push(cell(*local).cloned().unwrap_or_default());
                key
            };
            keys = level.made_of.iter().map(key).collect::<Vec<_>>();
        }
        Ok(keys)
    }
}
