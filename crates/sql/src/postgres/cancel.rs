//! Stops what a connection runs, for who knows its key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use datafusion_postgres::pgwire::messages::startup::SecretKey;
use tokio::sync::watch;

/// A number, which all connections of a process share, and a secret.
pub(super) type Key = (i32, Vec<u8>);

/// The key of a connection, or of a request to stop one.
pub(super) fn key((number, secret): (i32, SecretKey)) -> Key {
    let secret = match secret {
        SecretKey::I32(secret) => secret.to_be_bytes().to_vec(),
        SecretKey::Bytes(secret) => secret.to_vec(),
    };
    (number, secret)
}

/// What runs, by the keys of connections. The library stops what is being prepared; this, rows on their way.
#[derive(Debug, Default)]
pub(super) struct Cancels(Mutex<HashMap<Key, watch::Sender<()>>>);

impl Cancels {
    /// Stops what runs under a key.
    pub(super) fn stop(&self, key: &Key) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.get(key) {
            running.send_replace(());
        }
    }

    /// Tells when what runs under a key is to stop.
    pub(super) fn begin(&self, key: Key) -> watch::Receiver<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.entry(key).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Forgets a connection.
    pub(super) fn end(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
