//! What is not kept: from when on events are, and which segments have to go, or to be written again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use crate::job::{Expiring, MergeJob};
use crate::manifest::Expired;
use segment::IndexError;
use segment::parts::SegmentEntry;
use segment::view::SegmentView;
use trail::time::Micros;

impl Store {
    /// What retention has dropped, and drops.
    pub(crate) fn expired(&self) -> Expired {
        self.current.manifest.expired
    }

    /// Does not keep events from before this any more. No effect while a rebuild is under way: it is
    /// compared with the index that was.
    pub fn expire(&mut self, before: Micros) -> Result<(), IndexError> {
        if self.old.is_some() || before <= self.expired().before {
            return Ok(());
        }
        tracing::info!(%before, "events from before are dropped");
        let mut manifest = self.current.next_manifest();
        manifest.expired.before = before;
        self.put(manifest)?;
        self.current.horizon.store(before.0, Ordering::Release);
        self.publish(&HashSet::new(), Vec::new());
        Ok(())
    }

    /// Removes the segments none of whose events are kept. No merge is under way.
    pub fn drop_expired(&mut self) -> Result<(), IndexError> {
        let before = self.expired().before;
        let snapshot = self.current.snapshot.load_full();
        let gone = snapshot.segments.iter().filter(|view| view.latest < before);
        let gone: Vec<SegmentEntry> = gone.map(|view| view.entry.clone()).collect();
        if gone.is_empty() { Ok(()) } else { self.replace(&gone, &[]) }
    }

    /// A segment some of whose events are kept no more, to be written again without them.
    pub fn expiry(&self) -> Option<MergeJob> {
        let before = self.expired().before;
        let snapshot = self.current.snapshot.load();
        let mut whole =
            snapshot.segments.iter().filter(|view| !view.is_damaged() && !view.keys.is_outdated());
        let segment = whole.find(|view| view.earliest < before)?;
        let expiring = Expiring { segment: Arc::clone(segment), before };
        Some(self.job(vec![segment.entry.clone()], Some(expiring)))
    }

    /// Bytes of the segments.
    pub fn segment_bytes(&self) -> u64 {
        let files = self.current.manifest.segments.iter().flat_map(|entry| &entry.files);
        files.map(|file| file.bytes).sum()
    }

    /// From when on the events have to be for the segments to be no larger than this, about.
    pub fn earliest_to_fit(&self, bytes: u64) -> Option<Micros> {
        let all = self.segment_bytes();
        if all <= bytes {
            return None;
        }
        let snapshot = self.current.snapshot.load();
        let (first, last) = snapshot.time_span()?;
        let wanted = (u128::from(snapshot.events()) * u128::from(bytes) / u128::from(all)) as u64;
        let kept_from = |start: i64| -> u64 {
            let kept = |view: &Arc<SegmentView>| -> u64 {
                let docs = view.docs_between(Micros(start), Micros(i64::MAX));
                docs.iter().map(|docs| u64::from(docs.end - docs.start)).sum()
            };
            snapshot.segments.iter().map(kept).sum()
        };
        let (mut low, mut high) = (first.0, last.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if kept_from(middle) <= wanted {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(Micros(low))
    }
}
