//! The file of saved searches. It does not belong to the index: neither a rebuild nor damage to the
//! index touches it.
//!
//! A change writes a whole new file, syncs it and renames it over the old one. A change that was
//! answered is on disk; after a crash before the answer, the file is the old one or the new one. A
//! damaged file is set aside, and the list of saved searches is empty then. A file of another
//! version is refused.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::opening::set_file_aside;
use segment::disk::Disk;
use segment::sealed;
use segment::steps::step;
use segment::{IndexError, lock};

pub(crate) const NAME: &str = "saved.json";
const NEW_NAME: &str = "saved.json.new";

/// The version that this program writes. Version 1, which it reads, has no owners.
const FORMAT_VERSION: u32 = 2;
const VERSIONS_READ: RangeInclusive<u32> = 1..=FORMAT_VERSION;

type Searches = BTreeMap<String, Search>;

/// A saved search as it is on disk. The API has types of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The query's text, with `$name` where a parameter goes.
    pub query: String,
    /// What the search is for, in its author's words; None where nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The parameters of the query, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    /// Start of the time range as a person writes it, such as `-7d`; None is the API's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// End of the time range, written as `start` is; None is the API's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// IANA name of the zone that `start`, `end` and `bin(…)` are read in; None is the API's
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How many events or rows a page has; None is the API's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Which events come first; None is the API's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The uid of the user who saved it first; None where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

/// A parameter of a saved search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The value where the caller gives none; None makes the parameter mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What the parameter means, for people; None where nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Which events of a saved search come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The latest.
    Newest,
    /// The earliest.
    Oldest,
}

/// See the module's documentation. The directory's lock is held by whoever has one.
#[derive(Debug)]
pub struct Saved {
    data_dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// As they are on disk.
    searches: Mutex<Arc<Searches>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    searches: Searches,
}

impl Saved {
    /// Reads the file, if there is one. The second value says what was set aside; None where the
    /// file was whole.
    pub fn open(
        data_dir: &Path,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Option<String>), IndexError> {
        let path = data_dir.join(NAME);
        let (searches, note) = match read(&path) {
            Ok(searches) => (searches, None),
            Err(error @ IndexError::Damaged { .. }) => {
                let reason = format!("the saved searches were damaged ({error})");
                let note = set_file_aside(data_dir, &path, &*disk, &reason)?;
                (Searches::new(), Some(note))
            }
            Err(error) => return Err(error),
        };
        let searches = Mutex::new(Arc::new(searches));
        Ok((Self { data_dir: data_dir.to_owned(), disk, searches }, note))
    }

    /// Reads the searches of a data directory that another process may own, and changes nothing.
    pub fn read(data_dir: &Path) -> Result<Arc<Searches>, IndexError> {
        read(&data_dir.join(NAME)).map(Arc::new)
    }

    /// Returns the searches by name, as they are on disk now; later changes do not show in it.
    pub fn all(&self) -> Arc<Searches> {
        Arc::clone(&lock(&self.searches))
    }

    /// Changes the searches and writes them to disk. If `change` or the disk fails, the old ones
    /// stay.
    pub fn change<T, E: From<IndexError>>(
        &self,
        change: impl FnOnce(&mut Searches) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut current = lock(&self.searches);
        let mut searches = Searches::clone(&current);
        let changed = change(&mut searches)?;
        *current = Arc::new(self.write(searches)?);
        Ok(changed)
    }

    fn write(&self, searches: Searches) -> Result<Searches, IndexError> {
        let new = self.data_dir.join(NEW_NAME);
        let file = File { format_version: FORMAT_VERSION, searches };
        let text = sealed::text(&file).map_err(IndexError::io(&new))?;
        let write = || {
            step("saved-to-be-written");
            self.disk.write_at(&new, 0, text.as_bytes())?;
            step("saved-written");
            self.disk.rename(&new, &self.data_dir.join(NAME))?;
            step("saved-renamed");
            self.disk.sync_dir(&self.data_dir)
        };
        write().map_err(IndexError::io(&new))?;
        Ok(file.searches)
    }
}

fn read(path: &Path) -> Result<Searches, IndexError> {
    let Some(json) = sealed::read(path)? else { return Ok(Searches::new()) };
    let version = sealed::version(path, &json)?;
    if !VERSIONS_READ.contains(&version) {
        return Err(IndexError::UnknownVersion {
            path: path.to_owned(),
            found: version,
            known: "versions 1 and 2",
            advice: "Start the version of traildex that wrote it; or move the file away, and there are \
                     no saved searches",
        });
    }
    let file: File = serde_json::from_str(&json)
        .map_err(|error| IndexError::damaged(path, error.to_string()))?;
    Ok(file.searches)
}
