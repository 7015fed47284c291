//! Bounds of a query.

/// Bytes of a query's text; far more than a person types.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Nesting of a query. The tree is walked recursively; 64 levels are more than a person can read.
pub(crate) const QUERY_DEPTH_MAX: usize = 64;

/// Conditions in one query.
pub(crate) const QUERY_TERMS_MAX: usize = 1_024;
