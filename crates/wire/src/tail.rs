//! `GET /v1/tail`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hit;

/// `GET /v1/tail?q=…`: streams events as they enter the index, as server-sent events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TailRequest {
    /// A filter without stages; empty or `*` matches every event.
    #[serde(default, alias = "query")]
    pub q: String,
    /// The `id` of the last event received; the stream goes on behind it. The header
    /// `Last-Event-ID` can carry it, too. If absent, the stream starts now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The events that entered the index since the request's cursor.
#[derive(Clone, Debug)]
pub struct TailPage {
    /// The events, each with the cursor behind it.
    pub hits: Vec<(String, Hit)>,
    /// The cursor behind everything that was searched, matching or not.
    pub cursor: String,
    /// Whether more events are in the index already.
    pub has_more: bool,
    /// How the query was taken where it could have meant something else, and why events may be missing.
    pub warnings: Vec<String>,
}
