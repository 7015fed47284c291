//! The public keys of digests, as `aws cloudtrail list-public-keys` prints them.
//!
//! A key is known by the MD5 of its DER bytes: that is how a digest names it. Who gives the keys decides
//! whom to trust, so the fingerprint in the file is not believed, but made of the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use trail::seeded::SeededMap;
use trail::time::Micros;

/// The keys that signatures are verified with.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: SeededMap<[u8; 16], Vec<u8>>,
    count: usize,
}

/// Why a file is none of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not JSON, or has other fields.
    #[error("not what 'aws cloudtrail list-public-keys' prints: {0}")]
    Json(#[from] serde_json::Error),
    /// A value is no key.
    #[error("key {number}: its {part} {reason}")]
    Key {
        /// Which, from 1.
        number: usize,
        /// Which field of it.
        part: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(rename = "PublicKeyList")]
    keys: Vec<ListedKey>,
    #[serde(rename = "NextToken", default)]
    _next: Option<String>,
}

#[derive(Deserialize)]
struct ListedKey {
    #[serde(rename = "Value")]
    value: String,
    #[serde(rename = "ValidityStartTime", default)]
    start: Value,
    #[serde(rename = "ValidityEndTime", default)]
    end: Value,
}

impl Keyring {
    /// Adds the keys of a file. None of them is added if one is wrong.
    pub fn add(&mut self, json: &[u8]) -> Result<usize, KeyError> {
        let listed: Listed = serde_json::from_slice(json)?;
        let ders: Vec<Vec<u8>> = listed
            .keys
            .iter()
            .enumerate()
            .map(|(at, key)| {
                check(key).map_err(|(part, reason)| KeyError::Key { number: at + 1, part, reason })
            })
            .collect::<Result<_, _>>()?;
        let count = ders.len();
        for der in ders {
            self.insert(&der);
        }
        Ok(count)
    }

    fn insert(&mut self, der: &[u8]) {
        let pkcs1 = pkcs1_of_spki(der).unwrap_or(der);
        let mut is_new = false;
        // AWS names PKCS#1 keys; who converts a key may name it by its new bytes.
        for form in [pkcs1, der] {
            let print: [u8; 16] = Md5::digest(form).into();
            is_new |= self.keys.insert(print, pkcs1.to_vec()).is_none();
        }
        self.count += usize::from(is_new);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The keys of these fingerprints, in hexadecimal, as `aws cloudtrail list-public-keys` prints them but for
    /// their times, which say nothing of what they verify; and how many there are.
    pub fn listed<'f>(&self, fingerprints: impl IntoIterator<Item = &'f String>) -> (String, u64) {
        let key = |print: &'f String| {
            let bytes: [u8; 16] = hex::decode(print).ok()?.try_into().ok()?;
            let value = STANDARD.encode(self.keys.get(&bytes)?);
            Some(serde_json::json!({ "Value": value, "Fingerprint": print }))
        };
        let keys: Vec<Value> = fingerprints.into_iter().filter_map(key).collect();
        let count = keys.len() as u64;
        (format!("{:#}\n", serde_json::json!({ "PublicKeyList": keys })), count)
    }

    pub(crate) fn has(&self, fingerprint: &[u8; 16]) -> bool {
        self.keys.contains_key(fingerprint)
    }

    /// Whether this is the signature of a text by the key of that fingerprint.
    pub(crate) fn verifies(&self, fingerprint: &[u8; 16], text: &[u8], signature: &[u8]) -> bool {
        self.keys.get(fingerprint).is_some_and(|key| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(text, signature).is_ok()
        })
    }
}

/// Whether a content is what `aws cloudtrail list-public-keys` prints, and nothing else.
pub fn is_keys(json: &[u8]) -> bool {
    serde_json::from_slice::<Listed>(json).is_ok()
}

/// A key's DER bytes, if it is one; else which field is wrong, and how.
fn check(key: &ListedKey) -> Result<Vec<u8>, (&'static str, &'static str)> {
    let text: String = key.value.split_whitespace().collect();
    let der = STANDARD.decode(text).map_err(|_| ("Value", "is not base64"))?;
    if !is_pkcs1(pkcs1_of_spki(&der).unwrap_or(&der)) {
        return Err(("Value", "is no RSA key in DER, PKCS#1 or SPKI"));
    }
    let times = [("ValidityStartTime", &key.start), ("ValidityEndTime", &key.end)];
    for (part, time) in times {
        let is_time = match time {
            Value::Null => true,
            Value::Number(seconds) => seconds.as_f64().is_some_and(f64::is_finite),
            Value::String(text) => Micros::parse_record_time(text).is_some(),
            _ => false,
        };
        if !is_time {
            return Err((part, "is no time"));
        }
    }
    Ok(der)
}

/// OID 1.2.840.113549.1.1.1, and NULL: what an SPKI of an RSA key begins with.
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The PKCS#1 key within an SPKI.
fn pkcs1_of_spki(der: &[u8]) -> Option<&[u8]> {
    let (body, []) = element(der, 0x30)? else { return None };
    let rest = body.strip_prefix(RSA_ALGORITHM)?;
    let (bits, []) = element(rest, 0x03)? else { return None };
    bits.strip_prefix(&[0])
}

/// A sequence of two integers.
fn is_pkcs1(der: &[u8]) -> bool {
    let parts = || {
        let (body, []) = element(der, 0x30)? else { return None };
        let (_, rest) = element(body, 0x02)?;
        let (_, []) = element(rest, 0x02)? else { return None };
        Some(())
    };
    parts().is_some()
}

/// The content of the DER element at the start, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key in form only.
    fn pkcs1() -> Vec<u8> {
        vec![0x30, 0x07, 0x02, 0x02, 0x00, 0x99, 0x02, 0x01, 0x03]
    }

    fn spki() -> Vec<u8> {
        let mut body = RSA_ALGORITHM.to_vec();
        body.extend([0x03, 10, 0]);
        body.extend(pkcs1());
        [vec![0x30, body.len() as u8], body].concat()
    }

    fn file(value: &str, times: &str) -> String {
        format!(r#"{{"PublicKeyList":[{{"Value":"{value}","Fingerprint":"x"{times}}}]}}"#)
    }

    #[test]
    fn a_key_is_known_by_its_pkcs1_bytes_in_either_form() {
        let print: [u8; 16] = Md5::digest(pkcs1()).into();
        for der in [pkcs1(), spki()] {
            let mut keys = Keyring::default();
            let times = r#","ValidityStartTime":1697414400.0,"ValidityEndTime":"2023-12-01T00:00:00+00:00""#;
            assert_eq!(keys.add(file(&STANDARD.encode(der), times).as_bytes()).unwrap(), 1);
            assert!(keys.has(&print) && keys.len() == 1);
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let good = STANDARD.encode(pkcs1());
        for (text, expected) in [
            (file("%%", ""), "key 1: its Value is not base64"),
            (file("AAAA", ""), "key 1: its Value is no RSA key in DER, PKCS#1 or SPKI"),
            (file(&good, r#","ValidityEndTime":"soon""#), "key 1: its ValidityEndTime is no time"),
        ] {
            assert_eq!(Keyring::default().add(text.as_bytes()).unwrap_err().to_string(), expected);
        }
        let error = Keyring::default().add(br#"{"Records":[]}"#).unwrap_err().to_string();
        assert!(
            error.contains("unknown field `Records`") && error.contains("column 10"),
            "{error}"
        );
        assert!(!is_keys(br#"{"PublicKeyList":[],"Records":[]}"#));
        assert!(is_keys(br#"{"PublicKeyList":[]}"#));
    }
}
