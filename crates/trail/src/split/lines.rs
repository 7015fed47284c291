//! Lines of a log: what stands before a record in its line.
//!
//! CloudWatch Logs exports put the time before each record, other tools a time, a host and a level. Such a
//! text is packing if it is short and can be read by a person.

use super::scan::skip_space;
use crate::flags::Flags;

/// Bytes of a line that are looked at for its record. A prefix of syslog has some 60.
const PREFIX_BYTES_MAX: usize = 1 << 10;

/// Where the record begins in the line that begins at `at`, and the flag of what stands before it; none
/// where no line begins, or it has no such record. A time alone has no flag.
pub(super) fn prefixed(bytes: &[u8], at: usize) -> Option<(usize, Flags)> {
    let is_blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r');
    let before = bytes[..at].iter().rev().find(|b| !is_blank(b));
    if before.is_some_and(|b| *b != b'\n' && *b != 0xBF) {
        return None;
    }
    let line = &bytes[at..bytes.len().min(at + PREFIX_BYTES_MAX)];
    let length = line.iter().position(|b| matches!(b, b'\n' | b'{'))?;
    let prefix = std::str::from_utf8(&line[..length]).ok()?;
    let begins =
        line[length] == b'{' && bytes.get(skip_space(bytes, at + length + 1)) == Some(&b'"');
    if !begins || prefix.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let flags = if is_time(prefix.trim_end()) { Flags::default() } else { Flags::LINE_PREFIX };
    Some((at + length, flags))
}

/// `2025-05-01T10:00:01.123Z` or another offset.
fn is_time(text: &str) -> bool {
    crate::time::Micros::parse_event_time(text).is_some()
}

/// The beginning of the next line behind `at` in which a record begins.
pub(super) fn next(bytes: &[u8], at: usize) -> Option<usize> {
    let mut from = at;
    loop {
        from += memchr::memchr(b'\n', bytes.get(from..)?)? + 1;
        let line = skip_space(bytes, from);
        if bytes.get(line) == Some(&b'{') || prefixed(bytes, line).is_some() {
            return Some(line);
        }
        from = line.max(from);
    }
}
