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

use super::passwords::{ITERATIONS, Passwords};
use super::service::{Running, Service, key};
use crate::SqlError;
use crate::serve::desk::Desk;

/// What connections share.
pub(super) struct Handlers {
    pub(super) desk: Arc<Desk>,
    pub(super) passwords: Arc<Passwords>,
    pub(super) manager: Arc<ConnectionManager>,
    pub(super) running: Arc<Running>,
}

impl Handlers {
    /// The handlers of one connection.
    pub(super) async fn connection(self) -> Result<Connection, SqlError> {
        let service = Service::new(Arc::clone(&self.desk), Arc::clone(&self.running)).await?;
        Ok(Connection { service: Arc::new(service), shared: self })
    }
}

/// See the module's documentation.
pub(super) struct Connection {
    service: Arc<Service>,
    shared: Handlers,
}

impl Connection {
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
        let mut scram = ScramAuth::new(Arc::clone(&self.shared.passwords) as _);
        scram.set_iterations(ITERATIONS);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        let startup = SASLAuthStartupHandler::new(Arc::new(parameters))
            .with_scram(scram)
            .with_connection_manager(Arc::clone(&self.shared.manager));
        Arc::new(startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(Stop {
            manager: Arc::clone(&self.shared.manager),
            running: Arc::clone(&self.shared.running),
        })
    }
}

/// Stops what another connection runs, if its key is known.
struct Stop {
    manager: Arc<ConnectionManager>,
    running: Arc<Running>,
}

#[async_trait]
impl CancelHandler for Stop {
    async fn on_cancel_request(&self, request: CancelRequest) {
        if self.manager.cancel(request.pid, &request.secret_key).await {
            self.running.stop(&key(request.pid, &request.secret_key));
        }
    }
}
