//! A worker's segments of one batch: the one in the making, and those that were full before.
//!
//! A file can be larger than a segment may be. So a segment can be closed in the middle of a file,
//! whose next events begin another. All of them go to the committer as one, with the file's entry in
//! the ledger, and one commit makes them count: a crash before it leaves files that no commit names.

use std::mem::replace;

use segment::IndexError;
use segment::build::{BuiltSegment, SegmentBuilder, SegmentFactory};
use segment::file::FileRecord;
use segment::steps::step;
use trail::content::EventKey;
use trail::flat::Event;

/// Bytes of records between two looks at how much memory the segment takes: a look costs more than
/// adding a small event does.
const LOOK_BYTES: usize = 256 << 10;

/// When a segment is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    /// Events that it holds.
    pub(crate) events: u32,
    /// Bytes of memory that it takes.
    pub(crate) bytes: usize,
}

/// See the module's documentation.
pub(crate) struct Growing {
    factory: SegmentFactory,
    full: Full,
    builder: SegmentBuilder,
    /// On disk, with the ledger entries of the files that ended in them.
    closed: Vec<BuiltSegment>,
    /// Bytes of records since the last look.
    since_look: usize,
}

impl Growing {
    pub(crate) fn new(factory: &SegmentFactory, full: Full) -> Result<Self, IndexError> {
        let (factory, builder) = (factory.clone(), factory.builder()?);
        Ok(Self { factory, full, builder, closed: Vec::new(), since_look: 0 })
    }

    /// Adds an event that the caller has claimed as new. Closes the segment if that fills it.
    pub(crate) fn add(&mut self, event: &Event) -> Result<(), IndexError> {
        self.builder.add(event);
        self.since_look += event.raw.len();
        let is_look_due =
            self.since_look >= LOOK_BYTES || self.builder.events() >= self.full.events;
        if is_look_due {
            self.since_look = 0;
            if self.is_builder_full() {
                let builder = replace(&mut self.builder, self.factory.builder()?);
                self.closed.push(builder.finish()?);
                step("segment-closed-in-file");
            }
        }
        Ok(())
    }

    /// Notes an event that a file repeats.
    pub(crate) fn repeat(&mut self, key: EventKey, file: u64) {
        self.builder.repeat(key, file);
    }

    /// Closes a file, to which all events since the last call belong.
    pub(crate) fn end_file(&mut self, file: FileRecord) {
        self.builder.end_file(file);
    }

    /// Whether there is a full segment, so that the file that was read last should be the last.
    pub(crate) fn is_full(&self) -> bool {
        !self.closed.is_empty() || self.is_builder_full()
    }

    fn is_builder_full(&self) -> bool {
        self.builder.events() >= self.full.events || self.builder.memory() >= self.full.bytes
    }

    /// Writes the last segment, and returns all of them.
    pub(crate) fn finish(self) -> Result<Vec<BuiltSegment>, IndexError> {
        let Self { mut closed, builder, .. } = self;
        closed.push(builder.finish()?);
        Ok(closed)
    }

    /// Gives the last segment up, and returns it and the others, which the caller has to remove.
    pub(crate) fn abandon(self) -> Vec<BuiltSegment> {
        let Self { mut closed, builder, .. } = self;
        closed.push(builder.abandon());
        closed
    }
}
