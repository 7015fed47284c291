//! Short names, actions, networks and the names in ARNs, said again.

use std::net::IpAddr;

use language::ast::{Test, Value};

/// Short names of several paths, and whether a value can be an ARN in place of a name. Those of the page
/// whose paths the samples have.
pub const NAMES: [(&str, &[&str], bool); 5] = [
    (
        "bucket",
        &[
            "requestParameters.bucketName",
            "requestParameters.bucket",
            "requestParameters.s3BucketName",
            "requestParameters.s3Bucket",
            "requestParameters.code.s3Bucket",
            "requestParameters.exportToS3.s3Bucket",
            "responseElements.s3BucketName",
        ],
        false,
    ),
    (
        "secret",
        &["requestParameters.secretId", "requestParameters.encryptionContext.SecretARN"],
        true,
    ),
    (
        "policy",
        &[
            "requestParameters.policyArn",
            "requestParameters.policyName",
            "responseElements.policy.policyName",
            "responseElements.policy.arn",
        ],
        true,
    ),
    (
        "target_user",
        &[
            "requestParameters.userName",
            "responseElements.user.userName",
            "responseElements.user.arn",
            "responseElements.accessKey.userName",
            "responseElements.loginProfile.userName",
        ],
        true,
    ),
    (
        "target_role",
        &[
            "requestParameters.roleName",
            "requestParameters.roleArn",
            "requestParameters.role",
            "requestParameters.roleArns",
            "responseElements.role",
            "responseElements.role.roleName",
            "responseElements.role.arn",
        ],
        true,
    ),
];

/// Names of Elastic's.
pub const OTHER_NAMES: [(&str, &str); 5] = [
    ("source.ip", "sourceIPAddress"),
    ("user.name", "userIdentity.userName"),
    ("event.action", "action"),
    ("cloud.region", "awsRegion"),
    ("user_agent.original", "userAgent"),
];

/// The service's `eventSource` and the name in `iam:CreateUser`.
pub fn action_in(test: &Test) -> Option<(String, String)> {
    let Test::Is(Value { text, .. }) = test else { return None };
    let (service, name) = text.split_once(':')?;
    Some((format!("{service}.amazonaws.com"), name.to_owned()))
}

/// A network, by the bits that its addresses have in common.
pub struct Network {
    is_v4: bool,
    bits: u128,
    shift: u32,
}

impl Network {
    pub fn of(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        let (is_v4, bits) = bits_of(address)?;
        let shift = (if is_v4 { 32_u32 } else { 128 }).checked_sub(length)?;
        Some(Self { is_v4, bits, shift })
    }

    pub fn holds(&self, text: &str) -> bool {
        let head = |bits: u128| bits.checked_shr(self.shift).unwrap_or_default();
        bits_of(text)
            .is_some_and(|(is_v4, bits)| is_v4 == self.is_v4 && head(bits) == head(self.bits))
    }

    /// Whether an address of the network is somewhere in a text.
    pub fn is_in(&self, text: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c) || !self.is_v4 && c == ':';
        let pieces = text.split(|c| !is_part(c));
        let trimmed = |piece: &str| {
            if self.is_v4 {
                self.holds(piece.trim_matches(|c| "-_.".contains(c)))
            } else {
                self.holds(piece) || self.holds(piece.strip_suffix(':').unwrap_or(piece))
            }
        };
        pieces.into_iter().any(trimmed)
    }
}

pub fn bits_of(text: &str) -> Option<(bool, u128)> {
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => (true, u32::from(v4).into()),
        IpAddr::V6(v6) => (false, v6.into()),
    })
}

/// What an ARN names: all behind its account, what is behind a `/` or `:` there, up to the next or to
/// the end; and of a secret, its name without what AWS adds.
pub fn names_in(arn: &str) -> Vec<String> {
    let parts: Vec<&str> = arn.split(':').collect();
    if parts[0] != "arn" || parts.len() < 6 {
        return Vec::new();
    }
    let resource = parts[5..].join(":");
    let mut names = vec![resource.clone()];
    for (at, _) in resource.char_indices().filter(|(_, c)| ":/".contains(*c)) {
        let rest = &resource[at + 1..];
        names.push(rest.to_owned());
        names.push(rest.split([':', '/']).next().unwrap().to_owned());
    }
    if let Some((name, _)) = resource.strip_prefix("secret:").and_then(|n| n.rsplit_once('-'))
        && resource.len() == "secret:".len() + name.len() + 7
    {
        names.push(name.to_owned());
    }
    names
}
