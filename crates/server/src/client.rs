//! Who sends a request: its user, as the kernel says when the connection is made.

use wire::engine::Caller;

use crate::access::Access;

/// The client of one connection. Every request carries it as an extension.
#[derive(Clone, Debug)]
pub struct Client {
    /// The number of its user; None where the listener is no Unix socket.
    pub(crate) uid: Option<u32>,
}

impl Client {
    /// A client whose user the kernel has told.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self { uid: Some(uid) }
    }

    /// A client of a port, to which any user can connect.
    pub fn of_port() -> Self {
        Self { uid: None }
    }

    /// The client as the engine knows it; None where its user is not known, who may do nothing but
    /// ask.
    pub(crate) fn caller(&self, access: &Access) -> Option<Caller> {
        self.uid.map(|uid| Caller { uid, is_operator: access.may_operate(uid) })
    }
}
