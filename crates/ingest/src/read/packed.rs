//! Compressed data of several members: of gzip, of zstd, of both; what lies between them; and gzip inside of
//! gzip.
//!
//! No tool writes anything between two members but white space and zstd's skippable frames. Where something
//! else lies there, or a member is damaged, the next member is looked for: what stands behind a gap is as
//! good evidence as what stands before it.

use std::io;

use memchr::memmem;
use zstd::zstd_safe::DCtx;

use super::{
    Content, GZIP, Input, ReadError, ReadLimits, ZSTD, check_size, gunzip_member, zstd_frame,
};
use crate::inflate::Inflater;
use crate::limits::{GAPS_MAX, MEMBERS_MAX};
use trail::flags::Flags;
use trail::split::is_log_envelope;

/// What a gzip member begins with behind a gap: deflate is the only method that there is.
const GZIP_DEFLATE: &[u8] = &[0x1F, 0x8B, 0x08];

/// What a skippable frame of zstd begins with, but for its first byte, which is 0x50 to 0x5F; its length follows.
const SKIPPABLE: &[u8] = &[0x2A, 0x4D, 0x18];
const SKIPPABLE_HEADER: usize = 8;

/// What came of the members of compressed data. The fields are [`Content`]'s, but for the bytes' length.
struct Members {
    length: usize,
    second_member: Option<usize>,
    flags: Flags,
    has_trailing_bytes: bool,
    unread: Option<ReadError>,
}

/// What compressed data goes on with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    /// A frame of so many bytes that says nothing.
    Skippable(usize),
}

/// Whether a file's bytes are compressed data.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    kind(bytes).is_some()
}

fn kind(bytes: &[u8]) -> Option<Kind> {
    if bytes.starts_with(GZIP) {
        return Some(Kind::Gzip);
    }
    if bytes.starts_with(ZSTD) {
        return Some(Kind::Zstd);
    }
    let header = bytes.first_chunk::<SKIPPABLE_HEADER>()?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let is_skippable = header[0] & 0xF0 == 0x50 && header[1..4] == *SKIPPABLE;
    is_skippable.then(|| Kind::Skippable(bytes.len().min(SKIPPABLE_HEADER + length)))
}

/// Inflates a file, and once more what is gzip inside of gzip. Both together take no more memory than the
/// largest file.
pub(super) fn unpack_twice<'a>(
    inflater: &mut Inflater,
    input: Input<'_>,
    out: &'a mut Vec<u8>,
) -> Result<Content<'a>, ReadError> {
    let Input { bytes: file, limits, stopping, .. } = input;
    let mut members = unpack(inflater, input, out)?;
    if file.starts_with(GZIP) && out[..members.length].starts_with(GZIP) {
        let mut outer = std::mem::take(out);
        outer.truncate(members.length);
        outer.shrink_to_fit();
        let ratio = file.len().saturating_mul(limits.inflate_ratio_max) / outer.len();
        let limits = ReadLimits {
            file_bytes_max: limits.file_bytes_max - outer.len(),
            inflate_ratio_max: ratio.max(1),
        };
        let input = Input { bytes: &outer, length: outer.len() as u64, limits, stopping };
        let inner = unpack(inflater, input, out);
        let inner = inner.map_err(|error| ReadError::Inner(Box::new(error)))?;
        if out[..inner.length].starts_with(GZIP) {
            return Err(ReadError::PackedThrice);
        }
        members = Members {
            length: inner.length,
            second_member: inner.second_member.or(members.second_member.map(|_| 0)),
            flags: inner.flags | Flags::GZIP_IN_GZIP,
            has_trailing_bytes: members.has_trailing_bytes || inner.has_trailing_bytes,
            unread: members.unread.or(inner.unread),
        };
    }
    let Members { length, second_member, flags, has_trailing_bytes, unread } = members;
    Ok(Content { bytes: &out[..length], second_member, flags, has_trailing_bytes, unread })
}

/// Inflates every member. One that cannot be read hides none before it or behind it.
fn unpack(
    inflater: &mut Inflater,
    input: Input<'_>,
    out: &mut Vec<u8>,
) -> Result<Members, ReadError> {
    let file = input.bytes;
    let mut unpacking = Unpacking::new(inflater, input, out);
    let mut at = 0;
    while let Some(next) = unpacking.next(at)? {
        at = next;
    }
    let Unpacking { length, mut second_member, are_logs, mut unread, has_gap, .. } = unpacking;
    let has_trailing_bytes = has_gap || at < file.len() || !input.is_whole();
    if matches!(unread, None | Some(ReadError::Behind { .. })) && !input.is_whole() {
        unread = Some(input.too_large());
    }
    let mut flags = Flags::default();
    if are_logs && !has_gap && second_member.take().is_some() {
        flags |= Flags::LOG_MEMBERS;
    }
    Ok(Members { length, second_member, flags, has_trailing_bytes, unread })
}

/// Compressed data, of which some members are inflated.
struct Unpacking<'u, 'i> {
    inflater: &'u mut Inflater,
    /// One for all frames: making one costs more than a small frame does.
    context: Option<DCtx<'static>>,
    input: Input<'i>,
    out: &'u mut Vec<u8>,
    /// Bytes of `out` that are inflated.
    length: usize,
    members: usize,
    second_member: Option<usize>,
    /// Whether all members are envelopes of CloudWatch Logs.
    are_logs: bool,
    /// Whether something else than members and white space was passed over, and how often.
    has_gap: bool,
    gaps: usize,
    unread: Option<ReadError>,
}

impl<'u, 'i> Unpacking<'u, 'i> {
    fn new(inflater: &'u mut Inflater, input: Input<'i>, out: &'u mut Vec<u8>) -> Self {
        Self {
            inflater,
            context: None,
            input,
            out,
            length: 0,
            members: 0,
            second_member: None,
            are_logs: true,
            has_gap: false,
            gaps: 0,
            unread: None,
        }
    }

    /// Inflates the member at `at`, or what is behind the gap there; returns where it ends. None at the end of
    /// what can be read, which is the end of the file, or `at`.
    fn next(&mut self, at: usize) -> Result<Option<usize>, ReadError> {
        self.input.check_stop()?;
        let file = self.input.bytes;
        let Some(kind) = kind(&file[at..]) else { return Ok(self.behind_gap(at)) };
        self.members += 1;
        if self.members > MEMBERS_MAX {
            self.unread = Some(ReadError::TooManyMembers { limit: MEMBERS_MAX });
            return Ok(None);
        }
        match self.member(at, kind) {
            Ok(end) => Ok(Some(end + space(&file[end..]))),
            Err(ReadError::Stopped) => Err(ReadError::Stopped),
            Err(error) => {
                let error = self.input.error_of_member(at, error);
                if at == 0 {
                    return Err(error);
                }
                let can_go_on = matches!(error, ReadError::Cut { .. } | ReadError::Damaged { .. });
                self.unread.get_or_insert(error);
                Ok(if can_go_on { self.behind_gap(at) } else { None })
            }
        }
    }

    /// Where a member begins behind `at`, where none can be read.
    fn behind_gap(&mut self, at: usize) -> Option<usize> {
        let rest = &self.input.bytes[at..];
        if rest.is_empty() {
            return None;
        }
        self.unread.get_or_insert(ReadError::Behind { at: at as u64 });
        self.gaps += 1;
        if self.gaps > GAPS_MAX {
            return None;
        }
        let behind = rest.get(1..).unwrap_or_default();
        let found = [GZIP_DEFLATE, ZSTD].map(|magic| memmem::find(behind, magic));
        let found = found.into_iter().flatten().min()?;
        self.has_gap = true;
        Some(at + 1 + found)
    }

    /// Inflates the member at `at`, and returns where it ends.
    fn member(&mut self, at: usize, kind: Kind) -> Result<usize, ReadError> {
        let Input { bytes: file, limits, .. } = self.input;
        let (rest, start) = (&file[at..], self.length);
        let read = match kind {
            Kind::Skippable(length) => length,
            Kind::Gzip => {
                let member = gunzip_member(self.inflater, rest, self.out, start, limits)?;
                check_size(start + member.written, file.len(), limits)?;
                self.length += member.written;
                member.read
            }
            Kind::Zstd => {
                self.out.truncate(start);
                let context = match &mut self.context {
                    Some(context) => context,
                    none => none.insert(
                        DCtx::try_create()
                            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?,
                    ),
                };
                let after = zstd_frame(context, rest, self.input, self.out)?;
                self.length = self.out.len();
                rest.len() - after.len()
            }
        };
        // Several frames are nothing odd: tools that use several cores write them.
        let is_odd = kind == Kind::Gzip || file.starts_with(GZIP) || self.has_gap;
        if is_odd && at > 0 {
            if self.second_member.is_none() {
                self.second_member = Some(start);
                self.are_logs = is_log_envelope(&self.out[..start]);
            }
            self.are_logs &= is_log_envelope(&self.out[start..self.length]);
        }
        Ok(at + read)
    }
}

/// Bytes of white space before another member, or before the end.
fn space(rest: &[u8]) -> usize {
    let member = rest.trim_ascii_start();
    if member.is_empty() || kind(member).is_some() { rest.len() - member.len() } else { 0 }
}
