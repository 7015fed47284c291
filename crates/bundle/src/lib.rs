//! Evidence bundles: a BagIt 1.0 bag (RFC 8493) of original files, of the events in them, and of what is
//! known of both. Written step by step ([`Stage`]), and checked without trust in who made it ([`check`]).
//!
//! The crate never knows the index, sockets, or what a trail is: who calls it brings files, lines and
//! reports, and reads packed files for it ([`Contents`]).
//!
//! A bag in the making lies in `NAME.partial`, and gets its own name when it is whole. What is there of it
//! is its state: a file that has its name in the bag is whole, so one that was interrupted goes on.

#![warn(missing_docs, unreachable_pub)]

mod check;
mod event;
mod events;
mod info;
mod limits;
mod manifest;
mod names;
mod packing;
mod paths;
mod problems;
mod report;
mod source;
mod spool;
mod stage;
mod unpacking;

pub use self::check::{Checked, check};
pub use self::event::{EventLine, Sought};
pub use self::events::{Contents, EventsChecked, Found, Said, There, check_events, find};
pub use self::names::{ARCHIVE, COVERAGE, EVENTS, KEYS, RECORDS, REPORT, VALIDATION, place_of};
pub use self::problems::{Problem, Problems};
pub use self::report::{About, BagRoot, Counts, FORMAT, Query, Reason, Reasons, Report, Tree};
pub use self::source::Bag;
pub use self::spool::Spool;
pub use self::stage::{Begun, Stage, StageError, Stored};

/// SHA-256 of a content.
pub type Hash = [u8; 32];
