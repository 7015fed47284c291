//! What the benches share: the program's allocator, and the archive they measure on.
//!
//! A bench panics where something fails: there is nothing to measure then.

use tempfile::TempDir;
use traildex::bench::generate::{GenerateOptions, Generated, generate};

/// The program's own. Without it the index stage would measure another allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
