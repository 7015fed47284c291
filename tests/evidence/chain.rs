//! Makes chains of digests as CloudTrail does, in a folder that is a copy of a bucket, and signs them with
//! keys of the tests.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use md5::Md5;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The keys in `keys/`.
const KEYS: [&[u8]; 3] =
    [include_bytes!("keys/1.pk8"), include_bytes!("keys/2.pk8"), include_bytes!("keys/3.pk8")];

/// A key that signs.
pub(crate) struct Key(RsaKeyPair);

impl Key {
    pub(crate) fn number(number: usize) -> Self {
        Self(RsaKeyPair::from_pkcs8(KEYS[number]).unwrap())
    }

    /// PKCS#1.
    fn der(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn spki(&self) -> Vec<u8> {
        let algorithm = hex::decode("300d06092a864886f70d0101010500").unwrap();
        let der = self.der();
        let sized = |tag: u8, body: &[u8]| {
            let length = (body.len() as u16).to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], body].concat()
        };
        let bits = sized(3, &[&[0], der].concat());
        sized(0x30, &[algorithm, bits].concat())
    }

    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(Md5::digest(self.der()))
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.0.public().modulus_len()];
        let random = SystemRandom::new();
        self.0.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        hex::encode(signature)
    }
}

/// What `aws cloudtrail list-public-keys` prints of these keys.
pub(crate) fn key_list(numbers: &[usize], is_spki: bool) -> String {
    let key = |number: &usize| {
        let key = Key::number(*number);
        let der = if is_spki { key.spki() } else { key.der().to_vec() };
        json!({
            "Value": STANDARD.encode(der), "ValidityStartTime": 1_697_414_400.0,
            "ValidityEndTime": "2033-10-16T00:00:00+00:00", "Fingerprint": key.fingerprint(),
        })
    };
    json!({ "PublicKeyList": numbers.iter().map(key).collect::<Vec<_>>() }).to_string()
}

/// One trail's digests in one region, as they are made hour by hour.
pub(crate) struct Chain {
    /// The folder that is a copy of the bucket.
    pub(crate) copy: PathBuf,
    pub(crate) bucket: String,
    /// Empty, or ends in a slash.
    pub(crate) prefix: String,
    /// An account, behind an organisation if there is one.
    pub(crate) owner: String,
    pub(crate) region: String,
    pub(crate) trail: String,
    pub(crate) is_backfill: bool,
    pub(crate) key: usize,
    /// When the next digest starts.
    pub(crate) start: Timestamp,
    previous: Option<Previous>,
    logs: usize,
}

struct Previous {
    object: String,
    hash: String,
    signature: String,
}

/// What one hour delivered.
#[derive(Clone, Debug)]
pub(crate) struct Hour {
    pub(crate) digest: PathBuf,
    pub(crate) logs: Vec<PathBuf>,
}

pub(crate) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The metadata beside a digest.
pub(crate) fn metadata_path(digest: &Path) -> PathBuf {
    PathBuf::from(format!("{}.metadata.json", digest.display()))
}

impl Chain {
    pub(crate) fn new(copy: &Path) -> Self {
        Self {
            copy: copy.canonicalize().unwrap(),
            bucket: "my-trail".to_owned(),
            prefix: String::new(),
            owner: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            trail: "my_trail".to_owned(),
            is_backfill: false,
            key: 0,
            start: "2023-11-05T07:30:14Z".parse().unwrap(),
            previous: None,
            logs: 0,
        }
    }

    fn account(&self) -> &str {
        self.owner.rsplit('/').next().unwrap()
    }

    fn object(&self, kind: &str, time: Timestamp, name: &str) -> String {
        let day = time.strftime("%Y/%m/%d");
        format!("{}AWSLogs/{}/{kind}/{}/{day}/{name}", self.prefix, self.owner, self.region)
    }

    /// The object of the digest that ends then.
    pub(crate) fn digest_object(&self, end: Timestamp) -> String {
        let stamp = end.strftime("%Y%m%dT%H%M%SZ");
        let (account, region, trail) = (self.account(), &self.region, &self.trail);
        let kind = if self.is_backfill { "_backfill" } else { "" };
        let name =
            format!("{account}_CloudTrail-Digest_{region}_{trail}_us-east-1_{stamp}{kind}.json.gz");
        self.object("CloudTrail-Digest", end, &name)
    }

    pub(crate) fn path(&self, object: &str) -> PathBuf {
        self.copy.join(object)
    }

    /// A log file that was delivered so many minutes after the next digest starts.
    pub(crate) fn log(&mut self, minutes: i64) -> (String, Vec<u8>) {
        let time = self.start.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
        self.logs += 1;
        let (account, region) = (self.account(), &self.region);
        let number = self.logs;
        let stamp = time.strftime("%Y%m%dT%H%MZ");
        let name = format!("{account}_CloudTrail_{region}_{stamp}_{number:016}.json.gz");
        let id = format!("{number:08x}-0000-4000-8000-{account}");
        let event = json!({
            "eventVersion": "1.08", "eventTime": time.to_string(), "eventName": "GetObject",
            "eventSource": "s3.amazonaws.com", "awsRegion": region, "eventID": id,
            "sourceIPAddress": "198.51.100.7", "recipientAccountId": account,
            "userIdentity": { "type": "IAMUser", "userName": "bert", "accountId": account },
            "requestParameters": { "bucketName": self.trail },
        });
        let content = json!({ "Records": [event] }).to_string().into_bytes();
        (self.object("CloudTrail", time, &name), content)
    }

    /// An hour with so many log files and their digest.
    pub(crate) fn hour(&mut self, logs: usize) -> Hour {
        self.hour_with(logs, |_| {})
    }

    /// The same, and what the digest says is edited before it is signed.
    pub(crate) fn hour_with(&mut self, logs: usize, edit: impl FnOnce(&mut Value)) -> Hour {
        let step = (50 / logs.max(1) as i64).min(5);
        let logs: Vec<_> = (0..logs).map(|at| self.log(step * at as i64 + 5)).collect();
        for (object, content) in &logs {
            write(&self.path(object), &gzip(content, 6));
        }
        let end = self.start.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        let object = self.digest_object(end);
        let listed = |(object, content): &(String, Vec<u8>)| {
            json!({
                "s3Bucket": self.bucket, "s3Object": object, "hashAlgorithm": "SHA-256",
                "hashValue": hex::encode(Sha256::digest(content)),
                "newestEventTime": self.start.to_string(), "oldestEventTime": self.start.to_string(),
            })
        };
        let of =
            |field: fn(&Previous) -> &str| self.previous.as_ref().map(|it| field(it).to_owned());
        let key = Key::number(self.key);
        let mut digest = json!({
            "awsAccountId": self.account(), "digestStartTime": self.start.to_string(), "digestEndTime": end.to_string(),
            "digestS3Bucket": self.bucket, "digestS3Object": object,
            "digestPublicKeyFingerprint": key.fingerprint(),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": self.start.to_string(), "oldestEventTime": self.start.to_string(),
            "previousDigestS3Bucket": self.previous.as_ref().map(|_| &self.bucket),
            "previousDigestS3Object": of(|it| &it.object),
            "previousDigestHashValue": of(|it| &it.hash),
            "previousDigestHashAlgorithm": self.previous.as_ref().map(|_| "SHA-256"),
            "previousDigestSignature": of(|it| &it.signature),
            "logFiles": logs.iter().map(listed).collect::<Vec<_>>(),
        });
        edit(&mut digest);
        let content = digest.to_string();
        let hash = hex::encode(Sha256::digest(&content));
        let text = format!(
            "{}\n{}/{}\n{hash}\n{}",
            digest["digestEndTime"].as_str().unwrap(),
            digest["digestS3Bucket"].as_str().unwrap(),
            digest["digestS3Object"].as_str().unwrap(),
            digest["previousDigestSignature"].as_str().unwrap_or("null"),
        );
        self.previous = Some(Previous { object: object.clone(), hash, signature: key.sign(&text) });
        self.start = end;
        let path = self.path(&object);
        write(&path, &gzip(content.as_bytes(), 6));
        Hour { digest: path, logs: logs.iter().map(|(object, _)| self.path(object)).collect() }
    }

    /// The trail makes nothing for so many hours, and begins a new chain.
    pub(crate) fn stop(&mut self, hours: i64) {
        self.previous = None;
        self.start = self.start.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
    }

    /// The metadata of the newest digest, as `aws s3api head-object --query Metadata` prints it.
    pub(crate) fn metadata(&self) -> String {
        let signature = &self.previous.as_ref().unwrap().signature;
        json!({ "signature": signature, "signature-algorithm": "SHA256withRSA" }).to_string()
    }

    /// Saves it beside the newest digest.
    pub(crate) fn save_metadata(&self) -> PathBuf {
        let object = &self.previous.as_ref().unwrap().object;
        let path = metadata_path(&self.path(object));
        write(&path, self.metadata().as_bytes());
        path
    }
}

/// A copy, its keys, and a chain of four hours with three files each but the second, which has none.
pub(crate) struct Bench {
    _folder: tempfile::TempDir,
    pub(crate) copy: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) chain: Chain,
}

impl Bench {
    /// Without a digest.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("traildex").tempdir().unwrap();
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        let keys = folder.path().join("keys");
        write(&keys.join("keys-us-east-1.json"), key_list(&[0, 1], false).as_bytes());
        let chain = Chain::new(&copy);
        let copy = copy.canonicalize().unwrap();
        Self { _folder: folder, copy, keys, chain }
    }

    /// With four hours, signed and whole.
    pub(crate) fn whole() -> (Self, Vec<Hour>) {
        let mut bench = Self::new();
        let hours = [3, 0, 3, 3].map(|logs| bench.chain.hour(logs)).to_vec();
        bench.chain.save_metadata();
        (bench, hours)
    }
}
