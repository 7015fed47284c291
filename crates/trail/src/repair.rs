//! Repairing a record that is not JSON: what people do to records by hand, and what AWS's own
//! documentation prints. Pure, and the same at indexing and at fetching.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::content::Numbers;
use crate::flags::Flags;

/// A record's repaired text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repaired {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: Flags,
}

/// Removes commas that separate nothing, escapes control characters inside strings, and replaces
/// bytes that are not UTF-8, and halves of characters (`\ud83d` alone, where a text was cut in UTF-16),
/// by U+FFFD. None when there is nothing of the kind.
pub(crate) fn repair(record: &[u8]) -> Option<Repaired> {
    let text = String::from_utf8_lossy(record);
    let whole = without_halves(text.as_bytes());
    let bytes = repair_text(&whole);
    let mut flags = Flags::default();
    if matches!(text, Cow::Owned(_)) || matches!(whole, Cow::Owned(_)) {
        flags |= Flags::INVALID_UTF8;
    }
    if bytes != *whole {
        flags |= Flags::REPAIRED;
    }
    (flags != Flags::default()).then_some(Repaired { bytes, flags })
}

/// Puts numbers that 64 bits of floating point cannot hold into quotes: `1e400`, and whole numbers of
/// 309 digits and more. They are JSON, and searched as they are written. None when there is none.
pub(crate) fn quote_huge_numbers(json: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::new();
    let mut copied = 0;
    let mut numbers = Numbers::of(json);
    while let Some(number) = numbers.next() {
        if is_huge(number) {
            let end = numbers.at();
            quoted.extend_from_slice(&json[copied..end - number.len()]);
            quoted.push(b'"');
            quoted.extend_from_slice(number);
            quoted.push(b'"');
            copied = end;
        }
    }
    (copied > 0).then(|| {
        quoted.extend_from_slice(&json[copied..]);
        quoted
    })
}

/// Whether a number is one by JSON's grammar, which knows no `01`, and beyond a float of 64 bits.
fn is_huge(number: &[u8]) -> bool {
    let value = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
    value.is_some_and(f64::is_infinite) && serde_json::from_slice::<&RawValue>(number).is_ok()
}

/// The text with `\ufffd` for each escaped half of a character that lacks the other.
fn without_halves(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text[at..]) {
        at += found;
        let is_pair = matches!(unit(text, at), Some(0xD800..0xDC00))
            && matches!(unit(text, at + 6), Some(0xDC00..0xE000));
        match unit(text, at) {
            Some(0xD800..0xE000) if !is_pair => {
                out.extend_from_slice(&text[copied..at]);
                out.extend_from_slice(br"\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) if is_pair => at += 12,
            _ => at = text.len().min(at + 2),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// The UTF-16 code unit that is escaped at `at`.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

fn repair_text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    // The last byte that is neither white space nor in a string; an opening bracket, a comma or a
    // colon before a comma makes that comma a stray one.
    let mut before = b'{';
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = copy_string(text, at, &mut out);
                before = b'"';
                continue;
            }
            b',' if matches!(before, b'{' | b'[' | b',') || is_before_end(&text[at + 1..]) => {}
            c => {
                out.push(c);
                if !c.is_ascii_whitespace() {
                    before = c;
                }
            }
        }
        at += 1;
    }
    out
}

fn is_before_end(rest: &[u8]) -> bool {
    let next = rest.iter().find(|c| !c.is_ascii_whitespace() && **c != b',');
    matches!(next, Some(b'}' | b']'))
}

/// Copies the string that begins at `at`, its control characters escaped; returns where it ends.
fn copy_string(text: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    out.push(b'"');
    let mut at = at + 1;
    while at < text.len() {
        match text[at] {
            b'"' => {
                out.push(b'"');
                return at + 1;
            }
            b'\\' if at + 1 < text.len() => {
                out.extend_from_slice(&text[at..at + 2]);
                at += 2;
                continue;
            }
            c if c < 0x20 => out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
            c => out.push(c),
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Option<(&str, &str)>) {
        let repaired = repair(text);
        let seen = repaired.map(|repaired| {
            (String::from_utf8(repaired.bytes).unwrap(), repaired.flags.names().join(" "))
        });
        let expected = expected.map(|(text, flags)| (text.to_owned(), flags.to_owned()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn commas_that_separate_nothing_go() {
        check(
            br#"{"a":{ "b":1, } ,, "c":[,1,,2, ,],}"#,
            Some((r#"{"a":{ "b":1 } , "c":[1,2 ]}"#, "repaired")),
        );
    }

    #[test]
    fn commas_inside_strings_stay() {
        check(br#"{"a":",,}","b":"\",}"}"#, None);
        check(br#"{"a":",,}",}"#, Some((r#"{"a":",,}"}"#, "repaired")));
    }

    #[test]
    fn control_characters_and_stray_bytes_are_made_readable() {
        check(b"{\"a\":\"x\ty\"}", Some(("{\"a\":\"x\\u0009y\"}", "repaired")));
        check(b"{\"a\":\"\xFF\"}", Some(("{\"a\":\"\u{fffd}\"}", "invalid-utf8")));
    }

    #[test]
    fn halves_of_characters_are_made_readable() {
        check(br#"{"a":"\ud83d"}"#, Some((r#"{"a":"\ufffd"}"#, "invalid-utf8")));
        check(br#"{"a":"\uDC00\uD83dx"}"#, Some((r#"{"a":"\ufffd\ufffdx"}"#, "invalid-utf8")));
        check(br#"{"a":"\ud83d\ude00 \\ud83d"}"#, None);
        check(
            br#"{"a":"\ud83d\ud83d\ude00",}"#,
            Some((r#"{"a":"\ufffd\ud83d\ude00"}"#, "repaired invalid-utf8")),
        );
        check(br#"{"a":"\ud8"#, None);
    }

    #[test]
    fn numbers_beyond_all_bounds_become_texts() {
        let quoted = |text: &str| {
            quote_huge_numbers(text.as_bytes()).map(|json| String::from_utf8(json).unwrap())
        };
        let digits = "9".repeat(400);
        assert_eq!(quoted(r#"{"a":[1e308,"1e400",-0]}"#), None);
        // A fuzzer found that these became events, which nobody could read.
        assert_eq!(quoted("[-01e400,1.e400,1e+400-]"), None);
        assert_eq!(quoted(r#"{"a":1e400,"b":"1e400"}"#).unwrap(), r#"{"a":"1e400","b":"1e400"}"#);
        assert_eq!(
            quoted(&format!("[-1E+400,{digits}]")).unwrap(),
            format!(r#"["-1E+400","{digits}"]"#)
        );
    }

    #[test]
    fn the_documented_access_analyzer_entry_becomes_json() {
        let text = include_bytes!("../../../tests/data/odd/access-analyzer-documented-entry.json");
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_err());
        let repaired = repair(text).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&repaired.bytes).unwrap();
        assert_eq!(json["eventCategory"], "Management");
    }
}
