//! The picture of one commit: when which account and region has events, what was done to trails, and
//! which data events there are. It never changes.

use std::collections::BTreeMap;

use crate::gaps::{Gap, gaps};
use crate::limits::{DAYS_MAX, GAPS_MAX};
use crate::recordings::recordings;
use crate::stops::{Stop, stops};
use crate::trails::Change;
use trail::layout::PathFacts;
use trail::time::Micros;
use wire::{CoverageGap, DataEvents, FileEntry, FileState, Recording};

pub(crate) const HOUR_US: i64 = 3_600_000_000;

/// An account and a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
}

/// An hour of a place that has events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The place's number.
    pub(crate) place: u32,
    /// Hours since 1970.
    pub(crate) hour: i32,
    pub(crate) events: u64,
    /// Microseconds from the hour's beginning to its first event, and to its last.
    pub(crate) first_us: u32,
    pub(crate) last_us: u32,
}

impl Cell {
    pub(crate) fn first(&self) -> Micros {
        Micros(start_of(self.hour).0 + i64::from(self.first_us))
    }

    pub(crate) fn last(&self) -> Micros {
        Micros(start_of(self.hour).0 + i64::from(self.last_us))
    }
}

/// When an hour begins.
pub(crate) fn start_of(hour: i32) -> Micros {
    Micros(i64::from(hour) * HOUR_US)
}

/// The hour that holds a time.
pub(crate) fn hour_of(time: Micros) -> i32 {
    time.0.div_euclid(HOUR_US) as i32
}

/// What was looked up of an index.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) places: Vec<Place>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) changes: Vec<Change>,
    pub(crate) data_events: Vec<DataEvents>,
    pub(crate) unread: Unread,
    pub(crate) notes: Vec<String>,
    /// Hours before this one were not looked at.
    pub(crate) known_from: Option<i32>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Picture {
    pub(crate) places: Vec<Place>,
    /// In the order of places, then of hours.
    pub(crate) cells: Vec<Cell>,
    /// The earliest first.
    pub(crate) changes: Vec<Change>,
    pub(crate) recordings: Vec<Recording>,
    /// The earliest first.
    pub(crate) stops: Vec<Stop>,
    pub(crate) data_events: Vec<DataEvents>,
    /// In the order of places, then of hours.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) unread: Unread,
    pub(crate) notes: Vec<String>,
    pub(crate) known_from: Option<i32>,
    /// Times of the first and the last event.
    pub(crate) span: Option<(Micros, Micros)>,
}

impl Picture {
    pub(crate) fn of(parts: Parts, now: Micros) -> Self {
        let Parts { places, mut cells, mut changes, data_events, unread, mut notes, known_from } =
            parts;
        cells.sort_unstable_by_key(|cell| (cell.place, cell.hour));
        changes.sort_by_cached_key(Change::order);
        let last = common_end(&cells, hour_of(now));
        let mut found: Vec<Gap> =
            cells.chunk_by(|a, b| a.place == b.place).flat_map(|cells| gaps(cells, last)).collect();
        if found.len() > GAPS_MAX {
            notes.push(format!("{} more gaps", found.len() - GAPS_MAX));
            found.truncate(GAPS_MAX);
        }
        let first = cells.iter().map(Cell::first).min();
        let last = cells.iter().map(Cell::last).max();
        Self {
            recordings: recordings(&changes),
            stops: stops(&changes, &places, &cells),
            span: first.zip(last),
            places,
            cells,
            changes,
            data_events,
            gaps: found,
            unread,
            notes,
            known_from,
        }
    }

    /// The cells of a place.
    pub(crate) fn cells_of(&self, place: u32) -> &[Cell] {
        let start = self.cells.partition_point(|cell| cell.place < place);
        let end = self.cells.partition_point(|cell| cell.place <= place);
        &self.cells[start..end]
    }

    /// The places that pass, each with its number.
    pub(crate) fn places(
        &self,
        is_meant: impl Fn(&Place) -> bool,
    ) -> impl Iterator<Item = (u32, &Place)> {
        let numbered = self.places.iter().enumerate();
        numbered.filter(move |(_, place)| is_meant(place)).map(|(at, place)| (at as u32, place))
    }

    /// A gap as the API tells it.
    pub(crate) fn told(&self, gap: &Gap) -> CoverageGap {
        let place = &self.places[gap.place as usize];
        CoverageGap {
            account: place.account.clone(),
            region: place.region.clone(),
            start: start_of(gap.hours.start),
            end: start_of(gap.hours.end),
            hours: gap.hours.len() as u64,
            is_end: gap.is_end,
        }
    }
}

/// The last hour up to now that has events, where at least three hours behind a place's last have
/// some: one event of a wrong time is no reason to miss others.
fn common_end(cells: &[Cell], now: i32) -> Option<i32> {
    let mut latest: Vec<i32> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.hour <= now) {
        if latest.contains(&cell.hour) || latest.len() == 3 && cell.hour < latest[2] {
            continue;
        }
        latest.push(cell.hour);
        latest.sort_unstable_by(|a, b| b.cmp(a));
        latest.truncate(3);
    }
    // The third of the latest hours: what ends before it ends before the others do.
    (latest.len() == 3).then(|| latest[2])
}

/// Files that are not in the index as a whole, by the day that they are of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread {
    /// None holds those whose day is not known.
    days: BTreeMap<Option<i32>, Counts>,
}

/// Files, and records of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rejected, or to be read again.
    pub(crate) files: u64,
    /// Records that were rejected, of files that were read.
    pub(crate) records: u64,
}

impl Unread {
    /// Notes a file, if it is not in the index as a whole.
    pub(crate) fn add(&mut self, file: &FileEntry) {
        let counts = match file.state {
            FileState::Rejected | FileState::Reread => Counts { files: 1, records: 0 },
            FileState::Indexed if file.reading.rejected > 0 => {
                Counts { files: 0, records: file.reading.rejected }
            }
            _ => return,
        };
        let of_path = PathFacts::of(&file.path)
            .day
            .and_then(|day| crate::trails::time(&format!("{}T00:00:00Z", day.join("-"))));
        let day = file.reading.first.or(of_path).map(|time| hour_of(time).div_euclid(24));
        let day =
            day.filter(|day| self.days.len() < DAYS_MAX || self.days.contains_key(&Some(*day)));
        let sum = self.days.entry(day).or_default();
        sum.files += counts.files;
        sum.records += counts.records;
    }

    /// What there is of days that have a part between two times, or of an unknown day.
    pub(crate) fn between(&self, start: Option<Micros>, end: Option<Micros>) -> Counts {
        let day = |time: Micros| hour_of(time).div_euclid(24);
        let (start, end) = (start.map(day), end.map(|end| day(Micros(end.0.saturating_sub(1)))));
        let is_meant = |of: &Option<i32>| {
            of.is_none_or(|of| {
                // A file holds what was done up to an hour before it was delivered.
                start.is_none_or(|start| of >= start) && end.is_none_or(|end| of <= end + 1)
            })
        };
        let mut sum = Counts::default();
        for (_, counts) in self.days.iter().filter(|(day, _)| is_meant(day)) {
            sum.files += counts.files;
            sum.records += counts.records;
        }
        sum
    }
}
