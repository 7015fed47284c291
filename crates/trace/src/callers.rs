//! The node of whoever made a call, and the nodes of what a call made.

use wire::{ApiError, TraceKind, TracePlace, TraceShared};

use crate::Tracer;
use crate::ask::is;
use crate::record::{Identity, Record, is_instance};

/// Records of one call in several accounts, at most.
const SHARED_MAX: usize = 8;

/// The session of a user or a root: who, and since when.
pub(crate) fn session_name(identity: &Identity) -> String {
    format!("{}@{}", identity.principal, identity.created)
}

/// A user's name within its account.
pub(crate) fn user_name(account: &str, user: &str) -> String {
    format!("{account}/{user}")
}

impl Tracer<'_> {
    /// The node of who made a call.
    pub(crate) fn caller(&mut self, record: &Record, place: TracePlace) -> Option<usize> {
        let identity = record.identity();
        let session = record.text("/requestParameters/roleSessionName").to_owned();
        let (kind, name) = if !identity.key.is_empty() {
            (TraceKind::Key, identity.key.clone())
        } else if identity.kind == "AWSService" {
            of_service(&identity, &session)
        } else {
            principal_of(&identity)
        };
        let at = self.graph.node(kind, &name, place)?;
        if matches!(kind, TraceKind::Instance | TraceKind::Function | TraceKind::Task) {
            // The service that acts for a thing is not who has it.
            let account = record.meta.account.clone();
            self.graph.identify(at, Identity { account, ..Identity::default() });
        } else {
            self.graph.identify(at, identity);
        }
        Some(at)
    }

    /// The node of whom credentials are, where no event of their issue is known.
    pub(crate) fn owner(&mut self, identity: &Identity, place: TracePlace) -> Option<usize> {
        let (kind, name) = if identity.is_of_role() && !identity.role.is_empty() {
            (TraceKind::Role, identity.role.clone())
        } else {
            principal_of(identity)
        };
        let at = self.graph.node(kind, &name, place)?;
        let mut identity =
            Identity { key: String::new(), created: String::new(), ..identity.clone() };
        if kind == TraceKind::Role {
            name.rsplit('/').next().unwrap_or_default().clone_into(&mut identity.who);
        }
        self.graph.identify(at, identity);
        Some(at)
    }

    /// Records of one call become one, told by the record that knows most of the caller.
    pub(crate) fn merged(&mut self, records: Vec<Record>) -> Result<Vec<Merged>, ApiError> {
        let mut merged: Vec<Merged> = Vec::new();
        for record in records {
            let shared = record.text("/sharedEventID");
            let same = |known: &&mut Merged| {
                !shared.is_empty() && known.record.text("/sharedEventID") == shared
            };
            match merged.iter_mut().find(same) {
                Some(known) => known.add(record),
                None => merged.push(Merged { record, others: Vec::new() }),
            }
        }
        for known in &mut merged {
            self.complete(known)?;
        }
        Ok(merged)
    }

    /// Looks for the caller's own record of a call, where this one is of another account.
    fn complete(&mut self, known: &mut Merged) -> Result<(), ApiError> {
        let identity = known.record.identity();
        let shared = known.record.text("/sharedEventID").to_owned();
        if shared.is_empty() || !identity.key.is_empty() || identity.kind == "AWSService" {
            return Ok(());
        }
        let found =
            self.ask.oldest(is("sharedEventID", &shared), SHARED_MAX, wire::TotalMode::None)?;
        for record in found.records {
            if record.meta.id != known.record.meta.id
                && known.others.iter().all(|other| other.id != record.meta.id)
            {
                known.add(record);
            }
        }
        Ok(())
    }
}

/// One call, with its records in other accounts.
pub(crate) struct Merged {
    pub(crate) record: Record,
    others: Vec<TraceShared>,
}

impl Merged {
    fn add(&mut self, mut record: Record) {
        if self.others.len() == SHARED_MAX {
            return;
        }
        let knows = |record: &Record| !record.text("/userIdentity/accessKeyId").is_empty();
        if knows(&record) && !knows(&self.record) {
            std::mem::swap(&mut record, &mut self.record);
        }
        let meta = record.meta;
        self.others.push(TraceShared { id: meta.id, account: meta.account });
    }

    pub(crate) fn event(&self) -> wire::TraceEvent {
        wire::TraceEvent { shared: self.others.clone(), ..self.record.event() }
    }
}

/// What a service issues credentials for, by the session's name.
fn of_service(identity: &Identity, session: &str) -> (TraceKind, String) {
    let service = identity.invoked_by.as_str();
    if session.is_empty() {
        return (TraceKind::Service, service.to_owned());
    }
    let kind = match service {
        _ if is_instance(session) => TraceKind::Instance,
        "lambda.amazonaws.com" => TraceKind::Function,
        "ecs-tasks.amazonaws.com" | "ecs.amazonaws.com" => TraceKind::Task,
        _ => return (TraceKind::Service, service.to_owned()),
    };
    (kind, session.to_owned())
}

/// The principal of a caller without keys.
fn principal_of(identity: &Identity) -> (TraceKind, String) {
    let Identity { kind, user, account, principal, arn, .. } = identity;
    match kind.as_str() {
        "Root" => (TraceKind::Principal, user_name(account, "root")),
        "IAMUser" if !user.is_empty() => (TraceKind::Principal, user_name(account, user)),
        "SAMLUser" | "WebIdentityUser" => {
            let name = if user.is_empty() { principal } else { user };
            (TraceKind::Principal, user_name(&identity.provider, name))
        }
        "IdentityCenterUser" if !identity.on_behalf_of.is_empty() => {
            (TraceKind::Principal, user_name("identity-center", &identity.on_behalf_of))
        }
        "AWSService" => (TraceKind::Service, identity.invoked_by.clone()),
        _ if !principal.is_empty() => (TraceKind::Principal, principal.clone()),
        _ if !arn.is_empty() => (TraceKind::Principal, arn.clone()),
        _ if !identity.invoked_by.is_empty() => (TraceKind::Service, identity.invoked_by.clone()),
        _ => (TraceKind::Account, account.clone()),
    }
}
