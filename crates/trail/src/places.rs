//! Where in a file a byte of decoded text stands: a text in a JSON string has other offsets than the file,
//! and so has one that was UTF-16.

use std::cell::Cell;

/// The bytes of a file, or of a text in it that was decoded.
pub(crate) struct Places<'a> {
    kind: Kind<'a>,
    /// What the text stood in, and where in it.
    outer: Option<(&'a Places<'a>, usize)>,
    /// The last byte asked for and the one before it, in the text and in what it was decoded from. Records come
    /// nearly in order, so the next is found from one of them.
    known: Cell<[(usize, usize); 2]>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    AsIs,
    /// The content of a JSON string, with its escapes.
    Escaped(&'a [u8]),
    /// What was UTF-16, decoded, and where it began.
    Utf16(&'a [u8], usize),
}

impl<'a> Places<'a> {
    /// Of a file that is read as it is.
    pub(crate) fn as_is() -> Self {
        Self { kind: Kind::AsIs, outer: None, known: Cell::default() }
    }

    /// Of a file that was UTF-16 from `start` on, and is decoded to `text`.
    pub(crate) fn utf16(text: &'a [u8], start: usize) -> Self {
        Self { kind: Kind::Utf16(text, start), outer: None, known: Cell::new([(0, start); 2]) }
    }

    /// Of the text of a JSON string, of which `content` stands between the quotes at byte `at` of `outer`.
    pub(crate) fn in_string(content: &'a [u8], outer: &'a Places<'a>, at: usize) -> Self {
        Self { kind: Kind::Escaped(content), outer: Some((outer, at)), known: Cell::default() }
    }

    /// How many texts are around it.
    pub(crate) fn depth(&self) -> u32 {
        self.outer.map_or(0, |(outer, _)| outer.depth() + 1)
    }

    /// The byte of the file where the byte at `at` of the text stands.
    pub(crate) fn of(&self, at: usize) -> usize {
        let at = match self.kind {
            Kind::AsIs => at,
            Kind::Escaped(content) => self.walk(at, |_, there| escaped(content, there)),
            Kind::Utf16(text, _) => self.walk(at, |here, _| utf16(text, here)),
        };
        self.outer.map_or(at, |(outer, start)| outer.of(start + at))
    }

    /// Goes on to `at` by steps: bytes here, and bytes of what the text was decoded from.
    fn walk(&self, at: usize, step: impl Fn(usize, usize) -> Option<(usize, usize)>) -> usize {
        let start = if let Kind::Utf16(_, start) = self.kind { (0, start) } else { (0, 0) };
        let [before, last] = self.known.get();
        let known = [last, before].into_iter().find(|(here, _)| *here <= at);
        let (mut here, mut there) = known.unwrap_or(start);
        while here < at
            && let Some((bytes, steps)) = step(here, there)
            && here + bytes <= at
        {
            here += bytes;
            there += steps;
        }
        let found = (here, there);
        self.known.set(if here < last.0 { [found, last] } else { [last, found] });
        there
    }
}

/// The bytes of the next character of a JSON string's content, without and with escapes.
fn escaped(content: &[u8], at: usize) -> Option<(usize, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(content.get(at..at + 6)?.strip_prefix(br"\u")?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    Some(match content.get(at)? {
        b'\\' => match unit(at) {
            Some(0xD800..0xDC00) => (4, 12),
            Some(unit) => (char::from_u32(unit).map_or(3, char::len_utf8), 6),
            None => (1, 2),
        },
        _ => (1, 1),
    })
}

/// The bytes of the next character of a text, and in UTF-16.
fn utf16(text: &[u8], at: usize) -> Option<(usize, usize)> {
    Some(match text.get(at)? {
        0..0x80 => (1, 2),
        0x80..0xE0 => (2, 2),
        0xE0..0xF0 => (3, 2),
        _ => (4, 4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_string_has_its_place() {
        let content = r#"{\"a\":\"\u00e9\ud83d\ude00é\n\/x\"}"#;
        let text: String = serde_json::from_str(&format!("\"{content}\"")).unwrap();
        let file = Places::as_is();
        let places = Places::in_string(content.as_bytes(), &file, 100);
        for (at, character) in text.char_indices() {
            let there = places.of(at) - 100;
            let json = format!("\"{}", &content[there..]);
            let rest: String = serde_json::from_str(&format!("{json}\"")).unwrap();
            assert!(rest.starts_with(character), "{at} {character}");
        }
        assert_eq!(places.of(1), 101, "back again");
        let places = Places::in_string(content.as_bytes(), &file, 100);
        let all: Vec<usize> = text.char_indices().map(|(at, _)| places.of(at)).collect();
        for (n, m) in [(5, 12), (6, 2), (9, 7), (0, 12), (3, 1), (11, 4)] {
            let at = |n: usize| text.char_indices().nth(n).unwrap().0;
            assert_eq!((places.of(at(n)), places.of(at(m))), (all[n], all[m]), "{n} {m}");
        }
        let outer = Places::utf16("abc".as_bytes(), 2);
        assert_eq!(Places::in_string(b"x", &outer, 1).of(0), 4);
    }

    #[test]
    fn every_character_of_utf_16_has_its_place() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z";
        let places = Places::utf16(text.as_bytes(), 2);
        let found: Vec<usize> = text.char_indices().map(|(at, _)| places.of(at)).collect();
        assert_eq!(found, [2, 4, 6, 8, 12]);
        assert_eq!(places.of(0), 2);
        assert_eq!(places.of(text.len()), 14);
    }
}
