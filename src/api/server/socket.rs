//! Opens the socket where no daemon answers, for its owner and group only.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, bail};
use tracing::info;

/// Bytes of a socket's path: `sun_path` holds 108 with its closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Opens the socket, in place of one that a daemon left behind; never in place of one that a daemon
/// answers on, and never in place of anything else.
pub fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        bail!(
            "socket path {} has {length} bytes; a Unix socket's path has at most {SOCKET_PATH_BYTES_MAX}",
            path.display()
        );
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .with_context(|| format!("cannot make the socket's directory {}", folder.display()))?;
    }
    remove_abandoned(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot open the socket {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of the socket {}", path.display()))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn remove_abandoned(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot see {}", path.display())),
        Ok(there) if !there.file_type().is_socket() => {
            bail!("{} is there and is not a socket; it is left as it is", path.display())
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("another daemon answers on {}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            info!(socket = %path.display(), "replacing a socket nobody listens on");
            fs::remove_file(path)
                .with_context(|| format!("cannot remove the old socket {}", path.display()))
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot tell whether a daemon answers on {}", path.display())),
    }
}
