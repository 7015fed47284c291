//! One segment: this crate writes its files, opens them, merges them and checks them.
//!
//! A segment holds the events of whole files and never changes. This crate never knows which segments
//! count; that is the business of `store`. It never knows queries or archives either.
//!
//! Entry points: [`build::SegmentBuilder`] writes a segment from events, [`view::SegmentView`] opens one
//! for searches, and [`merge::merge`] makes one of several.
//!
//! What lies on disk:
//!
//! - the inverted index and the columns, as tantivy would write them: `write`, [`schema`],
//!   [`directory`], read by [`dictionary`] and [`docsets`]
//! - the records as delivered: [`records`]
//! - ids that are UUIDs: [`ids`]
//! - the words of column values: [`column_words`]
//! - which events have fields that have no column: [`overflow`]
//! - the keys that duplicates are recognised by: [`keys`]
//! - small files of JSON with a hash, for `store`: [`sealed`]
//!
//! The making of a segment: [`build`] from events, [`merge`] from segments, [`expire`] without its
//! oldest events; [`parts`] is the table of its files, [`file`](mod@file) the ledger entry of each archive file in
//! it.
//!
//! The reading: [`view`] opens a segment, [`position`] orders its events, [`presence`] counts which
//! fields they have, [`cache`] keeps what was read last, [`stop`] ends a condition early.
//!
//! The disk: [`disk`] makes every change, [`private`] keeps it from other users, [`check`] compares files with their hashes, [`health`] keeps
//! what is wrong with them, [`sigbus`] survives files that are cut while they are mapped, and [`steps`]
//! lets tests crash between two changes.

#![warn(missing_docs, unreachable_pub)]

pub mod build;
pub mod cache;
pub mod check;
pub mod column_words;
pub mod dictionary;
pub mod directory;
pub mod disk;
pub mod docsets;
mod error;
pub mod expire;
pub mod file;
pub mod health;
pub mod ids;
pub mod keys;
pub mod merge;
pub mod overflow;
pub mod parts;
pub mod position;
pub mod presence;
pub mod private;
pub mod records;
pub mod regular;
pub mod schema;
pub mod sealed;
pub mod sigbus;
pub mod steps;
pub mod stop;
pub mod view;
mod write;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;

/// Why reading or writing the index failed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The operating system refused to read, write or open a file.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is missing, or its bytes are not those that were written.
    #[error("{path}: {reason}")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// How the damage shows, in words.
        reason: String,
    },
    /// The index was written by a traildex of another format.
    #[error(
        "{path}: format version {found}, and this traildex reads {known}. Nothing \
         was changed. {advice}"
    )]
    UnknownVersion {
        /// The file that states the version.
        path: PathBuf,
        /// The version that it states.
        found: u32,
        /// The versions that this program reads, in words.
        known: &'static str,
        /// What the reader of the message can do, as a sentence.
        advice: &'static str,
    },
    /// Another process holds the lock of this data directory.
    #[error("{0} is used by another traildex process")]
    Locked(PathBuf),
    /// The program broke a rule of its own; the text says which.
    #[error("{0}: a bug in traildex")]
    Bug(&'static str),
    /// A mapped file lost bytes while it was read, so nothing that was read counts.
    #[error("a file was cut short while it was read")]
    Cut,
    /// The search's deadline has passed, or the client has gone.
    #[error("nobody waits for the answer")]
    Stopped,
    /// The disk is too full to write more.
    #[error("{path} has {free} bytes of free space left, less than index.free_bytes_min, {wanted}")]
    NoRoom {
        /// The data directory.
        path: PathBuf,
        /// Bytes that its file system has left.
        free: u64,
        /// Bytes that `index.free_bytes_min` asks for.
        wanted: u64,
    },
    /// A merge would leave more values without a column than it may hold.
    #[error("a merge would hold {values} values that have no column")]
    TooManyLeftOut {
        /// How many there are.
        values: u64,
        /// Which of the merged segments has most of them.
        segment: usize,
    },
    /// A query makes more groups than one search may hold in memory.
    #[error("more than {groups} groups do not fit the memory of one search")]
    TooManyGroups {
        /// How many groups did fit.
        groups: usize,
    },
    /// A query sorts or deduplicates more events than one search may hold in memory.
    #[error(
        "more than {events} events that are sorted or deduplicated do not fit the memory of one search"
    )]
    TooManySorted {
        /// How many events did fit.
        events: usize,
    },
    /// An error of tantivy's that is none of those below.
    #[error(transparent)]
    Tantivy(#[from] tantivy::TantivyError),
    /// An error from reading a segment through tantivy, which does not say of which file.
    #[error("a segment cannot be read: {0}")]
    SegmentIo(#[from] io::Error),
    /// tantivy could not open a file of a segment.
    #[error("a segment's file cannot be opened: {0}")]
    SegmentOpen(#[from] tantivy::directory::error::OpenReadError),
    /// tantivy could not create a file of a segment.
    #[error("a segment's file cannot be made: {0}")]
    SegmentCreate(#[from] tantivy::directory::error::OpenWriteError),
    /// tantivy could not remove a file of a segment.
    #[error("a segment's file cannot be removed: {0}")]
    SegmentDelete(#[from] tantivy::directory::error::DeleteError),
}

impl IndexError {
    /// Whether the operating system refused, because the file is somebody else's.
    pub fn is_of_permissions(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Makes an [`Self::Io`] of a file that cannot be read or written.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Makes the error of reading a file that a commit names: damage where it is missing or too
    /// short.
    pub fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::damaged(path, "it is missing"),
            io::ErrorKind::UnexpectedEof => Self::damaged(path, "it ends too early"),
            _ => Self::io(path)(source),
        }
    }

    /// Whether the same call may succeed later, because only the disk or another process is in its
    /// way.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            Self::Damaged { .. }
                | Self::UnknownVersion { .. }
                | Self::Bug(_)
                | Self::TooManyLeftOut { .. }
                | Self::TooManyGroups { .. }
                | Self::TooManySorted { .. }
        )
    }

    /// Makes a [`Self::Damaged`] of a file and what is wrong with it.
    pub fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// What an error of reading a segment is: damage, a read that failed, or what it was. And whether it
    /// says which of the segment's files it is of; `place` stands for any.
    ///
    /// Most files are mapped, of which tantivy's errors tell that bytes make no sense: that is damage. A
    /// read that failed has a number of the operating system's.
    pub(crate) fn of_segment(self, place: &Path) -> (Self, bool) {
        let of_io = |error: &io::Error| match error.raw_os_error() {
            Some(_) => Self::Io { path: place.to_owned(), source: copied(error) },
            None => Self::damaged(place, format!("a file of the segment cannot be read: {error}")),
        };
        match self {
            Self::SegmentIo(error) => (of_io(&error), false),
            Self::Tantivy(TantivyError::IoError(error)) => (of_io(&error), false),
            Self::Tantivy(TantivyError::DataCorruption(error)) => {
                (Self::damaged(place, format!("{error:?}")), false)
            }
            Self::SegmentOpen(error) | Self::Tantivy(TantivyError::OpenReadError(error)) => {
                of_open(error, place)
            }
            error => {
                let is_of_file = match &error {
                    Self::Damaged { path, .. } | Self::Io { path, .. } => path != place,
                    _ => false,
                };
                (error, is_of_file)
            }
        }
    }
}

/// A file of a segment that cannot be opened.
fn of_open(error: OpenReadError, place: &Path) -> (IndexError, bool) {
    let named = |path: &Path| place.with_file_name(path.file_name().unwrap_or_default());
    match error {
        OpenReadError::FileDoesNotExist(path) => {
            (IndexError::damaged(&named(&path), "it is missing"), true)
        }
        OpenReadError::IoError { io_error, filepath } => {
            (IndexError::Io { path: named(&filepath), source: copied(&io_error) }, true)
        }
        error @ OpenReadError::IncompatibleIndex(_) => {
            (IndexError::damaged(place, format!("{error:?}")), false)
        }
    }
}

/// The same error again: tantivy's are shared.
fn copied(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Opens a file that a commit names; one that is missing is [`IndexError::Damaged`].
pub fn open_existing(path: &Path) -> Result<File, IndexError> {
    regular::open(path).map_err(IndexError::read(path))
}

/// Takes a lock, even if its holder panicked: what these locks guard is valid at every step, or is
/// not used after a panic.
pub fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a `u64` from eight little-endian bytes at an offset.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were taken"))
}

/// The first number of a range for which `is_before` does not hold; its end where it holds for all.
pub(crate) fn partition_point(range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let Range { start: mut low, end: mut high } = range;
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
