//! What an object is by its keys: a record, an envelope or wrapper of records, or neither.
//!
//! A record is known by keys of its own, and then is one whatever else it has. An envelope is AWS's, a
//! wrapper another tool's. What holds the records stands at one of the paths listed here.

use std::borrow::Cow;

use super::Context;
use super::scan::{skip_space, skip_string, skip_value};
use crate::flags::Flags;

/// What makes an object a record, wherever it stands. SQS and SNS name themselves in `eventSource`, as
/// `aws:sqs`; their messages are wrappers.
const RECORD_KEYS: [&[u8]; 7] = [
    b"eventName",
    b"eventID",
    b"eventId",
    b"eventVersion",
    b"userIdentity",
    b"eventSource",
    b"eventTime",
];

/// Lists of records or of envelopes: those of trails, `lookup-events`, CloudWatch Logs, SQS's
/// `receive-message`, and Elasticsearch's hits.
const LISTS: [(&[u8], Context); 6] = [
    (b"Records", Context::Records),
    (b"Events", Context::List),
    (b"logEvents", Context::LogEvents),
    (b"events", Context::LogEvents),
    (b"Messages", Context::List),
    (b"hits", Context::List),
];

/// What stands beside such a list: no record, and lists or objects all the same.
const PACKING: [&[u8]; 14] = [
    b"NextToken",
    b"nextToken",
    b"nextForwardToken",
    b"nextBackwardToken",
    b"searchedLogStreams",
    b"subscriptionFilters",
    b"ResponseMetadata",
    b"_shards",
    b"aggregations",
    b"total",
    b"messageType",
    b"owner",
    b"logGroup",
    b"logStream",
];

/// Where other tools put a record, as an object or as a text.
const WRAPPERS: [(&[&[u8]], Flags); 12] = [
    (&[b"_source"], Flags::IN_SOURCE),
    (&[b"result", b"_raw"], Flags::IN_RAW),
    (&[b"_raw"], Flags::IN_RAW),
    (&[b"event", b"original"], Flags::IN_ORIGINAL),
    (&[b"event.original"], Flags::IN_ORIGINAL),
    (&[b"message"], Flags::IN_MESSAGE),
    (&[b"aws"], Flags::IN_AWS),
    (&[b"data", b"aws"], Flags::IN_AWS),
    (&[b"Message"], Flags::IN_SNS),
    (&[b"Sns", b"Message"], Flags::IN_SNS),
    (&[b"body"], Flags::IN_BODY),
    (&[b"Body"], Flags::IN_BODY),
];

/// A member of an object that may hold records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    /// Where its value begins.
    pub(super) at: usize,
    pub(super) way: Way,
}

/// How a member holds records.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    List(Context),
    /// An object, and the wrapper that it is; none for an envelope of AWS's.
    Object(Flags),
    /// A text, likewise.
    Text(Flags),
    /// An object or list beside a list of records, which nobody reads.
    Beside,
}

/// Where an object stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) context: Context,
    /// Whether envelopes in it may be opened.
    pub(super) can_nest: bool,
    /// Whether it is in a wrapper, where no other is opened.
    pub(super) is_in_wrapper: bool,
}

/// What the members of an object say so far.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is another finding")]
pub(super) struct Members {
    is_record: bool,
    pub(super) doors: Vec<Door>,
    /// Whether a list of records was taken already, because it came first in a file; and whether it gave
    /// any.
    pub(super) is_walked: bool,
    pub(super) has_given: bool,
    /// Whether it has members beside what holds the records.
    pub(super) has_others: bool,
}

impl Members {
    /// Whether it holds records of others.
    pub(super) fn is_envelope(&self) -> bool {
        let is_way = |door: &Door| !matches!(door.way, Way::Beside);
        self.has_given || !self.is_record && (self.is_walked || self.doors.iter().any(is_way))
    }

    /// Whether it is a record of which a list was taken for records.
    pub(super) fn is_mistaken(&self) -> bool {
        self.is_record && self.has_given
    }

    /// Whether what it holds is a list.
    pub(super) fn has_list(&self) -> bool {
        self.is_walked || self.doors.iter().any(|door| matches!(door.way, Way::List(_)))
    }

    /// Whether the member at `at`, which has no end, is an object or list that is opened.
    pub(super) fn ends_open(&self, at: usize) -> bool {
        let is_open = |door: &Door| matches!(door.way, Way::List(_) | Way::Object(_));
        self.doors.last().is_some_and(|door| door.at >= at && is_open(door))
    }

    /// Whether the last that it holds is a text, which ends where it ends.
    pub(super) fn ends_in_text(&self) -> bool {
        self.doors.last().is_some_and(|door| matches!(door.way, Way::Text(_)))
    }

    /// Takes in the member with this key whose value begins at `at`.
    pub(super) fn add(&mut self, bytes: &[u8], key: &[u8], at: usize, place: Place) {
        if self.is_record {
            return;
        }
        let key = &*plain(key);
        self.is_record |= is_of_record(bytes, key, at);
        match way(bytes, key, at, place) {
            Some(door) => self.doors.push(door),
            None if PACKING.contains(&key) => {}
            None => {
                self.has_others = true;
                if matches!(bytes.get(at), Some(b'{' | b'[')) {
                    self.doors.push(Door { at, way: Way::Beside });
                }
            }
        }
    }
}

/// Whether a member makes its object a record.
fn is_of_record(bytes: &[u8], key: &[u8], at: usize) -> bool {
    RECORD_KEYS.contains(&key) && !(key == b"eventSource" && is_service(bytes, at))
}

/// The list of records that a member is.
pub(super) fn list(key: &[u8]) -> Option<Context> {
    let key = plain(key);
    LISTS.iter().find(|(name, _)| *name == &*key).map(|(_, context)| *context)
}

/// Whether a key is this one, however it is escaped.
pub(super) fn is(key: &[u8], name: &[u8]) -> bool {
    &*plain(key) == name
}

fn way(bytes: &[u8], key: &[u8], at: usize, place: Place) -> Option<Door> {
    let Place { context, can_nest, is_in_wrapper } = place;
    let door = |way| Some(Door { at, way });
    match (key, bytes.get(at)?) {
        (_, b'[') if can_nest => door(Way::List(list(key)?)),
        (b"detail" | b"hits", b'{') if can_nest => door(Way::Object(Flags::default())),
        (b"CloudTrailEvent", b'"') => door(Way::Text(Flags::default())),
        (b"message", b'"') if context == Context::LogEvents => door(Way::Text(Flags::default())),
        (_, b'{' | b'"') if can_nest && !is_in_wrapper => {
            WRAPPERS.iter().find_map(|(path, flag)| wrapped(bytes, key, at, path, *flag))
        }
        _ => None,
    }
}

/// What a wrapper holds at `path`, of which `key` is the first part.
fn wrapped(bytes: &[u8], key: &[u8], at: usize, path: &[&[u8]], flag: Flags) -> Option<Door> {
    let (first, rest) = path.split_first()?;
    if *first != key {
        return None;
    }
    let at = match rest {
        [] => at,
        [name, ..] => member(bytes, at, name)?,
    };
    match bytes.get(at)? {
        b'{' => Some(Door { at, way: Way::Object(flag) }),
        b'"' if is_json_text(bytes, at) => Some(Door { at, way: Way::Text(flag) }),
        _ => None,
    }
}

/// Whether the text at `at` seems to be JSON itself, however its first characters are escaped.
fn is_json_text(bytes: &[u8], at: usize) -> bool {
    let mut at = at + 1;
    loop {
        let (first, length) = match bytes.get(at..).unwrap_or_default() {
            [b'\\', b'n' | b't' | b'r', ..] => (b' ', 2),
            [b'\\', b'u', b'0', b'0', high, low, ..] => match hex([*high, *low]) {
                Some(unit) => (unit, 6),
                None => return false,
            },
            [first, ..] => (*first, 1),
            [] => return false,
        };
        match first {
            b'{' | b'[' => return true,
            first if first.is_ascii_whitespace() => at += length,
            _ => return false,
        }
    }
}

fn hex(digits: [u8; 2]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
}

/// Where the value of a member begins, in the object at `at`.
pub(super) fn member(bytes: &[u8], at: usize, name: &[u8]) -> Option<usize> {
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let end = skip_string(bytes, at)?;
        let key = &bytes[at + 1..end - 1];
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        if is(key, name) {
            return Some(at);
        }
        at = skip_space(bytes, skip_value(bytes, at)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(bytes, at + 1);
    }
    None
}

/// Whether a text names a service that sends messages, such as `aws:sqs`.
fn is_service(bytes: &[u8], at: usize) -> bool {
    let text = &bytes[at..];
    text.starts_with(b"\"aws:") && !text.starts_with(b"\"aws:s3\"")
}

/// A key without its escapes.
fn plain(key: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', key).is_none() {
        return Cow::Borrowed(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(key),
    }
}
