//! How the conditions of a search end it: nobody waits for it any more, or one of them has failed.
//!
//! tantivy's docsets cannot answer with an error. So a condition that cannot read what it must leaves its
//! error here, and says that it is at its end. Whoever walks its documents asks [`Stop::failed`] before
//! the end is believed; `visit.rs` does, for all that searches walk.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::{IndexError, lock};

/// Tells whether the evaluation of a search's conditions should end, unfinished. Clones are the same.
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

    /// To be polled while what is looked at is not bounded by what is found.
    pub fn check(&self) -> Result<(), IndexError> {
        if self.has_failed() || (self.is_due)() { Err(IndexError::Stopped) } else { Ok(()) }
    }

    /// Notes that a condition cannot be evaluated.
    pub fn fail(&self, error: IndexError) {
        let mut first = lock(&self.failure.error);
        if matches!(*first, None | Some(IndexError::Stopped)) {
            *first = Some(error);
        }
        self.failure.is_there.store(true, Ordering::Release);
    }

    /// Whether a condition could not be evaluated.
    pub fn has_failed(&self) -> bool {
        self.failure.is_there.load(Ordering::Acquire)
    }

    /// The error of a condition that could not be evaluated. It is told once; who asks again is told
    /// that the evaluation was stopped.
    pub fn failed(&self) -> Result<(), IndexError> {
        if !self.has_failed() {
            return Ok(());
        }
        Err(lock(&self.failure.error).replace(IndexError::Stopped).unwrap_or(IndexError::Stopped))
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
