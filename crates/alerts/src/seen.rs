//! How far the index was looked at, and by which rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When the index was begun; another index has other arrivals.
    pub begun: i64,
    /// Events of files from this number on were not looked at.
    pub next_file: u64,
    /// The times of the first and the last event then, in microseconds since 1970; None where there was
    /// none.
    pub span: Option<(i64, i64)>,
    /// The rules that looked, by what they are known by, and what they were then.
    pub rules: BTreeMap<String, String>,
    /// Rules that have not looked at all of that, and how far they did; None where they are to look at
    /// everything.
    pub behind: BTreeMap<String, Option<Behind>>,
    /// Rules that had too many alerts: none is raised whose last event is no later than this.
    pub horizons: BTreeMap<String, i64>,
    /// How many alerts were dropped because there were too many.
    pub dropped: u64,
}

/// How far a rule has looked that could not be asked, or rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Events of files from this number on were not looked at.
    pub next_file: u64,
    /// The times of the first and the last event then.
    pub span: Option<(i64, i64)>,
}
