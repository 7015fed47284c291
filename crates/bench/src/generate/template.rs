//! Real records as templates: their text without the values that change, and where those belong.
//!
//! Values are found in the strings of a record, at the starts of words: by their field (the
//! caller's name, wherever it stands), or by their looks (any UUID). Keys, numbers and everything
//! else stay as they are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value;

use crate::generate::random::{HEX, Rng};
use crate::generate::values::{Event, Fresh};

/// Other times of a record (when its session began) keep their distance from the event up to a
/// year; past that they are constants such as 9999-12-31, not times of this event.
const OFFSET_S_MAX: i64 = 366 * 86_400;

#[derive(Default)]
pub(crate) struct Template {
    text: Vec<u8>,
    slots: Vec<Slot>,
    /// One for each distinct original, so that equal originals stay equal.
    values: Vec<Fresh>,
}

struct Slot {
    /// Offset in `text`.
    at: usize,
    /// Index in `values`.
    value: usize,
}

impl Template {
    /// `None` for a record without an event id and time to replace: its events would be alike.
    pub(crate) fn new(raw: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(raw).ok()?;
        let event_time: Timestamp = record["eventTime"].as_str()?.parse().ok()?;
        let known = known_values(&record);
        let mut template = Self::default();
        let mut originals = HashMap::new();
        let mut rest = raw.as_bytes();
        while let Some(&byte) = rest.first() {
            if byte != b'"' {
                template.text.extend((!byte.is_ascii_whitespace()).then_some(byte));
                rest = &rest[1..];
                continue;
            }
            let (string, after) = rest.split_at(string_len(rest));
            if after.trim_ascii_start().starts_with(b":") {
                template.text.extend(string);
            } else {
                template.cut(string, event_time, &known, &mut originals);
            }
            rest = after;
        }
        let has =
            |key: &str| record[key].as_str().is_some_and(|v| originals.contains_key(v.as_bytes()));
        (has("eventID") && has("eventTime")).then_some(template)
    }

    /// Appends an event made from this record to `out`. `values` is scratch space.
    pub(crate) fn write(
        &self,
        event: &Event,
        rng: &mut Rng,
        values: &mut Vec<Vec<u8>>,
        out: &mut Vec<u8>,
    ) {
        values.resize_with(values.len().max(self.values.len()), Vec::new);
        for (fresh, text) in self.values.iter().zip(values.iter_mut()) {
            text.clear();
            fresh.write(event, rng, text);
        }
        let mut copied = 0;
        for slot in &self.slots {
            out.extend_from_slice(&self.text[copied..slot.at]);
            out.extend_from_slice(&values[slot.value]);
            copied = slot.at;
        }
        out.extend_from_slice(&self.text[copied..]);
    }

    /// Appends a string, with slots for the values at the starts of its words.
    fn cut<'r>(
        &mut self,
        string: &'r [u8],
        event_time: Timestamp,
        known: &[(&str, Fresh)],
        originals: &mut HashMap<&'r [u8], usize>,
    ) {
        let mut at = 0;
        while at < string.len() {
            // Not a word: what follows a backslash is half of an escape.
            let starts_word =
                at > 0 && string[at - 1] != b'\\' && !string[at - 1].is_ascii_alphanumeric();
            let found = starts_word.then(|| recognise(&string[at..], event_time, known)).flatten();
            let Some((range, fresh)) = found else {
                self.text.push(string[at]);
                at += 1;
                continue;
            };
            let (from, to) = (at + range.start, at + range.end);
            self.text.extend(&string[at..from]);
            let value = *originals.entry(&string[from..to]).or_insert_with(|| {
                self.values.push(fresh);
                self.values.len() - 1
            });
            self.slots.push(Slot { at: self.text.len(), value });
            at = to;
        }
    }
}

/// The length of the JSON string that `text` starts with, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// The values that are known by their field, the longest first.
fn known_values(record: &Value) -> Vec<(&str, Fresh)> {
    let identity = &record["userIdentity"];
    let account = record["recipientAccountId"].as_str().or(identity["accountId"].as_str());
    let address = record["sourceIPAddress"].as_str();
    let session = identity["arn"].as_str().and_then(|arn| {
        let (_, role_and_session) = arn.split_once(":assumed-role/")?;
        // An instance's session is named after it.
        Some(role_and_session.rsplit_once('/')?.1).filter(|name| !name.starts_with("i-"))
    });
    let key = |field: &str| {
        let text = identity[field].as_str()?;
        Some((text, recognise_key(text.as_bytes(), true)?))
    };
    let mut known: Vec<_> = [
        (record["eventID"].as_str(), Fresh::EventUuid),
        (record["requestID"].as_str(), Fresh::EventUuid),
        (record["sharedEventID"].as_str(), Fresh::EventUuid),
        (record["eventTime"].as_str(), Fresh::Time(0)),
        (record["awsRegion"].as_str(), Fresh::Region),
        (account, Fresh::Account),
        (address.filter(|text| text.parse::<Ipv4Addr>().is_ok()), Fresh::Address),
        (identity["userName"].as_str().or(session), Fresh::UserName),
    ]
    .into_iter()
    .filter_map(|(text, fresh)| Some((text?, fresh)))
    .chain(key("accessKeyId"))
    .chain(key("principalId"))
    .collect();
    // What is shorter would match words that have nothing to do with it, and what is escaped in
    // the record's text could be cut inside an escape.
    known.retain(|(text, _)| text.len() >= 4 && !text.contains(['"', '\\']));
    known.sort_by_key(|(text, _)| Reverse(text.len()));
    known
}

/// The value that the word at the start of `text` is or contains, and what replaces it.
fn recognise(
    text: &[u8],
    event_time: Timestamp,
    known: &[(&str, Fresh)],
) -> Option<(Range<usize>, Fresh)> {
    let ends_word = |len: usize| !text.get(len).is_some_and(u8::is_ascii_alphanumeric);
    for &(original, fresh) in known {
        let len = original.len();
        // An availability zone is its region and a letter.
        let is_zone =
            || fresh == Fresh::Region && text.get(len).is_some_and(u8::is_ascii_lowercase);
        if text.starts_with(original.as_bytes()) && (ends_word(len) || is_zone()) {
            return Some((0..len, fresh));
        }
    }
    if is_uuid(text) && ends_word(36) {
        return Some((0..36, Fresh::ResourceUuid));
    }
    if let Some(offset) = recognise_time(text, event_time) {
        return Some((0..20, Fresh::Time(offset)));
    }
    let word = &text[..run(text, u8::is_ascii_alphanumeric)];
    if word.len() == 12 && word.iter().all(u8::is_ascii_digit) {
        return Some((0..12, Fresh::OtherAccount));
    }
    if let Some(key) = recognise_key(word, false) {
        return Some((0..word.len(), key));
    }
    let hex = text[word.len()..].strip_prefix(b"-")?;
    let digits = run(hex, |byte| HEX.contains(byte));
    let start = word.len() + 1;
    let is_id = matches!(digits, 8 | 17) && ends_word(start + digits);
    (is_id && word.iter().all(u8::is_ascii_lowercase))
        .then(|| (start..start + digits, Fresh::ResourceHex(digits)))
}

fn recognise_key(word: &[u8], is_own: bool) -> Option<Fresh> {
    let kind = *word.first_chunk::<4>()?;
    let is_key = matches!(&kind, b"AKIA" | b"ASIA" | b"AIDA")
        && matches!(word.len(), 20 | 21)
        && word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_key.then_some(Fresh::Key { kind, is_own, len: word.len() })
}

/// Seconds from the event to a time such as `2023-07-10T12:28:25Z`.
fn recognise_time(text: &[u8], event_time: Timestamp) -> Option<i64> {
    let text = text.get(..20).filter(|text| text[10] == b'T' && text[19] == b'Z')?;
    let time: Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    let offset = time.as_second() - event_time.as_second();
    (offset.abs() <= OFFSET_S_MAX).then_some(offset)
}

fn is_uuid(text: &[u8]) -> bool {
    let is_part = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() >= 36 && text[..36].iter().enumerate().all(is_part)
}

/// How many bytes at the start of `text` are of a kind.
fn run(text: &[u8], is_kind: impl Fn(&u8) -> bool) -> usize {
    text.iter().position(|byte| !is_kind(byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::values::account_id;

    /// One event made from `record`.
    fn event(record: &str) -> Value {
        let event = Event { account: 0, user: 5, region: "sa-east-1", second: 1_800_000_000 };
        let mut text = Vec::new();
        let template = Template::new(record).expect("a template");
        template.write(&event, &mut Rng(7), &mut Vec::new(), &mut text);
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_value_is_replaced_alike_all_over_its_record() {
        let event = event(
            r#"{"eventID": "2a2e7bf7-30b6-422d-a58f-cef4be3a6239", "eventTime": "2023-07-10T12:00:00Z",
            "awsRegion": "us-east-1", "recipientAccountId": "123837392027", "bert-jan": 123837392027,
            "sourceIPAddress": "10.8.8.10", "userIdentity": {"userName": "bert-jan",
            "arn": "arn:aws:iam::123837392027:user/bert-jan", "accountId": "123837392027",
            "accessKeyId": "AKIATFQR7NSC8Q4X20BJ"}, "say": "from 10.8.8.10 and 10.8.8.101 \"bert-jan\"",
            "began": "2023-07-10T11:59:50Z", "never": "9999-12-31T23:59:59Z", "zone": "us-east-1b",
            "other": "752410410787", "escaped": "\\bert-jan", "bertrand": "bert-jane",
            "key": "AKIATFQR7NSC8Q4X20BJ", "ids": ["i-0dbc91f429e48eeed", "i-0dbc91f429e48eeed"]}"#,
        );
        let text = |pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap();
        let (account, user) = (text("/recipientAccountId"), text("/userIdentity/userName"));
        assert_eq!(account, account_id(0));
        assert_ne!(user, "bert-jan");
        assert_eq!(text("/userIdentity/arn"), format!("arn:aws:iam::{account}:user/{user}"));
        let address = text("/sourceIPAddress");
        assert_eq!(text("/say"), format!("from {address} and 10.8.8.101 \"{user}\""));
        assert_eq!(text("/key"), text("/userIdentity/accessKeyId"));
        assert_ne!(text("/key"), "AKIATFQR7NSC8Q4X20BJ");
        assert_eq!(text("/ids/0"), text("/ids/1"));
        assert_ne!(text("/ids/0"), "i-0dbc91f429e48eeed");
        assert_eq!(text("/zone"), "sa-east-1b");
        assert_ne!(text("/other"), "752410410787");
        let second = |pointer| text(pointer).parse::<Timestamp>().unwrap().as_second();
        assert_eq!(second("/eventTime"), 1_800_000_000);
        assert_eq!(second("/began"), 1_800_000_000 - 10);
        assert_eq!(text("/never"), "9999-12-31T23:59:59Z");
        assert_eq!(text("/bertrand"), "bert-jane");
        assert_eq!(text("/escaped"), r"\bert-jan");
        assert_eq!(event["bert-jan"], 123_837_392_027_u64);
    }

    #[test]
    fn a_record_without_an_id_or_a_time_is_no_template() {
        let is_template = |record: &str| Template::new(record).is_some();
        assert!(is_template(r#"{"eventID":"abcd","eventTime":"2023-07-10T12:00:00Z"}"#));
        assert!(!is_template(r#"{"eventTime":"2023-07-10T12:00:00Z"}"#));
        assert!(!is_template(r#"{"eventID":"abcd","eventTime":"2023-07-10 12:00"}"#));
        assert!(!is_template(r#"{"eventID":"1","eventTime":"2023-07-10T12:00:00Z"}"#));
        assert!(!is_template(r#""eventID""#));
    }
}
