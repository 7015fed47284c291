//! The page and its port: who is let in, what a browser shows, what the page's code does by itself.
//!
//! Needs what `.ci/clients` sets up, Chromium among it.

mod alerts;
#[path = "../common/mod.rs"]
mod common;
mod downloads;
mod gate;
mod harness;
mod scripts;
mod sites;
mod views;
