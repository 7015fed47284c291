//! LookupEvents: turns AWS's request into a search, and the events found into AWS's response.
//!
//! The search finds candidates through the index. Then the event as AWS would show it decides
//! whether it matches. So every event in a response shows the attribute that it was looked up by,
//! whatever shape its record has.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::AwsError;
use crate::resources::{is, with_kind, with_name};
use crate::shown::ShownEvent;
use language::ast::{Expr, FieldRef, Pattern, PatternPiece, Query, Test};
use wire::engine::{Cancel, Engine};
use wire::{ApiError, QueryForm, SearchRequest, TotalMode};

/// Events of a page, where the request does not say, and at most.
const MAX_RESULTS: usize = 50;

/// Characters of an attribute's value, some of which count twice.
const VALUE_CHARS_MAX: usize = 2_000;

/// A day before the last time that there is (9999-12-30T22:00:00Z), in seconds since 1970.
const LAST_SECOND: f64 = 253_402_120_800.0;

const ACCOUNT: &str = "recipientAccountId";
const IDENTITY_ACCOUNT: &str = "userIdentity.accountId";
const CATEGORY: &str = "eventCategory";
const INSIGHT: &str = "Insight";

/// AWS's request as it travels. Unknown keys are ignored, as AWS does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LookupRequest {
    lookup_attributes: Option<Vec<Attribute>>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    event_category: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_key: String,
    attribute_value: String,
}

/// The attributes that AWS can look events up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeKey {
    EventId,
    EventName,
    ReadOnly,
    Username,
    ResourceType,
    ResourceName,
    EventSource,
    AccessKeyId,
}

impl AttributeKey {
    const NAMES: [(&str, Self); 8] = [
        ("EventId", Self::EventId),
        ("EventName", Self::EventName),
        ("ReadOnly", Self::ReadOnly),
        ("Username", Self::Username),
        ("ResourceType", Self::ResourceType),
        ("ResourceName", Self::ResourceName),
        ("EventSource", Self::EventSource),
        ("AccessKeyId", Self::AccessKeyId),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
    }

    /// Whether Insights events can be looked up by it.
    fn is_of_insights(self) -> bool {
        matches!(self, Self::EventId | Self::EventName | Self::EventSource)
    }
}

/// The events that a client may see.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The one region that it may see; None is all regions.
    pub(crate) region: Option<String>,
    /// The accounts that it may see; None is all accounts.
    pub(crate) accounts: Option<Vec<String>>,
    pub(crate) has_data_events: bool,
}

/// A request that has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    search: SearchRequest,
    wanted: Vec<(AttributeKey, String)>,
    max_results: usize,
}

/// AWS's response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LookupResponse {
    events: Vec<ShownEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    /// Why events may be missing; these go into a header, because AWS's shape has no place for
    /// them.
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
}

impl Lookup {
    pub(crate) fn new(request: LookupRequest, scope: &Scope) -> Result<Self, AwsError> {
        let is_insight = match request.event_category.as_deref() {
            None => false,
            Some("insight") => true,
            Some(other) => {
                let message = format!("The event category {other} is not valid.");
                return Err(AwsError::bad("InvalidEventCategoryException", message));
            }
        };
        let max_results = match request.max_results {
            None => MAX_RESULTS,
            Some(count) => usize::try_from(count)
                .ok()
                .filter(|count| (1..=MAX_RESULTS).contains(count))
                .ok_or_else(|| {
                    let message = format!("MaxResults must be from 1 to {MAX_RESULTS}.");
                    AwsError::bad("InvalidMaxResultsException", message)
                })?,
        };
        let wanted = request
            .lookup_attributes
            .unwrap_or_default()
            .into_iter()
            .map(|attribute| attribute.check(is_insight))
            .collect::<Result<Vec<_>, _>>()?;
        let (start, end) = times(request.start_time, request.end_time)?;
        let by_attributes = wanted.iter().map(|(key, value)| candidates(*key, value, is_insight));
        let filter = Expr::all_of(by_attributes.chain(scope.conditions(is_insight)));
        let search = SearchRequest {
            query: QueryForm::Tree(Box::new(Query::of(filter))),
            start,
            end,
            total: TotalMode::None,
            cursor: request.next_token,
            ..SearchRequest::default()
        };
        Ok(Self { search, wanted, max_results })
    }

    /// Whether the request has a page token, so that an error about the request can only be about
    /// that.
    pub(crate) fn has_token(&self) -> bool {
        self.search.cursor.is_some()
    }

    /// Finds one page of events.
    pub(crate) fn run(
        &self,
        engine: &dyn Engine,
        cancel: &Cancel,
    ) -> Result<LookupResponse, ApiError> {
        let mut search = self.search.clone();
        let mut events = Vec::new();
        loop {
            search.limit = Some(self.max_results - events.len());
            let found = engine.search(&search, cancel)?;
            for hit in found.hits {
                let event = ShownEvent::new(hit)?;
                if self.wanted.iter().all(|(key, value)| event.has(*key, value)) {
                    events.push(event);
                }
            }
            search.cursor = found.cursor;
            if events.len() == self.max_results || search.cursor.is_none() {
                let next_token = search.cursor;
                return Ok(LookupResponse { events, next_token, warnings: found.warnings });
            }
        }
    }
}

impl Attribute {
    fn check(self, is_insight: bool) -> Result<(AttributeKey, String), AwsError> {
        let bad = |message| Err(AwsError::bad("InvalidLookupAttributesException", message));
        let Self { attribute_key, attribute_value: value } = self;
        let Some(key) = AttributeKey::named(&attribute_key) else {
            return bad(format!("The lookup attribute {attribute_key} is not valid."));
        };
        if is_insight && !key.is_of_insights() {
            return bad(format!("Insights events have no lookup attribute {attribute_key}."));
        }
        let cost = |c| if matches!(c, '_' | ' ' | ',' | '\n') { 2 } else { 1 };
        let length: usize = value.chars().map(cost).sum();
        if !(1..=VALUE_CHARS_MAX).contains(&length) {
            return bad(format!(
                "The value of the lookup attribute {attribute_key} must have 1 to \
                 {VALUE_CHARS_MAX} characters."
            ));
        }
        Ok((key, value))
    }
}

impl Scope {
    fn conditions(&self, is_insight: bool) -> Vec<Expr> {
        let mut conditions = Vec::new();
        if is_insight {
            conditions.push(is(CATEGORY, INSIGHT));
        } else if self.has_data_events {
            conditions.push(Expr::negate(is(CATEGORY, INSIGHT)));
        } else {
            conditions.push(management_events());
        }
        conditions.extend(self.region.as_deref().map(|region| is("awsRegion", region)));
        conditions.extend(self.accounts.as_deref().map(of_accounts));
        conditions
    }
}

/// Records had no category before version 1.07; data events were told by `managementEvent`.
fn management_events() -> Expr {
    let has_no_category = Expr::negate(there(CATEGORY));
    let is_data = is("managementEvent", "false");
    let old = Expr::all_of([has_no_category, Expr::negate(is_data)]);
    Expr::any_of([is(CATEGORY, "Management"), old])
}

/// Old records do not say whose trail they are of; they are their identity's account's.
fn of_accounts(accounts: &[String]) -> Expr {
    let any = |path: &'static str| Expr::any_of(accounts.iter().map(move |one| is(path, one)));
    let old = Expr::all_of([Expr::negate(there(ACCOUNT)), any(IDENTITY_ACCOUNT)]);
    Expr::any_of([any(ACCOUNT), old])
}

fn there(path: &str) -> Expr {
    Expr::Field { field: FieldRef::at_path(path), test: Test::Exists }
}

/// The events that may be told to have the value; not fewer than those which are.
fn candidates(key: AttributeKey, value: &str, is_insight: bool) -> Expr {
    let named = |path: &str| {
        let of_record = is(path, value);
        if is_insight {
            Expr::any_of([of_record, is(&format!("insightDetails.{path}"), value)])
        } else {
            of_record
        }
    };
    match key {
        AttributeKey::EventId => is("eventID", value),
        AttributeKey::EventName => named("eventName"),
        AttributeKey::EventSource => named("eventSource"),
        AttributeKey::ReadOnly => is("readOnly", value),
        AttributeKey::AccessKeyId => is("userIdentity.accessKeyId", value),
        AttributeKey::Username => with_username(value),
        AttributeKey::ResourceType => with_kind(value),
        AttributeKey::ResourceName => with_name(value),
    }
}

/// By the user's name, by the name that the actor has without one, or as the session of a role.
fn with_username(name: &str) -> Expr {
    let derived = |column: &str, test| Expr::Field { field: FieldRef::named(column), test };
    let ending_in = |separator: char| {
        Test::Wildcard(Pattern::new([
            PatternPiece::AnyRun,
            PatternPiece::Text(format!("{separator}{name}")),
        ]))
    };
    let exactly = || Test::Is(language::ast::Value::of(name));
    Expr::any_of([
        is("userIdentity.userName", name),
        derived("actor", exactly()),
        derived("actor", ending_in('/')),
        derived("principal", ending_in(':')),
    ])
}

/// The bounds as a search takes them. Both of AWS's are inclusive.
fn times(
    start: Option<f64>,
    end: Option<f64>,
) -> Result<(Option<String>, Option<String>), AwsError> {
    let invalid = |message: &str| AwsError::bad("InvalidTimeRangeException", message);
    let in_range = |seconds: &f64| (0.0..=LAST_SECOND).contains(seconds);
    if !start.iter().chain(&end).all(in_range) {
        return Err(invalid("The time range is outside the range of possible values."));
    }
    if start.zip(end).is_some_and(|(start, end)| start > end) {
        return Err(invalid("The start time must be before the end time."));
    }
    let text = |seconds: f64, later: i64| {
        let micros = (seconds * 1e6).round() as i64 + later;
        let time = Timestamp::from_microsecond(micros);
        time.expect("it is in range").to_string()
    };
    Ok((start.map(|start| text(start, 0)), end.map(|end| text(end, 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions_and_both_ends_are_inclusive() {
        let (start, end) = times(Some(1_704_067_200.0), Some(1_704_067_200.25)).unwrap();
        assert_eq!(start.as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(end.as_deref(), Some("2024-01-01T00:00:00.250001Z"));
        assert!(times(Some(5.0), Some(5.0)).is_ok() && times(None, None).is_ok());
        assert!(times(None, Some(LAST_SECOND)).is_ok());
        for (start, end) in [
            (Some(5.5), Some(5.0)),
            (Some(-1.0), None),
            (None, Some(1e18)),
            (None, Some(f64::INFINITY)),
        ] {
            assert_eq!(times(start, end).unwrap_err().name, "InvalidTimeRangeException");
        }
    }
}
