//! Tables that need no groups: numbers of distinct values, and counts that the inverted index
//! knows.

use std::sync::{Arc, Mutex, PoisonError};

use tantivy::query::{AllQuery, Query};

use super::{Counters, Grouped, Grouping, Measure, count_piece, of_dictionaries, top};
use crate::clauses::ClauseQuery;
use crate::groups::dense::Counter;
use crate::values::ValueSource;
use crate::visit::{Check, Matches};
use segment::overflow::Reach;
use segment::view::SegmentView;
use segment::{IndexError, lock};
use trail::columns::ColumnId;

/// Which events match, if the index knows their number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent<'a> {
    All,
    /// The events that have a value at this path.
    With(&'a str),
    Unknown,
}

impl<'a> Extent<'a> {
    pub(crate) fn of(query: &'a dyn Query) -> Self {
        if query.is::<AllQuery>() {
            return Self::All;
        }
        let clause = query.downcast_ref::<ClauseQuery>();
        clause.and_then(ClauseQuery::path_with_something).map_or(Self::Unknown, Self::With)
    }
}

/// Answers tables that need no groups.
pub(crate) struct ShortTables<'a, E> {
    pub(crate) matches: &'a Matches<'a, E>,
    pub(crate) extent: Extent<'a>,
    pub(crate) bytes_max: usize,
    pub(crate) check: Check<'a, E>,
}

impl<E: From<IndexError> + Send> ShortTables<'_, E> {
    fn segments(&self) -> &[Arc<SegmentView>] {
        &self.matches.snapshot.segments
    }

    /// Counts distinct values and events, where the table asks for nothing else; None where it
    /// does, or the counters do not fit.
    pub(crate) fn distinct(&self, grouping: &Grouping) -> Result<Option<Grouped>, E> {
        let measures = &grouping.measures;
        let is_distinct = |measure: &Measure| matches!(measure, Measure::Distinct(_));
        let is_number =
            |measure: &Measure| is_distinct(measure) || matches!(measure, Measure::Count);
        let are_meant = measures.iter().any(is_distinct) && measures.iter().all(is_number);
        if !grouping.keys.is_empty() || !are_meant {
            return Ok(None);
        }
        let (mut numbers, mut events) = (Vec::with_capacity(measures.len()), 0);
        for measure in measures {
            let Measure::Distinct(source) = measure else {
                numbers.push(None);
                continue;
            };
            let Some((values, of_events)) = self.values_of(source)? else { return Ok(None) };
            numbers.push(Some(values));
            events = of_events;
        }
        let numbers = numbers.into_iter().map(|values| values.unwrap_or(events));
        Ok(Some(Grouped::of_numbers(numbers, events)))
    }

    /// How many values of a field there are, and how many events.
    fn values_of(&self, source: &ValueSource) -> Result<Option<(u64, u64)>, E> {
        if self.extent == Extent::All
            && let Some(counters) = self.counters(source, Counter::of_each_value)?
            && let Some(values) = self.distinct_of(&counters, source)?
        {
            let events = self.segments().iter().map(|segment| segment.events());
            return Ok(Some((values, events.map(u64::from).sum())));
        }
        let keys = std::slice::from_ref(source);
        let mut bytes = 0;
        for segment in self.segments() {
            let counter = segment.reading(|| Counter::open(segment, keys))?;
            let Some(counter) = counter else { return Ok(None) };
            bytes += counter.bytes();
        }
        if bytes > self.bytes_max {
            return Ok(None);
        }
        let counters = Mutex::new(Counters::new(self.bytes_max));
        let counted = self.matches.each_piece(|walk| {
            let Some((counter, events)) = count_piece(&walk, keys)? else { return Ok(None) };
            let is_kept = lock(&counters).keep(&walk.piece, counter).is_none();
            Ok(is_kept.then_some(events))
        })?;
        let Some(events) = counted.into_iter().sum::<Option<u64>>() else { return Ok(None) };
        let counters = counters.into_inner().unwrap_or_else(PoisonError::into_inner).end();
        Ok(self.distinct_of(&counters, source)?.map(|values| (values, events)))
    }

    fn distinct_of(
        &self,
        counters: &[Counter],
        of: &ValueSource,
    ) -> Result<Option<u64>, IndexError> {
        let keys = std::slice::from_ref(of);
        of_dictionaries(self.matches.snapshot, keys, || {
            top::distinct(counters, self.matches.stop())
        })
    }

    /// Counts the events of each value of a field from the inverted index; None where the index
    /// does not know.
    pub(crate) fn counted_by_index(&self, source: &ValueSource) -> Result<Option<Vec<Counter>>, E> {
        let is_of_value = match (self.extent, source) {
            (Extent::All, _) => false,
            (Extent::With(path), ValueSource::Column(id)) if path == id.column().path => {
                for segment in self.segments() {
                    // Where it is an object, there is something at the path, and no value of the column.
                    let has_others = segment.reading(|| {
                        let of_values = usize::from(segment.text_column(*id)?.is_some());
                        Ok(segment.columns_at_or_below(path)?.len() > of_values
                            || segment.overflowed(path, Reach::AtOrBelow)?.is_some())
                    })?;
                    if has_others {
                        return Ok(None);
                    }
                }
                true
            }
            _ => return Ok(None),
        };
        let mut counters = self.counters(source, Counter::of_all)?;
        if is_of_value {
            counters.iter_mut().flatten().for_each(Counter::leave_out_none);
        }
        Ok(counters)
    }

    /// A counter of each segment; none where some has none.
    fn counters(
        &self,
        source: &ValueSource,
        of_segment: fn(&SegmentView, ColumnId) -> Result<Option<Counter>, IndexError>,
    ) -> Result<Option<Vec<Counter>>, E> {
        let column = match source {
            ValueSource::Column(column) if !column.column().is_unique => *column,
            _ => return Ok(None),
        };
        let (mut counters, mut bytes) = (Vec::with_capacity(self.segments().len()), 0);
        for segment in self.segments() {
            (self.check)()?;
            let counter = segment.reading(|| of_segment(segment, column))?;
            let Some(counter) = counter else { return Ok(None) };
            bytes += counter.bytes();
            if bytes > self.bytes_max {
                return Ok(None);
            }
            counters.push(counter);
        }
        Ok(Some(counters))
    }
}
