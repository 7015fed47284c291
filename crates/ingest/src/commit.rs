//! The committer: the one thread that owns the store. It commits the segments that workers built, a
//! batch at a time and in the order of the batches, and installs those that the merge thread made.
//!
//! Before anything else, it makes the segments anew that an earlier version wrote. Then it commits a
//! batch as soon as its last segment arrives. The workers decide when to finish a segment. An error that
//! it cannot handle ends ingest with a fault; searches go on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};

use super::batch;
use super::clock::Clock;
use crate::again::read_again;
use crate::batch::Batch;
use crate::desk::{Building, Desks};
use crate::handover::TakenBack;
use crate::progress::{IngestFault, Progress, spent};
use crate::work::Built;
use segment::IndexError;
use segment::build::BuiltSegment;
use segment::parts::SegmentEntry;
use segment::steps::step;
use segment::stop::Stop;
use segment::view::SegmentView;
use store::attempts::Work;
use store::job::MergeJob;
use store::remake::SizeLimits;
use store::store::Store;
use trail::parse::Parser;
use trail::time::Micros;

/// See the module's documentation.
pub(crate) struct Committer {
    pub(crate) store: Store,
    pub(crate) progress: Arc<Progress>,
    pub(crate) built: Receiver<Built>,
    pub(crate) desks: Arc<Desks>,
    /// Files of batches that were given up.
    pub(crate) give_back: Sender<TakenBack>,
    /// Whether to merge what can be merged before ending; else a merge under way is given up.
    pub(crate) merge_at_end: bool,
    /// Bytes of free space below which ingest stops, before searches and other programs have none.
    pub(crate) free_bytes_min: u64,
    pub(crate) retention: Retention,
    pub(crate) clock: Clock,
    /// Bounds on the segments that are made anew.
    pub(crate) limits: SizeLimits,
    /// Dropped once no segment is of an earlier version: before that, nobody can tell whether an event
    /// is new.
    pub(crate) is_outdated: Option<Sender<Infallible>>,
}

/// Batches that are not complete, or wait for one before them.
struct Queue {
    batches: BTreeMap<u64, Gathered>,
    /// The number of the batch to be committed next.
    next: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { batches: BTreeMap::new(), next: batch::FIRST }
    }
}

impl Queue {
    fn put(&mut self, Built { batch, segments }: Built) {
        let number = batch.number;
        let new = || Gathered { batch, members: 0, segments: Vec::new() };
        let gathered = self.batches.entry(number).or_insert_with(new);
        gathered.members += 1;
        gathered.segments.extend(segments);
    }

    /// The next batch, once all of it is there. A later one counts duplicates of its events, so that
    /// one must wait, even where nothing of this one has come yet.
    fn take(&mut self) -> Option<Gathered> {
        let first = self.batches.first_entry()?;
        let Gathered { batch, members, .. } = first.get();
        if batch.number != self.next || *members != batch.members() {
            return None;
        }
        self.next += 1;
        Some(first.remove())
    }
}

/// The segments of a batch that are there, and of how many members they are.
struct Gathered {
    batch: Arc<Batch>,
    members: usize,
    segments: Vec<BuiltSegment>,
}

/// The limits on age and size of the index. Without limits, all events are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Keep the events of today (UTC) and of this many days before; None is no limit.
    pub age_days_max: Option<u32>,
    /// Keep the latest events that fit this many bytes of segment files; None is no limit.
    pub bytes_max: Option<u64>,
}

/// When the index is too large, it is made this much smaller than it may be, in percent: not a little
/// each time a segment comes.
const SPARE_PERCENT: u64 = 5;

/// How often time is looked at where nothing else happens.
const RETENTION_TICK: Duration = Duration::from_secs(60);

/// How often workers are looked at that wait for a file.
const DESKS_TICK: Duration = Duration::from_millis(250);

/// A worker that has waited for a file for longer is late: its segment is committed without it. The
/// largest file comes from a disk in a second.
const LATE: Duration = Duration::from_secs(5);

/// The same when ingest ends.
pub(crate) const LATE_AT_END: Duration = Duration::from_secs(1);

/// A file that is waited for as long is told of.
const LATE_TOLD: Duration = Duration::from_secs(30);

/// A drop of more than this part of the events by age waits for the clock.
const DROP_PART: u64 = 10;

const DAY_US: i64 = 86_400_000_000;

impl Retention {
    /// What the segments may take, where they take more.
    fn bytes_to_fit(self, store: &Store) -> Option<u64> {
        let max = self.bytes_max.filter(|max| store.segment_bytes() > *max)?;
        Some(max / 100 * (100 - SPARE_PERCENT))
    }

    /// Returns the start of the UTC day from which the age limit keeps events; None where age is
    /// unlimited.
    pub fn kept_from_by_age(self, now: Micros) -> Option<Micros> {
        let from = |days| Micros((now.0.div_euclid(DAY_US) - i64::from(days)) * DAY_US);
        self.age_days_max.map(from)
    }
}

/// A merge that ended.
struct Merged {
    inputs: Vec<SegmentEntry>,
    result: Result<SegmentEntry, IndexError>,
}

impl Committer {
    /// Runs until the workers are gone and everything they built is committed.
    pub(crate) fn run(mut self) -> Store {
        match self.bring_up_to_date() {
            Ok(()) => self.is_outdated = None,
            Err(IndexError::Stopped) => return self.store,
            Err(error) => {
                let what = "cannot make the segments of an earlier version anew";
                self.progress.fail(IngestFault::of_index(what, &error));
                return self.store;
            }
        }
        let (jobs, job_queue) = bounded(1);
        let (results, merged) = bounded(1);
        let progress = Arc::clone(&self.progress);
        let merger = std::thread::spawn(move || run_merges(&job_queue, &results, &progress));
        if let Err(error) = self.serve(&jobs, &merged) {
            self.progress.fail(IngestFault::of_index("cannot commit", &error));
        }
        self.store.attempts().end_all();
        drop(jobs);
        // A merge that nobody waits for ends with the process; its files are orphans at the next start.
        if self.merge_at_end && merger.join().is_err() {
            tracing::error!("the merge thread panicked");
        }
        self.store
    }

    /// Makes the segments that an earlier version wrote anew of their own records. Searches go on; the
    /// workers wait. One that is found damaged stays as it is.
    fn bring_up_to_date(&mut self) -> Result<(), IndexError> {
        let outdated = self.store.outdated();
        let mut left = events_of(&outdated);
        if left > 0 {
            tracing::warn!(
                events = left,
                "an earlier version made the index: it is made anew of its records; new files wait"
            );
        }
        let mut read_event = read_again();
        let progress = Arc::clone(&self.progress);
        let stop = Stop::when(move || progress.is_stopping());
        for segment in outdated {
            self.progress.set_outdated(left);
            step("outdated-segment-found");
            let bytes: u64 = segment.entry.files.iter().map(|file| file.bytes).sum();
            if bytes > self.room()? {
                return Err(self.no_room(bytes)?);
            }
            let made = self.store.remake_segment(&segment, self.limits, &mut *read_event, &stop);
            match made {
                Err(error)
                    if self.store.mark_damaged(std::slice::from_ref(&segment.entry), &error) => {}
                made => made?,
            }
            left -= u64::from(segment.events());
        }
        self.progress.set_outdated(0);
        Ok(())
    }

    fn serve(
        &mut self,
        jobs: &Sender<MergeJob>,
        merged: &Receiver<Merged>,
    ) -> Result<(), IndexError> {
        let mut built = self.built.clone();
        let mut queue = Queue::default();
        let mut is_merging = self.start_work(jobs)?;
        let mut is_ending = false;
        let ticks = tick(RETENTION_TICK);
        let mut desk_ticks = tick(DESKS_TICK);
        loop {
            self.clock.look();
            select! {
                recv(ticks) -> _ => {}
                recv(desk_ticks) -> _ => {
                    if !self.look_at_desks(&mut queue)? {
                        continue;
                    }
                    is_ending = true;
                    built = never();
                }
                recv(built) -> segment => match segment {
                    Ok(segment) => self.gather(segment, &mut queue)?,
                    Err(_) => {
                        is_ending = true;
                        built = never();
                    }
                },
                recv(merged) -> merge => {
                    is_merging = false;
                    self.store.attempts().end(Work::Merge);
                    match merge {
                        Ok(merge) => self.install(merge)?,
                        Err(_) => return Ok(()),
                    }
                }
            }
            if is_ending {
                desk_ticks = never();
            }
            if !is_merging && (!is_ending || self.merge_at_end) {
                is_merging = self.start_work(jobs)?;
            }
            if is_ending && !(is_merging && self.merge_at_end) {
                return Ok(());
            }
        }
    }

    /// Takes the segments of workers that are late; returns whether ingest ends, and nobody is at work.
    fn look_at_desks(&mut self, queue: &mut Queue) -> Result<bool, IndexError> {
        let is_stopping = self.progress.is_stopping();
        let late = if is_stopping { LATE_AT_END } else { LATE };
        for Building { segments, membership, .. } in self.desks.take_late(late) {
            let batch = membership.close();
            self.gather(Built { batch, segments: segments.finish()? }, queue)?;
        }
        self.progress.set_late(self.desks.waited_for(LATE_TOLD));
        if !is_stopping || !self.desks.is_nobody_at_work(late) {
            return Ok(false);
        }
        // What they sent before they left, or began to wait.
        while let Ok(segment) = self.built.try_recv() {
            self.gather(segment, queue)?;
        }
        Ok(true)
    }

    /// Takes in a segment, and commits what is complete.
    fn gather(&mut self, built: Built, queue: &mut Queue) -> Result<(), IndexError> {
        queue.put(built);
        while let Some(Gathered { batch, segments, .. }) = queue.take() {
            if batch.is_given_up() {
                self.give_up(&segments);
            } else {
                self.commit(&batch, segments)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch, segments: Vec<BuiltSegment>) -> Result<(), IndexError> {
        let files = segments.iter().flat_map(|segment| &segment.files);
        let keys: Vec<_> = files.map(|file| file.key.clone()).collect();
        let started = Instant::now();
        if !keys.is_empty() {
            self.store.commit(segments)?;
            self.store.attempts().end(Work::Batch);
        }
        self.store.dedupe().release_through(batch.number);
        spent(&self.progress.counters.busy.committing, started);
        tracing::debug!(files = keys.len(), took = ?started.elapsed(), "committed");
        self.progress.committed(keys.into_iter());
        if self.room()? == 0 {
            return Err(self.no_room(0)?);
        }
        Ok(())
    }

    /// The error of a disk that has no room for so many bytes more.
    fn no_room(&self, bytes: u64) -> Result<IndexError, IndexError> {
        let (path, free) = (self.store.data_dir().to_owned(), self.store.free_bytes()?);
        Ok(IndexError::NoRoom { path, free, wanted: self.free_bytes_min + bytes })
    }

    /// Bytes that may be written before ingest has to stop.
    fn room(&self) -> Result<u64, IndexError> {
        Ok(self.store.free_bytes()?.saturating_sub(self.free_bytes_min))
    }

    /// Forgets a batch, whose claims are withdrawn already, and has its files read again.
    fn give_up(&self, segments: &[BuiltSegment]) {
        for segment in segments {
            self.store.discard(segment);
            for file in &segment.files {
                let _ = self.give_back.send(TakenBack::Unread(file.key.clone()));
            }
        }
    }

    /// Drops what is not kept any more, and starts what there is to do for the merge thread, if
    /// anything.
    fn start_work(&mut self, jobs: &Sender<MergeJob>) -> Result<bool, IndexError> {
        let now = Micros::now();
        let delivered = self.store.ledger().counts().delivered;
        let present = delivered.map_or(now, |delivered| delivered.min(now));
        let by_age = self.retention.kept_from_by_age(present);
        // A clock that was wrong has set it. Before anything goes because of it.
        if self.store.expired().before > now {
            self.store.take_back(by_age.unwrap_or(Micros(i64::MIN)))?;
        }
        // One thing at a time: what is left of the last horizon tells nothing of the index's size.
        if self.store.expiry()?.is_none() {
            self.move_horizon(present, by_age)?;
        }
        self.store.drop_expired()?;
        match self.store.expiry()? {
            Some(job) => Ok(jobs.send(job).is_ok()),
            None => self.start_merge(jobs),
        }
    }

    /// Moves the time from which on events are kept. It is never later than the present, nor than the
    /// newest file's delivery: a clock can be wrong, and so can the time of an event.
    fn move_horizon(&mut self, present: Micros, by_age: Option<Micros>) -> Result<(), IndexError> {
        let mut note = None;
        if let Some(bytes) = self.retention.bytes_to_fit(&self.store) {
            if let Some(read_before) = self.store.future_to_fit(bytes)? {
                return self.store.expire_future(read_before);
            }
            // What comes late would be dropped as it comes, if the last day were not kept.
            let day_ago = Micros(present.0 - DAY_US);
            if let Some(before) = self.store.earliest_to_fit(bytes)? {
                self.store.expire(before.min(day_ago))?;
                note = (before > day_ago).then(|| {
                    "the index is larger than retention.bytes_max: the events of the last day are kept"
                        .to_owned()
                });
            }
        }
        if let Some(before) = by_age.filter(|before| *before > self.store.expired().before) {
            // A drop of many is what a wrong clock causes.
            let (events, dropped) = self.store.events_before(before)?;
            if dropped.saturating_mul(DROP_PART) > events && !self.clock.is_trusted() {
                note = Some(format!(
                    "{dropped} of {events} events are older than retention.age_days_max keeps; they \
                     are dropped once the clock has run for an hour without a jump"
                ));
            } else {
                self.store.expire(before)?;
            }
        }
        self.progress.set_retention(note);
        Ok(())
    }

    /// A merge writes about as much as it reads, before that is removed. One that there is no room for
    /// is not begun, nor another in its place.
    fn start_merge(&self, jobs: &Sender<MergeJob>) -> Result<bool, IndexError> {
        match self.store.merge_candidates() {
            Some(job) if job.bytes() <= self.room()? => {
                self.store.attempts().begin(Work::Merge);
                Ok(jobs.send(job).is_ok())
            }
            _ => Ok(false),
        }
    }

    /// A merge that finds a segment damaged leaves it alone from then on; one that fails for another
    /// reason stops ingest, and searches go on.
    fn install(&mut self, merge: Merged) -> Result<(), IndexError> {
        match merge.result {
            Ok(segment) => self.store.replace(&merge.inputs, &[segment]),
            Err(error) if self.store.mark_damaged(&merge.inputs, &error) => Ok(()),
            // The next merge checks its inputs again.
            Err(IndexError::Cut) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "merging segments failed");
                Err(error)
            }
        }
    }
}

pub(crate) fn events_of(segments: &[Arc<SegmentView>]) -> u64 {
    segments.iter().map(|segment| u64::from(segment.events())).sum()
}

fn run_merges(jobs: &Receiver<MergeJob>, results: &Sender<Merged>, progress: &Progress) {
    let mut parser = Parser::default();
    let mut read_key = move |record: &[u8]| parser.key(record);
    for job in jobs {
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| job.run(&mut read_key)));
        let result = result.unwrap_or(Err(IndexError::Bug("merging panicked")));
        spent(&progress.counters.busy.merging, started);
        tracing::debug!(segments = job.inputs.len(), took = ?started.elapsed(), "merged");
        let inputs = job.inputs.clone();
        if let Err(unsent) = results.send(Merged { inputs, result }) {
            if let Ok(merged) = &unsent.into_inner().result {
                job.discard(merged);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;
    use crate::batch::{Batches, Membership};
    use segment::file::{FileKey, FileRecord};
    use segment::file::{FileState, Reading};
    use store::dedupe::Claim;
    use trail::content::ContentHash;
    use trail::flat::Event;
    use trail::time::Micros;

    /// A committer whose segments are built by hand.
    struct Desk {
        dir: tempfile::TempDir,
        committer: Committer,
        queue: Queue,
        batches: Arc<Batches>,
        given_back: Receiver<TakenBack>,
    }

    impl Desk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (give_back, given_back) = unbounded();
            let committer = Committer {
                store: Store::open(dir.path(), 1 << 20).unwrap(),
                progress: Progress::new(),
                built: never(),
                desks: Arc::new(Desks::new(0)),
                give_back,
                merge_at_end: false,
                free_bytes_min: 0,
                retention: Retention::default(),
                clock: Clock::default(),
                limits: SizeLimits { events_max: 1, bytes_max: 1 },
                is_outdated: None,
            };
            let batches = Batches::new(Arc::clone(committer.store.dedupe()));
            Self { dir, committer, queue: Queue::default(), batches, given_back }
        }

        /// Builds a segment of one file and one event, claimed.
        fn built(&self, membership: &Membership, number: u64) -> Built {
            let batch = Arc::clone(&membership.batch);
            let mut event = Event::default();
            event.content = ContentHash::of_bytes(&number.to_le_bytes());
            event.finish(Micros(1));
            let store = &self.committer.store;
            let claim = store.dedupe().claim(event.key(), batch.number).unwrap();
            assert_eq!(claim, Claim::New);
            let mut builder = store.factory().builder().unwrap();
            builder.add(&event);
            let key = FileKey { path: number.to_string(), ..FileKey::default() };
            let reading = Reading { records: 1, ..Reading::default() };
            builder.end_file(FileRecord::new(number, key, FileState::Indexed, reading));
            Built { batch, segments: vec![builder.finish().unwrap()] }
        }

        fn gather(&mut self, built: Built) {
            self.committer.gather(built, &mut self.queue).unwrap();
        }

        /// Events in the index, files in the ledger, and claims that are not committed.
        fn check(&self, events: u64, files: u64, claims: usize) {
            let store = &self.committer.store;
            assert_eq!(store.snapshots().load().events(), events);
            assert_eq!(store.ledger().counts().files.indexed, files);
            assert_eq!(store.dedupe().claims(), claims);
        }
    }

    #[test]
    fn a_batch_is_committed_when_its_last_segment_is_there_and_after_those_before_it() {
        let mut desk = Desk::new();
        let (a, b) = (desk.batches.join(), desk.batches.join());
        let (first, second) = (desk.built(&a, 0), desk.built(&b, 1));
        drop(a);
        desk.gather(first);
        desk.check(0, 0, 2);
        drop(b);
        let c = desk.batches.join();
        let third = desk.built(&c, 2);
        drop(c);
        desk.gather(third);
        desk.check(0, 0, 3);
        desk.gather(second);
        desk.check(3, 3, 0);
        assert!(desk.given_back.is_empty());
    }

    /// A worker that had no segment reads a file into the next batch while the only member of this one
    /// is still writing its segment to disk.
    #[test]
    fn a_batch_is_not_committed_before_one_of_which_nothing_has_come_yet() {
        let mut desk = Desk::new();
        let a = desk.batches.join();
        let first = desk.built(&a, 0);
        drop(a);
        let b = desk.batches.join();
        let second = desk.built(&b, 1);
        drop(b);
        desk.gather(second);
        desk.check(0, 0, 2);
        desk.gather(first);
        desk.check(2, 2, 0);
    }

    #[test]
    fn a_batch_that_was_given_up_leaves_nothing_and_has_its_files_read_again() {
        let mut desk = Desk::new();
        let (a, b) = (desk.batches.join(), desk.batches.join());
        let (first, second) = (desk.built(&a, 0), desk.built(&b, 1));
        drop(a);
        desk.gather(first);
        b.give_up();
        desk.gather(second);
        desk.check(0, 0, 0);
        let back: Vec<_> = desk.given_back.try_iter().collect();
        let is_unread = |file: &TakenBack| matches!(file, TakenBack::Unread(_));
        assert!(back.len() == 2 && back.iter().all(is_unread), "{back:?}");
        let segments = desk.dir.path().join("segments");
        assert_eq!(std::fs::read_dir(segments).unwrap().count(), 0);

        let c = desk.batches.join();
        let again = desk.built(&c, 2);
        drop(c);
        desk.gather(again);
        desk.check(1, 1, 0);
    }
}
