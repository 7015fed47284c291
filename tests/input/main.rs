//! Bytes from outside, however bad they are: random ones for each parser, and files that an attacker
//! may have written for a real daemon.

#[path = "../common/mod.rs"]
mod common;
mod exports;
mod fuzz;
mod hostile;
mod plain;
mod tables;
