//! Sends new events to a client as they come into the index, as server-sent events.
//!
//! After each commit, it asks the engine for the events behind a cursor. The `id` of each event
//! sent is the cursor behind it. A client that reconnects sends that back, and so misses no event
//! and gets none twice.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{StreamExt, iter, unfold};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::answer::{Answer, warn_in_head};
use crate::ask::App;
use crate::budget::Seat;
use crate::client::Client;
use wire::engine::Engine;
use wire::limits::TAIL_BATCH_EVENTS;
use wire::{ApiError, ErrorBody, ErrorKind, TailPage, TailRequest};

/// Between two looks at whether there was a commit.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Where nothing matches for so long, the client is told how far it is all the same.
const MARK_PAUSE: Duration = Duration::from_secs(15);

/// Between two tries while the daemon is busy.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// One client that is told.
struct Tail {
    app: App,
    request: TailRequest,
    /// What was asked for last, and the number of the commit then.
    page: Option<TailPage>,
    commits: u64,
    marked: Instant,
    has_ended: bool,
    _seat: Seat,
}

pub(crate) async fn tail(
    app: App,
    client: &Client,
    mut request: TailRequest,
    headers: &HeaderMap,
) -> Answer {
    let seat = app.tail_seat(client)?;
    // A client that connects again by itself has the first cursor in the address, and the last here.
    if let Some(last) = headers.get("last-event-id").and_then(|id| id.to_str().ok())
        && !last.is_empty()
    {
        request.cursor = Some(last.to_owned());
    }
    let commits = app.ask(Engine::commits).await?;
    // What is wrong with the request is answered before anything is streamed.
    let page = ask(&app, &request).await?;
    let warnings = page.warnings.clone();
    let marked = Instant::now();
    let tail =
        Tail { app, request, page: Some(page), commits, marked, has_ended: false, _seat: seat };
    let batches = unfold(tail, Tail::next);
    let events = batches.flat_map(iter).map(Ok::<_, Infallible>);
    let mut response: Response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(MARK_PAUSE)).into_response();
    warn_in_head(&mut response, &warnings);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn ask(app: &App, request: &TailRequest) -> Result<TailPage, ApiError> {
    let request = request.clone();
    app.limited(move |engine, cancel| engine.tail(&request, TAIL_BATCH_EVENTS, cancel)).await
}

impl Tail {
    /// The next events to send; none once there are no more.
    async fn next(mut self) -> Option<(Vec<Event>, Self)> {
        if self.has_ended {
            return None;
        }
        loop {
            match self.page().await {
                Ok(page) => {
                    let is_told = !page.hits.is_empty() || self.request.cursor.is_none();
                    let is_due = self.marked.elapsed() >= MARK_PAUSE;
                    self.request.cursor = Some(page.cursor.clone());
                    if is_told || is_due {
                        self.marked = Instant::now();
                        return Some((events(&page), self));
                    }
                }
                Err(error) if error.kind == ErrorKind::Busy => sleep(BUSY_PAUSE).await,
                Err(error) => {
                    warn!(%error, "a tail broke off");
                    self.has_ended = true;
                    let body = ErrorBody { error };
                    let event = Event::default().event("error").json_data(body);
                    return Some((event.into_iter().collect(), self));
                }
            }
        }
    }

    /// What came since, once there was a commit, or once the client is to be told how far it is.
    async fn page(&mut self) -> Result<TailPage, ApiError> {
        if let Some(page) = self.page.take() {
            self.has_more(&page);
            return Ok(page);
        }
        loop {
            let commits = self.app.ask(Engine::commits).await?;
            if commits != self.commits || self.marked.elapsed() >= MARK_PAUSE {
                self.commits = commits;
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
        let page = ask(&self.app, &self.request).await?;
        self.has_more(&page);
        Ok(page)
    }

    /// More is there already: as if there had been another commit.
    fn has_more(&mut self, page: &TailPage) {
        if page.has_more {
            self.commits = u64::MAX;
        }
    }
}

fn events(page: &TailPage) -> Vec<Event> {
    let mut events: Vec<Event> = page
        .hits
        .iter()
        .filter_map(|(cursor, hit)| Event::default().id(cursor).json_data(hit).ok())
        .collect();
    // Without data it is no event to the client, which notes the id.
    events.push(Event::default().id(&page.cursor));
    events
}
