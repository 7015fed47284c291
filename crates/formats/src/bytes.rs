//! Byte sizes as text: `128 MiB`. Pure.

/// Powers of two first, so that [`text`] prefers them.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A whole number and a unit in any case; `None` for anything else, or past 64 bits.
pub fn parse(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit that loses nothing; bytes alone have none.
pub fn text(bytes: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*factor);
    match UNITS.iter().find(fits) {
        Some((unit, factor)) if *factor > 1 => format!("{} {unit}", bytes / factor),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        let sizes = [
            ("128 MiB", 128 << 20),
            ("1gib", 1 << 30),
            ("64 KB", 64_000),
            ("7  B", 7),
            ("0 GB", 0),
        ];
        for (given, bytes) in sizes {
            assert_eq!(parse(given), Some(bytes), "{given}");
        }
        for given in ["", "128", "MiB", "1.5 GiB", "-1 MB", "128 M", "99999999999 GiB", "1 MiB x"] {
            assert_eq!(parse(given), None, "{given}");
        }
    }

    #[test]
    fn text_keeps_every_byte() {
        for (bytes, printed) in [
            (0, "0"),
            (1_023, "1023"),
            (3 << 20, "3 MiB"),
            (64_000, "64 KB"),
            (1 << 40, "1024 GiB"),
        ] {
            assert_eq!(text(bytes), printed);
        }
    }
}
