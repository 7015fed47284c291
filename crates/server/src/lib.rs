//! The API: HTTP/1.1 with JSON on a Unix socket.
//!
//! This crate never knows the index; it asks a [`wire::engine::Engine`]. Entry points: [`bind`]
//! opens the socket, [`App`] holds the engine and the limits on searches, and [`serve`] answers
//! until shutdown.
//!
//! In reading order: `socket` opens the socket, `kept` puts it back, `connections` accepts and serves,
//! `stall` cuts off who does not read, `access` decides which users may ask and which may operate,
//! `refuse` answers those that may not, `client` is who asks, `budget` and `counted` bound what clients
//! make the daemon hold, `web` keeps other sites' pages away, `tickets` lets a
//! browser save an export, `secret` makes and compares what nobody may guess, `table` maps paths to handlers, `routes`
//! has the handlers, `request` reads a request, `ask` calls the engine, `answer` writes the response. Tokio's workers only move bytes; the engine runs
//! on blocking threads. Connections, running searches, waiting searches, heads, bodies and waits each
//! have a limit. Every response that is not a success carries a [`wire::ErrorBody`], except to requests
//! that are not HTTP: hyper answers those with a bare 400, 414 or 431. A panic of the engine fails one
//! request with a 500.

#![warn(missing_docs, unreachable_pub)]

mod access;
mod answer;
mod ask;
mod budget;
mod client;
mod connections;
mod counted;
mod export;
mod idle;
mod kept;
mod openapi;
mod refuse;
pub mod request;
mod routes;
pub mod secret;
mod socket;
mod stall;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod tickets;
mod web;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::service::TowerToHyperService;
use rustix::process::geteuid;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tracing::warn;

pub use self::access::{Access, NoSuchName, group_number};
pub use self::answer::{encode, harden};
pub use self::ask::{App, Page};
pub use self::client::Client;
pub use self::connections::serve_port;
pub use self::request::{arrived, arrived_within};
pub use self::socket::{Socket, bind, inherit};
pub use self::web::{Host, check_request, check_site};

use self::access::Peer;
use self::budget::Seats;
use self::connections::{ConnectionSlot, Connections};
use self::kept::KeptListener;
use self::refuse::Refusals;
use self::routes::router;

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Who may ask.
    pub access: Access,
    /// Hosts that requests may be for, beside `localhost` and loopback addresses.
    pub hosts: Vec<Host>,
    /// Open connections; further ones take the places of those that are idle, or wait. One user can have
    /// three quarters of them. Looked at when the server starts.
    pub connections_max: usize,
    /// Searches that run at once. Looked at when the server starts.
    pub searches_max: usize,
    /// Searches that wait for a turn; further ones are answered [`wire::ErrorKind::Busy`].
    pub queue_max: usize,
    /// Time that a search has, from the parsed request to the answer, waiting included.
    pub search_timeout: Duration,
    /// Time that a client has to send a request's head, and again for its body. An idle connection
    /// stays open for as long.
    pub read_timeout: Duration,
    /// How long a client may read nothing of an answer before it is cut off. What is held for it must be
    /// read at a least rate besides (`stall`).
    pub write_timeout: Duration,
    /// Time that running requests have to finish when the daemon stops.
    pub stop_grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            hosts: Vec::new(),
            connections_max: 160,
            searches_max: 4,
            queue_max: 64,
            search_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// Options that can be replaced while the server runs. Requests under way keep the ones that they
/// began with.
pub type LiveOptions = Arc<ArcSwap<ServerOptions>>;

/// Answers on the socket until `shutdown`. Then removes the socket, unless a service manager opened
/// it, lets running requests finish within the grace period, and cuts off the rest. Must run in a
/// Tokio runtime with I/O and time.
///
/// Returns an error only where `accept` keeps failing.
pub async fn serve(socket: Socket, app: App, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let listener = KeptListener::new(socket)?;
    let options = app.live_options();
    let mut connections = Connections::new(Arc::clone(&options));
    let service = TowerToHyperService::new(router(app));
    let refusals = Arc::new(Refusals::default());
    let seats = Seats::new(options.load().connections_max);
    let client = |stream: UnixStream, place: ConnectionSlot| {
        let (refusals, seats) = (Arc::clone(&refusals), Arc::clone(&seats));
        client(stream, place, service.clone(), Arc::clone(&options), refusals, seats)
    };
    let outcome = tokio::select! {
        outcome = connections.accept(&listener, client) => outcome,
        () = shutdown => Ok(()),
    };
    // Removed before the listener closes: a client finds no socket rather than a dead one.
    listener.remove();
    drop(listener);
    connections.end().await;
    outcome
}

/// Answers on a socket that is for processes of our own user and of root alone, with a router of somebody
/// else's, as [`serve`] does. The router's handlers bound bodies themselves.
pub async fn serve_own(
    socket: Socket,
    router: Router,
    options: LiveOptions,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = KeptListener::new(socket)?;
    let mut connections = Connections::new(options);
    let service = TowerToHyperService::new(router.layer(DefaultBodyLimit::disable()));
    let own = geteuid().as_raw();
    let client = |stream: UnixStream, place: ConnectionSlot| {
        let service = service.clone();
        async move {
            match stream.peer_cred() {
                Ok(peer) if [0, own].contains(&peer.uid()) => {
                    place.serve(stream, service, Client::of_user(peer.uid())).await;
                }
                Ok(peer) => warn!(user = peer.uid(), "closed a connection of another user"),
                Err(error) => warn!(%error, "cannot tell who connected; the connection is closed"),
            }
        }
    };
    let outcome = tokio::select! {
        outcome = connections.accept(&listener, client) => outcome,
        () = ended => Ok(()),
    };
    listener.remove();
    drop(listener);
    connections.end().await;
    outcome
}

/// Serves a client that may ask, and refuses another. One user leaves connections to others.
async fn client(
    stream: UnixStream,
    place: ConnectionSlot,
    service: TowerToHyperService<Router>,
    options: LiveOptions,
    refusals: Arc<Refusals>,
    seats: Arc<Seats>,
) {
    match who(&stream, &options).await {
        Ok((peer, true)) => {
            let client = Client::of_user(peer.user);
            if let Some(_seat) = seats.take(&client.holder) {
                place.serve(stream, service, client).await;
            } else {
                drop(place);
                refusals.turn_away(stream, peer).await;
            }
        }
        Ok((peer, false)) => {
            drop(place);
            refusals.refuse(stream, peer).await;
        }
        Err(error) => warn!(%error, "cannot tell who connected; the connection is closed"),
    }
}

/// The client, and whether it may ask.
async fn who(stream: &UnixStream, options: &LiveOptions) -> io::Result<(Peer, bool)> {
    let found = stream.peer_cred()?;
    let peer = Peer { user: found.uid(), group: found.gid() };
    let options = options.load_full();
    if options.access.is_open() {
        return Ok((peer, true));
    }
    let may_ask = spawn_blocking(move || options.access.allows(peer)).await?;
    Ok((peer, may_ask))
}
