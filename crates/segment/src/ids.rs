//! Ids that are UUIDs, in columns where nearly every event has its own value.
//!
//! As terms of an inverted index, UUIDs took a quarter of the index (records aside), and most of
//! the time of sorting and merging. So they are kept as numbers: the first 40 bits of the UUID, and
//! the document. The record holds the rest. Among ten million UUIDs, a hundred share their first 40
//! bits with another.
//!
//! ```text
//! magic │ number of ids of each column │ the ids of each column, sorted
//! ```
//! A value that is not a UUID in lower case is a term of its column, as in any other column.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use tantivy::DocId;
use tantivy::directory::OwnedBytes;

use super::{IndexError, partition_point, u64_at};
use trail::columns::ColumnId;

const MAGIC: [u8; 8] = *b"tdxids1\n";

/// More documents than any segment has.
pub(crate) const DOC_BITS: u32 = 24;
const DIGITS: usize = 10;
const UUID_BYTES: usize = 36;
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// The characters of a UUID in lower case.
pub const UUID_ALPHABET: &str = "0123456789abcdef-";

/// The first 40 bits of a UUID, which are its first ten digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UuidKey(u64);

/// A document and the key of one of its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The document's number in its segment.
    pub doc: DocId,
    /// The first 40 bits of the UUID.
    pub key: UuidKey,
}

impl Id {
    fn bits(self) -> u64 {
        self.key.0 << DOC_BITS | u64::from(self.doc)
    }

    fn of_bits(bits: u64) -> Self {
        Self { key: UuidKey(bits >> DOC_BITS), doc: (bits & ((1 << DOC_BITS) - 1)) as DocId }
    }
}

impl UuidKey {
    /// Returns the key of a UUID; None where the text is not a UUID in lower case.
    pub fn of(text: &str) -> Option<Self> {
        (text.len() == UUID_BYTES).then(|| Self::begun_by(text).map(|keys| *keys.start()))?
    }

    /// Returns the keys of the UUIDs with a prefix; None where no UUID can have it.
    pub fn begun_by(prefix: &str) -> Option<RangeInclusive<Self>> {
        let (mut key, mut digits) = (0, 0);
        for (at, byte) in prefix.bytes().enumerate() {
            let digit = match byte {
                b'-' if DASHES.contains(&at) => continue,
                _ if DASHES.contains(&at) || at >= UUID_BYTES => return None,
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            if digits < DIGITS {
                key = key << 4 | u64::from(digit);
                digits += 1;
            }
        }
        let open = 4 * (DIGITS - digits) as u32;
        let first = key << open;
        Some(Self(first)..=Self(first | ((1 << open) - 1)))
    }

    /// Finds the UUID with this key in a record's bytes; None where only parsing the record can
    /// decide which it is.
    pub fn uuid_in(self, record: &[u8]) -> Option<&str> {
        let digits = format!("{:010x}", self.0);
        let start = format!("\"{}-{}", &digits[..8], &digits[8..]);
        // An escape may hide the digits of one while another is found.
        if memchr::memmem::find(record, b"\\u").is_some() {
            return None;
        }
        let mut found = None;
        for at in memchr::memmem::find_iter(record, &start) {
            let text = record.get(at + 1..at + 1 + UUID_BYTES)?;
            let text = std::str::from_utf8(text).ok()?;
            let is_whole = record.get(at + 1 + UUID_BYTES) == Some(&b'"');
            if !is_whole || Self::of(text).is_none() || found.is_some_and(|other| other != text) {
                return None;
            }
            found = Some(text);
        }
        found
    }
}

/// Columns that have their ids here, by their places in the file.
fn columns() -> impl Iterator<Item = ColumnId> {
    ColumnId::all().filter(|id| id.column().is_unique)
}

/// The ids of a segment in the making.
#[derive(Default)]
pub(crate) struct Ids(Vec<Vec<u64>>);

impl Ids {
    /// Takes a value of a column, if it is an id that belongs here.
    pub(crate) fn push(&mut self, column: ColumnId, text: &str, doc: DocId) {
        if let Some(place) = columns().position(|id| id == column)
            && let Some(key) = UuidKey::of(text)
        {
            self.add(place, Id { doc, key });
        }
    }

    fn add(&mut self, place: usize, id: Id) {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, Vec::new);
        }
        self.0[place].push(id.bits());
    }

    /// Bytes of memory that they take.
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().map(|ids| ids.capacity() * size_of::<u64>()).sum()
    }

    /// Gives the documents new numbers.
    pub(crate) fn renumber(&mut self, number: impl Fn(DocId) -> DocId) {
        for bits in self.0.iter_mut().flatten() {
            let id = Id::of_bits(*bits);
            *bits = Id { doc: number(id.doc), ..id }.bits();
        }
    }

    pub(crate) fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        self.0.resize_with(columns().count(), Vec::new);
        out.write_all(&MAGIC)?;
        for ids in &self.0 {
            out.write_all(&(ids.len() as u64).to_le_bytes())?;
        }
        for mut ids in self.0 {
            // Those of merged segments are sorted runs, which it merges.
            #[expect(clippy::stable_sort_primitive)]
            ids.sort();
            for bits in ids {
                out.write_all(&bits.to_le_bytes())?;
            }
        }
        Ok(())
    }
}

/// An open file of ids.
pub struct IdFile {
    file: OwnedBytes,
    /// Where each column's ids start, and how many they are.
    columns: Vec<(usize, usize)>,
}

impl IdFile {
    /// Opens a mapped file.
    pub(crate) fn open(path: &Path, file: OwnedBytes) -> Result<Self, IndexError> {
        let broken = || IndexError::damaged(path, "it is not what it states");
        if !file.starts_with(&MAGIC) {
            return Err(IndexError::damaged(path, "it does not begin as a file of ids does"));
        }
        let counts = MAGIC.len();
        let mut start = counts + 8 * columns().count();
        if file.len() < start {
            return Err(broken());
        }
        let mut places = Vec::new();
        for n in 0..columns().count() {
            let count = usize::try_from(u64_at(&file, counts + 8 * n)).map_err(|_| broken())?;
            places.push((start, count));
            let bytes = count.checked_mul(8).ok_or_else(broken)?;
            start = start.checked_add(bytes).ok_or_else(broken)?;
        }
        if file.len() != start {
            return Err(broken());
        }
        Ok(Self { file, columns: places })
    }

    /// Returns the ids of a column whose keys are in a range, in the order of the keys.
    pub fn find(&self, column: ColumnId, keys: &RangeInclusive<UuidKey>) -> Vec<Id> {
        let Some(place) = columns().position(|id| id == column) else { return Vec::new() };
        let (_, count) = self.columns[place];
        let first = partition_point(0..count, |n| self.id(place, n).key < *keys.start());
        let rest = (first..count).map(|n| self.id(place, n));
        rest.take_while(|id| id.key <= *keys.end()).collect()
    }

    /// The documents with an id in a column, repeated for each id.
    pub(crate) fn docs(&self, column: ColumnId) -> impl Iterator<Item = DocId> {
        let place = columns().position(|id| id == column);
        let ids = place.map(|place| (0..self.columns[place].1).map(move |n| self.id(place, n).doc));
        ids.into_iter().flatten()
    }

    fn id(&self, place: usize, n: usize) -> Id {
        Id::of_bits(u64_at(&self.file, self.columns[place].0 + 8 * n))
    }

    /// Adds all ids to those of a new segment. `number` gives each document its new number, or None
    /// to leave it out.
    pub(crate) fn add_to(&self, ids: &mut Ids, number: impl Fn(DocId) -> Option<DocId>) {
        for (place, (_, count)) in self.columns.iter().enumerate() {
            for id in (0..*count).map(|n| self.id(place, n)) {
                if let Some(doc) = number(id.doc) {
                    ids.add(place, Id { doc, ..id });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use trail::columns::{EVENT_ID, EVENT_NAME, REQUEST_ID};

    const UUID: &str = "1f4a23bc-0d9e-4f00-8123-456789abcdef";

    fn opened(ids: Ids) -> IdFile {
        let mut bytes = Vec::new();
        ids.write(&mut bytes).unwrap();
        IdFile::open(Path::new("x.ids"), OwnedBytes::new(bytes)).unwrap()
    }

    fn docs(file: &IdFile, column: ColumnId, prefix: &str) -> Vec<DocId> {
        let keys = UuidKey::begun_by(prefix).unwrap();
        let mut docs: Vec<DocId> = file.find(column, &keys).iter().map(|id| id.doc).collect();
        docs.sort_unstable();
        docs
    }

    #[test]
    fn a_key_is_of_a_uuid_in_lower_case() {
        assert_eq!(UuidKey::of(UUID), Some(UuidKey(0x1f_4a23_bc0d)));
        for other in [
            "",
            "1f4a23bc",
            "1F4A23BC-0D9E-4F00-8123-456789ABCDEF",
            "1f4a23bc00d9e-4f00-8123-456789abcdef",
            "1f4a23bc-0d9e-4f00-8123-456789abcdeg",
            "1f4a23bc-0d9e-4f00-8123-456789abcdef0",
            "-f4a23bc-0d9e-4f00-8123-456789abcdef",
        ] {
            assert_eq!(UuidKey::of(other), None, "{other}");
        }
    }

    #[test]
    fn prefixes_stand_for_keys() {
        let check = |prefix: &str, first: u64, last: u64| {
            assert_eq!(UuidKey::begun_by(prefix), Some(UuidKey(first)..=UuidKey(last)), "{prefix}");
        };
        check("", 0, 0xff_ffff_ffff);
        check("1f4", 0x1f_4000_0000, 0x1f_4fff_ffff);
        check("1f4a23bc-0d", 0x1f_4a23_bc0d, 0x1f_4a23_bc0d);
        check("1f4a23bc-", 0x1f_4a23_bc00, 0x1f_4a23_bcff);
        check(UUID, 0x1f_4a23_bc0d, 0x1f_4a23_bc0d);
        for none in ["g", "1F", "1f4a23bc0", "1f-", &format!("{UUID}0")] {
            assert_eq!(UuidKey::begun_by(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_found(
            uuids in prop::collection::vec("[0-1]{3}00000-00[0-1]{2}-0000-0000-000000000000", 1..60),
        ) {
            let mut parts = [Ids::default(), Ids::default()];
            for (doc, uuid) in (0..).zip(&uuids) {
                for part in &mut parts {
                    part.push(REQUEST_ID, uuid, doc);
                }
            }
            let count = uuids.len() as DocId;
            let parts = parts.map(|mut part| {
                part.renumber(|doc| count - 1 - doc);
                opened(part)
            });
            let mut merged = Ids::default();
            parts[0].add_to(&mut merged, Some);
            parts[1].add_to(&mut merged, |doc| Some(count + doc));
            let merged = opened(merged);
            for prefix in uuids.iter().flat_map(|uuid| [&uuid[..2], &uuid[..9], uuid]) {
                let begins = |doc: &DocId| {
                    let key = &prefix[..prefix.len().min(11)];
                    uuids[(count - 1 - doc % count) as usize].starts_with(key)
                };
                let expected: Vec<DocId> = (0..2 * count).filter(begins).collect();
                prop_assert_eq!(docs(&merged, REQUEST_ID, prefix), expected);
                prop_assert!(docs(&merged, EVENT_ID, prefix).is_empty());
            }
        }
    }

    #[test]
    fn only_columns_of_unique_values_have_ids_here() {
        let mut ids = Ids::default();
        ids.push(EVENT_NAME, UUID, 0);
        ids.push(EVENT_ID, "not a UUID", 1);
        ids.push(EVENT_ID, UUID, 2);
        let file = opened(ids);
        assert_eq!(docs(&file, EVENT_ID, UUID), [2]);
        assert!(docs(&file, EVENT_NAME, UUID).is_empty());
        assert_eq!(docs(&file, EVENT_ID, "").len(), 1);
    }

    #[test]
    fn the_record_tells_the_uuid_unless_that_takes_parsing() {
        let key = UuidKey::of(UUID).unwrap();
        let in_record = |text: &str| key.uuid_in(text.as_bytes()).map(str::to_owned);
        let other = UUID.replace("4f00", "4f01");
        assert_eq!(
            in_record(&format!(r#"{{"eventID":"{UUID}","x":"{UUID}"}}"#)),
            Some(UUID.into())
        );
        for unclear in [
            format!(r#"{{"eventID":"{UUID}","x":"{other}"}}"#),
            format!(
                r#"{{"x":"{other}","eventID":"{}"}}"#,
                UUID.replace("4f00", "4f\\u0030\\u0030")
            ),
            format!(r#"{{"eventID":"{UUID} "}}"#),
            "{}".to_owned(),
            UUID[..20].to_owned(),
        ] {
            assert_eq!(in_record(&unclear), None, "{unclear}");
        }
    }

    #[test]
    fn a_file_of_another_length_or_kind_is_refused() {
        let mut ids = Ids::default();
        ids.push(EVENT_ID, UUID, 0);
        let mut bytes = Vec::new();
        ids.write(&mut bytes).unwrap();
        let check = |bytes: &[u8], expected: &str| {
            let file = OwnedBytes::new(bytes.to_vec());
            let error = IdFile::open(Path::new("x.ids"), file).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&bytes[..12], "not what it states");
        check(&bytes[..bytes.len() - 1], "not what it states");
        check(&[&bytes[..], &[0]].concat(), "not what it states");
        bytes[8..16].fill(0xFF);
        check(&bytes, "not what it states");
        bytes[0] = b'x';
        check(&bytes, "does not begin as");
    }
}
