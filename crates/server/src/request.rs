//! Parses a request from its body or its query string, and says what is wrong with it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::Uri;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use wire::limits::REQUEST_BODY_BYTES_MAX;
use wire::{ApiError, ErrorKind};

/// The query string or the body of a path that takes no keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoKeys {}

/// Bytes of a body that is too large that are still read, and thrown away: a client that is answered
/// while it writes sees its connection reset, and never the answer.
const DRAINED_BYTES_MAX: usize = 16 << 20;

/// Parses a JSON body. Ignores the declared type, because `curl -d` declares a form.
pub async fn from_body<T: DeserializeOwned>(body: Body, limit: Duration) -> Result<T, ApiError> {
    from_json(&arrived(body, limit).await?)
}

/// As [`from_body`], and an empty body means `{}`.
pub async fn from_optional_body<T: DeserializeOwned>(
    body: Body,
    limit: Duration,
) -> Result<T, ApiError> {
    let body = arrived(body, limit).await?;
    from_json(if body.trim_ascii().is_empty() { b"{}" } else { &body })
}

/// Reads a body; fails where it is too large, or takes longer than `limit` to arrive.
pub async fn arrived(body: Body, limit: Duration) -> Result<Vec<u8>, ApiError> {
    arrived_within(body, limit, REQUEST_BODY_BYTES_MAX).await
}

/// As [`arrived`], for a body of at most `bytes_max`.
pub async fn arrived_within(
    body: Body,
    limit: Duration,
    bytes_max: usize,
) -> Result<Vec<u8>, ApiError> {
    timeout(limit, read(body, bytes_max))
        .await
        .map_err(|_| bad_request(format!("the body did not arrive within {limit:?}")))?
}

async fn read(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut length = 0;
    let mut refused = None;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                let Some(refusal) = refusal(&error) else {
                    return Err(bad_request(format!("the body cannot be read: {error}")));
                };
                bytes = Vec::new();
                refused = Some(refusal);
                continue;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= bytes_max && refused.is_none() {
            bytes.extend_from_slice(&data);
        } else if length > DRAINED_BYTES_MAX {
            break;
        }
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    if length > bytes_max {
        let message = format!("the body is larger than {bytes_max} bytes");
        return Err(ApiError::new(ErrorKind::TooLarge, message));
    }
    Ok(bytes)
}

/// Our own refusal, wherever in the error's causes it is.
fn refusal(error: &axum::Error) -> Option<ApiError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<ApiError>() {
            return Some(refusal.clone());
        }
        cause = error.source();
    }
    None
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        bad_request(format!("the body is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| json_error(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| json_error(".", &error))?;
    Ok(value)
}

/// serde's messages name the allowed keys and values, the line and the column, but not always the
/// key at fault.
fn json_error(path: &str, error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    match error.classify() {
        Category::Data if path == "." || message.starts_with("unknown field") => {
            bad_request(message)
        }
        Category::Data => bad_request(format!("key '{path}': {message}")),
        _ => ApiError {
            suggestion: Some(r#"{"query":"*"}"#.into()),
            ..bad_request(format!("the body is not JSON: {message}"))
        },
    }
}

/// Parses the query string; an unknown key, a bad value, or bytes that are not UTF-8 are a
/// [`ErrorKind::BadRequest`].
pub fn from_query_string<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    // serde_urlencoded, behind `Query`, would put U+FFFD in place of bytes that are not UTF-8.
    String::from_utf8(percent_decode(uri.query().unwrap_or_default()))
        .map_err(|_| bad_request("the query string is not UTF-8 once its %XX are decoded"))?;
    match Query::try_from_uri(uri) {
        Ok(Query(value)) => Ok(value),
        Err(rejection) => {
            let message = rejection.body_text();
            let at_fault = message.strip_prefix("Failed to deserialize query string: ");
            Err(bad_request(format!("query string: {}", at_fault.unwrap_or(&message))))
        }
    }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            decoded.push(high << 4 | low);
            rest = &rest[3..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

pub(crate) fn check_limit(limit: usize, max: usize) -> Result<(), ApiError> {
    check_bound("limit", Some(limit), max)
}

/// Refuses the value of a key that is more than there may be.
pub(crate) fn check_bound(key: &str, value: Option<usize>, max: usize) -> Result<(), ApiError> {
    match value {
        Some(value) if value > max => {
            Err(bad_request(format!("{key} {value} is more than {max}, the most there is")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, message)
}
