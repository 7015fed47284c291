//! Values in the encodings that Sigma's modifiers name: UTF-16, Base64, and Windows' dashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsigma_ir::IrEncoding;

/// The texts that a value stands for, encoded in this order. A reason, in words, where there is none.
pub(crate) fn encoded(value: &str, encodings: &[IrEncoding]) -> Result<Vec<String>, String> {
    let mut texts = vec![value.as_bytes().to_vec()];
    for encoding in encodings {
        texts = texts.iter().flat_map(|bytes| one(bytes, *encoding)).collect();
    }
    let text = |bytes| String::from_utf8(bytes);
    texts.into_iter().map(text).collect::<Result<_, _>>().map_err(|_| {
        "UTF-16 of letters beyond ASCII is no text: put |base64 or |base64offset behind it".to_owned()
    })
}

fn one(bytes: &[u8], encoding: IrEncoding) -> Vec<Vec<u8>> {
    let units = || String::from_utf8_lossy(bytes).encode_utf16().collect::<Vec<u16>>();
    let little = || units().into_iter().flat_map(u16::to_le_bytes);
    match encoding {
        IrEncoding::Wide => vec![little().collect()],
        IrEncoding::Utf16 => vec![[0xff, 0xfe].into_iter().chain(little()).collect()],
        IrEncoding::Utf16Be => vec![units().into_iter().flat_map(u16::to_be_bytes).collect()],
        IrEncoding::Base64 => vec![STANDARD.encode(bytes).into_bytes()],
        IrEncoding::Base64Offset => (0..3).map(|offset| at_offset(bytes, offset)).collect(),
        IrEncoding::Windash => dashed(&String::from_utf8_lossy(bytes)),
    }
}

/// What Base64 has of a value that begins so many bytes behind a multiple of three, whatever is around
/// it.
fn at_offset(bytes: &[u8], offset: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(b' ', offset).chain(bytes.iter().copied()).collect();
    let text = STANDARD.encode(&padded);
    let start = [0, 2, 3][offset];
    let end = text.len() - [0, 3, 2][padded.len() % 3];
    text.as_bytes().get(start..end).unwrap_or_default().to_vec()
}

/// A value with each of Windows' signs before its options.
fn dashed(text: &str) -> Vec<Vec<u8>> {
    let with = |dash: char| {
        let mut before = ' ';
        let replaced = text.chars().map(|c| {
            let is_before_option = matches!(c, '-' | '/') && !before.is_alphanumeric();
            before = c;
            if is_before_option { dash } else { c }
        });
        replaced.collect::<String>().into_bytes()
    };
    let mut all: Vec<Vec<u8>> = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'].map(with).into();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsigma_ir::IrEncoding::{Base64, Base64Offset, Utf16, Wide, Windash};

    #[track_caller]
    fn check(value: &str, encodings: &[IrEncoding], expected: &[&str]) {
        assert_eq!(encoded(value, encodings).unwrap(), expected);
    }

    #[test]
    fn values_are_encoded_as_sigma_says() {
        check("foobar", &[Base64], &["Zm9vYmFy"]);
        // The example of the specification.
        check("/bin/bash", &[Base64Offset], &["L2Jpbi9iYXNo", "9iaW4vYmFza", "vYmluL2Jhc2"]);
        check("ab", &[Wide], &["a\0b\0"]);
        check("ping", &[Wide, Base64], &["cABpAG4AZwA="]);
        check(" -f", &[Windash], &[" -f", " /f", " \u{2013}f", " \u{2014}f", " \u{2015}f"]);
        assert!(encoded("ä", &[Utf16]).is_err());
    }

    #[test]
    fn a_value_at_any_offset_is_in_the_base64_of_its_surroundings() {
        for before in ["", "x", "xy", "xyz"] {
            for value in ["a", "bash", "userdata", "curl http"] {
                let text = STANDARD.encode(format!("{before}{value}, and what follows"));
                let parts = encoded(value, &[Base64Offset]).unwrap();
                assert!(parts.iter().any(|part| text.contains(part)), "{before}{value} {parts:?}");
            }
        }
    }
}
