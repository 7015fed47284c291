//! A bag as a tar: the files by name, below one folder, with nothing in their headers that differs from one
//! making to the next. A tar that is interrupted goes on behind the last file that it noted.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use crate::limits::{STEP, TAR_STEP_BYTES, TAR_STEP_FILES};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// The name that stands before a long one.
pub(crate) const LONG: &str = "././@LongLink";

/// How far a tar is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    files: usize,
    bytes: u64,
}

/// What comes before a file's content: its header, and its name before that where it is long.
pub(crate) fn head(path: &str, size: u64, time: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut header = plain_header(size, time);
    if header.set_path(path).is_err() {
        let mut long = plain_header(path.len() as u64 + 1, 0);
        // As GNU has it: `set_path` would leave the dots out.
        long.as_old_mut().name[..LONG.len()].copy_from_slice(LONG.as_bytes());
        long.set_entry_type(EntryType::GNULongName);
        long.set_cksum();
        head.extend_from_slice(long.as_bytes());
        head.extend_from_slice(path.as_bytes());
        head.push(0);
        head.resize(head.len().next_multiple_of(BLOCK), 0);
        header = plain_header(size, time);
        header.set_path(path.get(..100).unwrap_or("long"))?;
    }
    header.set_cksum();
    head.extend_from_slice(header.as_bytes());
    Ok(head)
}

fn plain_header(size: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(size);
    header
}

/// Zeros behind a content of so many bytes.
pub(crate) fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

/// Writes files of a folder into a tar, each below `name`.
pub(crate) fn pack(
    folder: &Path,
    name: &str,
    files: &[String],
    time: u64,
    to: &Path,
    on_step: &dyn Fn(&str),
) -> io::Result<()> {
    let noted = to.with_extension("tar.json");
    let begun = fs::read(&noted).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut progress: Progress = begun.unwrap_or_default();
    let file = File::options().create(true).truncate(false).write(true).open(to)?;
    if file.metadata()?.len() < progress.bytes {
        progress = Progress::default();
    }
    file.set_len(progress.bytes)?;
    let mut out = BufWriter::with_capacity(STEP, file);
    out.seek(io::SeekFrom::End(0))?;
    let (mut bytes, mut since) = (progress.bytes, (0, 0));
    for (at, path) in files.iter().enumerate().skip(progress.files) {
        let content = File::open(folder.join(path))?;
        let size = content.metadata()?.len();
        let head = head(&format!("{name}/{path}"), size, time)?;
        out.write_all(&head)?;
        let copied = io::copy(&mut (&content).take(size), &mut out)?;
        if copied != size {
            return Err(io::Error::other(format!("{path} was cut short while it was packed")));
        }
        out.write_all(&[0; BLOCK][..padding(size)])?;
        let written = (head.len() + padding(size)) as u64 + size;
        bytes += written;
        since = (since.0 + written, since.1 + 1);
        on_step("bundle-file-packed");
        if since.0 >= TAR_STEP_BYTES || since.1 >= TAR_STEP_FILES {
            out.flush()?;
            out.get_ref().sync_data()?;
            note(&noted, &Progress { files: at + 1, bytes })?;
            since = (0, 0);
        }
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()?;
    out.get_ref().sync_all()
}

fn note(path: &Path, progress: &Progress) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(progress)?)?;
    fs::rename(&new, path)
}
