//! Lists the files of an archive that can be trail files. The walk is lazy: it takes no memory for
//! files that it has not reached.

use std::fs::{self, ReadDir};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use segment::file::FileKey;

/// Whether a file of this name can be a trail file: `.json`, `.jsonl`, `.ndjson` or `.cloudtrail`,
/// plain or compressed. Temporary names of downloads (`x.json.gz.1a2B3c4D`, `.x.json.gz`) are not.
pub(crate) fn is_trail_name(name: &str) -> bool {
    let stem = [".gz", ".gzip", ".zst", ".zstd"]
        .into_iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let has_extension = [".json", ".jsonl", ".ndjson", ".cloudtrail"]
        .into_iter()
        .any(|suffix| stem.len() > suffix.len() && stem.ends_with(suffix));
    has_extension && !name.starts_with('.')
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file whose name can be a trail file's.
    Trail(FileKey),
    /// A directory, which the walk opens next.
    Directory,
    /// A path that could hold a trail file and is not read, for the reason given.
    Skipped(&'static str),
    /// A file whose name is no trail file's.
    Ignored,
}

const LINK: &str = "a symbolic link: what it leads to is read under its own name, if it is watched";
const NOT_REGULAR: &str = "not a regular file";
const NOT_UTF8: &str = "its path is not UTF-8";

/// Looks at a path without following links; an error where it does not exist or cannot be looked
/// at.
pub fn look(path: &Path) -> std::io::Result<Found> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Ok(Found::Directory);
    }
    if metadata.is_symlink() {
        return Ok(Found::Skipped(LINK));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(if is_trail_name(&name) { trail(path, &metadata) } else { Found::Ignored })
}

fn trail(path: &Path, metadata: &fs::Metadata) -> Found {
    let Some(text) = path.to_str() else { return Found::Skipped(NOT_UTF8) };
    if !metadata.is_file() {
        return Found::Skipped(NOT_REGULAR);
    }
    Found::Trail(FileKey {
        path: text.to_owned(),
        size: metadata.len(),
        mtime_ns: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    })
}

/// Walks directories, depth first, and single files. It does not follow symbolic links.
pub struct FileWalk {
    /// Directories still to be opened, and open ones.
    to_open: Vec<PathBuf>,
    open: Vec<ReadDir>,
}

impl FileWalk {
    /// Starts at these paths; none of them is opened yet.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { to_open: roots.into_iter().collect(), open: Vec::new() }
    }
}

impl Iterator for FileWalk {
    /// A path that is no directory, and what it is; or a path that cannot be looked at, and why.
    type Item = (PathBuf, std::io::Result<Found>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(dir) = self.to_open.pop() {
                match fs::read_dir(&dir) {
                    Ok(entries) => self.open.push(entries),
                    // A root that is a file was named by a person, so its name does not matter.
                    Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                        let found = fs::metadata(&dir).map(|metadata| trail(&dir, &metadata));
                        return Some((dir, found));
                    }
                    Err(error) => return Some((dir, Err(error))),
                }
            }
            match self.open.last_mut()?.next() {
                None => {
                    self.open.pop();
                }
                Some(Err(error)) => return Some((PathBuf::new(), Err(error))),
                Some(Ok(entry)) => {
                    let path = entry.path();
                    match look(&path) {
                        Ok(Found::Directory) => self.to_open.push(path),
                        found => return Some((path, found)),
                    }
                }
            }
        }
    }
}

/// How long ago a file changed last; zero for a time in the future.
pub(crate) fn age(key: &FileKey) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::from_nanos(u64::try_from(key.mtime_ns).unwrap_or(0));
    now.saturating_sub(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_trail_files_are_told_from_others() {
        for name in [
            "1_CloudTrail_us-east-1_20230710T1240Z_C1qUFaqvZS64BcIN.json.gz",
            "x.json",
            "x.jsonl.zst",
            "x.ndjson",
            "SendEmail.json.cloudtrail",
        ] {
            assert!(is_trail_name(name), "{name}");
        }
        for name in [
            "x.json.gz.6eF0a1B2",
            ".x.json.gz",
            ".json",
            "README.md",
            "x.gz",
            "json",
            "",
            "x.json.tmp",
        ] {
            assert!(!is_trail_name(name), "{name}");
        }
    }

    #[test]
    fn a_walk_finds_every_file_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["a/b/1.json", "a/2.json.gz", "3.json", "a/readme.txt"] {
            fs::write(root.join(name), "{}").unwrap();
        }
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("3.json"), root.join("link.json")).unwrap();
        let mut trails = Vec::new();
        let mut ignored = Vec::new();
        for (path, found) in FileWalk::new([root.to_owned()]) {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            match found.unwrap() {
                Found::Trail(key) => {
                    assert_eq!(key.size, 2);
                    trails.push(name);
                }
                _ => ignored.push(name),
            }
        }
        trails.sort();
        ignored.sort();
        assert_eq!(trails, ["3.json", "a/2.json.gz", "a/b/1.json"]);
        assert_eq!(ignored, ["a/readme.txt", "link", "link.json"]);
    }
}
