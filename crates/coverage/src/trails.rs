//! What was done to trails, as the events of an archive tell it.

use serde_json::Value;

use crate::limits::{LISTED_MAX, TEXT_BYTES_MAX};
use crate::selectors::Selectors;
use trail::time::Micros;
use wire::{Hit, TrailChange};

/// The events that change what is recorded.
pub const ACTIONS: [&str; 7] = [
    "CreateTrail",
    "StartLogging",
    "StopLogging",
    "DeleteTrail",
    "UpdateTrail",
    "PutEventSelectors",
    "PutInsightSelectors",
];

/// One such event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// As the API tells it.
    pub told: TrailChange,
    /// What the trail records from then on; None where that stays.
    pub selectors: Option<Selectors>,
    /// Whether the trail is that of an organization, for all of its accounts; None where that stays.
    pub is_organization: Option<bool>,
}

impl Change {
    /// What changes are sorted by. Those of one second are in the order of a trail's life.
    pub(crate) fn order(&self) -> (Micros, usize, String) {
        const LIFE: [&str; 7] = [
            "CreateTrail",
            "UpdateTrail",
            "PutEventSelectors",
            "PutInsightSelectors",
            "StartLogging",
            "StopLogging",
            "DeleteTrail",
        ];
        let rank = LIFE.iter().position(|action| *action == self.told.action);
        (self.told.time, rank.unwrap_or_default(), self.told.id.clone())
    }

    /// Reads an event; None if it changed nothing, because it failed or is another.
    pub fn of(hit: &Hit) -> Option<Self> {
        let record: Value = serde_json::from_str(hit.event.get()).ok()?;
        let action = ACTIONS.iter().find(|action| record["eventName"] == **action)?;
        let is_of_cloudtrail =
            record["eventSource"].as_str().is_some_and(|source| source.starts_with("cloudtrail."));
        if !is_of_cloudtrail || !matches!(hit.meta.outcome.as_str(), "success" | "") {
            return None;
        }
        let place = Place::of(&record, hit);
        let (asked, answer) = (&record["requestParameters"], &record["responseElements"]);
        let selectors = match *action {
            "PutEventSelectors" => Selectors::read(answer).or_else(|| Selectors::read(asked)),
            "CreateTrail" => Some(Selectors::usual()),
            _ => None,
        };
        let change = match (*action, &selectors) {
            ("PutEventSelectors", Some(selectors)) => format!("records {}", selectors.told()),
            (action, _) => change(action, asked, answer),
        };
        Some(Self {
            told: TrailChange {
                time: time(&hit.meta.time)?,
                action: (*action).to_owned(),
                account: place.account,
                region: place.region,
                trail: place.trail,
                actor: cut(&hit.meta.actor),
                id: cut(&hit.meta.id),
                change,
            },
            selectors,
            is_organization: [answer, asked]
                .iter()
                .find_map(|of| of.get("isOrganizationTrail").and_then(Value::as_bool)),
        })
    }
}

/// A time of an answer; None where the text is none.
pub(crate) fn time(text: &str) -> Option<Micros> {
    Micros::parse_event_time(text)
}

/// Whose trail it is.
struct Place {
    account: String,
    region: String,
    trail: String,
}

impl Place {
    /// A trail is named by its name or its ARN, which also has its account and home region.
    fn of(record: &Value, hit: &Hit) -> Self {
        let (asked, answer) = (&record["requestParameters"], &record["responseElements"]);
        let names = [
            &answer["trailARN"],
            &asked["trailARN"],
            &asked["name"],
            &asked["trailName"],
            &asked["trailArn"],
            &answer["name"],
        ];
        let name = names.iter().find_map(|name| name.as_str()).unwrap_or("?");
        let parts: Vec<&str> = name.splitn(6, ':').collect();
        let region = record["awsRegion"].as_str().unwrap_or_default();
        match parts[..] {
            ["arn", _, "cloudtrail", region, account, trail] => Self {
                account: cut(account),
                region: cut(region),
                trail: cut(trail.strip_prefix("trail/").unwrap_or(trail)),
            },
            _ => Self { account: cut(&hit.meta.account), region: cut(region), trail: cut(name) },
        }
    }
}

/// What an action means, in a few words.
fn change(action: &str, asked: &Value, answer: &Value) -> String {
    let set = |key: &str| answer.get(key).or_else(|| asked.get(key));
    let is = |key: &str| set(key).and_then(Value::as_bool);
    match action {
        "StartLogging" => "logging started".to_owned(),
        "StopLogging" => "logging stopped".to_owned(),
        "DeleteTrail" => "deleted".to_owned(),
        "CreateTrail" | "UpdateTrail" => {
            let scope = is("isMultiRegionTrail").map(|is_multi| {
                if is_multi { "of all regions".to_owned() } else { "of one region".to_owned() }
            });
            let organization = is("isOrganizationTrail").filter(|is| *is);
            let organization = organization.map(|_| "of the organization".to_owned());
            let global = is("includeGlobalServiceEvents").filter(|is| !is);
            let global = global.map(|_| "without global services".to_owned());
            let bucket = set("s3BucketName").and_then(Value::as_str);
            let bucket = bucket.map(|bucket| format!("to bucket {}", cut(bucket)));
            let verb = if action == "CreateTrail" { "created" } else { "updated" };
            let parts = [scope, organization, global, bucket];
            let parts = std::iter::once(verb.to_owned()).chain(parts.into_iter().flatten());
            parts.collect::<Vec<_>>().join(", ")
        }
        "PutInsightSelectors" => {
            let types = asked["insightSelectors"].as_array().into_iter().flatten();
            let types: Vec<String> = types
                .filter_map(|selector| selector["insightType"].as_str())
                .take(LISTED_MAX)
                .map(cut)
                .collect();
            if types.is_empty() {
                "no insights".to_owned()
            } else {
                format!("insights {}", types.join(", "))
            }
        }
        _ => "selectors changed; the event does not say to what".to_owned(),
    }
}

/// A text of a record, of bounded length.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > TEXT_BYTES_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The first of some names, and how many more there are.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED_MAX).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(LISTED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hit;

    fn told(record: &str) -> Option<TrailChange> {
        Change::of(&hit(record)).map(|change| change.told)
    }

    #[test]
    fn a_trail_is_known_by_its_name_and_by_its_arn() {
        let stopped = told(
            r#"{"eventTime":"2024-05-06T07:08:09Z","eventSource":"cloudtrail.amazonaws.com",
                "eventName":"StopLogging","awsRegion":"us-east-1","recipientAccountId":"111122223333",
                "requestParameters":{"name":"org-trail"}}"#,
        )
        .unwrap();
        assert_eq!(stopped.trail, "org-trail");
        assert_eq!(stopped.account, "111122223333");
        assert_eq!(stopped.change, "logging stopped");
        let by_arn = told(
            r#"{"eventTime":"2024-05-06T07:08:09Z","eventSource":"cloudtrail.amazonaws.com",
                "eventName":"StopLogging","awsRegion":"eu-west-1","recipientAccountId":"111122223333",
                "requestParameters":{"name":"arn:aws:cloudtrail:us-east-1:111122223333:trail/org-trail"}}"#,
        )
        .unwrap();
        assert_eq!((by_arn.trail, by_arn.region), (stopped.trail, stopped.region));
    }

    #[test]
    fn what_changed_nothing_is_no_change() {
        for record in [
            r#"{"eventTime":"2024-05-06T07:08:09Z","eventSource":"cloudtrail.amazonaws.com",
                "eventName":"StopLogging","errorCode":"AccessDenied"}"#,
            r#"{"eventTime":"2024-05-06T07:08:09Z","eventSource":"kinesisvideo.amazonaws.com",
                "eventName":"StopLogging"}"#,
            r#"{"eventTime":"2024-05-06T07:08:09Z","eventSource":"cloudtrail.amazonaws.com",
                "eventName":"LookupEvents"}"#,
        ] {
            assert_eq!(told(record), None, "{record}");
        }
    }

    #[test]
    fn texts_are_cut_at_whole_characters() {
        let long = "é".repeat(400);
        let short = cut(&long);
        assert!(short.len() <= TEXT_BYTES_MAX + 3 && short.ends_with('…'), "{short}");
        assert_eq!(cut("abc"), "abc");
        assert_eq!(listed(&["a", "b", "c", "d"]), "a, b, c and 1 more");
    }
}
