//! When trails did not record: they were stopped, deleted, or told to record no management events.

use std::collections::BTreeMap;

use crate::picture::{Cell, HOUR_US, Place};
use crate::trails::Change;
use trail::seeded::SeededMap;
use trail::time::Micros;

/// Events are delivered for some time behind a stop, and clocks differ.
const LATE_US: i64 = 15 * 60 * 1_000_000;

/// CloudTrail states times in whole seconds.
const SECOND_US: i64 = 1_000_000;

/// A stretch of time in which a trail does not record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The place, in the list of changes, of the one that began it.
    pub(crate) change: usize,
    /// When the trail was started again, as far as the archive shows.
    pub(crate) until: Option<Micros>,
    /// Whether events of its account go on meanwhile: another trail records them.
    pub(crate) has_others: bool,
}

impl Stop {
    /// From when on events of others count, for a stop that begins at a time.
    pub(crate) fn looked_at_from(&self, begin: Micros) -> Micros {
        let late = Micros(begin.0.saturating_add(LATE_US));
        if self.until.is_some_and(|until| until <= late) {
            Micros(begin.0.saturating_add(SECOND_US))
        } else {
            late
        }
    }

    /// Whether hours cannot tell that events of others go on, because it is that short.
    pub(crate) fn is_short(&self, begin: Micros) -> bool {
        self.until.is_some_and(|until| until.0 - begin.0 < 2 * HOUR_US)
    }
}

/// The stops that changes make, the earliest change first. Cells are in the order of their places, then
/// of their hours.
pub(crate) fn stops(changes: &[Change], places: &[Place], cells: &[Cell]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    let mut open: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        let told = &change.told;
        let key = (told.account.as_str(), told.region.as_str(), told.trail.as_str());
        if ends(change) {
            open.entry(key).or_insert_with(|| {
                stops.push(Stop { change: at, until: None, has_others: false });
                stops.len() - 1
            });
        } else if begins(change)
            && let Some(stop) = open.remove(&key)
        {
            stops[stop].until = Some(told.time);
        }
    }
    // CloudTrail states whole seconds: nothing can be told of shorter stops.
    let is_told = |stop: &Stop| {
        let begin = changes[stop.change].told.time;
        stop.until.is_none_or(|until| until > Micros(begin.0.saturating_add(SECOND_US)))
    };
    stops.retain(is_told);
    let mut of_account: SeededMap<&str, Vec<&[Cell]>> = SeededMap::default();
    for cells in cells.chunk_by(|a, b| a.place == b.place) {
        let place = &places[cells[0].place as usize];
        of_account.entry(&place.account).or_default().push(cells);
    }
    for stop in &mut stops {
        let told = &changes[stop.change].told;
        let from = stop.looked_at_from(told.time);
        let places = of_account.get(told.account.as_str());
        stop.has_others =
            places.into_iter().flatten().any(|cells| has_events(cells, from, stop.until));
    }
    stops
}

/// Whether a place has an event in a stretch of time, as far as its hours tell it.
fn has_events(cells: &[Cell], from: Micros, until: Option<Micros>) -> bool {
    let begin = cells.partition_point(|cell| cell.last() <= from);
    let is_before = |cell: &Cell| until.is_none_or(|until| cell.first().max(from) < until);
    cells.get(begin).is_some_and(is_before)
}

fn ends(change: &Change) -> bool {
    let records_none = change.selectors.as_ref().is_some_and(|s| s.management.is_none());
    matches!(change.told.action.as_str(), "StopLogging" | "DeleteTrail") || records_none
}

fn begins(change: &Change) -> bool {
    // A trail that is made is started by an event of its own.
    let is_told = change.told.action == "PutEventSelectors";
    let records = change.selectors.as_ref().is_some_and(|s| s.management.is_some());
    change.told.action == "StartLogging" || is_told && records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::change;

    const NONE: &str = r#"{"eventSelectors":[{"includeManagementEvents":false}]}"#;
    const ALL: &str = r#"{"eventSelectors":[{"includeManagementEvents":true}]}"#;

    #[track_caller]
    fn check(
        changes: &[(&str, &str, &str)],
        hours: &[i32],
        expected: &[(&str, Option<&str>, bool)],
    ) {
        let changes: Vec<Change> = changes
            .iter()
            .map(|(time, action, parameters)| change(time, action, "t", parameters))
            .collect();
        let midnight =
            crate::picture::hour_of(crate::trails::time("2024-05-06T00:00:00Z").unwrap());
        let cells: Vec<Cell> = hours
            .iter()
            .map(|hour| Cell { hour: midnight + hour, events: 1, ..Cell::default() })
            .collect();
        let places = [Place { account: "111122223333".into(), region: "us-east-1".into() }];
        let clock = |time: Micros| time.to_string()[11..16].to_owned();
        let found: Vec<(String, Option<String>, bool)> = stops(&changes, &places, &cells)
            .into_iter()
            .map(|stop| {
                (clock(changes[stop.change].told.time), stop.until.map(clock), stop.has_others)
            })
            .collect();
        let expected: Vec<(String, Option<String>, bool)> = expected
            .iter()
            .map(|(from, until, others)| ((*from).into(), until.map(Into::into), *others))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_stop_lasts_until_the_trail_records_again() {
        check(&[("10:30", "StopLogging", "{}")], &[9, 10], &[("10:30", None, false)]);
        check(
            &[
                ("10:30", "StopLogging", "{}"),
                ("10:40", "DeleteTrail", "{}"),
                ("12:30", "StartLogging", "{}"),
            ],
            &[9, 10, 13],
            &[("10:30", Some("12:30"), false)],
        );
        check(
            &[("10:30", "PutEventSelectors", NONE), ("12:30", "PutEventSelectors", ALL)],
            &[9, 12],
            &[("10:30", Some("12:30"), true)],
        );
        check(&[("10:30", "DeleteTrail", "{}")], &[9, 10, 11], &[("10:30", None, true)]);
        check(&[("10:30", "CreateTrail", "{}"), ("10:31", "StartLogging", "{}")], &[9], &[]);
    }
}
