//! What stands beside records: whether a record hides in it, and whether what looks like one is only a copy.
//!
//! Linear in the bytes: texts in texts are followed a few levels deep, and each level is half as long at most.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

use super::keys::{RECORD_KEYS, is_of_record, members, plain, record_key};
use super::scan::{skip_space, skip_string, skip_value};

/// Texts in texts that are looked into. One that is deeper is taken to hold a record.
const DEPTH_MAX: u32 = 4;

/// Bytes of a key that can be a record's, all of them escaped.
const KEY_BYTES_MAX: usize = 128;

/// So many of a record's keys are a record that AWS wrote: it writes all of them. Fewer are a value of a record.
const WHOLE_KEYS_MIN: u32 = 4;

/// Whether a record's key stands somewhere in the value at `at`: an object, a list, or a text that holds such.
/// In what search engines write beside a hit (`are_lists`), that of a list of values is none.
pub(super) fn holds_record(bytes: &[u8], at: usize, are_lists: bool) -> bool {
    keys_within(bytes, at, are_lists) != 0
}

/// Whether an object there has so many keys of a record that it is one as AWS writes them. In what is no JSON
/// all keys count.
pub(super) fn holds_whole_record(bytes: &[u8], at: usize) -> bool {
    let end = skip_value(bytes, at).unwrap_or(bytes.len());
    match serde_json::from_slice(&bytes[at..end]) {
        Ok(value) => has_whole_record(&value, DEPTH_MAX),
        Err(_) => keys_within(bytes, at, false).count_ones() >= WHOLE_KEYS_MIN,
    }
}

fn has_whole_record(value: &Value, depth: u32) -> bool {
    match value {
        Value::Object(object) => {
            let keys = RECORD_KEYS.iter().filter_map(|key| std::str::from_utf8(key).ok());
            keys.filter(|key| object.contains_key(*key)).count() >= WHOLE_KEYS_MIN as usize
                || object.values().any(|value| has_whole_record(value, depth))
        }
        Value::Array(list) => list.iter().any(|value| has_whole_record(value, depth)),
        Value::String(text) if text.contains('{') => {
            let Some(depth) = depth.checked_sub(1) else { return true };
            match serde_json::from_str(text) {
                Ok(value) => has_whole_record(&value, depth),
                Err(_) => keys_in_plain(text.as_bytes(), false).count_ones() >= WHOLE_KEYS_MIN,
            }
        }
        _ => false,
    }
}

/// Whether a text may hold an object, however that is escaped.
pub(super) fn may_hold_object(quoted: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'\\', quoted)
        .any(|at| quoted[at] == b'{' || quoted[at..].starts_with(b"\\u007"))
}

/// Which of a record's keys stand in the value at `at`, a bit each.
fn keys_within(bytes: &[u8], at: usize, are_lists: bool) -> u8 {
    let end = skip_value(bytes, at).unwrap_or(bytes.len());
    let value = &bytes[at..end];
    match value.first() {
        Some(b'{' | b'[') => {
            let of_texts =
                texts(value).fold(0, |keys, text| keys | keys_of_text(&value[text], DEPTH_MAX));
            of_texts | keys_in_plain(value, are_lists)
        }
        Some(b'"') => keys_of_text(value, DEPTH_MAX),
        _ => 0,
    }
}

/// The same of these bytes. Every quote may begin a key, so an odd quote hides none.
fn keys_in_plain(bytes: &[u8], are_lists: bool) -> u8 {
    let key_at = |quote: usize| {
        let window = &bytes[quote..bytes.len().min(quote + KEY_BYTES_MAX)];
        let length = skip_string(window, 0).filter(|length| *length <= window.len())?;
        let colon = skip_space(bytes, quote + length);
        let value = skip_space(bytes, colon + 1);
        if bytes.get(colon) != Some(&b':') || are_lists && bytes.get(value) == Some(&b'[') {
            return None;
        }
        record_key(bytes, &plain(&window[1..length - 1]), value)
    };
    memchr::memchr_iter(b'"', bytes).filter_map(key_at).fold(0, |keys, key| keys | 1 << key)
}

/// Where the texts in these bytes are, keys too, with their quotes.
fn texts(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let quote = at + memchr::memchr(b'"', bytes.get(at..)?)?;
        at = skip_string(bytes, quote).unwrap_or(bytes.len());
        Some(quote..at)
    })
}

fn keys_of_text(quoted: &[u8], depth: u32) -> u8 {
    if !may_hold_object(quoted) {
        return 0;
    }
    let Some(depth) = depth.checked_sub(1) else { return u8::MAX };
    let text = unescaped(quoted);
    let of_texts = texts(&text).fold(0, |keys, inner| keys | keys_of_text(&text[inner], depth));
    of_texts | keys_in_plain(&text, false)
}

/// A text without its quotes and escapes. One that is no JSON loses only the escapes of quotes.
fn unescaped(quoted: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<String>(quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => {
            let backslash = |b: &u8| *b != b'\\';
            Cow::Owned(quoted.iter().copied().filter(backslash).collect())
        }
    }
}

/// Whether the value at `at`, an object or a text, is one record of which each member stands in the object
/// `outer` too. A tool that parses a record and keeps the text it had writes such.
pub(super) fn is_copy(bytes: &[u8], outer: &[u8], at: usize) -> bool {
    let Some(inner) = one_object(bytes, at) else { return false };
    let Some(outer) = object(outer) else { return false };
    inner.iter().all(|(key, value)| outer.get(key) == Some(value))
}

/// Whether each record's key of the object at `outer` has the value that it has in the text at `at`, which is
/// one record. Splunk writes fields of a record beside its text.
pub(super) fn agrees(bytes: &[u8], outer: usize, at: usize) -> bool {
    let Some(inner) = one_object(bytes, at) else { return false };
    members(bytes, outer).filter(|(key, at)| is_of_record(bytes, key, *at)).all(|(key, at)| {
        let end = skip_value(bytes, at).unwrap_or(bytes.len());
        let value = serde_json::from_slice::<Value>(&bytes[at..end]).ok();
        let key = std::str::from_utf8(&key).ok();
        value.is_some() && key.and_then(|key| inner.get(key)) == value.as_ref()
    })
}

/// The one object that the value at `at` is, or holds as a text; none if a key comes twice in it.
fn one_object(bytes: &[u8], at: usize) -> Option<Map<String, Value>> {
    let value = &bytes[at..skip_value(bytes, at)?];
    match value.first()? {
        b'{' => object(value),
        b'"' => object(serde_json::from_slice::<String>(value).ok()?.as_bytes()),
        _ => None,
    }
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let object: Map<String, Value> = serde_json::from_slice(text).ok()?;
    // What comes twice is lost here: then there are more keys in the text than in the object.
    (count_keys(text) == keys_of(&object)).then_some(object)
}

fn count_keys(text: &[u8]) -> usize {
    texts(text).filter(|key| text.get(skip_space(text, key.end)) == Some(&b':')).count()
}

fn keys_of(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(object) => keys_of(object),
            Value::Array(list) => list.iter().map(of).sum(),
            _ => 0,
        }
    }
    object.len() + object.values().map(of).sum::<usize>()
}
