//! The one writer of a data directory: commits built segments, swaps merged ones in, and publishes
//! snapshots.
//!
//! Owned by one thread. Invariant: `snapshot`, `manifest.json` and the ledger's published part always
//! describe the same commit.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustix::fs::{FlockOperation, flock};
use tantivy::Index;
use tantivy::directory::MmapDirectory;

use super::build::{BuiltSegment, SEGMENT_EXTENSIONS, SegmentEntry, SegmentFactory, open_index};
use super::ledger::{FileRecord, Ledger, LedgerReader};
use super::manifest::Manifest;
use super::merge::{self, Candidate};
use super::schema::{Fields, STORE_BLOCK_BYTES};
use super::snapshot::{SegmentView, Snapshot, SnapshotCell};
use super::{IndexError, sync_directory};

const LOCK: &str = "LOCK";
const LEDGER: &str = "files.jsonl";
const SEGMENTS: &str = "segments";

/// Segments among which the record cache is shared out: about as many as the merge policy leaves.
const SEGMENTS_USUAL: usize = 32;

/// Blocks of records that every segment may keep decompressed.
const RECORD_BLOCKS_MIN: usize = 4;

/// See the module's documentation.
pub struct Store {
    data_dir: PathBuf,
    segments_dir: PathBuf,
    files: MmapDirectory,
    fields: Arc<Fields>,
    index: Index,
    manifest: Manifest,
    ledger: Ledger,
    snapshot: SnapshotCell,
    record_cache_blocks: usize,
    _lock: File,
}

impl Store {
    /// Opens the index of a data directory, making an empty one where there is none. Whatever a crash
    /// left beyond the last commit is removed. `record_cache_bytes` of stored records are kept
    /// decompressed, shared out among the segments.
    pub fn open(data_dir: &Path, record_cache_bytes: usize) -> Result<Self, IndexError> {
        let record_cache_blocks =
            (record_cache_bytes / STORE_BLOCK_BYTES / SEGMENTS_USUAL).max(RECORD_BLOCKS_MIN);
        let segments_dir = data_dir.join(SEGMENTS);
        fs::create_dir_all(&segments_dir).map_err(IndexError::io(&segments_dir))?;
        let lock = lock(data_dir)?;
        let manifest = Manifest::read(data_dir)?;
        let ledger = Ledger::open(&data_dir.join(LEDGER), manifest.ledger_bytes)?;
        remove_orphans(&segments_dir, &manifest.segments)?;
        sync_directory(data_dir)?;

        let files = MmapDirectory::open(&segments_dir).map_err(tantivy::TantivyError::from)?;
        let fields = Arc::new(Fields::new());
        let index = open_index(&files, &fields)?;
        let views = manifest
            .segments
            .iter()
            .map(|entry| Ok(Arc::new(SegmentView::open(&index, entry, record_cache_blocks)?)))
            .collect::<Result<Vec<_>, IndexError>>()?;
        let snapshot = Snapshot::new(Arc::clone(&fields), views, ledger.reader().clone());
        Ok(Self {
            data_dir: data_dir.to_owned(),
            segments_dir,
            files,
            fields,
            index,
            manifest,
            ledger,
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            record_cache_blocks,
            _lock: lock,
        })
    }

    /// Makes the builders of the segments to be committed here.
    pub fn factory(&self) -> SegmentFactory {
        SegmentFactory::new(self.files.clone(), Arc::clone(&self.fields))
    }

    pub fn snapshots(&self) -> SnapshotCell {
        Arc::clone(&self.snapshot)
    }

    pub fn ledger(&self) -> &LedgerReader {
        self.ledger.reader()
    }

    /// Makes built segments, and the files they hold, count: durable and visible when this returns;
    /// not at all when it fails.
    pub fn commit(&mut self, built: Vec<BuiltSegment>) -> Result<(), IndexError> {
        let files: Vec<FileRecord> = built.iter().flat_map(|built| built.files.clone()).collect();
        let entries: Vec<SegmentEntry> =
            built.into_iter().filter_map(|built| built.segment).collect();
        let appended = self.ledger.append(&files)?;
        let mut manifest = self.next_manifest();
        manifest.segments.extend(entries.iter().cloned());
        manifest.ledger_bytes = appended.bytes;
        let views = self.open_views(&entries)?;
        self.put(manifest)?;
        self.ledger.publish(&files, &appended);
        self.publish(&HashSet::new(), views);
        Ok(())
    }

    /// The merge to do next, if any. One at a time: it does not know of those under way.
    pub fn merge_candidates(&self) -> Option<MergeJob> {
        let snapshot = self.snapshot.load();
        let candidates: Vec<Candidate> = self
            .manifest
            .segments
            .iter()
            .filter_map(|entry| {
                let view = snapshot.view(merge::segment_id(entry).ok()?)?;
                Some(Candidate { entry: entry.clone(), latest_us: view.latest.0 })
            })
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
        let mut manifest = self.next_manifest();
        manifest.segments.retain(|entry| !inputs.contains(entry));
        manifest.segments.push(merged.clone());
        let views = self.open_views(std::slice::from_ref(merged))?;
        self.put(manifest)?;
        let replaced = inputs.iter().map(|entry| entry.id.as_str()).collect();
        self.publish(&replaced, views);
        for entry in inputs {
            remove_segment(&self.segments_dir, &entry.id);
        }
        Ok(())
    }

    fn next_manifest(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        manifest.commit += 1;
        manifest
    }

    /// Opens segments before they count: one that cannot be read must not be committed.
    fn open_views(&self, entries: &[SegmentEntry]) -> Result<Vec<Arc<SegmentView>>, IndexError> {
        entries
            .iter()
            .map(|entry| {
                Ok(Arc::new(SegmentView::open(&self.index, entry, self.record_cache_blocks)?))
            })
            .collect()
    }

    fn put(&mut self, manifest: Manifest) -> Result<(), IndexError> {
        sync_directory(&self.segments_dir)?;
        manifest.write(&self.data_dir)?;
        self.manifest = manifest;
        Ok(())
    }

    fn publish(&self, replaced: &HashSet<&str>, views: Vec<Arc<SegmentView>>) {
        let before = self.snapshot.load();
        let kept = before
            .segments
            .iter()
            .filter(|view| !replaced.contains(view.reader.segment_id().uuid_string().as_str()))
            .cloned();
        let segments = kept.chain(views).collect();
        let files = self.ledger.reader().clone();
        self.snapshot.store(Arc::new(Snapshot::new(Arc::clone(&self.fields), segments, files)));
    }
}

/// A merge to be done on another thread.
pub struct MergeJob {
    files: MmapDirectory,
    fields: Arc<Fields>,
    pub inputs: Vec<SegmentEntry>,
}

impl MergeJob {
    pub fn run(&self) -> Result<SegmentEntry, IndexError> {
        merge::merge(&self.files, &self.fields, &self.inputs, merge::is_sorted(&self.inputs))
    }
}

/// Bytes that the data directory takes on disk.
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

fn lock(data_dir: &Path) -> Result<File, IndexError> {
    let path = data_dir.join(LOCK);
    let file = File::create(&path).map_err(IndexError::io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IndexError::Locked(data_dir.to_owned())),
        Err(error) => Err(IndexError::io(&path)(error.into())),
    }
}

/// Removes the segment files that the manifest does not name.
fn remove_orphans(segments_dir: &Path, entries: &[SegmentEntry]) -> Result<(), IndexError> {
    let living: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let io = || IndexError::io(segments_dir);
    for entry in fs::read_dir(segments_dir).map_err(io())? {
        let entry = entry.map_err(io())?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.split('.').next()).unwrap_or("");
        if !living.contains(id) {
            tracing::info!(file = %name.display(), "removing a segment file that no commit names");
            fs::remove_file(entry.path()).map_err(io())?;
        }
    }
    Ok(())
}

/// Removes a segment's files. Searches that still read them keep them until they end; what cannot be
/// removed is an orphan at the next start.
fn remove_segment(segments_dir: &Path, id: &str) {
    for extension in SEGMENT_EXTENSIONS {
        let path = segments_dir.join(format!("{id}.{extension}"));
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %path.display(), %error, "cannot remove a merged segment's file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::proto::{ApiError, FileState, Order, TotalMode};
    use crate::event::flat::{Event, Scalar};
    use crate::event::paths::PathId;
    use crate::event::time::Micros;
    use crate::index::clauses::{ClauseQuery, TimeClause};
    use crate::index::collect::{Wanted, collect};
    use crate::index::ledger::FileKey;
    use tantivy::query::{AllQuery, Query};

    const CACHE: usize = 1 << 20;

    /// A segment of one file, with an event at each of these times.
    fn built(store: &Store, number: u64, times: &[i64]) -> BuiltSegment {
        let mut builder = store.factory().builder().unwrap();
        for time in times {
            let mut event = Event::default();
            let path = event.path(PathId::ROOT, "x");
            event.add(path, Scalar::I64(*time));
            event.raw.extend_from_slice(format!("{{\"x\":{time}}}").as_bytes());
            event.file = number;
            event.finish(Micros(*time));
            builder.add(&Arc::new(event)).unwrap();
        }
        let key = FileKey { path: format!("file-{number}"), size: 1, mtime_ns: 1 };
        builder.end_file(FileRecord::new(number, key, FileState::Indexed));
        builder.finish().unwrap()
    }

    fn times(store: &Store, query: &dyn Query, limit: usize, order: Order) -> Vec<i64> {
        let snapshot = store.snapshots().load_full();
        let ask = |is_count_known| {
            let wanted = Wanted { limit, order, total: TotalMode::Exact, is_count_known };
            let (found, total) = collect::<ApiError>(&snapshot, query, wanted, &|| Ok(())).unwrap();
            let times: Vec<i64> = found.iter().map(|found| found.time.0).collect();
            (times, total)
        };
        let answer = ask(true);
        assert_eq!(answer, ask(false), "either way of counting finds the same");
        assert!(answer.1.value >= answer.0.len() as u64);
        answer.0
    }

    /// Every order and time range against sorting by hand.
    fn check_searches(store: &Store, expected: &[i64]) {
        let mut ascending = expected.to_vec();
        ascending.sort_unstable();
        for limit in [1, 3, 1_000] {
            let oldest: Vec<i64> = ascending.iter().copied().take(limit).collect();
            let newest: Vec<i64> = ascending.iter().rev().copied().take(limit).collect();
            assert_eq!(times(store, &AllQuery, limit, Order::Oldest), oldest);
            assert_eq!(times(store, &AllQuery, limit, Order::Newest), newest);
        }
        let snapshot = store.snapshots().load_full();
        for (start, end) in [(0, 7), (5, 6), (3, 300), (-5, 0), (1_000, 2_000)] {
            let clause = TimeClause { start: Micros(start), end: Micros(end) };
            let query = ClauseQuery::boxed(&snapshot, clause);
            let within: Vec<i64> =
                ascending.iter().copied().filter(|time| (start..end).contains(time)).collect();
            assert_eq!(times(store, &*query, 1_000, Order::Oldest), within, "{start}..{end}");
        }
        for segment in &snapshot.segments {
            for run in &segment.runs {
                let times = run.docs.clone().map(|doc| segment.time(doc));
                assert!(times.is_sorted_by(|a, b| a >= b), "a run is sorted, latest first");
            }
        }
    }

    #[test]
    fn a_commit_makes_events_and_ledger_visible_and_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        let segment = built(&store, 0, &[5, 1, 9]);
        assert_eq!(store.snapshots().load().events(), 0);
        store.commit(vec![segment]).unwrap();
        check_searches(&store, &[1, 5, 9]);
        assert_eq!(store.ledger().get(0).unwrap().unwrap().key.path, "file-0");
        drop(store);
        let store = Store::open(dir.path(), CACHE).unwrap();
        check_searches(&store, &[1, 5, 9]);
        assert_eq!(store.ledger().next_number(), 1);
    }

    #[test]
    fn what_was_not_committed_is_removed_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CACHE).unwrap();
        let committed = built(&store, 0, &[1]);
        store.commit(vec![committed]).unwrap();
        let files = || fs::read_dir(dir.path().join(SEGMENTS)).unwrap().count();
        let before = files();
        built(&store, 1, &[2]);
        assert!(files() > before);
        drop(store);
        let store = Store::open(dir.path(), CACHE).unwrap();
        assert_eq!(files(), before);
        check_searches(&store, &[1]);
    }

    #[test]
    fn merges_of_either_kind_change_no_answer() {
        for is_sorted in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::open(dir.path(), CACHE).unwrap();
            let mut expected = Vec::new();
            for number in 0..7_i64 {
                let times: Vec<i64> = (0..50).map(|n| (n * 37 + number * 11) % 400).collect();
                let segment = built(&store, number as u64, &times);
                store.commit(vec![segment]).unwrap();
                expected.extend(times);
            }
            check_searches(&store, &expected);
            let inputs: Vec<_> = store.manifest.segments[1..6].to_vec();
            let merged = merge::merge(&store.files, &store.fields, &inputs, is_sorted).unwrap();
            assert_eq!(merged.runs.len(), if is_sorted { 1 } else { 5 });
            store.install_merge(&inputs, &merged).unwrap();
            assert_eq!(store.snapshots().load().segments.len(), 3);
            check_searches(&store, &expected);
            drop(store);
            check_searches(&Store::open(dir.path(), CACHE).unwrap(), &expected);
        }
    }

    #[test]
    fn a_data_directory_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), CACHE).unwrap();
        let error = Store::open(dir.path(), CACHE).err().unwrap().to_string();
        assert!(error.contains("used by another traildex process"), "{error}");
        drop(store);
        assert!(Store::open(dir.path(), CACHE).is_ok());
    }
}
