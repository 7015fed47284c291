//! A blocking client of the daemon's socket, for the command line and the tests.
//!
//! The client never knows the index: it sends requests and reads answers, as `wire` defines them.
//! Start at [`Client`]; [`Streamed`] and [`Tail`] are answers that it reads as they arrive.
//!
//! A client opens one connection for each request: the socket is local, and a restart of the daemon
//! between two requests needs no special case. It sets no deadline, because the daemon bounds its
//! own searches. A [`Connection`] stays open, for measurements.

#![warn(missing_docs, unreachable_pub)]

mod stream;

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::sleep;

pub use self::stream::{Streamed, Tail, Told};

use wire::{
    AlertChanges, AlertChangesRequest, AlertState, AlertsChangeRequest, AlertsChangeResponse,
    AlertsRequest, AlertsResponse, ApiError, CoverageKey, CoverageRequest, CoverageResponse,
    Dimension, ErrorBody, ErrorKind, FieldsRequest, FieldsResponse, FilesRequest, FilesResponse,
    RebuildRequest, RebuildStatus, SavedRequest, SavedResponse, SavedSearch, SearchRequest,
    SearchResponse, Status, TraceRequest, TraceResponse, ValidateReport, ValuesRequest,
    ValuesResponse, VerifyStatus,
};

/// How often, and after what pause, a full queue of connections is tried again: for two seconds.
const CONNECT_TRIES: u32 = 100;
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// The host that requests are for: the socket is on this machine.
const HOST: &str = "localhost";

/// Between two questions to a daemon that does not answer yet.
const READY_PAUSE: Duration = Duration::from_millis(100);

/// Sends requests to one daemon, each over a connection of its own.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    /// How long a daemon that is starting is waited for.
    patience: Duration,
}

/// Why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client could not connect: no such socket, nobody listening, or no permission to open it.
    #[error("no daemon can be reached at {}", socket.display())]
    NoDaemon {
        /// The socket that the client tried.
        socket: PathBuf,
        /// Why the connection failed.
        source: io::Error,
    },
    /// The daemon refused the request, or failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer is not that of a traildex daemon, or it broke off.
    #[error("the socket's answer cannot be read")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
}

impl ClientError {
    /// What the caller can do about it; None if nothing is known to help.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoDaemon { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("become a member of the group that owns the socket")
            }
            Self::NoDaemon { .. } => {
                Some("start one with 'traildex serve', or name its socket with --socket")
            }
            Self::Api(_) | Self::Protocol(_) => None,
        }
    }
}

impl Client {
    /// A client of the daemon at `socket`; it does not connect yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf(), patience: Duration::ZERO }
    }

    /// Waits up to `patience` for a daemon that is still starting, instead of failing at once.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Runs a search: `POST /v1/search`.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ClientError> {
        let body = serde_json::to_vec(request).map_err(|e| ClientError::Protocol(e.into()))?;
        decode(self.send(Request::post("/v1/search"), body)?)
    }

    /// The events with that id; [`wire::ErrorKind::NotFound`] if there is none.
    pub fn event(&self, id: &str) -> Result<SearchResponse, ClientError> {
        decode(self.get(&format!("/v1/events/{}", percent_encode(id)))?)
    }

    /// The daemon's state: `GET /v1/status`.
    pub fn status(&self) -> Result<Status, ClientError> {
        decode(self.get("/v1/status")?)
    }

    /// Files of the archive, or sums over them: `GET /v1/files`.
    pub fn files(&self, request: &FilesRequest) -> Result<FilesResponse, ClientError> {
        let FilesRequest {
            state,
            path,
            account,
            region,
            start,
            end,
            read_start,
            read_end,
            by,
            limit,
            cursor,
        } = request;
        let by: Vec<&str> = by.iter().copied().map(Dimension::name).collect();
        let keys = [
            ("state", state.map(|state| state.to_string())),
            ("path", path.clone()),
            ("account", account.clone()),
            ("region", region.clone()),
            ("start", start.clone()),
            ("end", end.clone()),
            ("read_start", read_start.clone()),
            ("read_end", read_end.clone()),
            ("by", Some(by.join(",")).filter(|by| !by.is_empty())),
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.clone()),
        ];
        decode(self.get(&with_keys("/v1/files", keys))?)
    }

    /// What the archive can know: `GET /v1/coverage`.
    pub fn coverage(&self, request: &CoverageRequest) -> Result<CoverageResponse, ClientError> {
        let CoverageRequest { start, end, time_zone, account, region, by, limit } = request;
        let by: Vec<&str> = by.iter().copied().map(CoverageKey::name).collect();
        let keys = [
            ("start", start.clone()),
            ("end", end.clone()),
            ("time_zone", time_zone.clone()),
            ("account", account.clone()),
            ("region", region.clone()),
            ("by", Some(by.join(",")).filter(|by| !by.is_empty())),
            ("limit", limit.map(|limit| limit.to_string())),
        ];
        decode(self.get(&with_keys("/v1/coverage", keys))?)
    }

    /// Alerts: `GET /v1/alerts`.
    pub fn alerts(&self, request: &AlertsRequest) -> Result<AlertsResponse, ClientError> {
        let AlertsRequest { q, state, withdrawn, rule, level, id, start, end, limit, offset } =
            request;
        let state = state.map(|state| match state {
            AlertState::Open => "open",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Closed => "closed",
        });
        let keys = [
            ("q", q.clone()),
            ("state", state.map(str::to_owned)),
            ("withdrawn", withdrawn.map(|withdrawn| withdrawn.to_string())),
            ("rule", rule.clone()),
            ("level", level.clone()),
            ("id", id.clone()),
            ("start", start.clone()),
            ("end", end.clone()),
            ("limit", limit.map(|limit| limit.to_string())),
            ("offset", offset.map(|offset| offset.to_string())),
        ];
        decode(self.get(&with_keys("/v1/alerts", keys))?)
    }

    /// Notes what a person did with alerts.
    pub fn change_alerts(
        &self,
        request: &AlertsChangeRequest,
    ) -> Result<AlertsChangeResponse, ClientError> {
        let body = serde_json::to_vec(request).map_err(|e| ClientError::Protocol(e.into()))?;
        decode(self.send(Request::post("/v1/alerts"), body)?)
    }

    /// The changes of alerts behind a number: `GET /v1/alerts/changes`.
    pub fn alert_changes(
        &self,
        request: &AlertChangesRequest,
    ) -> Result<AlertChanges, ClientError> {
        let AlertChangesRequest { after, limit, wait } = request;
        let keys = [
            ("after", Some(after.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
            ("wait", Some(wait.to_string())),
        ];
        decode(self.get(&with_keys("/v1/alerts/changes", keys))?)
    }

    /// All saved searches: `GET /v1/saved`.
    pub fn saved(&self) -> Result<SavedResponse, ClientError> {
        decode(self.get("/v1/saved")?)
    }

    /// Saves a search under a name, in place of an earlier one, and returns it.
    pub fn save(&self, name: &str, search: &SavedSearch) -> Result<SavedSearch, ClientError> {
        let body = serde_json::to_vec(search).map_err(|e| ClientError::Protocol(e.into()))?;
        decode(self.send(Request::put(saved_path(name)), body)?)
    }

    /// Deletes a saved search and returns it.
    pub fn delete_saved(&self, name: &str) -> Result<SavedSearch, ClientError> {
        decode(self.send(Request::delete(saved_path(name)), Vec::new())?)
    }

    /// Runs a saved search with values for its parameters.
    pub fn search_saved(
        &self,
        name: &str,
        request: &SavedRequest,
    ) -> Result<SearchResponse, ClientError> {
        let body = serde_json::to_vec(request).map_err(|e| ClientError::Protocol(e.into()))?;
        decode(self.send(Request::post(format!("{}/search", saved_path(name))), body)?)
    }

    /// The fields that events have: `GET /v1/fields`.
    pub fn fields(&self, request: &FieldsRequest) -> Result<FieldsResponse, ClientError> {
        let FieldsRequest { prefix, limit, values } = request;
        let keys = [
            ("prefix", prefix.clone()),
            ("limit", limit.map(|limit| limit.to_string())),
            ("values", values.map(|values| values.to_string())),
        ];
        decode(self.get(&with_keys("/v1/fields", keys))?)
    }

    /// The most frequent values of a field: `GET /v1/values`.
    pub fn values(&self, request: &ValuesRequest) -> Result<ValuesResponse, ClientError> {
        let ValuesRequest { field, prefix, limit, query, start, end, time_zone } = request;
        let keys = [
            ("field", Some(field.clone())),
            ("prefix", prefix.clone()),
            ("limit", limit.map(|limit| limit.to_string())),
            ("q", query.clone()),
            ("start", start.clone()),
            ("end", end.clone()),
            ("time_zone", time_zone.clone()),
        ];
        decode(self.get(&with_keys("/v1/values", keys))?)
    }

    /// Where credentials came from, and what they made: `GET /v1/trace`.
    pub fn trace(&self, request: &TraceRequest) -> Result<TraceResponse, ClientError> {
        let TraceRequest { of, down, depth, children } = request;
        let keys = [
            ("of", Some(of.clone())),
            ("down", down.then(|| "true".to_owned())),
            ("depth", depth.map(|depth| depth.to_string())),
            ("children", children.map(|children| children.to_string())),
        ];
        decode(self.get(&with_keys("/v1/trace", keys))?)
    }

    /// What CloudTrail's digests say of the files of the index.
    pub fn validation(&self) -> Result<ValidateReport, ClientError> {
        decode(self.get("/v1/validate")?)
    }

    /// Starts a check of the index, unless one is running.
    pub fn start_verify(&self) -> Result<VerifyStatus, ClientError> {
        decode(self.send(Request::post("/v1/verify"), Vec::new())?)
    }

    /// How far a check is, and what the last one found.
    pub fn verify(&self) -> Result<VerifyStatus, ClientError> {
        decode(self.get("/v1/verify")?)
    }

    /// Starts a rebuild of the index; returns once it has begun.
    pub fn rebuild(&self, request: &RebuildRequest) -> Result<RebuildStatus, ClientError> {
        let body = serde_json::to_vec(request).map_err(|e| ClientError::Protocol(e.into()))?;
        decode(self.send(Request::post("/v1/rebuild"), body)?)
    }

    /// Status code and body of any path, for answers that are not JSON.
    pub fn get(&self, path: &str) -> Result<(u16, Bytes), ClientError> {
        self.send(Request::get(path), Vec::new())
    }

    fn send(
        &self,
        request: axum::http::request::Builder,
        body: Vec<u8>,
    ) -> Result<(u16, Bytes), ClientError> {
        let request = request
            .header("host", HOST)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| ClientError::Protocol(e.into()))?;
        let runtime = runtime()?;
        let started = Instant::now();
        runtime.block_on(async {
            loop {
                let stream = connect(&self.socket).await?;
                let answer = exchange(stream, request.clone()).await;
                let answer = answer.map_err(|e| ClientError::Protocol(e.into()))?;
                if started.elapsed() >= self.patience || !is_unavailable(&answer) {
                    return Ok(answer);
                }
                sleep(READY_PAUSE).await;
            }
        })
    }
}

fn is_unavailable((status, body): &(u16, Bytes)) -> bool {
    let is_said = |body: &ErrorBody| body.error.kind == ErrorKind::Unavailable;
    *status == ErrorKind::Unavailable.http_status()
        && serde_json::from_slice(body).is_ok_and(|body| is_said(&body))
}

/// A connection that stays open from search to search.
#[derive(Debug)]
pub struct Connection {
    runtime: Runtime,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects to the daemon at `socket`.
    pub fn open(socket: &Path) -> Result<Self, ClientError> {
        let runtime = runtime()?;
        let sender = runtime.block_on(async {
            let handshake = http1::handshake(TokioIo::new(connect(socket).await?)).await;
            let (sender, connection) = handshake.map_err(|e| ClientError::Protocol(e.into()))?;
            // It runs while an answer is waited for.
            tokio::spawn(connection);
            Ok::<_, ClientError>(sender)
        })?;
        Ok(Self { runtime, sender })
    }

    /// Sends a search, as JSON, and returns the whole body without parsing it.
    pub fn search(&mut self, body: &[u8]) -> Result<Bytes, ClientError> {
        let request = Request::post("/v1/search").header("host", HOST);
        let body = Full::new(Bytes::copy_from_slice(body));
        let request = request.body(body).map_err(|e| ClientError::Protocol(e.into()))?;
        let answer = self.runtime.block_on(async {
            let response = self.sender.send_request(request).await?;
            let status = response.status().as_u16();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        });
        match answer.map_err(|e| ClientError::Protocol(e.into()))? {
            (200, body) => Ok(body),
            other => {
                Err(decode::<SearchResponse>(other).expect_err("no other status is a success"))
            }
        }
    }
}

fn runtime() -> Result<Runtime, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| ClientError::Protocol(e.into()))
}

/// Connects. While more clients want to than the kernel keeps waiting, this one tries again.
async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    let mut tries = 0;
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < CONNECT_TRIES => {
                tries += 1;
                sleep(CONNECT_PAUSE).await;
            }
            connected => {
                let socket = socket.to_path_buf();
                return connected.map_err(|source| ClientError::NoDaemon { socket, source });
            }
        }
    }
}

/// Sends one request and reads its whole answer.
async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        drop(sender); // The connection ends when its last sender does.
        Ok((status, body))
    };
    // The connection's own error, if any, is also the answer's.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

fn decode<T: DeserializeOwned>((status, body): (u16, Bytes)) -> Result<T, ClientError> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(&body).map_err(|e| ClientError::Protocol(e.into()));
    }
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) => Err(body.error.into()),
        Err(_) => Err(ClientError::Protocol(format!("status {status} without a reason").into())),
    }
}

fn saved_path(name: &str) -> String {
    format!("/v1/saved/{}", percent_encode(name))
}

/// A path with the keys that have a value as its query string.
fn with_keys<const N: usize>(path: &str, keys: [(&str, Option<String>); N]) -> String {
    let keys = keys
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| format!("{key}={}", percent_encode(&value))));
    format!("{path}?{}", keys.collect::<Vec<_>>().join("&"))
}

/// Text as a part of a path or of a query string.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte as char);
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}"); // A String takes everything.
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// What the client makes of a server that answers `answer`, whatever it is asked.
    fn check(answer: &'static str) -> Result<Status, ClientError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let status = Client::new(&socket).status();
        server.join().unwrap();
        status
    }

    #[test]
    fn a_missing_socket_and_an_abandoned_one_are_no_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let abandoned = folder.path().join("abandoned");
        drop(UnixListener::bind(&abandoned).unwrap());
        for (socket, kind) in
            [(missing, io::ErrorKind::NotFound), (abandoned, io::ErrorKind::ConnectionRefused)]
        {
            let error = Client::new(&socket).status().unwrap_err();
            assert!(error.hint().is_some_and(|hint| hint.contains("traildex serve")), "{error}");
            let ClientError::NoDaemon { source, .. } = error else { panic!("{error}") };
            assert_eq!(source.kind(), kind);
        }
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let error = check("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"version\"").unwrap_err();
        assert!(matches!(error, ClientError::Protocol(_)), "{error}");
    }

    #[test]
    fn another_server_is_told_from_a_daemon() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            let error = check(answer).unwrap_err();
            assert!(matches!(error, ClientError::Protocol(_)), "{answer}: {error}");
        }
    }

    #[test]
    fn ids_and_paths_are_encoded_byte_by_byte() {
        assert_eq!(percent_encode("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(percent_encode("3:57/é ?&+"), "3%3A57%2F%C3%A9%20%3F%26%2B");
    }
}
