//! What is known to be wrong with a segment: damage of a file, which stays, and what may pass: a read that
//! failed, and damage of nobody knows which file, until a check has looked at all of them.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{IndexError, lock};

/// What is wrong with a file of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
    /// Of a read that failed. None of damage.
    pub(crate) io: Option<io::ErrorKind>,
}

impl Fault {
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

    /// The fault as an error, with more to say behind its reason.
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
    fault: Mutex<Option<Fault>>,
    /// How often a fault was noted.
    marks: AtomicU64,
    /// Reading it failed in a way that damage would explain, and it was not checked since.
    is_suspect: AtomicBool,
}

impl Health {
    /// Notes an error of reading, if it is a fault of the disk; returns the fault if it is news. What
    /// lasts takes the place of what may pass.
    pub(crate) fn mark(&self, error: &IndexError) -> Option<Fault> {
        let new = Fault::of(error)?;
        let mut fault = lock(&self.fault);
        if fault.as_ref().is_some_and(|known| known.is_lasting() || !new.is_lasting()) {
            return None;
        }
        *fault = Some(new.clone());
        self.marks.fetch_add(1, Ordering::Release);
        Some(new)
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }

    pub(crate) fn is_marked(&self) -> bool {
        lock(&self.fault).is_some()
    }

    /// Whether it is marked for what may pass.
    pub fn may_pass(&self) -> bool {
        lock(&self.fault).as_ref().is_some_and(|fault| !fault.is_lasting())
    }

    /// Who reads the segment compares this before and after: what was read while a fault was noted may
    /// lack something.
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

    /// All files were read and are as they were written: what may pass is forgotten.
    pub(crate) fn was_whole(&self) {
        lock(&self.fault).take_if(|fault| !fault.is_lasting());
        self.is_suspect.store(false, Ordering::Release);
    }

    /// A check has found what is wrong, and has noted it.
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
