//! Chooses the segments to merge, and merges them.
//!
//! Segments are merged ten at a time with others of their size, so an event is rewritten once for
//! each tenfold growth; among those of a size, the ten that lie closest together in time.
//!
//! Small segments are merged into one that is sorted by time. Larger ones are laid one behind another
//! as they are, each a run of the new segment, because sorting needs all of a column's values at hand;
//! searches pay some microseconds a run.

use std::cmp::Reverse;

use tantivy::directory::TerminatingWrite;
use tantivy::{Directory, DocId, Segment, SegmentReader};

use super::IndexError;
use super::keys;
use super::records;
use crate::build::{open_index, words_of};
use crate::check::check_segment;
use crate::directory::{SegmentDirectory, SegmentFiles};
use crate::ids::{DOC_BITS, Ids};
use crate::parts::{Part, SegmentEntry, segment_id};
use crate::records::{Dictionaries, Shuffled};
use crate::schema::{Fields, TIME};
use crate::sigbus;
use crate::sigbus::Lost;
use crate::steps::step;
use crate::write::{Numbers, stack};

/// Segments merged into one.
const FACTOR: usize = 10;

/// The same where a merge was killed so many times.
fn factor(kills: u32) -> Option<usize> {
    match kills {
        0 => Some(FACTOR),
        1..=2 => Some(FACTOR / 2),
        3 => Some(2),
        _ => None,
    }
}

/// Events of a merged segment, at most: larger ones would take minutes to merge, and block the disk
/// space of two for as long.
const EVENTS_MAX: u64 = 10_000_000;
const _: () = assert!(EVENTS_MAX < 1 << DOC_BITS);

/// Values of the largest column of the segments that are merged: a merge holds one column at a time,
/// some 11 bytes for each value, the document and the place in the dictionary, and 4 for each different
/// one. Ten million events have as many values of most columns, and twice as many ARNs of resources. An
/// archive with made-up records can have more; its segments stay as they are. Of the columns that it
/// leaves out, a merge holds all at once: their bound is in [`crate::overflow`].
const VALUES_MAX: u64 = 20_000_000;

/// Segments below this many events are of one size: merging them costs next to nothing.
const SMALL_EVENTS: u32 = 1_000;

/// Events that a merge sorts into one run, at most: about as many as a built segment has.
const SORTED_EVENTS_MAX: u32 = 50_000;

/// A segment that could be merged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The segment as the manifest lists it.
    pub entry: SegmentEntry,
    /// Time of the latest event, in microseconds since the Unix epoch.
    pub latest_us: i64,
}

/// The most values that a column of a segment has, see
/// [`crate::view::SegmentView::values_of_a_column`]; None where they cannot be read. To ask takes a
/// look at all columns.
pub type ValuesOf<'v> = dyn Fn(&SegmentEntry) -> Option<u64> + 'v;

/// Chooses the segments to merge next, latest first; None where no merge is due. `kills` is how often
/// the process was killed at a merge: then fewer are merged, or none.
pub fn choose(
    candidates: &[Candidate],
    kills: u32,
    values_of: &ValuesOf<'_>,
) -> Option<Vec<SegmentEntry>> {
    let factor = factor(kills)?;
    let mut levels: Vec<Vec<&Candidate>> = Vec::new();
    for candidate in candidates {
        let level = level(candidate.entry.events());
        levels.resize_with(levels.len().max(level + 1), Vec::new);
        levels[level].push(candidate);
    }
    levels.into_iter().find_map(|level| closest(level, factor, values_of))
}

/// Those segments of a size, so many, that lie closest together in time.
fn closest(
    mut level: Vec<&Candidate>,
    factor: usize,
    values_of: &ValuesOf<'_>,
) -> Option<Vec<SegmentEntry>> {
    level.sort_by_key(|candidate| candidate.latest_us);
    loop {
        let mut unread = None;
        let found = level
            .windows(factor)
            .filter(|window| events(window) <= EVENTS_MAX)
            .filter(|window| {
                let mut values = 0;
                for candidate in *window {
                    match values_of(&candidate.entry) {
                        Some(more) => values += more,
                        None => unread = Some(candidate.entry.clone()),
                    }
                }
                values <= values_max(events(window))
            })
            .min_by_key(|window| window[factor - 1].latest_us.saturating_sub(window[0].latest_us));
        match (unread, found) {
            // The others are chosen of without it.
            (Some(unread), _) => level.retain(|candidate| candidate.entry != unread),
            (None, found) => {
                let entries = found?.iter().rev().map(|candidate| candidate.entry.clone());
                return Some(entries.collect());
            }
        }
    }
}

fn events(window: &[&Candidate]) -> u64 {
    window.iter().map(|candidate| u64::from(candidate.entry.events())).sum()
}

/// What is sorted is held twice.
fn values_max(events: u64) -> u64 {
    if events <= u64::from(SORTED_EVENTS_MAX) { VALUES_MAX / 2 } else { VALUES_MAX }
}

/// Each level's segments hold ten times as many events as the one's before.
fn level(events: u32) -> usize {
    (events.max(SMALL_EVENTS) / SMALL_EVENTS).ilog10() as usize
}

/// Whether a merge sorts these segments into one run; if not, it concatenates their runs.
pub fn is_sorted(entries: &[SegmentEntry]) -> bool {
    entries.iter().map(SegmentEntry::events).sum::<u32>() <= SORTED_EVENTS_MAX
}

/// Merges segments in their order into a new one, which is in no commit yet. Checks them first, so
/// that damage cannot get into a segment that looks whole.
pub fn merge(
    files: &SegmentFiles,
    fields: &Fields,
    dictionaries: &Dictionaries,
    entries: &[SegmentEntry],
    is_sorted: bool,
) -> Result<SegmentEntry, IndexError> {
    for entry in entries {
        check_segment(&files.dir, entry, &|_| {})?;
        files.check_pages(&entry.files, &Lost::look())?;
    }
    let output = files.directory();
    let cuts_before = sigbus::cuts();
    let mut merged = merge_into(&output, files, fields, dictionaries, entries, is_sorted);
    if sigbus::cuts() != cuts_before {
        // Perhaps one of these, after it was checked; what was read of it may be zeros.
        merged = Err(IndexError::Cut);
    }
    if merged.is_err() {
        output.give_up();
    }
    merged
}

fn merge_into(
    output: &SegmentDirectory,
    files: &SegmentFiles,
    fields: &Fields,
    dictionaries: &Dictionaries,
    entries: &[SegmentEntry],
    is_sorted: bool,
) -> Result<SegmentEntry, IndexError> {
    let index = open_index(files.directory(), fields)?;
    let segments = entries
        .iter()
        .map(|entry| Ok(index.segment(index.new_segment_meta(segment_id(entry)?, entry.events()))))
        .collect::<Result<Vec<_>, IndexError>>()?;
    let order = if is_sorted { Some(order(&segments)?) } else { None };
    let events: Vec<u32> = entries.iter().map(SegmentEntry::events).collect();
    let numbers = numbers(&events, order.as_deref());
    let merged = open_index(output.clone(), fields)?.new_segment();
    stack(&segments, &numbers, &merged, fields)?;
    let id = merged.id().uuid_string();
    step("merge-written");
    let records = entries.iter().map(|entry| files.records(&entry.id));
    let records = records.collect::<Result<Vec<_>, IndexError>>()?;
    for part in Part::ALL {
        let mut out = output.open_write(&part.path(&id))?;
        match part {
            Part::Records => match &order {
                Some(order) => {
                    let source = Shuffled::new(&records, order.len(), |n| order[n]);
                    records::write(source, dictionaries, &mut out)?;
                }
                None => records::concatenate(&records, &events, &mut out)?,
            },
            Part::Ids => {
                let mut ids = Ids::default();
                for (entry, numbers) in entries.iter().zip(&numbers) {
                    files.ids(&entry.id)?.add_to(&mut ids, |doc| Some(numbers.of(doc)));
                }
                ids.write(&mut out)?;
            }
            Part::Words => words_of(&merged)?.write(&mut out)?,
            Part::Keys => {
                let sets = entries.iter().map(|entry| files.keys(&entry.id));
                keys::merge(&sets.collect::<Result<Vec<_>, _>>()?, &mut out)?;
            }
        }
        out.terminate()?;
        part.merged();
    }
    let runs = if is_sorted {
        vec![entries.iter().map(SegmentEntry::events).sum()]
    } else {
        entries.iter().flat_map(|entry| &entry.runs).copied().collect()
    };
    Ok(SegmentEntry { id, runs, files: output.written() })
}

/// Where each document of a merged segment that is sorted by time comes from, latest first: which of
/// the segments, and which document. Each of them is sorted.
fn order(segments: &[Segment]) -> Result<Vec<(usize, DocId)>, IndexError> {
    let mut order = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let reader = SegmentReader::open(segment)?;
        let times = reader.fast_fields().date(TIME)?;
        let missing = IndexError::Bug("an event without a time");
        let docs: Option<Vec<_>> =
            (0..reader.max_doc()).map(|doc| Some((times.first(doc)?, (n, doc)))).collect();
        order.extend(docs.ok_or(missing)?);
    }
    order.sort_by_key(|(time, _)| Reverse(*time));
    Ok(order.into_iter().map(|(_, place)| place).collect())
}

/// The numbers of each segment's documents: as [`order`] says, or one segment behind another.
fn numbers(events: &[u32], order: Option<&[(usize, DocId)]>) -> Vec<Numbers> {
    let Some(order) = order else {
        let firsts = events.iter().scan(0, |first, events| {
            *first += events;
            Some(Numbers::From(*first - events))
        });
        return firsts.collect();
    };
    let mut numbers: Vec<Vec<DocId>> =
        events.iter().map(|events| vec![0; *events as usize]).collect();
    for (number, (segment, doc)) in (0..).zip(order) {
        numbers[*segment][*doc as usize] = number;
    }
    numbers.into_iter().map(Numbers::Each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: usize, events: u32, latest_us: i64) -> Candidate {
        Candidate {
            entry: SegmentEntry { id: id.to_string(), runs: vec![events], files: Vec::new() },
            latest_us,
        }
    }

    fn chosen(candidates: &[Candidate]) -> Option<String> {
        chosen_of(candidates, &|_| Some(0))
    }

    fn chosen_of(candidates: &[Candidate], values_of: &ValuesOf<'_>) -> Option<String> {
        choose(candidates, 0, values_of)
            .map(|entries| entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn nine_of_a_size_are_left_alone() {
        let segments: Vec<_> = (0..9).map(|n| candidate(n, 25_000, n as i64)).collect();
        assert_eq!(chosen(&segments), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn the_ten_closest_in_time_are_merged() {
        let times = [0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 1_000];
        let segments: Vec<_> =
            times.iter().enumerate().map(|(n, time)| candidate(n, 25_000, *time)).collect();
        assert_eq!(chosen(&segments).as_deref(), Some("10 9 8 7 6 5 4 3 2 1"));
    }

    #[test]
    fn fewer_are_merged_where_that_was_too_much() {
        let segments: Vec<_> = (0..10).map(|n| candidate(n, 25_000, n as i64)).collect();
        let merged = |kills| choose(&segments, kills, &|_| Some(0)).map(|entries| entries.len());
        assert_eq!([0, 2, 3, 4].map(merged), [Some(10), Some(5), Some(2), None]);
    }

    #[test]
    fn documents_have_the_numbers_that_their_order_gives_them() {
        let of = |numbers: &[Numbers], events: &[u32]| -> Vec<Vec<DocId>> {
            let each = |(numbers, events): (&Numbers, &u32)| {
                (0..*events).map(|doc| numbers.of(doc)).collect()
            };
            numbers.iter().zip(events).map(each).collect()
        };
        let events = [2, 0, 3];
        assert_eq!(of(&numbers(&events, None), &events), [vec![0, 1], vec![], vec![2, 3, 4]]);
        let order = [(2, 0), (0, 0), (2, 1), (2, 2), (0, 1)];
        let found = of(&numbers(&events, Some(&order)), &events);
        assert_eq!(found, [vec![1, 4], vec![], vec![0, 2, 3]]);
    }

    #[test]
    fn sizes_are_not_mixed() {
        let segments: Vec<_> =
            (0..18).map(|n| candidate(n, if n % 2 == 0 { 25_000 } else { 250_000 }, 0)).collect();
        assert_eq!(chosen(&segments), None);
    }

    #[test]
    fn segments_of_too_many_values_are_left_alone() {
        let segments: Vec<_> = (0..17).map(|n| candidate(n, 25_000, n as i64)).collect();
        let check = |values: &[(&str, u64)], expected: Option<&str>| {
            let of = |entry: &SegmentEntry| {
                let found = values.iter().find(|(id, _)| entry.id == *id);
                Some(found.map_or(0, |(_, values)| *values))
            };
            assert_eq!(chosen_of(&segments, &of).as_deref(), expected);
        };
        check(&[("3", VALUES_MAX + 1)], Some("13 12 11 10 9 8 7 6 5 4"));
        let half = VALUES_MAX / 2;
        check(&[("3", VALUES_MAX + 1), ("12", half), ("13", half + 1)], None);
    }

    /// To ask takes a look at all columns, on the thread that commits.
    #[test]
    fn values_are_asked_of_those_only_that_could_be_merged() {
        let asked = std::cell::RefCell::new(Vec::new());
        let values_of = |entry: &SegmentEntry| {
            asked.borrow_mut().push(entry.id.clone());
            Some(0)
        };
        // Nine of a size, and of another as many that are too large together.
        let mut segments: Vec<_> = (0..9).map(|n| candidate(n, 25_000, n as i64)).collect();
        segments.extend((9..20).map(|n| candidate(n, 2_000_000, n as i64)));
        assert_eq!(chosen_of(&segments, &values_of), None);
        assert_eq!(*asked.borrow(), [""; 0]);
        segments.push(candidate(20, 25_000, 9));
        chosen_of(&segments, &values_of).expect("ten of a size");
        assert_eq!(asked.borrow().len(), 10);
    }

    #[test]
    fn one_that_cannot_be_read_keeps_none_of_the_others_from_a_merge() {
        let segments: Vec<_> = (0..11).map(|n| candidate(n, 25_000, n as i64)).collect();
        let but_one = |entry: &SegmentEntry| (entry.id != "5").then_some(0);
        let found = chosen_of(&segments, &but_one);
        assert_eq!(found.as_deref(), Some("10 9 8 7 6 4 3 2 1 0"));
        assert_eq!(chosen_of(&segments[..10], &but_one), None);
    }

    #[test]
    fn no_merge_makes_a_segment_beyond_the_maximum() {
        let segments: Vec<_> = (0..30).map(|n| candidate(n, 2_000_000, n as i64)).collect();
        assert_eq!(chosen(&segments), None);
    }
}
