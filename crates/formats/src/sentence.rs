//! One event in a sentence, for whoever shows it: the command line, and the page by the API.

use wire::Hit;

use crate::record::Record;

/// Things that a sentence names of those that a call touched; the record has all.
const TARGETS_MAX: usize = 3;

/// `alice called s3:GetObject on bucket/key from 203.0.113.7 with aws-cli/2 at 2023-07-10T11:42:36Z in
/// eu-west-1, with iam-user credentials: denied (AccessDenied).` `time` is the event's, as the reader wants
/// it.
pub fn sentence(hit: &Hit, record: &Record, time: &str) -> String {
    let meta = &hit.meta;
    let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
    let part = |word: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        text.map(|text| format!(" {word} {text}")).unwrap_or_default()
    };
    let who = or(&meta.actor, "someone the record does not name");
    let what = record.action().unwrap_or_else(|| "something the record does not name".into());
    let on = part("on", Some(targets(hit, TARGETS_MAX)));
    let from = part("from", record.text(&["sourceIPAddress"]));
    let client = part("with", Some(meta.client.clone()));
    let at = part("at", Some(time.to_owned()));
    let region = part("in", record.text(&["awsRegion"]));
    let credentials = match meta.credential.as_str() {
        "anonymous" => "without credentials".to_owned(),
        "unknown" | "" => "with credentials of a kind that the record does not name".to_owned(),
        kind => format!("with {kind} credentials"),
    };
    let outcome = match (meta.outcome.as_str(), meta.error.as_str()) {
        ("", _) => String::new(),
        (outcome, "") => format!(": {outcome}"),
        (outcome, error) => format!(": {outcome} ({error})"),
    };
    format!("{who} called {what}{on}{from}{client}{at}{region}, {credentials}{outcome}.")
}

/// What the call touched, up to `shown_max` of it, and how much more there is.
pub fn targets(hit: &Hit, shown_max: usize) -> String {
    let targets = &hit.meta.target;
    let shown = targets.len().min(shown_max);
    let text = targets[..shown].join(", ");
    match targets.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
