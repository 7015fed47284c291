//! What a search found beyond its answer, for an export: rows, or where events are. It holds no snapshot:
//! files of the index that are replaced meanwhile can go.
//!
//! An event's place is its document, which is looked at where its segment is still there. Merges replace
//! segments; the events of one that is gone are found by their positions, all of them at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tantivy::DocId;
use tantivy::index::SegmentId;

use super::fetch::{Chosen, fetch_up_to, rows_up_to};
use super::rows::Rows;
use super::stop_of;
use crate::collect::Match;
use segment::lock;
use segment::position::Position;
use segment::stop::{Pace, Stop};
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::PAGE_BYTES_MAX;
use wire::{ApiError, ErrorKind, Rest, SearchResponse, Table};

/// Steps of looking at one event's place.
const PLACE_STEPS: usize = 64;

/// What is kept.
enum Found {
    Rows(Rows),
    Events {
        places: Mutex<Places>,
        /// When the index was begun: the numbers of files are of that one.
        begun: Micros,
        /// The names of the columns, and what is in them; none for whole events.
        chosen: Option<(Vec<String>, Chosen)>,
    },
}

/// Where events are, in their order.
pub(super) struct Places {
    /// The segments that have them, or had them, by number.
    segments: Vec<SegmentId>,
    events: Vec<Place>,
}

/// Where an event is.
struct Place {
    position: Position,
    /// The number of its segment; [`NOWHERE`] of one that is in none any more.
    segment: u32,
    doc: DocId,
}

const NOWHERE: u32 = u32::MAX;

/// Some of the first rows that follow.
pub(super) fn rest_of_rows(mut rows: Rows, given: usize, keeps: usize) -> Option<Rest> {
    rows.truncate(keeps);
    let bytes = rows.bytes();
    (given < rows.count()).then(|| Rest { found: Arc::new(Found::Rows(rows)), given, bytes })
}

/// Events beyond the first.
pub(super) fn rest_of_events(
    places: Places,
    begun: Micros,
    columns: Vec<String>,
    chosen: Chosen,
    given: usize,
) -> Rest {
    let bytes = size_of_val(places.events.as_slice());
    let chosen = (!columns.is_empty()).then_some((columns, chosen));
    let found = Arc::new(Found::Events { places: Mutex::new(places), begun, chosen });
    Rest { found, given, bytes }
}

/// The next part of what a search kept.
pub fn more(
    snapshot: &Arc<Snapshot>,
    rest: &Rest,
    limit: usize,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let Some(found) = rest.found.downcast_ref::<Found>() else {
        return Err(ApiError::new(ErrorKind::Internal, "this is the rest of no search"));
    };
    let (mut response, all) = match found {
        Found::Rows(rows) => {
            let table = rows.part(rest.given, limit);
            (SearchResponse { table: Some(table), ..SearchResponse::default() }, rows.count())
        }
        Found::Events { places, begun, chosen } => {
            if *begun != snapshot.begun {
                let message = "the index was made anew since the export began; begin again";
                return Err(ApiError::new(ErrorKind::Gone, message));
            }
            let stop = stop_of(cancel);
            let (matches, all) = {
                let mut places = lock(places);
                (places.part(snapshot, rest.given, limit, &stop)?, places.events.len())
            };
            (events(snapshot, &matches, chosen.as_ref(), cancel)?, all)
        }
    };
    let now = response.table.as_ref().map_or(response.hits.len(), |table| table.rows.len());
    let given = rest.given + now;
    response.rest = (given < all).then(|| Rest { given, ..rest.clone() });
    Ok(response)
}

fn events(
    snapshot: &Snapshot,
    matches: &[Match],
    chosen: Option<&(Vec<String>, Chosen)>,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let Some((columns, chosen)) = chosen else {
        let hits = fetch_up_to(PAGE_BYTES_MAX, snapshot, matches, None, cancel)?;
        return Ok(SearchResponse { hits, ..SearchResponse::default() });
    };
    let rows = rows_up_to(PAGE_BYTES_MAX, snapshot, matches, chosen, cancel)?;
    let table = Table { columns: columns.clone(), rows, ..Table::default() };
    Ok(SearchResponse { table: Some(table), ..SearchResponse::default() })
}

impl Places {
    pub(super) fn of(matches: &[Match]) -> Self {
        let (mut segments, mut numbers) = (Vec::new(), HashMap::new());
        let mut events = Vec::with_capacity(matches.len());
        for Match { position, segment, doc } in matches {
            let segment = number_of(segment, &mut segments, &mut numbers);
            events.push(Place { position: *position, segment, doc: *doc });
        }
        Self { segments, events }
    }

    /// Some of the events, wherever merges have put them.
    fn part(
        &mut self,
        snapshot: &Snapshot,
        from: usize,
        limit: usize,
        stop: &Stop,
    ) -> Result<Vec<Match>, ApiError> {
        let mut views = self.views(snapshot);
        let part = from..self.events.len().min(from.saturating_add(limit));
        let is_there =
            |place: &Place| views.get(place.segment as usize).is_some_and(Option::is_some);
        if !self.events[part.clone()].iter().all(is_there) {
            self.find_again(snapshot, from, stop)?;
            views = self.views(snapshot);
        }
        let mut matches = Vec::with_capacity(part.len());
        for Place { position, segment, doc } in &self.events[part] {
            let Some(Some(view)) = views.get(*segment as usize) else {
                snapshot.check_whole(position.time, Micros(position.time.0.saturating_add(1)))?;
                let message = "an event that was found is not in the index any more";
                return Err(ApiError::new(ErrorKind::Gone, message));
            };
            matches.push(Match { position: *position, segment: Arc::clone(view), doc: *doc });
        }
        Ok(matches)
    }

    /// The segments by number, as far as the snapshot has them, whole.
    fn views<'s>(&self, snapshot: &'s Snapshot) -> Vec<Option<&'s Arc<SegmentView>>> {
        let view = |id: &SegmentId| snapshot.view(*id).filter(|view| !view.is_damaged());
        self.segments.iter().map(view).collect()
    }

    /// Finds all events from one on whose segments are gone, in those that have come since. That takes as
    /// long as there are such events, and others of the same times in these segments.
    fn find_again(
        &mut self,
        snapshot: &Snapshot,
        from: usize,
        stop: &Stop,
    ) -> Result<(), ApiError> {
        let is_gone: Vec<bool> = self.views(snapshot).iter().map(Option::is_none).collect();
        let mut pace = Pace::new(stop);
        // By position, the number of the event.
        let mut lost: HashMap<Position, usize> = HashMap::new();
        for (number, place) in self.events.iter().enumerate().skip(from) {
            pace.spend(PLACE_STEPS)?;
            if is_gone.get(place.segment as usize).is_some_and(|is_gone| *is_gone) {
                lost.insert(place.position, number);
            }
        }
        let mut times: Vec<Micros> = lost.keys().map(|position| position.time).collect();
        times.sort_unstable();
        times.dedup();
        let mut numbers: HashMap<SegmentId, u32> = self.segments.iter().copied().zip(0..).collect();
        let mut found = Vec::new();
        for segment in &snapshot.segments {
            if segment.is_damaged() || numbers.contains_key(&segment.reader.segment_id()) {
                continue;
            }
            let first = times.partition_point(|time| *time < segment.earliest);
            let of_segment = times[first..].iter().take_while(|time| **time <= segment.latest);
            for time in of_segment {
                pace.spend(PLACE_STEPS * segment.runs.len())?;
                let next = Micros(time.0.saturating_add(1));
                for doc in segment.docs_between(*time, next).into_iter().flatten() {
                    pace.spend(PLACE_STEPS)?;
                    if let Some(number) = lost.get(&segment.position(doc)) {
                        found.push((*number, segment, doc));
                    }
                }
            }
        }
        for number in lost.into_values() {
            self.events[number].segment = NOWHERE;
        }
        for (number, segment, doc) in found {
            let segment = number_of(segment, &mut self.segments, &mut numbers);
            let place = &mut self.events[number];
            (place.segment, place.doc) = (segment, doc);
        }
        Ok(())
    }
}

/// The number of a segment, which it has or gets.
fn number_of(
    segment: &SegmentView,
    segments: &mut Vec<SegmentId>,
    numbers: &mut HashMap<SegmentId, u32>,
) -> u32 {
    let id = segment.reader.segment_id();
    *numbers.entry(id).or_insert_with(|| {
        segments.push(id);
        segments.len() as u32 - 1
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use segment::merge;
    use store::store::Store;
    use store::testing::built;

    use super::*;

    /// Events of one second, as a flood of calls makes them.
    const EVENTS: usize = 20_000;
    const PART: usize = 100;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 1 << 20).unwrap();
        for file in 0..10 {
            let segment = built(&store, file, &[1_000_000; EVENTS / 10]);
            store.commit(vec![segment]).unwrap();
        }
        (dir, store)
    }

    fn merge_all(store: &mut Store) {
        let job = store.merge_candidates().expect("ten segments of a size are merged");
        let inputs = &job.inputs;
        let merged =
            merge::merge(&job.files, &job.fields, &job.dictionaries, inputs, true).unwrap();
        store.replace(inputs, &[merged]).unwrap();
    }

    fn places(snapshot: &Snapshot) -> Places {
        let docs = |segment: &'_ Arc<SegmentView>| {
            let segment = Arc::clone(segment);
            (0..segment.events()).map(move |doc| Match::new(&segment, doc))
        };
        let matches: Vec<Match> = snapshot.segments.iter().flat_map(docs).collect();
        Places::of(&matches)
    }

    /// Takes all parts, and counts the looks at the deadline, of which there is one in a million steps.
    fn looks(places: &mut Places, snapshot: &Snapshot) -> Result<usize, ApiError> {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let stop = Stop::when(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        });
        let expected: Vec<Position> = places.events.iter().map(|place| place.position).collect();
        for (part, expected) in expected.chunks(PART).enumerate() {
            let matches = places.part(snapshot, part * PART, PART, &stop)?;
            let found: Vec<Position> = matches.iter().map(|found| found.position).collect();
            assert_eq!(found, expected);
            let at_doc = matches.iter().map(|found| found.segment.position(found.doc));
            assert!(at_doc.eq(found), "each document is the event");
        }
        Ok(looks.load(Ordering::Relaxed))
    }

    #[test]
    fn events_of_one_second_are_found_in_linear_time_before_and_after_a_merge() {
        let (_dir, mut store) = store();
        let before = store.snapshots().load_full();
        let mut places = places(&before);
        assert_eq!(places.events.len(), EVENTS);
        assert_eq!(looks(&mut places, &before).unwrap(), 0, "their documents are known");
        merge_all(&mut store);
        let after = store.snapshots().load_full();
        assert_eq!(after.segments.len(), 1);
        let looks = looks(&mut places, &after).unwrap();
        assert!(looks < 20, "{looks} million steps for {EVENTS} events");
    }

    #[test]
    fn a_look_for_events_ends_with_the_search_and_what_is_gone_is_told() {
        let (_dir, mut store) = store();
        let mut places = places(&store.snapshots().load_full());
        merge_all(&mut store);
        let after = store.snapshots().load_full();
        let due = Stop::when(|| true);
        assert!(places.part(&after, 0, PART, &due).is_err(), "it was told to end");
        let stop = Stop::when(|| false);
        places.events[PART].position.offset = u64::MAX;
        assert_eq!(places.part(&after, 0, PART, &stop).unwrap().len(), PART);
        let error = places.part(&after, PART, PART, &stop).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    }
}
