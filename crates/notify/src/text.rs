//! Text of strangers made harmless: for a log, a terminal and a chat.

use std::borrow::Cow;

/// Whether something that shows text might obey a character instead of showing it, show nothing for
/// it, or show its neighbours in another order.
pub(crate) fn is_unsafe(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // As the standard library judges for debugging; behind a letter, so that combining marks pass.
    let mut text = [b'a', 0, 0, 0, 0];
    let end = 1 + c.encode_utf8(&mut text[1..]).len();
    let is_printable =
        std::str::from_utf8(&text[..end]).is_ok_and(|text| text.escape_debug().nth(2).is_none());
    let is_drawn_as_nothing = matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{1d159}'
        | '\u{e0000}'..='\u{e0fff}');
    is_drawn_as_nothing || !is_printable
}

/// The text on one line, with unsafe characters in Rust's notation (`\n`, `\u{1b}`).
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The escaped text, cut to so many characters with an ellipsis.
pub(crate) fn escape_cut(text: &str, chars_max: usize) -> String {
    let text = escape(text);
    match text.char_indices().nth(chars_max) {
        None => text.into_owned(),
        Some(_) => {
            let kept = text.char_indices().nth(chars_max.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", &text[..kept])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(escape("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(escape("x\u{202e}y\u{200b}z\u{85}"), "x\\u{202e}y\\u{200b}z\\u{85}");
        assert_eq!(escape("Zürich \u{65}\u{301} 東京"), "Zürich \u{65}\u{301} 東京");
        assert_eq!(escape_cut("abcdef", 4), "abc…");
        assert_eq!(escape_cut("abcd", 4), "abcd");
    }
}
