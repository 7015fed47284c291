//! The spans of a timeline in which nothing happened: a row of each, so that a gap is seen.
//!
//! They reach from the request's start to its end; without these, from the first event found to the
//! last. Of a time that the index does not span nothing is known, and so nothing is shown.

use std::collections::BTreeMap;

use super::Search;
use crate::bins::bins;
use crate::values::Bins;
use language::ast::{BinUnit, Function, FunctionKind, GroupKey};
use language::check::RowsQuery;
use trail::cell::Cell;
use trail::time::Micros;

/// The clocks of a zone are set by multiples of this, in microseconds.
const CLOCK_STEP_US: i64 = 15 * 60 * 1_000_000;

/// Whether empty spans are wanted, and what is to be said of them.
#[derive(Default)]
pub(super) struct EmptySpans {
    /// Rows there may be in all; None where empty spans are not wanted.
    pub(super) rows_max: Option<usize>,
    pub(super) warnings: Vec<String>,
}

impl EmptySpans {
    /// Says that a timeline has no empty spans, because it is too long.
    pub(super) fn leave_out(&mut self, query: &RowsQuery) {
        if let (Some(_), [GroupKey::Bin { .. }]) = (self.rows_max, &query.by[..]) {
            self.warnings.push(
                "spans without an event are left out: there are too many rows; a longer span or a \
                 shorter time shows them"
                    .to_owned(),
            );
        }
    }
}

impl Search<'_> {
    /// Adds the empty spans to the rows of a query that groups by nothing but time.
    pub(super) fn add_empty_spans(
        &self,
        query: &RowsQuery,
        rows: &mut Vec<Vec<Cell>>,
        empty: &mut EmptySpans,
    ) {
        let (Some(rows_max), [GroupKey::Bin { bin, .. }]) = (empty.rows_max, &query.by[..]) else {
            return;
        };
        let spans = Spans {
            bins: bins(*bin, self.clock.zone.clone()),
            step: match bin.unit {
                BinUnit::Second => (i64::from(bin.count) * 1_000_000).min(CLOCK_STEP_US),
                BinUnit::Minute => (i64::from(bin.count) * 60_000_000).min(CLOCK_STEP_US),
                _ => CLOCK_STEP_US,
            },
        };
        let mut found: BTreeMap<Micros, Vec<Cell>> = BTreeMap::new();
        for row in &*rows {
            let Some(Cell::Time(start)) = row.first() else { return };
            found.insert(*start, row.clone());
        }
        let Some((from, to)) = self.reach(&spans, &found, &mut empty.warnings) else { return };
        let nothing: Vec<Cell> = query.functions.iter().map(of_nothing).collect();
        let mut at = from;
        while at <= to {
            found.entry(at).or_insert_with(|| [&[Cell::Time(at)], &nothing[..]].concat());
            if found.len() > rows_max {
                empty.warnings.push(format!(
                    "spans without an event are left out: with them there are more than {rows_max} \
                     rows; a longer span or a shorter time shows them"
                ));
                return;
            }
            let Some(next) = spans.next(at) else { break };
            at = next;
        }
        *rows = found.into_values().collect();
    }

    /// The first and the last span to show, and what is cut at either end.
    fn reach(
        &self,
        spans: &Spans,
        found: &BTreeMap<Micros, Vec<Cell>>,
        warnings: &mut Vec<String>,
    ) -> Option<(Micros, Micros)> {
        let (first_found, _) = found.first_key_value()?;
        let (last_found, _) = found.last_key_value()?;
        let (earliest, latest) = self.snapshot.time_span()?;
        let (mut from, mut to) = (*first_found, *last_found);
        if let Some(start) = self.start {
            from = spans.start(start.max(earliest)).min(from);
            if start < earliest {
                warnings
                    .push(format!("no spans are shown before {earliest}, the index's first event"));
            } else if spans.start(start) < start {
                warnings.push(format!("the first span is cut: it counts from {start} on"));
            }
        }
        if let Some(end) = self.end {
            let last = Micros(end.0.saturating_sub(1));
            to = spans.start(last.min(latest)).max(to);
            if last > latest {
                warnings
                    .push(format!("no spans are shown behind {latest}, the index's last event"));
            } else if spans.next(spans.start(last)).is_none_or(|next| next > end) {
                warnings.push(format!("the last span is cut: it counts up to {end}"));
            }
        }
        Some((from, to))
    }
}

/// What a function makes of no event.
fn of_nothing(function: &Function) -> Cell {
    match function.kind {
        FunctionKind::Count | FunctionKind::Distinct => Cell::Int(0),
        _ => Cell::Null,
    }
}

/// Spans of time, one behind the other.
struct Spans {
    bins: Bins,
    /// No more than the length of any, in microseconds.
    step: i64,
}

impl Spans {
    /// The beginning of the span that a time is in.
    fn start(&self, time: Micros) -> Micros {
        (self.bins.0)(time).start
    }

    /// The beginning of the span behind the one that begins here; None at the end of the calendar.
    fn next(&self, start: Micros) -> Option<Micros> {
        let mut time = (self.bins.0)(start).holds.end;
        loop {
            let next = self.start(time);
            if next > start {
                return Some(next);
            }
            time = Micros(start.0.max(time.0).checked_add(self.step)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use language::ast::Bin;

    #[track_caller]
    fn check(bin: &str, zone: &str, from: &str, expected: &[&str]) {
        let zone = TimeZone::get(zone).unwrap();
        let spans = Spans { bins: bins(Bin::parse(bin).unwrap(), zone), step: CLOCK_STEP_US };
        let mut at = spans.start(Micros::parse_event_time(from).unwrap());
        for expected in expected {
            assert_eq!(at.to_string(), *expected);
            at = spans.next(at).unwrap();
        }
    }

    #[test]
    fn spans_follow_each_other_where_clocks_are_set() {
        let hours = ["2023-07-10T12:00:00Z", "2023-07-10T13:00:00Z", "2023-07-10T14:00:00Z"];
        check("1h", "UTC", "2023-07-10T12:44:00Z", &hours);
        let hours = ["2023-10-28T23:00:00Z", "2023-10-29T00:00:00Z", "2023-10-29T01:00:00Z"];
        check("1h", "Europe/Berlin", "2023-10-28T23:10:00Z", &hours);
        let days = ["2023-03-24T23:00:00Z", "2023-03-25T23:00:00Z", "2023-03-26T22:00:00Z"];
        check("1d", "Europe/Berlin", "2023-03-25T12:00:00Z", &days);
        let months = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"];
        check("1mo", "UTC", "2024-01-31T00:00:00Z", &months);
    }
}
