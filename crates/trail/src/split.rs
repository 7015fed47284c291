//! Bytes to record spans: finds where each record of a file begins and ends, without parsing it.
//!
//! Takes every shape that trails are kept in (`docs/operations.md`, "What it reads"): `{"Records":[…]}`, arrays,
//! single records, one record a line or simply one after another, `lookup-events` output,
//! EventBridge and CloudWatch envelopes. It follows strings and brackets only, so it is fast, and a
//! fault inside a record costs that record alone.
//!
//! Pure, total, and without recursion except for envelopes, which it follows `ENVELOPE_DEPTH_MAX`
//! deep.

use memchr::memmem;

use crate::limits::{CUT_BYTES_MAX, CUTS_MAX, ENVELOPE_DEPTH_MAX, PIECES_HELD_MAX};

/// Bytes looked at in the first step of the search for the next record, which is near as a rule, and in
/// the longest.
const SEARCH_STEP_FIRST: usize = 256;
const SEARCH_STEP_MAX: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A piece of a file. Offsets count bytes from the beginning of what was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A record's bytes, from brace to brace.
    Record {
        /// Where its opening brace is.
        offset: usize,
        /// The record as delivered.
        bytes: &'a [u8],
        /// Whether it stood in a `Records` array; it then counts as a record whatever it contains.
        is_listed: bool,
    },
    /// A record inside a JSON string, still escaped.
    Escaped {
        /// Where the string's content begins.
        offset: usize,
        /// What stands between the quotes.
        content: &'a [u8],
    },
    /// Bytes that are not a record.
    Broken {
        /// Where the fault is.
        offset: usize,
        /// What is wrong there, for a person.
        reason: &'static str,
    },
}

/// What splitting found out about the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It is a CloudTrail digest file, which holds no records.
    pub is_digest: bool,
    /// It ends inside a record or a list: truncated, or not completely written yet.
    pub is_cut: bool,
}

/// Finds the pieces of a file, in order.
pub(crate) fn split<'a>(bytes: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) -> Outcome {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        sink(Piece::Broken { offset: 0, reason: "the file is UTF-16; a trail is UTF-8" });
        return Outcome::default();
    }
    let mut splitter = Splitter::new(bytes, sink);
    splitter.values(0, 0, Context::File);
    splitter.outcome
}

/// The pieces of a file.
#[derive(Debug)]
pub struct Pieces<'a> {
    bytes: &'a [u8],
    /// The first of them: a file of nothing but braces would hold twenty times its size in pieces.
    held: Vec<Piece<'a>>,
    count: usize,
    /// What splitting found out about the file as a whole.
    pub outcome: Outcome,
}

impl<'a> Pieces<'a> {
    /// Splits a file's uncompressed bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        let (mut held, mut count) = (Vec::new(), 0);
        let outcome = split(bytes, &mut |piece| {
            count += 1;
            if held.len() < PIECES_HELD_MAX {
                held.push(piece);
            }
        });
        Self { bytes, held, count, outcome }
    }

    /// Whether the file has neither a record nor broken bytes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Calls `visit` with each, in order. Where not all are held, the file is split again.
    pub(crate) fn each(&self, mut visit: impl FnMut(Piece<'a>)) {
        if self.count == self.held.len() {
            self.held.iter().copied().for_each(visit);
        } else {
            split(self.bytes, &mut visit);
        }
    }
}

/// Splits a file and returns all its pieces at once.
pub fn collect(bytes: &[u8]) -> (Vec<Piece<'_>>, Outcome) {
    let mut pieces = Vec::new();
    let outcome = split(bytes, &mut |piece| pieces.push(piece));
    (pieces, outcome)
}

/// Finds the pieces of a span that is not one record although it looked like one: whatever follows
/// the next place in it where a record can begin. For use after a record failed to parse, because a
/// missing quote or brace makes it swallow its neighbours.
pub(crate) fn split_after_broken<'a>(record: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) {
    if let Some(start) = next_record(record, 0) {
        Splitter::new(record, sink).values(start, 0, Context::List);
    }
}

/// What a list of values is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// The file itself: values end with it.
    File,
    /// A list of records or envelopes: values end with its bracket.
    List,
    /// The same, under the key `Records`.
    Records,
    /// A list of log events, whose `message` is a record.
    LogEvents,
}

struct Splitter<'a, 's, F> {
    bytes: &'a [u8],
    sink: &'s mut F,
    outcome: Outcome,
    cuts: u32,
    /// Bytes that were read to find that records have no end.
    cut_bytes: u64,
    has_record: bool,
}

impl<'a, 's, F: FnMut(Piece<'a>)> Splitter<'a, 's, F> {
    fn new(bytes: &'a [u8], sink: &'s mut F) -> Self {
        let outcome = Outcome::default();
        Self { bytes, sink, outcome, cuts: 0, cut_bytes: 0, has_record: false }
    }

    /// Takes values one after another until their context ends; returns where.
    fn values(&mut self, start: usize, depth: u32, context: Context) -> usize {
        let mut at = start;
        loop {
            at = skip_between(self.bytes, at);
            at = match self.bytes.get(at) {
                None => {
                    self.outcome.is_cut |= context != Context::File;
                    return at;
                }
                Some(b']') if context != Context::File => return at + 1,
                Some(b'{') => self.object(at, depth, context),
                // What is left of a list whose record lacked a bracket.
                Some(b'}' | b']') if self.has_record => at + 1,
                Some(b'[') if depth < ENVELOPE_DEPTH_MAX => {
                    self.values(at + 1, depth + 1, Context::List)
                }
                Some(_) => self.broken(at, "a record should begin here, with '{'"),
            };
        }
    }

    /// Reports bytes that are no record, and finds the next place where one can begin.
    fn broken(&mut self, at: usize, reason: &'static str) -> usize {
        (self.sink)(Piece::Broken { offset: at, reason });
        next_record(self.bytes, at).unwrap_or(self.bytes.len())
    }

    /// Takes one object: an envelope, or a record. Returns where it ends.
    fn object(&mut self, start: usize, depth: u32, context: Context) -> usize {
        let mut at = start + 1;
        let mut is_envelope = false;
        loop {
            at = skip_between(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'}') => {
                    at += 1;
                    break;
                }
                Some(b'"') => {}
                Some(_) => return self.not_walkable(start, at, is_envelope, context),
                None => return self.cut(start, at, is_envelope),
            }
            let Some(key_end) = skip_string(self.bytes, at) else {
                return self.cut(start, at, is_envelope);
            };
            let key = &self.bytes[at + 1..key_end - 1];
            at = skip_space(self.bytes, key_end);
            if self.bytes.get(at) != Some(&b':') {
                return self.not_walkable(start, at, is_envelope, context);
            }
            at = skip_space(self.bytes, at + 1);
            match self.member(key, at, depth, context) {
                Member::Envelope(end) => {
                    is_envelope = true;
                    at = end;
                }
                Member::Plain(Some(end)) => at = end,
                Member::Plain(None) => return self.cut(start, at, is_envelope),
            }
        }
        if !is_envelope {
            self.record(start, at, context);
        }
        at
    }

    fn record(&mut self, start: usize, end: usize, context: Context) {
        let bytes = &self.bytes[start..end];
        self.has_record = true;
        (self.sink)(Piece::Record { offset: start, bytes, is_listed: context == Context::Records });
    }

    /// Takes a member of an object that may be an envelope.
    fn member(&mut self, key: &[u8], at: usize, depth: u32, context: Context) -> Member {
        let value = self.bytes.get(at);
        let can_nest = depth < ENVELOPE_DEPTH_MAX;
        match (key, value) {
            (b"Records", Some(b'[')) if can_nest => {
                Member::Envelope(self.values(at + 1, depth + 1, Context::Records))
            }
            (b"Events", Some(b'[')) if can_nest => {
                Member::Envelope(self.values(at + 1, depth + 1, Context::List))
            }
            (b"logEvents" | b"events", Some(b'[')) if can_nest => {
                Member::Envelope(self.values(at + 1, depth + 1, Context::LogEvents))
            }
            (b"detail", Some(b'{')) if can_nest => {
                Member::Envelope(self.object(at, depth + 1, Context::List))
            }
            (b"CloudTrailEvent", Some(b'"')) => self.escaped(at),
            (b"message", Some(b'"')) if context == Context::LogEvents => self.escaped(at),
            (b"digestStartTime", _) => {
                self.outcome.is_digest = true;
                Member::Plain(skip_value(self.bytes, at))
            }
            _ => Member::Plain(skip_value(self.bytes, at)),
        }
    }

    fn escaped(&mut self, at: usize) -> Member {
        let Some(end) = skip_string(self.bytes, at) else { return Member::Plain(None) };
        let content = &self.bytes[at + 1..end - 1];
        self.has_record = true;
        (self.sink)(Piece::Escaped { offset: at + 1, content });
        Member::Envelope(end)
    }

    /// An object whose members cannot be told apart from `at` on: hands it out by its brackets alone, for
    /// the parser to repair or to reject with the exact place. What an envelope held until there was
    /// handed out already.
    fn not_walkable(
        &mut self,
        start: usize,
        at: usize,
        is_envelope: bool,
        context: Context,
    ) -> usize {
        if is_envelope && at == self.bytes.len() {
            return self.cut(start, at, is_envelope);
        }
        if is_envelope {
            return self.broken(at, "another member should begin here, or the object end");
        }
        let Some(end) = skip_value(self.bytes, start) else {
            return self.cut(start, at, false);
        };
        self.record(start, end, context);
        end
    }

    /// An object that does not end, and whose member at `at` does not. What an envelope held until there
    /// was handed out already.
    fn cut(&mut self, start: usize, at: usize, is_envelope: bool) -> usize {
        if is_envelope && at == self.bytes.len() {
            self.outcome.is_cut = true;
            return at;
        }
        let (start, what) =
            if is_envelope { (at, "it has no end") } else { (start, "the record has no end") };
        self.cuts += 1;
        self.cut_bytes += (self.bytes.len() - start) as u64;
        let (next, reason) = if self.cuts > CUTS_MAX || self.cut_bytes > CUT_BYTES_MAX {
            (None, "too many records have no end; the rest of the file is not read")
        } else {
            (next_record(self.bytes, start), what)
        };
        self.outcome.is_cut |= next.is_none();
        (self.sink)(Piece::Broken { offset: start, reason });
        next.unwrap_or(self.bytes.len())
    }
}

enum Member {
    /// It held records, and ends here.
    Envelope(usize),
    /// It is a member like any other, and ends here, if it ends.
    Plain(Option<usize>),
}

/// The next place after `at` where a record can begin: a brace that begins a line, or that is followed
/// by the key the record at `at` begins with, as the records of a file all begin with the same.
fn next_record(bytes: &[u8], at: usize) -> Option<usize> {
    let mut key = vec![b'"'];
    key.extend_from_slice(first_key(&bytes[at..]));
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

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Skips white space, commas, the record separator of RFC 7464, and the byte order marks that begin files,
/// also those that were joined to others.
fn skip_between(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b) if b.is_ascii_whitespace() || matches!(b, b',' | 0x1E) => at += 1,
            Some(0xEF) if bytes[at..].starts_with(BYTE_ORDER_MARK) => at += BYTE_ORDER_MARK.len(),
            _ => return at,
        }
    }
}

/// Where the string that begins at `at` ends, past its closing quote.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the value that begins at `at` ends.
fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at),
        b'{' | b'[' => skip_brackets(bytes, at),
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
            bytes[at..].iter().position(ends).map(|length| at + length)
        }
    }
}

fn skip_brackets(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_u32;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
