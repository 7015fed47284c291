//! Opens files of a data directory. A copy of one can come from anybody: a pipe in it would be waited for, and
//! a sparse file would fill the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a file to be read; fails at what is no file, such as a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// Reads a file whole; fails if it has more bytes than that.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_long_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0)
            .unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(open(dir.path()).is_err());
        let path = dir.path().join("sparse");
        File::create(&path).unwrap().set_len(100 << 30).unwrap();
        assert_eq!(read(&path, 1 << 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, "ten bytes.").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"ten bytes.");
        assert!(read(&path, 9).is_err());
    }
}
