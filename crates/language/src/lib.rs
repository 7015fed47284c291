//! The query language: text to a tree, and back.

pub mod ast;
pub mod check;
pub mod limits;
pub mod parameters;
pub mod parse;
pub mod syntax;
pub mod time;
