//! Delivers traildex's alerts: to webhooks, files, syslog and commands.
//!
//! A program beside the daemon, which has neither network nor TLS. It asks the daemon's socket for
//! changes of alerts ([`reader`]), writes each that concerns a target to that target's spool on disk
//! ([`spool`]), and delivers from there ([`deliver`]). A target has a reader, a cursor, a spool and a
//! thread of its own, so none waits for another.
//!
//! **Promise.** Each change that concerns a target is delivered at least once, in order, or ends in
//! the target's dead letters, whatever is killed when. A change is synced to the spool before the
//! cursor moves past it, and leaves the spool after it was delivered. What is delivered twice has the
//! same key.
//!
//! **Strangers.** All texts of an alert can be chosen by whom it is about. They are values of JSON by
//! construction, and never arguments, headers, names of files, or raw lines of the log.

#![warn(missing_docs, unreachable_pub)]

mod change;
mod cli;
mod config;
mod dead;
mod deliver;
mod disk;
mod filter;
mod log;
mod reader;
mod run;
mod secret;
mod spool;
mod status;
mod targets;
mod template;

pub use self::cli::run_process;
