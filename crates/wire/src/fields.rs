//! Fields and their values: what a person explores, and what completion offers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/fields?prefix=…&limit=…&values=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldsRequest {
    /// Only fields that begin with this, in any case: their path, their path from any of its parts
    /// on, or their short name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// At most this many fields; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Also return this many of each field's most frequent values. The product with `limit` is at
    /// most 10,000. If absent, no values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<usize>,
}

/// The fields that events have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldsResponse {
    /// Most frequent fields first; fields in equally many events are sorted by path.
    pub fields: Vec<Field>,
    /// How many fields match, returned or not.
    pub total: u64,
    /// Why the answer may lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A field that at least one event has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// The full path in the record; for a field that traildex derives, its name.
    pub path: String,
    /// The path as a query has it, where that is not the path as it is: in quotes where it has other
    /// signs than names have, or is also the name of another field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A shorter name for it in queries: its short name, or the last part of its path where no
    /// other field ends the same. Absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
    /// The types of its values; a field can have several.
    pub types: Vec<FieldType>,
    /// How many events have it.
    pub events: u64,
    /// Its most frequent values, if requested. Times and ids have none, because nearly every event
    /// has a value of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ValueCount>>,
}

/// The type of a value.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Any text.
    Text,
    /// Whole numbers only.
    Integer,
    /// Numbers, some with a fraction.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A point in time.
    Time,
    /// Texts, some of which are IP addresses.
    Address,
}

impl FieldType {
    /// Every type, in the order of declaration.
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
    /// A text, a number or a boolean.
    pub value: Value,
    /// How many events have this value.
    pub events: u64,
}

/// `GET /v1/values?field=…&prefix=…&limit=…&q=…&start=…&end=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValuesRequest {
    /// The field, by any name that a query accepts.
    pub field: String,
    /// Only values whose text begins with this prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// At most this many values; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only values of events that match this filter, which has no stages.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "q", alias = "query")]
    pub query: Option<String>,
    /// Only values of events at or after this time, in the forms of a search's `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Only values of events before this time, in the same forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset. UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// The most frequent values of a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValuesResponse {
    /// The full path of the field.
    pub field: String,
    /// Most frequent values first; equally frequent ones in the order of the values. An event with
    /// several values counts for each.
    pub values: Vec<ValueCount>,
    /// How the filter was taken where it could have meant something else, and why the answer may
    /// lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
