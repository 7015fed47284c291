//! From bytes to what a CloudTrail record means.

#![warn(missing_docs, unreachable_pub)]

pub mod cell;
pub mod columns;
pub mod content;
pub mod flags;
pub mod flat;
pub mod identity;
pub mod layout;
pub mod limits;
pub mod parse;
pub mod paths;
mod repair;
pub mod split;
pub mod time;
pub mod words;
