//! Events in the order in which they came into the index.
//!
//! Files are numbered as they are read, and committed in the order of their numbers: nobody reads into a
//! batch before all of the one before are closed (`ingest/batch.rs`). So what a later commit adds has
//! higher numbers than all that was there, and merges change no event's number.

use tantivy::TERMINATED;
use tantivy::query::{EnableScoring, Query};

use crate::collect::Match;
use segment::IndexError;
use store::snapshot::Snapshot;

/// Events looked at between two looks at the deadline.
const CHECK_STEP: u32 = 1 << 14;

/// Where an event came in: the number of its file, and the byte in it.
pub type Arrival = (u64, u64);

/// The first place behind everything that has come.
pub fn next_arrival(snapshot: &Snapshot) -> Arrival {
    let files = snapshot.segments.iter().map(|segment| segment.last_file());
    // The first file of an index is number 0.
    (files.max().map_or(0, |last| last + 1), 0)
}

/// The first events that match and came in at `from` or behind it, in order. Fewer than `limit` are all.
pub fn arrivals<E: From<IndexError>>(
    snapshot: &Snapshot,
    query: &dyn Query,
    from: Arrival,
    limit: usize,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Vec<Match>, E> {
    let weight = query
        .weight(EnableScoring::disabled_from_schema(snapshot.schema()))
        .map_err(|error| E::from(error.into()))?;
    let mut found: Vec<(Arrival, Match)> = Vec::new();
    for segment in snapshot.segments.iter().filter(|segment| segment.last_file() >= from.0) {
        check()?;
        let mut scorer =
            weight.scorer(&segment.reader, 1.0).map_err(|error| E::from(error.into()))?;
        let mut doc = scorer.doc();
        let mut looked_at = 0_u32;
        while doc != TERMINATED {
            looked_at += 1;
            if looked_at.is_multiple_of(CHECK_STEP) {
                check()?;
            }
            let file = segment.file(doc);
            if file >= from.0 && (file, segment.offset(doc)) >= from {
                found.push(((file, segment.offset(doc)), Match::new(segment, doc)));
                if found.len() >= 2 * limit + 1_000 {
                    keep_first(&mut found, limit);
                }
            }
            doc = scorer.advance();
        }
    }
    keep_first(&mut found, limit);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

fn keep_first(found: &mut Vec<(Arrival, Match)>, limit: usize) {
    found.sort_by_key(|(arrival, _)| *arrival);
    found.truncate(limit);
}
