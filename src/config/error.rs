//! What can be wrong with a configuration, and where it was said.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::MemorySum;
use super::memory::mib;

/// The caller's mistake: each names the place, the key, the value, and what would work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    /// Not TOML. Line and column count from 1, the column in characters.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, message: String },

    /// A key or section of the file that does not exist; `kind` says which.
    #[error("{origin}: unknown {kind} `{name}`; {help}")]
    Unknown { origin: Origin, kind: &'static str, name: String, help: String },

    /// A variable with our prefix that sets nothing: most likely a slip.
    #[error("unknown environment variable {name}; {help}")]
    UnknownVariable { name: String, help: String },

    /// A value that its key does not take, or that does not go with another key's.
    #[error("{origin}: `{key} = {value}` is refused: {reason}")]
    Value { origin: Origin, key: &'static str, value: String, reason: String },

    #[error("cannot make `{key} = {value}` absolute")]
    Relative { key: &'static str, value: String, source: io::Error },

    /// More than the machine has; `total_ram` in bytes.
    #[error(
        "the configuration adds up to {} MiB of memory and the machine has {} MiB; lower {}\n{sum}",
        mib(sum.total()), total_ram >> 20, sum.keys().join(", ")
    )]
    Memory { sum: MemorySum, total_ram: u64 },
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The line counts from 1.
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(String),
    Flag(&'static str),
}

/// Where each key was last set, by its path.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<&'static str, Origin>);

impl Origins {
    pub(super) fn put(&mut self, key: &'static str, origin: Origin) {
        self.0.insert(key, origin);
    }

    pub(super) fn of(&self, key: &'static str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The other side of a rule between two keys, for the reason of a refusal.
    pub(super) fn setting(&self, key: &'static str, value: impl fmt::Display) -> String {
        format!("`{key} = {value}` ({})", self.of(key))
    }

    pub(super) fn refuse(&self, key: &'static str, value: String, reason: String) -> ConfigError {
        ConfigError::Value { origin: self.of(key), key, value, reason }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}
