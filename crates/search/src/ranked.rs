//! Sorts events by the values of fields, and keeps the first ones; with `dedup`, the first of each
//! group.
//!
//! All cores rank, each a piece of a segment at a time. Within a piece a value is a small number
//! and an event a row of fixed size. Only as many rows are kept as are wanted, or one a group, and
//! a match allocates nothing. At the end of a piece, or once it has gathered much, its numbers become
//! values, some rows at a time, and its rows join the ranking of all, whose bytes are counted. No answer
//! depends on the order of the pieces, because no two events have the same position.

mod firsts;
mod rows;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

use self::firsts::Firsts;
use self::rows::{Rows, SortKeys};
use crate::collect::Match;
use crate::sorting::sorted;
use crate::values::{ReadRecord, ValueSource};
use crate::visit::{Check, Ended, MatchWalk, Matches, Sought};
use segment::stop::Pace;
use segment::{IndexError, lock};
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::seeded::SeededMap;
use wire::Order;

/// What a kept event costs in memory, about, beside its values: twice its size, since a list that grows has
/// room to spare, and its number and its new place while all are sorted.
const EVENT_BYTES: usize = 200;

/// What a text costs in memory beside its bytes, and what a list of values does.
const TEXT_BYTES: usize = 16;
const LIST_BYTES: usize = 40;

/// Steps of comparing a value of two events.
const COMPARE_STEPS: usize = 64;

/// Steps of turning a number into its value.
const VALUE_STEPS: usize = 128;

/// Bytes of a piece's rows or groups before they are put into those of all.
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Values that are made of numbers at a time: at 4 KB each, 8 MiB before they are counted.
const VALUES_AT_ONCE: usize = 2_048;

/// Events kept beyond those that are wanted, at least, before the last ones are dropped.
const SURPLUS_MIN: usize = 1_024;

/// The order in which events are wanted, and how many.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    /// The fields to sort by; true is descending. Events without a value come last. Of several
    /// values, the one that sorts first counts.
    pub(crate) sort: Vec<(ValueSource, bool)>,
    /// Of events with the same values in these fields, only the first is kept; empty keeps all.
    pub(crate) dedup: Vec<ValueSource>,
    /// The order by time and place of events that are equal otherwise.
    pub(crate) order: Order,
    pub(crate) limit: usize,
}

/// An event with what it is ranked by.
struct Ranked {
    found: Match,
    keys: Vec<Cell>,
}

/// What a ranking finds.
#[derive(Debug)]
pub(crate) struct Found {
    /// The first matches, in order.
    pub(crate) first: Vec<Match>,
    /// How many events match.
    pub(crate) matches: u64,
    /// How many of them are the first of their group; None where all are kept.
    pub(crate) groups: Option<u64>,
}

/// Finds the first matches in the order of a ranking. Polls `check`, and stops at its error.
pub(crate) fn ranked<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    sought: &Sought,
    ranking: &Ranking,
    read: &Arc<ReadRecord>,
    bytes_max: usize,
    check: Check<'_, E>,
) -> Result<Found, E> {
    let kept = Mutex::new(KeptRows::new(ranking, bytes_max));
    let matches = Matches::of(snapshot, sought, check)?;
    let totals = matches.each_piece(|walk| {
        if ranking.dedup.is_empty() {
            rank_piece(&walk, ranking, read, &kept)
        } else {
            first_of_piece(&walk, ranking, read, &kept)
        }
    })?;
    let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (first, groups) = kept.end(&mut Pace::new(&sought.stop))?;
    Ok(Found { first, matches: totals.iter().sum(), groups })
}

/// Ranks a piece's matches; returns how many there are.
fn rank_piece<E>(
    walk: &MatchWalk<'_, E>,
    ranking: &Ranking,
    read: &Arc<ReadRecord>,
    kept: &Mutex<KeptRows<'_>>,
) -> Result<u64, Ended<E>> {
    let segment = walk.piece.segment;
    let mut keys = SortKeys::open(segment, ranking, read)?;
    let mut rows = Rows::new(ranking.limit);
    let (mut total, steps) = (0, keys.steps());
    walk.each(|docs| {
        total += docs.len() as u64;
        for doc in docs {
            walk.spend(steps + keys.read(*doc)?)?;
            rows.offer(&keys, *doc, walk)?;
        }
        if keys.bytes() + rows.bytes() > GATHERED_BYTES_MAX {
            give(&mut rows, &keys, walk, kept)?;
            rows = Rows::new(ranking.limit);
            keys.forget();
        }
        Ok(ControlFlow::Continue(()))
    })?;
    give(&mut rows, &keys, walk, kept)?;
    Ok(total)
}

/// Puts the first rows of a piece into the ranking of all.
fn give<E>(
    rows: &mut Rows,
    keys: &SortKeys,
    walk: &MatchWalk<'_, E>,
    kept: &Mutex<KeptRows<'_>>,
) -> Result<(), Ended<E>> {
    rows.end(keys, walk)?;
    for part in parts(rows.len(), keys.count()) {
        walk.spend(part.len() * (keys.count() + 1) * VALUE_STEPS)?;
        let ranked = keys.ranked(&rows.part(part))?;
        if !lock(kept).add_all(ranked, walk)? {
            break;
        }
    }
    Ok(())
}

/// So many rows, in parts that have few values.
fn parts(rows: usize, values_each: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (VALUES_AT_ONCE / (values_each + 1)).max(1);
    (0..rows).step_by(step).map(move |start| start..rows.min(start + step))
}

/// Finds the first of each group of a piece's matches; returns how many matches there are.
fn first_of_piece<E>(
    walk: &MatchWalk<'_, E>,
    ranking: &Ranking,
    read: &Arc<ReadRecord>,
    kept: &Mutex<KeptRows<'_>>,
) -> Result<u64, Ended<E>> {
    let segment = walk.piece.segment;
    let mut keys = SortKeys::open(segment, ranking, read)?;
    let mut firsts = Firsts::open(segment, &ranking.dedup, read)?;
    let (mut total, steps) = (0, keys.steps() + firsts.steps());
    walk.each(|docs| {
        total += docs.len() as u64;
        for doc in docs {
            walk.spend(steps + keys.read(*doc)?)?;
            walk.spend(firsts.offer(&keys, *doc)?)?;
        }
        if firsts.bytes() + keys.bytes() > GATHERED_BYTES_MAX {
            firsts.drain(&keys, walk, |group, first| lock(kept).add_first(group, first))?;
            keys.forget();
        }
        Ok(ControlFlow::Continue(()))
    })?;
    firsts.drain(&keys, walk, |group, first| lock(kept).add_first(group, first))?;
    Ok(total)
}

/// The values of an event in each of the fields that groups are told apart by.
type Group = Vec<Vec<Cell>>;

/// The ranking of all.
struct KeptRows<'r> {
    ranking: &'r Ranking,
    /// In no order, but that the first are in order once some were dropped.
    all: Vec<Ranked>,
    /// Whether some were dropped, and none that comes behind the last of the first is wanted.
    is_trimmed: bool,
    firsts: SeededMap<Group, Ranked>,
    bytes: usize,
    bytes_max: usize,
}

impl<'r> KeptRows<'r> {
    fn new(ranking: &'r Ranking, bytes_max: usize) -> Self {
        let (all, firsts) = (Vec::new(), SeededMap::default());
        Self { ranking, all, is_trimmed: false, firsts, bytes: 0, bytes_max }
    }

    fn add_first(&mut self, group: Group, ranked: Ranked) -> Result<(), IndexError> {
        match self.firsts.get_mut(&group) {
            Some(first) => {
                if self.ranking.compare(&ranked, first).is_lt() {
                    self.bytes = self.bytes + ranked.bytes() - first.bytes();
                    *first = ranked;
                }
            }
            None => {
                self.bytes += ranked.bytes();
                self.bytes += group.iter().map(|values| list_bytes(values)).sum::<usize>();
                self.firsts.insert(group, ranked);
            }
        }
        self.check_bytes(self.bytes_max, self.firsts.len())
    }

    /// Adds events that are in order; false where none that comes behind them is wanted.
    fn add_all<E>(
        &mut self,
        ranked: Vec<Ranked>,
        walk: &MatchWalk<'_, E>,
    ) -> Result<bool, Ended<E>> {
        let limit = self.ranking.limit;
        for one in ranked {
            if self.is_trimmed && self.ranking.compare(&one, &self.all[limit - 1]).is_gt() {
                return Ok(false);
            }
            self.bytes += one.bytes();
            self.all.push(one);
        }
        let full = limit.saturating_add(limit.max(SURPLUS_MIN));
        if self.all.len() >= full || self.bytes > self.bytes_max {
            self.trim(|steps| walk.spend(steps))?;
        }
        Ok(true)
    }

    /// Drops what is beyond the limit. A quarter of the memory is for what comes next: if the first left
    /// less, they would be sorted again for each few that are added.
    fn trim<F: From<IndexError>>(
        &mut self,
        spend: impl FnMut(usize) -> Result<(), F>,
    ) -> Result<(), F> {
        self.sort(spend)?;
        self.is_trimmed = self.ranking.limit > 0 && self.all.len() == self.ranking.limit;
        self.bytes = self.all.iter().map(Ranked::bytes).sum();
        Ok(self.check_bytes(self.bytes_max - self.bytes_max / 4, self.all.len())?)
    }

    fn check_bytes(&self, bytes_max: usize, events: usize) -> Result<(), IndexError> {
        if self.bytes > bytes_max { Err(IndexError::TooManySorted { events }) } else { Ok(()) }
    }

    /// Puts the first in order, and drops the others.
    fn sort<F>(&mut self, spend: impl FnMut(usize) -> Result<(), F>) -> Result<(), F> {
        let Self { ranking, all, .. } = self;
        let compare = |a: usize, b: usize| ranking.compare(&all[a], &all[b]);
        let steps = COMPARE_STEPS * (ranking.sort.len() + 1);
        let mut order = sorted(all.len(), compare, steps, spend)?;
        order.truncate(ranking.limit);
        let mut one_by_one: Vec<_> = std::mem::take(all).into_iter().map(Some).collect();
        all.extend(order.into_iter().filter_map(|at| one_by_one[at].take()));
        Ok(())
    }

    /// The first events in order, and of how many they are.
    fn end(mut self, pace: &mut Pace<'_>) -> Result<(Vec<Match>, Option<u64>), IndexError> {
        let groups = (!self.ranking.dedup.is_empty()).then_some(self.firsts.len() as u64);
        self.all.extend(std::mem::take(&mut self.firsts).into_values());
        self.sort(|steps| pace.spend(steps))?;
        Ok((self.all.into_iter().map(|one| one.found).collect(), groups))
    }
}

impl Ranked {
    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        EVENT_BYTES + list_bytes(&self.keys)
    }
}

impl Ranking {
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        let keys = a.keys.iter().zip(&b.keys).zip(&self.sort);
        let mut by_keys = keys.map(|((a, b), (_, is_descending))| in_order(a, b, *is_descending));
        let first = by_keys.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal);
        first.then_with(|| a.found.position.compare(&b.found.position, self.order))
    }
}

/// Compares two values; one that is not there comes last in either direction.
pub(crate) fn in_order(a: &Cell, b: &Cell, is_descending: bool) -> Ordering {
    let is_null = |cell: &Cell| matches!(cell, Cell::Null);
    let by_value = || if is_descending { b.cmp(a) } else { a.cmp(b) };
    is_null(a).cmp(&is_null(b)).then_with(by_value)
}

/// What values take in memory, about.
pub(crate) fn list_bytes(cells: &[Cell]) -> usize {
    let text = |cell: &Cell| if let Cell::Text(text) = cell { TEXT_BYTES + text.len() } else { 0 };
    LIST_BYTES + size_of_val(cells) + cells.iter().map(text).sum::<usize>()
}
