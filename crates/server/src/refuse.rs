//! Answers connections that are not served: 403 where the user may not ask, 429 where the user has as
//! many connections as one may have. They have places of their own and one second, so they take
//! nothing from clients that are served. Each is counted; the log has a line of each kind every ten
//! seconds at most.

use std::sync::{Mutex, PoisonError};
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
    /// Of users that may not ask.
    strangers: Mutex<Log>,
    /// Of users that have their share.
    shares: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    last: Option<Instant>,
    left_out: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        let places = Semaphore::new(ANSWERED_MAX);
        Self { places, strangers: Mutex::default(), shares: Mutex::default() }
    }
}

impl Refusals {
    /// Tells the client, if it asks within a second, that it may not.
    pub(crate) async fn refuse(&self, stream: UnixStream, peer: Peer) {
        let Peer { user, group } = peer;
        metrics::counter!("traildex_http_refused_total", "reason" => "user").increment(1);
        if let Some(left_out) = due(&self.strangers) {
            warn!(user, group, left_out, "refused a client whose user may not ask");
        }
        let message = format!("user {user} may not ask this daemon");
        let suggestion = Some("socket.allowed_users or socket.allowed_groups".to_owned());
        let error = ApiError { suggestion, ..ApiError::new(ErrorKind::Forbidden, message) };
        self.answer(stream, error).await;
    }

    /// Tells a client, if it asks within a second, that its user has as many connections as one may.
    pub(crate) async fn turn_away(&self, stream: UnixStream, peer: Peer) {
        let Peer { user, .. } = peer;
        metrics::counter!("traildex_http_refused_total", "reason" => "share").increment(1);
        if let Some(left_out) = due(&self.shares) {
            warn!(user, left_out, "refused a connection: its user has as many as one user may");
        }
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
}

/// As [`Log::due`], now.
fn due(log: &Mutex<Log>) -> Option<u64> {
    log.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now())
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
