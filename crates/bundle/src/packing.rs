//! A bag as a tar: the files by name, below one folder, with nothing in their headers that differs from one
//! making to the next. One that is interrupted is packed from its start again: a later run may write other
//! reports, and to copy is quick.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;

use tar::{EntryType, Header};

use crate::limits::STEP;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// The name that stands before a long one.
pub(crate) const LONG: &str = "././@LongLink";

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
    let mut out = BufWriter::with_capacity(STEP, File::create(to)?);
    for path in files {
        let content = File::open(folder.join(path))?;
        let size = content.metadata()?.len();
        out.write_all(&head(&format!("{name}/{path}"), size, time)?)?;
        let copied = io::copy(&mut (&content).take(size), &mut out)?;
        if copied != size {
            return Err(io::Error::other(format!("{path} was cut short while it was packed")));
        }
        out.write_all(&[0; BLOCK][..padding(size)])?;
        on_step("bundle-file-packed");
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()?;
    out.get_ref().sync_all()
}
