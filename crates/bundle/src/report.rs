//! `data/reports/bundle.json`: what was asked, what the bag has, and why it is not complete if it is not.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::limits::{REASONS_BYTES_MAX, REASONS_MAX};

/// The format of the bag's content that this program writes and reads.
pub const FORMAT: u32 = 1;

/// What a bag says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The format of the content; a reader refuses one that it does not know.
    pub format: u32,
    /// The version of the program that made it.
    pub traildex: String,
    /// When it was made: what `--time` said, or when it was begun. RFC 3339.
    pub time: String,
    /// Whether it has all events that the index has for the query, with their originals, and nothing is
    /// known to be missing of what was asked for.
    pub complete: bool,
    /// Why it is not complete; empty if it is.
    pub reasons: Vec<Reason>,
    /// Reasons that the list leaves out.
    pub reasons_left_out: u64,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// What was asked.
    pub query: Query,
    /// Only the records, and not the files that they are from.
    pub records_only: bool,
    /// What is there.
    pub counts: Counts,
    /// Folders of the bag, and what they are a copy of, where the user has said that.
    pub roots: Vec<BagRoot>,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// As it was typed.
    pub text: String,
    /// As it was understood.
    pub parsed: String,
    /// The same as a tree.
    pub tree: Tree,
    /// Earliest time, inclusive, of what was asked for beside the query; none is no bound.
    pub start: Option<String>,
    /// Latest time, exclusive; the same.
    pub end: Option<String>,
    /// The zone of times without an offset in the query.
    pub time_zone: Option<String>,
}

/// A query as a tree: any JSON, which is not taken apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree(Box<RawValue>);

impl Tree {
    /// The JSON of a query.
    pub fn of(query: &impl Serialize) -> Self {
        to_raw_value(query).map_or_else(|_| Self::default(), Self)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events in the bag.
    pub events: u64,
    /// Events that the index had for the query's conditions when the bag was finished.
    pub events_found: u64,
    /// Events whose original is in the bag, with the record at its place.
    pub events_in_originals: u64,
    /// Of them, events of tables: the file is the one that was indexed; its rows are not read again.
    pub events_in_tables: u64,
    /// The earliest event's time.
    pub first: Option<String>,
    /// The latest event's time.
    pub last: Option<String>,
    /// Files that the events are from, in the bag or not.
    pub files: u64,
    /// Of them, those that are in the bag.
    pub originals: u64,
    /// Digest files in the bag.
    pub digests: u64,
    /// Metadata of digests in the bag.
    pub metadata: u64,
    /// Public keys in the bag.
    pub keys: u64,
}

impl Counts {
    /// Takes the time of an event into `first` and `last`.
    pub fn see_time(&mut self, time: &str) {
        // Times have fractions of a second or none: without the `Z`, they are in the order of text.
        let key = |time: &str| time.trim_end_matches('Z').to_owned();
        if self.first.as_deref().is_none_or(|first| key(time) < key(first)) {
            self.first = Some(time.to_owned());
        }
        if self.last.as_deref().is_none_or(|last| key(last) < key(time)) {
            self.last = Some(time.to_owned());
        }
    }
}

/// A folder of the bag, and what it is a copy of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BagRoot {
    /// In the bag.
    pub folder: String,
    /// In S3.
    pub bucket: String,
    /// Empty, or ends in a slash.
    pub prefix: String,
}

/// What a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Events that the query finds, and the bag does not have.
    Events,
    /// Originals that are gone, changed, or cannot be read.
    Originals,
    /// Digests that should be there.
    Digests,
    /// The index: what is damaged, waits, could not be read, or changed meanwhile.
    Index,
    /// What the archive does not have of what was asked for.
    Coverage,
}

/// Why a bag is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it is about.
    pub about: About,
    /// The reason, for a person.
    pub reason: String,
}

/// Reasons as they are found; of each kind a bounded number, and of all bounded bytes.
#[derive(Clone, Debug, Default)]
pub struct Reasons {
    kept: Vec<Reason>,
    bytes: usize,
    left_out: u64,
}

impl Reasons {
    /// Adds one.
    pub fn add(&mut self, about: About, reason: impl Into<String>) {
        let of_kind = self.kept.iter().filter(|kept| kept.about == about).count();
        let reason = reason.into();
        if of_kind < REASONS_MAX && self.bytes + reason.len() <= REASONS_BYTES_MAX {
            self.bytes += reason.len();
            self.kept.push(Reason { about, reason });
        } else {
            self.left_out += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.left_out == 0
    }

    /// The reasons by what they are about, and how many more there are.
    pub fn end(mut self) -> (Vec<Reason>, u64) {
        self.kept.sort_by_key(|kept| kept.about);
        (self.kept, self.left_out)
    }
}
