//! The paths that AWS documents or that records of real archives have (`tests/data`, `known_paths.txt`).
//!
//! A path that is not among them is a field like any other. But where there are more fields than the
//! index has columns for, these have theirs first: somebody who makes up names, however many, cannot
//! take them.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::paths::SEPARATOR;

static KNOWN: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("known_paths.txt").lines().collect());

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
    }
}
