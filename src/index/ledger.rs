//! The ledger: what became of every file that was read. One JSON line a file, in the order of commits.
//!
//! Lines are appended and synced before the manifest that makes them count is renamed into place; a
//! tail beyond the manifest's length is cut off at start. So "a file's events are in the index" and
//! "the ledger says the file was read" are one fact.
//!
//! In memory a file costs 8 bytes for its line's offset and about 16 for its key. The lines stay on
//! disk and are read when asked for.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::IndexError;
use crate::api::proto::{FileCounts, FileEntry, FileState, Reject};
use crate::event::time::Micros;

/// A file as the scan finds it. The same path with another size or time is another file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileKey {
    pub path: String,
    pub size: u64,
    /// Nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

impl FileKey {
    /// 64 bits stand for the key in memory: among two million files, a new one is taken for a known
    /// one with a probability of 10^-13.
    fn hash64(&self) -> u64 {
        let mut hasher = Xxh3::new();
        hasher.update(self.path.as_bytes());
        hasher.update(&self.size.to_le_bytes());
        hasher.update(&self.mtime_ns.to_le_bytes());
        hasher.digest()
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its number, which its events carry.
    pub number: u64,
    #[serde(flatten)]
    pub key: FileKey,
    pub state: FileState,
    /// Microseconds since the Unix epoch.
    pub read_at_us: i64,
    /// Records indexed.
    #[serde(default)]
    pub records: u64,
    /// Of these, after a repair.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Records that could not be read; the first of them are in `rejects`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl FileRecord {
    /// The entry of a file without records, read now.
    pub fn new(number: u64, key: FileKey, state: FileState) -> Self {
        Self {
            number,
            key,
            state,
            read_at_us: Micros::now().0,
            records: 0,
            repaired: 0,
            rejected: 0,
            rejects: Vec::new(),
            flags: Vec::new(),
            reason: None,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl From<FileRecord> for FileEntry {
    fn from(record: FileRecord) -> Self {
        Self {
            path: record.key.path,
            state: record.state,
            size: record.key.size,
            modified: Micros(record.key.mtime_ns / 1_000).to_string(),
            read_at: Some(Micros(record.read_at_us).to_string()),
            records: record.records,
            repaired: record.repaired,
            rejected: record.rejected,
            rejects: record.rejects,
            flags: record.flags,
            reason: record.reason,
        }
    }
}

/// Sums over the ledger.
#[derive(Clone, Debug, Default)]
pub struct LedgerCounts {
    pub files: FileCounts,
    pub records: u64,
    pub repaired: u64,
    pub rejected: u64,
}

/// The ledger's index in memory.
#[derive(Debug, Default)]
struct Lines {
    /// Offset of each file's line, by its number.
    offsets: Vec<u64>,
    known: HashSet<u64, rustc_hash::FxBuildHasher>,
    counts: LedgerCounts,
}

/// Numbers that a crash left unused.
const NO_LINE: u64 = u64::MAX;

impl Lines {
    fn add(&mut self, record: &FileRecord, offset: u64) {
        let number = record.number as usize;
        if self.offsets.len() <= number {
            self.offsets.resize(number + 1, NO_LINE);
        }
        self.offsets[number] = offset;
        self.known.insert(record.key.hash64());
        let counts = &mut self.counts;
        match record.state {
            FileState::Indexed => counts.files.indexed += 1,
            FileState::Rejected => counts.files.rejected += 1,
            FileState::Digest => counts.files.digest += 1,
            FileState::Empty => counts.files.empty += 1,
            FileState::Pending => {}
        }
        counts.records += record.records;
        counts.repaired += record.repaired;
        counts.rejected += record.rejected;
    }
}

/// Reads the committed part of the ledger; cheap to clone.
#[derive(Clone, Debug)]
pub struct LedgerReader {
    path: Arc<Path>,
    file: Arc<File>,
    lines: Arc<RwLock<Lines>>,
}

impl LedgerReader {
    fn lines(&self) -> RwLockReadGuard<'_, Lines> {
        self.lines.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this very file was read already.
    pub fn is_known(&self, key: &FileKey) -> bool {
        self.lines().known.contains(&key.hash64())
    }

    pub fn counts(&self) -> LedgerCounts {
        self.lines().counts.clone()
    }

    /// The number after the last one used.
    pub fn next_number(&self) -> u64 {
        self.lines().offsets.len() as u64
    }

    /// The entry of a file by its number.
    pub fn get(&self, number: u64) -> Result<Option<FileRecord>, IndexError> {
        let offset = self.lines().offsets.get(number as usize).copied();
        match offset {
            Some(offset) if offset != NO_LINE => self.read_line(offset).map(Some),
            _ => Ok(None),
        }
    }

    /// Calls `visit` with every entry, in the order of the numbers.
    pub fn each(&self, mut visit: impl FnMut(FileRecord)) -> Result<(), IndexError> {
        let count = self.next_number();
        for number in 0..count {
            if let Some(record) = self.get(number)? {
                visit(record);
            }
        }
        Ok(())
    }

    fn read_line(&self, offset: u64) -> Result<FileRecord, IndexError> {
        let mut line = vec![0; 512];
        let mut filled = 0;
        let end = loop {
            let read = self
                .file
                .read_at(&mut line[filled..], offset + filled as u64)
                .map_err(IndexError::io(&self.path))?;
            if let Some(end) = memchr::memchr(b'\n', &line[filled..filled + read]) {
                break filled + end;
            }
            filled += read;
            if read == 0 {
                return Err(damaged(&self.path, offset, &"a line without its end"));
            }
            line.resize(line.len() * 2, 0);
        };
        serde_json::from_slice(&line[..end]).map_err(|error| damaged(&self.path, offset, &error))
    }
}

fn damaged(path: &Path, offset: u64, reason: &dyn std::fmt::Display) -> IndexError {
    let reason = format!("byte {offset}: {reason}");
    IndexError::Damaged { path: path.to_owned(), reason }
}

/// The ledger, as its one writer holds it.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    bytes: u64,
    reader: LedgerReader,
}

impl Ledger {
    /// Opens the ledger, of which the first `bytes` count; cuts off the rest.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, IndexError> {
        let io = || IndexError::io(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io())?;
        let found = file.metadata().map_err(io())?.len();
        if found < bytes {
            let reason = format!("{found} bytes long, but {bytes} were committed");
            return Err(IndexError::Damaged { path: path.to_owned(), reason });
        }
        file.set_len(bytes).map_err(io())?;
        let mut lines = Lines::default();
        let mut offset = 0;
        for line in BufReader::new(&file).lines() {
            let line = line.map_err(io())?;
            let record =
                serde_json::from_str(&line).map_err(|error| damaged(path, offset, &error))?;
            lines.add(&record, offset);
            offset += line.len() as u64 + 1;
        }
        let reader = LedgerReader {
            path: path.into(),
            file: Arc::new(file),
            lines: Arc::new(RwLock::new(lines)),
        };
        Ok(Self { path: path.to_owned(), bytes, reader })
    }

    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// Appends entries and syncs them. They do not count until [`Ledger::publish`], and appending
    /// again before that overwrites them.
    pub fn append(&self, records: &[FileRecord]) -> Result<Appended, IndexError> {
        let mut text = Vec::new();
        let mut offsets = Vec::with_capacity(records.len());
        for record in records {
            offsets.push(self.bytes + text.len() as u64);
            serde_json::to_writer(&mut text, record)
                .map_err(|error| IndexError::io(&self.path)(error.into()))?;
            text.push(b'\n');
        }
        let file = &self.reader.file;
        file.write_all_at(&text, self.bytes).map_err(IndexError::io(&self.path))?;
        file.sync_data().map_err(IndexError::io(&self.path))?;
        Ok(Appended { offsets, bytes: self.bytes + text.len() as u64 })
    }

    /// Makes appended entries count, once the manifest that names them is in place.
    pub fn publish(&mut self, records: &[FileRecord], appended: &Appended) {
        let mut lines = self.reader.lines.write().unwrap_or_else(PoisonError::into_inner);
        for (record, offset) in records.iter().zip(&appended.offsets) {
            lines.add(record, *offset);
        }
        self.bytes = appended.bytes;
    }

    /// Length of the part that counts.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Entries on disk that do not count yet.
#[derive(Debug)]
pub struct Appended {
    offsets: Vec<u64>,
    /// Length of the ledger with them.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, path: &str) -> FileRecord {
        FileRecord {
            number,
            key: FileKey { path: path.to_owned(), size: 1, mtime_ns: 2 },
            state: FileState::Indexed,
            read_at_us: 3,
            records: 4,
            repaired: 0,
            rejected: 1,
            rejects: vec![Reject { offset: 5, reason: "x".repeat(2_000) }],
            flags: Vec::new(),
            reason: None,
        }
    }

    #[test]
    fn only_what_was_published_counts_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("files.jsonl");
        let mut ledger = Ledger::open(&path, 0).unwrap();
        let first = [record(0, "a"), record(2, "b")];
        let appended = ledger.append(&first).unwrap();
        ledger.publish(&first, &appended);
        ledger.append(&[record(3, "lost")]).unwrap();
        let bytes = ledger.bytes();
        drop(ledger);

        let ledger = Ledger::open(&path, bytes).unwrap();
        let reader = ledger.reader();
        assert_eq!(reader.get(0).unwrap(), Some(record(0, "a")));
        assert_eq!(reader.get(1).unwrap(), None);
        assert_eq!(reader.get(2).unwrap(), Some(record(2, "b")));
        assert_eq!(reader.get(3).unwrap(), None);
        assert_eq!(reader.next_number(), 3);
        assert!(reader.is_known(&record(0, "a").key));
        assert!(!reader.is_known(&record(0, "lost").key));
        assert!(!reader.is_known(&FileKey { size: 9, ..record(0, "a").key }));
        assert_eq!(reader.counts().records, 8);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
    }

    #[test]
    fn a_ledger_shorter_than_its_commit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Ledger::open(&dir.path().join("files.jsonl"), 10).unwrap_err().to_string();
        assert!(error.contains("0 bytes long, but 10 were committed"), "{error}");
    }
}
