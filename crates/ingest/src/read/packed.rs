//! Gzip data of several members, and gzip inside of gzip.

use super::{Content, GZIP, Input, ReadError, ReadLimits, gunzip};
use crate::inflate::Inflater;
use trail::flags::Flags;

/// What came of the members of gzip data. The fields are [`Content`]'s, but for the bytes' length.
pub(super) struct Members {
    pub(super) length: usize,
    pub(super) second_member: Option<usize>,
    pub(super) flags: Flags,
    pub(super) has_trailing_bytes: bool,
    pub(super) unread: Option<ReadError>,
}

/// Inflates a gzip file, and once more what is gzip inside of gzip. Both together take no more memory than
/// the largest file.
pub(super) fn gunzip_twice<'a>(
    inflater: &mut Inflater,
    input: Input<'_>,
    out: &'a mut Vec<u8>,
) -> Result<Content<'a>, ReadError> {
    let Input { bytes: file, limits, stopping, .. } = input;
    let mut members = gunzip(inflater, input, out)?;
    if out[..members.length].starts_with(GZIP) {
        let mut outer = std::mem::take(out);
        outer.truncate(members.length);
        outer.shrink_to_fit();
        let ratio = file.len().saturating_mul(limits.inflate_ratio_max) / outer.len();
        let limits = ReadLimits {
            file_bytes_max: limits.file_bytes_max - outer.len(),
            inflate_ratio_max: ratio.max(1),
        };
        let input = Input { bytes: &outer, length: outer.len() as u64, limits, stopping };
        let inner = gunzip(inflater, input, out);
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

/// What follows a member: white space is passed over before another, and at the end.
pub(super) fn after_space(rest: &[u8]) -> &[u8] {
    let member = rest.trim_ascii_start();
    if member.is_empty() || member.starts_with(GZIP) { member } else { rest }
}
