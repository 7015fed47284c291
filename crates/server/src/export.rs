//! Streams all results of a query, a page at a time. An export takes the memory of two pages, holds
//! no snapshot between pages, and waits for its turn like any search.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;

use crate::answer::Answer;
use crate::ask::App;
use crate::budget::Seat;
use crate::client::Client;
use crate::request::check_limit;
use formats::page::Exporter;
use wire::limits::{
    EXPORT_PAGE_EVENTS, EXPORT_ROWS_MAX, EXPORT_ROWS_STEP, PAGE_BYTES_MAX, SEARCH_LIMIT_MAX,
};
use wire::{ApiError, ErrorKind, ExportRequest, SearchResponse, Table};

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
}

enum Next {
    /// This page is found already.
    Page(Box<SearchResponse>),
    Cursor(String),
    End,
}

pub(crate) async fn export(app: App, client: &Client, request: ExportRequest) -> Answer {
    check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
    let seat = app.export_seat(client)?;
    let request = Arc::new(request);
    // What is wrong with the query is answered before anything is streamed.
    let limit = request.limit.unwrap_or(EXPORT_PAGE_EVENTS);
    let mut page = page(&app, &request, limit, request.cursor.clone()).await?;
    if page.is_cut {
        // Rows of groups, and events in another order than that of time, are no pages: all of them,
        // or an error. Of events, there are no more than a search returns.
        page = self::page(&app, &request, EXPORT_ROWS_MAX, None).await?;
        check_whole(&page)?;
    }
    let cursor = page.cursor.clone().filter(|_| request.limit.is_some());
    let content_type = Exporter::content_type(request.format);
    let mut exporter = Exporter::new(request.format, request.cursor.is_some());
    written(Ok(exporter.begin(&page)))?;
    let export = Export { app, request, exporter, next: Next::Page(Box::new(page)), _seat: seat };
    let body = Body::from_stream(try_unfold(Some(export), async |export| match export {
        Some(export) => export.go_on().await.map(Some),
        None => Ok::<_, ApiError>(None),
    }));
    let mut response: Response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    if let Some(cursor) = cursor.and_then(|cursor| cursor.try_into().ok()) {
        response.headers_mut().insert(CURSOR, cursor);
    }
    Ok(response)
}

fn check_whole(page: &SearchResponse) -> Result<(), ApiError> {
    if !page.is_cut {
        return Ok(());
    }
    let (message, suggestion) = match &page.table {
        Some(Table { rows_total, .. }) => (
            format!(
                "the query makes {rows_total} rows; an export of rows holds {EXPORT_ROWS_MAX} at most"
            ),
            "more conditions, or keys with fewer values",
        ),
        None => (
            format!(
                "the query sorts or dedups more events than an export of them holds, \
                 {SEARCH_LIMIT_MAX} events or {} MiB",
                PAGE_BYTES_MAX >> 20
            ),
            "more conditions, or the order of time, which has no such bound",
        ),
    };
    let suggestion = Some(suggestion.to_owned());
    Err(ApiError { suggestion, ..ApiError::new(ErrorKind::BadRequest, message) })
}

async fn page(
    app: &App,
    request: &ExportRequest,
    limit: usize,
    cursor: Option<String>,
) -> Result<SearchResponse, ApiError> {
    let search = Arc::new(request.page(limit, cursor));
    let mut tries = 0;
    loop {
        let search = Arc::clone(&search);
        match app.limited(move |engine, cancel| engine.search(&search, cancel)).await {
            Err(error) if error.kind == ErrorKind::Busy && tries < BUSY_TRIES => {
                tries += 1;
                sleep(BUSY_PAUSE).await;
            }
            found => return found,
        }
    }
}

impl Export {
    /// The next bytes, and what is left to do. An error breaks the answer off, so that no client takes
    /// it for whole.
    async fn go_on(mut self) -> Result<(Bytes, Option<Self>), ApiError> {
        let mut page = match self.next {
            Next::Page(page) => *page,
            Next::Cursor(cursor) => {
                let found = page(&self.app, &self.request, EXPORT_PAGE_EVENTS, Some(cursor)).await;
                found.inspect_err(|error| warn!(%error, "an export broke off"))?
            }
            Next::End => {
                let end = spawn_blocking(move || self.exporter.end()).await;
                return Ok((written(end)?.into(), None));
            }
        };
        let is_part = self.request.limit.is_some();
        self.next = match (rows_left(&mut page), page.cursor.clone().filter(|_| !is_part)) {
            (Some(rest), _) => Next::Page(rest),
            (None, Some(cursor)) => Next::Cursor(cursor),
            (None, None) => Next::End,
        };
        let written_page = spawn_blocking(move || {
            let bytes = self.exporter.page(&page);
            bytes.map(|bytes| (bytes, self))
        });
        let (bytes, left) = written(written_page.await)?;
        Ok((bytes.into(), Some(left)))
    }
}

/// Takes from a page of many rows those that are written later.
fn rows_left(page: &mut SearchResponse) -> Option<Box<SearchResponse>> {
    let table = page.table.as_mut().filter(|table| table.rows.len() > EXPORT_ROWS_STEP)?;
    let rows = table.rows.split_off(EXPORT_ROWS_STEP);
    let table = Table { rows, columns: table.columns.clone(), ..*table };
    let cursor = page.cursor.take();
    Some(Box::new(SearchResponse { table: Some(table), cursor, ..SearchResponse::default() }))
}

fn written<T>(outcome: Result<std::io::Result<T>, tokio::task::JoinError>) -> Result<T, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        warn!(%error, "an export broke off");
        ApiError::new(ErrorKind::Internal, format!("the export cannot be written: {error}"))
    };
    outcome.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}
