//! Rebuilding an index of its own records, segment after segment.

use std::sync::Arc;

use super::Store;
use crate::remake::{ReadEvent, SizeLimits, remake};
use segment::IndexError;
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
        let factory = self.factory();
        for segment in segments {
            let made = remake(&self.files, &factory, &segment, limits, read_event)
                .inspect_err(|error| segment.mark_damaged(error))?;
            self.replace(std::slice::from_ref(&segment.entry), &made)?;
        }
        Ok(())
    }
}
