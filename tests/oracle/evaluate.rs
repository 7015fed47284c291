//! What a query means, said again without an index: every record is looked at, one value at a time.
//!
//! Written from QUERY.md. It knows the tree of a query, and shares nothing with traildex below it.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use jiff::Timestamp;
use serde_json::Value as Json;
use traildex::query::ast::{Comparison, Expr, FieldRef, Pattern, Piece, Query, Regex, Test, Value};

/// The fields whose values are texts whatever the record says, and their short names.
const COLUMNS: [(&str, &str); 28] = [
    ("eventSource", "service"),
    ("eventName", "action"),
    ("awsRegion", "region"),
    ("recipientAccountId", "account"),
    ("sourceIPAddress", "ip"),
    ("userAgent", ""),
    ("errorCode", "error"),
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
];

/// A scalar of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64, String),
    Bool(bool),
    Time(i64),
}

impl Scalar {
    fn of(json: &Json) -> Option<Self> {
        Some(match json {
            Json::String(text) => Self::Text(text.clone()),
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => {
                let float = number.as_f64().unwrap();
                // Floats are shown as Rust shows them: 5.0 as 5.
                let text = if number.is_f64() { float.to_string() } else { number.to_string() };
                Self::Number(float, text)
            }
            Json::Null | Json::Array(_) | Json::Object(_) => return None,
        })
    }

    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(_, text) => text.clone(),
            Self::Bool(truth) => truth.to_string(),
            Self::Time(time) => time_text(*time),
        }
    }

    /// As a table shows it.
    pub fn json(&self) -> Json {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Bool(truth) => (*truth).into(),
            Self::Number(_, text) => serde_json::from_str(text).unwrap(),
            Self::Time(time) => time_text(*time).into(),
        }
    }

    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number, _) = self { Some(*number) } else { None }
    }
}

pub fn time_text(time: i64) -> String {
    Timestamp::from_microsecond(time).unwrap().to_string()
}

/// A record, taken apart once.
pub struct Doc {
    pub id: String,
    pub time: i64,
    pub values: BTreeMap<String, Vec<Scalar>>,
    words: BTreeSet<String>,
}

impl Doc {
    pub fn new(record: &Json) -> Self {
        let mut values: BTreeMap<String, Vec<Scalar>> = BTreeMap::new();
        flatten(record, "", &mut |path, scalar| {
            values.entry(path.to_owned()).or_default().push(scalar);
        });
        let time = values.remove("eventTime").expect("records with a time")[0].text();
        let time = time.parse::<Timestamp>().unwrap().as_microsecond();
        let mut words = BTreeSet::new();
        for (path, scalars) in &mut values {
            for scalar in scalars {
                if is_column(path) {
                    *scalar = Scalar::Text(scalar.text());
                }
                if !matches!(scalar, Scalar::Bool(_)) {
                    words.extend(words_of(&scalar.text()));
                }
            }
        }
        let (credential, actor) = identity(record);
        values.insert("credential".to_owned(), vec![Scalar::Text(credential)]);
        if !actor.is_empty() {
            values.insert("actor".to_owned(), vec![Scalar::Text(actor)]);
        }
        values.insert("time".to_owned(), vec![Scalar::Time(time)]);
        let id = record["eventID"].as_str().expect("records with an id").to_owned();
        Self { id, time, values, words }
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
        _ if account == "anonymous" || principal == "Anonymous" => "anonymous",
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
        _ => first(&[&name, &last, &principal]),
    };
    (credential.to_owned(), actor)
}

/// All records, and what fields they have.
pub struct Archive {
    pub docs: Vec<Doc>,
    pub paths: BTreeSet<String>,
}

impl Archive {
    pub fn new(docs: Vec<Doc>) -> Self {
        let paths = docs.iter().flat_map(|doc| doc.values.keys().cloned()).collect();
        Self { docs, paths }
    }

    /// The paths that a name means.
    pub fn paths_of(&self, field: &FieldRef) -> Vec<String> {
        const ELEMENTS: [&str; 9] = [
            "Action",
            "Condition",
            "Effect",
            "NotAction",
            "NotPrincipal",
            "NotResource",
            "Principal",
            "Resource",
            "Sid",
        ];
        let name = field.name.as_str();
        if name == "eventTime" {
            return vec!["time".to_owned()];
        }
        if let Some((path, _)) = COLUMNS.iter().find(|(_, short)| *short == name) {
            return vec![(*path).to_owned()];
        }
        if self.paths.contains(name) || is_column(name) {
            return vec![name.to_owned()];
        }
        let end = format!(".{name}");
        let ending: Vec<String> =
            self.paths.iter().filter(|path| path.ends_with(&end)).cloned().collect();
        let element = name.split('.').next().unwrap();
        assert!(ending.len() == 1 || ELEMENTS.contains(&element), "{name} is {ending:?}");
        ending
    }

    fn values<'d>(&self, doc: &'d Doc, field: &FieldRef) -> Vec<&'d Scalar> {
        self.paths_of(field).iter().flat_map(|path| doc.of(path)).collect()
    }

    /// The events that a filter has.
    pub fn matching(&self, filter: &Expr) -> Vec<&Doc> {
        let filter = self.without_queries(filter);
        self.docs.iter().filter(|doc| self.meets(doc, &filter)).collect()
    }

    fn without_queries(&self, expr: &Expr) -> Expr {
        let all = |parts: &[Expr]| parts.iter().map(|part| self.without_queries(part)).collect();
        match expr {
            Expr::And(parts) => Expr::And(all(parts)),
            Expr::Or(parts) => Expr::Or(all(parts)),
            Expr::Not(inner) => Expr::Not(Box::new(self.without_queries(inner))),
            Expr::Field { field, test: Test::InQuery(query) } => {
                let is = |text: String| Test::Is(Value { text, offset: None });
                let tests = self.first_column(query).into_iter().map(is).collect();
                Expr::Field { field: field.clone(), test: Test::OneOf(tests) }
            }
            expr => expr.clone(),
        }
    }

    fn first_column(&self, query: &Query) -> Vec<String> {
        let (_, rows) = self.table(query);
        let text = |row: &Vec<Json>| match &row[0] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        rows.iter().filter_map(text).collect()
    }

    fn meets(&self, doc: &Doc, expr: &Expr) -> bool {
        match expr {
            Expr::All => true,
            Expr::And(parts) => parts.iter().all(|part| self.meets(doc, part)),
            Expr::Or(parts) => parts.iter().any(|part| self.meets(doc, part)),
            Expr::Not(inner) => !self.meets(doc, inner),
            Expr::Word(text) | Expr::Phrase(text) => {
                let row = words_of(text);
                let is_time =
                    text.parse::<Timestamp>().is_ok_and(|time| time.as_microsecond() == doc.time);
                is_time
                    || row.iter().all(|word| doc.words.contains(word))
                        && Self::in_record(doc).any(|value| has_row(&value.text(), &row))
            }
            Expr::Wildcard(pattern) => {
                let pattern = lower(pattern);
                doc.words.iter().any(|word| is_of_form(word, pattern.pieces()))
            }
            Expr::Regex(regex) => {
                let any_case = compile(&Regex { ignores_case: true, ..regex.clone() });
                doc.words.iter().any(|word| any_case.is_match(word))
            }
            Expr::Field { field, test } => self.test(doc, field, test),
        }
    }

    /// Every value that the record has.
    fn in_record(doc: &Doc) -> impl Iterator<Item = &Scalar> {
        let is_derived = |path: &str| ["actor", "credential", "time"].contains(&path);
        doc.values
            .iter()
            .filter(move |(path, _)| !is_derived(path))
            .flat_map(|(_, values)| values)
            .filter(|value| !matches!(value, Scalar::Bool(_)))
    }

    fn test(&self, doc: &Doc, field: &FieldRef, test: &Test) -> bool {
        if let Test::Compared { comparison, other } = test {
            let (left, right) = (self.values(doc, field), self.values(doc, other));
            return compare(&left, *comparison, &right);
        }
        if *test == Test::Exists {
            let below = format!("{}.", field.name);
            if !self.paths.contains(&field.name)
                && doc.values.keys().any(|path| path.starts_with(&below))
            {
                return true;
            }
            if !self.paths.contains(&field.name)
                && self.paths.iter().any(|path| path.starts_with(&below))
            {
                return false;
            }
        }
        if field.name == "ip"
            && let Some(is_met) = ip_test(doc, test)
        {
            return is_met;
        }
        let is_version = field.name == "eventVersion";
        self.values(doc, field).iter().any(|value| value_test(value, test, is_version))
    }
}

fn lower(pattern: &Pattern) -> Pattern {
    Pattern::new(pattern.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => Piece::Text(text.chars().flat_map(char::to_lowercase).collect()),
        piece => piece.clone(),
    }))
}

fn has_row(text: &str, row: &[String]) -> bool {
    let words = words_of(text);
    !row.is_empty() && words.windows(row.len()).any(|window| window == row)
}

/// Tries every length for each `*`, but where the text behind it is the last.
fn is_of_form(text: &str, pieces: &[Piece]) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Text(start), rest @ ..] => {
            text.strip_prefix(start.as_str()).is_some_and(|text| is_of_form(text, rest))
        }
        [Piece::AnyOne, rest @ ..] => {
            let mut chars = text.chars();
            chars.next().is_some() && is_of_form(chars.as_str(), rest)
        }
        [Piece::AnyRun] => true,
        [Piece::AnyRun, Piece::Text(end)] => text.ends_with(end.as_str()),
        [Piece::AnyRun, rest @ ..] => (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .any(|at| is_of_form(&text[at..], rest)),
    }
}

fn compile(regex: &Regex) -> regex::Regex {
    thread_local! {
        static LAST: RefCell<Option<(Regex, regex::Regex)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, compiled)) if known == regex => compiled.clone(),
        _ => {
            let flags = if regex.ignores_case { "(?si)" } else { "(?s)" };
            let whole = format!("{flags}^(?:{})$", regex.pattern);
            let compiled = regex::Regex::new(&whole).unwrap();
            *last = Some((regex.clone(), compiled.clone()));
            compiled
        }
    })
}

fn ip_test(doc: &Doc, test: &Test) -> Option<bool> {
    let sources = doc.of("sourceIPAddress");
    let any = |is_met: &dyn Fn(u128) -> bool| {
        sources.iter().take(1).filter_map(|source| address(&source.text())).any(is_met)
    };
    match test {
        Test::OneOf(tests) => {
            let each: Vec<Option<bool>> = tests.iter().map(|test| ip_test(doc, test)).collect();
            let other = |test| sources.iter().any(|source| value_test(source, test, false));
            let met = each.iter().zip(tests).any(|(met, test)| met.unwrap_or_else(|| other(test)));
            Some(met)
        }
        Test::Is(value) if value.text == "aws" => Some(sources.iter().any(|source| {
            let text = source.text();
            text.starts_with("AWS Internal") || text.ends_with(".amazonaws.com")
        })),
        Test::Is(value) => {
            let (address_text, length) = value.text.split_once('/').unwrap_or((&value.text, ""));
            let network = address(address_text)?;
            let bits = if value.text.contains('.') { 32 } else { 128 };
            let length: u32 = if length.is_empty() { bits } else { length.parse().ok()? };
            let shift = bits - length;
            let head = |address: u128| if shift == 128 { 0 } else { address >> shift };
            Some(any(&|source| head(source) == head(network)))
        }
        Test::Range { lower, upper } => {
            let bound = |bound: &Bound<Value>| bound.as_ref().map(|v| address(&v.text).unwrap());
            let (lower, upper) = (bound(lower), bound(upper));
            Some(any(&|source| std::ops::RangeBounds::contains(&(lower, upper), &source)))
        }
        _ => None,
    }
}

/// IPv4 is a part of IPv6.
fn address(text: &str) -> Option<u128> {
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    })
}

fn value_test(value: &Scalar, test: &Test, is_version: bool) -> bool {
    if let Scalar::Time(time) = value {
        return time_test(*time, test);
    }
    let text = value.text();
    match test {
        Test::Is(wanted) => {
            text == wanted.text || value.number().is_some_and(|n| wanted.text.parse() == Ok(n))
        }
        Test::AnyCase(pattern) => {
            let folded: String = text.chars().flat_map(char::to_lowercase).collect();
            is_of_form(&folded, lower(pattern).pieces())
        }
        Test::Phrase(wanted) => text == *wanted || has_row(&text, &words_of(wanted)),
        Test::Wildcard(pattern) => is_of_form(&text, pattern.pieces()),
        Test::Regex(regex) => compile(regex).is_match(&text),
        Test::Range { lower, upper } if is_version => {
            let version = |text: &str| -> Option<Vec<u64>> {
                text.split('.').map(|part| part.parse().ok()).collect()
            };
            let bound = |bound: &Bound<Value>| match bound {
                Bound::Included(value) => version(&value.text).map(Bound::Included),
                Bound::Excluded(value) => version(&value.text).map(Bound::Excluded),
                Bound::Unbounded => Some(Bound::Unbounded),
            };
            match (bound(lower), bound(upper)) {
                (Some(lower), Some(upper)) => version(&text).is_some_and(|version| {
                    std::ops::RangeBounds::contains(&(lower, upper), &version)
                }),
                _ => in_range(&text, lower, upper),
            }
        }
        Test::Range { lower, upper } => in_range(&text, lower, upper),
        Test::Exists => true,
        Test::OneOf(tests) => tests.iter().any(|test| value_test(value, test, is_version)),
        Test::Compared { .. } | Test::InQuery(_) => unreachable!("taken apart before"),
    }
}

fn in_range(text: &str, lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let ends = || {
        [lower, upper].into_iter().filter_map(|bound| match bound {
            Bound::Included(value) | Bound::Excluded(value) => Some(value.text.as_str()),
            Bound::Unbounded => None,
        })
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    if ends().all(|end| number(end).is_some()) {
        let bound = |bound: &Bound<Value>| bound.as_ref().map(|v| number(&v.text).unwrap());
        let (lower, upper) = (bound(lower), bound(upper));
        return number(text).is_some_and(|n| std::ops::RangeBounds::contains(&(lower, upper), &n));
    }
    if ends().all(|end| end.parse::<Timestamp>().is_ok()) {
        return text
            .parse::<Timestamp>()
            .is_ok_and(|time| is_between(time.as_microsecond(), lower, upper));
    }
    let bound = |bound: &Bound<Value>| bound.as_ref().map(|value| value.text.clone());
    let (lower, upper) = (bound(lower), bound(upper));
    std::ops::RangeBounds::contains(&(lower, upper), &text.to_owned())
}

/// Times are given to the second here, or as a day.
fn span(text: &str) -> (i64, i64) {
    let micros = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
    if text.len() == "2023-07-10".len() {
        let start = micros(&format!("{text}T00:00:00Z"));
        (start, start + 24 * 3_600 * 1_000_000)
    } else {
        (micros(text), micros(text) + 1_000_000)
    }
}

fn is_between(time: i64, lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let is_late_enough = match lower {
        Bound::Included(value) => time >= span(&value.text).0,
        Bound::Excluded(value) => time >= span(&value.text).1,
        Bound::Unbounded => true,
    };
    let is_early_enough = match upper {
        Bound::Included(value) => time < span(&value.text).1,
        Bound::Excluded(value) => time < span(&value.text).0,
        Bound::Unbounded => true,
    };
    is_late_enough && is_early_enough
}

fn time_test(time: i64, test: &Test) -> bool {
    match test {
        Test::Is(value) => (span(&value.text).0..span(&value.text).1).contains(&time),
        Test::Range { lower, upper } => is_between(time, lower, upper),
        Test::Exists => true,
        Test::OneOf(tests) => tests.iter().any(|test| time_test(time, test)),
        test => unreachable!("no test of a time: {test}"),
    }
}

fn compare(left: &[&Scalar], comparison: Comparison, right: &[&Scalar]) -> bool {
    let time = |scalar: &Scalar| match scalar {
        Scalar::Time(time) => Some(*time),
        scalar => scalar.text().parse::<Timestamp>().ok().map(Timestamp::as_microsecond),
    };
    let is_time =
        |a: &Scalar, b: &Scalar| matches!(a, Scalar::Time(_)) || matches!(b, Scalar::Time(_));
    let equal = |a: &Scalar, b: &Scalar| {
        if is_time(a, b) {
            return time(a).is_some() && time(a) == time(b);
        }
        a.text() == b.text()
    };
    let order = |a: &Scalar, b: &Scalar| {
        if is_time(a, b) {
            return Some(time(a)?.cmp(&time(b)?));
        }
        let number = |s: &Scalar| s.text().parse::<f64>().ok().filter(|n| n.is_finite());
        match (number(a), number(b), a, b) {
            (Some(x), Some(y), a, b)
                if !matches!(a, Scalar::Bool(_)) && !matches!(b, Scalar::Bool(_)) =>
            {
                x.partial_cmp(&y)
            }
            _ => Some(a.text().cmp(&b.text())),
        }
    };
    let any = |is_meant: &dyn Fn(&Scalar, &Scalar) -> bool| {
        left.iter().any(|a| right.iter().any(|b| is_meant(a, b)))
    };
    match comparison {
        Comparison::Equal => any(&equal),
        Comparison::NotEqual => !left.is_empty() && !right.is_empty() && !any(&equal),
        Comparison::Less => any(&|a, b| order(a, b).is_some_and(Ordering::is_lt)),
        Comparison::AtMost => any(&|a, b| order(a, b).is_some_and(Ordering::is_le)),
        Comparison::More => any(&|a, b| order(a, b).is_some_and(Ordering::is_gt)),
        Comparison::AtLeast => any(&|a, b| order(a, b).is_some_and(Ordering::is_ge)),
    }
}
