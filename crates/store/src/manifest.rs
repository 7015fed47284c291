//! The manifest: the one file whose replacement is a commit.
//!
//! It is sealed with its own hash, and holds the length and hash of every other file that counts.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub use crate::versions::FORMAT_VERSION;
use crate::versions::admit;
use segment::IndexError;
use segment::disk::Disk;
use segment::parts::{SegmentEntry, hash_text};
use segment::sealed;
use segment::steps::step;
use trail::time::Micros;

pub(crate) const NAME: &str = "manifest.json";
const NEW_NAME: &str = "manifest.json.new";

/// The last commit: the segments, and how much of the ledger counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format_version: u32,
    /// How many commits and merges the index has had; for people.
    pub(crate) commit: u64,
    pub(crate) ledger: LedgerExtent,
    pub(crate) segments: Vec<SegmentEntry>,
    #[serde(default, skip_serializing_if = "Expired::is_nothing")]
    pub(crate) expired: Expired,
    /// When this index was begun. A rebuild begins another, in which file numbers mean other files.
    #[serde(default)]
    pub(crate) begun: Micros,
}

/// What retention has dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expired {
    /// Events from before this time are not kept: those still in the index are about to go, and no
    /// others are taken in.
    pub before: Micros,
    /// How many events retention has removed from the index.
    pub events: u64,
    /// The latest that `before` was, where a wrong clock had set it, and it was taken back.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub(crate) taken_back: Micros,
    /// Events that are later than their file was read are not kept where that was before this time.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub(crate) future_before: Micros,
}

fn never() -> Micros {
    Micros(i64::MIN)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_never(time: &Micros) -> bool {
    *time == never()
}

impl Default for Expired {
    fn default() -> Self {
        Self { before: never(), events: 0, taken_back: never(), future_before: never() }
    }
}

impl Expired {
    /// Events from before this may have been dropped.
    pub(crate) fn reached(&self) -> Micros {
        self.before.max(self.taken_back)
    }

    /// Whether events may have been dropped of a file with these times.
    pub(crate) fn may_concern(&self, first: Micros, last: Micros, read_at: Micros) -> bool {
        first.min(read_at) < self.reached() || last > read_at && read_at < self.future_before
    }

    /// Whether events of the future were dropped, for want of space.
    pub fn has_dropped_future(&self) -> bool {
        !is_never(&self.future_before)
    }

    /// The same, without the mark of a wrong clock if its time is not kept now anyway.
    pub(crate) fn without_what_is_past(self) -> Self {
        let is_past = self.before >= self.taken_back;
        Self { taken_back: if is_past { never() } else { self.taken_back }, ..self }
    }

    /// Up to when a wrong clock may have had events dropped; None where none has.
    pub fn by_a_wrong_clock(&self) -> Option<Micros> {
        (!is_never(&self.taken_back)).then_some(self.taken_back)
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The part of the ledger that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerExtent {
    /// The ledger's file. A rebuild begins another.
    pub name: String,
    /// Length of the part that counts; what follows is ignored.
    pub bytes: u64,
    /// XXH3 hash of these bytes, in hexadecimal.
    pub xxh3: String,
}

impl LedgerExtent {
    pub(crate) fn empty(name: &str) -> Self {
        Self { name: name.to_owned(), bytes: 0, xxh3: hash_text(xxh3_64(&[])) }
    }
}

impl Manifest {
    /// The manifest of an index without events.
    pub(crate) fn empty(ledger: &str) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            commit: 0,
            ledger: LedgerExtent::empty(ledger),
            segments: Vec::new(),
            expired: Expired::default(),
            begun: Micros(Timestamp::now().as_microsecond()),
        }
    }

    /// Reads the last commit; None where there is no manifest, and an error where it is damaged or
    /// of another version.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Self>, IndexError> {
        let path = data_dir.join(NAME);
        let Some(json) = sealed::read(&path)? else { return Ok(None) };
        admit(&path, sealed::version(&path, &json)?)?;
        let manifest = serde_json::from_str(&json);
        let manifest: Self =
            manifest.map_err(|error| IndexError::damaged(&path, error.to_string()))?;
        // What is written of an older one is of this version.
        Ok(Some(Self { format_version: FORMAT_VERSION, ..manifest }))
    }

    /// Replaces the manifest, durably: when this returns, the commit survives a power loss; when it
    /// fails or the power does, the one before counts, or this one.
    pub(crate) fn write(&self, data_dir: &Path, disk: &dyn Disk) -> Result<(), IndexError> {
        let new = data_dir.join(NEW_NAME);
        let text = sealed::text(self).map_err(IndexError::io(&new))?;
        let write = || -> std::io::Result<()> {
            step("manifest-to-be-written");
            disk.write_at(&new, 0, text.as_bytes())?;
            step("manifest-written");
            disk.rename(&new, &data_dir.join(NAME))?;
            step("manifest-renamed");
            disk.sync_dir(data_dir)?;
            step("manifest-durable");
            Ok(())
        };
        write().map_err(IndexError::io(&new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment::disk::RealDisk;

    fn manifest() -> Manifest {
        let segments = vec![SegmentEntry { id: "a".to_owned(), runs: vec![7], files: Vec::new() }];
        Manifest { commit: 3, segments, begun: Micros(7), ..Manifest::empty("files.jsonl") }
    }

    #[track_caller]
    fn check_damage(damage: impl FnOnce(String) -> String, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        manifest().write(dir.path(), &RealDisk).unwrap();
        let path = dir.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, damage(text)).unwrap();
        let error = Manifest::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        for _ in 0..2 {
            manifest().write(dir.path(), &RealDisk).unwrap();
            assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest()));
        }
    }

    #[test]
    fn a_damaged_manifest_is_refused_by_name() {
        check_damage(|text| text.replace("\"commit\":3", "\"commit\":4"), "hash does not match");
        check_damage(|text| text.lines().next().unwrap().to_owned(), "hash is missing");
    }
}
