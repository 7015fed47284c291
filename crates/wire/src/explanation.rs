//! Why nothing was found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ExplainCondition;

/// Why a search found nothing: what each of its conditions finds by itself, which one leaves nothing,
/// and what there is in place of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// How many events the index has between the request's `start` and `end`.
    pub events: u64,
    /// Time of the index's earliest event; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Time of the index's latest event; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The parts that events must meet all of, or where the query is alternatives, these; each by
    /// itself, between `start` and `end`. At most twenty.
    pub conditions: Vec<ExplainCondition>,
    /// The first of these behind which nothing is left: the first that no event meets together with
    /// those before it. Or a `filter` behind `stats` that no row passes. Absent where `start` and `end`
    /// leave nothing, or where that was not found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptied_by: Option<String>,
    /// Conditions that are nearly those that no event meets, and that events meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<Near>,
    /// Words of the query that were searched as words, and are operators elsewhere, such as `between`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators_as_words: Vec<String>,
    /// What is missing here, in words: further conditions, or what there was no time for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A condition near one that no event meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Near {
    /// The condition that no event meets.
    pub instead_of: String,
    /// One that events meet, in the query language.
    pub condition: String,
    /// How many events meet it, between `start` and `end`.
    pub events: u64,
    /// How it differs.
    pub difference: Difference,
}

/// How a condition, or its value, differs from the one asked for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It is the same in another case.
    Case,
    /// It is the same value in another field.
    Field,
    /// It is a letter or two away.
    Spelling,
    /// It is asked for as a part of a value or a word, where it was compared with the whole.
    Part,
    /// It contains the one asked for.
    Longer,
    /// It asks for either of two that no event has both of.
    Either,
    /// It asks for the events without the field, where the value is how other tools write that.
    Missing,
    /// It is another of the few values that the field has.
    Other,
}

impl Difference {
    /// The difference in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Case => "another case",
            Self::Field => "another field",
            Self::Spelling => "spelled nearly so",
            Self::Part => "as a part; it was compared with the whole",
            Self::Longer => "contains it",
            Self::Either => "either of them; no event has both",
            Self::Missing => "the field is missing",
            Self::Other => "a value that the field has",
        }
    }
}
