//! Correlations: events that come together within a time. Pure: of events in any order it decides by
//! their times, so how and when they arrived plays no part.
//!
//! A window slides; both of its ends are in it. It is looked at once all events of a time are in, because
//! most records have whole seconds. Each group has one finding, and can have another when so much time
//! has passed that no event is in both.

use std::collections::{BTreeMap, HashMap};

use crate::rule::{Correlation, Limit, Measure, Together, WindowTest};

/// An event of one of the rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Occurrence {
    pub(crate) time: i64,
    pub(crate) id: String,
    /// The place of its rule in the correlation.
    pub(crate) rule: usize,
    /// What it has in common with others.
    pub(crate) group: Vec<String>,
    /// What is counted or measured of it; None where it has no such value.
    pub(crate) value: Option<String>,
}

/// What a correlation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) group: Vec<String>,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The ids of its events, each once, in the order of time.
    pub(crate) ids: Vec<String>,
}

/// What a correlation finds, in the order of time.
pub(crate) fn find(correlation: &Correlation, occurrences: Vec<Occurrence>) -> Vec<Found> {
    find_from(correlation, occurrences, i64::MIN, &HashMap::new())
}

/// What a correlation finds at a time or later, where `before` has the last time at which each group had
/// a finding before that. So far back as the window reaches, the occurrences must be all there are.
pub(crate) fn find_from(
    correlation: &Correlation,
    occurrences: Vec<Occurrence>,
    from: i64,
    before: &HashMap<Vec<String>, i64>,
) -> Vec<Found> {
    let mut groups: BTreeMap<Vec<String>, Vec<Occurrence>> = BTreeMap::new();
    for occurrence in occurrences {
        groups.entry(occurrence.group.clone()).or_default().push(occurrence);
    }
    let mut found = Vec::new();
    for (group, mut occurrences) in groups {
        occurrences.sort_by(|a, b| (a.time, &a.id, a.rule).cmp(&(b.time, &b.id, b.rule)));
        occurrences.dedup_by(|a, b| (a.time, &a.id, a.rule) == (b.time, &b.id, b.rule));
        let last = before.get(&group);
        let armed_after = last.map_or(i64::MIN, |last| last.saturating_add(correlation.within));
        of_group(correlation, &group, &occurrences, (from, armed_after), &mut found);
    }
    found.sort_by(|a, b| (a.last, &a.group).cmp(&(b.last, &b.group)));
    found
}

fn of_group(
    correlation: &Correlation,
    group: &[String],
    occurrences: &[Occurrence],
    (from, mut armed_after): (i64, i64),
    found: &mut Vec<Found>,
) {
    let mut state = State::new(&correlation.test, correlation.rules.len(), occurrences);
    // The window is from `start` until before `end`.
    let (mut start, mut end) = (0, 0);
    while end < occurrences.len() {
        let time = occurrences[end].time;
        let tied = end;
        while end < occurrences.len() && occurrences[end].time == time {
            state.add(end);
            end += 1;
        }
        while occurrences[start].time < time.saturating_sub(correlation.within) {
            state.remove(start);
            start += 1;
        }
        state.follow(&occurrences[tied..end]);
        let is_met = state.is_met(time.saturating_sub(correlation.within));
        if !is_met || time <= armed_after || time < from {
            continue;
        }
        armed_after = time.saturating_add(correlation.within);
        let mut ids: Vec<String> = Vec::new();
        for occurrence in &occurrences[start..end] {
            // One event can be of several rules, one behind the other.
            if ids.last() != Some(&occurrence.id) {
                ids.push(occurrence.id.clone());
            }
        }
        found.push(Found {
            group: group.to_vec(),
            first: occurrences[start].time,
            last: time,
            ids,
        });
    }
}

/// What is known of the window, kept up to date event by event.
struct State<'t> {
    test: &'t WindowTest,
    occurrences: &'t [Occurrence],
    /// How many events are in the window, and how many of each rule.
    events: usize,
    of_rules: Vec<usize>,
    /// How often each value is in it.
    values: HashMap<&'t str, usize>,
    numbers: Numbers,
    /// For each rule, the chains of events of it and all before it, in order: of which the last began, and
    /// the event that it ends with.
    chains: Vec<Option<Chain>>,
}

#[derive(Clone, Debug)]
struct Chain {
    began: i64,
    ends_with: String,
}

impl<'t> State<'t> {
    fn new(test: &'t WindowTest, rules: usize, occurrences: &'t [Occurrence]) -> Self {
        let numbers = match test {
            WindowTest::Number { .. } => Numbers::of(occurrences),
            _ => Numbers::default(),
        };
        let (of_rules, chains) = (vec![0; rules], vec![None; rules]);
        Self { test, occurrences, events: 0, of_rules, values: HashMap::new(), numbers, chains }
    }

    fn add(&mut self, at: usize) {
        let Occurrence { rule, value, .. } = &self.occurrences[at];
        self.events += 1;
        self.of_rules[*rule] += 1;
        if let Some(value) = value {
            *self.values.entry(value).or_default() += 1;
        }
        self.numbers.change(at, 1);
    }

    fn remove(&mut self, at: usize) {
        let Occurrence { rule, value, .. } = &self.occurrences[at];
        self.events -= 1;
        self.of_rules[*rule] -= 1;
        if let Some(value) = value
            && let Some(count) = self.values.get_mut(value.as_str())
        {
            *count -= 1;
            if *count == 0 {
                self.values.remove(value.as_str());
            }
        }
        self.numbers.change(at, -1);
    }

    /// Lengthens chains by the events of one time, which are in whatever order makes them longer.
    fn follow(&mut self, tied: &[Occurrence]) {
        if *self.test != WindowTest::InOrder {
            return;
        }
        let earlier = self.chains.clone();
        for rule in 0..self.chains.len() {
            let before =
                rule.checked_sub(1).map(|at| [self.chains[at].clone(), earlier[at].clone()]);
            for Occurrence { time, id, .. } in tied.iter().filter(|event| event.rule == rule) {
                let began = match &before {
                    None => Some(*time),
                    // One event is not two of them.
                    Some(before) => {
                        let chains = before.iter().flatten();
                        chains
                            .filter(|chain| chain.ends_with != *id)
                            .map(|chain| chain.began)
                            .next()
                    }
                };
                let Some(began) = began else { continue };
                let chain = &mut self.chains[rule];
                if chain.as_ref().is_none_or(|chain| began >= chain.began) {
                    *chain = Some(Chain { began, ends_with: id.clone() });
                }
            }
        }
    }

    fn is_met(&self, since: i64) -> bool {
        let all = |limits: &[Limit], number: f64| limits.iter().all(|limit| limit.holds(number));
        match self.test {
            WindowTest::Count(limits) => all(limits, self.events as f64),
            WindowTest::Values { limits, .. } => all(limits, self.values.len() as f64),
            WindowTest::Number { measure, limits, .. } => {
                self.numbers.measure(*measure).is_some_and(|number| all(limits, number))
            }
            WindowTest::Together(together) => together.is_met(&self.of_rules),
            WindowTest::InOrder => self
                .chains
                .last()
                .is_some_and(|chain| chain.as_ref().is_some_and(|chain| chain.began >= since)),
        }
    }
}

impl Together {
    fn is_met(&self, of_rules: &[usize]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.is_met(of_rules)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(of_rules)),
            Self::Not(inner) => !inner.is_met(of_rules),
            Self::Rule(place) => of_rules[*place] > 0,
        }
    }
}

/// The numbers of the window, in a tree over all numbers of the group: each step is a walk of its
/// height.
#[derive(Default)]
struct Numbers {
    /// The rank of each event's number, from 1; 0 for an event without one.
    ranks: Vec<usize>,
    sorted: Vec<f64>,
    /// A Fenwick tree of how many of each rank are in the window.
    tree: Vec<i64>,
    count: i64,
    sum: f64,
}

impl Numbers {
    fn of(occurrences: &[Occurrence]) -> Self {
        let number = |occurrence: &Occurrence| {
            let number: f64 = occurrence.value.as_ref()?.parse().ok()?;
            number.is_finite().then_some(number)
        };
        let numbers: Vec<Option<f64>> = occurrences.iter().map(number).collect();
        let mut sorted: Vec<f64> = numbers.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup_by(|a, b| a.total_cmp(b).is_eq());
        let rank = |number: Option<f64>| {
            number.map_or(0, |number| sorted.partition_point(|other| *other < number) + 1)
        };
        let ranks = numbers.into_iter().map(rank).collect();
        let tree = vec![0; sorted.len() + 1];
        Self { ranks, sorted, tree, count: 0, sum: 0.0 }
    }

    fn change(&mut self, at: usize, by: i64) {
        let Some(rank) = self.ranks.get(at).copied().filter(|rank| *rank > 0) else { return };
        self.count += by;
        self.sum += self.sorted[rank - 1] * by as f64;
        if self.count == 0 {
            // What rounding left behind.
            self.sum = 0.0;
        }
        let mut place = rank;
        while place < self.tree.len() {
            self.tree[place] += by;
            place += place & place.wrapping_neg();
        }
    }

    fn measure(&self, measure: Measure) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        Some(match measure {
            Measure::Sum => self.sum,
            Measure::Avg => self.sum / self.count as f64,
            Measure::Percentile(percentile) => {
                // The mean of both neighbours where it falls between two, as usual.
                let place = percentile / 100.0 * (self.count - 1) as f64;
                let (low, high) = (self.nth(place.floor() as i64), self.nth(place.ceil() as i64));
                low + (high - low) * place.fract()
            }
        })
    }

    /// The number at a place among those of the window, from 0.
    fn nth(&self, place: i64) -> f64 {
        let (mut at, mut left) = (0, place);
        let mut step = self.tree.len().next_power_of_two();
        while step > 0 {
            let next = at + step;
            if next < self.tree.len() && self.tree[next] <= left {
                left -= self.tree[next];
                at = next;
            }
            step /= 2;
        }
        self.sorted[at.min(self.sorted.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Is;

    const SECOND: i64 = 1_000_000;

    fn correlation(rules: usize, within: i64, test: WindowTest) -> Correlation {
        let (rules, within) = ((0..rules).collect(), within * SECOND);
        Correlation { rules, group_by: Vec::new(), within, test }
    }

    fn at_least(than: f64) -> Vec<Limit> {
        vec![Limit { is: Is::AtLeast, than }]
    }

    /// Events as `rule@second` or `rule@second=value`.
    fn events(text: &str) -> Vec<Occurrence> {
        let event = |(number, word): (usize, &str)| {
            let (rule, rest) = word.split_once('@').unwrap();
            let (time, value) = rest.split_once('=').map_or((rest, None), |(t, v)| (t, Some(v)));
            Occurrence {
                time: time.parse::<i64>().unwrap() * SECOND,
                id: format!("e{number}"),
                rule: rule.parse().unwrap(),
                group: vec!["g".to_owned()],
                value: value.map(str::to_owned),
            }
        };
        text.split_whitespace().enumerate().map(event).collect()
    }

    /// The seconds of first and last event of each finding.
    fn found(correlation: &Correlation, text: &str) -> Vec<(i64, i64)> {
        let mut events = events(text);
        let found = find(correlation, events.clone());
        // Whatever the order is in which they come, and if they come twice.
        events.reverse();
        let again = [events.clone(), events].concat();
        assert_eq!(find(correlation, again), found, "{text}");
        found.iter().map(|found| (found.first / SECOND, found.last / SECOND)).collect()
    }

    #[test]
    fn a_window_slides_and_both_ends_are_in_it() {
        let count = correlation(1, 60, WindowTest::Count(at_least(3.0)));
        assert_eq!(found(&count, "0@0 0@30 0@60"), [(0, 60)]);
        assert_eq!(found(&count, "0@0 0@30 0@61"), []);
        // Fixed minutes would miss these.
        assert_eq!(found(&count, "0@50 0@55 0@65"), [(50, 65)]);
        // All events of one second are in.
        let all = find(&count, events("0@0 0@0 0@0 0@0"));
        assert_eq!(all[0].ids.len(), 4);
    }

    #[test]
    fn a_group_has_one_finding_until_no_event_is_in_both() {
        let count = correlation(1, 60, WindowTest::Count(at_least(2.0)));
        assert_eq!(found(&count, "0@0 0@1 0@2 0@59 0@61 0@62 0@63"), [(0, 1), (2, 62)]);
        assert_eq!(found(&count, "0@0 0@1 0@62 0@63"), [(0, 1), (62, 63)]);
    }

    #[test]
    fn groups_are_apart() {
        let count = correlation(1, 60, WindowTest::Count(at_least(2.0)));
        let mut events = events("0@0 0@1 0@2 0@3");
        events[1].group = vec!["other".to_owned()];
        events[3].group = vec!["other".to_owned()];
        let found = find(&count, events);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].ids, ["e0", "e2"]);
    }

    #[test]
    fn values_are_counted_once_and_an_event_without_one_counts_nothing() {
        let of = Vec::new();
        let values = correlation(1, 60, WindowTest::Values { of, limits: at_least(3.0) });
        assert_eq!(found(&values, "0@0=a 0@1=a 0@2=b 0@3 0@4=c"), [(0, 4)]);
        // `a` has left the window when `c` comes.
        assert_eq!(found(&values, "0@0=a 0@30=b 0@61=c"), []);
    }

    #[test]
    fn numbers_are_measured() {
        let of = || crate::fields::Key::named("x");
        let test = |measure| WindowTest::Number { of: of(), measure, limits: at_least(10.0) };
        let sum = correlation(1, 60, test(Measure::Sum));
        assert_eq!(found(&sum, "0@0=4 0@1=x 0@2=5.5 0@3=0.5"), [(0, 3)]);
        assert_eq!(found(&sum, "0@0=4 0@30=4 0@61=5"), []);
        let avg = correlation(1, 60, test(Measure::Avg));
        assert_eq!(found(&avg, "0@0=1 0@1=9 0@2=21"), [(0, 2)]);
        let median = correlation(1, 60, test(Measure::Percentile(50.0)));
        assert_eq!(found(&median, "0@0=1 0@1=10 0@2=9 0@3=11 0@4=30"), [(0, 4)]);
        assert_eq!(found(&median, "0@0=8 0@1=12"), [(0, 1)]);
    }

    #[test]
    fn rules_come_together_in_any_order_or_in_theirs() {
        let all = Together::All((0..2).map(Together::Rule).collect());
        let together = correlation(2, 60, WindowTest::Together(all));
        let in_order = correlation(2, 60, WindowTest::InOrder);
        assert_eq!(found(&together, "1@0 0@10"), [(0, 10)]);
        assert_eq!(found(&in_order, "1@0 0@10"), []);
        assert_eq!(found(&in_order, "1@0 0@10 1@20"), [(0, 20)]);
        assert_eq!(found(&in_order, "0@0 1@61"), []);
        // Seconds are all that there is: within one, they are in order.
        assert_eq!(found(&in_order, "1@5 0@5"), [(5, 5)]);
        let only =
            Together::All(vec![Together::Rule(0), Together::Not(Box::new(Together::Rule(1)))]);
        let only = correlation(2, 60, WindowTest::Together(only));
        assert_eq!(found(&only, "1@0 0@10 0@100"), [(100, 100)]);
    }

    #[test]
    fn one_event_is_not_two_of_a_sequence() {
        let in_order = correlation(2, 60, WindowTest::InOrder);
        let mut both = events("0@0 1@0");
        both[1].id = both[0].id.clone();
        assert_eq!(find(&in_order, both.clone()), []);
        let more = events("0@1 0@1 1@2");
        both.push(more[2].clone());
        assert_eq!(find(&in_order, both).len(), 1);
        // Its being the first of another sequence does not hide that it ends this one.
        let mut again = events("0@0 0@10 1@10");
        again[2].id = again[1].id.clone();
        assert_eq!(find(&in_order, again).len(), 1);
    }

    #[test]
    fn numbers_of_many_events_are_found_by_place() {
        let numbers = [5.0, 1.0, 4.0, 1.0, 3.0, 9.0];
        let occurrences: Vec<Occurrence> =
            events(&numbers.iter().map(|n| format!("0@0={n}")).collect::<Vec<_>>().join(" "));
        let mut window = Numbers::of(&occurrences);
        for at in 0..numbers.len() {
            window.change(at, 1);
        }
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        for (place, expected) in sorted.iter().enumerate() {
            assert_eq!(window.nth(place as i64).total_cmp(expected), std::cmp::Ordering::Equal);
        }
    }
}
