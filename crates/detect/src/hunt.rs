//! A hunt: all rules, over the whole archive or a part of it.

use std::collections::{BTreeMap, HashMap};

use language::ast::{Expr, Test, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::absent;
use crate::ask::{Ask, AskError, Asker, Event, Span, too_many_events, written};
use crate::crowd;
use crate::decision::Decision;
use crate::fields::{Key, text};
use crate::firsts;
use crate::limits::{EVENTS_MAX, FINDINGS_MAX};
use crate::rule::{Absence, Correlation, FirstSeen, Kind, Rule};
use crate::window;
use crate::window::{Found, Occurrence};

/// What is hunted for, and when.
#[derive(Clone, Debug, Default)]
pub struct Hunt<'r> {
    /// All rules. Those that only correlations ask are not asked by themselves.
    pub rules: &'r [Rule],
    /// Which of them are asked, by their places.
    pub asked: Vec<usize>,
    /// From when on, as a person writes it.
    pub start: Option<String>,
    /// Until when.
    pub end: Option<String>,
}

/// What one rule found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hunted {
    /// The rule's place.
    #[serde(skip)]
    pub rule: usize,
    /// How many events its findings have; those that are in several count in each.
    pub events: u64,
    /// The findings, those with the most events first; of kinds that look at time, the earliest first.
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings_left_out: u64,
    /// How many events lack a field by which they would be grouped, and so count for nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub events_without_group: u64,
    /// How many events are so late that what should follow them may still come.
    #[serde(skip_serializing_if = "is_zero")]
    pub events_undecided: u64,
    /// The query that finds the events, for kinds that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Why the rule was not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Events that a rule found together: of one principal, or of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What they have in common: the names of fields, and their values.
    pub group: BTreeMap<String, String>,
    /// The time of the first.
    pub first: String,
    /// The time of the last.
    pub last: String,
    /// How many there are.
    pub events: u64,
    /// Their ids, a hundred at most, where the rule is of several events that make one finding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The query that finds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl From<Decision> for Finding {
    fn from(decision: Decision) -> Self {
        let Decision { names, group, first, last, events, ids, query, .. } = decision;
        let group = names.into_iter().zip(group).collect();
        Self {
            group,
            first: written(first),
            last: written(last),
            events,
            ids,
            query: query.map(|query| query.to_string()),
        }
    }
}

/// What the answers to a hunt told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How something was taken, and what answers may lack.
    pub warnings: Vec<String>,
    /// What the archive does not have of what was asked for, a line each.
    pub coverage: Vec<String>,
}

/// Asks all rules. `done` is told how many of them are. Returns what each found, in their order, and what
/// the answers told.
pub fn hunt(
    archive: &dyn Ask,
    hunt: &Hunt<'_>,
    mut done: impl FnMut(usize),
) -> Result<(Vec<Hunted>, Told), AskError> {
    let mut asker = Asker::new(archive);
    let asked = asker.span(hunt.start.as_deref(), hunt.end.as_deref())?;
    let all = match (&hunt.start, &hunt.end) {
        (None, None) => asked,
        (_, end) => asker.span(None, end.as_deref())?,
    };
    let mut hunter = asked
        .zip(all)
        .map(|(asked, all)| Hunter { all, ..Hunter::new(&mut asker, hunt.rules, asked) });
    let mut hunted = Vec::new();
    for (number, place) in hunt.asked.iter().enumerate() {
        // Without an event, nothing is found.
        let found =
            hunter.as_mut().map_or_else(|| Ok(Hunted::default()), |hunter| hunter.rule(*place));
        let failed =
            |error: AskError| Hunted { error: Some(error.to_string()), ..Hunted::default() };
        hunted.push(Hunted { rule: *place, ..found.unwrap_or_else(failed) });
        done(number + 1);
    }
    Ok((hunted, asker.told))
}

pub(crate) struct Hunter<'h, 'a> {
    asker: &'h mut Asker<'a>,
    rules: &'h [Rule],
    /// What is asked.
    asked: Span,
    /// The same from the archive's first event on.
    all: Span,
    /// What correlations found, by their places, that others refer to.
    known: HashMap<usize, Vec<Found>>,
}

impl<'h, 'a> Hunter<'h, 'a> {
    /// For what is asked, and nothing before it.
    pub(crate) fn new(asker: &'h mut Asker<'a>, rules: &'h [Rule], asked: Span) -> Self {
        Self { asker, rules, asked, all: asked, known: HashMap::new() }
    }

    fn rule(&mut self, place: usize) -> Result<Hunted, AskError> {
        match &self.rules[place].kind {
            Kind::Events(condition) => self.events(condition),
            Kind::Correlation(correlation) => self.correlation(correlation),
            Kind::FirstSeen(rule) => self.first_seen(rule),
            Kind::Absence(absence) => self.absence(absence),
        }
    }

    /// One finding for each principal.
    fn events(&mut self, condition: &Expr) -> Result<Hunted, AskError> {
        let keys = [Key::named("principal")];
        let groups = self.asker.groups(condition, &keys, false, self.asked)?;
        let mut merged: BTreeMap<String, (u64, i64, i64, Expr)> = BTreeMap::new();
        for group in groups {
            let name = keys[0].value(&group.values[0]).unwrap_or_else(|| "(none)".to_owned());
            let of_group = of_key(&keys[0], &group.values[0]);
            let entry = merged.entry(name);
            let (events, first, last, _) = entry.or_insert((0, i64::MAX, i64::MIN, of_group));
            *events += group.count;
            *first = group.first.min(*first);
            *last = group.last.max(*last);
        }
        let mut findings: Vec<(u64, Finding)> = Vec::new();
        for (name, (events, first, last, of_group)) in merged {
            let query = Expr::all_of([condition.clone(), of_group]).to_string();
            let group = BTreeMap::from([("principal".to_owned(), name)]);
            let (first, last) = (written(first), written(last));
            let (ids, query) = (Vec::new(), Some(query));
            findings.push((events, Finding { group, first, last, events, ids, query }));
        }
        findings
            .sort_by_key(|(events, finding)| (std::cmp::Reverse(*events), finding.first.clone()));
        let findings = findings.into_iter().map(|(_, finding)| finding).collect();
        Ok(Hunted { query: Some(condition.to_string()), ..hunted(findings) })
    }

    fn correlation(&mut self, correlation: &Correlation) -> Result<Hunted, AskError> {
        let (found, without) = self.correlated(correlation)?;
        let findings =
            found.into_iter().map(|found| Decision::of_window(correlation, found).into()).collect();
        Ok(Hunted { events_without_group: without, ..hunted(findings) })
    }

    /// What a correlation finds, and how many events have no group.
    pub(crate) fn correlated(
        &mut self,
        correlation: &Correlation,
    ) -> Result<(Vec<Found>, u64), AskError> {
        let of = correlation.test.measured();
        let (mut occurrences, mut without) = (Vec::new(), 0);
        for (at, place) in correlation.rules.iter().enumerate() {
            let group_by = &correlation.group_by[at];
            if let Kind::Correlation(inner) = &self.rules[*place].kind {
                without += self.of_correlation(*place, inner, (at, group_by), &mut occurrences)?;
                continue;
            }
            let condition = self.rules[*place].kind.condition().ok_or("it finds no events")?;
            let keys = [group_by.as_slice(), &of].concat();
            let crowd = match correlation.rules.len() {
                1 => crowd::events(self.asker, correlation, (condition, &keys), self.asked)?,
                _ => None,
            };
            let events = match crowd {
                Some((events, without_group)) => {
                    without += without_group;
                    events
                }
                None => self.asker.events(condition, &keys, self.asked)?,
            };
            for event in events {
                match occurrence(event, at, group_by, &of) {
                    Some(occurrence) => occurrences.push(occurrence),
                    None => without += 1,
                }
            }
            if occurrences.len() > EVENTS_MAX {
                return Err(too_many_events(EVENTS_MAX));
            }
        }
        Ok((window::find(correlation, occurrences), without))
    }

    /// What another correlation found, as events at the time when it was met. Returns how many have not
    /// the fields by which this one groups.
    fn of_correlation(
        &mut self,
        place: usize,
        inner: &Correlation,
        (at, group_by): (usize, &[Key]),
        occurrences: &mut Vec<Occurrence>,
    ) -> Result<u64, AskError> {
        let found = match self.known.get(&place) {
            Some(found) => found.clone(),
            None => self.correlated(inner)?.0,
        };
        self.known.insert(place, found.clone());
        let names: Vec<&str> =
            inner.group_by.first().into_iter().flatten().map(|key| key.name.as_str()).collect();
        let mut without = 0;
        for Found { group, last, ids, .. } in found {
            let value = |key: &Key| {
                let place = names.iter().position(|name| *name == key.name)?;
                group.get(place).cloned()
            };
            match group_by.iter().map(value).collect() {
                Some(group) => occurrences.push(Occurrence {
                    time: last,
                    id: ids.last().cloned().unwrap_or_default(),
                    rule: at,
                    group,
                    value: None,
                }),
                None => without += 1,
            }
        }
        Ok(without)
    }

    fn first_seen(&mut self, rule: &FirstSeen) -> Result<Hunted, AskError> {
        let groups = self.asker.groups(&rule.condition, &rule.keys, true, self.all)?;
        let (firsts, without) = firsts::find(rule, &groups, self.all);
        let asked = |time: i64| time >= self.asked.start && time < self.asked.end;
        let firsts = firsts.into_iter().filter(|first| asked(first.time));
        let findings = firsts.map(|first| Decision::of_first(rule, first).into()).collect();
        Ok(Hunted { events_without_group: without, ..hunted(findings) })
    }

    fn absence(&mut self, absence: &Absence) -> Result<Hunted, AskError> {
        let Absence { condition, of, group_by, within } = absence;
        let other = self.rules.get(*of).and_then(|rule| rule.kind.condition());
        let other = other.ok_or("it refers to no rule")?;
        let (events, without) = occurrences_of(self.asker, condition, group_by, self.asked)?;
        let (others, without_of_others) = occurrences_of(self.asker, other, group_by, self.all)?;
        let (found, undecided) = absent::find(events, others, *within, self.all.end);
        let findings =
            found.into_iter().map(|found| Decision::of_absence(absence, found).into()).collect();
        Ok(Hunted {
            events_without_group: without + without_of_others,
            events_undecided: undecided,
            ..hunted(findings)
        })
    }
}

fn hunted(mut findings: Vec<Finding>) -> Hunted {
    let events = findings.iter().map(|finding| finding.events).sum();
    let left_out = findings.len().saturating_sub(FINDINGS_MAX) as u64;
    findings.truncate(FINDINGS_MAX);
    Hunted { events, findings, findings_left_out: left_out, ..Hunted::default() }
}

/// The events of a condition that have a group, and how many have none.
pub(crate) fn occurrences_of(
    asker: &mut Asker<'_>,
    condition: &Expr,
    group_by: &[Key],
    span: Span,
) -> Result<(Vec<Occurrence>, u64), AskError> {
    let (mut found, mut without) = (Vec::new(), 0);
    if span.start < span.end {
        for event in asker.events(condition, group_by, span)? {
            match occurrence(event, 0, group_by, &[]) {
                Some(occurrence) => found.push(occurrence),
                None => without += 1,
            }
        }
    }
    Ok((found, without))
}

/// An event as an occurrence; None where it has no group.
pub(crate) fn occurrence(
    event: Event,
    rule: usize,
    group_by: &[Key],
    of: &[Key],
) -> Option<Occurrence> {
    let Event { time, id, values } = event;
    let (of_group, of_value) = values.split_at(group_by.len());
    let pairs = group_by.iter().zip(of_group);
    let group = pairs.map(|(key, values)| key.value(values)).collect::<Option<Vec<String>>>()?;
    let parts = of.iter().zip(of_value).map(|(key, values)| key.value(values));
    let parts: Option<Vec<String>> = parts.collect();
    let value = parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("\u{1f}"));
    Some(Occurrence { time, id, rule, group, value })
}

/// The condition that an event has these values of a key: that of the first field which has one.
pub(crate) fn of_key(key: &Key, values: &[Json]) -> Expr {
    let mut parts = Vec::new();
    for (field, value) in key.fields.iter().zip(values) {
        match text(value) {
            None => {
                parts.push(Expr::negate(Expr::Field { field: field.clone(), test: Test::Exists }));
            }
            Some(text) => {
                parts.push(Expr::Field { field: field.clone(), test: Test::Is(Value::of(text)) });
                break;
            }
        }
    }
    Expr::all_of(parts)
}
