//! Which digests the verdict of a log file needs: what says where a file belongs, and what a digest says of
//! itself. For those who copy some files of an archive, and want their verdicts to stay.

use trail::time::Micros;

use crate::digest::{self, Head, name};
use crate::place::{Parts, Place, Root};

/// Where a file belongs: whose digests list it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Belongs {
    /// The copy of a bucket and prefix.
    pub site: String,
    /// The path from `AWSLogs/` on, as digests list it.
    pub tail: String,
    /// The account, behind the organisation if there is one.
    pub owner: String,
    /// The organisation, whose digests may be of one account for all.
    pub organisation: Option<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// When a log file was delivered, by its name.
    pub time: Option<Micros>,
}

impl Belongs {
    /// Where a path belongs; None where it is no place of CloudTrail's.
    pub fn of(path: &str, roots: &[Root]) -> Option<Self> {
        let Place { site, tail, .. } = Place::of(path, roots)?;
        let parts = Parts::of(&tail)?;
        let (owner, organisation) = (parts.owner.to_owned(), parts.organisation());
        let (organisation, region) = (organisation.map(str::to_owned), parts.region.to_owned());
        let time = Micros::parse_file_name(parts.name);
        Some(Self { site, tail, owner, organisation, region, time })
    }

    /// Whether digests that belong here speak of files that belong there.
    pub fn speaks_of(&self, file: &Self) -> bool {
        let is_same = self.owner == file.owner
            || (self.organisation.is_some() && self.organisation == file.organisation);
        is_same && self.site == file.site && self.region == file.region
    }
}

/// What a digest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestFacts {
    /// Its own name in S3.
    pub name: String,
    /// The name of the digest before, whose signature it carries.
    pub before: Option<String>,
    /// Of the key that signed it: MD5, in hexadecimal.
    pub fingerprint: String,
    /// When it starts.
    pub start: Micros,
    /// When it ends.
    pub end: Micros,
    /// The files that it lists, from `AWSLogs/` on.
    pub lists: Vec<String>,
}

impl DigestFacts {
    /// Reads a digest; Err says why it is none.
    pub fn of(json: &[u8]) -> Result<Self, String> {
        let head = Head::parse(json)?;
        let lists = digest::files(json)?.into_iter().map(|listed| listed.tail).collect();
        Ok(Self {
            name: head.name(),
            before: head.previous.as_ref().map(|before| name(&before.pair, &before.tail)),
            fingerprint: hex::encode(head.fingerprint),
            start: head.start,
            end: head.end,
            lists,
        })
    }

    /// Whether a file that was delivered then is of its time.
    pub fn covers(&self, time: Micros) -> bool {
        // The names of files have minutes.
        self.start.0 < time.0.saturating_add(60_000_000) && self.end > time
    }
}
