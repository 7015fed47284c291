//! A disk that fails: whatever operation of a segment or a commit does, the index is as the last
//! commit left it, nothing is left over, and the same segment can be committed once the disk works
//! again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use segment::disk::Output;

/// Fails as a full disk does, once so many operations were done.
#[derive(Clone, Debug)]
struct Filling {
    left: Arc<AtomicUsize>,
}

impl Filling {
    fn new() -> Self {
        Self { left: Arc::new(AtomicUsize::new(usize::MAX)) }
    }

    fn set_left(&self, operations: usize) {
        self.left.store(operations, Ordering::Relaxed);
    }

    fn take(&self) -> io::Result<()> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

struct Filled {
    disk: Filling,
    output: Box<dyn Output>,
}

impl Disk for Filling {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        self.take()?;
        Ok(Box::new(Filled { disk: self.clone(), output: RealDisk.create(path)? }))
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // Half of it fits.
        self.take().inspect_err(|_| {
            let _ = RealDisk.write_at(path, offset, &bytes[..bytes.len() / 2]);
        })?;
        RealDisk.write_at(path, offset, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.take()?;
        RealDisk.rename(from, to)
    }

    /// Makes room.
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.take()?;
        RealDisk.sync_dir(path)
    }
}

impl Write for Filled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.take()?;
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Output for Filled {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.take()?;
        self.output.sync()
    }
}

/// Builds and commits a segment of one event, claimed as ingest does.
fn add(store: &mut Store, number: u64, time: i64) -> Result<(), IndexError> {
    let event = event(number, time);
    let claim = store.dedupe().claim(event.key(), number)?;
    assert_eq!(claim, Claim::New, "a claim of what was given up is forgotten");
    let mut builder = store.factory().builder()?;
    builder.add(&event);
    let key = FileKey { path: format!("file-{number}"), size: 1, mtime_ns: 1 };
    let reading = Reading { records: 1, ..Reading::default() };
    builder.end_file(FileRecord::new(number, key, FileState::Indexed, reading));
    let built = builder.finish()?;
    store.commit(vec![built])?;
    store.dedupe().release_through(number);
    Ok(())
}

#[test]
fn whatever_a_full_disk_ends_can_be_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Filling::new();
    let mut store = Store::open_on(Arc::new(disk.clone()), dir.path(), CACHE).unwrap();
    add(&mut store, 1, 1).unwrap();
    let mut failures = 0;
    for operations in 0.. {
        disk.set_left(operations);
        let Err(error) = add(&mut store, 2, 2) else { break };
        assert!(error.may_pass(), "{error:?}");
        failures += 1;
        check_searches(&store, &[1]);
        // As long as the disk is full, nothing but room is made.
        disk.set_left(0);
        let _ = store.recover();
        disk.set_left(usize::MAX);
        store.recover().unwrap();
        let named: usize = store.current.manifest.segments.iter().map(|s| s.files.len()).sum();
        assert_eq!(fs::read_dir(dir.path().join(SEGMENTS)).unwrap().count(), named);
        assert_eq!(problems(&store), [""; 0], "after {operations} operations");
        // What a restart would find.
        let on_disk = Manifest::read(dir.path()).unwrap();
        assert_eq!(on_disk.as_ref(), Some(&store.current.manifest));
    }
    assert!(failures > 20, "{failures}");
    disk.set_left(usize::MAX);
    check_searches(&store, &[1, 2]);
    drop(store);
    let store = Store::open(dir.path(), CACHE).unwrap();
    check_searches(&store, &[1, 2]);
    assert_eq!(problems(&store), [""; 0]);
}

#[test]
fn a_restart_after_a_commit_that_failed_finds_it_whole_or_not_at_all() {
    for operations in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = Filling::new();
        let mut store = Store::open_on(Arc::new(disk.clone()), dir.path(), CACHE).unwrap();
        add(&mut store, 1, 1).unwrap();
        disk.set_left(operations);
        let is_done = add(&mut store, 2, 2).is_ok();
        drop(store);
        let store = Store::open(dir.path(), CACHE).unwrap();
        let events = store.snapshots().load().events();
        assert!(events == 2 || events == 1 && !is_done, "{events} after {operations}");
        assert_eq!((store.set_aside(), problems(&store)), (&[][..], Vec::new()));
        if is_done {
            return;
        }
    }
}
