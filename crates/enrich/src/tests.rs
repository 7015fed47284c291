//! Files as users have them, good and bad, and what is looked up in them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::geo::Database;
use crate::{Enrichment, Field, Sources};
use trail::flat::parse_ip;

#[allow(unreachable_pub)]
#[path = "../../../tests/common/mmdb.rs"]
mod mmdb;

use mmdb::{database, database_of};

fn city(code: &str, name: &str) -> Json {
    json!({
        "city": {"geoname_id": 2_950_159, "names": {"de": "Stadt", "en": name}},
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"iso_code": code, "is_in_european_union": true, "names": {"en": "A country"}},
        "location": {"latitude": 52.5, "accuracy_radius": 200},
        "subdivisions": [{"iso_code": "BE", "names": {"en": "Berlin"}}],
    })
}

fn cities() -> Vec<u8> {
    let networks = [
        ("203.0.112.0/22", city("DE", "Berlin")),
        ("203.0.113.64/26", city("FR", "Paris")),
        ("2001:db8::/32", city("JP", "Tokyo")),
        ("198.51.100.0/24", json!({"registered_country": {"iso_code": "US"}})),
    ];
    database("GeoLite2-City", 28, &networks)
}

fn systems() -> Vec<u8> {
    let record = |number: u32, name: &str| json!({"autonomous_system_number": number, "autonomous_system_organization": name});
    let networks = [
        ("203.0.113.0/24", record(64_500, "Example Net")),
        ("2001:db8::/32", record(3_320, "Other")),
    ];
    database("GeoLite2-ASN", 24, &networks)
}

/// A folder with files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            folder.put(name, bytes);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// In place of what is there.
    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("new"), bytes).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn geo(&self, names: &[&str]) -> Sources {
        let geo = names.iter().map(|name| self.path(name)).collect();
        Sources { geo, geo_bytes_max: 1 << 20, ..Sources::default() }
    }

    fn lists(&self, names: &[&str]) -> Sources {
        Sources { lists: names.iter().map(|name| self.path(name)).collect(), ..Sources::default() }
    }
}

fn load(sources: Sources) -> Enrichment {
    Enrichment::load(sources, &Enrichment::default())
}

fn of(enrichment: &Enrichment, field: Field, value: &str) -> String {
    let mut found = Vec::new();
    enrichment.each(field, value, &mut |text| found.push(text.to_owned()));
    found.join(" ")
}

fn all(enrichment: &Enrichment, address: &str) -> [String; 4] {
    [Field::Country, Field::City, Field::Asn, Field::Org].map(|it| of(enrichment, it, address))
}

#[test]
fn an_address_is_where_the_first_database_that_knows_says() {
    let folder = Folder::new(&[("city.mmdb", &cities()), ("asn.mmdb", &systems())]);
    let found = load(folder.geo(&["city.mmdb", "asn.mmdb"]));
    assert!(found.problems().is_empty());
    assert_eq!(all(&found, "203.0.113.7"), ["DE", "Berlin", "64500", "Example Net"]);
    assert_eq!(all(&found, "203.0.113.70"), ["FR", "Paris", "64500", "Example Net"]);
    assert_eq!(all(&found, "::ffff:203.0.113.70")[0], "FR");
    assert_eq!(all(&found, "203.0.112.1"), ["DE", "Berlin", "", ""]);
    assert_eq!(all(&found, "2001:db8::1"), ["JP", "Tokyo", "3320", "Other"]);
    for value in ["198.51.100.1", "10.0.0.1", "s3.amazonaws.com", "AWS Internal", "", "::1"] {
        assert_eq!(all(&found, value), ["", "", "", ""], "{value}");
    }
    assert_eq!(found.check(Field::City), Ok(()));
    let notes = found.notes(Field::Country);
    assert_eq!(notes, ["'geo.country' is looked up in GeoLite2-City of 2026-11-24"]);
    assert_eq!(found.damage(Field::Country), None);
}

#[test]
fn databases_of_others_have_the_same_in_other_places() {
    let networks = [
        (
            "203.0.113.0/24",
            json!({"country": "Germany", "country_code": "DE", "asn": "AS64500", "as_name": "Example Net"}),
        ),
        ("198.51.100.0/24", json!({"country": "FR", "city": "Paris", "asn": "none"})),
        // Names in other languages only; what is of another kind.
        (
            "192.0.2.0/24",
            json!({"city": {"names": {"de": "Wien"}}, "country": [1, 2], "asn": {"a": 1.5}}),
        ),
    ];
    let folder = Folder::new(&[("lite.mmdb", &database("ipinfo generic_lite", 32, &networks))]);
    let found = load(folder.geo(&["lite.mmdb"]));
    assert_eq!(all(&found, "203.0.113.7"), ["DE", "", "64500", "Example Net"]);
    assert_eq!(all(&found, "198.51.100.7"), ["FR", "Paris", "", ""]);
    assert_eq!(all(&found, "192.0.2.7"), ["", "Wien", "", ""]);
    assert_eq!(found.damage(Field::Country), None);
}

#[test]
fn a_database_of_ipv4_knows_no_address_of_ipv6() {
    let networks = [("203.0.113.0/24", json!({"country": {"iso_code": "DE"}}))];
    let folder = Folder::new(&[("4.mmdb", &database_of(4, "GeoLite2-Country", 24, &networks))]);
    let found = load(folder.geo(&["4.mmdb"]));
    assert_eq!(of(&found, Field::Country, "203.0.113.7"), "DE");
    assert_eq!(of(&found, Field::Country, "::ffff:203.0.113.7"), "DE");
    assert_eq!(of(&found, Field::Country, "2001:db8::1"), "");
    assert_eq!(found.damage(Field::Country), None);
}

#[test]
fn what_cannot_be_looked_up_is_told() {
    let told = |sources, field: Field| load(sources).check(field).unwrap_err().to_string();
    assert_eq!(
        told(Sources::default(), Field::Country),
        "'geo.country' is looked up in databases of addresses, and geo.databases names none"
    );
    assert_eq!(
        told(Sources::default(), Field::Indicators),
        "'ioc' is looked up in lists of indicators, and ioc.files names none"
    );
    let folder = Folder::new(&[("asn.mmdb", &systems()), ("bad.mmdb", b"no database")]);
    assert_eq!(
        told(folder.geo(&["asn.mmdb"]), Field::City),
        "'geo.city' cannot be looked up: GeoLite2-ASN of 2026-11-24 has none of it"
    );
    for name in ["bad.mmdb", "none.mmdb", "."] {
        let told = told(folder.geo(&[name]), Field::Country);
        let path = folder.path(name);
        assert!(
            told.starts_with(&format!("'geo.country' cannot be looked up: {}: ", path.display())),
            "{told}"
        );
    }
    let small = Sources { geo_bytes_max: 100, ..folder.geo(&["asn.mmdb"]) };
    assert!(told(small, Field::Asn).contains("it has 1 MiB, and 0 MiB are left for it"));
}

/// Cut at each length, and with each byte changed: an answer or none, and no panic.
#[test]
fn a_database_that_is_damaged_says_less_and_does_no_harm() {
    let whole = cities();
    let addresses =
        ["203.0.113.7", "203.0.113.70", "2001:db8::1", "198.51.100.1", "255.255.255.255", "ffff::"];
    let mut damaged = 0;
    let mut look = |bytes: &[u8]| {
        let Ok(found) = Database::of(bytes.to_vec()) else { return };
        for address in addresses {
            for (field, ..) in Field::ALL {
                found.find(parse_ip(address).unwrap(), field);
            }
        }
        damaged += usize::from(found.is_damaged());
    };
    for end in 0..whole.len() {
        look(&whole[..end]);
    }
    for place in 0..whole.len() {
        for change in [0xff, 0x00, whole[place] ^ 0x80, whole[place].wrapping_add(1)] {
            let mut bytes = whole.clone();
            bytes[place] = change;
            look(&bytes);
        }
    }
    assert!(damaged > 100, "{damaged}");
}

/// Maps within maps, and pointers that go round: each look ends, soon.
#[test]
fn a_database_that_is_made_to_do_harm_does_none() {
    let deep = (0..400).fold(json!("x"), |inner, _| json!({ "names": inner }));
    let wide: Vec<Json> = (0..2_000).map(|n| json!({ "names": n })).collect();
    let networks =
        [("203.0.113.0/24", json!({ "city": deep })), ("198.51.100.0/24", json!({"city": wide}))];
    let mut bytes = database("GeoLite2-City", 24, &networks);
    let folder = Folder::new(&[("x.mmdb", &bytes)]);
    let found = load(folder.geo(&["x.mmdb"]));
    all(&found, "203.0.113.7");
    all(&found, "198.51.100.7");
    // A city whose names are the record that it is in.
    let networks = [("203.0.113.0/24", json!({"city": {"names": "--"}}))];
    bytes = database("GeoLite2-City", 24, &networks);
    let place = bytes.windows(3).position(|part| part == b"\x42--").unwrap();
    bytes[place..place + 3].copy_from_slice(&[0x28, 0, 0]);
    folder.put("x.mmdb", &bytes);
    let found = load(folder.geo(&["x.mmdb"]));
    assert_eq!(all(&found, "203.0.113.7"), ["", "", "", ""]);
}

#[test]
fn lists_have_the_names_of_their_files() {
    let exits = "# tor\n203.0.113.7,exit\n198.51.100.0/24\n";
    let folder = Folder::new(&[
        ("exits.txt", exits.as_bytes()),
        ("keys.csv", b"AKIAIOSFODNN7EXAMPLE\n203.0.113.7\tseen before\n"),
    ]);
    let found = load(folder.lists(&["exits.txt", "keys.csv"]));
    assert_eq!(of(&found, Field::Indicators, "203.0.113.7"), "exits keys");
    assert_eq!(of(&found, Field::Indicators, "198.51.100.9"), "exits");
    assert_eq!(of(&found, Field::Indicators, "AKIAIOSFODNN7EXAMPLE"), "keys");
    assert_eq!(of(&found, Field::Indicators, "10.0.0.1"), "");
    assert_eq!(found.lists(), [("exits", 2), ("keys", 2)]);
    let labelled = [("exits", Some("exit".to_owned())), ("keys", Some("seen before".to_owned()))];
    assert_eq!(found.indicators("203.0.113.7"), labelled);
    assert!(found.notes(Field::Indicators).is_empty());
}

#[test]
fn a_hundred_thousand_indicators_are_a_set() {
    let line = |n: u32| match n % 4 {
        0 => std::net::Ipv4Addr::from(0x0b00_0000 + n * 7).to_string(),
        1 => format!("{}/28", std::net::Ipv4Addr::from(0x6400_0000 + n * 16)),
        2 => format!("AKIA{n:016}"),
        _ => format!("arn:aws:iam::111122223333:user/u{n}"),
    };
    let text: Vec<String> = (0..100_000).map(line).collect();
    let folder = Folder::new(&[("ioc.txt", text.join("\n").as_bytes())]);
    let found = load(folder.lists(&["ioc.txt"]));
    assert!(found.problems().is_empty());
    assert_eq!(found.lists(), [("ioc", 100_000)]);
    for (n, text) in text.iter().enumerate() {
        let value = text.strip_suffix(".0/28").map_or(text.clone(), |net| format!("{net}.15"));
        let value =
            value.split('/').next().filter(|_| n % 4 == 1).map_or(value.clone(), str::to_owned);
        assert_eq!(of(&found, Field::Indicators, &value), "ioc", "{value}");
        assert_eq!(of(&found, Field::Indicators, &format!("{value}x")), "");
    }
}

#[test]
fn a_bad_line_is_told_with_its_place_and_costs_itself() {
    let folder =
        Folder::new(&[("x.txt", b"10.0.0.1\n10.0.0.400\n10.0.0.2\n"), ("y.txt", b"10.0.0.3")]);
    let found = load(folder.lists(&["x.txt", "gone.txt", "y.txt"]));
    let told: Vec<String> = found.problems().iter().map(ToString::to_string).collect();
    let path = |name| folder.path(name).display().to_string();
    assert_eq!(told[0], format!("{}:2: '10.0.0.400' is no address and no network", path("x.txt")));
    assert!(told[1].starts_with(&format!("{}: No such file", path("gone.txt"))), "{told:?}");
    assert_eq!((told.len(), found.lists()), (2, vec![("x", 2), ("y", 1)]));
    let note = &found.notes(Field::Indicators)[0];
    assert!(note.starts_with("'ioc' lacks some: ") && note.ends_with("; and 1 more"), "{note}");
}

#[test]
fn a_file_that_changes_is_read_again_and_one_that_fails_is_what_it_was() {
    let folder = Folder::new(&[("x.txt", b"10.0.0.1\n"), ("y.txt", b"10.9.9.9\n")]);
    let sources = folder.lists(&["x.txt", "y.txt"]);
    let first = load(sources.clone());
    assert!(!first.is_stale());
    let same = Enrichment::load(sources.clone(), &first);
    assert_eq!(same.edition(Field::Indicators), first.edition(Field::Indicators));

    folder.put("x.txt", b"10.0.0.2\n");
    assert!(first.is_stale());
    let second = Enrichment::load(sources.clone(), &first);
    assert_eq!(of(&second, Field::Indicators, "10.0.0.1"), "");
    assert_eq!(of(&second, Field::Indicators, "10.0.0.2"), "x");
    assert_ne!(second.edition(Field::Indicators), first.edition(Field::Indicators));
    assert_eq!(second.edition(Field::Country), first.edition(Field::Country));
    assert!(!second.is_stale());

    // Written into, in place: a list of too much.
    fs::write(folder.path("x.txt"), "1\n".repeat(crate::limits::LINES_MAX)).unwrap();
    assert!(second.is_stale());
    let third = Enrichment::load(sources.clone(), &second);
    assert_eq!(of(&third, Field::Indicators, "10.0.0.2"), "x");
    assert!(
        third.problems()[0].reason.ends_with("what it was before is used"),
        "{:?}",
        third.problems()
    );
    assert_eq!(third.edition(Field::Indicators), second.edition(Field::Indicators));
    assert!(!third.is_stale());

    fs::remove_file(folder.path("x.txt")).unwrap();
    let fourth = Enrichment::load(sources.clone(), &third);
    assert_eq!(of(&fourth, Field::Indicators, "10.0.0.2"), "x");
    assert!(fourth.problems()[0].reason.contains("No such file"));
    // One that is no longer named is no longer used.
    let fifth = Enrichment::load(folder.lists(&["y.txt"]), &fourth);
    assert_eq!(of(&fifth, Field::Indicators, "10.0.0.2"), "");
    assert_eq!(of(&fifth, Field::Indicators, "10.9.9.9"), "y");
}

#[test]
fn what_is_no_file_is_not_opened() {
    for path in ["/dev/zero", "/proc"] {
        let sources = Sources { ip_ranges: Some(Path::new(path).to_owned()), ..Sources::default() };
        let told = load(sources).check(Field::AwsService).unwrap_err().to_string();
        assert_eq!(told, format!("'aws.service' cannot be looked up: {path}: it is no file"));
    }
}
