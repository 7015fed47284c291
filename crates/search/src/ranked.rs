//! Sorts events by the values of fields, and keeps the first ones; with `dedup`, the first of each
//! group.
//!
//! All cores rank, each a piece of a segment at a time. Within a piece a value is a small number
//! and an event a row of fixed size. Only as many rows are kept as are wanted, or one a group, and
//! a match allocates nothing. At the end of a piece, its numbers become values and its rows join
//! the ranking of all. No answer depends on the order of the pieces, because no two events have the
//! same position.

mod firsts;
mod rows;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::ControlFlow;
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
use wire::limits::SEARCH_LIMIT_MAX;

/// What a kept event costs in memory, about, beside its texts.
const EVENT_BYTES: usize = 160;

/// Steps of comparing a value of two events.
const COMPARE_STEPS: usize = 64;

/// Bytes of a piece's groups before they are put into those of all.
const GATHERED_BYTES_MAX: usize = 8 << 20;

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
    let kept =
        KeptRows { ranking, all: Vec::new(), firsts: SeededMap::default(), bytes: 0, bytes_max };
    let kept = Mutex::new(kept);
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
        if keys.bytes() > GATHERED_BYTES_MAX {
            let ranked = keys.ranked(&rows.end(&keys, walk)?)?;
            lock(kept).add_all(ranked)?;
            rows = Rows::new(ranking.limit);
            keys.forget();
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let ranked = keys.ranked(&rows.end(&keys, walk)?)?;
    lock(kept).add_all(ranked)?;
    Ok(total)
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
    all: Vec<Ranked>,
    firsts: SeededMap<Group, Ranked>,
    bytes: usize,
    bytes_max: usize,
}

impl KeptRows<'_> {
    fn add_first(&mut self, group: Group, ranked: Ranked) -> Result<(), IndexError> {
        match self.firsts.get_mut(&group) {
            Some(first) => {
                if self.ranking.compare(&ranked, first).is_lt() {
                    *first = ranked;
                }
            }
            None => {
                let texts: usize = group.iter().flatten().map(bytes).sum();
                self.bytes += EVENT_BYTES + texts;
                if self.bytes > self.bytes_max {
                    return Err(IndexError::TooManyGroups { groups: self.firsts.len() });
                }
                self.firsts.insert(group, ranked);
            }
        }
        Ok(())
    }

    /// What is sorted already, that of one piece or of all before it, is merged.
    fn add_all(&mut self, ranked: Vec<Ranked>) -> Result<(), IndexError> {
        self.all.extend(ranked);
        self.all.sort_by(|a, b| self.ranking.compare(a, b));
        self.all.truncate(self.ranking.limit);
        // A page has room in any case.
        if self.all.len() > SEARCH_LIMIT_MAX + 1 {
            let texts: usize = self.all.iter().flat_map(|one| &one.keys).map(bytes).sum();
            if self.all.len() * EVENT_BYTES + texts > self.bytes_max {
                return Err(IndexError::TooManyGroups { groups: self.all.len() });
            }
        }
        Ok(())
    }

    /// The first events in order, and of how many they are.
    fn end(self, pace: &mut Pace<'_>) -> Result<(Vec<Match>, Option<u64>), IndexError> {
        let Self { ranking, mut all, firsts, .. } = self;
        let groups = (!ranking.dedup.is_empty()).then_some(firsts.len() as u64);
        all.extend(firsts.into_values());
        let compare = |a: usize, b: usize| ranking.compare(&all[a], &all[b]);
        let steps = COMPARE_STEPS * (ranking.sort.len() + 1);
        let mut order = sorted(all.len(), compare, steps, |steps| pace.spend(steps))?;
        order.truncate(ranking.limit);
        let mut all: Vec<Option<Match>> = all.into_iter().map(|one| Some(one.found)).collect();
        Ok((order.into_iter().filter_map(|at| all[at].take()).collect(), groups))
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

fn bytes(cell: &Cell) -> usize {
    size_of::<Cell>() + if let Cell::Text(text) = cell { text.len() } else { 0 }
}
