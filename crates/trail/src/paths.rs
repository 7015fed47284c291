//! The table of field paths: each path of a record is a small number, found without building text.
//!
//! A path's text has its parts separated by [`SEPARATOR`], as tantivy keeps the paths of a JSON field.
//! A key that contains dots is taken as several parts, so `{"a.b":1}` and `{"a":{"b":1}}` are both
//! the field `a.b`.
//!
//! Invariants: a path has at most `PATH_DEPTH_MAX` parts and `PATH_BYTES_MAX` bytes, and never holds a
//! NUL, which ends a path in the index. Keys beyond these bounds are cut, not dropped.

use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::columns::ColumnId;
use crate::known::known_paths;
use crate::limits::{
    KEY_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX, PATH_TABLE_BYTES_MAX, PATHS_MAX,
};
use crate::outcome::Sign;
use crate::seeded::Seeded;
use crate::target::Place;
use crate::words::shorten;

pub use crate::known::is_known;

/// Separates the parts of a path in the index, as tantivy does.
pub const SEPARATOR: char = '\u{1}';

/// A path, by its place in a worker's table of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathId(u32);

impl PathId {
    /// The path of the record itself.
    pub const ROOT: Self = Self(0);

    /// The place as a number, for tables that run beside the table of paths.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identifies one filling of a path table, so that a [`PathId`] is never used with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the value at a path is to the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A value of this column.
    Column(ColumnId),
    /// `eventTime`.
    EventTime,
    /// `@timestamp`, which exports write in place of `eventTime`.
    Timestamp,
    /// `timeWindow.windowStart`, the time of an aggregated record.
    WindowStart,
    /// A field like any other, of which something is derived.
    Noted(Note),
    /// Any other field.
    Other,
}

/// What is derived of a field that is no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// `userIdentity.onBehalfOf.userId`.
    OnBehalfOf,
    /// `accountId` of an aggregated record.
    Account,
    /// `insightDetails.eventName`.
    InsightName,
    /// `sessionCredentialFromConsole`.
    ConsoleSession,
    /// What came of the call.
    Sign(Sign),
    /// What the call touched.
    Target(&'static Place),
}

impl Note {
    fn of(path: &str) -> Option<Self> {
        match path {
            "userIdentity.onBehalfOf.userId" => Some(Self::OnBehalfOf),
            "accountId" => Some(Self::Account),
            "insightDetails.eventName" => Some(Self::InsightName),
            "sessionCredentialFromConsole" => Some(Self::ConsoleSession),
            path => Place::at(path).map(Self::Target).or_else(|| Sign::at(path).map(Self::Sign)),
        }
    }
}

/// The meanings of the known paths, which take long to find: each parser meets most of these paths anew.
static OF_KNOWN: LazyLock<HashMap<&str, Meaning, Seeded>> =
    LazyLock::new(|| known_paths().map(|path| (path, Meaning::find(path))).collect());

impl Meaning {
    fn of(path: &str) -> Self {
        OF_KNOWN.get(path).copied().unwrap_or_else(|| Self::find(path))
    }

    fn find(path: &str) -> Self {
        match path {
            "eventTime" => Self::EventTime,
            "@timestamp" => Self::Timestamp,
            "timeWindow.windowStart" => Self::WindowStart,
            path => match ColumnId::at_path(path) {
                Some(id) => Self::Column(id),
                None => Note::of(path).map_or(Self::Other, Self::Noted),
            },
        }
    }
}

#[derive(Debug)]
struct Entry {
    parent: PathId,
    key: Box<str>,
    text: Box<str>,
    depth: u32,
    meaning: Meaning,
    /// Whether its key has dots, and so is several parts.
    is_dotted: bool,
}

/// Every path seen by one worker.
#[derive(Debug)]
pub(crate) struct Paths {
    entries: Vec<Entry>,
    /// Of their keys and texts: a key can be as long as a record.
    bytes: usize,
    by_parent_and_key: HashTable<u32>,
    hash: Seeded,
    generation: Generation,
}

impl Default for Paths {
    fn default() -> Self {
        let root = Entry {
            parent: PathId::ROOT,
            key: "".into(),
            text: "".into(),
            depth: 0,
            meaning: Meaning::Other,
            is_dotted: false,
        };
        Self {
            entries: vec![root],
            bytes: 0,
            by_parent_and_key: HashTable::new(),
            hash: Seeded::default(),
            generation: Generation::next(),
        }
    }
}

impl Paths {
    /// The path of `key` under `parent`.
    pub(crate) fn child(&mut self, parent: PathId, key: &str) -> PathId {
        let hash = self.hash.hash_one((parent, key));
        let found = self.by_parent_and_key.find(hash, |&id| {
            let entry = &self.entries[id as usize];
            entry.parent == parent && *entry.key == *key
        });
        match found {
            Some(&id) => PathId(id),
            None => self.insert(hash, parent, key),
        }
    }

    fn insert(&mut self, hash: u64, parent: PathId, key: &str) -> PathId {
        let ancestor = &self.entries[parent.0 as usize];
        if ancestor.depth == PATH_DEPTH_MAX {
            return parent;
        }
        let text = child_text(&ancestor.text, key);
        let meaning = Meaning::of(&text.replace(SEPARATOR, "."));
        let id = self.entries.len() as u32;
        self.bytes += key.len() + text.len();
        self.entries.push(Entry {
            parent,
            key: key.into(),
            text: text.into(),
            depth: ancestor.depth + 1,
            meaning,
            is_dotted: key.contains('.'),
        });
        let Self { entries, hash: seeded, .. } = self;
        self.by_parent_and_key.insert_unique(hash, id, |&id| {
            let entry = &entries[id as usize];
            seeded.hash_one((entry.parent, &*entry.key))
        });
        PathId(id)
    }

    /// The path's text, its parts separated by [`SEPARATOR`].
    pub(crate) fn text(&self, id: PathId) -> &str {
        &self.entries[id.0 as usize].text
    }

    pub(crate) fn meaning(&self, id: PathId) -> Meaning {
        self.entries[id.0 as usize].meaning
    }

    /// Whether the path's last key has dots.
    pub(crate) fn is_dotted(&self, id: PathId) -> bool {
        self.entries[id.0 as usize].is_dotted
    }

    /// Whether there are no more than those of a few real archives.
    pub(crate) fn are_few(&self) -> bool {
        const PATHS_FEW: usize = 4_000;
        const BYTES_FEW: usize = 512 << 10;
        self.entries.len() <= PATHS_FEW && self.bytes <= BYTES_FEW
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// To be called between records: starts anew when the table is full. Ids from before are void,
    /// which the generation tells.
    pub(crate) fn trim(&mut self) {
        if self.entries.len() > PATHS_MAX || self.bytes > PATH_TABLE_BYTES_MAX {
            *self = Self::default();
        }
    }
}

fn child_text(parent: &str, key: &str) -> String {
    let mut part: String = key
        .chars()
        .map(|c| match c {
            '.' => SEPARATOR,
            '\0' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect();
    shorten(&mut part, KEY_BYTES_MAX);
    if parent.is_empty() {
        return part;
    }
    let mut text = format!("{parent}{SEPARATOR}{part}");
    shorten(&mut text, PATH_BYTES_MAX);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns;

    fn path(paths: &mut Paths, keys: &[&str]) -> PathId {
        keys.iter().fold(PathId::ROOT, |parent, key| paths.child(parent, key))
    }

    #[test]
    fn the_same_keys_are_the_same_path() {
        let mut paths = Paths::default();
        let one = path(&mut paths, &["userIdentity", "arn"]);
        assert_eq!(one, path(&mut paths, &["userIdentity", "arn"]));
        assert_ne!(one, path(&mut paths, &["arn"]));
        assert_eq!(paths.text(one), "userIdentity\u{1}arn");
        assert_eq!(paths.meaning(one), Meaning::Column(columns::IDENTITY_ARN));
    }

    #[test]
    fn a_key_with_dots_is_the_nested_path() {
        let mut paths = Paths::default();
        let dotted = path(&mut paths, &["userIdentity.arn"]);
        assert_eq!(paths.text(dotted), "userIdentity\u{1}arn");
        assert_eq!(paths.meaning(dotted), Meaning::Column(columns::IDENTITY_ARN));
    }

    #[test]
    fn hostile_keys_are_cut_not_dropped() {
        let mut paths = Paths::default();
        let long = path(&mut paths, &[&"k".repeat(1 << 20)]);
        assert_eq!(paths.text(long).len(), KEY_BYTES_MAX);
        let nul = path(&mut paths, &["a\0b"]);
        assert_eq!(paths.text(nul), "a\u{fffd}b");
        let deep = path(&mut paths, &vec!["d"; 100]);
        assert_eq!(deep, path(&mut paths, &vec!["d"; PATH_DEPTH_MAX as usize]));
        let wide = path(&mut paths, &vec!["w".repeat(100).as_str(); 30]);
        assert!(paths.text(wide).len() <= PATH_BYTES_MAX);
    }

    #[test]
    fn a_full_table_starts_anew() {
        let mut paths = Paths::default();
        for n in 0..=PATHS_MAX {
            paths.child(PathId::ROOT, &n.to_string());
        }
        paths.trim();
        assert_eq!(paths.entries.len(), 1);
        for n in 0..20 {
            paths.child(PathId::ROOT, &n.to_string().repeat(1 << 20));
        }
        paths.trim();
        assert_eq!(paths.entries.len(), 1, "keys of a megabyte fill it sooner");
    }
}
