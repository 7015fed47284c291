//! What is seen first on an archive that grows. What came in is compared with what is kept of it in memory;
//! where that does not know, the archive is asked.

use std::collections::{BTreeMap, BTreeSet};

use language::ast::Expr;

use crate::ask::{Ask, AskError, Asker, Group};
use crate::decision::Decision;
use crate::fields::values_of;
use crate::firsts::{self, First};
use crate::live::{Decided, Known, Scope, Touched, of_groups};
use crate::rule::FirstSeen;
use crate::sightings::Sightings;

/// What a rule keeps between decisions, so that it asks less. Without it, decisions are the same. It is of
/// the events that were there when the rule decided last.
#[derive(Clone, Debug, Default)]
pub struct Memory(Option<Sightings>);

impl Memory {
    /// That of an archive without events.
    pub fn of_nothing() -> Self {
        Self(Some(Sightings::of_nothing()))
    }

    /// How many times it has; see [`SIGHTINGS_MAX`](crate::limits::SIGHTINGS_MAX).
    pub fn times(&self) -> usize {
        self.0.as_ref().map_or(0, Sightings::len)
    }
}

/// What events that came in are to a rule.
pub(crate) enum OfNew {
    Decided(Decided),
    /// Decisions for which the archive is to be asked; None where there are none.
    Open(Option<Scope>),
}

/// Decides what came in touches, as far as memory knows.
pub(crate) fn of_new(
    new: &dyn Ask,
    rule: &FirstSeen,
    known: &Known,
    memory: &mut Memory,
) -> Result<OfNew, AskError> {
    let groups = Asker::small(new).groups(&rule.condition, &rule.keys, true, known.span())?;
    let touched = Touched::of(&groups, &rule.keys, false);
    // An archive that begins earlier has learned earlier.
    let learned = match known.before {
        Some((start, _)) if start > known.start => {
            Some(Scope { from: known.start, to: start.saturating_add(rule.learning), groups: None })
        }
        _ => None,
    };
    if let Some(sightings) = &mut memory.0 {
        let knows_all = sightings.know(touched.first) && learned.is_none();
        let decided = take_in(sightings, rule, &groups, &touched, known);
        if !sightings.make_room(rule, known.end) {
            memory.0 = None;
        }
        if knows_all {
            return Ok(decided.map_or(OfNew::Open(None), OfNew::Decided));
        }
    }
    let scope = Scope::of(touched);
    let scope = scope.map(|scope| Scope { to: scope.to.saturating_add(rule.history), ..scope });
    Ok(OfNew::Open(match learned {
        Some(learned) => Some(learned.and(scope)),
        None => scope,
    }))
}

/// Takes in what came in; returns what it changes, which is right where all is known of its times.
fn take_in(
    sightings: &mut Sightings,
    rule: &FirstSeen,
    groups: &[Group],
    touched: &Touched,
    known: &Known,
) -> Option<Decided> {
    let from = known.start.saturating_add(rule.learning).max(touched.first);
    let mut seen: BTreeMap<Vec<String>, Vec<(i64, i64)>> = BTreeMap::new();
    for group in groups {
        if let Some(values) = values_of(&rule.keys, &group.values) {
            seen.entry(values).or_default().push((group.first, group.last));
        }
    }
    let (mut changed, mut decisions) = (BTreeSet::new(), Vec::new());
    for (values, times) in seen {
        let before = sightings.firsts(&values, from);
        for (first, last) in times {
            sightings.add(rule, &values, first, last);
        }
        let after = sightings.firsts(&values, from);
        if before != after {
            let firsts = after.into_iter().map(|time| First { values: values.clone(), time });
            decisions.extend(firsts.map(|first| Decision::of_first(rule, first)));
            changed.insert(values);
        }
    }
    let scope = Scope { from, to: i64::MAX, groups: Some(changed) };
    let is_changed = scope.groups.as_ref().is_some_and(|groups| !groups.is_empty());
    is_changed.then_some(Decided { scope, decisions, events_without_group: 0 })
}

/// Decides by what the archive says.
pub(crate) fn by_archive(
    asker: &mut Asker<'_>,
    rule: &FirstSeen,
    scope: Scope,
    known: &Known,
    memory: &mut Memory,
) -> Result<Decided, AskError> {
    let keys = &rule.keys;
    let learned = known.start.saturating_add(rule.learning);
    let scope = Scope { from: scope.from.max(learned), ..scope };
    let back = scope.from.saturating_sub(rule.history).saturating_sub(1);
    let span = known.within(back, scope.to.saturating_add(1));
    let of_groups = of_groups(keys, scope.groups.as_ref());
    let are_all = of_groups == Expr::All && span.end == known.span().end;
    let filter = Expr::all_of([rule.condition.clone(), of_groups]);
    let groups =
        if span.start < span.end { asker.groups(&filter, keys, true, span)? } else { Vec::new() };
    if are_all && memory.0.is_none() {
        let asked_from = if span.start <= known.start { i64::MIN } else { span.start };
        let mut sightings = Sightings::of(rule, &groups, asked_from);
        memory.0 = sightings.make_room(rule, known.end).then_some(sightings);
    }
    let (firsts, without) = firsts::find(rule, &groups, known.span());
    let firsts = firsts.into_iter().filter(|first| scope.has(&first.values, first.time));
    let decisions = firsts.map(|first| Decision::of_first(rule, first)).collect();
    Ok(Decided { decisions, scope, events_without_group: without })
}
