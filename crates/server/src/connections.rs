//! The connections of any kind of listener. They are accepted up to a limit, served within limits
//! on heads and waits, and ended within the grace period.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::LiveOptions;
use crate::client::Client;
use crate::stall::StallGuard;
use wire::limits::HEAD_BYTES_MAX;

/// Failures of `accept` in a row before the server gives up: with the pause, ten seconds. Running
/// out of descriptors heals when connections end.
const ACCEPT_FAILURES_MAX: u32 = 100;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener of sockets, Unix or TCP.
pub(crate) trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // An answer is one or two writes; its end must not wait for the client's acknowledgement.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The open connections of one listener, and its limit on them.
pub(crate) struct Connections {
    tasks: JoinSet<()>,
    options: LiveOptions,
    free: Arc<Semaphore>,
    stop: watch::Sender<()>,
}

/// One of a listener's places for connections. Dropping it frees the place.
pub(crate) struct ConnectionSlot {
    options: LiveOptions,
    /// Changes, by closing, when the server stops.
    stopping: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Starts without connections; `connections_max` is read now and never again.
    pub(crate) fn new(options: LiveOptions) -> Self {
        let free = Arc::new(Semaphore::new(options.load().connections_max));
        Self { tasks: JoinSet::new(), options, free, stop: watch::Sender::new(()) }
    }

    /// Hands each new connection to `client`, in a task of its own. Returns only when `accept`
    /// keeps failing, with its error.
    pub(crate) async fn accept<L: Listener, F: Future<Output = ()> + Send + 'static>(
        &mut self,
        listener: &L,
        client: impl Fn(L::Stream, ConnectionSlot) -> F,
    ) -> io::Result<()> {
        let mut failures = 0;
        loop {
            let permit = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
            match listener.next().await {
                Ok(stream) => {
                    failures = 0;
                    let place = ConnectionSlot {
                        options: Arc::clone(&self.options),
                        stopping: self.stop.subscribe(),
                        _permit: permit,
                    };
                    self.tasks.spawn(client(stream, place));
                }
                Err(error) if failures < ACCEPT_FAILURES_MAX => {
                    failures += 1;
                    warn!(%error, "cannot accept a connection; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Lets running requests finish within the grace period and cuts off the rest.
    pub(crate) async fn end(mut self) {
        drop(self.stop);
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.options.load().stop_grace, ending).await.is_err() {
            let connections = self.tasks.len();
            warn!(connections, "requests outlasted the grace period; cut off");
            self.tasks.shutdown().await;
        }
    }
}

/// Answers on a loopback port until `ended`, and then as [`Connections::end`] does. The router's handlers
/// bound bodies themselves.
///
/// Returns an error only where `accept` keeps failing.
pub async fn serve_port(
    listener: TcpListener,
    router: Router,
    options: LiveOptions,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut connections = Connections::new(options);
    let service = TowerToHyperService::new(router.layer(DefaultBodyLimit::disable()));
    let client = |stream: TcpStream, place: ConnectionSlot| {
        place.serve(stream, service.clone(), Client::of_port())
    };
    let outcome = tokio::select! {
        outcome = connections.accept(&listener, client) => outcome,
        () = ended => Ok(()),
    };
    drop(listener);
    connections.end().await;
    outcome
}

impl ConnectionSlot {
    /// Serves one client until it leaves, breaks a bound, or the server stops.
    pub(crate) async fn serve(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        service: TowerToHyperService<Router>,
        client: Client,
    ) {
        let _open = OpenConnection::count();
        let options = self.options.load_full();
        let stream =
            TokioIo::new(StallGuard::new(stream, options.write_timeout, Arc::clone(&client.place)));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(client.clone());
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.read_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = self.stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection broke off");
        }
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
