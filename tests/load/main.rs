//! Bounds of time and memory under load.
//!
//! A program of its own: cargo runs one test program after another, so nothing else of the suite runs
//! beside these tests, and [`alone`] keeps them apart from each other.

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod soak;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by a test for as long as it measures.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind that another one could see.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
