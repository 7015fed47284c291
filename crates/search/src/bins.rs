//! The intervals of a histogram: how `bin(…)` cuts time.

use std::sync::Arc;

use jiff::civil::{Date, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::values::{Bins, Stretch};
use language::ast::{Bin, BinUnit};
use trail::time::Micros;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

/// Cuts time by the clocks of a zone. Seconds, minutes and hours count from midnight of 1970, as the clocks
/// show it: six hours begin at 0, 6, 12 and 18 o'clock, and are five or seven where clocks are set. An
/// hour, or less, that the clocks show twice is two. Days, weeks (from Monday) and months follow the calendar.
pub(crate) fn bins(bin: Bin, zone: TimeZone) -> Bins {
    let seconds = match bin.unit {
        BinUnit::Second => 1,
        BinUnit::Minute => 60,
        BinUnit::Hour => 60 * 60,
        BinUnit::Day | BinUnit::Week | BinUnit::Month => {
            return Bins(Arc::new(move |time| {
                calendar(bin, &zone, time).unwrap_or_else(|| alone(time))
            }));
        }
    };
    let width = i64::from(bin.count) * seconds * SECOND_US;
    Bins(Arc::new(move |time| {
        let Ok(timestamp) = Timestamp::from_microsecond(time.0) else { return alone(time) };
        let offset = zone.to_offset(timestamp);
        let offset_us = i64::from(offset.seconds()) * SECOND_US;
        let by_clock = (time.0 + offset_us).div_euclid(width) * width;
        let mut start = Micros(by_clock - offset_us);
        if width > HOUR_US {
            // Clocks may have been set since the beginning; it has one time all the same.
            start = by_the_clock(by_clock, &zone).unwrap_or(start);
        }
        if zone.to_fixed_offset().is_ok() {
            Stretch { start, holds: start..Micros(start.0 + width) }
        } else {
            // Clocks may be set within.
            Stretch { start, ..alone(time) }
        }
    }))
}

/// The time at which a zone's clocks show so many microseconds since 1970; the first, where they do twice.
fn by_the_clock(micros: i64, zone: &TimeZone) -> Option<Micros> {
    let shown = Offset::UTC.to_datetime(Timestamp::from_microsecond(micros).ok()?);
    Some(Micros(shown.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond()))
}

/// A time that no calendar has.
fn alone(time: Micros) -> Stretch {
    Stretch { start: time, holds: time..Micros(time.0.saturating_add(1)) }
}

fn calendar(bin: Bin, zone: &TimeZone, time: Micros) -> Option<Stretch> {
    let timestamp = Timestamp::from_microsecond(time.0).ok()?;
    let day = timestamp.to_zoned(zone.clone()).date();
    let count = i64::from(bin.count);
    let (first, length) = match bin.unit {
        BinUnit::Month => {
            let months = i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
            let months = months.div_euclid(count) * count;
            let year = i16::try_from(months.div_euclid(12)).ok()?;
            let first = Date::new(year, months.rem_euclid(12) as i8 + 1, 1).ok()?;
            (first, count.months())
        }
        unit => {
            // A Monday.
            const ORIGIN: Date = date(1970, 1, 5);
            let days = count * if unit == BinUnit::Week { 7 } else { 1 };
            let origin = if unit == BinUnit::Week { ORIGIN } else { date(1970, 1, 1) };
            let since = i64::from(origin.until(day).ok()?.get_days());
            let first = origin.checked_add((since.div_euclid(days) * days).days()).ok()?;
            (first, days.days())
        }
    };
    let micros =
        |day: Date| Some(Micros(day.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond()));
    let start = micros(first)?;
    Some(Stretch { start, holds: start..micros(first.checked_add(length).ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bin: &str, zone: &str, time: &str, expected: &str) {
        let Bins(bins) = bins(Bin::parse(bin).unwrap(), TimeZone::get(zone).unwrap());
        let time = Micros::parse_event_time(time).unwrap();
        let found = bins(time);
        assert!(found.holds.contains(&time), "{found:?}");
        assert_eq!(found.start.to_string(), expected);
    }

    #[test]
    fn stretches_of_equal_length_begin_by_the_zones_clocks() {
        check("5m", "UTC", "2023-07-10T12:44:59Z", "2023-07-10T12:40:00Z");
        check("1h", "UTC", "2023-07-10T12:00:00Z", "2023-07-10T12:00:00Z");
        check("6h", "Europe/Berlin", "2023-07-10T12:00:00Z", "2023-07-10T10:00:00Z");
        check("1h", "Asia/Kolkata", "2023-07-10T12:44:00Z", "2023-07-10T12:30:00Z");
        // The hour that comes twice is two.
        check("1h", "Europe/Berlin", "2023-10-29T00:30:00Z", "2023-10-29T00:00:00Z");
        check("1h", "Europe/Berlin", "2023-10-29T01:30:00Z", "2023-10-29T01:00:00Z");
        // Of several hours there is one, and it is longer.
        check("6h", "Europe/Berlin", "2023-10-28T22:30:00Z", "2023-10-28T22:00:00Z");
        check("6h", "Europe/Berlin", "2023-10-29T04:30:00Z", "2023-10-28T22:00:00Z");
        check("6h", "Europe/Berlin", "2023-10-29T05:00:00Z", "2023-10-29T05:00:00Z");
        check("6h", "Europe/Berlin", "2023-03-26T03:30:00Z", "2023-03-25T23:00:00Z");
        check("2h", "Europe/Berlin", "2023-03-26T01:30:00Z", "2023-03-26T01:00:00Z");
        check("1h", "UTC", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z");
    }

    #[test]
    fn days_weeks_and_months_are_the_calendars() {
        check("1d", "UTC", "2023-07-10T12:44:59Z", "2023-07-10T00:00:00Z");
        check("1d", "Europe/Berlin", "2023-07-10T22:00:00Z", "2023-07-10T22:00:00Z");
        check("1d", "Europe/Berlin", "2023-03-26T21:59:59Z", "2023-03-25T23:00:00Z");
        check("1w", "UTC", "2023-07-16T23:59:59Z", "2023-07-10T00:00:00Z");
        check("1mo", "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z");
        check("3mo", "America/New_York", "2024-01-01T04:59:00Z", "2023-10-01T04:00:00Z");
        check("1w", "UTC", "1969-12-31T00:00:00Z", "1969-12-29T00:00:00Z");
    }
}
