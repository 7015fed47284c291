//! Every open beneath the archive's roots. No other file of this crate opens, lists or looks at a path
//! of the archive.
//!
//! Whoever can write to the archive can put a link in place of a folder at any moment, between a look
//! and an open too. So a path is never handed to the kernel whole: the root is opened, and the rest is
//! opened beneath it by `openat2`, which follows no link and leaves no folder. Where the kernel has no
//! `openat2`, or a container refuses it, each part is opened by itself beneath the one before.
//!
//! The root may be a link, and what leads to it: those are named by a person, and are not the archive's.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::walk::{Found, is_trail_name, says_nothing};
use segment::file::FileKey;

const LINK: &str = "a symbolic link: what it leads to is read under its own name, if it is watched";
const NOT_REGULAR: &str = "not a regular file";
const NOT_UTF8: &str = "its path is not UTF-8";

/// Opens a file to be read. Without `NONBLOCK` a pipe would wait for a writer, and a file with a
/// lease for its holder.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens a place to be looked at, or to open others beneath it. It needs no permission to read, and
/// wakes nobody at the other end of a pipe.
const PLACE: OFlags = OFlags::PATH;

/// The roots of an archive: folders, and single files.
#[derive(Debug, Default)]
pub struct Archive {
    roots: Vec<PathBuf>,
    /// `openat2` was refused once.
    by_parts: AtomicBool,
}

/// What is at a root. A folder that is removed and made anew is another: it may get the same number, but not
/// the same time of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootNow {
    device: u64,
    inode: u64,
    /// None where the file system does not keep it.
    made: Option<SystemTime>,
}

impl Archive {
    /// An archive with these roots: absolute paths, resolved at the start. A root may be named by a link, and
    /// a link that is changed later is not followed until a restart. None of them is opened yet.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        let by_parts = AtomicBool::new(is_refused_for_a_test());
        Self { roots: roots.into_iter().collect(), by_parts }
    }

    /// The roots.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// What is at a root now; an error where it cannot be listed, or read if it is a file.
    pub(crate) fn root_now(&self, root: &Path) -> io::Result<RootNow> {
        let found = self.open(root)?.metadata()?;
        Ok(RootNow { device: found.dev(), inode: found.ino(), made: found.created().ok() })
    }

    /// Looks at a path without following links; an error where it does not exist, is beneath no root
    /// or behind a link, or cannot be looked at.
    pub fn look(&self, path: &Path) -> io::Result<Found> {
        let place = self.open_at(path, PLACE)?;
        Ok(self.found(path, &rustix::fs::fstat(place)?))
    }

    /// Opens the file at a path to be read; an error as of [`Archive::look`]. What it is tells
    /// [`Archive::look_at`].
    pub fn open(&self, path: &Path) -> io::Result<File> {
        self.open_at(path, READ).map(File::from)
    }

    /// Opens a file that was found, unless it is another by now.
    pub(crate) fn open_found(&self, key: &FileKey) -> io::Result<Option<File>> {
        let file = self.open(Path::new(&key.path))?;
        Ok(self.is_still(key, &file)?.then_some(file))
    }

    /// Whether an open file is what was found.
    pub(crate) fn is_still(&self, key: &FileKey, file: &File) -> io::Result<bool> {
        Ok(self.look_at(Path::new(&key.path), file)?.key().as_ref() == Some(key))
    }

    /// Looks at an open file.
    pub(crate) fn look_at(&self, path: &Path, file: &File) -> io::Result<Found> {
        Ok(self.found(path, &rustix::fs::fstat(file)?))
    }

    /// Opens a folder to be listed.
    pub(crate) fn list(&self, folder: &Path) -> io::Result<Dir> {
        let folder = self.open_at(folder, READ | OFlags::DIRECTORY)?;
        Ok(Dir::new(folder)?)
    }

    /// Opens a folder that is listed in another, to be listed too.
    pub(crate) fn list_beneath(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
        let flags = READ | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Dir::new(rustix::fs::openat(parent.fd()?, name, flags, Mode::empty())?)?)
    }

    /// Looks at an entry of a folder.
    pub(crate) fn look_beneath(
        &self,
        parent: &Dir,
        name: &OsStr,
        path: &Path,
    ) -> io::Result<Found> {
        let stat = rustix::fs::statat(parent.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(self.found(path, &stat))
    }

    /// Whether a path is a root.
    pub(crate) fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root == path)
    }

    /// Whether the content decides what a file is, because its name says nothing. In a folder that is hidden,
    /// as `.git` or that of a copy under way, it is none.
    pub(crate) fn is_unnamed(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
        says_nothing(&name)
            && !self.is_root(path)
            && self.root_of(path).is_some_and(|(_, rest)| !rest.components().any(is_hidden))
    }

    /// The root that a path is beneath, and the rest of the path. The nearest, where one root is beneath
    /// another.
    fn root_of<'p>(&self, path: &'p Path) -> Option<(&Path, &'p Path)> {
        let beneath =
            self.roots.iter().filter_map(|root| Some((&**root, path.strip_prefix(root).ok()?)));
        beneath.min_by_key(|(_, rest)| rest.as_os_str().len())
    }

    fn found(&self, path: &Path, stat: &Stat) -> Found {
        let key = || FileKey {
            path: path.to_str().unwrap_or_default().to_owned(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: stat
                .st_mtime
                .saturating_mul(1_000_000_000)
                .saturating_add(stat.st_mtime_nsec as i64),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::Symlink => Found::Skipped(LINK),
            // A root that is a file was named by a person, so its name does not matter.
            FileType::RegularFile if self.is_unnamed(path) => {
                path.to_str().map_or(Found::Skipped(NOT_UTF8), |_| Found::Unnamed(key()))
            }
            _ if !is_trail_name(&name) && !self.is_root(path) => Found::Ignored,
            _ if path.to_str().is_none() => Found::Skipped(NOT_UTF8),
            FileType::RegularFile => Found::Trail(key()),
            _ => Found::Skipped(NOT_REGULAR),
        }
    }

    /// Opens a root, or what is beneath one.
    fn open_at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let (root, rest) = self.root_of(path).ok_or(Errno::NOENT)?;
        if rest.as_os_str().is_empty() {
            return Ok(rustix::fs::open(root, flags, Mode::empty())?);
        }
        let folder = PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, folder, Mode::empty())?;
        if !self.by_parts.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let flags = flags | OFlags::NOFOLLOW;
            match rustix::fs::openat2(&root, rest, flags, Mode::empty(), resolve) {
                Err(Errno::NOSYS | Errno::PERM) => self.by_parts.store(true, Ordering::Relaxed),
                opened => return Ok(opened?),
            }
        }
        Ok(open_by_parts(root, rest, flags)?)
    }
}

/// Opens what is beneath a folder, part by part. None of them may be a link, or lead upwards.
fn open_by_parts(root: OwnedFd, rest: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut place = root;
    let mut parts = rest.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::XDEV) };
        let flags = match parts.peek() {
            // Of a link to a folder too this is refused, for it is none itself.
            Some(_) => PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC,
            None => flags,
        };
        place = rustix::fs::openat(place.as_fd(), name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(place)
}

/// Whether an error says that there is nothing at a path beneath the root: no file, or a link on the
/// way to it.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV)
    )
}

#[cfg(feature = "failpoints")]
fn is_refused_for_a_test() -> bool {
    segment::steps::is_set("openat2-is-refused")
}

#[cfg(not(feature = "failpoints"))]
fn is_refused_for_a_test() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Both ways of opening, on one tree: what is beneath the root opens, and nothing else does.
    #[test]
    fn only_what_is_beneath_the_root_and_behind_no_link_opens() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        fs::create_dir_all(dir.join("root/a/b")).unwrap();
        fs::create_dir_all(dir.join("outside/b")).unwrap();
        for file in ["root/top.json", "root/a/b/in.json", "outside/b/in.json"] {
            fs::write(dir.join(file), "{}").unwrap();
        }
        symlink(dir.join("outside"), dir.join("root/out")).unwrap();
        symlink("a", dir.join("root/within")).unwrap();
        symlink("top.json", dir.join("root/link.json")).unwrap();
        symlink(dir.join("root"), dir.join("root-link")).unwrap();
        for by_parts in [false, true] {
            let archive = |root: &str| Archive {
                roots: vec![dir.join(root)],
                by_parts: AtomicBool::new(by_parts),
            };
            let root = archive("root");
            for path in ["root/top.json", "root/a/b/in.json"] {
                root.open(&dir.join(path)).unwrap();
                assert!(matches!(root.look(&dir.join(path)).unwrap(), Found::Trail(_)), "{path}");
            }
            for path in [
                "root/out/b/in.json",
                "root/within/b/in.json",
                "root/link.json",
                "root/a/../../outside/b/in.json",
                "root/../outside/b/in.json",
                "outside/b/in.json",
                "root/none/in.json",
            ] {
                let error = root.open(&dir.join(path)).unwrap_err();
                assert!(is_gone(&error), "{by_parts} {path}: {error}");
                let error = root.list(&dir.join(path)).map(|_| ()).unwrap_err();
                assert!(is_gone(&error), "{by_parts} {path}: {error}");
            }
            for path in ["root/out", "root/within", "root/link.json"] {
                assert_eq!(root.look(&dir.join(path)).unwrap(), Found::Skipped(LINK), "{path}");
                assert!(root.list(&dir.join(path)).is_err(), "{path}");
            }
            assert!(root.look(&dir.join("root/out/b/in.json")).is_err_and(|e| is_gone(&e)));
            let by_link = archive("root-link");
            by_link.open(&dir.join("root-link/a/b/in.json")).unwrap();
            assert!(by_link.open(&dir.join("root-link/out/b/in.json")).is_err());
            assert_eq!(root.by_parts.into_inner(), by_parts, "this kernel has openat2");
        }
    }
}
