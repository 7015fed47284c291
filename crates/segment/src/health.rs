//! The known faults of a segment. Damage of a file stays. A read that failed may pass, and so may
//! damage in an unknown file: a check of all files decides.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{IndexError, lock};

/// A fault of one file of a segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFault {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
    /// The operating system's error of a failed read; None for damage.
    pub(crate) io: Option<io::ErrorKind>,
}

impl SegmentFault {
    /// Damage of a certain file. A segment's name is no file's: those have an extension.
    fn is_lasting(&self) -> bool {
        self.io.is_none() && self.path.extension().is_some()
    }

    fn of(error: &IndexError) -> Option<Self> {
        match error {
            IndexError::Damaged { path, reason } => {
                Some(Self { path: path.clone(), reason: reason.clone(), io: None })
            }
            IndexError::Io { path, source } => {
                let io = Some(source.kind());
                Some(Self { path: path.clone(), reason: source.to_string(), io })
            }
            _ => None,
        }
    }

    /// Turns the fault into an error whose reason ends with `more`.
    pub(crate) fn error(self, more: &str) -> IndexError {
        let Self { path, reason, io } = self;
        let reason = format!("{reason}; {more}");
        match io {
            Some(kind) => IndexError::Io { path, source: io::Error::new(kind, reason) },
            None => IndexError::Damaged { path, reason },
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Health {
    fault: Mutex<Option<SegmentFault>>,
    /// How often a fault was noted.
    marks: AtomicU64,
    /// Reading it failed in a way that damage would explain, and it was not checked since.
    is_suspect: AtomicBool,
}

impl Health {
    /// Notes an error of reading if the disk is at fault. Returns the fault if it is new. A lasting
    /// fault replaces one that may pass.
    pub(crate) fn mark(&self, error: &IndexError) -> Option<SegmentFault> {
        let new = SegmentFault::of(error)?;
        let mut fault = lock(&self.fault);
        if fault.as_ref().is_some_and(|known| known.is_lasting() || !new.is_lasting()) {
            return None;
        }
        *fault = Some(new.clone());
        self.marks.fetch_add(1, Ordering::Release);
        Some(new)
    }

    pub(crate) fn fault(&self) -> Option<SegmentFault> {
        lock(&self.fault).clone()
    }

    pub(crate) fn is_marked(&self) -> bool {
        lock(&self.fault).is_some()
    }

    /// Whether a fault is noted that may pass.
    pub fn may_pass(&self) -> bool {
        lock(&self.fault).as_ref().is_some_and(|fault| !fault.is_lasting())
    }

    /// How often a fault was noted. A reader compares this before and after, and discards what it
    /// read if the number has grown.
    pub fn marks(&self) -> u64 {
        self.marks.load(Ordering::Acquire)
    }

    pub(crate) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Whether a read failed in a way that damage would explain, and no check has run since.
    pub fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Acquire)
    }

    /// Notes that a check found all files whole, and forgets a fault that may pass.
    pub(crate) fn was_whole(&self) {
        lock(&self.fault).take_if(|fault| !fault.is_lasting());
        self.is_suspect.store(false, Ordering::Release);
    }

    /// Notes that a check has run and has noted the damage that it found.
    pub(crate) fn was_checked(&self) {
        self.is_suspect.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn damage_stays_and_a_read_that_failed_is_forgotten_once_all_was_read() {
        let path = Path::new("a.fast");
        let eio = || IndexError::io(path)(io::Error::from_raw_os_error(5));
        let health = Health::default();
        assert!(health.mark(&IndexError::Bug("x")).is_none() && !health.is_marked());
        assert!(health.mark(&eio()).is_some() && health.may_pass());
        assert!(health.mark(&eio()).is_none(), "it is known");
        health.was_whole();
        assert!(!health.is_marked());
        assert!(health.mark(&IndexError::damaged(Path::new("a"), "in some file")).is_some());
        assert!(health.mark(&IndexError::damaged(path, "broken")).is_some() && !health.may_pass());
        assert!(health.mark(&eio()).is_none(), "damage is worse");
        health.was_whole();
        assert_eq!(health.fault().unwrap().reason, "broken");
        assert_eq!(health.marks(), 3);
    }
}
