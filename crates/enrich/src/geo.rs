//! A database of addresses in MaxMind's format: GeoLite2 and GeoIP2, and those of others that have their
//! fields, or IPinfo's.
//!
//! Bytes are the user's, and perhaps damaged or made to do harm: what cannot be read of an address is
//! missing, and the database is told to be damaged.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use maxminddb::Reader;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::field::Field;

/// Objects within objects that are looked at: a city, its names, one of them.
const DEPTH_MAX: u8 = 3;

/// A database.
pub(crate) struct Database {
    reader: Reader<Vec<u8>>,
    /// Whether something could not be read.
    is_damaged: AtomicBool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told())
    }
}

impl Database {
    /// The database of a file's bytes.
    pub(crate) fn of(bytes: Vec<u8>) -> Result<Self, String> {
        let reader = Reader::from_source(bytes)
            .map_err(|error| format!("it is no database in MaxMind's format: {error}"))?;
        Ok(Self { reader, is_damaged: AtomicBool::new(false) })
    }

    /// Its type and when it was built: `GeoLite2-City of 2026-11-24`.
    pub(crate) fn told(&self) -> String {
        let meta = self.reader.metadata();
        let day = i64::try_from(meta.build_epoch).ok().and_then(|s| Timestamp::from_second(s).ok());
        let day = day.map_or_else(String::new, |day| format!(" of {}", day.strftime("%Y-%m-%d")));
        let kind: String = meta.database_type.chars().take(64).collect();
        format!("{kind}{day}")
    }

    /// Whether it may have a field, by what it calls itself.
    pub(crate) fn may_have(&self, field: Field) -> bool {
        let kind = self.reader.metadata().database_type.to_ascii_lowercase();
        let is = |part: &str| kind.contains(part);
        let has_networks = is("asn") || is("isp");
        let has_countries = is("country") || is("city") || is("location") || is("enterprise");
        if has_networks == has_countries {
            return true;
        }
        match field {
            Field::Country => has_countries,
            Field::City => has_countries && !is("country"),
            _ => has_networks || is("enterprise"),
        }
    }

    /// Whether something of it could not be read so far.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// What it has of a field of an address.
    pub(crate) fn find(&self, address: Ipv6Addr, field: Field) -> Option<String> {
        let address = std::net::IpAddr::V6(address).to_canonical();
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return None;
        }
        let found = self.reader.lookup(address).and_then(|found| found.decode::<Record<'_>>());
        match found {
            Ok(record) => record?.value(field).filter(|value| !value.is_empty()),
            Err(_) => {
                self.is_damaged.store(true, Ordering::Relaxed);
                None
            }
        }
    }
}

/// What is wanted of a record: each as it is written, or as others write it.
#[derive(Debug, Default)]
struct Record<'d> {
    country: Loose<'d>,
    country_code: Loose<'d>,
    city: Loose<'d>,
    asn: Loose<'d>,
    org: Loose<'d>,
}

impl Record<'_> {
    fn value(&self, field: Field) -> Option<String> {
        match field {
            // IPinfo's `country` is the code, or beside a code the name.
            Field::Country => match (&self.country_code, &self.country) {
                (Loose::Text(code), _) | (_, Loose::Text(code)) => Some((*code).to_owned()),
                (_, Loose::Object { code, .. }) => code.map(str::to_owned),
                _ => None,
            },
            Field::City => match &self.city {
                Loose::Text(name) => Some((*name).to_owned()),
                Loose::Object { name, .. } => name.map(str::to_owned),
                _ => None,
            },
            Field::Asn => match &self.asn {
                Loose::Number(number) => Some(number.to_string()),
                Loose::Text(text) => {
                    let digits = text.strip_prefix("AS").unwrap_or(text);
                    digits.parse::<u32>().ok().map(|number| number.to_string())
                }
                _ => None,
            },
            Field::Org => match &self.org {
                Loose::Text(name) => Some((*name).to_owned()),
                _ => None,
            },
            Field::AwsService | Field::AwsRegion | Field::Indicators => None,
        }
    }
}

impl<'d> Deserialize<'d> for Record<'d> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfRecord;
        impl<'d> Visitor<'d> for OfRecord {
            type Value = Record<'d>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Record<'d>, A::Error> {
                let mut record = Record::default();
                while let Some(key) = map.next_key::<&str>()? {
                    let place = match key {
                        "country" => &mut record.country,
                        "country_code" => &mut record.country_code,
                        "city" => &mut record.city,
                        "autonomous_system_number" | "asn" => &mut record.asn,
                        "autonomous_system_organization" | "as_name" => &mut record.org,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *place = map.next_value_seed(AtDepth(0))?;
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(OfRecord)
    }
}

/// A value of whatever kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loose<'d> {
    Text(&'d str),
    Number(u64),
    /// Its `iso_code`, and its English name or else the first.
    Object {
        code: Option<&'d str>,
        name: Option<&'d str>,
    },
    #[default]
    Other,
}

impl<'d> Loose<'d> {
    fn text(self) -> Option<&'d str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads a value that lies within so many objects.
#[derive(Clone, Copy)]
struct AtDepth(u8);

impl<'d> DeserializeSeed<'d> for AtDepth {
    type Value = Loose<'d>;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<Loose<'d>, D::Error> {
        if self.0 > DEPTH_MAX {
            IgnoredAny::deserialize(deserializer)?;
            return Ok(Loose::Other);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'d> Visitor<'d> for AtDepth {
    type Value = Loose<'d>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'d str) -> Result<Loose<'d>, E> {
        Ok(Loose::Text(text))
    }

    fn visit_str<E>(self, _: &str) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose<'d>, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Loose<'d>, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut seq: A) -> Result<Loose<'d>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Loose<'d>, A::Error> {
        let (mut code, mut english, mut first) = (None, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            let below = AtDepth(self.0 + 1);
            match key {
                "iso_code" => code = map.next_value_seed(below)?.text(),
                "names" => {
                    if let Loose::Object { name, .. } = map.next_value_seed(below)? {
                        english = name;
                    }
                }
                "en" => english = map.next_value_seed(below)?.text(),
                // Of names without an English one.
                _ if self.0 > 0 => {
                    let text = map.next_value_seed(below)?.text();
                    first = first.or(text);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Loose::Object { code, name: english.or(first) })
    }
}
