//! The digests that the originals' verdicts need: those that list them or are of their hour, and of each the
//! one that follows, which carries its signature; the metadata beside them; and the keys that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bundle::{About, BagRoot, KEYS, Reasons, Stage, Stored, place_of};
use evidence::{
    Archive as _, Belongs, DIGEST_BYTES_MAX, DigestFacts, METADATA_BYTES_MAX, Root, is_digest_path,
};
use ingest::read::ReadLimits;

use client::Client;
use trail::time::Micros;
use wire::limits::FILES_LIMIT_MAX;
use wire::{FileState, FilesRequest};

use crate::evidence::{Disk, Given};

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Files without a digest that are named as reasons for each account and region; the rest are counted.
const NAMED_MAX: usize = 20;

/// What is in the bag of digests.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// All files, by their paths in the bag.
    pub(super) files: BTreeMap<String, Stored>,
    pub(super) digests: u64,
    pub(super) metadata: u64,
    pub(super) keys: u64,
}

/// A digest of the archive that may be needed.
#[derive(Debug)]
struct Candidate {
    belongs: Belongs,
    facts: DigestFacts,
    is_needed: bool,
}

/// A folder of digests: those of an account and region that end on a day.
type Day = (Belonging, String);

/// An account, behind the organisation if there is one, and a region.
type Belonging = (String, String);

/// Microseconds that the time in a file's name leaves open: it has minutes.
const MINUTE_US: i64 = 60_000_000;

pub(super) struct Digests<'a> {
    pub(super) stage: &'a Stage,
    pub(super) client: &'a Client,
    pub(super) given: &'a Given,
    pub(super) roots: &'a [Root],
    pub(super) reasons: &'a mut Reasons,
    disk: Disk,
    /// By their paths.
    candidates: BTreeMap<String, Candidate>,
    /// Digests that cannot be read, and why.
    unread: Vec<(Belongs, String)>,
    looked: BTreeSet<Day>,
}

/// The originals of an account and region.
#[derive(Debug, Default)]
struct Originals<'a> {
    tails: BTreeSet<&'a str>,
    files: Vec<(&'a str, &'a Belongs)>,
}

impl<'a> Digests<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        client: &'a Client,
        given: &'a Given,
        roots: &'a [Root],
        (watch, limits): (&[String], ReadLimits),
        reasons: &'a mut Reasons,
    ) -> Self {
        let resolved = watch.iter().filter_map(|folder| Path::new(folder).canonicalize().ok());
        let disk = Disk::new(resolved.chain([PathBuf::from("/")]).collect(), limits);
        let (candidates, unread, looked) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        Self { stage, client, given, roots, reasons, disk, candidates, unread, looked }
    }

    /// Copies what the verdicts of these originals need.
    /// What is in the bag as an original, at one of these places, is none of them.
    pub(super) fn copy(
        mut self,
        originals: &[&str],
        places: &BTreeSet<String>,
    ) -> anyhow::Result<Copied> {
        let belonging: Vec<(&str, Belongs)> = originals
            .iter()
            .filter_map(|path| Some((*path, Belongs::of(path, self.roots)?)))
            .collect();
        let mut groups: BTreeMap<(&str, &str, &str), Originals<'_>> = BTreeMap::new();
        for (path, belongs) in &belonging {
            let key = (&*belongs.site, &*belongs.owner, &*belongs.region);
            let group = groups.entry(key).or_default();
            group.tails.insert(&belongs.tail);
            group.files.push((path, belongs));
        }
        for group in groups.values() {
            let days: BTreeSet<String> = group
                .files
                .iter()
                .filter_map(|(_, belongs)| belongs.time)
                .flat_map(|time| [day(time, 0), day(time, 1)])
                .collect();
            let belongs = group.files[0].1;
            for day in days {
                self.look(belongs, day)?;
            }
            self.choose(group);
            self.tell_uncovered(group)?;
        }
        self.follow()?;
        self.put_all(places)
    }

    /// Reads the digests of an account and region that end on a day. Those of an organisation may be in the
    /// folder of another account.
    fn look(&mut self, belongs: &Belongs, day: String) -> anyhow::Result<()> {
        let Belongs { owner, region, organisation, .. } = belongs;
        let key = ((owner.clone(), region.clone()), day);
        if self.looked.contains(&key) {
            return Ok(());
        }
        let within = format!("/CloudTrail-Digest/{region}/{}/", key.1);
        self.looked.insert(key);
        let mut paths = self.list(&format!("/{owner}{within}"))?;
        if paths.is_empty() && organisation.is_some() {
            paths = self.list(&within)?;
        }
        for path in paths.into_iter().filter(|path| is_digest_path(path)) {
            let Some(belongs) = Belongs::of(&path, self.roots) else { continue };
            match self.disk.content(&path, DIGEST_BYTES_MAX) {
                // One that is no digest says nothing; the index told of it.
                Ok(content) => {
                    if let Ok(facts) = DigestFacts::of(&content.bytes) {
                        let candidate = Candidate { belongs, facts, is_needed: false };
                        self.candidates.entry(path).or_insert(candidate);
                    }
                }
                Err(why) => {
                    let reason =
                        format!("{path}: the index had this digest, and it cannot be read: {why}");
                    self.unread.push((belongs, reason));
                }
            }
        }
        Ok(())
    }

    /// The digests, and their metadata, that the index has at such paths.
    fn list(&mut self, within: &str) -> anyhow::Result<BTreeSet<String>> {
        let request = FilesRequest {
            state: Some(FileState::Digest),
            path: Some(within.to_owned()),
            limit: Some(FILES_LIMIT_MAX),
            ..FilesRequest::default()
        };
        let answer = self.client.files(&request)?;
        if answer.total as usize > answer.files.len() {
            let reason = format!("there are more digests in {within} than can be listed");
            self.reasons.add(About::Digests, reason);
        }
        Ok(answer.files.into_iter().map(|file| file.path).collect())
    }

    /// Marks those that list an original, or are of its hour.
    fn choose(&mut self, group: &Originals<'_>) {
        let belongs = group.files[0].1;
        let times: BTreeSet<Micros> =
            group.files.iter().filter_map(|(_, belongs)| belongs.time).collect();
        for candidate in self.candidates.values_mut() {
            let facts = &candidate.facts;
            let first = Micros(facts.start.0.saturating_sub(MINUTE_US - 1));
            candidate.is_needed |= candidate.belongs.speaks_of(belongs)
                && (facts.lists.iter().any(|tail| group.tails.contains(&**tail))
                    || (first < facts.end && times.range(first..facts.end).next().is_some()));
        }
        for (of, reason) in &self.unread {
            if of.speaks_of(belongs) {
                self.reasons.add(About::Digests, reason.clone());
            }
        }
        self.unread.clear();
    }

    /// Where an account and region have digests, and none is of the hour of an original, that is a reason.
    fn tell_uncovered(&mut self, group: &Originals<'_>) -> anyhow::Result<()> {
        let belongs = group.files[0].1;
        let needed: Vec<&Candidate> = self
            .candidates
            .values()
            .filter(|candidate| candidate.is_needed && candidate.belongs.speaks_of(belongs))
            .collect();
        let listed: BTreeSet<&str> = needed
            .iter()
            .flat_map(|candidate| &candidate.facts.lists)
            .map(|tail| &**tail)
            .filter(|tail| group.tails.contains(tail))
            .collect();
        let is_covered = |belongs: &Belongs| {
            let covers = |time| needed.iter().any(|candidate| candidate.facts.covers(time));
            listed.contains(&*belongs.tail) || belongs.time.is_some_and(covers)
        };
        let uncovered = group.files.iter().filter(|(_, belongs)| !is_covered(belongs));
        let uncovered: Vec<&str> = uncovered.map(|(path, _)| *path).collect();
        if uncovered.is_empty() || !self.has_digests(group.files[0].0, belongs)? {
            return Ok(());
        }
        for path in uncovered.iter().take(NAMED_MAX) {
            let reason =
                format!("{path}: its account and region have digests, and none is of its hour");
            self.reasons.add(About::Digests, reason);
        }
        if uncovered.len() > NAMED_MAX {
            let more = uncovered.len() - NAMED_MAX;
            let (owner, region) = (&belongs.owner, &belongs.region);
            let reason = format!("and {more} more files of {owner} in {region} without a digest");
            self.reasons.add(About::Digests, reason);
        }
        Ok(())
    }

    /// Whether the index has any digest of an account and region.
    fn has_digests(&self, path: &str, belongs: &Belongs) -> anyhow::Result<bool> {
        let Belongs { owner, region, .. } = belongs;
        // What comes before the account is as in the path of the original.
        let Some(at) = path.find(&format!("/{owner}/CloudTrail")) else { return Ok(false) };
        let folder = format!("{}/{owner}/CloudTrail-Digest/{region}/", &path[..at]);
        let request = FilesRequest {
            state: Some(FileState::Digest),
            path: Some(folder),
            limit: Some(1),
            ..FilesRequest::default()
        };
        Ok(self.client.files(&request)?.total > 0)
    }

    /// Marks, of each that is needed, the one that follows.
    fn follow(&mut self) -> anyhow::Result<()> {
        let needed = self.candidates.values().filter(|candidate| candidate.is_needed);
        let ends: BTreeSet<(Belongs, String)> = needed
            .flat_map(|candidate| {
                let belongs = &candidate.belongs;
                [0, 1].map(|days| (belongs.clone(), day(candidate.facts.end, days)))
            })
            .collect();
        for (belongs, day) in ends {
            self.look(&belongs, day)?;
        }
        // Any of them may carry the signature of one that is needed.
        for (_, reason) in std::mem::take(&mut self.unread) {
            self.reasons.add(About::Digests, reason);
        }
        let needed = self.candidates.values().filter(|candidate| candidate.is_needed);
        let names: BTreeSet<(String, String)> = needed
            .map(|candidate| (candidate.belongs.site.clone(), candidate.facts.name.clone()))
            .collect();
        for candidate in self.candidates.values_mut() {
            let Some(before) = &candidate.facts.before else { continue };
            candidate.is_needed |=
                names.contains(&(candidate.belongs.site.clone(), before.clone()));
        }
        Ok(())
    }

    fn put_all(self, places: &BTreeSet<String>) -> anyhow::Result<Copied> {
        let mut copied = Copied::default();
        let mut prints = BTreeSet::new();
        for (path, candidate) in self.candidates.iter().filter(|(_, of)| of.is_needed) {
            let place = place_of(path);
            if places.contains(&place) {
                continue;
            }
            match self.disk.raw(path, DIGEST_BYTES_MAX) {
                Ok(bytes) => {
                    let stored = self.put(&place, &bytes)?;
                    copied.files.insert(place.clone(), stored);
                    copied.digests += 1;
                    prints.insert(candidate.facts.fingerprint.clone());
                }
                Err(error) => {
                    let reason = format!("{path}: this digest cannot be read: {error}");
                    self.reasons.add(About::Digests, reason);
                }
            }
            let place = format!("{place}.metadata.json");
            if !places.contains(&place)
                && let Some(metadata) = self.metadata(path)
            {
                let stored = self.put(&place, &metadata)?;
                copied.files.insert(place, stored);
                copied.metadata += 1;
            }
        }
        let (keys, count) = self.given.keys.listed(&prints);
        if count > 0 {
            copied.files.insert(KEYS.to_owned(), self.put(KEYS, keys.as_bytes())?);
            copied.keys = count;
        }
        Ok(copied)
    }

    /// The metadata of a digest: beside it, or as it was given.
    fn metadata(&self, path: &str) -> Option<Vec<u8>> {
        let beside = self.disk.raw(&format!("{path}.metadata.json"), METADATA_BYTES_MAX).ok();
        let name = path.rsplit('/').next()?;
        let given = || self.given.metadata.iter().find(|(digest, _)| digest == name);
        beside.or_else(|| given().map(|(_, content)| content.clone()))
    }

    /// Writes a file, unless an earlier run has.
    fn put(&self, place: &str, bytes: &[u8]) -> anyhow::Result<Stored> {
        use sha2::{Digest as _, Sha256};
        let sha256: bundle::Hash = Sha256::digest(bytes).into();
        match self.stage.stored(place)? {
            Some(stored) if stored.sha256 == sha256 => Ok(stored),
            _ => Ok(self.stage.put(place, |to| to.write_all(bytes))?),
        }
    }
}

/// The folder of a day: `2023/11/05`.
fn day(time: Micros, days_later: i64) -> String {
    let day = Micros(time.0.saturating_add(days_later * DAY_US)).to_string();
    day.get(..10).unwrap_or_default().replace('-', "/")
}

/// Mapped folders, as the bag has them.
pub(super) fn bag_roots(roots: &[Root]) -> Vec<BagRoot> {
    let bag_root = |root: &Root| BagRoot {
        folder: place_of(&root.folder),
        bucket: root.bucket.clone(),
        prefix: root.prefix.clone(),
    };
    roots.iter().map(bag_root).collect()
}
