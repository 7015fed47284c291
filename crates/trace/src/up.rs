//! Upwards: what each node came of, to the root.

use language::ast::Expr;
use wire::{
    ApiError, TotalMode, TraceCertainty as Certainty, TraceKind, TracePlace, TraceRule as Rule,
};

use crate::Tracer;
use crate::ask::{ADDRESS, CREATED, KEY, PRINCIPAL, all, begins, exists, is, named, one_of};
use crate::callers::{Merged, session_name};
use crate::graph::Join;
use crate::record::{Identity, Issued, has_member, is_instance};

/// Events that made one thing, at most, which are shown.
const MAKERS_MAX: usize = 10;

/// Events that mention one thing, at most, which are looked at.
const MENTIONS_MAX: usize = 100;

/// Levels of an answer that are looked into. `instanceId` of RunInstances is on the third.
const ANSWER_DEPTH_MAX: usize = 8;

impl Tracer<'_> {
    /// Walks up from these nodes, each node once, so a circle ends.
    pub(crate) fn ascend(&mut self, from: &[usize]) -> Result<(), ApiError> {
        let mut frontier = from.to_vec();
        for step in 0.. {
            let mut next = Vec::new();
            for at in frontier {
                if std::mem::replace(&mut self.graph.entries[at].is_up, true) {
                    continue;
                }
                if step == self.depth {
                    self.graph.entries[at].is_up = false;
                    let id = self.graph.id(at);
                    self.leave_out(format!("what {id} came of: depth is {step}"));
                    continue;
                }
                next.extend(self.origins(at)?);
            }
            if next.is_empty() {
                return Ok(());
            }
            frontier = next;
        }
        Ok(())
    }

    /// Finds what a node came of, joins it, and returns it.
    fn origins(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        match self.graph.kind(at) {
            TraceKind::Key => self.origins_of_key(at),
            TraceKind::Session => self.origins_of_session(at),
            TraceKind::Principal => self.makers_of_user(at),
            TraceKind::Instance => self.makers_of_instance(at),
            TraceKind::Function => self.makers_of_function(at),
            TraceKind::Task => self.makers_of_task(at),
            TraceKind::Role => self.origins_of_role(at),
            TraceKind::Address => self.users_of_address(at),
            TraceKind::Service | TraceKind::Account => Ok(Vec::new()),
        }
    }

    /// Joins a node to the callers of events.
    fn join_callers(
        &mut self,
        at: usize,
        events: &[Merged],
        rule: Rule,
        certainty: Certainty,
    ) -> Vec<usize> {
        let mut callers = Vec::new();
        for event in events {
            let Some(caller) = self.caller(&event.record, TracePlace::Ancestor) else { continue };
            self.graph.join(caller, at, Join::by(event.event(), rule, certainty));
            callers.push(caller);
        }
        callers
    }

    fn join_owner(&mut self, at: usize, identity: &Identity) -> Vec<usize> {
        let owner = self.owner(identity, TracePlace::Ancestor).filter(|owner| *owner != at);
        if let Some(owner) = owner {
            self.graph.join(owner, at, Join::without_event(Rule::Owner, Certainty::Certain));
            // Who assumed a role at other times says nothing of this session.
            if self.graph.kind(owner) == TraceKind::Role {
                return Vec::new();
            }
        }
        owner.into_iter().collect()
    }

    /// The first use of a key tells whose it is.
    pub(crate) fn first_use(&mut self, at: usize) -> Result<(), ApiError> {
        let key = self.graph.name(at);
        if self.graph.entries[at].node.uses.is_some() {
            return Ok(());
        }
        let found = self.ask.oldest(is(KEY, &key), 1, TotalMode::Exact)?;
        if !self.ask.is_spent {
            self.graph.entries[at].node.uses = Some(found.total);
        }
        if let Some(record) = found.records.first() {
            let identity = record.identity();
            if !identity.source_identity.is_empty() {
                let told = format!("sourceIdentity is {}", identity.source_identity);
                self.graph.note(at, told);
            }
            if !identity.on_behalf_of.is_empty() {
                let told = format!(
                    "onBehalfOf the Identity Center user {}; AssumeRole does not carry it on",
                    identity.on_behalf_of
                );
                self.graph.note(at, told);
            }
            self.graph.identify(at, identity);
            self.graph.entries[at].node.first = Some(record.event());
        }
        Ok(())
    }

    fn origins_of_key(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let key = self.graph.name(at);
        self.first_use(at)?;
        let issuers = self.issuers_of_key(&key)?;
        if !issuers.is_empty() {
            let certainty =
                if issuers.len() == 1 { Certainty::Certain } else { Certainty::Ambiguous };
            return Ok(self.join_callers(at, &issuers, Rule::IssuedKey, certainty));
        }
        let Some(identity) = self.graph.entries[at].identity.clone() else {
            if !self.ask.is_spent {
                self.graph.note(at, "no event was made with it, and none issued it");
            }
            return Ok(Vec::new());
        };
        if !identity.is_temporary() {
            if !self.ask.is_spent {
                self.graph
                    .note(at, "no event made it: it is older than the archive, or that is missing");
            }
            return Ok(self.join_owner(at, &identity));
        }
        if identity.is_of_role() || identity.kind == "FederatedUser" {
            return self.origins_of_role_session(at, &identity);
        }
        self.origins_of_user_session_key(at, &identity)
    }

    /// A key of a user's or a root's session: of the console, or made by a service.
    fn origins_of_user_session_key(
        &mut self,
        at: usize,
        identity: &Identity,
    ) -> Result<Vec<usize>, ApiError> {
        let mut of_session = Some(identity.clone()).filter(|known| known.invoked_by.is_empty());
        if of_session.is_none() {
            let filter = all([
                is(PRINCIPAL, &identity.principal),
                is(CREATED, &identity.created),
                Expr::negate(exists("userIdentity.invokedBy")),
            ]);
            of_session = self.ask.first(filter)?.map(|record| record.identity());
        }
        let rule = if identity.invoked_by.is_empty() { Rule::Console } else { Rule::Forwarded };
        if rule == Rule::Forwarded {
            self.graph.note(at, format!("{} acts for the principal", identity.invoked_by));
        }
        let Some(session) = of_session else {
            let owner = self.owner(identity, TracePlace::Ancestor);
            if let Some(owner) = owner {
                self.graph.join(owner, at, Join::without_event(rule, Certainty::Likely));
            }
            return Ok(owner.into_iter().collect());
        };
        let name = session_name(&session);
        let node = self.graph.node(TraceKind::Session, &name, TracePlace::Ancestor);
        if let Some(node) = node {
            let session = Identity { key: String::new(), ..session };
            self.graph.identify(node, session);
            self.graph.join(node, at, Join::without_event(rule, Certainty::Likely));
        }
        Ok(node.into_iter().collect())
    }

    /// A console session, or another of a user.
    fn origins_of_session(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let Some(identity) = self.graph.entries[at].identity.clone() else { return Ok(Vec::new()) };
        if identity.is_of_role() {
            return self.origins_of_role_session(at, &identity);
        }
        let sign_ins = self.sign_ins(&identity)?;
        if !sign_ins.is_empty() {
            let certainty = certainty_of(&sign_ins);
            return Ok(self.join_callers(at, &sign_ins, Rule::Console, certainty));
        }
        let missing = "no ConsoleLogin, SwitchRole, GetSigninToken, CreateOAuth2Token or \
                       GetSessionToken of its time is in the index";
        self.gap(at, missing.to_owned(), &identity.created);
        Ok(self.join_owner(at, &identity))
    }

    /// A session of a role, or of a federated user, whose key no event has issued.
    fn origins_of_role_session(
        &mut self,
        at: usize,
        identity: &Identity,
    ) -> Result<Vec<usize>, ApiError> {
        let mut issuers = self.issuers_of_session(identity)?;
        if issuers.is_empty() {
            issuers = self.sign_ins(identity)?;
        }
        self.tell_hidden(at, identity, &issuers);
        if issuers.is_empty() {
            return Ok(self.without_issuer(at, identity));
        }
        let certainty = certainty_of(&issuers);
        if identity.invoked_by.is_empty() {
            return Ok(self.join_callers(at, &issuers, Rule::SessionTime, certainty));
        }
        // A service made the key to go on with the session's.
        self.graph.note(at, format!("{} acts for the principal", identity.invoked_by));
        let mut origins = Vec::new();
        for event in &issuers {
            let origin = match event.record.issued() {
                Issued::Key(key) => self.graph.node(TraceKind::Key, &key, TracePlace::Ancestor),
                _ => self.caller(&event.record, TracePlace::Ancestor),
            };
            let Some(origin) = origin else { continue };
            self.graph.join(origin, at, Join::by(event.event(), Rule::Forwarded, certainty));
            origins.push(origin);
        }
        Ok(origins)
    }

    fn without_issuer(&mut self, at: usize, identity: &Identity) -> Vec<usize> {
        let session = identity.session().to_owned();
        if !is_instance(&session) {
            let missing = "no event of its time that issued it is in the index";
            self.gap(at, missing.to_owned(), &identity.created);
            return self.join_owner(at, identity);
        }
        let missing = "no AssumeRole that issued it for its instance is in the index";
        self.gap(at, missing.to_owned(), &identity.created);
        let node = self.graph.node(TraceKind::Instance, &session, TracePlace::Ancestor);
        if let Some(node) = node {
            self.graph.join(node, at, Join::without_event(Rule::Instance, Certainty::Likely));
        }
        node.into_iter().collect()
    }

    /// Identity Center does not tell which keys it issues.
    fn tell_hidden(&mut self, at: usize, identity: &Identity, issuers: &[Merged]) {
        let is_hidden = issuers.iter().any(|event| event.record.issued() == Issued::Hidden);
        let is_of_center = identity.role.contains("AWSReservedSSO_");
        if is_hidden || is_of_center {
            self.graph.note(
                at,
                "Identity Center hides the keys that it issues (HIDDEN_DUE_TO_SECURITY_REASONS): \
                 they are joined by session and time",
            );
        }
    }

    /// Who made the user, or gave it a way into the console.
    fn makers_of_user(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let name = self.graph.name(at);
        let Some((account, user)) = name.rsplit_once('/') else { return Ok(Vec::new()) };
        if user == "root" || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Vec::new());
        }
        let names =
            one_of("eventName", &["CreateUser", "CreateLoginProfile", "UpdateLoginProfile"]);
        let of = all([is("requestParameters.userName", user), named("account", account)]);
        let makers = self.makers(names, of, MAKERS_MAX)?;
        Ok(self.join_callers(at, &makers, Rule::Made, Certainty::Certain))
    }

    fn makers_of_instance(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let instance = self.graph.name(at);
        let names =
            ["RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"];
        let makers = self.makers_by_answer(one_of("eventName", &names), "instanceId", &instance)?;
        if makers.is_empty() && !self.ask.is_spent {
            self.graph.note(at, "no RunInstances that made it is in the index");
        }
        for maker in &makers {
            let pointer = "/responseElements/instancesSet/items";
            let made = maker.record.at(pointer).and_then(serde_json::Value::as_array);
            let own =
                made.into_iter().flatten().find(|made| made["instanceId"] == instance.as_str());
            if let Some(address) = own.and_then(|own| own["privateIpAddress"].as_str()) {
                self.graph.note(at, format!("its private address is {address}"));
            }
        }
        Ok(self.join_callers(at, &makers, Rule::Made, Certainty::Certain))
    }

    fn makers_of_function(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let name = self.graph.name(at);
        let names = ["CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"];
        let names = Expr::any_of(names.map(|name| begins("eventName", name)));
        let of = Expr::any_of([
            is("requestParameters.functionName", &name),
            is("responseElements.functionName", &name),
        ]);
        let makers = self.makers(names, of, MAKERS_MAX)?;
        Ok(self.join_callers(at, &makers, Rule::Made, Certainty::Certain))
    }

    fn makers_of_task(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let task = self.graph.name(at);
        let names = one_of("eventName", &["RunTask", "StartTask"]);
        let makers = self.makers_by_answer(names, "taskArn", &task)?;
        Ok(self.join_callers(at, &makers, Rule::Made, Certainty::Certain))
    }

    /// The events whose answers have a thing's id in this member. A search finds it as a word, which whoever
    /// writes tags and user data can write, too.
    fn makers_by_answer(
        &mut self,
        names: Expr,
        member: &str,
        id: &str,
    ) -> Result<Vec<Merged>, ApiError> {
        let mut makers = self.makers(names, Expr::Word(id.to_owned()), MENTIONS_MAX)?;
        makers.retain(|maker| {
            let answer = maker.record.at("/responseElements");
            answer.is_some_and(|answer| has_member(answer, member, id, ANSWER_DEPTH_MAX))
        });
        makers.truncate(MAKERS_MAX);
        Ok(makers)
    }

    /// Who made the role, and who assumed it: those who did so most.
    fn origins_of_role(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let role = self.graph.name(at);
        let made = is("responseElements.role.arn", &role);
        let makers = self.makers(is("eventName", "CreateRole"), made, MAKERS_MAX)?;
        let mut origins = self.join_callers(at, &makers, Rule::Made, Certainty::Certain);
        let assumed =
            all([begins("eventName", "AssumeRole"), is("requestParameters.roleArn", &role)]);
        let assumed = all([assumed, crate::ask::succeeded()]);
        let limit = self.children.min(CALLERS_MAX);
        let (callers, is_cut) =
            self.ask.groups(assumed.clone(), &[KEY, PRINCIPAL, "userIdentity.invokedBy"], limit)?;
        if is_cut {
            self.leave_out(format!("others who assumed {role}, less often"));
        }
        for group in callers {
            let [key, principal, service] = &group.values[..] else { continue };
            let absent_or = |path, value: &str| match value {
                "" => Expr::negate(exists(path)),
                value => is(path, value),
            };
            let by = all([
                assumed.clone(),
                absent_or(KEY, key),
                absent_or(PRINCIPAL, principal),
                absent_or("userIdentity.invokedBy", service),
            ]);
            let found = self.ask.oldest(by, 1, TotalMode::None)?;
            let Some(event) = self.merged(found.records)?.into_iter().next() else { continue };
            let Some(caller) = self.caller(&event.record, TracePlace::Ancestor) else { continue };
            let events = (group.events > 1).then_some(group.events);
            let join = Join::by(event.event(), Rule::Assumed, Certainty::Certain);
            self.graph.join(caller, at, Join { events, ..join });
            origins.push(caller);
        }
        Ok(origins)
    }

    /// The credentials that were used from an address: those that were most.
    fn users_of_address(&mut self, at: usize) -> Result<Vec<usize>, ApiError> {
        let address = self.graph.name(at);
        let limit = self.children.min(CALLERS_MAX);
        let from = is(ADDRESS, &address);
        let (keys, is_cut) = self.ask.groups(from.clone(), &[KEY, "actor"], limit)?;
        if is_cut {
            self.leave_out(format!("other credentials used from {address}, less often"));
        }
        let mut origins = Vec::new();
        for group in keys {
            let [key, actor] = &group.values[..] else { continue };
            let by = match key.as_str() {
                "" => all([Expr::negate(exists(KEY)), named("actor", actor)]),
                key => is(KEY, key),
            };
            let Some(record) = self.ask.first(all([from.clone(), by]))? else { continue };
            let Some(caller) = self.caller(&record, TracePlace::Ancestor) else { continue };
            let events = (group.events > 1).then_some(group.events);
            let join = Join::by(record.event(), Rule::UsedFrom, Certainty::Certain);
            self.graph.join(caller, at, Join { events, ..join });
            origins.push(caller);
        }
        Ok(origins)
    }
}

/// Callers of a role, or users of an address, whose own origins are traced.
const CALLERS_MAX: usize = 10;

/// Two events that issued alike are ambiguous. A sign-in and the token that it gave are one.
fn certainty_of(events: &[Merged]) -> Certainty {
    let names: Vec<&str> = events.iter().map(|event| event.record.name()).collect();
    let is_twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    if is_twice { Certainty::Ambiguous } else { Certainty::Likely }
}
