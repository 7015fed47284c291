//! Made records and pictures, for the tests of this crate.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::asked::Asked;
use crate::trails::Change;
use language::time::Clock;
use wire::{Hit, Meta};

/// A record as a search returns it.
pub(crate) fn hit(record: &str) -> Hit {
    let json: Value = serde_json::from_str(record).unwrap();
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let outcome = if json["errorCode"].is_null() { "success" } else { "denied" };
    Hit {
        event: RawValue::from_string(record.to_owned()).unwrap(),
        meta: Meta {
            id: text("eventID"),
            time: text("eventTime"),
            account: text("recipientAccountId"),
            actor: "mallory".to_owned(),
            outcome: outcome.to_owned(),
            ..Meta::default()
        },
        highlights: Vec::new(),
    }
}

/// A change of a trail at a time of day, with these parameters.
pub(crate) fn change(time: &str, action: &str, trail: &str, parameters: &str) -> Change {
    let mut parameters: Value = serde_json::from_str(parameters).unwrap();
    parameters["name"] = trail.into();
    let record = serde_json::json!({
        "eventTime": format!("2024-05-06T{time}:00Z"), "eventSource": "cloudtrail.amazonaws.com",
        "eventName": action, "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "eventID": "0123456789", "requestParameters": parameters,
    });
    Change::of(&hit(&record.to_string())).unwrap()
}

/// What a query asks for.
pub(crate) fn asked(query: &str) -> Asked {
    let query = language::parse::parse(query).unwrap();
    let clock = Clock::utc("2024-06-01T00:00:00Z".parse().unwrap());
    Asked::of(&query, None, None, &clock)
}
