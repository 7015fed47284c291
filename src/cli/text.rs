//! Text for people: what a record says made harmless for a terminal, numbers made readable.

use std::borrow::Cow;

/// Whether a terminal might obey a character instead of showing it, or show its neighbours in
/// another order: control characters, line separators, and the marks of writing direction.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line, with unsafe characters in Rust's notation (`\n`, `\u{1b}`).
pub(super) fn escape(text: &str) -> Cow<'_, str> {
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

/// The same of a text of several lines, whose ends stay.
pub(super) fn escape_lines(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
        Some(line) => escape(line) + "\n",
        None => escape(line),
    });
    lines.collect()
}

/// Lines of a label and a value each, the values aligned and escaped; empty ones are left out.
pub(super) fn labelled(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(label, _)| label.len() + 2).max().unwrap_or(0);
    let shown = lines.iter().filter(|(_, value)| !value.is_empty());
    let lines = shown.map(|(label, value)| format!("{label:<width$}{}\n", escape(value)));
    lines.collect::<Vec<_>>().concat()
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How many there are: `1 event`, `1,234 events`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A size in decimal units, as disks are sold: `310.2 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1e3;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0.
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1e3;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A duration by its two largest units: `0.4 s`, `3 min 20 s`, `2 d 4 h`.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else {
        format!("{minutes} min {} s", whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, expected) in [
            ("aws-cli/2.1 é 日本 🙂", "aws-cli/2.1 é 日本 🙂"),
            ("\x1b]0;pwned\x07", r"\u{1b}]0;pwned\u{7}"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\u{0}"),
            ("\u{9b}31m\x7f", r"\u{9b}31m\u{7f}"),
            ("\u{202e}txt.exe\u{2066}", r"\u{202e}txt.exe\u{2066}"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn numbers_are_readable() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), expected);
        }
        for (size, expected) in
            [(999, "999 B"), (1000, "1.0 kB"), (310_249_000, "310.2 MB"), (999_950_000, "1.0 GB")]
        {
            assert_eq!(bytes(size), expected);
        }
        for (time, expected) in [
            (0.42, "0.4 s"),
            (59.97, "1 min 0 s"),
            (200.0, "3 min 20 s"),
            (7_260.0, "2 h 1 min"),
            (187_200.0, "2 d 4 h"),
        ] {
            assert_eq!(seconds(time), expected);
        }
    }
}
