//! Who acted, and with which kind of credentials, derived from `userIdentity`.
//!
//! `userIdentity` is often incomplete, and its `type` absent; each rule takes the best field
//! present, and falls through to the next. Source: AWS's "CloudTrail userIdentity element", and the
//! records in `tests/data`.

use std::borrow::Cow;

/// The fields of `userIdentity` that say who acted. Absent ones are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// `type`, such as `IAMUser` or `AssumedRole`.
    pub kind: &'a str,
    /// `arn` of the user, role session or root.
    pub arn: &'a str,
    /// `userName` of an IAM user or a federated one.
    pub user_name: &'a str,
    /// `principalId`, AWS's unique id of the caller.
    pub principal: &'a str,
    /// `accountId`, twelve digits.
    pub account: &'a str,
    /// `invokedBy`, the AWS service that made the request.
    pub invoked_by: &'a str,
    /// `sessionContext.sessionIssuer.userName`: the role, for a temporary role.
    pub issuer_name: &'a str,
    /// `onBehalfOf.userId`: the person, for Identity Center.
    pub on_behalf_of: &'a str,
}

/// Kinds of credentials, as the `credential` column and the API name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `root`: the account's root user.
    Root,
    /// `iam-user`: an IAM user's own keys or password.
    IamUser,
    /// `assumed-role`: a role's temporary credentials.
    AssumedRole,
    /// `federated`: a user of an external identity provider.
    Federated,
    /// `identity-center`: a user of IAM Identity Center.
    IdentityCenter,
    /// `aws-service`: a service of AWS itself.
    AwsService,
    /// `aws-account`: a caller from another account.
    AwsAccount,
    /// `anonymous`: no credentials.
    Anonymous,
    /// `unknown`: the record does not say.
    Unknown,
}

impl Credential {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::IamUser => "iam-user",
            Self::AssumedRole => "assumed-role",
            Self::Federated => "federated",
            Self::IdentityCenter => "identity-center",
            Self::AwsService => "aws-service",
            Self::AwsAccount => "aws-account",
            Self::Anonymous => "anonymous",
            Self::Unknown => "unknown",
        }
    }
}

impl<'a> Identity<'a> {
    /// The kind of credentials of the call.
    pub fn credential(&self) -> Credential {
        if is_anonymous(self.account) || is_anonymous(self.principal) {
            return Credential::Anonymous;
        }
        match self.kind {
            "Root" => Credential::Root,
            "IAMUser" => Credential::IamUser,
            "AssumedRole" | "Role" => Credential::AssumedRole,
            "FederatedUser" | "SAMLUser" | "WebIdentityUser" | "Directory" => Credential::Federated,
            "IdentityCenterUser" => Credential::IdentityCenter,
            "AWSService" => Credential::AwsService,
            "AWSAccount" => Credential::AwsAccount,
            _ => self.credential_without_type(),
        }
    }

    fn credential_without_type(&self) -> Credential {
        match self.arn_resource() {
            "root" => Credential::Root,
            resource if resource.starts_with("user/") => Credential::IamUser,
            resource if resource.starts_with("assumed-role/") => Credential::AssumedRole,
            resource if resource.starts_with("role/") => Credential::AssumedRole,
            resource if resource.starts_with("federated-user/") => Credential::Federated,
            _ if !self.on_behalf_of.is_empty() => Credential::IdentityCenter,
            _ if !self.invoked_by.is_empty() => Credential::AwsService,
            _ => Credential::Unknown,
        }
    }

    /// Who made the call, in one readable name; empty when the record does not say.
    ///
    /// `root`, a user's name, `role/session`, a service's host name, or an account number.
    pub(crate) fn actor(&self) -> Cow<'a, str> {
        match self.credential() {
            Credential::Root => "root".into(),
            Credential::Anonymous => "anonymous".into(),
            Credential::AssumedRole => self.role_and_session(),
            Credential::AwsService => {
                first(&[self.invoked_by, self.user_name, self.principal, self.account])
            }
            Credential::AwsAccount => first(&[self.account, self.principal]),
            Credential::IdentityCenter => {
                first(&[self.user_name, self.on_behalf_of, self.principal])
            }
            Credential::IamUser => {
                first(&[self.user_name, last_part(self.arn_resource()), self.principal])
            }
            Credential::Federated => {
                first(&[self.user_name, last_part(self.arn_resource()), self.caller_name()])
            }
            Credential::Unknown => first(&[
                self.user_name,
                last_part(self.arn_resource()),
                self.principal,
                self.account,
            ]),
        }
    }

    /// `arn:aws:sts::1:assumed-role/ROLE/SESSION` is `ROLE/SESSION`.
    fn role_and_session(&self) -> Cow<'a, str> {
        if let Some(role_and_session) = self.arn_resource().strip_prefix("assumed-role/") {
            return role_and_session.into();
        }
        let role = first(&[self.issuer_name, last_part(self.arn_resource()), self.user_name]);
        let session = self.principal.split_once(':').map_or("", |(_, session)| session);
        match (role.is_empty(), session.is_empty()) {
            (true, _) => self.principal.into(),
            (false, true) => role,
            (false, false) => format!("{role}/{session}").into(),
        }
    }

    /// `111122223333:NAME` is `NAME`, which a federated user's request for credentials chose.
    fn caller_name(&self) -> &'a str {
        match self.principal.split_once(':') {
            Some((account, name))
                if !name.is_empty() && account.bytes().all(|b| b.is_ascii_digit()) =>
            {
                name
            }
            _ => self.principal,
        }
    }

    /// What follows the account in the ARN.
    fn arn_resource(&self) -> &'a str {
        self.arn.splitn(6, ':').nth(5).unwrap_or("")
    }
}

/// Whether an account or a principal stands for callers without credentials.
pub(crate) fn is_anonymous(text: &str) -> bool {
    matches!(text, "anonymous" | "Anonymous" | "ANONYMOUS_PRINCIPAL")
}

fn last_part(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or("")
}

fn first<'a>(candidates: &[&'a str]) -> Cow<'a, str> {
    candidates.iter().copied().find(|name| !name.is_empty()).unwrap_or("").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(identity: Identity<'_>, expected: &str) {
        assert_eq!(format!("{} {}", identity.credential().name(), identity.actor()), expected);
    }

    fn identity(kind: &'static str, arn: &'static str) -> Identity<'static> {
        Identity { kind, arn, ..Identity::default() }
    }

    #[test]
    fn each_identity_type_has_its_credential_and_actor() {
        check(identity("Root", "arn:aws:iam::1:root"), "root root");
        check(
            Identity { user_name: "bert", ..identity("IAMUser", "arn:aws:iam::1:user/bert") },
            "iam-user bert",
        );
        check(
            identity("AssumedRole", "arn:aws:sts::1:assumed-role/Admin/alice"),
            "assumed-role Admin/alice",
        );
        check(identity("FederatedUser", "arn:aws:sts::1:federated-user/Bob"), "federated Bob");
        check(Identity { user_name: "carol", ..identity("SAMLUser", "") }, "federated carol");
        check(
            Identity { invoked_by: "ec2.amazonaws.com", ..identity("AWSService", "") },
            "aws-service ec2.amazonaws.com",
        );
        check(
            Identity { account: "123456789012", ..identity("AWSAccount", "") },
            "aws-account 123456789012",
        );
        check(
            Identity { on_behalf_of: "9067-1", ..identity("IdentityCenterUser", "") },
            "identity-center 9067-1",
        );
        check(Identity { user_name: "HIDDEN", ..identity("Unknown", "") }, "unknown HIDDEN");
    }

    #[test]
    fn without_a_type_the_arn_or_the_invoker_decides() {
        check(identity("", "arn:aws:iam::1:root"), "root root");
        check(identity("", "arn:aws:iam::1:user/path/dora"), "iam-user dora");
        check(identity("", "arn:aws:sts::1:assumed-role/R/s"), "assumed-role R/s");
        check(
            Identity { account: "1", invoked_by: "ec2.amazonaws.com", ..Identity::default() },
            "aws-service ec2.amazonaws.com",
        );
        check(Identity::default(), "unknown ");
    }

    #[test]
    fn anonymous_calls_are_told_from_other_accounts() {
        check(
            Identity { account: "anonymous", ..identity("AWSAccount", "") },
            "anonymous anonymous",
        );
        check(
            Identity { account: "ANONYMOUS_PRINCIPAL", ..identity("AWSAccount", "") },
            "anonymous anonymous",
        );
    }

    #[test]
    fn a_federated_user_without_an_arn_has_the_name_it_chose() {
        for (principal, expected) in [
            ("111122223333:Quin", "federated Quin"),
            ("111122223333:", "federated 111122223333:"),
            (
                "cognito-identity.amazonaws.com:pool:id",
                "federated cognito-identity.amazonaws.com:pool:id",
            ),
        ] {
            check(Identity { principal, ..identity("FederatedUser", "") }, expected);
        }
    }

    #[test]
    fn root_invoked_by_a_service_is_still_root() {
        check(
            Identity {
                invoked_by: "support.amazonaws.com",
                ..identity("Root", "arn:aws:iam::1:root")
            },
            "root root",
        );
    }

    #[test]
    fn a_role_without_its_arn_takes_issuer_and_principal() {
        check(
            Identity {
                issuer_name: "Admin",
                principal: "AROA1:i-0abc",
                ..identity("AssumedRole", "")
            },
            "assumed-role Admin/i-0abc",
        );
        check(Identity { principal: "AROA1", ..identity("AssumedRole", "") }, "assumed-role AROA1");
    }
}
