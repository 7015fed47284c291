//! What is derived of events: outcome, error, client, target, account, action, and who acted. Asked of a
//! daemon, of records made for it and of every sample.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Daemon, PATIENCE, Place, sample};

/// A record with this id, and these members in place of the usual ones.
fn record(n: u64, members: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.09", "eventTime": format!("2025-05-01T10:00:{n:02}Z"),
        "eventID": format!("0000{n:04}-0000-4000-8000-000000000000"),
        "userIdentity": {"type": "IAMUser", "userName": "nora", "accountId": "111122223333"},
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.7", "recipientAccountId": "111122223333",
    });
    for (key, value) in members.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn records() -> Vec<Value> {
    let login = |message: &Value, said: &str| {
        json!({"eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
            "errorMessage": message, "responseElements": {"ConsoleLogin": said}})
    };
    let members = [
        login(&json!("Failed authentication"), "Failure"),
        login(&json!(null), "Success"),
        json!({"errorCode": "AccessDenied", "requestParameters": {"bucketName": "b", "key": "a/k.txt"}}),
        json!({"errorCode": "NoSuchKey", "requestParameters": {"bucketName": "b", "key": "no.txt"}}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "CreateRoute",
            "responseElements": {"_return": false}, "requestParameters": {"routeTableId": "rtb-1"}}),
        json!({"eventName": "DeleteObjects", "requestParameters": {"bucketName": "b"},
            "responseElements": {"DeleteResult": {"errors": [{"key": "x", "code": "AccessDenied"}]}}}),
        json!({"userIdentity": {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}}),
        json!({"userIdentity": {"type": "FederatedUser", "principalId": "111122223333:Quin",
            "accountId": "111122223333"}}),
        json!({"resources": [{"ARNPrefix": "arn:aws:s3:::prefbucket/env:/", "type": "AWS::S3::Object"}]}),
        json!({"recipientAccountId": null, "userIdentity": {"type": "Root", "accountId": "999900001111"}}),
        json!({"eventType": "AwsCloudTrailInsight", "eventName": null, "eventSource": null,
            "userIdentity": null, "sourceIPAddress": null, "insightDetails": {"state": "Start",
                "eventSource": "ec2.amazonaws.com", "eventName": "DescribeRegions",
                "errorCode": "Client.RequestLimitExceeded"}}),
        json!({"sourceIPAddress": "ec2.amazonaws.com.cn", "userAgent": "ec2.amazonaws.com.cn"}),
        json!({"userAgent": "[aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0]"}),
        json!({"userAgent": "Mozilla/5.0 (X11; Linux)", "sessionCredentialFromConsole": "true"}),
    ];
    (0..).zip(&members).map(|(n, members)| record(n, members)).collect()
}

fn daemon() -> Daemon {
    let place = Place::new();
    let records = json!({ "Records": records() });
    fs::write(place.archive().join("a.json"), records.to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 14);
    daemon
}

/// The numbers of the records that a query finds.
fn found(daemon: &Daemon, query: &str) -> BTreeSet<u64> {
    let hits = daemon.find(query).hits;
    hits.iter().map(|hit| hit.meta.id[4..8].parse().unwrap()).collect()
}

#[test]
fn what_is_derived_is_found_counted_and_told() {
    let daemon = daemon();
    for (query, expected) in [
        ("outcome:denied", &[2, 5][..]),
        ("outcome:failure", &[0, 3, 4, 10]),
        ("error:*", &[0, 2, 3, 4, 5, 10]),
        ("outcome:* -outcome:success", &[0, 2, 3, 4, 5, 10]),
        ("errorCode:*", &[2, 3]),
        ("error:\"Failed authentication\"", &[0]),
        ("eventName:ConsoleLogin outcome:success", &[1]),
        ("error:AccessDenied", &[2, 5]),
        ("error:Client.RequestLimitExceeded", &[10]),
        ("action:DescribeRegions", &[10]),
        ("action:ConsoleLogin", &[0, 1]),
        ("eventName:DescribeRegions", &[]),
        ("service:ec2", &[4, 10]),
        ("service:ec2.amazonaws.com", &[4, 10]),
        ("service:EC2", &[4, 10]),
        ("service:~ec2", &[4, 10]),
        ("service:e*", &[4, 10]),
        ("eventSource:ec2", &[4]),
        ("-service:*", &[]),
        ("-eventSource:*", &[10]),
        ("ec2:DescribeRegions", &[10]),
        ("ec2:*", &[4, 10]),
        ("action:ec2:DescribeRegions", &[10]),
        ("action:ec2:*", &[4, 10]),
        ("action:s3:Describe*", &[]),
        ("eventName:ec2:DescribeRegions", &[]),
        ("eventName:ec2:*", &[4]),
        ("target:b/a/k.txt", &[2]),
        ("target:b*", &[2, 3, 5]),
        ("target:rtb-1", &[4]),
        ("target:prefbucket", &[]),
        ("target:*prefbucket*", &[8]),
        ("resource:arn:aws:s3:::prefbucket/env:/", &[8]),
        ("resource:*prefbucket*", &[8]),
        ("credential:anonymous actor:anonymous", &[6]),
        ("actor:Quin", &[7]),
        ("account:999900001111", &[9]),
        ("account:111122223333", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]),
        ("-recipientAccountId:*", &[9]),
        ("ip:aws", &[11]),
        ("client:aws-cli/2", &[12]),
        ("client:console", &[13]),
        ("client:ec2.amazonaws.com.cn", &[11]),
    ] {
        assert_eq!(found(&daemon, query), expected.iter().copied().collect(), "{query}");
    }
    let table = daemon.find("* | count by outcome").table.unwrap();
    let rows = serde_json::to_value(table.rows).unwrap();
    assert_eq!(rows, json!([["success", 8], ["failure", 4], ["denied", 2]]));
    let rows = |query: &str| serde_json::to_value(daemon.find(query).table.unwrap().rows).unwrap();
    let by_service =
        json!([["ec2.amazonaws.com", 2], ["s3.amazonaws.com", 10], ["signin.amazonaws.com", 2]]);
    assert_eq!(rows("* | stats count by service"), by_service);
    assert_eq!(rows("* | stats count by service | filter service:s3"), json!([by_service[1]]));
    let of_insight = rows("insightDetails.state:* | fields service, action, eventSource");
    assert_eq!(of_insight, json!([["ec2.amazonaws.com", "DescribeRegions", null]]));
    let hit = daemon.find("target:b/a/k.txt").hits.remove(0);
    assert_eq!((hit.meta.outcome.as_str(), hit.meta.error.as_str()), ("denied", "AccessDenied"));
    assert_eq!(
        (hit.meta.target, hit.meta.account),
        (vec!["b/a/k.txt".into()], "111122223333".into())
    );
    daemon.stop();
}

#[test]
fn an_event_is_found_by_the_beginning_of_its_id() {
    let daemon = daemon();
    let event = |id: &str| daemon.client.event(id);
    for id in ["00000007", "00000007-0000", "00000007-0000-4000-8000-000000000000"] {
        let hits = event(id).unwrap().hits;
        assert_eq!(hits.len(), 1, "{id}");
        assert_eq!(hits[0].meta.actor, "Quin");
    }
    let several = event("0000001").unwrap_err().to_string();
    let expected = "4 events have an id that begins with '0000001': \
        00000010-0000-4000-8000-000000000000, 00000011-0000-4000-8000-000000000000";
    assert!(several.contains(expected) && several.contains("give more of it"), "{several}");
    let many = event("0000").unwrap_err().to_string();
    assert!(many.contains("14 events") && many.contains("and 9 more"), "{many}");
    let short = event("000").unwrap_err().to_string();
    assert!(short.contains("4 characters at least"), "{short}");
    assert!(event("0000002").unwrap_err().to_string().contains("no event has the id"), "none");
    // A star is no wildcard here.
    assert!(event("0000*").is_err());
    daemon.stop();
}

/// A record's texts.
fn texts<'r>(json: &'r Value, into: &mut BTreeSet<&'r str>) {
    match json {
        Value::String(text) => {
            into.insert(text);
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => members.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

/// Targets of each action that the list of the samples has, at most.
const LISTED_MAX: usize = 2;

/// Every sample record: its target is a text of it, its outcome agrees with its error, and the targets and
/// clients of all of them are those of a list that was read by a person.
#[test]
fn every_sample_has_the_outcome_client_and_target_that_it_should() {
    let samples = ["invictus", "stratus", "traildiscover", "otrf", "panther", "odd"].map(sample);
    let daemon = Place::watching(&samples).start();
    daemon.wait_for(PATIENCE, "all samples are indexed", |status| {
        status.events.indexed > 4_000 && status.files.pending == 0
    });
    let mut targets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut clients: BTreeSet<String> = BTreeSet::new();
    let hits = daemon.find("*").hits;
    assert!(hits.len() > 4_000, "{}", hits.len());
    for hit in &hits {
        let record: Value = serde_json::from_str(hit.event.get()).unwrap();
        let mut all = BTreeSet::new();
        texts(&record, &mut all);
        let meta = &hit.meta;
        for target in &meta.target {
            let is_object =
                |at: usize| all.contains(&target[..at]) && all.contains(&target[at + 1..]);
            let is_known = all.contains(target.as_str())
                || target.match_indices('/').any(|(at, _)| is_object(at));
            assert!(is_known, "{target} in {record}");
        }
        assert_eq!(meta.error.is_empty(), ["", "success"].contains(&&*meta.outcome), "{record}");
        let code = record["errorCode"].as_str().unwrap_or_default();
        assert!(code.is_empty() || meta.error == code, "{record}");
        if let Some(name) = record["eventName"].as_str() {
            let service = record["eventSource"].as_str().unwrap_or_default();
            let action = format!("{}:{name}", service.split('.').next().unwrap());
            targets.entry(action).or_default().insert(meta.target.join(", "));
        }
        clients.insert(meta.client.clone());
    }
    let mut list = String::new();
    for (action, targets) in targets {
        for target in targets.iter().filter(|target| !target.is_empty()).take(LISTED_MAX) {
            list.push_str(&format!("{action}\t{target}\n"));
        }
    }
    for client in &clients {
        list.push_str(&format!("client\t{client}\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/search/derived.tsv");
    if std::env::var_os("TRAILDEX_ACCEPT").is_some() {
        fs::write(&path, &list).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let (found, expected): (BTreeSet<&str>, BTreeSet<&str>) =
        (list.lines().collect(), expected.lines().collect());
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), [&""; 0], "new");
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), [&""; 0], "gone");
    daemon.stop();
}
