//! Where a file of the copy lies in S3. A copy keeps the path from `AWSLogs/` on; what comes before it, and
//! the bucket, is known only where the user maps a folder. So a place is a *site* (the mapped bucket and
//! prefix, or the folder that holds `AWSLogs`) and the path from `AWSLogs/` on, the *tail*.

use sha2::{Digest as _, Sha256};

use trail::time::Micros;

use crate::limits::HOUR_US;

/// The folder under which CloudTrail writes, in every bucket.
const LOGS: &str = "AWSLogs";

/// What the name of metadata ends in, behind the name of its digest.
const METADATA: &str = ".metadata.json";

/// A folder of the copy, and what it is a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// An absolute path without a slash at its end.
    pub folder: String,
    /// The bucket.
    pub bucket: String,
    /// Empty, or ends in a slash.
    pub prefix: String,
}

/// What is wrong with the text of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected FOLDER=s3://BUCKET/PREFIX, such as /srv/trail=s3://my-trail/logs")]
pub struct RootError;

impl Root {
    /// Reads `FOLDER=s3://BUCKET/PREFIX`.
    pub fn parse(text: &str) -> Result<Self, RootError> {
        let (folder, address) = text.rsplit_once("=s3://").ok_or(RootError)?;
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if folder.is_empty() || bucket.is_empty() {
            return Err(RootError);
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let folder = match folder.trim_end_matches('/') {
            "" => "/",
            folder => folder,
        };
        Ok(Self { folder: folder.to_owned(), bucket: bucket.to_owned(), prefix })
    }

    /// What of a path is beneath the folder.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.folder.trim_end_matches('/'))?.strip_prefix('/')
    }
}

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=s3://{}/{}", self.folder, self.bucket, self.prefix.trim_end_matches('/'))
    }
}

/// Where an object lies in S3, without the tail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pair {
    pub(crate) bucket: String,
    /// Empty, or ends in a slash.
    pub(crate) prefix: String,
}

/// Where a file of the copy lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `s3://BUCKET/PREFIX` where it is mapped; else the folder that holds `AWSLogs`.
    pub(crate) site: String,
    /// From `AWSLogs/` on.
    pub(crate) tail: String,
    /// Bucket and prefix where the user has said them.
    pub(crate) pair: Option<Pair>,
}

/// What a table knows a place by: of its SHA-256.
pub(crate) type PlaceKey = [u8; 16];

impl Place {
    /// The place of a path; None where it has no `AWSLogs`.
    pub(crate) fn of(path: &str, roots: &[Root]) -> Option<Self> {
        let mapped = roots
            .iter()
            .filter_map(|root| Some((root, root.rest(path)?)))
            .min_by_key(|(_, rest)| rest.len());
        match mapped {
            Some((Root { bucket, prefix, .. }, rest)) => {
                let object = format!("{prefix}{rest}");
                let (prefix, tail) = split(&object)?;
                let pair = Pair { bucket: bucket.clone(), prefix: prefix.to_owned() };
                let site = format!("s3://{bucket}/{prefix}");
                Some(Self { site, tail: tail.to_owned(), pair: Some(pair) })
            }
            None => {
                let (site, tail) = split(path)?;
                let site = site.trim_end_matches('/').to_owned();
                Some(Self { site, tail: tail.to_owned(), pair: None })
            }
        }
    }

    /// Where the copy would have it, as far as that is known.
    pub(crate) fn path(site: &str, tail: &str, roots: &[Root]) -> String {
        let Some(object) = site.strip_prefix("s3://").map(|place| format!("{place}{tail}")) else {
            return format!("{site}/{tail}");
        };
        let within = |root: &Root| {
            let rest = object.strip_prefix(&format!("{}/{}", root.bucket, root.prefix))?;
            Some(format!("{}/{rest}", root.folder.trim_end_matches('/')))
        };
        roots.iter().find_map(within).unwrap_or_else(|| format!("s3://{object}"))
    }
}

/// What stands before `AWSLogs/` in a path or an object's key, and the rest.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let starts = path.match_indices(LOGS).map(|(at, _)| at).filter(|at| {
        path[at + LOGS.len()..].starts_with('/') && (*at == 0 || path[..*at].ends_with('/'))
    });
    starts.last().map(|at| path.split_at(at))
}

/// What a table knows a place by.
pub(crate) fn key(site: &str, tail: &str) -> PlaceKey {
    let mut hasher = Sha256::new();
    hasher.update(site);
    hasher.update([0]);
    hasher.update(tail);
    let hash: [u8; 32] = hasher.finalize().into();
    std::array::from_fn(|at| hash[at])
}

/// The parts of a tail: `AWSLogs/[o-ORG/]ACCOUNT/KIND/REGION/…/NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'t> {
    /// The account, behind the organisation if there is one.
    pub(crate) owner: &'t str,
    pub(crate) account: &'t str,
    pub(crate) region: &'t str,
    pub(crate) name: &'t str,
}

impl<'t> Parts<'t> {
    pub(crate) fn of(tail: &'t str) -> Option<Self> {
        let rest = tail.strip_prefix(LOGS)?.strip_prefix('/')?;
        let kind = rest.match_indices("/CloudTrail").map(|(at, _)| at).next()?;
        let (owner, rest) = rest.split_at(kind);
        let (_, rest) = rest[1..].split_once('/')?;
        let (region, rest) = rest.split_once('/')?;
        let account = owner.rsplit('/').next()?;
        let name = rest.rsplit('/').next()?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        is_account.then_some(Self { owner, account, region, name })
    }

    /// The organisation whose trail it is of: `o-exampleorg`.
    pub(crate) fn organisation(&self) -> Option<&'t str> {
        self.owner.strip_suffix(self.account)?.strip_suffix('/')
    }

    /// What the name of a digest says of its trail.
    pub(crate) fn series(&self) -> Series {
        let stem = self.name.strip_suffix(".json.gz").unwrap_or(self.name);
        let (stem, is_backfill) = match stem.strip_suffix("_backfill") {
            Some(stem) => (stem, true),
            None => (stem, false),
        };
        let start = format!("{}_CloudTrail-Digest_{}_", self.account, self.region);
        let parts = || {
            let (rest, _) = stem.strip_prefix(&*start)?.rsplit_once('_')?;
            rest.rsplit_once('_')
        };
        let (trail, home_region) = parts().unwrap_or_default();
        Series { trail: trail.to_owned(), home_region: home_region.to_owned(), is_backfill }
    }
}

/// Which digests follow each other, of those of an account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) trail: String,
    pub(crate) home_region: String,
    pub(crate) is_backfill: bool,
}

/// When a digest ends by its name: `…_20230710T124014Z.json.gz`.
pub(crate) fn end_in_name(name: &str) -> Option<Micros> {
    let of_part = |part: &str| {
        let digits = part.get(..16).filter(|text| text.ends_with('Z') && text.is_ascii())?;
        let at = |from: usize, to: usize| &digits[from..to];
        let (day, time) = (at(0, 8), at(8, 15));
        let (hour, minute, second) = (&time[1..3], &time[3..5], &time[5..7]);
        let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
        Micros::parse_event_time(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
    };
    name.split('_').rev().find_map(of_part)
}

/// Whether a file of this path is a digest, if it is what its name says.
pub fn is_digest_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    (name.contains("_CloudTrail-Digest_") || path.contains("/CloudTrail-Digest/"))
        && !is_metadata_path(path)
}

/// When the span of a digest of this path begins, by its name; None of any other file.
pub fn digest_start(path: &str) -> Option<Micros> {
    let name = path.rsplit('/').next().filter(|_| is_digest_path(path))?;
    Some(Micros(end_in_name(name)?.0.saturating_sub(HOUR_US)))
}

/// Whether a file of this path is the metadata of a digest, if it is what its name says.
pub fn is_metadata_path(path: &str) -> bool {
    digest_of_metadata(path).is_some()
}

/// The digest whose metadata this is.
pub(crate) fn digest_of_metadata(path: &str) -> Option<&str> {
    path.strip_suffix(METADATA).filter(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.contains("_CloudTrail-Digest_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "AWSLogs/o-a1/111122223333/CloudTrail-Digest/us-east-1/2023/07/10/111122223333_CloudTrail-Digest_us-east-1_my_trail_eu-west-1_20230710T124014Z_backfill.json.gz";

    #[test]
    fn a_place_is_a_site_and_a_tail() {
        let path = format!("/srv/AWSLogs/x/{TAIL}");
        let place = Place::of(&path, &[]).unwrap();
        assert_eq!((&*place.site, &*place.tail, &place.pair), ("/srv/AWSLogs/x", TAIL, &None));
        assert_eq!(Place::path(&place.site, &place.tail, &[]), path);
        let roots = [Root::parse("/srv/=s3://b/p/").unwrap()];
        assert_eq!(roots[0].to_string(), "/srv=s3://b/p");
        let place = Place::of(&path, &roots).unwrap();
        assert_eq!(place.site, "s3://b/p/AWSLogs/x/");
        assert_eq!(Place::path(&place.site, &place.tail, &roots), path);
        assert_eq!(place.pair, Some(Pair { bucket: "b".into(), prefix: "p/AWSLogs/x/".into() }));
        let roots = [Root::parse("/srv/day=s3://b/AWSLogs/111122223333/CloudTrail").unwrap()];
        let place = Place::of("/srv/day/us-east-1/x.json", &roots).unwrap();
        assert_eq!((&*place.site, place.tail.len()), ("s3://b/", 48));
        assert_eq!(Place::path(&place.site, &place.tail, &roots), "/srv/day/us-east-1/x.json");
        assert_eq!(Place::of("/srv/MyAWSLogs/x", &[]), None);
        for text in ["", "/srv", "/srv=s3://", "=s3://b", "/srv=b"] {
            assert_eq!(Root::parse(text), Err(RootError), "{text}");
        }
    }

    #[test]
    fn the_parts_of_a_digests_name_are_read() {
        let parts = Parts::of(TAIL).unwrap();
        assert_eq!((parts.owner, parts.region), ("o-a1/111122223333", "us-east-1"));
        let Series { trail, home_region, is_backfill } = parts.series();
        assert_eq!((&*trail, &*home_region, is_backfill), ("my_trail", "eu-west-1", true));
        let end = end_in_name(parts.name).unwrap().to_string();
        assert_eq!(end, "2023-07-10T12:40:14Z");
        assert!(is_digest_path(TAIL) && is_metadata_path(&format!("{TAIL}.metadata.json")));
        assert_eq!(end_in_name("ümlaut_1234567ü"), None);
        assert_eq!(Parts::of("AWSLogs/x/CloudTrail/us-east-1/y"), None);
    }
}
