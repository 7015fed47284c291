//! What an import has left out, and whether that is everything it was given.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::text::{counted, escape};
use ingest::progress::{Progress, Unread};
use ingest::table::is_table_name;
use segment::IndexError;
use segment::file::{FileRecord, FileState};
use store::ledger::LedgerReader;

/// Files told by name, of each kind.
const TOLD_MAX: usize = 10;

/// What became of the files beneath the paths that an import was given.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Files that have events, now or already, or were delivered without any.
    taken: u64,
    rejected: List,
    /// Files of digests, which hold no events.
    digests: List,
    ignored: List,
    /// Tables that were not named themselves.
    tables: List,
    skipped: List,
}

/// Some of several files, and how many there are.
#[derive(Debug, Default)]
struct List {
    count: u64,
    told: Vec<(String, String)>,
}

impl List {
    fn add(&mut self, path: &str, reason: &str) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((path.to_owned(), reason.to_owned()));
        }
    }

    fn of(unread: &[Unread], count: u64) -> Self {
        let mut list = Self::default();
        for file in unread {
            list.add(&file.path, &file.reason);
        }
        list.count = count;
        list
    }
}

impl LeftOut {
    /// Looks through the ledger for the files beneath these paths.
    pub(super) fn of(
        ledger: &LedgerReader,
        roots: &[PathBuf],
        passes: &[Arc<Progress>],
    ) -> Result<Self, IndexError> {
        let skipped: Vec<_> = passes.iter().flat_map(|progress| progress.skipped()).collect();
        let ignored = passes.iter().flat_map(|progress| progress.ignored());
        let (tables, ignored): (Vec<_>, Vec<_>) =
            ignored.partition(|file| is_table_name(&file.path));
        let count =
            |count: fn(&Progress) -> u64| passes.iter().map(|progress| count(progress)).sum();
        let ignored_all: u64 = count(|progress| progress.glance().ignored);
        let listed = tables.len() as u64;
        let mut left_out = Self {
            ignored: List::of(&ignored, ignored_all.saturating_sub(listed)),
            tables: List::of(&tables, listed),
            skipped: List::of(&skipped, count(|progress| progress.glance().skipped)),
            ..Self::default()
        };
        ledger.each(|record| {
            if roots.iter().any(|root| std::path::Path::new(&record.key.path).starts_with(root)) {
                left_out.take(&record);
            }
            Ok::<_, IndexError>(())
        })?;
        Ok(left_out)
    }

    /// Whether there are tables that were not named themselves.
    pub(super) fn has_tables(passes: &[Arc<Progress>]) -> bool {
        let mut ignored = passes.iter().flat_map(|progress| progress.ignored());
        ignored.any(|file| is_table_name(&file.path))
    }

    fn take(&mut self, FileRecord { key, state, reading, .. }: &FileRecord) {
        match state {
            FileState::Replaced => {}
            FileState::Digest => self.digests.add(&key.path, "a digest, which holds no events"),
            FileState::Indexed | FileState::Reread if reading.records > 0 => self.taken += 1,
            FileState::Empty => self.taken += 1,
            FileState::Indexed | FileState::Reread | FileState::Rejected => {
                let first = reading.rejects.first().map(|reject| reject.reason.as_str());
                let reason = reading.reason.as_deref().or(first).unwrap_or("no record can be read");
                self.rejected.add(&key.path, reason);
            }
        }
    }

    /// Whether nothing that was given is in the index.
    pub(super) fn is_everything(&self) -> bool {
        self.taken == 0
    }

    /// Lines that name what was rejected and skipped, and where nothing was taken, everything.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lists = vec![
            ("rejected", &self.rejected),
            ("skipped", &self.skipped),
            ("ignored", &self.tables),
        ];
        if self.is_everything() {
            lists.extend([("left out", &self.digests), ("ignored", &self.ignored)]);
        }
        let mut lines = Vec::new();
        for (what, list) in lists {
            lines.extend(
                list.told
                    .iter()
                    .map(|(path, reason)| format!("{what} {}: {}", escape(path), escape(reason))),
            );
            let more = list.count.saturating_sub(list.told.len() as u64);
            if more > 0 {
                lines.push(format!("{what} {} more", counted(more, "path")));
            }
        }
        if self.is_everything() {
            lines.push("nothing was imported: no file has an event that can be read".to_owned());
        }
        lines
    }
}
