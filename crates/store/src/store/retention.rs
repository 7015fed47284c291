//! What is not kept: from when on events are, and which segments have to go, or to be written again.
//!
//! An event counts at its time. One that is later than its file was read counts at that time.
//! Otherwise it would never go, and somebody who writes such events could push all others out. Where
//! space is short, those go first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use crate::job::{Expiring, MergeJob};
use crate::manifest::Expired;
use segment::expire::Future;
use segment::parts::SegmentEntry;
use segment::view::SegmentView;
use segment::{IndexError, lock};
use trail::time::Micros;

/// The events of a segment that were later than the present when it was looked at first.
#[derive(Debug)]
pub(super) struct Futures {
    after: Micros,
    /// How many there are of each file, and when it was read.
    files: Vec<FutureFile>,
}

#[derive(Debug)]
struct FutureFile {
    number: u64,
    events: u64,
    read_at: Micros,
}

impl Futures {
    /// Those that count before this time.
    fn before(&self, time: Micros) -> impl Iterator<Item = &FutureFile> {
        self.files.iter().filter(move |file| file.read_at < time)
    }
}

impl Store {
    /// What retention has dropped, and drops.
    pub fn expired(&self) -> Expired {
        self.current.manifest.expired
    }

    /// Does not keep events from before this any more. No effect while a rebuild is under way: it is
    /// compared with the index that was.
    pub fn expire(&mut self, before: Micros) -> Result<(), IndexError> {
        if self.old.is_some() || before <= self.expired().before {
            return Ok(());
        }
        tracing::info!(%before, "events from before are dropped");
        self.move_horizon(Expired { before, ..self.expired() }.without_what_is_past())
    }

    /// Does not keep events any more that are later than their file was read, where that was before
    /// this time.
    pub fn expire_future(&mut self, before: Micros) -> Result<(), IndexError> {
        if self.old.is_some() || before <= self.expired().future_before {
            return Ok(());
        }
        tracing::warn!(
            %before,
            "events dated later than their file was read are dropped, of files read before this time: \
             the index is larger than retention.bytes_max"
        );
        self.move_horizon(Expired { future_before: before, ..self.expired() })
    }

    /// Keeps events from this time on again, because a wrong clock had set the time before. What was
    /// dropped is gone.
    pub fn take_back(&mut self, before: Micros) -> Result<(), IndexError> {
        let expired = self.expired();
        tracing::warn!(was = %expired.before, %before, "retention had gone beyond the present");
        self.move_horizon(Expired { before, taken_back: expired.reached(), ..expired })
    }

    fn move_horizon(&mut self, expired: Expired) -> Result<(), IndexError> {
        let mut manifest = self.current.next_manifest();
        manifest.expired = expired;
        self.put(manifest)?;
        self.current.horizon.store(expired.before.0, Ordering::Release);
        self.publish(&HashSet::new(), Vec::new());
        Ok(())
    }

    /// Removes the segments none of whose events are kept. No merge is under way.
    pub fn drop_expired(&mut self) -> Result<(), IndexError> {
        let before = self.expired().before;
        let snapshot = self.current.snapshot.load_full();
        let mut gone: Vec<SegmentEntry> = Vec::new();
        for view in &snapshot.segments {
            if self.may_expire(view, before)? && self.kept(view, before)? == 0 {
                gone.push(view.entry.clone());
            }
        }
        lock(&self.futures)
            .retain(|name, _| snapshot.segments.iter().any(|view| view.entry.id == *name));
        if gone.is_empty() { Ok(()) } else { self.replace(&gone, &[]) }
    }

    /// A segment some of whose events are kept no more, to be written again without them.
    pub fn expiry(&self) -> Result<Option<MergeJob>, IndexError> {
        let before = self.expired().before;
        let snapshot = self.current.snapshot.load();
        let whole =
            snapshot.segments.iter().filter(|view| !view.is_damaged() && !view.keys.is_outdated());
        for segment in whole {
            if !self.may_expire(segment, before)?
                || self.kept(segment, before)? == u64::from(segment.events())
            {
                continue;
            }
            let futures = self.futures(segment)?;
            let files =
                futures.before(self.future_before(before)).map(|file| file.number).collect();
            let future = Future { after: futures.after, files };
            let expiring = Expiring { segment: Arc::clone(segment), before, future };
            return Ok(Some(self.job(vec![segment.entry.clone()], Some(expiring))));
        }
        Ok(None)
    }

    /// Whether a look is worth it.
    fn may_expire(&self, view: &SegmentView, before: Micros) -> Result<bool, IndexError> {
        Ok(view.earliest < before
            || self.future_before(before) > Micros(i64::MIN)
                && self.futures(view)?.before(self.future_before(before)).next().is_some())
    }

    /// Files that were read before this have no events of the future any more, where others go from
    /// before `before`.
    fn future_before(&self, before: Micros) -> Micros {
        before.max(self.expired().future_before)
    }

    /// How many events of a segment count at this time or later.
    fn kept(&self, view: &SegmentView, start: Micros) -> Result<u64, IndexError> {
        let futures = self.futures(view)?;
        // Those of the future count when their files were read, which was before, and others are not
        // as late.
        if start > futures.after {
            return Ok(0);
        }
        let docs = view.docs_between(start, Micros(i64::MAX));
        let later: u64 = docs.iter().map(|docs| u64::from(docs.end - docs.start)).sum();
        Ok(later - futures.before(self.future_before(start)).map(|file| file.events).sum::<u64>())
    }

    /// The events of a segment that are later than the present.
    fn futures(&self, view: &SegmentView) -> Result<Arc<Futures>, IndexError> {
        let name = &view.entry.id;
        if let Some(known) = lock(&self.futures).get(name) {
            return Ok(Arc::clone(known));
        }
        let after = Micros::now();
        let mut events: BTreeMap<u64, u64> = BTreeMap::new();
        for docs in view.docs_between(Micros(after.0 + 1), Micros(i64::MAX)) {
            docs.for_each(|doc| *events.entry(view.file(doc)).or_default() += 1);
        }
        let mut files = Vec::with_capacity(events.len());
        for (number, events) in events {
            let record = self.ledger().get(number)?;
            let read_at = record.and_then(|record| record.reading.read_at).unwrap_or(after);
            // A clock that was behind has not made them so.
            files.push(FutureFile { number, events, read_at: read_at.min(after) });
        }
        let futures = Arc::new(Futures { after, files });
        lock(&self.futures).insert(name.clone(), Arc::clone(&futures));
        Ok(futures)
    }

    /// Bytes of the segments.
    pub fn segment_bytes(&self) -> u64 {
        let files = self.current.manifest.segments.iter().flat_map(|entry| &entry.files);
        files.map(|file| file.bytes).sum()
    }

    /// How many events there are, and how many of them count before a time.
    pub fn events_before(&self, time: Micros) -> Result<(u64, u64), IndexError> {
        let snapshot = self.current.snapshot.load();
        let mut kept = 0;
        for view in &snapshot.segments {
            kept += self.kept(view, time)?;
        }
        Ok((snapshot.events(), snapshot.events() - kept))
    }

    /// Up to when files were read whose events of the future have to go for the segments to be no larger
    /// than this, about; None where there are none, or nothing else.
    pub fn future_to_fit(&self, bytes: u64) -> Result<Option<Micros>, IndexError> {
        let all = self.segment_bytes();
        let snapshot = self.current.snapshot.load();
        let known = self.expired().future_before;
        let mut files: Vec<(Micros, u64)> = Vec::new();
        for view in &snapshot.segments {
            let futures = self.futures(view)?;
            let left = futures.files.iter().filter(|file| file.read_at >= known);
            files.extend(left.map(|file| (file.read_at, file.events)));
        }
        files.sort_unstable();
        let events = snapshot.events();
        let wanted = (u128::from(events) * u128::from(bytes) / u128::from(all.max(1))) as u64;
        if all <= bytes || files.iter().map(|(_, events)| events).sum::<u64>() == events {
            return Ok(None);
        }
        let mut left = events;
        let mut last = None;
        for (read_at, events) in files {
            if left > wanted {
                last = Some(Micros(read_at.0 + 1));
            }
            left -= events;
        }
        Ok(last)
    }

    /// From when on the events have to be for the segments to be no larger than this, about. Some
    /// events are: the last that count.
    pub fn earliest_to_fit(&self, bytes: u64) -> Result<Option<Micros>, IndexError> {
        let all = self.segment_bytes();
        if all <= bytes {
            return Ok(None);
        }
        let snapshot = self.current.snapshot.load();
        let Some((mut first, last)) = snapshot.time_span() else { return Ok(None) };
        for view in &snapshot.segments {
            let futures = self.futures(view)?;
            first = futures.files.iter().fold(first, |first, file| first.min(file.read_at));
        }
        let events = snapshot.events();
        let wanted = (u128::from(events) * u128::from(bytes) / u128::from(all)) as u64;
        let kept = |start: i64| -> Result<u64, IndexError> {
            let (events, before) = self.events_before(Micros(start))?;
            Ok(events - before)
        };
        // The first time from which on few enough count, and some do.
        let (mut low, mut high) = (first.0, last.0.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            if kept(middle)? <= wanted {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if kept(low)? == 0 {
            let (mut some, mut none) = (first.0 - 1, low);
            while none - some > 1 {
                let middle = some + (none - some) / 2;
                if kept(middle)? > 0 { some = middle } else { none = middle }
            }
            low = some;
        }
        Ok(Some(Micros(low)))
    }
}
