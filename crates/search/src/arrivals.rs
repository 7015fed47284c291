//! Events in the order in which they came into the index.
//!
//! Files are numbered as they are read, and committed in the order of their numbers: nobody reads into a
//! batch before all of the one before are closed (`ingest/batch.rs`). So what a later commit adds has
//! higher numbers than all that was there, and merges change no event's number.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::collect::Match;
use crate::visit::{Check, Matches, Sought};
use segment::IndexError;
use store::snapshot::Snapshot;

/// Events kept beyond those that are wanted, before the last ones are dropped.
const SURPLUS: usize = 1_000;

/// Where an event came in: the number of its file, and the byte in it.
pub(crate) type Arrival = (u64, u64);

/// The first place behind everything that has come.
pub(crate) fn next_arrival(snapshot: &Snapshot) -> Arrival {
    let files = snapshot.segments.iter().map(|segment| segment.last_file());
    // The first file of an index is number 0.
    (files.max().map_or(0, |last| last + 1), 0)
}

/// The first events that match and came in at `from` or behind it, in order. Fewer than `limit` are all.
pub(crate) fn arrivals<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    sought: &Sought,
    from: Arrival,
    limit: usize,
    check: Check<'_, E>,
) -> Result<Vec<Match>, E> {
    let segments = snapshot.segments.iter().filter(|segment| segment.last_file() >= from.0);
    let segments: Vec<_> = segments.map(Arc::clone).collect();
    let matches = Matches::of(snapshot, sought, check)?;
    let of_pieces = matches.each_piece_of(&segments, |walk| {
        let segment = walk.piece.segment;
        let mut found: Vec<(Arrival, Match)> = Vec::new();
        walk.each(|docs| {
            for doc in docs {
                let file = segment.file(*doc);
                if file >= from.0 && (file, segment.offset(*doc)) >= from {
                    found.push(((file, segment.offset(*doc)), Match::new(segment, *doc)));
                }
            }
            if found.len() >= 2 * limit + SURPLUS {
                keep_first(&mut found, limit);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        keep_first(&mut found, limit);
        Ok(found)
    })?;
    let mut found = of_pieces.into_iter().flatten().collect();
    keep_first(&mut found, limit);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

fn keep_first(found: &mut Vec<(Arrival, Match)>, limit: usize) {
    found.sort_by_key(|(arrival, _)| *arrival);
    found.truncate(limit);
}
