//! The ledger entry of an archive file: a segment carries it to the commit, and a line of the
//! ledger holds it.
//!
//! These types are the format. A name that changes here changes the bytes of every ledger, and
//! needs a new version (`crates/store/src/versions.rs`). The API and the parser have types of their
//! own; `search` and `ingest` convert. `docs/format.md` describes the bytes.

use serde::{Deserialize, Serialize};

use trail::time::Micros;

/// A file's identity. If size or modification time at a path changes, ingest reads the file again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileKey {
    /// Path as the scan found it, in UTF-8.
    pub path: String,
    /// Bytes on disk, usually compressed.
    pub size: u64,
    /// Nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

/// The ledger entry of one archive file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The file's number in the ledger, which each of its events carries.
    pub number: u64,
    /// Path, size and modification time when the file was read.
    #[serde(flatten)]
    pub key: FileKey,
    /// Whether the file was indexed, rejected or skipped.
    pub state: FileState,
    /// Counts, hash and flags of the last time that the file was read.
    #[serde(flatten)]
    pub reading: Reading,
}

impl FileRecord {
    /// Makes an entry whose `read_at` is now.
    pub fn new(number: u64, key: FileKey, state: FileState, reading: Reading) -> Self {
        let reading = Reading { read_at: Some(Micros::now()), ..reading };
        Self { number, key, state, reading }
    }

    /// How many events of the file were indexed.
    pub fn events(&self) -> u64 {
        self.reading.records - self.reading.duplicates - self.reading.expired
    }
}

/// The result of reading an archive file, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Its events are in the index; single records may have been rejected.
    Indexed,
    /// No record of the file could be indexed; [`Reading::reason`] says why.
    Rejected,
    /// A CloudTrail digest file.
    Digest,
    /// A trail file without a record.
    Empty,
    /// A later line has the same path. The ledger derives this state and never writes it.
    Replaced,
    /// A damaged segment lost events of the file, so it is to be read again. The ledger derives
    /// this state and never writes it.
    Reread,
}

impl FileState {
    /// All states, in the order of the variants.
    pub const ALL: [Self; 6] =
        [Self::Indexed, Self::Rejected, Self::Digest, Self::Empty, Self::Replaced, Self::Reread];
}

/// The result of reading one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When the file was read; None until [`FileRecord::new`] sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Micros>,
    /// SHA-256 of the uncompressed content, in hexadecimal; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Records that are events, duplicates included.
    #[serde(default)]
    pub records: u64,
    /// Records among these whose event was in the index already.
    #[serde(default)]
    pub duplicates: u64,
    /// Records among these that were older than retention keeps when the file was read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: u64,
    /// Records among these whose account and `eventID` belong to another event of different
    /// content.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicting: u64,
    /// Records among these that the parser had to repair.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Records that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Events that were lost with a damaged segment. The ledger derives this number from the lines
    /// of losses and never writes it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Time of the earliest event; None where the file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Micros>,
    /// Time of the latest event; None where the file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Micros>,
    /// AWS account of the records, or `several`. A file without records has the account in its
    /// path; None where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// AWS region of the records, or `several`. A file without records has the region in its path;
    /// None where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The first 20 records that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// Names of what was odd about the file, such as bytes behind its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Why the file is in its state, in words; None where the state says all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Byte offset in the uncompressed file at which reading failed.
    pub offset: u64,
    /// The error of the splitter or the parser, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with everything that a line can have, and one with as little as there can be.
    #[test]
    fn the_bytes_of_a_line_are_those_of_version_4() {
        let reading = Reading {
            read_at: Some(Micros(1)),
            sha256: Some("00ff".to_owned()),
            records: 9,
            duplicates: 2,
            expired: 1,
            conflicting: 1,
            repaired: 3,
            rejected: 1,
            lost: 0,
            first: Some(Micros(1_500_000)),
            last: Some(Micros(2_000_000)),
            account: Some("111122223333".to_owned()),
            region: Some("several".to_owned()),
            rejects: vec![Reject { offset: 7, reason: "why".to_owned() }],
            flags: vec!["trailing-bytes".to_owned()],
            reason: Some("because".to_owned()),
        };
        let key = FileKey { path: "/a/b.json.gz".to_owned(), size: 5, mtime_ns: -6 };
        let full = FileRecord { number: 4, key, state: FileState::Indexed, reading };
        let line = [
            r#"{"number":4,"path":"/a/b.json.gz","size":5,"mtime_ns":-6,"state":"indexed","#,
            r#""read_at":"1970-01-01T00:00:00.000001Z","sha256":"00ff","records":9,"#,
            r#""duplicates":2,"expired":1,"conflicting":1,"repaired":3,"rejected":1,"#,
            r#""first":"1970-01-01T00:00:01.5Z","last":"1970-01-01T00:00:02Z","#,
            r#""account":"111122223333","region":"several","#,
            r#""rejects":[{"offset":7,"reason":"why"}],"flags":["trailing-bytes"],"#,
            r#""reason":"because"}"#,
        ];
        check(&full, &line.concat());
        let key = FileKey { path: "p".to_owned(), size: 0, mtime_ns: 0 };
        let (state, reading) = (FileState::Empty, Reading::default());
        check(
            &FileRecord { number: 0, key, state, reading },
            r#"{"number":0,"path":"p","size":0,"mtime_ns":0,"state":"empty","records":0,"duplicates":0}"#,
        );
        let names = FileState::ALL.map(|state| serde_json::to_string(&state).unwrap());
        let expected = ["indexed", "rejected", "digest", "empty", "replaced", "reread"];
        assert_eq!(names, expected.map(|name| format!("\"{name}\"")));
    }

    #[track_caller]
    fn check(record: &FileRecord, line: &str) {
        assert_eq!(serde_json::to_string(record).unwrap(), line);
        assert_eq!(serde_json::from_str::<FileRecord>(line).unwrap(), *record);
    }
}
