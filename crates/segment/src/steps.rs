//! The steps of a commit, of a merge and of a rebuild, by name. In builds with the feature
//! `failpoints`, which releases do not have, a test can end the process at any of them:
//! `FAILPOINTS="manifest-renamed=2*off->return"` in the environment ends it at the third time.

/// Does nothing: the build has no failpoints.
#[cfg(not(feature = "failpoints"))]
pub fn step(_name: &str) {}

/// Passes a step, or ends the process as a crash does: nothing is flushed, no destructor runs.
#[cfg(feature = "failpoints")]
pub fn step(name: &str) {
    fail::eval(name, |_| std::process::abort());
}

/// Where a test has marked the input and names this place in the environment, panics, to see what a
/// panic costs.
#[cfg(feature = "failpoints")]
#[allow(clippy::missing_panics_doc)]
pub fn panic_if(name: &str, is_marked: impl FnOnce() -> bool) {
    let is_due = fail::eval(name, |_| ()).is_some() && is_marked();
    assert!(!is_due, "{name}, as a test wants it");
}

/// Reads a part of an index, in builds without failpoints.
///
/// # Errors
/// Never.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn read_fails(_name: &str, _of: &str) -> std::io::Result<()> {
    Ok(())
}

/// Fails as a disk does that cannot be read, where a test says so of this part of the index:
/// `FAILPOINTS="record-read=return(the segment's id)"`.
///
/// # Errors
/// EIO, as a test wants it.
#[cfg(feature = "failpoints")]
pub(crate) fn read_fails(name: &str, of: &str) -> std::io::Result<()> {
    match fail::eval(name, |part| part) {
        Some(part) if part.as_deref() == Some(of) => Err(rustix::io::Errno::IO.into()),
        _ => Ok(()),
    }
}

/// Whether a test names this place in the environment.
#[cfg(feature = "failpoints")]
pub fn is_set(name: &str) -> bool {
    fail::eval(name, |_| ()).is_some()
}

/// Reads which steps the environment says to end at.
#[cfg(feature = "failpoints")]
pub fn set_up() {
    // It is for the life of the process; forgotten, it is not torn down.
    std::mem::forget(fail::FailScenario::setup());
}

/// A bound of the index or of a search, in builds without failpoints.
#[cfg(not(feature = "failpoints"))]
pub fn bound(_name: &str, value: usize) -> usize {
    value
}

/// A bound of the index or of a search, or what a test says it is: `FAILPOINTS="columns-max=return(3)"`.
#[cfg(feature = "failpoints")]
pub fn bound(name: &str, value: usize) -> usize {
    let given = fail::eval(name, |given| given.and_then(|given| given.parse().ok()));
    given.flatten().unwrap_or(value)
}
