//! Searches among the events that have come into the index since a file.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::index::SegmentId;
use tantivy::query::{AllQuery, BitSetDocSet, ConstScorer};
use tantivy::{BitSet, DocId};

use super::search_among;
use crate::arrivals::next_arrival;
use crate::clauses::{Clause, Context};
use segment::IndexError;
use segment::docsets::Docs;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use wire::engine::Cancel;
use wire::{ApiError, SearchRequest, SearchResponse};

/// The events of a snapshot that came in with some file or later ones. They are found once, however many
/// searches there are.
#[derive(Debug)]
pub struct Arrived {
    snapshot: Arc<Snapshot>,
    /// The events of segments that have others, too.
    some: Arc<HashMap<SegmentId, BitSet>>,
    events: u64,
}

impl Arrived {
    /// Finds the events of files from a number on.
    pub fn since(snapshot: &Snapshot, file: u64) -> Self {
        let snapshot = snapshot.with_only(|segment| segment.last_file() >= file);
        let (mut some, mut events) = (HashMap::new(), 0);
        for segment in &snapshot.segments {
            let count = segment.events();
            if segment.first_file() >= file {
                events += u64::from(count);
                continue;
            }
            let found = found(segment, file);
            events += found.len() as u64;
            some.insert(segment.reader.segment_id(), found);
        }
        Self { snapshot: Arc::new(snapshot), some: Arc::new(some), events }
    }

    /// How many there are.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Answers a search request with nothing but these events.
    pub fn search(
        &self,
        request: &SearchRequest,
        now: Timestamp,
        cancel: &Cancel,
    ) -> Result<SearchResponse, ApiError> {
        let among = (!self.some.is_empty()).then(|| ArrivedClause(Arc::clone(&self.some)));
        search_among(&self.snapshot, among, request, now, cancel)
    }
}

/// The number of the file behind all files whose events a snapshot has.
pub fn next_file(snapshot: &Snapshot) -> u64 {
    next_arrival(snapshot).0
}

fn found(segment: &SegmentView, file: u64) -> BitSet {
    let mut found = BitSet::with_max_value(segment.events());
    for doc in (0..segment.events()).filter(|doc: &DocId| segment.file(*doc) >= file) {
        found.insert(doc);
    }
    found
}

/// Events of [`Arrived`].
#[derive(Clone, Debug)]
pub(crate) struct ArrivedClause(Arc<HashMap<SegmentId, BitSet>>);

impl Clause for ArrivedClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        match self.0.get(&context.segment.reader.segment_id()) {
            None => context.query(&AllQuery),
            Some(found) => Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found.clone()), 1.0))),
        }
    }
}
