//! The manifest: the one file whose replacement is a commit.
//!
//! Two lines: the manifest as JSON, and the XXH3 hash of that line, so that a damaged one is never
//! taken for the truth.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::build::SegmentEntry;
use super::{IndexError, sync_directory};

/// Version of everything in the data directory: schema, word rule, ledger and manifest.
///
/// - 1: the first.
pub const FORMAT_VERSION: u32 = 1;

const NAME: &str = "manifest.json";
const NEW_NAME: &str = "manifest.json.new";

/// What the last commit made count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format_version: u32,
    /// How many commits and merges there were; for people.
    pub commit: u64,
    /// Bytes of the ledger that count.
    pub ledger_bytes: u64,
    pub segments: Vec<SegmentEntry>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format_version: FORMAT_VERSION, commit: 0, ledger_bytes: 0, segments: Vec::new() }
    }
}

impl Manifest {
    /// Reads the last commit; the empty one when there was none.
    pub fn read(data_dir: &Path) -> Result<Self, IndexError> {
        let path = data_dir.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(IndexError::io(&path)(error)),
        };
        let damaged = |reason: String| IndexError::Damaged { path: path.clone(), reason };
        let (json, hash) = text
            .split_once('\n')
            .ok_or_else(|| damaged("the line with its hash is missing".to_owned()))?;
        if hash.trim_end() != hash_line(json) {
            return Err(damaged("its hash does not match".to_owned()));
        }
        let version = serde_json::from_str::<VersionOnly>(json)
            .map_err(|error| damaged(error.to_string()))?
            .format_version;
        if version != FORMAT_VERSION {
            return Err(damaged(format!(
                "format version {version}; this traildex reads and writes version {FORMAT_VERSION}"
            )));
        }
        serde_json::from_str(json).map_err(|error| damaged(error.to_string()))
    }

    /// Replaces the manifest, durably: when this returns, the commit survives a power loss; when it
    /// fails or the power does, the one before counts.
    pub fn write(&self, data_dir: &Path) -> Result<(), IndexError> {
        let new = data_dir.join(NEW_NAME);
        let json =
            serde_json::to_string(self).map_err(|error| IndexError::io(&new)(error.into()))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            writeln!(file, "{json}\n{}", hash_line(&json))?;
            file.sync_all()?;
            std::fs::rename(&new, data_dir.join(NAME))
        };
        write().map_err(IndexError::io(&new))?;
        sync_directory(data_dir)
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

fn hash_line(json: &str) -> String {
    format!("{:016x}", xxh3_64(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let segments = vec![SegmentEntry { id: "a".to_owned(), runs: vec![7] }];
        Manifest { commit: 3, ledger_bytes: 9, segments, ..Manifest::default() }
    }

    #[track_caller]
    fn check_damage(damage: impl FnOnce(String) -> String, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        manifest().write(dir.path()).unwrap();
        let path = dir.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, damage(text)).unwrap();
        let error = Manifest::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Manifest::default());
        manifest().write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), manifest());
    }

    #[test]
    fn a_damaged_or_foreign_manifest_is_refused_by_name() {
        check_damage(|text| text.replace("\"commit\":3", "\"commit\":4"), "hash does not match");
        check_damage(|text| text.lines().next().unwrap().to_owned(), "hash is missing");
        check_damage(
            |_| {
                let json = r#"{"format_version":99}"#;
                format!("{json}\n{}\n", hash_line(json))
            },
            "format version 99",
        );
    }
}
