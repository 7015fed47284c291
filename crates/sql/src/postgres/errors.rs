//! Errors as PostgreSQL's clients know them: by their class.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::SqlError;
use crate::error::TIMEOUT;

/// An error of ours.
pub(super) fn told(error: &SqlError) -> PgWireError {
    let code = match error {
        SqlError::Statement(_) => "42601",
        SqlError::Bound(text) if text == TIMEOUT => "57014",
        SqlError::Bound(_) => "53400",
        SqlError::Failed(_) => "XX000",
    };
    refused(code, &error.to_string())
}

/// An error of this class.
pub(super) fn refused(code: &str, text: &str) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), text.to_owned());
    PgWireError::UserError(Box::new(info))
}
