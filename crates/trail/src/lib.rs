//! From bytes to the meaning of a CloudTrail record: splitting, repair, parsing, identity, time,
//! words.
//!
//! The crate never opens a file, never starts a thread, and reads the clock in
//! [`time::Micros::now`] only. Start at [`split::Pieces`], which finds the records in a file's
//! bytes, and at [`parse::Parser`], which makes a [`flat::Event`] of each. [`columns::COLUMNS`]
//! lists the fields that the index keeps in columns of their own.

#![warn(missing_docs, unreachable_pub)]

pub mod cell;
pub mod client;
pub mod columns;
pub mod content;
pub mod flags;
pub mod flat;
pub mod identity;
mod known;
pub mod layout;
pub mod limits;
pub mod names;
pub mod network;
pub mod outcome;
pub mod parse;
pub mod paths;
mod places;
mod repair;
pub mod rows;
pub mod seeded;
pub mod split;
mod target;
pub mod time;
mod twice;
pub mod utf16;
pub mod words;
