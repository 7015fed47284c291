//! A copy of an archive on disk, whose files are read again. Any number of threads read at once.
//!
//! Something behind the compressed data is told even if it is white space, which ingest passes over.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use evidence::{Content, Kind, Reading};
use ingest::archive::Archive;
use ingest::inflate::{Inflated, Inflater};
use ingest::read::{FileReader, ReadLimits};
use ingest::walk::{FileWalk, Found};
use segment::file::FileKey;
use sha2::{Digest as _, Sha256};

/// What a gzip member and a zstd frame begin with.
const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// Uncompressed bytes below which no ratio is an attack; as ingest has it.
const RATIO_FREE_BYTES: usize = 16 << 20;

/// Paths that cannot be read, and are told; the rest are counted.
const NOTES_MAX: usize = 1_000;

/// Buffers that grew beyond this for one file are given back after it.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// The files beneath some paths.
pub struct Disk {
    archive: Arc<Archive>,
    limits: ReadLimits,
    notes: Mutex<BTreeSet<String>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// What a thread reads with.
#[derive(Default)]
struct Buffers {
    inflater: Inflater,
    file: Vec<u8>,
    inflated: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl Disk {
    /// The files beneath these paths, which are absolute and resolved.
    pub fn new(roots: Vec<PathBuf>, limits: ReadLimits) -> Self {
        let archive = Arc::new(Archive::new(roots));
        let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { archive, limits, notes: Mutex::default(), files, bytes }
    }

    /// Files and bytes that were read so far, as on disk.
    pub fn read_so_far(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Paths that could not be read, and why.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().map_or_else(|_| Vec::new(), |notes| notes.iter().cloned().collect())
    }

    /// Bytes of a file as it is on disk.
    pub fn length(&self, path: &str) -> io::Result<u64> {
        Ok(self.archive.open(Path::new(path))?.metadata()?.len())
    }

    /// A file as it is on disk; an error where it is longer than that.
    pub fn raw(&self, path: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.archive.open(Path::new(path))?;
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn note(&self, path: &Path, why: &str) {
        if let Ok(mut notes) = self.notes.lock()
            && notes.len() < NOTES_MAX
        {
            notes.insert(format!("{}: {why}", path.display()));
        }
    }

    /// What a file is: a digest by its name; keys and metadata by name and content. None is a file of keys,
    /// which nobody has to list.
    fn kind(&self, key: &FileKey) -> Option<Kind> {
        let path = &key.path;
        if let Some(kind) = kind_by_name(self, path, key.size) {
            return Some(kind);
        }
        let may_be_keys = Path::new(path).extension().is_some_and(|ending| ending == "json")
            && !path.contains("_CloudTrail_");
        if may_be_keys && has(self, path, key.size, evidence::KEYS_BYTES_MAX, evidence::is_keys) {
            return None;
        }
        Some(Kind::Log)
    }

    /// Reads a file and hands over its content, and whether something follows the first stretch of
    /// compressed data.
    fn read<R>(
        &self,
        path: &str,
        bytes_max: usize,
        take: impl FnOnce(&[u8], bool) -> R,
    ) -> Result<R, String> {
        let file = self.archive.open(Path::new(path)).map_err(|error| error.to_string())?;
        let length = length_of(&file)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length, Ordering::Relaxed);
        let file_bytes_max = self.limits.file_bytes_max.min(bytes_max);
        read(file, ReadLimits { file_bytes_max, ..self.limits }, take)
    }
}

/// What a file of an archive is by its name, if the name says it: a digest; or metadata, where its content
/// is that, too.
pub(crate) fn kind_by_name(
    archive: &impl evidence::Archive,
    path: &str,
    size: u64,
) -> Option<Kind> {
    if evidence::is_metadata_path(path) {
        let is = has(archive, path, size, evidence::METADATA_BYTES_MAX, evidence::is_metadata);
        return Some(if is { Kind::Metadata } else { Kind::Log });
    }
    evidence::is_digest_path(path).then_some(Kind::Digest)
}

/// Whether a file is short, and of a kind.
fn has(
    archive: &impl evidence::Archive,
    path: &str,
    size: u64,
    bytes_max: usize,
    is: fn(&[u8]) -> bool,
) -> bool {
    size <= bytes_max as u64
        && archive
            .content(path, bytes_max)
            .is_ok_and(|content| !content.has_trailing && is(&content.bytes))
}

/// The hash of a content.
pub(crate) fn reading_of(bytes: &[u8], has_trailing: bool) -> Reading {
    Reading { sha256: Sha256::digest(bytes).into(), has_trailing }
}

/// A copy of a content.
pub(crate) fn content_of(bytes: &[u8], has_trailing: bool) -> Content {
    Content { bytes: bytes.to_vec(), has_trailing }
}

/// The bytes of a regular file; an error of any other.
fn length_of(file: &File) -> Result<u64, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err("not a regular file".to_owned()) }
}

/// Reads an open file and hands over its content, and whether something follows the first stretch of
/// compressed data.
pub(crate) fn read<R>(
    mut file: File,
    limits: ReadLimits,
    take: impl FnOnce(&[u8], bool) -> R,
) -> Result<R, String> {
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.file.clear();
        let most = limits.file_bytes_max as u64 + 1;
        let read = (&file).take(most).read_to_end(&mut buffers.file);
        read.map_err(|error| error.to_string())?;
        let taken = if buffers.file.len() > limits.file_bytes_max {
            Err(too_large(limits))
        } else if buffers.file.starts_with(GZIP) {
            gunzip(buffers, limits).map(|(length, more)| take(&buffers.inflated[..length], more))
        } else if buffers.file.starts_with(ZSTD) {
            file.rewind().map_err(|error| error.to_string())?;
            let take = |content: ingest::read::Content<'_>| {
                let has_more = content.has_trailing_bytes
                    || content.second_member.is_some()
                    || content.unread.is_some();
                take(content.bytes, has_more)
            };
            FileReader::new(limits).read(&file, take).map_err(|error| error.to_string())
        } else {
            Ok(take(&buffers.file, false))
        };
        if buffers.file.capacity().max(buffers.inflated.capacity()) > KEPT_BYTES_MAX {
            (buffers.file, buffers.inflated) = (Vec::new(), Vec::new());
        }
        taken
    })
}

impl evidence::Archive for Disk {
    fn walk(&self, each: &mut dyn FnMut(evidence::File)) {
        for (path, found) in FileWalk::new(&self.archive) {
            match found {
                Ok(Found::Trail(key) | Found::Unnamed(key)) => {
                    if let Some(kind) = self.kind(&key) {
                        each(evidence::File { path: key.path, kind, number: 0, known: None });
                    }
                }
                Ok(Found::Skipped(why)) => self.note(&path, why),
                Ok(_) => {}
                Err(error) => self.note(&path, &error.to_string()),
            }
        }
    }

    fn reading(&self, path: &str) -> Result<Reading, String> {
        self.read(path, usize::MAX, reading_of)
    }

    fn content(&self, path: &str, bytes_max: usize) -> Result<Content, String> {
        self.read(path, bytes_max, content_of)
    }

    fn is_asked(&self, path: &str) -> bool {
        self.archive.roots().iter().any(|root| Path::new(path).starts_with(root))
    }
}

/// Inflates all members one behind another. Returns the length, and whether something follows the first.
fn gunzip(buffers: &mut Buffers, limits: ReadLimits) -> Result<(usize, bool), String> {
    let Buffers { inflater, file, inflated } = buffers;
    let by_ratio = file.len().saturating_mul(limits.inflate_ratio_max).max(RATIO_FREE_BYTES);
    let most = limits.file_bytes_max.min(by_ratio);
    let (mut at, mut length, mut members) = (0, 0, 0);
    while file[at..].starts_with(GZIP) {
        match member(inflater, &file[at..], inflated, length, most) {
            Ok(Some(Inflated { read, written })) => (at, length) = (at + read, length + written),
            Ok(None) => return Err(too_large(limits)),
            Err(why) if members == 0 => return Err(why),
            Err(_) => break,
        }
        members += 1;
    }
    Ok((length, members > 1 || at < file.len()))
}

/// Inflates the member at the start of `file` into `out[length..]`; None where that has no room.
fn member(
    inflater: &mut Inflater,
    file: &[u8],
    out: &mut Vec<u8>,
    length: usize,
    most: usize,
) -> Result<Option<Inflated>, String> {
    // What a trail file takes, mostly.
    let mut room = (file.len().saturating_mul(16)).max(4 << 10);
    loop {
        let end = length.saturating_add(room).min(most);
        if out.len() < end {
            out.resize(end, 0);
        }
        match inflater.gunzip(file, &mut out[length..]) {
            Err(_) => return Err("its compressed data is damaged or cut off".to_owned()),
            Ok(Some(inflated)) if length + inflated.written <= most => return Ok(Some(inflated)),
            Ok(Some(_)) => return Ok(None),
            Ok(None) if out.len() >= most => return Ok(None),
            Ok(None) => room = (out.len() - length).saturating_mul(2),
        }
    }
}

fn too_large(limits: ReadLimits) -> String {
    let ReadLimits { file_bytes_max, inflate_ratio_max } = limits;
    format!("it holds more than {file_bytes_max} bytes, or {inflate_ratio_max} times its size")
}
