//! Record spans to events: parses each record by itself (`json`), repairs what can be repaired, and says
//! of the rest where and why. Pure, but for the buffers it reuses.

mod canonical;
mod json;

use std::borrow::Cow;

use self::json::{Json, JsonFault, Visitor};
use super::split;
use crate::content;
use crate::content::{ContentHash, EventKey};
use crate::flags::Flags;
use crate::flat::{Event, Scalar};
use crate::limits::{
    FILE_RECORDS_MAX, RECORD_BYTES_MAX, RECORD_VALUES_MAX, RESCUE_BYTES_MAX, RESCUES_MAX,
};
use crate::paths::PathId;
use crate::repair::{Repaired, repair};
use crate::split::{Piece, Pieces};
use crate::time::Micros;

/// Buffers that parsed a longer record than this are given back after it: they take ten times as much.
const KEPT_RECORD_BYTES_MAX: usize = 1 << 20;

/// What is known of a file that its records do not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// Number of the file in the ledger.
    pub file: u64,
    /// The time of a record that states none.
    pub time: Micros,
    /// Offset of the second gzip member in the uncompressed bytes; None if there is one member
    /// only.
    pub second_member: Option<usize>,
    /// What is odd about the file, and so applies to each of its records.
    pub flags: Flags,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Byte offset of the unreadable place in the file, uncompressed.
    pub offset: u64,
    /// Why the record cannot be read, for a person.
    pub reason: String,
}

/// Receives the events and rejects of a file, in order.
pub trait Sink {
    /// Why the sink takes no more; it ends the parsing of the file.
    type Error;
    /// Takes one event, which the parser reuses afterwards.
    fn event(&mut self, event: &mut Event) -> Result<(), Self::Error>;
    /// Takes one record that cannot be read.
    fn reject(&mut self, reject: Reject);
}

/// Parses files, one after another. Each worker has one.
#[derive(Default)]
pub struct Parser {
    event: Event,
    json: Json,
}

impl Parser {
    /// Passes every record of a file to `sink`, in order. Fails only if the sink does.
    pub fn parse_file<S: Sink>(
        &mut self,
        pieces: &[Piece<'_>],
        origin: Origin,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut run = Run::new(self, origin, sink);
        for piece in pieces {
            run.piece(*piece, 0);
        }
        run.end()
    }

    /// Parses a file like [`Parser::parse_file`], even if its pieces are too many to be held in
    /// memory.
    pub fn parse_pieces<S: Sink>(
        &mut self,
        pieces: &Pieces<'_>,
        origin: Origin,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut run = Run::new(self, origin, sink);
        pieces.each(|piece| run.piece(piece, 0));
        run.end()
    }

    /// Parses one record as delivered, for a search that returns it. Returns its text too, repaired
    /// if needed; None if it cannot be read.
    pub fn parse_record<'a>(&mut self, raw: &'a [u8]) -> Option<(&Event, Cow<'a, [u8]>)> {
        let Self { event, json } = self;
        let mut fill = |bytes: &[u8]| json.walk_whole(bytes, &mut Fill::<false>(cleared(event)));
        let repaired = match fill(raw) {
            Ok(_) => None,
            Err(_) => {
                let repaired = repair(raw)?;
                fill(&repaired.bytes).ok()?;
                Some(repaired.bytes)
            }
        };
        self.event.finish(Micros(0));
        Some((&self.event, repaired.map_or(Cow::Borrowed(raw), Cow::Owned)))
    }

    /// The event key of a record as delivered, equal to the one from its file; None if the record
    /// cannot be read.
    pub fn key(&mut self, raw: &[u8]) -> Option<EventKey> {
        self.fill_as_delivered(raw).ok()?;
        self.event.finish(Micros(0));
        Some(self.event.key())
    }

    /// Makes the event of a record as delivered once more, equal to the one from its file. `origin`
    /// has the time of a record that states none, and the flags that the record does not show. None
    /// if it cannot be read.
    pub fn event_again(&mut self, raw: &[u8], offset: u64, origin: Origin) -> Option<&Event> {
        let repairs = self.fill_as_delivered(raw).ok()?;
        let event = &mut self.event;
        event.raw.extend_from_slice(raw);
        event.flags = origin.flags.among(Flags::NOT_OF_THE_RECORD);
        event.flags |= repairs;
        event.file = origin.file;
        event.offset = offset;
        event.finish(origin.time);
        Some(event)
    }

    /// Parses a record into the event, repaired if it needs be, without finishing it. Returns what was
    /// repaired.
    fn fill_as_delivered(&mut self, bytes: &[u8]) -> Result<Flags, JsonFault> {
        let Err(fault) = self.fill(bytes) else { return Ok(Flags::default()) };
        match repair(bytes).filter(|repaired| self.fill(&repaired.bytes).is_ok()) {
            Some(Repaired { flags, .. }) => {
                // Two that are broken in different ways may be repaired to the same text.
                self.event.content = ContentHash::of_bytes(bytes);
                Ok(flags)
            }
            None => Err(fault),
        }
    }

    /// Parses a record into the event, without finishing it.
    fn fill(&mut self, bytes: &[u8]) -> Result<(), JsonFault> {
        let Self { event, json } = self;
        let event = cleared(event);
        event.content = json.walk_whole(bytes, &mut Fill::<true>(event))?;
        Ok(())
    }

    /// Calls `visit` with every scalar of a record and its path, texts uncut; repairs the record
    /// first if needed.
    pub fn each_scalar(&mut self, raw: &[u8], visit: impl FnMut(&str, Scalar<'_>)) {
        let mut scalars = Scalars { paths: cleared(&mut self.event), visit };
        if self.json.walk_whole(raw, &mut scalars).is_err()
            && let Some(repaired) = repair(raw)
        {
            let _ = self.json.walk_whole(&repaired.bytes, &mut scalars);
        }
    }
}

/// One file being parsed.
struct Run<'p, 's, S: Sink> {
    parser: &'p mut Parser,
    origin: Origin,
    sink: &'s mut S,
    records: u64,
    rescues: u32,
    rescued_bytes: usize,
    failure: Option<S::Error>,
}

impl<'p, 's, S: Sink> Run<'p, 's, S> {
    fn new(parser: &'p mut Parser, origin: Origin, sink: &'s mut S) -> Self {
        Self { parser, origin, sink, records: 0, rescues: 0, rescued_bytes: 0, failure: None }
    }

    fn end(self) -> Result<(), S::Error> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Takes a piece of the file; `base` is the offset of the bytes it was found in.
    fn piece(&mut self, piece: Piece<'_>, base: usize) {
        if self.failure.is_some() || self.records > FILE_RECORDS_MAX {
            return;
        }
        match piece {
            Piece::Record { offset, bytes, is_listed } => {
                self.record(base + offset, bytes, is_listed);
            }
            Piece::Escaped { offset, content } if content.len() > RECORD_BYTES_MAX => {
                self.reject(base + offset, too_long());
            }
            Piece::Escaped { offset, content } => match self.parser.json.unescape(content) {
                Ok(record) => self.record(base + offset, &record, false),
                Err(fault) => self.reject(base + offset + fault.at, fault.reason),
            },
            Piece::Broken { offset, reason } => self.reject(base + offset, reason.to_owned()),
        }
    }

    fn record(&mut self, offset: usize, bytes: &[u8], is_listed: bool) {
        self.records += 1;
        if self.records > FILE_RECORDS_MAX {
            let reason = format!(
                "the file has more than {FILE_RECORDS_MAX} records; this and the rest are not read"
            );
            return self.reject(offset, reason);
        }
        self.read_record(offset, bytes, is_listed);
        if bytes.len() > KEPT_RECORD_BYTES_MAX {
            *self.parser = Parser::default();
        }
    }

    fn read_record(&mut self, offset: usize, bytes: &[u8], is_listed: bool) {
        if let Err(reason) = check_size(bytes) {
            return self.broken_record(offset, bytes, JsonFault { at: 0, reason });
        }
        let mut flags = self.origin.flags;
        match self.parser.fill_as_delivered(bytes) {
            Ok(repairs) => flags |= repairs,
            Err(fault) => return self.broken_record(offset, bytes, fault),
        }
        let event = &mut self.parser.event;
        if !is_listed && !event.looks_like_a_record() {
            let reason = "not a CloudTrail record: it has none of eventName, eventSource, eventID, \
                          eventTime, eventVersion and userIdentity";
            return self.reject(offset, reason.to_owned());
        }
        if self.origin.second_member.is_some_and(|start| offset >= start) {
            flags |= Flags::SECOND_MEMBER;
        }
        event.raw.extend_from_slice(bytes);
        event.flags = flags;
        event.file = self.origin.file;
        event.offset = offset as u64;
        event.finish(self.origin.time);
        self.failure = self.sink.event(&mut self.parser.event).err();
    }

    /// Reports a record that cannot be read, and looks for neighbours that it swallowed.
    fn broken_record(&mut self, offset: usize, bytes: &[u8], fault: JsonFault) {
        self.reject(offset + fault.at, fault.reason);
        self.rescues += 1;
        self.rescued_bytes = self.rescued_bytes.saturating_add(bytes.len());
        if self.rescues <= RESCUES_MAX && self.rescued_bytes <= RESCUE_BYTES_MAX {
            split::split_after_broken(bytes, &mut |piece| self.piece(piece, offset));
        }
    }

    fn reject(&mut self, offset: usize, reason: String) {
        self.sink.reject(Reject { offset: offset as u64, reason });
    }
}

fn too_long() -> String {
    format!("the record is longer than {RECORD_BYTES_MAX} bytes")
}

/// Whether a record is of a size that can be parsed within bounds.
fn check_size(record: &[u8]) -> Result<(), String> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(too_long());
    }
    // Each value takes two bytes at least.
    if record.len() > 2 * RECORD_VALUES_MAX && values(record) > RECORD_VALUES_MAX {
        return Err(format!("the record has more than {RECORD_VALUES_MAX} values"));
    }
    Ok(())
}

/// How many values a record has: objects and arrays, and what commas separate.
fn values(record: &[u8]) -> usize {
    let mut count = 0;
    let mut at = 0;
    while let Some(byte) = record.get(at) {
        match byte {
            b'"' => at = content::text_end(record, at),
            byte => {
                count += usize::from(matches!(byte, b'{' | b'[' | b','));
                at += 1;
            }
        }
    }
    count
}

/// The event, emptied for a record.
fn cleared(event: &mut Event) -> &mut Event {
    event.clear();
    event
}

/// Puts a record's scalars into an event.
struct Fill<'e, const IS_HASHED: bool>(&'e mut Event);

impl<const IS_HASHED: bool> Visitor for Fill<'_, IS_HASHED> {
    const IS_HASHED: bool = IS_HASHED;

    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        self.0.path(parent, key)
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.0.add(path, scalar);
    }
}

/// Visits a record's scalars.
struct Scalars<'e, F> {
    paths: &'e mut Event,
    visit: F,
}

impl<F: FnMut(&str, Scalar<'_>)> Visitor for Scalars<'_, F> {
    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        self.paths.path(parent, key)
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        (self.visit)(self.paths.path_text(path), scalar);
    }
}

#[cfg(test)]
mod tests;
