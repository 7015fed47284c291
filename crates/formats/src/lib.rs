//! Search results as CSV, JSON lines or Parquet.
//!
//! The crate never knows where the events come from, or where the bytes go. Start at
//! [`page::Exporter`], which turns pages of results into bytes; [`csv::CsvWriter`] and
//! [`json::one_line`] are for the command line. [`sentence::sentence`] tells one event in words.
//! [`terminal`] decides what a terminal may get; [`bytes`] reads sizes such as `128 MiB`, for configurations.

#![warn(missing_docs, unreachable_pub)]

pub mod bytes;
pub mod csv;
pub mod json;
pub mod page;
pub mod parquet;
pub mod record;
pub mod sentence;
pub mod terminal;
