//! What a record says: its values by their paths, its words, who its actor is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value as Json;

/// The fields whose values are texts whatever the record says, and their short names.
pub const COLUMNS: [(&str, &str); 34] = [
    ("eventSource", "service"),
    ("eventName", ""),
    ("awsRegion", "region"),
    ("recipientAccountId", ""),
    ("sourceIPAddress", "ip"),
    ("userAgent", ""),
    ("errorCode", ""),
    ("errorMessage", ""),
    ("readOnly", ""),
    ("managementEvent", ""),
    ("eventCategory", ""),
    ("eventType", ""),
    ("eventVersion", ""),
    ("eventID", "id"),
    ("requestID", ""),
    ("sharedEventID", ""),
    ("userIdentity.type", ""),
    ("userIdentity.arn", "arn"),
    ("userIdentity.accountId", ""),
    ("userIdentity.userName", "user"),
    ("userIdentity.accessKeyId", "key"),
    ("userIdentity.principalId", "principal"),
    ("userIdentity.invokedBy", ""),
    ("userIdentity.sessionContext.sessionIssuer.arn", ""),
    ("userIdentity.sessionContext.sessionIssuer.userName", "role"),
    ("resources.ARN", "resource"),
    ("actor", "actor"),
    ("credential", "credential"),
    ("outcome", "outcome"),
    ("error", "error"),
    ("client", "client"),
    ("target", "target"),
    ("account", "account"),
    ("action", "action"),
];

/// A scalar of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    /// With its text as it is written.
    Number(f64, String),
    Bool(bool),
    Time(i64),
}

impl Scalar {
    pub fn of(json: &Json) -> Option<Self> {
        Some(match json {
            Json::String(text) => Self::Text(text.clone()),
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => {
                let float = number.as_f64().unwrap();
                Self::Number(float, number.to_string())
            }
            Json::Null | Json::Array(_) | Json::Object(_) => return None,
        })
    }

    /// As it is written.
    pub fn written(&self) -> Cow<'_, str> {
        if let Self::Number(_, text) = self { text.into() } else { self.text() }
    }

    pub fn text(&self) -> Cow<'_, str> {
        match self {
            // Floats are shown as Rust shows them: 5.0 as 5; those too large for that, as they are written.
            Self::Number(float, text)
                if text.parse::<i128>().is_err() && float.abs() < 9_007_199_254_740_992.0 =>
            {
                float.to_string().into()
            }
            Self::Text(text) | Self::Number(_, text) => text.into(),
            Self::Bool(truth) => if *truth { "true" } else { "false" }.into(),
            Self::Time(time) => time_text(*time).into(),
        }
    }

    /// As a table shows it.
    pub fn json(&self) -> Json {
        match self {
            Self::Text(text) => shown(text).into(),
            Self::Bool(truth) => (*truth).into(),
            Self::Number(..) => serde_json::from_str(&self.text()).unwrap(),
            Self::Time(time) => time_text(*time).into(),
        }
    }

    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number, _) = self { Some(*number) } else { None }
    }
}

/// A text as tables show it: of a long one the beginning, and a hash.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= 4_096 {
        return text.into();
    }
    let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
    let beginning = &text[..text.floor_char_boundary(4_063)];
    format!("{beginning}#{hash:032x}").into()
}

pub fn time_text(time: i64) -> String {
    Timestamp::from_microsecond(time).unwrap().to_string()
}

/// The one word that a time has for wildcards and regular expressions.
pub fn hour_word(time: i64) -> String {
    time_text(time)[.."2023-07-10t12".len()].to_lowercase()
}

/// The span of a time that is written as records write them, or is the beginning of one.
pub fn written_span(text: &str) -> Option<Range<i64>> {
    let digits = text.trim_end_matches(['Z', 'z']).replace('t', "T");
    let (form, lasting) = match digits.len() {
        10 => ("%Y-%m-%d", 86_400),
        13 => ("%Y-%m-%dT%H", 3_600),
        16 => ("%Y-%m-%dT%H:%M", 60),
        19 => ("%Y-%m-%dT%H:%M:%S", 1),
        _ => return None,
    };
    if digits.len() < 19 && digits.len() != text.len() {
        return None;
    }
    let mut parsed = jiff::fmt::strtime::parse(form, &digits).ok()?;
    parsed.set_offset(Some(jiff::tz::Offset::UTC));
    if digits.len() == 10 {
        parsed.set_hour(Some(0)).unwrap();
    }
    let start = parsed.to_timestamp().ok()?.as_microsecond();
    Some(start..start + lasting * 1_000_000)
}

/// A record, taken apart once.
pub struct Doc {
    pub id: String,
    pub time: i64,
    /// The time as the record has it.
    pub event_time: String,
    pub values: BTreeMap<String, Vec<Scalar>>,
    /// The words of each of the record's values.
    pub rows: Vec<Vec<String>>,
    /// Of the longest of which wildcards and regular expressions see the beginning.
    words: BTreeSet<String>,
}

impl Doc {
    pub fn new(record: &Json) -> Self {
        let mut values: BTreeMap<String, Vec<Scalar>> = BTreeMap::new();
        flatten(record, "", &mut |path, scalar| {
            values.entry(path.to_owned()).or_default().push(scalar);
        });
        let time = values.remove("eventTime").expect("records with a time");
        let event_time = time[0].text().into_owned();
        let time = event_time.parse::<Timestamp>().unwrap().as_microsecond();
        let mut rows = Vec::new();
        for (path, scalars) in &mut values {
            for scalar in scalars {
                if is_column(path) {
                    *scalar = Scalar::Text(scalar.text().into_owned());
                }
                rows.push(words_of(&scalar.written()));
            }
        }
        let (credential, actor) = identity(record);
        values.insert("credential".to_owned(), vec![Scalar::Text(credential)]);
        if !actor.is_empty() {
            values.insert("actor".to_owned(), vec![Scalar::Text(actor)]);
        }
        for (name, text) in of_call(record) {
            if !text.is_empty() {
                values.insert(name.to_owned(), vec![Scalar::Text(text)]);
            }
        }
        // Their tables are tested where they are.
        for (name, texts) in by_tables(record) {
            values.insert(name.to_owned(), texts.into_iter().map(Scalar::Text).collect());
        }
        values.insert("time".to_owned(), vec![Scalar::Time(time)]);
        let id = record["eventID"].as_str().expect("records with an id").to_owned();
        let words = rows.iter().flatten().map(|word| known_part(word).to_owned());
        let words = words.chain([hour_word(time)]).collect();
        Self { id, time, event_time, values, rows, words }
    }

    pub fn of(&self, path: &str) -> &[Scalar] {
        self.values.get(path).map_or(&[], Vec::as_slice)
    }

    pub fn words(&self) -> &BTreeSet<String> {
        &self.words
    }
}

pub fn is_column(path: &str) -> bool {
    COLUMNS.iter().any(|(column, _)| *column == path)
}

fn flatten(json: &Json, path: &str, visit: &mut impl FnMut(&str, Scalar)) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match json {
        Json::Object(members) => {
            members.iter().for_each(|(key, value)| flatten(value, &below(key), visit));
        }
        Json::Array(items) => items.iter().for_each(|item| flatten(item, path, visit)),
        scalar => {
            let Some(scalar) = Scalar::of(scalar) else { return };
            let policy = policy_in(&scalar);
            visit(path, scalar);
            if let Some(Json::Object(members)) = policy {
                members.iter().for_each(|(key, value)| {
                    flatten_plainly(value, &below(key), visit);
                });
            }
        }
    }
}

/// Policies inside of policies are texts.
fn flatten_plainly(json: &Json, path: &str, visit: &mut impl FnMut(&str, Scalar)) {
    match json {
        Json::Object(members) => members
            .iter()
            .for_each(|(key, value)| flatten_plainly(value, &format!("{path}.{key}"), visit)),
        Json::Array(items) => items.iter().for_each(|item| flatten_plainly(item, path, visit)),
        scalar => {
            if let Some(scalar) = Scalar::of(scalar) {
                visit(path, scalar);
            }
        }
    }
}

fn policy_in(scalar: &Scalar) -> Option<Json> {
    let Scalar::Text(text) = scalar else { return None };
    let plain = if text.to_lowercase().starts_with("%7b") {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            match (first, code) {
                (b'%', Some(byte)) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                _ => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        String::from_utf8(bytes).ok()?
    } else {
        text.clone()
    };
    let json: Json = serde_json::from_str(&plain).ok().filter(|_| plain.starts_with('{'))?;
    let has = |key| json.get(key).is_some();
    let is_policy = has("Statement") || has("Effect") && (has("Action") || has("NotAction"));
    is_policy.then_some(json)
}

/// Runs of letters and digits, with `-`, `_` and `.` inside, in lower case.
pub fn words_of(text: &str) -> Vec<String> {
    let is_joiner = |c: char| "-_.".contains(c);
    text.split(|c: char| !(c.is_alphanumeric() || is_joiner(c)))
        .map(|word| word.trim_matches(is_joiner))
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect()
}

pub fn known_part(word: &str) -> &str {
    if word.len() > 256 { &word[..word.floor_char_boundary(223)] } else { word }
}

fn identity(record: &Json) -> (String, String) {
    let text = |path: &[&str]| {
        let found = path.iter().fold(&record["userIdentity"], |json, key| &json[*key]);
        found.as_str().unwrap_or_default().to_owned()
    };
    let (kind, arn, name) = (text(&["type"]), text(&["arn"]), text(&["userName"]));
    let (principal, account) = (text(&["principalId"]), text(&["accountId"]));
    let invoked_by = text(&["invokedBy"]);
    let behalf = text(&["onBehalfOf", "userId"]);
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
    let is = |prefix: &str| resource.starts_with(prefix);
    let credential = match kind.as_str() {
        _ if ["anonymous", "ANONYMOUS_PRINCIPAL"].contains(&account.as_str())
            || principal == "Anonymous" =>
        {
            "anonymous"
        }
        "Root" => "root",
        "IAMUser" => "iam-user",
        "AssumedRole" | "Role" => "assumed-role",
        "FederatedUser" | "SAMLUser" | "WebIdentityUser" | "Directory" => "federated",
        "IdentityCenterUser" => "identity-center",
        "AWSService" => "aws-service",
        "AWSAccount" => "aws-account",
        _ if resource == "root" => "root",
        _ if is("user/") => "iam-user",
        _ if is("assumed-role/") || is("role/") => "assumed-role",
        _ if is("federated-user/") => "federated",
        _ if !behalf.is_empty() => "identity-center",
        _ if !invoked_by.is_empty() => "aws-service",
        _ => "unknown",
    };
    let last = resource.rsplit('/').next().unwrap_or_default().to_owned();
    let first = |names: &[&String]| {
        names.iter().find(|name| !name.is_empty()).map_or(String::new(), |name| (*name).clone())
    };
    let actor = match credential {
        "root" | "anonymous" => credential.to_owned(),
        "assumed-role" if is("assumed-role/") => resource["assumed-role/".len()..].to_owned(),
        "assumed-role" => {
            let role =
                first(&[&text(&["sessionContext", "sessionIssuer", "userName"]), &last, &name]);
            match principal.split_once(':').map_or("", |(_, session)| session) {
                _ if role.is_empty() => principal.clone(),
                "" => role,
                session => format!("{role}/{session}"),
            }
        }
        "aws-service" => first(&[&invoked_by, &name, &principal, &account]),
        "aws-account" => first(&[&account, &principal]),
        "identity-center" => first(&[&name, &behalf, &principal]),
        "unknown" => first(&[&name, &last, &principal, &account]),
        "federated" => {
            let chosen = principal.split_once(':').filter(|(account, name)| {
                !name.is_empty() && account.chars().all(|c| c.is_ascii_digit())
            });
            let chosen = chosen.map_or(principal.clone(), |(_, name)| name.to_owned());
            first(&[&name, &last, &chosen])
        }
        _ => first(&[&name, &last, &principal]),
    };
    (credential.to_owned(), actor)
}

/// What came of the call, what went wrong, whose account it was and what was done, said again.
fn of_call(record: &Json) -> [(&'static str, String); 4] {
    let text = |json: &Json| {
        let scalar = Scalar::of(json);
        scalar.map_or(String::new(), |scalar| shown(&scalar.text()).into_owned())
    };
    let (code, message) = (text(&record["errorCode"]), text(&record["errorMessage"]));
    let name = text(&record["eventName"]);
    let insight = &record["insightDetails"];
    let response = &record["responseElements"];
    let said = [response, &record["serviceEventDetails"]].map(|object| text(&object[&name]));
    let has_failed = said.iter().any(|said| said.eq_ignore_ascii_case("failure"));
    let is_refused = ["_return", "success"].iter().any(|key| response[*key] == false);
    let is_none = ["", "-", "success"].contains(&code.to_lowercase().as_str());
    let insight_code = text(&insight["errorCode"]);
    let error = if !is_none {
        code
    } else if has_failed && message.is_empty() {
        "Failure".to_owned()
    } else if is_refused && message.is_empty() {
        "false".to_owned()
    } else if !message.is_empty() && !said.iter().any(|said| said == "Success") {
        message.clone()
    } else {
        insight_code
    };
    let denies = |text: &str| {
        let text = text.to_lowercase();
        ["accessdenied", "unauthorized", "notauthorized", "forbidden", "authfailure"]
            .iter()
            .any(|part| text.replace([' ', '.', '_'], "").contains(part))
            || text.contains("explicit deny")
    };
    let outcome = match error.as_str() {
        "" if name.is_empty() => "",
        "" => "success",
        error if denies(error) || denies(&message) => "denied",
        _ => "failure",
    };
    let account = text(&record["recipientAccountId"]);
    let of_caller = text(&record["userIdentity"]["accountId"]);
    let account = if account.is_empty() && !of_caller.to_lowercase().starts_with("anonymous") {
        of_caller
    } else {
        account
    };
    let account = if account.is_empty() { text(&record["accountId"]) } else { account };
    let action = if name.is_empty() { text(&insight["eventName"]) } else { name };
    [("outcome", outcome.to_owned()), ("error", error), ("account", account), ("action", action)]
}

fn by_tables(record: &Json) -> Vec<(&'static str, Vec<String>)> {
    let mut parser = trail::parse::Parser::default();
    let text = record.to_string();
    let (event, _) = parser.parse_record(text.as_bytes()).expect("a record");
    let of_column = |(name, id)| {
        let values = event.columns().filter(|(column, _)| *column == id);
        (name, values.map(|(_, text)| text.to_owned()).collect::<Vec<_>>())
    };
    let tables = [("client", trail::columns::CLIENT), ("target", trail::columns::TARGET)];
    tables.map(of_column).into_iter().filter(|(_, texts)| !texts.is_empty()).collect()
}
