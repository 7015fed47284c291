//! Functions of times, in UTC.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::DataType::{Date32, Float64, Int64, Utf8};
use datafusion::common::Result;
use datafusion::common::cast::{as_float64_array, as_int64_array, as_timestamp_microsecond_array};
use datafusion::logical_expr::ScalarUDF;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, Timestamp, Unit};

use super::{Last, Plain, argument, at, texts, wrong};
use crate::schema::TIME;
use trail::time::Micros;

pub(super) fn all() -> Vec<ScalarUDF> {
    let parts: [(&[&'static str], super::Evaluate); 12] = [
        (&["year"], |a| part(a, |t| i64::from(t.year()))),
        (&["quarter"], |a| part(a, |t| i64::from((t.month() - 1) / 3 + 1))),
        (&["month"], |a| part(a, |t| i64::from(t.month()))),
        (&["week", "week_of_year"], |a| part(a, |t| i64::from(t.date().iso_week_date().week()))),
        (&["year_of_week", "yow"], |a| part(a, |t| i64::from(t.date().iso_week_date().year()))),
        (&["day", "day_of_month"], |a| part(a, |t| i64::from(t.day()))),
        (&["day_of_week", "dow"], |a| part(a, |t| i64::from(t.weekday().to_monday_one_offset()))),
        (&["day_of_year", "doy"], |a| part(a, |t| i64::from(t.day_of_year()))),
        (&["hour"], |a| part(a, |t| i64::from(t.hour()))),
        (&["minute"], |a| part(a, |t| i64::from(t.minute()))),
        (&["second"], |a| part(a, |t| i64::from(t.second()))),
        (&["millisecond"], |a| part(a, |t| i64::from(t.subsec_nanosecond() / 1_000_000))),
    ];
    let mut all: Vec<ScalarUDF> = parts
        .into_iter()
        .map(|(names, evaluate)| Plain::called(names, &[&[TIME]], Int64, evaluate))
        .collect();
    all.extend([
        Plain::of("date_format", &[&[TIME, Utf8]], Utf8, |a| formatted(a, mysql)),
        Plain::of("format_datetime", &[&[TIME, Utf8]], Utf8, |a| formatted(a, joda)),
        Plain::of("date_parse", &[&[Utf8, Utf8]], TIME, |a| parsed(a, mysql)),
        Plain::of("parse_datetime", &[&[Utf8, Utf8]], TIME, |a| parsed(a, joda)),
        Plain::of("date_add", &[&[Utf8, Int64, TIME]], TIME, added),
        Plain::of("date_diff", &[&[Utf8, TIME, TIME]], Int64, between),
        Plain::of("from_iso8601_timestamp", &[&[Utf8]], TIME, |a| {
            each_text(a, |text| Ok(micros(Micros::parse_event_time(text), text)?.0))
        }),
        Plain::of("from_iso8601_date", &[&[Utf8]], Date32, |a| {
            let texts = texts(a, 0)?;
            let day = |text: Option<&str>| match text {
                None => Ok(None),
                Some(text) => match text.parse::<Date>() {
                    Ok(date) => Ok(Some(days(date))),
                    Err(_) => Err(wrong(format!("'{text}' is no date"))),
                },
            };
            Ok(Arc::new(texts.iter().map(day).collect::<Result<Date32Array>>()?) as ArrayRef)
        }),
        Plain::of("to_iso8601", &[&[TIME]], Utf8, |a| {
            let shown =
                |time: i64| Timestamp::from_microsecond(time).ok().map(|time| format!("{time:.3}"));
            let times = times(a, 0)?;
            Ok(Arc::new(times.iter().map(|time| shown(time?)).collect::<StringArray>()) as ArrayRef)
        }),
        Plain::of("from_unixtime", &[&[Float64]], TIME, |a| {
            let seconds = as_float64_array(argument(a, 0)?)?;
            let time = |seconds: Option<f64>| Some((seconds? * 1e6).round() as i64);
            Ok(Arc::new(seconds.iter().map(time).collect::<TimestampMicrosecondArray>())
                as ArrayRef)
        }),
        Plain::of("to_unixtime", &[&[TIME]], Float64, |a| {
            let times = times(a, 0)?;
            let seconds = |time: Option<i64>| Some(time? as f64 / 1e6);
            Ok(Arc::new(times.iter().map(seconds).collect::<Float64Array>()) as ArrayRef)
        }),
    ]);
    all
}

fn times(arguments: &[ArrayRef], number: usize) -> Result<&TimestampMicrosecondArray> {
    as_timestamp_microsecond_array(argument(arguments, number)?)
}

fn days(date: Date) -> i32 {
    (date - Date::constant(1970, 1, 1)).get_days()
}

fn civil(time: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_microsecond(time).ok()?))
}

fn of_civil(time: DateTime) -> Option<i64> {
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond())
}

fn micros(time: Option<Micros>, text: &str) -> Result<Micros> {
    time.ok_or_else(|| wrong(format!("'{text}' is no time")))
}

fn part(arguments: &[ArrayRef], part: fn(DateTime) -> i64) -> Result<ArrayRef> {
    let times = times(arguments, 0)?;
    let parts = times.iter().map(|time| civil(time?).map(part));
    Ok(Arc::new(parts.collect::<Int64Array>()))
}

fn each_text(arguments: &[ArrayRef], make: impl Fn(&str) -> Result<i64>) -> Result<ArrayRef> {
    let texts = texts(arguments, 0)?;
    let times = texts.iter().map(|text| text.map(&make).transpose());
    Ok(Arc::new(times.collect::<Result<TimestampMicrosecondArray>>()?))
}

/// A unit of `date_add` and `date_diff`, and how many of the other it has.
fn unit(name: &str) -> Result<(Unit, i64)> {
    Ok(match name.to_ascii_lowercase().trim_end_matches('s') {
        "millisecond" => (Unit::Millisecond, 1),
        "second" => (Unit::Second, 1),
        "minute" => (Unit::Minute, 1),
        "hour" => (Unit::Hour, 1),
        "day" => (Unit::Day, 1),
        "week" => (Unit::Week, 1),
        "month" => (Unit::Month, 1),
        "quarter" => (Unit::Month, 3),
        "year" => (Unit::Year, 1),
        _ => {
            return Err(wrong(format!(
                "'{name}' is no unit of time; there are millisecond, second, minute, hour, day, week, month, \
                 quarter and year"
            )));
        }
    })
}

fn span(unit: Unit, count: i64) -> Option<Span> {
    match unit {
        Unit::Millisecond => Span::new().try_milliseconds(count),
        Unit::Second => Span::new().try_seconds(count),
        Unit::Minute => Span::new().try_minutes(count),
        Unit::Hour => Span::new().try_hours(count),
        Unit::Day => Span::new().try_days(count),
        Unit::Week => Span::new().try_weeks(count),
        Unit::Month => Span::new().try_months(count),
        _ => Span::new().try_years(count),
    }
    .ok()
}

fn added(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (units, times) = (texts(arguments, 0)?, times(arguments, 2)?);
    let counts = as_int64_array(argument(arguments, 1)?)?;
    let mut last = Last::new();
    let add = |row: usize| {
        let Some(name) = at(units, row) else { return Ok(None) };
        if counts.is_null(row) || times.is_null(row) {
            return Ok(None);
        }
        let (unit, of) = *last.get(name, unit)?;
        let time = (|| {
            let span = span(unit, counts.value(row).checked_mul(of)?)?;
            of_civil(civil(times.value(row))?.checked_add(span).ok()?)
        })();
        time.map(Some).ok_or_else(|| wrong("date_add: the time is too far away"))
    };
    Ok(Arc::new((0..times.len()).map(add).collect::<Result<TimestampMicrosecondArray>>()?))
}

/// Whole units from the first time to the second.
fn between(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (units, from, to) = (texts(arguments, 0)?, times(arguments, 1)?, times(arguments, 2)?);
    let mut last = Last::new();
    let count = |row: usize| {
        let Some(name) = at(units, row) else { return Ok(None) };
        if from.is_null(row) || to.is_null(row) {
            return Ok(None);
        }
        let (unit, of) = *last.get(name, unit)?;
        let count = (|| {
            let (from, to) = (civil(from.value(row))?, civil(to.value(row))?);
            let difference = jiff::civil::DateTimeDifference::new(to)
                .smallest(unit)
                .largest(unit)
                .mode(RoundMode::Trunc);
            let span = from.until(difference).ok()?;
            Some(match unit {
                Unit::Millisecond => span.get_milliseconds(),
                Unit::Second => span.get_seconds(),
                Unit::Minute => span.get_minutes(),
                Unit::Hour => span.get_hours().into(),
                Unit::Day => span.get_days().into(),
                Unit::Week => span.get_weeks().into(),
                Unit::Month => span.get_months().into(),
                _ => span.get_years().into(),
            })
        })();
        let count: Option<i64> = count;
        count
            .map(|count| Some(count / of))
            .ok_or_else(|| wrong("date_diff: the times are too far apart"))
    };
    Ok(Arc::new((0..from.len()).map(count).collect::<Result<Int64Array>>()?))
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    /// As `strftime` has it.
    Of(&'static str),
    /// Digits of a fraction.
    Fraction(usize),
}

fn push_text(pieces: &mut Vec<Piece>, c: char) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(c),
        _ => pieces.push(Piece::Text(c.to_string())),
    }
}

/// MySQL's format: `%Y-%m-%d %H:%i:%s`.
fn mysql(format: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            push_text(&mut pieces, c);
            continue;
        }
        pieces.push(match chars.next() {
            Some('Y') => Piece::Of("%Y"),
            Some('y') => Piece::Of("%y"),
            Some('m') => Piece::Of("%m"),
            Some('c') => Piece::Of("%-m"),
            Some('d') => Piece::Of("%d"),
            Some('e') => Piece::Of("%-d"),
            Some('j') => Piece::Of("%j"),
            Some('H') => Piece::Of("%H"),
            Some('k') => Piece::Of("%-H"),
            Some('h' | 'I') => Piece::Of("%I"),
            Some('l') => Piece::Of("%-I"),
            Some('i') => Piece::Of("%M"),
            Some('s' | 'S') => Piece::Of("%S"),
            Some('f') => Piece::Fraction(6),
            Some('p') => Piece::Of("%p"),
            Some('M') => Piece::Of("%B"),
            Some('b') => Piece::Of("%b"),
            Some('W') => Piece::Of("%A"),
            Some('a') => Piece::Of("%a"),
            Some('T') => Piece::Of("%H:%M:%S"),
            Some('r') => Piece::Of("%I:%M:%S %p"),
            Some('v') => Piece::Of("%V"),
            Some('x') => Piece::Of("%G"),
            Some('%') => {
                push_text(&mut pieces, '%');
                continue;
            }
            Some(other) => {
                return Err(wrong(format!("'%{other}' of '{format}' is no part of a time here")));
            }
            None => return Err(wrong(format!("'{format}' ends with a single %"))),
        });
    }
    Ok(pieces)
}

/// Joda's format: `yyyy-MM-dd HH:mm:ss`.
fn joda(format: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut is_empty = true;
            for c in chars.by_ref().take_while(|c| *c != '\'') {
                is_empty = false;
                push_text(&mut pieces, c);
            }
            if is_empty {
                push_text(&mut pieces, '\'');
            }
            continue;
        }
        if !c.is_ascii_alphabetic() {
            push_text(&mut pieces, c);
            continue;
        }
        let mut count = 1;
        while chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        pieces.push(match (c, count) {
            ('y' | 'Y' | 'u', 2) => Piece::Of("%y"),
            ('y' | 'Y' | 'u', _) => Piece::Of("%Y"),
            ('M', 1) => Piece::Of("%-m"),
            ('M', 2) => Piece::Of("%m"),
            ('M', 3) => Piece::Of("%b"),
            ('M', _) => Piece::Of("%B"),
            ('d', 1) => Piece::Of("%-d"),
            ('d', _) => Piece::Of("%d"),
            ('D', _) => Piece::Of("%j"),
            ('E', ..=3) => Piece::Of("%a"),
            ('E', _) => Piece::Of("%A"),
            ('e', _) => Piece::Of("%u"),
            ('H', 1) => Piece::Of("%-H"),
            ('H', _) => Piece::Of("%H"),
            ('h', 1) => Piece::Of("%-I"),
            ('h', _) => Piece::Of("%I"),
            ('m', 1) => Piece::Of("%-M"),
            ('m', _) => Piece::Of("%M"),
            ('s', 1) => Piece::Of("%-S"),
            ('s', _) => Piece::Of("%S"),
            ('S', count) => Piece::Fraction(count.min(6)),
            ('a', _) => Piece::Of("%p"),
            ('w', _) => Piece::Of("%V"),
            ('x', _) => Piece::Of("%G"),
            ('Z', _) => Piece::Text("+0000".to_owned()),
            ('z', _) => Piece::Text("UTC".to_owned()),
            _ => return Err(wrong(format!("'{c}' of '{format}' is no part of a time here"))),
        });
    }
    Ok(pieces)
}

type Read = fn(&str) -> Result<Vec<Piece>>;

fn formatted(arguments: &[ArrayRef], read: Read) -> Result<ArrayRef> {
    let (times, formats) = (times(arguments, 0)?, texts(arguments, 1)?);
    let mut last = Last::new();
    let show = |row: usize| {
        let (Some(format), false) = (at(formats, row), times.is_null(row)) else { return Ok(None) };
        let pieces = last.get(format, read)?;
        let Some(time) = civil(times.value(row)) else { return Ok(None) };
        let mut shown = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => shown.push_str(text),
                Piece::Of(form) => shown.push_str(&time.strftime(form).to_string()),
                Piece::Fraction(digits) => {
                    let micros = format!("{:06}", time.subsec_nanosecond() / 1_000);
                    shown.push_str(&micros[..*digits]);
                }
            }
        }
        Ok(Some(shown))
    };
    Ok(Arc::new((0..times.len()).map(show).collect::<Result<StringArray>>()?))
}

fn parsed(arguments: &[ArrayRef], read: Read) -> Result<ArrayRef> {
    let (values, formats) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let mut last = Last::new();
    let parse = |row: usize| {
        let (Some(text), Some(format)) = (at(values, row), at(formats, row)) else {
            return Ok(None);
        };
        let form = last.get(format, |format| {
            let of = |piece: &Piece| match piece {
                Piece::Text(text) => text.replace('%', "%%"),
                Piece::Of(form) => form.replace("%-", "%"),
                Piece::Fraction(_) => "%f".to_owned(),
            };
            Ok(read(format)?.iter().map(of).collect::<String>())
        })?;
        let time = jiff::fmt::strtime::parse(form, text).ok().and_then(|parts| {
            let date = parts.to_date().ok()?;
            let time = parts.to_time().unwrap_or(jiff::civil::Time::midnight());
            of_civil(date.to_datetime(time))
        });
        time.map(Some).ok_or_else(|| wrong(format!("'{text}' is no time of the form '{format}'")))
    };
    Ok(Arc::new((0..values.len()).map(parse).collect::<Result<TimestampMicrosecondArray>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            mysql("%Y-%i%%").unwrap(),
            [Piece::Of("%Y"), text("-"), Piece::Of("%M"), text("%")]
        );
        assert!(mysql("%Q").is_err() && mysql("%").is_err());
        assert_eq!(joda("yyyy'T'SSS").unwrap(), [Piece::Of("%Y"), text("T"), Piece::Fraction(3)]);
        assert!(joda("G").is_err());
    }
}
