//! The one visitor of a query's matches. Pages, rankings, tables and tails all use it.
//!
//! It walks matches a piece of a segment at a time, on all cores where all matches are visited. Its
//! user handles the matches of a piece and joins the results of the pieces. No answer may depend on
//! the order of the pieces.
//!
//! **No result is returned before the conditions were asked whether they failed.** A condition that
//! cannot read the segment reports its end, and `NOT` turns that into matches. [`Matches`] asks
//! after each walk, and there is no other way to the matches. It also polls the deadline, and notes
//! faults on the segment that was read.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use tantivy::query::{EnableScoring, Query, TermQuery, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId};

use crate::one_term::OneTerm;
use crate::pieces::{SegmentPiece, each_piece_of};
use segment::IndexError;
use segment::docsets::Docs;
use segment::stop::{STEPS, Stop};
use segment::view::SegmentView;
use store::snapshot::Snapshot;

/// Steps that a match counts as: its user does as much, and tells what it does beyond.
pub(crate) const MATCH_STEPS: usize = 256;

/// A planned query with its stop.
#[derive(Debug)]
pub(crate) struct Sought {
    pub(crate) query: Box<dyn Query>,
    /// The stop that the query's conditions share, in which they leave their errors.
    pub(crate) stop: Stop,
}

#[cfg(test)]
impl Sought {
    /// Where no condition fails.
    pub(crate) fn of(query: &dyn Query) -> Self {
        Self { query: query.box_clone(), stop: Stop::when(|| false) }
    }
}

/// Says why a search should end, if it should. Asked now and then.
pub(crate) type Check<'a, E> = &'a (dyn Fn() -> Result<(), E> + Sync);

/// The matches of a query in a snapshot.
pub(crate) struct Matches<'a, E> {
    pub(crate) snapshot: &'a Snapshot,
    weight: Box<dyn Weight>,
    stop: &'a Stop,
    check: Check<'a, E>,
}

/// Why a walk over matches ended.
pub(crate) enum Ended<E> {
    /// The search should end.
    Check(E),
    Failed(IndexError),
}

impl<E> From<IndexError> for Ended<E> {
    fn from(error: IndexError) -> Self {
        Self::Failed(error)
    }
}

impl<'a, E: From<IndexError> + Send> Matches<'a, E> {
    pub(crate) fn of(
        snapshot: &'a Snapshot,
        sought: &'a Sought,
        check: Check<'a, E>,
    ) -> Result<Self, E> {
        let Sought { query, stop } = sought;
        let weight: Box<dyn Weight> = match query.downcast_ref::<TermQuery>() {
            Some(query) => Box::new(OneTerm::look_up(snapshot, query.term())?),
            None => query
                .weight(EnableScoring::disabled_from_schema(snapshot.schema()))
                .map_err(|error| E::from(error.into()))?,
        };
        Ok(Self { snapshot, weight, stop, check })
    }

    /// The stop that the query's conditions share.
    pub(crate) fn stop(&self) -> &Stop {
        self.stop
    }

    /// Does the work on each piece of the snapshot, on all cores; returns what comes of each, in the
    /// order of segments and documents.
    pub(crate) fn each_piece<T: Send>(
        &self,
        work: impl Fn(MatchWalk<'_, E>) -> Result<T, Ended<E>> + Send + Sync,
    ) -> Result<Vec<T>, E> {
        self.each_piece_of(&self.snapshot.segments, work)
    }

    /// The same of these segments only.
    pub(crate) fn each_piece_of<T: Send>(
        &self,
        segments: &[Arc<SegmentView>],
        work: impl Fn(MatchWalk<'_, E>) -> Result<T, Ended<E>> + Send + Sync,
    ) -> Result<Vec<T>, E> {
        self.believed(each_piece_of(segments, |piece| self.in_piece(piece, &work)))
    }

    /// Does the work on a segment, here.
    pub(crate) fn in_segment<T>(
        &self,
        segment: &Arc<SegmentView>,
        work: impl FnOnce(MatchWalk<'_, E>) -> Result<T, Ended<E>>,
    ) -> Result<T, E> {
        let piece = SegmentPiece { segment, docs: 0..segment.events() };
        self.believed(self.in_piece(piece, work))
    }

    /// Does the work on some documents of a segment, here.
    pub(crate) fn in_docs<T>(
        &self,
        segment: &Arc<SegmentView>,
        docs: Range<DocId>,
        work: impl FnOnce(MatchWalk<'_, E>) -> Result<T, Ended<E>>,
    ) -> Result<T, E> {
        self.believed(self.in_piece(SegmentPiece { segment, docs }, work))
    }

    /// How many events of a segment match; the index may know without a look at them.
    pub(crate) fn count(&self, segment: &Arc<SegmentView>) -> Result<u64, E> {
        self.in_segment(segment, |walk| {
            let count = self.weight.count(&walk.piece.segment.reader).map_err(IndexError::from)?;
            Ok(count.into())
        })
    }

    fn in_piece<T>(
        &self,
        piece: SegmentPiece<'_>,
        work: impl FnOnce(MatchWalk<'_, E>) -> Result<T, Ended<E>>,
    ) -> Result<T, E> {
        (self.check)()?;
        let segment = piece.segment;
        segment.reading(|| match work(MatchWalk { piece, matches: self, done: Cell::new(0) }) {
            // The whole search ends, and tells which error was first.
            _ if self.stop.has_failed() => Ok(Err(IndexError::Stopped.into())),
            Err(Ended::Failed(error)) => Err(error),
            // No error of reading.
            Err(Ended::Check(error)) => Ok(Err(error)),
            Ok(done) => Ok(Ok(done)),
        })?
    }

    /// What was made of matches, unless a condition failed meanwhile.
    fn believed<T>(&self, done: Result<T, E>) -> Result<T, E> {
        match self.stop.failed() {
            Ok(()) => done,
            Err(IndexError::Stopped) => {
                (self.check)()?;
                Err(IndexError::Stopped.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The matches of a piece, to be walked.
pub(crate) struct MatchWalk<'w, E> {
    pub(crate) piece: SegmentPiece<'w>,
    matches: &'w Matches<'w, E>,
    /// Steps since the last look at the deadline.
    done: Cell<usize>,
}

impl<E> MatchWalk<'_, E> {
    /// Counts work, in steps of about a nanosecond, and looks now and then at the deadline.
    #[inline]
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Ended<E>> {
        let done = self.done.get().saturating_add(steps);
        self.done.set(if done < STEPS { done } else { 0 });
        if done < STEPS { Ok(()) } else { (self.matches.check)().map_err(Ended::Check) }
    }

    /// Calls `visit` with the piece's matches, in order, some at a time, until it breaks off.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(&[DocId]) -> Result<ControlFlow<()>, Ended<E>>,
    ) -> Result<(), Ended<E>> {
        let mut docs = self.from(self.piece.docs.start)?;
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let filled = docs.fill_buffer(&mut block);
            let found = block[..filled].partition_point(|doc| *doc < self.piece.docs.end);
            if found == 0 || visit(&block[..found])?.is_break() || found < filled {
                return Ok(());
            }
            self.spend(found * MATCH_STEPS)?;
        }
    }

    /// The matches of the piece's segment from a document on, for who does not want all; they go on
    /// behind the piece.
    pub(crate) fn from(&self, start: DocId) -> Result<Docs, IndexError> {
        let mut docs = self.matches.weight.scorer(&self.piece.segment.reader, 1.0)?;
        if docs.doc() < start {
            docs.seek(start);
        }
        Ok(docs)
    }
}

#[cfg(test)]
mod tests;
