//! What files of the user's say of values in events: where an address is and whose it is (databases in
//! MaxMind's format), which of AWS's services have it (`ip-ranges.json`), and which lists of indicators
//! have a value.
//!
//! Files are read into memory, within bounds, and never mapped: one that is replaced in place is another
//! file for the next look, and no fault of this one. A bad file, or a bad line of a list, costs itself,
//! and is told. This crate knows no events and no queries: it is asked of texts.

#![warn(missing_docs, unreachable_pub)]

mod enrichment;
mod field;
mod file;
mod geo;
pub mod limits;
mod lists;
mod networks;
mod ranges;
#[cfg(test)]
mod tests;

pub use self::enrichment::{Enrichment, Missing, Sources};
pub use self::field::{Field, Kind};
pub use self::file::Problem;
