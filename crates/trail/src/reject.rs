//! A record that could not be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reject {
    /// Byte offset in the file, uncompressed, of the place that cannot be read.
    pub offset: u64,
    pub reason: String,
}
