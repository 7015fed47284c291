//! What a word is.
//!
//! A word is a run of letters and digits, in any script, with `-`, `_` and `.` between them: UUIDs,
//! host names, instance ids and version numbers are one word each, and an ARN is a few. Words are
//! compared in lower case. Indexing and querying both cut text with [`each_word`], so they agree.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use crate::limits::WORD_BYTES_MAX;

/// Bytes of the hash that [`shorten`] appends: `#` and 32 hexadecimal digits.
const HASH_BYTES: usize = 33;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    /// Belongs to a word only between letters.
    Joiner,
    Separator,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Class::Letter,
        '-' | '_' | '.' => Class::Joiner,
        _ if c.is_ascii() => Class::Separator,
        _ if c.is_alphanumeric() => Class::Letter,
        _ => Class::Separator,
    }
}

/// Calls `sink` with each word of `text`, in order, in lower case. `buffer` is scratch space.
pub fn each_word(text: &str, buffer: &mut String, mut sink: impl FnMut(&str)) {
    each_placed_word(text, buffer, |word, _| sink(word));
}

/// Like [`each_word`], with the byte range of `text` where the word stands.
#[inline]
pub fn each_placed_word(text: &str, buffer: &mut String, mut sink: impl FnMut(&str, Range<usize>)) {
    let mut rest = text;
    while let Some(start) = rest.find(|c| class(c) == Class::Letter) {
        rest = &rest[start..];
        let run = rest.find(|c| class(c) == Class::Separator).unwrap_or(rest.len());
        let word = rest[..run].trim_end_matches(|c| class(c) == Class::Joiner);
        lower(word, buffer);
        let at = text.len() - rest.len();
        sink(shorten(buffer, WORD_BYTES_MAX), at..at + word.len());
        rest = &rest[run..];
    }
}

/// The words of `text`, in order.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, &mut String::new(), |word| words.push(word.to_owned()));
    words
}

/// Text with its case folded, character by character, as that of words is.
pub fn lowercase(text: &str) -> String {
    let mut lowercase = String::with_capacity(text.len());
    lower(text, &mut lowercase);
    lowercase
}

fn lower(word: &str, buffer: &mut String) {
    buffer.clear();
    if word.is_ascii() {
        buffer.push_str(word);
        buffer.make_ascii_lowercase();
    } else {
        word.chars().for_each(|c| fold(c, buffer));
    }
}

/// Adds a letter as Unicode's simple case folding has it, letter by letter: `ς`, `σ` and `Σ` are one, and
/// `ß` is not `ss`. `İ`, which is folded to none, becomes an `i` and its dot.
fn fold(c: char, buffer: &mut String) {
    fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
        letters.next().filter(|_| letters.next().is_none())
    }
    let small = only(c.to_lowercase());
    // The capital of `ı` is `I`, to which it is not folded.
    let capital = small.filter(|_| c != 'ı').and_then(|small| only(small.to_uppercase()));
    match capital.and_then(|capital| only(capital.to_lowercase())) {
        Some(folded) => buffer.push(folded),
        None => buffer.extend(c.to_lowercase()),
    }
}

/// Cuts text longer than `bytes_max` to its beginning and a hash of the whole, in place. The index
/// bounds a term's length; the hash keeps equality exact, except for collisions of 128 bits. It is
/// XXH3, whose specification fixes its output, because it is part of the index's format.
pub fn shorten(text: &mut String, bytes_max: usize) -> &str {
    if text.len() > bytes_max {
        let hash = xxh3_128(text.as_bytes());
        text.truncate(text.floor_char_boundary(bytes_max - HASH_BYTES));
        text.push_str(&format!("#{hash:032x}"));
    }
    text
}

/// Whether a text looks like one that [`shorten`] has cut.
pub fn is_shortened(text: &str, bytes_max: usize) -> bool {
    // The cut is before a character, of 4 bytes at most.
    let is_long = (bytes_max - 3..=bytes_max).contains(&text.len());
    is_long
        && text.as_bytes().last_chunk::<HASH_BYTES>().is_some_and(|[hash, digits @ ..]| {
            *hash == b'#' && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
}

/// The beginning of a word that [`shorten`] has cut, without its hash; any other word whole.
pub fn known_part(word: &str) -> &str {
    let is_cut = is_shortened(word, WORD_BYTES_MAX);
    if is_cut { &word[..word.len() - HASH_BYTES] } else { word }
}

/// Whether the known part of a word may be the beginning of one that [`shorten`] has cut.
pub fn is_perhaps_cut(known: &str) -> bool {
    known.len() + HASH_BYTES + 3 >= WORD_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(words(text).join(" | "), expected);
    }

    #[test]
    fn identifiers_are_one_word() {
        check("a3d34faf-076e-44ff-b2f7-605d76705a81", "a3d34faf-076e-44ff-b2f7-605d76705a81");
        check("ec2.us-east-1.amazonaws.com", "ec2.us-east-1.amazonaws.com");
        check("i-044b1baf4c96e1b62", "i-044b1baf4c96e1b62");
        check("AKIAIOSFODNN7EXAMPLE", "akiaiosfodnn7example");
    }

    #[test]
    fn arns_and_user_agents_are_their_parts() {
        check(
            "arn:aws:iam::111122223333:role/admin-tempcreds",
            "arn | aws | iam | 111122223333 | role | admin-tempcreds",
        );
        check("aws-cli/2.13.5 Python/3.11.4", "aws-cli | 2.13.5 | python | 3.11.4");
        check("alice@example.com", "alice | example.com");
    }

    #[test]
    fn a_word_has_its_place_in_the_text() {
        let text = format!("ẞ-İx: {} Été-", "a".repeat(300));
        let mut places = Vec::new();
        each_placed_word(&text, &mut String::new(), |word, place| {
            assert_eq!(words(&text[place.clone()]), [word]);
            places.push(text[place].to_owned());
        });
        assert_eq!(places, ["ẞ-İx", "a".repeat(300).as_str(), "Été"]);
    }

    #[test]
    fn joiners_at_the_ends_are_not_part_of_a_word() {
        check("--foo--bar. _x_ ... -", "foo--bar | x");
        check("", "");
    }

    #[test]
    fn letters_of_any_script_make_words() {
        check("Zoë ÜBER 東京", "zoë | über | 東京");
    }

    #[test]
    fn case_is_folded_as_unicode_has_it() {
        for (one, other) in [
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("K", "k"),
            ("ſ", "S"),
            ("µ", "Μ"),
            ("ẞ", "ß"),
            ("ϑ", "Θ"),
            ("ǅ", "ǆ"),
            ("İ", "i\u{307}"),
            ("É", "é"),
        ] {
            assert_eq!(lowercase(one), lowercase(other), "{one} {other}");
        }
        for (one, other) in [("ı", "i"), ("ı", "I"), ("ß", "ss"), ("i", "İ"), ("é", "e")] {
            assert_ne!(lowercase(one), lowercase(other), "{one} {other}");
        }
    }

    #[test]
    fn a_long_word_is_cut_and_still_told_from_its_like() {
        let one = words(&"a".repeat(1_000));
        let other = words(&"a".repeat(1_001));
        assert_eq!(one[0].len(), WORD_BYTES_MAX);
        assert_ne!(one, other);
        assert_eq!(one, words(&"A".repeat(1_000)));
        let wide = words(&"é".repeat(1_000));
        assert!(wide[0].len() <= WORD_BYTES_MAX);
        for word in one.iter().chain(&other).chain(&wide) {
            assert!(is_shortened(word, WORD_BYTES_MAX), "{word}");
        }
        assert!(!is_shortened(&"a".repeat(WORD_BYTES_MAX), WORD_BYTES_MAX));
        assert!(!is_shortened("", WORD_BYTES_MAX));
        assert_eq!(known_part(&one[0]), "a".repeat(WORD_BYTES_MAX - HASH_BYTES));
        assert_eq!(known_part("aaa"), "aaa");
    }
}
