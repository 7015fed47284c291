//! The signature of a digest as S3 keeps it, in the metadata of its object: what
//! `aws s3api head-object … --query Metadata`, or `head-object` alone, prints.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::limits::SIGNATURE_BYTES_MAX;

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "Metadata")]
    metadata: BTreeMap<String, String>,
}

/// The signature of a digest; None where the text has none.
pub(crate) fn signature(json: &[u8]) -> Option<Vec<u8>> {
    let metadata = parse(json)?;
    let value = |name: &str| {
        let of_name = |(key, _): &(&String, &String)| key.eq_ignore_ascii_case(name);
        metadata.iter().find(of_name).map(|(_, value)| value)
    };
    if value("signature-algorithm").is_some_and(|name| name != crate::digest::ALGORITHM) {
        return None;
    }
    signature_of_hex(value("signature")?)
}

/// Whether a content is metadata of an object of S3, and nothing else.
pub fn is_metadata(json: &[u8]) -> bool {
    let has_records = || {
        let value: Option<BTreeMap<String, Value>> = serde_json::from_slice(json).ok();
        value.is_none_or(|fields| fields.contains_key("Records"))
    };
    parse(json).is_some() && !has_records()
}

fn parse(json: &[u8]) -> Option<BTreeMap<String, String>> {
    serde_json::from_slice(json)
        .or_else(|_| serde_json::from_slice(json).map(|Head { metadata }| metadata))
        .ok()
}

pub(crate) fn signature_of_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| (1..=SIGNATURE_BYTES_MAX).contains(&bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_found_in_either_form() {
        for text in [
            r#"{"signature":"00ff","signature-algorithm":"SHA256withRSA"}"#,
            r#"{"ETag":"x","ContentLength":5,"Metadata":{"Signature":"00ff"}}"#,
        ] {
            assert_eq!(signature(text.as_bytes()).unwrap(), [0, 255]);
            assert!(is_metadata(text.as_bytes()));
        }
        for text in
            ["", "{}", r#"{"signature":"x"}"#, r#"{"signature":"00","signature-algorithm":"none"}"#]
        {
            assert_eq!(signature(text.as_bytes()), None, "{text}");
        }
        assert!(!is_metadata(br#"{"Metadata":{},"Records":[]}"#));
    }
}
