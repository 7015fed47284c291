//! All digests of a copy: read, their signatures verified, joined to chains.
//!
//! A digest counts only at its own place: a copy of it elsewhere says nothing of the files there. Its
//! signature is looked for in the digests that name it as the one before them, and in its metadata.
//! Each signature is tried for the one digest that it is carried for, so the work grows with the files.

use rayon::prelude::*;
use trail::seeded::{SeededMap, SeededSet};
use trail::time::Micros;
use wire::DigestState;

use crate::digest::{Head, name};
use crate::judge::{Filter, Options};
use crate::keys::Keyring;
use crate::limits::{
    DIGEST_BYTES_MAX, FOREIGN_TRIED_MAX, HOUR_US, METADATA_BYTES_MAX, SPAN_US_MAX,
};
use crate::place::{Pair, Parts, Place, PlaceKey, Series, digest_of_metadata, end_in_name, key};
use crate::{Archive, Hash, Kind, metadata};

/// Digests this much later than what was asked are read, too: they carry signatures.
const LATER_US: i64 = 26 * HOUR_US;

/// Whether a digest is AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    Yes,
    /// It cannot be said here.
    Unknown,
    /// It says nothing.
    No,
}

/// A digest file of the copy.
#[derive(Debug)]
pub(crate) struct Digest {
    pub(crate) path: String,
    /// Its account and region at its site: a number in [`Chains::groups`].
    pub(crate) group: Option<u32>,
    pub(crate) series: Series,
    /// None where it cannot be read.
    pub(crate) head: Option<Head>,
    pub(crate) sha256: Hash,
    has_trailing: bool,
    pub(crate) signed: Signed,
    pub(crate) state: DigestState,
    pub(crate) reason: Option<String>,
}

/// An account's region at a site, and the times that digests there cover.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) site: String,
    pub(crate) owner: String,
    pub(crate) region: String,
    /// Of digests that count.
    pub(crate) covered: Spans,
    /// Of those whose signature is verified.
    pub(crate) signed: Spans,
}

/// Pieces of time, in their order. No two touch, so one is found without a look at the others.
#[derive(Debug, Default)]
pub(crate) struct Spans(Vec<(Micros, Micros)>);

impl Spans {
    fn of(mut spans: Vec<(Micros, Micros)>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<(Micros, Micros)> = Vec::new();
        for (start, end) in spans {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    /// Whether any of this time is in one.
    pub(crate) fn touch(&self, start: Micros, end: Micros) -> bool {
        let at = self.0.partition_point(|span| span.1 <= start);
        self.0.get(at).is_some_and(|span| span.0 < end)
    }

    pub(crate) fn end(&self) -> Option<Micros> {
        self.0.last().map(|span| span.1)
    }
}

/// A digest that is not in the copy.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// All digests.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) digests: Vec<Digest>,
    pub(crate) groups: Vec<Group>,
    pub(crate) absent: Vec<Absent>,
    /// Paths of the digests that are beyond the bound, sorted.
    pub(crate) unread: Vec<String>,
    by_group: SeededMap<(String, String, String), u32>,
    /// A group of each organisation, whose digests may be of one account for all.
    by_organisation: SeededMap<(String, String, String), u32>,
    /// Digests by the name they claim, at their site, and at any.
    by_claim: SeededMap<PlaceKey, u32>,
}

/// A name in S3 as seen from a site. Without a site it is the name anywhere.
fn claim(site: &str, pair: &Pair, tail: &str) -> PlaceKey {
    key(site, &name(pair, tail))
}

impl Chains {
    /// Reads and verifies the digests of a copy.
    pub(crate) fn read(archive: &dyn Archive, keys: &Keyring, options: &Options<'_>) -> Self {
        let (mut paths, beside) = list(archive, options);
        let unread = paths.split_off(options.bounds.digests.min(paths.len()));
        let mut chains = Self { unread, ..Self::default() };
        let read = paths.into_par_iter().map(|path| read_one(archive, path));
        let mut digests: Vec<Digest> = read.collect();
        for digest in &mut digests {
            chains.settle(digest, options);
        }
        chains.digests = digests;
        chains.verify(keys, &beside, options);
        chains.refuse_other_pairs();
        chains.index_claims();
        chains.follow_links(options);
        chains.name_absent(&beside);
        chains.cover();
        chains
    }

    /// The number of a group; None where it has no digest.
    pub(crate) fn group_of(&self, place: &Place) -> Option<&Group> {
        let parts = Parts::of(&place.tail)?;
        let key = |owner: &str| (place.site.clone(), owner.to_owned(), parts.region.to_owned());
        let of_all = || self.by_organisation.get(&key(parts.organisation()?));
        let number = self.by_group.get(&key(parts.owner)).or_else(of_all)?;
        Some(&self.groups[*number as usize])
    }

    /// Digests that are AWS's, or may be, with their numbers.
    pub(crate) fn counting(&self) -> impl Iterator<Item = (usize, &Digest, &Head)> {
        self.digests.iter().enumerate().filter_map(|(at, digest)| {
            (digest.signed != Signed::No).then_some((at, digest, digest.head.as_ref()?))
        })
    }

    pub(crate) fn site(&self, digest: &Digest) -> &str {
        digest.group.map_or("", |group| &self.groups[group as usize].site)
    }

    /// The digest before this one, if the copy has it.
    pub(crate) fn before(&self, digest: &Digest) -> Option<&Digest> {
        let at = self.by_claim.get(&self.claim_before(digest)?)?;
        Some(&self.digests[*at as usize])
    }

    /// The name of the digest before: at the same site, unless the trail went to another bucket.
    fn claim_before(&self, digest: &Digest) -> Option<PlaceKey> {
        let head = digest.head.as_ref()?;
        let previous = head.previous.as_ref()?;
        let site = if previous.pair == head.pair { self.site(digest) } else { "" };
        Some(claim(site, &previous.pair, &previous.tail))
    }

    /// Says whether a digest lies where it says that it lies, and enters it into its group.
    fn settle(&mut self, digest: &mut Digest, options: &Options<'_>) {
        let Some(head) = &digest.head else { return };
        let place = Place::of(&digest.path, options.roots);
        let is_here = place.as_ref().is_some_and(|place| {
            place.tail == head.tail && place.pair.as_ref().is_none_or(|pair| *pair == head.pair)
        });
        let Some(place) = place.filter(|_| is_here) else {
            digest.refuse(DigestState::Moved, format!("it says that it is {}", head.name()));
            return;
        };
        let Some(parts) = Parts::of(&place.tail) else {
            let reason = "its path names no account and region".to_owned();
            digest.refuse(DigestState::Moved, reason);
            return;
        };
        digest.series = parts.series();
        digest.group = Some(self.enter(&place.site, &parts));
    }

    fn enter(&mut self, site: &str, parts: &Parts<'_>) -> u32 {
        let key = (site.to_owned(), parts.owner.to_owned(), parts.region.to_owned());
        let groups = &mut self.groups;
        let number = *self.by_group.entry(key).or_insert_with_key(|(site, owner, region)| {
            let (site, owner, region) = (site.clone(), owner.clone(), region.clone());
            let (covered, signed) = (Spans::default(), Spans::default());
            groups.push(Group { site, owner, region, covered, signed });
            groups.len() as u32 - 1
        });
        if let Some(organisation) = parts.organisation() {
            let key = (site.to_owned(), organisation.to_owned(), parts.region.to_owned());
            self.by_organisation.entry(key).or_insert(number);
        }
        number
    }

    /// Tries the signatures that there are for each digest that lies at its place.
    fn verify(&mut self, keys: &Keyring, beside: &Beside, options: &Options<'_>) {
        let mut carriers: SeededMap<PlaceKey, Vec<u32>> = SeededMap::default();
        for (at, digest) in self.digests.iter().enumerate() {
            if let Some(key) = self.claim_before(digest) {
                carriers.entry(key).or_default().push(at as u32);
            }
        }
        let carried = |key: &PlaceKey, most: usize| {
            let carriers = carriers.get(key).into_iter().flatten().take(most);
            let heads = carriers.filter_map(|at| self.digests[*at as usize].head.as_ref());
            heads.filter_map(Head::carried).collect::<Vec<_>>()
        };
        let judged: Vec<_> = self
            .digests
            .par_iter()
            .map(|digest| {
                let head = digest.head.as_ref().filter(|_| digest.signed != Signed::No)?;
                let site = self.site(digest);
                let mut signatures = carried(&claim(site, &head.pair, &head.tail), usize::MAX);
                signatures.extend(carried(&claim("", &head.pair, &head.tail), FOREIGN_TRIED_MAX));
                signatures.extend(beside.get(&digest.path).cloned().flatten());
                let file = digest.path.rsplit('/').next().unwrap_or_default();
                let given = options.metadata.iter().filter(|(name, _)| name == file);
                signatures.extend(given.filter_map(|(_, json)| metadata::signature(json)));
                Some(judge(digest, head, keys, &signatures))
            })
            .collect();
        for (digest, judged) in self.digests.iter_mut().zip(judged) {
            if let Some((signed, state, reason)) = judged {
                (digest.signed, digest.state, digest.reason) = (signed, state, reason);
            }
            if let Some(head) = &mut digest.head {
                head.forget_signature();
            }
        }
    }

    /// A folder is a copy of one bucket and prefix. Where its own name says which of several that signed
    /// digests claim, the digests of others are not at their place.
    fn refuse_other_pairs(&mut self) {
        let mut pairs: SeededMap<u32, Vec<Pair>> = SeededMap::default();
        for digest in self.digests.iter().filter(|digest| digest.signed == Signed::Yes) {
            let (Some(group), Some(head)) = (digest.group, &digest.head) else { continue };
            let pairs = pairs.entry(group).or_default();
            if !pairs.contains(&head.pair) {
                pairs.push(head.pair.clone());
            }
        }
        for digest in self.digests.iter_mut().filter(|digest| digest.signed != Signed::No) {
            let (Some(group), Some(head)) = (digest.group, &digest.head) else { continue };
            let Some(pairs) = pairs.get(&group) else { continue };
            let site = &self.groups[group as usize].site;
            let fit = |pair: &Pair| fit(site, pair);
            let best = pairs.iter().map(fit).max().unwrap_or_default();
            if fit(&head.pair) < best {
                let named = format!("it says that it is {}", head.name());
                digest.refuse(DigestState::Moved, named);
            }
        }
    }

    fn index_claims(&mut self) {
        for (at, digest) in self.digests.iter().enumerate() {
            let (Some(group), Some(head)) = (digest.group, &digest.head) else { continue };
            let site = &self.groups[group as usize].site;
            for site in [site, ""] {
                let at = at as u32;
                let key = claim(site, &head.pair, &head.tail);
                let digests = &self.digests;
                let is_better = |old: &u32| digests[*old as usize].signed != Signed::Yes;
                let place = self.by_claim.entry(key).or_insert(at);
                if is_better(place) {
                    *place = at;
                }
            }
        }
    }

    /// Compares what digests say of the one before with what is there.
    fn follow_links(&mut self, options: &Options<'_>) {
        let mut wrong = Vec::new();
        let mut absent = Vec::new();
        let mut named: SeededSet<PlaceKey> = SeededSet::default();
        for (at, digest, head) in self.counting() {
            let Some(previous) = &head.previous else { continue };
            if !options.filter.asks_for_hour_before(head.start) {
                continue;
            }
            match self.before(digest) {
                Some(before) if before.signed != Signed::No => {
                    if previous.hash != Some(before.sha256) {
                        wrong.push((at, before.path.clone()));
                    }
                }
                Some(_) => {}
                None => {
                    let is_here = previous.pair == head.pair;
                    let path = if is_here {
                        Place::path(self.site(digest), &previous.tail, options.roots)
                    } else {
                        name(&previous.pair, &previous.tail)
                    };
                    let reason = format!("{} names it as the digest before", digest.path);
                    if named.insert(key("", &path)) {
                        absent.push(Absent { path, reason });
                    }
                }
            }
        }
        self.absent = absent;
        for (at, before) in wrong {
            let digest = &mut self.digests[at];
            digest.state = DigestState::Damaged;
            digest.reason = Some(format!("its previousDigestHashValue is not that of {before}"));
        }
    }

    /// Metadata whose digest is gone.
    fn name_absent(&mut self, beside: &Beside) {
        let here: SeededSet<&str> = self.digests.iter().map(|digest| &*digest.path).collect();
        let named: SeededSet<&str> = self.absent.iter().map(|absent| &*absent.path).collect();
        let mut gone: Vec<Absent> = beside
            .keys()
            .filter(|path| !here.contains(&***path) && !named.contains(&***path))
            .filter(|path| self.unread.binary_search(path).is_err())
            .map(|path| Absent { path: path.clone(), reason: "its metadata is there".to_owned() })
            .collect();
        gone.sort_by(|a, b| a.path.cmp(&b.path));
        self.absent.extend(gone);
    }

    fn cover(&mut self) {
        let mut spans = vec![(Vec::new(), Vec::new()); self.groups.len()];
        for (_, digest, head) in self.counting() {
            let Some(group) = digest.group else { continue };
            let (covered, signed) = &mut spans[group as usize];
            covered.push((head.start, head.end));
            if digest.signed == Signed::Yes {
                signed.push((head.start, head.end));
            }
        }
        for (group, (covered, signed)) in self.groups.iter_mut().zip(spans) {
            (group.covered, group.signed) = (Spans::of(covered), Spans::of(signed));
        }
    }
}

impl Digest {
    fn refuse(&mut self, state: DigestState, reason: String) {
        (self.signed, self.state, self.reason) = (Signed::No, state, Some(reason));
    }
}

/// How well a folder's name fits what a digest claims: by its prefix and its bucket.
fn fit(site: &str, pair: &Pair) -> usize {
    let prefix = pair.prefix.trim_end_matches('/');
    let ends_with = |site: &str, name: &str| {
        site.strip_suffix(name).filter(|rest| rest.ends_with('/')).map(|rest| rest.len() - 1)
    };
    let after_prefix = match prefix {
        "" => Some(site.len()),
        prefix => ends_with(site, prefix),
    };
    let has_bucket = |length: usize| ends_with(&site[..length], &pair.bucket).is_some();
    match after_prefix {
        Some(length) if has_bucket(length) => 3,
        Some(_) if !prefix.is_empty() => 2,
        Some(_) => 1,
        None => 0,
    }
}

/// Signatures of metadata beside its digest, by the digest's path.
type Beside = SeededMap<String, Option<Vec<u8>>>;

/// Paths of the digests that can be of use, and the metadata beside them.
fn list(archive: &dyn Archive, options: &Options<'_>) -> (Vec<String>, Beside) {
    let mut paths = Vec::new();
    let mut beside = Beside::default();
    archive.walk(&mut |file| {
        let digest = digest_of_metadata(&file.path).filter(|_| file.kind == Kind::Metadata);
        if is_useful(digest.unwrap_or(&file.path), options.filter) {
            if let Some(digest) = digest {
                let content = archive.content(&file.path, METADATA_BYTES_MAX);
                let signature =
                    content.ok().and_then(|content| metadata::signature(&content.bytes));
                beside.insert(digest.to_owned(), signature);
            } else if file.kind == Kind::Digest {
                paths.push(file.path);
            }
        }
    });
    paths.sort();
    (paths, beside)
}

fn is_useful(path: &str, filter: &Filter) -> bool {
    let tail = crate::place::split(path).map_or("", |(_, tail)| tail);
    let is_of_place = Parts::of(tail).is_none_or(|parts| filter.has_place(&parts));
    let end = end_in_name(path.rsplit('/').next().unwrap_or_default());
    let is_in_time = end.is_none_or(|Micros(end)| {
        filter.start.is_none_or(|Micros(start)| end >= start)
            && filter.end.is_none_or(|Micros(last)| end <= last.saturating_add(LATER_US))
    });
    is_of_place && is_in_time
}

fn read_one(archive: &dyn Archive, path: String) -> Digest {
    let mut digest = Digest {
        path,
        group: None,
        series: Series { trail: String::new(), home_region: String::new(), is_backfill: false },
        head: None,
        sha256: Hash::default(),
        has_trailing: false,
        signed: Signed::Unknown,
        state: DigestState::Unverified,
        reason: None,
    };
    let content = archive.content(&digest.path, DIGEST_BYTES_MAX);
    let head = content.and_then(|content| {
        digest.sha256 = crate::judge::sha256(&content.bytes);
        digest.has_trailing = content.has_trailing;
        Head::parse(&content.bytes)
    });
    match head {
        Ok(head) => digest.head = Some(head),
        Err(reason) => digest.refuse(DigestState::Unreadable, reason),
    }
    digest
}

/// What the signatures say of a digest.
fn judge(
    digest: &Digest,
    head: &Head,
    keys: &Keyring,
    signatures: &[Vec<u8>],
) -> (Signed, DigestState, Option<String>) {
    let text = head.signed_text(&digest.sha256);
    let unknown = |reason: String| (Signed::Unknown, DigestState::Unverified, Some(reason));
    let verifies =
        |signature: &Vec<u8>| keys.verifies(&head.fingerprint, text.as_bytes(), signature);
    let (signed, state, reason) = if signatures.iter().any(verifies) {
        (Signed::Yes, DigestState::Verified, None)
    } else if head.end.0.saturating_sub(head.start.0) > SPAN_US_MAX {
        return (Signed::No, DigestState::Invalid, Some("it covers more than a day".to_owned()));
    } else if !keys.has(&head.fingerprint) {
        let print = hex::encode(head.fingerprint);
        unknown(format!("the key of fingerprint {print} is not among those given"))
    } else if signatures.is_empty() {
        unknown(
            "its signature is not in the copy: S3 keeps it in the object's metadata, and the digest \
             that follows has it"
                .to_owned(),
        )
    } else {
        return (Signed::No, DigestState::Invalid, Some("its signature is wrong".to_owned()));
    };
    if digest.has_trailing {
        let reason = "something follows its compressed data".to_owned();
        return (signed, DigestState::Damaged, Some(reason));
    }
    (signed, state, reason)
}
