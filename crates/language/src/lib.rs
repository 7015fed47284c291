//! The query language: text to a tree, and back.

#![warn(missing_docs, unreachable_pub)]

pub mod ast;
pub mod check;
pub mod limits;
pub mod parameters;
pub mod parse;
pub mod syntax;
pub mod time;
