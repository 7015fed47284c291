//! What searches see: the open segments of one commit. A snapshot never changes. A commit replaces
//! it by a new one, which shares the segments that stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use enrich::Enrichment;
use tantivy::index::SegmentId;
use tantivy::schema::Schema;

use crate::ledger::{Ledger, LedgerReader};
use crate::manifest::{Expired, LedgerExtent, Manifest};
use crate::verdicts::VerdictCell;
use segment::IndexError;
use segment::overflow::Reach;
use segment::schema::Fields;
use segment::view::SegmentView;
use trail::time::Micros;

/// Holds the current snapshot. A search loads it once and keeps it until it ends.
pub type SnapshotCell = Arc<ArcSwap<Snapshot>>;

/// Holds what files of the user's say of values. A search loads it once.
pub type EnrichmentCell = Arc<ArcSwap<Enrichment>>;

/// The open segments of one commit, and the ledger.
#[derive(Debug)]
pub struct Snapshot {
    /// The schema of the index.
    pub fields: Arc<Fields>,
    /// The segments, sorted by their latest event, latest first. One that is found damaged later
    /// stays and is marked.
    pub segments: Vec<Arc<SegmentView>>,
    /// The ledger, whose lines grow with later commits.
    pub files: LedgerReader,
    /// The part of the ledger that counts at this commit.
    pub(crate) ledger: LedgerExtent,
    /// What retention has dropped up to this commit.
    pub expired: Expired,
    /// When the index was begun. File numbers hold for this index only, so cursors carry it.
    pub begun: Micros,
    /// How many commits and merges the index has had.
    pub commit: u64,
    /// What digests say of the files; it changes between commits.
    pub verdicts: VerdictCell,
    /// What is looked up of values; it changes between commits. The store carries it, and never looks.
    pub enrichment: EnrichmentCell,
}

/// The segments of a snapshot that an earlier version wrote, and that are whole.
pub(crate) fn outdated(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<SegmentView>> {
    let segments = snapshot.segments.iter();
    segments.filter(|segment| segment.keys.is_outdated() && !segment.is_damaged())
}

impl Snapshot {
    /// Whether an earlier version wrote a segment that is whole: it is to be made anew.
    pub fn is_outdated(&self) -> bool {
        outdated(self).next().is_some()
    }

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
            verdicts: VerdictCell::default(),
            enrichment: EnrichmentCell::default(),
        }
    }

    /// One without a segment.
    pub(crate) fn nothing(fields: &Arc<Fields>, ledger: &Ledger) -> Self {
        let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
        Self::new(Arc::clone(fields), Vec::new(), reader, extent)
    }

    /// The same as that of a commit.
    pub(crate) fn at(self, manifest: &Manifest) -> Self {
        let Manifest { expired, begun, commit, .. } = manifest;
        Self { expired: *expired, begun: *begun, commit: *commit, ..self }
    }

    /// Fails if a damaged segment may hold events from `start` (inclusive) to `end` (exclusive).
    pub fn check_whole(&self, start: Micros, end: Micros) -> Result<(), IndexError> {
        let is_needed = |segment: &&Arc<SegmentView>| {
            segment.is_damaged() && segment.latest >= start && segment.earliest < end
        };
        match self.segments.iter().find(is_needed) {
            Some(segment) => Err(segment.damage()),
            None => Ok(()),
        }
    }

    /// The same commit with nothing but some of its segments.
    #[must_use]
    pub fn with_only(&self, is_meant: impl Fn(&SegmentView) -> bool) -> Self {
        let segments = self.segments.iter().filter(|segment| is_meant(segment));
        Self {
            fields: Arc::clone(&self.fields),
            segments: segments.map(Arc::clone).collect(),
            files: self.files.clone(),
            ledger: self.ledger.clone(),
            expired: self.expired,
            begun: self.begun,
            commit: self.commit,
            verdicts: Arc::clone(&self.verdicts),
            enrichment: Arc::clone(&self.enrichment),
        }
    }

    /// How often a fault of any segment was noted; see [`segment::health::Health::marks`].
    pub fn marks(&self) -> u64 {
        self.segments.iter().map(|segment| segment.health.marks()).sum()
    }

    /// Whether events of different content share an id, which is that of
    /// [`trail::content::EventKey`].
    pub fn has_conflict(&self, id: u64) -> bool {
        self.segments.iter().any(|segment| segment.keys.has_conflict(id))
    }

    /// The ids of [`Self::has_conflict`], in order.
    pub fn conflicts(&self) -> Vec<u64> {
        let segments = self.segments.iter();
        let mut ids: Vec<u64> =
            segments.flat_map(|segment| segment.keys.conflicts()).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// tantivy's schema, which all segments share.
    pub fn schema(&self) -> &Schema {
        &self.fields.schema
    }

    /// How many events all segments hold.
    pub fn events(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.events())).sum()
    }

    /// Times of the earliest and the latest event; None where there is no event.
    pub fn time_span(&self) -> Option<(Micros, Micros)> {
        let earliest = self.segments.iter().map(|segment| segment.earliest).min()?;
        let latest = self.segments.iter().map(|segment| segment.latest).max()?;
        Some((earliest, latest))
    }

    /// Finds the segment of this tantivy id; None where the snapshot does not have it.
    pub fn view(&self, id: SegmentId) -> Option<&Arc<SegmentView>> {
        self.segments.iter().find(|segment| segment.reader.segment_id() == id)
    }

    /// Whether some event has a value at this path, which must not be a column's.
    pub fn has_values_at(&self, path: &str) -> bool {
        let is_there = |segment: &Arc<SegmentView>| {
            segment.paths().contains(path) || segment.has_overflow(path, Reach::At)
        };
        self.segments.iter().any(is_there)
    }

    /// Whether some event has a value below this path, which must not be a column's.
    pub fn has_values_below(&self, path: &str) -> bool {
        let below = format!("{path}.");
        self.segments.iter().any(|segment| {
            let mut paths = segment.paths().range(below.clone()..);
            paths.next().is_some_and(|path| path.starts_with(&below))
                || segment.has_overflow(path, Reach::Below)
        })
    }

    /// Whether [`Self::paths`] are all; see [`SegmentView::lists_all_paths`].
    pub fn lists_all_paths(&self) -> bool {
        self.segments.iter().all(|segment| segment.lists_all_paths())
    }

    /// The paths of fields that some event has and that are no columns.
    pub fn paths(&self) -> BTreeSet<&str> {
        self.segments.iter().flat_map(|segment| segment.paths()).map(String::as_str).collect()
    }
}
