//! What the scanner knows of files that are no trail's: those that it has looked into, and a list for
//! people.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::limits::IGNORED_LISTED_MAX;
use segment::file::FileKey;

/// Verdicts that are kept, of 24 bytes; further files are looked into by every scan.
const VERDICTS_MAX: usize = 1 << 20;

/// Files whose name says nothing and whose content is no trail's, by path, size and time.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    none: HashMap<u64, u64>,
    /// The key of the hashes.
    hasher: RandomState,
}

impl Verdicts {
    /// Whether the file as it is now was found to be no trail.
    pub(crate) fn is_none(&self, key: &FileKey) -> bool {
        self.none.get(&self.hasher.hash_one(&key.path)) == Some(&self.hasher.hash_one(key))
    }

    /// Notes that the file as it is now is no trail.
    pub(crate) fn note_none(&mut self, key: &FileKey) {
        let path = self.hasher.hash_one(&key.path);
        if self.none.len() < VERDICTS_MAX || self.none.contains_key(&path) {
            self.none.insert(path, self.hasher.hash_one(key));
        }
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
    }
}
