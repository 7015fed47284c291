//! What became of a file that was read, as its segment carries it to the commit.

use serde::{Deserialize, Serialize};
use trail::time::Micros;
use wire::{FileEntry, FileState, Reading};

/// A file as the scan finds it. The same path with another size or time is to be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileKey {
    pub path: String,
    pub size: u64,
    /// Nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its number, which its events carry.
    pub number: u64,
    #[serde(flatten)]
    pub key: FileKey,
    pub state: FileState,
    #[serde(flatten)]
    pub reading: Reading,
}

impl FileRecord {
    /// The entry of a file that was read now.
    pub fn new(number: u64, key: FileKey, state: FileState, reading: Reading) -> Self {
        let reading = Reading { read_at: Some(Micros::now()), ..reading };
        Self { number, key, state, reading }
    }

    /// Events that were put into the index for it.
    pub fn events(&self) -> u64 {
        self.reading.records - self.reading.duplicates - self.reading.expired
    }
}

impl From<FileRecord> for FileEntry {
    fn from(record: FileRecord) -> Self {
        let FileRecord { key, state, reading, .. } = record;
        Self {
            path: key.path,
            state,
            size: key.size,
            modified: Some(Micros(key.mtime_ns.div_euclid(1_000))),
            reading,
        }
    }
}
