//! Fields and their values, for those who explore and for completion.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/fields?prefix=…&limit=…&values=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldsRequest {
    /// Only fields whose path, or the rest of it from any of its parts on, or whose short name begins
    /// with this, upper and lower case alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// At most this many fields; [`crate::limits::FIELDS_LIMIT_DEFAULT`] where nothing says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// This many of the most frequent values of each field as well. Together with the limit at most
    /// [`crate::limits::VALUES_LIMIT_MAX`] values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<usize>,
}

/// The fields that events have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldsResponse {
    /// Those that the most events have first; of as many, by their paths.
    pub fields: Vec<Field>,
    /// How many there are, returned or not.
    pub total: u64,
    /// Why the answer may lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A field that some event has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// The full path; of what is derived, its name.
    pub path: String,
    /// A shorter name for it in queries: its short name, or the last part of its path where no other
    /// field is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
    /// The kinds of its values, of which there can be several.
    pub types: Vec<FieldType>,
    /// How many events have it.
    pub events: u64,
    /// Its most frequent values, where they are asked for. Times and ids have none: nearly every event
    /// has a value of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ValueCount>>,
}

/// What a value is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Text,
    Integer,
    /// Of numbers, some of which have fractions.
    Number,
    Boolean,
    Time,
    /// Of some texts, which are addresses too.
    Address,
}

impl FieldType {
    pub const ALL: [Self; 6] =
        [Self::Text, Self::Integer, Self::Number, Self::Boolean, Self::Time, Self::Address];
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Time => "time",
            Self::Address => "address",
        })
    }
}

/// A value, and how many events have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueCount {
    /// A text, a number or a truth value.
    pub value: Value,
    pub events: u64,
}

/// `GET /v1/values?field=…&prefix=…&limit=…&q=…&start=…&end=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValuesRequest {
    /// A field as queries name it.
    pub field: String,
    /// Only values whose text begins with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// At most this many values; [`crate::limits::VALUES_LIMIT_DEFAULT`] where nothing says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only of the events that this query's filter finds; it has no stages.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "q", alias = "query")]
    pub query: Option<String>,
    /// Only of events at or after this time, and before `end`; the forms of a search's `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset. UTC if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// The values of a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValuesResponse {
    /// The full path of the field.
    pub field: String,
    /// Those that the most events have first; of as many, in order. An event with several values counts
    /// under each.
    pub values: Vec<ValueCount>,
    /// Why the answer may lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
