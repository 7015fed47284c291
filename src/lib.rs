//! traildex: a daemon that indexes an AWS CloudTrail archive and answers over a Unix socket.
//!
//! This package puts the rooms below `crates/` together: `config` reads the settings, `daemon` runs what
//! they ask for, `cli` is the command line. It holds no logic of the index, of the language or of the
//! socket.

#![warn(unreachable_pub)]

pub mod bundle;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod evidence;
