//! Fields that are looked up in files: on random records, and files with random networks and indicators,
//! answers are compared with a look at every record. Each look here goes through all lines of a file.
//!
//! `TRAILDEX_SEED` sets the seed, which is printed.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use client::ClientError;
use serde_json::{Value as Json, json};
use wire::{ErrorKind, FieldsRequest, SearchRequest, ValuesRequest};

use self::world::{COUNTRIES, Event, Looked, Random, World, event};
use crate::common::{Daemon, PATIENCE, PATIENCE_BULK, Place, traildex};

/// Events, of which a segment has a thousand.
const EVENTS: usize = 3_000;

/// A daemon on random records, and what is to be found of each.
fn world() -> (Daemon, Place, Vec<(String, Looked)>) {
    let seed = std::env::var("TRAILDEX_SEED").map_or(11, |seed| seed.parse().expect("a number"));
    println!("TRAILDEX_SEED={seed}");
    let mut random = Random(seed);
    let world = World::new(&mut random);
    let place = world.write(&Place::new()).with("INGEST_SEGMENT_EVENTS_MAX", "1000");
    let mut looked = Vec::new();
    for file in 0..3 {
        let range = file * EVENTS / 3..(file + 1) * EVENTS / 3;
        let (records, events): (Vec<Json>, Vec<Event>) =
            range.map(|n| event(n, &mut random)).unzip();
        let records = json!({"Records": records}).to_string();
        fs::write(place.archive().join(format!("{file}.json")), records).unwrap();
        looked.extend(events.into_iter().map(|event| (event.id.clone(), world.look(&event))));
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, EVENTS as u64);
    (daemon, place, looked)
}

type Condition = (&'static str, fn(&Looked) -> bool);

fn is(of: Option<&String>, wanted: &str) -> bool {
    of.is_some_and(|of| of == wanted)
}

const CONDITIONS: &[Condition] = &[
    ("geo.country:DE", |it| is(it.country.as_ref(), "DE")),
    ("geo.country:*", |it| it.country.is_some()),
    ("-geo.country:*", |it| it.country.is_none()),
    ("NOT geo.country:FR", |it| !is(it.country.as_ref(), "FR")),
    ("geo.country != FR", |it| !is(it.country.as_ref(), "FR")),
    ("geo.country IN [JP, US, XX]", |it| {
        is(it.country.as_ref(), "JP") || is(it.country.as_ref(), "US")
    }),
    ("geo.country:~de", |it| is(it.country.as_ref(), "DE")),
    ("source.geo.country_iso_code:DE", |it| is(it.country.as_ref(), "DE")),
    ("geo.city:P*", |it| is(it.city.as_ref(), "Paris") || is(it.city.as_ref(), "Portland")),
    ("geo.city:\"São Paulo\"", |it| is(it.city.as_ref(), "São Paulo")),
    ("geo.city:/B.*n/", |it| is(it.city.as_ref(), "Berlin") || is(it.city.as_ref(), "Bonn")),
    ("geo.city LIKE ort", |it| is(it.city.as_ref(), "Portland")),
    ("geo.asn:64503", |it| it.asn == Some(64_503)),
    ("geo.asn:AS64503", |it| it.asn == Some(64_503)),
    ("geo.asn IN [AS64503, 64504]", |it| matches!(it.asn, Some(64_503 | 64_504))),
    ("geo.asn > 64504", |it| it.asn.is_some_and(|asn| asn > 64_504)),
    ("geo.asn:[64501 TO 64503]", |it| it.asn.is_some_and(|asn| (64_501..=64_503).contains(&asn))),
    ("geo.org:\"example net\" -geo.org:*3", |it| {
        it.org.is_some() && !is(it.org.as_ref(), "Example Net 3")
    }),
    ("ioc:*", |it| !it.lists.is_empty()),
    ("-ioc:*", |it| it.lists.is_empty()),
    ("ioc:exits", |it| it.lists.contains("exits")),
    ("ioc:others-2 -ioc:exits", |it| it.lists.contains("others-2") && !it.lists.contains("exits")),
    ("ioc:e*", |it| it.lists.contains("exits")),
    ("ioc:nobody", |_| false),
    ("aws.service:EC2", |it| it.services.contains("EC2")),
    ("aws.service:(EC2 OR S3)", |it| it.services.contains("EC2") || it.services.contains("S3")),
    ("aws.ip_region:us-*", |it| it.regions.iter().any(|region| region.starts_with("us-"))),
    ("ip:aws", |it| it.is_of_service || !it.services.is_empty()),
    ("-ip:aws", |it| !it.is_of_service && it.services.is_empty()),
    ("ioc:* (geo.country:DE OR geo.asn < 64503) -aws.service:*", |it| {
        let is_there = is(it.country.as_ref(), "DE") || it.asn.is_some_and(|asn| asn < 64_503);
        !it.lists.is_empty() && is_there && it.services.is_empty()
    }),
    ("geo.country IN (ioc:exits geo.country:B* | values geo.country)", |it| {
        is(it.country.as_ref(), "BR")
    }),
];

/// `AWS Internal` is AWS's, too, which no network tells.
fn matches(query: &str, is_met: fn(&Looked) -> bool, it: &Looked, is_internal: bool) -> bool {
    match query {
        "ip:aws" => is_met(it) || is_internal,
        "-ip:aws" => is_met(it) && !is_internal,
        _ => is_met(it),
    }
}

#[test]
fn what_is_looked_up_is_what_a_look_at_every_record_finds() {
    let (daemon, place, looked) = world();
    let internal = ids(&daemon, "sourceIPAddress:\"AWS Internal\"");
    let mut some = 0;
    for (query, is_met) in CONDITIONS {
        let met = |(id, it): &&(String, Looked)| matches(query, *is_met, it, internal.contains(id));
        let expected: BTreeSet<String> =
            looked.iter().filter(met).map(|(id, _)| id.clone()).collect();
        // The second time, what passes is known.
        for _ in 0..2 {
            assert_eq!(ids(&daemon, query), expected, "{query}");
        }
        some += usize::from(!expected.is_empty() && expected.len() < EVENTS);
    }
    assert!(some + 2 >= CONDITIONS.len(), "conditions that find nothing say nothing: {some}");
    tables(&daemon, &looked);
    lists_of_fields(&daemon, &looked);
    rows_and_order(&daemon, &looked);
    events(&daemon, &place, &looked);
}

fn ids(daemon: &Daemon, query: &str) -> BTreeSet<String> {
    daemon.find(query).hits.into_iter().map(|hit| hit.meta.id).collect()
}

fn table(daemon: &Daemon, query: &str) -> Vec<Vec<Json>> {
    let request =
        SearchRequest { query: query.into(), limit: Some(10_000), ..SearchRequest::default() };
    daemon.search(&request).table.unwrap_or_else(|| panic!("{query}: no table")).rows
}

type Key = fn(&Looked) -> Vec<Json>;

const KEYS: [(&str, Key); 7] = [
    ("geo.country", |it| it.country.iter().map(|it| json!(it)).collect()),
    ("geo.city", |it| it.city.iter().map(|it| json!(it)).collect()),
    ("geo.asn", |it| it.asn.iter().map(|it| json!(it)).collect()),
    ("geo.org", |it| it.org.iter().map(|it| json!(it)).collect()),
    ("aws.service", |it| it.services.iter().map(|it| json!(it)).collect()),
    ("aws.ip_region", |it| it.regions.iter().map(|it| json!(it)).collect()),
    ("ioc", |it| it.lists.iter().map(|it| json!(it)).collect()),
];

/// How many events have each value of a field; those without one have null.
fn counted(looked: &[(String, Looked)], key: Key) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for (_, it) in looked {
        let values = key(it);
        let values = if values.is_empty() { vec![Json::Null] } else { values };
        for value in values {
            *counted.entry(value.to_string()).or_default() += 1;
        }
    }
    counted
}

fn tables(daemon: &Daemon, looked: &[(String, Looked)]) {
    let of_rows = |rows: Vec<Vec<Json>>| -> BTreeMap<String, u64> {
        rows.into_iter().map(|row| (row[0].to_string(), row[1].as_u64().unwrap())).collect()
    };
    for (field, key) in KEYS {
        let mut expected = counted(looked, key);
        assert!(expected.len() > 2, "{field}");
        assert_eq!(of_rows(table(daemon, &format!("* | count by {field}"))), expected, "{field}");
        let sorted = table(daemon, &format!("* | count by {field} | sort {field}"));
        let cells: Vec<&Json> = sorted.iter().map(|row| &row[0]).collect();
        assert!(cells.windows(2).all(|pair| in_order(pair[0], pair[1])), "{field} {cells:?}");
        expected.remove("null");
        let all = format!("{field}:* | top 10000 {field}");
        assert_eq!(of_rows(table(daemon, &all)), expected, "{field}");
        let distinct = table(daemon, &format!("* | stats distinct({field})"));
        assert_eq!(distinct, [[json!(expected.len())]], "{field}");
    }
    let both = table(daemon, "geo.country:* geo.asn:* | count by geo.country, geo.asn");
    let mut expected: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for (_, it) in looked {
        if let (Some(country), Some(asn)) = (&it.country, it.asn) {
            *expected.entry((country.clone(), asn)).or_default() += 1;
        }
    }
    let found = both.into_iter().map(|row| {
        let key = (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap());
        (key, row[2].as_u64().unwrap())
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    // Numbers are numbers.
    let row = table(daemon, "geo.asn:* | stats min(geo.asn), max(geo.asn), avg(geo.asn)").remove(0);
    let numbers: Vec<u64> = looked.iter().filter_map(|(_, it)| it.asn).collect();
    assert_eq!(row[0], json!(numbers.iter().min().unwrap()));
    assert_eq!(row[1], json!(numbers.iter().max().unwrap()));
    let mean = numbers.iter().sum::<u64>() as f64 / numbers.len() as f64;
    assert!((row[2].as_f64().unwrap() - mean).abs() < 1e-6, "{row:?} {mean}");
    // Conditions on rows.
    let rows = table(daemon, "* | count by ip | filter ip:aws");
    let aws: u64 = rows.iter().map(|row| row[1].as_u64().unwrap()).sum();
    assert_eq!(aws, daemon.count("ip:aws"));
    let rows = table(daemon, "* | count by geo.country | filter geo.country:D* OR count < 0");
    assert_eq!(rows, [[json!("DE"), json!(daemon.count("geo.country:DE"))]]);
}

fn in_order(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (_, Json::Null) => true,
        (Json::Number(a), Json::Number(b)) => a.as_u64() <= b.as_u64(),
        (Json::String(a), Json::String(b)) => a <= b,
        _ => false,
    }
}

fn lists_of_fields(daemon: &Daemon, looked: &[(String, Looked)]) {
    for (field, key) in KEYS {
        let mut expected = counted(looked, key);
        expected.remove("null");
        let request = ValuesRequest {
            field: field.to_owned(),
            limit: Some(1_000),
            ..ValuesRequest::default()
        };
        let answer = daemon.client.values(&request).unwrap();
        assert_eq!(answer.field, field);
        let found = answer.values.iter().map(|it| (it.value.to_string(), it.events)).collect();
        assert_eq!(expected, found, "{field}");
        let prefix = Some(field[..3].to_uppercase());
        let listed = daemon
            .client
            .fields(&FieldsRequest { prefix, ..FieldsRequest::default() })
            .unwrap()
            .fields;
        let listed = listed.iter().find(|listed| listed.path == field).expect(field);
        let events = looked.iter().filter(|(_, it)| !key(it).is_empty()).count();
        assert_eq!(listed.events, events as u64, "{field}");
    }
}

fn rows_and_order(daemon: &Daemon, looked: &[(String, Looked)]) {
    let by_id: BTreeMap<&str, &Looked> = looked.iter().map(|(id, it)| (id.as_str(), it)).collect();
    let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
    let rows = table(daemon, &format!("* | fields eventID, {} | limit 10000", names.join(", ")));
    assert_eq!(rows.len(), EVENTS);
    for row in rows {
        let it = by_id[row[0].as_str().unwrap()];
        for ((field, key), found) in KEYS.iter().zip(&row[1..]) {
            let mut values = key(it);
            let expected = match values.len() {
                0 => Json::Null,
                1 => values.remove(0),
                _ => Json::Array(values),
            };
            assert_eq!(*found, expected, "{field}");
        }
    }
    let sorted = daemon.find("geo.asn:* | sort geo.asn desc").hits;
    let numbers: Vec<u64> =
        sorted.iter().map(|hit| by_id[hit.meta.id.as_str()].asn.unwrap()).collect();
    assert!(numbers.len() > 100 && numbers.is_sorted_by(|a, b| a >= b), "{numbers:?}");
    let first = daemon.find("* | sort time desc | dedup geo.country").hits;
    assert_eq!(first.len(), COUNTRIES.len() + 1);
}

/// What an event's answer tells, in JSON, on a terminal, and without a daemon.
fn events(daemon: &Daemon, place: &Place, looked: &[(String, Looked)]) {
    for hit in daemon.find("*").hits {
        let (_, it) = looked.iter().find(|(id, _)| *id == hit.meta.id).unwrap();
        for (field, key) in KEYS {
            let text = |value: Json| value.as_str().map_or(value.to_string(), str::to_owned);
            let expected: Vec<String> = key(it).into_iter().map(text).collect();
            let found = hit.meta.lookups.get(field).cloned().unwrap_or_default();
            assert_eq!(found, expected, "{field}");
        }
        let lists: BTreeSet<&str> = hit.meta.indicators.iter().map(|it| it.list.as_str()).collect();
        assert_eq!(lists, it.lists.iter().copied().collect());
    }
    let hit = daemon.find("geo.city:Paris geo.asn:* ioc:exits | limit 1").hits.remove(0);
    // What is highlighted is the value that it is looked up by.
    for (query, path) in
        [("geo.city:Paris", "sourceIPAddress"), ("ioc:* -ip:0.0.0.0/0 -ip:::/0", "")]
    {
        let request =
            SearchRequest { query: query.into(), highlights: true, ..SearchRequest::default() };
        let hits = daemon.search(&request).hits;
        assert!(!hits.is_empty(), "{query}");
        for hit in hits {
            let fields: BTreeSet<&str> =
                hit.highlights.iter().map(|it| it.field.as_str()).collect();
            let indicated = hit.meta.indicators.iter().map(|it| it.path.as_str()).collect();
            let expected = if path.is_empty() { indicated } else { BTreeSet::from([path]) };
            assert_eq!(fields, expected, "{query}");
        }
    }
    let query = "geo.country = awsRegion".into();
    let request = SearchRequest { query, ..SearchRequest::default() };
    let error = daemon.client.search(&request).unwrap_err().to_string();
    assert!(error.contains("compared with values and not with fields"), "{error}");
    let answer = daemon.find("geo.city:Paris");
    let told = "'geo.city' is looked up in GeoLite2-City of 2026-11-24";
    assert!(answer.warnings.contains(&told.to_owned()), "{:?}", answer.warnings);
    let asked = |args: &[&str]| {
        let output = traildex().args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let socket = daemon.socket.to_str().unwrap();
    let shown = asked(&["event", &hit.meta.id, "--socket", socket]);
    let asn = &hit.meta.lookups["geo.asn"][0];
    let line = shown.lines().find(|line| line.starts_with("address ")).expect(&shown);
    assert!(line.contains("Paris") && line.contains(&format!("AS{asn} Example Net")), "{shown}");
    assert!(
        shown.lines().any(|line| line.starts_with("ioc ") && line.contains("exits: ")),
        "{shown}"
    );
    let status = asked(&["status", "--socket", socket]);
    assert!(status.contains("ioc, in exits with "), "{status}");
    let paris = daemon.count("geo.city:Paris");
    // Without a daemon, the same configuration says the same.
    let (data_dir, files) = (place.data_dir(), place.path("city.mmdb"));
    daemon.signal(rustix::process::Signal::TERM);
    crate::common::wait_until(PATIENCE, "the daemon has ended", || !daemon.socket.exists());
    let mut command = traildex();
    command.args(["search", "geo.city:Paris", "--limit", "0", "--format", "json"]);
    command.args(["--data-dir", data_dir.to_str().unwrap()]);
    command.env("TRAILDEX_GEO_DATABASES", &files);
    let answer: Json = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(answer["total"]["value"], paris);
}

#[test]
fn without_files_a_field_that_is_looked_up_is_an_error_and_no_answer() {
    let place = Place::new();
    let (mut record, _) = event(0, &mut Random(1));
    record["sourceIPAddress"] = json!("ec2.amazonaws.com");
    fs::write(place.archive().join("a.json"), json!({"Records": [record]}).to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    for (query, offset, expected) in [
        (
            "geo.country:DE",
            0,
            "'geo.country' is looked up in databases of addresses, and geo.databases names none at byte 0",
        ),
        (
            "NOT (x OR ioc:*)",
            10,
            "'ioc' is looked up in lists of indicators, and ioc.files names none at byte 10",
        ),
        (
            "* | count by aws.service",
            13,
            "'aws.service' is looked up in AWS's ip-ranges.json, and geo.ip_ranges names none",
        ),
        ("-geo.city:*", 1, "'geo.city' is looked up in"),
    ] {
        let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
        let ClientError::Api(error) = daemon.client.search(&request).unwrap_err() else {
            panic!("{query}")
        };
        assert!(error.message.contains(expected), "{query}: {error}");
        assert_eq!((error.kind, error.offset), (ErrorKind::BadQuery, Some(offset)), "{query}");
    }
    assert_eq!(daemon.count("ip:aws"), 1);
    assert!(daemon.status().lookups.is_empty());
    // A record's own field of that name is asked in quotes.
    assert_eq!(daemon.count("NOT \"eventName\":x"), 1);
}
