//! From files to bytes: maps a file read-only, inflates it, and limits the output. No other file of
//! this crate uses memmap2; `sniff` reads the beginning of compressed files, too.
//!
//! libdeflate inflates a gzip member in one call. Where it fails it does not say whether the member is
//! damaged or cut off; flate2, which does, then reads the same bytes again.
//!
//! The bytes that are read of a file are bounded as well as those that it inflates to, and so are its
//! members: compressed data can go on forever and hold nothing.
//!
//! A file can be cut short or written to while it is mapped. So its content is copied or inflated
//! out of the mapping before anyone looks at it. If the file was cut meanwhile, the copy is
//! discarded.

mod packed;

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufRead, Read};

use crossbeam_channel::{Receiver, never};
use flate2::bufread::GzDecoder;
use memmap2::{Advice, Mmap, MmapOptions};
use zstd::zstd_safe::DCtx;

use self::packed::{is_packed, unpack_twice};
use crate::inflate::{Inflated, Inflater, Unreadable};
use crate::limits::RATIO_FREE_BYTES;
use crate::progress::has_ended;
use segment::sigbus;
use trail::flags::Flags;

/// Files up to this many bytes are read rather than mapped: for them a system call and a copy cost
/// less than a mapping and its page faults, and most trail files are far smaller.
const READ_BYTES_MAX: u64 = 64 << 10;

/// What a gzip member and a zstd frame begin with.
const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// A buffer that grew beyond this for one file is given back after it.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Compressed bytes between two looks at whether ingest ends.
const STEP: usize = 1 << 20;

/// Bounds on what a file may inflate to.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Uncompressed bytes of one file. No more are read of a compressed one either.
    pub file_bytes_max: usize,
    /// Uncompressed bytes to compressed; checked only above `RATIO_FREE_BYTES`.
    pub inflate_ratio_max: usize,
}

/// The uncompressed content of a file.
#[derive(Debug)]
pub struct Content<'a> {
    /// All gzip members or zstd frames that could be inflated, one behind another; a plain file as
    /// it is.
    pub bytes: &'a [u8],
    /// Where in `bytes` the second gzip member begins; None where there is one member or none.
    pub second_member: Option<usize>,
    /// What is odd about how the file is packed.
    pub flags: Flags,
    /// Whether the file goes on with bytes that are not compressed data, or cannot be read.
    pub has_trailing_bytes: bool,
    /// Why a later member or frame could not be read. What comes before it is whole, checksums
    /// included. None where all could be read.
    pub unread: Option<ReadError>,
}

impl<'a> Content<'a> {
    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        let flags = Flags::default();
        Self { bytes, second_member: None, flags, has_trailing_bytes: false, unread: None }
    }
}

/// Why a file has no content.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system could not open, map or read the file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file was cut short while it was read.
    #[error("it was cut short while it was read")]
    Changed,
    /// The compressed data ends too early: it is cut off, or still being written.
    #[error("the compressed data ends too early, at byte {at} of the file")]
    Cut {
        /// Byte of the file, as on disk, where the data ends.
        at: u64,
    },
    /// The compressed data, or a checksum in it, is wrong.
    #[error("the compressed data that begins at byte {at} is damaged: {reason}")]
    Damaged {
        /// Byte of the file, as on disk, where the damaged member or frame begins.
        at: u64,
        /// What the decompressor said.
        reason: String,
    },
    /// Something else than compressed data follows it.
    #[error("what begins at byte {at} of the file is no compressed data")]
    Behind {
        /// Byte of the file, as on disk, where it begins.
        at: u64,
    },
    /// The gzip data that the file's gzip data holds cannot be read.
    #[error("it is gzip inside of gzip, and of the inner: {0}")]
    Inner(Box<ReadError>),
    /// The file is gzip three times over, which is not read.
    #[error("it is gzip inside of gzip inside of gzip")]
    PackedThrice,
    /// The content is longer than [`ReadLimits::file_bytes_max`].
    #[error("it holds more than {limit} bytes")]
    TooLarge {
        /// The limit, in uncompressed bytes.
        limit: usize,
    },
    /// The file has more gzip members or zstd frames than are read.
    #[error("it has more than {limit} gzip members or zstd frames")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// Ingest ends.
    #[error("ingest ends")]
    Stopped,
    /// The content is so much longer than the file that it is taken for an attack.
    #[error("it inflates to more than {ratio} times its size")]
    Bomb {
        /// The limit, as uncompressed bytes to compressed.
        ratio: usize,
    },
}

impl ReadError {
    /// The error of a member, seen from its file.
    fn in_member_at(self, start: usize) -> Self {
        let start = start as u64;
        match self {
            Self::Cut { at } => Self::Cut { at: start + at },
            Self::Damaged { at, reason } => Self::Damaged { at: start + at, reason },
            Self::Behind { at } => Self::Behind { at: start + at },
            error => error,
        }
    }
}

/// Reads files one after another into buffers that it keeps. Each worker has one.
pub struct FileReader {
    limits: ReadLimits,
    inflater: Inflater,
    file: Vec<u8>,
    inflated: Vec<u8>,
    /// Disconnects when ingest is to end.
    stopping: Receiver<Infallible>,
}

/// As much of a file as is read.
#[derive(Clone, Copy)]
struct Input<'a> {
    bytes: &'a [u8],
    /// Of the whole file.
    length: u64,
    limits: ReadLimits,
    stopping: &'a Receiver<Infallible>,
}

impl Input<'_> {
    fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.length
    }

    fn check_stop(&self) -> Result<(), ReadError> {
        if has_ended(self.stopping) { Err(ReadError::Stopped) } else { Ok(()) }
    }

    /// The error of a member that begins at a byte of the file.
    fn error_of_member(&self, start: usize, error: ReadError) -> ReadError {
        match error {
            ReadError::Cut { .. } if !self.is_whole() => self.too_large(),
            error => error.in_member_at(start),
        }
    }

    fn too_large(&self) -> ReadError {
        ReadError::TooLarge { limit: self.limits.file_bytes_max }
    }
}

/// A file as it lies on disk.
enum OnDisk<'a> {
    Mapped(Mmap),
    Read(&'a [u8]),
}

impl std::ops::Deref for OnDisk<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(bytes) => bytes,
        }
    }
}

impl FileReader {
    /// Returns a reader without buffers, and installs the handler that survives cut files.
    pub fn new(limits: ReadLimits) -> Self {
        Self::until(limits, never())
    }

    /// The same, and it gives up when ingest is to end, at which `stopping` disconnects.
    pub(crate) fn until(limits: ReadLimits, stopping: Receiver<Infallible>) -> Self {
        sigbus::install();
        let inflater = Inflater::default();
        Self { limits, inflater, file: Vec::new(), inflated: Vec::new(), stopping }
    }

    /// Reads an open file and returns what `take` makes of its content.
    pub fn read<R>(
        &mut self,
        file: &File,
        take: impl FnOnce(Content<'_>) -> R,
    ) -> Result<R, ReadError> {
        let Self { limits, inflater, file: buffer, inflated, stopping } = self;
        let cuts_before = sigbus::cuts();
        let length = file.metadata()?.len();
        let on_disk = load(file, length.min(limits.file_bytes_max as u64), buffer)?;
        let length = length.max(on_disk.len() as u64);
        let input = Input { bytes: &on_disk, length, limits: *limits, stopping };
        let content = if is_packed(&on_disk) {
            unpack_twice(inflater, input, inflated)
        } else {
            plain(input, inflated)
        };
        // Whose mapping was cut is not known: another's costs a second look.
        let result = match content {
            _ if sigbus::cuts() != cuts_before => Err(ReadError::Changed),
            content => content.map(take),
        };
        drop(on_disk);
        if self.inflated.capacity() > KEPT_BYTES_MAX {
            self.inflated = Vec::new();
        }
        result
    }
}

/// Reads or maps the first bytes of a file.
fn load<'a>(mut file: &File, bytes: u64, buffer: &'a mut Vec<u8>) -> io::Result<OnDisk<'a>> {
    if bytes <= READ_BYTES_MAX {
        buffer.clear();
        // It may be growing; what comes later is read when its size has changed.
        file.by_ref().take(bytes).read_to_end(buffer)?;
        return Ok(OnDisk::Read(buffer));
    }
    // SAFETY: the mapping is read-only and private to this function's caller, who takes its bytes for
    // nothing more than bytes that may change. A file that is cut short meanwhile raises SIGBUS, which
    // `sigbus` handles.
    let map = unsafe { MmapOptions::new().len(bytes as usize).map(file)? };
    map.advise(Advice::Sequential)?;
    Ok(OnDisk::Mapped(map))
}

/// Copies a file that is not compressed.
fn plain<'a>(input: Input<'_>, out: &'a mut Vec<u8>) -> Result<Content<'a>, ReadError> {
    if !input.is_whole() {
        return Err(input.too_large());
    }
    out.clear();
    out.extend_from_slice(input.bytes);
    Ok(Content::plain(out))
}

/// Inflates the member at the start of `bytes` into `out[start..]`, which grows as needed.
fn gunzip_member(
    inflater: &mut Inflater,
    bytes: &[u8],
    out: &mut Vec<u8>,
    start: usize,
    limits: ReadLimits,
) -> Result<Inflated, ReadError> {
    let room = limits.file_bytes_max - start;
    // The trailer of a file of one member states its size, modulo 4 GiB; a hint, believed as far as the
    // ratio allows.
    let stated = bytes.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let stated = stated.min(bytes.len().saturating_mul(limits.inflate_ratio_max));
    let guess = if stated > bytes.len() { stated } else { bytes.len() * 4 };
    let mut size = guess.max(1 << 10).min(room);
    loop {
        make_room(out, start + size, limits);
        match inflater.gunzip(bytes, &mut out[start..]) {
            Ok(Some(inflated)) => return Ok(inflated),
            Ok(None) => {
                check_size(start + size + 1, bytes.len(), limits)?;
                size = (size * 2).min(room);
            }
            Err(Unreadable) => return Err(diagnose(bytes, room)),
        }
    }
}

/// Makes a buffer this long at least. It never takes more memory than the largest file: a `Vec` that
/// grows by itself would take up to twice that.
fn make_room(out: &mut Vec<u8>, length: usize, limits: ReadLimits) {
    if out.len() >= length {
        return;
    }
    if out.capacity() < length {
        let capacity = length.max((out.capacity() * 2).min(limits.file_bytes_max));
        out.reserve_exact(capacity - out.len());
    }
    out.resize(length, 0);
}

/// Says what is wrong with a member that libdeflate refused, before it came to `room` bytes.
fn diagnose(bytes: &[u8], room: usize) -> ReadError {
    match io::copy(&mut GzDecoder::new(bytes).take(room as u64), &mut io::sink()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ReadError::Cut { at: bytes.len() as u64 }
        }
        Err(error) => ReadError::Damaged { at: 0, reason: error.to_string() },
        Ok(_) => ReadError::Damaged { at: 0, reason: "libdeflate cannot read it".to_owned() },
    }
}

/// Appends what the frame at the start of `bytes` holds to `out`; returns what follows it.
fn zstd_frame<'b>(
    context: &mut DCtx<'static>,
    bytes: &'b [u8],
    input: Input<'_>,
    out: &mut Vec<u8>,
) -> Result<&'b [u8], ReadError> {
    let source = InSteps { rest: bytes, input };
    let mut decoder = zstd::stream::read::Decoder::with_context(source, context).single_frame();
    match read_bounded(&mut decoder, out, input.bytes.len(), input.limits) {
        Ok(()) => Ok(decoder.finish().rest),
        Err(_) if input.check_stop().is_err() => Err(ReadError::Stopped),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ReadError::Cut { at: bytes.len() as u64 })
        }
        Err(ReadError::Io(error)) => Err(ReadError::Damaged { at: 0, reason: error.to_string() }),
        Err(error) => Err(error),
    }
}

/// Bytes that a decompressor is given step by step, until ingest is to end.
struct InSteps<'b, 'i> {
    rest: &'b [u8],
    input: Input<'i>,
}

impl Read for InSteps<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for InSteps<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.check_stop().map_err(io::Error::other)?;
        Ok(&self.rest[..self.rest.len().min(STEP)])
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }
}

/// Appends what `source` gives to `out`, checking the bounds as it grows.
fn read_bounded(
    source: &mut impl Read,
    out: &mut Vec<u8>,
    compressed: usize,
    limits: ReadLimits,
) -> Result<(), ReadError> {
    loop {
        let read = source.take(STEP as u64).read_to_end(out)?;
        check_size(out.len(), compressed, limits)?;
        if read == 0 {
            return Ok(());
        }
    }
}

fn check_size(inflated: usize, compressed: usize, limits: ReadLimits) -> Result<(), ReadError> {
    if inflated > limits.file_bytes_max {
        return Err(ReadError::TooLarge { limit: limits.file_bytes_max });
    }
    let ratio = limits.inflate_ratio_max;
    if inflated > RATIO_FREE_BYTES && inflated > compressed.saturating_mul(ratio) {
        return Err(ReadError::Bomb { ratio });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
