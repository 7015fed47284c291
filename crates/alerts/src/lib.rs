//! Alerts: what detection rules find as an archive grows, kept beside the index.
//!
//! [`Rules`] are those of `detect`, with what they are known by. [`Alerts::pass`] asks them about what
//! came in: the decisions that this touches are made anew over the whole archive, and what is another
//! than before is a change of an alert. So an event that comes late, twice, or again after a crash leads
//! to the same alerts as one that comes in time. The crate knows no index: it asks whoever answers
//! searches.
//!
//! In reading order: `pass` asks, `store` keeps, `file` is what is on disk, `seen` is how far rules have
//! looked, `list` answers.

#![warn(missing_docs, unreachable_pub)]

mod file;
pub mod limits;
mod list;
mod pass;
mod seen;
mod store;

pub use self::pass::{Pass, Rules};
pub use self::seen::Seen;
pub use self::store::Alerts;
