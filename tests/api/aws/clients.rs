//! AWS's own clients, as the registries have them: each is told what the socket tells.

use std::process::Command;

use bench::generate::{GenerateOptions, generate};
use serde_json::{Value, json};

use super::{client, python, records, run_client, script, socket_records, try_client, with_keys};
use crate::common::{Daemon, PATIENCE_BULK, Place};

const EVENTS: u64 = 1_000;

fn start() -> (Daemon, String) {
    let place = with_keys(Place::new(), "");
    let options = GenerateOptions { events: EVENTS, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, EVENTS);
    let address = super::address(&daemon);
    (daemon, address)
}

/// A value of each attribute, and the query of the socket that finds the same events.
fn attributes(daemon: &Daemon, address: &str) -> Vec<(&'static str, String, String)> {
    let mut python = python("boto_lookup.py");
    let asked = json!([{ "parameters": {}, "paginate": {} }]);
    let answer = run_client(&mut python, address, &asked);
    let pages = answer[0]["pages"].as_array().unwrap();
    let events: Vec<&Value> = pages.iter().flat_map(|page| page.as_array().unwrap()).collect();
    assert_eq!(events.len() as u64, EVENTS);
    let some = |key: &str| {
        let found = events.iter().find_map(|event| event[key].as_str());
        found.unwrap_or_else(|| panic!("an event has {key}")).to_owned()
    };
    let quoted = |field: &str, value: &str| format!("{field} = {}", json!(value));
    let (id, name, source) = (some("EventId"), some("EventName"), some("EventSource"));
    let (key, user) = (some("AccessKeyId"), some("Username"));
    let hits = daemon.find("actor:*").hits;
    let has_user =
        |hit: &&wire::Hit| hit.meta.actor == user || hit.meta.actor.ends_with(&format!("/{user}"));
    assert!(hits.iter().any(|hit| has_user(&hit)));
    let bucket = {
        let request = "eventSource:s3.amazonaws.com AND requestParameters.bucketName:*";
        let hit = &daemon.find(request).hits[0];
        let event: Value = serde_json::from_str(hit.event.get()).unwrap();
        event["requestParameters"]["bucketName"].as_str().unwrap().to_owned()
    };
    vec![
        ("EventId", id.clone(), quoted("eventID", &id)),
        ("EventName", name.clone(), quoted("eventName", &name)),
        ("EventSource", source.clone(), quoted("eventSource", &source)),
        ("ReadOnly", "false".to_owned(), "readOnly:false".to_owned()),
        ("AccessKeyId", key.clone(), quoted("userIdentity.accessKeyId", &key)),
        (
            "Username",
            user.clone(),
            format!("{} OR actor:*\\/{user}", quoted("userIdentity.userName", &user)),
        ),
        (
            "ResourceName",
            bucket.clone(),
            format!(
                "{} OR {}",
                quoted("requestParameters.bucketName", &bucket),
                quoted("resources.ARN", &bucket)
            ),
        ),
        (
            "ResourceType",
            "AWS::S3::Bucket".to_owned(),
            "(eventSource:s3.amazonaws.com AND requestParameters.bucketName:*) \
             OR (eventSource:cloudtrail.amazonaws.com AND requestParameters.s3BucketName:*) \
             OR resources.type = \"AWS::S3::Bucket\""
                .to_owned(),
        ),
    ]
}

fn aws(arguments: &[&str]) -> Command {
    // A script whose first line names the environment's Python.
    let mut command = Command::new(client("bin/python"));
    command.arg(client("bin/aws")).args(["cloudtrail", "lookup-events", "--output", "json"]);
    command.args(arguments);
    command
}

#[test]
fn the_aws_cli_is_told_what_the_socket_tells() {
    let (daemon, address) = start();
    let attribute =
        |key: &str, value: &str| format!("AttributeKey={key},AttributeValue=\"{value}\"");
    for (key, value, query) in attributes(&daemon, &address) {
        let mut command = aws(&["--lookup-attributes", &attribute(key, &value)]);
        let answer = run_client(&mut command, &address, &Value::Null);
        let expected = socket_records(&daemon, &query);
        assert!(!expected.is_empty(), "{key} {value}");
        let found = answer["Events"].as_array().unwrap();
        assert_eq!(records(found), expected, "{key} {value}");
    }
    // Pages of 50 and of 20, cut at 130, and gone on with.
    let all = run_client(&mut aws(&[]), &address, &Value::Null);
    let all = all["Events"].as_array().unwrap();
    assert_eq!(all.len() as u64, EVENTS);
    let pages = ["--max-items", "130", "--page-size", "20"];
    let first = run_client(&mut aws(&pages), &address, &Value::Null);
    assert_eq!(first["Events"].as_array().unwrap()[..], all[..130]);
    let token = first["NextToken"].as_str().unwrap();
    let next = [&pages[..], &["--starting-token", token]].concat();
    let second = run_client(&mut aws(&next), &address, &Value::Null);
    assert_eq!(second["Events"].as_array().unwrap()[..], all[130..260]);
    let between = ["--start-time", "2026-01-01T00:00:00Z", "--end-time", "2026-01-17T23:59:59Z"];
    let found = run_client(&mut aws(&between), &address, &Value::Null);
    let expected = socket_records(&daemon, "@2026-01-01..2026-01-17");
    assert!((1..EVENTS).contains(&(expected.len() as u64)));
    assert_eq!(records(found["Events"].as_array().unwrap()), expected);

    let wrong = ["--start-time", "2026-01-03", "--end-time", "2026-01-02"];
    let (_, failed) = try_client(&mut aws(&wrong), &address, &Value::Null);
    let said = failed.expect("it fails");
    assert!(said.contains("(InvalidTimeRangeException) when calling the LookupEvents"), "{said}");
    let mut stranger = aws(&[]);
    stranger.env("AWS_SECRET_ACCESS_KEY", "another");
    let (_, failed) = try_client(&mut stranger, &address, &Value::Null);
    let said = failed.expect("it fails");
    assert!(said.contains("(InvalidSignatureException)"), "{said}");
    daemon.stop();
}

#[test]
fn boto3_is_told_what_the_socket_tells_and_raises_its_own_exceptions() {
    let (daemon, address) = start();
    let attributes = attributes(&daemon, &address);
    let lookup = |key: &str, value: &str| json!({ "LookupAttributes": [{ "AttributeKey": key, "AttributeValue": value }] });
    let mut items: Vec<Value> = attributes
        .iter()
        .map(|(key, value, _)| {
            json!({ "parameters": lookup(key, value), "paginate": { "PageSize": 17 } })
        })
        .collect();
    items.push(json!({ "parameters": { "StartTime": "2026-01-03", "EndTime": "2026-01-02" } }));
    items.push(json!({ "parameters": { "MaxResults": 51 } }));
    items.push(json!({ "parameters": { "NextToken": "made up" } }));
    items.push(json!({ "parameters": {}, "paginate": { "MaxItems": 120, "PageSize": 50 } }));
    let answers = run_client(&mut python("boto_lookup.py"), &address, &json!(items));
    let answers = answers.as_array().unwrap().as_slice();
    for ((key, value, query), answer) in attributes.iter().zip(answers) {
        let pages = answer["pages"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let found: Vec<Value> =
            pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect();
        assert_eq!(records(&found), socket_records(&daemon, query), "{key} {value}");
    }
    let [.., time, size, token, cut] = answers else { panic!("too few answers") };
    assert_eq!(time["error"][0], "InvalidTimeRangeException");
    assert_eq!(size["error"][0], "InvalidMaxResultsException");
    assert_eq!(token["error"], json!(["InvalidNextTokenException", "Invalid token."]));
    let lengths: Vec<usize> = cut["pages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|page| page.as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [50, 50, 20]);
    assert!(cut["token"].is_string());
    daemon.stop();
}

#[test]
fn the_javascript_sdk_is_told_what_the_socket_tells() {
    let (daemon, address) = start();
    let ask = |parameters: Value| {
        // The packages are there, and Node with them.
        client("node_modules/@aws-sdk/client-cloudtrail");
        let mut command = Command::new("node");
        command.arg(script("lookup.mjs"));
        let input = json!({ "parameters": parameters, "pageSize": 30 });
        run_client(&mut command, &address, &input)
    };
    for (key, value, query) in attributes(&daemon, &address) {
        let answer = ask(json!({
            "LookupAttributes": [{ "AttributeKey": key, "AttributeValue": value }]
        }));
        let found = answer["events"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(records(found), socket_records(&daemon, &query), "{key} {value}");
    }
    let answer = ask(json!({
        "StartTime": "2026-01-01T00:00:00.000Z", "EndTime": "2026-01-17T23:59:59.999Z"
    }));
    let expected = socket_records(&daemon, "@2026-01-01..2026-01-17");
    assert!((1..EVENTS).contains(&(expected.len() as u64)));
    assert_eq!(records(answer["events"].as_array().unwrap()), expected);
    let answer = ask(json!({ "EventCategory": "nonsense" }));
    assert_eq!(answer["error"][0], "InvalidEventCategoryException");
    daemon.stop();
}

#[test]
fn awslabs_mcp_server_is_told_what_the_socket_tells() {
    let (daemon, address) = start();
    let between = json!({
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-28T00:00:00Z", "max_results": 50
    });
    let attributes = attributes(&daemon, &address);
    let calls: Vec<Value> = attributes
        .iter()
        .map(|(key, value, _)| {
            let mut call = between.clone();
            call["attribute_key"] = json!(key);
            call["attribute_value"] = json!(value);
            call
        })
        .collect();
    let server = client("bin/awslabs.cloudtrail-mcp-server");
    let ask = |calls: &[Value]| {
        let input = json!({ "server": server, "calls": calls });
        run_client(&mut python("mcp_lookup.py"), &address, &input)
    };
    let answers = ask(&calls);
    for ((key, value, query), answer) in attributes.iter().zip(answers.as_array().unwrap()) {
        let found = answer["events"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let newest: Vec<String> =
            daemon.find(query).hits.iter().take(50).map(|hit| hit.event.get().to_owned()).collect();
        let found: Vec<&str> =
            found.iter().map(|event| event["CloudTrailEvent"].as_str().unwrap()).collect();
        assert_eq!(found, newest, "{key} {value}");
    }
    // The next page, with the parameters that the tool says to give again.
    let (_, _, query) = &attributes[3];
    let mut next = calls[3].clone();
    next["next_token"] = answers[3]["next_token"].clone();
    for time in ["start_time", "end_time"] {
        let told = &answers[3]["query_params"];
        let name = if time == "start_time" { "StartTime" } else { "EndTime" };
        next[time] = told.get(name).or_else(|| told.get(time)).unwrap_or(&next[time]).clone();
    }
    let answer = &ask(&[next])[0];
    let found: Vec<&str> = answer["events"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|event| event["CloudTrailEvent"].as_str().unwrap())
        .collect();
    let hits = daemon.find(query).hits;
    let expected: Vec<&str> = hits.iter().skip(50).take(50).map(|hit| hit.event.get()).collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
    daemon.stop();
}
