//! Calls the engine on blocking threads, a bounded number at a time, and turns its panics into
//! errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tracing::{error, warn};

use super::{LiveOptions, ServerOptions};
use crate::answer::{Answer, encode, with_json};
use crate::budget::{Budget, Keeping, Seat, Seats, Taken};
use crate::client::Client;
use crate::request::check_limit;
use crate::tickets::Tickets;
use wire::engine::{Caller, Cancel, Engine, EngineSlot, OPERATORS, timed_out};
use wire::limits::{EXPORTS_MAX, SEARCH_LIMIT_MAX, TAILS_MAX, long_searches_max};
use wire::{ApiError, ErrorKind, SearchRequest};

/// What a search takes at most where others run or wait, ten times the usual. One that takes longer
/// begins again, among those that take long.
const SHORT: Duration = Duration::from_millis(50);

/// What an engine gets past a search's deadline to notice it, before the client is answered anyway.
const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// The state that all handlers share: engine, options and turns.
#[derive(Clone)]
pub struct App {
    engine: EngineSlot,
    options: LiveOptions,
    /// One for each search that runs.
    turns: Arc<Semaphore>,
    /// One for each search that runs longer than [`SHORT`], on threads of their own.
    long_turns: Arc<Semaphore>,
    /// What clients make the daemon hold for them.
    pub(crate) budget: Arc<Budget>,
    /// How many searches run or wait.
    places: Arc<AtomicUsize>,
    /// One for each export.
    exports: Arc<Seats>,
    /// What they keep of what they have found.
    pub(crate) keeping: Arc<Keeping>,
    /// One for each client that is told what comes in.
    tails: Arc<Seats>,
    /// Exports that a browser is to fetch.
    pub(crate) tickets: Arc<Tickets>,
    page: Option<Page>,
}

/// Answers requests for a page beside the API; None where the request is for something else.
pub type Page = fn(&Parts) -> Option<Response>;

impl App {
    /// Returns an app without requests under way; it answers [`ErrorKind::Unavailable`] until the
    /// slot holds an engine.
    pub fn new(engine: EngineSlot, options: LiveOptions) -> Self {
        let searches_max = options.load().searches_max;
        Self {
            engine,
            options,
            turns: Arc::new(Semaphore::new(searches_max)),
            long_turns: Arc::new(Semaphore::new(long_searches_max(searches_max))),
            budget: Arc::default(),
            places: Arc::default(),
            exports: Seats::new(EXPORTS_MAX),
            keeping: Arc::default(),
            tails: Seats::new(TAILS_MAX),
            tickets: Arc::default(),
            page: None,
        }
    }

    /// The same with a page on the paths that the API does not have.
    #[must_use]
    pub fn with_page(self, page: Page) -> Self {
        Self { page: Some(page), ..self }
    }

    pub(crate) fn page(&self, request: &Parts) -> Option<Response> {
        self.page.and_then(|page| page(request))
    }

    /// Returns the options as they are now.
    pub fn options(&self) -> Arc<ServerOptions> {
        self.options.load_full()
    }

    /// Returns the shared options, which change while the server runs.
    pub fn live_options(&self) -> LiveOptions {
        Arc::clone(&self.options)
    }

    /// The client as the engine knows it.
    pub(crate) fn caller(&self, client: &Client) -> Result<Caller, ApiError> {
        let caller = client.caller(&self.options().access);
        caller.ok_or_else(|| ApiError::new(ErrorKind::Forbidden, "who asks here is not known"))
    }

    /// Refuses a client that may ask, but not operate. `what` completes "may not …".
    pub(crate) fn check_operator(
        &self,
        client: Option<&Client>,
        what: &str,
    ) -> Result<(), ApiError> {
        let unknown = || ApiError::new(ErrorKind::Forbidden, "who asks here is not known");
        let Caller { uid, is_operator } = self.caller(client.ok_or_else(unknown)?)?;
        if is_operator {
            return Ok(());
        }
        warn!(uid, what, "refused an operation to a user who is no operator");
        let message = format!("user {uid} may ask, but may not {what}: {OPERATORS} may");
        Err(ApiError::new(ErrorKind::Forbidden, message))
    }

    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>, ApiError> {
        let opening = || ApiError::new(ErrorKind::Unavailable, "the index is being opened");
        self.engine.get().cloned().ok_or_else(opening)
    }

    pub(crate) async fn search(&self, request: SearchRequest) -> Answer {
        check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
        self.answer(move |engine, cancel| engine.search(&request, cancel)).await
    }

    /// Asks a cheap question, which never waits for a turn.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Engine) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let engine = self.engine()?;
        let asked = spawn_blocking(move || contain(|| question(&*engine)));
        asked.await.map_err(|_| stopping())?
    }

    /// Answers with what [`App::limited`] finds, as JSON.
    pub(crate) async fn answer<T: Serialize>(
        &self,
        question: impl Fn(&dyn Engine, &Cancel) -> Result<T, ApiError> + Send + Sync + 'static,
    ) -> Answer {
        let body = self.limited(move |engine, cancel| encode(&question(engine, cancel)?)).await?;
        Ok(with_json(StatusCode::OK, body))
    }

    /// Runs a search: it takes a place in the queue, waits for a turn, and ends at the search
    /// time-out. [`ErrorKind::Busy`] where the queue is full.
    pub async fn limited<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Engine, &Cancel) -> Result<T, ApiError> + Send + Sync + 'static,
    ) -> Result<T, ApiError> {
        let cancel = Cancel::at(Instant::now() + self.options().search_timeout);
        // This future is dropped when its client leaves.
        let _hang_up = HangUpOnDrop(cancel.clone());
        let _place = self.place().map_err(|what| busy(&what))?;
        let question = Arc::new(question);
        let turn = a_turn(&self.turns, &cancel).await?;
        let deadline = cancel.deadline();
        let short = cancel.making_way(SHORT, &self.places);
        let mut answer = self.attempt(Arc::clone(&question), short, turn).await;
        let made_way =
            |error: &ApiError| error.kind == ErrorKind::Timeout && Instant::now() < deadline;
        if answer.as_ref().is_err_and(made_way) {
            let turn = a_turn(&self.long_turns, &cancel).await?;
            answer = self.attempt(question, cancel.long(), turn).await;
        }
        answer
    }

    async fn attempt<T: Send + 'static>(
        &self,
        question: Arc<impl Fn(&dyn Engine, &Cancel) -> Result<T, ApiError> + Send + Sync + 'static>,
        cancel: Cancel,
        turn: OwnedSemaphorePermit,
    ) -> Result<T, ApiError> {
        let engine = self.engine()?;
        let deadline = cancel.deadline();
        let asked = spawn_blocking(move || {
            let answer = contain(|| question(&*engine, &cancel));
            drop(turn);
            answer.flatten()
        });
        let answer = timeout_at((deadline + DEADLINE_SLACK).into(), asked).await;
        answer.map_err(|_| timed_out())?.map_err(|_| stopping())?
    }

    /// Has the client hold its answer, which counts as unread for as long as it is in memory. An
    /// answer that is streamed is bounded as it is made.
    pub async fn hold(&self, client: &Client, answer: Response) -> Result<Response, ApiError> {
        let (head, body) = answer.into_parts();
        let bytes = match body.size_hint().exact() {
            Some(1..) => body.collect().await.map_err(|error| {
                ApiError::new(ErrorKind::Internal, format!("the answer cannot be read: {error}"))
            })?,
            _ => return Ok(Response::from_parts(head, body)),
        };
        let bytes = bytes.to_bytes();
        let taken = self.budget.take(&client.holder, &client.place, bytes.len());
        let taken = taken.ok_or_else(|| {
            busy("answers of as many bytes as there may be wait to be read by their clients")
        })?;
        let body = Body::from(Bytes::from_owner(Unread { bytes, _taken: taken }));
        Ok(Response::from_parts(head, body))
    }

    pub(crate) fn export_seat(&self, client: &Client) -> Result<Seat, ApiError> {
        let taken = "as many exports as there may be, or as one user may have, are running";
        self.exports.take(&client.holder).ok_or_else(|| busy(taken))
    }

    pub(crate) fn tail_seat(&self, client: &Client) -> Result<Seat, ApiError> {
        let taken = "as many clients as there may be, or as one user may have, are told what \
                     comes in";
        self.tails.take(&client.holder).ok_or_else(|| busy(taken))
    }

    fn place(&self) -> Result<QueueSlot, String> {
        let ServerOptions { searches_max, queue_max, .. } = *self.options();
        let more = |taken| (taken < searches_max + queue_max).then_some(taken + 1);
        self.places
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(|_| QueueSlot(Arc::clone(&self.places)))
            .map_err(|_| format!("{searches_max} searches are running and {queue_max} waiting"))
    }
}

/// An answer that its client has not read.
struct Unread {
    bytes: Bytes,
    _taken: Taken,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn busy(what: &str) -> ApiError {
    ApiError::new(ErrorKind::Busy, format!("{what}; try again in a second"))
}

async fn a_turn(turns: &Arc<Semaphore>, cancel: &Cancel) -> Result<OwnedSemaphorePermit, ApiError> {
    timeout_at(cancel.deadline().into(), Arc::clone(turns).acquire_owned())
        .await
        .map_err(|_| busy("the search waited for its turn until its deadline"))?
        .map_err(|_| stopping())
}

/// One of the places for searches that run or wait, given back when it is dropped.
struct QueueSlot(Arc<AtomicUsize>);

impl Drop for QueueSlot {
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
