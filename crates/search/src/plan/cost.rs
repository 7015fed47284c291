//! What it takes to find the events of a condition, so that of several that must all be met the cheap ones
//! lead; and which conditions of an OR are one look at a field's values.

use crate::meaning::{EventField, EventMeaning, EventTest, Meaning, ValueMeaning};
use trail::columns;

/// From cheap to dear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// The index has them as they are asked.
    Terms,
    /// The values of a column that has few are looked at.
    FewValues,
    /// All values of a field are, or whether there is one.
    Values,
    /// Each event is looked at.
    Events,
    /// All words, or records.
    Records,
}

/// What a condition takes.
pub(super) fn cost(meaning: &EventMeaning) -> Cost {
    match meaning {
        Meaning::All => Cost::Terms,
        // The cheapest leads. What it leaves is asked for the others.
        Meaning::And(parts) => {
            parts.iter().map(cost).min().unwrap_or(Cost::Terms).max(Cost::FewValues)
        }
        Meaning::Or(parts) => parts.iter().map(cost).max().unwrap_or(Cost::Terms),
        Meaning::Not(inner) => cost(inner).max(Cost::FewValues),
        Meaning::Test(test) => of_test(test),
    }
}

fn of_test(test: &EventTest) -> Cost {
    match test {
        EventTest::Time(_) => Cost::Terms,
        EventTest::Words(_) => Cost::Records,
        EventTest::Compared { .. } => Cost::Events,
        EventTest::Value { field, test } => match (field, test) {
            (EventField::Column(_), ValueMeaning::Exact(_) | ValueMeaning::OneOf(_)) => Cost::Terms,
            (EventField::Column(id), ValueMeaning::AnyCase(_) | ValueMeaning::Wildcard(_))
                if [columns::EVENT_NAME, columns::EVENT_SOURCE].contains(id) =>
            {
                Cost::FewValues
            }
            (EventField::Column(id), ValueMeaning::Exists) if !id.column().is_unique => {
                Cost::Values
            }
            (EventField::Column(id), _) if id.column().is_unique => Cost::Records,
            (EventField::Column(_) | EventField::Paths(_), _) => Cost::Values,
            (EventField::Integrity(_) | EventField::Flag(_), _) => Cost::Events,
            (EventField::Below(_), _) => Cost::Records,
        },
    }
}

/// The parts of an AND, the cheap ones first; the others stay in their order.
pub(super) fn in_order_of_cost(parts: &[EventMeaning]) -> Vec<&EventMeaning> {
    let mut parts: Vec<&EventMeaning> = parts.iter().collect();
    parts.sort_by_key(|part| cost(part));
    parts
}

/// Parts of an OR that are planned together.
pub(super) struct Merged<'m> {
    pub(super) first: &'m EventMeaning,
    /// The field of which all ask for a pattern in any case, and their tests.
    pub(super) of_field: Option<(&'m EventField, Vec<&'m ValueMeaning>)>,
}

/// The parts of an OR, those of one field together, and the cheap ones first.
pub(super) fn merged(parts: &[EventMeaning]) -> Vec<Merged<'_>> {
    let mut merged: Vec<Merged<'_>> = Vec::new();
    for first in in_order_of_cost(parts) {
        let Meaning::Test(EventTest::Value { field, test: test @ ValueMeaning::AnyCase(_) }) =
            first
        else {
            merged.push(Merged { first, of_field: None });
            continue;
        };
        let mut others = merged.iter_mut().filter_map(|other| other.of_field.as_mut());
        match others.find(|(of, _)| *of == field) {
            Some((_, tests)) => tests.push(test),
            None => merged.push(Merged { first, of_field: Some((field, vec![test])) }),
        }
    }
    merged
}
