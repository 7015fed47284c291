//! Errors as a person reads them: one sentence, and what helps.

use datafusion::common::DataFusionError;
use thiserror::Error;

use wire::{ApiError, ErrorKind};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The statement cannot be understood, or may not be asked.
    #[error("{0}")]
    Statement(String),
    /// A bound was reached: time, memory, disk or rows.
    #[error("{0}")]
    Bound(String),
    /// The index, or something below it, failed.
    #[error("{0}")]
    Failed(String),
}

/// An error of the index within DataFusion.
pub(crate) fn failed(error: ApiError) -> DataFusionError {
    DataFusionError::External(Box::new(OfIndex(error)))
}

#[derive(Debug, Error)]
#[error("{0}")]
struct OfIndex(ApiError);

impl SqlError {
    /// Says what DataFusion says, without its wrapping.
    pub(crate) fn of(error: &DataFusionError) -> Self {
        let root = error.find_root();
        if let DataFusionError::External(inner) = root {
            let text = inner.to_string();
            return match inner.downcast_ref::<OfIndex>() {
                Some(OfIndex(error)) if error.kind == ErrorKind::Timeout => {
                    Self::Bound(TIMEOUT.to_owned())
                }
                _ => Self::Failed(text),
            };
        }
        let text = root.strip_backtrace();
        match root {
            _ if text.contains(SPILLED) => Self::Bound(SPILLED_TOO_MUCH.to_owned()),
            DataFusionError::ResourcesExhausted(_) => {
                let whose = text.split_whitespace().skip_while(|word| *word != "for").nth(1);
                Self::Bound(format!(
                    "the query needs more memory or disk than it may have, for {}; add conditions, ask for \
                     fewer columns, or give it more (--memory and --spill; served, sql.memory_bytes_max and \
                     sql.disk_bytes_max)",
                    whose.unwrap_or("its rows")
                ))
            }
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::Collection(_) => Self::Statement(first_lines(&text)),
            DataFusionError::Execution(_) | DataFusionError::ArrowError(..) => {
                Self::Statement(first_lines(&text))
            }
            _ => Self::Failed(first_lines(&text)),
        }
    }
}

/// How DataFusion says that the disk that a query may have is full.
const SPILLED: &str = "The used disk space during the spilling process";
const SPILLED_TOO_MUCH: &str = "the query writes more to disk than it may; add conditions, ask for fewer \
                                columns, or give it more (--memory and --spill; served, \
                                sql.memory_bytes_max and sql.disk_bytes_max)";

/// The query took too long.
pub(crate) const TIMEOUT: &str = "the query reached its deadline; ask for a shorter time range, or give it more \
                                  time (--timeout; served, sql.timeout_s_max)";

/// Lines of an error that are told.
const LINES_MAX: usize = 4;

fn first_lines(text: &str) -> String {
    let prefixes =
        ["Error during planning: ", "SQL error: ", "Execution error: ", "Schema error: "];
    let text = prefixes.iter().fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim().is_empty()).take(LINES_MAX).collect();
    lines.join(" ").trim_end_matches('.').replace(".; ", ". ")
}
