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
    TEXT_DEPTH_MAX,
};
use crate::paths::PathId;
use crate::places::Places;
use crate::repair::{Repaired, repair};
use crate::rows::RowPlace;
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
    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error>;
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
        let places = Places::as_is();
        let _ = pieces.iter().all(|piece| run.piece(*piece, 0, &places));
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
        let places = pieces.places();
        pieces.each(|piece| run.piece(piece, 0, &places));
        run.end()
    }

    /// Begins a table, whose rows are handed to what this returns.
    pub fn table<'p, 's, S: Sink>(
        &'p mut self,
        origin: Origin,
        sink: &'s mut S,
    ) -> Rows<'p, 's, S> {
        Rows(Run::new(self, origin, sink))
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

    /// Whether it has met neither many paths nor a large record, and so takes little memory.
    pub fn is_small(&self) -> bool {
        const JSON_BYTES_MAX: usize = 64 << 10;
        self.json.bytes() <= JSON_BYTES_MAX && self.event.has_few_paths()
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
        event.flags |= origin.flags.among(Flags::NOT_OF_THE_RECORD);
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

/// The records of a table, row by row.
pub struct Rows<'p, 's, S: Sink>(Run<'p, 's, S>);

impl<S: Sink> Rows<'_, '_, S> {
    /// Takes a cell that holds a record, or what records are packed in. Fails where the sink does.
    pub fn cell(&mut self, place: RowPlace, name: &str, text: &[u8]) -> Result<(), S::Error> {
        let run = &mut self.0;
        run.column = Some(name.to_owned());
        let (base, places) = (place.offset() as usize, Places::as_is());
        let mut is_empty = true;
        if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
            split::split_text(text, Flags::default(), &mut |piece| {
                is_empty = false;
                run.piece(piece, base, &places)
            });
        }
        if is_empty {
            run.reject(base, "the cell holds no record, but something else".to_owned(), &places);
        }
        self.failure()
    }

    /// Takes a record that was put together of a row. Fails where the sink does.
    pub fn record(&mut self, row: u64, json: &[u8], flags: Flags) -> Result<(), S::Error> {
        let run = &mut self.0;
        run.column = None;
        let offset = RowPlace { row, ..RowPlace::default() }.offset() as usize;
        let found = Found { offset, bytes: json, is_listed: true, flags };
        if !run.is_over() {
            run.record(found, &Places::as_is());
        }
        self.failure()
    }

    /// Takes what cannot be read. The reason says what of the row it is.
    pub fn reject(&mut self, place: RowPlace, reason: String) {
        let run = &mut self.0;
        if let Err(error) = run.sink.reject(Reject { offset: place.offset(), reason }) {
            run.failure.get_or_insert(error);
        }
    }

    /// Ends the table. Fails where the sink did.
    pub fn end(self) -> Result<(), S::Error> {
        self.0.end()
    }

    fn failure(&mut self) -> Result<(), S::Error> {
        self.0.failure.take().map_or(Ok(()), Err)
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
    /// The name of the column at hand, in a table.
    column: Option<String>,
}

/// A record as it was found.
#[derive(Clone, Copy)]
struct Found<'a> {
    offset: usize,
    bytes: &'a [u8],
    is_listed: bool,
    flags: Flags,
}

impl<'p, 's, S: Sink> Run<'p, 's, S> {
    fn new(parser: &'p mut Parser, origin: Origin, sink: &'s mut S) -> Self {
        let (records, rescues, rescued_bytes) = (0, 0, 0);
        Self { parser, origin, sink, records, rescues, rescued_bytes, failure: None, column: None }
    }

    fn end(self) -> Result<(), S::Error> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Takes a piece of what `places` are of; `base` is the offset there of the bytes it was found in. Returns
    /// whether it takes more.
    fn piece(&mut self, piece: Piece<'_>, base: usize, places: &Places<'_>) -> bool {
        if self.is_over() {
            return false;
        }
        match piece {
            Piece::Record { offset, bytes, is_listed, flags } => {
                let offset = base + offset;
                self.record(Found { offset, bytes, is_listed, flags }, places);
            }
            Piece::Escaped { offset, content, flags } => {
                self.text(base + offset, content, flags, places);
            }
            Piece::Broken { offset, reason } => {
                self.reject(base + offset, reason.to_owned(), places);
            }
        }
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.failure.is_some() || self.records > FILE_RECORDS_MAX
    }

    /// Takes a text that holds a record or an envelope.
    fn text(&mut self, offset: usize, content: &[u8], flags: Flags, places: &Places<'_>) {
        if content.len() > RECORD_BYTES_MAX {
            return self.reject(offset, too_long(), places);
        }
        let text = match self.parser.json.unescape(content) {
            Ok(text) => text,
            Err(fault) => return self.reject(offset + fault.at, fault.reason, places),
        };
        if !matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
            return self.reject(offset, json::NO_OBJECT.to_owned(), places);
        }
        let inner = Places::in_string(content, places, offset);
        if places.depth() < TEXT_DEPTH_MAX {
            split::split_text(&text, flags, &mut |piece| self.piece(piece, 0, &inner));
        } else {
            let bytes = text.trim_ascii_start();
            let (offset, bytes) = (text.len() - bytes.len(), bytes.trim_ascii_end());
            self.record(Found { offset, bytes, is_listed: false, flags }, &inner);
        }
    }

    fn record(&mut self, found: Found<'_>, places: &Places<'_>) {
        self.records += 1;
        if self.records > FILE_RECORDS_MAX {
            let reason = format!(
                "the file has more than {FILE_RECORDS_MAX} records; this and the rest are not read"
            );
            return self.reject(found.offset, reason, places);
        }
        self.read_record(found, places);
        if found.bytes.len() > KEPT_RECORD_BYTES_MAX {
            *self.parser = Parser::default();
        }
    }

    fn read_record(&mut self, found: Found<'_>, places: &Places<'_>) {
        let Found { offset, bytes, is_listed, flags } = found;
        if let Err(reason) = check_size(bytes) {
            return self.broken_record(found, JsonFault { at: 0, reason }, places);
        }
        let mut flags = self.origin.flags | flags;
        match self.parser.fill_as_delivered(bytes) {
            Ok(repairs) => flags |= repairs,
            Err(fault) => return self.broken_record(found, fault, places),
        }
        let event = &mut self.parser.event;
        if !is_listed && !event.looks_like_a_record() {
            let reason = event.why_no_record();
            return self.reject(offset, reason, places);
        }
        let offset = places.of(offset);
        if self.origin.second_member.is_some_and(|start| offset >= start) {
            flags |= Flags::SECOND_MEMBER;
        }
        event.raw.extend_from_slice(bytes);
        event.flags |= flags;
        event.file = self.origin.file;
        event.offset = offset as u64;
        event.finish(self.origin.time);
        self.failure = self.sink.event(&mut self.parser.event).err();
    }

    /// Reports a record that cannot be read, and looks for neighbours that it swallowed.
    fn broken_record(&mut self, found: Found<'_>, fault: JsonFault, places: &Places<'_>) {
        let Found { offset, bytes, flags, .. } = found;
        self.reject(offset + fault.at, fault.reason, places);
        self.rescues += 1;
        self.rescued_bytes = self.rescued_bytes.saturating_add(bytes.len());
        if self.rescues <= RESCUES_MAX && self.rescued_bytes <= RESCUE_BYTES_MAX {
            split::split_after_broken(bytes, flags, &mut |piece| self.piece(piece, offset, places));
        }
    }

    /// `offset` counts bytes of what `places` are of.
    fn reject(&mut self, offset: usize, reason: String, places: &Places<'_>) {
        let offset = places.of(offset) as u64;
        let reason = if self.origin.flags.contains(Flags::TABLE) {
            let RowPlace { row, byte, .. } = RowPlace::of(offset);
            match &self.column {
                Some(name) => format!("row {row}, column {name}, byte {byte}: {reason}"),
                None => format!("row {row}: {reason}"),
            }
        } else {
            reason
        };
        if let Err(error) = self.sink.reject(Reject { offset, reason }) {
            self.failure.get_or_insert(error);
        }
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

    fn key(&mut self, object: usize, parent_and_path: (PathId, PathId), key: &str) {
        self.0.meet(object, parent_and_path, key);
    }

    fn may_have_twice(&self) -> bool {
        self.0.keys.may_be_twice()
    }

    fn has_twice(&mut self) {
        self.0.flags |= Flags::DUPLICATE_KEYS;
    }

    fn forget(&mut self) {
        self.0.forget_values();
    }

    fn overridden_leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.0.add_overridden(path, scalar);
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
