//! The sample trail inside the program: what the demo indexes and the generator resamples.
//!
//! 2,900 genuine records of one account and one day, as S3 holds them, and the Access Analyzer entry
//! that AWS's documentation prints. Sources and licences: `tests/data/README.md`.

use std::path::Path;

use include_dir::{Dir, include_dir};

/// Laid out as in S3, beginning with `AWSLogs`.
pub(crate) static TRAIL: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../tests/data/invictus");

/// How many records the sample trail holds.
pub const TRAIL_RECORDS: u64 = 2_900;

/// As published: not valid JSON.
const ACCESS_ANALYZER: &[u8] =
    include_bytes!("../../../tests/data/odd/access-analyzer-documented-entry.json");

/// Writes the sample trail and the Access Analyzer entry below `dir`. Returns how many records they
/// hold.
pub fn extract(dir: &Path) -> std::io::Result<u64> {
    TRAIL.extract(dir)?;
    std::fs::write(dir.join("access-analyzer-documented-entry.json"), ACCESS_ANALYZER)?;
    Ok(TRAIL_RECORDS + 1)
}
