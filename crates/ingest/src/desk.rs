//! What lies on a worker's desk: the segment that it builds, for as long as it waits for a file.
//!
//! Nothing bounds how long the disk under the archive takes to answer; on a network it may never. The
//! other segments of the batch would wait, and so would stopping. So a worker that reads a file, and looks
//! for the records in it, holds nothing: its segment, of whole files only, lies on the desk, and the commit thread takes it from
//! there when the worker is late. The file goes into another segment when it comes.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};

use crate::batch::Membership;
use crate::growing::Growing;
use segment::lock;

/// A segment in the making.
pub(crate) struct Building {
    pub(crate) segments: Growing,
    pub(crate) membership: Membership,
    pub(crate) since: Instant,
    pub(crate) last_file: Instant,
    /// Whether a file of it has just arrived.
    pub(crate) has_fresh: bool,
}

/// The desk of one worker.
#[derive(Default)]
pub(crate) struct Desk(Mutex<OnDesk>);

/// What lies on a desk.
#[derive(Default)]
pub(crate) struct OnDesk {
    pub(crate) building: Option<Building>,
    /// The file that the worker waits for, and since when; None while it works.
    waits: Option<(String, Instant)>,
    is_left: bool,
}

impl Desk {
    pub(crate) fn lock(&self) -> MutexGuard<'_, OnDesk> {
        lock(&self.0)
    }

    /// None while the worker is at it.
    fn try_lock(&self) -> Option<MutexGuard<'_, OnDesk>> {
        match self.0.try_lock() {
            Ok(desk) => Some(desk),
            Err(TryLockError::Poisoned(desk)) => Some(desk.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Notes that the worker waits for a file.
    pub(crate) fn wait_for(&self, path: &str) {
        self.lock().waits = Some((path.to_owned(), Instant::now()));
    }

    /// Notes that the worker has what it waited for.
    pub(crate) fn work(&self) -> MutexGuard<'_, OnDesk> {
        let mut desk = self.lock();
        desk.waits = None;
        desk
    }

    /// Notes that the worker is gone.
    pub(crate) fn leave(&self) {
        self.lock().is_left = true;
    }

    /// Disconnects when the batch of the segment closes.
    pub(crate) fn closing(&self) -> Receiver<Infallible> {
        let desk = self.lock();
        desk.building.as_ref().map_or_else(never, |b| b.membership.batch.closing.clone())
    }
}

/// The desks of all workers.
pub(crate) struct Desks(Vec<Desk>);

impl Desks {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Desk::default()).collect())
    }

    pub(crate) fn of(&self, worker: usize) -> &Desk {
        &self.0[worker]
    }

    /// Takes the segments of the workers that have waited for a file for longer than this.
    pub(crate) fn take_late(&self, wait: Duration) -> Vec<Building> {
        let late = |desk: &Desk| {
            // A desk that is locked is worked at.
            let mut desk = desk.try_lock()?;
            if desk.is_late(wait) { desk.building.take() } else { None }
        };
        self.0.iter().filter_map(late).collect()
    }

    /// Whether nothing more comes from any worker: each is gone, or has nothing and has waited for a
    /// file for longer than this. One that gets it later finds out that ingest ends.
    pub(crate) fn is_nobody_at_work(&self, wait: Duration) -> bool {
        self.0.iter().all(|desk| {
            desk.try_lock()
                .is_some_and(|desk| desk.is_left || (desk.building.is_none() && desk.is_late(wait)))
        })
    }

    /// The files that workers have waited for longer than this.
    pub(crate) fn waited_for(&self, wait: Duration) -> Vec<String> {
        let late = |desk: &Desk| {
            let desk = desk.try_lock()?;
            let (path, _) = desk.waits.as_ref().filter(|_| desk.is_late(wait))?;
            Some(path.clone())
        };
        self.0.iter().filter_map(late).collect()
    }
}

impl OnDesk {
    fn is_late(&self, wait: Duration) -> bool {
        self.waits.as_ref().is_some_and(|(_, since)| since.elapsed() >= wait)
    }
}
