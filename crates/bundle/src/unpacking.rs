//! Lists a tar whose maker is not trusted. Each header must be what traildex itself would write for this
//! path and size, each padding zeros, and the end the end: so a change of any bit shows. Nothing but plain
//! files is taken. Of a tar that another program packed it says so: unpack it, and check the folder.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use tar::{EntryType, Header};

use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use crate::names::checked;
use crate::packing::{BLOCK, LONG, head, padding};
use crate::paths::ByPath;
use crate::problems::Problems;
use crate::source::Entry;

/// What stands for the tar as a whole.
const TAR: &str = "(the tar)";

struct Listing<'a> {
    from: BufReader<&'a File>,
    length: u64,
    /// Byte of the tar that is read next.
    at: u64,
    /// The one folder that everything is in, and the one time that every file has.
    common: Option<(String, u64)>,
    last: String,
}

/// Why the listing cannot go on.
enum Stop {
    Io(io::Error),
    /// What is wrong there, and with what.
    Problem(String, String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn stop<T>(path: &str, why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Problem(path.to_owned(), why.into()))
}

/// Lists the files of a tar by their paths below its one folder.
pub(crate) fn list(
    file: &File,
    files: &mut ByPath<Entry>,
    problems: &mut Problems,
) -> io::Result<()> {
    let length = file.metadata()?.len();
    let from = BufReader::new(file);
    let mut listing = Listing { from, length, at: 0, common: None, last: String::new() };
    loop {
        match listing.next(problems) {
            Ok(Some((path, entry))) => match files.insert(path.clone(), entry) {
                Ok(true) => {}
                Ok(false) => problems.add(path, "the tar has two files of this path"),
                Err(too_many) => {
                    problems.add(TAR, too_many.to_string());
                    return Ok(());
                }
            },
            Ok(None) => return Ok(()),
            Err(Stop::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                problems.add(TAR, "it is cut off");
                return Ok(());
            }
            Err(Stop::Io(error)) => return Err(error),
            Err(Stop::Problem(path, why)) => {
                problems.add(path, format!("{why}; what follows in the tar is not read"));
                return Ok(());
            }
        }
    }
}

impl Listing<'_> {
    fn block(&mut self) -> Result<[u8; BLOCK], Stop> {
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block)?;
        self.at += BLOCK as u64;
        Ok(block)
    }

    /// The next file; None at the end.
    fn next(&mut self, problems: &mut Problems) -> Result<Option<(String, Entry)>, Stop> {
        let start = self.at;
        let mut block = self.block()?;
        if block == [0; BLOCK] {
            return self.end();
        }
        let mut written = Vec::from(block);
        let mut name = None;
        if header(&block)?.entry_type() == EntryType::GNULongName {
            let (long, bytes) = self.long_name(&block)?;
            written.extend_from_slice(&bytes);
            name = Some(long);
            block = self.block()?;
            written.extend_from_slice(&block);
        }
        let header = header(&block)?;
        let name = match name {
            Some(name) => name,
            None => utf8(&header.path_bytes())?,
        };
        let (folder, path) = split(&name)?;
        match header.entry_type() {
            EntryType::Regular => {}
            EntryType::Directory => return stop(&name, "a folder, which traildex does not pack"),
            EntryType::Symlink | EntryType::Link => return stop(&name, "a link, and no file"),
            EntryType::GNUSparse => return stop(&name, "a file with holes"),
            _ => return stop(&name, "not a plain file"),
        }
        let (Ok(size), Ok(time)) = (header.entry_size(), header.mtime()) else {
            return stop(&name, "its header has no size or no time");
        };
        let end = self.at.checked_add(size).and_then(|end| end.checked_add(padding(size) as u64));
        if end.is_none_or(|end| end > self.length) {
            return stop(&name, "it is longer than the tar");
        }
        let (common, times) = self.common.get_or_insert((folder.clone(), time));
        if *common != folder || *times != time {
            problems.add(&path, "it lies in another folder of the tar, or has another time");
        }
        if head(&name, size, time)? != written {
            problems
                .add(&path, format!("its header, at byte {start} of the tar, is not traildex's"));
        }
        if path <= self.last {
            problems.add(&path, "it is not in the order of names");
        }
        self.last.clone_from(&path);
        let entry = Entry { size, at: self.at };
        self.skip(size, &path, problems)?;
        Ok(Some((path, entry)))
    }

    /// The name before a header, and its blocks.
    fn long_name(&mut self, block: &[u8; BLOCK]) -> Result<(String, Vec<u8>), Stop> {
        let header = header(block)?;
        let size = header.entry_size().unwrap_or(u64::MAX);
        if size > (PATH_BYTES_MAX + NAME_BYTES_MAX) as u64
            || *header.path_bytes() != *LONG.as_bytes()
        {
            return stop(TAR, format!("at byte {} is a name that is too long", self.at));
        }
        let mut bytes = vec![0; size as usize + padding(size)];
        self.from.read_exact(&mut bytes)?;
        self.at += bytes.len() as u64;
        let name = bytes[..size as usize].strip_suffix(&[0]).unwrap_or_default();
        Ok((utf8(name)?, bytes))
    }

    /// Goes behind a content; what pads it must be zeros.
    fn skip(&mut self, size: u64, path: &str, problems: &mut Problems) -> Result<(), Stop> {
        self.from.seek(SeekFrom::Start(self.at + size))?;
        let mut zeros = [0; BLOCK];
        let zeros = &mut zeros[..padding(size)];
        self.from.read_exact(zeros)?;
        if zeros.iter().any(|byte| *byte != 0) {
            problems.add(path, "something stands behind it in the tar");
        }
        self.at += size + zeros.len() as u64;
        Ok(())
    }

    /// Behind the first block of zeros there is one more, and nothing else.
    fn end(&mut self) -> Result<Option<(String, Entry)>, Stop> {
        if self.block()? != [0; BLOCK] || self.at != self.length {
            return stop(TAR, format!("something stands at its end, from byte {}", self.at));
        }
        Ok(None)
    }
}

/// The folder of the tar, and the path in the bag.
fn split(name: &str) -> Result<(String, String), Stop> {
    let shown = || name.escape_debug().to_string();
    let Some((folder, path)) = name.split_once('/') else {
        return stop(&shown(), "it lies beside the bag");
    };
    for part in [folder, path] {
        if let Err(why) = checked(part) {
            return stop(&shown(), why);
        }
    }
    Ok((folder.to_owned(), path.to_owned()))
}

/// A header whose sum is right.
fn header(block: &[u8; BLOCK]) -> Result<&Header, Stop> {
    let header = Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    if header.cksum().ok() == Some(sum) {
        Ok(header)
    } else {
        stop(TAR, "a header is damaged: its sum is wrong")
    }
}

fn utf8(name: &[u8]) -> Result<String, Stop> {
    match str::from_utf8(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => stop(TAR, "it has a name that is not UTF-8"),
    }
}
