//! An event as LookupEvents shows it. An attribute finds an event if the shown event has its value.

use serde::Serialize;
use serde_json::Value;

use crate::lookup::AttributeKey;
use crate::resources::{each_scalar, resources};
use trail::identity::{Credential, Identity};
use trail::time::Micros;
use wire::{ApiError, ErrorKind, Hit};

/// AWS's `Event`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ShownEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    /// Seconds since 1970.
    event_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    resources: Vec<ShownResource>,
    /// The record, byte for byte as AWS delivered it.
    cloud_trail_event: String,
}

/// AWS's `Resource`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownResource {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    resource_name: String,
}

impl ShownEvent {
    pub(crate) fn new(hit: Hit) -> Result<Self, ApiError> {
        let broken = |what: String| ApiError::new(ErrorKind::Internal, what);
        let text = String::from(Box::<str>::from(hit.event));
        let record: Value = serde_json::from_str(&text)
            .map_err(|error| broken(format!("a stored record is not JSON: {error}")))?;
        let time = Micros::parse_event_time(&hit.meta.time)
            .ok_or_else(|| broken(format!("{} is no time", hit.meta.time)))?;
        let of_insight = |name: &str| first(&record, &format!("insightDetails.{name}"));
        let resources = resources(&record).into_iter().map(|resource| ShownResource {
            resource_type: resource.kind,
            resource_name: resource.name,
        });
        Ok(Self {
            event_id: first(&record, "eventID").or_else(|| first(&record, "eventId")),
            event_name: first(&record, "eventName").or_else(|| of_insight("eventName")),
            read_only: first(&record, "readOnly"),
            access_key_id: first(&record, "userIdentity.accessKeyId"),
            event_time: time.0 as f64 / 1e6,
            event_source: first(&record, "eventSource").or_else(|| of_insight("eventSource")),
            username: username(&record),
            resources: resources.collect(),
            cloud_trail_event: text,
        })
    }

    /// Whether the shown event has this value in an attribute.
    pub(crate) fn has(&self, key: AttributeKey, value: &str) -> bool {
        let is = |told: &Option<String>| told.as_deref() == Some(value);
        match key {
            AttributeKey::EventId => is(&self.event_id),
            AttributeKey::EventName => is(&self.event_name),
            AttributeKey::ReadOnly => is(&self.read_only),
            AttributeKey::Username => is(&self.username),
            AttributeKey::EventSource => is(&self.event_source),
            AttributeKey::AccessKeyId => is(&self.access_key_id),
            AttributeKey::ResourceType => {
                self.resources.iter().any(|resource| is(&resource.resource_type))
            }
            AttributeKey::ResourceName => {
                self.resources.iter().any(|resource| resource.resource_name == value)
            }
        }
    }
}

fn first(record: &Value, path: &str) -> Option<String> {
    let mut found = None;
    each_scalar(record, path, &mut |text| {
        found.get_or_insert(text);
    });
    found
}

/// The user name that AWS shows: for a role's session, the session's name; None for services and
/// other accounts.
fn username(record: &Value) -> Option<String> {
    let field = |path: &str| first(&record["userIdentity"], path).unwrap_or_default();
    let (kind, arn, user_name) = (field("type"), field("arn"), field("userName"));
    let (principal, account) = (field("principalId"), field("accountId"));
    let (invoked_by, on_behalf_of) = (field("invokedBy"), field("onBehalfOf.userId"));
    let identity = Identity {
        kind: &kind,
        arn: &arn,
        user_name: &user_name,
        principal: &principal,
        account: &account,
        invoked_by: &invoked_by,
        issuer_name: "",
        on_behalf_of: &on_behalf_of,
    };
    let last_of = |text: &str, separator| {
        text.rsplit_once(separator).map(|(_, last): (&str, &str)| last.to_owned())
    };
    let name = match identity.credential() {
        Credential::Root => "root".to_owned(),
        Credential::AssumedRole => {
            let of_arn = arn.contains(":assumed-role/").then(|| last_of(&arn, '/')).flatten();
            of_arn.or_else(|| last_of(&principal, ':')).unwrap_or_default()
        }
        Credential::IamUser | Credential::Federated if user_name.is_empty() => {
            last_of(&arn, '/').unwrap_or_default()
        }
        _ => user_name.clone(),
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_identity_has_its_user_name() {
        let session = "arn:aws:sts::1:assumed-role/R/alice";
        for (identity, expected) in [
            (json!({"type": "Root", "arn": "arn:aws:iam::1:root", "userName": "alias"}), "root"),
            (json!({"type": "IAMUser", "userName": "bert"}), "bert"),
            (json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/a/bert"}), "bert"),
            (json!({"type": "AssumedRole", "arn": session}), "alice"),
            (json!({"type": "AssumedRole", "principalId": "AROA1:i-1"}), "i-1"),
            (json!({"type": "AssumedRole", "arn": "arn:aws:iam::1:role/R"}), ""),
            (json!({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/Bob"}), "Bob"),
            (json!({"type": "SAMLUser", "userName": "carol"}), "carol"),
            (json!({"type": "WebIdentityUser", "userName": "app"}), "app"),
            (json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "9"}}), ""),
            (json!({"type": "Directory", "userName": "dora"}), "dora"),
            (json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}), ""),
            (json!({"type": "AWSAccount", "accountId": "1", "principalId": "A:b"}), ""),
            (
                json!({"userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
                "HIDDEN_DUE_TO_SECURITY_REASONS",
            ),
            (json!({}), ""),
        ] {
            let told = username(&json!({ "userIdentity": identity })).unwrap_or_default();
            assert_eq!(told, expected, "{identity}");
        }
    }
}
