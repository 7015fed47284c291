//! Writes answers and errors as JSON.

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::warn;

use wire::{ApiError, ErrorBody, ErrorKind, WARNINGS_HEADER, warnings_to_header};

/// The result of a handler.
pub(crate) type Answer = Result<Response, Refusal>;

/// An API error as an HTTP response.
pub(crate) struct Refusal(pub ApiError);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

/// Serializes an answer as JSON; a failure is [`ErrorKind::Internal`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| {
        ApiError::new(ErrorKind::Internal, format!("the answer cannot be written: {error}"))
    })
}

pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    Ok(with_json(status, encode(value)?))
}

pub(crate) fn with_json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Tells in the head of an answer what the body, a stream, does not.
pub(crate) fn warn_in_head(response: &mut Response, warnings: &[String]) {
    let told = warnings_to_header(warnings).and_then(|told| HeaderValue::try_from(told).ok());
    if let Some(told) = told {
        response.headers_mut().insert(HeaderName::from_static(WARNINGS_HEADER), told);
    }
}

/// Has a browser take an answer for what its content type says, and keep it from pages of other origins.
pub fn harden(response: &mut Response) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let kind = error.kind;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or_default();
        if status.is_server_error() {
            warn!(status = status.as_u16(), %error, "request failed");
        }
        // An `ErrorBody` is strings and numbers: it can always be written.
        let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
        let mut response = with_json(status, body);
        if kind == ErrorKind::Busy {
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
        }
        response
    }
}
