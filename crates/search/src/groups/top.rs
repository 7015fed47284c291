//! Finds the most frequent values of a column over all segments, and the number of distinct values.
//! Both are exact and need no table of all values. For all events, the inverted index gives the
//! answer without a look at events.
//!
//! The sorted dictionaries of the segments are walked side by side. Each thread walks a part of the
//! values.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tantivy::InvertedIndexReader;
use tantivy::columnar::TermOrdHit;
use tantivy::termdict::TermDictionary;

use super::CHECK_STEP;
use crate::groups::dense::Counter;
use crate::pieces::{in_parallel, threads};
use segment::IndexError;
use segment::dictionary::{TermWalk, TextColumn};
use segment::schema::Fields;
use segment::stop::{Pace, Stop};
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::columns::ColumnId;

/// Of so many values of a dictionary at least one must have been met, for the dictionary to be walked
/// rather than looked up in.
const WALK_SHARE: usize = 16;

/// So many times as many values as are wanted are looked at of each segment, before all are.
const CANDIDATES: usize = 4;

/// Steps of looking a value up in a dictionary, and of comparing it with what a segment has next.
const LOOK_UP_STEPS: usize = 1 << 12;
const RUN_STEPS: usize = 32;

/// Dictionaries of fewer values are walked by one thread.
const SHARED_VALUES_MIN: usize = 1_000;

/// A value, and how many events have it. The worst is the one that the fewest have; of those, the
/// largest value, and no value at all.
type Ranked = Reverse<(u64, Reverse<(bool, Vec<u8>)>)>;

/// Returns the most frequent values, in no order; None where the counters are not of one text key.
pub(crate) fn top(
    counters: &[Counter],
    limit: usize,
    stop: &Stop,
) -> Result<Option<Vec<(Cell, u64)>>, IndexError> {
    let Some((columns, without)) = of_one_text(counters) else { return Ok(None) };
    let mut all = match candidates(&columns, limit, stop)? {
        Some(all) => all,
        None => {
            let best = || Best { limit, heap: BinaryHeap::new() };
            let parts = walk(&columns, best, Best::offer, stop)?;
            parts.into_iter().flat_map(|best| best.heap.into_vec()).collect()
        }
    };
    if without > 0 {
        all.push(Reverse((without, Reverse((true, Vec::new())))));
    }
    Ok(Some(first(all, limit)))
}

/// Returns the values of a column of the schema that begin with `prefix`, most frequent first, with
/// the number of events of each. Polls `check`, and stops at its error.
pub(crate) fn top_of_column<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    column: ColumnId,
    prefix: &str,
    limit: usize,
    check: &(dyn Fn() -> Result<(), E> + Sync),
) -> Result<Vec<(Cell, u64)>, E> {
    debug_assert!(!column.column().is_unique, "most of its values are no terms");
    let found =
        catch_unwind(AssertUnwindSafe(|| top_of_terms(snapshot, column, prefix, limit, check)));
    if !matches!(found, Ok(Ok(_))) {
        // Each is read by itself, which tells of which segment the failure is.
        for segment in &snapshot.segments {
            check()?;
            segment.reading(|| read_terms(segment, column))?;
        }
    }
    found.unwrap_or_else(|panic| resume_unwind(panic))
}

fn read_terms(segment: &SegmentView, column: ColumnId) -> Result<(), IndexError> {
    let index = segment.reader.inverted_index(Fields::column(column))?;
    let mut terms = TermWalk::of_terms(index.terms(), b"")?;
    while terms.advance()? {}
    Ok(())
}

fn top_of_terms<E: From<IndexError> + Send>(
    snapshot: &Snapshot,
    column: ColumnId,
    prefix: &str,
    limit: usize,
    check: &(dyn Fn() -> Result<(), E> + Sync),
) -> Result<Vec<(Cell, u64)>, E> {
    let field = Fields::column(column);
    let open = |segment: &Arc<SegmentView>| segment.reader.inverted_index(field);
    let indexes: Vec<Arc<InvertedIndexReader>> =
        snapshot.segments.iter().map(open).collect::<Result<_, _>>().map_err(IndexError::from)?;
    let mut runs = Vec::with_capacity(indexes.len());
    for index in &indexes {
        runs.extend(TermRun::of_terms(index.terms(), prefix.as_bytes())?);
    }
    let mut best = Best { limit, heap: BinaryHeap::new() };
    let mut values: u64 = 0;
    merge(runs, |text, events| {
        best.offer(text, events);
        values += 1;
        if values.is_multiple_of(CHECK_STEP) { check() } else { Ok(()) }
    })?;
    Ok(first(best.heap.into_vec(), limit))
}

fn first(mut all: Vec<Ranked>, limit: usize) -> Vec<(Cell, u64)> {
    all.sort_unstable();
    all.truncate(limit);
    let value = |Reverse((events, Reverse((is_none, text)))): Ranked| {
        let text = String::from_utf8_lossy(&text);
        (if is_none { Cell::Null } else { Cell::text(&text) }, events)
    };
    all.into_iter().map(value).collect()
}

/// Returns the number of distinct values; None where the counters are not of one text key.
pub(crate) fn distinct(counters: &[Counter], stop: &Stop) -> Result<Option<u64>, IndexError> {
    let Some((columns, _)) = of_one_text(counters) else { return Ok(None) };
    Ok(Some(walk(&columns, || 0, |values, _, _| *values += 1, stop)?.into_iter().sum()))
}

/// A segment's column, and how many events have each value of its dictionary.
type Counted<'c> = (&'c TextColumn, &'c [u32]);

/// What was counted, and how many events have no value; none where it is not of one text.
fn of_one_text(counters: &[Counter]) -> Option<(Vec<Counted<'_>>, u64)> {
    let mut columns = Vec::with_capacity(counters.len());
    let mut without = 0;
    for counter in counters {
        let (column, counts, none) = counter.of_one_text()?;
        without += none;
        columns.extend(column.map(|column| (column, counts)));
    }
    Some((columns, without))
}

/// Whether the most frequent values can be found without walking the dictionaries.
#[cfg(test)]
pub(crate) fn is_told_by_candidates(counters: &[Counter], limit: usize) -> bool {
    let (columns, _) = of_one_text(counters).expect("of one text");
    candidates(&columns, limit, &Stop::when(|| false)).expect("it can be read").is_some()
}

/// The values that the most events have, where those that are frequent in some segment are enough to
/// tell: what is none of them has, in all segments together, at most as many events as the most
/// frequent of each segment's others. None where they are not: where no value stands out.
fn candidates(
    columns: &[Counted<'_>],
    limit: usize,
    stop: &Stop,
) -> Result<Option<Vec<Ranked>>, IndexError> {
    let of_segment = limit.saturating_mul(CANDIDATES);
    let met = |counts: &[u32]| counts.iter().filter(|events| **events > 0).count();
    let values: usize = columns.iter().map(|(_, counts)| met(counts)).sum();
    if of_segment.saturating_mul(columns.len() * WALK_SHARE) > values {
        return Ok(None);
    }
    let mut frequent: BTreeMap<Vec<u8>, Bounds> = BTreeMap::new();
    let mut others_max = 0;
    for (column, counts) in columns {
        let (ordinals, others) = most_frequent(counts, of_segment);
        others_max += u64::from(others);
        for ordinals in ordinals.chunks(CHECK_STEP as usize) {
            stop.check()?;
            let mut events = ordinals.iter().map(|ordinal| counts[*ordinal as usize]);
            column.each_text(ordinals, |text| {
                let bounds = frequent.entry(text.to_vec()).or_default();
                bounds.known += u64::from(events.next().unwrap_or(0));
                bounds.others += u64::from(others);
            })?;
        }
    }
    let mut known: Vec<u64> = frequent.values().map(|bounds| bounds.known).collect();
    known.sort_unstable_by_key(|known| Reverse(*known));
    let Some(reached) = limit.checked_sub(1).and_then(|last| known.get(last)) else {
        return Ok(None);
    };
    frequent.retain(|_, bounds| bounds.known + others_max - bounds.others >= *reached);
    let texts: Vec<Vec<u8>> = frequent.into_keys().collect();
    let of_segments = in_parallel(columns.iter().collect(), |(column, counts)| {
        let mut pace = Pace::new(stop);
        let count = |text: &Vec<u8>| -> Result<u32, IndexError> {
            pace.spend(LOOK_UP_STEPS)?;
            let ordinal = column.dictionary().term_ord(text)?;
            Ok(ordinal.map_or(0, |ordinal| counts[ordinal as usize]))
        };
        texts.iter().map(count).collect::<Result<Vec<u32>, _>>()
    })?;
    let mut best = Best { limit, heap: BinaryHeap::new() };
    for (n, text) in texts.iter().enumerate() {
        best.offer(text, of_segments.iter().map(|counts| u64::from(counts[n])).sum());
    }
    let is_sure = best.worst() > Some(others_max);
    Ok(is_sure.then(|| best.heap.into_vec()))
}

/// How many events a value may have, that is frequent in some segments.
#[derive(Default)]
struct Bounds {
    /// Of these segments.
    known: u64,
    /// How many it could have at most in them, were it not frequent there.
    others: u64,
}

/// The numbers of the values that the most events have, in order, and how many events have the most
/// frequent of the others.
fn most_frequent(counts: &[u32], wanted: usize) -> (Vec<u64>, u32) {
    let mut numbers: Vec<u32> =
        (0..counts.len() as u32).filter(|number| counts[*number as usize] > 0).collect();
    let mut others = 0;
    if numbers.len() > wanted {
        let (_, first_other, _) =
            numbers.select_nth_unstable_by_key(wanted, |number| Reverse(counts[*number as usize]));
        others = counts[*first_other as usize];
        numbers.truncate(wanted);
    }
    numbers.sort_unstable();
    (numbers.into_iter().map(u64::from).collect(), others)
}

/// Values from the first up to, and without, the second; None is no bound.
struct TopPart {
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

/// Parts that are about as large, one for each thread.
fn parts(columns: &[Counted<'_>]) -> Result<Vec<TopPart>, IndexError> {
    let largest = columns.iter().map(|(column, _)| *column).max_by_key(|column| column.num_terms());
    let mut bounds = vec![None];
    if let Some(column) = largest.filter(|column| column.num_terms() >= SHARED_VALUES_MIN) {
        for n in 1..threads() {
            let mut bound = Vec::new();
            let ordinal = column.num_terms() * n / threads();
            column.each_text(&[ordinal as u64], |text| bound.extend_from_slice(text))?;
            bounds.push(Some(bound));
        }
    }
    bounds.push(None);
    let part =
        |bounds: &[Option<Vec<u8>>]| TopPart { from: bounds[0].clone(), to: bounds[1].clone() };
    Ok(bounds.windows(2).map(part).collect())
}

/// Visits each value that some event has, in order, with the number of its events; each part of the
/// values with an answer of its own.
fn walk<T: Send>(
    columns: &[Counted<'_>],
    new: impl Fn() -> T + Send + Sync,
    visit: impl Fn(&mut T, &[u8], u64) + Send + Sync,
    stop: &Stop,
) -> Result<Vec<T>, IndexError> {
    in_parallel(parts(columns)?, |part| {
        let mut answer = new();
        walk_part(columns, &part, stop, |text, events| visit(&mut answer, text, events))?;
        Ok(answer)
    })
}

fn walk_part(
    columns: &[Counted<'_>],
    part: &TopPart,
    stop: &Stop,
    mut visit: impl FnMut(&[u8], u64),
) -> Result<(), IndexError> {
    let mut runs = Vec::with_capacity(columns.len());
    for (column, counts) in columns {
        stop.check()?;
        runs.extend(TermRun::open(column, counts, part)?);
    }
    let (mut pace, steps) = (Pace::new(stop), runs.len() * RUN_STEPS);
    merge(runs, |text, events| {
        visit(text, events);
        pace.spend(steps)
    })
}

/// Visits the values of all runs in order, each once, with the number of its events.
fn merge<E: From<IndexError>>(
    mut runs: Vec<TermRun<'_>>,
    mut visit: impl FnMut(&[u8], u64) -> Result<(), E>,
) -> Result<(), E> {
    let mut text = Vec::new();
    while let Some(smallest) = runs.iter().map(|run| &run.text).min() {
        text.clone_from(smallest);
        let mut events = 0;
        let mut at = 0;
        while let Some(run) = runs.get_mut(at) {
            if run.text != text {
                at += 1;
                continue;
            }
            events += run.events;
            if run.step()? {
                at += 1;
            } else {
                runs.swap_remove(at);
            }
        }
        visit(&text, events)?;
    }
    Ok(())
}

struct Best {
    limit: usize,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
}

impl Best {
    /// How many events the worst has.
    fn worst(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((events, _))| *events)
    }

    /// Values come in order: of two that as many events have, the first is better.
    fn offer(&mut self, text: &[u8], events: u64) {
        let is_full = self.heap.len() >= self.limit;
        if is_full && self.worst().is_none_or(|worst| events <= worst) {
            return;
        }
        self.heap.push(Reverse((events, Reverse((false, text.to_vec())))));
        if is_full {
            self.heap.pop();
        }
    }
}

/// Writes the next value to a buffer, and says how many events have it.
type Next<'c> = Box<dyn FnMut(&mut Vec<u8>) -> Result<Option<u64>, IndexError> + 'c>;

/// A segment's values that were met, one after another.
struct TermRun<'c> {
    next: Next<'c>,
    text: Vec<u8>,
    events: u64,
}

impl<'c> TermRun<'c> {
    /// None where no value of the part was met.
    fn open(
        column: &'c TextColumn,
        counts: &'c [u32],
        part: &TopPart,
    ) -> Result<Option<Self>, IndexError> {
        let dictionary = column.dictionary();
        let first = |bound: &Option<Vec<u8>>, open: usize| match bound {
            Some(value) => {
                let (TermOrdHit::Exact(ordinal) | TermOrdHit::Next(ordinal)) =
                    dictionary.term_ord_or_next(value)?;
                Ok::<_, IndexError>(usize::try_from(ordinal).unwrap_or(open).min(counts.len()))
            }
            None => Ok(open),
        };
        let values = first(&part.from, 0)?..first(&part.to, counts.len())?;
        let met = || values.clone().map(|at| (at, counts[at])).filter(|(_, events)| *events > 0);
        let next: Next<'c> = if met().count() * WALK_SHARE > values.len() {
            let mut walk = column.walk(part.from.as_deref().unwrap_or_default())?;
            let end = values.end as u64;
            Box::new(move |text| {
                while walk.advance()? && walk.ordinal() < end {
                    let events = counts[walk.ordinal() as usize];
                    if events > 0 {
                        text.clear();
                        text.extend_from_slice(walk.key());
                        return Ok(Some(events.into()));
                    }
                }
                Ok(None)
            })
        } else {
            let ordinals: Vec<u64> = met().map(|(ordinal, _)| ordinal as u64).collect();
            let mut texts = Vec::with_capacity(ordinals.len());
            let add = |text: &[u8]| texts.push(text.to_vec());
            column.each_text(&ordinals, add)?;
            let events: Vec<u32> = met().map(|(_, events)| events).collect();
            let mut values = texts.into_iter().zip(events);
            Box::new(move |text| {
                let Some((next, events)) = values.next() else { return Ok(None) };
                *text = next;
                Ok(Some(events.into()))
            })
        };
        let mut run = Self { next, text: Vec::new(), events: 0 };
        Ok(run.step()?.then_some(run))
    }

    /// The terms that begin with a prefix, with the numbers of their events; none where there are none.
    fn of_terms(terms: &'c TermDictionary, prefix: &'c [u8]) -> Result<Option<Self>, IndexError> {
        let mut terms = TermWalk::of_terms(terms, prefix)?;
        let next: Next<'c> = Box::new(move |text| {
            if !terms.advance()? || !terms.key().starts_with(prefix) {
                return Ok(None);
            }
            text.clear();
            text.extend_from_slice(terms.key());
            Ok(Some(terms.info().doc_freq.into()))
        });
        let mut run = Self { next, text: Vec::new(), events: 0 };
        Ok(run.step()?.then_some(run))
    }

    /// Goes to the next value that was met; false where there is none.
    fn step(&mut self) -> Result<bool, IndexError> {
        let events = (self.next)(&mut self.text)?;
        self.events = events.unwrap_or(0);
        Ok(events.is_some())
    }
}
