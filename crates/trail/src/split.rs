//! Bytes to record spans: finds where each record of a file begins and ends, without parsing it.
//!
//! Takes every shape that trails are kept in (`docs/operations.md`, "What it reads"): `{"Records":[…]}`, arrays,
//! single records, one record a line or simply one after another, `lookup-events` output,
//! EventBridge and CloudWatch envelopes, and the wrappers of other tools (`keys`). It follows strings
//! and brackets only, so it is fast, and a fault inside a record costs that record alone.
//!
//! Every byte is of a record, of a broken piece, or of what records are packed in: brackets, commas, white
//! space, the other members of an envelope, the time before a record in its line.
//!
//! Pure, total, and without recursion except for envelopes, which it follows `ENVELOPE_DEPTH_MAX`
//! deep.

mod beside;
mod keys;
mod lines;
mod pieces;
mod scan;

use memchr::memmem;

use self::beside::{agrees, holds_record, holds_whole_record, is_copy};
use self::keys::{Beside, Door, Members, Way};
pub use self::pieces::{Outcome, Piece, Pieces, collect};
use self::scan::{scalar_end, skip_between, skip_space, skip_string, skip_value};
use crate::flags::Flags;
use crate::limits::{CUT_BYTES_MAX, CUTS_MAX, ENVELOPE_DEPTH_MAX};

/// Bytes looked at in the first step of the search for the next record, which is near as a rule, and in
/// the longest.
const SEARCH_STEP_FIRST: usize = 256;
const SEARCH_STEP_MAX: usize = 64 << 10;

const ODD: &str = "another member should begin here, or the object end";
const BESIDE: &str = "it stands beside a list of records, and is not read";
const HIDDEN: &str = "it stands beside what holds records, has a record's key, and is not read";
const MORE_BESIDE: &str = "this and more stand beside what holds records, and are not read";
const BEYOND: &str = "this and more members of one object may hold records, and are not read";

/// Finds the pieces of a text that stood in a file's string, in a wrapper with these flags.
pub(crate) fn split_text<'a>(
    text: &'a [u8],
    flags: Flags,
    sink: &mut impl FnMut(Piece<'a>) -> bool,
) {
    let mut splitter = Splitter::new(text, sink);
    splitter.flags = flags;
    splitter.values(0, 0, Context::Text);
}

/// Finds the pieces of a span that is not one record although it looked like one: whatever follows
/// the next place in it where a record can begin. For use after a record failed to parse, because a
/// missing quote or brace makes it swallow its neighbours.
pub(crate) fn split_after_broken<'a>(
    record: &'a [u8],
    flags: Flags,
    sink: &mut impl FnMut(Piece<'a>) -> bool,
) {
    if let Some(start) = next_record(record, 0, 0) {
        let mut splitter = Splitter::new(record, sink);
        splitter.flags = flags;
        splitter.values(start, 0, Context::List);
    }
}

/// Whether bytes are one envelope of CloudWatch Logs, as a subscription delivers it, and nothing else.
pub fn is_log_envelope(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    let has = |name: &[u8]| keys::members(text, 0).any(|(key, _)| *key == *name);
    text.starts_with(b"{")
        && skip_value(text, 0) == Some(text.len())
        && has(b"messageType")
        && has(b"logEvents")
}

/// What a list of values is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// The file itself: values end with it.
    File,
    /// A text in a file, likewise.
    Text,
    /// A list of records or envelopes: values end with its bracket.
    List,
    /// The same, under the key `Records`.
    Records,
    /// A list of log events, whose `message` is a record.
    LogEvents,
}

impl Context {
    /// Whether values end with a bracket.
    fn is_list(self) -> bool {
        !matches!(self, Self::File | Self::Text)
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is another finding")]
struct Splitter<'a, 's, F> {
    bytes: &'a [u8],
    sink: &'s mut F,
    outcome: Outcome,
    cuts: u32,
    /// Bytes that were read to find that records have no end.
    cut_bytes: u64,
    has_record: bool,
    /// Where the last record begins.
    last_record: usize,
    /// How many pieces were handed out.
    pieces: u64,
    /// What the values at hand are wrapped in.
    flags: Flags,
    /// Whether each object is looked through before any of it is handed out.
    is_careful: bool,
    /// Whether a list was handed out before its object was known.
    is_mistaken: bool,
    /// Whether nobody takes more pieces.
    is_over: bool,
    /// The line with a record that comes next, if it was looked for.
    next_line: Option<usize>,
}

/// An object that is looked through.
struct Walked {
    start: usize,
    depth: u32,
    context: Context,
    members: Members,
    is_digest: bool,
}

impl<'a, 's, F: FnMut(Piece<'a>) -> bool> Splitter<'a, 's, F> {
    fn new(bytes: &'a [u8], sink: &'s mut F) -> Self {
        Self {
            bytes,
            sink,
            outcome: Outcome::default(),
            cuts: 0,
            cut_bytes: 0,
            has_record: false,
            last_record: 0,
            pieces: 0,
            flags: Flags::default(),
            is_careful: false,
            is_mistaken: false,
            is_over: false,
            next_line: None,
        }
    }

    fn emit(&mut self, piece: Piece<'a>) {
        self.pieces += 1;
        self.is_over = self.is_over || !(self.sink)(piece);
    }

    /// Takes values one after another until their context ends; returns where.
    fn values(&mut self, start: usize, depth: u32, context: Context) -> usize {
        let mut at = start;
        loop {
            if self.is_over {
                return self.bytes.len();
            }
            at = skip_between(self.bytes, at);
            at = match self.bytes.get(at) {
                None => {
                    self.outcome.is_cut |= context.is_list();
                    return at;
                }
                Some(b']') if context.is_list() => return at + 1,
                Some(b'{') => self.object(at, depth, context),
                // What is left of a list whose record lacked a bracket.
                Some(b'}' | b']') if self.has_record => at + 1,
                Some(b'[') if depth < ENVELOPE_DEPTH_MAX => self.list(at, depth, context),
                Some(_) => self.other(at, depth, context),
            };
        }
    }

    /// Takes a list that is a value of the file or of another list.
    fn list(&mut self, at: usize, depth: u32, context: Context) -> usize {
        let pieces = self.pieces;
        let end = self.values(at + 1, depth + 1, Context::List);
        if context.is_list() && self.pieces == pieces && !self.outcome.is_cut {
            self.tell(at, "an empty list where a record should be");
        }
        end
    }

    /// Takes what is neither object nor list: the beginning of a line, a value that is no record, or
    /// anything.
    fn other(&mut self, at: usize, depth: u32, context: Context) -> usize {
        const REASON: &str = "a record should begin here, with '{'";
        if context == Context::File
            && let Some((brace, flags)) = lines::prefixed(self.bytes, at)
        {
            let outer = std::mem::replace(&mut self.flags, flags);
            let end = self.object(brace, depth, context);
            self.flags = outer;
            return end;
        }
        match scalar_end(self.bytes, at).or_else(|| self.deep_list_end(at)) {
            Some(end) if context.is_list() => {
                self.tell(at, REASON);
                end
            }
            _ => self.broken(at, context, REASON),
        }
    }

    /// Where a list ends that is too deep to be opened. Those without an end are counted, as records are.
    fn deep_list_end(&mut self, at: usize) -> Option<usize> {
        if self.bytes.get(at) != Some(&b'[') || self.has_many_cuts() {
            return None;
        }
        let end = skip_value(self.bytes, at);
        if end.is_none() {
            self.count_cut(at);
        }
        end
    }

    /// Reports bytes that are no record, and finds the next place where one can begin.
    fn broken(&mut self, at: usize, context: Context, reason: &'static str) -> usize {
        self.tell(at, reason);
        self.next(at, context).unwrap_or(self.bytes.len())
    }

    /// Takes one object: an envelope, or a record. Returns where it ends.
    fn object(&mut self, start: usize, depth: u32, context: Context) -> usize {
        let mut at = start + 1;
        let members = Members::default();
        let mut object = Walked { start, depth, context, members, is_digest: false };
        let pieces = self.pieces;
        loop {
            at = skip_between(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'}') => return self.whole(&object, at + 1),
                Some(b'"') => {}
                Some(_) => return self.not_walkable(&object, at),
                None => return self.cut(&object, at),
            }
            let Some(key_end) = skip_string(self.bytes, at) else {
                return self.cut(&object, at);
            };
            let key_start = at;
            let key = &self.bytes[at + 1..key_end - 1];
            at = skip_space(self.bytes, key_end);
            if self.bytes.get(at) != Some(&b':') {
                return self.not_walkable(&object, at);
            }
            at = skip_space(self.bytes, at + 1);
            if !self.is_careful
                && is_first_of_file(self.bytes, start, key_start, depth, context)
                && self.bytes.get(at) == Some(&b'[')
                && let Some((name, list)) = keys::list(&keys::plain(key))
            {
                // It may be the whole file, which is not looked through twice.
                at = self.values(at + 1, depth + 1, list);
                object.members.add_walked(name, self.pieces > pieces);
                continue;
            }
            object.members.add(self.bytes, key, at, self.place(depth, context));
            object.is_digest |= key == b"digestStartTime" && depth == 0;
            self.is_mistaken |= object.members.is_mistaken();
            match skip_value(self.bytes, at) {
                Some(end) => at = end,
                None => return self.cut(&object, at),
            }
        }
    }

    /// A digest holds no records; what has its key and holds one is no digest.
    fn note_digest(&mut self, object: &Walked) {
        let Walked { start, is_digest, ref members, .. } = *object;
        self.outcome.is_digest |= is_digest
            && !members.is_record
            && !members.is_envelope()
            && !holds_record(self.bytes, start, false);
    }

    fn place(&self, depth: u32, context: Context) -> keys::Place {
        keys::Place {
            context,
            can_nest: depth < ENVELOPE_DEPTH_MAX,
            is_in_wrapper: self.flags.is_wrapper(),
        }
    }

    /// Hands out an object that is whole, or what it holds. Returns where it ends: something broken in an
    /// envelope can reach beyond it.
    fn whole(&mut self, object: &Walked, end: usize) -> usize {
        let Walked { start, context, ref members, .. } = *object;
        self.note_digest(object);
        if !members.is_envelope() && !self.is_beside_its_text(object) {
            self.record(start, end, context);
            return end.max(self.open_in_record(object, end));
        }
        let pieces = self.pieces;
        let opened = self.open(object, end);
        let has_given = members.has_given || self.pieces > pieces;
        // A list without records is a file without records, and nothing hides beside it.
        if !has_given && (context.is_list() || members.has_others) {
            self.record(start, end, context);
        }
        end.max(opened)
    }

    /// Whether an object with a record's keys is what Splunk writes of a record beside its text.
    fn is_beside_its_text(&self, object: &Walked) -> bool {
        let is_raw = |door: &&Door| matches!(door.way, Way::Text(Flags::IN_RAW));
        let raw = object.members.doors.iter().find(is_raw);
        raw.is_some_and(|raw| agrees(self.bytes, object.start, raw.at))
    }

    /// Hands out what a record holds in the place of an envelope's records, but for a copy of itself. Inside
    /// of `Records`, where AWS writes nothing but records, it is one and no more.
    fn open_in_record(&mut self, object: &Walked, until: usize) -> usize {
        let Walked { start, context, ref members, .. } = *object;
        if context == Context::Records {
            return 0;
        }
        let bytes = self.bytes;
        let outer = &bytes[start..until];
        let hides = |door: &Door| {
            !matches!(door.way, Way::Beside(_) | Way::MoreBeside)
                && holds_whole_record(bytes, door.at)
                && !is_copy(bytes, outer, door.at)
        };
        let doors: Vec<Door> = members.doors.iter().copied().filter(hides).collect();
        if doors.is_empty() { 0 } else { self.open_doors(object, &doors, until) }
    }

    /// Hands out what an envelope holds, but for a list that was taken already. Returns where the last of
    /// it ends. Its members are whole before `until`.
    fn open(&mut self, object: &Walked, until: usize) -> usize {
        self.open_doors(object, &object.members.doors, until)
    }

    fn open_doors(&mut self, object: &Walked, doors: &[Door], until: usize) -> usize {
        let Walked { depth, ref members, .. } = *object;
        let outer = self.flags;
        if members.is_twice {
            self.flags |= Flags::DUPLICATE_KEYS;
        }
        let has_list = members.has_list();
        let mut end = 0;
        for Door { at, way } in doors.iter().copied() {
            // Something broken before reached beyond it.
            if at < end {
                continue;
            }
            match way {
                Way::List(context) => end = self.values(at + 1, depth + 1, context),
                Way::Object(flags) => {
                    let outer = self.flags;
                    self.flags |= flags;
                    end = self.object(at, depth + 1, Context::List);
                    self.flags = outer;
                }
                Way::Text(flags) => end = self.text(at, flags),
                // One without an end is told by `cut`.
                Way::Beside(_) | Way::MoreBeside | Way::Beyond if at >= until => {}
                Way::Beside(Beside::Unknown) if has_list => self.tell(at, BESIDE),
                Way::Beside(what) if self.hides(at, what) => self.tell(at, HIDDEN),
                Way::Beside(_) => {}
                Way::MoreBeside => self.tell(at, MORE_BESIDE),
                Way::Beyond => self.tell(at, BEYOND),
            }
        }
        self.flags = outer;
        end
    }

    fn hides(&self, at: usize, what: Beside) -> bool {
        what == Beside::OfRecord || holds_record(self.bytes, at, what == Beside::Fields)
    }

    /// Hands out what is wrong at a place.
    fn tell(&mut self, offset: usize, reason: &'static str) {
        self.emit(Piece::Broken { offset, reason });
    }

    /// Hands out a text; one without an end is told by `cut`.
    fn text(&mut self, at: usize, flags: Flags) -> usize {
        let Some(end) = skip_string(self.bytes, at) else { return at };
        let content = &self.bytes[at + 1..end - 1];
        self.has_record = true;
        self.emit(Piece::Escaped { offset: at + 1, content, flags: self.flags | flags });
        end
    }

    fn record(&mut self, start: usize, end: usize, context: Context) {
        let bytes = &self.bytes[start..end];
        (self.has_record, self.last_record) = (true, start);
        let (is_listed, flags) = (context == Context::Records, self.flags);
        self.emit(Piece::Record { offset: start, bytes, is_listed, flags });
    }

    /// An object whose members cannot be told apart from `at` on: hands it out by its brackets alone, for
    /// the parser to repair or to reject with the exact place; of an envelope, what it held until there.
    fn not_walkable(&mut self, object: &Walked, at: usize) -> usize {
        let Walked { start, context, ref members, .. } = *object;
        if members.is_envelope() {
            if at == self.bytes.len() {
                return self.cut(object, at);
            }
            let end = self.open(object, at);
            if end > at {
                return end;
            }
            if self.bytes.get(at) == Some(&b'{') {
                // Brackets that are one too many: the list went on.
                self.tell(at, ODD);
                return at;
            }
            return self.broken(at, context, ODD);
        }
        let Some(end) = skip_value(self.bytes, start) else {
            return self.cut(object, at);
        };
        self.record(start, end, context);
        if members.is_record { end.max(self.open_in_record(object, at)) } else { end }
    }

    /// An object that does not end, and whose member at `at` does not. Of an envelope, what it held until
    /// there is handed out.
    fn cut(&mut self, object: &Walked, at: usize) -> usize {
        let Walked { mut start, context, ref members, .. } = *object;
        self.note_digest(object);
        let mut what = "the record has no end";
        let of_record = if members.is_record { self.open_in_record(object, at) } else { 0 };
        if members.is_envelope() || of_record > 0 {
            let end = if of_record > 0 { of_record } else { self.open(object, at) };
            if members.ends_open(at) || end > at && !members.ends_in_text() {
                self.outcome.is_cut |= end == self.bytes.len();
                return end;
            }
            if at == self.bytes.len() {
                self.outcome.is_cut = true;
                return at;
            }
            (start, what) = (at.max(end), "it has no end");
        }
        self.count_cut(start);
        let (next, reason) = if self.has_many_cuts() {
            (None, "too many records have no end; the rest of the file is not read")
        } else {
            (self.next(start, context), what)
        };
        self.outcome.is_cut |= next.is_none();
        self.tell(start, reason);
        next.unwrap_or(self.bytes.len())
    }

    fn count_cut(&mut self, start: usize) {
        self.cuts += 1;
        self.cut_bytes += (self.bytes.len() - start) as u64;
    }

    fn has_many_cuts(&self) -> bool {
        self.cuts > CUTS_MAX || self.cut_bytes > CUT_BYTES_MAX
    }

    /// The next place behind broken bytes where a record can begin; in a file the next line is one.
    fn next(&mut self, at: usize, context: Context) -> Option<usize> {
        let begins = self.bytes.get(at) == Some(&b'{') || !self.has_record;
        let like = if begins { at } else { self.last_record };
        if context != Context::File {
            return next_record(self.bytes, at, like);
        }
        if self.next_line.is_none_or(|line| line <= at) {
            self.next_line = Some(lines::next(self.bytes, at).unwrap_or(self.bytes.len()));
        }
        let line = self.next_line.filter(|line| *line < self.bytes.len());
        let end = line.unwrap_or(self.bytes.len());
        next_record(&self.bytes[..end], at, like).or(line)
    }
}

/// Whether a key is the first of an object that is a value of the file itself.
fn is_first_of_file(bytes: &[u8], start: usize, key: usize, depth: u32, context: Context) -> bool {
    depth == 0 && context == Context::File && skip_space(bytes, start + 1) == key
}

/// The next place after `at` where a record can begin: a brace that begins a line, or that is followed
/// by the key the record at `like` begins with, as the records of a file all begin with the same.
fn next_record(bytes: &[u8], at: usize, like: usize) -> Option<usize> {
    let mut key = vec![b'"'];
    key.extend_from_slice(first_key(&bytes[like..]));
    key.push(b'"');
    let by_key = memmem::Finder::new(&key);
    let by_line = memmem::Finder::new(b"\n{");
    let mut from = at + 1;
    let mut length = SEARCH_STEP_FIRST;
    while from < bytes.len() {
        let step = &bytes[from..bytes.len().min(from + length + key.len())];
        let line = by_line.find(step).map(|found| from + found + 1);
        let before_line = line.map_or(step, |line| &step[..line - from]);
        let brace = by_key.find_iter(before_line).find_map(|found| {
            let before = bytes[at + 1..from + found].trim_ascii_end();
            before.ends_with(b"{").then(|| at + before.len())
        });
        match (line, brace) {
            (Some(line), Some(brace)) => return Some(line.min(brace)),
            (None, None) => {
                from += length;
                length = (length * 2).min(SEARCH_STEP_MAX);
            }
            (line, brace) => return line.or(brace),
        }
    }
    None
}

/// The first key of the object at the start of `bytes`; what AWS's records begin with, otherwise.
fn first_key(bytes: &[u8]) -> &[u8] {
    const USUAL: &[u8] = b"eventVersion";
    const KEY_BYTES_MAX: usize = 64;
    let at = skip_space(bytes, 1);
    if bytes.first() != Some(&b'{') || bytes.get(at) != Some(&b'"') {
        return USUAL;
    }
    match skip_string(&bytes[..bytes.len().min(at + KEY_BYTES_MAX)], at) {
        Some(end) if end > at + 2 => &bytes[at + 1..end - 1],
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests;
