//! The events that issued a key, or a session.

use language::ast::Expr;
use wire::{ApiError, TotalMode, TraceGap};

use crate::Tracer;
use crate::ask::{ISSUED, MADE_KEY, PRINCIPAL, all, is, named, one_of, succeeded};
use crate::callers::Merged;
use crate::record::{Identity, Issued};

/// Issuers that are looked at for one key or session. One is usual, two are ambiguous.
const ISSUERS_MAX: usize = 8;

/// What begins a console session, or a session of a user.
const SIGN_INS: &[&str] = &[
    "ConsoleLogin",
    "SwitchRole",
    "ExitRole",
    "GetSigninToken",
    "CreateOAuth2Token",
    "GetSessionToken",
];

impl Tracer<'_> {
    /// Rule 1: the events whose answers have the key.
    pub(crate) fn issuers_of_key(&mut self, key: &str) -> Result<Vec<Merged>, ApiError> {
        let filter = Expr::any_of([is(ISSUED, key), is(MADE_KEY, key)]);
        let found = self.ask.oldest(filter, ISSUERS_MAX, TotalMode::None)?;
        self.merged(found.records)
    }

    /// Rule 2: the events that issued the session's principal in the second when it began.
    pub(crate) fn issuers_of_session(
        &mut self,
        identity: &Identity,
    ) -> Result<Vec<Merged>, ApiError> {
        let Identity { principal, created, .. } = identity;
        if principal.is_empty() || created.is_empty() {
            return Ok(Vec::new());
        }
        let issued = Expr::any_of([
            is("responseElements.assumedRoleUser.assumedRoleId", principal),
            is("responseElements.federatedUser.federatedUserId", principal),
        ]);
        let filter = all([issued, named("time", created)]);
        let found = self.ask.oldest(filter, ISSUERS_MAX, TotalMode::None)?;
        let succeeded = found.records.into_iter().filter(super::record::Record::has_succeeded);
        self.merged(succeeded.collect())
    }

    /// Rule 3: the sign-ins of the principal in the second when its session began, or of the same
    /// sign-in by its ARN.
    pub(crate) fn sign_ins(&mut self, identity: &Identity) -> Result<Vec<Merged>, ApiError> {
        let Identity { principal, created, sign_in, .. } = identity;
        let at_once = all([is(PRINCIPAL, principal), named("time", created)]);
        let by = if sign_in.is_empty() {
            at_once
        } else {
            Expr::any_of([at_once, Expr::Phrase(sign_in.clone())])
        };
        let filter = all([one_of("eventName", SIGN_INS), by]);
        let found = self.ask.oldest(filter, ISSUERS_MAX, TotalMode::None)?;
        let signed_in = |record: &crate::record::Record| {
            // A key that is told, and is another's, began another session.
            record.has_succeeded() && !matches!(record.issued(), Issued::Key(_))
        };
        let found = found.records.into_iter().filter(signed_in).collect();
        self.merged(found)
    }

    /// The events that made something, or gave it a way in, by what their answers and parameters name.
    pub(crate) fn makers(
        &mut self,
        names: Expr,
        what: Expr,
        limit: usize,
    ) -> Result<Vec<Merged>, ApiError> {
        let found = self.ask.oldest(all([names, what, succeeded()]), limit, TotalMode::None)?;
        let succeeded = found.records.into_iter().filter(super::record::Record::has_succeeded);
        self.merged(succeeded.collect())
    }

    /// Tells that the issue of a node is not in the index, unless there was no search left to find it.
    pub(crate) fn gap(&mut self, at: usize, missing: String, time: &str) {
        if self.ask.is_spent {
            return;
        }
        let node = self.graph.id(at);
        let time = (!time.is_empty()).then(|| time.to_owned());
        if !self.gaps.iter().any(|gap| gap.node == node) {
            self.gaps.push(TraceGap { node, missing, time, files: Vec::new(), files_total: None });
        }
    }
}
