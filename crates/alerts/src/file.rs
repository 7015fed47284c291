//! The file of alerts: `alerts.jsonl` in the data directory. Neither a rebuild nor damage to the index
//! touches it.
//!
//! One JSON object a line, which begins with the XXH3 hash of the rest, so that damage is always noticed.
//! A line holds changes, each with the alert as it was then, or how far the index was looked at. Lines are
//! appended and synced. A line that ends too early is what a crash left; it is cut off. Another line that
//! is damaged costs itself: the file is set aside, and a new one has all the others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segment::IndexError;
use segment::disk::Disk;
use segment::steps::step;
use segment::{regular, sealed};
use serde::{Deserialize, Serialize};
use wire::{Alert, AlertChangeKind};

use crate::seen::Seen;

pub(crate) const NAME: &str = "alerts.jsonl";
const NEW_NAME: &str = "alerts.jsonl.new";
const FORMAT_VERSION: u32 = 1;

/// Bytes of the whole file: a compact one has a quarter of this at most.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a line says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first line.
    Head { format_version: u32, log: String },
    /// Changes, and the alerts as they are behind them.
    Changes(Vec<Changed>),
    /// Alerts that changed before the changes that are kept.
    Alerts(Vec<Entry>),
    /// Changes whose alerts stand in other lines.
    Kept(Vec<Change>),
    /// How far the index was looked at.
    Seen(Box<Seen>),
}

/// A change, and the alert behind it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) number: u64,
    pub(crate) time: String,
    pub(crate) change: AlertChangeKind,
    pub(crate) entry: Entry,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) time: String,
    pub(crate) change: AlertChangeKind,
    pub(crate) id: String,
}

/// An alert, and the decision that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What the rule is known by.
    pub(crate) rule: String,
    /// The values of the alert's group, in the rule's order.
    pub(crate) group: Vec<String>,
    /// The time of the decision, of its first and of its last event, in microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) alert: Alert,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct AlertsFile {
    path: PathBuf,
    new: PathBuf,
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    pub(crate) bytes: u64,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) lines: Vec<Line>,
    /// How many bytes are whole lines.
    bytes: u64,
    /// What is wrong with the first damaged line.
    pub(crate) damage: Option<String>,
}

impl AlertsFile {
    /// Reads what is in the file, and cuts off what a crash left.
    pub(crate) fn open(data_dir: &Path, disk: Arc<dyn Disk>) -> Result<(Self, Read), IndexError> {
        let path = data_dir.join(NAME);
        let found = match regular::read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Read::default(),
            Err(error) => return Err(IndexError::io(&path)(error)),
        };
        let version = found.lines.iter().find_map(|line| match line {
            Line::Head { format_version, .. } => Some(*format_version),
            _ => None,
        });
        if let Some(found) = version.filter(|found| *found != FORMAT_VERSION) {
            return Err(IndexError::UnknownVersion {
                path,
                found,
                known: "version 1",
                advice: "Start the version of traildex that wrote it; or move the file away, and the \
                         alerts are decided anew, without anybody's states and notes",
            });
        }
        let bytes = found.bytes;
        let new = data_dir.join(NEW_NAME);
        Ok((Self { path, new, folder: data_dir.to_owned(), disk, bytes }, found))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn append(&mut self, lines: &[Line]) -> Result<(), IndexError> {
        let text = written(lines).map_err(IndexError::io(&self.path))?;
        step("alerts-to-be-written");
        let write = self.disk.write_at(&self.path, self.bytes, text.as_bytes());
        write.map_err(IndexError::io(&self.path))?;
        step("alerts-written");
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Puts a file with these lines in the place of this one.
    pub(crate) fn replace(&mut self, lines: &[Line]) -> Result<(), IndexError> {
        let text = written(lines).map_err(IndexError::io(&self.new))?;
        let write = || {
            step("alerts-to-be-replaced");
            self.disk.write_at(&self.new, 0, text.as_bytes())?;
            step("alerts-new-written");
            self.disk.rename(&self.new, &self.path)?;
            step("alerts-replaced");
            self.disk.sync_dir(&self.folder)
        };
        write().map_err(IndexError::io(&self.new))?;
        self.bytes = text.len() as u64;
        Ok(())
    }
}

/// The first line of a file whose changes are known by a name.
pub(crate) fn head(log: &str) -> Line {
    Line::Head { format_version: FORMAT_VERSION, log: log.to_owned() }
}

fn written(lines: &[Line]) -> io::Result<String> {
    lines.iter().map(sealed::line).collect()
}

fn read(bytes: &[u8]) -> Read {
    let mut found = Read::default();
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = at + line.len();
        let is_last = end == bytes.len();
        match sealed::read_line(line) {
            Ok(line) => {
                found.lines.push(line);
                found.bytes = end as u64;
            }
            // What a crash left. A whole line that is wrong is damage, even if it is the last.
            Err(_) if is_last && !line.ends_with(b"\n") => {}
            Err(reason) => {
                found
                    .damage
                    .get_or_insert_with(|| format!("line {} at byte {at}: {reason}", number + 1));
                found.bytes = end as u64;
            }
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        vec![head("log"), Line::Seen(Box::default())]
    }

    #[test]
    fn what_a_crash_left_is_cut_off_and_damage_costs_its_line() {
        let text = written(&lines()).unwrap();
        let first = text.find('\n').unwrap() + 1;
        assert!(serde_json::from_str::<serde_json::Value>(&text[..first]).is_ok(), "it is JSON");
        for end in first..text.len() {
            let found = read(&text.as_bytes()[..end]);
            assert_eq!((found.lines.len(), found.bytes), (1, first as u64), "{end}");
            assert_eq!(found.damage, None);
        }
        for at in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let found = read(&bytes);
            assert!(found.damage.is_some(), "{at}");
            assert!(found.lines.len() <= 1, "{at}");
        }
    }
}
