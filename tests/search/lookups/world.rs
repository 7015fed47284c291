//! Random records, and files in which their values are looked up; what is to be found of each record.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value as Json, json};

use crate::common::Place;
use crate::common::mmdb::database;

pub(super) const COUNTRIES: [&str; 5] = ["DE", "FR", "JP", "US", "BR"];
pub(super) const CITIES: [&str; 6] = ["Berlin", "Paris", "Portland", "Tokyo", "São Paulo", "Bonn"];
pub(super) const SERVICES: [&str; 3] = ["AMAZON", "EC2", "S3"];
pub(super) const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

/// Steps of a known generator.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len() as u64) as usize]
    }

    /// One of few thousand addresses, so that networks hold some.
    pub(super) fn address(&mut self) -> IpAddr {
        let low = self.below(4_096) as u32;
        if self.one_in(4) {
            return Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(low) << 64 | 1).into();
        }
        Ipv4Addr::from(0xcb00_0000 | low << 4 | 5).into()
    }

    pub(super) fn network(&mut self) -> Network {
        let address = self.address();
        let length =
            if address.is_ipv4() { 18 + self.below(15) } else { 40 + self.below(60) } as u32;
        Network { address, length }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) length: u32,
}

impl Network {
    pub(super) fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length
            }
            _ => false,
        }
    }

    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.address, self.length)
    }
}

/// The files, as the test knows them.
pub(super) struct World {
    /// The larger networks first.
    pub(super) places: Vec<(Network, Json)>,
    pub(super) systems: Vec<(Network, Json)>,
    pub(super) ranges: Vec<(Network, &'static str, &'static str)>,
    pub(super) lists: Vec<(&'static str, Vec<Network>, BTreeSet<String>)>,
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut nets = |count: usize| {
            let mut networks: Vec<Network> = (0..count).map(|_| random.network()).collect();
            networks.sort_by_key(|network| network.length);
            networks.dedup();
            networks
        };
        let (of_places, of_systems, of_ranges) = (nets(120), nets(60), nets(40));
        let of_lists = [nets(30), nets(30)];
        let place = |random: &mut Random| {
            let mut place = json!({"continent": {"code": "EU"}});
            if !random.one_in(8) {
                place["country"] = json!({"iso_code": random.pick(&COUNTRIES)});
            }
            if random.one_in(2) {
                place["city"] = json!({"names": {"en": random.pick(&CITIES)}});
            }
            place
        };
        let system = |random: &mut Random| {
            let number = 64_500 + random.below(9);
            json!({"autonomous_system_number": number,
                "autonomous_system_organization": format!("Example Net {}", number % 4)})
        };
        let places = of_places.into_iter().map(|network| (network, place(random))).collect();
        let systems = of_systems.into_iter().map(|network| (network, system(random))).collect();
        let range = |network| (network, random.pick(&SERVICES), random.pick(&REGIONS));
        let ranges = of_ranges.into_iter().map(range).collect();
        let texts = |random: &mut Random, name: &str| -> BTreeSet<String> {
            let texts = (0..12).map(|_| match random.below(3) {
                0 => key(random.below(60)),
                1 => arn(random.below(60)),
                _ => agent(random.below(20)),
            });
            texts.chain([format!("nobody of {name}")]).collect()
        };
        let [exits, others] = of_lists;
        let lists = vec![
            ("exits", exits, texts(random, "exits")),
            ("others-2", others, texts(random, "others")),
        ];
        Self { places, systems, ranges, lists }
    }

    pub(super) fn write(&self, place: &Place) -> Place {
        let of = |records: &[(Network, Json)]| -> Vec<(String, Json)> {
            records.iter().map(|(network, record)| (network.text(), record.clone())).collect()
        };
        let write = |name: &str, kind: &str, bits, records: &[(Network, Json)]| {
            let records = of(records);
            let records: Vec<(&str, Json)> = records
                .iter()
                .map(|(network, record)| (network.as_str(), record.clone()))
                .collect();
            fs::write(place.path(name), database(kind, bits, &records)).unwrap();
        };
        write("city.mmdb", "GeoLite2-City", 28, &self.places);
        write("asn.mmdb", "GeoLite2-ASN", 24, &self.systems);
        let prefixes = |is_v4: bool, key: &str| -> Vec<Json> {
            let ranges =
                self.ranges.iter().filter(|(network, ..)| network.address.is_ipv4() == is_v4);
            ranges
                .map(|(network, service, region)| {
                    json!({key: network.text(), "service": service, "region": region})
                })
                .collect()
        };
        let ranges = json!({"createDate": "2026-11-20-17-03-06", "prefixes": prefixes(true, "ip_prefix"),
            "ipv6_prefixes": prefixes(false, "ipv6_prefix")});
        fs::write(place.path("ip-ranges.json"), ranges.to_string()).unwrap();
        for (name, networks, texts) in &self.lists {
            let lines = networks.iter().map(|network| match network.length {
                32 if network.address.is_ipv4() => network.address.to_string(),
                _ => network.text(),
            });
            let lines: Vec<String> = lines.chain(texts.iter().cloned()).collect();
            fs::write(place.path(&format!("{name}.txt")), lines.join("\n")).unwrap();
        }
        let path = |name: &str| place.path(name).display().to_string();
        place
            .clone()
            .with("GEO_DATABASES", &format!("{}:{}", path("city.mmdb"), path("asn.mmdb")))
            .with("GEO_IP_RANGES", &path("ip-ranges.json"))
            .with("IOC_FILES", &format!("{}:{}", path("exits.txt"), path("others-2.txt")))
    }

    /// What a database has at a path for an address: of the smallest network that holds it.
    pub(super) fn of<'w>(
        records: &'w [(Network, Json)],
        address: Option<IpAddr>,
        path: &str,
    ) -> Option<&'w Json> {
        let address = address?;
        let (_, record) = records.iter().rev().find(|(network, _)| network.has(address))?;
        record.pointer(path)
    }

    pub(super) fn look(&self, event: &Event) -> Looked {
        let address = event.address.as_deref().and_then(|text| text.parse().ok());
        let text = |value: Option<&Json>| value.map(|it| it.as_str().unwrap().to_owned());
        let ranges = self
            .ranges
            .iter()
            .filter(|(network, ..)| address.is_some_and(|address| network.has(address)));
        let (services, regions) = ranges.map(|(_, service, region)| (*service, *region)).unzip();
        let has = |(_, networks, texts): &&(&str, Vec<Network>, BTreeSet<String>)| {
            address.is_some_and(|address| networks.iter().any(|network| network.has(address)))
                || event.texts.iter().any(|text| texts.contains(text))
        };
        Looked {
            country: text(Self::of(&self.places, address, "/country/iso_code")),
            city: text(Self::of(&self.places, address, "/city/names/en")),
            asn: Self::of(&self.systems, address, "/autonomous_system_number")
                .map(|n| n.as_u64().unwrap()),
            org: text(Self::of(&self.systems, address, "/autonomous_system_organization")),
            services,
            regions,
            lists: self.lists.iter().filter(has).map(|(name, ..)| *name).collect(),
            is_of_service: event
                .address
                .as_deref()
                .is_some_and(|text| text.ends_with(".amazonaws.com")),
        }
    }
}

/// What should be found of an event.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) country: Option<String>,
    pub(super) city: Option<String>,
    pub(super) asn: Option<u64>,
    pub(super) org: Option<String>,
    pub(super) services: BTreeSet<&'static str>,
    pub(super) regions: BTreeSet<&'static str>,
    pub(super) lists: BTreeSet<&'static str>,
    pub(super) is_of_service: bool,
}

/// What is looked up of an event, and its id.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) address: Option<String>,
    pub(super) texts: Vec<String>,
}

pub(super) fn key(n: u64) -> String {
    format!("AKIA{n:016}")
}

pub(super) fn arn(n: u64) -> String {
    format!("arn:aws:iam::111122223333:role/r{n}")
}

pub(super) fn agent(n: u64) -> String {
    format!("Tool/{n}.0 (X11, Linux; {n})")
}

pub(super) fn event(n: usize, random: &mut Random) -> (Json, Event) {
    let id = format!("{n:08}-0000-4000-8000-000000000000");
    let address = match random.below(12) {
        0 => None,
        1 => Some("ec2.amazonaws.com".to_owned()),
        2 => Some("AWS Internal".to_owned()),
        _ => Some(random.address().to_string()),
    };
    let mut texts = vec![agent(random.below(200)), arn(random.below(400)), key(random.below(400))];
    let mut record = json!({
        "eventVersion": "1.09", "eventID": id, "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "eventTime": format!("2026-05-{:02}T10:{:02}:{:02}Z", 1 + n % 28, n / 60 % 60, n % 60),
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "userAgent": texts[0],
        "userIdentity": {"type": "AssumedRole", "arn": texts[1], "accessKeyId": texts[2]},
    });
    if let Some(address) = &address {
        record["sourceIPAddress"] = json!(address);
    }
    if random.one_in(3) {
        let (role, made) = (arn(random.below(400)), key(random.below(400)));
        record["requestParameters"] = json!({"roleArn": role, "note": key(random.below(60))});
        record["responseElements"] = json!({"credentials": {"accessKeyId": made}});
        texts.extend([role, made]);
    }
    if random.one_in(3) {
        let (one, other) = (arn(random.below(400)), arn(random.below(400)));
        record["resources"] = json!([{"ARN": one}, {"ARN": other}]);
        texts.extend([one, other]);
    }
    (record, Event { id, address, texts })
}
