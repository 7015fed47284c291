//! Checking the index: whether its files are as they were written, and whether ledger and events agree.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::IndexError;
use super::build::{SegmentEntry, keys_name};
use super::directory::{SegmentFile, hash_text};
use super::manifest::Manifest;
use super::snapshot::{SegmentView, Snapshot};
use crate::api::proto::{VerifyProblem, VerifyReport};
use crate::event::time::Micros;

/// Bytes read at a time: they stay in the processor's cache between reading and hashing.
const READ_STEP: usize = 256 << 10;

/// Problems listed; the rest are counted. A file for each of a lost segment's must not fill the
/// memory.
const PROBLEMS_MAX: usize = 1_000;

/// Compares a segment's files with what the manifest states of them. `read` is told of the bytes that
/// were read.
pub fn check_segment(
    dir: &Path,
    entry: &SegmentEntry,
    read: &(dyn Fn(u64) + Sync),
) -> Result<(), IndexError> {
    let keys = keys_name(&entry.id);
    if !entry.files.iter().any(|file| file.name == keys) {
        return Err(damaged(&dir.join(keys), "the manifest does not name it".to_owned()));
    }
    entry.files.iter().try_for_each(|file| check_file(&dir.join(&file.name), file, read))
}

fn check_file(
    path: &Path,
    expected: &SegmentFile,
    read: &(dyn Fn(u64) + Sync),
) -> Result<(), IndexError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(path, "it is missing".to_owned()));
        }
        file => file.map_err(IndexError::io(path))?,
    };
    let bytes = file.metadata().map_err(IndexError::io(path))?.len();
    if bytes != expected.bytes {
        return Err(damaged(path, format!("{bytes} bytes long in place of {}", expected.bytes)));
    }
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; READ_STEP];
    loop {
        let length = file.read(&mut buffer).map_err(IndexError::io(path))?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        read(length as u64);
    }
    if hash_text(hasher.digest()) != expected.xxh3 {
        return Err(damaged(path, "its hash does not match".to_owned()));
    }
    Ok(())
}

fn damaged(path: &Path, reason: String) -> IndexError {
    IndexError::Damaged { path: path.to_owned(), reason }
}

/// Events of each file, by its number, among some segments'.
pub fn events_by_file<'v>(views: impl Iterator<Item = &'v SegmentView>) -> HashMap<u64, u64> {
    let mut events = HashMap::new();
    for view in views {
        for doc in 0..view.events() {
            *events.entry(view.file(doc)).or_default() += 1;
        }
    }
    events
}

/// Checks all that one commit made count. A segment that is found to be damaged is marked, so that no
/// search and no merge reads it. `read` is told of the bytes that were read; there are
/// [`bytes_to_check`].
pub fn verify(
    snapshot: &Snapshot,
    data_dir: &Path,
    segments_dir: &Path,
    read: &(dyn Fn(u64) + Sync),
) -> VerifyReport {
    let mut problems = Problems::default();
    let mut report = VerifyReport {
        segments: snapshot.segments.len() as u64,
        events: snapshot.events(),
        bytes: bytes_to_check(snapshot),
        ..VerifyReport::default()
    };
    problems.take(data_dir, Manifest::read(data_dir).map(|_| ()));
    for view in &snapshot.segments {
        let checked = check_segment(segments_dir, &view.entry, read);
        if view.is_retired() {
            // Merged into another meanwhile, and its files removed.
            continue;
        }
        if let Err(error @ IndexError::Damaged { .. }) = &checked {
            view.mark_damaged(error);
        }
        problems.take(segments_dir, checked);
        if view.keys.events() != view.events() as usize {
            let (keys, events) = (view.keys.events(), view.events());
            problems.add(&view.entry.id, format!("{keys} keys of {events} events"));
        }
    }
    problems.take(data_dir, snapshot.files.check(&snapshot.ledger));
    let events = events_by_file(snapshot.segments.iter().map(|view| &**view));
    let compared = snapshot.files.each_of(&snapshot.ledger, |record| {
        report.files += 1;
        let found = events.get(&record.number).copied().unwrap_or(0);
        let expected = record.events().saturating_sub(record.reading.lost);
        if found != expected {
            problems.add(&record.key.path, format!("{found} events in place of {expected}"));
        }
        Ok(())
    });
    problems.take(data_dir, compared);
    report.problems = problems.list();
    report.checked_at = Micros::now();
    report
}

/// Bytes that [`verify`] reads of the segments.
pub fn bytes_to_check(snapshot: &Snapshot) -> u64 {
    snapshot.segments.iter().flat_map(|view| &view.entry.files).map(|file| file.bytes).sum()
}

#[derive(Default)]
struct Problems {
    listed: Vec<VerifyProblem>,
    unlisted: u64,
}

impl Problems {
    fn add(&mut self, path: &str, problem: String) {
        if self.listed.len() < PROBLEMS_MAX {
            self.listed.push(VerifyProblem { path: path.to_owned(), problem });
        } else {
            self.unlisted += 1;
        }
    }

    fn take(&mut self, place: &Path, result: Result<(), IndexError>) {
        match result {
            Ok(()) => {}
            Err(IndexError::Damaged { path, reason }) => {
                self.add(&path.display().to_string(), reason);
            }
            Err(error) => self.add(&place.display().to_string(), error.to_string()),
        }
    }

    fn list(mut self) -> Vec<VerifyProblem> {
        if self.unlisted > 0 {
            let problem = format!("and {} more problems", self.unlisted);
            self.listed.push(VerifyProblem { path: String::new(), problem });
        }
        self.listed
    }
}
