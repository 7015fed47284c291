//! What CloudTrail's digests say of each file, and of events that several files have.
//!
//! A letter a file, in a sealed file beside the ledger. It is no part of the index's format: it is made
//! again from ledger, digests and keys whenever they change, and what is damaged is made anew. Searches
//! find it in their snapshot, in a cell that all snapshots of an index share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use segment::IndexError;
use segment::disk::Disk;
use segment::sealed;
use trail::content::{ContentHash, EventKey};
use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::Integrity;

const NAME: &str = "verdicts.json";
const NEW_NAME: &str = "verdicts.json.new";
const FORMAT_VERSION: u32 = 1;

/// Stands for each state, in the order of [`Integrity::ALL`].
const LETTERS: &[u8; 8] = b"vlmuctnx";

/// Stands for no verdict.
const NONE: u8 = b'-';

/// Holds the verdicts of an index. A search loads it once.
pub type VerdictCell = Arc<ArcSwap<Verdicts>>;

/// The verdicts of an index.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// A letter a file, by its number.
    files: Vec<u8>,
    /// Of events that other files repeat, the best state of these.
    copies: SeededMap<EventKey, Integrity>,
    /// Another for all others that this process has: what was counted by one is not true of another.
    edition: Edition,
}

#[derive(Debug)]
struct Edition(u64);

impl Default for Edition {
    fn default() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    format_version: u32,
    begun: i64,
    files: String,
    /// Letters, each with the id and the content that make an event's key.
    copies: Vec<(char, u64, [u8; 16])>,
}

/// How good a state is.
fn rank(state: Integrity) -> u8 {
    match state {
        Integrity::Verified => 7,
        Integrity::Listed => 6,
        Integrity::TrailingData => 5,
        Integrity::NoDigest => 4,
        Integrity::NotCovered => 3,
        Integrity::Unlisted => 2,
        Integrity::Mismatch => 1,
        Integrity::Missing => 0,
    }
}

fn state_of(letter: u8) -> Option<Integrity> {
    let at = LETTERS.iter().position(|known| *known == letter)?;
    Some(Integrity::ALL[at].1)
}

impl Verdicts {
    /// Sets a file's state.
    pub fn set(&mut self, file: u64, state: Integrity) {
        let at = file as usize;
        if self.files.len() <= at {
            self.files.resize(at + 1, NONE);
        }
        self.files[at] = LETTERS[state as usize];
    }

    /// Notes that a file repeats an event.
    pub fn repeat(&mut self, key: EventKey, file: u64) {
        let Some(state) =
            self.of_file(file).filter(|state| rank(*state) > rank(Integrity::NoDigest))
        else {
            return;
        };
        let best = self.copies.entry(key).or_insert(state);
        if rank(state) > rank(*best) {
            *best = state;
        }
    }

    /// Whether no file has a verdict.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What tells these verdicts from all others of the process.
    pub fn edition(&self) -> u64 {
        self.edition.0
    }

    /// How many events are known to be repeated.
    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    /// A file's state; None where it has none.
    pub fn of_file(&self, file: u64) -> Option<Integrity> {
        state_of(*self.files.get(file as usize)?)
    }

    /// The state of an event of a file: the best of its copies. Asks for its key where another file may
    /// have it.
    pub fn of_event(&self, file: u64, key: impl FnOnce() -> Option<EventKey>) -> Option<Integrity> {
        let own = self.of_file(file)?;
        if own == Integrity::Verified || self.copies.is_empty() {
            return Some(own);
        }
        let other = key().and_then(|key| self.copies.get(&key).copied());
        Some(other.filter(|other| rank(*other) > rank(own)).unwrap_or(own))
    }

    /// Writes them to disk, for the index that was begun then.
    pub fn save(&self, data_dir: &Path, begun: Micros, disk: &dyn Disk) -> Result<(), IndexError> {
        let letter = |state: Integrity| char::from(LETTERS[state as usize]);
        let file = File {
            format_version: FORMAT_VERSION,
            begun: begun.0,
            files: String::from_utf8_lossy(&self.files).into_owned(),
            copies: self
                .copies
                .iter()
                .map(|(key, state)| (letter(*state), key.id, key.content.0))
                .collect(),
        };
        let new = data_dir.join(NEW_NAME);
        let write = || {
            disk.write_at(&new, 0, sealed::text(&file)?.as_bytes())?;
            disk.rename(&new, &data_dir.join(NAME))?;
            disk.sync_dir(data_dir)
        };
        write().map_err(IndexError::io(&new))
    }

    /// Reads them; none where there is no file, or one of another index, or a damaged one.
    pub fn read(data_dir: &Path, begun: Micros) -> Self {
        let path = data_dir.join(NAME);
        let text = sealed::read(&path).ok().flatten();
        let file: Option<File> = text.and_then(|text| serde_json::from_str(&text).ok());
        let is_ours = |file: &File| file.begun == begun.0 && file.format_version == FORMAT_VERSION;
        let Some(file) = file.filter(is_ours) else { return Self::default() };
        let copy = |(letter, id, content): (char, u64, [u8; 16])| {
            let state = state_of(u8::try_from(letter).ok()?)?;
            Some((EventKey { id, content: ContentHash(content) }, state))
        };
        let copies = file.copies.into_iter().filter_map(copy).collect();
        Self { files: file.files.into_bytes(), copies, edition: Edition::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment::disk::RealDisk;

    #[test]
    fn an_event_has_the_best_state_of_its_copies() {
        let dir = tempfile::tempdir().unwrap();
        let key = |id| EventKey { id, content: ContentHash([id as u8; 16]) };
        let mut verdicts = Verdicts::default();
        verdicts.set(1, Integrity::Unlisted);
        verdicts.set(2, Integrity::Verified);
        verdicts.set(4, Integrity::Listed);
        verdicts.repeat(key(1), 2);
        verdicts.repeat(key(1), 4);
        verdicts.repeat(key(2), 1);
        verdicts.repeat(key(3), 3);
        verdicts.save(dir.path(), Micros(5), &RealDisk).unwrap();
        assert!(Verdicts::read(dir.path(), Micros(6)).is_empty(), "of another index");
        for verdicts in [verdicts, Verdicts::read(dir.path(), Micros(5))] {
            let of = |file, id| verdicts.of_event(file, || Some(key(id)));
            assert_eq!(of(1, 1), Some(Integrity::Verified));
            assert_eq!(of(1, 2), Some(Integrity::Unlisted));
            assert_eq!((of(3, 1), of(9, 1)), (None, None));
            assert_eq!(verdicts.copies(), 1);
        }
    }
}
