//! The index on disk: this crate decides which segments count.
//!
//! It commits segments together with the ledger of files, publishes snapshots for searches, drops what
//! retention does not keep, and sets aside what is damaged. It never knows queries, and never how files
//! of an archive are found or read.
//!
//! Entry points: [`store::Store`] is the one writer, [`snapshot::Snapshot`] is what a search reads, and
//! [`inspect::inspect`] checks a data directory that no process uses.
//!
//! ```text
//! data directory
//! ├── LOCK            held by the one process that may write
//! ├── manifest.json   the last commit: segments, and how much of the ledger counts
//! ├── files.jsonl     the ledger: one line a file that was read; files.N.jsonl after a rebuild
//! ├── copies-N        which file repeats which event
//! ├── verdicts.json   what digests say of each file
//! ├── saved.json      saved searches, which are not part of the index
//! ├── segments/       tantivy's segment files; keys, ids, words and records of their
//! │                   events
//! └── set-aside/      what was found damaged, for a person to look at
//! ```
//!
//! A commit is the rename of `manifest.json`. The segments and the ledger lines that it names are
//! synced to disk before it, and visible after it, all of them. The next start removes what a crash
//! leaves beyond the last manifest. The manifest holds the length and hash of every file that
//! counts. A file that differs is damaged, and is never read as if it were whole.

#![warn(missing_docs, unreachable_pub)]

pub mod attempts;
pub mod copies;
pub mod dedupe;
pub mod inspect;
pub mod job;
pub mod ledger;
pub mod manifest;
pub mod opening;
pub mod reading;
pub mod remake;
pub mod saved;
pub mod snapshot;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verdicts;
pub mod verify;
pub mod versions;
