//! The fields that AWS documents, as CloudTrail spells them, and what they hold. Athena and Lake write
//! all names in lower case, the console with spaces.

use serde_json::{Map, Value};

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// `true` or `false`.
    Truth,
    /// An object of any shape: JSON in Athena's tables, a map in Lake's.
    Any,
    /// An object with these members.
    Group(&'static [Field]),
    /// A list of such objects.
    List(&'static [Field]),
}

/// A field: its name, and what it holds.
#[derive(Debug)]
pub(crate) struct Field(pub(crate) &'static str, pub(crate) Kind);

const fn text(name: &'static str) -> Field {
    Field(name, Kind::Text)
}

/// The fields of a record.
pub(crate) const RECORD: &[Field] = &[
    text("eventVersion"),
    Field("userIdentity", Kind::Group(USER_IDENTITY)),
    text("eventTime"),
    text("eventSource"),
    text("eventName"),
    text("awsRegion"),
    text("sourceIPAddress"),
    text("userAgent"),
    text("errorCode"),
    text("errorMessage"),
    Field("requestParameters", Kind::Any),
    Field("responseElements", Kind::Any),
    Field("additionalEventData", Kind::Any),
    text("requestID"),
    text("eventID"),
    Field("readOnly", Kind::Truth),
    Field("resources", Kind::List(RESOURCE)),
    text("eventType"),
    text("apiVersion"),
    Field("managementEvent", Kind::Truth),
    text("recipientAccountId"),
    text("sharedEventID"),
    text("annotation"),
    text("vpcEndpointId"),
    text("vpcEndpointAccountId"),
    Field("serviceEventDetails", Kind::Any),
    Field("addendum", Kind::Group(ADDENDUM)),
    Field("edgeDeviceDetails", Kind::Any),
    Field("insightDetails", Kind::Any),
    text("eventCategory"),
    Field("tlsDetails", Kind::Group(TLS)),
    text("sessionCredentialFromConsole"),
    Field("eventContext", Kind::Any),
    text("eventJson"),
    text("eventJsonChecksum"),
];

const USER_IDENTITY: &[Field] = &[
    text("type"),
    text("principalId"),
    text("arn"),
    text("accountId"),
    text("accessKeyId"),
    text("userName"),
    text("invokedBy"),
    text("identityProvider"),
    text("credentialId"),
    Field("sessionContext", Kind::Group(SESSION_CONTEXT)),
    Field("onBehalfOf", Kind::Group(&[text("userId"), text("identityStoreArn")])),
    Field("inScopeOf", Kind::Group(IN_SCOPE_OF)),
];

const SESSION_CONTEXT: &[Field] = &[
    Field("attributes", Kind::Group(&[text("creationDate"), text("mfaAuthenticated")])),
    Field("sessionIssuer", Kind::Group(SESSION_ISSUER)),
    Field("webIdFederationData", Kind::Group(FEDERATION)),
    text("sourceIdentity"),
    text("ec2RoleDelivery"),
    text("ec2IssuedInVpc"),
    text("assumedRoot"),
];

const SESSION_ISSUER: &[Field] =
    &[text("type"), text("principalId"), text("arn"), text("accountId"), text("userName")];
const FEDERATION: &[Field] = &[text("federatedProvider"), Field("attributes", Kind::Any)];
const IN_SCOPE_OF: &[Field] =
    &[text("sourceArn"), text("sourceAccount"), text("issuerType"), text("credentialsIssuedTo")];
const RESOURCE: &[Field] = &[text("ARN"), text("accountId"), text("type")];
const ADDENDUM: &[Field] =
    &[text("reason"), text("updatedFields"), text("originalRequestID"), text("originalEventID")];
const TLS: &[Field] = &[
    text("tlsVersion"),
    text("cipherSuite"),
    text("clientProvidedHostHeader"),
    text("keyExchange"),
];

/// Columns of the console's Event history that are members of the identity. Its user name is that of a
/// user, or of a role's session.
const OF_THE_CONSOLE: [(&str, &str); 2] =
    [("username", "userName"), ("awsaccesskey", "accessKeyId")];

/// What a column of a table stands for.
#[derive(Debug)]
pub(crate) struct Column {
    /// Where in the record its cells go.
    pub(crate) path: Vec<String>,
    /// What they hold; None for a column that is no documented field.
    pub(crate) kind: Option<&'static Kind>,
}

impl Column {
    /// The column of a name. What is not documented keeps its name.
    pub(crate) fn named(name: &str) -> Self {
        let plain = plain(name);
        if let Some((_, member)) = OF_THE_CONSOLE.iter().find(|(console, _)| *console == plain) {
            return Self::at(&["userIdentity", member], Some(&Kind::Text));
        }
        let (mut path, mut kind, mut fields) = (Vec::new(), None, Some(RECORD));
        for part in name.split('.') {
            let field = fields.and_then(|fields| find(fields, part));
            if field.is_none() && path.is_empty() {
                return Self::at(&[name], None);
            }
            path.push(field.map_or(part, |field| field.0).to_owned());
            kind = field.map(|field| &field.1);
            fields = kind.and_then(members);
        }
        Self { path, kind }
    }

    fn at(path: &[&str], kind: Option<&'static Kind>) -> Self {
        Self { path: path.iter().map(|part| (*part).to_owned()).collect(), kind }
    }

    /// Whether it is this field of the record.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.path.as_slice(), [first] if first == name)
    }
}

/// The members of an object, or of a list's objects.
pub(crate) fn members(kind: &'static Kind) -> Option<&'static [Field]> {
    match kind {
        Kind::Group(fields) | Kind::List(fields) => Some(fields),
        _ => None,
    }
}

/// The field of a name, however it is spelled.
pub(crate) fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    let name = plain(name);
    fields.iter().find(|field| field.0.eq_ignore_ascii_case(&name))
}

/// A name without case, spaces and punctuation, in which people's spellings differ.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// JSON with the names of documented members as CloudTrail spells them.
pub(crate) fn restored(value: Value, fields: &'static [Field]) -> Value {
    match value {
        Value::Object(members_found) => {
            let members_found =
                members_found.into_iter().map(|(name, value)| match find(fields, &name) {
                    Some(Field(name, kind)) => {
                        let value = match members(kind) {
                            Some(fields) => restored(value, fields),
                            None => value,
                        };
                        ((*name).to_owned(), value)
                    }
                    None => (name, value),
                });
            Value::Object(members_found.collect::<Map<_, _>>())
        }
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| restored(value, fields)).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_restored_however_they_are_spelled() {
        for (name, path) in [
            ("sourceipaddress", "sourceIPAddress"),
            ("Source IP address", "sourceIPAddress"),
            ("event_id", "eventID"),
            ("Read-only", "readOnly"),
            (
                "useridentity.sessioncontext.sessionissuer.username",
                "userIdentity.sessionContext.sessionIssuer.userName",
            ),
            ("userIdentity.arn", "userIdentity.arn"),
            ("requestparameters.bucketName", "requestParameters.bucketName"),
            ("User name", "userIdentity.userName"),
            ("AWS access key", "userIdentity.accessKeyId"),
            ("@timestamp", "@timestamp"),
            ("Resource name", "Resource name"),
        ] {
            assert_eq!(Column::named(name).path.join("."), path, "{name}");
        }
    }

    #[test]
    fn json_with_names_in_lower_case_is_restored() {
        let value = serde_json::json!({"accountid": "1", "sessioncontext": {"sessionissuer": {"username": "r"}}, "other": {"arn": 1}});
        let expected = serde_json::json!({"accountId": "1", "sessionContext": {"sessionIssuer": {"userName": "r"}}, "other": {"arn": 1}});
        assert_eq!(restored(value, USER_IDENTITY), expected);
    }
}
