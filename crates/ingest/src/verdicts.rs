//! What the scanner knows of files that are no trail's: those that it has looked into, and a list for
//! people.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::limits::IGNORED_LISTED_MAX;
use segment::file::FileKey;

/// Verdicts that are kept, of 32 bytes; further files are looked into by every scan.
const VERDICTS_MAX: usize = 1 << 20;

/// Files whose name says nothing and whose content is no trail's, by path, size and time.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    none: HashMap<u64, Verdict>,
    /// The key of the hashes.
    hasher: RandomState,
}

#[derive(Debug)]
struct Verdict {
    /// Of path, size and time.
    file: u64,
    /// Whether the file was met since the last walk ended.
    is_met: bool,
}

impl Verdicts {
    /// Whether the file as it is now was found to be no trail.
    pub(crate) fn is_none(&mut self, key: &FileKey) -> bool {
        let file = self.hasher.hash_one(key);
        let verdict = self.none.get_mut(&self.hasher.hash_one(&key.path));
        verdict.is_some_and(|verdict| {
            verdict.is_met = true;
            verdict.file == file
        })
    }

    /// Notes that the file as it is now is no trail.
    pub(crate) fn note_none(&mut self, key: &FileKey) {
        let path = self.hasher.hash_one(&key.path);
        if self.none.len() < VERDICTS_MAX || self.none.contains_key(&path) {
            self.none.insert(path, Verdict { file: self.hasher.hash_one(key), is_met: true });
        }
    }

    /// Forgets the files that a walk over everything, which ends now, has not met: they are gone.
    pub(crate) fn end_walk(&mut self) {
        self.none.retain(|_, verdict| std::mem::take(&mut verdict.is_met));
    }
}

/// Files that are no trail's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored {
    pub(crate) count: u64,
    /// The first of them, and why.
    pub(crate) listed: Vec<(String, &'static str)>,
}

impl Ignored {
    pub(crate) fn note(&mut self, path: &str, reason: &'static str) {
        self.count += 1;
        if self.listed.len() < IGNORED_LISTED_MAX {
            self.listed.push((path.to_owned(), reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_holds_for_a_file_as_it_is() {
        let key = |size, mtime_ns| FileKey { path: "a".to_owned(), size, mtime_ns };
        let mut verdicts = Verdicts::default();
        assert!(!verdicts.is_none(&key(1, 1)));
        verdicts.note_none(&key(1, 1));
        assert!(verdicts.is_none(&key(1, 1)));
        assert!(!verdicts.is_none(&key(2, 1)) && !verdicts.is_none(&key(1, 2)));
        verdicts.note_none(&key(2, 1));
        assert!(verdicts.is_none(&key(2, 1)) && !verdicts.is_none(&key(1, 1)));
        verdicts.end_walk();
        assert!(verdicts.is_none(&key(2, 1)), "it was met before");
        verdicts.end_walk();
        verdicts.end_walk();
        assert!(!verdicts.is_none(&key(2, 1)) && verdicts.none.is_empty(), "it is gone");
    }
}
