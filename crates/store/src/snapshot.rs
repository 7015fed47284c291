//! What searches see: the segments of one commit, open. Immutable; a commit replaces the whole
//! snapshot, sharing the segments that stayed.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tantivy::index::SegmentId;
use tantivy::schema::Schema;

use crate::ledger::LedgerReader;
use crate::manifest::{Expired, LedgerExtent};
use segment::IndexError;
use segment::schema::Fields;
use segment::view::SegmentView;
use trail::time::Micros;

/// The place where the current snapshot is found.
pub type SnapshotCell = Arc<ArcSwap<Snapshot>>;

/// The segments of one commit, latest event first, and the ledger.
#[derive(Debug)]
pub struct Snapshot {
    /// The schema of the index.
    pub fields: Arc<Fields>,
    /// The segments of the commit, open; damaged ones are among them once they are found out.
    pub segments: Vec<Arc<SegmentView>>,
    /// The ledger, whose lines grow with later commits.
    pub files: LedgerReader,
    /// The part of the ledger that counts at this commit.
    pub(crate) ledger: LedgerExtent,
    /// What retention has dropped up to this commit.
    pub expired: Expired,
    /// When the index was begun: numbers of files are those of this index only.
    pub begun: Micros,
    /// How many commits and merges there were.
    pub commit: u64,
}

impl Snapshot {
    pub(crate) fn new(
        fields: Arc<Fields>,
        mut segments: Vec<Arc<SegmentView>>,
        files: LedgerReader,
        ledger: LedgerExtent,
    ) -> Self {
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.latest));
        Self {
            fields,
            segments,
            files,
            ledger,
            expired: Expired::default(),
            begun: Micros::default(),
            commit: 0,
        }
    }

    /// Refuses what needs a segment that is damaged: anything about events from `start` up to, and
    /// without, `end`.
    pub fn check_whole(&self, start: Micros, end: Micros) -> Result<(), IndexError> {
        let is_needed = |segment: &&Arc<SegmentView>| {
            segment.is_damaged() && segment.latest >= start && segment.earliest < end
        };
        match self.segments.iter().find(is_needed) {
            Some(segment) => Err(segment.damage()),
            None => Ok(()),
        }
    }

    /// How often a fault was noted of any segment; see [`segment::health::Health::marks`].
    pub fn marks(&self) -> u64 {
        self.segments.iter().map(|segment| segment.health.marks()).sum()
    }

    /// Whether events of different content share this id.
    pub fn has_conflict(&self, id: u64) -> bool {
        self.segments.iter().any(|segment| segment.keys.has_conflict(id))
    }

    /// tantivy's schema, which all segments share.
    pub fn schema(&self) -> &Schema {
        &self.fields.schema
    }

    /// How many events all segments hold.
    pub fn events(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.events())).sum()
    }

    /// Times of the earliest and the latest event.
    pub fn time_span(&self) -> Option<(Micros, Micros)> {
        let earliest = self.segments.iter().map(|segment| segment.earliest).min()?;
        let latest = self.segments.iter().map(|segment| segment.latest).max()?;
        Some((earliest, latest))
    }

    /// The segment that a tantivy reader belongs to.
    pub fn view(&self, id: SegmentId) -> Option<&Arc<SegmentView>> {
        self.segments.iter().find(|segment| segment.reader.segment_id() == id)
    }

    /// Whether some event has a value at this path, which is no column's.
    pub fn has_values_at(&self, path: &str) -> bool {
        self.segments.iter().any(|segment| segment.paths().contains(path))
    }

    /// Whether some event has a value below this path, which is no column's.
    pub fn has_values_below(&self, path: &str) -> bool {
        let below = format!("{path}.");
        self.segments.iter().any(|segment| {
            let mut paths = segment.paths().range(below.clone()..);
            paths.next().is_some_and(|path| path.starts_with(&below))
        })
    }

    /// Every path, of fields that are no columns, that some event has.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.segments.iter().flat_map(|segment| segment.paths()).map(String::as_str).collect()
    }
}
