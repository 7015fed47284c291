//! The index on disk: segments built by tantivy, the ledger of files, and the manifest that says which
//! of them count. Knows nothing of how files are found or read.
//!
//! ```text
//! data directory
//! ├── LOCK            held by the one process that may write
//! ├── manifest.json   the last commit: segments, and how much of the ledger counts
//! ├── files.jsonl     the ledger: one line a file that was read
//! ├── segments/       tantivy's segment files, and the keys of their events
//! └── set-aside/      what was found damaged, for a person to look at
//! ```
//!
//! A commit is the rename of `manifest.json`. Before it, the segments and the ledger lines it names
//! are synced to disk; after it they are visible, all of them. What a crash leaves beyond the last
//! manifest is removed at the next start. The manifest states length and hash of every file that it
//! makes count; what is not so is damaged, and never read as if it were whole.

pub mod build;
pub mod check;
pub mod clauses;
pub mod collect;
pub mod column_words;
pub mod dedupe;
pub mod directory;
pub mod disk;
pub mod docsets;
pub mod document;
pub mod keys;
pub mod ledger;
pub mod lines;
pub mod manifest;
pub mod merge;
pub mod opening;
pub mod schema;
pub mod snapshot;
pub mod steps;
pub mod store;
pub mod word_clauses;

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with the index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("{0} is used by another traildex process")]
    Locked(PathBuf),
    #[error("{0}: a bug in traildex")]
    Bug(&'static str),
    #[error(transparent)]
    Tantivy(#[from] tantivy::TantivyError),
    #[error("a segment cannot be read: {0}")]
    SegmentIo(#[from] io::Error),
    #[error("a segment's file cannot be opened: {0}")]
    SegmentOpen(#[from] tantivy::directory::error::OpenReadError),
    #[error("a segment's file cannot be made: {0}")]
    SegmentCreate(#[from] tantivy::directory::error::OpenWriteError),
    #[error("a segment's file cannot be removed: {0}")]
    SegmentDelete(#[from] tantivy::directory::error::DeleteError),
}

impl IndexError {
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
