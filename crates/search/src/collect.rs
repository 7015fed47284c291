//! Collecting the newest or the oldest matches without visiting all of them, and counting them all.
//!
//! Segments are made of runs that are sorted by time, latest first. So a run's newest matches are its
//! first ones, and collecting stops after as many as were asked for; its oldest are its last, and are
//! found from the end, in growing steps. A run all of whose events are beyond the last one collected
//! is left out.
//!
//! Events of the same time, which a run holds in any order, are told apart by their place: the file
//! and the byte in it. So of those that have the time of the last one wanted, all are collected.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use tantivy::query::{EnableScoring, Query, TermQuery, Weight};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

use crate::one_term::OneTerm;
use crate::pieces::{Piece, each_piece_of};
use segment::IndexError;
use segment::view::{Run, SegmentView};
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::limits::TOTAL_BOUND;
use wire::{Order, Total, TotalMode};

/// Documents of a run's end looked at first for its oldest matches.
const TAIL_DOCS: u32 = 1_024;

/// Matches counted between two looks at the deadline.
const COUNT_STEP: u64 = 1 << 14;

/// Matches gathered, of which the last are wanted, before those that are not are dropped.
const SURPLUS: usize = 1 << 12;

/// Where an event stands in the one order of all events, oldest first, whatever segments they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub time: Micros,
    /// The number of its file.
    pub file: u64,
    /// The byte in the file.
    pub offset: u64,
}

impl Position {
    pub fn compare(&self, other: &Self, order: Order) -> Ordering {
        let oldest_first = self.cmp(other);
        if order == Order::Newest { oldest_first.reverse() } else { oldest_first }
    }
}

/// A match.
#[derive(Clone, Debug)]
pub struct Match {
    pub position: Position,
    pub segment: Arc<SegmentView>,
    pub doc: DocId,
}

impl Match {
    pub fn new(segment: &Arc<SegmentView>, doc: DocId) -> Self {
        Self { position: segment.position(doc), segment: Arc::clone(segment), doc }
    }
}

/// What to collect.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub limit: usize,
    pub order: Order,
    /// Only what comes behind this is collected, though all is counted.
    pub after: Option<Position>,
    pub total: TotalMode,
    pub counting: Counting,
}

/// How matches are counted.
#[derive(Clone, Copy, Debug)]
pub enum Counting {
    /// The index knows how many there are, as for one term.
    Known,
    /// While they are collected, so that a condition that is costly to evaluate is evaluated once. With
    /// a hash that stands for the condition, so that no segment is counted again.
    OneByOne(Option<u128>),
}

/// Collects matches and counts them. `check` is asked now and then whether to go on.
pub fn collect<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    query: &dyn Query,
    wanted: Wanted,
    check: &(dyn Fn() -> Result<(), E> + Sync),
) -> Result<(Vec<Match>, Total), E> {
    let schema = snapshot.schema();
    let weight: Box<dyn Weight> = match query.downcast_ref::<TermQuery>() {
        Some(query) => Box::new(OneTerm::look_up(snapshot, query.term())?),
        None => query
            .weight(EnableScoring::disabled_from_schema(schema))
            .map_err(|error| E::from(error.into()))?,
    };
    let segments = &snapshot.segments;
    if let (TotalMode::Exact, Counting::OneByOne(condition)) = (wanted.total, wanted.counting) {
        let (mut known, mut unknown, mut before) = (Vec::new(), Vec::new(), 0);
        for segment in segments {
            match condition.and_then(|condition| segment.count(condition)) {
                Some(0) => {}
                Some(count) => {
                    before += count;
                    known.push(Arc::clone(segment));
                }
                None => unknown.push(Arc::clone(segment)),
            }
        }
        let (found, value) = matches_and_count(&unknown, &*weight, wanted, check)?;
        let found = matches(&known, &*weight, wanted, found, check)?;
        return Ok((found, Total { value: before + value, exact: true }));
    }
    let matches = matches(segments, &*weight, wanted, Vec::new(), check)?;
    if wanted.total == TotalMode::None {
        let value = matches.len() as u64;
        return Ok((matches, Total { value, exact: false }));
    }
    let is_known = matches!(wanted.counting, Counting::Known);
    let is_bounded = !is_known && wanted.total == TotalMode::Bounded;
    let total = count(snapshot, &*weight, is_bounded, check)?;
    Ok((matches, total))
}

/// Collects matches of these segments while visiting, and counting, all of them.
fn matches_and_count<E: From<IndexError> + Send>(
    segments: &[Arc<SegmentView>],
    weight: &dyn Weight,
    wanted: Wanted,
    check: &(dyn Fn() -> Result<(), E> + Sync),
) -> Result<(Vec<Match>, u64), E> {
    let of_piece = |piece: Piece<'_>| -> Result<_, E> {
        let mut scorer = piece.scorer(weight).map_err(|error| E::from(error.into()))?;
        let mut docs = Vec::new();
        let mut value: u64 = 0;
        for run in &piece.segment.runs {
            let mut of_run = OfRun::new(piece.segment, run, &wanted, None);
            let mut is_wanted = wanted.limit > 0;
            let end = run.docs.end.min(piece.docs.end);
            let mut doc = scorer.doc();
            while doc < end {
                is_wanted = is_wanted && of_run.add(doc);
                value += 1;
                if value.is_multiple_of(COUNT_STEP) {
                    check()?;
                }
                doc = scorer.advance();
            }
            docs.extend(of_run.end());
        }
        check()?;
        Ok((Arc::clone(piece.segment), docs, value))
    };
    let mut found = Vec::new();
    let mut value = 0;
    let pieces = each_piece_of(segments, of_piece)?;
    for pieces in pieces.chunk_by(|(a, ..), (b, ..)| Arc::ptr_eq(a, b)) {
        let (segment, ..) = &pieces[0];
        let docs: Vec<DocId> = pieces.iter().flat_map(|(_, docs, _)| docs).copied().collect();
        keep_best(&mut found, segment, docs, &wanted);
        let of_segment = pieces.iter().map(|(.., matches)| matches).sum();
        if let Counting::OneByOne(Some(condition)) = wanted.counting {
            segment.keep_count(condition, of_segment);
        }
        value += of_segment;
    }
    Ok((found, value))
}

/// Matches of a run, those that may be among the ones wanted.
struct OfRun<'a> {
    segment: &'a SegmentView,
    wanted: &'a Wanted,
    /// Where in the run those are that can be wanted: what is elsewhere is on the other side of
    /// `wanted.after`, or, of the oldest, beyond the time that they must reach.
    within: Range<DocId>,
    /// The time that the newest must reach. Where in the run it is, is not looked for: most runs have no
    /// match that reaches it, and their first tells.
    bar: Option<Micros>,
    docs: Vec<DocId>,
    /// As many documents are gathered before the first of them, which are too new, are dropped.
    full: usize,
}

impl<'a> OfRun<'a> {
    fn new(segment: &'a SegmentView, run: &Run, wanted: &'a Wanted, bar: Option<Micros>) -> Self {
        // Latest first.
        let after = wanted.after.map(|after| after.time);
        let (latest, earliest, bar) = match wanted.order {
            Order::Newest => (after, None, bar),
            Order::Oldest => (bar, after, None),
        };
        let Range { start, end } = run.docs;
        let within = latest.map_or(start, |time| segment.first_up_to(run, time))
            ..earliest.map_or(end, |time| segment.first_before(run, time));
        Self { segment, wanted, within, bar, docs: Vec::new(), full: wanted.limit + SURPLUS }
    }

    /// Adds the next match; false when it is not wanted, nor any that comes after.
    fn add(&mut self, doc: DocId) -> bool {
        if doc < self.within.start || self.is_given(doc) {
            return true;
        }
        if doc >= self.within.end || self.bar.is_some_and(|bar| self.segment.time(doc) < bar) {
            return false;
        }
        let Wanted { order, limit, .. } = *self.wanted;
        if order == Order::Newest && self.docs.len() >= limit {
            let is_as_new = |last: &DocId| self.segment.time(*last) == self.segment.time(doc);
            if !self.docs.last().is_some_and(is_as_new) {
                return false;
            }
        }
        self.docs.push(doc);
        if order == Order::Oldest && self.docs.len() >= self.full {
            let first = first_wanted(self.segment, &self.docs, limit);
            self.docs.drain(..first);
            self.full = self.full.max(2 * self.docs.len());
        }
        true
    }

    /// Whether it has the time of the last match that was given, and does not come behind it.
    fn is_given(&self, doc: DocId) -> bool {
        self.wanted.after.is_some_and(|after| {
            self.segment.time(doc) == after.time
                && self.segment.position(doc).compare(&after, self.wanted.order).is_le()
        })
    }

    fn end(mut self) -> Vec<DocId> {
        if self.wanted.order == Order::Oldest {
            let first = first_wanted(self.segment, &self.docs, self.wanted.limit);
            self.docs.drain(..first);
        }
        self.docs
    }
}

/// Where the last `limit` of a run's matches begin, and those that have the time of the first of them.
fn first_wanted(segment: &SegmentView, docs: &[DocId], limit: usize) -> usize {
    let mut first = docs.len().saturating_sub(limit);
    if first == docs.len() {
        return first;
    }
    let time = segment.time(docs[first]);
    while first > 0 && segment.time(docs[first - 1]) == time {
        first -= 1;
    }
    first
}

/// Adds a segment's matches to those found so far, and keeps the best.
fn keep_best(
    found: &mut Vec<Match>,
    segment: &Arc<SegmentView>,
    docs: Vec<DocId>,
    wanted: &Wanted,
) {
    if docs.is_empty() {
        return;
    }
    found.extend(docs.into_iter().map(|doc| Match::new(segment, doc)));
    found.sort_by(|a, b| a.position.compare(&b.position, wanted.order));
    found.truncate(wanted.limit);
}

/// Collects matches of these segments, beside those that were found in others.
fn matches<E: From<IndexError>>(
    segments: &[Arc<SegmentView>],
    weight: &dyn Weight,
    wanted: Wanted,
    mut found: Vec<Match>,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Vec<Match>, E> {
    if wanted.limit == 0 {
        return Ok(found);
    }
    for (segment, runs) in runs_in_order(segments, wanted.order) {
        check()?;
        let added = match wanted.order {
            Order::Newest => add_first_matches(weight, segment, runs, &wanted, &mut found),
            Order::Oldest => add_last_matches(weight, segment, runs, &wanted, &mut found),
        };
        added.map_err(|error| E::from(error.into()))?;
    }
    Ok(found)
}

/// Runs in the order in which their matches are wanted. The newest are collected a segment at a time,
/// whose runs lie latest first; the oldest a run at a time.
fn runs_in_order(segments: &[Arc<SegmentView>], order: Order) -> Vec<(&Arc<SegmentView>, &[Run])> {
    match order {
        Order::Newest => {
            segments.iter().map(|segment| (segment, segment.runs.as_slice())).collect()
        }
        Order::Oldest => {
            let mut runs: Vec<_> = segments
                .iter()
                .flat_map(|segment| segment.runs.chunks(1).map(move |run| (segment, run)))
                .collect();
            runs.sort_by_key(|(_, run)| run[0].earliest);
            runs
        }
    }
}

/// The time that a match must reach to be among the `limit` best, given those found so far.
fn bar(found: &[Match], limit: usize) -> Option<Micros> {
    found.get(limit - 1).map(|last| last.position.time)
}

fn add_first_matches(
    weight: &dyn Weight,
    segment: &Arc<SegmentView>,
    runs: &[Run],
    wanted: &Wanted,
    found: &mut Vec<Match>,
) -> tantivy::Result<()> {
    let is_beyond = |run: &Run, bar: Option<Micros>| {
        bar.is_some_and(|bar| run.latest < bar)
            || wanted.after.is_some_and(|after| run.earliest > after.time)
    };
    let bar_before = bar(found, wanted.limit);
    if runs.iter().all(|run| is_beyond(run, bar_before)) {
        return Ok(());
    }
    let mut scorer = weight.scorer(&segment.reader, 1.0)?;
    for run in runs {
        let mut doc = scorer.doc();
        let bar = bar(found, wanted.limit);
        if doc >= run.docs.end || is_beyond(run, bar) {
            continue;
        }
        let mut of_run = OfRun::new(segment, run, wanted, bar);
        if doc < of_run.within.start {
            doc = scorer.seek(of_run.within.start);
        }
        while doc < of_run.within.end && of_run.add(doc) {
            doc = scorer.advance();
        }
        keep_best(found, segment, of_run.end(), wanted);
    }
    Ok(())
}

fn add_last_matches(
    weight: &dyn Weight,
    segment: &Arc<SegmentView>,
    runs: &[Run],
    wanted: &Wanted,
    found: &mut Vec<Match>,
) -> tantivy::Result<()> {
    for run in runs {
        let bar = bar(found, wanted.limit);
        if bar.is_none_or(|bar| run.earliest <= bar) {
            let docs = last_of_run(weight, segment, run, wanted, bar)?;
            keep_best(found, segment, docs, wanted);
        }
    }
    Ok(())
}

fn last_of_run(
    weight: &dyn Weight,
    segment: &SegmentView,
    run: &Run,
    wanted: &Wanted,
    bar: Option<Micros>,
) -> tantivy::Result<Vec<DocId>> {
    let of_run = OfRun::new(segment, run, wanted, bar);
    let Range { start, end } = of_run.within;
    let mut tail = TAIL_DOCS;
    loop {
        let from = end.saturating_sub(tail).max(start);
        if from >= end {
            return Ok(Vec::new());
        }
        let mut docs = matches_within(weight, segment, from..end)?;
        docs.retain(|doc| !of_run.is_given(*doc));
        let first = first_wanted(segment, &docs, wanted.limit);
        if first > 0 || from == start {
            return Ok(docs[first..].to_vec());
        }
        tail = tail.saturating_mul(8);
    }
}

fn matches_within(
    weight: &dyn Weight,
    segment: &SegmentView,
    docs: Range<DocId>,
) -> tantivy::Result<Vec<DocId>> {
    let mut scorer = weight.scorer(&segment.reader, 1.0)?;
    let mut doc = scorer.doc();
    if doc < docs.start {
        doc = scorer.seek(docs.start);
    }
    let mut found = Vec::new();
    while doc < docs.end {
        found.push(doc);
        doc = scorer.advance();
    }
    Ok(found)
}

fn count<E: From<IndexError>>(
    snapshot: &Snapshot,
    weight: &dyn Weight,
    is_bounded: bool,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Total, E> {
    let mut value = 0;
    for segment in &snapshot.segments {
        check()?;
        if is_bounded {
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
        if count.is_multiple_of(COUNT_STEP) {
            check()?;
        }
        scorer.advance();
    }
    Ok(count)
}
