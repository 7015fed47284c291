//! Bounds of requests and answers, each with its unit and its reason.
//!
//! A bound that a person may want to move is a configuration key instead.

/// Events that a search returns if the request sets no limit: what fits on a screen, and AWS's own
/// page.
pub const SEARCH_LIMIT_DEFAULT: usize = 50;

/// Events or rows that one search can return. Larger answers belong to an export: at 1.2 KB a
/// record, this is a body of 12 MB, held in memory while it is written.
pub const SEARCH_LIMIT_MAX: usize = 10_000;

/// Bytes of records after which a page of events ends: ten thousand of the usual size, or sixty of
/// the largest that CloudTrail delivers.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

/// Rows that a search returns if neither the request nor the query sets a limit.
pub const TABLE_ROWS_DEFAULT: usize = 1_000;

/// Bytes of memory for one search's groups, sorting and distinct values: some 300,000 groups by two
/// keys, or 200,000 events that are sorted by a short field.
pub const GROUP_BYTES_MAX: usize = 64 << 20;

/// Events that rows are made of where a stage before `stats` chooses some: at 200 bytes each, a third of
/// [`GROUP_BYTES_MAX`].
pub const FIRST_EVENTS_MAX: usize = 100_000;

/// Conditions that the explanation of an empty answer lists: more than a person types.
pub const EXPLANATION_CONDITIONS_MAX: usize = 20;

/// Values that `field IN (query | values …)` takes from the inner query.
pub const SUBQUERY_VALUES_MAX: usize = 10_000;

/// Bytes of large answers that may wait for their clients to read them, and of large bodies that are
/// arriving: two of the largest, or twenty pages of a thousand events. One user has half of it.
/// Beyond that the daemon answers that it is busy.
pub const UNREAD_BYTES_MAX: usize = 32 << 20;

/// Bytes of an answer, or of a body, that each connection may have beside that: a page of
/// [`SEARCH_LIMIT_DEFAULT`] events of three times the usual size with what is told of them, or a
/// query of the most bytes.
pub const SMALL_BYTES: usize = 176 << 10;

/// Bytes of a request's head that are buffered. A query of `QUERY_BYTES_MAX`
/// (`crates/language/src/limits.rs`) does not fit a URI (hyper's bound is 64 KiB encoded); such a
/// one is sent by `POST`.
pub const HEAD_BYTES_MAX: usize = 80 << 10;

/// Bytes that a client reads of an answer in a second, at least, once it has kept the daemon waiting
/// for long: 0.5 Mbit/s, a sixteenth of a line of 8 Mbit/s.
pub const READ_BYTES_PER_S_MIN: usize = 64 << 10;

/// Events of one page of an export, usually 1.3 MB; an export holds two pages in memory.
pub const EXPORT_PAGE_EVENTS: usize = 1_000;

/// Exports that may run at once.
pub const EXPORTS_MAX: usize = 4;

/// Bytes of rows, and of places of events that are sorted or deduplicated, that exports keep until their
/// clients have read them: the most that one search finds ([`GROUP_BYTES_MAX`]), or the places of a million
/// events and more.
pub const EXPORTS_KEPT_BYTES_MAX: usize = GROUP_BYTES_MAX;

/// Tickets for exports that wait to be used, and those of one user: more than a person asks for in a minute.
pub const TICKETS_MAX: usize = 64;
/// See [`TICKETS_MAX`].
pub const TICKETS_OF_USER_MAX: usize = 16;
/// How long a ticket can be used, in seconds: what a person takes to read a warning.
pub const TICKET_SECONDS: u64 = 60;
/// Bytes of the request that a ticket stands for, as JSON: the longest query as text, escaped.
pub const TICKET_BYTES_MAX: usize = 144 << 10;

/// Rows after which a Parquet file's row group ends; it is in memory until it is written.
pub const EXPORT_GROUP_ROWS: usize = 5_000;
/// Bytes of records after which a Parquet file's row group ends; it is in memory until it is
/// written.
pub const EXPORT_GROUP_BYTES: usize = 8 << 20;

/// Clients of `GET /v1/tail` at once.
pub const TAILS_MAX: usize = 64;
/// Events in memory for one client of `GET /v1/tail`.
pub const TAIL_BATCH_EVENTS: usize = 100;
/// Bytes of records in memory for one client of `GET /v1/tail`; after these, no more are fetched.
pub const TAIL_BATCH_BYTES: usize = 256 << 10;

/// Bytes of the header `traildex-warnings`: proxies take 4 KiB of all headers at least.
pub const WARNINGS_BYTES_MAX: usize = 3 << 10;
/// Bytes of one sentence in it, before what ends it.
pub const WARNING_BYTES_MAX: usize = 1 << 10;

/// How many long searches may run beside `searches_max` short ones: half as many, and at least one.
pub fn long_searches_max(searches_max: usize) -> usize {
    (searches_max / 2).max(1)
}

/// Matches at which `"total":"bounded"` stops counting.
pub const TOTAL_BOUND: u64 = 10_000;

/// Values that one event's highlights list.
pub const HIGHLIGHTS_MAX: usize = 20;

/// Bytes of a saved search's name, which a person types and which is a part of a URL.
pub const SAVED_NAME_BYTES_MAX: usize = 64;

/// Saved searches in all. Each change writes all of them.
pub const SAVED_MAX: usize = 1_000;

/// Bytes of all saved searches as JSON, which stay in memory: a thousand of 4 KB.
pub const SAVED_BYTES_MAX: usize = 4 << 20;

/// Fields that `GET /v1/fields` lists if the request sets no limit.
pub const FIELDS_LIMIT_DEFAULT: usize = 100;

/// Fields that one `GET /v1/fields` can list: five times as many as real archives have.
pub const FIELDS_LIMIT_MAX: usize = 10_000;

/// Values that `GET /v1/values` lists if the request sets no limit; the same as for the stage
/// `top`.
pub const VALUES_LIMIT_DEFAULT: usize = 10;

/// Values that one `GET /v1/values` can list, or one `GET /v1/fields` over all its fields. A value
/// has at most 4 KB.
pub const VALUES_LIMIT_MAX: usize = 10_000;

/// Files that `GET /v1/files` lists if the request sets no limit.
pub const FILES_LIMIT_DEFAULT: usize = 100;

/// Files that one `GET /v1/files` can list.
pub const FILES_LIMIT_MAX: usize = 10_000;

/// Groups that one `GET /v1/files?by=…` can make: a thousand accounts in seventeen regions over two
/// months. Larger answers belong to an export.
pub const FILE_GROUPS_MAX: usize = 100_000;

/// Groups that `GET /v1/coverage` lists if the request sets no limit.
pub const COVERAGE_GROUPS_DEFAULT: usize = 10_000;

/// Groups that one `GET /v1/coverage` can list: two months of hours in seventeen regions.
pub const COVERAGE_GROUPS_MAX: usize = 25_000;

/// Gaps, changes of trails, and recordings that one `GET /v1/coverage` lists of each.
pub const COVERAGE_LIST_MAX: usize = 1_000;

/// Bytes of a request's body. A query is text that a person types or a program builds; AWS's
/// longest is a tenth of this.
pub const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;

/// Steps of a trace, in each direction, if the request sets no depth: twice the longest chain that
/// role chaining usually makes.
pub const TRACE_DEPTH_DEFAULT: usize = 8;

/// Steps of a trace, in each direction, at most.
pub const TRACE_DEPTH_MAX: usize = 32;

/// Neighbours of one node of a trace if the request does not say how many.
pub const TRACE_CHILDREN_DEFAULT: usize = 50;

/// Neighbours of one node of a trace, at most.
pub const TRACE_CHILDREN_MAX: usize = 500;

/// Changes of alerts that one `GET /v1/alerts/changes` can return, and alerts that one `POST /v1/alerts`
/// can change.
pub const CHANGES_LIMIT_MAX: usize = 1_000;

/// Seconds that `GET /v1/alerts/changes` can wait for a change.
pub const CHANGES_WAIT_S_MAX: usize = 60;

/// Alerts that one `GET /v1/alerts` can list.
pub const ALERTS_LIMIT_MAX: usize = 1_000;
