//! How often the process was killed in the middle of the same kind of work.
//!
//! A machine may have too little memory for the work at hand. Then the system kills the process at every
//! start. So a small file says which work is under way. After two such ends in a row, the work is done
//! in smaller pieces, until the process is stopped in order.
//!
//! The file is a note: where it is missing or does not read as one, nothing has happened.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use segment::disk::Disk;
use segment::{lock, regular};

/// Name of the file in the data directory.
pub(crate) const NAME: &str = "attempts.json";

/// From so many kills at the same work on, it is not taken for chance.
const KILLS: u32 = 2;

/// Work that can take more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reading files, up to the next commit.
    Batch,
    /// A merge.
    Merge,
}

/// Times that each work was begun and not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counts {
    batch: u32,
    merge: u32,
}

impl Counts {
    fn of(&mut self, work: Work) -> &mut u32 {
        match work {
            Work::Batch => &mut self.batch,
            Work::Merge => &mut self.merge,
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Attempts {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    noted: Mutex<Noted>,
}

/// Bytes of the file with them.
const COUNTS_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug)]
struct Noted {
    /// Of the processes before.
    found: Counts,
    written: Counts,
    /// Whether files were committed since the index was opened: later batches are not noted, each of
    /// which would wait for the disk.
    has_committed: bool,
}

impl Attempts {
    pub(crate) fn read(data_dir: &Path, disk: Arc<dyn Disk>) -> Arc<Self> {
        let path = data_dir.join(NAME);
        let found: Counts = regular::read(&path, COUNTS_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let noted = Noted { found, written: found, has_committed: false };
        let attempts = Self { path, disk, noted: Mutex::new(noted) };
        for note in attempts.notes() {
            tracing::warn!("{note}");
        }
        Arc::new(attempts)
    }

    /// How many times in a row the process was killed at this work; 0 where it was once, which can be
    /// chance.
    pub fn kills(&self, work: Work) -> u32 {
        lock(&self.noted).kills(work)
    }

    /// What to tell of it, one sentence for each work.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (batch, merge) = (self.kills(Work::Batch), self.kills(Work::Merge));
        if batch > 0 {
            notes.push(format!(
                "the daemon was killed {batch} times in a row while it read files, perhaps for want of \
                 memory: it reads one file at a time into smaller segments now, until it is stopped \
                 in order (`traildex check-config` prints what memory it needs)"
            ));
        }
        if merge > 0 {
            notes.push(format!(
                "the daemon was killed {merge} times in a row while it merged segments, perhaps for want \
                 of memory: it merges fewer at a time now, or none, until it is stopped in order \
                 (`traildex check-config` prints what memory it needs)"
            ));
        }
        notes
    }

    /// Notes on disk that a work begins; of batches, the first until it is committed.
    pub fn begin(&self, work: Work) {
        let mut noted = lock(&self.noted);
        if work == Work::Batch && noted.has_committed {
            return;
        }
        let mut counts = noted.written;
        *counts.of(work) = *noted.found.of(work) + 1;
        self.write(&mut noted, counts);
    }

    /// Notes that a work ended.
    pub fn end(&self, work: Work) {
        let mut noted = lock(&self.noted);
        noted.has_committed |= work == Work::Batch;
        // Once it is done smaller, nothing says that it need not be.
        *noted.found.of(work) = noted.kills(work);
        let mut counts = noted.written;
        *counts.of(work) = *noted.found.of(work);
        self.write(&mut noted, counts);
    }

    /// Notes that all work ended, and nothing killed the process.
    pub fn end_all(&self) {
        let mut noted = lock(&self.noted);
        noted.found = Counts::default();
        self.write(&mut noted, Counts::default());
    }

    fn write(&self, noted: &mut Noted, counts: Counts) {
        if counts == noted.written {
            return;
        }
        let written = if counts == Counts::default() {
            self.disk.remove(&self.path)
        } else {
            let bytes = serde_json::to_vec(&counts).unwrap_or_default();
            self.disk.write_at(&self.path, 0, &bytes)
        };
        match written {
            Ok(()) => noted.written = counts,
            Err(error) => tracing::debug!(path = %self.path.display(), %error, "cannot note work"),
        }
    }
}

impl Noted {
    fn kills(&self, work: Work) -> u32 {
        let kills = *{ self.found }.of(work);
        if kills < KILLS { 0 } else { kills }
    }
}

#[cfg(test)]
mod tests {
    use segment::disk::RealDisk;

    use super::*;

    fn read(dir: &Path) -> Arc<Attempts> {
        Attempts::read(dir, Arc::new(RealDisk))
    }

    fn kills(dir: &Path) -> (u32, u32) {
        let attempts = read(dir);
        (attempts.kills(Work::Batch), attempts.kills(Work::Merge))
    }

    #[test]
    fn ends_in_the_same_work_are_counted_until_a_stop() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for before in [0, 0, 2, 3] {
            assert_eq!(kills(dir), (0, before));
            let attempts = read(dir);
            // Files are read and committed meanwhile.
            attempts.begin(Work::Batch);
            attempts.begin(Work::Merge);
            attempts.end(Work::Batch);
        }
        assert_eq!(kills(dir), (0, 4));
        let attempts = read(dir);
        assert_eq!(attempts.notes().len(), 1);
        attempts.begin(Work::Merge);
        attempts.end(Work::Merge);
        assert_eq!(kills(dir), (0, 4), "one that was small says nothing of large ones");
        attempts.end_all();
        assert_eq!(kills(dir), (0, 0));
        assert!(!dir.join(NAME).exists());
    }

    #[test]
    fn an_end_forgets_what_is_no_row() {
        let dir = tempfile::tempdir().unwrap();
        read(dir.path()).begin(Work::Merge);
        let attempts = read(dir.path());
        attempts.begin(Work::Merge);
        attempts.end(Work::Merge);
        attempts.begin(Work::Merge);
        assert_eq!(kills(dir.path()), (0, 0));
    }

    #[test]
    fn a_note_that_cannot_be_read_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), b"{\"merge\": 9").unwrap();
        assert_eq!(kills(dir.path()), (0, 0));
    }
}
