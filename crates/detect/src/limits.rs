//! Bounds of rules and of what they are asked.

/// Bytes of one file of rules; Sigma's largest has some 20 KB.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Files of rules in all; SigmaHQ has 4,000 for all systems together.
pub const FILES_MAX: usize = 10_000;

/// Folders in one another.
pub const DEPTH_MAX: usize = 16;

/// Lists and maps in one another.
pub(crate) const NESTING_MAX: usize = 100;

/// Documents of one file.
pub(crate) const DOCUMENTS_MAX: usize = 1_000;

/// Conditions of one rule: as many as a query may have.
pub(crate) const CONDITIONS_MAX: usize = 1_024;

/// Rows of one answer: as many as a search returns.
pub(crate) const ROWS_MAX: usize = 10_000;

/// Events of one page: as many as take less time than what a daemon takes for a long search, and begins
/// again.
pub(crate) const PAGE_EVENTS: usize = 2_500;

/// Events, over all rules that a correlation refers to, which are held at a time.
pub(crate) const EVENTS_MAX: usize = 1_000_000;

/// The same while the daemon runs, in whose memory they are.
pub const LIVE_EVENTS_MAX: usize = 250_000;

/// Times that rules of what is seen first keep in memory, some 35 bytes each: of one rule, and of all.
pub const SIGHTINGS_MAX: usize = 1_000_000;

/// Different lines that answers told, of each kind.
pub(crate) const TOLD_MAX: usize = 200;

/// Events that a finding names by their ids. Its number of events is exact.
pub const IDS_MAX: usize = 100;

/// Findings of one rule. What is beyond is counted.
pub const FINDINGS_MAX: usize = 1_000;
