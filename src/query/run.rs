//! Running a search: parse, plan, collect, fetch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Term};

use super::ast::{Expr, Query, Test};
use super::parse::parse;
use super::plan::Planner;
use super::time::parse_time;
use crate::api::Cancel;
use crate::api::proto::{
    ApiError, ErrorKind, Hit, Meta, Order, SearchRequest, SearchResponse, TotalMode,
};
use crate::event::Flags;
use crate::event::columns::{self, ColumnId};
use crate::event::content::id_hash;
use crate::event::time::Micros;
use crate::index::IndexError;
use crate::index::clauses::{ClauseQuery, PlaceClause};
use crate::index::collect::{Match, Wanted, collect};
use crate::index::schema::Fields;
use crate::index::snapshot::Snapshot;
use crate::ingest::parse::Parser;
use crate::limits::SEARCH_LIMIT_MAX;

/// Answers a search.
pub fn search(
    snapshot: &Arc<Snapshot>,
    request: &SearchRequest,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    let Query { filter } = parse(&request.query).map_err(|error| ApiError {
        offset: Some(error.offset),
        suggestion: error.suggestion.clone(),
        ..ApiError::new(ErrorKind::BadQuery, error.to_string())
    })?;
    let start = parse_bound("start", request.start.as_deref(), now)?;
    let end = parse_bound("end", request.end.as_deref(), now)?;
    snapshot.check_whole(start.unwrap_or(Micros(i64::MIN)), end.unwrap_or(Micros(i64::MAX)))?;
    let query = Planner { snapshot, now }.plan_between(&filter, start, end)?;
    let wanted = Wanted {
        limit: request.limit.min(SEARCH_LIMIT_MAX),
        order: request.order,
        total: request.total,
        is_count_known: start.is_none() && end.is_none() && is_one_term(&filter),
    };
    respond(snapshot, &*query, wanted, cancel, started)
}

/// Finds the events of an `eventID`, or of an id made of file number and offset.
pub fn event(
    snapshot: &Arc<Snapshot>,
    id: &str,
    cancel: &Cancel,
) -> Result<SearchResponse, ApiError> {
    let started = Instant::now();
    snapshot.check_whole(Micros(i64::MIN), Micros(i64::MAX))?;
    let wanted = Wanted {
        limit: SEARCH_LIMIT_MAX,
        order: Order::Newest,
        total: TotalMode::Exact,
        is_count_known: true,
    };
    let term = Term::from_field_text(Fields::column(columns::EVENT_ID), id);
    let query = TermQuery::new(term, IndexRecordOption::Basic);
    let found = respond(snapshot, &query, wanted, cancel, started)?;
    if !found.hits.is_empty() {
        return Ok(found);
    }
    if let Some((file, offset)) = parse_place(id) {
        let query = ClauseQuery::boxed(snapshot, PlaceClause { file, offset });
        let found = respond(snapshot, &*query, wanted, cancel, started)?;
        if !found.hits.is_empty() {
            return Ok(found);
        }
    }
    Err(ApiError::new(ErrorKind::NotFound, format!("no event has the id '{id}'")))
}

/// Whether the index keeps the number of events that match.
fn is_one_term(filter: &Expr) -> bool {
    match filter {
        Expr::All => true,
        Expr::Field { field, test: Test::Is(_) } => ColumnId::named(&field.name).is_some(),
        _ => false,
    }
}

fn parse_place(id: &str) -> Option<(u64, u64)> {
    let (file, offset) = id.split_once(':')?;
    Some((file.parse().ok()?, offset.parse().ok()?))
}

/// A bound of time in a request: where the span that its text stands for begins.
pub fn parse_bound(
    key: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Micros>, ApiError> {
    let time = text.map(|text| parse_time(text, now)).transpose();
    let time =
        time.map_err(|error| ApiError::new(ErrorKind::BadRequest, format!("{key}: {error}")))?;
    Ok(time.map(|span| span.start))
}

fn respond(
    snapshot: &Snapshot,
    query: &dyn tantivy::query::Query,
    wanted: Wanted,
    cancel: &Cancel,
    started: Instant,
) -> Result<SearchResponse, ApiError> {
    let (matches, total) = collect(snapshot, query, wanted, &|| cancel.check())?;
    let mut fetcher = Fetcher { snapshot, parser: Parser::default(), paths: HashMap::new() };
    let mut hits = Vec::with_capacity(matches.len());
    for found in &matches {
        cancel.check()?;
        hits.push(fetcher.fetch(found)?);
    }
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    Ok(SearchResponse { hits, total, took_ms, warnings: Vec::new() })
}

/// Fetches the records of matches, many of which come from the same files.
struct Fetcher<'a> {
    snapshot: &'a Snapshot,
    parser: Parser,
    /// Paths of files by their numbers.
    paths: HashMap<u64, String>,
}

impl Fetcher<'_> {
    fn path(&mut self, file: u64) -> Result<String, ApiError> {
        if let Some(path) = self.paths.get(&file) {
            return Ok(path.clone());
        }
        let record = self.snapshot.files.get(file)?;
        let path = record.map_or_else(String::new, |record| record.key.path);
        self.paths.insert(file, path.clone());
        Ok(path)
    }

    fn fetch(&mut self, found: &Match) -> Result<Hit, ApiError> {
        let Match { segment, doc, time } = found;
        let raw = segment.record(*doc)?;
        let (file, offset) = (segment.file(*doc), segment.offset(*doc));
        let path = self.path(file)?;
        let (event, text) = self.parser.parse_record(&raw).ok_or_else(|| {
            let message = format!("the stored record of {path}, byte {offset}, cannot be parsed");
            ApiError::new(ErrorKind::Internal, message)
        })?;
        let is_as_delivered = matches!(text, std::borrow::Cow::Borrowed(_));
        let id = match event.column(columns::EVENT_ID) {
            "" => format!("{file}:{offset}"),
            id => id.to_owned(),
        };
        let account = event.column(columns::RECIPIENT_ACCOUNT);
        let mut flags = segment.flags(*doc);
        // The event that came first does not know of the other.
        if self.snapshot.has_conflict(id_hash(account, &id)) {
            flags |= Flags::ID_CONFLICT;
        }
        let meta = Meta {
            id,
            time: time.to_string(),
            actor: event.column(columns::ACTOR).to_owned(),
            credential: event.column(columns::CREDENTIAL).to_owned(),
            file: path,
            offset,
            flags: flags.names(),
            raw: (!is_as_delivered).then(|| String::from_utf8_lossy(&raw).into_owned()),
        };
        Ok(Hit { event: raw_json(text.into_owned())?, meta })
    }
}

fn raw_json(bytes: Vec<u8>) -> Result<Box<RawValue>, ApiError> {
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::new(ErrorKind::Internal, format!("a stored record is not JSON: {error}"))
    };
    let text = String::from_utf8(bytes).map_err(|error| broken(&error))?;
    RawValue::from_string(text).map_err(|error| broken(&error))
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        let kind = match error {
            IndexError::Damaged { .. } => ErrorKind::Damaged,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
