//! Whom a command asks: the daemon on a socket, or an index on disk.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::SocketArg;
use crate::cli::serve::environment;
use crate::config::{Config, Overrides};
use crate::daemon::offline::Offline;
use client::Client;
use segment::IndexError;
use store::reading::{User, user};

/// `--socket` and `--data-dir`, for the commands that ask about an index.
#[derive(Debug, clap::Args)]
pub(super) struct AskArg {
    #[command(flatten)]
    socket: SocketArg,
    /// Ask about the index in this directory: on the socket of the daemon that uses it, or where none
    /// does, without one. Its files are checked first, which takes as long as reading them
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A client, and what answers it if it is no daemon.
pub(super) struct Asked {
    client: Client,
    _offline: Option<Offline>,
}

impl Deref for Asked {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl AskArg {
    /// Asks about an index that no daemon uses.
    pub(super) fn of_data_dir(data_dir: PathBuf) -> Self {
        Self { socket: SocketArg { socket: None }, data_dir: Some(data_dir) }
    }

    pub(super) fn client(&self) -> anyhow::Result<Asked> {
        let Some(data_dir) = &self.data_dir else {
            return Ok(Asked { client: self.socket.client(), _offline: None });
        };
        match user(data_dir) {
            Ok(User::Daemon(socket)) => {
                Ok(Asked { client: SocketArg { socket: Some(socket) }.client(), _offline: None })
            }
            Ok(User::Writer) => bail!(
                "{} is being written to by another traildex process, such as an import, which answers \
                 nobody; try again when it has ended",
                data_dir.display()
            ),
            Ok(User::Nobody) => offline(data_dir),
            Err(error) => match self.private(data_dir, &error) {
                Some(client) => Ok(Asked { client, _offline: None }),
                None => Err(error.into()),
            },
        }
    }

    /// Of a directory that only its owner can look into, the daemon, if it is where daemons are asked.
    fn private(&self, data_dir: &Path, error: &IndexError) -> Option<Client> {
        error.is_of_permissions().then_some(())?;
        let client = self.socket.client();
        let of_daemon = client.status().ok()?.data_dir;
        let asked = std::path::absolute(data_dir).ok()?;
        (Path::new(&of_daemon) == asked).then_some(client)
    }
}

fn offline(data_dir: &Path) -> anyhow::Result<Asked> {
    let flags = Overrides { data_dir: Some(data_dir.to_owned()), ..Overrides::default() };
    let config = Config::load(None, environment(), &flags)?;
    let offline = Offline::start(data_dir, &config)?;
    Ok(Asked { client: Client::new(&offline.socket), _offline: Some(offline) })
}
