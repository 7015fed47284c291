//! Opens the index of a data directory to be searched by a process that does not own it, and changes
//! nothing there.
//!
//! The one that owns it may go on: what is open stays readable when a merge has removed it. So the lock
//! is not held. Where the owner is a daemon, it has told its socket, and that is to be asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::opening;
use crate::manifest::Manifest;
use crate::opening::SEGMENTS;
use crate::snapshot::Snapshot;
use crate::store::LOCK;
use crate::verdicts::Verdicts;
use segment::IndexError;
use segment::build::open_index;
use segment::cache::Caches;
use segment::directory::SegmentFiles;
use segment::disk::RealDisk;
use segment::regular;
use segment::schema::Fields;
use segment::sigbus;
use segment::view::SegmentView;

/// Who uses a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// Nobody.
    Nobody,
    /// A daemon, which answers on this socket.
    Daemon(PathBuf),
    /// Another process, which writes to the index and answers nobody, such as an import.
    Writer,
}

/// Bytes of the lock, which holds the path of a socket.
const LOCK_BYTES_MAX: u64 = 64 << 10;

/// Says who uses a data directory. One without a lock is a copy, and used by nobody.
pub fn user(data_dir: &Path) -> Result<User, IndexError> {
    let path = data_dir.join(LOCK);
    let file = match regular::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(User::Nobody),
        opened => opened.map_err(IndexError::io(&path))?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(User::Nobody),
        Err(Errno::WOULDBLOCK) => {
            let told = regular::read(&path, LOCK_BYTES_MAX).map_err(IndexError::io(&path))?;
            Ok(match String::from_utf8_lossy(&told).trim_end_matches('\n') {
                "" => User::Writer,
                socket => User::Daemon(socket.into()),
            })
        }
        Err(error) => Err(IndexError::io(&path)(error.into())),
    }
}

/// Opens the index of a data directory; None where there is none. All of its files are compared with
/// their hashes first, so that nothing damaged is read as if it were whole: that takes as long as
/// reading the index once. What is damaged is an error, and stays where it is.
pub fn open_to_read(
    data_dir: &Path,
    cache_bytes: usize,
) -> Result<Option<Arc<Snapshot>>, IndexError> {
    sigbus::install();
    let segments_dir = data_dir.join(SEGMENTS);
    fs::metadata(data_dir).map_err(IndexError::io(data_dir))?;
    if !segments_dir.exists() {
        return Ok(None);
    }
    let Some((manifest, ledger)) = opening::read_commit(data_dir)? else { return Ok(None) };
    let damaged = opening::check_segments(&segments_dir, &manifest.segments)?;
    if let Some((entry, reason)) = damaged.into_iter().next() {
        return Err(IndexError::Damaged { path: segments_dir.join(&entry.id), reason });
    }
    let files = SegmentFiles::open(&segments_dir, Arc::new(RealDisk))?;
    let fields = Arc::new(Fields::new());
    let index = open_index(files.directory(), &fields)?;
    let caches = Arc::new(Caches::new(cache_bytes));
    let open = |entry| Ok(Arc::new(SegmentView::open(&index, &files, entry, &caches)?));
    let views = manifest.segments.iter().map(open).collect::<Result<_, IndexError>>()?;
    let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
    let snapshot = Snapshot::new(fields, views, reader, extent).at(&manifest);
    snapshot.verdicts.store(Arc::new(Verdicts::read(data_dir, manifest.begun)));
    Ok(Some(Arc::new(snapshot)))
}

/// Whether the last commit of a data directory has events. False where it cannot be read.
pub fn has_events(data_dir: &Path) -> bool {
    let manifest = Manifest::read(data_dir).ok().flatten();
    manifest.is_some_and(|manifest| manifest.segments.iter().any(|entry| entry.events() > 0))
}
