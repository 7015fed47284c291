//! The log files that digests list, 56 bytes each, found by their place.
//!
//! Digests whose signature is verified come first and without a bound: AWS made them. Of the others, so
//! many files are taken as fit a bound.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;
use trail::seeded::SeededMap;

use crate::chains::{Chains, Digest, Signed};
use crate::digest::{Listed, files, name};
use crate::judge::Options;
use crate::limits::{BATCH, DIGEST_BYTES_MAX};
use crate::place::{Pair, Parts, Place, PlaceKey, key};
use crate::{Archive, Hash};

/// A file in a digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    key: PlaceKey,
    pub(crate) hash: Hash,
    /// Its number in [`Chains::digests`].
    pub(crate) digest: u32,
    is_seen: bool,
}

/// All files that digests list.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    /// Sites of a bucket and prefix.
    sites: SeededMap<Pair, Vec<String>>,
    /// Why digests do not count, though their heads do.
    pub(crate) notes: Vec<String>,
    /// Whether digests list more than is read of them.
    pub(crate) is_cut: bool,
}

impl Listing {
    /// Reads the files of all digests that count.
    pub(crate) fn read(archive: &dyn Archive, chains: &Chains, options: &Options<'_>) -> Self {
        let mut listing = Self { sites: sites(chains), ..Self::default() };
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        let is_cut = AtomicBool::new(false);
        for signed in [Signed::Yes, Signed::Unknown] {
            let digests: Vec<(usize, &Digest)> = chains
                .counting()
                .filter(|(_, digest, _)| digest.signed == signed)
                .map(|(at, digest, _)| (at, digest))
                .collect();
            let room = AtomicUsize::new(options.bounds.unsigned_files);
            let entries = |(at, digest): (usize, &Digest)| {
                let files = listed(archive, digest)?;
                let takes = |left: usize| left.checked_sub(files.len());
                let is_bounded = signed == Signed::Unknown;
                let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
                if is_bounded && room.fetch_update(set, get, takes).is_err() {
                    is_cut.store(true, Ordering::Relaxed);
                    return Err(format!(
                        "{}: digests that are not verified list too many",
                        digest.path
                    ));
                }
                Ok(files
                    .iter()
                    .filter(|file| options.filter.has_file(&file.tail))
                    .flat_map(|file| listing.keys(chains.site(digest), digest, file))
                    .map(|(key, hash)| Entry { key, hash, digest: at as u32, is_seen: false })
                    .collect::<Vec<_>>())
            };
            let files: usize =
                digests.iter().filter_map(|(_, digest)| Some(digest.head.as_ref()?.files)).sum();
            // Doubling would take three times the memory.
            found.reserve_exact(match signed {
                Signed::Yes => files,
                Signed::Unknown | Signed::No => files.min(options.bounds.unsigned_files),
            });
            for some in digests.chunks(BATCH) {
                let read: Vec<Result<Vec<Entry>, String>> =
                    some.par_iter().map(|digest| entries(*digest)).collect();
                for read in read {
                    match read {
                        Ok(entries) => found.extend(entries),
                        Err(note) => notes.push(note),
                    }
                }
            }
        }
        (listing.entries, listing.notes) = (found, notes);
        listing.is_cut = is_cut.into_inner();
        listing.entries.par_sort_unstable_by_key(|entry| (entry.key, entry.digest));
        listing
    }

    /// What digests list at a place.
    pub(crate) fn at(&self, place: &Place) -> Range<usize> {
        let key = key(&place.site, &place.tail);
        let start = self.entries.partition_point(|entry| entry.key < key);
        let length = self.entries[start..].iter().take_while(|entry| entry.key == key).count();
        start..start + length
    }

    pub(crate) fn get(&self, range: Range<usize>) -> &[Entry] {
        &self.entries[range]
    }

    /// Notes that the file of these entries is in the copy.
    pub(crate) fn see(&mut self, range: Range<usize>) {
        self.entries[range].iter_mut().for_each(|entry| entry.is_seen = true);
    }

    /// Calls for each listed file that was not seen, once, with the digest that lists it; the best of them
    /// where there are several.
    pub(crate) fn unseen(
        &self,
        archive: &dyn Archive,
        chains: &Chains,
        options: &Options<'_>,
        each: &mut dyn FnMut(String, &Digest),
    ) {
        let mut told: trail::seeded::SeededSet<PlaceKey> = trail::seeded::SeededSet::default();
        let unseen = self.entries.iter().filter(|entry| !entry.is_seen);
        let mut numbers: Vec<u32> = unseen.map(|entry| entry.digest).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for digest in numbers.into_iter().map(|number| &chains.digests[number as usize]) {
            let site = chains.site(digest);
            for file in listed(archive, digest).unwrap_or_default() {
                if !options.filter.has_file(&file.tail) {
                    continue;
                }
                let keys: Vec<PlaceKey> =
                    self.keys(site, digest, &file).map(|(key, _)| key).collect();
                let is_seen = |key: &PlaceKey| {
                    let at = self.entries.partition_point(|entry| entry.key < *key);
                    self.entries.get(at).is_none_or(|entry| entry.key != *key || entry.is_seen)
                };
                let path = match keys.first() {
                    Some(_) if keys.iter().any(is_seen) => continue,
                    Some(key) if !told.insert(*key) => continue,
                    _ => self.path(site, digest, &file, options),
                };
                each(path, digest);
            }
        }
    }

    /// The places of a listed file: at the digest's own site, or at those of the bucket it names. One that
    /// is at none has the place of its name, where no file is.
    fn keys(
        &self,
        site: &str,
        digest: &Digest,
        file: &Listed,
    ) -> impl Iterator<Item = (PlaceKey, Hash)> {
        let is_here = digest.head.as_ref().is_some_and(|head| head.pair == file.pair);
        let sites = if is_here { None } else { self.sites.get(&file.pair) };
        let mut keys: Vec<PlaceKey> =
            sites.into_iter().flatten().map(|site| key(site, &file.tail)).collect();
        if is_here {
            keys.push(key(site, &file.tail));
        } else if keys.is_empty() {
            keys.push(key("", &name(&file.pair, &file.tail)));
        }
        let hash = file.hash;
        keys.into_iter().map(move |key| (key, hash))
    }

    fn path(&self, site: &str, digest: &Digest, file: &Listed, options: &Options<'_>) -> String {
        let is_here = digest.head.as_ref().is_some_and(|head| head.pair == file.pair);
        let site = if is_here {
            Some(site)
        } else {
            self.sites.get(&file.pair).and_then(|sites| sites.first()).map(String::as_str)
        };
        match site {
            Some(site) => Place::path(site, &file.tail, options.roots),
            None => name(&file.pair, &file.tail),
        }
    }
}

/// Which sites are copies of a bucket and prefix, by the signed digests there.
fn sites(chains: &Chains) -> SeededMap<Pair, Vec<String>> {
    let mut sites: SeededMap<Pair, Vec<String>> = SeededMap::default();
    for (_, digest, head) in chains.counting() {
        if digest.signed == Signed::Yes {
            let sites = sites.entry(head.pair.clone()).or_default();
            let site = chains.site(digest);
            if !sites.iter().any(|known| known == site) {
                sites.push(site.to_owned());
            }
        }
    }
    sites
}

/// The files that a digest lists, unless it changed since its head was read.
fn listed(archive: &dyn Archive, digest: &Digest) -> Result<Vec<Listed>, String> {
    let named = |reason: String| format!("{}: {reason}", digest.path);
    let content = archive.content(&digest.path, DIGEST_BYTES_MAX).map_err(named)?;
    if crate::judge::sha256(&content.bytes) != digest.sha256 {
        return Err(named("it changed while it was read".to_owned()));
    }
    let files = files(&content.bytes).map_err(named)?;
    // AWS's own lists are of one account, or of an organisation; what another's digest says of these files
    // is nothing.
    let Some(own) = digest.head.as_ref().and_then(|head| Parts::of(&head.tail)) else {
        return Ok(Vec::new());
    };
    let is_of_account = |file: &Listed| {
        Parts::of(&file.tail).is_some_and(|parts| {
            parts.owner == own.owner
                || own.organisation().is_some_and(|of| parts.organisation() == Some(of))
        })
    };
    Ok(files.into_iter().filter(is_of_account).collect())
}
