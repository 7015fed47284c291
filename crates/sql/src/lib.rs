//! SQL over the index, as CloudTrail Lake spoke it.
#![warn(missing_docs, unreachable_pub)]

mod cli;
mod config;
mod described;
mod error;
mod functions;
mod json;
mod leaves;
mod log;
mod names;
mod out;
mod pool;
mod postgres;
mod push;
mod read;
mod rewrite;
mod scan;
mod schema;
mod serve;
mod session;
mod table;
mod tables;
mod values;

pub use self::cli::run_process;
pub use self::error::SqlError;
pub use self::session::{Answer, Database, Options, STACK_BYTES, STATEMENT_BYTES_MAX};

#[cfg(test)]
mod tests;
