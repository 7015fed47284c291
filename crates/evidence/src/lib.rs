//! CloudTrail's digest files: which digest lists a file, with which hash, signed by whom; and so, for each
//! file of a copy, one verdict.
//!
//! Pure: files come through [`Archive`], and nothing is fetched. Start at [`validate_each`].
//!
//! A log file is [`wire::Integrity::Verified`] only where a digest lists its own place with the hash of its
//! content, and the digest's own signature is verified with a key that the user gave. A signature proves
//! itself, so it does not matter who carries it: the metadata of the digest's object in S3, or the digest
//! that follows. What is not signed never makes a verdict better than `listed`, and never worse than what a
//! signed digest says.

#![warn(missing_docs, unreachable_pub)]

mod chains;
mod digest;
mod gaps;
mod judge;
mod keys;
mod limits;
mod listing;
mod metadata;
mod needed;
mod place;
mod report;

pub use self::judge::{Filter, Finding, Options, validate_each};
pub use self::keys::{KeyError, Keyring, is_keys};
pub use self::limits::{Bounds, DIGEST_BYTES_MAX, KEYS_BYTES_MAX, METADATA_BYTES_MAX};
pub use self::metadata::is_metadata;
pub use self::needed::{Belongs, DigestFacts};
pub use self::place::{Root, RootError, digest_start, is_digest_path, is_metadata_path};
pub use self::report::Collector;

/// Reads a SHA-256 in hexadecimal.
pub fn hash(text: &str) -> Option<Hash> {
    digest::hash(text)
}

/// A name for a copy of a file, made of its path: safe, and of one length.
pub fn name_of_copy(path: &str) -> String {
    let ending = if is_metadata_path(path) { "json" } else { "json.gz" };
    format!("{}.{ending}", hex::encode(place::key("", path)))
}

/// SHA-256 of a content.
pub type Hash = [u8; 32];

/// What reading a file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// SHA-256 of all that the file inflates to.
    pub sha256: Hash,
    /// Whether something follows the first stretch of compressed data.
    pub has_trailing: bool,
}

/// A file's whole content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// All that the file inflates to.
    pub bytes: Vec<u8>,
    /// Whether something follows the first stretch of compressed data.
    pub has_trailing: bool,
}

/// What a file of the copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A digest, if it is what its name says.
    Digest,
    /// The metadata of a digest.
    Metadata,
    /// Any other: it has to be listed by a digest.
    Log,
}

/// A file of the copy.
#[derive(Clone, Debug)]
pub struct File {
    /// Its absolute path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What the caller knows it by; it comes back in [`Finding::File`].
    pub number: u64,
    /// What reading it found, or why it could not be read, if that was tried before: then it is not read
    /// again.
    pub known: Option<Result<Reading, String>>,
}

/// The files of a copy.
pub trait Archive: Sync {
    /// Hands over each file that can be a trail's, a digest's, or metadata.
    fn walk(&self, each: &mut dyn FnMut(File));

    /// Reads a file's hash. Err is why it cannot be read, for a person.
    fn reading(&self, path: &str) -> Result<Reading, String>;

    /// Reads a digest or metadata whole, unless it inflates to more than so many bytes.
    fn content(&self, path: &str, bytes_max: usize) -> Result<Content, String>;

    /// Whether a file at this path would be one of those asked for.
    fn is_asked(&self, path: &str) -> bool;
}
