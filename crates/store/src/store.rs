//! The one writer of a data directory. It commits built segments, replaces segments by merged ones,
//! and publishes snapshots.
//!
//! One thread owns it. Invariant: the snapshot, `manifest.json` and the published part of the
//! ledger always describe the same commit.
//!
//! A rebuild fills a second index in the same directory, with segments and a ledger of its own. No
//! manifest names it until it replaces the first, so a crash before that leaves the first as it
//! was.

mod remaking;
mod retention;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::fs::{FlockOperation, flock};
use tantivy::Index;

use self::retention::Futures;
use super::opening;
use crate::attempts::{Attempts, Work};
use crate::copies;
use crate::dedupe::Dedupe;
use crate::inspect::free_bytes;
use crate::job::{Expiring, MergeJob};
use crate::ledger::{Ledger, LedgerReader, Line};
use crate::manifest::{Expired, Manifest};
use crate::opening::{Opened, SEGMENTS};
use crate::snapshot::{Snapshot, SnapshotCell};
use crate::verdicts::Verdicts;
use segment::IndexError;
use segment::build::{BuiltSegment, SegmentFactory, open_index};
use segment::cache::Caches;
use segment::check::check_file;
use segment::directory::SegmentFiles;
use segment::disk::{Disk, RealDisk};
use segment::keys::{self, KeySet};
use segment::merge::{self, Candidate};
use segment::parts::{Part, SegmentEntry};
use segment::private;
use segment::records::Dictionaries;
use segment::regular;
use segment::schema::Fields;
use segment::sigbus;
use segment::steps::step;
use segment::view::SegmentView;
use trail::time::Micros;

pub(crate) const LOCK: &str = "LOCK";

/// How often, and after what pause, a lock is tried again: who only looks whether it is taken has it for
/// a moment.
const LOCK_TRIES: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// See the module's documentation.
pub struct Store {
    data_dir: PathBuf,
    files: SegmentFiles,
    disk: Arc<dyn Disk>,
    fields: Arc<Fields>,
    index: Index,
    /// What is written to.
    current: Generation,
    /// The index that `current` is being filled to take the place of; until then, the one that counts.
    old: Option<Generation>,
    caches: Arc<Caches>,
    dictionaries: Arc<Dictionaries>,
    set_aside: Vec<String>,
    attempts: Arc<Attempts>,
    is_anew: bool,
    /// What to tell of a directory that others could read.
    tightened: Option<String>,
    /// See [`retention::Futures`], by the segments' names.
    futures: Mutex<HashMap<String, Arc<Futures>>>,
    _lock: File,
}

/// An index in a data directory, whether or not the manifest on disk names it.
struct Generation {
    manifest: Manifest,
    ledger: Ledger,
    snapshot: SnapshotCell,
    dedupe: Arc<Dedupe>,
    /// The manifest's `expired.before`, for the workers.
    horizon: Arc<AtomicI64>,
}

impl Generation {
    fn new(nothing: Snapshot, manifest: Manifest, ledger: Ledger) -> Self {
        let snapshot = Arc::new(ArcSwap::from_pointee(nothing));
        let horizon = Arc::new(AtomicI64::new(manifest.expired.before.0));
        Self { manifest, ledger, snapshot, dedupe: Arc::default(), horizon }
    }

    fn next_manifest(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        manifest.commit += 1;
        manifest
    }
}

impl Store {
    /// Opens the index of a data directory, or creates an empty one. Removes what a crash left
    /// beyond the last commit, and sets damage aside. The caches of the index take
    /// `record_cache_bytes` of memory.
    pub fn open(data_dir: &Path, record_cache_bytes: usize) -> Result<Self, IndexError> {
        Self::open_on(Arc::new(RealDisk), data_dir, record_cache_bytes)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        record_cache_bytes: usize,
    ) -> Result<Self, IndexError> {
        sigbus::install();
        let segments_dir = data_dir.join(SEGMENTS);
        private::create_dir_all(&segments_dir).map_err(IndexError::io(&segments_dir))?;
        let lock = lock(data_dir)?;
        let tightened = tighten(data_dir);
        step("index-to-be-opened");
        let Opened { manifest, ledger, set_aside } = opening::open_commit(data_dir, &*disk)?;
        let files = SegmentFiles::open(&segments_dir, Arc::clone(&disk))?;
        let fields = Arc::new(Fields::new());
        let index = open_index(files.directory(), &fields)?;
        let mut store = Self {
            data_dir: data_dir.to_owned(),
            files,
            attempts: Attempts::read(data_dir, Arc::clone(&disk)),
            disk,
            current: Generation::new(Snapshot::nothing(&fields, &ledger), manifest, ledger),
            old: None,
            fields,
            index,
            caches: Arc::new(Caches::new(record_cache_bytes)),
            dictionaries: Arc::default(),
            is_anew: set_aside.is_some(),
            futures: Mutex::default(),
            set_aside: set_aside.into_iter().collect(),
            tightened,
            _lock: lock,
        };
        store.open_segments()?;
        let verdicts = Verdicts::read(data_dir, store.current.manifest.begun);
        store.current.snapshot.load().verdicts.store(Arc::new(verdicts));
        // What was begun before a crash may not be on disk: a rename that only the kernel knows of must
        // be, before what it made superfluous goes.
        store.disk.sync_dir(data_dir).map_err(IndexError::io(data_dir))?;
        store.remove_orphans()?;
        Ok(store)
    }

    /// Opens the segments of the last commit, without those that are damaged.
    fn open_segments(&mut self) -> Result<(), IndexError> {
        let mut manifest = self.current.manifest.clone();
        let damaged = opening::check_segments(&self.files.dir, &manifest.segments)?;
        manifest.segments.retain(|entry| damaged.iter().all(|(other, _)| other != entry));
        let views = self.open_views(&manifest.segments)?;
        if damaged.is_empty() {
            self.publish(&HashSet::new(), views);
            return Ok(());
        }
        let notes = opening::set_segments_aside(&self.data_dir, &damaged, &*self.disk)?;
        self.set_aside.extend(notes);
        let healthy: Vec<&SegmentView> = views.iter().map(|view| &**view).collect();
        let losses = opening::losses(self.ledger(), &healthy, manifest.expired)?;
        let appended = self.current.ledger.append(losses, &*self.disk)?;
        manifest.commit += 1;
        manifest.ledger = appended.extent.clone();
        self.put(manifest)?;
        self.current.ledger.publish(appended);
        self.publish(&HashSet::new(), views);
        Ok(())
    }

    /// What to tell of files that other users could read before the start; None where they could not.
    pub fn tightened(&self) -> Option<&str> {
        self.tightened.as_deref()
    }

    /// Tells those who find the lock taken on which socket to ask.
    pub fn tell_socket(&self, socket: &Path) -> Result<(), IndexError> {
        tell(&self.data_dir.join(LOCK), &format!("{}\n", socket.display()))
    }

    /// Returns a factory of builders, whose segments this store can commit.
    pub fn factory(&self) -> SegmentFactory {
        SegmentFactory::new(
            self.files.clone(),
            Arc::clone(&self.fields),
            Arc::clone(&self.dictionaries),
        )
    }

    /// Returns the claims, which decide whether an event is new.
    pub fn dedupe(&self) -> &Arc<Dedupe> {
        &self.current.dedupe
    }

    /// Events from before this time, in microseconds since the Unix epoch, are not indexed.
    /// Retention moves it while workers run.
    pub fn horizon(&self) -> &Arc<AtomicI64> {
        &self.current.horizon
    }

    /// Returns the cell in which searches find the current snapshot.
    pub fn snapshots(&self) -> SnapshotCell {
        Arc::clone(&self.old.as_ref().unwrap_or(&self.current).snapshot)
    }

    /// The ledger of the index that is written to: during a rebuild, the new one's.
    pub fn ledger(&self) -> &LedgerReader {
        self.current.ledger.reader()
    }

    /// What was set aside when the store was opened, one sentence each.
    pub fn set_aside(&self) -> &[String] {
        &self.set_aside
    }

    /// How often the process was killed at the same work.
    pub fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// The directory that holds manifest, ledger and segments.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Bytes that the file system of the data directory has left.
    pub fn free_bytes(&self) -> Result<u64, IndexError> {
        free_bytes(&self.data_dir)
    }

    /// Whether opening set the whole index aside and began an empty one.
    pub fn is_anew(&self) -> bool {
        self.is_anew
    }

    /// Commits built segments and the ledger entries of their files. When this returns, both are
    /// durable and visible. When it fails, neither counts; but if the last sync is what failed, a
    /// restart may find that they do.
    pub fn commit(&mut self, built: Vec<BuiltSegment>) -> Result<(), IndexError> {
        step("commit-begun");
        let mut lines = Vec::new();
        let mut entries = Vec::new();
        let mut rows = Vec::new();
        for BuiltSegment { segment, files, copies } in built {
            entries.extend(segment);
            rows.extend(copies);
            lines.extend(files.into_iter().map(|file| Line::File(Box::new(file))));
        }
        let appended = self.current.ledger.append(lines, &*self.disk)?;
        let mut manifest = self.current.next_manifest();
        manifest.segments.extend(entries.iter().cloned());
        manifest.ledger = appended.extent.clone();
        let views = self.open_views(&entries)?;
        copies::append(&self.data_dir, manifest.begun, &rows)?;
        self.put(manifest)?;
        self.current.ledger.publish(appended);
        step("ledger-published");
        self.publish(&HashSet::new(), views);
        step("commit-published");
        Ok(())
    }

    /// Removes what a failed ingest left beyond the last commit, and its claims. Call it when
    /// nothing writes any more.
    pub fn recover(&mut self) -> Result<(), IndexError> {
        self.current.dedupe.withdraw_all();
        // A commit that failed at its last sync has replaced the manifest, perhaps.
        if Manifest::read(&self.data_dir)?.as_ref() != Some(&self.current.manifest) {
            self.write(&self.current.manifest)?;
        }
        self.remove_orphans()
    }

    /// Removes the files of a segment that will not be committed.
    pub fn discard(&self, built: &BuiltSegment) {
        if let Some(entry) = &built.segment {
            self.remove_segment(entry);
        }
    }

    /// Returns the merge to do next; None where none is due. Only one may run at a time, because
    /// this does not know of others.
    pub fn merge_candidates(&self) -> Option<MergeJob> {
        let snapshot = self.current.snapshot.load();
        let may_be_merged = |view: &&Arc<SegmentView>| {
            !view.is_damaged() && !view.keys.is_outdated() && !view.stays_unmerged()
        };
        let views: BTreeMap<&str, &Arc<SegmentView>> = (snapshot.segments.iter())
            .filter(may_be_merged)
            .map(|view| (view.entry.id.as_str(), view))
            .collect();
        let candidates: Vec<Candidate> = (views.values())
            .map(|view| Candidate { entry: view.entry.clone(), latest_us: view.latest.0 })
            .collect();
        let values_of = |entry: &SegmentEntry| views.get(&*entry.id)?.values_of_a_column();
        let kills = self.attempts.kills(Work::Merge);
        Some(self.job(merge::choose(&candidates, kills, &values_of)?, None))
    }

    fn job(&self, inputs: Vec<SegmentEntry>, expiring: Option<Expiring>) -> MergeJob {
        MergeJob {
            files: self.files.clone(),
            fields: Arc::clone(&self.fields),
            dictionaries: Arc::clone(&self.dictionaries),
            inputs,
            expiring,
        }
    }

    /// Commits a merge, a cut or a rebuild: replaces `inputs` by `made`, which hold all of their
    /// events, or those that retention keeps. An empty `made` drops the inputs.
    pub fn replace(
        &mut self,
        inputs: &[SegmentEntry],
        made: &[SegmentEntry],
    ) -> Result<(), IndexError> {
        step("merge-to-be-installed");
        let mut manifest = self.current.next_manifest();
        manifest.segments.retain(|entry| !inputs.contains(entry));
        manifest.segments.extend_from_slice(made);
        let events = |entries: &[SegmentEntry]| -> u64 {
            entries.iter().map(|entry| u64::from(entry.events())).sum()
        };
        manifest.expired.events += events(inputs) - events(made);
        let views = self.open_views(made)?;
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

    /// Marks the inputs of a failed merge that are damaged or cannot be read, or that it would have held
    /// too much of: no other merge takes these. Returns false where the fault lies elsewhere.
    pub fn mark_damaged(&self, inputs: &[SegmentEntry], error: &IndexError) -> bool {
        if let IndexError::TooManyLeftOut { segment, .. } = error {
            let id = inputs.get(*segment).map(|entry| entry.id.as_str());
            let snapshot = self.current.snapshot.load();
            let found = snapshot.segments.iter().find(|view| Some(view.entry.id.as_str()) == id);
            return found
                .inspect(|view| {
                    tracing::warn!(%error, segment = %view.entry.id, "a segment stays as it is");
                    view.leave_unmerged();
                })
                .is_some();
        }
        let (IndexError::Damaged { path, .. } | IndexError::Io { path, .. }) = error else {
            return false;
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let snapshot = self.current.snapshot.load();
        let is_at_fault = |view: &&Arc<SegmentView>| {
            inputs.contains(&view.entry) && name.starts_with(&view.entry.id)
        };
        let found = snapshot.segments.iter().find(is_at_fault);
        found.inspect(|view| view.mark_damaged(error)).is_some()
    }

    /// Begins a rebuild: an empty second index, which the store writes to from now on and which
    /// takes events from `kept_from` on. Searches use the old index until the new one replaces it.
    pub fn begin_rebuild(&mut self, kept_from: Micros) -> Result<(), IndexError> {
        let name = opening::next_ledger(&self.current.manifest.ledger.name);
        let ledger = Ledger::create(&self.data_dir, &name, &*self.disk)?;
        let commit = self.current.manifest.commit;
        // No less than the old one has.
        let before = self.expired().before.min(kept_from);
        let expired = Expired { before, ..Expired::default() };
        let manifest = Manifest { commit, expired, ..Manifest::empty(&name) };
        let mut nothing = Snapshot::nothing(&self.fields, &ledger);
        // What is looked up is no part of an index.
        nothing.enrichment = Arc::clone(&self.current.snapshot.load().enrichment);
        let new = Generation::new(nothing, manifest, ledger);
        self.old = Some(std::mem::replace(&mut self.current, new));
        Ok(())
    }

    /// How many events of the old index the new one lacks. Segments with damaged keys do not count, nor
    /// those of an earlier version: none is left but what was damaged before it was made anew.
    pub fn lost_by_promotion(&self) -> Result<u64, IndexError> {
        let Some(old) = &self.old else { return Ok(0) };
        let old = old.snapshot.load();
        let keys = |snapshot: &Snapshot| -> Vec<KeySet> {
            let views = snapshot.segments.iter();
            let whole = views.filter(|view| !view.keys.is_outdated()).filter(|view| {
                let keys = Part::Keys.name(&view.entry.id);
                let file = view.entry.files.iter().find(|file| file.name == keys);
                let path = self.files.dir.join(keys);
                file.is_some_and(|file| check_file(&path, file, &|_| {}).is_ok())
            });
            whole.map(|view| view.keys.clone()).collect()
        };
        let lacking = keys::count_lacking(&keys(&old), &keys(&self.current.snapshot.load()));
        lacking.map_err(IndexError::io(&self.files.dir))
    }

    /// Ends a rebuild: the new index replaces the old one in one step, and the old one is removed.
    /// Nothing else may write to the directory meanwhile.
    pub fn promote(&mut self) -> Result<(), IndexError> {
        step("promotion-begun");
        let manifest = self.current.next_manifest();
        self.write(&manifest)?;
        self.current.manifest = manifest;
        if let Some(old) = self.old.take() {
            let replaced = old.snapshot.swap(self.current.snapshot.load_full());
            self.current.snapshot = Arc::clone(&old.snapshot);
            step("promotion-published");
            for view in &replaced.segments {
                view.retire();
            }
            self.remove_generation(&old);
        }
        Ok(())
    }

    /// Gives a rebuild up: removes the new index, and writes to the old one again.
    pub fn abandon_rebuild(&mut self) {
        if let Some(old) = self.old.take() {
            let new = std::mem::replace(&mut self.current, old);
            self.remove_generation(&new);
        }
    }

    fn remove_generation(&self, generation: &Generation) {
        for entry in &generation.manifest.segments {
            self.remove_segment(entry);
        }
        self.remove_file(&self.data_dir.join(&generation.manifest.ledger.name));
    }

    /// Opens segments before they count: one that cannot be read must not be committed.
    fn open_views(&self, entries: &[SegmentEntry]) -> Result<Vec<Arc<SegmentView>>, IndexError> {
        let open = |entry| {
            let caches = &self.caches;
            Ok(Arc::new(SegmentView::open(&self.index, &self.files, entry, caches)?))
        };
        entries.iter().map(open).collect()
    }

    fn put(&mut self, manifest: Manifest) -> Result<(), IndexError> {
        if self.old.is_none() {
            self.write(&manifest)?;
        }
        self.current.manifest = manifest;
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
        let Generation { ledger, snapshot, dedupe, .. } = &self.current;
        let (gone, kept): (Vec<_>, Vec<_>) = snapshot
            .load()
            .segments
            .iter()
            .cloned()
            .partition(|view| replaced.contains(view.entry.id.as_str()));
        let segments: Vec<_> = kept.into_iter().chain(views).collect();
        dedupe.set_committed(segments.iter().map(|view| view.keys.clone()).collect());
        let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
        let new = Snapshot::new(Arc::clone(&self.fields), segments, reader, extent);
        let mut new = new.at(&self.current.manifest);
        new.verdicts = Arc::clone(&snapshot.load().verdicts);
        new.enrichment = Arc::clone(&snapshot.load().enrichment);
        snapshot.store(Arc::new(new));
        for view in gone {
            view.retire();
        }
    }

    /// Removes the segment files and ledgers that the manifest does not name. Only where nothing else
    /// writes: else there are files that no manifest names yet.
    fn remove_orphans(&self) -> Result<(), IndexError> {
        let manifest = &self.current.manifest;
        copies::remove_others(&self.data_dir, manifest.begun)
            .map_err(IndexError::io(&self.data_dir))?;
        copies::cut(&self.data_dir, manifest.begun, self.ledger().next_number())?;
        let living: HashSet<&str> = manifest
            .segments
            .iter()
            .flat_map(|s| &s.files)
            .map(|file| file.name.as_str())
            .collect();
        let io = || IndexError::io(&self.files.dir);
        for entry in fs::read_dir(&self.files.dir).map_err(io())? {
            let entry = entry.map_err(io())?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            if is_segment_file(name) && !living.contains(name) {
                tracing::info!(file = name, "removing a file that no commit names");
                self.remove_file(&entry.path());
            }
        }
        let ledger = self.data_dir.join(&manifest.ledger.name);
        for other in opening::ledgers(&self.data_dir)? {
            if other != ledger {
                self.remove_file(&other);
            }
        }
        Ok(())
    }

    /// Removes a segment's files. Searches that still read them keep them until they end.
    fn remove_segment(&self, entry: &SegmentEntry) {
        self.files.remove(entry.files.iter().map(|file| &file.name));
    }

    /// Removes a file that no commit names. What cannot be removed is an orphan at the next start.
    fn remove_file(&self, path: &Path) {
        if let Err(error) = self.disk.remove(path) {
            tracing::warn!(file = %path.display(), %error, "cannot remove a file");
        }
    }
}

/// Whether a file can be of a segment: an id of 32 hexadecimal digits, and an extension.
fn is_segment_file(name: &str) -> bool {
    let id = name.split('.').next().unwrap_or("");
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && name.len() > id.len()
}

fn lock(data_dir: &Path) -> Result<File, IndexError> {
    let path = data_dir.join(LOCK);
    if !path.exists() {
        tell(&path, "")?;
    }
    // Nothing is open for writing for good: a file system can be made read-only.
    let open = || regular::open(&path).map_err(IndexError::io(&path));
    let mut tries = LOCK_TRIES;
    let file = loop {
        match locked(open()?, &path, data_dir) {
            Err(IndexError::Locked(_)) if tries > 0 => tries -= 1,
            locked => break locked?,
        }
        thread::sleep(LOCK_PAUSE);
    };
    // The socket of one that was killed.
    if file.metadata().map_err(IndexError::io(&path))?.len() > 0 {
        tell(&path, "")?;
    }
    Ok(file)
}

/// Writes what the holder of the lock has to say.
fn tell(path: &Path, text: &str) -> Result<(), IndexError> {
    let open = || private::options().write(true).create(true).truncate(true).open(path);
    let write = || io::Write::write_all(&mut open()?, text.as_bytes());
    write().map_err(IndexError::io(path))
}

/// Takes the directory away from other users. One that cannot be is told, and used all the same.
fn tighten(data_dir: &Path) -> Option<String> {
    let shown = data_dir.display();
    let told = match private::tighten(data_dir) {
        Ok(0) => return None,
        Ok(1) => format!("{shown} or a file in it could be read by other users; now it cannot"),
        Ok(files) => format!(
            "{shown}, or {files} files and directories of it, could be read by other users; now \
             they cannot"
        ),
        Err(error) => format!("{shown} cannot be kept from other users: {error}"),
    };
    tracing::warn!("{told}");
    Some(told)
}

/// Takes the lock, which one process has for as long as the file is open.
pub(crate) fn locked(file: File, path: &Path, data_dir: &Path) -> Result<File, IndexError> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IndexError::Locked(data_dir.to_owned())),
        Err(error) => Err(IndexError::io(path)(error.into())),
    }
}

#[cfg(test)]
mod tests;
