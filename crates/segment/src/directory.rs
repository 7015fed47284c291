//! The directory that tantivy sees: segment files on disk, its own bookkeeping in memory.
//!
//! tantivy builds, merges and reads segments for us. The manifest alone decides which segments make
//! the index (`crates/store/src/manifest.rs`). So tantivy's `meta.json` and `.managed.json` never
//! reach the disk: each segment is built under a directory of its own that keeps them in memory and
//! forgets them.
//!
//! What is written is hashed as it goes by, for the manifest.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes,
    TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};
use xxhash_rust::xxh3::Xxh3;

use super::{IndexError, lock};
use crate::column_words::WordFile;
use crate::disk::{Disk, Output};
use crate::ids::IdFile;
use crate::keys::KeySet;
use crate::parts::{Part, SegmentFile, hash_text};
use crate::records::Records;
use crate::sigbus::Lost;

/// Bytes written to a file at a time. Segments are written by a few writers of long streams.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// The folder of segment files, in the data directory.
pub const SEGMENTS: &str = "segments";

/// The directory that holds the files of all segments.
#[derive(Clone, Debug)]
pub struct SegmentFiles {
    /// Absolute path of the directory, `segments/` in the data directory.
    pub dir: PathBuf,
    disk: Arc<dyn Disk>,
    mapped: MmapDirectory,
}

impl SegmentFiles {
    /// Opens a directory that exists. Files are written through `disk` and read through mappings.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, IndexError> {
        let mapped = MmapDirectory::open(dir).map_err(tantivy::TantivyError::from)?;
        Ok(Self { dir: dir.to_owned(), disk, mapped })
    }

    /// Removes files that no commit names. If that fails, the next start removes them.
    pub fn remove<'n>(&self, names: impl IntoIterator<Item = &'n String>) {
        for name in names {
            if let Err(error) = self.disk.remove(&self.dir.join(name)) {
                tracing::warn!(name, %error, "cannot remove a file of a segment");
            }
        }
    }

    /// Opens the file of a segment's records.
    pub fn records(&self, id: &str) -> Result<Records, IndexError> {
        let (path, file) = self.mapped(Part::Records, id)?;
        Records::open(&path, file)
    }

    /// The ids of a segment.
    pub(crate) fn ids(&self, id: &str) -> Result<IdFile, IndexError> {
        let (path, file) = self.mapped(Part::Ids, id)?;
        IdFile::open(&path, file)
    }

    /// The words of a segment's columns.
    pub(crate) fn words(&self, id: &str) -> Result<WordFile, IndexError> {
        let (path, file) = self.mapped(Part::Words, id)?;
        WordFile::open(&path, file)
    }

    /// The keys of a segment's events, which are not mapped.
    pub(crate) fn keys(&self, id: &str) -> Result<KeySet, IndexError> {
        KeySet::open(&self.dir.join(Part::Keys.name(id)))
    }

    fn mapped(&self, part: Part, id: &str) -> Result<(PathBuf, OwnedBytes), IndexError> {
        let name = part.path(id);
        let file = self.mapped.open_read(&name)?;
        Ok((self.dir.join(name), file.read_bytes()?))
    }

    /// Fails where a page of a segment's files was lost while it was mapped. It reads as zeros for as
    /// long as the file stays mapped, so nothing more is to be read of it.
    pub fn check_pages(&self, files: &[SegmentFile], lost: &Lost) -> Result<(), IndexError> {
        // The keys are not mapped.
        for SegmentFile { name, .. } in
            files.iter().filter(|file| !file.name.ends_with(&Part::Keys.name("")))
        {
            // The mapping that all readers share.
            let mapped = self.mapped.open_read(Path::new(name))?.read_bytes()?;
            if let Some(at) = lost.first_in(&mapped) {
                let reason = format!("the page of byte {at} could not be read");
                return Err(IndexError::damaged(&self.dir.join(name), reason));
            }
        }
        Ok(())
    }

    /// Returns a tantivy directory, to build one segment in or to read any.
    pub fn directory(&self) -> SegmentDirectory {
        SegmentDirectory { files: self.clone(), bookkeeping: Arc::default(), made: Arc::default() }
    }
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct SegmentDirectory {
    files: SegmentFiles,
    bookkeeping: Arc<Mutex<HashMap<PathBuf, Vec<u8>>>>,
    /// The files made here, and not deleted since; what is known of each once it is written.
    made: Arc<Mutex<BTreeMap<String, Option<SegmentFile>>>>,
}

impl SegmentDirectory {
    /// The files written here, in the order of their names.
    pub(crate) fn written(&self) -> Vec<SegmentFile> {
        lock(&self.made).values().flatten().cloned().collect()
    }

    /// Removes the files made here.
    pub(crate) fn give_up(&self) {
        self.files.remove(std::mem::take(&mut *lock(&self.made)).keys());
    }
}

impl Directory for SegmentDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.mapped.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        lock(&self.made).remove(&*path.to_string_lossy());
        self.files.disk.remove(&self.files.dir.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(lock(&self.bookkeeping).contains_key(path) || self.files.mapped.exists(path)?)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let output = self
            .files
            .disk
            .create(&self.files.dir.join(path))
            .map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        let name = path.to_string_lossy().into_owned();
        lock(&self.made).insert(name.clone(), None);
        let made = Arc::clone(&self.made);
        let hashed = Hashed { name, output, bytes: 0, hasher: Xxh3::new(), made };
        Ok(BufWriter::with_capacity(WRITE_BUFFER_BYTES, Box::new(hashed)))
    }

    /// Only tantivy's bookkeeping is read and written atomically.
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        lock(&self.bookkeeping)
            .get(path)
            .cloned()
            .ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        lock(&self.bookkeeping).insert(path.to_owned(), data.to_vec());
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

/// A file being written, and hashed.
struct Hashed {
    name: String,
    output: Box<dyn Output>,
    bytes: u64,
    hasher: Xxh3,
    made: Arc<Mutex<BTreeMap<String, Option<SegmentFile>>>>,
}

impl Write for Hashed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.output.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl TerminatingWrite for Hashed {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.output.sync()?;
        let file = SegmentFile {
            name: self.name.clone(),
            bytes: self.bytes,
            xxh3: hash_text(self.hasher.digest()),
        };
        lock(&self.made).insert(self.name.clone(), Some(file));
        Ok(())
    }
}
