//! Reads columns of events: from the index where it has them, else from the records. Bounds: rows and bytes of
//! records of a batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray};
use datafusion::common::{DataFusionError, Result};

use crate::error::failed;
use crate::json::{Json, softened};
use crate::schema::{Kind, Leaf};
use crate::values::{nested, of_leaf, truth};
use search::run::scan::{Found, Texts};
use segment::view::SegmentView;
use trail::columns::ColumnId;
use trail::flags::Flags;
use trail::parse::Parser;

/// Rows of a batch.
pub(crate) const ROWS_MAX: usize = 8_192;

/// Bytes of the records of a batch, about; the largest record has sixteen times as many.
const BYTES_MAX: usize = 1 << 20;

/// An event: its segment, and its document there.
pub(crate) type Row = (Arc<SegmentView>, u32);

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Time,
    Indexed(ColumnId),
    /// The record's text.
    Text,
    /// A value within the record.
    Value,
}

fn how(leaf: &Leaf, uses_columns: bool) -> How {
    match (&leaf.last().kind, leaf.indexed()) {
        (Kind::EventTime, _) => How::Time,
        (Kind::Record, _) => How::Text,
        (_, Some(id)) if uses_columns => How::Indexed(id),
        _ => How::Value,
    }
}

/// Reads some columns.
pub(crate) struct Reader {
    columns: Vec<(Leaf, How)>,
    parser: Parser,
}

impl Reader {
    /// Reads these columns; where `uses_columns` is false, all but times from the records.
    pub(crate) fn new(leaves: &[Leaf], uses_columns: bool) -> Self {
        let columns = leaves.iter().map(|leaf| (leaf.clone(), how(leaf, uses_columns))).collect();
        Self { columns, parser: Parser::default() }
    }

    /// Whether the records of all events are read.
    pub(crate) fn reads_records(&self) -> bool {
        self.columns.iter().any(|(_, how)| matches!(how, How::Text | How::Value))
    }

    /// Reads the columns of the first of these events, as many as a batch may have, and says how many these
    /// are.
    pub(crate) fn read(&mut self, rows: &[Row]) -> Result<(Vec<ArrayRef>, usize)> {
        let rows = &rows[..rows.len().min(ROWS_MAX)];
        let (raws, count) =
            if self.reads_records() { raw_of(rows)? } else { (Vec::new(), rows.len()) };
        let rows = &rows[..count];
        let mut texts = Vec::with_capacity(raws.len());
        for (raw, row) in raws.iter().zip(rows) {
            texts.push(self.text(raw, row)?);
        }
        let is_parsed = self.columns.iter().any(|(_, how)| *how == How::Value);
        let softer: Vec<Cow<'_, str>>;
        let records = match parsed(if is_parsed { &texts } else { &[] }, rows) {
            Ok(records) => records,
            Err(_) => {
                softer = texts.iter().map(|text| softened(text)).collect();
                parsed(&softer, rows)?
            }
        };
        let columns = std::mem::take(&mut self.columns);
        let arrays = columns.iter().map(|(leaf, how)| {
            Ok(match how {
                How::Time => Arc::new(
                    rows.iter()
                        .map(|(segment, doc)| Some(segment.time(*doc).0))
                        .collect::<TimestampMicrosecondArray>(),
                ) as ArrayRef,
                How::Text => Arc::new(texts.iter().map(Some).collect::<StringArray>()),
                How::Value => of_leaf(leaf, &records)?,
                How::Indexed(id) => self.indexed(leaf, *id, rows)?,
            })
        });
        let arrays = arrays.collect::<Result<Vec<_>>>();
        self.columns = columns;
        Ok((arrays?, count))
    }

    /// The text of a record, repaired if needed.
    fn text<'r>(&mut self, raw: &'r [u8], row: &Row) -> Result<Cow<'r, str>> {
        let (segment, doc) = row;
        if !segment.flags(*doc).contains(Flags::REPAIRED)
            && let Ok(text) = std::str::from_utf8(raw)
        {
            return Ok(Cow::Borrowed(text));
        }
        let (_, text) = self.parser.parse_record(raw).ok_or_else(|| unreadable(row))?;
        Ok(match text {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    /// A column of the index. What only the record has is read from it.
    fn indexed(&mut self, leaf: &Leaf, id: ColumnId, rows: &[Row]) -> Result<ArrayRef> {
        let mut values: Vec<Option<Arc<str>>> = vec![None; rows.len()];
        let mut of_segments: HashMap<*const SegmentView, Vec<usize>> = HashMap::new();
        for (at, (segment, _)) in rows.iter().enumerate() {
            of_segments.entry(Arc::as_ptr(segment)).or_default().push(at);
        }
        let mut unknown = Vec::new();
        for places in of_segments.into_values() {
            let Some(first) = places.first() else { continue };
            let segment = &rows[*first].0;
            let docs: Vec<u32> = places.iter().map(|at| rows[*at].1).collect();
            let Some(texts) = Texts::open(segment, id).map_err(failed)? else {
                unknown.extend(places);
                continue;
            };
            let found = texts.of(segment, &docs).map_err(failed)?;
            let texts: Vec<Arc<str>> = found.texts.into_iter().map(Arc::from).collect();
            for (at, place) in places.into_iter().zip(found.places) {
                match place {
                    Found::NONE => {}
                    Found::UNKNOWN => unknown.push(at),
                    place => values[at] = texts.get(place as usize).cloned(),
                }
            }
        }
        for at in unknown {
            let row = &rows[at];
            let raw = row.0.record(row.1).map_err(|error| failed(error.into()))?;
            let text = self.text(&raw, row)?;
            let texts = [softened(&text)];
            let records = parsed(&texts, std::slice::from_ref(row))?;
            values[at] = scalar(leaf, &records[0]).map(Arc::from);
        }
        Ok(match leaf.last().kind {
            Kind::Bool => Arc::new(
                values
                    .iter()
                    .map(|value| value.as_deref().and_then(truth))
                    .collect::<BooleanArray>(),
            ),
            _ => Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>()),
        })
    }
}

/// The text at a leaf of a record.
fn scalar(leaf: &Leaf, record: &Json<'_>) -> Option<String> {
    let mut value = record;
    for place in &leaf.places {
        value = value.get(place.key)?;
    }
    value.scalar().map(Cow::into_owned)
}

fn raw_of(rows: &[Row]) -> Result<(Vec<impl std::ops::Deref<Target = [u8]> + use<>>, usize)> {
    let mut raws = Vec::with_capacity(rows.len());
    let mut bytes = 0;
    for (segment, doc) in rows {
        let raw = segment.record(*doc).map_err(|error| failed(error.into()))?;
        bytes += raw.len();
        raws.push(raw);
        if bytes >= BYTES_MAX {
            break;
        }
    }
    let count = raws.len();
    Ok((raws, count))
}

fn parsed<'t>(texts: &'t [Cow<'_, str>], rows: &[Row]) -> Result<Vec<Json<'t>>> {
    let parse = |(text, row): (&'t Cow<'_, str>, &Row)| {
        let mut record = Json::read(text).ok_or_else(|| unreadable(row))?;
        nested(&mut record);
        Ok(record)
    };
    texts.iter().zip(rows).map(parse).collect()
}

fn unreadable((segment, doc): &Row) -> DataFusionError {
    let (file, offset) = (segment.file(*doc), segment.offset(*doc));
    DataFusionError::External(
        format!("the stored record of file number {file}, byte {offset}, cannot be parsed").into(),
    )
}
