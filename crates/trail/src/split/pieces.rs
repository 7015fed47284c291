//! The pieces of a file, held or found again.

use super::{Context, Splitter};
use crate::flags::Flags;
use crate::limits::PIECES_HELD_MAX;
use crate::places::Places;
use crate::utf16::Utf16;

/// A piece of a file. Offsets count bytes from the beginning of what was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A record's bytes, from brace to brace.
    Record {
        /// Where its opening brace is.
        offset: usize,
        /// The record as delivered.
        bytes: &'a [u8],
        /// Whether it stood in a `Records` array; it then counts as a record whatever it contains.
        is_listed: bool,
        /// What it was wrapped in.
        flags: Flags,
    },
    /// A text that holds a record or an envelope, still escaped.
    Escaped {
        /// Where the string's content begins.
        offset: usize,
        /// What stands between the quotes.
        content: &'a [u8],
        /// What it was wrapped in.
        flags: Flags,
    },
    /// Bytes that are not a record.
    Broken {
        /// Where the fault is.
        offset: usize,
        /// What is wrong there, for a person.
        reason: &'static str,
    },
}

/// What splitting found out about the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// It is a CloudTrail digest file, which holds no records.
    pub is_digest: bool,
    /// It ends inside a record or a list: truncated, or not completely written yet.
    pub is_cut: bool,
}

/// Finds the pieces of a file, in order, until `sink` says that it takes no more. Also says whether an object
/// whose first member is a list was opened as an envelope, and a later key showed that it is a record, or
/// has another such list. Then its pieces are wrong, and the caller splits again with `is_careful`.
fn split<'a>(
    bytes: &'a [u8],
    is_careful: bool,
    sink: &mut impl FnMut(Piece<'a>) -> bool,
) -> (Outcome, bool) {
    let mut splitter = Splitter::new(bytes, sink);
    splitter.is_careful = is_careful;
    splitter.values(0, 0, Context::File);
    (splitter.outcome, splitter.is_mistaken)
}

/// The pieces of a file.
#[derive(Debug)]
pub struct Pieces<'a> {
    bytes: &'a [u8],
    /// The first of them: a file of nothing but braces would hold twenty times its size in pieces.
    pub(super) held: Vec<Piece<'a>>,
    count: usize,
    is_careful: bool,
    /// Where the text began in a file that was UTF-16.
    utf16: Option<usize>,
    /// What splitting found out about the file as a whole.
    pub outcome: Outcome,
}

impl<'a> Pieces<'a> {
    /// Splits a file's uncompressed bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        let (pieces, is_mistaken) = Self::split(bytes, false);
        if is_mistaken { Self::split(bytes, true).0 } else { pieces }
    }

    fn split(bytes: &'a [u8], is_careful: bool) -> (Self, bool) {
        let (mut held, mut count) = (Vec::new(), 0);
        let (outcome, is_mistaken) = split(bytes, is_careful, &mut |piece| {
            count += 1;
            if held.len() < PIECES_HELD_MAX {
                held.push(piece);
            }
            true
        });
        (Self { bytes, held, count, is_careful, utf16: None, outcome }, is_mistaken)
    }

    /// Splits a file that was UTF-16. Places count bytes of the file as it was.
    pub fn of_utf16(file: &'a Utf16) -> Self {
        Self { utf16: Some(file.start), ..Self::of(file.text.as_bytes()) }
    }

    pub(crate) fn places(&self) -> Places<'a> {
        self.utf16.map_or_else(Places::as_is, |start| Places::utf16(self.bytes, start))
    }

    /// Whether the file has neither a record nor broken bytes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Calls `visit` with each, in order, until it returns false. Where not all are held, the file is split
    /// again.
    pub(crate) fn each(&self, mut visit: impl FnMut(Piece<'a>) -> bool) {
        if self.count == self.held.len() {
            let _ = self.held.iter().all(|piece| visit(*piece));
        } else {
            split(self.bytes, self.is_careful, &mut visit);
        }
    }
}

/// Splits a file and returns all its pieces at once.
pub fn collect(bytes: &[u8]) -> (Vec<Piece<'_>>, Outcome) {
    let pieces = Pieces::of(bytes);
    let mut all = Vec::with_capacity(pieces.count);
    pieces.each(|piece| {
        all.push(piece);
        true
    });
    (all, pieces.outcome)
}
