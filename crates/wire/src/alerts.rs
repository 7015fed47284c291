//! Alerts: what detection rules found while the daemon runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a person did with an alert.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Nothing yet.
    #[default]
    Open,
    /// Someone looks at it.
    Acknowledged,
    /// Someone is done with it.
    Closed,
}

/// What a rule says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertRule {
    /// What the rule finds, in a few words.
    pub title: String,
    /// A UUID, as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A short name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much it matters: `informational`, `low`, `medium`, `high` or `critical`.
    pub level: String,
    /// How mature the rule is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What happened, and why it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Under which licence, if the rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where more is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Such as `attack.t1078`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What else it can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub falsepositives: Vec<String>,
}

/// What a rule found: events that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// 32 digits, the same wherever the same rule finds the same.
    pub id: String,
    /// The rule, as it was when it found this last.
    #[serde(serialize_with = "shared", deserialize_with = "to_share")]
    #[schemars(with = "AlertRule")]
    pub rule: Arc<AlertRule>,
    /// `events`, `event_count`, …, `first_seen` or `absence`.
    pub kind: String,
    /// What the events have in common: names of fields, and their values.
    pub group: BTreeMap<String, String>,
    /// The time of the first event.
    pub first: String,
    /// The time of the last event.
    pub last: String,
    /// How many events there are.
    pub events: u64,
    /// The ids of the first hundred, for kinds whose events are not all that the query finds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// A query that finds the events; absent where there are too many for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What a person did with it.
    #[serde(default)]
    pub state: AlertState,
    /// A person's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The number of the user who changed state or note last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// When it proved to be wrong: an event that came in late, or another version of the rule, says
    /// otherwise. Absent while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// When it was raised first.
    pub raised: String,
    /// When it changed last.
    pub changed: String,
}

fn shared<S: Serializer>(rule: &Arc<AlertRule>, serializer: S) -> Result<S::Ok, S::Error> {
    rule.as_ref().serialize(serializer)
}

fn to_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<AlertRule>, D::Error> {
    AlertRule::deserialize(deserializer).map(Arc::new)
}

/// `GET /v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsRequest {
    /// Words, in any case; each must be in some text of the alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Only alerts in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// Only those that were withdrawn, or only those that were not; if absent, those that were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<bool>,
    /// Only those of the rule with this id, name or title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Only those of this level and those above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Only those whose id begins with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Only those with an event at this time or later: a date, a date and time, or relative (`-24h`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Only those with an event before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How many are returned; 100 if absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How many are left out before the first that is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

/// The answer to `GET /v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertsResponse {
    /// Those with the latest events first.
    pub alerts: Vec<Alert>,
    /// How many there are in all, returned or not.
    pub total: u64,
    /// How many of them there are by level, the worst first; levels without one are left out.
    pub levels: Vec<AlertCount>,
    /// How many of them there are by state.
    pub states: Vec<AlertCount>,
    /// What rules do, and what alerts may lack.
    pub rules: RulesStatus,
}

/// How many alerts have a level or a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertCount {
    /// The level or state.
    pub value: String,
    /// How many alerts there are.
    pub alerts: u64,
}

/// What the daemon's rules do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesStatus {
    /// How many rules are asked.
    pub rules: u64,
    /// Whether they have looked at all events that searches find.
    pub is_current: bool,
    /// How many alerts are open and stand.
    pub open: u64,
    /// What is wrong with files of rules: file, line and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Rules that could not be asked, and why. They are asked again in a minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// How many alerts were dropped, the oldest first, because there were too many.
    #[serde(default)]
    pub dropped: u64,
}

/// `POST /v1/alerts`: what a person did with alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsChangeRequest {
    /// The ids of the alerts, 1,000 at most. All of them must be there, or nothing changes.
    pub ids: Vec<String>,
    /// Their new state; as it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// Their new note, of 4,096 bytes at most; as it is if absent, none if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The answer to `POST /v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertsChangeResponse {
    /// The alerts as they are now.
    pub alerts: Vec<Alert>,
}

/// `GET /v1/alerts/changes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertChangesRequest {
    /// The number of the last change that the client has; 0, or absent, begins with the first that is
    /// kept.
    #[serde(default)]
    pub after: u64,
    /// How many are returned; 100 if absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Seconds that the answer may wait for a change, 60 at most; none if absent.
    #[serde(default)]
    pub wait: u64,
}

/// The answer to `GET /v1/alerts/changes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertChanges {
    /// Names the log of changes. Under another name, numbers begin again.
    pub log: String,
    /// The changes, in order.
    pub changes: Vec<AlertChange>,
    /// The number of the newest change there is.
    pub last: u64,
    /// How many changes behind `after`, and before the last that is returned, are no longer kept or are of
    /// alerts that were dropped.
    pub missed: u64,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertChange {
    /// Counted up from 1.
    pub number: u64,
    /// When it was.
    pub time: String,
    /// What it was.
    pub change: AlertChangeKind,
    /// The alert as it is now: later changes show in it.
    pub alert: Alert,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertChangeKind {
    /// It is new, or stands again.
    Raised,
    /// It has more events, or others.
    Grown,
    /// It proved to be wrong.
    Withdrawn,
    /// Someone looks at it.
    Acknowledged,
    /// Someone is done with it.
    Closed,
    /// Someone opened it again.
    Reopened,
    /// Someone wrote another note.
    Noted,
}
