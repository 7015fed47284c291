//! The ledger: the result of every archive file that was read. One JSON line a file, in the order
//! of commits.
//!
//! Lines are appended and synced before the manifest that makes them count is renamed into place, and
//! the manifest states their length and hash. So "a file's events are in the index" and "the ledger
//! says the file was read" are one fact.
//!
//! A path can have several lines, one for each time that it was read because it had changed; the one
//! with the highest number tells of the file as it was seen last, the others are `replaced`. A line
//! that begins with `{"loss":` tells of a file whose events a damaged segment took along.
//!
//! In memory a file costs at most 32 bytes (`lines.rs`). The lines stay on disk and are read when
//! asked for.

mod format;
mod lines;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3;

pub use self::format::Loss;
use self::format::{LOSS_PREFIX, LossLine};
use self::lines::Lines;
pub use self::lines::{FilesByState, LedgerCounts};

use crate::manifest::LedgerExtent;
use segment::cache::Cache;
use segment::disk::{Disk, ReadAt};
use segment::file::{FileKey, FileRecord, FileState};
use segment::parts::hash_text;
use segment::steps::step;
use segment::{IndexError, open_existing};

/// Bytes of the ledger read at a time when all of it is gone through.
const READ_STEP: usize = 1 << 20;

/// What paths of files may take of memory: some four thousand.
const PATHS_BYTES_MAX: usize = 1 << 20;

/// A line to be appended.
#[derive(Clone, Debug)]
pub enum Line {
    /// The result of reading a file.
    File(Box<FileRecord>),
    /// Events of an earlier file that went with a damaged segment.
    Loss(Loss),
}

/// The ledger for readers, on any thread.
#[derive(Clone, Debug)]
pub struct LedgerReader {
    path: Arc<Path>,
    file: Arc<File>,
    lines: Arc<RwLock<Lines>>,
    /// Of files that events were read of last, by their numbers.
    paths: Arc<Cache<u64, String>>,
}

impl LedgerReader {
    fn lines(&self) -> RwLockReadGuard<'_, Lines> {
        self.lines.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// Whether a file of this path, size and modification time was read, and need not be read
    /// again.
    pub fn is_known(&self, key: &FileKey) -> bool {
        self.lines().is_known(key)
    }

    /// Sums over all lines that count.
    pub fn counts(&self) -> LedgerCounts {
        self.lines().counts.clone()
    }

    /// The number that the next file gets.
    pub fn next_number(&self) -> u64 {
        self.lines().next_number()
    }

    /// The numbers of the files that end too early, in order.
    pub fn cut_off(&self) -> Vec<u64> {
        let mut cut: Vec<u64> = self.lines().cut.iter().map(|row| u64::from(*row)).collect();
        cut.sort_unstable();
        cut
    }

    /// Whether a file ends too early.
    pub fn is_cut_off(&self, number: u64) -> bool {
        u32::try_from(number).is_ok_and(|row| self.lines().cut.contains(&row))
    }

    /// Bytes of memory that the ledger's index takes.
    pub fn memory(&self) -> usize {
        self.lines().memory()
    }

    /// Reads the entry of a file from disk; None where no file has this number.
    pub fn get(&self, number: u64) -> Result<Option<FileRecord>, IndexError> {
        let offset = self.lines().offset(number);
        let Some(offset) = offset else { return Ok(None) };
        let mut record = self.read_line(offset)?;
        self.lines().amend(&mut record);
        Ok(Some(record))
    }

    /// Returns the path of a file; None where no file has this number.
    pub fn path_of(&self, number: u64) -> Result<Option<Arc<String>>, IndexError> {
        if let Some(path) = self.paths.kept(&number) {
            return Ok(Some(path));
        }
        let path = self.get(number)?.map(|file| Arc::new(file.key.path));
        // What is not known may be, with the next commit.
        if let Some(path) = &path {
            self.paths.keep(number, Arc::clone(path));
        }
        Ok(path)
    }

    /// Calls `visit` with every entry, in the order of the commits; stops at its first error and
    /// returns it.
    pub fn each<E: From<IndexError>>(
        &self,
        visit: impl FnMut(FileRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = self.lines().bytes;
        self.each_within(bytes, visit)
    }

    /// The same of what counted at some commit.
    pub(crate) fn each_of(
        &self,
        extent: &LedgerExtent,
        visit: impl FnMut(FileRecord) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        self.each_within(extent.bytes, visit)
    }

    /// Whether the part that counted at some commit is as it was written.
    pub(crate) fn check(&self, extent: &LedgerExtent) -> Result<(), IndexError> {
        hash(&self.path, &self.file, extent).map(|_| ())
    }

    fn each_within<E: From<IndexError>>(
        &self,
        bytes: u64,
        mut visit: impl FnMut(FileRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        each_line(&self.path, &self.file, bytes, |offset, line| {
            if line.starts_with(LOSS_PREFIX) {
                return Ok(());
            }
            let mut record = parse(&self.path, offset, line)?;
            self.lines().amend(&mut record);
            visit(record)
        })
    }

    fn read_line(&self, offset: u64) -> Result<FileRecord, IndexError> {
        let mut line = vec![0; 1 << 10];
        let mut filled = 0;
        let end = loop {
            let read = self
                .file
                .read_at(&mut line[filled..], offset + filled as u64)
                .map_err(IndexError::io(&self.path))?;
            if let Some(end) = memchr::memchr(b'\n', &line[filled..filled + read]) {
                break filled + end;
            }
            filled += read;
            if read == 0 {
                return Err(damaged(&self.path, offset, &"a line without its end"));
            }
            line.resize(line.len() * 2, 0);
        };
        parse(&self.path, offset, &line[..end])
    }
}

fn parse<'l, T: Deserialize<'l>>(
    path: &Path,
    offset: u64,
    line: &'l [u8],
) -> Result<T, IndexError> {
    serde_json::from_slice(line).map_err(|error| damaged(path, offset, &error))
}

fn damaged(path: &Path, offset: u64, reason: &dyn std::fmt::Display) -> IndexError {
    IndexError::damaged(path, format!("byte {offset}: {reason}"))
}

/// Hashes the part of a ledger that counts; fails where it is not as it was written.
fn hash(path: &Path, file: &File, extent: &LedgerExtent) -> Result<Xxh3, IndexError> {
    let mut hasher = Xxh3::new();
    let mut reader = ReadAt { file, at: 0, end: extent.bytes };
    let mut buffer = vec![0; READ_STEP];
    loop {
        match reader.read(&mut buffer).map_err(IndexError::read(path))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    if reader.at == extent.bytes && hash_text(hasher.digest()) == extent.xxh3 {
        return Ok(hasher);
    }
    Err(IndexError::damaged(path, "its hash does not match"))
}

/// Calls `visit` with every line of the first `bytes` of a ledger, and its offset.
fn each_line<E: From<IndexError>>(
    path: &Path,
    file: &File,
    bytes: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = BufReader::with_capacity(READ_STEP, ReadAt { file, at: 0, end: bytes });
    let mut line = Vec::new();
    let mut offset = 0;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(IndexError::io(path))?;
        match line.pop() {
            None => return Ok(()),
            Some(b'\n') => visit(offset, &line)?,
            Some(_) => return Err(damaged(path, offset, &"a line without its end").into()),
        }
        offset += read as u64;
    }
}

/// The ledger for its one writer.
pub struct Ledger {
    path: PathBuf,
    extent: LedgerExtent,
    /// Of the part that counts.
    hasher: Xxh3,
    reader: LedgerReader,
}

impl Ledger {
    /// Creates an empty ledger in a directory.
    pub fn create(dir: &Path, name: &str, disk: &dyn Disk) -> Result<Self, IndexError> {
        let path = dir.join(name);
        disk.write_at(&path, 0, b"").map_err(IndexError::io(&path))?;
        Self::open(dir, LedgerExtent::empty(name))
    }

    /// Opens a ledger, of which `extent` counts; [`IndexError::Damaged`] where its hash differs.
    pub fn open(dir: &Path, extent: LedgerExtent) -> Result<Self, IndexError> {
        let path = dir.join(&extent.name);
        let file = open_existing(&path)?;
        let found = file.metadata().map_err(IndexError::io(&path))?.len();
        if found < extent.bytes {
            let reason = format!("{found} bytes long, but {} were committed", extent.bytes);
            return Err(IndexError::damaged(&path, reason));
        }
        // Before anything in it is believed.
        let hasher = hash(&path, &file, &extent)?;
        let mut lines = Lines::default();
        each_line(&path, &file, extent.bytes, |offset, line| {
            if line.starts_with(LOSS_PREFIX) {
                lines.lose(&parse::<LossLine>(&path, offset, line)?.loss);
            } else {
                let file = parse(&path, offset, line)?;
                lines.check(&file).map_err(|reason| damaged(&path, offset, &reason))?;
                lines.add(&file, offset);
            }
            Ok::<_, IndexError>(())
        })?;
        lines.bytes = extent.bytes;
        let reader = LedgerReader {
            path: path.as_path().into(),
            file: Arc::new(file),
            lines: Arc::new(RwLock::new(lines)),
            paths: Arc::new(Cache::new(PATHS_BYTES_MAX)),
        };
        Ok(Self { path, extent, hasher, reader })
    }

    /// The part that other threads may read; it follows each publish.
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// The part that counts.
    pub(crate) fn extent(&self) -> &LedgerExtent {
        &self.extent
    }

    /// Appends lines and syncs them. They do not count until [`Ledger::publish`]; another append
    /// before that overwrites them.
    pub fn append(&self, lines: Vec<Line>, disk: &dyn Disk) -> Result<Appended, IndexError> {
        let mut text = Vec::new();
        let mut offsets = Vec::with_capacity(lines.len());
        for line in &lines {
            offsets.push(self.extent.bytes + text.len() as u64);
            let written = match line {
                Line::File(record) => serde_json::to_writer(&mut text, record),
                Line::Loss(loss) => {
                    serde_json::to_writer(&mut text, &LossLine { loss: loss.clone() })
                }
            };
            written.map_err(|error| IndexError::io(&self.path)(error.into()))?;
            text.push(b'\n');
        }
        step("ledger-to-be-written");
        disk.write_at(&self.path, self.extent.bytes, &text).map_err(IndexError::io(&self.path))?;
        step("ledger-durable");
        let mut hasher = self.hasher.clone();
        hasher.update(&text);
        let extent = LedgerExtent {
            name: self.extent.name.clone(),
            bytes: self.extent.bytes + text.len() as u64,
            xxh3: hash_text(hasher.digest()),
        };
        Ok(Appended { lines, offsets, hasher, extent })
    }

    /// Makes appended lines count. Call it once the manifest that names them is in place.
    pub fn publish(&mut self, appended: Appended) {
        let mut lines = self.reader.lines.write().unwrap_or_else(PoisonError::into_inner);
        for (line, offset) in appended.lines.into_iter().zip(appended.offsets) {
            match line {
                Line::File(record) => lines.add(&(&*record).into(), offset),
                Line::Loss(loss) => lines.lose(&loss),
            }
        }
        lines.bytes = appended.extent.bytes;
        self.extent = appended.extent;
        self.hasher = appended.hasher;
    }
}

/// Lines that are on disk and do not count yet.
pub struct Appended {
    lines: Vec<Line>,
    offsets: Vec<u64>,
    hasher: Xxh3,
    /// The part of the ledger that counts with them.
    pub(crate) extent: LedgerExtent,
}

#[cfg(test)]
mod tests;
