//! traildex: a daemon that indexes an AWS CloudTrail archive and answers over a Unix socket.

pub mod api;
pub mod limits;
