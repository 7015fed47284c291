//! Checks a bundle, on any machine: its manifests, its events in their originals, and the signatures of its
//! digests. Needs no index, and trusts nothing in the bag but what the manifests' hashes and the keys prove.

use std::collections::BTreeSet;
use std::path::Path;

use bundle::{
    ARCHIVE, Bag, Checked, EventsChecked, KEYS, Problems, REPORT, Report, VALIDATION, check,
    check_events,
};
use evidence::{KEYS_BYTES_MAX, Keyring};
use ingest::read::ReadLimits;
use serde::Serialize;
use wire::{DigestState, Integrity, StateCount, ValidateReport};

use super::archive::{validate, validation};
use super::contents::Packed;
use crate::evidence::Given;

/// Whose keys the digests are judged by.
const GIVEN: &str = "given";
const BAG: &str = "bag";

/// What a bundle is checked with.
pub struct Verifying<'a> {
    /// A folder, or a tar.
    pub path: &'a Path,
    /// The keys of whoever checks; None is those of the bag.
    pub given: Option<&'a Given>,
    /// Bounds on what a file may inflate to.
    pub limits: ReadLimits,
    /// Told of the bytes that were hashed, and of all.
    pub tell: &'a dyn Fn(u64, u64),
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether nothing is wrong with the bag: it is what was bundled.
    pub is_whole: bool,
    /// What is wrong with it.
    pub problems: Problems,
    /// Files that the manifests name, and their bytes.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// SHA-256 of the tag manifest, which a signature of the bag is of.
    pub tag_manifest_sha256: Option<String>,
    /// Whether the bag says that it is complete.
    pub says_complete: bool,
    /// What it says of itself.
    pub report: Option<Report>,
    /// Events.
    pub events: u64,
    /// Events whose record is at its place.
    pub events_at_their_places: u64,
    /// Events of tables, whose rows were not read.
    pub events_of_tables: u64,
    /// Events whose original is not in the bag.
    pub events_without_file: u64,
    /// Whose keys the digests were judged by: `given`, or `bag`, which anyone who made the bag could have
    /// made as well.
    pub keys_from: &'static str,
    /// What the digests say of the originals.
    pub validation: Option<ValidateReport>,
}

impl Verified {
    /// Whether all is as it should be: the bag is whole, says that it is complete, and no digest contradicts
    /// an original; and where keys were given, all originals are verified by them.
    pub fn is_good(&self) -> bool {
        let (verified, originals) = self.originals();
        let is_proven = verified > 0 && verified == originals;
        self.is_whole
            && self.says_complete
            && self.is_clean()
            && (!self.has_keys_given() || is_proven)
    }

    /// Whether whoever checks has brought keys.
    pub fn has_keys_given(&self) -> bool {
        self.keys_from == GIVEN
    }

    /// Originals that are verified, and all.
    pub fn originals(&self) -> (u64, u64) {
        let Some(found) = &self.validation else { return (0, 0) };
        (found.files_in(Integrity::Verified), found.files.iter().map(|of| of.count).sum())
    }

    fn is_clean(&self) -> bool {
        let suspicious = [Integrity::Mismatch, Integrity::Unlisted, Integrity::TrailingData];
        let invalid = [
            DigestState::Invalid,
            DigestState::Moved,
            DigestState::Damaged,
            DigestState::Unreadable,
        ];
        self.validation
            .as_ref()
            .is_none_or(|found| !has(&found.files, &suspicious) && !has(&found.digests, &invalid))
    }
}

fn has<S: PartialEq>(counts: &[StateCount<S>], states: &[S]) -> bool {
    counts.iter().any(|of| of.count > 0 && states.contains(&of.state))
}

/// Checks a bundle.
pub fn verify(verifying: &Verifying<'_>) -> anyhow::Result<Verified> {
    let mut problems = Problems::default();
    let bag = Bag::open(verifying.path, &mut problems)?;
    let total = bag.files().map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    let checked = check(&bag, &mut problems, &mut |bytes| {
        done += bytes;
        (verifying.tell)(done, total);
    })?;
    let Checked { files, bytes, tag_manifest, report } = checked;
    let mut events = EventsChecked::default();
    let mut validation = None;
    if let Some(report) = &report {
        let folder = tempfile::Builder::new().prefix("traildex-").tempdir()?;
        let mut packed = Packed::new(verifying.limits);
        events = check_events(&bag, report, &mut packed, folder.path(), &mut problems)?;
        count_digests(&bag, report, &events, &mut problems);
        if !report.records_only {
            let originals = &events.originals;
            validation = Some(judge(&bag, originals, report, verifying, &mut problems));
        }
    }
    Ok(Verified {
        is_whole: problems.is_empty(),
        problems,
        files,
        bytes,
        tag_manifest_sha256: tag_manifest.map(hex::encode),
        says_complete: report.as_ref().is_some_and(|report| report.complete),
        report,
        events: events.events,
        events_at_their_places: events.at_their_places,
        events_of_tables: events.of_tables,
        events_without_file: events.without_file,
        keys_from: if verifying.given.is_some() { GIVEN } else { BAG },
        validation,
    })
}

/// What else is among the originals must be the digests that the report counts.
fn count_digests(bag: &Bag, report: &Report, events: &EventsChecked, problems: &mut Problems) {
    let (mut digests, mut metadata) = (0, 0);
    for (path, _) in bag.files().filter(|(path, _)| path.starts_with(ARCHIVE)) {
        if events.originals.contains(path) {
            continue;
        }
        if evidence::is_metadata_path(path) {
            metadata += 1;
        } else if evidence::is_digest_path(path) {
            digests += 1;
        } else {
            problems.add(path, "no event is from it");
        }
    }
    let counts = &report.counts;
    let pairs = [("digests", counts.digests, digests), ("metadata", counts.metadata, metadata)];
    for (name, stated, counted) in pairs {
        if stated != counted {
            problems.add(REPORT, format!("it counts {stated} {name}, and there are {counted}"));
        }
    }
}

/// What the digests say: by the keys of the bag as whoever made it has found it, and by those that are given.
fn judge(
    bag: &Bag,
    originals: &BTreeSet<String>,
    report: &Report,
    verifying: &Verifying<'_>,
    problems: &mut Problems,
) -> ValidateReport {
    let mut keys = Keyring::default();
    if bag.size(KEYS).is_some() {
        let added = bag
            .content(KEYS, KEYS_BYTES_MAX)
            .map_err(|error| error.to_string())
            .and_then(|text| keys.add(&text).map_err(|error| error.to_string()));
        if let Err(why) = added {
            problems.add(KEYS, format!("its keys cannot be read: {why}"));
        }
    }
    let found = validate(bag, originals, &report.roots, &keys, verifying.limits);
    if keys.len() as u64 != report.counts.keys {
        let (stated, counted) = (report.counts.keys, keys.len());
        problems.add(REPORT, format!("it counts {stated} keys, and there are {counted}"));
    }
    match validation(bag) {
        // That it is missing has been told.
        None if bag.size(VALIDATION).is_none() => {}
        None => problems.add(VALIDATION, "it cannot be read"),
        Some(stated) if is_same(&stated, &found) => {}
        Some(_) => {
            problems.add(
                VALIDATION,
                "the digests in the bag say something else of the originals in it",
            );
        }
    }
    match verifying.given {
        Some(given) => validate(bag, originals, &report.roots, &given.keys, verifying.limits),
        None => found,
    }
}

/// Whether two reports say the same of each file and digest; how many keys there were does not matter.
fn is_same(stated: &ValidateReport, found: &ValidateReport) -> bool {
    let found = ValidateReport { keys: stated.keys, ..found.clone() };
    found == *stated
}
