//! Explains why a search found nothing. In an investigation "no events" is read as "it did not happen",
//! so an empty answer says what each condition finds by itself, which one leaves nothing, and which
//! values are near those that no event has.
//!
//! An explanation never fails a search. It takes a bounded time of the search's own, and says what it
//! had no time for.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Search;
use super::explain::Steps;
use super::fetch::fetch_up_to;
use super::highlight::Highlighter;
use super::looser::looser;
use crate::collect::{Counting, Wanted, collect};
use crate::lookups::Lookups;
use crate::notes::Notes;
use language::ast::{Expr, FieldRef, PatternPiece, Query, Test, Value};
use language::check::{Checked, RowStage};
use trail::columns;
use trail::columns::ColumnId;
use wire::limits::{EXPLANATION_CONDITIONS_MAX, PAGE_BYTES_MAX};
use wire::{ApiError, Difference, Explanation, Near, Order, SearchResponse, TotalMode};

/// A person waits that long for a reason; a program that expects nothing is not held up for longer.
const TIME_MAX: Duration = Duration::from_millis(500);

/// Values of a field that are compared with one that no event has, the most frequent first.
const VALUES_COMPARED_MAX: usize = 5_000;

/// Near values that are told for each value that no event has.
const NEAR_MAX: usize = 3;

/// Events in which a value is looked for in other fields.
const EVENTS_LOOKED_AT: usize = 20;

/// Other fields of a value that are told.
const OTHER_FIELDS_MAX: usize = 5;

/// Values of a field that are told where none is near, if it has no more than so many; and how many of these.
const FEW_VALUES_MAX: usize = 12;
const OTHERS_MAX: usize = 4;

/// Shorter values are near to too many others.
const NEAR_CHARS_MIN: usize = 3;

/// A longer value is not told as one that contains what was asked for: nobody reads it, and the wildcard
/// finds it.
const CONTAINING_BYTES_MAX: usize = 80;

/// From this length on, a value may differ in two letters.
const TWO_EDITS_CHARS_MIN: usize = 8;

/// What is an operator in some query language, and was searched as a word.
const OPERATORS: [&str; 16] = [
    "and", "or", "not", "in", "is", "like", "between", "contains", "matches", "where", "select",
    "from", "xor", "&&", "||", "==",
];

/// The fields whose values people search for without a field.
const NAMES: [ColumnId; 5] = [
    columns::EVENT_NAME,
    columns::EVENT_SOURCE,
    columns::ERROR_CODE,
    columns::AWS_REGION,
    columns::ACTOR,
];

/// Says why an answer is empty; None where it is not, or where nothing restricts the search.
pub(super) fn explain_empty(
    search: &Search<'_>,
    query: &Checked,
    answer: &SearchResponse,
) -> Option<Explanation> {
    let (filter, stages) = match query {
        Checked::Events(query) => (&query.filter, &[][..]),
        Checked::Rows(query) => (&query.filter, &query.stages[..]),
    };
    let cancel = search.cancel.within(TIME_MAX);
    // Of the same clock and bounds, and with no steps and notes to tell of.
    let (steps, notes) = (Steps::default(), Notes::default());
    let (cursor, odd) = (None, OnceCell::new());
    let among = search.among.clone();
    let lookups = Lookups::new(Arc::clone(&search.lookups.of));
    let search = Search { cancel: &cancel, cursor, among, steps, notes, odd, lookups, ..*search };
    if answer.total.value > 0 {
        return rows_filtered(&search, filter, stages, answer);
    }
    if answer.table.as_ref().is_some_and(|table| table.rows_total > 0) && *filter == Expr::All {
        return None;
    }
    let mut explanation = Explanation::default();
    if fill(&search, filter, &mut explanation).is_err() {
        explanation.left_out.push("there was no time for more".to_owned());
    }
    Some(explanation)
}

/// Events were found, and the filter of a table has left no row of them.
fn rows_filtered(
    search: &Search<'_>,
    of_events: &Expr,
    stages: &[RowStage],
    answer: &SearchResponse,
) -> Option<Explanation> {
    answer.table.as_ref().filter(|table| table.rows_total == 0)?;
    let filter = stages.iter().find_map(|stage| match stage {
        RowStage::Filter(filter) => Some(filter),
        _ => None,
    })?;
    let mut explanation = spanned(search);
    explanation.events = answer.total.value;
    explanation.emptied_by = Some(format!("filter {}", text(filter)));
    // Of the columns that are fields; a column that is none has no such condition on events.
    let within = |form: &Expr| Expr::all_of([of_events.clone(), form.clone()]);
    if near_rows(search, &parts(filter).0, &within, &mut explanation.near).is_err() {
        explanation.left_out.push("there was no time for more".to_owned());
    }
    Some(explanation)
}

/// Adds the looser forms of what rows must pass, with the events that have them.
fn near_rows(
    search: &Search<'_>,
    parts: &[&Expr],
    within: &dyn Fn(&Expr) -> Expr,
    found: &mut Vec<Near>,
) -> Result<(), ApiError> {
    for part in parts.iter().filter(|part| matches!(part, Expr::Field { .. })) {
        match search.count(&within(part)) {
            Ok(0) => loosened(search, part, within, found)?,
            Ok(_) => {}
            Err(_) => search.cancel.check()?,
        }
    }
    Ok(())
}

/// An explanation with the time that the index spans.
fn spanned(search: &Search<'_>) -> Explanation {
    let span = search.snapshot.time_span();
    Explanation {
        first: span.map(|(first, _)| first.to_string()),
        last: span.map(|(_, last)| last.to_string()),
        ..Explanation::default()
    }
}

/// Fills in what there is time for.
fn fill(search: &Search<'_>, filter: &Expr, told: &mut Explanation) -> Result<(), ApiError> {
    *told = spanned(search);
    told.events = search.count(&Expr::All)?;
    let (parts, are_alternatives) = parts(filter);
    if told.events == 0 || parts.is_empty() {
        return Ok(());
    }
    let listed = &parts[..parts.len().min(EXPLANATION_CONDITIONS_MAX)];
    if listed.len() < parts.len() {
        let more = parts.len() - listed.len();
        told.left_out.push(format!("{more} more conditions"));
    }
    for part in listed {
        told.conditions.push(search.counted(text(part), part)?);
    }
    if !are_alternatives {
        told.emptied_by = first_empty(search, listed, told)?;
    }
    for part in &parts {
        note_operators(part, &mut told.operators_as_words);
    }
    for (at, part) in listed.iter().enumerate() {
        if told.conditions[at].events == 0 {
            near(search, part, &mut told.near)?;
        }
    }
    let has_events = told.conditions.iter().all(|condition| condition.events > 0);
    if !are_alternatives && has_events {
        either(search, listed, &mut told.near)?;
    }
    Ok(())
}

/// Adds the alternative of two conditions that exclude each other: values of one field, or words.
fn either(search: &Search<'_>, parts: &[&Expr], found: &mut Vec<Near>) -> Result<(), ApiError> {
    for (at, part) in parts.iter().enumerate() {
        let rest = &parts[at + 1..];
        let Some((other, either)) =
            rest.iter().find_map(|other| Some((*other, alternative(part, other)?)))
        else {
            continue;
        };
        let both = [*part, other].map(Expr::clone);
        if search.count(&Expr::all_of(both.clone()))? > 0 {
            continue;
        }
        found.push(Near {
            instead_of: text(&Expr::all_of(both)),
            condition: text(&either),
            events: search.count(&either)?,
            difference: Difference::Either,
        });
    }
    Ok(())
}

/// Either of two conditions that are of one field, or both without one.
fn alternative(a: &Expr, b: &Expr) -> Option<Expr> {
    let is_of_words = |expr: &Expr| matches!(expr, Expr::Word(_) | Expr::Phrase(_));
    let is_of_value =
        |test: &Test| matches!(test, Test::Is(_) | Test::Phrase(_) | Test::Wildcard(_));
    match (a, b) {
        (Expr::Field { field, test: a }, Expr::Field { field: other, test: b })
            if field == other && is_of_value(a) && is_of_value(b) =>
        {
            let (field, test) = (field.clone(), Test::one_of(vec![a.clone(), b.clone()]));
            Some(Expr::Field { field, test })
        }
        (a, b) if is_of_words(a) && is_of_words(b) => Some(Expr::any_of([a.clone(), b.clone()])),
        _ => None,
    }
}

/// What events must meet all of; or where the filter is alternatives, these, and true.
fn parts(filter: &Expr) -> (Vec<&Expr>, bool) {
    match filter {
        Expr::All => (Vec::new(), false),
        Expr::And(parts) => (parts.iter().collect(), false),
        Expr::Or(parts) => (parts.iter().collect(), true),
        part => (vec![part], false),
    }
}

/// Notes the words that may have been meant as operators.
fn note_operators(part: &Expr, noted: &mut Vec<String>) {
    match part {
        Expr::Word(word)
            if OPERATORS.contains(&word.to_lowercase().as_str()) && !noted.contains(word) =>
        {
            noted.push(word.clone());
        }
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                note_operators(part, noted);
            }
        }
        Expr::Not(part) => note_operators(part, noted),
        _ => {}
    }
}

/// The first part that no event meets together with those before it.
fn first_empty(
    search: &Search<'_>,
    parts: &[&Expr],
    told: &Explanation,
) -> Result<Option<String>, ApiError> {
    for (at, part) in parts.iter().enumerate() {
        let is_empty = told.conditions[at].events == 0
            || at > 0 && search.count(&Expr::all_of(parts[..=at].iter().copied().cloned()))? == 0;
        if is_empty {
            return Ok(Some(text(part)));
        }
    }
    Ok(None)
}

/// Adds what is near a condition that no event meets.
fn near(search: &Search<'_>, part: &Expr, found: &mut Vec<Near>) -> Result<(), ApiError> {
    match part {
        Expr::Field { field, test } => {
            for test in each(test) {
                let before = found.len();
                let asked = Expr::Field { field: field.clone(), test: test.clone() };
                loosened(search, &asked, &Expr::clone, found)?;
                if let Some(value) = wanted(test) {
                    let instead_of = &text(&is(field, &value));
                    of_field(search, field, &value, instead_of, found)?;
                    in_other_fields(search, Some(field), &value, instead_of, found)?;
                }
                sort(&mut found[before..]);
            }
        }
        Expr::Wildcard(_) | Expr::Regex(_) => loosened(search, part, &Expr::clone, found)?,
        Expr::Word(value) | Expr::Phrase(value) => {
            let before = found.len();
            loosened(search, part, &Expr::clone, found)?;
            let mut of_names = Vec::new();
            for id in NAMES {
                let field = FieldRef::named(id.column().path);
                of_field(search, &field, value, &text(part), &mut of_names)?;
            }
            sort(&mut of_names);
            of_names.truncate(NEAR_MAX);
            found.extend(of_names);
            sort(&mut found[before..]);
        }
        Expr::Or(parts) | Expr::And(parts) => {
            for part in parts {
                if search.count(part)? == 0 {
                    near(search, part, found)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The tests of which a value must pass one.
fn each(test: &Test) -> &[Test] {
    match test {
        Test::OneOf(tests) => tests,
        test => std::slice::from_ref(test),
    }
}

/// The whole value that a test asks for.
fn wanted(test: &Test) -> Option<String> {
    match test {
        Test::Is(value) => Some(value.text.clone()),
        Test::Phrase(text) => Some(text.clone()),
        Test::AnyCase(pattern) => match pattern.pieces() {
            [PatternPiece::Text(text)] => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Adds the forms of a condition that find what it is a part of, or what is written in another case.
fn loosened(
    search: &Search<'_>,
    asked: &Expr,
    within: &dyn Fn(&Expr) -> Expr,
    found: &mut Vec<Near>,
) -> Result<(), ApiError> {
    let mut has_found = false;
    for form in looser(asked) {
        if form.is_last_resort && has_found {
            break;
        }
        // A form can be refused where what was asked for is not: a time has no part.
        let Ok(events) = search.count(&within(&form.condition)) else {
            search.cancel.check()?;
            continue;
        };
        if events > 0 {
            has_found = true;
            found.push(Near {
                instead_of: text(asked),
                condition: text(&form.condition),
                events,
                difference: form.difference,
            });
        }
    }
    Ok(())
}

/// Adds the values of a field that are near one that it does not have.
fn of_field(
    search: &Search<'_>,
    field: &FieldRef,
    value: &str,
    instead_of: &str,
    found: &mut Vec<Near>,
) -> Result<(), ApiError> {
    let values = match search.values(field, "", Expr::All, VALUES_COMPARED_MAX) {
        Ok(values) => values,
        Err(error) => {
            // A time, and an object, have no list.
            search.cancel.check()?;
            tracing::debug!(%error, "no values to compare with");
            return Ok(());
        }
    };
    let mut near = Vec::new();
    let is_few = values.len() <= FEW_VALUES_MAX;
    let mut others = Vec::new();
    for known in values {
        let known_text = match &known.value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let is_readable = |difference: &Difference| {
            *difference != Difference::Longer || known_text.len() <= CONTAINING_BYTES_MAX
        };
        if let Some(difference) = difference(value, &known_text).filter(is_readable) {
            near.push(Near {
                instead_of: instead_of.to_owned(),
                condition: text(&is(field, &known_text)),
                events: known.events,
                difference,
            });
        } else if is_few && difference(value, &known_text).is_none() && others.len() < OTHERS_MAX {
            others.push((known_text, known.events));
        }
    }
    sort(&mut near);
    near.truncate(NEAR_MAX);
    let is_asked = text(&is(field, value)) == instead_of;
    if near.is_empty() && is_asked {
        near.extend(others.into_iter().map(|(known, events)| Near {
            instead_of: instead_of.to_owned(),
            condition: text(&is(field, &known)),
            events,
            difference: Difference::Other,
        }));
    }
    found.extend(near);
    Ok(())
}

/// How a value of the index differs from one asked for; None where it is another altogether.
fn difference(asked: &str, known: &str) -> Option<Difference> {
    let (asked_folded, known_folded) = (asked.to_lowercase(), known.to_lowercase());
    if asked_folded == known_folded {
        return (asked != known).then_some(Difference::Case);
    }
    let length = asked.chars().count();
    if length < NEAR_CHARS_MIN {
        return None;
    }
    let edits_max = if length < TWO_EDITS_CHARS_MIN { 1 } else { 2 };
    let lengths_differ = length.abs_diff(known.chars().count()) > edits_max;
    if !lengths_differ && strsim::osa_distance(&asked_folded, &known_folded) <= edits_max {
        return Some(Difference::Spelling);
    }
    known_folded.contains(&asked_folded).then_some(Difference::Longer)
}

/// Adds the fields in which some event has a value that the field asked for does not have.
fn in_other_fields(
    search: &Search<'_>,
    asked: Option<&FieldRef>,
    value: &str,
    instead_of: &str,
    found: &mut Vec<Near>,
) -> Result<(), ApiError> {
    let meaning = search.meaning(&Expr::Phrase(value.to_owned()))?;
    let wanted = Wanted {
        limit: EVENTS_LOOKED_AT,
        order: Order::Newest,
        after: None,
        total: TotalMode::None,
        counting: Counting::Known,
    };
    let (matches, _) =
        collect(search.snapshot, &search.sought(&meaning), wanted, &|| search.cancel.check())?;
    let highlighter = Highlighter::of(&meaning);
    let hits =
        fetch_up_to(PAGE_BYTES_MAX, search.snapshot, &matches, Some(&highlighter), search.cancel)?;
    let highlights = hits.into_iter().flat_map(|hit| hit.highlights);
    let fields: BTreeSet<String> = highlights
        .filter(|highlight| highlight.value.eq_ignore_ascii_case(value))
        .map(|highlight| highlight.field)
        .filter(|path| asked.is_none_or(|field| field.name != *path))
        .collect();
    for path in fields.into_iter().take(OTHER_FIELDS_MAX) {
        let condition = is(&FieldRef::named(path), value);
        let Ok(events) = search.count(&condition) else {
            search.cancel.check()?;
            continue;
        };
        if events > 0 {
            found.push(Near {
                instead_of: instead_of.to_owned(),
                condition: text(&condition),
                events,
                difference: Difference::Field,
            });
        }
    }
    Ok(())
}

/// The nearest first, of those the most frequent.
fn sort(near: &mut [Near]) {
    near.sort_by(|a, b| a.difference.cmp(&b.difference).then_with(|| b.events.cmp(&a.events)));
}

fn is(field: &FieldRef, value: &str) -> Expr {
    let field = FieldRef { offset: None, ..field.clone() };
    Expr::Field { field, test: Test::Is(Value::of(value)) }
}

fn text(condition: &Expr) -> String {
    Query::of(condition.clone()).to_string()
}

impl Search<'_> {
    fn count(&self, condition: &Expr) -> Result<u64, ApiError> {
        Ok(self.counted(String::new(), condition)?.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_a_little_are_near() {
        for (asked, known, expected) in [
            ("putuserpolicy", "PutUserPolicy", Some(Difference::Case)),
            ("PutUserPolicy", "PutUserPolicy", None),
            ("PutUserPolcy", "PutUserPolicy", Some(Difference::Spelling)),
            ("GetObjcet", "GetObject", Some(Difference::Spelling)),
            ("us-east-1", "us-west-2", None),
            ("us-east-1", "us-east-2", Some(Difference::Spelling)),
            ("s3", "s4", None),
            ("iam", "iam.amazonaws.com", Some(Difference::Longer)),
            ("iam", "sam", Some(Difference::Spelling)),
            ("GetObject", "PutObjectAcl", None),
            ("É", "é", Some(Difference::Case)),
        ] {
            assert_eq!(difference(asked, known), expected, "{asked} {known}");
        }
    }
}
