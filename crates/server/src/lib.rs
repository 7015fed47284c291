//! HTTP/1.1 with JSON over the Unix socket.
//!
//! In reading order: `socket` opens it, `connections` accepts and serves, `access` says whose they are,
//! `refuse` answers the others, `routes` maps paths to answers, `request` reads what was sent, `ask`
//! puts it to the engine, `answer` writes. Tokio's workers only move bytes; whatever the engine does
//! happens on blocking threads. Connections, running searches, waiting searches, heads, bodies and
//! waits each have a bound. Every answer that is not a success carries an [`ErrorBody`]; the exceptions are requests
//! that are not HTTP, which hyper answers with a bare 400, 414 or 431. An engine's panic is the 500
//! of one request.

#![warn(missing_docs, unreachable_pub)]

mod access;
mod answer;
mod ask;
mod connections;
mod export;
mod openapi;
mod refuse;
pub mod request;
mod routes;
mod socket;
mod stall;
mod table;
mod tail;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::spawn_blocking;
use tracing::warn;

pub use self::access::{Access, NoSuchName, group_number};
pub use self::answer::encode;
pub use self::ask::App;
pub use self::connections::{Connections, Place};
pub use self::request::arrived;
pub use self::socket::{Socket, bind, inherit};

use self::access::Peer;
use self::refuse::Refusals;
use self::routes::router;

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

/// Answers on the socket until `shutdown`, then removes it, unless it is the service manager's; lets
/// running requests finish within the grace period and cuts off the rest. Must run in a runtime with
/// I/O and time.
///
/// The error is an `accept` that keeps failing.
pub async fn serve(socket: Socket, app: App, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let listener = UnixListener::from_std(socket.listener)?;
    let options = app.live_options();
    let mut connections = Connections::new(Arc::clone(&options));
    let service = TowerToHyperService::new(router(app));
    let refusals = Arc::new(Refusals::default());
    let client = |stream: UnixStream, place: Place| {
        client(stream, place, service.clone(), Arc::clone(&options), Arc::clone(&refusals))
    };
    let outcome = tokio::select! {
        outcome = connections.accept(&listener, client) => outcome,
        () = shutdown => Ok(()),
    };
    // Removed before the listener closes: a client finds no socket rather than a dead one.
    if !socket.is_inherited
        && let Err(error) = fs::remove_file(&socket.path)
    {
        warn!(socket = %socket.path.display(), %error, "cannot remove the socket");
    }
    drop(listener);
    connections.end().await;
    outcome
}

/// Serves a client that may ask, and refuses another.
async fn client(
    stream: UnixStream,
    place: Place,
    service: TowerToHyperService<Router>,
    options: LiveOptions,
    refusals: Arc<Refusals>,
) {
    match stranger(&stream, &options).await {
        Ok(None) => place.serve(stream, service).await,
        Ok(Some(peer)) => {
            drop(place);
            refusals.refuse(stream, peer).await;
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
