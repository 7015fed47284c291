//! Batches: the segments that are committed together.
//!
//! A worker that finds an event which another worker has put into a segment counts a duplicate. If
//! the duplicate's file were committed first and the power lost, the event would be gone although
//! its file counts as read. So the segments that are built at the same time form a batch, which is
//! committed as one. Nothing is read into the next batch before every segment of this one is
//! closed.
//!
//! The first worker whose segment is due closes the batch; the others close theirs after the file that
//! they are reading, or at once when they wait for one. While the others do, the first writes its
//! segment to disk, which takes longer.
//!
//! The claims of a batch that is given up are withdrawn before the next batch begins. So nobody
//! counts a duplicate of an event that will not be committed.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use store::dedupe::Dedupe;

/// The number of the first batch; they count up from it.
pub(crate) const FIRST: u64 = 1;

/// How long a worker waits for the others before it says so: the largest file takes seconds to read.
const PATIENCE: Duration = Duration::from_secs(30);

/// The batches of an ingest pipeline, one after another.
#[derive(Debug)]
pub(crate) struct Batches {
    dedupe: Arc<Dedupe>,
    state: Mutex<State>,
    begun: Condvar,
}

#[derive(Debug)]
struct State {
    batch: Arc<Batch>,
    /// Its members whose segment is not closed.
    open: usize,
    /// Dropped when the batch closes.
    closing: Option<Sender<Infallible>>,
}

/// One batch of segments.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The batch's number; they count up from [`FIRST`].
    pub(crate) number: u64,
    /// Disconnects when the batch closes.
    pub(crate) closing: Receiver<Infallible>,
    members: AtomicUsize,
    is_given_up: AtomicBool,
}

impl Batch {
    fn new(number: u64) -> (Arc<Self>, Sender<Infallible>) {
        let (closing, closed) = bounded(0);
        let members = AtomicUsize::new(0);
        let is_given_up = AtomicBool::new(false);
        (Arc::new(Self { number, closing: closed, members, is_given_up }), closing)
    }

    /// How many segments the batch has; final once one of them is closed.
    pub(crate) fn members(&self) -> usize {
        self.members.load(Ordering::Acquire)
    }

    /// Whether its segments must not be committed.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }
}

/// A worker's membership in a batch, for as long as its segment takes events. Dropping it closes
/// the batch.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) batch: Arc<Batch>,
    batches: Arc<Batches>,
}

impl Batches {
    pub(crate) fn new(dedupe: Arc<Dedupe>) -> Arc<Self> {
        let (batch, closing) = Batch::new(FIRST);
        let state = State { batch, open: 0, closing: Some(closing) };
        Arc::new(Self { dedupe, state: Mutex::new(state), begun: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the batch under way; while one is closing, waits for the next.
    pub(crate) fn join(self: &Arc<Self>) -> Membership {
        let is_closing = |state: &mut State| state.closing.is_none();
        let mut state = self.state();
        while state.closing.is_none() {
            let (guard, waited) = self
                .begun
                .wait_timeout_while(state, PATIENCE, is_closing)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() {
                let workers = state.open;
                tracing::warn!(workers, "commits wait for workers that are still reading a file");
            }
        }
        state.open += 1;
        state.batch.members.fetch_add(1, Ordering::AcqRel);
        Membership { batch: Arc::clone(&state.batch), batches: Arc::clone(self) }
    }
}

impl Membership {
    /// Gives the whole batch up: some of its segments may count duplicates of an event that was lost.
    pub(crate) fn give_up(self) -> Arc<Batch> {
        self.batch.is_given_up.store(true, Ordering::Release);
        self.close()
    }

    /// Closes the batch.
    pub(crate) fn close(self) -> Arc<Batch> {
        Arc::clone(&self.batch)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.batches.state();
        state.closing = None;
        state.open -= 1;
        if state.open == 0 {
            if self.batch.is_given_up() {
                self.batches.dedupe.withdraw(self.batch.number);
            }
            let (batch, closing) = Batch::new(self.batch.number + 1);
            state.batch = batch;
            state.closing = Some(closing);
            self.batches.begun.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use store::dedupe::Claim;
    use trail::content::{ContentHash, EventKey};

    #[test]
    fn nobody_joins_the_next_batch_before_all_have_left_this_one() {
        let batches = Batches::new(Arc::default());
        let (a, b) = (batches.join(), batches.join());
        assert_eq!((a.batch.number, b.batch.number), (1, 1));
        let closing = b.batch.closing.clone();
        assert!(closing.try_recv().is_err_and(|error| !error.is_disconnected()));
        let first = a.close();
        assert_eq!(first.members(), 2);
        assert!(closing.try_recv().is_err_and(|error| error.is_disconnected()), "b is told");

        let (joined, joins) = bounded(1);
        let other = Arc::clone(&batches);
        let late = thread::spawn(move || joined.send(other.join().batch.number));
        assert!(joins.recv_timeout(Duration::from_millis(50)).is_err(), "it waits for b");
        drop(b);
        assert_eq!(joins.recv(), Ok(2));
        late.join().unwrap().unwrap();
        assert!(!first.is_given_up());
    }

    #[test]
    fn a_batch_is_given_up_for_all() {
        let dedupe: Arc<Dedupe> = Arc::default();
        let batches = Batches::new(Arc::clone(&dedupe));
        let (a, b) = (batches.join(), batches.join());
        let key = EventKey { id: 1, content: ContentHash::default() };
        assert_eq!(dedupe.claim(key, a.batch.number).unwrap(), Claim::New);
        a.give_up();
        assert!(b.batch.is_given_up());
        assert_eq!(dedupe.claims(), 1);
        drop(b);
        assert_eq!(dedupe.claims(), 0, "before anyone can join the next");
        assert!(!batches.join().batch.is_given_up());
    }
}
