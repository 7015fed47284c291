//! Record spans to events: parses each record by itself with simd-json's tape, repairs what can be
//! repaired, and says of the rest where and why. The only file that knows simd-json.
//!
//! A record's bytes are copied before they are parsed, because simd-json rewrites its input and the
//! original is what searches return. Pure, but for the buffers it reuses.

use std::borrow::Cow;
use std::sync::Arc;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};

use super::repair::{Repaired, repair};
use super::split::{self, Piece};
use crate::api::proto::Reject;
use crate::event::Flags;
use crate::event::flat::{Event, Scalar};
use crate::event::paths::PathId;
use crate::event::time::Micros;

/// Nesting of a record. AWS's deepest has 11 levels.
const NESTING_MAX: usize = 256;

/// Broken records of one file that are searched for neighbours they swallowed. Each search parses the
/// rest of the record again.
const RESCUES_MAX: u32 = 100;

/// What is known of a file's records beside the records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// Number of the file in the ledger.
    pub file: u64,
    /// The time of a record that states none.
    pub time: Micros,
    /// Where the second gzip member begins in the uncompressed bytes, if there is one.
    pub second_member: Option<usize>,
}

/// Takes what a file's bytes turn out to be.
pub trait Sink {
    type Error;
    /// A record. A clone of the event must be gone when the call returns.
    fn event(&mut self, event: &Arc<Event>) -> Result<(), Self::Error>;
    fn reject(&mut self, reject: Reject);
}

/// Parses files, one after another. One a worker.
#[derive(Default)]
pub struct Parser {
    event: Arc<Event>,
    json: Json,
}

impl Parser {
    /// Hands every record of a file to `sink`, in order. Fails only where the sink does.
    pub fn parse_file<S: Sink>(
        &mut self,
        pieces: &[Piece<'_>],
        origin: Origin,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut run = Run { parser: self, origin, sink, rescues: 0, failure: None };
        for piece in pieces {
            run.piece(*piece, 0);
        }
        run.failure.map_or(Ok(()), Err)
    }

    /// Parses one record as delivered, for a search that returns it. The text is the record's, or its
    /// repaired form.
    pub fn parse_record<'a>(&mut self, raw: &'a [u8]) -> Option<(&Event, Cow<'a, [u8]>)> {
        let repaired = match fill(&mut self.event, &mut self.json, raw) {
            Ok(()) => None,
            Err(_) => {
                let repaired = repair(raw)?;
                fill(&mut self.event, &mut self.json, &repaired.bytes).ok()?;
                Some(repaired.bytes)
            }
        };
        Arc::get_mut(&mut self.event)?.finish(Micros(0));
        Some((&self.event, repaired.map_or(Cow::Borrowed(raw), Cow::Owned)))
    }

    /// Calls `visit` with every string of a record and its path, whole; a record that needs repair is
    /// repaired first.
    pub fn each_string(&mut self, raw: &[u8], mut visit: impl FnMut(&str, &str)) {
        let event = exclusive(&mut self.event);
        event.clear();
        let mut walk = |bytes: &[u8]| {
            self.json.each_leaf(
                bytes,
                PathId::ROOT,
                &mut |event: &mut Event, parent, key| event.path(parent, key),
                &mut |event: &mut Event, path, scalar| {
                    if let Scalar::Str(text) = scalar {
                        visit(event.path_text(path), text);
                    }
                },
                event,
            )
        };
        if walk(raw).is_err()
            && let Some(repaired) = repair(raw)
        {
            let _ = walk(&repaired.bytes);
        }
    }
}

/// One file being parsed.
struct Run<'p, 's, S: Sink> {
    parser: &'p mut Parser,
    origin: Origin,
    sink: &'s mut S,
    rescues: u32,
    failure: Option<S::Error>,
}

impl<S: Sink> Run<'_, '_, S> {
    /// Takes a piece of the file; `base` is the offset of the bytes it was found in.
    fn piece(&mut self, piece: Piece<'_>, base: usize) {
        if self.failure.is_some() {
            return;
        }
        match piece {
            Piece::Record { offset, bytes, is_listed } => {
                self.record(base + offset, bytes, is_listed);
            }
            Piece::Escaped { offset, content } => match self.parser.json.unescape(content) {
                Ok(record) => self.record(base + offset, &record, false),
                Err(fault) => self.reject(base + offset + fault.at, fault.reason),
            },
            Piece::Broken { offset, reason } => self.reject(base + offset, reason.to_owned()),
        }
    }

    fn record(&mut self, offset: usize, bytes: &[u8], is_listed: bool) {
        let Parser { event, json } = &mut *self.parser;
        let mut flags = Flags::default();
        if let Err(fault) = fill(event, json, bytes) {
            let repaired = repair(bytes)
                .and_then(|repaired| fill(event, json, &repaired.bytes).ok().map(|()| repaired));
            match repaired {
                Some(Repaired { flags: repairs, .. }) => flags = repairs,
                None => return self.broken_record(offset, bytes, fault),
            }
        }
        let event = exclusive(&mut self.parser.event);
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
        self.failure = self.sink.event(&self.parser.event).err();
    }

    /// Reports a record that cannot be read, and looks for neighbours that it swallowed.
    fn broken_record(&mut self, offset: usize, bytes: &[u8], fault: Fault) {
        self.reject(offset + fault.at, fault.reason);
        self.rescues += 1;
        if self.rescues <= RESCUES_MAX {
            split::split_after_broken(bytes, &mut |piece| self.piece(piece, offset));
        }
    }

    fn reject(&mut self, offset: usize, reason: String) {
        self.sink.reject(Reject { offset: offset as u64, reason });
    }
}

/// The event, which nobody else holds between records.
fn exclusive(event: &mut Arc<Event>) -> &mut Event {
    if Arc::get_mut(event).is_none() {
        *event = Arc::default();
    }
    Arc::get_mut(event).expect("an event that was just made has one owner")
}

/// Parses a record into the event, without finishing it.
fn fill(event: &mut Arc<Event>, json: &mut Json, bytes: &[u8]) -> Result<(), Fault> {
    let event = exclusive(event);
    event.clear();
    json.each_leaf(
        bytes,
        PathId::ROOT,
        &mut |event: &mut Event, parent, key| event.path(parent, key),
        &mut |event: &mut Event, path, scalar| event.add(path, scalar),
        event,
    )
}

/// Why bytes are not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    at: usize,
    reason: String,
}

/// simd-json with its buffers.
struct Json {
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    stack: Vec<Frame>,
}

/// An object or array that the walk is in.
struct Frame {
    /// Index of the node after it.
    end: usize,
    path: PathId,
    is_object: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            buffers: Buffers::with_max_depth(4 << 10, NESTING_MAX),
            tape: Tape(Vec::new()),
            stack: Vec::new(),
        }
    }
}

impl Json {
    /// Parses one object and calls `leaf` with each of its scalars but nulls, in order.
    fn each_leaf<C>(
        &mut self,
        bytes: &[u8],
        root: PathId,
        child: &mut impl FnMut(&mut C, PathId, &str) -> PathId,
        leaf: &mut impl FnMut(&mut C, PathId, Scalar<'_>),
        context: &mut C,
    ) -> Result<(), Fault> {
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Fault { at: 0, reason: "not JSON: a record begins with '{'".to_owned() });
        }
        self.with_tape(bytes, |nodes, stack| {
            if !matches!(nodes.first(), Some(Node::Object { .. })) {
                return Err(Fault { at: 0, reason: "not a JSON object".to_owned() });
            }
            walk(nodes, stack, root, child, leaf, context);
            Ok(())
        })?
    }

    /// The text of a JSON string, given what is between its quotes.
    fn unescape(&mut self, content: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut quoted = Vec::with_capacity(content.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(content);
        quoted.push(b'"');
        self.with_tape(&quoted, |nodes, _| match nodes {
            [Node::String(text)] => Ok(text.as_bytes().to_vec()),
            _ => Err(Fault { at: 0, reason: "not a JSON string".to_owned() }),
        })?
    }

    fn with_tape<R>(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&[Node<'_>], &mut Vec<Frame>) -> R,
    ) -> Result<R, Fault> {
        self.text.clear();
        self.text.extend_from_slice(bytes);
        self.text.resize(bytes.len() + INPUT_PADDING, b' ');
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed =
            simd_json::fill_tape_padded(&mut self.text, bytes.len(), &mut self.buffers, &mut tape);
        let result = match parsed {
            Ok(()) => Ok(read(&tape.0, &mut self.stack)),
            Err(error) => Err(Fault {
                at: error.index().min(bytes.len()),
                reason: format!("not JSON: {}", spaced(&format!("{:?}", error.error()))),
            }),
        };
        self.tape = tape.reset();
        result
    }
}

fn walk<C>(
    nodes: &[Node<'_>],
    stack: &mut Vec<Frame>,
    root: PathId,
    child: &mut impl FnMut(&mut C, PathId, &str) -> PathId,
    leaf: &mut impl FnMut(&mut C, PathId, Scalar<'_>),
    context: &mut C,
) {
    stack.clear();
    let mut at = 0;
    let mut path = root;
    while at < nodes.len() {
        while stack.last().is_some_and(|frame| frame.end == at) {
            stack.pop();
        }
        if let Some(frame) = stack.last() {
            path = frame.path;
            if frame.is_object {
                if let Node::String(key) = nodes[at] {
                    path = child(context, path, key);
                }
                at += 1;
            }
        }
        match nodes[at] {
            Node::Object { count, .. } => {
                stack.push(Frame { end: at + 1 + count, path, is_object: true });
            }
            Node::Array { count, .. } => {
                stack.push(Frame { end: at + 1 + count, path, is_object: false });
            }
            Node::String(text) => leaf(context, path, Scalar::Str(text)),
            Node::Static(StaticNode::Null) => {}
            Node::Static(StaticNode::Bool(b)) => leaf(context, path, Scalar::Bool(b)),
            Node::Static(StaticNode::I64(n)) => leaf(context, path, Scalar::I64(n)),
            Node::Static(StaticNode::U64(n)) => leaf(context, path, Scalar::U64(n)),
            Node::Static(StaticNode::F64(n)) => leaf(context, path, Scalar::F64(n)),
        }
        at += 1;
    }
}

/// simd-json names its errors by an enum's variants: `ExpectedMapComma` reads `expected map comma`.
fn spaced(variant: &str) -> String {
    let mut text = String::with_capacity(variant.len() + 8);
    for c in variant.chars() {
        if c.is_ascii_uppercase() && text.ends_with(|c: char| c.is_ascii_lowercase()) {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::columns;

    #[derive(Default)]
    struct Collected {
        events: Vec<String>,
        rejects: Vec<String>,
    }

    impl Sink for Collected {
        type Error = std::convert::Infallible;

        fn event(&mut self, event: &Arc<Event>) -> Result<(), Self::Error> {
            let name = event.column(columns::EVENT_NAME);
            let flags = event.flags.names().join(" ");
            assert!(!event.raw.is_empty());
            self.events.push(format!("{} {name} {flags}", event.offset).trim_end().to_owned());
            Ok(())
        }

        fn reject(&mut self, reject: Reject) {
            self.rejects.push(format!("{} {}", reject.offset, reject.reason));
        }
    }

    #[track_caller]
    fn check(text: &str, events: &[&str], rejects: &[&str]) {
        let mut collected = Collected::default();
        let origin = Origin { time: Micros(1), ..Origin::default() };
        Parser::default()
            .parse_file(&split::collect(text.as_bytes()).0, origin, &mut collected)
            .unwrap();
        assert_eq!(collected.events, events);
        assert_eq!(collected.rejects, rejects);
    }

    const TIME: &str = r#""eventTime":"2023-01-01T00:00:00Z""#;

    #[test]
    fn records_are_read_with_their_offsets() {
        check(
            &format!(r#"{{"Records":[{{"eventName":"A",{TIME}}},{{"eventName":"B",{TIME}}}]}}"#),
            &["12 A", "65 B"],
            &[],
        );
    }

    #[test]
    fn stray_commas_are_repaired_and_flagged() {
        check(&format!(r#"{{"a":{{"b":1,}},"eventName":"A",,{TIME}}}"#), &["0 A repaired"], &[]);
    }

    #[test]
    fn a_record_that_cannot_be_repaired_costs_no_neighbour() {
        check(
            &format!(
                r#"{{"Records":[{{"eventName":"A",{TIME}}},{{"eventName":tru}},{{"eventName":"C",{TIME}}}]}}"#
            ),
            &["12 A", "83 C"],
            &["78 not JSON: expected true"],
        );
    }

    #[test]
    fn neighbours_swallowed_by_a_missing_brace_are_found() {
        check(
            &format!(
                r#"{{"Records":[{{"eventName":{{"x":1,{TIME}}},{{"eventName":"B",{TIME}}},{{"eventName":"C",{TIME}}}]}}"#
            ),
            &["68 B", "121 C"],
            &["68 not JSON: expected object key"],
        );
    }

    #[test]
    fn an_escaped_record_is_read() {
        check(
            r#"{"Events":[{"CloudTrailEvent":"{\"eventName\":\"A\",\"eventTime\":\"2023-01-01T00:00:00Z\"}"}]}"#,
            &["31 A"],
            &[],
        );
        check(
            r#"{"logEvents":[{"message":"START RequestId"}]}"#,
            &[],
            &["26 not JSON: a record begins with '{'"],
        );
    }

    #[test]
    fn other_json_is_not_taken_for_a_record() {
        check(
            r#"{"name":"package","version":"1.0"}"#,
            &[],
            &[
                "0 not a CloudTrail record: it has none of eventName, eventSource, eventID, eventTime, \
               eventVersion and userIdentity",
            ],
        );
        check(r#"{"Records":[{"odd":1}]}"#, &["12  time-from-file"], &[]);
    }

    #[test]
    fn nesting_beyond_the_bound_is_rejected_not_followed() {
        let deep = format!("{{\"eventName\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let mut collected = Collected::default();
        Parser::default()
            .parse_file(&split::collect(deep.as_bytes()).0, Origin::default(), &mut collected)
            .unwrap();
        assert_eq!(collected.events, [""; 0]);
        assert_eq!(collected.rejects.len(), 1, "{:?}", collected.rejects);
    }

    #[test]
    fn records_of_a_second_member_are_flagged() {
        let text = format!("{{\"eventName\":\"A\",{TIME}}}\n{{\"eventName\":\"B\",{TIME}}}");
        let mut collected = Collected::default();
        let origin = Origin { second_member: Some(10), ..Origin::default() };
        Parser::default()
            .parse_file(&split::collect(text.as_bytes()).0, origin, &mut collected)
            .unwrap();
        assert_eq!(collected.events, ["0 A", "53 B second-member"]);
    }

    #[test]
    fn every_string_is_visited_whole_with_its_path() {
        let long = "x".repeat(10_000);
        let text = format!(r#"{{"a":[{{"b":"{long}"}}],"eventName":"N",}}"#);
        let mut seen = Vec::new();
        Parser::default().each_string(text.as_bytes(), |path, text| {
            seen.push((path.to_owned(), text.len()));
        });
        assert_eq!(seen, [("a\u{1}b".to_owned(), 10_000), ("eventName".to_owned(), 1)]);
    }
}
