//! What an object is by its keys: a record, an envelope or wrapper of records, or neither.
//!
//! A record is known by keys of its own, and then is one whatever else it has. An envelope is AWS's, a
//! wrapper another tool's. What holds the records stands at one of the paths listed here.

use std::borrow::Cow;

use super::Context;
use super::beside::{agrees, may_hold_object};
use super::scan::{skip_space, skip_string, skip_value};
use crate::flags::Flags;
use crate::limits::DOORS_MAX;

/// What makes an object a record, wherever it stands. SQS and SNS name themselves in `eventSource`, as
/// `aws:sqs`; their messages are wrappers.
pub(super) const RECORD_KEYS: [&[u8]; 6] =
    [b"eventName", b"eventID", b"eventVersion", b"userIdentity", b"eventSource", b"eventTime"];

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

/// What stands beside such a list, and what its value begins with if it is a list or an object.
const PACKING: [(&[u8], Option<u8>); 14] = [
    (b"NextToken", None),
    (b"nextToken", None),
    (b"nextForwardToken", None),
    (b"nextBackwardToken", None),
    (b"searchedLogStreams", Some(b'[')),
    (b"subscriptionFilters", Some(b'[')),
    (b"ResponseMetadata", Some(b'{')),
    (b"_shards", Some(b'{')),
    (b"aggregations", Some(b'{')),
    (b"total", Some(b'{')),
    (b"messageType", None),
    (b"owner", None),
    (b"logGroup", None),
    (b"logStream", None),
];

/// What Elasticsearch writes beside a hit: a list of values for each of its fields.
const FIELDS: [&[u8]; 2] = [b"fields", b"highlight"];

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

/// The first member that is not kept.
const BEYOND: usize = DOORS_MAX + 1;

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
    /// A member beside what holds records, which nobody reads.
    Beside(Beside),
    /// The same, and so are others behind it.
    MoreBeside,
    /// One of those beyond the bound; they are not read.
    Beyond,
}

/// What a member is that stands beside what holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// An object or a list that is none of those below.
    Unknown,
    /// Known packing, or a text.
    Packing,
    /// One of `FIELDS`.
    Fields,
    /// A member of a record in the place of packing.
    OfRecord,
}

/// The path of a member that holds records: its key, and the key in it if it is a wrapper of two levels.
type Name = (&'static [u8], &'static [u8]);

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
    pub(super) is_record: bool,
    pub(super) doors: Vec<Door>,
    /// Members that may hold records, and those that stand beside, all of them.
    ways: usize,
    beside: usize,
    names: Vec<Name>,
    /// Whether one that may hold records comes twice.
    pub(super) is_twice: bool,
    /// Whether a list of records was taken already, because it came first in a file; and whether it gave
    /// any.
    is_walked: bool,
    pub(super) has_given: bool,
    /// Whether it has members beside what holds the records.
    pub(super) has_others: bool,
}

impl Members {
    /// Whether it holds records of others.
    pub(super) fn is_envelope(&self) -> bool {
        self.has_given || !self.is_record && (self.is_walked || self.ways > 0)
    }

    /// Whether a list of it was taken too early: it is a record, or has another such list.
    pub(super) fn is_mistaken(&self) -> bool {
        self.is_record && self.has_given || self.is_walked && self.is_twice
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

    /// Takes in a list of records that was taken already.
    pub(super) fn add_walked(&mut self, name: &'static [u8], has_given: bool) {
        self.is_walked = true;
        self.has_given = has_given;
        self.names.push((name, b""));
    }

    /// Takes in the member with this key whose value begins at `at`.
    pub(super) fn add(&mut self, bytes: &[u8], key: &[u8], at: usize, place: Place) {
        if self.is_record && place.context == Context::Records {
            return;
        }
        let key = &*plain(key);
        self.is_record |= is_of_record(bytes, key, at);
        let ways = self.ways;
        each_way(bytes, key, at, place, &mut |name, door| match door.way {
            Way::Beside(what) => self.add_beside(door.at, what),
            _ => self.add_door(name, door),
        });
        if self.ways == ways {
            let is_packing = is_packing(bytes, key, at);
            self.has_others |= !is_packing;
            if let Some(what) = beside(bytes, key, at) {
                self.add_beside(at, if is_packing { Beside::Packing } else { what });
            }
        }
    }

    fn add_door(&mut self, name: Name, door: Door) {
        self.ways += 1;
        if self.names.contains(&name) {
            self.is_twice = true;
        } else {
            self.names.push(name);
        }
        match self.ways {
            ..=DOORS_MAX => self.doors.push(door),
            BEYOND => self.doors.push(Door { way: Way::Beyond, ..door }),
            _ => {}
        }
    }

    fn add_beside(&mut self, at: usize, what: Beside) {
        // What stands beside others in a record is of the record.
        if self.is_record {
            return;
        }
        self.beside += 1;
        match self.beside {
            ..=DOORS_MAX => self.doors.push(Door { at, way: Way::Beside(what) }),
            BEYOND => self.doors.push(Door { at, way: Way::MoreBeside }),
            _ => {}
        }
    }
}

/// Whether a member is what stands beside a list of records in AWS's and Elasticsearch's answers.
fn is_packing(bytes: &[u8], key: &[u8], at: usize) -> bool {
    let first = bytes.get(at).copied().filter(|first| matches!(first, b'{' | b'['));
    PACKING.iter().any(|(name, opens)| *name == key && (first.is_none() || first == *opens))
}

/// What a member is in which a record could hide.
fn beside(bytes: &[u8], key: &[u8], at: usize) -> Option<Beside> {
    match bytes.get(at)? {
        b'{' if FIELDS.contains(&key) => Some(Beside::Fields),
        b'{' | b'[' => Some(Beside::Unknown),
        b'"' => {
            let end = skip_value(bytes, at).unwrap_or(bytes.len());
            may_hold_object(&bytes[at..end]).then_some(Beside::Packing)
        }
        _ => None,
    }
}

/// Whether a member makes its object a record.
pub(super) fn is_of_record(bytes: &[u8], key: &[u8], at: usize) -> bool {
    record_key(bytes, key, at).is_some()
}

/// Which of a record's keys a member has.
pub(super) fn record_key(bytes: &[u8], key: &[u8], at: usize) -> Option<usize> {
    let index = RECORD_KEYS.iter().position(|name| *name == key)?;
    let is_packing = key == b"eventSource" && is_service(bytes, at);
    (!is_packing).then_some(index)
}

/// The list of records that a member with this key is, and its name.
pub(super) fn list(key: &[u8]) -> Option<(&'static [u8], Context)> {
    LISTS.iter().find(|(name, _)| *name == key).copied()
}

/// Calls `found` with each value by which the member with this key may hold records, and with those beside it
/// in the member. There are several if a key in it comes twice.
fn each_way(bytes: &[u8], key: &[u8], at: usize, place: Place, found: &mut impl FnMut(Name, Door)) {
    let Place { context, can_nest, is_in_wrapper } = place;
    let mut one = |name, way| found((name, b""), Door { at, way });
    match (key, bytes.get(at)) {
        (_, Some(b'[')) if can_nest => {
            if let Some((name, context)) = list(key) {
                one(name, Way::List(context));
            }
        }
        (b"detail", Some(b'{')) if can_nest => one(b"detail", Way::Object(Flags::default())),
        (b"hits", Some(b'{')) if can_nest => one(b"hits", Way::Object(Flags::default())),
        (b"CloudTrailEvent", Some(b'"')) => {
            one(b"CloudTrailEvent", Way::Text(Flags::default()));
        }
        (b"message", Some(b'"')) if context == Context::LogEvents => {
            one(b"message", Way::Text(Flags::default()));
        }
        (_, Some(b'{' | b'"')) if can_nest && !is_in_wrapper => {
            for (path, flag) in WRAPPERS.iter().filter(|(path, _)| path[0] == key) {
                wrapped(bytes, at, path, *flag, found);
            }
        }
        _ => {}
    }
}

/// Calls `found` with each value at `path`, of which the first part is the key of the member at `at`.
fn wrapped(
    bytes: &[u8],
    at: usize,
    path: &'static [&'static [u8]],
    flag: Flags,
    found: &mut impl FnMut(Name, Door),
) {
    let value = |at| Some(Door { at, way: wrapped_value(bytes, at, flag)? });
    match path {
        [first, second] => {
            let holds = |key: &[u8], at| key == *second && value(at).is_some();
            if !members(bytes, at).any(|(key, at)| holds(&key, at)) {
                return;
            }
            // A record is one, and no wrapper. But Splunk writes the fields of a record beside it.
            let outer = at;
            let is_record = members(bytes, at).any(|(key, at)| is_of_record(bytes, &key, at));
            if is_record && flag != Flags::IN_RAW {
                return;
            }
            let mut is_told = !is_record;
            for (key, at) in members(bytes, at) {
                if let Some(door) = value(at).filter(|_| *key == **second) {
                    if !is_told && !agrees(bytes, outer, at) {
                        is_told = true;
                        found((b"", b""), Door { at: outer, way: Way::Beside(Beside::OfRecord) });
                    }
                    found((*first, *second), door);
                } else if let Some(what) = beside(bytes, &key, at) {
                    found((b"", b""), Door { at, way: Way::Beside(what) });
                }
            }
        }
        [first, ..] => value(at).into_iter().for_each(|door| found((*first, b""), door)),
        [] => {}
    }
}

/// How the value at `at`, which is where a wrapper has its record, holds it.
fn wrapped_value(bytes: &[u8], at: usize, flag: Flags) -> Option<Way> {
    match bytes.get(at)? {
        // filebeat has its own fields there, and the record elsewhere.
        b'{' if flag == Flags::IN_AWS => members(bytes, at)
            .any(|(key, at)| is_of_record(bytes, &key, at))
            .then_some(Way::Object(flag)),
        b'{' => Some(Way::Object(flag)),
        b'"' if is_json_text(bytes, at) => Some(Way::Text(flag)),
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

/// The members of the object at `at`: the key of each, and where its value begins. They end where something
/// else than a member comes.
pub(super) fn members(bytes: &[u8], at: usize) -> impl Iterator<Item = (Cow<'_, [u8]>, usize)> {
    let mut next = (bytes.get(at) == Some(&b'{')).then(|| skip_space(bytes, at + 1));
    std::iter::from_fn(move || {
        let start = next.take().filter(|at| bytes.get(*at) == Some(&b'"'))?;
        let end = skip_string(bytes, start)?;
        let colon = skip_space(bytes, end);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let value = skip_space(bytes, colon + 1);
        let comma = skip_value(bytes, value).map(|end| skip_space(bytes, end));
        let comma = comma.filter(|at| bytes.get(*at) == Some(&b','));
        next = comma.map(|at| skip_space(bytes, at + 1));
        Some((plain(&bytes[start + 1..end - 1]), value))
    })
}

/// Whether a text names a service that sends messages, such as `aws:sqs`.
fn is_service(bytes: &[u8], at: usize) -> bool {
    let text = &bytes[at..];
    text.starts_with(b"\"aws:") && !text.starts_with(b"\"aws:s3\"")
}

/// A key without its escapes.
pub(super) fn plain(key: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', key).is_none() {
        return Cow::Borrowed(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(key),
    }
}
