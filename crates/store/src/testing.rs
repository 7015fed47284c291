//! Small indexes for tests, here and in the crates that use this one.

use segment::build::BuiltSegment;
use segment::file::{FileKey, FileRecord, FileState, Reading};
use trail::content::ContentHash;
use trail::flat::{Event, Scalar};
use trail::paths::PathId;
use trail::time::Micros;

use crate::store::Store;

/// Builds a segment of one file with an event at each of these times, in microseconds since the
/// Unix epoch.
///
/// # Panics
/// If the segment cannot be written.
pub fn built(store: &Store, number: u64, times: &[i64]) -> BuiltSegment {
    let mut builder = store.factory().builder().unwrap();
    for (offset, time) in (0..).zip(times) {
        let mut event = event(number, *time);
        event.offset = offset;
        builder.add(&event);
    }
    let key = FileKey { path: format!("file-{number}"), size: 1, mtime_ns: 1 };
    let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
    let reading = Reading {
        records: times.len() as u64,
        first: first.map(Micros),
        last: last.map(Micros),
        ..Reading::default()
    };
    builder.end_file(FileRecord::new(number, key, FileState::Indexed, reading));
    builder.finish().unwrap()
}

/// An event of a file, at a time in microseconds.
pub(crate) fn event(file: u64, time: i64) -> Event {
    let mut event = Event::default();
    let path = event.path(PathId::ROOT, "x");
    event.add(path, Scalar::I64(time));
    event.raw.extend_from_slice(format!("{{\"x\":{time}}}").as_bytes());
    event.file = file;
    event.content = ContentHash::of_bytes(format!("{file} {time}").as_bytes());
    event.finish(Micros(time));
    event
}
