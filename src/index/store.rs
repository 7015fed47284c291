//! The one writer of a data directory: commits built segments, swaps merged ones in, and publishes
//! snapshots.
//!
//! Owned by one thread. Invariant: `snapshot`, `manifest.json` and the ledger's published part always
//! describe the same commit.
//!
//! A rebuild fills a second index in the same directory, with other segments and another ledger, which
//! no manifest names until it takes the place of the first. A crash before that leaves the first as it
//! was.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustix::fs::{FlockOperation, flock};
use tantivy::Index;

use super::IndexError;
use super::build::{BuiltSegment, SegmentEntry, SegmentFactory, open_index};
use super::check::{check_segment, verify};
use super::dedupe::Dedupe;
use super::directory::SegmentFiles;
use super::disk::{Disk, RealDisk};
use super::ledger::{Ledger, LedgerReader, Line};
use super::manifest::Manifest;
use super::merge::{self, Candidate};
use super::opening::{self, SEGMENTS};
use super::schema::{Fields, STORE_BLOCK_BYTES};
use super::snapshot::{SegmentView, Snapshot, SnapshotCell};
use super::steps::step;
use crate::api::proto::{VerifyProblem, VerifyReport};
use crate::event::time::Micros;
use crate::sigbus;

const LOCK: &str = "LOCK";

/// Segments among which the record cache is shared out: about as many as the merge policy leaves.
const SEGMENTS_USUAL: usize = 32;

/// Blocks of records that every segment may keep decompressed.
const RECORD_BLOCKS_MIN: usize = 4;

/// See the module's documentation.
pub struct Store {
    data_dir: PathBuf,
    files: SegmentFiles,
    disk: Arc<dyn Disk>,
    fields: Arc<Fields>,
    index: Index,
    manifest: Manifest,
    ledger: Ledger,
    snapshot: SnapshotCell,
    /// What searches see: `snapshot`, or the index that this one will take the place of.
    visible: SnapshotCell,
    /// It is being filled to take another index's place, and no manifest names it.
    is_rebuild: bool,
    dedupe: Arc<Dedupe>,
    record_cache_blocks: usize,
    set_aside: Vec<String>,
    _lock: File,
}

impl Store {
    /// Opens the index of a data directory, making an empty one where there is none. Whatever a crash
    /// left beyond the last commit is removed, and what is damaged is set aside. `record_cache_bytes`
    /// of stored records are kept decompressed, shared out among the segments.
    pub fn open(data_dir: &Path, record_cache_bytes: usize) -> Result<Self, IndexError> {
        Self::open_on(Arc::new(RealDisk), data_dir, record_cache_bytes)
    }

    pub fn open_on(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        record_cache_bytes: usize,
    ) -> Result<Self, IndexError> {
        sigbus::install();
        let segments_dir = data_dir.join(SEGMENTS);
        fs::create_dir_all(&segments_dir).map_err(IndexError::io(&segments_dir))?;
        let lock = lock(data_dir)?;
        let (manifest, ledger, set_aside) = opening::open_commit(data_dir, &*disk)?;
        let files = SegmentFiles::open(&segments_dir, Arc::clone(&disk))?;
        let fields = Arc::new(Fields::new());
        let index = open_index(files.directory(), &fields)?;
        let snapshot = empty_snapshot(&fields, &ledger);
        let mut store = Self {
            data_dir: data_dir.to_owned(),
            files,
            disk,
            fields,
            index,
            manifest,
            ledger,
            dedupe: Arc::default(),
            visible: Arc::clone(&snapshot),
            snapshot,
            is_rebuild: false,
            record_cache_blocks: (record_cache_bytes / STORE_BLOCK_BYTES / SEGMENTS_USUAL)
                .max(RECORD_BLOCKS_MIN),
            set_aside,
            _lock: lock,
        };
        store.open_segments()?;
        store.remove_orphans()?;
        Ok(store)
    }

    /// Opens the segments of the last commit, without those that are damaged.
    fn open_segments(&mut self) -> Result<(), IndexError> {
        let damaged = opening::check_segments(&self.files.dir, &self.manifest.segments)?;
        let mut manifest = self.manifest.clone();
        manifest.segments.retain(|entry| damaged.iter().all(|(other, _)| other != entry));
        let views = self.open_views(&manifest.segments)?;
        if damaged.is_empty() {
            self.publish(&HashSet::new(), views);
            return Ok(());
        }
        let notes = opening::set_segments_aside(&self.data_dir, &damaged, &*self.disk)?;
        self.set_aside.extend(notes);
        let healthy: Vec<&SegmentView> = views.iter().map(|view| &**view).collect();
        let losses = opening::losses(self.ledger.reader(), &healthy)?;
        let appended = self.ledger.append(losses, &*self.disk)?;
        manifest.commit += 1;
        manifest.ledger = appended.extent.clone();
        self.put(manifest)?;
        self.ledger.publish(appended);
        self.publish(&HashSet::new(), views);
        Ok(())
    }

    /// Makes the builders of the segments to be committed here.
    pub fn factory(&self) -> SegmentFactory {
        SegmentFactory::new(self.files.clone(), Arc::clone(&self.fields))
    }

    /// Tells which events are new.
    pub fn dedupe(&self) -> &Arc<Dedupe> {
        &self.dedupe
    }

    pub fn snapshots(&self) -> SnapshotCell {
        Arc::clone(&self.visible)
    }

    pub fn ledger(&self) -> &LedgerReader {
        self.ledger.reader()
    }

    /// What was found damaged at the opening, in words.
    pub fn set_aside(&self) -> &[String] {
        &self.set_aside
    }

    /// Makes built segments, and the files they hold, count: durable and visible when this returns;
    /// not at all when it fails.
    pub fn commit(&mut self, built: Vec<BuiltSegment>) -> Result<(), IndexError> {
        step("commit-begun");
        let mut lines = Vec::new();
        let mut entries = Vec::new();
        for BuiltSegment { segment, files } in built {
            entries.extend(segment);
            lines.extend(files.into_iter().map(|file| Line::File(Box::new(file))));
        }
        let appended = self.ledger.append(lines, &*self.disk)?;
        let mut manifest = self.next_manifest();
        manifest.segments.extend(entries.iter().cloned());
        manifest.ledger = appended.extent.clone();
        let views = self.open_views(&entries)?;
        self.put(manifest)?;
        self.ledger.publish(appended);
        step("ledger-published");
        self.publish(&HashSet::new(), views);
        step("commit-published");
        Ok(())
    }

    /// Removes the files of a segment that will not be committed.
    pub fn discard(&self, built: &BuiltSegment) {
        if let Some(entry) = &built.segment {
            self.remove_segment(entry);
        }
    }

    /// The merge to do next, if any. One at a time: it does not know of those under way.
    pub fn merge_candidates(&self) -> Option<MergeJob> {
        let snapshot = self.snapshot.load();
        let whole = snapshot.segments.iter().filter(|view| !view.is_damaged());
        let candidates: Vec<Candidate> = whole
            .map(|view| Candidate { entry: view.entry.clone(), latest_us: view.latest.0 })
            .collect();
        let inputs = merge::choose(&candidates)?;
        Some(MergeJob { files: self.files.clone(), fields: Arc::clone(&self.fields), inputs })
    }

    /// Puts a merged segment in the place of those it was made of.
    pub fn install_merge(
        &mut self,
        inputs: &[SegmentEntry],
        merged: &SegmentEntry,
    ) -> Result<(), IndexError> {
        step("merge-to-be-installed");
        let mut manifest = self.next_manifest();
        manifest.segments.retain(|entry| !inputs.contains(entry));
        manifest.segments.push(merged.clone());
        let views = self.open_views(std::slice::from_ref(merged))?;
        self.put(manifest)?;
        let replaced = inputs.iter().map(|entry| entry.id.as_str()).collect();
        self.publish(&replaced, views);
        step("merge-published");
        for entry in inputs {
            self.remove_segment(entry);
        }
        step("merge-inputs-removed");
        Ok(())
    }

    /// Marks the inputs of a merge that failed, where they are damaged. False where none is, so that
    /// the fault lies elsewhere.
    pub fn mark_damaged(&self, inputs: &[SegmentEntry], error: &IndexError) -> bool {
        let IndexError::Damaged { path, .. } = error else { return false };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let snapshot = self.snapshot.load();
        let is_at_fault = |view: &&Arc<SegmentView>| {
            inputs.contains(&view.entry) && name.starts_with(&view.entry.id)
        };
        let found = snapshot.segments.iter().find(is_at_fault);
        found.inspect(|view| view.mark_damaged(error)).is_some()
    }

    /// Begins another index in this directory, empty, to take this one's place when it is filled; it
    /// is what the store writes to from now on. Searches are answered by the old one until then.
    pub fn begin_rebuild(&mut self) -> Result<(), IndexError> {
        let name = other_ledger(&self.manifest.ledger.name);
        let ledger = Ledger::create(&self.data_dir, &name, &*self.disk)?;
        let commit = self.manifest.commit;
        self.manifest = Manifest { commit, ..Manifest::empty(&name) };
        self.snapshot = empty_snapshot(&self.fields, &ledger);
        self.dedupe = Arc::default();
        self.ledger = ledger;
        self.is_rebuild = true;
        Ok(())
    }

    /// Whether this index waits to take another's place.
    pub fn is_rebuild(&self) -> bool {
        self.is_rebuild
    }

    /// Takes the place of the index that this one was begun to replace, in one step, and removes that.
    pub fn promote(&mut self) -> Result<(), IndexError> {
        step("promotion-begun");
        self.write(&self.next_manifest())?;
        self.is_rebuild = false;
        self.manifest = self.next_manifest();
        let replaced = self.visible.swap(self.snapshot.load_full());
        step("promotion-published");
        for view in &replaced.segments {
            view.retire();
        }
        self.remove_orphans()
    }

    fn next_manifest(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        manifest.commit += 1;
        manifest
    }

    /// Opens segments before they count: one that cannot be read must not be committed.
    fn open_views(&self, entries: &[SegmentEntry]) -> Result<Vec<Arc<SegmentView>>, IndexError> {
        let open = |entry| {
            let blocks = self.record_cache_blocks;
            Ok(Arc::new(SegmentView::open(&self.index, &self.files, entry, blocks)?))
        };
        entries.iter().map(open).collect()
    }

    fn put(&mut self, manifest: Manifest) -> Result<(), IndexError> {
        if !self.is_rebuild {
            self.write(&manifest)?;
        }
        self.manifest = manifest;
        Ok(())
    }

    fn write(&self, manifest: &Manifest) -> Result<(), IndexError> {
        for dir in [&self.files.dir, &self.data_dir] {
            self.disk.sync_dir(dir).map_err(IndexError::io(dir))?;
        }
        step("segments-durable");
        manifest.write(&self.data_dir, &*self.disk)
    }

    fn publish(&self, replaced: &HashSet<&str>, views: Vec<Arc<SegmentView>>) {
        let before = self.snapshot.load();
        let (gone, kept): (Vec<_>, Vec<_>) = before
            .segments
            .iter()
            .cloned()
            .partition(|view| replaced.contains(view.entry.id.as_str()));
        let segments: Vec<_> = kept.into_iter().chain(views).collect();
        self.dedupe.commit(segments.iter().map(|view| view.keys.clone()).collect());
        let snapshot = Arc::new(Snapshot::new(
            Arc::clone(&self.fields),
            segments,
            self.ledger.reader().clone(),
            self.ledger.extent().clone(),
        ));
        self.snapshot.store(Arc::clone(&snapshot));
        if !self.is_rebuild {
            self.visible.store(snapshot);
        }
        for view in gone {
            view.retire();
        }
    }

    /// Removes the segment files and ledgers that the manifest does not name.
    fn remove_orphans(&self) -> Result<(), IndexError> {
        let living: HashSet<&str> =
            self.manifest.segments.iter().flat_map(|s| &s.files).map(|f| f.name.as_str()).collect();
        let io = || IndexError::io(&self.files.dir);
        for entry in fs::read_dir(&self.files.dir).map_err(io())? {
            let entry = entry.map_err(io())?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| living.contains(name)) {
                tracing::info!(file = %name.display(), "removing a file that no commit names");
                self.disk.remove(&entry.path()).map_err(io())?;
            }
        }
        let ledger = self.data_dir.join(&self.manifest.ledger.name);
        for other in opening::ledgers(&self.data_dir)? {
            if other != ledger {
                self.disk.remove(&other).map_err(IndexError::io(&other))?;
            }
        }
        Ok(())
    }

    /// Removes a segment's files. Searches that still read them keep them until they end; what cannot
    /// be removed is an orphan at the next start.
    fn remove_segment(&self, entry: &SegmentEntry) {
        for file in &entry.files {
            let path = self.files.dir.join(&file.name);
            if let Err(error) = self.disk.remove(&path) {
                tracing::warn!(file = %path.display(), %error, "cannot remove a segment's file");
            }
        }
    }
}

/// Checks the index of a data directory that no process uses, and changes nothing.
pub fn inspect(data_dir: &Path, read: &(dyn Fn(u64) + Sync)) -> Result<VerifyReport, IndexError> {
    // A copy of an index may lack it, and may not be writable.
    let lock_path = data_dir.join(LOCK);
    let _lock = if lock_path.exists() {
        let file = File::open(&lock_path).map_err(IndexError::io(&lock_path))?;
        Some(locked(file, &lock_path, data_dir)?)
    } else {
        None
    };
    let segments_dir = data_dir.join(SEGMENTS);
    if !segments_dir.is_dir() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(IndexError::Io { path: segments_dir, source });
    }
    let (manifest, ledger) = match opening::read_commit(data_dir) {
        Ok(Some(commit)) => commit,
        Ok(None) => return Ok(VerifyReport { checked_at: Micros::now(), ..Default::default() }),
        Err(IndexError::Damaged { path, reason }) => {
            let problem = VerifyProblem { path: path.display().to_string(), problem: reason };
            let problems = vec![problem];
            return Ok(VerifyReport { checked_at: Micros::now(), problems, ..Default::default() });
        }
        Err(error) => return Err(error),
    };
    let files = SegmentFiles::open(&segments_dir, Arc::new(RealDisk))?;
    let fields = Arc::new(Fields::new());
    let index = open_index(files.directory(), &fields)?;
    let mut views = Vec::new();
    let mut problems = Vec::new();
    for entry in &manifest.segments {
        let opened = check_segment(&segments_dir, entry, &|_| {})
            .and_then(|()| SegmentView::open(&index, &files, entry, RECORD_BLOCKS_MIN));
        match opened {
            Ok(view) => views.push(Arc::new(view)),
            Err(error) => problems.push(VerifyProblem {
                path: segments_dir.display().to_string(),
                problem: error.to_string(),
            }),
        }
    }
    let snapshot = Snapshot::new(fields, views, ledger.reader().clone(), ledger.extent().clone());
    let mut report = verify(&snapshot, data_dir, &segments_dir, read);
    report.problems.splice(0..0, problems);
    Ok(report)
}

/// A snapshot without segments, to be replaced.
fn empty_snapshot(fields: &Arc<Fields>, ledger: &Ledger) -> SnapshotCell {
    let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
    let snapshot = Snapshot::new(Arc::clone(fields), Vec::new(), reader, extent);
    Arc::new(ArcSwap::from_pointee(snapshot))
}

/// A merge to be done on another thread.
pub struct MergeJob {
    files: SegmentFiles,
    fields: Arc<Fields>,
    pub inputs: Vec<SegmentEntry>,
}

impl MergeJob {
    pub fn run(&self) -> Result<SegmentEntry, IndexError> {
        merge::merge(&self.files, &self.fields, &self.inputs, merge::is_sorted(&self.inputs))
    }
}

/// Bytes that the index takes on disk.
pub fn disk_bytes(data_dir: &Path) -> u64 {
    let sizes = |dir: &Path| -> u64 {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .filter(fs::Metadata::is_file)
            .map(|m| m.len())
            .sum()
    };
    sizes(data_dir) + sizes(&data_dir.join(SEGMENTS))
}

/// The name of the ledger that takes the place of one of this name.
fn other_ledger(name: &str) -> String {
    let number = name.strip_prefix("files-").and_then(|rest| rest.strip_suffix(".jsonl"));
    let number: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(1);
    format!("files-{}.jsonl", number + 1)
}

fn lock(data_dir: &Path) -> Result<File, IndexError> {
    let path = data_dir.join(LOCK);
    let file = File::create(&path).map_err(IndexError::io(&path))?;
    locked(file, &path, data_dir)
}

fn locked(file: File, path: &Path, data_dir: &Path) -> Result<File, IndexError> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IndexError::Locked(data_dir.to_owned())),
        Err(error) => Err(IndexError::io(path)(error.into())),
    }
}

#[cfg(test)]
mod tests;
