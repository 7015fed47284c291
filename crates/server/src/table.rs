//! The routes of the API: one table of path, method, handler and OpenAPI text.
//!
//! A new route is a line here and a handler.

use axum::routing::{MethodRouter, delete, get, post, put};
use schemars::generate::SchemaGenerator;
use wire::{
    AlertChanges, AlertChangesRequest, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest,
    AlertsResponse, CoverageRequest, CoverageResponse, ErrorKind, ExportRequest, FieldsRequest,
    FieldsResponse, FilesRequest, FilesResponse, Hit, RebuildRequest, RebuildStatus, SavedRequest,
    SavedResponse, SavedSearch, SearchRequest, SearchResponse, Status, TailRequest, Ticket,
    TicketRequest, TraceRequest, TraceResponse, ValidateReport, ValuesRequest, ValuesResponse,
    VerifyStatus, WARNINGS_HEADER,
};

use crate::ask::App;
use crate::openapi::{JSON, Operation, object, of, ok, text};
use crate::routes;

/// One method of a path.
pub(crate) struct Route {
    /// In lower case, as OpenAPI writes it.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// OpenAPI's `operationId`.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) level: Level,
    pub(crate) handler: fn() -> MethodRouter<App>,
    pub(crate) describe: fn(Operation, &mut SchemaGenerator) -> Operation,
}

/// What a client must be allowed for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// To ask. What is saved has an owner besides, which the engine looks at.
    Asking,
    /// To operate: for what can lose evidence or takes the whole disk's time. The text says what, as
    /// in "may not rebuild the index".
    Operating(&'static str),
}

/// The errors of a route that takes a turn.
pub(crate) const OF_SEARCH: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::UnknownField,
    ErrorKind::BadRequest,
    ErrorKind::Gone,
    ErrorKind::TooLarge,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];
const OF_BODY: &[ErrorKind] = &[ErrorKind::BadRequest, ErrorKind::TooLarge];
const OF_QUERY: &[ErrorKind] = &[ErrorKind::BadRequest];
const OF_FINDING: &[ErrorKind] = &[
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];
const OF_REBUILD: &[ErrorKind] = &[
    ErrorKind::BadRequest,
    ErrorKind::TooLarge,
    ErrorKind::Conflict,
    ErrorKind::Damaged,
    ErrorKind::Io,
];
const OF_SAVING: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::TooLarge,
    ErrorKind::Conflict,
    ErrorKind::Io,
];
const OF_CHANGING: &[ErrorKind] =
    &[ErrorKind::BadRequest, ErrorKind::NotFound, ErrorKind::TooLarge, ErrorKind::Io];
const OF_LISTING: &[ErrorKind] = &[ErrorKind::BadRequest, ErrorKind::Busy, ErrorKind::Timeout];
const OF_NAME: &[ErrorKind] = &[ErrorKind::BadRequest, ErrorKind::NotFound];
const OF_SAVED: &[ErrorKind] = &[
    ErrorKind::BadQuery,
    ErrorKind::UnknownField,
    ErrorKind::BadRequest,
    ErrorKind::NotFound,
    ErrorKind::Gone,
    ErrorKind::TooLarge,
    ErrorKind::Busy,
    ErrorKind::Timeout,
    ErrorKind::Damaged,
    ErrorKind::Io,
];

const OF_WARNINGS: (&str, &str) = (
    WARNINGS_HEADER,
    "What the answer to a search has as `warnings`, as far as it is known at the beginning: a list of texts \
     as JSON in ASCII, of 3 KiB at most. Absent where there is nothing to tell.",
);
const OF_CURSOR: (&str, &str) = (
    "traildex-cursor",
    "Where the next part begins. Absent where nothing follows, and where the request has no `limit`.",
);
const OF_FILE: (&str, &str) =
    ("content-disposition", "`attachment`, with a name that tells the format.");

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "get",
        path: "/v1/search",
        id: "searchByUrl",
        summary: "What a query finds, or the rows that it makes.",
        level: Level::Asking,
        handler: || get(routes::search_by_url),
        describe: |operation, types| {
            operation
                .query(of::<SearchRequest>(types))
                .answers(of::<SearchResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "post",
        path: "/v1/search",
        id: "search",
        summary: "What a query finds, or the rows that it makes.",
        level: Level::Asking,
        handler: || post(routes::search_by_body),
        describe: |operation, types| {
            operation
                .body(of::<SearchRequest>(types))
                .answers(of::<SearchResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/events/{id}",
        id: "event",
        summary: "The events of an eventID, or the one of a `meta.id`.",
        level: Level::Asking,
        handler: || get(routes::event),
        describe: |operation, types| operation.answers(of::<SearchResponse>(types), OF_FINDING),
    },
    Route {
        method: "post",
        path: "/v1/export",
        id: "export",
        summary: "Everything that a query finds, streamed.",
        level: Level::Asking,
        handler: || post(routes::export),
        describe: |operation, types| {
            operation
                .body(of::<ExportRequest>(types))
                .answer(200, "application/x-ndjson", text())
                .answer(200, "text/csv", text())
                .answer(200, "application/vnd.apache.parquet", text())
                .headers(&[OF_WARNINGS, OF_CURSOR])
                .errors(OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/export",
        id: "exportByTicket",
        summary: "The export of a ticket, as a file to be saved, once.",
        level: Level::Asking,
        handler: || get(routes::export_by_ticket),
        describe: |operation, types| {
            operation
                .query(of::<TicketRequest>(types))
                .answer(200, "application/x-ndjson", text())
                .answer(200, "text/csv", text())
                .answer(200, "application/vnd.apache.parquet", text())
                .headers(&[OF_WARNINGS, OF_CURSOR, OF_FILE])
                .errors(OF_SEARCH)
        },
    },
    Route {
        method: "post",
        path: "/v1/export/ticket",
        id: "exportTicket",
        summary: "A ticket for an export, of use once and for a minute.",
        level: Level::Asking,
        handler: || post(routes::export_ticket),
        describe: |operation, types| {
            operation
                .body(of::<ExportRequest>(types))
                .answer(201, JSON, of::<Ticket>(types))
                .errors(OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/tail",
        id: "tail",
        summary: "Events as they come into the index, each a `Hit`, as server-sent events.",
        level: Level::Asking,
        handler: || get(routes::tail),
        describe: |operation, types| {
            operation
                .query(of::<TailRequest>(types))
                .answer(200, "text/event-stream", of::<Hit>(types))
                .headers(&[OF_WARNINGS])
                .errors(OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/fields",
        id: "fields",
        summary: "Which fields events have, and how many have them.",
        level: Level::Asking,
        handler: || get(routes::fields),
        describe: |operation, types| {
            operation
                .query(of::<FieldsRequest>(types))
                .answers(of::<FieldsResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/values",
        id: "values",
        summary: "The most frequent values of a field.",
        level: Level::Asking,
        handler: || get(routes::values),
        describe: |operation, types| {
            operation
                .query(of::<ValuesRequest>(types))
                .answers(of::<ValuesResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/trace",
        id: "trace",
        summary: "Where credentials came from, and what they made.",
        level: Level::Asking,
        handler: || get(routes::trace),
        describe: |operation, types| {
            operation
                .query(of::<TraceRequest>(types))
                .answers(of::<TraceResponse>(types), OF_FINDING)
        },
    },
    Route {
        method: "get",
        path: "/v1/alerts",
        id: "alerts",
        summary: "What detection rules found, and what became of it.",
        level: Level::Asking,
        handler: || get(routes::alerts),
        describe: |operation, types| {
            operation
                .query(of::<AlertsRequest>(types))
                .answers(of::<AlertsResponse>(types), OF_LISTING)
        },
    },
    Route {
        method: "post",
        path: "/v1/alerts",
        id: "changeAlerts",
        summary: "Acknowledges, closes or reopens alerts, and notes why.",
        level: Level::Asking,
        handler: || post(routes::change_alerts),
        describe: |operation, types| {
            operation
                .body(of::<AlertsChangeRequest>(types))
                .answers(of::<AlertsChangeResponse>(types), OF_CHANGING)
        },
    },
    Route {
        method: "get",
        path: "/v1/alerts/changes",
        id: "alertChanges",
        summary: "The changes of alerts behind a number; it can wait for one.",
        level: Level::Asking,
        handler: || get(routes::alert_changes),
        describe: |operation, types| {
            operation
                .query(of::<AlertChangesRequest>(types))
                .answers(of::<AlertChanges>(types), OF_QUERY)
        },
    },
    Route {
        method: "get",
        path: "/v1/saved",
        id: "savedSearches",
        summary: "All saved searches.",
        level: Level::Asking,
        handler: || get(routes::saved),
        describe: |operation, types| operation.answers(of::<SavedResponse>(types), OF_QUERY),
    },
    Route {
        method: "get",
        path: "/v1/saved/{name}",
        id: "savedSearch",
        summary: "One saved search.",
        level: Level::Asking,
        handler: || get(routes::saved_one),
        describe: |operation, types| operation.answers(of::<SavedSearch>(types), OF_NAME),
    },
    Route {
        method: "put",
        path: "/v1/saved/{name}",
        id: "saveSearch",
        summary: "Saves a search, or replaces it.",
        level: Level::Asking,
        handler: || put(routes::save),
        describe: |operation, types| {
            operation
                .body(of::<SavedSearch>(types))
                .answer(201, JSON, of::<SavedSearch>(types))
                .answers(of::<SavedSearch>(types), OF_SAVING)
        },
    },
    Route {
        method: "delete",
        path: "/v1/saved/{name}",
        id: "deleteSavedSearch",
        summary: "Removes a saved search.",
        level: Level::Asking,
        handler: || delete(routes::delete_saved),
        describe: |operation, types| operation.answers(of::<SavedSearch>(types), OF_SAVING),
    },
    Route {
        method: "post",
        path: "/v1/saved/{name}/search",
        id: "runSavedSearch",
        summary: "Searches with values for the parameters.",
        level: Level::Asking,
        handler: || post(routes::search_saved),
        describe: |operation, types| {
            operation
                .optional_body(of::<SavedRequest>(types))
                .answers(of::<SearchResponse>(types), OF_SAVED)
        },
    },
    Route {
        method: "get",
        path: "/v1/status",
        id: "status",
        summary: "What is indexed, and how far ingest is behind.",
        level: Level::Asking,
        handler: || get(routes::status),
        describe: |operation, types| operation.answers(of::<Status>(types), OF_QUERY),
    },
    Route {
        method: "get",
        path: "/v1/files",
        id: "files",
        summary: "What became of files, or sums of them.",
        level: Level::Asking,
        handler: || get(routes::files),
        describe: |operation, types| {
            operation
                .query(of::<FilesRequest>(types))
                .answers(of::<FilesResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/coverage",
        id: "coverage",
        summary: "What the archive can know: hours, trails and data events that were recorded.",
        level: Level::Asking,
        handler: || get(routes::coverage),
        describe: |operation, types| {
            operation
                .query(of::<CoverageRequest>(types))
                .answers(of::<CoverageResponse>(types), OF_SEARCH)
        },
    },
    Route {
        method: "get",
        path: "/v1/validate",
        id: "validation",
        summary: "What CloudTrail's digests say of the files of the index.",
        level: Level::Asking,
        handler: || get(routes::validation),
        describe: |operation, types| operation.answers(of::<ValidateReport>(types), OF_NAME),
    },
    Route {
        method: "get",
        path: "/v1/verify",
        id: "verification",
        summary: "The check that is running, and what the last one found.",
        level: Level::Asking,
        handler: || get(routes::verify),
        describe: |operation, types| operation.answers(of::<VerifyStatus>(types), OF_QUERY),
    },
    Route {
        method: "post",
        path: "/v1/verify",
        id: "verify",
        summary: "Starts a check of the index.",
        level: Level::Operating("check the index"),
        handler: || post(routes::start_verify),
        describe: |operation, types| {
            operation.answer(202, JSON, of::<VerifyStatus>(types)).errors(OF_BODY)
        },
    },
    Route {
        method: "post",
        path: "/v1/rebuild",
        id: "rebuild",
        summary: "Starts to make the index anew from the archive.",
        level: Level::Operating("rebuild the index"),
        handler: || post(routes::rebuild),
        describe: |operation, types| {
            operation
                .optional_body(of::<RebuildRequest>(types))
                .answer(202, JSON, of::<RebuildStatus>(types))
                .errors(OF_REBUILD)
        },
    },
    Route {
        method: "get",
        path: "/openapi.json",
        id: "openapi",
        summary: "This document.",
        level: Level::Asking,
        handler: || get(routes::openapi),
        describe: |operation, _| operation.answers(object(), OF_QUERY),
    },
    Route {
        method: "get",
        path: "/healthz",
        id: "health",
        summary: "Whether the daemon runs.",
        level: Level::Asking,
        handler: || get(routes::health),
        describe: |operation, _| operation.answers(ok(), OF_QUERY),
    },
    Route {
        method: "get",
        path: "/readyz",
        id: "ready",
        summary: "Whether searches are answered.",
        level: Level::Asking,
        handler: || get(routes::ready),
        describe: |operation, _| operation.answers(ok(), OF_QUERY),
    },
    Route {
        method: "get",
        path: "/metrics",
        id: "metrics",
        summary: "Metrics in Prometheus' text format.",
        level: Level::Asking,
        handler: || get(routes::metrics_text),
        describe: |operation, _| operation.answer(200, "text/plain", text()).errors(OF_QUERY),
    },
];
