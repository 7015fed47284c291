//! Opens a data directory. Finds what is damaged, logs it and sets it aside, so that the rest can
//! be trusted.
//!
//! - A damaged segment is set aside by itself. The files whose events it held, and those that counted
//!   duplicates, get a line in the ledger that says so, and are read again when the archive is scanned.
//! - If the manifest or the ledger cannot be read, nobody knows what counts. The whole index is set
//!   aside, and an empty one begins.
//! - A manifest of another version is not damage. The index is refused and nothing changes
//!   (`versions.rs`), because it may hold events that the archive no longer has.
//!
//! Nothing damaged is deleted. A file that cannot be read for another reason, such as its
//! permissions or a failing disk, is not damage: the daemon does not start, and nothing changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::manifest;
use crate::ledger::{Ledger, LedgerReader, Line, Loss};
use crate::manifest::{Expired, Manifest};
use crate::verify::{events_by_file, events_of};
use segment::IndexError;
use segment::check::check_segment;
use segment::disk::Disk;
use segment::file::{FileState, Reading};
use segment::parts::SegmentEntry;
use segment::private;
use segment::view::SegmentView;
use trail::time::Micros;

/// Where segment files are, in the data directory.
pub use segment::directory::SEGMENTS;

/// The ledger of a new index. A rebuild's is `files.N.jsonl`.
pub(crate) const LEDGER: &str = "files.jsonl";

/// Where damaged files go, each time into a folder of its own.
pub(crate) const SET_ASIDE: &str = "set-aside";

/// Says, in a folder of damaged files, why they are there.
const REASON: &str = "reason.txt";

/// The last commit and its ledger, or those of an index that begins.
pub(crate) struct Opened {
    pub(crate) manifest: Manifest,
    pub(crate) ledger: Ledger,
    /// Why the index begins anew, where another was there and is set aside.
    pub(crate) set_aside: Option<String>,
}

/// Opens the last commit; one that is damaged is set aside with all the rest.
pub(crate) fn open_commit(data_dir: &Path, disk: &dyn Disk) -> Result<Opened, IndexError> {
    let set_aside = match read_commit(data_dir) {
        Ok(Some((manifest, ledger))) => return Ok(Opened { manifest, ledger, set_aside: None }),
        Ok(None) => None,
        Err(error @ IndexError::Damaged { .. }) => {
            let aside = SetAside::begin(data_dir, disk)?;
            let note = format!(
                "the index was damaged ({error}) and set aside in {}; the archive is read anew",
                aside.dir.display()
            );
            aside.take_all(data_dir, disk, &note)?;
            Some(note)
        }
        Err(error) => return Err(error),
    };
    let ledger = Ledger::create(data_dir, LEDGER, disk)?;
    let manifest = Manifest::empty(LEDGER);
    manifest.write(data_dir, disk)?;
    Ok(Opened { manifest, ledger, set_aside })
}

/// The last commit and its ledger, where there is one; nothing is changed.
pub(crate) fn read_commit(data_dir: &Path) -> Result<Option<(Manifest, Ledger)>, IndexError> {
    let Some(manifest) = Manifest::read(data_dir)? else {
        // The manifest is the first that is written to an index, and never removed.
        if is_empty(data_dir)? {
            return Ok(None);
        }
        let reason = "it is missing, though there are segments or a ledger".to_owned();
        return Err(IndexError::Damaged { path: data_dir.join(manifest::NAME), reason });
    };
    let ledger = Ledger::open(data_dir, manifest.ledger.clone())?;
    Ok(Some((manifest, ledger)))
}

fn is_empty(data_dir: &Path) -> Result<bool, IndexError> {
    let segments = data_dir.join(SEGMENTS);
    let has_segments = fs::read_dir(&segments).map_err(IndexError::io(&segments))?.next().is_some();
    let has_ledger = ledgers(data_dir)?
        .iter()
        .any(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0));
    Ok(!has_segments && !has_ledger)
}

/// Ledger files in a data directory, whichever count.
pub(crate) fn ledgers(data_dir: &Path) -> Result<Vec<PathBuf>, IndexError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data_dir).map_err(IndexError::io(data_dir))? {
        let entry = entry.map_err(IndexError::io(data_dir))?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or("");
        if name == LEDGER || ledger_number(name).is_some() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The name of the ledger that takes the place of one of this name.
pub(crate) fn next_ledger(name: &str) -> String {
    format!("files.{}.jsonl", ledger_number(name).unwrap_or(1) + 1)
}

fn ledger_number(name: &str) -> Option<u64> {
    name.strip_prefix("files.")?.strip_suffix(".jsonl")?.parse().ok()
}

/// Which segments are as the manifest states, and which are not and why. Segments are checked on all
/// cores: the time is that of reading the index once.
pub(crate) fn check_segments(
    segments_dir: &Path,
    entries: &[SegmentEntry],
) -> Result<Vec<(SegmentEntry, String)>, IndexError> {
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(entries.len()) {
            scope.spawn(|| {
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = check_segment(segments_dir, entry, &|_| {}) {
                        let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                        faults.push((entry.clone(), error));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    faults
        .into_iter()
        .map(|(entry, error)| match error {
            IndexError::Damaged { .. } => Ok((entry, error.to_string())),
            error => Err(error),
        })
        .collect()
}

/// Sets damaged segments aside. Returns what to tell of it.
pub(crate) fn set_segments_aside(
    data_dir: &Path,
    damaged: &[(SegmentEntry, String)],
    disk: &dyn Disk,
) -> Result<Vec<String>, IndexError> {
    let aside = SetAside::begin(data_dir, disk)?;
    let mut notes = Vec::new();
    for (entry, reason) in damaged {
        let note = format!(
            "a segment of {} events was damaged ({reason}) and set aside in {}",
            entry.events(),
            aside.dir.display()
        );
        aside.take_segment(data_dir, entry, disk, &note)?;
        notes.push(note);
    }
    disk.sync_dir(&aside.dir).map_err(IndexError::io(&aside.dir))?;
    Ok(notes)
}

/// Sets a file of the data directory aside that is none of the index's. Returns what to tell of it.
pub(crate) fn set_file_aside(
    data_dir: &Path,
    path: &Path,
    disk: &dyn Disk,
    reason: &str,
) -> Result<String, IndexError> {
    let aside = SetAside::begin(data_dir, disk)?;
    let note = format!("{reason} and set aside in {}", aside.dir.display());
    aside.explain(disk, &note)?;
    aside.take(path, disk)?;
    for dir in [&aside.dir, data_dir] {
        disk.sync_dir(dir).map_err(IndexError::io(dir))?;
    }
    Ok(note)
}

/// The ledger lines of the files that lack events now that these views are all there is.
/// What retention has dropped, all events from before `kept_from`, is no loss; which it was of a file that
/// has some from before and some from after, nobody knows: such a one is read again.
pub(crate) fn losses(
    ledger: &LedgerReader,
    views: &[&SegmentView],
    expired: Expired,
) -> Result<Vec<Line>, IndexError> {
    let found = events_by_file(views.iter().copied(), ledger.next_number());
    let at = Micros::now();
    let mut lines = Vec::new();
    ledger.each(|record| {
        let Reading { last, read_at, .. } = &record.reading;
        let read_at = *read_at;
        // All of them are gone, or those that are later than the reading may be.
        let is_gone = |last: Micros| {
            let read_at = read_at.unwrap_or(last);
            last.min(read_at) < expired.reached()
                || last > read_at && read_at < expired.future_before
        };
        if last.is_some_and(is_gone) {
            return Ok(());
        }
        let expected = record.events().saturating_sub(record.reading.lost);
        let events = expected.saturating_sub(events_of(&found, record.number));
        // The event of a duplicate may have been of a file that is not there any more.
        let has_duplicates = record.reading.duplicates > 0 && record.state == FileState::Indexed;
        if events > 0 || has_duplicates {
            lines.push(Line::Loss(Loss { file: record.number, events, at }));
        }
        Ok::<_, IndexError>(())
    })?;
    Ok(lines)
}

/// Lists the folders in `set-aside/`; empty where nothing was set aside, or it cannot be read.
pub fn set_aside_folders(data_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir.join(SET_ASIDE)).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// A new folder for damaged files.
struct SetAside {
    dir: PathBuf,
}

impl SetAside {
    fn begin(data_dir: &Path, disk: &dyn Disk) -> Result<Self, IndexError> {
        let all = data_dir.join(SET_ASIDE);
        private::create_dir_all(&all).map_err(IndexError::io(&all))?;
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut number = 1;
        let dir = loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let dir = all.join(format!("{now}{suffix}"));
            match private::create_dir(&dir) {
                Ok(()) => break dir,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(IndexError::io(&dir)(error)),
            }
        };
        // Before anything is moved into it.
        for parent in [data_dir, &all] {
            disk.sync_dir(parent).map_err(IndexError::io(parent))?;
        }
        Ok(Self { dir })
    }

    /// Takes the whole index. The manifest goes last, so that after a crash the rest is not taken for
    /// what a first start left.
    fn take_all(&self, data_dir: &Path, disk: &dyn Disk, note: &str) -> Result<(), IndexError> {
        self.explain(disk, note)?;
        let segments = data_dir.join(SEGMENTS);
        self.take(&segments, disk)?;
        private::create_dir_all(&segments).map_err(IndexError::io(&segments))?;
        for ledger in ledgers(data_dir)? {
            self.take(&ledger, disk)?;
        }
        disk.sync_dir(&self.dir).map_err(IndexError::io(&self.dir))?;
        disk.sync_dir(data_dir).map_err(IndexError::io(data_dir))?;
        self.take(&data_dir.join(manifest::NAME), disk)?;
        disk.sync_dir(&self.dir).map_err(IndexError::io(&self.dir))
    }

    fn take_segment(
        &self,
        data_dir: &Path,
        entry: &SegmentEntry,
        disk: &dyn Disk,
        note: &str,
    ) -> Result<(), IndexError> {
        self.explain(disk, note)?;
        let segments = data_dir.join(SEGMENTS);
        entry.files.iter().try_for_each(|file| self.take(&segments.join(&file.name), disk))
    }

    /// Moves what is there; what is missing is part of the damage.
    fn take(&self, path: &Path, disk: &dyn Disk) -> Result<(), IndexError> {
        let Some(name) = path.file_name() else { return Ok(()) };
        match disk.rename(path, &self.dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.map_err(IndexError::io(path)),
        }
    }

    fn explain(&self, disk: &dyn Disk, note: &str) -> Result<(), IndexError> {
        let path = self.dir.join(REASON);
        let written = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
        disk.write_at(&path, written, format!("{note}\n").as_bytes())
            .map_err(IndexError::io(&path))?;
        tracing::error!("{note}");
        Ok(())
    }
}
