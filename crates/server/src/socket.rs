//! Opens the socket for its owner and group only, or takes the one that a service manager has
//! opened.
//!
//! Clients trust whatever answers at the socket's path. So nobody else may be able to put a socket
//! there, neither in place of ours nor while there is none.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use listenfd::ListenFd;
use rustix::process::geteuid;
use tracing::info;

/// Bytes of a socket's path: `sun_path` holds 108 with its closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Bits of a mode: whether group or others may write, whether everybody may, and whether entries of a directory are safe
/// from those who do not own them.
const OTHERS_WRITE: u32 = 0o022;
const ANYBODY_WRITES: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A listening Unix socket.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: UnixListener,
    /// Where clients find the socket, for messages and for removal.
    pub path: PathBuf,
    /// Who may connect beside our own user.
    pub(crate) group: Option<u32>,
    /// Opened by a service manager, who keeps it when the daemon ends.
    pub(crate) is_inherited: bool,
}

/// Opens the socket. It replaces a dead socket that a daemon left behind, and nothing else: it
/// fails where a daemon answers. `group` may connect beside our own user; None is our user only.
pub fn bind(path: &Path, group: Option<u32>) -> anyhow::Result<Socket> {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        bail!(
            "socket path {} has {length} bytes; a Unix socket's path has at most {SOCKET_PATH_BYTES_MAX}",
            path.display()
        );
    }
    make_folder(folder(path), group)?;
    check_folder(folder(path))?;
    remove_abandoned(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot open the socket {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot set the mode of the socket {}", path.display()))?;
    give(path, group)?;
    listener.set_nonblocking(true)?;
    Ok(Socket { listener, path: path.to_owned(), group, is_inherited: false })
}

/// Takes the socket that a service manager (a systemd socket unit) hands over; None where there is
/// none. It changes the environment, so call it before starting a thread.
pub fn inherit() -> anyhow::Result<Option<Socket>> {
    let mut handed = ListenFd::from_env();
    match handed.len() {
        0 => return Ok(None),
        1 => {}
        count => {
            bail!("the service manager hands over {count} sockets; wanted is one ListenStream=")
        }
    }
    let listener = handed
        .take_unix_listener(0)
        .context("the service manager hands over what is no Unix stream socket")?
        .context("the service manager's socket is taken already")?;
    let address = listener.local_addr()?;
    let path = address.as_pathname().context(
        "the service manager's socket has no path, by which clients would find it; \
         wanted is a path in ListenStream=",
    )?;
    check_folder(folder(path))?;
    let mode = fs::metadata(path)
        .with_context(|| format!("cannot see the service manager's socket {}", path.display()))?
        .mode();
    if mode & 0o002 != 0 {
        bail!(
            "the service manager's socket {} has mode {:04o} and lets anybody in; \
             set SocketMode=0660 in its unit, and SocketGroup= to who may ask",
            path.display(),
            mode & 0o7777
        );
    }
    listener.set_nonblocking(true)?;
    let path = path.to_owned();
    Ok(Some(Socket { listener, path, group: None, is_inherited: true }))
}

fn folder(socket: &Path) -> &Path {
    match socket.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn make_folder(folder: &Path, group: Option<u32>) -> anyhow::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)
        .with_context(|| format!("cannot make the socket's directory {}", folder.display()))?;
    // Else its members could not reach the socket.
    give(folder, group)
}

fn give(path: &Path, group: Option<u32>) -> anyhow::Result<()> {
    let Some(group) = group else { return Ok(()) };
    chown(path, None, Some(group)).with_context(|| {
        format!(
            "cannot give {} to group {group} (`socket.group`); the daemon's user must be in it",
            path.display()
        )
    })
}

/// Refuses a directory in which somebody else than root and our own user could put a socket; of those
/// above it, one in which they could put another directory in its place. A sticky one (`/tmp`) keeps
/// what is in it, so it may be above; but before the daemon has made its socket, anybody can make one
/// there, so it may not hold the socket itself.
fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let whole = folder
        .canonicalize()
        .with_context(|| format!("cannot see the socket's directory {}", folder.display()))?;
    // Root, as this user namespace sees it.
    let root = fs::metadata("/").context("cannot see the root directory")?.uid();
    for (above, dir) in whole.ancestors().enumerate() {
        let found = fs::metadata(dir).with_context(|| format!("cannot see {}", dir.display()))?;
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        let is_kept = above > 0 && mode & STICKY != 0;
        let what = if above == 0 { "the socket's directory" } else { "above the socket," };
        let (shown, risk) =
            (dir.display(), "could put a socket of theirs in place of the daemon's");
        if mode & OTHERS_WRITE != 0 && !is_kept {
            // What everybody may write to is the machine's, such as /tmp.
            let advice = if mode & ANYBODY_WRITES == 0 && owner == geteuid().as_raw() {
                format!("run chmod g-w {shown}, or set socket.path to a directory of its own")
            } else {
                "set socket.path to a directory of its own".to_owned()
            };
            bail!(
                "{what} {shown} has mode {mode:04o}: others than its owner can write to it, and \
                 {risk}; {advice}"
            );
        }
        if ![0, root, geteuid().as_raw()].contains(&owner) {
            bail!(
                "{what} {shown} belongs to user {owner}, who {risk}; set socket.path to a directory of \
                 its own"
            );
        }
    }
    Ok(())
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
