//! What a rule can never find, and why: fields and values that CloudTrail does not have.

use language::ast::{Comparison, Expr, FieldRef, PatternPiece, Test};
use trail::columns::ColumnId;
use trail::names::{SERVICE_ENDING, is_documented, is_service, known_paths};

use crate::rule::Rule;

/// What is doubtful in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The field.
    pub field: String,
    /// What is doubtful, in words.
    pub reason: String,
}

/// What CloudTrail does not have of what a rule asks. `has` says whether some event of an archive has a
/// field, or a field with a value, where there is an archive to ask.
pub fn check(rule: &Rule, has: &dyn Fn(&FieldRef, Option<&str>) -> Option<bool>) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if let Some(condition) = rule.kind.condition() {
        each_field(condition, &mut |field, test| doubts.extend(doubt(field, test, has)));
    }
    doubts.dedup();
    doubts
}

fn each_field(expr: &Expr, visit: &mut impl FnMut(&FieldRef, &Test)) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                each_field(part, visit);
            }
        }
        Expr::Not(inner) => each_field(inner, visit),
        Expr::Field { field, test } => visit(field, test),
        _ => {}
    }
}

fn doubt(
    field: &FieldRef,
    test: &Test,
    has: &dyn Fn(&FieldRef, Option<&str>) -> Option<bool>,
) -> Option<Doubt> {
    let of = |reason: String| Some(Doubt { field: field.name.clone(), reason });
    let is_named = field.name.is_empty() || !field.is_path;
    if !is_named && !is_field(&field.name) && has(field, None) != Some(true) {
        return of("CloudTrail's documentation has no such field, and no event has it".to_owned());
    }
    if let Test::Compared { comparison: Comparison::Equal | Comparison::Alike, other } = test
        && !is_field(&other.name)
    {
        return of(format!("it is compared with '{}', which no event has", other.name));
    }
    let text = plain_text(test)?;
    if has(field, Some(text)) == Some(true) {
        return None;
    }
    match field.name.as_str() {
        "eventSource" if !is_source(text) => of(format!("'{text}' is no service that traildex knows")),
        "errorCode" if text.eq_ignore_ascii_case("success") => {
            of("a call that succeeds has no errorCode".to_owned())
        }
        "userIdentity.type" if !IDENTITIES.iter().any(|known| known.eq_ignore_ascii_case(text)) => {
            of(format!("'{text}' is no type of identity"))
        }
        _ => None,
    }
}

/// As AWS documents them.
const IDENTITIES: [&str; 14] = [
    "Root",
    "IAMUser",
    "AssumedRole",
    "Role",
    "FederatedUser",
    "Directory",
    "AWSAccount",
    "AWSService",
    "IdentityCenterUser",
    "Unknown",
    "SAMLUser",
    "WebIdentityUser",
    "AssumedRoot",
    "AWSInternal",
];

fn is_field(path: &str) -> bool {
    let below = format!("{path}.");
    is_documented(path)
        || ColumnId::at_path(path).is_some()
        || path == "eventTime"
        || known_paths().any(|known| known.starts_with(&below))
        || is_documented(&format!("{below}x"))
}

fn is_source(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.strip_suffix(SERVICE_ENDING).is_some_and(is_service)
}

/// The whole value that is asked for, if one is.
fn plain_text(test: &Test) -> Option<&str> {
    match test {
        Test::Is(value) => Some(&value.text),
        Test::AnyCase(pattern) => match pattern.pieces() {
            [PatternPiece::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}
