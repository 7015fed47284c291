//! The fields that rules name: paths of records, and fields that traildex derives.

use language::ast::FieldRef;
use serde_json::Value as Json;
use trail::columns::{ColumnId, Words};
use trail::names::is_documented;

/// The field that a rule's condition names.
///
/// A name is a path of the record, whether any event has it or not: a field that an event lacks is never
/// met. Only where CloudTrail has no such field can it be one that traildex derives, such as `outcome`, or
/// looks up, such as `geo.country`.
pub(crate) fn field(name: &str) -> FieldRef {
    if is_derived(name) { FieldRef::named(name) } else { FieldRef::at_path(name) }
}

/// Whether a name is that of a field that is in no record.
pub(crate) fn is_derived(name: &str) -> bool {
    let is_derived =
        |name| ColumnId::named(name).is_some_and(|id| id.column().words == Words::Derived);
    !is_documented(name) && (is_derived(name) || is_looked_up(name))
}

/// Whether a name is that of a field that is looked up in files of the user's: `geo.country`, `ioc`.
fn is_looked_up(name: &str) -> bool {
    enrich::Field::ALL.iter().any(|(_, own, _)| *own == name)
}

/// What groups of events have in common, or what is counted of them.
///
/// Beside fields there are three that only rules have: `principal` is the role of a session, else who
/// acted; `network` is the address's, of 24 bits (48 of IPv6); `client` is in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As the rule has it.
    pub(crate) name: String,
    /// Where its value is: that of the first of these that an event has.
    pub(crate) fields: Vec<FieldRef>,
    /// Whether it is the network of the address.
    pub(crate) is_network: bool,
}

/// The role of a session, else who acted.
const PRINCIPAL: [&str; 4] = [
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.arn",
    "userIdentity.invokedBy",
    "userIdentity.principalId",
];

/// Bits of an address's network.
pub(crate) const NETWORK: (u8, u8) = (24, 48);

impl Key {
    pub(crate) fn named(name: &str) -> Self {
        let is_network = name == "network";
        let fields = match name {
            "principal" => PRINCIPAL.map(FieldRef::at_path).into(),
            "network" => vec![FieldRef::at_path("sourceIPAddress")],
            name => vec![field(name)],
        };
        Self { name: name.to_owned(), fields, is_network }
    }

    /// The value of the key, of the values of its fields.
    pub(crate) fn value(&self, values: &[Json]) -> Option<String> {
        let text = values.iter().find_map(text)?;
        Some(if self.is_network { network(&text) } else { text })
    }
}

/// The values of some keys; None where one has none.
pub(crate) fn values_of(keys: &[Key], values: &[Vec<Json>]) -> Option<Vec<String>> {
    keys.iter().zip(values).map(|(key, values)| key.value(values)).collect()
}

/// A value as text; None where there is none.
pub(crate) fn text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// The network of an address; what is none stays as it is.
fn network(text: &str) -> String {
    use std::net::IpAddr;
    match text.parse() {
        Ok(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/{}", NETWORK.0)
        }
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/{}", NETWORK.1)
        }
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_a_path_of_records_unless_it_is_derived() {
        assert!(is_derived("outcome") && is_derived("actor"));
        assert!(is_derived("geo.country") && is_derived("ioc"));
        // A record has none of these by this name, or has its own.
        for name in
            ["status", "user", "principal", "eventName", "errorCode", "requestParameters.outcome"]
        {
            assert!(!is_derived(name), "{name}");
            assert!(field(name).is_path);
        }
    }

    #[test]
    fn keys_have_the_value_of_the_first_field_that_an_event_has() {
        let principal = Key::named("principal");
        let values = [json!(null), json!("arn:aws:iam::1:user/a"), json!(null), json!("AIDA")];
        assert_eq!(principal.value(&values).as_deref(), Some("arn:aws:iam::1:user/a"));
        assert_eq!(principal.value(&[json!(null), json!("")]), None);
        let network = Key::named("network");
        assert_eq!(network.value(&[json!("192.0.2.7")]).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(network.value(&[json!("2001:db8:1:2::1")]).as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(
            network.value(&[json!("ec2.amazonaws.com")]).as_deref(),
            Some("ec2.amazonaws.com")
        );
    }
}
