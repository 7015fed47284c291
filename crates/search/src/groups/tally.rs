//! The measures of a group: first in one segment, then over all segments.

use std::cmp::Ordering;

use super::passes::Room;
use super::{Grouped, Grouping, Measure};
use crate::values::{Local, Values};
use crate::visit::{Ended, MatchWalk};
use segment::IndexError;
use trail::cell::Cell;
use trail::seeded::{SeededMap, SeededSet, spread_hash};
use trail::time::Micros;

/// Distinct values remembered, over all groups, before only a sample of them is.
const DISTINCT_MAX: usize = 1 << 21;

/// Values that are looked up between two looks at the deadline, and the steps of each.
const LOOKED_UP_AT_ONCE: usize = 1 << 12;
const LOOK_UP_STEPS: usize = 256;

/// What a group, a key of it, a measure of it and a number cost in memory, about.
pub(crate) const GROUP_BYTES: usize = 64;
pub(crate) const KEY_BYTES: usize = 40;
pub(crate) const MEASURE_BYTES: usize = 64;
const NUMBER_BYTES: usize = 16;
const LISTED_BYTES: usize = 24;

/// One measure of one group in one segment.
#[derive(Clone, Default)]
pub(crate) struct LocalTally {
    pub(crate) count: u64,
    sum: Sum,
    /// At most one number and one other value of each part; with the time of its event, for the first
    /// and the last.
    best: Vec<(Micros, Local)>,
    distinct: SeededSet<Local>,
    numbers: Vec<f64>,
}

impl LocalTally {
    /// Adds an event's values; returns how many more bytes of memory the tally takes.
    pub(crate) fn add(
        &mut self,
        measure: &Measure,
        values: &Values,
        found: &[Local],
        time: Micros,
    ) -> usize {
        let numbers = found.iter().filter_map(|local| values.number(*local));
        match measure {
            Measure::Count => self.count += 1,
            Measure::CountOf(_) => self.count += u64::from(!found.is_empty()),
            Measure::Sum(_) | Measure::Avg(_) => numbers.for_each(|number| self.sum.add(&number)),
            Measure::Percentile(..) => {
                let before = self.numbers.len();
                self.numbers.extend(numbers.filter_map(|number| number.as_number()));
                return (self.numbers.len() - before) * NUMBER_BYTES;
            }
            Measure::List(_) => {
                self.best.extend(found.iter().map(|local| (time, *local)));
                return found.len() * LISTED_BYTES;
            }
            Measure::Distinct(_) | Measure::Values(_) => {
                let new = found.iter().filter(|local| self.distinct.insert(**local)).count();
                return new * NUMBER_BYTES;
            }
            Measure::Min(_) | Measure::Max(_) | Measure::First(_) | Measure::Last(_) => {
                for local in found {
                    self.keep_best(measure, values, time, *local);
                }
            }
        }
        0
    }

    fn keep_best(&mut self, measure: &Measure, values: &Values, time: Micros, local: Local) {
        // Values without a column are of all kinds in one part.
        let is_alike = |best: &Local| {
            best.part == local.part && values.is_number(*best) == values.is_number(local)
        };
        let Some(best) = self.best.iter_mut().find(|(_, best)| is_alike(best)) else {
            self.best.push((time, local));
            return;
        };
        let value = values.compare(local, best.1);
        if is_better(measure, time.cmp(&best.0), value) {
            *best = (time, local);
        }
    }
}

/// Whether a value takes the place of another, by how their events' times and they compare.
fn is_better(measure: &Measure, time: Ordering, value: Ordering) -> bool {
    match measure {
        Measure::Min(_) => value.is_lt(),
        Measure::Max(_) => value.is_gt(),
        Measure::First(_) => time.then(value).is_lt(),
        Measure::Last(_) => time.reverse().then(value).is_lt(),
        _ => false,
    }
}

/// The order of two values; the smallest and the largest are numbers where there are any.
fn compare(measure: &Measure, a: &Cell, b: &Cell) -> Ordering {
    let number_first = b.as_number().is_some().cmp(&a.as_number().is_some());
    match measure {
        Measure::Min(_) => number_first.then(a.cmp(b)),
        Measure::Max(_) => number_first.reverse().then(a.cmp(b)),
        _ => a.cmp(b),
    }
}

/// A sum that is exact, and so the same in whatever order its numbers come; only what it is shown as is
/// rounded.
#[derive(Clone, Debug, Default)]
struct Sum {
    whole: i128,
    /// Numbers whose sum is that of the fractions, and no two of which have a digit in the same place
    /// (Shewchuk, 1997). There are a few of them, smallest first.
    rest: Vec<f64>,
    count: u64,
}

impl Sum {
    fn add(&mut self, number: &Cell) {
        match number {
            Cell::Int(n) => self.whole = self.whole.saturating_add(*n),
            Cell::Float(n) => self.add_fraction(*n),
            _ => return,
        }
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.whole = self.whole.saturating_add(other.whole);
        other.rest.iter().for_each(|n| self.add_fraction(*n));
        self.count += other.count;
    }

    fn add_fraction(&mut self, number: f64) {
        let mut sum = number;
        let mut kept = 0;
        for at in 0..self.rest.len() {
            let part = self.rest[at];
            let (large, small) = if sum.abs() < part.abs() { (part, sum) } else { (sum, part) };
            sum = large + small;
            let lost = small - (sum - large);
            if lost != 0.0 {
                self.rest[kept] = lost;
                kept += 1;
            }
        }
        self.rest.truncate(kept);
        self.rest.push(sum);
    }

    fn sum(&self) -> Cell {
        match self.count {
            0 => Cell::Null,
            _ if self.rest.iter().all(|part| *part == 0.0) => Cell::Int(self.whole),
            _ => Cell::number(self.whole as f64 + nearest(&self.rest)),
        }
    }

    fn avg(&self) -> Cell {
        match self.sum().as_number() {
            Some(sum) => Cell::number(sum / self.count as f64),
            None => Cell::Null,
        }
    }
}

/// The number that is nearest to the sum of parts, no two of which have a digit in the same place.
fn nearest(parts: &[f64]) -> f64 {
    let mut parts = parts.iter().rev();
    let mut sum = 0.0;
    while let Some(part) = parts.next() {
        let before = sum;
        sum = before + part;
        let lost = part - (sum - before);
        if lost != 0.0 {
            // Halfway between two numbers it is the rest that decides.
            let rounded = sum + lost * 2.0;
            let is_beyond = parts.next().is_some_and(|next| (*next > 0.0) == (lost > 0.0));
            return if is_beyond && rounded - sum - lost * 2.0 == 0.0 { rounded } else { sum };
        }
    }
    sum
}

/// The groups of all segments, with their measures.
pub(crate) struct Groups<'g> {
    grouping: &'g Grouping,
    numbers: SeededMap<Vec<Cell>, usize>,
    /// For each group, by measure.
    tallies: Vec<Vec<Tally>>,
    pub(crate) events: u64,
    bytes: usize,
    room: Room,
    distinct: usize,
    /// Distinct values whose hash is above are not remembered.
    sampled_below: u64,
}

#[derive(Default)]
struct Tally {
    count: u64,
    sum: Sum,
    best: Option<(Micros, Cell)>,
    /// Hashes of the values.
    distinct: SeededSet<u64>,
    numbers: Vec<f64>,
    /// The values themselves, where those are asked for.
    kept: Option<Box<Kept>>,
}

/// The values of a group.
#[derive(Default)]
struct Kept {
    once: SeededSet<Cell>,
    listed: Vec<(Micros, Cell)>,
}

impl Kept {
    /// Whether a value is kept that was not before.
    fn insert(&mut self, time: Micros, cell: &Cell, measure: &Measure) -> bool {
        if let Measure::List(_) = measure {
            self.listed.push((time, cell.clone()));
            return true;
        }
        self.once.insert(cell.clone())
    }

    fn cell(self) -> Cell {
        let mut cells: Vec<(Micros, Cell)> = self.listed;
        cells.extend(self.once.into_iter().map(|cell| (Micros(0), cell)));
        cells.sort_unstable();
        Cell::List(cells.into_iter().map(|(_, cell)| cell).collect())
    }
}

impl<'g> Groups<'g> {
    pub(crate) fn new(grouping: &'g Grouping, room: Room) -> Self {
        Self {
            grouping,
            numbers: SeededMap::default(),
            tallies: Vec::new(),
            events: 0,
            bytes: 0,
            room,
            distinct: 0,
            sampled_below: u64::MAX,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), IndexError> {
        self.bytes += bytes;
        if self.bytes > self.room.bytes_max {
            return Err(IndexError::TooManyGroups { groups: self.tallies.len() });
        }
        Ok(())
    }

    /// The number of a group; none of one that is of another pass.
    pub(crate) fn number(&mut self, key: Vec<Cell>) -> Result<Option<usize>, IndexError> {
        if let Some(number) = self.numbers.get(&key) {
            return Ok(Some(*number));
        }
        if !self.room.part.has(&key) {
            return Ok(None);
        }
        let texts: usize = key.iter().map(|cell| KEY_BYTES + text_bytes(cell)).sum();
        let measures = self.grouping.measures.len();
        self.take(GROUP_BYTES + texts + MEASURE_BYTES * measures)?;
        let number = self.tallies.len();
        self.numbers.insert(key, number);
        self.tallies.push((0..measures).map(|_| Tally::default()).collect());
        Ok(Some(number))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// Adds a number of events to a group whose only measure is the count.
    pub(crate) fn add_count(&mut self, key: Vec<Cell>, events: u64) -> Result<(), IndexError> {
        if let Some(number) = self.number(key)? {
            self.tallies[number][0].count += events;
        }
        Ok(())
    }

    pub(crate) fn merge<E>(
        &mut self,
        group: usize,
        measure: usize,
        local: LocalTally,
        values: Option<&Values>,
        walk: &MatchWalk<'_, E>,
    ) -> Result<(), Ended<E>> {
        let LocalTally { count, sum, best, distinct, numbers } = local;
        self.take(numbers.len() * NUMBER_BYTES)?;
        let tally = &mut self.tallies[group][measure];
        tally.count += count;
        tally.sum.merge(&sum);
        tally.numbers.extend(numbers);
        let Some(values) = values else { return Ok(()) };
        if let Measure::Values(_) | Measure::List(_) = &self.grouping.measures[measure] {
            let once = distinct.into_iter().map(|local| (Micros(0), local));
            let listed = once.chain(best).collect();
            return self.keep_all((group, measure), listed, values, walk);
        }
        for (time, local) in best {
            let cell = values.cell(local)?;
            let is_better = tally.best.as_ref().is_none_or(|(best_time, best)| {
                let measure = &self.grouping.measures[measure];
                is_better(measure, time.cmp(best_time), compare(measure, &cell, best))
            });
            if is_better {
                tally.best = Some((time, cell));
            }
        }
        if distinct.is_empty() {
            return Ok(());
        }
        let mut locals: Vec<Local> = distinct.into_iter().collect();
        locals.sort_unstable();
        for locals in locals.chunks(LOOKED_UP_AT_ONCE) {
            walk.spend(locals.len() * LOOK_UP_STEPS)?;
            for cell in values.cells(locals)? {
                let hash = spread_hash(&cell);
                let is_new = hash <= self.sampled_below && tally.distinct.insert(hash);
                self.distinct += usize::from(is_new);
            }
        }
        while self.distinct > DISTINCT_MAX {
            self.sample();
        }
        Ok(())
    }

    /// Adds values that are kept themselves: each with the time of its event, or each once.
    fn keep_all<E>(
        &mut self,
        (group, measure): (usize, usize),
        listed: Vec<(Micros, Local)>,
        values: &Values,
        walk: &MatchWalk<'_, E>,
    ) -> Result<(), Ended<E>> {
        let mut locals: Vec<Local> = listed.iter().map(|(_, local)| *local).collect();
        locals.sort_unstable();
        locals.dedup();
        let mut cells = Vec::with_capacity(locals.len());
        for locals in locals.chunks(LOOKED_UP_AT_ONCE) {
            walk.spend(locals.len() * LOOK_UP_STEPS)?;
            cells.extend(values.cells(locals)?);
        }
        for (time, local) in listed {
            let Ok(at) = locals.binary_search(&local) else { continue };
            let bytes = KEY_BYTES + text_bytes(&cells[at]);
            let kept = self.tallies[group][measure].kept.get_or_insert_default();
            if kept.insert(time, &cells[at], &self.grouping.measures[measure]) {
                self.take(bytes)?;
            }
        }
        Ok(())
    }

    /// Forgets half of the distinct values.
    fn sample(&mut self) {
        self.sampled_below /= 2;
        self.distinct = 0;
        for tally in self.tallies.iter_mut().flatten() {
            tally.distinct.retain(|hash| *hash <= self.sampled_below);
            self.distinct += tally.distinct.len();
        }
    }

    pub(crate) fn end(mut self) -> Grouped {
        // Without keys there is one group, be it of no events.
        if self.grouping.keys.is_empty() && self.tallies.is_empty() {
            self.numbers.insert(Vec::new(), 0);
            self.tallies.push(self.grouping.measures.iter().map(|_| Tally::default()).collect());
        }
        let share = u64::MAX as f64 / self.sampled_below as f64;
        let mut tallies: Vec<Option<Vec<Tally>>> = self.tallies.into_iter().map(Some).collect();
        let rows = self.numbers.into_iter().map(|(mut row, number)| {
            let tallies = tallies[number].take().unwrap_or_default();
            let measures = self.grouping.measures.iter().zip(tallies);
            row.extend(measures.map(|(measure, tally)| tally.cell(measure, share)));
            row
        });
        let rows = rows.collect();
        Grouped { rows, events: self.events, is_exact: self.sampled_below == u64::MAX }
    }
}

impl Tally {
    fn cell(mut self, measure: &Measure, share: f64) -> Cell {
        match measure {
            Measure::Count | Measure::CountOf(_) => Cell::Int(self.count.into()),
            Measure::Distinct(_) => Cell::Int((self.distinct.len() as f64 * share).round() as i128),
            Measure::Sum(_) => self.sum.sum(),
            Measure::Avg(_) => self.sum.avg(),
            Measure::Min(_) | Measure::Max(_) | Measure::First(_) | Measure::Last(_) => {
                self.best.map(|(_, cell)| cell).unwrap_or_default()
            }
            Measure::Values(_) | Measure::List(_) => {
                self.kept.map_or(Cell::Null, |kept| kept.cell())
            }
            Measure::Percentile(thousandths, _) => {
                nearest_rank(&mut self.numbers, *thousandths).map_or(Cell::Null, Cell::number)
            }
        }
    }
}

/// The smallest number that at least this share of all is not above.
fn nearest_rank(numbers: &mut [f64], thousandths: u32) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    let rank = (numbers.len() as u128 * u128::from(thousandths)).div_ceil(100_000) as usize;
    let at = rank.saturating_sub(1).min(last);
    Some(*numbers.select_nth_unstable_by(at, f64::total_cmp).1)
}

fn text_bytes(cell: &Cell) -> usize {
    if let Cell::Text(text) = cell { text.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_number_that_is_there() {
        let at = |numbers: &[f64], thousandths| nearest_rank(&mut numbers.to_vec(), thousandths);
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(at(&hundred, 50_000), Some(50.0));
        assert_eq!(at(&hundred, 95_000), Some(95.0));
        assert_eq!(at(&hundred, 99_900), Some(100.0));
        assert_eq!(at(&hundred, 0), Some(1.0));
        assert_eq!(at(&hundred, 100_000), Some(100.0));
        assert_eq!(at(&[7.0], 50_000), Some(7.0));
        assert_eq!(at(&[], 50_000), None);
    }

    #[test]
    fn sums_of_whole_numbers_are_exact() {
        let mut sum = Sum::default();
        for n in [i128::from(u64::MAX), 1, -1, 2] {
            sum.add(&Cell::Int(n));
        }
        assert_eq!(sum.sum(), Cell::Int(i128::from(u64::MAX) + 2));
        sum.add(&Cell::number(0.5));
        assert_eq!(Sum::default().sum(), Cell::Null);
        assert_eq!(Sum::default().avg(), Cell::Null);
    }

    #[test]
    fn sums_of_fractions_are_the_same_in_any_order() {
        let numbers = [0.1, 1e16, 0.2, -1e16, 0.3, 1e-20, 1e100, -1e100, 2.5, 0.7];
        let sum = |numbers: &mut dyn Iterator<Item = f64>| {
            let mut sum = Sum::default();
            numbers.for_each(|n| sum.add(&Cell::Float(n)));
            sum
        };
        let expected = Cell::number(3.8);
        assert_eq!(sum(&mut numbers.into_iter()).sum(), expected);
        assert_eq!(sum(&mut numbers.into_iter().rev()).sum(), expected);
        for at in 0..numbers.len() {
            let mut merged = sum(&mut numbers[at..].iter().copied());
            merged.merge(&sum(&mut numbers[..at].iter().copied()));
            assert_eq!(merged.sum(), expected);
        }
        // A tie that is broken by digits far below.
        let mut tie = [1e16, 1.0, 1e-16].into_iter();
        assert_eq!(sum(&mut tie).sum(), Cell::number(1e16 + 2.0));
    }

    #[test]
    fn groups_are_refused_beyond_their_memory() {
        let grouping = Grouping { keys: Vec::new(), measures: vec![Measure::Count], largest: None };
        let mut groups = Groups::new(&grouping, Room::of(100 << 10));
        let mut number = |n: i128| groups.number(vec![Cell::Int(n)]);
        let refused = (0..10_000).find(|n| number(*n).is_err()).expect("a bound");
        assert!((300..1_000).contains(&refused), "{refused}");
        assert_eq!(number(7).expect("a group that is there costs nothing"), Some(7));
    }

    #[test]
    fn a_sample_estimates_how_many_values_there_are() {
        let grouping = Grouping { keys: Vec::new(), measures: vec![Measure::Count], largest: None };
        let mut groups = Groups::new(&grouping, Room::of(usize::MAX));
        let number = groups.number(Vec::new()).unwrap().expect("it is of the only part");
        let hashes = (0..200_000_u64).map(|n| spread_hash(&n));
        groups.tallies[number][0].distinct.extend(hashes);
        for _ in 0..4 {
            groups.sample();
        }
        let share = u64::MAX as f64 / groups.sampled_below as f64;
        let kept = groups.distinct as f64;
        assert!((10_000.0..15_000.0).contains(&kept), "{kept}");
        assert!((kept * share / 200_000.0 - 1.0).abs() < 0.03, "{}", kept * share);
    }
}
