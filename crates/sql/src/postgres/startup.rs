//! What a connection is made of: how a client proves who it is, who answers it, and who stops what it runs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::ScramAuth;
use datafusion_postgres::pgwire::api::auth::{DefaultServerParameterProvider, StartupHandler};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::{ConnectionManager, PgWireServerHandlers};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;

use super::cancel::{Cancels, key};
use super::catalog;
use super::passwords::{ITERATIONS, Passwords};
use super::service::Service;
use crate::serve::queries::Queries;

/// What connections share.
pub(super) struct Server {
    pub(super) queries: Arc<Queries>,
    pub(super) catalog: catalog::Shared,
    pub(super) passwords: Arc<Passwords>,
    pub(super) manager: Arc<ConnectionManager>,
    pub(super) cancels: Cancels,
}

/// The handlers of one connection.
pub(super) struct Connection {
    service: Arc<Service>,
    server: Arc<Server>,
}

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { service: Arc::new(Service::new(Arc::clone(&server))), server }
    }

    /// Forgets what the connection could be stopped by.
    pub(super) fn end(&self, stopped_by: (i32, SecretKey)) {
        self.server.cancels.end(&key(stopped_by));
    }

    /// What answers statements of both kinds.
    pub(super) fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
    }
}

impl PgWireServerHandlers for Connection {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.service()
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        self.service()
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let mut scram = ScramAuth::new(Arc::clone(&self.server.passwords) as _);
        scram.set_iterations(ITERATIONS);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        let startup = SASLAuthStartupHandler::new(Arc::new(parameters))
            .with_scram(scram)
            .with_connection_manager(Arc::clone(&self.server.manager));
        Arc::new(startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(Stop(Arc::clone(&self.server)))
    }
}

/// Stops what another connection runs, if its key is known.
struct Stop(Arc<Server>);

#[async_trait]
impl CancelHandler for Stop {
    async fn on_cancel_request(&self, request: CancelRequest) {
        self.0.manager.cancel(request.pid, &request.secret_key).await;
        self.0.cancels.stop(&key((request.pid, request.secret_key)));
    }
}
