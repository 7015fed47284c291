//! What the benches share: the program's allocator, the archive they measure on, what they measure.
//!
//! A bench panics where something fails: there is nothing to measure then.

#![allow(dead_code)] // Each bench uses some of it.

pub mod search;
pub mod stages;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bench::generate::{GenerateOptions, Generated, generate};
use ingest::Ingest;
use ingest::archive::Archive as ArchiveOnDisk;
use ingest::progress::Progress;
use ingest::walk::{FileWalk, Found};
use ingest::watch::Watcher;
use store::snapshot::Snapshot;
use tempfile::TempDir;
use traildex::config::Config;
use traildex::daemon::{import_options, open_store};

/// The program's own. Without it the index stage would measure another allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the pipeline is asked whether it is done.
const TICK: Duration = Duration::from_millis(100);

/// A generated archive of `.json.gz` files in S3's layout, in a temporary folder.
pub struct Archive {
    pub dir: TempDir,
    pub generated: Generated,
}

impl Archive {
    /// The same events give the same bytes.
    pub fn generate(events: u64) -> Self {
        let options = GenerateOptions { events, ..GenerateOptions::default() };
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let generated = generate(&options, dir.path()).expect("the archive can be written");
        let Generated { events, files, bytes_raw, bytes_written, .. } = generated;
        eprintln!(
            "seed {}: {events} events in {files} files, {bytes_raw} bytes, {bytes_written} gzipped",
            options.seed
        );
        Self { dir, generated }
    }
}

/// The files of an archive by name: a walk has them as the file system does.
pub fn trail_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = FileWalk::new(&Arc::new(ArchiveOnDisk::new([dir.to_owned()])))
        .filter_map(|(path, found)| matches!(found, Ok(Found::Trail(_))).then_some(path))
        .collect();
    files.sort();
    files
}

/// Opens a file of an archive.
pub fn opened(path: &Path) -> File {
    File::open(path).expect("a generated file can be opened")
}

/// Indexes an archive as `traildex import` does. With one thread, the same files in the same order
/// give the same index.
pub fn index(roots: Vec<PathBuf>, threads: usize, data_dir: &Path) -> Arc<Snapshot> {
    let config = Config::default();
    let store = open_store(data_dir, &config).expect("a new index opens");
    let mut options = import_options(&config, roots);
    options.threads = threads;
    let progress = Progress::new();
    let ingest =
        Ingest::start(store, Watcher::none(), options, &progress).expect("the pipeline starts");
    while !progress.wait_idle(TICK) {}
    assert_eq!(progress.fault(), None);
    let store = ingest.stop().expect("the committer did not panic");
    store.snapshots().load_full()
}
