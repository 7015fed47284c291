//! `POST /v1/export`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Order, QueryForm, SearchRequest, TotalMode};

/// What an export is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// The records as they were delivered, or rows as objects, one a line.
    #[default]
    Ndjson,
    /// One line an event or row. A text that a spreadsheet would take for a formula has a single quote
    /// before it.
    Csv,
    /// The columns of CSV, and the record, in Parquet with zstd.
    Parquet,
}

/// `POST /v1/export`: everything that a query finds, streamed. An answer that ends without the last
/// chunk is not whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// As in a search; of a query that makes rows, the rows are exported, where they are no more than
    /// a search can return.
    #[serde(default)]
    pub query: QueryForm,
    #[serde(default)]
    pub format: ExportFormat,
    /// Earliest event time, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default)]
    pub order: Order,
    /// A part of so many events, at most [`crate::limits::SEARCH_LIMIT_MAX`]: the header `traildex-cursor`
    /// is there if others follow. Without it, everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Of a part, or of a page of the same search: goes on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl ExportRequest {
    /// The search for a page of it.
    pub fn page(&self, limit: usize, cursor: Option<String>) -> SearchRequest {
        SearchRequest {
            query: self.query.clone(),
            start: self.start.clone(),
            end: self.end.clone(),
            time_zone: self.time_zone.clone(),
            limit: Some(limit),
            order: self.order,
            total: TotalMode::None,
            cursor,
            ..SearchRequest::default()
        }
    }
}
