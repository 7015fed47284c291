//! The paths that AWS documents or that records of real archives have (`tests/data`, `known_paths.txt`).
//!
//! A path that is not among them is a field like any other. But where there are more fields than the
//! index has columns for, these have theirs first: somebody who makes up names, however many, cannot
//! take them.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::paths::SEPARATOR;

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| PATHS.lines().collect());

const PATHS: &str = include_str!("known_paths.txt");

/// Fields whose parts each service names, and no list of AWS has.
const OPEN: [&str; 7] = [
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "serviceEventDetails",
    "eventContext",
    "edgeDeviceDetails",
    "insightDetails",
];

/// Every path that AWS documents or that real records have, with dots between its parts.
pub fn known_paths<'p>() -> impl Iterator<Item = &'p str> {
    PATHS.lines().map(|path| path as &'p str)
}

/// Whether a record of AWS's can have a value at a path: it is a known one, or lies below a field whose
/// parts each service names.
pub fn is_documented(path: &str) -> bool {
    let is_below = |open: &&str| {
        path.strip_prefix(*open).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
    };
    KNOWN.contains(path) || OPEN.iter().any(is_below)
}

/// Whether a path, its parts separated by [`SEPARATOR`], is one that real records have.
pub fn is_known(path: &str) -> bool {
    KNOWN.contains(path.replace(SEPARATOR, ".").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_paths_are_known_and_made_up_ones_are_not() {
        assert!(is_known("requestParameters\u{1}bucketName"));
        assert!(is_known("userIdentity\u{1}onBehalfOf\u{1}userId"));
        assert!(!is_known("requestParameters"));
        assert!(!is_known("requestParameters\u{1}k1x1"));
        assert!(!is_known(""));
        assert!(is_documented("tlsDetails.tlsVersion") && is_documented("requestParameters.k1x1"));
        assert!(!is_documented("tlsDetails.k1x1") && !is_documented("requestParameters."));
        assert!(!is_documented("requestParametersX.y") && !is_documented(""));
    }
}
