//! The committer: the one thread that owns the store. It commits the segments that the workers built,
//! and swaps in those that the merger made.
//!
//! Every segment is committed as soon as it comes, with all others that came meanwhile; when to finish
//! a segment was the worker's decision.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, never, select};

use super::progress::Progress;
use crate::index::IndexError;
use crate::index::build::{BuiltSegment, SegmentEntry};
use crate::index::store::{MergeJob, Store};

/// See the module's documentation.
pub struct Committer {
    pub store: Store,
    pub progress: Arc<Progress>,
    pub built: Receiver<BuiltSegment>,
    /// Whether to merge what can be merged before ending; else a merge under way is given up.
    pub merge_at_end: bool,
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
        let mut is_merging = false;
        let mut is_ending = false;
        loop {
            select! {
                recv(built) -> segment => match segment {
                    Ok(segment) => self.commit(segment)?,
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
            }
            if !is_merging && (!is_ending || self.merge_at_end) {
                is_merging = self.start_merge(jobs);
            }
            if is_ending && !(is_merging && self.merge_at_end) {
                return Ok(());
            }
        }
    }

    fn commit(&mut self, first: BuiltSegment) -> Result<(), IndexError> {
        let mut segments = vec![first];
        segments.extend(self.built.try_iter());
        let keys: VecDeque<_> = segments
            .iter()
            .flat_map(|segment| &segment.files)
            .map(|file| file.key.clone())
            .collect();
        let started = Instant::now();
        self.store.commit(segments)?;
        tracing::debug!(files = keys.len(), took = ?started.elapsed(), "committed");
        self.progress.committed(keys.into_iter());
        Ok(())
    }

    fn start_merge(&self, jobs: &Sender<MergeJob>) -> bool {
        match self.store.merge_candidates() {
            Some(job) => jobs.send(job).is_ok(),
            None => false,
        }
    }

    /// A merge that fails means a damaged segment or disk: ingest stops, searches go on.
    fn install(&mut self, merge: Merged) -> Result<(), IndexError> {
        match merge.result {
            Ok(segment) => self.store.install_merge(&merge.inputs, &segment),
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
        let result = job.run();
        tracing::debug!(segments = job.inputs.len(), took = ?started.elapsed(), "merged");
        if results.send(Merged { inputs: job.inputs, result }).is_err() {
            return;
        }
    }
}
