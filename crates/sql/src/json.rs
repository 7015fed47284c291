//! A JSON value as it is written: keys in their order, texts borrowed from the bytes where they have no
//! escapes. Of a key that comes twice in its object the last counts, as JSON readers have it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Objects of more keys are asked through a table where many are looked for.
const SHORT: usize = 16;

impl<'a> Json<'a> {
    /// Reads a whole text; None where it is no JSON. It may be nested as deeply as records are.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        if depth_is_beyond(text, DEPTH_MAX) {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.disable_recursion_limit();
        let value = Self::deserialize(&mut reader).ok()?;
        reader.end().is_ok().then_some(value)
    }

    /// The value at a key; None where this is no object, or has no such key.
    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members of an object, each key once, in order.
    pub(crate) fn members(&self) -> Option<Vec<(&str, &Json<'a>)>> {
        let Self::Object(members) = self else { return None };
        let all = members.iter().map(|(key, value)| (key.as_ref(), value));
        if members.len() <= SHORT {
            let is_last = |at: usize, key: &str| members[at + 1..].iter().all(|(k, _)| k != key);
            return Some(
                all.enumerate()
                    .filter(|(at, (key, _))| is_last(*at, key))
                    .map(|(_, m)| m)
                    .collect(),
            );
        }
        let mut last: HashMap<&str, usize> = HashMap::with_capacity(members.len());
        for (at, (key, _)) in members.iter().enumerate() {
            last.insert(key, at);
        }
        let members = all.enumerate().filter(|(at, (key, _))| last.get(key) == Some(at));
        Some(members.map(|(_, member)| member).collect())
    }

    /// A value as a text of its own: a text without its quotes, anything else as JSON; None for null.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            value => Some(Cow::Owned(value.to_string())),
        }
    }

    /// The value of a field that has one: a text, a number or a truth value as a text. Of a list, the first
    /// such value. None where there is none, as of an object.
    pub(crate) fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null | Self::Object(_) => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Number(number) => Some(Cow::Owned(digits(number))),
            Self::List(values) => values.iter().find_map(Json::scalar),
        }
    }
}

/// A text that the index could read and [`Json::read`] may not, as one that it can: an escape that is half of
/// a character becomes the sign for what cannot be shown, and a number that is too large a text.
pub(crate) fn softened(text: &str) -> Cow<'_, str> {
    if Json::read(text).is_some() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut soft = String::with_capacity(text.len() + 16);
    let (mut at, mut copied, mut is_text) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if is_text => match (unit(bytes, at), unit(bytes, at + 6)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
                (Some(0xd800..=0xdfff), _) => {
                    soft.push_str(&text[copied..at]);
                    soft.push_str("\\ufffd");
                    at += 6;
                    copied = at;
                }
                _ => at += 2,
            },
            b'"' => {
                is_text = !is_text;
                at += 1;
            }
            b'-' | b'0'..=b'9' if !is_text => {
                let is_digit = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let end = at + bytes[at..].iter().take_while(is_digit).count();
                let number = &text[at..end];
                if number.parse::<f64>().is_ok_and(f64::is_infinite) {
                    soft.push_str(&text[copied..at]);
                    soft.push('"');
                    soft.push_str(number);
                    soft.push('"');
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    soft.push_str(&text[copied.min(text.len())..]);
    Cow::Owned(soft)
}

/// The unit of UTF-16 that is written as an escape here.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Nesting that is read: as deep as that of a record.
const DEPTH_MAX: usize = 256;

/// Whether brackets are nested deeper; those within texts do not count.
fn depth_is_beyond(text: &str, depth_max: usize) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A number as the index keeps it.
fn digits(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(n), _, _) => n.to_string(),
        (_, Some(n), _) => n.to_string(),
        (_, _, Some(n)) => n.to_string(),
        _ => number.to_string(),
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(_) => serializer.collect_map(self.members().unwrap_or_default()),
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = items.next_key()? {
            members.push((key, items.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Json::Text(text) => Ok(Key(text)),
            _ => Err(serde::de::Error::custom("a key is no text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_the_last_of_two_counts() {
        let json = Json::read(r#"{"b":1.50,"a":[null,"x\n"],"b":{"d":[],"c":2}}"#).unwrap();
        assert_eq!(json.to_string(), r#"{"a":[null,"x\n"],"b":{"d":[],"c":2}}"#);
        assert_eq!(json.get("b").unwrap().text().unwrap(), r#"{"d":[],"c":2}"#);
        assert_eq!(json.get("a").unwrap().scalar().unwrap(), "x\n");
        assert_eq!(json.get("b").unwrap().scalar(), None);
    }

    #[test]
    fn objects_of_many_keys_have_each_once() {
        let members: Vec<String> = (0..40).map(|n| format!(r#""k{}":{n}"#, n % 30)).collect();
        let text = format!("{{{}}}", members.join(","));
        let json = Json::read(&text).unwrap();
        let found = json.members().unwrap();
        assert_eq!(found.len(), 30);
        assert_eq!(found.iter().find(|(key, _)| *key == "k3").unwrap().1.text().unwrap(), "33");
    }

    #[test]
    fn what_is_nested_too_deeply_is_no_json() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::read(&nested(256)).is_some());
        assert!(Json::read(&nested(257)).is_none());
        assert!(Json::read("{\"a\":").is_none());
        assert!(Json::read("1 2").is_none());
        assert!(Json::read("\"[[\\\"[\"").is_some());
    }

    #[test]
    fn what_only_the_index_reads_is_softened() {
        for (hard, soft) in [
            (
                r#"{"a\ud800":"\udc00x\ud83d\ude00\\ud800"}"#,
                r#"{"a\ufffd":"\ufffdx\ud83d\ude00\\ud800"}"#,
            ),
            (r#"[1e999,-1e999,1,"1e999"]"#, r#"["1e999","-1e999",1,"1e999"]"#),
            (r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            ("{\"a\\", "{\"a\\"),
        ] {
            assert_eq!(softened(hard), soft);
        }
    }

    #[test]
    fn numbers_are_as_the_index_has_them() {
        let scalar = |text: &'static str| Json::read(text).unwrap().scalar().map(Cow::into_owned);
        assert_eq!(scalar("5.0").unwrap(), "5");
        assert_eq!(scalar("-7").unwrap(), "-7");
        assert_eq!(scalar("true").unwrap(), "true");
        assert_eq!(scalar("null"), None);
        assert_eq!(scalar("[[], {\"a\":1}, [\"x\"]]").unwrap(), "x");
    }
}
