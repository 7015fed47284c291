//! Files and directories of the index are their owner's alone, whatever the umask: records hold what
//! nobody else may read.

use std::fs;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

/// Modes of directories and files.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Creates a directory and those above it that are missing.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Creates a directory; fails where there is one.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIR_MODE).create(path)
}

/// Options to open a file with, which have a new one made private.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Takes a directory, and the files and directories below it, away from everybody but their owner.
/// Returns how many others could read. Links are left alone.
pub fn tighten(dir: &Path) -> io::Result<u64> {
    let found = fs::symlink_metadata(dir)?;
    let mut tightened = tighten_one(dir, &found)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        if found.is_dir() {
            tightened += tighten(&path)?;
        } else if found.is_file() {
            tightened += tighten_one(&path, &found)?;
        }
    }
    Ok(tightened)
}

fn tighten_one(path: &Path, found: &fs::Metadata) -> io::Result<u64> {
    let mode = found.mode();
    if mode & OTHERS == 0 {
        return Ok(0);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_read_is_taken_from_them() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        create_dir_all(&inner).unwrap();
        let file = inner.join("f");
        options().create(true).write(true).truncate(true).open(&file).unwrap();
        assert_eq!(tighten(dir.path()).unwrap(), 0, "it was made private");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o750)).unwrap();
        assert_eq!(tighten(dir.path()).unwrap(), 2);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&file), mode(&inner)), (FILE_MODE, DIR_MODE));
    }
}
