//! What a query asks for, as far as coverage is concerned: events, services, accounts, regions, buckets
//! and times that all events it finds must have.

use std::ops::Bound;

use crate::kinds::{KINDS, matches};
use crate::limits::WANTED_MAX;
use language::ast::{Expr, Pattern, PatternPiece, Query, Stage, Test, Value};
use language::time::{Clock, parse_time};
use trail::columns;
use trail::columns::{ColumnId, EVENT_TIME_PATH};
use trail::names::{OTHER_NAMES, SERVICE_ENDING};
use trail::time::Micros;

/// A value that a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The value, in any case.
    Text(String),
    /// What matches it.
    Pattern(Pattern),
}

impl Wanted {
    /// Whether a value is meant.
    pub(crate) fn admits(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text.eq_ignore_ascii_case(value),
            Self::Pattern(pattern) => matches(&value.to_ascii_lowercase(), pattern),
        }
    }

    /// The value; None for a pattern.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Pattern(_) => None,
        }
    }

    /// The same of a service, whose ending people leave out.
    pub(crate) fn admits_service(&self, source: &str) -> bool {
        let short = source.strip_suffix(SERVICE_ENDING).unwrap_or(source);
        self.admits(source) || self.admits(short)
    }
}

/// See the module's documentation. None of a field means any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub(crate) names: Option<Vec<Wanted>>,
    pub(crate) sources: Option<Vec<Wanted>>,
    pub(crate) accounts: Option<Vec<Wanted>>,
    pub(crate) regions: Option<Vec<Wanted>>,
    pub(crate) buckets: Option<Vec<Wanted>>,
    pub(crate) types: Option<Vec<Wanted>>,
    /// Earliest time, inclusive.
    pub(crate) start: Option<Micros>,
    /// Latest time, exclusive.
    pub(crate) end: Option<Micros>,
}

/// The fields that are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Source,
    Account,
    Region,
    Bucket,
    Type,
    Time,
}

impl Asked {
    /// What a query asks for between two times of its request.
    pub fn of(query: &Query, start: Option<Micros>, end: Option<Micros>, clock: &Clock) -> Self {
        let filters = query.stages.iter().map_while(|stage| match stage {
            Stage::Filter(filter) => Some(filter),
            _ => None,
        });
        let mut asked = Self { start, end, ..Self::default() };
        for filter in std::iter::once(&query.filter).chain(filters) {
            asked.and(of(filter, clock));
        }
        for of in asked.fields() {
            // A list that long is no question about one of them.
            *of = of.take().filter(|wanted| wanted.len() <= WANTED_MAX);
        }
        asked
    }

    /// Whether it asks for a part of all time.
    pub(crate) fn is_bounded(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// Whether it asks for this account and region.
    pub(crate) fn is_at(&self, account: &str, region: &str) -> bool {
        admits(self.accounts.as_deref(), account) && admits(self.regions.as_deref(), region)
    }

    fn fields(&mut self) -> [&mut Option<Vec<Wanted>>; 6] {
        let Self { names, sources, accounts, regions, buckets, types, .. } = self;
        [names, sources, accounts, regions, buckets, types]
    }

    fn and(&mut self, mut other: Self) {
        for (of, more) in self.fields().into_iter().zip(other.fields()) {
            if of.is_none() {
                *of = more.take();
            }
        }
        self.start = self.start.max(other.start);
        self.end = [self.end, other.end].into_iter().flatten().min();
    }

    fn or(&mut self, mut other: Self) {
        for (of, more) in self.fields().into_iter().zip(other.fields()) {
            match (of.as_mut(), more.take()) {
                (Some(of), Some(more)) => of.extend(more),
                _ => *of = None,
            }
        }
        self.start = self.start.zip(other.start).map(|(a, b)| a.min(b));
        self.end = self.end.zip(other.end).map(|(a, b)| a.max(b));
    }
}

/// Whether a value is among those asked for.
pub(crate) fn admits(wanted: Option<&[Wanted]>, value: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(|wanted| wanted.admits(value)))
}

fn of(expr: &Expr, clock: &Clock) -> Asked {
    match expr {
        Expr::And(parts) => {
            let mut asked = Asked::default();
            for part in parts {
                asked.and(of(part, clock));
            }
            asked
        }
        Expr::Or(parts) => {
            let mut parts = parts.iter().map(|part| of(part, clock));
            let mut asked = parts.next().unwrap_or_default();
            parts.for_each(|part| asked.or(part));
            asked
        }
        Expr::Word(word) | Expr::Phrase(word) if KINDS.iter().any(|kind| kind.has(word)) => {
            Asked { names: Some(vec![Wanted::Text(word.clone())]), ..Asked::default() }
        }
        Expr::Field { field, test } => of_field(&field.name, test, clock),
        _ => Asked::default(),
    }
}

fn of_field(name: &str, test: &Test, clock: &Clock) -> Asked {
    let mut asked = Asked::default();
    let Some(field) = field(name) else { return asked };
    if field == Field::Time {
        (asked.start, asked.end) = span(test, clock);
        return asked;
    }
    let Some(mut wanted) = values(test) else { return asked };
    if field == Field::Name {
        // An action can be written with its service: `s3:DeleteObject`.
        for wanted in &mut wanted {
            if let Wanted::Text(text) = wanted {
                *text = text.rsplit(':').next().unwrap_or_default().to_owned();
            }
        }
    }
    let place = match field {
        Field::Name => &mut asked.names,
        Field::Source => &mut asked.sources,
        Field::Account => &mut asked.accounts,
        Field::Region => &mut asked.regions,
        Field::Bucket => &mut asked.buckets,
        Field::Type | Field::Time => &mut asked.types,
    };
    *place = Some(wanted);
    asked
}

/// The field of this name, by any of its names.
fn field(name: &str) -> Option<Field> {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    let name = other.map_or(name, |(_, ours)| *ours);
    let folded = name.to_ascii_lowercase();
    match folded.as_str() {
        "time" => return Some(Field::Time),
        "bucket" | "bucketname" | "requestparameters.bucketname" => return Some(Field::Bucket),
        "resources.type" => return Some(Field::Type),
        folded if folded == EVENT_TIME_PATH.to_ascii_lowercase() => return Some(Field::Time),
        _ => {}
    }
    let column = ColumnId::all().find(|id| {
        let column = id.column();
        column.path.eq_ignore_ascii_case(name)
            || column.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })?;
    [
        (columns::EVENT_NAME, Field::Name),
        (columns::ACTION, Field::Name),
        (columns::EVENT_SOURCE, Field::Source),
        (columns::ACCOUNT, Field::Account),
        (columns::RECIPIENT_ACCOUNT, Field::Account),
        (columns::AWS_REGION, Field::Region),
    ]
    .into_iter()
    .find(|(known, _)| *known == column)
    .map(|(_, field)| field)
}

/// The values that a test admits; None where it admits others, too.
fn values(test: &Test) -> Option<Vec<Wanted>> {
    match test {
        Test::Is(value) => Some(vec![Wanted::Text(value.text.clone())]),
        Test::Phrase(text) => Some(vec![Wanted::Text(text.clone())]),
        Test::AnyCase(pattern) | Test::Wildcard(pattern) => Some(vec![match pattern.pieces() {
            [PatternPiece::Text(text)] => Wanted::Text(text.clone()),
            [PatternPiece::AnyRun] => return None,
            _ => Wanted::Pattern(pattern.clone()),
        }]),
        Test::OneOf(tests) => {
            let all: Option<Vec<_>> = tests.iter().map(values).collect();
            Some(all?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// The time that a test admits.
fn span(test: &Test, clock: &Clock) -> (Option<Micros>, Option<Micros>) {
    let read = |value: &Value| parse_time(&value.text, clock).ok();
    match test {
        Test::Range { lower, upper } => {
            let start = match lower {
                Bound::Included(value) => read(value).map(|span| span.start),
                Bound::Excluded(value) => read(value).map(|span| span.end),
                Bound::Unbounded => None,
            };
            let end = match upper {
                Bound::Included(value) => read(value).map(|span| span.end),
                Bound::Excluded(value) => read(value).map(|span| span.start),
                Bound::Unbounded => None,
            };
            (start, end)
        }
        test => match values(test).as_deref() {
            Some([Wanted::Text(text)]) => match parse_time(text, clock) {
                Ok(span) => (Some(span.start), Some(span.end)),
                Err(_) => (None, None),
            },
            _ => (None, None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::asked;

    /// The values that are texts.
    fn texts(wanted: Option<&Vec<Wanted>>) -> Option<Vec<&str>> {
        Some(wanted?.iter().filter_map(Wanted::text).collect())
    }

    #[test]
    fn what_all_events_must_have_is_asked_for() {
        let all =
            asked("eventName:DeleteObject service:s3 region:us-east-1 account:1 bucketName:b");
        assert_eq!(texts(all.names.as_ref()), Some(vec!["DeleteObject"]));
        assert_eq!(texts(all.sources.as_ref()), Some(vec!["s3"]));
        assert_eq!(texts(all.regions.as_ref()), Some(vec!["us-east-1"]));
        assert_eq!(texts(all.accounts.as_ref()), Some(vec!["1"]));
        assert_eq!(texts(all.buckets.as_ref()), Some(vec!["b"]));
        let either = asked("eventName:(GetObject OR PutObject) OR action:DeleteObject");
        assert_eq!(
            texts(either.names.as_ref()),
            Some(vec!["GetObject", "PutObject", "DeleteObject"])
        );
        assert_eq!(texts(asked("DeleteObject").names.as_ref()), Some(vec!["DeleteObject"]));
        assert_eq!(
            texts(asked("* | filter region = eu-west-1 | count").regions.as_ref()),
            Some(vec!["eu-west-1"])
        );
        for any in ["*", "eventName:DeleteObject OR user:x", "NOT region:us-east-1", "CreateUser"] {
            assert_eq!(asked(any), Asked::default(), "{any}");
        }
    }

    #[test]
    fn times_of_a_query_bound_it() {
        let day = asked("time:2023-07-10");
        assert_eq!(day.start, Micros::parse_event_time("2023-07-10T00:00:00Z"));
        assert_eq!(day.end, Micros::parse_event_time("2023-07-11T00:00:00Z"));
        let from = asked("eventTime >= 2023-07-10T12:00:00Z AND eventTime < 2023-07-10T13:00:00Z");
        assert_eq!(from.start, Micros::parse_event_time("2023-07-10T12:00:00Z"));
        assert_eq!(from.end, Micros::parse_event_time("2023-07-10T13:00:00Z"));
        assert!(!asked("user:x").is_bounded());
    }
}
