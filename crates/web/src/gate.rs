//! The port of `traildex web`: on loopback only, for whoever has the token of its address.
//!
//! The page's files are for everybody who can connect, since they hold nothing. What is asked of the
//! daemon needs the token, and is asked as the user who started the program; but for a download, which the
//! daemon's ticket stands for. Heads, bodies, waits and
//! connections are bounded as on the socket; the daemon bounds the rest.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::net::TcpListener;
use tokio::time::sleep;

use server::{LiveOptions, ServerOptions, arrived, check_request, encode, serve_port};
use wire::{ApiError, ErrorBody, ErrorKind};

use crate::files::page;
use crate::forward::forward;
use crate::headers::protect;
use crate::token::Token;

/// The port where none is said. It is the same each time, so that links to the page go on working.
pub const PORT: u16 = 8457;

/// How long nothing is asked before the program ends, where nobody says: longer than a night.
pub const IDLE: Duration = Duration::from_secs(16 * 3600);

/// How a [`Gate`] behaves.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// Whether everything that changes something is refused.
    pub is_read_only: bool,
    /// How long nothing is asked before it ends.
    pub idle: Duration,
}

/// An open port, which answers once it is served.
pub struct Gate {
    listener: StdListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    token: Token,
    options: GateOptions,
    limits: LiveOptions,
    use_: Use,
}

impl Gate {
    /// Opens a port of 127.0.0.1, which no other machine can reach; 0 is any that is free.
    pub fn bind(port: u16, options: GateOptions) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let limits = Arc::new(ArcSwap::from_pointee(ServerOptions::default()));
        let shared = Shared { token: Token::random(), options, limits, use_: Use::new() };
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// The page's address, with the token in the part that a browser sends nowhere.
    pub fn url(&self) -> String {
        format!("http://{}/#token={}", self.address, self.shared.token.text())
    }

    /// Answers until `shutdown`, or until nothing was asked for long. Must run in a Tokio runtime
    /// with I/O and time.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let shared = self.shared;
        // `arrived` bounds bodies.
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let ended = async {
            tokio::select! {
                () = shutdown => {}
                () = shared.use_.ended(shared.options.idle) => {}
            }
        };
        serve_port(listener, router, Arc::clone(&shared.limits), ended).await
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let mut response = match shared.answer(request).await {
        Ok(response) => response,
        Err(error) => refusal(error),
    };
    protect(&mut response);
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(error: ApiError) -> Response {
    let kind = error.kind;
    let status = StatusCode::from_u16(kind.http_status()).unwrap_or_default();
    let body = encode(&ErrorBody { error }).unwrap_or_default();
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    if kind == ErrorKind::Unauthorized {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    response
}

impl Shared {
    async fn answer(self: &Arc<Self>, request: Request) -> Result<Response, ApiError> {
        let has_body = !request.body().is_end_stream();
        let (parts, body) = request.into_parts();
        check_request(&parts, has_body, &[])?;
        let path = parts.uri.path();
        if !path.starts_with("/v1/") {
            let nothing = || format!("there is no path {path} here: only the page, and /v1");
            return page(&parts).ok_or_else(|| ApiError::new(ErrorKind::NotFound, nothing()));
        }
        let is_let_in = self.token.is_in(&parts.headers);
        if !is_let_in && !has_ticket(&parts) {
            let message = "the token of this page's address is missing, or is another's; \
                           'traildex web' prints the address";
            return Err(ApiError::new(ErrorKind::Unauthorized, message));
        }
        if self.options.is_read_only && !only_reads(&parts) {
            let message = "this page only reads: it was started with --read-only";
            return Err(ApiError::new(ErrorKind::Forbidden, message));
        }
        let used = is_let_in.then(|| self.used());
        let body = arrived(body, self.limits.load().read_timeout).await?;
        let answer = forward(&self.options.socket, &parts, body).await?;
        // A ticket that is none is no use.
        let used = used.or_else(|| answer.status().is_success().then(|| self.used()));
        // An answer that is still being read is one.
        Ok(answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _ = &used;
                frame
            }))
        }))
    }

    fn used(self: &Arc<Self>) -> Used {
        self.use_.running.fetch_add(1, Ordering::Relaxed);
        Used(Arc::clone(self))
    }
}

/// Whether a request is for a download that who has the token asked for: the daemon looks at the ticket.
fn has_ticket(request: &Parts) -> bool {
    let is_one = |query: &str| query.starts_with("ticket=") && !query.contains('&');
    request.method == Method::GET
        && request.uri.path() == "/v1/export"
        && request.uri.query().is_some_and(is_one)
}

/// Whether a request changes nothing. What is not known to be so may change something.
fn only_reads(request: &Parts) -> bool {
    let path = request.uri.path();
    let asks = || {
        let saved = path.strip_prefix("/v1/saved/").and_then(|rest| rest.strip_suffix("/search"));
        matches!(path, "/v1/search" | "/v1/export" | "/v1/export/ticket")
            || saved.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    };
    match request.method {
        Method::GET | Method::HEAD => true,
        Method::POST => asks(),
        _ => false,
    }
}

/// When something was asked last, and how much is being answered.
struct Use {
    running: AtomicUsize,
    last: RwLock<Instant>,
}

impl Use {
    fn new() -> Self {
        Self { running: AtomicUsize::new(0), last: RwLock::new(Instant::now()) }
    }

    /// Returns once nothing was asked for so long.
    async fn ended(&self, idle: Duration) {
        loop {
            let last = *self.last.read().unwrap_or_else(PoisonError::into_inner);
            let left = idle.saturating_sub(last.elapsed());
            let is_running = self.running.load(Ordering::Relaxed) > 0;
            if left.is_zero() && !is_running {
                return;
            }
            // While something runs, it is looked at again as soon as it could end.
            sleep(if left.is_zero() { idle } else { left }).await;
        }
    }
}

/// A request that is being answered.
struct Used(Arc<Shared>);

impl Drop for Used {
    fn drop(&mut self) {
        let mut last = self.0.use_.last.write().unwrap_or_else(PoisonError::into_inner);
        *last = Instant::now();
        drop(last);
        self.0.use_.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(method: &str, path: &str) -> bool {
        only_reads(&Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_a_download_has_a_ticket() {
        let has = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            has_ticket(&request.into_parts().0)
        };
        assert!(has("GET", "/v1/export?ticket=0"));
        for (method, path) in [
            ("POST", "/v1/export?ticket=0"),
            ("HEAD", "/v1/export?ticket=0"),
            ("GET", "/v1/export"),
            ("GET", "/v1/export?tickets=0"),
            ("GET", "/v1/export?ticket=0&q=*"),
            ("GET", "/v1/export/?ticket=0"),
            ("GET", "/v1/export/ticket?ticket=0"),
            ("GET", "/v1/search?ticket=0"),
            ("GET", "/v1/search?q=/v1/export?ticket=0"),
        ] {
            assert!(!has(method, path), "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_known_to_read_only_may_change_something() {
        for path in [
            "/v1/search",
            "/v1/export",
            "/v1/export/ticket",
            "/v1/saved/x/search",
            "/v1/saved/a%2Fb/search",
        ] {
            assert!(reads("POST", path), "{path}");
        }
        for path in [
            "/v1/status",
            "/v1/saved",
            "/v1/saved/x",
            "/v1/verify",
            "/v1/tail?q=*",
            "/v1/alerts",
            "/v1/alerts/changes?wait=9",
        ] {
            assert!(reads("GET", path), "{path}");
        }
        for (method, path) in [
            ("POST", "/v1/rebuild"),
            ("POST", "/v1/verify"),
            ("POST", "/v1/alerts"),
            ("POST", "/v1/saved//search"),
            ("POST", "/v1/saved/a/b/search"),
            ("POST", "/v1/saved/x"),
            ("POST", "/v1/search/"),
            ("PUT", "/v1/saved/x"),
            ("PUT", "/v1/search"),
            ("DELETE", "/v1/saved/x"),
            ("PATCH", "/v1/saved/x"),
        ] {
            assert!(!reads(method, path), "{method} {path}");
        }
    }
}
