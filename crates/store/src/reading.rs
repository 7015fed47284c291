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
use segment::parts::SegmentEntry;
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
    Follower::new(data_dir, cache_bytes, Trust::Hashes).newest()
}

/// What is done before a file of the index is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of it is compared with its hash.
    Hashes,
    /// Its length and its head are looked at: whoever owns the index has compared the rest.
    Owner,
}

/// How often a commit is read again, because its owner has replaced it meanwhile.
const ATTEMPTS_MAX: u32 = 10;

/// The index of a data directory, as its owner's commits leave it. It holds no lock, and changes nothing.
pub struct Follower {
    data_dir: PathBuf,
    trust: Trust,
    caches: Arc<Caches>,
    fields: Arc<Fields>,
    current: Option<(Manifest, Arc<Snapshot>)>,
}

impl Follower {
    /// Follows the index of a directory; opens nothing yet. `cache_bytes` are kept of records that were
    /// read.
    pub fn new(data_dir: &Path, cache_bytes: usize, trust: Trust) -> Self {
        sigbus::install();
        Self {
            data_dir: data_dir.to_owned(),
            trust,
            caches: Arc::new(Caches::new(cache_bytes)),
            fields: Arc::new(Fields::new()),
            current: None,
        }
    }

    /// The last commit; None where there is no index. Segments that stay are shared with the snapshot
    /// before. Begins again where the owner replaces the commit while it is opened: a merge removes files.
    pub fn newest(&mut self) -> Result<Option<Arc<Snapshot>>, IndexError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            fs::metadata(&self.data_dir).map_err(IndexError::io(&self.data_dir))?;
            if !self.data_dir.join(SEGMENTS).exists() {
                return Ok(None);
            }
            let before = Manifest::read(&self.data_dir)?;
            if let (Some((known, snapshot)), Some(manifest)) = (&self.current, &before)
                && known == manifest
            {
                return Ok(Some(Arc::clone(snapshot)));
            }
            match self.open() {
                Err(error) if attempts < ATTEMPTS_MAX => {
                    if Manifest::read(&self.data_dir)? == before {
                        return Err(error);
                    }
                }
                opened => return opened,
            }
        }
    }

    fn open(&mut self) -> Result<Option<Arc<Snapshot>>, IndexError> {
        let Some((manifest, ledger)) = opening::read_commit(&self.data_dir)? else {
            return Ok(None);
        };
        let known: Vec<Arc<SegmentView>> = match &self.current {
            Some((_, snapshot)) => snapshot.segments.clone(),
            None => Vec::new(),
        };
        let kept = |entry: &SegmentEntry| {
            known.iter().find(|view| view.entry == *entry && !view.is_damaged())
        };
        let segments_dir = self.data_dir.join(SEGMENTS);
        if self.trust == Trust::Hashes {
            let new: Vec<SegmentEntry> =
                manifest.segments.iter().filter(|entry| kept(entry).is_none()).cloned().collect();
            let damaged = opening::check_segments(&segments_dir, &new)?;
            if let Some((entry, reason)) = damaged.into_iter().next() {
                return Err(IndexError::Damaged { path: segments_dir.join(&entry.id), reason });
            }
        }
        let files = SegmentFiles::open(&segments_dir, Arc::new(RealDisk))?;
        let index = open_index(files.directory(), &self.fields)?;
        let open = |entry: &SegmentEntry| match kept(entry) {
            Some(view) => Ok(Arc::clone(view)),
            None => Ok(Arc::new(SegmentView::open(&index, &files, entry, &self.caches)?)),
        };
        let views = manifest.segments.iter().map(open).collect::<Result<Vec<_>, IndexError>>()?;
        let is_gone = |view: &&Arc<SegmentView>| !views.iter().any(|new| Arc::ptr_eq(new, view));
        known.iter().filter(is_gone).for_each(|view| view.retire());
        let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
        let fields = Arc::clone(&self.fields);
        let snapshot = Snapshot::new(fields, views, reader, extent).at(&manifest);
        snapshot.verdicts.store(Arc::new(Verdicts::read(&self.data_dir, manifest.begun)));
        let snapshot = Arc::new(snapshot);
        self.current = Some((manifest, Arc::clone(&snapshot)));
        Ok(Some(snapshot))
    }
}

/// Whether the last commit of a data directory has events. False where it cannot be read.
pub fn has_events(data_dir: &Path) -> bool {
    let manifest = Manifest::read(data_dir).ok().flatten();
    manifest.is_some_and(|manifest| manifest.segments.iter().any(|entry| entry.events() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::testing::built;

    #[test]
    fn commits_are_followed_and_segments_that_stay_are_shared() {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(dir.path(), 1 << 20, Trust::Owner);
        assert!(follower.newest().unwrap().is_none());
        let mut store = Store::open(dir.path(), 1 << 20).unwrap();
        let segment = built(&store, 0, &[1, 2]);
        store.commit(vec![segment]).unwrap();
        let first = follower.newest().unwrap().unwrap();
        assert_eq!(first.events(), 2);
        assert!(Arc::ptr_eq(&first, &follower.newest().unwrap().unwrap()));
        let segment = built(&store, 1, &[3]);
        store.commit(vec![segment]).unwrap();
        let second = follower.newest().unwrap().unwrap();
        assert_eq!((first.events(), second.events()), (2, 3));
        let stays = |view: &&Arc<SegmentView>| second.segments.iter().any(|s| Arc::ptr_eq(s, view));
        assert_eq!(first.segments.iter().filter(stays).count(), 1);
    }

    #[test]
    fn a_segment_that_is_gone_is_an_error_where_the_commit_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 1 << 20).unwrap();
        let segment = built(&store, 0, &[1]);
        store.commit(vec![segment]).unwrap();
        for entry in fs::read_dir(dir.path().join(SEGMENTS)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let mut follower = Follower::new(dir.path(), 1 << 20, Trust::Owner);
        assert!(follower.newest().is_err());
    }
}
