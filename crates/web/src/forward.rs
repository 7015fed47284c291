//! Passes one request on to the daemon's socket, and its answer back as it comes.

use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderName, Request};
use axum::response::Response;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use wire::{ApiError, ErrorKind};

/// The headers of a request that mean something to the daemon. The token is not among them, nor what a
/// browser says of itself, which was looked at before.
const PASSED: [HeaderName; 3] = [ACCEPT, CONTENT_TYPE, HeaderName::from_static("last-event-id")];

/// Headers of an answer that are of its connection, and not of itself.
const OF_CONNECTION: [HeaderName; 3] =
    [CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")];

/// Asks over a connection of its own, which ends when whoever asks hangs up: the daemon then ends what
/// it does for them.
pub(crate) async fn forward(
    socket: &Path,
    request: &Parts,
    body: Vec<u8>,
) -> Result<Response, ApiError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let message = format!("no daemon can be reached at {}: {error}", socket.display());
        ApiError::new(ErrorKind::Unavailable, message)
    })?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // Its error is also the answer's.
    tokio::spawn(connection);
    let answer =
        sender.send_request(asked(request, body)?).await.map_err(|error| broken(&error))?;
    let (mut head, body) = answer.into_parts();
    for name in OF_CONNECTION {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Body::new(body)))
}

fn asked(request: &Parts, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ApiError> {
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked =
        Request::builder().method(request.method.clone()).uri(path).header(HOST, "localhost");
    for name in PASSED {
        if let Some(value) = request.headers.get(&name) {
            asked = asked.header(name, value);
        }
    }
    let bad = |error: axum::http::Error| ApiError::new(ErrorKind::BadRequest, error.to_string());
    asked.body(Full::new(body.into())).map_err(bad)
}

fn broken(error: &hyper::Error) -> ApiError {
    ApiError::new(ErrorKind::Unavailable, format!("the daemon does not answer: {error}"))
}
