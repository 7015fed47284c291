//! Downwards: what was made with credentials.

use language::ast::{Expr, FieldRef, Test};
use trail::seeded::SeededMap;
use wire::{
    ApiError, TotalMode, TraceCertainty as Certainty, TraceKind, TracePlace, TraceRule as Rule,
};

use crate::Tracer;
use crate::ask::{
    CREATED, Found, KEY, PRINCIPAL, all, begins, exists, is, named, one_of, succeeded,
};
use crate::callers::{Merged, session_name, user_name};
use crate::graph::Join;
use crate::record::{Identity, Issued};

/// What makes credentials, or what has some.
const ISSUING: &[&str] = &[
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "GetSessionToken",
    "GetFederationToken",
    "CreateAccessKey",
    "RunInstances",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "CreateUser",
    "CreateLoginProfile",
    "UpdateLoginProfile",
];

/// Nodes that one search asks for together.
const STEP: usize = 100;

/// Events of one step that are read, at most.
const EVENTS_MAX: usize = 1_000;

/// Accounts have at most two keys for a user at once; in years a user has more.
const USER_KEYS_MAX: usize = 20;

impl Tracer<'_> {
    /// Walks down from these nodes, each node once.
    pub(crate) fn descend(&mut self, from: &[usize]) -> Result<(), ApiError> {
        let mut frontier = from.to_vec();
        for step in 0.. {
            frontier.retain(|at| !self.graph.entries[*at].is_down);
            for at in &frontier {
                self.graph.entries[*at].is_down = true;
            }
            if frontier.is_empty() {
                return Ok(());
            }
            if step == self.depth {
                let nodes = frontier.len();
                self.leave_out(format!("what {nodes} nodes made: depth is {step}"));
                return Ok(());
            }
            frontier = self.made_by(&frontier)?;
            frontier.sort_unstable();
            frontier.dedup();
        }
        Ok(())
    }

    fn of_kind(&self, nodes: &[usize], kind: TraceKind) -> Vec<usize> {
        nodes.iter().copied().filter(|at| self.graph.kind(*at) == kind).collect()
    }

    /// What these nodes made.
    fn made_by(&mut self, nodes: &[usize]) -> Result<Vec<usize>, ApiError> {
        let mut made = Vec::new();
        for keys in self.of_kind(nodes, TraceKind::Key).chunks(STEP) {
            let by = |tracer: &Self| one_of(KEY, &tracer.names(keys));
            let by = all([by(self), issuing()]);
            made.extend(self.made_by_events(by, "/userIdentity/accessKeyId", keys)?);
        }
        for instances in self.of_kind(nodes, TraceKind::Instance).chunks(STEP) {
            made.extend(self.issued_to_things(instances)?);
        }
        for things in [TraceKind::Function, TraceKind::Task] {
            for things in self.of_kind(nodes, things).chunks(STEP) {
                made.extend(self.issued_to_things(things)?);
            }
        }
        for session in self.of_kind(nodes, TraceKind::Session) {
            made.extend(self.made_in_session(session)?);
        }
        for user in self.of_kind(nodes, TraceKind::Principal) {
            made.extend(self.began_by_user(user)?);
        }
        for role in self.of_kind(nodes, TraceKind::Role) {
            made.extend(self.keys_of_role(role)?);
        }
        // The address is where its keys were used from; what they made is of them.
        for address in self.of_kind(nodes, TraceKind::Address) {
            let id = self.graph.id(address);
            let users = self.graph.edges.iter().filter(|edge| edge.to == id);
            let users: Vec<String> = users.map(|edge| edge.from.clone()).collect();
            let is_user = |at: &usize| users.contains(&self.graph.entries[*at].node.id);
            made.extend((0..self.graph.entries.len()).filter(is_user));
        }
        Ok(made)
    }

    fn names(&self, nodes: &[usize]) -> Vec<String> {
        nodes.iter().map(|at| self.graph.name(*at)).collect()
    }

    /// What events made, each of them of the parent that its record names at this place.
    fn made_by_events(
        &mut self,
        by: Expr,
        parent_at: &str,
        parents: &[usize],
    ) -> Result<Vec<usize>, ApiError> {
        let found = self.ask.oldest(by, EVENTS_MAX, TotalMode::Bounded)?;
        self.leave_later(&found, "events, later ones, that made credentials");
        let parents: SeededMap<String, usize> =
            parents.iter().map(|at| (self.graph.name(*at), *at)).collect();
        let mut counts: SeededMap<usize, usize> = SeededMap::default();
        let mut made = Vec::new();
        for event in self.merged(found.records)? {
            let Some(parent) = parents.get(event.record.text(parent_at)).copied() else { continue };
            if !event.record.has_succeeded() {
                continue;
            }
            let count = counts.entry(parent).or_default();
            *count += 1;
            if *count <= self.children {
                made.extend(self.add_made(parent, &event));
            }
        }
        for (parent, count) in counts {
            if count > self.children {
                let (id, rest) = (self.graph.id(parent), count - self.children);
                self.leave_out(format!("{rest} more events by which {id} made credentials"));
            }
        }
        Ok(made)
    }

    /// Joins what an event made to who made it.
    fn add_made(&mut self, parent: usize, event: &Merged) -> Vec<usize> {
        let record = &event.record;
        let mut made: Vec<(TraceKind, String, Identity)> = Vec::new();
        let account = record.meta.account.clone();
        match record.issued() {
            Issued::Key(key) => {
                let whose = [
                    "/responseElements/assumedRoleUser/arn",
                    "/responseElements/federatedUser/arn",
                    "/responseElements/accessKey/userName",
                    "/requestParameters/roleArn",
                ];
                let who = whose.map(|at| record.text(at)).into_iter().find(|who| !who.is_empty());
                let who = who.map(|who| who.rsplit(":assumed-role/").next().unwrap_or(who));
                let mut who = who.unwrap_or(&record.meta.actor).to_owned();
                if let Some((_, role)) = who.split_once(":role/") {
                    let session = record.text("/requestParameters/roleSessionName");
                    who = format!("{}/{session}", role.rsplit('/').next().unwrap_or(role));
                }
                made.push((TraceKind::Key, key, Identity { who, ..Identity::default() }));
            }
            Issued::Hidden => self.graph.note(
                parent,
                "AWS hides a key that it issued to this (HIDDEN_DUE_TO_SECURITY_REASONS)",
            ),
            Issued::None => {}
        }
        let user = record.text("/requestParameters/userName");
        match record.name() {
            "CreateUser" | "CreateLoginProfile" | "UpdateLoginProfile" if !user.is_empty() => {
                let (who, user) = (user.to_owned(), user.to_owned());
                let name = user_name(&account, &user);
                let kind = "IAMUser".to_owned();
                let identity = Identity { kind, account, user, who, ..Identity::default() };
                made.push((TraceKind::Principal, name, identity));
            }
            "RunInstances" if record.at("/requestParameters/iamInstanceProfile").is_some() => {
                let items = record.at("/responseElements/instancesSet/items");
                let items = items.and_then(serde_json::Value::as_array).into_iter().flatten();
                let ids = items.filter_map(|item| item["instanceId"].as_str());
                made.extend(ids.take(self.children).map(|id| of_instance(id, &account)));
            }
            "AssociateIamInstanceProfile" | "ReplaceIamInstanceProfileAssociation" => {
                let id = record.at("/responseElements").and_then(|at| instance_in(at, 0));
                made.extend(id.map(|id| of_instance(id, &account)));
            }
            name if name.starts_with("CreateFunction") => {
                let name = record.text("/requestParameters/functionName").to_owned();
                let has_role = !record.text("/requestParameters/role").is_empty();
                if has_role && !name.is_empty() {
                    let identity = Identity { account, ..Identity::default() };
                    made.push((TraceKind::Function, name, identity));
                }
            }
            _ => {}
        }
        let mut nodes = Vec::new();
        for (kind, name, identity) in made {
            let Some(at) = self.graph.node(kind, &name, TracePlace::Descendant) else { continue };
            // A key's own first use tells more.
            if kind == TraceKind::Key {
                self.graph.entries[at].node.who.clone_from(&identity.who);
            } else {
                self.graph.identify(at, identity);
            }
            let rule = if kind == TraceKind::Key { Rule::IssuedKey } else { Rule::Made };
            self.graph.join(parent, at, Join::by(event.event(), rule, Certainty::Certain));
            nodes.push(at);
        }
        nodes
    }

    /// Keys that were issued for instances, functions and tasks, by the session's name.
    fn issued_to_things(&mut self, things: &[usize]) -> Result<Vec<usize>, ApiError> {
        let by = all([
            is("eventName", "AssumeRole"),
            one_of("requestParameters.roleSessionName", &self.names(things)),
            is("userIdentity.type", "AWSService"),
            succeeded(),
        ]);
        let mut made = self.made_by_events(by, "/requestParameters/roleSessionName", things)?;
        // Keys that were used, and whose issue is not there.
        for thing in things.iter().copied() {
            if self.graph.kind(thing) != TraceKind::Instance {
                continue;
            }
            let arn = FieldRef::at_path("userIdentity.arn");
            let test = Test::Phrase(self.graph.name(thing));
            let by = Expr::Field { field: arn, test };
            for key in self.keys_used(thing, by, self.children)? {
                if self.graph.has_origin(key) {
                    continue;
                }
                let join = Join::without_event(Rule::Instance, Certainty::Likely);
                self.graph.join(thing, key, join);
                made.push(key);
            }
        }
        Ok(made)
    }

    /// What a console session made, with any of its keys.
    fn made_in_session(&mut self, session: usize) -> Result<Vec<usize>, ApiError> {
        let Some(identity) = self.graph.entries[session].identity.clone() else {
            return Ok(Vec::new());
        };
        let of = all([is(PRINCIPAL, &identity.principal), is(CREATED, &identity.created)]);
        let found = self.ask.oldest(all([of, issuing()]), self.children, TotalMode::Bounded)?;
        let what = format!("events by which {} made credentials", self.graph.id(session));
        self.leave_later(&found, &what);
        let mut made = Vec::new();
        for event in self.merged(found.records)? {
            if event.record.has_succeeded() {
                made.extend(self.add_made(session, &event));
            }
        }
        Ok(made)
    }

    /// The keys of a user, and its sign-ins.
    fn began_by_user(&mut self, user: usize) -> Result<Vec<usize>, ApiError> {
        let Some(identity) = self.graph.entries[user].identity.clone() else {
            return Ok(Vec::new());
        };
        if identity.user.is_empty() && identity.principal.is_empty() {
            return Ok(Vec::new());
        }
        let of = if identity.user.is_empty() {
            is(PRINCIPAL, &identity.principal)
        } else {
            all([is("userIdentity.userName", &identity.user), named("account", &identity.account)])
        };
        let mut made = Vec::new();
        let own = all([of.clone(), exists(KEY), Expr::negate(exists(CREATED))]);
        made.extend(self.own_keys(user, own, USER_KEYS_MAX)?);
        let sign_ins = all([is("eventName", "ConsoleLogin"), of]);
        let found = self.ask.oldest(sign_ins, self.children, TotalMode::Bounded)?;
        let what = format!("later sign-ins of {}", self.graph.id(user));
        self.leave_later(&found, &what);
        for record in found.records.into_iter().filter(crate::record::Record::has_succeeded) {
            let begun = Identity { created: record.time().to_owned(), ..record.identity() };
            let name = session_name(&begun);
            let at = self.graph.node(TraceKind::Session, &name, TracePlace::Descendant);
            let Some(at) = at else { continue };
            self.graph.identify(at, begun);
            let join = Join::by(record.event(), Rule::Console, Certainty::Likely);
            self.graph.join(user, at, join);
            made.push(at);
        }
        Ok(made)
    }

    /// The keys of a role that were used most.
    fn keys_of_role(&mut self, role: usize) -> Result<Vec<usize>, ApiError> {
        let arn = self.graph.name(role);
        let of = is("userIdentity.sessionContext.sessionIssuer.arn", &arn);
        self.own_keys(role, of, self.children)
    }

    /// Joins a node to its own keys, those that were used most.
    fn own_keys(&mut self, owner: usize, of: Expr, most: usize) -> Result<Vec<usize>, ApiError> {
        let keys = self.keys_used(owner, of, most)?;
        for key in keys.iter().copied() {
            self.graph.join(owner, key, Join::without_event(Rule::Owner, Certainty::Certain));
        }
        Ok(keys)
    }

    /// The keys of such events, those that were used most; it tells if a node has more.
    fn keys_used(&mut self, of_node: usize, of: Expr, most: usize) -> Result<Vec<usize>, ApiError> {
        let (groups, is_cut) = self.ask.groups(of, &[KEY], most)?;
        if is_cut {
            let id = self.graph.id(of_node);
            self.leave_out(format!("other keys of {id}, used less often"));
        }
        let keys = groups.iter().filter_map(|group| group.values.first());
        let keys = keys.filter(|key| !key.is_empty());
        Ok(keys
            .filter_map(|key| self.graph.node(TraceKind::Key, key, TracePlace::Descendant))
            .collect())
    }

    /// Tells of events that were found and not read.
    fn leave_later(&mut self, found: &Found, what: &str) {
        let rest = found.total.saturating_sub(found.records.len() as u64);
        if rest > 0 {
            self.leave_out(format!("{rest} or more {what}"));
        }
    }
}

/// Calls that made credentials, or what has some.
fn issuing() -> Expr {
    let functions = begins("eventName", "CreateFunction");
    all([Expr::any_of([one_of("eventName", ISSUING), functions]), succeeded()])
}

fn of_instance(id: &str, account: &str) -> (TraceKind, String, Identity) {
    let account = account.to_owned();
    (TraceKind::Instance, id.to_owned(), Identity { account, ..Identity::default() })
}

/// The first `instanceId` in an answer.
fn instance_in(value: &serde_json::Value, depth: usize) -> Option<&str> {
    const DEPTH_MAX: usize = 5;
    if depth == DEPTH_MAX {
        return None;
    }
    let object = value.as_object()?;
    let own = object.get("instanceId").and_then(serde_json::Value::as_str);
    own.or_else(|| object.values().find_map(|inner| instance_in(inner, depth + 1)))
}
