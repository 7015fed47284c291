//! What a table's columns say of its rows: which one holds whole records, or which field of a record each
//! is. Puts records together.

use std::fmt::Write as _;

use crate::fields::{Column, Kind, members, plain, restored};
use crate::json::{self, Object};
use crate::limits::{COLUMNS_MAX, ROW_BYTES_MAX};
use crate::texts;
use crate::{Doubt, Place, Record, Sink};

/// A cell of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    /// Null, or nothing.
    Missing,
    /// A text.
    Text(&'a [u8]),
    /// A number, a struct, a list or a map, as JSON.
    Json(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The text of a cell, which is none where it is empty or says `null`.
    fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) if !matches!(text.trim_ascii(), b"" | b"null") => Some(text),
            _ => None,
        }
    }
}

/// Names of columns that hold whole records, in this order of preference: Lake, LookupEvents, CloudWatch
/// Logs Insights, Splunk, traildex's own export.
const WHOLE: [&str; 7] =
    ["eventjson", "cloudtrailevent", "message", "raw", "record", "rawevent", "rawlog"];

/// What records have. Of other texts, few have three.
const MEMBERS: [&[u8]; 7] = [
    b"eventVersion",
    b"eventSource",
    b"eventName",
    b"eventTime",
    b"eventID",
    b"userIdentity",
    b"awsRegion",
];
const MEMBERS_MIN: usize = 3;

/// Columns named in the reason why a table is none of CloudTrail's.
const NAMES_TOLD_MAX: usize = 40;
const NAME_CHARS_MAX: usize = 64;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Shape {
    names: Vec<String>,
    /// The column that holds whole records.
    whole: Option<usize>,
    /// What the columns are, where they are enough to put a record together.
    columns: Option<Vec<Column>>,
}

/// Whether a text is a whole record, or an envelope of some.
pub(crate) fn is_whole(text: &[u8]) -> bool {
    let has = |member: &&&[u8]| memchr::memmem::find(text, member).is_some();
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
        && MEMBERS.iter().filter(has).count() >= MEMBERS_MIN
}

impl Shape {
    /// The shape of a table with these columns and this first row, if it has one. The error says what it
    /// lacks.
    pub(crate) fn of(names: Vec<String>, first: &[Cell<'_>]) -> Result<Self, String> {
        if names.len() > COLUMNS_MAX {
            return Err(format!("it has {} columns, and {COLUMNS_MAX} are read", names.len()));
        }
        let columns: Vec<Column> = names.iter().map(|name| Column::named(name)).collect();
        let lacking = lacking(&columns);
        let named = |whole: &&str| names.iter().position(|name| plain(name) == **whole);
        let by_name = || WHOLE.iter().find_map(&named);
        let is_held =
            |cell: Option<&Cell<'_>>| matches!(cell, Some(Cell::Text(text)) if is_whole(text));
        // What a documented field holds was chosen by a caller.
        let holds = |(at, cell): (usize, &Cell<'_>)| {
            (is_held(Some(cell)) && columns[at].kind.is_none()).then_some(at)
        };
        let is_sure = |at: &usize| columns[*at].is("eventJson") || is_held(first.get(*at));
        let by_content = || first.iter().enumerate().find_map(holds);
        let whole = if lacking.is_empty() {
            by_name().filter(is_sure)
        } else {
            by_content().or_else(by_name)
        };
        if whole.is_none() && !lacking.is_empty() {
            return Err(no_table(&names, &lacking));
        }
        Ok(Self { names, whole, columns: lacking.is_empty().then_some(columns) })
    }

    /// Hands a row to the sink.
    pub(crate) fn row<S: Sink>(
        &self,
        row: u64,
        cells: &[Cell<'_>],
        sink: &mut S,
    ) -> Result<(), S::Error> {
        if let Some(at) = self.whole {
            let place = Place { row, column: at as u32 + 1, name: &self.names[at] };
            match (cells[at], &self.columns) {
                (cell, _) if cell.text().is_some() => {
                    return sink.record(place, Record::Whole(cell.text().unwrap_or_default()));
                }
                (Cell::Json(json), _) if json.starts_with(b"{") => {
                    let doubt = Doubt::default();
                    return sink.record(place, Record::Rebuilt { json, doubt });
                }
                (_, Some(_)) => {}
                (Cell::Missing | Cell::Text(_), None) => {
                    sink.reject(place, "the cell is empty, and no other column holds a record");
                    return Ok(());
                }
                (Cell::Json(_), None) => {
                    sink.reject(place, "the cell holds no text, but a number or a list");
                    return Ok(());
                }
            }
        }
        let Some(columns) = &self.columns else { return Ok(()) };
        let (mut record, mut doubt) = (Object::default(), Doubt::default());
        for (column, cell) in columns.iter().zip(cells) {
            if let Some(json) = value(column, *cell, &mut doubt) {
                record.put(&column.path, json);
            }
        }
        let mut json = Vec::new();
        record.push_to(&mut json);
        if json.len() > ROW_BYTES_MAX {
            let reason = format!("the record would be longer than {ROW_BYTES_MAX} bytes");
            sink.reject(Place::row(row), &reason);
            return Ok(());
        }
        if json == b"{}" {
            sink.reject(Place::row(row), "no cell of the row has a value");
            return Ok(());
        }
        sink.record(Place::row(row), Record::Rebuilt { json: &json, doubt })
    }
}

/// The JSON of a cell; None where it has no value.
fn value(column: &Column, cell: Cell<'_>, doubt: &mut Doubt) -> Option<Vec<u8>> {
    let text = match cell {
        Cell::Missing => return None,
        Cell::Json(json) => return Some(json.to_vec()),
        Cell::Text(_) => cell.text()?,
    };
    Some(match column.kind {
        None | Some(Kind::Text) => json::text(text),
        Some(Kind::Truth) => match text.to_ascii_lowercase().as_slice() {
            truth @ (b"true" | b"false") => truth.to_vec(),
            _ => json::text(text),
        },
        Some(kind) if json::is_json(text) => of_json(text, kind),
        Some(kind) => match texts::apart(text, kind) {
            Some(apart) => {
                doubt.has_map_text |= apart.has_map;
                apart.json
            }
            None => {
                // A text that begins like a struct and is none to us. What it holds stays searchable.
                doubt.is_ambiguous |= matches!(text.first(), Some(b'{' | b'['));
                json::text(text)
            }
        },
    })
}

/// JSON in a cell, as it is; where members are documented, with their names restored.
fn of_json(text: &[u8], kind: &'static Kind) -> Vec<u8> {
    let as_it_is = || text.trim_ascii().to_vec();
    let Some(fields) = members(kind) else { return as_it_is() };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(text) else { return as_it_is() };
    let spelled = restored(value.clone(), fields);
    if spelled == value { as_it_is() } else { spelled.to_string().into_bytes() }
}

/// The fields that a record cannot be without, and that no column is.
fn lacking(columns: &[Column]) -> Vec<&'static str> {
    let has = |name: &str| columns.iter().any(|column| column.is(name));
    let mut lacking: Vec<&str> =
        ["eventSource", "eventName"].into_iter().filter(|name| !has(name)).collect();
    if !has("eventTime") && !has("@timestamp") {
        lacking.insert(0, "eventTime");
    }
    lacking
}

fn no_table(names: &[String], lacking: &[&str]) -> String {
    let told = |name: &String| name.chars().take(NAME_CHARS_MAX).collect::<String>();
    let columns: Vec<String> = names.iter().take(NAMES_TOLD_MAX).map(told).collect();
    let mut reason = format!(
        "not a table of CloudTrail events: it would need a column that holds whole records \
         (eventJson, CloudTrailEvent, @message), or the columns {}; its columns are {}",
        lacking.join(", "),
        columns.join(", ")
    );
    if names.len() > NAMES_TOLD_MAX {
        let _ = write!(reason, " and {} more", names.len() - NAMES_TOLD_MAX);
    }
    reason
}
