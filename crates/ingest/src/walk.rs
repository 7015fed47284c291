//! Lists the files of an archive that can be trail files. The walk is lazy: it takes no memory for
//! files that it has not reached.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::Dir;

use crate::archive::Archive;
use segment::file::FileKey;

/// Endings of compressed files.
const COMPRESSED: [&str; 4] = [".gz", ".gzip", ".zst", ".zstd"];

fn without_compression(name: &str) -> &str {
    COMPRESSED.into_iter().find_map(|ending| without(name, ending)).unwrap_or(name)
}

/// A name without an ending, in capitals too; None if it has another.
fn without<'n>(name: &'n str, ending: &str) -> Option<&'n str> {
    let (stem, last) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    last.eq_ignore_ascii_case(ending).then_some(stem)
}

/// Whether a name says nothing of what the file holds: it has no ending, as those of AWS's exports. What
/// is being written has one (`x.json.gz.1a2B3c4D`, `x.part`).
pub(crate) fn says_nothing(name: &str) -> bool {
    let stem = without_compression(name);
    !stem.is_empty() && !stem.contains('.') && !stem.ends_with('~')
}

/// Whether a file of this name can be a trail file: `.json`, `.jsonl`, `.ndjson` or `.cloudtrail`,
/// plain or compressed. Temporary names of downloads (`x.json.gz.1a2B3c4D`, `.x.json.gz`) are not.
pub(crate) fn is_trail_name(name: &str) -> bool {
    let stem = without_compression(name);
    let has_extension = [".json", ".jsonl", ".ndjson", ".cloudtrail"]
        .into_iter()
        .any(|ending| without(stem, ending).is_some_and(|stem| !stem.is_empty()));
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
    /// A regular file whose name says nothing: its content decides.
    Unnamed(FileKey),
    /// A file whose name is no trail file's.
    Ignored,
}

impl Found {
    /// The file, if it can be a trail's.
    pub fn key(self) -> Option<FileKey> {
        match self {
            Self::Trail(key) | Self::Unnamed(key) => Some(key),
            _ => None,
        }
    }
}

/// Folders within folders that a walk goes into: each is open meanwhile. A tree of AWS's has ten.
const DEPTH_MAX: usize = 128;

const TOO_DEEP: &str = "a folder below too many others";

/// Walks directories, depth first, and single files. It does not follow symbolic links.
pub struct FileWalk {
    archive: Arc<Archive>,
    /// Directories still to be opened.
    starts: Vec<PathBuf>,
    open: Vec<OpenFolder>,
}

/// A directory that the walk is in.
struct OpenFolder {
    path: PathBuf,
    entries: Dir,
}

impl FileWalk {
    /// Starts at the roots of an archive; none of them is opened yet.
    pub fn new(archive: &Arc<Archive>) -> Self {
        let starts = archive.roots().iter().rev().cloned().collect();
        Self { archive: Arc::clone(archive), starts, open: Vec::new() }
    }

    /// Starts at a directory of an archive.
    pub(crate) fn at(archive: &Arc<Archive>, folder: PathBuf) -> Self {
        Self { archive: Arc::clone(archive), starts: vec![folder], open: Vec::new() }
    }

    /// Begins with a directory, or says what is in its place.
    fn start(&mut self, path: PathBuf) -> Option<(PathBuf, std::io::Result<Found>)> {
        match self.archive.list(&path) {
            Ok(entries) => self.open.push(OpenFolder { path, entries }),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                let found = self.archive.look(&path);
                return Some((path, found));
            }
            Err(error) => return Some((path, Err(error))),
        }
        None
    }
}

impl Iterator for FileWalk {
    /// A path that is no directory, and what it is; or a path that cannot be looked at, and why.
    type Item = (PathBuf, std::io::Result<Found>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(OpenFolder { path, entries }) = self.open.last_mut() else {
                let start = self.starts.pop()?;
                if let Some(found) = self.start(start) {
                    return Some(found);
                }
                continue;
            };
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => return Some((path.clone(), Err(error.into()))),
                None => {
                    self.open.pop();
                    continue;
                }
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let below = path.join(name);
            match self.archive.look_beneath(entries, name, &below) {
                Ok(Found::Directory) => match Archive::list_beneath(entries, name) {
                    Ok(_) if self.open.len() >= DEPTH_MAX => {
                        return Some((below, Ok(Found::Skipped(TOO_DEEP))));
                    }
                    Ok(entries) => self.open.push(OpenFolder { path: below, entries }),
                    Err(error) => return Some((below, Err(error))),
                },
                found => return Some((below, found)),
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
    use std::fs;

    use super::*;

    #[test]
    fn names_of_trail_files_are_told_from_others() {
        for name in [
            "1_CloudTrail_us-east-1_20230710T1240Z_C1qUFaqvZS64BcIN.json.gz",
            "x.json",
            "x.jsonl.zst",
            "x.ndjson",
            "x.JSON",
            "X.Json.GZ",
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
    fn names_that_say_nothing_have_no_ending() {
        for name in ["000000.gz", "000000", "export-2024-05-06T07", "x.zst", "README"] {
            assert!(says_nothing(name) && !is_trail_name(name), "{name}");
        }
        for name in [
            "",
            ".gz",
            ".hidden",
            ".000000.gz",
            "x.tmp",
            "x.part",
            "x.gz.part",
            "000000.gz.6eF0a1B2",
            "x.json",
            "x.json.gz",
            "x.json.gz.6eF0a1B2",
            "README.md",
            "x~",
            "x.log.gz",
        ] {
            assert!(!says_nothing(name), "{name}");
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
        for (path, found) in FileWalk::new(&Arc::new(Archive::new([root.to_owned()]))) {
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
