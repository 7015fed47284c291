//! Benchmarks: archives to index, questions to ask, and what the answers cost.
//!
//! The crate never knows the index; it asks a daemon as any client does. Start at
//! [`generate::generate`], which writes an archive, at [`latency::measure`], which times a search,
//! and at [`report::Report`], which [`plot::growth`] draws.

#![warn(missing_docs, unreachable_pub)]

pub mod generate;
pub mod latency;
pub mod plot;
pub mod questions;
pub mod report;
pub mod sample;
pub mod usage;
