//! Bounds of a query.

/// Bytes of a query's text; far more than a person types.
pub const QUERY_BYTES_MAX: usize = 64 << 10;

/// Nesting of a query. The tree is walked recursively; 64 levels are more than a person can read.
pub(crate) const QUERY_DEPTH_MAX: usize = 64;

/// Conditions in one query.
pub(crate) const QUERY_TERMS_MAX: usize = 1_024;

/// Stages of one query; each can take a walk over all rows.
pub(crate) const STAGES_MAX: usize = 64;

/// Functions of `stats`, and fields that one stage groups, sorts or compares by: each is work, and
/// memory, for every event. A table that people read has a dozen.
pub(crate) const KEYS_MAX: usize = 64;

/// Columns that one `fields` can choose: a row repeats a record's values in each.
pub(crate) const COLUMNS_MAX: usize = 128;
