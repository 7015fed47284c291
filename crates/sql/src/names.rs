//! Names of event data stores as CloudTrail Lake's users write them behind `FROM`: a bare UUID, an ARN, or the
//! placeholder of a published sample. None of them is a name to a parser of SQL, so they are put in quotes
//! before.

use std::borrow::Cow;

/// The names of the tables.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Further names of `cloudtrail`.
    pub(crate) stores: Vec<String>,
}

impl Names {
    /// Those that are listed; ids of event data stores are found besides.
    pub(crate) fn all(&self) -> Vec<String> {
        let names = ["alerts", "cloudtrail", "files"].map(str::to_owned);
        names.into_iter().chain(self.stores.iter().cloned()).collect()
    }

    /// Whether a table of this name is `cloudtrail`.
    pub(crate) fn is_cloudtrail(&self, name: &str) -> bool {
        name == "cloudtrail" || is_store(name) || self.stores.iter().any(|store| store == name)
    }

    /// Whether there is a table of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(name, "files" | "alerts") || self.is_cloudtrail(name)
    }
}

/// The statement with such names in quotes.
pub(crate) fn quoted<'s>(sql: &'s str, stores: &[String]) -> Cow<'s, str> {
    let bytes = sql.as_bytes();
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => at = end_of_quoted(bytes, at, quote),
            b'-' if bytes[at..].starts_with(b"--") => at = end_of_line(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => at = end_of_comment(bytes, at),
            byte if is_of_name(byte) => {
                let len = bytes[at..].iter().take_while(|byte| is_of_name(**byte)).count();
                let name = sql[at..at + len].trim_end_matches([':', '/', '-']);
                let len = name.len().max(1);
                if is_store(name) || stores.iter().any(|store| store == name && !is_plain(name)) {
                    out.push_str(&sql[copied..at]);
                    out.push('"');
                    out.push_str(name);
                    out.push('"');
                    copied = at + len;
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(sql);
    }
    out.push_str(&sql[copied..]);
    Cow::Owned(out)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_$-:/".contains(&byte)
}

/// Whether a name needs no quotes.
fn is_plain(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a name is an event data store's id or ARN, or stands for one.
pub(crate) fn is_store(name: &str) -> bool {
    is_uuid(name) || is_arn(name) || is_placeholder(name)
}

fn is_uuid(name: &str) -> bool {
    name.len() == 36
        && name.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_arn(name: &str) -> bool {
    name.starts_with("arn:aws")
        && name.split(':').nth(2) == Some("cloudtrail")
        && name.split_once(":eventdatastore/").is_some_and(|(_, id)| is_uuid(id))
}

fn is_placeholder(name: &str) -> bool {
    name.strip_prefix('$').is_some_and(|rest| {
        ["EDS_ID", "EDSID", "EDS", "EVENT_DATA_STORE_ID"]
            .iter()
            .any(|known| rest.eq_ignore_ascii_case(known))
    })
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let rest = &bytes[start + 1..];
    rest.iter().position(|byte| *byte == quote).map_or(bytes.len(), |len| start + len + 2)
}

fn end_of_line(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| start + len)
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 2..];
    rest.windows(2).position(|pair| pair == b"*/").map_or(bytes.len(), |len| start + len + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3a5f0e21-7c9b-4d2e-9f10-1b2c3d4e5f60";

    #[test]
    fn ids_are_quoted_and_texts_stay() {
        let of = |sql: &str| quoted(sql, &["my-store".to_owned(), "plain".to_owned()]).into_owned();
        assert_eq!(
            of(&format!("SELECT 1 FROM {ID} WHERE a-b>1")),
            format!("SELECT 1 FROM \"{ID}\" WHERE a-b>1")
        );
        let arn = format!("arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/{ID}");
        assert_eq!(of(&format!("SELECT 1 FROM {arn}")), format!("SELECT 1 FROM \"{arn}\""));
        for same in [
            format!("SELECT '{ID}' FROM \"{ID}\""),
            format!("SELECT 1 -- {ID}\n/* {ID} */ FROM plain"),
            "SELECT it''s 'a''b".to_owned(),
            "SELECT 1 FROM other-store".to_owned(),
            "SELECT 'é' || x FROM ü WHERE y=-1".to_owned(),
            "/*".to_owned(),
        ] {
            assert_eq!(of(&same), same);
        }
        assert_eq!(of("SELECT 1 FROM $EDS_ID e"), "SELECT 1 FROM \"$EDS_ID\" e");
        assert_eq!(of("SELECT 1 FROM my-store"), "SELECT 1 FROM \"my-store\"");
        assert_eq!(of(&format!("FROM {ID}, {ID}")), format!("FROM \"{ID}\", \"{ID}\""));
    }
}
