//! Coverage: what the archive can know, and what it cannot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trail::time::Micros;

use crate::validate::{DigestState, Integrity, StateCount};

/// `GET /v1/coverage?by=…&start=…&end=…&account=…&region=…&limit=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageRequest {
    /// Earliest time, inclusive, in the forms of a search's `start`. If absent, that of the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Latest time, exclusive, in the same forms. If absent, behind the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The zone of times without an offset. UTC if absent. Hours and days of the answer are UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Only this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the groups are of: `account`, `region` and `day` or `hour`, or some of these, separated by
    /// commas. If absent, `account,region,day`.
    #[serde(default, with = "list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        with = "String",
        regex(pattern = "^(account|region|day|hour)(,(account|region|day|hour))*$")
    )]
    pub by: Vec<CoverageKey>,
    /// At most this many groups; 10,000 if absent. Gaps, trails and recordings are listed up to 1,000
    /// each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What coverage can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoverageKey {
    /// The account that the events are of.
    Account,
    /// The region of the events.
    Region,
    /// The day of the events, UTC.
    Day,
    /// The hour of the events, UTC.
    Hour,
}

impl CoverageKey {
    /// Every key with its name in the API, in the order of declaration.
    pub const ALL: [(&'static str, Self); 4] = [
        ("account", Self::Account),
        ("region", Self::Region),
        ("day", Self::Day),
        ("hour", Self::Hour),
    ];

    /// What groups are of if nobody says.
    pub const DEFAULT: [Self; 3] = [Self::Account, Self::Region, Self::Day];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// `account,day`, as a query string has it.
mod list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::CoverageKey;

    pub(crate) fn serialize<S: Serializer>(
        by: &[CoverageKey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = by.iter().map(|key| key.name()).collect();
        serializer.serialize_str(&names.join(","))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<CoverageKey>, D::Error> {
        let text = String::deserialize(d)?;
        let key = |name: &str| {
            let found = CoverageKey::ALL.iter().find(|(known, _)| *known == name.trim());
            found.map(|(_, key)| *key).ok_or_else(|| {
                D::Error::custom(format!(
                    "'{name}' is not one of account, region, day and hour, separated by commas"
                ))
            })
        };
        text.split(',').map(key).collect()
    }
}

/// The answer to `GET /v1/coverage`. What is not recorded cannot be found; this is what was recorded, as
/// far as the archive shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageResponse {
    /// Time of the first event in the index; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Micros>,
    /// Time of the last event in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Micros>,
    /// Hours without an event, of an account and region that have events in nearly all hours around
    /// them; the latest first.
    pub gaps: Vec<CoverageGap>,
    /// What was done to trails: created, started, stopped, changed, deleted; the earliest first.
    pub trails: Vec<TrailChange>,
    /// Which data events trails were told to record, and from when to when.
    pub recordings: Vec<Recording>,
    /// Which data events the archive has.
    pub data_events: Vec<DataEvents>,
    /// Files and events by the keys of `by`, in the order of the keys. Where a key is a day or an hour,
    /// one without an event between two that have events is among them.
    pub groups: Vec<CoverageGroup>,
    /// How many groups there are, listed or not.
    pub total: u64,
    /// What this answer lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why the answer may lack events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Hours without an event where there should be some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageGap {
    /// The account that lacks events.
    pub account: String,
    /// The region that lacks events.
    pub region: String,
    /// The beginning of the first hour without an event.
    pub start: Micros,
    /// The end of the last of them.
    pub end: Micros,
    /// How many hours they are.
    pub hours: u64,
    /// Whether no event of this account and region comes behind it, though others go on.
    #[serde(default)]
    pub is_end: bool,
}

/// What was done to a trail, as an event of the archive tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrailChange {
    /// When it was done.
    pub time: Micros,
    /// The event's name: `StopLogging`, `PutEventSelectors`.
    pub action: String,
    /// The account of the trail.
    pub account: String,
    /// The trail's home region, as far as the event tells it.
    pub region: String,
    /// The name of the trail.
    pub trail: String,
    /// Who did it.
    pub actor: String,
    /// The event's id.
    pub id: String,
    /// What it means for what is recorded, in a few words.
    pub change: String,
}

/// A kind of data events that a trail was told to record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// The kind, as event selectors name it: `AWS::S3::Object`.
    pub resource_type: String,
    /// The resources, as the selector names them; absent where it is all of the kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// What narrows it further: `reads only`, `writes only`, or fields of an advanced selector.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub only: String,
    /// The account of the trail.
    pub account: String,
    /// Whether the trail is one of an organization, for all of its accounts, as far as the archive shows.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub is_organization: bool,
    /// The trail's home region.
    pub region: String,
    /// The name of the trail.
    pub trail: String,
    /// From when on the selector applied.
    pub from: Micros,
    /// Until when: the selector was changed, or the trail was stopped or deleted. Absent where the
    /// archive shows no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Micros>,
}

/// The data events of a service that the archive has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataEvents {
    /// The service: `s3.amazonaws.com`.
    pub source: String,
    /// The account.
    pub account: String,
    /// How many there are.
    pub events: u64,
    /// The time of the first.
    pub first: Micros,
    /// The time of the last.
    pub last: Micros,
}

/// Files and events of one account, region and day or hour, as far as the request groups by them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageGroup {
    /// The account; absent where groups are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region; absent where groups are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The beginning of the day or the hour; absent where groups are of all time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Micros>,
    /// Files that were read and whose first event is here. A file with events of several accounts or
    /// regions counts for `several`.
    pub files: u64,
    /// How many events there are.
    pub events: u64,
    /// Hours that have an event, of each account and region.
    pub hours: u64,
    /// Hours of gaps, of each account and region.
    pub missing: u64,
    /// Time of the first event; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Micros>,
    /// Time of the last event; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Micros>,
    /// What the digests say of these files; empty where the archive has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrity: Vec<StateCount<Integrity>>,
    /// Digests whose span begins here, with those that are missing, by their state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<StateCount<DigestState>>,
}
