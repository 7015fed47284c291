//! The query language: text to a tree that knows no engine, and the times a person types.

pub mod ast;
pub mod parse;
mod syntax;
pub mod time;
