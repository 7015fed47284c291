//! Hours without an event, of a place that usually has some.
//!
//! An empty hour is a gap where nearly all of the hours before and behind have events, and where other
//! days have events at that time of day. So the nights of a quiet account are none.

use std::ops::Range;

use crate::picture::Cell;

/// Hours before and behind a gap that are looked at.
const WINDOW: i32 = 12;

/// How many of these must have events, at least.
const DENSE_MIN: usize = 3;

/// Hours before an end that must have events, of the same window.
const DENSE_BEFORE_END: usize = 6;

/// A place whose events end so many hours before those of others has a gap.
const END_MIN: i32 = 3;

/// Hours without an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The place's number.
    pub(crate) place: u32,
    /// Hours since 1970.
    pub(crate) hours: Range<i32>,
    /// No event of the place comes behind it.
    pub(crate) is_end: bool,
}

/// The gaps of one place, whose cells are in the order of their hours, adding the one at its end where
/// others go on to `last`.
pub(crate) fn gaps(cells: &[Cell], last: Option<i32>) -> Vec<Gap> {
    let Some(usual) = Usual::of(cells) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, pair) in cells.windows(2).enumerate() {
        let (before, behind) = (pair[0].hour, pair[1].hour);
        let hours = before + 1..behind;
        if hours.is_empty() {
            continue;
        }
        let is_dense = usual.is_dense_before(&cells[..=at], DENSE_MIN)
            && usual.is_dense_behind(&cells[at + 1..], DENSE_MIN);
        if is_dense && usual.is_expected(&hours) {
            found.push(Gap { place: pair[0].place, hours, is_end: false });
        }
    }
    let (Some(end), Some(last)) = (cells.last(), last) else { return found };
    let hours = end.hour + 1..last + 1;
    if hours.end - hours.start >= END_MIN
        && usual.is_dense_before(cells, DENSE_BEFORE_END)
        && usual.is_expected(&hours)
    {
        found.push(Gap { place: end.place, hours, is_end: true });
    }
    found
}

/// When a place has events.
struct Usual {
    /// Days that have events.
    days: usize,
    /// On how many days each hour of the day has events.
    by_hour: [usize; 24],
}

impl Usual {
    fn of(cells: &[Cell]) -> Option<Self> {
        let mut by_hour = [0; 24];
        let mut days = 0;
        let mut day = None;
        for cell in cells {
            by_hour[cell.hour.rem_euclid(24) as usize] += 1;
            if day.replace(cell.hour.div_euclid(24)) != Some(cell.hour.div_euclid(24)) {
                days += 1;
            }
        }
        (days > 0).then_some(Self { days, by_hour })
    }

    /// Whether nearly all of the last hours that these cells end with have events.
    fn is_dense_before(&self, cells: &[Cell], min: usize) -> bool {
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { return false };
        let hours = (last.hour - WINDOW + 1).max(first.hour)..last.hour + 1;
        let count = cells.iter().rev().take_while(|cell| cell.hour >= hours.start).count();
        self.is_dense(hours, count, min)
    }

    /// The same of the first hours that these cells begin with.
    fn is_dense_behind(&self, cells: &[Cell], min: usize) -> bool {
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { return false };
        let hours = first.hour..(first.hour + WINDOW).min(last.hour + 1);
        let count = cells.iter().take_while(|cell| cell.hour < hours.end).count();
        self.is_dense(hours, count, min)
    }

    fn is_dense(&self, hours: Range<i32>, with_events: usize, min: usize) -> bool {
        let expected = hours.filter(|hour| self.is_expected(&(*hour..*hour + 1))).count();
        with_events >= min && with_events * 4 >= expected * 3
    }

    /// Whether other days have events at these hours of the day, at least half of them. Where there is
    /// hardly another day, every hour counts as one that should have events.
    fn is_expected(&self, hours: &Range<i32>) -> bool {
        if self.days < 3 {
            return true;
        }
        let looked_at = hours.clone().take(24);
        let count = looked_at.len();
        let with_events: usize =
            looked_at.map(|hour| self.by_hour[hour.rem_euclid(24) as usize]).sum();
        with_events * 2 >= count * self.days.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(hours: impl IntoIterator<Item = i32>) -> Vec<Cell> {
        hours.into_iter().map(|hour| Cell { hour, events: 1, ..Cell::default() }).collect()
    }

    #[track_caller]
    fn check(hours: impl IntoIterator<Item = i32>, last: Option<i32>, expected: &[(i32, i32)]) {
        let found: Vec<_> = gaps(&cells(hours), last)
            .into_iter()
            .map(|gap| (gap.hours.start, gap.hours.end))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_empty_hour_among_full_ones_is_a_gap() {
        check((0..24).filter(|hour| *hour != 10), None, &[(10, 11)]);
        check((0..24).filter(|hour| !(10..13).contains(hour)), None, &[(10, 13)]);
        check((0..7).filter(|hour| *hour != 3), None, &[(3, 4)]);
        check(0..24, None, &[]);
        check([], None, &[]);
        check([5], None, &[]);
        // Days are missing.
        check((0..240).filter(|hour| !(100..172).contains(hour)), None, &[(100, 172)]);
    }

    #[test]
    fn empty_hours_of_a_quiet_place_are_none() {
        check((0..200).filter(|hour| hour % 3 == 0), None, &[]);
        // Office hours, and one that is missing among them.
        let office = |hour: &i32| (8..20).contains(&hour.rem_euclid(24));
        check((0..240).filter(office), None, &[]);
        check((0..240).filter(office).filter(|hour| *hour != 110), None, &[(110, 111)]);
        check([0, 1, 5, 6], None, &[]);
    }

    #[test]
    fn a_place_that_ends_before_the_others_has_a_gap() {
        check(0..24, Some(40), &[(24, 41)]);
        check(0..24, Some(24), &[]);
        check(0..3, Some(40), &[]);
    }
}
