//! Tests on the names of things, which records have as they are or at the end of an ARN.

use crate::form::{AnyCase, AnyOf, Form};
use crate::value_clauses::ValueTest;

/// Of a secret's ARN, what AWS puts behind its name: a hyphen and six letters.
const SECRET_ENDING: usize = 7;

/// A value is the name of a thing, or its ARN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    OneOf(AnyOf),
    AnyCase(AnyCase),
    Wildcard(Form),
}

impl Named {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::OneOf(names) => names.is_met_by(name),
            Self::AnyCase(form) => form.is_met_by(name),
            Self::Wildcard(form) => form.is_met_by(name),
        }
    }
}

impl ValueTest for Named {
    fn is_met_by(&self, value: &str) -> bool {
        self.is(value) || names_in(value).any(|name| self.is(name))
    }

    fn steps(&self) -> usize {
        let of_one = match self {
            Self::OneOf(names) => names.steps(),
            Self::AnyCase(form) => form.steps(),
            Self::Wildcard(form) => form.steps(),
        };
        // Of each of its names, of which an ARN has a few.
        8 * of_one
    }
}

/// The names of a thing in its ARN: behind the account the parts between `/` and `:`, but the first of
/// several, which says what it is; and what is behind each of them.
fn names_in(value: &str) -> impl Iterator<Item = &str> {
    let is_arn = value.starts_with("arn:");
    let resource = value.splitn(6, ':').nth(5).filter(|_| is_arn).unwrap_or_default();
    let is_end = |c: char| c == ':' || c == '/';
    let part = move |start: usize| {
        let rest = &resource[start..];
        &rest[..rest.find(is_end).unwrap_or(rest.len())]
    };
    let starts = resource.match_indices(is_end).map(|(at, _)| at + 1);
    let of_parts = starts.flat_map(move |start| [&resource[start..], part(start)]);
    let cut = resource.strip_prefix("secret:").and_then(|name| {
        let at = name.len().checked_sub(SECRET_ENDING)?;
        name.get(at..).filter(|end| end.starts_with('-')).map(|_| &name[..at])
    });
    std::iter::once(resource).filter(|resource| !resource.is_empty()).chain(of_parts).chain(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_the_names_of_its_thing() {
        let names = |arn: &'static str| names_in(arn).collect::<Vec<_>>();
        assert_eq!(names("arn:aws:iam::aws:policy/Admin"), ["policy/Admin", "Admin", "Admin"]);
        assert_eq!(
            names("arn:aws:lambda:eu-west-1:1:function:f:PROD"),
            ["function:f:PROD", "f:PROD", "f", "PROD", "PROD"]
        );
        assert_eq!(names("arn:aws:s3:::bucket"), ["bucket"]);
        assert!(
            names("arn:aws:secretsmanager:eu-west-1:1:secret:db/main-AbCdEf").contains(&"db/main")
        );
        assert!(names("policy/Admin").is_empty() && names("arn:aws").is_empty());
        let named = Named::OneOf(AnyOf::new(["Admin"].into_iter()));
        assert!(named.is_met_by("Admin") && named.is_met_by("arn:aws:iam::aws:policy/x/Admin"));
        assert!(!named.is_met_by("policy/Admin") && !named.is_met_by("arn:aws:iam::1:policy/Adm"));
    }
}
