//! Bytes to records to events.

use std::convert::Infallible;

use serde_json::value::RawValue;
use trail::columns;
use trail::flags::Flags;
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split;
use trail::split::Piece;

use super::{fuzz, outcome, sample_files};

/// What trail files are made of.
pub const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "\n",
    "\0",
    "\u{1e}",
    "\u{feff}",
    " ",
    "{\"Records\":[",
    "]}",
    "{\"Events\":[{\"CloudTrailEvent\":\"{\\\"eventName\\\":\\\"A\\\"}\"}]}",
    "{\"detail\":{",
    "{\"logEvents\":[",
    "{\"message\":\"{\\\"eventName\\\":\\\"B\\\"}\"}",
    "\"digestStartTime\":1,",
    "\"eventName\":",
    "\"eventTime\":",
    "{\"eventVersion\":\"1.08\",",
    "\\u0000",
    "\\ud800",
    "1e400",
    "-0",
    "null",
    "tru",
    "/*",
    "'",
    "NaN",
    "\u{1f600}",
    "\"eventName\":\"X\"",
    "{\"eventName\":\"Y\"}",
    ",,",
];

/// The sample trails' files as text, the short ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = sample_files(12 << 10).into_iter();
    let mut seeds: Vec<Vec<u8>> = texts.filter(|bytes| !bytes.starts_with(&[0x1F, 0x8B])).collect();
    for text in [
        r#"{"Records":[{"eventName":"A"},{"eventName":"B"}]}"#,
        r#"{"Events":[{"EventId":"1","CloudTrailEvent":"{\"eventName\":\"A\",\"x\":[1]}"}],"NextToken":"t"}"#,
        r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","message":"{\"eventName\":1}"}]}"#,
        r#"[{"detail-type":"x","detail":{"eventName":"A","a":{"b":1}}}]"#,
        "{\"eventName\":\"A\"}\n{\"eventName\":\"B\"}\nnonsense\n{\"eventName\":\"C\"}\n",
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

/// What came of an input.
#[derive(Default)]
struct Collected {
    events: Vec<(usize, Vec<u8>, Flags, Vec<String>)>,
    rejects: Vec<Reject>,
}

fn columns_of(event: &Event) -> Vec<String> {
    event.columns().map(|(id, text)| format!("{id:?} {text}")).collect()
}

impl Sink for Collected {
    type Error = Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Infallible> {
        let columns = columns_of(event);
        self.events.push((event.offset as usize, event.raw.clone(), event.flags, columns));
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Infallible> {
        self.rejects.push(reject);
        Ok(())
    }
}

/// Pieces lie one behind another, each byte in one at most, but for records in a record that also is an
/// envelope.
fn check_pieces(input: &[u8], pieces: &[Piece<'_>]) {
    let (mut free, mut outer) = (0, 0);
    for piece in pieces {
        let (start, bytes) = match *piece {
            Piece::Record { offset, bytes, .. } => (offset, bytes),
            Piece::Escaped { offset, content, .. } => (offset, content),
            Piece::Broken { offset, .. } => (offset, &input[offset..offset]),
        };
        let end = start + bytes.len();
        let is_inside = end <= outer;
        assert!(
            start >= free || is_inside,
            "the piece at {start} begins before {free}: {pieces:#?}"
        );
        assert_eq!(&input[start..end], bytes);
        outer = outer.max(end);
        free = if is_inside { end } else { outer };
    }
}

/// Each event is a part of the input, whole JSON, and read at fetching as it was at indexing.
fn check_events(input: &[u8], found: &Collected, parser: &mut Parser) {
    let mut free = 0;
    for (offset, raw, _, columns) in &found.events {
        if input[*offset..].starts_with(raw) {
            let end = offset + raw.len();
            let is_apart = *offset >= free || end <= free;
            assert!(is_apart, "the event at {offset} ends behind another, at {free}");
            free = free.max(end);
        } else {
            // It was escaped in a text, where its own place is not the input's.
            let has_escapes = memchr::memchr(b'\\', input).is_some();
            assert!(has_escapes, "the event at {offset} is not of the input");
        }
        let (event, text) = parser.parse_record(raw).expect("what was indexed can be fetched");
        assert_eq!(&columns_of(event), columns, "at fetching it is another");
        serde_json::from_slice::<&RawValue>(&text).expect("an event is JSON");
        check_name(raw, event);
    }
}

/// `serde_json` reads the same name.
fn check_name(raw: &[u8], event: &Event) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(raw) else { return };
    let Some(name) = json["eventName"].as_str() else { return };
    let keys = memchr::memmem::find_iter(raw, b"eventName").count();
    if keys == 1 && name.len() < 4_096 {
        assert_eq!(event.column(columns::EVENT_NAME), name);
    }
}

/// What is JSON, and no deeper than the bound, is an event, or said to be none.
fn check_rejects(input: &[u8], pieces: &[Piece<'_>], found: &Collected) {
    for reject in &found.rejects {
        let at = reject.offset as usize;
        assert!(at <= input.len(), "{reject:?} lies behind the input");
        if !reject.reason.starts_with("not JSON") {
            continue;
        }
        let whole = pieces.iter().find_map(|piece| match *piece {
            // At its end, it may be the next one's beginning.
            Piece::Record { offset, bytes, .. } if offset < at && at < offset + bytes.len() => {
                Some(bytes)
            }
            _ => None,
        });
        let Some(record) = whole else { continue };
        let opening = record.iter().filter(|b| matches!(b, b'{' | b'[')).count();
        let is_json = serde_json::from_slice::<&RawValue>(record).is_ok();
        assert!(!is_json || opening > 200, "{reject:?} rejects what is JSON");
    }
}

pub fn check(input: &[u8], parser: &mut Parser) -> u64 {
    let (pieces, shape) = split::collect(input);
    check_pieces(input, &pieces);
    let mut found = Collected::default();
    let Ok(()) = parser.parse_file(&pieces, Origin::default(), &mut found);
    check_events(input, &found, parser);
    check_rejects(input, &pieces, &found);
    let flags = found.events.iter().fold(0, |all, event| all | event.2.0);
    let mut reasons: Vec<&str> = found.rejects.iter().map(|r| r.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let sizes = (found.events.len().min(4), found.rejects.len().min(4), pieces.len().min(4));
    outcome((flags, reasons, sizes, shape.is_cut, shape.is_digest))
}

#[test]
fn records() {
    let mut parser = Parser::default();
    fuzz("records", seeds(), TOKENS, |input| check(input, &mut parser));
}
