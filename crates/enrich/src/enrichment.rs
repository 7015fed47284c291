//! All that is looked up, of the files that a configuration names.

use std::fmt;
use std::path::{Path, PathBuf};

use trail::flat::parse_ip;

use crate::field::{Field, Kind};
use crate::file::{Problem, Read, hash};
use crate::geo::Database;
use crate::limits::{FILES_MAX, LINES_MAX, LISTS_BYTES_MAX, RANGES_BYTES_MAX};
use crate::lists::List;
use crate::ranges::Ranges;

/// Which files there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Databases in MaxMind's format. Of a field that several have, the first that has an address counts.
    pub geo: Vec<PathBuf>,
    /// Bytes that all of them may have.
    pub geo_bytes_max: usize,
    /// AWS's `ip-ranges.json`.
    pub ip_ranges: Option<PathBuf>,
    /// Lists of indicators.
    pub lists: Vec<PathBuf>,
}

impl Sources {
    /// Whether there is any.
    pub fn are_any(&self) -> bool {
        [Kind::Geo, Kind::Ranges, Kind::Lists].into_iter().any(|kind| self.has(kind))
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Geo => !self.geo.is_empty(),
            Kind::Ranges => self.ip_ranges.is_some(),
            Kind::Lists => !self.lists.is_empty(),
        }
    }
}

/// What the files say. It never changes: where a file does, another is made.
#[derive(Debug, Default)]
pub struct Enrichment {
    sources: Sources,
    geo: Vec<Read<Database>>,
    ranges: Option<Read<Ranges>>,
    lists: Vec<Read<List>>,
}

/// Why a field cannot be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    field: Field,
    reason: Option<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = (self.field.name(), self.field.kind());
        match &self.reason {
            Some(reason) => write!(f, "'{name}' cannot be looked up: {reason}"),
            None => {
                write!(f, "'{name}' is looked up in {}, and {} names none", kind.noun(), kind.key())
            }
        }
    }
}

impl Enrichment {
    /// Reads all files that changed since `before`, within bounds. What cannot be read is told by
    /// [`Self::problems`].
    pub fn load(sources: Sources, before: &Self) -> Self {
        let mut left = sources.geo_bytes_max;
        let geo = sources.geo.iter().take(FILES_MAX).map(|path| {
            let read = Read::new(path, left, find(&before.geo, path), |bytes| {
                Ok((Database::of(bytes)?, Vec::new()))
            });
            left = left.saturating_sub(read.bytes());
            read
        });
        let geo = geo.collect();
        let ranges = sources.ip_ranges.as_ref().map(|path| {
            Read::new(path, RANGES_BYTES_MAX, before.ranges.as_ref(), |bytes| Ranges::of(&bytes))
        });
        let (mut left, mut lines) = (LISTS_BYTES_MAX, LINES_MAX);
        let lists = sources.lists.iter().take(FILES_MAX).map(|path| {
            let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
            let read = Read::new(path, left, find(&before.lists, path), |bytes| {
                List::of(&name, &bytes, lines)
            });
            left = left.saturating_sub(read.bytes());
            lines = lines.saturating_sub(read.content.as_ref().map_or(0, |list| list.of.lines));
            read
        });
        let lists = lists.collect();
        Self { sources, geo, ranges, lists }
    }

    /// Whether a file is another than was read.
    pub fn is_stale(&self) -> bool {
        self.geo.iter().any(Read::is_stale)
            || self.ranges.iter().any(Read::is_stale)
            || self.lists.iter().any(Read::is_stale)
    }

    /// Which files there are.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What is wrong with files and lines of them.
    pub fn problems(&self) -> Vec<Problem> {
        [Kind::Geo, Kind::Ranges, Kind::Lists]
            .into_iter()
            .flat_map(|kind| self.problems_of(kind))
            .collect()
    }

    fn problems_of(&self, kind: Kind) -> Vec<Problem> {
        let more = |paths: &[PathBuf]| {
            paths.get(FILES_MAX).map(|path| Problem {
                path: path.clone(),
                line: None,
                reason: format!("{FILES_MAX} files are read at most, and it is behind them"),
            })
        };
        match kind {
            Kind::Geo => {
                let problems = self.geo.iter().flat_map(|read| read.problems.clone());
                problems.chain(more(&self.sources.geo)).collect()
            }
            Kind::Ranges => self.ranges.iter().flat_map(|read| read.problems.clone()).collect(),
            Kind::Lists => {
                let problems = self.lists.iter().flat_map(|read| read.problems.clone());
                problems.chain(more(&self.sources.lists)).collect()
            }
        }
    }

    /// Whether a field can be looked up.
    pub fn check(&self, field: Field) -> Result<(), Missing> {
        let kind = field.kind();
        let fails = |reason| Err(Missing { field, reason });
        if !self.sources.has(kind) {
            return fails(None);
        }
        let has_some = match kind {
            Kind::Geo => self.databases().next().is_some(),
            Kind::Ranges => self.ranges().is_some(),
            Kind::Lists => self.of_lists().next().is_some(),
        };
        if !has_some {
            let first = self.problems_of(kind).first().map(ToString::to_string);
            return fails(Some(first.unwrap_or_else(|| format!("{} is not read yet", kind.key()))));
        }
        if kind == Kind::Geo && !self.databases().any(|database| database.may_have(field)) {
            let told: Vec<String> = self.databases().map(Database::told).collect();
            return fails(Some(format!("{} has none of it", told.join(", "))));
        }
        Ok(())
    }

    /// What an answer should tell its reader of a field: what it is looked up in, and what is wrong with
    /// that.
    pub fn notes(&self, field: Field) -> Vec<String> {
        let name = field.name();
        let mut notes = Vec::new();
        // Lists have no date.
        if field.kind() != Kind::Lists {
            notes.push(format!("'{name}' is looked up in {}", self.told(field).join(", ")));
        }
        let problems = self.problems_of(field.kind());
        notes.extend(problems.first().map(|first| {
            let more = match problems.len() - 1 {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            format!("'{name}' lacks some: {first}{more}")
        }));
        notes
    }

    /// What a field is looked up in, each with when it was made, or with how much it has.
    pub fn told(&self, field: Field) -> Vec<String> {
        match field.kind() {
            Kind::Geo => {
                let of = self.databases().filter(|database| database.may_have(field));
                of.map(Database::told).collect()
            }
            Kind::Ranges => self.ranges().map(Ranges::told).into_iter().collect(),
            Kind::Lists => {
                let told = |list: &List| format!("{} with {} indicators", list.name, list.count());
                self.of_lists().map(told).collect()
            }
        }
    }

    /// What is found damaged of a field's databases while addresses are looked up.
    pub fn damage(&self, field: Field) -> Option<String> {
        let damaged = self.databases().find(|database| database.is_damaged())?;
        (field.kind() == Kind::Geo)
            .then(|| format!("'{}' lacks some: {} is damaged", field.name(), damaged.told()))
    }

    /// Equal for what answers alike for a field.
    pub fn edition(&self, field: Field) -> u128 {
        let hashes: Vec<u128> = match field.kind() {
            Kind::Geo => self.geo.iter().map(hash_of).collect(),
            Kind::Ranges => self.ranges.iter().map(hash_of).collect(),
            Kind::Lists => {
                // A list is known by its name, too.
                let names = self.of_lists().map(|list| hash(list.name.as_bytes()));
                self.lists.iter().map(hash_of).chain(names).collect()
            }
        };
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        hash(&bytes)
    }

    /// Gives what a field has for a value, each perhaps more than once.
    pub fn each(&self, field: Field, value: &str, found: &mut dyn FnMut(&str)) {
        match field.kind() {
            Kind::Geo => {
                let Some(address) = parse_ip(value) else { return };
                let of = self.databases().find_map(|database| database.find(address, field));
                if let Some(text) = of {
                    found(&text);
                }
            }
            Kind::Ranges => {
                if let (Some(ranges), Some(address)) = (self.ranges(), parse_ip(value)) {
                    ranges.each(address, field, found);
                }
            }
            Kind::Lists => {
                for list in self.of_lists().filter(|list| list.find(value).is_some()) {
                    found(&list.name);
                }
            }
        }
    }

    /// The lists that have a value, each with what it says of it.
    pub fn indicators(&self, value: &str) -> Vec<(&str, Option<String>)> {
        let of = |list: &List| list.find(value).map(|label| label.map(String::from));
        self.of_lists().filter_map(|list| Some((list.name.as_str(), of(list)?))).collect()
    }

    /// The databases, and AWS's ranges, each with when it was made.
    pub fn databases_told(&self) -> Vec<String> {
        self.databases().map(Database::told).chain(self.ranges().map(Ranges::told)).collect()
    }

    /// The lists, each with how many indicators it has.
    pub fn lists(&self) -> Vec<(&str, usize)> {
        self.of_lists().map(|list| (list.name.as_str(), list.count())).collect()
    }

    fn databases(&self) -> impl Iterator<Item = &Database> {
        self.geo.iter().filter_map(|read| Some(&read.content.as_ref()?.of))
    }

    fn ranges(&self) -> Option<&Ranges> {
        Some(&self.ranges.as_ref()?.content.as_ref()?.of)
    }

    fn of_lists(&self) -> impl Iterator<Item = &List> {
        self.lists.iter().filter_map(|read| Some(&read.content.as_ref()?.of))
    }
}

fn find<'r, T>(before: &'r [Read<T>], path: &Path) -> Option<&'r Read<T>> {
    before.iter().find(|read| read.is_of(path))
}

fn hash_of<T>(read: &Read<T>) -> u128 {
    read.content.as_ref().map_or(0, |content| content.hash)
}
