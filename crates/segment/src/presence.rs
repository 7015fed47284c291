//! Which fields the events of a segment have, of which types, and how many events have each. The
//! columns tell this without a look at values.

use std::collections::BTreeMap;

use tantivy::columnar::{ColumnIndex, ColumnarReader, DynamicColumn, DynamicColumnHandle};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocId, DocSet, TERMINATED};

use super::IndexError;
use crate::dictionary::{TermWalk, TextColumn};
use crate::docsets::{Scan, events_with_value};
use crate::schema::{Fields, IP, REST};
use crate::stop::Stop;
use crate::view::{SegmentView, separated};
use trail::columns;
use trail::columns::ColumnId;
use trail::paths::SEPARATOR;
use wire::FieldType;

/// The set of types that a field's values have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

/// How many events have a field, and with which types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// The types of values that the field has in these events.
    pub kinds: Kinds,
    /// How many events have the field.
    pub events: u64,
}

/// The presence of each field in one segment.
#[derive(Debug)]
pub struct Presences {
    /// One for each column of the schema, by the column's number.
    pub columns: Vec<Presence>,
    /// One for each other path, in the order of [`SegmentView::paths`].
    pub paths: Vec<Presence>,
}

impl Kinds {
    fn one(kind: FieldType) -> Self {
        Self(1 << kind as u8)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Lists the kinds as the types that answers name.
    pub fn types(self) -> Vec<FieldType> {
        FieldType::ALL.into_iter().filter(|kind| self.0 & Self::one(*kind).0 != 0).collect()
    }
}

impl Presence {
    fn of(kind: FieldType, events: u32) -> Self {
        Self { kinds: Kinds::one(kind), events: events.into() }
    }

    /// Adds the presence of the same field in another segment.
    pub fn add(&mut self, other: Self) {
        self.kinds = self.kinds.and(other.kinds);
        self.events += other.events;
    }
}

impl Presences {
    pub(crate) fn of(segment: &SegmentView, columnar: &ColumnarReader) -> Result<Self, IndexError> {
        let paths = segment.paths().iter().map(|path| (path.as_str(), Vec::new()));
        let mut by_path: BTreeMap<&str, Vec<DynamicColumnHandle>> = paths.collect();
        for (name, column) in columnar.iter_columns()? {
            let path = path_of(&name);
            if let Some(columns) = path.and_then(|path| by_path.get_mut(path.as_str())) {
                columns.push(column);
            }
        }
        let paths = by_path.values().map(|columns| of_columns(segment, columns));
        let mut paths = paths.collect::<Result<Vec<Presence>, _>>()?;
        if let Some(overflow) = segment.overflow() {
            add_overflow(overflow, by_path.keys(), &mut paths)?;
        }
        let columns = ColumnId::all().map(|id| of_column(segment, id)).collect::<Result<_, _>>()?;
        Ok(Self { columns, paths })
    }
}

/// Adds the events that have values at some of these paths in no column: of which types, is not known.
fn add_overflow<'p>(
    overflow: &TextColumn,
    paths: impl Iterator<Item = &'p &'p str>,
    presences: &mut [Presence],
) -> Result<(), IndexError> {
    let mut events = vec![0_u32; overflow.num_terms()];
    let ordinals = &overflow.ords().values;
    (0..ordinals.num_vals()).for_each(|value| events[ordinals.get_val(value) as usize] += 1);
    for (path, presence) in paths.zip(presences) {
        if let Some(ordinal) = overflow.dictionary().term_ord(separated(path))? {
            presence.events += u64::from(events[ordinal as usize]);
        }
    }
    Ok(())
}

/// The path that a column of the index is of, unless it is one of the schema's.
pub(crate) fn path_of(column: &str) -> Option<String> {
    let path = column.strip_prefix(REST)?.strip_prefix(SEPARATOR)?;
    Some(path.replace(SEPARATOR, "."))
}

/// That of the columns at one path, one for each kind of values.
fn of_columns(
    segment: &SegmentView,
    handles: &[DynamicColumnHandle],
) -> Result<Presence, IndexError> {
    let mut kinds = Kinds::default();
    let mut indexes = Vec::with_capacity(handles.len());
    for handle in handles {
        let column = handle.open()?;
        kinds = kinds.and(Kinds::one(kind_of(&column)));
        indexes.push(column.into_column_index());
    }
    Ok(Presence { kinds, events: events_with_any(indexes, segment.events()).into() })
}

fn of_column(segment: &SegmentView, id: ColumnId) -> Result<Presence, IndexError> {
    if id.column().is_unique {
        return Ok(Presence::of(FieldType::Text, events_with_id(segment, id)?));
    }
    let Some(column) = segment.text_column(id)? else { return Ok(Presence::default()) };
    let events = events_with_value(&column.ords().index, segment.events());
    let mut presence = Presence::of(FieldType::Text, events);
    if id == columns::SOURCE_IP && segment.open_column(IP)?.is_some() {
        presence.kinds = presence.kinds.and(Kinds::one(FieldType::Address));
    }
    Ok(presence)
}

/// Of a column that is not kept by event.
fn events_with_id(segment: &SegmentView, id: ColumnId) -> Result<u32, IndexError> {
    let mut events = BitSet::with_max_value(segment.events());
    for doc in segment.ids.docs(id) {
        events.insert(doc);
    }
    let index = segment.reader.inverted_index(Fields::column(id))?;
    let mut terms = TermWalk::of_terms(index.terms(), b"")?;
    while terms.advance()? {
        let postings = index.read_postings_from_terminfo(terms.info(), IndexRecordOption::Basic)?;
        insert_all(postings, &mut events);
    }
    Ok(events.len() as u32)
}

fn events_with_any(mut indexes: Vec<ColumnIndex>, max_doc: DocId) -> u32 {
    if let [index] = indexes.as_slice() {
        return events_with_value(index, max_doc);
    }
    let mut events = BitSet::with_max_value(max_doc);
    for index in indexes.drain(..) {
        let stop = Stop::when(|| false);
        insert_all(Scan::new(index, max_doc, Box::new(|_| true), 1, stop), &mut events);
    }
    events.len() as u32
}

fn insert_all(mut docs: impl DocSet, into: &mut BitSet) {
    let mut doc = docs.doc();
    while doc != TERMINATED {
        into.insert(doc);
        doc = docs.advance();
    }
}

fn kind_of(column: &DynamicColumn) -> FieldType {
    match column {
        DynamicColumn::Bool(_) => FieldType::Boolean,
        DynamicColumn::I64(_) | DynamicColumn::U64(_) => FieldType::Integer,
        DynamicColumn::F64(_) => FieldType::Number,
        DynamicColumn::DateTime(_) => FieldType::Time,
        DynamicColumn::IpAddr(_) => FieldType::Address,
        DynamicColumn::Str(_) | DynamicColumn::Bytes(_) => FieldType::Text,
    }
}
