//! Which fields of a segment have columns, and where the others are.
//!
//! Strangers choose the names of fields, and a column costs memory whatever it holds. So a segment has
//! columns for a bounded number of paths. What is known of the others is in one column of texts,
//! [`OVERFLOW`], which has the paths of each event whose values are in no column: a search by such a
//! path takes these events and looks into their records. The words of all values are indexed either
//! way. The ordinals of an event's paths are in order, so one of thousands is found in a few looks.
//!
//! A path can have a column and be in the overflow of other events, because segments are merged that
//! chose differently. Each event's values at a path are either in columns or in the overflow.
//!
//! Which paths have columns: those that real records have ([`is_known`]), then those with the largest
//! share of records. Each record has one vote, which its values divide: a record of five thousand
//! names that nothing else has gives each of them a five-thousandth.

use std::ops::Range;

use tantivy::columnar::{Column, ColumnIndex};
use tantivy::{DocId, TERMINATED};
use tantivy_sstable::TermOrdHit;

use crate::dictionary::TextColumn;
use crate::steps::bound;
use crate::view::separated;
use crate::{IndexError, partition_point};
use trail::paths::{SEPARATOR, is_known};

/// Name of the column of paths. No field of the schema has it, and paths have another beginning.
pub(crate) const OVERFLOW: &str = "overflow";

/// Paths of a segment that have columns. Real archives have some 2,000. A merge of ten segments holds
/// some 300 bytes of each of their columns: 12 MiB, or 36 if each path has values of all kinds.
const PATHS_MAX: usize = 4_096;

/// Bytes of the names of these. A merge and the list of a segment's fields hold them.
const NAME_BYTES_MAX: usize = 512 << 10;

/// A path that could have columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'p> {
    /// Its parts separated by [`SEPARATOR`].
    pub(crate) path: &'p str,
    /// The votes of the records that have it.
    pub(crate) votes: f64,
}

/// Values of a merged segment without a column, at most. A merge holds them all, some 24 bytes for
/// each, to sort them. Where there are more, the segments stay as they are.
const MERGED_MAX: usize = 6 << 20;

pub(crate) fn merged_max() -> usize {
    bound("overflow-merged-max", MERGED_MAX)
}

/// Whether paths of this number and these bytes can all have columns.
pub(crate) fn all_fit(paths: usize, name_bytes: usize) -> bool {
    paths <= paths_max() && name_bytes <= NAME_BYTES_MAX
}

fn paths_max() -> usize {
    bound("columns-max", PATHS_MAX)
}

/// Chooses the paths that have columns: for each candidate, whether it has.
pub(crate) fn choose(candidates: &[Candidate<'_>]) -> Vec<bool> {
    let mut order: Vec<(bool, usize)> =
        candidates.iter().map(|one| !is_known(one.path)).zip(0..).collect();
    order.sort_by(|(a_unknown, a), (b_unknown, b)| {
        let (a, b) = (&candidates[*a], &candidates[*b]);
        let by_votes = b.votes.total_cmp(&a.votes);
        a_unknown.cmp(b_unknown).then(by_votes).then_with(|| a.path.cmp(b.path))
    });
    let mut is_chosen = vec![false; candidates.len()];
    let mut bytes = 0;
    for (_, n) in order.into_iter().take(paths_max()) {
        bytes += candidates[n].path.len();
        if bytes > NAME_BYTES_MAX {
            break;
        }
        is_chosen[n] = true;
    }
    is_chosen
}

/// What of a path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The path itself.
    At,
    /// What lies below it.
    Below,
    /// Both.
    AtOrBelow,
}

/// The events of a segment that have values without a column, at one path or below it too.
pub struct Overflowed {
    column: Column<u64>,
    ordinals: Range<u64>,
}

impl Overflowed {
    /// Those of a path; None where there are none.
    pub(crate) fn find(
        paths: &TextColumn,
        path: &str,
        reach: Reach,
    ) -> Result<Option<Self>, IndexError> {
        let path = separated(path);
        let dictionary = paths.dictionary();
        let place = |text: String| {
            let (TermOrdHit::Exact(place) | TermOrdHit::Next(place)) =
                dictionary.term_ord_or_next(text)?;
            Ok::<u64, IndexError>(place.min(paths.num_terms() as u64))
        };
        // A path, what is below it, and nothing else between: no part has a NUL.
        let below = format!("{path}{SEPARATOR}");
        let after = format!("{path}{}", char::from(SEPARATOR as u8 + 1));
        let ordinals = match reach {
            Reach::At => match dictionary.term_ord(&path)? {
                Some(at) => at..at + 1,
                None => return Ok(None),
            },
            Reach::Below => place(below)?..place(after)?,
            Reach::AtOrBelow => match dictionary.term_ord(&path)? {
                Some(at) => at..place(after)?,
                None => place(below)?..place(after)?,
            },
        };
        let column = paths.ords().clone();
        Ok((!ordinals.is_empty()).then_some(Self { column, ordinals }))
    }

    /// The events that have overflow of any path.
    pub fn index(&self) -> &ColumnIndex {
        &self.column.index
    }

    /// Whether an event has such a value.
    pub fn has(&self, doc: DocId) -> bool {
        debug_assert_ne!(doc, TERMINATED);
        let rows = self.column.index.value_row_ids(doc);
        let ordinal = |row: usize| self.column.values.get_val(row as u32);
        let range = rows.start as usize..rows.end as usize;
        let first = partition_point(range.clone(), |row| ordinal(row) < self.ordinals.start);
        range.contains(&first) && ordinal(first) < self.ordinals.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_else_has_lose() {
        let junk: Vec<String> = (0..20_000).map(|n| format!("k{n}")).collect();
        // Written first, and in more records than the rare one.
        let mut candidates: Vec<Candidate<'_>> =
            junk.iter().map(|path| Candidate { path, votes: 3.0 / 5_000.0 }).collect();
        candidates.push(Candidate { path: "requestParameters\u{1}rare", votes: 1.0 / 40.0 });
        candidates.push(Candidate { path: "requestParameters\u{1}bucketName", votes: 0.0 });
        let chosen = choose(&candidates);
        assert_eq!(chosen[20_000..], [true, true]);
        assert_eq!(chosen.iter().filter(|chosen| **chosen).count(), PATHS_MAX);
    }

    #[test]
    fn long_names_take_the_place_of_many() {
        let long: Vec<String> = (0..2_000).map(|n| format!("{n:01000}")).collect();
        let candidates: Vec<Candidate<'_>> =
            long.iter().map(|path| Candidate { path, votes: 1.0 }).collect();
        let chosen = choose(&candidates).into_iter().filter(|chosen| *chosen).count();
        assert_eq!(chosen, NAME_BYTES_MAX / 1_000);
        assert!(!all_fit(2_000, 2_000_000) && all_fit(2_000, 60_000));
    }
}
