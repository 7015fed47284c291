//! Writes the inverted index and the columns of a segment in tantivy's format, with tantivy's
//! functions.
//!
//! tantivy's own writer looks each value up in a table of terms, once more in the dictionary of its
//! column, and each of its words in the table of terms; sorts both when it ends; and does all of that
//! for each event, though most values were in an event before. Here a value is looked up once
//! ([`distinct`]), an event is the numbers of its values, and postings and columns are made of these at
//! the end, which takes a third of it (`benches/RESULTS.md`). The files are those that tantivy's writer
//! makes, to the byte; `tests` compares them.

mod columns;
mod distinct;
mod grouped;
mod leaves;
mod spill;
mod stack;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::io;
use std::net::Ipv6Addr;

use tantivy::columnar::{ColumnType, MonotonicallyMappableToU64};
use tantivy::directory::TerminatingWrite;
use tantivy::fieldnorm::FieldNormsSerializer;
use tantivy::index::SegmentComponent;
use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;
use tantivy::store::StoreWriter;
use tantivy::{DateTime, DocId, Segment, TantivyDocument};

use self::columns::{ColumnFile, Docs};
use self::distinct::{ColumnNo, Distinct, ValueNo, WordNo, sort_by_text};
use self::grouped::Grouped;
use self::leaves::{LeafColumns, Overflow, Written};
pub(crate) use self::stack::{Numbers, stack};
use super::IndexError;
use super::column_words;
use super::ids;
use super::schema;
use crate::column_words::ColumnWords;
use crate::overflow::OVERFLOW;
use crate::schema::Fields;
use trail::columns::{COLUMNS, ColumnId};
use trail::flat::{Event, Scalar, each_column_word, each_leaf_word};
use trail::limits::EXACT_BYTES_MAX;
use trail::time::Micros;
use trail::words::shorten;

/// The columns of leaves are numbered behind those of the schema.
const LEAF_COLUMNS: ColumnNo = COLUMNS.len() as ColumnNo;

/// What a column of leaves holds. Values of different kinds at one path are columns of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Text,
    Number,
    Bool,
}

/// What is known of each event beside its values.
#[derive(Default)]
struct Facts {
    times: Vec<Micros>,
    ips: Vec<Option<Ipv6Addr>>,
    files: Vec<u64>,
    offsets: Vec<u64>,
    flags: Vec<u64>,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct SegmentWriter {
    distinct: Distinct,
    leaf_columns: LeafColumns,
    /// The values of each event, one event behind another.
    values: Vec<ValueNo>,
    /// Where the values of each event end.
    ends: Vec<usize>,
    facts: Facts,
    scratch: String,
}

impl SegmentWriter {
    pub(crate) fn add(&mut self, event: &Event) {
        let Self { distinct, leaf_columns, values, ends, facts, scratch } = self;
        for (column, text) in event.columns() {
            if column.column().is_unique && ids::UuidKey::of(text).is_some() {
                continue; // See `ids`. Its one word is found there, too.
            }
            values.push(distinct.value(ColumnNo::from(column.0), text.as_bytes(), |sink| {
                each_column_word(column, text, scratch, sink);
            }));
        }
        leaf_columns.begin(event);
        for (path, leaf) in event.leaves() {
            let mut value = |kind, bytes: &[u8]| {
                let column = leaf_columns.column(event, path, kind);
                distinct.value(column, bytes, |sink| each_leaf_word(leaf, scratch, sink))
            };
            values.push(match leaf {
                Scalar::Str(text) if text.len() > EXACT_BYTES_MAX => {
                    value(Kind::Text, shorten(&mut text.to_owned(), EXACT_BYTES_MAX).as_bytes())
                }
                Scalar::Str(text) => value(Kind::Text, text.as_bytes()),
                Scalar::I64(n) => value(Kind::Number, &Number::I64(n).bytes()),
                Scalar::U64(n) => value(Kind::Number, &Number::U64(n).bytes()),
                // One number has the words of each way in which it is written.
                Scalar::F64(n, written) => {
                    let bytes = [&Number::F64(n).bytes(), written.as_bytes()].concat();
                    value(Kind::Number, &bytes)
                }
                Scalar::Bool(b) => value(Kind::Bool, &[u8::from(b)]),
            });
        }
        ends.push(values.len());
        facts.times.push(event.time);
        facts.ips.push(event.ip);
        facts.files.push(event.file);
        facts.offsets.push(event.offset);
        facts.flags.push(event.flags.0);
    }

    pub(crate) fn events(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Bytes of memory that the events take, and will take while they are written.
    pub(crate) fn memory(&self) -> usize {
        let of_event = size_of::<(usize, Micros, Option<Ipv6Addr>, [u64; 3])>();
        // See `Columns`, and the documents of each word.
        let to_write = self.values.len() * size_of::<(DocId, ValueNo, DocId)>()
            + self.distinct.values() * size_of::<(ValueNo, u64)>();
        // See `Overflow`: each event with its path, and each of both twice as they are written.
        let to_overflow = if self.leaf_columns.all_have_columns() {
            0
        } else {
            self.values.len() * 3 * size_of::<(DocId, u32)>()
        };
        self.distinct.memory()
            + self.leaf_columns.memory()
            + self.values.capacity() * size_of::<ValueNo>()
            + self.ends.capacity() * of_event
            + to_write
            + to_overflow
    }

    /// The events in the order in which they are written: latest first, and as they came where their
    /// time is the same.
    pub(crate) fn order(&self) -> Vec<DocId> {
        let mut order: Vec<DocId> = (0..self.events()).collect();
        order.sort_by_key(|doc| Reverse(self.facts.times[*doc as usize]));
        order
    }

    /// Writes tantivy's files of the segment, with its events in this order. Returns the words of its
    /// columns, which have a file of their own.
    pub(crate) fn write(
        self,
        segment: &Segment,
        fields: &Fields,
        order: &[DocId],
    ) -> Result<ColumnWords, IndexError> {
        let Self { distinct, leaf_columns, values, ends, facts, .. } = self;
        // Each value of each event, with the event's new number.
        let occurrences = (0..).zip(order).flat_map(|(doc, old)| {
            let start = old.checked_sub(1).map_or(0, |before| ends[before as usize]);
            values[start..ends[*old as usize]].iter().map(move |value| (doc, *value))
        });
        let facts = facts.in_order(order);
        let columns = Columns::of(&distinct, &leaf_columns, occurrences.clone());
        write_index(segment, fields, &columns, &facts, || {
            occurrences.clone().flat_map(|(doc, value)| {
                distinct.words_of(value).iter().map(move |word| (*word, doc))
            })
        })?;
        write_columns(segment, &columns, &facts)?;
        write_the_rest(segment, order.len() as u32)?;
        Ok(columns.words())
    }
}

impl Facts {
    fn in_order(&self, order: &[DocId]) -> Self {
        fn ordered<T: Copy>(facts: &[T], order: &[DocId]) -> Vec<T> {
            order.iter().map(|doc| facts[*doc as usize]).collect()
        }
        Self {
            times: ordered(&self.times, order),
            ips: ordered(&self.ips, order),
            files: ordered(&self.files, order),
            offsets: ordered(&self.offsets, order),
            flags: ordered(&self.flags, order),
        }
    }

    /// The addresses, and the documents that have one.
    fn ips(&self) -> impl Iterator<Item = (DocId, Ipv6Addr)> + Clone {
        (0..).zip(&self.ips).filter_map(|(doc, ip)| Some((doc, (*ip)?)))
    }
}

/// A number of a leaf.
#[derive(Clone, Copy)]
enum Number {
    I64(i64),
    U64(u64),
    F64(f64),
}

impl Number {
    const BYTES: usize = 9;

    /// As the beginning of a value's bytes: equal if kind and number are.
    fn bytes(self) -> [u8; Self::BYTES] {
        let (kind, bits) = match self {
            Self::I64(n) => (0, n.to_le_bytes()),
            Self::U64(n) => (1, n.to_le_bytes()),
            Self::F64(n) => (2, n.to_le_bytes()),
        };
        let mut bytes = [kind; Self::BYTES];
        bytes[1..].copy_from_slice(&bits);
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let bits = bytes[1..Self::BYTES].try_into().expect("eight bytes are behind its kind");
        match bytes[0] {
            0 => Self::I64(i64::from_le_bytes(bits)),
            1 => Self::U64(u64::from_le_bytes(bits)),
            _ => Self::F64(f64::from_le_bytes(bits)),
        }
    }

    /// As tantivy maps it in a column of this type, which must have room for it.
    fn mapped(self, kind: ColumnType) -> u64 {
        match (kind, self) {
            (ColumnType::I64, Self::I64(n)) => n.to_u64(),
            (ColumnType::I64, Self::U64(n)) => (n as i64).to_u64(),
            (ColumnType::U64, Self::I64(n)) => n as u64,
            (ColumnType::U64, Self::U64(n)) => n,
            (_, Self::I64(n)) => (n as f64).to_u64(),
            (_, Self::U64(n)) => (n as f64).to_u64(),
            (_, Self::F64(n)) => n.to_u64(),
        }
    }
}

/// The type that tantivy gives to a column of these numbers: the first that has room for all of them.
fn type_of(numbers: impl Iterator<Item = Number>) -> ColumnType {
    let (mut is_i64, mut is_u64) = (true, true);
    for number in numbers {
        match number {
            Number::I64(n) => is_u64 &= n >= 0,
            Number::U64(n) => is_i64 &= n < i64::MAX as u64,
            Number::F64(_) => (is_i64, is_u64) = (false, false),
        }
    }
    match (is_i64, is_u64) {
        (true, _) => ColumnType::I64,
        (false, true) => ColumnType::U64,
        (false, false) => ColumnType::F64,
    }
}

/// What the values of all events come to, by column.
struct Columns<'d> {
    distinct: &'d Distinct,
    leaves: &'d LeafColumns,
    written: Written,
    types: Vec<ColumnType>,
    /// The different values of each column; texts are in order.
    values: Grouped<ValueNo>,
    /// What stands for each value in its column: the place among the column's texts, or what tantivy
    /// maps a number to.
    mapped: Vec<u64>,
    /// The values of each column, in the order of the documents that have them.
    occurrences: Grouped<(DocId, ValueNo)>,
}

impl<'d> Columns<'d> {
    fn of(
        distinct: &'d Distinct,
        leaves: &'d LeafColumns,
        occurrences: impl Iterator<Item = (DocId, ValueNo)> + Clone,
    ) -> Self {
        let of_columns = occurrences.clone().map(|(doc, value)| (doc, distinct.column(value)));
        let written = leaves.choose(of_columns);
        let count = COLUMNS.len() + leaves.count();
        let values = (0..distinct.values() as ValueNo).map(|value| (distinct.column(value), value));
        let mut values = Grouped::of(values, count);
        let mut mapped = vec![0; distinct.values()];
        let kinds = COLUMNS.iter().map(|_| Kind::Text).chain(leaves.kinds());
        let types = (0..).zip(kinds).map(|(column, kind)| {
            if !written.has(column) {
                return ColumnType::Str;
            }
            let values = values.of_key_mut(column);
            let number = |value: ValueNo| Number::of_bytes(distinct.bytes(value));
            match kind {
                Kind::Text => {
                    sort_by_text(values, |value| distinct.bytes(value));
                    for (place, value) in (0..).zip(values) {
                        mapped[*value as usize] = place;
                    }
                    ColumnType::Str
                }
                Kind::Number => {
                    let kind = type_of(values.iter().map(|value| number(*value)));
                    for value in values {
                        mapped[*value as usize] = number(*value).mapped(kind);
                    }
                    kind
                }
                Kind::Bool => {
                    for value in values {
                        mapped[*value as usize] = u64::from(distinct.bytes(*value)[0]);
                    }
                    ColumnType::Bool
                }
            }
        });
        let types = types.collect();
        let by_column = occurrences.map(|(doc, value)| (distinct.column(value), (doc, value)));
        let occurrences = Grouped::of(by_column, count);
        Self { distinct, leaves, written, types, values, mapped, occurrences }
    }

    /// The different values of a column, in order if they are texts.
    fn values(&self, column: ColumnNo) -> impl ExactSizeIterator<Item = &'d [u8]> {
        self.values.of_key(column).iter().map(|value| self.distinct.bytes(*value))
    }

    /// The values of a column's documents, as they stand for them.
    fn mapped(&self, column: ColumnNo) -> impl Iterator<Item = (DocId, u64)> + Clone {
        let occurrences = self.occurrences.of_key(column).iter();
        occurrences.map(|(doc, value)| (*doc, self.mapped[*value as usize]))
    }

    /// Name and number of each column that is to be written.
    fn written(&self) -> impl Iterator<Item = (Cow<'d, str>, ColumnNo)> {
        let of_schema = (0..).zip(COLUMNS).filter(|(_, column)| !column.is_unique);
        let leaves = LEAF_COLUMNS..LEAF_COLUMNS + self.leaves.count() as ColumnNo;
        let leaves = leaves.filter(|column| self.written.has(*column));
        let leaves = leaves.map(|column| (Cow::Owned(self.leaves.name(column)), column));
        of_schema.map(|(number, column)| (Cow::Borrowed(column.path), number)).chain(leaves)
    }

    fn overflow(&self) -> Option<Overflow<'d>> {
        self.leaves.overflow(&self.written, |column| {
            self.occurrences.of_key(column).iter().map(|(doc, _)| *doc)
        })
    }

    fn words(&self) -> ColumnWords {
        let mut words = ColumnWords::default();
        for id in column_words::dictionary_columns() {
            for (place, text) in (0..).zip(self.values(ColumnNo::from(id.0))) {
                let text = str::from_utf8(text).expect("a column's values are texts");
                words.add_value(id, place, text);
            }
        }
        words
    }
}

fn write_index<W: Iterator<Item = (WordNo, DocId)> + Clone>(
    segment: &Segment,
    fields: &Fields,
    columns: &Columns<'_>,
    facts: &Facts,
    words: impl FnOnce() -> W,
) -> Result<(), IndexError> {
    let mut index = InvertedIndexSerializer::open(segment)?;
    let write_column = |index: &mut InvertedIndexSerializer, id: ColumnId| {
        let column = ColumnNo::from(id.0);
        let places = columns.mapped(column).map(|(doc, place)| (place as u32, doc));
        let terms = columns.values(column);
        let docs = Grouped::of(places, terms.len());
        write_terms(index, Fields::column(id), terms.zip(0..), &docs)
    };
    Fields::first_columns().try_for_each(|id| write_column(&mut index, id))?;
    let mut addresses: Vec<Ipv6Addr> = facts.ips().map(|(_, ip)| ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let places = facts.ips().map(|(doc, ip)| {
        (addresses.binary_search(&ip).expect("each address is among them") as u32, doc)
    });
    let docs = Grouped::of(places, addresses.len());
    let terms: Vec<[u8; 16]> = addresses.iter().map(Ipv6Addr::octets).collect();
    write_terms(&mut index, fields.ip, terms.iter().map(|term| &term[..]).zip(0..), &docs)?;
    let distinct = columns.distinct;
    let docs = Grouped::of(words(), distinct.words());
    let mut words: Vec<WordNo> = (0..distinct.words() as WordNo).collect();
    sort_by_text(&mut words, |word| distinct.word(word));
    let terms = words.iter().map(|word| (distinct.word(*word), *word));
    write_terms(&mut index, fields.words, terms, &docs)?;
    Fields::last_columns().try_for_each(|id| write_column(&mut index, id))?;
    index.close()?;
    Ok(())
}

/// Writes the terms of a field, which come in order, each with its key. A document may be more than
/// once with a key.
fn write_terms<'t>(
    index: &mut InvertedIndexSerializer,
    field: Field,
    terms: impl Iterator<Item = (&'t [u8], u32)>,
    docs: &Grouped<DocId>,
) -> io::Result<()> {
    if docs.things() == 0 {
        return Ok(());
    }
    let mut out = index.new_field(field, docs.things() as u64, None)?;
    for (term, key) in terms {
        let docs = docs.of_key(key);
        out.new_term(term, docs.len() as u32, false)?;
        let mut last = None;
        for doc in docs {
            if last != Some(doc) {
                out.write_doc(*doc, 0, &[]);
                last = Some(doc);
            }
        }
        out.close_term()?;
    }
    out.close()
}

fn write_columns(
    segment: &Segment,
    columns: &Columns<'_>,
    facts: &Facts,
) -> Result<(), IndexError> {
    enum Source<'a> {
        Values(ColumnNo),
        Ips,
        Facts(&'a [u64]),
        Overflow(&'a Overflow<'a>),
    }
    let times = facts
        .times
        .iter()
        .map(|time| DateTime::from_timestamp_micros(time.0).into_timestamp_nanos().to_u64());
    let times: Vec<u64> = times.collect();
    let mut sources: Vec<(Cow<'_, str>, ColumnType, Source<'_>)> = vec![
        (schema::IP.into(), ColumnType::IpAddr, Source::Ips),
        (schema::TIME.into(), ColumnType::DateTime, Source::Facts(&times)),
        (schema::FILE.into(), ColumnType::U64, Source::Facts(&facts.files)),
        (schema::OFFSET.into(), ColumnType::U64, Source::Facts(&facts.offsets)),
        (schema::FLAGS.into(), ColumnType::U64, Source::Facts(&facts.flags)),
    ];
    sources.extend(
        columns
            .written()
            .map(|(name, column)| (name, columns.types[column as usize], Source::Values(column))),
    );
    let overflow = columns.overflow();
    if let Some(overflow) = &overflow {
        sources.push((OVERFLOW.into(), ColumnType::Str, Source::Overflow(overflow)));
    }
    sources.sort_unstable_by(|(a, a_kind, _), (b, b_kind, _)| (a, a_kind).cmp(&(b, b_kind)));
    let documents = facts.times.len() as u32;
    let out = segment.open_write(SegmentComponent::FastFields)?;
    let mut file = ColumnFile::new(out, documents)?;
    let mut docs = Docs::default();
    for (name, kind, source) in sources {
        docs.clear();
        match source {
            Source::Values(column) => {
                columns.mapped(column).for_each(|(doc, _)| docs.push(doc));
                let values = columns.mapped(column).map(|(_, value)| value);
                if kind == ColumnType::Str {
                    let mut texts = file.texts()?;
                    columns.values(column).try_for_each(|text| texts.push(text))?;
                    let bytes = texts.finish()?;
                    let places: Vec<u32> = values.map(|place| place as u32).collect();
                    file.end_texts(&name, bytes, &docs, &places)?;
                } else {
                    file.numbers(&name, kind, &docs, &values.collect::<Vec<u64>>())?;
                }
            }
            Source::Ips => {
                facts.ips().for_each(|(doc, _)| docs.push(doc));
                let ips: Vec<Ipv6Addr> = facts.ips().map(|(_, ip)| ip).collect();
                file.addresses(&name, &docs, &ips)?;
            }
            Source::Overflow(overflow) => overflow.write(&mut file)?,
            Source::Facts(facts) => {
                docs.push_all(0..documents);
                file.numbers(&name, kind, &docs, facts)?;
            }
        }
    }
    file.finish()?.terminate()?;
    Ok(())
}

/// Writes the files that tantivy wants to be there: of lengths that nothing here has, and of empty
/// documents (see `records`).
fn write_the_rest(segment: &Segment, documents: u32) -> Result<(), IndexError> {
    FieldNormsSerializer::from_write(segment.open_write(SegmentComponent::FieldNorms)?)?.close()?;
    let settings = segment.index().settings();
    let out = segment.open_write(SegmentComponent::Store)?;
    let block_bytes = settings.docstore_blocksize;
    let mut store = StoreWriter::new(out, settings.docstore_compression, block_bytes, false)?;
    let (schema, empty) = (segment.schema(), TantivyDocument::default());
    for _ in 0..documents {
        store.store(&empty, &schema)?;
    }
    store.close()?;
    Ok(())
}
