//! The one way by which the data directory changes. A test replaces it with a disk that loses
//! power.
//!
//! A crash may leave as little as POSIX allows. Bytes written to a file can be lost or torn until
//! the file is synced. A name that was made, replaced or removed can be there or not until its
//! directory is synced. Changes can reach the disk in any order.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::private;

/// Changes to a directory tree. Paths are absolute.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Creates a file; empties it where it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>>;

    /// Writes bytes at an offset of a file, cuts the file off behind them, and syncs it; creates a
    /// file that is missing.
    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Renames a file, in place of one that has the new name; both names are in one file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; fails where there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Syncs a directory, so that its names survive a power loss.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file being written.
pub trait Output: Write + Send + Sync {
    /// Syncs the file, so that the bytes written so far survive a power loss.
    fn sync(&mut self) -> io::Result<()>;
}

/// Reads a part of a file without moving the file's cursor, which others share.
pub struct ReadAt<'f> {
    /// The file, open for reading.
    pub file: &'f File,
    /// Offset of the next byte to read.
    pub at: u64,
    /// Offset behind the last byte to read.
    pub end: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min((self.end - self.at) as usize);
        let read = self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        Ok(Box::new(private::options().write(true).create(true).truncate(true).open(path)?))
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = private::options().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(bytes, offset)?;
        file.set_len(offset + bytes.len() as u64)?;
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Output for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
