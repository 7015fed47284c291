//! The query language, and running it: text to a tree that knows no engine, the tree to a query on
//! the index, its answer.
//!
//! `ast`, `parse` and `time` are pure. `fields` gives names a meaning, `form` tests values, `plan` and
//! `run` know the index.

pub mod ast;
pub mod bins;
pub mod check;
pub mod fields;
pub mod form;
pub mod parameters;
pub mod parse;
pub mod plan;
pub mod run;
mod syntax;
pub mod time;
