//! What measures: the archives to measure on, the questions, their latencies, what is kept and drawn
//! of it all.

#![warn(missing_docs, unreachable_pub)]

pub mod generate;
pub mod latency;
pub mod plot;
pub mod questions;
pub mod report;
pub mod sample;
pub mod usage;
