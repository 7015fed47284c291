//! Matches text with wildcards in one pass over the text, whatever the pattern.
//!
//! A `*` ends what must be in one piece: a part. The first part is at the beginning of the text, the
//! last at its end, and each of the others is looked for behind the one before it; where it ends
//! first is best for all that follow. A short part of text and `?` is tried at each place. A longer one
//! is looked for with a bit for each of its bytes (Baeza-Yates and Gonnet, 1992), so that 64 of them
//! take one step.

use std::sync::Arc;

use language::ast::PatternPiece;

/// Bytes of a part that is tried at each place. The bits of a longer one take 2 KiB or more.
const TRIED_BYTES_MAX: usize = 16;

/// A pattern, ready to be matched.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    /// Between the `*`; there is one more than of these.
    parts: Vec<Part>,
}

/// What stands between two `*`.
#[derive(Clone, Debug)]
struct Part {
    pieces: Vec<PatternPiece>,
    chars: usize,
    /// For long text and `?` that are looked for.
    bits: Option<Arc<Bits>>,
    /// Steps that it takes for each byte of a text, at most.
    steps: usize,
}

impl Wildcard {
    pub(crate) fn new(pieces: &[PatternPiece]) -> Self {
        let parts: Vec<&[PatternPiece]> =
            pieces.split(|piece| *piece == PatternPiece::AnyRun).collect();
        let last = parts.len() - 1;
        let part = |(at, pieces): (usize, &&[PatternPiece])| Part::new(pieces, 0 < at && at < last);
        Self { parts: parts.iter().enumerate().map(part).collect() }
    }

    /// Steps that the pattern takes for each byte of a text, at most.
    pub(crate) fn steps(&self) -> usize {
        self.parts.iter().map(|part| part.steps).max().unwrap_or(1)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, others @ ..] = self.parts.as_slice() else { return false };
        let Some(mut rest) = first.strip_from(text) else { return false };
        let [looked_for @ .., last] = others else { return rest.is_empty() };
        let Some(end) = last.begins_at_end_of(rest) else { return false };
        if last.strip_from(&rest[end..]) != Some("") {
            return false;
        }
        rest = &rest[..end];
        for part in looked_for {
            let Some(behind) = part.find_in(rest) else { return false };
            rest = behind;
        }
        true
    }
}

impl Part {
    fn new(pieces: &[PatternPiece], is_looked_for: bool) -> Self {
        let chars = pieces.iter().map(|piece| match piece {
            PatternPiece::Text(text) => text.chars().count(),
            PatternPiece::AnyOne | PatternPiece::AnyRun => 1,
        });
        let is_text = |piece: &PatternPiece| matches!(piece, PatternPiece::Text(_));
        let is_mixed = is_looked_for && pieces.len() > 1 && pieces.iter().any(is_text);
        let bytes = pieces.iter().map(bytes).sum();
        let bits = (is_mixed && bytes > TRIED_BYTES_MAX).then(|| Arc::new(Bits::new(pieces)));
        let steps = match &bits {
            Some(bits) => bits.words,
            None if is_mixed => bytes,
            None => 1,
        };
        Self { pieces: pieces.to_vec(), chars: chars.sum(), bits, steps }
    }

    /// What is behind the part, where a text begins with it.
    fn strip_from<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.pieces.iter().try_fold(text, |rest, piece| match piece {
            PatternPiece::Text(text) => rest.strip_prefix(text.as_str()),
            PatternPiece::AnyOne | PatternPiece::AnyRun => skip(rest, 1),
        })
    }

    /// Where it begins, if a text ends with it.
    fn begins_at_end_of(&self, text: &str) -> Option<usize> {
        match self.chars {
            0 => Some(text.len()),
            chars => text.char_indices().rev().nth(chars - 1).map(|(at, _)| at),
        }
    }

    /// What is behind the place where the part ends first.
    fn find_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        match (&self.bits, self.pieces.as_slice()) {
            (Some(bits), _) => bits.end_in(text).map(|end| &text[end..]),
            (None, [PatternPiece::Text(wanted)]) => {
                text.find(wanted.as_str()).map(|at| &text[at + wanted.len()..])
            }
            (None, pieces) if pieces.iter().all(|piece| *piece == PatternPiece::AnyOne) => {
                skip(text, pieces.len())
            }
            (None, _) => {
                let mut places = text.char_indices();
                places.find_map(|(at, _)| self.strip_from(&text[at..]))
            }
        }
    }
}

/// Bytes of a text; a `?` counts as one.
fn bytes(piece: &PatternPiece) -> usize {
    match piece {
        PatternPiece::Text(text) => text.len(),
        PatternPiece::AnyOne | PatternPiece::AnyRun => 1,
    }
}

/// What is behind so many characters.
fn skip(text: &str, chars: usize) -> Option<&str> {
    match chars {
        0 => Some(text),
        chars => text.char_indices().nth(chars - 1).map(|(at, c)| &text[at + c.len_utf8()..]),
    }
}

/// Text and `?`, with a bit for each byte of the text and each `?`.
#[derive(Debug)]
struct Bits {
    /// The bits that each byte may set, `words` words a byte.
    of_bytes: Vec<u64>,
    /// The bits of `?`.
    ones: Vec<u64>,
    last: u64,
    words: usize,
}

impl Bits {
    fn new(pieces: &[PatternPiece]) -> Self {
        let bits: usize = pieces.iter().map(bytes).sum();
        let words = bits.div_ceil(64);
        let (mut of_bytes, mut ones) = (vec![0; 256 * words], vec![0; words]);
        let mut at = 0;
        for piece in pieces {
            match piece {
                PatternPiece::Text(text) => {
                    for (n, byte) in (at..).zip(text.bytes()) {
                        of_bytes[usize::from(byte) * words + n / 64] |= 1 << (n % 64);
                    }
                }
                PatternPiece::AnyOne | PatternPiece::AnyRun => ones[at / 64] |= 1 << (at % 64),
            }
            at += bytes(piece);
        }
        Self { of_bytes, ones, last: 1 << ((bits - 1) % 64), words }
    }

    /// Where the first match in a text ends.
    fn end_in(&self, text: &str) -> Option<usize> {
        let Self { of_bytes, ones, last, words } = self;
        // A bit is set where all of the pattern up to it stands before the byte at hand.
        let mut state = vec![0_u64; *words];
        for (at, byte) in text.bytes().enumerate() {
            let of_byte = &of_bytes[usize::from(byte) * words..][..*words];
            // Of a character of several bytes, `?` takes the first, and keeps the others.
            let is_inside = byte & 0b1100_0000 == 0b1000_0000;
            let mut carry = u64::from(!is_inside);
            for ((state, of_byte), ones) in state.iter_mut().zip(of_byte).zip(ones) {
                let before = *state;
                let next = before << 1 | carry;
                carry = before >> 63;
                *state = if is_inside {
                    next & of_byte | before & ones
                } else {
                    next & (of_byte | ones)
                };
            }
            if state[words - 1] & last != 0 && text.is_char_boundary(at + 1) {
                return Some(at + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use language::ast::Pattern;

    fn pieces(pattern: &str) -> Vec<PatternPiece> {
        let piece = |c| match c {
            '*' => PatternPiece::AnyRun,
            '?' => PatternPiece::AnyOne,
            c => PatternPiece::Text(c.to_string()),
        };
        Pattern::new(pattern.chars().map(piece)).pieces().to_vec()
    }

    /// What a pattern means, said in the plainest way.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['*', rest @ ..], _) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
            (['?', rest @ ..], [_, text @ ..]) => matches(rest, text),
            ([c, rest @ ..], [found, text @ ..]) => c == found && matches(rest, text),
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn patterns_match_what_they_mean(pattern in "[ab日é?*]{0,9}", text in "[ab日é]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = matches(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Wildcard::new(&pieces(&pattern)).matches(&text), expected);
        }
    }

    #[test]
    fn long_parts_are_found_across_words_of_bits() {
        for length in [62, 63, 64, 65, 127, 128, 129, 1_000] {
            let part = format!("{}?é{}", "a".repeat(length / 2), "b".repeat(length / 2));
            let wildcard = Wildcard::new(&pieces(&format!("*{part}*")));
            let text = part.replace('?', "日");
            assert!(wildcard.matches(&format!("aaa{text}bbb")), "{length}");
            assert!(!wildcard.matches(&format!("aaa{}bbb", text.replace('é', "e"))), "{length}");
        }
    }

    #[test]
    fn no_pattern_takes_more_than_a_step_for_64_of_its_bytes() {
        let text = "a".repeat(1 << 18);
        for pattern in [format!("*{}b*", "a?".repeat(1_000)), format!("{}*b", "?*".repeat(2_000))] {
            let wildcard = Wildcard::new(&pieces(&pattern));
            assert!(wildcard.steps() <= pattern.len().div_ceil(64), "{}", wildcard.steps());
            assert!(!wildcard.matches(&text));
        }
    }

    #[test]
    fn many_short_parts_take_little_memory() {
        let count = |pattern: &str| {
            let parts = Wildcard::new(&pieces(pattern)).parts;
            parts.iter().filter(|part| part.bits.is_some()).count()
        };
        assert_eq!(count(&format!("*{}", "a?*".repeat(20_000))), 0);
        let (short, long) = ("b?".repeat(TRIED_BYTES_MAX / 2), "b?".repeat(TRIED_BYTES_MAX));
        assert_eq!(count(&format!("*{short}*{long}*a")), 1);
        assert_eq!(Wildcard::new(&pieces("*ab?*")).steps(), 3);
    }
}
