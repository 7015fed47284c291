//! Puts questions to the engine: on blocking threads, a bounded number at a time, panics contained.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tracing::error;

use super::answer::{Answer, encode, with_json};
use super::request::check_limit;
use super::{LiveOptions, ServerOptions};
use crate::api::proto::{ApiError, ErrorKind, SearchRequest};
use crate::api::{Cancel, Engine, EngineSlot, timed_out};
use crate::limits::SEARCH_LIMIT_MAX;

/// What an engine gets past a search's deadline to notice it, before the client is answered anyway.
const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    engine: EngineSlot,
    options: LiveOptions,
    /// One for each search that runs.
    turns: Arc<Semaphore>,
    /// How many searches run or wait.
    places: Arc<AtomicUsize>,
}

impl App {
    pub fn new(engine: EngineSlot, options: LiveOptions) -> Self {
        let turns = Arc::new(Semaphore::new(options.load().searches_max));
        Self { engine, options, turns, places: Arc::default() }
    }

    /// The options as they are now.
    pub fn options(&self) -> Arc<ServerOptions> {
        self.options.load_full()
    }

    pub fn engine(&self) -> Result<Arc<dyn Engine>, ApiError> {
        let opening = || ApiError::new(ErrorKind::Unavailable, "the index is being opened");
        self.engine.get().cloned().ok_or_else(opening)
    }

    pub async fn search(&self, request: SearchRequest) -> Answer {
        check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
        self.limited(move |engine, cancel| engine.search(&request, cancel)).await
    }

    /// Asks what is always answered, however busy the searches are.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Engine) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let engine = self.engine()?;
        let asked = spawn_blocking(move || contain(|| question(&*engine)));
        asked.await.map_err(|_| stopping())?
    }

    /// Asks what costs: one of the places, a turn, and at most the search time-out.
    pub async fn limited<T: Serialize>(
        &self,
        question: impl FnOnce(&dyn Engine, &Cancel) -> Result<T, ApiError> + Send + 'static,
    ) -> Answer {
        let engine = self.engine()?;
        let cancel = Cancel::at(Instant::now() + self.options().search_timeout);
        // This future is dropped when its client leaves.
        let _hang_up = HangUpOnDrop(cancel.clone());
        let turn = self.turn(&cancel).await?;
        let polled = cancel.clone();
        let asked = spawn_blocking(move || {
            let answer = contain(|| question(&*engine, &polled).and_then(|it| encode(&it)));
            drop(turn);
            answer.flatten()
        });
        let body = timeout_at((cancel.deadline() + DEADLINE_SLACK).into(), asked)
            .await
            .map_err(|_| timed_out())?
            .map_err(|_| stopping())??;
        Ok(with_json(StatusCode::OK, body))
    }

    async fn turn(&self, cancel: &Cancel) -> Result<(Place, OwnedSemaphorePermit), ApiError> {
        let busy = |what| ApiError::new(ErrorKind::Busy, format!("{what}; try again in a second"));
        let place = self.place().map_err(busy)?;
        let turn = timeout_at(cancel.deadline().into(), self.turns.clone().acquire_owned())
            .await
            .map_err(|_| busy("the search waited for its turn until its deadline".into()))?
            .map_err(|_| stopping())?;
        Ok((place, turn))
    }

    fn place(&self) -> Result<Place, String> {
        let ServerOptions { searches_max, queue_max, .. } = *self.options();
        let more = |taken| (taken < searches_max + queue_max).then_some(taken + 1);
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(|_| Place(Arc::clone(&self.places)))
            .map_err(|_| format!("{searches_max} searches are running and {queue_max} waiting"))
    }
}

/// One of the places for searches that run or wait, given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct HangUpOnDrop(Cancel);

impl Drop for HangUpOnDrop {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

/// Makes a panic an error, counted and logged whether or not a client still waits for the answer.
fn contain<T>(work: impl FnOnce() -> T) -> Result<T, ApiError> {
    // Nothing of the request outlives it, and the engine's contract says that it may panic.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        metrics::counter!("traildex_http_panics_total").increment(1);
        error!(message = panic_message(&*panic), "a request panicked");
        ApiError::new(ErrorKind::Internal, "the daemon failed on this request; its log says how")
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn stopping() -> ApiError {
    ApiError::new(ErrorKind::Unavailable, "the daemon is stopping")
}
