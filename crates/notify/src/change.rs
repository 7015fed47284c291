//! A change of an alert: what the daemon tells, and what is spooled and delivered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The changes that the daemon tells of.
pub(crate) const CHANGES: &[&str] =
    &["raised", "grown", "withdrawn", "acknowledged", "closed", "reopened", "noted"];

/// What this program says itself, in the form of an alert.
pub(crate) const NOTICE: &str = "notice";

/// The daemon's answer; what it has beside this is not needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// Absent or empty while the daemon has no rules.
    #[serde(default)]
    pub log: String,
    pub changes: Vec<Told>,
    #[serde(default)]
    pub last: u64,
    #[serde(default)]
    pub missed: u64,
}

/// A change as the daemon tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    pub number: u64,
    pub time: String,
    pub change: String,
    pub alert: Map<String, Value>,
}

/// A change as it is spooled and, where there is no template, delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The same for whatever is delivered twice, and for nothing else.
    pub key: String,
    pub log: String,
    pub number: u64,
    pub time: String,
    pub change: String,
    pub alert: Map<String, Value>,
}

impl Change {
    /// Takes what was told in the log of that name.
    pub(crate) fn told(log: &str, told: Told) -> Self {
        let Told { number, time, change, alert } = told;
        let id = alert.get("id").and_then(Value::as_str).unwrap_or_default();
        // It becomes a header: nothing but what an id is made of.
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let name: String = log.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        // With the log's name: in a log that was made anew, a number is another change.
        let key = format!("{id}-{name}-{number}");
        Self { key, log: log.to_owned(), number, time, change, alert }
    }

    /// Says that changes up to `number` were dropped by the daemon before they were read.
    pub(crate) fn missed(log: &str, number: u64, missed: u64) -> Self {
        let title = format!("{missed} changes of alerts were missed");
        let description = "The daemon keeps a number of changes, and had dropped these before \
                           traildex-notify read them. `traildex alerts` lists all alerts.";
        Self::own(log, number, &title, "traildex-notify-missed", "medium", description)
    }

    /// A made-up one, to try a target with.
    pub(crate) fn test(change: &str) -> Self {
        let mut made = Self::own(
            "test",
            0,
            "A test of traildex-notify",
            "traildex-notify-test",
            "informational",
            "Somebody ran `traildex-notify test`. Nothing has happened.",
        );
        made.key = format!("test-{}", uuid::Uuid::new_v4().simple());
        change.clone_into(&mut made.change);
        made
    }

    fn own(
        log: &str,
        number: u64,
        title: &str,
        name: &str,
        level: &str,
        description: &str,
    ) -> Self {
        let now = jiff::Timestamp::now().to_string();
        let alert = json!({
            "id": format!("{:032x}", number),
            "rule": {
                "title": title, "name": name, "level": level, "description": description,
                "author": "traildex", "license": "Apache-2.0",
            },
            "kind": NOTICE,
            "group": { "principal": "traildex-notify" },
            "first": now, "last": now, "events": 0, "ids": [],
            "state": "open", "raised": now, "changed": now,
        });
        let Value::Object(alert) = alert else { unreachable!("it is an object") };
        let told = Told { number, time: now, change: NOTICE.to_owned(), alert };
        let mut change = Self::told(log, told);
        change.key = format!("{NOTICE}-{}", change.key);
        change
    }

    /// A text below the alert, or None.
    pub(crate) fn text(&self, path: &[&str]) -> Option<&str> {
        self.value(path).and_then(Value::as_str)
    }

    /// A value below the alert, or None.
    pub(crate) fn value(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.alert.get(*first)?, |value, name| value.get(name))
    }

    /// All of it as one line of JSON, without the line's end.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "key": self.key, "log": self.log, "number": self.number, "time": self.time,
            "change": self.change, "alert": self.alert,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_an_alert_a_log_and_a_number_and_fits_a_header() {
        let told: Told = serde_json::from_value(json!({
            "number": 17, "time": "t", "change": "raised", "later": true,
            "alert": { "id": "0f3c\r\nX: y", "group": { "principal": "x" } },
        }))
        .unwrap();
        let change = Change::told("6b0c", told);
        assert_eq!(change.key, "0f3cXy-6b0c-17");
        assert_eq!(change.text(&["group", "principal"]), Some("x"));
        assert_eq!(change.text(&["rule", "title"]), None);
        let again: Change = serde_json::from_value(change.to_json()).unwrap();
        assert_eq!(again, change);
    }
}
