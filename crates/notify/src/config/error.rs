//! What can be wrong with a configuration, and where it was said.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The caller's mistake: each names the place and what would work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    /// Not TOML. Line and column count from 1, the column in characters.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, message: String },

    /// A key or section that does not exist; `kind` says which.
    #[error("{origin}: unknown {kind} `{name}`; {help}")]
    Unknown { origin: Origin, kind: &'static str, name: String, help: String },

    /// A key that must be there.
    #[error("{origin}: [[{section}]] needs {what}")]
    Missing { origin: Origin, section: String, what: String },

    /// A value that its key does not take, or that does not go with another key's.
    #[error("{origin}: `{key} = {value}` is refused: {reason}")]
    Value { origin: Origin, key: String, value: String, reason: String },
}

/// Where a value was given. The line counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub path: PathBuf,
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.path.display(), self.line)
    }
}
