//! The table of a segment's files, and how the manifest lists them.
//!
//! A segment is tantivy's files and, beside them, ours ([`Part`]), all named by the segment's id
//! and an extension. Every file is hashed while it is written (`directory.rs`), checked by its hash
//! (`check.rs`), and removed with the segment. Code that builds, merges or expires a segment
//! matches each of `Part::ALL`, so the compiler names the places that a new part needs. A new part
//! is a variant and a row here, and a module for its format.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tantivy::index::{SegmentComponent, SegmentId};

use super::IndexError;
use crate::steps::step;

/// A segment as the manifest lists it: its id, how long each of its runs is, and its files.
///
/// A run is a stretch of documents sorted by time, latest first. A built segment is one run; a merged
/// one may be several, one behind another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// tantivy's id of the segment, 32 hexadecimal digits, which its file names begin with.
    pub id: String,
    /// How many events each run has, in the order of the documents.
    pub runs: Vec<u32>,
    /// All files of the segment, tantivy's and ours.
    pub files: Vec<SegmentFile>,
}

impl SegmentEntry {
    /// How many events the segment holds: the sum of its runs.
    pub fn events(&self) -> u32 {
        self.runs.iter().sum()
    }
}

/// A file of a segment as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentFile {
    /// File name without a directory: the segment's id and an extension.
    pub name: String,
    /// Length of the whole file.
    pub bytes: u64,
    /// XXH3 hash of the whole file, in hexadecimal.
    pub xxh3: String,
}

/// A file that we write beside tantivy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The records as delivered (`records.rs`).
    Records,
    /// The ids that are UUIDs (`ids.rs`).
    Ids,
    /// The words of column values (`column_words.rs`).
    Words,
    /// The keys that duplicates are recognised by (`keys.rs`).
    Keys,
}

impl Part {
    /// All parts, in the order in which they are written.
    pub(crate) const ALL: [Self; 4] = [Self::Records, Self::Ids, Self::Words, Self::Keys];

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Ids => "ids",
            Self::Words => "words",
            Self::Keys => "keys",
        }
    }

    /// The name of this part's file in a segment.
    pub fn name(self, id: &str) -> String {
        format!("{id}.{}", self.extension())
    }

    /// The same, as tantivy's directory is asked for it.
    pub(crate) fn path(self, id: &str) -> PathBuf {
        self.name(id).into()
    }

    /// What status and reports count its bytes as.
    fn holds(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Ids | Self::Words => "words and values",
            Self::Keys => "keys",
        }
    }

    /// Passes the step behind writing it in a new segment.
    pub(crate) fn built(self) {
        match self {
            Self::Records => step("records-written"),
            Self::Ids => step("ids-written"),
            Self::Words => step("words-written"),
            Self::Keys => step("keys-written"),
        }
    }

    /// Passes the step behind writing it in a merged segment.
    pub(crate) fn merged(self) {
        match self {
            Self::Records => step("merge-records-written"),
            Self::Ids => step("merge-ids-written"),
            Self::Words => step("merge-words-written"),
            Self::Keys => step("merge-keys-written"),
        }
    }
}

/// The files of a segment that tantivy reads, and what their bytes are counted as.
const TANTIVY: [(SegmentComponent, &str); 6] = [
    (SegmentComponent::Terms, "words and values"),
    (SegmentComponent::Postings, "postings"),
    (SegmentComponent::Positions, "postings"),
    (SegmentComponent::FieldNorms, "postings"),
    (SegmentComponent::FastFields, "columns"),
    // Of empty documents: see `records`.
    (SegmentComponent::Store, "records"),
];

/// The extension of each file of a segment, and the label under which metrics count its bytes.
pub fn extensions() -> impl Iterator<Item = (String, &'static str)> {
    let ours = Part::ALL.iter().map(|part| (part.extension().to_owned(), part.holds()));
    TANTIVY.iter().map(|(component, holds)| (component.to_string(), *holds)).chain(ours)
}

/// The names of all files of a segment.
pub fn names(id: &str) -> impl Iterator<Item = String> {
    extensions().map(move |(extension, _)| format!("{id}.{extension}"))
}

/// The id of a segment that the manifest names.
pub(crate) fn segment_id(entry: &SegmentEntry) -> Result<SegmentId, IndexError> {
    SegmentId::from_uuid_string(&entry.id).map_err(|_| IndexError::Damaged {
        path: "manifest.json".into(),
        reason: format!("'{}' is not a segment's id", entry.id),
    })
}

/// What is wrong with a file of another length than was written.
pub(crate) fn length_problem(found: u64, expected: u64) -> String {
    format!("{found} bytes long in place of {expected}")
}

/// A hash in hexadecimal, as the manifest writes it.
pub fn hash_text(hash: u64) -> String {
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_files_are_ten_of_which_no_two_have_a_name() {
        let mut found: Vec<String> = names("x").collect();
        found.sort();
        let expected = [
            "x.fast",
            "x.fieldnorm",
            "x.ids",
            "x.idx",
            "x.keys",
            "x.pos",
            "x.records",
            "x.store",
            "x.term",
            "x.words",
        ];
        assert_eq!(found, expected);
    }
}
