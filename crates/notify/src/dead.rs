//! Dead letters of a target: changes that could not be delivered, kept until somebody looks.
//!
//! `dead.ndjson` has a line for each, with the reason. To try them again, lines move to a file
//! `retry-….ndjson`, which the running program takes into the spool and deletes. Both sides hold the
//! lock `dead.lock` while they change files. A kill in between can double a line, and lose none.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::disk;

/// The dead letters in a target's folder.
#[derive(Debug)]
pub(crate) struct Dead {
    folder: PathBuf,
}

/// A change that was not delivered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// When it was given up.
    pub at: String,
    pub reason: String,
    pub attempts: u32,
    pub change: Change,
}

impl Dead {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Keeps a letter; it is on the disk when this returns.
    pub(crate) fn push(&self, letter: &Letter) -> io::Result<()> {
        let _lock = self.lock()?;
        let mut line = serde_json::to_vec(letter)?;
        line.push(b'\n');
        let path = self.path();
        let is_new = !path.exists();
        let mut file = disk::append_to(&path)?;
        let start = file.metadata()?.len();
        // A torn line before it would take this one with it.
        if start > 0 && !ends_in_line(&file, start)? {
            line.insert(0, b'\n');
        }
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_data()) {
            let _ = file.set_len(start);
            return Err(error);
        }
        if is_new { disk::sync_folder_of(&path) } else { Ok(()) }
    }

    /// All letters, oldest first; a torn line is left out.
    pub(crate) fn letters(&self) -> io::Result<Vec<Letter>> {
        let bytes = disk::read(&self.path())?.unwrap_or_default();
        Ok(lines(&bytes).filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// How large the file is.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(self.path()).map_or(0, |found| found.len())
    }

    /// Takes out the letters that `is_meant`, to be tried again if `is_retried`. Returns how many.
    pub(crate) fn take(
        &self,
        is_meant: impl Fn(&Letter) -> bool,
        is_retried: bool,
    ) -> io::Result<usize> {
        let _lock = self.lock()?;
        let (mut kept, mut taken, mut count) = (Vec::new(), Vec::new(), 0);
        for line in lines(&disk::read(&self.path())?.unwrap_or_default()) {
            let letter = serde_json::from_slice::<Letter>(line).ok();
            let to = match letter.filter(|letter| is_meant(letter)) {
                Some(_) => {
                    count += 1;
                    &mut taken
                }
                None => &mut kept,
            };
            to.extend_from_slice(line);
            to.push(b'\n');
        }
        if count == 0 {
            return Ok(0);
        }
        if is_retried {
            let name = format!("retry-{}.ndjson", uuid::Uuid::new_v4().simple());
            let path = self.folder.join(name);
            disk::replace(&path, &taken, disk::Sync::Yes)?;
            self.give(&path)?;
        }
        disk::replace(&self.path(), &kept, disk::Sync::Yes)?;
        self.give(&self.path())?;
        Ok(count)
    }

    /// What is to be tried again: the letters of each file, and what deletes it.
    pub(crate) fn retries(&self) -> io::Result<Vec<(PathBuf, Vec<Letter>)>> {
        let mut retries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("retry-") && name.ends_with(".ndjson") {
                let bytes = disk::read(&path)?.unwrap_or_default();
                let letters = lines(&bytes).filter_map(|line| serde_json::from_slice(line).ok());
                retries.push((path.clone(), letters.collect()));
            }
        }
        Ok(retries)
    }

    /// Root may have written a file that the program must be able to change.
    fn give(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let owner = fs::metadata(&self.folder)?;
        if fs::metadata(path)?.uid() == owner.uid() {
            return Ok(());
        }
        chown(path, Some(owner.uid()), Some(owner.gid()))
    }

    fn lock(&self) -> io::Result<File> {
        let path = self.folder.join("dead.lock");
        let file = disk::append_to(&path)?;
        self.give(&path)?;
        file.lock()?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("dead.ndjson")
    }
}

fn ends_in_line(file: &File, bytes: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let mut last = [0];
    file.read_exact_at(&mut last, bytes - 1)?;
    Ok(last == *b"\n")
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(key: &str) -> Letter {
        let mut change = Change::test("raised");
        key.clone_into(&mut change.key);
        Letter { at: String::new(), reason: "400".to_owned(), attempts: 1, change }
    }

    fn keys(letters: &[Letter]) -> Vec<&str> {
        letters.iter().map(|letter| letter.change.key.as_str()).collect()
    }

    #[test]
    fn letters_move_to_be_tried_again_or_go_away() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Dead::new(folder.path());
        for key in ["a", "b", "c"] {
            dead.push(&letter(key)).unwrap();
        }
        assert_eq!(dead.take(|letter| letter.change.key == "b", true).unwrap(), 1);
        assert_eq!(dead.take(|letter| letter.change.key == "c", false).unwrap(), 1);
        assert_eq!(dead.take(|letter| letter.change.key == "b", true).unwrap(), 0);
        assert_eq!(keys(&dead.letters().unwrap()), ["a"]);
        let retries = dead.retries().unwrap();
        assert_eq!(retries.len(), 1);
        assert_eq!(keys(&retries[0].1), ["b"]);
    }

    #[test]
    fn a_torn_line_costs_itself() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Dead::new(folder.path());
        dead.push(&letter("a")).unwrap();
        let path = folder.path().join("dead.ndjson");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        dead.push(&letter("b")).unwrap();
        assert_eq!(keys(&dead.letters().unwrap()), ["a", "b"]);
    }
}
