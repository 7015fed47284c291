//! The query language: text to a tree, and back.
//!
//! The crate never knows which fields there are, and it reads no index: what runs a query gives its
//! tree a meaning. Start at [`parse::parse`], which turns text into an [`ast::Query`], and at
//! [`ast::Query::checked`], which checks the order of its stages. [`time::parse_time`] reads the
//! times that people type.

#![warn(missing_docs, unreachable_pub)]

pub mod ast;
pub mod check;
pub mod limits;
pub mod parameters;
pub mod parse;
pub mod syntax;
pub mod time;
