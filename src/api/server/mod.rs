//! HTTP/1.1 with JSON over the Unix socket.
//!
//! In reading order: `socket` opens it, this file accepts and serves connections, `access` says whose,
//! `refuse` answers the others, `routes` maps paths to answers, `request` reads what was sent, `ask`
//! puts it to the engine, `answer` writes. Tokio's workers only move bytes; whatever the engine does
//! happens on blocking threads. Connections, running searches, waiting searches, heads, bodies and
//! waits each have a bound. Every answer that is not a success carries an [`ErrorBody`]; the exceptions are requests
//! that are not HTTP, which hyper answers with a bare 400, 414 or 431. An engine's panic is the 500
//! of one request.

mod access;
mod answer;
mod ask;
mod export;
mod openapi;
mod refuse;
pub mod request;
mod routes;
mod socket;
mod stall;
mod tail;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

pub use self::access::{Access, NoSuchName, group_number};
pub use self::socket::{Socket, bind, inherit};

use self::access::Peer;
use self::ask::App;
use self::refuse::Refusals;
use self::routes::router;
use self::stall::StallGuard;
use super::EngineSlot;

/// What a person may want to change of the server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Who may ask.
    pub access: Access,
    /// Open connections; further ones wait to be accepted. Looked at when the server starts.
    pub connections_max: usize,
    /// Searches that run at once. Looked at when the server starts.
    pub searches_max: usize,
    /// Searches that wait for one of those; further ones are answered [`ErrorKind::Busy`].
    pub queue_max: usize,
    /// From the parsed request to the answer, waiting included.
    pub search_timeout: Duration,
    /// For a request's head, and then for its body. Also how long an idle connection stays open.
    pub read_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// What running requests get to finish when the daemon stops.
    pub stop_grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            connections_max: 256,
            searches_max: 4,
            queue_max: 64,
            search_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// Options that may be exchanged while the server runs; what is under way goes on with those it began
/// with.
pub type LiveOptions = Arc<ArcSwap<ServerOptions>>;

/// Bytes of a request's head that are buffered. A query of [`crate::limits::QUERY_BYTES_MAX`] does
/// not fit a URI (hyper's bound is 64 KiB encoded); such a one is sent by `POST`.
const HEAD_BYTES_MAX: usize = 128 << 10;

/// Failures of `accept` in a row before the server gives up: with the pause, ten seconds. Running
/// out of descriptors heals when connections end.
const ACCEPT_FAILURES_MAX: u32 = 100;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on the socket until `shutdown`, then removes it, unless it is the service manager's; lets
/// running requests finish within the grace period and cuts off the rest. Must run in a runtime with
/// I/O and time.
///
/// The error is an `accept` that keeps failing.
pub async fn serve(
    socket: Socket,
    engine: EngineSlot,
    options: LiveOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(socket.listener)?;
    let (stop, stopping) = watch::channel(());
    let server = Server {
        service: TowerToHyperService::new(router(App::new(engine, Arc::clone(&options)))),
        options,
        refusals: Arc::default(),
        stopping,
    };
    let mut connections = JoinSet::new();
    let outcome = tokio::select! {
        outcome = accept(&listener, &server, &mut connections) => outcome,
        () = shutdown => Ok(()),
    };
    // Removed before the listener closes: a client finds no socket rather than a dead one.
    if !socket.is_inherited
        && let Err(error) = fs::remove_file(&socket.path)
    {
        warn!(socket = %socket.path.display(), %error, "cannot remove the socket");
    }
    drop(listener);
    drop(stop);
    let ending = async { while connections.join_next().await.is_some() {} };
    if timeout(server.options.load().stop_grace, ending).await.is_err() {
        warn!(connections = connections.len(), "requests outlasted the grace period; cut off");
        connections.shutdown().await;
    }
    outcome
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    service: TowerToHyperService<Router>,
    options: LiveOptions,
    refusals: Arc<Refusals>,
    /// Changes, by closing, when the server stops.
    stopping: watch::Receiver<()>,
}

async fn accept(
    listener: &UnixListener,
    server: &Server,
    connections: &mut JoinSet<()>,
) -> io::Result<()> {
    let free = Arc::new(Semaphore::new(server.options.load().connections_max));
    let mut failures = 0;
    loop {
        let permit = free.clone().acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => {
                failures = 0;
                connections.spawn(client(stream, server.clone(), permit));
            }
            Err(error) if failures < ACCEPT_FAILURES_MAX => {
                failures += 1;
                warn!(%error, "cannot accept a connection; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves a client that may ask, and refuses another.
async fn client(stream: UnixStream, server: Server, permit: OwnedSemaphorePermit) {
    match stranger(&stream, &server.options).await {
        Ok(None) => connection(stream, server, permit).await,
        Ok(Some(peer)) => {
            drop(permit);
            server.refusals.refuse(stream, peer).await;
        }
        Err(error) => warn!(%error, "cannot tell who connected; the connection is closed"),
    }
}

/// The client, if it may not ask.
async fn stranger(stream: &UnixStream, options: &LiveOptions) -> io::Result<Option<Peer>> {
    let options = options.load_full();
    if options.access.is_open() {
        return Ok(None);
    }
    let found = stream.peer_cred()?;
    let peer = Peer { user: found.uid(), group: found.gid() };
    let may_ask = spawn_blocking(move || options.access.allows(peer)).await?;
    Ok((!may_ask).then_some(peer))
}

/// Serves one client until it leaves, breaks a bound, or the server stops.
async fn connection(stream: UnixStream, mut server: Server, _permit: OwnedSemaphorePermit) {
    let _open = OpenConnection::count();
    let options = server.options.load_full();
    let stream = TokioIo::new(StallGuard::new(stream, options.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.read_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(stream, server.service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = server.stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
    }
}

/// Keeps the gauge of open connections right, however a connection ends.
struct OpenConnection;

impl OpenConnection {
    fn count() -> Self {
        metrics::gauge!("traildex_http_connections").increment(1.0);
        Self
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!("traildex_http_connections").decrement(1.0);
    }
}
