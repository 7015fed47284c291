//! The interfaces for programs: the API as it is described, exports, and AWS's LookupEvents.
//!
//! Needs what `.ci/clients` sets up.

mod aws;
#[path = "../common/mod.rs"]
mod common;
mod export;
mod openapi;
