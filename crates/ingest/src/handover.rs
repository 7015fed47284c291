//! A file that a worker gives back to the scanner.

use segment::file::FileKey;

/// A file that was taken and is given back. It stays pending until the scanner has it.
#[derive(Clone, Debug)]
pub(crate) enum TakenBack {
    /// It ends too early.
    Unfinished(FileKey),
    /// It is another by now.
    Changed(FileKey),
    /// Another file's panic cost it its segment.
    Unread(FileKey),
    /// It cannot be opened or read; and why.
    Unreadable(FileKey, String),
}
