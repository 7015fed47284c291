//! Lists the fields that events have, and the most frequent values of a field.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Search, clock_of, key, parse_query, why_ended};
use crate::collect::{Counting, Wanted, collect};
use crate::fields::{SERVICE, Target, at, is_above_a_column, is_taken};
use crate::flags::FLAG;
use crate::groups::{Asked, Grouping, Measure, group_in_passes, top_of_column};
use crate::integrity::INTEGRITY;
use crate::lower::NAMES;
use crate::plan::read_record;
use crate::presence::presences;
use crate::ranked::list_bytes;
use crate::values::ValueSource;
use language::ast::{Expr, FieldRef, Pattern, PatternPiece, Query, Test};
use language::parse::Parsed;
use language::time::Clock;
use segment::presence::Presence;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::columns::{COLUMNS, Column, ColumnId, EVENT_TIME_PATH, SOURCE_IP};
use trail::time::Micros;
use wire::engine::Cancel;
use wire::limits::{FIELDS_LIMIT_DEFAULT, VALUES_LIMIT_DEFAULT};
use wire::{
    ApiError, ErrorKind, Field, FieldType, FieldsRequest, FieldsResponse, Order, QueryForm,
    TotalMode, ValueCount, ValuesRequest, ValuesResponse,
};

/// Lists the fields that events have, with types and numbers of events.
pub fn fields(
    snapshot: &Arc<Snapshot>,
    request: &FieldsRequest,
    cancel: &Cancel,
) -> Result<FieldsResponse, ApiError> {
    snapshot.check_whole(Micros(i64::MIN), Micros(i64::MAX))?;
    let (mut fields, called) = all_fields(snapshot, cancel)?;
    if let Some(prefix) = &request.prefix {
        let prefix = prefix.to_lowercase();
        fields.retain(|field| is_called(field, &prefix));
    }
    let prefix = request.prefix.as_deref().unwrap_or_default().to_lowercase();
    fields.extend(looked_up(snapshot, &prefix, cancel)?);
    fields.sort_unstable_by(|a, b| b.events.cmp(&a.events).then_with(|| a.path.cmp(&b.path)));
    let total = fields.len() as u64;
    fields.truncate(request.limit.unwrap_or(FIELDS_LIMIT_DEFAULT));
    // A look into every segment for each: only for those that are given.
    let is_of_records = |field: &&mut Field| enrich::Field::named(&field.path).is_none();
    for field in fields.iter_mut().filter(|field| field.short.is_none()).filter(is_of_records) {
        cancel.check()?;
        field.short = short(&field.path, &called, snapshot).map(FieldRef::written);
    }
    if let Some(limit) = request.values {
        let clock = Clock::utc(Timestamp::UNIX_EPOCH);
        let search = Search::between(snapshot, (None, None), &clock, cancel)?;
        for field in &mut fields {
            cancel.check()?;
            field.values = search.examples(field, limit)?;
        }
    }
    Ok(FieldsResponse { fields, total, ..FieldsResponse::default() })
}

/// How many fields end with each name.
type Called<'s> = HashMap<&'s str, usize>;

/// Every field that some event has and a query can name, in no order. Of their short names, those that
/// are given; see [`short`] for the others.
fn all_fields<'s>(
    snapshot: &'s Snapshot,
    cancel: &Cancel,
) -> Result<(Vec<Field>, Called<'s>), ApiError> {
    let (by_path, of_columns) = presences(snapshot, &|| cancel.check())?;
    let field = |path: &str, short: Option<&str>, Presence { kinds, events }: Presence| Field {
        path: path.to_owned(),
        query: None,
        short: short.map(FieldRef::written),
        types: kinds.types(),
        events,
        values: None,
    };
    let paths: Vec<(&str, Presence)> = by_path.into_iter().collect();
    let mut called = Called::new();
    for path in paths.iter().map(|(path, _)| *path).chain(COLUMNS.iter().map(|c| c.path)) {
        // A name is also that of what lies above.
        for part in path.split('.') {
            *called.entry(part).or_insert(0) += 1;
        }
    }
    let mut fields = Vec::with_capacity(paths.len() + COLUMNS.len() + 1);
    for (path, presence) in paths {
        fields.push(Field { query: in_queries(path), ..field(path, None, presence) });
    }
    for (id, presence) in ColumnId::all().zip(of_columns) {
        let Column { path, aliases, .. } = id.column();
        let alias = if id == SOURCE_IP { Some("ip") } else { aliases.first().copied() };
        fields.push(field(path, alias, presence));
    }
    fields.push(Field {
        path: EVENT_TIME_PATH.to_owned(),
        query: None,
        short: Some("time".to_owned()),
        types: vec![FieldType::Time],
        events: snapshot.events(),
        values: None,
    });
    fields.retain(|field| field.events > 0);
    Ok((fields, called))
}

/// The fields that are looked up, whose name begins so in lower case, and some event has.
fn looked_up(
    snapshot: &Arc<Snapshot>,
    prefix: &str,
    cancel: &Cancel,
) -> Result<Vec<Field>, ApiError> {
    let clock = Clock::utc(Timestamp::UNIX_EPOCH);
    let search = Search::between(snapshot, (None, None), &clock, cancel)?;
    let mut fields = Vec::new();
    for (of, path, _) in enrich::Field::ALL {
        let last = last_part(path);
        let is_called = path.starts_with(prefix) || last.starts_with(prefix);
        if !is_called || search.lookups.of.check(of).is_err() {
            continue;
        }
        let has = Expr::Field { field: FieldRef::named(path), test: Test::Exists };
        let meaning = search.meaning(&has)?;
        let wanted = Wanted {
            limit: 1,
            order: Order::Newest,
            after: None,
            total: TotalMode::Exact,
            counting: Counting::OneByOne(Some(key(&meaning, (None, None)))),
        };
        let sought = search.sought(&meaning);
        let (_, total) = collect(snapshot, &sought, wanted, &|| cancel.check())?;
        let events = total.value;
        let kind = if of == enrich::Field::Asn { FieldType::Integer } else { FieldType::Text };
        fields.push(Field {
            path: path.to_owned(),
            query: None,
            short: None,
            types: vec![kind],
            events,
            values: None,
        });
    }
    fields.retain(|field| field.events > 0);
    Ok(fields)
}

/// The last part of a path, where it means nothing else.
fn short<'p>(path: &'p str, called: &Called<'_>, snapshot: &Snapshot) -> Option<&'p str> {
    let last = last_part(path);
    let is_free = || {
        !is_taken(last)
            && last != NAMES
            && !is_above_a_column(last)
            && !snapshot.has_values_at(last)
            && !snapshot.has_values_below(last)
    };
    (last.len() < path.len() && called.get(last) == Some(&1) && is_free()).then_some(last)
}

/// A record's own path as a query asks for it, where that is not the path as it is: it has other signs
/// than names have, or is called as queries call another field.
fn in_queries(path: &str) -> Option<String> {
    let is_quoted = is_taken(path) || path == NAMES;
    let written = if is_quoted {
        FieldRef { is_quoted, ..FieldRef::named(path) }.to_string()
    } else {
        FieldRef::written(path)
    };
    (written != path).then_some(written)
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether a name for the field begins with a text in lower case.
fn is_called(field: &Field, prefix: &str) -> bool {
    let path = field.path.to_lowercase();
    let short = field.short.as_ref().map(|short| short.to_lowercase());
    path.starts_with(prefix)
        || path.match_indices('.').any(|(dot, _)| path[dot + 1..].starts_with(prefix))
        || short.is_some_and(|short| short.starts_with(prefix))
}

/// Lists the most frequent values of a field, with numbers of events.
pub fn values(
    snapshot: &Arc<Snapshot>,
    request: &ValuesRequest,
    now: Timestamp,
    cancel: &Cancel,
) -> Result<ValuesResponse, ApiError> {
    let query = QueryForm::Text(request.query.clone().unwrap_or_default());
    let Parsed { query: Query { filter, stages }, notes } = parse_query(&query)?;
    if !stages.is_empty() {
        let message = "values are listed of the events that a filter finds; leave out the stages";
        return Err(ApiError::new(ErrorKind::BadQuery, message));
    }
    let clock = clock_of(request.time_zone.as_deref(), now)?;
    let bounds = (request.start.as_deref(), request.end.as_deref());
    let search = Search::between(snapshot, bounds, &clock, cancel)?;
    search.notes.extend(notes);
    let field = FieldRef::read(&request.field);
    let prefix = request.prefix.as_deref().unwrap_or_default();
    let limit = request.limit.unwrap_or(VALUES_LIMIT_DEFAULT);
    // One more tells whether there are others.
    let answer = search.values(&field, prefix, filter, limit.saturating_add(1));
    // An evaluation that was stopped has no error of its own.
    let mut values = answer.map_err(|error| why_ended(error, cancel))?;
    if values.len() > limit {
        values.truncate(limit);
        if request.limit.is_none() {
            search.notes.add(format!(
                "the {limit} most frequent values are given, and there are more: ask for them with \
                 limit; | stats distinct({field}) counts them"
            ));
        }
    }
    let field = search.full_path(&field)?;
    search.notes.extend(search.lookups.damage());
    Ok(ValuesResponse { field, values, warnings: search.notes.take() })
}

impl Search<'_> {
    /// The path that a name means; of one that stands for several, the name.
    fn full_path(&self, field: &FieldRef) -> Result<String, ApiError> {
        Ok(match self.fields().resolve(field)? {
            Target::Column(id) => id.column().path.to_owned(),
            Target::Ip => SOURCE_IP.column().path.to_owned(),
            Target::Time => EVENT_TIME_PATH.to_owned(),
            Target::Integrity(_) => INTEGRITY.to_owned(),
            Target::Flag(_) => FLAG.to_owned(),
            Target::Service => SERVICE.to_owned(),
            Target::LookedUp(of) => of.field.name().to_owned(),
            Target::Places(places) => match <[String; 1]>::try_from(places.values) {
                Ok([path]) => path,
                Err(_) => field.name.clone(),
            },
        })
    }

    /// The most frequent values of a field of the schema or a path; none where nearly every event has a
    /// value of its own.
    fn examples(&self, field: &Field, limit: usize) -> Result<Option<Vec<ValueCount>>, ApiError> {
        let path = field.path.as_str();
        let is_unique = ColumnId::named(path).is_some_and(|id| id.column().is_unique);
        if path == EVENT_TIME_PATH || is_unique {
            return Ok(None);
        }
        let name = field.query.as_deref().unwrap_or(path);
        self.values(&FieldRef::read(name), "", Expr::All, limit).map(Some)
    }

    /// The most frequent values of a field that begin with a text, of the events that a filter finds.
    pub(super) fn values(
        &self,
        field: &FieldRef,
        prefix: &str,
        filter: Expr,
        limit: usize,
    ) -> Result<Vec<ValueCount>, ApiError> {
        let source = match self.fields().source(field)? {
            ValueSource::Time => return Err(has_no_list(field)),
            source => source,
        };
        let is_of_all = filter == Expr::All && self.start.is_none() && self.end.is_none();
        let counted = match &source {
            ValueSource::Column(id) if is_of_all && !id.column().is_unique => {
                top_of_column(self.snapshot, *id, prefix, limit, &|| self.cancel.check())?
            }
            _ => self.count_values(field, source, prefix, filter, limit)?,
        };
        let value = |(cell, events)| {
            let value = serde_json::to_value(cell).unwrap_or_default();
            ValueCount { value, events }
        };
        Ok(counted.into_iter().map(value).collect())
    }

    /// The same, by looking at every event that has such a value.
    fn count_values(
        &self,
        field: &FieldRef,
        source: ValueSource,
        prefix: &str,
        filter: Expr,
        limit: usize,
    ) -> Result<Vec<(Cell, u64)>, ApiError> {
        let test = match prefix {
            "" => Test::Exists,
            prefix => Test::Wildcard(Pattern::new([
                PatternPiece::Text(prefix.into()),
                PatternPiece::AnyRun,
            ])),
        };
        let has_value = Expr::Field { field: field.clone(), test };
        let filter = match filter {
            Expr::All => has_value,
            filter => Expr::all_of([has_value, filter]),
        };
        let sought = self.sought(&self.meaning(&filter)?);
        // One for events that have fields below the field, but no value at it.
        let largest = Some(limit + 1);
        let grouping = Grouping { keys: vec![source], measures: vec![Measure::Count], largest };
        let (read, check) = (read_record(), || self.cancel.check());
        let asked = Asked {
            snapshot: self.snapshot,
            sought: &sought,
            grouping: &grouping,
            read: &read,
            bytes_max: self.cancel.group_bytes(),
            may_split: true,
            check: &check,
        };
        let mut counted: Vec<(Cell, u64)> = Vec::new();
        group_in_passes(&asked, |rows, _| {
            let rows = rows.into_iter().filter_map(count_of);
            // Of an event with several values, some may begin otherwise.
            counted.extend(rows.filter(|(value, _)| {
                *value != Cell::Null && value.to_string().starts_with(prefix)
            }));
            counted.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
            counted.truncate(limit);
            counted.shrink_to_fit();
            let value_bytes = |(value, _): &(Cell, u64)| list_bytes(std::slice::from_ref(value));
            Ok::<_, ApiError>(counted.iter().map(value_bytes).sum())
        })?;
        Ok(counted)
    }
}

/// A row of one key and a count.
fn count_of(row: Vec<Cell>) -> Option<(Cell, u64)> {
    match <[Cell; 2]>::try_from(row) {
        Ok([value, Cell::Int(events)]) => Some((value, u64::try_from(events).ok()?)),
        _ => None,
    }
}

fn has_no_list(field: &FieldRef) -> ApiError {
    let message = format!(
        "'{}'{} is the time, of which nearly every event has its own; ask for a timeline",
        field.name,
        at(field.offset)
    );
    ApiError {
        suggestion: Some("the query timeline 1h".to_owned()),
        ..ApiError::new(ErrorKind::BadRequest, message)
    }
}
