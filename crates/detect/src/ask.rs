//! What rules ask of an archive: counts, groups, and events with some of their fields. Each is a search,
//! bounded as any other; what has more rows than one answer is asked in parts of its time.

use std::error::Error;
use std::ops::Bound;

use jiff::Timestamp;
use language::ast::{
    Bin, BinUnit, Expr, FieldRef, Function, FunctionKind, GroupKey, Query, Stage, Test, Value,
};
use serde_json::Value as Json;
use wire::{Order, QueryForm, SearchRequest, SearchResponse, Table, TotalMode};

use crate::fields::Key;
use crate::hunt::Told;
use crate::limits::{EVENTS_MAX, LIVE_EVENTS_MAX, PAGE_EVENTS, ROWS_MAX, TOLD_MAX};

/// Why an archive did not answer.
pub type AskError = Box<dyn Error + Send + Sync>;

/// An archive that answers searches.
pub trait Ask {
    /// Answers a search.
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, AskError>;

    /// How many rows one answer can have: as many as a daemon's, unless nothing travels.
    fn rows_max(&self) -> usize {
        ROWS_MAX
    }
}

/// From when to when, in microseconds since 1970; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// An event with the values of some keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) time: i64,
    pub(crate) id: String,
    /// A list of values for each key.
    pub(crate) values: Vec<Vec<Json>>,
}

/// Events that have the same values of some keys on one day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) count: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) values: Vec<Vec<Json>>,
}

/// Parts of a time whose groups are more than one answer has.
const PARTS_MAX: u64 = 64;

/// Asks an archive on behalf of one hunt.
pub(crate) struct Asker<'a> {
    archive: &'a dyn Ask,
    pub(crate) told: Told,
    /// Events and groups that are held at a time.
    events_max: usize,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(archive: &'a dyn Ask) -> Self {
        Self { archive, told: Told::default(), events_max: EVENTS_MAX }
    }

    /// For a process that has more to do.
    pub(crate) fn small(archive: &'a dyn Ask) -> Self {
        Self { events_max: LIVE_EVENTS_MAX, ..Self::new(archive) }
    }

    /// The times of the first and the last event between two bounds as people write them, as a span; None
    /// where there is no event.
    pub(crate) fn span(
        &mut self,
        start: Option<&str>,
        end: Option<&str>,
    ) -> Result<Option<Span>, AskError> {
        let mut ends = [None; 2];
        for (found, order) in ends.iter_mut().zip([Order::Oldest, Order::Newest]) {
            let stages = vec![Stage::Fields(vec![FieldRef::named("time")])];
            let request = SearchRequest {
                start: start.map(str::to_owned),
                end: end.map(str::to_owned),
                limit: Some(1),
                total: TotalMode::None,
                order,
                ..request(Query { filter: Expr::All, stages })
            };
            let table = self.table(&request)?;
            *found = table.rows.first().and_then(|row| row.first()).map(micros).transpose()?;
        }
        let [first, last] = ends;
        Ok(first.zip(last).map(|(start, last)| Span { start, end: last + 1 }))
    }

    /// How many events meet a condition.
    pub(crate) fn count(&mut self, filter: &Expr, span: Span) -> Result<u64, AskError> {
        let request = SearchRequest { limit: Some(0), ..between(Query::of(filter.clone()), span) };
        Ok(self.answer(&request)?.total.value)
    }

    /// The events that meet a condition, the earliest first. Fails where there are more than one hunt
    /// holds.
    pub(crate) fn events(
        &mut self,
        filter: &Expr,
        keys: &[Key],
        span: Span,
    ) -> Result<Vec<Event>, AskError> {
        let fields = ["time", "eventID"].map(FieldRef::named).into_iter();
        let fields = fields.chain(keys.iter().flat_map(|key| key.fields.iter().cloned()));
        let query = Query { filter: filter.clone(), stages: vec![Stage::Fields(fields.collect())] };
        let mut events = Vec::new();
        let mut cursor = None;
        loop {
            let request = SearchRequest {
                order: Order::Oldest,
                total: TotalMode::None,
                cursor,
                limit: Some(PAGE_EVENTS),
                ..between(query.clone(), span)
            };
            let mut answer = self.answer(&request)?;
            for row in table_of(&mut answer)?.rows {
                events.push(event(row, keys)?);
            }
            if events.len() > self.events_max {
                return Err(too_many_events(self.events_max));
            }
            cursor = answer.cursor;
            if cursor.is_none() {
                return Ok(events);
            }
        }
    }

    /// The groups of events that meet a condition, of those that have so many events at least in some
    /// interval of so many minutes, with the interval's beginning as the first time; None where they are
    /// more than one answer has.
    pub(crate) fn dense(
        &mut self,
        filter: &Expr,
        keys: &[Key],
        (minutes, least): (u32, u64),
        span: Span,
    ) -> Result<Option<Vec<Group>>, AskError> {
        let fields = keys.iter().flat_map(|key| key.fields.iter().cloned());
        let mut by: Vec<GroupKey> =
            fields.map(|field| GroupKey::Field { field, name: None }).collect();
        let bin = Bin { count: minutes, unit: BinUnit::Minute };
        by.push(GroupKey::Bin { bin, name: Some("from".to_owned()) });
        let name = Some("events".to_owned());
        let count = Function { kind: FunctionKind::Count, field: None, name };
        let of_many = Expr::Field {
            field: FieldRef::named("events"),
            test: Test::Range {
                lower: Bound::Included(Value::of(least.to_string())),
                upper: Bound::Unbounded,
            },
        };
        let stages = vec![Stage::Stats { functions: vec![count], by }, Stage::Filter(of_many)];
        let table = self.table(&between(Query { filter: filter.clone(), stages }, span))?;
        if table.rows_total > table.rows.len() as u64 {
            return Ok(None);
        }
        let mut groups = Vec::with_capacity(table.rows.len());
        for row in table.rows {
            let mut cells = row.into_iter();
            let values = of_keys(keys, &mut cells);
            let first = micros(&cells.next().unwrap_or_default())?;
            let count = cells.next().and_then(|count| count.as_u64()).unwrap_or_default();
            groups.push(Group { count, first, last: first, values });
        }
        Ok(Some(groups))
    }

    /// The groups of events that meet a condition, by keys and by day if that is asked for; in no order.
    pub(crate) fn groups(
        &mut self,
        filter: &Expr,
        keys: &[Key],
        by_day: bool,
        span: Span,
    ) -> Result<Vec<Group>, AskError> {
        let day = Bin { count: 1, unit: BinUnit::Day };
        self.groups_by_time(filter, keys, by_day.then_some(day), span)
    }

    /// The same by spans of time.
    pub(crate) fn groups_by_time(
        &mut self,
        filter: &Expr,
        keys: &[Key],
        bin: Option<Bin>,
        span: Span,
    ) -> Result<Vec<Group>, AskError> {
        let time = || Some(FieldRef::named("time"));
        let function =
            |kind, field, name: &str| Function { kind, field, name: Some(name.to_owned()) };
        let functions = vec![
            function(FunctionKind::Count, None, "events"),
            function(FunctionKind::Min, time(), "first"),
            function(FunctionKind::Max, time(), "last"),
        ];
        let fields = keys.iter().flat_map(|key| key.fields.iter().cloned());
        let mut by: Vec<GroupKey> =
            fields.map(|field| GroupKey::Field { field, name: None }).collect();
        if let Some(bin) = bin {
            by.push(GroupKey::Bin { bin, name: Some("bin".to_owned()) });
        }
        let stages = vec![Stage::Stats { functions, by }];
        let query = Query { filter: filter.clone(), stages };
        let mut groups = Vec::new();
        let mut spans = vec![span];
        while let Some(span) = spans.pop() {
            let rows_max = self.archive.rows_max();
            let limit = Some(rows_max);
            let request = SearchRequest { limit, ..between(query.clone(), span) };
            let table = self.table(&request)?;
            if table.rows_total > table.rows.len() as u64 {
                let parts = (table.rows_total * 5 / 4 / rows_max as u64 + 1).clamp(2, PARTS_MAX);
                let parts = parts_of(span, parts as i64)
                    .ok_or_else(|| format!("more than {rows_max} groups of events of one time"))?;
                spans.extend(parts);
                continue;
            }
            if groups.len() + table.rows.len() > self.events_max {
                return Err(format!("more than {} groups", self.events_max).into());
            }
            for row in table.rows {
                groups.extend(group(&table.columns, row, keys)?);
            }
        }
        Ok(groups)
    }

    fn table(&mut self, request: &SearchRequest) -> Result<Table, AskError> {
        table_of(&mut self.answer(request)?)
    }

    fn answer(&mut self, request: &SearchRequest) -> Result<SearchResponse, AskError> {
        let mut answer = self.archive.search(request)?;
        let told = &mut self.told;
        for (from, to) in
            [(&mut answer.warnings, &mut told.warnings), (&mut answer.coverage, &mut told.coverage)]
        {
            for line in from.drain(..) {
                if to.len() < TOLD_MAX && !to.contains(&line) {
                    to.push(line);
                }
            }
        }
        Ok(answer)
    }
}

fn table_of(answer: &mut SearchResponse) -> Result<Table, AskError> {
    answer.table.take().ok_or_else(|| "the answer has no table".into())
}

fn request(query: Query) -> SearchRequest {
    SearchRequest {
        query: QueryForm::Tree(Box::new(query)),
        limit: Some(ROWS_MAX),
        total: TotalMode::Exact,
        unexplained: true,
        is_unexplained: true,
        ..SearchRequest::default()
    }
}

fn between(query: Query, span: Span) -> SearchRequest {
    SearchRequest {
        start: Some(written(span.start)),
        end: Some(written(span.end)),
        ..request(query)
    }
}

/// The latest part first: a stack gives the earliest one back first.
fn parts_of(Span { start, end }: Span, parts: i64) -> Option<Vec<Span>> {
    let parts = parts.min(end - start);
    let cut =
        |part: i64| start + (i128::from(end - start) * i128::from(part) / i128::from(parts)) as i64;
    let of = |part| Span { start: cut(part), end: cut(part + 1) };
    (parts > 1).then(|| (0..parts).rev().map(of).collect())
}

pub(crate) fn too_many_events(events_max: usize) -> AskError {
    format!("more than {events_max} events, which is as many as one rule can look at").into()
}

/// A time as a request has it.
pub(crate) fn written(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros);
    time.map_or_else(|_| micros.to_string(), |time| time.to_string())
}

fn micros(time: &Json) -> Result<i64, AskError> {
    let text = time.as_str().unwrap_or_default();
    let time: Timestamp = text.parse().map_err(|_| format!("'{text}' is no time"))?;
    Ok(time.as_microsecond())
}

fn event(row: Vec<Json>, keys: &[Key]) -> Result<Event, AskError> {
    let mut cells = row.into_iter();
    let time = micros(&cells.next().unwrap_or_default())?;
    let id = cells.next().and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    Ok(Event { time, id, values: of_keys(keys, &mut cells) })
}

/// A row as a group; None where it has no event, as the one row of a table without keys can be.
fn group(columns: &[String], row: Vec<Json>, keys: &[Key]) -> Result<Option<Group>, AskError> {
    let at = |name: &str| {
        let place = columns.iter().rposition(|column| column == name);
        place.and_then(|place| row.get(place)).cloned().unwrap_or_default()
    };
    let count = at("events").as_u64().unwrap_or_default();
    if count == 0 {
        return Ok(None);
    }
    let (first, last) = (micros(&at("first"))?, micros(&at("last"))?);
    // The keys are the first columns.
    Ok(Some(Group { count, first, last, values: of_keys(keys, &mut row.into_iter()) }))
}

fn of_keys(keys: &[Key], cells: &mut impl Iterator<Item = Json>) -> Vec<Vec<Json>> {
    keys.iter().map(|key| cells.by_ref().take(key.fields.len()).collect()).collect()
}
