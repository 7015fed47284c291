//! What was found, as CSV, JSON lines or Parquet.

pub mod csv;
pub mod json;
pub mod page;
pub mod parquet;
