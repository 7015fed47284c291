//! Bytes to record spans: finds where each record of a file begins and ends, without parsing it.
//!
//! Takes every shape that trails are kept in (`cloudtrail.md`, "Files"): `{"Records":[…]}`, arrays,
//! single records, one record a line or simply one after another, `lookup-events` output, EventBridge
//! and CloudWatch envelopes. It follows strings and brackets only, so it is quick, and it does not
//! mind what is wrong inside a record: that costs the record alone.
//!
//! Pure, total, and without recursion but for envelopes, which it follows [`ENVELOPE_DEPTH_MAX`] deep.

use memchr::memmem;

/// Envelopes inside envelopes. An array of EventBridge events that hold records is 3.
const ENVELOPE_DEPTH_MAX: u32 = 4;

/// Each broken record is read to the end of the file before it is known to be broken; a file made of
/// such starts would take time that grows with the square of its size. After this many the rest of
/// the file is one broken piece.
const CUTS_MAX: u32 = 1_000;

/// Bytes looked at in one step of the search for the next record.
const SEARCH_STEP: usize = 64 << 10;

/// Something found in a file. Offsets are into the bytes that were split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A record's bytes, from brace to brace.
    /// It is listed when it stood in a `Records` array, so that it is one whatever it looks like.
    Record { offset: usize, bytes: &'a [u8], is_listed: bool },
    /// A record as the content of a JSON string, still escaped.
    Escaped { offset: usize, content: &'a [u8] },
    /// Bytes that are no record.
    Broken { offset: usize, reason: &'static str },
}

/// What a file was besides its pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It is a CloudTrail digest file.
    pub is_digest: bool,
    /// It ends inside a record or a list: cut off, or not written to its end yet.
    pub is_cut: bool,
}

/// Finds the pieces of a file, in order.
pub fn split<'a>(bytes: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) -> Outcome {
    let start = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut splitter =
        Splitter { bytes, sink, outcome: Outcome::default(), cuts: 0, has_record: false };
    splitter.values(start, 0, Context::File);
    splitter.outcome
}

/// The pieces of a file, all at once.
pub fn collect(bytes: &[u8]) -> (Vec<Piece<'_>>, Outcome) {
    let mut pieces = Vec::new();
    let outcome = split(bytes, &mut |piece| pieces.push(piece));
    (pieces, outcome)
}

/// Finds the pieces of a span that is not one record although it looked like one: whatever follows
/// the next place in it where a record can begin. For use after a record failed to parse, because a
/// missing quote or brace makes it swallow its neighbours.
pub fn split_after_broken<'a>(record: &'a [u8], sink: &mut impl FnMut(Piece<'a>)) {
    if let Some(start) = next_record(record, 0) {
        let mut splitter = Splitter {
            bytes: record,
            sink,
            outcome: Outcome::default(),
            cuts: 0,
            has_record: false,
        };
        splitter.values(start, 0, Context::List);
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
    has_record: bool,
}

impl<'a, F: FnMut(Piece<'a>)> Splitter<'a, '_, F> {
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
                Some(_) => return self.not_walkable(start, is_envelope, context),
                None => return self.cut(start, is_envelope),
            }
            let Some(key_end) = skip_string(self.bytes, at) else {
                return self.cut(start, is_envelope);
            };
            let key = &self.bytes[at + 1..key_end - 1];
            at = skip_space(self.bytes, key_end);
            if self.bytes.get(at) != Some(&b':') {
                return self.not_walkable(start, is_envelope, context);
            }
            at = skip_space(self.bytes, at + 1);
            match self.member(key, at, depth, context) {
                Member::Envelope(end) => {
                    is_envelope = true;
                    at = end;
                }
                Member::Plain(Some(end)) => at = end,
                Member::Plain(None) => return self.cut(start, is_envelope),
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
        (self.sink)(Piece::Escaped { offset: at + 1, content });
        Member::Envelope(end)
    }

    /// An object whose members cannot be told apart: hands it out by its brackets alone, for the
    /// parser to repair or to reject with the exact place.
    fn not_walkable(&mut self, start: usize, is_envelope: bool, context: Context) -> usize {
        let Some(end) = skip_value(self.bytes, start) else { return self.cut(start, is_envelope) };
        if !is_envelope {
            self.record(start, end, context);
        }
        end
    }

    /// An object that does not end.
    fn cut(&mut self, start: usize, is_envelope: bool) -> usize {
        if is_envelope {
            self.outcome.is_cut = true;
            return self.bytes.len();
        }
        self.cuts += 1;
        let (next, reason) = if self.cuts > CUTS_MAX {
            (None, "too many records have no end; the rest of the file is not read")
        } else {
            (next_record(self.bytes, start), "the record has no end")
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
    while from < bytes.len() {
        let step = &bytes[from..bytes.len().min(from + SEARCH_STEP + key.len())];
        let line = by_line.find(step).map(|found| from + found + 1);
        let brace = by_key.find_iter(step).find_map(|found| {
            let before = bytes[at + 1..from + found].trim_ascii_end();
            before.ends_with(b"{").then(|| at + before.len())
        });
        match (line, brace) {
            (Some(line), Some(brace)) => return Some(line.min(brace)),
            (None, None) => from += SEARCH_STEP,
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

/// Skips white space, commas, and the record separator of RFC 7464.
fn skip_between(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b',' | 0x1E)) {
        at += 1;
    }
    at
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
mod tests {
    use super::*;

    /// One line a piece: `offset text`, with `!` for broken and `"` for escaped ones.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) -> Outcome {
        let mut pieces = Vec::new();
        let outcome = split(text.as_bytes(), &mut |piece| {
            pieces.push(match piece {
                Piece::Record { offset, bytes, .. } => {
                    format!("{offset} {}", String::from_utf8_lossy(bytes))
                }
                Piece::Escaped { offset, content } => {
                    format!("{offset} \"{}", String::from_utf8_lossy(content))
                }
                Piece::Broken { offset, reason } => format!("{offset} !{reason}"),
            });
        });
        assert_eq!(pieces, expected);
        outcome
    }

    const WHOLE: Outcome = Outcome { is_digest: false, is_cut: false };
    const CUT: Outcome = Outcome { is_digest: false, is_cut: true };

    #[test]
    fn a_trail_file_gives_its_records() {
        let text = r#"{"Records": [{"a":"}"}, {"b":[{"c":"\"]"}]}]}"#;
        assert_eq!(check(text, &[r#"13 {"a":"}"}"#, r#"24 {"b":[{"c":"\"]"}]}"#]), WHOLE);
        assert_eq!(check(r#"{"Records":[]}"#, &[]), WHOLE);
    }

    #[test]
    fn arrays_single_records_and_lines_give_their_records() {
        assert_eq!(check(r#"[{"a":1},{"b":2}]"#, &[r#"1 {"a":1}"#, r#"9 {"b":2}"#]), WHOLE);
        assert_eq!(check("{\n \"a\": 1\n}\n", &["0 {\n \"a\": 1\n}"]), WHOLE);
        assert_eq!(check("{\"a\":1}\n{\"b\":2}\r\n", &["0 {\"a\":1}", "8 {\"b\":2}"]), WHOLE);
        assert_eq!(check("\u{feff}{}{}", &["3 {}", "5 {}"]), WHOLE);
        assert_eq!(check("", &[]), WHOLE);
    }

    #[test]
    fn lookup_events_output_gives_the_escaped_records() {
        check(
            r#"{"Events":[{"EventId":"1","CloudTrailEvent":"{\"a\":1}","Username":"x"}],"NextToken":"t"}"#,
            &[r#"45 "{\"a\":1}"#],
        );
    }

    #[test]
    fn envelopes_give_what_they_hold() {
        check(
            r#"{"version":"0","detail-type":"x","detail":{"a":{"b":1}}}"#,
            &[r#"42 {"a":{"b":1}}"#],
        );
        check(r#"[{"detail":{"a":1}},{"detail":{"b":1}}]"#, &[r#"11 {"a":1}"#, r#"30 {"b":1}"#]);
        check(
            r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":"{\"a\":1}"}]}"#,
            &[r#"64 "{\"a\":1}"#],
        );
        check(r#"{"message":"not a log event"}"#, &[r#"0 {"message":"not a log event"}"#]);
    }

    #[test]
    fn a_digest_is_recognised() {
        let text = r#"{"awsAccountId":"1","digestStartTime":"2023-01-01T00:00:00Z","logFiles":[]}"#;
        assert!(check(text, &[&format!("0 {text}")]).is_digest);
    }

    #[test]
    fn a_file_that_ends_too_early_is_cut() {
        let broken = "20 !the record has no end";
        assert_eq!(check(r#"{"Records":[{"a":1},{"b""#, &[r#"12 {"a":1}"#, broken]), CUT);
        assert_eq!(check(r#"{"Records":[{"a":1},{"b":{"c":1},"#, &[r#"12 {"a":1}"#, broken]), CUT);
        assert_eq!(check(r#"{"Records":[{"a":1}"#, &[r#"12 {"a":1}"#]), CUT);
        assert_eq!(check(r#"{"Records":[{"a":1}]"#, &[r#"12 {"a":1}"#]), CUT);
        assert_eq!(check(r#"{"a":"#, &["0 !the record has no end"]), CUT);
    }

    #[test]
    fn a_record_without_an_end_costs_no_neighbour() {
        check(
            r#"{"Records":[{"a":{"b":1},{"a":2},{"a":3}]}"#,
            &[r#"12 {"a":{"b":1},{"a":2},{"a":3}]"#],
        );
        check(
            r#"{"Records":[{"a":"1},{"a":2},{"a":3}]}"#,
            &["12 !the record has no end", r#"21 {"a":2}"#, r#"29 {"a":3}"#],
        );
    }

    #[test]
    fn what_a_broken_record_swallowed_is_found_again() {
        let mut pieces = Vec::new();
        split_after_broken(br#"{"a":{"b":1},{"a":2},{"a":3}]}"#, &mut |piece| pieces.push(piece));
        assert_eq!(
            pieces,
            [
                Piece::Record { offset: 13, bytes: br#"{"a":2}"#, is_listed: false },
                Piece::Record { offset: 21, bytes: br#"{"a":3}"#, is_listed: false },
            ]
        );
    }

    #[test]
    fn a_broken_line_costs_no_other_line() {
        check(
            "{\"a\":1}\n{\"b\":\"x}\nnonsense\n{\"c\":3}\n",
            &["0 {\"a\":1}", "8 !the record has no end", "26 {\"c\":3}"],
        );
        check(
            "what is this\n{\"a\":1}",
            &["0 !a record should begin here, with '{'", "13 {\"a\":1}"],
        );
    }

    #[test]
    fn stray_commas_between_and_inside_records_do_not_matter_here() {
        check(r#"[{"a":1,,"b":2,},,{"c":1}]"#, &[r#"1 {"a":1,,"b":2,}"#, r#"18 {"c":1}"#]);
    }

    #[test]
    fn a_file_of_unfinished_records_is_given_up() {
        let mut broken = 0;
        split(&br#"{"a":"#.repeat(200_000), &mut |_| broken += 1);
        assert_eq!(broken, CUTS_MAX + 1);
    }

    #[test]
    fn no_bytes_make_it_panic_or_hang() {
        let alphabet = br#"{}[]",:\ a1"#;
        let mut state = 7_u64;
        for length in 0..2_000_usize {
            let text: Vec<u8> = (0..length % 40)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            split(&text, &mut |_| {});
            split_after_broken(&text, &mut |_| {});
        }
    }
}
