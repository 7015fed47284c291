//! The archive's files: what became of each, and sums over them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Integrity;
use trail::time::Micros;

/// What became of a file of the archive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Found; it waits, settles, or is being read.
    Pending,
    /// Read, and its events are durable; single records may have been rejected.
    Indexed,
    /// Nothing in it could be indexed; `reason` says why.
    Rejected,
    /// A CloudTrail digest file.
    Digest,
    /// A trail file without a record.
    Empty,
    /// Read, and read again later because its size or modification time changed; the events of both
    /// readings are in the index.
    Replaced,
    /// Read, but a damaged segment held some of its events. It is read again as soon as a scan
    /// finds it.
    Reread,
    /// Not read: a link, a pipe, a socket, a device, a name that is not UTF-8, or a file that
    /// cannot be opened. Every scan looks at it again.
    Skipped,
    /// Not read: by its name or its content, it is no trail's. Listed when asked for by this state only,
    /// the first 1,000; `total` counts all of them that the last scan saw.
    Ignored,
}

impl FileState {
    /// Every state with its name in the API, in the order of declaration.
    pub const ALL: [(&'static str, Self); 9] = [
        ("pending", Self::Pending),
        ("indexed", Self::Indexed),
        ("rejected", Self::Rejected),
        ("digest", Self::Digest),
        ("empty", Self::Empty),
        ("replaced", Self::Replaced),
        ("reread", Self::Reread),
        ("skipped", Self::Skipped),
        ("ignored", Self::Ignored),
    ];
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL[*self as usize].0)
    }
}

/// `GET /v1/files?state=…&path=…&account=…&region=…&start=…&end=…&by=account,region,day&limit=…&cursor=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// Only files in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Only files whose path contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only files that may have records of this account: those of it, those of `several`, and those whose
    /// account neither their records nor their path names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only files that may have records of this region, as for `account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only files with events at or after this time; those without events count by the time of their
    /// last change. The forms of a search's `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Only files with events before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Only files that were read at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_start: Option<String>,
    /// Only files that were read before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_end: Option<String>,
    /// Return sums by these dimensions in place of a list of files: `account`, `region`, `day`,
    /// separated by commas.
    #[serde(default, with = "list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "String", regex(pattern = "^(account|region|day)(,(account|region|day))*$"))]
    pub by: Vec<Dimension>,
    /// At most this many files (100 if absent), or groups of them (10,000 if absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The cursor of an earlier answer: the page starts behind that answer's last file. All other keys but
    /// `limit` must be as they were. Not with `by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What `by` can group files by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The account of the file's records; `several` where they have more than one.
    Account,
    /// The region of the file's records; `several` where they have more than one.
    Region,
    /// The day of the file's first event, UTC. For a file without events, the day in its path, or
    /// of its last change.
    Day,
}

impl Dimension {
    /// Every dimension with its name in the API, in the order of declaration.
    pub const ALL: [(&'static str, Self); 3] =
        [("account", Self::Account), ("region", Self::Region), ("day", Self::Day)];

    /// The name in the API: `account`, `region` or `day`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// `account,day`, as a query string has it.
mod list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Dimension;

    pub(crate) fn serialize<S: Serializer>(
        by: &[Dimension],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = by.iter().map(|dimension| dimension.name()).collect();
        serializer.serialize_str(&names.join(","))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Dimension>, D::Error> {
        let text = String::deserialize(d)?;
        let dimension = |name: &str| {
            let found = Dimension::ALL.iter().find(|(known, _)| *known == name.trim());
            found.map(|(_, dimension)| *dimension).ok_or_else(|| {
                D::Error::custom(format!(
                    "'{name}' is not one of account, region and day, separated by commas"
                ))
            })
        };
        text.split(',').map(dimension).collect()
    }
}

/// The answer to `GET /v1/files`: files in the order in which they were read, or groups in the
/// order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesResponse {
    /// The matching files; empty where the request groups them with `by`.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// One entry for each group; empty without `by`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<FileGroup>,
    /// How many files match, or how many groups there are, listed or not.
    pub total: u64,
    /// Sums over all matching files, listed or not.
    pub sums: FileSums,
    /// The cursor of the next page; absent on the last page. A file that changes its state between two
    /// pages may be in both; none is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The files of one account, region and day, as far as the request groups by them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileGroup {
    /// The account of the group, or `several`; absent where files are not grouped by it, or have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region of the group, or `several`; absent where files are not grouped by it, or have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The day of the group, `YYYY-MM-DD`; absent where files are not grouped by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Sums over the files of the group.
    #[serde(flatten)]
    pub sums: FileSums,
}

/// Sums over files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileSums {
    /// How many files the sums are over.
    pub files: u64,
    /// Records that are events, duplicates included.
    pub records: u64,
    /// Of `records`, those whose event was in the index already.
    pub duplicates: u64,
    /// Of `records`, those that were older than the retention period when their file was read.
    pub expired: u64,
    /// Of `records`, those that share account and `eventID` with an event of different content.
    pub conflicting: u64,
    /// Of `records`, those that needed a repair to be read.
    pub repaired: u64,
    /// Records that could not be read.
    pub rejected: u64,
    /// Events that a damaged segment held and that are not in the index now.
    pub lost: u64,
    /// Time of the earliest event; null without events.
    pub first: Option<Micros>,
    /// Time of the latest event; null without events.
    pub last: Option<Micros>,
}

impl FileSums {
    /// Adds one file, with the counts of its reading.
    pub fn add(&mut self, reading: &Reading) {
        self.files += 1;
        self.records += reading.records;
        self.duplicates += reading.duplicates;
        self.expired += reading.expired;
        self.conflicting += reading.conflicting;
        self.repaired += reading.repaired;
        self.rejected += reading.rejected;
        self.lost += reading.lost;
        self.first = self.first.into_iter().chain(reading.first).min();
        self.last = self.last.max(reading.last);
    }
}

/// One file of the archive, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// The file's path in the archive.
    pub path: String,
    /// What became of the file.
    pub state: FileState,
    /// Bytes on disk, compressed.
    pub size: u64,
    /// The file's modification time; absent for a skipped file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Micros>,
    /// What CloudTrail's digests say of the file; absent where nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// What reading the file found; all zero while it is pending.
    #[serde(flatten)]
    pub reading: Reading,
}

/// What reading a file found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// When it was indexed or rejected; absent while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Micros>,
    /// SHA-256 of the uncompressed content, in hexadecimal: the `hashValue` in CloudTrail's digest
    /// files. Absent where the content could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Records that are events, duplicates included.
    #[serde(default)]
    pub records: u64,
    /// Of `records`, those whose event was in the index already.
    #[serde(default)]
    pub duplicates: u64,
    /// Of `records`, those that were older than the retention period when the file was read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: u64,
    /// Of `records`, those that share account and `eventID` with an event of different content;
    /// both are indexed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicting: u64,
    /// Of `records`, those that needed a repair to be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Records that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Events that a damaged segment held and that are not in the index now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Time of the earliest event; absent without events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Micros>,
    /// Time of the latest event; absent without events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Micros>,
    /// The account of the records, `several` where they have more than one; without records, the
    /// account in the path. Absent where neither names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region of the records, `several` where they have more than one; without records, the
    /// region in the path. Absent where neither names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The first 20 records that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// What is odd about the file: `second-member` and `trailing-bytes` for data behind the first
    /// gzip member, `cut-off` where it ends inside a list of records; and how it is packed: `utf-16`,
    /// `gzip-in-gzip`, `log-members`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Why the file is in its state, or what a pending file waits for; absent where there is
    /// nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reject {
    /// Byte offset of the unreadable place in the file, uncompressed. In a table (flag `table`), row x 2^33 +
    /// column x 2^24 + byte in the cell; the reason names row and column.
    pub offset: u64,
    /// Why the record cannot be read, for a person.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_states_and_dimensions_are_in_the_order_of_their_variants() {
        for (name, state) in FileState::ALL {
            assert_eq!(state.to_string(), name);
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{name}\""));
        }
        assert!(Dimension::ALL.iter().all(|(name, dimension)| dimension.name() == *name));
    }

    #[test]
    fn sums_span_all_events() {
        let reading = |first, last| Reading {
            records: 2,
            expired: 1,
            first: Some(Micros(first)),
            last: Some(Micros(last)),
            ..Reading::default()
        };
        let mut sums = FileSums::default();
        for reading in [Reading::default(), reading(5, 9), reading(3, 7), Reading::default()] {
            sums.add(&reading);
        }
        assert_eq!((sums.files, sums.records, sums.expired), (4, 4, 2));
        assert_eq!((sums.first, sums.last), (Some(Micros(3)), Some(Micros(9))));
    }
}
