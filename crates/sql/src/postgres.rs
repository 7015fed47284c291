//! PostgreSQL's wire protocol, for psql, drivers and tools that draw charts. What is asked of the tables goes
//! to the index as any other statement; what clients ask of PostgreSQL's catalog, and of their session, is
//! answered by `datafusion-postgres`.
//!
//! Whoever connects proves a password by SCRAM first. Bounds: connections, bytes of a message, time to say who
//! one is; and of each statement as of any other.

mod catalog;
mod connection;
mod copy;
mod functions;
mod hooks;
mod nothing;
mod parameters;
mod passwords;
mod rows;
mod service;
mod startup;

use std::sync::Arc;

use datafusion_postgres::pgwire::api::ConnectionManager;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub(crate) use self::passwords::Passwords;
use self::service::Running;
use self::startup::Handlers;
use crate::serve::desk::Desk;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;

/// Answers clients of PostgreSQL until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, desk: Arc<Desk>, passwords: Passwords) {
    let passwords = Arc::new(passwords);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (manager, running) = (Arc::new(ConnectionManager::new()), Arc::new(Running::default()));
    loop {
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection of a PostgreSQL client was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%from, "a PostgreSQL client was turned away: {CONNECTIONS_MAX} are connected");
            continue;
        };
        let handlers = Handlers {
            desk: Arc::clone(&desk),
            passwords: Arc::clone(&passwords),
            manager: Arc::clone(&manager),
            running: Arc::clone(&running),
        };
        tokio::spawn(async move {
            let _place = place;
            match handlers.connection().await {
                Ok(connection) => {
                    if let Err(error) = connection::answer(socket, connection).await {
                        tracing::debug!(%from, %error, "a PostgreSQL client is gone");
                    }
                }
                Err(error) => tracing::warn!(%from, %error, "a PostgreSQL client is not answered"),
            }
        });
    }
}
