//! Who sends a request: its user, as the kernel says when the connection is made.

use std::sync::Arc;

use wire::engine::Caller;

use crate::access::Access;
use crate::budget::{Holder, Place};

/// The client of one connection. Every request carries it as an extension.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) holder: Holder,
    pub(crate) place: Arc<Place>,
}

impl Client {
    /// A client whose user the kernel has told.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self { holder: Holder::User(uid), place: Place::new() }
    }

    /// A client of a port, to which any user can connect.
    pub fn of_port() -> Self {
        Self { holder: Holder::Anybody, place: Place::new() }
    }

    /// The same client once it has signed with an access key.
    #[must_use]
    pub fn with_key(self, id: &str) -> Self {
        Self { holder: Holder::Key(id.to_owned()), ..self }
    }

    /// The client as the engine knows it; None where its user is not known, who may do nothing but
    /// ask.
    pub(crate) fn caller(&self, access: &Access) -> Option<Caller> {
        match self.holder {
            Holder::User(uid) => Some(Caller { uid, is_operator: access.may_operate(uid) }),
            Holder::Key(_) | Holder::Anybody => None,
        }
    }
}
