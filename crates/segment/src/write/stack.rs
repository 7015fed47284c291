//! Segments laid one behind another: a merge that keeps the order of documents.
//!
//! tantivy merges values and postings one by one, each through several iterators of which it does not
//! know more than that they iterate. Here they are read and renumbered a block at a time, which takes
//! a fraction of it (`benches/RESULTS.md`). The files are those that tantivy makes, to the byte.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Ipv6Addr;
use std::ops::Range;

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

use super::{Number, type_of, write_the_rest};
use crate::IndexError;
use crate::schema::Fields;
use crate::write::columns::{ColumnFile, Docs, Texts};

/// Values that are read at a time.
const BLOCK: usize = 1_024;

/// Writes tantivy's files of a segment that has the documents of others, one behind another.
pub(crate) fn stack(
    segments: &[Segment],
    target: &Segment,
    fields: &Fields,
) -> Result<(), IndexError> {
    let readers = segments.iter().map(SegmentReader::open).collect::<tantivy::Result<Vec<_>>>()?;
    let mut documents = 0;
    let ranges = readers.iter().map(|reader| {
        documents += reader.max_doc();
        documents - reader.max_doc()..documents
    });
    let ranges: Vec<Range<DocId>> = ranges.collect();
    let mut index = InvertedIndexSerializer::open(target)?;
    for (field, entry) in fields.schema.fields() {
        if entry.is_indexed() {
            stack_field(&readers, &ranges, field, &mut index)?;
        }
    }
    index.close()?;
    stack_columns(segments, &ranges, target)?;
    write_the_rest(target, documents)
}

fn stack_field(
    readers: &[SegmentReader],
    ranges: &[Range<DocId>],
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
    while terms.advance() {
        out.new_term(terms.key(), 0, false)?;
        for (n, info) in terms.current_segment_ords_and_term_infos() {
            readers[n].reset_block_postings_from_terminfo(&info, &mut postings)?;
            while !postings.docs().is_empty() {
                for doc in postings.docs() {
                    out.write_doc(ranges[n].start + doc, 0, &[]);
                }
                postings.advance();
            }
        }
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

fn stack_columns(
    segments: &[Segment],
    ranges: &[Range<DocId>],
    target: &Segment,
) -> Result<(), IndexError> {
    // By name and kind, of each segment.
    let mut columns: BTreeMap<(String, ColumnType), Vec<Option<DynamicColumnHandle>>> =
        BTreeMap::new();
    for (n, segment) in segments.iter().enumerate() {
        let reader = ColumnarReader::open(segment.open_read(SegmentComponent::FastFields)?)?;
        for (name, column) in reader.iter_columns()? {
            let key = (name, kind_of(column.column_type()));
            columns.entry(key).or_insert_with(|| vec![None; segments.len()])[n] = Some(column);
        }
    }
    let documents = ranges.last().map_or(0, |range| range.end);
    let out = target.open_write(SegmentComponent::FastFields)?;
    let mut file = ColumnFile::new(out, documents)?;
    for ((name, kind), handles) in columns {
        let columns =
            handles.iter().map(|handle| handle.as_ref().map(DynamicColumnHandle::open).transpose());
        let columns = columns.collect::<io::Result<Vec<_>>>()?;
        let mut docs = Docs::default();
        for (column, range) in columns.iter().zip(ranges) {
            if let Some(column) = column {
                push_docs(column.column_index(), range.clone(), &mut docs);
            }
        }
        match kind {
            ColumnType::Str => stack_texts(&mut file, &name, &columns, &docs)?,
            ColumnType::IpAddr => file.addresses(&name, &docs, &addresses(&columns))?,
            kind => {
                let (kind, numbers) = numbers(kind, &columns);
                file.numbers(&name, kind, &docs, &numbers)?;
            }
        }
    }
    file.finish()?.terminate()?;
    Ok(())
}

/// Takes in the documents of a column's values. The segment's documents have these numbers now.
fn push_docs(index: &ColumnIndex, range: Range<DocId>, docs: &mut Docs) {
    match index {
        ColumnIndex::Empty { .. } => {}
        ColumnIndex::Full => docs.push_all(range),
        ColumnIndex::Optional(optional) => {
            optional.iter_non_null_docs().for_each(|doc| docs.push(range.start + doc));
        }
        ColumnIndex::Multivalued(values) => {
            for doc in values.iter_non_null_docs() {
                index.value_row_ids(doc).for_each(|_| docs.push(range.start + doc));
            }
        }
    }
}

fn stack_texts(
    file: &mut ColumnFile<impl Write>,
    name: &str,
    columns: &[Option<DynamicColumn>],
    docs: &Docs,
) -> io::Result<()> {
    let columns = columns.iter().flatten().filter_map(|column| match column {
        DynamicColumn::Str(column) => Some(column),
        _ => None,
    });
    let columns: Vec<&StrColumn> = columns.collect();
    let mut texts = Texts::new()?;
    let new_places = merge_texts(&columns, |text| texts.push(text))?;
    let mut places: Vec<u32> = Vec::new();
    for (column, new_places) in columns.iter().zip(new_places) {
        each_block(&*column.ords().values, |block| {
            places.extend(block.iter().map(|place| new_places[*place as usize]));
        });
    }
    file.texts(name, texts, docs, &places)
}

fn addresses(columns: &[Option<DynamicColumn>]) -> Vec<Ipv6Addr> {
    let mut addresses = Vec::new();
    for column in columns.iter().flatten() {
        if let DynamicColumn::IpAddr(column) = column {
            addresses.extend(column.values.iter());
        }
    }
    addresses
}

/// The values of columns of a kind, as tantivy maps them in a column of the type that has room for all.
fn numbers(kind: ColumnType, columns: &[Option<DynamicColumn>]) -> (ColumnType, Vec<u64>) {
    let columns = || columns.iter().flatten();
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
fn merge_texts(
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
fn each_block(values: &dyn ColumnValues<u64>, mut sink: impl FnMut(&[u64])) {
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
