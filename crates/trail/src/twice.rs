//! Keys that an object has twice. JSON readers (jq, Python, Go) take the last value of such a key, so what
//! is derived follows the last; the others stay searchable.

use std::collections::HashMap;

use crate::limits::PATHS_MAX;
use crate::paths::PathId;

/// The keys of a record's objects, as a walk meets them.
///
/// A path is a key of one object at a time, so its place tells in which object it was met last; an object
/// has a number that no other has, of any record. Keys too deep for a path of their own are kept as texts.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Numbers of objects begin here; those of earlier records are below.
    base: u64,
    end: u64,
    /// By path: the object where it was met last, and the place of the key in the record.
    met: Vec<(u64, u32)>,
    deep: HashMap<(u64, Box<str>), u32>,
    overridden: Vec<u32>,
}

impl Keys {
    /// Begins a record.
    pub(crate) fn clear(&mut self) {
        self.base = self.end;
        self.overridden.clear();
        if !self.deep.is_empty() {
            self.deep.clear();
        }
        if self.met.len() > PATHS_MAX {
            self.met = Vec::new();
        }
    }

    /// Takes in the key at place `at` of the object at place `object`.
    pub(crate) fn meet(
        &mut self,
        object: usize,
        at: usize,
        (parent, path): (PathId, PathId),
        key: &str,
    ) {
        let object = self.base + 1 + object as u64;
        self.end = self.end.max(object);
        let at = at as u32;
        if path == parent {
            self.overridden.extend(self.deep.insert((object, key.into()), at));
            return;
        }
        if self.met.len() <= path.index() {
            self.met.resize(path.index() + 1, (0, 0));
        }
        let before = std::mem::replace(&mut self.met[path.index()], (object, at));
        if before.0 == object {
            self.overridden.push(before.1);
        }
    }

    /// The places of keys that come again in their object, in order.
    pub(crate) fn take_overridden(&mut self) -> Vec<u32> {
        let mut places = std::mem::take(&mut self.overridden);
        places.sort_unstable();
        places
    }
}
