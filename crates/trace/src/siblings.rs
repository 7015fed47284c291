//! Keys of the same session as the one asked for, and where they were used from.

use language::ast::Expr;
use trail::seeded::SeededSet;
use wire::{
    ApiError, TotalMode, TraceCertainty as Certainty, TraceKind, TracePlace, TraceRule as Rule,
};

use crate::Tracer;
use crate::ask::{ADDRESS, ISSUED, KEY, PRINCIPAL, all, is, one_of};
use crate::graph::Join;
use crate::record::{Identity, Issued};

/// Events that issued to a session, which are looked at.
const ISSUES_MAX: usize = 100;

impl Tracer<'_> {
    /// Finds the siblings of the keys that were asked for: of the same role and session name.
    pub(crate) fn siblings(&mut self, subjects: &[usize]) -> Result<(), ApiError> {
        let mut seen = SeededSet::default();
        for at in subjects.iter().copied() {
            if self.graph.kind(at) != TraceKind::Key {
                continue;
            }
            let Some(identity) = self.graph.entries[at].identity.clone() else { continue };
            let is_of_session = identity.is_of_role() && identity.is_temporary();
            if is_of_session && seen.insert(identity.principal.clone()) {
                self.siblings_of(&identity)?;
            }
        }
        Ok(())
    }

    fn siblings_of(&mut self, identity: &Identity) -> Result<(), ApiError> {
        let principal = &identity.principal;
        let by = is(PRINCIPAL, principal);
        let (used, is_cut) = self.ask.groups(by, &[KEY], self.children)?;
        if is_cut {
            self.leave_out(format!("other keys of the session {principal}, used less often"));
        }
        for key in used.iter().filter_map(|group| group.values.first()) {
            if key.is_empty() {
                continue;
            }
            if let Some(at) = self.graph.node(TraceKind::Key, key, TracePlace::Sibling) {
                self.graph.identify(at, Identity { key: key.clone(), ..identity.clone() });
            }
        }
        self.issues_of(identity)?;
        let keys: Vec<String> =
            used.into_iter().filter_map(|group| group.values.into_iter().next()).collect();
        self.join_siblings(&keys, identity)
    }

    /// Keys that were issued to the session in the same second, used or not.
    fn issues_of(&mut self, identity: &Identity) -> Result<(), ApiError> {
        let named = all([
            is("requestParameters.roleSessionName", identity.session()),
            is("requestParameters.roleArn", &identity.role),
        ]);
        let issued = is("responseElements.assumedRoleUser.assumedRoleId", &identity.principal);
        let at_once = crate::ask::named("time", &identity.created);
        let found = self.ask.oldest(
            all([Expr::any_of([issued, named]), at_once]),
            self.children.min(ISSUES_MAX),
            TotalMode::None,
        )?;
        for event in self.merged(found.records)? {
            let Issued::Key(key) = event.record.issued() else { continue };
            let Some(at) = self.graph.node(TraceKind::Key, &key, TracePlace::Sibling) else {
                continue;
            };
            self.graph.identify(at, Identity { key, ..identity.clone() });
            if let Some(caller) = self.caller(&event.record, TracePlace::Ancestor) {
                let join = Join::by(event.event(), Rule::IssuedKey, Certainty::Certain);
                self.graph.join(caller, at, join);
            }
        }
        Ok(())
    }

    /// Joins siblings to what issued them; without such an event, to what the session is of.
    fn join_siblings(&mut self, keys: &[String], identity: &Identity) -> Result<(), ApiError> {
        let is_open = |tracer: &Self, key: &String| {
            let at = tracer.graph.find(TraceKind::Key, key);
            at.is_some_and(|at| !tracer.graph.has_origin(at))
        };
        let open: Vec<&String> = keys.iter().filter(|key| is_open(self, key)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let found = self.ask.oldest(one_of(ISSUED, &open), open.len() * 2, TotalMode::None)?;
        for event in self.merged(found.records)? {
            let Issued::Key(key) = event.record.issued() else { continue };
            let Some(at) = self.graph.find(TraceKind::Key, &key) else { continue };
            if let Some(caller) = self.caller(&event.record, TracePlace::Ancestor) {
                let join = Join::by(event.event(), Rule::IssuedKey, Certainty::Certain);
                self.graph.join(caller, at, join);
            }
        }
        for key in open {
            let Some(at) = self.graph.find(TraceKind::Key, key) else { continue };
            if self.graph.has_origin(at) {
                continue;
            }
            if let Some(owner) = self.owner(identity, TracePlace::Ancestor) {
                self.graph.join(owner, at, Join::without_event(Rule::Owner, Certainty::Certain));
            }
        }
        Ok(())
    }

    /// Tells of sessions of a role whose keys were used from several addresses: of an instance's, that
    /// is what stolen credentials look like.
    pub(crate) fn compare_addresses(&mut self) -> Result<(), ApiError> {
        /// Sessions that are looked at, at most; each takes a search or two.
        const SESSIONS_MAX: usize = 20;
        let mut sessions: Vec<String> = Vec::new();
        for entry in &self.graph.entries {
            let Some(identity) = entry.identity.as_ref() else { continue };
            let is_used = entry.node.kind == TraceKind::Key && !entry.node.addresses.is_empty();
            if is_used && identity.is_of_role() && !sessions.contains(&identity.principal) {
                sessions.push(identity.principal.clone());
            }
        }
        if sessions.len() > SESSIONS_MAX {
            let rest = sessions.len() - SESSIONS_MAX;
            self.leave_out(format!(
                "whether {rest} more sessions were used from several addresses"
            ));
        }
        for principal in sessions.into_iter().take(SESSIONS_MAX) {
            self.compare_addresses_of(&principal)?;
        }
        Ok(())
    }

    fn compare_addresses_of(&mut self, principal: &str) -> Result<(), ApiError> {
        let is_of = |at: &usize| {
            let entry = &self.graph.entries[*at];
            entry.node.kind == TraceKind::Key
                && entry.identity.as_ref().is_some_and(|known| known.principal == principal)
        };
        let keys: Vec<usize> = (0..self.graph.entries.len()).filter(is_of).collect();
        let mut addresses: Vec<(String, u64)> = Vec::new();
        for address in keys.iter().flat_map(|at| &self.graph.entries[*at].node.addresses) {
            let text = address.value.as_str().unwrap_or_default();
            // A service that acts for the session calls by its name.
            if text.parse::<std::net::IpAddr>().is_err() {
                continue;
            }
            match addresses.iter_mut().find(|(known, _)| known == text) {
                Some((_, events)) => *events += address.events,
                None => addresses.push((text.to_owned(), address.events)),
            }
        }
        addresses.sort_by(|(one, few), (other, many)| many.cmp(few).then(one.cmp(other)));
        let [(usual, _), others @ ..] = &addresses[..] else { return Ok(()) };
        let instance = principal.split_once(':').map_or("", |(_, name)| name);
        let is_instance = crate::record::is_instance(instance);
        for (address, _) in others.iter().take(ADDRESSES_SHOWN) {
            let others = if is_instance { self.others_at(address, principal)? } else { None };
            for at in keys.iter().copied() {
                let own = &self.graph.entries[at].node.addresses;
                let Some(here) = own.iter().find(|own| own.value == address.as_str()) else {
                    continue;
                };
                let uses = crate::finish::uses(here.events);
                let others = others
                    .as_deref()
                    .map_or(String::new(), |others| format!(", from where {others} acted, too"));
                let what = if is_instance {
                    format!("credentials of {instance} used outside of it: ")
                } else {
                    String::new()
                };
                let alert = format!(
                    "{what}{uses} from {address}{others}; most of the session's are from {usual}"
                );
                self.graph.alert(at, alert);
            }
        }
        Ok(())
    }

    /// Who else used an address.
    fn others_at(&mut self, address: &str, principal: &str) -> Result<Option<String>, ApiError> {
        let by = all([is(ADDRESS, address), Expr::negate(is(PRINCIPAL, principal))]);
        Ok(self.ask.first(by)?.map(|record| {
            let key = record.text("/userIdentity/accessKeyId");
            let with = if key.is_empty() { String::new() } else { format!(" ({key})") };
            format!("{}{with}", record.meta.actor)
        }))
    }
}

/// Addresses of one session that are told of.
const ADDRESSES_SHOWN: usize = 5;
