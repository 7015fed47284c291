//! A daemon's socket with alerts, as `GET /v1/alerts/changes` has them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixListener;

/// A daemon that keeps changes. It ends with the test.
pub(crate) struct Source {
    pub(crate) socket: PathBuf,
    state: Arc<Mutex<Log>>,
}

struct Log {
    name: String,
    /// The number of the first change that is kept.
    first: u64,
    changes: Vec<Value>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    after: u64,
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    wait: u64,
}

fn default_limit() -> usize {
    100
}

impl Source {
    pub(crate) fn start(folder: &Path) -> Self {
        let log = Log { name: "6b0c6f0e5d6f4f0a".to_owned(), first: 1, changes: Vec::new() };
        let source = Self { socket: folder.join("daemon.sock"), state: Arc::new(Mutex::new(log)) };
        source.serve();
        source
    }

    /// Listens, in place of an earlier one.
    fn serve(&self) {
        let (socket, state) = (self.socket.clone(), Arc::clone(&self.state));
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = UnixListener::bind(&socket).unwrap();
                ready.send(()).unwrap();
                let routes = Router::new().route("/v1/alerts/changes", get(changes));
                axum::serve(listener, routes.with_state(state)).await.unwrap();
            });
        });
        is_ready.recv().unwrap();
    }

    /// Raises an alert; returns its id.
    pub(crate) fn raise(&self, principal: &str) -> String {
        self.tell("raised", "high", principal)
    }

    pub(crate) fn tell(&self, change: &str, level: &str, principal: &str) -> String {
        let mut log = self.state.lock().unwrap();
        let number = log.first + log.changes.len() as u64;
        let id = format!("{number:032x}");
        let alert = alert(&id, level, principal);
        let time = "2026-11-30T14:00:00.123456Z";
        log.changes
            .push(json!({ "number": number, "time": time, "change": change, "alert": alert }));
        id
    }

    /// The log is made anew, under another name.
    pub(crate) fn make_anew(&self, name: &str) {
        *self.state.lock().unwrap() = Log { name: name.to_owned(), first: 1, changes: Vec::new() };
    }

    /// Changes before that number are no longer kept.
    pub(crate) fn drop_before(&self, number: u64) {
        let mut log = self.state.lock().unwrap();
        let dropped = (number - log.first) as usize;
        log.changes.drain(..dropped);
        log.first = number;
    }
}

pub(crate) fn alert(id: &str, level: &str, principal: &str) -> Value {
    json!({
        "id": id,
        "rule": {
            "title": "Trail stopped", "id": "2d5f0a5e-5f8f-4a6c-9f0e-0f6c6f0e5d6f",
            "name": "trail-stopped-or-deleted", "level": level, "status": "stable",
            "author": "An Author", "license": "Apache-2.0",
            "references": ["https://docs.aws.amazon.com/"], "tags": ["attack.t1562.008"],
        },
        "kind": "events",
        "group": { "principal": principal },
        "first": "2023-07-10T11:42:36Z", "last": "2023-07-10T11:50:00Z", "events": 4,
        "ids": ["ea1b"], "query": "eventName:StopLogging", "state": "open",
        "raised": "2026-11-30T14:00:00Z", "changed": "2026-11-30T14:00:00Z",
        "later": { "unknown": true },
    })
}

async fn changes(State(state): State<Arc<Mutex<Log>>>, Query(asked): Query<Asked>) -> Json<Value> {
    let until = Instant::now() + Duration::from_secs(asked.wait);
    loop {
        {
            let log = state.lock().unwrap();
            let last = log.first + log.changes.len() as u64 - 1;
            if last != asked.after || Instant::now() >= until {
                let missed = (log.first - 1).saturating_sub(asked.after);
                let skipped = (asked.after + missed + 1).saturating_sub(log.first) as usize;
                let changes: Vec<Value> =
                    log.changes.iter().skip(skipped).take(asked.limit).cloned().collect();
                return Json(json!({
                    "log": log.name, "changes": changes, "last": last, "missed": missed,
                }));
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
