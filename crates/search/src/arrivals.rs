//! Events in the order in which they came into the index, for tails.
//!
//! Files are numbered as they are read, and batches are committed in the order of these numbers
//! (`crates/ingest/src/batch.rs`). So the events of a later commit have higher file numbers than
//! all events before, and merges change no event's number.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::collect::Match;
use crate::visit::{Check, Matches, Sought};
use segment::IndexError;
use store::snapshot::Snapshot;

/// Events kept beyond those that are wanted, before the last ones are dropped.
const SURPLUS: usize = 1_000;

/// An event's place in the order of arrival: the number of its file, and the byte offset in it.
pub(crate) type Arrival = (u64, u64);

/// Returns the place behind all events of a snapshot.
pub(crate) fn next_arrival(snapshot: &Snapshot) -> Arrival {
    let files = snapshot.segments.iter().map(|segment| segment.last_file());
    // The first file of an index is number 0.
    (files.max().map_or(0, |last| last + 1), 0)
}

/// Returns the first matches that came in at `from` or later, in order of arrival. Fewer than
/// `limit` means that there are no more.
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
