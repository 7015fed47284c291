//! CloudTrail's LookupEvents on a loopback TCP port, for AWS's own tools.
//!
//! This crate never knows the index; it asks the same engine as the socket, through [`server::App`], under
//! the same limits. Entry points: [`bind`] opens the port, [`Keys`] holds the access keys that clients
//! may sign with, and [`serve`] answers until shutdown.
//!
//! In reading order: this file listens and maps a request to a response, `keys` and `sigv4` find out who
//! asks, `lookup` turns the request into a search, `shown` and `resources` present events as AWS does,
//! `error` names what goes wrong. The protocol is AWS JSON 1.1. Every response has a request id, which the
//! log names.

#![warn(missing_docs, unreachable_pub)]

mod error;
mod keys;
mod lookup;
mod resources;
mod shown;
mod sigv4;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tracing::{debug, warn};
use uuid::Uuid;

pub use self::keys::Keys;

use self::error::AwsError;
use self::keys::AccessKey;
use self::lookup::{Lookup, LookupRequest, Scope};
use self::sigv4::Authorization;
use server::{App, Client, Host, arrived_within, encode, harden, serve_port};
use wire::{ApiError, ErrorKind};

const SERVICE: &str = "cloudtrail";

/// Bytes of a request's body: one attribute of 2,000 characters as JSON escapes, each of two times six
/// bytes (`\ud83d\ude00`), and a token.
const BODY_BYTES_MAX: usize = 32 << 10;

const TARGET: &str = "x-amz-target";
/// The target that newer SDKs send; older ones put [`TARGET_PACKAGE`] before it.
const LOOKUP_EVENTS: &str = "CloudTrail_20131101.LookupEvents";
const TARGET_PACKAGE: &str = "com.amazonaws.cloudtrail.v20131101.";
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// Who is answered, and which events they see.
#[derive(Debug)]
pub struct AwsOptions {
    /// The access keys that requests must be signed with; None answers everyone who connects.
    pub keys: Option<Keys>,
    /// Whether a client sees only events of the region that it signs for.
    pub is_by_region: bool,
    /// Whether answers include data events, which AWS's own LookupEvents leaves out.
    pub has_data_events: bool,
}

/// Opens the port. The address must be a loopback one, because nothing is encrypted.
pub fn bind(address: SocketAddr) -> anyhow::Result<StdListener> {
    debug_assert!(address.ip().is_loopback(), "the configuration refuses others");
    let listener = StdListener::bind(address)
        .with_context(|| format!("cannot listen on {address} (`aws.listen`)"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers on the port until `shutdown`, as [`server::serve`] does on the socket.
pub async fn serve(
    listener: StdListener,
    app: App,
    options: AwsOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    tracing::info!(address = %listener.local_addr()?, "answering LookupEvents");
    let limits = app.live_options();
    let aws = Arc::new(Aws { app, options });
    // `read` bounds bodies.
    let router = Router::new().fallback(answer).with_state(aws);
    serve_port(listener, router, limits, shutdown).await
}

struct Aws {
    app: App,
    options: AwsOptions,
}

/// Answers one request, and counts, times and logs it.
async fn answer(State(aws): State<Arc<Aws>>, request: Request) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().to_string();
    let answered = aws.answer(request).await;
    let (mut response, error) = match answered {
        Ok(response) => (response, "none"),
        Err(error) => (response_of(&error), told(&error, &request_id)),
    };
    harden(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    let took = started.elapsed();
    metrics::counter!("traildex_aws_requests_total", "error" => error).increment(1);
    metrics::histogram!("traildex_aws_request_seconds").record(took);
    debug!(request_id, error, took_ms = took.as_secs_f64() * 1e3, "LookupEvents");
    response
}

fn response_of(error: &AwsError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or_default();
    let body = serde_json::json!({ "__type": error.name, "message": error.message });
    (status, body.to_string()).into_response()
}

fn told(error: &AwsError, request_id: &str) -> &'static str {
    let AwsError { name, status, message } = error;
    if *status >= 500 {
        warn!(request_id, status, error = name, message, "LookupEvents failed");
    } else {
        debug!(request_id, status, error = name, message, "LookupEvents refused");
    }
    name
}

impl Aws {
    async fn answer(&self, request: Request) -> Result<Response, AwsError> {
        let (parts, body) = request.into_parts();
        // As AWS does: what is asked comes before who asks.
        check_operation(&parts)?;
        // Nothing is held for whoever has no key, or an old request of somebody who has.
        let claim = self.claim(&parts)?;
        let body = self.read(body).await?;
        let client = claim.client(&parts);
        let scope = self.scope(&parts, claim, &body)?;
        let request: LookupRequest = serde_json::from_slice(&body)
            .map_err(|error| AwsError::serialization(error.to_string()))?;
        let lookup = Lookup::new(request, &scope)?;
        let has_token = lookup.has_token();
        let found = self.app.limited(move |engine, cancel| {
            let found = lookup.run(engine, cancel)?;
            Ok((encode(&found)?, found.warnings))
        });
        let (json, warnings) = found.await.map_err(|error| match error.kind {
            ErrorKind::BadRequest | ErrorKind::Gone if has_token => AwsError::invalid_token(),
            // Not the body's, which has arrived.
            ErrorKind::BadRequest => {
                AwsError { name: "InternalFailure", status: 500, message: error.message }
            }
            _ => error.into(),
        })?;
        let mut response = self.app.hold(&client, json.into_response()).await?;
        warn_in(response.headers_mut(), &warnings);
        Ok(response)
    }

    async fn read(&self, body: Body) -> Result<Vec<u8>, ApiError> {
        arrived_within(body, self.app.options().read_timeout, BODY_BYTES_MAX).await
    }

    /// Checks all of who asks that can be told without the body.
    fn claim(&self, request: &Parts) -> Result<Claim<'_>, AwsError> {
        let stated = Authorization::of(&request.headers);
        let Some(keys) = &self.options.keys else {
            check_site(request, &self.app.options().hosts)?;
            return Ok(Claim { stated: stated.ok(), key: None });
        };
        let stated = stated?;
        let key = keys.get(&stated.key_id).ok_or_else(|| {
            let message = "The security token included in the request is invalid.";
            AwsError::bad("UnrecognizedClientException", message)
        })?;
        stated.check_head(request, SERVICE, Timestamp::now())?;
        Ok(Claim { stated: Some(stated), key: Some(key) })
    }

    /// Authenticates the client and returns the events that it may see.
    fn scope(&self, request: &Parts, claim: Claim, body: &[u8]) -> Result<Scope, AwsError> {
        let Claim { stated, key } = claim;
        if let (Some(stated), Some(key)) = (&stated, key) {
            stated.verify(request, body, SERVICE, &key.secret, Timestamp::now())?;
        }
        let AwsOptions { is_by_region, has_data_events, .. } = self.options;
        Ok(Scope {
            region: stated.map(|stated| stated.region).filter(|_| is_by_region),
            accounts: key.and_then(|key| key.accounts.clone()),
            has_data_events,
        })
    }
}

/// Who a client says it is.
struct Claim<'k> {
    stated: Option<Authorization>,
    /// What it must have signed with; None where everyone is answered.
    key: Option<&'k AccessKey>,
}

impl Claim<'_> {
    /// Whose share it is that the answer counts for.
    fn client(&self, request: &Parts) -> Client {
        let client = request.extensions.get::<Client>().cloned().unwrap_or_else(Client::of_port);
        match (&self.stated, self.key) {
            (Some(stated), Some(_)) => client.with_key(&stated.key_id),
            _ => client,
        }
    }
}

fn check_operation(request: &Parts) -> Result<(), AwsError> {
    let target = request.headers.get(TARGET).map_or("", |target| target.to_str().unwrap_or("?"));
    if request.method != Method::POST || request.uri.path() != "/" || target.is_empty() {
        let message = "LookupEvents is a POST to / with an X-Amz-Target header.";
        return Err(AwsError::unknown_operation(404, message));
    }
    if target.strip_prefix(TARGET_PACKAGE).unwrap_or(target) == LOOKUP_EVENTS {
        return Ok(());
    }
    let message = "Of CloudTrail's operations, LookupEvents is answered here.";
    Err(AwsError::unknown_operation(400, message))
}

/// Without keys, a web page could have the browser of somebody on this machine ask.
fn check_site(request: &Parts, hosts: &[Host]) -> Result<(), AwsError> {
    server::check_site(request, hosts)
        .map_err(|error| AwsError::bad("AccessDeniedException", format!("Without keys, {error}")))
}

/// Why events may be missing, where AWS's tools look no further and people can.
fn warn_in(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings {
        if let Ok(warning) = HeaderValue::from_maybe_shared(Bytes::from(warning.clone())) {
            headers.append("x-traildex-warning", warning);
        }
    }
}
