//! That a rule found something, whoever asks: a hunt, or a daemon on an archive that grows.

use std::ops::Bound;

use language::ast::{Expr, FieldRef, Test, Value};

use crate::ask::written;
use crate::fields::Key;
use crate::firsts::First;
use crate::limits::IDS_MAX;
use crate::rule::{Absence, Correlation, FirstSeen};
use crate::window::{Found, Occurrence};

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The names of what the events have in common.
    pub names: Vec<String>,
    /// Its values.
    pub group: Vec<String>,
    /// The time of the decision. Of single events, it is the beginning of their period.
    pub at: i64,
    /// The time of the first event.
    pub first: i64,
    /// The time of the last.
    pub last: i64,
    /// How many there are.
    pub events: u64,
    /// The ids of the first.
    pub ids: Vec<String>,
    /// The condition that finds them.
    pub query: Option<Expr>,
}

impl Decision {
    /// What a window found.
    pub(crate) fn of_window(correlation: &Correlation, found: Found) -> Self {
        let names = correlation.group_by.first().map_or(&[][..], Vec::as_slice);
        Self {
            names: names_of(names),
            at: found.last,
            first: found.first,
            last: found.last,
            events: found.ids.len() as u64,
            query: by_ids(&found.ids),
            ids: found.ids.into_iter().take(IDS_MAX).collect(),
            group: found.group,
        }
    }

    /// Values that were seen first.
    pub(crate) fn of_first(rule: &FirstSeen, first: First) -> Self {
        let of_values = rule.keys.iter().zip(&first.values).map(|(key, value)| is(key, value));
        let at = between(first.time, first.time);
        let query = Expr::all_of([rule.condition.clone()].into_iter().chain(of_values).chain([at]));
        Self {
            names: names_of(&rule.keys),
            at: first.time,
            first: first.time,
            last: first.time,
            events: 1,
            ids: Vec::new(),
            query: Some(query),
            group: first.values,
        }
    }

    /// An event behind which another is missing.
    pub(crate) fn of_absence(absence: &Absence, found: Occurrence) -> Self {
        Self {
            names: names_of(&absence.group_by),
            at: found.time,
            first: found.time,
            last: found.time,
            events: 1,
            query: by_ids(std::slice::from_ref(&found.id)),
            group: found.group,
            ids: vec![found.id],
        }
    }
}

fn names_of(keys: &[Key]) -> Vec<String> {
    keys.iter().map(|key| key.name.clone()).collect()
}

/// The condition that a key has a value.
pub(crate) fn is(key: &Key, value: &str) -> Expr {
    let field =
        |field: &FieldRef| Expr::Field { field: field.clone(), test: Test::Is(Value::of(value)) };
    Expr::any_of(key.fields.iter().map(field))
}

/// The condition that an event is of these times, both included.
pub(crate) fn between(first: i64, last: i64) -> Expr {
    let bound = |time| Bound::Included(Value::of(written(time)));
    let test = Test::Range { lower: bound(first), upper: bound(last) };
    Expr::Field { field: FieldRef::named("time"), test }
}

/// The query for some events.
fn by_ids(ids: &[String]) -> Option<Expr> {
    let tests = ids.iter().take(IDS_MAX).map(|id| Test::Is(Value::of(id.as_str())));
    let tests: Vec<Test> = tests.collect();
    let field = FieldRef::at_path("eventID");
    (!tests.is_empty()).then(|| Expr::Field { field, test: Test::one_of(tests) })
}
