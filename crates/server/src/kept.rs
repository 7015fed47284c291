//! The listener of the Unix socket, which looks whether clients still find it.
//!
//! What is removed beneath a running daemon, by somebody who clears `/run`, cannot be reached any more,
//! and nobody tells the daemon. So it looks, and puts the socket back. What has taken its place is
//! left alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::connections::Listener;
use crate::socket::{Socket, bind};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// See the module's documentation.
pub(crate) struct KeptListener {
    path: PathBuf,
    group: Option<u32>,
    is_inherited: bool,
    listener: ArcSwap<UnixListener>,
    state: Mutex<State>,
}

struct State {
    file: Option<Identity>,
    /// What was told last.
    told: Option<String>,
    /// When it was looked last.
    looked: Instant,
}

/// Device and number of the socket's file, and when it was made, where the file system knows: numbers are
/// given again, and a socket that somebody else makes at once can have that of ours.
type Identity = (u64, u64, Option<SystemTime>);

impl KeptListener {
    /// Listens on an open socket. Must run in a Tokio runtime.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        let Socket { listener, path, group, is_inherited } = socket;
        let state = State { file: identity(&path).ok(), told: None, looked: Instant::now() };
        Ok(Self {
            path,
            group,
            is_inherited,
            listener: ArcSwap::from_pointee(UnixListener::from_std(listener)?),
            state: Mutex::new(state),
        })
    }

    /// Looks whether the socket's file is there, and puts it back.
    fn look_again(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.looked = Instant::now();
        let fault = match identity(&self.path) {
            Ok(file) if Some(file) == state.file => None,
            Ok(_) => Some("something else is in its place, and is left as it is".to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Some(error.to_string()),
            Err(_) if self.is_inherited => {
                Some("it is gone; restart the service manager's socket unit".to_owned())
            }
            Err(_) => match self.put_back() {
                Ok(()) => {
                    state.file = identity(&self.path).ok();
                    None
                }
                Err(error) => Some(format!("it is gone, and cannot be put back: {error:#}")),
            },
        };
        if let Some(fault) = fault.as_ref().filter(|fault| Some(*fault) != state.told.as_ref()) {
            warn!(socket = %self.path.display(), fault, "clients do not find the socket");
        }
        state.told = fault;
    }

    /// Removes the socket's file, unless a service manager made it. What has taken its place is
    /// left alone.
    pub(crate) fn remove(&self) {
        let ours = self.state.lock().unwrap_or_else(PoisonError::into_inner).file;
        let is_ours = ours.is_some() && identity(&self.path).ok() == ours;
        if !is_ours || self.is_inherited {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            warn!(socket = %self.path.display(), %error, "cannot remove the socket");
        }
    }

    fn put_back(&self) -> anyhow::Result<()> {
        warn!(socket = %self.path.display(), "the socket was removed; putting it back");
        let socket = bind(&self.path, self.group)?;
        self.listener.store(Arc::new(UnixListener::from_std(socket.listener)?));
        metrics::counter!("traildex_socket_put_back_total").increment(1);
        info!(socket = %self.path.display(), "answering again");
        Ok(())
    }
}

impl Listener for KeptListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        loop {
            let listener = self.listener.load_full();
            tokio::select! {
                accepted = listener.accept() => return accepted.map(|(stream, _)| stream),
                () = sleep(PAUSE) => self.look_again(),
            }
        }
    }

    fn look(&self) {
        let looked = self.state.lock().unwrap_or_else(PoisonError::into_inner).looked;
        if looked.elapsed() >= PAUSE {
            self.look_again();
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino(), found.created().ok()))
}
