//! Which events of a segment share their id with another event of different content.
//!
//! Of such events, only the later has the flag in the column. Its record tells the id's text, by which the
//! index finds the others; so as many records are read as there are such events, and not all of the
//! archive's. The keys of a segment tell how many of its events have an id. Where fewer were found, because
//! the later event is gone or two texts have one hash, each record of the segment is read.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tantivy::index::SegmentId;
use tantivy::{DocId, DocSet, TERMINATED, Term};

use crate::one_term::docs_with;
use crate::parsers::SharedParser;
use segment::ids::UuidKey;
use segment::schema::Fields;
use segment::stop::{Pace, Stop};
use segment::view::SegmentView;
use segment::{IndexError, lock};
use store::snapshot::Snapshot;
use trail::columns::EVENT_ID;
use trail::flags::Flags;
use trail::limits::EXACT_BYTES_MAX;
use trail::seeded::SeededMap;
use trail::words::shorten;

/// Bytes of the texts of ids, at most: those of some 100,000 UUIDs. Of more, each record is read.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// What a text takes in memory beside its bytes, about.
const TEXT_BYTES: usize = 96;

/// Texts with the same hash, at most: who makes more of them has each record read.
const TEXTS_MAX: usize = 16;

/// Steps of asking a filter for an id, of reading a page of keys, and of reading a record.
const FILTER_STEPS: usize = 32;
const PAGE_STEPS: usize = 1 << 13;
const RECORD_STEPS: usize = 1 << 16;
/// Steps of looking at an event's flags.
const FLAG_STEPS: usize = 16;

/// The texts of ids, by the hashes that keys have; several where strangers have made their hashes equal.
type TextsById = SeededMap<u64, Vec<Box<str>>>;

/// Ids that events of different content share.
pub(crate) struct SharedIds {
    /// As the keys have them, in order.
    ids: Vec<u64>,
    /// The segments with the later events. A name in a query does not keep their files.
    later: Vec<Weak<SegmentView>>,
    stop: Stop,
    /// The texts of each id; None where there are too many.
    texts: OnceLock<Option<TextsById>>,
    /// By segment, as they are looked up.
    of_segments: Mutex<HashMap<SegmentId, SharedDocs>>,
}

/// The events of a segment that share their ids.
#[derive(Clone)]
pub(crate) enum SharedDocs {
    /// These, in order.
    Known(Arc<[DocId]>),
    /// Only the records tell.
    OfRecords,
}

impl SharedIds {
    pub(super) fn of(snapshot: &Snapshot, stop: Stop) -> Self {
        let has_later = |segment: &&Arc<SegmentView>| !segment.keys.conflicts().is_empty();
        let later = snapshot.segments.iter().filter(has_later).map(Arc::downgrade).collect();
        let (texts, of_segments) = (OnceLock::new(), Mutex::default());
        Self { ids: snapshot.conflicts(), later, stop, texts, of_segments }
    }

    pub(super) fn has(&self, id: u64) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The events of a segment; they are looked up once.
    pub(super) fn in_segment(&self, segment: &Arc<SegmentView>) -> Result<SharedDocs, IndexError> {
        if self.ids.is_empty() {
            return Ok(SharedDocs::Known(Arc::default()));
        }
        let mut of_segments = lock(&self.of_segments);
        let id = segment.reader.segment_id();
        if let Some(known) = of_segments.get(&id) {
            return Ok(known.clone());
        }
        let docs = self.look_up(segment, &mut Pace::new(&self.stop))?;
        of_segments.insert(id, docs.clone());
        Ok(docs)
    }

    fn look_up(
        &self,
        segment: &Arc<SegmentView>,
        pace: &mut Pace<'_>,
    ) -> Result<SharedDocs, IndexError> {
        if segment.keys.is_outdated() {
            return Ok(SharedDocs::OfRecords);
        }
        let (mut ids, mut events) = (Vec::new(), 0);
        for id in &self.ids {
            pace.spend(FILTER_STEPS)?;
            if segment.keys.may_have(*id) {
                pace.spend(PAGE_STEPS)?;
                let of_id = segment.keys.count(*id, &mut || pace.spend(PAGE_STEPS))?;
                events += of_id;
                ids.extend((of_id > 0).then_some(*id));
            }
        }
        if ids.is_empty() {
            return Ok(SharedDocs::Known(Arc::default()));
        }
        let Some(texts) = self.texts(pace)? else { return Ok(SharedDocs::OfRecords) };
        let mut docs = Vec::new();
        for text in ids.iter().filter_map(|id| texts.get(id)).flatten() {
            docs.append(&mut docs_with_id(segment, text, pace)?);
        }
        docs.sort_unstable();
        docs.dedup();
        let mut found = Vec::with_capacity(docs.len().min(events));
        let mut parser = SharedParser::take();
        for doc in docs {
            pace.spend(RECORD_STEPS)?;
            let key = parser.key(&segment.record(doc)?);
            found.extend(key.is_some_and(|key| self.has(key.id)).then_some(doc));
        }
        let is_whole = found.len() == events;
        Ok(if is_whole { SharedDocs::Known(found.into()) } else { SharedDocs::OfRecords })
    }

    fn texts(&self, pace: &mut Pace<'_>) -> Result<Option<&TextsById>, IndexError> {
        // Whoever looks up holds the lock.
        if let Some(texts) = self.texts.get() {
            return Ok(texts.as_ref());
        }
        let texts = self.read_texts(pace)?;
        Ok(self.texts.get_or_init(|| texts).as_ref())
    }

    /// Reads the records of the later events.
    fn read_texts(&self, pace: &mut Pace<'_>) -> Result<Option<TextsById>, IndexError> {
        let mut texts: TextsById = SeededMap::default();
        let (mut bytes, mut parser) = (0, SharedParser::take());
        for later in &self.later {
            let Some(segment) = later.upgrade() else { return Ok(None) };
            for doc in 0..segment.events() {
                pace.spend(FLAG_STEPS)?;
                if !segment.flags(doc).contains(Flags::ID_CONFLICT) {
                    continue;
                }
                pace.spend(RECORD_STEPS)?;
                // A fault is noted on the segment, and ends the search that needs its events.
                let Ok(record) = segment.reading(|| segment.record(doc)) else { return Ok(None) };
                let Some(id) = parser.key(&record).map(|key| key.id) else { continue };
                let Some((event, _)) = parser.parse_record(&record) else { continue };
                let text = event.column(EVENT_ID);
                let known = texts.entry(id).or_default();
                if known.iter().any(|known| **known == *text) {
                    continue;
                }
                bytes += TEXT_BYTES + text.len();
                if bytes > TEXT_BYTES_MAX || known.len() >= TEXTS_MAX {
                    return Ok(None);
                }
                known.push(text.into());
            }
        }
        Ok(Some(texts))
    }
}

/// The documents that have a text as an id, or one whose UUID begins so.
fn docs_with_id(
    segment: &SegmentView,
    text: &str,
    pace: &mut Pace<'_>,
) -> Result<Vec<DocId>, IndexError> {
    if let Some(key) = UuidKey::of(text) {
        let ids = segment.ids.find(EVENT_ID, &(key..=key));
        return Ok(ids.into_iter().map(|id| id.doc).collect());
    }
    let text = shorten(&mut text.to_owned(), EXACT_BYTES_MAX).to_owned();
    let term = Term::from_field_text(Fields::column(EVENT_ID), &text);
    let mut found = Vec::new();
    if let Some(info) = &segment.place_of(&term)?.info {
        let mut docs = docs_with(&segment.reader, &term, info)?;
        while docs.doc() != TERMINATED {
            pace.spend(FLAG_STEPS)?;
            found.push(docs.doc());
            docs.advance();
        }
    }
    Ok(found)
}

impl std::fmt::Debug for SharedIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} shared ids", self.ids.len())
    }
}

/// What was looked up says nothing of what is asked.
impl PartialEq for SharedIds {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
    }
}

impl Eq for SharedIds {}

impl Hash for SharedIds {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ids.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use segment::file::{FileKey, FileRecord, FileState, Reading};
    use store::store::Store;
    use trail::parse::{Origin, Parser};
    use trail::time::Micros;

    use super::*;
    use crate::flags::{FlagReader, Odd};

    const UUID: &str = "1f4a23bc-0d9e-4f00-8123-456789abcdef";
    /// Its key is that of the other.
    const LIKE_IT: &str = "1f4a23bc-0daa-4f00-8123-456789abcdef";

    /// The id, something else of the event, and whether another with the id came before.
    type Given<'a> = (&'a str, usize, bool);

    /// A segment for each list of events.
    fn snapshot(segments: &[Vec<Given<'_>>]) -> (tempfile::TempDir, Arc<Snapshot>) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 1 << 20).unwrap();
        let mut parser = Parser::default();
        for (file, events) in (0..).zip(segments) {
            let mut builder = store.factory().builder().unwrap();
            for (offset, (id, other, is_later)) in events.iter().enumerate() {
                let raw = format!(
                    r#"{{"eventID":"{id}","eventName":"A","recipientAccountId":"1","x":{other}}}"#
                );
                let flags = if *is_later { Flags::ID_CONFLICT } else { Flags::default() };
                let time = Micros(-(offset as i64));
                let origin = Origin { file, time, second_member: None, flags };
                let event = parser.event_again(raw.as_bytes(), offset as u64, origin).unwrap();
                builder.add(event);
            }
            let key = FileKey { path: format!("file-{file}"), size: 1, mtime_ns: 1 };
            let reading = Reading { records: events.len() as u64, ..Reading::default() };
            builder.end_file(FileRecord::new(file, key, FileState::Indexed, reading));
            store.commit(vec![builder.finish().unwrap()]).unwrap();
        }
        let snapshot = store.snapshots().load_full();
        (dir, snapshot)
    }

    /// Of each segment, by its file: whether its records are read, and its events that share an id.
    fn shared(snapshot: &Snapshot) -> Vec<(bool, Vec<DocId>)> {
        let odd = Odd::of(snapshot, Stop::when(|| false));
        let mut found: Vec<_> = snapshot
            .segments
            .iter()
            .map(|segment| {
                let reader = FlagReader::new(segment, &odd).unwrap();
                let is_shared = |doc: &DocId| reader.of(*doc).unwrap().contains(Flags::ID_CONFLICT);
                let docs = (0..segment.events()).filter(is_shared).collect();
                (segment.file(0), (reader.is_slow(), docs))
            })
            .collect();
        found.sort_by_key(|(file, _)| *file);
        found.into_iter().map(|(_, found)| found).collect()
    }

    #[test]
    fn the_events_that_share_an_id_are_found_by_it_and_no_other_record_is_read() {
        let ids: Vec<String> =
            (0..300).map(|n| format!("{n:08x}-0000-4000-8000-0000000000ab")).collect();
        let mut plain: Vec<Given<'_>> = ids.iter().map(|id| (id.as_str(), 0, false)).collect();
        plain.extend([(UUID, 1, false), ("no UUID", 1, false), (LIKE_IT, 1, false)]);
        let long = "é".repeat(5_000);
        let (_dir, snapshot) = snapshot(&[
            plain,
            vec![("a", 0, false), (UUID, 2, true), (UUID, 3, true), ("no UUID", 2, true)],
            vec![("b", 0, false), (&long, 1, false)],
            vec![(&long, 2, true), ("c", 0, false)],
        ]);
        assert_eq!(
            shared(&snapshot),
            [(false, vec![300, 301]), (false, vec![1, 2, 3]), (false, vec![1]), (false, vec![0]),]
        );
    }

    /// A plain archive asks for nothing.
    #[test]
    fn where_no_id_is_shared_nothing_is_looked_up() {
        let (_dir, snapshot) = snapshot(&[vec![("a", 0, false), (UUID, 1, false)]]);
        assert_eq!(shared(&snapshot), [(false, vec![])]);
    }

    /// Another text with the same hash, say, or a later event that retention has dropped.
    #[test]
    fn where_the_ids_do_not_tell_all_events_each_record_is_read() {
        let mut parser = Parser::default();
        let raw = br#"{"eventID":"x","recipientAccountId":"1"}"#;
        let id = parser.key(raw).unwrap().id;
        let (_dir, snapshot) = snapshot(&[
            vec![("a", 0, false), ("x", 1, false)],
            vec![("b", 0, false), ("x", 2, true)],
        ]);
        let ids = SharedIds::of(&snapshot, Stop::when(|| false));
        assert_eq!(ids.ids, [id]);
        // As if its text were another.
        assert!(ids.texts.set(Some(SeededMap::default())).is_ok());
        for segment in &snapshot.segments {
            assert!(matches!(ids.in_segment(segment).unwrap(), SharedDocs::OfRecords));
        }
        let ids = SharedIds { later: Vec::new(), ..SharedIds::of(&snapshot, Stop::when(|| false)) };
        let odd = Arc::new(Odd { cut: Vec::new(), shared: Arc::new(ids) });
        for segment in &snapshot.segments {
            let reader = FlagReader::new(segment, &odd).unwrap();
            assert!(reader.is_slow());
            let flags = |doc| reader.of(doc).unwrap().contains(Flags::ID_CONFLICT);
            assert_eq!([0, 1].map(flags), [false, true]);
        }
    }

    #[test]
    fn a_look_up_ends_with_the_search() {
        let events: Vec<Given<'_>> = (0..100).map(|n| ("x", n, n > 0)).collect();
        let (_dir, snapshot) = snapshot(&[events]);
        let ids = SharedIds::of(&snapshot, Stop::when(|| true));
        let ended = ids.in_segment(&snapshot.segments[0]);
        assert!(matches!(ended, Err(IndexError::Stopped)));
        let ids = SharedIds::of(&snapshot, Stop::when(|| false));
        let found = ids.in_segment(&snapshot.segments[0]).unwrap();
        assert!(matches!(found, SharedDocs::Known(docs) if docs.len() == 100));
    }
}
