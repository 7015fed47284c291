//! PostgreSQL's wire protocol, for psql, drivers and tools that draw charts. What is asked of the tables goes
//! to the index as any other statement; what clients ask of PostgreSQL's catalog, and of their session, is
//! answered by `datafusion-postgres`.
//!
//! Whoever connects proves a password by SCRAM first. Bounds: connections, bytes of a message, time to say who
//! one is; and of each statement as of any other.

mod bounds;
mod cancel;
mod catalog;
mod connection;
mod copy;
mod errors;
mod fallback;
mod functions;
mod gate;
mod parameters;
mod passwords;
mod rows;
mod service;
mod startup;

use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::ConnectionManager;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use self::cancel::Cancels;
pub(crate) use self::passwords::Passwords;
use self::startup::{Connection, Server};
use crate::SqlError;
use crate::serve::queries::Queries;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;

/// Clients at once that are told why they are not answered.
const FAREWELLS_MAX: usize = 8;

/// Answers clients of PostgreSQL until the task is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    queries: Arc<Queries>,
    passwords: Passwords,
) -> Result<(), SqlError> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let farewells = Arc::new(Semaphore::new(FAREWELLS_MAX));
    let server = Arc::new(Server {
        catalog: catalog::Shared::new(queries.config().options())?,
        queries,
        passwords: Arc::new(passwords),
        manager: Arc::new(ConnectionManager::new()),
        cancels: Cancels::default(),
    });
    loop {
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection of a PostgreSQL client was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!(%from, "a PostgreSQL client is turned away: {CONNECTIONS_MAX} are connected");
            if let Ok(place) = Arc::clone(&farewells).try_acquire_owned() {
                tokio::spawn(async move {
                    let _place = place;
                    connection::turn_away(socket, CONNECTIONS_MAX).await;
                });
            }
            continue;
        };
        let connection = Connection::new(Arc::clone(&server));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection::answer(socket, connection).await {
                debug!(%from, %error, "a PostgreSQL client is gone");
            }
        });
    }
}
