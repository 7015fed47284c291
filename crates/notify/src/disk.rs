//! Files that are whole or not there: written beside, synced, renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Only the owner reads what alerts say.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Whether a file must be on the disk when it has its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// After a power loss it is the old one or the new one.
    Yes,
    /// After a power loss it can also be empty; after a kill it is whole.
    No,
}

/// Makes a folder for the owner alone, and those above it; tightens one that others could read.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

/// Puts a file in the place of another one, or of none.
pub(crate) fn replace(path: &Path, bytes: &[u8], sync: Sync) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = create(&beside)?;
    file.write_all(bytes)?;
    if sync == Sync::Yes {
        file.sync_data()?;
    }
    fs::rename(&beside, path)?;
    if sync == Sync::Yes { sync_folder_of(path) } else { Ok(()) }
}

/// An empty file to write to.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

/// A file to append to; made if there is none.
pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(path)
}

/// After it, names that were made or changed beside `path` stay so.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

/// The file's bytes; None if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
