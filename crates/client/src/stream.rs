//! Answers read as they arrive: exports and tails.

use std::collections::VecDeque;
use std::path::Path;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

use super::{Client, ClientError, HOST, connect, decode, percent_encode, runtime};
use wire::{ErrorBody, ExportRequest, Hit, TailRequest, WARNINGS_HEADER, warnings_of_header};

/// The body of an answer that is still arriving.
pub struct Streamed {
    runtime: Runtime,
    body: Incoming,
    /// The header `traildex-cursor`: where the next part begins; None if nothing follows.
    pub cursor: Option<String>,
    /// The header `traildex-warnings`: how the query was taken, and why events may be missing.
    pub warnings: Vec<String>,
}

impl Streamed {
    fn begin(socket: &Path, request: Request<Full<Bytes>>) -> Result<Self, ClientError> {
        let runtime = runtime()?;
        let response = runtime.block_on(async {
            let handshake = http1::handshake(TokioIo::new(connect(socket).await?)).await;
            let (mut sender, connection) = handshake.map_err(protocol)?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(protocol)
        })?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let cursor = header("traildex-cursor").map(str::to_owned);
        let warnings = header(WARNINGS_HEADER).map(warnings_of_header).unwrap_or_default();
        let body = response.into_body();
        if status == 200 {
            return Ok(Self { runtime, body, cursor, warnings });
        }
        let body = runtime.block_on(body.collect()).map_err(protocol)?.to_bytes();
        Err(decode::<()>((status, body)).expect_err("no other status is a success"))
    }

    /// Waits for the next bytes; None at the end. An answer that breaks off is an error.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.runtime.block_on(self.body.frame()) {
                None => return Ok(None),
                Some(Err(error)) => return Err(protocol(error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

fn protocol(error: hyper::Error) -> ClientError {
    ClientError::Protocol(error.into())
}

impl Client {
    /// Starts an export: `POST /v1/export`.
    pub fn export(&self, request: &ExportRequest) -> Result<Streamed, ClientError> {
        let body = serde_json::to_vec(request).map_err(|e| ClientError::Protocol(e.into()))?;
        let request = Request::post("/v1/export").header("host", HOST);
        let request = request.body(Full::new(body.into()));
        Streamed::begin(&self.socket, request.map_err(|e| ClientError::Protocol(e.into()))?)
    }

    /// Starts a stream of new events: `GET /v1/tail`.
    pub fn tail(&self, request: &TailRequest) -> Result<Tail, ClientError> {
        let mut path = format!("/v1/tail?q={}", percent_encode(&request.q));
        if let Some(cursor) = &request.cursor {
            path.push_str("&cursor=");
            path.push_str(&percent_encode(cursor));
        }
        let request = Request::get(path).header("host", HOST).body(Full::default());
        let request = request.map_err(|e| ClientError::Protocol(e.into()))?;
        let answer = Streamed::begin(&self.socket, request)?;
        let warnings = answer.warnings.clone();
        Ok(Tail { warnings, answer, unread: Vec::new(), pending: VecDeque::new() })
    }
}

/// New events as they enter the index.
pub struct Tail {
    /// How the query was taken, and why events may be missing.
    pub warnings: Vec<String>,
    answer: Streamed,
    /// The beginning of a message.
    unread: Vec<u8>,
    pending: VecDeque<Told>,
}

/// A message of the daemon: how far it has searched, and an event if one matches.
#[derive(Debug)]
pub struct Told {
    /// The cursor to go on from after a lost connection.
    pub cursor: String,
    /// The event; None for a message that reports progress only.
    pub hit: Option<Hit>,
}

impl Tail {
    /// Waits for the next message; None when the daemon ends the stream.
    pub fn told(&mut self) -> Result<Option<Told>, ClientError> {
        loop {
            if let Some(told) = self.pending.pop_front() {
                return Ok(Some(told));
            }
            let Some(bytes) = self.answer.chunk()? else { return Ok(None) };
            self.unread.extend(bytes);
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let message: Vec<u8> = self.unread.drain(..end + 2).collect();
                self.pending.extend(message_of(&message)?);
            }
        }
    }
}

/// A message of server-sent events, as the daemon writes them.
fn message_of(message: &[u8]) -> Result<Option<Told>, ClientError> {
    let text = String::from_utf8_lossy(message);
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    if field("event") == Some("error") {
        let body: ErrorBody = parsed(field("data").unwrap_or_default())?;
        return Err(body.error.into());
    }
    let Some(cursor) = field("id").map(str::to_owned) else { return Ok(None) };
    let hit = field("data").map(parsed).transpose()?;
    Ok(Some(Told { cursor, hit }))
}

fn parsed<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(|error| ClientError::Protocol(error.into()))
}
