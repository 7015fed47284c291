//! The page that a person works a case in, and the loopback port of `traildex web`.
//!
//! The crate never knows the index. Start at [`page`], which answers requests for the page's files,
//! on the daemon's socket and on the port alike, and at [`Gate`], the port: it lets in who has its token,
//! and passes what they ask to the daemon's socket as the user who started it.
//!
//! In reading order: `files` has the page's files, `headers` what a browser may do with them, `token`
//! who is let in, `gate` the port, `forward` the way to the socket. The page itself is in `page/`:
//! plain modules, as they are served; `vendor/` there is made by `vendor/build.mjs` of this crate.

#![warn(missing_docs, unreachable_pub)]

mod files;
mod forward;
mod gate;
mod headers;
mod token;

pub use self::files::page;
pub use self::gate::{Gate, GateOptions, IDLE, PORT};
