//! The searches of a trace: exact, on fields that are indexed, counted and bounded.

use std::time::{Duration, Instant};

use language::ast::{
    Expr, FieldRef, Function, FunctionKind, GroupKey, Pattern, PatternPiece, Query, SortKey, Stage,
    Test, Value,
};
use wire::engine::{Cancel, Engine};
use wire::{
    ApiError, ErrorKind, FilesRequest, FilesResponse, Order, QueryForm, SearchRequest,
    SearchResponse, TotalMode,
};

use crate::record::Record;

/// Searches of one trace, at most: a trace of a few nodes takes ten, one of hundreds some 200.
pub(crate) const SEARCHES_MAX: u64 = 400;

/// After this time no more is searched, and what was found is the answer: a person waits no longer, and
/// a search that reaches its own deadline has no answer at all.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(5);

/// Rows that are read of one table, at most.
const ROWS_MAX: usize = 10_000;

pub(crate) const KEY: &str = "userIdentity.accessKeyId";
pub(crate) const PRINCIPAL: &str = "userIdentity.principalId";
pub(crate) const CREATED: &str = "userIdentity.sessionContext.attributes.creationDate";
pub(crate) const ADDRESS: &str = "sourceIPAddress";
pub(crate) const ISSUED: &str = "responseElements.credentials.accessKeyId";
pub(crate) const MADE_KEY: &str = "responseElements.accessKey.accessKeyId";

/// Asks an engine on behalf of one trace.
pub(crate) struct Asker<'e> {
    engine: &'e dyn Engine,
    cancel: &'e Cancel,
    started: Instant,
    pub(crate) searches: u64,
    /// No more searches are made: what was found is not all.
    pub(crate) is_spent: bool,
    pub(crate) warnings: Vec<String>,
}

/// Records that a search found, and how many there are.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    pub(crate) total: u64,
}

impl<'e> Asker<'e> {
    pub(crate) fn new(engine: &'e dyn Engine, cancel: &'e Cancel) -> Self {
        let started = Instant::now();
        Self { engine, cancel, started, searches: 0, is_spent: false, warnings: Vec::new() }
    }

    /// Whether one more may be asked.
    fn may_ask(&mut self) -> Result<bool, ApiError> {
        self.cancel.check()?;
        if self.searches >= SEARCHES_MAX || self.started.elapsed() > TIME_MAX {
            self.is_spent = true;
            return Ok(false);
        }
        self.searches += 1;
        Ok(true)
    }

    fn search(&mut self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        if !self.may_ask()? {
            return Ok(SearchResponse::default());
        }
        let mut found = self.engine.search(request, self.cancel)?;
        for warning in found.warnings.drain(..) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(found)
    }

    /// The first events by time that meet a condition; the number of all where they are counted.
    pub(crate) fn oldest(
        &mut self,
        filter: Expr,
        limit: usize,
        total: TotalMode,
    ) -> Result<Found, ApiError> {
        let found = self.search(&SearchRequest {
            query: QueryForm::Tree(Box::new(Query::of(filter))),
            limit: Some(limit),
            order: Order::Oldest,
            total,
            is_unexplained: true,
            ..SearchRequest::default()
        })?;
        let total = found.total.value;
        Ok(Found { records: found.hits.into_iter().map(Record::new).collect(), total })
    }

    /// The first event by time that meets a condition.
    pub(crate) fn first(&mut self, filter: Expr) -> Result<Option<Record>, ApiError> {
        Ok(self.oldest(filter, 1, TotalMode::None)?.records.into_iter().next())
    }

    /// The most frequent combinations of values of these fields, and whether there are more. One field
    /// alone is counted at the least cost.
    pub(crate) fn groups(
        &mut self,
        filter: Expr,
        by: &[&str],
        rows: usize,
    ) -> Result<(Vec<Group>, bool), ApiError> {
        let count = Function { kind: FunctionKind::Count, field: None, name: None };
        let stages = vec![
            Stage::Stats { functions: vec![count], by: by.iter().map(|path| key(path)).collect() },
            Stage::Sort(vec![SortKey { field: FieldRef::named("count"), is_descending: true }]),
            // One more tells whether there are more.
            Stage::Limit { rows: rows as u64 + 1, by: Vec::new() },
        ];
        let mut groups = self.table(filter, stages, by.len(), rows + 1)?;
        let is_cut = groups.len() > rows;
        groups.truncate(rows);
        Ok((groups, is_cut))
    }

    /// Each combination of values of these fields, with its number of events and the time of the last.
    pub(crate) fn tallies(&mut self, filter: Expr, by: &[&str]) -> Result<Vec<Group>, ApiError> {
        let function = |kind| Function { kind, field: None, name: None };
        let last =
            Function { field: Some(FieldRef::named("time")), ..function(FunctionKind::Last) };
        let functions = vec![function(FunctionKind::Count), last];
        let stats = Stage::Stats { functions, by: by.iter().map(|path| key(path)).collect() };
        self.table(filter, vec![stats], by.len(), ROWS_MAX)
    }

    fn table(
        &mut self,
        filter: Expr,
        stages: Vec<Stage>,
        keys: usize,
        limit: usize,
    ) -> Result<Vec<Group>, ApiError> {
        let found = self.search(&SearchRequest {
            query: QueryForm::Tree(Box::new(Query { filter, stages })),
            limit: Some(limit),
            is_unexplained: true,
            ..SearchRequest::default()
        })?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let group = |row: Vec<serde_json::Value>| Group {
            values: row.iter().take(keys).map(text).collect(),
            events: row.get(keys).and_then(serde_json::Value::as_u64).unwrap_or_default(),
            last: row.get(keys + 1).map(text).unwrap_or_default(),
        };
        let rows = found.table.map(|table| table.rows).unwrap_or_default();
        Ok(rows.into_iter().map(group).collect())
    }

    /// The last event by time that meets a condition.
    pub(crate) fn last(&mut self, filter: Expr) -> Result<Option<Record>, ApiError> {
        let found = self.search(&SearchRequest {
            query: QueryForm::Tree(Box::new(Query::of(filter))),
            limit: Some(1),
            total: TotalMode::None,
            is_unexplained: true,
            ..SearchRequest::default()
        })?;
        Ok(found.hits.into_iter().next().map(Record::new))
    }

    /// The events of an id.
    pub(crate) fn event(&mut self, id: &str) -> Result<Vec<Record>, ApiError> {
        if !self.may_ask()? {
            return Ok(Vec::new());
        }
        match self.engine.event(id, self.cancel) {
            Ok(found) => Ok(found.hits.into_iter().map(Record::new).collect()),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The files that have events between two times, at most `limit` by name.
    pub(crate) fn files(
        &mut self,
        start: String,
        end: String,
        limit: usize,
    ) -> Result<FilesResponse, ApiError> {
        if !self.may_ask()? {
            return Ok(FilesResponse::default());
        }
        let (start, end, limit) = (Some(start), Some(end), Some(limit));
        self.engine
            .files(&FilesRequest { start, end, limit, ..FilesRequest::default() }, self.cancel)
    }
}

fn key(path: &str) -> GroupKey {
    let is_path = path.contains('.') || path == ADDRESS;
    let field = if is_path { FieldRef::at_path(path) } else { FieldRef::named(path) };
    GroupKey::Field { field, name: None }
}

/// A row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) values: Vec<String>,
    pub(crate) events: u64,
    pub(crate) last: String,
}

pub(crate) fn is(path: &str, value: &str) -> Expr {
    Expr::Field { field: FieldRef::at_path(path), test: Test::Is(Value::of(value)) }
}

/// A field that is derived or has a short name, such as `time`.
pub(crate) fn named(name: &str, value: &str) -> Expr {
    Expr::Field { field: FieldRef::named(name), test: Test::Is(Value::of(value)) }
}

pub(crate) fn one_of<T: AsRef<str>>(path: &str, values: &[T]) -> Expr {
    let tests = values.iter().map(|value| Test::Is(Value::of(value.as_ref())));
    Expr::Field { field: FieldRef::at_path(path), test: Test::one_of(tests.collect()) }
}

pub(crate) fn exists(path: &str) -> Expr {
    Expr::Field { field: FieldRef::at_path(path), test: Test::Exists }
}

/// A value of the path that begins so.
pub(crate) fn begins(path: &str, text: &str) -> Expr {
    let pieces = [PatternPiece::Text(text.to_owned()), PatternPiece::AnyRun];
    Expr::Field { field: FieldRef::at_path(path), test: Test::Wildcard(Pattern::new(pieces)) }
}

/// Calls that were not refused and did not fail.
pub(crate) fn succeeded() -> Expr {
    Expr::negate(exists("errorCode"))
}

pub(crate) fn all<const N: usize>(parts: [Expr; N]) -> Expr {
    Expr::all_of(parts)
}
