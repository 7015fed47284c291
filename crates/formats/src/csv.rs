//! Answers as CSV (RFC 4180, lines end in `\n`), for the command line and for exports.
//!
//! Whoever calls AWS decides what records contain, and spreadsheets take a cell that begins with
//! `=` for a formula. Such a text gets a single quote in front. Numbers stay as they are, minus
//! signs included.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;
use serde_json::value::RawValue;

use wire::Hit;

/// What spreadsheets begin a formula with, or skip before one. The wide forms are what a Japanese or
/// Chinese keyboard types.
const FORMULA_STARTS: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The columns of an event's row: its fields by their short names, and the place of its record.
pub const EVENT_COLUMNS: [&str; 16] = [
    "time",
    "actor",
    "credential",
    "service",
    "action",
    "target",
    "ip",
    "region",
    "account",
    "client",
    "outcome",
    "error",
    "id",
    "file",
    "offset",
    "integrity",
];

/// An event as a row, in [`EVENT_COLUMNS`].
pub(crate) fn event_row(hit: &Hit) -> [Value; EVENT_COLUMNS.len()] {
    let meta = &hit.meta;
    // A key that is there twice counts as the last of them, as in most readers.
    let record: BTreeMap<String, &RawValue> =
        serde_json::from_str(hit.event.get()).unwrap_or_default();
    let value =
        |json: &RawValue| serde_json::from_str(json.get()).unwrap_or_else(|_| json.get().into());
    let field = |name: &str| record.get(name).map_or(Value::Null, |json| value(json));
    // An Insight event has its service and its action elsewhere.
    let of_call = |name: &str| match field(name) {
        Value::Null => field("insightDetails").get(name).cloned().unwrap_or_default(),
        value => value,
    };
    [
        meta.time.as_str().into(),
        meta.actor.as_str().into(),
        meta.credential.as_str().into(),
        of_call("eventSource"),
        of_call("eventName"),
        targets(&meta.target),
        field("sourceIPAddress"),
        field("awsRegion"),
        text(&meta.account),
        text(&meta.client),
        text(&meta.outcome),
        text(&meta.error),
        meta.id.as_str().into(),
        meta.file.as_str().into(),
        meta.offset.into(),
        meta.integrity.map_or(Value::Null, |state| state.name().into()),
    ]
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

/// One as a text, several as a list.
fn targets(targets: &[String]) -> Value {
    match targets {
        [] => Value::Null,
        [target] => target.as_str().into(),
        targets => targets.into(),
    }
}

/// Writes rows one by one. The caller writes the names of the columns first.
pub struct CsvWriter<W: Write>(csv::Writer<W>);

impl<W: Write> CsvWriter<W> {
    /// A writer to `out`, which has no row yet.
    pub fn new(out: W) -> Self {
        Self(csv::Writer::from_writer(out))
    }

    /// Writes the header. Queries choose column names freely, so they are escaped too.
    pub fn names(&mut self, names: &[impl AsRef<str>]) -> io::Result<()> {
        self.record(names.iter().map(|name| guarded(name.as_ref())))
    }

    /// Writes one row of a table.
    pub fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.record(values.iter().map(cell))
    }

    /// Writes one event, in [`EVENT_COLUMNS`].
    pub fn event(&mut self, hit: &Hit) -> io::Result<()> {
        self.row(&event_row(hit))
    }

    /// Flushes, and returns what it writes to.
    pub fn into_inner(self) -> io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }

    fn record<'a>(&mut self, cells: impl IntoIterator<Item = Cow<'a, str>>) -> io::Result<()> {
        for cell in cells {
            self.0.write_field(&*cell).map_err(io_error)?;
        }
        self.0.write_record(None::<&[u8]>).map_err(io_error)
    }
}

/// Its cause as it was: a reader that has gone is no failure everywhere.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// A value as a cell: nothing where there is none, a list or an object as JSON.
fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => guarded(text),
        value => Cow::Owned(value.to_string()),
    }
}

fn guarded(text: &str) -> Cow<'_, str> {
    if text.starts_with(FORMULA_STARTS) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use wire::Meta;

    #[track_caller]
    fn check(write: impl FnOnce(&mut CsvWriter<&mut Vec<u8>>) -> io::Result<()>, expected: &str) {
        let mut out = Vec::new();
        let mut writer = CsvWriter::new(&mut out);
        write(&mut writer).unwrap();
        writer.into_inner().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn no_text_begins_as_a_formula_does() {
        for start in ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            check(|csv| csv.row(&[json!("x"), json!(start)]), &{
                let cell = format!("'{start}");
                let is_quoted = cell.contains(['\r', '\n']);
                if is_quoted { format!("x,\"{cell}\"\n") } else { format!("x,{cell}\n") }
            });
        }
        check(|csv| csv.names(&["=count", "time"]), "'=count,time\n");
    }

    #[test]
    fn values_are_written_by_their_kind() {
        check(|csv| csv.row(&[json!(-5), json!(null), json!(1.5), json!(true)]), "-5,,1.5,true\n");
        check(|csv| csv.row(&[json!(["=a", 1]), json!("a=b")]), "\"[\"\"=a\"\",1]\",a=b\n");
        check(|csv| csv.row(&[json!("a,\"b\"\nc")]), "\"a,\"\"b\"\"\nc\"\n");
        // A row of one empty cell is no empty line, which readers skip.
        check(|csv| csv.row(&[json!(null)]), "\"\"\n");
    }

    #[test]
    fn an_event_is_a_row_whatever_its_values_are() {
        let event = r#"{"eventSource":"s3.amazonaws.com","eventName":"=cmd|' /C calc'!A0",
            "awsRegion":null,"sourceIPAddress":"@x","errorCode":1e999,"recipientAccountId":"+1",
            "eventName":"-GetObject"}"#;
        let meta = Meta {
            id: "e1".into(),
            time: "2023-07-10T11:42:36Z".into(),
            actor: "=alice".into(),
            credential: "iam-user".into(),
            file: "-a.json".into(),
            offset: 12,
            account: "+1".into(),
            error: "1e999".into(),
            outcome: "failure".into(),
            target: vec!["=b/k".into(), "x".into()],
            ..Meta::default()
        };
        let hit = Hit {
            event: RawValue::from_string(event.into()).unwrap(),
            meta,
            highlights: Vec::new(),
        };
        check(
            |csv| csv.event(&hit),
            "2023-07-10T11:42:36Z,'=alice,iam-user,s3.amazonaws.com,'-GetObject,\
             \"[\"\"=b/k\"\",\"\"x\"\"]\",'@x,,'+1,,failure,1e999,e1,'-a.json,12,\n",
        );
    }
}
