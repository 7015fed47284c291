//! Things by their paths in a bag. How many there are is bounded, and so are the bytes of their paths: both
//! are a stranger's choice.

use std::collections::BTreeMap;
use std::io;

use crate::limits::{FILES_MAX, PATHS_BYTES_MAX};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ByPath<T> {
    map: BTreeMap<String, T>,
    bytes: usize,
}

/// There is one thing too many.
#[derive(Debug, thiserror::Error)]
#[error("it has more than {FILES_MAX} files, or more than {PATHS_BYTES_MAX} bytes of their names")]
pub(crate) struct TooMany;

impl From<TooMany> for io::Error {
    fn from(error: TooMany) -> Self {
        Self::other(error)
    }
}

impl<T> ByPath<T> {
    pub(crate) fn new() -> Self {
        Self { map: BTreeMap::new(), bytes: 0 }
    }

    /// Adds a path, or replaces what it had. Returns whether it is new.
    pub(crate) fn insert(&mut self, path: String, value: T) -> Result<bool, TooMany> {
        let bytes = path.len();
        if self.map.len() >= FILES_MAX || self.bytes + bytes > PATHS_BYTES_MAX {
            return Err(TooMany);
        }
        let is_new = self.map.insert(path, value).is_none();
        self.bytes += if is_new { bytes } else { 0 };
        Ok(is_new)
    }

    /// What there is.
    pub(crate) fn map(&self) -> &BTreeMap<String, T> {
        &self.map
    }

    /// The same, taken out.
    pub(crate) fn into_map(self) -> BTreeMap<String, T> {
        self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_paths_are_bounded() {
        let mut paths = ByPath::new();
        let long = |number: usize| {
            let number = number.to_string();
            "x".repeat((1 << 20) - number.len()) + &number
        };
        let most = PATHS_BYTES_MAX >> 20;
        for number in 0..most {
            assert!(paths.insert(long(number), ()).unwrap());
        }
        assert!(paths.insert(long(most), ()).is_err());
        assert_eq!(paths.map().len(), most);
    }
}
