//! A file that a worker gives back to the scanner.

use segment::file::FileKey;

/// A file that a worker took and gives back. It stays pending until the scanner has it.
#[derive(Clone, Debug)]
pub(crate) enum TakenBack {
    /// The file ends too early.
    Unfinished(FileKey),
    /// The file has changed since it was taken.
    Changed(FileKey),
    /// Another file's panic cost the segment that held this file.
    Unread(FileKey),
    /// The file cannot be opened or read, for the reason given.
    Unreadable(FileKey, String),
}
