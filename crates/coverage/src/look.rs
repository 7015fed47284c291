//! Looks an index up for a picture, by searches as anybody asks them.
//!
//! Hours are asked for by pieces of time, the latest first, each of them halved until its rows fit. So
//! the memory that this takes has a bound, and where a picture has as many hours as it holds, it lacks
//! the earliest and says so.

use serde_json::Value as Json;

use crate::kinds::KINDS;
use crate::limits::{
    CELLS_MAX, CHANGES_MAX, CHANGES_PAGE, DATA_EVENTS_MAX, NAME_BYTES_MAX, PLACES_MAX,
    RESOURCE_BYTES_MAX, ROWS_MAX, SEARCHES_MAX, STOPS_MAX,
};
use crate::picture::{Cell, Parts, Picture, Place, hour_of, start_of};
use crate::selectors::Selectors;
use crate::stops::Stop;
use crate::trails::{ACTIONS, Change, time};
use language::ast::{Expr, FieldRef, Query, Test, Value};
use trail::columns;
use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::{
    ApiError, DataEvents, ErrorKind, FileEntry, QueryForm, SearchRequest, SearchResponse, Table,
    TotalMode,
};

/// Notes of what a picture lacks.
const NOTES_KEPT: usize = 20;

/// Whoever has an index. All answers must be of one commit.
pub trait Asks {
    /// Answers a search. `limit` may be more than the API's.
    fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError>;

    /// Times of the first and the last event; None where there is none.
    fn span(&self) -> Option<(Micros, Micros)>;

    /// Whether some file is not in the index as a whole.
    fn has_rejects(&self) -> bool;

    /// Visits every file that was read.
    fn files(&self, visit: &mut dyn FnMut(&FileEntry)) -> Result<(), ApiError>;
}

impl Picture {
    /// Looks everything up. `now` is the time behind which nothing is missing.
    pub fn look(asks: &dyn Asks, now: Micros) -> Result<Self, ApiError> {
        let mut looking = Looking { asks, numbers: SeededMap::default(), parts: Parts::default() };
        if let Some((first, last)) = asks.span() {
            looking.hours(hour_of(first), hour_of(last) + 1)?;
        }
        looking.changes()?;
        looking.data_events()?;
        let mut parts = looking.parts;
        if asks.has_rejects() {
            asks.files(&mut |file| parts.unread.add(file))?;
        }
        let mut picture = Self::of(parts, now);
        picture.look_into_stops(asks)?;
        Ok(picture)
    }

    /// Looks whether the accounts of trails that were stopped for a short time have events meanwhile,
    /// which whole hours do not tell.
    fn look_into_stops(&mut self, asks: &dyn Asks) -> Result<(), ApiError> {
        let Self { stops, changes, .. } = self;
        let told = |stop: &Stop| &changes[stop.change].told;
        let short = |stop: &&mut Stop| stop.has_others && stop.is_short(told(stop).time);
        for stop in stops.iter_mut().rev().filter(short).take(STOPS_MAX) {
            let told = told(stop);
            let account = Expr::Field {
                field: FieldRef::named(columns::ACCOUNT.column().path),
                test: Test::Is(Value::of(told.account.clone())),
            };
            let answer = asks.search(&SearchRequest {
                query: QueryForm::Tree(Box::new(Query::of(account))),
                start: Some(stop.looked_at_from(told.time).to_string()),
                end: stop.until.map(|until| until.to_string()),
                limit: Some(1),
                total: TotalMode::None,
                ..SearchRequest::default()
            })?;
            stop.has_others = !answer.hits.is_empty();
        }
        Ok(())
    }
}

struct Looking<'a> {
    asks: &'a dyn Asks,
    /// Of the places.
    numbers: SeededMap<Place, u32>,
    parts: Parts,
}

impl Looking<'_> {
    /// Takes the hours of a piece of time, the latest first.
    fn hours(&mut self, first: i32, end: i32) -> Result<(), ApiError> {
        let mut pieces = vec![(first, end)];
        let mut searches = 0;
        while let Some((first, end)) = pieces.pop() {
            searches += 1;
            if self.parts.cells.len() >= CELLS_MAX || searches > SEARCHES_MAX {
                self.parts.known_from = Some(end);
                self.note(format!("hours before {} are too many to list", start_of(end)));
                break;
            }
            let request = SearchRequest {
                query: "* | stats count, first(time), last(time) by account, region, bin(1h)"
                    .into(),
                start: Some(start_of(first).to_string()),
                end: Some(start_of(end).to_string()),
                limit: Some(ROWS_MAX),
                ..SearchRequest::default()
            };
            let table = match self.asks.search(&request) {
                Ok(answer) => answer.table.unwrap_or_default(),
                // Too many groups for the search's memory.
                Err(error) if error.kind == ErrorKind::BadRequest && end - first > 1 => {
                    halve(&mut pieces, first, end);
                    continue;
                }
                Err(error) if error.kind == ErrorKind::BadRequest => {
                    self.note(format!("the accounts of {} are too many to list", start_of(first)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if table.rows_total > table.rows.len() as u64 && end - first > 1 {
                halve(&mut pieces, first, end);
                continue;
            }
            self.take(&table);
        }
        Ok(())
    }

    fn take(&mut self, table: &Table) {
        let mut left_out = table.rows_total - table.rows.len() as u64;
        for row in &table.rows {
            left_out += u64::from(self.take_row(row).is_none());
        }
        if left_out > 0 {
            self.note(
                "some accounts and regions are too many, or have names that are none of AWS's"
                    .into(),
            );
        }
    }

    fn take_row(&mut self, row: &[Json]) -> Option<()> {
        let [account, region, hour, events, first, last] = row else { return None };
        let place = Place { account: name(account)?, region: name(region)? };
        let place = self.number(place)?;
        let hour = hour_of(time(hour.as_str()?)?);
        let within = |value: &Json| {
            let at = time(value.as_str()?)?;
            Some((at.0 - start_of(hour).0).clamp(0, crate::picture::HOUR_US - 1) as u32)
        };
        let (first_us, last_us) = (within(first)?, within(last)?);
        self.parts.cells.push(Cell { place, hour, events: events.as_u64()?, first_us, last_us });
        Some(())
    }

    fn number(&mut self, place: Place) -> Option<u32> {
        if let Some(number) = self.numbers.get(&place) {
            return Some(*number);
        }
        let number = self.parts.places.len();
        if number >= PLACES_MAX {
            return None;
        }
        self.parts.places.push(place.clone());
        self.numbers.insert(place, number as u32);
        Some(number as u32)
    }

    /// The changes of trails, the latest first.
    fn changes(&mut self) -> Result<(), ApiError> {
        let mut request = SearchRequest {
            query: format!("eventName:({})", ACTIONS.join(" OR ")).into(),
            limit: Some(CHANGES_PAGE),
            total: TotalMode::None,
            ..SearchRequest::default()
        };
        let mut bytes = 0;
        loop {
            let answer = self.asks.search(&request)?;
            for change in answer.hits.iter().filter_map(Change::of) {
                bytes += change.selectors.as_ref().map_or(0, Selectors::bytes);
                self.parts.changes.push(change);
            }
            let is_full = self.parts.changes.len() >= CHANGES_MAX || bytes > RESOURCE_BYTES_MAX;
            match answer.cursor {
                Some(_) if is_full => {
                    self.note("earlier changes of trails are too many to list".into());
                    return Ok(());
                }
                Some(cursor) => request.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// Counts the data events.
    fn data_events(&mut self) -> Result<(), ApiError> {
        // Old records do not say what they are.
        let usual = ["AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"];
        let usual: Vec<String> = KINDS
            .iter()
            .filter(|kind| usual.contains(&kind.resource_type))
            .map(|kind| {
                format!("(eventSource = {} eventName:({}))", kind.source, kind.names.join(" OR "))
            })
            .collect();
        let request = SearchRequest {
            query: format!(
                "eventCategory:Data OR managementEvent:false OR {} \
                 | stats count, first(time), last(time) by eventSource, account",
                usual.join(" OR ")
            )
            .into(),
            limit: Some(DATA_EVENTS_MAX),
            ..SearchRequest::default()
        };
        let table = self.asks.search(&request)?.table.unwrap_or_default();
        let row = |row: &Vec<Json>| {
            let [source, account, events, first, last] = &row[..] else { return None };
            Some(DataEvents {
                source: name(source)?,
                account: name(account)?,
                events: events.as_u64()?,
                first: time(first.as_str()?)?,
                last: time(last.as_str()?)?,
            })
        };
        self.parts.data_events = table.rows.iter().filter_map(row).collect();
        Ok(())
    }

    fn note(&mut self, note: String) {
        if self.parts.notes.len() < NOTES_KEPT && !self.parts.notes.contains(&note) {
            self.parts.notes.push(note);
        }
    }
}

/// The earlier half is looked at after the later one.
fn halve(pieces: &mut Vec<(i32, i32)>, first: i32, end: i32) {
    let middle = first + (end - first) / 2;
    pieces.push((first, middle));
    pieces.push((middle, end));
}

/// An account, a region or a service; empty where there is none. None where it is too long for one.
fn name(value: &Json) -> Option<String> {
    match value {
        Json::Null => Some(String::new()),
        Json::String(name) if name.len() <= NAME_BYTES_MAX => Some(name.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell as Counter;

    use super::*;
    use serde_json::json;

    /// An index with an event in each hour of some accounts, that returns so many rows of a table.
    struct Made {
        accounts: usize,
        hours: i32,
        rows_max: usize,
        searches: Counter<usize>,
        refuses_more: bool,
    }

    impl Asks for Made {
        fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
            self.searches.set(self.searches.get() + 1);
            let hour = |bound: &Option<String>| bound.as_deref().and_then(time).map(hour_of);
            let (Some(start), Some(end)) = (hour(&request.start), hour(&request.end)) else {
                return Ok(SearchResponse::default());
            };
            let row = |hour: i32, account: usize| {
                let at = start_of(hour).to_string();
                vec![
                    json!(format!("{account:012}")),
                    json!("us-east-1"),
                    json!(at),
                    json!(1),
                    json!(at),
                    json!(at),
                ]
            };
            let hours = start.max(0)..end.min(self.hours);
            let rows: Vec<_> =
                hours.flat_map(|hour| (0..self.accounts).map(move |a| row(hour, a))).collect();
            let rows_total = rows.len() as u64;
            if self.refuses_more && rows.len() > self.rows_max {
                return Err(ApiError::new(ErrorKind::BadRequest, "too many groups"));
            }
            let rows = rows.into_iter().take(self.rows_max).collect();
            let table = Table { rows, rows_total, ..Table::default() };
            Ok(SearchResponse { table: Some(table), ..SearchResponse::default() })
        }

        fn span(&self) -> Option<(Micros, Micros)> {
            Some((start_of(0), start_of(self.hours - 1)))
        }

        fn has_rejects(&self) -> bool {
            false
        }

        fn files(&self, _: &mut dyn FnMut(&FileEntry)) -> Result<(), ApiError> {
            panic!("no file is to be looked at")
        }
    }

    /// Refuses every search for hours.
    struct Refusing(Made);
    impl Asks for Refusing {
        fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
            self.0.searches.set(self.0.searches.get() + 1);
            match request.start {
                Some(_) => Err(ApiError::new(ErrorKind::BadRequest, "no")),
                None => Ok(SearchResponse::default()),
            }
        }
        fn span(&self) -> Option<(Micros, Micros)> {
            self.0.span()
        }
        fn has_rejects(&self) -> bool {
            false
        }
        fn files(&self, _: &mut dyn FnMut(&FileEntry)) -> Result<(), ApiError> {
            Ok(())
        }
    }

    #[test]
    fn time_is_halved_until_the_rows_fit() {
        for refuses_more in [false, true] {
            let made = Made {
                accounts: 3,
                hours: 100,
                rows_max: 40,
                searches: Counter::new(0),
                refuses_more,
            };
            let picture = Picture::look(&made, start_of(100)).unwrap();
            assert_eq!((picture.cells.len(), picture.places.len()), (300, 3));
            assert_eq!((&picture.notes[..], &picture.gaps[..]), (&[][..], &[][..]));
            assert!(made.searches.get() < 40, "{}", made.searches.get());
        }
    }

    #[test]
    fn what_is_too_much_for_an_hour_is_left_out_and_told() {
        let made = Made {
            accounts: 50,
            hours: 4,
            rows_max: 40,
            searches: Counter::new(0),
            refuses_more: false,
        };
        let picture = Picture::look(&made, start_of(4)).unwrap();
        assert_eq!((picture.cells.len(), picture.notes.len()), (160, 1));
        let made = Made { refuses_more: true, ..made };
        let picture = Picture::look(&made, start_of(4)).unwrap();
        assert_eq!((picture.cells.len(), picture.notes.len()), (0, 4));
    }

    #[test]
    fn an_index_that_refuses_everything_is_not_asked_for_ever() {
        let made = Made {
            accounts: 2,
            hours: 1_000_000,
            rows_max: 1,
            searches: Counter::new(0),
            refuses_more: true,
        };
        let refusing = Refusing(made);
        let picture = Picture::look(&refusing, start_of(0)).unwrap();
        assert!(picture.known_from.is_some() && picture.notes.len() <= NOTES_KEPT);
        assert!(refusing.0.searches.get() < SEARCHES_MAX + 10);
    }
}
