//! Pages of search results as Parquet, written one row group at a time.

use std::io;
use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use serde_json::Value;

use crate::csv::{EVENT_COLUMNS, event_row};
use wire::SearchResponse;
use wire::limits::{EXPORT_GROUP_BYTES, EXPORT_GROUP_ROWS};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParquetKind {
    Text,
    Integer,
    Float,
}

impl ParquetWriter {
    /// The columns are those of the first page. Where it is the only one, a column of numbers is one; of
    /// rows that are still to come, nothing is known, and all is text.
    pub(crate) fn begin(first: &SearchResponse) -> io::Result<Self> {
        let (names, kinds): (Vec<&str>, Vec<ParquetKind>) = match &first.table {
            None => {
                let events = EVENT_COLUMNS.iter().map(|name| match *name {
                    "offset" => (*name, ParquetKind::Integer),
                    name => (name, ParquetKind::Text),
                });
                events.chain([(RECORD, ParquetKind::Text)]).unzip()
            }
            Some(table) => {
                let of_column = |at: usize| table.rows.iter().map(move |row| &row[at]);
                let kind = |at| {
                    if first.cursor.is_none() { kind(of_column(at)) } else { ParquetKind::Text }
                };
                let columns = table.columns.iter().enumerate();
                columns.map(|(at, name)| (name.as_str(), kind(at))).unzip()
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
            let mut row = event_row(hit).to_vec();
            row.push(hit.event.get().into());
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

fn field(name: &str, kind: ParquetKind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        ParquetKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ParquetKind::Integer => (Physical::INT64, None),
        ParquetKind::Float => (Physical::DOUBLE, None),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

fn kind<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> ParquetKind {
    let mut values = values.filter(|value| !value.is_null()).peekable();
    if values.peek().is_none() {
        return ParquetKind::Text;
    }
    if values.clone().all(Value::is_i64) {
        return ParquetKind::Integer;
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
        ParquetKind::Float => {
            let numbers: Vec<f64> = values.filter_map(Value::as_f64).collect();
            column.typed::<DoubleType>().write_batch(&numbers, levels, None)?;
        }
    }
    Ok(())
}

fn text(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        value => value.to_string().into_bytes(),
    }
}
