//! Text for people: what a record says made harmless for a terminal, numbers made readable.

pub(super) use formats::terminal::{escape, escape_cut};

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
    use formats::terminal::is_unsafe;

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        for (text, expected) in
            [("", ""), ("abcd", "abcd"), ("abcde", "abc…"), ("é\u{1b}", "é\\u…")]
        {
            assert_eq!(escape_cut(text, 4), expected);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, expected) in [
            ("aws-cli/2.1 é 日本 🙂", "aws-cli/2.1 é 日本 🙂"),
            ("\x1b]0;pwned\x07", r"\u{1b}]0;pwned\u{7}"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\u{0}"),
            ("\u{9b}31m\x7f", r"\u{9b}31m\u{7f}"),
            ("\u{202e}txt.exe\u{2066}", r"\u{202e}txt.exe\u{2066}"),
            ("ro\u{200b}ot ro\u{ad}ot", r"ro\u{200b}ot ro\u{ad}ot"),
            ("root\u{e0041}\u{fe0f}\u{e0101}", r"root\u{e0041}\u{fe0f}\u{e0101}"),
            ("a\u{a0}b\u{200a}c\u{3164}", r"a\u{a0}b\u{200a}c\u{3164}"),
            // Composed in two ways, and letters that join.
            ("é e\u{301} नमस्ते עברית العربية", "é e\u{301} नमस्ते עברית العربية"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    /// Each of these has hidden or changed text somewhere.
    #[test]
    fn nothing_that_is_not_seen_passes() {
        let ranges = [
            0..=0x1f,
            0x7f..=0xa0,
            0xad..=0xad,
            0x34f..=0x34f,
            0x600..=0x605,
            0x61c..=0x61c,
            0x6dd..=0x6dd,
            0x70f..=0x70f,
            0x115f..=0x1160,
            0x1680..=0x1680,
            0x17b4..=0x17b5,
            0x180b..=0x180f,
            0x2000..=0x200f,
            0x2028..=0x202f,
            0x205f..=0x206f,
            0x2800..=0x2800,
            0x3000..=0x3000,
            0x3164..=0x3164,
            0xe000..=0xf8ff,
            0xfdd0..=0xfdef,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0xffa0..=0xffa0,
            0xfff0..=0xfffb,
            0xfffe..=0xffff,
            0x110bd..=0x110bd,
            0x1bca0..=0x1bca3,
            0x1d159..=0x1d159,
            0x1d173..=0x1d17a,
            0x1fffe..=0x1ffff,
            0xe0000..=0xe0fff,
            0xf0000..=0xffffd,
            0x0010_0000..=0x0010_ffff,
        ];
        for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
            assert!(is_unsafe(c), "{:x}", c as u32);
        }
        let shown = ('!'..='~').chain("äßçñøЖλשع中あ한€™—…«»█▏✓🙂\u{301}\u{fffd} ".chars());
        for c in shown {
            assert!(!is_unsafe(c), "{:x}", c as u32);
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
