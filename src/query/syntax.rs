//! What characters mean in a query: the one place the parser and the printer share.

use std::net::Ipv6Addr;

/// Words with a meaning of their own. Quoted or escaped they are text.
pub(super) const KEYWORDS: [&str; 4] = ["AND", "OR", "NOT", "TO"];

/// Characters that mean something inside a bare word, wherever it stands; the printer escapes them.
pub(super) const SPECIAL: &str = r#"\*?()[]{}"|&"#;

/// Whether a bare word ends before `c`, the first character of `rest`.
pub(super) fn ends_run(c: char, rest: &str) -> bool {
    c.is_whitespace() || "()\"|".contains(c) || rest.starts_with("&&")
}

/// Whether `c` can stand in a field name without a backslash.
pub(super) fn is_name_char(c: char, is_first: bool) -> bool {
    c.is_alphabetic() || "_@".contains(c) || (!is_first && (c.is_numeric() || ".-#$/".contains(c)))
}

/// Whether `token` is one word in spite of its colons: an ARN, a URL or an IPv6 address or network.
/// People paste these without a field, and `arn`, `https` and `fe80` would pass for field names.
pub(super) fn reads_as_word(token: &str) -> bool {
    let is_scheme = |scheme: &str| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let is_url = || token.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
    let is_ipv6 = || token.split('/').next().is_some_and(|a| a.parse::<Ipv6Addr>().is_ok());
    token.starts_with("arn:aws") || is_url() || is_ipv6()
}

/// The characters of a bare word without their backslashes, and whether each had one. A backslash
/// at the very end comes as itself.
pub(super) fn unescape(raw: &str) -> impl Iterator<Item = (char, bool)> {
    let mut chars = raw.chars();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let escaped = if c == '\\' { chars.next() } else { None };
        Some(escaped.map_or((c, false), |escaped| (escaped, true)))
    })
}

/// `text` as a bare word, with a backslash before each character that would mean something.
pub(super) fn escape(text: &str, also: &str) -> String {
    let mut raw = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || SPECIAL.contains(c) || also.contains(c) {
            raw.push('\\');
        }
        raw.push(c);
    }
    raw
}

/// `raw` with a backslash in front if it is a keyword or starts with a character of `leading`.
pub(super) fn escape_start(raw: String, leading: &str) -> String {
    if KEYWORDS.contains(&raw.as_str()) || raw.starts_with(|c| leading.contains(c)) {
        format!("\\{raw}")
    } else {
        raw
    }
}

/// `text` in double quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
