//! Bounds on what strangers can make, each with its unit and its reason.

/// Bytes that a digest may inflate to. An hour of a busy region has ten thousand files of 400 bytes each.
pub const DIGEST_BYTES_MAX: usize = 64 << 20;

/// Bytes of metadata of one object: S3 allows 2 KB.
pub const METADATA_BYTES_MAX: usize = 64 << 10;

/// Bytes of a file of keys. A key takes 500 bytes, and a region has a few a year.
pub const KEYS_BYTES_MAX: usize = 16 << 20;

/// How many digests and files are judged together. Files of digests that are verified have no bound, for
/// AWS made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Digests that are read. Each takes some 1.4 KB.
    pub digests: usize,
    /// Files that digests without a verified signature may list together. Each takes 56 bytes.
    pub unsigned_files: usize,
}

impl Bounds {
    /// For a program that does nothing else.
    pub const LARGE: Self = Self { digests: 4_000_000, unsigned_files: 10_000_000 };
}

/// Bytes of a signature: that of the longest key that is read.
pub(crate) const SIGNATURE_BYTES_MAX: usize = 1024;

/// Bytes of a name or a signature in a digest: a key in S3 has at most 1,024, a signature twice that in
/// hexadecimal.
pub(crate) const TEXT_BYTES_MAX: usize = 2048;

/// Signatures that are tried for one digest whose chain comes from another bucket.
pub(crate) const FOREIGN_TRIED_MAX: usize = 64;

/// Microseconds that a digest without a verified signature may cover: AWS's cover an hour, or less.
pub(crate) const SPAN_US_MAX: i64 = 25 * HOUR_US;

/// Microseconds of an hour.
pub(crate) const HOUR_US: i64 = 3_600_000_000;

/// Files that are read and judged together.
pub(crate) const BATCH: usize = 2048;

/// Gaps of a chain that a report lists, and hours of a gap.
pub(crate) const GAPS_MAX: usize = 1_000;

/// Chains, digests and files that a report names, each.
pub(crate) const NAMED_MAX: usize = 10_000;
