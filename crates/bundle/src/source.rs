//! A bag to be read: a folder, or a tar. Nothing in it is trusted: no link is followed, nothing is unpacked to
//! the disk under a name of its own, and what is no plain file is named.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::limits::{DEPTH_MAX, REPORT_BYTES_MAX};
use crate::names::{REPORT, checked};
use crate::paths::ByPath;
use crate::problems::Problems;
use crate::report::{FORMAT, Report};
use crate::unpacking;

/// A bag that is read.
#[derive(Debug)]
pub struct Bag {
    kind: Kind,
    files: ByPath<Entry>,
}

#[derive(Debug)]
enum Kind {
    Folder(OwnedFd),
    Tar(File),
}

/// A file of a bag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Bytes.
    pub(crate) size: u64,
    /// Where it begins in a tar.
    pub(crate) at: u64,
}

impl Bag {
    /// Opens a bag and lists its files. What is no plain file, or has a path that no bag has, is a problem,
    /// and is not read.
    pub fn open(path: &Path, problems: &mut Problems) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut files = ByPath::new();
        if file.metadata()?.is_dir() {
            list(path, "", 0, &mut files, problems)?;
            return Ok(Self { kind: Kind::Folder(file.into()), files });
        }
        unpacking::list(&file, &mut files, problems)?;
        Ok(Self { kind: Kind::Tar(file), files })
    }

    /// The files and their bytes, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.map().iter().map(|(path, entry)| (&**path, entry.size))
    }

    /// The bytes of a file; None where there is none of that path.
    pub fn size(&self, path: &str) -> Option<u64> {
        self.files.map().get(path).map(|entry| entry.size)
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> io::Result<Box<dyn Read + '_>> {
        let entry = self.files.map().get(path).ok_or(io::ErrorKind::NotFound)?;
        match &self.kind {
            Kind::Folder(folder) => Ok(Box::new(open_beneath(folder, path)?)),
            Kind::Tar(file) => Ok(Box::new(Part { file, at: entry.at, left: entry.size })),
        }
    }

    /// Opens a file as one of the disk: that of a tar is a copy without a name, which has a byte more than
    /// `bytes_max` at most. Who reads it takes no file that is larger.
    pub fn file(&self, path: &str, bytes_max: usize) -> io::Result<File> {
        if let Kind::Folder(folder) = &self.kind {
            return open_beneath(folder, path);
        }
        let mut copy = tempfile::tempfile()?;
        io::copy(&mut self.read(path)?.take((bytes_max as u64).saturating_add(1)), &mut copy)?;
        copy.rewind()?;
        Ok(copy)
    }

    /// A whole file; an error where it has more than so many bytes.
    pub fn content(&self, path: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.read(path)?.take(bytes_max as u64 + 1).read_to_end(&mut content)?;
        if content.len() > bytes_max {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(content)
        }
    }

    /// What the bag says of itself; Err is why that cannot be read.
    pub fn report(&self) -> Result<Report, String> {
        let text = self.content(REPORT, REPORT_BYTES_MAX).map_err(|error| error.to_string())?;
        let report: Report = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if report.format == FORMAT {
            Ok(report)
        } else {
            Err(format!("its format is {}, not {FORMAT}", report.format))
        }
    }
}

/// Lists a folder, by names that are UTF-8 and lead nowhere else.
fn list(
    folder: &Path,
    within: &str,
    depth: usize,
    files: &mut ByPath<Entry>,
    problems: &mut Problems,
) -> io::Result<()> {
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        is_empty = false;
        let name = entry.file_name();
        let path = join(within, &name);
        let refused = match name.to_str() {
            None => Some("its name is not UTF-8"),
            Some(_) => checked(&path).err(),
        };
        if let Some(why) = refused {
            problems.add(path, why);
            continue;
        }
        // Of the entry itself: a link is not followed.
        let found = entry.metadata()?;
        if found.is_dir() {
            if depth < DEPTH_MAX {
                list(&entry.path(), &path, depth + 1, files, problems)?;
            } else {
                problems.add(path, "a folder below too many others");
            }
        } else if found.is_file() {
            files.insert(path, Entry { size: found.len(), at: 0 })?;
        } else {
            let what = if found.is_symlink() { "a link" } else { "not a plain file" };
            problems.add(path, format!("{what}: it is not read"));
        }
    }
    if is_empty && depth > 0 {
        problems.add(within, "an empty folder, which no manifest names");
    }
    Ok(())
}

fn join(within: &str, name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if within.is_empty() { name.into_owned() } else { format!("{within}/{name}") }
}

/// Opens a file beneath a folder, each part by itself. None of them may be a link.
fn open_beneath(folder: &OwnedFd, path: &str) -> io::Result<File> {
    checked(path).map_err(io::Error::other)?;
    let open = |place: &dyn AsFd, name: &str, flags: OFlags| {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(place.as_fd(), name, flags, Mode::empty())
    };
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut place = folder.try_clone()?;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        place = open(&place, part, OFlags::PATH | OFlags::DIRECTORY)?;
    }
    // What waits for nobody at the other end, if it became a pipe.
    let file = File::from(open(&place, name, OFlags::RDONLY | OFlags::NONBLOCK)?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a plain file any more"))
    }
}

/// A stretch of a tar.
struct Part<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.at, self.left) = (self.at + read as u64, self.left - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::pack;

    #[test]
    fn a_copy_of_what_is_in_a_tar_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), vec![7; 1 << 20]).unwrap();
        let tar = dir.path().join("x.tar");
        pack(dir.path(), "bag", &["x".to_owned()], 0, &tar, &|_| {}).unwrap();
        let mut problems = Problems::default();
        let bag = Bag::open(&tar, &mut problems).unwrap();
        assert!(problems.is_empty());
        assert_eq!(bag.file("x", 10).unwrap().metadata().unwrap().len(), 11);
        assert_eq!(bag.file("x", 1 << 20).unwrap().metadata().unwrap().len(), 1 << 20);
    }
}
