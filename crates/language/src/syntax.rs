//! What characters mean in a query: the one place the parser and the printer share.

use std::net::{IpAddr, Ipv6Addr};

/// Words with a meaning of their own, in upper or lower case. Quoted or escaped they are text.
pub(super) const KEYWORDS: [&str; 4] = ["AND", "OR", "NOT", "TO"];

/// Characters that begin quoted text.
pub(super) const QUOTES: &str = "\"'\u{201c}\u{2018}";

/// Whether a word is one of the language's own.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// In front of a colon, Lucene's way to ask whether a field is there.
pub(super) const LUCENE_EXISTS: &str = "_exists_";

/// The same, whether it is not.
pub(super) const LUCENE_MISSING: &str = "_missing_";

/// What tells another tool where to search, and is no field here. With a backslash it is one.
pub(super) const SOURCES: [&str; 18] = [
    "index",
    "_index",
    "sourcetype",
    "splunk_server",
    "_sourceCategory",
    "_sourceHost",
    "_sourceName",
    "_collector",
    "_view",
    "logGroup",
    "@log",
    "@logGroup",
    "@logStream",
    "event.dataset",
    "event.module",
    "cloud.provider",
    "data_stream.dataset",
    "data_stream.type",
];

/// Whether a name in front of a value is no plain field's: it needs a backslash to be one.
pub(super) fn is_taken_before_values(name: &str) -> bool {
    [LUCENE_EXISTS, LUCENE_MISSING].contains(&name) || SOURCES.contains(&name)
}

/// Characters that mean something in a bare word, wherever they stand in it, and `;`, which is refused at
/// the end of a query. The printer escapes them.
pub(super) const SPECIAL: &str = r#"\*?()[]{}"|&;"#;

/// Whether a bare word ends before `c`, the first character of `rest`.
pub(super) fn ends_run(c: char, rest: &str) -> bool {
    c.is_whitespace() || "()\"|".contains(c) || rest.starts_with("&&")
}

/// The fields at the top of a CloudTrail record. Behind a comparison, a bare word that is one of these,
/// or a path below one, is a field; any other word is text.
const RECORD_FIELDS: [&str; 32] = [
    "additionalEventData",
    "addendum",
    "apiVersion",
    "awsRegion",
    "edgeDeviceDetails",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventContext",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "insightDetails",
    "managementEvent",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters",
    "resources",
    "responseElements",
    "serviceEventDetails",
    "sessionCredentialFromConsole",
    "sharedEventID",
    "sourceIPAddress",
    "tlsDetails",
    "userAgent",
    "userIdentity",
    "vpcEndpointAccountId",
    "vpcEndpointId",
];

/// Whether a word is a field's path rather than text, where both could stand.
pub(super) fn names_a_field(word: &str) -> bool {
    let (top, below) = word.split_once('.').map_or((word, None), |(top, rest)| (top, Some(rest)));
    RECORD_FIELDS.contains(&top) && below != Some("")
}

/// Whether a bare word is a span of time: `@2026-06-01..2026-06-05`.
pub(super) fn reads_as_span(word: &str) -> bool {
    word.strip_prefix('@').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            || ["-", "..", "now", "today", "yesterday"].iter().any(|start| rest.starts_with(start))
    })
}

/// Whether `c` can stand in a field name without a backslash.
pub(super) fn is_name_char(c: char, is_first: bool) -> bool {
    // Accents of decomposed letters, and the marks of kana.
    let is_mark = || matches!(c, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}');
    c.is_alphabetic()
        || "_@".contains(c)
        || (!is_first && (c.is_numeric() || ".-#$/".contains(c) || is_mark()))
}

/// Whether a bare word can be a name though it begins with a digit: `2fa`, and neither a number nor
/// a date.
pub(super) fn starts_a_name(word: &str) -> bool {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    digits > 0 && word[digits..].starts_with(|c: char| c.is_alphabetic() || c == '_')
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

/// `raw` with a backslash if it is a keyword, starts with a character of `leading`, or means something in
/// another tool.
pub(super) fn escape_start(raw: String, leading: &str) -> String {
    let is_taken =
        is_keyword(&raw) || raw.starts_with(|c| leading.contains(c) || QUOTES.contains(c));
    let is_foreign = !raw.contains('\\') && foreign_form(&raw).is_some();
    if !is_taken && !is_foreign {
        return raw;
    }
    // A backslash in front of a wildcard makes it text. Then it goes before the last character, which is
    // none: it is the `~` or the number of [`foreign_form`].
    let at = if raw.starts_with(['*', '?']) { raw.floor_char_boundary(raw.len() - 1) } else { 0 };
    format!("{}\\{}", &raw[..at], &raw[at..])
}

/// `text` in double quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The text in a quoted one, which begins with its quote, and its bytes with the quotes. `\"` and
/// `\\` stand for `"` and `\`; any other backslash is itself, so that Windows paths can be pasted.
/// None where the quote is never closed. Single quotes are doubled within (`'it''s'`), and one in
/// front of a letter is an apostrophe.
pub(super) fn read_quoted(rest: &str) -> Option<(String, usize)> {
    let close = match rest.chars().next()? {
        '\u{201c}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        quote => quote,
    };
    let is_single = matches!(close, '\'' | '\u{2019}');
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|&(_, next)| next);
        match c {
            '\'' if c == close && next == Some(c) => {
                text.push(c);
                chars.next();
            }
            c if c == close && is_single && next.is_some_and(char::is_alphanumeric) => text.push(c),
            c if c == close => return Some((text, at + c.len_utf8())),
            '\\' => {
                let escaped = chars.next_if(|&(_, next)| next == close || next == '\\');
                text.push(escaped.map_or(c, |(_, escaped)| escaped));
            }
            c => text.push(c),
        }
    }
    None
}

/// What a bare value means in another tool, where it would be taken for text here: how it is written
/// here. A backslash or quotes make it text.
pub(super) fn foreign_form(raw: &str) -> Option<String> {
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    if ["null", "nil"].iter().any(|null| raw.eq_ignore_ascii_case(null)) {
        return Some(
            "-field:* finds events without the field, field:\"null\" this text".to_owned(),
        );
    }
    if let Some((text, boost)) = raw.split_once(['^', '~'])
        && !text.is_empty()
        && (is_number(boost) || raw.ends_with('~'))
    {
        return Some("there is no boost and no fuzzy search; quote it if it is text".to_owned());
    }
    if let Some((from, to)) = raw.split_once("..")
        && is_number(from)
        && is_number(to)
    {
        return Some(format!("a range is field:[{from} TO {to}]"));
    }
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    if let Some((from, to)) = raw.split_once('-')
        && is_address(from)
        && is_address(to)
    {
        return Some(format!("a range is field:[{from} TO {to}]"));
    }
    let is_negated = raw.starts_with('-') && raw[1..].starts_with(char::is_alphabetic);
    is_negated.then(|| format!("write -field:{}, or quote it if it is text", &raw[1..]))
}

/// The text of which `quoted` is the quoted form; None where it is none, or empty.
pub(super) fn unquoted(quoted: &str) -> Option<String> {
    let (text, end) = quoted.strip_prefix('"').and_then(|_| read_quoted(quoted))?;
    (end == quoted.len() && !text.is_empty()).then_some(text)
}

/// The name most similar to `word`, for a suggestion; None if no name is similar.
pub fn closest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    /// How alike they must be, from 0 to 1.
    const LIKENESS_MIN: f64 = 0.8;
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &word.to_lowercase()), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn a_pattern_that_means_something_elsewhere_prints_so_that_it_reads_back() {
        for (raw, printed) in [
            ("*x", "*x"),
            ("*x~", r"*x\~"),
            ("?x^2", r"?x^\2"),
            ("*é~", r"*é\~"),
            ("x*~", r"\x*~"),
            ("-x*", r"\-x*"),
        ] {
            assert_eq!(escape_start(raw.to_owned(), "-"), printed, "{raw}");
            let query = format!("f:{printed}");
            assert_eq!(parse(&query).unwrap().to_string(), query);
        }
    }
}
