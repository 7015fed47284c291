//! Whether a bag is whole: each file of its manifests is there and has its hash, and no other is there.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _};

use sha2::{Digest as _, Sha256};

use crate::Hash;
use crate::info::{DECLARATION_TEXT, oxum};
use crate::limits::STEP;
use crate::manifest;
use crate::names::{
    ARCHIVE, COVERAGE, DECLARATION, EVENTS, INFO, KEYS, MANIFEST, RECORDS, REPORT, TAG_MANIFEST,
    VALIDATION,
};
use crate::problems::Problems;
use crate::report::Report;
use crate::source::Bag;

/// The files that make a bag of the payload.
const TAGS: [&str; 3] = [DECLARATION, INFO, MANIFEST];

/// What every bundle has.
const ALWAYS: [&str; 3] = [EVENTS, REPORT, COVERAGE];

/// What is said of a file that no bundle has.
const UNKNOWN: &str = "no such bundle has this file";

/// Bytes of the short files of a bag.
const TAG_BYTES_MAX: usize = 64 << 10;

/// What a whole bag has.
#[derive(Debug, Default)]
pub struct Checked {
    /// Files that the manifests name.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// SHA-256 of the tag manifest: what a signature is of.
    pub tag_manifest: Option<Hash>,
    /// What the bag says of itself; None where that cannot be read.
    pub report: Option<Report>,
}

/// Compares a bag with its manifests. `on_file` is told of each file that was hashed, and its bytes.
pub fn check(
    bag: &Bag,
    problems: &mut Problems,
    on_file: &mut dyn FnMut(u64),
) -> io::Result<Checked> {
    let mut checked = Checked::default();
    let tags = read_manifest(bag, TAG_MANIFEST, problems)?;
    let payload = read_manifest(bag, MANIFEST, problems)?;
    refuse_foreign(&tags, TAG_MANIFEST, |path| !is_payload(path), problems);
    refuse_foreign(&payload, MANIFEST, is_payload, problems);
    for path in tags.keys().filter(|path| !is_payload(path) && !TAGS.contains(&path.as_str())) {
        problems.add(path, UNKNOWN);
    }
    for name in TAGS {
        if !tags.contains_key(name) {
            problems.add(name, format!("{TAG_MANIFEST} does not name it"));
        }
    }
    compare(bag, tags.iter().chain(&payload), problems, on_file, &mut checked);
    for (path, _) in bag.files() {
        if path != TAG_MANIFEST && !tags.contains_key(path) && !payload.contains_key(path) {
            problems.add(path, "no manifest names it");
        }
    }
    declaration(bag, &payload, problems)?;
    checked.tag_manifest = match bag.size(TAG_MANIFEST) {
        Some(_) => Some(hash_of(bag, TAG_MANIFEST)?.0),
        None => None,
    };
    checked.report = report(bag, problems);
    if let Some(report) = &checked.report {
        has_all(bag, report.records_only, &payload, problems);
    }
    Ok(checked)
}

/// A bundle has its files, and no others.
fn has_all(
    bag: &Bag,
    records_only: bool,
    payload: &BTreeMap<String, Hash>,
    problems: &mut Problems,
) {
    let by_kind: [&str; 2] = if records_only { [RECORDS, RECORDS] } else { [VALIDATION, KEYS] };
    let of_kind = |path: &str| {
        let is_inside = path.strip_prefix(ARCHIVE).is_some_and(|rest| rest.starts_with('/'));
        by_kind.contains(&path) || (is_inside && !records_only)
    };
    for path in payload.keys().filter(|path| is_payload(path)) {
        if !ALWAYS.contains(&path.as_str()) && !of_kind(path) {
            problems.add(path, UNKNOWN);
        }
    }
    // Without keys among those that were given, there is no file of keys.
    for path in ALWAYS.into_iter().chain([by_kind[0]]) {
        if bag.size(path).is_none() && !payload.contains_key(path) {
            problems.add(path, "it is missing, and every such bundle has one");
        }
    }
}

fn refuse_foreign(
    files: &BTreeMap<String, Hash>,
    manifest: &str,
    is_right: fn(&str) -> bool,
    problems: &mut Problems,
) {
    for path in files.keys().filter(|path| !is_right(path)) {
        problems.add(manifest, format!("it names {path}, which is not its to name"));
    }
}

fn is_payload(path: &str) -> bool {
    path.starts_with("data/")
}

fn read_manifest(
    bag: &Bag,
    name: &str,
    problems: &mut Problems,
) -> io::Result<BTreeMap<String, Hash>> {
    if bag.size(name).is_none() {
        problems.add(name, "it is missing: this is no whole bag");
        return Ok(BTreeMap::new());
    }
    manifest::read(BufReader::new(bag.read(name)?), name, problems)
}

fn compare<'m>(
    bag: &Bag,
    named: impl Iterator<Item = (&'m String, &'m Hash)>,
    problems: &mut Problems,
    on_file: &mut dyn FnMut(u64),
    checked: &mut Checked,
) {
    for (path, expected) in named {
        if bag.size(path).is_none() {
            problems.add(path, "it is missing");
            continue;
        }
        match hash_of(bag, path) {
            Ok((found, bytes)) => {
                if found != *expected {
                    let found = hex::encode(found);
                    problems.add(path, format!("it was changed: its SHA-256 is {found}"));
                }
                checked.files += 1;
                checked.bytes += bytes;
                on_file(bytes);
            }
            Err(error) => problems.add(path, format!("it cannot be read: {error}")),
        }
    }
}

fn hash_of(bag: &Bag, path: &str) -> io::Result<(Hash, u64)> {
    let mut file = bag.read(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; STEP];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hash.finalize().into(), bytes)),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// The two short files.
fn declaration(
    bag: &Bag,
    payload: &BTreeMap<String, Hash>,
    problems: &mut Problems,
) -> io::Result<()> {
    let mut text = |name: &str| -> io::Result<Option<Vec<u8>>> {
        match bag.size(name) {
            None => Ok(None),
            Some(size) if size > TAG_BYTES_MAX as u64 => {
                problems.add(name, "it is too long");
                Ok(None)
            }
            Some(_) => bag.content(name, TAG_BYTES_MAX).map(Some),
        }
    };
    let (declaration, info) = (text(DECLARATION)?, text(INFO)?);
    match declaration {
        Some(text) if text == DECLARATION_TEXT.as_bytes() => {}
        Some(_) => problems.add(DECLARATION, "it does not say BagIt 1.0 in UTF-8"),
        None => problems.add(DECLARATION, "it is missing: this is no bag"),
    }
    let stated = info.and_then(|text| oxum(&String::from_utf8_lossy(&text)));
    let bytes: u64 = payload.keys().filter_map(|path| bag.size(path)).sum();
    if stated != Some((bytes, payload.len() as u64)) {
        let files = payload.len();
        problems.add(INFO, format!("its Payload-Oxum is not {bytes}.{files}"));
    }
    Ok(())
}

fn report(bag: &Bag, problems: &mut Problems) -> Option<Report> {
    if bag.size(REPORT).is_none() {
        problems.add(REPORT, "it is missing: traildex has not made this bag");
        return None;
    }
    match bag.report() {
        Ok(report) => {
            let has_reasons = !report.reasons.is_empty() || report.reasons_left_out > 0;
            if report.complete == has_reasons {
                problems.add(REPORT, "what it says of being complete contradicts its reasons");
            }
            Some(report)
        }
        Err(why) => {
            problems.add(REPORT, format!("it cannot be read: {why}"));
            None
        }
    }
}
