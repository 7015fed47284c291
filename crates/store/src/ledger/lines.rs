//! The ledger's index in memory: where each file's line is, and which files are known. At most 32
//! bytes a file: 20 for its row, and what a hash table of row numbers takes.
//!
//! A path is known by a hash with a key of this process: nobody can find a name that is taken for
//! another's.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use serde::Deserialize;

use super::{FileState, Loss};
use segment::file::{FileKey, FileRecord};
use trail::time::Micros;

/// Rows are added so many at a time, and a thirty-second part: doubling would leave half unused.
const ROWS_STEP: usize = 1_024;

/// How far a file's number may be beyond those before it. Numbers of files that were read and not
/// committed are missing, some hundred thousand at most; each costs 20 bytes.
const NUMBERS_MISSING_MAX: u64 = 1 << 24;

/// How many lines of the ledger have each [`FileState`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesByState {
    /// Trail files whose events are in the index.
    pub indexed: u64,
    /// Files of which nothing could be indexed.
    pub rejected: u64,
    /// CloudTrail digest files.
    pub digest: u64,
    /// Trail files without a record.
    pub empty: u64,
    /// Earlier lines of files that were read again after a change.
    pub replaced: u64,
    /// Files to be read again, because a damaged segment took their events.
    pub reread: u64,
}

/// Sums over the ledger.
#[derive(Clone, Debug, Default)]
pub struct LedgerCounts {
    /// How many lines are in each state.
    pub files: FilesByState,
    /// Records that are events, duplicates and expired ones included.
    pub records: u64,
    /// Records whose event was in the index already.
    pub duplicates: u64,
    /// Records that were older than retention keeps when they were read.
    pub expired: u64,
    /// Records that share account and `eventID` with an event of other content.
    pub conflicting: u64,
    /// Records that could be read only after a repair.
    pub repaired: u64,
    /// Records that could not be read.
    pub rejected: u64,
    /// When the newest file was delivered: the time in its name, or its last change, which copying
    /// sets. None where there is no file.
    pub delivered: Option<Micros>,
    /// Events lost with a damaged segment, in files that were not read again since.
    pub lost: u64,
}

impl LedgerCounts {
    /// How many events were indexed.
    pub fn events(&self) -> u64 {
        self.records - self.duplicates - self.expired
    }
}

/// What memory keeps of a file's line. Borrowed from the line, and nothing else of it is read.
#[derive(Deserialize)]
pub(crate) struct Summary<'l> {
    number: u64,
    #[serde(borrow)]
    path: Cow<'l, str>,
    size: u64,
    mtime_ns: i64,
    state: FileState,
    records: u64,
    duplicates: u64,
    #[serde(default)]
    expired: u64,
    #[serde(default)]
    conflicting: u64,
    #[serde(default)]
    repaired: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default, borrow)]
    flags: Vec<Cow<'l, str>>,
}

impl<'r> From<&'r FileRecord> for Summary<'r> {
    fn from(record: &'r FileRecord) -> Self {
        let FileRecord { number, key, state, reading } = record;
        Self {
            number: *number,
            path: Cow::Borrowed(&key.path),
            size: key.size,
            mtime_ns: key.mtime_ns,
            state: *state,
            records: reading.records,
            duplicates: reading.duplicates,
            expired: reading.expired,
            conflicting: reading.conflicting,
            repaired: reading.repaired,
            rejected: reading.rejected,
            flags: reading.flags.iter().map(|flag| Cow::Borrowed(flag.as_str())).collect(),
        }
    }
}

/// See the module's documentation. Rows are numbered as the files are; a number that no file has is a
/// row without a line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Bytes of the ledger that count.
    pub(crate) bytes: u64,
    pub(crate) counts: LedgerCounts,
    /// Where the line is, with the file's state in the highest byte.
    places: Vec<u64>,
    /// Hash of the path.
    paths: Vec<u64>,
    /// Hash of path, size and time. Of a path's readings, two have the same with a probability of
    /// 10^-10; a change would then go unnoticed until the next.
    versions: Vec<u32>,
    /// The latest row of each path.
    latest: HashTable<u32>,
    /// Events lost of a file, by its row. Few files have lost any.
    losses: HashMap<u32, u32>,
    /// The rows of files that end too early, which are few.
    pub(crate) cut: HashSet<u32>,
    /// The key of the hashes, of 128 random bits.
    hasher: RandomState,
}

/// The flag of a file that ends too early.
const CUT_OFF: &str = "cut-off";

const NO_LINE: u64 = u64::MAX;
const STATE_SHIFT: u32 = 56;

impl Lines {
    /// Whether a line that was read from disk can be a file's: none of a writer in its senses fails.
    pub(crate) fn check(&self, file: &Summary<'_>) -> Result<(), &'static str> {
        if file.number > self.next_number() + NUMBERS_MISSING_MAX {
            return Err("the file's number is far beyond those before it");
        }
        if self.offset(file.number).is_some() {
            return Err("two files have the same number");
        }
        if file.duplicates.saturating_add(file.expired) > file.records {
            return Err("a file has more duplicates than records");
        }
        Ok(())
    }

    /// Takes in a file's line.
    pub(crate) fn add(&mut self, file: &Summary<'_>, offset: u64) {
        let row = file.number as usize;
        self.make_room(row + 1);
        let path = self.hasher.hash_one(&*file.path);
        self.places[row] = offset | (file.state as u64) << STATE_SHIFT;
        self.paths[row] = path;
        self.versions[row] = self.version(&file.path, file.size, file.mtime_ns);
        if file.flags.iter().any(|flag| flag == CUT_OFF) {
            self.cut.insert(row as u32);
        }
        let counts = &mut self.counts;
        for (sum, more) in [
            (&mut counts.records, file.records),
            (&mut counts.duplicates, file.duplicates),
            (&mut counts.expired, file.expired),
            (&mut counts.conflicting, file.conflicting),
            (&mut counts.repaired, file.repaired),
            (&mut counts.rejected, file.rejected),
        ] {
            *sum = sum.saturating_add(more);
        }
        let name = file.path.rsplit('/').next().and_then(Micros::parse_file_name);
        let changed = Micros(file.mtime_ns.div_euclid(1_000));
        counts.delivered = counts.delivered.max(Some(changed)).max(name);
        *count_of(&mut counts.files, file.state) += 1;
        let paths = &self.paths;
        match self.latest.find_mut(path, |row| paths[*row as usize] == path) {
            None => {
                self.latest.insert_unique(path, row as u32, |row| paths[*row as usize]);
            }
            Some(latest) => {
                // Two readings of a file can be in one commit, in any order; the later has the
                // higher number.
                let (older, newer) = ((*latest).min(row as u32), (*latest).max(row as u32));
                *latest = newer;
                self.supersede(older as usize, newer as usize);
            }
        }
    }

    /// Notes that a later reading takes the place of one. What that one has lost is back only if it
    /// was the same file, and could be read.
    fn supersede(&mut self, older: usize, newer: usize) {
        let is_same = self.versions[older] == self.versions[newer]
            && self.state_of(newer) == FileState::Indexed;
        if is_same && self.state_of(older) == FileState::Reread {
            self.counts.lost -= self.lost(older);
        }
        self.set_state(older, FileState::Replaced);
    }

    fn lost(&self, row: usize) -> u64 {
        self.losses.get(&(row as u32)).map_or(0, |events| u64::from(*events))
    }

    /// Takes in that a damaged segment took events of a file along. A file that is replaced cannot be
    /// read again; what it lost is counted all the same.
    pub(crate) fn lose(&mut self, loss: &Loss) {
        if self.offset(loss.file).is_none() {
            return;
        }
        let row = loss.file as usize;
        let lost = self.losses.entry(row as u32).or_default();
        let before = *lost;
        *lost = before.saturating_add(u32::try_from(loss.events).unwrap_or(u32::MAX));
        self.counts.lost += u64::from(*lost - before);
        if self.state_of(row) != FileState::Replaced {
            self.set_state(row, FileState::Reread);
        }
    }

    /// Tells an entry what later lines made of it.
    pub(crate) fn amend(&self, record: &mut FileRecord) {
        let row = record.number as usize;
        record.state = self.state_of(row);
        record.reading.lost = self.lost(row);
        if record.state == FileState::Reread {
            record.reading.reason = Some(Loss::reason(record.reading.lost));
        }
    }

    pub(crate) fn is_known(&self, key: &FileKey) -> bool {
        let path = self.hasher.hash_one(&*key.path);
        let latest = self.latest.find(path, |row| self.paths[*row as usize] == path);
        latest.is_some_and(|row| {
            let row = *row as usize;
            self.versions[row] == self.version(&key.path, key.size, key.mtime_ns)
                && self.state_of(row) != FileState::Reread
        })
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.places.len() as u64
    }

    pub(crate) fn offset(&self, number: u64) -> Option<u64> {
        let place = self.places.get(number as usize).copied().unwrap_or(NO_LINE);
        (place != NO_LINE).then_some(place & ((1 << STATE_SHIFT) - 1))
    }

    pub(crate) fn memory(&self) -> usize {
        self.places.capacity() * size_of::<u64>()
            + self.paths.capacity() * size_of::<u64>()
            + self.versions.capacity() * size_of::<u32>()
            + self.latest.allocation_size()
            + self.losses.capacity() * size_of::<(u32, u32)>()
            + self.cut.capacity() * size_of::<u32>()
    }

    fn version(&self, path: &str, size: u64, mtime_ns: i64) -> u32 {
        self.hasher.hash_one((path, size, mtime_ns)) as u32
    }

    fn state_of(&self, row: usize) -> FileState {
        FileState::ALL[(self.places[row] >> STATE_SHIFT) as usize]
    }

    fn set_state(&mut self, row: usize, state: FileState) {
        let before = self.state_of(row);
        *count_of(&mut self.counts.files, before) -= 1;
        *count_of(&mut self.counts.files, state) += 1;
        let offset = self.places[row] & ((1 << STATE_SHIFT) - 1);
        self.places[row] = offset | (state as u64) << STATE_SHIFT;
    }

    fn make_room(&mut self, rows: usize) {
        if rows <= self.places.len() {
            return;
        }
        if rows > self.places.capacity() {
            let more = rows - self.places.len() + rows / 32 + ROWS_STEP;
            self.places.reserve_exact(more);
            self.paths.reserve_exact(more);
            self.versions.reserve_exact(more);
        }
        self.places.resize(rows, NO_LINE);
        self.paths.resize(rows, 0);
        self.versions.resize(rows, 0);
    }
}

fn count_of(files: &mut FilesByState, state: FileState) -> &mut u64 {
    match state {
        FileState::Indexed => &mut files.indexed,
        FileState::Rejected => &mut files.rejected,
        FileState::Digest => &mut files.digest,
        FileState::Empty => &mut files.empty,
        FileState::Replaced => &mut files.replaced,
        FileState::Reread => &mut files.reread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever can choose names cannot choose what they are known by.
    #[test]
    fn hashes_have_a_key_of_their_own() {
        let (one, other) = (Lines::default(), Lines::default());
        assert_ne!(one.hasher.hash_one("a.json"), other.hasher.hash_one("a.json"));
        assert_ne!(one.version("a.json", 1, 1), one.version("b.json", 1, 1));
        assert_ne!(one.version("a.json", 1, 1), other.version("a.json", 1, 1));
    }
}
