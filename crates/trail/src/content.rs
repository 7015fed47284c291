//! What makes two records the same event: their id, and a hash of their content.
//!
//! The hash is the first 128 bits of BLAKE3, without a key, so that all indexes agree on what is one
//! event. A record that is taken for another would hide it; to make one takes 2^128 tries.
//!
//! The hash is of the record in one form (`parse/canonical.rs`, drawn in `docs/format.md`). White
//! space, the order of keys, and the way a text is escaped are not in that form. All else is: numbers
//! as they are written, and the order of the values of a key that occurs several times. No two
//! contents have the same form, because each part begins with its kind and its length. Pure.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The first 128 bits of the BLAKE3 hash of a record's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl ContentHash {
    /// Hashes what [`crate::content`] calls a form.
    pub(crate) fn of_form(form: &[u8]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&blake3::hash(form).as_bytes()[..16]);
        Self(first)
    }

    /// Hashes bytes that are not JSON; no JSON has the same hash.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_form(&[&[BYTES], bytes].concat())
    }
}

/// Begins the form of bytes that are not JSON. A record's begins with its brace.
const BYTES: u8 = b'b';

/// The key of an event in the index. Two records with equal keys are one event; two with the same
/// `id` only are two events that claim the same `eventID`.
///
/// Ids are not hard to forge: two may be equal by intent, and, among 30 million events, by chance with
/// a probability of 10^-5. That costs a flag, and no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Hash of `recipientAccountId` and `eventID`; without an `eventID`, of the content.
    pub id: u64,
    /// Hash of the record's content.
    pub content: ContentHash,
}

impl EventKey {
    pub(crate) fn new(account: &str, event_id: &str, content: ContentHash) -> Self {
        let id = match event_id {
            "" => content.0.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)),
            event_id => id_hash(account, event_id),
        };
        Self { id, content }
    }
}

/// The `id` of an [`EventKey`], for an event that has an `eventID`.
pub fn id_hash(account: &str, event_id: &str) -> u64 {
    xxh3_64_with_seed(event_id.as_bytes(), xxh3_64(account.as_bytes()))
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
        let key = |account, id| EventKey::new(account, id, ContentHash::default()).id;
        assert_eq!(key("1", "x"), key("1", "x"));
        assert_ne!(key("1", "x"), key("2", "x"));
        assert_ne!(key("1", "2x"), key("12", "x"));
    }

    #[test]
    fn without_an_id_the_content_is_the_key() {
        let content = ContentHash::of_bytes(b"x");
        let (a, b) = (EventKey::new("1", "", content), EventKey::new("2", "", content));
        let first = u64::from_be_bytes(content.0[..8].try_into().unwrap());
        assert_eq!((a, a.id, a.content), (b, first, content));
    }

    /// The hash is in every index: it never changes.
    #[test]
    fn the_hash_is_the_first_half_of_blake3() {
        // Of the test vectors of BLAKE3, the one of no bytes.
        let empty = ContentHash::of_form(&[]);
        assert_eq!(u128::from_be_bytes(empty.0), 0xaf13_49b9_f5f9_a1a6_a040_4dea_36dc_c949);
        assert_eq!(ContentHash::of_bytes(b"x"), ContentHash::of_form(b"bx"));
    }
}
