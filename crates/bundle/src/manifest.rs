//! Manifests: a line for each file, its SHA-256 and its path. They are read as strictly as they are
//! written, so that a change of any bit shows.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use crate::Hash;
use crate::limits::{FILES_MAX, LINE_BYTES_MAX};
use crate::names::{decoded, encoded};
use crate::paths::ByPath;
use crate::problems::Problems;

/// The line of a file.
pub(crate) fn line(hash: &Hash, path: &str) -> String {
    format!("{}  {}\n", hex::encode(hash), encoded(path))
}

/// Reads a manifest. What is wrong with a line is a problem of the manifest, and the line says nothing.
pub(crate) fn read(
    mut from: impl BufRead,
    name: &str,
    problems: &mut Problems,
) -> io::Result<BTreeMap<String, Hash>> {
    let mut files = ByPath::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        from.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if number > FILES_MAX {
            problems.add(name, format!("it has more than {FILES_MAX} lines"));
            break;
        }
        match entry(&line) {
            Ok((path, hash)) => match files.insert(path.clone(), hash) {
                Ok(true) => {}
                Ok(false) => {
                    problems.add(name, format!("line {number}: it names {path} a second time"));
                }
                Err(too_many) => {
                    problems.add(name, too_many.to_string());
                    break;
                }
            },
            Err(why) => problems.add(name, format!("line {number}: {why}")),
        }
        if line.len() == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            problems.add(name, "what follows is not read");
            break;
        }
    }
    Ok(files.into_map())
}

fn entry(line: &[u8]) -> Result<(String, Hash), &'static str> {
    let line = line.strip_suffix(b"\n").ok_or("it is cut off, or too long")?;
    let line = str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let (hash, path) = line.split_once("  ").ok_or("it is not a hash, two spaces and a path")?;
    let is_lower = hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let hash = hex::decode(hash).ok().filter(|_| is_lower).and_then(|hash| hash.try_into().ok());
    let hash = hash.ok_or("it has no SHA-256 in lower case")?;
    Ok((decoded(path)?, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> (BTreeMap<String, Hash>, Problems) {
        let mut problems = Problems::default();
        let files = read(text, "m", &mut problems).unwrap();
        (files, problems)
    }

    #[test]
    fn any_change_of_one_bit_of_a_manifest_shows() {
        let text = line(&[0xAB; 32], "data/a") + &line(&[0x12; 32], "data/b%");
        let (whole, problems) = read_text(text.as_bytes());
        assert!(problems.is_empty() && whole.len() == 2, "{problems:?}");
        for at in 0..text.len() * 8 {
            let mut changed = text.clone().into_bytes();
            changed[at / 8] ^= 1 << (at % 8);
            let (files, problems) = read_text(&changed);
            assert!(files != whole || !problems.is_empty(), "{at}");
        }
    }

    #[test]
    fn lines_are_bounded_and_not_twice() {
        let twice = line(&[1; 32], "data/a").repeat(2);
        let (files, problems) = read_text(twice.as_bytes());
        assert_eq!((files.len(), problems.named.len()), (1, 1));
        let long = vec![b'a'; 10 << 20];
        let (files, problems) = read_text(&long);
        assert_eq!((files.len(), problems.named.len()), (0, 2));
    }
}
