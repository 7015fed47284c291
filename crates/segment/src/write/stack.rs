//! Merges segments: lays them one behind another, or sorts their documents into one run.
//!
//! tantivy merges values and postings one by one, each through several iterators of which it does not
//! know more than that they iterate. Here they are read and renumbered a block at a time, which takes
//! a fraction of it (`benches/RESULTS.md`). The files are those that tantivy makes, to the byte; but
//! the merged segment has as few columns as a built one, see [`crate::overflow`].

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Ipv6Addr;

use tantivy::columnar::{
    ColumnIndex, ColumnType, ColumnValues, ColumnarReader, DynamicColumn, DynamicColumnHandle,
    MonotonicallyMappableToU64, StrColumn,
};
use tantivy::directory::TerminatingWrite;
use tantivy::index::SegmentComponent;
use tantivy::postings::{BlockSegmentPostings, InvertedIndexSerializer};
use tantivy::schema::Field;
use tantivy::termdict::TermMerger;
use tantivy::{DocId, Segment, SegmentReader};

use super::spill::{LeftOut, stack_overflow, take_overflow};
use super::{Number, type_of, write_the_rest};
use crate::IndexError;
use crate::overflow::OVERFLOW;
use crate::schema::Fields;
use crate::write::columns::{ColumnFile, Docs};

/// Values that are read at a time.
const BLOCK: usize = 1_024;

/// The numbers that the documents of one segment have in the merged one.
pub(crate) enum Numbers {
    /// They follow each other; this is the first.
    From(DocId),
    /// That of each document.
    Each(Vec<DocId>),
}

impl Numbers {
    pub(crate) fn of(&self, doc: DocId) -> DocId {
        match self {
            Self::From(first) => first + doc,
            Self::Each(numbers) => numbers[doc as usize],
        }
    }
}

/// Writes tantivy's files of a segment that has the documents of others, by these numbers.
pub(crate) fn stack(
    segments: &[Segment],
    numbers: &[Numbers],
    target: &Segment,
    fields: &Fields,
) -> Result<(), IndexError> {
    let columnars = segments
        .iter()
        .map(|segment| Ok(ColumnarReader::open(segment.open_read(SegmentComponent::FastFields)?)?));
    let columnars = columnars.collect::<Result<Vec<_>, IndexError>>()?;
    // First, because it refuses what would take too much memory.
    let columns = Merged::of(&columnars)?;
    let readers = segments.iter().map(SegmentReader::open).collect::<tantivy::Result<Vec<_>>>()?;
    let documents = readers.iter().map(SegmentReader::max_doc).sum();
    let mut index = InvertedIndexSerializer::open(target)?;
    for (field, entry) in fields.schema.fields() {
        if entry.is_indexed() {
            stack_field(&readers, numbers, field, &mut index)?;
        }
    }
    index.close()?;
    stack_columns(columns, numbers, documents, target)?;
    write_the_rest(target, documents)
}

fn stack_field(
    readers: &[SegmentReader],
    numbers: &[Numbers],
    field: Field,
    index: &mut InvertedIndexSerializer,
) -> Result<(), IndexError> {
    let readers = readers.iter().map(|reader| reader.inverted_index(field));
    let readers = readers.collect::<tantivy::Result<Vec<_>>>()?;
    let tokens = readers.iter().map(|reader| reader.total_num_tokens()).sum();
    let terms = readers.iter().map(|reader| reader.terms().stream()).collect::<io::Result<_>>()?;
    let mut out = index.new_field(field, tokens, None)?;
    let mut terms = TermMerger::new(terms);
    let mut postings = BlockSegmentPostings::empty();
    let mut unsorted = Vec::new();
    while terms.advance() {
        out.new_term(terms.key(), 0, false)?;
        for (n, info) in terms.current_segment_ords_and_term_infos() {
            readers[n].reset_block_postings_from_terminfo(&info, &mut postings)?;
            while !postings.docs().is_empty() {
                match &numbers[n] {
                    Numbers::From(first) => {
                        postings.docs().iter().for_each(|doc| out.write_doc(first + doc, 0, &[]));
                    }
                    numbers @ Numbers::Each(_) => {
                        unsorted.extend(postings.docs().iter().map(|doc| numbers.of(*doc)));
                    }
                }
                postings.advance();
            }
        }
        unsorted.sort_unstable();
        unsorted.drain(..).for_each(|doc| out.write_doc(doc, 0, &[]));
        out.close_term()?;
    }
    out.close()?;
    Ok(())
}

/// Kinds of columns: those of numbers become one.
fn kind_of(column: ColumnType) -> ColumnType {
    match column {
        ColumnType::U64 | ColumnType::F64 => ColumnType::I64,
        column => column,
    }
}

/// The columns of a name and kind, each with the number of its segment.
pub(super) type Parts<C> = Vec<(usize, C)>;

/// The columns that the merged segment has, and those that it leaves out.
struct Merged {
    columns: BTreeMap<(String, ColumnType), Parts<DynamicColumnHandle>>,
    left_out: LeftOut,
}

impl Merged {
    fn of(readers: &[ColumnarReader]) -> Result<Self, IndexError> {
        let mut columns: BTreeMap<_, Parts<DynamicColumnHandle>> = BTreeMap::new();
        for (n, reader) in readers.iter().enumerate() {
            for (name, column) in reader.iter_columns()? {
                let key = (name, kind_of(column.column_type()));
                columns.entry(key).or_default().push((n, column));
            }
        }
        let left_out = take_overflow(&mut columns, readers)?;
        Ok(Self { columns, left_out })
    }
}

fn stack_columns(
    Merged { columns, left_out }: Merged,
    numbers: &[Numbers],
    documents: DocId,
    target: &Segment,
) -> Result<(), IndexError> {
    let out = target.open_write(SegmentComponent::FastFields)?;
    let mut file = ColumnFile::new(out, documents)?;
    for ((name, kind), handles) in columns {
        let columns = opened(&handles)?;
        if name == OVERFLOW {
            stack_overflow(&mut file, &columns, &left_out, numbers)?;
            continue;
        }
        let placed = Placed::of(&columns, numbers);
        match kind {
            ColumnType::Str => stack_texts(&mut file, &name, &columns, &placed)?,
            ColumnType::IpAddr => {
                file.addresses(&name, &placed.docs, &placed.put(addresses(&columns)))?;
            }
            kind => {
                let (kind, numbers) = numbers_of(kind, &columns);
                file.numbers(&name, kind, &placed.docs, &placed.put(numbers))?;
            }
        }
    }
    file.finish()?.terminate()?;
    Ok(())
}

pub(super) fn opened(handles: &Parts<DynamicColumnHandle>) -> io::Result<Parts<DynamicColumn>> {
    handles.iter().map(|(n, handle)| Ok((*n, handle.open()?))).collect()
}

/// The documents of a column's values, by their new numbers.
struct Placed {
    docs: Docs,
    /// Where the documents are not one segment's behind another's: the values in the order of these.
    order: Option<Vec<u32>>,
}

impl Placed {
    fn of(columns: &Parts<DynamicColumn>, numbers: &[Numbers]) -> Self {
        let (mut docs, mut unsorted) = (Docs::default(), Vec::new());
        for (n, column) in columns {
            match &numbers[*n] {
                Numbers::From(first) => push_docs(*first, column, &mut docs),
                numbers @ Numbers::Each(_) => {
                    each_doc(column, |doc| unsorted.push(numbers.of(doc)));
                }
            }
        }
        if unsorted.is_empty() {
            return Self { docs, order: None };
        }
        let mut order: Vec<u32> = (0..unsorted.len() as u32).collect();
        order.sort_by_key(|value| unsorted[*value as usize]);
        for value in &order {
            docs.push(unsorted[*value as usize]);
        }
        Self { docs, order: Some(order) }
    }

    fn put<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        match &self.order {
            Some(order) => order.iter().map(|value| values[*value as usize]).collect(),
            None => values,
        }
    }
}

/// Calls `sink` with the document of each value of a column, in order.
pub(super) fn each_doc(column: &DynamicColumn, mut sink: impl FnMut(DocId)) {
    match column.column_index() {
        ColumnIndex::Empty { .. } => {}
        ColumnIndex::Full => (0..column.num_values()).for_each(sink),
        ColumnIndex::Optional(optional) => optional.iter_non_null_docs().for_each(sink),
        index @ ColumnIndex::Multivalued(values) => {
            for doc in values.iter_non_null_docs() {
                index.value_row_ids(doc).for_each(|_| sink(doc));
            }
        }
    }
}

/// Takes in the documents of a column's values, which follow those of the segments before.
fn push_docs(first: DocId, column: &DynamicColumn, docs: &mut Docs) {
    match column.column_index() {
        ColumnIndex::Full => docs.push_all(first..first + column.num_values()),
        _ => each_doc(column, |doc| docs.push(first + doc)),
    }
}

fn stack_texts(
    file: &mut ColumnFile<impl Write>,
    name: &str,
    columns: &Parts<DynamicColumn>,
    placed: &Placed,
) -> io::Result<()> {
    let columns = texts_of(columns);
    let mut texts = file.texts()?;
    let new_places = merge_texts(&columns, |text| texts.push(text))?;
    let bytes = texts.finish()?;
    let mut places: Vec<u32> = Vec::new();
    for (column, new_places) in columns.iter().zip(new_places) {
        each_block(&*column.ords().values, |block| {
            places.extend(block.iter().map(|place| new_places[*place as usize]));
        });
    }
    file.end_texts(name, bytes, &placed.docs, &placed.put(places))
}

pub(super) fn texts_of(columns: &Parts<DynamicColumn>) -> Vec<&StrColumn> {
    let texts = columns.iter().filter_map(|(_, column)| match column {
        DynamicColumn::Str(column) => Some(column),
        _ => None,
    });
    texts.collect()
}

fn addresses(columns: &Parts<DynamicColumn>) -> Vec<Ipv6Addr> {
    let mut addresses = Vec::new();
    for (_, column) in columns {
        if let DynamicColumn::IpAddr(column) = column {
            addresses.extend(column.values.iter());
        }
    }
    addresses
}

/// The values of columns of a kind, as tantivy maps them in a column of the type that has room for all.
fn numbers_of(kind: ColumnType, columns: &Parts<DynamicColumn>) -> (ColumnType, Vec<u64>) {
    let columns = || columns.iter().map(|(_, column)| column);
    let kind = if kind == ColumnType::I64 { type_of_all(columns()) } else { kind };
    let mut numbers: Vec<u64> = Vec::new();
    for column in columns() {
        match column {
            DynamicColumn::I64(column) => {
                numbers.extend(column.values.iter().map(|n| Number::I64(n).mapped(kind)));
            }
            DynamicColumn::U64(column) => {
                numbers.extend(column.values.iter().map(|n| Number::U64(n).mapped(kind)));
            }
            DynamicColumn::F64(column) => {
                numbers.extend(column.values.iter().map(|n| Number::F64(n).mapped(kind)));
            }
            DynamicColumn::Bool(column) => numbers.extend(column.values.iter().map(u64::from)),
            DynamicColumn::DateTime(column) => {
                numbers.extend(column.values.iter().map(MonotonicallyMappableToU64::to_u64));
            }
            DynamicColumn::IpAddr(_) | DynamicColumn::Bytes(_) | DynamicColumn::Str(_) => {}
        }
    }
    (kind, numbers)
}

/// The type of a column of all the numbers of these.
fn type_of_all<'c>(columns: impl Iterator<Item = &'c DynamicColumn> + Clone) -> ColumnType {
    let first = columns.clone().next().map_or(ColumnType::I64, DynamicColumn::column_type);
    if columns.clone().all(|column| column.column_type() == first) {
        return first;
    }
    type_of(columns.filter(|column| column.num_values() > 0).flat_map(|column| match column {
        DynamicColumn::I64(column) => [column.min_value(), column.max_value()].map(Number::I64),
        DynamicColumn::U64(column) => [column.min_value(), column.max_value()].map(Number::U64),
        DynamicColumn::F64(column) => [column.min_value(), column.max_value()].map(Number::F64),
        _ => unreachable!("a column of numbers has one of these types"),
    }))
}

/// Calls `sink` with each different text of these columns, in order. Returns the place that each of a
/// column's texts has among them.
pub(super) fn merge_texts(
    columns: &[&StrColumn],
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Vec<Vec<u32>>> {
    let mut new_places: Vec<Vec<u32>> =
        columns.iter().map(|column| Vec::with_capacity(column.num_terms())).collect();
    let mut streams = Vec::with_capacity(columns.len());
    for (n, column) in columns.iter().enumerate() {
        let mut stream = column.dictionary().stream()?;
        if stream.advance() {
            streams.push((n, stream));
        }
    }
    let mut place = 0;
    let mut least: Vec<usize> = Vec::with_capacity(streams.len());
    while !streams.is_empty() {
        least.clear();
        for (at, (_, stream)) in streams.iter().enumerate() {
            let order = least.first().map(|first| stream.key().cmp(streams[*first].1.key()));
            match order {
                Some(Ordering::Greater) => continue,
                Some(Ordering::Less) => least.clear(),
                Some(Ordering::Equal) | None => {}
            }
            least.push(at);
        }
        sink(streams[least[0]].1.key())?;
        // From behind, so that those before stay where they are when one has ended.
        for at in least.iter().rev() {
            let (n, stream) = &mut streams[*at];
            new_places[*n].push(place);
            if !stream.advance() {
                streams.remove(*at);
            }
        }
        place += 1;
    }
    Ok(new_places)
}

/// Calls `sink` with the values of a column, in order, a block at a time.
pub(super) fn each_block(values: &dyn ColumnValues<u64>, mut sink: impl FnMut(&[u64])) {
    let mut block = [0; BLOCK];
    let count = u64::from(values.num_vals());
    let mut start = 0;
    while start < count {
        let len = (count - start).min(BLOCK as u64);
        let block = &mut block[..len as usize];
        values.get_range(start, block);
        sink(block);
        start += len;
    }
}
