//! One open segment: its events' times, places, records and columns. Snapshots share it; its files
//! never change.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tantivy::columnar::{Column, ColumnType, ColumnarReader, DynamicColumn, DynamicColumnHandle};
use tantivy::directory::OwnedBytes;
use tantivy::index::SegmentComponent;
use tantivy::{BitSet, DateTime, DocId, Index, SegmentReader, Term};

use super::{IndexError, partition_point};
use crate::cache::{Caches, ColumnPlaces, Count, FoundValues, TermPlace};
use crate::column_words::{WordFile, text_column};
use crate::dictionary::TextColumn;
use crate::directory::SegmentFiles;
use crate::health::Health;
use crate::ids::IdFile;
use crate::keys::KeySet;
use crate::overflow::{OVERFLOW, Overflowed, Reach};
use crate::parts::{Part, SegmentEntry, length_problem, segment_id};
use crate::position::Position;
use crate::presence::{Presences, path_of};
use crate::records::Records;
use crate::schema::{FILE, OFFSET, REST, TIME};
use crate::sigbus::Lost;
use crate::steps::{bound, read_fails};
use trail::columns::ColumnId;
use trail::flags::Flags;
use trail::paths::SEPARATOR;
use trail::time::Micros;

/// Paths of the overflow that are listed with those of the columns: they are held in memory.
const OVERFLOW_LISTED_MAX: usize = 1_024;

/// Numbers of segments, as they are opened.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A range of a segment's documents that is sorted by time, latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The numbers of the run's documents.
    pub docs: Range<DocId>,
    /// Time of the run's last document.
    pub earliest: Micros,
    /// Time of the run's first document.
    pub latest: Micros,
}

/// An open segment.
pub struct SegmentView {
    /// The segment as the manifest lists it.
    pub entry: SegmentEntry,
    /// Where its files are.
    at: SegmentFiles,
    /// tantivy's reader of the segment.
    pub reader: SegmentReader,
    /// The keys by which ingest recognises duplicates.
    pub keys: KeySet,
    /// The UUIDs of the columns that keep them outside the inverted index.
    pub ids: IdFile,
    /// From each word to the column values that contain it.
    pub column_words: WordFile,
    /// The runs in the order of their documents; together they cover the segment.
    pub runs: Vec<Run>,
    /// Time of the segment's earliest event.
    pub earliest: Micros,
    /// Time of the segment's latest event.
    pub latest: Micros,
    columnar: ColumnarReader,
    times: Column<DateTime>,
    files: Column<u64>,
    offsets: Column<u64>,
    flags: Column<u64>,
    /// The paths of values without a column; None where there are none.
    overflow: Option<TextColumn>,
    records: Records,
    caches: Arc<Caches>,
    /// The segment's in the caches.
    number: u64,
    paths: OnceLock<BTreeSet<String>>,
    presences: OnceLock<Presences>,
    most_values: OnceLock<Option<u64>>,
    /// The known faults of the segment's files.
    pub health: Health,
    /// No snapshot to come has it: its files are being removed.
    is_retired: AtomicBool,
    stays_unmerged: AtomicBool,
}

impl std::fmt::Debug for SegmentView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} events)", self.reader.segment_id().uuid_string(), self.events())
    }
}

impl SegmentView {
    /// Opens a segment, whose blocks, counts and terms `caches` will keep. Fails where a file is
    /// missing or damaged.
    pub fn open(
        index: &Index,
        files: &SegmentFiles,
        entry: &SegmentEntry,
        caches: &Arc<Caches>,
    ) -> Result<Self, IndexError> {
        let keys = files.keys(&entry.id)?;
        let segment = index.segment(index.new_segment_meta(segment_id(entry)?, entry.events()));
        let reader = SegmentReader::open(&segment)?;
        let records = files.records(&entry.id)?;
        let fast = segment.open_read(SegmentComponent::FastFields)?;
        let columnar = ColumnarReader::open(fast)?;
        let number = |name: &str| reader.fast_fields().u64(name);
        let times = reader.fast_fields().date(TIME)?;
        let runs = runs(&times, &entry.runs);
        Ok(Self {
            earliest: runs.iter().map(|run| run.earliest).min().unwrap_or_default(),
            latest: runs.iter().map(|run| run.latest).max().unwrap_or_default(),
            runs,
            entry: entry.clone(),
            at: files.clone(),
            keys,
            ids: files.ids(&entry.id)?,
            column_words: files.words(&entry.id)?,
            files: number(FILE)?,
            offsets: number(OFFSET)?,
            flags: number("flags")?,
            overflow: text_column(&columnar.read_columns(OVERFLOW)?)?,
            columnar,
            times,
            records,
            caches: Arc::clone(caches),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            reader,
            paths: OnceLock::new(),
            presences: OnceLock::new(),
            most_values: OnceLock::new(),
            health: Health::default(),
            is_retired: AtomicBool::new(false),
            stays_unmerged: AtomicBool::new(false),
        })
    }

    /// Notes and logs that a file of the segment is damaged or cannot be read; ignores other
    /// errors.
    pub fn mark_damaged(&self, error: &IndexError) {
        let Some(fault) = self.health.mark(error) else { return };
        let (path, reason) = (fault.path.display(), &fault.reason);
        match fault.io {
            Some(_) => tracing::error!(%path, reason, "a segment cannot be read"),
            None => tracing::error!(%path, reason, "a segment is damaged"),
        }
        if fault.io.is_none() && fault.path.ends_with(Part::Keys.name(&self.entry.id)) {
            self.keys.mark_damaged();
        }
    }

    /// Whether a fault of the segment is known: damage, or a read that failed.
    pub fn is_damaged(&self) -> bool {
        self.health.is_marked()
    }

    /// Runs `work`, which reads the segment. Notes a fault of the disk on the segment and returns
    /// it with the file's path. After any other failure, or a panic, the segment is suspect.
    pub fn reading<T>(
        &self,
        work: impl FnOnce() -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        // Nothing of it is used after a panic.
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            self.health.suspect();
            resume_unwind(panic)
        });
        done.map_err(|error| self.failure(error))
    }

    /// Notes an error of reading on the segment, and returns it with the file's path.
    pub fn failure(&self, error: IndexError) -> IndexError {
        let (error, is_of_file) = error.of_segment(&self.at.dir.join(&self.entry.id));
        let is_of_disk = matches!(error, IndexError::Damaged { .. } | IndexError::Io { .. });
        if is_of_disk && is_of_file {
            self.mark_damaged(&error);
        }
        if is_of_disk || matches!(error, IndexError::Tantivy(_)) {
            self.health.suspect();
        }
        error
    }

    /// Marks the segment as damaged if a file has lost its length: a page that was cut off reads as
    /// zeros from then on, and no later read notices.
    pub fn check_lengths(&self) {
        for file in &self.entry.files {
            let path = self.at.dir.join(&file.name);
            let problem = match std::fs::metadata(&path) {
                Ok(found) if found.len() == file.bytes => continue,
                Ok(found) => length_problem(found.len(), file.bytes),
                Err(_) if self.is_retired() => return,
                Err(error) => error.to_string(),
            };
            self.mark_damaged(&IndexError::damaged(&path, problem));
        }
    }

    /// Marks the segment as damaged if a page of its mappings was lost, because the page reads as
    /// zeros from then on.
    pub fn check_pages(&self, lost: &Lost) {
        if !self.is_retired()
            && let Err(error) = self.at.check_pages(&self.entry.files, lost)
        {
            self.mark_damaged(&error);
        }
    }

    /// Returns the fault of a damaged segment as an error that names the events affected and what
    /// helps.
    pub fn damage(&self) -> IndexError {
        let Some(fault) = self.health.fault() else {
            return IndexError::Bug("a segment that is whole was taken for damaged");
        };
        let (events, from, to) = (self.events(), self.earliest, self.latest);
        let held = format!("it holds {events} events from {from} to {to}");
        let then = match fault.io {
            Some(_) => "It is read again once a minute, when a search needs it",
            None => {
                "Start the daemon again, and the files that they came from are read again; or make \
                 the index anew with 'traildex rebuild'"
            }
        };
        fault.error(&format!("{held}. {then}"))
    }

    /// Notes that no later snapshot has this segment, so that its missing files are no damage.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }

    /// How many events the segment holds.
    pub fn events(&self) -> u32 {
        self.reader.max_doc()
    }

    /// The time of a document's event.
    pub fn time(&self, doc: DocId) -> Micros {
        self.times.first(doc).map_or(Micros(0), micros)
    }

    /// Ledger number of the file that the event came from.
    pub fn file(&self, doc: DocId) -> u64 {
        self.files.first(doc).unwrap_or(0)
    }

    /// The lowest file number in the segment.
    pub fn first_file(&self) -> u64 {
        self.files.min_value()
    }

    /// The highest file number in the segment.
    pub fn last_file(&self) -> u64 {
        self.files.max_value()
    }

    /// Byte offset of the record in its file, uncompressed.
    pub fn offset(&self, doc: DocId) -> u64 {
        self.offsets.first(doc).unwrap_or(0)
    }

    /// Where a document's event stands in the one order of all events.
    pub fn position(&self, doc: DocId) -> Position {
        Position { time: self.time(doc), file: self.file(doc), offset: self.offset(doc) }
    }

    /// What was odd about a document's record.
    pub fn flags(&self, doc: DocId) -> Flags {
        Flags(self.flags.first(doc).unwrap_or(0))
    }

    /// Returns the record's bytes as delivered. Notes a fault of the disk on the segment.
    pub fn record(&self, doc: DocId) -> Result<OwnedBytes, IndexError> {
        let read = || -> Result<OwnedBytes, IndexError> {
            read_fails("record-read", &self.entry.id)
                .map_err(IndexError::io(self.records.path()))?;
            let n = self.records.block_of(doc);
            let block = self.caches.blocks.get((self.number, n), || self.records.block(n))?;
            let lacks = || IndexError::damaged(self.records.path(), "it lacks an event's record");
            block.record(doc).ok_or_else(lacks)
        };
        read().map_err(|error| self.failure(error))
    }

    /// Returns the documents that meet a condition: from the cache, else from `find`. The
    /// condition's name is the cache key, so no other condition may have it.
    pub fn found(
        &self,
        condition: &str,
        find: impl FnOnce() -> Result<BitSet, IndexError>,
    ) -> Result<Arc<BitSet>, IndexError> {
        self.caches.found.get((self.number, condition.to_owned()), find)
    }

    /// Returns the values of a column that pass a test: from the cache, else from `find`. The hash is of
    /// both, so nothing else may have it.
    pub fn values(
        &self,
        test: u128,
        find: impl FnOnce() -> Result<FoundValues, IndexError>,
    ) -> Result<Arc<FoundValues>, IndexError> {
        self.caches.values.get((self.number, test), find)
    }

    /// Returns how many documents meet a condition, given by its hash; None where that is not
    /// cached.
    pub fn count(&self, condition: u128) -> Option<u64> {
        self.caches.counts.kept(&(self.number, condition)).map(|count| count.0)
    }

    /// Stores how many documents meet a condition, for [`Self::count`].
    pub fn keep_count(&self, condition: u128, count: u64) {
        self.caches.counts.keep((self.number, condition), Arc::new(Count(count)));
    }

    /// Looks a term up in the segment's dictionary, or in the cache.
    pub fn place_of(&self, term: &Term) -> Result<Arc<TermPlace>, IndexError> {
        self.caches.places.get((self.number, term.clone()), || {
            let index = self.reader.inverted_index(term.field())?;
            Ok(TermPlace::new(term, index.get_term_info(term)?))
        })
    }

    /// Returns the documents from `start` (inclusive) to `end` (exclusive), in order, as one range
    /// of each run.
    pub fn docs_between(&self, start: Micros, end: Micros) -> Vec<Range<DocId>> {
        self.runs
            .iter()
            .filter(|run| run.latest >= start && run.earliest < end)
            .map(|run| self.first_before(run, end)..self.first_before(run, start))
            .filter(|docs| !docs.is_empty())
            .collect()
    }

    /// Returns the first document of a run that is before `time`; the end of the run where none is.
    pub fn first_before(&self, run: &Run, time: Micros) -> DocId {
        self.first_where_not(run, |found| found >= time)
    }

    /// Returns the first document of a run that is at `time` or before it; the end of the run where
    /// none is.
    pub fn first_up_to(&self, run: &Run, time: Micros) -> DocId {
        self.first_where_not(run, |found| found > time)
    }

    fn first_where_not(&self, run: &Run, is_later: impl Fn(Micros) -> bool) -> DocId {
        let docs = run.docs.start as usize..run.docs.end as usize;
        partition_point(docs, |doc| is_later(self.time(doc as DocId))) as DocId
    }

    /// Returns the first document behind `doc`, in the same run, that is before `time`; the end of
    /// the run where none is. Looks nearby first.
    pub fn next_before(&self, doc: DocId, time: Micros) -> DocId {
        let run = self.runs.partition_point(|run| run.docs.end <= doc);
        let end = self.runs.get(run).map_or(doc + 1, |run| run.docs.end);
        let (mut low, mut step) = (doc, 1);
        while low + step < end && self.time(low + step) >= time {
            low += step;
            step *= 2;
        }
        let docs = low as usize + 1..(low + step).min(end) as usize;
        partition_point(docs, |doc| self.time(doc as DocId) >= time) as DocId
    }

    /// Opens the text values of a column; None where the segment has none, or does not keep the
    /// column by event.
    pub fn text_column(&self, id: ColumnId) -> Result<Option<TextColumn>, IndexError> {
        text_column(&self.handles(id.column().path)?.handles)
    }

    /// Opens the text values at a path that is no column; None where there are none.
    pub fn text_at(&self, path: &str) -> Result<Option<TextColumn>, IndexError> {
        text_column(&self.handles(&column_name(path))?.handles)
    }

    /// The events that have a value at a path, or below it, which is in none of the columns there; None
    /// where there are none.
    pub fn overflowed(&self, path: &str, reach: Reach) -> Result<Option<Overflowed>, IndexError> {
        let Some(paths) = &self.overflow else { return Ok(None) };
        Overflowed::find(paths, path, reach)
    }

    /// Whether an event has such a value. False where that cannot be read; the fault is noted then, and
    /// the search fails.
    pub fn has_overflow(&self, path: &str, reach: Reach) -> bool {
        match self.reading(|| self.overflowed(path, reach)) {
            Ok(found) => found.is_some(),
            Err(error) => {
                self.mark_damaged(&error);
                false
            }
        }
    }

    /// The paths that have values without a column, by event; None where there are none.
    pub(crate) fn overflow(&self) -> Option<&TextColumn> {
        self.overflow.as_ref()
    }

    /// Leaves the segment out of merges from now on: one would hold too much because of it.
    pub fn leave_unmerged(&self) {
        self.stays_unmerged.store(true, Ordering::Release);
    }

    /// Whether merges leave the segment out.
    pub fn stays_unmerged(&self) -> bool {
        self.stays_unmerged.load(Ordering::Acquire)
    }

    /// The most values that a column has, counted at first use, as much as they weigh in a merge: those
    /// of the overflow, which are sorted, as three, and numbers beyond one an event as two. What a merge
    /// leaves out of columns, it counts itself. None where a column cannot be read; the fault is noted,
    /// or the segment is suspect.
    pub fn values_of_a_column(&self) -> Option<u64> {
        if let Some(known) = self.most_values.get() {
            return *known;
        }
        // tantivy panics at what is damaged. Who merges must go on, and does not look again.
        let counted = catch_unwind(AssertUnwindSafe(|| self.reading(|| self.count_values())));
        let counted = match counted {
            Ok(counted) => Some(counted.ok()?),
            Err(_) => None,
        };
        *self.most_values.get_or_init(|| counted)
    }

    fn count_values(&self) -> Result<u64, IndexError> {
        let mut most = 0;
        for (name, handle) in self.columnar.iter_columns()? {
            let values = u64::from(handle.open()?.num_values());
            let beyond_one = values.saturating_sub(self.events().into());
            most = most.max(match handle.column_type() {
                _ if name == OVERFLOW => 3 * values,
                ColumnType::Str => values,
                _ => values + beyond_one,
            });
        }
        Ok(most)
    }

    /// Opens tantivy's columns at a path that is no column of the schema, one for each type of
    /// values. Values of other events can be in the overflow.
    pub fn columns_at(&self, path: &str) -> Result<Vec<DynamicColumn>, IndexError> {
        self.open_columns(&column_name(path))
    }

    /// Opens all columns at or below a path, whether they are in the schema or not.
    pub fn columns_at_or_below(&self, path: &str) -> Result<Vec<DynamicColumn>, IndexError> {
        let name = column_name(path);
        let mut columns = self.open_columns(&name)?;
        for handle in self.columnar.read_subpath_columns(&name)? {
            columns.push(handle.open()?);
        }
        let is_at_or_below = |id: &ColumnId| {
            id.column()
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for id in ColumnId::all().filter(is_at_or_below) {
            columns.extend(self.open_columns(id.column().path)?);
        }
        Ok(columns)
    }

    /// Opens the column of a field of the schema; None where no event has a value.
    pub fn open_column(&self, name: &str) -> Result<Option<DynamicColumn>, IndexError> {
        Ok(self.open_columns(name)?.into_iter().next())
    }

    fn open_columns(&self, name: &str) -> Result<Vec<DynamicColumn>, IndexError> {
        let places = self.handles(name)?;
        Ok(places.handles.iter().map(DynamicColumnHandle::open).collect::<Result<_, _>>()?)
    }

    fn handles(&self, name: &str) -> Result<Arc<ColumnPlaces>, IndexError> {
        self.caches.columns.get((self.number, name.to_owned()), || {
            Ok(ColumnPlaces::new(name, self.columnar.read_columns(name)?))
        })
    }

    /// The paths of fields that are no columns of the schema, gathered at first use: all of them that
    /// have columns, and of the overflow as many as [`Self::lists_all_paths`] says. Empty where they
    /// cannot be read; the fault is noted then, and the search fails.
    pub fn paths(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        if let Some(known) = self.paths.get() {
            return known;
        }
        match self.reading(|| self.read_paths()) {
            Ok(paths) => self.paths.get_or_init(|| paths),
            Err(error) => {
                self.mark_damaged(&error);
                &NONE
            }
        }
    }

    fn read_paths(&self) -> Result<BTreeSet<String>, IndexError> {
        let columns = self.columnar.iter_columns()?;
        let mut paths: BTreeSet<String> = columns.filter_map(|(name, _)| path_of(&name)).collect();
        if let Some(overflow) = &self.overflow {
            let mut walk = overflow.walk(b"")?;
            let (mut listed, listed_max) = (0, overflow_listed_max());
            while listed < listed_max && walk.advance()? {
                let path = String::from_utf8_lossy(walk.key());
                paths.insert(path.replace(SEPARATOR, "."));
                listed += 1;
            }
        }
        Ok(paths)
    }

    /// Whether [`Self::paths`] are all that the segment has.
    pub fn lists_all_paths(&self) -> bool {
        self.overflow.as_ref().is_none_or(|overflow| overflow.num_terms() <= overflow_listed_max())
    }

    /// How many events have each field, counted at first use.
    pub fn presences(&self) -> Result<&Presences, IndexError> {
        if let Some(known) = self.presences.get() {
            return Ok(known);
        }
        let counted = self.reading(|| Presences::of(self, &self.columnar))?;
        Ok(self.presences.get_or_init(|| counted))
    }
}

fn overflow_listed_max() -> usize {
    bound("overflow-listed-max", OVERFLOW_LISTED_MAX)
}

/// Name of the columns at a path that is no column of the schema.
fn column_name(path: &str) -> String {
    format!("{REST}{SEPARATOR}{}", separated(path))
}

/// Turns a path as queries write it into a path as the index keeps it.
pub fn separated(path: &str) -> String {
    path.replace('.', SEPARATOR.encode_utf8(&mut [0; 4]))
}

fn runs(times: &Column<DateTime>, lengths: &[u32]) -> Vec<Run> {
    let time_at = |doc| times.first(doc).map_or(Micros(0), micros);
    let mut start = 0;
    lengths
        .iter()
        .map(|length| {
            let docs = start..start + length;
            start = docs.end;
            Run { earliest: time_at(docs.end - 1), latest: time_at(docs.start), docs }
        })
        .collect()
}

fn micros(time: DateTime) -> Micros {
    Micros(time.into_timestamp_micros())
}
