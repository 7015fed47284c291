//! The times a person types: dates, dates with a time of day, times relative to now, epoch numbers.
//!
//! Pure: the caller passes the clock and the time zone in. A text stands for a span, as long as its
//! smallest unit: a date is its whole day, `12:30` its whole minute. A range takes the start or the
//! end of it:
//!
//! ```text
//! x >= t   x is at or after start        x > t   x is at or after end
//! x <= t   x is before end               x < t   x is before start
//! ```
//!
//! So `[2026-06-01 TO 2026-06-05]` is five whole days. Times without an offset are in the clock's
//! zone.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{RoundMode, SignedDuration, Span, Timestamp, ToSpan, Unit, ZonedRound};

use trail::time::Micros;

/// A span of time, from `start`, inclusive, to `end`, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first moment of the span.
    pub start: Micros,
    /// The first moment behind the span.
    pub end: Micros,
}

/// What relative times, and times without an offset, refer to.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The present moment, for `now` and `-24h`.
    pub now: Timestamp,
    /// The zone of times without an offset, and of days.
    pub zone: TimeZone,
}

impl Clock {
    /// A clock at `now` in the zone UTC.
    pub fn utc(now: Timestamp) -> Self {
        Self { now, zone: TimeZone::UTC }
    }
}

/// Why a text is not a time.
#[derive(Clone, Debug)]
pub enum TimeError {
    /// The text, which has no known form.
    Unknown(String),
    /// A text of a known form that names no time, or one outside the years -9999 to 9999.
    Impossible {
        /// The text as typed.
        text: String,
        /// Why there is no such time.
        cause: jiff::Error,
    },
}

/// Parses a time.
///
/// Forms: `now`, `24h`, `-24h`, `2 days ago` or `last 24h` (ago), `now-7d`, `now+1h` in
/// `s m h d w mo y`, or their names; behind these `/d` or `@d` for the day, or another unit, that
/// holds the moment; `today`, `yesterday`; `2026-06`, `2026-06-01`, `2026-06-01T12`,
/// `2026-06-01T12:30`, seconds and a fraction of them, then `Z`, `+02:00` or `[Europe/Berlin]`,
/// optionally with a space for the `T`; seconds (10 digits) or milliseconds (13 digits) since the
/// epoch.
pub fn parse_time(text: &str, clock: &Clock) -> Result<TimeSpan, TimeError> {
    let text = text.trim();
    let calendar = || calendar(text, &clock.zone);
    read(text, relative(text, clock).or_else(|| epoch(text)).or_else(calendar))
}

/// The time that lasts until now, of a text like `last 24h`; None for another text.
pub fn parse_last(text: &str, clock: &Clock) -> Option<Result<TimeSpan, TimeError>> {
    let (word, _) = text.trim().split_once(' ')?;
    let is_last = LAST.iter().any(|last| last.eq_ignore_ascii_case(word));
    let start = is_last.then(|| relative(text.trim(), clock)).flatten()?;
    let end = Micros(clock.now.as_microsecond());
    Some(read(text, Some(start.map(|start| TimeSpan { end, ..start }))))
}

/// Whether a text is a moment that a distance from now names, and so no span to look into.
pub fn is_moment(text: &str, clock: &Clock) -> bool {
    let is_short = |span: TimeSpan| span.end.0 - span.start.0 <= 1;
    relative(text.trim(), clock).is_some_and(|parsed| parsed.is_ok_and(is_short))
}

/// Parses a time like [`parse_time`], but without the forms that could be a number or a duration.
/// None where the text has no such form, and so may be something else.
pub fn parse_plain_time(text: &str, clock: &Clock) -> Option<Result<TimeSpan, TimeError>> {
    let is_relative = text.starts_with('-') || text.starts_with("now") || text.contains(' ');
    let is_day = ["today", "yesterday"].contains(&text);
    let parsed = if is_relative || is_day { relative(text, clock) } else { None };
    let parsed = parsed.or_else(|| calendar(text, &clock.zone));
    parsed.map(|parsed| read(text, Some(parsed)))
}

/// The time zone with a name like `Europe/Berlin`. The error is for a person.
pub fn parse_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("'{name}' is not a time zone: expected UTC or a name like Europe/Berlin")
    })
}

fn read(text: &str, parsed: Parsed) -> Result<TimeSpan, TimeError> {
    match parsed {
        None => Err(TimeError::Unknown(text.to_owned())),
        Some(Ok(span)) => Ok(span),
        Some(Err(cause)) => Err(TimeError::Impossible { text: text.to_owned(), cause }),
    }
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => write!(
                f,
                "'{text}' is not a time: expected one like now, -24h, now-7d, 2 days ago, yesterday, \
                 2026-06, 2026-06-01, 2026-06-01T12:30:00Z, 2026-06-01T12:30+02:00, 2026-06-01T12:30[Europe/Berlin] or \
                 seconds since 1970"
            ),
            Self::Impossible { text, cause } => write!(f, "'{text}' is not a time: {cause}"),
        }
    }
}

impl std::error::Error for TimeError {}

/// `None` where the text does not have the form, as for each of the forms below.
type Parsed = Option<Result<TimeSpan, jiff::Error>>;

/// Units of time by all of their names, the shortest first.
const UNITS: [(Unit, &[&str]); 7] = [
    (Unit::Second, &["s", "sec", "secs", "second", "seconds"]),
    (Unit::Minute, &["m", "min", "mins", "minute", "minutes"]),
    (Unit::Hour, &["h", "hr", "hrs", "hour", "hours"]),
    (Unit::Day, &["d", "day", "days"]),
    (Unit::Week, &["w", "week", "weeks"]),
    (Unit::Month, &["mo", "mon", "month", "months"]),
    (Unit::Year, &["y", "year", "years"]),
];

/// Words in front of a distance that lasts until now.
const LAST: [&str; 2] = ["last", "past"];

fn unit(name: &str) -> Option<Unit> {
    UNITS.iter().find(|(_, names)| names.contains(&name)).map(|(unit, _)| *unit)
}

/// The shortest name of a unit of time; None for another word, and for a year, which bins have not.
pub(crate) fn short_unit(name: &str) -> Option<&'static str> {
    let named = UNITS.iter().find(|(_, names)| names.contains(&name));
    named.map(|(_, names)| names[0]).filter(|name| *name != "y")
}

/// Whether a word is a unit of time.
pub(crate) fn is_unit(word: &str) -> bool {
    unit(word).is_some()
}

/// Whether a word is a distance in time, such as `24h`.
pub(crate) fn is_distance(word: &str) -> bool {
    distance(word).is_some()
}

/// Whether a word is a date, such as `2026-06-01`.
pub(crate) fn is_date(word: &str) -> bool {
    shape(word) == "0000-00-00"
}

/// Whether a word is a time of day, perhaps with an offset or a zone, or with the rest of a span.
pub(crate) fn is_clock(word: &str) -> bool {
    shape(word).starts_with("00:00")
        && word.chars().nth("00:00".len()).is_none_or(|c| ":.Zz+-[".contains(c))
}

/// `24h`, or `24 hours`; a count beyond i64 is beyond the calendar too, which then says so.
fn distance(text: &str) -> Option<(i64, Unit)> {
    let (count, name) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = unit(name.trim_start())?;
    (!count.is_empty()).then(|| (count.parse().unwrap_or(i64::MAX), unit))
}

fn relative(text: &str, clock: &Clock) -> Parsed {
    match text {
        "now" => return Some(lasting(clock.now, 1.microsecond())),
        "today" => return Some(whole(clock.now, Unit::Day, clock)),
        "yesterday" => {
            return Some(shifted(-1, Unit::Day, clock).and_then(|at| whole(at, Unit::Day, clock)));
        }
        _ => {}
    }
    // The beginning of a unit, as Elasticsearch and Splunk write it.
    if let Some((moment, rounded)) = text.split_once(['/', '@'])
        && let Some(unit) = unit(rounded)
        && (!moment.is_empty() || text.starts_with('@'))
    {
        return Some(moment_of(moment, clock)?.and_then(|at| whole(at, unit, clock)));
    }
    let at = moment_of(text, clock).filter(|_| !text.is_empty())?;
    Some(at.and_then(|at| lasting(at, 1.microsecond())))
}

/// `now`, `now-7d`, `-24h`, `24h`, `2 days ago`, `last 24h`; an empty text is now.
fn moment_of(text: &str, clock: &Clock) -> Option<Result<Timestamp, jiff::Error>> {
    let back = |(count, unit): (i64, Unit)| shifted(-count, unit, clock);
    let word_ignoring_case = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
    if text.is_empty() || text == "now" {
        return Some(Ok(clock.now));
    }
    if let Some(rest) = text.strip_prefix("now") {
        let rest = rest.trim_start();
        return match rest.strip_prefix('+') {
            Some(ahead) => {
                let (count, unit) = distance(ahead.trim_start())?;
                Some(shifted(count, unit, clock))
            }
            None => Some(back(distance(rest.strip_prefix('-')?.trim_start())?)),
        };
    }
    if let Some((first, rest)) = text.split_once(' ')
        && LAST.iter().any(|last| word_ignoring_case(last, first))
    {
        return distance(rest.trim_start()).map(back);
    }
    if let Some((rest, last)) = text.rsplit_once(' ')
        && word_ignoring_case(last, "ago")
    {
        return distance(rest.trim_end()).map(back);
    }
    let is_spaced = text.contains(' ');
    let text = text.strip_prefix('-').unwrap_or(text);
    distance(text).filter(|_| !is_spaced).map(back)
}

/// So many units from now; months and years are those of the calendar.
fn shifted(count: i64, unit: Unit, clock: &Clock) -> Result<Timestamp, jiff::Error> {
    let seconds = match unit {
        Unit::Second => 1,
        Unit::Minute => 60,
        Unit::Hour => 60 * 60,
        Unit::Day => 24 * 60 * 60,
        Unit::Week => 7 * 24 * 60 * 60,
        _ => {
            let span = match unit {
                Unit::Month => Span::new().try_months(count)?,
                _ => Span::new().try_years(count)?,
            };
            return Ok(clock.now.to_zoned(clock.zone.clone()).checked_add(span)?.timestamp());
        }
    };
    clock.now.checked_add(SignedDuration::from_secs(count.saturating_mul(seconds)))
}

/// The whole unit of the calendar that holds a moment.
fn whole(at: Timestamp, unit: Unit, clock: &Clock) -> Result<TimeSpan, jiff::Error> {
    let at = at.to_zoned(clock.zone.clone());
    let start = match unit {
        Unit::Week => {
            let days = i64::from(at.weekday().to_monday_zero_offset());
            at.checked_sub(Span::new().try_days(days)?)?.start_of_day()?
        }
        Unit::Month => at.first_of_month()?.start_of_day()?,
        Unit::Year => at.first_of_year()?.start_of_day()?,
        Unit::Day => at.start_of_day()?,
        unit => at.round(ZonedRound::new().smallest(unit).mode(RoundMode::Floor))?,
    };
    let length = match unit {
        Unit::Second => 1.second(),
        Unit::Minute => 1.minute(),
        Unit::Hour => 1.hour(),
        Unit::Day => 1.day(),
        Unit::Week => 1.week(),
        Unit::Month => 1.month(),
        _ => 1.year(),
    };
    let end = start.checked_add(length)?.timestamp();
    let start = start.timestamp();
    Ok(TimeSpan { start: Micros(start.as_microsecond()), end: Micros(end.as_microsecond()) })
}

fn epoch(text: &str) -> Parsed {
    let count = if is_digits(text) {
        text.parse().ok()?
    } else {
        return None;
    };
    match text.len() {
        10 => Some(Timestamp::from_second(count).and_then(|time| lasting(time, 1.second()))),
        13 => {
            Some(Timestamp::from_millisecond(count).and_then(|time| lasting(time, 1.millisecond())))
        }
        _ => None,
    }
}

fn calendar(text: &str, zone: &TimeZone) -> Parsed {
    let (text, named) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((text, name)) => (text, Some(name)),
        None => (text, None),
    };
    // What stands in brackets behind no date is no zone.
    if named.is_some() && !shape(text).starts_with("0000-00") {
        return None;
    }
    let named = match named.map(TimeZone::get).transpose() {
        Ok(named) => named,
        Err(cause) => return Some(Err(cause)),
    };
    let local = named.as_ref().unwrap_or(zone);
    let Some((date, clock)) = text.split_once(['T', 't', ' ']) else {
        return match shape(text).as_str() {
            "0000-00" => Some(starting(&format!("{text}-01T00:00"), 1.month(), local)),
            "0000-00-00" => Some(starting(&format!("{text}T00:00"), 1.day(), local)),
            _ => None,
        };
    };
    let (clock, offset) = clock.split_at(clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len()));
    let length = match shape(clock).as_str() {
        "00" => 1.hour(),
        "00:00" => 1.minute(),
        "00:00:00" => 1.second(),
        shape => {
            let fraction = shape.strip_prefix("00:00:00.")?;
            ((1..=9).contains(&fraction.len()) && is_digits(fraction)).then(|| 1.microsecond())?
        }
    };
    if shape(date) != "0000-00-00" {
        return None;
    }
    let minutes = if clock.len() == 2 { ":00" } else { "" };
    let local_time = format!("{date}T{clock}{minutes}");
    match shape(offset).as_str() {
        "" => Some(starting(&local_time, length, local)),
        // One of the two would be wrong.
        _ if named.is_some() => None,
        "Z" | "z" | "+00:00" | "-00:00" | "+0000" | "-0000" => {
            let start = format!("{local_time}{offset}").parse();
            Some(start.and_then(|start| lasting(start, length)))
        }
        _ => None,
    }
}

/// The form of `text`: each digit as a zero.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// From a local time on. Where clocks are set forward and it does not exist, it is an hour later; where
/// they are set back and it exists twice, the first.
fn starting(start: &str, length: Span, zone: &TimeZone) -> Result<TimeSpan, jiff::Error> {
    let start = start.parse::<DateTime>()?.to_zoned(zone.clone())?;
    let end = start.checked_add(length)?.timestamp();
    let micros = |time: Timestamp| Micros(time.as_microsecond());
    Ok(TimeSpan { start: micros(start.timestamp()), end: micros(end) })
}

fn lasting(start: Timestamp, length: Span) -> Result<TimeSpan, jiff::Error> {
    let end = start.to_zoned(TimeZone::UTC).checked_add(length)?.timestamp();
    Ok(TimeSpan { start: Micros(start.as_microsecond()), end: Micros(end.as_microsecond()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `text` stands for at 2026-06-10T08:00:00Z: start and end, or the error.
    fn read(text: &str) -> String {
        let now = "2026-06-10T08:00:00Z".parse().unwrap();
        let print = |Micros(micros)| Timestamp::from_microsecond(micros).unwrap().to_string();
        match parse_time(text, &Clock::utc(now)) {
            Ok(span) => format!("{} {}", print(span.start), print(span.end)),
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text), expected, "{text}");
    }

    #[test]
    fn relative_times_count_from_now() {
        check("now", "2026-06-10T08:00:00Z 2026-06-10T08:00:00.000001Z");
        check("24h", "2026-06-09T08:00:00Z 2026-06-09T08:00:00.000001Z");
        for text in ["-24h", "now-24h", "-1d", "1440m", "86400s", " now-1d "] {
            assert_eq!(read(text), read("24h"), "{text}");
        }
        check("now-2w", "2026-05-27T08:00:00Z 2026-05-27T08:00:00.000001Z");
        check("now+1h", "2026-06-10T09:00:00Z 2026-06-10T09:00:00.000001Z");
    }

    #[test]
    fn a_distance_is_named_as_people_say_it() {
        for text in [
            "2 days ago",
            "2d ago",
            "2 Days AGO",
            "48 hours ago",
            "last 48h",
            "Last 2 days",
            "past 48 hrs",
            "now - 2d",
            "-2days",
        ] {
            let text = text.replace("Days", "days");
            assert_eq!(read(&text), read("-48h"), "{text}");
        }
        check("1mo", "2026-05-10T08:00:00Z 2026-05-10T08:00:00.000001Z");
        check("2 years ago", "2024-06-10T08:00:00Z 2024-06-10T08:00:00.000001Z");
        let clock = Clock::utc("2026-06-10T08:00:00Z".parse().unwrap());
        let last = parse_last("last 24h", &clock).unwrap().unwrap();
        assert_eq!(last.start.to_string(), "2026-06-09T08:00:00Z");
        assert_eq!(last.end.to_string(), "2026-06-10T08:00:00Z");
        assert!(parse_last("2 days ago", &clock).is_none() && parse_last("24h", &clock).is_none());
        for text in ["now", "-24h", "24h", "2 days ago", "last 24h"] {
            assert!(is_moment(text, &clock), "{text}");
        }
        for text in ["yesterday", "now/d", "2026-06-01", "2026-06-01T12:30:15", "x"] {
            assert!(!is_moment(text, &clock), "{text}");
        }
    }

    #[test]
    fn days_and_other_units_hold_a_moment() {
        check("today", "2026-06-10T00:00:00Z 2026-06-11T00:00:00Z");
        check("yesterday", "2026-06-09T00:00:00Z 2026-06-10T00:00:00Z");
        for text in ["now/d", "@d", "now@d"] {
            assert_eq!(read(text), read("today"), "{text}");
        }
        for text in ["now-1d/d", "-1d@d", "-1d/d"] {
            assert_eq!(read(text), read("yesterday"), "{text}");
        }
        check("-90m@h", "2026-06-10T06:00:00Z 2026-06-10T07:00:00Z");
        check("@w", "2026-06-08T00:00:00Z 2026-06-15T00:00:00Z");
        check("-1mon@mon", "2026-05-01T00:00:00Z 2026-06-01T00:00:00Z");
        check("@y", "2026-01-01T00:00:00Z 2027-01-01T00:00:00Z");
        let clock = Clock {
            zone: parse_zone("Europe/Berlin").unwrap(),
            now: "2026-06-09T23:30:00Z".parse().unwrap(),
        };
        let start = parse_time("yesterday", &clock).unwrap().start.to_string();
        assert_eq!(start, "2026-06-08T22:00:00Z");
    }

    #[test]
    fn a_date_is_its_whole_day_and_a_month_its_whole_month() {
        check("2026-06-01", "2026-06-01T00:00:00Z 2026-06-02T00:00:00Z");
        check("2024-02-29", "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z");
        check("2026-12", "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_time_of_day_lasts_as_long_as_its_last_unit() {
        check("2026-06-01T12", "2026-06-01T12:00:00Z 2026-06-01T13:00:00Z");
        check("2026-06-01T12+02:00", "2026-06-01T10:00:00Z 2026-06-01T11:00:00Z");
        check("2026-06-01T12:30", "2026-06-01T12:30:00Z 2026-06-01T12:31:00Z");
        check("2026-06-01 12:30:15", "2026-06-01T12:30:15Z 2026-06-01T12:30:16Z");
        check("2026-06-01T12:30:15.25", "2026-06-01T12:30:15.25Z 2026-06-01T12:30:15.250001Z");
        check("2026-06-01t12:30z", "2026-06-01T12:30:00Z 2026-06-01T12:31:00Z");
    }

    #[test]
    fn offsets_lead_back_to_utc() {
        check("2026-06-01T12:30+02:00", "2026-06-01T10:30:00Z 2026-06-01T10:31:00Z");
        check("2026-06-01T23:30:00-0330", "2026-06-02T03:00:00Z 2026-06-02T03:00:01Z");
    }

    #[test]
    fn a_zone_is_named_behind_a_time_or_set_for_all_that_name_none() {
        check("2026-06-01T12:30[Europe/Berlin]", "2026-06-01T10:30:00Z 2026-06-01T10:31:00Z");
        check("2026-06-01[America/New_York]", "2026-06-01T04:00:00Z 2026-06-02T04:00:00Z");
        // The day on which clocks are set forward has 23 hours.
        check("2026-03-29[Europe/Berlin]", "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z");
        check("2026-06[Asia/Kolkata]", "2026-05-31T18:30:00Z 2026-06-30T18:30:00Z");
        let error = read("2026-06-01[Europe/Berln]");
        assert!(error.contains("Berln") && !error.contains("expected one like"), "{error}");

        let zone = parse_zone("Europe/Berlin").unwrap();
        let clock = Clock { zone, now: Timestamp::UNIX_EPOCH };
        let start = |text: &str| parse_time(text, &clock).unwrap().start.to_string();
        assert_eq!(start("2026-06-01"), "2026-05-31T22:00:00Z");
        assert_eq!(start("2026-06-01T12:00"), "2026-06-01T10:00:00Z");
        assert_eq!(start("2026-06-01T12:00Z"), "2026-06-01T12:00:00Z");
        assert_eq!(start("2026-06-01T12:00[UTC]"), "2026-06-01T12:00:00Z");
        // A time that clocks jump over, and one that comes twice.
        assert_eq!(start("2026-03-29T02:30"), "2026-03-29T01:30:00Z");
        assert_eq!(start("2026-10-25T02:30"), "2026-10-25T00:30:00Z");
        assert!(parse_zone("Berlin").unwrap_err().contains("Europe/Berlin"));
    }

    #[test]
    fn a_plain_time_is_no_number() {
        let clock = Clock::utc(Timestamp::UNIX_EPOCH);
        let is_plain = |text| parse_plain_time(text, &clock).is_some_and(|time| time.is_ok());
        assert!(is_plain("2026-06-01") && is_plain("-24h") && is_plain("now"));
        assert!(parse_plain_time("[APN/1.0 (+https://example.com)]", &clock).is_none());
        assert!(!is_plain("24h") && !is_plain("1780315200") && !is_plain("-5") && !is_plain(""));
    }

    #[test]
    fn epoch_numbers_are_seconds_or_milliseconds_by_their_length() {
        check("1780315200", "2026-06-01T12:00:00Z 2026-06-01T12:00:01Z");
        check("1780315200250", "2026-06-01T12:00:00.25Z 2026-06-01T12:00:00.251Z");
    }

    #[test]
    fn other_forms_are_answered_with_examples() {
        let texts = [
            "",
            "now-",
            "now24h",
            "-h",
            "+1h",
            "24",
            "24x",
            "ago",
            "last",
            "last week",
            "2 days",
            "days ago",
            "now/x",
            "/d",
            "20260601",
            "2026",
            "2026-6-1",
            "2026-06-01T",
            "2026-06-01T12:30:",
            "2026-06T12:30",
            "2026-06-01T12:30:15.",
            "2026-06-01T12:30+2",
            "2026-06-01T12:30Z[UTC]",
            "2026-06-01T12:30[UTC",
            "２４h",
            "1é",
        ];
        for text in texts {
            let expected = format!("'{text}' is not a time: expected one like now, -24h, now-7d, ");
            assert!(read(text).starts_with(&expected), "{}", read(text));
        }
    }

    #[test]
    fn times_that_do_not_exist_say_why() {
        let texts = [
            "2026-02-30",
            "2026-13",
            "2026-06-01T25:00",
            "2026-06-01T12:30+99:00",
            "9999-12",
            "999999w",
            "now+9223372036854775807w",
            "99999999999999999999h",
        ];
        for text in texts {
            let error = read(text);
            assert!(error.starts_with(&format!("'{text}' is not a time: ")), "{error}");
            assert!(!error.contains("expected one like"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(
            text in r"\PC*|[0-9TZ:+ .now-]{0,30}|(now)?[+-]?[0-9]{1,25}[smhdw]",
            now in -377_705_023_201_i64..=253_402_207_200,
        ) {
            if let Ok(span) = parse_time(&text, &Clock::utc(Timestamp::from_second(now).unwrap())) {
                prop_assert!(span.start < span.end);
            }
        }
    }
}
