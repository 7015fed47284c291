//! What a search found beyond its answer, for an export: rows, or where events are. It holds no snapshot:
//! files of the index that are replaced meanwhile can go.

use std::sync::Arc;

use super::fetch::{Chosen, Fetcher, fetch_up_to};
use super::rows::Rows;
use crate::collect::Match;
use segment::position::Position;
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::PAGE_BYTES_MAX;
use wire::{ApiError, ErrorKind, Rest, SearchResponse, Table};

/// What is kept.
enum Found {
    Rows(Rows),
    Events {
        positions: Vec<Position>,
        /// The names of the columns, and what is in them; none for whole events.
        chosen: Option<(Vec<String>, Chosen)>,
    },
}

/// Rows beyond the first.
pub(super) fn rest_of_rows(rows: Rows, given: usize) -> Rest {
    Rest { found: Arc::new(Found::Rows(rows)), given }
}

/// Events beyond the first.
pub(super) fn rest_of_events(
    matches: &[Match],
    columns: Vec<String>,
    chosen: Chosen,
    given: usize,
) -> Rest {
    let positions = matches.iter().map(|found| found.position).collect();
    let chosen = (!columns.is_empty()).then_some((columns, chosen));
    Rest { found: Arc::new(Found::Events { positions, chosen }), given }
}

/// The next part of what a search kept.
pub fn more(
    snapshot: &Arc<Snapshot>,
    rest: &Rest,
    limit: usize,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let Some(found) = rest.found.downcast_ref::<Found>() else {
        return Err(ApiError::new(ErrorKind::Internal, "this is the rest of no search"));
    };
    let (mut response, all) = match found {
        Found::Rows(rows) => {
            let table = rows.part(rest.given, limit);
            (SearchResponse { table: Some(table), ..SearchResponse::default() }, rows.count())
        }
        Found::Events { positions, chosen } => {
            let part = positions.iter().skip(rest.given).take(limit);
            let matches: Vec<Match> =
                part.map(|at| at_position(snapshot, *at)).collect::<Result<_, _>>()?;
            let response = events(snapshot, &matches, chosen.as_ref(), cancel)?;
            (response, positions.len())
        }
    };
    let now = response.table.as_ref().map_or(response.hits.len(), |table| table.rows.len());
    let given = rest.given + now;
    response.rest = (given < all).then(|| Rest { given, ..rest.clone() });
    Ok(response)
}

fn events(
    snapshot: &Snapshot,
    matches: &[Match],
    chosen: Option<&(Vec<String>, Chosen)>,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let Some((columns, chosen)) = chosen else {
        let hits = fetch_up_to(PAGE_BYTES_MAX, snapshot, matches, None, cancel)?;
        return Ok(SearchResponse { hits, ..SearchResponse::default() });
    };
    let rows = Fetcher::new(snapshot).rows_up_to(PAGE_BYTES_MAX, matches, chosen, cancel)?;
    let table = Table { columns: columns.clone(), rows, ..Table::default() };
    Ok(SearchResponse { table: Some(table), ..SearchResponse::default() })
}

/// The event at a position, wherever merges have put it.
fn at_position(snapshot: &Snapshot, at: Position) -> Result<Match, ApiError> {
    let next = Micros(at.time.0.saturating_add(1));
    for segment in &snapshot.segments {
        if segment.earliest > at.time || segment.latest < at.time {
            continue;
        }
        let mut docs = segment.docs_between(at.time, next).into_iter().flatten();
        if let Some(doc) = docs.find(|doc| segment.position(*doc) == at) {
            return Ok(Match::new(segment, doc));
        }
    }
    snapshot.check_whole(at.time, next)?;
    let message = "an event that was found is not in the index any more";
    Err(ApiError::new(ErrorKind::Gone, message))
}
