//! Which file repeats which event: a row for each duplicate of a file that lies as CloudTrail's do.
//!
//! An event is indexed once, with the file that was read first. If that file is an injected copy, the
//! genuine one is a duplicate, and what digests say of it is what counts. So its rows are kept.
//!
//! A row is 32 bytes: the event's key (8 and 16), and the number of the file, little-endian. Rows are written
//! before the commit of their file, and not synced: after a power loss some may be gone, which makes no
//! verdict better. Rows of files that no commit has are cut off before a number is given again.

use std::fs;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use segment::{IndexError, private, regular};
use trail::content::{ContentHash, EventKey};
use trail::time::Micros;

const ROW_BYTES: usize = 32;

const PREFIX: &str = "copies-";

/// The rows of the index that was begun then.
fn path_of(data_dir: &Path, begun: Micros) -> PathBuf {
    data_dir.join(format!("{PREFIX}{}", begun.0))
}

/// Adds rows.
pub(crate) fn append(
    data_dir: &Path,
    begun: Micros,
    rows: &[(EventKey, u64)],
) -> Result<(), IndexError> {
    if rows.is_empty() {
        return Ok(());
    }
    let path = path_of(data_dir, begun);
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    for (key, file) in rows {
        bytes.extend_from_slice(&key.id.to_le_bytes());
        bytes.extend_from_slice(&key.content.0);
        bytes.extend_from_slice(&file.to_le_bytes());
    }
    let write = || {
        let mut file = private::options().create(true).append(true).open(&path)?;
        // What a full disk left of a row is no row.
        let length = file.metadata()?.len();
        file.set_len(length - length % ROW_BYTES as u64)?;
        file.write_all(&bytes)
    };
    write().map_err(IndexError::io(&path))
}

/// Calls for each row, in the order in which files were committed.
pub fn each(
    data_dir: &Path,
    begun: Micros,
    mut visit: impl FnMut(EventKey, u64),
) -> Result<(), IndexError> {
    let path = path_of(data_dir, begun);
    read(&path, &mut |_, key, file| {
        visit(key, file);
        true
    })
    .map_err(IndexError::io(&path))
}

/// Cuts off the rows of files with this number and those after it.
pub(crate) fn cut(data_dir: &Path, begun: Micros, next_number: u64) -> Result<(), IndexError> {
    let path = path_of(data_dir, begun);
    let cut = || {
        let mut end = None;
        read(&path, &mut |at, _, file| {
            end = (file >= next_number).then_some(at);
            end.is_none()
        })?;
        match end {
            Some(end) => private::options().write(true).open(&path)?.set_len(end),
            None => Ok(()),
        }
    };
    cut().map_err(IndexError::io(&path))
}

/// Removes the rows of other indexes.
pub(crate) fn remove_others(data_dir: &Path, begun: Micros) -> io::Result<()> {
    let own = path_of(data_dir, begun);
    for entry in fs::read_dir(data_dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) && path != own {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Visits rows with their places, until told to stop by false. A row that is not whole is none.
fn read(path: &Path, visit: &mut dyn FnMut(u64, EventKey, u64) -> bool) -> io::Result<()> {
    let file = match regular::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut rows = BufReader::with_capacity(1 << 16, file);
    let mut row = [0; ROW_BYTES];
    let mut at = 0;
    loop {
        match rows.read_exact(&mut row) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let number =
            |start: usize| u64::from_le_bytes(std::array::from_fn(|byte| row[start + byte]));
        let content = ContentHash(std::array::from_fn(|byte| row[8 + byte]));
        if !visit(at, EventKey { id: number(0), content }, number(24)) {
            return Ok(());
        }
        at += ROW_BYTES as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_files_that_no_commit_has_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let begun = Micros(7);
        let row = |id, file| (EventKey { id, content: ContentHash([3; 16]) }, file);
        append(dir.path(), begun, &[row(1, 4), row(2, 5)]).unwrap();
        append(dir.path(), begun, &[row(3, 6), row(4, 6)]).unwrap();
        fs::write(dir.path().join("copies-6"), "").unwrap();
        let all = || {
            let mut all = Vec::new();
            each(dir.path(), begun, |key, file| all.push((key, file))).unwrap();
            all
        };
        assert_eq!(all().len(), 4);
        cut(dir.path(), begun, 6).unwrap();
        assert_eq!(all(), [row(1, 4), row(2, 5)]);
        let path = path_of(dir.path(), begun);
        fs::write(&path, &fs::read(&path).unwrap()[..40]).unwrap();
        append(dir.path(), begun, &[row(5, 6)]).unwrap();
        assert_eq!(all(), [row(1, 4), row(5, 6)], "half a row is none");
        remove_others(dir.path(), begun).unwrap();
        assert!(path.exists() && !dir.path().join("copies-6").exists());
    }
}
