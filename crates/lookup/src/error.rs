//! Errors in AWS's terms: its names, and its messages where they are known.

use wire::{ApiError, ErrorKind};

/// An error that AWS's clients understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl AwsError {
    /// Makes an error with status 400, which is the client's mistake.
    pub(crate) fn bad(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: 400, message: message.into() }
    }

    pub(crate) fn incomplete_signature(message: impl Into<String>) -> Self {
        Self::bad("IncompleteSignatureException", message)
    }

    pub(crate) fn invalid_signature(message: impl Into<String>) -> Self {
        Self::bad("InvalidSignatureException", message)
    }

    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::bad("SerializationException", message)
    }

    pub(crate) fn invalid_token() -> Self {
        Self::bad("InvalidNextTokenException", "Invalid token.")
    }

    pub(crate) fn unknown_operation(status: u16, message: impl Into<String>) -> Self {
        Self { status, ..Self::bad("UnknownOperationException", message) }
    }
}

/// The error of a search, or of a body that did not arrive. Clients try again after those that may pass.
impl From<ApiError> for AwsError {
    fn from(error: ApiError) -> Self {
        let (name, status) = match error.kind {
            ErrorKind::Busy => return Self::bad("ThrottlingException", "Rate exceeded"),
            ErrorKind::TooLarge => ("RequestEntityTooLargeException", 413),
            ErrorKind::BadRequest => ("RequestTimeoutException", 408),
            ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Io => {
                ("ServiceUnavailableException", 503)
            }
            _ => ("InternalFailure", 500),
        };
        Self { name, status, message: error.message }
    }
}
