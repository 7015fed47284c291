//! `POST /v1/export`, and tickets for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Order, QueryForm, SearchRequest, TotalMode};

/// The file format of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// One line of JSON for each event, its record as delivered, or for each row, an object.
    #[default]
    Ndjson,
    /// One line for each event or row. A text that a spreadsheet would take for a formula gets a
    /// single quote in front.
    Csv,
    /// The columns of CSV and the whole record, in Parquet with zstd.
    Parquet,
}

/// `POST /v1/export`: everything that a query finds, streamed. A body without its last chunk is
/// incomplete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The same as in a search. A query that makes rows exports its rows. These, and events that are sorted
    /// or deduplicated, must fit the memory of a search.
    #[serde(default)]
    pub query: QueryForm,
    /// The file format; JSON lines by default.
    #[serde(default)]
    pub format: ExportFormat,
    /// Earliest event time, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset, and of days: `Europe/Berlin`. UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Newest or oldest event first; newest by default.
    #[serde(default)]
    pub order: Order,
    /// Export only this many events or rows, at most 10,000. The response header `traildex-cursor` is
    /// present if more follow; rows, and events that are sorted or deduplicated, have no cursor. If absent,
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The cursor of an earlier export with a limit, or of a page of the same search: the export
    /// starts behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl ExportRequest {
    /// The search for one page of this export.
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
            is_unexplained: true,
            is_streamed: self.limit.is_none(),
            ..SearchRequest::default()
        }
    }
}

/// The answer to `POST /v1/export/ticket`: who has the ticket gets that export, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    /// For `GET /v1/export?ticket=…`. It is a secret.
    pub ticket: String,
    /// Seconds until it is of no use.
    pub seconds: u64,
    /// What the answer to a search has as `warnings`, as far as it is known before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `GET /v1/export?ticket=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRequest {
    /// As `POST /v1/export/ticket` answered it.
    pub ticket: String,
}
