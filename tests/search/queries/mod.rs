//! What queries find over the socket on the `invictus` trail. Every expected set of events is
//! computed from the files by a closure over `serde_json::Value`, without any of traildex's code.

mod api;
mod order;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::LazyLock;

use client::ClientError;
use serde_json::{Value, json};
use wire::{
    ApiError, ErrorBody, ErrorKind, FileState, FilesRequest, Hit, Order, SearchRequest,
    SearchResponse, Total, TotalMode,
};

use crate::common::{Record, records_below, sample, shared_daemon};

static EVENTS: LazyLock<Vec<Event>> =
    LazyLock::new(|| records_below(&sample("invictus")).into_iter().map(Event::new).collect());

/// A record, taken apart once.
struct Event {
    record: Record,
    leaves: Vec<Leaf>,
}

/// A scalar other than null.
struct Leaf {
    path: String,
    value: Value,
    text: String,
    /// None of a truth value.
    words: Vec<String>,
}

impl Event {
    fn new(record: Record) -> Self {
        let leaf = |(path, value): (String, &Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let words = if value.is_boolean() { Vec::new() } else { words(&text) };
            Leaf { path, value: value.clone(), text, words }
        };
        let leaves = leaves(&record.json).into_iter().map(leaf).collect();
        Self { record, leaves }
    }

    fn raw(&self) -> &str {
        &self.record.raw
    }

    fn text(&self, key: &str) -> &str {
        self.record.json[key].as_str().unwrap()
    }

    fn time(&self) -> &str {
        self.text("eventTime")
    }
}

/// The query finds exactly the events for which `is_met` holds, of which there are some, and each
/// with the bytes of its file.
#[track_caller]
fn check(query: &str, is_met: impl Fn(&Event) -> bool) {
    // All records of this trail are distinct, so that a set loses none.
    let met = EVENTS.iter().filter(|event| is_met(event));
    let expected: BTreeSet<&str> = met.map(Event::raw).collect();
    assert!(!expected.is_empty(), "{query}: a test that nothing meets tests nothing");
    assert!(expected.len() < EVENTS.len(), "{query}: a test that everything meets tests nothing");
    compare(query, &expected);
}

/// The query finds nothing, and neither does `is_met`.
#[track_caller]
fn check_none(query: &str, is_met: impl Fn(&Event) -> bool) {
    assert!(!EVENTS.iter().any(is_met), "{query}");
    compare(query, &BTreeSet::new());
}

#[track_caller]
fn compare(query: &str, expected: &BTreeSet<&str>) {
    let found = shared_daemon().find(query);
    let hits: BTreeSet<&str> = found.hits.iter().map(|hit| hit.event.get()).collect();
    let missing = expected.difference(&hits).next();
    let surplus = hits.difference(expected).next();
    assert!(
        hits == *expected,
        "{query}: found {}, expected {}\nmissing: {missing:?}\nsurplus: {surplus:?}",
        hits.len(),
        expected.len()
    );
    assert_eq!(found.total, Total { value: expected.len() as u64, exact: true }, "{query}");
    assert_eq!(found.hits.len(), expected.len(), "{query}");
}

/// Every scalar but null, with its path.
fn leaves(event: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(value, &format!("{path}{dot}{key}"), found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
            Value::Null => {}
            scalar => found.push((path.to_owned(), scalar)),
        }
    }
    let mut found = Vec::new();
    walk(event, "", &mut found);
    found
}

/// Whether a scalar at the path is this text, as text.
fn is(event: &Event, path: &str, text: &str) -> bool {
    is_any(event, path, |value| value == text)
}

fn is_any(event: &Event, path: &str, is_met: impl Fn(&str) -> bool) -> bool {
    event.leaves.iter().any(|leaf| leaf.path == path && is_met(&leaf.text))
}

/// Whether there is something at a path or below it.
fn has(event: &Event, path: &str) -> bool {
    let is_there = |leaf: &Leaf| {
        leaf.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    event.leaves.iter().any(is_there)
}

fn number(event: &Event, path: &str, is_met: impl Fn(f64) -> bool) -> bool {
    let number = |leaf: &Leaf| leaf.value.as_f64();
    event.leaves.iter().filter(|leaf| leaf.path == path).filter_map(number).any(is_met)
}

/// Runs of letters, digits, `-`, `_` and `.`, in lower case and without those signs at their ends.
fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    text.to_lowercase()
        .split(|c| !is_part(c))
        .map(|word| word.trim_matches(['-', '_', '.']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether these words stand in a row in one value, at any path that meets the condition.
fn has_row(event: &Event, row: &str, at: impl Fn(&str) -> bool) -> bool {
    let row = words(row);
    let has = |leaf: &Leaf| at(&leaf.path) && leaf.words.windows(row.len()).any(|w| *w == *row);
    event.leaves.iter().any(has)
}

fn anywhere(event: &Event, row: &str) -> bool {
    has_row(event, row, |_| true)
}

fn address(event: &Event) -> Option<Ipv4Addr> {
    match event.text("sourceIPAddress").parse() {
        Ok(IpAddr::V4(address)) => Some(address),
        _ => None,
    }
}

#[test]
fn a_word_is_found_in_any_value() {
    check("terraform", |e| anywhere(e, "terraform"));
    check("TERRAFORM", |e| anywhere(e, "terraform"));
    check("bert-jan", |e| anywhere(e, "bert-jan"));
    check("AccessDenied", |e| anywhere(e, "AccessDenied"));
    check("arn:aws:iam::123837392027:user/bert-jan", |e| {
        anywhere(e, "arn aws iam 123837392027 user bert-jan")
    });
    check("192.168.10.20", |e| anywhere(e, "192.168.10.20"));
    check("3600", |e| anywhere(e, "3600"));
    check("sigv4", |e| anywhere(e, "SigV4"));
    check_none("zebra", |e| anywhere(e, "zebra"));
}

#[test]
fn an_event_is_found_by_its_id_and_by_its_key_as_words() {
    let id = EVENTS[1_234].text("eventID");
    check(id, |e| anywhere(e, id));
    check(&id.to_uppercase(), |e| anywhere(e, id));
    let keyed = EVENTS.iter().find_map(|e| e.record.json["userIdentity"]["accessKeyId"].as_str());
    let key = keyed.unwrap();
    check(key, |e| anywhere(e, key));
    check(&key.to_lowercase(), |e| anywhere(e, key));
}

/// UUIDs are kept otherwise than other ids.
#[test]
fn ids_are_found_by_any_part_of_them() {
    let (uuid, other) = (EVENTS[1_234].text("requestID"), "RSGE4JXPFTXF77PS");
    assert_eq!(uuid.len(), 36);
    for id in [uuid, other] {
        let part = &id[3..7];
        check(&format!("requestID:{id}"), |e| is(e, "requestID", id));
        check(&format!("requestID:{}*", &id[..6]), |e| {
            is_any(e, "requestID", |v| v.starts_with(&id[..6]))
        });
        check(&format!("requestID:*{part}*"), |e| is_any(e, "requestID", |v| v.contains(part)));
        check(&format!("requestID:/.*{part}.*/"), |e| is_any(e, "requestID", |v| v.contains(part)));
        check(&format!("requestID:~{}", id.to_uppercase()), |e| is(e, "requestID", id));
        check(&format!("requestID >= {id}"), |e| is_any(e, "requestID", |v| v >= id));
    }
    check(&format!("requestID:({uuid} OR {other})"), |e| {
        is_any(e, "requestID", |v| v == uuid || v == other)
    });
    check("NOT requestID:*", |e| !has(e, "requestID"));
    check("requestID:*", |e| has(e, "requestID"));
    check_none(&format!("requestID:{}", uuid.to_uppercase()), |e| {
        is(e, "requestID", &uuid.to_uppercase())
    });
    check_none(&format!("requestID:{}", &uuid[..35]), |e| is(e, "requestID", &uuid[..35]));
}

#[test]
fn an_event_time_is_found_as_text() {
    let time = EVENTS[0].time();
    check(&format!("\"{time}\""), |e| anywhere(e, time));
}

#[test]
fn a_phrase_is_found_within_one_value() {
    check("\"Rate exceeded\"", |e| anywhere(e, "Rate exceeded"));
    check("\"is not authorized to perform\"", |e| anywhere(e, "is not authorized to perform"));
    check("\"AWS Internal\"", |e| anywhere(e, "AWS Internal"));
    check("\"bucket policy\" OR \"Object Lock\"", |e| {
        anywhere(e, "bucket policy") || anywhere(e, "Object Lock")
    });
    // A policy document is JSON in a string.
    check("\"Effect Allow\"", |e| anywhere(e, "Effect Allow"));
    check_none("\"exceeded Rate\"", |e| anywhere(e, "exceeded Rate"));
}

#[test]
fn a_phrase_is_found_in_a_field_and_not_beside_it() {
    check("errorMessage:\"not authorized\"", |e| {
        has_row(e, "not authorized", |path| path == "errorMessage")
    });
    check("userAgent:\"HashiCorp 1.0\"", |e| {
        has_row(e, "HashiCorp 1.0", |path| path == "userAgent")
    });
    check("requestParameters.policyDocument:\"Effect Allow\"", |e| {
        has_row(e, "Effect Allow", |path| path == "requestParameters.policyDocument")
    });
    check_none("eventName:\"not authorized\"", |e| {
        has_row(e, "not authorized", |path| path == "eventName")
    });
}

#[test]
fn a_column_has_a_whole_value() {
    check("eventName:AssumeRole", |e| is(e, "eventName", "AssumeRole"));
    check_none("eventName:assumerole", |e| is(e, "eventName", "assumerole"));
    check_none("eventName:Assume", |e| is(e, "eventName", "Assume"));
    check("eventSource:s3.amazonaws.com", |e| is(e, "eventSource", "s3.amazonaws.com"));
    check("service:iam.amazonaws.com", |e| is(e, "eventSource", "iam.amazonaws.com"));
    check("readOnly:false", |e| is(e, "readOnly", "false"));
    check("user:benjamin", |e| is(e, "userIdentity.userName", "benjamin"));
    check("userIdentity.type:AssumedRole", |e| is(e, "userIdentity.type", "AssumedRole"));
    check("sourceIPAddress:AWS\\ Internal", |e| is(e, "sourceIPAddress", "AWS Internal"));
    check("errorCode = AccessDenied", |e| is(e, "errorCode", "AccessDenied"));
    check("eventName != Decrypt", |e| !is(e, "eventName", "Decrypt"));
    check("resources.type:AWS\\:\\:S3\\:\\:Bucket", |e| is(e, "resources.type", "AWS::S3::Bucket"));
    let id = EVENTS[7].text("eventID");
    check(&format!("eventID:{id}"), |e| is(e, "eventID", id));
}

#[test]
fn a_nested_field_has_a_whole_value_of_any_type() {
    check("requestParameters.roleArn:*stratus*", |e| {
        is_any(e, "requestParameters.roleArn", |v| v.contains("stratus"))
    });
    check("requestParameters.withDecryption:true", |e| {
        is(e, "requestParameters.withDecryption", "true")
    });
    check("requestParameters.overwrite:false", |e| is(e, "requestParameters.overwrite", "false"));
    check("requestParameters.durationSeconds:900", |e| {
        is(e, "requestParameters.durationSeconds", "900")
    });
    // A number in 49 events and a string in 17.
    check("requestParameters.maxResults:100", |e| is(e, "requestParameters.maxResults", "100"));
    check("responseElements.version:1", |e| is(e, "responseElements.version", "1"));
    check("additionalEventData.bytesTransferredIn:0", |e| {
        is(e, "additionalEventData.bytesTransferredIn", "0")
    });
    check("additionalEventData.SignatureVersion:SigV4", |e| {
        is(e, "additionalEventData.SignatureVersion", "SigV4")
    });
    check("requestParameters.instancesSet.items.maxCount:10", |e| {
        is(e, "requestParameters.instancesSet.items.maxCount", "10")
    });
    check("mfaAuthenticated:false", |e| {
        is(e, "userIdentity.sessionContext.attributes.mfaAuthenticated", "false")
    });
}

#[test]
fn conditions_combine_as_written() {
    let decrypt = |e: &Event| is(e, "eventName", "Decrypt");
    let ssm = |e: &Event| is(e, "eventSource", "ssm.amazonaws.com");
    let failed = |e: &Event| has(e, "errorCode");
    check("eventSource:ssm.amazonaws.com AND errorCode:*", |e| ssm(e) && failed(e));
    check("eventSource:ssm.amazonaws.com errorCode:*", |e| ssm(e) && failed(e));
    check("eventName:Decrypt OR errorCode:*", |e| decrypt(e) || failed(e));
    check("NOT errorCode:*", |e| !failed(e));
    check("eventSource:ssm.amazonaws.com -errorCode:*", |e| ssm(e) && !failed(e));
    check("eventName:Decrypt OR eventSource:ssm.amazonaws.com AND NOT errorCode:*", |e| {
        decrypt(e) || ssm(e) && !failed(e)
    });
    check("(eventName:Decrypt OR eventSource:ssm.amazonaws.com) AND NOT errorCode:*", |e| {
        (decrypt(e) || ssm(e)) && !failed(e)
    });
    check("NOT (eventName:Decrypt OR NOT (errorCode:* OR bert-jan))", |e| {
        !(decrypt(e) || !(failed(e) || anywhere(e, "bert-jan")))
    });
    check("eventName:(Encrypt OR Decrypt OR GetUser)", |e| {
        is_any(e, "eventName", |v| ["Encrypt", "Decrypt", "GetUser"].contains(&v))
    });
    check("eventName IN [Encrypt, Decrypt]", |e| decrypt(e) || is(e, "eventName", "Encrypt"));
    check("eventName NOT IN [Encrypt, Decrypt]", |e| !decrypt(e) && !is(e, "eventName", "Encrypt"));
    check_none("eventName:Decrypt AND NOT eventName:Decrypt", |e| decrypt(e) && !decrypt(e));
}

#[test]
fn a_range_of_times_takes_whole_units() {
    check("time >= 2023-07-10T12:00", |e| e.time() >= "2023-07-10T12:00:00Z");
    check("eventTime > 2023-07-10T12:00", |e| e.time() >= "2023-07-10T12:01:00Z");
    check("time < 2023-07-10T11:50:30Z", |e| e.time() < "2023-07-10T11:50:30Z");
    check("time:[2023-07-10T12:05 TO 2023-07-10T12:10]", |e| {
        ("2023-07-10T12:05:00Z".."2023-07-10T12:11:00Z").contains(&e.time())
    });
    check("time:{2023-07-10T12:05 TO 2023-07-10T12:10} AND errorCode:*", |e| {
        ("2023-07-10T12:06:00Z".."2023-07-10T12:10:00Z").contains(&e.time()) && has(e, "errorCode")
    });
    check("time:2023-07-10T12:10", |e| e.time().starts_with("2023-07-10T12:10:"));
    check("time <= 2023-07-10T14:00+02:00", |e| e.time() < "2023-07-10T12:01:00Z");
    check_none("time >= -24h", |_| false);
}

#[test]
fn a_range_of_numbers_compares_them_as_numbers() {
    let path = "additionalEventData.bytesTransferredOut";
    check(&format!("{path} > 368"), |e| number(e, path, |n| n > 368.0));
    check(&format!("{path} >= 368"), |e| number(e, path, |n| n >= 368.0));
    check(&format!("{path}:<1000"), |e| number(e, path, |n| n < 1_000.0));
    check(&format!("{path}:[100 TO 400]"), |e| number(e, path, |n| (100.0..=400.0).contains(&n)));
    check(&format!("{path}:{{0 TO 368}}"), |e| number(e, path, |n| n > 0.0 && n < 368.0));
    check("requestParameters.durationSeconds > 900.5", |e| {
        number(e, "requestParameters.durationSeconds", |n| n > 900.5)
    });
    check("requestParameters.timeout:[1 TO *]", |e| {
        number(e, "requestParameters.timeout", |n| n >= 1.0)
    });
}

#[test]
fn a_field_is_there_or_not() {
    check("errorCode:*", |e| has(e, "errorCode"));
    check("requestParameters.policyDocument:*", |e| has(e, "requestParameters.policyDocument"));
    check("NOT userIdentity.type:*", |e| !has(e, "userIdentity.type"));
    check("userIdentity.sessionContext:*", |e| has(e, "userIdentity.sessionContext"));
    check("requestParameters:*", |e| has(e, "requestParameters"));
    check("NOT sharedEventID:*", |e| !has(e, "sharedEventID"));
}

#[test]
fn wildcards_match_whole_values_and_whole_words() {
    check("eventName:Get*", |e| is_any(e, "eventName", |v| v.starts_with("Get")));
    check("eventName:*Bucket*", |e| is_any(e, "eventName", |v| v.contains("Bucket")));
    check("eventName:Get*Policy", |e| {
        is_any(e, "eventName", |v| v.starts_with("Get") && v.ends_with("Policy"))
    });
    check("eventName:?ecrypt", |e| is(e, "eventName", "Decrypt"));
    check("errorCode:*.NotFound", |e| is_any(e, "errorCode", |v| v.ends_with(".NotFound")));
    check("userAgent:*stratus-red-team*", |e| {
        is_any(e, "userAgent", |v| v.contains("stratus-red-team"))
    });
    check("requestParameters.name:/credentials/*", |e| {
        is_any(e, "requestParameters.name", |v| v.starts_with("/credentials/"))
    });
    let any_word = |e: &Event, is_met: &dyn Fn(&str) -> bool| {
        e.leaves.iter().flat_map(|leaf| &leaf.words).any(|word| is_met(word))
    };
    check("stratus-red-team*", |e| any_word(e, &|word| word.starts_with("stratus-red-team")));
    check("*unauthorized*", |e| any_word(e, &|word| word.contains("unauthorized")));
    check("AKIA*", |e| any_word(e, &|word| word.starts_with("akia")));
}

#[test]
fn networks_hold_their_addresses() {
    let network = |first: [u8; 4], bits: u32| {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        move |e: &Event| {
            address(e).is_some_and(|a| u32::from(a) & mask == u32::from(Ipv4Addr::from(first)))
        }
    };
    check("ip:192.168.0.0/16", network([192, 168, 0, 0], 16));
    check("ip:10.0.0.0/8", network([10, 0, 0, 0], 8));
    check("ip:10.107.0.0/16", network([10, 107, 0, 0], 16));
    check("ip:192.168.10.20", network([192, 168, 10, 20], 32));
    check("ip:0.0.0.0/0", network([0, 0, 0, 0], 0));
    check("NOT ip:0.0.0.0/0", |e| address(e).is_none());
    check("ip:10.0.0.0/8 AND NOT ip:10.8.8.10", |e| {
        address(e).is_some_and(|a| a.octets()[0] == 10 && a.octets() != [10, 8, 8, 10])
    });
    check_none("ip:172.16.0.0/12", network([172, 16, 0, 0], 12));
}

#[test]
fn who_acted_is_derived() {
    // 42 records lack the type and name the service that called.
    check("credential:aws-service", |e| {
        is(e, "userIdentity.type", "AWSService")
            || !has(e, "userIdentity.type") && has(e, "userIdentity.invokedBy")
    });
    check("actor:bert-jan", |e| {
        is(e, "userIdentity.type", "IAMUser") && is(e, "userIdentity.userName", "bert-jan")
    });
    check("credential:assumed-role AND actor:*", |e| is(e, "userIdentity.type", "AssumedRole"));
}
