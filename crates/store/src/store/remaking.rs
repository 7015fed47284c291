//! Rebuilding an index of its own records, segment after segment.

use std::sync::Arc;

use super::Store;
use crate::remake::{ReadEvent, SizeLimits, remake};
use crate::snapshot::outdated;
use segment::IndexError;
use segment::stop::Stop;
use segment::view::SegmentView;

impl Store {
    /// Makes every segment anew of its own records. Each takes the old one's place in one commit, so
    /// that searches see every event all the time, and a crash leaves some of the old and some of the
    /// new. The ledger stays as it is. No merge and no rebuild is under way.
    ///
    /// Fails at the first segment that is damaged; those before it are made.
    pub fn remake(
        &mut self,
        limits: SizeLimits,
        read_event: &mut ReadEvent<'_>,
    ) -> Result<(), IndexError> {
        let segments: Vec<Arc<SegmentView>> = self.current.snapshot.load().segments.clone();
        let never = Stop::when(|| false);
        segments.iter().try_for_each(|segment| {
            self.remake_segment(segment, limits, read_event, &never)
                .inspect_err(|error| segment.mark_damaged(error))
        })
    }

    /// Makes one segment anew of its own records; fails, and leaves it as it is, once `stop` is due.
    pub fn remake_segment(
        &mut self,
        segment: &Arc<SegmentView>,
        limits: SizeLimits,
        read_event: &mut ReadEvent<'_>,
        stop: &Stop,
    ) -> Result<(), IndexError> {
        let made = remake(&self.files, &self.factory(), segment, limits, read_event, stop)?;
        self.replace(std::slice::from_ref(&segment.entry), &made)
    }

    /// The segments that an earlier version wrote, and that are whole. They are to be made anew before
    /// anything is read, merged or dropped.
    pub fn outdated(&self) -> Vec<Arc<SegmentView>> {
        outdated(&self.current.snapshot.load()).cloned().collect()
    }
}
