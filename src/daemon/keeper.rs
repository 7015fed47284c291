//! Starts ingest again after a fault that may pass: a full disk that has room again, a read-only one
//! that can be written to, an error of the disk that does not come back.
//!
//! Searches go on meanwhile, on the last commit. What the pipeline that failed had begun is given up,
//! and its files are read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::daemon::pipeline::{Ground, Pipeline};
use ingest::progress::{IngestFault, add};
use segment::IndexError;
use store::store::Store;

/// The first pause before ingest is tried again; each one after is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest: a person who made room should not have to wait, nor restart.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A pipeline that ran as long as this has recovered: its next fault is a new one.
const RECOVERED: Duration = Duration::from_secs(300);

/// See the module's documentation.
pub(super) struct Keeper {
    pub pipeline: Arc<Pipeline>,
    /// Disconnects when the daemon stops.
    pub stopping: Receiver<Infallible>,
}

impl Keeper {
    /// Runs until the daemon stops.
    pub(super) fn run(self) {
        let mut pause = PAUSE_MIN;
        loop {
            let progress = self.pipeline.progress();
            let started = Instant::now();
            // Disconnects when this pipeline ends, for whatever reason.
            let _ = progress.stopping().recv();
            if started.elapsed() > RECOVERED {
                pause = PAUSE_MIN;
            }
            match progress.fault() {
                Some(fault) if fault.may_pass => match self.pipeline.take_failed(&progress) {
                    Some(store) => {
                        add(&progress.counters.pauses, 1);
                        if self.resume(store, &fault, &mut pause).is_none() {
                            return;
                        }
                    }
                    // A rebuild that was under way deals with it.
                    None if self.is_stopped(PAUSE_MIN) => return,
                    None => {}
                },
                // Another has taken its place, or will when somebody asks for a rebuild.
                _ if self.is_stopped(PAUSE_MIN) => return,
                _ => {}
            }
        }
    }

    /// Waits; true when the daemon stops meanwhile.
    fn is_stopped(&self, wait: Duration) -> bool {
        self.stopping.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }

    /// Starts ingest again as soon as it may work. None when the daemon stops before.
    fn resume(&self, mut store: Store, fault: &IngestFault, pause: &mut Duration) -> Option<()> {
        tracing::warn!(fault = fault.reason, "ingest is paused; searches go on");
        let mut reason = fault.reason.clone();
        let ground = loop {
            if self.is_stopped(*pause) {
                return None;
            }
            *pause = (*pause * 2).min(PAUSE_MAX);
            match self.pipeline.recover(&mut store) {
                Ok(ground) => break ground,
                Err(error) => {
                    let error = format!("{error:#}");
                    if error != reason {
                        tracing::warn!(%error, "ingest stays paused");
                        reason = error;
                    }
                }
            }
        };
        tracing::info!("ingest goes on");
        self.pipeline.begin_again(store, ground);
        Some(())
    }
}

impl Pipeline {
    /// What ingest needs to go on: an index as the last commit left it, room on the disk, and an archive.
    fn recover(&self, store: &mut Store) -> anyhow::Result<Ground> {
        store.recover()?;
        let free = store.free_bytes()?;
        let wanted = self.config().index.free_bytes_min as u64;
        // A little more than what stops it, or it would stop again at once.
        if free < wanted + wanted / 16 {
            return Err(
                IndexError::NoRoom { path: store.data_dir().to_owned(), free, wanted }.into()
            );
        }
        Ground::prepare(self.config())
    }
}
