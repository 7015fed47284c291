//! Checks whether the files of a segment are as they were written.

use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::parts;
use super::{IndexError, open_existing};
use crate::parts::{SegmentEntry, SegmentFile, hash_text, length_problem};
use crate::view::SegmentView;

/// Bytes read at a time: they stay in the processor's cache between reading and hashing.
const READ_STEP: usize = 256 << 10;

/// Compares a segment's files with the lengths and hashes in the manifest. Calls `read` with the
/// number of bytes after each read.
pub fn check_segment(
    dir: &Path,
    entry: &SegmentEntry,
    read: &(dyn Fn(u64) + Sync),
) -> Result<(), IndexError> {
    for name in parts::names(&entry.id) {
        if !entry.files.iter().any(|file| file.name == name) {
            return Err(IndexError::damaged(&dir.join(name), "the manifest does not name it"));
        }
    }
    entry.files.iter().try_for_each(|file| check_file(&dir.join(&file.name), file, read))
}

/// Compares a file with the length and the hash in the manifest; [`IndexError::Damaged`] where they
/// differ.
pub fn check_file(
    path: &Path,
    expected: &SegmentFile,
    read: &(dyn Fn(u64) + Sync),
) -> Result<(), IndexError> {
    let mut file = open_existing(path)?;
    let bytes = file.metadata().map_err(IndexError::io(path))?.len();
    if bytes != expected.bytes {
        return Err(IndexError::damaged(path, length_problem(bytes, expected.bytes)));
    }
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; READ_STEP];
    loop {
        let length = file.read(&mut buffer).map_err(IndexError::io(path))?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        read(length as u64);
    }
    if hash_text(hasher.digest()) != expected.xxh3 {
        return Err(IndexError::damaged(path, "its hash does not match"));
    }
    Ok(())
}

/// Checks a segment on which a search failed, and notes damage on the segment.
pub fn check_suspect(segments_dir: &Path, view: &SegmentView) -> Result<(), IndexError> {
    check_view(segments_dir, view, &|_| {})
}

/// Checks an open segment, and notes damage on it.
pub fn check_view(
    segments_dir: &Path,
    view: &SegmentView,
    read: &(dyn Fn(u64) + Sync),
) -> Result<(), IndexError> {
    match check_segment(segments_dir, &view.entry, read) {
        Ok(()) => view.health.was_whole(),
        // It was merged into another meanwhile, and its files removed.
        Err(_) if view.is_retired() => {}
        Err(error) => {
            view.mark_damaged(&error);
            view.health.was_checked();
            return Err(error);
        }
    }
    Ok(())
}
