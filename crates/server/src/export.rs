//! Streams all results of a query, a page at a time. An export takes the memory of two pages, holds
//! no snapshot between pages, and waits for its turn like any search.
//!
//! Rows, and events in another order than that of time, are found at once, and what does not fit the
//! first page is kept. All exports share the memory for that, so a client that keeps some of it must read
//! at a least rate, and a search that finds more than is left is refused with how much others have.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;

use crate::answer::{Answer, warn_in_head};
use crate::ask::{App, busy};
use crate::budget::{Kept, Seat};
use crate::client::Client;
use crate::request::check_limit;
use formats::page::{Exporter, Kinds};
use wire::engine::{Cancel, Engine};
use wire::limits::{EXPORT_PAGE_EVENTS, EXPORTS_KEPT_BYTES_MAX, SEARCH_LIMIT_MAX};
use wire::{ApiError, ErrorKind, ExportFormat, ExportRequest, Rest, SearchRequest, SearchResponse};

/// Where the next part begins.
const CURSOR: HeaderName = HeaderName::from_static("traildex-cursor");

/// Between two tries of a page while the daemon is busy, and how many there are: a minute.
const BUSY_PAUSE: Duration = Duration::from_millis(500);
const BUSY_TRIES: u32 = 120;

/// An export under way.
struct Export {
    app: App,
    request: Arc<ExportRequest>,
    exporter: Exporter,
    next: Next,
    _seat: Seat,
    /// For as long as there is something.
    kept: Option<Kept>,
}

enum Next {
    /// This page is found already.
    Page(Box<SearchResponse>),
    Cursor(String),
    /// More of what was found at once: rows, or events in another order than that of time.
    Rest(Rest),
    End,
}

pub(crate) async fn export(app: App, client: &Client, request: ExportRequest) -> Answer {
    check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
    let seat = app.export_seat(client)?;
    let request = Arc::new(request);
    // What is wrong with the query is answered before anything is streamed.
    let (page, kept) = first_page(&app, client, &request).await?;
    let cursor = page.cursor.clone().filter(|_| request.limit.is_some());
    let warnings = page.warnings.clone();
    let content_type = Exporter::content_type(request.format);
    let mut exporter = Exporter::new(request.format, request.cursor.is_some());
    match (request.format, &page.rest, &page.table) {
        (ExportFormat::Parquet, Some(rest), Some(_)) => {
            let kinds = kinds_of_rows(&app, &page, rest.clone()).await?;
            written(Ok(exporter.begin(&kinds)))?;
        }
        _ => written(Ok(exporter.begin(&page)))?,
    }
    let next = Next::Page(Box::new(page));
    let export = Export { app, request, exporter, next, _seat: seat, kept };
    let body = Body::from_stream(try_unfold(Some(export), async |export| match export {
        Some(export) => export.go_on().await.map(Some),
        None => Ok::<_, ApiError>(None),
    }));
    let mut response: Response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    warn_in_head(&mut response, &warnings);
    if let Some(cursor) = cursor.and_then(|cursor| cursor.try_into().ok()) {
        response.headers_mut().insert(CURSOR, cursor);
    }
    Ok(response)
}

/// The first page, and what is kept beyond it. That takes its memory while the search has its turn.
async fn first_page(
    app: &App,
    client: &Client,
    request: &ExportRequest,
) -> Result<(SearchResponse, Option<Kept>), ApiError> {
    let limit = request.limit.unwrap_or(EXPORT_PAGE_EVENTS);
    let search = SearchRequest {
        keeps: Some(request.limit.unwrap_or(usize::MAX)),
        ..request.page(limit, request.cursor.clone())
    };
    let (keeping, place) = (Arc::clone(&app.keeping), Arc::clone(&client.place));
    let found = asked(app, move |engine, cancel| {
        let page = engine.search(&search, cancel)?;
        let bytes = page.rest.as_ref().map(|rest| rest.bytes);
        let kept = bytes.map(|bytes| {
            keeping.take(&place, bytes).map_err(|by_others| all_is_kept(bytes, by_others))
        });
        // A refusal is no reason to search again.
        Ok(kept.transpose().map(|kept| (page, kept)))
    });
    found.await?
}

fn all_is_kept(wanted: usize, by_others: usize) -> ApiError {
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    busy(&format!(
        "this export would keep {} MiB of rows, or of places of events that are sorted or deduplicated, and \
         others keep {} of {} MiB until their clients have read them",
        mib(wanted),
        mib(by_others),
        mib(EXPORTS_KEPT_BYTES_MAX)
    ))
}

async fn search(app: &App, search: SearchRequest) -> Result<SearchResponse, ApiError> {
    asked(app, move |engine, cancel| engine.search(&search, cancel)).await
}

async fn more(app: &App, rest: Rest) -> Result<SearchResponse, ApiError> {
    asked(app, move |engine, cancel| engine.more(&rest, EXPORT_PAGE_EVENTS, cancel)).await
}

/// Asks until there is a turn, and somewhat longer than a client of searches would.
async fn asked<T: Send + 'static>(
    app: &App,
    ask: impl Fn(&dyn Engine, &Cancel) -> Result<T, ApiError> + Send + Sync + 'static,
) -> Result<T, ApiError> {
    let ask = Arc::new(ask);
    let mut tries = 0;
    loop {
        let ask = Arc::clone(&ask);
        match app.limited(move |engine, cancel| ask(engine, cancel)).await {
            Err(error) if error.kind == ErrorKind::Busy && tries < BUSY_TRIES => {
                tries += 1;
                sleep(BUSY_PAUSE).await;
            }
            found => return found,
        }
    }
}

/// A table with every kind of value that each column has in any row.
async fn kinds_of_rows(
    app: &App,
    first: &SearchResponse,
    rest: Rest,
) -> Result<SearchResponse, ApiError> {
    let mut kinds = Kinds::default();
    kinds.add(first);
    let mut next = Some(rest);
    while let Some(rest) = next {
        let page = more(app, rest).await?;
        kinds.add(&page);
        next = page.rest;
    }
    Ok(kinds.into_page())
}

impl Export {
    /// The next bytes, and what is left to do. An error breaks the answer off, so that no client takes
    /// it for whole.
    async fn go_on(mut self) -> Result<(Bytes, Option<Self>), ApiError> {
        let mut page = match self.next {
            Next::Page(page) => *page,
            Next::Cursor(cursor) => {
                let next = self.request.page(EXPORT_PAGE_EVENTS, Some(cursor));
                let found = search(&self.app, next).await;
                found.inspect_err(|error| warn!(%error, "an export broke off"))?
            }
            Next::Rest(rest) => {
                let found = more(&self.app, rest).await;
                found.inspect_err(|error| warn!(%error, "an export broke off"))?
            }
            Next::End => {
                let end = spawn_blocking(move || self.exporter.end()).await;
                return Ok((written(end)?.into(), None));
            }
        };
        let is_part = self.request.limit.is_some();
        self.next = match (page.rest.take(), page.cursor.clone().filter(|_| !is_part)) {
            (Some(rest), _) => Next::Rest(rest),
            (None, Some(cursor)) => Next::Cursor(cursor),
            (None, None) => Next::End,
        };
        if !matches!(self.next, Next::Rest(_)) {
            self.kept = None;
        }
        let written_page = spawn_blocking(move || {
            let bytes = self.exporter.page(&page);
            bytes.map(|bytes| (bytes, self))
        });
        let (bytes, left) = written(written_page.await)?;
        Ok((bytes.into(), Some(left)))
    }
}

fn written<T>(outcome: Result<std::io::Result<T>, tokio::task::JoinError>) -> Result<T, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        warn!(%error, "an export broke off");
        ApiError::new(ErrorKind::Internal, format!("the export cannot be written: {error}"))
    };
    outcome.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}
