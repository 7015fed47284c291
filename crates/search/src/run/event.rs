//! Finds events by their id, or by the beginning of it.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use super::{fetch_up_to, stop_of};
use crate::clauses::{ClauseQuery, PlaceClause};
use crate::collect::{Counting, Wanted, collect};
use crate::form::Form;
use crate::meaning::{EventField, ValueMeaning};
use crate::plan::Planner;
use crate::visit::Sought;
use language::ast::{Pattern, PatternPiece};
use store::snapshot::Snapshot;
use trail::columns;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::{PAGE_BYTES_MAX, SEARCH_LIMIT_MAX};
use wire::{ApiError, ErrorKind, Order, SearchResponse, TotalMode};

/// Bytes of the shortest beginning that is looked for: fewer are of too many events.
const BEGINNING_BYTES_MIN: usize = 4;

/// Ids told in an error message.
const IDS_TOLD_MAX: usize = 5;

/// Finds events by `eventID`, by an id made of file number and byte offset, or by the beginning of the
/// one `eventID` that begins so. An `eventID` can have several events.
pub fn event(
    snapshot: &Arc<Snapshot>,
    id: &str,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    snapshot.check_whole(Micros(i64::MIN), Micros(i64::MAX))?;
    let stop = stop_of(cancel);
    let planner = Planner { snapshot, stop: stop.clone() };
    let by_id = planner.is(columns::EVENT_ID, id);
    let by_place = parse_place(id).map(|place| ClauseQuery::boxed(snapshot, place, &stop));
    let by_beginning = (id.len() >= BEGINNING_BYTES_MIN).then(|| {
        let pieces = [PatternPiece::Text(id.to_owned()), PatternPiece::AnyRun];
        let begun = ValueMeaning::Wildcard(Form::new(&Pattern::new(pieces)));
        planner.value(&EventField::Column(columns::EVENT_ID), &begun)
    });
    let sought = |query| Sought { query, stop: stop.clone() };
    for sought in iter::once(by_id).chain(by_place).chain(by_beginning).map(sought) {
        let wanted = Wanted {
            limit: SEARCH_LIMIT_MAX,
            order: Order::Newest,
            after: None,
            total: TotalMode::Exact,
            counting: Counting::Known,
        };
        let (matches, total) = collect(snapshot, &sought, wanted, &|| cancel.check())?;
        if !matches.is_empty() {
            let hits = fetch_up_to(PAGE_BYTES_MAX, snapshot, &matches, None, cancel)?;
            let ids: BTreeSet<&str> = hits.iter().map(|hit| hit.meta.id.as_str()).collect();
            let is_cut = (hits.len() as u64) < total.value;
            if ids.len() > 1 {
                return Err(several(id, &ids, is_cut));
            }
            let mut warnings = Vec::new();
            if is_cut {
                let (given, total) = (hits.len(), total.value);
                warnings.push(format!(
                    "{given} of {total} events of this id are given; a search for eventID has all"
                ));
            }
            let took_ms = started.elapsed().as_secs_f64() * 1e3;
            return Ok(SearchResponse { hits, total, took_ms, warnings, ..Default::default() });
        }
    }
    let short = if id.len() < BEGINNING_BYTES_MIN {
        format!("; the beginning of an id has {BEGINNING_BYTES_MIN} characters at least")
    } else {
        String::new()
    };
    Err(ApiError::new(ErrorKind::NotFound, format!("no event has the id '{id}'{short}")))
}

/// The error of a beginning that several ids have.
fn several(id: &str, ids: &BTreeSet<&str>, is_cut: bool) -> ApiError {
    let told: Vec<&str> = ids.iter().copied().take(IDS_TOLD_MAX).collect();
    let more = match ids.len() - told.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let at_least = if is_cut { "at least " } else { "" };
    let message = format!(
        "{at_least}{} events have an id that begins with '{id}': {}{more}; give more of it",
        ids.len(),
        told.join(", "),
    );
    ApiError {
        suggestion: told.first().map(|id| (*id).to_owned()),
        ..ApiError::new(ErrorKind::BadRequest, message)
    }
}

fn parse_place(id: &str) -> Option<PlaceClause> {
    let (file, offset) = id.split_once(':')?;
    Some(PlaceClause { file: file.parse().ok()?, offset: offset.parse().ok()? })
}
