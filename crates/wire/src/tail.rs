//! `GET /v1/tail`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hit;

/// `GET /v1/tail?q=…`: events as they come into the index, as server-sent events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TailRequest {
    /// Which events; a filter, without stages. Empty or `*` is every event.
    #[serde(default, alias = "query")]
    pub q: String,
    /// The `id` of the last event that was received, which the header `Last-Event-ID` can carry, too: goes
    /// on behind it. Without one, what comes from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What has come since.
#[derive(Clone, Debug)]
pub struct TailPage {
    /// Each with the cursor behind it.
    pub hits: Vec<(String, Hit)>,
    /// Behind everything that was looked at.
    pub cursor: String,
    /// Whether more is there already.
    pub has_more: bool,
}
