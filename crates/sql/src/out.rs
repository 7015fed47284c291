//! Rows as a table, CSV or JSON. A table holds all of its rows, and is for people; the others are written as
//! rows come.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use datafusion::arrow::array::{Array, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use jiff::Timestamp;
use serde_json::Value;

use formats::csv::CsvWriter;
use formats::terminal::{ForTerminal, Shown, escape_cut};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// Safe to open in a spreadsheet
    Csv,
    /// A list of objects
    Json,
    /// An object a line
    Ndjson,
}

/// Characters of a table's cell.
const CELL_CHARS_MAX: usize = 200;

/// Writes rows.
pub(crate) struct Rows<W: Write> {
    out: Out<W>,
    names: Vec<String>,
    count: usize,
}

enum Out<W: Write> {
    Table(Table, W),
    Csv(CsvWriter<Sink<W>>),
    Json(Sink<W>),
    Ndjson(Sink<W>),
}

enum Sink<W: Write> {
    Plain(BufWriter<W>),
    Terminal(ForTerminal<BufWriter<W>>),
}

impl<W: Write> Sink<W> {
    fn new(out: W, shown: Option<Shown>) -> Self {
        let out = BufWriter::new(out);
        match shown {
            Some(shown) => Self::Terminal(ForTerminal::new(out, shown)),
            None => Self::Plain(out),
        }
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Terminal(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Terminal(out) => out.flush(),
        }
    }
}

impl<W: Write> Rows<W> {
    /// Begins to write rows with these columns.
    pub(crate) fn new(
        out: W,
        format: Format,
        is_terminal: bool,
        schema: &Schema,
    ) -> io::Result<Self> {
        let names = names(schema);
        let json = || is_terminal.then(Shown::json);
        let out = match format {
            Format::Table => {
                let mut table = Table::new();
                table.load_style(presets::UTF8_FULL_CONDENSED);
                if is_terminal {
                    table.set_content_arrangement(ContentArrangement::Dynamic);
                }
                table.set_header(names.iter().map(|name| escape_cut(name, CELL_CHARS_MAX)));
                Out::Table(table, out)
            }
            Format::Csv => {
                let mut csv = CsvWriter::new(Sink::new(out, is_terminal.then(Shown::csv)));
                csv.names(&names)?;
                Out::Csv(csv)
            }
            Format::Json => Out::Json(Sink::new(out, json())),
            Format::Ndjson => Out::Ndjson(Sink::new(out, json())),
        };
        Ok(Self { out, names, count: 0 })
    }

    /// How many rows there are so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Writes the rows of a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        for row in 0..batch.num_rows() {
            match &mut self.out {
                Out::Table(table, _) => {
                    let cells = batch.columns().iter().map(|column| {
                        Ok(escape_cut(&text(column, row)?.unwrap_or_default(), CELL_CHARS_MAX))
                    });
                    table.add_row(cells.collect::<Result<Vec<_>>>()?);
                }
                Out::Csv(csv) => {
                    let cells = batch
                        .columns()
                        .iter()
                        .map(|column| Ok(text(column, row)?.map_or(Value::Null, Value::String)));
                    csv.row(&cells.collect::<Result<Vec<_>>>()?)?;
                }
                Out::Json(out) => {
                    out.write_all(if self.count == 0 { b"[\n" } else { b",\n" })?;
                    out.write_all(object(batch, row, &self.names)?.as_bytes())?;
                }
                Out::Ndjson(out) => {
                    let mut line = object(batch, row, &self.names)?;
                    line.push('\n');
                    out.write_all(line.as_bytes())?;
                }
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Ends, and says how many rows there were.
    pub(crate) fn end(self) -> anyhow::Result<usize> {
        match self.out {
            Out::Table(table, mut out) => {
                if self.count > 0 {
                    writeln!(out, "{table}")?;
                }
                out.flush()?;
            }
            Out::Csv(csv) => csv.into_inner()?.flush()?,
            Out::Json(mut out) => {
                out.write_all(if self.count == 0 { b"[]\n" } else { b"\n]\n" })?;
                out.flush()?;
            }
            Out::Ndjson(mut out) => out.flush()?,
        }
        Ok(self.count)
    }
}

/// The columns' names, each once: a field of a struct has the field's, as in Trino.
pub(crate) fn names(schema: &Schema) -> Vec<String> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut unique = |name: &str| {
        let number = known.entry(name.to_owned()).or_default();
        *number += 1;
        if *number == 1 { name.to_owned() } else { format!("{name}_{number}") }
    };
    schema.fields().iter().map(|field| unique(plain_name(field.name()))).collect()
}

/// `arn` of `cloudtrail.useridentity[arn]`; any other name as it is.
fn plain_name(name: &str) -> &str {
    let is_path = |c: char| c.is_alphanumeric() || "_.[]-".contains(c);
    match name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
        Some((_, last)) if !last.is_empty() && name.chars().all(is_path) => last,
        _ => name,
    }
}

fn object(batch: &RecordBatch, row: usize, names: &[String]) -> Result<String> {
    let mut out = String::from("{");
    for (at, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        let _ = write!(out, "{}:", Value::from(name.as_str()));
        json(column, row, &mut out)?;
    }
    out.push('}');
    Ok(out)
}

/// A value as a text of its own, what is nested as JSON; None for NULL.
pub(crate) fn text(column: &dyn Array, row: usize) -> Result<Option<String>> {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Ok(None);
    }
    if column.data_type().is_nested() {
        let mut out = String::new();
        json(column, row, &mut out)?;
        return Ok(Some(out));
    }
    if let Some(time) = time(column, row) {
        return Ok(Some(time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()));
    }
    plain(column, row).map(Some)
}

/// A value as Arrow shows it.
fn plain(column: &dyn Array, row: usize) -> Result<String> {
    let options = FormatOptions::new();
    Ok(ArrayFormatter::try_new(column, &options)?.value(row).try_to_string()?)
}

/// A time in UTC; None where a value is none.
fn time(column: &dyn Array, row: usize) -> Option<Timestamp> {
    use datafusion::arrow::array::types::{
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType,
    };
    let DataType::Timestamp(unit, _) = column.data_type() else { return None };
    match unit {
        TimeUnit::Second => {
            Timestamp::from_second(column.as_primitive::<TimestampSecondType>().value(row))
        }
        TimeUnit::Millisecond => Timestamp::from_millisecond(
            column.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => Timestamp::from_microsecond(
            column.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => {
            let nanos = column.as_primitive::<TimestampNanosecondType>().value(row);
            Timestamp::from_nanosecond(nanos.into())
        }
    }
    .ok()
}

fn json(column: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    if column.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => {
            out.push_str(if column.as_boolean().value(row) { "true" } else { "false" });
        }
        DataType::Struct(fields) => {
            out.push('{');
            for (at, (field, column)) in fields.iter().zip(column.as_struct().columns()).enumerate()
            {
                out.push_str(if at > 0 { "," } else { "" });
                let _ = write!(out, "{}:", Value::from(field.name().as_str()));
                json(column, row, out)?;
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            out.push('{');
            for at in 0..entries.len() {
                out.push_str(if at > 0 { "," } else { "" });
                let key = text(entries.column(0), at)?.unwrap_or_default();
                let _ = write!(out, "{}:", Value::from(key));
                json(entries.column(1), at, out)?;
            }
            out.push('}');
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            out.push('[');
            for at in 0..items.len() {
                out.push_str(if at > 0 { "," } else { "" });
                json(&items, at, out)?;
            }
            out.push(']');
        }
        other => match number(column, row, other) {
            Some(number) => {
                let _ = write!(out, "{number}");
            }
            None => {
                let text = match time(column, row) {
                    Some(time) => time.to_string(),
                    None => plain(column, row)?,
                };
                let _ = write!(out, "{}", Value::from(text));
            }
        },
    }
    Ok(())
}

fn number(column: &dyn Array, row: usize, data_type: &DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn written(format: Format, is_terminal: bool) -> String {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("=a\u{1b}[2J\"x"), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000), None]));
        let batch = RecordBatch::try_from_iter([
            ("cloudtrail.useridentity[arn]", texts),
            ("n", numbers),
            ("t.x[arn]", times),
        ]);
        let batch = batch.unwrap();
        let mut out = Vec::new();
        let mut rows = Rows::new(&mut out, format, is_terminal, &batch.schema()).unwrap();
        rows.add(&batch).unwrap();
        assert_eq!(rows.end().unwrap(), 2);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_written_in_each_form() {
        let json = "{\"arn\":\"=a\\u001b[2J\\\"x\",\"n\":1,\"arn_2\":\"1970-01-01T00:00:01.5Z\"}\n\
                    {\"arn\":null,\"n\":2,\"arn_2\":null}\n";
        assert_eq!(written(Format::Ndjson, false), json);
        let list: serde_json::Value = serde_json::from_str(&written(Format::Json, true)).unwrap();
        assert_eq!(list[1]["n"], 2);
        let csv = written(Format::Csv, false);
        assert!(csv.starts_with("arn,n,arn_2\n"), "{csv}");
        assert!(csv.contains(",1,1970-01-01 00:00:01.500"), "{csv}");
    }

    #[test]
    fn a_terminal_gets_nothing_that_it_obeys() {
        for format in [Format::Table, Format::Csv, Format::Json, Format::Ndjson] {
            assert!(!written(format, true).contains('\u{1b}'), "{format:?}");
        }
        assert!(!written(Format::Table, false).contains('\u{1b}'));
    }

    #[test]
    fn long_names_stay() {
        assert_eq!(plain_name("element_at(a,Utf8(\"x[y]\"))"), "element_at(a,Utf8(\"x[y]\"))");
        assert_eq!(plain_name("t.requestparameters[bucketName]"), "bucketName");
        assert_eq!(plain_name("eventname"), "eventname");
    }
}
