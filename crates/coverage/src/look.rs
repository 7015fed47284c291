//! Looks an index up for a picture, by searches as anybody asks them.
//!
//! Hours are asked for by pieces of time, the latest first, each of them halved until its rows fit. So
//! the memory that this takes has a bound, and where a picture has as many hours as it holds, it lacks
//! the earliest and says so.

use serde_json::Value;

use crate::kinds::KINDS;
use crate::limits::{
    CELLS_MAX, CHANGES_MAX, CHANGES_PAGE, DATA_EVENTS_MAX, NAME_BYTES_MAX, PLACES_MAX,
    RESOURCE_BYTES_MAX, ROWS_MAX,
};
use crate::picture::{Cell, Parts, Picture, Place, hour_of, start_of};
use crate::selectors::Selectors;
use crate::trails::{ACTIONS, Change, time};
use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::{
    ApiError, DataEvents, ErrorKind, FileEntry, SearchRequest, SearchResponse, Table, TotalMode,
};

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
        Ok(Self::of(parts, now))
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
        while let Some((first, end)) = pieces.pop() {
            if self.parts.cells.len() >= CELLS_MAX {
                self.parts.known_from = Some(end);
                self.note(format!("hours before {} are too many to list", start_of(end)));
                break;
            }
            let request = SearchRequest {
                query: "* | stats count, first(time), last(time) by account, region, bin(1h)".into(),
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
            self.note("some accounts and regions are too many, or have names that are none of AWS's".into());
        }
    }

    fn take_row(&mut self, row: &[Value]) -> Option<()> {
        let [account, region, hour, events, first, last] = row else { return None };
        let place = Place { account: name(account)?, region: name(region)? };
        let place = self.number(place)?;
        let hour = hour_of(time(hour.as_str()?)?);
        let within = |value: &Value| {
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
        let row = |row: &Vec<Value>| {
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
        if !self.parts.notes.contains(&note) {
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
fn name(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(name) if name.len() <= NAME_BYTES_MAX => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
