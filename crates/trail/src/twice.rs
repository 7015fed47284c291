//! Whether an object of a record may have a key twice. JSON readers (jq, Python, Go) take the last value of
//! such a key, so what is derived follows the last; the others stay searchable. The same goes for a key with
//! dots beside its nested form (`a.b` beside `a`), which is one path to a search: those readers know the
//! nested form only, so what is derived follows that.

use std::collections::HashSet;

use crate::limits::PATHS_MAX;
use crate::paths::PathId;

/// The keys of a record's objects, as a walk meets them. That a record has none twice, as nearly all, is known
/// without a second look.
///
/// For each path: the object that had it last. The same path again in the same object is a key that comes
/// twice. Objects are numbered across records, so nothing is cleared between them. Keys too deep for a path
/// of their own are kept as texts.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Numbers of objects begin here; those of earlier records are below.
    base: u64,
    end: u64,
    met: Vec<u64>,
    deep: HashSet<(u64, Box<str>)>,
    may_be_twice: bool,
}

impl Keys {
    /// Begins a record.
    pub(crate) fn clear(&mut self) {
        self.base = self.end;
        self.may_be_twice = false;
        if !self.deep.is_empty() {
            self.deep.clear();
        }
        if self.met.len() > PATHS_MAX {
            self.met = Vec::new();
        }
    }

    /// Takes in a key of the object at a place of the record.
    pub(crate) fn meet(
        &mut self,
        object: usize,
        (parent, path): (PathId, PathId),
        key: &str,
        is_dotted: bool,
    ) {
        let object = self.base + 1 + object as u64;
        self.end = self.end.max(object);
        self.may_be_twice |= is_dotted;
        if path == parent {
            self.may_be_twice |= !self.deep.insert((object, key.into()));
            return;
        }
        if self.met.len() <= path.index() {
            self.met.resize(path.index() + 1, 0);
        }
        let before = std::mem::replace(&mut self.met[path.index()], object);
        self.may_be_twice |= before == object;
    }

    /// Whether an object of the record has a key twice, or one with dots.
    pub(crate) fn may_be_twice(&self) -> bool {
        self.may_be_twice
    }
}
