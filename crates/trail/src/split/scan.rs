//! Steps over JSON without reading it: strings, brackets, white space.

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Skips white space, commas, the record separator of RFC 7464, and the byte order marks that begin files,
/// also those that were joined to others.
pub(super) fn skip_between(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b) if b.is_ascii_whitespace() || matches!(b, b',' | 0x1E) => at += 1,
            Some(0xEF) if bytes[at..].starts_with(BYTE_ORDER_MARK) => at += BYTE_ORDER_MARK.len(),
            _ => return at,
        }
    }
}

/// Where the string that begins at `at` ends, past its closing quote.
pub(super) fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the value that begins at `at` ends.
pub(super) fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at),
        b'{' | b'[' => skip_brackets(bytes, at),
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
            bytes[at..].iter().position(ends).map(|length| at + length)
        }
    }
}

fn skip_brackets(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_u32;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = skip_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Where the text, number, `true`, `false` or `null` that begins at `at` ends, if it is an element of a
/// list.
pub(super) fn scalar_end(bytes: &[u8], at: usize) -> Option<usize> {
    let is_scalar = |b: &&u8| matches!(b, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
    let end = bytes.get(at).filter(is_scalar).and_then(|_| skip_value(bytes, at))?;
    let is_value = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes[at..end]).is_ok();
    let next = bytes.get(skip_space(bytes, end));
    (is_value && matches!(next, Some(b',' | b']'))).then_some(end)
}
