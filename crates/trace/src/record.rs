//! A record as a trace reads it: who acted, and what credentials the answer has.

use serde_json::Value;
use wire::{Hit, Meta, TraceEvent};

/// Bytes of a text of a record that a trace keeps: the longest ARN is half of it.
const TEXT_BYTES_MAX: usize = 4_096;

/// What AWS writes in place of a key that it does not tell.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// An event with its record.
#[derive(Debug)]
pub(crate) struct Record {
    json: Value,
    pub(crate) meta: Meta,
}

/// Who acted, by `userIdentity`. Absent texts are empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) principal: String,
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) user: String,
    /// When the session began, as the record has it.
    pub(crate) created: String,
    /// The role's ARN.
    pub(crate) role: String,
    pub(crate) invoked_by: String,
    pub(crate) provider: String,
    pub(crate) source_identity: String,
    /// The user of Identity Center for whom it is.
    pub(crate) on_behalf_of: String,
    /// The sign-in that the session is of.
    pub(crate) sign_in: String,
    /// Its one readable name.
    pub(crate) who: String,
}

/// The credentials in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    Key(String),
    Hidden,
    None,
}

impl Record {
    pub(crate) fn new(hit: Hit) -> Self {
        // A record that is nested deeper than the parser goes tells nothing but its place.
        let json = serde_json::from_str(hit.event.get()).unwrap_or_default();
        Self { json, meta: hit.meta }
    }

    /// The text at a place of the record; empty where there is none, or one that is too long.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let text = self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX { "" } else { text }
    }

    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer)
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/eventName")
    }

    pub(crate) fn time(&self) -> &str {
        self.text("/eventTime")
    }

    /// Whether the call did what it was for.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(&*self.meta.outcome, "success" | "")
    }

    pub(crate) fn identity(&self) -> Identity {
        let text = |name: &str| self.text(&format!("/userIdentity/{name}")).to_owned();
        let session = |name: &str| text(&format!("sessionContext/{name}"));
        Identity {
            kind: text("type"),
            key: text("accessKeyId"),
            principal: text("principalId"),
            arn: text("arn"),
            account: text("accountId"),
            user: text("userName"),
            created: session("attributes/creationDate"),
            role: session("sessionIssuer/arn"),
            invoked_by: text("invokedBy"),
            provider: text("identityProvider"),
            source_identity: session("sourceIdentity"),
            on_behalf_of: text("onBehalfOf/userId"),
            sign_in: self.at("/userIdentity").and_then(|at| sign_in(at, 0)).unwrap_or_default(),
            who: self.meta.actor.clone(),
        }
    }

    /// The temporary credentials, or the access key, that the answer has.
    pub(crate) fn issued(&self) -> Issued {
        let keys = [
            "/responseElements/credentials/accessKeyId",
            "/responseElements/accessKey/accessKeyId",
        ];
        match keys.map(|key| self.text(key)).into_iter().find(|key| !key.is_empty()) {
            Some(HIDDEN) => Issued::Hidden,
            Some(key) => Issued::Key(key.to_owned()),
            None => Issued::None,
        }
    }

    pub(crate) fn event(&self) -> TraceEvent {
        TraceEvent {
            id: self.meta.id.clone(),
            time: self.meta.time.clone(),
            action: self.name().to_owned(),
            actor: self.meta.actor.clone(),
            address: self.text("/sourceIPAddress").to_owned(),
            region: self.text("/awsRegion").to_owned(),
            account: self.meta.account.clone(),
            file: self.meta.file.clone(),
            shared: Vec::new(),
        }
    }
}

/// The value of `signInSessionArn`, which has stood at several places.
fn sign_in(value: &Value, depth: usize) -> Option<String> {
    const DEPTH_MAX: usize = 4;
    let object = value.as_object()?;
    if let Some(arn) = object.get("signInSessionArn").and_then(Value::as_str) {
        return (arn.len() <= TEXT_BYTES_MAX).then(|| arn.to_owned());
    }
    if depth == DEPTH_MAX {
        return None;
    }
    object.values().find_map(|inner| sign_in(inner, depth + 1))
}

impl Identity {
    /// Whether the credentials are those of a session.
    pub(crate) fn is_temporary(&self) -> bool {
        !self.created.is_empty()
    }

    pub(crate) fn is_of_role(&self) -> bool {
        self.kind == "AssumedRole" || self.role.contains(":role/")
    }

    /// The session's name: what stands behind the colon of its principal.
    pub(crate) fn session(&self) -> &str {
        self.principal.split_once(':').map_or("", |(_, name)| name)
    }
}

/// Whether a name is that of an instance: `i-` and hexadecimal digits.
/// Whether a member of this name has this text, or ends in it behind a slash, anywhere in an answer. A text
/// that only mentions a thing, such as a tag, makes nothing.
pub(crate) fn has_member(value: &Value, name: &str, text: &str, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let is_it = |value: &Value| {
        value.as_str().is_some_and(|own| own == text || own.rsplit('/').next() == Some(text))
    };
    match value {
        Value::Object(object) => object.iter().any(|(key, value)| {
            key == name && is_it(value) || has_member(value, name, text, depth)
        }),
        Value::Array(list) => list.iter().any(|value| has_member(value, name, text, depth)),
        _ => false,
    }
}

pub(crate) fn is_instance(name: &str) -> bool {
    let digits = name.strip_prefix("i-").or_else(|| name.strip_prefix("mi-"));
    digits.is_some_and(|digits| {
        (8..=17).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}
