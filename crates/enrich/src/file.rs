//! Files of the user's: read whole within a bound, and read again where they changed.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is wrong with a file, or with a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1 on; None where it is the file.
    pub line: Option<usize>,
    /// What is wrong, in words.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map_or_else(String::new, |line| format!(":{line}"));
        write!(f, "{}{line}: {}", self.path.display(), self.reason)
    }
}

/// By what a change of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A file, and what was made of it.
#[derive(Debug)]
pub(crate) struct Read<T> {
    path: PathBuf,
    /// As it was when it was read; None where it could not be found, or changed meanwhile.
    stamp: Option<Stamp>,
    /// What was read last, perhaps of an earlier file of this path.
    pub(crate) content: Option<Arc<Content<T>>>,
    pub(crate) problems: Vec<Problem>,
}

/// What was read of a file.
#[derive(Debug)]
pub(crate) struct Content<T> {
    pub(crate) of: T,
    pub(crate) bytes: usize,
    /// Equal for equal files.
    pub(crate) hash: u128,
}

/// What makes something of a file's bytes: it, and what is wrong with its lines.
pub(crate) type Made<T> = Result<(T, Vec<(usize, String)>), String>;

impl<T> Clone for Read<T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            stamp: self.stamp,
            content: self.content.clone(),
            problems: self.problems.clone(),
        }
    }
}

impl<T> Read<T> {
    /// Reads a file of so many bytes at most. One that did not change since `before` is not read again, and
    /// of one that cannot be read, what was read before stays.
    pub(crate) fn new(
        path: &Path,
        bytes_max: usize,
        before: Option<&Self>,
        make: impl FnOnce(Vec<u8>) -> Made<T>,
    ) -> Self {
        let before = before.filter(|before| before.path == path);
        let stamp = fs::metadata(path).ok().map(|meta| Stamp::of(&meta));
        let has_failed = |before: &Self| before.problems.iter().any(|it| it.line.is_none());
        if let Some(before) = before
            && stamp.is_some()
            && before.stamp == stamp
            && before.bytes() <= bytes_max
            && !has_failed(before)
        {
            return before.clone();
        }
        let problem = |line, reason| Problem { path: path.to_owned(), line, reason };
        let kept = before.and_then(|before| before.content.clone());
        let kept = kept.filter(|kept| kept.bytes <= bytes_max);
        let failed = |reason: String, stamp| {
            let kept_on = if kept.is_some() { "; what it was before is used" } else { "" };
            let problems = vec![problem(None, format!("{reason}{kept_on}"))];
            Self { path: path.to_owned(), stamp, content: kept.clone(), problems }
        };
        let bytes = match read(path, bytes_max) {
            Ok((bytes, read)) if Some(read) == stamp => bytes,
            Ok(_) => return failed("it changes while it is read".to_owned(), None),
            Err(reason) => return failed(reason, stamp),
        };
        let (size, hash) = (bytes.len(), hash(&bytes));
        match make(bytes) {
            Ok((of, lines)) => {
                let lines = lines.into_iter().map(|(line, reason)| problem(Some(line), reason));
                let problems: Vec<Problem> = lines.collect();
                let content = Some(Arc::new(Content { of, bytes: size, hash }));
                Self { path: path.to_owned(), stamp, content, problems }
            }
            Err(reason) => failed(reason, stamp),
        }
    }

    /// Whether it is what was read of a path.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        self.path == path
    }

    /// Whether the file is another than was read.
    pub(crate) fn is_stale(&self) -> bool {
        let now = fs::metadata(&self.path).ok().map(|meta| Stamp::of(&meta));
        now != self.stamp
    }

    /// How many bytes the file had that was read.
    pub(crate) fn bytes(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.bytes)
    }
}

/// 128 bits of BLAKE3: whoever writes a list cannot make two that are taken for one.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    let hash = blake3::hash(bytes);
    hash.as_bytes().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// The bytes of a file, and by what it is known.
fn read(path: &Path, bytes_max: usize) -> Result<(Vec<u8>, Stamp), String> {
    let text = |error: std::io::Error| error.to_string();
    // What is no file may block, or never end.
    if !fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut file = File::open(path).map_err(text)?;
    let before = file.metadata().map_err(text)?;
    if before.len() > bytes_max as u64 {
        let (bytes, max) = (before.len().div_ceil(1 << 20), bytes_max >> 20);
        return Err(format!("it has {bytes} MiB, and {max} MiB are left for it"));
    }
    let mut bytes = Vec::with_capacity(before.len() as usize);
    (&mut file).take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(text)?;
    let after = file.metadata().map_err(text)?;
    if Stamp::of(&before) != Stamp::of(&after) || bytes.len() as u64 != after.len() {
        return Err("it changes while it is read".to_owned());
    }
    Ok((bytes, Stamp::of(&after)))
}
