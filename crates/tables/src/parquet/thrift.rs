//! Thrift's compact form, as far as Parquet's pages need it. It also looks through a footer before a
//! library reads it, which takes the lengths and the nesting that a file states for what they are.

use crate::limits::{FOOTER_STRUCTS_MAX, NESTING_MAX, SCHEMA_ELEMENTS_MAX};

/// Structures within structures. Parquet's own have seven.
const DEPTH_MAX: u32 = 24;

// Types of values.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// A reader of bytes. Each method is None where the bytes end, or are none of Thrift's.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    structs: usize,
}

/// A field of a structure.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) id: i16,
    kind: u8,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, structs: 0 }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The next field of a structure; None within where it ends.
    #[expect(clippy::option_option, reason = "what cannot be read is no end")]
    pub(super) fn member(&mut self, last: &mut i16) -> Option<Option<Member>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        let step = i16::from(byte >> 4);
        let id = match step {
            0 => i16::try_from(self.signed()?).ok()?,
            step => last.checked_add(step)?,
        };
        *last = id;
        Some(Some(Member { id, kind: byte & 0x0F }))
    }

    pub(super) fn number(&mut self, member: Member) -> Option<i64> {
        match member.kind {
            I16 | I32 | I64 => self.signed(),
            _ => None,
        }
    }

    pub(super) fn truth(member: Member) -> Option<bool> {
        match member.kind {
            TRUE => Some(true),
            FALSE => Some(false),
            _ => None,
        }
    }

    /// Calls `visit` with each field of a structure; it returns None where it cannot read it.
    pub(super) fn members(
        &mut self,
        mut visit: impl FnMut(&mut Self, Member) -> Option<()>,
    ) -> Option<()> {
        let mut last = 0;
        while let Some(member) = self.member(&mut last)? {
            visit(self, member)?;
        }
        Some(())
    }

    pub(super) fn group(
        &mut self,
        member: Member,
        visit: impl FnMut(&mut Self, Member) -> Option<()>,
    ) -> Option<()> {
        if member.kind == STRUCT { self.members(visit) } else { None }
    }

    pub(super) fn skip(&mut self, member: Member) -> Option<()> {
        self.skip_kind(member.kind, 0, false)
    }

    /// How many elements a list has, and of what kind. Each takes a byte at least.
    fn list(&mut self) -> Option<(usize, u8)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => usize::try_from(self.unsigned()?).ok()?,
            count => usize::from(count),
        };
        (count <= self.bytes.len() - self.at).then_some((count, byte & 0x0F))
    }

    fn skip_kind(&mut self, kind: u8, depth: u32, is_listed: bool) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            TRUE | FALSE if is_listed => self.byte().map(|_| ()),
            TRUE | FALSE => Some(()),
            BYTE => self.byte().map(|_| ()),
            I16 | I32 | I64 => self.unsigned().map(|_| ()),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                self.pass(length)
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_kind(kind, depth + 1, true))
            }
            MAP => {
                let count = usize::try_from(self.unsigned()?).ok()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                if count > self.bytes.len() - self.at {
                    return None;
                }
                (0..count).try_for_each(|_| {
                    self.skip_kind(kinds >> 4, depth + 1, true)?;
                    self.skip_kind(kinds & 0x0F, depth + 1, true)
                })
            }
            STRUCT => {
                self.structs += 1;
                if self.structs > FOOTER_STRUCTS_MAX {
                    return None;
                }
                self.members(|thrift, member| thrift.skip_kind(member.kind, depth + 1, false))
            }
            _ => None,
        }
    }

    fn pass(&mut self, bytes: usize) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}

/// Whether a footer is what it should be, as far as whoever reads it relies on it: lists no longer than
/// the footer, a schema that is a tree, and nothing nested too deep.
pub(super) fn check_footer(footer: &[u8]) -> Result<(), &'static str> {
    const SCHEMA: i16 = 2;
    let mut thrift = Thrift::new(footer);
    let mut children = Vec::new();
    let read = thrift.members(|thrift, member| match (member.id, member.kind) {
        (SCHEMA, LIST) => {
            let (count, kind) = thrift.list()?;
            if kind != STRUCT || count > SCHEMA_ELEMENTS_MAX {
                return None;
            }
            for _ in 0..count {
                children.push(thrift.children()?);
            }
            Some(())
        }
        (_, kind) => thrift.skip_kind(kind, 0, false),
    });
    read.ok_or("its footer is damaged, or larger than any that is read")?;
    is_tree(&children).then_some(()).ok_or("its schema is damaged, or nested too deep")
}

impl Thrift<'_> {
    /// The number of children of an element of a schema.
    fn children(&mut self) -> Option<i64> {
        const CHILDREN: i16 = 5;
        let mut children = 0;
        self.members(|thrift, member| {
            if member.id == CHILDREN {
                children = thrift.number(member)?;
                return Some(());
            }
            thrift.skip_kind(member.kind, 0, false)
        })?;
        Some(children)
    }
}

/// Whether elements in the order of a schema, each with the number of its children, are one tree.
fn is_tree(children: &[i64]) -> bool {
    let mut open: Vec<i64> = vec![1];
    for count in children {
        while open.last() == Some(&0) {
            open.pop();
        }
        let Some(left) = open.last_mut() else { return false };
        *left -= 1;
        if *count < 0 || *count > children.len() as i64 || open.len() > NESTING_MAX {
            return false;
        }
        open.push(*count);
    }
    open.iter().all(|left| *left == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_one_tree_and_not_too_deep() {
        assert!(is_tree(&[2, 0, 1, 0]));
        assert!(is_tree(&[0]));
        for bad in [&[2, 0][..], &[1, 0, 0], &[], &[-1], &[1, 1_000_000_000]] {
            assert!(!is_tree(bad), "{bad:?}");
        }
        let mut deep = vec![1; 100];
        deep.push(0);
        assert!(!is_tree(&deep));
    }

    #[test]
    fn nothing_that_a_footer_states_is_longer_than_it() {
        // A list of 2^31 structs, in five bytes; a struct in a struct, and so on.
        assert!(check_footer(&[0x49, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0]).is_err());
        assert!(check_footer(&[0x4C].repeat(1_000)).is_err());
        assert!(check_footer(&[]).is_err());
    }
}
