//! The connections of any kind of listener. They are served up to a limit, within limits on heads and
//! waits, and ended within the grace period. Past the limit, idle ones give way (`idle`).

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
use crate::idle::{AnswerBody, Idle};
use crate::stall::StallGuard;
use wire::limits::HEAD_BYTES_MAX;

/// Failures of `accept` in a row before the server gives up: with the pause, ten seconds. Running
/// out of descriptors heals when connections end.
const ACCEPT_FAILURES_MAX: u32 = 100;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks for an idle connection, while a newcomer waits for a place.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A listener of sockets, Unix or TCP.
pub(crate) trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Looks whether clients still find it, where that can change; asked while none is accepted.
    fn look(&self) {}
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
    idle: Arc<Idle>,
    stop: watch::Sender<()>,
}

/// One of a listener's places for connections. Dropping it frees the place.
pub(crate) struct ConnectionSlot {
    options: LiveOptions,
    /// Changes, by closing, when the server stops.
    stopping: watch::Receiver<()>,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Starts without connections; `connections_max` is read now and never again.
    pub(crate) fn new(options: LiveOptions) -> Self {
        let free = Arc::new(Semaphore::new(options.load().connections_max));
        let (idle, stop) = (Arc::default(), watch::Sender::new(()));
        Self { tasks: JoinSet::new(), options, free, idle, stop }
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
            match listener.next().await {
                Ok(stream) => {
                    failures = 0;
                    let place = ConnectionSlot {
                        options: Arc::clone(&self.options),
                        stopping: self.stop.subscribe(),
                        idle: Arc::clone(&self.idle),
                        _permit: self.place(listener).await?,
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

    /// A place for a newcomer: a free one, or that of an idle connection.
    async fn place<L: Listener>(&self, listener: &L) -> io::Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(permit);
        }
        let mut free = pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            self.idle.give_up_oldest();
            listener.look();
            tokio::select! {
                permit = free.as_mut() => return permit.map_err(io::Error::other),
                () = sleep(LOOK_PAUSE) => {}
            }
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
    /// Serves one client until it leaves, breaks a bound, gives way to another while it asks nothing, or
    /// the server stops.
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
        let seat = self.idle.enter(&client.place);
        let asked = seat.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let answering = asked.begin();
            request.extensions_mut().insert(client.clone());
            let answer = service.call(request);
            async move { answer.await.map(|answer| answer.map(|body| AnswerBody::new(body, answering))) }
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
            () = seat.given_up() => {
                metrics::counter!("traildex_http_given_up_total").increment(1);
                debug!("an idle connection gave its place to another");
                Ok(())
            }
        };
        seat.leave();
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
