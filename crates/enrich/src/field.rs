//! The fields that are looked up.

/// A field that no record has: it is looked up by values that records have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The country of an address, by its ISO code.
    Country,
    /// The city of an address, by its English name.
    City,
    /// The number of the autonomous system of an address.
    Asn,
    /// The organisation that has it.
    Org,
    /// The services of AWS that have an address.
    AwsService,
    /// The regions of AWS that have it.
    AwsRegion,
    /// The lists of indicators that have a value.
    Indicators,
}

/// What a field is looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Databases of places.
    Geo,
    /// AWS's ranges.
    Ranges,
    /// Lists of indicators.
    Lists,
}

impl Kind {
    /// The key of the configuration that names the files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Geo => "geo.databases",
            Self::Ranges => "geo.ip_ranges",
            Self::Lists => "ioc.files",
        }
    }

    /// What the files are, for a person.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Geo => "databases of addresses",
            Self::Ranges => "AWS's ip-ranges.json",
            Self::Lists => "lists of indicators",
        }
    }
}

impl Field {
    /// Every field, with its name and those that Elastic has for it.
    pub const ALL: [(Self, &str, &[&str]); 7] = [
        (Self::Country, "geo.country", &["source.geo.country_iso_code"]),
        (Self::City, "geo.city", &["source.geo.city_name"]),
        (Self::Asn, "geo.asn", &["source.as.number"]),
        (Self::Org, "geo.org", &["source.as.organization.name"]),
        (Self::AwsService, "aws.service", &[]),
        (Self::AwsRegion, "aws.ip_region", &[]),
        (Self::Indicators, "ioc", &[]),
    ];

    /// The field of a name; None where it is none of these.
    pub fn named(name: &str) -> Option<Self> {
        let is_name =
            |(_, own, others): &&(Self, &str, &[&str])| *own == name || others.contains(&name);
        Self::ALL.iter().find(is_name).map(|(field, ..)| *field)
    }

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// What it is looked up in.
    pub fn kind(self) -> Kind {
        match self {
            Self::Country | Self::City | Self::Asn | Self::Org => Kind::Geo,
            Self::AwsService | Self::AwsRegion => Kind::Ranges,
            Self::Indicators => Kind::Lists,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_fields() {
        for (field, name, others) in Field::ALL {
            assert_eq!(field.name(), name);
            for name in others.iter().chain([&name]) {
                assert_eq!(Field::named(name), Some(field), "{name}");
            }
        }
        assert_eq!(Field::named("geo"), None);
    }
}
