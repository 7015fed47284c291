//! Pages of search results as Parquet, written one row group at a time.

use std::fs::File;
use std::io;
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use serde_json::Value;

use crate::csv::{EVENT_COLUMNS, event_row};
use trail::time::Micros;
use wire::limits::{EXPORT_GROUP_BYTES, EXPORT_GROUP_ROWS};
use wire::{Hit, SearchResponse};

/// The column of the whole record.
const RECORD: &str = "record";

/// Writes one Parquet file, page by page.
pub struct ParquetWriter {
    file: SerializedFileWriter<Vec<u8>>,
    kinds: Vec<ParquetKind>,
    /// Of the row group in the making.
    rows: Vec<Vec<Value>>,
    /// Of their records.
    bytes: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParquetKind {
    Text,
    Integer,
    Float,
    Boolean,
    /// Microseconds since 1970, in UTC.
    Time,
}

/// What a search calls the time of an event.
const TIMES: [&str; 2] = ["time", "eventTime"];

/// The fields of an event that a file for analysis has beside [`EVENT_COLUMNS`], by their paths, which
/// are their names.
const FURTHER: [(&str, ParquetKind); 20] = [
    ("userIdentity.type", ParquetKind::Text),
    ("userIdentity.arn", ParquetKind::Text),
    ("userIdentity.accountId", ParquetKind::Text),
    ("userIdentity.userName", ParquetKind::Text),
    ("userIdentity.principalId", ParquetKind::Text),
    ("userIdentity.accessKeyId", ParquetKind::Text),
    ("userIdentity.invokedBy", ParquetKind::Text),
    ("userAgent", ParquetKind::Text),
    ("errorMessage", ParquetKind::Text),
    ("readOnly", ParquetKind::Boolean),
    ("managementEvent", ParquetKind::Boolean),
    ("eventType", ParquetKind::Text),
    ("eventCategory", ParquetKind::Text),
    ("eventVersion", ParquetKind::Text),
    ("requestID", ParquetKind::Text),
    ("vpcEndpointId", ParquetKind::Text),
    ("requestParameters", ParquetKind::Text),
    ("responseElements", ParquetKind::Text),
    ("additionalEventData", ParquetKind::Text),
    ("resources", ParquetKind::Text),
];

/// The columns of events, each with its kind.
fn event_columns() -> impl Iterator<Item = (&'static str, ParquetKind)> {
    let events = EVENT_COLUMNS.iter().map(|name| match *name {
        "time" => (*name, ParquetKind::Time),
        "offset" => (*name, ParquetKind::Integer),
        name => (name, ParquetKind::Text),
    });
    events.chain(FURTHER).chain([(RECORD, ParquetKind::Text)])
}

/// The values of [`FURTHER`]. What is there as another kind than it should be is left out of a column of
/// truth values; the record has it.
fn further(hit: &Hit) -> impl Iterator<Item = Value> {
    let record: Value = serde_json::from_str(hit.event.get()).unwrap_or_default();
    FURTHER.iter().map(move |(path, kind)| {
        let value = path.split('.').fold(&record, |value, part| &value[part]);
        match (kind, value) {
            (ParquetKind::Boolean, Value::String(text)) if text == "true" => true.into(),
            (ParquetKind::Boolean, Value::String(text)) if text == "false" => false.into(),
            (ParquetKind::Boolean, value) if !value.is_boolean() => Value::Null,
            (_, value) => value.clone(),
        }
    })
}

impl ParquetWriter {
    /// The columns are those of the first page. Where it is the only one, a column of numbers is one; of
    /// rows that are still to come, nothing is known, and all is text.
    pub(crate) fn begin(first: &SearchResponse) -> io::Result<Self> {
        let (names, kinds): (Vec<&str>, Vec<ParquetKind>) = match &first.table {
            None => event_columns().unzip(),
            Some(table) => {
                let is_whole = first.cursor.is_none() && first.rest.is_none();
                let kind = |at: usize, name: &str| {
                    let kind = kind(table.rows.iter().map(|row| &row[at]));
                    // Of rows that are still to come only the time is known.
                    let is_known = is_whole || kind == ParquetKind::Time && TIMES.contains(&name);
                    if is_known { kind } else { ParquetKind::Text }
                };
                let columns = table.columns.iter().enumerate();
                columns.map(|(at, name)| (name.as_str(), kind(at, name))).unzip()
            }
        };
        let fields = names.iter().zip(&kinds).map(|(name, kind)| field(name, *kind).map(Arc::new));
        let fields = fields.collect::<Result<_, _>>().map_err(io::Error::other)?;
        let schema = Type::group_type_builder("traildex").with_fields(fields).build();
        let schema = Arc::new(schema.map_err(io::Error::other)?);
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = Arc::new(WriterProperties::builder().set_compression(zstd).build());
        let file = SerializedFileWriter::new(Vec::new(), schema, properties);
        Ok(Self { file: file.map_err(io::Error::other)?, kinds, rows: Vec::new(), bytes: 0 })
    }

    /// Bytes that are written once the page's rows are there.
    pub(crate) fn page(&mut self, page: &SearchResponse) -> io::Result<Vec<u8>> {
        for hit in &page.hits {
            let row = event_row(hit).into_iter().chain(further(hit));
            let row = row.chain([hit.event.get().into()]).collect();
            self.bytes += hit.event.get().len();
            self.add(row)?;
        }
        for row in page.table.iter().flat_map(|table| &table.rows) {
            self.add(row.clone())?;
        }
        self.take()
    }

    fn add(&mut self, row: Vec<Value>) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() < EXPORT_GROUP_ROWS && self.bytes < EXPORT_GROUP_BYTES {
            return Ok(());
        }
        self.write_group().map_err(io::Error::other)
    }

    pub(crate) fn end(mut self) -> io::Result<Vec<u8>> {
        self.write_group().map_err(io::Error::other)?;
        let Self { file, .. } = self;
        // It has what was not taken, and the footer.
        file.into_inner().map_err(io::Error::other)
    }

    fn take(&mut self) -> io::Result<Vec<u8>> {
        io::Write::flush(self.file.inner_mut())?;
        Ok(mem::take(self.file.inner_mut()))
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (at, kind) in self.kinds.iter().enumerate() {
            let mut column =
                group.next_column()?.ok_or_else(|| ParquetError::General("no column".into()))?;
            write(&mut column, *kind, self.rows.iter().map(|row| &row[at]))?;
            column.close()?;
        }
        group.close()?;
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// How many rows a Parquet file has, as its footer says.
pub fn parquet_rows(file: File) -> io::Result<u64> {
    let file = SerializedFileReader::new(file).map_err(io::Error::other)?;
    Ok(file.metadata().file_metadata().num_rows().unsigned_abs())
}

fn field(name: &str, kind: ParquetKind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        ParquetKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ParquetKind::Integer => (Physical::INT64, None),
        ParquetKind::Float => (Physical::DOUBLE, None),
        ParquetKind::Boolean => (Physical::BOOLEAN, None),
        ParquetKind::Time => {
            (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
        }
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// The kind of one value; none of what is missing.
pub(crate) fn kind_of(value: &Value) -> Option<ParquetKind> {
    (!value.is_null()).then(|| kind(std::iter::once(value)))
}

fn kind<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> ParquetKind {
    let mut values = values.filter(|value| !value.is_null()).peekable();
    if values.peek().is_none() {
        return ParquetKind::Text;
    }
    if values.clone().all(Value::is_i64) {
        return ParquetKind::Integer;
    }
    if values.clone().all(Value::is_boolean) {
        return ParquetKind::Boolean;
    }
    if values.clone().all(|value| time(value).is_some()) {
        return ParquetKind::Time;
    }
    if values.all(Value::is_number) { ParquetKind::Float } else { ParquetKind::Text }
}

fn write<'a>(
    column: &mut SerializedColumnWriter<'_>,
    kind: ParquetKind,
    values: impl Iterator<Item = &'a Value> + Clone,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.clone().map(|value| i16::from(!value.is_null())).collect();
    let values = values.filter(|value| !value.is_null());
    let levels = Some(levels.as_slice());
    match kind {
        ParquetKind::Text => {
            let texts: Vec<ByteArray> = values.map(|value| text(value).into()).collect();
            column.typed::<ByteArrayType>().write_batch(&texts, levels, None)?;
        }
        ParquetKind::Integer => {
            let numbers: Vec<i64> = values.filter_map(Value::as_i64).collect();
            column.typed::<Int64Type>().write_batch(&numbers, levels, None)?;
        }
        ParquetKind::Boolean => {
            let truths: Vec<bool> = values.filter_map(Value::as_bool).collect();
            column.typed::<BoolType>().write_batch(&truths, levels, None)?;
        }
        ParquetKind::Time => {
            let times: Vec<i64> = values.filter_map(time).collect();
            column.typed::<Int64Type>().write_batch(&times, levels, None)?;
        }
        ParquetKind::Float => {
            let numbers: Vec<f64> = values.filter_map(Value::as_f64).collect();
            column.typed::<DoubleType>().write_batch(&numbers, levels, None)?;
        }
    }
    Ok(())
}

/// A time as answers write it, in UTC; None for any other text.
fn time(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    Micros::parse_event_time(text).filter(|time| time.to_string() == text).map(|time| time.0)
}

fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        value => value.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_columns_of_events_share_a_name() {
        let names: Vec<&str> = event_columns().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn a_column_has_the_kind_of_all_its_values() {
        let of = |values: &[Value]| kind(values.iter());
        assert_eq!(of(&[json!(1), Value::Null]), ParquetKind::Integer);
        assert_eq!(of(&[json!(1), json!(1.5)]), ParquetKind::Float);
        assert_eq!(of(&[json!(true), json!(false)]), ParquetKind::Boolean);
        assert_eq!(of(&[json!(true), json!("true")]), ParquetKind::Text);
        let time = json!("2023-07-10T11:42:36Z");
        assert_eq!(of(&[time.clone(), Value::Null]), ParquetKind::Time);
        assert_eq!(super::time(&time), Some(1_688_989_356_000_000));
        for other in ["203.0.113.7", "2023-07-10", "2023-07-10T11:42:36.0Z", "2023-07-10T11:42:36"]
        {
            assert_eq!(of(&[time.clone(), json!(other)]), ParquetKind::Text, "{other}");
        }
        assert_eq!(of(&[Value::Null]), ParquetKind::Text);
    }
}
