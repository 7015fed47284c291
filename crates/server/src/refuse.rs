//! Answers clients that may not ask with 403. They have places of their own and one second, so they
//! take nothing from clients that may ask. Each refusal is counted; the log has a line every ten
//! seconds at most.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::IntoResponse as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::access::Peer;
use crate::answer::{Refusal, harden};
use crate::ask::busy;
use wire::{ApiError, ErrorKind};

/// Refused clients that are answered at once; more of them find their connection closed. A client
/// that asks at once is answered within a millisecond.
const ANSWERED_MAX: usize = 16;

/// From the connection to the end of the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// hyper's least.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Between two lines of the log: a client that tries in a loop must not fill it.
const LOG_PAUSE: Duration = Duration::from_secs(10);

pub(crate) struct Refusals {
    places: Semaphore,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    last: Option<Instant>,
    left_out: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { places: Semaphore::new(ANSWERED_MAX), log: Mutex::default() }
    }
}

impl Refusals {
    /// Tells the client, if it asks within a second, that it may not.
    pub(crate) async fn refuse(&self, stream: UnixStream, peer: Peer) {
        metrics::counter!("traildex_http_refused_total").increment(1);
        self.tell(peer);
        let message = format!("user {} may not ask this daemon", peer.user);
        let suggestion = Some("socket.allowed_users or socket.allowed_groups".to_owned());
        let error = ApiError { suggestion, ..ApiError::new(ErrorKind::Forbidden, message) };
        self.answer(stream, error).await;
    }

    /// Tells a client, if it asks within a second, that its user has as many connections as one may.
    pub(crate) async fn turn_away(&self, stream: UnixStream) {
        self.answer(stream, busy("as many connections as one user may have are open")).await;
    }

    async fn answer(&self, stream: UnixStream, error: ApiError) {
        let Ok(_place) = self.places.try_acquire() else { return };
        let service = Router::new().fallback(async || {
            let mut response = Refusal(error).into_response();
            harden(&mut response);
            response
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        match timeout(ANSWER_WITHIN, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a refused connection broke off"),
            Err(_) => debug!("a refused client asked nothing"),
        }
    }

    fn tell(&self, peer: Peer) {
        if let Some(left_out) = self.log().due(Instant::now()) {
            let Peer { user, group } = peer;
            warn!(user, group, left_out, "refused a client whose user may not ask");
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// How many lines were left out since the last one, if one is due.
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < LOG_PAUSE) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_says_how_many_it_stands_for() {
        let start = Instant::now();
        let mut log = Log::default();
        let at = |log: &mut Log, seconds| log.due(start + Duration::from_secs(seconds));
        assert_eq!(at(&mut log, 0), Some(0));
        assert_eq!((at(&mut log, 1), at(&mut log, 9)), (None, None));
        assert_eq!(at(&mut log, 10), Some(2));
        assert_eq!((at(&mut log, 11), at(&mut log, 20)), (None, Some(1)));
    }
}
