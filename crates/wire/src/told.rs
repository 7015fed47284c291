//! The header `traildex-warnings`: what the answer to a search has as `warnings`, of an answer whose body is
//! a stream of events or rows.
//!
//! A list of texts in JSON, in ASCII: whatever is not is escaped as `\u…`. It is bounded in bytes.

use crate::limits::{WARNING_BYTES_MAX, WARNINGS_BYTES_MAX};

/// The header's name.
pub const WARNINGS_HEADER: &str = "traildex-warnings";

/// Bytes that are kept for the sentence that says how many are left out.
const LEFT_OUT_BYTES: usize = 64;

/// The header's value; None where there is nothing to tell. A long sentence is cut, and too many are
/// counted.
pub fn warnings_to_header(warnings: &[String]) -> Option<String> {
    if warnings.is_empty() {
        return None;
    }
    let mut told = Vec::new();
    let mut bytes = "[]".len();
    for warning in warnings {
        let text = in_ascii(warning);
        bytes += text.len() + ",".len();
        if bytes + LEFT_OUT_BYTES > WARNINGS_BYTES_MAX {
            told.push(format!("\"{} more warnings are left out\"", warnings.len() - told.len()));
            break;
        }
        told.push(text);
    }
    Some(format!("[{}]", told.join(",")))
}

/// The sentences of a header's value; none where it is no list of texts.
pub fn warnings_of_header(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_default()
}

/// A text as JSON has it, in ASCII, cut where it is long.
fn in_ascii(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        if json.len() > WARNING_BYTES_MAX {
            json.push_str("\\u2026");
            break;
        }
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            ' '..='~' => json.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_travels_as_ascii_and_comes_back_whole() {
        let texts: Vec<String> =
            ["'or' at byte 2", "a \"b\" \\ c", "é 𝄞\u{7f}\r\n\0 …", ""].map(Into::into).into();
        let header = warnings_to_header(&texts).unwrap();
        assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header}");
        assert_eq!(warnings_of_header(&header), texts);
        assert_eq!(warnings_to_header(&[]), None);
        assert_eq!(warnings_of_header("no list"), Vec::<String>::new());
    }

    #[test]
    fn a_header_has_a_bound() {
        for text in ["x".repeat(100_000), "𝄞".repeat(100_000)] {
            let many = vec![text; 50];
            let header = warnings_to_header(&many).unwrap();
            assert!(header.len() <= WARNINGS_BYTES_MAX, "{}", header.len());
            let told = warnings_of_header(&header);
            let (last, cut) = told.split_last().unwrap();
            assert_eq!(*last, format!("{} more warnings are left out", 50 - cut.len()));
            assert!(!cut.is_empty() && cut.iter().all(|text| text.ends_with('…')), "{told:?}");
        }
        let few: Vec<String> = (0..20).map(|n| format!("sentence {n}")).collect();
        assert_eq!(warnings_of_header(&warnings_to_header(&few).unwrap()), few);
    }
}
