//! One record, flattened into what the index holds: columns, the scalars of every other field, and
//! the words of each value.
//!
//! A parser builds an [`Event`] scalar by scalar, finishes it, lets the index read it, and reuses
//! it for the next record, so that a worker allocates nothing in the steady state. No record makes
//! it fail. All text lives in one arena; leaves are spans of it.

mod derive;

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::net::{IpAddr, Ipv6Addr};

use self::derive::Noted;
use super::columns;
use crate::columns::{ColumnId, Words};
use crate::content::{ContentHash, EventKey};
use crate::flags::Flags;
use crate::limits::{EXACT_BYTES_MAX, KEY_BYTES_MAX, WORD_BYTES_MAX};
use crate::paths::{Generation, Meaning, PathId, Paths, SEPARATOR};
use crate::time::Micros;
use crate::twice::Keys;
use crate::words::{each_word, shorten};

/// A scalar of a record, as parsed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A text, without quotes and escapes.
    Str(&'a str),
    /// A whole number that fits into 64 bits with a sign.
    I64(i64),
    /// A whole number above `i64::MAX`.
    U64(u64),
    /// Any other number, and as it is written.
    F64(f64, &'a str),
    /// `true` or `false`.
    Bool(bool),
}

impl Scalar<'_> {
    /// The text as it stands in the record.
    pub fn written(&self) -> Cow<'_, str> {
        match self {
            Self::Str(text) | Self::F64(_, text) => Cow::Borrowed(text),
            Self::I64(n) => n.to_string().into(),
            Self::U64(n) => n.to_string().into(),
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
        }
    }
}

/// A piece of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

#[derive(Clone, Copy, Debug)]
enum Leaf {
    Str(Span),
    I64(i64),
    U64(u64),
    F64(f64, Span),
    Bool(bool),
}

/// One record, ready to be indexed.
#[derive(Debug, Default)]
pub struct Event {
    paths: Paths,
    arena: String,
    columns: Vec<(ColumnId, Span)>,
    /// Values of columns at keys that come again in their object, until the event is finished.
    overridden: Vec<(ColumnId, Span)>,
    pub(crate) keys: Keys,
    leaves: Vec<(PathId, Leaf)>,
    noted: Noted,
    times: Times,
    /// The record's bytes as delivered, which a search returns.
    pub raw: Vec<u8>,
    /// Hash of the record's content; see [`crate::content`].
    pub content: ContentHash,
    /// When the event happened; settled by [`Event::finish`].
    pub time: Micros,
    /// The source address, with IPv4 mapped into IPv6; None if `sourceIPAddress` is not an address.
    pub ip: Option<Ipv6Addr>,
    /// Number of the record's file in the ledger.
    pub file: u64,
    /// Byte offset of the record in its file, uncompressed.
    pub offset: u64,
    /// What is odd about the record or its file.
    pub flags: Flags,
}

#[derive(Debug, Default)]
struct Times {
    event: Option<Micros>,
    timestamp: Option<Micros>,
    window_start: Option<Micros>,
}

impl Event {
    /// Empties the event for the next record, keeping its buffers and path table.
    pub(crate) fn clear(&mut self) {
        self.paths.trim();
        self.keys.clear();
        self.forget_values();
        self.raw.clear();
        self.content = ContentHash::default();
        self.flags = Flags::default();
    }

    /// Forgets the scalars.
    pub(crate) fn forget_values(&mut self) {
        self.arena.clear();
        self.columns.clear();
        self.overridden.clear();
        self.leaves.clear();
        self.noted.clear();
        self.times = Times::default();
        self.ip = None;
    }

    /// The path of `key` below `parent`, for [`Event::add`].
    pub fn path(&mut self, parent: PathId, key: &str) -> PathId {
        self.paths.child(parent, key)
    }

    /// Whether the paths that it has met take little memory.
    pub(crate) fn has_few_paths(&self) -> bool {
        self.paths.are_few()
    }

    /// Takes in a key of the object at a place of the record.
    pub(crate) fn meet(&mut self, object: usize, (parent, path): (PathId, PathId), key: &str) {
        let is_dotted = self.paths.is_dotted(path);
        self.keys.meet(object, (parent, path), key, is_dotted);
    }

    /// The path's text, its parts separated by [`crate::paths::SEPARATOR`].
    pub fn path_text(&self, path: PathId) -> &str {
        self.paths.text(path)
    }

    /// The path table that this event's leaves refer to.
    pub fn path_generation(&self) -> Generation {
        self.paths.generation()
    }

    /// Whether the leaves so far have any of the fields by which a CloudTrail record is known.
    pub(crate) fn looks_like_a_record(&self) -> bool {
        const KNOWN_BY: [ColumnId; 4] =
            [columns::EVENT_NAME, columns::EVENT_SOURCE, columns::EVENT_ID, columns::EVENT_VERSION];
        let has_column = |(column, _): &(ColumnId, Span)| {
            KNOWN_BY.contains(column) || column.column().path.starts_with("userIdentity.")
        };
        self.times.event.is_some() || self.columns.iter().chain(&self.overridden).any(has_column)
    }

    /// Why that which is not a record is none, and where in it one may be.
    pub(crate) fn why_no_record(&self) -> String {
        let has = |path: &str| self.leaves.iter().any(|(id, _)| self.paths.text(*id) == path);
        if has("class_uid") && has("category_uid") {
            return "an event in the form of OCSF, as Security Lake keeps it, and not a record of \
                    CloudTrail"
                .to_owned();
        }
        match self.leaves().find_map(|(id, leaf)| self.held_at(id, leaf)) {
            Some(key) => format!("not a CloudTrail record; what its key '{key}' holds may be one"),
            None => "not a CloudTrail record: it has none of eventName, eventSource, eventID, \
                     eventTime, eventVersion and userIdentity"
                .to_owned(),
        }
    }

    /// The key that holds a record of which this is a field, or which is this text.
    fn held_at(&self, id: PathId, leaf: Scalar<'_>) -> Option<String> {
        let path = self.paths.text(id);
        let is_of_record = |key: &str| {
            matches!(key, "eventName" | "eventSource" | "eventID" | "eventVersion" | "userIdentity")
        };
        let key = match (path.rsplit_once(SEPARATOR), leaf) {
            (Some((parents, key)), _) if is_of_record(key) => parents,
            (_, Scalar::Str(text))
                if ["eventVersion", "eventName"].iter().any(|name| text.contains(name))
                    // What gzip begins with, in Base64.
                    || text.starts_with("H4sI") =>
            {
                path
            }
            _ => return None,
        };
        Some(shorten(&mut key.replace(SEPARATOR, "."), KEY_BYTES_MAX).to_owned())
    }

    /// Adds a scalar below a key that comes again in its object: it can be searched, and nothing is derived
    /// from it.
    pub(crate) fn add_overridden(&mut self, path: PathId, scalar: Scalar<'_>) {
        match self.paths.meaning(path) {
            Meaning::Column(column) => {
                let span = self.push_scalar(scalar);
                self.overridden.push((column, span));
            }
            _ => self.add_leaf(path, scalar),
        }
    }

    /// Adds one scalar of the record.
    pub fn add(&mut self, path: PathId, scalar: Scalar<'_>) {
        match (self.paths.meaning(path), scalar) {
            (Meaning::Column(column), _) => self.add_column(column, scalar),
            (Meaning::EventTime, _) if self.times.event.is_none() => match time_of(scalar) {
                Some(time) => self.times.event = Some(time),
                None => self.add_leaf(path, scalar),
            },
            (Meaning::Timestamp, Scalar::Str(text)) => {
                self.times.timestamp = Micros::parse_event_time(text);
                self.add_leaf(path, scalar);
            }
            (Meaning::WindowStart, Scalar::Str(text)) => {
                self.times.window_start = Micros::parse_event_time(text);
                self.add_leaf(path, scalar);
            }
            (Meaning::Noted(note), _) => {
                self.add_leaf(path, scalar);
                self.note(note, path, scalar);
            }
            _ => self.add_leaf(path, scalar),
        }
    }

    fn push_scalar(&mut self, scalar: Scalar<'_>) -> Span {
        match scalar {
            Scalar::Str(text) => self.push_exact(text),
            Scalar::I64(n) => push_display(&mut self.arena, n),
            Scalar::U64(n) => push_display(&mut self.arena, n),
            Scalar::F64(n, _) => push_display(&mut self.arena, n),
            Scalar::Bool(b) => push_display(&mut self.arena, b),
        }
    }

    fn add_column(&mut self, column: ColumnId, scalar: Scalar<'_>) {
        let span = self.push_scalar(scalar);
        if column == columns::SOURCE_IP && self.ip.is_none() {
            self.ip = parse_ip(text(&self.arena, span));
        }
        self.columns.push((column, span));
    }

    fn add_leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        let leaf = match scalar {
            Scalar::Str(text) => Leaf::Str(push(&mut self.arena, text)),
            Scalar::I64(n) => Leaf::I64(n),
            Scalar::U64(n) => Leaf::U64(n),
            Scalar::F64(n, written) => Leaf::F64(n, push(&mut self.arena, written)),
            Scalar::Bool(b) => Leaf::Bool(b),
        };
        self.leaves.push((path, leaf));
    }

    fn push_exact(&mut self, text: &str) -> Span {
        if text.len() <= EXACT_BYTES_MAX {
            return push(&mut self.arena, text);
        }
        push(&mut self.arena, shorten(&mut text.to_owned(), EXACT_BYTES_MAX))
    }

    /// Settles the time, and derives what is derived; call it after the last scalar.
    /// `file_time` is the time of an event whose record states none.
    pub fn finish(&mut self, file_time: Micros) {
        let times = &self.times;
        let (time, flags) = match (times.event, times.timestamp, times.window_start) {
            (Some(time), _, _) => (time, Flags::default()),
            (None, Some(time), _) => (time, Flags::TIME_FROM_TIMESTAMP),
            (None, None, Some(time)) => (time, Flags::TIME_FROM_WINDOW),
            (None, None, None) => (file_time, Flags::TIME_FROM_FILE),
        };
        self.time = time;
        self.flags |= flags;
        self.derive();
        if self.column(columns::EVENT_SOURCE) == "aws:s3" {
            self.flags |= Flags::S3_NOTIFICATION;
        }
        self.columns.append(&mut self.overridden);
        self.columns.sort_by_key(|(column, _)| *column);
    }

    /// The key that makes the event unique.
    pub fn key(&self) -> EventKey {
        let (account, id) =
            (self.column(columns::RECIPIENT_ACCOUNT), self.column(columns::EVENT_ID));
        EventKey::new(account, id, self.content)
    }

    /// The first value of a column; empty if it has none.
    pub fn column(&self, id: ColumnId) -> &str {
        self.columns
            .iter()
            .find(|(column, _)| *column == id)
            .map_or("", |(_, span)| text(&self.arena, *span))
    }

    /// Every column's values, in the order of the schema.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (ColumnId, &str)> {
        self.columns.iter().map(|(column, span)| (*column, text(&self.arena, *span)))
    }

    /// Every scalar that is in no column, with its path.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = (PathId, Scalar<'_>)> {
        self.leaves.iter().map(|(path, leaf)| {
            let scalar = match *leaf {
                Leaf::Str(span) => Scalar::Str(text(&self.arena, span)),
                Leaf::I64(n) => Scalar::I64(n),
                Leaf::U64(n) => Scalar::U64(n),
                Leaf::F64(n, written) => Scalar::F64(n, text(&self.arena, written)),
                Leaf::Bool(b) => Scalar::Bool(b),
            };
            (*path, scalar)
        })
    }
}

/// Calls `sink` with each word by which a search without a field finds a leaf. `buffer` is scratch
/// space.
pub fn each_leaf_word(leaf: Scalar<'_>, buffer: &mut String, mut sink: impl FnMut(&str)) {
    let mut number = |n: &dyn Display| {
        buffer.clear();
        write!(buffer, "{n}").expect("writing to a String cannot fail");
        // A minus sign is a joiner at the beginning: no part of the word.
        if buffer.starts_with('-') {
            buffer.remove(0);
        }
        sink(shorten(buffer, WORD_BYTES_MAX));
    };
    match leaf {
        Scalar::Str(text) => each_word(text, buffer, sink),
        Scalar::I64(n) => number(&n),
        Scalar::U64(n) => number(&n),
        Scalar::F64(_, written) => each_word(written, buffer, sink),
        Scalar::Bool(b) => sink(if b { "true" } else { "false" }),
    }
}

/// Calls `sink` with each word of a column's value that the words field must hold, because a search
/// cannot find it in the column itself.
pub fn each_column_word(
    column: ColumnId,
    value: &str,
    buffer: &mut String,
    sink: impl FnMut(&str),
) {
    if column.column().words == Words::Whole && !is_found_whole(value) {
        each_word(value, buffer, sink);
    }
}

/// The time that an `eventTime` states.
fn time_of(scalar: Scalar<'_>) -> Option<Micros> {
    match scalar {
        Scalar::Str(text) => Micros::parse_record_time(text),
        Scalar::I64(n) => Micros::of_whole(n),
        Scalar::U64(n) => Micros::of_whole(i64::try_from(n).ok()?),
        Scalar::F64(n, _) => Micros::of_number(n),
        Scalar::Bool(_) => None,
    }
}

fn text(arena: &str, span: Span) -> &str {
    &arena[span.start as usize..span.end as usize]
}

fn push(arena: &mut String, value: &str) -> Span {
    let start = arena.len() as u32;
    arena.push_str(value);
    Span { start, end: arena.len() as u32 }
}

fn push_display(arena: &mut String, value: impl Display) -> Span {
    let start = arena.len() as u32;
    write!(arena, "{value}").expect("writing to a String cannot fail");
    Span { start, end: arena.len() as u32 }
}

/// Parses an address, and maps IPv4 into IPv6 as the index keeps it; None if the text is no
/// address.
pub fn parse_ip(text: &str) -> Option<Ipv6Addr> {
    match text.parse().ok()? {
        IpAddr::V4(address) => Some(address.to_ipv6_mapped()),
        IpAddr::V6(address) => Some(address),
    }
}

/// Whether a search for the value's one word finds it by looking up the word in lower or in upper
/// case: see [`Words::Whole`].
fn is_found_whole(value: &str) -> bool {
    let is_word = |is_letter: fn(u8) -> bool| {
        value.bytes().all(|b| is_letter(b) || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
    };
    let has_ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    value.len() <= WORD_BYTES_MAX
        && has_ends(value.as_bytes().first())
        && has_ends(value.as_bytes().last())
        && (is_word(|b| b.is_ascii_lowercase()) || is_word(|b| b.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(leaves: &[(&str, Scalar<'_>)]) -> Event {
        let mut event = Event::default();
        for (name, scalar) in leaves {
            let path = name.split('/').fold(PathId::ROOT, |parent, key| event.path(parent, key));
            event.add(path, *scalar);
        }
        event.finish(Micros(7));
        event
    }

    fn leaves(event: &Event) -> Vec<(&str, Scalar<'_>)> {
        event.leaves().map(|(path, leaf)| (event.path_text(path), leaf)).collect()
    }

    #[test]
    fn a_column_is_kept_out_of_leaves() {
        let event =
            event(&[("eventName", Scalar::Str("GetObject")), ("x", Scalar::Str("Two words"))]);
        assert_eq!(event.column(columns::EVENT_NAME), "GetObject");
        assert_eq!(leaves(&event), [("x", Scalar::Str("Two words"))]);
    }

    #[test]
    fn a_column_takes_any_scalar_as_text() {
        let event = event(&[
            ("readOnly", Scalar::Bool(true)),
            ("recipientAccountId", Scalar::I64(123_456_789_012)),
        ]);
        assert_eq!(event.column(columns::READ_ONLY), "true");
        assert_eq!(event.column(columns::RECIPIENT_ACCOUNT), "123456789012");
    }

    #[test]
    fn times_fall_back_in_order_and_say_so() {
        let time = |leaves: &[(&str, Scalar<'_>)]| {
            let event = event(leaves);
            (event.time.to_string(), event.flags.names().join(" "))
        };
        let stamp = ("@timestamp", Scalar::Str("2020-09-14T00:44:23.000Z"));
        let window = ("timeWindow/windowStart", Scalar::Str("2020-01-01T00:00:00Z"));
        let broken = ("eventTime", Scalar::Str("redacted"));
        let good = ("eventTime", Scalar::Str("2021-01-01T00:00:00Z"));
        assert_eq!(time(&[good, stamp]), ("2021-01-01T00:00:00Z".into(), String::new()));
        assert_eq!(time(&[broken, stamp, window]).1, "time-from-timestamp");
        assert_eq!(time(&[window]).1, "time-from-window");
        assert_eq!(
            time(&[broken]),
            ("1970-01-01T00:00:00.000007Z".into(), "time-from-file".into())
        );
    }

    #[test]
    fn an_unreadable_event_time_is_still_a_field() {
        let event = event(&[("eventTime", Scalar::Str("redacted"))]);
        assert_eq!(leaves(&event), [("eventTime", Scalar::Str("redacted"))]);
    }

    #[test]
    fn an_id_that_a_whole_lookup_would_miss_gives_its_words() {
        let words = |text| {
            let mut words = Vec::new();
            each_column_word(columns::REQUEST_ID, text, &mut String::new(), |word| {
                words.push(word.to_owned());
            });
            words.join(" ")
        };
        assert_eq!(words("A1B2C3D4"), "");
        assert_eq!(words("0ab-1"), "");
        assert_eq!(words("aB3"), "ab3");
        assert_eq!(words("ab/cd="), "ab cd");
        assert_eq!(words("ab-"), "ab");
    }

    #[test]
    fn numbers_and_truth_values_are_words_as_they_are_written() {
        let word = |leaf| {
            let mut words = Vec::new();
            each_leaf_word(leaf, &mut String::new(), |word| words.push(word.to_owned()));
            words.join(" ")
        };
        assert_eq!(word(Scalar::I64(-5)), "5");
        assert_eq!(word(Scalar::U64(u64::MAX)), "18446744073709551615");
        assert_eq!(word(Scalar::F64(0.5, "0.50")), "0.50");
        assert_eq!(word(Scalar::F64(-1e5, "-1E+5")), "1e 5");
        assert_eq!(word(Scalar::Bool(true)), "true");
        assert_eq!(word(Scalar::Str("x Y")), "x y");
    }

    #[test]
    fn addresses_are_typed_where_they_parse() {
        let ip =
            |text| event(&[("sourceIPAddress", Scalar::Str(text))]).ip.map(|ip| ip.to_string());
        assert_eq!(ip("192.0.2.1").as_deref(), Some("::ffff:192.0.2.1"));
        assert_eq!(ip("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(ip("AWS Internal"), None);
        assert_eq!(ip("555.1.1.1"), None);
    }

    #[test]
    fn a_reused_event_remembers_nothing() {
        let mut event = event(&[("eventName", Scalar::Str("A")), ("x", Scalar::Str("y"))]);
        event.clear();
        event.finish(Micros(0));
        assert_eq!(event.leaves().count(), 0);
        assert_eq!(event.columns().collect::<Vec<_>>(), [(columns::CREDENTIAL, "unknown")]);
    }
}
