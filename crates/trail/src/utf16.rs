//! Files that are UTF-16, as PowerShell writes them. Pure.

/// Whether a file is UTF-16, which a byte order mark says or the first bracket shows.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    )
}

/// The text of a file that is UTF-16; None for any other.
pub fn decode(bytes: &[u8]) -> Option<Utf16> {
    let (unit, start): (fn([u8; 2]) -> u16, usize) = match bytes.get(..2)? {
        [0xFF, 0xFE] => (u16::from_le_bytes, 2),
        [0xFE, 0xFF] => (u16::from_be_bytes, 2),
        [b'{' | b'[', 0] => (u16::from_le_bytes, 0),
        [0, b'{' | b'['] => (u16::from_be_bytes, 0),
        _ => return None,
    };
    let (pairs, odd) = bytes[start..].as_chunks::<2>();
    let decoded = || char::decode_utf16(pairs.iter().map(move |pair| unit(*pair)));
    let bytes =
        |c: Result<char, _>| c.map_or(char::REPLACEMENT_CHARACTER.len_utf8(), char::len_utf8);
    let mut text = String::with_capacity(decoded().map(bytes).sum());
    let mut is_whole = odd.is_empty();
    for c in decoded() {
        is_whole &= c.is_ok();
        text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Some(Utf16 { text, start, is_whole })
}

/// A file that was UTF-16.
#[derive(Debug)]
pub struct Utf16 {
    /// As UTF-8.
    pub text: String,
    /// Bytes of the mark before it.
    pub(crate) start: usize,
    /// Whether it has no halves of characters; they become U+FFFD.
    pub is_whole: bool,
}
