//! Record spans to events: parses each record by itself with simd-json's tape, repairs what can be
//! repaired, and says of the rest where and why. The only file that knows simd-json.
//!
//! A record's bytes are copied before they are parsed, because simd-json rewrites its input and the
//! original is what searches return. Pure, but for the buffers it reuses.

use std::borrow::Cow;
use std::sync::Arc;

use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, StaticNode, Tape};

use super::repair::{Repaired, quote_huge_numbers, repair};
use super::split::{self, Piece};
use crate::api::proto::Reject;
use crate::event::Flags;
use crate::event::content::{self, Container, EventKey, Label, Numbers, Value};
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
    /// A record, which nobody else holds. A clone of the event must be gone when the call returns.
    fn event(&mut self, event: &mut Arc<Event>) -> Result<(), Self::Error>;
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
        Arc::get_mut(&mut self.event)?.finish(Micros(0));
        Some((&self.event, repaired.map_or(Cow::Borrowed(raw), Cow::Owned)))
    }

    /// The key of a record's event, as delivered: the same as when it was read from its file.
    pub fn key(&mut self, raw: &[u8]) -> Option<EventKey> {
        self.fill_as_delivered(raw).ok()?;
        let event = exclusive(&mut self.event);
        event.finish(Micros(0));
        Some(event.key())
    }

    /// Parses a record into the event, repaired if it needs be, without finishing it. Returns what was
    /// repaired.
    fn fill_as_delivered(&mut self, bytes: &[u8]) -> Result<Flags, Fault> {
        let Err(fault) = self.fill(bytes) else { return Ok(Flags::default()) };
        match repair(bytes).filter(|repaired| self.fill(&repaired.bytes).is_ok()) {
            Some(Repaired { flags, .. }) => {
                // Two that are broken in different ways may be repaired to the same text.
                exclusive(&mut self.event).content = content::of_bytes(bytes);
                Ok(flags)
            }
            None => Err(fault),
        }
    }

    /// Parses a record into the event, without finishing it.
    fn fill(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Self { event, json } = self;
        let event = cleared(event);
        event.content = json.walk_whole(bytes, &mut Fill::<true>(event))?;
        Ok(())
    }

    /// Calls `visit` with every scalar of a record and its path, texts whole; a record that needs repair
    /// is repaired first.
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
        let mut flags = match self.parser.fill_as_delivered(bytes) {
            Ok(flags) => flags,
            Err(fault) => return self.broken_record(offset, bytes, fault),
        };
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
        self.failure = self.sink.event(&mut self.parser.event).err();
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

/// The event, emptied for a record.
fn cleared(event: &mut Arc<Event>) -> &mut Event {
    let event = exclusive(event);
    event.clear();
    event
}

/// The event, which nobody else holds between records.
fn exclusive(event: &mut Arc<Event>) -> &mut Event {
    if Arc::get_mut(event).is_none() {
        *event = Arc::default();
    }
    Arc::get_mut(event).expect("an event that was just made has one owner")
}

/// Takes what a walk over a record finds.
trait Visitor {
    /// Whether the content's hash is wanted.
    const IS_HASHED: bool = false;
    /// The path of `key` under `parent`.
    fn child(&mut self, parent: PathId, key: &str) -> PathId;
    /// A scalar that is not null.
    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>);
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

/// Visits as `inner` does, and keeps the texts that may be policies, with their paths.
struct WithPolicies<'v, V> {
    inner: &'v mut V,
    texts: Vec<(PathId, Vec<u8>)>,
}

impl<V: Visitor> Visitor for WithPolicies<'_, V> {
    const IS_HASHED: bool = V::IS_HASHED;

    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        self.inner.child(parent, key)
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        if let Scalar::Str(text) = scalar
            && let Some(json) = object_in(text)
        {
            self.texts.push((path, json.into_owned()));
        }
        self.inner.leaf(path, scalar);
    }
}

/// Visits what lies below a path.
struct Below<'v, V> {
    inner: &'v mut V,
    path: PathId,
}

impl<V: Visitor> Visitor for Below<'_, V> {
    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        self.inner.child(if parent == PathId::ROOT { self.path } else { parent }, key)
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.inner.leaf(path, scalar);
    }
}

/// The JSON object that a text seems to be, plain or URL-encoded.
fn object_in(text: &str) -> Option<Cow<'_, [u8]>> {
    let is_encoded = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%7b"));
    if is_encoded {
        return Some(percent_encoding::percent_decode_str(text).into());
    }
    text.starts_with('{').then_some(Cow::Borrowed(text.as_bytes()))
}

/// Whether a tape is of a policy, or of one of its statements.
fn is_policy(nodes: &[Node<'_>]) -> bool {
    let Some(Node::Object { .. }) = nodes.first() else { return false };
    let mut keys = Vec::new();
    let mut at = 1;
    while let Some(Node::String(key)) = nodes.get(at) {
        keys.push(*key);
        at += match nodes.get(at + 1) {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 2,
            _ => 2,
        };
    }
    let has = |key| keys.contains(&key);
    has("Statement") || has("Effect") && (has("Action") || has("NotAction"))
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
    content: Container,
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
    /// Walks over a record and then over the policies that travel in its texts, whose fields lie below
    /// the text's path. The hash is of the record as it is.
    fn walk_whole<V: Visitor>(&mut self, bytes: &[u8], visitor: &mut V) -> Result<u128, Fault> {
        let mut outer = WithPolicies { inner: visitor, texts: Vec::new() };
        let content = self.walk(bytes, &mut outer)?;
        for (path, text) in outer.texts {
            let mut below = Below { inner: visitor, path };
            // A text that is none is a text, and nothing more.
            let _ = self.with_tape(&text, |nodes, stack, json| {
                if is_policy(nodes) {
                    walk(nodes, stack, &mut below, json);
                }
            });
        }
        Ok(content)
    }

    /// Parses one object and walks over its scalars, in order. Returns the hash of its content, where
    /// the visitor wants it.
    fn walk<V: Visitor>(&mut self, bytes: &[u8], visitor: &mut V) -> Result<u128, Fault> {
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Fault { at: 0, reason: "not JSON: a record begins with '{'".to_owned() });
        }
        self.with_tape(bytes, |nodes, stack, json| {
            if !matches!(nodes.first(), Some(Node::Object { .. })) {
                return Err(Fault { at: 0, reason: "not a JSON object".to_owned() });
            }
            let content = walk(nodes, stack, visitor, json);
            // A number that is read as a text is not the text.
            Ok(if std::ptr::eq(json, bytes) { content } else { content::of_bytes(bytes) })
        })?
    }

    /// The text of a JSON string, given what is between its quotes.
    fn unescape(&mut self, content: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut quoted = Vec::with_capacity(content.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(content);
        quoted.push(b'"');
        self.with_tape(&quoted, |nodes, _, _| match nodes {
            [Node::String(text)] => Ok(text.as_bytes().to_vec()),
            _ => Err(Fault { at: 0, reason: "not a JSON string".to_owned() }),
        })?
    }

    /// Hands the tape of a JSON text to `read`, and the text it was made of: that of `bytes`, or one with
    /// numbers beyond what 64 bits can hold as texts, because simd-json takes them for no JSON.
    fn with_tape<R>(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&[Node<'_>], &mut Vec<Frame>, &[u8]) -> R,
    ) -> Result<R, Fault> {
        let mut read = Some(read);
        let error = match self.try_tape(bytes, &mut read) {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        if matches!(error.error(), ErrorType::InvalidNumber)
            && let Some(quoted) = quote_huge_numbers(bytes)
            && let Ok(result) = self.try_tape(&quoted, &mut read)
        {
            return Ok(result);
        }
        Err(Fault {
            at: error.index().min(bytes.len()),
            reason: format!("not JSON: {}", spaced(&format!("{:?}", error.error()))),
        })
    }

    /// Hands the tape of a JSON text to what is in `read`, if it has one.
    fn try_tape<R>(
        &mut self,
        bytes: &[u8],
        read: &mut Option<impl FnOnce(&[Node<'_>], &mut Vec<Frame>, &[u8]) -> R>,
    ) -> Result<R, simd_json::Error> {
        self.text.clear();
        self.text.extend_from_slice(bytes);
        self.text.resize(bytes.len() + INPUT_PADDING, b' ');
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed =
            simd_json::fill_tape_padded(&mut self.text, bytes.len(), &mut self.buffers, &mut tape);
        let result = parsed.map(|()| {
            let read = read.take().expect("a text that has a tape is the last that is tried");
            read(&tape.0, &mut self.stack, bytes)
        });
        self.tape = tape.reset();
        result
    }
}

/// Walks over a tape; `json` is what it was made of.
fn walk<V: Visitor>(
    nodes: &[Node<'_>],
    stack: &mut Vec<Frame>,
    visitor: &mut V,
    json: &[u8],
) -> u128 {
    stack.clear();
    let mut numbers = NumberTexts { numbers: Numbers::of(json), behind: 0 };
    let mut content = 0;
    let mut at = 0;
    loop {
        while let Some(frame) = stack.pop_if(|frame| frame.end == at) {
            if V::IS_HASHED {
                add_to(stack, &mut content, frame.content.hash());
            }
        }
        if at == nodes.len() {
            return content;
        }
        let mut path = PathId::ROOT;
        let mut label = Label::ROOT;
        if let Some(frame) = stack.last() {
            path = frame.path;
            if V::IS_HASHED && !frame.is_object {
                label = frame.content.place();
            }
            if frame.is_object {
                if let Node::String(key) = nodes[at] {
                    path = visitor.child(path, key);
                    if V::IS_HASHED {
                        label = Container::key(key);
                    }
                }
                at += 1;
            }
        }
        match nodes[at] {
            Node::Object { count, .. } => {
                let content = Container::object(label);
                stack.push(Frame { end: at + 1 + count, path, is_object: true, content });
            }
            Node::Array { count, .. } => {
                let content = Container::array(label);
                stack.push(Frame { end: at + 1 + count, path, is_object: false, content });
            }
            Node::String(text) => {
                visitor.leaf(path, Scalar::Str(text));
                if V::IS_HASHED {
                    add_to(stack, &mut content, Value::Str(text).hash(label));
                }
            }
            Node::Static(value) => {
                if let Some(scalar) = scalar(value) {
                    visitor.leaf(path, scalar);
                }
                if V::IS_HASHED {
                    add_to(stack, &mut content, numbers.value(value).hash(label));
                }
            }
        }
        at += 1;
    }
}

/// Adds a member's hash to the container that it is in; the record itself is in none.
fn add_to(stack: &mut [Frame], record: &mut u128, hash: u128) {
    match stack.last_mut() {
        Some(frame) => frame.content.add(hash),
        None => *record = hash,
    }
}

fn scalar(value: StaticNode) -> Option<Scalar<'static>> {
    match value {
        StaticNode::Null => None,
        StaticNode::Bool(b) => Some(Scalar::Bool(b)),
        StaticNode::I64(n) => Some(Scalar::I64(n)),
        StaticNode::U64(n) => Some(Scalar::U64(n)),
        StaticNode::F64(n) => Some(Scalar::F64(n)),
    }
}

/// The texts of a record's numbers, found when one is asked for.
struct NumberTexts<'a> {
    numbers: Numbers<'a>,
    /// Numbers of the tape that were passed since the last one asked for.
    behind: usize,
}

impl<'a> NumberTexts<'a> {
    /// The tape's next value that is no text, as its content counts.
    fn value(&mut self, value: StaticNode) -> Value<'a> {
        match value {
            StaticNode::Null => Value::Null,
            StaticNode::Bool(b) => Value::Bool(b),
            StaticNode::I64(n) => {
                self.behind += 1;
                Value::I64(n)
            }
            StaticNode::U64(n) => {
                self.behind += 1;
                Value::U64(n)
            }
            StaticNode::F64(_) => {
                let behind = std::mem::take(&mut self.behind);
                Value::Number(self.numbers.nth(behind).unwrap_or_default())
            }
        }
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
mod tests;
