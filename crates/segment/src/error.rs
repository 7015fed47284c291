//! Turns an error of the index into an error of the API.

use std::path::Path;

use wire::{ApiError, ErrorKind};

use crate::IndexError;
use crate::directory::SEGMENTS;

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        // What came from no place that knows its segment is of the disk all the same.
        let (error, _) = error.of_segment(Path::new(SEGMENTS));
        let kind = match error {
            IndexError::Damaged { .. } => ErrorKind::Damaged,
            IndexError::Io { .. } | IndexError::Cut => ErrorKind::Io,
            IndexError::TooManyGroups { .. } | IndexError::TooManySorted { .. } => {
                ErrorKind::BadRequest
            }
            _ => ErrorKind::Internal,
        };
        let suggestion = match error {
            IndexError::TooManyGroups { .. } => {
                Some("a shorter time range, more conditions, or keys with fewer values")
            }
            IndexError::TooManySorted { .. } => {
                Some("a limit, more conditions, or the order of time, which needs no memory")
            }
            _ => None,
        };
        let suggestion = suggestion.map(str::to_owned);
        Self { suggestion, ..Self::new(kind, error.to_string()) }
    }
}
