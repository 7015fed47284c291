//! Requests and responses of the socket API, as they travel: JSON over HTTP/1.1.
//!
//! Pure data, shared by the server, the command line and the tests. Keys are an interface: a change
//! here needs a line in CHANGELOG.md. Times are RFC 3339 in UTC. Sizes are bytes. Unknown request
//! keys are refused.

mod files;
mod health;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use files::{
    Dimension, FileEntry, FileGroup, FileState, FileSums, FilesRequest, FilesResponse, Reading,
    Reject,
};
pub use health::{
    EventCounts, FileCounts, IndexStatus, Lag, RebuildRequest, RebuildState, RebuildStatus, Status,
    VerifyProblem, VerifyReport, VerifyStatus,
};

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
    /// Why the answer may lack events, such as a damaged part of the index that is being made anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
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
    /// `time-from-file`, `invalid-utf8`, `second-member`, `id-conflict` (another event has the same
    /// account and `eventID`, and different content).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The record as delivered, where that is not valid JSON and `event` is its repaired form.
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
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
    /// 409: it cannot be done now, or not without more being said.
    Conflict,
    /// 413: the body is larger than [`crate::limits::REQUEST_BODY_BYTES_MAX`].
    TooLarge,
    /// 429: every search slot is taken and the queue is full.
    Busy,
    /// 503: the search reached its deadline.
    Timeout,
    /// 503: not ready yet.
    Unavailable,
    /// 503: a part of the index that the search needs is damaged.
    Damaged,
    /// 500: our fault.
    Internal,
}

impl ErrorKind {
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadQuery | Self::UnknownField | Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Internal => 500,
            Self::Timeout | Self::Unavailable | Self::Damaged => 503,
        }
    }
}
