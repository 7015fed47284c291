//! One digest file: what it says of itself, of the digest before, and of log files; and the text that its
//! signature is of.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Hash;
use crate::limits::TEXT_BYTES_MAX;
use crate::place::{Pair, split};
use trail::time::Micros;

/// The only algorithm that digests are signed with.
pub(crate) const ALGORITHM: &str = "SHA256withRSA";

/// The only algorithm of hashes.
const HASH_ALGORITHM: &str = "SHA-256";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json<F> {
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: F,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonFile {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
}

/// What a digest says, without its files.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    end_text: String,
    pub(crate) pair: Pair,
    pub(crate) tail: String,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) previous: Option<Previous>,
    /// How many files it lists.
    pub(crate) files: usize,
    /// As in the text that is signed.
    previous_signature: Option<String>,
}

/// What a digest says of the one before.
#[derive(Clone, Debug)]
pub(crate) struct Previous {
    pub(crate) pair: Pair,
    pub(crate) tail: String,
    pub(crate) hash: Option<Hash>,
}

/// A log file that a digest lists.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) pair: Pair,
    pub(crate) tail: String,
    pub(crate) hash: Hash,
}

impl Head {
    /// Reads a digest; Err says why it is none.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        // What is ignored takes no memory.
        let json: Json<Vec<IgnoredAny>> = parse(json)?;
        if json.texts().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(format!("one of its names is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let time = |name: &str, text: &str| {
            Micros::parse_event_time(text).ok_or_else(|| format!("its {name} is no time"))
        };
        let start = time("digestStartTime", &json.digest_start_time)?;
        let end = time("digestEndTime", &json.digest_end_time)?;
        if end <= start {
            return Err("it ends before it starts".to_owned());
        }
        if json.digest_signature_algorithm != ALGORITHM {
            return Err(format!("its digestSignatureAlgorithm is not {ALGORITHM}"));
        }
        let (prefix, tail) = split(&json.digest_s3_object).ok_or(NO_LOGS)?;
        let pair = Pair { bucket: json.digest_s3_bucket, prefix: prefix.to_owned() };
        let fingerprint = hex::decode(&json.digest_public_key_fingerprint).ok();
        let fingerprint = fingerprint
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("its digestPublicKeyFingerprint is no MD5")?;
        let previous = match (json.previous_digest_s3_bucket, json.previous_digest_s3_object) {
            (Some(bucket), Some(object)) => {
                let (prefix, tail) = split(&object).ok_or(NO_LOGS)?;
                Some(Previous {
                    pair: Pair { bucket, prefix: prefix.to_owned() },
                    tail: tail.to_owned(),
                    hash: json.previous_digest_hash_value.as_deref().and_then(hash),
                })
            }
            _ => None,
        };
        Ok(Self {
            start,
            end,
            end_text: json.digest_end_time,
            pair,
            tail: tail.to_owned(),
            fingerprint,
            previous,
            files: json.log_files.len(),
            previous_signature: json.previous_digest_signature,
        })
    }

    /// The signature of the digest before, which each digest carries.
    pub(crate) fn carried(&self) -> Option<Vec<u8>> {
        crate::metadata::signature_of_hex(self.previous_signature.as_deref()?)
    }

    /// Frees the signature, a third of what a digest takes. What it is needed for must be done.
    pub(crate) fn forget_signature(&mut self) {
        self.previous_signature = None;
    }

    /// Its name in S3.
    pub(crate) fn name(&self) -> String {
        name(&self.pair, &self.tail)
    }

    /// What its signature is of, for the hash of its content.
    pub(crate) fn signed_text(&self, content: &Hash) -> String {
        format!(
            "{}\n{}/{}{}\n{}\n{}",
            self.end_text,
            self.pair.bucket,
            self.pair.prefix,
            self.tail,
            hex::encode(content),
            self.previous_signature.as_deref().unwrap_or("null"),
        )
    }
}

/// An object's name in S3: `s3://BUCKET/KEY`.
pub(crate) fn name(pair: &Pair, tail: &str) -> String {
    format!("s3://{}/{}{tail}", pair.bucket, pair.prefix)
}

impl<F> Json<F> {
    /// The texts that are kept.
    fn texts(&self) -> impl Iterator<Item = &String> {
        let previous = [
            &self.previous_digest_s3_bucket,
            &self.previous_digest_s3_object,
            &self.previous_digest_signature,
        ];
        [&self.digest_end_time, &self.digest_s3_bucket, &self.digest_s3_object]
            .into_iter()
            .chain(previous.into_iter().flatten())
    }
}

const NO_LOGS: &str = "it names an object that is beneath no AWSLogs";

/// The log files that a digest lists; Err says why they cannot be read.
pub(crate) fn files(json: &[u8]) -> Result<Vec<Listed>, String> {
    let json: Json<Vec<JsonFile>> = parse(json)?;
    let listed = |(at, file): (usize, JsonFile)| {
        let named = |what: &str| format!("of its logFiles, number {} {what}", at + 1);
        let (prefix, tail) = split(&file.s3_object).ok_or_else(|| named(NO_LOGS))?;
        let hash = hash(&file.hash_value).filter(|_| file.hash_algorithm == HASH_ALGORITHM);
        let hash = hash.ok_or_else(|| named("has no SHA-256"))?;
        let pair = Pair { bucket: file.s3_bucket, prefix: prefix.to_owned() };
        Ok(Listed { pair, tail: tail.to_owned(), hash })
    };
    json.log_files.into_iter().enumerate().map(listed).collect()
}

fn parse<'j, F: Deserialize<'j>>(json: &'j [u8]) -> Result<Json<F>, String> {
    serde_json::from_slice(json).map_err(|error| {
        let lines = json.split_inclusive(|byte| *byte == b'\n').take(error.line().max(1) - 1);
        let byte = lines.map(<[u8]>::len).sum::<usize>() + error.column();
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        format!("it is no digest: {text}, at byte {byte}")
    })
}

pub(crate) fn hash(text: &str) -> Option<Hash> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = r#"{"awsAccountId":"1","digestStartTime":"2023-07-10T11:40:14Z",
"digestEndTime":"2023-07-10T12:40:14Z","digestS3Bucket":"b","digestS3Object":"p/AWSLogs/1/x.json.gz",
"digestPublicKeyFingerprint":"000102030405060708090a0b0c0d0e0f","digestSignatureAlgorithm":"SHA256withRSA",
"newestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,
"previousDigestHashValue":null,"previousDigestSignature":null,"logFiles":[{"s3Bucket":"b",
"s3Object":"p/AWSLogs/1/y.json.gz","hashValue":"HASH","hashAlgorithm":"SHA-256"}]}"#;

    #[test]
    fn the_text_that_is_signed_is_awss() {
        let head = Head::parse(DIGEST.as_bytes()).unwrap();
        let expected =
            format!("2023-07-10T12:40:14Z\nb/p/AWSLogs/1/x.json.gz\n{}\nnull", "00".repeat(32));
        assert_eq!(head.signed_text(&[0; 32]), expected);
        let text = DIGEST.replace("HASH", &"0f".repeat(32));
        let [file] = &files(text.as_bytes()).unwrap()[..] else { panic!() };
        assert_eq!(
            (file.hash, &*file.pair.prefix, &*file.tail),
            ([15; 32], "p/", "AWSLogs/1/y.json.gz")
        );
    }

    #[test]
    fn what_is_no_digest_is_named() {
        for (from, to, expected) in [
            ("SHA256withRSA", "none", "its digestSignatureAlgorithm is not SHA256withRSA"),
            ("2023-07-10T12", "2023-07-10T11", "it ends before it starts"),
            ("AWSLogs/1/x", "x", "it names an object that is beneath no AWSLogs"),
            ("0001", "01", "its digestPublicKeyFingerprint is no MD5"),
            ("\"digestEndTime\"", "7", "it is no digest: key must be a string, at byte 63"),
        ] {
            let error = Head::parse(DIGEST.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!(error, expected);
        }
        let error = files(DIGEST.as_bytes()).unwrap_err();
        assert_eq!(error, "of its logFiles, number 1 has no SHA-256");
    }
}
