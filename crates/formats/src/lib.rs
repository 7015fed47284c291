//! What was found, as CSV, JSON lines or Parquet.

#![warn(missing_docs, unreachable_pub)]

pub mod csv;
pub mod json;
pub mod page;
pub mod parquet;
