//! What trails hold, found without any of traildex's code; and trails that are made for a test.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bench::generate::{GenerateOptions, generate};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The folder of a sample trail.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The files of a folder and all below it, in the order of their paths.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// A file's bytes, uncompressed.
pub fn contents(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return bytes;
    }
    let mut inflated = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated).unwrap();
    inflated
}

/// A record as its file has it.
#[derive(Clone, Debug)]
pub struct Record {
    pub raw: String,
    pub json: Value,
    pub path: PathBuf,
}

/// The records of a file in any of the sample trails' shapes: `{"Records":[…]}`, an array, one, or
/// one a line. None when the file is not JSON.
pub fn records_in_file(path: &Path) -> Option<Vec<Record>> {
    #[derive(Deserialize)]
    struct Trail {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let text = String::from_utf8(contents(path)).ok()?;
    let raws = if let Ok(trail) = serde_json::from_str::<Trail>(&text) {
        trail.records
    } else if let Ok(array) = serde_json::from_str(&text) {
        array
    } else {
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Box<RawValue>>();
        values.collect::<Result<_, _>>().ok()?
    };
    let record = |raw: Box<RawValue>| Record {
        json: serde_json::from_str(raw.get()).unwrap(),
        raw: String::from(Box::<str>::from(raw)),
        path: path.to_owned(),
    };
    Some(raws.into_iter().map(record).collect())
}

/// The records of a folder's readable files.
pub fn records_below(dir: &Path) -> Vec<Record> {
    files_below(dir).iter().filter_map(|path| records_in_file(path)).flatten().collect()
}

/// Writes a generated archive; the ids of its events.
pub fn generated(dir: &Path, seed: u64, events: u64) -> BTreeSet<String> {
    let options = GenerateOptions { events, seed, ..GenerateOptions::default() };
    generate(&options, dir).unwrap();
    let id = |record: Record| record.json["eventID"].as_str().unwrap().to_owned();
    records_below(dir).into_iter().map(id).collect()
}

/// A small record with this id, one hour after the one before.
pub fn record(id: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"Root","accountId":"1"}},"eventTime":"2024-05-06T07:08:09Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","eventID":"{id}"}}"#
    )
}

/// A trail file with a record for each id.
pub fn trail(ids: &[&str]) -> Vec<u8> {
    let records: Vec<String> = ids.iter().map(|id| record(id)).collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sets a file's time to an hour ago, without opening it.
pub fn make_old(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let hour_ago = SystemTime::now() - Duration::from_secs(3_600);
    let since = hour_ago.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

/// Copies the `invictus` trail into this many account folders, each with events of its own: their
/// ids end in the copy's number.
pub fn copy_invictus(archive: &Path, copies: usize) {
    let trail = sample("invictus");
    for copy in 0..copies {
        let account = archive.join(format!("AWSLogs/{copy:012}"));
        for file in files_below(&trail) {
            let to = account.join(file.strip_prefix(trail.join("AWSLogs/218007301253")).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(&to, gzip(&with_ids_of(&contents(&file), copy))).unwrap();
        }
    }
}

/// The text of a trail with the last digits of each `eventID` replaced by a number.
fn with_ids_of(trail: &[u8], number: usize) -> Vec<u8> {
    const KEY: &[u8] = br#""eventID":""#;
    const ID_BYTES: usize = 36;
    let mut trail = trail.to_vec();
    let digits = format!("{number:04}");
    let places: Vec<usize> =
        memchr::memmem::find_iter(&trail, KEY).map(|at| at + KEY.len()).collect();
    for place in places {
        let end = place + ID_BYTES;
        assert_eq!(trail[end], b'"', "an id is a UUID");
        trail[end - digits.len()..end].copy_from_slice(digits.as_bytes());
    }
    trail
}

/// What a person would write for a value after `field:`.
pub fn escaped(value: &str) -> String {
    let escape = |c: char| {
        if c.is_alphanumeric() { String::from(c) } else { format!("\\{c}") }
    };
    value.chars().map(escape).collect()
}
