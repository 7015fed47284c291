//! zstd's contexts, kept by each thread for its next use.
//!
//! tantivy makes a context for every block of a dictionary that it reads or writes. zstd asks the
//! processor what it can do each time (`cpuid`), which traps in every virtual machine: a third of the
//! time that it took to walk a large dictionary. So `src/build.rs` has the linker send here the calls
//! that make and free contexts (`--wrap`); on other systems than Linux this module is left out.

use std::cell::Cell;
use std::ptr;
use std::thread::LocalKey;

use zstd::zstd_safe::zstd_sys::{
    ZSTD_CCtx, ZSTD_CCtx_reset, ZSTD_DCtx, ZSTD_DCtx_reset, ZSTD_ResetDirective, ZSTD_isError,
};

unsafe extern "C" {
    // zstd's own functions; the linker gives them these names.
    fn __real_ZSTD_createDCtx() -> *mut ZSTD_DCtx;
    fn __real_ZSTD_freeDCtx(context: *mut ZSTD_DCtx) -> usize;
    fn __real_ZSTD_createCCtx() -> *mut ZSTD_CCtx;
    fn __real_ZSTD_freeCCtx(context: *mut ZSTD_CCtx) -> usize;
}

/// A context that nobody uses, or null.
struct Kept<T: 'static> {
    context: Cell<*mut T>,
    functions: Functions<T>,
}

/// What zstd does with its contexts.
#[derive(Clone, Copy)]
struct Functions<T> {
    make: unsafe extern "C" fn() -> *mut T,
    reset: unsafe extern "C" fn(*mut T, ZSTD_ResetDirective) -> usize,
    free: unsafe extern "C" fn(*mut T) -> usize,
}

const DECOMPRESSION: Functions<ZSTD_DCtx> =
    Functions { make: __real_ZSTD_createDCtx, reset: ZSTD_DCtx_reset, free: __real_ZSTD_freeDCtx };
const COMPRESSION: Functions<ZSTD_CCtx> =
    Functions { make: __real_ZSTD_createCCtx, reset: ZSTD_CCtx_reset, free: __real_ZSTD_freeCCtx };

thread_local! {
    static FOR_DECOMPRESSION: Kept<ZSTD_DCtx> = const { Kept::none(DECOMPRESSION) };
    static FOR_COMPRESSION: Kept<ZSTD_CCtx> = const { Kept::none(COMPRESSION) };
}

impl<T> Functions<T> {
    /// The thread's kept context, or a new one.
    fn make(self, kept: &'static LocalKey<Kept<T>>) -> *mut T {
        // Threads that are ending keep nothing any more.
        match kept.try_with(|kept| kept.context.replace(ptr::null_mut())) {
            Ok(context) if !context.is_null() => context,
            // SAFETY: it may be called at any time.
            _ => unsafe { (self.make)() },
        }
    }

    /// Keeps a context as if it were new, where the thread has none; frees it where it has.
    ///
    /// # Safety
    /// It is null, or one that zstd made; nobody uses it from now on.
    unsafe fn free(self, context: *mut T, kept: &'static LocalKey<Kept<T>>) -> usize {
        let all = ZSTD_ResetDirective::ZSTD_reset_session_and_parameters;
        // SAFETY: it is one that zstd made.
        let is_as_new =
            !context.is_null() && unsafe { ZSTD_isError((self.reset)(context, all)) } == 0;
        let keep = |kept: &Kept<T>| {
            let is_room = kept.context.get().is_null();
            if is_room {
                kept.context.set(context);
            }
            is_room
        };
        if is_as_new && kept.try_with(keep) == Ok(true) {
            return 0;
        }
        // SAFETY: the caller's.
        unsafe { (self.free)(context) }
    }
}

impl<T> Kept<T> {
    const fn none(functions: Functions<T>) -> Self {
        Self { context: Cell::new(ptr::null_mut()), functions }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: it is null, or was given to be freed.
        unsafe { (self.functions.free)(self.context.get()) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_ZSTD_createDCtx() -> *mut ZSTD_DCtx {
    DECOMPRESSION.make(&FOR_DECOMPRESSION)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ZSTD_freeDCtx(context: *mut ZSTD_DCtx) -> usize {
    // SAFETY: what zstd demands of its callers.
    unsafe { DECOMPRESSION.free(context, &FOR_DECOMPRESSION) }
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_ZSTD_createCCtx() -> *mut ZSTD_CCtx {
    COMPRESSION.make(&FOR_COMPRESSION)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ZSTD_freeCCtx(context: *mut ZSTD_CCtx) -> usize {
    // SAFETY: what zstd demands of its callers.
    unsafe { COMPRESSION.free(context, &FOR_COMPRESSION) }
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::DCtx;

    use super::*;

    /// The address of the context that this thread keeps.
    fn kept() -> *mut ZSTD_DCtx {
        FOR_DECOMPRESSION.with(|kept| kept.context.get())
    }

    #[test]
    fn a_thread_uses_its_context_again_and_forgets_what_it_was_used_for() {
        let dictionary = b"a dictionary of which a later use must know nothing".repeat(4);
        let text = b"a dictionary of which a later use".as_slice();
        let plain = zstd::bulk::compress(text, 1).unwrap();
        let mut with = zstd::bulk::Compressor::with_dictionary(1, &dictionary).unwrap();
        let with = with.compress(text).unwrap();

        let mut first = zstd::bulk::Decompressor::with_dictionary(&dictionary).unwrap();
        assert_eq!(first.decompress(&with, 100).unwrap(), text);
        assert!(kept().is_null(), "it is in use");
        // The thread keeps one; the second is freed.
        let second = zstd::bulk::Decompressor::new().unwrap();
        drop(first);
        let address = kept();
        assert!(!address.is_null(), "the linker has calls come here");
        drop(second);
        assert_eq!(kept(), address);

        let decompress = |compressed: &[u8]| {
            let mut buffer = [0; 100];
            let length = DCtx::create().decompress(&mut buffer[..], compressed).ok()?;
            Some(buffer[..length].to_vec())
        };
        assert_eq!(decompress(&plain).as_deref(), Some(text));
        assert_eq!(decompress(&with), None, "the dictionary is remembered");
        assert_eq!(kept(), address);
        // And after a failure, as well.
        assert_eq!(decompress(&plain[..10]), None);
        assert_eq!(decompress(&plain).as_deref(), Some(text));
        assert_eq!(kept(), address);
    }

    #[test]
    fn what_is_compressed_does_not_depend_on_what_was_before() {
        let texts: Vec<Vec<u8>> = (1..60_usize)
            .map(|n| (0..n * 97).map(|at| (at * at % (n + 7)) as u8).collect())
            .collect();
        for level in [1, 3, 9] {
            for text in &texts {
                let new = std::thread::scope(|scope| {
                    let compress = || zstd::bulk::compress(text, level).unwrap();
                    scope.spawn(compress).join().unwrap()
                });
                assert_eq!(zstd::bulk::compress(text, level).unwrap(), new);
            }
        }
    }
}
