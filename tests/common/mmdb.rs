//! Writes small databases in MaxMind's format, by its specification 2.0.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

/// When the databases are built: 2026-11-24.
pub const BUILT: u64 = 1_795_521_600;

#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    /// By its place in the data section.
    Data(usize),
}

/// A database of IPv6, with IPv4 below `::/96`, of networks and their records. Of two networks, the smaller
/// stands behind the larger that holds it. Records of the tree have 24, 28 or 32 bits.
pub fn database(kind: &str, record_bits: usize, networks: &[(&str, Json)]) -> Vec<u8> {
    database_of(6, kind, record_bits, networks)
}

/// The same of IPv4 alone, or of IPv6.
pub fn database_of(
    version: u64,
    kind: &str,
    record_bits: usize,
    networks: &[(&str, Json)],
) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[Record::Nothing; 2]], Vec::new());
    for (network, record) in networks {
        let place = data.len();
        write(record, &mut data);
        let (address, length) = network.split_once('/').expect("a network");
        let length: usize = length.parse().expect("a length");
        let (bits, length) = match address.parse().expect("an address") {
            IpAddr::V4(v4) if version == 4 => (u128::from(v4.to_bits()) << 96, length),
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), length + 96),
            IpAddr::V6(v6) => (v6.to_bits(), length),
        };
        insert(&mut nodes, bits, length, Record::Data(place));
    }
    let count = nodes.len();
    let mut bytes = Vec::new();
    let place_of = |record| match record {
        Record::Nothing => count,
        Record::Node(node) => node,
        Record::Data(place) => count + 16 + place,
    };
    for [left, right] in nodes {
        let (left, right) = (place_of(left) as u32, place_of(right) as u32);
        let (l, r) = (left.to_be_bytes(), right.to_be_bytes());
        match record_bits {
            24 => bytes.extend([&l[1..], &r[1..]].concat()),
            28 => bytes.extend([&l[1..], &[l[0] << 4 | r[0]], &r[1..]].concat()),
            32 => bytes.extend([l, r].concat()),
            bits => panic!("records of {bits} bits"),
        }
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    control(7, 9, &mut bytes);
    let numbers = [
        ("binary_format_major_version", U16, 2),
        ("binary_format_minor_version", U16, 0),
        ("build_epoch", U64, BUILT),
        ("ip_version", U16, version),
        ("node_count", U32, count as u64),
        ("record_size", U16, record_bits as u64),
    ];
    for (key, kind, value) in numbers {
        write(&json!(key), &mut bytes);
        number(kind, value, &mut bytes);
    }
    let texts = [
        ("database_type", json!(kind)),
        ("description", json!({"en": "made for a test"})),
        ("languages", json!(["en"])),
    ];
    for (key, value) in texts {
        write(&json!(key), &mut bytes);
        write(&value, &mut bytes);
    }
    bytes
}

fn insert(nodes: &mut Vec<[Record; 2]>, bits: u128, length: usize, record: Record) {
    let mut node = 0;
    for depth in 0..length {
        let side = (bits >> (127 - depth) & 1) as usize;
        if depth + 1 == length {
            nodes[node][side] = record;
            return;
        }
        node = match nodes[node][side] {
            Record::Node(next) => next,
            before => {
                nodes.push([before; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Record::Node(next);
                next
            }
        };
    }
}

/// Types of numbers.
const U16: u8 = 5;
const U32: u8 = 6;
const U64: u8 = 9;

fn number(kind: u8, value: u64, bytes: &mut Vec<u8>) {
    let value = value.to_be_bytes();
    let digits = &value[value.iter().take_while(|byte| **byte == 0).count()..];
    control(kind, digits.len(), bytes);
    bytes.extend(digits);
}

/// Writes a value.
fn write(value: &Json, bytes: &mut Vec<u8>) {
    match value {
        Json::String(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Json::Number(fraction) if fraction.is_f64() => {
            control(3, 8, bytes);
            bytes.extend(fraction.as_f64().expect("a fraction").to_be_bytes());
        }
        Json::Number(whole) => number(U32, whole.as_u64().expect("a whole number"), bytes),
        Json::Object(members) => {
            control(7, members.len(), bytes);
            for (key, value) in members {
                write(&json!(key), bytes);
                write(value, bytes);
            }
        }
        Json::Array(items) => {
            control(11, items.len(), bytes);
            for item in items {
                write(item, bytes);
            }
        }
        Json::Bool(truth) => control(14, usize::from(*truth), bytes),
        Json::Null => panic!("there is no null"),
    }
}

/// A type and a size.
fn control(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    let (own, rest) = match size {
        0..29 => (size as u8, Vec::new()),
        29..285 => (29, vec![(size - 29) as u8]),
        _ => (30, ((size - 285) as u16).to_be_bytes().to_vec()),
    };
    if kind <= 7 {
        bytes.push(kind << 5 | own);
    } else {
        bytes.extend([own, kind - 7]);
    }
    bytes.extend(rest);
}
