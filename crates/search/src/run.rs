//! Running a search: parse, plan, collect, fetch.

mod cursor;
mod events;
mod explain;
mod explore;
mod fetch;
mod highlight;
mod meaning;
mod rows;
mod tail;

use std::iter;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::cursor::Cursor;
use self::explain::Steps;
pub use self::explore::{fields, values};
use self::fetch::fetch_up_to;
use self::rows::Rows;
pub use self::tail::tail;
use crate::bins::bins;
use crate::clauses::{ClauseQuery, PlaceClause, Stop};
use crate::collect::{Counting, Wanted, collect};
use crate::groups::{Grouping, Measure, group};
use crate::plan::{Planner, read_record};
use crate::values::Source;
use crate::visit::Sought;
use language::ast::{Expr, FieldRef, Function, FunctionKind, Key, Query, Stage, Test, Value};
use language::parse::{ParseError, parse};
use language::time::{Clock, parse_time, parse_zone};
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::columns;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::{
    GROUP_BYTES_MAX, PAGE_BYTES_MAX, SEARCH_LIMIT_MAX, SUBQUERY_VALUES_MAX, TABLE_ROWS_DEFAULT,
};
use wire::{
    ApiError, ErrorKind, Order, QueryForm, SearchRequest, SearchResponse, Total, TotalMode,
};

/// Answers a search.
pub fn search(
    snapshot: &Arc<Snapshot>,
    request: &SearchRequest,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    let query = parse_query(&request.query)?;
    let cursor = Cursor::of(request, snapshot)?;
    let now = cursor.and_then(|cursor| cursor.now()).unwrap_or(now);
    let clock = clock_of(request.time_zone.as_deref(), now)?;
    let bounds = (request.start.as_deref(), request.end.as_deref());
    let search = Search { cursor, ..Search::between(snapshot, bounds, &clock, cancel)? };
    // An evaluation that was stopped has no error of its own.
    let text = request.explain.then(|| query.to_string());
    let conditions = request.explain.then(|| query.filter.clone());
    let answer = search.answer(query, request);
    let mut response = answer.map_err(|error| why_ended(error, cancel))?;
    response.took_ms = started.elapsed().as_secs_f64() * 1e3;
    if let (Some(text), Some(filter)) = (text, conditions) {
        response.explain = Some(search.explain(text, &filter)?);
    }
    Ok(response)
}

fn parse_query(query: &QueryForm) -> Result<Query, ApiError> {
    match query {
        QueryForm::Tree(query) => Ok((**query).clone()),
        QueryForm::Text(text) => parsed(text),
    }
}

/// The answer to a text that is no query.
pub fn refused(error: ParseError) -> ApiError {
    let message = error.to_string();
    ApiError {
        offset: Some(error.offset),
        suggestion: error.suggestion,
        ..ApiError::new(ErrorKind::BadQuery, message)
    }
}

/// The moment and the zone of a search.
pub fn clock_of(time_zone: Option<&str>, now: Timestamp) -> Result<Clock, ApiError> {
    let zone = time_zone.map(parse_zone).transpose();
    let zone = zone.map_err(|error| ApiError::new(ErrorKind::BadRequest, error))?;
    Ok(Clock { now, zone: zone.unwrap_or(TimeZone::UTC) })
}

/// Finds the events of an `eventID`, or of an id made of file number and offset.
pub fn event(
    snapshot: &Arc<Snapshot>,
    id: &str,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    snapshot.check_whole(Micros(i64::MIN), Micros(i64::MAX))?;
    let clock = Clock::utc(Timestamp::UNIX_EPOCH);
    let stop = stop_of(cancel);
    let by_id = Planner { snapshot, clock: &clock, stop: stop.clone() }.is(columns::EVENT_ID, id);
    let by_place = parse_place(id).map(|place| ClauseQuery::boxed(snapshot, place, &stop));
    let sought = |query| Sought { query, stop: stop.clone() };
    for sought in iter::once(by_id).chain(by_place).map(sought) {
        let wanted = Wanted {
            limit: SEARCH_LIMIT_MAX,
            order: Order::Newest,
            after: None,
            total: TotalMode::Exact,
            counting: Counting::Known,
        };
        let (matches, total) = collect(snapshot, &sought, wanted, &|| cancel.check())?;
        if !matches.is_empty() {
            let hits = fetch_up_to(PAGE_BYTES_MAX, snapshot, &matches, None, cancel)?;
            let mut warnings = Vec::new();
            if (hits.len() as u64) < total.value {
                let (given, total) = (hits.len(), total.value);
                warnings.push(format!(
                    "{given} of {total} events of this id are given; a search for eventID has all"
                ));
            }
            let took_ms = started.elapsed().as_secs_f64() * 1e3;
            return Ok(SearchResponse { hits, total, took_ms, warnings, ..Default::default() });
        }
    }
    Err(ApiError::new(ErrorKind::NotFound, format!("no event has the id '{id}'")))
}

fn parsed(text: &str) -> Result<Query, ApiError> {
    parse(text).map_err(refused)
}

/// The plan of a query that is a filter only.
fn events_query(
    snapshot: &Arc<Snapshot>,
    text: &str,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<Sought, ApiError> {
    let query = parsed(text)?;
    if !query.stages.is_empty() {
        let message =
            "events as they come are filtered, and nothing is made of them: leave out '|'";
        return Err(ApiError::new(ErrorKind::BadQuery, message));
    }
    let clock = Clock::utc(now);
    let search = Search {
        snapshot,
        clock: &clock,
        start: None,
        end: None,
        cursor: None,
        cancel,
        steps: Steps::default(),
    };
    let filter = search.without_queries(query.filter)?;
    search.sought(&filter)
}

/// The error of a search that has ended before it was done. One that was told to end has no error of its
/// own, but a fault of the disk is one in any case.
fn why_ended(error: ApiError, cancel: &Cancel) -> ApiError {
    match error.kind {
        ErrorKind::Damaged | ErrorKind::Io => error,
        _ => cancel.check().err().unwrap_or(error),
    }
}

fn stop_of(cancel: &Cancel) -> Stop {
    let cancel = cancel.clone();
    Stop::when(move || cancel.check().is_err())
}

fn parse_place(id: &str) -> Option<PlaceClause> {
    let (file, offset) = id.split_once(':')?;
    Some(PlaceClause { file: file.parse().ok()?, offset: offset.parse().ok()? })
}

/// A bound of time in a request: where the span that its text stands for begins.
pub fn parse_bound(
    key: &str,
    text: Option<&str>,
    clock: &Clock,
) -> Result<Option<Micros>, ApiError> {
    let time = text.map(|text| parse_time(text, clock)).transpose();
    let time =
        time.map_err(|error| ApiError::new(ErrorKind::BadRequest, format!("{key}: {error}")))?;
    Ok(time.map(|span| span.start))
}

/// One search on one snapshot.
struct Search<'s> {
    snapshot: &'s Arc<Snapshot>,
    clock: &'s Clock,
    start: Option<Micros>,
    end: Option<Micros>,
    cursor: Option<Cursor>,
    cancel: &'s Cancel,
    steps: Steps,
}

impl<'s> Search<'s> {
    /// A search of the events between two bounds of a request.
    fn between(
        snapshot: &'s Arc<Snapshot>,
        (start, end): (Option<&str>, Option<&str>),
        clock: &'s Clock,
        cancel: &'s Cancel,
    ) -> Result<Self, ApiError> {
        let start = parse_bound("start", start, clock)?;
        let end = parse_bound("end", end, clock)?;
        snapshot.check_whole(start.unwrap_or(Micros(i64::MIN)), end.unwrap_or(Micros(i64::MAX)))?;
        let steps = Steps::default();
        Ok(Self { snapshot, clock, start, end, cursor: None, cancel, steps })
    }
}

impl Search<'_> {
    fn planner(&self) -> Planner<'_> {
        let stop = stop_of(self.cancel);
        Planner { snapshot: self.snapshot, clock: self.clock, stop }
    }

    /// The events of a filter, between the search's bounds.
    fn sought(&self, filter: &Expr) -> Result<Sought, ApiError> {
        let planner = self.planner();
        let query = planner.plan_between(filter, self.start, self.end)?;
        Ok(Sought { query, stop: planner.stop })
    }

    fn answer(&self, query: Query, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        let Query { filter, mut stages } = query;
        let filter = self.timed("inner queries", || self.without_queries(filter))?;
        if let Some(at) = stages.iter().position(|stage| matches!(stage, Stage::Stats { .. })) {
            let rows = stages.split_off(at);
            return self.answer_rows(&filter, rows, request.limit);
        }
        self.answer_events(&filter, stages, request)
    }

    fn answer_rows(
        &self,
        filter: &Expr,
        stages: Vec<Stage>,
        limit: Option<usize>,
    ) -> Result<SearchResponse, ApiError> {
        let (rows, events) = self.rows(filter, stages)?;
        let limit = limit.unwrap_or(TABLE_ROWS_DEFAULT).min(SEARCH_LIMIT_MAX);
        let table = rows.into_table(limit);
        let is_cut = (table.rows.len() as u64) < table.rows_total;
        let total = Total { value: events, exact: true };
        Ok(SearchResponse { table: Some(table), total, is_cut, ..SearchResponse::default() })
    }

    /// The rows of a query, whose first stage is `stats`; and how many events they are of.
    fn rows(&self, filter: &Expr, stages: Vec<Stage>) -> Result<(Rows, u64), ApiError> {
        let largest = largest_wanted(&stages);
        let mut stages = stages.into_iter();
        let Some(Stage::Stats { functions, by }) = stages.next() else {
            unreachable!("the caller has split the stages before stats")
        };
        let grouping = Grouping {
            keys: by.iter().map(|key| self.key(key)).collect::<Result<_, _>>()?,
            measures: functions.iter().map(|f| self.measure(f)).collect::<Result<_, _>>()?,
            largest,
        };
        let sought = self.sought(filter)?;
        let (read, check) = (read_record(), || self.cancel.check());
        let grouped = self.timed("group", || {
            group(self.snapshot, &sought, &grouping, &read, GROUP_BYTES_MAX, &check)
        })?;
        let columns = by
            .iter()
            .map(|key| key.column().to_owned())
            .chain(functions.iter().map(Function::column))
            .collect();
        let mut rows = Rows::new(columns, by.len(), grouped.rows, grouped.is_exact);
        for stage in stages {
            match stage {
                Stage::Filter(filter) => rows.filter(&self.without_queries(filter)?, self.clock)?,
                Stage::Sort(keys) => rows.sort(&keys)?,
                Stage::Limit { rows: limit, by } => rows.limit(limit, &by)?,
                Stage::Fields(fields) => rows.choose(&fields)?,
                Stage::Stats { .. } | Stage::Dedup(_) => unreachable!("refused by the check"),
            }
        }
        Ok((rows, grouped.events))
    }

    fn key(&self, key: &Key) -> Result<Source, ApiError> {
        match key {
            Key::Field { field, .. } => self.planner().source(field),
            Key::Bin { bin, .. } => Ok(Source::Bin(bins(*bin, self.clock.zone.clone()))),
        }
    }

    fn measure(&self, function: &Function) -> Result<Measure, ApiError> {
        let Some(field) = &function.field else { return Ok(Measure::Count) };
        let source = self.planner().source(field)?;
        Ok(match function.kind {
            FunctionKind::Count => Measure::CountOf(source),
            FunctionKind::Distinct => Measure::Distinct(source),
            FunctionKind::Sum => Measure::Sum(source),
            FunctionKind::Avg => Measure::Avg(source),
            FunctionKind::Min => Measure::Min(source),
            FunctionKind::Max => Measure::Max(source),
            FunctionKind::First => Measure::First(source),
            FunctionKind::Last => Measure::Last(source),
            FunctionKind::Percentile(percent) => Measure::Percentile(percent, source),
        })
    }

    /// Puts the values that inner queries find in the place of the queries.
    fn without_queries(&self, expr: Expr) -> Result<Expr, ApiError> {
        Ok(match expr {
            Expr::And(parts) => Expr::And(self.each_without_queries(parts)?),
            Expr::Or(parts) => Expr::Or(self.each_without_queries(parts)?),
            Expr::Not(inner) => Expr::negate(self.without_queries(*inner)?),
            Expr::Field { field, test: Test::InQuery(query) } => {
                let values = self.values_of(*query, &field)?;
                if values.is_empty() {
                    // The field must be one even where nothing is found.
                    self.planner().source(&field)?;
                    return Ok(Expr::any_of([]));
                }
                Expr::Field { field, test: Test::one_of(values) }
            }
            expr => expr,
        })
    }

    fn each_without_queries(&self, parts: Vec<Expr>) -> Result<Vec<Expr>, ApiError> {
        parts.into_iter().map(|part| self.without_queries(part)).collect()
    }

    /// The values in the first column of a query's rows.
    fn values_of(&self, query: Query, field: &FieldRef) -> Result<Vec<Test>, ApiError> {
        let Query { filter, stages } = query;
        let filter = self.without_queries(filter)?;
        if !matches!(stages.first(), Some(Stage::Stats { .. })) {
            let message = format!(
                "the query behind '{} IN' finds events; end it with | values and a field",
                field.name
            );
            let offset = field.offset;
            return Err(ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) });
        }
        let (rows, _) = self.rows(&filter, stages)?;
        let values: Vec<Test> = rows
            .first_column()
            .filter(|cell| **cell != Cell::Null)
            .map(|cell| Test::Is(Value { text: cell.to_string(), offset: field.offset }))
            .collect();
        if values.len() > SUBQUERY_VALUES_MAX {
            let message = format!(
                "the query behind '{} IN' finds {} values; {SUBQUERY_VALUES_MAX} are the most",
                field.name,
                values.len()
            );
            let offset = field.offset;
            return Err(ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) });
        }
        Ok(values)
    }
}

/// How many rows are kept of a table that counts by one field and begins with the most frequent.
fn largest_wanted(stages: &[Stage]) -> Option<usize> {
    let [Stage::Stats { functions, by }, Stage::Sort(sort), Stage::Limit { rows, by: of_each }, ..] =
        stages
    else {
        return None;
    };
    let ([function], [Key::Field { .. }], [first]) = (&functions[..], &by[..], &sort[..]) else {
        return None;
    };
    let is_count = function.kind == FunctionKind::Count && function.field.is_none();
    let is_most_first = first.is_descending && first.field.name == function.column();
    (is_count && is_most_first && of_each.is_empty()).then_some(*rows as usize)
}
