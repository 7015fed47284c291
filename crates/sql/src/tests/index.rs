//! Makes an index of records.

use std::path::{Path, PathBuf};

use segment::file::{FileKey, FileRecord, FileState, Reading};
use store::store::Store;
use tempfile::TempDir;
use trail::flags::Flags;
use trail::parse::{Origin, Parser};
use trail::time::Micros;

/// An index on disk.
pub(super) struct Index {
    dir: TempDir,
    store: Store,
    files: u64,
}

impl Index {
    /// An index with these records, so many in a segment.
    pub(super) fn of(records: &[String], in_segment: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let mut index = Self { dir, store, files: 0 };
        for records in records.chunks(in_segment) {
            index.commit(records);
        }
        index
    }

    /// Commits a file with these records.
    pub(super) fn commit(&mut self, records: &[String]) {
        let mut builder = self.store.factory().builder().unwrap();
        let mut parser = Parser::default();
        let file = self.files;
        for (offset, record) in (0..).zip(records) {
            let origin =
                Origin { file, time: Micros(0), second_member: None, flags: Flags::default() };
            let event = parser.event_again(record.as_bytes(), offset, origin);
            builder.add(event.unwrap_or_else(|| panic!("{record}")));
        }
        let key = FileKey { path: format!("file-{file}.json.gz"), size: 10, mtime_ns: 1_000_000 };
        let reading = Reading { records: records.len() as u64, ..Reading::default() };
        builder.end_file(FileRecord::new(file, key, FileState::Indexed, reading));
        self.store.commit(vec![builder.finish().unwrap()]).unwrap();
        self.files += 1;
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A copy of its files, which nobody uses.
    pub(super) fn copied(&self) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("copy");
        copy(self.path(), &to);
        (dir, to)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
