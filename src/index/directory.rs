//! The directory that tantivy sees: segment files on disk, its own bookkeeping in memory.
//!
//! tantivy builds, merges and reads segments for us; which segments make the index is decided by our
//! manifest alone (`manifest.rs`). So tantivy's `meta.json` and `.managed.json` never reach the disk:
//! each segment is built under a directory of its own that keeps them in memory and forgets them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct SegmentDirectory {
    files: MmapDirectory,
    bookkeeping: Arc<Mutex<HashMap<PathBuf, Vec<u8>>>>,
}

impl SegmentDirectory {
    pub fn new(files: MmapDirectory) -> Self {
        Self { files, bookkeeping: Arc::default() }
    }
}

impl Directory for SegmentDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let bookkeeping = self.bookkeeping.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(bookkeeping.contains_key(path) || self.files.exists(path)?)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.files.open_write(path)
    }

    /// Only tantivy's bookkeeping is read and written atomically.
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let bookkeeping = self.bookkeeping.lock().unwrap_or_else(PoisonError::into_inner);
        bookkeeping
            .get(path)
            .cloned()
            .ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut bookkeeping = self.bookkeeping.lock().unwrap_or_else(PoisonError::into_inner);
        bookkeeping.insert(path.to_owned(), data.to_vec());
        Ok(())
    }

    /// A commit syncs the directory once for all its segments.
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// The data directory has a lock of its own, held for the life of the process.
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
