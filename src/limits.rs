//! Every bound of the program, with its unit and its reason.
//!
//! A bound that a person may want to move is a configuration key instead; its default is here when
//! more than one module needs it.

/// Events a search returns when the request does not say: what fits a screen, and AWS's own page.
pub const SEARCH_LIMIT_DEFAULT: usize = 50;

/// Events, or rows, one search can return. Larger answers belong to an export: at 1.2 KB a record this is a
/// body of 12 MB, held in memory while it is written.
pub const SEARCH_LIMIT_MAX: usize = 10_000;

/// Rows of a table that a search returns when neither it nor its query says.
pub const TABLE_ROWS_DEFAULT: usize = 1_000;

/// Memory that one search's groups, sorting and distinct values may take: some 300,000 groups by two
/// keys.
pub const GROUP_BYTES_MAX: usize = 64 << 20;

/// Values that `field IN (query | values …)` takes over from the inner query.
pub const SUBQUERY_VALUES_MAX: usize = 10_000;

/// Bytes of large answers that may wait for their clients to read them: five of the largest, or a
/// thousand pages of events. Whoever asks for more is told that the daemon is busy.
pub const UNREAD_BYTES_MAX: usize = 64 << 20;

/// Of so many searches that run at once, as many again may take long.
pub fn long_searches_max(searches_max: usize) -> usize {
    (searches_max / 2).max(1)
}

/// Where `"total":"bounded"` stops counting.
pub const TOTAL_BOUND: u64 = 10_000;

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
