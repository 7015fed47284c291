//! Tails: the events that have come into the index since a client asked last.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::{events_query, why_ended};
use crate::arrivals::{Arrival, arrivals, next_arrival};
use crate::run::fetch::fetch_up_to;
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::TAIL_BATCH_BYTES;
use wire::{ApiError, ErrorKind, TailPage, TailRequest};

/// Counted up when the meaning of the numbers changes. Another than that of searches.
const VERSION: u64 = 1_002;

/// Where a client is: of which index, and what it has not seen yet.
struct Seen {
    begun: Micros,
    next: Arrival,
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: [[u8; 8]; 4] = numbers.try_into().ok()?;
        let [version, begun, file, offset] = numbers.map(u64::from_le_bytes);
        let is_ours = rest.is_empty() && version == VERSION;
        is_ours.then_some(Self { begun: Micros(begun.cast_signed()), next: (file, offset) })
    }

    fn text(&self) -> String {
        let numbers = [VERSION, self.begun.0.cast_unsigned(), self.next.0, self.next.1];
        BASE64_URL_SAFE_NO_PAD.encode(numbers.map(u64::to_le_bytes).as_flattened())
    }
}

/// Returns the next events behind the request's cursor, at most `limit`. A request without a cursor
/// gets no events, and the cursor to go on from.
pub fn tail(
    snapshot: &Arc<Snapshot>,
    request: &TailRequest,
    limit: usize,
    cancel: &Cancel,
) -> Result<TailPage, ApiError> {
    let begun = snapshot.begun;
    let cursor = |next| Seen { begun, next }.text();
    let next = next_arrival(snapshot);
    // What is wrong with the query is told at once.
    let (sought, warnings) = events_query(snapshot, &request.q, Timestamp::now(), cancel)?;
    let Some(text) = &request.cursor else {
        let hits = Vec::new();
        return Ok(TailPage { hits, cursor: cursor(next), has_more: false, warnings });
    };
    let Some(seen) = Seen::parse(text) else {
        let message = "cursor: this is none of /v1/tail";
        return Err(ApiError::new(ErrorKind::BadRequest, message));
    };
    if seen.begun != begun {
        let message = "cursor: the index was made anew since; search for what was missed, by time, \
                       and begin without a cursor";
        return Err(ApiError::new(ErrorKind::Gone, message));
    }
    snapshot.check_whole(Micros(i64::MIN), Micros(i64::MAX))?;
    let check = || cancel.check();
    let found = arrivals(snapshot, &sought, seen.next, limit, &check)
        .map_err(|error| why_ended(error, cancel))?;
    let places = found.iter().map(|found| (found.position.file, found.position.offset + 1));
    let cursors: Vec<String> = places.map(cursor).collect();
    let hits = fetch_up_to(TAIL_BATCH_BYTES, snapshot, &found, None, cancel)?;
    let has_more = found.len() == limit || hits.len() < found.len();
    // The oldest index of all may lack what the client has seen: retention.
    let end = match cursors.get(hits.len().saturating_sub(1)) {
        Some(behind) if has_more => behind.clone(),
        _ => cursor(next.max(seen.next)),
    };
    let hits = cursors.into_iter().zip(hits).collect();
    Ok(TailPage { hits, cursor: end, has_more, warnings })
}
