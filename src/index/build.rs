//! Building segments: one builder a worker, holding whole files only.
//!
//! A worker drives tantivy's segment writer itself, rather than through `IndexWriter` and its queue:
//! that costs a third less CPU (`design.md`), and it lets a segment carry the ledger entries of the
//! files whose events it holds, so that both become visible in one commit.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::index::{SegmentComponent, SegmentId};
use tantivy::indexer::{AddOperation, SegmentWriter};
use tantivy::{Directory, Index, Segment};

use super::IndexError;
use super::directory::SegmentDirectory;
use super::document::EventDocument;
use super::ledger::FileRecord;
use super::schema::{self, Fields};
use crate::event::flat::Event;

/// Sizes the builder's term table, which starts at a third of this. Not a bound: the ingest pipeline
/// finishes a segment by its [`SegmentBuilder::memory`].
const WRITER_MEMORY_HINT: usize = 64 << 20;

/// A segment that is on disk and in no commit yet.
#[derive(Debug)]
pub struct BuiltSegment {
    /// Absent when the files held no event.
    pub segment: Option<SegmentEntry>,
    pub files: Vec<FileRecord>,
}

/// A segment as the manifest lists it: its id, and how long each of its runs is.
///
/// A run is a stretch of documents sorted by time, latest first. A built segment is one run; a merged
/// one may be several, one behind another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SegmentEntry {
    pub id: String,
    pub runs: Vec<u32>,
}

impl SegmentEntry {
    pub fn events(&self) -> u32 {
        self.runs.iter().sum()
    }
}

/// Opens tantivy's view of the segment directory. A fresh one for each segment built: tantivy
/// remembers every file it ever wrote.
pub fn open_index(files: &MmapDirectory, fields: &Fields) -> Result<Index, IndexError> {
    let directory = SegmentDirectory::new(files.clone());
    let mut index = Index::create(directory, fields.schema.clone(), schema::settings())?;
    index.set_tokenizers(schema::tokenizers());
    Ok(index)
}

/// Makes builders; cheap to clone into every worker.
#[derive(Clone)]
pub struct SegmentFactory {
    files: MmapDirectory,
    fields: Arc<Fields>,
}

impl SegmentFactory {
    pub fn new(files: MmapDirectory, fields: Arc<Fields>) -> Self {
        Self { files, fields }
    }

    pub fn builder(&self) -> Result<SegmentBuilder, IndexError> {
        let segment = open_index(&self.files, &self.fields)?.new_segment();
        Ok(SegmentBuilder {
            writer: SegmentWriter::for_segment(WRITER_MEMORY_HINT, segment.clone())?,
            segment,
            fields: Arc::clone(&self.fields),
            files: Vec::new(),
        })
    }
}

/// A segment in the making.
pub struct SegmentBuilder {
    writer: SegmentWriter,
    segment: Segment,
    fields: Arc<Fields>,
    files: Vec<FileRecord>,
}

impl SegmentBuilder {
    pub fn add(&mut self, event: &Arc<Event>) -> Result<(), IndexError> {
        let document = EventDocument { event: Arc::clone(event), fields: Arc::clone(&self.fields) };
        self.writer.add_document(AddOperation { opstamp: 0, document })?;
        Ok(())
    }

    /// Closes a file: every event since the last call is its.
    pub fn end_file(&mut self, file: FileRecord) {
        self.files.push(file);
    }

    pub fn events(&self) -> u32 {
        self.writer.max_doc()
    }

    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Bytes of memory that the segment takes.
    pub fn memory(&self) -> usize {
        self.writer.mem_usage()
    }

    /// Gives the segment up, and removes its files.
    pub fn abandon(self) {
        let Self { writer, segment, .. } = self;
        drop(writer);
        remove_segment_files(segment.index().directory(), segment.id());
    }

    /// Writes the segment, sorted by time, and syncs its files; their directory is synced by the
    /// commit.
    pub fn finish(self) -> Result<BuiltSegment, IndexError> {
        if self.events() == 0 {
            let files = self.files.clone();
            self.abandon();
            return Ok(BuiltSegment { segment: None, files });
        }
        let events = self.events();
        let Self { writer, segment, files, .. } = self;
        writer.finalize()?;
        // Sorting wrote the records twice; the first copy is of no more use.
        let unsorted = segment.relative_path(SegmentComponent::TempStore);
        segment.index().directory().delete(&unsorted)?;
        let entry = SegmentEntry { id: segment.id().uuid_string(), runs: vec![events] };
        Ok(BuiltSegment { segment: Some(entry), files })
    }
}

/// Removes whatever files a segment has. Files that cannot be removed are found again as orphans at
/// the next start.
fn remove_segment_files(directory: &dyn Directory, id: SegmentId) {
    for extension in SEGMENT_EXTENSIONS {
        let name = format!("{}.{extension}", id.uuid_string());
        let _ = directory.delete(Path::new(&name));
    }
}

/// Extensions of a segment's files.
pub const SEGMENT_EXTENSIONS: [&str; 7] =
    ["fieldnorm", "term", "idx", "pos", "fast", "store", "store.temp"];
