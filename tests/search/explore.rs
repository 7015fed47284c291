//! Fields and values over the socket and from the command line, on the `invictus` trail and on records
//! made for it. What is expected is counted in the files by `serde_json` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use client::ClientError;
use serde_json::{Value, json};
use trail::columns::{self, Words};
use wire::{ApiError, ErrorKind, Field, FieldType, FieldsRequest, ValueCount, ValuesRequest};

use crate::common::{self, PATIENCE, Place, Ran, records_below, run, sample, shared_daemon, trail};

/// The values of each record, by path.
static EVENTS: LazyLock<Vec<BTreeMap<String, Vec<Value>>>> = LazyLock::new(|| {
    let leaves = |record: common::Record| {
        let mut found = BTreeMap::new();
        walk(&record.json, "", &mut found);
        found
    };
    records_below(&sample("invictus")).into_iter().map(leaves).collect()
});

fn walk(value: &Value, path: &str, found: &mut BTreeMap<String, Vec<Value>>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, &format!("{path}{dot}{key}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
        Value::Null => {}
        scalar => found.entry(path.to_owned()).or_default().push(scalar.clone()),
    }
}

fn fields(prefix: &str) -> Vec<Field> {
    let prefix = Some(prefix.to_owned());
    let request = FieldsRequest { prefix, limit: Some(10_000), values: None };
    let response = shared_daemon().client.fields(&request).unwrap();
    assert_eq!(response.total, response.fields.len() as u64);
    response.fields
}

fn values(request: &ValuesRequest) -> Vec<(Value, u64)> {
    let response = shared_daemon().client.values(request).unwrap();
    response.values.into_iter().map(|ValueCount { value, events }| (value, events)).collect()
}

fn of_field(field: &str, prefix: &str) -> ValuesRequest {
    let prefix = Some(prefix.to_owned());
    ValuesRequest { field: field.into(), prefix, limit: Some(10_000), ..ValuesRequest::default() }
}

/// The values at a path that begin with a text, of events that meet a test: the most frequent first.
fn expected(
    path: &str,
    prefix: &str,
    is_met: impl Fn(&BTreeMap<String, Vec<Value>>) -> bool,
) -> Vec<(Value, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for event in EVENTS.iter().filter(|event| is_met(event)) {
        let values = event.get(path).into_iter().flatten();
        let texts: BTreeSet<String> = values
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .filter(|text| text.starts_with(prefix))
            .collect();
        for text in texts {
            *counts.entry(text).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(text, n)| (Value::from(text), n)).collect();
    counts.sort_by_key(|(_, events)| std::cmp::Reverse(*events));
    counts
}

#[test]
fn every_path_is_listed_with_its_events() {
    let fields = fields("");
    let by_path: BTreeMap<&str, &Field> = fields.iter().map(|f| (f.path.as_str(), f)).collect();
    assert_eq!(by_path.len(), fields.len(), "each once");
    let mut events: BTreeMap<&str, u64> = BTreeMap::new();
    for path in EVENTS.iter().flat_map(|event| event.keys()) {
        *events.entry(path).or_default() += 1;
    }
    assert!(events.len() > 300, "{}", events.len());
    for (path, count) in &events {
        let found = by_path.get(path).unwrap_or_else(|| panic!("{path} is not listed"));
        assert_eq!(found.events, *count, "{path}");
    }
    // The others are derived, or inside of policies that travel as text.
    for field in fields.iter().filter(|field| !events.contains_key(field.path.as_str())) {
        let derived = columns::COLUMNS.iter().filter(|column| column.words == Words::Derived);
        let is_known = derived.map(|column| column.path).any(|path| path == field.path)
            || events.keys().any(|path| field.path.starts_with(&format!("{path}.")));
        assert!(is_known, "{field:?}");
    }
    let order: Vec<_> = fields.iter().map(|f| (std::cmp::Reverse(f.events), &f.path)).collect();
    assert!(order.is_sorted(), "the most frequent first");
}

#[test]
fn what_is_listed_is_what_queries_find_by_each_name() {
    let daemon = shared_daemon();
    let fields = fields("");
    for field in &fields {
        let below = format!("{}.", field.path);
        let has_below = fields.iter().any(|other| other.path.starts_with(&below));
        let path = field.query.as_ref().unwrap_or(&field.path);
        for name in std::iter::once(path).chain(&field.short) {
            let query = format!("{name}:*");
            let found = daemon.count(&query);
            // `field:*` finds fields below, too.
            let is_right = if has_below { found >= field.events } else { found == field.events };
            assert!(is_right, "{query}: {found}, {field:?}");
        }
    }
}

#[test]
fn a_field_has_each_kind_of_its_values() {
    let types = |path: &str| {
        let found = fields(path).into_iter().find(|field| field.path == path);
        found.unwrap_or_else(|| panic!("{path}")).types
    };
    assert_eq!(types("eventTime"), [FieldType::Time]);
    assert_eq!(types("sourceIPAddress"), [FieldType::Text, FieldType::Address]);
    assert_eq!(types("readOnly"), [FieldType::Text], "columns hold everything as text");
    let mut kinds: BTreeMap<&str, BTreeSet<FieldType>> = BTreeMap::new();
    for (path, values) in EVENTS.iter().flatten() {
        let kind = |value: &Value| match value {
            Value::Bool(_) => FieldType::Boolean,
            Value::Number(n) if n.is_f64() => FieldType::Number,
            Value::Number(_) => FieldType::Integer,
            _ => FieldType::Text,
        };
        kinds.entry(path).or_default().extend(values.iter().map(kind));
    }
    kinds.retain(|path, _| path.starts_with("requestParameters."));
    assert!(kinds.values().any(|kinds| kinds.len() > 1), "a path that has several");
    for (path, kinds) in kinds {
        assert_eq!(types(path).into_iter().collect::<BTreeSet<_>>(), kinds, "{path}");
    }
}

#[test]
fn names_are_found_by_path_by_any_later_part_and_by_short_name() {
    let paths = |prefix: &str| -> Vec<String> {
        fields(prefix).into_iter().map(|field| field.path).collect()
    };
    assert_eq!(paths("USERIDENTITY.ACCESSK"), ["userIdentity.accessKeyId"]);
    assert!(paths("bucketN").contains(&"requestParameters.bucketName".to_owned()));
    assert!(paths("sessionIssuer.t").iter().all(|path| path.ends_with("sessionIssuer.type")));
    assert!(!paths("sessionIssuer.t").is_empty());
    assert_eq!(paths("servic")[0], "eventSource");
    assert!(paths("act").contains(&"actor".to_owned()));
    assert!(paths("ucketName").is_empty(), "the middle of a part is none");
}

#[test]
fn a_limit_cuts_the_list_and_not_the_total() {
    let client = &shared_daemon().client;
    let all = fields("").len() as u64;
    let request = FieldsRequest { limit: Some(3), values: Some(2), ..FieldsRequest::default() };
    let response = client.fields(&request).unwrap();
    assert_eq!((response.fields.len(), response.total), (3, all));
    let with_values = |path: &str| {
        let prefix = Some(path.to_owned());
        let request = FieldsRequest { prefix, values: Some(2), limit: None };
        client.fields(&request).unwrap().fields.remove(0).values
    };
    let top = expected("eventName", "", |_| true);
    let found = with_values("eventName").unwrap();
    let found: Vec<_> = found.into_iter().map(|v| (v.value, v.events)).collect();
    assert_eq!(found, top[..2]);
    assert_eq!(with_values("eventID"), None, "nearly every event has its own");
    assert_eq!(with_values("eventTime"), None);
}

/// Of columns from their dictionaries, of other fields from the events.
#[test]
fn values_are_the_most_frequent_that_begin_with_a_text() {
    for (path, prefix) in [
        ("eventName", ""),
        ("eventName", "Get"),
        ("userIdentity.arn", "arn:aws:iam::"),
        ("resources.ARN", "arn:aws:s3:::"),
        ("requestParameters.bucketName", ""),
        ("requestParameters.bucketName", "i"),
        ("userIdentity.sessionContext.attributes.mfaAuthenticated", "f"),
        ("eventName", "no value begins so"),
    ] {
        let all = expected(path, prefix, |_| true);
        assert_eq!(values(&of_field(path, prefix)), all, "{path} {prefix}");
        let first = ValuesRequest { limit: Some(2), ..of_field(path, prefix) };
        assert_eq!(values(&first), all[..all.len().min(2)], "{path} {prefix}");
    }
    assert_eq!(values(&of_field("action", "Get")), values(&of_field("eventName", "Get")));
    assert_eq!(values(&of_field("ip", "3")), expected("sourceIPAddress", "3", |_| true));
}

#[test]
fn values_of_some_events_are_counted_in_these() {
    let is_denied = |event: &BTreeMap<String, Vec<Value>>| event.contains_key("errorCode");
    let query = Some("errorCode:*".to_owned());
    for path in ["eventName", "requestParameters.bucketName", "resources.ARN"] {
        let request = ValuesRequest { query: query.clone(), ..of_field(path, "") };
        assert_eq!(values(&request), expected(path, "", is_denied), "{path}");
    }
    let of_hour = |event: &BTreeMap<String, Vec<Value>>| {
        event["eventTime"][0].as_str().unwrap().starts_with("2023-07-10T12")
    };
    let request = ValuesRequest {
        start: Some("2023-07-10T12".into()),
        end: Some("2023-07-10T13".into()),
        ..of_field("eventName", "")
    };
    let hour = expected("eventName", "", of_hour);
    assert!(!hour.is_empty());
    assert_eq!(values(&request), hour);
}

#[test]
fn of_an_event_with_several_values_only_those_count_that_begin_so() {
    let record = |id: &str, resources: &Value, tags: &Value| {
        let record: Value = serde_json::from_str(&common::record(id)).unwrap();
        let Value::Object(mut record) = record else { panic!("no object") };
        record.insert("resources".into(), resources.clone());
        record.insert("requestParameters".into(), json!({ "tags": tags }));
        serde_json::to_string(&record).unwrap()
    };
    let records = [
        record("1", &json!([{"ARN": "a1"}, {"ARN": "b1"}]), &json!(["x1", "y1", 12, 1.5, true])),
        record("2", &json!([{"ARN": "a1"}, {"ARN": "a2"}]), &json!(["x1", 12])),
        record("3", &json!([{"ARN": "b1"}]), &json!("120")),
    ];
    let place = Place::new();
    let text = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    fs::write(place.archive().join("several.json"), text).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 3);
    let check = |field: &str, prefix: &str, expected: Value| {
        let found = daemon.client.values(&of_field(field, prefix)).unwrap();
        assert_eq!(serde_json::to_value(found.values).unwrap(), expected, "{field} {prefix}");
    };
    check("resource", "a", json!([{"value": "a1", "events": 2}, {"value": "a2", "events": 1}]));
    check("tags", "x", json!([{"value": "x1", "events": 2}]));
    check(
        "tags",
        "1",
        json!([{"value": 12, "events": 2}, {"value": 1.5, "events": 1},
        {"value": "120", "events": 1}]),
    );
    let request = ValuesRequest { query: Some("b1".into()), ..of_field("resource", "a") };
    let found = daemon.client.values(&request).unwrap().values;
    assert_eq!(serde_json::to_value(found).unwrap(), json!([{"value": "a1", "events": 1}]));
    // One event has values of several kinds at the path, and counts once.
    let tags =
        daemon.client.fields(&FieldsRequest { prefix: Some("tags".into()), ..Default::default() });
    let tags = &tags.unwrap().fields[0];
    assert_eq!(tags.events, 3);
    assert_eq!(tags.types, [FieldType::Text, FieldType::Number, FieldType::Boolean]);
    daemon.stop();
}

#[test]
fn what_a_record_calls_as_queries_call_another_field_is_listed_in_quotes() {
    let place = Place::new();
    let odd = common::record("1").replacen('{', r#"{"actor":"me","user":"x","ip":"y","odd":1,"#, 1);
    let plain = String::from_utf8(trail(&["2"])).unwrap();
    fs::write(place.archive().join("odd.json"), odd).unwrap();
    fs::write(place.archive().join("plain.json"), plain).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    let response = daemon.client.fields(&FieldsRequest::default()).unwrap();
    let listed = |path: &str| -> Vec<(Option<&str>, u64)> {
        let fields = response.fields.iter().filter(|field| field.path == path);
        fields.map(|field| (field.query.as_deref(), field.events)).collect()
    };
    assert_eq!(listed("odd"), [(None, 1)]);
    assert_eq!(listed("user"), [(Some("\"user\""), 1)]);
    assert_eq!(listed("ip"), [(Some("\"ip\""), 1)]);
    assert_eq!(listed("actor"), [(None, 2), (Some("\"actor\""), 1)]);
    assert_eq!(daemon.count("\"user\":x"), 1);
    assert_eq!(daemon.count("\"actor\":me"), 1);
    daemon.stop();
}

fn refused(answer: Result<impl std::fmt::Debug, ClientError>) -> ApiError {
    match answer.unwrap_err() {
        ClientError::Api(error) => error,
        error => panic!("{error}"),
    }
}

#[test]
fn what_cannot_be_listed_is_refused_with_a_way_out() {
    let daemon = shared_daemon();
    let values = |request: &ValuesRequest| refused(daemon.client.values(request));
    let error = values(&of_field("evntName", ""));
    assert_eq!(error.kind, ErrorKind::UnknownField);
    assert_eq!(error.suggestion.as_deref(), Some("eventName"));
    let error = values(&of_field("time", ""));
    assert_eq!(error.kind, ErrorKind::BadRequest);
    assert!(error.message.contains("timeline"), "{error}");
    let error = values(&of_field("userIdentity", ""));
    assert!(error.message.contains("has no value of its own"), "{error}");
    let query = Some("errorCode:* | count".to_owned());
    let error = values(&ValuesRequest { query, ..of_field("eventName", "") });
    assert_eq!(error.kind, ErrorKind::BadQuery);
    let error = values(&ValuesRequest { limit: Some(10_001), ..of_field("eventName", "") });
    assert!(error.message.contains("10001"), "{error}");
    let request = FieldsRequest { values: Some(101), ..FieldsRequest::default() };
    let error = refused(daemon.client.fields(&request));
    assert!(error.message.contains("10100"), "{error}");
}

fn ask(args: &[&str]) -> Ran {
    let daemon = shared_daemon();
    run(&[args, &["--socket", daemon.socket.to_str().unwrap()]].concat())
}

#[test]
fn commands_print_tables_and_json() {
    let ran = ask(&["fields", "accessK", "--values", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let header: Vec<&str> = ran.stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["FIELD", "SHORT", "TYPES", "EVENTS", "VALUES"]);
    assert!(ran.stdout.contains("\nuserIdentity.accessKeyId "), "{}", ran.stdout);
    let lines = ran.stdout.lines().count() - 1;
    assert_eq!(ran.stderr, format!("{lines} of {lines} fields\n"));
    assert_eq!(ask(&["fields", "no field begins so"]).code, 1);

    let ran = ask(&["values", "action", "Get", "--limit", "1", "--format", "ndjson"]);
    let (value, events) = &expected("eventName", "Get", |_| true)[0];
    assert_eq!(ran.stdout, format!("{{\"value\":{value},\"events\":{events}}}\n"));
    let ran = ask(&["values", "action", "--query", "errorCode:*", "--limit", "2"]);
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
    assert_eq!(ask(&["values", "action", "no value begins so"]).code, 1);
    let ran = ask(&["values", "acton"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean"), "{}", ran.stderr);
}
