//! A binding of libdeflate for one gzip member. It says how many bytes the member took, so that a
//! second member can be found; the safe crates over libdeflate do not.

use std::ffi::c_void;
use std::ptr::NonNull;

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_free_decompressor,
    libdeflate_gzip_decompress_ex, libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE,
    libdeflate_result_LIBDEFLATE_SUCCESS,
};

/// A reusable decompressor.
pub struct Inflater(NonNull<libdeflate_decompressor>);

/// The member is damaged or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// How much of the input was read and of the output written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// Bytes of the input that the member took.
    pub read: usize,
    /// Bytes of the output.
    pub written: usize,
}

// SAFETY: a libdeflate decompressor is plain memory without thread affinity; `gunzip` takes `&mut`.
unsafe impl Send for Inflater {}

impl Default for Inflater {
    fn default() -> Self {
        // SAFETY: allocates, and returns null when it cannot.
        let decompressor = unsafe { libdeflate_alloc_decompressor() };
        Self(NonNull::new(decompressor).expect("out of memory for a gzip decompressor"))
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: allocated by `default`, freed here only.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

impl Inflater {
    /// Inflates the gzip member at the start of `input`; returns None where `output` is too small.
    pub fn gunzip(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Option<Inflated>, Unreadable> {
        let mut inflated = Inflated { read: 0, written: 0 };
        // SAFETY: both buffers are valid for their lengths, which libdeflate does not exceed.
        let result = unsafe {
            libdeflate_gzip_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast::<c_void>(),
                input.len(),
                output.as_mut_ptr().cast::<c_void>(),
                output.len(),
                &raw mut inflated.read,
                &raw mut inflated.written,
            )
        };
        #[allow(non_upper_case_globals)] // The names are C's.
        match result {
            libdeflate_result_LIBDEFLATE_SUCCESS => Ok(Some(inflated)),
            libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Ok(None),
            _ => Err(Unreadable),
        }
    }
}
