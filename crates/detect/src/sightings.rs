//! When values were seen, kept between passes, so that what comes in is compared and not asked for again.
//!
//! For each values: spans of time without a pause as long as a history. What begins a span was seen first.
//! Spans do not depend on the order in which events come in. Values are kept as hashes of 64 bits with a
//! key that nobody outside knows: of a million, two are taken for one in one of 30 million archives.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use crate::ask::Group;
use crate::fields::values_of;
use crate::limits::SIGHTINGS_MAX;
use crate::rule::FirstSeen;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Sightings {
    seed: RandomState,
    /// By values and first time: the last time.
    spans: BTreeMap<(u64, i64), i64>,
    /// What events from this time on are is known: all that is a history older is in the spans.
    known_from: i64,
}

impl Sightings {
    /// Those of an archive's groups by day. `asked_from` is from when on they were asked for.
    pub(crate) fn of(rule: &FirstSeen, groups: &[Group], asked_from: i64) -> Self {
        let known_from = asked_from.saturating_add(rule.history);
        let mut sightings = Self { known_from, ..Self::of_nothing() };
        for group in groups {
            if let Some(values) = values_of(&rule.keys, &group.values) {
                sightings.add(rule, &values, group.first, group.last);
            }
        }
        sightings
    }

    /// Those of an archive without events.
    pub(crate) fn of_nothing() -> Self {
        Self { seed: RandomState::new(), spans: BTreeMap::new(), known_from: i64::MIN }
    }

    /// Whether all is known that says what an event of that time is.
    pub(crate) fn know(&self, time: i64) -> bool {
        time >= self.known_from
    }

    /// How many spans there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// When the values were seen first, of all times from one on.
    pub(crate) fn firsts(&self, values: &[String], from: i64) -> Vec<i64> {
        let key = self.key(values);
        let spans = self.spans.range((key, from.max(self.known_from))..=(key, i64::MAX));
        spans.map(|((_, first), _)| *first).collect()
    }

    /// Takes in that values were seen between two times, without a pause as long as a history.
    pub(crate) fn add(&mut self, rule: &FirstSeen, values: &[String], first: i64, last: i64) {
        let key = self.key(values);
        let (mut begin, mut end) = (first, last);
        let near = ..=(key, last.saturating_add(rule.history));
        // Those that touch it; all others are further away from them than a history.
        while let Some((&(of, from), &to)) = self.spans.range(near).next_back() {
            if of != key || to.saturating_add(rule.history) < first {
                break;
            }
            self.spans.remove(&(of, from));
            (begin, end) = (from.min(begin), to.max(end));
        }
        self.spans.insert((key, begin), end);
    }

    /// Forgets what is long over, where there is too much. `end` is the archive's. Returns whether it is
    /// worth keeping.
    pub(crate) fn make_room(&mut self, rule: &FirstSeen, end: i64) -> bool {
        if self.spans.len() > SIGHTINGS_MAX {
            let over = end.saturating_sub(rule.history.saturating_mul(2));
            self.spans.retain(|_, last| *last >= over);
            self.known_from = over.saturating_add(rule.history).max(self.known_from);
        }
        self.spans.len() <= SIGHTINGS_MAX
    }

    fn key(&self, values: &[String]) -> u64 {
        self.seed.hash_one(values)
    }
}

#[cfg(test)]
mod tests {
    use language::ast::Expr;
    use serde_json::json;

    use super::*;
    use crate::ask::Span;
    use crate::fields::Key;
    use crate::firsts;

    const DAY: i64 = 86_400_000_000;

    fn rule() -> FirstSeen {
        let keys = vec![Key::named("awsRegion")];
        FirstSeen { condition: Expr::All, keys, history: 3 * DAY, learning: 0 }
    }

    fn group(value: u64, time: i64) -> Group {
        Group { count: 1, first: time, last: time, values: vec![vec![json!(value.to_string())]] }
    }

    /// Numbers by chance.
    fn random() -> impl FnMut(u64) -> u64 {
        let (state, mut turn) = (RandomState::new(), 0_u64);
        move |below| {
            turn += 1;
            state.hash_one(turn) % below
        }
    }

    fn all_firsts(sightings: &Sightings, from: i64) -> Vec<(String, i64)> {
        let of = |value: u64| {
            let values = [value.to_string()];
            let firsts = sightings.firsts(&values, from);
            firsts.into_iter().map(move |time| (value.to_string(), time)).collect::<Vec<_>>()
        };
        let mut found: Vec<(String, i64)> = (0..4).flat_map(of).collect();
        found.sort();
        found
    }

    fn by_groups(groups: &[Group], from: i64) -> Vec<(String, i64)> {
        let span = Span { start: 0, end: 100 * DAY };
        let (firsts, _) = firsts::find(&rule(), groups, span);
        let firsts = firsts.into_iter().filter(|first| first.time >= from);
        let mut found: Vec<(String, i64)> =
            firsts.map(|first| (first.values[0].clone(), first.time)).collect();
        found.sort();
        found
    }

    #[test]
    fn firsts_are_those_of_groups_in_whatever_order_they_come() {
        let mut random = random();
        for _ in 0..300 {
            let mut groups = Vec::new();
            let mut sightings = Sightings::of(&rule(), &[], i64::MIN);
            for _ in 0..25 {
                // Often to the day apart.
                let time = random(40) as i64 * DAY + random(2) as i64;
                let group = group(random(4), time);
                sightings.add(
                    &rule(),
                    &[group.values[0][0].as_str().unwrap().to_owned()],
                    time,
                    time,
                );
                groups.push(group);
                assert_eq!(all_firsts(&sightings, 0), by_groups(&groups, 0));
            }
            let at_once = Sightings::of(&rule(), &groups, i64::MIN);
            assert_eq!(all_firsts(&at_once, 0), by_groups(&groups, 0));
        }
    }

    #[test]
    fn what_was_asked_for_in_part_or_forgotten_is_not_said_to_be_known() {
        let groups: Vec<Group> = (0..40).map(|n| group(n % 4, n as i64 * DAY / 2)).collect();
        let part: Vec<Group> =
            groups.iter().filter(|group| group.first >= 8 * DAY).cloned().collect();
        let sightings = Sightings::of(&rule(), &part, 8 * DAY);
        assert!(sightings.know(11 * DAY) && !sightings.know(11 * DAY - 1));
        assert_eq!(all_firsts(&sightings, 0), by_groups(&groups, 11 * DAY));
    }

    #[test]
    fn what_is_long_over_is_forgotten_where_there_is_too_much() {
        let rule = rule();
        let mut sightings = Sightings::of(&rule, &[], i64::MIN);
        let many = SIGHTINGS_MAX as i64;
        for n in 0..=many {
            sightings.add(&rule, &[n.to_string()], n, n);
        }
        sightings.add(&rule, &["later".to_owned()], 20 * DAY, 20 * DAY);
        assert!(sightings.make_room(&rule, 20 * DAY));
        assert_eq!(sightings.len(), 1);
        assert!(sightings.know(17 * DAY) && !sightings.know(17 * DAY - 1));
        // All of it is of today.
        for n in 0..=many {
            sightings.add(&rule, &[n.to_string()], 20 * DAY, 20 * DAY);
        }
        assert!(!sightings.make_room(&rule, 20 * DAY));
    }
}
