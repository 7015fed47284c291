//! Every bound of the program, with its unit and its reason.
//!
//! A bound that a person may want to move is a configuration key instead; its default is here when
//! more than one module needs it.

/// Events a search returns when the request does not say: what fits a screen, and AWS's own page.
pub const SEARCH_LIMIT_DEFAULT: usize = 50;

/// Events, or rows, one search can return. Larger answers belong to an export: at 1.2 KB a record this is a
/// body of 12 MB, held in memory while it is written.
pub const SEARCH_LIMIT_MAX: usize = 10_000;

/// Bytes of records after which a page of events ends, however many it may have: ten thousand of the usual
/// size, or sixty of the largest that CloudTrail delivers.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

/// Rows of a table that a search returns when neither it nor its query says.
pub const TABLE_ROWS_DEFAULT: usize = 1_000;

/// Memory that one search's groups, sorting and distinct values may take: some 300,000 groups by two
/// keys.
pub const GROUP_BYTES_MAX: usize = 64 << 20;

/// Values that `field IN (query | values …)` takes over from the inner query.
pub const SUBQUERY_VALUES_MAX: usize = 10_000;

/// Bytes of large answers that may wait for their clients to read them: two of the largest, or
/// five hundred pages of events. Whoever asks for more is told that the daemon is busy.
pub const UNREAD_BYTES_MAX: usize = 32 << 20;

/// Events of one page of an export, 1.3 MB as a rule: what is in memory of it, twice.
pub const EXPORT_PAGE_EVENTS: usize = 1_000;

/// Exports at once.
pub const EXPORTS_MAX: usize = 4;

/// Rows, and bytes of records, with which a Parquet file's row group ends, which is in memory until it is
/// written.
pub const EXPORT_GROUP_ROWS: usize = 5_000;
pub const EXPORT_GROUP_BYTES: usize = 8 << 20;

/// Clients of `GET /v1/tail` at once, and what is in memory for one of them: events, and bytes of records
/// behind which no more are fetched.
pub const TAILS_MAX: usize = 64;
pub const TAIL_BATCH_EVENTS: usize = 100;
pub const TAIL_BATCH_BYTES: usize = 256 << 10;

/// Of so many searches that run at once, as many again may take long.
pub fn long_searches_max(searches_max: usize) -> usize {
    (searches_max / 2).max(1)
}

/// Where `"total":"bounded"` stops counting.
pub const TOTAL_BOUND: u64 = 10_000;

/// Values of one event that are highlighted.
pub const HIGHLIGHTS_MAX: usize = 20;

/// Bytes of the name of a saved search. It is typed, and a part of a path.
pub const SAVED_NAME_BYTES_MAX: usize = 64;

/// Saved searches. Each change writes all of them.
pub const SAVED_MAX: usize = 1_000;

/// Bytes of all saved searches, as JSON, which are in memory: a thousand of 4 KB.
pub const SAVED_BYTES_MAX: usize = 4 << 20;

/// Fields one `GET /v1/fields` lists when the request does not say.
pub const FIELDS_LIMIT_DEFAULT: usize = 100;

/// Fields one `GET /v1/fields` can list: five times as many as real archives have.
pub const FIELDS_LIMIT_MAX: usize = 10_000;

/// Values one `GET /v1/values` lists when the request does not say, as `top` does.
pub const VALUES_LIMIT_DEFAULT: usize = 10;

/// Values one `GET /v1/values` can list, or one `GET /v1/fields` of all its fields. A value has 4 KB at
/// most.
pub const VALUES_LIMIT_MAX: usize = 10_000;

/// Files one `GET /v1/files` lists when the request does not say.
pub const FILES_LIMIT_DEFAULT: usize = 100;

/// Files one `GET /v1/files` can list.
pub const FILES_LIMIT_MAX: usize = 10_000;

/// Rejected records listed with their file; the rest are counted. A file of garbage must not fill
/// the ledger.
pub const REJECTS_LISTED_MAX: usize = 20;

/// Paths listed that are not read, such as links; the rest are counted. A tree of links must not fill
/// the memory.
pub const SKIPPED_LISTED_MAX: usize = 1_000;

/// Groups that `GET /v1/files?by=…` tells apart: a thousand accounts in seventeen regions over two
/// months. More would be an export.
pub const FILE_GROUPS_MAX: usize = 100_000;

/// Bytes of a request body. A query is text that a person typed or a program built; AWS's longest
/// is a tenth of this.
pub const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a query's text.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Nesting of a query. The tree is walked recursively; 64 levels are more than a person can read.
pub const QUERY_DEPTH_MAX: usize = 64;

/// Conditions in one query.
pub const QUERY_TERMS_MAX: usize = 1_024;

// Of a file. What a file may inflate to is `ingest.file_bytes_max` and `ingest.inflate_ratio_max`.

/// Below this many uncompressed bytes no ratio is suspicious: a trail of one repeated record has 1,000.
pub const RATIO_FREE_BYTES: usize = 16 << 20;

/// Envelopes inside envelopes. An array of EventBridge events that hold records is 3.
pub const ENVELOPE_DEPTH_MAX: u32 = 4;

/// Pieces of a file held at once, 48 bytes each. A file of AWS's largest size has a third of this; one of
/// nothing but braces would take twenty times its size, and is split twice instead.
pub const PIECES_HELD_MAX: usize = 100_000;

/// Records of a file. Its segment is in memory until all of them are in it, and AWS's smallest records
/// have 500 bytes, of which a file of `ingest.file_bytes_max` holds half as many. The rest is rejected.
pub const FILE_RECORDS_MAX: u64 = 1_000_000;

/// Each record without an end is read to the end of the file before that is known; a file made of such
/// starts would take time that grows with the square of its size. After so many, or so many bytes (ten
/// seconds), the rest of the file is one broken piece.
pub const CUTS_MAX: u32 = 1_000;
pub const CUT_BYTES_MAX: u64 = 8 << 30;

/// Broken records of one file that are searched for neighbours they swallowed, and the bytes of these.
/// Each search parses the rest of the record again, at 200 MB a second or so.
pub const RESCUES_MAX: u32 = 100;
pub const RESCUE_BYTES_MAX: usize = 1 << 30;

// Of a record. One beyond these is rejected.

/// Bytes of a record. AWS allows 256 KB, 1 MB for some; simd-json takes some ten times this to parse one.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Values in a record. Some 100 bytes of memory each while it is parsed, indexed and counted. Seen: 204.
pub const RECORD_VALUES_MAX: usize = 500_000;

/// Nesting of a record. AWS's deepest has 11 levels; `jq` and others read no more than this.
pub const NESTING_MAX: usize = 256;

// Of a field. What is beyond these is cut, and indexed all the same.

/// Parts of a path. A value below this depth is indexed at its ancestor here.
pub const PATH_DEPTH_MAX: u32 = 32;

/// Bytes of one part of a path; a longer key is cut and hashed.
pub const KEY_BYTES_MAX: usize = 128;

/// Bytes of a path; a longer one is cut and hashed. It is a column's name in the index.
pub const PATH_BYTES_MAX: usize = 1_024;

/// Longest value that is a term as it is, in bytes. A longer one (a policy document, a user-data
/// script) is a term of its beginning and a hash: an exact search finds it, its words are all indexed,
/// and a wildcard sees its beginning only. tantivy drops terms above 65,530 bytes.
pub const EXACT_BYTES_MAX: usize = 4_096;

/// Longest word kept as it is, in bytes; a longer one (a pagination token, a base64 blob) is kept as
/// its beginning and a hash, which an exact search for it still finds.
pub const WORD_BYTES_MAX: usize = 256;

/// Paths kept in a worker's table, and bytes of these. Real archives have some 2,000; what is above this
/// is made up by a client, and the table starts anew rather than grow.
pub const PATHS_MAX: usize = 50_000;
pub const PATH_TABLE_BYTES_MAX: usize = 16 << 20;
