//! traildex: a daemon that indexes an AWS CloudTrail archive and answers over a Unix socket.
//!
//! This package puts the rooms below `crates/` together: `config` reads the settings, `daemon` runs what
//! they ask for, `cli` is the command line. It holds no logic of the index, of the language or of the
//! socket.

// Nothing but the program and its tests uses this library: what its parts are for, the modules say.
#![allow(missing_docs)]

pub mod cli;
pub mod config;
pub mod daemon;
