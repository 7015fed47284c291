//! What is traced: which nodes a key, an ARN, a name, an id or an address stands for.

use std::net::IpAddr;

use language::ast::Expr;
use wire::{ApiError, ErrorKind, TotalMode, TraceKind, TracePlace};

use crate::Tracer;
use crate::ask::{CREATED, KEY, PRINCIPAL, all, begins, exists, is};
use crate::callers::{session_name, user_name};
use crate::record::{Identity, Issued, is_instance};

/// Bytes of what is asked for: the longest ARN.
const OF_BYTES_MAX: usize = 2_048;

/// Characters of the beginning of an event's id, at least: fewer find too many.
const ID_PREFIX_MIN: usize = 8;

/// Sessions of one name that are traced together, at most.
const SESSIONS_MAX: usize = 20;

impl Tracer<'_> {
    /// The nodes that were asked for.
    pub(crate) fn subjects(&mut self, of: &str) -> Result<Vec<usize>, ApiError> {
        let of = of.trim();
        if of.is_empty() || of.len() > OF_BYTES_MAX {
            let message = format!("of: expected 1 to {OF_BYTES_MAX} bytes, not {}", of.len());
            return Err(ApiError::new(ErrorKind::BadRequest, message));
        }
        let subjects = if is_key(of) {
            self.key(of)?
        } else if of.starts_with("arn:") {
            self.arn(of)?
        } else if is_instance(of) {
            self.known(TraceKind::Instance, of, Expr::Word(of.to_owned()))?
        } else if of.parse::<IpAddr>().is_ok() {
            self.known(TraceKind::Address, of, is(crate::ask::ADDRESS, of))?
        } else if is_event(of) {
            self.event(of)?
        } else {
            self.name(of)?
        };
        if subjects.is_empty() { Err(unknown(of)) } else { Ok(subjects) }
    }

    fn subject(&mut self, kind: TraceKind, name: &str) -> Vec<usize> {
        self.graph.node(kind, name, TracePlace::Subject).into_iter().collect()
    }

    fn known(&mut self, kind: TraceKind, name: &str, by: Expr) -> Result<Vec<usize>, ApiError> {
        Ok(if self.ask.first(by)?.is_some() { self.subject(kind, name) } else { Vec::new() })
    }

    fn key(&mut self, key: &str) -> Result<Vec<usize>, ApiError> {
        let any = Expr::any_of([
            is(KEY, key),
            is(crate::ask::ISSUED, key),
            is(crate::ask::MADE_KEY, key),
        ]);
        self.known(TraceKind::Key, key, any)
    }

    fn arn(&mut self, arn: &str) -> Result<Vec<usize>, ApiError> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, _, account, resource) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(service), Some(account), Some(resource)) = (service, account, resource) else {
            return Ok(Vec::new());
        };
        let last = resource.rsplit('/').next().unwrap_or_default();
        match (service, resource.split('/').next().unwrap_or_default()) {
            ("iam", "role") => self.role(arn),
            ("iam", "user") => self.user(
                all([is("userIdentity.userName", last), is("userIdentity.accountId", account)]),
                account,
                last,
            ),
            ("iam", "root") => {
                let name = user_name(account, "root");
                self.known(TraceKind::Principal, &name, is("userIdentity.arn", arn))
            }
            ("sts", _) => self.sessions(is("userIdentity.arn", arn)),
            ("ec2", "instance") => {
                self.known(TraceKind::Instance, last, Expr::Word(last.to_owned()))
            }
            ("lambda", _) => {
                let name = resource.strip_prefix("function:").unwrap_or(last);
                let name = name.split(':').next().unwrap_or_default();
                let named = is("requestParameters.functionName", name);
                let by = Expr::any_of([named, is("requestParameters.roleSessionName", name)]);
                self.known(TraceKind::Function, name, by)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn role(&mut self, arn: &str) -> Result<Vec<usize>, ApiError> {
        let by = Expr::any_of([
            is("userIdentity.sessionContext.sessionIssuer.arn", arn),
            is("requestParameters.roleArn", arn),
            is("responseElements.role.arn", arn),
        ]);
        let found = self.known(TraceKind::Role, arn, by)?;
        for at in &found {
            let who = arn.rsplit('/').next().unwrap_or_default().to_owned();
            let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
            self.graph.identify(*at, Identity { account, who, ..Identity::default() });
        }
        Ok(found)
    }

    fn user(&mut self, by: Expr, account: &str, user: &str) -> Result<Vec<usize>, ApiError> {
        let made = all([
            is("responseElements.user.userName", user),
            crate::ask::named("account", account),
        ]);
        let found =
            self.known(TraceKind::Principal, &user_name(account, user), Expr::any_of([by, made]))?;
        for at in &found {
            let (user, account, kind) = (user.to_owned(), account.to_owned(), "IAMUser".to_owned());
            let who = user.clone();
            self.graph.identify(*at, Identity { kind, account, user, who, ..Identity::default() });
        }
        Ok(found)
    }

    /// The keys of sessions with an ARN.
    fn sessions(&mut self, by: Expr) -> Result<Vec<usize>, ApiError> {
        let (keys, is_cut) = self.ask.groups(by, &[KEY], SESSIONS_MAX)?;
        if is_cut {
            self.leave_out("other keys of these sessions, used less often".to_owned());
        }
        let keys = keys.into_iter().filter_map(|group| group.values.into_iter().next());
        let keys = keys.filter(|key| !key.is_empty());
        Ok(keys
            .filter_map(|key| self.graph.node(TraceKind::Key, &key, TracePlace::Subject))
            .collect())
    }

    /// A name of a role, of a user, of a function or of a principal.
    fn name(&mut self, name: &str) -> Result<Vec<usize>, ApiError> {
        let role = "userIdentity.sessionContext.sessionIssuer";
        let by = is(&format!("{role}.userName"), name);
        let (arns, _) = self.ask.groups(by, &[&format!("{role}.arn")], SESSIONS_MAX)?;
        let mut found = Vec::new();
        for arn in
            arns.iter().filter_map(|group| group.values.first()).filter(|arn| !arn.is_empty())
        {
            found.extend(self.role(arn)?);
        }
        if found.is_empty() {
            let by = is("responseElements.role.roleName", name);
            if let Some(record) = self.ask.first(by)? {
                found.extend(self.role(record.text("/responseElements/role/arn"))?);
            }
        }
        let by = all([is("userIdentity.userName", name), is("userIdentity.type", "IAMUser")]);
        let (accounts, _) =
            self.ask.groups(by.clone(), &["userIdentity.accountId"], SESSIONS_MAX)?;
        for account in accounts.iter().filter_map(|group| group.values.first()) {
            found.extend(self.user(by.clone(), account, name)?);
        }
        if found.is_empty() {
            let by = is("responseElements.user.userName", name);
            if let Some(record) = self.ask.first(by.clone())? {
                found.extend(self.user(by, &record.meta.account.clone(), name)?);
            }
        }
        if found.is_empty() {
            found = self.sessions(is(PRINCIPAL, name))?;
        }
        Ok(found)
    }

    /// The credentials that an event was made with; those that it issued are found downwards.
    fn event(&mut self, id: &str) -> Result<Vec<usize>, ApiError> {
        let mut records = self.ask.event(id)?;
        if records.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            let found = self.ask.oldest(begins("eventID", id), 2, TotalMode::None)?;
            records = found.records;
            if let [one, other] = &records[..] {
                let message = format!(
                    "several events have an id that begins with '{id}': {}, {} …",
                    one.meta.id, other.meta.id
                );
                return Err(ApiError::new(ErrorKind::BadRequest, message));
            }
        }
        let mut found = Vec::new();
        for record in records {
            let identity = record.identity();
            // What an event of sign-in began is the session.
            let is_session = identity.key.is_empty()
                && record.name() == "ConsoleLogin"
                && self.begins_session(&record, &identity)?;
            let issued = record.issued();
            let at = if is_session {
                let identity = Identity { created: record.time().to_owned(), ..identity };
                let name = session_name(&identity);
                let at = self.graph.node(TraceKind::Session, &name, TracePlace::Subject);
                at.inspect(|at| self.graph.identify(*at, identity))
            } else if let Issued::Key(key) = issued {
                self.graph.node(TraceKind::Key, &key, TracePlace::Subject)
            } else {
                self.caller(&record, TracePlace::Subject)
            };
            found.extend(at);
        }
        found.dedup();
        Ok(found)
    }

    fn begins_session(
        &mut self,
        record: &crate::record::Record,
        identity: &Identity,
    ) -> Result<bool, ApiError> {
        let of = all([is(PRINCIPAL, &identity.principal), is(CREATED, record.time())]);
        Ok(self.ask.first(all([of, exists(KEY)]))?.is_some())
    }
}

/// Whether it is an access key: `AKIA`, `ASIA` and their like, and capital letters and digits.
fn is_key(text: &str) -> bool {
    let begins = ["AKIA", "ASIA", "ABIA", "ACCA"].iter().any(|prefix| text.starts_with(prefix));
    let is_plain = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    begins && is_plain && (16..=128).contains(&text.len())
}

/// Whether it is the id of an event, its beginning, or the place of one without.
fn is_event(text: &str) -> bool {
    let is_id = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    let is_place = text.split_once(':').is_some_and(|(file, byte)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number(file) && is_number(byte)
    });
    is_place || (text.len() >= ID_PREFIX_MIN && text.bytes().all(is_id))
}

fn unknown(of: &str) -> ApiError {
    let message =
        format!("no event has '{of}' as a key, ARN, role, user, event, instance or address");
    ApiError {
        suggestion: Some(format!("traildex search '\"{of}\"' --limit 5")),
        ..ApiError::new(ErrorKind::NotFound, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_apart() {
        assert!(
            is_key("ASIATFQR7NSCWLLE7IWW") && !is_key("ASIA") && !is_key("asiatfqr7nscwlle7iww")
        );
        assert!(is_event("bbe86c7c") && is_event("bbe86c7c-5981-4ac8-ad20-9248612b16c1"));
        assert!(is_event("12:4096") && !is_event("Admin:alice") && !is_event("bbe86"));
        assert!(is_instance("i-0dbc91f429e48eeed") && !is_instance("i-robot"));
    }
}
