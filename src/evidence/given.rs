//! The keys that digests are verified with, and metadata of digests: from the files and folders that the
//! configuration names, and from nowhere else.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use evidence::{KEYS_BYTES_MAX, Keyring};

/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 8;

/// What the user has given.
#[derive(Debug, Default)]
pub struct Given {
    /// The keys.
    pub keys: Keyring,
    /// File names of digests, and their metadata.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Files in the folders that are none of both, and why.
    pub ignored: Vec<String>,
}

impl Given {
    /// Reads files and folders. A file that is named and holds no keys is an error; one in a folder is
    /// told in [`Given::ignored`].
    pub fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut given = Self::default();
        for path in paths {
            if path.is_dir() {
                given.folder(path, DEPTH_MAX)?;
            } else {
                given.file(path)?;
            }
        }
        Ok(given)
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> anyhow::Result<()> {
        let cannot = || format!("cannot read the keys in {}", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).with_context(cannot)? {
            paths.push(entry.with_context(cannot)?.path());
        }
        paths.sort();
        for path in paths {
            if path.is_dir() {
                if depth > 0 {
                    self.folder(&path, depth - 1)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "json")
                && let Err(error) = self.file(&path)
            {
                self.ignored.push(format!("{error:#}"));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let shown = || format!("cannot read the keys in {}", path.display());
        let mut content = Vec::new();
        let file = fs::File::open(path).with_context(shown)?;
        file.take(KEYS_BYTES_MAX as u64 + 1).read_to_end(&mut content).with_context(shown)?;
        if content.len() > KEYS_BYTES_MAX {
            anyhow::bail!("{}: it has more than {KEYS_BYTES_MAX} bytes", shown());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_suffix(".metadata.json") {
            Some(digest) if evidence::is_metadata(&content) => {
                self.metadata.push((digest.to_owned(), content));
            }
            _ => {
                self.keys.add(&content).with_context(shown)?;
            }
        }
        Ok(())
    }
}
