//! One JSON text: its tape, and a walk over the scalars of it and of the policies that travel inside. This
//! file and `canonical.rs` are the only ones that know simd-json.
//!
//! A text is copied before it is parsed, because simd-json rewrites its input. Pure, but for the buffers
//! it reuses.

use std::borrow::Cow;

use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, StaticNode, Tape};

use super::canonical::{Canonical, Written};
use crate::content::ContentHash;
use crate::flat::Scalar;
use crate::limits::NESTING_MAX;
use crate::paths::PathId;
use crate::repair::quote_huge_numbers;

/// Why a text that begins otherwise is no record.
pub(super) const NO_OBJECT: &str = "not JSON: a record begins with '{'";

/// Takes what a walk over a record finds.
pub(crate) trait Visitor {
    /// Whether the content's hash is wanted.
    const IS_HASHED: bool = false;
    /// The path of `key` under `parent`.
    fn child(&mut self, parent: PathId, key: &str) -> PathId;
    /// A scalar that is not null.
    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>);
    /// A key of the object at a place of the tape; `path` is below `parent`.
    fn key(&mut self, _object: usize, _parent_and_path: (PathId, PathId), _key: &str) {}
    /// Whether an object may have a key twice.
    fn may_have_twice(&self) -> bool {
        false
    }
    /// An object has a key twice.
    fn has_twice(&mut self) {}
    /// Forgets the scalars, because they are told once more.
    fn forget(&mut self) {}
    /// A scalar below a key that another overrides.
    fn overridden_leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.leaf(path, scalar);
    }
}

/// Visits as `inner` does, and keeps the texts that may be policies, with their paths.
struct WithPolicies<'v, V> {
    inner: &'v mut V,
    /// The path of `userIdentity`, which some exports write as a text.
    identity: Option<PathId>,
    texts: Vec<Text>,
}

/// A text that may be a policy.
struct Text {
    path: PathId,
    json: Vec<u8>,
    is_overridden: bool,
}

impl<V: Visitor> WithPolicies<'_, V> {
    fn take(&mut self, path: PathId, scalar: Scalar<'_>, is_overridden: bool) {
        if let Scalar::Str(text) = scalar
            && let Some(json) = object_in(text)
        {
            self.texts.push(Text { path, json: json.into_owned(), is_overridden });
        }
    }
}

impl<V: Visitor> Visitor for WithPolicies<'_, V> {
    const IS_HASHED: bool = V::IS_HASHED;

    fn key(&mut self, object: usize, parent_and_path: (PathId, PathId), key: &str) {
        self.inner.key(object, parent_and_path, key);
    }

    fn may_have_twice(&self) -> bool {
        self.inner.may_have_twice()
    }

    fn has_twice(&mut self) {
        self.inner.has_twice();
    }

    fn forget(&mut self) {
        self.texts.clear();
        self.inner.forget();
    }

    fn overridden_leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.take(path, scalar, true);
        self.inner.overridden_leaf(path, scalar);
    }

    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        let path = self.inner.child(parent, key);
        if parent == PathId::ROOT && key == "userIdentity" {
            self.identity = Some(path);
        }
        path
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.take(path, scalar, false);
        self.inner.leaf(path, scalar);
    }
}

/// Visits what lies below a path.
struct Below<'v, V> {
    inner: &'v mut V,
    path: PathId,
    is_overridden: bool,
}

impl<V: Visitor> Visitor for Below<'_, V> {
    fn child(&mut self, parent: PathId, key: &str) -> PathId {
        self.inner.child(if parent == PathId::ROOT { self.path } else { parent }, key)
    }

    fn leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        if self.is_overridden {
            self.inner.overridden_leaf(path, scalar);
        } else {
            self.inner.leaf(path, scalar);
        }
    }

    fn overridden_leaf(&mut self, path: PathId, scalar: Scalar<'_>) {
        self.inner.overridden_leaf(path, scalar);
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
pub(crate) struct JsonFault {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

/// simd-json with its buffers.
pub(crate) struct Json {
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    stack: Vec<Frame>,
    canonical: Canonical,
}

/// An object or array that the walk is in.
struct Frame {
    /// Index of its node, and of the node after it.
    start: usize,
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
            canonical: Canonical::default(),
        }
    }
}

impl Json {
    /// Walks over a record and then over the policies that travel in its texts, and an identity that does,
    /// whose fields lie below the text's path. The hash is of the record as it is.
    pub(crate) fn walk_whole<V: Visitor>(
        &mut self,
        bytes: &[u8],
        visitor: &mut V,
    ) -> Result<ContentHash, JsonFault> {
        let mut outer = WithPolicies { inner: visitor, identity: None, texts: Vec::new() };
        let content = self.walk(bytes, &mut outer)?;
        let WithPolicies { identity, texts, .. } = outer;
        for Text { path, json, is_overridden } in texts {
            let mut below = Below { inner: visitor, path, is_overridden };
            // A text that is not JSON stays a text.
            let _ = self.with_tape(&json, |nodes, stack, _, json| {
                if !is_policy(nodes) && Some(path) != identity {
                    return;
                }
                let (overridden, mut written) = (overridden(nodes), Written::of(json));
                if overridden.is_empty() {
                    walk(nodes, &mut written, stack, &mut below);
                } else {
                    below.inner.has_twice();
                    walk_again(nodes, &mut written, &overridden, &mut below);
                }
            });
        }
        Ok(content)
    }

    /// Parses one object and walks over its scalars, in order. Returns the hash of its content, where
    /// the visitor wants it.
    fn walk<V: Visitor>(
        &mut self,
        bytes: &[u8],
        visitor: &mut V,
    ) -> Result<ContentHash, JsonFault> {
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(JsonFault { at: 0, reason: NO_OBJECT.to_owned() });
        }
        self.with_tape(bytes, |nodes, stack, canonical, json| {
            if !matches!(nodes.first(), Some(Node::Object { .. })) {
                return Err(JsonFault { at: 0, reason: "not a JSON object".to_owned() });
            }
            let mut written = Written::of(json);
            walk(nodes, &mut written, stack, visitor);
            if visitor.may_have_twice() {
                let overridden = overridden(nodes);
                if !overridden.is_empty() {
                    visitor.has_twice();
                    visitor.forget();
                    walk_again(nodes, &mut written, &overridden, visitor);
                }
            }
            Ok(match V::IS_HASHED {
                false => ContentHash::default(),
                true if std::ptr::eq(json, bytes) => canonical.hash(nodes, &mut written),
                // `1e400` is read as the text `"1e400"`, which is another content: the hash is of the bytes.
                true => ContentHash::of_bytes(bytes),
            })
        })?
    }

    /// Bytes of the longest text so far; what else it holds is in proportion.
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity()
    }

    /// The text of a JSON string, given what is between its quotes.
    pub(crate) fn unescape(&mut self, content: &[u8]) -> Result<Vec<u8>, JsonFault> {
        let mut quoted = Vec::with_capacity(content.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(content);
        quoted.push(b'"');
        self.with_tape(&quoted, |nodes, _, _, _| match nodes {
            [Node::String(text)] => Ok(text.as_bytes().to_vec()),
            _ => Err(JsonFault { at: 0, reason: "not a JSON string".to_owned() }),
        })?
    }

    /// Hands the tape of a JSON text to `read`, and the text it was made of: that of `bytes`, or one with
    /// numbers beyond what 64 bits can hold as texts, because simd-json takes them for no JSON.
    fn with_tape<R>(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&[Node<'_>], &mut Vec<Frame>, &mut Canonical, &[u8]) -> R,
    ) -> Result<R, JsonFault> {
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
        Err(JsonFault {
            at: error.index().min(bytes.len()),
            reason: format!("not JSON: {}", spaced(&format!("{:?}", error.error()))),
        })
    }

    /// Hands the tape of a JSON text to what is in `read`, if it has one.
    fn try_tape<R>(
        &mut self,
        bytes: &[u8],
        read: &mut Option<impl FnOnce(&[Node<'_>], &mut Vec<Frame>, &mut Canonical, &[u8]) -> R>,
    ) -> Result<R, simd_json::Error> {
        self.text.clear();
        self.text.extend_from_slice(bytes);
        self.text.resize(bytes.len() + INPUT_PADDING, b' ');
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed =
            simd_json::fill_tape_padded(&mut self.text, bytes.len(), &mut self.buffers, &mut tape);
        let result = parsed.map(|()| {
            let read = read.take().expect("a text that has a tape is the last that is tried");
            read(&tape.0, &mut self.stack, &mut self.canonical, bytes)
        });
        self.tape = tape.reset();
        result
    }
}

/// Walks over a tape.
fn walk<V: Visitor>(
    nodes: &[Node<'_>],
    written: &mut Written<'_>,
    stack: &mut Vec<Frame>,
    visitor: &mut V,
) {
    stack.clear();
    let mut at = 0;
    loop {
        while stack.pop_if(|frame| frame.end == at).is_some() {}
        if at == nodes.len() {
            return;
        }
        let mut path = PathId::ROOT;
        if let Some(frame) = stack.last() {
            path = frame.path;
            if frame.is_object {
                if let Node::String(key) = nodes[at] {
                    let parent = path;
                    path = visitor.child(parent, key);
                    visitor.key(frame.start, (parent, path), key);
                }
                at += 1;
            }
        }
        match nodes[at] {
            Node::Object { count, .. } => {
                stack.push(Frame { start: at, end: at + 1 + count, path, is_object: true });
            }
            Node::Array { count, .. } => {
                stack.push(Frame { start: at, end: at + 1 + count, path, is_object: false });
            }
            Node::String(text) => visitor.leaf(path, Scalar::Str(text)),
            Node::Static(value) => {
                if let Some(scalar) = scalar(value, || written.text(nodes, at)) {
                    visitor.leaf(path, scalar);
                }
            }
        }
        at += 1;
    }
}

/// The places of keys that others override, in order: those that come again in their object, and those with
/// dots beside their nested form.
fn overridden(nodes: &[Node<'_>]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut keys = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let Node::Object { len, .. } = node else { continue };
        keys.clear();
        let mut at = at + 1;
        for _ in 0..*len {
            if let Node::String(key) = nodes[at] {
                keys.push((key, at));
            }
            at += 1 + count(&nodes[at + 1]);
        }
        keys.sort_unstable_by(|(a, at_a), (b, at_b)| {
            by_parts(a).cmp(by_parts(b)).then(at_a.cmp(at_b))
        });
        let twice = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        places.extend(twice.map(|pair| pair[0].1));
        // The key whose nested form those behind it may have.
        let mut nested = None;
        for (key, at) in &keys {
            let is_below =
                |nested: &str| key.strip_prefix(nested).is_some_and(|rest| rest.starts_with('.'));
            let has_members =
                |at: usize| matches!(nodes[at + 1], Node::Object { .. } | Node::Array { .. });
            if nested.is_some_and(is_below) {
                places.push(*at);
            } else {
                nested = Some(*key).filter(|key| !key.is_empty() && has_members(*at));
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// A key in an order in which it stands before those that it is the first part of, and nothing is between.
fn by_parts(key: &str) -> impl Iterator<Item = u16> {
    key.bytes().map(|byte| if byte == b'.' { 0 } else { u16::from(byte) + 1 })
}

/// Walks over a tape once more, and tells the scalars below keys that are overridden from the others.
fn walk_again<V: Visitor>(
    nodes: &[Node<'_>],
    written: &mut Written<'_>,
    overridden: &[usize],
    visitor: &mut V,
) {
    let mut overridden = overridden.iter().copied().peekable();
    // Where what is overridden ends.
    let mut until = 0;
    let mut stack: Vec<(usize, PathId, bool)> = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        while stack.pop_if(|(end, ..)| *end == at).is_some() {}
        let mut path = PathId::ROOT;
        if let Some((_, parent, is_object)) = stack.last().copied() {
            path = parent;
            if is_object {
                if let Node::String(key) = nodes[at] {
                    path = visitor.child(parent, key);
                }
                at += 1;
                if overridden.next_if_eq(&(at - 1)).is_some() {
                    until = until.max(at + count(&nodes[at]));
                }
            }
        }
        let scalar = match nodes[at] {
            Node::Object { .. } | Node::Array { .. } => {
                let is_object = matches!(nodes[at], Node::Object { .. });
                stack.push((at + count(&nodes[at]), path, is_object));
                None
            }
            Node::String(text) => Some(Scalar::Str(text)),
            Node::Static(value) => scalar(value, || written.text(nodes, at)),
        };
        match scalar {
            Some(scalar) if at < until => visitor.overridden_leaf(path, scalar),
            Some(scalar) => visitor.leaf(path, scalar),
            None => {}
        }
        at += 1;
    }
}

/// The nodes of a value, its own among them.
fn count(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        _ => 1,
    }
}

fn scalar<'w>(value: StaticNode, written: impl FnOnce() -> &'w str) -> Option<Scalar<'w>> {
    match value {
        StaticNode::Null => None,
        StaticNode::Bool(b) => Some(Scalar::Bool(b)),
        StaticNode::I64(n) => Some(Scalar::I64(n)),
        StaticNode::U64(n) => Some(Scalar::U64(n)),
        StaticNode::F64(n) => Some(Scalar::F64(n, written())),
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
