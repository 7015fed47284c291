//! Names of a bag's files. Those of originals were chosen by strangers: in the bag they are plain ASCII,
//! different for different originals, and of bounded length.

use sha2::{Digest as _, Sha256};

use crate::limits::{DEPTH_MAX, NAME_BYTES_MAX, NAME_KEPT, PATH_BYTES_MAX};

/// The folder of originals, digests and their metadata, each at its path on the machine that it is from.
pub const ARCHIVE: &str = "data/archive";
/// The events, one a line.
pub const EVENTS: &str = "data/events.ndjson";
/// The records, where the originals are left out.
pub const RECORDS: &str = "data/records.ndjson";
/// The public keys that the digests name.
pub const KEYS: &str = "data/keys/public-keys.json";
/// What was asked, what is there, and what is not.
pub const REPORT: &str = "data/reports/bundle.json";
/// What the archive can know of the time that was asked for.
pub const COVERAGE: &str = "data/reports/coverage.json";
/// What CloudTrail's digests say of the originals in the bag.
pub const VALIDATION: &str = "data/reports/validation.json";

pub(crate) const DECLARATION: &str = "bagit.txt";
pub(crate) const INFO: &str = "bag-info.txt";
pub(crate) const MANIFEST: &str = "manifest-sha256.txt";
pub(crate) const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";

/// What stands for a byte that is not plain: `~0A`. It cannot be `%`, which a manifest encodes: then
/// `sha256sum -c` would look for another name.
const ESCAPE: char = '~';

/// Where the copy of a file is in a bag, by its absolute path. Different paths have different places.
pub fn place_of(source: &str) -> String {
    let parts: Vec<String> = source.split('/').filter(|part| !part.is_empty()).map(plain).collect();
    let place = format!("{ARCHIVE}/{}", parts.join("/"));
    if place.len() <= PATH_BYTES_MAX && parts.len() < DEPTH_MAX {
        return place;
    }
    let name = parts.last().map_or("", |name| name);
    format!("{ARCHIVE}/{ESCAPE}-{}/{name}", short_hash(source))
}

/// One part of a path, plain.
fn plain(part: &str) -> String {
    let mut plain = String::with_capacity(part.len());
    for (at, byte) in part.bytes().enumerate() {
        let is_plain =
            byte.is_ascii_alphanumeric() || b"-_+=,@".contains(&byte) || (byte == b'.' && at > 0);
        if is_plain {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("{ESCAPE}{byte:02X}"));
        }
    }
    if plain.len() > NAME_BYTES_MAX {
        plain.truncate(NAME_KEPT);
        plain.push_str(&format!("{ESCAPE}-{}", short_hash(part)));
    }
    plain
}

/// Enough of a hash that nobody finds two names for it.
fn short_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// A path as a manifest has it (RFC 8493, 2.1.3).
pub(crate) fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace('\n', "%0A").replace('\r', "%0D")
}

/// The path that a manifest means; Err says why it is refused.
pub(crate) fn decoded(text: &str) -> Result<String, &'static str> {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        path.push_str(before);
        path.push(match after.get(..2) {
            Some("25") => '%',
            Some("0A" | "0a") => '\n',
            Some("0D" | "0d") => '\r',
            _ => return Err("its path has a % that stands for nothing"),
        });
        rest = &after[2..];
    }
    path.push_str(rest);
    checked(&path)?;
    Ok(path)
}

/// Refuses a path that leads out of the bag, or that no bag of traildex's has.
pub(crate) fn checked(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("its path is empty");
    }
    if path.len() > PATH_BYTES_MAX {
        return Err("its path is too long");
    }
    if path.starts_with('/') {
        return Err("its path is absolute");
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err("its path has a control character or a backslash");
    }
    let mut depth = 0;
    for part in path.split('/') {
        depth += 1;
        match part {
            "" => return Err("its path has an empty part"),
            "." | ".." => return Err("its path has a part that leads elsewhere"),
            part if part.len() > NAME_BYTES_MAX => {
                return Err("its path has a part that is too long");
            }
            _ => {}
        }
    }
    if depth > DEPTH_MAX { Err("its path is too deep") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn places_keep_the_layout_of_aws_and_are_plain() {
        let path =
            "/srv/trail/AWSLogs/o-a1/111122223333/CloudTrail/us-east-1/2023/07/10/x_1.json.gz";
        assert_eq!(place_of(path), format!("data/archive{path}"));
        assert_eq!(place_of("/a b/%0A\n/.x/é"), "data/archive/a~20b/~250A~0A/~2Ex/~C3~A9");
        for path in ["/a", "/..", "/a/../b", "/\r", "/*", "/\\", "/~"] {
            let place = place_of(path);
            assert_eq!(checked(&place), Ok(()), "{place}");
            assert_eq!(encoded(&place), place);
            assert!(place.bytes().all(|b| b.is_ascii_graphic()), "{place}");
        }
    }

    #[test]
    fn different_files_have_different_places() {
        let long = "x".repeat(300);
        let deep = "/a".repeat(1_500);
        let sources = [
            "/a b",
            "/a~20b",
            "/a~b",
            "/~7E",
            "/~",
            "/a/b",
            "/a~2Fb",
            &format!("/{long}"),
            &format!("/{long}y"),
            &deep,
            &format!("{deep}/b"),
            &format!("/b{deep}"),
        ];
        let places: BTreeSet<String> = sources.iter().map(|source| place_of(source)).collect();
        assert_eq!(places.len(), sources.len(), "{places:#?}");
        assert!(places.iter().all(|place| checked(place).is_ok()));
    }

    #[test]
    fn a_manifests_path_is_read_back_or_refused() {
        assert_eq!(encoded("a%b\nc\r"), "a%25b%0Ac%0D");
        assert_eq!(decoded("data/a%25b").as_deref(), Ok("data/a%b"));
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "data/../../x",
            "data//x",
            "data/./x",
            "data/%0Ax",
            "data/%0dx",
            "data/%41",
            "data/%",
            "data/%é",
            "data\\x",
            "data/\u{1b}[31m",
            "data/x/",
        ] {
            assert!(decoded(path).is_err(), "{path:?}");
        }
        assert!(decoded(&"x/".repeat(2_000)).is_err());
        assert!(decoded(&"x".repeat(256)).is_err());
    }
}
