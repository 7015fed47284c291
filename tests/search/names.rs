//! Names of fields, and what is asked of networks, services and actions: what each finds is counted by
//! hand on these records.

use std::fs;
use std::sync::LazyLock;

use client::ClientError;
use serde_json::{Value, json};
use wire::{ErrorKind, FieldsRequest, SearchRequest, SearchResponse};

use crate::common::{Daemon, PATIENCE, Place};

/// The records, by their ids.
fn records() -> Vec<(&'static str, Value)> {
    let policy = |principal: Value| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "s3:GetObject", "Principal": principal } ] })
        .to_string()
    };
    let s3 = |name: &str, ip: &str, parameters: Value| {
        json!({ "eventSource": "s3.amazonaws.com", "eventName": name, "sourceIPAddress": ip,
            "requestParameters": parameters })
    };
    let iam = |name: &str, parameters: Value| {
        json!({ "eventSource": "iam.amazonaws.com", "eventName": name,
            "sourceIPAddress": "2001:db8::7", "requestParameters": parameters })
    };
    vec![
        ("get", s3("GetObject", "3.238.12.9", json!({ "bucketName": "logs", "key": "a/b" }))),
        ("points", s3("ListAccessPoints", "3.238.13.1", json!({ "bucket": "logs" }))),
        ("put", s3("PutBucketPolicy", "10.0.0.1", json!({ "policy": policy(json!("*")) }))),
        (
            "allow",
            s3("PutBucketPolicy", "10.0.0.2", json!({ "policy": policy(json!({ "AWS": "*" })) })),
        ),
        (
            "attach",
            iam(
                "AttachUserPolicy",
                json!({ "policyArn": "arn:aws:iam::aws:policy/Admin", "userName": "bob" }),
            ),
        ),
        ("inline", iam("PutUserPolicy", json!({ "policyName": "Admin", "userName": "bob" }))),
        (
            "trust",
            json!({ "eventSource": "new-thing.amazonaws.com", "eventName": "PutUserPolicy",
            "errorMessage": "refused 3.238.12.77:443 and 2001:db8::9: sorry",
            "userIdentity": { "userName": "eve" }, "user": "own", "config": "PutConfigRule",
            "requestParameters": { "ipPermissions": { "cidrIp": "3.238.12.0/24" },
                "peer": ["3.238.12.200", "no"], "v6": "::1", "own:sign": "s", "o": { "p": 1 } } }),
        ),
        ("config", json!({ "eventSource": "config.amazonaws.com", "eventName": "PutConfigRule" })),
    ]
}

struct Answers {
    daemon: Daemon,
    _place: Place,
}

static ANSWERS: LazyLock<Answers> = LazyLock::new(|| {
    let place = Place::new();
    let records = records();
    let record = |(n, (id, record)): (usize, &(&str, Value))| {
        let mut record = record.clone();
        record["eventID"] = json!(id);
        record["eventTime"] = json!(format!("2026-06-01T00:00:{n:02}Z"));
        record
    };
    let all: Vec<Value> = records.iter().enumerate().map(record).collect();
    fs::write(place.archive().join("all.json"), json!({ "Records": all }).to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    Answers { daemon, _place: place }
});

fn ask(query: &str) -> Result<SearchResponse, ClientError> {
    let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
    ANSWERS.daemon.client.search(&request)
}

/// The ids that a query finds, in the order of the records, and its warnings.
#[track_caller]
fn found(query: &str) -> (String, Vec<String>) {
    let answer = ask(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut ids: Vec<&str> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
    ids.reverse();
    (ids.join(" "), answer.warnings)
}

#[track_caller]
fn check(query: &str, expected: &str) {
    let (ids, warnings) = found(query);
    assert_eq!((ids.as_str(), &warnings[..]), (expected, &[][..]), "{query}");
}

#[track_caller]
fn check_noted(query: &str, expected: &str, note: &str) {
    let (ids, warnings) = found(query);
    assert_eq!(ids, expected, "{query}");
    let is_noted = warnings.len() == 1 && warnings[0].contains(note);
    assert!(is_noted, "{query}: {warnings:?} without {note}");
}

#[track_caller]
fn rows(query: &str) -> Vec<Vec<Value>> {
    ask(query).unwrap_or_else(|error| panic!("{query}: {error}")).table.unwrap().rows
}

#[test]
fn a_short_name_stands_for_every_path_that_carries_a_thing() {
    check("bucket:logs", "get points");
    check("bucketName:logs", "get");
    check("object:a/b", "get");
    check("policy:Admin", "attach inline");
    check("policy:arn:aws:iam::aws:policy/Admin", "attach");
    check("policy:Ad*", "attach inline");
    check("policy:~admin", "attach inline");
    check("policy IN [Admin, x]", "attach inline");
    check("policy:\"policy Admin\"", "attach");
    check("target_user:bob", "attach inline");
    check("user:bob", "");
    check_noted("secret:x", "", "no event has a field that 'secret' stands for");
    assert_eq!(rows("top bucket"), [[json!("logs"), json!(2)]]);
    assert_eq!(rows("top policy | filter policy:Admin").len(), 2);
    check_noted("policyName:Admin OR target_role:*", "inline", "'target_role'");
}

#[test]
fn a_name_that_several_paths_end_in_asks_all_of_them_and_says_so() {
    check_noted("userName:*", "attach inline trust", "'userName' stands for 3 fields");
    check_noted("userName:bob userName:bob", "attach inline", "requestParameters.userName");
    check_noted("* | count by userName | filter userName:eve", "", "stands for 3 fields");
}

#[test]
fn a_name_in_quotes_is_the_records_own() {
    check("user:own", "");
    check("user:eve", "trust");
    check("\"user\":own", "trust");
    check("-\"user\":*", "get points put allow attach inline config");
    check("\"policy\":*", "put allow");
    check("\"requestParameters.own:sign\":s", "trust");
    check("\"own:sign\" = s", "trust");
    check("requestParameters.own\\:sign:s", "trust");
    assert_eq!(rows("top \"user\""), [[json!("own"), json!(1)]]);
    assert_eq!(rows("* | top \"own:sign\" | filter \"own:sign\":s").len(), 1);
    let tree = json!({ "filter": { "field": { "path": "user" }, "is": "own" } });
    let query = serde_json::from_value(tree).unwrap();
    let request = SearchRequest { query, ..SearchRequest::default() };
    assert_eq!(ANSWERS.daemon.client.search(&request).unwrap().total.value, 1);
}

#[test]
fn fields_are_listed_as_queries_have_them() {
    let request = FieldsRequest { limit: Some(1_000), ..FieldsRequest::default() };
    let fields = ANSWERS.daemon.client.fields(&request).unwrap().fields;
    let query = |path: &str| {
        fields
            .iter()
            .find(|field| field.path == path)
            .unwrap_or_else(|| panic!("{path}"))
            .query
            .clone()
    };
    assert_eq!(query("user").as_deref(), Some("\"user\""));
    let own = "\"requestParameters.own:sign\"";
    assert_eq!(query("requestParameters.own:sign").as_deref(), Some(own));
    assert_eq!(query("requestParameters.bucketName"), None);
    for field in &fields {
        let name = field.query.as_ref().unwrap_or(&field.path);
        let found = ask(&format!("{name}:*")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.total.value >= field.events, "{name}");
    }
    let Err(ClientError::Api(error)) = ask("own\\:sgn:s") else { panic!("there is no such field") };
    assert_eq!(error.suggestion.as_deref(), Some("\"own:sign\""));
}

#[test]
fn existence_counts_what_is_below_by_every_name() {
    check("Principal:*", "put allow");
    check("Action:s3:GetObject -Principal:*", "");
    check("Statement:*", "put allow");
    check("o:*", "trust");
    check("requestParameters.o:*", "trust");
    check("userIdentity:*", "trust");
    check("Principal:\\*", "put");
    check("Principal.AWS:\\*", "allow");
}

#[test]
fn fields_that_no_event_has_are_no_errors_where_aws_has_them() {
    check_noted(
        "tlsDetails.tlsVersion:TLSv1.3",
        "",
        "no event has the field 'tlsDetails.tlsVersion'",
    );
    check_noted("tlsVersion:*", "", "no event has the field 'tlsVersion'");
    check_noted("tlsDetails:*", "", "'tlsDetails'");
    check_noted(
        "requestParameters.buckeName:x",
        "",
        "did you mean 'requestParameters.bucketName'?",
    );
    check_noted("responseElements.any.thing:x", "", "responseElements.any.thing");
    check_noted("Condition:*", "", "'Condition'");
    check_noted("-serviceEventDetails.x:* eventName:GetObject", "get", "serviceEventDetails.x");
    check_noted("requestParameters.o:x", "", "'requestParameters.o' has no value of its own");
    check_noted("EVENTNAME:GetObject", "get", "'EVENTNAME' is taken for 'eventName'");
    for (query, suggestion) in [
        ("evntName:x", Some("eventName")),
        ("qqqq:x", None),
        ("tlsDetails.tlsVersio:x", Some("tlsDetails.tlsVersion")),
    ] {
        let Err(ClientError::Api(error)) = ask(query) else { panic!("{query} is no error") };
        assert_eq!((error.kind, error.offset), (ErrorKind::UnknownField, Some(0)), "{query}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{query}");
    }
}

#[test]
fn names_of_other_tools_are_fields() {
    check("event.action:GetObject", "get");
    check("source.ip:10.0.0.0/8", "put allow");
    check("user.name:eve", "trust");
    check("event.provider:s3.amazonaws.com", "get points put allow");
    check_noted("@timestamp < 2026-06-01T00:00:00Z", "", "events span");
    assert_eq!(rows("top event.action | limit 1")[0][1], json!(2));
}

/// Datadog's `@` and Elastic's kinds of an index, around a name of any depth, in any case and together.
#[test]
fn what_other_tools_add_to_a_name_is_left_out() {
    for (name, plain) in [
        ("@eventName", "eventName"),
        ("@requestParameters.bucketName", "requestParameters.bucketName"),
        ("requestParameters.bucketName.keyword", "requestParameters.bucketName"),
        ("@requestParameters.bucketName.keyword", "requestParameters.bucketName"),
        ("requestParameters.bucketName.text.keyword", "requestParameters.bucketName"),
        ("@bucketName.raw", "bucketName"),
        ("@bucket.keyword", "bucket"),
        ("@event.action.keyword", "event.action"),
        (
            "requestParameters.ipPermissions.cidrIp.keyword",
            "requestParameters.ipPermissions.cidrIp",
        ),
    ] {
        check_noted(
            &format!("{name}:* eventID:get"),
            if plain.contains("cidr") { "" } else { "get" },
            &format!("'{name}' is taken for '{plain}'"),
        );
    }
    check_noted("@useridentity.USERNAME.keyword:eve", "trust", "taken for 'userIdentity.userName'");
    check_noted("requestparameters.O.P.keyword:1", "trust", "taken for 'requestParameters.o.p'");
    check("\"requestParameters.own:sign\":s", "trust");
    for query in ["@message.keyword:x", "\"eventName.keyword\":x", "@.keyword:x", "@nosuch.raw:x"] {
        let Err(ClientError::Api(error)) = ask(query) else { panic!("{query} is no error") };
        assert_eq!(error.kind, ErrorKind::UnknownField, "{query}");
    }
}

#[test]
fn a_network_is_one_on_any_field_and_without_one() {
    for field in ["ip", "sourceIPAddress", "source.ip", "\"sourceIPAddress\""] {
        check(&format!("{field}:3.238.12.0/24"), "get");
        check(&format!("{field}:\"3.238.12.0/24\""), "get");
        check(&format!("{field} IN [3.238.12.0/24, 10.0.0.2]"), "get allow");
        check(&format!("{field}:2001:db8::/32"), "attach inline");
        check(&format!("{field}:[3.238.0.0 TO 3.238.12.255]"), "get");
    }
    check("requestParameters.peer:3.238.12.0/24", "trust");
    check("requestParameters.ipPermissions.cidrIp:3.238.12.0/24", "trust");
    check("requestParameters.v6:::/64", "trust");
    for (query, expected) in [
        ("3.238.12.0/24", "get trust"),
        ("3.238.0.0/16", "get points trust"),
        ("2001:db8::/32", "attach inline trust"),
        ("-3.238.0.0/16 \"s3\"", "put allow"),
    ] {
        check_noted(query, expected, "is taken as a network");
    }
    assert_eq!(rows("* | count by sourceIPAddress | filter sourceIPAddress:3.238.0.0/16").len(), 2);
    assert_eq!(rows("* | count by sourceIPAddress | filter 3.238.0.0/16").len(), 2);
}

#[test]
fn networks_and_ranges_are_of_one_family() {
    check("ip:::/0", "attach inline");
    check("ip:0.0.0.0/0", "get points put allow");
    check("ip >= ::", "attach inline");
    check("ip <= 10.0.0.1", "get points put");
    check("ip > 3.238.13.1", "put allow");
    check("sourceIPAddress < ffff::", "attach inline");
    let Err(ClientError::Api(error)) = ask("ip:[10.0.0.0 TO ::1]") else { panic!("two families") };
    assert_eq!((error.kind, error.offset), (ErrorKind::BadQuery, Some(4)), "{error:?}");
}

#[test]
fn services_and_actions_are_asked_as_tables_print_them() {
    for service in ["service", "eventSource"] {
        check(&format!("{service}:iam"), "attach inline");
        check(&format!("{service}:(iam OR config)"), "attach inline config");
        check(&format!("{service}:i?m"), "attach inline");
        check(&format!("{service}:~IAM"), "attach inline");
        check(&format!("{service}:\"iam\""), "attach inline");
        check(&format!("{service} IN [iam, config]"), "attach inline config");
        check(&format!("{service}:iam.amazonaws.com"), "attach inline");
    }
    for action in ["action:iam:PutUserPolicy", "eventName = iam:PutUserPolicy", "iam:PutUserPolicy"]
    {
        check(action, "inline");
        check(&format!("-{action} PutUserPolicy"), "trust");
    }
    check("iam:*", "attach inline");
    check("iam:*UserPolicy", "attach inline");
    check("iam:(PutUserPolicy OR AttachUserPolicy)", "attach inline");
    check("action IN [iam:PutUserPolicy, s3:GetObject]", "get inline");
    check("new-thing:PutUserPolicy", "trust");
    check("sqs:SendMessage", "");
    check_noted("config:PutConfigRule", "trust config", "'config' is a field and a service");
    check("config:x", "");
    let table = "* | count by service, action | filter action:s3:GetObject";
    assert_eq!(rows(table).len(), 1);
    let Err(ClientError::Api(error)) = ask("* | count by action | filter action:s3:GetObject")
    else {
        panic!("the table does not say which service")
    };
    assert_eq!(error.kind, ErrorKind::BadQuery, "{error:?}");
}
