//! Lists of indicators: addresses, networks, and texts that a value must be: access keys, ARNs, agents.
//!
//! A line is an indicator. Behind a tab stands what it is, for people; behind a comma, too, where what is
//! before it is an address, a network or an access key, which have none. Lines that begin with `#` say
//! nothing.

use trail::flat::parse_ip;
use trail::network::network;
use trail::seeded::SeededMap;

use crate::file::Made;
use crate::limits::{LINE_BYTES_MAX, PROBLEMS_MAX};
use crate::networks::Networks;

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// The name of its file, without the ending.
    pub(crate) name: String,
    networks: Networks<Label>,
    texts: SeededMap<Box<str>, Label>,
    /// Lines that were read.
    pub(crate) lines: usize,
}

/// What an indicator is, as the list says.
pub(crate) type Label = Option<Box<str>>;

impl List {
    /// The list of a file's bytes, which may have so many lines.
    pub(crate) fn of(name: &str, bytes: &[u8], lines_max: usize) -> Made<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let (networks, texts) = (Networks::default(), SeededMap::default());
        let mut list = Self { name: name.to_owned(), networks, texts, lines: 0 };
        let (mut bad, mut more) = (Vec::new(), 0_usize);
        for line in bytes.split(|byte| *byte == b'\n') {
            list.lines += 1;
            if list.lines > lines_max {
                return Err(format!("it has more than the {lines_max} lines that are left for it"));
            }
            if let Err(reason) = list.add(line) {
                if bad.len() < PROBLEMS_MAX {
                    bad.push((list.lines, reason));
                } else {
                    more += 1;
                }
            }
        }
        if more > 0 {
            bad.push((list.lines, format!("{more} lines before it are no indicators, either")));
        }
        Ok((list, bad))
    }

    /// How many indicators it has.
    pub(crate) fn count(&self) -> usize {
        self.networks.count() + self.texts.len()
    }

    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("the line has more than {LINE_BYTES_MAX} bytes"));
        }
        let line = str::from_utf8(line).map_err(|_| "the line is no text in UTF-8".to_owned())?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (value, label) = parts(line);
        let label: Label = label.filter(|label| !label.is_empty()).map(Into::into);
        // Where it stands twice, the first label counts.
        let or_first = |before: Option<Label>| before.flatten().or_else(|| label.clone());
        if self.networks.add(value, or_first).is_some() {
            return Ok(());
        }
        if let Some(reason) = why_none(value) {
            return Err(format!("'{}' {reason}", value.chars().take(80).collect::<String>()));
        }
        let known = self.texts.entry(value.into()).or_default();
        *known = known.take().or(label);
        Ok(())
    }

    /// Whether it has a value, and what the list says of it: of several networks, the smallest that says
    /// something.
    pub(crate) fn find(&self, value: &str) -> Option<Label> {
        if let Some(label) = self.texts.get(value) {
            return Some(label.clone());
        }
        let mut networks = self.networks.of(parse_ip(value)?);
        let first = networks.next()?;
        Some(first.clone().or_else(|| networks.find_map(Clone::clone)))
    }
}

/// An indicator, and what the line says of it.
fn parts(line: &str) -> (&str, Option<&str>) {
    if let Some((value, label)) = line.split_once('\t') {
        return (value.trim_end(), Some(label.trim()));
    }
    match line.split_once(',') {
        Some((value, label)) if network(value.trim_end()).is_some() || is_key(value.trim_end()) => {
            (value.trim_end(), Some(label.trim()))
        }
        _ => (line, None),
    }
}

/// Whether a text is an access key's id.
fn is_key(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    (16..=128).contains(&text.len()) && text.bytes().all(is_part)
}

/// Why a text is no value that an event could have, where it is meant for something else.
fn why_none(text: &str) -> Option<&'static str> {
    if text.contains("[.]") || text.contains("[:]") {
        return Some("is written so that nobody follows it: leave out the brackets");
    }
    if text.contains('*') && !text.contains(' ') {
        return Some(
            "is a pattern, and a list has whole values: ask for patterns in a query or a rule",
        );
    }
    let is_address = |text: &str| {
        text.contains(['.', ':']) && text.chars().all(|c| c.is_ascii_hexdigit() || ".:".contains(c))
    };
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    let is_meant = is_address(address) && address.chars().any(|c| c.is_ascii_digit());
    is_meant.then_some("is no address and no network")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> (List, Vec<(usize, String)>) {
        List::of("list", text.as_bytes(), 1_000).unwrap()
    }

    #[test]
    fn a_line_is_an_indicator_and_what_it_is() {
        let text = "\u{feff}# comment\n203.0.113.7\n198.51.100.0/24,exit node\r\n  2001:db8::/32\tours, too\n\n\
                    AKIAIOSFODNN7EXAMPLE,leaked\narn:aws:iam::111122223333:user/eve\n\
                    Mozilla/5.0 (X11, Linux)\nS3 Browser 9.5.5\tfirst\nS3 Browser 9.5.5\tsecond\n";
        let (list, bad) = list(text);
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(list.count(), 7);
        let of = |value: &str| list.find(value).map(|label| label.map(String::from));
        let label = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(of("203.0.113.7"), Some(None));
        assert_eq!(of("::ffff:203.0.113.7"), Some(None));
        assert_eq!(of("198.51.100.200"), label("exit node"));
        assert_eq!(of("2001:db8::9"), label("ours, too"));
        assert_eq!(of("AKIAIOSFODNN7EXAMPLE"), label("leaked"));
        assert_eq!(of("arn:aws:iam::111122223333:user/eve"), Some(None));
        assert_eq!(of("Mozilla/5.0 (X11, Linux)"), Some(None));
        assert_eq!(of("S3 Browser 9.5.5"), label("first"));
        for value in
            ["203.0.113.8", "2001:db9::", "AKIA", "leaked", "", "# comment", "s3 browser 9.5.5"]
        {
            assert_eq!(of(value), None, "{value}");
        }
    }

    #[test]
    fn a_bad_line_costs_itself() {
        let check = |line: &str, expected: &str| {
            let (list, bad) = list(&format!("10.0.0.1\n{line}\n10.0.0.2\n"));
            let [(2, reason)] = bad.as_slice() else { panic!("{line}: {bad:?}") };
            assert!(reason.contains(expected), "{reason}");
            assert_eq!(list.count(), 2, "{line}");
        };
        check("10.0.0.0/33", "'10.0.0.0/33' is no address and no network");
        check("10.0.0.300", "is no address and no network");
        check("10.0.0[.]7", "leave out the brackets");
        check("arn:aws:iam::*:role/x", "is a pattern");
        check(&"x".repeat(LINE_BYTES_MAX + 1), "more than 2048 bytes");
        let (list, bad) = List::of("l", b"10.0.0.1\n\xff\xfe\n10.0.0.2", 10).unwrap();
        assert_eq!((list.count(), bad[0].0), (2, 2));
        assert!(List::of("l", b"1\n2\n3", 2).unwrap_err().contains("more than the 2 lines"));
        let (_, bad) = self::list(&"10.0.0.300\n".repeat(50));
        assert_eq!(
            (bad.len(), bad[20].1.as_str()),
            (21, "30 lines before it are no indicators, either")
        );
    }
}
