//! What a record means beside what it says: the columns that are derived of several of its fields.

use super::{Event, Leaf, Scalar, Span, push, text};
use crate::client::client;
use crate::columns;
use crate::columns::ColumnId;
use crate::identity::{Identity, is_anonymous};
use crate::outcome::{Evidence, Sign};
use crate::paths::{Note, PathId, SEPARATOR};
use crate::target::{Part, Place, Rank, TARGET_BYTES_MAX};

/// Targets of an event among which equal ones are found; a call that names more names each once.
const TARGETS_COMPARED_MAX: usize = 64;

/// What fields that are no columns say of the event.
#[derive(Debug, Default)]
pub(super) struct Noted {
    on_behalf_of: Option<Span>,
    account: Option<Span>,
    insight_name: Option<Span>,
    insight_error: Option<Span>,
    is_console_session: bool,
    has_succeeded: bool,
    /// What says that the call failed.
    failed: Option<(Sign, Span)>,
    /// The same, if the path's last key is the event's name.
    failed_by_name: Option<(PathId, Span)>,
    targets: Vec<(&'static Place, Span)>,
    /// Scratch space: of the targets that count, their order and texts.
    chosen: Vec<(usize, Span)>,
}

impl Noted {
    pub(super) fn clear(&mut self) {
        let (mut targets, chosen) =
            (std::mem::take(&mut self.targets), std::mem::take(&mut self.chosen));
        targets.clear();
        *self = Self { targets, chosen, ..Self::default() };
    }
}

impl Event {
    /// Notes what the leaf that was added last says.
    pub(super) fn note(&mut self, note: Note, path: PathId, scalar: Scalar<'_>) {
        let span = match self.leaves.last() {
            Some((_, Leaf::Str(span))) => Some(*span),
            _ => None,
        };
        let noted = &mut self.noted;
        match (note, span) {
            (Note::OnBehalfOf, Some(span)) => noted.on_behalf_of = Some(span),
            (Note::InsightName, Some(span)) => noted.insight_name = Some(span),
            (Note::Account, Some(span)) => noted.account = Some(span),
            (Note::ConsoleSession, _) => {
                noted.is_console_session =
                    matches!(scalar, Scalar::Bool(true) | Scalar::Str("true"));
            }
            (Note::Sign(sign), _) if sign.is_of_failure(scalar) => {
                let span = span.unwrap_or_else(|| self.push_scalar(scalar));
                self.note_failure(sign, path, span);
            }
            (Note::Sign(sign), _) => noted.has_succeeded |= sign.is_of_success(scalar),
            (Note::Target(place), Some(span)) => {
                let bytes = (span.end - span.start) as usize;
                if (1..=TARGET_BYTES_MAX).contains(&bytes) {
                    noted.targets.push((place, span));
                }
            }
            _ => {}
        }
    }

    fn note_failure(&mut self, sign: Sign, path: PathId, span: Span) {
        let noted = &mut self.noted;
        match sign {
            Sign::Insight => noted.insight_error = Some(span),
            Sign::Named => noted.failed_by_name = Some((path, span)),
            _ if noted.failed.is_none_or(|(other, _)| other.rank() < sign.rank()) => {
                noted.failed = Some((sign, span));
            }
            _ => {}
        }
    }

    /// Adds the derived columns.
    pub(super) fn derive(&mut self) {
        self.derive_identity();
        self.derive_outcome();
        self.derive_client();
        self.derive_target();
        let is_account = |span: &Span| !is_anonymous(text(&self.arena, *span));
        let recipient = self.span(columns::RECIPIENT_ACCOUNT).filter(|span| !span.is_empty());
        let of_identity = self.span(columns::IDENTITY_ACCOUNT).filter(is_account);
        let account = recipient.or(of_identity.filter(|span| !span.is_empty()));
        let account = account.or(self.noted.account);
        self.push_column(columns::ACCOUNT, account);
        let action = self.span(columns::EVENT_NAME).or(self.noted.insight_name);
        self.push_column(columns::ACTION, action);
    }

    fn push_column(&mut self, id: ColumnId, span: Option<Span>) {
        self.columns.extend(span.filter(|span| !span.is_empty()).map(|span| (id, span)));
    }

    /// The first value of a column.
    fn span(&self, id: ColumnId) -> Option<Span> {
        self.columns.iter().find(|(column, _)| *column == id).map(|(_, span)| *span)
    }

    fn noted_text(&self, span: Option<Span>) -> &str {
        span.map_or("", |span| text(&self.arena, span))
    }

    fn derive_identity(&mut self) {
        let identity = Identity {
            kind: self.column(columns::IDENTITY_TYPE),
            arn: self.column(columns::IDENTITY_ARN),
            user_name: self.column(columns::USER_NAME),
            principal: self.column(columns::PRINCIPAL),
            account: self.column(columns::IDENTITY_ACCOUNT),
            invoked_by: self.column(columns::INVOKED_BY),
            issuer_name: self.column(columns::ISSUER_NAME),
            on_behalf_of: self.noted_text(self.noted.on_behalf_of),
        };
        let credential = identity.credential().name();
        let actor = identity.actor().into_owned();
        let span = push(&mut self.arena, credential);
        self.columns.push((columns::CREDENTIAL, span));
        if !actor.is_empty() {
            let span = push(&mut self.arena, &actor);
            self.columns.push((columns::ACTOR, span));
        }
    }

    fn derive_outcome(&mut self) {
        let name = self.column(columns::EVENT_NAME);
        let by_name = self
            .noted
            .failed_by_name
            .filter(|(path, _)| self.paths.text(*path).rsplit(SEPARATOR).next() == Some(name));
        let failed = self.noted.failed.map(|(_, span)| span).or(by_name.map(|(_, span)| span));
        let evidence = Evidence {
            code: self.column(columns::ERROR_CODE),
            message: self.column(columns::ERROR_MESSAGE),
            failed: failed.map(|span| text(&self.arena, span)),
            has_succeeded: self.noted.has_succeeded,
            insight: self.noted_text(self.noted.insight_error),
            is_call: !name.is_empty(),
        };
        let (outcome, error) = evidence.outcome();
        let Some(outcome) = outcome else { return };
        let error = (!error.is_empty()).then(|| error.to_owned());
        let span = push(&mut self.arena, outcome.name());
        self.columns.push((columns::OUTCOME, span));
        if let Some(error) = error {
            let span = self.push_exact(&error);
            self.columns.push((columns::ERROR, span));
        }
    }

    fn derive_client(&mut self) {
        let agent = self.column(columns::USER_AGENT);
        let client = client(agent, self.noted.is_console_session).into_owned();
        if !client.is_empty() {
            let span = push(&mut self.arena, &client);
            self.columns.push((columns::CLIENT, span));
        }
    }

    fn derive_target(&mut self) {
        let mut chosen = std::mem::take(&mut self.noted.chosen);
        chosen.clear();
        let source = self.column(columns::EVENT_SOURCE);
        let rank = |place: &Place| place.rank(source);
        let best: Option<Rank> =
            self.noted.targets.iter().filter_map(|(place, _)| rank(place)).min();
        let (mut bucket, mut key) = (None, None);
        for (place, span) in &self.noted.targets {
            if best.is_none() || rank(place) != best {
                continue;
            }
            match place.part {
                Part::Bucket => bucket = bucket.or(Some(*span)),
                Part::Key => key = key.or(Some(*span)),
                Part::Whole => chosen.push((place.order, *span)),
            }
        }
        if best.is_none() {
            let arns = self.columns.iter().filter(|(id, _)| *id == columns::RESOURCE_ARN);
            chosen.extend(arns.map(|(_, span)| (0, *span)));
        }
        chosen.sort_by_key(|(order, _)| *order);
        let object = match (bucket, key) {
            (Some(bucket), Some(key)) => {
                let name = format!("{}/{}", text(&self.arena, bucket), text(&self.arena, key));
                Some(push(&mut self.arena, &name))
            }
            (bucket, _) => bucket,
        };
        self.push_column(columns::TARGET, object);
        let first = self.columns.len() - usize::from(object.is_some());
        for (_, span) in &chosen {
            let (before, value) = (&self.columns[first..], text(&self.arena, *span));
            let is_known = before.len() <= TARGETS_COMPARED_MAX
                && before.iter().any(|(_, other)| text(&self.arena, *other) == value);
            if !is_known {
                self.push_column(columns::TARGET, Some(*span));
            }
        }
        self.noted.chosen = chosen;
    }
}

#[cfg(test)]
mod tests;
