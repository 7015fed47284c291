//! The one form of a record's content, which its hash is of. See [`crate::content`].
//!
//! ```text
//! null, true, false   n  t  f
//! number              #  length  as it is written
//! text                "  length  UTF-8, without escapes
//! array               [  how many  the values
//! object              {  how many  for each member: length of the key, key, value
//! ```
//! Lengths and counts are varints. Members are in the order of their keys' bytes; values of one key
//! are in the order of the record. Pure.

use std::io::Write as _;

use simd_json::{Node, StaticNode};

use crate::content::{ContentHash, Numbers};

/// Buffers, which are used again for each record.
#[derive(Default)]
pub(super) struct Canonical {
    form: Vec<u8>,
    members: Vec<Member>,
}

/// A member of an object that is being written.
#[derive(Clone, Copy)]
struct Member {
    /// The first eight bytes of the key, padded with zeros: as a rule they decide the order.
    start: u64,
    /// The key's place in the tape.
    at: usize,
}

impl Canonical {
    /// Hashes a record by its tape.
    pub(super) fn hash(&mut self, nodes: &[Node<'_>], written: &mut Written<'_>) -> ContentHash {
        self.form.clear();
        self.members.clear();
        let Self { form, members } = self;
        Form { nodes, written, form, members }.value(0);
        ContentHash::of_form(&self.form)
    }
}

/// Numbers as they are written in the text that a tape was made of.
pub(super) struct Written<'j> {
    json: &'j [u8],
    /// Places in the tape of the numbers that the tape does not hold as they are written, with their
    /// texts; found when one is asked for.
    numbers: Option<Vec<(usize, &'j [u8])>>,
}

impl<'j> Written<'j> {
    pub(super) fn of(json: &'j [u8]) -> Self {
        Self { json, numbers: None }
    }

    /// The text of a number that can be written in several ways, by its place in the tape.
    fn bytes(&mut self, nodes: &[Node<'_>], at: usize) -> &'j [u8] {
        let numbers = self.numbers.get_or_insert_with(|| texts(nodes, self.json));
        numbers.binary_search_by_key(&at, |(at, _)| *at).map_or(&[], |place| numbers[place].1)
    }

    /// The same as a text.
    pub(super) fn text(&mut self, nodes: &[Node<'_>], at: usize) -> &'j str {
        std::str::from_utf8(self.bytes(nodes, at)).unwrap_or_default()
    }
}

struct Form<'f, 'n, 'j> {
    nodes: &'f [Node<'n>],
    written: &'f mut Written<'j>,
    form: &'f mut Vec<u8>,
    members: &'f mut Vec<Member>,
}

impl Form<'_, '_, '_> {
    /// Writes the value at a place of the tape; returns the place behind it. It calls itself at most
    /// as deep as a record is nested, which the parser bounds.
    fn value(&mut self, at: usize) -> usize {
        match self.nodes[at] {
            Node::Object { len, count } => {
                self.object(at + 1, len);
                at + 1 + count
            }
            Node::Array { len, count } => {
                self.form.push(b'[');
                self.length(len);
                let mut item = at + 1;
                for _ in 0..len {
                    item = self.value(item);
                }
                at + 1 + count
            }
            Node::String(text) => {
                self.form.push(b'"');
                self.bytes(text.as_bytes());
                at + 1
            }
            Node::Static(value) => {
                self.leaf(at, value);
                at + 1
            }
        }
    }

    /// Writes an object whose first key is at a place.
    fn object(&mut self, first: usize, len: usize) {
        self.form.push(b'{');
        self.length(len);
        let begin = self.members.len();
        let mut at = first;
        for _ in 0..len {
            self.members.push(Member { start: start_of(key(self.nodes, at)), at });
            at += match self.nodes[at + 1] {
                Node::Object { count, .. } | Node::Array { count, .. } => 2 + count,
                Node::String(_) | Node::Static(_) => 2,
            };
        }
        let nodes = self.nodes;
        self.members[begin..].sort_unstable_by(|a, b| {
            let by_key = || key(nodes, a.at).as_bytes().cmp(key(nodes, b.at).as_bytes());
            a.start.cmp(&b.start).then_with(by_key).then(a.at.cmp(&b.at))
        });
        for n in begin..begin + len {
            let at = self.members[n].at;
            self.bytes(key(nodes, at).as_bytes());
            self.value(at + 1);
        }
        self.members.truncate(begin);
    }

    fn leaf(&mut self, at: usize, value: StaticNode) {
        match value {
            StaticNode::Null => self.form.push(b'n'),
            StaticNode::Bool(true) => self.form.push(b't'),
            StaticNode::Bool(false) => self.form.push(b'f'),
            StaticNode::I64(n) if has_one_spelling(n) => self.number(format_args!("{n}")),
            StaticNode::U64(n) => self.number(format_args!("{n}")),
            StaticNode::I64(_) | StaticNode::F64(_) => {
                let text = self.written.bytes(self.nodes, at);
                self.form.push(b'#');
                self.bytes(text);
            }
        }
    }

    fn number(&mut self, number: std::fmt::Arguments<'_>) {
        // A whole number of 64 bits has 20 characters at most: one byte tells how many.
        self.form.extend_from_slice(b"#\0");
        let start = self.form.len();
        self.form.write_fmt(number).expect("writing to a Vec cannot fail");
        self.form[start - 1] = (self.form.len() - start) as u8;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.form.extend_from_slice(bytes);
    }

    fn length(&mut self, mut length: usize) {
        while length > 0x7F {
            self.form.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.form.push(length as u8);
    }
}

/// Whether JSON writes this number in one way only. Zero is the exception: `-0` parses to 0 too.
fn has_one_spelling(n: i64) -> bool {
    n != 0
}

/// The texts of the numbers of a tape that can be written in several ways.
fn texts<'j>(nodes: &[Node<'_>], json: &'j [u8]) -> Vec<(usize, &'j [u8])> {
    let mut numbers = Numbers::of(json);
    let mut texts = Vec::new();
    let mut passed = 0;
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::Static(StaticNode::I64(n)) if has_one_spelling(*n) => passed += 1,
            Node::Static(StaticNode::U64(_)) => passed += 1,
            Node::Static(StaticNode::I64(_) | StaticNode::F64(_)) => {
                texts.push((at, numbers.nth(std::mem::take(&mut passed)).unwrap_or_default()));
            }
            _ => {}
        }
    }
    texts
}

/// The key at a place of the tape.
fn key<'n>(nodes: &[Node<'n>], at: usize) -> &'n str {
    match nodes[at] {
        Node::String(key) => key,
        _ => "",
    }
}

fn start_of(key: &str) -> u64 {
    match key.as_bytes().first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first[..key.len()].copy_from_slice(key.as_bytes());
            u64::from_be_bytes(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a form back; what can be read back was written of one content only.
    struct Reader<'a>(&'a [u8]);

    impl<'a> Reader<'a> {
        fn take(&mut self, length: usize) -> &'a [u8] {
            let (taken, rest) = self.0.split_at(length);
            self.0 = rest;
            taken
        }

        fn length(&mut self) -> usize {
            let mut length = 0;
            for shift in (0..).step_by(7) {
                let byte = self.take(1)[0];
                length |= usize::from(byte & 0x7F) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            length
        }

        fn text(&mut self) -> String {
            let length = self.length();
            String::from_utf8(self.take(length).to_vec()).unwrap()
        }

        /// The value as JSON without white space, its members sorted.
        fn value(&mut self) -> String {
            match self.take(1)[0] {
                b'n' => "null".to_owned(),
                b't' => "true".to_owned(),
                b'f' => "false".to_owned(),
                b'#' => self.text(),
                b'"' => serde_json::to_string(&self.text()).unwrap(),
                b'[' => {
                    let items: Vec<String> = (0..self.length()).map(|_| self.value()).collect();
                    format!("[{}]", items.join(","))
                }
                b'{' => {
                    let count = self.length();
                    let mut member = |_| {
                        let key = serde_json::to_string(&self.text()).unwrap();
                        format!("{key}:{}", self.value())
                    };
                    let members: Vec<String> = (0..count).map(&mut member).collect();
                    format!("{{{}}}", members.join(","))
                }
                kind => panic!("{kind}"),
            }
        }
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let mut text = json.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut text).unwrap();
        let mut canonical = Canonical::default();
        for _ in 0..2 {
            canonical.hash(&tape.0, &mut Written::of(json.as_bytes()));
        }
        let mut reader = Reader(&canonical.form);
        assert_eq!(reader.value(), expected);
        assert!(reader.0.is_empty());
    }

    #[test]
    fn a_form_can_be_read_back() {
        check("{}", "{}");
        check(
            r#"{ "eventTime": "t", "eventTimeA": 1, "eventTim": 2, "é": [], "event": {"b":null, "a":[true,false,{}]} }"#,
            r#"{"event":{"a":[true,false,{}],"b":null},"eventTim":2,"eventTime":"t","eventTimeA":1,"é":[]}"#,
        );
        check(
            r#"{"b":[0,-0,1,-0.0,1.50,9223372036854775808,-9223372036854775808,1e5,18446744073709551616],"a":0}"#,
            r#"{"a":0,"b":[0,-0,1,-0.0,1.50,9223372036854775808,-9223372036854775808,1e5,18446744073709551616]}"#,
        );
        check(r#"{"b":1,"a":"x","b":2,"a":"\u0041\/\n"}"#, r#"{"a":"x","a":"A/\n","b":1,"b":2}"#);
        let long = "x".repeat(300);
        let many = vec!["0"; 200].join(",");
        check(
            &format!(r#"{{"{long}":"{long}","a":[{many}]}}"#),
            &format!(r#"{{"a":[{many}],"{long}":"{long}"}}"#),
        );
    }
}
