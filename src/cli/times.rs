//! `--time-zone`: times as they are there.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use language::time::parse_zone;

/// Shows times in a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(Option<TimeZone>);

impl Times {
    /// Those of a zone; as answers have them, in UTC, if none is given. The error is for a person.
    pub(super) fn of(zone: Option<&str>) -> anyhow::Result<Self> {
        let zone = zone.map(parse_zone).transpose().map_err(anyhow::Error::msg)?;
        Ok(Self(zone))
    }

    /// A time of an answer, `2023-07-10T11:42:36Z`, with the zone's offset: `2023-07-10T13:42:36+02:00`.
    /// What is no time stays.
    pub(super) fn shown(&self, text: &str) -> String {
        let Some(zone) = self.0.as_ref().filter(|_| is_time(text)) else { return text.to_owned() };
        let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
        time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
    }
}

/// Whether a text has the form in which answers have times.
fn is_time(text: &str) -> bool {
    text.len() >= 20
        && text.ends_with('Z')
        && text.bytes().enumerate().take(19).all(|(at, b)| match at {
            4 | 7 => b == b'-',
            10 => b == b'T',
            13 | 16 => b == b':',
            _ => b.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_offset_of_its_day() {
        let berlin = Times::of(Some("Europe/Berlin")).unwrap();
        for (text, expected) in [
            ("2023-07-10T11:42:36Z", "2023-07-10T13:42:36+02:00"),
            ("2023-01-10T23:42:36.5Z", "2023-01-11T00:42:36.5+01:00"),
            ("2023-07-10", "2023-07-10"),
            ("x023-07-10T11:42:36Z", "x023-07-10T11:42:36Z"),
            ("", ""),
        ] {
            assert_eq!(berlin.shown(text), expected);
        }
        assert_eq!(Times::default().shown("2023-07-10T11:42:36Z"), "2023-07-10T11:42:36Z");
        assert!(Times::of(Some("Mars")).is_err());
    }
}
