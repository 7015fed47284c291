//! The work of the merge thread: it makes one segment of others, which do not change meanwhile.

use std::sync::Arc;

use segment::IndexError;
use segment::directory::SegmentFiles;
use segment::expire::{Expiry, Future, ReadKey};
use segment::merge;
use segment::parts::SegmentEntry;
use segment::records::Dictionaries;
use segment::schema::Fields;
use segment::view::SegmentView;
use trail::time::Micros;

/// A merge, or a cut by retention, that another thread does.
pub struct MergeJob {
    /// Where the inputs are and the new segment goes.
    pub files: SegmentFiles,
    /// The schema of the index.
    pub fields: Arc<Fields>,
    /// Compression dictionaries for the records of the new segment.
    pub dictionaries: Arc<Dictionaries>,
    /// The segments to merge, in the order in which their documents follow each other.
    pub inputs: Vec<SegmentEntry>,
    /// None where all events of the inputs are kept.
    pub(crate) expiring: Option<Expiring>,
}

/// The only input of a job that leaves out events that are not kept.
pub(crate) struct Expiring {
    pub(crate) segment: Arc<SegmentView>,
    /// Events from before this are not kept.
    pub(crate) before: Micros,
    /// Nor those from after this of these files.
    pub(crate) future: Future,
}

impl MergeJob {
    /// The segments that the job reads.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().flat_map(|entry| &entry.files).map(|file| file.bytes).sum()
    }

    /// Removes the segment that the job made, when nobody wants it any more.
    pub fn discard(&self, merged: &SegmentEntry) {
        self.files.remove(merged.files.iter().map(|file| &file.name));
    }

    /// Makes the segment that replaces the inputs. `read_key` computes an event's key from its
    /// record.
    pub fn run(&self, read_key: &mut ReadKey<'_>) -> Result<SegmentEntry, IndexError> {
        let Self { files, fields, dictionaries, inputs, expiring } = self;
        match expiring {
            None => merge::merge(files, fields, dictionaries, inputs, merge::is_sorted(inputs)),
            Some(Expiring { segment, before, future }) => {
                let before = *before;
                Expiry { files, fields, dictionaries, segment, before, future }.write(read_key)
            }
        }
    }
}
