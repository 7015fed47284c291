//! Bounds of a file's records, of a record and of a field, each with its unit and its reason.

// Of a file. What a file may inflate to is `ingest.file_bytes_max` and `ingest.inflate_ratio_max`.

/// Envelopes inside envelopes. An array of EventBridge events that hold records is 3.
pub(crate) const ENVELOPE_DEPTH_MAX: u32 = 4;

/// Texts inside texts that may hold envelopes: a CloudWatch envelope in a message of SQS is 2.
pub(crate) const TEXT_DEPTH_MAX: u32 = 2;

/// Members of an object that may hold records, of 24 bytes each while the object is looked through, and as
/// many that stand beside. Envelopes have one or two of the first, and ten of the others.
pub(crate) const DOORS_MAX: usize = 1_000;

/// Pieces of a file held at once, 48 bytes each. A file of AWS's largest size has a third of this; one of
/// nothing but braces would take twenty times its size, and is split twice instead.
pub(crate) const PIECES_HELD_MAX: usize = 100_000;

/// Records of a file. Its segment is in memory until all of them are in it, and AWS's smallest records
/// have 500 bytes, of which a file of `ingest.file_bytes_max` holds half as many. The rest is rejected.
pub(crate) const FILE_RECORDS_MAX: u64 = 1_000_000;

/// Each record without an end is read to the end of the file before that is known; a file made of such
/// starts would take time that grows with the square of its size. After so many, or so many bytes (ten
/// seconds), the rest of the file is one broken piece.
pub(crate) const CUTS_MAX: u32 = 1_000;
pub(crate) const CUT_BYTES_MAX: u64 = 8 << 30;

/// Broken records of one file that are searched for neighbours they swallowed, and the bytes of these.
/// Each search parses the rest of the record again, at 200 MB a second or so.
pub(crate) const RESCUES_MAX: u32 = 100;
pub(crate) const RESCUE_BYTES_MAX: usize = 1 << 30;

// Of a record. One beyond these is rejected.

/// Bytes of a record. AWS allows 256 KB, 1 MB for some; simd-json takes some ten times this to parse one.
pub(crate) const RECORD_BYTES_MAX: usize = 16 << 20;

/// Values in a record. Some 100 bytes of memory each while it is parsed, indexed and counted. Seen: 204.
pub(crate) const RECORD_VALUES_MAX: usize = 500_000;

/// Nesting of a record. AWS's deepest has 11 levels; `jq` and others read no more than this.
pub(crate) const NESTING_MAX: usize = 256;

// Of a field. What is beyond these is cut, and indexed all the same.

/// Parts of a path. A value below this depth is indexed at its ancestor here.
pub(crate) const PATH_DEPTH_MAX: u32 = 32;

/// Bytes of one part of a path; a longer key is cut and hashed.
pub(crate) const KEY_BYTES_MAX: usize = 128;

/// Bytes of a path; a longer one is cut and hashed. It is a column's name in the index.
pub(crate) const PATH_BYTES_MAX: usize = 1_024;

/// Bytes of the longest value that is a term as it is. The term of a longer one (a policy document,
/// a user-data script) is its beginning and a hash: an exact search finds it, all its words are
/// indexed, and a wildcard sees its beginning only. tantivy drops terms above 65,530 bytes.
pub const EXACT_BYTES_MAX: usize = 4_096;

/// Bytes of the longest word that is a term as it is. The term of a longer one (a pagination token,
/// a base64 blob) is its beginning and a hash, which an exact search still finds.
pub const WORD_BYTES_MAX: usize = 256;

/// Paths kept in a worker's table, and bytes of these. Real archives have some 2,000; what is above this
/// is made up by a client, and the table starts anew rather than grow.
pub(crate) const PATHS_MAX: usize = 50_000;
pub(crate) const PATH_TABLE_BYTES_MAX: usize = 16 << 20;
