//! The committer: the one thread that owns the store. It commits the segments that the workers built,
//! a batch at a time and in the order of the batches, and swaps in those that the merger made.
//!
//! A batch is committed as soon as its last segment is there; when to finish a segment was the workers'
//! decision.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};

use super::batch::Batch;
use super::progress::Progress;
use super::scan::TakenBack;
use super::work::Built;
use crate::index::IndexError;
use crate::index::build::{BuiltSegment, SegmentEntry};
use crate::index::store::{MergeJob, Store};

/// How often a rebuild that has nothing to do is asked whether it has caught up.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

/// See the module's documentation.
pub struct Committer {
    pub store: Store,
    pub progress: Arc<Progress>,
    pub built: Receiver<Built>,
    /// Files of batches that were given up.
    pub give_back: Sender<TakenBack>,
    /// Whether to merge what can be merged before ending; else a merge under way is given up.
    pub merge_at_end: bool,
}

/// The segments of a batch that are there.
struct Gathered {
    batch: Arc<Batch>,
    segments: Vec<BuiltSegment>,
}

/// A merge that ended.
struct Merged {
    inputs: Vec<SegmentEntry>,
    result: Result<SegmentEntry, IndexError>,
}

impl Committer {
    /// Runs until the workers are gone and everything they built is committed.
    pub fn run(mut self) -> Store {
        let (jobs, job_queue) = bounded(1);
        let (results, merged) = bounded(1);
        let merger = std::thread::spawn(move || run_merges(&job_queue, &results));
        if let Err(error) = self.serve(&jobs, &merged) {
            self.progress.fail(format!("cannot commit: {error}"));
        }
        drop(jobs);
        // A merge that nobody waits for ends with the process; its files are orphans at the next start.
        if self.merge_at_end && merger.join().is_err() {
            tracing::error!("the merge thread panicked");
        }
        self.store
    }

    fn serve(
        &mut self,
        jobs: &Sender<MergeJob>,
        merged: &Receiver<Merged>,
    ) -> Result<(), IndexError> {
        let mut built = self.built.clone();
        let mut batches = BTreeMap::new();
        let mut is_merging = false;
        let mut is_ending = false;
        loop {
            let pause =
                if self.store.is_rebuild() { CATCH_UP_PAUSE } else { Duration::from_secs(3_600) };
            select! {
                recv(built) -> segment => match segment {
                    Ok(segment) => self.gather(segment, &mut batches)?,
                    Err(_) => {
                        is_ending = true;
                        built = never();
                    }
                },
                recv(merged) -> merge => {
                    is_merging = false;
                    match merge {
                        Ok(merge) => self.install(merge)?,
                        Err(_) => return Ok(()),
                    }
                }
                default(pause) => {}
            }
            if self.store.is_rebuild() && self.progress.is_caught_up() {
                self.store.promote()?;
                self.progress.is_rebuild.store(false, Ordering::Release);
                tracing::info!("the rebuilt index has taken the place of the old one");
            }
            if !is_merging && (!is_ending || self.merge_at_end) {
                is_merging = self.start_merge(jobs);
            }
            if is_ending && !(is_merging && self.merge_at_end) {
                return Ok(());
            }
        }
    }

    /// Takes in a segment, and commits what is complete.
    fn gather(
        &mut self,
        built: Built,
        batches: &mut BTreeMap<u64, Gathered>,
    ) -> Result<(), IndexError> {
        let Built { batch, segment } = built;
        let gathered =
            batches.entry(batch.number).or_insert_with(|| Gathered { batch, segments: Vec::new() });
        gathered.segments.push(segment);
        let is_complete = |first: &Gathered| first.segments.len() == first.batch.members();
        // A later batch counts duplicates of an earlier one's events.
        while let Some(first) = batches.first_entry().filter(|first| is_complete(first.get())) {
            let Gathered { batch, segments } = first.remove();
            if batch.is_given_up() {
                self.give_up(&batch, &segments);
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
        }
        self.store.dedupe().release_through(batch.number);
        tracing::debug!(files = keys.len(), took = ?started.elapsed(), "committed");
        self.progress.committed(keys.into_iter());
        Ok(())
    }

    /// Forgets a batch, and has its files read again.
    fn give_up(&self, batch: &Batch, segments: &[BuiltSegment]) {
        self.store.dedupe().withdraw(batch.number);
        for segment in segments {
            self.store.discard(segment);
            for file in &segment.files {
                let _ = self.give_back.send(TakenBack::Unread(file.key.clone()));
            }
        }
    }

    fn start_merge(&self, jobs: &Sender<MergeJob>) -> bool {
        match self.store.merge_candidates() {
            Some(job) => jobs.send(job).is_ok(),
            None => false,
        }
    }

    /// A merge that finds a segment damaged leaves it alone from then on; one that fails for another
    /// reason stops ingest, and searches go on.
    fn install(&mut self, merge: Merged) -> Result<(), IndexError> {
        match merge.result {
            Ok(segment) => self.store.install_merge(&merge.inputs, &segment),
            Err(error) if self.store.mark_damaged(&merge.inputs, &error) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "merging segments failed");
                Err(error)
            }
        }
    }
}

fn run_merges(jobs: &Receiver<MergeJob>, results: &Sender<Merged>) {
    for job in jobs {
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| job.run()));
        let result = result.unwrap_or(Err(IndexError::Bug("merging panicked")));
        tracing::debug!(segments = job.inputs.len(), took = ?started.elapsed(), "merged");
        if results.send(Merged { inputs: job.inputs, result }).is_err() {
            return;
        }
    }
}
