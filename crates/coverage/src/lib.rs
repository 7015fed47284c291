//! What an archive can know. What was not recorded cannot be found, and "no events" reads as "nothing
//! happened"; so this crate says which hours, accounts, regions and data events the archive covers, and
//! what a search could miss.
//!
//! It is pure: it asks searches of whoever has an index ([`look::Asks`]), makes a [`picture::Picture`]
//! of one commit, answers `GET /v1/coverage` from it ([`answer::answer`]), and tells of a query what the
//! picture lacks of it ([`notes::notes`]). It knows no index, no files and no threads.
//!
//! Strangers choose what records hold: `limits` bounds what a picture takes.

#![warn(missing_docs, unreachable_pub)]

pub mod answer;
pub mod asked;
mod gaps;
mod kinds;
mod limits;
pub mod look;
pub mod notes;
pub mod picture;
mod recordings;
mod selectors;
mod stops;
#[cfg(test)]
mod testing;
pub mod trails;
