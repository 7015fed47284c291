//! Keeps the first event of each group of a piece. A group is the events with the same values in
//! some fields.
//!
//! A small number stands for the set of values that an event has in a field, and for the
//! combination of several fields. A new group takes memory, and further events of it take none.

use std::ops::Range;
use std::sync::Arc;

use tantivy::DocId;

use super::{Group, Ranked, VALUE_STEPS, VALUES_AT_ONCE};
use crate::ranked::rows::{Cells, Row, SortKeys};
use crate::values::{Local, ReadRecord, ValueSource, Values};
use crate::visit::{Ended, MatchWalk};
use segment::IndexError;
use segment::view::SegmentView;
use trail::seeded::SeededMap;
use trail::time::Micros;

/// What a group takes in memory, about, beside what it is sorted by.
const GROUP_BYTES: usize = 96;

/// The groups of a piece so far, each with its first event.
pub(crate) struct Firsts {
    fields: Vec<Field>,
    /// The first event of each group so far, and what it is sorted by.
    events: Vec<(DocId, Micros)>,
    keys: Vec<Local>,
    bytes: usize,
}

/// One field: from a group of the fields before it and an event's values to a group.
struct Field {
    values: Values,
    sets: Sets,
    groups: SeededMap<(u32, u32), u32>,
    /// Of each group, what it is made of.
    made_of: Vec<(u32, u32)>,
}

/// The values that events have, numbered.
#[derive(Default)]
struct Sets {
    none: Option<u32>,
    of_one: SeededMap<Local, u32>,
    of_several: SeededMap<Box<[Local]>, u32>,
}

impl Sets {
    fn len(&self) -> u32 {
        u32::from(self.none.is_some()) + (self.of_one.len() + self.of_several.len()) as u32
    }

    fn number(&mut self, values: &[Local]) -> u32 {
        let new = self.len();
        match values {
            [] => *self.none.get_or_insert(new),
            [one] => *self.of_one.entry(*one).or_insert(new),
            several => match self.of_several.get(several) {
                Some(number) => *number,
                None => {
                    self.of_several.insert(several.into(), new);
                    new
                }
            },
        }
    }

    fn clear(&mut self) {
        self.none = None;
        self.of_one.clear();
        self.of_several.clear();
    }

    /// By number.
    fn all(&self) -> Vec<&[Local]> {
        let mut all: Vec<&[Local]> = vec![&[]; self.len() as usize];
        for (one, number) in &self.of_one {
            all[*number as usize] = std::slice::from_ref(one);
        }
        for (several, number) in &self.of_several {
            all[*number as usize] = several;
        }
        all
    }
}

impl Firsts {
    pub(crate) fn open(
        segment: &Arc<SegmentView>,
        sources: &[ValueSource],
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        let mut fields = Vec::with_capacity(sources.len());
        for source in sources {
            let values = Values::open(segment, source, read)?;
            let (sets, groups) = (Sets::default(), SeededMap::default());
            fields.push(Field { values, sets, groups, made_of: Vec::new() });
        }
        Ok(Self { fields, events: Vec::new(), keys: Vec::new(), bytes: 0 })
    }

    /// Steps that reading an event's values takes.
    pub(crate) fn steps(&self) -> usize {
        self.fields.iter().map(|field| field.values.steps()).sum()
    }

    /// Offers the current event, which is kept if it is the first of its group so far; returns how many
    /// steps that took beyond [`Self::steps`].
    pub(crate) fn offer(&mut self, keys: &SortKeys, doc: DocId) -> Result<usize, IndexError> {
        let (mut group, mut more) = (0, 0);
        for field in &mut self.fields {
            let values = field.values.of(doc)?;
            let new = field.made_of.len() as u32;
            let made_of = (group, field.sets.number(values));
            group = *field.groups.entry(made_of).or_insert(new);
            if group == new {
                field.made_of.push(made_of);
                self.bytes += GROUP_BYTES + size_of_val(values);
            }
            more += field.values.more_steps();
        }
        let at = group as usize;
        if at == self.events.len() {
            let Row { keys: at_hand, time, .. } = keys.at_hand(doc);
            self.keys.extend_from_slice(at_hand);
            self.events.push((doc, time));
        } else if keys.compare_at_hand(doc, self.row(at)).is_lt() {
            let Row { keys: at_hand, time, .. } = keys.at_hand(doc);
            self.keys[at * at_hand.len()..][..at_hand.len()].copy_from_slice(at_hand);
            self.events[at] = (doc, time);
        }
        Ok(more)
    }

    /// About how many bytes of memory the groups take.
    pub(crate) fn bytes(&self) -> usize {
        let values: usize = self.fields.iter().map(|field| field.values.bytes()).sum();
        self.bytes + size_of_val(self.keys.as_slice()) + values
    }

    fn row(&self, group: usize) -> Row<'_> {
        let (doc, time) = self.events[group];
        let width = self.keys.len() / self.events.len();
        Row { keys: &self.keys[group * width..][..width], doc, time }
    }

    /// Returns each group with its first event, and leaves this empty.
    pub(crate) fn drain<E>(
        &mut self,
        keys: &SortKeys,
        walk: &MatchWalk<'_, E>,
        mut sink: impl FnMut(Group, Ranked) -> Result<(), IndexError>,
    ) -> Result<(), Ended<E>> {
        let sets: Vec<_> = self.fields.iter().map(|field| field.sets.all()).collect();
        let mut start = 0;
        while start < self.events.len() {
            let (part, values) = self.part(start, &sets, keys);
            walk.spend(values * VALUE_STEPS)?;
            start = part.end;
            let firsts = keys.ranked(&part.clone().map(|group| self.row(group)))?;
            for (group, first) in self.groups(part, &sets)?.into_iter().zip(firsts) {
                sink(group, first)?;
            }
        }
        for field in &mut self.fields {
            field.sets.clear();
            field.groups.clear();
            field.made_of.clear();
            field.values.forget();
        }
        self.events.clear();
        self.keys.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Groups from one on that have few values, and how many values these are.
    fn part(&self, start: usize, sets: &[Vec<&[Local]>], keys: &SortKeys) -> (Range<usize>, usize) {
        let (mut end, mut values) = (start, 0);
        while end < self.events.len() && values < VALUES_AT_ONCE {
            let mut number = end;
            for (field, sets) in self.fields.iter().zip(sets).rev() {
                let (parent, set) = field.made_of[number];
                values += 1 + sets[set as usize].len();
                number = parent as usize;
            }
            values += 1 + keys.count();
            end += 1;
        }
        (start..end, values)
    }

    /// The values of some of the groups, by the sets of each field.
    fn groups(&self, part: Range<usize>, sets: &[Vec<&[Local]>]) -> Result<Vec<Group>, IndexError> {
        let mut groups = vec![vec![Vec::new(); self.fields.len()]; part.len()];
        // Of the fields up to the one at hand.
        let mut numbers: Vec<usize> = part.collect();
        for (at, field) in self.fields.iter().enumerate().rev() {
            let made_of = |number: &usize| field.made_of[*number];
            let set = |number: &usize| sets[at][made_of(number).1 as usize];
            let cells = Cells::of(&field.values, numbers.iter().flat_map(set).copied())?;
            for (group, number) in groups.iter_mut().zip(&mut numbers) {
                group[at].extend(set(number).iter().map(|local| cells.get(*local)));
                group[at].sort();
                *number = made_of(number).0 as usize;
            }
        }
        Ok(groups)
    }
}
