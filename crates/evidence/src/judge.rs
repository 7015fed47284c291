//! One judge of files. It is made of a copy's digests; a file's hash then gives its verdict, whether the
//! file was read now or before.

use std::ops::Range;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use trail::time::Micros;
use wire::{Chain, DigestState, Integrity};

use crate::chains::{Chains, Signed};
use crate::keys::Keyring;
use crate::limits::{BATCH, Bounds, HOUR_US};
use crate::listing::Listing;
use crate::place::{Parts, Place, Root};
use crate::{Archive, File, Hash, Kind, Reading, gaps};

/// What is asked. None of a field is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Files that were delivered at this time or later.
    pub start: Option<Micros>,
    /// Files that were delivered before this time.
    pub end: Option<Micros>,
    /// Twelve digits.
    pub account: Option<String>,
    /// Such as `us-east-1`.
    pub region: Option<String>,
}

/// How a copy is judged.
#[derive(Debug)]
pub struct Options<'a> {
    /// Folders whose bucket is known.
    pub roots: &'a [Root],
    /// What is asked.
    pub filter: &'a Filter,
    /// Metadata of digests that lies elsewhere than beside them: the digest's file name, and the content.
    pub metadata: &'a [(String, Vec<u8>)],
    /// How much is judged.
    pub bounds: Bounds,
}

/// What a validation finds, in this order: digests, chains, files, notes.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A digest file, or one that is missing.
    Digest {
        /// Where it is, or would be.
        path: &'a str,
        /// What is known of it.
        state: DigestState,
        /// Why, unless the state says all.
        reason: Option<&'a str>,
    },
    /// A chain of digests.
    Chain(Chain),
    /// A log file, or one that is missing.
    File {
        /// Where it is, or would be.
        path: &'a str,
        /// What the digests say of it.
        state: Integrity,
        /// Why, unless the state says all.
        reason: Option<&'a str>,
        /// [`File::number`]; None of one that is missing.
        number: Option<u64>,
    },
    /// What else a person should know.
    Note(String),
}

/// What the digests say of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) state: Integrity,
    pub(crate) reason: Option<String>,
    /// What lists it.
    entries: Range<usize>,
}

impl Filter {
    fn has(&self, time: Option<Micros>) -> bool {
        // A file that tells no time could be of any.
        time.is_none_or(|time| {
            self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time < end)
        })
    }

    pub(crate) fn has_place(&self, parts: &Parts<'_>) -> bool {
        let is = |asked: &Option<String>, has: &str| asked.as_ref().is_none_or(|it| it == has);
        is(&self.account, parts.account) && is(&self.region, parts.region)
    }

    /// Whether a log file with this tail is asked for.
    pub(crate) fn has_file(&self, tail: &str) -> bool {
        let name = tail.rsplit('/').next().unwrap_or_default();
        let has_place = match Parts::of(tail) {
            Some(parts) => self.has_place(&parts),
            None => self.account.is_none() && self.region.is_none(),
        };
        has_place && self.has(Micros::parse_file_name(name))
    }

    /// Whether any of a span is asked for.
    pub(crate) fn has_span(&self, start: Micros, end: Micros) -> bool {
        self.start.is_none_or(|asked| end > asked) && self.end.is_none_or(|asked| start < asked)
    }

    pub(crate) fn asks_for_hour_before(&self, time: Micros) -> bool {
        self.has_span(Micros(time.0.saturating_sub(HOUR_US)), time)
    }
}

/// Judges every file of a copy, and says what it finds.
pub fn validate_each(
    archive: &dyn Archive,
    keys: &Keyring,
    options: &Options<'_>,
    sink: &mut dyn FnMut(Finding<'_>),
) {
    let chains = Chains::read(archive, keys, options);
    if !chains.unread.is_empty() {
        let Bounds { digests, .. } = options.bounds;
        let unread = chains.unread.len();
        sink(Finding::Note(format!(
            "{unread} digests are not read: there are more than {digests}; hours without a digest are not told"
        )));
    }
    tell_digests(&chains, archive, options, sink);
    let mut judge = Judge { listing: Listing::read(archive, &chains, options), chains, options };
    judge.listing.notes.drain(..).for_each(|note| sink(Finding::Note(note)));
    let mut batch = Vec::with_capacity(BATCH);
    archive.walk(&mut |file| {
        if file.kind == Kind::Log && judge.is_asked(&file.path) {
            batch.push(file);
        }
        if batch.len() >= BATCH {
            judge.batch(archive, &batch, sink);
            batch.clear();
        }
    });
    judge.batch(archive, &batch, sink);
    judge.tell_missing(archive, sink);
}

fn tell_digests(
    chains: &Chains,
    archive: &dyn Archive,
    options: &Options<'_>,
    sink: &mut dyn FnMut(Finding<'_>),
) {
    for digest in &chains.digests {
        let is_asked =
            digest.head.as_ref().is_none_or(|head| options.filter.has_span(head.start, head.end));
        if is_asked {
            let reason = digest.reason.as_deref();
            sink(Finding::Digest { path: &digest.path, state: digest.state, reason });
        }
    }
    for absent in chains.absent.iter().filter(|absent| archive.is_asked(&absent.path)) {
        let (path, reason) = (&absent.path, Some(&*absent.reason));
        sink(Finding::Digest { path, state: DigestState::Missing, reason });
    }
    for chain in gaps::chains(chains, options.filter) {
        sink(Finding::Chain(chain));
    }
}

/// What the digests of a copy say of its files.
struct Judge<'a> {
    chains: Chains,
    listing: Listing,
    options: &'a Options<'a>,
}

impl Judge<'_> {
    fn is_asked(&self, path: &str) -> bool {
        match Place::of(path, self.options.roots) {
            Some(place) => self.options.filter.has_file(&place.tail),
            None => self.options.filter.has_file(path),
        }
    }

    fn batch(&mut self, archive: &dyn Archive, files: &[File], sink: &mut dyn FnMut(Finding<'_>)) {
        let judge = |file: &File| {
            let reading = match &file.known {
                Some(reading) => reading.clone(),
                None => archive.reading(&file.path),
            };
            self.judge(&file.path, &reading)
        };
        let verdicts: Vec<Verdict> = files.par_iter().map(judge).collect();
        for (file, Verdict { state, reason, entries }) in files.iter().zip(verdicts) {
            self.listing.see(entries);
            let reason = reason.as_deref();
            let number = Some(file.number);
            sink(Finding::File { path: &file.path, state, reason, number });
        }
    }

    /// The verdict of a file at a path, for what reading it found.
    fn judge(&self, path: &str, reading: &Result<Reading, String>) -> Verdict {
        let Some(place) = Place::of(path, self.options.roots) else {
            return if self.chains.groups.is_empty() {
                verdict(Integrity::NoDigest, None)
            } else {
                verdict(Integrity::NotCovered, Some(NO_PLACE.to_owned()))
            };
        };
        let entries = self.listing.at(&place);
        if entries.is_empty() {
            return self.judge_unlisted(&place);
        }
        let (state, reason) = self.judge_listed(entries.clone(), reading);
        Verdict { state, reason, entries }
    }

    /// The verdict of a file that digests list: what the signed ones say, if there are any.
    fn judge_listed(
        &self,
        entries: Range<usize>,
        reading: &Result<Reading, String>,
    ) -> (Integrity, Option<String>) {
        let entries = self.listing.get(entries);
        let digest = |number: u32| &self.chains.digests[number as usize];
        let is_signed = |number: u32| digest(number).signed == Signed::Yes;
        let has_signed = entries.iter().any(|entry| is_signed(entry.digest));
        let counts = entries.iter().filter(|entry| is_signed(entry.digest) == has_signed);
        let mut counts = counts.map(|entry| (entry.hash, digest(entry.digest))).peekable();
        let first = counts.peek().map(|(hash, digest)| (hex::encode(hash), &*digest.path));
        let (hash, path) = first.unwrap_or_default();
        match reading {
            Err(reason) => (Integrity::Mismatch, Some(format!("it cannot be read: {reason}"))),
            Ok(reading) => match counts.find(|(hash, _)| *hash == reading.sha256) {
                None => (Integrity::Mismatch, Some(format!("{path} lists it with SHA-256 {hash}"))),
                Some(_) if reading.has_trailing => {
                    let reason = "something follows its compressed data".to_owned();
                    (Integrity::TrailingData, Some(reason))
                }
                Some(_) if has_signed => (Integrity::Verified, None),
                Some((_, digest)) => {
                    let reason = digest.reason.as_deref().unwrap_or("it is not verified");
                    (Integrity::Listed, Some(format!("{}: {reason}", digest.path)))
                }
            },
        }
    }

    /// The verdict of a file that no digest lists, of those that were read.
    fn judge_unlisted(&self, place: &Place) -> Verdict {
        let unknown = || verdict(Integrity::NotCovered, Some(CUT.to_owned()));
        if !self.chains.unread.is_empty() {
            return unknown();
        }
        let Some(group) = self.chains.group_of(place) else {
            return verdict(Integrity::NoDigest, None);
        };
        let name = place.tail.rsplit('/').next().unwrap_or_default();
        let Some(time) = Micros::parse_file_name(name) else {
            let reason = "its name has no time, and no digest lists it".to_owned();
            let unlisted = || verdict(Integrity::Unlisted, Some(reason));
            return if self.listing.is_cut { unknown() } else { unlisted() };
        };
        // The name has minutes.
        let minute_end = Micros(time.0.saturating_add(60_000_000));
        // All that verified digests list is read.
        let spans = if self.listing.is_cut { &group.signed } else { &group.covered };
        if spans.touch(time, minute_end) {
            return verdict(Integrity::Unlisted, None);
        }
        if self.listing.is_cut {
            return unknown();
        }
        let reason = match group.covered.end() {
            Some(last) if last <= time => format!("not covered yet: the last digest ends {last}"),
            Some(_) => "no digest of its hour counts".to_owned(),
            None => "no digest of its account and region counts".to_owned(),
        };
        verdict(Integrity::NotCovered, Some(reason))
    }

    fn tell_missing(&self, archive: &dyn Archive, sink: &mut dyn FnMut(Finding<'_>)) {
        self.listing.unseen(archive, &self.chains, self.options, &mut |path, digest| {
            if archive.is_asked(&path) {
                let reason = format!("{} lists it", digest.path);
                let (state, reason) = (Integrity::Missing, Some(&*reason));
                sink(Finding::File { path: &path, state, reason, number: None });
            }
        });
    }
}

const CUT: &str = "not all digests are read, or not all that they list";

const NO_PLACE: &str = "its path names no place in a bucket: it is beneath no AWSLogs";

fn verdict(state: Integrity, reason: Option<String>) -> Verdict {
    Verdict { state, reason, entries: 0..0 }
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
