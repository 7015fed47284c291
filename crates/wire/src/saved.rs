//! Saved searches.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Order, TotalMode};

/// A search saved under a name: the body of `PUT /v1/saved/{name}`, and the answer to it and to
/// `GET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedSearch {
    /// The query's text; `$name` in place of a value is a parameter.
    pub query: String,
    /// What the search is for, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Defaults and descriptions of the query's parameters, by name. A parameter that is not listed
    /// has no default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    /// The `start` of a run that gives none; absent means no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The `end` of a run that gives none; absent means no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The time zone of a run that gives none; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The limit of a run that gives none; a search's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The order of a run that gives none; newest first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The uid of the user who saved it first, who may replace and delete it beside operators.
    /// The daemon sets it, whatever a request says. Absent where a version of traildex saved it that
    /// did not know; then only operators may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

/// One parameter of a saved search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its value in a run that gives none; if absent, each run must give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What the value means, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The answer to `GET /v1/saved`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedResponse {
    /// Every saved search, by name.
    pub saved: BTreeMap<String, SavedSearch>,
}

/// `POST /v1/saved/{name}/search`: runs a saved search. The answer is that of `POST /v1/search`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedRequest {
    /// Values of the query's parameters, by name without the `$`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Earliest event time, inclusive; the saved one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest event time, exclusive; the saved one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset; the saved one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How many events or rows to return; the saved limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Newest or oldest event first; the saved order if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How far to count the matches; all of them by default.
    #[serde(default)]
    pub total: TotalMode,
    /// The cursor of an earlier answer: the page starts behind that answer's last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Return, with each event, the values that match the query.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub highlights: bool,
    /// Where a table's rows are spans of time and nothing else, return those without an event, too.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub empty: bool,
    /// Return the steps of the search, and how many events each condition matches by itself.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub explain: bool,
}
