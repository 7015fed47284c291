//! What measures: the archives to measure on.

pub mod generate;
