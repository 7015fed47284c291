//! Bounds of a table, each with its unit and its reason.

/// Columns of a table. Lake has 34; a place has nine bits for one.
pub const COLUMNS_MAX: usize = 511;

/// Bytes of a row's cells together. A record may have as many.
pub const ROW_BYTES_MAX: usize = 16 << 20;

/// Nesting of a column: Lake's deepest, `userIdentity.sessionContext.webIdFederationData.attributes`, has
/// five levels in Parquet.
pub(crate) const NESTING_MAX: usize = 24;

// Of a Parquet file.

/// Bytes of the footer: a thousand row groups of sixty columns take some 10 MB.
pub(crate) const FOOTER_BYTES_MAX: u64 = 16 << 20;

/// Structures in the footer, of which some take 600 bytes of memory.
pub(crate) const FOOTER_STRUCTS_MAX: usize = 400_000;

/// Elements of a schema.
pub(crate) const SCHEMA_ELEMENTS_MAX: usize = 4_096;

/// Bytes of a page's header, which can have the least and the greatest value of the page.
pub(crate) const PAGE_HEADER_BYTES_MAX: usize = 1 << 20;

/// Rows that are decoded together. Each column holds the values of so many, which in one encoding are
/// as long as a page each.
pub(crate) const BATCH_ROWS: usize = 16;

/// Bytes of memory that a decoded value and its levels take, at most, apart from its text.
pub(crate) const VALUE_BYTES: u64 = 40;

/// Rows of a file. As many records of a file are read.
pub(crate) const ROWS_MAX: u64 = 1_000_000;
