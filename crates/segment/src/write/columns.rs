//! Writes the file of a segment's columns in tantivy's format (`tantivy-columnar`, version 2): the
//! columns one behind another, then the place of each by name and type.
//!
//! tantivy's own writer takes values one by one and looks each up in its column's dictionary; here the
//! values are numbers already. What a column's parts look like is left to tantivy's functions.

use std::io::{self, Write};
use std::net::Ipv6Addr;
use std::ops::Range;

use tantivy::DocId;
use tantivy::columnar::column_index::{
    SerializableColumnIndex, SerializableOptionalIndex, serialize_column_index,
};
use tantivy::columnar::column_values::{
    CodecType, serialize_column_values_u128, serialize_u64_based_column_values,
};
use tantivy::columnar::{Cardinality, ColumnType, MonotonicallyMappableToU64, Version};
use tantivy_sstable::value::{RangeValueWriter, VoidValueWriter};
use tantivy_sstable::{Dictionary, RangeSSTable, VoidSSTable, Writer};

/// Between a column's name and its type, in the list of columns.
const NAME_END: u8 = 0;
/// The layout that is written here, whatever tantivy's own writer has come to.
const VERSION: u32 = 2;
const _: () = assert!(VERSION == Version::V2 as u32, "tantivy reads this layout");
/// The last bytes of the file.
const MAGIC: [u8; 4] = [2, 113, 119, 66];

/// See the module's documentation.
pub(crate) struct ColumnFile<W> {
    out: W,
    written: u64,
    places: Writer<Vec<u8>, RangeValueWriter>,
    documents: u32,
    buffer: Vec<u8>,
}

impl<W: Write> ColumnFile<W> {
    pub(crate) fn new(out: W, documents: u32) -> io::Result<Self> {
        let places = Dictionary::<RangeSSTable>::builder(Vec::new())?;
        Ok(Self { out, written: 0, places, documents, buffer: Vec::new() })
    }

    /// Begins a column of texts, which [`Self::end_texts`] ends: its dictionary, which can be larger
    /// than memory should be. Columns come in the order of their names and types.
    pub(crate) fn texts(&mut self) -> io::Result<Texts<'_, W>> {
        let out = Counted { out: &mut self.out, bytes: 0 };
        Ok(Texts(Dictionary::<VoidSSTable>::builder(out)?))
    }

    /// Ends a column of texts whose dictionary has this many bytes: the place in it of each value of
    /// each document, in the order of documents.
    pub(crate) fn end_texts(
        &mut self,
        name: &str,
        dictionary_bytes: u64,
        docs: &Docs,
        places: &[u32],
    ) -> io::Result<()> {
        let bytes = u32::try_from(dictionary_bytes)
            .map_err(|_| io::Error::other("the values of a column fill 4 GiB"))?;
        self.values(docs, places)?;
        self.buffer.extend_from_slice(&bytes.to_le_bytes());
        self.end(name, ColumnType::Str, dictionary_bytes)
    }

    /// A column of numbers, times or booleans, as tantivy maps them to `u64`.
    pub(crate) fn numbers(
        &mut self,
        name: &str,
        kind: ColumnType,
        docs: &Docs,
        numbers: &[u64],
    ) -> io::Result<()> {
        self.values(docs, numbers)?;
        self.end(name, kind, 0)
    }

    pub(crate) fn addresses(
        &mut self,
        name: &str,
        docs: &Docs,
        values: &[Ipv6Addr],
    ) -> io::Result<()> {
        let index_bytes = docs.write(self.documents, &mut self.buffer)?;
        serialize_column_values_u128(&values, &mut self.buffer)?;
        self.buffer.extend_from_slice(&index_bytes.to_le_bytes());
        self.end(name, ColumnType::IpAddr, 0)
    }

    fn values<T: MonotonicallyMappableToU64>(
        &mut self,
        docs: &Docs,
        values: &[T],
    ) -> io::Result<()> {
        const CODECS: [CodecType; 2] = [CodecType::Bitpacked, CodecType::BlockwiseLinear];
        let index_bytes = docs.write(self.documents, &mut self.buffer)?;
        serialize_u64_based_column_values(&values, &CODECS, &mut self.buffer)?;
        self.buffer.extend_from_slice(&index_bytes.to_le_bytes());
        Ok(())
    }

    /// Ends a column, of which some bytes are in the file and the others in the buffer.
    fn end(&mut self, name: &str, kind: ColumnType, in_file: u64) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        let end = self.written + in_file + self.buffer.len() as u64;
        let range: Range<u64> = self.written..end;
        self.written = range.end;
        self.buffer.clear();
        self.places.insert([name.as_bytes(), &[NAME_END, kind.to_code()]].concat(), &range)
    }

    /// Ends the file, and hands its writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let places = self.places.finish()?;
        self.out.write_all(&places)?;
        self.out.write_all(&(places.len() as u64).to_le_bytes())?;
        self.out.write_all(&self.documents.to_le_bytes())?;
        self.out.write_all(&VERSION.to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        Ok(self.out)
    }
}

/// Counts the bytes that go through.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A dictionary of a column in the making.
pub(crate) struct Texts<'f, W: Write>(Writer<Counted<&'f mut W>, VoidValueWriter>);

impl<W: Write> Texts<'_, W> {
    /// Takes in the next text, in order.
    pub(crate) fn push(&mut self, text: &[u8]) -> io::Result<()> {
        self.0.insert(text, &())
    }

    /// Ends the dictionary, and says how many bytes it has.
    pub(crate) fn finish(self) -> io::Result<u64> {
        Ok(self.0.finish()?.bytes)
    }
}

/// Which document each value of a column is of.
#[derive(Default)]
pub(crate) struct Docs {
    /// The first documents have one value each, as far as that: most columns have no more to tell.
    full: DocId,
    /// The documents of the other values, in order.
    more: Vec<DocId>,
}

impl Docs {
    pub(crate) fn clear(&mut self) {
        self.full = 0;
        self.more.clear();
    }

    /// Takes in the document of the next value.
    pub(crate) fn push(&mut self, doc: DocId) {
        if self.more.is_empty() && doc == self.full {
            self.full += 1;
        } else {
            self.more.push(doc);
        }
    }

    /// Takes in documents with one value each.
    pub(crate) fn push_all(&mut self, docs: Range<DocId>) {
        if self.more.is_empty() && docs.start == self.full {
            self.full = docs.end;
        } else {
            self.more.extend(docs);
        }
    }

    /// Writes which documents have values, and returns how many bytes that took.
    fn write(&self, documents: u32, out: &mut Vec<u8>) -> io::Result<u32> {
        let start = out.len();
        if self.more.is_empty() && self.full == documents {
            serialize_column_index(SerializableColumnIndex::Full, out)?;
            return Ok((out.len() - start) as u32);
        }
        let values = || (0..self.full).chain(self.more.iter().copied());
        let mut with: Vec<DocId> = values().collect();
        with.dedup();
        let non_null_row_ids = Box::new(&with[..]);
        let optional = SerializableOptionalIndex { non_null_row_ids, num_rows: documents };
        serialize_column_index(SerializableColumnIndex::Optional(optional), out)?;
        if self.full as usize + self.more.len() > with.len() {
            // tantivy's own kind of this index cannot be made outside of it: the kind's number, the
            // documents as of an optional column, where the values of each begin, and the end.
            out[start] = Cardinality::Multivalued as u8;
            let docs_bytes = (out.len() - start - 1) as u32;
            let mut last = None;
            let starts = (0..).zip(values()).filter(|(_, doc)| last.replace(*doc) != Some(*doc));
            let mut starts: Vec<u32> = starts.map(|(start, _)| start).collect();
            starts.push(self.full + self.more.len() as u32);
            let codecs = [CodecType::Bitpacked, CodecType::Linear];
            serialize_u64_based_column_values(&&starts[..], &codecs, out)?;
            out.extend_from_slice(&docs_bytes.to_le_bytes());
        }
        Ok((out.len() - start) as u32)
    }
}

#[cfg(test)]
mod tests {
    use tantivy::columnar::{ColumnarReader, DynamicColumn};

    use super::*;

    #[test]
    fn a_file_states_the_layout_that_it_has_and_tantivy_reads_it() {
        let mut file = ColumnFile::new(Vec::new(), 2).unwrap();
        let mut docs = Docs::default();
        docs.push_all(0..2);
        file.numbers("number", ColumnType::U64, &docs, &[7, 9]).unwrap();
        let bytes = file.finish().unwrap();
        assert_eq!(bytes[bytes.len() - 8..], [2, 0, 0, 0, 2, 113, 119, 66]);
        let reader = ColumnarReader::open(bytes).unwrap();
        let column = reader.read_columns("number").unwrap()[0].open().unwrap();
        let DynamicColumn::U64(column) = column else { panic!("another type") };
        assert_eq!(column.values_for_doc(1).collect::<Vec<_>>(), [9]);
    }
}
