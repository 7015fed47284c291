//! An event as tantivy's `Document`: its values are handed out borrowed, nothing is copied or
//! allocated, and no event can make it fail.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use tantivy::DateTime;
use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};

use super::schema::Fields;
use crate::event::flat::{Event, Leaves, Scalar};

/// An event on its way into a segment. tantivy drops it once it is indexed, after which the parser
/// owns the event alone again.
pub struct EventDocument {
    pub event: Arc<Event>,
    pub fields: Arc<Fields>,
}

/// A value of an event.
#[derive(Clone, Copy)]
pub enum EventValue<'a> {
    Scalar(Scalar<'a>),
    Ip(Ipv6Addr),
    Time(DateTime),
    Bytes(&'a [u8]),
    /// Every leaf that is no column, as one flat object whose keys are whole paths.
    Rest(&'a Event),
}

impl fmt::Debug for EventValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Rest(_) => f.write_str("rest"),
        }
    }
}

impl Document for EventDocument {
    type Value<'a> = EventValue<'a>;
    type FieldsValuesIter<'a> = Box<dyn Iterator<Item = (Field, EventValue<'a>)> + 'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let event = &*self.event;
        let fields = &*self.fields;
        let number = |n| EventValue::Scalar(Scalar::U64(n));
        let columns = event
            .columns()
            .map(|(id, text)| (Fields::column(id), EventValue::Scalar(Scalar::Str(text))));
        let ip = event.ip.map(|ip| (fields.ip, EventValue::Ip(ip)));
        Box::new(columns.chain(ip).chain([
            (fields.rest, EventValue::Rest(event)),
            (fields.words, EventValue::Scalar(Scalar::Str(event.words()))),
            (fields.time, EventValue::Time(DateTime::from_timestamp_micros(event.time.0))),
            (fields.file, number(event.file)),
            (fields.offset, number(event.offset)),
            (fields.flags, number(event.flags.0)),
            (fields.raw, stored(&event.raw)),
        ]))
    }
}

impl<'a> Value<'a> for EventValue<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = RestIter<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        let leaf = match *self {
            Self::Scalar(Scalar::Str(text)) => ReferenceValueLeaf::Str(text),
            Self::Scalar(Scalar::I64(n)) => ReferenceValueLeaf::I64(n),
            Self::Scalar(Scalar::U64(n)) => ReferenceValueLeaf::U64(n),
            Self::Scalar(Scalar::F64(n)) => ReferenceValueLeaf::F64(n),
            Self::Scalar(Scalar::Bool(b)) => ReferenceValueLeaf::Bool(b),
            Self::Ip(ip) => ReferenceValueLeaf::IpAddr(ip),
            Self::Time(time) => ReferenceValueLeaf::Date(time),
            Self::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Self::Rest(event) => return ReferenceValue::Object(RestIter(event.leaves())),
        };
        ReferenceValue::Leaf(leaf)
    }
}

/// The leaves of an event as members of one flat object.
pub struct RestIter<'a>(Leaves<'a>);

impl<'a> Iterator for RestIter<'a> {
    type Item = (&'a str, EventValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(path, scalar)| (path, EventValue::Scalar(scalar)))
    }
}

/// A record as it is stored: as text where it is one, since tantivy writes bytes one at a time.
fn stored(record: &[u8]) -> EventValue<'_> {
    match std::str::from_utf8(record) {
        Ok(text) => EventValue::Scalar(Scalar::Str(text)),
        Err(_) => EventValue::Bytes(record),
    }
}

/// Where the record is in a stored document: tantivy's own reader copies it one byte at a time, which
/// takes longer than anything else of a search.
///
/// ```text
/// number of fields, 1 │ field, 4 bytes │ code of text, 0, or bytes, 4 │ length │ the record
/// ```
/// Number and length are written seven bits at a time, the lowest first; the last byte has its highest
/// bit set.
pub fn stored_record(document: &[u8]) -> Option<std::ops::Range<usize>> {
    const ONE_FIELD: u8 = 0x81;
    const TEXT: u8 = 0;
    const BYTES: u8 = 4;
    let [ONE_FIELD, _, _, _, _, TEXT | BYTES, rest @ ..] = document else { return None };
    let digits = 1 + rest.iter().position(|byte| byte & 0x80 != 0)?;
    let mut length = 0_usize;
    for byte in rest[..digits].iter().rev() {
        length = length.checked_mul(0x80)? + usize::from(byte & 0x7F);
    }
    let start = document.len() - rest.len() + digits;
    (document.len() - start == length).then_some(start..document.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_record_is_found_or_the_document_is_refused() {
        let of_kind = |code: u8, length: &[u8], record: &[u8]| {
            [&[0x81, 7, 0, 0, 0, code], length, record].concat()
        };
        let document = |length: &[u8], record: &[u8]| of_kind(4, length, record);
        assert_eq!(stored_record(&of_kind(0, &[0x82], b"{}")), Some(7..9));
        assert_eq!(stored_record(&of_kind(1, &[0x82], b"{}")), None);
        assert_eq!(stored_record(&document(&[0x82], b"{}")), Some(7..9));
        let long = vec![b'x'; 300];
        assert_eq!(stored_record(&document(&[0x2C, 0x82], &long)), Some(8..308));
        assert_eq!(stored_record(&document(&[0x80], b"")), Some(7..7));
        for wrong in [
            document(&[0x83], b"{}"),
            document(&[0x81], b"{}"),
            document(&[], b""),
            document(&[0x7F; 12], b"{}"),
            vec![0x82, 7, 0, 0, 0, 4, 0x80],
            Vec::new(),
        ] {
            assert_eq!(stored_record(&wrong), None, "{wrong:?}");
        }
    }
}
