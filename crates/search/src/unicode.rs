//! The forms that Unicode has for one text: `é` is one character, or an `e` with a combining mark.
//!
//! Values are kept as they were delivered. macOS writes names decomposed, and most keyboards write
//! them composed, so a query asks for both.

use unicode_normalization::UnicodeNormalization;

use language::ast::{Pattern, PatternPiece, Test, Value};

/// The text as it is, then composed (NFC) and decomposed (NFD), where these are others.
pub(crate) fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    if text.is_ascii() {
        return forms;
    }
    for form in [text.nfc().collect::<String>(), text.nfd().collect()] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// The forms of a pattern's texts.
pub(crate) fn pattern_forms(pattern: &Pattern) -> Vec<Pattern> {
    let text_forms = |piece: &PatternPiece| match piece {
        PatternPiece::Text(text) => forms(text),
        PatternPiece::AnyRun | PatternPiece::AnyOne => Vec::new(),
    };
    let mut found = vec![pattern.clone()];
    if pattern.pieces().iter().all(|piece| text_forms(piece).len() < 2) {
        return found;
    }
    for is_composed in [true, false] {
        let pieces = pattern.pieces().iter().map(|piece| match piece {
            PatternPiece::Text(text) if is_composed => PatternPiece::Text(text.nfc().collect()),
            PatternPiece::Text(text) => PatternPiece::Text(text.nfd().collect()),
            piece => piece.clone(),
        });
        let form = Pattern::new(pieces);
        if !found.contains(&form) {
            found.push(form);
        }
    }
    found
}

/// The forms of a test on values; only itself where it has no others. The bounds of ranges and
/// regular expressions stay as they are.
pub(crate) fn test_forms(test: &Test) -> Vec<Test> {
    match test {
        Test::Is(Value { text, offset }) => {
            let value = |text| Test::Is(Value { text, offset: *offset });
            forms(text).into_iter().map(value).collect()
        }
        Test::Phrase(text) => forms(text).into_iter().map(Test::Phrase).collect(),
        Test::AnyCase(pattern) => pattern_forms(pattern).into_iter().map(Test::AnyCase).collect(),
        Test::Wildcard(pattern) => pattern_forms(pattern).into_iter().map(Test::Wildcard).collect(),
        test => vec![test.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_forms_that_are_others() {
        assert_eq!(forms("plain"), ["plain"]);
        assert_eq!(forms("東"), ["東"]);
        assert_eq!(forms("\u{e9}"), ["\u{e9}", "e\u{301}"]);
        assert_eq!(forms("e\u{301}"), ["e\u{301}", "\u{e9}"]);
        assert_eq!(forms("\u{e9}e\u{301}").len(), 3);
        let pattern = Pattern::new([PatternPiece::Text("\u{e9}".to_owned()), PatternPiece::AnyRun]);
        assert_eq!(pattern_forms(&pattern).len(), 2);
    }
}
