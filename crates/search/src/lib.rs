//! The query language, and running it: text to a tree that knows no engine, the tree to a query on
//! the index, its answer.
//!
//! `ast`, `parse`, `check` and `time` are pure. `fields` gives names a meaning and `lower` conditions,
//! `form` tests values, `plan` and `run` know the index.

mod addresses;
pub mod ast;
pub mod bins;
pub mod check;
pub mod fields;
pub mod form;
pub mod lower;
pub mod meaning;
pub mod parameters;
pub mod parse;
pub mod plan;
pub mod run;
mod syntax;
pub mod time;
