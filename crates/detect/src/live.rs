//! Decisions of rules on an archive that grows. What came in touches some decisions; these are made anew,
//! over all that the archive has by then. So whatever came when, and however often, the decisions that
//! stand at the end are those that a hunt makes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use language::ast::{Bin, BinUnit, Expr};
use trail::limits::EXACT_BYTES_MAX;

use crate::absent;
use crate::ask::{Ask, AskError, Asker, Group, Span, too_many_events};
use crate::decision::{Decision, between, is};
use crate::fields::{Key, values_of};
use crate::hunt::{Hunter, occurrence, occurrences_of, of_key};
use crate::limits::LIVE_EVENTS_MAX;
use crate::newly::{self, Memory, OfNew};
use crate::rule::{Absence, Correlation, Kind, Rule, Suppress};
use crate::window;
use crate::window::{Found, Occurrence};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Groups by whose values events are asked for. Of more, all are.
const GROUPS_MAX: usize = 50;

/// What is known of the archive. Times are in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The time of its first event.
    pub start: i64,
    /// The time of its last event.
    pub end: i64,
    /// Both as they were when decisions were made last; None where none were.
    pub before: Option<(i64, i64)>,
    /// Events from before this may have been dropped, so what needs them is not decided anew.
    pub kept_from: i64,
}

impl Known {
    pub(crate) fn span(&self) -> Span {
        Span { start: self.start, end: self.end.saturating_add(1) }
    }

    /// The part of a span in which events can be.
    pub(crate) fn within(&self, start: i64, end: i64) -> Span {
        let all = self.span();
        Span { start: start.clamp(all.start, all.end), end: end.clamp(all.start, all.end) }
    }
}

/// Decisions of a rule that are to be made anew: those at these times, both included, on these groups; None
/// means all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) groups: Option<BTreeSet<Vec<String>>>,
}

impl Scope {
    /// All that a rule decides.
    pub fn all() -> Self {
        Self { from: i64::MIN, to: i64::MAX, groups: None }
    }

    /// Whether a decision is among them.
    pub fn has(&self, group: &[String], at: i64) -> bool {
        let is_of_group = self.groups.as_ref().is_none_or(|groups| groups.contains(group));
        is_of_group && at >= self.from && at <= self.to
    }

    pub(crate) fn of(touched: Touched) -> Option<Self> {
        let Touched { groups, first, last, are_known: _ } = touched;
        (!groups.is_empty()).then_some(Self { from: first, to: last, groups: Some(groups) })
    }

    /// One that has both.
    pub(crate) fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let groups = self.groups.zip(other.groups);
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            groups: groups.map(|(ours, theirs)| ours.into_iter().chain(theirs).collect()),
        }
    }
}

/// A decision that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The values of its group.
    pub group: Vec<String>,
    /// Its time.
    pub at: i64,
}

/// What was decided anew.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What takes the place of all earlier decisions within it.
    pub scope: Scope,
    /// What was found.
    pub decisions: Vec<Decision>,
    /// Events that belong to no group.
    pub events_without_group: u64,
}

/// Which decisions of a rule are touched by what came in.
fn touched(
    new: &dyn Ask,
    rules: &[Rule],
    place: usize,
    known: &Known,
) -> Result<Option<Scope>, AskError> {
    let mut asker = Asker::small(new);
    let of_events = matches!(rules[place].kind, Kind::Events(_));
    let mut found = |condition: &Expr, keys: &[Key]| -> Result<Touched, AskError> {
        let groups = asker.groups(condition, keys, false, known.span())?;
        let mut touched = Touched::of(&groups, keys, of_events);
        if !touched.groups.is_empty() && !of_events {
            // Events with several values are in several groups of a table, and in one of a window.
            let in_groups: u64 = groups.iter().map(|group| group.count).sum();
            touched.are_known &= in_groups == asker.count(condition, known.span())?;
        }
        Ok(touched)
    };
    match &rules[place].kind {
        Kind::Events(condition) => {
            let Suppress { by, period } = &rules[place].suppress;
            let scope = Scope::of(found(condition, by)?);
            Ok(scope.map(|scope| Scope { from: begin_of(scope.from, *period), ..scope }))
        }
        Kind::Correlation(correlation) if is_chain(rules, correlation) => {
            for place in base_rules(rules, place) {
                let Some(condition) = rules[place].kind.condition() else { continue };
                if !found(condition, &[])?.groups.is_empty() {
                    return Ok(Some(Scope::all()));
                }
            }
            Ok(None)
        }
        Kind::Correlation(correlation) => {
            let mut all = Touched::default();
            for (place, keys) in correlation.rules.iter().zip(&correlation.group_by) {
                let Some(condition) = rules[*place].kind.condition() else { continue };
                let touched = found(condition, keys)?;
                all.are_known &= touched.are_known;
                all.add(touched);
            }
            let are_known = all.are_known;
            let scope = Scope::of(all);
            Ok(scope.map(|scope| Scope { groups: scope.groups.filter(|_| are_known), ..scope }))
        }
        // Its memory says more; without it, all is right.
        Kind::FirstSeen(_) => Ok(Some(Scope::all())),
        Kind::Absence(absence) => {
            let other = rules.get(absence.of).and_then(|rule| rule.kind.condition());
            let other = other.ok_or("it refers to no rule")?;
            let (events, others) = (found(&absence.condition, &[])?, found(other, &[])?);
            let of_others = Scope::of(others)
                .map(|scope| Scope { from: scope.from.saturating_sub(absence.within), ..scope });
            // What was too late in the archive to know may be known by now.
            let undecided = match known.before {
                Some((_, end)) if end < known.end => {
                    Some(Scope { from: end.saturating_sub(absence.within), to: end, groups: None })
                }
                _ => None,
            };
            let scopes = [Scope::of(events), of_others, undecided].into_iter().flatten();
            let scope = scopes.reduce(|one, other| one.and(Some(other)));
            Ok(scope.map(|scope| Scope { groups: None, ..scope }))
        }
    }
}

/// Decides anew what came in touches; None where it touches nothing.
///
/// `new` answers for events that came in only; without it, all is decided anew. `all` answers for all
/// events. `standing` are the rule's decisions that stand. `memory` is what it kept when it decided last.
pub fn decide(
    (new, all): (Option<&dyn Ask>, &dyn Ask),
    rules: &[Rule],
    place: usize,
    standing: &[Standing],
    known: &Known,
    memory: &mut Memory,
) -> Result<Option<Decided>, AskError> {
    let kind = &rules[place].kind;
    let scope = match (new, kind) {
        (None, _) => Some(Scope::all()),
        (Some(new), Kind::FirstSeen(rule)) => match newly::of_new(new, rule, known, memory)? {
            OfNew::Decided(decided) => return Ok(Some(decided)),
            OfNew::Open(scope) => scope,
        },
        (Some(new), _) => touched(new, rules, place, known)?,
    };
    let Some(scope) = scope else { return Ok(None) };
    let mut asker = Asker::small(all);
    let decided = match kind {
        Kind::Events(condition) => {
            of_events(&mut asker, condition, &rules[place].suppress, scope, known)
        }
        Kind::Correlation(correlation) if is_chain(rules, correlation) => {
            let scope = Scope { from: known.kept_from, ..scope };
            let mut hunter = Hunter::new(&mut asker, rules, known.span());
            let (found, without) = hunter.correlated(correlation)?;
            Ok(of_found(correlation, scope, found, without))
        }
        Kind::Correlation(correlation) => {
            of_correlation(&mut asker, rules, correlation, scope, standing, known)
        }
        Kind::FirstSeen(rule) => newly::by_archive(&mut asker, rule, scope, known, memory),
        Kind::Absence(absence) => of_absence(&mut asker, rules, absence, scope, known),
    };
    decided.map(Some)
}

/// One decision for each period of those who are told apart: each principal and day, as a rule.
fn of_events(
    asker: &mut Asker<'_>,
    condition: &Expr,
    suppress: &Suppress,
    scope: Scope,
    known: &Known,
) -> Result<Decided, AskError> {
    let Suppress { by: keys, period } = suppress;
    // Of a period whose beginning may have been dropped, nothing is decided anew.
    let whole_from = match known.kept_from {
        i64::MIN => i64::MIN,
        kept_from => begin_of(kept_from.saturating_add(period - 1), *period),
    };
    let scope = Scope { from: scope.from.max(whole_from), ..scope };
    let span = known.within(scope.from, begin_of(scope.to, *period).saturating_add(*period));
    let filter = Expr::all_of([condition.clone(), of_groups(keys, scope.groups.as_ref())]);
    let mut merged: BTreeMap<(Vec<String>, i64), (Decision, Vec<Expr>)> = BTreeMap::new();
    for group in asker.groups_by_time(&filter, keys, Some(bin_of(*period)), span)? {
        let values = told_apart(keys, &group.values);
        let at = begin_of(group.first, *period);
        if !scope.has(&values, at) {
            continue;
        }
        let none = || Decision {
            names: keys.iter().map(|key| key.name.clone()).collect(),
            group: values.clone(),
            at,
            first: i64::MAX,
            last: i64::MIN,
            events: 0,
            ids: Vec::new(),
            query: None,
        };
        let (decision, of_who) =
            merged.entry((values.clone(), at)).or_insert_with(|| (none(), Vec::new()));
        decision.first = group.first.min(decision.first);
        decision.last = group.last.max(decision.last);
        decision.events += group.count;
        // One principal can stand in several fields.
        let who = keys.iter().zip(&group.values).map(|(key, values)| of_key(key, values));
        let who = Expr::all_of(who);
        if !of_who.contains(&who) {
            of_who.push(who);
        }
    }
    let decisions = merged.into_values().map(|(decision, of_who)| {
        let times = between(decision.first, decision.last);
        let query = Expr::all_of([condition.clone(), Expr::any_of(of_who), times]);
        Decision { query: Some(query), ..decision }
    });
    Ok(Decided { decisions: decisions.collect(), scope, events_without_group: 0 })
}

fn of_correlation(
    asker: &mut Asker<'_>,
    rules: &[Rule],
    correlation: &Correlation,
    scope: Scope,
    standing: &[Standing],
    known: &Known,
) -> Result<Decided, AskError> {
    let within = correlation.within;
    let decided_from = known.kept_from.saturating_add(within).max(scope.from);
    let scope = Scope { from: decided_from, ..scope };
    let mut armed: HashMap<Vec<String>, i64> = HashMap::new();
    for standing in standing.iter().filter(|standing| standing.at < scope.from) {
        let at = armed.entry(standing.group.clone()).or_insert(standing.at);
        *at = standing.at.max(*at);
    }
    // What comes later is decided anew as far as it is another than before.
    let mut reach = within.max(1);
    loop {
        let to = scope.to.max(scope.from).saturating_add(reach).min(known.end);
        let span = known.within(scope.from.saturating_sub(within), to.saturating_add(1));
        let (occurrences, without) =
            occurrences(asker, rules, correlation, scope.groups.as_ref(), span)?;
        let found = window::find_from(correlation, occurrences, scope.from, &armed);
        let wider = Scope { to, ..scope.clone() };
        if to >= known.end || is_as_before(&found, standing, &wider, within) {
            let to = if to >= known.end { i64::MAX } else { to };
            return Ok(of_found(correlation, Scope { to, ..wider }, found, without));
        }
        reach = reach.saturating_mul(4);
    }
}

/// Whether what was found and what stands leave each group alike at the end of a scope: all that follows is
/// decided as it was.
fn is_as_before(found: &[Found], standing: &[Standing], scope: &Scope, within: i64) -> bool {
    let open_from = scope.to.saturating_sub(within);
    let found = found.iter().filter(|found| found.last >= open_from);
    let found: BTreeSet<(&[String], i64)> =
        found.map(|found| (found.group.as_slice(), found.last)).collect();
    let stands =
        |standing: &&Standing| standing.at >= open_from && scope.has(&standing.group, standing.at);
    let standing = standing.iter().filter(stands);
    let standing: BTreeSet<(&[String], i64)> =
        standing.map(|standing| (standing.group.as_slice(), standing.at)).collect();
    found == standing
}

/// The events of a correlation's rules in a span, and how many have no group.
fn occurrences(
    asker: &mut Asker<'_>,
    rules: &[Rule],
    correlation: &Correlation,
    groups: Option<&BTreeSet<Vec<String>>>,
    span: Span,
) -> Result<(Vec<Occurrence>, u64), AskError> {
    let of = correlation.test.measured();
    let (mut occurrences, mut without) = (Vec::new(), 0);
    for (at, place) in correlation.rules.iter().enumerate() {
        let keys = &correlation.group_by[at];
        let condition = rules[*place].kind.condition().ok_or("it finds no events")?;
        let filter = Expr::all_of([condition.clone(), of_groups(keys, groups)]);
        for event in asker.events(&filter, &[keys.as_slice(), &of].concat(), span)? {
            match occurrence(event, at, keys, &of) {
                Some(event) if groups.is_none_or(|groups| groups.contains(&event.group)) => {
                    occurrences.push(event);
                }
                Some(_) => {}
                None => without += 1,
            }
        }
        if occurrences.len() > LIVE_EVENTS_MAX {
            return Err(too_many_events(LIVE_EVENTS_MAX));
        }
    }
    Ok((occurrences, without))
}

fn of_found(correlation: &Correlation, scope: Scope, found: Vec<Found>, without: u64) -> Decided {
    let found = found.into_iter().filter(|found| scope.has(&found.group, found.last));
    let decisions = found.map(|found| Decision::of_window(correlation, found)).collect();
    Decided { decisions, scope, events_without_group: without }
}

fn of_absence(
    asker: &mut Asker<'_>,
    rules: &[Rule],
    absence: &Absence,
    scope: Scope,
    known: &Known,
) -> Result<Decided, AskError> {
    let Absence { condition, of, group_by, within } = absence;
    let other = rules.get(*of).and_then(|rule| rule.kind.condition());
    let other = other.ok_or("it refers to no rule")?;
    let scope = Scope { from: scope.from.max(known.kept_from), ..scope };
    let end = scope.to.saturating_add(1);
    let (events, without) =
        occurrences_of(asker, condition, group_by, known.within(scope.from, end))?;
    let end = end.saturating_add(*within);
    let (others, without_of_others) =
        occurrences_of(asker, other, group_by, known.within(scope.from, end))?;
    let (found, _) = absent::find(events, others, *within, known.span().end);
    let decisions = found.into_iter().map(|found| Decision::of_absence(absence, found)).collect();
    Ok(Decided { decisions, scope, events_without_group: without + without_of_others })
}

/// The groups of events, and their times.
pub(crate) struct Touched {
    groups: BTreeSet<Vec<String>>,
    /// Whether these are the groups that windows have: a table cuts long values.
    are_known: bool,
    pub(crate) first: i64,
    last: i64,
}

impl Default for Touched {
    fn default() -> Self {
        Self { groups: BTreeSet::new(), are_known: true, first: i64::MAX, last: i64::MIN }
    }
}

impl Touched {
    /// Of single events, those without a value are a group of their own.
    pub(crate) fn of(groups: &[Group], keys: &[Key], of_events: bool) -> Self {
        let mut touched = Self::default();
        for group in groups.iter().filter(|group| group.count > 0) {
            let values = if of_events {
                Some(told_apart(keys, &group.values))
            } else {
                values_of(keys, &group.values)
            };
            let is_cut = |value: &String| value.len() >= EXACT_BYTES_MAX;
            touched.are_known &= !values.iter().flatten().any(is_cut);
            touched.groups.extend(values);
            touched.first = group.first.min(touched.first);
            touched.last = group.last.max(touched.last);
        }
        touched
    }

    fn add(&mut self, other: Self) {
        self.groups.extend(other.groups);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What stands for a value that there is not.
const NONE: &str = "(none)";

/// The values of some keys, of which some may be missing.
fn told_apart(keys: &[Key], values: &[Vec<serde_json::Value>]) -> Vec<String> {
    let values = keys.iter().zip(values).map(|(key, values)| key.value(values));
    values.map(|value| value.unwrap_or_else(|| NONE.to_owned())).collect()
}

/// The condition that events are of some groups; of few, that is worth asking.
pub(crate) fn of_groups(keys: &[Key], groups: Option<&BTreeSet<Vec<String>>>) -> Expr {
    let Some(groups) = groups.filter(|groups| groups.len() <= GROUPS_MAX) else { return Expr::All };
    let has_none = groups.iter().flatten().any(|value| value == NONE);
    if keys.is_empty() || has_none || keys.iter().any(|key| key.is_network) {
        return Expr::All;
    }
    let of_group = |group: &Vec<String>| {
        Expr::all_of(keys.iter().zip(group).map(|(key, value)| is(key, value)))
    };
    Expr::any_of(groups.iter().map(of_group))
}

fn is_chain(rules: &[Rule], correlation: &Correlation) -> bool {
    correlation.rules.iter().any(|place| matches!(rules[*place].kind, Kind::Correlation(_)))
}

/// The rules of events that a correlation is of in the end.
fn base_rules(rules: &[Rule], place: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![place];
    let mut seen = BTreeSet::new();
    while let Some(place) = open.pop() {
        if !seen.insert(place) {
            continue;
        }
        match &rules[place].kind {
            Kind::Correlation(correlation) => open.extend(&correlation.rules),
            _ => drop(found.insert(place)),
        }
    }
    found
}

/// The beginning of a time's period.
fn begin_of(time: i64, period: i64) -> i64 {
    time.div_euclid(period).saturating_mul(period)
}

/// The largest spans that are parts of each period.
fn bin_of(period: i64) -> Bin {
    let unit = if period % DAY == 0 {
        BinUnit::Day
    } else if period % (60 * MINUTE) == 0 {
        BinUnit::Hour
    } else {
        BinUnit::Minute
    };
    Bin { count: 1, unit }
}
