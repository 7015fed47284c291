//! An event as tantivy's `Document`: its values are handed out borrowed, nothing is copied or
//! allocated, and no event can make it fail.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use tantivy::DateTime;
use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};

use super::ids::Key;
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
    /// Every leaf that is no column, as one flat object whose keys are whole paths.
    Rest(&'a Event),
}

impl fmt::Debug for EventValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Time(time) => time.fmt(f),
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
            .filter(|(id, text)| !id.column().is_unique || Key::of(text).is_none())
            .map(|(id, text)| (Fields::column(id), EventValue::Scalar(Scalar::Str(text))));
        let ip = event.ip.map(|ip| (fields.ip, EventValue::Ip(ip)));
        Box::new(columns.chain(ip).chain([
            (fields.rest, EventValue::Rest(event)),
            (fields.words, EventValue::Scalar(Scalar::Str(event.words()))),
            (fields.time, EventValue::Time(DateTime::from_timestamp_micros(event.time.0))),
            (fields.file, number(event.file)),
            (fields.offset, number(event.offset)),
            (fields.flags, number(event.flags.0)),
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
