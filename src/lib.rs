//! traildex: a daemon that indexes an AWS CloudTrail archive and answers over a Unix socket.

pub mod api;
pub mod bench;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod event;
pub mod index;
pub mod ingest;
pub mod limits;
pub mod query;
pub mod sample;
pub mod sigbus;
