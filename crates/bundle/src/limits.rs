//! Bounds on what a stranger's bag can cost, each with its unit and its reason.

/// Files of one bag: four years of one region's trail files.
pub(crate) const FILES_MAX: usize = 2_000_000;

/// Bytes of a path in a bag. Linux opens none that is longer than 4,096, with what leads to the bag.
pub(crate) const PATH_BYTES_MAX: usize = 2_048;

/// Bytes of one part of a path: what file systems hold.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Bytes of a long part that are kept before its hash.
pub(crate) const NAME_KEPT: usize = 160;

/// Folders within folders.
pub(crate) const DEPTH_MAX: usize = 256;

/// Bytes of a line of a manifest: a hash, and a path of which each byte is percent-encoded.
pub(crate) const LINE_BYTES_MAX: usize = 80 + 3 * PATH_BYTES_MAX;

/// Bytes of a line of events: twice a record of the size that ingest takes from a file of 64 MiB.
pub(crate) const EVENT_BYTES_MAX: usize = 128 << 20;

/// Bytes of all paths of one bag; several lists of them are in memory.
pub(crate) const PATHS_BYTES_MAX: usize = 256 << 20;

/// Flags of one event: more than there are kinds.
pub(crate) const FLAGS_MAX: usize = 64;

/// Places of events in one of the files that they are spread over, 100 bytes each: events are spread evenly,
/// unless somebody makes a bag to harm. A hundred million fit.
pub(crate) const BUCKET_PLACES_MAX: u64 = 2_000_000;

/// Bytes of a report: what [`REASONS_BYTES_MAX`] allows, escaped, and a query.
pub(crate) const REPORT_BYTES_MAX: usize = 16 << 20;

/// Bytes of all reasons that a report lists.
pub(crate) const REASONS_BYTES_MAX: usize = 2 << 20;

/// Problems that are named; the rest are counted.
pub(crate) const PROBLEMS_MAX: usize = 10_000;

/// Reasons that a report lists for each thing that they are about.
pub(crate) const REASONS_MAX: usize = 1_000;

/// Bytes that are copied or hashed at a time.
pub(crate) const STEP: usize = 256 << 10;

/// Files that the places of events are spread over. One of them is in memory at a time: of ten million
/// events, 14 MB.
pub(crate) const BUCKETS: usize = 64;
