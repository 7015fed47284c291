//! Files that are cut short while they are mapped.
//!
//! Reading a mapping beyond the end of its file raises SIGBUS, which ends a process that does not mind
//! it. Whoever can write to the archive, or to the index, can cut a file at any moment. So the page is
//! given zeros instead, and the cut is counted: who reads a mapping looks at the count before and after,
//! and takes nothing for true that it has read across a cut.
//!
//! One handler for the process; it allocates nothing, takes no lock, and may run on any thread.

use std::fs;
use std::ops::Range;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

static CUTS: AtomicU64 = AtomicU64::new(0);
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4_096);
static INSTALLED: Once = Once::new();

/// Installs the handler of SIGBUS for the process. Call it before mapping a file; a second call
/// does nothing.
pub fn install() {
    INSTALLED.call_once(|| {
        PAGE_BYTES.store(rustix::param::page_size(), Ordering::Relaxed);
        // SAFETY: all zeros is a valid sigaction, of which the fields that matter are set below.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            on_sigbus;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the action is valid, and its handler does only what a signal handler may do.
        let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
        if result != 0 {
            // Then a cut ends the process, as it does without us.
            tracing::error!(
                "cannot handle SIGBUS: a file cut short while it is read ends the daemon"
            );
        }
    });
}

/// How many pages were found cut off since the process started. If the number grows during a read
/// of any mapping, the bytes read may be wrong.
pub fn cuts() -> u64 {
    CUTS.load(Ordering::Acquire)
}

/// The address ranges in which pages of mappings were replaced by zeros; empty before the first
/// cut.
///
/// The replaced page stays as it is, zeros, for as long as its mapping is there, whether the file is whole
/// again or not: the read may have failed for another reason than a cut.
pub struct Lost(Vec<Range<usize>>);

impl Lost {
    /// Reads the kernel's list of this process's mappings; empty if no page was cut off, or the
    /// list cannot be read.
    pub fn look() -> Self {
        let maps =
            if cuts() > 0 { fs::read_to_string("/proc/self/maps") } else { Ok(String::new()) };
        let maps = maps.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell which pages of the index were cut off");
            String::new()
        });
        Self(maps.lines().filter_map(anonymous).collect())
    }

    /// The first byte of a mapping that is on a page that was replaced.
    pub(crate) fn first_in(&self, mapped: &[u8]) -> Option<usize> {
        let start = mapped.as_ptr() as usize;
        let end = start + mapped.len();
        let lost = self.0.iter().filter(|lost| lost.start < end && lost.end > start);
        lost.map(|lost| lost.start.max(start) - start).min()
    }
}

/// The addresses of a line of the kernel's list that has no file behind it.
fn anonymous(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let inode = words.nth(3)?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    (inode == "0").then_some(address(start)?..address(end)?)
}

extern "C" fn on_sigbus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let page_bytes = PAGE_BYTES.load(Ordering::Relaxed);
    // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    let page = address & !(page_bytes - 1);
    let is_cut = code == libc::BUS_ADRERR;
    // SAFETY: the page is one of a mapping that was just read at, and that has nothing behind it any
    // more; replacing it by an anonymous page changes no memory that is in use otherwise.
    let mapped = is_cut
        && unsafe {
            libc::mmap(
                page as *mut libc::c_void,
                page_bytes,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        } != libc::MAP_FAILED;
    if mapped {
        CUTS.fetch_add(1, Ordering::AcqRel);
    } else {
        // Broken memory, or no page to be had: the read is tried again, and ends the process.
        // SAFETY: resetting a signal to its default is allowed in a handler.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_cut_file_reads_as_zeros_and_is_counted() {
        install();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let pages = 3;
        std::fs::write(&path, vec![7; pages * rustix::param::page_size()]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: cuts are what this test is about.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        assert_eq!(map[0], 7);
        let before = cuts();
        assert_eq!(Lost::look().first_in(&map), None);
        file.set_len(0).unwrap();
        assert_eq!(map.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0);
        assert!(cuts() >= before + pages as u64);
        file.set_len((pages * rustix::param::page_size()) as u64).unwrap();
        assert_eq!(Lost::look().first_in(&map), Some(0), "it stays lost");
        assert_eq!(Lost::look().first_in(&[0; 8]), None);
    }
}
