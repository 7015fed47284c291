//! The command line, for people and scripts; and the examples of the README.
//!
//! Needs what `.ci/clients` sets up.

mod asked;
mod bench;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod examples;
mod offline;
mod rules;
mod terminal;
