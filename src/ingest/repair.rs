//! Repairing a record that is not JSON: what people do to records by hand, and what AWS's own
//! documentation prints. Pure, and the same at indexing and at fetching.

use crate::event::Flags;

/// A record's repaired text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    pub bytes: Vec<u8>,
    pub flags: Flags,
}

/// Removes commas that separate nothing, escapes control characters inside strings, and replaces
/// bytes that are not UTF-8 by U+FFFD. None when there is nothing of the kind.
pub fn repair(record: &[u8]) -> Option<Repaired> {
    let text = String::from_utf8_lossy(record);
    let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
    let bytes = repair_text(text.as_bytes());
    let mut flags = Flags::default();
    if !is_utf8 {
        flags |= Flags::INVALID_UTF8;
    }
    if bytes != text.as_bytes() {
        flags |= Flags::REPAIRED;
    }
    (flags != Flags::default()).then_some(Repaired { bytes, flags })
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
    fn the_documented_access_analyzer_entry_becomes_json() {
        let text = include_bytes!("../../tests/data/odd/access-analyzer-documented-entry.json");
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_err());
        let repaired = repair(text).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&repaired.bytes).unwrap();
        assert_eq!(json["eventCategory"], "Management");
    }
}
