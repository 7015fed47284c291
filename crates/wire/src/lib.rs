//! Requests and responses of the socket API, as they travel: JSON over HTTP/1.1.
//!
//! Pure data, shared by the server, the command line and the tests. Keys are an interface: a change
//! here needs a line in CHANGELOG.md. Times are RFC 3339 in UTC. Sizes are bytes. Unknown request
//! keys are refused.

#![warn(missing_docs, unreachable_pub)]

pub mod engine;
mod export;
mod fields;
mod files;
mod health;
pub mod limits;
mod saved;
mod tail;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use language::ast::Query;

pub use self::export::{ExportFormat, ExportRequest};
pub use self::fields::{
    Field, FieldType, FieldsRequest, FieldsResponse, ValueCount, ValuesRequest, ValuesResponse,
};
pub use self::files::{
    Dimension, FileEntry, FileGroup, FileState, FileSums, FilesRequest, FilesResponse, Reading,
    Reject,
};
pub use self::health::{
    EventCounts, FileCounts, IndexStatus, Lag, RebuildRequest, RebuildState, RebuildStatus, Status,
    VerifyProblem, VerifyReport, VerifyStatus,
};
pub use self::saved::{Parameter, SavedRequest, SavedResponse, SavedSearch};
pub use self::tail::{TailPage, TailRequest};

/// Which end of time a search starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Latest event first.
    #[default]
    Newest,
    /// Earliest event first.
    Oldest,
}

/// How far a search counts its matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TotalMode {
    /// Every match is counted.
    #[default]
    Exact,
    /// Counting stops at [`crate::limits::TOTAL_BOUND`]; `exact` is false when it was reached. What
    /// needs no counting is exact all the same: one term, all events, those of a time range.
    Bounded,
    /// Nothing is counted: there are at least as many as are returned.
    None,
}

/// `POST /v1/search`; `GET /v1/search?q=…` takes the same keys, with `q` for `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What to look for; empty or `*` is every event.
    #[serde(default, alias = "q")]
    pub query: QueryForm,
    /// Earliest event time, inclusive: a date, a date and time, or relative (`-24h`, `now`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time, exclusive; the same forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset, and of days: `Europe/Berlin`. UTC if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How many events or rows to return, at most [`crate::limits::SEARCH_LIMIT_MAX`], and no more than
    /// the query's own limit. By default that, or [`crate::limits::SEARCH_LIMIT_DEFAULT`] events, or
    /// [`crate::limits::TABLE_ROWS_DEFAULT`] rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default)]
    pub order: Order,
    #[serde(default)]
    pub total: TotalMode,
    /// From an earlier answer: goes on behind its last event. All other keys but `limit` and `total` must
    /// be as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Tell of each event which of its values met the query.
    #[serde(default, skip_serializing_if = "is_false")]
    pub highlights: bool,
    /// Tell what the search did, and what each of its conditions finds by itself, which takes as long
    /// as searching for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explain: bool,
}

// For serde.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// A query as text in traildex's language, or as its tree: see docs/query-language.md.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum QueryForm {
    Text(String),
    Tree(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] Box<Query>),
}

/// The answer to a search, and to `GET /v1/events/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchResponse {
    pub hits: Vec<Hit>,
    /// In place of hits, where the query's stages make a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// How many events match the query's conditions, on whatever page they are.
    pub total: Total,
    /// For the next page, where more events follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Milliseconds from the parsed request to the last record fetched.
    pub took_ms: f64,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
    /// Why the answer may lack events, such as a damaged part of the index that is being made anew, or
    /// records so large that a page holds fewer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether more is found than is here, and no cursor leads there.
    #[serde(skip)]
    pub is_cut: bool,
}

impl Default for QueryForm {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<String> for QueryForm {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for QueryForm {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for QueryForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Tree(query) => query.fmt(f),
        }
    }
}

impl Serialize for QueryForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Tree(query) => query.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for QueryForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self::Text(text)),
            tree => serde_json::from_value(tree)
                .map(|query| Self::Tree(Box::new(query)))
                .map_err(serde::de::Error::custom),
        }
    }
}

/// What a query's stages made of its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    pub columns: Vec<String>,
    /// Numbers are numbers; times are texts. Null where there is no value, and in a table of events'
    /// fields a list where there are several, or the object that is there.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// How many rows there are, returned or not.
    pub rows_total: u64,
    /// False where numbers of distinct values are estimates, or not every event was counted.
    pub exact: bool,
}

/// How many events match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Total {
    pub value: u64,
    /// False when counting stopped early: there are at least `value`.
    pub exact: bool,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The record, byte for byte as AWS delivered it, unless `meta.raw` is there.
    pub event: Box<RawValue>,
    pub meta: Meta,
    /// Where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<Highlight>,
}

/// A value of an event that met the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Highlight {
    /// The full path.
    pub field: String,
    pub value: String,
    /// From which byte of the value to which, this excluded.
    pub ranges: Vec<[usize; 2]>,
}

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// The query as it was understood.
    pub query: String,
    /// The times that it is bounded to, from `start` and `end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    pub segments: u64,
    /// Segments without an event between `start` and `end`.
    pub segments_skipped: u64,
    /// In the order in which they were taken: inner queries, plan, collect or group, fetch.
    pub steps: Vec<ExplainStep>,
    /// Each condition of the filter by itself, within `start` and `end`.
    pub conditions: Vec<ExplainCondition>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainStep {
    pub step: String,
    pub ms: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainCondition {
    pub condition: String,
    /// Events that meet it.
    pub events: u64,
    /// What finding and counting them took.
    pub ms: f64,
}

/// What traildex knows of an event beside the record itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    pub error: ApiError,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// 400: the query's text is not in the language.
    BadQuery,
    /// 400: no event has a field of that name.
    UnknownField,
    /// 400: anything else about the request.
    BadRequest,
    /// 403: the client's user may not ask this daemon.
    Forbidden,
    /// 404: no such event or path.
    NotFound,
    /// 405: the path is there, for another method.
    MethodNotAllowed,
    /// 410: the cursor is from before the index was made anew.
    Gone,
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
    /// 503: a part of the index that the search needs could not be read, which may pass.
    Io,
    /// 500: our fault.
    Internal,
}

impl ErrorKind {
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadQuery | Self::UnknownField | Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Internal => 500,
            Self::Timeout | Self::Unavailable | Self::Damaged | Self::Io => 503,
        }
    }
}
