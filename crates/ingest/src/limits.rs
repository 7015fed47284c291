//! Bounds of what ingest reads and keeps.

/// Rejected records listed with their file; the rest are counted. A file of garbage must not fill
/// the ledger.
pub(crate) const REJECTS_LISTED_MAX: usize = 20;

/// Paths listed that are not read, such as links; the rest are counted. A tree of links must not fill
/// the memory.
pub(crate) const SKIPPED_LISTED_MAX: usize = 1_000;

/// Gzip members or zstd frames of a file. Each costs a microsecond, even if nothing is in it; a file of
/// one for each record has some hundred thousand.
pub(crate) const MEMBERS_MAX: usize = 1 << 20;

/// Gaps between the members of a file behind which another is looked for. Each look can find the beginning of
/// one that inflates to all that a file may hold, and then is damaged.
pub(crate) const GAPS_MAX: usize = 16;

/// Files listed that are no trail's; the rest are counted.
pub(crate) const IGNORED_LISTED_MAX: usize = 1_000;

/// Below this many uncompressed bytes no ratio is suspicious: a trail of one repeated record has 1,000.
pub(crate) const RATIO_FREE_BYTES: usize = 16 << 20;
