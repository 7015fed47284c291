//! The most frequent values of a column over all segments, and how many there are: exact, and without a
//! table of all values.
//!
//! The dictionaries of the segments are sorted, and walked side by side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::columnar::StrColumn;

use super::dense::Counter;
use crate::event::cell::Cell;
use crate::index::IndexError;

/// Of so many values of a dictionary at least one must have been met, for the dictionary to be walked
/// rather than looked up in.
const WALK_SHARE: usize = 16;

/// A value, and how many events have it. The worst is the one that the fewest have; of those, the
/// largest value, and none at all.
type Ranked = Reverse<(u64, Reverse<(bool, Vec<u8>)>)>;

/// The values that the most events have, in no order; none where the counters are not of one text.
pub fn top(counters: &[Counter], limit: usize) -> Result<Option<Vec<(Cell, u64)>>, IndexError> {
    let mut best = Best { limit, heap: BinaryHeap::new() };
    let Some(without) = walk(counters, |text, events| best.offer(events, Some(text)))? else {
        return Ok(None);
    };
    if without > 0 {
        best.offer(without, None);
    }
    Ok(Some(best.values()))
}

/// How many values some event has; none where the counters are not of one text.
pub fn distinct(counters: &[Counter]) -> Result<Option<u64>, IndexError> {
    let mut values = 0;
    let is_of_one_text = walk(counters, |_, _| values += 1)?.is_some();
    Ok(is_of_one_text.then_some(values))
}

/// Visits each value that some event has, in order, with the number of its events. Returns how many
/// events have no value.
fn walk(
    counters: &[Counter],
    mut visit: impl FnMut(&[u8], u64),
) -> Result<Option<u64>, IndexError> {
    let mut runs = Vec::with_capacity(counters.len());
    let mut without = 0;
    for counter in counters {
        let Some((column, counts, none)) = counter.of_one_text() else { return Ok(None) };
        without += none;
        if let Some(column) = column {
            runs.extend(Run::open(column, counts)?);
        }
    }
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
            if run.step() {
                at += 1;
            } else {
                runs.swap_remove(at);
            }
        }
        visit(&text, events);
    }
    Ok(Some(without))
}

struct Best {
    limit: usize,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
}

impl Best {
    /// Values come in order, and none last: of two that as many events have, the first is better.
    fn offer(&mut self, events: u64, text: Option<&[u8]>) {
        let is_full = self.heap.len() >= self.limit;
        if is_full && self.heap.peek().is_none_or(|Reverse((worst, _))| events <= *worst) {
            return;
        }
        let value = (text.is_none(), text.unwrap_or_default().to_vec());
        self.heap.push(Reverse((events, Reverse(value))));
        if is_full {
            self.heap.pop();
        }
    }

    fn values(self) -> Vec<(Cell, u64)> {
        let value = |Reverse((events, Reverse((is_none, text)))): Ranked| {
            let text = String::from_utf8_lossy(&text);
            (if is_none { Cell::Null } else { Cell::text(&text) }, events)
        };
        self.heap.into_iter().map(value).collect()
    }
}

/// Writes the next value to a buffer, and says how many events have it.
type Next<'c> = Box<dyn FnMut(&mut Vec<u8>) -> Option<u64> + 'c>;

/// A segment's values that were met, one after another.
struct Run<'c> {
    next: Next<'c>,
    text: Vec<u8>,
    events: u64,
}

impl<'c> Run<'c> {
    /// None where no value was met.
    fn open(column: &'c StrColumn, counts: &'c [u32]) -> Result<Option<Self>, IndexError> {
        let met = || counts.iter().enumerate().filter(|(_, events)| **events > 0);
        let next: Next<'c> = if met().count() * WALK_SHARE > counts.len() {
            let mut terms = column.dictionary().stream()?;
            Box::new(move |text| {
                while terms.advance() {
                    let events = counts[terms.term_ord() as usize];
                    if events > 0 {
                        text.clear();
                        text.extend_from_slice(terms.key());
                        return Some(events.into());
                    }
                }
                None
            })
        } else {
            let ordinals: Vec<u64> = met().map(|(ordinal, _)| ordinal as u64).collect();
            let mut texts = Vec::with_capacity(ordinals.len());
            let add = |text: &[u8]| texts.push(text.to_vec());
            column.dictionary().sorted_ords_to_term_cb(&ordinals, add)?;
            let events: Vec<u32> = met().map(|(_, events)| *events).collect();
            let mut values = texts.into_iter().zip(events);
            Box::new(move |text| {
                let (next, events) = values.next()?;
                *text = next;
                Some(events.into())
            })
        };
        let mut run = Self { next, text: Vec::new(), events: 0 };
        Ok(run.step().then_some(run))
    }

    /// Goes to the next value that was met; false where there is none.
    fn step(&mut self) -> bool {
        match (self.next)(&mut self.text) {
            Some(events) => {
                self.events = events;
                true
            }
            None => false,
        }
    }
}
