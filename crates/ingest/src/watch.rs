//! Turns the events of notify into hints. A hint only says where to look; the scan decides what is
//! there. No other file uses notify.
//!
//! If hints do not fit their queue, or the kernel drops events, one hint says to scan everything.
//! Our own reads cause events of kind `Access`; only the close of a file that somebody wrote
//! counts.
//!
//! A new directory gets two hints. When the kernel reports it, its content is not watched yet, so
//! files that arrive meanwhile go unseen. A thread waits until the directory is watched and hints
//! again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Hints waiting for the scanner. At some 200 bytes each this is 13 MB; beyond it, a full scan is the
/// cheaper hint.
const HINTS_MAX: usize = 1 << 16;

/// A place where the scanner should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A finished file: it was closed after writing.
    Finished(PathBuf),
    /// A finished file or a directory that was renamed into place.
    Appeared(PathBuf),
    /// A file that is being written.
    Changing(PathBuf),
    /// A file whose time or permissions have changed.
    Touched(PathBuf),
    /// A new directory, with all that is in it.
    Directory(PathBuf),
}

/// Watches directories recursively until it is dropped.
pub struct Watcher {
    hints: Receiver<Hint>,
    is_lossy: Arc<AtomicBool>,
    watcher: Option<Arc<Mutex<RecommendedWatcher>>>,
    appeared: Sender<PathBuf>,
    queue: Queue,
}

impl Watcher {
    /// Starts a watcher that watches nothing yet; fails where the kernel has no watcher to give.
    pub fn new() -> notify::Result<Self> {
        let (sender, hints) = bounded(HINTS_MAX);
        let is_lossy = Arc::new(AtomicBool::new(false));
        let queue = Queue { sender, is_lossy: Arc::clone(&is_lossy) };
        let (appeared, new_dirs) = bounded(HINTS_MAX);
        let (again, told) = (queue.clone(), queue.clone());
        let new = appeared.clone();
        // A link can lead out of the archive, to more folders than the kernel watches.
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(move |event| told.take(event, &new), config)?;
        let watcher = Arc::new(Mutex::new(watcher));
        let weak = Arc::downgrade(&watcher);
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || hint_once_watched(&new_dirs, &weak, &again))
            .map_err(notify::Error::io)?;
        Ok(Self { hints, is_lossy, watcher: Some(watcher), appeared, queue })
    }

    /// Returns a watcher that never hints, for a one-time import.
    pub fn none() -> Self {
        let (sender, _) = bounded(0);
        let is_lossy: Arc<AtomicBool> = Arc::default();
        let queue = Queue { sender, is_lossy: Arc::clone(&is_lossy) };
        let hints = crossbeam_channel::never();
        Self { hints, is_lossy, watcher: None, appeared: bounded(0).0, queue }
    }

    pub(crate) fn watch(&mut self, dir: &Path) -> notify::Result<()> {
        match &mut self.watcher {
            Some(watcher) => lock(watcher).watch(dir, RecursiveMode::Recursive),
            None => Ok(()),
        }
    }

    /// Hints at a directory a second time, once it is watched.
    pub(crate) fn appeared(&self, dir: PathBuf) {
        if self.watcher.is_some() && self.appeared.try_send(dir).is_err() {
            self.queue.lose();
        }
    }

    pub(crate) fn hints(&self) -> &Receiver<Hint> {
        &self.hints
    }

    /// Whether hints were lost since the last call, so that everything must be scanned.
    pub(crate) fn take_lossy(&self) -> bool {
        self.is_lossy.swap(false, Ordering::AcqRel)
    }
}

fn lock(watcher: &Mutex<RecommendedWatcher>) -> std::sync::MutexGuard<'_, RecommendedWatcher> {
    watcher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hints at new directories a second time, until the watcher is gone.
fn hint_once_watched(
    new_dirs: &Receiver<PathBuf>,
    watcher: &Weak<Mutex<RecommendedWatcher>>,
    queue: &Queue,
) {
    while let Ok(dir) = new_dirs.recv() {
        let dirs: Vec<PathBuf> = std::iter::once(dir).chain(new_dirs.try_iter()).collect();
        let Some(watcher) = watcher.upgrade() else { return };
        // Changes nothing. But notify's one thread does it after what it is at: watching what it has
        // told of.
        if let Err(error) = lock(&watcher).configure(Config::default()) {
            tracing::warn!(%error, "watching failed; the next scan will find what it missed");
            queue.lose();
        }
        for dir in dirs {
            queue.put(Hint::Directory(dir));
        }
    }
}

#[derive(Clone)]
struct Queue {
    sender: Sender<Hint>,
    is_lossy: Arc<AtomicBool>,
}

impl Queue {
    fn take(&self, event: notify::Result<Event>, appeared: &Sender<PathBuf>) {
        match event {
            Ok(event) if event.need_rescan() => self.lose(),
            Ok(event) => {
                for hint in hints(&event) {
                    if let Hint::Directory(dir) = &hint
                        && appeared.try_send(dir.clone()).is_err()
                    {
                        self.lose();
                    }
                    self.put(hint);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "watching failed; the next scan will find what it missed");
                self.lose();
            }
        }
    }

    fn put(&self, hint: Hint) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(hint) {
            self.lose();
        }
    }

    fn lose(&self) {
        self.is_lossy.store(true, Ordering::Release);
    }
}

fn hints(event: &Event) -> Vec<Hint> {
    let all = |hint: fn(PathBuf) -> Hint| event.paths.iter().cloned().map(hint).collect();
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => all(Hint::Finished),
        EventKind::Create(CreateKind::Folder) => all(Hint::Directory),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => all(Hint::Appeared),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
            all(Hint::Changing)
        }
        EventKind::Modify(ModifyKind::Metadata(_)) => all(Hint::Touched),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::archive::Archive;
    use crate::walk::FileWalk;

    /// Hints until `wanted` comes.
    fn wait_for(watcher: &Watcher, wanted: &Hint) -> Vec<Hint> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut seen = Vec::new();
        while seen.last() != Some(wanted) {
            seen.push(watcher.hints().recv_deadline(deadline).expect("the hint comes in time"));
        }
        seen
    }

    #[test]
    fn closing_and_renaming_finish_a_file_and_our_reads_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.watch(&root).unwrap();
        fs::write(root.join("a.json"), "{}").unwrap();
        wait_for(&watcher, &Hint::Finished(root.join("a.json")));

        fs::read(root.join("a.json")).unwrap();
        fs::rename(root.join("a.json"), root.join("b.json")).unwrap();
        let seen = wait_for(&watcher, &Hint::Appeared(root.join("b.json")));
        assert_eq!(seen, [Hint::Appeared(root.join("b.json"))], "a read must cause no hint");

        fs::create_dir(root.join("sub")).unwrap();
        wait_for(&watcher, &Hint::Directory(root.join("sub")));
        assert!(!watcher.take_lossy());
    }

    /// The kernel is asked for hints about a new folder after it has told of the folder, and what came
    /// into it in between is told by nobody.
    #[test]
    fn hints_lead_to_every_file_in_new_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.watch(&root).unwrap();
        let mut missing: HashSet<PathBuf> =
            (0..2_000).map(|n| root.join(format!("{n}/2026/11/{n}.json"))).collect();
        let archive = Arc::new(Archive::new([root]));
        let coming = missing.clone();
        let writer = thread::spawn(move || {
            for file in &coming {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "{}").unwrap();
            }
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while !missing.is_empty() {
            match watcher.hints().recv_deadline(deadline) {
                Ok(Hint::Directory(dir)) => FileWalk::at(&archive, dir).for_each(|(path, _)| {
                    missing.remove(&path);
                }),
                Ok(Hint::Finished(path)) => {
                    missing.remove(&path);
                }
                Ok(_) => {}
                Err(error) => {
                    panic!("{error}: {}, such as {:?}", missing.len(), missing.iter().next())
                }
            }
        }
        writer.join().unwrap();
        assert!(!watcher.take_lossy());
    }

    #[test]
    fn hints_that_do_not_fit_become_a_scan_of_everything() {
        let (sender, hints) = bounded(1);
        let is_lossy = Arc::new(AtomicBool::new(false));
        let queue = Queue { sender, is_lossy: Arc::clone(&is_lossy) };
        queue.put(Hint::Finished("a".into()));
        assert!(!is_lossy.load(Ordering::Acquire));
        queue.put(Hint::Finished("b".into()));
        assert!(is_lossy.load(Ordering::Acquire));
        assert_eq!(hints.len(), 1);
    }
}
