//! A file: a line of JSON a change. It is opened anew where it was renamed or removed meanwhile, so
//! that it can be rotated.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use serde_json::Value;

use super::{Failure, Target};
use crate::change::Change;
use crate::config::FileConfig;

pub(super) struct File {
    config: FileConfig,
    open: Option<fs::File>,
}

impl File {
    pub(super) fn new(config: &FileConfig) -> Self {
        Self { config: config.clone(), open: None }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.open.as_ref().is_some_and(|file| self.is_there(file)) {
            self.open = None;
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let start = file.metadata()?.len();
        let mut torn = [b'\n'];
        if start > 0 {
            file.read_exact_at(&mut torn, start - 1)?;
        }
        // A line that was torn would take this one with it.
        let line = if torn == *b"\n" { line.to_vec() } else { [b"\n", line].concat() };
        let mut writer = &file;
        if let Err(error) = writer.write_all(&line).and_then(|()| file.sync_data()) {
            let _ = file.set_len(start);
            return Err(error);
        }
        self.open = Some(file);
        Ok(())
    }

    fn open(&self) -> io::Result<fs::File> {
        let mut options = fs::OpenOptions::new();
        options.read(true).append(true);
        match options.open(&self.config.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let file = options.create_new(true).mode(self.config.mode).open(&self.config.path)?;
        // Whatever the umask is: the unit's is the owner's alone.
        file.set_permissions(fs::Permissions::from_mode(self.config.mode))?;
        Ok(file)
    }

    /// Whether the open file still has the path.
    fn is_there(&self, file: &fs::File) -> bool {
        let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(&self.config.path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }
}

impl Target for File {
    fn deliver(&mut self, _: &Change, body: &Value) -> Result<(), Failure> {
        let line = format!("{body}\n");
        self.append(line.as_bytes()).map_err(|error| {
            Failure::retry(format!("cannot write to {}: {error}", self.config.path.display()))
        })
    }
}
