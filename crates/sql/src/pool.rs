//! The memory of a query. What can be written to disk shares most of it, so that one sort leaves room for
//! another; what cannot, as the merge of sorted runs, has the rest to itself, and is not starved by the first.

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::fmt;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Pool {
    bytes: usize,
    spilled: FairSpillPool,
    merges: GreedyMemoryPool,
    kept: GreedyMemoryPool,
}

/// The part of all that can be written to disk, and the part of what cannot be, such as joins. Merges have the
/// rest: sorted rows are counted twice while they are gathered, and once more while they are merged.
const SHARE: usize = 4;

/// Bytes of a run that is merged, about: two batches of it are held.
const RUN_BYTES: usize = 6 << 20;

/// How many runs a merge reads at once: each of so many threads has one, and the first is not to take all.
pub(crate) fn runs_at_once(bytes: usize, threads: usize) -> usize {
    (bytes / 2 / threads.max(1) / RUN_BYTES).clamp(2, 64)
}

/// How DataFusion calls a merge of runs on disk.
const MERGE: &str = "ExternalSorterMerge";

impl Pool {
    pub(crate) fn new(bytes: usize) -> Self {
        let share = bytes / SHARE;
        Self {
            bytes,
            spilled: FairSpillPool::new(share),
            merges: GreedyMemoryPool::new(bytes - 2 * share),
            kept: GreedyMemoryPool::new(share),
        }
    }

    fn of(&self, consumer: &MemoryConsumer) -> &dyn MemoryPool {
        match consumer.can_spill() {
            true => &self.spilled,
            false if consumer.name().starts_with(MERGE) => &self.merges,
            false => &self.kept,
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of memory", self.bytes)
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &'static str {
        "traildex"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.of(consumer).register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.of(consumer).unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.of(reservation.consumer()).grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.of(reservation.consumer()).shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.of(reservation.consumer()).try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.spilled.reserved() + self.merges.reserved() + self.kept.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}
