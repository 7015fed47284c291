//! Secrets: read from files that others cannot read, and taken out of whatever is logged.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

/// Bits of a mode that let others than the owner and a group's readers in.
const OTHERS: u32 = 0o037;

/// A file of secrets is no larger.
const BYTES_MAX: u64 = 1 << 20;

/// Shorter texts are no secrets, and would make a log unreadable.
const HIDDEN_BYTES_MIN: usize = 4;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// What must not be shown, of one target.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Vec<String>);

impl Secret {
    /// Reads a file's text without the space around it. The error never repeats the text.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
        let file = File::open(path).map_err(cannot)?;
        // Of the file that is open: its name may mean another one by now.
        let found = file.metadata().map_err(cannot)?;
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        let shown = path.display();
        if !found.is_file() {
            return Err("it is no file".to_owned());
        }
        if mode & OTHERS != 0 {
            return Err(format!(
                "its mode is {mode:04o}: others can get at it; run chmod 640 {shown}, or 600"
            ));
        }
        if ![0, geteuid().as_raw()].contains(&owner) {
            return Err(format!("it belongs to user {owner}, who could change it"));
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
        match text.trim() {
            "" => Err("it is empty".to_owned()),
            text => Ok(Self(text.to_owned())),
        }
    }

    /// A text of the configuration itself, treated alike.
    pub(crate) fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for where it is used.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Hidden {
    pub(crate) fn add(&mut self, text: &str) {
        if text.len() >= HIDDEN_BYTES_MIN {
            self.0.push(text.to_owned());
            // The longest first: one can be a part of another.
            self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    /// The text with an ellipsis in the place of each secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "hunter22\n").unwrap();
        for (mode, is_read) in [(0o600, true), (0o400, true), (0o640, true), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Secret::read(&path) {
                Ok(secret) => {
                    assert!(is_read && secret.reveal() == "hunter22");
                    assert_eq!(format!("{secret:?}"), "Secret");
                }
                Err(error) => assert!(!is_read && !error.contains("hunter22"), "{error}"),
            }
        }
    }

    #[test]
    fn secrets_are_taken_out_of_texts() {
        let mut hidden = Hidden::default();
        hidden.add("abcd");
        hidden.add("abcdef");
        hidden.add("x");
        assert_eq!(hidden.redact("x abcdef abcd"), "x … …");
    }
}
