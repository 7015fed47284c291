//! Bounds of alerts.

/// Alerts that are kept.
pub const ALERTS_MAX: usize = 50_000;

/// Alerts of one rule: whoever can make it find something again and again hides none of another rule.
pub const RULE_ALERTS_MAX: usize = 5_000;

/// Bytes of memory that they take, about.
pub const ALERTS_BYTES_MAX: usize = 64 << 20;

/// Changes that are kept for those who follow.
pub const CHANGES_MAX: usize = 50_000;

/// Changes that an answer has if the request does not say how many.
pub const CHANGES_LIMIT_DEFAULT: usize = 100;

/// Alerts that a list has if the request does not say how many.
pub const LIST_LIMIT_DEFAULT: usize = 100;

/// Bytes of a person's note.
pub const NOTE_BYTES_MAX: usize = 4_096;

/// Bytes of one of an alert's texts that is from records, or of its query.
pub(crate) const TEXT_BYTES_MAX: usize = 8 << 10;

/// Events that an alert names by their ids.
pub(crate) const IDS_MAX: usize = 100;

/// Changes that stand in one line of the file.
pub(crate) const LINE_CHANGES_MAX: usize = 100;

/// A smaller file is not worth making smaller.
pub(crate) const COMPACT_BYTES_MIN: u64 = 4 << 20;
