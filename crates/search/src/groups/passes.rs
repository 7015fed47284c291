//! Groups that are more than fit the memory: the matches are walked several times, and each pass keeps the
//! groups of a part of the keys. Results are as exact as those of one pass, and take so many times as long.
//!
//! What is made of the groups decides whether that helps: a table that keeps the best of them, or counts
//! them, has room; one that needs all of them at once does not.

use std::sync::Arc;

use super::{Grouped, Grouping, group};
use crate::values::ReadRecord;
use crate::visit::{Check, Sought};
use segment::IndexError;
use segment::steps::bound;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::seeded::spread_hash;

/// Into so many parts one is taken apart that does not fit.
const SPLIT: u64 = 4;

/// Parts at most: passes beyond take longer than a search may.
const PARTS_MAX: u64 = 64;

/// Those keys, of all, whose hash is of one remainder. Strangers choose keys, and cannot choose the part:
/// the hash is seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    of: u64,
    number: u64,
}

impl Part {
    pub(crate) const ALL: Self = Self { of: 1, number: 0 };

    pub(crate) fn is_all(self) -> bool {
        self.of == 1
    }

    /// Whether a group is of the part.
    pub(crate) fn has(self, key: &[Cell]) -> bool {
        self.is_all() || spread_hash(&key) % self.of == self.number
    }

    /// The parts of the part.
    fn split(self) -> impl Iterator<Item = Self> {
        let of = self.of * SPLIT;
        (0..SPLIT).map(move |n| Self { of, number: self.number + n * self.of })
    }
}

/// What the groups of a pass may be and take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes_max: usize,
    pub(crate) part: Part,
}

impl Room {
    /// For all groups.
    #[cfg(test)]
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self { bytes_max, part: Part::ALL }
    }
}

/// What is grouped.
pub(crate) struct Asked<'a, E> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sought: &'a Sought,
    pub(crate) grouping: &'a Grouping,
    pub(crate) read: &'a Arc<ReadRecord>,
    pub(crate) bytes_max: usize,
    /// Whether it helps to make the groups in several passes.
    pub(crate) may_split: bool,
    pub(crate) check: Check<'a, E>,
}

/// What the passes came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passes {
    /// How many events match.
    pub(crate) events: u64,
    /// See [`Grouped::is_exact`].
    pub(crate) is_exact: bool,
    /// Passes that were walked to their end.
    pub(crate) count: usize,
}

/// Why a pass ended.
enum Ended<E> {
    /// Its groups do not fit.
    TooMany(usize),
    Failed(E),
}

impl<E: From<IndexError>> From<IndexError> for Ended<E> {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::TooManyGroups { groups } => Self::TooMany(groups),
            error => Self::Failed(error.into()),
        }
    }
}

/// Groups the events that match, in one pass or in as many as needed. `take` gets the rows of each pass,
/// in no order, and whether they are all; it returns how many bytes it keeps of those that it has got.
/// Polls `check`, and stops at its error.
pub(crate) fn group_in_passes<E: From<IndexError> + Send>(
    asked: &Asked<'_, E>,
    mut take: impl FnMut(Vec<Vec<Cell>>, bool) -> Result<usize, E>,
) -> Result<Passes, E> {
    let Asked { snapshot, sought, grouping, read, .. } = *asked;
    let bytes_max = bound("group-bytes", asked.bytes_max);
    let may_split = asked.may_split && !grouping.keys.is_empty();
    let check = || (asked.check)().map_err(Ended::Failed);
    let mut passes = Passes { is_exact: true, ..Passes::default() };
    let mut parts = vec![Part::ALL];
    let (mut kept, mut groups_done) = (0, 0);
    while let Some(part) = parts.pop() {
        let room = Room { bytes_max: bytes_max - kept, part };
        match group::<Ended<E>>(snapshot, sought, grouping, read, room, &check) {
            Ok(Grouped { rows, events, is_exact }) => {
                passes.events = events;
                passes.is_exact &= is_exact;
                passes.count += 1;
                groups_done += rows.len();
                kept = take(rows, part.is_all())?;
                // Else no room is left for the next pass.
                if kept > bytes_max / 2 && !parts.is_empty() {
                    return Err(IndexError::TooManyGroups { groups: groups_done }.into());
                }
            }
            Err(Ended::TooMany(_)) if may_split && part.of < PARTS_MAX => {
                // The others are as large.
                parts.push(part);
                parts = parts.into_iter().flat_map(Part::split).collect();
            }
            Err(Ended::TooMany(groups)) => {
                return Err(IndexError::TooManyGroups { groups: groups_done + groups }.into());
            }
            Err(Ended::Failed(error)) => return Err(error),
        }
    }
    Ok(passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_of_one_part_and_parts_are_as_large() {
        let mut parts = vec![Part::ALL];
        for of in [1, 4, 16, 64] {
            assert_eq!(parts.len(), of);
            let mut sizes = vec![0_usize; of];
            for n in 0..64_000 {
                let key = [Cell::Int(n), Cell::text("x")];
                let of_key: Vec<usize> = (0..of).filter(|part| parts[*part].has(&key)).collect();
                let [part] = of_key[..] else { panic!("{n} is of {of_key:?}") };
                sizes[part] += 1;
            }
            let even = 64_000 / of;
            assert!(sizes.iter().all(|size| size.abs_diff(even) < even / 4), "{sizes:?}");
            parts = parts.into_iter().flat_map(Part::split).collect();
        }
    }
}
