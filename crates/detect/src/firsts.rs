//! What was seen first: values that had not been seen together for a time. Pure: of groups by day it
//! decides by their times.

use std::collections::BTreeMap;

use crate::ask::{Group, Span};
use crate::rule::FirstSeen;

/// Values that were seen first, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) values: Vec<String>,
    pub(crate) time: i64,
}

/// What a rule finds, in the order of time, and how many events lack one of its fields.
///
/// `span` is that of the archive, in whose first days nothing is new. A group is of one day, and a history
/// is a day at least, so that within a group nothing is seen first but its first event.
pub(crate) fn find(rule: &FirstSeen, groups: &[Group], span: Span) -> (Vec<First>, u64) {
    let mut seen: BTreeMap<Vec<String>, Vec<(i64, i64)>> = BTreeMap::new();
    let mut without = 0;
    for group in groups {
        let values = rule.keys.iter().zip(&group.values).map(|(key, values)| key.value(values));
        match values.collect::<Option<Vec<String>>>() {
            Some(values) => seen.entry(values).or_default().push((group.first, group.last)),
            None => without += group.count,
        }
    }
    let learned = span.start.saturating_add(rule.learning);
    let mut firsts = Vec::new();
    for (values, mut times) in seen {
        times.sort_unstable();
        let mut known_until = i64::MIN;
        for (first, last) in times {
            let is_new = first > known_until && first >= learned;
            if is_new {
                firsts.push(First { values: values.clone(), time: first });
            }
            known_until = known_until.max(last.saturating_add(rule.history));
        }
    }
    firsts.sort_by(|a, b| (a.time, &a.values).cmp(&(b.time, &b.values)));
    (firsts, without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Key;
    use language::ast::Expr;
    use serde_json::json;

    const DAY: i64 = 86_400_000_000;

    fn group(value: &str, first: i64, last: i64) -> Group {
        Group { count: 1, first: first * DAY, last: last * DAY, values: vec![vec![json!(value)]] }
    }

    #[track_caller]
    fn check(groups: &[Group], expected: &[(&str, i64)]) {
        let keys = vec![Key::named("awsRegion")];
        let rule = FirstSeen { condition: Expr::All, keys, history: 10 * DAY, learning: 5 * DAY };
        let span = Span { start: 0, end: 100 * DAY };
        let (found, _) = find(&rule, groups, span);
        let mut reversed = groups.to_vec();
        reversed.reverse();
        assert_eq!(find(&rule, &reversed, span).0, found, "whatever the order");
        let found: Vec<(&str, i64)> =
            found.iter().map(|first| (first.values[0].as_str(), first.time / DAY)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_not_seen_in_the_history_is_new() {
        check(&[group("a", 0, 0), group("b", 20, 20)], &[("b", 20)]);
        // Learned, and seen often enough ever since.
        check(&[group("a", 1, 1), group("a", 11, 11), group("a", 21, 21)], &[]);
        // Forgotten after ten days.
        check(&[group("a", 1, 1), group("a", 12, 12)], &[("a", 12)]);
        check(&[group("a", 5, 5)], &[("a", 5)]);
        check(&[group("a", 4, 4)], &[]);
    }

    #[test]
    fn events_without_the_field_are_counted() {
        let rule = FirstSeen {
            condition: Expr::All,
            keys: vec![Key::named("awsRegion")],
            history: DAY,
            learning: 0,
        };
        let none = Group { count: 7, first: 0, last: 0, values: vec![vec![json!(null)]] };
        assert_eq!(find(&rule, &[none], Span { start: 0, end: 1 }), (Vec::new(), 7));
    }
}
