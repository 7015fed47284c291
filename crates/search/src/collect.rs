//! Collects the newest or the oldest matches without visiting all of them, and counts all of them.
//!
//! A segment consists of runs that are sorted by time, latest first. The newest matches of a run
//! are its first, and collecting stops at the limit. The oldest are its last, and are found from
//! the end, in growing steps. A run is skipped if all of its events are beyond the last match
//! collected.
//!
//! A run holds events of the same time in any order. Their file and byte offset decide between
//! them. So all matches with the time of the last one wanted are collected first.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tantivy::{DocId, DocSet};

use crate::visit::{Check, Ended, MATCH_STEPS, MatchWalk, Matches, Sought};
use segment::IndexError;
use segment::position::Position;
use segment::view::{Run, SegmentView};
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::limits::TOTAL_BOUND;
use wire::{Order, Total, TotalMode};

/// Documents of a run's end looked at first for its oldest matches.
const TAIL_DOCS: u32 = 1_024;

/// Matches gathered, of which the last are wanted, before those that are not are dropped.
const SURPLUS: usize = 1 << 12;

/// A document that matches, with its position in the order of all events.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub(crate) position: Position,
    pub(crate) segment: Arc<SegmentView>,
    pub(crate) doc: DocId,
}

impl Match {
    pub(crate) fn new(segment: &Arc<SegmentView>, doc: DocId) -> Self {
        Self { position: segment.position(doc), segment: Arc::clone(segment), doc }
    }
}

/// Which matches to collect, and how to count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) limit: usize,
    pub(crate) order: Order,
    /// Collects only matches behind this position, but counts all; None collects from the first.
    pub(crate) after: Option<Position>,
    pub(crate) total: TotalMode,
    pub(crate) counting: Counting,
}

/// How to count matches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counting {
    /// Ask the index, which knows the number, as for one term.
    Known,
    /// Count while collecting, so that a costly condition is evaluated once. The hash stands for
    /// the condition in the cache of counts; None does not use the cache.
    OneByOne(Option<u128>),
}

/// Collects matches and counts them. Polls `check`, and stops at its error.
pub(crate) fn collect<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    sought: &Sought,
    wanted: Wanted,
    check: Check<'_, E>,
) -> Result<(Vec<Match>, Total), E> {
    let matches = Matches::of(snapshot, sought, check)?;
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
        let (found, value) = matches_and_count(&unknown, &matches, wanted)?;
        let found = best_matches(&known, &matches, wanted, found)?;
        return Ok((found, Total { value: before + value, exact: true }));
    }
    let found = best_matches(segments, &matches, wanted, Vec::new())?;
    if wanted.total == TotalMode::None {
        let value = found.len() as u64;
        return Ok((found, Total { value, exact: false }));
    }
    let is_known = matches!(wanted.counting, Counting::Known);
    let is_bounded = !is_known && wanted.total == TotalMode::Bounded;
    let total = count(&matches, is_bounded)?;
    Ok((found, total))
}

/// Collects matches of these segments while visiting, and counting, all of them.
fn matches_and_count<E: From<IndexError> + Send>(
    segments: &[Arc<SegmentView>],
    matches: &Matches<'_, E>,
    wanted: Wanted,
) -> Result<(Vec<Match>, u64), E> {
    let pieces = matches.each_piece_of(segments, |walk| {
        let mut of_piece = OfPiece::new(walk.piece.segment, &wanted);
        walk.each(|docs| {
            of_piece.add(docs);
            Ok(ControlFlow::Continue(()))
        })?;
        let (docs, value) = of_piece.end();
        Ok((Arc::clone(walk.piece.segment), docs, value))
    })?;
    let mut found = Vec::new();
    let mut value = 0;
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

/// Matches of a piece, those that may be among the ones wanted, and how many there are.
struct OfPiece<'a> {
    segment: &'a SegmentView,
    wanted: &'a Wanted,
    /// The run of the match at hand; before the first, none.
    run: Option<OfRun<'a>>,
    run_end: DocId,
    /// Whether later matches of the run may be wanted.
    is_wanted: bool,
    docs: Vec<DocId>,
    value: u64,
}

impl<'a> OfPiece<'a> {
    fn new(segment: &'a SegmentView, wanted: &'a Wanted) -> Self {
        let (docs, is_wanted) = (Vec::new(), false);
        Self { segment, wanted, run: None, run_end: 0, is_wanted, docs, value: 0 }
    }

    /// Adds the next matches.
    fn add(&mut self, mut docs: &[DocId]) {
        self.value += docs.len() as u64;
        while let Some(first) = docs.first() {
            if *first >= self.run_end {
                self.begin_run_of(*first);
            }
            let of_run = docs.partition_point(|doc| *doc < self.run_end);
            if let Some(run) = self.run.as_mut().filter(|_| self.is_wanted) {
                self.is_wanted = docs[..of_run].iter().all(|doc| run.add(*doc));
            }
            docs = &docs[of_run..];
        }
    }

    fn begin_run_of(&mut self, doc: DocId) {
        self.docs.extend(self.run.take().into_iter().flat_map(OfRun::end));
        let runs = &self.segment.runs;
        let run = &runs[runs.partition_point(|run| run.docs.end <= doc)];
        self.run = Some(OfRun::new(self.segment, run, self.wanted, None));
        self.run_end = run.docs.end;
        self.is_wanted = self.wanted.limit > 0;
    }

    fn end(mut self) -> (Vec<DocId>, u64) {
        self.docs.extend(self.run.into_iter().flat_map(OfRun::end));
        (self.docs, self.value)
    }
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
fn best_matches<E: From<IndexError> + Send>(
    segments: &[Arc<SegmentView>],
    matches: &Matches<'_, E>,
    wanted: Wanted,
    mut found: Vec<Match>,
) -> Result<Vec<Match>, E> {
    if wanted.limit == 0 {
        return Ok(found);
    }
    for (segment, runs) in runs_in_order(segments, wanted.order) {
        let bar = bar(&found, wanted.limit);
        if runs.iter().all(|run| is_beyond(run, &wanted, bar)) {
            continue;
        }
        matches.in_segment(segment, |walk| {
            match wanted.order {
                Order::Newest => add_first_matches(&walk, runs, &wanted, &mut found)?,
                Order::Oldest => add_last_matches(&walk, runs, &wanted, &mut found)?,
            }
            Ok(())
        })?;
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

/// Whether all of a run's events are on the other side of the last match that was given, or of the bar.
fn is_beyond(run: &Run, wanted: &Wanted, bar: Option<Micros>) -> bool {
    match wanted.order {
        Order::Newest => {
            bar.is_some_and(|bar| run.latest < bar)
                || wanted.after.is_some_and(|after| run.earliest > after.time)
        }
        Order::Oldest => bar.is_some_and(|bar| run.earliest > bar),
    }
}

fn add_first_matches<E>(
    walk: &MatchWalk<'_, E>,
    runs: &[Run],
    wanted: &Wanted,
    found: &mut Vec<Match>,
) -> Result<(), Ended<E>> {
    let segment = walk.piece.segment;
    let mut docs = walk.from(0)?;
    for run in runs {
        let mut doc = docs.doc();
        let bar = bar(found, wanted.limit);
        if doc >= run.docs.end || is_beyond(run, wanted, bar) {
            continue;
        }
        let mut of_run = OfRun::new(segment, run, wanted, bar);
        if doc < of_run.within.start {
            doc = docs.seek(of_run.within.start);
        }
        while doc < of_run.within.end && of_run.add(doc) {
            walk.spend(MATCH_STEPS)?;
            doc = docs.advance();
        }
        keep_best(found, segment, of_run.end(), wanted);
    }
    Ok(())
}

fn add_last_matches<E>(
    walk: &MatchWalk<'_, E>,
    runs: &[Run],
    wanted: &Wanted,
    found: &mut Vec<Match>,
) -> Result<(), Ended<E>> {
    for run in runs {
        let bar = bar(found, wanted.limit);
        if !is_beyond(run, wanted, bar) {
            let docs = last_of_run(walk, run, wanted, bar)?;
            keep_best(found, walk.piece.segment, docs, wanted);
        }
    }
    Ok(())
}

fn last_of_run<E>(
    walk: &MatchWalk<'_, E>,
    run: &Run,
    wanted: &Wanted,
    bar: Option<Micros>,
) -> Result<Vec<DocId>, Ended<E>> {
    let segment = walk.piece.segment;
    let of_run = OfRun::new(segment, run, wanted, bar);
    let Range { start, end } = of_run.within;
    let mut tail = TAIL_DOCS;
    loop {
        let from = end.saturating_sub(tail).max(start);
        if from >= end {
            return Ok(Vec::new());
        }
        let mut docs = matches_within(walk, from..end)?;
        docs.retain(|doc| !of_run.is_given(*doc));
        let first = first_wanted(segment, &docs, wanted.limit);
        if first > 0 || from == start {
            return Ok(docs[first..].to_vec());
        }
        tail = tail.saturating_mul(8);
    }
}

fn matches_within<E>(
    walk: &MatchWalk<'_, E>,
    within: Range<DocId>,
) -> Result<Vec<DocId>, Ended<E>> {
    let mut docs = walk.from(within.start)?;
    let mut doc = docs.doc();
    let mut found = Vec::new();
    while doc < within.end {
        walk.spend(MATCH_STEPS)?;
        found.push(doc);
        doc = docs.advance();
    }
    Ok(found)
}

fn count<E: From<IndexError> + Send>(
    matches: &Matches<'_, E>,
    is_bounded: bool,
) -> Result<Total, E> {
    let mut value = 0;
    for segment in &matches.snapshot.segments {
        if is_bounded {
            value += count_up_to(matches, segment, TOTAL_BOUND - value)?;
            if value >= TOTAL_BOUND {
                return Ok(Total { value, exact: false });
            }
        } else {
            value += matches.count(segment)?;
        }
    }
    Ok(Total { value, exact: true })
}

fn count_up_to<E: From<IndexError> + Send>(
    matches: &Matches<'_, E>,
    segment: &Arc<SegmentView>,
    bound: u64,
) -> Result<u64, E> {
    matches.in_segment(segment, |walk| {
        let mut count = 0;
        walk.each(|docs| {
            count = bound.min(count + docs.len() as u64);
            Ok(if count < bound { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(count)
    })
}

#[cfg(test)]
mod tests;
