//! Runs a search: parse, plan, collect, fetch.

mod arrived;
mod cursor;
mod event;
mod events;
mod explain;
mod explain_empty;
mod explore;
mod fetch;
mod highlight;
mod looser;
mod meaning;
mod rest;
mod rows;
pub mod scan;
mod span;
mod spans;
mod table;
mod tail;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::arrived::ArrivedClause;
pub use self::arrived::{Arrived, next_file};
use self::cursor::Cursor;
pub use self::event::event;
use self::explain::Steps;
use self::explain_empty::explain_empty;
pub use self::explore::{fields, values};
use self::fetch::fetch_up_to;
pub(crate) use self::highlight::is_at_or_below;
pub(crate) use self::meaning::key;
pub use self::rest::more;
use self::rest::rest_of_rows;
use self::rows::{Column, Rows};
use self::span::check_order;
use self::spans::EmptySpans;
pub use self::tail::tail;
use crate::bins::bins;
use crate::clauses::Stop;
use crate::fields::Finder;
use crate::flags::Odd;
use crate::groups::Measure;
use crate::lookups::Lookups;
use crate::lower::{ColumnKind, EventNames, FieldKind, RowNames, column_kind, is_too_fine, lower};
use crate::meaning::{EventMeaning, RowMeaning};
use crate::notes::Notes;
use crate::numbers::{Holds, Numbers};
use crate::plan::Planner;
use crate::presence::holds;
use crate::values::ValueSource;
use crate::visit::Sought;
use language::ast::{Expr, FieldRef, Function, FunctionKind, GroupKey, Query, Value};
use language::check::{Checked, RowsQuery, StageFault};
use language::parse::{ParseError, Parsed, parse_noted};
use language::time::{Clock, parse_time, parse_zone};
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::{SEARCH_LIMIT_MAX, SUBQUERY_VALUES_MAX, TABLE_ROWS_DEFAULT};
use wire::{ApiError, ErrorKind, Order, QueryForm, SearchRequest, SearchResponse, Total};

/// Answers a search request on a snapshot. A query with an error is refused with the byte at fault;
/// `cancel` ends the search early.
pub fn search(
    snapshot: &Arc<Snapshot>,
    request: &SearchRequest,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    search_among(snapshot, None, request, now, cancel)
}

/// The same with no other events than some.
fn search_among(
    snapshot: &Arc<Snapshot>,
    among: Option<ArrivedClause>,
    request: &SearchRequest,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    let Parsed { query, notes } = parse_query(&request.query)?;
    let cursor = Cursor::of(request, snapshot)?;
    let now = cursor.and_then(|cursor| cursor.now()).unwrap_or(now);
    let clock = clock_of(request.time_zone.as_deref(), now)?;
    let bounds = (request.start.as_deref(), request.end.as_deref());
    let search = Search {
        cursor,
        among,
        order: request.order,
        ..Search::between(snapshot, bounds, &clock, cancel)?
    };
    search.notes.extend(notes);
    // An evaluation that was stopped has no error of its own.
    let text = request.explain.then(|| query.to_string());
    let conditions = request.explain.then(|| query.filter.clone());
    let query = query.checked().map_err(out_of_order)?;
    let answer = search.answer(&query, request);
    let mut response = answer.map_err(|error| why_ended(error, cancel))?;
    response.took_ms = started.elapsed().as_secs_f64() * 1e3;
    let is_unexplained = request.unexplained || request.is_unexplained;
    if request.cursor.is_none() && !is_unexplained {
        response.explanation = explain_empty(&search, &query, &response);
    }
    if let (Some(text), Some(filter)) = (text, conditions) {
        response.explain = Some(search.explain(text, &filter)?);
    }
    search.notes.extend(search.lookups.damage());
    response.warnings.splice(0..0, search.notes.take());
    Ok(response)
}

fn parse_query(query: &QueryForm) -> Result<Parsed, ApiError> {
    match query {
        QueryForm::Tree(query) => Ok(Parsed { query: (**query).clone(), notes: Vec::new() }),
        QueryForm::Text(text) => parse_noted(text).map_err(refused),
    }
}

/// Makes the API's error for a text that is not a query.
pub fn refused(error: ParseError) -> ApiError {
    let message = error.to_string();
    ApiError {
        offset: Some(error.offset),
        suggestion: error.suggestion,
        ..ApiError::new(ErrorKind::BadQuery, message)
    }
}

/// Returns the clock of a search: its `now`, and its time zone (UTC for None). An unknown zone is
/// an error.
pub fn clock_of(time_zone: Option<&str>, now: Timestamp) -> Result<Clock, ApiError> {
    let zone = time_zone.map(parse_zone).transpose();
    let zone = zone.map_err(|error| ApiError::new(ErrorKind::BadRequest, error))?;
    Ok(Clock { now, zone: zone.unwrap_or(TimeZone::UTC) })
}

/// The answer to stages that cannot follow each other; text and JSON are refused before.
fn out_of_order(StageFault { stage, message }: StageFault) -> ApiError {
    ApiError::new(ErrorKind::BadQuery, format!("stage {}: {message}", stage + 1))
}

/// The plan of a query that is a filter only, and what is told of how it was taken.
fn events_query(
    snapshot: &Arc<Snapshot>,
    text: &str,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<(Sought, Vec<String>), ApiError> {
    let Parsed { query, notes } = parse_noted(text).map_err(refused)?;
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
        among: None,
        cancel,
        order: Order::default(),
        steps: Steps::default(),
        notes: Notes::default(),
        odd: OnceCell::new(),
        lookups: Lookups::new(snapshot.enrichment.load_full()),
    };
    // An inner query that was stopped has no error of its own.
    let meaning = search.meaning(&query.filter).map_err(|error| why_ended(error, cancel))?;
    search.notes.extend(notes);
    Ok((search.sought(&meaning), search.notes.take()))
}

/// The error of a search that has ended before it was done. One that was told to end has no error of its
/// own, but a fault of the disk is one in any case.
fn why_ended(error: ApiError, cancel: &Cancel) -> ApiError {
    match error.kind {
        ErrorKind::Damaged | ErrorKind::Io => error,
        _ => cancel.check().err().unwrap_or(error),
    }
}

/// A stop that is due when the search must end.
pub(crate) fn stop_of(cancel: &Cancel) -> Stop {
    let cancel = cancel.clone();
    Stop::when(move || cancel.check().is_err())
}

/// Parses a bound of time in a request. A text that stands for a span, such as a day, means its
/// beginning; None stays None. The error begins with `key`, the name of the bound.
pub fn parse_bound(
    key: &str,
    text: Option<&str>,
    clock: &Clock,
) -> Result<Option<Micros>, ApiError> {
    if let Some(text) = text.filter(|text| is_too_fine(text)) {
        let message =
            format!("{key}: '{text}' is finer than a microsecond, to which times are compared");
        return Err(ApiError::new(ErrorKind::BadRequest, message));
    }
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
    /// The only events that can be found; None means any.
    among: Option<ArrivedClause>,
    cancel: &'s Cancel,
    /// Which events of some are the first.
    order: Order,
    steps: Steps,
    /// What the answer's warnings tell of how the query was taken.
    notes: Notes,
    /// What `flag` stands for.
    odd: OnceCell<Arc<Odd>>,
    /// What is looked up.
    lookups: Lookups,
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
        let (steps, notes) = (Steps::default(), Notes::default());
        notes.extend(check_order(start, end)?.into_iter().collect());
        let (cursor, among) = (None, None);
        let (order, odd) = (Order::default(), OnceCell::new());
        let lookups = Lookups::new(snapshot.enrichment.load_full());
        Ok(Self {
            snapshot,
            clock,
            start,
            end,
            cursor,
            among,
            cancel,
            order,
            steps,
            notes,
            odd,
            lookups,
        })
    }
}

impl Search<'_> {
    fn planner(&self) -> Planner<'_> {
        Planner { snapshot: self.snapshot, stop: stop_of(self.cancel) }
    }

    fn fields(&self) -> Finder<'_> {
        let Self { snapshot, notes, odd, lookups, cancel, .. } = self;
        Finder { snapshot, notes, odd, lookups, cancel }
    }

    /// The events of a filter that means this, between the search's bounds.
    fn sought(&self, filter: &EventMeaning) -> Sought {
        let planner = self.planner();
        let query = planner.plan_between(filter, self.start, self.end);
        let query = match &self.among {
            Some(among) => planner.among(query, among.clone()),
            None => query,
        };
        Sought { query, stop: planner.stop }
    }

    fn answer(&self, query: &Checked, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        match query {
            Checked::Events(query) => self.answer_events(query, request),
            Checked::Rows(query) => self.answer_rows(query, request),
        }
    }

    /// What a condition on events means, its inner queries answered.
    fn meaning(&self, filter: &Expr) -> Result<EventMeaning, ApiError> {
        let answer = |field: &FieldRef, query: &Query| self.values_of(query, field);
        let names = EventNames { fields: &self.fields(), clock: self.clock, answer: &answer };
        let numbers =
            Numbers { holds: &|field| self.holds(field), clock: self.clock, notes: &self.notes };
        lower(&numbers.plain(filter)?, &names)
    }

    /// Which values events have in a field.
    fn holds(&self, field: &FieldRef) -> Result<Holds, ApiError> {
        match self.fields().source(field)? {
            ValueSource::Paths(paths) => holds(self.snapshot, &paths, &|| self.cancel.check()),
            _ => Ok(Holds::default()),
        }
    }

    fn answer_rows(
        &self,
        query: &RowsQuery,
        request: &SearchRequest,
    ) -> Result<SearchResponse, ApiError> {
        let meaning = self.timed("inner queries", || self.meaning(&query.filter))?;
        self.note_times(&meaning);
        // A server refuses more than it may answer with; an export asks for more, and has it.
        let limit = request.limit.unwrap_or(TABLE_ROWS_DEFAULT);
        let rows_max = request.empty.then_some(limit);
        let mut empty = EmptySpans { rows_max, ..EmptySpans::default() };
        // An export has all rows.
        let wanted = request.keeps.is_none().then_some(limit);
        let (rows, events) = self.rows(query, &meaning, wanted, &mut empty)?;
        let table = rows.part(0, limit);
        let (given, all) = (table.rows.len(), table.rows_total);
        let mut warnings = empty.warnings;
        if (given as u64) < all && request.limit.is_none() {
            warnings.push(format!(
                "{given} of {all} rows are given: ask for more with limit, {SEARCH_LIMIT_MAX} at most, \
                 or add conditions"
            ));
        }
        let total = Total { value: events, exact: true };
        let rest = request.keeps.and_then(|keeps| rest_of_rows(rows, given, keeps));
        let table = Some(table);
        Ok(SearchResponse { table, total, rest, warnings, ..Default::default() })
    }

    /// What a condition on rows means, its inner queries answered.
    fn row_meaning(&self, filter: &Expr, rows: &Rows) -> Result<RowMeaning, ApiError> {
        let column = |field: &FieldRef| rows.named(field);
        let answer = |field: &FieldRef, query: &Query| self.values_of(query, field);
        let of_kind = |kind: FieldKind| rows.of_kind(kind);
        let numbers =
            Numbers { holds: &|field| rows.holds(field), clock: self.clock, notes: &self.notes };
        let names = RowNames {
            column: &column,
            of_kind: &of_kind,
            aws_service: &|| self.fields().aws_service(),
            clock: self.clock,
            answer: &answer,
        };
        lower(&numbers.plain(filter)?, &names)
    }

    fn key_column(&self, key: &GroupKey) -> Result<Column, ApiError> {
        let kind = match key {
            GroupKey::Field { field, .. } => column_kind(&self.fields().resolve(field)?),
            GroupKey::Net { .. } => ColumnKind::Values(FieldKind::Any),
            GroupKey::Bin { .. } => ColumnKind::Time,
        };
        Ok(Column { name: key.column(), function: None, kind })
    }

    fn measure_column(&self, function: &Function) -> Result<Column, ApiError> {
        let kind = match (function.kind, &function.field) {
            (
                FunctionKind::Min | FunctionKind::Max | FunctionKind::First | FunctionKind::Last,
                Some(field),
            ) => column_kind(&self.fields().resolve(field)?),
            _ => ColumnKind::Values(FieldKind::Any),
        };
        let plain = function.unnamed().column();
        Ok(Column { name: function.column(), function: Some(plain), kind })
    }

    fn key(&self, key: &GroupKey) -> Result<ValueSource, ApiError> {
        match key {
            GroupKey::Field { field, .. } => self.fields().source(field),
            GroupKey::Net { field, net, .. } => {
                Ok(ValueSource::Net(Box::new(self.fields().source(field)?), *net))
            }
            GroupKey::Bin { bin, .. } => Ok(ValueSource::Bin(bins(*bin, self.clock.zone.clone()))),
        }
    }

    fn measure(&self, function: &Function) -> Result<Measure, ApiError> {
        let Some(field) = &function.field else { return Ok(Measure::Count) };
        let source = self.fields().source(field)?;
        self.note_no_numbers(function, field, &source)?;
        Ok(match function.kind {
            FunctionKind::Count => Measure::CountOf(source),
            FunctionKind::Distinct => Measure::Distinct(source),
            FunctionKind::Sum => Measure::Sum(source),
            FunctionKind::Avg => Measure::Avg(source),
            FunctionKind::Min => Measure::Min(source),
            FunctionKind::Max => Measure::Max(source),
            FunctionKind::First => Measure::First(source),
            FunctionKind::Last => Measure::Last(source),
            FunctionKind::Values => Measure::Values(source),
            FunctionKind::List => Measure::List(source),
            FunctionKind::Percentile(percent) => Measure::Percentile(percent, source),
        })
    }

    /// Tells where a function of numbers has none to work on.
    fn note_no_numbers(
        &self,
        function: &Function,
        field: &FieldRef,
        source: &ValueSource,
    ) -> Result<(), ApiError> {
        use FunctionKind::{Avg, Percentile, Sum};
        if !matches!(function.kind, Avg | Percentile(_) | Sum) {
            return Ok(());
        }
        let has_none = match source {
            ValueSource::Paths(_) => {
                let holds = self.holds(field)?;
                holds.others && !holds.numbers
            }
            _ => true,
        };
        if has_none {
            self.notes.add(format!(
                "{field} holds no numbers, so {} is empty; count({field}) counts its events",
                function.column()
            ));
        }
        Ok(())
    }

    /// The values in the first column of an inner query's rows.
    fn values_of(&self, query: &Query, field: &FieldRef) -> Result<Vec<Value>, ApiError> {
        let refuse = |message| {
            let offset = field.offset;
            Err(ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) })
        };
        let Checked::Rows(query) = query.clone().checked().map_err(out_of_order)? else {
            return refuse(format!(
                "the query behind '{} IN' finds events; end it with | values and a field",
                field.name
            ));
        };
        let meaning = self.meaning(&query.filter)?;
        // One may be of events without a value.
        let wanted = Some(SUBQUERY_VALUES_MAX + 2);
        let (rows, _) = self.rows(&query, &meaning, wanted, &mut EmptySpans::default())?;
        let values: Vec<Value> = rows
            .first_column()
            .filter(|cell| **cell != Cell::Null)
            .map(|cell| Value { text: cell.to_string(), offset: field.offset })
            .collect();
        if values.len() > SUBQUERY_VALUES_MAX {
            return refuse(format!(
                "the query behind '{} IN' finds {} values; {SUBQUERY_VALUES_MAX} are the most",
                field.name,
                (values.len() as u64).max(rows.total())
            ));
        }
        Ok(values)
    }
}
