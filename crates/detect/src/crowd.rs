//! Which events can be of a window that holds many of one group. A correlation of counts needs no others, and
//! in most archives they are few.
//!
//! A window is no longer than an interval of the clock, so it is in two of them that are neighbours. Where
//! so many events are in both, half of them are in one. So the index counts by group and interval, and the
//! events are asked for only around the intervals that have half of them: what is left out is in no window
//! with enough events, whatever else is in it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use language::ast::{Expr, FieldRef, Test, Value};

use crate::ask::{AskError, Asker, Event, Group, Span, written};
use crate::fields::Key;
use crate::hunt::of_key;
use crate::rule::{Correlation, Is, Limit, WindowTest};

const MINUTE: i64 = 60_000_000;

/// Longer windows are in intervals that nearly all events are in.
const MINUTES_MAX: u32 = 24 * 60;

/// Groups with their times that are asked for together, and in all: of more, all events are.
const SPANS_AT_ONCE_MAX: usize = 100;
const SPANS_MAX: usize = 300;

/// How many events a window must have at least, where more can never spoil it; None where they can, or
/// where one is enough.
fn least(test: &WindowTest) -> Option<u64> {
    let (WindowTest::Count(limits) | WindowTest::Values { limits, .. }) = test else { return None };
    let of_limit = |Limit { is, than }: &Limit| match is {
        Is::AtLeast => Some(than.ceil()),
        Is::More => Some(than.floor() + 1.0),
        Is::Less | Is::AtMost | Is::Equal | Is::Different => None,
    };
    let each = limits.iter().map(of_limit).collect::<Option<Vec<f64>>>()?;
    let least = each.into_iter().fold(0.0, f64::max);
    (2.0..1e9).contains(&least).then_some(least as u64)
}

/// The events of a correlation of one rule that can be in a window with enough of them, with the values of
/// some keys of which the first group them; and how many events have no group. None where all events must
/// be looked at.
pub(crate) fn events(
    asker: &mut Asker<'_>,
    correlation: &Correlation,
    (condition, keys): (&Expr, &[Key]),
    span: Span,
) -> Result<Option<(Vec<Event>, u64)>, AskError> {
    let minutes = correlation.within.saturating_add(MINUTE - 1) / MINUTE;
    let Ok(minutes) = u32::try_from(minutes) else { return Ok(None) };
    let [group_by] = &correlation.group_by[..] else { return Ok(None) };
    let Some(least) = least(&correlation.test).filter(|_| minutes <= MINUTES_MAX) else {
        return Ok(None);
    };
    // A key of several fields has one value for several groups of the index.
    if group_by.iter().any(|key| key.fields.len() != 1 || key.is_network) {
        return Ok(None);
    }
    let groups = asker.groups(condition, group_by, false, span)?;
    let (mut without, mut all, mut most) = (0, 0, 0);
    for Group { count, values, .. } in &groups {
        let has_all = group_by.iter().zip(values).all(|(key, values)| key.value(values).is_some());
        all += count;
        if has_all {
            most = most.max(*count);
        } else {
            without += count;
        }
    }
    // An event with several values is in several groups there, and in one of its own here.
    if all != asker.count(condition, span)? {
        return Ok(None);
    }
    if most < least {
        return Ok(Some((Vec::new(), without)));
    }
    let Some(dense) = asker.dense(condition, group_by, (minutes, least.div_ceil(2)), span)? else {
        return Ok(None);
    };
    let spans = spans(dense, group_by, i64::from(minutes) * MINUTE);
    if spans.len() > SPANS_MAX {
        return Ok(None);
    }
    let mut found: HashMap<String, Event> = HashMap::new();
    for some in spans.chunks(SPANS_AT_ONCE_MAX) {
        let of_some = Expr::any_of(
            some.iter().map(|(of_group, span)| Expr::all_of([of_group.clone(), during(*span)])),
        );
        let condition = Expr::all_of([condition.clone(), of_some]);
        for event in asker.events(&condition, keys, span)? {
            found.insert(format!("{event:?}"), event);
        }
    }
    Ok(Some((found.into_values().collect(), without)))
}

/// When the events of which groups are asked for.
fn spans(dense: Vec<Group>, group_by: &[Key], bin: i64) -> Vec<(Expr, Span)> {
    let mut by_group: BTreeMap<String, (Expr, Vec<i64>)> = BTreeMap::new();
    for Group { first, values, .. } in dense {
        let parts = group_by.iter().zip(&values);
        if parts.clone().any(|(key, values)| key.value(values).is_none()) {
            continue;
        }
        let of_group = Expr::all_of(parts.map(|(key, values)| of_key(key, values)));
        let entry = by_group.entry(of_group.to_string());
        entry.or_insert((of_group, Vec::new())).1.push(first);
    }
    let mut spans = Vec::new();
    for (of_group, mut bins) in by_group.into_values() {
        bins.sort_unstable();
        let mut open: Option<Span> = None;
        for first in bins {
            let around = Span { start: first - bin, end: first + 2 * bin };
            open = Some(match open {
                Some(before) if before.end >= around.start => Span { end: around.end, ..before },
                before => {
                    spans.extend(before.map(|before| (of_group.clone(), before)));
                    around
                }
            });
        }
        spans.extend(open.map(|last| (of_group, last)));
    }
    spans
}

fn during(Span { start, end }: Span) -> Expr {
    Expr::Field {
        field: FieldRef::named("time"),
        test: Test::Range {
            lower: Bound::Included(Value::of(written(start))),
            upper: Bound::Excluded(Value::of(written(end))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_more_events_cannot_spoil_asks_for_a_crowd() {
        let count = |limits: &[(Is, f64)]| {
            let limits = limits.iter().map(|(is, than)| Limit { is: *is, than: *than }).collect();
            least(&WindowTest::Count(limits))
        };
        assert_eq!(count(&[(Is::AtLeast, 5.0)]), Some(5));
        assert_eq!(count(&[(Is::More, 5.0)]), Some(6));
        assert_eq!(count(&[(Is::AtLeast, 4.5), (Is::More, 2.0)]), Some(5));
        // One event is enough, or more of them spoil it.
        assert_eq!(count(&[(Is::AtLeast, 1.0)]), None);
        assert_eq!(count(&[(Is::AtLeast, 5.0), (Is::Less, 9.0)]), None);
        assert_eq!(count(&[(Is::Equal, 5.0)]), None);
        assert_eq!(least(&WindowTest::InOrder), None);
    }

    #[test]
    fn events_are_asked_for_around_dense_intervals() {
        let key = [Key::named("userIdentity.arn")];
        let dense = |of: &str, minute: i64| Group {
            count: 5,
            first: minute * MINUTE,
            last: minute * MINUTE,
            values: vec![vec![json!(of)]],
        };
        let found = spans(
            vec![dense("a", 100), dense("b", 10), dense("a", 120), dense("a", 500), dense("", 1)],
            &key,
            10 * MINUTE,
        );
        let found: Vec<(String, i64, i64)> = found
            .into_iter()
            .map(|(of, span)| (of.to_string(), span.start / MINUTE, span.end / MINUTE))
            .collect();
        let of = |name: &str| of_key(&key[0], &[json!(name)]).to_string();
        assert_eq!(found, [(of("a"), 90, 140), (of("a"), 490, 520), (of("b"), 0, 30)]);
    }
}
