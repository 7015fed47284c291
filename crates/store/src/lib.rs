//! The index on disk: segments built by tantivy, the ledger of files, and the manifest that says which
//! of them count. Knows nothing of how files are found or read.
//!
//! ```text
//! data directory
//! ├── LOCK            held by the one process that may write
//! ├── manifest.json   the last commit: segments, and how much of the ledger counts
//! ├── files.jsonl     the ledger: one line a file that was read; files.N.jsonl after a rebuild
//! ├── saved.json      saved searches, which are none of the index's
//! ├── segments/       tantivy's segment files, the keys of their events, their ids
//! │                   and records
//! └── set-aside/      what was found damaged, for a person to look at
//! ```
//!
//! A commit is the rename of `manifest.json`. Before it, the segments and the ledger lines it names
//! are synced to disk; after it they are visible, all of them. What a crash leaves beyond the last
//! manifest is removed at the next start. The manifest states length and hash of every file that it
//! makes count; what is not so is damaged, and never read as if it were whole.

#![warn(missing_docs, unreachable_pub)]

pub mod dedupe;
pub mod inspect;
pub mod job;
pub mod ledger;
pub mod manifest;
pub mod opening;
pub mod remake;
pub mod saved;
pub mod snapshot;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verify;
pub mod versions;
