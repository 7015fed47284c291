//! A bag in the making, in `NAME.partial` beside where it is to be:
//!
//! ```text
//! NAME.partial/lock        one process at a time
//!              state.json  what is made; see [`Stage::state`]
//!              bag/        the bag; a file that has its name there is whole
//!              bag.tar     the tar, if one is wanted
//!              new         the file that is being written
//!              done        all of it is on disk, and is now renamed
//! ```
//!
//! So nothing under the bag's own name is ever less than the whole bag. The tag manifest is written last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::Hash;
use crate::info;
use crate::limits::STEP;
use crate::manifest::line;
use crate::names::{DECLARATION, INFO, MANIFEST, TAG_MANIFEST};
use crate::packing;
use crate::report::Report;

const LOCK: &str = "lock";
const DONE: &str = "done";

/// Why a bag cannot be made here.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// There is something else.
    #[error("{} is there already, and is not empty: name another", .0.display())]
    Taken(PathBuf),
    /// No bag can get this name.
    #[error("{} cannot be written: {why}", .path.display())]
    NoPlace {
        /// The output.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// What is in the place of the bag in the making is none.
    #[error("{} is no bundle in the making: remove it, or name another output", .0.display())]
    NotOurs(PathBuf),
    /// Another process makes it.
    #[error("another traildex process makes this bundle, in {}", .0.display())]
    Locked(PathBuf),
    /// The disk.
    #[error("{path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What there is of a bag.
#[derive(Debug)]
pub enum Begun {
    /// Nothing, or a part.
    Making(Stage),
    /// All of a bag, at this path: an earlier run was ended when it had given it its name. Whether it is
    /// the same bag is for the caller to see.
    Done(PathBuf),
}

/// A file of the bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of its bytes.
    pub sha256: Hash,
    /// How many.
    pub bytes: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Stage {
    output: PathBuf,
    folder: PathBuf,
    is_tar: bool,
    _lock: File,
}

/// A writer that hashes.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn is_empty_folder(path: &Path) -> io::Result<bool> {
    Ok(path.is_dir() && fs::read_dir(path)?.next().is_none())
}

/// The folder that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The output without slashes and dots at its end. What could not get the name at the end is refused now, and
/// not when all the work is done.
fn settled(output: &Path, is_tar: bool) -> Result<PathBuf, StageError> {
    let refuse = |why| StageError::NoPlace { path: output.to_owned(), why };
    let settled: PathBuf = output.components().collect();
    if settled.file_name().is_none() {
        return Err(refuse("its last part is no name"));
    }
    let Ok(found) = settled.symlink_metadata() else {
        let is_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        return if is_tar && is_folder {
            Err(refuse("a tar is a file, and its name ends in a slash"))
        } else {
            Ok(settled)
        };
    };
    if found.is_symlink() {
        return Err(refuse("it is a link: name what it leads to"));
    }
    let above = parent(&settled).metadata();
    if above.is_ok_and(|above| above.dev() != found.dev()) {
        return Err(refuse("it is a mount point: name a folder in it"));
    }
    Ok(settled)
}

/// Gives a file or folder another name, which nothing has.
fn rename_anew(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems that cannot tell.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

impl Stage {
    /// Begins a bag, or goes on with one. Refuses a place where something else is.
    pub fn open(output: &Path, is_tar: bool) -> Result<Begun, StageError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StageError::Io { path, source }
        };
        let output = &settled(output, is_tar)?;
        let mut name = output.as_os_str().to_owned();
        name.push(".partial");
        let folder = PathBuf::from(name);
        let is_there = output.symlink_metadata().is_ok();
        let is_begun = folder.symlink_metadata().is_ok();
        // What a run leaves that was ended while it removed the rest.
        let is_left = is_begun && is_empty_folder(&folder).map_err(at(&folder))?;
        let has_ended = folder.join(DONE).is_file();
        if is_begun {
            let is_ours = folder.join(LOCK).is_file() || has_ended || is_left;
            if !is_ours || folder.is_symlink() {
                return Err(StageError::NotOurs(folder));
            }
        }
        let is_free = !is_there || (!is_tar && is_empty_folder(output).map_err(at(output))?);
        let is_done = is_there && !is_free && (has_ended || is_left);
        if !is_free && !is_done {
            return Err(StageError::Taken(output.to_owned()));
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let lock = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let lock = options.open(&lock).map_err(at(&lock))?;
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(StageError::Locked(folder));
        }
        let stage = Self { output: output.to_owned(), folder, is_tar, _lock: lock };
        if is_done && !stage.made().exists() {
            stage.clear().map_err(at(&stage.folder))?;
            return Ok(Begun::Done(stage.output));
        }
        if is_done {
            return Err(StageError::Taken(output.to_owned()));
        }
        let bag = stage.bag();
        fs::create_dir_all(&bag).map_err(at(&bag))?;
        Ok(Begun::Making(stage))
    }

    /// The folder of the bag in the making.
    pub fn bag(&self) -> PathBuf {
        self.folder.join("bag")
    }

    /// A place for what is needed meanwhile, and is none of the bag.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What gets the bag's name at the end.
    fn made(&self) -> PathBuf {
        self.folder.join(if self.is_tar { "bag.tar" } else { "bag" })
    }

    /// What an earlier run noted under a name; None if it noted nothing that can be read.
    pub fn state<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let text = fs::read(self.beside(name)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes something for a later run.
    pub fn note<T: Serialize>(&self, name: &str, state: &T) -> io::Result<()> {
        let new = self.beside("noted");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.sync_data()?;
        fs::rename(&new, self.beside(name))
    }

    /// A file of the bag that an earlier run has written: it is hashed again.
    pub fn stored(&self, path: &str) -> io::Result<Option<Stored>> {
        let mut file = match File::open(self.bag().join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut hashing = Hashing { to: io::sink(), hash: Sha256::new(), bytes: 0 };
        copy(&mut file, &mut hashing)?;
        Ok(Some(Stored { sha256: hashing.hash.finalize().into(), bytes: hashing.bytes }))
    }

    /// Writes a file of the bag. It gets its name when it is whole.
    pub fn put<E: From<io::Error>>(
        &self,
        path: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Stored, E> {
        let new = self.beside("new");
        let to = BufWriter::with_capacity(STEP, File::create(&new)?);
        let mut hashing = Hashing { to, hash: Sha256::new(), bytes: 0 };
        write(&mut hashing)?;
        hashing.flush()?;
        let place = self.bag().join(path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&new, &place)?;
        Ok(Stored { sha256: hashing.hash.finalize().into(), bytes: hashing.bytes })
    }

    /// Removes what an earlier run left in the bag, and these files do not include.
    pub fn keep_only(&self, files: &BTreeMap<String, Stored>) -> io::Result<()> {
        keep_only(&self.bag(), "", &files.keys().map(|path| &**path).collect()).map(|_| ())
    }

    /// Removes what an earlier run left: nobody knows what it is of.
    pub fn begin_anew(&self) -> io::Result<()> {
        self.empty(&[LOCK])?;
        fs::create_dir_all(self.bag())
    }

    /// Removes all of it: nothing is to be made.
    pub fn give_up(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    /// Removes a file of the bag.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.bag().join(path))
    }

    /// Ends the bag: these are its files, besides what makes a bag of them. `time` is that of a tar's files,
    /// in seconds since 1970, and `on_step` is called where tests end the process. What has the bag's name
    /// by now is not replaced.
    pub fn finish(
        self,
        files: &BTreeMap<String, Stored>,
        report: &Report,
        time: u64,
        on_step: &dyn Fn(&str),
    ) -> Result<(), StageError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StageError::Io { path, source }
        };
        self.seal(files, report, time, on_step).map_err(at(&self.folder))?;
        on_step("bundle-done");
        // An empty folder was there at the start. What is in it now stays.
        let _ = fs::remove_dir(&self.output);
        match rename_anew(&self.made(), &self.output) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StageError::Taken(self.output.clone()));
            }
            renamed => renamed.map_err(at(&self.output))?,
        }
        let parent = parent(&self.output);
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))?;
        on_step("bundle-named");
        self.clear().map_err(at(&self.folder))
    }

    /// Makes a bag of the files, and a tar of it if one is wanted, and sees that all is on the disk.
    fn seal(
        &self,
        files: &BTreeMap<String, Stored>,
        report: &Report,
        time: u64,
        on_step: &dyn Fn(&str),
    ) -> io::Result<()> {
        let tags = self.tags(files, report, on_step)?;
        let bag = self.bag();
        if self.is_tar {
            let mut paths: Vec<String> = files.keys().cloned().collect();
            paths.extend(tags);
            paths.sort();
            let name = self.output.file_stem().unwrap_or_default().to_string_lossy();
            let name = packed_name(&name);
            packing::pack(&bag, &name, &paths, time, &self.made(), on_step)?;
            on_step("bundle-tar-written");
        }
        File::create(self.beside(DONE))?.sync_all()
    }

    /// Removes what is in the folder, but for these.
    fn empty(&self, but: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if but.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes the folder; what says that the bag has its name goes last.
    fn clear(&self) -> io::Result<()> {
        self.empty(&[DONE])?;
        if self.beside(DONE).exists() {
            fs::remove_file(self.beside(DONE))?;
        }
        fs::remove_dir(&self.folder)
    }

    /// Writes what makes a bag of the files, the tag manifest last, when all else is on the disk. Returns
    /// the paths.
    fn tags(
        &self,
        files: &BTreeMap<String, Stored>,
        report: &Report,
        on_step: &dyn Fn(&str),
    ) -> io::Result<Vec<String>> {
        let bag = self.bag();
        self.keep_only(files)?;
        on_step("bundle-payload-written");
        let mut tags = BTreeMap::new();
        let mut put = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            tags.insert(name.to_owned(), self.put(name, write)?);
            Ok::<(), io::Error>(())
        };
        let bytes = files.values().map(|stored| stored.bytes).sum();
        let info = info::text(report, bytes, files.len() as u64);
        put(INFO, &|to| to.write_all(info.as_bytes()))?;
        put(DECLARATION, &|to| to.write_all(info::DECLARATION_TEXT.as_bytes()))?;
        put(MANIFEST, &|to| write_lines(to, files))?;
        on_step("bundle-manifest-written");
        rustix::fs::syncfs(File::open(&bag)?)?;
        self.put(TAG_MANIFEST, |to| write_lines(to, &tags))?;
        rustix::fs::syncfs(File::open(&bag)?)?;
        on_step("bundle-tagmanifest-written");
        Ok(tags.into_keys().chain([TAG_MANIFEST.to_owned()]).collect())
    }
}

fn write_lines(to: &mut dyn Write, files: &BTreeMap<String, Stored>) -> io::Result<()> {
    files.iter().try_for_each(|(path, stored)| to.write_all(line(&stored.sha256, path).as_bytes()))
}

/// The name of the folder in a tar: that of the tar, plain.
fn packed_name(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let plain: String = name.chars().filter(is_plain).take(64).collect();
    match plain.trim_start_matches('.') {
        "" => "bundle".to_owned(),
        plain => plain.to_owned(),
    }
}

/// Copies all that there is.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut buffer = vec![0; STEP];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                copied += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what an earlier run left, and these files do not include, and folders that are empty then.
fn keep_only(folder: &Path, within: &str, files: &BTreeSet<&str>) -> io::Result<bool> {
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if within.is_empty() { name.into_owned() } else { format!("{within}/{name}") };
        if entry.file_type()?.is_dir() {
            if keep_only(&entry.path(), &path, files)? {
                fs::remove_dir(entry.path())?;
            } else {
                is_empty = false;
            }
        } else if files.contains(&*path) {
            is_empty = false;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_holds_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("bag");
        fs::create_dir(&output).unwrap();
        assert!(matches!(Stage::open(&output, false), Ok(Begun::Making(_))), "an empty folder");
        fs::write(output.join("x"), "").unwrap();
        assert!(matches!(Stage::open(&output, false), Err(StageError::Taken(_))));
        let other = dir.path().join("other");
        fs::create_dir(dir.path().join("other.partial")).unwrap();
        fs::write(dir.path().join("other.partial/x"), "").unwrap();
        assert!(matches!(Stage::open(&other, false), Err(StageError::NotOurs(_))));
        let stage = Stage::open(&dir.path().join("third"), false).unwrap();
        let again = Stage::open(&dir.path().join("third"), false);
        assert!(matches!(again, Err(StageError::Locked(_))));
        drop(stage);
    }

    #[test]
    fn a_name_that_no_bag_can_get_is_refused_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("folder", at("link")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        for name in ["folder/..", "link", "link/", "dangling", "/", "..", "/proc"] {
            let refused = Stage::open(&at(name), false);
            assert!(matches!(refused, Err(StageError::NoPlace { .. })), "{name}: {refused:?}");
        }
        assert!(matches!(Stage::open(&at("x.tar/"), true), Err(StageError::NoPlace { .. })));
        for name in ["bag/", "bag/.", "./bag", "folder//"] {
            let Ok(Begun::Making(stage)) = Stage::open(&at(name), false) else { panic!("{name}") };
            let folder = if name.contains("bag") { "bag.partial" } else { "folder.partial" };
            assert_eq!(stage.folder, at(folder), "{name}");
        }
    }

    #[test]
    fn what_appeared_under_the_bags_name_is_not_replaced() {
        for (name, is_tar) in [("bag", false), ("bag.tar", true)] {
            let dir = tempfile::tempdir().unwrap();
            let output = dir.path().join(name);
            let Ok(Begun::Making(stage)) = Stage::open(&output, is_tar) else { panic!() };
            let appear = |step: &str| {
                if step == "bundle-done" && is_tar {
                    fs::write(&output, "mine").unwrap();
                } else if step == "bundle-done" {
                    fs::create_dir(&output).unwrap();
                    fs::write(output.join("mine"), "").unwrap();
                }
            };
            let finished = stage.finish(&BTreeMap::new(), &Report::default(), 0, &appear);
            assert!(matches!(finished, Err(StageError::Taken(_))), "{finished:?}");
            let is_mine = if is_tar {
                fs::read(&output).unwrap() == b"mine"
            } else {
                output.join("mine").exists()
            };
            assert!(is_mine, "{name}");
        }
    }

    #[test]
    fn a_folder_in_a_tar_has_a_plain_name() {
        for (name, expected) in [
            ("case-17", "case-17"),
            (".hidden", "hidden"),
            ("(.).hidden", "hidden"),
            ("ü..", "bundle"),
            ("", "bundle"),
        ] {
            assert_eq!(packed_name(name), expected, "{name}");
        }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let Begun::Making(stage) = Stage::open(&dir.path().join("bag"), false).unwrap() else {
            panic!()
        };
        let failed = stage.put("data/x", |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("the end"))
        });
        assert!(failed.is_err() && stage.stored("data/x").unwrap().is_none());
        let put = stage.put("data/x", |to| to.write_all(b"all")).unwrap();
        assert_eq!(stage.stored("data/x").unwrap(), Some(put));
    }
}
