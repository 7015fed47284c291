//! Builds segments from events. Each worker has one builder, which holds whole files only.
//!
//! A worker writes its segments itself (`write.rs`) rather than through tantivy's `IndexWriter` and
//! its queue. That costs less. It also lets a segment carry the ledger entries of the files whose
//! events it holds, so that one commit makes both visible. The worker writes the keys, ids and
//! records of the events beside tantivy's files.

use std::mem::take;
use std::sync::Arc;

use tantivy::columnar::ColumnarReader;
use tantivy::directory::TerminatingWrite;
use tantivy::index::SegmentComponent;
use tantivy::{Directory, Index, Segment};

use super::IndexError;
use super::keys;
use super::records;
use super::schema;
use crate::column_words::ColumnWords;
use crate::directory::{SegmentDirectory, SegmentFiles};
use crate::file::FileRecord;
use crate::ids::Ids;
use crate::parts::{Part, SegmentEntry};
use crate::records::{Arena, Dictionaries, Ordered};
use crate::schema::Fields;
use crate::steps::step;
use crate::write::SegmentWriter;
use trail::content::EventKey;
use trail::flags::Flags;
use trail::flat::Event;

/// A file's ledger entry until it is committed, with its path and what else it points to: about as
/// much. An archive of copies has many files and no event.
const FILE_BYTES: usize = 1 << 10;

/// A segment that is on disk and in no commit yet.
#[derive(Debug)]
pub struct BuiltSegment {
    /// The segment's files; None where the archive files held no event.
    pub segment: Option<SegmentEntry>,
    /// Ledger entries of the files whose events the segment holds, and of files without events.
    pub files: Vec<FileRecord>,
    /// Events that these files repeat, and the number of the file.
    pub copies: Vec<(EventKey, u64)>,
}

/// Opens tantivy's view of the segment directory. Each segment gets a new one, because tantivy
/// remembers every file that it ever wrote.
pub fn open_index(directory: SegmentDirectory, fields: &Fields) -> Result<Index, IndexError> {
    Ok(Index::create(directory, fields.schema.clone(), schema::settings())?)
}

/// The words of the columns of a segment whose columns are written.
pub(crate) fn words_of(segment: &Segment) -> Result<ColumnWords, IndexError> {
    let columns = segment.open_read(SegmentComponent::FastFields)?;
    ColumnWords::gather(&ColumnarReader::open(columns)?)
}

/// Makes builders; cheap to clone into every worker.
#[derive(Clone)]
pub struct SegmentFactory {
    files: SegmentFiles,
    fields: Arc<Fields>,
    dictionaries: Arc<Dictionaries>,
}

impl SegmentFactory {
    /// Returns a factory whose segments go to `files`; `dictionaries` are shared with the merger.
    pub fn new(files: SegmentFiles, fields: Arc<Fields>, dictionaries: Arc<Dictionaries>) -> Self {
        Self { files, fields, dictionaries }
    }

    /// Begins an empty segment with an id of its own; no file is written yet.
    pub fn builder(&self) -> Result<SegmentBuilder, IndexError> {
        let directory = self.files.directory();
        let segment = open_index(directory.clone(), &self.fields)?.new_segment();
        Ok(SegmentBuilder {
            writer: SegmentWriter::default(),
            directory,
            segment,
            fields: Arc::clone(&self.fields),
            dictionaries: Arc::clone(&self.dictionaries),
            records: Arena::default(),
            ids: Ids::default(),
            keys: Vec::new(),
            conflicts: Vec::new(),
            files: Vec::new(),
            copies: Vec::new(),
        })
    }
}

/// A segment in the making.
pub struct SegmentBuilder {
    writer: SegmentWriter,
    directory: SegmentDirectory,
    segment: Segment,
    fields: Arc<Fields>,
    dictionaries: Arc<Dictionaries>,
    records: Arena,
    ids: Ids,
    keys: Vec<EventKey>,
    /// Ids of events that are flagged as conflicting.
    conflicts: Vec<u64>,
    files: Vec<FileRecord>,
    copies: Vec<(EventKey, u64)>,
}

impl SegmentBuilder {
    /// Adds an event that the caller has claimed as new.
    pub fn add(&mut self, event: &Event) {
        let key = event.key();
        self.keys.push(key);
        if event.flags.contains(Flags::ID_CONFLICT) {
            self.conflicts.push(key.id);
        }
        let doc = self.events();
        for (column, text) in event.columns().filter(|(id, _)| id.column().is_unique) {
            self.ids.push(column, text, doc);
        }
        self.records.push(&event.raw);
        self.writer.add(event);
    }

    /// Closes a file, to which all events since the last call belong.
    pub fn end_file(&mut self, file: FileRecord) {
        self.files.push(file);
    }

    /// Notes an event that a file repeats, which is not added.
    pub fn repeat(&mut self, key: EventKey, file: u64) {
        self.copies.push((key, file));
    }

    /// How many events were added so far.
    pub fn events(&self) -> u32 {
        self.writer.events()
    }

    /// Bytes of memory that the segment takes.
    pub fn memory(&self) -> usize {
        self.writer.memory()
            + self.records.memory()
            + self.ids.memory()
            + self.keys.capacity() * size_of::<EventKey>()
            + self.files.len() * FILE_BYTES
            + self.copies.capacity() * size_of::<(EventKey, u64)>()
    }

    /// Gives the segment up and removes its files. Returns the archive files that it held.
    pub fn abandon(self) -> BuiltSegment {
        self.directory.give_up();
        BuiltSegment { segment: None, files: self.files, copies: self.copies }
    }

    /// Writes the segment, sorted by time, and syncs its files; their directory is synced by the
    /// commit.
    pub fn finish(self) -> Result<BuiltSegment, IndexError> {
        if self.events() == 0 {
            return Ok(self.abandon());
        }
        step("segment-to-be-written");
        let runs = vec![self.events()];
        let Self {
            writer,
            directory,
            segment,
            fields,
            records,
            mut ids,
            mut keys,
            mut conflicts,
            files,
            copies,
            ..
        } = self;
        let order = writer.order();
        let mut numbers = vec![0; order.len()];
        for (number, doc) in (0..).zip(&order) {
            numbers[*doc as usize] = number;
        }
        let mut words = writer.write(&segment, &fields, &order)?;
        step("segment-written");
        let id = segment.id().uuid_string();
        ids.renumber(|doc| numbers[doc as usize]);
        for part in Part::ALL {
            let mut out = directory.open_write(&part.path(&id))?;
            match part {
                Part::Records => {
                    let source = Ordered { records: &records, order: &order };
                    records::write(source, &self.dictionaries, &mut out)?;
                }
                Part::Ids => take(&mut ids).write(&mut out)?,
                Part::Words => take(&mut words).write(&mut out)?,
                Part::Keys => keys::write(take(&mut keys), take(&mut conflicts), &mut out)?,
            }
            out.terminate()?;
            part.built();
        }
        let segment = SegmentEntry { id, runs, files: directory.written() };
        Ok(BuiltSegment { segment: Some(segment), files, copies })
    }
}
