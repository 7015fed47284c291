//! What of a record may reach a terminal, which is one decision for all programs: text for people made
//! harmless, and JSON and CSV without what a terminal would obey or hide, as [`is_unsafe`] says.
//!
//! A terminal gets JSON with the same values, by JSON's own escapes; and CSV to look at, whose cells
//! stay on one line. Everywhere else, data is passed on byte by byte.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::json::Strings;

/// Whether a terminal might obey a character instead of showing it, show nothing for it, or show its
/// neighbours in another order: control and format characters, separators and spaces but the usual
/// one, what Unicode has not assigned, and what is drawn as nothing. All that the command lines write
/// to a terminal of names, values, paths and messages is judged by this.
pub fn is_unsafe(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    is_drawn_as_nothing(c) || !is_printable(c)
}

/// As the standard library judges for debugging. It escapes a combining mark as well, but not one
/// behind a letter, which is part of many names.
fn is_printable(c: char) -> bool {
    let mut text = [b'a', 0, 0, 0, 0];
    let end = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..end]).is_ok_and(|text| text.escape_debug().nth(2).is_none())
}

/// Unicode's Default_Ignorable_Code_Point, as far as it counts as printable, and the blank of Braille.
fn is_drawn_as_nothing(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{1d159}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line, with unsafe characters in Rust's notation (`\n`, `\u{1b}`).
pub fn escape(text: &str) -> Cow<'_, str> {
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
pub fn escape_cut(text: &str, chars_max: usize) -> String {
    let text = escape(text);
    match text.char_indices().nth(chars_max) {
        None => text.into_owned(),
        Some(_) => {
            let kept = text.char_indices().nth(chars_max.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", &text[..kept])
        }
    }
}

/// What data is made of.
pub enum Shown {
    /// JSON, within a text or not.
    Json(Strings),
    /// CSV.
    Csv {
        /// Within quotes.
        is_quoted: bool,
    },
}

impl Shown {
    /// JSON, from its beginning.
    pub fn json() -> Self {
        Self::Json(Strings::default())
    }

    /// CSV, from its beginning.
    pub fn csv() -> Self {
        Self::Csv { is_quoted: false }
    }

    /// Adds the next character as a terminal may have it.
    fn push(&mut self, c: char, out: &mut String) {
        match self {
            Self::Json(strings) => {
                let is_text = strings.contain(c);
                match c {
                    '\n' if !is_text => out.push(c),
                    '\t' | '\r' if !is_text => out.push(' '),
                    c if is_unsafe(c) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            let _ = write!(out, "\\u{unit:04x}"); // A String takes everything.
                        }
                    }
                    c => out.push(c),
                }
            }
            Self::Csv { is_quoted } => {
                *is_quoted ^= c == '"';
                if is_unsafe(c) && (c != '\n' || *is_quoted) {
                    out.extend(c.escape_default());
                } else {
                    out.push(c);
                }
            }
        }
    }

    fn text(mut self, text: &str, is_plain: impl Fn(char) -> bool) -> Cow<'_, str> {
        if text.chars().all(is_plain) {
            return Cow::Borrowed(text);
        }
        let mut safe = String::with_capacity(text.len() + 16);
        text.chars().for_each(|c| self.push(c, &mut safe));
        Cow::Owned(safe)
    }
}

/// JSON as a terminal may have it. Line ends between values are layout and stay.
pub fn json_for_terminal(json: &str) -> Cow<'_, str> {
    Shown::json().text(json, |c| !is_unsafe(c) || c == '\n')
}

/// CSV as a terminal may have it.
pub fn csv_for_terminal(csv: &str) -> Cow<'_, str> {
    Shown::csv().text(csv, |c| !is_unsafe(c) && c != '"' || c == '\n')
}

/// Passes data that comes in pieces on to a terminal.
pub struct ForTerminal<W: Write> {
    out: W,
    shown: Shown,
    /// The beginning of a character.
    rest: Vec<u8>,
}

impl<W: Write> ForTerminal<W> {
    /// Passes on to `out`.
    pub fn new(out: W, shown: Shown) -> Self {
        Self { out, shown, rest: Vec::new() }
    }
}

impl<W: Write> Write for ForTerminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let mut safe = String::with_capacity(self.rest.len());
        let mut taken = 0;
        for chunk in self.rest.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.shown.push(c, &mut safe));
            taken += chunk.valid().len();
            let invalid = chunk.invalid();
            // What is cut off at the end may go on with the next bytes.
            let is_cut = taken + invalid.len() == self.rest.len()
                && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if !invalid.is_empty() && !is_cut {
                self.shown.push(char::REPLACEMENT_CHARACTER, &mut safe);
                taken += invalid.len();
            }
        }
        self.rest.drain(..taken);
        self.out.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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

    #[test]
    fn a_terminal_gets_json_with_the_same_values() {
        let record = "{\n\"a\":\"\u{9b}31m\u{7f}\u{202e}é\",\t\"ro\u{200b}ot\" :\r\n\"\u{e0041}\"}";
        let safe = json_for_terminal(record);
        let expected =
            "{\n\"a\":\"\\u009b31m\\u007f\\u202eé\", \"ro\\u200bot\" : \n\"\\udb40\\udc41\"}";
        assert_eq!(safe, expected);
        let parse = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(parse(&safe), parse(record));
    }

    #[test]
    fn a_terminal_gets_csv_whose_cells_stay_on_a_line() {
        let csv = "a,b\n\"x\ny\",\"say \"\"\u{1b}[2J\"\"\r\"\nro\u{200b}ot,é\n";
        let expected = "a,b\n\"x\\ny\",\"say \"\"\\u{1b}[2J\"\"\\r\"\nro\\u{200b}ot,é\n";
        assert_eq!(csv_for_terminal(csv), expected);
    }

    #[test]
    fn pieces_are_shown_as_the_whole_is_wherever_they_are_cut() {
        let csv = "é\u{1b},\"\u{9b}\n\u{e0041}\u{200b}\"\n日本\n";
        let json = "{\"é\u{9b}\":\"\u{e0041}\"}\n{\"日\":\"\u{202e}\"}\n";
        for (text, shown, whole) in [
            (csv, Shown::csv as fn() -> Shown, csv_for_terminal(csv)),
            (json, Shown::json as fn() -> Shown, json_for_terminal(json)),
        ] {
            for at in 0..=text.len() {
                let mut out = ForTerminal::new(Vec::new(), shown());
                out.write_all(&text.as_bytes()[..at]).unwrap();
                out.write_all(&text.as_bytes()[at..]).unwrap();
                assert_eq!(String::from_utf8(out.out).unwrap(), whole, "{at}");
            }
        }
        let mut out = ForTerminal::new(Vec::new(), Shown::csv());
        out.write_all(b"a\x9b\xff\xe2\x80,b").unwrap();
        assert_eq!(String::from_utf8(out.out).unwrap(), "a\u{fffd}\u{fffd}\u{fffd},b");
    }
}
