//! One leaf of a schema: its decoded values and levels, some rows at a time.

use std::sync::Arc;

use jiff::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::pages::{Budget, Pages, SharedValues, end_batch};
use crate::json;

/// See the module's documentation. A place is a value, a null or an empty list.
pub(super) struct Leaf {
    /// The path of its column, for messages.
    pub(super) name: String,
    reader: ColumnReader,
    values: Values,
    def_levels: Vec<i16>,
    rep_levels: Vec<i16>,
    /// How many places there are, and the one at hand; and the value at hand.
    places: usize,
    at: usize,
    value: usize,
    max_def: i16,
    meaning: Meaning,
    shared: SharedValues,
    budget: Arc<Budget>,
}

enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// What the numbers of a leaf mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Plain,
    Date,
    Millis,
    Micros,
    Nanos,
    Unsigned,
    /// Has so many digits behind the point.
    Decimal(usize),
    Uuid,
}

impl Meaning {
    fn of(column: &ColumnDescriptor) -> Self {
        let unit = |unit: &TimeUnit| match unit {
            TimeUnit::MILLIS => Self::Millis,
            TimeUnit::MICROS => Self::Micros,
            TimeUnit::NANOS => Self::Nanos,
        };
        let scale = || Self::Decimal(usize::try_from(column.type_scale()).unwrap_or(0));
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(timestamp)), _) => unit(&timestamp.unit),
            (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Self::Date,
            (Some(LogicalType::Uuid), _) => Self::Uuid,
            (_, ConvertedType::TIMESTAMP_MILLIS) => Self::Millis,
            (_, ConvertedType::TIMESTAMP_MICROS) => Self::Micros,
            (_, ConvertedType::DECIMAL) => scale(),
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Self::Unsigned,
            _ => Self::Plain,
        }
    }
}

/// The levels of a leaf do not fit those of its neighbours.
fn disagree() -> ParquetError {
    ParquetError::General("the levels of its columns do not agree".to_owned())
}

impl Leaf {
    pub(super) fn new(
        column: &ColumnDescPtr,
        pages: Pages,
        shared: SharedValues,
        budget: &Arc<Budget>,
    ) -> Self {
        let reader = get_column_reader(Arc::clone(column), Box::new(pages));
        let values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Bool(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Values::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Values::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(Vec::new()),
        };
        Self {
            name: column.path().string(),
            reader,
            values,
            def_levels: Vec::new(),
            rep_levels: Vec::new(),
            places: 0,
            at: 0,
            value: 0,
            max_def: column.max_def_level(),
            meaning: Meaning::of(column),
            shared,
            budget: Arc::clone(budget),
        }
    }

    /// Decodes some rows in place of those before. Returns how many there were.
    pub(super) fn fill(&mut self, rows: usize) -> Result<usize, ParquetError> {
        end_batch(&self.shared, &self.budget);
        let Self { reader, values, def_levels, rep_levels, .. } = self;
        def_levels.clear();
        rep_levels.clear();
        let (def, rep) = (Some(def_levels), Some(rep_levels));
        macro_rules! read {
            ($reader:expr, $values:expr) => {{
                $values.clear();
                $reader.read_records(rows, def, rep, $values)
            }};
        }
        let (rows, _, places) = match (reader, values) {
            (ColumnReader::BoolColumnReader(reader), Values::Bool(values)) => read!(reader, values),
            (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => {
                read!(reader, values)
            }
            (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => {
                read!(reader, values)
            }
            (ColumnReader::Int96ColumnReader(reader), Values::Int96(values)) => {
                read!(reader, values)
            }
            (ColumnReader::FloatColumnReader(reader), Values::Float(values)) => {
                read!(reader, values)
            }
            (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => {
                read!(reader, values)
            }
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => {
                read!(reader, values)
            }
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Values::Fixed(values)) => {
                read!(reader, values)
            }
            _ => unreachable!("they were made for each other"),
        }?;
        (self.places, self.at, self.value) = (places, 0, 0);
        Ok(rows)
    }

    /// How much of the path to the place at hand is there.
    pub(super) fn def(&self) -> Result<i16, ParquetError> {
        if self.at >= self.places {
            return Err(disagree());
        }
        if self.max_def == 0 {
            return Ok(0);
        }
        self.def_levels.get(self.at).copied().ok_or_else(disagree)
    }

    /// Which list the place at hand goes on with; 0 where a row begins, or none is left.
    pub(super) fn rep(&self) -> i16 {
        self.rep_levels.get(self.at).copied().unwrap_or(0)
    }

    /// Goes to the next place, past a null or an empty list.
    pub(super) fn skip(&mut self) -> Result<(), ParquetError> {
        self.value += usize::from(self.def()? == self.max_def);
        self.at += 1;
        Ok(())
    }

    /// Whether the values are texts.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.values, Values::Bytes(_)) && !matches!(self.meaning, Meaning::Decimal(_))
    }

    /// Calls `take` with the text at hand, and goes to the next place.
    pub(super) fn text(&mut self, take: impl FnOnce(&[u8])) -> Result<(), ParquetError> {
        let Values::Bytes(values) = &self.values else { return Err(disagree()) };
        take(values.get(self.value).ok_or_else(disagree)?.data());
        self.skip()
    }

    /// Writes the value at hand as JSON, and goes to the next place.
    pub(super) fn push(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.push_value(out).ok_or_else(disagree)?;
        self.skip()
    }

    fn push_value(&self, out: &mut Vec<u8>) -> Option<()> {
        let at = self.value;
        match &self.values {
            Values::Bool(values) => push_shown(out, values.get(at)?),
            Values::Int32(values) => {
                let value = *values.get(at)?;
                if self.meaning == Meaning::Unsigned {
                    push_shown(out, &value.cast_unsigned());
                } else {
                    self.push_number(out, i64::from(value));
                }
            }
            Values::Int64(values) => {
                let value = *values.get(at)?;
                if self.meaning == Meaning::Unsigned {
                    push_shown(out, &value.cast_unsigned());
                } else {
                    self.push_number(out, value);
                }
            }
            Values::Int96(values) => push_time(out, values.get(at)?.to_nanos(), 1),
            Values::Float(values) => push_float(out, f64::from(*values.get(at)?)),
            Values::Double(values) => push_float(out, *values.get(at)?),
            Values::Bytes(values) => self.push_bytes(out, values.get(at)?.data()),
            Values::Fixed(values) => self.push_bytes(out, values.get(at)?.data()),
        }
        Some(())
    }

    fn push_number(&self, out: &mut Vec<u8>, number: i64) {
        match self.meaning {
            Meaning::Millis => push_time(out, number, 1_000_000),
            Meaning::Micros => push_time(out, number, 1_000),
            Meaning::Nanos => push_time(out, number, 1),
            Meaning::Date => push_date(out, number),
            Meaning::Decimal(scale) if scale > 0 => {
                let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
                let (whole, part) = digits.split_at(digits.len() - scale);
                let sign = if number < 0 { "-" } else { "" };
                push_shown(out, &format_args!("{sign}{whole}.{part}"));
            }
            _ => push_shown(out, &number),
        }
    }

    /// Bytes that are text, or else their hexadecimal digits.
    fn push_bytes(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        let is_binary = matches!(self.values, Values::Fixed(_)) || !self.is_text();
        if !is_binary {
            return json::push_text(out, bytes);
        }
        let mut digits = String::with_capacity(bytes.len() * 2 + 4);
        for (n, byte) in bytes.iter().enumerate() {
            if self.meaning == Meaning::Uuid && matches!(n, 4 | 6 | 8 | 10) {
                digits.push('-');
            }
            digits.push_str(&format!("{byte:02x}"));
        }
        json::push_text(out, digits.as_bytes());
    }
}

fn push_shown(out: &mut Vec<u8>, value: &dyn std::fmt::Display) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// JSON has no other numbers than finite ones.
fn push_float(out: &mut Vec<u8>, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(number) => push_shown(out, &number),
        None => json::push_text(out, number.to_string().as_bytes()),
    }
}

/// Writes a time as CloudTrail does. A unit is so many nanoseconds; what is no time stays a number.
fn push_time(out: &mut Vec<u8>, number: i64, unit: i128) {
    match Timestamp::from_nanosecond(i128::from(number) * unit) {
        Ok(time) => json::push_text(out, time.to_string().as_bytes()),
        Err(_) => push_shown(out, &number),
    }
}

fn push_date(out: &mut Vec<u8>, days: i64) {
    const DAY_NS: i128 = 86_400_000_000_000;
    match Timestamp::from_nanosecond(i128::from(days) * DAY_NS) {
        Ok(time) => json::push_text(out, &time.to_string().as_bytes()[..10]),
        Err(_) => push_shown(out, &days),
    }
}
