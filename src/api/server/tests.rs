//! The server over a real socket, with an engine that does as it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::mem::forget;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::*;
use crate::api::proto::{
    ApiError, ErrorKind, FieldsRequest, FieldsResponse, FilesRequest, FilesResponse, Hit, Meta,
    RebuildRequest, RebuildStatus, SavedRequest, SavedSearch, SearchRequest, SearchResponse,
    Status, TailPage, TailRequest, Total, ValuesRequest, ValuesResponse, VerifyStatus,
};
use crate::api::{Cancel, Engine, EngineSlot};
use crate::limits::REQUEST_BODY_BYTES_MAX;

/// Longer than anything here takes, shorter than patience.
const PATIENCE: Duration = Duration::from_secs(20);

/// A record whose bytes no serializer would write: they must come back as they are.
const RECORD: &str = r#"{"eventName" : "Get\u004fbject", "n":1.50, "n":1e2}"#;

/// Does what the query says: `panic`, `wait` until told, `poll` until cancelled; else it finds
/// [`RECORD`] and echoes the request as the record's id.
struct Fake {
    metrics: PrometheusHandle,
    started: Sender<String>,
    go_on: Mutex<Receiver<()>>,
    ended: Sender<Result<(), ApiError>>,
}

impl Engine for Fake {
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        let _ = self.started.send(request.query.to_string());
        match request.query.to_string().as_str() {
            "panic" => panic!("the engine's fault"),
            "wait" => self.go_on.lock().unwrap().recv().unwrap(),
            "poll" => {
                let ended = loop {
                    if let Err(error) = cancel.check() {
                        break error;
                    }
                    std::thread::yield_now();
                };
                let _ = self.ended.send(Err(ended.clone()));
                return Err(ended);
            }
            "large" => return Ok(found(&"x".repeat(8 << 20))),
            _ => {}
        }
        Ok(found(&serde_json::to_string(request).unwrap()))
    }

    fn commits(&self) -> u64 {
        0
    }

    fn tail(&self, _: &TailRequest, _: usize, _: &Cancel) -> Result<TailPage, ApiError> {
        Ok(TailPage { hits: Vec::new(), cursor: "now".into(), has_more: false })
    }

    fn event(&self, id: &str, _: &Cancel) -> Result<SearchResponse, ApiError> {
        if id == "none" {
            return Err(ApiError::new(ErrorKind::NotFound, "no event has the id none"));
        }
        Ok(found(id))
    }

    fn status(&self) -> Status {
        Status { version: "7".into(), ..Status::default() }
    }

    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>> {
        Arc::default()
    }

    fn save(&self, _: &str, _: &SavedSearch) -> Result<bool, ApiError> {
        Ok(true)
    }

    fn delete_saved(&self, name: &str) -> Result<SavedSearch, ApiError> {
        Err(ApiError::new(ErrorKind::NotFound, name))
    }

    fn search_saved(
        &self,
        name: &str,
        _: &SavedRequest,
        _: &Cancel,
    ) -> Result<SearchResponse, ApiError> {
        Ok(found(name))
    }

    fn fields(&self, request: &FieldsRequest, _: &Cancel) -> Result<FieldsResponse, ApiError> {
        Ok(FieldsResponse { total: request.limit.unwrap_or(1) as u64, ..Default::default() })
    }

    fn values(&self, request: &ValuesRequest, _: &Cancel) -> Result<ValuesResponse, ApiError> {
        Ok(ValuesResponse { field: request.field.clone(), ..Default::default() })
    }

    fn files(&self, request: &FilesRequest, _: &Cancel) -> Result<FilesResponse, ApiError> {
        Ok(FilesResponse { total: request.limit.unwrap_or(1) as u64, ..Default::default() })
    }

    fn start_verify(&self) -> VerifyStatus {
        VerifyStatus { is_running: true, ..VerifyStatus::default() }
    }

    fn verify(&self) -> VerifyStatus {
        VerifyStatus { bytes_total: 7, ..VerifyStatus::default() }
    }

    fn rebuild(&self, request: RebuildRequest) -> Result<RebuildStatus, ApiError> {
        if request.accept_loss {
            Ok(RebuildStatus { files: 7, ..RebuildStatus::default() })
        } else {
            Err(ApiError::new(ErrorKind::Conflict, "files would be lost"))
        }
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }
}

fn found(id: &str) -> SearchResponse {
    let event = RawValue::from_string(RECORD.into()).unwrap();
    let meta = Meta {
        id: id.into(),
        time: "2023-07-10T11:42:36Z".into(),
        actor: "alice".into(),
        credential: "iam-user".into(),
        file: "a.json.gz".into(),
        offset: 12,
        flags: Vec::new(),
        raw: None,
    };
    let total = Total { value: 1, exact: true };
    SearchResponse {
        hits: vec![Hit { event, meta, highlights: Vec::new() }],
        total,
        took_ms: 0.5,
        ..SearchResponse::default()
    }
}

/// A server on a socket of its own, stopped when dropped.
struct Daemon {
    folder: tempfile::TempDir,
    options: LiveOptions,
    started: Receiver<String>,
    go_on: Sender<()>,
    ended: Receiver<Result<(), ApiError>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Daemon {
    fn start(options: ServerOptions) -> Self {
        Self::start_when(true, options)
    }

    fn start_when(is_ready: bool, options: ServerOptions) -> Self {
        let recorder: &PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let folder = tempfile::tempdir().unwrap();
        let socket = bind(&folder.path().join("s"), None).unwrap();
        let (started_sender, started) = channel();
        let (go_on, go_on_receiver) = channel();
        let (ended_sender, ended) = channel();
        let (stop, stopped) = oneshot::channel();
        let slot = EngineSlot::default();
        let engine: Arc<dyn Engine> = Arc::new(Fake {
            metrics: recorder.handle(),
            started: started_sender,
            go_on: Mutex::new(go_on_receiver),
            ended: ended_sender,
        });
        if is_ready {
            assert!(slot.set(engine).is_ok());
        }
        let live = Arc::new(ArcSwap::from_pointee(options));
        let options = Arc::clone(&live);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                // Each server counts for itself, though tests share a process.
                .on_thread_start(|| forget(metrics::set_default_local_recorder(recorder)))
                .build()?;
            let shutdown = async { stopped.await.unwrap_or_default() };
            runtime.block_on(serve(socket, App::new(slot, options), shutdown))
        });
        Self {
            folder,
            options: live,
            started,
            go_on,
            ended,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn connect(&self) -> StdUnixStream {
        let stream = StdUnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request and leaves the answer to be read.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> StdUnixStream {
        let mut stream = self.connect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").unwrap();
        write!(stream, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        let _ = stream.write_all(body); // Refused half-way when the body is too large.
        stream
    }

    /// Status, head and body of an answer.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        read_answer(self.send(method, path, body))
    }

    fn search(&self, query: &str) -> StdUnixStream {
        self.send("POST", "/v1/search", format!(r#"{{"query":"{query}"}}"#).as_bytes())
    }

    fn await_start(&self, query: &str) {
        assert_eq!(self.started.recv_timeout(PATIENCE).unwrap(), query);
    }

    fn stop(&mut self) -> io::Result<()> {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.go_on.send(());
    }
}

fn read_answer(mut stream: StdUnixStream) -> (u16, String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head[9..12].parse().unwrap(), head.to_string(), body.to_string())
}

/// Asks and compares status and error; `expected` is `kind: message`, or the start of it.
#[track_caller]
fn check_error(daemon: &Daemon, request: (&str, &str, &[u8]), status: u16, expected: &str) {
    let (got, head, body) = daemon.ask(request.0, request.1, request.2);
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
    let text = |key: &str| body["error"][key].as_str().unwrap_or_default().to_string();
    let error = format!("{}: {}", text("kind"), text("message"));
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(got, status, "{error}");
    assert!(head.contains("application/json"), "{head}");
}

fn short(read_ms: u64) -> ServerOptions {
    ServerOptions { read_timeout: Duration::from_millis(read_ms), ..Default::default() }
}

#[test]
fn every_route_answers() {
    let daemon = Daemon::start(ServerOptions::default());
    let event = found("3:7/é");
    let event = serde_json::to_string(&event).unwrap();
    for (path, expected) in [
        ("/v1/events/3:7%2F%C3%A9", event.as_str()),
        ("/healthz", r#"{"ok":true}"#),
        ("/readyz", r#"{"ok":true}"#),
    ] {
        let (status, head, body) = daemon.ask("GET", path, b"");
        assert_eq!((status, body.as_str()), (200, expected), "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
    let (_, _, files) = daemon.ask("GET", "/v1/files?state=rejected&path=a+b&limit=7", b"");
    assert!(files.starts_with(r#"{"files":[],"total":7,"sums":{"files":0,"#), "{files}");
    let (_, _, status) = daemon.ask("GET", "/v1/status", b"");
    assert!(status.starts_with(r#"{"version":"7","#), "{status}");
    let (_, head, metrics) = daemon.ask("GET", "/metrics", b"");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(
        metrics.contains(r#"traildex_http_requests_total{path="/v1/events/{id}",status="200"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("traildex_http_connections "), "{metrics}");
}

#[test]
fn checks_and_rebuilds_are_begun_and_asked_about() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, body, status, expected) in [
        ("POST", "/v1/verify", &b""[..], 202, r#"{"is_running":true,"#),
        ("GET", "/v1/verify", b"", 200, r#"{"is_running":false,"bytes_done":0,"bytes_total":7}"#),
        (
            "POST",
            "/v1/rebuild",
            br#"{"accept_loss":true}"#,
            202,
            r#"{"state":"running","files":7,"#,
        ),
        ("POST", "/v1/rebuild", b"", 409, r#"{"error":{"kind":"conflict","#),
        ("POST", "/v1/rebuild", br#"{"accept":true}"#, 400, r#"{"error":{"kind":"bad-request","#),
        ("POST", "/v1/verify", br#"{"x":1}"#, 400, r#"{"error":{"kind":"bad-request","#),
    ] {
        let (got, _, answer) = daemon.ask(method, path, body);
        assert_eq!(got, status, "{path} {answer}");
        assert!(answer.starts_with(expected), "{path} {answer}");
    }
}

#[test]
fn a_record_comes_back_byte_for_byte() {
    let daemon = Daemon::start(ServerOptions::default());
    let (_, _, body) = read_answer(daemon.search("*"));
    assert!(body.contains(&format!(r#""event":{RECORD},"#)), "{body}");
}

#[test]
fn a_search_by_url_is_the_search_by_body() {
    let daemon = Daemon::start(ServerOptions::default());
    let url = "/v1/search?q=a%20AND+b&start=-24h&end=now&limit=0&order=oldest&total=bounded";
    let body = br#"{"query":"a AND b","start":"-24h","end":"now","limit":0,
                    "order":"oldest","total":"bounded"}"#;
    let by_url = daemon.ask("GET", url, b"");
    assert_eq!(by_url.0, 200);
    assert!(by_url.2.contains(r#"\"limit\":0,\"order\":\"oldest\""#), "{}", by_url.2);
    assert_eq!(by_url.2, daemon.ask("POST", "/v1/search", body).2);
}

#[test]
fn a_wrong_path_or_method_is_named() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, status, expected) in [
        ("GET", "/v2", 404, "not-found: there is no path /v2"),
        ("GET", "/v1/events/", 404, "not-found: there is no path /v1/events/"),
        ("GET", "/v1/events/none", 404, "not-found: no event has the id none"),
        ("GET", "/v1/events/%FF", 400, "bad-request: Invalid URL: Invalid UTF-8 in `id`"),
        ("PUT", "/v1/search", 405, "method-not-allowed: /v1/search does not answer PUT"),
    ] {
        check_error(&daemon, (method, path, b""), status, expected);
    }
    let (_, head, _) = daemon.ask("DELETE", "/v1/status", b"");
    assert!(head.contains("allow: GET,HEAD"), "{head}");
}

#[test]
fn a_wrong_body_is_told_where_and_what_is_allowed() {
    let daemon = Daemon::start(ServerOptions::default());
    for (body, expected) in [
        (&b""[..], "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"{\n \"query\": x}", "the body is not JSON: expected value at line 2 column 11"),
        (b"{} {}", "the body is not JSON: trailing characters at line 1 column 4"),
        (b"{\"query\":\"\xff\"}", "the body is not UTF-8 at byte 10"),
        (b"{\"limit\":\"9\"}", "key 'limit': invalid type: string \"9\", expected usize"),
        (b"{\"limit\":-1}", "key 'limit': invalid value: integer `-1`"),
        (b"{\"limit\":10001}", "limit 10001 is more than 10000"),
        (b"{\"order\":\"up\"}", "key 'order': unknown variant `up`, expected `newest` or"),
        (b"{\"qery\":\"a\"}", "unknown field `qery`, expected one of `q`, `query`, `start`"),
        (b"{\"q\":\"a\",\"query\":\"b\"}", "duplicate field `query`"),
    ] {
        let expected = format!("bad-request: {expected}");
        check_error(&daemon, ("POST", "/v1/search", body), 400, &expected);
    }
}

#[test]
fn a_wrong_query_string_is_told_what_is_allowed() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, expected) in [
        ("GET", "/v1/search?limit=x", "query string: limit: invalid digit found in string"),
        ("GET", "/v1/search?q=%FF", "the query string is not UTF-8"),
        ("GET", "/v1/search?qq=1", "query string: qq: unknown field `qq`, expected one of"),
        ("GET", "/v1/search?limit=10001", "limit 10001 is more than 10000"),
        ("POST", "/v1/search?q=a", "query string: q: unknown field `q`, there are no fields"),
        ("GET", "/v1/status?v", "query string: v: unknown field `v`"),
        ("GET", "/v1/events/a?v=1", "query string: v: unknown field `v`"),
        ("GET", "/v1/files?state=lost", "query string: state: unknown variant `lost`"),
        ("GET", "/v1/files?by=day,hour", "query string: by: 'hour' is not one of"),
        ("GET", "/v1/files?limit=10001", "limit 10001 is more than 10000"),
    ] {
        let expected = format!("bad-request: {expected}");
        check_error(&daemon, (method, path, b""), 400, &expected);
    }
}

#[test]
fn a_body_past_the_bound_is_refused() {
    let daemon = Daemon::start(ServerOptions::default());
    let body = vec![b' '; REQUEST_BODY_BYTES_MAX + 1];
    check_error(&daemon, ("POST", "/v1/search", &body), 413, "too-large: the body is larger");
    let mut body = br#"{"query":"*"}"#.to_vec();
    body.resize(REQUEST_BODY_BYTES_MAX, b' ');
    assert_eq!(daemon.ask("POST", "/v1/search", &body).0, 200);
}

#[test]
fn a_daemon_that_is_not_ready_says_so_and_is_healthy() {
    let daemon = Daemon::start_when(false, ServerOptions::default());
    check_error(&daemon, ("GET", "/readyz", b""), 503, "unavailable: the index is being opened");
    assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200);
}

#[test]
fn a_panic_is_one_requests_error_and_counted() {
    let daemon = Daemon::start(ServerOptions { searches_max: 1, ..Default::default() });
    check_error(
        &daemon,
        ("GET", "/v1/search?q=panic", b""),
        500,
        "internal: the daemon failed on this request",
    );
    assert_eq!(read_answer(daemon.search("*")).0, 200);
    assert!(daemon.ask("GET", "/metrics", b"").2.contains("traildex_http_panics_total 1"));
}

#[test]
fn searches_past_the_queue_are_turned_away() {
    let daemon =
        Daemon::start(ServerOptions { searches_max: 1, queue_max: 0, ..Default::default() });
    let running = daemon.search("wait");
    daemon.await_start("wait");
    let (status, head, body) = read_answer(daemon.search("*"));
    assert_eq!(status, 429);
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("1 searches are running and 0 waiting"), "{body}");
    assert_eq!(daemon.ask("GET", "/v1/status", b"").0, 200);
    daemon.go_on.send(()).unwrap();
    assert_eq!(read_answer(running).0, 200);
}

#[test]
fn a_search_waits_for_its_turn_until_its_deadline() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        search_timeout: Duration::from_millis(100),
        ..Default::default()
    });
    let running = daemon.search("wait");
    daemon.await_start("wait");
    let (status, _, body) = read_answer(daemon.search("*"));
    assert_eq!(status, 429);
    assert!(body.contains("waited for its turn"), "{body}");
    // The engine that does not look at its deadline is not waited for either.
    let (status, _, body) = read_answer(running);
    assert_eq!(status, 503);
    assert!(body.contains(r#""kind":"timeout""#), "{body}");
}

#[test]
fn a_search_past_its_deadline_is_a_timeout() {
    let search_timeout = Duration::from_millis(20);
    let daemon = Daemon::start(ServerOptions { search_timeout, ..Default::default() });
    check_error(&daemon, ("GET", "/v1/search?q=poll", b""), 503, "timeout: the search reached");
}

#[test]
fn a_search_stops_when_its_client_hangs_up() {
    let daemon = Daemon::start(ServerOptions::default());
    let running = daemon.search("poll");
    daemon.await_start("poll");
    drop(running);
    let ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!(ended.message, "the client hung up");
}

#[test]
fn a_slow_head_a_slow_body_and_silence_are_cut_off() {
    let daemon = Daemon::start(short(50));
    for sent in ["", "GET /healthz HT", "POST /v1/search HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = daemon.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "{sent}");
    }
    let mut stream = daemon.connect();
    let head = "POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let (status, _, body) = read_answer(stream);
    assert_eq!(status, 400);
    assert!(body.contains("did not arrive within 50ms"), "{body}");
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let write_timeout = Duration::from_millis(50);
    let daemon =
        Daemon::start(ServerOptions { connections_max: 1, write_timeout, ..Default::default() });
    let stuck = daemon.search("large");
    // The only connection there may be becomes free, though its client holds on to it.
    assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200);
    drop(stuck);
}

#[test]
fn connections_past_the_bound_wait() {
    let daemon = Daemon::start(ServerOptions { connections_max: 1, ..Default::default() });
    let mut first = daemon.connect();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(first.read(&mut [0; 9]).unwrap(), 9);
    let mut second = daemon.send("GET", "/healthz", b"");
    second.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_answer(second).0, 200);
}

#[test]
fn a_stop_lets_running_requests_finish() {
    let mut daemon = Daemon::start(ServerOptions::default());
    let running = daemon.search("wait");
    daemon.await_start("wait");
    drop(daemon.stop.take());
    while daemon.socket().exists() {
        std::thread::yield_now();
    }
    daemon.go_on.send(()).unwrap();
    assert_eq!(read_answer(running).0, 200);
    daemon.stop().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    let mut daemon = Daemon::start(ServerOptions {
        read_timeout: 2 * PATIENCE,
        stop_grace: 2 * PATIENCE,
        ..Default::default()
    });
    let _silent = daemon.connect();
    // Accepted after the silent one: when this one is answered, both are being served.
    let mut kept_alive = daemon.connect();
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(kept_alive.read(&mut [0; 9]).unwrap(), 9);
    let stopped = Instant::now();
    daemon.stop().unwrap();
    assert!(stopped.elapsed() < PATIENCE);
}

#[test]
fn a_stop_cuts_off_what_outlasts_the_grace() {
    let stop_grace = Duration::from_millis(50);
    let mut daemon = Daemon::start(ServerOptions { stop_grace, ..Default::default() });
    let mut running = daemon.search("poll");
    daemon.await_start("poll");
    daemon.stop().unwrap();
    let mut ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    if ended.kind == ErrorKind::Timeout {
        // It had begun again, as one that takes long.
        ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    }
    assert_eq!(ended.message, "the client hung up");
    assert_eq!(running.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_search_that_takes_long_makes_way_for_short_ones() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        search_timeout: PATIENCE,
        ..Default::default()
    });
    let _long = daemon.search("poll");
    daemon.await_start("poll");
    assert!(daemon.started.recv_timeout(Duration::from_millis(200)).is_err(), "it is alone");
    let short = daemon.search("*");
    // It is asked again, without its turn, which the other has.
    let mut started = [0; 2].map(|_| daemon.started.recv_timeout(PATIENCE).unwrap());
    started.sort();
    assert_eq!(started, ["*", "poll"]);
    assert_eq!(read_answer(short).0, 200);
    for _ in 0..3 {
        assert_eq!(read_answer(daemon.search("*")).0, 200);
        daemon.await_start("*");
    }
    // Another that takes long waits for it.
    let _other = daemon.search("poll");
    daemon.await_start("poll");
    assert!(daemon.started.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
fn large_answers_that_nobody_reads_are_bounded_and_small_ones_go_on() {
    let daemon = Daemon::start(ServerOptions::default());
    // The head is read, so the answer is there.
    let begin = || {
        let mut stream = daemon.search("large");
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, head.ends_with(b"200"))
    };
    let mut unread = Vec::new();
    let refused = loop {
        match begin() {
            (stream, true) => unread.push(stream),
            (stream, false) => break stream,
        }
    };
    assert!((2..=4).contains(&unread.len()), "{}", unread.len());
    drop(refused);
    assert_eq!(read_answer(daemon.search("*")).0, 200);
    drop(unread.pop());
    let end = Instant::now() + PATIENCE;
    while !begin().1 {
        assert!(Instant::now() < end, "an answer that is given up makes room");
    }
}

#[test]
fn options_that_are_exchanged_hold_for_the_next_search() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        queue_max: 0,
        search_timeout: 2 * PATIENCE,
        ..Default::default()
    });
    let _running = daemon.search("wait");
    daemon.await_start("wait");
    let search = ("POST", "/v1/search", &br#"{"query":"poll"}"#[..]);
    check_error(&daemon, search, 429, "busy: 1 searches are running and 0 waiting");
    let search_timeout = Duration::from_millis(20);
    let options = ServerOptions::clone(&daemon.options.load());
    daemon.options.store(Arc::new(ServerOptions { queue_max: 1, search_timeout, ..options }));
    check_error(&daemon, search, 429, "busy: the search waited for its turn until its deadline");
    daemon.go_on.send(()).unwrap();
    check_error(&daemon, search, 503, "timeout: ");
    let options = ServerOptions::clone(&daemon.options.load());
    daemon.options.store(Arc::new(ServerOptions { queue_max: 0, ..options }));
    check_error(&daemon, search, 503, "timeout: ");
}

#[test]
fn a_socket_is_opened_for_its_group_in_a_new_directory() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/deep/s");
    let _listener = bind(&socket, None).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o660);
    assert_eq!(mode(&folder.path().join("run")) & !0o750, 0);
}

#[test]
fn an_abandoned_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    drop(bind(&socket, None).unwrap());
    assert!(socket.exists());
    let _live = bind(&socket, None).unwrap();
    let error = bind(&socket, None).unwrap_err().to_string();
    assert!(error.contains("another daemon answers"), "{error}");
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "kept").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        let error = bind(path, None).unwrap_err().to_string();
        assert!(error.contains("is not a socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    let long = folder.path().join("x".repeat(108));
    assert!(bind(&long, None).unwrap_err().to_string().contains("at most 107"));
}

#[test]
fn a_directory_where_others_could_put_a_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outer = folder.path().join("outer");
    let inner = outer.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let outcome = |modes: [u32; 2]| {
        for (dir, mode) in [&outer, &inner].into_iter().zip(modes) {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
        }
        bind(&inner.join("s"), None).map(drop).map_err(|error| error.to_string())
    };
    // Sticky: what is in it stays, so it may be above the socket's directory.
    for modes in [[0o700, 0o700], [0o755, 0o755], [0o1777, 0o700], [0o1770, 0o711]] {
        assert_eq!(outcome(modes), Ok(()), "{modes:?}");
    }
    for mode in [0o777, 0o770, 0o720, 0o702, 0o1777, 0o1770, 0o2775] {
        let error = outcome([0o755, mode]).unwrap_err();
        let expected = format!("the socket's directory {} has mode {mode:04o}: ", inner.display());
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains(&format!("; run chmod go-w {}", inner.display())), "{error}");
    }
    for mode in [0o777, 0o775, 0o702] {
        let error = outcome([mode, 0o700]).unwrap_err();
        let expected = format!("above the socket, {} has mode {mode:04o}: ", outer.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    // By way of a link, it is the directory itself that counts.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&inner, &link).unwrap();
    assert!(bind(&link.join("s"), None).is_err());
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("theirs");
    fs::create_dir(&dir).unwrap();
    if std::os::unix::fs::chown(&dir, Some(4_000_001), None).is_err() {
        println!("not tried: this user cannot give directories away");
        return;
    }
    let error = bind(&dir.join("s"), None).unwrap_err().to_string();
    assert!(error.contains("theirs belongs to user 4000001, who could put"), "{error}");
    fs::create_dir(dir.join("ours")).unwrap();
    let error = bind(&dir.join("ours/s"), None).unwrap_err().to_string();
    assert!(error.starts_with("above the socket, "), "{error}");
}

#[test]
fn a_socket_and_its_new_directory_are_given_to_a_group() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("new/s");
    let own = fs::metadata(folder.path()).unwrap();
    // Only root can give to a group that it is not in.
    let group = if own.uid() == 0 { 4_000_002 } else { own.gid() };
    let _listener = bind(&socket, Some(group)).unwrap();
    for path in [&socket, &folder.path().join("new")] {
        assert_eq!(fs::metadata(path).unwrap().gid(), group, "{}", path.display());
    }
    assert_eq!(fs::metadata(folder.path()).unwrap().gid(), own.gid());
}
