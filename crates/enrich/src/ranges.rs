//! The ranges of AWS's addresses, as AWS publishes them in `ip-ranges.json`.

use std::net::Ipv6Addr;

use serde::Deserialize;
use trail::seeded::SeededMap;

use crate::field::Field;
use crate::file::Made;
use crate::limits::{PROBLEMS_MAX, RANGES_MAX};
use crate::networks::Networks;

/// AWS's ranges.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// When AWS made the file.
    made: String,
    /// Services and regions, each once.
    names: Vec<Box<str>>,
    /// Of each network, its services and regions, by their places among the names.
    networks: Networks<Vec<(u16, u16)>>,
}

/// The file, of which other members are left out.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "createDate", default)]
    create_date: String,
    prefixes: Vec<Prefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<Prefix>,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    network: String,
    region: String,
    service: String,
}

impl Ranges {
    /// The ranges of a file's bytes.
    pub(crate) fn of(bytes: &[u8]) -> Made<Self> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is not such as AWS's ip-ranges.json: {error}"))?;
        let count = file.prefixes.len() + file.ipv6_prefixes.len();
        if count > RANGES_MAX {
            return Err(format!("it has {count} networks, and {RANGES_MAX} are read at most"));
        }
        // `2026-11-20-17-03-06`
        let made: String = file.create_date.chars().take(10).collect();
        let mut names = Names::default();
        let mut networks: Networks<Vec<(u16, u16)>> = Networks::default();
        let mut bad = Vec::new();
        for Prefix { network, region, service } in
            file.prefixes.into_iter().chain(file.ipv6_prefixes)
        {
            let (Some(service), Some(region)) = (names.place(service), names.place(region)) else {
                return Err("it has too many services and regions".to_owned());
            };
            let pair = (service, region);
            let added = networks.add(&network, |before| {
                let mut pairs = before.unwrap_or_default();
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
                pairs
            });
            if added.is_none() {
                bad.push(network);
            }
        }
        if !bad.is_empty() {
            let told: Vec<&str> = bad.iter().take(PROBLEMS_MAX).map(String::as_str).collect();
            return Err(format!("{} of its networks are none: {}", bad.len(), told.join(", ")));
        }
        if networks.count() == 0 {
            return Err("it has no network".to_owned());
        }
        Ok((Self { made, names: names.all, networks }, Vec::new()))
    }

    /// What it is, and when AWS made it.
    pub(crate) fn told(&self) -> String {
        match self.made.as_str() {
            "" => "ip-ranges.json".to_owned(),
            made => format!("ip-ranges.json of {made}"),
        }
    }

    /// The services or regions that have an address.
    pub(crate) fn each(&self, address: Ipv6Addr, field: Field, found: &mut dyn FnMut(&str)) {
        for (service, region) in self.networks.of(address).flatten() {
            let place = if field == Field::AwsService { service } else { region };
            found(&self.names[*place as usize]);
        }
    }
}

/// Names by their places.
#[derive(Default)]
struct Names {
    all: Vec<Box<str>>,
    places: SeededMap<String, u16>,
}

impl Names {
    /// The place of a name; None where there are too many.
    fn place(&mut self, name: String) -> Option<u16> {
        if let Some(place) = self.places.get(&name) {
            return Some(*place);
        }
        let place = u16::try_from(self.all.len()).ok()?;
        self.all.push(name.as_str().into());
        self.places.insert(name, place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail::flat::parse_ip;

    #[test]
    fn an_address_has_the_services_and_regions_of_all_its_networks() {
        let text = include_bytes!("../../../tests/data/enrich/ip-ranges.json");
        let (ranges, bad) = Ranges::of(text).unwrap();
        assert!(bad.is_empty());
        assert_eq!(ranges.told(), "ip-ranges.json of 2026-11-20");
        let of = |address: &str, field| {
            let mut found = Vec::new();
            let address = parse_ip(address).unwrap();
            ranges.each(address, field, &mut |name| found.push(name.to_owned()));
            found.sort();
            found.dedup();
            found.join(" ")
        };
        assert_eq!(of("3.5.140.9", Field::AwsService), "AMAZON EC2 S3");
        assert_eq!(of("3.5.140.9", Field::AwsRegion), "ap-northeast-2");
        assert_eq!(of("2600:1f18::1", Field::AwsService), "AMAZON EC2");
        assert_eq!(of("203.0.113.7", Field::AwsService), "");
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = Ranges::of(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check("", "it is not such as AWS's ip-ranges.json: EOF");
        check("{\"prefixes\": []}", "it has no network");
        let prefix = |network| {
            format!(
                "{{\"prefixes\": [{{\"ip_prefix\": \"{network}\", \"region\": \"r\", \"service\": \"s\"}}]}}"
            )
        };
        check(&prefix("10.0.0.0/40"), "1 of its networks are none: 10.0.0.0/40");
        assert!(Ranges::of(prefix("10.0.0.0/8").as_bytes()).is_ok());
    }
}
