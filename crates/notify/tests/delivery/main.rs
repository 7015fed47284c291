//! The program as a whole, against real servers on this machine: what it reads from a daemon arrives.
//!
//! [`source::Source`] stands for the daemon. Whatever speaks its interface can take its place: a test
//! needs the socket's path, and something that raises alerts.

mod command;
mod daemon;
mod examples;
mod file;
mod kills;
mod program;
mod reading;
mod server;
mod source;
mod syslog;
mod unit;
mod webhook;
