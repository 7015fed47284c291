//! Collecting the newest or the oldest matches without visiting all of them, and counting them all.
//!
//! Segments are sorted by time, latest first. So a segment's newest matches are its first ones, and
//! collecting stops after as many as were asked for; its oldest are its last, and are found from the
//! end, in growing steps. A segment all of whose events are beyond the last one collected is left out.

use std::sync::Arc;

use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

use super::IndexError;
use super::snapshot::{SegmentView, Snapshot};
use crate::api::proto::{Order, Total, TotalMode};
use crate::event::time::Micros;
use crate::limits::TOTAL_BOUND;

/// Documents of a segment's end looked at first for its oldest matches.
const TAIL_DOCS: u32 = 4_096;

/// Matches counted between two looks at the deadline.
const COUNT_STEP: u32 = 1 << 16;

/// A match.
#[derive(Clone, Debug)]
pub struct Match {
    pub time: Micros,
    pub segment: Arc<SegmentView>,
    pub doc: DocId,
}

/// What to collect.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub limit: usize,
    pub order: Order,
    pub total: TotalMode,
}

/// Collects matches and counts them. `check` is asked now and then whether to go on.
pub fn collect<E: From<IndexError>>(
    snapshot: &Snapshot,
    query: &dyn Query,
    wanted: Wanted,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<(Vec<Match>, Total), E> {
    let schema = snapshot.schema();
    let weight = query
        .weight(EnableScoring::disabled_from_schema(schema))
        .map_err(|error| E::from(error.into()))?;
    let matches = matches(snapshot, &*weight, wanted, check)?;
    let total = count(snapshot, &*weight, wanted.total, check)?;
    Ok((matches, total))
}

fn matches<E: From<IndexError>>(
    snapshot: &Snapshot,
    weight: &dyn Weight,
    Wanted { limit, order, .. }: Wanted,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Vec<Match>, E> {
    let mut found: Vec<Match> = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let mut segments: Vec<&Arc<SegmentView>> = snapshot.segments.iter().collect();
    if order == Order::Oldest {
        segments.sort_by_key(|segment| segment.earliest);
    }
    for segment in segments {
        check()?;
        let is_beyond = found.get(limit - 1).is_some_and(|last| match order {
            Order::Newest => segment.latest < last.time,
            Order::Oldest => segment.earliest > last.time,
        });
        // Segments come in the order of their best event: none that follows has a better one.
        if is_beyond {
            break;
        }
        let docs = match order {
            Order::Newest => first_matches(weight, &segment.reader, limit),
            Order::Oldest => last_matches(weight, &segment.reader, limit),
        };
        let docs = docs.map_err(|error| E::from(error.into()))?;
        found.extend(docs.into_iter().map(|doc| Match {
            time: segment.time(doc),
            segment: Arc::clone(segment),
            doc,
        }));
        match order {
            Order::Newest => found.sort_by_key(|found| std::cmp::Reverse(found.time)),
            Order::Oldest => found.sort_by_key(|found| found.time),
        }
        found.truncate(limit);
    }
    Ok(found)
}

fn first_matches(
    weight: &dyn Weight,
    reader: &SegmentReader,
    limit: usize,
) -> tantivy::Result<Vec<DocId>> {
    let mut scorer = weight.scorer(reader, 1.0)?;
    let mut docs = Vec::new();
    let mut doc = scorer.doc();
    while doc != TERMINATED && docs.len() < limit {
        docs.push(doc);
        doc = scorer.advance();
    }
    Ok(docs)
}

/// The last matches, last first.
fn last_matches(
    weight: &dyn Weight,
    reader: &SegmentReader,
    limit: usize,
) -> tantivy::Result<Vec<DocId>> {
    let max_doc = reader.max_doc();
    let mut tail = TAIL_DOCS;
    loop {
        let start = max_doc.saturating_sub(tail);
        let mut docs = matches_from(weight, reader, start)?;
        if docs.len() >= limit || start == 0 {
            docs.reverse();
            docs.truncate(limit);
            return Ok(docs);
        }
        tail = tail.saturating_mul(8);
    }
}

fn matches_from(
    weight: &dyn Weight,
    reader: &SegmentReader,
    start: DocId,
) -> tantivy::Result<Vec<DocId>> {
    let mut scorer = weight.scorer(reader, 1.0)?;
    let mut doc = scorer.doc();
    if doc < start {
        doc = scorer.seek(start);
    }
    let mut docs = Vec::new();
    while doc != TERMINATED {
        docs.push(doc);
        doc = scorer.advance();
    }
    Ok(docs)
}

fn count<E: From<IndexError>>(
    snapshot: &Snapshot,
    weight: &dyn Weight,
    mode: TotalMode,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Total, E> {
    let mut value = 0;
    for segment in &snapshot.segments {
        check()?;
        if mode == TotalMode::Bounded {
            let left = TOTAL_BOUND - value;
            value += count_up_to(weight, &segment.reader, left, check)?;
            if value >= TOTAL_BOUND {
                return Ok(Total { value, exact: false });
            }
        } else {
            let count = weight.count(&segment.reader).map_err(|error| E::from(error.into()))?;
            value += u64::from(count);
        }
    }
    Ok(Total { value, exact: true })
}

fn count_up_to<E: From<IndexError>>(
    weight: &dyn Weight,
    reader: &SegmentReader,
    bound: u64,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<u64, E> {
    let mut scorer = weight.scorer(reader, 1.0).map_err(|error| E::from(error.into()))?;
    let mut count = 0;
    while scorer.doc() != TERMINATED && count < bound {
        count += 1;
        if count % u64::from(COUNT_STEP) == 0 {
            check()?;
        }
        scorer.advance();
    }
    Ok(count)
}
