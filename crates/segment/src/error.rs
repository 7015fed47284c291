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
            IndexError::TooManyGroups { .. } => ErrorKind::BadRequest,
            _ => ErrorKind::Internal,
        };
        let suggestion = matches!(kind, ErrorKind::BadRequest)
            .then(|| "a shorter time range, more conditions, or keys with fewer values".to_owned());
        Self { suggestion, ..Self::new(kind, error.to_string()) }
    }
}
