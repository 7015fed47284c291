//! What came of a call: it succeeded, it was denied, or it failed.
//!
//! `errorCode` alone does not tell: AWS writes a sign-in that failed, an EC2 call that returned false and
//! a batch of which a part failed without one. The first of these rules that applies decides:
//!
//! 1. `errorCode`, unless it is empty or says that there was none (`success`, `-`, …): denied, if its name
//!    or `errorMessage` says so ([`DENIED_CODES`], [`DENIED_MESSAGES`]); else a failure.
//! 2. What the answer says of itself ([`Sign`]): a failure, or denied by the same words.
//! 3. `errorMessage` alone: the same, unless the answer says that it succeeded.
//! 4. `insightDetails.errorCode`, of an Insight event: as `errorCode`.
//! 5. A record of a call, with `eventName`: success. Any other record has no outcome.
//!
//! Who has the wrong credentials fails; who has the right ones and may not is denied.

use crate::flat::Scalar;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `success`: nothing says otherwise.
    Success,
    /// `denied`: the caller may not do it.
    Denied,
    /// `failure`: it was not done, or a part of it was not.
    Failure,
}

impl Outcome {
    /// Its name, as the column and the API have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }

    /// Of a call that ended with this code and message; either can be empty.
    pub fn of_error(code: &str, message: &str) -> Self {
        if is_denied_code(code) || is_denied_message(message) {
            Self::Denied
        } else {
            Self::Failure
        }
    }
}

/// Parts of the names of errors that deny, in lower case, letters and digits only: `AccessDenied`,
/// `Client.UnauthorizedOperation`, `KMSAccessDeniedException`, `AuthorizationErrorException`,
/// `NotAuthorizedException`, `403 Forbidden`.
const DENIED_CODES: [&str; 11] = [
    "denied",
    "unauthorized",
    "notauthorized",
    "authorizationerror",
    "authorizationfail",
    "authfailure",
    "forbidden",
    "explicitdeny",
    "nopermission",
    "insufficientpermission",
    "insufficientprivilege",
];

/// HTTP's numbers for the same, which some services write in place of a name.
const DENIED_STATUS: [&str; 2] = ["401", "403"];

/// Parts of messages that deny, in lower case, whatever the name of the error is.
const DENIED_MESSAGES: [&str; 6] = [
    "not authorized",
    "explicit deny",
    "access denied",
    "access is denied",
    "permission denied",
    "no identity-based policy allows",
];

/// What some tools write where there was no error.
const NO_ERRORS: [&str; 9] = ["", "-", "0", "200", "none", "null", "ok", "success", "noerror"];

/// Whether an `errorCode` says that there was no error.
pub fn is_no_error(code: &str) -> bool {
    let code = code.trim();
    NO_ERRORS.iter().any(|none| code.eq_ignore_ascii_case(none))
}

fn is_denied_code(code: &str) -> bool {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    DENIED_CODES.iter().any(|denied| letters.contains(denied))
        || DENIED_STATUS.contains(&letters.as_str())
}

fn is_denied_message(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    DENIED_MESSAGES.iter().any(|denied| message.contains(denied))
}

/// The fields by which an answer says what came of the call, below `responseElements` and
/// `serviceEventDetails`. Those in which AWS lists what failed of a batch may be in the one object of an
/// answer, such as `DeleteFlowLogsResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A field of [`SAID`]: `Failure`.
    Said,
    /// A field named as the event is, such as `ExternalIdPDirectoryLogin`: `Failure`.
    Named,
    /// `_return` or `success`: false.
    Returned,
    /// The state in which a job ended, in the details of a service's event: `FAILED`.
    State,
    /// Something in a list of what failed.
    Listed,
    /// The name of the error in such a list.
    ListedCode,
    /// `insightDetails.errorCode`.
    Insight,
}

/// Sign-ins, changes of the role and of the password in the console, checks of a second factor.
const SAID: [&str; 13] = [
    "ConsoleLogin",
    "SwitchRole",
    "ExitRole",
    "RenewRole",
    "GetSigninToken",
    "CheckMfa",
    "CredentialChallenge",
    "CredentialVerification",
    "UserAuthentication",
    "PasswordRecoveryRequested",
    "PasswordRecoveryCompleted",
    "PasswordUpdated",
    "EmailUpdated",
];

/// Lists of what failed, in lower case. Those that begin with `unprocessed` or `unsuccessful` are such
/// lists, too.
const LISTS: [&str; 19] = [
    "batchitemerrors",
    "error",
    "errorentries",
    "errors",
    "failed",
    "failedaccounts",
    "failedcount",
    "failedentries",
    "failedentrycount",
    "failedfindings",
    "faileditems",
    "failedputcount",
    "failedrecordcount",
    "failedresources",
    "failedresourcesmap",
    "failureinfo",
    "failures",
    "invalidresources",
    "rejectedrecords",
];

/// Names of errors in such lists, in lower case.
const CODES: [&str; 4] = ["code", "errorcode", "error", "reason"];

/// How a service's job ends that fails.
const FAILED_STATES: [&str; 5] = ["FAILED", "FAILURE", "ERROR", "ABORTED", "TIMED_OUT"];

impl Sign {
    /// What the value at a path of the record says of the outcome; None for any other path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if path == "insightDetails.errorCode" {
            return Some(Self::Insight);
        }
        let (object, path) = path.split_once('.')?;
        match object {
            "serviceEventDetails" => Self::in_details(path),
            "responseElements" => Self::in_response(path),
            _ => None,
        }
    }

    fn in_details(path: &str) -> Option<Self> {
        match path.rsplit('.').next() {
            Some("state" | "status") => Some(Self::State),
            _ => Self::said(path),
        }
    }

    fn said(path: &str) -> Option<Self> {
        if path.contains('.') {
            return None;
        }
        Some(if SAID.contains(&path) { Self::Said } else { Self::Named })
    }

    fn in_response(path: &str) -> Option<Self> {
        let path = without_wrapper(path);
        if matches!(path, "_return" | "return" | "success") {
            return Some(Self::Returned);
        }
        let list = path.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_list = LISTS.contains(&list.as_str())
            || list.starts_with("unprocessed")
            || list.starts_with("unsuccessful");
        if !is_list {
            return Self::said(path);
        }
        let last = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_code = path.contains('.') && CODES.contains(&last.as_str());
        Some(if is_code { Self::ListedCode } else { Self::Listed })
    }

    /// Whether a value at such a path says that the call failed.
    pub(crate) fn is_of_failure(self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Said | Self::Named, Scalar::Str(text)) => text.eq_ignore_ascii_case("failure"),
            (Self::Returned, Scalar::Bool(is_done)) => !is_done,
            (Self::Returned, Scalar::Str(text)) => text.eq_ignore_ascii_case("false"),
            (Self::State, Scalar::Str(text)) => {
                FAILED_STATES.iter().any(|state| text.eq_ignore_ascii_case(state))
            }
            (Self::Listed, Scalar::Bool(is_so)) => is_so,
            (Self::Listed, Scalar::I64(count)) => count != 0,
            (Self::Listed, Scalar::U64(count)) => count != 0,
            (Self::Listed, Scalar::F64(count, _)) => count != 0.0,
            (Self::Listed | Self::ListedCode, Scalar::Str(text)) => !text.is_empty(),
            (Self::Insight, Scalar::Str(text)) => !is_no_error(text),
            _ => false,
        }
    }

    /// Whether a value says that the call succeeded, so that a message beside it is no error's.
    pub(crate) fn is_of_success(self, value: Scalar<'_>) -> bool {
        matches!((self, value), (Self::Said, Scalar::Str(text)) if text.eq_ignore_ascii_case("success"))
    }

    /// Which of two signs tells more of what went wrong.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Said | Self::ListedCode => 2,
            Self::Returned | Self::State => 1,
            Self::Named | Self::Listed | Self::Insight => 0,
        }
    }
}

/// The path in the object that holds all of a request or an answer, as newer calls of EC2 have one:
/// `DeleteFlowLogsResponse.unsuccessful.item`.
pub(crate) fn without_wrapper(path: &str) -> &str {
    match path.split_once('.') {
        Some((object, rest))
            if ["Request", "Response", "Result"].iter().any(|end| object.ends_with(end)) =>
        {
            rest
        }
        _ => path,
    }
}

/// What a record says of the outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence<'a> {
    /// `errorCode`; empty if absent.
    pub(crate) code: &'a str,
    /// `errorMessage`; empty if absent.
    pub(crate) message: &'a str,
    /// What a [`Sign`] of failure says.
    pub(crate) failed: Option<&'a str>,
    /// Whether the answer says that the call succeeded.
    pub(crate) has_succeeded: bool,
    /// `insightDetails.errorCode`; empty if absent.
    pub(crate) insight: &'a str,
    /// Whether the record is of one call.
    pub(crate) is_call: bool,
}

impl<'a> Evidence<'a> {
    /// The outcome, None if the record says nothing of one; and the name of what went wrong, which is
    /// there for all outcomes but success.
    pub(crate) fn outcome(&self) -> (Option<Outcome>, &'a str) {
        let Self { code, message, failed, has_succeeded, insight, is_call } = *self;
        let error = |code: &str, told| (Some(Outcome::of_error(code, message)), told);
        if !is_no_error(code) {
            return error(code, code);
        }
        match failed {
            Some(said) if !message.is_empty() => return error(said, message),
            Some(said) => return error(said, said),
            None if !message.is_empty() && !has_succeeded => return error("", message),
            None => {}
        }
        if !insight.is_empty() {
            return error(insight, insight);
        }
        (is_call.then_some(Outcome::Success), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of real records, and of AWS's lists of errors.
    #[test]
    fn access_is_denied_by_many_names() {
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "Client.AccessDenied",
            "Client.UnauthorizedOperation",
            "UnauthorizedOperation",
            "Server.UnauthorizedOperation",
            "Client.AuthFailure",
            "KMSAccessDeniedException",
            "KMS.AccessDeniedException",
            "EC2AccessDeniedException",
            "EFSMountFailureAccessDenied",
            "S3AccessDenied",
            "VpceAccessDenied",
            "Unauthorized",
            "UnauthorizedException",
            "UnauthorizedAccess",
            "UnAuthorizedAccess",
            "NotAuthorizedException",
            "NotAuthorized",
            "AuthorizationError",
            "AuthorizationErrorException",
            "AUTHORIZATION_FAILURE",
            "Forbidden",
            "ForbiddenException",
            "PermissionDeniedException",
            "ACCESS_DENIED",
            "InsufficientPermissions",
            "InsufficientPrivilegesException",
            "ExplicitDeny",
            "403",
        ] {
            assert_eq!(Outcome::of_error(code, ""), Outcome::Denied, "{code}");
        }
        for code in [
            "ThrottlingException",
            "NoSuchBucket",
            "Client.InvalidInstanceID.NotFound",
            "Client.DryRunOperation",
            "ExpiredToken",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "OptInRequired",
            "OperationNotPermitted",
            "Blocked",
            "404",
            "InternalFailure",
        ] {
            assert_eq!(Outcome::of_error(code, ""), Outcome::Failure, "{code}");
        }
    }

    #[test]
    fn a_message_denies_whatever_the_code_is() {
        for message in [
            "User: arn:aws:iam::1:user/bert is not authorized to perform: iam:PassRole on resource: x",
            "API: iam:CreateRole You are not authorized to perform this operation.",
            "… with an explicit deny in a service control policy",
            "Access Denied",
        ] {
            assert_eq!(Outcome::of_error("ValidationError", message), Outcome::Denied, "{message}");
        }
        for message in ["Rate exceeded", "The specified bucket does not exist", "denied: no"] {
            assert_eq!(Outcome::of_error("ValidationError", message), Outcome::Failure);
        }
    }

    #[test]
    fn signs_are_where_aws_writes_them() {
        for (path, expected) in [
            ("responseElements.ConsoleLogin", Some(Sign::Said)),
            ("responseElements.CheckMfa", Some(Sign::Said)),
            ("serviceEventDetails.CredentialVerification", Some(Sign::Said)),
            ("responseElements.ExternalIdPDirectoryLogin", Some(Sign::Named)),
            ("responseElements._return", Some(Sign::Returned)),
            ("responseElements.ModifyVpcEndpointResponse.return", Some(Sign::Returned)),
            ("responseElements.success", Some(Sign::Returned)),
            ("serviceEventDetails.createManagedAccountStatus.state", Some(Sign::State)),
            ("responseElements.failedEntryCount", Some(Sign::Listed)),
            ("responseElements.failedEntries.errorCode", Some(Sign::ListedCode)),
            ("responseElements.unprocessedAccounts.accountId", Some(Sign::Listed)),
            ("responseElements.failures.reason", Some(Sign::ListedCode)),
            (
                "responseElements.DeleteFlowLogsResponse.unsuccessful.item.error.code",
                Some(Sign::ListedCode),
            ),
            ("responseElements.DeleteResult.errors.key", Some(Sign::Listed)),
            ("responseElements.instancesSet.items.instanceState.name", None),
            ("requestParameters.errors", None),
            ("insightDetails.errorCode", Some(Sign::Insight)),
        ] {
            assert_eq!(Sign::at(path), expected, "{path}");
        }
    }

    #[track_caller]
    fn check(evidence: Evidence<'_>, expected: Option<Outcome>, error: &str) {
        assert_eq!(evidence.outcome(), (expected, error), "{evidence:?}");
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        let call = Evidence { is_call: true, ..Evidence::default() };
        check(call, Some(Outcome::Success), "");
        for code in ["", "success", "Success", " - ", "OK", "null"] {
            check(Evidence { code, ..call }, Some(Outcome::Success), "");
        }
        check(Evidence { code: "X", ..call }, Some(Outcome::Failure), "X");
        let failed = Evidence { failed: Some("Failure"), ..call };
        check(failed, Some(Outcome::Failure), "Failure");
        let message = "Failed authentication";
        check(Evidence { message, ..failed }, Some(Outcome::Failure), message);
        check(Evidence { message, code: "X", ..failed }, Some(Outcome::Failure), "X");
        check(Evidence { message, ..call }, Some(Outcome::Failure), message);
        check(Evidence { message, has_succeeded: true, ..call }, Some(Outcome::Success), "");
        check(
            Evidence { failed: Some("AccessDenied"), ..call },
            Some(Outcome::Denied),
            "AccessDenied",
        );
        let insight = Evidence { insight: "Client.UnauthorizedOperation", ..Evidence::default() };
        check(insight, Some(Outcome::Denied), "Client.UnauthorizedOperation");
        check(Evidence::default(), None, "");
    }
}
