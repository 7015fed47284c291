//! What makes two records the same event: their id, and a hash of their content.
//!
//! White space, the order of keys and the way a text is escaped do not change the hash. A number
//! with a fraction or an exponent, or beyond 64 bits, is hashed as written, because a double could
//! not tell it from its neighbours.
//!
//! The hash of an object or array is the sum of its members' hashes, each seeded with the member's
//! label: its key, or its place in the array. So the order of keys does not matter, and the order
//! of elements does. Pure.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

/// The key of an event in the index. Two records with equal keys are one event; two with the same
/// `id` only are two events that claim the same `eventID`.
///
/// Among 30 million events, two different ones have equal keys with a probability of 10^-24, and
/// two ids are equal by chance with one of 10^-5, which costs a wrong flag and no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Hash of `recipientAccountId` and `eventID`; without an `eventID`, of the content.
    pub id: u64,
    /// Hash of the record's content.
    pub content: u64,
}

impl EventKey {
    pub(crate) fn new(account: &str, event_id: &str, content: u128) -> Self {
        let id = match event_id {
            "" => (content >> 64) as u64,
            event_id => id_hash(account, event_id),
        };
        Self { id, content: content as u64 }
    }
}

/// The `id` of an [`EventKey`], for an event that has an `eventID`.
pub fn id_hash(account: &str, event_id: &str) -> u64 {
    xxh3_64_with_seed(event_id.as_bytes(), xxh3_64(account.as_bytes()))
}

/// The content of bytes that are not JSON: the bytes themselves.
pub(crate) fn of_bytes(bytes: &[u8]) -> u128 {
    Value::Bytes(bytes).hash(Label::ROOT)
}

/// Where a value stands in the object or array that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(u64);

impl Label {
    /// The label of the record itself.
    pub(crate) const ROOT: Self = Self(0);
}

/// A value that holds no other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    /// A number that is no 64-bit integer, as it is written.
    Number(&'a [u8]),
    Str(&'a str),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    pub(crate) fn hash(self, label: Label) -> u128 {
        match self {
            Self::Null => seeded(label, Kind::Null, &[]),
            Self::Bool(b) => seeded(label, Kind::Bool, &[u8::from(b)]),
            Self::I64(n) => seeded(label, Kind::I64, &n.to_le_bytes()),
            Self::U64(n) => seeded(label, Kind::U64, &n.to_le_bytes()),
            Self::Number(text) => seeded(label, Kind::Number, text),
            Self::Str(text) => seeded(label, Kind::Str, text.as_bytes()),
            Self::Bytes(bytes) => seeded(label, Kind::Bytes, bytes),
        }
    }
}

/// Keeps values apart whose bytes are the same.
#[derive(Clone, Copy)]
enum Kind {
    Null,
    Bool,
    I64,
    U64,
    Number,
    Str,
    Bytes,
    Object,
    Array,
}

fn seeded(label: Label, kind: Kind, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, label.0.wrapping_add(kind as u64))
}

/// An object or array whose members are being hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    label: Label,
    is_object: bool,
    members: u64,
    sum: u128,
}

impl Container {
    pub(crate) fn object(label: Label) -> Self {
        Self { label, is_object: true, members: 0, sum: 0 }
    }

    pub(crate) fn array(label: Label) -> Self {
        Self { is_object: false, ..Self::object(label) }
    }

    /// The label of an object's member.
    pub(crate) fn key(key: &str) -> Label {
        Label(xxh3_64(key.as_bytes()))
    }

    /// The label of an array's next member.
    pub(crate) fn place(&self) -> Label {
        Label(xxh3_64(&self.members.to_le_bytes()))
    }

    /// Adds a member by its hash.
    pub(crate) fn add(&mut self, hash: u128) {
        self.members += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    pub(crate) fn hash(&self) -> u128 {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.sum.to_le_bytes());
        bytes[16..].copy_from_slice(&self.members.to_le_bytes());
        let kind = if self.is_object { Kind::Object } else { Kind::Array };
        seeded(self.label, kind, &bytes)
    }
}

/// The numbers in a text of JSON, as they are written, in order.
pub(crate) struct Numbers<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Numbers<'a> {
    pub(crate) fn of(json: &'a [u8]) -> Self {
        Self { json, at: 0 }
    }

    /// Where the number that was found last ends.
    pub(crate) fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Numbers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match *self.json.get(self.at)? {
                b'"' => self.at = text_end(self.json, self.at),
                b'-' | b'0'..=b'9' => {
                    let start = self.at;
                    let is_part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                    self.at += self.json[start..].iter().take_while(|b| is_part(b)).count();
                    return Some(&self.json[start..self.at]);
                }
                _ => self.at += 1,
            }
        }
    }
}

/// The byte after the text whose quote is at `start`.
pub(crate) fn text_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at..]) {
        at += found + 1;
        if json[at - 1] == b'"' {
            return at;
        }
        at = (at + 1).min(json.len());
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(json: &str) -> Vec<&str> {
        Numbers::of(json.as_bytes()).map(|number| std::str::from_utf8(number).unwrap()).collect()
    }

    #[test]
    fn numbers_are_found_outside_of_texts_only() {
        let json = r#"{"1":-2.50,"a\"3":[4e+5, 6],"7\\":"8","b":true, "c":{"d":9}}"#;
        assert_eq!(numbers(json), ["-2.50", "4e+5", "6", "9"]);
        assert_eq!(numbers(r#"{"cut":"5 \"#), [""; 0]);
        assert_eq!(numbers("12"), ["12"]);
    }

    #[test]
    fn ids_of_different_accounts_are_different() {
        let key = |account, id| EventKey::new(account, id, 7).id;
        assert_eq!(key("1", "x"), key("1", "x"));
        assert_ne!(key("1", "x"), key("2", "x"));
        assert_ne!(key("1", "2x"), key("12", "x"));
    }

    #[test]
    fn without_an_id_the_content_is_the_key() {
        let (a, b) = (EventKey::new("1", "", 5 << 64 | 6), EventKey::new("2", "", 5 << 64 | 6));
        assert_eq!((a, a.id, a.content), (b, 5, 6));
    }
}
