//! Builds a segment again from its own records. A segment has all of its records whole, and the
//! record is the only truth. So an index that is whole can be rebuilt without the archive, which
//! may have lost files since.
//!
//! The old segment supplies what a record does not say: the number of its file, the byte offset in
//! it, the time of a record that states none, and the flags about the file or about other events.
//! The ledger stays as it is. The caller parses the records.

use std::sync::Arc;

use segment::IndexError;
use segment::build::{SegmentBuilder, SegmentFactory};
use segment::check::check_segment;
use segment::directory::SegmentFiles;
use segment::parts::SegmentEntry;
use segment::sigbus::{self, Lost};
use segment::stop::Stop;
use segment::view::SegmentView;
use trail::flags::Flags;
use trail::flat::Event;
use trail::time::Micros;

/// What a segment holds of an event beside its record.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The event's time.
    pub time: Micros,
    /// The file's number in the ledger.
    pub file: u64,
    /// Byte offset of the record in the uncompressed file.
    pub offset: u64,
    /// What was odd about the record when it was indexed.
    pub flags: Flags,
}

/// Parses a record as delivered and passes its event to the last argument; returns false where the
/// record cannot be read.
pub type ReadEvent<'r> = dyn FnMut(&[u8], Facts, &mut dyn FnMut(&Event)) -> bool + 'r;

/// The same, but fails when it is to stop.
type ReadEventOrStop<'r> =
    dyn FnMut(&[u8], Facts, &mut dyn FnMut(&Event)) -> Result<bool, IndexError> + 'r;

/// Bounds on the segments that are built. A large segment becomes several, because a new one is
/// held in memory until it is written.
#[derive(Clone, Copy, Debug)]
pub struct SizeLimits {
    /// A segment is finished once it holds this many events.
    pub events_max: u32,
    /// A segment is finished once it takes this many bytes of memory.
    pub bytes_max: usize,
}

/// Writes the segments that are to take a segment's place. It is checked first, as before a merge. When
/// this fails, or `stop` does, what was written is removed, now or with the orphans of the next start.
pub(crate) fn remake(
    files: &SegmentFiles,
    factory: &SegmentFactory,
    segment: &Arc<SegmentView>,
    limits: SizeLimits,
    read_event: &mut ReadEvent<'_>,
    stop: &Stop,
) -> Result<Vec<SegmentEntry>, IndexError> {
    check_segment(&files.dir, &segment.entry, &|_| {})?;
    files.check_pages(&segment.entry.files, &Lost::look())?;
    let cuts_before = sigbus::cuts();
    let mut made = Vec::new();
    let mut written =
        write(files, factory, segment, limits, &mut made, &mut |record, facts, take| {
            stop.check()?;
            Ok(read_event(record, facts, take))
        });
    if sigbus::cuts() != cuts_before {
        // Perhaps this one, after it was checked; what was read of it may be zeros.
        written = Err(IndexError::Cut);
    }
    if let Err(error) = written {
        for entry in &made {
            files.remove(entry.files.iter().map(|file| &file.name));
        }
        return Err(error);
    }
    Ok(made)
}

fn write(
    files: &SegmentFiles,
    factory: &SegmentFactory,
    segment: &SegmentView,
    limits: SizeLimits,
    made: &mut Vec<SegmentEntry>,
    read_event: &mut ReadEventOrStop<'_>,
) -> Result<(), IndexError> {
    let records = files.records(&segment.entry.id)?;
    let mut block = None;
    let mut building: Option<SegmentBuilder> = None;
    for doc in 0..segment.events() {
        let n = records.block_of(doc);
        if block.as_ref().is_none_or(|(number, _)| *number != n) {
            block = Some((n, records.block(n)?));
        }
        let record = block.as_ref().and_then(|(_, block)| block.record(doc));
        let record = record
            .ok_or_else(|| IndexError::damaged(records.path(), "it lacks an event's record"))?;
        let facts = Facts {
            time: segment.time(doc),
            file: segment.file(doc),
            offset: segment.offset(doc),
            flags: segment.flags(doc),
        };
        let mut builder = match building.take() {
            Some(builder) => builder,
            None => factory.builder()?,
        };
        if !read_event(&record, facts, &mut |event| builder.add(event))? {
            let reason = format!("the record of its event {doc} cannot be read again");
            return Err(IndexError::damaged(records.path(), reason));
        }
        if builder.events() >= limits.events_max || builder.memory() >= limits.bytes_max {
            made.extend(builder.finish()?.segment);
        } else {
            building = Some(builder);
        }
    }
    if let Some(builder) = building {
        made.extend(builder.finish()?.segment);
    }
    Ok(())
}
