//! The handlers of the API's paths.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use hyper::body::Body as _;
use tracing::debug;

use crate::answer::{Answer, Refusal, harden, json, with_json};
use crate::ask::App;
use crate::client::Client;
use crate::counted::Counted;
use crate::openapi::DOCUMENT;
use crate::request::{
    NoKeys, bad_request, check_bound, check_limit, from_body, from_optional_body, from_query_string,
};
use crate::table::{Level, ROUTES, Route};
use crate::web;
use formats::record::Record;
use formats::sentence::sentence;
use wire::engine::Engine;
use wire::limits::{
    CHANGES_LIMIT_MAX, CHANGES_WAIT_S_MAX, COVERAGE_GROUPS_MAX, FIELDS_LIMIT_DEFAULT,
    FIELDS_LIMIT_MAX, FILES_LIMIT_MAX, SEARCH_LIMIT_MAX, TRACE_CHILDREN_MAX, TRACE_DEPTH_MAX,
    VALUES_LIMIT_MAX,
};
use wire::{
    AlertChangesRequest, AlertsChangeRequest, AlertsRequest, ApiError, CoverageRequest, ErrorKind,
    FieldsRequest, FilesRequest, SavedRequest, SavedResponse, SavedSearch, TraceRequest,
    ValuesRequest,
};

/// Between two looks for changes of alerts, while a client waits for one.
const CHANGES_PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn router(app: App) -> Router {
    let router = ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, handler(route, &app)));
    router
        .fallback(other_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app.clone())
        // `request` bounds bodies itself.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(move |request, next| admit(app.clone(), request, next)))
        .layer(from_fn(observe))
}

/// A route's handler, behind the check of who may ask for it.
fn handler(route: &Route, app: &App) -> MethodRouter<App> {
    let handler = (route.handler)();
    let Level::Operating(what) = route.level else { return handler };
    let app = app.clone();
    // Before the body is read.
    handler.route_layer(from_fn(move |request: Request, next: Next| {
        let allowed = app.check_operator(request.extensions().get(), what);
        async move {
            match allowed {
                Ok(()) => next.run(request).await,
                Err(error) => Refusal(error).into_response(),
            }
        }
    }))
}

pub(crate) async fn search_by_body(State(app): State<App>, uri: Uri, body: Body) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    app.search(from_body(body, app.options().read_timeout).await?).await
}

pub(crate) async fn search_by_url(State(app): State<App>, uri: Uri) -> Answer {
    app.search(from_query_string(&uri)?).await
}

pub(crate) async fn event(
    State(app): State<App>,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let id = part(id)?;
    app.answer(move |engine, cancel| {
        let mut found = engine.event(&id, cancel)?;
        for hit in &mut found.hits {
            hit.meta.sentence = Some(sentence(hit, &Record::new(&hit.event), &hit.meta.time));
        }
        Ok(found)
    })
    .await
}

pub(crate) async fn export(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    uri: Uri,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let request = from_body(body, app.options().read_timeout).await?;
    crate::export::export(app, &client, request).await
}

pub(crate) async fn export_ticket(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    uri: Uri,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let request = from_body(body, app.options().read_timeout).await?;
    crate::tickets::ticket(app, &client, request).await
}

pub(crate) async fn export_by_ticket(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    uri: Uri,
) -> Answer {
    crate::tickets::use_ticket(app, &client, from_query_string(&uri)?).await
}

pub(crate) async fn tail(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    crate::tail::tail(app, &client, from_query_string(&uri)?, &headers).await
}

pub(crate) async fn alerts(State(app): State<App>, uri: Uri) -> Answer {
    let request: AlertsRequest = from_query_string(&uri)?;
    // Words are looked for in all of them, so it takes a turn.
    app.answer(move |engine, _| engine.alerts(&request)).await
}

pub(crate) async fn change_alerts(
    State(app): State<App>,
    uri: Uri,
    Extension(client): Extension<Client>,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let caller = app.caller(&client)?;
    let request: AlertsChangeRequest = from_body(body, app.options().read_timeout).await?;
    json(StatusCode::OK, &app.ask(move |engine| engine.change_alerts(caller, &request)).await??)
}

/// Waits for a change where there is none yet, and the client wants that.
pub(crate) async fn alert_changes(State(app): State<App>, uri: Uri) -> Answer {
    let request: AlertChangesRequest = from_query_string(&uri)?;
    check_limit(request.limit.unwrap_or_default(), CHANGES_LIMIT_MAX)?;
    check_bound("wait", Some(request.wait as usize), CHANGES_WAIT_S_MAX)?;
    let until = Instant::now() + Duration::from_secs(request.wait);
    let request = Arc::new(request);
    loop {
        let asked = Arc::clone(&request);
        let changes = app.ask(move |engine| engine.alert_changes(&asked)).await??;
        let is_new = changes.last < request.after;
        if !changes.changes.is_empty() || is_new || Instant::now() >= until {
            return json(StatusCode::OK, &changes);
        }
        tokio::time::sleep(CHANGES_PAUSE).await;
    }
}

pub(crate) async fn saved(State(app): State<App>, uri: Uri) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let saved = app.ask(Engine::saved).await?;
    json(StatusCode::OK, &SavedResponse { saved: BTreeMap::clone(&saved) })
}

pub(crate) async fn saved_one(
    State(app): State<App>,
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let name = part(name)?;
    match app.ask(Engine::saved).await?.get(&name) {
        Some(search) => json(StatusCode::OK, search),
        None => {
            Err(ApiError::new(ErrorKind::NotFound, format!("no search is saved as '{name}'"))
                .into())
        }
    }
}

pub(crate) async fn save(
    State(app): State<App>,
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
    Extension(client): Extension<Client>,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let name = part(name)?;
    let caller = app.caller(&client)?;
    let search: SavedSearch = from_body(body, app.options().read_timeout).await?;
    let save = move |engine: &dyn Engine| engine.save(caller, &name, &search);
    let (search, is_new) = app.ask(save).await??;
    json(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &search)
}

pub(crate) async fn delete_saved(
    State(app): State<App>,
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
    Extension(client): Extension<Client>,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let name = part(name)?;
    let caller = app.caller(&client)?;
    json(StatusCode::OK, &app.ask(move |engine| engine.delete_saved(caller, &name)).await??)
}

pub(crate) async fn search_saved(
    State(app): State<App>,
    uri: Uri,
    name: Result<Path<String>, PathRejection>,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let name = part(name)?;
    let request: SavedRequest = from_optional_body(body, app.options().read_timeout).await?;
    check_limit(request.limit.unwrap_or_default(), SEARCH_LIMIT_MAX)?;
    app.answer(move |engine, cancel| engine.search_saved(&name, &request, cancel)).await
}

/// The part of a path that is a name.
fn part(part: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(part) = part.map_err(|rejection| bad_request(rejection.body_text()))?;
    Ok(part)
}

pub(crate) async fn fields(State(app): State<App>, uri: Uri) -> Answer {
    let request: FieldsRequest = from_query_string(&uri)?;
    let limit = request.limit.unwrap_or(FIELDS_LIMIT_DEFAULT);
    check_limit(limit, FIELDS_LIMIT_MAX)?;
    let values = limit.saturating_mul(request.values.unwrap_or_default());
    if values > VALUES_LIMIT_MAX {
        let message = format!("limit times values is {values}; {VALUES_LIMIT_MAX} are the most");
        return Err(bad_request(message).into());
    }
    app.answer(move |engine, cancel| engine.fields(&request, cancel)).await
}

pub(crate) async fn values(State(app): State<App>, uri: Uri) -> Answer {
    let request: ValuesRequest = from_query_string(&uri)?;
    check_limit(request.limit.unwrap_or_default(), VALUES_LIMIT_MAX)?;
    app.answer(move |engine, cancel| engine.values(&request, cancel)).await
}

pub(crate) async fn trace(State(app): State<App>, uri: Uri) -> Answer {
    let request: TraceRequest = from_query_string(&uri)?;
    check_bound("depth", request.depth, TRACE_DEPTH_MAX)?;
    check_bound("children", request.children, TRACE_CHILDREN_MAX)?;
    app.answer(move |engine, cancel| trace::trace(engine, &request, cancel)).await
}

pub(crate) async fn status(State(app): State<App>, uri: Uri) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    json(StatusCode::OK, &app.ask(Engine::status).await?)
}

pub(crate) async fn files(State(app): State<App>, uri: Uri) -> Answer {
    let request: FilesRequest = from_query_string(&uri)?;
    check_limit(request.limit.unwrap_or_default(), FILES_LIMIT_MAX)?;
    app.answer(move |engine, cancel| engine.files(&request, cancel)).await
}

pub(crate) async fn coverage(State(app): State<App>, uri: Uri) -> Answer {
    let request: CoverageRequest = from_query_string(&uri)?;
    check_limit(request.limit.unwrap_or_default(), COVERAGE_GROUPS_MAX)?;
    app.answer(move |engine, cancel| engine.coverage(&request, cancel)).await
}

pub(crate) async fn validation(State(app): State<App>, uri: Uri) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    app.answer(move |engine, _| engine.validation()).await
}

pub(crate) async fn verify(State(app): State<App>, uri: Uri) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    json(StatusCode::OK, &app.ask(Engine::verify).await?)
}

pub(crate) async fn start_verify(
    State(app): State<App>,
    uri: Uri,
    Extension(client): Extension<Client>,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let caller = app.caller(&client)?;
    let NoKeys {} = from_optional_body(body, app.options().read_timeout).await?;
    json(StatusCode::ACCEPTED, &app.ask(move |engine| engine.start_verify(caller)).await?)
}

pub(crate) async fn rebuild(
    State(app): State<App>,
    uri: Uri,
    Extension(client): Extension<Client>,
    body: Body,
) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    let caller = app.caller(&client)?;
    let request = from_optional_body(body, app.options().read_timeout).await?;
    json(StatusCode::ACCEPTED, &app.ask(move |engine| engine.rebuild(caller, request)).await??)
}

pub(crate) async fn openapi(uri: Uri) -> Answer {
    let NoKeys {} = from_query_string(&uri)?;
    Ok(with_json(StatusCode::OK, DOCUMENT.as_bytes()))
}

pub(crate) async fn health() -> Answer {
    json(StatusCode::OK, &serde_json::json!({ "ok": true }))
}

pub(crate) async fn ready(State(app): State<App>) -> Answer {
    app.engine()?;
    json(StatusCode::OK, &serde_json::json!({ "ok": true }))
}

pub(crate) async fn metrics_text(State(app): State<App>) -> Answer {
    let text = app.ask(Engine::metrics).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// The page, or nothing.
async fn other_path(State(app): State<App>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    if let Some(answer) = app.page(&parts) {
        return Ok(answer);
    }
    let message = format!("there is no path {}", parts.uri.path());
    let suggestion = Some(paths().join(", "));
    Err(ApiError { suggestion, ..ApiError::new(ErrorKind::NotFound, message) }.into())
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("{} does not answer {method}", uri.path());
    ApiError::new(ErrorKind::MethodNotAllowed, message).into()
}

/// Every path, once.
fn paths() -> Vec<&'static str> {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    paths
}

/// Refuses what a page of another site may have caused, on every path, and counts what the client
/// makes the daemon hold.
async fn admit(app: App, request: Request, next: Next) -> Response {
    let has_body = !request.body().is_end_stream();
    let (parts, body) = request.into_parts();
    if let Err(error) = web::check_request(&parts, has_body, &app.options().hosts) {
        return Refusal(error).into_response();
    }
    let Some(client) = parts.extensions.get::<Client>().cloned() else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let (body, slot) = Counted::new(body, app.clone(), client.clone());
    let answer = next.run(Request::from_parts(parts, Body::new(body))).await;
    drop(slot);
    app.hold(&client, answer).await.unwrap_or_else(|error| Refusal(error).into_response())
}

/// Counts, times and logs every request.
async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // Few, so that a metric can be labelled with it.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = route.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    harden(&mut response);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    metrics::counter!("traildex_http_requests_total", "path" => path.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("traildex_http_request_seconds", "path" => path.clone()).record(took);
    debug!(%method, path, status, took_ms = took.as_secs_f64() * 1e3, "request");
    response
}
