//! The server over a real socket, with an engine that does as it is told.

mod answers;
mod limits;
mod sites;
mod socket;

use std::collections::BTreeMap;
use std::fs;
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
use wire::engine::{Caller, Cancel, Engine, EngineSlot};
use wire::limits::REQUEST_BODY_BYTES_MAX;
use wire::{
    ApiError, CoverageRequest, CoverageResponse, ErrorKind, FieldsRequest, FieldsResponse,
    FilesRequest, FilesResponse, Hit, Meta, RebuildRequest, RebuildStatus, Rest, SavedRequest,
    SavedSearch, SearchRequest, SearchResponse, Status, TailPage, TailRequest, Total,
    ValuesRequest, ValuesResponse, VerifyStatus,
};

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
            "large" => return Ok(found(&"x".repeat(7 << 20))),
            "usual" => return Ok(found(&"x".repeat(170 << 10))),
            _ => {}
        }
        if let Some(mib) = request.query.to_string().strip_prefix("keep") {
            let bytes = mib.parse::<usize>().unwrap() << 20;
            let rest = request.keeps.map(|_| Rest { found: Arc::new(()), given: 1, bytes });
            return Ok(SearchResponse { rest, ..found("1") });
        }
        Ok(found(&serde_json::to_string(request).unwrap()))
    }

    /// A part of 2 MiB; after twenty, none is left.
    fn more(&self, rest: &Rest, _: usize, _: &Cancel) -> Result<SearchResponse, ApiError> {
        let given = rest.given + 1;
        let rest = (given < 20).then(|| Rest { given, ..rest.clone() });
        let event = RawValue::from_string(format!("\"{}\"", "x".repeat(2 << 20))).unwrap();
        let hits = vec![Hit { event, meta: Meta::default(), highlights: Vec::new() }];
        Ok(SearchResponse { hits, rest, ..SearchResponse::default() })
    }

    fn commits(&self) -> u64 {
        0
    }

    fn tail(&self, _: &TailRequest, _: usize, _: &Cancel) -> Result<TailPage, ApiError> {
        Ok(TailPage {
            hits: Vec::new(),
            cursor: "now".into(),
            has_more: false,
            warnings: Vec::new(),
        })
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

    fn alerts(&self, request: &wire::AlertsRequest) -> Result<wire::AlertsResponse, ApiError> {
        Ok(wire::AlertsResponse { total: request.limit.unwrap_or(1) as u64, ..Default::default() })
    }

    fn change_alerts(
        &self,
        caller: Caller,
        request: &wire::AlertsChangeRequest,
    ) -> Result<wire::AlertsChangeResponse, ApiError> {
        let alert = |id: &String| wire::Alert {
            id: id.clone(),
            by: Some(caller.uid),
            ..wire::Alert::default()
        };
        Ok(wire::AlertsChangeResponse { alerts: request.ids.iter().map(alert).collect() })
    }

    /// Behind 7 there is nothing, whatever is waited for.
    fn alert_changes(
        &self,
        request: &wire::AlertChangesRequest,
    ) -> Result<wire::AlertChanges, ApiError> {
        let change = |number| wire::AlertChange {
            number,
            time: "2026-11-30T00:00:00Z".to_owned(),
            change: wire::AlertChangeKind::Raised,
            alert: wire::Alert::default(),
        };
        let changes = (request.after + 1..=7).map(change).collect();
        Ok(wire::AlertChanges { log: "log".to_owned(), changes, last: 7, missed: 0 })
    }

    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>> {
        Arc::default()
    }

    fn save(
        &self,
        caller: Caller,
        _: &str,
        search: &SavedSearch,
    ) -> Result<(SavedSearch, bool), ApiError> {
        Ok((SavedSearch { owner: Some(caller.uid), ..search.clone() }, true))
    }

    fn delete_saved(&self, _: Caller, name: &str) -> Result<SavedSearch, ApiError> {
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

    fn coverage(
        &self,
        request: &CoverageRequest,
        _: &Cancel,
    ) -> Result<CoverageResponse, ApiError> {
        Ok(CoverageResponse { total: request.limit.unwrap_or(1) as u64, ..Default::default() })
    }

    fn validation(&self) -> Result<wire::ValidateReport, ApiError> {
        Ok(wire::ValidateReport { keys: 7, ..wire::ValidateReport::default() })
    }

    fn start_verify(&self, _: Caller) -> VerifyStatus {
        VerifyStatus { is_running: true, ..VerifyStatus::default() }
    }

    fn verify(&self) -> VerifyStatus {
        VerifyStatus { bytes_total: 7, ..VerifyStatus::default() }
    }

    fn rebuild(&self, _: Caller, request: RebuildRequest) -> Result<RebuildStatus, ApiError> {
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
        ..Meta::default()
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
    app: App,
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
        let app = App::new(slot, Arc::clone(&live));
        let served = app.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                // Each server counts for itself, though tests share a process.
                .on_thread_start(|| forget(metrics::set_default_local_recorder(recorder)))
                .build()?;
            let shutdown = async { stopped.await.unwrap_or_default() };
            runtime.block_on(serve(socket, served, shutdown))
        });
        Self {
            folder,
            options: live,
            app,
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
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
            .unwrap();
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

    fn export(&self, query: &str) -> StdUnixStream {
        self.send("POST", "/v1/export", format!(r#"{{"query":"{query}"}}"#).as_bytes())
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
