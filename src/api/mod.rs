//! The socket: what travels on it, the server, and the client that the command line uses.

pub mod proto;
