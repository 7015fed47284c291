//! Requests and responses of the socket API, as they travel: JSON over HTTP/1.1.
//!
//! Pure data, shared by the server, the command line and the tests. Keys are an interface: a change
//! here needs a line in CHANGELOG.md. Times are RFC 3339 in UTC. Sizes are bytes. Unknown request
//! keys are refused.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Which end of time a search starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Latest event first.
    #[default]
    Newest,
    /// Earliest event first.
    Oldest,
}

/// How far a search counts its matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TotalMode {
    /// Every match is counted.
    #[default]
    Exact,
    /// Counting stops at [`crate::limits::TOTAL_BOUND`]; `exact` is false when it was reached.
    Bounded,
}

/// `POST /v1/search`; `GET /v1/search?q=…` takes the same keys, with `q` for `query`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// A query in traildex's language; empty or `*` is every event.
    #[serde(default, alias = "q")]
    pub query: String,
    /// Earliest event time, inclusive: a date, a date and time, or relative (`-24h`, `now`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time, exclusive; the same forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How many events to return, at most [`crate::limits::SEARCH_LIMIT_MAX`].
    #[serde(default = "default_limit")]
    pub limit: usize,
    #[serde(default)]
    pub order: Order,
    #[serde(default)]
    pub total: TotalMode,
}

fn default_limit() -> usize {
    crate::limits::SEARCH_LIMIT_DEFAULT
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            start: None,
            end: None,
            limit: default_limit(),
            order: Order::default(),
            total: TotalMode::default(),
        }
    }
}

/// The answer to a search, and to `GET /v1/events/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchResponse {
    pub hits: Vec<Hit>,
    pub total: Total,
    /// Milliseconds from the parsed request to the last record fetched.
    pub took_ms: f64,
}

/// How many events match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub value: u64,
    /// False when counting stopped early: there are at least `value`.
    pub exact: bool,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The record, byte for byte as AWS delivered it, unless `meta.raw` is there.
    pub event: Box<RawValue>,
    pub meta: Meta,
}

/// What traildex knows of an event beside the record itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The `eventID`; where a record has none, its place (`file number:offset`).
    pub id: String,
    /// When it happened, RFC 3339, UTC.
    pub time: String,
    /// Who, in one readable name.
    pub actor: String,
    /// With which kind of credentials: `root`, `iam-user`, `assumed-role`, `federated`,
    /// `identity-center`, `aws-service`, `aws-account`, `anonymous` or `unknown`.
    pub credential: String,
    /// The file the record came from.
    pub file: String,
    /// Byte offset of the record in that file, uncompressed.
    pub offset: u64,
    /// What was odd about the record: `repaired`, `time-from-timestamp`, `time-from-window`,
    /// `time-from-file`, `invalid-utf8`, `second-member`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The record as delivered, where that is not valid JSON and `event` is its repaired form.
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    pub watch: Vec<String>,
    pub data_dir: String,
    pub files: FileCounts,
    pub events: EventCounts,
    pub index: IndexStatus,
    pub lag: Lag,
    /// False once ingest has stopped for good; `fault` says why. Searches go on.
    pub is_ingesting: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Files by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// Files under the watched directories whose names can be a trail file's.
    pub seen: u64,
    pub indexed: u64,
    /// Waiting, settling, or being read.
    pub pending: u64,
    /// Nothing in them could be read as a record, or the file itself could not be read.
    pub rejected: u64,
    /// CloudTrail digest files: recognised, not events.
    pub digest: u64,
    /// Trail files without a record.
    pub empty: u64,
    /// Other names, and things that are not regular files.
    pub ignored: u64,
}

/// Records by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    pub indexed: u64,
    /// Records that could not be read; each is listed with its file by `GET /v1/files`.
    pub rejected: u64,
    /// Records indexed after a repair.
    pub repaired: u64,
    /// Time of the earliest and of the latest event.
    pub first: Option<String>,
    pub last: Option<String>,
}

/// The index on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    pub bytes: u64,
    pub segments: u64,
    pub format_version: u32,
}

/// How far the index is behind the archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// Bytes, as on disk, of the files that are pending.
    pub pending_bytes: u64,
    /// Seconds since the oldest pending file was first seen; 0 when nothing is pending.
    pub oldest_pending_s: f64,
    /// Seconds since the last commit; absent before the first.
    pub last_commit_s: Option<f64>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Waiting, settling, or being read.
    Pending,
    /// Read, its events durable; single records may still have been rejected.
    Indexed,
    /// Nothing in it could be indexed; `reason` says why.
    Rejected,
    /// A CloudTrail digest file.
    Digest,
    /// A trail file without a record.
    Empty,
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Indexed => "indexed",
            Self::Rejected => "rejected",
            Self::Digest => "digest",
            Self::Empty => "empty",
        })
    }
}

/// `GET /v1/files?state=…&path=…&limit=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// Only files in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Only files whose path contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// At most this many files (default [`crate::limits::FILES_LIMIT_DEFAULT`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer to `GET /v1/files`, in the order in which the files were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesResponse {
    pub files: Vec<FileEntry>,
    /// How many files match, listed or not.
    pub total: u64,
}

/// What happened to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub state: FileState,
    /// Size on disk.
    pub size: u64,
    /// Time of the last change, RFC 3339, UTC.
    pub modified: String,
    /// When it was indexed or rejected, RFC 3339, UTC; absent while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
    /// Records indexed.
    #[serde(default)]
    pub records: u64,
    /// Of these, records indexed after a repair.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Records that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// The first [`crate::limits::REJECTS_LISTED_MAX`] of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// What was odd about the file: `second-member`, `trailing-bytes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Why the file is rejected, or what a pending one waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature is serde's.
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Byte offset in the file, uncompressed, of the place that cannot be read.
    pub offset: u64,
    pub reason: String,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ApiError,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    pub kind: ErrorKind,
    pub message: String,
    /// Byte offset in the query, where the error has a place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// What would have worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), offset: None, suggestion: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

/// Kinds of error, and the HTTP status of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// 400: the query's text is not in the language.
    BadQuery,
    /// 400: no event has a field of that name.
    UnknownField,
    /// 400: anything else about the request.
    BadRequest,
    /// 404: no such event or path.
    NotFound,
    /// 405: the path is there, for another method.
    MethodNotAllowed,
    /// 413: the body is larger than [`crate::limits::REQUEST_BODY_BYTES_MAX`].
    TooLarge,
    /// 429: every search slot is taken and the queue is full.
    Busy,
    /// 503: the search reached its deadline.
    Timeout,
    /// 503: not ready yet.
    Unavailable,
    /// 500: our fault.
    Internal,
}

impl ErrorKind {
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadQuery | Self::UnknownField | Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Internal => 500,
            Self::Timeout | Self::Unavailable => 503,
        }
    }
}
