//! The paths of the socket.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::serve::desk::Desk;

/// Answers requests.
pub(crate) fn router(desk: &Arc<Desk>) -> Router {
    Router::new().route("/healthz", get(async || "{\"ok\":true}")).with_state(Arc::clone(desk))
}
