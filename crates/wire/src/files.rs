//! Files: what became of each, and sums over them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trail::time::Micros;

/// What became of a file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Waiting, settling, or being read.
    Pending,
    /// Read, its events durable; single records may still have been rejected.
    Indexed,
    /// Nothing in it could be indexed; `reason` says why.
    Rejected,
    /// A CloudTrail digest file.
    Digest,
    /// A trail file without a record.
    Empty,
    /// Read, and read again since, because its size or its time changed; the events of both readings
    /// are in the index.
    Replaced,
    /// Read, but a part of the index that held events of it was damaged: it is read again as soon as
    /// it is found in the archive.
    Reread,
    /// Not read: a link, a pipe, a socket, a device, a name that is not UTF-8, or one that cannot be
    /// opened. Looked at again by every scan.
    Skipped,
}

impl FileState {
    pub const ALL: [(&'static str, Self); 8] = [
        ("pending", Self::Pending),
        ("indexed", Self::Indexed),
        ("rejected", Self::Rejected),
        ("digest", Self::Digest),
        ("empty", Self::Empty),
        ("replaced", Self::Replaced),
        ("reread", Self::Reread),
        ("skipped", Self::Skipped),
    ];
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL[*self as usize].0)
    }
}

/// `GET /v1/files?state=…&path=…&start=…&end=…&by=account,region,day&limit=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// Only files in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Only files whose path contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
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
    /// Sums by these, separated by commas, in place of a list: `account`, `region`, `day`.
    #[serde(default, with = "list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "String", regex(pattern = "^(account|region|day)(,(account|region|day))*$"))]
    pub by: Vec<Dimension>,
    /// At most this many files (default [`crate::limits::FILES_LIMIT_DEFAULT`]), or groups of them
    /// (default [`crate::limits::FILES_LIMIT_MAX`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What files are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The account that the file's records are of; `several` where they are of more than one.
    Account,
    /// The region, likewise.
    Region,
    /// The day of the file's first event, UTC; without events, the day in its path, or of its last
    /// change.
    Day,
}

impl Dimension {
    pub const ALL: [(&'static str, Self); 3] =
        [("account", Self::Account), ("region", Self::Region), ("day", Self::Day)];

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

/// The answer to `GET /v1/files`: files in the order in which they were read, or groups in the order
/// of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesResponse {
    #[serde(default)]
    pub files: Vec<FileEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<FileGroup>,
    /// How many files match, or how many groups there are; listed or not.
    pub total: u64,
    /// Over all files that match.
    pub sums: FileSums,
}

/// Files of one account, region and day, as far as was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileGroup {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    #[serde(flatten)]
    pub sums: FileSums,
}

/// Sums over files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileSums {
    pub files: u64,
    /// The other sums are those of [`Reading`].
    pub records: u64,
    pub duplicates: u64,
    pub conflicting: u64,
    pub repaired: u64,
    pub rejected: u64,
    pub lost: u64,
    /// Earliest and latest event.
    pub first: Option<Micros>,
    pub last: Option<Micros>,
}

impl FileSums {
    pub fn add(&mut self, reading: &Reading) {
        self.files += 1;
        self.records += reading.records;
        self.duplicates += reading.duplicates;
        self.conflicting += reading.conflicting;
        self.repaired += reading.repaired;
        self.rejected += reading.rejected;
        self.lost += reading.lost;
        self.first = self.first.into_iter().chain(reading.first).min();
        self.last = self.last.max(reading.last);
    }
}

/// What happened to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    pub path: String,
    pub state: FileState,
    /// Size on disk.
    pub size: u64,
    /// Time of the last change; absent for what is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Micros>,
    #[serde(flatten)]
    pub reading: Reading,
}

/// What reading a file found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// When it was indexed or rejected; absent while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Micros>,
    /// SHA-256 of the uncompressed content, in hexadecimal: the `hashValue` by which CloudTrail's
    /// digest files know it. Absent where the content could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Records that are events, duplicates included.
    #[serde(default)]
    pub records: u64,
    /// Of these, records whose event was in the index already.
    #[serde(default)]
    pub duplicates: u64,
    /// Of the records, those that were older than is kept when the file was read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: u64,
    /// Of the records, those whose account and `eventID` another event has, with different content;
    /// both are indexed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflicting: u64,
    /// Of the records, those that could be read after a repair.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Records that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Events that were in a damaged part of the index and are not in it now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Time of the earliest and of the latest event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Micros>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Micros>,
    /// The account that the records are of, `several` where they are of more than one; without
    /// records, the one in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The first 20 records that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// What was odd about the file: `second-member`, `trailing-bytes`, and `cut-off` where it ends inside of
    /// a list of records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Why the file is in its state, or what a pending one waits for.
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
    /// Byte offset in the file, uncompressed, of the place that cannot be read.
    pub offset: u64,
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
            first: Some(Micros(first)),
            last: Some(Micros(last)),
            ..Reading::default()
        };
        let mut sums = FileSums::default();
        for reading in [Reading::default(), reading(5, 9), reading(3, 7), Reading::default()] {
            sums.add(&reading);
        }
        assert_eq!((sums.files, sums.records), (4, 4));
        assert_eq!((sums.first, sums.last), (Some(Micros(3)), Some(Micros(9))));
    }
}
