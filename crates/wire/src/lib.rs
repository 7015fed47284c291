//! The requests and answers of the socket API, as they travel: JSON over HTTP/1.1.
//!
//! The crate is data, shared by the server, the command line and the tests. It never knows who
//! answers, and it opens no socket and no index. Start at [`SearchRequest`] and [`SearchResponse`],
//! at [`ApiError`], and at [`engine::Engine`], the trait of whatever answers.
//!
//! Keys are an interface: a change here needs a line in CHANGELOG.md. Times are RFC 3339 in UTC.
//! Sizes are bytes. Unknown request keys are refused.

#![warn(missing_docs, unreachable_pub)]

mod alerts;
mod coverage;
pub mod engine;
mod explanation;
mod export;
mod fields;
mod files;
mod health;
pub mod limits;
mod saved;
mod tail;
mod told;
mod trace;
mod validate;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use language::ast::Query;

pub use self::alerts::{
    Alert, AlertChange, AlertChangeKind, AlertChanges, AlertChangesRequest, AlertCount, AlertRule,
    AlertState, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest, AlertsResponse,
    RulesStatus,
};
pub use self::coverage::{
    CoverageGap, CoverageGroup, CoverageKey, CoverageRequest, CoverageResponse, DataEvents,
    Recording, TrailChange,
};
pub use self::explanation::{Difference, Explanation, Near};
pub use self::export::{ExportFormat, ExportRequest, Ticket, TicketRequest};
pub use self::fields::{
    Field, FieldType, FieldsRequest, FieldsResponse, ValueCount, ValuesRequest, ValuesResponse,
};
pub use self::files::{
    Dimension, FileEntry, FileGroup, FileState, FileSums, FilesRequest, FilesResponse, Reading,
    Reject,
};
pub use self::health::{
    EventCounts, FileCounts, IndexStatus, Lag, LookupStatus, RebuildRequest, RebuildState,
    RebuildStatus, Status, VerifyProblem, VerifyReport, VerifyStatus,
};
pub use self::saved::{Parameter, SavedRequest, SavedResponse, SavedSearch};
pub use self::tail::{TailPage, TailRequest};
pub use self::told::{WARNINGS_HEADER, warnings_of_header, warnings_to_header};
pub use self::trace::{
    TraceCertainty, TraceEdge, TraceEvent, TraceGap, TraceKind, TraceNode, TracePlace,
    TraceRequest, TraceResponse, TraceRule, TraceShared,
};
pub use self::validate::{Chain, DigestState, Gap, Integrity, Named, StateCount, ValidateReport};

/// The order by time in which a search returns events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Latest event first.
    #[default]
    Newest,
    /// Earliest event first.
    Oldest,
}

/// How far a search counts the events that match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TotalMode {
    /// Every match is counted.
    #[default]
    Exact,
    /// Counting stops at 10,000; `exact` is then false. A total that needs no counting is exact all
    /// the same: one term, all events, or all events of a time range.
    Bounded,
    /// Nothing is counted; the total is at least the number of events returned.
    None,
}

/// `POST /v1/search`; `GET /v1/search?q=…` takes the same keys, with `q` for `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Each is a key of the API.
#[expect(clippy::struct_excessive_bools)]
pub struct SearchRequest {
    /// What to look for; empty or `*` matches every event.
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
    /// How many events or rows to return, at most 10,000, and at most the query's own `limit`. If
    /// absent, the query's own, or else 50 events or 1,000 rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Newest or oldest event first; newest by default. A `sort` stage in the query comes before
    /// it.
    #[serde(default)]
    pub order: Order,
    /// How far to count the matches; all of them by default.
    #[serde(default)]
    pub total: TotalMode,
    /// The cursor of an earlier answer: the page starts behind that answer's last event. All other
    /// keys but `limit` and `total` must be as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Return, with each event, the values that match the query.
    #[serde(default, skip_serializing_if = "is_false")]
    pub highlights: bool,
    /// Where a table's rows are spans of time and nothing else, return those without an event, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty: bool,
    /// Return the steps of the search, and how many events each condition matches by itself.
    /// Counting them takes as long as searching for each.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explain: bool,
    /// Leave out why nothing was found: to find that out takes searches of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unexplained: bool,
    /// A program asks, to whom neither an empty answer nor what the archive lacks is explained. Never of a
    /// request that travels.
    #[serde(skip)]
    pub is_unexplained: bool,
    /// The pages follow each other in one answer: it is not told where one ends. Never of a request that
    /// travels.
    #[serde(skip)]
    pub is_streamed: bool,
    /// So much of what has no pages is wanted in all: what is beyond `limit` is kept as the answer's `rest`.
    /// Never of a request that travels.
    #[serde(skip)]
    pub keeps: Option<usize>,
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
    /// The query's text, as a person types it.
    Text(String),
    /// The query's tree, as a JSON object.
    Tree(#[schemars(with = "serde_json::Map<String, serde_json::Value>")] Box<Query>),
}

/// The answer to a search, and to `GET /v1/events/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchResponse {
    /// The events of this page, in the order asked for; empty where there is a table.
    pub hits: Vec<Hit>,
    /// The rows that the query's stages make, in place of hits; absent where the query finds
    /// events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// How many events match the query's conditions, over all pages.
    pub total: Total,
    /// How many of these the stage `dedup` keeps; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// The cursor of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Milliseconds from the parsed request to the last record fetched.
    pub took_ms: f64,
    /// What the search did; absent unless the request asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
    /// Why nothing was found; absent where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// What the archive does not have of what was asked for: data events that were not recorded, hours,
    /// accounts or regions without events, trails that were stopped, files that are not in the index. A
    /// line each, a handful at most. Only the first page of an answer has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<String>,
    /// How the query was taken where it could have meant something else, and why the answer may lack
    /// events: a damaged part of the index that is being rebuilt, records so large that the page holds
    /// fewer, or a limit that was not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What was found beyond what is returned, where the request keeps it.
    #[serde(skip)]
    pub rest: Option<Rest>,
}

/// What a search found beyond its answer: rows, or the places of events in their order. Only whoever made it
/// knows what is in it; [`engine::Engine::more`] gives the next part.
#[derive(Clone)]
pub struct Rest {
    /// What was found.
    pub found: Arc<dyn Any + Send + Sync>,
    /// How much of it was given already.
    pub given: usize,
    /// Bytes of memory that it takes, about.
    pub bytes: usize,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rest behind {}", self.given)
    }
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

/// The rows that a query's stages make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Names of the columns, from left to right.
    pub columns: Vec<String>,
    /// One list for each row, with a value for each column. Numbers are numbers, times are texts,
    /// and null means no value. In a table of events' fields, a field with several values is a
    /// list, and an object stays an object.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// How many rows there are, returned or not.
    pub rows_total: u64,
    /// False where counts of distinct values are estimates, or where not every event was counted.
    pub exact: bool,
}

/// How many events match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Total {
    /// The number of matching events, as far as they were counted.
    pub value: u64,
    /// False where counting stopped early: at least `value` events match.
    pub exact: bool,
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The record, byte for byte as AWS delivered it; its repaired form where `meta.raw` is
    /// present.
    pub event: Box<RawValue>,
    /// What traildex adds: the event's place, time, actor and flags.
    pub meta: Meta,
    /// The values that match the query; empty unless the request asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<Highlight>,
}

/// A value of an event that matches the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Highlight {
    /// The field's full path.
    pub field: String,
    /// The whole value, as text.
    pub value: String,
    /// The matching parts of the value, each as two byte offsets: its start, and its end,
    /// exclusive.
    pub ranges: Vec<[usize; 2]>,
}

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// The query as traildex understood it, printed anew.
    pub query: String,
    /// Earliest event time searched, inclusive, from the request's `start`; absent where it sets
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time searched, exclusive, from the request's `end`; absent where it sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Segments in the snapshot that was searched.
    pub segments: u64,
    /// Segments that have no event between `start` and `end`, and so were not searched.
    pub segments_skipped: u64,
    /// The steps in the order in which they ran: inner queries, plan, collect or group, fetch.
    pub steps: Vec<ExplainStep>,
    /// Each condition of the filter by itself, within `start` and `end`.
    pub conditions: Vec<ExplainCondition>,
}

/// One step of a search, and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainStep {
    /// What the step did, in a word or two.
    pub step: String,
    /// Milliseconds the step took.
    pub ms: f64,
}

/// One condition of a query, searched for by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainCondition {
    /// The condition in the query language.
    pub condition: String,
    /// How many events match it.
    pub events: u64,
    /// Milliseconds that finding and counting these events took.
    pub ms: f64,
}

/// What traildex knows of an event besides its record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meta {
    /// The record's `eventID`; for a record without one, its place as `file number:offset`.
    pub id: String,
    /// The event's time, RFC 3339, UTC.
    pub time: String,
    /// Who acted, as one readable name.
    pub actor: String,
    /// The kind of credentials used: `root`, `iam-user`, `assumed-role`, `federated`,
    /// `identity-center`, `aws-service`, `aws-account`, `anonymous` or `unknown`.
    pub credential: String,
    /// What came of the call: `success`, `denied` or `failure`. Absent where the record is of no call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// The name of what went wrong: `errorCode`, or what stands in its place. Absent for a success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What the call touched: `bucket/key`, a user, a role, an instance … Absent where nothing is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// Product and major version of the user agent. Absent where it names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The account that the event is of: `recipientAccountId`, or the caller's. Absent where the record
    /// has neither.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// Path of the file that the record came from.
    pub file: String,
    /// Byte offset of the record in that file, uncompressed. Of a record of a table (flag `table`), a
    /// number that orders them: row x 2^33 + column x 2^24 + byte in the cell.
    pub offset: u64,
    /// Of a record of a table, its row, counted from 1 below the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// Of a record that a cell of a table holds as a whole, its column, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What was odd about the record: `repaired`, `time-from-timestamp`, `time-from-window`,
    /// `time-from-file`, `invalid-utf8`, `second-member`, `trailing-bytes`, `id-conflict` (another event
    /// has the same account and `eventID`, and different content), `future` (it is later than its file
    /// was delivered), `duplicate-keys` (an object has a key twice), `cut-off` (its file ends too early),
    /// `s3-notification`; what it was
    /// packed in, such as `line-prefix`, `in-message`, `utf-16` or `table`; and of a table
    /// `reconstructed` (the record was put together of columns), `ambiguous` and `map-text`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// What CloudTrail's digests say of the files that have the event: the best of them. Absent where nothing
    /// was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// What is looked up by the event's values in files of the operator's, by field: `geo.country`, `ioc`.
    /// Absent where nothing is found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<String, Vec<String>>,
    /// The event's values that are in a list of indicators. Absent where none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<Indicator>,
    /// The record as delivered, where that is not valid JSON; `event` is then its repaired form.
    /// Bytes that are not UTF-8 become U+FFFD. Absent for valid records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Who did what, on what, from where, when, with which kind of credentials and which outcome, in a
    /// sentence. `GET /v1/events/{id}` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

/// A value of an event that is in a list of indicators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Indicator {
    /// The list's name.
    pub list: String,
    /// The path of the value.
    pub path: String,
    /// The value.
    pub value: String,
    /// What the list says of it; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What went wrong, and where.
    pub error: ApiError,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiError {
    /// The kind of error, which also decides the HTTP status.
    pub kind: ErrorKind,
    /// What is wrong, in a sentence for a person.
    pub message: String,
    /// Byte offset of the error in the query's text; absent where the error has no place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// What would work instead; absent where traildex knows nothing better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl ApiError {
    /// An error with neither offset nor suggestion.
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

/// The kinds of error, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// 400: the query's text is not in the language.
    BadQuery,
    /// 400: no event has a field of that name.
    UnknownField,
    /// 400: anything else about the request.
    BadRequest,
    /// 401: the request to 'traildex web' lacks its token, or has another's.
    Unauthorized,
    /// 403: the client's user may not ask, may ask but not operate, or does not own the saved search; or
    /// a page of another origin asks.
    Forbidden,
    /// 404: no event, saved search or path has this name.
    NotFound,
    /// 405: the path exists, but not for this method.
    MethodNotAllowed,
    /// 410: the cursor is older than the last rebuild of the index.
    Gone,
    /// 409: the daemon cannot do it now, or needs an explicit confirmation.
    Conflict,
    /// 413: the request's body is larger than 1 MiB.
    TooLarge,
    /// 415: a browser's request has a body that is not said to be JSON.
    WrongType,
    /// 421: the request is for a host that is not known to be this daemon's.
    Misdirected,
    /// 429: too many searches wait, too much is unread or arriving, or the user has its share of
    /// connections, exports or tails.
    Busy,
    /// 503: the search reached its deadline.
    Timeout,
    /// 503: the daemon is not ready yet.
    Unavailable,
    /// 503: a part of the index that the search needs is damaged.
    Damaged,
    /// 503: a part of the index that the search needs could not be read; a later attempt may work.
    Io,
    /// 500: a fault of traildex.
    Internal,
}

impl ErrorKind {
    /// The HTTP status code that the answer has.
    pub fn http_status(self) -> u16 {
        match self {
            Self::BadQuery | Self::UnknownField | Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::WrongType => 415,
            Self::Misdirected => 421,
            Self::Busy => 429,
            Self::Internal => 500,
            Self::Timeout | Self::Unavailable | Self::Damaged | Self::Io => 503,
        }
    }
}
