//! Whether a record stands at its place in a file: as it is, as UTF-16, or in a string of JSON, whose escapes
//! are taken away. Pure.

use crate::Hash;
use crate::event::hash;
use crate::limits::{ESCAPED_DEPTH_MAX, GROWTH_MAX};
use formats::json::one_line;

/// What must stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Byte of the file, uncompressed.
    pub offset: u64,
    /// Bytes of the record.
    pub length: u64,
    /// Of these bytes.
    pub sha256: Hash,
    /// SHA-256 of the same on one line; None where the line has another, repaired record.
    pub line: Option<Hash>,
}

impl Sought {
    /// Whether a text is the record.
    fn is(&self, text: &[u8]) -> bool {
        let is_on_line = |line: Hash| {
            let text = String::from_utf8_lossy(text);
            hash(one_line(&text).as_bytes()) == line
        };
        hash(text) == self.sha256 && self.line.is_none_or(is_on_line)
    }
}

/// Whether a file's content has the record at its place.
pub fn is_there(content: &[u8], sought: &Sought) -> bool {
    let Ok(offset) = usize::try_from(sought.offset) else { return false };
    let Ok(length) = usize::try_from(sought.length) else { return false };
    let Some(rest) = content.get(offset..) else { return false };
    if length == 0 || length > rest.len().saturating_mul(GROWTH_MAX) {
        return false;
    }
    rest.get(..length).is_some_and(|text| sought.is(text))
        || sought.is(&lossy(rest, length))
        || utf16(content, rest, length).is_some_and(|text| sought.is(&text))
        || (1..=ESCAPED_DEPTH_MAX).any(|depth| sought.is(&unescaped(rest, length, depth)))
}

/// So many bytes of a text in which what is not UTF-8 became U+FFFD.
fn lossy(rest: &[u8], length: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(&rest[..length.min(rest.len())]);
    text.as_bytes()[..length.min(text.len())].to_vec()
}

/// So many bytes of what is UTF-16 in a file; None where the file is not.
fn utf16(content: &[u8], rest: &[u8], length: usize) -> Option<Vec<u8>> {
    let unit: fn([u8; 2]) -> u16 = match content.get(..2)? {
        [0xFF, 0xFE] | [b'{' | b'[', 0] => u16::from_le_bytes,
        [0xFE, 0xFF] | [0, b'{' | b'['] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, _) = rest.as_chunks::<2>();
    let decoded = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let mut text = String::new();
    for c in decoded {
        if text.len() >= length {
            break;
        }
        text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    (text.len() == length).then(|| text.into_bytes())
}

/// So many bytes of a text that stands in a string, in a string, so many deep.
fn unescaped(rest: &[u8], length: usize, depth: usize) -> Vec<u8> {
    let mut bytes: Box<dyn Iterator<Item = u8> + '_> = Box::new(rest.iter().copied());
    for _ in 0..depth {
        bytes = Box::new(Unescape { from: bytes, ready: Vec::new() });
    }
    bytes.take(length).collect()
}

/// The bytes of a JSON string's text; ends at a quote, and where there is no text.
struct Unescape<'a> {
    from: Box<dyn Iterator<Item = u8> + 'a>,
    /// What one escape stands for, last byte first.
    ready: Vec<u8>,
}

impl Unescape<'_> {
    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.from.next()?).to_digit(16)?;
        }
        Some(unit)
    }

    fn unicode(&mut self) -> Option<char> {
        let unit = self.unit()?;
        if !(0xD800..0xDC00).contains(&unit) {
            return char::from_u32(unit);
        }
        if (self.from.next()?, self.from.next()?) != (b'\\', b'u') {
            return None;
        }
        let low = self.unit().filter(|low| (0xDC00..0xE000).contains(low))?;
        char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    }
}

impl Iterator for Unescape<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(byte) = self.ready.pop() {
            return Some(byte);
        }
        match self.from.next()? {
            b'"' => None,
            b'\\' => match self.from.next()? {
                byte @ (b'"' | b'\\' | b'/') => Some(byte),
                b'b' => Some(8),
                b'f' => Some(12),
                b'n' => Some(b'\n'),
                b'r' => Some(b'\r'),
                b't' => Some(b'\t'),
                b'u' => {
                    let c = self.unicode()?;
                    self.ready.extend(c.encode_utf8(&mut [0; 4]).bytes().rev());
                    self.ready.pop()
                }
                _ => None,
            },
            byte => Some(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "{\"a\":\"\u{fc}\u{1f600}\\n\",\n \"b\": 1}";

    fn sought(offset: usize, record: &str) -> Sought {
        Sought {
            offset: offset as u64,
            length: record.len() as u64,
            sha256: hash(record.as_bytes()),
            line: Some(hash(one_line(record).as_bytes())),
        }
    }

    #[track_caller]
    fn check(content: &[u8], offset: usize) {
        assert!(is_there(content, &sought(offset, RECORD)));
        assert!(!is_there(content, &sought(offset + 2, RECORD)), "at its place only");
        let other = Sought { line: Some([0; 32]), ..sought(offset, RECORD) };
        assert!(!is_there(content, &other));
        for offset in [u64::MAX, content.len() as u64] {
            assert!(!is_there(content, &Sought { offset, ..sought(0, RECORD) }));
        }
        assert!(!is_there(content, &Sought { length: u64::MAX, ..sought(offset, RECORD) }));
    }

    #[test]
    fn a_record_is_found_in_each_form_that_files_have() {
        check(format!("[{RECORD},{{}}]").as_bytes(), 1);
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let text: Vec<u8> = format!("[{RECORD}]").encode_utf16().flat_map(unit).collect();
            check(&text, 2);
        }
        let mut text = RECORD.to_owned();
        for depth in 1..=3 {
            text = serde_json::to_string(&text).unwrap();
            check(format!("{{\"message\":{text}}}").as_bytes(), 11 + (1 << depth) - 1);
            text = text.replace('\u{1f600}', "\\ud83d\\ude00");
            check(format!("{{\"message\":{text}}}").as_bytes(), 11 + (1 << depth) - 1);
        }
    }

    #[test]
    fn of_bytes_that_are_not_utf8_the_text_is_compared() {
        let raw = "{\"a\":\"\u{fffd}\u{fffd}\",}";
        let content = b"[{\"a\":\"\xFF\xC3\",}]";
        let sought = Sought { line: None, ..sought(1, raw) };
        assert!(is_there(content, &sought));
        assert!(!is_there(content, &Sought { offset: 0, ..sought }));
    }
}
