//! How much of each kind of file is read.

/// A file with AWS's ranges; AWS's own has some 2 MB.
pub const RANGES_BYTES_MAX: usize = 32 << 20;

/// Networks in it; AWS's own has some 12,000.
pub const RANGES_MAX: usize = 200_000;

/// Memory that a network of AWS's takes, with its share of the table.
pub const RANGE_BYTES: usize = 96;

/// All lists of indicators, in bytes and in lines.
pub const LISTS_BYTES_MAX: usize = 32 << 20;

/// Lines of all lists together, comments among them.
pub const LINES_MAX: usize = 500_000;

/// Memory that an indicator takes beside its text, with its share of the table.
pub const INDICATOR_BYTES: usize = 96;

/// A longer line is no indicator: no key, ARN or address is as long.
pub const LINE_BYTES_MAX: usize = 2_048;

/// Files of one kind; a file of no byte costs a look, too.
pub const FILES_MAX: usize = 64;

/// Bad lines told of a file; the others are counted.
pub const PROBLEMS_MAX: usize = 20;
