//! Ends the evaluation of a search's conditions early: because nobody waits for the answer any
//! more, or because one of them has failed.
//!
//! tantivy's docsets cannot answer with an error. So a condition that cannot read the segment
//! leaves its error here and reports its end. Code that walks its documents must ask
//! [`Stop::failed`] before it believes that end. `crates/search/src/visit.rs` does so for all
//! searches.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::{IndexError, lock};

/// Says whether the evaluation of a search's conditions should end early. Clones share one state.
#[derive(Clone)]
pub struct Stop {
    is_due: Arc<dyn Fn() -> bool + Send + Sync>,
    failure: Arc<Failure>,
}

/// The first error of a search's conditions.
#[derive(Default)]
struct Failure {
    is_there: AtomicBool,
    error: Mutex<Option<IndexError>>,
}

impl Stop {
    /// Makes a stop that is due once `is_due` returns true, which is asked often and from many
    /// threads.
    pub fn when(is_due: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { is_due: Arc::new(is_due), failure: Arc::default() }
    }

    /// Returns [`IndexError::Stopped`] if the evaluation should end. Poll it in loops that can run
    /// long without finding a document.
    pub fn check(&self) -> Result<(), IndexError> {
        if self.has_failed() || (self.is_due)() { Err(IndexError::Stopped) } else { Ok(()) }
    }

    /// Notes that a condition cannot be evaluated; only the first error is kept.
    pub fn fail(&self, error: IndexError) {
        let mut first = lock(&self.failure.error);
        if matches!(*first, None | Some(IndexError::Stopped)) {
            *first = Some(error);
        }
        self.failure.is_there.store(true, Ordering::Release);
    }

    /// Makes the evaluation fail if it should end, for loops that cannot return an error.
    pub fn end_if_due(&self) {
        if !self.has_failed() && (self.is_due)() {
            self.fail(IndexError::Stopped);
        }
    }

    /// Whether a condition could not be evaluated.
    pub fn has_failed(&self) -> bool {
        self.failure.is_there.load(Ordering::Acquire)
    }

    /// Returns the error of a condition that could not be evaluated. The first call takes it; later
    /// calls return [`IndexError::Stopped`].
    pub fn failed(&self) -> Result<(), IndexError> {
        if !self.has_failed() {
            return Ok(());
        }
        Err(lock(&self.failure.error).replace(IndexError::Stopped).unwrap_or(IndexError::Stopped))
    }
}

/// Steps between two looks at the clock. A step is about a nanosecond, so this is a millisecond. Where
/// an estimate is fifty times too low, a search still ends within 50 ms.
pub const STEPS: usize = 1 << 20;

/// Counts the work of a loop, and looks now and then whether the evaluation should end.
pub struct Pace<'s> {
    stop: Cow<'s, Stop>,
    done: usize,
}

impl<'s> Pace<'s> {
    /// Begins to count.
    pub fn new(stop: &'s Stop) -> Self {
        Self { stop: Cow::Borrowed(stop), done: 0 }
    }

    /// Begins to count, for a loop that outlives the caller.
    pub fn of(stop: Stop) -> Pace<'static> {
        Pace { stop: Cow::Owned(stop), done: 0 }
    }

    /// Counts steps of about a nanosecond; [`IndexError::Stopped`] if the evaluation should end.
    #[inline]
    pub fn spend(&mut self, steps: usize) -> Result<(), IndexError> {
        self.done = self.done.saturating_add(steps);
        if self.done < STEPS {
            return Ok(());
        }
        self.done = 0;
        self.stop.check()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
