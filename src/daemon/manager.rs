//! Tells the service manager (systemd's `sd_notify`) how the daemon is: opening, ready, reloading,
//! stopping; and, if it asks for that, that it is alive.
//!
//! Alive is a daemon whose engine answers, through the same threads as for clients, and whose ingest
//! has not ended for good: what a new start can mend. One that waits for a full disk is alive. Without a manager nothing is told. A message that
//! cannot be sent is logged; the manager has its own time-outs.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::spawn_blocking;
use tokio::time::{interval, timeout};

use super::Daemon;
use wire::Status;
use wire::engine::Engine;

/// Between two lines of status for a manager that does not ask for signs of life.
const STATUS_PAUSE: Duration = Duration::from_secs(15);

/// See the module's documentation.
pub(super) struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life at least.
    watchdog: Option<Duration>,
    is_ready: AtomicBool,
}

impl Manager {
    /// The one that started this process, by `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let socket = match env::var("NOTIFY_SOCKET") {
            Ok(address) => {
                Some(connect(&address).with_context(|| format!("NOTIFY_SOCKET={address}"))?)
            }
            Err(_) => None,
        };
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        let watchdog = watchdog.map(Duration::from_micros);
        Ok(Self { socket, watchdog, is_ready: AtomicBool::new(false) })
    }

    pub(super) fn opening(&self) {
        self.tell("STATUS=opening the index");
    }

    pub(super) fn ready(&self) {
        self.is_ready.store(true, Ordering::Release);
        self.tell("READY=1\nSTATUS=answering");
    }

    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell_if_ready(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    pub(super) fn reloaded(&self) {
        self.tell_if_ready("READY=1");
    }

    pub(super) fn stopping(&self) {
        self.is_ready.store(false, Ordering::Release);
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    fn report(&self, status: Status) {
        let Status { is_ingesting, is_paused, fault, files, events, .. } = status;
        let sign = if self.watchdog.is_some() { "WATCHDOG=1\n" } else { "" };
        if is_ingesting {
            self.tell_if_ready(&format!(
                "{sign}STATUS={} events of {} files indexed, {} files pending",
                events.indexed, files.indexed, files.pending
            ));
            return;
        }
        let fault = fault.unwrap_or_default();
        if is_paused {
            self.tell_if_ready(&format!("{sign}STATUS=searches go on; {fault}"));
            return;
        }
        self.tell_if_ready(&format!("STATUS=searches go on, ingest has ended: {fault}"));
        if self.watchdog.is_some() {
            tracing::error!(fault, "ingest has ended: the watchdog is left to restart us");
        }
    }

    /// Before it is ready, a reload must not pass for a start.
    fn tell_if_ready(&self, message: &str) {
        if self.is_ready.load(Ordering::Acquire) {
            self.tell(message);
        }
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, message, "cannot tell the service manager");
        }
    }
}

fn connect(address: &str) -> std::io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Tells the manager the status, and as long as the daemon is alive that it is, twice in the time
/// within which it wants to hear that.
pub(super) async fn report(manager: Arc<Manager>, engine: Arc<Daemon>) {
    if manager.socket.is_none() {
        return;
    }
    let pause = manager.watchdog.map_or(STATUS_PAUSE, |within| within / 2);
    let mut due = interval(pause);
    // One that hangs is waited for again: each would keep a thread.
    let mut asked = None;
    loop {
        due.tick().await;
        let answer = asked.get_or_insert_with(|| {
            let engine = Arc::clone(&engine);
            spawn_blocking(move || engine.status())
        });
        match timeout(pause, answer).await {
            Ok(Ok(status)) => manager.report(status),
            Ok(Err(error)) => tracing::error!(%error, "the engine does not tell its status"),
            Err(_) => {
                tracing::error!(?pause, "the engine does not answer: not alive for the watchdog");
                continue;
            }
        }
        asked = None;
    }
}
