//! A line of `data/events.ndjson`: an event, and where its record is.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use wire::Integrity;

use crate::Hash;
use crate::limits::FLAGS_MAX;
use sha2::{Digest as _, Sha256};

/// The record that must stand at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Byte of the file, uncompressed.
    pub offset: u64,
    /// Bytes of the record.
    pub length: u64,
    /// SHA-256 of these bytes.
    pub sha256: Hash,
    /// SHA-256 of the same on one line, repaired if need be.
    pub line: Hash,
}

/// An event, and where its record is. It has no other members: a reader could take them for the record's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    /// The record's `eventID`; of one without, its place.
    pub id: String,
    /// The event's time, RFC 3339, UTC.
    pub time: String,
    /// Path of the file when it was indexed.
    pub source: String,
    /// The file in the bag; null where it is not there, or does not have the record at its place any more.
    pub file: Option<String>,
    /// SHA-256 of what the file holds, uncompressed: the `hashValue` of CloudTrail's digests.
    pub sha256: Option<String>,
    /// Byte of the record in the file, uncompressed.
    pub offset: u64,
    /// Of a table, its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// Of a table, its column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Bytes of the record as delivered; without the escapes of a string that it stood in.
    pub length: u64,
    /// SHA-256 of these bytes.
    pub record_sha256: String,
    /// Byte of the record in `data/records.ndjson`, where the originals are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_offset: Option<u64>,
    /// What is odd about the record.
    #[serde(deserialize_with = "few")]
    pub flags: Vec<String>,
    /// What CloudTrail's digests said of its file in the index; null where nothing was judged.
    pub integrity: Option<Integrity>,
    /// The record as delivered, where it is not valid JSON; `event` is then its repaired form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The record, on one line.
    pub event: Box<RawValue>,
}

impl EventLine {
    /// Whether the event is a row of a table, whose place is no byte.
    pub fn is_of_table(&self) -> bool {
        self.flags.iter().any(|flag| flag == "table")
    }

    /// What must stand at its place; None where its hash is none.
    pub fn sought(&self) -> Option<Sought> {
        let sha256 = hex::decode(&self.record_sha256).ok()?.try_into().ok()?;
        let line = hash(self.event.get().as_bytes());
        Some(Sought { offset: self.offset, length: self.length, sha256, line })
    }
}

/// A short list of texts: a line of many empty ones would take ten times its bytes.
fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<String>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(to, "at most {FLAGS_MAX} texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = from.next_element()? {
                if texts.len() >= FLAGS_MAX {
                    return Err(Error::invalid_length(texts.len() + 1, &self));
                }
                texts.push(text);
            }
            Ok(texts)
        }
    }
    from.deserialize_seq(Few)
}

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
