//! The files that have not settled, which the scanner looks at again later.
//!
//! At most [`WAITING_MAX`], ordered by when they are due.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::walk::age;
use segment::file::FileKey;

/// Files that are waited for at a time. At some 800 bytes each this is 3 MB, however large a tree
/// appears at once.
pub(crate) const WAITING_MAX: usize = 4_096;

/// The shortest pause before a file is looked at again.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(20);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    files: HashMap<PathBuf, Unsettled>,
    /// When each is looked at next.
    looks: BTreeSet<(Instant, PathBuf)>,
}

#[derive(Debug)]
struct Unsettled {
    key: FileKey,
    /// It must not have changed for this long.
    quiet: Duration,
    /// When it was first seen as it is. Its time may lie in the future.
    since: Instant,
    next_look: Instant,
}

impl Waiting {
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() >= WAITING_MAX
    }

    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Waits until a file has not changed for this long. Returns what it was before, where it was
    /// waited for and has changed.
    pub(crate) fn put(&mut self, key: FileKey, quiet: Duration) -> Option<FileKey> {
        let path = PathBuf::from(&key.path);
        let before = self.take(&path);
        let now = Instant::now();
        let (since, changed) = match before {
            Some(before) if before.key == key => (before.since, None),
            Some(before) => (now, Some(before.key)),
            None => (now, None),
        };
        let left = quiet.saturating_sub(age(&key).max(since.elapsed()));
        let next_look = now + left.max(LOOK_PAUSE_MIN);
        self.looks.insert((next_look, path.clone()));
        self.files.insert(path, Unsettled { key, quiet, since, next_look });
        changed
    }

    /// Waits no longer.
    pub(crate) fn remove(&mut self, path: &Path) -> Option<FileKey> {
        self.take(path).map(|unsettled| unsettled.key)
    }

    fn take(&mut self, path: &Path) -> Option<Unsettled> {
        let (path, unsettled) = self.files.remove_entry(path)?;
        self.looks.remove(&(unsettled.next_look, path));
        Some(unsettled)
    }

    /// When the next file is due.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// A file that is due, if any.
    pub(crate) fn due(&self) -> Option<PathBuf> {
        let (at, path) = self.looks.first()?;
        (*at <= Instant::now()).then(|| path.clone())
    }

    /// Whether a file, found as it is now, has settled; else how long it must be quiet.
    pub(crate) fn check(&self, path: &Path, found: &FileKey) -> Result<(), Duration> {
        let Some(Unsettled { key, quiet, since, .. }) = self.files.get(path) else {
            return Ok(());
        };
        let has_settled = key == found && age(key).max(since.elapsed()) >= *quiet;
        if has_settled { Ok(()) } else { Err(*quiet) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, size: u64, age: Duration) -> FileKey {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mtime_ns = now.saturating_sub(age).as_nanos() as i64;
        FileKey { path: path.to_owned(), size, mtime_ns }
    }

    #[test]
    fn the_first_due_comes_first_and_a_change_begins_anew() {
        let mut waiting = Waiting::default();
        let (fresh, old) = (Duration::ZERO, Duration::from_mins(1));
        let later = key("later", 1, fresh);
        assert_eq!(waiting.put(later.clone(), Duration::from_mins(1)), None);
        assert_eq!(waiting.put(key("sooner", 1, old), Duration::from_millis(1)), None);
        assert_eq!(waiting.due(), None);
        std::thread::sleep(LOOK_PAUSE_MIN);
        assert_eq!(waiting.due(), Some("sooner".into()));
        assert_eq!(waiting.check(Path::new("later"), &later), Err(Duration::from_mins(1)));
        let changed = key("later", 2, fresh);
        assert_eq!(waiting.put(changed.clone(), Duration::from_millis(1)), Some(later));
        assert_eq!(waiting.remove(Path::new("sooner")).map(|key| key.size), Some(1));
        std::thread::sleep(LOOK_PAUSE_MIN);
        assert_eq!(waiting.due(), Some("later".into()));
        assert_eq!(waiting.check(Path::new("later"), &changed), Ok(()));
        assert_eq!(waiting.remove(Path::new("later")), Some(changed));
        assert_eq!((waiting.due(), waiting.next_look()), (None, None));
    }

    #[test]
    fn a_time_in_the_future_settles_by_our_own_clock() {
        let mut waiting = Waiting::default();
        let mut future = key("future", 1, Duration::ZERO);
        future.mtime_ns += 3_600_000_000_000;
        waiting.put(future.clone(), Duration::from_millis(30));
        assert!(waiting.check(Path::new("future"), &future).is_err());
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(waiting.check(Path::new("future"), &future), Ok(()));
    }
}
