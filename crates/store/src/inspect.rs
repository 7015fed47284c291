//! Looks at a data directory from outside: checks one that no process uses, and measures its size.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::statvfs;

use super::opening;
use crate::opening::SEGMENTS;
use crate::snapshot::Snapshot;
use crate::store::{LOCK, locked};
use crate::verify::verify;
use crate::verify::{Problem, Report};
use segment::IndexError;
use segment::build::open_index;
use segment::cache::Caches;
use segment::check::check_segment;
use segment::directory::SegmentFiles;
use segment::disk::RealDisk;
use segment::parts;
use segment::regular;
use segment::schema::Fields;
use segment::view::SegmentView;
use trail::time::Micros;

/// Checks the index of a data directory that no process uses, and changes nothing. Calls `read`
/// with the number of bytes after each read. [`IndexError::Locked`] where a daemon runs.
pub fn inspect(data_dir: &Path, read: &(dyn Fn(u64) + Sync)) -> Result<Report, IndexError> {
    // A copy of an index may lack it, and may not be writable.
    let lock_path = data_dir.join(LOCK);
    let _lock = if lock_path.exists() {
        let file = regular::open(&lock_path).map_err(IndexError::io(&lock_path))?;
        Some(locked(file, &lock_path, data_dir)?)
    } else {
        None
    };
    let segments_dir = data_dir.join(SEGMENTS);
    fs::metadata(&segments_dir).map_err(IndexError::io(&segments_dir))?;
    let problem = |path: &Path, problem: String| Report {
        checked_at: Micros::now(),
        problems: vec![Problem { path: path.display().to_string(), problem }],
        ..Report::default()
    };
    let (manifest, ledger) = match opening::read_commit(data_dir) {
        Ok(Some(commit)) => commit,
        Ok(None) => return Ok(problem(data_dir, "there is no index in it".to_owned())),
        Err(IndexError::Damaged { path, reason }) => return Ok(problem(&path, reason)),
        Err(error) => return Err(error),
    };
    let files = SegmentFiles::open(&segments_dir, Arc::new(RealDisk))?;
    let fields = Arc::new(Fields::new());
    let index = open_index(files.directory(), &fields)?;
    let caches = Arc::new(Caches::new(0));
    let mut views = Vec::new();
    let mut unopened = Vec::new();
    for entry in &manifest.segments {
        // Damage is found by the hash of the file, but what is damaged may not open.
        let open = || SegmentView::open(&index, &files, entry, &caches);
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok(view)) => views.push(Arc::new(view)),
            _ => unopened.push(entry),
        }
    }
    let (reader, extent) = (ledger.reader().clone(), ledger.extent().clone());
    let mut snapshot = Snapshot::new(fields, views, reader, extent);
    snapshot.expired = manifest.expired;
    let mut report = verify(&snapshot, data_dir, &segments_dir, read, !unopened.is_empty());
    for entry in unopened {
        let found = check_segment(&segments_dir, entry, read).err();
        let told =
            found.map_or_else(|| "it cannot be opened".to_owned(), |error| error.to_string());
        let path = segments_dir.join(&entry.id).display().to_string();
        report.problems.insert(0, Problem { path, problem: told });
        report.segments += 1;
    }
    Ok(report)
}

/// Bytes that the index takes on disk; files that cannot be looked at count as zero.
pub fn disk_bytes(data_dir: &Path) -> u64 {
    disk_bytes_by_part(data_dir).values().sum()
}

/// As [`disk_bytes`], by part: records, postings and so on.
pub fn disk_bytes_by_part(data_dir: &Path) -> BTreeMap<&'static str, u64> {
    let known: Vec<(String, &str)> = parts::extensions().collect();
    let mut parts = BTreeMap::new();
    for dir in [data_dir, &data_dir.join(SEGMENTS)] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Some(metadata) = entry.metadata().ok().filter(fs::Metadata::is_file) else {
                continue;
            };
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let of_segment = known.iter().find(|(known, _)| extension == Some(known));
            let part = of_segment.map_or("ledger", |(_, holds)| *holds);
            *parts.entry(part).or_insert(0) += metadata.len();
        }
    }
    parts
}

/// Bytes that the file system of the data directory has left for our user.
pub fn free_bytes(data_dir: &Path) -> Result<u64, IndexError> {
    let found = statvfs(data_dir).map_err(|error| IndexError::io(data_dir)(error.into()))?;
    Ok(found.f_bavail * found.f_frsize)
}
