//! What can go wrong with the index, and how it is told.

use wire::{ApiError, ErrorKind};

use crate::IndexError;

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        let kind = match error {
            IndexError::Damaged { .. } => ErrorKind::Damaged,
            IndexError::TooManyGroups { .. } => ErrorKind::BadRequest,
            _ => ErrorKind::Internal,
        };
        let suggestion = matches!(kind, ErrorKind::BadRequest)
            .then(|| "a shorter time range, more conditions, or keys with fewer values".to_owned());
        Self { suggestion, ..Self::new(kind, error.to_string()) }
    }
}
