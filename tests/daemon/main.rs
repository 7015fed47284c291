//! The daemon over an archive: files that arrive, restarts, crashes, damage, full disks, retention, and
//! what a service manager asks of it.
//!
//! `cargo test --features failpoints --test daemon crash::` runs one module.

mod alerts;
mod alerts_kept;
mod alerts_late;
#[path = "../common/mod.rs"]
mod common;
mod crash;
mod damage;
mod disk;
mod files;
mod files_pages;
mod hostile;
mod identity;
mod life;
mod lookups;
mod manager;
mod names;
mod operators;
mod rebuild;
mod rejected;
mod retention;
mod service;
mod units;
