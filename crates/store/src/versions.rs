//! The versions of the format on disk, and what this program does with an index of each.
//!
//! A change to any byte that is written is a new version. It takes a row in `VERSIONS`, a golden
//! index written by the program of the version before (`tests/golden/make`), and a decision on
//! indexes of that version (`Support`). `docs/format.md` draws the bytes of the current version.
//!
//! An index of a version that this program cannot read is refused and left as it is, because it may
//! hold events that the archive no longer has. Three things never change, so that any version can
//! recognise any other: the manifest's name, its seal (`crates/segment/src/sealed.rs`), and the key
//! `format_version` in its first line.

use std::path::Path;

use segment::IndexError;

/// The version that this program writes.
pub const FORMAT_VERSION: u32 = 6;

/// A version of everything that a commit makes count: schema, rule for words, keys, ledger, manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) support: Support,
}

/// What becomes of an index of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It is read and written.
    Current,
    /// It is read. Its segments are searched as they are, and made anew of their own records, one after
    /// another, before anything new is read (`remake.rs`). The next commit writes a manifest of the
    /// current version; the keys of a segment tell whether it was made anew (`KeySet::is_outdated`).
    Remade,
    /// It is not read: the daemon does not start on it.
    Refused,
}

/// All versions, oldest first.
pub(crate) const VERSIONS: [Version; 6] = [
    // The first.
    Version { number: 1, support: Support::Refused },
    // Keys of events; hashes of all files; what a ledger line tells of a file.
    Version { number: 2, support: Support::Refused },
    // The fields of policies that travel inside of strings.
    Version { number: 3, support: Support::Refused },
    // Records, UUIDs and the words of columns in files of their own.
    Version { number: 4, support: Support::Remade },
    // Keys whose contents cannot be forged.
    Version { number: 5, support: Support::Remade },
    // Outcome, error, client, target, account and action of events.
    Version { number: FORMAT_VERSION, support: Support::Current },
];

/// The versions that are not refused, in words.
const READ: &str = "versions 4, 5 and 6";

/// Refuses an index whose manifest states a version that is not read.
pub(crate) fn admit(manifest: &Path, number: u32) -> Result<(), IndexError> {
    let version = VERSIONS.iter().find(|version| version.number == number);
    match version.map(|version| version.support) {
        Some(Support::Current | Support::Remade) => Ok(()),
        Some(Support::Refused) | None => Err(IndexError::UnknownVersion {
            path: manifest.to_owned(),
            found: number,
            known: READ,
            advice: "Start the version of traildex that wrote it; or give index.data_dir an empty \
                     directory, and what the archive still has is indexed anew",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_written_and_it_is_the_latest() {
        let numbers: Vec<u32> = VERSIONS.iter().map(|version| version.number).collect();
        assert_eq!(numbers, (1..=FORMAT_VERSION).collect::<Vec<_>>());
        for Version { number, support } in VERSIONS {
            let is_told = READ.contains(&number.to_string());
            assert_eq!(is_told, support != Support::Refused, "{number}");
        }
        let written = VERSIONS.iter().filter(|version| version.support == Support::Current);
        assert_eq!(written.map(|version| version.number).collect::<Vec<_>>(), [FORMAT_VERSION]);
    }

    #[test]
    fn what_is_not_read_is_refused_with_what_to_do() {
        let path = Path::new("data/manifest.json");
        for number in [4, 5, FORMAT_VERSION] {
            admit(path, number).unwrap();
        }
        for number in [0, 1, 3, FORMAT_VERSION + 1, u32::MAX] {
            let told = admit(path, number).unwrap_err().to_string();
            let begin = format!("data/manifest.json: format version {number}, and this traildex");
            assert!(told.starts_with(&begin), "{told}");
            assert!(
                told.contains("Start the version") && told.contains("index.data_dir"),
                "{told}"
            );
        }
    }
}
