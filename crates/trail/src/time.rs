//! Times as traildex keeps them, and the forms in which records state them.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the Unix epoch, UTC. CloudTrail states seconds; exports state fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// Parses a time as records state it: `2023-07-10T12:40:14Z`, with a fraction or an offset, or
    /// `2025-02-19 20:13:49` as exports write it. Without an offset it is UTC. None also for a time
    /// that the index cannot hold.
    pub fn parse_event_time(text: &str) -> Option<Self> {
        Self::parse(text).filter(|time| time.is_indexable())
    }

    /// Parses an `eventTime` in any form that exports give it: as [`Micros::parse_event_time`] does, as
    /// Trino and Athena write it (`2025-05-01 10:00:04.000 UTC`), or as a number of seconds, milliseconds,
    /// microseconds or nanoseconds since 1970.
    pub fn parse_record_time(text: &str) -> Option<Self> {
        Self::parse_event_time(text)
            .or_else(|| Self::parse_with_zone(text))
            .or_else(|| Self::of_whole(text.parse().ok()?))
            .or_else(|| Self::of_number(text.parse().ok()?))
    }

    /// A time as AWS writes some in its answers, of STS for one: `Jul 10, 2023, 1:28:25 PM`, or without the
    /// second comma. It is UTC.
    pub fn parse_written(text: &str) -> Option<Self> {
        let is_month = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase());
        if text.len() > 40 || !is_month(text) || !text.ends_with('M') {
            return None;
        }
        // Newer releases of Java write a narrow space before AM and PM.
        let parts: Vec<&str> =
            text.split([' ', ',', '\u{202f}']).filter(|part| !part.is_empty()).collect();
        let civil = DateTime::strptime("%b %d %Y %I:%M:%S %p", parts.join(" ")).ok()?;
        let time = Self(Offset::UTC.to_timestamp(civil).ok()?.as_microsecond());
        time.is_indexable().then_some(time)
    }

    /// `2025-05-01 10:00:04.000 UTC`, with another zone, or with an offset behind a space.
    fn parse_with_zone(text: &str) -> Option<Self> {
        let (text, zone) = text.rsplit_once(' ')?;
        if zone.starts_with(['+', '-']) {
            return Self::parse_event_time(&format!("{text}{zone}"));
        }
        if matches!(zone, "UTC" | "GMT" | "Z") {
            return Self::parse_event_time(text);
        }
        let civil: DateTime = text.parse().ok().filter(|_| zone.contains('/'))?;
        let time = TimeZone::get(zone).ok()?.to_timestamp(civil).ok()?;
        Some(Self(time.as_microsecond())).filter(|time| time.is_indexable())
    }

    /// A time as a whole number since 1970, whose size tells its unit: seconds reach to the year 5138, and
    /// smaller numbers than those of 1973 are none.
    pub(crate) fn of_whole(number: i64) -> Option<Self> {
        Some(Self(match number {
            100_000_000..100_000_000_000 => number * 1_000_000,
            100_000_000_000..100_000_000_000_000 => number * 1_000,
            100_000_000_000_000..100_000_000_000_000_000 => number,
            100_000_000_000_000_000.. => number / 1_000,
            _ => return None,
        }))
        .filter(|time| time.is_indexable())
    }

    /// The same with a fraction, or an exponent.
    pub(crate) fn of_number(number: f64) -> Option<Self> {
        let micros = match number {
            1e8..1e11 => number * 1e6,
            1e11..1e14 => number * 1e3,
            1e14..1e17 => number,
            // What 64 bits hold.
            1e17..9.2e18 => number / 1e3,
            _ => return None,
        };
        Some(Self(micros.round() as i64)).filter(|time| time.is_indexable())
    }

    /// Whether the index can hold it: tantivy keeps nanoseconds in 64 bits, which reach from 1677 to 2262.
    fn is_indexable(self) -> bool {
        self.0.checked_mul(1_000).is_some()
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Some(Self(timestamp.as_microsecond()));
        }
        // A date alone is no time of an event; jiff would take it as midnight.
        if text.len() < "2025-02-19T20:13".len() {
            return None;
        }
        let civil = text.strip_suffix('Z').unwrap_or(text).parse::<DateTime>().ok()?;
        Offset::UTC.to_timestamp(civil).ok().map(|timestamp| Self(timestamp.as_microsecond()))
    }

    /// The delivery time in a trail file's name: `…_20230710T1240Z_….json.gz`.
    pub fn parse_file_name(name: &str) -> Option<Self> {
        name.split('_').find_map(|part| {
            let bytes = part.as_bytes();
            let is_time = bytes.len() >= 14 && bytes[8] == b'T' && bytes[13] == b'Z';
            if !is_time {
                return None;
            }
            let digits = |range: std::ops::Range<usize>| part.get(range)?.parse::<i16>().ok();
            let civil = DateTime::new(
                digits(0..4)?,
                digits(4..6)? as i8,
                digits(6..8)? as i8,
                digits(9..11)? as i8,
                digits(11..13)? as i8,
                0,
                0,
            )
            .ok()?;
            let time = Self(Offset::UTC.to_timestamp(civil).ok()?.as_microsecond());
            time.is_indexable().then_some(time)
        })
    }

    /// The date and hour as one word, in lower case: how a time begins in a record, up to its minutes.
    pub fn hour_word(self) -> String {
        let mut word = self.to_string();
        word.truncate(word.find(':').unwrap_or(word.len()));
        word.make_ascii_lowercase();
        word
    }

    /// When the hour of this time begins.
    #[must_use]
    pub fn hour(self) -> Self {
        const HOUR_US: i64 = 3_600_000_000;
        Self(self.0.div_euclid(HOUR_US).saturating_mul(HOUR_US))
    }

    /// The system clock's time.
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }
}

impl JsonSchema for Micros {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// As text, in RFC 3339.
impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        let beyond_the_calendar = || text.strip_suffix(" us")?.parse().ok().map(Self);
        let unknown = || D::Error::custom(format!("'{text}' is not a time in RFC 3339"));
        Self::parse(&text).or_else(beyond_the_calendar).ok_or_else(unknown)
    }
}

/// RFC 3339 in UTC, with no more digits than needed.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let time = Micros::parse_event_time(text).map(|time| time.to_string());
        assert_eq!(time.as_deref(), expected, "{text}");
    }

    /// tantivy would multiply them past 64 bits: the year 9999 was indexed as 1815.
    #[test]
    fn times_as_aws_writes_them_in_answers_are_utc() {
        let parse = |text: &str| Micros::parse_written(text).map(|time| time.to_string());
        let afternoon = Some("2023-07-10T13:28:25Z".to_owned());
        assert_eq!(parse("Jul 10, 2023, 1:28:25 PM"), afternoon);
        assert_eq!(parse("Jul 10, 2023 1:28:25 PM"), afternoon);
        assert_eq!(parse("Jul 10, 2023, 1:28:25\u{202f}PM"), afternoon);
        assert_eq!(parse("Jan 1, 2024, 12:00:00 AM").as_deref(), Some("2024-01-01T00:00:00Z"));
        for text in ["Jul 10, 2023", "Jul 32, 2023, 1:28:25 PM", "PM", "", "Jul 10, 2023, 13:28 PM"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_that_the_index_cannot_hold_is_none() {
        for text in ["9999-12-01T23:59:59Z", "2262-04-12T00:00:00Z", "1677-09-21T00:00:00Z"] {
            assert_eq!(Micros::parse_event_time(text), None, "{text}");
            assert!(Micros::parse(text).is_some());
        }
        for text in ["2262-04-11T23:47:16Z", "1677-09-21T00:12:44Z"] {
            assert!(Micros::parse_event_time(text).is_some(), "{text}");
        }
        assert_eq!(Micros::parse_file_name("1_CloudTrail_x_99991201T2359Z_a.json.gz"), None);
    }

    #[test]
    fn every_form_seen_in_records_is_read() {
        check("2023-07-10T12:40:14Z", Some("2023-07-10T12:40:14Z"));
        check("2020-09-14T00:44:23.000Z", Some("2020-09-14T00:44:23Z"));
        check("2020-09-14T02:44:23.5+02:00", Some("2020-09-14T00:44:23.5Z"));
        check("2025-02-19 20:13:49", Some("2025-02-19T20:13:49Z"));
        check("2025-02-19 20:13:49.123", Some("2025-02-19T20:13:49.123Z"));
        check("2025-02-19 20:13:49Z", Some("2025-02-19T20:13:49Z"));
    }

    #[test]
    fn times_of_exports_are_read() {
        for text in [
            "2025-05-01 11:00:04.000 UTC",
            "2025-05-01 11:00:04 UTC",
            "2025-05-01 13:00:04.000 +02:00",
            "2025-05-01 13:00:04.000 Europe/Berlin",
            "2025-05-01T11:00:04.000+0000",
            "1746097204",
            "1746097204.0",
            "1746097204000",
            "1746097204000000",
            "1746097204000000000",
            "1.746097204e9",
            "1.746097204e12",
            "1.746097204e+15",
            "1.746097204e+18",
        ] {
            let time = Micros::parse_record_time(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some("2025-05-01T11:00:04Z"), "{text}");
        }
        let fraction = Micros::parse_record_time("1746097204.125").unwrap().to_string();
        assert_eq!(fraction, "2025-05-01T11:00:04.125Z");
        for (text, expected) in [
            ("1746097204000.25", "2025-05-01T11:00:04.00025Z"),
            ("1746097204000000.75", "2025-05-01T11:00:04.000001Z"),
        ] {
            assert_eq!(Micros::parse_record_time(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "0",
            "-1746097204",
            "2025",
            "NaN",
            "inf",
            "1e300",
            "9.3e18",
            "-1e18",
            "soon UTC",
            "x/y z/w",
        ] {
            assert_eq!(Micros::parse_record_time(text), None, "{text}");
        }
        assert_eq!(Micros::of_whole(9_300_000_000), None, "beyond what the index holds");
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in
            ["", "redacted", "...", "2023-07-10", "99999999999999999999", "2023-13-40T00:00:00Z"]
        {
            check(text, None);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for time in [0, 1_689_000_014_000_000, -1, i64::MAX, i64::MIN] {
            let text = serde_json::to_string(&Micros(time)).unwrap();
            assert_eq!(serde_json::from_str::<Micros>(&text).unwrap(), Micros(time), "{text}");
        }
        assert!(serde_json::from_str::<Micros>("\"soon\"").is_err());
    }

    #[test]
    fn the_delivery_time_is_read_from_a_trail_files_name() {
        let name = "111111111111_CloudTrail_eu-central-1_20171211T1505Z_A6kvhMoVeCsc7v8U.json.gz";
        let time = Micros::parse_file_name(name).map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some("2017-12-11T15:05:00Z"));
        assert_eq!(Micros::parse_file_name("111111111111_CloudTrail_99999999T9999Z_x.json"), None);
        assert_eq!(Micros::parse_file_name("ümlaut_12345678Té2345Z"), None);
    }
}
